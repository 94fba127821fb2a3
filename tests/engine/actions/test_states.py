"""How a state changes, by what, and that every other way is refused."""

import asyncio
from datetime import timedelta
from itertools import product
from typing import Any, Final, get_args

import pytest

from passkeycore import ActionError
from passkeycore.actions import ActionState
from passkeycore.actions.states import Cause
from passkeycore.engine.actions.steps import change, purpose_of
from passkeycore.engine.run import run
from tests.engine.kit import NOW

from .cast import Cast
from .kit import refused

S = ActionState
STATES: Final = tuple(ActionState)
CAUSES: Final[tuple[Cause, ...]] = get_args(Cause)
# Written out once more: the table that the engine reads is what is tested.
WAYS: Final[dict[tuple[str, str], str]] = {
    ("CHALLENGE_REQUIRED", "proof"): "CHALLENGE_SUCCEEDED",
    ("CHALLENGE_REQUIRED", "rejection"): "CHALLENGE_FAILED",
    ("CHALLENGE_REQUIRED", "attempts"): "CHALLENGE_FAILED",
    ("CHALLENGE_REQUIRED", "expiry"): "CHALLENGE_FAILED",
    ("ALLOW", "proof"): "CHALLENGE_SUCCEEDED",
    ("ALLOW", "rejection"): "CHALLENGE_FAILED",
    ("ALLOW", "attempts"): "CHALLENGE_FAILED",
    ("REVIEW_REQUIRED", "review_passed"): "REVIEW_SUCCEEDED",
    ("REVIEW_REQUIRED", "review_failed"): "REVIEW_FAILED",
}


class TestTable:
    @pytest.mark.parametrize(("state", "cause"), list(product(STATES, CAUSES)))
    def test_a_state_ends_only_as_the_table_has_it(self, cast: Cast, state: ActionState, cause: Cause) -> None:
        tracked = cast.brought_to(state)
        stage = cast.stage
        stage.clock.move(seconds=1)
        before = stage.now(tracked)
        go = asyncio.run if stage.colour == "async" else run
        wanted = WAYS.get((state.value, cause))
        context = stage.actions.service.context
        if wanted is None:
            with refused("action_state", stage) as caught:
                go(change(context, before, cause))
            assert isinstance(caught.value, ActionError)
            assert caught.value.state == state.value
        else:
            after = go(change(context, before, cause))
            assert after == stage.now(tracked)
            assert (after.state, after.state_updated_at) == (wanted, NOW + timedelta(seconds=1))
            assert after.revision == before.revision + 1


class TestProof:
    @pytest.mark.parametrize("state", STATES)
    def test_only_what_waits_or_is_allowed_can_be_proven(self, cast: Cast, state: ActionState) -> None:
        tracked, stage = cast.brought_to(state), cast.stage
        if (state.value, "proof") in WAYS:
            assert stage.meet(tracked, cast.client).action.state is S.CHALLENGE_SUCCEEDED
            return
        for start in (stage.actions.start_passkey_challenge, lambda token: stage.ask(tracked)):
            with refused("action_state", stage) as caught:
                start(tracked.token)
            assert isinstance(caught.value, ActionError)
            assert caught.value.state == state.value

    @pytest.mark.parametrize("state", [state for state in STATES if (state.value, "proof") not in WAYS])
    def test_a_ceremony_that_there_is_all_the_same_does_not_help(self, cast: Cast, state: ActionState) -> None:
        """As one that began before the state changed."""
        tracked, stage = cast.brought_to(state), cast.stage
        for_it = {"user_id": "ada", "binding": tracked.token, "purpose": purpose_of(tracked.action)}
        body = cast.client.get(stage.passkeys.start_authentication(**for_it).to_dict())
        with refused("action_state", stage):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        started = stage.devices.start_challenge(method="push", **for_it)
        stage.answer(started, cast.phone)
        before = stage.all_actions()
        with refused("action_state"):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        assert stage.all_actions() == before

    def test_what_met_it_is_kept(self, cast: Cast) -> None:
        stage = cast.stage
        by_passkey = stage.meet(stage.track(), cast.client).action
        by_device = stage.approve(stage.track(), cast.phone).action
        assert (by_passkey.method, by_passkey.user_verified) == ("passkey", True)
        assert (
            by_passkey.authenticator_id
            == cast.client.get(stage.passkeys.start_authentication(user_id="ada").to_dict())["id"]
        )
        assert (by_device.method, by_device.authenticator_id) == ("push", stage.device_id_of())
        assert by_device.user_verified is False, "nothing tells that a device verified its user"
        assert (by_passkey.attempts, by_passkey.revision) == (0, 1)

    def test_of_two_proofs_the_first_counts(self, cast: Cast) -> None:
        stage, tracked = cast.stage, cast.stage.track()
        started = stage.ask(tracked)
        body = stage.signed(tracked, cast.client)
        stage.answer(started, cast.phone)
        met = stage.actions.finish_passkey_challenge(tracked.token, body)
        with refused("action_state"):
            stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        assert stage.now(tracked) == met.action


class TestReview:
    @pytest.mark.parametrize(("state", "wanted"), list(product(STATES, STATES)))
    def test_only_what_waits_for_a_review_is_anybodys_to_set(
        self, cast: Cast, state: ActionState, wanted: ActionState
    ) -> None:
        tracked = cast.brought_to(state)
        if state is S.REVIEW_REQUIRED and wanted in (S.REVIEW_SUCCEEDED, S.REVIEW_FAILED):
            after = cast.review(tracked, wanted.value)
            assert after == cast.stage.now(tracked)
            assert after.state is wanted
        else:
            with refused("action_state", cast.stage) as caught:
                cast.review(tracked, wanted)
            assert isinstance(caught.value, ActionError)
            assert caught.value.state == state.value

    @pytest.mark.parametrize("wrong", ["", "review_failed", "DONE", None, 7, ["REVIEW_FAILED"]])
    def test_what_is_no_state_is_refused(self, cast: Cast, wrong: Any) -> None:
        tracked = cast.brought_to(S.REVIEW_REQUIRED)
        with refused("action_invalid", cast.stage) as caught:
            cast.review(tracked, wrong)
        assert caught.value.path == "state"

    def test_a_review_makes_no_token_good(self, cast: Cast) -> None:
        tracked = cast.brought_to(S.REVIEW_SUCCEEDED)
        with refused("action_state", cast.stage):
            cast.stage.actions.validate_challenge(tracked.token)
