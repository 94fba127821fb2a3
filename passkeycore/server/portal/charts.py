"""Counts per day as charts: what is counted, and where each bar stands in its picture. The template draws them."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final, NamedTuple, TypeAlias

from ...actions import ActionState
from ...engine.records import EventCount, EventType

Counted: TypeAlias = EventType | ActionState
"""An event, or an action that came to such a state."""

WIDTH: Final = 720
HEIGHT: Final = 160
"""Of the part of a picture in which bars are, in its own units."""

_GAP: Final = 0.28  # of a day's width, between bars
_LEAST: Final = 2.0  # so that one of thousands can still be seen


class Chart(NamedTuple):
    """What one chart counts.

    Attributes:
        title: What of.
        good, bad: What counts as what; without `bad` there is no rate of success.
        words: What both are called.
        caption: What is in it that nobody would expect, or is not; empty: the title says it all.
    """

    title: str
    good: tuple[Counted, ...]
    bad: tuple[Counted, ...]
    words: tuple[str, str]
    caption: str = ""

    @property
    def of_actions(self) -> bool:
        """Whether it counts what became of actions, which is read event by event."""
        return any(isinstance(kind, ActionState) for kind in (*self.good, *self.bad))


CHARTS: Final = (
    Chart(
        "Uses of passkeys",
        (EventType.AUTHENTICATION_SUCCEEDED,),
        (EventType.AUTHENTICATION_FAILED,),
        ("Succeeded", "Failed"),
        "Sign-ins, and confirmations of actions and other steps.",
    ),
    Chart("New passkeys", (EventType.PASSKEY_REGISTERED,), (EventType.REGISTRATION_FAILED,), ("Registered", "Failed")),
    Chart(
        "Answers of devices",
        (EventType.DEVICE_CHALLENGE_APPROVED,),
        (EventType.DEVICE_CHALLENGE_REJECTED, EventType.DEVICE_CHALLENGE_FAILED),
        ("Approved", "Rejected or failed"),
    ),
    Chart(
        "Actions",
        (ActionState.CHALLENGE_SUCCEEDED, ActionState.REVIEW_SUCCEEDED),
        (ActionState.CHALLENGE_FAILED, ActionState.REVIEW_FAILED),
        ("Succeeded", "Failed"),
        "Those that were answered, on the day of their last change.",
    ),
    Chart(
        "Actions without an answer",
        (ActionState.CHALLENGE_REQUIRED, ActionState.REVIEW_REQUIRED),
        (),
        ("Waiting or expired", ""),
        "On the day on which they were begun, or tried last.",
    ),
    Chart("Actions begun", (EventType.ACTION_TRACKED,), (), ("Begun", "")),
)
"""All of them."""

_KINDS: Final = {kind for chart in CHARTS for kind in (*chart.good, *chart.bad)}
COUNTED: Final = tuple(kind for kind in _KINDS if isinstance(kind, EventType))
"""Every event that one counts."""

STATES: Final = frozenset(kind for kind in _KINDS if isinstance(kind, ActionState))
"""Every state of an action that one counts."""


class Day(NamedTuple):
    """One day of a chart, and its bar: from the left, as wide, and as high, bad above good.

    Where it `is_counted` not, nobody knows how many there were, and the figures mean nothing.
    """

    day: date
    good: int
    bad: int
    left: float
    width: float
    good_height: float
    bad_height: float
    is_counted: bool = True

    @property
    def rate(self) -> str:
        """The share of success, in percent; empty: there was nothing."""
        return percent(self.good, self.bad)


class Drawn(NamedTuple):
    """A chart with its figures.

    Attributes:
        chart: What it counts.
        days: From the oldest to today.
        good, bad: All together, of the days that are counted.
        top: What the highest line stands for.
    """

    chart: Chart
    days: tuple[Day, ...]
    good: int
    bad: int
    top: int

    @property
    def rate(self) -> str:
        """As of `Day`, of all days together."""
        return percent(self.good, self.bad)

    @property
    def since(self) -> date | None:
        """The first day that is counted; None: none is."""
        return next((one.day for one in self.days if one.is_counted), None)

    @property
    def uncounted(self) -> float:
        """How wide the part of the picture is in which no day is counted."""
        return round(WIDTH * sum(not one.is_counted for one in self.days) / max(len(self.days), 1), 2)


def percent(good: int, bad: int) -> str:
    """The share of success. Never rounded up to all, nor down to nothing."""
    both = good + bad
    if not both:
        return ""
    if good in (0, both):
        return "100 %" if good else "0 %"
    return f"{min(max(100 * good / both, 0.1), 99.9):.1f} %"


def draw(
    counts: Iterable[EventCount],
    today: date,
    days: int,
    states: Mapping[tuple[date, Counted], int] | None = None,
    states_since: date = date.min,
) -> tuple[Drawn, ...]:
    """The charts of the last `days` days, today included.

    Args:
        counts: Of events.
        today: The last day.
        days: How many.
        states: How many actions came to which state on each day. None: none did.
        states_since: The first day that `states` knows as a whole.
    """
    by_day: dict[tuple[date, Counted], int] = {(count.day, count.type): count.count for count in counts}
    by_day |= states or {}
    wanted = [today - timedelta(days=back) for back in reversed(range(days))]
    return tuple(_drawn(chart, by_day, wanted, states_since if chart.of_actions else date.min) for chart in CHARTS)


def _drawn(chart: Chart, by_day: Mapping[tuple[date, Counted], int], days: list[date], since: date) -> Drawn:
    def counted(day: date, kinds: tuple[Counted, ...]) -> int:
        return sum(by_day.get((day, kind), 0) for kind in kinds) if day >= since else 0

    figures = [(day, counted(day, chart.good), counted(day, chart.bad)) for day in days]
    top = _round(max((good + bad for _, good, bad in figures), default=0))
    slot = WIDTH / max(len(days), 1)
    return Drawn(
        chart,
        tuple(
            Day(
                day,
                good,
                bad,
                round(place * slot + slot * _GAP / 2, 2),
                round(slot * (1 - _GAP), 2),
                _height(good, top),
                _height(bad, top),
                day >= since,
            )
            for place, (day, good, bad) in enumerate(figures)
        ),
        sum(good for _, good, _ in figures),
        sum(bad for _, _, bad in figures),
        top,
    )


def _height(count: int, top: int) -> float:
    return round(max(count / top * (HEIGHT - _LEAST), _LEAST), 2) if count else 0.0


def _round(most: int) -> int:
    """The next number that is good to read: 1, 2 or 5 with noughts, and at least 4, of which half and all are whole."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if factor * step >= max(most, 4) and factor * step % 2 == 0:
                return factor * step
        step *= 10
