"""What is particular to the SQL repositories: how much they send, how they are set up, and who joins whom.

The contract of repositories holds for them as for all others; what happens when a database fails is in
`test_sql_failures`.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from passkeycore import Code, ConfigurationError, ConflictError, DecodeError
from passkeycore.engine.actions.repository import ActionRepository, AsyncActionRepository
from passkeycore.engine.devices.repository import AsyncDeviceRepository, DeviceRepository
from passkeycore.engine.records import EventFilter, Passkey, User
from passkeycore.engine.repository import (
    AsyncEventRepository,
    AsyncRepository,
    AsyncSpentRepository,
    EventRepository,
    Repository,
    SpentRepository,
)
from passkeycore.engine.webhooks.repository import AsyncOutboxRepository, OutboxRepository
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository, metadata
from passkeycore.testing.contract.devices.samples import device
from passkeycore.testing.contract.samples import BEGUN, NOW, ceremony, passkey, realm, update, user
from passkeycore.testing.contract.samples import event as an_event
from tests.sql import DATABASES, Waiting, engine_of, opened, registered, sent_by, url_of


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return url_of(request, request.param)


@pytest.fixture
def repository(url: str) -> Iterator[SQLRepository]:
    with opened(url) as repository:
        yield repository


def test_each_class_has_the_protocols_of_its_colour(tmp_path: Path) -> None:
    """The type checkers read this; a comment that is not needed would be an error of theirs."""
    url = f"sqlite:///{tmp_path / 'passkeys.db'}"
    synchronous = SQLRepository(url)
    asynchronous = AsyncSQLRepository(url)
    _passkeys: Repository = synchronous
    _events: EventRepository = synchronous
    _spent: SpentRepository = synchronous
    _async_passkeys: AsyncRepository = asynchronous
    _async_events: AsyncEventRepository = asynchronous
    _async_spent: AsyncSpentRepository = asynchronous
    _devices: DeviceRepository = synchronous
    _actions: ActionRepository = synchronous
    _outbox: OutboxRepository = synchronous
    _async_devices: AsyncDeviceRepository = asynchronous
    _async_actions: AsyncActionRepository = asynchronous
    _async_outbox: AsyncOutboxRepository = asynchronous
    _wrong: Repository = asynchronous  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _wrong_async: AsyncRepository = synchronous  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


# How many statements, and how many with an event: then a transaction, with its beginning and its end.
Call = Callable[[SQLRepository, User, Passkey], object]
STATEMENTS: list[tuple[str, int, Call]] = [
    ("add_ceremony", 1, lambda r, u, p: r.add_ceremony(ceremony(u.realm))),
    ("take_ceremony", 1, lambda r, u, p: r.take_ceremony(u.realm, bytes(32))),
    ("spend", 1, lambda r, u, p: r.spend(u.realm, bytes(32), BEGUN)),
    ("remove_expired", 3, lambda r, u, p: r.remove_expired(NOW)),
    ("get_or_create_user, there", 1, lambda r, u, p: r.get_or_create_user(u)),
    ("get_or_create_user, not there", 2, lambda r, u, p: r.get_or_create_user(user(u.realm))),
    ("find_account", 1, lambda r, u, p: r.find_account(u.realm, u.user_id)),
    ("find_passkey", 1, lambda r, u, p: r.find_passkey(u.realm, p.credential_id)),
    ("advance_passkey", 1, lambda r, u, p: r.advance_passkey(u.realm, update(p), NOW, None)),
    ("advance_passkey, event", 4, lambda r, u, p: r.advance_passkey(u.realm, update(p), NOW, an_event(u.realm))),
    ("rename_passkey", 1, lambda r, u, p: r.rename_passkey(u.realm, u.user_id, p.credential_id, "", None)),
    ("remove_passkey", 1, lambda r, u, p: r.remove_passkey(u.realm, u.user_id, p.credential_id, None)),
    ("remove_passkeys", 1, lambda r, u, p: r.remove_passkeys(u.realm, u.user_id, None)),
    ("confirm", 1, lambda r, u, p: r.confirm_user_verification(u.realm, u.user_id, p.credential_id, None)),
    ("rename_user", 1, lambda r, u, p: r.rename_user(u.realm, u.user_id, "", "", None)),
    ("set_user_disabled", 1, lambda r, u, p: r.set_user_disabled(u.realm, u.user_id, NOW, None)),
    ("remove_user", 8, lambda r, u, p: r.remove_user(u.realm, u.user_id, None)),
    ("add_passkey", 5, lambda r, u, p: r.add_passkey(passkey(u), 5, None, None)),
    ("add_event", 1, lambda r, u, p: r.add_event(an_event(u.realm))),
    ("list_events", 1, lambda r, u, p: r.list_events(u.realm, EventFilter(), None, 10)),
    ("count_events", 1, lambda r, u, p: r.count_events(u.realm, EventFilter())),
]


@pytest.mark.parametrize(("name", "expected", "call"), STATEMENTS, ids=[row[0] for row in STATEMENTS])
def test_each_method_sends_no_more_statements_than_it_needs(
    repository: SQLRepository, name: str, expected: int, call: Call
) -> None:
    owner, first = registered(repository)
    with sent_by(repository._engine) as statements:
        call(repository, owner, first)
    assert len(statements) == expected, statements
    assert expected == 1 or "BEGIN" not in statements[0] or statements[-1] == "COMMIT"


def test_who_began_a_transaction_ends_it(repository: SQLRepository) -> None:
    """Drivers in an autocommit mode of their own do nothing when they are asked to commit or to roll back."""
    owner, _ = registered(repository)
    with sent_by(repository._engine) as statements:
        assert repository.add_passkey(passkey(owner), 1, None, None) == "limit_reached"
        assert repository.add_passkey(passkey(owner), 2, None, None) == "added"
    ends = [statement for statement in statements if statement in ("COMMIT", "ROLLBACK")]
    assert ends == ["ROLLBACK", "COMMIT"]


def test_a_statement_alone_is_in_no_transaction(postgres: str) -> None:
    """Drivers begin one by themselves, where SQLAlchemy does not see it: two more trips to the server."""
    with opened(postgres) as repository, repository._engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        driver: Any = connection.connection.driver_connection
        assert driver.info.transaction_status.name == "IDLE"


def test_statements_are_compiled_once(repository: SQLRepository) -> None:
    owner, first = registered(repository)
    compiled: list[str] = []

    @event.listens_for(repository._engine, "before_cursor_execute")
    def see(_1: object, _2: object, statement: str, _3: object, context: Any, _4: object) -> None:
        compiled.append(context._get_cache_stats())

    for _ in range(2):
        compiled.clear()
        repository.take_ceremony(owner.realm, bytes(32))
        repository.find_passkey(owner.realm, first.credential_id)
        repository.advance_passkey(owner.realm, update(first), NOW, None)
    assert len(compiled) == 3
    assert all(text.startswith("cached since") for text in compiled)


@pytest.mark.parametrize(
    "name", ["passkey_ceremonies", "passkey_spent", "passkey_device_challenges", "passkey_actions"]
)
@pytest.mark.parametrize("with_statistics", [False, True])
def test_what_is_expired_is_removed_in_batches_that_read_no_whole_table(
    repository: SQLRepository, name: str, with_statistics: bool
) -> None:
    engine, table = repository._engine, metadata.tables[name]
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    of = realm()
    columns: dict[str, object] = {"realm": of, "body": bytes(100), "state": "", "created_at": NOW, "revision": 0}
    columns |= {"user_id": "ada", "action": "pay", "state_updated_at": NOW, "user_verified": False}
    keys: dict[str, Any] = {"challenge": b"%032d", "key": b"%032d", "challenge_id": "%032d", "idempotency_key": "%d"}
    rows: list[dict[str, Any]] = [
        {key: value for key, value in columns.items() if key in table.c}
        | {key: value % n for key, value in keys.items() if key in table.c}
        | {"expires_at": NOW + timedelta(seconds=n)}
        for n in range(20_000)
    ]
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.execute(table.delete())
        connection.execute(table.insert(), rows)
        connection.exec_driver_sql("COMMIT")
        if with_statistics:
            connection.execute(text("ANALYZE"))
    plans: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def see(_1: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("DELETE FROM") and name in statement:
            cursor.execute(explain + statement, parameters)
            plans.append("\n".join(str(row) for row in cursor.fetchall()))

    repository.remove_expired(NOW)  # what others have left
    plans.clear()
    last = NOW + timedelta(seconds=2500)
    if name == "passkey_actions":
        assert repository.remove_actions(of, last) == 2500
    else:
        assert repository.remove_expired(last + timedelta(minutes=1)) == 2500
    assert len(plans) == 3
    for plan in plans:
        assert f"{name}_expires_at" in plan
        assert "Seq Scan" not in plan
        assert f"SCAN {name}" not in plan
    event.remove(engine, "before_cursor_execute", see)
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.min(table.c.expires_at))) == rows[2500]["expires_at"]


@pytest.mark.parametrize("call", ["find_passkey", "find_account", "take_ceremony"])
def test_what_a_ceremony_reads_is_found_by_an_index(tmp_path: Path, call: str) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        plans: list[str] = []

        @event.listens_for(repository._engine, "before_cursor_execute")
        def see(_1: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
            cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            plans.extend(str(row[3]) for row in cursor.fetchall())

        getattr(repository, call)("", "user" if call == "find_account" else b"credential")
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]


def test_moments_come_back_in_utc_to_the_microsecond_from_whatever_zone(repository: SQLRepository) -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    owner, _ = registered(repository, created_at=NOW.astimezone(east))
    assert repository.set_user_disabled(owner.realm, owner.user_id, NOW.astimezone(east), None)
    account = repository.find_account(owner.realm, owner.user_id)
    assert account is not None
    for moment in (account.user.disabled_at, account.passkeys[0].created_at):
        assert moment == NOW
        assert moment is not None
        assert moment.utcoffset() == timedelta(0)


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.0", " 1", "١", "9" * 19, "1;--"])
def test_a_malformed_cursor_is_a_decode_error(repository: SQLRepository, cursor: str) -> None:
    with pytest.raises(DecodeError) as caught:
        repository.list_events("", EventFilter(), cursor, 10)
    assert caught.value.code is Code.CURSOR_INVALID


@pytest.mark.parametrize(
    ("column", "value"), [("type", "user.of_a_newer_release"), ("code", "of_a_newer_release"), ("details", "{")]
)
def test_an_event_of_a_newer_release_is_a_decode_error(repository: SQLRepository, column: str, value: str) -> None:
    """It is what any other record is that this release does not know: no mistake of the caller's."""
    noted, table = an_event(realm(), code=Code.SIGNATURE_INVALID), metadata.tables["passkey_events"]
    repository.add_event(noted)
    with repository._engine.connect() as connection:
        connection.execute(table.update().where(table.c.id == noted.id), {column: value})
    calls: list[Callable[[], object]] = [lambda: repository.list_events(noted.realm, EventFilter(), None, 9)]
    if column == "type":
        calls.append(lambda: repository.count_events(noted.realm, EventFilter()))
    for call in calls:
        with pytest.raises(DecodeError) as caught:
            call()
        assert caught.value.code is Code.RECORD_INVALID
        assert value not in str(caught.value)


# The limit


def test_the_lowest_free_slot_is_taken_but_slots_above_a_lowered_limit_count(repository: SQLRepository) -> None:
    owner, first = registered(repository)
    for _ in range(4):
        assert repository.add_passkey(passkey(owner), 5, None, None) == "added"
    assert repository.remove_passkey(owner.realm, owner.user_id, first.credential_id, None)
    assert repository.add_passkey(passkey(owner), 4, None, None) == "limit_reached"
    assert repository.add_passkey(passkey(owner), 5, None, None) == "added"
    table = metadata.tables["passkeys"]
    with repository._engine.connect() as connection:
        slots = connection.scalars(sqlalchemy.select(table.c.slot).where(table.c.realm == owner.realm))
        assert sorted(slots) == [0, 1, 2, 3, 4]


def test_a_slot_that_somebody_else_takes_in_the_same_moment_is_read_anew(postgres: str) -> None:
    """Somebody else: an application that writes our tables by itself, and does not lock the user."""
    with opened(postgres) as repository, engine_of(postgres) as engine:
        owner, _ = registered(repository)
        table = metadata.tables["passkeys"]
        adding = Waiting(postgres, lambda: repository.add_passkey(passkey(owner), 3, None, None))
        with engine.begin() as connection:
            row = connection.execute(table.select().where(table.c.realm == owner.realm)).one()
            connection.execute(table.insert(), {**row._mapping, "credential_id": b"theirs", "slot": 1})
            adding.start()
        assert adding.answer() == "added"
        account = repository.find_account(owner.realm, owner.user_id)
    assert account is not None
    assert len(account.passkeys) == 3


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_stale_snapshot_cannot_exceed_the_limit(postgres: str, isolation: str) -> None:
    """The driver's error comes through; the unique slot is what the snapshot cannot hide."""
    with opened(postgres) as repository, engine_of(postgres, isolation_level=isolation) as engine:
        owner, _ = registered(repository)
        with engine.connect() as connection:
            connection.execute(text("SELECT count(*) FROM passkeys"))  # the snapshot is taken here
            assert repository.add_passkey(passkey(owner), 2, None, None) == "added"
            with pytest.raises(OperationalError, match="could not serialize"):
                repository.joining(connection).add_passkey(passkey(owner), 2, None, None)
        account = repository.find_account(owner.realm, owner.user_id)
        assert account is not None
        assert len(account.passkeys) == 2


def test_a_user_handle_of_another_user_is_a_conflict(repository: SQLRepository) -> None:
    owner = repository.get_or_create_user(user(realm()))
    with pytest.raises(ConflictError):
        repository.get_or_create_user(user(owner.realm, user_handle=owner.user_handle))


def test_no_passkey_stays_without_its_user_where_foreign_keys_are_not_heeded(tmp_path: Path) -> None:
    with engine_of(f"sqlite:///{tmp_path / 'passkeys.db'}") as engine, opened(engine) as repository:
        owner, first = registered(repository)
        assert repository.remove_user(owner.realm, owner.user_id, None)
        assert repository.get_or_create_user(owner) == owner
        assert repository.find_passkey(owner.realm, first.credential_id) is None


# Setting up


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("busy_timeout", 5000), ("foreign_keys", 1)]
)
def test_sqlite_from_a_url_is_durable_and_patient(tmp_path: Path, pragma: str, value: object) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        for connection in [repository._engine.connect() for _ in range(3)]:
            with connection:
                assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_an_engine_of_somebody_else_stays_as_it_is(url: str) -> None:
    with engine_of(url) as engine:
        with opened(engine) as repository:
            assert repository.add_ceremony(ceremony(realm()))
        pool = engine.pool
        with engine.connect() as connection:
            assert engine.pool is pool  # it was not disposed of
            table = metadata.tables["passkey_ceremonies"]
            connection.execute(table.insert(), {"realm": "", "challenge": b"1", "body": b"", "expires_at": NOW})
            connection.rollback()
            assert not connection.execute(table.select().where(table.c.realm == "")).all()


def test_an_engine_that_begins_transactions_by_itself_loses_nothing(tmp_path: Path) -> None:
    """Many applications have SQLite's driver begin nothing and send BEGIN when SQLAlchemy does."""
    with engine_of(f"sqlite:///{tmp_path / 'passkeys.db'}") as engine:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        with opened(engine) as repository:
            begun = ceremony(realm())
            assert repository.add_ceremony(begun)
            owner, first = registered(repository)
            assert repository.advance_passkey(owner.realm, update(first), NOW, an_event(owner.realm))
        with opened(str(engine.url), create=False) as again:
            assert again.take_ceremony(begun.state.realm, begun.state.challenge) == begun
            found = again.find_passkey(owner.realm, first.credential_id)
            assert found is not None
            assert found[0].credential.sign_count == update(first).sign_count


WRONG: list[tuple[object, str]] = [
    ("sqlite://", "MemoryRepository"),
    ("sqlite:///:memory:", "MemoryRepository"),
    ("sqlite:///file:x?mode=memory&uri=true", "MemoryRepository"),
    ("sqlite:///file::memory:?uri=true", "MemoryRepository"),
    ("mysql://user:secret@host/name", "SQLite or PostgreSQL"),
    ("no url: secret", "a database URL"),
    ("sqlite+nothing:///passkeys.db", "a driver"),
    (b"sqlite:///passkeys.db", "not bytes"),
]


@pytest.mark.parametrize("kind", [SQLRepository, AsyncSQLRepository])
@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_will_not_do_is_a_configuration_error_without_the_password(kind: Any, given: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        kind(given)
    assert "secret" not in str(caught.value)


def test_a_driver_or_engine_of_the_other_colour_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "passkeys.db"
    with pytest.raises(ConfigurationError, match="AsyncSQLRepository"):
        SQLRepository(f"sqlite+aiosqlite:///{path}")
    with pytest.raises(ConfigurationError, match="an asynchronous driver"):
        AsyncSQLRepository(f"sqlite+pysqlite:///{path}")
    with pytest.raises(ConfigurationError, match="not AsyncEngine"):
        SQLRepository(create_async_engine(f"sqlite+aiosqlite:///{path}"))  # type: ignore[arg-type]
    with engine_of(f"sqlite:///{path}") as engine, pytest.raises(ConfigurationError, match="not Engine"):
        AsyncSQLRepository(engine)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("module", "action", "extra"),
    [
        ("sqlalchemy", "", "sql"),
        ("aiosqlite", "AsyncSQLRepository('sqlite:///x.db')", "sql"),
        ("greenlet", "AsyncSQLRepository('sqlite:///x.db')", "sql"),
        ("psycopg", "SQLRepository('postgresql://localhost/x')", "postgres"),
        ("psycopg", "AsyncSQLRepository('postgresql://localhost/x')", "postgres"),
    ],
)
def test_what_is_not_installed_is_a_configuration_error_with_the_extra(module: str, action: str, extra: str) -> None:
    script = f"""
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == {module!r} else find(name, package)
sys.modules[{module!r}] = None
from passkeycore import ConfigurationError
try:
    from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
    {action}
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"passkeycore[{extra}]" in done.stdout, done


def test_an_sqlite_without_returning_is_a_configuration_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.dbapi2.sqlite_version_info", (3, 34, 1))
    with pytest.raises(ConfigurationError, match=r"3\.35"):
        SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}")


def test_many_may_create_the_tables_at_once(request: pytest.FixtureRequest, url: str) -> None:
    with engine_of(url) as engine:
        metadata.drop_all(engine)
    errors: list[Exception] = []

    def create() -> None:
        try:
            with opened(url) as repository:
                repository.add_event(an_event(realm()))
        except Exception as error:  # noqa: BLE001 - a thread's own would be lost
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_what_a_former_release_created_is_completed_and_kept(request: pytest.FixtureRequest, url: str) -> None:
    former = ("passkey_users", "passkeys", "passkey_ceremonies", "passkey_spent", "passkey_events")
    with engine_of(url) as engine:
        metadata.drop_all(engine)
        metadata.create_all(engine, tables=[metadata.tables[name] for name in former])
        with opened(engine, create=False) as repository:
            owner = repository.get_or_create_user(user(realm()))
            first = passkey(owner)
            assert repository.add_passkey(first, 5, None, an_event(owner.realm)) == "added"
        with opened(url, outbox=True) as repository:
            added = device(owner)
            assert repository.add_device(added, 5, an_event(owner.realm)) == "added"
            assert repository.list_devices(owner.realm, owner.user_id) == (added,)
            assert repository.find_passkey(owner.realm, first.credential_id) == (first, owner)
            assert len(repository.list_events(owner.realm, EventFilter(), None, 10).events) == 2
            assert len(repository.take_deliveries(NOW, NOW, 10)) == 1
        names = set(sqlalchemy.inspect(engine).get_table_names())
        assert names >= set(metadata.tables)
        assert {name for name in names if name.startswith("passkey")} == set(metadata.tables)
        for name, table in metadata.tables.items():
            indexes = {index["name"] for index in sqlalchemy.inspect(engine).get_indexes(name)}
            assert indexes >= {index.name for index in table.indexes}


CONNECT = {"connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "tcp_user_timeout": "30000"}


@pytest.mark.parametrize("own", [{}, {"tcp_user_timeout": "5000"}, dict.fromkeys(CONNECT, "7")])
def test_a_postgresql_that_is_gone_without_a_word_is_noticed(postgres: str, own: dict[str, str]) -> None:
    """By both colours, unless the URL says something else of it."""
    url = "&".join([postgres, *(f"{name}={value}" for name, value in own.items())])

    async def asked() -> dict[str, str]:
        repository = AsyncSQLRepository(url)
        async with repository._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            parameters: dict[str, str] = driver.info.get_parameters()
        await repository.close()
        return parameters

    with opened(url, create=False) as repository, repository._engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        for parameters in (driver.info.get_parameters(), asyncio.run(asked())):
            assert {name: parameters[name] for name in CONNECT} == CONNECT | own
            assert "options" not in parameters


def test_asynchronous_tables_are_created_once_before_the_first_of_many_operations(tmp_path: Path) -> None:
    """The repository is made where there is no event loop yet, at the top of a module."""
    repository = AsyncSQLRepository(f"sqlite+aiosqlite:///{tmp_path / 'passkeys.db'}", create=True)

    async def use() -> list[bool]:
        added = await asyncio.gather(*(repository.add_ceremony(ceremony(realm())) for _ in range(8)))
        await repository.close()
        return added

    with sent_by(repository._engine.sync_engine) as statements:
        assert asyncio.run(use()) == [True] * 8
    assert statements.count("BEGIN IMMEDIATE") == 1
    assert sum("CREATE TABLE passkeys " in statement for statement in statements) == 1


def test_cancelled_operations_leave_nothing_open(tmp_path: Path) -> None:
    """Wherever a task is cancelled, the next one writes at once, and nothing is half-written."""

    async def use() -> None:
        repository = AsyncSQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True)
        owner = await repository.get_or_create_user(user(realm()))
        kept: list[object] = []  # an exception keeps the cursors of its traceback alive
        for steps in range(100):
            task = asyncio.create_task(repository.add_passkey(passkey(owner), 999, None, an_event(owner.realm)))
            await asyncio.sleep(steps * 0.0001)
            task.cancel()
            kept += await asyncio.gather(task, return_exceptions=True)
            assert await repository.rename_user(owner.realm, owner.user_id, str(steps), "", None)
        account = await repository.find_account(owner.realm, owner.user_id)
        page = await repository.list_events(owner.realm, EventFilter(), None, 999)
        assert account is not None
        assert len(account.passkeys) == len(page.events)
        await repository.close()

    asyncio.run(use())
