"""Webhooks as the dialect signs and words them: the one that a step waits for, and those that follow a change.

What belongs here: the envelope, the signature, and which of our events is which of theirs. Who delivers, how often it
is tried and in which order, is `passkeycore.engine.webhooks`: `AuthsignalSender` is what it sends by.

Not sent are ``action.verify`` and ``challenge.log_created``, of which nobody has written what they carry, and those of
messages with codes, which are none here. Where a user is removed, or all passkeys of one at once, that is one event,
which does not name them: nobody is told ``authenticator.deleted`` for each.
"""

import asyncio
import hmac
import logging
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from ...engine.actions.records import Action
from ...engine.actions.tracking import ClientInfo
from ...engine.devices.authenticators import Authenticator
from ...engine.records import Event, EventFilter, EventType
from ...engine.webhooks import WebhookEndpoint, WebhookResponse
from ...errors import DecodeError
from ...webauthn.encoding import decode_base64url
from ...webhooks import WebhookSecrets, webhook_secret
from ..tenancy.tenants import Tenant, Tenants
from .wire import METHODS, Refused, iso, present

HEADER: Final = "X-Signature-V2"
_SOURCE: Final = "https://authsignal.com"  # what receivers of such webhooks are used to
_TIMEOUT_S: Final = 5.0  # somebody waits in front of a page
_LEAST_RETRY_S: Final = "30"  # before what follows a change is tried again; receivers expect no less
_MOST_EVENTS: Final = 1_000  # of a user, among which the beginning of one is looked for
_UNSENT: Final = 0  # there was no answer to have a status
_LOGGER: Final = logging.getLogger("passkeycore.server")
_METHODS: Final[Mapping[str, str]] = {str(method): name for method, name in METHODS.items()}

# What follows a change is told by these; an event that is not here is nobody's business in this dialect.
_TYPES: Final[Mapping[EventType, str]] = {
    EventType.PASSKEY_REGISTERED: "authenticator.created",
    EventType.PASSKEY_IMPORTED: "authenticator.created",
    EventType.DEVICE_ENROLLED: "authenticator.created",
    EventType.PASSKEY_RENAMED: "authenticator.updated",
    EventType.DEVICE_UPDATED: "authenticator.updated",
    EventType.PASSKEY_REMOVED: "authenticator.deleted",
    EventType.DEVICE_REMOVED: "authenticator.deleted",
    EventType.ACTION_TRACKED: "action.log_created",
    EventType.ACTION_UPDATED: "action.log_created",
}


class AsyncSend(Protocol):
    """Sends a POST; what it raises is a failure."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, /) -> Awaitable[WebhookResponse]:
        """The response, when its headers are there."""
        ...


class _Data(msgspec.Struct, frozen=True):
    id: str
    realm: str
    user_id: str | None
    credential_id: str | None
    details: dict[str, str]


class _Body(msgspec.Struct, frozen=True):
    type: EventType
    timestamp: str
    data: _Data


_BODY: Final = msgspec.json.Decoder(_Body)


def signature(secrets: Sequence[str], body: bytes, *, now: datetime) -> str:
    """The value of ``X-Signature-V2``: seconds since 1970, and one signature for each key that is good now.

    Args:
        secrets: The tenant's API keys.
        body: The very bytes that are sent.
        now: When, aware.
    """
    at = int(now.timestamp())
    signed = f"{at}.".encode() + body
    # Without padding, and without a space behind a comma: there are receivers that take neither.
    return ",".join([f"t={at}", *(f"v2={_hmac(secret, signed)}" for secret in secrets)])


def envelope(tenant_id: str, type: str, id: str, at: str, data: Mapping[str, Any]) -> bytes:
    """What is sent, JSON in UTF-8: `data`, and what it is about. `at` is a time in ISO 8601."""
    return msgspec.json.encode(
        {
            "version": 1,
            "id": id,
            "source": _SOURCE,
            "time": at,
            "tenantId": tenant_id,
            "type": type,
            "data": present(data),
        }
    )


class Hooks:
    """What an application has to take before a step goes on. Such a webhook is sent once."""

    def __init__(self, tenants: Tenants, send: AsyncSend, *, timeout_s: float = _TIMEOUT_S) -> None:
        """For all tenants that have a ``webhook_url``.

        Args:
            tenants: Who they are, and what their keys are.
            send: How, such as an `AsyncHTTPSender`.
            timeout_s: How long a step waits at most, in seconds.
        """
        self._tenants = tenants
        self._send = send
        self._timeout_s = timeout_s

    async def push_created(self, tenant: Tenant, action: Action, challenge_id: str, client: ClientInfo) -> None:
        """Returns when the application has taken it that a push message is due, or wants to know nothing.

        Args:
            tenant: Whose user it is.
            action: What is to be met.
            challenge_id: Of the challenge that is stored once this returns, and not before.
            client: Of whoever waits; the action knows better.

        Raises:
            Refused: 502: it has not, or not in time, or there is no key to sign it with.
        """
        url = tenant.settings.webhook_url
        if url is None:
            return
        context = tenant.actions.context
        now = context.now()
        data = {
            "challengeId": challenge_id,
            "userId": action.user_id,
            "idempotencyKey": action.idempotency_key,
            "actionCode": action.action,
            "userAgent": action.user_agent or client.user_agent,
            "ipAddress": action.ip_address or client.ip_address,
        }
        body = envelope(tenant.tenant_id, "push.created", context.random(16).hex(), iso(now), data)
        try:
            headers = _headers(await self._tenants.secrets_of(tenant), body, now)
            async with asyncio.timeout(self._timeout_s):
                response = await self._send(url, headers, body)
        except Exception as error:
            if isinstance(error, Refused):
                raise
            # Its words could show the address.
            _LOGGER.warning("push.created of %s was not sent: %s", tenant.tenant_id, type(error).__name__)
            raise _not_taken() from None
        if not 200 <= response.status <= 299:
            raise _not_taken()


class AuthsignalSender:
    """Sends stored events in the dialect's words, for an `AsyncWebhookWorker`.

    worker = AsyncWebhookWorker(repository, endpoints(tenants), send=AuthsignalSender(tenants, AsyncHTTPSender()))
    """

    def __init__(self, tenants: Tenants, send: AsyncSend, *, now: Callable[[], datetime] | None = None) -> None:
        """For all tenants.

        Args:
            tenants: Who they are, and what their keys are.
            send: How, such as an `AsyncHTTPSender`.
            now: The clock, aware; None: that of the tenant's services.
        """
        self._tenants = tenants
        self._send = send
        self._now = now

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, /) -> WebhookResponse:
        """Sends the event that `body` has in our own words. Its headers are of our own kind, and not needed.

        What is not taken is tried again after 30 seconds at the earliest.

        Raises:
            LookupError: The tenant is not there any more, or has no key to sign with: it is tried again as well.
        """
        event = _BODY.decode(body)
        tenant = await self._tenants.by_id(event.data.realm)
        if tenant is None:
            raise LookupError("the event's tenant is not there")
        now = (self._now or tenant.actions.context.now)()
        data = (
            _of_action(event) if _TYPES[event.type] == "action.log_created" else await _of_authenticator(tenant, event)
        )
        told = envelope(tenant.tenant_id, _TYPES[event.type], event.data.id, event.timestamp, data)
        signed = _headers(await self._tenants.secrets_of(tenant), told, now)
        try:
            response = await self._send(url, signed, told)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is tried again
            _LOGGER.warning("a webhook of %s was not sent: %s", tenant.tenant_id, type(error).__name__)
            return WebhookResponse(status=_UNSENT, retry_after=_LEAST_RETRY_S)
        if 200 <= response.status <= 299 or response.retry_after is not None:
            return response
        return msgspec.structs.replace(response, retry_after=_LEAST_RETRY_S)


def endpoints(tenants: Tenants) -> Callable[[str], Awaitable[WebhookEndpoint | None]]:
    """Where the events of each tenant go, for an `AsyncWebhookWorker`: to its ``webhook_url``, those of the dialect."""
    unused = WebhookSecrets([webhook_secret(os.urandom(32))])  # of our own signatures, which nobody gets here

    async def endpoint_of(realm: str) -> WebhookEndpoint | None:
        tenant = await tenants.by_id(realm)
        if tenant is None or tenant.settings.webhook_url is None:
            return None
        return WebhookEndpoint(url=tenant.settings.webhook_url, secrets=unused, types=tuple(_TYPES))

    return endpoint_of


def _of_action(event: _Body) -> dict[str, Any]:
    data, details = event.data, event.data.details
    return {
        "userId": data.user_id,
        "actionCode": details.get("action"),
        "idempotencyKey": details.get("idempotency_key"),
        "state": details.get("state"),
        "verificationMethod": _METHODS.get(details.get("method", "")),
    }


async def _of_authenticator(tenant: Tenant, event: _Body) -> dict[str, Any]:
    """What is known of it now; of one that is gone, what the event of its beginning says, if that is there still."""
    data = event.data
    authenticator_id = data.credential_id or data.details.get("authenticator_id")
    record = await _record(tenant, data.user_id, authenticator_id)
    began = None if record is not None else await _beginning(tenant, data)
    method = "passkey" if data.credential_id is not None else data.details.get("method")
    if began is not None:
        method = method or began.details.get("method")
    passkey = None if record is None else record.passkey
    created_at = record.created_at if record is not None else None if began is None else began.at
    return {
        "userId": data.user_id,
        "verificationMethod": _METHODS.get(record.method if record is not None else method or ""),
        "createdAt": None if created_at is None else iso(created_at),
        "userAuthenticatorId": authenticator_id,
        "credentialId": data.credential_id,
        "aaguid": None if passkey is None else str(passkey.credential.aaguid),
        "credentialName": None if passkey is None else passkey.name or None,
    }


async def _record(tenant: Tenant, user_id: str | None, authenticator_id: str | None) -> Authenticator | None:
    if user_id is None:
        return None
    listed = await tenant.devices.list_authenticators(user_id)
    return next((each for each in listed if each.authenticator_id == authenticator_id), None)


async def _beginning(tenant: Tenant, data: _Data) -> Event | None:
    """The event by which it was made; the last one, as a key may come again."""
    types = tuple(type for type, name in _TYPES.items() if name == "authenticator.created")
    try:
        credential_id = None if data.credential_id is None else decode_base64url(data.credential_id, "credential_id")
    except DecodeError:
        return None
    which = EventFilter(types=types, user_id=data.user_id, credential_id=credential_id)
    page = await tenant.passkeys.list_events(which, limit=_MOST_EVENTS)
    wanted = data.details.get("authenticator_id")
    return next((event for event in page.events if event.details.get("authenticator_id") == wanted), None)


def _headers(secrets: Sequence[str], body: bytes, now: datetime) -> dict[str, str]:
    if not secrets:
        raise LookupError("the tenant has no key to sign with")
    return {"content-type": "application/json", HEADER.lower(): signature(secrets, body, now=now)}


def _hmac(secret: str, signed: bytes) -> str:
    return b64encode(hmac.digest(secret.encode("utf-8", "surrogateescape"), signed, "sha256")).decode().rstrip("=")


def _not_taken() -> Refused:
    return Refused(502, "invalid_configuration", "The application's webhook did not take it.")
