"""Reading JSON into fixed shapes with msgspec, with every way that it can fail turned into one `DecodeError`."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from ..errors import Code, DecodeError
from .encoding import check_size

_T = TypeVar("_T", bound=msgspec.Struct)
_AT: Final = " - at `$"


def decode_json(decoder: msgspec.json.Decoder[_T], body: bytes | str | Mapping[str, Any], limit: int) -> _T:
    """What `decoder` reads from `body`: UTF-8, a string, or the members that somebody already parsed.

    `limit` is in bytes; a mapping has its own limits where its members are read.

    Raises:
        DecodeError: `too_large`, or `json_invalid` with the path of the member.
    """
    try:
        if isinstance(body, str):
            body = body.encode()
        if isinstance(body, bytes):
            check_size(len(body), limit, "$")
            return decoder.decode(body)
        return _bounded(msgspec.convert(body, decoder.type), limit, "")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise decoding_error(error, "") from None


def _bounded(shape: _T, limit: int, path: str) -> _T:
    for name, member in msgspec.structs.asdict(shape).items():
        if isinstance(member, str):
            check_size(len(member), limit, path + name)
        elif isinstance(member, msgspec.Struct):
            _bounded(member, limit, f"{path}{name}.")
    return shape


def decoding_error(error: Exception, root: str) -> DecodeError:
    """The `DecodeError` for what msgspec raised while it read the member `root` (empty: the whole)."""
    message, _, rest = str(error).partition(_AT)
    path = (root + rest.rstrip("`")).strip(".") or "$"
    if not isinstance(error, msgspec.MsgspecError):
        message = "nested too deeply" if isinstance(error, RecursionError) else "not valid Unicode"
    return DecodeError(Code.JSON_INVALID, ascii(message[:200])[1:-1], path=path)
