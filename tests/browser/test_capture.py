"""What `capture` writes down is a vector file, and each of its cases turns out as it says."""

from pathlib import Path

from passkeycore.testing.vectors import VectorCase, read_vectors, write_vectors
from tests.test_captured_vectors import check

from .capture import capture
from .chromium import Chromium


def test_every_case_is_captured_and_judged(chromium: Chromium, tmp_path: Path) -> None:
    cases = capture(chromium)
    path = tmp_path / "captured.jsonl"
    write_vectors(path, cases)
    assert [case.name for case in read_vectors(path) if isinstance(case, VectorCase)] == [
        case["name"] for case in cases
    ]
    for case in cases:
        check(case)
