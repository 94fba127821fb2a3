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
    from .live import LiveTenants

Refused: TypeAlias = Callable[[HTTPException], Response]
"""How an error is told."""


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
        cors: Paths below which pages of the tenants' own origins may call from another host.
    """

    routes: Callable[[Parts], list[BaseRoute]]
    refused: Mapping[str, Refused]
    cors: tuple[str, ...] = ()


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


ROOMS: Final = (
    Room(_api, {api.PREFIX: api.refused}, cors=(api.PREFIX,)),
    Room(_authsignal, {"/v1": authsignal_wire.refused}, cors=("/v1/client",)),
    Room(_propelauth, {propelauth.PATH: propelauth.refused}),
    Room(_pages, {"/challenge": pages.refused_page, "/challenge/api": pages.refused}),
    Room(_portal, {portal.PATH: portal.refused}),
)
"""All of them."""

_REFUSED: Final = sorted(
    ((prefix, how) for room in ROOMS for prefix, how in room.refused.items()), key=lambda row: -len(row[0])
)


def refused(path: str, error: HTTPException) -> Response:
    """An error in the language of the path that was asked for; where no room is, in that of our own API."""
    found = (how for prefix, how in _REFUSED if path == prefix or path.startswith(prefix + "/"))
    return next(found, api.refused)(error)
