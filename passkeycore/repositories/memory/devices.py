"""Trusted devices and their challenges: the methods of `DeviceRepository`."""

from collections.abc import Iterable
from datetime import datetime
from heapq import nlargest

from ...engine.devices.records import DeviceChallenge, DeviceCredential
from ...engine.records import Event, User
from ...engine.repository import Addition
from .ceremonies import Ceremonies
from .tables import Owner, Tables


class Devices(Ceremonies, Tables):
    """Part of `MemoryRepository`."""

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        """See `DeviceRepository.add_device`."""
        name = device.realm, device.authenticator_id
        key = device.realm, device.method, device.public_key
        with self._lock:
            owner = self._users.get((device.realm, device.user_id))
            if owner is None:
                return "user_not_found"
            if owner.user.disabled_at is not None:
                return "user_disabled"
            if name in self._device_owners or key in self._device_ids:
                return "credential_exists"
            if len(owner.devices) >= limit:
                return "limit_reached"
            owner.devices[device.authenticator_id] = device
            self._device_owners[name] = owner
            self._device_ids[key] = device.authenticator_id
            self._note(event)
            return "added"

    def find_device(self, realm: str, method: str, public_key: bytes, /) -> tuple[DeviceCredential, User] | None:
        """See `DeviceRepository.find_device`."""
        with self._lock:
            authenticator_id = self._device_ids.get((realm, method, public_key))
            if authenticator_id is None:
                return None
            owner = self._device_owners[realm, authenticator_id]
            return owner.devices[authenticator_id], owner.user

    def list_devices(self, realm: str, user_id: str, /) -> tuple[DeviceCredential, ...]:
        """See `DeviceRepository.list_devices`."""
        with self._lock:
            owner = self._users.get((realm, user_id))
            return () if owner is None else tuple(sorted(owner.devices.values(), key=_created_at))

    def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        """See `DeviceRepository.replace_device`."""
        with self._lock:
            owner = self._owner_as_read(device)
            if owner is None:
                return False
            owner.devices[device.authenticator_id] = device
            self._note(event)
            return True

    def remove_device(self, realm: str, user_id: str, authenticator_id: str, event: Event | None, /) -> bool:
        """See `DeviceRepository.remove_device`."""
        with self._lock:
            owner = self._users.get((realm, user_id))
            device = None if owner is None else owner.devices.pop(authenticator_id, None)
            if device is None:
                return False
            self._forget_device(device)
            self._note(event)
            return True

    def add_device_challenge(self, challenge: DeviceChallenge, event: Event | None, /) -> bool:
        """See `DeviceRepository.add_device_challenge`."""
        with self._lock:
            while len(self._device_challenges) >= self._bounds["max_device_challenges"]:  # as in `add_ceremony`
                over = self._device_challenges.take_expired(challenge.created_at)
                self._unlist(over or (self._device_challenges.take_oldest(),))
            added = self._device_challenges.add(
                challenge.realm, challenge.challenge_id, challenge, challenge.expires_at
            )
            if added:
                self._list(challenge)
                self._note(event)
            return added

    def find_device_challenge(self, realm: str, challenge_id: str, /) -> DeviceChallenge | None:
        """See `DeviceRepository.find_device_challenge`."""
        return self._device_challenges.get(realm, challenge_id)  # without the lock: a single look

    def pending_device_challenges(
        self, realm: str, user_id: str, now: datetime, limit: int, /
    ) -> tuple[DeviceChallenge, ...]:
        """See `DeviceRepository.pending_device_challenges`."""
        with self._lock:
            found = [self._device_challenges.get(realm, one) for one in self._asked.get((realm, user_id), ())]
        waiting = (one for one in found if one is not None and one.state in _WAITING and one.expires_at > now)
        return tuple(nlargest(limit, waiting, key=_created_at))

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        """See `DeviceRepository.replace_device_challenge`."""
        with self._lock:
            stored = self._device_challenges.get(challenge.realm, challenge.challenge_id)
            if stored is None or stored.revision != challenge.revision - 1:
                return False
            if device is not None:
                owner = self._owner_as_read(device)
                if owner is None or owner.user.disabled_at is not None:
                    return False
                owner.devices[device.authenticator_id] = device
            self._device_challenges.replace(challenge.realm, challenge.challenge_id, challenge, challenge.expires_at)
            if stored.user_id != challenge.user_id:
                self._unlist((stored,))
                self._list(challenge)
            self._note(event)
            return True

    def _owner_as_read(self, device: DeviceCredential) -> Owner | None:
        """The owner, while the device is the one that was read: another may have taken its id since."""
        owner = self._device_owners.get((device.realm, device.authenticator_id))
        if owner is None:
            return None
        stored = owner.devices[device.authenticator_id]
        unchanged = (
            stored.revision == device.revision - 1
            and stored.user_id == device.user_id
            and stored.method == device.method
            and stored.public_key == device.public_key
        )
        return owner if unchanged else None

    def _list(self, challenge: DeviceChallenge) -> None:
        if challenge.user_id is not None:
            self._asked.setdefault((challenge.realm, challenge.user_id), set()).add(challenge.challenge_id)

    def _unlist(self, challenges: Iterable[DeviceChallenge]) -> None:
        for one in challenges:
            if one.user_id is not None:
                asked = self._asked[one.realm, one.user_id]
                asked.discard(one.challenge_id)
                if not asked:
                    del self._asked[one.realm, one.user_id]

    def _forget(self, realm: str, user_id: str) -> bool:
        owner = self._users.get((realm, user_id))
        for device in () if owner is None else owner.devices.values():
            self._forget_device(device)
        asked = self._asked.pop((realm, user_id), ())
        for challenge_id in asked:
            self._device_challenges.take(realm, challenge_id)
        return super()._forget(realm, user_id) or bool(asked)

    def _forget_device(self, device: DeviceCredential) -> None:
        del self._device_owners[device.realm, device.authenticator_id]
        del self._device_ids[device.realm, device.method, device.public_key]

    def _remove_some(self, now: datetime) -> int:
        with self._lock:
            over = self._device_challenges.take_expired(now)
            self._unlist(over)
        return len(over) or super()._remove_some(now)


_WAITING = frozenset({"pending", "claimed"})


def _created_at(one: DeviceCredential | DeviceChallenge) -> datetime:
    return one.created_at
