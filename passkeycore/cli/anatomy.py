"""WebAuthn structures taken apart to be looked at, the ones that the strict parsers refuse included.

Each function returns what could be read, as a tree for `output`, and lets the strict parser say what is wrong.
Outputs of extensions may be secrets of the client (the PRF's are): of them only names and switches are shown.
"""

import json
import math
import re
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

from ..errors import PasskeyError
from ..webauthn import authenticator_data as layout
from ..webauthn.client_data import CollectedClientData
from ..webauthn.cose import ALGORITHMS, PublicKey
from ..webauthn.encoding import decode_cbor, encode_base64url
from ..webauthn.policy import DEFAULT_POLICY
from ..webauthn.responses import AttestationObject, AuthenticationResponse, RegistrationResponse
from .cbor import Item, read_cbor
from .output import Named, Node, Tree

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

_T = TypeVar("_T")

_DEPTH: Final = 8
_AUTHENTICATOR_DATA: Final = "response.authenticatorData"
_FLAGS: Final = {
    layout.USER_PRESENT: "UP",
    0x02: "reserved 0x02",
    layout.USER_VERIFIED: "UV",
    layout.BACKUP_ELIGIBLE: "BE",
    layout.BACKUP_STATE: "BS",
    0x20: "reserved 0x20",
    layout.ATTESTED_DATA: "AT",
    layout.EXTENSION_DATA: "ED",
}
_ALGORITHMS: Final = {algorithm.id: algorithm.name for algorithm in ALGORITHMS.values()}
_KEY_TYPES: Final = {1: "OKP", 2: "EC2", 3: "RSA", 7: "AKP"}
_CURVES: Final = {1: "P-256", 2: "P-384", 3: "P-521", 6: "Ed25519", 7: "Ed448", 8: "secp256k1"}
# By key type: what the parameters -1, -2 and -3 are.
_PARAMETERS: Final[Mapping[int, tuple[str, ...]]] = {
    1: ("curve", "x"),
    2: ("curve", "x", "y"),
    3: ("modulus", "exponent"),
    7: ("public_key",),
}
_HEX: Final = re.compile(r"(?:0x)?(?:[0-9a-f]{2}:?)+", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


class Findings:
    """What the strict parsers had to say, each thing once."""

    def __init__(self) -> None:
        self.errors: list[PasskeyError] = []

    def attempt(self, parse: Callable[..., _T], *arguments: object) -> _T | None:
        """What `parse` returns; None, and its error noted, when it refuses."""
        try:
            return parse(*arguments)
        except PasskeyError as error:
            if (error.code, error.message) not in {(known.code, known.message) for known in self.errors}:
                self.errors.append(error)
            return None


def attestation_object(raw: bytes, found: Findings) -> Tree:
    """The attestation object that `raw` holds."""
    found.attempt(AttestationObject.parse, raw)
    content, _ = read_cbor(raw)
    members = content if isinstance(content, dict) else {}
    shown: Tree = {"bytes": len(raw)}
    for name, value in members.items():
        if name == "fmt":
            shown["format"] = bounded(value)
        elif name == "authData" and isinstance(value, bytes):
            shown["authenticator_data"] = authenticator_data(value, found, "response.attestationObject.authData")
        elif name == "attStmt":
            shown["statement"] = _statement(value, found)
        else:
            shown[str(name)] = bounded(value)
    return shown


def _statement(statement: Item, found: Findings, depth: int = 0) -> Node:
    if isinstance(statement, list) and depth < _DEPTH:  # compound
        return [_statement(child, found, depth + 1) for child in statement]
    if not isinstance(statement, dict) or depth >= _DEPTH:
        return bounded(statement)
    shown: Tree = {}
    for name, value in statement.items():
        if name == "alg":
            shown["alg"] = _named(value, _ALGORITHMS)
        elif name == "x5c" and isinstance(value, list):
            shown["x5c"] = [_certificate(der, found) for der in value]
        elif name == "attStmt":
            shown["attStmt"] = _statement(value, found, depth + 1)
        else:
            shown[str(name)] = bounded(value)
    return shown


def _certificate(der: Item, found: Findings) -> Node:
    if not isinstance(der, bytes):
        return bounded(der)
    from .certificates import certificate  # only statements that have certificates pay for the import

    return certificate(der, found.attempt)


def authenticator_data(raw: bytes, found: Findings, path: str = _AUTHENTICATOR_DATA) -> Tree:
    """The authenticator data that `raw` holds; `path` is what errors call it."""
    found.attempt(layout.AuthenticatorData.parse, raw, DEFAULT_POLICY, path)
    shown: Tree = {"bytes": len(raw), "rp_id_hash": raw[:32]}
    if len(raw) < 37:
        return shown | ({"rest": raw[32:]} if raw[32:] else {})
    flags = raw[32]
    shown["flags"] = [name for bit, name in _FLAGS.items() if flags & bit]
    shown["sign_count"] = int.from_bytes(raw[33:37], "big")
    end = 37
    if flags & layout.ATTESTED_DATA and len(raw) >= 55:
        size = int.from_bytes(raw[53:55], "big")
        start = 55 + size
        _, end = read_cbor(raw, start)
        shown["aaguid"] = str(UUID(bytes=raw[37:53]))
        shown["credential_id"] = encode_base64url(raw[55:start])
        shown["credential_id_bytes"] = size
        if start < len(raw):
            shown["public_key"] = cose_key(raw[start:end], found)
    if flags & layout.EXTENSION_DATA and end < len(raw):
        outputs, end = read_cbor(raw, end)
        shown["extensions"] = _switches(outputs)
    if end < len(raw):
        shown["rest"] = raw[end:]
    return shown


def cose_key(raw: bytes, found: Findings) -> Tree:
    """The COSE_Key that `raw` holds."""
    if found.attempt(PublicKey.parse, raw) is not None:
        found.attempt(PublicKey.check, decode_cbor(raw, "credentialPublicKey"))
    content, _ = read_cbor(raw)
    members = dict(content) if isinstance(content, dict) else {}
    type, algorithm = members.pop(1, None), members.pop(3, None)
    shown: Tree = {"key_type": _named(type, _KEY_TYPES), "algorithm": _named(algorithm, _ALGORITHMS)}
    names = _PARAMETERS.get(type, ()) if isinstance(type, int) else ()
    for label, name in zip((-1, -2, -3), names, strict=False):
        value = members.pop(label, None)
        if name == "modulus" and isinstance(value, bytes):
            shown["modulus_bits"] = int.from_bytes(value, "big").bit_length()
        if name == "exponent" and isinstance(value, bytes) and len(value) <= 8:
            value = int.from_bytes(value, "big")
        shown[name] = _named(value, _CURVES) if name == "curve" else bounded(value)
    return shown | {f"parameter {label}": bounded(value) for label, value in members.items()}


def client_data(raw: bytes, found: Findings) -> Tree:
    """The client data that `raw` holds."""
    found.attempt(CollectedClientData.parse, raw)
    members = bounded(read_json(raw))
    return members if isinstance(members, dict) else {"bytes": len(raw), "text": raw.decode("utf-8", "replace")}


def response(members: Mapping[str, Json], found: Findings) -> Tree:
    """The registration or authentication response whose JSON members are `members`."""
    inner = members.get("response")
    inner = inner if isinstance(inner, dict) else {}
    if "attestationObject" in inner:
        # What clients add is a copy that nobody may trust: all of it stands in the attestation object.
        inner = {name: value for name, value in inner.items() if name != "authenticatorData"}
        shown: Tree = {"kind": "registration-response"}
        found.attempt(RegistrationResponse.parse, members)
    else:
        shown = {"kind": "authentication-response"}
        found.attempt(AuthenticationResponse.parse, members)
    for name in ("id", "rawId", "type", "authenticatorAttachment"):
        if name in members and not (name == "rawId" and members["rawId"] == members.get("id")):
            shown[name] = bounded(members[name])
    for name, describe in _PARTS.items():
        part = inner.get(name)
        if part is not None:
            raw = unwrap(part) if isinstance(part, str) else None
            shown[name] = "(not base64url)" if raw is None else describe(raw, found)
    if "transports" in inner:
        shown["transports"] = bounded(inner["transports"])
    return shown | {"clientExtensionResults": _switches(members.get("clientExtensionResults") or {})}


_PARTS: Final[Mapping[str, Callable[[bytes, Findings], Node]]] = {
    "clientDataJSON": client_data,
    "attestationObject": attestation_object,
    "authenticatorData": authenticator_data,
    "signature": lambda raw, _: raw,
    "userHandle": lambda raw, _: raw,
}


def unwrap(text: str) -> bytes | None:
    """The bytes that `text` spells in hexadecimal, base64url or base64, with or without padding and line breaks."""
    text = "".join(text.split()).strip("\"'")
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.lower().removeprefix("0x").replace(":", ""))
    digits = text.rstrip("=").replace("-", "+").replace("_", "/")
    return a2b_base64(digits + "==") if _BASE64.fullmatch(text) and len(digits) % 4 != 1 else None


def read_json(raw: bytes) -> Json:
    """The JSON value that `raw` holds, read as leniently as clients write it; None when it is none."""
    try:
        value: Json = json.loads(raw.decode("utf-8", "replace").removeprefix("\ufeff"), parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return value


def bounded(value: "Json | Item", depth: int = 0) -> Node:
    """`value` without anything that JSON lacks, and not nested too deeply to be printed."""
    if isinstance(value, (dict, list)) and depth >= _DEPTH:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {str(name): bounded(member, depth + 1) for name, member in value.items()}
    if isinstance(value, list):
        return [bounded(member, depth + 1) for member in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _switches(outputs: "Json | Item", depth: int = 0) -> Node:
    """The names of extension outputs, and the switches and numbers among them; the rest may be secret."""
    if isinstance(outputs, dict) and depth < 2:
        return {str(name): _switches(value, depth + 1) for name, value in outputs.items()}
    return outputs if isinstance(outputs, bool) or (type(outputs) is int and depth == 1) else "(not shown)"


def _named(id: Item, names: Mapping[int, str]) -> Node:
    return Named(id, names.get(id, "unknown")) if type(id) is int else bounded(id)
