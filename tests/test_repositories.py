"""The contract of repositories over every storage that we ship, in both colours, on real servers.

What is specific to one storage is in the tests of its own.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from passkeycore.repositories.redis import AsyncRedisCeremonies, RedisCeremonies
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.repositories.threads import InThreads
from passkeycore.testing.contract import (
    ActionContract,
    ActionEventContract,
    ActionEventRollbackContract,
    CeremonyContract,
    DeviceContract,
    DeviceEventContract,
    DeviceEventRollbackContract,
    EventContract,
    OutboxContract,
    OutboxRollbackContract,
    PasskeyContract,
    SpentContract,
    SpentRollbackContract,
    TenancyEventContract,
)
from tests.sql import AsyncJoined, Joined


class Whole(
    CeremonyContract,
    PasskeyContract,
    EventContract,
    SpentContract,
    DeviceContract,
    DeviceEventContract,
    ActionContract,
    ActionEventContract,
    OutboxContract,
):
    """Everything in one place."""


class Undoing(SpentRollbackContract, DeviceEventRollbackContract, ActionEventRollbackContract, OutboxRollbackContract):
    """All of it within a transaction of the caller's."""


class Joining(Joined, Undoing):
    """Over transactions of an engine of the caller's, as ours is in autocommit mode."""


class AsyncJoining(AsyncJoined, Undoing):
    """The same for asyncio."""


class Expiring(CeremonyContract, SpentContract):
    """What expires."""


class TestSQLite(Whole, Joining):
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Iterator[SQLRepository]:
        repository = SQLRepository(f"sqlite:///{tmp_path}/passkeys.db", create=True, outbox=True)
        yield repository
        repository.close()


class TestAsyncSQLite(Whole, AsyncJoining):
    @pytest.fixture
    def repository(self, tmp_path: Path) -> AbstractAsyncContextManager[AsyncSQLRepository]:
        return _opened(f"sqlite+aiosqlite:///{tmp_path}/passkeys.db")


class TestPostgres(Whole, Joining):
    @pytest.fixture
    def repository(self, postgres: str) -> Iterator[SQLRepository]:
        repository = SQLRepository(postgres, create=True, outbox=True)
        yield repository
        repository.close()


class TestAsyncPostgres(Whole, AsyncJoining):
    @pytest.fixture
    def repository(self, postgres: str) -> AbstractAsyncContextManager[AsyncSQLRepository]:
        return _opened(postgres)


class TestInThreads(Whole, TenancyEventContract):
    """Over one database, as it is whatever is within."""

    @pytest.fixture
    def repository(self, tmp_path: Path) -> AbstractAsyncContextManager[InThreads]:
        @asynccontextmanager
        async def opened() -> AsyncGenerator[InThreads]:
            repository = InThreads(SQLRepository(f"sqlite:///{tmp_path}/passkeys.db", create=True, outbox=True))
            yield repository
            await repository.close()

        return opened()


class TestRedis(Expiring):
    @pytest.fixture
    def repository(self, redis_url: str) -> Iterator[RedisCeremonies]:
        repository = RedisCeremonies(redis_url)
        yield repository
        repository.close()


class TestAsyncRedis(Expiring):
    @pytest.fixture
    def repository(self, redis_url: str) -> AbstractAsyncContextManager[AsyncRedisCeremonies]:
        @asynccontextmanager
        async def opened() -> AsyncGenerator[AsyncRedisCeremonies]:
            repository = AsyncRedisCeremonies(redis_url)
            try:
                yield repository
            finally:
                await repository.close()

        return opened()


@asynccontextmanager
async def _opened(url: str) -> AsyncGenerator[AsyncSQLRepository]:
    repository = AsyncSQLRepository(url, create=True, outbox=True)
    try:
        yield repository
    finally:
        await repository.close()
