"""What values in rules have to be: each check gives the value back, or raises a `Fault` that says where it stands."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import time
from ipaddress import ip_network
from typing import Final, TypeAlias, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .facts import CustomValue
from .reading import address_number, kind_of

Place: TypeAlias = tuple[str | int, ...]
"""Where something stands: names of members and indexes of elements, from the outermost inwards."""

LONGEST_S: Final = 31_536_000
"""A year, in seconds."""

_MOST: Final = 1_000  # elements of a list
_LONGEST_TEXT: Final = 1_024  # characters
_LARGEST: Final = (1 << 63) - 1  # of whole numbers, as TOML has them
_NETWORK: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # no UTF-8 has them, so nothing that is sent or stored

_T = TypeVar("_T")
_W = TypeVar("_W", bound=str)


class Fault(Exception):  # noqa: N818 - `ActionRules` and `config` make it a ConfigurationError
    """What is wrong with rules, and where."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


def whole(value: object, place: Place, low: int, high: int) -> int:
    """A whole number in a range, both ends included. True is none."""
    if type(value) is not int or not low <= value <= high:
        raise Fault(place, f"a whole number from {low} to {high}")
    return value


def truth(value: object, place: Place) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise Fault(place, "true or false")
    return value


def text(value: object, place: Place) -> str:
    """A text that is not empty: every text contains the empty one."""
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_TEXT or _SURROGATE.search(value):
        raise Fault(place, f"a text of 1 to {_LONGEST_TEXT} characters")
    return value


def number(value: object, place: Place) -> int | float:
    """A finite number. True is none."""
    if (type(value) is int and abs(value) <= _LARGEST) or (type(value) is float and math.isfinite(value)):
        return value
    raise Fault(place, "a number, of at most 63 bits when it is whole")


def data_value(value: object, place: Place) -> CustomValue:
    """What a data point may be compared with: a text, a number or a truth value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value, place) if value else ""
    return number(value, place)


def elements(value: object, place: Place, expected: str, most: int, least: int = 1) -> Sequence[object]:
    """A list.

    An empty one is refused by default because it asks nothing: whoever computes one would get a rule that holds too
    often.
    """
    if not isinstance(value, (list, tuple)) or not least <= len(cast("Sequence[object]", value)) <= most:
        raise Fault(place, f"a list of {least} to {most} {expected}")
    return cast("Sequence[object]", value)


def members(value: object, place: Place, expected: str, most: int, least: int = 1) -> Mapping[object, object]:
    """A mapping."""
    if not isinstance(value, Mapping) or not least <= len(cast("Mapping[object, object]", value)) <= most:
        raise Fault(place, f"{least} to {most} {expected} by their names")
    return cast("Mapping[object, object]", value)


def several(
    value: object, place: Place, expected: str, check: Callable[[object, Place], _T], most: int = _MOST
) -> tuple[_T, ...]:
    """The elements of a list that has some, and none twice, as `check` gives them back."""
    checked: list[_T] = []
    seen: set[object] = set()
    for index, element in enumerate(elements(value, place, expected, most)):
        checked.append(check(element, (*place, index)))
        seen.add((kind_of(checked[-1]), checked[-1]))
        if len(seen) <= index:
            raise Fault((*place, index), "twice in the list")
    return tuple(checked)


def words(value: object, place: Place, known: Sequence[_W]) -> tuple[_W, ...]:
    """A list of some of `known`."""
    expected = f"of {', '.join(known)}"

    def check(element: object, at: Place) -> _W:
        for word in known:
            if word == element:
                return word
        raise Fault(at, f"one {expected}")

    return several(value, place, expected, check, len(known))


def network(value: object, place: Place) -> tuple[int, int]:
    """The first number of an address or a network, and the first beyond it; see `address_number`."""
    expected = "an IP address or network, such as 192.0.2.0/24"
    if not isinstance(value, str) or not _NETWORK.fullmatch(value):
        raise Fault(place, expected)
    try:
        found = ip_network(value)
    except ValueError:
        raise Fault(place, f"{expected}, without bits beyond its prefix") from None
    first = address_number(found.network_address.packed)
    return first, first + found.num_addresses


def zone(value: object, place: Place) -> str:
    """The name of a time zone that this machine knows."""
    if isinstance(value, str):
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise Fault(place, "a time zone, such as Europe/Berlin, that this machine knows (or the package tzdata)")


def second_of_day(value: object, place: Place) -> int:
    """A time of day, in seconds after midnight."""
    if type(value) is not time or value.tzinfo is not None or value.microsecond:
        raise Fault(place, "a time of day such as 22:00, without a zone and without parts of a second")
    return value.hour * 3_600 + value.minute * 60 + value.second
