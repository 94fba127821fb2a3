"""Joining a transaction of the caller's: what goes with it, what lasts all the same, what a cancelled task leaves."""

import asyncio
import gc
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from passkeycore import ConfigurationError, CredentialExists
from passkeycore.actions import ActionState
from passkeycore.engine.actions.service import ActionService
from passkeycore.engine.devices.records import DeviceCredential
from passkeycore.engine.devices.service import DeviceService
from passkeycore.engine.records import EventFilter
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.testing import SoftwareDevice
from passkeycore.testing.contract.samples import BEGUN, ceremony, passkey, realm, user
from passkeycore.testing.contract.samples import event as an_event
from passkeycore.tokens import Tokens
from tests.sql import DATABASES, engine_of, opened, registered, url_of

TOKENS = Tokens([b"for tests only: nothing that this signs leaves them"])


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return url_of(request, request.param)


@pytest.fixture
def repository(url: str) -> Iterator[SQLRepository]:
    with opened(url) as repository:
        yield repository


def test_what_joins_a_transaction_goes_with_it_but_challenges_stay_spent(repository: SQLRepository, url: str) -> None:
    owner = repository.get_or_create_user(user(realm()))
    begun = ceremony(owner.realm)
    assert repository.add_ceremony(begun)
    with engine_of(url) as engine, engine.connect() as connection:
        joining = repository.joining(connection)
        assert joining.take_ceremony(owner.realm, begun.state.challenge) == begun
        assert joining.spend(owner.realm, bytes(32), BEGUN)
        assert joining.add_passkey(passkey(owner), 5, None, an_event(owner.realm)) == "added"
        assert joining.rename_user(owner.realm, owner.user_id, "other", "", None)
        account = joining.find_account(owner.realm, owner.user_id)
        assert account is not None
        assert len(account.passkeys) == 1
        connection.rollback()
    account = repository.find_account(owner.realm, owner.user_id)
    assert account is not None
    assert account.passkeys == ()
    assert account.user == owner
    assert repository.list_events(owner.realm, EventFilter(), None, 10).events == ()
    assert repository.take_ceremony(owner.realm, begun.state.challenge) is None
    assert repository.spend(owner.realm, bytes(32), BEGUN) is False


def test_what_joins_a_transaction_lasts_with_it(repository: SQLRepository, url: str) -> None:
    owner = repository.get_or_create_user(user(realm()))
    with engine_of(url) as engine, engine.begin() as connection:
        joining = repository.joining(connection)
        assert joining.rename_user(owner.realm, owner.user_id, "other", "", None)
        assert joining.add_passkey(passkey(owner), 5, None, an_event(owner.realm)) == "added"
    account = repository.find_account(owner.realm, owner.user_id)
    assert account is not None
    assert (account.user.name, len(account.passkeys)) == ("other", 1)


def test_what_was_refused_undoes_itself_and_not_the_transaction_it_joins(repository: SQLRepository, url: str) -> None:
    owner, first = registered(repository)
    stranger = user(owner.realm)
    with engine_of(url) as engine, engine.begin() as connection:
        joining = repository.joining(connection)
        assert joining.rename_user(owner.realm, owner.user_id, "other", "", None)
        taken = passkey(stranger, credential_id=first.credential_id)
        assert joining.add_passkey(taken, 5, stranger, None) == "credential_exists"
    assert repository.find_account(owner.realm, stranger.user_id) is None
    account = repository.find_account(owner.realm, owner.user_id)
    assert account is not None
    assert account.user.name == "other"


def test_there_must_be_a_transaction_to_join(repository: SQLRepository, url: str) -> None:
    with (
        engine_of(url) as engine,
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(ConfigurationError, match="no transaction"),
    ):
        repository.joining(connection)


def test_asynchronous_repositories_join_as_well(url: str) -> None:
    async def use() -> None:
        repository = AsyncSQLRepository(url, create=True)
        engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
        owner = await repository.get_or_create_user(user(realm()))
        begun = ceremony(owner.realm)
        assert await repository.add_ceremony(begun)
        async with engine.connect() as connection:
            joining = repository.joining(connection)
            assert await joining.take_ceremony(owner.realm, begun.state.challenge) == begun
            assert await joining.add_passkey(passkey(owner), 5, None, an_event(owner.realm)) == "added"
            await connection.rollback()
        account = await repository.find_account(owner.realm, owner.user_id)
        assert account is not None
        assert account.passkeys == ()
        assert await repository.take_ceremony(owner.realm, begun.state.challenge) is None
        await engine.dispose()
        await repository.close()

    asyncio.run(use())


def test_what_is_reported_by_itself_survives_a_rollback_where_there_are_many_writers(
    repository: SQLRepository, url: str
) -> None:
    """A failure that nobody hears of would be no audit; events of changes go with their changes, in both databases."""
    owner = repository.get_or_create_user(user(realm()))
    failure = an_event(owner.realm)
    with engine_of(url) as engine, engine.connect() as connection:
        joining = repository.joining(connection)
        assert joining.rename_user(owner.realm, owner.user_id, "other", "", an_event(owner.realm))
        joining.add_event(failure)
        assert failure in joining.list_events(owner.realm, EventFilter(), None, 10).events
        connection.rollback()
    kept = repository.list_events(owner.realm, EventFilter(), None, 10).events
    assert kept == ((failure,) if url.startswith("postgresql") else ())


def test_asynchronous_reports_survive_a_rollback_too(postgres: str) -> None:
    async def use() -> None:
        repository = AsyncSQLRepository(postgres, create=True)
        engine = create_async_engine(postgres)
        failure = an_event(realm())
        async with engine.connect() as connection:
            await repository.joining(connection).add_event(failure)
            await connection.rollback()
        assert (await repository.list_events(failure.realm, EventFilter(), None, 10)).events == (failure,)
        await engine.dispose()
        await repository.close()

    asyncio.run(use())


def test_cancelled_operations_leave_no_lock_behind_in_a_transaction_that_they_joined(tmp_path: Path) -> None:
    """Wherever a task is cancelled, its transaction is rolled back, and somebody else writes without waiting."""
    path = tmp_path / "passkeys.db"

    async def use() -> None:
        repository = AsyncSQLRepository(f"sqlite:///{path}", create=True)
        owner = await repository.get_or_create_user(user(realm()))
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

        async def change(connection: AsyncConnection) -> None:
            async with connection.begin():
                joining = repository.joining(connection)
                while True:  # until cancelled
                    await joining.add_passkey(passkey(owner), 999, None, an_event(owner.realm))
                    await joining.rename_user(owner.realm, owner.user_id, "other", "", None)

        random = Random(7)  # noqa: S311 - where a task is cancelled, the same in every run
        kept: list[object] = []  # an exception keeps the cursors of its traceback alive
        for _ in range(60):
            # Opened here: the thread of a connection whose opening is cancelled ends when it likes, after the loop too.
            async with engine.connect() as connection:
                task = asyncio.create_task(change(connection))
                await asyncio.sleep(0.002 + random.random() * 0.004)
                task.cancel()
                kept += await asyncio.gather(task, return_exceptions=True)
            with sqlite3.connect(path, timeout=0, isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
            other.close()
        account = await repository.find_account(owner.realm, owner.user_id)
        assert account is not None
        assert (account.user, account.passkeys) == (owner, ())
        assert {type(each) for each in kept} == {asyncio.CancelledError}
        await engine.dispose()
        await repository.close()

    gc.disable()  # it would close what was left open
    try:
        asyncio.run(use())
    finally:
        gc.enable()


def test_a_cancellation_waits_for_an_operation_that_joined_and_for_nothing_else(tmp_path: Path) -> None:
    """However often a task is cancelled, it ends cancelled, and after the operation."""

    async def use() -> None:
        repository = AsyncSQLRepository(f"sqlite:///{tmp_path / 'passkeys.db'}", create=True)
        owner = await repository.get_or_create_user(user(realm()))
        engine = create_async_engine(str(repository._engine.url))
        async with engine.connect() as connection:
            joining = repository.joining(connection)
            task = asyncio.create_task(joining.add_passkey(passkey(owner), 5, None, None))
            for _ in range(3):
                await asyncio.sleep(0)
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            account = await joining.find_account(owner.realm, owner.user_id)
            assert account is not None
            assert len(account.passkeys) == 1
            await connection.rollback()
        await engine.dispose()
        await repository.close()

    asyncio.run(use())


@pytest.mark.parametrize("by", ["device", "action"])
@pytest.mark.parametrize("committed", [True, False])
def test_a_device_is_enrolled_within_a_transaction_and_its_token_counts_once(
    repository: SQLRepository, url: str, by: str, committed: bool
) -> None:
    """The token is spent beside the transaction, before anything is written in it, so that SQLite needs no two writers.

    Neither a rollback nor the device's removal makes it good again.
    """
    devices = DeviceService(repository, domain="example.com", tokens=TOKENS, realm=realm())
    actions = ActionService(repository, tokens=TOKENS, devices=devices)
    phone = SoftwareDevice("phone", domain="example.com")
    if by == "device":
        token = devices.start_enrolment("ada", user_name="Ada").token
    else:
        token = actions.track("ada", "add", scope=["add:authenticators"]).token

    def enrol(within: SQLRepository) -> DeviceCredential:
        named: dict[str, Any] = {"method": "push", "name": "Phone", "platform": "ios"}
        named |= {"public_key": phone.public_key, "signature": phone.enrol(token)}
        if by == "device":
            return devices.using(within).enrol_device(token, **named)
        return actions.using(within).enrol_device(token, user_name="Ada", **named)

    with engine_of(url) as engine, engine.connect() as connection:
        joining = repository.joining(connection)
        enrolled = enrol(joining)
        assert joining.list_devices(enrolled.realm, "ada") == (enrolled,)
        if committed:
            connection.commit()
        else:
            connection.rollback()
    assert repository.list_devices(enrolled.realm, "ada") == ((enrolled,) if committed else ())
    if committed:
        devices.remove_device("ada", enrolled.authenticator_id)
    with engine_of(url) as engine, engine.connect() as connection, pytest.raises(CredentialExists):
        enrol(repository.joining(connection))
    assert repository.list_devices(enrolled.realm, "ada") == ()


def test_attempts_in_one_transaction_all_count(repository: SQLRepository, url: str) -> None:
    """Also where it goes on seeing the action as it was when it began; and a rollback gives none of them back."""
    isolation = {} if url.startswith("sqlite") else {"isolation_level": "REPEATABLE READ"}
    devices = DeviceService(repository, domain="example.com", tokens=TOKENS, realm=realm())
    actions = ActionService(repository, tokens=TOKENS, devices=devices, max_attempts=3)
    tracked = actions.track("ada", "transfer")
    states: list[ActionState] = []
    with engine_of(url, **isolation) as engine, engine.connect() as connection:
        joining = actions.using(repository.joining(connection))
        joining.get_action("ada", "transfer", tracked.idempotency_key)  # the snapshot
        for _ in range(3):
            joining.cancel_challenge(tracked.token)
            states.append(actions.get_action("ada", "transfer", tracked.idempotency_key).state)
        connection.rollback()
    action = actions.get_action("ada", "transfer", tracked.idempotency_key)
    assert action.attempts == 3
    assert states == [ActionState.CHALLENGE_REQUIRED] * 2 + [ActionState.CHALLENGE_FAILED]
