"""Mistakes with users, passkeys, ceremonies and events."""

import asyncio
import unicodedata
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from passkeycore.engine.records import (
    Account,
    Ceremony,
    Event,
    EventCount,
    EventFilter,
    EventPage,
    Passkey,
    User,
)
from passkeycore.engine.repository import Addition
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.repositories.memory.expiring import Expiring
from passkeycore.repositories.memory.tables import Owner
from passkeycore.webauthn.credential import CredentialRecord, CredentialUpdate
from tests.broken_repositories import Folding, Pausing, pause, replace


class Unlocked(MemoryRepository):
    """Looks first and writes then, everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = nullcontext()  # type: ignore[assignment]
        self._users, self._owners = Pausing(), Pausing()
        self._device_owners, self._device_ids = Pausing(), Pausing()
        self._device_challenges._values, self._actions = Pausing(), Pausing()  # type: ignore[assignment]

    def _store(self, owner: Owner) -> None:
        super()._store(owner)
        owner.passkeys, owner.devices = Pausing(owner.passkeys), Pausing(owner.devices)

    def add_ceremony(self, ceremony: Ceremony, /) -> bool:
        state = ceremony.state
        if (state.realm, state.challenge) in self._ceremonies._values:
            return False
        pause()
        self._ceremonies._values[state.realm, state.challenge] = 0, state.expires_at, ceremony
        return True

    def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
        found = self._ceremonies._values.get((realm, challenge))
        pause()
        self._ceremonies._values.pop((realm, challenge), None)
        return None if found is None else found[2]

    def remove_passkey(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        owner = self._users[realm, user_id]
        if credential_id not in owner.passkeys:
            return False
        owner.passkeys.pop(credential_id, None)
        self._owners.pop((realm, credential_id), None)
        return True

    def remove_device(self, realm: str, user_id: str, authenticator_id: str, event: Event | None, /) -> bool:
        owner = self._users[realm, user_id]
        if authenticator_id not in owner.devices:
            return False
        owner.devices.pop(authenticator_id, None)
        return True

    def spend(self, realm: str, key: bytes, expires_at: datetime, /) -> bool:
        taken = (realm, key) in self._spent._values
        pause()
        self._spent._values[realm, key] = 0, expires_at, None
        return not taken

    def _note(self, event: Event | None) -> None:
        if event is not None:
            number = self._events_stored + 1
            pause()
            self._events_stored = number
            self._events.append((number, event))


class ListedFirstLimit(MemoryRepository):
    """Counts in one transaction, inserts in the next."""

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        account = self.find_account(passkey.realm, passkey.user_id)
        if account is not None and len(account.passkeys) >= limit:
            return "limit_reached"
        pause()
        return super().add_passkey(passkey, 10**6, new_user, event)


class SharedAnswer(MemoryRepository):
    """Hands the result over through one variable for all callers."""

    answer: Ceremony | None = None

    def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
        self.answer = super().take_ceremony(realm, challenge)
        pause()
        return self.answer


class LostUpdate(MemoryRepository):
    """Reads a passkey, changes it, and writes all of it back."""

    def rename_passkey(self, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /) -> bool:
        found = self.find_passkey(realm, credential_id)
        if found is None or found[0].user_id != user_id:
            return False
        pause()
        self._owners[realm, credential_id].passkeys[credential_id] = replace(found[0], name=name)
        return True


class LostUserUpdate(MemoryRepository):
    """Reads a user, changes it, and writes all of it back."""

    def _change_user(self, realm: str, user_id: str, event: Event | None, **members: object) -> bool:
        owner = self._users.get((realm, user_id))
        if owner is None:
            return False
        changed = replace(owner.user, **members)
        pause()
        owner.user = changed
        return True


class FoldedCeremonies(MemoryRepository):
    def __init__(self, fold: Callable[[Any], Hashable]) -> None:
        super().__init__()
        self._ceremonies._values = Folding(fold)
        self._spent._values = Folding(fold)


class FoldedUsers(MemoryRepository):
    def __init__(self, fold: Callable[[Any], Hashable]) -> None:
        super().__init__()
        self._users = Folding(fold)


class FoldedCredentials(MemoryRepository):
    def __init__(self, fold: Callable[[Any], Hashable]) -> None:
        super().__init__()
        self._owners = Folding(fold)


def folded(
    kind: type[FoldedCeremonies] | type[FoldedUsers] | type[FoldedCredentials], by: Callable[[Any], Any]
) -> Callable[[], MemoryRepository]:
    """A repository for which ids are the same when `by` gives the same."""
    return lambda: kind(lambda key: (key[0], by(key[1])))


def realmless(
    kind: type[FoldedCeremonies] | type[FoldedUsers] | type[FoldedCredentials],
) -> Callable[[], MemoryRepository]:
    """A repository whose tables do not know the realm."""
    return lambda: kind(lambda key: key[1])


def composed(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def without_zeros(key: bytes) -> bytes:
    return key.rstrip(b"\0")


class ReplacedCeremony(MemoryRepository):
    def add_ceremony(self, ceremony: Ceremony, /) -> bool:
        self.take_ceremony(ceremony.state.realm, ceremony.state.challenge)
        return super().add_ceremony(ceremony)


class KeptCeremony(MemoryRepository):
    def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
        found = self._ceremonies._values.get((realm, challenge))
        return None if found is None else found[2]


class HalfCeremony(MemoryRepository):
    def add_ceremony(self, ceremony: Ceremony, /) -> bool:
        return super().add_ceremony(replace(ceremony, new_user=None))


class ImpatientCleaning(MemoryRepository):
    def remove_expired(self, now: datetime, /) -> int:
        return super().remove_expired(now + timedelta(minutes=1))


class GreedyCleaning(MemoryRepository):
    def remove_expired(self, now: datetime, /) -> int:
        removed = len(self._ceremonies)
        self._ceremonies = Expiring()
        return removed


class OneStepCleaning(MemoryRepository):
    """Removes from the front while what is there is over, as if ceremonies expired in the order of their start."""

    def remove_expired(self, now: datetime, /) -> int:
        removed = 0
        while self._ceremonies and next(iter(self._ceremonies._values.values()))[1] < now - timedelta(minutes=1):
            self._ceremonies.take_oldest()
            removed += 1
        return removed


class SilentCleaning(MemoryRepository):
    def remove_expired(self, now: datetime, /) -> int:
        super().remove_expired(now)
        return 0


class ForgetfulCleaning(MemoryRepository):
    """Forgets all that is spent, as if every sealed state were over."""

    def remove_expired(self, now: datetime, /) -> int:
        removed = super().remove_expired(now) + len(self._spent)
        self._spent = Expiring()
        return removed


class HalfCleaning(MemoryRepository):
    """Counts what is spent and over, and keeps it."""

    def remove_expired(self, now: datetime, /) -> int:
        before = now - timedelta(minutes=1)
        return sum(expires_at < before for _, expires_at, _ in self._spent._values.values())


class LooseCounting(MemoryRepository):
    def remove_expired(self, now: datetime, /) -> int:
        return min(1, super().remove_expired(now))


class SpentUntil(MemoryRepository):
    """Takes a key for unspent when another expiry comes with it."""

    def spend(self, realm: str, key: bytes, expires_at: datetime, /) -> bool:
        return super().spend(realm, key + expires_at.isoformat().encode(), expires_at)


class OverwritingUser(MemoryRepository):
    def get_or_create_user(self, user: User, /) -> User:
        super().get_or_create_user(user)
        self._users[user.realm, user.user_id].user = user
        return user


class EchoedUser(MemoryRepository):
    """Answers with what was given, also when another user is stored."""

    def get_or_create_user(self, user: User, /) -> User:
        super().get_or_create_user(user)
        return user


class InventedUser(MemoryRepository):
    def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        super().get_or_create_user(
            User(user_id=user_id, user_handle=user_id.encode(), name=name, created_at=datetime.now(UTC), realm=realm)
        )
        return super().rename_user(realm, user_id, name, display_name, event)


class OneWayDisabling(MemoryRepository):
    def set_user_disabled(self, realm: str, user_id: str, disabled_at: datetime | None, event: Event | None, /) -> bool:
        return super().set_user_disabled(realm, user_id, disabled_at or datetime.now(UTC), event)


class StaleName(MemoryRepository):
    """Renames without the display name."""

    def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        return self._change_user(realm, user_id, event, name=name)


class Orphans(MemoryRepository):
    """Leaves the passkeys of a removed user behind."""

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        owner = self._users.pop((realm, user_id), None)
        if owner is not None:
            self._handles.discard((realm, owner.user.user_handle))
        return owner is not None


class SharedHandle(MemoryRepository):
    """A second user with the same handle takes everything over."""

    def get_or_create_user(self, user: User, /) -> User:
        for (realm, _), owner in self._users.items():
            if realm == user.realm and owner.user.user_handle == user.user_handle:
                owner.user = user
                return user
        return super().get_or_create_user(user)


class TwinHandle(MemoryRepository):
    """User handles are in no unique index."""

    def _store(self, owner: Owner) -> None:
        super()._store(owner)
        self._handles.clear()


class ShortHandle(MemoryRepository):
    def get_or_create_user(self, user: User, /) -> User:
        return super().get_or_create_user(replace(user, user_handle=user.user_handle[:16].rstrip(b"\0")))


class Mangled(MemoryRepository):
    """Stores each passkey as `change` gives it."""

    def __init__(self, change: Callable[[Passkey], Passkey]) -> None:
        super().__init__()
        self.change = change

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        return super().add_passkey(self.change(passkey), limit, new_user, event)


def mangled(change: Callable[[CredentialRecord], dict[str, Any]]) -> Callable[[], MemoryRepository]:
    """A repository that changes members of the credential while it stores it."""
    return lambda: Mangled(lambda one: replace(one, credential=replace(one.credential, **change(one.credential))))


def dated(change: Callable[[datetime], datetime]) -> Callable[[], MemoryRepository]:
    """A repository that changes the time at which a passkey was made."""
    return lambda: Mangled(lambda one: replace(one, created_at=change(one.created_at)))


class NewestFirst(MemoryRepository):
    def find_account(self, realm: str, user_id: str, /) -> Account | None:
        account = super().find_account(realm, user_id)
        return None if account is None else replace(account, passkeys=account.passkeys[::-1])


class ReplacedPasskey(MemoryRepository):
    """INSERT OR REPLACE."""

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        found = self.find_passkey(passkey.realm, passkey.credential_id)
        if found is not None:
            self.remove_passkey(passkey.realm, found[1].user_id, passkey.credential_id, None)
        return super().add_passkey(passkey, limit, new_user, event)


class UpdatedPasskey(MemoryRepository):
    """Takes the owner's own credential for a new version of the same."""

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        found = self.find_passkey(passkey.realm, passkey.credential_id)
        if found is not None and found[1].user_id == passkey.user_id:
            self.remove_passkey(passkey.realm, passkey.user_id, passkey.credential_id, None)
        return super().add_passkey(passkey, limit, new_user, event)


class NeverFreed(MemoryRepository):
    """Counts passkeys up and never down."""

    def __init__(self) -> None:
        super().__init__()
        self.count = dict[tuple[str, str], int]()

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        owner = passkey.realm, passkey.user_id
        if self.count.get(owner, 0) >= limit:
            return "limit_reached"
        answer = super().add_passkey(passkey, limit, new_user, event)
        self.count[owner] = self.count.get(owner, 0) + (answer == "added")
        return answer


class OneTooMany(MemoryRepository):
    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        return super().add_passkey(passkey, limit + 1, new_user, event)


class AnyHandle(MemoryRepository):
    """Does not compare user handles."""

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        account = self.find_account(passkey.realm, passkey.user_id)
        if account is not None:
            record = replace(passkey.credential, user_handle=account.user.user_handle)
            passkey = replace(passkey, credential=record)
        return super().add_passkey(passkey, limit, new_user, event)


class DisabledSignIn(MemoryRepository):
    def advance_passkey(self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /) -> bool:
        owner = self._owners[realm, update.credential_id]
        since, owner.user = owner.user.disabled_at, replace(owner.user, disabled_at=None)
        written = super().advance_passkey(realm, update, used_at, event)
        owner.user = replace(owner.user, disabled_at=since)
        return written


class DisabledWelcome(MemoryRepository):
    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        owner = self._users.get((passkey.realm, passkey.user_id))
        if owner is None or new_user is not None:
            return super().add_passkey(passkey, limit, new_user, event)
        since, owner.user = owner.user.disabled_at, replace(owner.user, disabled_at=None)
        answer = super().add_passkey(passkey, limit, new_user, event)
        owner.user = replace(owner.user, disabled_at=since)
        return answer


class HalfAccount(MemoryRepository):
    """Creates the user in one transaction and the passkey in the next."""

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        if new_user is not None:
            if self.find_account(new_user.realm, new_user.user_id) is not None:
                return "user_exists"
            pause()
            self.get_or_create_user(new_user)
        return super().add_passkey(passkey, limit, None, event)


class JoinedAccount(MemoryRepository):
    """Takes a user who is there for the new one."""

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        if new_user is not None and self.find_account(new_user.realm, new_user.user_id) is not None:
            new_user = None
        return super().add_passkey(passkey, limit, new_user, event)


class Judged(MemoryRepository):
    """Writes an authentication after `judge` has changed what it expects, given what is stored."""

    def __init__(self, judge: Callable[[CredentialUpdate, CredentialRecord], CredentialUpdate | None]) -> None:
        super().__init__()
        self.judge = judge

    def advance_passkey(self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /) -> bool:
        pause()
        found = self.find_passkey(realm, update.credential_id)
        judged = None if found is None else self.judge(update, found[0].credential)
        return judged is not None and super().advance_passkey(realm, judged, used_at, event)


def ignoring(*members: str) -> Callable[[], MemoryRepository]:
    """A repository that writes without comparing these."""

    def judge(update: CredentialUpdate, stored: CredentialRecord) -> CredentialUpdate:
        return replace(update, **{f"expected_{name}": getattr(stored, name) for name in members})

    return lambda: Judged(judge)


def null_is_false(update: CredentialUpdate, stored: CredentialRecord) -> CredentialUpdate:
    """COALESCE(backup_state, FALSE)."""
    same = bool(update.expected_backup_state) == bool(stored.backup_state)
    return replace(update, expected_backup_state=stored.backup_state) if same else update


def null_equals_nothing(update: CredentialUpdate, stored: CredentialRecord) -> CredentialUpdate | None:
    """WHERE backup_state = NULL."""
    return None if update.expected_backup_state is None else update


def lower_or_equal(update: CredentialUpdate, stored: CredentialRecord) -> CredentialUpdate:
    """WHERE sign_count <= ?: a stale judgement passes."""
    return replace(update, expected_sign_count=min(stored.sign_count, update.sign_count))


class ForgottenUse(MemoryRepository):
    def advance_passkey(self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /) -> bool:
        return super().advance_passkey(realm, update, used_at.replace(microsecond=0), event)


class Revived(MemoryRepository):
    """An upsert: what was removed meanwhile comes back."""

    def advance_passkey(self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /) -> bool:
        super().advance_passkey(realm, update, used_at, event)
        return True


class Anybodys(MemoryRepository):
    """The owner is not in the WHERE clause."""

    def _owner_of(self, realm: str, user_id: str, credential_id: bytes) -> str:
        found = self.find_passkey(realm, credential_id)
        return user_id if found is None else found[1].user_id


class AnybodyRemoves(Anybodys):
    def remove_passkey(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        return super().remove_passkey(realm, self._owner_of(realm, user_id, credential_id), credential_id, event)


class AnybodyRenames(Anybodys):
    def rename_passkey(self, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /) -> bool:
        return super().rename_passkey(realm, self._owner_of(realm, user_id, credential_id), credential_id, name, event)


class AnybodyConfirms(Anybodys):
    def confirm_user_verification(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        owner = self._owner_of(realm, user_id, credential_id)
        return super().confirm_user_verification(realm, owner, credential_id, event)


class EmptyConfirmation(MemoryRepository):
    def confirm_user_verification(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        return self.rename_passkey(realm, user_id, credential_id, "confirmed", event)


class RemovesEverybodys(MemoryRepository):
    def remove_passkeys(self, realm: str, user_id: str, event: Event | None, /) -> int:
        others = [owner for of, owner in list(self._users) if of == realm and owner != user_id]
        return super().remove_passkeys(realm, user_id, event) + sum(
            super(RemovesEverybodys, self).remove_passkeys(realm, other, None) for other in others
        )


class Recorded(MemoryRepository):
    """Stores events on its own account, beside the change."""

    def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        if event is not None:
            self.add_event(event)
        return super().rename_user(realm, user_id, name, display_name, None)


class Unrecorded(MemoryRepository):
    def remove_passkeys(self, realm: str, user_id: str, event: Event | None, /) -> int:
        return super().remove_passkeys(realm, user_id, None)


class ForgottenEvents(MemoryRepository):
    """ON DELETE CASCADE."""

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        removed = super().remove_user(realm, user_id, event)
        left = [(number, one) for number, one in self._events if one.user_id != user_id]
        self._events.clear()
        self._events.extend(left)
        return removed


class Listed(MemoryRepository):
    """Lists events in another way."""

    def found(self, realm: str, which: EventFilter) -> list[Event]:
        return list(super().list_events(realm, which, None, 10**6).events)

    def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        events, at = self.found(realm, which), int(cursor or 0)
        more = len(events) > at + limit
        return EventPage(events=tuple(events[at : at + limit]), next_cursor=str(at + limit) if more else None)


class OldestFirst(Listed):
    def found(self, realm: str, which: EventFilter) -> list[Event]:
        return super().found(realm, which)[::-1]


class ByTime(Listed):
    def found(self, realm: str, which: EventFilter) -> list[Event]:
        return sorted(super().found(realm, which), key=lambda event: event.at, reverse=True)


class InclusiveUntil(MemoryRepository):
    def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        if which.until is not None:
            which = replace(which, until=which.until + timedelta(microseconds=1))
        return super().list_events(realm, which, cursor, limit)


class AnyTypes(MemoryRepository):
    """`if which.types:`, so that none means all."""

    def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        return super().list_events(realm, replace(which, types=which.types or None), cursor, limit)


class PlainTypes(MemoryRepository):
    """Gives the type of an event as a plain text."""

    def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        page = super().list_events(realm, which, cursor, limit)
        events = tuple(replace(event, type=event.type.value) for event in page.events)
        return replace(page, events=events)


class LocalDays(MemoryRepository):
    def count_events(self, realm: str, which: EventFilter, /) -> tuple[EventCount, ...]:
        shifted = MemoryRepository()
        for event in super().list_events(realm, which, None, 10**6).events:
            shifted.add_event(replace(event, at=event.at + timedelta(hours=1)))
        return shifted.count_events(realm, EventFilter())


class RealmlessEvents(MemoryRepository):
    def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        realms = {event.realm for _, event in self._events}
        pages = [super(RealmlessEvents, self).list_events(of, which, None, 10**6) for of in realms]
        return EventPage(events=tuple(event for page in pages for event in page.events)[:limit])


class UnfilteredCounts(MemoryRepository):
    def count_events(self, realm: str, which: EventFilter, /) -> tuple[EventCount, ...]:
        return super().count_events(realm, EventFilter())


class AsyncUnlocked(AsyncMemoryRepository):
    """Looks first and writes then, with a turn for other tasks in between."""

    async def take_ceremony(  # type: ignore[override]
        self, realm: str, challenge: bytes, /
    ) -> Ceremony | None:
        found = self.memory._ceremonies._values.get((realm, challenge))
        await asyncio.sleep(0)
        self.memory.take_ceremony(realm, challenge)
        return None if found is None else found[2]
