"""The store of events of `SQLRepository`, once for both colours.

What belongs here: how events are written, listed and counted.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, func, insert, select

from ...engine.records import Event, EventCount, EventFilter, EventPage, EventType
from ...errors import Code, DecodeError
from .connections import Context, Statements
from .tables import events

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = date(1970, 1, 1)
_CURSOR_DIGITS: Final = 18  # fewer than the largest that fits into the column
_COLUMNS: Final = [
    events.c[name] for name in ("position", "id", "type", "at", "user_id", "credential_id", "code", "details")
]
_INSERT: Final = insert(events).inline()  # nobody wants the position back


async def add_event(context: Context, event: Event, /) -> None:
    """See `EventRepository.add_event`."""
    await context.reports.count(_INSERT, _event_values(event))


async def list_events(context: Context, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
    """See `EventRepository.list_events`.

    Raises:
        DecodeError: `cursor_invalid`: no cursor of this repository's.
    """
    conditions = _conditions(realm, which)
    if cursor is not None:
        conditions.append(events.c.position < _position(cursor))
    # One more than wanted tells whether there is a next page.
    statement = select(*_COLUMNS).where(*conditions).order_by(events.c.position.desc()).limit(limit + 1)
    rows = await context.store.rows(statement, {})
    page = rows[:limit]
    last = page[-1][0] if len(rows) > limit else None
    return EventPage(events=tuple(_event(realm, row) for row in page), next_cursor=None if last is None else str(last))


async def count_events(context: Context, realm: str, which: EventFilter, /) -> tuple[EventCount, ...]:
    """See `EventRepository.count_events`."""
    by = (events.c.day, events.c.type)
    statement = select(*by, func.count(events.c.position)).where(*_conditions(realm, which)).group_by(*by).order_by(*by)
    return tuple(
        EventCount(day=_FIRST_DAY + timedelta(days=day), type=EventType(kind), count=many)
        for day, kind, many in await context.store.rows(statement, {})
    )


async def note(work: Statements, event: Event | None) -> None:
    """Stores the event in the transaction of `work`, if there is one to store."""
    if event is not None:
        await work.count(_INSERT, _event_values(event))


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


def _event(realm: str, row: Sequence[Any]) -> Event:
    _, event_id, kind, at, user_id, credential_id, code, details = row
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


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _CURSOR_DIGITS):
        raise DecodeError(Code.CURSOR_INVALID, "no cursor of this repository", path="cursor")
    return int(cursor)
