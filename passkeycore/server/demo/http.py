"""What requests and answers of the demonstration go through: origin, size and type of the former, headers and errors.

Errors are JSON, ``{"error": {"message": …}}`` with a sentence for people, and ``signal`` where the client is to forget
a passkey. What went wrong in detail is for the log.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from ...errors import Code, CredentialNotFound, PasskeyError
from ..edge.http import json_answer

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Where the public message is too general for somebody who can do something about it, and nothing is given away.
_SENTENCES: Final[Mapping[Code, str]] = {
    Code.CHALLENGE_EXPIRED: "That took too long. Please try again.",
    Code.LIMIT_REACHED: "You have as many passkeys as you may have. Remove one first.",
    Code.NAME_INVALID: "Please choose a name of 1 to 64 visible characters.",
    Code.NO_CREDENTIAL: "This passkey is not known here any more. It may have been removed.",
}


class Shield:
    """`app` behind the security headers, and for the host of `origin` alone.

    Another name of this machine, such as its address, has other passkeys: whoever opens a page there is sent to the
    origin. A foreign domain that points here (DNS rebinding) gets nothing either.

    Args:
        app: Wrapped whole, so that its error pages have the headers, too.
        origin: Such as ``http://localhost:8000``.
    """

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app = app
        self._origin = origin
        self._host = urlsplit(origin).netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        app = self._app
        if scope["type"] == "http" and Headers(scope=scope).get("host") != self._host:
            safe = scope["method"] in ("GET", "HEAD")
            app = RedirectResponse(self._origin) if safe else _error(421, "Wrong address.")
        await app(scope, receive, shielded)


async def read_json_body(request: Request, origin: str, limit: int) -> bytes:
    """The body, at most `limit` bytes, that a page of `origin` sent as JSON.

    A form, an image or a script of another site can make a browser send cookies, but neither this type nor this origin.

    Raises:
        HTTPException: 403, 415 or 413.
    """
    if request.headers.get("origin") != origin:
        raise HTTPException(403, "This request comes from another site.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Only JSON is understood here.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(413, "This is too much to read.")
    return bytes(body)


def _error(status: int, message: str, signal: Mapping[str, str] | None = None) -> Response:
    members: dict[str, Any] = {"message": message}
    if signal is not None:
        members["signal"] = signal
    return json_answer({"error": members}, status)


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, CredentialNotFound):
        return _error(error.http_status, _SENTENCES[error.code], error.signal)
    if isinstance(error, PasskeyError):
        return _error(error.http_status, _SENTENCES.get(error.code, error.public_message))
    if isinstance(error, HTTPException):
        return _error(error.status_code, error.detail)
    if isinstance(error, ClientDisconnect):
        return _error(400, "The request is incomplete.")
    return _error(500, "Something went wrong on the server. Please try again.")  # the server logs what it was


ERROR_HANDLERS: Final[Mapping[Any, ExceptionHandler]] = dict.fromkeys(
    (PasskeyError, HTTPException, ClientDisconnect, Exception), _refused
)
"""For Starlette: every error as JSON."""
