"""The verdict on a crash finds what a crash may not leave behind: each damage is made by hand, in a file of SQLite."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import soak

from .child import Task
from .plan import Steps, Variant, make_plan
from .verdict import Database, Log, Verdict, judge

PLAN = make_plan(users=1)
VARIANT = Variant(sealed=False, events=True)
TAKEN = 2  # an account with a passkey, and a sign-in with it


@dataclass
class Left:
    """What a process left behind that took the first steps, and was cut off in the next one before its finish."""

    path: Path
    log: Log
    steps: Steps

    def write(self, statement: str) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute(statement)
        connection.close()

    def revive(self) -> None:
        self.write("UPDATE passkeys SET sign_count = 0, last_used_at = NULL")
        self.repeat_start()

    def repeat_start(self) -> None:
        self.steps.start(PLAN.steps[1])

    def take_next(self) -> None:
        self.steps.finish(PLAN.steps[TAKEN], None)

    def report_next(self) -> None:
        self.log.done.add(TAKEN)

    def fail_to_report(self) -> None:
        self.log.started.clear()
        self.log.done.clear()


@pytest.fixture
def left(tmp_path: Path) -> Left:
    database = Database(f"sqlite:///{tmp_path / 'passkeys.db'}")
    steps = Steps(database.repository, VARIANT, "realm")
    for step in PLAN.steps[:TAKEN]:
        steps.start(step)
        steps.finish(step, None)
    steps.start(PLAN.steps[TAKEN])
    database.repository.close()
    log = Log(started=dict.fromkeys(range(TAKEN + 1)), done=set(range(TAKEN)))
    return Left(tmp_path / "passkeys.db", log, steps)


def judged(left: Left) -> Verdict:
    url = f"sqlite:///{left.path}"
    return judge(Database(url), PLAN, Task(url, "realm", VARIANT), left.log)


def test_a_ceremony_cut_off_before_its_finish_may_be_finished_once(left: Left) -> None:
    verdict = judged(left)
    assert verdict.violations == []
    assert (verdict.done, verdict.applied, verdict.spent, verdict.untouched) == (TAKEN, 0, 0, 1)


def test_a_ceremony_cut_off_after_its_commit_counts_as_applied(left: Left) -> None:
    left.take_next()
    verdict = judged(left)
    assert verdict.violations == []
    assert (verdict.applied, verdict.untouched) == (1, 0)


def test_a_ceremony_whose_challenge_is_gone_counts_as_spent(left: Left) -> None:
    left.write("DELETE FROM passkey_ceremonies")
    verdict = judged(left)
    assert verdict.violations == []
    assert verdict.spent == 1


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (Left.report_next, "reported as done, and not there"),
        (lambda left: left.write("DELETE FROM passkeys"), "a user without the passkey"),
        (lambda left: left.write("DELETE FROM passkey_users"), "a passkey without its user"),
        (lambda left: left.write("UPDATE passkeys SET sign_count = 0"), "a passkey that is not as planned"),
        (lambda left: left.write("UPDATE passkeys SET last_used_at = NULL"), "reported as done, and not there"),
        (lambda left: left.write("UPDATE passkeys SET name = 'other'"), "a passkey that is not as planned"),
        (lambda left: left.write("UPDATE passkey_users SET name = 'other'"), "the user is not as planned"),
        (lambda left: left.write("DELETE FROM passkey_events"), "other events of passkey.registered"),
        (Left.fail_to_report, "there, and never begun"),
        (Left.repeat_start, "answered with"),
        (Left.revive, "its challenge was accepted a second time"),
    ],
)
def test_each_damage_is_found(left: Left, damage: Callable[[Left], None], found: str) -> None:
    damage(left)
    assert any(found in violation for violation in judged(left).violations)


class TestSoak:
    def test_crashes_also_those_of_a_server_are_survived_and_reported(
        self, postgres: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The fixture only says whether there is a PostgreSQL: this one is crashed, so it has its own."""
        assert soak.main(["crash", "--kills", "2", "--server-every", "1"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(",")[0] for line in lines] == ["sqlite: 2 kills", "postgresql: 2 kills"]

    def test_a_broken_rule_fails_the_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert not soak.reported("sqlite", [Verdict(crashes=1), Verdict(crashes=1, violations=["lost"])])
        assert capsys.readouterr().out.startswith("sqlite: VIOLATION: lost\nsqlite: 2 kills")

    @pytest.mark.parametrize("arguments", [[], ["nonsense"], ["crash", "--kills", "0"], ["crash", "--kills", "x"]])
    def test_misuse(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as exit:
            soak.main(arguments)
        assert exit.value.code == 2
