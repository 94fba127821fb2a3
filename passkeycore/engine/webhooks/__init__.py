"""Delivers stored events to whoever wants to know: signed, at least once, in order for each user, across restarts.

    import os, signal, threading

    from passkeycore import RelyingParty
    from passkeycore.engine import PasskeyService
    from passkeycore.engine.webhooks import WebhookEndpoint, WebhookWorker
    from passkeycore.repositories.sql import SQLRepository
    from passkeycore.webhooks import WebhookSecrets

    # In your server. With an outbox, an event waits from the very transaction that stores it.
    repository = SQLRepository("sqlite:///passkeys.db", create=True, outbox=True)
    rp = RelyingParty(id="example.com", origins=["https://example.com"])
    passkeys = PasskeyService(rp, repository, store_events=True)

    # In a process of its own, or in a thread, over the same database.
    secrets = WebhookSecrets([os.environ["WEBHOOK_SECRET"]])  # webhook_secret(os.urandom(32)) makes one
    endpoint = WebhookEndpoint(url=os.environ["WEBHOOK_URL"], secrets=secrets)
    worker = WebhookWorker(repository, {"": endpoint})  # by realm
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker.run(stop)

Who receives them verifies with `passkeycore.webhooks.verify_webhook`, or any library of Standard Webhooks; `event_body`
says what they get. What fails is tried nine more times in 75 hours, while the later events of that user wait; then it
is given up and logged, and stays until ``repository.revive_deliveries(now)``.

`worker` has the workers, `delivery` what they do, `schedule` when they try again, `sending` how, `endpoint` where to;
`repository` is what an embedder writes, `records` what waits.
"""

from .delivery import DeliveryCounts, WebhookResponse, event_body
from .endpoint import WebhookEndpoint
from .sending import AsyncHTTPSender, HTTPSender
from .worker import AsyncWebhookWorker, WebhookWorker

__all__ = [
    "AsyncHTTPSender",
    "AsyncWebhookWorker",
    "DeliveryCounts",
    "HTTPSender",
    "WebhookEndpoint",
    "WebhookResponse",
    "WebhookWorker",
    "event_body",
]
