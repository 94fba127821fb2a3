"""What a server stores of a tenant: keys that may call it, what its operator has changed, and profiles of its users."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from ...actions.facts import CustomValue
from ..records import User

KeyKind: TypeAlias = Literal["api", "integration"]
"""``api``: a tenant's servers, for all of its API. ``integration``: the commands that the key allows."""


class ServerKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that servers of a tenant show. The key itself is stored nowhere.

    Attributes:
        key_id: Names it, and begins the key; 16 hexadecimal digits.
        kind: What it opens.
        name: For the operator's eyes, 1 to 64 characters.
        digest: SHA-256 of the key, 32 bytes.
        commands: Which commands an integration key may run; None: all.
        created_at: UTC.
        revoked_at: Since when it opens nothing, UTC; None: it does.
        revision: How many times it changed since it was stored.
        realm: The tenant.
    """

    key_id: str
    kind: KeyKind
    name: str
    digest: bytes
    commands: tuple[str, ...] | None = None
    created_at: datetime
    revoked_at: datetime | None = None
    revision: int = 0
    realm: str = ""

    def __repr__(self) -> str:
        return f"ServerKey(key_id={self.key_id!r}, kind={self.kind!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("key_id", self.key_id), ("kind", self.kind)]


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator has changed of a tenant's settings, over the file.

    Attributes:
        values: Keys of the tenant's table in the file, and their values, as JSON.
        updated_at: UTC.
        revision: 1 for the first change.
        realm: The tenant.
    """

    values: bytes
    updated_at: datetime
    revision: int
    realm: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant's servers have said of a user. Nothing here decides who gets in.

    Attributes:
        user_id: The application's own name for the user.
        email, phone_number, username, display_name, locale: As they said; None: they did not.
        email_verified, phone_number_verified: As they said.
        custom: Data points of the application's own.
        created_at, updated_at: UTC.
        revision: How many times it changed since it was stored.
        realm: The tenant.
    """

    user_id: str
    email: str | None = None
    email_verified: bool = False
    phone_number: str | None = None
    phone_number_verified: bool = False
    username: str | None = None
    display_name: str | None = None
    locale: str | None = None
    custom: Mapping[str, CustomValue] = msgspec.field(default_factory=dict[str, CustomValue])
    created_at: datetime
    updated_at: datetime
    revision: int = 0
    realm: str = ""

    def __repr__(self) -> str:
        return f"Profile(user_id={self.user_id!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("user_id", self.user_id)]


class ProfileFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which profiles to list; None means any.

    Attributes:
        email, phone_number, username: Exactly these.
    """

    email: str | None = None
    phone_number: str | None = None
    username: str | None = None


class UserPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some users, by `user_id`, and after whom to go on; None at the end."""

    users: tuple[User, ...]
    next_after: str | None = None


class ProfilePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some profiles, by `user_id`, and after whom to go on; None at the end."""

    profiles: tuple[Profile, ...]
    next_after: str | None = None
