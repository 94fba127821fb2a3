"""Facts in the form in which questions are asked of them. What cannot be read is None, as what is missing."""

import math
from collections.abc import Mapping
from datetime import datetime
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from .facts import Facts

IPV6: Final = 1 << 32
"""The number of the first IPv6 address. Those of IPv4 come before it."""

DAY_S: Final = 86_400

Kind: TypeAlias = Literal["text", "number", "truth value"]

_KINDS: Final[Mapping[type, Kind]] = {str: "text", bool: "truth value", int: "number", float: "number"}
_LONGEST_ADDRESS: Final = 64  # characters; an IPv6 address has 45, and a zone may follow
_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"


def kind_of(value: object) -> Kind | None:
    """What kind of data point a value is; None: of no kind that there is."""
    # Members of enumerations, for one, are texts or numbers too.
    return _KINDS.get(type(value)) or next((_KINDS[one] for one in type(value).__mro__ if one in _KINDS), None)


def address_number(packed: bytes) -> int:
    """An address of 4 or 16 bytes as a number, which tells IPv4 from IPv6. IPv4 inside of IPv6 is IPv4."""
    if len(packed) == 4 or packed.startswith(_IPV4_MAPPED):
        return int.from_bytes(packed[-4:])
    return IPV6 + int.from_bytes(packed)


def read_address(text: str | None) -> int | None:
    """`address_number` of an address; None: it is missing, or is no address."""
    if not text or len(text) > _LONGEST_ADDRESS:
        return None
    try:
        if ":" in text:
            return address_number(inet_pton(AF_INET6, text.partition("%")[0]))
        return int.from_bytes(inet_pton(AF_INET, text))
    except (OSError, ValueError):  # ValueError: a character that no address has
        return None


def verified_ago_s(facts: Facts) -> float:
    """Seconds since the last trusted user verification, below 0 if it is yet to come; infinite: there was none."""
    if facts.user_verified_at is None:
        return math.inf
    try:
        return (facts.now - facts.user_verified_at).total_seconds()
    except TypeError:  # one of them has no zone
        return math.inf


def second_of_week(now: datetime, zone: ZoneInfo) -> int | None:
    """Seconds since Monday began, as clocks on the wall show them; None: no calendar has that time."""
    try:
        local = now.astimezone(zone)
    except OverflowError:  # within a day of the year 1 or 9999
        return None
    return local.weekday() * DAY_S + local.hour * 3_600 + local.minute * 60 + local.second
