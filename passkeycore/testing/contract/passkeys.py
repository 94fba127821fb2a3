"""Rules for passkeys: what comes back, whose they are, how many there may be, and what may change them."""

from collections.abc import Coroutine
from datetime import datetime, timedelta
from functools import partial
from secrets import token_bytes
from typing import Any

import msgspec

from passkeycore.engine.records import Account, Passkey, User
from passkeycore.engine.repository import AsyncPasskeyRepository
from passkeycore.testing.contract.harness import expect, rule
from passkeycore.testing.contract.races import PasskeyRaces
from passkeycore.testing.contract.samples import (
    BINARY,
    NOW,
    TEXT,
    full_passkey,
    least_passkey,
    passkey,
    realm,
    update,
    user,
)
from passkeycore.testing.contract.users import UserRules
from passkeycore.webauthn.credential import CredentialUpdate

_LATER = NOW + timedelta(days=30, microseconds=-1)


class PasskeyRules:
    """Part of `PasskeyContract`."""

    @rule
    async def test_a_passkey_comes_back(self, repository: AsyncPasskeyRepository) -> None:
        """A passkey comes back equal in every member, with its owner, from each reading method."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        for make in (passkey, full_passkey, least_passkey):
            kept = make(owner)
            expect(await repository.add_passkey(kept, 5, None, None), "added")
            expect(await repository.find_passkey(of, kept.credential_id), (kept, owner), "the passkey with its owner")
            expect(await _account(repository, owner), Account(user=owner, passkeys=(kept,)), "the account")
            await repository.remove_passkey(of, owner.user_id, kept.credential_id, None)

    @rule
    async def test_the_oldest_passkey_comes_first(self, repository: AsyncPasskeyRepository) -> None:
        """An account lists its passkeys by the time at which they were made, in whatever order they came."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        ages = [timedelta(seconds=seconds) for seconds in (20, 0, -3, 10)]
        kept = [passkey(owner, created_at=NOW + age) for age in ages]
        for each in kept:
            await repository.add_passkey(each, 5, None, None)
        in_order = tuple(sorted(kept, key=lambda each: each.created_at))
        expect(await _account(repository, owner), Account(user=owner, passkeys=in_order), "the account")

    @rule
    async def test_an_unknown_passkey_is_none(self, repository: AsyncPasskeyRepository) -> None:
        """A credential id that nobody added gives None."""
        expect(await repository.find_passkey(realm(), token_bytes(32)), None)

    @rule
    async def test_credential_ids_that_look_alike_are_different(self, repository: AsyncPasskeyRepository) -> None:
        """Credential ids are 1..1023 bytes of any value, and compare byte for byte over their whole length."""
        of = realm()
        for owner, ids in [(await repository.get_or_create_user(user(of)), ids) for ids in _look_alikes()]:
            kept = [passkey(owner, credential_id=credential_id) for credential_id in ids]
            for each in kept:
                answer = await repository.add_passkey(each, len(ids), None, None)
                expect(answer, "added", f"the answer to credential id {each.credential_id[-8:].hex()}")
            for each in kept:
                expect(await repository.find_passkey(of, each.credential_id), (each, owner), "the passkey")
            expect(await repository.remove_passkey(of, owner.user_id, ids[0], None), True)
            for each in kept[1:]:
                expect(await repository.find_passkey(of, each.credential_id), (each, owner), "the passkey")

    @rule
    async def test_a_passkey_is_never_replaced(self, repository: AsyncPasskeyRepository) -> None:
        """A credential id that is there is refused, whoever has it and whoever comes, and nothing changes."""
        of = realm()
        owner, kept = await _owner(repository, of)
        other = await repository.get_or_create_user(user(of))
        stranger = user(of)
        attempts = [(owner, None), (other, None), (stranger, stranger)]
        for who, new_user in attempts:
            again = passkey(who, credential_id=kept.credential_id, name="replaced")
            expect(await repository.add_passkey(again, 5, new_user, None), "credential_exists")
            expect(await repository.find_passkey(of, kept.credential_id), (kept, owner), "the passkey with its owner")
        expect(await _account(repository, owner), Account(user=owner, passkeys=(kept,)), "the owner's account")
        expect(await _account(repository, other), Account(user=other), "the other user's account")
        expect(await _account(repository, stranger), None, "the account of the user who was not created")

    @rule
    async def test_no_more_than_the_limit(self, repository: AsyncPasskeyRepository) -> None:
        """A user has at most `limit` passkeys; what is removed makes room again, whichever it was."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        kept = [passkey(owner) for _ in range(5)]
        for number, each in enumerate(kept):
            expect(await repository.add_passkey(each, number, None, None), "limit_reached", f"the answer at {number}")
            expect(await repository.find_passkey(of, each.credential_id), None, "the passkey that was refused")
            expect(await repository.add_passkey(each, 5, None, None), "added", f"the answer after {number}")
        expect(await repository.add_passkey(passkey(owner), 5, None, None), "limit_reached")
        for removed in (kept[2], kept[0], kept[4]):
            await repository.remove_passkey(of, owner.user_id, removed.credential_id, None)
            expect(await repository.add_passkey(passkey(owner), 5, None, None), "added", "the answer when one left")
            expect(await repository.add_passkey(passkey(owner), 5, None, None), "limit_reached")
        expect(await repository.add_passkey(passkey(owner), 6, None, None), "added", "the answer to a higher limit")
        await repository.remove_passkeys(of, owner.user_id, None)
        expect(await repository.add_passkey(passkey(owner), 1, None, None), "added", "the answer when all left")
        other = await repository.get_or_create_user(user(of))
        expect(await repository.add_passkey(passkey(other), 1, None, None), "added", "the answer for another user")

    @rule
    async def test_only_a_known_user_gets_a_passkey(self, repository: AsyncPasskeyRepository) -> None:
        """Without its user, with another user handle or for a disabled user no passkey is stored."""
        of = realm()
        known = await repository.get_or_create_user(user(of))
        elsewhere = await repository.get_or_create_user(user(realm()))
        disabled = await repository.get_or_create_user(user(of))
        await repository.set_user_disabled(of, disabled.user_id, NOW, None)
        refusals = [
            (passkey(user(of)), "user_not_found"),
            (passkey(known, user_handle=token_bytes(24)), "user_not_found"),
            (passkey(known, user_handle=disabled.user_handle), "user_not_found"),
            (passkey(elsewhere, realm=of), "user_not_found"),
            (passkey(disabled), "user_disabled"),
        ]
        for refused, reason in refusals:
            expect(await repository.add_passkey(refused, 5, None, None), reason)
            expect(await repository.find_passkey(of, refused.credential_id), None, "the passkey that was refused")
        expect(await _account(repository, known), Account(user=known), "the user's account")
        await repository.set_user_disabled(of, disabled.user_id, None, None)
        expect(await repository.add_passkey(passkey(disabled), 5, None, None), "added", "the answer when enabled")

    @rule
    async def test_a_new_user_comes_with_the_passkey(self, repository: AsyncPasskeyRepository) -> None:
        """A new user and the first passkey are stored together, or neither is; who is there is not changed."""
        of = realm()
        new = user(of)
        first = passkey(new)
        expect(await repository.add_passkey(first, 5, new, None), "added")
        expect(await repository.find_passkey(of, first.credential_id), (first, new), "the passkey with its owner")
        again = user(of, user_id=new.user_id, name="replaced")
        second = passkey(again)
        expect(await repository.add_passkey(second, 5, again, None), "user_exists")
        same = passkey(new)
        expect(await repository.add_passkey(same, 5, new, None), "user_exists", "the answer to the same user again")
        for refused in (second, same):
            expect(await repository.find_passkey(of, refused.credential_id), None, "the passkey that was refused")
        expect(await _account(repository, new), Account(user=new, passkeys=(first,)), "the account")
        none = user(of)
        expect(await repository.add_passkey(passkey(none), 0, none, None), "limit_reached")
        expect(await _account(repository, none), None, "the account of a user whose passkey was refused")

    @rule
    async def test_an_authentication_is_written(self, repository: AsyncPasskeyRepository) -> None:
        """Sign count, backup flags and the time of use are written, and nothing else, up to the largest counter."""
        of = realm()
        owner, kept = await _owner(repository, of)
        other, untouched = await _owner(repository, of)
        for changes in (
            {},
            {"backup_eligible": True, "backup_state": True},
            {"sign_count": 2**31},
            {"sign_count": 2**32 - 1},
            {"sign_count": 2**32 - 1, "backup_state": False},
        ):
            written = update(kept, **changes)
            expect(await repository.advance_passkey(of, written, _LATER, None), True)
            kept = _advanced(kept, written, _LATER)
            expect(await repository.find_passkey(of, kept.credential_id), (kept, owner), "the passkey")
        expect(await repository.find_passkey(of, untouched.credential_id), (untouched, other), "another passkey")

    @rule
    async def test_an_authentication_is_written_only_as_judged(self, repository: AsyncPasskeyRepository) -> None:
        """Where counter, backup state or uv_initialized are not the ones that were judged, nothing is written."""
        of = realm()
        owner, kept = await _owner(repository, of)
        for judged in (
            {"expected_sign_count": 4},
            {"expected_sign_count": 6},
            {"expected_sign_count": 0},
            {"expected_backup_state": True},
            {"expected_backup_state": None},
            {"expected_uv_initialized": True},
        ):
            answer = await repository.advance_passkey(of, update(kept, sign_count=9, **judged), _LATER, None)
            expect(answer, False, f"the answer to {judged}")
            expect(await repository.find_passkey(of, kept.credential_id), (kept, owner), "the passkey")
        first = update(kept)
        expect(await repository.advance_passkey(of, first, NOW, None), True)
        expect(await repository.advance_passkey(of, first, _LATER, None), False, "the answer to the same a second time")
        lower = update(kept, sign_count=5)
        expect(await repository.advance_passkey(of, lower, _LATER, None), False, "the answer to a stale counter")
        found = await repository.find_passkey(of, kept.credential_id)
        expect(found, (_advanced(kept, first, NOW), owner), "the passkey")

    @rule
    async def test_an_unknown_backup_state_equals_itself(self, repository: AsyncPasskeyRepository) -> None:
        """A backup state of None is what None expects, and neither True nor False is."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        kept = least_passkey(owner)
        await repository.add_passkey(kept, 5, None, None)
        for other in (False, True):
            answer = await repository.advance_passkey(of, update(kept, expected_backup_state=other), _LATER, None)
            expect(answer, False, f"the answer to {other} where None is stored")
        learnt = update(kept, sign_count=0, backup_eligible=True)
        expect(await repository.advance_passkey(of, learnt, _LATER, None), True, "the answer to None")
        kept = _advanced(kept, learnt, _LATER)
        expect(await repository.find_passkey(of, kept.credential_id), (kept, owner), "the passkey")
        expect(await repository.advance_passkey(of, learnt, _LATER, None), False, "the answer to None afterwards")
        expect(
            await repository.advance_passkey(of, update(kept, sign_count=0), _LATER, None), True, "without a counter"
        )

    @rule
    async def test_a_passkey_that_is_gone_is_not_written(self, repository: AsyncPasskeyRepository) -> None:
        """An authentication with a passkey that was removed meanwhile writes nothing and does not revive it."""
        of = realm()
        owner, kept = await _owner(repository, of)
        await repository.remove_passkey(of, owner.user_id, kept.credential_id, None)
        expect(await repository.advance_passkey(of, update(kept), _LATER, None), False)
        expect(await repository.find_passkey(of, kept.credential_id), None, "the passkey")
        expect(await _account(repository, owner), Account(user=owner), "the account")

    @rule
    async def test_nothing_is_written_for_a_disabled_user(self, repository: AsyncPasskeyRepository) -> None:
        """An authentication of a user who was disabled meanwhile writes nothing; enabled again, they get in as ever."""
        of = realm()
        (owner, kept), (_, theirs) = await _owner(repository, of), await _owner(repository, of)
        await repository.set_user_disabled(of, owner.user_id, NOW, None)
        disabled = msgspec.structs.replace(owner, disabled_at=NOW)
        expect(await repository.advance_passkey(of, update(kept), _LATER, None), False)
        expect(await repository.find_passkey(of, kept.credential_id), (kept, disabled), "the passkey")
        expect(await repository.advance_passkey(of, update(theirs), _LATER, None), True, "the answer for another user")
        await repository.set_user_disabled(of, owner.user_id, None, None)
        expect(await repository.advance_passkey(of, update(kept), _LATER, None), True, "the answer when enabled")
        kept = _advanced(kept, update(kept), _LATER)
        expect(await repository.find_passkey(of, kept.credential_id), (kept, owner), "the passkey when enabled")

    @rule
    async def test_the_owner_changes_a_passkey(self, repository: AsyncPasskeyRepository) -> None:
        """Renaming and confirming user verification change one member of one passkey; removing removes one."""
        of = realm()
        owner, kept = await _owner(repository, of)
        second = passkey(owner, created_at=NOW + timedelta(seconds=1))
        await repository.add_passkey(second, 5, None, None)
        expect(await repository.rename_passkey(of, owner.user_id, kept.credential_id, TEXT, None), True)
        kept = msgspec.structs.replace(kept, name=TEXT)
        expect(await _account(repository, owner), Account(user=owner, passkeys=(kept, second)), "the account")
        expect(await repository.confirm_user_verification(of, owner.user_id, kept.credential_id, None), True)
        record = msgspec.structs.replace(kept.credential, uv_initialized=True)
        kept = msgspec.structs.replace(kept, credential=record)
        expect(await _account(repository, owner), Account(user=owner, passkeys=(kept, second)), "the account")
        expect(await repository.advance_passkey(of, update(kept), _LATER, None), True, "the answer once confirmed")
        expect(await repository.remove_passkey(of, owner.user_id, kept.credential_id, None), True)
        expect(await _account(repository, owner), Account(user=owner, passkeys=(second,)), "the account")
        expect(await repository.remove_passkey(of, owner.user_id, kept.credential_id, None), False, "the second answer")

    @rule
    async def test_nobody_else_changes_a_passkey(self, repository: AsyncPasskeyRepository) -> None:
        """Renaming, removing and confirming answer False for a passkey of somebody else, and change nothing."""
        of = realm()
        owner, kept = await _owner(repository, of)
        other, theirs = await _owner(repository, of)
        for who in (other.user_id, user(of).user_id, owner.user_id.upper(), owner.user_id + " ", ""):
            for call in _changes(repository, of, who, kept.credential_id):
                expect(await call(), False, f"the answer to {call.func.__name__}")
                expect(await repository.find_passkey(of, kept.credential_id), (kept, owner), "the passkey")
        for call in _changes(repository, of, owner.user_id, token_bytes(32)):
            expect(await call(), False, f"the answer to {call.func.__name__} of no passkey")
        for account in (Account(user=owner, passkeys=(kept,)), Account(user=other, passkeys=(theirs,))):
            expect(await _account(repository, account.user), account, "the account")

    @rule
    async def test_all_passkeys_of_one_user_are_removed(self, repository: AsyncPasskeyRepository) -> None:
        """Removing all counts what there was and takes only this user's passkeys; the user stays."""
        of = realm()
        owner, kept = await _owner(repository, of)
        other, theirs = await _owner(repository, of)
        await repository.add_passkey(passkey(owner), 5, None, None)
        expect(await repository.remove_passkeys(of, user(of).user_id, None), 0, "the number of nobody")
        expect(await repository.remove_passkeys(of, owner.user_id, None), 2, "the number")
        expect(await repository.find_passkey(of, kept.credential_id), None, "a removed passkey")
        expect(await _account(repository, owner), Account(user=owner), "the account")
        expect(await _account(repository, other), Account(user=other, passkeys=(theirs,)), "the other user's account")
        expect(await repository.remove_passkeys(of, owner.user_id, None), 0, "the number afterwards")

    @rule
    async def test_realms_keep_apart(self, repository: AsyncPasskeyRepository) -> None:
        """The same user, handle and credential in two realms are unrelated: what one realm does, the other keeps."""
        one = realm()
        owner, kept = await _owner(repository, one)
        for of in (one.lower(), one + " ", "", realm()):
            twin = msgspec.structs.replace(owner, realm=of, name="twin")
            theirs = passkey(twin, credential_id=kept.credential_id, sign_count=5)
            expect(await repository.find_account(of, owner.user_id), None, f"the account in realm {of!r}")
            expect(await repository.find_passkey(of, kept.credential_id), None, f"the passkey in realm {of!r}")
            expect(await repository.advance_passkey(of, update(kept), _LATER, None), False)
            for call in _changes(repository, of, owner.user_id, kept.credential_id):
                expect(await call(), False, f"the answer to {call.func.__name__} in another realm")
            expect(await repository.remove_passkeys(of, owner.user_id, None), 0)
            expect(await repository.rename_user(of, owner.user_id, "renamed", "", None), False)
            expect(await repository.set_user_disabled(of, owner.user_id, NOW, None), False)
            expect(await repository.remove_user(of, owner.user_id, None), False)
            expect(await repository.get_or_create_user(twin), twin, "the same user in another realm")
            expect(await repository.add_passkey(theirs, 1, None, None), "added", "the same credential elsewhere")
            expect(await repository.advance_passkey(of, update(theirs), _LATER, None), True)
            for call in _changes(repository, of, twin.user_id, theirs.credential_id):
                expect(await call(), True, f"the answer to {call.func.__name__}")
            await repository.add_passkey(theirs, 1, None, None)
            await repository.rename_user(of, twin.user_id, "renamed", "", None)
            await repository.set_user_disabled(of, twin.user_id, NOW, None)
            expect(await repository.remove_passkeys(of, twin.user_id, None), 1)
            expect(await repository.remove_user(of, twin.user_id, None), True)
            expect(await _account(repository, owner), Account(user=owner, passkeys=(kept,)), "the first account")


class PasskeyContract(UserRules, PasskeyRules, PasskeyRaces):
    """What a `PasskeyRepository` must do, synchronous or asynchronous."""


def _look_alikes() -> tuple[tuple[bytes, ...], ...]:
    start, long = token_bytes(12), token_bytes(1022)
    short = tuple(start + end for end in (b"", b"a", b"A", b"a ", b" a", b"a\x00", b"\x00", b"%", b"_", b"\xc3\xa9"))
    tails = tuple(long[:size] for size in (254, 255, 256, 767, 768, 1000, 1021))
    return short, (*tails, long + b"a", long + b"A", long + b"\x00"), (token_bytes(1), BINARY + start)


def _changes(
    repository: AsyncPasskeyRepository, of: str, user_id: str, credential_id: bytes
) -> tuple[partial[Coroutine[Any, Any, bool]], ...]:
    return (
        partial(repository.rename_passkey, of, user_id, credential_id, "renamed", None),
        partial(repository.confirm_user_verification, of, user_id, credential_id, None),
        partial(repository.remove_passkey, of, user_id, credential_id, None),
    )


def _advanced(one: Passkey, by: CredentialUpdate, at: datetime) -> Passkey:
    return msgspec.structs.replace(one, credential=by.apply(one.credential), last_used_at=at)


async def _owner(repository: AsyncPasskeyRepository, of: str) -> tuple[User, Passkey]:
    owner = await repository.get_or_create_user(user(of))
    kept = passkey(owner)
    expect(await repository.add_passkey(kept, 5, None, None), "added")
    return owner, kept


async def _account(repository: AsyncPasskeyRepository, of: User) -> Account | None:
    return await repository.find_account(of.realm, of.user_id)
