"""The contract of what a server keeps of tenants, over every storage that we ship; and that it finds mistakes."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.testing.contract import ContractError, TenancyContract, TenancyEventContract
from tests.broken_repositories.tenancy import MISTAKES


class Whole(TenancyContract, TenancyEventContract):
    """All of it."""


class TestMemory(Whole):
    @pytest.fixture
    def repository(self) -> MemoryRepository:
        return MemoryRepository()


class TestAsyncMemory(Whole):
    @pytest.fixture
    def repository(self) -> AsyncMemoryRepository:
        return AsyncMemoryRepository()


class TestSQLite(Whole):
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Iterator[SQLRepository]:
        yield from opened(f"sqlite:///{tmp_path}/passkeys.db")


class TestAsyncSQLite(Whole):
    @pytest.fixture
    def repository(self, tmp_path: Path) -> AbstractAsyncContextManager[AsyncSQLRepository]:
        return async_opened(f"sqlite+aiosqlite:///{tmp_path}/passkeys.db")


class TestPostgres(Whole):
    @pytest.fixture
    def repository(self, postgres: str) -> Iterator[SQLRepository]:
        yield from opened(postgres)


class TestAsyncPostgres(Whole):
    @pytest.fixture
    def repository(self, postgres: str) -> AbstractAsyncContextManager[AsyncSQLRepository]:
        return async_opened(postgres)


def opened(url: str) -> Iterator[SQLRepository]:
    repository = SQLRepository(url, create=True)
    yield repository
    repository.close()


@asynccontextmanager
async def async_opened(url: str) -> AsyncGenerator[AsyncSQLRepository]:
    repository = AsyncSQLRepository(url, create=True)
    try:
        yield repository
    finally:
        await repository.close()


@pytest.mark.parametrize(("rule", "factory"), MISTAKES)
def test_the_contract_finds(rule: str, factory: Callable[[], object]) -> None:
    """The rule fails for the broken repository, and passes for the one it was made from."""
    judge = getattr(Whole(), f"test_{rule}")
    with pytest.raises(ContractError):
        judge(factory())
    judge(MemoryRepository())


def test_every_rule_finds_a_mistake() -> None:
    """No rule is without a repository that breaks it."""
    rules = {name.removeprefix("test_") for name in dir(Whole) if name.startswith("test_")}
    assert {rule for rule, _ in MISTAKES} == rules
