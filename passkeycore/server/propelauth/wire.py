"""What the dialect looks like on the wire: the envelope of a command, members that are absent, and errors.

Clients are strict: one knows no other members than those documented, another no error without its `details`. So nothing
is added to an answer here, and nothing left out.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...errors import Code, DecodeError, LimitReached, PasskeyError
from ...webauthn.wire import decode_json
from ..edge.http import json_answer

_T = TypeVar("_T")
_UNEXPECTED: Final = "UnexpectedError"
_STRICT_CLIENT: Final = "Java-http-client"  # how the User-Agent of the one begins that reads no member twice
# What the caller's own server wrote, and has to mend. Of what a browser sent nothing is told.
_TOLD: Final = frozenset({Code.NAME_INVALID, Code.USER_ID_INVALID})
_SENTENCES: Final[Mapping[Code, str]] = MappingProxyType(
    {Code.ORIGIN_NOT_ALLOWED: "The origin of the page is neither configured nor named in additionalAllowedOrigin."}
)


class Members(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A JSON object of a request. Members that are not listed are ignored; those that may be absent may be null."""


class Envelope(Members, frozen=True):
    """The body of every request.

    Attributes:
        command: Which command to run.
        data: Its members, as JSON in UTF-8.
    """

    command: str
    data: msgspec.Raw = msgspec.Raw(b"{}")

    def __repr__(self) -> str:
        return "Envelope(…)"


ENVELOPE: Final = msgspec.json.Decoder(Envelope)


class Refused(HTTPException):
    """An error by the name that clients know it by.

    Attributes:
        kind: The name.
        details: What goes with it; None: nothing does.
    """

    def __init__(self, kind: str, details: Mapping[str, Any] | str | None = None, *, status: int = 400) -> None:
        """With any status but 200: clients read the name."""
        super().__init__(status, kind)
        self.kind = kind
        self.details = details


def unexpected(sentence: str) -> Refused:
    """The error that has no name of its own. Clients fail over one without a sentence."""
    return Refused(_UNEXPECTED, sentence)


def read(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """What `decoder` reads from JSON in UTF-8.

    Raises:
        Refused: ``UnexpectedError``: it is none, or a member is missing or of another type; which, is told.
    """
    try:
        return decode_json(decoder, body, len(body))
    except DecodeError as error:
        raise unexpected(error.message) from None


def named(error: PasskeyError, kinds: Mapping[Code, str], user_agent: str) -> Refused | None:
    """The error by its name in a command's union; None: it has none there.

    Args:
        error: What the engine raised.
        kinds: The names that the command knows.
        user_agent: Of the client.
    """
    kind = kinds.get(error.code)
    if kind is None:
        return None
    if isinstance(error, LimitReached):
        return Refused(kind, _limit(error, user_agent))
    sentence = _SENTENCES.get(error.code)
    return Refused(kind, None if sentence is None else {"message": sentence})


def origin_not_allowed() -> Refused:
    """The browser's page is of an origin that may not use the passkeys."""
    return Refused("OriginNotAllowed", {"message": _SENTENCES[Code.ORIGIN_NOT_ALLOWED]})


def refused(error: HTTPException | PasskeyError) -> Response:
    """The answer to a request that failed."""
    if isinstance(error, Refused):
        members: dict[str, Any] = {"type": error.kind}
        if error.details is not None:
            members["details"] = error.details
        return json_answer(members, error.status_code)
    if isinstance(error, HTTPException):
        answer = json_answer({"type": _UNEXPECTED, "details": error.detail}, error.status_code)
        answer.headers.update(error.headers or {})
        return answer
    return json_answer(
        {"type": _UNEXPECTED, "details": error.message if error.code in _TOLD else error.public_message}, 400
    )


def _limit(error: LimitReached, user_agent: str) -> dict[str, int]:
    """How many passkeys there may be, and are. One client reads other names than the rest, and one refuses both."""
    details = {"max_passkeys": error.limit, "current_count": error.current}
    if not user_agent.startswith(_STRICT_CLIENT):
        details |= {"maxPasskeys": error.limit, "currentCount": error.current}
    return details
