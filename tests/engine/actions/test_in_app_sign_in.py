"""Signing in within the app: the word of the start names an action that begins with the answer, and rules decide."""

from typing import Final

import pytest
from msgspec.structs import replace

from passkeycore.actions import ActionRules, ActionSettings, ActionState, Condition, Outcome, Rule
from passkeycore.engine.actions.tracking import ClientInfo
from passkeycore.engine.records import EventType
from passkeycore.testing import SoftwareDevice
from tests.engine.kit import Colour

from .cast import WRONG_CLIENTS
from .kit import DOMAIN, Stage, refused

RULES: Final = ActionRules(
    actions={
        "sign-in": ActionSettings(
            rules=(
                Rule(id="there", outcome=Outcome.BLOCK, when=Condition(ip_address_in=("203.0.113.0/24",))),
                Rule(id="odd", outcome=Outcome.REVIEW, when=Condition(user_agent_contains=("odd",))),
                Rule(
                    id="kiosk",
                    outcome=Outcome.CHALLENGE,
                    when=Condition(device_id_in=("kiosk",)),
                    allowed_methods=("passkey",),
                ),
                Rule(id="usual", outcome=Outcome.ALLOW, when=Condition(device_id_in=("home",))),
            )
        )
    }
)
KNOWN: Final = ClientInfo(ip_address="192.0.2.1", user_agent="Browser", device_id="laptop")


@pytest.fixture
def stage(colour: Colour) -> Stage:
    """The services with rules for a sign-in."""
    return Stage(colour, rules=RULES)


@pytest.fixture
def app(stage: Stage) -> SoftwareDevice:
    """Ada's app."""
    return stage.enrol(method="in-app")


class TestSuccess:
    def test_the_action_begins_under_the_word_for_whoevers_device_it_is(
        self, stage: Stage, app: SoftwareDevice
    ) -> None:
        hers = stage.enrol("eve", "in-app")
        for user_id, device in (("ada", app), ("eve", hers)):
            met = stage.approve_in_app(stage.begin_in_app("sign-in"), device, client=KNOWN)
            assert (met.user_id, met.action.action, met.action.method) == (user_id, "sign-in", "in-app")
            assert met.action.authenticator_id == stage.device_id_of(user_id)
            assert (met.action.ip_address, met.action.device_id) == ("192.0.2.1", "laptop")
            assert met.action == stage.now(met.action)
            assert stage.validate(met, consume=True).state is ActionState.CHALLENGE_SUCCEEDED

    def test_what_rules_allow_is_proven_all_the_same(self, stage: Stage, app: SoftwareDevice) -> None:
        met = stage.approve_in_app(stage.begin_in_app("sign-in"), app, client=replace(KNOWN, device_id="home"))
        assert (met.action.state, met.action.rule_ids) == (ActionState.CHALLENGE_SUCCEEDED, ("usual",))

    def test_events_name_the_challenge_and_do_not_tell_its_id(self, colour: Colour) -> None:
        stage = Stage(colour, rules=RULES, store_events=True)
        app = stage.enrol(method="in-app")
        started = stage.begin_in_app("sign-in", content="secret content")
        stage.approve_in_app(started, app, client=KNOWN)
        events = stage.passkeys.list_events().events
        assert [event.type for event in events] == [
            EventType.ACTION_UPDATED,
            EventType.ACTION_TRACKED,
            EventType.DEVICE_CHALLENGE_APPROVED,
            EventType.DEVICE_ENROLLED,
        ]
        assert (events[2].user_id, events[2].details["method"]) == ("ada", "in-app")
        assert not [word for word in (started.challenge_id, "secret") for event in events if word in repr(event)]


class TestRules:
    @pytest.mark.parametrize(
        ("client", "state", "rule"),
        [
            (replace(KNOWN, ip_address="203.0.113.9"), ActionState.BLOCK, "there"),
            (replace(KNOWN, user_agent="Odd"), ActionState.REVIEW_REQUIRED, "odd"),
        ],
    )
    def test_a_sign_in_that_they_do_not_let_through_is_none(
        self, stage: Stage, app: SoftwareDevice, client: ClientInfo, state: ActionState, rule: str
    ) -> None:
        started = stage.begin_in_app("sign-in")
        with refused("action_state"):
            stage.approve_in_app(started, app, client=client)
        (action,) = stage.all_actions().values()
        assert (action.state, action.rule_ids, action.method) == (state, (rule,), None)
        with refused("challenge_unknown", stage):
            stage.approve_in_app(started, app)

    def test_nor_is_one_by_a_method_that_they_do_not_allow(self, stage: Stage, app: SoftwareDevice) -> None:
        with refused("method_not_allowed"):
            stage.approve_in_app(stage.begin_in_app("sign-in"), app, client=replace(KNOWN, device_id="kiosk"))
        (action,) = stage.all_actions().values()
        assert (action.state, action.method) == (ActionState.CHALLENGE_REQUIRED, None)

    def test_with_a_token_they_have_decided_already(self, stage: Stage, app: SoftwareDevice) -> None:
        """The action is the token's; what is known of the client now does not change it."""
        tracked = stage.track("sign-in", client=KNOWN)
        night = replace(KNOWN, ip_address="203.0.113.9")
        met = stage.approve_in_app(stage.ask(tracked, "in-app"), app, token=tracked.token, client=night)
        assert (met.action.ip_address, len(stage.all_actions())) == ("192.0.2.1", 1)


class TestRefusals:
    def test_a_bad_signature_begins_no_action_and_uses_up_the_challenge(
        self, stage: Stage, app: SoftwareDevice
    ) -> None:
        started = stage.begin_in_app("sign-in")
        for _ in range(3):
            with refused("signature_invalid", stage, but=["device challenges"]):
                stage.approve_in_app(started, app, signature=b"")
        with refused("challenge_unknown", stage):
            stage.approve_in_app(started, app)

    def test_who_nobody_knows_does_not_sign_in(self, stage: Stage) -> None:
        stranger = SoftwareDevice("nobody's", domain=DOMAIN, method="in-app")
        started = stage.begin_in_app("sign-in")
        with refused("signature_invalid", stage):
            stage.approve_in_app(started, stranger)

    def test_a_disabled_user_does_not_sign_in(self, stage: Stage, app: SoftwareDevice) -> None:
        started = stage.begin_in_app("sign-in")
        stage.passkeys.disable_user("ada")
        with refused("user_disabled", stage):
            stage.approve_in_app(started, app)
        stage.passkeys.enable_user("ada")
        assert stage.approve_in_app(started, app, client=KNOWN)

    @pytest.mark.parametrize("what", WRONG_CLIENTS)
    def test_what_the_client_sent_is_judged_before_the_challenge_is_spent(
        self, stage: Stage, app: SoftwareDevice, what: str
    ) -> None:
        code, client = WRONG_CLIENTS[what]
        started = stage.begin_in_app("sign-in")
        with refused(code, stage):
            stage.approve_in_app(started, app, client=client)
        assert stage.approve_in_app(started, app, client=KNOWN)


def test_the_app_is_told_what_it_signs(stage: Stage) -> None:
    started = stage.begin_in_app("sign-in")
    assert started.to_dict()["purpose"] == started.challenge.purpose
    assert started.to_dict()["content"] == started.challenge.content


def test_what_anybody_began_and_gave_up_does_not_fill_a_store(colour: Colour) -> None:
    stage = Stage(colour, store_events=True)
    started = stage.devices.start_challenge(method="qr-code", binding="s")
    stage.devices.cancel_challenge(started.challenge_id, binding="s")
    assert stage.passkeys.list_events().events == ()
