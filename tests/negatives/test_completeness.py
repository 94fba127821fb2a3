"""Nothing is forgotten: every row has a case or waits for its layer, and every code is raised by a test.

The codes are those that the cases state, each of which its own test makes the engine raise, and the few that only
something beside a ceremony ends in, which are looked at here.
"""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from passkeycore import Code, DecodeError, PasskeyError
from passkeycore.__main__ import main
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.testing.vectors import read_vectors

from ..engine.kit import RP
from .ceremonies import ORIGIN, RP_ID, play
from .harness import class_of
from .later import LATER, STRUCK
from .product import CALLS
from .rows import ROWS
from .sweeps import SWEEPS
from .tables import CASES


def _of_a_line_that_is_no_case(_: Path) -> str:
    (read,) = read_vectors(io.BytesIO(b'{"name": "nothing"}\n'))
    assert isinstance(read, DecodeError)
    return read.code


def _of_a_case_without_credential(directory: Path) -> str:
    """An authentication that has neither a credential nor a registration before it, as the command judges it."""
    played = play("get")
    assert isinstance(played.body, bytes)
    case = {
        "name": "nobody",
        "source": "here",
        "rp": {"id": RP_ID, "origins": [ORIGIN]},
        "authentication": {"challenge": "AAAA", "response": json.loads(played.body), "expect": {"ok": False}},
    }
    file = directory / "case.json"
    file.write_text(json.dumps(case))
    with pytest.MonkeyPatch.context() as patched:
        output = io.StringIO()
        patched.setattr("sys.stdout", output)
        assert main(["verify", "--json", str(file)]) == 0
    code: str = json.loads(output.getvalue())["code"]
    return code


def _of_a_name_that_nobody_can_read(_: Path) -> str:
    with pytest.raises(DecodeError) as caught:
        PasskeyService(RP, MemoryRepository()).rename_passkey("ada", b"x", "a\nb")
    return caught.value.code


def _of_a_user_id_that_no_storage_can_hold(_: Path) -> str:
    with pytest.raises(DecodeError) as caught:
        PasskeyService(RP, MemoryRepository()).list_passkeys("a\0b")
    return caught.value.code


def _of_a_cursor_of_nobodys(_: Path) -> str:
    with pytest.raises(DecodeError) as caught:
        PasskeyService(RP, MemoryRepository(), store_events=True).list_events(cursor="x")
    return caught.value.code


ELSEWHERE: Final[Mapping[Code, Callable[[Path], str]]] = {
    Code.VECTOR_INVALID: _of_a_line_that_is_no_case,
    Code.NAME_INVALID: _of_a_name_that_nobody_can_read,
    Code.USER_ID_INVALID: _of_a_user_id_that_no_storage_can_hold,
    Code.CURSOR_INVALID: _of_a_cursor_of_nobodys,
}


@pytest.mark.parametrize("code", ELSEWHERE)
def test_codes_that_no_ceremony_ends_in(code: Code, tmp_path: Path) -> None:
    assert ELSEWHERE[code](tmp_path) == code


def test_the_command_has_the_code_of_a_missing_credential_too(tmp_path: Path) -> None:
    assert _of_a_case_without_credential(tmp_path) == Code.NO_CREDENTIAL


@pytest.mark.parametrize("code", CALLS)
def test_codes_of_devices_actions_and_webhooks(code: Code) -> None:
    with pytest.raises(PasskeyError) as caught:
        CALLS[code]()
    assert caught.value.code == code
    assert isinstance(caught.value, class_of(code))


def test_every_code_is_raised_by_a_test() -> None:
    stated = {case.code for case in CASES if case.code is not None}
    assert stated | ELSEWHERE.keys() | CALLS.keys() == set(Code)
    assert not stated & (ELSEWHERE.keys() | CALLS.keys())
    assert not ELSEWHERE.keys() & CALLS.keys()


def test_every_row_has_a_case_or_waits_and_never_both() -> None:
    covered = {case.row for case in CASES} | {sweep.row for sweep in SWEEPS}
    waiting = LATER.keys() | STRUCK.keys()
    assert sorted(ROWS - covered - waiting) == []
    assert sorted(covered & waiting) == []
    assert sorted((covered | waiting) - ROWS) == []
