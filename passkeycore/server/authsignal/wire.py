"""What the dialect looks like on the wire: base64, times, names, JSON in, and errors out.

What belongs here: how values are spelled, and which error is told by which words. Only here is base64 read that the
rest of the house refuses: native SDKs write the standard alphabet and padding where WebAuthn has base64url.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ...actions.facts import CustomValue
from ...actions.states import Method
from ...errors import Code, ConfigurationError, DecodeError, PasskeyError, TokenError
from ...webauthn.encoding import decode_base64url
from ...webauthn.wire import decode_json
from ..edge.http import json_answer

_T = TypeVar("_T")
_URL_SAFE: Final = str.maketrans("+/", "-_")
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
_LONGEST_TEXT: Final = 1_024  # characters, as the engine has it for what rules look at
_MOST_CUSTOM: Final = 64
_LARGEST: Final = 2**63 - 1
_NUL: Final = "\0"  # which not every database keeps in a text

METHODS: Final[Mapping[Method, str]] = MappingProxyType(
    {"passkey": "PASSKEY", "push": "PUSH", "in-app": "IN_APP", "qr-code": "QR_CODE"}
)
"""What the dialect calls the methods."""


class Members(msgspec.Struct, kw_only=True, rename="camel"):
    """A request's JSON object. Members that are not listed are ignored: SDKs send what the application made up."""


class Refused(HTTPException):
    """A request that the dialect itself refuses."""

    def __init__(self, status: int, code: str, description: str) -> None:
        """With a status that is not 2xx, the dialect's word for it, and a sentence for developers."""
        super().__init__(status, description)
        self.code = code


def read(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """What `decoder` reads from a body; an empty one is an empty object, as the oldest Android SDKs send none.

    Raises:
        DecodeError: `json_invalid`.
    """
    return decode_json(decoder, body or b"{}", len(body) + 2)


def read_typed(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """As `read`, of a server's body: its members may be spelled ``like_this``, too, as applications type them.

    Of a member that is there in both spellings, the dialect's own counts.

    Raises:
        DecodeError: `json_invalid`.
    """
    given = read(_OBJECT, body)
    members = {_camel(name): value for name, value in given.items()} | given
    return decode_json(decoder, members, 8 * len(body) + 2)  # both spellings, and numbers in full


def decode_lenient(text: str, path: str) -> bytes:
    """The bytes that `text` spells in base64: either alphabet, with padding or without.

    Raises:
        DecodeError: `base64url_invalid`: anything else. `path` is the member it names.
    """
    return decode_base64url(text.translate(_URL_SAFE).removesuffix("=").removesuffix("="), path)


def decode_query_key(text: str) -> bytes:
    """The public key in a query string, which is base64 of the text that is in JSON: base64 of DER.

    Raises:
        DecodeError: `base64url_invalid`.
    """
    try:
        inner = decode_lenient(text, "publicKey").decode("ascii")
    except UnicodeDecodeError:
        raise DecodeError(Code.BASE64URL_INVALID, "not base64 of base64", path="publicKey") from None
    return decode_lenient(inner, "publicKey")


def iso(at: datetime) -> str:
    """A time as the dialect writes it: UTC, in milliseconds, with a ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_iso(text: str, path: str) -> datetime:
    """The time that `text` says, aware; UTC where it names no zone.

    Raises:
        DecodeError: `json_invalid`: none.
    """
    try:
        at = datetime.fromisoformat(text)
        return (at if at.utcoffset() is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise DecodeError(Code.JSON_INVALID, "no time of ISO 8601", path=path) from None


def custom_values(members: Mapping[str, Any]) -> dict[str, CustomValue]:
    """Data points of the application's own, without those that are null.

    The Python SDK writes a decimal number as a list of one text, which is read as the number that it stands for.

    Raises:
        DecodeError: `action_invalid`: more than 64, a name of more than 64 characters, or a value that is neither a
            text of up to 1024 characters without NUL, a finite number of 63 bits, nor a boolean.
    """
    values: dict[str, CustomValue] = {}
    for name, given in members.items():
        value = _number(cast("list[object]", given)) if isinstance(given, list) else given
        if value is None and not isinstance(given, list):
            continue
        if not _is_value(value) or not 1 <= len(name) <= 64 or _NUL in name:
            raise DecodeError(Code.ACTION_INVALID, "texts, numbers and booleans by their names", path="custom")
        values[name] = cast("CustomValue", value)
    if len(values) > _MOST_CUSTOM:
        raise DecodeError(Code.ACTION_INVALID, f"up to {_MOST_CUSTOM} of them", path="custom")
    return values


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    """`members` without those that are None: an SDK takes null for a value as often as not."""
    return {name: value for name, value in members.items() if value is not None}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _number(given: list[object]) -> float | None:
    (text,) = given if len(given) == 1 else (None,)
    if not isinstance(text, str) or len(text) > 64:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT and _NUL not in value
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and abs(value) <= _LARGEST


# --- errors ---

# Which words an SDK acts upon, and which are for people: those without a line are `invalid_request`.
_CODES: Final[Mapping[Code, tuple[int, str]]] = MappingProxyType(
    {
        Code.TOKEN_EXPIRED: (401, "expired_token"),
        Code.TOKEN_INVALID: (401, "token_invalid"),
        Code.SCOPE_MISSING: (403, "token_invalid"),
        Code.ACTION_NOT_FOUND: (404, "invalid_request"),
        Code.USER_NOT_FOUND: (404, "invalid_request"),
        Code.NO_CREDENTIAL: (404, "invalid_request"),
        Code.VERIFICATION_CODE_WRONG: (400, "invalid_request"),
    }
)
_STATUSES: Final[Mapping[int, str]] = MappingProxyType(
    {401: "unauthorized", 403: "unauthorized", 429: "too_many_requests", 500: "internal_error"}
)
# Where the public message says less than whoever has to do something about it may know.
_SENTENCES: Final[Mapping[Code, str]] = MappingProxyType(
    {
        Code.TOKEN_EXPIRED: "The token has expired.",
        Code.TOKEN_INVALID: "This is not a token for this.",
        Code.SCOPE_MISSING: "The user has an authenticator already; the token needs the scope add:authenticators.",
        Code.ACTION_NOT_FOUND: "There is no such action.",
        Code.USER_NOT_FOUND: "There is no such user.",
        Code.NO_CREDENTIAL: "There is no such authenticator.",
        Code.VERIFICATION_CODE_WRONG: "This is not the code that is shown.",
        Code.CHALLENGE_EXPIRED: "The challenge has expired.",
        Code.METHOD_NOT_ALLOWED: "This method does not meet the action's challenge.",
        Code.CHALLENGE_UNKNOWN: "There is no such challenge that waits for this.",
        Code.CHALLENGE_REJECTED: "The user rejected the challenge on the device.",
        Code.ATTEMPTS_EXCEEDED: "The challenge was given up, or no attempt is left.",
        Code.SIGNATURE_INVALID: "No device with this key may do this, or the signature is not good.",
        Code.PUBLIC_KEY_MALFORMED: "This is not a public key of P-256 in DER.",
        Code.CREDENTIAL_EXISTS: "The key is enrolled already, or the token was used.",
        Code.LIMIT_REACHED: "The user has as many authenticators or challenges as they may.",
        Code.ACTION_STATE: "The action is in a state in which this is not done.",
        Code.USER_DISABLED: "The user may not sign in.",
    }
)


def refused(error: Exception) -> Response:
    """The answer to a request that failed: a status, and the three members of which each SDK reads one or two."""
    headers = error.headers if isinstance(error, HTTPException) else None
    status, code, description = _told(error)
    answer = json_answer({"error": code, "errorCode": code, "errorDescription": description}, status)
    answer.headers.update(headers or {})
    return answer


def invalid_credential(status: int = 404) -> Refused:
    """The credential that was asked about is unknown or gone here: clients offer to make another."""
    return Refused(status, "invalid_credential", "This credential is not known here.")


def invalid_request(description: str, status: int = 400) -> Refused:
    """Something in the request does not go."""
    return Refused(status, "invalid_request", description)


def bad_token(error: TokenError) -> Refused:
    """A token in a server's request is not good. 401 would say that the server's own key is bad."""
    if error.code is Code.TOKEN_EXPIRED:
        return Refused(400, "expired_token", "The token has expired.")
    return Refused(400, "token_invalid", "This is not a token of this tenant's, or it proves nothing any more.")


def _told(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, Refused):
        return error.status_code, error.code, error.detail
    if isinstance(error, HTTPException):
        return error.status_code, _STATUSES.get(error.status_code, "invalid_request"), error.detail
    if isinstance(error, ConfigurationError):
        return 500, "invalid_configuration", error.public_message
    if isinstance(error, PasskeyError):
        status, code = _CODES.get(error.code, (error.http_status, "invalid_request"))
        if isinstance(error, TokenError) and error.code not in _CODES:
            status, code = 401, "token_invalid"
        sentence = _SENTENCES.get(error.code, error.public_message)
        # The member at fault is a name of ours, and no secret.
        return status, code, f"{sentence} ({error.path})" if isinstance(error, DecodeError) else sentence
    if isinstance(error, ClientDisconnect):
        return 400, "invalid_request", "The request is incomplete."
    return 500, "internal_error", "Something went wrong on the server."  # the application logs what it was
