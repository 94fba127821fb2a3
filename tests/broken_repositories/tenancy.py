"""Mistakes with what is kept of tenants."""

from collections.abc import Callable
from typing import Any

from passkeycore.engine.records import Event
from passkeycore.engine.tenancy.records import Overrides, Profile, ProfileFilter, ProfilePage, ServerKey, UserPage
from passkeycore.repositories.memory import MemoryRepository
from tests.broken_repositories import Folding, Pausing, pause, replace


class Plain(MemoryRepository):
    """Gives keys and profiles back without some of their members."""

    def find_server_key(self, key_id: str, /) -> ServerKey | None:
        found = super().find_server_key(key_id)
        return None if found is None else replace(found, commands=found.commands or None)

    def find_profile(self, realm: str, user_id: str, /) -> Profile | None:
        found = super().find_profile(realm, user_id)
        return None if found is None else replace(found, custom={})


class Unlocked(MemoryRepository):
    """Looks first and writes afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self._server_keys, self._overrides, self._profiles = Pausing(), Pausing(), Pausing()
        self._lock = _NoLock()  # type: ignore[assignment]


class _NoLock:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Overwriting(MemoryRepository):
    """Writes over whatever is there."""

    def add_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        self._server_keys.pop(key.key_id, None)
        return super().add_server_key(key, event)

    def replace_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        stored = self._server_keys.get(key.key_id)
        return stored is not None and super().replace_server_key(replace(key, revision=stored.revision + 1), event)

    def replace_overrides(self, overrides: Overrides, event: Event | None, /) -> bool:
        self._overrides[overrides.realm] = overrides
        return True

    def save_profile(self, profile: Profile, /) -> bool:
        self._profiles[profile.realm, profile.user_id] = profile
        return True


class AnyTenant(MemoryRepository):
    """Lets a tenant change another one's key."""

    def replace_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        stored = self._server_keys.get(key.key_id)
        if stored is not None and stored.revision == key.revision - 1:
            self._server_keys[key.key_id] = key
            return True
        return False


class OnlyLive(MemoryRepository):
    """Lists no keys that are revoked."""

    def list_server_keys(self, realm: str, /) -> tuple[ServerKey, ...]:
        return tuple(key for key in super().list_server_keys(realm) if key.revoked_at is None)


class AsStored(MemoryRepository):
    """Lists in the order of storing."""

    def list_server_keys(self, realm: str, /) -> tuple[ServerKey, ...]:
        return tuple(key for key in self._server_keys.values() if key.realm == realm)


def folded(fold: Callable[[Any], Any]) -> Callable[[], MemoryRepository]:
    """Profiles are the same when their names fold to the same."""

    def made() -> MemoryRepository:
        repository = MemoryRepository()
        repository._profiles = Folding(lambda key: (key[0], fold(key[1])))
        return repository

    return made


class Insensitive(MemoryRepository):
    """Looks for addresses without regard to case."""

    def list_profiles(self, realm: str, which: ProfileFilter, after: str | None, limit: int, /) -> ProfilePage:
        if which.email is None:
            return super().list_profiles(realm, which, after, limit)
        theirs = [one for (of, _), one in self._profiles.items() if of == realm]
        found = [one for one in theirs if (one.email or "").lower() == which.email.lower()]
        return ProfilePage(profiles=tuple(found[:limit]))


class FirstFilter(MemoryRepository):
    """Heeds one member of a filter."""

    def list_profiles(self, realm: str, which: ProfileFilter, after: str | None, limit: int, /) -> ProfilePage:
        alone = which if which.email is None else ProfileFilter(email=which.email)
        return super().list_profiles(realm, alone, after, limit)


class OneMore(MemoryRepository):
    """Says that there is a next page where there is none."""

    def list_profiles(self, realm: str, which: ProfileFilter, after: str | None, limit: int, /) -> ProfilePage:
        page = super().list_profiles(realm, which, after, limit)
        return replace(page, next_after=page.profiles[-1].user_id if len(page.profiles) == limit else None)

    def list_users(self, realm: str, prefix: str, after: str | None, limit: int, /) -> UserPage:
        page = super().list_users(realm, prefix, after, limit)
        return replace(page, next_after=page.users[-1].user_id if len(page.users) == limit else None)


class Stale(MemoryRepository):
    """Finds profiles by what they said at first."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[tuple[str, str], Profile] = {}

    def save_profile(self, profile: Profile, /) -> bool:
        self.first.setdefault((profile.realm, profile.user_id), profile)
        return super().save_profile(profile)

    def list_profiles(self, realm: str, which: ProfileFilter, after: str | None, limit: int, /) -> ProfilePage:
        now, self._profiles = self._profiles, self.first
        try:
            return super().list_profiles(realm, which, after, limit)
        finally:
            self._profiles = now


class Left(MemoryRepository):
    """Leaves the profile of a user who is removed."""

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        profile = self._profiles.get((realm, user_id))
        removed = super().remove_user(realm, user_id, event)
        if profile is not None:
            self._profiles[realm, user_id] = profile
        return removed


class OnlyUsers(MemoryRepository):
    """Removes no profile of somebody who is not known otherwise."""

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        return self.find_account(realm, user_id) is not None and super().remove_user(realm, user_id, event)


class Lower(MemoryRepository):
    """Finds users without regard to case."""

    def list_users(self, realm: str, prefix: str, after: str | None, limit: int, /) -> UserPage:
        page = super().list_users(realm, "", after, limit)
        begin = prefix.lower()
        found = [
            one for one in page.users if one.user_id.lower().startswith(begin) or one.name.lower().startswith(begin)
        ]
        return UserPage(users=tuple(found), next_after=page.next_after)


class Within(MemoryRepository):
    """Finds users by what stands anywhere in their names."""

    def list_users(self, realm: str, prefix: str, after: str | None, limit: int, /) -> UserPage:
        page = super().list_users(realm, "", after, limit)
        found = tuple(one for one in page.users if prefix in one.user_id or prefix in one.name)
        return UserPage(users=found, next_after=page.next_after)


class AllRealms(MemoryRepository):
    """Lists the users of all tenants."""

    def list_users(self, realm: str, prefix: str, after: str | None, limit: int, /) -> UserPage:
        everybody = sorted((owner.user for owner in self._users.values()), key=lambda user: user.user_id)
        return UserPage(users=tuple(everybody[:limit]))


class Unrecorded(MemoryRepository):
    """Stores no event with a change of settings."""

    def replace_overrides(self, overrides: Overrides, event: Event | None, /) -> bool:
        return super().replace_overrides(overrides, None)


class Recorded(MemoryRepository):
    """Stores the event of a key that is refused, too."""

    def add_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        added = super().add_server_key(key, None)
        if event is not None:
            self.add_event(event)
        return added


class SecondFirst(MemoryRepository):
    """Takes any revision for the first."""

    def replace_overrides(self, overrides: Overrides, event: Event | None, /) -> bool:
        if overrides.realm not in self._overrides:
            pause()
            self._overrides[overrides.realm] = overrides
            return True
        return super().replace_overrides(overrides, event)


MISTAKES: list[tuple[str, Callable[[], object]]] = [
    ("a_server_key_comes_back", Plain),
    ("a_server_key_is_never_replaced_by_a_new_one", Overwriting),
    ("server_keys_are_listed", OnlyLive),
    ("server_keys_are_listed", AsStored),
    ("a_server_key_is_changed_as_it_was_seen", Overwriting),
    ("a_server_key_is_changed_as_it_was_seen", AnyTenant),
    ("one_of_many_changes_a_server_key", Unlocked),
    ("settings_are_changed_as_they_were_seen", Overwriting),
    ("settings_are_changed_as_they_were_seen", SecondFirst),
    ("one_of_many_changes_settings", Unlocked),
    ("a_profile_comes_back", Plain),
    ("a_profile_comes_back", Overwriting),
    ("a_profile_is_changed_as_it_was_seen", Overwriting),
    ("a_profile_is_changed_as_it_was_seen", Stale),
    ("profiles_that_look_alike_are_different", folded(str.lower)),
    ("profiles_that_look_alike_are_different", folded(str.strip)),
    ("profiles_that_look_alike_are_different", Insensitive),
    ("profiles_are_listed_in_pages", FirstFilter),
    ("profiles_are_listed_in_pages", OneMore),
    ("a_profile_goes_alone_or_with_its_user", Left),
    ("a_profile_goes_alone_or_with_its_user", OnlyUsers),
    ("one_of_many_writes_a_profile", Unlocked),
    ("users_are_listed_in_pages", OneMore),
    ("users_are_listed_in_pages", AllRealms),
    ("users_are_found_by_how_they_begin", Lower),
    ("users_are_found_by_how_they_begin", Within),
    ("every_change_of_a_tenant_stores_its_event", Unrecorded),
    ("every_change_of_a_tenant_stores_its_event", Recorded),
]
"""The rule that finds it, and the repository."""
