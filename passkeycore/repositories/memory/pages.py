"""Pages of what is numbered in the order of storing: where one begins, and where it ends."""

from collections.abc import Iterable
from itertools import islice
from typing import Final, TypeVar

from ...errors import Code, DecodeError

_V = TypeVar("_V")

_CURSOR_DIGITS: Final = 20


def page(newest_first: Iterable[tuple[int, _V]], cursor: str | None, limit: int) -> tuple[tuple[_V, ...], str | None]:
    """Up to `limit` of the values, from `cursor` on, and the cursor of the rest; None where there is no rest.

    Raises:
        DecodeError: `cursor_invalid`: no cursor of this repository's.
    """
    start = None if cursor is None else _number(cursor)
    found = list(islice((one for one in newest_first if start is None or one[0] <= start), limit + 1))
    return tuple(value for _, value in found[:limit]), str(found[limit][0]) if len(found) > limit else None


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _CURSOR_DIGITS):
        raise DecodeError(Code.CURSOR_INVALID, "no cursor of this repository's", path="cursor")
    return int(cursor)
