"""Reading JSON into fixed shapes with msgspec, with every way that it can fail turned into one `DecodeError`."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from ..errors import Code, DecodeError
from .encoding import check_size

_T = TypeVar("_T")
_AT: Final = " - at `$"


def decode_json(decoder: msgspec.json.Decoder[_T], body: bytes | str | Mapping[str, Any], limit: int) -> _T:
    """What `decoder` reads from `body`: UTF-8, a string, or the members that somebody already parsed.

    `limit` is in bytes, of the text or of the text that the members would be.

    Raises:
        DecodeError: `too_large`, or `json_invalid` with the path of the member.
    """
    try:
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, (bytes, dict)):
            body = dict(body)
        if isinstance(body, bytes):
            check_size(len(body), limit, "$")
            return decoder.decode(body)
        check_size(len(msgspec.json.encode(body)), limit, "$")
        return msgspec.convert(body, decoder.type)
    except (msgspec.MsgspecError, ValueError, RecursionError, TypeError, OverflowError) as error:
        raise decoding_error(error, "") from None


def convert(value: object, shape: type[_T], path: str) -> _T:
    """`value`, made of JSON values, as a `shape`; `path` is the member it stands in.

    Raises:
        DecodeError: `json_invalid` with the path of the member inside.
    """
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise decoding_error(error, path) from None


def decoding_error(error: Exception, root: str) -> DecodeError:
    """The `DecodeError` for what msgspec raised while it read the member `root` (empty: the whole)."""
    _, _, rest = str(error).partition(_AT)
    path = (root + rest.rstrip("`")).strip(".") or "$"
    return DecodeError(Code.JSON_INVALID, reason_of(error).partition(_AT)[0], path=path)


def reason_of(error: Exception) -> str:
    """Why msgspec refused, on one bounded line: its own words may repeat remote values."""
    if isinstance(error, msgspec.MsgspecError):
        return ascii(str(error)[:200])[1:-1]
    return "nested too deeply" if isinstance(error, RecursionError) else "not made of JSON values"
