"""Pages of what has happened: the feed of a tenant's events with its filters, and counts per day."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from starlette.responses import Response

from ...actions import ActionState
from ...engine.checks import check_user_id
from ...engine.records import Event, EventFilter, EventPage, EventType
from .charts import COUNTED, HEIGHT, STATES, WIDTH, Counted, draw
from .serving import Asked, Row

_PAGE: Final = 50
_DAYS: Final = {"7": 7, "14": 14, "30": 30, "90": 90}
_USUAL_DAYS: Final = "14"
_LONGEST_DATE: Final = 10
_LOOKS: Final = 40  # pages that one page of a filter by details may be looked for in
_MANY: Final = 1_000
_MOST_OF_ACTIONS: Final = 20_000  # events of actions that are read for the charts
_TYPES: Final = {kind.value: kind for kind in EventType}
_TYPES_OF_ACTIONS: Final = (EventType.ACTION_TRACKED, EventType.ACTION_UPDATED, EventType.ACTION_CONSUMED)
_STATES: Final = {state.value: state for state in STATES}
_QUERY: Final = ("type", "user", "action", "state", "from", "until")


async def _home(asked: Asked) -> Response:
    tenants = asked.portal.tenants
    found = [await tenants.for_operator(tenant_id) for tenant_id in tenants.tenant_ids]
    problems = await tenants.problems()
    return asked.page("home.html", tenants=[tenant.settings for tenant in found if tenant], problems=problems)


async def _overview(asked: Asked) -> Response:
    chosen = asked.query.get("days", _USUAL_DAYS)
    days = _DAYS.get(chosen, _DAYS[_USUAL_DAYS])
    today = asked.portal.tenants.now().astimezone(UTC).date()
    since = _begin(today - timedelta(days=days - 1))
    counts = await asked.tenant.passkeys.count_events(EventFilter(types=COUNTED, since=since))
    states, states_since = await _states(asked, since)
    return asked.page(
        "overview.html",
        tab="overview",
        charts=draw(counts, today, days, states, states_since),
        days=days,
        choices=tuple(_DAYS.values()),
        width=WIDTH,
        height=HEIGHT,
    )


async def _feed(asked: Asked) -> Response:
    query = {name: asked.query.get(name, "").strip() for name in _QUERY}
    wrong: list[str] = []
    dates: dict[str, date | None] = {}
    for name, label in (("from", "From"), ("until", "Until")):
        dates[name] = _date(query[name])
        if query[name] and dates[name] is None:
            wrong.append(f"{label} is no date such as 2026-11-03.")
    if query["user"]:
        check_user_id(query["user"])
    since, until = dates["from"], dates["until"]
    kind = _TYPES.get(query["type"])
    wanted = {name: query[name] for name in ("action", "state") if query[name]}
    types = _TYPES_OF_ACTIONS if wanted else None
    which = EventFilter(
        types=types if kind is None else (kind,),
        user_id=query["user"] or None,
        since=None if since is None else _begin(since),
        until=None if until is None else _begin(until) + timedelta(days=1),  # that day as well
    )
    page = await _page_of(asked, which, wanted)
    given = {name: value for name, value in query.items() if value}
    older = None if page.next_cursor is None else asked.link("events", **given, cursor=page.next_cursor)
    return asked.page(
        "events.html",
        tab="events",
        events=page.events,
        types=sorted(_TYPES),
        states=tuple(ActionState),
        query=query,
        wrong=wrong,
        older=older,
    )


ROWS: Final = (
    Row("GET", "", _home),
    Row("GET", "/", _home),
    Row("GET", "/tenants/{tenant_id}", _overview),
    Row("GET", "/tenants/{tenant_id}/events", _feed),
)
"""The pages."""


async def _page_of(asked: Asked, which: EventFilter, wanted: Mapping[str, str]) -> EventPage:
    """A page of the feed: of events that have these details, where any are wanted.

    Details are in no index, so that only so many events are looked through at a time; the next page goes on from there.
    """
    passkeys, cursor = asked.tenant.passkeys, asked.query.get("cursor") or None
    if not wanted:
        return await passkeys.list_events(which, cursor=cursor, limit=_PAGE)
    found: list[Event] = []
    for _ in range(_LOOKS):
        page = await passkeys.list_events(which, cursor=cursor, limit=_PAGE)
        found += [event for event in page.events if wanted.items() <= event.details.items()]
        cursor = page.next_cursor
        if cursor is None or len(found) >= _PAGE:
            break
    return EventPage(events=tuple(found), next_cursor=cursor)


async def _states(asked: Asked, since: datetime) -> tuple[Counter[tuple[date, Counted]], date]:
    """How many actions came to which state on each day, by the last event of each, and from which day on that is all.

    Only so many events are read, the newest first. A day of which some may be left out is not counted at all.
    """
    which, cursor = EventFilter(types=(EventType.ACTION_TRACKED, EventType.ACTION_UPDATED), since=since), None
    counts: Counter[tuple[date, Counted]] = Counter()
    seen: set[tuple[str | None, str | None, str | None]] = set()
    reached = date.max
    for _ in range(_MOST_OF_ACTIONS // _MANY):
        page = await asked.tenant.passkeys.list_events(which, cursor=cursor, limit=_MANY)
        for event in page.events:
            reached = min(reached, event.at.astimezone(UTC).date())
            action = event.user_id, event.details.get("action"), event.details.get("idempotency_key")
            state = _STATES.get(event.details.get("state", ""))
            if state is not None and action not in seen:
                counts[event.at.astimezone(UTC).date(), state] += 1
            seen.add(action)  # what it was before is over, and what is changed once more has not ended twice
        cursor = page.next_cursor
        if cursor is None:
            return counts, date.min
    return counts, reached + timedelta(days=1)


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _date(text: str) -> date | None:
    """The day that a field names; None: none, or one near whose end time itself ends."""
    try:
        day = date.fromisoformat(text) if len(text) == _LONGEST_DATE else None
    except ValueError:
        return None
    return day if day is not None and day < date.max else None
