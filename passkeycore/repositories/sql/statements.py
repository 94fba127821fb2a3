"""What the statements of all operations share.

What belongs here: parameters, what the two databases write differently, how they remove in steps, and records and
cursors as they are stored.
"""

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec
from sqlalchemy import BindParameter, ColumnElement, Executable, Table, bindparam, delete, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

from ...errors import Code, DecodeError
from ...webauthn.wire import reason_of
from .connections import Store

_T = TypeVar("_T")

# Two who share a connection, such as a process and its fork, get each other's answers: that must let nobody in.
OUT_OF_STEP: Final = "another one was asked for: the replies on this connection are out of step"
ATTEMPTS: Final = 32  # at what others take, or remove, in the same moment
# Names of parameters may not be those of columns that the same statement sets.
REALM: Final[BindParameter[str]] = bindparam("in_realm")
USER: Final[BindParameter[str]] = bindparam("of_user")

_BATCH: Final = 1000  # rows; a few milliseconds, for which SQLite lets nobody else write
_CURSOR_DIGITS: Final = 18  # fewer than the largest that fits into the column


def insert_new(table: Table) -> Mapping[str, Executable]:
    """By dialect, what inserts only what is not there, by whatever key."""
    # Of an INSERT SQLAlchemy keeps the number of rows only when told to.
    return {
        dialect: make(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        for dialect, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
    }


def delete_expired(table: Table, dialect: str, *which: ColumnElement[bool]) -> Executable:
    """What removes a step's worth of the rows that expired before the parameter ``before``, the oldest first.

    Args:
        table: With a column `expires_at`, and an index that has it in order.
        dialect: ``sqlite`` or ``postgresql``.
        which: Further conditions, which that index begins with.
    """
    # By its place a row is found again without a search; by its key, PostgreSQL may prefer to read the whole table.
    place: ColumnElement[Any] = literal_column({"sqlite": "rowid", "postgresql": "ctid"}[dialect])
    oldest = (
        select(place)
        .select_from(table)
        .where(*which, table.c.expires_at < bindparam("before"))
        .order_by(table.c.expires_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)  # what somebody takes goes anyway, what they write may live on
        .correlate(None)
        .scalar_subquery()
    )
    return delete(table).where(place.in_(oldest) if dialect == "sqlite" else place == func.any(func.array(oldest)))


async def in_steps(store: Store, statement: Executable, values: Mapping[str, object]) -> int:
    """How many rows were removed by `statement`, from `delete_expired`, as often as it took."""
    removed = 0
    while True:
        in_step = await store.count(statement, values)
        removed += in_step
        if in_step < _BATCH:
            return removed


def position_of(cursor: str) -> int:
    """The position that `cursor` names.

    Raises:
        DecodeError: `cursor_invalid`: it names none.
    """
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _CURSOR_DIGITS):
        raise DecodeError(Code.CURSOR_INVALID, "no cursor of this repository", path="cursor")
    return int(cursor)


class Stored(Generic[_T]):
    """Records of one kind in their stored form: a prefix, which names kind and version, then MessagePack."""

    __slots__ = ("_decoder", "_encoder", "_prefix")

    def __init__(self, kind: type[_T], prefix: bytes) -> None:
        self._prefix = prefix
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(kind)

    def encode(self, record: _T) -> bytes:
        """The record in its stored form."""
        return self._prefix + self._encoder.encode(record)

    def decode(self, stored: bytes) -> _T:
        """The record that `encode` stored, here or in a newer release.

        Raises:
            DecodeError: `record_invalid`.
        """
        if not stored.startswith(self._prefix):
            raise DecodeError(Code.RECORD_INVALID, "not a stored record of this kind")
        try:
            return self._decoder.decode(stored[len(self._prefix) :])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(Code.RECORD_INVALID, f"not a stored record: {reason_of(error)}") from None
