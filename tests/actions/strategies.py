"""Conditions, rules and facts of every kind, for Hypothesis."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from passkeycore.actions import (
    METHODS,
    ActionRules,
    ActionSettings,
    Condition,
    CustomValue,
    DataPoint,
    Facts,
    Outcome,
    Rule,
    TimeOfDay,
)
from passkeycore.actions.conditions import CLIENT_FACTS, WEEKDAYS

T = TypeVar("T")

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
NAMES = ("amount", "country", "a.b", "é")
ADDRESSES = ("192.0.2.1", "192.0.2.200", "::ffff:192.0.2.1", "2001:db8::1", "::", "255.255.255.255")
NETWORKS = ("192.0.2.0/25", "192.0.2.1", "0.0.0.0/0", "2001:db8::/32", "::/0", "::ffff:192.0.2.0/122", "::2")
WORDS = ("a", "B", "ß", "curl/8", "Mozilla/5.0 Firefox")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")

outcomes = st.sampled_from(Outcome)
texts = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
numbers = st.integers(-2, 2) | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[CustomValue] = st.booleans() | numbers | texts | st.just("")


def some(of: st.SearchStrategy[T], key: Callable[[T], object] = lambda one: one) -> st.SearchStrategy[tuple[T, ...]]:
    """Lists that have something, and nothing twice."""
    return st.lists(of, min_size=1, max_size=3, unique_by=key).map(tuple)


methods = some(st.sampled_from(METHODS))
seconds = st.integers(0, 86_399).map(lambda second: (START + timedelta(seconds=second)).time())
hours = st.tuples(seconds, seconds).filter(lambda both: both[0] != both[1]) | st.just((time(0), time(0)))


def struct(kind: Callable[..., T], members: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[T]:
    """Structs in which one to three of the members are set."""

    @st.composite
    def make(draw: st.DrawFn) -> T:
        names = draw(st.lists(st.sampled_from(sorted(members)), min_size=1, max_size=3, unique=True))
        return kind(**{name: draw(members[name]) for name in names})

    return make()


data_points = struct(
    DataPoint,
    {
        "equals": values,
        "not_equals": values,
        "one_of": some(values, lambda one: (isinstance(one, bool), one)),
        "at_least": numbers,
        "at_most": numbers,
        "less_than": numbers,
        "more_than": numbers,
    },
)
times = st.builds(
    lambda zone, both, days: TimeOfDay(zone=zone, start=both[0], end=both[1], weekdays=days),
    st.sampled_from(ZONES),
    hours,
    st.none() | some(st.sampled_from(WEEKDAYS)),
)
# What asks for something that may be missing, or for what never is; nothing here is made true by what is missing.
ASKING: dict[str, st.SearchStrategy[Any]] = {
    "ip_address_in": some(st.sampled_from(NETWORKS)),
    "ip_address_not_in": some(st.sampled_from(NETWORKS)),
    "user_agent_contains": some(texts, str.casefold),
    "device_id_in": some(texts),
    "custom": st.dictionaries(st.sampled_from(NAMES), data_points, min_size=1, max_size=2),
    "time_of_day": times,
    "enrolled_any_of": methods,
    "enrolled_none_of": methods,
    "enrolled_at_least": st.integers(1, 4),
    "enrolled_at_most": st.integers(0, 3),
    "user_verified_within_s": st.integers(1, 10_000),
    "user_not_verified_within_s": st.integers(1, 10_000),
    "recent_failures_at_least": st.integers(1, 5),
}
ALL: dict[str, st.SearchStrategy[Any]] = ASKING | {
    "custom": ASKING["custom"]
    | st.dictionaries(st.sampled_from(NAMES), st.booleans().map(lambda one: DataPoint(exists=one)), min_size=1),
    "device_known": st.booleans(),
    "present": some(st.sampled_from(CLIENT_FACTS)),
    "missing": some(st.sampled_from(CLIENT_FACTS)),
}


def conditions(members: dict[str, st.SearchStrategy[Any]], depth: int = 2) -> st.SearchStrategy[Condition]:
    """Conditions of `members`, and of conditions, so deep."""
    if depth == 0:
        return struct(Condition, members)
    inner = st.lists(conditions(members, depth - 1), min_size=1, max_size=2).map(tuple)
    return struct(Condition, members | {"any_of": inner, "none_of": inner})


def rules(of: st.SearchStrategy[Condition]) -> st.SearchStrategy[ActionRules]:
    """Rules for the action ``a``, up to three."""

    @st.composite
    def make(draw: st.DrawFn) -> ActionRules:
        given = [
            Rule(id=f"r{number}", outcome=draw(outcomes), when=draw(of), allowed_methods=draw(st.none() | methods))
            for number in range(draw(st.integers(0, 3)))
        ]
        settings = ActionSettings(
            default=draw(outcomes),
            allowed_methods=draw(methods),
            not_enrolled=draw(outcomes),
            rules=tuple(given),
        )
        return ActionRules(actions={"a": settings})

    return make()


zones = st.just(UTC) | st.integers(-23, 23).map(lambda offset: timezone(timedelta(hours=offset)))
moments = st.datetimes(START.replace(tzinfo=None), END.replace(tzinfo=None), timezones=zones) | st.datetimes(
    timezones=zones
)
facts = st.builds(
    Facts,
    now=moments | st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
    ip_address=st.none() | st.sampled_from(ADDRESSES) | st.text(max_size=80),
    user_agent=st.none() | texts | st.just(""),
    device_id=st.none() | texts | st.just(""),
    device_known=st.booleans(),
    custom=st.dictionaries(st.sampled_from(NAMES), values | st.floats(), max_size=3),
    enrolled_methods=st.frozensets(st.sampled_from(METHODS)),
    user_verified_at=st.none() | moments | st.datetimes(),
    recent_failures=st.integers(0, 10),
)

THOROUGH = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
