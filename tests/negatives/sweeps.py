"""Rows that are loops: every bit, every length, many chances, all cases at once.

What belongs here: checks over more inputs than a table could list. Like the harness they raise `HarnessError`, and
chance is drawn from a fixed seed.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from passkeycore import CeremonyError, Code, DecodeError, PasskeyError, Policy, VerificationError
from passkeycore.testing import (
    AT,
    BS,
    ED,
    UP,
    b64url_decode,
    b64url_encode,
    cbor,
)
from passkeycore.webauthn.encoding import CBOR, decode_cbor

from .ceremonies import HarnessError, Json, Played, Setup, play
from .harness import Ceremony, check_error, class_of
from .races import RACES
from .tables import CASES


@dataclass(frozen=True)
class Sweep:
    """A check over many inputs. The id is the row's, and a few words, as for a case."""

    id: str
    run: Callable[[], None]

    @property
    def row(self) -> str:
        """The row of the matrix that it stands for."""
        return self.id.partition("-")[0]


EXTENDED: Final = Setup(options={"extensions": {"minPinLength": True}})
CHANCE: Final = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _judged(played: Played, body: bytes | str | Json) -> Code | None:
    """What becomes of this body; None when it is accepted."""
    try:
        played.judge(body)
    except PasskeyError as error:
        check_error(error)
        return error.code
    return None


def _response(played: Played) -> Json:
    if not isinstance(played.body, bytes):
        raise HarnessError("the client posts bytes")
    response: Json = json.loads(played.body)
    return response


def _with(response: Json, member: str, data: bytes) -> Json:
    return response | {"response": response["response"] | {member: b64url_encode(data)}}


def _flips(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    for position in range(len(data)):
        for bit in range(8):
            yield position, 1 << bit, data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]


_FLAGS: Final = {
    UP: Code.USER_PRESENCE_REQUIRED,
    BS: Code.BACKUP_FLAGS_INVALID,
    AT: Code.AUTHENTICATOR_DATA_INVALID,
    ED: Code.CBOR_INVALID,
}
_CLIENT_DATA: Final = {
    Code.JSON_INVALID,
    Code.TYPE_MISMATCH,
    Code.CHALLENGE_MISMATCH,
    Code.ORIGIN_NOT_ALLOWED,
    Code.SIGNATURE_INVALID,
}


def flipped_bits() -> None:
    """No bit of what is signed, nor of the signature, can be another."""
    played = play("get")
    response = _response(played)
    for member in ("authenticatorData", "clientDataJSON", "signature"):
        for position, bit, data in _flips(b64url_decode(response["response"][member])):
            expected = {Code.SIGNATURE_INVALID}
            if member == "clientDataJSON":
                expected = _CLIENT_DATA
            elif member == "authenticatorData" and position < 32:
                expected = {Code.RP_ID_MISMATCH}
            elif member == "authenticatorData" and position == 32:
                expected = {_FLAGS.get(bit, Code.SIGNATURE_INVALID)}
            found = _judged(played, _with(response, member, data))
            if found not in expected:
                raise HarnessError(f"bit {bit:#x} of byte {position} of {member}: {found}")


def truncated_objects() -> None:
    """An attestation object that ends early is no CBOR, wherever it ends."""
    played = play("create", EXTENDED)
    response = _response(played)
    whole = b64url_decode(response["response"]["attestationObject"])
    for length in range(len(whole)):
        found = _judged(played, _with(response, "attestationObject", whole[:length]))
        if found is not Code.CBOR_INVALID:
            raise HarnessError(f"the first {length} bytes: {found}")


def truncated_authenticator_data() -> None:
    """Authenticator data that ends early says which of its parts is missing."""
    played = play("create", EXTENDED)
    response = _response(played)
    whole = b64url_decode(response["response"]["authenticatorData"])
    key = 37 + 16 + 2 + 32
    extensions = whole.index(cbor({"minPinLength": 4}))
    for length in range(len(whole)):
        attestation = cbor({"fmt": "none", "attStmt": {}, "authData": whole[:length]})
        expected = Code.AUTHENTICATOR_DATA_INVALID
        if length >= key:
            expected = Code.PUBLIC_KEY_MALFORMED if length < extensions else Code.CBOR_INVALID
        found = _judged(played, _with(response, "attestationObject", attestation))
        if found is not expected:
            raise HarnessError(f"the first {length} bytes: {found}")


def _mutations(data: bytes) -> st.SearchStrategy[bytes]:
    """`data` with one to four pieces replaced by chance."""
    piece = st.tuples(st.integers(0, len(data)), st.integers(0, 8), st.binary(max_size=8))

    def mutated(pieces: list[tuple[int, int, bytes]]) -> bytes:
        changed = data
        for start, length, new in pieces:
            changed = changed[:start] + new + changed[start + length :]
        return changed

    return st.lists(piece, min_size=1, max_size=4).map(mutated)


def _survives(bodies: st.SearchStrategy[Any], judged: Callable[[Any], object]) -> None:
    @CHANCE
    @given(bodies)
    def any_of_them(body: Any) -> None:
        judged(body)

    any_of_them()


def mutated_responses() -> None:
    """Whatever happens to a response, nothing but a `PasskeyError` comes out, and it may be shown."""
    for played, members in (
        (play("create", EXTENDED), ("attestationObject", "clientDataJSON")),
        (play("get"), ("authenticatorData", "clientDataJSON", "signature")),
    ):
        response = _response(played)
        _survives(_mutations(json.dumps(response).encode()), partial(_judged, played))
        for name in members:
            mutations = _mutations(b64url_decode(response["response"][name]))
            _survives(mutations.map(partial(_with, response, name)), partial(_judged, played))


_CBOR: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(0, 300), inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)


_CANONICAL: Final = Policy(cbor_key_order="canonical", cbor_max_depth=12)


def _read(data: bytes) -> list[CBOR]:
    """The value that the bytes stand for in canonical form, in a list; empty when they are not canonical."""
    try:
        return [decode_cbor(data, "cbor", _CANONICAL)]
    except DecodeError:
        return []


def canonical_cbor() -> None:
    """Every value is read as it was written, and in canonical form no other bytes are read as it."""

    @CHANCE
    @given(_CBOR, st.data())
    def values(value: Any, data: st.DataObject) -> None:
        written = cbor(value)
        if [cbor(read) for read in _read(written)] != [written]:
            raise HarnessError(f"{written.hex()} is not read as {value!r}")
        changed = data.draw(_mutations(written))
        for read in _read(changed):
            if cbor(read) != changed:
                raise HarnessError(f"{changed.hex()} is a second spelling of {read!r}")

    values()


def one_public_answer() -> None:
    """Nobody learns from a refused authentication which check refused it, nor whether the credential exists."""
    answers: dict[tuple[str, int], Code] = {}
    for case in CASES:
        if isinstance(case, Ceremony) and case.kind == "get" and case.code is not None:
            if not issubclass(class_of(case.code), (VerificationError, CeremonyError)):
                continue
            try:
                play("get", case.setup, case.change).judge()
            except PasskeyError as error:
                answers[error.public_message, error.http_status] = error.code
    if len(answers) != 1:
        raise HarnessError(f"there are {len(answers)} public answers: {answers}")


SWEEPS: Final = (
    Sweep("A25-flipped-bits", flipped_bits),
    Sweep("A52-one-public-answer", one_public_answer),
    Sweep("B12-truncated-attestation-objects", truncated_objects),
    Sweep("B12-truncated-authenticator-data", truncated_authenticator_data),
    Sweep("B21-mutated-responses", mutated_responses),
    Sweep("B22-canonical-cbor", canonical_cbor),
    *(Sweep(id, run) for id, run in RACES),
)
