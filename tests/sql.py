"""What the tests of the SQL repositories share: repositories on either database, and what they send to it."""

import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

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
def opened(engine: str | Engine, *, create: bool = True, outbox: bool = False) -> Generator[SQLRepository]:
    """A repository that is closed at the end."""
    repository = SQLRepository(engine, create=create, outbox=outbox)
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
def impatient(url: str) -> Generator[SQLRepository]:
    """A repository with an outbox on PostgreSQL that raises where it would have to wait for somebody."""
    settings = {"options": "-c lock_timeout=100"}  # milliseconds
    with engine_of(url, connect_args=settings) as engine, opened(engine, create=False, outbox=True) as repository:
        yield repository


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


@contextmanager
def meanwhile(engine: Engine, start: str, call: Callable[[], object]) -> Generator[None]:
    """Within, `call` is made once: just before the engine sends the first statement that begins with `start`."""
    made: list[str] = []

    def see(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(start) and not made:
            made.append(statement)
            call()

    event.listen(engine, "before_cursor_execute", see)
    try:
        yield
        assert made, f"nothing began with {start}"
    finally:
        event.remove(engine, "before_cursor_execute", see)


class Waiting:
    """A call in a thread that has to wait for a transaction of somebody else, on PostgreSQL."""

    def __init__(self, url: str, call: Callable[[], object]) -> None:
        self._url = url
        self._answers: list[object] = []
        self._thread = threading.Thread(target=lambda: self._answers.append(call()))

    def start(self) -> None:
        """Returns when it waits, or has not waited."""
        with engine_of(self._url) as engine, engine.connect() as connection:
            waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            assert connection.scalar(waiting) == 0
            connection.rollback()
            self._thread.start()
            while self._thread.is_alive() and not connection.scalar(waiting):
                connection.rollback()  # or it would always see the same
        assert self._thread.is_alive(), "nobody had to wait"

    def answer(self) -> object:
        """What the call gave, once it need not wait any more."""
        self._thread.join()
        return self._answers[0]


@contextmanager
def plans_of(engine: Engine) -> Generator[list[str]]:
    """How the database looks for what the statements of the engine ask it for."""
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    plans: list[str] = []

    def see(_connection: Connection, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            cursor.execute(explain + statement, parameters)
            plans.append("\n".join(str(row) for row in cursor.fetchall()))

    event.listen(engine, "before_cursor_execute", see)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", see)


def registered(repository: SQLRepository, **changes: Any) -> tuple[User, Passkey]:
    """A new user with one passkey, stored in a realm of their own."""
    owner = repository.get_or_create_user(user(realm()))
    first = passkey(owner, **changes)
    assert repository.add_passkey(first, 5, None, None) == "added"
    return owner, first


class Joined:
    """For the contracts of a rollback: transactions of an engine of the caller's, as ours is in autocommit mode."""

    @contextmanager
    def rolled_back(self, repository: Any, /) -> Generator[object]:
        engine = create_engine(repository._engine.url)
        try:
            with engine.connect() as connection, connection.begin() as transaction:
                yield repository.joining(connection)
                transaction.rollback()
        finally:
            engine.dispose()


class AsyncJoined:
    """The same for asyncio."""

    @asynccontextmanager
    async def rolled_back(self, repository: Any, /) -> AsyncGenerator[object]:
        engine = create_async_engine(repository._engine.url)
        try:
            async with engine.connect() as connection, connection.begin() as transaction:
                yield repository.joining(connection)
                await transaction.rollback()
        finally:
            await engine.dispose()
