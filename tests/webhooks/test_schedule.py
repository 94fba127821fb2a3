"""When is tried again: the schedule of the specification, its jitter, and what Retry-After may change."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from passkeycore.engine.webhooks.schedule import next_attempt_at

from .kit import BEGUN, no_jitter

SCHEDULE_S = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
DAY_S = 86_400


def delay_s(attempt: int, retry_after: str | None = None) -> float | None:
    due_at = next_attempt_at(attempt, BEGUN, no_jitter, retry_after)
    return None if due_at is None else (due_at - BEGUN).total_seconds()


def test_the_delays_are_those_of_the_specification_and_the_tenth_attempt_is_the_last() -> None:
    assert [delay_s(attempt) for attempt in range(1, 11)] == [*SCHEDULE_S, None]
    assert timedelta(days=3) < timedelta(seconds=sum(SCHEDULE_S)) < timedelta(days=4)


def test_what_is_revived_after_it_was_given_up_has_ten_attempts_more() -> None:
    assert [delay_s(attempt) for attempt in range(11, 21)] == [*SCHEDULE_S, None]


def test_jitter_adds_up_to_a_fifth_and_takes_nothing_away() -> None:
    for attempt, seconds in enumerate(SCHEDULE_S, 1):
        last = next_attempt_at(attempt, BEGUN, lambda size: b"\xff" * size)
        middle = next_attempt_at(attempt, BEGUN, lambda size: b"\x80" + bytes(size - 1))
        assert last is not None
        assert middle is not None
        assert middle - BEGUN == timedelta(seconds=seconds) * 1.1
        assert timedelta(seconds=seconds) * 1.199 < last - BEGUN <= timedelta(seconds=seconds) * 1.2


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        (None, 5),
        ("", 5),
        ("0", 5),
        ("4", 5),
        ("6", 6),
        (" 120\t", 120),
        ("86399", DAY_S - 1),
        ("86401", DAY_S),
        ("999999999", DAY_S),
        ("9999999999", 5),  # ten digits are none of ours
        ("-60", 5),
        ("60.5", 5),
        ("1e3", 5),
        ("١٢٠", 5),
        ("soon", 5),
        ("9" * 100_000, 5),
        (format_datetime(BEGUN + timedelta(hours=1), usegmt=True), 3599.321099),  # dates have whole seconds
        (format_datetime(BEGUN - timedelta(hours=1), usegmt=True), 5),
        (format_datetime(BEGUN + timedelta(days=400), usegmt=True), DAY_S),
        ("Sat, 02 Jan 2100 04:04:05 -0000", 3599.321099),  # a zone that nobody knows: UTC
        ("Sat, 02 Jan 2100 04:04:05 +9999", 5),
        ("Sat, 99 Jan 2100 04:04:05 GMT", 5),
        ("Sat, 02 Jan 99999999999999999999 04:04:05 GMT", 5),
        ("Sat, 02 Jan 2100 04:04:05 GMT" + " x" * 50, 5),
        ("Sat, 02 Jan 99999999 04:04:05 GMT", 5),
        ("Fri, 31 Dec 9999 23:59:59 -2359", DAY_S),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 5),
    ],
)
def test_retry_after_can_only_put_off_and_for_a_day_at_most(retry_after: str | None, expected: float) -> None:
    assert delay_s(1, retry_after) == expected


def test_retry_after_gives_no_attempt_more() -> None:
    assert delay_s(10, "60") is None
