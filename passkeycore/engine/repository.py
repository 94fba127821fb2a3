"""What an embedder writes to keep passkeys in a storage of their own: three protocols, each in both colours.

Every method is atomic by itself and lasts when it returns; `Atomicity` says what may not happen in between, `Answer`
what the result means. Only these answers are results: whatever the storage raises (no connection, a timeout, a full
disk) has to come through as it is, and must leave things as they were. `passkeycore.testing.contract` has the tests
that a repository must pass.

Everything is scoped by realm: what belongs to another realm does not exist. `event`, where it is given, is stored in
the same transaction as the change, and not at all when nothing changes; a repository without a store of events may
ignore it, as it is given only where `store_events` asks for it. Strings compare exactly, byte for byte, and credential
ids are binary, up to 1023 bytes.
"""

from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from ..webauthn.credential import CredentialUpdate
from .records import Account, Ceremony, Event, EventCount, EventFilter, EventPage, Passkey, User

Addition: TypeAlias = Literal[
    "added", "credential_exists", "limit_reached", "user_not_found", "user_disabled", "user_exists"
]


class CeremonyRepository(Protocol):
    """Ceremonies under way. `RedisCeremonies`, or part of a repository."""

    def add_ceremony(self, ceremony: Ceremony, /) -> bool:
        """Keeps `ceremony` under its realm and challenge until at least a minute after its `state.expires_at`.

        Atomicity: Insert only; a ceremony that is there is never replaced.
        Answer: False when the challenge is taken.
        """
        ...

    def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
        """Removes and returns the ceremony with this challenge.

        Atomicity: Of any number of callers one gets it. It is gone when this returns, also if the caller's own
            transaction is rolled back later: otherwise a rollback would revive the challenge.
        Answer: None when there is none (any more). An expired one may still come: the engine looks at its time.
        """
        ...

    def remove_expired(self, now: datetime, /) -> int:
        """Removes what expired more than a minute before `now`, in small steps that block nobody.

        Answer: How many were removed; 0 where the storage does this by itself.
        """
        ...


class SpentRepository(Protocol):
    """What was spent, so that a sealed ceremony state counts once."""

    def spend(self, realm: str, key: bytes, expires_at: datetime, /) -> bool:
        """Notes that `key` (32 bytes) is spent, until at least a minute after `expires_at`.

        Atomicity: Of any number of callers one gets True; independent of the caller's transaction.
        Answer: False when it was spent before.
        """
        ...

    def remove_expired(self, now: datetime, /) -> int:
        """See `CeremonyRepository.remove_expired`."""
        ...


class PasskeyRepository(Protocol):
    """Users and their passkeys."""

    def get_or_create_user(self, user: User, /) -> User:
        """The stored user with `user.user_id`; `user` itself, now stored, where there was none.

        Atomicity: Of several callers one creates, and all get the same user. Nothing stored is changed. No two users
            of a realm have one user handle.

        Raises:
            ConflictError: `conflict`: there was none, and another user has the user handle of `user`.
        """
        ...

    def find_account(self, realm: str, user_id: str, /) -> Account | None:
        """The user and their passkeys, the oldest first, in one read.

        Answer: None when there is no such user.
        """
        ...

    def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        """Gives the user other names. Answer: False when there is no such user."""
        ...

    def set_user_disabled(self, realm: str, user_id: str, disabled_at: datetime | None, event: Event | None, /) -> bool:
        """Disables the user since `disabled_at`, or enables (None). Answer: False when there is no such user."""
        ...

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        """Removes the user and all their passkeys; events about them stay.

        Atomicity: All or nothing.
        Answer: False when there was nothing to remove.
        """
        ...

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        """Stores a new passkey; with `new_user`, its owner, together with that user, who must not exist yet.

        Atomicity: All or nothing. Unique in the realm is the credential id, whoever has it; a passkey that is there
            is never replaced. Also with many callers the user never has more than `limit`; to count first and to
            insert then is not enough.
        Answer: ``added``, or why nothing was stored. ``user_not_found`` also when the stored user has another user
            handle than `passkey.credential`, ``user_exists`` also when another user has the handle of `new_user`. Of
            several reasons any one.
        """
        ...

    def find_passkey(self, realm: str, credential_id: bytes, /) -> tuple[Passkey, User] | None:
        """The passkey with this id and its owner, in one read. Answer: None when there is none."""
        ...

    def advance_passkey(self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /) -> bool:
        """Writes what an authentication changes in the credential, and `used_at` as `last_used_at`.

        Atomicity: Compare-and-set: only while sign count, backup state and uv_initialized are still the ones that
            `update` expects (None equals None), and the owner is not disabled: one who was disabled since the passkey
            was read does not get in.
        Answer: False when that is not so, or the passkey is gone; then nothing changed.
        """
        ...

    def rename_passkey(self, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /) -> bool:
        """Renames the user's passkey. Answer: False when the user has no such passkey, whoever else has."""
        ...

    def remove_passkey(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        """Removes the user's passkey. Answer: False when the user has no such passkey, whoever else has."""
        ...

    def remove_passkeys(self, realm: str, user_id: str, event: Event | None, /) -> int:
        """Removes all of the user's passkeys. Answer: How many there were."""
        ...

    def confirm_user_verification(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        """Sets `uv_initialized` of the user's passkey. Answer: False when the user has no such passkey."""
        ...


class EventRepository(Protocol):
    """A store of events. Optional."""

    def add_event(self, event: Event, /) -> None:
        """Stores an event that goes with no other change."""
        ...

    def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        """Up to `limit` events, the last stored first, from `cursor` on.

        Raises:
            DecodeError: `cursor_invalid`: no cursor of this repository's.
        """
        ...

    def count_events(self, realm: str, which: EventFilter, /) -> tuple[EventCount, ...]:
        """How many there were, by day (UTC) and type, in this order."""
        ...


class Repository(PasskeyRepository, CeremonyRepository, Protocol):
    """Passkeys and ceremonies in one place."""


class AsyncCeremonyRepository(Protocol):
    """`CeremonyRepository` for asyncio."""

    async def add_ceremony(self, ceremony: Ceremony, /) -> bool:
        """See `CeremonyRepository.add_ceremony`."""
        ...

    async def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
        """See `CeremonyRepository.take_ceremony`."""
        ...

    async def remove_expired(self, now: datetime, /) -> int:
        """See `CeremonyRepository.remove_expired`."""
        ...


class AsyncSpentRepository(Protocol):
    """`SpentRepository` for asyncio."""

    async def spend(self, realm: str, key: bytes, expires_at: datetime, /) -> bool:
        """See `SpentRepository.spend`."""
        ...

    async def remove_expired(self, now: datetime, /) -> int:
        """See `SpentRepository.remove_expired`."""
        ...


class AsyncPasskeyRepository(Protocol):
    """`PasskeyRepository` for asyncio."""

    async def get_or_create_user(self, user: User, /) -> User:
        """See `PasskeyRepository.get_or_create_user`."""
        ...

    async def find_account(self, realm: str, user_id: str, /) -> Account | None:
        """See `PasskeyRepository.find_account`."""
        ...

    async def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        """See `PasskeyRepository.rename_user`."""
        ...

    async def set_user_disabled(
        self, realm: str, user_id: str, disabled_at: datetime | None, event: Event | None, /
    ) -> bool:
        """See `PasskeyRepository.set_user_disabled`."""
        ...

    async def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        """See `PasskeyRepository.remove_user`."""
        ...

    async def add_passkey(
        self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /
    ) -> Addition:
        """See `PasskeyRepository.add_passkey`."""
        ...

    async def find_passkey(self, realm: str, credential_id: bytes, /) -> tuple[Passkey, User] | None:
        """See `PasskeyRepository.find_passkey`."""
        ...

    async def advance_passkey(
        self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /
    ) -> bool:
        """See `PasskeyRepository.advance_passkey`."""
        ...

    async def rename_passkey(
        self, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /
    ) -> bool:
        """See `PasskeyRepository.rename_passkey`."""
        ...

    async def remove_passkey(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        """See `PasskeyRepository.remove_passkey`."""
        ...

    async def remove_passkeys(self, realm: str, user_id: str, event: Event | None, /) -> int:
        """See `PasskeyRepository.remove_passkeys`."""
        ...

    async def confirm_user_verification(
        self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /
    ) -> bool:
        """See `PasskeyRepository.confirm_user_verification`."""
        ...


class AsyncEventRepository(Protocol):
    """`EventRepository` for asyncio."""

    async def add_event(self, event: Event, /) -> None:
        """See `EventRepository.add_event`."""
        ...

    async def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        """See `EventRepository.list_events`."""
        ...

    async def count_events(self, realm: str, which: EventFilter, /) -> tuple[EventCount, ...]:
        """See `EventRepository.count_events`."""
        ...


class AsyncRepository(AsyncPasskeyRepository, AsyncCeremonyRepository, Protocol):
    """Passkeys and ceremonies in one place, for asyncio."""
