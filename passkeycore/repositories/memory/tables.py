"""What is kept, and the one lock that guards all of it."""

import threading
from collections import OrderedDict, deque
from datetime import datetime
from typing import TypeAlias

from ...engine.actions.records import Action
from ...engine.devices.records import DeviceChallenge, DeviceCredential
from ...engine.records import Ceremony, Event, Passkey, User
from ...engine.tenancy.records import Overrides, Profile, ServerKey
from ...errors import ConfigurationError
from .expiring import Expiring
from .past import Past

Place: TypeAlias = tuple[str, str, str, str]
"""Realm, user id, word and idempotency key of an action."""


class Owner:
    """A user with their passkeys by credential id, and their devices by authenticator id."""

    __slots__ = ("devices", "passkeys", "user")

    def __init__(self, user: User) -> None:
        self.user = user
        self.passkeys: dict[bytes, Passkey] = {}
        self.devices: dict[str, DeviceCredential] = {}


class Waiting:
    """An event that waits for its delivery.

    Attributes:
        number: Of the event, in the order of storing.
        attempts: How many times it was taken in hand.
        due_at: From when on it can be taken, UTC; None: from the start.
        given_up: It is not due until it is revived.
    """

    __slots__ = ("attempts", "due_at", "event", "given_up", "number")

    def __init__(self, number: int, event: Event) -> None:
        self.number, self.event = number, event
        self.attempts = 0
        self.due_at: datetime | None = None
        self.given_up = False


class Tables:
    """What the parts of `MemoryRepository` share. They hold the lock, save where a single look is enough."""

    def __init__(self, *, outbox: bool, **bounds: int) -> None:
        for name, most in bounds.items():
            if most < 1:
                raise ConfigurationError("must be 1 or more", path=name)
        self._bounds = bounds
        self._lock = threading.Lock()
        self._ceremonies = Expiring[bytes, Ceremony]()
        self._spent = Expiring[bytes, None]()
        self._users: dict[tuple[str, str], Owner] = {}
        self._handles: set[tuple[str, bytes]] = set()
        self._owners: dict[tuple[str, bytes], Owner] = {}  # by credential id
        self._device_owners: dict[tuple[str, str], Owner] = {}  # by authenticator id
        self._device_ids: dict[tuple[str, str, bytes], str] = {}  # by method and public key
        self._device_challenges = Expiring[str, DeviceChallenge]()
        self._asked: dict[tuple[str, str], set[str]] = {}  # ids of the challenges to each user
        self._actions: OrderedDict[Place, tuple[int, Action]] = OrderedDict()
        self._actions_stored = 0
        self._pasts: dict[tuple[str, str], Past] = {}  # of each user who has actions
        self._events: deque[tuple[int, Event]] = deque(maxlen=bounds["max_events"])
        self._events_stored = 0
        self._server_keys: dict[str, ServerKey] = {}  # by key id, of all tenants
        self._overrides: dict[str, Overrides] = {}
        self._profiles: dict[tuple[str, str], Profile] = {}
        self.keeps_outbox = outbox
        self._outbox: dict[tuple[str, str | None], dict[str, Waiting]] = {}  # of each user, by the event's id

    def _store(self, owner: Owner) -> None:
        user = owner.user
        self._users[user.realm, user.user_id] = owner
        self._handles.add((user.realm, user.user_handle))

    def _forget(self, realm: str, user_id: str) -> bool:
        """Removes the user; each part removes first what it keeps of them. Answer: False when there was nothing."""
        owner = self._users.pop((realm, user_id), None)
        if owner is None:
            return False
        self._handles.discard((realm, owner.user.user_handle))
        return True

    def _note(self, event: Event | None) -> None:
        if event is None:
            return
        self._events_stored += 1
        self._events.append((self._events_stored, event))
        if self.keeps_outbox:
            waiting = Waiting(self._events_stored, event)
            self._outbox.setdefault((event.realm, event.user_id), {})[event.id] = waiting
