"""What the tests of the SQL repositories share: repositories on either database, and what they send to it."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection

from passkeycore.engine.records import Passkey, User
from passkeycore.repositories.sql import SQLRepository
from passkeycore.testing.contract.samples import passkey, realm, user

DATABASES = ("sqlite", "postgresql")


def url_of(request: pytest.FixtureRequest, database: str) -> str:
    """The address of this kind of database: a new file, or the server that the tests share."""
    if database == "postgresql":
        return str(request.getfixturevalue("postgres"))
    directory: Path = request.getfixturevalue("tmp_path")
    return f"sqlite:///{directory / 'passkeys.db'}"


@contextmanager
def opened(engine: str | Engine, *, create: bool = True) -> Generator[SQLRepository]:
    """A repository that is closed at the end."""
    repository = SQLRepository(engine, create=create)
    try:
        yield repository
    finally:
        repository.close()


@contextmanager
def engine_of(url: str, **settings: Any) -> Generator[Engine]:
    """An engine as an application makes it, disposed of at the end."""
    engine = sqlalchemy.create_engine(url, **settings)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def sent_by(engine: Engine) -> Generator[list[str]]:
    """The statements that the engine sends, of a transaction also its beginning and its end."""
    statements: list[str] = []

    def see(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", see)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", see)


def registered(repository: SQLRepository, **changes: Any) -> tuple[User, Passkey]:
    """A new user with one passkey, stored in a realm of their own."""
    owner = repository.get_or_create_user(user(realm()))
    first = passkey(owner, **changes)
    assert repository.add_passkey(first, 5, None, None) == "added"
    return owner, first
