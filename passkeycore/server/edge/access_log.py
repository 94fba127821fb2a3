"""One line of JSON for each request, to the logger ``passkeycore.access``: what was asked for, and what came of it.

    {"at":"2026-11-03T12:00:00.000Z","method":"POST","route":"/v1/users/{user_id}","status":200,"ms":4.2,
     "tenant":"shop","request_id":"5f0c…"}

Never what a client wrote: the route is the one that we declared, so that neither ids and tokens in a path nor a query
are in the log. Bodies, headers and addresses are not there either.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http import request_id, tenant_of

LOGGER: Final = logging.getLogger("passkeycore.access")
"""Where the lines go, at INFO. The server has to give it a handler."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WITHOUT_STATUS: Final = {"websocket.accept": 101, "websocket.close": 403}  # closed before it was accepted
_OTHER: Final = "other"  # a method that nobody knows may be anything


class AccessLog:
    """`app`, each of whose answers is logged when it is complete."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        """Wraps `app`, which has these routes."""
        self._app = app
        self._templates: dict[int, list[tuple[Any, str]]] = {}
        for endpoint, template in _templates("", routes):
            self._templates.setdefault(id(endpoint), []).append((compile_path(template)[0], template))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] == "lifespan" or not LOGGER.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        begun, status, path = time.perf_counter(), 0, str(scope["path"])

        async def seen(message: Message) -> None:
            nonlocal status
            status = status or _status(message)
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
            line = {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "method": method if method in _METHODS or method == "WEBSOCKET" else _OTHER,
                "route": self._template(scope, path),
                "status": status or 500,  # nothing was answered
                "ms": round((time.perf_counter() - begun) * 1_000, 1),
                "tenant": tenant_of(scope),
                "request_id": request_id(scope),
            }
            LOGGER.info("%s", msgspec.json.encode(line).decode())

    def _template(self, scope: Scope, path: str) -> str | None:
        """The route that was taken, as it was declared; None: there was none."""
        known = self._templates.get(id(scope.get("endpoint")), ())
        return next((template for pattern, template in known if len(known) == 1 or pattern.match(path)), None)


def _status(message: Message) -> int:
    return int(message.get("status", _WITHOUT_STATUS.get(message["type"], 0)))


def _templates(prefix: str, routes: Iterable[BaseRoute]) -> Iterator[tuple[object, str]]:
    """Each endpoint with the path by which it is reached, parameters in braces."""
    for route in routes:
        if isinstance(route, Mount):
            yield route.app, prefix + route.path
            yield from _templates(prefix + route.path, route.routes)
        elif isinstance(route, (Route, WebSocketRoute)):
            yield route.endpoint, prefix + route.path
