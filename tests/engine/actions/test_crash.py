"""A process that is killed anywhere in a flow leaves the action as it was, or done; what it spent stays spent.

It is killed by SIGKILL after each of its statements over SQLite, some of which come before their commit. Between the
ceremony and the action it leaves a spent ceremony and an action that still waits: the user tries again.
"""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from passkeycore import PasskeyError
from passkeycore.actions import ActionState
from passkeycore.engine.actions.records import Action
from passkeycore.repositories.sql import SQLRepository
from passkeycore.testing import SoftwareDevice, VirtualClient
from passkeycore.testing.contract.samples import realm
from tests.engine.kit import NOW, Json, browser

from .dying import Task
from .kit import Stage, answer_of

_ROOT: Final = Path(__file__).parents[3]
_MOST_STATEMENTS: Final = 40
REQUIRED, SUCCEEDED = ActionState.CHALLENGE_REQUIRED, ActionState.CHALLENGE_SUCCEEDED
FAILED = ActionState.CHALLENGE_FAILED


@pytest.fixture(scope="module")
def forking() -> Iterator["subprocess.Popen[bytes]"]:
    """The process that forks those that die."""
    command = [sys.executable, "-m", "tests.engine.actions.dying"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()


class Crashes:
    """Ada over a file, and what she began and others finish."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]", *, store_events: bool) -> None:
        self.repository = SQLRepository(url, create=True)
        self._task = Task(url, realm(), store_events, "", {}, 0)
        self._process = process
        self.stage = Stage(
            "sync", repository=self.repository, realm=self._task.realm, random=None, store_events=store_events
        )
        self.client: VirtualClient = self.stage.register()
        self.phone: SoftwareDevice = self.stage.enrol()

    def survives(self, deed: str, more: Json, kill_after: int) -> bool:
        """Whether a process came to the end of the deed before its time."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        at = int((self.stage.clock.at - NOW).total_seconds())
        stdin.write(self._task._replace(deed=deed, more=more, kill_after=kill_after, at=at).to_line())
        stdin.flush()
        status = int(stdout.readline())
        assert status in (0, signal.SIGKILL), "it neither ended nor was killed: it failed"
        return status == 0

    def everywhere(self, story: Callable[[int], tuple[bool, str]]) -> Counter[str]:
        """What was found after each crash, by its name."""
        found: Counter[str] = Counter()
        for number in range(1, _MOST_STATEMENTS):
            survived, what = story(number)
            if survived:
                assert number > 3, "it was killed in the middle of its work"
                return found
            found[what] += 1
        pytest.fail("it has no end")


@pytest.fixture(params=[False, True], ids=["without events", "with events"])
def crashes(request: pytest.FixtureRequest, tmp_path: Path, forking: "subprocess.Popen[bytes]") -> Iterator[Crashes]:
    made = Crashes(f"sqlite:///{tmp_path / 'actions.db'}", forking, store_events=request.param)
    yield made
    made.repository.close()


def code_of(call: Callable[[], object]) -> str | None:
    """Why the call was refused; None: it was not."""
    try:
        call()
    except PasskeyError as error:
        return str(error.code)
    return None


def in_state(action: Action, *states: ActionState) -> str:
    assert action.state in states
    return action.state.value


def test_between_ceremony_and_action_the_action_still_waits(crashes: Crashes) -> None:
    stage = crashes.stage

    def story(number: int) -> tuple[bool, str]:
        stage.clock.move(seconds=1)
        tracked = stage.track()
        body = stage.signed(tracked, crashes.client)
        survived = crashes.survives("finish_passkey_challenge", {"token": tracked.token, "body": body}, number)
        now = stage.now(tracked)
        what = in_state(now, REQUIRED, SUCCEEDED)
        if now.state is SUCCEEDED:
            assert (now.method, now.attempts) == ("passkey", 0)
            return survived, what
        assert now == tracked.action
        signed_in = stage.passkey_of().last_used_at == stage.clock.at
        again = code_of(lambda: stage.actions.finish_passkey_challenge(tracked.token, body))
        if again is None:
            return survived, "not begun"
        assert again == "challenge_unknown"
        met = stage.meet(tracked, crashes.client)
        assert stage.validate(met, consume=True).attempts == 1
        return survived, "signed in" if signed_in else "spent"

    assert crashes.everywhere(story).keys() >= {"not begun", "spent", "signed in"}


def test_between_approval_and_action_the_action_still_waits(crashes: Crashes) -> None:
    stage = crashes.stage

    def story(number: int) -> tuple[bool, str]:
        tracked = stage.track()
        started = stage.ask(tracked)
        stage.answer(started, crashes.phone)
        more = {"token": tracked.token, "challenge_id": started.challenge_id}
        survived = crashes.survives("finish_device_challenge", more, number)
        now = stage.now(tracked)
        if in_state(now, REQUIRED, SUCCEEDED) == SUCCEEDED:
            return survived, "done"
        assert now == tracked.action
        again = code_of(lambda: stage.actions.finish_device_challenge(**more))
        if again is None:
            return survived, "not begun"
        assert again == "challenge_unknown"
        assert stage.validate(stage.approve(tracked, crashes.phone), consume=True)
        return survived, "spent"

    assert crashes.everywhere(story).keys() >= {"not begun", "spent"}


@pytest.mark.parametrize("who", ["the device", "whoever waits"])
def test_a_signed_no_is_never_lost(crashes: Crashes, who: str) -> None:
    """It is stored before the action ends: who says it, or asks for it, once more, ends the action."""
    stage = crashes.stage

    def story(number: int) -> tuple[bool, str]:
        tracked = stage.track()
        started = stage.ask(tracked)
        answer: dict[str, Any] = {
            "challenge_id": started.challenge_id,
            **answer_of(started, crashes.phone, "reject"),
        }
        survived = crashes.survives("answer_device_challenge", answer, number)
        ended = in_state(stage.now(tracked), REQUIRED, FAILED) == FAILED
        if who == "the device":
            again = code_of(lambda: stage.actions.answer_device_challenge(**answer))
            assert again in (None, "challenge_unknown")
            stored = again == "challenge_unknown"
        else:
            found = code_of(lambda: stage.actions.finish_device_challenge(tracked.token, started.challenge_id))
            assert found in (None, "challenge_rejected")
            stored = found == "challenge_rejected"
        assert stored or not ended, "no action ends before the answer is stored"
        in_state(stage.now(tracked), FAILED if stored or who == "the device" else REQUIRED)
        if not stored and who == "whoever waits":
            stage.actions.cancel_challenge(tracked.token, started.challenge_id)  # so that not too many wait
        return survived, "done" if ended else "half" if stored else "not begun"

    assert crashes.everywhere(story).keys() >= {"not begun", "half"}


def test_a_success_is_used_up_or_not(crashes: Crashes) -> None:
    stage = crashes.stage

    def story(number: int) -> tuple[bool, str]:
        met = stage.meet(stage.track(), crashes.client)
        survived = crashes.survives("validate_challenge", {"token": met.token, "consume": True}, number)
        used = stage.now(met.action).consumed_at is not None
        assert code_of(lambda: stage.validate(met, consume=True)) == ("token_invalid" if used else None)
        return survived, "used" if used else "not used"

    assert "not used" in crashes.everywhere(story)


def test_a_passkey_is_enrolled_or_not(crashes: Crashes) -> None:
    stage = crashes.stage

    def story(number: int) -> tuple[bool, str]:
        tracked = stage.track(user_id=f"user-{number}")
        new = browser(f"user-{number}")
        start = stage.actions.start_passkey_enrolment(tracked.token, user_name="name")
        more = {"token": tracked.token, "body": new.create(start.to_dict())}
        survived = crashes.survives("finish_passkey_enrolment", more, number)
        passkeys = stage.passkeys.list_passkeys(tracked.action.user_id)
        assert stage.now(tracked) == tracked.action
        if passkeys:
            assert code_of(lambda: stage.actions.finish_passkey_enrolment(**more)) == "scope_missing"
            assert stage.meet(tracked, new)
            return survived, "done"
        again = code_of(lambda: stage.actions.finish_passkey_enrolment(**more))
        assert again in (None, "challenge_unknown")
        return survived, "not begun" if again is None else "spent"

    assert crashes.everywhere(story).keys() >= {"not begun", "spent"}
