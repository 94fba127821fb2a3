"""Rules for what a server keeps of tenants: keys, what operators changed, profiles, and lists of users."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from secrets import token_bytes, token_hex
from typing import Any, Protocol

import msgspec

from passkeycore.engine.records import Event, EventFilter, EventPage, EventType
from passkeycore.engine.repository import AsyncEventRepository, AsyncPasskeyRepository
from passkeycore.engine.tenancy.records import Overrides, Profile, ProfileFilter, ProfilePage, ServerKey, UserPage
from passkeycore.engine.tenancy.repository import AsyncTenancyRepository
from passkeycore.testing.contract.harness import Together, Undone, demand, expect, expect_one, race, rollback, rule
from passkeycore.testing.contract.rollbacks import RollbackContract
from passkeycore.testing.contract.samples import CALLERS, NOW, ROUNDS, TEXT, event, realm, user
from passkeycore.testing.contract.users import LOOK_ALIKES


class AsyncTenants(AsyncTenancyRepository, AsyncPasskeyRepository, Protocol):
    """What is kept of tenants, beside their users."""


class AsyncRecordedTenants(AsyncTenancyRepository, AsyncEventRepository, Protocol):
    """What is kept of tenants, and events in the same transactions."""


def server_key(of: str, **changes: Any) -> ServerKey:
    """A new key of this tenant."""
    members: dict[str, Any] = {
        "key_id": token_hex(8),
        "kind": "api",
        "name": "Backend",
        "digest": token_bytes(32),
        "created_at": NOW,
        "realm": of,
    }
    return ServerKey(**(members | changes))


def overrides(of: str, revision: int = 1, values: bytes = b"{}") -> Overrides:
    """What the operator of this tenant has changed."""
    return Overrides(values=values, updated_at=NOW, revision=revision, realm=of)


def profile(of: str, **changes: Any) -> Profile:
    """A new profile of this tenant's."""
    members: dict[str, Any] = {"user_id": f"user-{token_hex(8)}", "created_at": NOW, "updated_at": NOW, "realm": of}
    return Profile(**(members | changes))


def full_profile(of: str, **changes: Any) -> Profile:
    """A profile with every member set."""
    members: dict[str, Any] = {
        "user_id": TEXT + token_hex(8) + " ",
        "email": TEXT,
        "email_verified": True,
        "phone_number": "+64270000000",
        "phone_number_verified": True,
        "username": TEXT,
        "display_name": TEXT,
        "locale": "de-CH",
        "custom": {"level": 3, "share": 0.5, "vip": True, TEXT: TEXT},
        "updated_at": NOW + timedelta(microseconds=1),
    }
    return profile(of, **(members | changes))


def later(record: Any, **changes: Any) -> Any:
    """The next revision of a key or profile."""
    return msgspec.structs.replace(record, revision=record.revision + 1, **changes)


class KeyRules:
    """Part of `TenancyContract`."""

    @rule
    async def test_a_server_key_comes_back(self, repository: AsyncTenancyRepository) -> None:
        """A key is found by its id as it was stored, whichever tenant has it."""
        for key in (
            server_key(realm()),
            server_key(realm(), kind="integration", name=TEXT, commands=("A", "B"), revoked_at=NOW, revision=7),
            server_key(realm(), commands=()),
        ):
            expect(await repository.find_server_key(key.key_id), None, "the key of nobody")
            expect(await repository.add_server_key(key, None), True)
            expect(await repository.find_server_key(key.key_id), key, "the key")

    @rule
    async def test_a_server_key_is_never_replaced_by_a_new_one(self, repository: AsyncTenancyRepository) -> None:
        """A key id that is taken, by whatever tenant, is refused, and the first key stays."""
        first = server_key(realm())
        await repository.add_server_key(first, None)
        for of in (first.realm, realm()):
            again = server_key(of, key_id=first.key_id)
            expect(await repository.add_server_key(again, None), False, "the answer to a key id that is taken")
        expect(await repository.find_server_key(first.key_id), first, "the key")

    @rule
    async def test_server_keys_are_listed(self, repository: AsyncTenancyRepository) -> None:
        """All keys of the tenant are listed, the oldest first, those that are revoked as well, and nobody else's."""
        of = realm()
        keys = [server_key(of, created_at=NOW + timedelta(seconds=age)) for age in (3, 1, 2)]
        keys.append(server_key(of, created_at=NOW, revoked_at=NOW))
        for key in (*keys, server_key(realm())):
            await repository.add_server_key(key, None)
        wanted = tuple(sorted(keys, key=lambda key: key.created_at))
        expect(await repository.list_server_keys(of), wanted, "the keys")
        expect(await repository.list_server_keys(realm()), (), "the keys of a tenant without any")

    @rule
    async def test_a_server_key_is_changed_as_it_was_seen(self, repository: AsyncTenancyRepository) -> None:
        """A key is written over only by the next revision, and only as the same tenant's."""
        key, other = server_key(realm()), server_key(realm())
        await repository.add_server_key(key, None)
        await repository.add_server_key(other, None)
        revoked = later(key, revoked_at=NOW, name=TEXT)
        for wrong in (key, later(later(key)), later(server_key(key.realm)), later(key, realm=other.realm)):
            expect(await repository.replace_server_key(wrong, None), False, "the answer to what was not seen so")
        expect(await repository.find_server_key(key.key_id), key, "the key that was not changed")
        expect(await repository.replace_server_key(revoked, None), True)
        expect(await repository.replace_server_key(revoked, None), False, "the answer to the same again")
        expect(await repository.find_server_key(key.key_id), revoked, "the key")
        expect(await repository.list_server_keys(key.realm), (revoked,), "the tenant's keys")
        expect(await repository.find_server_key(other.key_id), other, "the other key")

    @race
    async def test_one_of_many_changes_a_server_key(
        self, repository: AsyncTenancyRepository, together: Together
    ) -> None:
        """Of any number of callers who add one key id, or change one key, one does."""
        for _ in range(ROUNDS):
            new = server_key(realm())
            keys = [msgspec.structs.replace(new, name=str(number)) for number in range(CALLERS)]
            won = expect_one(
                await together([partial(repository.add_server_key, key, None) for key in keys]), True, False
            )
            changed = [later(keys[won], name=f"{number} again") for number in range(CALLERS)]
            calls = [partial(repository.replace_server_key, key, None) for key in changed]
            won = expect_one(await together(calls), True, False)
            expect(await repository.find_server_key(new.key_id), changed[won], "the key")


class OverridesRules:
    """Part of `TenancyContract`."""

    @rule
    async def test_settings_are_changed_as_they_were_seen(self, repository: AsyncTenancyRepository) -> None:
        """Changes are written over only by the next revision; the first is 1, while there are none."""
        of = realm()
        expect(await repository.find_overrides(of), None, "what nobody has changed")
        expect(await repository.replace_overrides(overrides(of, 2), None), False, "the answer to a second first")
        first = overrides(of, 1, TEXT.encode())
        expect(await repository.replace_overrides(first, None), True)
        for revision in (1, 3):
            expect(await repository.replace_overrides(overrides(of, revision), None), False, "the answer to another")
        expect(await repository.find_overrides(of), first, "the changes")
        second = msgspec.structs.replace(first, revision=2, values=b"[]", updated_at=NOW + timedelta(microseconds=1))
        expect(await repository.replace_overrides(second, None), True)
        expect(await repository.find_overrides(of), second, "the changes")
        expect(await repository.find_overrides(realm()), None, "the changes of another tenant")

    @race
    async def test_one_of_many_changes_settings(self, repository: AsyncTenancyRepository, together: Together) -> None:
        """Of any number of callers who have seen the same settings, one changes them."""
        for _ in range(ROUNDS):
            of = realm()
            for revision in (1, 2):
                changes = [overrides(of, revision, str(number).encode()) for number in range(CALLERS)]
                calls = [partial(repository.replace_overrides, each, None) for each in changes]
                won = expect_one(await together(calls), True, False)
                expect(await repository.find_overrides(of), changes[won], "the changes")


class ProfileRules:
    """Part of `TenancyContract`."""

    @rule
    async def test_a_profile_comes_back(self, repository: AsyncTenancyRepository) -> None:
        """A profile is found as it was stored, by its tenant and user; a new one is never written over another."""
        for new in (profile(realm()), full_profile(realm())):
            expect(await repository.find_profile(new.realm, new.user_id), None, "the profile of nobody")
            expect(await repository.save_profile(later(new)), False, "the answer to a change of nothing")
            expect(await repository.save_profile(new), True)
            expect(await repository.save_profile(msgspec.structs.replace(new, email="x")), False, "a new one again")
            expect(await repository.find_profile(new.realm, new.user_id), new, "the profile")
            expect(await repository.find_profile(realm(), new.user_id), None, "the profile in another realm")

    @rule
    async def test_a_profile_is_changed_as_it_was_seen(self, repository: AsyncTenancyRepository) -> None:
        """A profile is written over only by the next revision, with all that it says."""
        old = full_profile(realm())
        await repository.save_profile(old)
        changed = later(profile(old.realm, user_id=old.user_id, email="new@example.org"))
        expect(await repository.save_profile(later(changed)), False, "the answer to what was not seen so")
        expect(await repository.save_profile(changed), True)
        expect(await repository.save_profile(changed), False, "the answer to the same again")
        expect(await repository.find_profile(old.realm, old.user_id), changed, "the profile")
        listed = await repository.list_profiles(old.realm, ProfileFilter(email="new@example.org"), None, 10)
        expect(listed, ProfilePage(profiles=(changed,)), "the profiles with the new address")
        listed = await repository.list_profiles(old.realm, ProfileFilter(email=old.email), None, 10)
        expect(listed, ProfilePage(profiles=()), "the profiles with the old address")

    @rule
    async def test_profiles_that_look_alike_are_different(self, repository: AsyncTenancyRepository) -> None:
        """User ids, addresses, numbers and names compare byte for byte."""
        of = realm()
        told = [profile(of, user_id=text, email=text, phone_number=text, username=text) for text in LOOK_ALIKES if text]
        for one in told:
            expect(await repository.save_profile(one), True, f"the answer for {one.user_id!a}")
        for one in told:
            expect(await repository.find_profile(of, one.user_id), one, "the profile")
            for which in (
                ProfileFilter(email=one.email),
                ProfileFilter(phone_number=one.phone_number),
                ProfileFilter(username=one.username),
            ):
                listed = await repository.list_profiles(of, which, None, 10)
                expect(listed, ProfilePage(profiles=(one,)), "the profiles")

    @rule
    async def test_profiles_are_listed_in_pages(self, repository: AsyncTenancyRepository) -> None:
        """Pages go by user id and hold each profile of the filter once; at the end nothing comes after."""
        of = realm()
        told = [profile(of, user_id=text, locale=text, email="a@b") for text in ("b", "B", "a", "\u00e4", "aa", "-")]
        for one in (*told, profile(of, user_id="c"), profile(of, user_id="d", email="a@b", username="d")):
            await repository.save_profile(one)
        await repository.save_profile(profile(realm(), user_id="a", email="a@b"))
        both = ProfileFilter(email="a@b", username="d")
        expect(len((await repository.list_profiles(of, both, None, 10)).profiles), 1, "how many meet two filters")
        everybody = sorted([*(one.user_id for one in told), "d"])
        for size in (1, 3, 7, 8):
            seen, after = list[str](), None
            while True:
                page = await repository.list_profiles(of, ProfileFilter(email="a@b"), after, size)
                demand(len(page.profiles) > 0, "a page was promised, and is empty")
                seen += [one.user_id for one in page.profiles]
                after = page.next_after
                if after is None:
                    break
                expect(after, page.profiles[-1].user_id, "after whom the next page begins")
                expect(len(page.profiles), size, "the size of the page")
            expect(seen, everybody, f"the user ids in pages of {size}")

    @rule
    async def test_a_profile_goes_alone_or_with_its_user(self, repository: AsyncTenants) -> None:
        """Removing a profile leaves the user; removing a user removes the profile, also where nothing else was kept."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        other = profile(of)
        for one in (profile(of, user_id=owner.user_id), profile(of, user_id="only a profile"), other):
            await repository.save_profile(one)
        expect(await repository.remove_profile(of, owner.user_id), True)
        expect(await repository.remove_profile(of, owner.user_id), False, "the answer to removing again")
        account = await repository.find_account(of, owner.user_id)
        demand(account is not None, "the user has gone with the profile")
        await repository.save_profile(profile(of, user_id=owner.user_id))
        for user_id in (owner.user_id, "only a profile"):
            expect(await repository.remove_user(realm(), user_id, None), False, "the answer in another realm")
            expect(await repository.remove_user(of, user_id, None), True, "the answer to removing the user")
            expect(await repository.find_profile(of, user_id), None, "the profile of the removed user")
        expect(await repository.find_profile(of, other.user_id), other, "the other user's profile")

    @race
    async def test_one_of_many_writes_a_profile(self, repository: AsyncTenancyRepository, together: Together) -> None:
        """Of any number of callers who have seen the same profile, or none, one writes."""
        for _ in range(ROUNDS):
            new = profile(realm())
            for revision in (0, 1):
                told = [msgspec.structs.replace(new, revision=revision, email=str(n)) for n in range(CALLERS)]
                won = expect_one(await together([partial(repository.save_profile, each) for each in told]), True, False)
                expect(await repository.find_profile(new.realm, new.user_id), told[won], "the profile")


class TenancyContract(KeyRules, OverridesRules, ProfileRules):
    """What every `TenancyRepository` must do that keeps users, too, synchronous or asynchronous."""

    @rule
    async def test_users_are_listed_in_pages(self, repository: AsyncTenants) -> None:
        """Pages go by user id and hold each user of the tenant once, as stored; at the end nothing comes after."""
        of = realm()
        users = [
            await repository.get_or_create_user(user(of, user_id=text)) for text in ("b", "B", "a", "\u00e4", "aa")
        ]
        await repository.get_or_create_user(user(realm(), user_id="a"))
        wanted = sorted(users, key=lambda one: one.user_id)
        for size in (1, 2, 5, 6):
            seen, after = list[Any](), None
            while True:
                page = await repository.list_users(of, "", after, size)
                demand(len(page.users) > 0, "a page was promised, and is empty")
                seen += page.users
                after = page.next_after
                if after is None:
                    break
                expect(after, page.users[-1].user_id, "after whom the next page begins")
                expect(len(page.users), size, "the size of the page")
            expect(tuple(seen), tuple(wanted), f"the users in pages of {size}")

    @rule
    async def test_users_are_found_by_how_they_begin(self, repository: AsyncTenants) -> None:
        """A prefix is one of the user id or of the name, byte for byte; nothing in it means anything else."""
        of = realm()
        for user_id, name in (
            *(("u1", "Ada"), ("u2", "ada"), ("Ada", "x"), ("u3", "Zo\u00eb"), ("u4", "Zoe\u0308")),
            *(("u5", "50%"), ("u6", "5_0"), ("u7", "\\"), ("u8", "xAda")),
        ):
            await repository.get_or_create_user(user(of, user_id=user_id, name=name))
        for prefix, wanted in {
            "Ad": ["Ada", "u1"],
            "ada": ["u2"],
            "Zo\u00eb": ["u3"],
            "5": ["u5", "u6"],
            "%": [],
            "50%": ["u5"],
            "5_": ["u6"],
            "\\": ["u7"],
            "u1": ["u1"],
            "u10": [],
        }.items():
            page: UserPage = await repository.list_users(of, prefix, None, 100)
            expect([one.user_id for one in page.users], wanted, f"the users for {prefix!a}")
            expect(page.next_after, None, "what comes after all")


class TenancyEventContract:
    """What a `TenancyRepository` must do that is an `EventRepository`, too, synchronous or asynchronous."""

    @rule
    async def test_every_change_of_a_tenant_stores_its_event(self, repository: AsyncRecordedTenants) -> None:
        """An event that is given with a change is there when the change is, and not where nothing is changed."""
        key = server_key(realm())
        of = key.realm
        changes: list[Callable[[Event], Coroutine[Any, Any, bool]]] = [
            lambda noted: repository.add_server_key(key, noted),
            lambda noted: repository.replace_server_key(later(key, revoked_at=NOW), noted),
            lambda noted: repository.replace_overrides(overrides(of, 1), noted),
            lambda noted: repository.replace_overrides(overrides(of, 2), noted),
        ]
        stored = list[Event]()
        for number, change in enumerate(changes):
            for answer in (True, False):
                noted = event(of, EventType.SETTINGS_CHANGED, details={"change": str(number)})
                expect(await change(noted), answer, f"the answer to change {number}")
                stored = [noted, *stored] if answer else stored
                page = await repository.list_events(of, EventFilter(), None, 100)
                expect(page, EventPage(events=tuple(stored)), f"the events after change {number}")


class TenancyRollbackContract(RollbackContract):
    """`RollbackContract` for a repository that is a `TenancyRepository`, too."""

    @rollback
    async def test_a_rollback_undoes_every_change_of_a_tenant(
        self, repository: AsyncTenancyRepository, undone: Undone[AsyncTenancyRepository]
    ) -> None:
        """Within the transaction changes answer as ever; after the rollback keys, settings, profiles are as before."""
        kept, told = server_key(realm()), full_profile(realm())
        of, user_id = told.realm, told.user_id
        new, stranger = server_key(kept.realm), profile(of)
        first, other = overrides(kept.realm), realm()
        await repository.add_server_key(kept, None)
        await repository.replace_overrides(first, None)
        await repository.save_profile(told)
        async with undone() as joined:
            revoked, changed = later(kept, revoked_at=NOW), later(profile(of, user_id=user_id))
            expect(await joined.add_server_key(new, None), True)
            expect(await joined.add_server_key(new, None), False, "the answer to the same key again")
            expect(await joined.replace_server_key(revoked, None), True)
            expect(await joined.replace_server_key(revoked, None), False, "the answer to the same change again")
            expect(await joined.find_server_key(kept.key_id), revoked, "the key within the transaction")
            expect(await joined.replace_overrides(overrides(kept.realm, 2), None), True)
            expect(await joined.replace_overrides(overrides(kept.realm, 2), None), False, "the answer the second time")
            expect(await joined.replace_overrides(overrides(other), None), True)
            expect(await joined.save_profile(changed), True)
            expect(await joined.save_profile(stranger), True)
            expect(await joined.find_profile(of, user_id), changed, "the profile within the transaction")
            expect(await joined.remove_profile(of, user_id), True)
        expect(await repository.list_server_keys(kept.realm), (kept,), "the keys after the rollback")
        expect(await repository.find_server_key(new.key_id), None, "the key rolled back")
        expect(await repository.find_overrides(kept.realm), first, "the settings after the rollback")
        expect(await repository.find_overrides(other), None, "the settings rolled back")
        expect(await repository.find_profile(of, user_id), told, "the profile after the rollback")
        expect(await repository.find_profile(of, stranger.user_id), None, "the profile rolled back")


class TenancyEventRollbackContract(TenancyRollbackContract):
    """`TenancyRollbackContract` for a repository that is an `EventRepository`, too."""

    @rollback
    async def test_the_events_of_a_tenant_go_with_its_changes(
        self, repository: AsyncRecordedTenants, undone: Undone[AsyncRecordedTenants]
    ) -> None:
        """The events of changes that are rolled back are not there; those of other changes are."""
        key = server_key(realm())
        kinds = (EventType.SERVER_KEY_CREATED, EventType.SERVER_KEY_REVOKED, EventType.SETTINGS_CHANGED)
        made, revoked, changed = (event(key.realm, kind) for kind in kinds)
        expect(await repository.add_server_key(key, made), True)
        async with undone() as joined:
            expect(await joined.replace_server_key(later(key, revoked_at=NOW), revoked), True)
            expect(await joined.replace_overrides(overrides(key.realm), changed), True)
        page = await repository.list_events(key.realm, EventFilter(), None, 9)
        expect(page, EventPage(events=(made,)), "the events")
