"""Vector files are read and written as documented: whatever stands in a file, reading goes on behind it."""

import io
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passkeycore.errors import Code, DecodeError
from passkeycore.testing import vectors
from passkeycore.testing.vectors import (
    CASE_BYTES,
    Base64URL,
    VectorAuthentication,
    VectorCase,
    VectorCredential,
    VectorRegistration,
    VectorRelyingParty,
    find_vector_files,
    read_vectors,
    write_vectors,
)
from tests.w3c import VECTORS_PATH

LINES = VECTORS_PATH.read_bytes().splitlines()
CASES: list[dict[str, Any]] = [json.loads(line) for line in LINES]
GOOD = json.dumps(CASES[0]).encode()


def read(data: bytes) -> list[VectorCase | DecodeError]:
    return list(read_vectors(io.BytesIO(data)))


def names(found: list[VectorCase | DecodeError]) -> list[str | None]:
    """The names of the cases, None for what is none; every error is of the one right kind."""
    for case in found:
        assert isinstance(case, VectorCase) or (type(case) is DecodeError and case.code is Code.VECTOR_INVALID)
    return [case.name if isinstance(case, VectorCase) else None for case in found]


def changed(*path: str, to: object) -> bytes:
    """The first W3C case with one member replaced or added."""
    case: dict[str, Any] = json.loads(GOOD)
    members = case
    for name in path[:-1]:
        members = members[name]
    members[path[-1]] = to
    return json.dumps(case).encode()


def full_case() -> VectorCase:
    """A case with every member that there is."""
    return VectorCase(
        name="everything",
        source="here",
        rp=VectorRelyingParty(
            id="example.org",
            origins=("https://example.org",),
            top_origins=("https://a.example",),
            allow_cross_origin=True,
        ),
        registration=VectorRegistration(
            challenge=Base64URL(b"\xfb\xff\x00"),
            response=msgspec.Raw(b'{"id":"AA"}'),
            algorithms=(-7, -257),
            user_verification="required",
            mediation="conditional",
            attestation="direct",
            extensions={"credProps": True},
            trust_anchors=(Base64URL(b"\x30\x00"),),
            time=datetime(2026, 1, 1, tzinfo=UTC),
            policy={"cbor_max_depth": 4},
            expect={"ok": False, "code": "json_invalid"},
        ),
        authentication=VectorAuthentication(
            challenge=Base64URL(b""),
            response=msgspec.Raw(b"[]"),
            allow_credentials=(Base64URL(b"id"),),
            user_handle=Base64URL(b"user"),
            credential=VectorCredential(
                id=Base64URL(b"id"), public_key=Base64URL(b"\xa0"), sign_count=2**32 - 1, backup_eligible=None
            ),
        ),
        requires=("tpm",),
    )


def replaced(**members: Any) -> VectorCase:
    """A case with other members in its authentication, of whatever type."""
    case = full_case()
    assert case.authentication is not None
    changes: Any = {"authentication": msgspec.structs.replace(case.authentication, **members)}
    return msgspec.structs.replace(case, **changes)


# --- Reading ---


def test_every_w3c_line_is_a_case() -> None:
    assert names(list(read_vectors(VECTORS_PATH))) == [case["name"] for case in CASES]


def test_members_come_typed_and_responses_as_they_stand() -> None:
    (case,) = read(
        b'{"name":"n","rp":{"id":"a.b","origins":[]},"registration":{"challenge":"-_8", "response": {"x" : 1 }}}'
    )
    assert isinstance(case, VectorCase)
    assert case.registration is not None
    assert case.registration.challenge == b"\xfb\xff"
    assert bytes(case.registration.response) == b'{"x" : 1 }'
    assert case.authentication is None
    assert case.requires == ()


def test_unknown_members_are_tolerated_and_null_is_absent() -> None:
    data = json.loads(GOOD) | {"licence": "CC0", "requires": []}
    data["registration"] |= {"notes": [1], "mediation": None, "trust_anchors": None, "algorithms": None}
    (case,) = read(json.dumps(data).encode())
    assert isinstance(case, VectorCase)
    assert case.registration is not None
    assert case.registration.trust_anchors is None


BAD = {
    "not JSON": b"hello",
    "truncated": GOOD[:-10],
    "two values": GOOD + b"{}",
    "number": b"17",
    "list": b"[1, 2]",
    "empty object": b"{}",
    "no name": changed("name", to=None),
    "no ceremony": b'{"name":"n","source":"s","rp":{"id":"a.b","origins":["https://a.b"]}}',
    "misspelt ceremony": b'{"name":"n","rp":{"id":"a.b","origins":["https://a.b"]},"registrations":{}}',
    "rp a string": changed("rp", to="example.org"),
    "origins one string": changed("rp", "origins", to="https://example.org"),
    "challenge padded": changed("registration", "challenge", to="AAAAAA=="),
    "challenge standard base64": changed("registration", "challenge", to="+/8A"),
    "challenge with unused bits": changed("registration", "challenge", to="AB"),
    "challenge a number": changed("registration", "challenge", to=5),
    "unknown mediation": changed("registration", "mediation", to="silent"),
    "unknown user verification": changed("registration", "user_verification", to="always"),
    "algorithms of strings": changed("registration", "algorithms", to=["ES256"]),
    "anchor not base64url": changed("registration", "trust_anchors", to=["***"]),
    "time without zone": changed("registration", "time", to="2026-01-01T00:00:00"),
    "time of no calendar": changed("registration", "time", to="9999-12-31T23:59:59-23:59"),
    "time at the beginning": changed("registration", "time", to="0001-01-01T00:00:00Z"),
    "expect without ok": changed("registration", "expect", to={"code": "too_large"}),
    "expect ok a word": changed("registration", "expect", to={"ok": "true"}),
    "expect code a number": changed("registration", "expect", to={"ok": False, "code": 3}),
    "expect a boolean": changed("registration", "expect", to=True),
    "policy a word": changed("registration", "policy", to="strict"),
    "negative count": changed("authentication", "credential", to={"id": "", "public_key": "", "sign_count": -1}),
    "count too large": changed("authentication", "credential", to={"id": "", "public_key": "", "sign_count": 2**32}),
    "credential without key": changed("authentication", "credential", to={"id": "AA", "sign_count": 0}),
    "not UTF-8": GOOD.replace(b"w3c/", b"\xff\xfe"),
    "lone surrogate": GOOD.replace(b"w3c/", b"\\ud800"),
    "deep": b'{"name":' + b"[" * 100_000,
    "deep where anything goes": GOOD[:-1] + b',"extra":' + b"[" * 100_000,
    "UTF-16": GOOD.decode().encode("utf-16-le").replace(b"\n", b""),
    "too long": b'{"name":"' + b"x" * CASE_BYTES + b'"}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_line_that_is_no_case_is_an_error_and_reading_goes_on(bad: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(b"\n".join([GOOD, bad, GOOD]) + b"\n")
    found = list(read_vectors(path))
    assert names(found) == ["w3c/none.ES256", None, "w3c/none.ES256"]
    assert isinstance(found[1], DecodeError)
    assert (found[1].path or "").startswith("line 2")
    assert found[1].message.isprintable()
    assert len(found[1].message) < 400


@pytest.mark.parametrize("bad", [bad for name, bad in BAD.items() if name not in ("truncated", "not JSON")])
def test_such_a_line_may_be_the_first_one(bad: bytes) -> None:
    assert names(read(bad + b"\n" + GOOD + b"\n")) == [None, "w3c/none.ES256"]


def test_the_member_at_fault_is_named() -> None:
    (error,) = read(changed("registration", "challenge", to="A="))
    assert isinstance(error, DecodeError)
    assert error.path == "line 1, registration.challenge"


@pytest.mark.parametrize("bytes_", [CASE_BYTES, CASE_BYTES + 1])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_has_a_limit(bytes_: int, end: bytes, tmp_path: Path) -> None:
    line = GOOD[:-1] + b',"pad":"' + b"x" * (bytes_ - len(GOOD) - len(b',"pad":""')) + b'"}'
    assert len(line) == bytes_
    (tmp_path / "long.jsonl").write_bytes(line + end + GOOD)
    first = "w3c/none.ES256" if bytes_ == CASE_BYTES else None
    assert names(list(read_vectors(tmp_path / "long.jsonl"))) == [first, "w3c/none.ES256"]


SPREAD = json.dumps(CASES[0], indent=2)
MARKED = {
    "BOM": b"\xef\xbb\xbf" + GOOD,
    "CRLF and blank lines": b"\r\n" + GOOD + b"\r\n\r\n   \r\n",
    "blank lines first": b"\n\n \n" + GOOD,
    "spread object": SPREAD.encode(),
    "spread, BOM and CRLF": SPREAD.replace("\n", "\r\n").encode("utf-8-sig"),
    "spread list": b"\n [" + SPREAD.encode() + b"]",
}


@pytest.mark.parametrize("suffix", [".json", ".txt", ".jsonl"])
@pytest.mark.parametrize("data", MARKED.values(), ids=MARKED)
def test_white_space_and_marks_are_no_errors(data: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"file{suffix}").write_bytes(data)
    found = names(list(read_vectors(tmp_path / f"file{suffix}")))
    if suffix == ".jsonl" and b'  "name"' in data:
        assert set(found) == {None}  # spread over lines, none of which is a case
    else:
        assert found == ["w3c/none.ES256"]


def test_blank_lines_count_in_line_numbers() -> None:
    errors = read(b"\n\n" + GOOD + b"\n\nbad\n")
    assert isinstance(errors[1], DecodeError)
    assert errors[1].path == "line 5"


def test_an_element_of_a_list_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([CASES[0], {"name": "x"}, 7, CASES[1]]))
    found = list(read_vectors(tmp_path / "list.json"))
    assert names(found) == ["w3c/none.ES256", None, None, "w3c/packed-self.ES256"]
    assert [(case.path or "")[:9] for case in found if isinstance(case, DecodeError)] == ["element 2", "element 3"]


def test_a_long_list_on_one_line_is_read_whole_from_a_stream() -> None:
    cases = [CASES[number % 15] for number in range(1000)]
    data = json.dumps(cases).encode()
    assert len(data) > 2 * CASE_BYTES
    assert len(read(data)) == 1000


@pytest.mark.parametrize("data", [b"", b"\n", b"[]", b"  \r\n"])
def test_nothing_is_no_case(data: bytes) -> None:
    assert read(data) == []


@pytest.mark.parametrize("data", [b'[{"name": 1},', b"17", b'"text"', b"\xff\xfe\x00", b""])
def test_a_json_file_that_is_none_is_one_error(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_bytes(data)
    assert names(list(read_vectors(tmp_path / "broken.json"))) == [None]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(LINES))))
    assert len(list(read_vectors("-"))) == 15


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_vectors(tmp_path / "absent.jsonl"))


def test_a_line_of_any_length_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jsonl"
    with path.open("wb") as file:
        file.seek(64 * CASE_BYTES)
        file.write(b"\n" + GOOD)
    tracemalloc.start()
    try:
        assert names(list(read_vectors(path))) == [None, "w3c/none.ES256"]
        assert tracemalloc.get_traced_memory()[1] < 8 * CASE_BYTES
    finally:
        tracemalloc.stop()


def test_a_json_file_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(b"[" + GOOD + b"]")
    monkeypatch.setattr(vectors, "FILE_BYTES", path.stat().st_size)
    assert names(list(read_vectors(path))) == ["w3c/none.ES256"]
    monkeypatch.setattr(vectors, "FILE_BYTES", path.stat().st_size - 1)
    assert names(list(read_vectors(path))) == [None]
    assert names(read(path.read_bytes())) == [None]


@given(st.binary(max_size=300))
def test_any_bytes_at_all_give_cases_or_errors(data: bytes) -> None:
    names(read(data))
    names(read(GOOD[:200] + data + GOOD[200:]))


# --- Writing ---


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    cases = [case for case in read_vectors(VECTORS_PATH) if isinstance(case, VectorCase)] + [full_case()]
    assert write_vectors(tmp_path / "copy.jsonl", cases) == 16
    assert list(read_vectors(tmp_path / "copy.jsonl")) == cases


def test_a_response_that_spans_lines_is_written_on_one() -> None:
    (case,) = read(json.dumps(CASES[0], indent=4).encode())
    target = io.BytesIO()
    assert isinstance(case, VectorCase)
    write_vectors(target, [case])
    assert target.getvalue().count(b"\n") == 1
    assert json.loads(target.getvalue())["registration"] == CASES[0]["registration"]


def test_mappings_are_written_whole() -> None:
    target = io.BytesIO()
    assert write_vectors(target, [CASES[0] | {"licence": "CC0\n"}]) == 1
    assert json.loads(target.getvalue()) == CASES[0] | {"licence": "CC0\n"}


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "no more"},
        CASES[0] | {"pad": "x" * CASE_BYTES},
        replaced(challenge=b"\xfb\xff"),
        replaced(response=msgspec.Raw(b"{")),
    ],
    ids=["no case", "too large", "bytes that msgspec would write in standard base64", "a response that is no JSON"],
)
def test_what_could_not_be_read_is_not_written(bad: Any) -> None:
    target = io.BytesIO()
    with pytest.raises(DecodeError) as refused:
        write_vectors(target, [CASES[0], bad, CASES[1]])
    assert refused.value.code is Code.VECTOR_INVALID
    assert names(read(target.getvalue())) == ["w3c/none.ES256"]


def test_standard_output(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write_vectors("-", [CASES[0]])
    assert json.loads(capsysbinary.readouterr().out) == CASES[0]


def test_a_case_needs_a_ceremony() -> None:
    with pytest.raises(ValueError, match="neither"):
        VectorCase(name="n", rp=VectorRelyingParty(id="a", origins=()))


# --- Directories ---


def test_vector_files_of_a_directory(tmp_path: Path) -> None:
    inside = {
        "b.jsonl": b"",
        "a.json": b"[]",
        "sub/list.json": b'\xef\xbb\xbf [ {"anything": 1} , {} ]',
        "sub/mixed.json": b'[1, {"name": "x"}]',
        "sub/one.json": b'{"name": "x"}',
        "sub/rp.json": b'{"rp": {}}',
        "sub/damaged.json": b'[{"name":',
    }
    others = {
        "digests.json": b'{"none.ES256": {}}',
        "numbers.json": b"[1, 2]",
        "number.json": b"1",
        "text.txt": GOOD,
        ".git/hidden.jsonl": GOOD,
    }
    for name, content in (inside | others).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert find_vector_files(tmp_path) == sorted(tmp_path / name for name in inside)


def test_our_own_directory() -> None:
    assert VECTORS_PATH in find_vector_files(VECTORS_PATH.parent)
    assert VECTORS_PATH.with_name("digests.json") not in find_vector_files(VECTORS_PATH.parent)
