"""Conditions: when each of their members holds, fails, or stays undecided because a fact is missing."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from ipaddress import ip_address
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from passkeycore.actions import Condition, DataPoint, Facts, TimeOfDay
from passkeycore.actions.conditions import ClientFact

from .kit import NO, NOW, WHO_KNOWS, YES, says, settled
from .strategies import ALL, THOROUGH, conditions, facts

BEGINNING, END = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))  # noqa: DTZ901


def custom(**asked: Any) -> Condition:
    return Condition(custom={"point": DataPoint(**asked)})


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "networks", "inside"),
        [
            ("192.0.2.7", ("192.0.2.0/24",), True),
            ("192.0.3.0", ("192.0.2.0/24",), False),
            ("192.0.1.255", ("192.0.2.0/24",), False),
            ("192.0.2.7", ("192.0.2.7",), True),
            ("192.0.2.8", ("192.0.2.7",), False),
            ("10.0.0.1", ("192.0.2.0/24", "10.0.0.0/8"), True),
            ("10.0.0.1", ("10.0.0.0/8", "10.0.0.0/16", "192.0.2.0/24"), True),
            ("10.200.0.1", ("10.0.0.0/16", "10.0.0.0/8"), True),
            ("11.0.0.0", ("10.0.0.0/8", "10.0.0.0/16"), False),
            ("10.200.0.1", ("10.0.0.0/8", "10.1.0.0/16"), True),
            ("255.255.255.255", ("0.0.0.0/0",), True),
            ("0.0.0.0", ("0.0.0.0/0",), True),  # noqa: S104 - nothing binds to it
            ("2001:db8::1", ("2001:db8::/32",), True),
            ("2001:DB8:0:0::1", ("2001:db8::1",), True),
            ("2001:db9::1", ("2001:db8::/32",), False),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ("::/0",), True),
            ("fe80::1%eth0", ("fe80::/10",), True),
        ],
    )
    def test_an_address_is_in_a_network_or_not(self, address: str, networks: tuple[str, ...], inside: bool) -> None:
        assert says(Condition(ip_address_in=networks), ip_address=address) is inside
        assert says(Condition(ip_address_not_in=networks), ip_address=address) is not inside

    @pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "::FFFF:c000:207"])
    @pytest.mark.parametrize("network", ["192.0.2.0/24", "::ffff:192.0.2.0/120"])
    def test_ipv4_inside_of_ipv6_is_ipv4(self, address: str, network: str) -> None:
        assert says(Condition(ip_address_in=(network,)), ip_address=address) is True

    def test_the_versions_are_apart(self) -> None:
        assert says(Condition(ip_address_in=("::/0",)), ip_address="192.0.2.7") is False
        assert says(Condition(ip_address_in=("::/0",)), ip_address="::ffff:192.0.2.7") is False
        assert says(Condition(ip_address_in=("0.0.0.0/0",)), ip_address="::1") is False
        assert says(Condition(ip_address_in=("::c000:207",)), ip_address="192.0.2.7") is False

    @pytest.mark.parametrize(
        "address",
        [
            *(None, "", "localhost", "192.0.2", "192.0.2.256", "192.0.2.07", "1.2.3.4:80", "[::1]", "::1::", " ::1"),
            *("\0", "é", "\ud800", "192.0.2.1\n", "1" * 65, "fe80::1%" + "a" * 64, "::" + "0" * 100_000),
        ],
    )
    def test_what_is_no_address_is_undecided_both_ways(self, address: str | None) -> None:
        assert says(Condition(ip_address_in=("0.0.0.0/0", "::/0")), ip_address=address) is None
        assert says(Condition(ip_address_not_in=("192.0.2.0/24",)), ip_address=address) is None
        assert says(Condition(missing=("ip_address",)), ip_address=address) is True
        assert says(Condition(present=("ip_address",)), ip_address=address) is False

    @THOROUGH
    @given(st.text("0123456789abcf.:", max_size=40) | st.text(max_size=20) | st.ip_addresses().map(str))
    @example("::ffff:192.0.2.1")
    def test_addresses_are_read_as_by_the_standard_library(self, address: str) -> None:
        if "%" in address:
            return
        try:
            known = ip_address(address)
        except ValueError:
            assert says(Condition(missing=("ip_address",)), ip_address=address) is True
        else:
            assert says(Condition(ip_address_in=(str(known),)), ip_address=address) is True


class TestClients:
    @pytest.mark.parametrize(
        ("texts", "agent", "holds"),
        [
            (("curl",), "curl/8.5.0", True),
            (("CURL",), "curl/8.5.0", True),
            (("curl",), "CuRl/8.5.0", True),
            (("wget", "curl"), "curl/8.5.0", True),
            (("wget",), "curl/8.5.0", False),
            (("STRASSE",), "die Straße", True),
            (("c.rl", "^curl", "curl.*"), "curl/8.5.0", False),
            (("curl",), None, None),
            (("curl",), "", None),
        ],
    )
    def test_user_agents_contain_texts_and_no_patterns(
        self, texts: tuple[str, ...], agent: str | None, holds: bool | None
    ) -> None:
        assert says(Condition(user_agent_contains=texts), user_agent=agent) is holds

    @pytest.mark.parametrize(("device", "holds"), [("d", True), ("e", False), (None, None), ("", None)])
    def test_device_ids_are_compared(self, device: str | None, holds: bool | None) -> None:
        assert says(Condition(device_id_in=("c", "d")), device_id=device) is holds

    @pytest.mark.parametrize(
        ("device", "known", "seen"), [("d", True, True), ("d", False, False), (None, True, False), ("", True, False)]
    )
    def test_a_device_without_an_id_is_new(self, device: str | None, known: bool, seen: bool) -> None:
        assert says(Condition(device_known=True), device_id=device, device_known=known) is seen
        assert says(Condition(device_known=False), device_id=device, device_known=known) is not seen

    def test_present_means_all_and_missing_means_one(self) -> None:
        both: tuple[ClientFact, ...] = ("user_agent", "device_id")
        for agent, device in (("a", "d"), ("a", None), (None, "d"), (None, None)):
            known = {"user_agent": agent, "device_id": device}
            assert says(Condition(present=both), **known) is (agent is not None and device is not None)
            assert says(Condition(missing=both), **known) is (agent is None or device is None)


class Grade(IntEnum):
    HIGH = 3


class Country(StrEnum):
    GERMANY = "DE"


class TestDataPoints:
    @pytest.mark.parametrize(
        ("asked", "sent", "holds"),
        [
            ({"equals": "DE"}, "DE", True),
            ({"equals": "DE"}, "de", False),
            ({"equals": ""}, "", True),
            ({"equals": "DE"}, Country.GERMANY, True),
            ({"equals": 1}, 1, True),
            ({"equals": 1}, 1.0, True),
            ({"equals": 1}, True, False),
            ({"equals": True}, 1, False),
            ({"equals": False}, 0, False),
            ({"equals": True}, True, True),
            ({"equals": 1}, "1", False),
            ({"equals": "1"}, 1, False),
            ({"equals": 3}, Grade.HIGH, True),
            ({"equals": 0.1}, float("nan"), False),
            ({"not_equals": "DE"}, "AT", True),
            ({"not_equals": "DE"}, "DE", False),
            ({"not_equals": 1}, True, True),
            ({"not_equals": 1}, "1", True),
            ({"one_of": ("DE", 1)}, "DE", True),
            ({"one_of": ("DE", 1)}, 1.0, True),
            ({"one_of": ("DE", 1)}, True, False),
            ({"one_of": ("DE", True)}, 1, False),
            ({"one_of": (1, True)}, True, True),
            ({"one_of": ("DE", 1)}, "1", False),
            ({"one_of": ("DE",)}, Country.GERMANY, True),
            ({"at_least": 3}, 3, True),
            ({"at_least": 3}, 2.9, False),
            ({"at_least": 3}, Grade.HIGH, True),
            ({"at_most": 3}, 3.0, True),
            ({"at_most": 3}, 4, False),
            ({"less_than": 3}, 3, False),
            ({"less_than": 3}, -5, True),
            ({"more_than": 3}, 3, False),
            ({"more_than": 0.5}, 10**400, True),
            ({"more_than": 3}, float("inf"), True),
            ({"at_least": 3, "less_than": 5}, 4, True),
            ({"at_least": 3, "less_than": 5}, 5, False),
            ({"exists": True}, 0, True),
            ({"exists": False}, 0, False),
        ],
    )
    def test_a_comparison(self, asked: Mapping[str, Any], sent: Any, holds: bool) -> None:
        assert says(custom(**asked), custom={"point": sent}) is holds

    @pytest.mark.parametrize("member", ["at_least", "at_most", "less_than", "more_than"])
    @pytest.mark.parametrize("sent", ["5", "", True, False, float("nan")])
    def test_only_numbers_are_more_or_less(self, member: str, sent: Any) -> None:
        assert says(custom(**{member: 0}), custom={"point": sent}) is None

    @pytest.mark.parametrize(
        "asked", [{"equals": 1}, {"not_equals": 1}, {"one_of": (1, "a")}, {"at_least": 1}, {"less_than": 1}]
    )
    def test_what_was_not_sent_is_undecided(self, asked: Mapping[str, Any]) -> None:
        assert says(custom(**asked)) is None
        assert says(custom(**asked), custom={"another": 1}) is None
        assert says(custom(**asked, exists=True)) is False

    @pytest.mark.parametrize("sent", [[1], {}, Decimal(5), b"DE"])
    def test_what_is_no_data_point_is_undecided_and_raises_nothing(self, sent: Any) -> None:
        asked: list[dict[str, Any]] = [{"equals": 5}, {"not_equals": "DE"}, {"one_of": ("DE", 5)}, {"at_least": 1}]
        for one in asked:
            assert says(custom(**one), custom={"point": sent}) is None
        assert says(custom(exists=True), custom={"point": sent}) is True

    def test_whether_it_exists_is_always_decided(self) -> None:
        assert says(custom(exists=True)) is False
        assert says(custom(exists=False)) is True


class TestUsers:
    def test_enrolled_methods(self) -> None:
        has = {"enrolled_methods": frozenset({"passkey", "push"})}
        assert says(Condition(enrolled_any_of=("push", "in-app")), **has) is True
        assert says(Condition(enrolled_any_of=("in-app",)), **has) is False
        assert says(Condition(enrolled_none_of=("in-app", "qr-code")), **has) is True
        assert says(Condition(enrolled_none_of=("in-app", "push")), **has) is False
        assert [says(Condition(enrolled_at_least=number), **has) for number in (1, 2, 3)] == [True, True, False]
        assert [says(Condition(enrolled_at_most=number), **has) for number in (1, 2, 3)] == [False, True, True]
        assert says(Condition(enrolled_at_most=0)) is True
        assert says(Condition(enrolled_none_of=("passkey",))) is True

    @pytest.mark.parametrize(
        ("ago", "within"),
        [(None, False), (0, True), (299, True), (300, True), (300.5, False), (301, False), (-60, True), (10**9, False)],
    )
    def test_the_time_since_the_user_was_verified(self, ago: float | None, within: bool) -> None:
        at = None if ago is None else NOW - timedelta(seconds=ago)
        assert says(Condition(user_verified_within_s=300), user_verified_at=at) is within
        assert says(Condition(user_not_verified_within_s=300), user_verified_at=at) is not within

    def test_a_time_that_cannot_be_compared_never_was(self) -> None:
        naive = NOW.replace(tzinfo=None)
        assert says(Condition(user_verified_within_s=300), user_verified_at=naive) is False
        assert says(Condition(user_not_verified_within_s=300), user_verified_at=naive) is True

    def test_recent_failures(self) -> None:
        asked = Condition(recent_failures_at_least=2)
        assert [says(asked, recent_failures=number) for number in (0, 1, 2, 3)] == [False, False, True, True]
        assert says(asked) is False


class TestHours:
    @pytest.mark.parametrize(
        ("asked", "local", "holds"),
        [
            # 4 March 2026 is a Wednesday.
            ({"start": time(9), "end": time(17)}, "2026-03-04T09:00:00", True),
            ({"start": time(9), "end": time(17)}, "2026-03-04T08:59:59", False),
            ({"start": time(9), "end": time(17)}, "2026-03-04T16:59:59", True),
            ({"start": time(9), "end": time(17)}, "2026-03-04T17:00:00", False),
            ({"start": time(22), "end": time(6)}, "2026-03-04T23:00:00", True),
            ({"start": time(22), "end": time(6)}, "2026-03-04T05:59:59", True),
            ({"start": time(22), "end": time(6)}, "2026-03-04T06:00:00", False),
            ({"start": time(22), "end": time(6)}, "2026-03-04T21:59:59", False),
            ({"start": time(22)}, "2026-03-04T23:59:59", True),
            ({"start": time(22)}, "2026-03-04T00:00:00", False),
            ({"end": time(6)}, "2026-03-04T00:00:00", True),
            ({"end": time(6)}, "2026-03-04T06:00:00", False),
            ({}, "2026-03-04T00:00:00", True),
            ({}, "2026-03-04T23:59:59", True),
            ({"weekdays": ("wednesday",)}, "2026-03-04T23:59:59", True),
            ({"weekdays": ("wednesday",)}, "2026-03-05T00:00:00", False),
            ({"weekdays": ("monday", "tuesday")}, "2026-03-04T12:00:00", False),
            ({"start": time(22), "end": time(6), "weekdays": ("wednesday",)}, "2026-03-05T05:00:00", True),
            ({"start": time(22), "end": time(6), "weekdays": ("wednesday",)}, "2026-03-04T05:00:00", False),
            ({"start": time(22), "end": time(6), "weekdays": ("sunday",)}, "2026-03-09T01:00:00", True),
        ],
    )
    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Auckland", "America/St_Johns"])
    def test_hours_are_those_of_their_zone(self, asked: Mapping[str, Any], local: str, holds: bool, zone: str) -> None:
        now = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        assert says(Condition(time_of_day=TimeOfDay(zone=zone, **asked)), now=now) is holds

    def test_summer_time_counts(self) -> None:
        office = Condition(time_of_day=TimeOfDay(zone="Europe/Berlin", start=time(9), end=time(17)))
        assert says(office, now=datetime(2026, 1, 7, 15, 30, tzinfo=UTC)) is True
        assert says(office, now=datetime(2026, 7, 8, 15, 30, tzinfo=UTC)) is False

    @pytest.mark.parametrize(("zone", "now"), [("Asia/Tokyo", END), ("America/New_York", BEGINNING)])
    def test_a_time_beyond_the_calendar_is_undecided(self, zone: str, now: datetime) -> None:
        assert says(Condition(time_of_day=TimeOfDay(zone=zone)), now=now) is None


class TestCombinations:
    @pytest.mark.parametrize(
        ("members", "all_of", "any_of", "none_of"),
        [
            ((YES,), True, True, False),
            ((NO,), False, False, True),
            ((WHO_KNOWS,), None, None, None),
            ((YES, NO), False, True, False),
            ((YES, WHO_KNOWS), None, True, False),
            ((WHO_KNOWS, YES), None, True, False),
            ((NO, WHO_KNOWS), False, None, None),
            ((WHO_KNOWS, NO), False, None, None),
            ((YES, WHO_KNOWS, NO), False, True, False),
            ((WHO_KNOWS, YES, NO), False, True, False),
            ((WHO_KNOWS, WHO_KNOWS, YES), None, True, False),
            ((NO, NO), False, False, True),
        ],
    )
    def test_what_is_undecided_decides_only_when_nothing_else_does(
        self, members: tuple[Condition, ...], all_of: bool | None, any_of: bool | None, none_of: bool | None
    ) -> None:
        # A condition with one alternative is that alternative.
        nested = Condition(none_of=tuple(Condition(none_of=(one,)) for one in members))
        assert says(nested, recent_failures=1) is all_of
        assert says(Condition(any_of=members), recent_failures=1) is any_of
        assert says(Condition(none_of=members), recent_failures=1) is none_of

    @pytest.mark.parametrize("known", [{}, {"device_id": "d"}, {"recent_failures": 3}])
    def test_all_members_have_to_hold(self, known: Mapping[str, Any]) -> None:
        members: dict[str, Any] = {
            "recent_failures_at_least": 1,
            "device_id_in": ("d",),
            "enrolled_at_most": 0,
        }
        alone = {says(Condition(**{name: value}), **known) for name, value in members.items()}
        expected = False if False in alone else None if None in alone else True
        assert says(Condition(**members), **known) is expected

    @THOROUGH
    @given(conditions(ALL), facts)
    def test_none_of_is_the_opposite_and_any_of_one_is_the_same(self, condition: Condition, known: Facts) -> None:
        holds = settled(condition, known)
        assert settled(Condition(none_of=(condition,)), known) is (None if holds is None else not holds)
        assert settled(Condition(any_of=(condition,)), known) is holds
