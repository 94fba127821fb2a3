"""Where a server keeps things: the database, and a Redis where there is one. Opened, asked for an answer, closed."""

import asyncio
import time
from typing import TYPE_CHECKING, Final

from ..config.server import ServerSettings
from ..errors import ConfigurationError
from ..repositories.sql import AsyncSQLRepository

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from ..engine.repository import AsyncCeremonyRepository

_ANSWER_S: Final = 1.0  # what asks expects a second or two, and asks again
_TIMEOUT_S: Final = 5.0  # as `passkeycore.repositories.redis` has it


class Storage:
    """Database and Redis of a server.

    Attributes:
        repository: Users and all that is theirs, events, tenants' keys and changes.
        ceremonies: Where ceremonies wait; None: in the repository.
        redis: The client, in bytes; None: there is no Redis.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Opens nothing yet.

        Raises:
            ConfigurationError: A URL that is none, or the extra of its driver is not installed.
        """
        wants_outbox = any(table.settings.webhook_url is not None for table in settings.tenants.values())
        self.repository = AsyncSQLRepository(settings.database, create=True, outbox=wants_outbox)
        self._asked: tuple[float, asyncio.Task[bool]] | None = None
        self.redis: Redis | None = None
        self.ceremonies: AsyncCeremonyRepository | None = None
        if settings.redis is not None:
            from ..repositories.redis import AsyncRedisCeremonies

            self.redis = _redis(settings.redis)
            self.ceremonies = AsyncRedisCeremonies(self.redis)

    def keep_outbox(self) -> None:
        """From now on every event that is stored waits for its delivery, too."""
        if not self.repository.keeps_outbox:
            self.repository.context = self.repository.context._replace(outbox=True)

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
        """Closes the connections."""
        if self.redis is not None:
            await self.redis.aclose()
        await self.repository.close()


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
