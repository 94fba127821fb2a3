"""Meeting an action's challenge within the app, with the action's token: one request judges and proves.

`test_in_app_elsewhere` has the apps that were built for another service, and sign no action.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest
from msgspec.structs import replace

from passkeycore.actions import ActionState
from passkeycore.app_attest import AppAttestKey, AppAttestPolicy
from passkeycore.devices import digest_of
from passkeycore.engine.actions.steps import purpose_of
from passkeycore.engine.actions.tracking import TrackedAction
from passkeycore.engine.devices.challenges import StartedDeviceChallenge
from passkeycore.testing import SoftwareAppAttest, SoftwareDevice
from tests.engine.kit import NOW, Colour

from .cast import Cast
from .kit import DOMAIN, Stage, answer_of, approval_of, refused

APP_ATTEST: Final = SoftwareAppAttest("ada's app")


@pytest.fixture
def app(stage: Stage) -> SoftwareDevice:
    """Ada's app."""
    return stage.enrol(method="in-app")


class TestSuccess:
    def test_one_request_judges_the_answer_and_proves_the_action(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")
        stage.clock.move(seconds=1)
        met = stage.approve_in_app(started, app, token=tracked.token)
        assert (met.user_id, met.authentication) == ("ada", None)
        assert met.approval is not None
        assert (met.approval.user_id, met.approval.device.public_key) == ("ada", app.public_key)
        assert met.approval.device.last_used_at == met.approval.challenge.taken_at == NOW + timedelta(seconds=1)
        assert met.action == stage.now(tracked)
        assert met.action.state is ActionState.CHALLENGE_SUCCEEDED
        assert (met.action.method, met.action.authenticator_id) == ("in-app", stage.device_id_of())
        assert not met.action.user_verified, "nothing tells that the device verified its user"
        assert stage.validate(met, consume=True).consumed_at is not None

    def test_the_token_from_track_proves_nothing_before_and_after(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        for _ in range(2):
            with refused("action_state", stage):
                stage.actions.validate_challenge(tracked.token)
            if stage.now(tracked).state is ActionState.CHALLENGE_REQUIRED:
                stage.approve_in_app(stage.ask(tracked, "in-app"), app, token=tracked.token)

    def test_what_was_allowed_is_proven_all_the_same(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track("look")
        met = stage.approve_in_app(stage.ask(tracked, "in-app"), app, token=tracked.token)
        assert met.action.state is ActionState.CHALLENGE_SUCCEEDED

    def test_the_app_signs_which_action_it_is(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        shown = stage.ask(tracked, "in-app", content="Pay 42 EUR").to_dict()
        assert (shown["purpose"], shown["content"]) == (purpose_of(tracked.action), "Pay 42 EUR")


class TestStart:
    WRONG: Final[dict[str, tuple[str, dict[str, Any]]]] = {
        "an empty word": ("action_invalid", {"action": ""}),
        "a word with a space": ("action_invalid", {"action": "sign in"}),
        "a long word": ("action_invalid", {"action": 65 * "a"}),
        "a word of another type": ("action_invalid", {"action": 7}),
        "no word": ("configuration_invalid", {"action": None}),
        "a long content": ("name_invalid", {"content": 4097 * "a"}),
        "NUL in the content": ("name_invalid", {"content": "\0"}),
        "another protocol": ("configuration_invalid", {"protocol": "other"}),
        "a protocol that the service does not allow": ("configuration_invalid", {"protocol": "challenge-id"}),
    }

    @pytest.mark.parametrize("what", WRONG)
    def test_what_cannot_be_asked_is_refused(self, stage: Stage, what: str) -> None:
        code, asked = self.WRONG[what]
        with refused(code, stage):
            stage.actions.start_in_app_challenge(**({"action": "pay"} | asked))

    def test_in_our_protocol_the_device_signs_what_it_is_for(self, stage: Stage) -> None:
        """So a word has to be named: else one start would be good for any action."""
        with refused("configuration_invalid", stage) as caught:
            stage.begin_in_app(None)
        assert caught.value.path == "action"

    def test_it_is_for_nobody_in_particular(self, stage: Stage, app: SoftwareDevice) -> None:
        started = stage.begin_in_app("pay", content="Pay 42 EUR")
        challenge = started.challenge
        assert (challenge.method, challenge.user_id, challenge.authenticator_id) == ("in-app", None, None)
        assert (challenge.content, challenge.verification_code, started.devices) == ("Pay 42 EUR", None, ())

    def test_a_service_without_devices_says_so(self, colour: Colour) -> None:
        stage = Stage(colour, actions={"devices": None})
        app = SoftwareDevice("app", domain=DOMAIN, method="in-app")
        tracked, id = stage.track(), 43 * "a"
        calls: tuple[Callable[[], object], ...] = (
            lambda: stage.begin_in_app("pay"),
            lambda: stage.actions.finish_in_app_challenge(id, public_key=app.public_key, signature=b""),
            lambda: stage.actions.finish_in_app_challenge(
                id, public_key=app.public_key, signature=b"", token=tracked.token
            ),
        )
        for call in calls:
            with refused("configuration_invalid", stage) as caught:
                call()
            assert caught.value.path == "devices"


class TestWhoseAndWhat:
    def test_another_users_token_is_not_met_and_the_right_one_still_is(self, stage: Stage, app: SoftwareDevice) -> None:
        """A challenge is for the action that it was started for; nothing is spent."""
        mine, hers = stage.track(), stage.track(user_id="eve")
        started = stage.ask(mine, "in-app")
        for _ in range(9):
            with refused("challenge_unknown", stage):
                stage.approve_in_app(started, app, token=hers.token)
        assert stage.approve_in_app(started, app, token=mine.token).action.user_id == "ada"
        assert stage.now(hers) == hers.action

    def test_devices_of_others_and_of_nobody_do_not_answer_and_cost_nothing(
        self, stage: Stage, app: SoftwareDevice
    ) -> None:
        others = (
            stage.enrol("eve", "in-app"),
            stage.enrol(),
            SoftwareDevice("nobody's", domain=DOMAIN, method="in-app"),
        )
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")
        for other in others:
            with refused("signature_invalid", stage):
                stage.approve_in_app(started, other, token=tracked.token)
        assert stage.approve_in_app(started, app, token=tracked.token)

    SPOILS: Final[dict[str, Callable[[StartedDeviceChallenge, SoftwareDevice], bytes]]] = {
        "none": lambda started, app: b"",
        "of a no": lambda started, app: app.answer(
            started.challenge_id, "reject", purpose=started.challenge.purpose, content="Pay 42 EUR"
        ),
        "of another content": lambda started, app: app.answer(
            started.challenge_id, "approve", purpose=started.challenge.purpose, content="Pay 1 EUR"
        ),
        "for another purpose": lambda started, app: app.answer(
            started.challenge_id, "approve", purpose="passkeycore/in-app pay", content="Pay 42 EUR"
        ),
        "for another challenge": lambda started, app: app.answer(
            started.challenge_id[::-1], "approve", purpose=started.challenge.purpose, content="Pay 42 EUR"
        ),
    }

    @pytest.mark.parametrize("what", SPOILS)
    def test_a_bad_signature_of_the_users_device_is_an_attempt_at_the_action(
        self, stage: Stage, app: SoftwareDevice, what: str
    ) -> None:
        tracked = stage.track()
        started = stage.ask(tracked, "in-app", content="Pay 42 EUR")
        signature = self.SPOILS[what](started, app)
        for _ in range(2):
            with refused("signature_invalid", stage, attempts=1, but=["device challenges"]):
                stage.approve_in_app(started, app, token=tracked.token, signature=signature)
        assert stage.approve_in_app(started, app, token=tracked.token).action.attempts == 2

    def test_attempts_end_the_challenge_and_then_the_action(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        last = stage.ask(tracked, "in-app")
        for attempts in (3, 2):
            started = stage.ask(tracked, "in-app")
            for _ in range(attempts):
                with refused("signature_invalid"):
                    stage.approve_in_app(started, app, token=tracked.token, signature=b"")
            with refused("challenge_unknown" if attempts == 3 else "action_state", stage):
                stage.approve_in_app(started, app, token=tracked.token)
        assert stage.now(tracked).state is ActionState.CHALLENGE_FAILED
        with refused("action_state", stage):
            stage.approve_in_app(last, app, token=tracked.token)

    def test_what_is_no_key_or_signature_is_no_attempt(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")
        wrongs: tuple[tuple[str, dict[str, Any]], ...] = (
            ("public_key_malformed", {"public_key": bytes(1025)}),
            ("public_key_malformed", {"public_key": "key"}),
            ("too_large", {"signature": bytes(1025)}),
            ("too_large", {"signature": None}),
        )
        for code, changes in wrongs:
            with refused(code, stage):
                stage.approve_in_app(started, app, token=tracked.token, **changes)

    def test_a_start_under_a_word_meets_no_action_that_is_there(self, stage: Stage, app: SoftwareDevice) -> None:
        """Not even one of that word: the device has signed a word, and not which of its actions."""
        tracked = stage.track()
        for word in ("pay", "look", "pay-2", "p"):
            started = stage.begin_in_app(word)
            with refused("challenge_unknown", stage):
                stage.approve_in_app(started, app, token=tracked.token)

    def test_it_is_asked_by_the_app_that_knows_its_id_alone(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")
        for id in ("", "x", 43 * "a", 7, None):
            with refused("challenge_unknown", stage):
                stage.approve_in_app(started, app, token=tracked.token, challenge_id=id)


class TestOnce:
    def test_it_is_answered_once(self, stage: Stage, app: SoftwareDevice) -> None:
        first, second = stage.track(), stage.track()
        started = stage.ask(first, "in-app")
        assert stage.approve_in_app(started, app, token=first.token)
        with refused("action_state", stage):
            stage.approve_in_app(started, app, token=first.token)
        with refused("challenge_unknown", stage):
            stage.approve_in_app(started, app, token=second.token)
        with refused("challenge_unknown", stage):
            stage.approve_in_app(started, app)

    def test_a_process_that_dies_between_the_answer_and_the_action_leaves_it_waiting(
        self, stage: Stage, app: SoftwareDevice
    ) -> None:
        """Fail closed: the answer is spent, and the user tries again."""
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")

        def die(*_: object) -> None:
            raise ConnectionError

        stage.before["replace_action"] = die
        with pytest.raises(ConnectionError):
            stage.approve_in_app(started, app, token=tracked.token)
        stage.before.clear()
        assert stage.now(tracked) == tracked.action
        with refused("challenge_unknown", stage):
            stage.approve_in_app(started, app, token=tracked.token)
        assert stage.approve_in_app(stage.ask(tracked, "in-app"), app, token=tracked.token)

    def test_an_action_that_ended_meanwhile_is_not_proven(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")

        def end(*_: object) -> None:
            stage.before.clear()
            ended = replace(tracked.action, state=ActionState.CHALLENGE_FAILED, revision=1)
            assert stage.memory.replace_action(ended, None)

        stage.before["replace_device_challenge"] = end
        with refused("action_state"):
            stage.approve_in_app(started, app, token=tracked.token)
        assert stage.now(tracked).state is ActionState.CHALLENGE_FAILED


class TestNoOtherWay:
    def test_the_devices_service_cannot_touch_it(self, stage: Stage, app: SoftwareDevice) -> None:
        started = stage.begin_in_app("sign-in")
        id, purpose = started.challenge_id, started.challenge.purpose
        calls: list[Callable[[], object]] = [
            lambda: stage.devices.answer_challenge(id, decision="approve", **approval_of(started, app)),
            lambda: stage.devices.answer_challenge(id, decision="reject", **approval_of(started, app)),
        ]
        waiting = (stage.devices.poll_challenge, stage.devices.challenge_state, stage.devices.cancel_challenge)
        calls.extend(
            partial(call, id, user_id=user_id, binding=binding, purpose=purpose)
            for call in waiting
            for binding in (None, "", b"", "session")
            for user_id in (None, "ada")
        )
        for call in calls:
            with refused("challenge_unknown", stage):
                call()

    def test_nor_can_who_waits_for_an_action_or_a_sign_in(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked, started = stage.track(), stage.begin_in_app("pay")
        id = started.challenge_id
        calls: tuple[Callable[[], object], ...] = (
            lambda: stage.actions.finish_device_challenge(tracked.token, id),
            lambda: stage.actions.cancel_challenge(tracked.token, id),
            lambda: stage.actions.finish_device_sign_in("pay", id, binding=tracked.token),
        )
        for call in calls:
            with refused("challenge_unknown", stage):
                call()

    @pytest.mark.parametrize("decision", ["approve", "reject"])
    def test_nor_is_it_answered_as_a_challenge_that_somebody_waits_for(
        self, stage: Stage, app: SoftwareDevice, decision: str
    ) -> None:
        """Whoever knew its id could otherwise end a sign-in that the app is about to finish."""
        started = stage.begin_in_app("pay")
        wrong = answer_of(started, app, decision) | {"signature": b""}
        for answer in (answer_of(started, app, decision), wrong):
            with refused("challenge_unknown", stage):
                stage.actions.answer_device_challenge(started.challenge_id, **answer)
        assert stage.approve_in_app(started, app)

    def test_no_other_challenge_is_one_of_these(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        asked: tuple[StartedDeviceChallenge, ...] = (
            stage.ask(stage.track(), "in-app"),
            stage.ask(stage.track("look"), "in-app"),
            stage.ask(tracked, "push"),
            stage.ask(tracked, "qr-code"),
            stage.actions.start_device_sign_in("pay", method="in-app", binding="s"),
            stage.devices.start_challenge(method="in-app", user_id="ada", purpose="pay"),
        )
        for started in asked:
            device = app if started.challenge.method == "in-app" else stage.enrol(method=started.challenge.method)
            for token in (tracked.token, None):
                with refused("challenge_unknown", stage):
                    stage.approve_in_app(started, device, token=token)

    def test_what_was_started_for_an_action_takes_its_token(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")
        with refused("challenge_unknown", stage):
            stage.approve_in_app(started, app)
        assert stage.approve_in_app(started, app, token=tracked.token)


def begun_before(stage: Stage, tracked: TrackedAction) -> StartedDeviceChallenge:
    """A challenge for the action, which could not begin now."""
    started: StartedDeviceChallenge = stage.devices.start_challenge(
        method="in-app", user_id="ada", binding=tracked.token, purpose=purpose_of(tracked.action)
    )
    return started


class TestRefusals:
    @pytest.mark.parametrize("word", ["by-passkey", "by-push"])
    def test_a_method_that_is_not_allowed_spends_nothing(self, stage: Stage, app: SoftwareDevice, word: str) -> None:
        """Though there is a challenge, as one that began before the rules changed."""
        tracked = stage.track(word)
        started = begun_before(stage, tracked)
        with refused("method_not_allowed", stage):
            stage.approve_in_app(started, app, token=tracked.token)

    @pytest.mark.parametrize(
        "state", [state for state in ActionState if state.name not in ("ALLOW", "CHALLENGE_REQUIRED")]
    )
    def test_only_an_action_that_waits_is_met(self, cast: Cast, state: ActionState) -> None:
        stage = cast.stage
        app, tracked = stage.enrol(method="in-app"), cast.brought_to(state)
        started = begun_before(stage, tracked)
        with refused("action_state", stage):
            stage.approve_in_app(started, app, token=tracked.token)

    def test_only_a_token_from_track_is_met(self, cast: Cast) -> None:
        stage = cast.stage
        app, tracked = stage.enrol(method="in-app"), stage.track()
        started = stage.ask(tracked, "in-app")
        met = stage.meet(stage.track(), cast.client)
        for token in (met.token, "", "x", 7):
            with refused("token_invalid", stage):
                stage.approve_in_app(started, app, token=token)

    def test_too_late_is_too_late_and_costs_no_attempt(self, stage: Stage, app: SoftwareDevice) -> None:
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")
        stage.clock.move(minutes=5)
        with refused("challenge_expired", stage):
            stage.approve_in_app(started, app, token=tracked.token)
        stage.clock.at = tracked.action.expires_at
        with refused("token_expired", stage):
            stage.approve_in_app(started, app, token=tracked.token)

    GONE: Final[dict[str, tuple[str, Callable[[Stage], object]]]] = {
        "the device is removed": (
            "signature_invalid",
            lambda stage: stage.devices.remove_device("ada", stage.device_id_of()),
        ),
        "the device has expired": ("signature_invalid", lambda stage: stage.clock.move(minutes=1)),
        "the user is disabled": ("user_disabled", lambda stage: stage.passkeys.disable_user("ada")),
        "the user is removed": ("token_invalid", lambda stage: stage.passkeys.remove_user("ada")),
    }

    @pytest.mark.parametrize("what", GONE)
    def test_who_is_gone_meets_nothing(self, stage: Stage, what: str) -> None:
        app = stage.enrol(method="in-app", expires_at=NOW + timedelta(minutes=1))
        tracked = stage.track()
        started = stage.ask(tracked, "in-app")
        code, happens = self.GONE[what]
        happens(stage)
        with refused(code, stage):
            stage.approve_in_app(started, app, token=tracked.token)

    def test_another_realm_knows_nothing_of_it(self, stage: Stage, app: SoftwareDevice) -> None:
        there = Stage(stage.colour, memory=stage.memory, clock=stage.clock, realm="b", seed="there")
        there.enrol(method="in-app")
        mine, theirs = stage.track(), there.track()
        started = stage.ask(mine, "in-app")
        for token, code in ((mine.token, "token_invalid"), (theirs.token, "challenge_unknown")):
            with refused(code, stage):
                there.approve_in_app(started, app, token=token)
        under_a_word = stage.begin_in_app("pay")
        with refused("challenge_unknown", stage):
            there.approve_in_app(under_a_word, app)
        assert stage.approve_in_app(started, app, token=mine.token)


class TestAppAttest:
    """Where the service demands it, each answer has an assertion over what the device signs."""

    def test_it_is_demanded_here_too(self, colour: Colour) -> None:
        plain = Stage(colour)
        app = plain.enrol(method="in-app")
        key = AppAttestKey(
            key_id=APP_ATTEST.key_id,
            public_key=APP_ATTEST.public_key,
            app_id=APP_ATTEST.app_id,
            environment="production",
        )
        (stored,) = plain.devices.list_devices("ada")
        assert plain.memory.replace_device(replace(stored, app_attest=key, revision=1), None)
        policy = AppAttestPolicy(app_ids=(APP_ATTEST.app_id,))
        stage = Stage(colour, memory=plain.memory, clock=plain.clock, seed="strict", devices={"app_attest": policy})
        tracked = stage.track()
        started = stage.ask(tracked, "in-app", content="Pay 42 EUR")
        said = ("passkeycore-device-1", "approve", DOMAIN, "in-app", started.challenge_id)
        told = (digest_of(started.challenge.purpose or ""), "", digest_of("Pay 42 EUR"))
        message = "\n".join((*said, *told)).encode()
        wrongs = (("attestation_required", None), ("app_attest_invalid", APP_ATTEST.assertion(b"another message")))
        for code, assertion in wrongs:
            with refused(code, stage):
                stage.approve_in_app(started, app, token=tracked.token, app_attest_assertion=assertion)
        assertion = APP_ATTEST.assertion(message)
        met = stage.approve_in_app(started, app, token=tracked.token, app_attest_assertion=assertion)
        assert met.approval is not None
        assert met.approval.device.app_attest is not None
        assert met.approval.device.app_attest.sign_count > 0
