"""Vector files: ceremonies with everything that a verdict on them needs, read and written. Nothing is judged.

A file holds one JSON object per case: ``.jsonl`` one a line, ``.json`` a list of them or a single one. Any
language can write one; ``passkeycore verify`` judges it. The structs below are the format: every attribute is
the member of the JSON object with the same name, and members that they do not name are allowed and dropped.

    cases = [
        {"name": "login", "rp": {"id": "example.org", "origins": ["https://example.org"]},
         "registration": {"challenge": "…", "response": client.create(options), "expect": {"ok": True}}},
    ]
    write_vectors("mine.jsonl", cases)
    for case in read_vectors("mine.jsonl"):
        if isinstance(case, DecodeError):
            ...                            # a line that is no case; the ones after it are still read
"""

import io
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, BinaryIO, Final, Literal, TypeAlias

import msgspec

from ..errors import Code, DecodeError
from ..webauthn.encoding import decode_base64url, encode_base64url

CASE_BYTES: Final = 1 << 20  # one case, as JSON: eight times the largest response that is judged by default
FILE_BYTES: Final = 1 << 28  # one ``.json`` file, which has to be read whole
_LINE_BYTES: Final = CASE_BYTES + 2  # with its end
_BOM: Final = b"\xef\xbb\xbf"
_AT: Final = " - at `$"

Requirement: TypeAlias = Literal["required", "preferred", "discouraged"]
Conveyance: TypeAlias = Literal["none", "indirect", "direct", "enterprise"]
Source: TypeAlias = str | os.PathLike[str] | BinaryIO


class Base64URL(bytes):
    """Bytes that stand in a vector file as base64url without padding."""

    __slots__ = ()


Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
SignCount: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class VectorRelyingParty(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the Relying Party is.

    Attributes:
        id: The RP ID.
        origins: Every origin that may answer; compared byte for byte.
        top_origins: The pages that may embed it.
        allow_cross_origin: ``crossOrigin: true`` is expected.
    """

    id: str
    origins: tuple[str, ...]
    top_origins: tuple[str, ...] = ()
    allow_cross_origin: bool = False


class _Ceremony(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What both ceremonies have.

    Attributes:
        challenge: As issued; of any length.
        response: What the client returned, as JSON text exactly as it stands in the file, sound or not.
        user_verification: What the options asked for; None: ``preferred``.
        extensions: Client extension inputs, as in the options.
        time: When to judge; None: now.
        policy: Values for named policies of `passkeycore.Policy`.
        expect: ``{"ok": true, …}`` or ``{"ok": false, "code": …}``; further members are details of the
            outcome. None: the ceremony must verify.
    """

    challenge: Base64URL
    response: msgspec.Raw
    user_verification: Requirement | None = None
    extensions: Mapping[str, Any] | None = None
    time: Time | None = None
    policy: Mapping[str, Any] | None = None
    expect: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Checks what types cannot say. Raises ValueError."""
        if self.time is not None and not 1 < self.time.year < 9999:
            raise ValueError("a time at the end of the calendar")  # nothing can be added or converted there
        expect = {"ok": True} if self.expect is None else self.expect
        if not isinstance(expect.get("ok"), bool) or not isinstance(expect.get("code"), (str, NoneType)):
            raise ValueError("expect has no boolean ok, or a code that is no string")


class VectorRegistration(_Ceremony, frozen=True, kw_only=True, omit_defaults=True):
    """A registration. Attributes beside the common ones:

    Attributes:
        algorithms: COSE identifiers that were offered; None: every supported one.
        mediation: ``conditional`` for a creation without a dialog.
        attestation: The conveyance that was asked for; None: ``none``.
        trust_anchors: Certificates, DER. Given: a statement that carries a certificate path must chain to one
            of them; ``none`` and ``self`` stay acceptable. None: nothing is trusted, or refused for that.
    """

    algorithms: tuple[int, ...] | None = None
    mediation: Literal["conditional"] | None = None
    attestation: Conveyance | None = None
    trust_anchors: tuple[Base64URL, ...] | None = None


class VectorCredential(msgspec.Struct, frozen=True, kw_only=True):
    """The stored credential that an authentication is judged with.

    Attributes:
        id: The credential id.
        public_key: The COSE_Key, CBOR.
        sign_count: The largest signature counter seen.
        backup_eligible: BE at registration; None: not known.
        user_handle: The owner's; None: not known.
    """

    id: Base64URL
    public_key: Base64URL
    sign_count: SignCount
    backup_eligible: bool | None = None
    user_handle: Base64URL | None = None


class VectorAuthentication(_Ceremony, frozen=True, kw_only=True, omit_defaults=True):
    """An authentication. Attributes beside the common ones:

    Attributes:
        allow_credentials: Ids of the credentials that may answer; None or empty: any discoverable one.
        user_handle: The user that was known at the start; None: any user may answer.
        credential: The stored credential; None: the one that this case's registration produced.
    """

    allow_credentials: tuple[Base64URL, ...] | None = None
    user_handle: Base64URL | None = None
    credential: VectorCredential | None = None


class VectorCase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One case: a registration, an authentication, or both in this order.

    Attributes:
        name: What reports call it; unique in its file, if its readers are to find it.
        source: Where it comes from.
        rp: The Relying Party.
        registration, authentication: The ceremonies; at least one.
        requires: Attestation formats without which the case cannot be judged: where one is missing, it waits.
    """

    name: str
    source: str = ""
    rp: VectorRelyingParty
    registration: VectorRegistration | None = None
    authentication: VectorAuthentication | None = None
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks what types cannot say. Raises ValueError."""
        if self.registration is None and self.authentication is None:
            raise ValueError("neither a registration nor an authentication")


def _decode(type: type, value: object) -> object:
    if type is not Base64URL:
        raise NotImplementedError  # so a hook tells msgspec that a type is not its own
    if not isinstance(value, str):
        raise ValueError("Expected base64url text")  # msgspec makes its own error of it
    try:
        return Base64URL(decode_base64url(value, ""))
    except DecodeError:
        raise ValueError("Expected base64url without padding") from None


def _encode(value: object) -> str:
    if not isinstance(value, Base64URL):
        raise NotImplementedError  # as above
    return encode_base64url(value)


_DECODER: Final = msgspec.json.Decoder(VectorCase, dec_hook=_decode)
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_encode)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANYTHING: Final = msgspec.json.Decoder(msgspec.Raw)


def read_vectors(source: Source) -> Iterator[VectorCase | DecodeError]:
    """Every case that `source` holds, and an error in the place of everything in it that is none.

    Args:
        source: A path, ``-`` for standard input, or a binary file. Where neither ``.json`` nor ``.jsonl``
            tells how it is written, its content does.

    Yields:
        A case; or a `DecodeError`, `vector_invalid`, for a line or an element that is malformed, no case, or
        larger than `CASE_BYTES`. Blank lines, CRLF and a byte order mark are no errors.

    Raises:
        OSError: The file cannot be opened or read.
    """
    name = "" if not isinstance(source, (str, os.PathLike)) else os.fspath(source)
    with _opened(source) as stream:
        if name.endswith(".jsonl"):
            yield from _lines(stream)
        elif name.endswith(".json"):
            yield from _elements(stream.read(FILE_BYTES + 1))
        else:
            yield from _either(stream)


def write_vectors(target: Source, cases: Iterable[VectorCase | Mapping[str, Any]]) -> int:
    """The number of cases that were written to `target`, one a line, in the form that `read_vectors` reads.

    Args:
        target: A path, replaced if it exists; ``-`` for standard output; or a binary file, left open.
        cases: Cases, or JSON-ready mappings in their form, whose further members are kept.

    Raises:
        DecodeError: `vector_invalid`: one of them is no case, or larger than `CASE_BYTES`. Those before it
            are written.
        OSError: The file cannot be written.
    """
    written = 0
    with _opened(target, "wb") as stream:
        for written, case in enumerate(cases, 1):
            line = _ENCODER.encode(case) if isinstance(case, VectorCase) else json.dumps(case).encode()
            checked = _read(line, f"case {written}")
            if isinstance(checked, DecodeError):
                raise checked
            stream.write(msgspec.json.format(line, indent=-1) + b"\n")  # a response may span lines
    return written


def find_vector_files(directory: str | os.PathLike[str]) -> list[Path]:
    """Every vector file in `directory` and below, by path; hidden directories are left out.

    A ``.json`` file that is JSON, but neither a list with objects nor an object with ``name`` or ``rp``, is
    something else and left out. One that is not even JSON may be a damaged vector file, so it is not.

    Raises:
        OSError: A file cannot be opened or read.
    """
    found: list[Path] = []
    for folder, folders, files in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            path
            for path in (Path(folder, name) for name in files)
            if path.suffix == ".jsonl" or (path.suffix == ".json" and _may_be_vectors(path))
        ]
    return sorted(found)


def _may_be_vectors(path: Path) -> bool:
    with path.open("rb") as stream:
        data = stream.read(FILE_BYTES + 1).removeprefix(_BOM).strip()
    if not _is_json(data):
        return True
    if data.startswith(b"["):
        elements = _LIST.decode(data)
        return not elements or any(bytes(element).lstrip().startswith(b"{") for element in elements)
    try:
        members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError):
        return False
    return "name" in members or "rp" in members


def _opened(source: Source, mode: Literal["rb", "wb"] = "rb") -> AbstractContextManager[BinaryIO]:
    if not isinstance(source, (str, os.PathLike)):
        return nullcontext(source)
    if os.fspath(source) == "-":
        return nullcontext(sys.stdin.buffer if mode == "rb" else sys.stdout.buffer)
    return Path(source).open(mode)


def _lines(stream: BinaryIO, before: int = 0) -> Iterator[VectorCase | DecodeError]:
    """The cases of the lines of `stream`, of which `before` were read already."""
    for number in itertools.count(before + 1):
        line = stream.readline(_LINE_BYTES)
        if not line:
            return
        text = line.removeprefix(_BOM if number == 1 else b"").strip()
        if text:
            yield _read(text, f"line {number}")
        while line and not line.endswith(b"\n"):  # the rest of a line that is too long
            line = stream.readline(_LINE_BYTES)


def _either(stream: BinaryIO) -> Iterator[VectorCase | DecodeError]:
    """The cases of `stream`, read line by line if its first line is an object, else whole if it is JSON."""
    first, blank = stream.readline(_LINE_BYTES).removeprefix(_BOM), 0
    while first and not first.strip():
        first, blank = stream.readline(_LINE_BYTES), blank + 1
    if first.startswith(b"{") and _is_json(first):
        yield _read(first.strip(), f"line {blank + 1}")
        yield from _lines(stream, blank + 1)
        return
    whole = first + stream.read(FILE_BYTES + 1 - len(first))
    if len(whole) > FILE_BYTES or _is_json(whole):
        yield from _elements(whole)
    else:
        yield from _lines(io.BytesIO(whole), blank)


def _elements(data: bytes) -> Iterator[VectorCase | DecodeError]:
    if len(data) > FILE_BYTES:
        yield _no_case("the whole file", f"larger than {FILE_BYTES} bytes")
        return
    text = data.removeprefix(_BOM).strip()
    if not text.startswith(b"["):
        yield _read(text, "the whole file")
        return
    try:
        elements = _LIST.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        yield _not_decoded("the whole file", error)
        return
    for number, element in enumerate(elements, 1):
        yield _read(bytes(element), f"element {number}")


def _read(text: bytes, place: str) -> VectorCase | DecodeError:
    if len(text) > CASE_BYTES:
        return _no_case(place, f"larger than {CASE_BYTES} bytes")
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return _not_decoded(place, error)


def _is_json(text: bytes) -> bool:
    try:
        _ANYTHING.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


def _not_decoded(place: str, error: Exception) -> DecodeError:
    message, _, member = str(error).partition(_AT)
    if not isinstance(error, msgspec.MsgspecError):
        message = "nested too deeply" if isinstance(error, RecursionError) else "not valid Unicode"
    path = member.rstrip("`").lstrip(".")
    return _no_case(f"{place}, {path}" if path else place, ascii(message[:200])[1:-1])


def _no_case(place: str, message: str) -> DecodeError:
    return DecodeError(Code.VECTOR_INVALID, f"not a vector case: {message}", path=place)
