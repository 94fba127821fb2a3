"""What a storage does for a server with tenants, in both colours.

What `passkeycore.engine.repository` says of every method holds here too. `remove_user` of a repository that keeps
profiles removes the user's profile as well.
"""

from typing import Protocol

from ..records import Event
from .records import Overrides, Profile, ProfileFilter, ProfilePage, ServerKey, UserPage


class TenancyRepository(Protocol):
    """Keys, settings and profiles of tenants."""

    def add_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        """Stores a new key. Answer: False when its `key_id` is taken, by whatever tenant."""
        ...

    def find_server_key(self, key_id: str, /) -> ServerKey | None:
        """The key with this id, whichever tenant has it. Answer: None when there is none."""
        ...

    def list_server_keys(self, realm: str, /) -> tuple[ServerKey, ...]:
        """The tenant's keys, the oldest first, those that are revoked as well."""
        ...

    def replace_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        """Writes `key` over the one with its id.

        Atomicity: Compare-and-set: only while the stored `revision` is one less than that of `key`.
        Answer: False when that is not so, or it is another tenant's.
        """
        ...

    def find_overrides(self, realm: str, /) -> Overrides | None:
        """What the operator has changed. Answer: None: nothing."""
        ...

    def replace_overrides(self, overrides: Overrides, event: Event | None, /) -> bool:
        """Stores what the operator has changed now.

        Atomicity: Compare-and-set: only while the stored `revision` is one less; of the first, while there is none.
        Answer: False when that is not so: somebody else was first.
        """
        ...

    def find_profile(self, realm: str, user_id: str, /) -> Profile | None:
        """The user's profile. Answer: None when there is none."""
        ...

    def save_profile(self, profile: Profile, /) -> bool:
        """Stores a profile, new (`revision` 0) or over the one of the same user.

        Atomicity: Compare-and-set: only while the stored `revision` is one less, or, for a new one, there is none.
        Answer: False when that is not so.
        """
        ...

    def remove_profile(self, realm: str, user_id: str, /) -> bool:
        """Removes a profile, whether the user is known otherwise or not. Answer: False when there is none."""
        ...

    def list_profiles(self, realm: str, which: ProfileFilter, after: str | None, limit: int, /) -> ProfilePage:
        """Up to `limit` profiles by `user_id`, those after `after`."""
        ...

    def list_users(self, realm: str, prefix: str, after: str | None, limit: int, /) -> UserPage:
        """Up to `limit` users by `user_id`, those after `after`, whose `user_id` or `name` begins with `prefix`."""
        ...


class AsyncTenancyRepository(Protocol):
    """`TenancyRepository` for asyncio."""

    async def add_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        """See `TenancyRepository.add_server_key`."""
        ...

    async def find_server_key(self, key_id: str, /) -> ServerKey | None:
        """See `TenancyRepository.find_server_key`."""
        ...

    async def list_server_keys(self, realm: str, /) -> tuple[ServerKey, ...]:
        """See `TenancyRepository.list_server_keys`."""
        ...

    async def replace_server_key(self, key: ServerKey, event: Event | None, /) -> bool:
        """See `TenancyRepository.replace_server_key`."""
        ...

    async def find_overrides(self, realm: str, /) -> Overrides | None:
        """See `TenancyRepository.find_overrides`."""
        ...

    async def replace_overrides(self, overrides: Overrides, event: Event | None, /) -> bool:
        """See `TenancyRepository.replace_overrides`."""
        ...

    async def find_profile(self, realm: str, user_id: str, /) -> Profile | None:
        """See `TenancyRepository.find_profile`."""
        ...

    async def save_profile(self, profile: Profile, /) -> bool:
        """See `TenancyRepository.save_profile`."""
        ...

    async def remove_profile(self, realm: str, user_id: str, /) -> bool:
        """See `TenancyRepository.remove_profile`."""
        ...

    async def list_profiles(self, realm: str, which: ProfileFilter, after: str | None, limit: int, /) -> ProfilePage:
        """See `TenancyRepository.list_profiles`."""
        ...

    async def list_users(self, realm: str, prefix: str, after: str | None, limit: int, /) -> UserPage:
        """See `TenancyRepository.list_users`."""
        ...
