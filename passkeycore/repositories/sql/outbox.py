"""The outbox of `SQLRepository`, once for both colours: events that wait for their delivery, a queue for each user.

What belongs here: how events are taken out. `events.note` puts them in, without a lock: two transactions that store
events of one user need not wait for each other. An event takes its place in the queue when its transaction commits; if
one with a higher position has been taken before, that was the order in which they came to be.

Only the first of a queue may be taken, and among 100,000 that wait these have to be found quickly. So there are states:

    ready       it is looked at; it may be the first of its queue, or not
    later       in hand, or postponed: `due_at` says when it is ready
    behind      another one that waits was seen before it, and it is not looked at
    given_up    it does not wait, until it is revived

What holds at any time is that before one that is behind there is one that waits. Whoever takes that out of the queue
makes the next one ready. All of it lasts at once, whatever becomes of a transaction of the caller's, and on PostgreSQL
who takes waits for nobody.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, delete, literal_column, select, update

from ...engine.records import Event
from ...engine.webhooks.records import Delivery
from ...errors import Code, DecodeError
from .connections import Context, Statements
from .events import EVENT_COLUMNS, read_event
from .statements import OUT_OF_STEP, REALM, USER
from .tables import events, outbox

_State: TypeAlias = Literal["ready", "later", "behind", "given_up"]

_LOGGER: Final = logging.getLogger("passkeycore.webhooks")
_BATCH: Final = 1000  # rows; a few milliseconds, for which SQLite lets nobody else write


def _is(state: _State, of: FromClause = outbox) -> ColumnElement[bool]:
    # Written out, as in the indexes: a database must know when it makes its plan that an index has all these rows.
    return of.c.state == literal_column(f"'{state}'")


_waits: Final = outbox.c.state != literal_column("'given_up'")
_these: Final = outbox.c.event_id.in_(bindparam("of_events", expanding=True))
_other: Final = outbox.alias("other")
_FIRST: Final = (
    select(_other.c.event_id)
    .where(
        _other.c.realm == outbox.c.realm,
        _other.c.user_id == outbox.c.user_id,
        _other.c.state != literal_column("'given_up'"),
    )
    .order_by(_other.c.position)
    .limit(1)
    .correlate(outbox)
    .scalar_subquery()
)
_COME: Final = (
    select(outbox.c.event_id)
    .where(_is("later"), outbox.c.due_at <= bindparam("at"))
    .order_by(outbox.c.due_at)
    .limit(_BATCH)
    .with_for_update(skip_locked=True)
)
_DUE: Final = (
    select(outbox.c.event_id, _FIRST, outbox.c.attempt)
    .where(_is("ready"), outbox.c.due_at.is_(None) | (outbox.c.due_at <= bindparam("at")))
    .order_by(outbox.c.position)
    .limit(bindparam("up_to"))
    .with_for_update(skip_locked=True)  # what others look at in this moment is theirs
)
# By themselves: joined to what is due, all events ever stored might be read from the first one on.
_EVENTS: Final = (
    select(*EVENT_COLUMNS).where(events.c.id.in_(bindparam("of_events", expanding=True))).order_by(events.c.position)
)
_LEASE: Final = (
    update(outbox).where(_these).values(state="later", due_at=bindparam("new_due_at"), attempt=outbox.c.attempt + 1)
)
_HOLD: Final = select(outbox.c.event_id).where(_these, _waits).with_for_update(read=True, skip_locked=True)
_SET_STATE: Final = update(outbox).where(_these).values(state=bindparam("new_state"))
_this_attempt: Final = and_(outbox.c.event_id == bindparam("of_event"), outbox.c.attempt == bindparam("at_attempt"))
_FINISH: Final = delete(outbox).where(_this_attempt)
_POSTPONE: Final = (
    update(outbox).where(_this_attempt).values(state=bindparam("new_state"), due_at=bindparam("new_due_at"))
)
_NEXT: Final = (
    update(outbox)
    .where(
        outbox.c.event_id
        == select(_other.c.event_id)
        .where(_other.c.realm == REALM, _other.c.user_id == USER, _is("behind", _other))
        .order_by(_other.c.position)
        .limit(1)
        .scalar_subquery()
    )
    .values(state="ready")
)
_REVIVE: Final = update(outbox).where(_is("given_up")).values(state="ready", due_at=bindparam("new_due_at"))


async def take_deliveries(
    context: Context, now: datetime, leased_until: datetime, limit: int, /
) -> tuple[Delivery, ...]:
    """See `OutboxRepository.take_deliveries`.

    Raises:
        DecodeError: `record_invalid`: the answer is about other events. Those that were taken come again after the
            lease. An event that cannot be read, as it is of a newer release, is in no answer.
    """
    attempts: dict[str, int] = {}  # by event id
    most = min(limit, _BATCH)
    while len(attempts) < limit:
        async with context.own.transaction() as work:
            come = [event_id for (event_id,) in await work.rows(_COME, {"at": now})]
            await _set_state(work, come, "ready")
            seen = await work.rows(_DUE, {"at": now, "up_to": most})
            due = [(event_id, attempt + 1) for event_id, first, attempt in seen if event_id == first]
            taken = dict(due[: limit - len(attempts)])
            if taken:
                await work.count(_LEASE, {"of_events": list(taken), "new_due_at": leased_until})
            behind = await _behind(work, [(event_id, first) for event_id, first, _ in seen if event_id != first])
            await _set_state(work, behind, "behind")
        attempts |= taken
        if len(seen) < most or not (taken or behind):
            break
        most = _BATCH  # there is more than expected that cannot be taken
    rows = await context.own.rows(_EVENTS, {"of_events": list(attempts)}) if attempts else ()
    taken_events = tuple(filter(None, map(_readable, rows)))
    if not {event.id for event in taken_events} <= attempts.keys():
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    return tuple(Delivery(event=event, attempt=attempts[event.id]) for event in taken_events)


def _readable(row: Sequence[Any]) -> Event | None:
    try:
        return read_event(row)
    except DecodeError:
        # It stays in hand, so that only its own user's queue waits for somebody who can read it.
        _LOGGER.error("the event %s in the outbox cannot be read: is it of a newer release?", row[2])
        return None


async def finish_delivery(context: Context, delivery: Delivery, /) -> bool:
    """See `OutboxRepository.finish_delivery`."""
    async with context.own.transaction() as work:
        if await work.count(_FINISH, _attempt(delivery)) != 1:
            return False
        await _next(work, delivery)
        return True


async def postpone_delivery(context: Context, delivery: Delivery, due_at: datetime | None, /) -> bool:
    """See `OutboxRepository.postpone_delivery`."""
    if due_at is not None:
        values = {**_attempt(delivery), "new_state": "later", "new_due_at": due_at}
        return await context.own.count(_POSTPONE, values) == 1
    async with context.own.transaction() as work:
        if await work.count(_POSTPONE, {**_attempt(delivery), "new_state": "given_up", "new_due_at": None}) != 1:
            return False
        await _next(work, delivery)
        return True


async def revive_deliveries(context: Context, now: datetime, /) -> int:
    """See `OutboxRepository.revive_deliveries`."""
    return await context.own.count(_REVIVE, {"new_due_at": now})


async def _behind(work: Statements, pairs: Sequence[tuple[str, str]]) -> Sequence[str]:
    """Which of these events, each with the first of its queue, may be made to wait behind that.

    The first must not leave the queue before this is done: whoever wants it to has to wait for us, and sees then which
    one is behind. Somebody who was quicker is not waited for: those are ready still, and looked at the next time.
    """
    if not pairs:
        return ()
    held = {first for (first,) in await work.rows(_HOLD, {"of_events": list({first for _, first in pairs})})}
    return [event_id for event_id, first in pairs if first in held]


async def _set_state(work: Statements, event_ids: Sequence[str], state: _State) -> None:
    if event_ids:
        await work.count(_SET_STATE, {"of_events": event_ids, "new_state": state})


async def _next(work: Statements, delivery: Delivery) -> None:
    event = delivery.event
    await work.count(_NEXT, {"in_realm": event.realm, "of_user": event.user_id or ""})


def _attempt(delivery: Delivery) -> Mapping[str, object]:
    return {"of_event": delivery.event.id, "at_attempt": delivery.attempt}
