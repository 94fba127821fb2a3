"""Statements and transactions of `SQLRepository`, in both colours behind one asynchronous shape.

What belongs here: how a statement gets to SQLite or PostgreSQL, and when it is committed; the connections are in
`wires`. Single statements run in autocommit mode, which saves two trips to the server; where several belong together,
``BEGIN`` and ``COMMIT`` are sent as statements of their own, because drivers disagree about when they begin one.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from sqlalchemy import Executable, text
from sqlalchemy.engine import Dialect, Engine

from ...errors import ConfigurationError
from .engines import check_dialect
from .tables import metadata
from .wires import FlowConnection, Immediate, Wire

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

Rows: TypeAlias = Sequence[Sequence[Any]]

# In SQLite two that read first and write afterwards would block each other; so they wait before they read.
# In PostgreSQL a writer who waited for another has to see what that one wrote, whatever the default is there.
_BEGIN: Final = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED"}
_SAVEPOINT: Final = "passkeycore"
# Two that miss the same table would both create it, and one fail. Any number will do that nobody else locks.
_CREATION: Final = {"sqlite": None, "postgresql": text("SELECT pg_advisory_xact_lock(7021880148220773484)")}


class Statements:
    """Statements on a connection whose transaction somebody else ends."""

    __slots__ = ("_wire", "dialect")

    def __init__(self, wire: Wire, dialect: str) -> None:
        self._wire = wire
        self.dialect = dialect

    async def rows(self, statement: Executable, values: Mapping[str, object]) -> Rows:
        """What the statement gives."""
        return (await self._wire.execute(statement, values)).all()

    async def count(self, statement: Executable, values: Mapping[str, object]) -> int:
        """How many rows the statement wrote."""
        return (await self._wire.execute(statement, values)).rowcount


class Store(Protocol):
    """Where statements run. `dialect` is ``sqlite`` or ``postgresql``."""

    @property
    def dialect(self) -> str:
        """The kind of database."""
        ...

    async def rows(self, statement: Executable, values: Mapping[str, object]) -> Rows:
        """What the statement gives. What it wrote lasts."""
        ...

    async def count(self, statement: Executable, values: Mapping[str, object]) -> int:
        """How many rows the statement wrote. They last."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Statements]:
        """Statements that last together or, when an exception comes out, not at all."""
        ...


class Pool:
    """Connections of our own: each statement, or each `transaction`, is committed when it is done."""

    __slots__ = ("_connect", "_lock", "_ours", "_to_create", "dialect", "flow_scopes")

    def __init__(
        self,
        connect: Callable[[], Awaitable[Wire]],
        dialect: str,
        *,
        ours: bool,
        create: bool,
        lock: AbstractAsyncContextManager[Any],
        flow_scopes: tuple[FlowConnection, ...] = (),
    ) -> None:
        """Statements on the connections that `connect` gives, all in autocommit mode.

        Args:
            connect: A connection, to be closed.
            dialect: A key of `_BEGIN`.
            ours: The engine was made here. Others may begin transactions by themselves, through events and settings
                of their driver, whatever the isolation level says.
            create: Create what is missing of the tables before the first statement.
            lock: What keeps two from doing so at the same time.
            flow_scopes: Around each flow, see `passkeycore.engine.run.flow_scopes`.
        """
        self._connect = connect
        self._ours = ours
        self._to_create = create
        self._lock = lock
        self.dialect = dialect
        self.flow_scopes = flow_scopes

    async def rows(self, statement: Executable, values: Mapping[str, object]) -> Rows:
        """See `Store`."""
        if self._to_create:
            await self.create_once()
        wire = await self._connect()
        try:
            rows = (await wire.execute(statement, values)).all()
            if not self._ours:
                await wire.commit()
        finally:
            await wire.close()
        return rows

    async def count(self, statement: Executable, values: Mapping[str, object]) -> int:
        """See `Store`."""
        if self._to_create:
            await self.create_once()
        wire = await self._connect()
        try:
            count = (await wire.execute(statement, values)).rowcount
            if not self._ours:
                await wire.commit()
        finally:
            await wire.close()
        return count

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Statements]:
        """See `Store`."""
        if self._to_create:
            await self.create_once()
        async with self._transaction() as wire:
            yield Statements(wire, self.dialect)

    async def create(self) -> None:
        """Creates what is missing of the tables."""
        async with self._transaction() as wire:
            lock = _CREATION[self.dialect]
            if lock is not None:
                await wire.execute(lock, {})
            await wire.run_sync(metadata.create_all)
        self._to_create = False

    async def create_once(self) -> None:
        """Creates what is missing of the tables, unless that was done."""
        async with self._lock:
            if self._to_create:
                await self.create()

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[Wire]:
        wire = await self._connect()
        begun = False
        try:
            if not self._ours:
                await wire.begin()
            if self._ours or not _is_in_transaction(wire):
                begun = True
                await wire.exec_driver_sql(_BEGIN[self.dialect])
            yield wire
            await (wire.exec_driver_sql("COMMIT") if begun else wire.commit())
        except BaseException:  # a cancellation, too, must leave nothing open behind
            await self._undo(wire, begun)
            raise
        finally:
            await wire.close()

    async def _undo(self, wire: Wire, begun: bool) -> None:
        try:
            if wire.invalidated:
                return
            if not begun:
                await wire.rollback()
            elif self.dialect != "sqlite" or _is_in_transaction(wire):  # SQLite may have rolled back by itself
                await wire.exec_driver_sql("ROLLBACK")
        except BaseException as error:  # likewise
            # With the connection ends whatever is still open on it. What failed first is what the caller hears.
            await wire.invalidate()
            if not isinstance(error, Exception):
                raise


class Joined(Statements):
    """The transaction of a caller, who commits it or not."""

    __slots__ = ()

    async def count(self, statement: Executable, values: Mapping[str, object]) -> int:
        """See `Store`; but the caller decides what lasts."""
        await self._enter()
        return await super().count(statement, values)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Statements]:
        """See `Store`; but the caller decides what lasts."""
        wire = self._wire
        await self._enter()
        await wire.exec_driver_sql(f"SAVEPOINT {_SAVEPOINT}")
        try:
            yield self
        except BaseException:  # likewise: the caller's transaction goes on, without what was half done here
            if not wire.invalidated:
                await wire.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
                await wire.exec_driver_sql(f"RELEASE SAVEPOINT {_SAVEPOINT}")
            raise
        await wire.exec_driver_sql(f"RELEASE SAVEPOINT {_SAVEPOINT}")

    async def _enter(self) -> None:
        # A savepoint outside of a transaction is one for SQLite, and its release a commit.
        connection = self._wire.sync_connection
        if self.dialect == "sqlite" and connection is not None:
            if not connection.in_transaction():
                await self._wire.begin()
            if not _is_in_transaction(self._wire):
                await self._wire.exec_driver_sql(_BEGIN[self.dialect])


class Context(NamedTuple):
    """Where the statements of a repository run.

    Attributes:
        store: Users, passkeys, devices, actions and events; the transaction of a caller, if the repository joins one.
        own: What must last whatever a caller does.
        reports: Events that go with no change, such as failures. They should last, too; but SQLite has one writer, and
            beside a caller who writes they would wait for that caller in vain.
        outbox: Every event that is stored waits for its delivery, too.
    """

    store: Store
    own: Store
    reports: Store
    outbox: bool


def synchronous_pool(engine: Engine, *, ours: bool, create: bool) -> Pool:
    """The connections of `engine`."""
    # Threads may create tables at once, as processes may.
    lock = nullcontext()
    if ours:
        kept = FlowConnection(engine)
        return Pool(kept.connect, engine.dialect.name, ours=True, create=create, lock=lock, flow_scopes=(kept,))
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def connect() -> Wire:
        return Immediate(autocommit.connect())

    return Pool(connect, engine.dialect.name, ours=False, create=create, lock=lock)


def asynchronous_pool(engine: "AsyncEngine", *, ours: bool, create: bool) -> Pool:
    """The connections of `engine`."""
    import asyncio

    autocommit = engine if ours else engine.execution_options(isolation_level="AUTOCOMMIT")

    async def connect() -> Wire:
        return await autocommit.connect()

    return Pool(connect, engine.dialect.name, ours=ours, create=create, lock=asyncio.Lock())


def alone(pool: Pool, *, outbox: bool) -> Context:
    """Everything on connections of our own."""
    return Context(pool, pool, pool, outbox)


def joined(wire: Wire, dialect: Dialect, pool: Pool, *, outbox: bool) -> Context:
    """The transaction that the caller has on this connection, and `pool` for what is to last whatever becomes of it.

    Raises:
        ConfigurationError: The connection has no transaction to join, as it is in autocommit mode; or it is one of a
            database that is not for us.
    """
    connection = wire.sync_connection
    if connection is None or connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        raise ConfigurationError("there is no transaction to join", path="connection")
    check_dialect(dialect)
    store = Joined(wire, dialect.name)
    return Context(store, pool, store if store.dialect == "sqlite" else pool, outbox)


def _is_in_transaction(wire: Wire) -> bool:
    # Only SQLite's drivers say so; PostgreSQL does not mind a second BEGIN.
    connection = wire.sync_connection
    driver = None if connection is None else connection.connection.driver_connection
    return bool(getattr(driver, "in_transaction", False))
