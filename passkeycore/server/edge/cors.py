"""Which pages of other origins may call the client side from their scripts, and be given what it answers.

Configured origins are echoed, each for itself and with credentials; an origin that nobody configured gets no header at
all, so that its browser keeps the answer to itself.

An answer is judged by the origins of its own tenant: of the one that the path names, or else of the one that was noted
for the request. Where neither says whose it is, an origin of any tenant will do for a preflight, which does not show
what will follow, and for a refusal, which tells nothing of any tenant's; never for a success.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...config.server import TenantSettings
from ...errors import ConfigurationError
from ...webauthn.origins import check_origin
from .http import describe, request_id, tenant_of

_LOGGER: Final = logging.getLogger("passkeycore.server")

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

    def __init__(
        self, app: ASGIApp, allowed: AllowedOrigins, prefixes: Collection[str], *, closed: Collection[str] = ()
    ) -> None:
        """Wraps `app`.

        Args:
            app: What answers.
            allowed: Is asked for each request that has an origin. When it fails, nothing is granted.
            prefixes: Beginnings of paths; ``{tenant_id}`` in one is a tenant's name.
            closed: Beginnings of paths among them that are no page's business.
        """
        self._app = app
        self._allowed = allowed
        self._open, self._closed = _pattern(prefixes), _pattern(closed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if self._is_open(scope) and _is_preflight(scope):
            await (await self._preflight(scope))(scope, receive, send)
        else:
            await self.granting(self._app)(scope, receive, send)

    def granting(self, app: ASGIApp) -> ASGIApp:
        """`app`, each of whose answers says whose scripts may read it: for what answers in front of this layer."""

        async def granted(scope: Scope, receive: Receive, send: Send) -> None:
            origin = Headers(scope=scope).get("origin") if self._is_open(scope) else None

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    sent = MutableHeaders(scope=message)
                    sent.add_vary_header("Origin")
                    if await self._may_read(scope, origin, is_refusal=message["status"] >= 400):
                        sent.update(_granted(str(origin)))
                        sent["Access-Control-Expose-Headers"] = _EXPOSED
                await send(message)

            await app(scope, receive, told if self._is_open(scope) else send)

        return granted

    def _is_open(self, scope: Scope) -> bool:
        if scope["type"] != "http" or self._closed.match(scope["path"]):
            return False
        return self._open.match(scope["path"]) is not None

    async def _may_read(self, scope: Scope, origin: str | None, *, is_refusal: bool) -> bool:
        if origin is None:
            return False
        path = self._open.match(scope["path"])
        named = None if path is None else path.groupdict().get("tenant_id")
        tenant_id = tenant_of(scope) if named is None else named
        if tenant_id is None and not is_refusal:
            return False
        try:
            return origin in await self._allowed(tenant_id)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises: without its database nobody is known
            _LOGGER.error("request %s: its origin was not judged: %s", request_id(scope), describe(error))
            return False

    async def _preflight(self, scope: Scope) -> Response:
        headers = Headers(scope=scope)
        answer = Response(status_code=204, headers={"Vary": "Origin, Access-Control-Request-Headers"})
        origin = headers.get("origin")
        if await self._may_read(scope, origin, is_refusal=True):
            answer.headers.update(_granted(str(origin)))
            answer.headers["Access-Control-Allow-Methods"] = _METHODS
            answer.headers["Access-Control-Max-Age"] = _MAX_AGE_S
            wanted = headers.get("access-control-request-headers", "")
            if len(wanted) <= _LONGEST_HEADERS and _HEADERS.fullmatch(wanted):
                answer.headers["Access-Control-Allow-Headers"] = wanted
        return answer


def _granted(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope)


def _pattern(prefixes: Iterable[str]) -> re.Pattern[str]:
    """What matches paths that begin so; at most one of them may name a tenant."""
    marked = [re.escape(prefix).replace(re.escape("{tenant_id}"), "(?P<tenant_id>[^/]+)") for prefix in prefixes]
    return re.compile(f"(?:{'|'.join(marked or ['(?!)'])})(?:/|$)")


def _is_web(origin: str) -> bool:
    try:
        return check_origin(origin) is not None
    except ConfigurationError:
        return False
