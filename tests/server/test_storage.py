"""Where a server keeps things: nothing that waits in the database stops whoever else wants something there."""

import asyncio
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from passkeycore.config.server import parse_server
from passkeycore.errors import ConfigurationError
from passkeycore.server.tenancy.storage import Storage
from passkeycore.testing.contract.samples import ceremony
from tests.server.kit import file_text

OWN_OPTIONS = "options=-c%20statement_timeout%3D5000"


def storage_of(database: str) -> Storage:
    """The storage of a server over this database."""
    return Storage(parse_server(file_text(database), name="passkeycore.toml", format="toml"))


@contextmanager
def opened(database: str) -> Generator[Storage]:
    storage = storage_of(database)
    try:
        yield storage
    finally:
        asyncio.run(storage.close())


def bounds_of(storage: Storage) -> tuple[str, str]:
    """For how long a statement may take, and wait for a lock, as the database has it."""
    with storage.database._engine.connect() as connection:
        return connection.scalar(text("SHOW statement_timeout")), connection.scalar(text("SHOW lock_timeout"))


@pytest.fixture
def _no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGOPTIONS", raising=False)


def test_a_write_that_waits_for_its_turn_stops_no_read(tmp_path: Path) -> None:
    """SQLite has one writer. While somebody else is it, everybody reads, and the server says that it is ready."""
    path = tmp_path / "passkeycore.db"

    async def use(storage: Storage, writer: sqlite3.Connection) -> None:
        await storage.repository.find_overrides("shop")  # creates the tables
        writer.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(storage.repository.add_ceremony(ceremony("shop")))
        await asyncio.sleep(0)  # so that it is in front
        assert await storage.repository.find_overrides("shop") is None
        assert await storage.answers()
        assert not writing.done()
        writer.execute("ROLLBACK")
        assert await writing

    with opened(f"sqlite:///{path}") as storage, closing(sqlite3.connect(path, isolation_level=None)) as writer:
        asyncio.run(use(storage, writer))


@pytest.mark.usefixtures("_no_options")
def test_postgresql_ends_what_takes_too_long(postgres: str) -> None:
    """A few statements that wait for ever would be a server that stands still."""
    with opened(postgres) as storage:
        assert bounds_of(storage) == ("30s", "10s")


@pytest.mark.usefixtures("_no_options")
def test_bounds_of_the_operator_in_the_url_count(postgres: str) -> None:
    with opened(f"{postgres}&{OWN_OPTIONS}") as storage:
        assert bounds_of(storage) == ("5s", "0")


def test_bounds_of_the_operator_in_the_environment_count(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=7000")
    with opened(postgres) as storage:
        assert bounds_of(storage) == ("0", "7s")


@pytest.mark.usefixtures("_no_options")
@pytest.mark.parametrize("password", ["a%20b%40c%3A%2F%25", "plain"])
def test_what_else_is_in_the_url_stays(password: str) -> None:
    """Of the password every character; it is nowhere in what is shown."""
    plain = storage_of(f"postgresql://me:{password}@db:5433/name?sslmode=require").database._engine.url
    assert (plain.username, plain.host, plain.port, plain.database) == ("me", "db", 5433, "name")
    assert plain.password == {"plain": "plain"}.get(password, "a b@c:/%")
    assert plain.query["sslmode"] == "require"


def test_a_url_that_is_none_is_refused_without_its_words() -> None:
    with pytest.raises(ConfigurationError) as caught:
        storage_of("postgresql://me:hunter2@db:port/name")
    assert "hunter2" not in str(caught.value)
