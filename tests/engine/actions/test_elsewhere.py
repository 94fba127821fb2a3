"""A ceremony or challenge that began for action A finishes neither B, nor a sign-in, nor anything but A."""

from collections.abc import Callable
from typing import Any

import pytest

from passkeycore.engine.actions.steps import names_in, purpose_of
from passkeycore.engine.actions.tracking import TrackedAction
from passkeycore.testing import SoftwareDevice, VirtualClient
from tests.engine.kit import Json

from .cast import Cast
from .kit import Stage, refused

# The action that it did not begin for: one name is another's, or the time is.
OTHERS: dict[str, Callable[[Stage], TrackedAction]] = {
    "another time": lambda stage: stage.track(idempotency_key="other"),
    "another action": lambda stage: stage.track("look", idempotency_key="k"),
    "another user": lambda stage: stage.track(user_id="eve", idempotency_key="k"),
}


@pytest.fixture
def eve(cast: Cast) -> tuple[VirtualClient, SoftwareDevice]:
    """Eve, who has as much as ada."""
    return cast.stage.register("eve"), cast.stage.enrol("eve")


class TestPasskeys:
    @pytest.mark.parametrize("what", OTHERS)
    def test_no_other_action_is_met(self, cast: Cast, eve: object, what: str) -> None:
        stage = cast.stage
        tracked = stage.track(idempotency_key="k")
        other = OTHERS[what](stage)
        body = stage.signed(tracked, cast.client)
        with refused("challenge_unknown", stage, attempts=1):
            stage.actions.finish_passkey_challenge(other.token, body)
        with refused("challenge_unknown", stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, body)

    def test_not_in_another_realm(self, cast: Cast) -> None:
        stage = cast.stage
        there = Stage(stage.colour, memory=stage.memory, clock=stage.clock, realm="b")
        there.register()
        tracked, other = stage.track(idempotency_key="k"), there.track(idempotency_key="k")
        body = stage.signed(tracked, cast.client)
        with refused("challenge_unknown", stage, attempts=1):
            there.actions.finish_passkey_challenge(other.token, body)
        assert stage.actions.finish_passkey_challenge(tracked.token, body)

    def test_not_with_another_token_of_the_same_action(self, cast: Cast) -> None:
        """The binding is the token, not only the names in it."""
        stage, tracked = cast.stage, cast.stage.track()
        start = stage.passkeys.start_authentication(user_id="ada", binding="other", purpose=purpose_of(tracked.action))
        with refused("challenge_unknown", stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, cast.client.get(start.to_dict()))

    ENDS: dict[str, Callable[[Stage, TrackedAction, Json], Any]] = {  # noqa: RUF012
        "a plain sign-in": lambda stage, tracked, body: stage.passkeys.finish_authentication(body),
        "one that knows the token": lambda stage, tracked, body: stage.passkeys.finish_authentication(
            body, user_id="ada", binding=tracked.token
        ),
        "a step-up": lambda stage, tracked, body: stage.passkeys.finish_authentication(
            body, user_id="ada", binding=tracked.token, purpose="pay"
        ),
        "a sign-in as an action": lambda stage, tracked, body: stage.actions.finish_passkey_sign_in(
            "pay", body, binding=tracked.token
        ),
        "an enrolment": lambda stage, tracked, body: stage.actions.finish_passkey_enrolment(
            stage.track(scope=["add:authenticators"]).token, body
        ),
    }

    @pytest.mark.parametrize("what", ENDS)
    def test_nor_is_anything_else(self, cast: Cast, what: str) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        body = stage.signed(tracked, cast.client)
        before = stage.now(tracked)
        code = "json_invalid" if what == "an enrolment" else "challenge_unknown"
        with refused(code):
            self.ENDS[what](stage, tracked, body)
        assert stage.now(tracked) == before

    BEGINS: dict[str, Callable[[Stage, TrackedAction], Any]] = {  # noqa: RUF012
        "a plain sign-in": lambda stage, tracked: stage.passkeys.start_authentication(),
        "a sign-in of the user's": lambda stage, tracked: stage.passkeys.start_authentication(user_id="ada"),
        "one bound to the token": lambda stage, tracked: stage.passkeys.start_authentication(
            user_id="ada", binding=tracked.token
        ),
        "a step-up": lambda stage, tracked: stage.passkeys.start_authentication(
            user_id="ada", binding=tracked.token, purpose="pay"
        ),
        "a sign-in as an action": lambda stage, tracked: stage.actions.start_passkey_sign_in(
            "pay", binding=tracked.token
        ),
    }

    @pytest.mark.parametrize("what", BEGINS)
    def test_and_nothing_else_that_began_meets_it(self, cast: Cast, what: str) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        body = cast.client.get(self.BEGINS[what](stage, tracked).to_dict())
        with refused("challenge_unknown", stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, body)


class TestDevices:
    @pytest.mark.parametrize("answered", [True, False])
    @pytest.mark.parametrize("what", OTHERS)
    def test_no_other_action_is_met(self, cast: Cast, eve: object, what: str, answered: bool) -> None:
        stage = cast.stage
        tracked = stage.track(idempotency_key="k")
        other = OTHERS[what](stage)
        started = stage.ask(tracked)
        if answered:
            stage.answer(started, cast.phone)
        with refused("challenge_unknown", stage):
            stage.actions.finish_device_challenge(other.token, started.challenge_id)
        assert bool(stage.actions.finish_device_challenge(tracked.token, started.challenge_id)) == answered

    def test_not_in_another_realm(self, cast: Cast) -> None:
        stage = cast.stage
        there = Stage(stage.colour, memory=stage.memory, clock=stage.clock, realm="b", seed="b")
        there.enrol()
        tracked, other = stage.track(idempotency_key="k"), there.track(idempotency_key="k")
        started = stage.ask(tracked)
        with refused("challenge_unknown", stage):
            there.answer(started, cast.phone)
        stage.answer(started, cast.phone)
        with refused("challenge_unknown", stage):
            there.actions.finish_device_challenge(other.token, started.challenge_id)

    ENDS: dict[str, Callable[[Stage, TrackedAction, str], Any]] = {  # noqa: RUF012
        "a poll": lambda stage, tracked, id: stage.devices.poll_challenge(id, user_id="ada"),
        "one that knows the token": lambda stage, tracked, id: stage.devices.poll_challenge(
            id, user_id="ada", binding=tracked.token
        ),
        "one that knows the purpose": lambda stage, tracked, id: stage.devices.poll_challenge(
            id, user_id="ada", purpose=purpose_of(tracked.action)
        ),
        "a sign-in as an action": lambda stage, tracked, id: stage.actions.finish_device_sign_in(
            "pay", id, binding=tracked.token
        ),
    }

    @pytest.mark.parametrize("what", ENDS)
    def test_nor_is_anything_else(self, cast: Cast, what: str) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        stage.answer(started, cast.phone)
        with refused("challenge_unknown", stage):
            self.ENDS[what](stage, tracked, started.challenge_id)
        assert stage.actions.finish_device_challenge(tracked.token, started.challenge_id)

    BEGINS: dict[str, Json] = {  # noqa: RUF012
        "a challenge": {},
        "one bound to the token": {"binding": "token"},
        "one for the purpose": {"purpose": "purpose"},
        "one for somebody else": {"binding": "token", "purpose": "purpose", "user_id": "eve"},
        "one for anybody": {"binding": "token", "purpose": "purpose", "user_id": None, "method": "in-app"},
    }

    @pytest.mark.parametrize("what", BEGINS)
    def test_and_nothing_else_that_began_meets_it(
        self, cast: Cast, eve: tuple[VirtualClient, SoftwareDevice], what: str
    ) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        given = {"token": tracked.token, "purpose": purpose_of(tracked.action)}
        asked: Json = {"user_id": "ada", "method": "push"} | {
            name: given.get(str(value), value) for name, value in self.BEGINS[what].items()
        }
        started = stage.devices.start_challenge(**asked)
        phone = eve[1] if asked["user_id"] == "eve" else cast.phone
        if asked["user_id"] is None:
            phone = stage.enrol("eve", method="in-app")
        with refused("challenge_unknown", stage):
            stage.actions.cancel_challenge(tracked.token, started.challenge_id)
        stage.answer(started, phone)
        with refused("challenge_unknown", stage):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)


class TestPurposes:
    """The purpose of a ceremony for an action names it, and no two spell the same."""

    NAMES = (
        ("a", "b", "c"),
        ("ab", "b", "c"),
        ("a", "bb", "c"),
        ("1:a", "b", "c"),
        ("a1:b", "b", "c"),
        ("3:a1:b", "b", "1:c"),
        ("a 1:b", "1", "c"),
        ("\U0001f511", "b", "\n"),
        (255 * "9", 64 * "9", 255 * "9"),
    )

    def test_names_come_back_as_they_were(self, stage: Stage) -> None:
        actions = [stage.track(word, user, idempotency_key=key).action for user, word, key in self.NAMES if word != "1"]
        purposes = [purpose_of(action) for action in actions]
        assert len(set(purposes)) == len(purposes)
        assert max(map(len, purposes)) <= 640
        for action, purpose in zip(actions, purposes, strict=True):
            assert names_in(purpose) == (action.user_id, action.action, action.idempotency_key)

    @pytest.mark.parametrize(
        "purpose",
        [
            None,
            "",
            "pay",
            "passkeycore/action",
            "passkeycore/action ",
            "passkeycore/action 1:a1:b",
            "passkeycore/action 1:a1:b1:c1:d",
            "passkeycore/action 1:a1:b1:c ",
            "passkeycore/action 1:a1:b9:c",
            "passkeycore/action 1:a1:b1000:c",
            "passkeycore/action 1:a1:b\u0661:c",
            "passkeycore/enrolment passkeycore/action 1:a1:b1:c",
            " passkeycore/action 1:a1:b1:c",
            "passkeycore/actioN 1:a1:b1:c",
        ],
    )
    def test_what_is_none_names_nothing(self, purpose: str | None) -> None:
        assert names_in("passkeycore/action 1:a1:b1:c") == ("a", "b", "c")
        assert names_in(purpose) is None
