"""Every case of the tables and every sweep, one test each."""

import pytest

from .harness import Case, check
from .sweeps import SWEEPS, Sweep
from .tables import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_one_change_ends_in_one_code(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.id)
def test_many_changes_of_a_kind(sweep: Sweep) -> None:
    sweep.run()
