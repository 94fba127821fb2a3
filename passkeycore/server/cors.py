"""Which pages of other origins may call the client side from their scripts, and be given what it answers.

Configured origins are echoed, each for itself and with credentials; an origin that nobody configured gets no header at
all, so that its browser keeps the answer to itself. A preflight does not say whose request will follow: there an origin
of any tenant will do, but then the request itself is judged by its tenant's origins alone.
"""

import re
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..config.server import TenantSettings
from ..errors import ConfigurationError
from ..webauthn.origins import check_origin
from .http import tenant_of

AllowedOrigins = Callable[[str | None], Awaitable[Collection[str]]]
"""The origins of a tenant, by its name; of all tenants for None."""

_METHODS: Final = "GET, POST, PATCH, PUT, DELETE"
_HEADERS: Final = re.compile(r"[A-Za-z0-9-]+(?:, ?[A-Za-z0-9-]+){0,31}")
_LONGEST_HEADERS: Final = 512  # characters
_EXPOSED: Final = "Retry-After, X-Request-Id"
_MAX_AGE_S: Final = "600"  # so long a preflight counts; what an operator changes is seen after it


def client_origins(settings: TenantSettings) -> frozenset[str]:
    """The web origins whose scripts may call the client side of a tenant."""
    return frozenset(origin for origin in (*settings.config.origins, *settings.cors_origins) if _is_web(origin))


class Cors:
    """`app`, whose paths below `prefixes` other origins may call."""

    def __init__(self, app: ASGIApp, allowed: AllowedOrigins, prefixes: Collection[str]) -> None:
        """Wraps `app`; `allowed` is asked for each request that has an origin."""
        self._app = app
        self._allowed = allowed
        self._prefixes = tuple(prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] != "http" or not _is_below(scope["path"], self._prefixes):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await (await self._preflight(origin, headers))(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent.add_vary_header("Origin")
                if origin is not None and origin in await self._allowed(tenant_of(scope)):
                    sent.update(_granted(origin))
                    sent["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        await self._app(scope, receive, told)

    async def _preflight(self, origin: str | None, headers: Headers) -> Response:
        answer = Response(status_code=204, headers={"Vary": "Origin, Access-Control-Request-Headers"})
        if origin is not None and origin in await self._allowed(None):
            answer.headers.update(_granted(origin))
            answer.headers["Access-Control-Allow-Methods"] = _METHODS
            answer.headers["Access-Control-Max-Age"] = _MAX_AGE_S
            wanted = headers.get("access-control-request-headers", "")
            if len(wanted) <= _LONGEST_HEADERS and _HEADERS.fullmatch(wanted):
                answer.headers["Access-Control-Allow-Headers"] = wanted
        return answer


def _granted(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)


def _is_web(origin: str) -> bool:
    try:
        return check_origin(origin) is not None
    except ConfigurationError:
        return False
