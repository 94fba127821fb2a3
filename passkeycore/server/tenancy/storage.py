"""Where a server keeps things: the database, and a Redis where there is one. Opened, asked for an answer, closed."""

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ...config.server import ServerSettings
from ...errors import ConfigurationError
from ...repositories.sql import SQLRepository
from ...repositories.threads import InThreads

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from ...engine.repository import AsyncCeremonyRepository

_THREADS: Final = 4  # one that waits for a lock must not stop the others; many more only wait for Python's
_ANSWER_S: Final = 1.0  # what asks expects a second or two, and asks again
_TIMEOUT_S: Final = 5.0  # as `passkeycore.repositories.redis` has it
# In milliseconds. Whoever asked has gone by then; a few statements that wait for ever would stop the process.
_BOUNDS: Final = "-c statement_timeout=30000 -c lock_timeout=10000"
_BOUNDED: Final = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2")  # whose drivers know libpq's options


class Storage:
    """Database and Redis of a server.

    Attributes:
        database: All but what expires, for threads.
        repository: The same for asyncio: users and all that is theirs, events, tenants' keys and changes.
        ceremonies: Where ceremonies wait; None: in the repository.
        redis: The client, in bytes; None: there is no Redis.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Opens nothing yet.

        Raises:
            ConfigurationError: A URL that is none, or the extra of its driver is not installed.
        """
        wants_outbox = any(table.settings.webhook_url is not None for table in settings.tenants.values())
        url = _bounded(synchronous_url(settings))
        self.database = SQLRepository(url, create="on first use", outbox=wants_outbox)
        # Whole methods in threads: half the time of the drivers for asyncio, which change tasks for each statement.
        self.repository = InThreads(self.database, threads=_THREADS)
        self._asked: tuple[float, asyncio.Task[bool]] | None = None
        self.redis: Redis | None = None
        self.ceremonies: AsyncCeremonyRepository | None = None
        if settings.redis is not None:
            from ...repositories.redis import AsyncRedisCeremonies

            self.redis = _redis(settings.redis)
            self.ceremonies = AsyncRedisCeremonies(self.redis)

    def keep_outbox(self) -> None:
        """From now on every event that is stored waits for its delivery, too."""
        if not self.database.keeps_outbox:
            self.database.context = self.database.context._replace(outbox=True)

    async def answers(self) -> bool:
        """Whether all of it answers, within a second. Asked once a second at most, however many want to know."""
        now = time.monotonic()
        if self._asked is None or now - self._asked[0] >= _ANSWER_S:
            self._asked = now, asyncio.create_task(self._answers())
        return await asyncio.shield(self._asked[1])

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self.repository.find_overrides("")
                if self.redis is not None:
                    await self.redis.ping()  # pyright: ignore[reportUnknownMemberType]
        except Exception:  # noqa: BLE001 - whatever a driver has, it does not answer
            return False
        return True

    async def close(self) -> None:
        """Closes the connections, those to the database whatever becomes of those to Redis."""
        try:
            if self.redis is not None:
                await self.redis.aclose()
        finally:
            await self.repository.close()


def synchronous_url(settings: ServerSettings) -> str:
    """The database's URL for a driver that knows no asyncio."""
    return settings.database.replace("sqlite+aiosqlite:", "sqlite:", 1)


def _bounded(text: str) -> str:
    """The URL, in which PostgreSQL is told for how long a statement may take and wait for a lock.

    Bounds of the operator's own count instead: ``options`` in the URL, even without any bounds, or ``PGOPTIONS``.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the repository says so, without quoting it
        return text
    if url.drivername not in _BOUNDED or "options" in url.query or "PGOPTIONS" in os.environ:
        return text
    return url.update_query_dict({"options": _BOUNDS}).render_as_string(hide_password=False)


def _redis(url: str) -> "Redis":
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise ConfigurationError('Redis needs the extra "redis": passkeycore[redis]', path="redis") from None
    # As AsyncRedisCeremonies makes its own: to repeat a command could pass a failure off as "not found".
    client: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url, retry=Retry(NoBackoff(), 0), socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
    )
    return client
