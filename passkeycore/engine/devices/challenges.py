"""The waiting side of a challenge, such as a browser: it starts one, polls, and gets the answer, once.

`answers` has the side of the device.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hmac import compare_digest
from types import NoneType
from typing import Any, Final

import msgspec

from ...devices import DEVICE_PROTOCOLS, PROTOCOL, DeviceMethod, DeviceProtocol
from ...errors import CeremonyError, ChallengeError, Code, ConfigurationError, ConflictError, LimitReached
from ...relying_party import hash_binding
from ...webauthn.encoding import encode_base64url
from ..checks import check_text, check_user_id, own_or_free
from ..records import Event, EventType, User
from .context import DeviceContext, is_current, revised
from .records import DeviceChallenge, DeviceChallengeState, DeviceCredential
from .steps import (
    CHALLENGE_ID,
    OPEN,
    RACES,
    challenge_event,
    changed,
    check_enabled,
    check_method,
    conflict,
    found_challenge,
    state_of,
    unknown_challenge,
)

_LONGEST_CONTENT: Final = 4096
_LONGEST_PURPOSE: Final = 4096


class StartedDeviceChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge that has just begun.

    Attributes:
        challenge: As stored.
        devices: Those of the user's that may answer, for the push messages that the application sends. Empty where
            the user is not known yet, and also where nobody by that id, or with a device, exists: such a challenge
            looks like any other and is never answered.
    """

    challenge: DeviceChallenge
    devices: tuple[DeviceCredential, ...] = ()

    def __repr__(self) -> str:
        return f"StartedDeviceChallenge(method={self.challenge.method!r}, …)"

    @property
    def challenge_id(self) -> str:
        """43 characters of base64url; what a QR code shows, and what the waiting side polls with."""
        return self.challenge.challenge_id

    def to_dict(self) -> dict[str, Any]:
        """What the waiting side needs, JSON-ready: challenge id, expiry, and the code to show if there is one.

        Where that side is the app itself (``in-app``), also what it signs and shows.
        """
        members = {
            "challengeId": self.challenge.challenge_id,
            "expiresAt": self.challenge.expires_at.isoformat(),
            "verificationCode": self.challenge.verification_code,
        }
        if self.challenge.method == "in-app":
            members |= {"purpose": self.challenge.purpose, "content": self.challenge.content}
        return {name: value for name, value in members.items() if value is not None}


class DeviceApproval(msgspec.Struct, frozen=True, kw_only=True):
    """The approval of a challenge, given out once.

    Attributes:
        user: Whose device approved, from the stored record.
        device: What approved.
        challenge: What it approved. Nothing in it is evidence that the device verified its user.
    """

    user: User
    device: DeviceCredential
    challenge: DeviceChallenge

    @property
    def user_id(self) -> str:
        """Who approved: the application's own name for the user."""
        return self.user.user_id


_REFUSALS: Final[Mapping[str, tuple[Code, str]]] = {
    "rejected": (Code.CHALLENGE_REJECTED, "the device's user rejected it"),
    "failed": (Code.ATTEMPTS_EXCEEDED, "no attempt is left, or the waiting side gave up"),
}


async def start_challenge(
    context: DeviceContext,
    *,
    method: DeviceMethod,
    user_id: str | None = None,
    authenticator_id: str | None = None,
    purpose: str | None = None,
    content: str = "",
    number_matching: bool = False,
    binding: bytes | str | None = None,
    protocol: DeviceProtocol = PROTOCOL,
    challenge_id: str | None = None,
) -> StartedDeviceChallenge:
    """A question to a device, for the waiting side.

    Args:
        method: How a device hears of it.
        user_id: Whose device is to answer. None: whoever's does, by ``qr-code`` or ``in-app``: a sign-in.
        authenticator_id: Which of the user's devices alone may answer. None: any.
        purpose: What it is for, opaque, up to 4096 characters; the device signs it, and the poll repeats it.
        content: What the device is to show, up to 4096 characters of any form; the device signs it.
        number_matching: The waiting side shows a code, and the user types it on the device.
        binding: A secret of the waiting side's, such as its session; the poll repeats it. Needed where `user_id` is
            None: nothing else tells then that the one who polls is the one who asked.
        protocol: What the device signs; ``challenge-id`` is for apps that were built for another service, and the
            service has to allow it. See `passkeycore.devices`.
        challenge_id: 32 random bytes in base64url, of a caller who has to tell of it before it can be answered. None: a
            new one.

    Raises:
        LimitReached: As many challenges wait for the user's answer as may. Only counted, not locked: a few more
            may slip through at once.
        DecodeError: `user_id_invalid`, `name_invalid`: an argument that cannot be stored.
        ConfigurationError: An argument that does not go with the method or the service.
        ConflictError: `challenge_id` was used before.
    """
    now = context.now()
    if challenge_id is not None and (not isinstance(challenge_id, str) or not CHALLENGE_ID.fullmatch(challenge_id)):
        raise ConfigurationError("32 random bytes in base64url", path="challenge_id")
    _check_start(context, method, user_id, binding, protocol)
    purpose = own_or_free(purpose)
    check_text(purpose, "purpose", longest=_LONGEST_PURPOSE)
    check_text(content, "content", longest=_LONGEST_CONTENT)
    check_text(authenticator_id, "authenticator_id", longest=64)
    devices: Sequence[DeviceCredential] = ()
    if user_id is not None:
        devices = [
            device
            for device in await context.repository.list_devices(context.realm, user_id)
            if device.method == method
            and is_current(device, now)
            and authenticator_id in (None, device.authenticator_id)
        ]
        await check_pending(context, user_id)
    challenge = DeviceChallenge(
        challenge_id=encode_base64url(context.random(32)) if challenge_id is None else challenge_id,
        method=method,
        protocol=protocol,
        user_id=user_id,
        authenticator_id=authenticator_id,
        purpose=purpose,
        content=content or "",  # None would be no text to sign
        verification_code=_code(context) if number_matching else None,
        binding=hash_binding(binding),
        attempts_left=context.attempts,
        created_at=now,
        expires_at=now + context.challenge_lifetime,
        realm=context.realm,
    )
    event = challenge_event(context, EventType.DEVICE_CHALLENGE_STARTED, challenge)
    if not await context.repository.add_device_challenge(challenge, _kept(context, challenge, event)):
        raise ConflictError(Code.CONFLICT, "this challenge was issued before")
    context.tell(event)
    return StartedDeviceChallenge(challenge=challenge, devices=tuple(devices))


async def check_pending(context: DeviceContext, user_id: str) -> None:
    """Returns only when one more challenge may be started for the user: for a caller who tells of it before.

    Raises:
        LimitReached: As many challenges wait for the user's answer as may. DecodeError: `user_id_invalid`.
    """
    check_user_id(user_id)
    most = context.max_pending_per_user
    pending = await context.repository.pending_device_challenges(context.realm, user_id, context.now(), most)
    if len(pending) >= most:
        raise LimitReached("as many challenges wait for the user as may", limit=most, current=len(pending))


async def poll_challenge(
    context: DeviceContext,
    challenge_id: str,
    *,
    user_id: str | None = None,
    binding: bytes | str | None = None,
    purpose: str | None = None,
) -> DeviceApproval | None:
    """The approval, once; None while the device has not answered.

    Args:
        challenge_id: As the start gave it.
        user_id, binding, purpose: What the challenge was started with.

    Raises:
        CeremonyError: `challenge_rejected`: the device's user said no. `attempts_exceeded`: no attempt is left, or
            the waiting side gave up. `user_disabled`.
        ChallengeError: No such challenge, or it was started with something else, or its answer was given out before,
            or the device that approved is not there any more; `challenge_expired`: nobody answered in time.
        ConflictError: The challenge, or the device, changes faster than it can be written.
    """
    now = context.now()
    for _ in range(RACES):
        challenge = await _waiting(context, challenge_id, user_id, binding, purpose)
        state = state_of(challenge)
        if challenge.taken_at is not None:
            raise unknown_challenge()
        if state in _REFUSALS:
            raise CeremonyError(*_REFUSALS[state])
        if now >= challenge.expires_at:
            raise ChallengeError(Code.CHALLENGE_EXPIRED, "the challenge has expired")
        if state != "approved":
            return None
        device, user = await _approver(context, challenge, now)
        check_enabled(user)
        taken = changed(challenge, taken_at=now)
        if await context.repository.replace_device_challenge(taken, revised(device), None):
            return DeviceApproval(user=user, device=device, challenge=taken)
    raise conflict()


async def challenge_state(
    context: DeviceContext,
    challenge_id: str,
    *,
    user_id: str | None = None,
    binding: bytes | str | None = None,
    purpose: str | None = None,
) -> DeviceChallengeState:
    """How far a challenge has come, for what the waiting side shows. It proves nothing: `poll_challenge` does.

    Args:
        challenge_id, user_id, binding, purpose: As for `poll_challenge`.

    Raises:
        ChallengeError: As `poll_challenge`, for one whose answer was given out as well.
    """
    challenge = await _waiting(context, challenge_id, user_id, binding, purpose)
    state = state_of(challenge)
    if challenge.taken_at is not None or (state not in _REFUSALS and context.now() >= challenge.expires_at):
        raise unknown_challenge()
    return state


async def cancel_challenge(
    context: DeviceContext,
    challenge_id: str,
    *,
    user_id: str | None = None,
    binding: bytes | str | None = None,
    purpose: str | None = None,
) -> None:
    """Gives up a challenge that was not answered yet: no device can answer it any more.

    Args:
        challenge_id, user_id, binding, purpose: As for `poll_challenge`.

    Raises:
        ChallengeError: As `poll_challenge`; also for one that was answered already.
        ConflictError: It changes faster than it can be written.
    """
    for _ in range(RACES):
        challenge = await _waiting(context, challenge_id, user_id, binding, purpose)
        if state_of(challenge) not in OPEN:
            raise unknown_challenge()
        given_up = changed(challenge, state="failed")
        event = challenge_event(context, EventType.DEVICE_CHALLENGE_FAILED, given_up)
        if await context.repository.replace_device_challenge(given_up, None, _kept(context, challenge, event)):
            context.tell(event)
            return
    raise conflict()


def _check_start(
    context: DeviceContext,
    method: DeviceMethod,
    user_id: str | None,
    binding: bytes | str | None,
    protocol: DeviceProtocol,
) -> None:
    check_method(method)
    if user_id is not None:
        check_user_id(user_id)
    elif method == "push":
        raise ConfigurationError("a push message goes to somebody", path="user_id")
    elif binding is None:
        raise ConfigurationError("where anybody's device may answer, nothing else tells who waits", path="binding")
    if binding is not None and not binding:
        raise ConfigurationError("an empty binding ties to nothing", path="binding")
    if protocol not in DEVICE_PROTOCOLS:
        raise ConfigurationError(f"one of {', '.join(DEVICE_PROTOCOLS)}", path="protocol")
    if protocol != PROTOCOL and context.challenge_id_verifier is None:
        raise ConfigurationError("the service does not allow signatures of the challenge's id alone", path="protocol")


def _kept(context: DeviceContext, challenge: DeviceChallenge, event: Event | None) -> Event | None:
    # Anybody can begin, and give up, what is for nobody in particular, as often as they like: that must not fill the
    # store of events.
    return None if challenge.user_id is None else context.stored(event)


def _code(context: DeviceContext) -> str:
    # Eight bytes for at most eight digits: no code is likelier than another by more than a billionth.
    digits = context.code_digits
    return str(int.from_bytes(context.random(8), "big") % 10**digits).zfill(digits)


async def _waiting(
    context: DeviceContext, challenge_id: str, user_id: str | None, binding: bytes | str | None, purpose: str | None
) -> DeviceChallenge:
    """The challenge that the waiting side has started.

    Raises:
        ChallengeError: `challenge_unknown`: there is none, or it was started with something else.
    """
    challenge = await found_challenge(context, challenge_id)
    if not isinstance(binding, (bytes, str, NoneType)):
        raise unknown_challenge()
    # Without a binding, the user has to be repeated. With one, a user who was not named at the start need not be.
    if (
        challenge.purpose != purpose
        or not compare_digest(challenge.binding or b"", hash_binding(binding) or b"")
        or (challenge.user_id != user_id and (user_id is not None or challenge.binding is None))
    ):
        raise unknown_challenge()
    return challenge


async def _approver(context: DeviceContext, challenge: DeviceChallenge, now: datetime) -> tuple[DeviceCredential, User]:
    """What approved, and its owner, as they are now.

    Raises:
        ChallengeError: `challenge_unknown`: the device was removed since, or has expired.
    """
    account = await context.repository.find_account(context.realm, challenge.user_id or "")
    if account is not None:
        for device in await context.repository.list_devices(context.realm, account.user.user_id):
            if device.authenticator_id == challenge.authenticator_id and is_current(device, now):
                return device, account.user
    raise unknown_challenge()
