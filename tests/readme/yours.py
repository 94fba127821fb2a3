"""What the examples of the README call ``yours``, in common: one user, and level 1's table of passkeys."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import NamedTuple


@dataclass(frozen=True)
class User:
    """A user of the application."""

    id: str
    email: str
    handle: bytes


ADA = User("42", "ada@example.com", b"32 random bytes, or nearly so")


class Found(NamedTuple):
    """A row of `Store`."""

    user_id: str
    record: bytes


@dataclass
class Store:
    """A table with ``credential_id`` (unique), ``user_id`` and ``record``."""

    rows: dict[bytes, Found] = field(default_factory=dict[bytes, Found])
    full: bool = False

    def of(self, user_id: str) -> list[bytes]:
        return [row.record for row in self.rows.values() if row.user_id == user_id]

    def add(self, credential_id: bytes, user_id: str, record: bytes) -> None:
        if self.full:
            raise OSError("no space left")
        if credential_id in self.rows:
            raise ValueError("credential_id is unique")
        self.rows[credential_id] = Found(user_id, record)

    def find(self, credential_id: bytes) -> Found | None:
        return self.rows.get(credential_id)

    def replace(self, credential_id: bytes, before: bytes, after: bytes) -> None:
        if self.rows[credential_id].record == before:
            self.rows[credential_id] = self.rows[credential_id]._replace(record=after)


@contextmanager
def importable(**names: object) -> Generator[None]:
    """For as long as it lasts, ``from yours import …`` gives these."""
    module = ModuleType("yours")
    vars(module).update(names)
    sys.modules["yours"] = module
    try:
        yield
    finally:
        del sys.modules["yours"]
