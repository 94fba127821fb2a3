"""Rules for users: who is who, and that a user goes with everything of theirs."""

from datetime import timedelta
from functools import partial
from secrets import token_bytes

import msgspec

from passkeycore.engine.records import Account, User
from passkeycore.engine.repository import AsyncPasskeyRepository
from passkeycore.errors import Code, ConflictError
from passkeycore.testing.contract.harness import Together, expect, race, rule
from passkeycore.testing.contract.samples import CALLERS, NOW, ROUNDS, TEXT, full_user, passkey, realm, user

LOOK_ALIKES = (
    *("ada", "Ada", "ADA", "ada ", " ada", "ada\t", "a%a", "a_a", "ad", "adaa", "0", "00", "0.0", "null", "None"),
    *("o'hara", 'o"hara', "o\\'hara", "\\", "--", "'; --", "stra\u00dfe", "strasse", "\U0001f511", "\U0001f510"),
    *("zo\u00eb", "zoe\u0308", "zoe", "\u0430da", "\uff41da", "ada\u200b", "a" * 200 + "b", "a" * 200 + "c", TEXT),
)
"""Texts that some storage or other takes for the same."""


class UserRules:
    """Part of `PasskeyContract`."""

    @rule
    async def test_a_user_is_created_once(self, repository: AsyncPasskeyRepository) -> None:
        """The first call stores the user; later ones change nothing and give the stored one."""
        of = realm()
        for first in (user(of), full_user(of)):
            other = user(of, user_id=first.user_id, name="other", display_name="other", disabled_at=NOW)
            expect(await repository.find_account(of, first.user_id), None, "the account of nobody")
            expect(await repository.get_or_create_user(first), first, "the new user")
            expect(await repository.get_or_create_user(other), first, "the stored user")
            expect(await repository.find_account(of, first.user_id), Account(user=first), "the account")

    @rule
    async def test_user_ids_that_look_alike_are_different_users(self, repository: AsyncPasskeyRepository) -> None:
        """User ids compare byte for byte: case, spaces, accents and width make other users."""
        of = realm()
        users = [user(of, user_id=user_id) for user_id in LOOK_ALIKES]
        for one in users:
            expect(await repository.get_or_create_user(one), one, f"the user {one.user_id!a}")
        for one in users:
            expect(await repository.find_account(of, one.user_id), Account(user=one), f"the account {one.user_id!a}")
        expect(await repository.remove_user(of, LOOK_ALIKES[0], None), True)
        for one in users[1:]:
            expect(await repository.find_account(of, one.user_id), Account(user=one), f"the account {one.user_id!a}")

    @rule
    async def test_nobody_cannot_be_changed(self, repository: AsyncPasskeyRepository) -> None:
        """Renaming, disabling, enabling and removing answer False for a user who is not there, and create none."""
        of = realm()
        await repository.get_or_create_user(user(of))
        expect(await repository.rename_user(of, "nobody", "name", "display name", None), False)
        expect(await repository.set_user_disabled(of, "nobody", NOW, None), False)
        expect(await repository.set_user_disabled(of, "nobody", None, None), False)
        expect(await repository.remove_user(of, "nobody", None), False)
        expect(await repository.find_account(of, "nobody"), None)

    @rule
    async def test_a_user_is_renamed(self, repository: AsyncPasskeyRepository) -> None:
        """Renaming changes both names of this user and nothing else."""
        of = realm()
        one, other = await _with_passkey(repository, of), await _with_passkey(repository, of)
        expect(await repository.rename_user(of, one.user.user_id, TEXT, "", None), True)
        renamed = msgspec.structs.replace(one.user, name=TEXT, display_name="")
        expect(
            await repository.find_account(of, one.user.user_id),
            Account(user=renamed, passkeys=one.passkeys),
            "the account",
        )
        expect(await repository.find_account(of, other.user.user_id), other, "the other user's account")
        expect(await repository.rename_user(of, one.user.user_id, TEXT, "", None), True, "the answer to the same names")

    @rule
    async def test_a_user_is_disabled_and_enabled(self, repository: AsyncPasskeyRepository) -> None:
        """Disabling keeps the user and the passkeys, tells since when, and is undone by None."""
        of = realm()
        one, other = await _with_passkey(repository, of), await _with_passkey(repository, of)
        for since in (NOW, NOW + timedelta(days=1, microseconds=1), None, None):
            expect(await repository.set_user_disabled(of, one.user.user_id, since, None), True)
            changed = msgspec.structs.replace(one.user, disabled_at=since)
            expect(
                await repository.find_account(of, one.user.user_id),
                Account(user=changed, passkeys=one.passkeys),
                "the account",
            )
            found = await repository.find_passkey(of, one.passkeys[0].credential_id)
            expect(found, (one.passkeys[0], changed), "the passkey with its owner")
        expect(await repository.find_account(of, other.user.user_id), other, "the other user's account")

    @rule
    async def test_a_user_goes_with_all_passkeys(self, repository: AsyncPasskeyRepository) -> None:
        """Removing a user removes all their passkeys and nobody else's; user id and credential ids are free again."""
        of = realm()
        one, other = await _with_passkey(repository, of, 3), await _with_passkey(repository, of)
        expect(await repository.remove_user(of, one.user.user_id, None), True)
        expect(await repository.find_account(of, one.user.user_id), None, "the removed account")
        for each in one.passkeys:
            expect(await repository.find_passkey(of, each.credential_id), None, "a passkey of the removed user")
        expect(await repository.find_account(of, other.user.user_id), other, "the other user's account")
        expect(await repository.remove_user(of, one.user.user_id, None), False, "the answer to removing again")
        again = user(of, user_id=one.user.user_id)
        expect(await repository.get_or_create_user(again), again, "the user who came again")
        expect(await repository.find_account(of, again.user_id), Account(user=again), "the new account")
        heir = passkey(other.user, credential_id=one.passkeys[0].credential_id)
        expect(await repository.add_passkey(heir, 5, None, None), "added", "the answer for a credential id freed")

    @rule
    async def test_a_user_who_came_again_does_not_inherit(self, repository: AsyncPasskeyRepository) -> None:
        """A passkey that was begun for a user who was removed and came again has another user handle: refused."""
        of = realm()
        gone = await repository.get_or_create_user(user(of))
        await repository.remove_user(of, gone.user_id, None)
        again = await repository.get_or_create_user(user(of, user_id=gone.user_id))
        late = passkey(gone)
        expect(await repository.add_passkey(late, 5, None, None), "user_not_found")
        expect(await repository.find_passkey(of, late.credential_id), None, "the passkey")
        expect(await repository.find_account(of, gone.user_id), Account(user=again), "the account")

    @rule
    async def test_no_two_users_have_one_user_handle(self, repository: AsyncPasskeyRepository) -> None:
        """A second user with the same user handle is a conflict, or exists, and the first keeps all that is theirs."""
        of = realm()
        one = await _with_passkey(repository, of)
        second = user(of, user_handle=one.user.user_handle)
        try:
            answer: object = await repository.get_or_create_user(second)
        except ConflictError as error:
            answer = error.code
        expect(answer, Code.CONFLICT, "the answer to the same handle again")
        theirs = passkey(second)
        expect(await repository.add_passkey(theirs, 5, second, None), "user_exists")
        expect(await repository.find_account(of, second.user_id), None, "the second user's account")
        expect(await repository.find_passkey(of, theirs.credential_id), None, "the second user's passkey")
        expect(await repository.find_account(of, one.user.user_id), one, "the first user's account")
        found = await repository.find_passkey(of, one.passkeys[0].credential_id)
        expect(found, (one.passkeys[0], one.user), "the passkey with its owner")

    @rule
    async def test_user_handles_are_bytes(self, repository: AsyncPasskeyRepository) -> None:
        """User handles are 1..64 bytes of any value, and compare as such."""
        of, start = realm(), token_bytes(15)
        handles = [start + end for end in (b"", b"a", b"A", b"a ", b"a\x00", b"\x00", b"\xff" * 49)]
        for handle in (*handles, token_bytes(1)):
            one = user(of, user_handle=handle)
            expect(await repository.get_or_create_user(one), one, "the user")
            expect(await repository.find_account(of, one.user_id), Account(user=one), "the account")

    @race
    async def test_one_of_many_creates_the_user(self, repository: AsyncPasskeyRepository, together: Together) -> None:
        """Of any number of callers who create one user, one does, and all get that one's user with its handle."""
        for _ in range(ROUNDS):
            of = realm()
            users = [user(of, user_id="ada", name=f"name {number}") for number in range(CALLERS)]
            answers = await together([partial(repository.get_or_create_user, one) for one in users])
            for answer in answers:
                expect(answer, answers[0], "the user that another caller got")
            expect(answers[0] in users, True, "that it is the user of one of them")
            expect(await repository.find_account(of, "ada"), Account(user=answers[0]), "the account")


async def _with_passkey(repository: AsyncPasskeyRepository, of: str, count: int = 1) -> Account:
    owner: User = await repository.get_or_create_user(user(of))
    passkeys = tuple(passkey(owner, created_at=NOW + timedelta(seconds=number)) for number in range(count))
    for each in passkeys:
        expect(await repository.add_passkey(each, 5, None, None), "added")
    return Account(user=owner, passkeys=passkeys)
