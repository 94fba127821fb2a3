"""A process that dies in the middle of its work leaves nothing half-written, loses nothing, and revives nothing.

For longer, and with a dying PostgreSQL: ``python -m tests.soak crash``.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

from .harness import crash_after_each_statement, crash_at_random
from .plan import Variant, make_plan
from .verdict import Verdict

CRASHES = 20
STATEMENTS = 30  # all of two registrations and a sign-in


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'passkeys.db'}"
    return str(request.getfixturevalue("postgres"))


def total(verdicts: Iterable[Verdict]) -> Verdict:
    sum = Verdict()
    for verdict in verdicts:
        sum.add(verdict)
    return sum


def test_killed_at_random_moments_a_process_leaves_every_ceremony_done_or_not_begun_or_spent(database: str) -> None:
    found = total(crash_at_random(database, CRASHES, seed=1))
    assert found.violations == []
    assert found.crashes == CRASHES
    assert found.done > CRASHES, "the children came to do something"


@pytest.mark.parametrize("variant", [Variant(sealed=True, events=False), Variant(sealed=False, events=True)], ids=str)
def test_killed_after_any_statement_a_process_leaves_every_ceremony_done_or_not_begun_or_spent(
    database: str, variant: Variant
) -> None:
    found = total(crash_after_each_statement(database, variant, STATEMENTS))
    assert found.violations == []
    assert found.crashes == STATEMENTS
    assert min(found.applied, found.spent) > 0, "some were cut off before the commit and some after it"


def test_the_plan_is_the_same_in_every_process() -> None:
    """Or the responses that are sent again would be others than those that the child sent."""
    first, second = make_plan(users=2), make_plan(users=2)
    assert first == second
    assert {step.kind for step in first.steps} == {step.kind for step in make_plan().steps}
