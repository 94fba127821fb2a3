"""One pass over what waits: `deliver_due`, the flow; what it is given, and what an event looks like on its way."""

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from ...errors import show
from ...webauthn.encoding import encode_base64url
from ...webhooks import sign_webhook
from ..records import Event
from .endpoint import WebhookEndpoint
from .records import Delivery
from .repository import AsyncOutboxRepository
from .schedule import next_attempt_at

_LOGGER: Final = logging.getLogger("passkeycore.webhooks")
_GONE: Final = 410


class WebhookResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint has answered.

    Attributes:
        status: Of HTTP.
        retry_after: The header of that name, as it came; None: there is none.
    """

    status: int
    retry_after: str | None = None


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent: a POST.

    Attributes:
        delivery: What it delivers.
        url: Where to.
        headers: Names in lower case; the signatures among them.
        body: Signed; JSON in UTF-8.
    """

    delivery: Delivery
    url: str
    headers: Mapping[str, str]
    body: bytes


class DeliveryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the events that were taken in hand.

    Attributes:
        delivered: The endpoint has them.
        skipped: There is no endpoint for them.
        postponed: It failed, and will be tried again.
        given_up: It failed for the last time; see `OutboxRepository.revive_deliveries`.
        lost: It took so long that somebody else had them in hand again.
    """

    delivered: int = 0
    skipped: int = 0
    postponed: int = 0
    given_up: int = 0
    lost: int = 0

    @property
    def taken(self) -> int:
        """How many there were; 0: nothing is due."""
        return self.delivered + self.skipped + self.postponed + self.given_up + self.lost

    def __add__(self, other: "DeliveryCounts") -> "DeliveryCounts":
        """Both together."""
        return DeliveryCounts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


Sent: TypeAlias = tuple[WebhookRequest, WebhookResponse | Exception]
"""A request, with what came of it."""

_Outcome: TypeAlias = Literal["delivered", "skipped", "postponed", "given_up", "lost"]


class DeliveryContext(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of a worker, for the flow.

    Attributes:
        outbox: What waits, in the asynchronous shape, whatever its colour.
        endpoint_of: Where the events of a realm go; None: nowhere.
        send_all: Sends requests at the same time, and gives each as it ends.
        limit: How many at once, at least 1.
        lease: How long nobody else gets what is taken: longer than anything that is sent may take.
        now: The clock, aware.
        random: So many random bytes, for the jitter.
    """

    outbox: AsyncOutboxRepository
    endpoint_of: Callable[[str], Awaitable[WebhookEndpoint | None]]
    send_all: Callable[[Sequence[WebhookRequest]], AsyncGenerator[Sent, None]]
    limit: int
    lease: timedelta
    now: Callable[[], datetime]
    random: Callable[[int], bytes]


class _Data(msgspec.Struct, frozen=True):
    id: str
    realm: str
    user_id: str | None
    credential_id: str | None
    code: str | None
    details: Mapping[str, str]


class _Body(msgspec.Struct, frozen=True):
    type: str
    timestamp: str
    data: _Data


def event_body(event: Event) -> bytes:
    """`event` as it is sent, the same bytes at every attempt: JSON in UTF-8, as Standard Webhooks recommends.

        {"type": "passkey.removed",
         "timestamp": "2026-01-02T03:04:05.678901Z",      # when it happened, UTC, always with microseconds
         "data": {"id": "…",                              # of the event, 32 hexadecimal characters; also `webhook-id`
                  "realm": "",
                  "user_id": "42" or null,
                  "credential_id": "…" or null,           # base64url without padding
                  "code": "signature_invalid" or null,    # why it failed
                  "details": {"name": "Laptop"}}}         # texts; sorted by name

    All members are always there, in this order, without white space. A new release may add members, and types.
    """
    at = event.at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    credential_id = None if event.credential_id is None else encode_base64url(event.credential_id)
    data = _Data(event.id, event.realm, event.user_id, credential_id, event.code, dict(event.details))
    return msgspec.json.encode(_Body(event.type, f"{at}Z", data), order="deterministic")


async def deliver_due(context: DeliveryContext) -> DeliveryCounts:
    """Delivers what is due, once, up to the limit; the answer says what became of it.

    Only the first event of each user is taken, so that order is kept; the next one is there for the next pass.

    An event is done when its endpoint has answered 2xx, or when there is no endpoint for it. Everything else is a
    failure, redirects included: it is postponed, or given up after the last attempt and at once after 410. What the
    repository raises passes through; what was taken and not settled then is taken again when its lease is over, and
    what the endpoint had already is delivered a second time.
    """
    leased_until = context.now() + context.lease
    outcomes = Counter[_Outcome]()
    requests: list[WebhookRequest] = []
    for delivery in await context.outbox.take_deliveries(context.now(), leased_until, context.limit):
        try:
            request = await _request(context, delivery)
        except Exception as error:  # noqa: BLE001 - of the application's own function: one realm must not stop others
            outcomes[await _failed(context, delivery, type(error).__name__)] += 1
            continue
        if request is None:
            outcomes[await _finished(context, delivery, "skipped")] += 1
        else:
            requests.append(request)
    if context.now() >= leased_until:
        # The process slept, or the application's function did; somebody else may be sending these already.
        outcomes["lost"] += len(requests)
        requests = []
    async with aclosing(context.send_all(requests)) as sent:
        async for request, answer in sent:
            outcomes[await _settled(context, request.delivery, answer)] += 1
    return DeliveryCounts(**{str(outcome): count for outcome, count in outcomes.items()})


async def _request(context: DeliveryContext, delivery: Delivery) -> WebhookRequest | None:
    event = delivery.event
    endpoint = await context.endpoint_of(event.realm)
    if endpoint is None or (endpoint.types is not None and event.type not in endpoint.types):
        return None
    body = event_body(event)
    headers = {"content-type": "application/json", **sign_webhook(endpoint.secrets, event.id, body, now=context.now())}
    return WebhookRequest(delivery=delivery, url=endpoint.url, headers=headers, body=body)


async def _settled(context: DeliveryContext, delivery: Delivery, answer: WebhookResponse | Exception) -> _Outcome:
    if not isinstance(answer, WebhookResponse):
        return await _failed(context, delivery, type(answer).__name__)  # its words could show the address
    if 200 <= answer.status <= 299:
        return await _finished(context, delivery, "delivered")
    return await _failed(context, delivery, f"status {answer.status}", answer)


async def _finished(context: DeliveryContext, delivery: Delivery, outcome: _Outcome) -> _Outcome:
    return outcome if await context.outbox.finish_delivery(delivery) else "lost"


async def _failed(
    context: DeliveryContext, delivery: Delivery, reason: str, answer: WebhookResponse | None = None
) -> _Outcome:
    due_at = None
    if answer is None or answer.status != _GONE:
        retry_after = None if answer is None else answer.retry_after
        due_at = next_attempt_at(delivery.attempt, context.now(), context.random, retry_after)
    if not await context.outbox.postpone_delivery(delivery, due_at):
        return "lost"
    what = show(delivery.event.id), show(delivery.event.realm), delivery.attempt, reason
    if due_at is None:
        _LOGGER.error("gave up event %s of the realm %s after attempt %d: %s", *what)
        return "given_up"
    _LOGGER.warning("event %s of the realm %s failed at attempt %d: %s", *what)
    return "postponed"
