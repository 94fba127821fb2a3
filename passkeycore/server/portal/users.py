"""Pages of a tenant's users: find one, see what they can sign in with, take one of these away, disable the user."""

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...engine.checks import check_user_id
from ...engine.records import EventFilter
from ...engine.tenancy.records import Profile, ProfileFilter
from .serving import Asked, Row

_PAGE: Final = 50
_SHOWN_EVENTS: Final = 10
_DONE: Final[Mapping[str, str]] = {
    "removed": "It is removed. The user cannot sign in with it any more.",
    "disabled": "The user is disabled and cannot sign in.",
    "enabled": "The user can sign in again.",
}


async def _list(asked: Asked) -> Response:
    tenant = asked.tenant
    prefix, after = _searched(asked, "q"), _searched(asked, "after")
    page = await tenant.repository.list_users(tenant.tenant_id, prefix, after or None, _PAGE)
    return asked.page(
        "users.html",
        tab="users",
        users=page.users,
        others=await _by_profile(asked, prefix) if prefix and not after else (),
        q=prefix,
        next_after=page.next_after,
    )


async def _show(asked: Asked) -> Response:
    tenant, user_id = asked.tenant, asked.query.get("id", "")
    user = await tenant.passkeys.find_user(user_id)
    profile = await tenant.repository.find_profile(tenant.tenant_id, user_id)
    authenticators = await tenant.devices.list_authenticators(user_id)
    if user is None and profile is None and not authenticators:
        raise HTTPException(404, "There is no such user.")
    events = await tenant.passkeys.list_events(EventFilter(user_id=user_id), limit=_SHOWN_EVENTS)
    return asked.page(
        "user.html",
        tab="users",
        user_id=user_id,
        user=user,
        profile=profile,
        authenticators=authenticators,
        events=events.events,
        done=_DONE.get(asked.query.get("done", ""), ""),
    )


async def _remove(asked: Asked) -> Response:
    await asked.tenant.devices.remove_authenticator(asked.field("user"), asked.field("id"))
    return asked.to("user", id=asked.field("user"), done="removed")


async def _disable(asked: Asked) -> Response:
    await asked.tenant.passkeys.disable_user(asked.field("user"))
    return asked.to("user", id=asked.field("user"), done="disabled")


async def _enable(asked: Asked) -> Response:
    await asked.tenant.passkeys.enable_user(asked.field("user"))
    return asked.to("user", id=asked.field("user"), done="enabled")


ROWS: Final = (
    Row("GET", "/tenants/{tenant_id}/users", _list),
    Row("GET", "/tenants/{tenant_id}/user", _show),
    Row("POST", "/tenants/{tenant_id}/user/remove", _remove),
    Row("POST", "/tenants/{tenant_id}/user/disable", _disable),
    Row("POST", "/tenants/{tenant_id}/user/enable", _enable),
)
"""Pages and forms. The user is in the query, as an id may have any character, and queries are in no log."""


def _searched(asked: Asked, name: str) -> str:
    """What the address says to look for; empty: nothing.

    Raises:
        DecodeError: `user_id_invalid`: no storage has it.
    """
    text = asked.query.get(name, "").strip()
    if text:
        check_user_id(text)
    return text


async def _by_profile(asked: Asked, text: str) -> tuple[Profile, ...]:
    """Users whose e-mail address, telephone number or name is exactly this, as the tenant's servers have told it."""
    tenant = asked.tenant
    found: dict[str, Profile] = {}
    for which in (ProfileFilter(email=text), ProfileFilter(phone_number=text), ProfileFilter(username=text)):
        page = await tenant.repository.list_profiles(tenant.tenant_id, which, None, _PAGE)
        found |= {profile.user_id: profile for profile in page.profiles}
    return tuple(found.values())
