"""A synchronous repository in threads, for asyncio; that it keeps every contract is in `test_repositories`."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from passkeycore import RelyingParty
from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.engine.devices.repository import AsyncDeviceRepository
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.engine.repository import AsyncEventRepository, AsyncRepository, AsyncSpentRepository
from passkeycore.engine.tenancy.repository import AsyncTenancyRepository
from passkeycore.engine.webhooks.repository import AsyncOutboxRepository
from passkeycore.errors import ConfigurationError
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.sql import SQLRepository
from passkeycore.repositories.threads import InThreads
from passkeycore.testing.contract.samples import user

RP = RelyingParty(id="example.org", origins=["https://example.org"])


class Slow(MemoryRepository):
    """Waits in one method until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.done = threading.Event()

    def find_account(self, realm: str, user_id: str, /) -> Any:
        self.begun.set()
        self.go_on.wait(30)
        self.done.set()
        return super().find_account(realm, user_id)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_it_has_the_protocols_of_asyncio(tmp_path: Path) -> None:
    """The type checkers read this; a comment that is not needed would be an error of theirs."""
    repository = InThreads(SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}"))
    _passkeys: AsyncRepository = repository
    _events: AsyncEventRepository = repository
    _spent: AsyncSpentRepository = repository
    _devices: AsyncDeviceRepository = repository
    _actions: AsyncActionRepository = repository
    _outbox: AsyncOutboxRepository = repository
    _tenancy: AsyncTenancyRepository = repository
    assert not repository.keeps_outbox
    assert InThreads(SQLRepository(f"sqlite:///{tmp_path / 'other.db'}", outbox=True)).keeps_outbox


def test_a_service_is_over_it() -> None:
    async def main() -> None:
        repository = InThreads(MemoryRepository())
        service = AsyncPasskeyService(RP, repository)
        assert (await service.get_or_create_user("ada", "ada")).user_id == "ada"
        assert await service.list_passkeys("ada") == ()
        await repository.close()

    run(main())
    with pytest.raises(ConfigurationError, match="asynchronous"):
        PasskeyService(RP, InThreads(MemoryRepository())).list_passkeys("ada")  # type: ignore[arg-type]


def test_what_the_repository_has_not_is_missed_at_once() -> None:
    class Few:
        def take_ceremony(self, realm: str, challenge: bytes, /) -> None:
            return None

    with pytest.raises(ConfigurationError, match="has no method"):
        AsyncPasskeyService(RP, InThreads(Few()))


def test_the_loop_goes_on_meanwhile() -> None:
    async def main() -> None:
        slow = Slow()
        repository = InThreads(slow, threads=2)
        asked = asyncio.create_task(repository.find_account("", "ada"))
        await asyncio.to_thread(slow.begun.wait, 30)
        assert await repository.get_or_create_user(user("r"))
        assert not asked.done()
        slow.go_on.set()
        assert await asked is None
        await repository.close()

    run(main())


def test_what_is_cancelled_goes_on_to_its_end_and_closing_waits_for_it() -> None:
    async def main() -> None:
        slow = Slow()
        repository = InThreads(slow)
        asked = asyncio.create_task(repository.find_account("", "ada"))
        await asyncio.to_thread(slow.begun.wait, 30)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        closing = asyncio.create_task(repository.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        assert not slow.done.is_set()
        slow.go_on.set()
        await closing
        assert slow.done.is_set()

    run(main())


def test_an_error_comes_through() -> None:
    class Broken(MemoryRepository):
        def find_account(self, realm: str, user_id: str, /) -> Any:
            raise OSError("the disk")

    async def main() -> None:
        repository = InThreads(Broken())
        with pytest.raises(OSError, match="the disk"):
            await repository.find_account("", "ada")
        await repository.close()

    run(main())


@pytest.mark.parametrize("threads", [0, -1, 101, "1", None, 1.5])
def test_so_many_threads_there_cannot_be(threads: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        InThreads(MemoryRepository(), threads=threads)
    assert caught.value.path == "threads"
