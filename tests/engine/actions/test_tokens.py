"""Tokens: which proves what, for whom, until when, and that nothing else does."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore import ActionError
from passkeycore.actions import ActionState
from passkeycore.testing import SoftwareDevice, VirtualClient
from passkeycore.tokens import Tokens
from tests.engine.kit import NOW, SECRET, Colour, browser

from .kit import BEGINNINGS, TOKENS, Stage, enrolled, refused

HOUR = timedelta(hours=1)
ISSUED = "passkeycore/action"


@pytest.fixture
def client(stage: Stage) -> VirtualClient:
    """Ada's browser, with a passkey."""
    return stage.register()


@pytest.fixture
def phone(stage: Stage) -> SoftwareDevice:
    """Ada's telephone."""
    return stage.enrol()


class TestFromTrack:
    @pytest.mark.parametrize("action", BEGINNINGS)
    def test_it_proves_nothing_whatever_the_state(self, stage: Stage, action: str) -> None:
        tracked = stage.track(action)
        with refused("action_state", stage) as caught:
            stage.actions.validate_challenge(tracked.token, user_id="ada", action=action)
        assert isinstance(caught.value, ActionError)
        assert caught.value.state == BEGINNINGS[action]

    @pytest.mark.parametrize("consume", [True, False])
    def test_nor_after_success(self, stage: Stage, client: VirtualClient, consume: bool) -> None:
        tracked = stage.track()
        met = stage.meet(tracked, client)
        stage.validate(met, consume=consume)
        for again in (True, False):
            with refused("action_state", stage) as caught:
                stage.actions.validate_challenge(tracked.token, user_id="ada", action="pay", consume=again)
            assert isinstance(caught.value, ActionError)
            assert caught.value.state == "CHALLENGE_SUCCEEDED"

    def test_it_names_the_action(self, stage: Stage, client: VirtualClient) -> None:
        tracked = stage.track()
        assert stage.actions.action_of_token(tracked.token) == tracked.action
        met = stage.meet(tracked, client)
        assert stage.actions.action_of_token(tracked.token) == met.action == stage.actions.action_of_token(met.token)

    def test_it_tells_its_kind(self, stage: Stage, client: VirtualClient) -> None:
        tracked = stage.track()
        assert stage.actions.read_token(tracked.token) == ("track", tracked.action)
        met = stage.meet(tracked, client)
        assert stage.actions.read_token(met.token) == ("success", met.action)
        assert stage.actions.read_token(tracked.token) == ("track", met.action)

    @pytest.mark.parametrize("lost", ["passkey", "user"])
    def test_it_is_read_no_more_when_what_met_it_is_gone(self, stage: Stage, client: VirtualClient, lost: str) -> None:
        tracked = stage.track()
        met = stage.meet(tracked, client)
        if lost == "passkey":
            stage.passkeys.remove_passkey("ada", stage.passkey_of().credential_id)
        else:
            stage.passkeys.disable_user("ada")
        for token in (tracked.token, met.token):
            with refused("token_invalid", stage):
                stage.actions.read_token(token)
            assert stage.actions.action_of_token(token) == met.action

    def test_it_ends_with_the_action(self, stage: Stage, client: VirtualClient) -> None:
        tracked = stage.track()
        stage.clock.move(minutes=9, seconds=59)
        assert stage.meet(tracked, client)
        other = stage.track()
        stage.clock.move(minutes=10)
        for token in (tracked.token, other.token):
            with refused("token_expired", stage):
                stage.actions.action_of_token(token)


class TestOfSuccess:
    def test_it_proves_the_success_until_it_is_used_up(self, stage: Stage, client: VirtualClient) -> None:
        met = stage.meet(stage.track(), client)
        for _ in range(3):
            assert stage.validate(met) == met.action
        used = stage.validate(met, consume=True)
        assert (used.state, used.consumed_at) == (ActionState.CHALLENGE_SUCCEEDED, NOW)
        assert stage.now(used) == used
        for consume in (True, False):
            with refused("token_invalid", stage):
                stage.validate(met, consume=consume)

    def test_neither_user_nor_action_need_be_named(self, stage: Stage, client: VirtualClient) -> None:
        met = stage.meet(stage.track(), client)
        assert stage.actions.validate_challenge(met.token).user_id == "ada"

    def test_it_is_a_fresh_one(self, stage: Stage, client: VirtualClient) -> None:
        tracked = [stage.track(), stage.track(), stage.track("look")]
        tokens = {one.token for one in tracked} | {stage.meet(one, client).token for one in tracked}
        assert len(tokens) == 6

    def test_one_of_the_same_names_in_another_life_is_none(self, stage: Stage, client: VirtualClient) -> None:
        """Neither token names only an action: each is about the moment that it was made for, too."""
        tracked = stage.track(idempotency_key="k")
        met = stage.meet(tracked, client)
        stage.memory._actions.clear()
        stage.memory._pasts.clear()
        stage.clock.move(seconds=1)
        stage.meet(stage.track(idempotency_key="k"), client)
        for token in (tracked.token, met.token):
            with refused("token_invalid", stage):
                stage.actions.validate_challenge(token)

    def test_it_is_good_for_ten_minutes_from_the_success(self, stage: Stage, client: VirtualClient) -> None:
        tracked = stage.track()
        stage.clock.move(minutes=9)
        met = stage.meet(tracked, client)
        stage.clock.move(minutes=9, seconds=59)
        assert stage.validate(met)
        stage.clock.move(seconds=1)
        with refused("token_expired", stage):
            stage.validate(met)

    def test_the_lifetime_is_a_setting(self, colour: Colour) -> None:
        stage = Stage(colour, actions={"lifetime_s": 5})
        client = stage.register()
        tracked = stage.track()
        assert tracked.action.expires_at == NOW + timedelta(seconds=5)
        met = stage.meet(tracked, client)
        stage.clock.move(seconds=5)
        with refused("token_expired", stage):
            stage.validate(met)

    @pytest.mark.parametrize("call", ["start_passkey_challenge", "finish_passkey_challenge", "cancel_challenge"])
    def test_it_begins_nothing(self, stage: Stage, client: VirtualClient, call: str) -> None:
        met = stage.meet(stage.track("look"), client)
        with refused("token_invalid", stage):
            CALLS[call](stage, met.token)

    def test_a_device_earns_one_as_well(self, stage: Stage, phone: SoftwareDevice) -> None:
        met = stage.approve(stage.track(), phone)
        assert stage.validate(met, consume=True).method == "push"


OTHER: dict[str, dict[str, Any]] = {
    "another user": {"user_id": "eve"},
    "another action": {"action": "look"},
    "both": {"user_id": "eve", "action": "look"},
    "no user": {"user_id": ""},
    "no action": {"action": ""},
}


class TestElsewhere:
    """A token of action A never validates B."""

    @pytest.mark.parametrize("consume", [True, False])
    @pytest.mark.parametrize("what", OTHER)
    def test_for_another_user_or_action(self, stage: Stage, client: VirtualClient, what: str, consume: bool) -> None:
        tracked = stage.track(idempotency_key="k")
        met = stage.meet(tracked, client)
        eve = stage.register("eve")
        stage.meet(stage.track(user_id="eve", idempotency_key="k"), eve)
        stage.meet(stage.track("look", idempotency_key="k"), client)
        for token in (met.token, tracked.token):
            with refused("token_invalid", stage):
                stage.actions.validate_challenge(
                    token, **({"user_id": "ada", "action": "pay"} | OTHER[what]), consume=consume
                )
        assert stage.validate(met, consume=True)

    def test_in_another_realm(self, stage: Stage, client: VirtualClient) -> None:
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, realm="b")
        there = other.register()
        tracked, same = stage.track(idempotency_key="k"), other.track(idempotency_key="k")
        met = stage.meet(tracked, client)
        other.meet(same, there)
        for token in (tracked.token, met.token):
            with refused("token_invalid", stage):
                other.actions.validate_challenge(token, user_id="ada", action="pay")
        assert stage.validate(met)

    def test_with_another_secret(self, stage: Stage, client: VirtualClient) -> None:
        met = stage.meet(stage.track(), client)
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, tokens=Tokens([SECRET[::-1]]))
        with refused("token_invalid", stage):
            other.validate(met)

    def test_with_the_same_secret_another_process_accepts_it(self, stage: Stage, client: VirtualClient) -> None:
        met = stage.meet(stage.track(), client)
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, tokens=Tokens([SECRET[::-1], SECRET]))
        assert other.validate(met) == met.action

    def test_as_a_step_up_or_an_enrolment_of_a_device_and_the_other_way_round(
        self, colour: Colour, phone: SoftwareDevice
    ) -> None:
        stage = Stage(colour, passkeys={"tokens": TOKENS})
        client = stage.register()
        met = stage.meet(stage.track(), client)
        assert met.authentication is not None
        assert met.authentication.purpose is not None
        assert met.authentication.step_up_token is None, "the action's own token proves it"
        start = stage.passkeys.start_authentication(user_id="ada", purpose="transfer")
        stepped = stage.passkeys.finish_authentication(client.get(start.to_dict()), user_id="ada", purpose="transfer")
        assert stepped.step_up_token is not None
        enrolment = stage.devices.start_enrolment("ada").token
        for token in (stepped.step_up_token, enrolment):
            with refused("token_invalid", stage):
                stage.actions.validate_challenge(token)
        with refused("token_invalid", stage):
            stage.devices.enrol_device(met.token, **enrolled(phone, met.token))
        with refused("token_invalid", stage):
            stage.passkeys.validate_step_up(met.token, user_id="ada", purpose=met.authentication.purpose)


CALLS: dict[str, Callable[[Stage, str], Any]] = {
    "validate_challenge": lambda stage, token: stage.actions.validate_challenge(token),
    "read_token": lambda stage, token: stage.actions.read_token(token),
    "action_of_token": lambda stage, token: stage.actions.action_of_token(token),
    "start_passkey_challenge": lambda stage, token: stage.actions.start_passkey_challenge(token),
    "finish_passkey_challenge": lambda stage, token: stage.actions.finish_passkey_challenge(token, {}),
    "start_device_challenge": lambda stage, token: stage.actions.start_device_challenge(token, method="push"),
    "finish_device_challenge": lambda stage, token: stage.actions.finish_device_challenge(token, "x"),
    "cancel_challenge": lambda stage, token: stage.actions.cancel_challenge(token),
    "start_passkey_enrolment": lambda stage, token: stage.actions.start_passkey_enrolment(token),
    "finish_passkey_enrolment": lambda stage, token: stage.actions.finish_passkey_enrolment(token, {}),
    "enrol_device": lambda stage, token: stage.actions.enrol_device(token, **enrolled(SoftwareDevice("x"), str(token))),
}


class TestForgeries:
    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("wrong", [None, 7, b"x", "", "x", "e30.e30.e30", 9000 * "x"])
    def test_what_is_no_token_opens_nothing(self, stage: Stage, call: str, wrong: Any) -> None:
        stage.track()
        with refused("token_invalid", stage):
            CALLS[call](stage, wrong)

    @pytest.mark.parametrize("call", CALLS)
    def test_nor_one_that_was_changed_or_has_expired(self, stage: Stage, call: str) -> None:
        token = stage.track().token
        head, body, signature = token.split(".")
        for wrong in (f"{head}.{body}A.{signature}", f"{head}.{body}.{signature[::-1]}", token + "A", token[:-1]):
            with refused("token_invalid", stage):
                CALLS[call](stage, wrong)
        stage.clock.move(minutes=10)
        with refused("token_expired", stage):
            CALLS[call](stage, token)

    @pytest.mark.parametrize(
        ("claim", "value"),
        [
            *[(claim, value) for claim in ("kind", "realm", "for", "at") for value in (None, 1, ["a"], "x")],
            ("kind", "success"),
            ("kind", "other"),
            ("for", "?"),
            ("for", "_w"),
            ("for", "cGFzc2tleWNvcmUvYWN0aW9uIDM6YWRh"),  # of one name alone
            ("at", 1.5),
            ("at", "1767355200000000"),
        ],
    )
    def test_a_token_without_all_its_claims_is_none(self, stage: Stage, claim: str, value: Any) -> None:
        """Such as those that another release makes, under the same secret."""
        claims = TOKENS.read(ISSUED, stage.track().token, now=NOW)
        assert claims.keys() == {"kind", "realm", "for", "at"}
        whole = TOKENS.issue(ISSUED, claims, expires_at=NOW + HOUR, now=NOW)
        assert stage.actions.action_of_token(whole)
        other: dict[str, Any] = claims | {claim: value}
        spoilt = TOKENS.issue(ISSUED, other, expires_at=NOW + HOUR, now=NOW)
        for call in ("validate_challenge", "action_of_token"):
            with refused("token_invalid", stage):
                CALLS[call](stage, spoilt)

    def test_a_success_that_there_never_was_cannot_be_claimed(self, stage: Stage, client: VirtualClient) -> None:
        """Kind and moment have to fit to the state, even in a genuine token."""
        tracked = stage.track()
        claims = TOKENS.read(ISSUED, tracked.token, now=NOW)
        early = TOKENS.issue(ISSUED, claims | {"kind": "success"}, expires_at=NOW + HOUR, now=NOW)
        with refused("token_invalid", stage):
            stage.actions.validate_challenge(early)
        stage.clock.move(seconds=1)
        met = stage.meet(tracked, client)
        for token in (early, TOKENS.issue(ISSUED, claims | {"at": 0}, expires_at=NOW + HOUR, now=NOW)):
            with refused("token_invalid", stage):
                stage.actions.validate_challenge(token)
        late = TOKENS.read(ISSUED, met.token, now=stage.clock())
        as_tracked = TOKENS.issue(ISSUED, late | {"kind": "track"}, expires_at=NOW + HOUR, now=NOW)
        for call in (stage.actions.start_passkey_challenge, stage.actions.validate_challenge):
            with refused("token_invalid", stage):
                call(as_tracked)

    def test_its_reader_learns_the_names_of_the_action_and_nothing_else(self, stage: Stage) -> None:
        claims = TOKENS.read(ISSUED, stage.track().token, now=NOW)
        assert claims["kind"] == "track"
        assert claims.keys() == {"kind", "realm", "for", "at"}


def _same_again(stage: Stage) -> None:
    """Ada once more, with the same passkey and device: somebody else who got her id."""
    passkey, device = stage.passkey_of(), stage.devices.list_devices("ada")[0]
    user = stage.passkeys.find_user("ada")
    stage.passkeys.remove_user("ada")
    stage.passkeys.import_passkey(user_id="ada", user_name="ada", credential=passkey.credential)
    assert stage.passkeys.find_user("ada").user_handle == user.user_handle
    assert stage.memory.add_device(device, 10, None) == "added"


SINCE: dict[str, Callable[[Stage], Any]] = {
    "the user is disabled": lambda stage: stage.passkeys.disable_user("ada"),
    "the user is removed": lambda stage: stage.passkeys.remove_user("ada"),
    "the user is removed and another has the id": _same_again,
    "all passkeys and devices are removed": lambda stage: (
        stage.passkeys.remove_all_passkeys("ada"),
        stage.devices.remove_device("ada", stage.device_id_of()),
    ),
}


class TestSince:
    """What happened since the success."""

    @pytest.mark.parametrize("consume", [True, False])
    @pytest.mark.parametrize("how", ["passkey", "push"])
    @pytest.mark.parametrize("what", SINCE)
    def test_it_says_nothing_about_who_is_not_the_same_any_more(
        self, stage: Stage, client: VirtualClient, phone: SoftwareDevice, what: str, how: str, consume: bool
    ) -> None:
        tracked = stage.track(idempotency_key="k")
        met = stage.meet(tracked, client) if how == "passkey" else stage.approve(tracked, phone)
        assert stage.validate(met)
        SINCE[what](stage)
        with refused("token_invalid", stage):
            stage.validate(met, consume=consume)

    def test_nor_when_that_passkey_was_removed(self, stage: Stage, client: VirtualClient) -> None:
        met = stage.meet(stage.track(), client)
        first = stage.passkey_of().credential_id
        stage.register(client=browser("another"))
        stage.passkeys.remove_passkey("ada", first)
        with refused("token_invalid", stage):
            stage.validate(met)

    @pytest.mark.parametrize("removed", [True, False])
    def test_nor_when_that_device_was_removed_or_has_expired(self, stage: Stage, removed: bool) -> None:
        phone = stage.enrol(expires_at=NOW + timedelta(minutes=1))
        stage.enrol(seed="another")
        met = stage.approve(stage.track(), phone)
        if removed:
            stage.devices.remove_device("ada", met.action.authenticator_id)
        else:
            stage.clock.move(minutes=1)
        with refused("token_invalid", stage):
            stage.validate(met)

    def test_nor_where_devices_are_not_known_any_more(self, stage: Stage, phone: SoftwareDevice) -> None:
        met = stage.approve(stage.track(), phone)
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, actions={"devices": None})
        with refused("token_invalid", stage):
            other.validate(met)

    def test_a_device_of_the_same_id_but_another_users_is_none(self, stage: Stage, phone: SoftwareDevice) -> None:
        met = stage.approve(stage.track(), phone)
        device = stage.devices.list_devices("ada")[0]
        stage.register("eve")
        stage.devices.remove_device("ada", device.authenticator_id)
        assert stage.memory.add_device(replace(device, user_id="eve"), 10, None) == "added"
        with refused("token_invalid", stage):
            stage.validate(met)

    @pytest.mark.parametrize(
        "change",
        [
            lambda stage: stage.passkeys.rename_user("ada", "another", "Another"),
            lambda stage: (stage.passkeys.disable_user("ada"), stage.passkeys.enable_user("ada")),
            lambda stage: stage.register(client=browser("another")),
            lambda stage: stage.enrol(seed="another"),
            lambda stage: stage.track(),
        ],
    )
    def test_other_changes_leave_it_good(self, stage: Stage, client: VirtualClient, change: Any) -> None:
        met = stage.meet(stage.track(), client)
        change(stage)
        assert stage.validate(met) == met.action
