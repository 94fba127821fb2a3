"""Where the events of each tenant go, signed by its own keys, in the form that it asks for.

A tenant that asks for nothing gets Standard Webhooks: their secret is ``whsec_`` and the base64 of the SHA-256 of an
API key, once for each key that is good, so that who has the key can verify. A wire dialect brings a form of its own.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from ..engine.actions.records import Action
from ..engine.actions.tracking import ClientInfo
from ..engine.webhooks import AsyncHTTPSender, AsyncWebhookWorker, WebhookEndpoint, WebhookResponse
from ..webhooks import WebhookSecrets, webhook_secret
from .authsignal.webhooks import AuthsignalSender, Hooks
from .authsignal.webhooks import endpoints as authsignal_endpoints
from .tenancy.tenants import Tenant

if TYPE_CHECKING:
    from .tenancy.live import LiveTenants

_LOGGER: Final = logging.getLogger("passkeycore.server")
_MOST_SECRETS: Final = 8  # that `WebhookSecrets` takes
_LOOK_S: Final = 1.0

_Send: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[WebhookResponse]]


class _Form(NamedTuple):
    """How the events of a tenant are sent: where to, signed how; and what sends them."""

    endpoint_of: Callable[[str], Awaitable[WebhookEndpoint | None]]
    send: _Send


class Webhooks:
    """Delivers the events of all tenants.

    Attributes:
        hooks: What an application has to take before a step goes on.
    """

    def __init__(self, tenants: "LiveTenants") -> None:
        """Sends nothing yet."""
        self._sender = AsyncHTTPSender()
        self.hooks: Final[Hooks] = _Hooks(tenants, self._sender)
        self._tenants = tenants
        self._has_too_many: set[str] = set()
        self._forms: Mapping[str, _Form] = {
            "standard": _Form(self._standard_endpoint, self._sender),
            "authsignal": _Form(authsignal_endpoints(tenants), AuthsignalSender(tenants, self._sender)),
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop` is set, from when on a tenant wants events; in each process of the server."""
        repository = self._tenants.storage.repository
        while not repository.keeps_outbox and not stop.is_set():  # an operator may say so any time
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await stop.wait()
        try:
            if not stop.is_set():
                await AsyncWebhookWorker(repository, self._endpoint_of, send=self._send, now=self._tenants.now).run(
                    stop
                )
        finally:
            await self._sender.aclose()

    async def _form(self, realm: str) -> _Form | None:
        tenant = await self._tenants.by_id(realm)
        if tenant is None or tenant.settings.webhook_url is None:
            return None
        return self._forms[tenant.settings.webhook_format]

    async def _endpoint_of(self, realm: str) -> WebhookEndpoint | None:
        form = await self._form(realm)
        return None if form is None else await form.endpoint_of(realm)

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        form = await self._form(json.loads(body)["data"]["realm"])
        if form is None:
            raise LookupError("the event's tenant wants no events any more")
        return await form.send(url, headers, body)

    async def _standard_endpoint(self, realm: str) -> WebhookEndpoint | None:
        tenant = await self._tenants.by_id(realm)
        if tenant is None or tenant.settings.webhook_url is None:
            return None
        keys = await self._tenants.secrets_of(tenant)
        self._note_keys(realm, len(keys))
        secrets = _standard_secrets(keys)
        return None if secrets is None else WebhookEndpoint(url=tenant.settings.webhook_url, secrets=secrets)

    def _note_keys(self, realm: str, number: int) -> None:
        """Says so once, from when on a tenant has more keys than events can be signed with."""
        if number <= _MOST_SECRETS:
            self._has_too_many.discard(realm)
        elif realm not in self._has_too_many:
            self._has_too_many.add(realm)
            _LOGGER.warning("events of %s are signed with the newest %d of its %d keys", realm, _MOST_SECRETS, number)


class _Hooks(Hooks):
    """For those tenants alone who want their webhooks in this form."""

    async def push_created(self, tenant: Tenant, action: Action, challenge_id: str, client: ClientInfo) -> None:
        """See `Hooks.push_created`."""
        if tenant.settings.webhook_format == "authsignal":
            await super().push_created(tenant, action, challenge_id, client)


def _standard_secrets(keys: Sequence[str]) -> WebhookSecrets | None:
    """The secrets of Standard Webhooks, one for each key; None: there is no key."""
    made = [webhook_secret(sha256(key.encode("utf-8", "surrogateescape")).digest()) for key in keys[:_MOST_SECRETS]]
    return WebhookSecrets(made) if made else None
