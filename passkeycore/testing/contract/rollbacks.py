"""Rules for a repository that joins a transaction of the caller's: what a rollback undoes, and what it must not."""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from secrets import token_bytes
from typing import Any, Protocol

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.engine.devices.repository import AsyncDeviceRepository
from passkeycore.engine.records import EventFilter, EventPage, EventType
from passkeycore.engine.repository import AsyncPasskeyRepository, AsyncRepository, AsyncSpentRepository
from passkeycore.engine.webhooks.repository import AsyncOutboxRepository
from passkeycore.testing.contract.actions.events import AsyncRecordedActions
from passkeycore.testing.contract.actions.samples import action, later, named
from passkeycore.testing.contract.devices.events import AsyncRecordedDevices
from passkeycore.testing.contract.devices.samples import answered, challenge, changed, device, owned
from passkeycore.testing.contract.harness import Undone, demand, expect, rollback
from passkeycore.testing.contract.outbox import emptied
from passkeycore.testing.contract.samples import BEGUN, NOW, ceremony, event, passkey, realm, update, user


class AsyncPasskeyOutbox(AsyncPasskeyRepository, AsyncOutboxRepository, Protocol):
    """Passkeys, and events of what happens to them that wait for their delivery."""


class RollbackContract(ABC):
    """What a `Repository` must do that joins a transaction of the caller's, synchronous or asynchronous.

    Say how that is done:

        @contextmanager
        def rolled_back(self, repository):
            with database.connect() as connection, connection.begin() as transaction:
                yield repository.joining(connection)
                transaction.rollback()
    """

    @abstractmethod
    def rolled_back(self, repository: Any, /) -> AbstractContextManager[object] | AbstractAsyncContextManager[object]:
        """`repository` within a transaction that is rolled back at the end, as a context manager of its colour."""

    @rollback
    async def test_a_taken_challenge_stays_taken(
        self, repository: AsyncRepository, undone: Undone[AsyncRepository]
    ) -> None:
        """A ceremony that was taken is gone after the caller's rollback, as is what was stored because of it."""
        owner = await repository.get_or_create_user(user(realm()))
        kept, stored = ceremony(owner.realm), passkey(owner)
        await repository.add_ceremony(kept)
        async with undone() as joined:
            expect(await joined.take_ceremony(owner.realm, kept.state.challenge), kept, "the ceremony")
            expect(await joined.add_passkey(stored, 5, None, None), "added")
        expect(await repository.take_ceremony(owner.realm, kept.state.challenge), None, "the ceremony taken before")
        expect(await repository.find_passkey(owner.realm, stored.credential_id), None, "the passkey rolled back")

    @rollback
    async def test_a_rollback_undoes_every_change(
        self, repository: AsyncRepository, undone: Undone[AsyncRepository]
    ) -> None:
        """Within the transaction changes answer as ever; after the rollback user and passkeys are as before."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        kept, second, new = passkey(owner), passkey(owner), user(of)
        expect(await repository.add_passkey(kept, 5, None, None), "added")
        before = await repository.find_account(of, owner.user_id)
        async with undone() as joined:
            expect(await joined.advance_passkey(of, update(kept), NOW, None), True)
            expect(await joined.rename_passkey(of, owner.user_id, kept.credential_id, "renamed", None), True)
            expect(await joined.confirm_user_verification(of, owner.user_id, kept.credential_id, None), True)
            expect(await joined.rename_user(of, owner.user_id, "renamed", "", None), True)
            expect(await joined.add_passkey(second, 5, None, None), "added")
            expect(await joined.add_passkey(passkey(owner), 2, None, None), "limit_reached")
            expect(await joined.add_passkey(kept, 5, None, None), "credential_exists")
            expect(await joined.add_passkey(passkey(new), 5, new, None), "added")
            expect(await joined.remove_passkeys(of, owner.user_id, None), 2)
            expect(await joined.remove_user(of, owner.user_id, None), True)
            expect(await joined.find_account(of, owner.user_id), None, "the account within the transaction")
        expect(await repository.find_account(of, owner.user_id), before, "the account after the rollback")
        expect(await repository.find_passkey(of, kept.credential_id), (kept, owner), "the passkey after the rollback")
        expect(await repository.find_passkey(of, second.credential_id), None, "the passkey rolled back")
        expect(await repository.find_account(of, new.user_id), None, "the user rolled back")


class SpentRollbackContract(RollbackContract):
    """`RollbackContract` for a repository that is a `SpentRepository`, too."""

    @rollback
    async def test_a_spent_key_stays_spent(
        self, repository: AsyncSpentRepository, undone: Undone[AsyncSpentRepository]
    ) -> None:
        """A key that was spent is spent after the caller's rollback, too."""
        of, key = realm(), token_bytes(32)
        async with undone() as joined:
            expect(await joined.spend(of, key, BEGUN), True)
            expect(await joined.spend(of, key, BEGUN), False, "the answer within the transaction")
        expect(await repository.spend(of, key, BEGUN), False, "the answer after the rollback")


class DeviceRollbackContract(RollbackContract):
    """`RollbackContract` for a repository that is a `DeviceRepository`, too."""

    @rollback
    async def test_an_answered_challenge_stays_answered(
        self, repository: AsyncDeviceRepository, undone: Undone[AsyncDeviceRepository]
    ) -> None:
        """Challenges that were added and answered, and what answered them, are as they became after the rollback."""
        owner, used = await owned(repository, realm())
        of, asked, added = owner.realm, challenge(owner.realm), challenge(owner.realm)
        late = device(owner)
        await repository.add_device_challenge(asked, None)
        async with undone() as joined:
            expect(await joined.add_device_challenge(added, None), True)
            expect(await joined.replace_device_challenge(answered(asked), changed(used), None), True)
            expect(
                await joined.replace_device_challenge(answered(asked), changed(used), None), False, "the second time"
            )
            found = await joined.find_device_challenge(of, asked.challenge_id)
            expect(found, answered(asked), "the challenge within the transaction")
            expect(await joined.add_device(late, 5, None), "added")
        expect(
            await repository.find_device_challenge(of, asked.challenge_id), answered(asked), "the challenge answered"
        )
        expect(await repository.find_device_challenge(of, added.challenge_id), added, "the challenge added")
        expect(await repository.list_devices(of, owner.user_id), (changed(used),), "the devices")

    @rollback
    async def test_a_rollback_undoes_every_change_of_a_device(
        self, repository: AsyncDeviceRepository, undone: Undone[AsyncDeviceRepository]
    ) -> None:
        """Within the transaction changes answer as ever; after the rollback devices are as before."""
        owner, kept = await owned(repository, realm())
        of, second = owner.realm, device(owner)
        async with undone() as joined:
            expect(await joined.replace_device(changed(kept, name="renamed"), None), True)
            expect(await joined.replace_device(changed(kept), None), False, "the answer the second time")
            expect(await joined.add_device(second, 5, None), "added")
            expect(await joined.add_device(device(owner), 2, None), "limit_reached")
            expect(await joined.add_device(device(owner, public_key=kept.public_key), 5, None), "credential_exists")
            expect(await joined.remove_device(of, owner.user_id, kept.authenticator_id, None), True)
            expect(await joined.list_devices(of, owner.user_id), (second,), "the devices within the transaction")
            expect(await joined.remove_user(of, owner.user_id, None), True)
            expect(await joined.list_devices(of, owner.user_id), (), "the devices of the removed user")
        expect(await repository.list_devices(of, owner.user_id), (kept,), "the devices after the rollback")
        found = await repository.find_device(of, kept.method, kept.public_key)
        expect(found, (kept, owner), "the device after the rollback")
        found = await repository.find_device(of, second.method, second.public_key)
        expect(found, None, "the device rolled back")


class DeviceEventRollbackContract(DeviceRollbackContract):
    """`DeviceRollbackContract` for a repository that is an `EventRepository`, too."""

    @rollback
    async def test_the_events_of_a_challenge_outlast_a_rollback(
        self, repository: AsyncRecordedDevices, undone: Undone[AsyncRecordedDevices]
    ) -> None:
        """The event of a challenge, and of its answer, stays with it; that of a device goes with its change."""
        owner, used = await owned(repository, realm())
        of, asked = owner.realm, challenge(owner.realm)
        kinds = (EventType.DEVICE_CHALLENGE_STARTED, *[EventType.DEVICE_UPDATED] * 3)
        added, answer, alone, renamed = (event(of, kind) for kind in kinds)
        async with undone() as joined:
            expect(await joined.add_device_challenge(asked, added), True)
            expect(await joined.replace_device_challenge(answered(asked), changed(used), answer), True)
            expect(await joined.replace_device_challenge(answered(answered(asked)), None, alone), True)
            again = changed(changed(used), name="renamed")
            expect(await joined.replace_device(again, renamed), True)
        page = await repository.list_events(of, EventFilter(), None, 9)
        expect(page, EventPage(events=(alone, answer, added)), "the events")


class ActionRollbackContract(RollbackContract):
    """`RollbackContract` for a repository that is an `ActionRepository`, too."""

    @rollback
    async def test_a_rollback_undoes_every_change_of_an_action(
        self, repository: AsyncActionRepository, undone: Undone[AsyncActionRepository]
    ) -> None:
        """Within the transaction changes answer as ever; after the rollback actions are as before."""
        kept = action(realm())
        new = action(kept.realm)
        await repository.add_action(kept, None)
        async with undone() as joined:
            moved = later(kept, state=ActionState.CHALLENGE_SUCCEEDED)
            expect(await joined.replace_action(moved, None), True)
            expect(await joined.replace_action(moved, None), False, "the answer the second time")
            expect(await joined.add_action(kept, None), moved, "the action within the transaction")
            expect(await joined.add_action(new, None), new, "the new action")
        expect(await repository.find_action(*named(kept)), kept, "the action after the rollback")
        expect(await repository.find_action(*named(new)), None, "the action rolled back")

    @rollback
    async def test_a_failure_outlasts_a_rollback(
        self, repository: AsyncActionRepository, undone: Undone[AsyncActionRepository]
    ) -> None:
        """Failures that were recorded stay, each of them; and a later change of the same action is undone.

        Who read the action before is told of the failure that came first, and goes on from there.
        """
        kept, none = action(realm()), action(realm())
        await repository.add_action(kept, None)
        first = later(kept, attempts=1)
        async with undone() as joined:
            answer = await joined.record_failure(first, None)
            demand(answer is first, "the answer to a failure that was recorded is another object")
            expect(await joined.record_failure(later(kept, attempts=1), None), first, "the answer the second time")
            second = later(first, attempts=2)
            answer = await joined.record_failure(second, None)
            demand(answer is second, "the answer to the second failure is another object")
            expect(await joined.record_failure(later(none), None), None, "the answer where there is no action")
            moved = later(second, state=ActionState.CHALLENGE_SUCCEEDED)
            expect(await joined.replace_action(moved, None), True)
            expect(await joined.find_action(*named(kept)), moved, "the action within the transaction")
        expect(await repository.find_action(*named(kept)), second, "the action after the rollback")


class ActionEventRollbackContract(ActionRollbackContract):
    """`ActionRollbackContract` for a repository that is an `EventRepository`, too."""

    @rollback
    async def test_the_event_of_a_failure_outlasts_a_rollback(
        self, repository: AsyncRecordedActions, undone: Undone[AsyncRecordedActions]
    ) -> None:
        """The event of a failure that was recorded stays with it; that of another change goes."""
        kept = action(realm())
        await repository.add_action(kept, None)
        failed = later(kept, attempts=1)
        lasts, goes = (event(kept.realm, EventType.ACTION_UPDATED) for _ in range(2))
        async with undone() as joined:
            answer = await joined.record_failure(failed, lasts)
            demand(answer is failed, "the answer to a failure that was recorded is another object")
            expect(await joined.replace_action(later(failed), goes), True)
        page = await repository.list_events(kept.realm, EventFilter(), None, 9)
        expect(page, EventPage(events=(lasts,)), "the events")


class OutboxRollbackContract(RollbackContract):
    """`RollbackContract` for a repository that is an `OutboxRepository`, too."""

    @rollback
    async def test_an_event_waits_only_when_it_is_stored(
        self, repository: AsyncPasskeyOutbox, undone: Undone[AsyncPasskeyOutbox]
    ) -> None:
        """The event of a change that is rolled back does not wait."""
        await emptied(repository)
        owner = await repository.get_or_create_user(user(realm()))
        noted = event(owner.realm, user_id=owner.user_id)
        async with undone() as joined:
            expect(await joined.rename_user(owner.realm, owner.user_id, "renamed", "", noted), True)
        expect(await repository.take_deliveries(NOW, NOW, 9), (), "the deliveries")
