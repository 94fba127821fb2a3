"""Who it was, and from where: every event of what an operator does says so, whichever part of the engine makes it."""

from collections.abc import Mapping
from copy import copy
from typing import Any

import msgspec

from ...engine.context import EngineContext
from ...engine.devices.context import DeviceContext
from ...engine.passkeys.context import Context
from ...engine.passkeys.service import AsyncPasskeyService
from ...engine.records import Event, EventType
from ..tenancy.tenants import Tenant
from .sessions import Session


class _PasskeyContext(Context, frozen=True, kw_only=True):
    by: Mapping[str, str]

    def event(self, *arguments: Any, **members: Any) -> Event | None:
        """See `EngineContext.event`."""
        return _signed(super().event(*arguments, **members), self.by)


class _SignInContext(_PasskeyContext, frozen=True, kw_only=True):
    address: Mapping[str, str]

    def event(self, *arguments: Any, **members: Any) -> Event | None:
        """See `EngineContext.event`. Only who got in is somebody whose session can be named."""
        event = Context.event(self, *arguments, **members)
        has_got_in = event is not None and event.type is EventType.AUTHENTICATION_SUCCEEDED
        return _signed(event, {**self.address, **(self.by if has_got_in else {})})


class _DeviceContext(DeviceContext, frozen=True, kw_only=True):
    by: Mapping[str, str]

    def event(self, *arguments: Any, **members: Any) -> Event | None:
        """See `EngineContext.event`."""
        return _signed(super().event(*arguments, **members), self.by)


def of_operator(tenant: Tenant, session: Session) -> Tenant:
    """The tenant, whose events name the operator's session."""
    devices = copy(tenant.devices)
    devices.context = _DeviceContext(**_members(devices.context), by=session.audit)
    return msgspec.structs.replace(tenant, passkeys=passkeys_of_operator(tenant.passkeys, session), devices=devices)


def passkeys_of_operator(service: AsyncPasskeyService, session: Session, address: str = "") -> AsyncPasskeyService:
    """The service, whose events name the operator's session, and the address if there is one."""
    passkeys = copy(service)
    passkeys.context = _PasskeyContext(**_members(passkeys.context), by={**session.audit, **from_where(address)})
    return passkeys


def passkeys_of_visitor(service: AsyncPasskeyService, session: Session, address: str) -> AsyncPasskeyService:
    """The service for somebody who signs in: its events name the address, and once they are in, `session`."""
    passkeys = copy(service)
    passkeys.context = _SignInContext(**_members(passkeys.context), by=session.audit, address=from_where(address))
    return passkeys


def from_where(address: str) -> dict[str, str]:
    """What an event says of an address; empty: there is none, as over a Unix socket."""
    return {"address": address} if address else {}


def _members(context: EngineContext) -> dict[str, Any]:
    return {name: getattr(context, name) for name in context.__struct_fields__}


def _signed(event: Event | None, by: Mapping[str, str]) -> Event | None:
    return None if event is None else msgspec.structs.replace(event, details={**event.details, **by})
