"""Rules for passkeys while many write at the same time."""

from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from secrets import token_bytes
from typing import Any, TypeAlias

from passkeycore.engine.records import Account, User
from passkeycore.engine.repository import AsyncPasskeyRepository
from passkeycore.testing.contract.harness import Together, demand, expect, expect_one, race
from passkeycore.testing.contract.samples import CALLERS, NOW, ROUNDS, passkey, realm, update, user

_LATER = NOW + timedelta(days=1)
_WRITERS = 12
_LIMIT = 5
Call: TypeAlias = Callable[[], Coroutine[Any, Any, object]]


class PasskeyRaces:
    """Part of `PasskeyContract`."""

    @race
    async def test_one_of_many_users_registers_a_credential(
        self, repository: AsyncPasskeyRepository, together: Together
    ) -> None:
        """Of many users who add one credential id, one succeeds and owns it; the others get `credential_exists`."""
        for _ in range(ROUNDS):
            of, credential_id = realm(), token_bytes(32)
            owners = [await repository.get_or_create_user(user(of)) for _ in range(CALLERS)]
            passkeys = [passkey(owner, credential_id=credential_id) for owner in owners]
            calls = [partial(repository.add_passkey, each, _LIMIT, None, None) for each in passkeys]
            won = expect_one(await together(calls), "added", "credential_exists")
            found = await repository.find_passkey(of, credential_id)
            expect(found, (passkeys[won], owners[won]), "the passkey with its owner")
            for number, owner in enumerate(owners):
                kept = (passkeys[number],) if number == won else ()
                account = await repository.find_account(of, owner.user_id)
                expect(account, Account(user=owner, passkeys=kept), "the account")

    @race
    async def test_a_credential_is_registered_once_for_its_user(
        self, repository: AsyncPasskeyRepository, together: Together
    ) -> None:
        """Of many callers who add one credential for the same user, one succeeds and nothing is replaced."""
        for _ in range(ROUNDS):
            owner = await repository.get_or_create_user(user(realm()))
            credential_id = token_bytes(32)
            passkeys = [passkey(owner, credential_id=credential_id, name=str(n)) for n in range(CALLERS)]
            calls = [partial(repository.add_passkey, each, CALLERS, None, None) for each in passkeys]
            won = expect_one(await together(calls), "added", "credential_exists")
            account = await repository.find_account(owner.realm, owner.user_id)
            expect(account, Account(user=owner, passkeys=(passkeys[won],)), "the account")

    @race
    async def test_the_limit_holds_for_many_writers(
        self, repository: AsyncPasskeyRepository, together: Together
    ) -> None:
        """Of 12 writers with a limit of 5 exactly 5 succeed, and after a removal exactly one more."""
        for _ in range(ROUNDS):
            owner = await repository.get_or_create_user(user(realm()))
            await self._fill(repository, together, owner, free=_LIMIT)
            kept = await _credential_ids(repository, owner)
            await repository.remove_passkey(owner.realm, owner.user_id, kept[1], None)
            await self._fill(repository, together, owner, free=1)

    async def _fill(self, repository: AsyncPasskeyRepository, together: Together, owner: User, free: int) -> None:
        calls = [partial(repository.add_passkey, passkey(owner), _LIMIT, None, None) for _ in range(_WRITERS)]
        answers = Counter(await together(calls))
        wanted = {"added": free, "limit_reached": _WRITERS - free}
        demand(answers == wanted, f"{_WRITERS} writers with {free} places free got {dict(answers)}")
        expect(len(await _credential_ids(repository, owner)), _LIMIT, "the number of passkeys")

    @race
    async def test_the_limit_holds_while_some_are_removed(
        self, repository: AsyncPasskeyRepository, together: Together
    ) -> None:
        """Writers and removers at the same time leave what was added and not removed, and never too many."""
        for _ in range(ROUNDS):
            owner = await repository.get_or_create_user(user(realm()))
            for _ in range(_LIMIT):
                await repository.add_passkey(passkey(owner), _LIMIT, None, None)
            first = await _credential_ids(repository, owner)
            added = [passkey(owner) for _ in range(_WRITERS)]
            remove = [partial(repository.remove_passkey, owner.realm, owner.user_id, each, None) for each in first[:3]]
            add = [partial(repository.add_passkey, each, _LIMIT, None, None) for each in added]
            calls: list[Call] = [*add, *remove]
            answers = await together(calls)
            expect(answers[_WRITERS:], [True] * 3, "the answers to those who removed")
            stored = [each.credential_id for each, answer in zip(added, answers, strict=False) if answer == "added"]
            left = await _credential_ids(repository, owner)
            demand(len(left) <= _LIMIT, f"there are {len(left)} passkeys with a limit of {_LIMIT}")
            expect(sorted(left), sorted([*first[3:], *stored]), "the credential ids")

    @race
    async def test_one_of_many_registers_a_new_user(
        self, repository: AsyncPasskeyRepository, together: Together
    ) -> None:
        """Of many who come with the same new user, one gets it, with that one's handle and passkey alone."""
        for _ in range(ROUNDS):
            of = realm()
            users = [user(of, user_id="ada") for _ in range(CALLERS)]
            passkeys = [passkey(one) for one in users]
            calls = [partial(repository.add_passkey, passkeys[n], _LIMIT, users[n], None) for n in range(CALLERS)]
            won = expect_one(await together(calls), "added", "user_exists")
            account = await repository.find_account(of, "ada")
            expect(account, Account(user=users[won], passkeys=(passkeys[won],)), "the account")
            for number, each in enumerate(passkeys):
                found = await repository.find_passkey(of, each.credential_id)
                expect(found, (each, users[won]) if number == won else None, "the passkey with its owner")

    @race
    async def test_one_of_many_authentications_is_written(
        self, repository: AsyncPasskeyRepository, together: Together
    ) -> None:
        """Of many who judged the same counter, one writes and the others are told; what stays is the one's counter."""
        for _ in range(ROUNDS):
            owner = await repository.get_or_create_user(user(realm()))
            kept = passkey(owner)
            await repository.add_passkey(kept, _LIMIT, None, None)
            updates = [update(kept, sign_count=6 + n % 2) for n in range(CALLERS)]
            calls = [partial(repository.advance_passkey, owner.realm, each, _LATER, None) for each in updates]
            won = expect_one(await together(calls), True, False)
            expect(await _sign_count(repository, owner, kept.credential_id), updates[won].sign_count, "the counter")

    @race
    async def test_the_counter_never_falls(self, repository: AsyncPasskeyRepository, together: Together) -> None:
        """Writers who judge again when they lost, and give up where the counter is past theirs, leave the highest."""
        for _ in range(ROUNDS):
            owner = await repository.get_or_create_user(user(realm()))
            kept = passkey(owner)
            await repository.add_passkey(kept, _LIMIT, None, None)

            async def write(count: int, owner: User = owner, credential_id: bytes = kept.credential_id) -> bool:
                for _ in range(CALLERS + 1):  # each time that one loses, another has won
                    found = await repository.find_passkey(owner.realm, credential_id)
                    demand(found is not None, "the passkey was gone for a moment")
                    if found is None or found[0].credential.sign_count >= count:
                        return False
                    if await repository.advance_passkey(owner.realm, update(found[0], sign_count=count), _LATER, None):
                        return True
                return False

            wrote = await together([partial(write, 6 + number) for number in range(CALLERS)])
            expect(wrote[-1], True, "that the highest was written")
            stored = await _sign_count(repository, owner, kept.credential_id)
            expect(stored, 5 + CALLERS, "the counter")

    @race
    async def test_no_change_undoes_another(self, repository: AsyncPasskeyRepository, together: Together) -> None:
        """Different members of one passkey and its user, changed at the same time, are all changed afterwards."""
        for round_ in range(ROUNDS * 4):
            disabling = round_ >= ROUNDS * 2  # in rounds of its own, as nobody who is disabled authenticates
            of = realm()
            owner = await repository.get_or_create_user(user(of))
            kept = passkey(owner, sign_count=0)
            await repository.add_passkey(kept, _LIMIT, None, None)

            async def authenticate(of: str = of, credential_id: bytes = kept.credential_id) -> bool:
                for _ in range(2):  # only the confirmation can come in between
                    found = await repository.find_passkey(of, credential_id)
                    if found is None:
                        return False
                    if await repository.advance_passkey(of, update(found[0], sign_count=1), _LATER, None):
                        return True
                return False

            calls: list[Call] = [
                partial(repository.set_user_disabled, of, owner.user_id, NOW, None) if disabling else authenticate,
                partial(repository.rename_passkey, of, owner.user_id, kept.credential_id, "renamed", None),
                partial(repository.confirm_user_verification, of, owner.user_id, kept.credential_id, None),
                partial(repository.rename_user, of, owner.user_id, "renamed", "renamed", None),
            ]
            calls = calls[round_ % 4 :] + calls[: round_ % 4]  # who comes first differs from round to round
            expect(await together(calls), [True] * 4, "the answers")
            found = await repository.find_passkey(of, kept.credential_id)
            demand(found is not None, "the passkey is gone")
            if found is not None:
                one, whose = found
                expect((one.name, one.credential.uv_initialized), ("renamed", True), "the passkey's name, confirmation")
                used = (0, None) if disabling else (1, _LATER)
                expect((one.credential.sign_count, one.last_used_at), used, "counter and use of the passkey")
                disabled_at = NOW if disabling else None
                expect((whose.name, whose.disabled_at), ("renamed", disabled_at), "name and disabling of the user")

    @race
    async def test_one_of_many_removes_a_passkey(self, repository: AsyncPasskeyRepository, together: Together) -> None:
        """Of many who remove one passkey, one is told that it did."""
        for _ in range(ROUNDS):
            owner = await repository.get_or_create_user(user(realm()))
            kept = passkey(owner)
            await repository.add_passkey(kept, _LIMIT, None, None)
            call = partial(repository.remove_passkey, owner.realm, owner.user_id, kept.credential_id, None)
            expect_one(await together([call] * CALLERS), True, False)

    @race
    async def test_no_passkey_outlives_its_user(self, repository: AsyncPasskeyRepository, together: Together) -> None:
        """Whoever adds a passkey while its user is removed comes before and loses it, or is told `user_not_found`."""
        for round_ in range(ROUNDS * 2):
            owner = await repository.get_or_create_user(user(realm()))
            passkeys = [passkey(owner) for _ in range(_WRITERS)]
            add = [partial(repository.add_passkey, each, _WRITERS, None, None) for each in passkeys]
            remove = partial(repository.remove_user, owner.realm, owner.user_id, None)
            place = round_ * 2 % _WRITERS
            calls: list[Call] = [*add[:place], remove, *add[place:]]
            answers = await together(calls)
            expect(answers.pop(place), True, "the answer to the one who removed")
            demand(set(answers) <= {"added", "user_not_found"}, f"those who added got {sorted(map(str, set(answers)))}")
            expect(await repository.find_account(owner.realm, owner.user_id), None, "the removed account")
            for each in passkeys:
                found = await repository.find_passkey(owner.realm, each.credential_id)
                expect(found, None, "a passkey of the removed user")


async def _credential_ids(repository: AsyncPasskeyRepository, of: User) -> list[bytes]:
    account = await repository.find_account(of.realm, of.user_id)
    return [] if account is None else [each.credential_id for each in account.passkeys]


async def _sign_count(repository: AsyncPasskeyRepository, of: User, credential_id: bytes) -> int | None:
    found = await repository.find_passkey(of.realm, credential_id)
    return None if found is None else found[0].credential.sign_count
