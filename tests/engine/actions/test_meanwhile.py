"""What others do between two steps of a flow, storage that fails, and a process that dies between two writes."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace

from passkeycore.actions import ActionState
from passkeycore.engine.actions.challenges import MetChallenge
from passkeycore.engine.actions.records import Action
from passkeycore.engine.devices.challenges import StartedDeviceChallenge
from passkeycore.engine.run import run
from passkeycore.testing import SoftwareDevice
from tests.engine.kit import NOW

from .cast import Cast
from .kit import DOMAIN, SCOPE, Stage, answer_of, forged, refused

OTHER: Final = SoftwareDevice("ada's other telephone", domain=DOMAIN, method="push")


def elsewhere(stage: Stage) -> Stage:
    """Another server over the same storage."""
    return Stage(stage.colour, memory=stage.memory, clock=stage.clock, seed="elsewhere", call=run)


class DownError(Exception):
    """What a driver raises."""


def down(*_: object) -> None:
    raise DownError("no connection")


def changed_by_another(stage: Stage, times: int = 1, **members: object) -> list[Action]:
    """Before the next writes of an action, so often, somebody else writes it first. What they wrote."""
    written: list[Action] = []

    def be_quicker(action: Action, *_: object) -> None:
        if len(written) < times:
            stored = stage.memory.find_action(action.realm, action.user_id, action.action, action.idempotency_key)
            assert stored is not None
            other = replace(stored, revision=stored.revision + 1, **members)
            assert stage.memory.replace_action(other, None)
            written.append(other)

    stage.before["replace_action"] = stage.before["record_failure"] = be_quicker
    return written


class TestBetweenTwoWrites:
    """The ceremony is spent and the action still waits: fail closed, and the user tries again."""

    def test_after_the_ceremony_of_a_passkey(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        body = stage.signed(tracked, cast.client)
        stage.before["replace_action"] = down
        with pytest.raises(DownError):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        stage.before.clear()
        assert stage.now(tracked) == tracked.action
        assert stage.passkey_of().last_used_at == NOW, "the ceremony took place"
        with refused("challenge_unknown", stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        met = stage.meet(tracked, cast.client)
        assert stage.validate(met, consume=True).state is ActionState.CHALLENGE_SUCCEEDED

    def test_after_the_approval_of_a_device(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        stage.answer(started, cast.phone)
        stage.before["replace_action"] = down
        with pytest.raises(DownError):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        stage.before.clear()
        assert stage.now(tracked) == tracked.action
        with refused("challenge_unknown", stage):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        assert stage.validate(stage.approve(tracked, cast.phone))

    @pytest.mark.parametrize("who", ["the device", "whoever waits"])
    def test_after_a_rejection_that_ended_nothing_yet(self, cast: Cast, who: str) -> None:
        """It is stored: the device that says it once more, or whoever asks for the answer, ends the action."""
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        stage.before["record_failure"] = down
        with pytest.raises(DownError):
            stage.answer(started, cast.phone, "reject")
        stage.before.clear()
        assert stage.now(tracked) == tracked.action
        if who == "the device":
            with refused("challenge_unknown"):
                stage.answer(started, cast.phone, "reject")
        else:
            with refused("challenge_rejected"):
                stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        failed = stage.now(tracked)
        assert (failed.state, failed.attempts) == (ActionState.CHALLENGE_FAILED, 0)
        with refused("challenge_unknown", stage):
            stage.answer(started, cast.phone, "reject")

    def test_nobody_else_says_it_once_more(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        other, started = stage.enrol(seed="another"), stage.ask(tracked)
        stage.before["record_failure"] = down
        with pytest.raises(DownError):
            stage.answer(started, cast.phone, "reject")
        stage.before.clear()
        with refused("signature_invalid", stage):
            stage.answer(started, other, "reject")
        with refused("signature_invalid", stage):
            stage.answer(started, cast.phone, "reject", signature=b"")
        with refused("challenge_unknown", stage):
            stage.answer(started, cast.phone)

    def test_before_a_rejection_is_stored_nothing_has_ended(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        before = stage.stored()
        stage.before["replace_device_challenge"] = down
        with pytest.raises(DownError):
            stage.answer(started, cast.phone, "reject")
        stage.before.clear()
        assert stage.stored() == before
        assert stage.answer(started, cast.phone, "reject").decision == "reject"
        assert stage.now(tracked).state is ActionState.CHALLENGE_FAILED

    def test_after_a_bad_answer(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        body = forged(stage.signed(tracked, cast.client))
        stage.before["record_failure"] = down
        with pytest.raises(DownError):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        assert stage.now(tracked) == tracked.action

    def test_before_a_success_is_used_up(self, cast: Cast) -> None:
        stage = cast.stage
        met = stage.meet(stage.track(), cast.client)
        stage.before["replace_action"] = down
        with pytest.raises(DownError):
            stage.validate(met, consume=True)
        stage.before.clear()
        assert stage.validate(met, consume=True)

    def test_of_a_sign_in_that_is_none_then(self, cast: Cast) -> None:
        stage = cast.stage
        start = stage.actions.start_passkey_sign_in("sign-in", binding="s")
        body = cast.client.get(start.to_dict())
        stage.before["replace_action"] = down
        with pytest.raises(DownError):
            stage.actions.finish_passkey_sign_in("sign-in", body, binding="s")
        (action,) = stage.all_actions().values()
        assert (action.state, action.method) == (ActionState.CHALLENGE_REQUIRED, None)

    @pytest.mark.parametrize("method", ["find_account", "list_devices", "add_action"])
    def test_before_an_action_is_stored(self, cast: Cast, method: str) -> None:
        cast.stage.before[method] = down
        with pytest.raises(DownError):
            cast.stage.track()
        assert cast.stage.all_actions() == {}


class TestCancellation:
    """A task that is cancelled between the ceremony and the action leaves the action waiting."""

    def test_at_the_write_of_the_action(self) -> None:
        cast = Cast("async")
        stage, tracked = cast.stage, cast.stage.track()
        body = stage.signed(tracked, cast.client)

        async def story() -> None:
            reached = asyncio.Event()

            async def wait() -> None:
                reached.set()
                await asyncio.Event().wait()

            stage.before["replace_action"] = lambda *_: wait()
            task = asyncio.create_task(stage.actions.service.finish_passkey_challenge(tracked.token, body))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(story())
        stage.before.clear()
        assert stage.now(tracked) == tracked.action
        assert stage.meet(tracked, cast.client)


class TestLostRaces:
    """Who lost reads again, and what is there meanwhile counts."""

    def meet(self, cast: Cast) -> tuple[Action, Callable[[], MetChallenge]]:
        tracked = cast.stage.track()
        body = cast.stage.signed(tracked, cast.client)
        return tracked.action, lambda: cast.stage.actions.finish_passkey_challenge(tracked.token, body)

    def test_a_proof_is_written_over_an_attempt(self, cast: Cast) -> None:
        _, finish = self.meet(cast)
        changed_by_another(cast.stage, attempts=1)
        met = finish()
        assert (met.action.state, met.action.attempts) == (ActionState.CHALLENGE_SUCCEEDED, 1)
        assert cast.stage.validate(met)

    @pytest.mark.parametrize("state", [ActionState.CHALLENGE_SUCCEEDED, ActionState.CHALLENGE_FAILED])
    def test_but_over_no_other_end(self, cast: Cast, state: ActionState) -> None:
        action, finish = self.meet(cast)
        (other,) = [changed_by_another(cast.stage, state=state)]
        with refused("action_state"):
            finish()
        assert [cast.stage.now(action)] == other

    def test_an_action_that_is_gone_is_not_proven(self, cast: Cast) -> None:
        _, finish = self.meet(cast)
        cast.stage.before["replace_action"] = lambda *_: cast.stage.memory._actions.clear()
        with refused("action_not_found"):
            finish()

    def test_nor_counted(self, cast: Cast) -> None:
        tracked = cast.stage.track()
        cast.stage.before["record_failure"] = lambda *_: cast.stage.memory._actions.clear()
        with refused("action_not_found"):
            cast.stage.actions.cancel_challenge(tracked.token)

    def test_no_attempt_is_lost(self, cast: Cast) -> None:
        tracked = cast.stage.track()
        changed_by_another(cast.stage, attempts=1)
        cast.stage.actions.cancel_challenge(tracked.token)
        assert cast.stage.now(tracked).attempts == 2

    def test_an_attempt_at_what_ended_meanwhile_is_none(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        (other,) = [changed_by_another(stage, state=ActionState.CHALLENGE_SUCCEEDED)]
        stage.actions.cancel_challenge(tracked.token)
        assert [stage.now(tracked)] == other

    def test_a_rejection_of_what_ended_meanwhile_stays_a_rejection(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        (other,) = [changed_by_another(stage, state=ActionState.CHALLENGE_SUCCEEDED)]
        assert stage.answer(started, cast.phone, "reject").decision == "reject"
        assert [stage.now(tracked)] == other

    def test_a_review_is_given_once(self, cast: Cast) -> None:
        tracked = cast.stage.track("borrow")
        (other,) = [changed_by_another(cast.stage, state=ActionState.REVIEW_FAILED)]
        with refused("action_state"):
            cast.review(tracked, ActionState.REVIEW_SUCCEEDED)
        assert [cast.stage.now(tracked)] == other

    def test_a_success_that_somebody_else_has_just_used_up_is_used_up(self, cast: Cast) -> None:
        met = cast.stage.meet(cast.stage.track(), cast.client)
        changed_by_another(cast.stage, consumed_at=NOW)
        with refused("token_invalid"):
            cast.stage.validate(met, consume=True)

    @pytest.mark.parametrize("what", ["a proof", "a cancel", "a review", "a rejection"])
    def test_who_loses_every_time_is_told_so(self, cast: Cast, what: str) -> None:
        """And there is an end to it."""
        stage = cast.stage
        tracked = stage.track("borrow" if what == "a review" else "pay")
        calls: dict[str, Callable[[], Any]] = {
            "a cancel": lambda: stage.actions.cancel_challenge(tracked.token),
            "a review": lambda: cast.review(tracked, ActionState.REVIEW_FAILED),
        }
        if what == "a proof":
            body = stage.signed(tracked, cast.client)
            calls[what] = lambda: stage.actions.finish_passkey_challenge(tracked.token, body)
        if what == "a rejection":
            started = stage.ask(tracked)
            calls[what] = lambda: stage.actions.answer_device_challenge(
                started.challenge_id, **answer_of(started, cast.phone, "reject")
            )
        written = changed_by_another(stage, times=1000)
        with refused("conflict"):
            calls[what]()
        assert 3 <= len(written) < 100
        assert stage.now(tracked) == written[-1]


class TestBetweenLookAndUse:
    def test_a_user_who_is_disabled_during_the_ceremony_meets_nothing(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        body = stage.signed(tracked, cast.client)

        def disable(*_: object) -> None:
            stage.before.clear()
            stage.memory.set_user_disabled("", "ada", NOW, None)

        stage.before["advance_passkey"] = disable
        with refused("user_disabled"):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        assert stage.now(tracked).state is ActionState.CHALLENGE_REQUIRED

    def test_what_was_removed_between_the_proof_and_the_action_shows_at_the_end(self, cast: Cast) -> None:
        """The success is stored, and proves nothing: whoever asks for it hears that."""
        stage, tracked = cast.stage, cast.stage.track()
        body = stage.signed(tracked, cast.client)
        id = stage.passkey_of().credential_id
        stage.before["replace_action"] = lambda *_: stage.memory.remove_passkey("", "ada", id, None) and None
        met = stage.actions.finish_passkey_challenge(tracked.token, body)
        stage.before.clear()
        with refused("token_invalid", stage):
            stage.validate(met)
        with refused("token_invalid", stage):
            stage.actions.start_passkey_enrolment(met.token)

    def test_what_is_removed_while_a_success_is_used_up_ends_it(self, cast: Cast) -> None:
        """It was there when it was looked at, and not when it counted: then nothing is proven, and it is used up."""
        stage = cast.stage
        met = stage.meet(stage.track(), cast.client)

        def remove(*_: object) -> None:
            stage.before.clear()
            stage.memory.remove_passkeys("", "ada", None)

        stage.before["replace_action"] = remove
        with refused("token_invalid"):
            stage.validate(met, consume=True)
        assert stage.now(met.action).consumed_at == NOW

    REFUSALS: Final[dict[str, tuple[str, Callable[[Cast, StartedDeviceChallenge], object]]]] = {
        "its device was removed": (
            "signature_invalid",
            lambda cast, _: elsewhere(cast.stage).devices.remove_device("ada", elsewhere(cast.stage).device_id_of()),
        ),
        "its user was disabled": (
            "user_disabled",
            lambda cast, _: cast.stage.memory.set_user_disabled("", "ada", NOW, None),
        ),
        "another device was first": (
            "signature_invalid",
            lambda cast, started: elsewhere(cast.stage).answer(started, OTHER),
        ),
        "the device itself has said yes": (
            "challenge_unknown",
            lambda cast, started: elsewhere(cast.stage).answer(started, cast.phone),
        ),
    }

    @pytest.mark.parametrize("what", REFUSALS)
    def test_a_rejection_that_is_refused_ends_no_action(self, cast: Cast, what: str) -> None:
        """The look at it was good; when it is to be written, it counts no more."""
        stage, tracked = cast.stage, cast.stage.track()
        stage.enrol(seed="ada's other telephone")
        started = stage.ask(tracked)
        code, happens = self.REFUSALS[what]

        def meanwhile(*_: object) -> None:
            stage.before.clear()
            happens(cast, started)

        stage.before["replace_device_challenge"] = meanwhile
        with refused(code):
            stage.answer(started, cast.phone, "reject")
        assert stage.now(tracked) == tracked.action

    def test_of_two_who_track_one_time_both_have_the_one_that_is_stored(self, cast: Cast) -> None:
        stage = cast.stage
        other = Stage("sync", memory=stage.memory, clock=stage.clock, seed="other")
        first: list[Any] = []

        def be_quicker(*_: object) -> None:
            stage.before.clear()
            first.append(other.track(idempotency_key="k", scope=[SCOPE]))

        stage.before["add_action"] = be_quicker
        second = stage.track(idempotency_key="k")
        assert (second.action, second.token) == (first[0].action, first[0].token)
        assert second.action.scope == (SCOPE,)
