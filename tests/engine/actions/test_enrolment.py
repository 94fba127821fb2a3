"""Enrolling with the token of an action: the first takes any token of the user's, every further one takes more."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passkeycore.actions import ActionState
from passkeycore.engine.actions.tracking import TrackedAction
from passkeycore.testing import SoftwareDevice, VirtualClient
from tests.engine.kit import NOW, Colour, browser

from .cast import Cast
from .enrolling import KINDS, NEW, add, first, number_of
from .kit import DOMAIN, SCOPE, Stage, enrolled, refused

REFUSED = {"BLOCK", "CHALLENGE_FAILED", "REVIEW_REQUIRED", "REVIEW_FAILED"}


class TestFirst:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("word", ["pay", "look"])
    def test_any_token_will_do(self, stage: Stage, word: str, kind: str) -> None:
        tracked = stage.track(word)
        done = add(stage, tracked.token, kind)
        assert done.user_id == "ada"
        assert number_of(stage) == 1
        assert stage.now(tracked) == tracked.action, "enrolling meets no challenge"

    @pytest.mark.parametrize("kind", KINDS)
    def test_it_meets_challenges_from_then_on(self, stage: Stage, kind: str) -> None:
        tracked = stage.track()
        add(stage, tracked.token, kind)
        met = stage.meet(tracked, NEW) if kind == "passkey" else stage.approve(tracked, SoftwareDevice("new"))
        assert stage.validate(met)

    @pytest.mark.parametrize("kind", KINDS)
    def test_somebody_new_needs_a_name(self, stage: Stage, kind: str) -> None:
        token = stage.track().token
        with refused("user_not_found", stage):
            if kind == "passkey":
                stage.actions.start_passkey_enrolment(token)
            else:
                stage.actions.enrol_device(token, **enrolled(SoftwareDevice("new"), token))

    @pytest.mark.parametrize("kind", KINDS)
    def test_who_has_none_any_more_begins_anew(self, stage: Stage, kind: str) -> None:
        first(stage, "passkey")
        stage.passkeys.remove_all_passkeys("ada")
        assert add(stage, stage.track().token, kind).user_id == "ada"

    def test_one_in_another_realm_is_none_here(self, stage: Stage) -> None:
        stage.register()
        stage.enrol()
        there = Stage(stage.colour, memory=stage.memory, clock=stage.clock, realm="b")
        assert add(there, there.track().token, "passkey").user_id == "ada"

    def test_the_client_is_asked_as_the_start_was(self, stage: Stage) -> None:
        start = stage.actions.start_passkey_enrolment(
            stage.track().token,
            user_name="ada@example.org",
            user_display_name="Ada",
            mediation="conditional",
            authenticator_attachment="platform",
            hints=["client-device"],
            attestation="direct",
            timeout_ms=1000,
        ).to_dict()
        assert (start["user"]["name"], start["user"]["displayName"]) == ("ada@example.org", "Ada")
        assert start["authenticatorSelection"]["authenticatorAttachment"] == "platform"
        assert start["authenticatorSelection"]["userVerification"] == "preferred"
        assert (start["hints"], start["attestation"], start["timeout"]) == (["client-device"], "direct", 1000)

    def test_the_passkey_is_named_and_one_more_origin_may_answer(self, stage: Stage) -> None:
        elsewhere = VirtualClient(NEW.authenticator, "https://pay.example.org")
        token = stage.track().token
        asked = {"user_name": "ada", "passkey_name": "Mine"}
        start = stage.actions.start_passkey_enrolment(token, **asked)
        with refused("origin_not_allowed", stage):
            stage.actions.finish_passkey_enrolment(token, elsewhere.create(start.to_dict()))
        start = stage.actions.start_passkey_enrolment(token, **asked, extra_origin="https://pay.example.org")
        done = stage.actions.finish_passkey_enrolment(token, elsewhere.create(start.to_dict()))
        assert done.name == "Mine"

    def test_the_device_is_kept_as_it_was_described(self, stage: Stage) -> None:
        more = {"push_token": "p", "user_authentication_required": True, "expires_at": NOW + timedelta(days=1)}
        device = add(stage, stage.track().token, "push", **more, user_display_name="Ada")
        assert stage.devices.list_devices("ada") == (device,)
        assert (device.name, device.platform, device.method) == ("Telephone", "ios", "push")
        assert (device.push_token, device.user_authentication_required) == ("p", True)
        assert device.expires_at == NOW + timedelta(days=1)
        user = stage.passkeys.find_user("ada")
        assert (user.name, user.display_name) == ("name", "Ada")


class TestFurther:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("has", KINDS)
    def test_a_plain_token_is_not_enough(self, stage: Stage, has: str, kind: str) -> None:
        first(stage, has)
        for word in ("pay", "look"):
            token = stage.track(word).token
            with refused("scope_missing", stage):
                add(stage, token, kind)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("has", KINDS)
    def test_the_scope_is(self, stage: Stage, has: str, kind: str) -> None:
        first(stage, has)
        assert add(stage, stage.track(scope=[SCOPE]).token, kind).user_id == "ada"
        assert number_of(stage) == 2

    @pytest.mark.parametrize("scope", ["remove:authenticators", "update:authenticators"])
    def test_another_scope_is_not(self, stage: Stage, scope: str) -> None:
        stage.register()
        token = stage.track(scope=[scope]).token
        with refused("scope_missing", stage):
            add(stage, token, "passkey")

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("has", KINDS)
    def test_a_success_is_but_not_the_token_from_before(self, stage: Stage, has: str, kind: str) -> None:
        one = first(stage, has)
        tracked = stage.track()
        met = stage.meet(tracked, one) if isinstance(one, VirtualClient) else stage.approve(tracked, one)
        with refused("scope_missing", stage):
            add(stage, tracked.token, kind)
        assert add(stage, met.token, kind).user_id == "ada"

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_success_that_was_used_up_is_not(self, stage: Stage, kind: str) -> None:
        met = stage.meet(stage.track(), stage.register())
        stage.validate(met, consume=True)
        with refused("token_invalid", stage):
            add(stage, met.token, kind)

    SINCE: dict[str, Callable[[Stage], object]] = {  # noqa: RUF012
        "the passkey is removed": lambda stage: stage.passkeys.remove_all_passkeys("ada"),
        "the passkey is removed and another added": lambda stage: (
            stage.passkeys.remove_all_passkeys("ada"),
            stage.register(client=browser("another")),
        ),
        "the user is disabled": lambda stage: stage.passkeys.disable_user("ada"),
        "the user is removed": lambda stage: stage.passkeys.remove_user("ada"),
    }

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("what", SINCE)
    def test_nor_one_by_a_passkey_that_is_not_good_any_more(self, stage: Stage, what: str, kind: str) -> None:
        """Who stole a passkey must not put another in its place when the owner has removed it."""
        met = stage.meet(stage.track(), stage.register())
        self.SINCE[what](stage)
        with refused("token_invalid", stage):
            add(stage, met.token, kind)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("state", ActionState)
    def test_what_was_refused_enrols_nothing(self, cast: Cast, state: ActionState, kind: str) -> None:
        stage = cast.stage
        tracked = cast.brought_to(state, scope=[SCOPE])
        assert tracked.action.scope == (SCOPE,)
        if state.name in REFUSED:
            with refused("action_state", stage):
                add(stage, tracked.token, kind)
        else:
            assert add(stage, tracked.token, kind)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("state", ["BLOCK", "REVIEW_REQUIRED"])
    def test_not_even_a_first_one(self, stage: Stage, state: str, kind: str) -> None:
        token = stage.track({"BLOCK": "steal", "REVIEW_REQUIRED": "borrow"}[state]).token
        with refused("action_state", stage):
            add(stage, token, kind)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_user_who_is_disabled_enrols_nothing(self, stage: Stage, kind: str) -> None:
        stage.register()
        token = stage.track(scope=[SCOPE]).token
        stage.passkeys.disable_user("ada")
        with refused("user_disabled", stage):
            add(stage, token, kind)

    def test_limits_hold(self, colour: Colour) -> None:
        stage = Stage(colour, passkeys={"max_passkeys_per_user": 2}, devices={"max_devices_per_user": 2})
        stage.register()
        stage.enrol()
        stage.enrol(seed="another")
        tracked = stage.track(scope=[SCOPE])
        with refused("limit_reached", stage):
            add(stage, tracked.token, "push")
        start = stage.actions.start_passkey_enrolment(tracked.token)
        add(stage, tracked.token, "passkey")
        with refused("limit_reached", stage):
            add(stage, tracked.token, "passkey")
        with refused("limit_reached", stage):
            stage.actions.finish_passkey_enrolment(tracked.token, browser("late").create(start.to_dict()))

    def test_passkeys_that_the_user_has_are_excluded(self, stage: Stage) -> None:
        client = stage.register()
        start = stage.actions.start_passkey_enrolment(stage.track(scope=[SCOPE]).token).to_dict()
        assert [one["id"] for one in start["excludeCredentials"]] == [client.get(_asked(stage))["id"]]


def _asked(stage: Stage) -> Any:
    return stage.passkeys.start_authentication(user_id="ada").to_dict()


class TestBinding:
    """A token enrols for its user and nobody else, and its ceremony finishes with that token alone."""

    def test_a_passkey_is_the_users_whose_token_it_is(self, stage: Stage) -> None:
        mine, hers = stage.track(), stage.track(user_id="eve")
        again = stage.track()
        start = stage.actions.start_passkey_enrolment(mine.token, user_name="ada")
        stage.passkeys.get_or_create_user("eve", "eve")
        body = NEW.create(start.to_dict())
        for other in (hers, again):
            start = stage.actions.start_passkey_enrolment(mine.token, user_name="ada")
            with refused("challenge_unknown", stage):
                stage.actions.finish_passkey_enrolment(other.token, NEW.create(start.to_dict()))
        assert stage.actions.finish_passkey_enrolment(mine.token, body).user_id == "ada"
        assert stage.passkeys.list_passkeys("eve") == ()

    def test_a_device_is_the_users_whose_token_it_signed(self, stage: Stage) -> None:
        mine, hers = stage.track(), stage.track(user_id="eve")
        device = SoftwareDevice("new", domain=DOMAIN)
        with refused("signature_invalid", stage):
            stage.actions.enrol_device(hers.token, user_name="eve", **enrolled(device, mine.token))
        assert stage.actions.enrol_device(mine.token, user_name="ada", **enrolled(device, mine.token)).user_id == "ada"
        assert stage.devices.list_devices("eve") == ()

    def test_a_device_that_did_not_sign_is_none(self, stage: Stage) -> None:
        token = stage.track().token
        device = enrolled(SoftwareDevice("new", domain=DOMAIN), token)
        for wrong in (None, b"", enrolled(SoftwareDevice("other"), token)["signature"]):
            with refused("signature_invalid", stage):
                stage.actions.enrol_device(token, user_name="ada", **(device | {"signature": wrong}))

    BEGINS: dict[str, Callable[[Stage, TrackedAction], Any]] = {  # noqa: RUF012
        "a plain registration": lambda stage, tracked: stage.passkeys.start_registration(user_id="ada"),
        "one that knows the token": lambda stage, tracked: stage.passkeys.start_registration(
            user_id="ada", binding=tracked.token
        ),
        "one of another user's": lambda stage, tracked: stage.passkeys.start_registration(
            user_id="eve", user_name="eve", binding=tracked.token
        ),
    }

    @pytest.mark.parametrize("what", BEGINS)
    def test_nothing_else_that_began_is_an_enrolment(self, stage: Stage, what: str) -> None:
        stage.passkeys.get_or_create_user("ada", "ada")
        tracked = stage.track()
        body = NEW.create(self.BEGINS[what](stage, tracked).to_dict())
        with refused("challenge_unknown", stage):
            stage.actions.finish_passkey_enrolment(tracked.token, body)

    @pytest.mark.parametrize("repeated", [{}, {"binding": "token"}])
    def test_and_an_enrolment_is_no_registration(self, stage: Stage, repeated: dict[str, str]) -> None:
        tracked = stage.track()
        start = stage.actions.start_passkey_enrolment(tracked.token, user_name="ada")
        more = dict.fromkeys(repeated, tracked.token)
        with refused("challenge_unknown", stage):
            stage.passkeys.finish_registration(NEW.create(start.to_dict()), user_id="ada", **more)

    def test_a_response_counts_once(self, stage: Stage) -> None:
        tracked = stage.track(scope=[SCOPE])
        start = stage.actions.start_passkey_enrolment(tracked.token, user_name="ada")
        body = NEW.create(start.to_dict())
        stage.actions.finish_passkey_enrolment(tracked.token, body)
        with refused("challenge_unknown", stage):
            stage.actions.finish_passkey_enrolment(tracked.token, body)

    def test_a_token_enrols_one_device_for_each_method(self, stage: Stage) -> None:
        token = stage.track(scope=[SCOPE]).token
        for method in ("push", "in-app", "qr-code"):
            add(stage, token, method)
            other = SoftwareDevice("other", domain=DOMAIN, method=method)
            with refused("credential_exists", stage):
                stage.actions.enrol_device(token, **enrolled(other, token))
        assert number_of(stage) == 3
        assert add(stage, token, "passkey")

    def test_what_was_removed_does_not_come_back_by_it(self, stage: Stage) -> None:
        token = stage.track(scope=[SCOPE]).token
        add(stage, token, "push")
        stage.devices.remove_device("ada", stage.device_id_of())
        with refused("credential_exists", stage):
            add(stage, token, "push")

    def test_a_key_is_enrolled_once(self, stage: Stage) -> None:
        add(stage, stage.track().token, "push")
        tracked = stage.track(user_id="eve")
        with refused("credential_exists", stage):
            add(stage, tracked.token, "push")

    OBSTACLES: dict[str, tuple[str, Callable[[Stage], object], Callable[[Stage], object]]] = {  # noqa: RUF012
        "the key is there": (
            "credential_exists",
            lambda stage: stage.enrol("eve", seed="new"),
            lambda stage: stage.devices.remove_device("eve", stage.device_id_of("eve")),
        ),
        "the limit": (
            "limit_reached",
            lambda stage: [stage.enrol(seed=seed) for seed in "ab"],
            lambda stage: stage.devices.remove_device("ada", stage.device_id_of()),
        ),
        "a disabled user": (
            "user_disabled",
            lambda stage: (stage.register(), stage.passkeys.disable_user("ada")),
            lambda stage: stage.passkeys.enable_user("ada"),
        ),
    }

    @pytest.mark.parametrize("what", OBSTACLES)
    def test_what_can_be_seen_before_leaves_the_token_as_it_was(self, colour: Colour, what: str) -> None:
        stage = Stage(colour, devices={"max_devices_per_user": 2})
        token = stage.track(scope=[SCOPE]).token
        code, put, clear = self.OBSTACLES[what]
        put(stage)
        for _ in range(2):
            with refused(code, stage):
                add(stage, token, "push")
        clear(stage)
        assert add(stage, token, "push").user_id == "ada"

    def test_so_does_a_name_that_somebody_new_lacks(self, stage: Stage) -> None:
        token = stage.track().token
        with refused("user_not_found", stage):
            stage.actions.enrol_device(token, **enrolled(SoftwareDevice("new", domain=DOMAIN), token))
        assert add(stage, token, "push").user_id == "ada"


class TestServices:
    @pytest.mark.parametrize(("part", "kind"), [("passkeys", "passkey"), ("devices", "push")])
    def test_what_the_service_has_not_is_not_enrolled(self, colour: Colour, part: str, kind: str) -> None:
        stage = Stage(colour, actions={part: None})
        token = stage.track().token
        with refused("configuration_invalid", stage) as caught:
            add(stage, token, kind)
        assert caught.value.path == part

    @pytest.mark.parametrize(("part", "kind"), [("passkeys", "push"), ("devices", "passkey")])
    def test_the_other_is(self, colour: Colour, part: str, kind: str) -> None:
        stage = Stage(colour, actions={part: None})
        assert add(stage, stage.track().token, kind)
        token = stage.track().token
        with refused("scope_missing", stage):
            add(stage, token, kind)

    @pytest.mark.parametrize(("part", "kind", "has"), [("passkeys", "push", "passkey"), ("devices", "passkey", "push")])
    def test_what_meets_no_challenge_here_is_no_less_there(
        self, colour: Colour, part: str, kind: str, has: str
    ) -> None:
        """So nobody enrols a first one beside it."""
        stage = Stage(colour, actions={part: None})
        first(stage, has)
        token = stage.track().token
        with refused("scope_missing", stage):
            add(stage, token, kind)
