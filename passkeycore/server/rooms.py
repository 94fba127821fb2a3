"""Which rooms the server has: one for each language that clients speak, each in a folder of its own.

A new one is a function for its routes here, and a row of `ROOMS`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute

from . import api, authsignal, pages, portal, propelauth
from .authsignal import wire as authsignal_wire
from .webhooks import Webhooks

if TYPE_CHECKING:
    from ..config.server import ServerSettings
    from .tenancy.live import LiveTenants

Refused: TypeAlias = Callable[[HTTPException, str], Response]
"""How an error is told, by a server whose rooms are below this path; empty: at the root of its host."""


class Parts(NamedTuple):
    """What a room may need."""

    tenants: "LiveTenants"
    settings: "ServerSettings"
    webhooks: Webhooks


class Room(NamedTuple):
    """What speaks one language with its clients.

    Attributes:
        routes: Its routes, of whole paths.
        refused: By the beginning of a path, how an error is told there which no route of the room has seen: a path or
            a method that is not there, too many requests, a mistake of ours. The longest that fits counts.
        cors: Paths below which pages of the tenants' own origins may call from another host; ``{tenant_id}`` in one
            is the tenant's name.
        servers: Paths among them that are for servers, and for no page.
    """

    routes: Callable[[Parts], list[BaseRoute]]
    refused: Mapping[str, Refused]
    cors: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()


def _api(parts: Parts) -> list[BaseRoute]:
    return api.routes(parts.tenants, parts.settings)


def _authsignal(parts: Parts) -> list[BaseRoute]:
    return authsignal.routes(parts.tenants, parts.settings, hooks=parts.webhooks.hooks)


def _propelauth(parts: Parts) -> list[BaseRoute]:
    return propelauth.routes(parts.tenants)


def _pages(parts: Parts) -> list[BaseRoute]:
    push_created = parts.webhooks.hooks.push_created
    return pages.routes(parts.tenants, parts.settings, push_created=push_created, now=parts.tenants.now)


def _portal(parts: Parts) -> list[BaseRoute]:
    return portal.routes(parts.tenants, parts.settings)


def _anywhere(told: Callable[[HTTPException], Response]) -> Refused:
    return lambda error, base_path: told(error)


def _page(error: HTTPException, base_path: str) -> Response:
    return pages.refused_page(error, f"{base_path}/challenge")


def _portal_page(error: HTTPException, base_path: str) -> Response:
    return portal.refused(error, f"{base_path}{portal.PATH}")


_OF_TENANT: Final = f"{api.PREFIX}/{{tenant_id}}"

ROOMS: Final = (
    Room(_api, {api.PREFIX: _anywhere(api.refused)}, cors=(_OF_TENANT,), servers=(f"{_OF_TENANT}/server",)),
    Room(_authsignal, {"/v1": _anywhere(authsignal_wire.refused)}, cors=("/v1/client",)),
    Room(_propelauth, {propelauth.PATH: _anywhere(propelauth.refused)}),
    Room(_pages, {"/challenge": _page, "/challenge/api": _anywhere(pages.refused)}),
    Room(
        _portal,
        {portal.PATH: _portal_page, **dict.fromkeys(portal.OF_SCRIPTS, _anywhere(portal.refused_json))},
    ),
)
"""All of them."""

_REFUSED: Final = sorted(
    ((prefix, how) for room in ROOMS for prefix, how in room.refused.items()), key=lambda row: -len(row[0])
)


def refused(path: str, error: HTTPException, base_path: str = "") -> Response:
    """An error in the language of the path that was asked for; where no room is, in that of our own API.

    Args:
        path: As the rooms have it, without `base_path`.
        error: What it is.
        base_path: Below which the rooms are.
    """
    found = (how for prefix, how in _REFUSED if path == prefix or path.startswith(prefix + "/"))
    return next(found, _anywhere(api.refused))(error, base_path)
