"""Rules for a repository that joins a transaction of the caller's: what a rollback undoes, and what it must not."""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from secrets import token_bytes
from typing import Any

from passkeycore.engine.repository import AsyncRepository, AsyncSpentRepository
from passkeycore.testing.contract.harness import Undone, expect, rollback
from passkeycore.testing.contract.samples import BEGUN, NOW, ceremony, passkey, realm, update, user


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
