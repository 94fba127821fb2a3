"""Engines of `SQLRepository`: made from a URL with safe settings, or handed in; and what is refused.

What belongs here: which databases and drivers will do, how a connection to them is set up, and what a fork leaves.
"""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import sqlalchemy
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Dialect, Engine, make_url

from ...errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_EXTRAS: Final = {"sqlite": "sql", "postgresql": "postgres"}
_DRIVERS: Final = {
    ("sqlite", False): "sqlite",
    ("sqlite", True): "sqlite+aiosqlite",
    ("postgresql", False): "postgresql+psycopg",
    ("postgresql", True): "postgresql+psycopg",
}
_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    # The connection that was used last knows the most pages of the file; ten threads need not wait for one.
    "sqlite": {"pool_size": 10, "pool_use_lifo": True},
    # A server that restarts or a firewall that forgets must not leave anybody waiting for long.
    "postgresql": {"pool_size": 10, "max_overflow": 10, "pool_recycle": 1800, "pool_use_lifo": True},
}
# Nobody waits for ever for a server that is gone without a word. What the URL says of one counts instead.
_CONNECT: Final[Mapping[str, int]] = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 30,  # seconds of silence
    "keepalives_interval": 10,  # seconds
    "tcp_user_timeout": 30_000,  # milliseconds
}
_PRAGMAS: Final[tuple[str, ...]] = (
    "PRAGMA busy_timeout = 5000",  # milliseconds; the first, as the next one may have to wait
    "PRAGMA journal_mode = WAL",  # readers and the writer do not block each other
    "PRAGMA synchronous = FULL",  # what was reported as saved survives a power failure
    "PRAGMA foreign_keys = ON",
)
# A server or role may have another default, under which writers who meet fail instead of waiting for each other.
_CHARACTERISTICS: Final = ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",)
_PREPARATIONS: Final[Mapping[str, Sequence[str]]] = {"sqlite": _PRAGMAS, "postgresql": _CHARACTERISTICS}
_OLDEST_SQLITE: Final = (3, 35)  # the first with RETURNING


def synchronous_engine(engine: "str | Engine") -> Engine:
    """The engine itself, or a new one with safe settings for a URL.

    Raises:
        ConfigurationError: Not for us, see `SQLRepository`.
    """
    if isinstance(engine, str):
        url = _url(engine, asynchronous=False)
        with _explained(url):
            made = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", **_settings(url))
        _check(made.dialect, made.url, asynchronous=False)
        _prepare(made)
        return made
    if not isinstance(engine, Engine):
        raise _wrong(f"an Engine or a URL, not {type(engine).__name__}")
    _check(engine.dialect, engine.url, asynchronous=False)
    return engine


def asynchronous_engine(engine: "str | AsyncEngine") -> "AsyncEngine":
    """The engine itself, or a new one with safe settings for a URL.

    Raises:
        ConfigurationError: Not for us, see `AsyncSQLRepository`.
    """
    if find_spec("greenlet") is None:  # SQLAlchemy installs it on some machines only
        raise _missing("sql", "greenlet")
    from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

    if isinstance(engine, str):
        url = _url(engine, asynchronous=True)
        with _explained(url):
            made = create_async_engine(url, isolation_level="AUTOCOMMIT", **_settings(url))
        _check(made.dialect, made.url, asynchronous=True)
        _prepare(made.sync_engine)
        return made
    if not isinstance(engine, AsyncEngine):
        raise _wrong(f"an AsyncEngine or a URL, not {type(engine).__name__}")
    _check(engine.dialect, engine.url, asynchronous=True)
    return engine


def _url(text: str, *, asynchronous: bool) -> URL:
    try:
        url = make_url(text)
    except (exc.ArgumentError, ValueError):  # which quote the URL, and with it a password
        raise _wrong("a database URL, such as sqlite:///passkeys.db") from None
    _check_place(url)
    driver = _DRIVERS.get((url.drivername, asynchronous))
    return url if driver is None else url.set(drivername=driver)


def _settings(url: URL) -> dict[str, Any]:
    settings = dict(_SETTINGS.get(url.get_backend_name(), {}))
    if url.get_driver_name() == "psycopg":
        settings["connect_args"] = {name: value for name, value in _CONNECT.items() if name not in url.query}
    return settings


@contextmanager
def _explained(url: URL) -> Generator[None]:
    extra = _EXTRAS.get(url.get_backend_name())
    if extra is None:
        raise _wrong("SQLite or PostgreSQL")
    try:
        yield
    except ImportError as error:
        raise _missing(extra, error.name or url.get_driver_name()) from None
    except exc.NoSuchModuleError:
        raise _wrong(f"a driver that SQLAlchemy knows, not {url.get_driver_name()}") from None
    except exc.InvalidRequestError:
        raise _wrong("an asynchronous driver, such as sqlite+aiosqlite or postgresql+psycopg") from None


def _check(dialect: Dialect, url: URL, *, asynchronous: bool) -> None:
    check_dialect(dialect)
    if dialect.is_async and not asynchronous:
        raise _wrong("a synchronous driver; for an asynchronous one there is AsyncSQLRepository")
    _check_place(url)


def _check_place(url: URL) -> None:
    if url.get_backend_name() == "sqlite" and _is_in_memory(url):
        raise _wrong("a file: in memory every connection has a database of its own; MemoryRepository is made for that")


def check_dialect(dialect: Dialect) -> None:
    """Returns only for SQLite and PostgreSQL.

    Raises:
        ConfigurationError: Another database, or one that is too old.
    """
    if dialect.name not in _EXTRAS:
        raise _wrong("SQLite or PostgreSQL")
    version: tuple[int, ...] | None = getattr(dialect.loaded_dbapi, "sqlite_version_info", None)
    if dialect.name == "sqlite" and version is not None and version < _OLDEST_SQLITE:
        raise _wrong("SQLite 3.35 or newer")


def _is_in_memory(url: URL) -> bool:
    name = url.database or ""
    return name in ("", ":memory:") or name.startswith("file::memory:") or url.query.get("mode") == "memory"


def _prepare(engine: Engine) -> None:
    statements = _PREPARATIONS[engine.dialect.name]

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()

    event.listen(engine, "connect", prepare)
    _engines.add(engine)


_engines: Final = WeakSet[Engine]()


def _before_fork() -> None:
    # SQLite believes in a child that it has the locks of the parent, which it has not; so nothing of it may be open.
    for engine in list(_engines):
        if engine.dialect.name == "sqlite" and not engine.dialect.is_async:
            engine.dispose()


def _after_fork_in_child() -> None:
    # Two processes on one socket get each other's answers. It is not closed, as the parent goes on using it.
    for engine in list(_engines):
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


def _wrong(expected: str) -> ConfigurationError:
    return ConfigurationError(f"expected {expected}", path="engine")


def _missing(extra: str, module: str) -> ConfigurationError:
    return ConfigurationError(f'{module} is missing, which the extra "{extra}" installs: passkeycore[{extra}]')
