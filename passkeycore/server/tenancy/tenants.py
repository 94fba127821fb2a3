"""Tenants: each has a realm, a relying party, services and rules of its own, in one server.

What belongs here: what a request is answered with, once it is known whose it is. Who knows that is `Tenants`; how
tenants come from a file and what an operator has changed of them, in `live`.
"""

from typing import TYPE_CHECKING, Protocol

import msgspec
from starlette.exceptions import HTTPException

from ...engine.actions.service import AsyncActionService
from ...engine.devices.service import AsyncDeviceService
from ...engine.passkeys.service import AsyncPasskeyService
from ...engine.tenancy.records import ServerKey
from ...engine.tenancy.repository import AsyncTenancyRepository

if TYPE_CHECKING:
    from ...config.server import TenantSettings


class TenantUnavailable(HTTPException):
    """503: there is such a tenant, but it is not served until its settings are mended; see `LiveTenants`."""

    def __init__(self) -> None:
        """Names nobody: clients can do nothing about it."""
        super().__init__(503, "This service is not available now. Please try again later.", {"Retry-After": "60"})


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant, as it is now.

    Attributes:
        settings: What its file and its operator say.
        passkeys, devices, actions: Its services, all in the realm ``settings.tenant_id``.
        repository: Keys, settings and profiles.
    """

    settings: "TenantSettings"
    passkeys: AsyncPasskeyService
    devices: AsyncDeviceService
    actions: AsyncActionService
    repository: AsyncTenancyRepository

    @property
    def tenant_id(self) -> str:
        """What clients call the tenant; also its realm."""
        return self.settings.tenant_id

    def __repr__(self) -> str:
        return f"Tenant({self.tenant_id!r})"


class KeyHolder(msgspec.Struct, frozen=True, kw_only=True):
    """A server that has shown a key.

    Attributes:
        tenant: Whose server it is.
        key: As stored; of a key of the file, made up for it, without a digest.
    """

    tenant: Tenant
    key: ServerKey


class Tenants(Protocol):
    """All tenants of a server. Whatever finds one raises `TenantUnavailable` where it is not served now."""

    async def by_id(self, tenant_id: str) -> Tenant | None:
        """The tenant that a client names, which proves nothing. None: there is none."""
        ...

    async def by_token(self, token: str) -> Tenant | None:
        """The tenant whose action a token names; whether it is good there, its action service says. None: no token."""
        ...

    async def by_key(self, key: str, kind: str) -> KeyHolder | None:
        """Who shows this key of a server, ``api`` or ``integration``. None: nobody may; why, is nobody's business."""
        ...

    async def secrets_of(self, tenant: Tenant) -> tuple[str, ...]:
        """The tenant's keys of the kind ``api`` that open something now, the newest first, to sign webhooks with."""
        ...
