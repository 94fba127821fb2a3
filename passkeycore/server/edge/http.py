"""What every request and answer of the server goes through: bodies, JSON, addresses, headers, keys, request ids.

Nothing here knows a dialect. What is wrong with a request is an `HTTPException`, which each room answers in its own
form; what is wrong with us is logged as `describe` has it.
"""

import asyncio
import os
import re
import secrets
import traceback
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES: Final = 65_536
"""The longest body unless the server is told otherwise: what the longest ceremony needs."""

BODY_TIMEOUT_S: Final = 10.0
"""How long a client may take to send it, likewise: long enough for a bad mobile network."""

REQUEST_ID: Final = "X-Request-Id"
"""By what an answer is found in the log."""

_LONGEST_AUTHORIZATION: Final = 16_384  # characters; a token of an action has up to 8192
_MOMENT_S: Final = 1.0  # for the rest of a body that nobody needs
_BOUNDS: Final = "passkeycore.bounds"
_TENANT: Final = "passkeycore.tenant_id"
_SERVER: Final = "passkeycore.by_server"
_REQUEST_ID: Final = "passkeycore.request_id"
_FORM: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_MOST_HOPS: Final = 20  # of proxies; nobody has as many
# As some proxies write it, with the port of the connection: 192.0.2.1:4711, [2001:db8::1]:4711, [2001:db8::1].
_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Za-z:.%]+)\]|([0-9.]+))(?::[0-9]{1,5})?")
_HSTS: Final = "max-age=31536000"  # a year; subdomains and browsers' own lists are for the domain's owner to decide

HEADERS: Final[Mapping[str, str]] = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""What every answer has that does not say otherwise. Pages bring a policy of their own."""


async def read_body(request: Request, *, limit: int | None = None, timeout_s: float | None = None) -> bytes:
    """The whole body.

    Args:
        request: Its body was not read before.
        limit: The longest that is read, in bytes; None: what the server is told, or 64 KiB.
        timeout_s: How long it may take to come, in seconds; None: what the server is told, or 10.

    Raises:
        HTTPException: 413: it is longer. 408: it stalls. 400: the client has gone, or says a length that is none.
    """
    told: tuple[int, float] = request.scope.get(_BOUNDS, (BODY_BYTES, BODY_TIMEOUT_S))
    most, patience = told[0] if limit is None else limit, told[1] if timeout_s is None else timeout_s
    announced = request.headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()):
        raise HTTPException(400, "Content-Length is no number.")
    if len(announced) > len(str(most)) or int(announced) > most:
        raise _too_long()
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise _too_long()
    except TimeoutError:
        raise HTTPException(408, "The body did not come in time.", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "The request is incomplete.") from None
    return bytes(body)


def json_answer(members: Mapping[str, Any] | Sequence[Any], status: int = 200) -> Response:
    """`members` as a response that nobody stores: exactly ``application/json``."""
    return Response(msgspec.json.encode(members), status, {"Cache-Control": "no-store"}, "application/json")


async def refuse(answer: ASGIApp, scope: Scope, receive: Receive, send: Send, *, code: int) -> None:
    """Gives `answer`, also to who wants a WebSocket; where the server around cannot, `code` closes it unopened."""
    if scope["type"] == "websocket" and "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": code})
    else:
        await answer(scope, receive, send)


def authorization(headers: Mapping[str, str]) -> tuple[str, str]:
    """The scheme of ``Authorization`` in lower case, and what follows it; both empty: there is none, or it is too long.

    A header does not say in which encoding it is. What follows is read as UTF-8, as clients write a key of other
    letters; a byte that is none stays a lone surrogate, as in a key from the environment. No more than spaces and tabs
    are taken from its ends: among the bytes of a letter may be one that alone would be a space.

    Args:
        headers: Of a request, as Starlette has them, by their names in lower case: each character is a byte.
    """
    header = headers.get("authorization", "")
    scheme, _, value = header.partition(" ") if len(header) <= _LONGEST_AUTHORIZATION else ("", "", "")
    return scheme.lower(), value.strip(" \t").encode("latin-1").decode("utf-8", "surrogateescape")


def client_address(request: HTTPConnection, trusted_proxies: Collection[str] = ()) -> str:
    """The address of the client, in its one spelling; empty: it has none, as over a Unix socket.

    Args:
        request: A request or a WebSocket.
        trusted_proxies: Addresses and networks whose ``X-Forwarded-For`` is believed: the last address in it that is
            none of theirs is the client's. Whatever stands before that, the client can have made up.
    """
    address = _peer(request.scope)
    if address is None:
        return ""
    trusted = _networks(tuple(trusted_proxies))
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",") if trusted else []
    for hop in reversed(hops[-_MOST_HOPS:]):
        if not _is_within(address, trusted):
            break
        said = _address(hop.strip())
        if said is None:
            break
        address = said
    return str(address)


def note_tenant(request: HTTPConnection, tenant_id: str, *, by_server: bool = False) -> None:
    """Notes whose request it is, for the log and for limits.

    Args:
        request: A request or a WebSocket.
        tenant_id: The tenant, once it is known.
        by_server: The client is a server of the tenant's and has shown a key.
    """
    request.scope[_TENANT] = tenant_id
    request.scope[_SERVER] = by_server


def tenant_of(scope: Scope) -> str | None:
    """Whose request it is; None: nobody has noted it."""
    return scope.get(_TENANT)


def is_by_server(scope: Scope) -> bool:
    """Whether a server has shown a key."""
    return scope.get(_SERVER) is True


def request_id(scope: Scope) -> str:
    """The id of the request, 8 to 64 characters; empty: it has none."""
    return str(scope.get(_REQUEST_ID, ""))


def describe(error: BaseException) -> str:
    """What went wrong and where, without its words: those of a driver have what it was asked."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return type(error).__qualname__ + place


class Edge:
    """`app` with a request id and the security headers on every answer, and with bounds for `read_body`.

    Before an answer that begins before the body of its request was read to its end, the rest of it is waited for, for a
    moment: who is hung up on while they still send may never see the answer. What does not come in that moment nobody
    reads, and the answer closes the connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_bytes: int = BODY_BYTES,
        body_timeout_s: float = BODY_TIMEOUT_S,
        trusted_proxies: Collection[str] = (),
        tls_only: bool = False,
    ) -> None:
        """Wraps `app`.

        Args:
            app: What answers.
            body_bytes: The longest body that is read.
            body_timeout_s: How long it may take to come, in seconds.
            trusted_proxies: Addresses and networks whose ``X-Request-Id`` is taken, where it looks like one.
            tls_only: Whether browsers are told to come by TLS alone from now on, for a year.
        """
        self._app = app
        self._bounds = body_bytes, body_timeout_s
        self._trusted = _networks(tuple(trusted_proxies))
        self._headers = {**HEADERS, "Strict-Transport-Security": _HSTS} if tls_only else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        identity = self._given_id(scope) or secrets.token_hex(16)
        scope[_REQUEST_ID], scope[_BOUNDS] = identity, self._bounds
        is_read = not _has_body(scope)

        async def receive_counting() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = is_read or (message["type"] == "http.request" and not message.get("more_body", False))
            return message

        async def pass_over() -> None:
            passed = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(_MOMENT_S):
                    while not is_read and passed <= self._bounds[0]:
                        message = await receive_counting()
                        if message["type"] != "http.request":
                            break
                        passed += len(message.get("body", b""))

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                if not is_read and not _asks_first(scope):
                    await pass_over()
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = identity
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if not is_read:
                    headers["Connection"] = "close"
            await send(message)

        await self._app(scope, receive_counting, send_safely)

    def _given_id(self, scope: Scope) -> str | None:
        peer = _peer(scope) if self._trusted else None
        if peer is None or not _is_within(peer, self._trusted):
            return None
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        return given if _FORM.fullmatch(given) else None


def _too_long() -> HTTPException:
    return HTTPException(413, "This is too much to read.", {"Connection": "close"})


def _asks_first(scope: Scope) -> bool:
    # Who asks whether to send a body at all is only answered.
    return any(name == b"expect" for name, _ in scope["headers"])


def _has_body(scope: Scope) -> bool:
    # Only HTTP/1 has a connection to close: HTTP/2 refuses the header.
    return str(scope.get("http_version", "1.1")).startswith("1") and any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _peer(scope: Scope) -> IPv4Address | IPv6Address | None:
    """Who is at the other end of the connection; None: over a Unix socket nobody has an address."""
    client: tuple[str, int] | None = scope.get("client")
    return None if client is None else _address(client[0])


def _is_within(address: IPv4Address | IPv6Address, networks: tuple[Any, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        text = with_port[1] or with_port[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=16)
def _networks(trusted: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(map(ip_network, trusted))
