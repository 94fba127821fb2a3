"""Connections of `SQLRepository`, in both colours behind one asynchronous shape, and how long they are kept.

What belongs here: what `connections` asks of SQLAlchemy's connections; what is sent over them, and when, is there. A
synchronous one is wrapped so that its coroutines never suspend.
"""

from collections.abc import Awaitable, Callable, Mapping
from threading import local
from typing import Any, Protocol, TypeVar

from sqlalchemy import Executable
from sqlalchemy.engine import Connection, CursorResult, Engine

_T = TypeVar("_T")


class Wire(Protocol):
    """A connection: what we use of SQLAlchemy's `AsyncConnection`."""

    @property
    def sync_connection(self) -> Connection | None:
        """The synchronous one inside."""
        ...

    @property
    def invalidated(self) -> bool:
        """Whether it is lost."""
        ...

    async def execute(self, statement: Executable, parameters: Mapping[str, object], /) -> CursorResult[Any]:
        """The whole result of the statement."""
        ...

    async def exec_driver_sql(self, statement: str, /) -> CursorResult[Any]:
        """The whole result of the statement, which goes to the driver as it is."""
        ...

    async def run_sync(self, function: Callable[[Connection], _T], /) -> _T:
        """What `function` makes of the synchronous connection."""
        ...

    def begin(self) -> Awaitable[object]:
        """Begins SQLAlchemy's transaction, which in autocommit mode sends nothing."""
        ...

    async def commit(self) -> None:
        """Ends SQLAlchemy's transaction, and the driver's if there is one."""
        ...

    async def rollback(self) -> None:
        """Undoes SQLAlchemy's transaction, and the driver's if there is one."""
        ...

    async def invalidate(self) -> None:
        """Throws the connection away, so that nobody gets it again."""
        ...

    async def close(self) -> None:
        """Gives the connection back to its pool."""
        ...


class Immediate:
    """A synchronous connection as a `Wire`: its coroutines never suspend."""

    __slots__ = ("sync_connection",)

    def __init__(self, connection: Connection) -> None:
        self.sync_connection = connection

    @property
    def invalidated(self) -> bool:
        """Whether it is lost."""
        return self.sync_connection.invalidated

    async def execute(self, statement: Executable, parameters: Mapping[str, object], /) -> CursorResult[Any]:
        """See `Wire`; so are the others."""
        return self.sync_connection.execute(statement, parameters)

    async def exec_driver_sql(self, statement: str, /) -> CursorResult[Any]:
        """See `Wire`."""
        return self.sync_connection.exec_driver_sql(statement)

    async def run_sync(self, function: Callable[[Connection], _T], /) -> _T:
        """See `Wire`."""
        return function(self.sync_connection)

    async def begin(self) -> object:
        """See `Wire`."""
        return self.sync_connection.begin()

    async def commit(self) -> None:
        """See `Wire`."""
        self.sync_connection.commit()

    async def rollback(self) -> None:
        """See `Wire`."""
        self.sync_connection.rollback()

    async def invalidate(self) -> None:
        """See `Wire`."""
        self.sync_connection.invalidate()

    async def close(self) -> None:
        """See `Wire`."""
        self.sync_connection.close()


class FlowConnection(local):
    """Connections of an engine, of which each thread keeps one from statement to statement while a flow runs in it.

    To fetch one from the pool and give it back costs about as much as a small statement. As a context manager, it is
    around a flow; flows may be within each other, and whoever needs a second connection meanwhile gets another one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._flows = 0
        self._kept: Connection | None = None

    def __enter__(self) -> None:
        self._flows += 1

    def __exit__(self, *_: object) -> None:
        self._flows -= 1
        if not self._flows and (connection := self._kept) is not None:
            self._kept = None
            connection.close()

    async def connect(self) -> Wire:
        """The one that is kept and that nobody is using, or one of the pool."""
        connection, self._kept = self._kept, None
        return _OfFlow(self._engine.connect() if connection is None else connection, self)

    def give_back(self, connection: Connection) -> None:
        """Keeps it for the next statement, unless it is lost, there is one already, or no flow is under way."""
        if self._flows and self._kept is None and not connection.invalidated:
            self._kept = connection
        else:
            connection.close()


class _OfFlow(Immediate):
    __slots__ = ("_flow",)

    def __init__(self, connection: Connection, flow: FlowConnection) -> None:
        super().__init__(connection)
        self._flow = flow

    async def close(self) -> None:
        """See `Wire`; the flow that is under way may keep it."""
        self._flow.give_back(self.sync_connection)
