"""The states of an action, and every way from one to another: what is not in the table is refused."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from ..errors import ActionError, Code

Method: TypeAlias = Literal["passkey", "push", "in-app", "qr-code"]
"""By which kind of authenticator a challenge is met."""

METHODS: Final[tuple[Method, ...]] = get_args(Method)


class Outcome(StrEnum):
    """What rules, or an action's default, decide."""

    ALLOW = "ALLOW"
    BLOCK = "BLOCK"
    CHALLENGE = "CHALLENGE"
    REVIEW = "REVIEW"


class ActionState(StrEnum):
    """How far an action has come. Closed: words are added, never renamed."""

    ALLOW = "ALLOW"
    BLOCK = "BLOCK"
    CHALLENGE_REQUIRED = "CHALLENGE_REQUIRED"
    CHALLENGE_SUCCEEDED = "CHALLENGE_SUCCEEDED"
    CHALLENGE_FAILED = "CHALLENGE_FAILED"
    REVIEW_REQUIRED = "REVIEW_REQUIRED"
    REVIEW_SUCCEEDED = "REVIEW_SUCCEEDED"
    REVIEW_FAILED = "REVIEW_FAILED"


Cause: TypeAlias = Literal["proof", "rejection", "attempts", "expiry", "review_passed", "review_failed"]
"""Why a state changes: a challenge was met; a device signed that its user says no; attempts are used up; it was too
late; somebody who reviews actions said yes, or no."""

INITIAL: Final[Mapping[Outcome, ActionState]] = MappingProxyType(
    {
        Outcome.ALLOW: ActionState.ALLOW,
        Outcome.BLOCK: ActionState.BLOCK,
        Outcome.CHALLENGE: ActionState.CHALLENGE_REQUIRED,
        Outcome.REVIEW: ActionState.REVIEW_REQUIRED,
    }
)

TRANSITIONS: Final[Mapping[tuple[ActionState, Cause], ActionState]] = MappingProxyType(
    {
        (ActionState.CHALLENGE_REQUIRED, "proof"): ActionState.CHALLENGE_SUCCEEDED,
        (ActionState.CHALLENGE_REQUIRED, "rejection"): ActionState.CHALLENGE_FAILED,
        (ActionState.CHALLENGE_REQUIRED, "attempts"): ActionState.CHALLENGE_FAILED,
        (ActionState.CHALLENGE_REQUIRED, "expiry"): ActionState.CHALLENGE_FAILED,
        # A proof that nobody demanded: an application may ask for one silently wherever a device gives it.
        (ActionState.ALLOW, "proof"): ActionState.CHALLENGE_SUCCEEDED,
        # Where one was asked for, its no is a no.
        (ActionState.ALLOW, "rejection"): ActionState.CHALLENGE_FAILED,
        (ActionState.ALLOW, "attempts"): ActionState.CHALLENGE_FAILED,
        (ActionState.REVIEW_REQUIRED, "review_passed"): ActionState.REVIEW_SUCCEEDED,
        (ActionState.REVIEW_REQUIRED, "review_failed"): ActionState.REVIEW_FAILED,
    }
)
"""Where a cause leads from a state."""


def transition(state: ActionState, cause: Cause) -> ActionState:
    """Where `cause` leads from `state`.

    Raises:
        ActionError: `action_state`: nowhere.
    """
    to = TRANSITIONS.get((state, cause))
    if to is None:
        raise ActionError(Code.ACTION_STATE, f"{state} does not end by {cause.replace('_', ' ')}", state=state.value)
    return to
