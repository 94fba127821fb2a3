"""The contract of what a server keeps of tenants, over every storage that we ship; and that it finds mistakes."""

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.testing.contract import ContractError, TenancyContract, TenancyEventContract
from passkeycore.testing.contract.tenancy import TenancyEventRollbackContract
from tests.broken_repositories.tenancy import MISTAKES
from tests.sql import AsyncJoined, Joined


class Whole(TenancyContract, TenancyEventContract):
    """All of it."""


class Undoing(TenancyEventRollbackContract):
    """What concerns tenants of it; the rest is in the tests of each repository."""

    test_a_taken_challenge_stays_taken: Any = None
    test_a_rollback_undoes_every_change: Any = None


class Joining(Joined, Undoing):
    """Over transactions of an engine of the caller's."""


class AsyncJoining(AsyncJoined, Undoing):
    """The same for asyncio."""


class TestMemory(Whole):
    @pytest.fixture
    def repository(self) -> MemoryRepository:
        return MemoryRepository()


class TestAsyncMemory(Whole):
    @pytest.fixture
    def repository(self) -> AsyncMemoryRepository:
        return AsyncMemoryRepository()


class TestSQLite(Whole, Joining):
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Iterator[SQLRepository]:
        yield from opened(f"sqlite:///{tmp_path}/passkeys.db")


class TestAsyncSQLite(Whole, AsyncJoining):
    @pytest.fixture
    def repository(self, tmp_path: Path) -> AbstractAsyncContextManager[AsyncSQLRepository]:
        return async_opened(f"sqlite+aiosqlite:///{tmp_path}/passkeys.db")


class TestPostgres(Whole, Joining):
    @pytest.fixture
    def repository(self, postgres: str) -> Iterator[SQLRepository]:
        yield from opened(postgres)


class TestAsyncPostgres(Whole, AsyncJoining):
    @pytest.fixture
    def repository(self, postgres: str) -> AbstractAsyncContextManager[AsyncSQLRepository]:
        return async_opened(postgres)


class Forgetting:
    """A transaction of some tables in memory, made up: they are as before at its end."""

    def __init__(self, *tables: str) -> None:
        self.tables = tables

    @contextmanager
    def rolled_back(self, repository: MemoryRepository, /) -> Generator[MemoryRepository]:
        before = {table: getattr(repository, table).copy() for table in self.tables}
        yield repository
        for table, rows in before.items():
            setattr(repository, table, rows)


TABLES = ("_server_keys", "_overrides", "_profiles", "_events")


@pytest.mark.parametrize("forgotten", TABLES)
def test_the_contract_finds_what_is_not_undone(forgotten: str) -> None:
    """Where one table does not join the transaction, a rule fails; where all do, none does."""

    class Judge(Forgetting, Undoing):
        pass

    rules = ("a_rollback_undoes_every_change_of_a_tenant", "the_events_of_a_tenant_go_with_its_changes")
    others = [table for table in TABLES if table != forgotten]
    failed: list[str] = []
    for rule in rules:
        getattr(Judge(*TABLES), f"test_{rule}")(MemoryRepository())
        try:
            getattr(Judge(*others), f"test_{rule}")(MemoryRepository())
        except ContractError:
            failed.append(rule)
    assert failed


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
