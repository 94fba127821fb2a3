"""What the contract stores of devices: their credentials and challenges, with members that storages get wrong."""

from datetime import datetime, timedelta
from secrets import token_bytes, token_hex, token_urlsafe
from typing import Any, Final

import msgspec

from passkeycore.app_attest import AppAttestKey
from passkeycore.engine.devices.records import DeviceChallenge, DeviceCredential
from passkeycore.engine.devices.repository import AsyncDeviceRepository
from passkeycore.engine.records import User
from passkeycore.testing.contract.harness import expect
from passkeycore.testing.contract.samples import BEGUN, LIFETIME, NOW, TEXT, user

_SPKI_HEAD: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""With what all of these keys begin: a storage that looks at the beginning alone takes them for the same."""


def public_key(end: bytes = b"") -> bytes:
    """91 bytes like those of a key, ending in `end`."""
    return _SPKI_HEAD + token_bytes(64 - len(end)) + end


def device(owner: User, **changes: Any) -> DeviceCredential:
    """A new device of this user."""
    members: dict[str, Any] = {
        "authenticator_id": token_hex(16),
        "user_id": owner.user_id,
        "method": "push",
        "public_key": public_key(),
        "name": "Phone",
        "platform": "ios",
        "push_token": "token",
        "created_at": NOW,
        "realm": owner.realm,
    }
    return DeviceCredential(**(members | changes))


def full_device(owner: User) -> DeviceCredential:
    """A device with every member set, as large as they get."""
    return device(
        owner,
        authenticator_id=(TEXT + token_hex(32))[:63] + " ",
        method="qr-code",
        name=TEXT,
        platform=TEXT,
        push_token=TEXT * 100,
        user_authentication_required=True,
        app_attest=AppAttestKey(
            key_id=token_bytes(30) + b"\x00 ",
            public_key=public_key(b"\x00'\xff"),
            app_id=TEXT,
            environment="development",
            sign_count=2**32 - 1,
        ),
        created_at=NOW - timedelta(microseconds=1),
        last_used_at=NOW + timedelta(days=1, microseconds=1),
        expires_at=NOW + timedelta(days=400, microseconds=-1),
    )


def least_device(owner: User) -> DeviceCredential:
    """A device in which everything that may be None is None."""
    return device(owner, authenticator_id=token_hex(1), method="in-app", name="", platform="", push_token=None)


def successors(owner: User, other: User) -> tuple[tuple[DeviceCredential, DeviceCredential], ...]:
    """Devices of `owner`, each with another that takes its id when it is gone: by another key, method or owner."""
    first = [device(owner) for _ in range(4)]
    same = [{"authenticator_id": one.authenticator_id} for one in first]
    return (
        (first[0], device(owner, **same[0])),
        (first[1], device(owner, **same[1], public_key=first[1].public_key, method="in-app")),
        (first[2], device(other, **same[2], public_key=first[2].public_key)),
        (first[3], device(other, **same[3])),
    )


def challenge(of: str, begun: datetime = BEGUN, **changes: Any) -> DeviceChallenge:
    """A challenge that waits for a device, in this realm; nobody is asked in particular."""
    members: dict[str, Any] = {
        "challenge_id": token_urlsafe(32),
        "method": "push",
        "protocol": "passkeycore-device-1",
        "attempts_left": 3,
        "created_at": begun,
        "expires_at": begun + LIFETIME,
        "realm": of,
    }
    return DeviceChallenge(**(members | changes))


def full_challenge(of: str) -> DeviceChallenge:
    """A challenge with every member set, as large as they get."""
    return challenge(
        of,
        method="in-app",
        protocol="challenge-id",
        state="approved",
        user_id=TEXT + token_hex(8) + " ",
        authenticator_id=(TEXT + token_hex(32))[:63] + " ",
        purpose=TEXT * 30,
        content=(TEXT * 200)[:4095] + "\U0001f511",
        verification_code="007",
        binding=token_bytes(30) + b"\x00 ",
        attempts_left=0,
        answered_at=BEGUN + timedelta(seconds=1, microseconds=1),
        taken_at=BEGUN + timedelta(seconds=2, microseconds=-1),
    )


def changed(one: DeviceCredential, **changes: Any) -> DeviceCredential:
    """`one`, changed once more."""
    return msgspec.structs.replace(one, revision=one.revision + 1, **changes)


def answered(one: DeviceChallenge, **changes: Any) -> DeviceChallenge:
    """`one`, approved."""
    members: dict[str, Any] = {
        "state": "approved",
        "answered_at": one.created_at + timedelta(seconds=9),
        "revision": one.revision + 1,
    }
    return msgspec.structs.replace(one, **(members | changes))


async def owned(repository: AsyncDeviceRepository, of: str, **changes: Any) -> tuple[User, DeviceCredential]:
    """A new user of this realm with a device, both stored."""
    owner = await repository.get_or_create_user(user(of))
    kept = device(owner, **changes)
    expect(await repository.add_device(kept, 5, None), "added")
    return owner, kept
