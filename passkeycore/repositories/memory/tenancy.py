"""What is kept of tenants: the methods of `TenancyRepository`."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from ...engine.records import Event, User
from ...engine.tenancy.records import Overrides, Profile, ProfileFilter, ProfilePage, ServerKey, UserPage
from .tables import Tables

_V = TypeVar("_V", Profile, User)


class Tenancy(Tables):
    """Part of `MemoryRepository`."""

    def add_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        """See `TenancyRepository.add_server_key`."""
        with self._lock:
            if key.key_id in self._server_keys:
                return False
            self._server_keys[key.key_id] = key
            self._note(event)
            return True

    def find_server_key(self, key_id: str, /) -> ServerKey | None:
        """See `TenancyRepository.find_server_key`."""
        return self._server_keys.get(key_id)  # without the lock: a single look

    def list_server_keys(self, realm: str, /) -> tuple[ServerKey, ...]:
        """See `TenancyRepository.list_server_keys`."""
        with self._lock:
            theirs = [key for key in self._server_keys.values() if key.realm == realm]
        return tuple(sorted(theirs, key=lambda key: (key.created_at, key.key_id)))

    def replace_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        """See `TenancyRepository.replace_server_key`."""
        with self._lock:
            stored = self._server_keys.get(key.key_id)
            if stored is None or (stored.realm, stored.revision) != (key.realm, key.revision - 1):
                return False
            self._server_keys[key.key_id] = key
            self._note(event)
            return True

    def find_overrides(self, realm: str, /) -> Overrides | None:
        """See `TenancyRepository.find_overrides`."""
        return self._overrides.get(realm)  # likewise

    def replace_overrides(self, overrides: Overrides, event: Event | None, /) -> bool:
        """See `TenancyRepository.replace_overrides`."""
        with self._lock:
            stored = self._overrides.get(overrides.realm)
            if overrides.revision - 1 != (0 if stored is None else stored.revision):
                return False
            self._overrides[overrides.realm] = overrides
            self._note(event)
            return True

    def find_profile(self, realm: str, user_id: str, /) -> Profile | None:
        """See `TenancyRepository.find_profile`."""
        return self._profiles.get((realm, user_id))  # likewise

    def save_profile(self, profile: Profile, /) -> bool:
        """See `TenancyRepository.save_profile`."""
        place = profile.realm, profile.user_id
        with self._lock:
            stored = self._profiles.get(place)
            if profile.revision - 1 != (-1 if stored is None else stored.revision):
                return False
            self._profiles[place] = profile
            return True

    def remove_profile(self, realm: str, user_id: str, /) -> bool:
        """See `TenancyRepository.remove_profile`."""
        with self._lock:
            return self._profiles.pop((realm, user_id), None) is not None

    def list_profiles(self, realm: str, which: ProfileFilter, after: str | None, limit: int, /) -> ProfilePage:
        """See `TenancyRepository.list_profiles`."""
        wanted = {name: getattr(which, name) for name in which.__struct_fields__}
        wanted = {name: value for name, value in wanted.items() if value is not None}

        def matches(profile: Profile) -> bool:
            return profile.realm == realm and all(getattr(profile, name) == value for name, value in wanted.items())

        with self._lock:
            profiles = list(self._profiles.values())
        page, next_after = _page(profiles, matches, after, limit)
        return ProfilePage(profiles=page, next_after=next_after)

    def list_users(self, realm: str, prefix: str, after: str | None, limit: int, /) -> UserPage:
        """See `TenancyRepository.list_users`."""

        def matches(user: User) -> bool:
            return user.realm == realm and (user.user_id.startswith(prefix) or user.name.startswith(prefix))

        with self._lock:
            users = [owner.user for owner in self._users.values()]
        page, next_after = _page(users, matches, after, limit)
        return UserPage(users=page, next_after=next_after)

    def _forget(self, realm: str, user_id: str) -> bool:
        had_profile = self._profiles.pop((realm, user_id), None) is not None
        return super()._forget(realm, user_id) or had_profile


def _page(
    values: Iterable[_V], matches: Callable[[_V], bool], after: str | None, limit: int
) -> tuple[tuple[_V, ...], str | None]:
    found = sorted(filter(matches, values), key=lambda value: value.user_id)
    start = 0 if after is None else bisect_right(found, after, key=lambda value: value.user_id)
    page = tuple(islice(found, start, start + limit))
    return page, page[-1].user_id if start + limit < len(found) else None
