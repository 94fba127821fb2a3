"""What a rule may ask, as plain values: the names that also stand in a file. How they are judged is not known here."""

from collections.abc import Mapping
from datetime import time
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from .facts import CustomValue
from .states import Method

Weekday: TypeAlias = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)

ClientFact: TypeAlias = Literal["ip_address", "user_agent", "device_id"]
"""What is known of the client only if it was sent."""

CLIENT_FACTS: Final[tuple[ClientFact, ...]] = get_args(ClientFact)


class TimeOfDay(msgspec.Struct, frozen=True, kw_only=True):
    """Hours of the day, as clocks on the wall show them in one place.

    Attributes:
        zone: A name of the IANA time zone database, such as ``Europe/Berlin``. It has no default, because a guess would
            be hours off unnoticed.
        start: The first moment, to the second, without a zone of its own.
        end: The first moment that is too late. Before `start`: the hours go on over midnight. By default both are
            midnight, which means the whole day; no other two may be the same.
        weekdays: Days on which the hours begin: those from Friday 22:00 to 06:00 include Saturday 05:00. None: all.
    """

    zone: str
    start: time = time(0)
    end: time = time(0)
    weekdays: tuple[Weekday, ...] | None = None


class DataPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one data point of the application's own. All that is set has to hold.

    Text, numbers and truth values are three kinds. Values of two kinds are never equal; 1 and 1.0 are. Only numbers
    are more or less than something: a data point of another kind leaves such a comparison undecided, as does NaN.

    Attributes:
        equals: It is this.
        not_equals: It is something else, of whichever kind.
        one_of: It is one of these.
        at_least, at_most, less_than, more_than: How it compares with a number.
        exists: Whether it was sent. The one question that is never undecided.
    """

    equals: CustomValue | None = None
    not_equals: CustomValue | None = None
    one_of: tuple[CustomValue, ...] | None = None
    at_least: int | float | None = None
    at_most: int | float | None = None
    less_than: int | float | None = None
    more_than: int | float | None = None
    exists: bool | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be so for a rule to hold. All that is set has to hold; None sets nothing.

    A question about a fact that nobody sent, or that cannot be read, is *undecided*: neither it nor its opposite
    holds. `ActionRules` says what becomes of a rule that stays undecided. `present` and `missing`, and `exists` of a
    data point, are always decided, and decide for the others: with ``present=("ip_address",)`` a condition does not
    hold without an address, whatever else it asks.

    Four facts are never missing. A device that sent no id is new. A user who never met a challenge with user
    verification did so infinitely long ago; a time in the future counts as now, because clocks differ. Nobody's
    failures are none, and nobody's methods are none.

    Attributes:
        ip_address_in: The address is one of these or in one of these networks: ``192.0.2.1``, ``2001:db8::/32``. An
            IPv4 address inside of IPv6 (``::ffff:192.0.2.1``) is the IPv4 address, here and in what was sent.
        ip_address_not_in: It is in none of them.
        user_agent_contains: The user agent contains one of these texts, whatever the case of its letters.
        device_id_in: The device's id is one of these.
        device_known: Whether the user has met a challenge with the device before.
        custom: What is asked of the application's own data points, by their names.
        time_of_day: When it is.
        enrolled_any_of: The user has at least one of these methods.
        enrolled_none_of: The user has none of these methods.
        enrolled_at_least, enrolled_at_most: How many methods the user has.
        user_verified_within_s: The user met a challenge with user verification that can be trusted so many seconds
            ago, or fewer.
        user_not_verified_within_s: That was longer ago, or never happened.
        recent_failures_at_least: So many of the user's challenges failed lately; see `ActionRules.failure_window_s`.
        present: All of these were sent and can be read.
        missing: One of these was not sent or cannot be read.
        any_of: One of these conditions holds.
        none_of: Each of these conditions fails.
    """

    ip_address_in: tuple[str, ...] | None = None
    ip_address_not_in: tuple[str, ...] | None = None
    user_agent_contains: tuple[str, ...] | None = None
    device_id_in: tuple[str, ...] | None = None
    device_known: bool | None = None
    custom: Mapping[str, DataPoint] | None = None
    time_of_day: TimeOfDay | None = None
    enrolled_any_of: tuple[Method, ...] | None = None
    enrolled_none_of: tuple[Method, ...] | None = None
    enrolled_at_least: int | None = None
    enrolled_at_most: int | None = None
    user_verified_within_s: int | None = None
    user_not_verified_within_s: int | None = None
    recent_failures_at_least: int | None = None
    present: tuple[ClientFact, ...] | None = None
    missing: tuple[ClientFact, ...] | None = None
    any_of: "tuple[Condition, ...] | None" = None
    none_of: "tuple[Condition, ...] | None" = None
