"""Signing in as an action: who proves themselves has the action done, unless rules say no."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from passkeycore.actions import ActionRules, ActionSettings, ActionState, Condition, Outcome, Rule
from passkeycore.engine.actions.challenges import MetChallenge
from passkeycore.engine.actions.tracking import ClientInfo
from passkeycore.testing import SoftwareDevice, VirtualClient
from tests.engine.kit import Colour

from .cast import WRONG_CLIENTS
from .kit import Stage, answer_of, forged, refused

NIGHT: Final = ClientInfo(ip_address="203.0.113.9")
RULES: Final = ActionRules(
    actions={
        "sign-in": ActionSettings(
            rules=(
                Rule(id="there", outcome=Outcome.BLOCK, when=Condition(ip_address_in=("203.0.113.0/24",))),
                Rule(id="odd", outcome=Outcome.REVIEW, when=Condition(user_agent_contains=("odd",))),
                Rule(id="usual", outcome=Outcome.ALLOW, when=Condition(device_id_in=("home",))),
                Rule(
                    id="strict",
                    outcome=Outcome.CHALLENGE,
                    when=Condition(device_id_in=("kiosk",)),
                    allowed_methods=("push",),
                ),
            )
        ),
        "never": ActionSettings(default=Outcome.BLOCK, allowed_methods=("push",)),
    }
)
KNOWN: Final = ClientInfo(ip_address="192.0.2.1", user_agent="Browser", device_id="laptop")
KINDS: Final = ("passkey", "qr-code", "in-app")


@pytest.fixture
def stage(colour: Colour) -> Stage:
    """The services with rules for a sign-in."""
    return Stage(colour, rules=RULES)


def sign_in(stage: Stage, kind: str, **more: Any) -> MetChallenge:
    """Ada, who comes with an authenticator of this kind and signs in."""
    asked: dict[str, Any] = {"binding": "session", "client": KNOWN} | more
    if kind == "passkey":
        client = stage.register()
        start = stage.actions.start_passkey_sign_in("sign-in", binding="session")
        met = stage.actions.finish_passkey_sign_in("sign-in", client.get(start.to_dict()), **asked)
    else:
        device = stage.enrol(method=kind)
        started = stage.actions.start_device_sign_in("sign-in", method=kind, binding="session")
        assert stage.actions.finish_device_sign_in("sign-in", started.challenge_id, **asked) is None
        stage.answer(started, device)
        met = stage.actions.finish_device_sign_in("sign-in", started.challenge_id, **asked)
    assert met is not None
    return met  # type: ignore[no-any-return]


class TestSuccess:
    @pytest.mark.parametrize("kind", KINDS)
    def test_who_it_is_and_the_proof(self, stage: Stage, kind: str) -> None:
        met = sign_in(stage, kind)
        assert met.user_id == "ada"
        assert (met.authentication is None, met.approval is None) == (kind != "passkey", kind == "passkey")
        action = stage.actions.validate_challenge(met.token, user_id="ada", action="sign-in", consume=True)
        assert (action.state, action.method) == (ActionState.CHALLENGE_SUCCEEDED, kind)
        assert action.user_verified == (kind == "passkey")
        assert (action.ip_address, action.user_agent, action.device_id) == ("192.0.2.1", "Browser", "laptop")

    @pytest.mark.parametrize("kind", KINDS)
    def test_nothing_need_be_known_of_the_client(self, stage: Stage, kind: str) -> None:
        stage = Stage(stage.colour)
        assert sign_in(stage, kind, client=None).action.ip_address is None

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_rules_allow_is_proven_all_the_same(self, stage: Stage, kind: str) -> None:
        client = ClientInfo(device_id="home", ip_address="192.0.2.1", user_agent="Browser")
        met = sign_in(stage, kind, client=client)
        assert met.action.state is ActionState.CHALLENGE_SUCCEEDED
        assert met.action.rule_ids == ("usual",)

    def test_the_client_is_asked_as_the_start_was(self, stage: Stage) -> None:
        start = stage.actions.start_passkey_sign_in(
            "sign-in", binding="s", mediation="conditional", hints=["hybrid"], timeout_ms=1000
        ).to_dict()
        assert (start["hints"], start["timeout"], start["userVerification"]) == (["hybrid"], 1000, "required")
        assert not start.get("allowCredentials")

    def test_one_more_origin_may_answer(self, stage: Stage) -> None:
        client = stage.register()
        other = "https://pay.example.org"
        start = stage.actions.start_passkey_sign_in("sign-in", binding="s", extra_origin=other)
        body = VirtualClient(client.authenticator, other).get(start.to_dict())
        assert stage.actions.finish_passkey_sign_in("sign-in", body, binding="s", client=KNOWN).user_id == "ada"

    def test_a_device_is_shown_what_it_is_about(self, stage: Stage) -> None:
        device = stage.enrol(method="in-app")
        started = stage.actions.start_device_sign_in(
            "sign-in", method="in-app", binding="s", content="Sign in", number_matching=True
        )
        assert (started.challenge.content, len(started.challenge.verification_code or "")) == ("Sign in", 4)
        stage.answer(started, device)
        assert stage.actions.finish_device_sign_in("sign-in", started.challenge_id, binding="s", client=KNOWN)

    def test_apps_of_another_service_take_part_where_they_may(self, colour: Colour) -> None:
        stage = Stage(colour, devices={"danger_allow_challenge_id_signatures": True})
        device = stage.enrol(method="in-app")
        started = stage.actions.start_device_sign_in("sign-in", method="in-app", binding="s", protocol="challenge-id")
        stage.answer(started, device, signature=device.sign_challenge_id(started.challenge_id))
        assert stage.actions.finish_device_sign_in("sign-in", started.challenge_id, binding="s")


class TestRules:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("client", "state", "rule"),
        [
            (NIGHT, ActionState.BLOCK, "there"),
            (ClientInfo(ip_address="192.0.2.1", user_agent="Odd"), ActionState.REVIEW_REQUIRED, "odd"),
        ],
    )
    def test_a_sign_in_that_they_do_not_let_through_is_none(
        self, stage: Stage, kind: str, client: ClientInfo, state: ActionState, rule: str
    ) -> None:
        with refused("action_state") as caught:
            sign_in(stage, kind, client=client)
        assert caught.value.state == state  # type: ignore[attr-defined]
        (action,) = stage.all_actions().values()
        assert (action.state, action.rule_ids[0], action.method) == (state, rule, None)

    @pytest.mark.parametrize("kind", KINDS)
    def test_nor_is_one_by_a_method_that_they_do_not_allow(self, stage: Stage, kind: str) -> None:
        kiosk = ClientInfo(ip_address="192.0.2.1", user_agent="Browser", device_id="kiosk")
        with refused("method_not_allowed"):
            sign_in(stage, kind, client=kiosk)
        (action,) = stage.all_actions().values()
        assert (action.state, action.method) == (ActionState.CHALLENGE_REQUIRED, None)

    def test_what_they_block_is_blocked_by_whatever_method(self, stage: Stage) -> None:
        client = stage.register()
        start = stage.actions.start_passkey_sign_in("never", binding="s")
        with refused("action_state"):
            stage.actions.finish_passkey_sign_in("never", client.get(start.to_dict()), binding="s")


class TestRefused:
    @pytest.mark.parametrize(("binding", "action"), [("other", "sign-in"), ("", "sign-in"), ("session", "sign-in-2")])
    def test_only_who_began_finishes_and_only_that(self, stage: Stage, binding: str, action: str) -> None:
        client, device = stage.register(), stage.enrol(method="in-app")
        start = stage.actions.start_passkey_sign_in("sign-in", binding="session")
        body = client.get(start.to_dict())
        for wrong in ((action, binding), ("sign-in", "session")):
            with refused("challenge_unknown", stage):
                stage.actions.finish_passkey_sign_in(wrong[0], body, binding=wrong[1])
        started = stage.actions.start_device_sign_in("sign-in", method="in-app", binding="session")
        stage.answer(started, device)
        with refused("challenge_unknown", stage):
            stage.actions.finish_device_sign_in(action, started.challenge_id, binding=binding)
        assert stage.all_actions() == {}

    @pytest.mark.parametrize("binding", ["", b"", None])
    def test_without_a_binding_nothing_tells_who_finishes(self, stage: Stage, binding: Any) -> None:
        starts: tuple[Callable[[], object], ...] = (
            lambda: stage.actions.start_passkey_sign_in("sign-in", binding=binding),
            lambda: stage.actions.start_device_sign_in("sign-in", method="in-app", binding=binding),
        )
        for start in starts:
            with refused("configuration_invalid", stage):
                start()

    @pytest.mark.parametrize("word", ["", "sign in", 65 * "a", None])
    def test_what_is_no_word_is_refused_before_anything_else(self, stage: Stage, word: Any) -> None:
        client, device = stage.register(), stage.enrol(method="in-app")
        start = stage.actions.start_passkey_sign_in("sign-in", binding="s")
        started = stage.actions.start_device_sign_in("sign-in", method="in-app", binding="s")
        stage.answer(started, device)
        body = client.get(start.to_dict())
        calls: tuple[Callable[[], object], ...] = (
            lambda: stage.actions.start_passkey_sign_in(word, binding="s"),
            lambda: stage.actions.start_device_sign_in(word, method="in-app", binding="s"),
            lambda: stage.actions.finish_passkey_sign_in(word, body, binding="s"),
            lambda: stage.actions.finish_device_sign_in(word, started.challenge_id, binding="s"),
        )
        for call in calls:
            with refused("action_invalid", stage):
                call()
        assert stage.actions.finish_passkey_sign_in("sign-in", body, binding="s", client=KNOWN), "nothing was spent"
        assert stage.actions.finish_device_sign_in("sign-in", started.challenge_id, binding="s", client=KNOWN)

    def test_a_wrong_answer_begins_no_action(self, stage: Stage) -> None:
        client = stage.register()
        start = stage.actions.start_passkey_sign_in("sign-in", binding="s")
        with refused("signature_invalid", stage):
            stage.actions.finish_passkey_sign_in("sign-in", forged(client.get(start.to_dict())), binding="s")

    @pytest.mark.parametrize("what", WRONG_CLIENTS)
    def test_what_the_client_sent_is_judged_before_anything_is_spent(self, stage: Stage, what: str) -> None:
        code, wrong = WRONG_CLIENTS[what]
        client, device = stage.register(), stage.enrol(method="in-app")
        start = stage.actions.start_passkey_sign_in("sign-in", binding="s")
        body = client.get(start.to_dict())
        started = stage.actions.start_device_sign_in("sign-in", method="in-app", binding="s")
        stage.answer(started, device)
        calls: tuple[Callable[[Any], Any], ...] = (
            lambda said: stage.actions.finish_passkey_sign_in("sign-in", body, binding="s", client=said),
            lambda said: stage.actions.finish_device_sign_in("sign-in", started.challenge_id, binding="s", client=said),
        )
        for call in calls:
            with refused(code, stage):
                call(wrong)
            assert call(KNOWN).user_id == "ada"

    def test_an_unknown_passkey_may_be_forgotten(self, stage: Stage) -> None:
        client = stage.register()
        start = stage.actions.start_passkey_sign_in("sign-in", binding="s")
        body = client.get(start.to_dict())
        stage.passkeys.remove_all_passkeys("ada")
        with refused("no_credential", stage) as caught:
            stage.actions.finish_passkey_sign_in("sign-in", body, binding="s")
        assert caught.value.signal  # type: ignore[attr-defined]

    def test_a_disabled_user_does_not_sign_in(self, stage: Stage) -> None:
        client, device = stage.register(), stage.enrol(method="in-app")
        start = stage.actions.start_passkey_sign_in("sign-in", binding="s")
        started = stage.actions.start_device_sign_in("sign-in", method="in-app", binding="s")
        late = stage.actions.start_device_sign_in("sign-in", method="in-app", binding="s")
        stage.answer(started, device)
        body = client.get(start.to_dict())
        stage.passkeys.disable_user("ada")
        calls: tuple[Callable[[], object], ...] = (
            lambda: stage.actions.finish_passkey_sign_in("sign-in", body, binding="s"),
            lambda: stage.actions.finish_device_sign_in("sign-in", started.challenge_id, binding="s"),
            lambda: stage.answer(late, device),
        )
        for call in calls:
            with refused("user_disabled", stage):
                call()
        assert stage.all_actions() == {}

    def test_a_no_is_no_sign_in_and_no_action(self, stage: Stage) -> None:
        device = stage.enrol(method="in-app")
        started = stage.actions.start_device_sign_in("sign-in", method="in-app", binding="s")
        stage.answer(started, device, "reject")
        with refused("challenge_rejected", stage):
            stage.actions.finish_device_sign_in("sign-in", started.challenge_id, binding="s")
        assert stage.all_actions() == {}

    def test_an_approval_is_given_out_once(self, stage: Stage) -> None:
        device = stage.enrol(method="in-app")
        started = stage.actions.start_device_sign_in("sign-in", method="in-app", binding="s")
        stage.answer(started, device)
        assert stage.actions.finish_device_sign_in("sign-in", started.challenge_id, binding="s", client=KNOWN)
        with refused("challenge_unknown", stage):
            stage.actions.finish_device_sign_in("sign-in", started.challenge_id, binding="s", client=KNOWN)

    def test_a_push_message_goes_to_somebody(self, stage: Stage) -> None:
        with refused("configuration_invalid", stage):
            stage.actions.start_device_sign_in("sign-in", method="push", binding="s")

    def test_who_did_not_scan_the_code_does_not_answer(self, stage: Stage) -> None:
        device, other = stage.enrol(method="qr-code"), stage.enrol("eve", method="qr-code")
        started = stage.actions.start_device_sign_in("sign-in", method="qr-code", binding="s")
        id = started.challenge_id
        stage.devices.claim_challenge(id, public_key=device.public_key, signature=device.claim(id))
        with refused("signature_invalid", stage):
            stage.actions.answer_device_challenge(id, **answer_of(started, other))
        assert stage.actions.finish_device_sign_in("sign-in", id, binding="s") is None
        assert isinstance(other, SoftwareDevice)

    @pytest.mark.parametrize("part", ["passkeys", "devices"])
    def test_a_service_without_passkeys_or_devices_says_so(self, colour: Colour, part: str) -> None:
        stage = Stage(colour, actions={part: None})
        calls: dict[str, tuple[Callable[[], object], ...]] = {
            "passkeys": (
                lambda: stage.actions.start_passkey_sign_in("sign-in", binding="s"),
                lambda: stage.actions.finish_passkey_sign_in("sign-in", {}, binding="s"),
            ),
            "devices": (
                lambda: stage.actions.start_device_sign_in("sign-in", method="in-app", binding="s"),
                lambda: stage.actions.finish_device_sign_in("sign-in", "x", binding="s"),
            ),
        }
        for call in calls[part]:
            with refused("configuration_invalid", stage) as caught:
                call()
            assert caught.value.path == part
