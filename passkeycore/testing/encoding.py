"""The byte formats of WebAuthn, written out: base64url, canonical CBOR, authenticator data, client data.

Only makers belong here, and nothing checks what it is given: a wrong length, flag or key is what a negative
test wants to see written. The CBOR encoder is the kit's own, so it cannot share a fault with a decoder
under test.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

UP: Final = 0x01
"""Authenticator data flag: the user was present."""
UV: Final = 0x04
"""Authenticator data flag: the user was verified."""
BE: Final = 0x08
"""Authenticator data flag: the credential is backup eligible."""
BS: Final = 0x10
"""Authenticator data flag: the credential is backed up at present."""
AT: Final = 0x40
"""Authenticator data flag: attested credential data follows the sign count."""
ED: Final = 0x80
"""Authenticator data flag: an extension map ends the authenticator data."""


@dataclass(frozen=True, slots=True)
class EncodedCbor:
    """One CBOR item that is already bytes; `cbor` copies `data` as it stands, well-formed or not."""

    data: bytes


CborValue: TypeAlias = "int | bytes | str | bool | EncodedCbor | Sequence[CborValue] | Mapping[Any, CborValue] | None"
"""What `cbor` can write. Map keys are integers, strings, bytes or an `EncodedCbor`."""

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object as `json.loads` gives it."""


def b64url_encode(data: bytes) -> str:
    """The base64url text of `data`, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """The bytes that the unpadded base64url `text` stands for.

    Raises:
        ValueError: `text` has padding, a character outside the base64url alphabet or stray trailing bits.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64url: {error}") from error
    if b64url_encode(data) != text:
        raise ValueError("not unpadded base64url in its one canonical form")
    return data


def cbor(value: CborValue) -> bytes:
    """`value` in CTAP2 canonical CBOR: shortest heads, definite lengths, map keys sorted.

    Raises:
        TypeError: `value` holds something that is no `CborValue`.
        OverflowError: An integer does not fit into 64 bits.
    """
    match value:
        case EncodedCbor():
            return value.data
        case bool():
            return b"\xf5" if value else b"\xf4"
        case None:
            return b"\xf6"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            text = value.encode()
            return _head(3, len(text)) + text
        case Mapping():
            return cbor_map(sorted(value.items(), key=_canonical_key))
        case Sequence():
            return _head(4, len(value)) + b"".join(map(cbor, value))
    raise TypeError(f"no CBOR for {type(value).__name__}")


def cbor_map(pairs: Iterable[tuple[CborValue, CborValue]]) -> bytes:
    """A CBOR map of `pairs` in the order given, keys neither sorted nor compared."""
    items = list(pairs)
    return _head(5, len(items)) + b"".join(cbor(key) + cbor(value) for key, value in items)


def _canonical_key(item: tuple[CborValue, CborValue]) -> tuple[int, int, bytes]:
    key = cbor(item[0])
    return key[0] >> 5, len(key), key


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for information, size in ((24, 1), (25, 2), (26, 4)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | information]) + argument.to_bytes(size, "big")
    return bytes([major << 5 | 27]) + argument.to_bytes(8, "big")


def authenticator_data(
    *,
    rp_id: str | None = None,
    rp_id_hash: bytes | None = None,
    flags: int,
    sign_count: int,
    attested: bytes = b"",
    extensions: Mapping[str, CborValue] | bytes = b"",
) -> bytes:
    """Authenticator data, each part written as given: no flag is derived from the parts that follow it.

    Args:
        rp_id: The RP ID (or AppID) to hash with SHA-256; give either this or `rp_id_hash`.
        rp_id_hash: The hash itself, 32 bytes if it is to be well formed.
        flags: The flag byte, 0..255; the sum of `UP`, `UV`, `BE`, `BS`, `AT`, `ED`.
        sign_count: The signature counter, 0..2^32-1.
        attested: What `attested_credential_data` made; empty leaves it out.
        extensions: The extension outputs, encoded here when a mapping; empty bytes leave them out.

    Raises:
        ValueError: Not exactly one of `rp_id` and `rp_id_hash` was given.
        OverflowError: `flags` or `sign_count` does not fit.

    Spec: #sctn-authenticator-data
    """
    if (rp_id is None) == (rp_id_hash is None):
        raise ValueError("give either rp_id or rp_id_hash")
    if rp_id_hash is None:
        rp_id_hash = hashlib.sha256((rp_id or "").encode()).digest()
    tail = extensions if isinstance(extensions, bytes) else cbor(extensions)
    return rp_id_hash + flags.to_bytes(1, "big") + sign_count.to_bytes(4, "big") + attested + tail


def attested_credential_data(aaguid: UUID, credential_id: bytes, cose_key: Mapping[Any, CborValue] | bytes) -> bytes:
    """Attested credential data: AAGUID, the id's length in two bytes, id, COSE_Key (encoded if a mapping).

    Raises:
        OverflowError: `credential_id` is longer than 65535 bytes.

    Spec: #sctn-attested-credential-data
    """
    key = cose_key if isinstance(cose_key, bytes) else cbor(cose_key)
    return aaguid.bytes + len(credential_id).to_bytes(2, "big") + credential_id + key


def attestation_object(fmt: str, statement: CborValue, authenticator_data: bytes) -> bytes:
    """The attestation object: the CBOR map of `fmt`, `attStmt` and `authData`.

    Spec: #sctn-generating-an-attestation-object
    """
    return cbor({"fmt": fmt, "attStmt": statement, "authData": authenticator_data})


def client_data_json(members: Mapping[str, Any]) -> bytes:
    """Client data as a client serialises it: UTF-8, compact, members in the order of `members`.

    Strings at the top level are written the specification's way (only quotation mark, backslash and control
    characters escaped, the last as `\\u00xx`); any other value as compact JSON.

    Spec: #clientdatajson-serialization
    """
    written = (f"{_ccd_string(name)}:{_ccd_value(value)}" for name, value in members.items())
    return ("{" + ",".join(written) + "}").encode()


def _ccd_value(value: object) -> str:
    if isinstance(value, str):
        return _ccd_string(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ccd_string(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(escapes.get(c) or (c if c >= " " else f"\\u{ord(c):04x}") for c in text) + '"'
