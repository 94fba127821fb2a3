"""A challenge fails by a signed no, by its last attempt, or by time, and by nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest

from passkeycore import ActionError, PasskeyError
from passkeycore.actions import ActionState
from passkeycore.engine.actions.records import ActionFilter
from passkeycore.engine.actions.steps import purpose_of
from passkeycore.engine.actions.tracking import TrackedAction
from passkeycore.engine.checks import OwnPurpose
from passkeycore.testing import SoftwareDevice
from tests.engine.kit import NOW, Colour

from .cast import Cast
from .kit import TOKENS, Stage, answer_of, forged, refused

S = ActionState
WAITING: Final = ("pay", "look")
"""Words of actions that can be met: of one that has to be, and of one that is allowed anyway."""


def writes_of(stage: Stage) -> list[str]:
    """By which methods actions are written from now on."""
    written: list[str] = []
    for name in ("replace_action", "record_failure"):
        stage.before[name] = lambda *_, name=name: written.append(name)
    return written


class TestRejection:
    @pytest.mark.parametrize("word", WAITING)
    def test_a_signed_no_ends_the_action_at_once(self, cast: Cast, word: str) -> None:
        """Also one that was allowed: where its user was asked, their no is a no."""
        stage, tracked = cast.stage, cast.stage.track(word)
        body = stage.signed(tracked, cast.client)
        started = stage.ask(tracked)
        stage.clock.move(seconds=1)
        stage.answer(started, cast.phone, "reject")
        failed = stage.now(tracked)
        assert (failed.state, failed.attempts) == (S.CHALLENGE_FAILED, 0)
        assert failed.last_failure_at == failed.state_updated_at == NOW + timedelta(seconds=1)
        with refused("challenge_rejected", stage):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        with refused("action_state", stage):
            stage.actions.finish_passkey_challenge(tracked.token, body)

    def test_no_answer_passes_the_action_by(self, cast: Cast) -> None:
        """The devices' service, which knows of no actions, does not take it."""
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        for decision in ("approve", "reject"):
            with refused("challenge_unknown", stage):
                stage.devices.answer_challenge(started.challenge_id, **answer_of(started, cast.phone, decision))

    def test_what_waits_for_no_challenge_any_more_stays_as_it_is(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        met = stage.meet(tracked, cast.client)
        assert stage.answer(started, cast.phone, "reject").decision == "reject"
        assert stage.now(tracked) == met.action
        assert stage.validate(met)
        with refused("challenge_rejected", stage):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)

    def test_one_that_nobody_signed_ends_nothing(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        stranger = SoftwareDevice("stranger", domain="example.org", method="push")
        yes = cast.phone.answer(started.challenge_id, "approve", purpose=started.challenge.purpose)
        for changes in ({"signature": yes}, {"signature": b""}):
            with refused("signature_invalid", stage, attempts=1, but=["device challenges"]):
                stage.answer(started, cast.phone, "reject", **changes)
        with refused("signature_invalid", stage):
            stage.answer(started, cast.phone, "reject", public_key=stranger.public_key)
        with refused("signature_invalid", stage):
            stage.answer(started, stranger, "reject")
        assert stage.now(tracked).state is S.CHALLENGE_REQUIRED

    def test_nor_does_one_of_another_question(self, cast: Cast) -> None:
        """A purpose that only looks like that of an action, or is another user's, ends no action."""
        stage = cast.stage
        tracked = stage.track()
        eve = stage.enrol("eve")
        no_names = OwnPurpose("passkeycore/action "), OwnPurpose(purpose_of(tracked.action) + "1:a")
        for purpose in ("pay", None, "", *no_names):
            started = stage.devices.start_challenge(method="push", user_id="ada", purpose=purpose)
            stage.answer(started, cast.phone, "reject")
        started = stage.devices.start_challenge(method="push", user_id="eve", purpose=purpose_of(tracked.action))
        stage.answer(started, eve, "reject")
        assert stage.now(tracked) == tracked.action

    def test_an_action_that_is_gone_is_no_fault_of_the_devices(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        stage.memory._actions.clear()
        assert stage.answer(started, cast.phone, "reject").decision == "reject"


class TestAttempts:
    SPOILS: Final[dict[str, Callable[[Cast, TrackedAction], object]]] = {
        "a bad signature": lambda cast, tracked: cast.stage.actions.finish_passkey_challenge(
            tracked.token, forged(cast.stage.signed(tracked, cast.client))
        ),
        "no ceremony": lambda cast, tracked: cast.stage.actions.finish_passkey_challenge(
            tracked.token, cast.client.get(cast.stage.passkeys.start_authentication(user_id="ada").to_dict())
        ),
        "a cancel": lambda cast, tracked: cast.stage.actions.cancel_challenge(tracked.token),
        "a cancel of a device's": lambda cast, tracked: cast.stage.actions.cancel_challenge(
            tracked.token, cast.stage.ask(tracked).challenge_id
        ),
        "a bad signature of a device": lambda cast, tracked: cast.stage.answer(
            cast.stage.ask(tracked), cast.phone, signature=b""
        ),
        "a wrong code": lambda cast, tracked: cast.mistype(cast.stage.ask(tracked, number_matching=True)),
    }

    @staticmethod
    def spoil(cast: Cast, tracked: TrackedAction, how: str) -> None:
        if "cancel" in how:
            TestAttempts.SPOILS[how](cast, tracked)
            return
        with pytest.raises(PasskeyError):
            TestAttempts.SPOILS[how](cast, tracked)

    @pytest.mark.parametrize("word", WAITING)
    @pytest.mark.parametrize("how", SPOILS)
    def test_each_counts_and_the_last_one_ends_it(self, cast: Cast, how: str, word: str) -> None:
        stage, tracked = cast.stage, cast.stage.track(word)
        for number in range(1, 5):
            stage.clock.move(seconds=1)
            self.spoil(cast, tracked, how)
            now = stage.now(tracked)
            assert (now.state, now.attempts, now.state_updated_at) == (tracked.state, number, NOW)
            assert now.last_failure_at == stage.clock.at
        body = stage.signed(tracked, cast.client)
        stage.clock.move(seconds=1)
        self.spoil(cast, tracked, how)
        failed = stage.now(tracked)
        assert (failed.state, failed.attempts) == (S.CHALLENGE_FAILED, 5)
        assert failed.last_failure_at == failed.state_updated_at == NOW + timedelta(seconds=5)
        with refused("action_state", stage):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        with refused("action_state", stage):
            stage.actions.cancel_challenge(tracked.token)

    def test_whatever_goes_wrong_counts_together(self, cast: Cast) -> None:
        tracked = cast.stage.track()
        for number, how in enumerate(list(self.SPOILS)[-5:], 1):
            assert cast.stage.now(tracked).state is S.CHALLENGE_REQUIRED
            self.spoil(cast, tracked, how)
            assert cast.stage.now(tracked).attempts == number
        assert cast.stage.now(tracked).state is S.CHALLENGE_FAILED

    def test_an_attempt_before_the_last_leaves_a_way(self, cast: Cast) -> None:
        tracked = cast.stage.track()
        for how in list(self.SPOILS)[:4]:
            self.spoil(cast, tracked, how)
        met = cast.stage.meet(tracked, cast.client)
        assert (met.action.state, met.action.attempts) == (S.CHALLENGE_SUCCEEDED, 4)

    def test_a_record_that_others_changed_every_time_is_nobodys_failure(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        body = stage.signed(tracked, cast.client)
        stage.before["advance_passkey"] = lambda *_: False
        with refused("conflict", stage):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        assert stage.now(tracked) == tracked.action

    def test_how_many_is_a_setting(self, colour: Colour) -> None:
        cast = Cast(colour, actions={"max_attempts": 1})
        tracked = cast.stage.track()
        self.spoil(cast, tracked, "a cancel")
        assert cast.stage.now(tracked).state is S.CHALLENGE_FAILED

    @pytest.mark.parametrize("how", [*SPOILS, "a no"])
    def test_what_went_wrong_is_written_as_a_failure(self, cast: Cast, how: str) -> None:
        """So that it lasts, whatever becomes of the transaction of whoever failed."""
        stage, tracked = cast.stage, cast.stage.track()
        written = writes_of(stage)
        for number in range(1, 2 if how == "a no" else 6):
            if how == "a no":
                cast.reject(tracked)
            else:
                self.spoil(cast, tracked, how)
            assert written == ["record_failure"] * number
        assert stage.now(tracked).state is S.CHALLENGE_FAILED

    @pytest.mark.parametrize("what", ["a passkey's proof", "a device's proof", "what is used up", "a review"])
    def test_what_went_well_is_not(self, cast: Cast, what: str) -> None:
        """It is in the transaction of whoever acts on it."""
        stage, tracked = cast.stage, cast.stage.track("borrow" if what == "a review" else "pay")
        met = cast.stage.meet(tracked, cast.client) if what == "what is used up" else None
        written = writes_of(stage)
        if met is not None:
            stage.validate(met, consume=True)
        elif what == "a review":
            cast.review(tracked, S.REVIEW_FAILED)
        elif what == "a passkey's proof":
            stage.meet(tracked, cast.client)
        else:
            stage.approve(tracked, cast.phone)
        assert written == ["replace_action"]

    def test_those_of_another_action_are_its_own(self, cast: Cast) -> None:
        tracked, other = cast.stage.track(), cast.stage.track()
        self.spoil(cast, tracked, "a cancel")
        assert cast.stage.now(other) == other.action


class TestExpiry:
    def test_from_its_end_on_a_challenge_has_failed_though_nobody_wrote_it(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        stage.clock.at = tracked.action.expires_at - timedelta(microseconds=1)
        assert stage.now(tracked).state is S.CHALLENGE_REQUIRED
        stage.clock.at = tracked.action.expires_at
        before = stage.stored()
        seen = [stage.now(tracked), *stage.actions.list_actions(ActionFilter(states=(S.CHALLENGE_FAILED,))).actions]
        assert [(one.state, one.state_updated_at) for one in seen] == [(S.CHALLENGE_FAILED, stage.clock.at)] * 2
        assert stage.stored() == before

    def test_who_validates_sees_it_too(self, cast: Cast) -> None:
        """Whatever the token says, should it be good for longer."""
        stage, tracked = cast.stage, cast.stage.track()
        claims = TOKENS.read("passkeycore/action", tracked.token, now=NOW)
        longer = TOKENS.issue("passkeycore/action", claims, expires_at=NOW + timedelta(hours=1), now=NOW)
        stage.clock.at = tracked.action.expires_at
        with refused("action_state", stage) as caught:
            stage.actions.validate_challenge(longer)
        assert isinstance(caught.value, ActionError)
        assert caught.value.state == "CHALLENGE_FAILED"
        for call in (stage.actions.start_passkey_challenge, stage.actions.cancel_challenge):
            with refused("action_state", stage):
                call(longer)

    def test_a_proof_that_comes_too_late_is_none(self, cast: Cast) -> None:
        """What expires between the look at the token and the write, fails; and then that is written."""
        stage, tracked = cast.stage, cast.stage.track()
        body = stage.signed(tracked, cast.client)

        def wait(*_: object) -> None:
            stage.before.clear()
            stage.clock.at = tracked.action.expires_at

        stage.before["advance_passkey"] = wait
        with refused("action_state"):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        (stored,) = stage.all_actions().values()
        assert (stored.state, stored.state_updated_at) == (S.CHALLENGE_FAILED, tracked.action.expires_at)

    @pytest.mark.parametrize(("how", "at"), [("reject", "find_action"), ("cancel", "replace_device_challenge")])
    def test_nor_do_a_no_and_a_cancel_count_then(self, cast: Cast, how: str, at: str) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        stage.clock.move(minutes=9)
        started = stage.ask(tracked)

        def wait(*_: object) -> None:
            stage.before.clear()
            stage.clock.at = tracked.action.expires_at

        stage.before[at] = wait
        if how == "reject":
            stage.answer(started, cast.phone, "reject")
        else:
            stage.actions.cancel_challenge(tracked.token, started.challenge_id)
        (stored,) = stage.all_actions().values()
        assert stored == tracked.action
        assert stage.now(tracked).state_updated_at == tracked.action.expires_at

    @pytest.mark.parametrize("state", [state for state in ActionState if state is not S.CHALLENGE_REQUIRED])
    def test_nothing_else_expires(self, cast: Cast, state: ActionState) -> None:
        tracked = cast.brought_to(state)
        before = cast.stage.now(tracked)
        cast.stage.clock.move(days=365)
        assert cast.stage.now(tracked) == before
