"""What the statements of all operations share.

What belongs here: parameters, what the two databases write differently, and records and cursors as they are stored.
"""

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

import msgspec
from sqlalchemy import BindParameter, Executable, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from ...errors import Code, DecodeError
from ...webauthn.wire import reason_of

_T = TypeVar("_T")

# Two who share a connection, such as a process and its fork, get each other's answers: that must let nobody in.
OUT_OF_STEP: Final = "another one was asked for: the replies on this connection are out of step"
ATTEMPTS: Final = 32  # at what others take, or remove, in the same moment
# Names of parameters may not be those of columns that the same statement sets.
REALM: Final[BindParameter[str]] = bindparam("in_realm")
USER: Final[BindParameter[str]] = bindparam("of_user")

_CURSOR_DIGITS: Final = 18  # fewer than the largest that fits into the column


def insert_new(table: Table) -> Mapping[str, Executable]:
    """By dialect, what inserts only what is not there, by whatever key."""
    # Of an INSERT SQLAlchemy keeps the number of rows only when told to.
    return {
        dialect: make(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        for dialect, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
    }


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
