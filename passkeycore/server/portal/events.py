"""Pages of what has happened: the feed of a tenant's events with its filters, and counts per day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from starlette.responses import Response

from ...engine.checks import check_user_id
from ...engine.records import EventFilter, EventType
from .charts import COUNTED, HEIGHT, WIDTH, draw
from .serving import Asked, Row

_PAGE: Final = 50
_DAYS: Final = {"7": 7, "14": 14, "30": 30, "90": 90}
_USUAL_DAYS: Final = "14"
_LONGEST_DATE: Final = 10
_TYPES: Final = {kind.value: kind for kind in EventType}


async def _home(asked: Asked) -> Response:
    return asked.page("home.html", tab="", tenants=await asked.portal.tenants.all())


async def _overview(asked: Asked) -> Response:
    chosen = asked.query.get("days", _USUAL_DAYS)
    days = _DAYS.get(chosen, _DAYS[_USUAL_DAYS])
    today = asked.portal.tenants.now().astimezone(UTC).date()
    since = _begin(today - timedelta(days=days - 1))
    counts = await asked.tenant.passkeys.count_events(EventFilter(types=COUNTED, since=since))
    return asked.page(
        "overview.html",
        tab="overview",
        charts=draw(counts, today, days),
        days=days,
        choices=tuple(_DAYS.values()),
        width=WIDTH,
        height=HEIGHT,
    )


async def _feed(asked: Asked) -> Response:
    query = {name: asked.query.get(name, "").strip() for name in ("type", "user", "from", "until")}
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
    which = EventFilter(
        types=None if kind is None else (kind,),
        user_id=query["user"] or None,
        since=None if since is None else _begin(since),
        until=None if until is None else _begin(until) + timedelta(days=1),  # that day as well
    )
    page = await asked.tenant.passkeys.list_events(which, cursor=asked.query.get("cursor") or None, limit=_PAGE)
    given = {name: value for name, value in query.items() if value}
    older = None if page.next_cursor is None else asked.link("events", **given, cursor=page.next_cursor)
    return asked.page(
        "events.html", tab="events", events=page.events, types=sorted(_TYPES), query=query, wrong=wrong, older=older
    )


ROWS: Final = (
    Row("GET", "", _home),
    Row("GET", "/", _home),
    Row("GET", "/tenants/{tenant_id}", _overview),
    Row("GET", "/tenants/{tenant_id}/events", _feed),
)
"""The pages."""


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _date(text: str) -> date | None:
    """The day that a field names; None: none, or one near whose end time itself ends."""
    try:
        day = date.fromisoformat(text) if len(text) == _LONGEST_DATE else None
    except ValueError:
        return None
    return day if day is not None and day < date.max else None
