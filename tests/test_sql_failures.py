"""What happens when a database fails: the driver's error comes through, nothing is half-written, and it works again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from passkeycore.engine.records import EventFilter, User
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository, metadata
from passkeycore.testing.contract.samples import ceremony, passkey, realm, update, user
from passkeycore.testing.contract.samples import event as an_event
from tests.sql import DATABASES, engine_of, opened, registered, url_of

Break = Callable[[SQLRepository, Connection], None]


def kill(repository: SQLRepository, connection: Connection) -> None:
    """Another session ends this one, as a restart of the server does."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with engine_of(str(repository._engine.url)) as other, other.connect() as admin:
        admin.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": driver.info.backend_pid})


def time_out(_repository: SQLRepository, connection: Connection) -> None:
    """The server gives up on a statement that takes too long."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("SET LOCAL statement_timeout = 1")
    driver.execute("SELECT pg_sleep(5)")


def break_at(repository: SQLRepository, start: str, how: Break, engine: Engine | None = None) -> None:
    """Breaks the connection once, at the first statement that begins with `start`; of `engine`, if it is another."""

    broken: list[str] = []

    def see(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(start) and not broken:
            broken.append(statement)
            how(repository, connection)

    event.listen(engine or repository._engine, "before_cursor_execute", see)


STEPS = ("BEGIN", "INSERT INTO passkey_users", "SELECT passkeys.slot", "INSERT INTO passkeys", "INSERT INTO passkey_ev")


@pytest.mark.parametrize("start", [*STEPS, "COMMIT"])
def test_a_connection_that_is_lost_leaves_nothing_of_a_registration(postgres: str, start: str) -> None:
    with opened(postgres) as repository:
        owner = user(realm())
        new = passkey(owner)
        break_at(repository, start, kill)
        with pytest.raises(DBAPIError) as caught:
            repository.add_passkey(new, 5, owner, an_event(owner.realm))
        assert caught.value.connection_invalidated
        assert_nothing_and_works_again(repository, owner)


@pytest.mark.parametrize("start", STEPS[1:])
def test_a_statement_that_takes_too_long_leaves_nothing_of_a_registration(postgres: str, start: str) -> None:
    with opened(postgres) as repository:
        owner = user(realm())
        break_at(repository, start, time_out)
        with pytest.raises(Exception, match="statement timeout"):
            repository.add_passkey(passkey(owner), 5, owner, an_event(owner.realm))
        assert_nothing_and_works_again(repository, owner)


def assert_nothing_and_works_again(repository: SQLRepository, owner: User) -> None:
    assert repository.find_account(owner.realm, owner.user_id) is None
    assert repository.list_events(owner.realm, EventFilter(), None, 10).events == ()
    assert repository.add_passkey(passkey(owner), 5, owner, an_event(owner.realm)) == "added"
    assert len(repository.list_events(owner.realm, EventFilter(), None, 10).events) == 1


@pytest.mark.parametrize("start", ["DELETE", "INSERT", "UPDATE"])
def test_a_connection_that_is_lost_in_a_single_statement_changes_nothing(postgres: str, start: str) -> None:
    with opened(postgres) as repository:
        owner, first = registered(repository)
        begun = ceremony(owner.realm)
        assert (start == "INSERT") or repository.add_ceremony(begun)
        calls: dict[str, Callable[[], object]] = {
            "DELETE": lambda: repository.take_ceremony(owner.realm, begun.state.challenge),
            "INSERT": lambda: repository.add_ceremony(begun),
            "UPDATE": lambda: repository.advance_passkey(owner.realm, update(first), first.created_at, None),
        }
        break_at(repository, start, kill)
        with pytest.raises(OperationalError):
            calls[start]()
        assert calls[start]()


def test_an_event_that_cannot_be_stored_undoes_its_change(request: pytest.FixtureRequest) -> None:
    for database in DATABASES:
        with opened(url_of(request, database)) as repository:
            owner, first = registered(repository)
            twice = an_event(owner.realm)
            repository.add_event(twice)
            with pytest.raises(IntegrityError):
                repository.advance_passkey(owner.realm, update(first), first.created_at, twice)
            found = repository.find_passkey(owner.realm, first.credential_id)
            assert found is not None
            assert found[0] == first
            assert repository.advance_passkey(owner.realm, update(first), first.created_at, an_event(owner.realm))


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        engine = repository._engine
        owner, first = registered(repository)
        pages = 0

        @event.listens_for(engine, "checkout")
        def limit(connection: object, *_: object) -> None:
            cursor = connection.cursor()  # type: ignore[attr-defined]
            cursor.execute(f"PRAGMA max_page_count = {pages or 2**30}")
            cursor.close()

        with engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
        lost: list[object] = []
        event.listen(engine, "invalidate", lambda connection, *_: lost.append(connection))
        stored = 0
        large = passkey(owner, attestation_object=bytes(50_000))
        with pytest.raises(OperationalError, match="full"):
            repository.add_passkey(large, 5, None, an_event(owner.realm))
        with pytest.raises(OperationalError, match="full"):  # noqa: PT012 - it is not known which one fails
            while repository.add_ceremony(ceremony(owner.realm, origins=("https://example.org/" * 100,))):
                stored += 1
        account = repository.find_account(owner.realm, owner.user_id)
        assert account is not None
        assert account.passkeys == (first,)
        with engine.connect() as connection:
            table = metadata.tables["passkey_ceremonies"]
            assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)) == stored
        assert lost == []  # SQLite has rolled back by itself, and the connection is as good as before
        pages = 0
        assert repository.add_passkey(large, 5, None, an_event(owner.realm)) == "added"
        assert len(repository.list_events(owner.realm, EventFilter(), None, 10).events) == 1


def test_a_writer_that_does_not_end_is_the_drivers_error(tmp_path: Path) -> None:
    path = f"sqlite:///{tmp_path / 'passkeys.db'}"
    with opened(path), engine_of(path, connect_args={"timeout": 0}) as engine, opened(engine) as repository:
        begun = ceremony(realm())
        assert repository.add_ceremony(begun)
        with engine.connect() as other:
            other.exec_driver_sql("BEGIN IMMEDIATE")
            with pytest.raises(OperationalError, match="locked"):
                repository.take_ceremony(begun.state.realm, begun.state.challenge)
            with pytest.raises(OperationalError, match="locked"):
                repository.remove_user(begun.state.realm, "", None)
        assert repository.take_ceremony(begun.state.realm, begun.state.challenge) == begun


@pytest.mark.parametrize("start", ["SAVEPOINT", "INSERT INTO passkeys", "RELEASE"])
def test_a_savepoint_that_is_lost_with_its_connection_tells_the_drivers_error(postgres: str, start: str) -> None:
    with opened(postgres) as repository, engine_of(postgres) as engine, engine.connect() as connection:
        owner = repository.get_or_create_user(user(realm()))
        break_at(repository, start, kill, engine)
        with pytest.raises(OperationalError):
            repository.joining(connection).add_passkey(passkey(owner), 5, None, None)
        connection.rollback()
        account = repository.find_account(owner.realm, owner.user_id)
        assert account is not None
        assert account.passkeys == ()


def test_asynchronous_connections_that_are_lost_leave_nothing(postgres: str) -> None:
    async def use() -> None:
        repository = AsyncSQLRepository(postgres, create=True)
        owner = user(realm())
        new = passkey(owner)
        broken: list[str] = []
        with engine_of(postgres) as admin, admin.connect() as connection:

            def see(_1: object, _2: object, statement: str, *_: object) -> None:
                if statement.startswith("INSERT INTO passkeys") and not broken:
                    broken.append(statement)
                    connection.execute(
                        text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
                    )

            event.listen(repository._engine.sync_engine, "before_cursor_execute", see)
            with pytest.raises(OperationalError):
                await repository.add_passkey(new, 5, owner, an_event(owner.realm))
        assert await repository.find_account(owner.realm, owner.user_id) is None
        assert await repository.add_passkey(new, 5, owner, an_event(owner.realm)) == "added"
        await repository.close()

    asyncio.run(use())
