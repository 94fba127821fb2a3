"""The table of states: its shape, and that whatever is not in it is refused."""

from itertools import product
from typing import get_args

import pytest

from passkeycore import ActionError, Code
from passkeycore.actions import TRANSITIONS, ActionState, Outcome
from passkeycore.actions.states import INITIAL, Cause, transition

CAUSES: tuple[Cause, ...] = get_args(Cause)
FINAL = {
    ActionState.BLOCK,
    ActionState.CHALLENGE_SUCCEEDED,
    ActionState.CHALLENGE_FAILED,
    ActionState.REVIEW_SUCCEEDED,
    ActionState.REVIEW_FAILED,
}


def test_every_outcome_has_a_state_to_begin_in() -> None:
    assert set(INITIAL) == set(Outcome)
    assert len(set(INITIAL.values())) == len(Outcome)


def test_every_state_is_reached() -> None:
    assert {*INITIAL.values(), *TRANSITIONS.values()} == set(ActionState)


def test_what_is_decided_stays_decided() -> None:
    assert {state for state, _ in TRANSITIONS}.isdisjoint(FINAL)
    assert {state for state, _ in TRANSITIONS} | FINAL == set(ActionState)


def test_nothing_goes_back_or_in_circles() -> None:
    assert all(to in FINAL for to in TRANSITIONS.values())


def test_every_cause_leads_somewhere() -> None:
    assert {cause for _, cause in TRANSITIONS} == set(CAUSES)


def test_only_a_proof_makes_a_challenge_succeed() -> None:
    to_success = {cause for (_, cause), to in TRANSITIONS.items() if to is ActionState.CHALLENGE_SUCCEEDED}
    assert to_success == {"proof"}


@pytest.mark.parametrize(("state", "cause"), [*product(ActionState, CAUSES)])
def test_a_cause_leads_where_the_table_says_or_nowhere(state: ActionState, cause: Cause) -> None:
    if (state, cause) in TRANSITIONS:
        assert transition(state, cause) is TRANSITIONS[state, cause]
        return
    with pytest.raises(ActionError) as caught:
        transition(state, cause)
    assert caught.value.code == Code.ACTION_STATE
    assert caught.value.state == state.value
