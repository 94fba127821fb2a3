"""Meeting an action's challenge with a device: who is asked, who may answer, and what the waiting side gets."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passkeycore.actions import ActionState
from passkeycore.engine.actions.steps import purpose_of
from passkeycore.testing import SoftwareDevice
from tests.engine.kit import NOW, Colour

from .cast import Cast
from .kit import DOMAIN, Stage, answer_of, refused

METHODS = ("push", "in-app", "qr-code")


@pytest.fixture
def phone(stage: Stage) -> SoftwareDevice:
    """Ada's telephone."""
    return stage.enrol()


class TestSuccess:
    @pytest.mark.parametrize("method", METHODS)
    def test_an_approval_meets_the_challenge(self, stage: Stage, method: str) -> None:
        device = stage.enrol(method=method)
        met = stage.approve(stage.track(), device)
        assert (met.user_id, met.authentication) == ("ada", None)
        assert met.approval is not None
        assert met.approval.device.public_key == device.public_key
        assert met.action.state is ActionState.CHALLENGE_SUCCEEDED
        assert (met.action.method, met.action.user_verified) == (method, False)
        assert stage.validate(met, consume=True)

    def test_until_the_device_has_answered_there_is_nothing(self, stage: Stage, phone: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked)
        for _ in range(3):
            assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id) is None
        assert stage.now(tracked) == tracked.action
        stage.answer(started, phone)
        assert stage.now(tracked) == tracked.action, "it is the waiting side that gets the proof"
        assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id)

    def test_the_user_is_shown_what_it_is_about(self, stage: Stage, phone: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked, content="Pay 42 EUR", number_matching=True)
        challenge = started.challenge
        assert (challenge.content, challenge.user_id, challenge.purpose) == (
            "Pay 42 EUR",
            "ada",
            purpose_of(tracked.action),
        )
        assert [device.public_key for device in started.devices] == [phone.public_key]
        stage.answer(started, phone)
        assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id)

    def test_one_of_the_devices_alone_may_be_asked(self, stage: Stage, phone: SoftwareDevice) -> None:
        other = stage.enrol(seed="another")
        tracked = stage.track()
        started = stage.ask(tracked, authenticator_id=stage.device_id_of())
        with refused("signature_invalid", stage):
            stage.answer(started, other)
        stage.answer(started, phone)
        assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id)

    def test_apps_of_another_service_take_part_where_they_may(self, colour: Colour) -> None:
        stage = Stage(colour, devices={"danger_allow_challenge_id_signatures": True})
        phone, tracked = stage.enrol(), stage.track()
        started = stage.ask(tracked, protocol="challenge-id")
        stage.answer(started, phone, signature=phone.sign_challenge_id(started.challenge_id))
        assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id)


class TestStart:
    def test_a_method_that_is_not_allowed_is_refused(self, stage: Stage, phone: SoftwareDevice) -> None:
        other, tracked = stage.track("by-passkey"), stage.track("by-push")
        with refused("method_not_allowed", stage):
            stage.ask(other)
        with refused("method_not_allowed", stage):
            stage.ask(tracked, "qr-code")
        with refused("method_not_allowed", stage):
            stage.ask(tracked, "other")
        assert stage.approve(tracked, phone)

    def test_no_more_wait_than_may(self, colour: Colour) -> None:
        stage = Stage(colour, devices={"max_pending_per_user": 2})
        stage.enrol()
        tracked = stage.track()
        for _ in range(2):
            stage.ask(tracked)
        with refused("limit_reached", stage):
            stage.ask(tracked)

    def test_signatures_that_the_service_does_not_allow_are_not_asked_for(self, stage: Stage) -> None:
        tracked = stage.track()
        with refused("configuration_invalid", stage):
            stage.ask(tracked, protocol="challenge-id")

    def test_a_service_without_devices_says_so(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, actions={"devices": None})
        calls: tuple[Callable[[], object], ...] = (
            lambda: other.ask(tracked),
            lambda: other.actions.finish_device_challenge(tracked.token, started.challenge_id),
            lambda: other.actions.cancel_challenge(tracked.token, started.challenge_id),
            lambda: other.actions.answer_device_challenge(started.challenge_id, **answer_of(started, cast.phone)),
        )
        for call in calls:
            with refused("configuration_invalid", stage) as caught:
                call()
            assert caught.value.path == "devices"


class TestFinish:
    def test_the_finish_looks_at_the_methods_again(self, stage: Stage, phone: SoftwareDevice) -> None:
        tracked = stage.track("by-passkey")
        started = stage.devices.start_challenge(
            method="push", user_id="ada", binding=tracked.token, purpose=purpose_of(tracked.action)
        )
        stage.answer(started, phone)
        with refused("method_not_allowed", stage, but=["device challenges", "devices"]):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        assert stage.now(tracked) == tracked.action

    def test_an_approval_is_given_out_once(self, stage: Stage, phone: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked)
        stage.answer(started, phone)
        assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        with refused("challenge_unknown", stage):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)

    @pytest.mark.parametrize("id", ["", "x", 65 * "x", 7])
    def test_a_challenge_that_there_is_not_is_unknown_and_costs_nothing(self, stage: Stage, id: Any) -> None:
        tracked = stage.track()
        for call in (stage.actions.finish_device_challenge, stage.actions.cancel_challenge):
            with refused("challenge_unknown", stage):
                call(tracked.token, id)

    def test_too_late_is_too_late_and_costs_no_attempt(self, stage: Stage, phone: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked)
        stage.answer(started, phone)
        stage.clock.move(minutes=5)
        with refused("challenge_expired", stage):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        assert stage.approve(tracked, phone)

    GONE: dict[str, tuple[str, Callable[[Stage], object]]] = {  # noqa: RUF012
        "the device is removed": (
            "challenge_unknown",
            lambda stage: stage.devices.remove_device("ada", stage.device_id_of()),
        ),
        "the device has expired": ("challenge_unknown", lambda stage: stage.clock.move(minutes=1)),
        "the user is disabled": ("user_disabled", lambda stage: stage.passkeys.disable_user("ada")),
        "the user is removed": ("token_invalid", lambda stage: stage.passkeys.remove_user("ada")),
    }

    @pytest.mark.parametrize("what", GONE)
    def test_an_approval_of_who_is_gone_since_is_none(self, stage: Stage, what: str) -> None:
        phone = stage.enrol(expires_at=NOW + timedelta(minutes=1))
        tracked = stage.track()
        started = stage.ask(tracked)
        stage.answer(started, phone)
        code, happens = self.GONE[what]
        happens(stage)
        with refused(code, stage):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)


class TestAnswer:
    def test_a_wrong_code_counts_and_leaves_the_action(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked, number_matching=True)
        for _ in range(3):
            assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id) is None
            with refused("verification_code_wrong", stage, attempts=1, but=["device challenges"]):
                cast.mistype(started)
        for _ in range(3):
            with refused("attempts_exceeded", stage):
                stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        assert stage.approve(tracked, cast.phone), "the next challenge may be met"

    def test_no_answer_counts_but_the_one_that_was_signed_for_this(self, stage: Stage, phone: SoftwareDevice) -> None:
        eve = stage.enrol("eve")
        unknown = SoftwareDevice("unknown", domain=DOMAIN, method="push")
        elsewhere = SoftwareDevice("ada's push", domain="example.net", method="push")
        tracked = stage.track()
        started = stage.ask(tracked)
        other = stage.ask(stage.track("look"))
        no = answer_of(started, phone, "reject")
        strangers: dict[str, dict[str, Any]] = {
            "another user's device": answer_of(started, eve),
            "nobody's": answer_of(started, unknown),
        }
        own: dict[str, dict[str, Any]] = {
            "for another server": answer_of(started, elsewhere),
            "a no sent as a yes": no | {"decision": "approve"},
            "for another action": answer_of(other, phone),
        }
        for answers, attempts in ((strangers, 0), (own, 1)):
            for answer in answers.values():
                with refused("signature_invalid", stage, attempts=attempts, but=["device challenges"]):
                    stage.actions.answer_device_challenge(started.challenge_id, **answer)

    def test_an_answer_comes_once(self, stage: Stage, phone: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked)
        stage.answer(started, phone)
        for decision in ("approve", "reject"):
            with refused("challenge_unknown", stage):
                stage.answer(started, phone, decision)
        assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id)


class TestCancel:
    def test_nobody_answers_any_more(self, stage: Stage, phone: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked)
        stage.actions.cancel_challenge(tracked.token, started.challenge_id)
        for decision in ("approve", "reject"):
            with refused("challenge_unknown", stage):
                stage.answer(started, phone, decision)
        for _ in range(3):
            with refused("attempts_exceeded", stage):
                stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        assert stage.now(tracked).attempts == 1, "it counts once, however often the waiting side asks"
        assert stage.now(tracked).state is ActionState.CHALLENGE_REQUIRED
        assert stage.approve(tracked, phone)

    def test_what_was_answered_is_too_late_to_give_up(self, stage: Stage, phone: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked)
        stage.answer(started, phone)
        with refused("challenge_unknown", stage):
            stage.actions.cancel_challenge(tracked.token, started.challenge_id)
        assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id)

    def test_nobody_cancels_the_challenge_of_another_action(self, stage: Stage, phone: SoftwareDevice) -> None:
        stage.enrol("eve")
        mine, same, hers = stage.track(), stage.track(), stage.track(user_id="eve")
        started = stage.ask(mine)
        for other in (same, hers):
            with refused("challenge_unknown", stage):
                stage.actions.cancel_challenge(other.token, started.challenge_id)

    @pytest.mark.parametrize(
        "state", [state for state in ActionState if state.name not in ("ALLOW", "CHALLENGE_REQUIRED")]
    )
    def test_only_what_waits_can_be_given_up(self, cast: Cast, state: ActionState) -> None:
        tracked = cast.brought_to(state)
        with refused("action_state", cast.stage):
            cast.stage.actions.cancel_challenge(tracked.token)


class TestState:
    def test_a_page_sees_how_far_it_has_come(self, stage: Stage) -> None:
        device = stage.enrol(method="qr-code")
        tracked = stage.track()
        started = stage.ask(tracked, "qr-code")
        states = [stage.actions.device_challenge_state(tracked.token, started.challenge_id)]
        claim = {"public_key": device.public_key, "signature": device.claim(started.challenge_id)}
        stage.devices.claim_challenge(started.challenge_id, **claim)
        states.append(stage.actions.device_challenge_state(tracked.token, started.challenge_id))
        stage.actions.answer_device_challenge(started.challenge_id, **answer_of(started, device))
        states.append(stage.actions.device_challenge_state(tracked.token, started.challenge_id))
        assert states == ["pending", "claimed", "approved"]
        stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        with refused("challenge_unknown", stage):
            stage.actions.device_challenge_state(tracked.token, started.challenge_id)

    def test_nobody_sees_another_actions(self, stage: Stage) -> None:
        stage.enrol()
        mine, other = stage.track(), stage.track()
        started = stage.ask(mine)
        with refused("challenge_unknown", stage):
            stage.actions.device_challenge_state(other.token, started.challenge_id)


class TestItsId:
    ID = "an-id_of-the_callers-own" + 19 * "A"

    def test_a_caller_may_choose_it_who_tells_of_it_before(self, stage: Stage) -> None:
        device, tracked = stage.enrol(), stage.track()
        started = stage.ask(tracked, challenge_id=self.ID)
        assert started.challenge_id == self.ID
        stage.answer(started, device)
        assert stage.actions.finish_device_challenge(tracked.token, self.ID)

    def test_once(self, stage: Stage) -> None:
        stage.enrol()
        tracked = stage.track()
        stage.ask(tracked, challenge_id=self.ID)
        with refused("conflict", stage):
            stage.ask(tracked, challenge_id=self.ID)

    @pytest.mark.parametrize("wrong", ["", 42 * "a", 44 * "a", 43 * "ä", 43 * "=", 7, 43 * b"a"])
    def test_it_can_be_no_other_text(self, stage: Stage, wrong: Any) -> None:
        stage.enrol()
        tracked = stage.track()
        with refused("configuration_invalid", stage):
            stage.ask(tracked, challenge_id=wrong)
