"""Strict base64url and strict CBOR: the two encodings under every WebAuthn value.

Both readers accept exactly one spelling of every value, so bytes that were judged are the bytes that were sent.
"""

import binascii
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeAlias, cast

import cbor2

from ..errors import Code, DecodeError, show
from .policy import DEFAULT_POLICY, Policy

CBOR: TypeAlias = "int | str | bytes | bool | list[CBOR] | dict[int | str, CBOR] | None"

# Maps the base64url alphabet to the standard one that binascii reads, and every other byte to one that it refuses:
# standard `+` and `/`, padding and white space included.
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TO_STANDARD: Final = bytes(c if c in _ALPHABET else {45: 43, 95: 47}.get(c, 33) for c in range(256))
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# By length modulo 4: the padding that the decoders want, and the last characters whose unused bits are zero (None:
# any; no text has a length of 1 modulo 4).
_TAILS: Final = ((b"", None), (b"", ""), (b"==", "AQgw"), (b"=", "AEIMQUYcgkosw048"))
_LONG: Final = 128  # characters from which pybase64 is faster; it reads an ML-DSA signature in a tenth of the time


def encode_base64url(data: bytes) -> str:
    """`data` as base64url without padding (RFC 4648, section 5)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode()


def decode_base64url(text: str, path: str) -> bytes:
    """The bytes that `text` spells in base64url without padding, if it is their only spelling.

    Raises:
        DecodeError: `base64url_invalid`: another alphabet, padding, white space, an impossible length, or
            non-zero unused bits in the last character. `path` is the member it names.
    """
    padding, last = _TAILS[len(text) & 3]
    try:
        if last is None or text[-1] in last:
            if len(text) > _LONG and not ("=" in text or "+" in text or "/" in text):  # which it would read as well
                return _long_decoder()(text + padding.decode(), b"-_", True)
            return binascii.a2b_base64(text.encode().translate(_TO_STANDARD) + padding, strict_mode=True)
    except ValueError:  # binascii.Error and UnicodeEncodeError are of this kind
        pass
    raise DecodeError(Code.BASE64URL_INVALID, "not canonical base64url without padding", path=path)


@lru_cache(maxsize=1)
def _long_decoder() -> Callable[[str, bytes, bool], bytes]:
    from pybase64 import b64decode  # only those who meet a long text pay for the import

    return b64decode


def check_size(size: int, limit: int, path: str) -> None:
    """Returns only when `size` is within `limit` (both in the same unit).

    Raises:
        DecodeError: `too_large`.
    """
    if size > limit:
        raise DecodeError(Code.TOO_LARGE, f"larger than its limit of {limit}", path=path, expected=limit, actual=size)


def _refuse_tag(*_: Any) -> NoReturn:
    raise ValueError("tags are not allowed")


# Built-in tags make cbor2 compile regular expressions, follow shared references or build numbers of any size.
_TAGS: Final = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_BUILT_IN_TAGS: Final[dict[int, Any]] = dict.fromkeys(_TAGS, _refuse_tag)
_INT64: Final = 2**63


def decode_cbor(data: bytes, path: str, policy: Policy = DEFAULT_POLICY, code: Code = Code.CBOR_INVALID) -> CBOR:
    """The one CBOR data item that `data` holds, and nothing after it.

    Raises:
        DecodeError: `code`: see `decode_cbor_prefix`; also anything after the item.
    """
    value, length = decode_cbor_prefix(data, path, policy, code)
    if length != len(data):
        raise DecodeError(code, "there are bytes after the CBOR data item", path=path)
    return value


def decode_cbor_prefix(
    data: bytes, path: str, policy: Policy = DEFAULT_POLICY, code: Code = Code.CBOR_INVALID
) -> tuple[CBOR, int]:
    """The CBOR data item at the start of `data`, and its length in bytes.

    Allowed are integers of 64 signed bits, byte and text strings, arrays, maps with integer or text keys, false,
    true and null, all of definite length with the shortest heads and without duplicate keys (the order of keys is
    free unless the policy asks for CTAP2's).

    Raises:
        DecodeError: `code`: anything else, nesting beyond the policy's depth, or a truncated item.
    """
    try:
        value = cbor2.loads(
            data,
            allow_duplicate_keys=False,
            allow_indefinite=False,
            max_depth=policy.cbor_max_depth,
            semantic_decoders=_BUILT_IN_TAGS,
            tag_hook=_refuse_tag,
        )
        _check_items((value,), policy.cbor_key_order == "canonical")
        again = cbor2.dumps(value)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise DecodeError(code, f"not strict CBOR: {show(str(error))}", path=path) from None
    # cbor2 does not tell how much it read, and reads heads that are longer than need be; its own spelling of the
    # value, the shortest, answers both.
    if not data.startswith(again):
        raise DecodeError(code, "not strict CBOR: a head is longer than necessary", path=path)
    return value, len(again)


_LEAVES: Final = frozenset({bytes, str, bool, type(None)})


def _check_items(items: Iterable[object], canonical: bool) -> None:
    for item in items:
        kind = type(item)
        if kind in _LEAVES:
            continue
        if kind is int:
            if not -_INT64 <= cast("int", item) < _INT64:
                raise ValueError("an integer needs more than 64 bits")
        elif kind is dict:
            members = cast("dict[object, object]", item)
            for key in members:
                if type(key) is not str and (type(key) is not int or not -_INT64 <= key < _INT64):
                    raise ValueError("a map key is neither an integer of 64 bits nor a text")
            _check_items(members.values(), canonical)
            if canonical and list(members) != sorted(members, key=_canonical):
                raise ValueError("the keys of a map are not in canonical order")
        elif kind is list:
            _check_items(cast("list[object]", item), canonical)
        else:
            raise ValueError("a float, undefined or another simple value")


def _canonical(key: object) -> tuple[int, int, bytes]:
    """Where CTAP2 sorts a key: by major type, then length, then bytes. Spec: CTAP 2.2, section 8."""
    encoded = cbor2.dumps(key)
    return encoded[0] >> 5, len(encoded), encoded


def decode_last_bytes(data: bytes, start: int) -> bytes | None:
    """The CBOR byte string of 24 to 65535 bytes that fills `data` from `start` to its end; None if there is none."""
    size = len(data) - start
    head = data[start] if size > 2 else 0
    if head == 0x58:  # one byte of length
        return data[start + 2 :] if data[start + 1] == size - 2 >= 24 else None
    if head == 0x59:  # two bytes
        return data[start + 3 :] if data[start + 1] << 8 | data[start + 2] == size - 3 >= 256 else None
    return None
