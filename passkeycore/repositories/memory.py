"""Everything in this process's memory: for tests, for trying things out, and as the measure of other repositories.

What is here is gone with the process, and another process does not see it: keep real users' passkeys in SQL.
"""

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from inspect import signature
from itertools import islice
from types import CoroutineType
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

import msgspec

from ..engine.records import Account, Ceremony, Event, EventCount, EventFilter, EventPage, Passkey, User
from ..engine.repository import Addition
from ..errors import Code, ConfigurationError, ConflictError, DecodeError
from ..webauthn.credential import CredentialUpdate, confirm_user_verification

_T = TypeVar("_T")
_V = TypeVar("_V")
_P = ParamSpec("_P")

_GRACE: Final = timedelta(minutes=1)  # kept after the expiry, so that the engine can say "expired" instead of "unknown"
_BATCH: Final = 1000  # removed in one go, while everybody else waits
_CURSOR_DIGITS: Final = 20


class _Expiring(Generic[_V]):
    """Values that expire, by realm and key; not thread-safe.

    Lifetimes differ, so that the order of insertion is not the order of expiry. Beside the values, the keys are kept by
    the second in which they expire: what is due is found among a few hundred seconds, however many values there are,
    and what is taken early leaves nothing behind, as it would in a heap.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[str, bytes], tuple[int, datetime, _V]] = OrderedDict()
        self._seconds: dict[int, set[tuple[str, bytes]]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def add(self, realm: str, key: bytes, value: _V, expires_at: datetime) -> bool:
        """False when the key is taken."""
        place = realm, key
        if place in self._values:
            return False
        second = int(expires_at.timestamp())
        self._values[place] = second, expires_at, value
        self._seconds.setdefault(second, set()).add(place)
        return True

    def take(self, realm: str, key: bytes) -> _V | None:
        place = realm, key
        found = self._values.pop(place, None)
        if found is None:
            return None
        self._forget(place, found[0])
        return found[2]

    def remove_oldest(self) -> None:
        place, (second, *_) = self._values.popitem(last=False)
        self._forget(place, second)

    def remove_expired(self, now: datetime) -> int:
        """Removes some of what expired more than `_GRACE` before `now`. Answer: how many, 0 when none is left."""
        before = now - _GRACE
        last = int(before.timestamp())
        due = (place for second in self._seconds if second <= last for place in self._seconds[second])
        some = list(islice((place for place in due if self._values[place][1] < before), _BATCH))
        for place in some:
            self._forget(place, self._values.pop(place)[0])
        return len(some)

    def _forget(self, place: tuple[str, bytes], second: int) -> None:
        places = self._seconds[second]
        places.discard(place)
        if not places:
            del self._seconds[second]


class _Owner:
    """A user with their passkeys by credential id."""

    __slots__ = ("passkeys", "user")

    def __init__(self, user: User) -> None:
        self.user = user
        self.passkeys: dict[bytes, Passkey] = {}


class MemoryRepository:
    """A `Repository`, `EventRepository` and `SpentRepository` in memory, for any number of threads.

    Call `remove_expired` now and then, as with every repository. Users and passkeys are unbounded.
    """

    def __init__(self, *, max_ceremonies: int = 100_000, max_events: int = 10_000, max_spent: int = 1_000_000) -> None:
        """An empty one.

        Args:
            max_ceremonies: How many may be under way. When there are more, those that expired go first, then the
                oldest. The default takes about 100 MB when it is reached.
            max_events: How many events are kept; older ones are dropped. The default takes about 6 MB.
            max_spent: How many spent keys are remembered. When all of them are needed, nothing more can be spent until
                some expire. The default takes about 400 MB when it is reached.

        Raises:
            ConfigurationError: One of them is not positive.
        """
        for name, most in (("max_ceremonies", max_ceremonies), ("max_events", max_events), ("max_spent", max_spent)):
            if most < 1:
                raise ConfigurationError("must be 1 or more", path=name)
        self._max_ceremonies = max_ceremonies
        self._max_spent = max_spent
        self._lock = threading.Lock()
        self._ceremonies = _Expiring[Ceremony]()
        self._spent = _Expiring[None]()
        self._users: dict[tuple[str, str], _Owner] = {}
        self._handles: set[tuple[str, bytes]] = set()
        self._owners: dict[tuple[str, bytes], _Owner] = {}  # by credential id
        self._events: deque[tuple[int, Event]] = deque(maxlen=max_events)
        self._events_stored = 0

    def add_ceremony(self, ceremony: Ceremony, /) -> bool:
        """See `CeremonyRepository.add_ceremony`."""
        state = ceremony.state
        with self._lock:
            # Everybody may begin ceremonies, as many as they like: to keep all of them would let them take all memory,
            # to refuse new ones would let them lock out everybody else. The oldest are the likeliest to be abandoned.
            while len(self._ceremonies) >= self._max_ceremonies:
                if not self._ceremonies.remove_expired(state.created_at):
                    self._ceremonies.remove_oldest()
            return self._ceremonies.add(state.realm, state.challenge, ceremony, state.expires_at)

    def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
        """See `CeremonyRepository.take_ceremony`."""
        with self._lock:
            return self._ceremonies.take(realm, challenge)

    def remove_expired(self, now: datetime, /) -> int:
        """See `CeremonyRepository.remove_expired`. Spent keys, too."""
        removed = 0
        for values in (self._ceremonies, self._spent):
            while True:
                with self._lock:  # given back after each batch: nobody waits for all of them
                    some = values.remove_expired(now)
                if not some:
                    break
                removed += some
        return removed

    def spend(self, realm: str, key: bytes, expires_at: datetime, /) -> bool:
        """See `SpentRepository.spend`. Answer: False, too, when there is no room for the key."""
        with self._lock:
            # The clock decides only what may be forgotten. What may not is kept, and the newcomer refused: a key that
            # was forgotten could be spent twice.
            if len(self._spent) >= self._max_spent and not self._spent.remove_expired(datetime.now(UTC)):
                return False
            return self._spent.add(realm, key, None, expires_at)

    def get_or_create_user(self, user: User, /) -> User:
        """See `PasskeyRepository.get_or_create_user`.

        Raises:
            ConflictError: `conflict`: another user has this user handle.
        """
        with self._lock:
            owner = self._users.get((user.realm, user.user_id))
            if owner is not None:
                return owner.user
            if (user.realm, user.user_handle) in self._handles:
                raise ConflictError(Code.CONFLICT, "another user has this user handle")
            self._store(_Owner(user))
            return user

    def find_account(self, realm: str, user_id: str, /) -> Account | None:
        """See `PasskeyRepository.find_account`."""
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None:
                return None
            passkeys = tuple(sorted(owner.passkeys.values(), key=_created_at))
            return Account(user=owner.user, passkeys=passkeys)

    def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        """See `PasskeyRepository.rename_user`."""
        return self._change_user(realm, user_id, event, name=name, display_name=display_name)

    def set_user_disabled(self, realm: str, user_id: str, disabled_at: datetime | None, event: Event | None, /) -> bool:
        """See `PasskeyRepository.set_user_disabled`."""
        return self._change_user(realm, user_id, event, disabled_at=disabled_at)

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        """See `PasskeyRepository.remove_user`."""
        with self._lock:
            owner = self._users.pop((realm, user_id), None)
            if owner is None:
                return False
            self._handles.discard((realm, owner.user.user_handle))
            for credential_id in owner.passkeys:
                del self._owners[realm, credential_id]
            self._note(event)
            return True

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        """See `PasskeyRepository.add_passkey`."""
        realm, credential_id = passkey.realm, passkey.credential_id
        with self._lock:
            owner = self._users.get((realm, passkey.user_id))
            if new_user is not None:
                if owner is not None or (realm, new_user.user_handle) in self._handles:
                    return "user_exists"
                owner = _Owner(new_user)
            if owner is None or owner.user.user_handle != passkey.credential.user_handle:
                return "user_not_found"
            if owner.user.disabled_at is not None:
                return "user_disabled"
            if (realm, credential_id) in self._owners:
                return "credential_exists"
            if len(owner.passkeys) >= limit:
                return "limit_reached"
            if new_user is not None:
                self._store(owner)
            owner.passkeys[credential_id] = passkey
            self._owners[realm, credential_id] = owner
            self._note(event)
            return "added"

    def find_passkey(self, realm: str, credential_id: bytes, /) -> tuple[Passkey, User] | None:
        """See `PasskeyRepository.find_passkey`."""
        owner = self._owners.get((realm, credential_id))  # without the lock: each look is atomic by itself
        passkey = None if owner is None else owner.passkeys.get(credential_id)
        return None if owner is None or passkey is None else (passkey, owner.user)

    def advance_passkey(self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /) -> bool:
        """See `PasskeyRepository.advance_passkey`."""
        credential_id = update.credential_id
        with self._lock:
            owner = self._owners.get((realm, credential_id))
            if owner is None or owner.user.disabled_at is not None:
                return False
            passkey = owner.passkeys[credential_id]
            record = passkey.credential
            if (
                record.sign_count != update.expected_sign_count
                or record.backup_state is not update.expected_backup_state
                or record.uv_initialized is not update.expected_uv_initialized
            ):
                return False
            owner.passkeys[credential_id] = msgspec.structs.replace(
                passkey, credential=update.apply(record), last_used_at=used_at
            )
            self._note(event)
            return True

    def rename_passkey(self, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /) -> bool:
        """See `PasskeyRepository.rename_passkey`."""
        return self._change_passkey(
            realm, user_id, credential_id, event, lambda passkey: msgspec.structs.replace(passkey, name=name)
        )

    def remove_passkey(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        """See `PasskeyRepository.remove_passkey`."""
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None or owner.passkeys.pop(credential_id, None) is None:
                return False
            del self._owners[realm, credential_id]
            self._note(event)
            return True

    def remove_passkeys(self, realm: str, user_id: str, event: Event | None, /) -> int:
        """See `PasskeyRepository.remove_passkeys`."""
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None or not owner.passkeys:
                return 0
            removed, owner.passkeys = owner.passkeys, {}
            for credential_id in removed:
                del self._owners[realm, credential_id]
            self._note(event)
            return len(removed)

    def confirm_user_verification(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        """See `PasskeyRepository.confirm_user_verification`."""
        return self._change_passkey(realm, user_id, credential_id, event, _confirmed)

    def add_event(self, event: Event, /) -> None:
        """See `EventRepository.add_event`."""
        with self._lock:
            self._note(event)

    def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        """See `EventRepository.list_events`.

        Raises:
            DecodeError: `cursor_invalid`: no cursor of this repository's.
        """
        newest = None if cursor is None else _number(cursor)
        found = (
            (number, event)
            for number, event in reversed(self._snapshot())
            if (newest is None or number <= newest) and _matches(event, realm, which)
        )
        page = list(islice(found, limit + 1))
        return EventPage(
            events=tuple(event for _, event in page[:limit]),
            next_cursor=str(page[limit][0]) if len(page) > limit else None,
        )

    def count_events(self, realm: str, which: EventFilter, /) -> tuple[EventCount, ...]:
        """See `EventRepository.count_events`."""
        counts = Counter(
            (event.at.date(), event.type) for _, event in self._snapshot() if _matches(event, realm, which)
        )
        return tuple(EventCount(day=day, type=kind, count=count) for (day, kind), count in sorted(counts.items()))

    def _store(self, owner: _Owner) -> None:
        user = owner.user
        self._users[user.realm, user.user_id] = owner
        self._handles.add((user.realm, user.user_handle))

    def _change_user(self, realm: str, user_id: str, event: Event | None, **members: object) -> bool:
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None:
                return False
            owner.user = msgspec.structs.replace(owner.user, **members)
            self._note(event)
            return True

    def _change_passkey(
        self, realm: str, user_id: str, credential_id: bytes, event: Event | None, change: Callable[[Passkey], Passkey]
    ) -> bool:
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None or credential_id not in owner.passkeys:
                return False
            owner.passkeys[credential_id] = change(owner.passkeys[credential_id])
            self._note(event)
            return True

    def _note(self, event: Event | None) -> None:
        if event is not None:
            self._events_stored += 1
            self._events.append((self._events_stored, event))

    def _snapshot(self) -> tuple[tuple[int, Event], ...]:
        with self._lock:  # copied, so that nobody waits while they are looked through
            return tuple(self._events)


def _created_at(passkey: Passkey) -> datetime:
    return passkey.created_at


def _confirmed(passkey: Passkey) -> Passkey:
    return msgspec.structs.replace(passkey, credential=confirm_user_verification(passkey.credential))


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _CURSOR_DIGITS):
        raise DecodeError(Code.CURSOR_INVALID, "no cursor of this repository's", path="cursor")
    return int(cursor)


def _matches(event: Event, realm: str, which: EventFilter) -> bool:
    return (
        event.realm == realm
        and (which.types is None or event.type in which.types)
        and (which.user_id is None or event.user_id == which.user_id)
        and (which.credential_id is None or event.credential_id == which.credential_id)
        and (which.since is None or event.at >= which.since)
        and (which.until is None or event.at < which.until)
    )


def _asynchronous(
    method: Callable[Concatenate[MemoryRepository, _P], _T],
) -> "Callable[Concatenate[AsyncMemoryRepository, _P], CoroutineType[Any, Any, _T]]":
    """`method` of the repository within, for asyncio; there is nothing to wait for, so it never suspends."""

    async def call(self: "AsyncMemoryRepository", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return method(self.memory, *args, **kwargs)

    call.__name__, call.__doc__ = method.__name__, method.__doc__
    call.__qualname__ = f"AsyncMemoryRepository.{method.__name__}"
    call.__signature__ = signature(method)  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]  # mypy calls it a Coroutine, pyright the narrower CoroutineType


class AsyncMemoryRepository:
    """`MemoryRepository` for asyncio.

    Attributes:
        memory: The same users, passkeys, ceremonies and events for synchronous code.
    """

    def __init__(self, *, max_ceremonies: int = 100_000, max_events: int = 10_000, max_spent: int = 1_000_000) -> None:
        """An empty one; see `MemoryRepository`."""
        self.memory: Final = MemoryRepository(max_ceremonies=max_ceremonies, max_events=max_events, max_spent=max_spent)

    add_ceremony = _asynchronous(MemoryRepository.add_ceremony)
    take_ceremony = _asynchronous(MemoryRepository.take_ceremony)
    remove_expired = _asynchronous(MemoryRepository.remove_expired)
    spend = _asynchronous(MemoryRepository.spend)
    get_or_create_user = _asynchronous(MemoryRepository.get_or_create_user)
    find_account = _asynchronous(MemoryRepository.find_account)
    rename_user = _asynchronous(MemoryRepository.rename_user)
    set_user_disabled = _asynchronous(MemoryRepository.set_user_disabled)
    remove_user = _asynchronous(MemoryRepository.remove_user)
    add_passkey = _asynchronous(MemoryRepository.add_passkey)
    find_passkey = _asynchronous(MemoryRepository.find_passkey)
    advance_passkey = _asynchronous(MemoryRepository.advance_passkey)
    rename_passkey = _asynchronous(MemoryRepository.rename_passkey)
    remove_passkey = _asynchronous(MemoryRepository.remove_passkey)
    remove_passkeys = _asynchronous(MemoryRepository.remove_passkeys)
    confirm_user_verification = _asynchronous(MemoryRepository.confirm_user_verification)
    add_event = _asynchronous(MemoryRepository.add_event)
    list_events = _asynchronous(MemoryRepository.list_events)
    count_events = _asynchronous(MemoryRepository.count_events)
