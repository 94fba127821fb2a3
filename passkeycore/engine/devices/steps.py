"""Steps that the waiting side of a challenge and the device have in common."""

import re
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from ...devices import DEVICE_METHODS, DeviceMethod
from ...errors import (
    CeremonyError,
    ChallengeError,
    Code,
    ConfigurationError,
    ConflictError,
    DecodeError,
    SignatureError,
)
from ..checks import RESERVED
from ..records import Event, EventType, User
from .context import DeviceContext
from .records import DeviceChallenge, DeviceChallengeState

CHALLENGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")
RACES: Final = 3  # lost to somebody who changed the same challenge or device meanwhile
_LONGEST_BYTES: Final = 1024  # of a key or a signature: ten times what any of ours has
_LATEST: Final = 2**40  # seconds since 1970: some of the numbers after it can neither be written nor compared
OPEN: Final = ("pending", "claimed")
LONGEST_PUSH_TOKEN: Final = 4096


async def found_challenge(context: DeviceContext, challenge_id: str) -> DeviceChallenge:
    """The challenge. Raises ChallengeError where there is none (any more), or `challenge_id` is none of ours."""
    if not isinstance(challenge_id, str) or not CHALLENGE_ID.fullmatch(challenge_id):
        raise unknown_challenge()
    challenge = await context.repository.find_device_challenge(context.realm, challenge_id)
    if challenge is None:
        raise unknown_challenge()
    return challenge


def state_of(challenge: DeviceChallenge) -> DeviceChallengeState:
    """How far the challenge has come: its last attempt may be gone before somebody has written that it failed."""
    return "failed" if challenge.state in OPEN and challenge.attempts_left <= 0 else challenge.state


def is_reserved(purpose: str | None) -> bool:
    """Whether a challenge is for something of ours, such as an action: whoever started it answers for it."""
    return purpose is not None and purpose.startswith(RESERVED)


def changed(challenge: DeviceChallenge, **members: object) -> DeviceChallenge:
    """The challenge with other members, as `replace_device_challenge` takes it."""
    return msgspec.structs.replace(challenge, revision=challenge.revision + 1, **members)


def challenge_event(context: DeviceContext, type: EventType, challenge: DeviceChallenge) -> Event | None:
    """The event of a change of the challenge.

    Its detail ``challenge`` tells which events are about the same one. It is not the challenge's id: whoever has that
    may ask for the answer.
    """
    if not context.has_listeners:
        return None
    return context.event(
        type,
        user_id=challenge.user_id,
        challenge=sha256(challenge.challenge_id.encode()).hexdigest()[:16],
        method=challenge.method,
        authenticator_id=challenge.authenticator_id,
        purpose=challenge.purpose,
    )


def checked_bytes(value: bytes, path: str) -> bytes:
    """`value`, whatever a remote client sent. Raises DecodeError for what is no key or signature by its size."""
    if not isinstance(value, bytes) or len(value) > _LONGEST_BYTES:
        raise DecodeError(
            Code.PUBLIC_KEY_MALFORMED if path == "public_key" else Code.TOO_LARGE,
            f"up to {_LONGEST_BYTES} bytes",
            path=path,
        )
    return value


def check_expiry(expires_at: datetime) -> None:
    """Raises ConfigurationError for anything but a time that is aware."""
    if not isinstance(expires_at, datetime) or expires_at.utcoffset() is None:
        raise ConfigurationError("a time with its zone", path="expires_at")


def check_method(method: DeviceMethod) -> None:
    """Raises ConfigurationError for a method that there is not."""
    if method not in DEVICE_METHODS:
        raise ConfigurationError(f"one of {', '.join(DEVICE_METHODS)}", path="method")


def checked_seconds(issued_at: int | None) -> int:
    """`issued_at`, whatever a remote client sent. Raises DecodeError, `name_invalid`, for what is no time."""
    if not isinstance(issued_at, int) or isinstance(issued_at, bool) or not 0 <= issued_at <= _LATEST:
        raise DecodeError(Code.NAME_INVALID, "seconds since 1970", path="issued_at")
    return issued_at


def check_enabled(user: User) -> None:
    """Raises CeremonyError, `user_disabled`, for a user who is."""
    if user.disabled_at is not None:
        raise CeremonyError(Code.USER_DISABLED, "the user is disabled")


def unknown_challenge() -> ChallengeError:
    """The one error for whatever is wrong with a challenge as such: which part, is nobody's business."""
    return ChallengeError(Code.CHALLENGE_UNKNOWN, "no such challenge waits here")


def bad_signature() -> SignatureError:
    """The one error for an unknown device, one that may not answer, and a signature that does not verify."""
    return SignatureError(Code.SIGNATURE_INVALID, "the device's signature does not verify", path="signature")


def conflict() -> ConflictError:
    """Lost `RACES` times."""
    return ConflictError(Code.CONFLICT, "the challenge changes faster than it can be written")
