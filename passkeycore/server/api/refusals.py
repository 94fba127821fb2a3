"""Errors as clients of our own API read them: ``{"error": {"code": …, "message": …}}``.

``code`` is a word for programs: a `passkeycore.Code`, or an `EdgeCode` where the engine was not asked. ``message`` is a
sentence for people; it tells no more than they may know. ``path`` names the member of the request that is malformed,
and ``signal`` is the argument of ``PublicKeyCredential.signalUnknownCredential()``, of a passkey that no realm of the
server knows; either stands there only where it says something.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ...errors import Code, CredentialNotFound, DecodeError, PasskeyError
from ..edge.http import json_answer


class EdgeCode(StrEnum):
    """What was wrong with a request before the engine saw it. Closed as `passkeycore.Code` is."""

    REQUEST_INCOMPLETE = "request_incomplete"
    UNAUTHORIZED = "unauthorized"
    SIGN_IN_REQUIRED = "sign_in_required"
    VISITOR_UNKNOWN = "visitor_unknown"
    CSRF_TOKEN_INVALID = "csrf_token_invalid"
    FOREIGN_ORIGIN = "foreign_origin"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    VERB_NOT_ALLOWED = "verb_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    BODY_TOO_LARGE = "body_too_large"
    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported"
    NOT_AVAILABLE = "not_available"
    TOO_MANY_REQUESTS = "too_many_requests"
    SERVER_ERROR = "server_error"


STATUSES: Final[Mapping[EdgeCode, int]] = {
    EdgeCode.REQUEST_INCOMPLETE: 400,
    EdgeCode.UNAUTHORIZED: 401,
    EdgeCode.SIGN_IN_REQUIRED: 401,
    EdgeCode.VISITOR_UNKNOWN: 401,
    EdgeCode.CSRF_TOKEN_INVALID: 403,
    EdgeCode.FOREIGN_ORIGIN: 403,
    EdgeCode.FORBIDDEN: 403,
    EdgeCode.NOT_FOUND: 404,
    EdgeCode.VERB_NOT_ALLOWED: 405,
    EdgeCode.REQUEST_TIMEOUT: 408,
    EdgeCode.BODY_TOO_LARGE: 413,
    EdgeCode.MEDIA_TYPE_UNSUPPORTED: 415,
    EdgeCode.NOT_AVAILABLE: 422,
    EdgeCode.TOO_MANY_REQUESTS: 429,
    EdgeCode.SERVER_ERROR: 500,
}
"""The HTTP status of each."""

CODES: Final = (*Code, *EdgeCode)
"""Every word that ``code`` may be."""

# What is said of an `HTTPException` that has a status alone.
_BY_STATUS: Final = {status: code for code, status in STATUSES.items()} | {401: EdgeCode.UNAUTHORIZED}
_REFUSED: Final = "This is not allowed."
_OUR_FAULT: Final = "Something went wrong on the server. Please try again."
# Where the public message is too general for somebody who can do something about it, and nothing is given away.
_SENTENCES: Final[Mapping[Code, str]] = {
    Code.CHALLENGE_EXPIRED: "That took too long. Please try again.",
    Code.LIMIT_REACHED: "There are as many already as there may be.",
    Code.NAME_INVALID: "A text is too long, or has characters that cannot be shown.",
    Code.NO_CREDENTIAL: "This is not known here any more. It may have been removed.",
    Code.CHALLENGE_REJECTED: "This was rejected on the device.",
    Code.SCOPE_MISSING: "The token does not allow this.",
}


class UnknownCredential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The argument of ``PublicKeyCredential.signalUnknownCredential()``, with which the client forgets the passkey."""

    rp_id: str
    credential_id: str


class ErrorMembers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong."""

    code: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [code.value for code in CODES]})]
    message: str
    path: str | None = None
    signal: UnknownCredential | None = None


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is no success."""

    error: ErrorMembers


class Refused(HTTPException):
    """A request that is refused before the engine sees it.

    Attributes:
        code: The word for programs, which has its status.
    """

    def __init__(self, code: EdgeCode, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Keeps them; `message` is for people."""
        super().__init__(STATUSES[code], message, dict(headers or {}))
        self.code = code


def refused(error: Exception) -> Response:
    """The answer for an error, whatever raised it. What is not the client's mistake gets status 500, and no details."""
    if isinstance(error, ClientDisconnect):
        error = Refused(EdgeCode.REQUEST_INCOMPLETE, "The request is incomplete.")
    if isinstance(error, HTTPException):
        code = error.code if isinstance(error, Refused) else _code_of(error.status_code)
        return _answer(ErrorMembers(code=code, message=_sentence(error)), error.status_code, error.headers)
    if not isinstance(error, PasskeyError):
        return _answer(ErrorMembers(code=EdgeCode.SERVER_ERROR, message=_OUR_FAULT), 500)
    signal = error.signal if isinstance(error, CredentialNotFound) else None
    members = ErrorMembers(
        code=error.code,
        message=_SENTENCES.get(error.code, error.public_message),
        path=error.path if isinstance(error, DecodeError) else None,
        signal=None if signal is None else msgspec.convert(signal, UnknownCredential),
    )
    return _answer(members, error.http_status)


def _sentence(error: HTTPException) -> str:
    # Frameworks of hosts let `detail` be anything, such as a dictionary.
    detail: object = error.detail
    if isinstance(detail, str):
        return detail
    return _OUR_FAULT if error.status_code >= 500 else _REFUSED


def _code_of(status: int) -> EdgeCode:
    return _BY_STATUS.get(status, EdgeCode.SERVER_ERROR if status >= 500 else EdgeCode.FORBIDDEN)


def _answer(members: ErrorMembers, status: int, headers: Mapping[str, str] | None = None) -> Response:
    answer = json_answer({"error": msgspec.to_builtins(members)}, status)
    answer.headers.update(headers or {})
    return answer
