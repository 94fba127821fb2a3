"""When to try again, and when to give up: the schedule that the Standard Webhooks specification suggests. Pure."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

DELAYS_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After each failed attempt, in seconds: nine more in 75 hours, so that an endpoint may be down over a weekend."""

_JITTER: Final = 0.2  # more than the delay by up to this, so that what failed together does not come again together
_MOST_RETRY_AFTER: Final = timedelta(days=1)  # as long as we would wait by ourselves
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_LONGEST_DATE: Final = 64  # characters; a date of RFC 9110 has 29


def next_attempt_at(
    attempt: int, now: datetime, random: Callable[[int], bytes], retry_after: str | None = None
) -> datetime | None:
    """When to try again after this attempt has failed; None: give up, after the tenth, and again after ten more.

    Args:
        attempt: From 1. What was revived is in its second round, with the same delays.
        now: When it failed, aware.
        random: So many random bytes, for the jitter: up to a fifth of the delay, on top of it.
        retry_after: The header of the response, seconds or a date; it can only put the next attempt off, to a day from
            now at most. Malformed, it counts as missing. None: it is.
    """
    number = (attempt - 1) % (len(DELAYS_S) + 1)
    if number == len(DELAYS_S):
        return None
    delay = timedelta(seconds=DELAYS_S[number])
    delay += delay * _JITTER * (int.from_bytes(random(4)) / 2**32)
    asked = _asked(retry_after, now)
    return now + max(delay, min(asked, _MOST_RETRY_AFTER))


def _asked(retry_after: str | None, now: datetime) -> timedelta:
    """How long the endpoint wants to be left alone; zero: it does not say. Spec: RFC 9110, section 10.2.3."""
    text = "" if retry_after is None else retry_after.strip(" \t")
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=int(text))
    if not text or len(text) > _LONGEST_DATE:
        return timedelta()
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return timedelta()
