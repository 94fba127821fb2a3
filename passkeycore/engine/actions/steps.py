"""Steps that all flows about actions have in common: tokens, and how a state changes.

There are two kinds of token. The one from `track` names an action, and lets its holder try to meet its challenge. The
one that comes with a success proves that success, and is made anew for each. Both name the stored action and the moment
that they are about, so that neither outlives it.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import msgspec

from ...actions.states import ActionState, Cause, transition
from ...errors import ActionError, Code, ConflictError, DecodeError, TokenError
from ...webauthn.encoding import decode_base64url, encode_base64url
from ..checks import OwnPurpose
from ..records import Event, EventType
from .context import ActionContext
from .records import Action

if TYPE_CHECKING:
    from ...tokens import JSON

WAITING: Final = frozenset({ActionState.CHALLENGE_REQUIRED, ActionState.ALLOW})
"""In which an action can be met, fail, and be rejected."""

TokenKind: TypeAlias = Literal["track", "success"]

_TOKEN: Final = "passkeycore/action"
_PURPOSE: Final = OwnPurpose("passkeycore/action ")
IN_APP: Final = OwnPurpose("passkeycore/in-app ")
"""Begins what a challenge within an app is for, where no action is there yet."""

_LENGTH: Final = re.compile(r"([0-9]{1,3}):")
_RACES: Final = 10  # lost to somebody who changed the same action meanwhile
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Shown(NamedTuple):
    """A token that somebody showed, and the action that it names."""

    kind: TokenKind
    action: Action


def track_token(context: ActionContext, action: Action) -> str:
    """The token of an action, always the same: it begins and ends with the action."""
    return _token(context, "track", action, action.created_at, action.expires_at)


def success_token(context: ActionContext, action: Action) -> str:
    """The token of an action's success."""
    at = action.state_updated_at
    return _token(context, "success", action, at, at + context.lifetime)


async def shown(context: ActionContext, token: str) -> Shown:
    """What a token says, and the stored action as it is now, whose token it is.

    Raises:
        TokenError: `token_invalid`: none of ours for this, or its action is not there any more, or the success that
            it proved was used up. `token_expired`.
    """
    now = context.now()
    claims = context.tokens.read(_TOKEN, token, now=now)
    kind, at, names = claims.get("kind"), claims.get("at"), _claimed_names(claims.get("for"))
    if claims.get("realm") != context.realm or names is None:
        raise not_a_token()
    stored = await context.repository.find_action(context.realm, *names)
    if stored is None:
        raise not_a_token()
    action = as_of(stored, now)
    if kind == "track" and at == _microseconds(action.created_at):
        return Shown("track", action)
    if (
        kind == "success"
        and action.state is ActionState.CHALLENGE_SUCCEEDED
        and at == _microseconds(action.state_updated_at)
        and action.consumed_at is None
    ):
        return Shown("success", action)
    raise not_a_token()


def not_a_token() -> TokenError:
    """The one error for whatever is wrong with a token, but its age."""
    return TokenError(Code.TOKEN_INVALID, "not a token for this")


def as_of(action: Action, now: datetime) -> Action:
    """The action as it is at `now`: a challenge that was not met in time has failed, whoever has noticed."""
    if action.state is ActionState.CHALLENGE_REQUIRED and now >= action.expires_at:
        state = transition(action.state, "expiry")
        return msgspec.structs.replace(action, state=state, state_updated_at=action.expires_at)
    return action


def purpose_of(action: Action) -> OwnPurpose:
    """What a ceremony or device challenge for this action is for: its names, so that it is for no other.

    Up to 640 characters. Each name is preceded by its length: no two actions spell the same.
    """
    names = action.user_id, action.action, action.idempotency_key
    return OwnPurpose(_PURPOSE + "".join(f"{len(name)}:{name}" for name in names))


def names_in(purpose: str | None) -> tuple[str, str, str] | None:
    """User, word and key of the action that `purpose_of` was asked about; None: it is no such purpose."""
    names: list[str] = []
    rest = purpose[len(_PURPOSE) :] if purpose is not None and purpose.startswith(_PURPOSE) else ""
    while (length := _LENGTH.match(rest)) is not None:
        end = length.end() + int(length[1])
        if end > len(rest):
            return None
        names.append(rest[length.end() : end])
        rest = rest[end:]
    return (names[0], names[1], names[2]) if len(names) == 3 and not rest else None


async def change(context: ActionContext, action: Action, cause: Cause, **members: object) -> Action:
    """The action after `cause`, with other members, stored.

    Raises:
        ActionError: `action_state`: its state does not end by this; the one it is in meanwhile counts.
            `action_not_found`: it is gone. ConflictError: it changes faster than it can be written.
    """
    now = context.now()
    for _ in range(_RACES):
        current = as_of(action, now)
        if current.state is not action.state:  # nobody has written yet that it was too late
            await _replace(context, current)
        state = transition(current.state, cause)
        changed = msgspec.structs.replace(current, state=state, state_updated_at=now, **members)
        written = await _replace(context, changed)
        if written is not None:
            return written
        action = await found(context, action.user_id, action.action, action.idempotency_key)
    raise changes_too_fast()


async def reject(context: ActionContext, action: Action) -> None:
    """Ends the action, which its user has rejected; one that waits for no challenge any more stays as it is.

    Raises:
        ActionError: `action_not_found`: it is gone. ConflictError: it changes faster than it can be written.
    """
    await _fail(context, action, lambda current: _failed(current, "rejection"))


async def count_attempt(context: ActionContext, action: Action) -> None:
    """Notes that meeting the challenge went wrong; after the last attempt, the action has failed.

    Raises:
        ActionError, ConflictError: As `reject`.
    """

    def counted(current: Action) -> Action:
        current = msgspec.structs.replace(current, attempts=current.attempts + 1)
        return current if current.attempts < context.max_attempts else _failed(current, "attempts")

    await _fail(context, action, counted)


async def _fail(context: ActionContext, action: Action, failed: Callable[[Action], Action]) -> None:
    """Writes what went wrong, so that it lasts whatever becomes of the caller's transaction."""
    now = context.now()
    for _ in range(_RACES):
        current = as_of(action, now)
        if current.state not in WAITING:
            return
        after = msgspec.structs.replace(failed(current), last_failure_at=now, revision=current.revision + 1)
        if after.state is not current.state:
            after = msgspec.structs.replace(after, state_updated_at=now)
        event = action_event(context, EventType.ACTION_UPDATED, after)
        stored = await context.repository.record_failure(after, context.stored(event))
        if stored is after:
            context.tell(event)
            return
        if stored is None:
            raise _not_found()
        action = stored
    raise changes_too_fast()


def _failed(action: Action, cause: Cause) -> Action:
    return msgspec.structs.replace(action, state=transition(action.state, cause))


async def found(context: ActionContext, user_id: str, word: str, idempotency_key: str) -> Action:
    """The action as it is stored.

    Raises:
        ActionError: `action_not_found`.
    """
    action = await context.repository.find_action(context.realm, user_id, word, idempotency_key)
    if action is None:
        raise _not_found()
    return action


def action_event(context: ActionContext, type: EventType, action: Action) -> Event | None:
    """The event of a change of the action."""
    return context.event(
        type,
        user_id=action.user_id,
        action=action.action,
        idempotency_key=action.idempotency_key,
        state=action.state.value,
        method=action.method,
    )


def wrong_state(action: Action, message: str) -> ActionError:
    """The action is in a state in which this is not done."""
    return ActionError(Code.ACTION_STATE, message, state=action.state.value)


def _not_found() -> ActionError:
    return ActionError(Code.ACTION_NOT_FOUND, "there is no such action")


def changes_too_fast() -> ConflictError:
    """Lost too many times."""
    return ConflictError(Code.CONFLICT, "the action changes faster than it can be written")


async def _replace(context: ActionContext, action: Action) -> Action | None:
    action = msgspec.structs.replace(action, revision=action.revision + 1)
    event = action_event(context, EventType.ACTION_UPDATED, action)
    if not await context.repository.replace_action(action, context.stored(event)):
        return None
    context.tell(event)
    return action


def _token(context: ActionContext, kind: TokenKind, action: Action, at: datetime, expires_at: datetime) -> str:
    claims: dict[str, JSON] = {
        "kind": kind,
        "realm": action.realm,
        # Not as JSON would write it, where one character can take twelve bytes: the longest names have to fit.
        "for": encode_base64url(purpose_of(action).encode()),
        "at": _microseconds(at),
    }
    return context.tokens.issue(_TOKEN, claims, expires_at=expires_at, now=at)


def _claimed_names(claim: object) -> tuple[str, str, str] | None:
    if not isinstance(claim, str):
        return None
    try:
        return names_in(decode_base64url(claim, "token").decode())
    except (DecodeError, UnicodeDecodeError):
        return None


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
