"""The store of events of `SQLRepository`, once for both colours.

What belongs here: how events are written, listed and counted, and how a change is stored with its event.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Executable, bindparam, func, insert, literal, select

from ...engine.records import Event, EventCount, EventFilter, EventPage, EventType
from ...errors import Code, DecodeError
from .connections import Context, Statements
from .statements import OUT_OF_STEP, position_of
from .tables import events, outbox

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = date(1970, 1, 1)
EVENT_COLUMNS: Final = [
    events.c[name] for name in ("position", "realm", "id", "type", "at", "user_id", "credential_id", "code", "details")
]
_INSERT: Final = insert(events).inline()  # nobody wants the position back
_WAIT: Final = insert(outbox).from_select(
    ["event_id", "position", "realm", "user_id", "state", "attempt"],
    select(
        *(events.c.id, events.c.position, events.c.realm),
        *(func.coalesce(events.c.user_id, ""), literal("ready"), literal(0)),
    ).where(events.c.id == bindparam("of_event")),
)


async def add_event(context: Context, event: Event, /) -> None:
    """See `EventRepository.add_event`."""
    if not context.outbox:
        await context.reports.count(_INSERT, _event_values(event))
        return
    async with context.reports.transaction() as work:
        await note(context, work, event)


async def list_events(context: Context, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
    """See `EventRepository.list_events`.

    Raises:
        DecodeError: `cursor_invalid`: no cursor of this repository's; `record_invalid`: one is no event, or of a newer
            release, or the answer is about another realm.
    """
    conditions = _conditions(realm, which)
    if cursor is not None:
        conditions.append(events.c.position < position_of(cursor))
    # One more than wanted tells whether there is a next page.
    statement = select(*EVENT_COLUMNS).where(*conditions).order_by(events.c.position.desc()).limit(limit + 1)
    rows = await context.store.rows(statement, {})
    page = rows[:limit]
    last = page[-1][0] if len(rows) > limit else None
    listed = tuple(read_event(row) for row in page)
    if any(event.realm != realm for event in listed):
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    return EventPage(events=listed, next_cursor=None if last is None else str(last))


async def count_events(context: Context, realm: str, which: EventFilter, /) -> tuple[EventCount, ...]:
    """See `EventRepository.count_events`.

    Raises:
        DecodeError: `record_invalid`: some are of a newer release.
    """
    by = (events.c.day, events.c.type)
    statement = select(*by, func.count(events.c.position)).where(*_conditions(realm, which)).group_by(*by).order_by(*by)
    rows = await context.store.rows(statement, {})
    try:
        return tuple(
            EventCount(day=_FIRST_DAY + timedelta(days=day), type=EventType(kind), count=many)
            for day, kind, many in rows
        )
    except ValueError:
        raise _unknown() from None


async def note(context: Context, work: Statements, event: Event | None) -> None:
    """Stores the event in the transaction of `work`, if there is one to store; with an outbox, it waits there."""
    if event is not None:
        await work.count(_INSERT, _event_values(event))
        if context.outbox:
            await work.count(_WAIT, {"of_event": event.id})


async def change(
    context: Context,
    statement: Executable,
    values: Mapping[str, object],
    event: Event | None,
    *,
    own: bool = False,
) -> int:
    """How many rows the statement changed; when it did, the event is stored as well.

    Args:
        context: Where.
        statement, values: What changes them.
        event: What to store with the change; None: nothing.
        own: It lasts at once, whatever becomes of a transaction of the caller's.
    """
    store = context.own if own else context.store
    if event is None:
        return await store.count(statement, values)
    async with store.transaction() as work:
        changed = await work.count(statement, values)
        if changed > 0:
            await note(context, work, event)
        return changed


def _event_values(event: Event) -> Mapping[str, object]:
    return {
        "id": event.id,
        "realm": event.realm,
        "type": event.type.value,
        "at": event.at,
        "day": _day(event.at),
        "user_id": event.user_id,
        "credential_id": event.credential_id,
        "code": None if event.code is None else event.code.value,
        "details": msgspec.json.encode(event.details).decode(),
    }


def read_event(row: Sequence[Any]) -> Event:
    """The event whose `EVENT_COLUMNS` the row is.

    Raises:
        DecodeError: `record_invalid`: it is no event, or one of a newer release.
    """
    _, realm, event_id, kind, at, user_id, credential_id, code, details = row
    try:
        return Event(
            id=event_id,
            type=EventType(kind),
            at=at,
            realm=realm,
            user_id=user_id,
            credential_id=credential_id,
            code=None if code is None else Code(code),
            details=msgspec.json.decode(details, type=dict[str, str]),
        )
    except (ValueError, msgspec.MsgspecError):
        raise _unknown() from None


def _unknown() -> DecodeError:
    return DecodeError(Code.RECORD_INVALID, "not a stored event, or one of a newer release")


def _day(at: datetime) -> int:
    return (at - _EPOCH).days


def _conditions(realm: str, which: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [events.c.realm == realm]
    if which.types is not None:
        conditions.append(events.c.type.in_([kind.value for kind in which.types]))
    if which.user_id is not None:
        conditions.append(events.c.user_id == which.user_id)
    if which.credential_id is not None:
        conditions.append(events.c.credential_id == which.credential_id)
    # The day says less than the moment, but there is an index on it.
    if which.since is not None:
        conditions += [events.c.day >= _day(which.since), events.c.at >= which.since]
    if which.until is not None:
        conditions += [events.c.day <= _day(which.until), events.c.at < which.until]
    return conditions
