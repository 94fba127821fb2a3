"""What `track` answers and keeps: a state, a token, a key; the same again for the same key; and what it refuses."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passkeycore.actions import ActionRules, ActionState
from passkeycore.engine.actions.repository import ActionRepository
from passkeycore.engine.actions.tracking import ClientInfo
from tests.engine.kit import NOW, Colour, browser

from .cast import WRONG_CLIENTS
from .kit import BEGINNINGS, SCOPE, TOKENS, Called, Stage, refused, register_elsewhere


class ActionsAlone:
    """A storage that keeps actions and nothing else."""

    def __init__(self, within: Any) -> None:
        for name in vars(ActionRepository):
            if not name.startswith("_"):
                setattr(self, name, getattr(within, name))


HUGE: dict[str, Any] = {str(number): number for number in range(65)}


class TestAnswer:
    @pytest.mark.parametrize(("action", "state"), BEGINNINGS.items())
    def test_the_state_is_what_rules_decide(self, stage: Stage, action: str, state: ActionState) -> None:
        tracked = stage.track(action)
        assert tracked.state is state
        assert stage.now(tracked) == tracked.action

    def test_without_rules_every_action_takes_a_challenge(self, colour: Colour) -> None:
        assert Stage(colour, rules=None).track("look").state is ActionState.CHALLENGE_REQUIRED

    def test_what_is_stored_is_what_was_sent(self, stage: Stage) -> None:
        client = ClientInfo(
            ip_address="192.0.2.1", user_agent="Browser", device_id="d-1", custom={"amount": 5, "new": True}
        )
        tracked = stage.track(client=client, redirect_url="https://example.org/back", scope=[SCOPE, "a:authenticators"])
        action = tracked.action
        assert (action.user_id, action.action, action.realm) == ("ada", "pay", "")
        assert (action.ip_address, action.user_agent, action.device_id) == ("192.0.2.1", "Browser", "d-1")
        assert action.custom == {"amount": 5, "new": True}
        assert action.scope == ("a:authenticators", SCOPE)
        assert action.redirect_url == "https://example.org/back"
        assert (action.created_at, action.state_updated_at) == (NOW, NOW)
        assert action.expires_at == NOW + timedelta(minutes=10), "ten minutes by default"
        assert stage.all_actions() == {("", "ada", "pay", tracked.idempotency_key): action}

    def test_the_user_need_not_be_known(self, stage: Stage) -> None:
        tracked = stage.track(user_id="nobody")
        assert (tracked.is_enrolled, tracked.enrolled_methods) == (False, ())
        assert stage.stored()["users"] == {}, "and is not made known by it"

    def test_methods_are_those_of_whatever_the_user_has_enrolled(self, stage: Stage) -> None:
        """Expired devices too: they are of no use now, and tell that the user is somebody who proves themselves."""
        stage.register()
        stage.enrol(method="qr-code", expires_at=NOW + timedelta(hours=1))
        stage.enrol(method="push")
        stage.enrol(method="push", seed="another")
        assert stage.track().enrolled_methods == ("passkey", "qr-code", "push")
        assert stage.track(user_id="eve").enrolled_methods == ()
        stage.clock.move(hours=1)
        assert stage.track().enrolled_methods == ("passkey", "qr-code", "push")
        stage.passkeys.remove_all_passkeys("ada")
        assert stage.track().enrolled_methods == ("qr-code", "push")

    def test_a_passkey_of_another_relying_party_is_enrolled_all_the_same(self, stage: Stage) -> None:
        """It meets no challenge here, and tells that the user is somebody."""
        register_elsewhere(stage)
        tracked = stage.track()
        assert tracked.enrolled_methods == ("passkey",)
        with refused("no_credential", stage):
            stage.actions.start_passkey_challenge(tracked.token)

    @pytest.mark.parametrize("part", ["passkeys", "devices"])
    def test_what_is_in_the_storage_is_enrolled_though_it_meets_no_challenge_here(
        self, colour: Colour, part: str
    ) -> None:
        """Another service may share the storage: its users are not new here."""
        stage = Stage(colour, actions={part: None})
        stage.register()
        stage.enrol()
        assert stage.track().enrolled_methods == ("passkey", "push")

    def test_where_the_storage_keeps_no_devices_nobody_has_any(self, colour: Colour) -> None:
        stage = Stage(colour)
        stage.register()
        stage.enrol()
        kind: Any = type(stage.actions.service)
        service = kind(ActionsAlone(stage.repository), tokens=TOKENS, passkeys=stage.passkeys.service)
        actions = Called(service, stage.actions._call)
        assert actions.track("ada", "pay").enrolled_methods == ("passkey",)

    def test_a_disabled_user_is_blocked_whatever_the_rules(self, stage: Stage) -> None:
        stage.register()
        stage.passkeys.disable_user("ada")
        for action in BEGINNINGS:
            tracked = stage.track(action)
            assert (tracked.state, tracked.enrolled_methods) == (ActionState.BLOCK, ())
        stage.passkeys.enable_user("ada")
        assert stage.track().state is ActionState.CHALLENGE_REQUIRED

    def test_a_longer_user_agent_is_cut(self, stage: Stage) -> None:
        tracked = stage.track(client=ClientInfo(user_agent=5000 * "a"))
        assert tracked.action.user_agent == 1024 * "a"


class TestIdempotency:
    def test_the_same_key_gives_the_same_answer(self, stage: Stage) -> None:
        stage.register()
        first = stage.track(idempotency_key="k", scope=[SCOPE])
        stage.clock.move(minutes=1)
        again = stage.track(
            idempotency_key="k", client=ClientInfo(device_id="other"), redirect_url="https://other.example"
        )
        assert again == first
        assert len(stage.all_actions()) == 1

    def test_it_gives_nobody_a_scope_that_the_first_had_not(self, stage: Stage) -> None:
        stage.track(idempotency_key="k")
        assert stage.track(idempotency_key="k", scope=[SCOPE]).action.scope == ()

    def test_rules_that_changed_meanwhile_change_nothing(self, stage: Stage) -> None:
        first = stage.track("look", idempotency_key="k")
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, rules=ActionRules())
        assert other.track("look", idempotency_key="k").action == first.action

    def test_the_state_is_that_of_now(self, stage: Stage) -> None:
        client = stage.register()
        first = stage.track(idempotency_key="k")
        stage.meet(first, client)
        again = stage.track(idempotency_key="k")
        assert (again.state, again.token) == (ActionState.CHALLENGE_SUCCEEDED, first.token)
        late = stage.track(idempotency_key="late")
        stage.clock.move(minutes=10)
        again = stage.track(idempotency_key="late")
        assert (again.state, again.token) == (ActionState.CHALLENGE_FAILED, late.token)

    @pytest.mark.parametrize("other", [{"user_id": "eve"}, {"action": "look"}, {"idempotency_key": "K"}])
    def test_another_user_action_or_key_is_another_time(self, stage: Stage, other: dict[str, str]) -> None:
        usual = {"user_id": "ada", "action": "pay", "idempotency_key": "k"}
        first, second = stage.track(**usual), stage.track(**(usual | other))
        assert first.token != second.token
        assert len(stage.all_actions()) == 2

    def test_without_a_key_every_time_is_a_new_one(self, stage: Stage) -> None:
        keys = {stage.track().idempotency_key for _ in range(20)}
        assert len(keys) == 20
        assert all(len(key) == 32 for key in keys)


WRONG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "no user": ("user_id_invalid", "user_id", {"user_id": ""}),
    "NUL in the user": ("user_id_invalid", "user_id", {"user_id": "a\0"}),
    "a long user": ("user_id_invalid", "user_id", {"user_id": 256 * "a"}),
    "a user of another type": ("user_id_invalid", "user_id", {"user_id": 7}),
    "no word": ("action_invalid", "action", {"action": ""}),
    "a long word": ("action_invalid", "action", {"action": 65 * "a"}),
    "a word with a space": ("action_invalid", "action", {"action": "a b"}),
    "a word with a line": ("action_invalid", "action", {"action": "pay\n"}),
    "a word of other letters": ("action_invalid", "action", {"action": "zahlé"}),
    "a word of another type": ("action_invalid", "action", {"action": 7}),
    "an empty key": ("action_invalid", "idempotency_key", {"idempotency_key": ""}),
    "a long key": ("name_invalid", "idempotency_key", {"idempotency_key": 256 * "a"}),
    "NUL in the key": ("name_invalid", "idempotency_key", {"idempotency_key": "\0"}),
    "a surrogate in the key": ("name_invalid", "idempotency_key", {"idempotency_key": "\ud800"}),
    "a key of another type": ("name_invalid", "idempotency_key", {"idempotency_key": 7}),
    "a long address to go back to": ("name_invalid", "redirect_url", {"redirect_url": 2049 * "a"}),
    "another scope": ("action_invalid", "scope", {"scope": ["add:users"]}),
    "a scope with a line": ("action_invalid", "scope", {"scope": ["add:authenticators\n"]}),
    "a scope of another type": ("action_invalid", "scope", {"scope": [7]}),
    "a long scope": ("action_invalid", "scope", {"scope": [65 * "a" + ":authenticators"]}),
    "a text as scopes": ("action_invalid", "scope", {"scope": SCOPE}),
    "a number as scopes": ("action_invalid", "scope", {"scope": 7}),
    "None as scopes": ("action_invalid", "scope", {"scope": None}),
    "an iterator as scopes": ("action_invalid", "scope", {"scope": iter([SCOPE])}),
    "a scope that cannot be looked up": ("action_invalid", "scope", {"scope": [[SCOPE]]}),
    "many scopes": (
        "action_invalid",
        "scope",
        {"scope": [f"{17 * 'a'}{number:c}:authenticators" for number in range(97, 114)]},
    ),
    "a long ip address": ("name_invalid", "ip_address", {"client": ClientInfo(ip_address=65 * "1")}),
    "a long device id": ("name_invalid", "device_id", {"client": ClientInfo(device_id=256 * "a")}),
    "a NUL in the user agent": ("name_invalid", "user_agent", {"client": ClientInfo(user_agent="\0")}),
    "a user agent of another type": ("name_invalid", "user_agent", {"client": ClientInfo(user_agent=7)}),  # type: ignore[arg-type]
    "many data points": ("action_invalid", "custom", {"client": ClientInfo(custom=HUGE)}),
    "no mapping": ("action_invalid", "custom", {"client": ClientInfo(custom=["a"])}),  # type: ignore[arg-type]
    "a long name": ("name_invalid", "custom", {"client": ClientInfo(custom={65 * "a": 1})}),
    "a name of another type": ("name_invalid", "custom", {"client": ClientInfo(custom={7: 1})}),  # type: ignore[dict-item]
    "a long text": ("name_invalid", "custom", {"client": ClientInfo(custom={"a": 1025 * "a"})}),
    "NUL in a text": ("name_invalid", "custom", {"client": ClientInfo(custom={"a": "\0"})}),
    "a list": ("action_invalid", "custom", {"client": ClientInfo(custom={"a": ["b"]})}),  # type: ignore[dict-item]
    "None": ("action_invalid", "custom", {"client": ClientInfo(custom={"a": None})}),  # type: ignore[dict-item]
    "no number": ("action_invalid", "custom", {"client": ClientInfo(custom={"a": float("nan")})}),
    "an infinite number": ("action_invalid", "custom", {"client": ClientInfo(custom={"a": float("inf")})}),
    "a large number": ("action_invalid", "custom", {"client": ClientInfo(custom={"a": 2**63})}),
}


class TestBounds:
    @pytest.mark.parametrize("what", WRONG)
    def test_what_cannot_be_stored_is_refused(self, stage: Stage, what: str) -> None:
        code, path, changes = WRONG[what]
        usual: dict[str, Any] = {"user_id": "ada", "action": "pay"}
        stage.track(**usual)
        with refused(code, stage) as caught:
            stage.track(**(usual | changes))
        assert caught.value.path == path

    @pytest.mark.parametrize("what", WRONG_CLIENTS)
    def test_nor_is_a_client_that_is_none(self, stage: Stage, what: str) -> None:
        code, client = WRONG_CLIENTS[what]
        with refused(code, stage):
            stage.track(client=client)

    @pytest.mark.parametrize(
        "changes",
        [
            {"user_id": 255 * "\U0001f511", "action": 64 * "Z", "idempotency_key": 255 * "\U0001f511"},
            {"client": ClientInfo(ip_address=64 * "1", device_id=255 * "a", custom=dict(list(HUGE.items())[:64]))},
            {"client": ClientInfo(custom={64 * "a": 1024 * "a", "most": 2**63 - 1, "least": -(2**63 - 1), "f": 1.5})},
            {"redirect_url": 2048 * "a", "scope": [64 * "a" + ":authenticators"]},
        ],
    )
    def test_the_longest_of_everything_is_stored_and_its_challenge_can_be_met(
        self, stage: Stage, changes: dict[str, Any]
    ) -> None:
        user_id = changes.get("user_id", "ada")
        client = browser()
        start = stage.passkeys.start_registration(user_id=user_id, user_name="ada")
        stage.passkeys.finish_registration(client.create(start.to_dict()), user_id=user_id)
        tracked = stage.track(**({"user_id": user_id} | changes))
        met = stage.meet(tracked, client)
        assert stage.validate(met).state is ActionState.CHALLENGE_SUCCEEDED

    def test_nothing_is_kept_of_a_mapping_that_the_caller_changes_later(self, stage: Stage) -> None:
        custom: dict[str, Any] = {"amount": 5}
        tracked = stage.track(client=ClientInfo(custom=custom))
        custom["amount"] = 6
        assert stage.now(tracked).custom == {"amount": 5}


FINDS: dict[str, Callable[[Stage, str, str, str], Any]] = {
    "get": lambda stage, *names: stage.actions.get_action(*names),
    "update": lambda stage, *names: stage.actions.update_action(*names, state="REVIEW_FAILED"),
}


class TestFinding:
    def test_an_action_is_found_by_its_names(self, stage: Stage) -> None:
        tracked = stage.track(idempotency_key="k")
        assert stage.actions.get_action("ada", "pay", "k") == tracked.action
        assert stage.actions.action_of_token(tracked.token) == tracked.action

    @pytest.mark.parametrize("call", FINDS)
    @pytest.mark.parametrize(
        ("names", "code"),
        [
            (("eve", "borrow", "k"), "action_not_found"),
            (("ada", "pay", "k"), "action_not_found"),
            (("ada", "borrow", "K"), "action_not_found"),
            (("ada", "borrow", ""), "action_not_found"),
            (("", "borrow", "k"), "user_id_invalid"),
            (("ada", "b b", "k"), "action_invalid"),
            (("ada", "borrow", 256 * "k"), "name_invalid"),
            (("ada", "borrow", "\0"), "name_invalid"),
        ],
    )
    def test_only_by_those(self, stage: Stage, call: str, names: tuple[str, str, str], code: str) -> None:
        stage.track("borrow", idempotency_key="k")
        with refused(code, stage):
            FINDS[call](stage, *names)

    @pytest.mark.parametrize("call", FINDS)
    def test_and_not_in_another_realm(self, stage: Stage, call: str) -> None:
        stage.track("borrow", idempotency_key="k")
        other = Stage(stage.colour, memory=stage.memory, realm="b")
        with refused("action_not_found", stage):
            FINDS[call](other, "ada", "borrow", "k")


class TestUnenrolled:
    """Whom a challenge is asked of who has nothing to meet it with."""

    @pytest.mark.parametrize(
        ("word", "strict", "lenient"),
        [
            ("pay", "CHALLENGE_REQUIRED", "ALLOW"),
            ("look", "ALLOW", "ALLOW"),
            ("borrow", "REVIEW_REQUIRED", "REVIEW_REQUIRED"),
            ("steal", "BLOCK", "BLOCK"),
        ],
    )
    def test_only_what_asks_for_a_challenge_is_another(
        self, stage: Stage, word: str, strict: str, lenient: str
    ) -> None:
        assert stage.track(word).state == strict
        assert stage.track(word, challenge_unenrolled=False).state == lenient

    @pytest.mark.parametrize("method", ["passkey", "push", "in-app", "qr-code"])
    def test_whoever_has_anything_is_asked(self, stage: Stage, method: str) -> None:
        if method == "passkey":
            stage.register()
        else:
            stage.enrol(method=method)
        assert stage.track("pay", challenge_unenrolled=False).state == "CHALLENGE_REQUIRED"

    def test_somebody_disabled_is_blocked(self, stage: Stage) -> None:
        stage.register()
        stage.passkeys.disable_user("ada")
        assert stage.track("pay", challenge_unenrolled=False).state == "BLOCK"

    def test_the_first_answer_counts(self, stage: Stage) -> None:
        first = stage.track(idempotency_key="k", challenge_unenrolled=False)
        assert stage.track(idempotency_key="k").state == first.state == "ALLOW"
