"""Actions of `SQLRepository`, once for both colours.

What belongs here: the statements, built once save those that depend on a filter, and what their results mean.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, bindparam, exists, false, func, literal_column, or_, select, update

from ...actions.states import ActionState
from ...engine.actions.records import Action, ActionFilter, ActionHistory, ActionPage
from ...engine.records import Event
from ...errors import Code, ConflictError, DecodeError
from .connections import Context, Store
from .events import change
from .statements import (
    ATTEMPTS,
    OUT_OF_STEP,
    REALM,
    USER,
    Stored,
    delete_expired,
    in_steps,
    insert_new,
    position_of,
)
from .tables import actions

_ACTION: Final = Stored(Action, b"pka1")

_theirs: Final = and_(actions.c.realm == REALM, actions.c.user_id == USER)
_this_action: Final = and_(
    _theirs, actions.c.action == bindparam("of_action"), actions.c.idempotency_key == bindparam("of_key")
)


def _is(state: ActionState) -> ColumnElement[bool]:
    # Written out, as in the indexes: a database must know when it makes its plan that an index has all these rows.
    return actions.c.state == literal_column(f"'{state.value}'")


_INSERT: Final = insert_new(actions)
_FIND: Final = select(actions.c.body).where(_this_action)
_REPLACE: Final = (
    update(actions)
    .where(
        _this_action,
        actions.c.revision == bindparam("expected_revision"),
        actions.c.created_at == bindparam("expected_created_at"),  # one that was removed and came again is another
    )
    .values(
        {
            column: bindparam(f"new_{column}")
            for column in (
                *("state", "device_id", "authenticator_id", "user_verified", "expires_at", "state_updated_at"),
                *("failed_at", "revision", "body"),
            )
        }
    )
)
_trusted: Final = and_(
    _theirs,
    _is(ActionState.CHALLENGE_SUCCEEDED),
    actions.c.authenticator_id.in_(bindparam("by_authenticators", expanding=True)),
)
_HISTORY: Final = select(
    select(func.count())
    .select_from(actions)
    .where(
        _theirs,
        actions.c.failed_at.is_not(None),  # likewise
        actions.c.failed_at >= bindparam("since"),
        actions.c.failed_at <= bindparam("at"),
    )
    .scalar_subquery(),
    exists().where(_trusted, actions.c.device_id == bindparam("with_device")),
    select(func.max(actions.c.state_updated_at)).where(_trusted, actions.c.user_verified).scalar_subquery(),
)
_REMOVE: Final = {dialect: delete_expired(actions, dialect, actions.c.realm == REALM) for dialect in _INSERT}


async def add_action(context: Context, action: Action, event: Event | None, /) -> Action:
    """See `ActionRepository.add_action`.

    Raises:
        ConflictError: `conflict`: it came and went, whenever it was looked for.
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another action.
    """
    values = {**_columns_of(action), "realm": action.realm, "user_id": action.user_id}
    values |= {"action": action.action, "idempotency_key": action.idempotency_key}
    insert = _INSERT[context.store.dialect]
    for _ in range(ATTEMPTS):
        if await change(context, insert, values, event) == 1:
            return action
        found = await find_action(context, action.realm, action.user_id, action.action, action.idempotency_key)
        if found is not None:
            return found
    raise ConflictError(Code.CONFLICT, "others add and remove this action")


async def find_action(
    context: Context, realm: str, user_id: str, action: str, idempotency_key: str, /
) -> Action | None:
    """See `ActionRepository.find_action`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another action.
    """
    return await _found(context.store, realm, user_id, action, idempotency_key)


async def replace_action(context: Context, action: Action, event: Event | None, /) -> bool:
    """See `ActionRepository.replace_action`."""
    return await change(context, _REPLACE, _replacement_of(action), event) == 1


async def record_failure(context: Context, action: Action, event: Event | None, /) -> Action | None:
    """See `ActionRepository.record_failure`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another action.
    """
    if await change(context, _REPLACE, _replacement_of(action), event, own=True) == 1:
        return action
    # Read where it was to be written: a transaction of the caller's may see an older state of it.
    return await _found(context.own, action.realm, action.user_id, action.action, action.idempotency_key)


async def list_actions(
    context: Context, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
) -> ActionPage:
    """See `ActionRepository.list_actions`.

    Raises:
        DecodeError: `cursor_invalid`: no cursor of this repository's; `record_invalid`: what is stored is no record, or
            the answer is about another realm or user.
    """
    conditions = _conditions(realm, which, now)
    if cursor is not None:
        conditions.append(actions.c.position < position_of(cursor))
    # One more than wanted tells whether there is a next page.
    statement = (
        select(actions.c.position, actions.c.body)
        .where(*conditions)
        .order_by(actions.c.position.desc())
        .limit(limit + 1)
    )
    rows = await context.store.rows(statement, {})
    listed = tuple(_ACTION.decode(body) for _, body in rows[:limit])
    if any(action.realm != realm or which.user_id not in (None, action.user_id) for action in listed):
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    return ActionPage(actions=listed, next_cursor=str(rows[limit - 1][0]) if len(rows) > limit else None)


async def action_history(
    context: Context,
    realm: str,
    user_id: str,
    authenticator_ids: Collection[str],
    device_id: str | None,
    since: datetime,
    now: datetime,
    /,
) -> ActionHistory:
    """See `ActionRepository.action_history`."""
    values = {
        "in_realm": realm,
        "of_user": user_id,
        "by_authenticators": list(authenticator_ids),
        "with_device": device_id,
        "since": since,
        "at": now,
    }
    failures, known, verified_at = (await context.store.rows(_HISTORY, values))[0]
    return ActionHistory(recent_failures=failures, device_known=bool(known), user_verified_at=verified_at)


async def remove_actions(context: Context, realm: str, before: datetime, /) -> int:
    """See `ActionRepository.remove_actions`.

    What somebody writes in this moment may stay until the next time.
    """
    return await in_steps(context.own, _REMOVE[context.own.dialect], {"in_realm": realm, "before": before})


async def _found(store: Store, *name: str) -> Action | None:
    for (body,) in await store.rows(_FIND, _name(*name)):
        found = _ACTION.decode(body)
        if (found.realm, found.user_id, found.action, found.idempotency_key) != name:
            raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
        return found
    return None


def _columns_of(action: Action) -> dict[str, object]:
    return {
        "state": action.state.value,
        "device_id": action.device_id,
        "authenticator_id": action.authenticator_id,
        "user_verified": action.user_verified,
        "created_at": action.created_at,
        "expires_at": action.expires_at,
        "state_updated_at": action.state_updated_at,
        "failed_at": action.failed_at,
        "revision": action.revision,
        "body": _ACTION.encode(action),
    }


def _replacement_of(action: Action) -> Mapping[str, object]:
    columns = _columns_of(action)
    created_at = columns.pop("created_at")
    return {
        **{f"new_{column}": value for column, value in columns.items()},
        **_name(action.realm, action.user_id, action.action, action.idempotency_key),
        "expected_revision": action.revision - 1,
        "expected_created_at": created_at,
    }


def _name(realm: str, user_id: str, action: str, idempotency_key: str) -> Mapping[str, object]:
    return {"in_realm": realm, "of_user": user_id, "of_action": action, "of_key": idempotency_key}


def _conditions(realm: str, which: ActionFilter, now: datetime) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [actions.c.realm == realm]
    if which.user_id is not None:
        conditions.append(actions.c.user_id == which.user_id)
    if which.actions is not None:
        conditions.append(actions.c.action.in_(which.actions))
    if which.states is not None:
        conditions.append(_in_states(frozenset(which.states), now))
    if which.since is not None:
        conditions.append(actions.c.created_at >= which.since)
    if which.until is not None:
        conditions.append(actions.c.created_at < which.until)
    return conditions


def _in_states(states: frozenset[ActionState], now: datetime) -> ColumnElement[bool]:
    is_over = actions.c.expires_at <= now
    conditions = [_is(state) for state in sorted(states - {ActionState.CHALLENGE_REQUIRED})]
    if ActionState.CHALLENGE_REQUIRED in states:
        conditions.append(and_(_is(ActionState.CHALLENGE_REQUIRED), ~is_over))
    if ActionState.CHALLENGE_FAILED in states:
        conditions.append(and_(_is(ActionState.CHALLENGE_REQUIRED), is_over))
    return or_(false(), *conditions)
