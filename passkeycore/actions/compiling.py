"""Conditions checked and turned into questions: what can be done before there are facts is done here, once."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from ..errors import show
from .checks import (
    LONGEST_S,
    Fault,
    Place,
    data_value,
    elements,
    members,
    network,
    number,
    second_of_day,
    several,
    text,
    truth,
    whole,
    words,
    zone,
)
from .conditions import CLIENT_FACTS, WEEKDAYS, Condition, DataPoint, TimeOfDay
from .facts import Facts
from .questions import Questions
from .reading import DAY_S, IPV6, kind_of, read_address, second_of_week
from .states import METHODS

Seen: TypeAlias = Callable[[Facts], str]

_How: TypeAlias = Literal["any", "none"]

DEEPEST: Final = 3
"""Levels of conditions inside of a rule's own: as deep as a file can be."""

_MOST: Final = 100  # conditions in a list, data points of a condition


class Part(NamedTuple):
    """One of the things that a condition asks.

    Attributes:
        place: Where it stands.
        bits: It holds when all of these do.
        seen: What kind of thing it looks at, in words that repeat nothing of it.
        parts: What it consists of.
    """

    place: Place
    bits: int
    seen: Seen
    parts: "tuple[Part, ...]" = ()

    def all(self) -> "list[Part]":
        """It and everything in it, at any depth, in order."""
        return [self, *(deeper for part in self.parts for deeper in part.all())]


def compile_condition(value: object, place: Place, questions: Questions, depth: int = 0) -> list[Part]:
    """What a condition asks, all of which has to hold; added to `questions`.

    Args:
        value: A `Condition`, unless somebody passed something else.
        place: Where it stands.
        questions: Those of its action.
        depth: In how many conditions it stands.

    Raises:
        Fault: It asks nothing, or a member has a value that it does not take.
    """
    found: list[Part] = []
    for name, given in _given(value, Condition, place).items():
        at = (*place, name)
        if name == "custom":
            found += _custom(given, at, questions)
        elif name in _COMBINED:
            found.append(_combined(given, at, questions, depth, _COMBINED[name]))
        else:
            bits, seen = _MEMBERS[name](given, at, questions)
            found.append(Part(at, bits, seen))
    return found


def all_bits(parts: list[Part]) -> int:
    """Everything that has to hold for all of `parts` to hold."""
    bits = 0
    for part in parts:
        bits |= part.bits
    return bits


def _given(value: object, kind: type[msgspec.Struct], place: Place) -> dict[str, object]:
    if type(value) is not kind:
        raise Fault(place, f"a {kind.__name__}")
    given = {name: getattr(value, name) for name in kind.__struct_fields__}
    given = {name: one for name, one in given.items() if one is not None}
    if not given:
        raise Fault(place, "nothing is asked, so it would always hold")
    return given


def _combined(value: object, place: Place, questions: Questions, depth: int, how: _How) -> Part:
    if depth == DEEPEST:
        raise Fault(place, f"conditions nested more than {DEEPEST} deep")
    conditions = [
        compile_condition(one, (*place, index), questions, depth + 1)
        for index, one in enumerate(elements(value, place, "conditions", _MOST))
    ]
    bit = questions.combined([*map(all_bits, conditions)], how)
    return Part(place, bit, _seen_conditions, tuple(part for parts in conditions for part in parts))


def _seen_conditions(_: Facts) -> str:
    return "conditions"


_COMBINED: Final[Mapping[str, _How]] = {"any_of": "any", "none_of": "none"}


# --- Data points of the application's own ---


def _custom(value: object, place: Place, questions: Questions) -> list[Part]:
    found: list[Part] = []
    for given, asked in members(value, place, "data points", _MOST).items():
        name = text(given, (*place, given if isinstance(given, str) else show(given)))
        for member, wanted in _given(asked, DataPoint, (*place, name)).items():
            at = (*place, name, member)
            found.append(Part(at, _data_point(questions, name, member, wanted, at), partial(_seen_data_point, name)))
    return found


def _data_point(questions: Questions, name: str, member: str, value: object, place: Place) -> int:
    point, bit = questions.data_points[name], questions.bit("custom")
    if member in _ORDER:
        first, beyond = _ORDER[member]
        point.numbers.ask(bit, first, [(number(value, place), beyond)])
    elif member == "exists":
        if truth(value, place):
            point.present |= bit
        else:
            point.absent |= bit
    elif member == "one_of":
        point.exact.ask(bit, False, map(_keyed, several(value, place, "texts, numbers, true or false", data_value)))
    else:
        point.exact.ask(bit, member == "not_equals", [_keyed(data_value(value, place))])
    return bit


# The answer below the limit, and whether the limit itself still has it.
_ORDER: Final[Mapping[str, tuple[bool, bool]]] = {
    "at_least": (False, False),
    "at_most": (True, True),
    "less_than": (True, False),
    "more_than": (False, True),
}


def _keyed(value: object) -> tuple[str, object]:
    # To Python, 1 equals True.
    return kind_of(value) or "", value


def _seen_data_point(name: str, facts: Facts) -> str:
    value = facts.custom.get(name)
    return "missing" if value is None else kind_of(value) or "unreadable"


# --- The client ---


def _address_in(value: object, place: Place, questions: Questions, *, inside: bool) -> tuple[int, Seen]:
    limits: list[int] = []
    for first, beyond in sorted(several(value, place, "IP addresses or networks", network)):
        if limits and first <= limits[-1]:
            limits[-1] = max(limits[-1], beyond)
        else:
            limits += first, beyond
    bit = questions.bit("ip_address")
    questions.addresses.ask(bit, not inside, [(limit, False) for limit in limits])
    return bit, _seen_address


def _user_agent_contains(value: object, place: Place, questions: Questions) -> tuple[int, Seen]:
    bit = questions.bit("user_agent")
    for one in several(value, place, "texts", lambda element, at: text(element, at).casefold()):
        questions.texts[one] |= bit
    return bit, _SEEN["user_agent"]


def _device_id_in(value: object, place: Place, questions: Questions) -> tuple[int, Seen]:
    bit = questions.bit("device_id")
    questions.device_ids.ask(bit, False, several(value, place, "texts", text))
    return bit, _SEEN["device_id"]


def _device_known(value: object, place: Place, questions: Questions) -> tuple[int, Seen]:
    bit = questions.bit("device_known")
    questions.device_known[truth(value, place)] |= bit
    return bit, lambda facts: "known" if facts.device_known and facts.device_id else "new"


def _sent(value: object, place: Place, questions: Questions, *, sent: bool) -> tuple[int, Seen]:
    facts = words(value, place, CLIENT_FACTS)
    each = [questions.sent(fact, sent) for fact in facts]

    def seen(known: Facts) -> str:
        return ", ".join(_SEEN[fact](known) for fact in facts)

    if sent or len(each) == 1:  # all were sent, or the one was not
        return sum(each), seen
    return questions.combined(each, "any"), seen


def _seen_address(facts: Facts) -> str:
    if not facts.ip_address:
        return "missing"
    address = read_address(facts.ip_address)
    return "unreadable" if address is None else "IPv6" if address >= IPV6 else "IPv4"


_SEEN: Final[Mapping[str, Seen]] = {
    "ip_address": _seen_address,
    "user_agent": lambda facts: "text" if facts.user_agent else "missing",
    "device_id": lambda facts: "text" if facts.device_id else "missing",
}


# --- The user ---


def _enrolled(value: object, place: Place, questions: Questions, *, none: bool) -> tuple[int, Seen]:
    methods, bit = frozenset(words(value, place, METHODS)), questions.bit("enrolled_methods")
    questions.enrolled.append((bit, lambda enrolled: methods.isdisjoint(enrolled) is none))
    return bit, _seen_methods


def _enrolled_at_least(value: object, place: Place, questions: Questions) -> tuple[int, Seen]:
    least, bit = whole(value, place, 1, len(METHODS)), questions.bit("enrolled_methods")
    questions.enrolled.append((bit, lambda enrolled: len(enrolled) >= least))
    return bit, _seen_methods


def _enrolled_at_most(value: object, place: Place, questions: Questions) -> tuple[int, Seen]:
    most, bit = whole(value, place, 0, len(METHODS) - 1), questions.bit("enrolled_methods")
    questions.enrolled.append((bit, lambda enrolled: len(enrolled) <= most))
    return bit, _seen_methods


def _verified(value: object, place: Place, questions: Questions, *, within: bool) -> tuple[int, Seen]:
    bit = questions.bit("user_verified_at")
    questions.verified.ask(bit, within, [(whole(value, place, 1, LONGEST_S), True)])
    return bit, lambda facts: "never" if facts.user_verified_at is None else "time"


def _failures_at_least(value: object, place: Place, questions: Questions) -> tuple[int, Seen]:
    bit = questions.bit("recent_failures")
    questions.failures.ask(bit, False, [(whole(value, place, 1, 1_000), False)])
    return bit, lambda _: "number"


def _seen_methods(facts: Facts) -> str:
    return f"{len(facts.enrolled_methods)} methods"


# --- The time ---


def _time_of_day(value: object, place: Place, questions: Questions) -> tuple[int, Seen]:
    if not isinstance(value, TimeOfDay):
        raise Fault(place, "a TimeOfDay")
    name = zone(value.zone, (*place, "zone"))
    start, end = second_of_day(value.start, (*place, "start")), second_of_day(value.end, (*place, "end"))
    if start == end != 0:
        raise Fault((*place, "end"), "the same as start: no time, or the whole day?")
    days = WEEKDAYS if value.weekdays is None else words(value.weekdays, (*place, "weekdays"), WEEKDAYS)
    length, bit = (end - start) % DAY_S or DAY_S, questions.bit("now")
    changes: list[tuple[int, bool]] = []
    for day in map(WEEKDAYS.index, days):
        first, beyond = day * DAY_S + start, day * DAY_S + start + length
        changes += (first, False), (beyond, False)
        if beyond > _WEEK_S:  # over midnight from Sunday to Monday
            changes += (0, False), (beyond - _WEEK_S, False)
    questions.weeks[name].ask(bit, False, changes)
    place_on_earth = ZoneInfo(name)
    return bit, lambda facts: "unreadable" if second_of_week(facts.now, place_on_earth) is None else "time"


_WEEK_S: Final = 7 * DAY_S

_MEMBERS: Final[Mapping[str, Callable[[object, Place, Questions], tuple[int, Seen]]]] = {
    "ip_address_in": partial(_address_in, inside=True),
    "ip_address_not_in": partial(_address_in, inside=False),
    "user_agent_contains": _user_agent_contains,
    "device_id_in": _device_id_in,
    "device_known": _device_known,
    "time_of_day": _time_of_day,
    "enrolled_any_of": partial(_enrolled, none=False),
    "enrolled_none_of": partial(_enrolled, none=True),
    "enrolled_at_least": _enrolled_at_least,
    "enrolled_at_most": _enrolled_at_most,
    "user_verified_within_s": partial(_verified, within=True),
    "user_not_verified_within_s": partial(_verified, within=False),
    "recent_failures_at_least": _failures_at_least,
    "present": partial(_sent, sent=True),
    "missing": partial(_sent, sent=False),
}
