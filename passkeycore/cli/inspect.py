"""``passkeycore inspect``: finds out what a value is, and shows its parts and what is wrong with it."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ..errors import PasskeyError
from ..webauthn.authenticator_data import AuthenticatorData
from ..webauthn.client_data import CollectedClientData
from ..webauthn.cose import PublicKey
from ..webauthn.responses import AttestationObject
from . import anatomy, complain
from .anatomy import Findings, Json
from .cbor import read_cbor
from .output import Tree, printer, write_json

_INPUT_BYTES: Final = 1 << 22
_DEPTH: Final = 8  # how far down in JSON a response is looked for
_BOM: Final = b"\xef\xbb\xbf"
_DESCRIBE: Final[Mapping[str, Callable[[bytes, Findings], Tree]]] = {
    "attestation-object": anatomy.attestation_object,
    "authenticator-data": anatomy.authenticator_data,
    "client-data": anatomy.client_data,
    "cose-key": anatomy.cose_key,
}
# What a strict parser accepts needs no guess.
_STRICT: Final[Mapping[str, Callable[[bytes], object]]] = {
    "attestation-object": AttestationObject.parse,
    "cose-key": PublicKey.parse,
    "client-data": CollectedClientData.parse,
    "authenticator-data": AuthenticatorData.parse,
}
_MARKS: Final = frozenset({"clientDataJSON", "attestationObject", "authenticatorData", "signature"})


def run(value: str, *, kind: str | None, as_json: bool) -> int:
    """Shows what `value` (itself, the file of that name, or ``-``) holds, and returns the exit code."""
    try:
        data = _read(value)
    except OSError as error:
        return complain(str(error))
    if len(data) > _INPUT_BYTES:
        return complain(f"more than {_INPUT_BYTES} bytes")
    if not data.strip():
        return complain("there is nothing to inspect")
    code = 0
    for place, tree, found in _inspect(data, kind):
        if found.errors or tree["kind"] == "unknown":
            code = 1
        if as_json:
            write_json({"at": place} | tree | {"errors": [refusal.to_dict() for refusal in found.errors]})
            continue
        title = str(tree.pop("kind")).replace("-", " ") + (f" at {place}" if place else "")
        tree |= {f"error {n}": f"{refusal.code}: {refusal.message}" for n, refusal in enumerate(found.errors, 1)}
        printer().tree(title, tree)
    return code


def _read(value: str) -> bytes:
    if value == "-":
        return sys.stdin.buffer.read(_INPUT_BYTES + 1)
    if os.path.isfile(value):  # unlike Path's, no error for a value that is too long to be a name
        with Path(value).open("rb") as stream:
            return stream.read(_INPUT_BYTES + 1)
    return value.encode("utf-8", "surrogateescape")


def _inspect(data: bytes, kind: str | None) -> Iterator[tuple[str, Tree, Findings]]:
    """Every structure that was found: where in the input, what it is and holds, and what is wrong with it."""
    text = data.strip().removeprefix(_BOM).strip()
    if kind in (None, "response") and text.startswith((b"{", b"[")):
        responses = list(_responses(anatomy.read_json(text), ""))
        for place, members in responses:
            found = Findings()
            yield place, anatomy.response(members, found), found
        if responses:
            return
    raw = anatomy.unwrap(text.decode("latin-1")) or data
    kind = kind or _guess(raw)
    found = Findings()
    describe = _DESCRIBE.get(kind or "", _unknown)
    yield "", {"kind": kind if kind in _DESCRIBE else "unknown", **describe(raw, found)}, found


def _unknown(raw: bytes, _: Findings) -> Tree:
    return {"bytes": len(raw), "content": raw, "note": "neither a file of that name nor a WebAuthn structure"}


def _responses(value: Json, place: str, depth: int = 0) -> Iterator[tuple[str, dict[str, Json]]]:
    """The responses in a JSON value, and the path that leads to each."""
    if depth > _DEPTH:
        return
    if isinstance(value, dict):
        inner = value.get("response")
        if isinstance(inner, dict) and not _MARKS.isdisjoint(inner):
            yield place, value
            return
        for name, member in value.items():
            yield from _responses(member, f"{place}.{name}" if place else name, depth + 1)
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _responses(member, f"{place}[{number}]", depth + 1)


def _guess(raw: bytes) -> str | None:
    for kind, parse in _STRICT.items():
        try:
            parse(raw)
        except PasskeyError:
            continue
        return kind
    if raw.strip().removeprefix(_BOM).strip().startswith(b"{"):
        return "client-data"
    content, _ = read_cbor(raw)
    if isinstance(content, dict):
        if not content.keys().isdisjoint(("fmt", "attStmt", "authData")):
            return "attestation-object"
        if 1 in content or 3 in content:
            return "cose-key"
    return "authenticator-data" if len(raw) >= 37 else None
