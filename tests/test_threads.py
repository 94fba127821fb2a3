"""A synchronous repository in threads, for asyncio; that it keeps every contract is in `test_repositories`."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from passkeycore import CredentialNotFound, RelyingParty, TokenError
from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.engine.actions.service import AsyncActionService
from passkeycore.engine.devices.repository import AsyncDeviceRepository
from passkeycore.engine.devices.service import AsyncDeviceService
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.engine.repository import AsyncEventRepository, AsyncRepository, AsyncSpentRepository
from passkeycore.engine.run import is_within
from passkeycore.engine.tenancy.repository import AsyncTenancyRepository
from passkeycore.engine.webhooks.repository import AsyncOutboxRepository
from passkeycore.errors import ConfigurationError
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.repositories.sql import SQLRepository
from passkeycore.repositories.threads import InThreads
from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from passkeycore.testing.contract.samples import user
from passkeycore.tokens import Tokens

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


class Counted(ThreadPoolExecutor):
    """Counts the trips to its threads."""

    trips = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        self.trips += 1
        return super().submit(*args, **kwargs)


def services(
    repository: InThreads, ceremonies: Any = None
) -> tuple[AsyncPasskeyService, AsyncDeviceService, AsyncActionService]:
    tokens = Tokens(["a secret of the tests, 32 bytes or more"])
    passkeys = AsyncPasskeyService(RP, repository, ceremonies=ceremonies, tokens=tokens, store_events=True)
    devices = AsyncDeviceService(repository, domain="example.org", tokens=tokens, store_events=True)
    return passkeys, devices, AsyncActionService(repository, tokens=tokens, passkeys=passkeys, devices=devices)


async def sign_in(passkeys: AsyncPasskeyService, actions: AsyncActionService) -> None:
    """Ada makes a passkey and signs in, and it is proven."""
    client = VirtualClient(SoftwareAuthenticator("ada"), "https://example.org")
    start = await passkeys.start_registration(user_id="ada", user_name="ada@example.org")
    await passkeys.finish_registration(client.create(start.to_dict()), user_id="ada")
    begun = await actions.start_passkey_sign_in("sign-in", binding="session")
    met = await actions.finish_passkey_sign_in("sign-in", client.get(begun.to_dict()), binding="session")
    assert (await actions.validate_challenge(met.token, user_id="ada", action="sign-in")).user_id == "ada"


def test_a_flow_takes_one_trip_as_a_whole(tmp_path: Path) -> None:
    async def main() -> None:
        repository = InThreads(SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True), threads=1)
        counted = Counted(1)
        repository.threads = repository.flow_threads = counted
        passkeys, devices, actions = services(repository)
        assert passkeys.flow_threads is devices.flow_threads is actions.flow_threads is counted
        await sign_in(passkeys, actions)
        assert counted.trips == 5
        await repository.find_account("", "ada")
        assert counted.trips == 6
        await repository.close()

    run(main())


@pytest.mark.parametrize("elsewhere", ["the loop", "other threads"])
def test_where_something_is_kept_elsewhere_each_method_takes_its_own(tmp_path: Path, elsewhere: str) -> None:
    async def main() -> None:
        repository = InThreads(SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True))
        other = AsyncMemoryRepository() if elsewhere == "the loop" else InThreads(MemoryRepository())
        passkeys, devices, actions = services(repository, other)
        assert (passkeys.flow_threads, actions.flow_threads) == (None, None)
        assert devices.flow_threads is repository.threads
        await sign_in(passkeys, actions)
        await repository.close()

    run(main())


def test_so_it_does_over_another_repository_for_once(tmp_path: Path) -> None:
    async def main() -> None:
        database = SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True)
        repository = InThreads(database)
        passkeys, devices, actions = services(repository)
        others = passkeys.using(repository), devices.using(repository), actions.using(repository)
        assert [one.flow_threads for one in others] == [None, None, None]
        await sign_in(others[0], others[2])
        await repository.close()

    run(main())


def test_a_refusal_comes_through_and_leaves_the_thread_as_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        repository = InThreads(SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True), threads=1)
        passkeys, _, actions = services(repository)
        for _ in range(2):
            with pytest.raises(TokenError):
                await actions.validate_challenge("x")
            with pytest.raises(CredentialNotFound):
                await passkeys.start_authentication(user_id="nobody")
        loop = asyncio.get_running_loop()
        assert not await loop.run_in_executor(repository.threads, is_within, repository.threads)
        await sign_in(passkeys, actions)
        await repository.close()

    run(main())


def test_many_flows_at_once_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    async def main() -> None:
        repository = InThreads(SQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True), threads=2)
        _, _, actions = services(repository)
        tracked = await asyncio.gather(*(actions.track("ada", "pay", idempotency_key=str(n)) for n in range(40)))
        assert len({one.token for one in tracked}) == 40
        await repository.close()

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
