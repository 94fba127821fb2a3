"""The whole server as one ASGI application: rooms, well-known files, health, and what is around all of them.

What belongs here: what answers where no room does, and the order of the layers. From the outside: request id and
security headers, the last resort for errors, access log, limits of addresses, origins of other hosts, the routes.
`rooms` has the rooms.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from .background import lifespan
from .edge.access_log import AccessLog
from .edge.cors import Cors
from .edge.http import Edge, describe, json_answer, refuse, request_id
from .edge.limits import AddressLimits, RateLimits, Refusal
from .rooms import ROOMS, Parts, refused
from .webhooks import Webhooks
from .well_known import live_well_known_routes

if TYPE_CHECKING:
    from ..config.server import ServerSettings
    from .tenancy.live import LiveTenants

_LOGGER: Final = logging.getLogger("passkeycore.server")
_FAILED: Final = 1011  # close code: something went wrong here
_OUR_FAULT: Final = "Something went wrong on the server. Please try again."


def server_app(tenants: "LiveTenants", settings: "ServerSettings") -> ASGIApp:
    """The application: every room, for every tenant, at the path of ``base_url``.

    ``/health`` says that the process is alive, ``/ready`` that database and Redis answer within a second and every
    tenant is served; both are at the root, as the well-known files are. The storage of `tenants` is closed when the
    application ends.
    """
    base_path = urlsplit(settings.base_url).path
    webhooks = Webhooks(tenants)
    parts = Parts(tenants, settings, webhooks)
    of_rooms = [route for room in ROOMS for route in room.routes(parts)]
    routes: list[BaseRoute] = [
        Route("/health", _health),
        Route("/ready", _ready(tenants)),
        *live_well_known_routes(tenants),
        *([Mount(base_path, routes=of_rooms)] if base_path else of_rooms),
    ]

    def told(scope: Scope, error: HTTPException) -> Response:
        path = scope["path"]
        return refused(path.removeprefix(base_path) if path.startswith(f"{base_path}/") else "", error, base_path)

    async def handled(request: Request, error: Exception) -> Response:
        return told(request.scope, error if isinstance(error, HTTPException) else HTTPException(500, _OUR_FAULT))

    handlers: dict[Any, ExceptionHandler] = dict.fromkeys((HTTPException, Exception), handled)
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan(tenants, webhooks))
    app.router.redirect_slashes = False  # a redirect repeats what is in the path
    cors = Cors(
        app,
        tenants.origins_of,
        [base_path + path for room in ROOMS for path in room.cors],
        closed=[base_path + path for room in ROOMS for path in room.servers],
    )
    layered: ASGIApp = AddressLimits(
        cors,
        RateLimits(settings.limits, tenants.storage.redis, secret=settings.secrets[0]),
        refused=lambda scope, error: cors.granting(told(scope, error)),  # a page may read when to come back
        trusted_proxies=settings.trusted_proxies,
        free=("/health", "/ready"),
    )
    return Edge(
        LastResort(AccessLog(layered, routes), told),
        body_bytes=settings.body_bytes,
        body_timeout_s=settings.body_timeout_s,
        trusted_proxies=settings.trusted_proxies,
        tls_only=settings.base_url.startswith("https:"),
    )


class LastResort:
    """`app`, each of whose unexpected errors is logged, and answered where it was not answered yet.

    The log says what kind of error it was and where, without its words.
    """

    def __init__(self, app: ASGIApp, told: Refusal) -> None:
        """Wraps `app`; `told` makes what answers."""
        self._app = app
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        has_begun = False

        async def seen(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception as error:
            if scope["type"] == "lifespan":
                raise
            _LOGGER.error("request %s failed: %s", request_id(scope), describe(error))
            if not has_begun:
                await refuse(self._told(scope, HTTPException(500, _OUR_FAULT)), scope, receive, send, code=_FAILED)
            elif scope["type"] == "websocket":
                with suppress(Exception):  # it is closed already
                    await send({"type": "websocket.close", "code": _FAILED})


async def _health(request: Request) -> Response:
    return json_answer({"status": "ok"})


def _ready(tenants: "LiveTenants") -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        if not await tenants.storage.answers():
            return json_answer({"status": "unavailable"}, 503)
        problems = await tenants.problems()
        if problems:
            return json_answer({"status": "unavailable", "tenants": list(problems)}, 503)
        return json_answer({"status": "ready"})

    return endpoint
