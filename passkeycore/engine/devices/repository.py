"""What an embedder writes to keep users' devices in a storage of their own, in both colours.

What `passkeycore.engine.repository` says of every method holds here too. `remove_user` of a repository that keeps
devices removes the user's devices and device challenges as well.
"""

from datetime import datetime
from typing import Protocol

from ..records import Event, User
from ..repository import Addition, AsyncPasskeyRepository, PasskeyRepository
from .records import DeviceChallenge, DeviceCredential


class DeviceRepository(PasskeyRepository, Protocol):
    """Devices of the users of a `PasskeyRepository`, and the challenges that they are to answer."""

    def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        """Stores a new device.

        Atomicity: All or nothing. Unique in the realm are the `authenticator_id`, and method and public key together,
            whoever has them; one that is there is never replaced. Also with many callers the user never has more than
            `limit`, of all methods together and whether they have expired or not.
        Answer: As `PasskeyRepository.add_passkey`, but never ``user_exists``.
        """
        ...

    def find_device(self, realm: str, method: str, public_key: bytes, /) -> tuple[DeviceCredential, User] | None:
        """The device with this key and its owner, in one read. Answer: None when there is none."""
        ...

    def list_devices(self, realm: str, user_id: str, /) -> tuple[DeviceCredential, ...]:
        """The user's devices, the oldest first; none for a user who is not there."""
        ...

    def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        """Writes `device` over the one with its `authenticator_id` in its realm; owner, method and key are the same.

        Atomicity: Compare-and-set: only while the stored `revision` is one less than that of `device`.
        Answer: False when that is not so, or it is gone; then nothing changed.
        """
        ...

    def remove_device(self, realm: str, user_id: str, authenticator_id: str, event: Event | None, /) -> bool:
        """Removes the user's device. Answer: False when the user has no such device, whoever else has."""
        ...

    def add_device_challenge(self, challenge: DeviceChallenge, event: Event | None, /) -> bool:
        """Keeps `challenge` until at least a minute after its `expires_at`; `remove_expired` removes it then.

        Atomicity: Insert only; one that is there is never replaced. Independent of the caller's transaction.
        Answer: False when its `challenge_id` is taken in its realm.
        """
        ...

    def find_device_challenge(self, realm: str, challenge_id: str, /) -> DeviceChallenge | None:
        """The challenge, as it is stored. Answer: None when there is none (any more)."""
        ...

    def pending_device_challenges(
        self, realm: str, user_id: str, now: datetime, limit: int, /
    ) -> tuple[DeviceChallenge, ...]:
        """Up to `limit` challenges to the user that are ``pending`` or ``claimed`` and expire after `now`.

        Answer: The last one first, by `created_at`.
        """
        ...

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        """Writes `challenge` over the one with its `challenge_id` in its realm and, where given, `device` over its own.

        Atomicity: All or nothing, and compare-and-set: only while the stored `revision` of the challenge, and that of
            the device, is one less, and the owner of the device is there and not disabled: a device that was removed
            since it was read does not answer. Independent of the caller's transaction: a rollback must not revive a
            challenge.
        Answer: False when that is not so; then nothing changed.
        """
        ...

    def remove_expired(self, now: datetime, /) -> int:
        """See `CeremonyRepository.remove_expired`: device challenges that expired more than a minute before `now`."""
        ...


class AsyncDeviceRepository(AsyncPasskeyRepository, Protocol):
    """`DeviceRepository` for asyncio."""

    async def add_device(self, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
        """See `DeviceRepository.add_device`."""
        ...

    async def find_device(self, realm: str, method: str, public_key: bytes, /) -> tuple[DeviceCredential, User] | None:
        """See `DeviceRepository.find_device`."""
        ...

    async def list_devices(self, realm: str, user_id: str, /) -> tuple[DeviceCredential, ...]:
        """See `DeviceRepository.list_devices`."""
        ...

    async def replace_device(self, device: DeviceCredential, event: Event | None, /) -> bool:
        """See `DeviceRepository.replace_device`."""
        ...

    async def remove_device(self, realm: str, user_id: str, authenticator_id: str, event: Event | None, /) -> bool:
        """See `DeviceRepository.remove_device`."""
        ...

    async def add_device_challenge(self, challenge: DeviceChallenge, event: Event | None, /) -> bool:
        """See `DeviceRepository.add_device_challenge`."""
        ...

    async def find_device_challenge(self, realm: str, challenge_id: str, /) -> DeviceChallenge | None:
        """See `DeviceRepository.find_device_challenge`."""
        ...

    async def pending_device_challenges(
        self, realm: str, user_id: str, now: datetime, limit: int, /
    ) -> tuple[DeviceChallenge, ...]:
        """See `DeviceRepository.pending_device_challenges`."""
        ...

    async def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        """See `DeviceRepository.replace_device_challenge`."""
        ...

    async def remove_expired(self, now: datetime, /) -> int:
        """See `DeviceRepository.remove_expired`."""
        ...
