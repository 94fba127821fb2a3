"""`SQLRepository` and `AsyncSQLRepository`: users and all that is theirs, and events, in SQLite or PostgreSQL.

What belongs here: the two classes; what they do is in `users`, `passkeys`, `ceremonies`, `devices`, `actions`,
`events`, `outbox` and `tenancy`, how they reach the database in `connections`, `wires` and `engines`, what they find
there in `tables`. `metadata` is for your own migrations; without any, ``create=True`` is enough.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from ...errors import ConfigurationError

try:
    import sqlalchemy  # an extra
except ImportError:
    raise ConfigurationError('SQLAlchemy is missing, which the extra "sql" installs: passkeycore[sql]') from None

from ...engine.run import asynchronous, run, synchronous
from . import actions, ceremonies, devices, events, outbox, passkeys, tenancy, users
from .connections import Context, alone, asynchronous_pool, joined, synchronous_pool
from .engines import asynchronous_engine, synchronous_engine
from .tables import metadata
from .wires import Immediate

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_T = TypeVar("_T")
_P = ParamSpec("_P")

__all__ = ["AsyncSQLRepository", "SQLRepository", "metadata"]


class SQLRepository:
    """A `Repository` in SQLite or PostgreSQL, for threads; with the other repositories in the same place.

    These are `DeviceRepository`, `ActionRepository`, `EventRepository`, `OutboxRepository`, `SpentRepository` and
    `TenancyRepository`.

    What a database or its driver raises comes through as SQLAlchemy's error, and nothing was changed then.

    With a URL, a flow of a service all of whose stores are such repositories has one connection from its first
    statement to its end; with an engine of yours, each statement or transaction fetches its own.

    It may be made before a process forks, as preloading servers do: nothing is open then, and what was opened since,
    the child leaves to the parent and opens anew. Two things are yours. SQLite forbids to fork while a thread is within
    an operation. And of an engine handed in, the child has to call ``engine.dispose(close=False)`` before its first
    use, or on SQLite the parent ``engine.dispose()`` before it forks.
    """

    def __init__(
        self,
        engine: "str | sqlalchemy.Engine",
        *,
        create: bool | Literal["on first use"] = False,
        outbox: bool = False,
    ) -> None:
        """The repository in this database, SQLite 3.35 or PostgreSQL at least.

        Args:
            engine: A URL, such as ``sqlite:///passkeys.db`` or ``postgresql://user@host/name``, or an engine of yours.
                With a URL, SQLite gets a write-ahead log, full durability and 5 s of patience with other writers, and
                PostgreSQL at most 20 connections and READ COMMITTED, whatever the default there is. An engine is used
                as it is, but always in autocommit mode: every operation lasts when it returns. Where its
                ``default_transaction_isolation`` is a higher one, callers who meet in a single statement get the
                driver's serialization error, and have to try again.
            create: Create what is missing of the tables: at once, or ``on first use``, and nothing is opened before.
                False: your migrations do, from `metadata`.
            outbox: Every event that is stored waits for its delivery, too, in the same transaction. False: as there is
                no worker that delivers, and what waits would only grow. An event that waits, or that was given up,
                cannot be removed from ``passkey_events``.

        Raises:
            ConfigurationError: Not a URL or engine for this class, another database, one in memory (there is
                `MemoryRepository`), or the driver is missing.
        """
        made = synchronous_engine(engine)
        self._engine = made
        self._is_ours = isinstance(engine, str)
        self._pool = synchronous_pool(made, ours=self._is_ours, create=create == "on first use")
        self.flow_scopes = self._pool.flow_scopes
        self.context = alone(self._pool, outbox=outbox)
        if create is True:
            self.create()
            self.close()  # this may be the top of a module, and the process about to fork

    @property
    def keeps_outbox(self) -> bool:
        """Whether stored events wait for their delivery."""
        return self.context.outbox

    def create(self) -> None:
        """Creates what is missing of the tables; any number of processes may do so at once."""
        run(self._pool.create())

    def close(self) -> None:
        """Closes the connections, unless the engine was handed in. The repository can be used again."""
        if self._is_ours:
            self._engine.dispose()

    def joining(self, connection: sqlalchemy.Connection) -> Self:
        """This repository, whose users, passkeys, devices, actions and events are in your transaction.

        You commit it, or not. Ceremonies, what is spent, challenges to devices, failures of actions and deliveries
        still have connections of their own and last at once, or a rollback would revive a challenge; so has
        `remove_actions`. SQLite has one writer: there, begin to write only after the finish has taken its ceremony, or
        keep ceremonies elsewhere; otherwise it waits for you until its patience ends. Likewise a device is enrolled,
        starts and answers its challenges before you write, and an action's challenge is met; and on PostgreSQL, too,
        before you have written that device, its owner or that action, or enrolled something for that owner: an answer
        writes the device with the challenge, and an action that you track must be committed before its challenge can
        fail.

        Events of a change are rolled back with the change. What is reported by itself (`add_event`: failures, for
        instance) lasts at once on PostgreSQL, through a connection of its own; on SQLite, with its one writer, it stays
        in your transaction and goes with it.

        Args:
            connection: To the database that has the tables, not in autocommit mode. For one thread, and while it lasts.
                In REPEATABLE READ or SERIALIZABLE the driver's serialization error may come through, as from any
                statement of yours; roll back then, and begin the ceremony anew.

        Raises:
            ConfigurationError: The connection has no transaction to join, or is one of another kind of database.
        """
        joining = type(self).__new__(type(self))
        joining._engine, joining._is_ours, joining._pool = self._engine, False, self._pool
        joining.flow_scopes = ()  # who waits for a lock of the caller's keeps no second connection meanwhile
        joining.context = joined(Immediate(connection), connection.dialect, self._pool, outbox=self.context.outbox)
        return joining

    add_ceremony = synchronous(ceremonies.add_ceremony)
    take_ceremony = synchronous(ceremonies.take_ceremony)
    remove_expired = synchronous(ceremonies.remove_expired)
    spend = synchronous(ceremonies.spend)
    get_or_create_user = synchronous(users.get_or_create_user)
    rename_user = synchronous(users.rename_user)
    set_user_disabled = synchronous(users.set_user_disabled)
    remove_user = synchronous(users.remove_user)
    find_account = synchronous(passkeys.find_account)
    add_passkey = synchronous(passkeys.add_passkey)
    find_passkey = synchronous(passkeys.find_passkey)
    advance_passkey = synchronous(passkeys.advance_passkey)
    rename_passkey = synchronous(passkeys.rename_passkey)
    remove_passkey = synchronous(passkeys.remove_passkey)
    remove_passkeys = synchronous(passkeys.remove_passkeys)
    confirm_user_verification = synchronous(passkeys.confirm_user_verification)
    add_device = synchronous(devices.add_device)
    find_device = synchronous(devices.find_device)
    list_devices = synchronous(devices.list_devices)
    replace_device = synchronous(devices.replace_device)
    remove_device = synchronous(devices.remove_device)
    add_device_challenge = synchronous(devices.add_device_challenge)
    find_device_challenge = synchronous(devices.find_device_challenge)
    pending_device_challenges = synchronous(devices.pending_device_challenges)
    replace_device_challenge = synchronous(devices.replace_device_challenge)
    add_action = synchronous(actions.add_action)
    find_action = synchronous(actions.find_action)
    replace_action = synchronous(actions.replace_action)
    record_failure = synchronous(actions.record_failure)
    list_actions = synchronous(actions.list_actions)
    action_history = synchronous(actions.action_history)
    remove_actions = synchronous(actions.remove_actions)
    add_event = synchronous(events.add_event)
    list_events = synchronous(events.list_events)
    count_events = synchronous(events.count_events)
    take_deliveries = synchronous(outbox.take_deliveries)
    finish_delivery = synchronous(outbox.finish_delivery)
    postpone_delivery = synchronous(outbox.postpone_delivery)
    revive_deliveries = synchronous(outbox.revive_deliveries)
    add_server_key = synchronous(tenancy.add_server_key)
    find_server_key = synchronous(tenancy.find_server_key)
    list_server_keys = synchronous(tenancy.list_server_keys)
    replace_server_key = synchronous(tenancy.replace_server_key)
    find_overrides = synchronous(tenancy.find_overrides)
    replace_overrides = synchronous(tenancy.replace_overrides)
    find_profile = synchronous(tenancy.find_profile)
    save_profile = synchronous(tenancy.save_profile)
    remove_profile = synchronous(tenancy.remove_profile)
    list_profiles = synchronous(tenancy.list_profiles)
    list_users = synchronous(tenancy.list_users)


def _asynchronous(
    operation: Callable[Concatenate[Context, _P], Coroutine[Any, Any, _T]], *, own: bool = False
) -> "Callable[Concatenate[AsyncSQLRepository, _P], CoroutineType[Any, Any, _T]]":
    """`operation` as a method which, once begun, goes on to its end even when its caller is cancelled.

    SQLite's driver would otherwise leave the statement, and the lock that it holds, to the garbage collector. In the
    transaction of a caller on PostgreSQL it stops with the caller, except where it has connections of its own (`own`);
    on SQLite the caller hears of the cancellation when the operation has ended, and only then rolls back.
    """

    @functools.wraps(operation)
    async def undisturbed(context: Context, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        begun = operation(context, *args, **kwargs)
        if own or context.store is context.own:
            return await asyncio.shield(begun)
        if context.store.dialect == "sqlite":
            return await _to_its_end(begun)
        return await begun

    # For pyright the methods of a protocol give a CoroutineType, which is narrower.
    return asynchronous(undisturbed)  # type: ignore[return-value]


async def _to_its_end(operation: Coroutine[Any, Any, _T]) -> _T:
    """What `operation` gives. Who is cancelled meanwhile learns it when the operation has ended."""
    task = asyncio.ensure_future(operation)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


class AsyncSQLRepository:
    """`SQLRepository` for asyncio.

    An operation whose task is cancelled goes on to its end, though nobody hears of it. In a transaction of yours it
    does so on SQLite, and the cancellation waits for it; on PostgreSQL it stops. Either way, roll back then. On SQLite
    shield your own statements, too: one that is cancelled under way, or your commit or rollback, may leave the database
    locked until the garbage collector finds the connection.

    Forks are as for `SQLRepository`, but of SQLite only before the first operation.
    """

    def __init__(self, engine: "str | AsyncEngine", *, create: bool = False, outbox: bool = False) -> None:
        """The repository in this database, SQLite 3.35 or PostgreSQL at least.

        Args:
            engine: A URL, such as ``sqlite+aiosqlite:///passkeys.db`` or ``postgresql+psycopg://user@host/name``, or
                an engine of yours; see `SQLRepository`.
            create: Create what is missing of the tables, before the first operation. False: your migrations do, from
                `metadata`.
            outbox: See `SQLRepository`.

        Raises:
            ConfigurationError: See `SQLRepository`.
        """
        made = asynchronous_engine(engine)
        self._engine = made
        self._is_ours = isinstance(engine, str)
        self._pool = asynchronous_pool(made, ours=self._is_ours, create=create)
        self.context = alone(self._pool, outbox=outbox)

    @property
    def keeps_outbox(self) -> bool:
        """See `SQLRepository.keeps_outbox`."""
        return self.context.outbox

    async def create(self) -> None:
        """Creates what is missing of the tables; any number of processes may do so at once."""
        await self._pool.create()

    async def close(self) -> None:
        """Closes the connections, unless the engine was handed in. The repository can be used again."""
        if self._is_ours:
            await self._engine.dispose()

    def joining(self, connection: "AsyncConnection") -> Self:
        """This repository, whose users, passkeys, devices, actions and events are in your transaction.

        See `SQLRepository.joining`.
        """
        joining = type(self).__new__(type(self))
        joining._engine, joining._is_ours, joining._pool = self._engine, False, self._pool
        joining.context = joined(connection, connection.dialect, self._pool, outbox=self.context.outbox)
        return joining

    add_ceremony = _asynchronous(ceremonies.add_ceremony, own=True)
    take_ceremony = _asynchronous(ceremonies.take_ceremony, own=True)
    remove_expired = _asynchronous(ceremonies.remove_expired, own=True)
    spend = _asynchronous(ceremonies.spend, own=True)
    get_or_create_user = _asynchronous(users.get_or_create_user)
    rename_user = _asynchronous(users.rename_user)
    set_user_disabled = _asynchronous(users.set_user_disabled)
    remove_user = _asynchronous(users.remove_user)
    find_account = _asynchronous(passkeys.find_account)
    add_passkey = _asynchronous(passkeys.add_passkey)
    find_passkey = _asynchronous(passkeys.find_passkey)
    advance_passkey = _asynchronous(passkeys.advance_passkey)
    rename_passkey = _asynchronous(passkeys.rename_passkey)
    remove_passkey = _asynchronous(passkeys.remove_passkey)
    remove_passkeys = _asynchronous(passkeys.remove_passkeys)
    confirm_user_verification = _asynchronous(passkeys.confirm_user_verification)
    add_device = _asynchronous(devices.add_device)
    find_device = _asynchronous(devices.find_device)
    list_devices = _asynchronous(devices.list_devices)
    replace_device = _asynchronous(devices.replace_device)
    remove_device = _asynchronous(devices.remove_device)
    add_device_challenge = _asynchronous(devices.add_device_challenge, own=True)
    find_device_challenge = _asynchronous(devices.find_device_challenge, own=True)
    pending_device_challenges = _asynchronous(devices.pending_device_challenges, own=True)
    replace_device_challenge = _asynchronous(devices.replace_device_challenge, own=True)
    add_action = _asynchronous(actions.add_action)
    find_action = _asynchronous(actions.find_action)
    replace_action = _asynchronous(actions.replace_action)
    record_failure = _asynchronous(actions.record_failure, own=True)
    list_actions = _asynchronous(actions.list_actions)
    action_history = _asynchronous(actions.action_history)
    remove_actions = _asynchronous(actions.remove_actions, own=True)
    add_event = _asynchronous(events.add_event)
    list_events = _asynchronous(events.list_events)
    count_events = _asynchronous(events.count_events)
    take_deliveries = _asynchronous(outbox.take_deliveries, own=True)
    finish_delivery = _asynchronous(outbox.finish_delivery, own=True)
    postpone_delivery = _asynchronous(outbox.postpone_delivery, own=True)
    revive_deliveries = _asynchronous(outbox.revive_deliveries, own=True)
    add_server_key = _asynchronous(tenancy.add_server_key)
    find_server_key = _asynchronous(tenancy.find_server_key)
    list_server_keys = _asynchronous(tenancy.list_server_keys)
    replace_server_key = _asynchronous(tenancy.replace_server_key)
    find_overrides = _asynchronous(tenancy.find_overrides)
    replace_overrides = _asynchronous(tenancy.replace_overrides)
    find_profile = _asynchronous(tenancy.find_profile)
    save_profile = _asynchronous(tenancy.save_profile)
    remove_profile = _asynchronous(tenancy.remove_profile)
    list_profiles = _asynchronous(tenancy.list_profiles)
    list_users = _asynchronous(tenancy.list_users)
