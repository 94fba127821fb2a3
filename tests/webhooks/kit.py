"""Events, endpoints, a clock, and an endpoint without a network."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from passkeycore.engine.records import Event, EventType
from passkeycore.engine.webhooks import WebhookEndpoint, WebhookResponse
from passkeycore.webhooks import Webhook, WebhookSecrets, verify_webhook, webhook_secret

SECRETS = WebhookSecrets([webhook_secret(bytes(32))])
BEGUN = datetime(2100, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
OK = WebhookResponse(status=200)
FAILED = WebhookResponse(status=500)
LEASE_S = 60
"""How long a worker keeps what it took, with the timeout that it has by default, in seconds."""

_NUMBERS = count(1)


def event(user_id: str | None = "ada", **changes: Any) -> Event:
    """A new event, whose id says in which order they were made."""
    members: dict[str, Any] = {
        "id": f"{next(_NUMBERS):032x}",
        "type": EventType.PASSKEY_RENAMED,
        "at": BEGUN,
        "user_id": user_id,
    }
    return Event(**(members | changes))


def endpoint(url: str = "https://example.org/events", **changes: Any) -> WebhookEndpoint:
    members: dict[str, Any] = {"url": url, "secrets": SECRETS}
    return WebhookEndpoint(**(members | changes))


def no_jitter(size: int) -> bytes:
    return bytes(size)


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self, at: datetime = BEGUN) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def go(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Network:
    """Notes what is sent, which it verifies, and answers as `answer` says: a response, or an error that it raises."""

    def __init__(self, now: Callable[[], datetime], answer: Callable[[Webhook], WebhookResponse | Exception]) -> None:
        self.now, self.answer = now, answer
        self.sent: list[Webhook] = []
        self.urls: list[str] = []

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        webhook = verify_webhook(SECRETS, headers, body, now=self.now(), tolerance_s=0)
        self.sent.append(webhook)
        self.urls.append(url)
        answer = self.answer(webhook)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def ids(self) -> list[str]:
        return [webhook.id for webhook in self.sent]
