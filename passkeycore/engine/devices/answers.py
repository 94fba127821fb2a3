"""The device's side of a challenge: it finds it, claims it where it scanned a QR code, and approves or rejects.

Each carries the device's signature. What that has to cover is judged in `passkeycore.devices`; which challenge it may
answer, here.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from ...devices import CHALLENGE_ID_PROTOCOL, PROTOCOL, Decision, DeviceMethod, DeviceVerifier
from ...errors import ChallengeError, Code, DecodeError, SignatureError, VerificationError
from ..checks import check_text
from ..records import EventType, User
from .app_attest import used_device
from .context import DeviceContext, is_current, revised
from .records import DeviceChallenge, DeviceCredential
from .steps import (
    OPEN,
    RACES,
    bad_signature,
    challenge_event,
    changed,
    check_enabled,
    check_method,
    checked_bytes,
    checked_seconds,
    conflict,
    found_challenge,
    is_reserved,
    state_of,
    unknown_challenge,
)

Told: TypeAlias = Callable[[DeviceChallenge], Awaitable[None]]


class Consequences(NamedTuple):
    """What an answer does besides, where the challenge is an action's.

    Attributes:
        attempt: Called when an attempt was counted.
        rejection: Called when a rejection was stored, and again should the device repeat it: the process may have died
            in between.
    """

    attempt: Told
    rejection: Told


async def _nothing(challenge: DeviceChallenge) -> None:
    return


NO_CONSEQUENCES: Final = Consequences(_nothing, _nothing)


class PendingDeviceChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a device learns of a challenge: enough to show it, and to sign an answer.

    Attributes:
        challenge: As stored. Its verification code is not for the device: the user types it there.
        authenticator_id: Which of the user's devices looks at it.
    """

    challenge: DeviceChallenge
    authenticator_id: str

    def __repr__(self) -> str:
        return f"PendingDeviceChallenge(authenticator_id={self.authenticator_id!r}, …)"

    def to_dict(self) -> dict[str, Any]:
        """What the device needs, JSON-ready."""
        return {
            "challengeId": self.challenge.challenge_id,
            "method": self.challenge.method,
            "purpose": self.challenge.purpose,
            "content": self.challenge.content,
            "asksForCode": self.challenge.verification_code is not None,
            "expiresAt": self.challenge.expires_at.isoformat(),
            "authenticatorId": self.authenticator_id,
        }


class AnsweredDeviceChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was right and is stored. The waiting side gets it by `poll_challenge`.

    Attributes:
        challenge: As stored now.
        device: What answered, as stored now.
        user: Whose device it is.
        decision: What its user decided.
    """

    challenge: DeviceChallenge
    device: DeviceCredential
    user: User
    decision: Decision

    @property
    def user_id(self) -> str:
        """Whose device it is."""
        return self.device.user_id


_ANSWERS: Final[Mapping[Decision, EventType]] = {
    "approve": EventType.DEVICE_CHALLENGE_APPROVED,
    "reject": EventType.DEVICE_CHALLENGE_REJECTED,
}


async def pending_challenge(
    context: DeviceContext,
    *,
    method: DeviceMethod,
    public_key: bytes,
    signature: bytes | None,
    issued_at: int | None = None,
) -> PendingDeviceChallenge | None:
    """What waits for this device, the last one first; None: nothing.

    Args:
        method, public_key: Which device credential asks.
        signature: Of a fetch; see `passkeycore.devices`. None, for an app of another service's: only challenges that
            were started for the protocol ``challenge-id`` are found.
        issued_at: When it was signed, seconds since 1970.

    Raises:
        SignatureError: No device of that key is enrolled, or it did not sign this; which of them, is not told.
        DecodeError: `public_key_malformed`, `name_invalid`. ConfigurationError: A method that there is not.
    """
    now = context.now()
    check_method(method)
    found = await context.repository.find_device(context.realm, method, checked_bytes(public_key, "public_key"))
    if signature is not None:
        seconds = checked_seconds(issued_at)
        signature = checked_bytes(signature, "signature")
        context.verifier.verify_fetch(public_key, signature, method=method, issued_at=seconds, now=now)
    elif context.challenge_id_verifier is None:
        raise bad_signature()
    if found is None or found[1].disabled_at is not None or not is_current(found[0], now):
        raise bad_signature()
    device = found[0]
    protocol = PROTOCOL if signature is not None else CHALLENGE_ID_PROTOCOL
    for challenge in await context.repository.pending_device_challenges(
        context.realm, device.user_id, now, context.max_pending_per_user
    ):
        is_ours = (challenge.protocol, challenge.method) == (protocol, method) and _may_answer(challenge, device)
        if is_ours and state_of(challenge) in OPEN:
            return PendingDeviceChallenge(challenge=challenge, authenticator_id=device.authenticator_id)
    return None


async def claim_challenge(
    context: DeviceContext, challenge_id: str, *, public_key: bytes, signature: bytes
) -> PendingDeviceChallenge:
    """The challenge whose QR code the device scanned, which no other can answer from now on.

    Args:
        challenge_id: From the code.
        public_key: The device's, P-256, DER SubjectPublicKeyInfo.
        signature: Of a claim; see `passkeycore.devices`.

    Raises:
        ChallengeError: No such challenge waits to be claimed.
        SignatureError: No such device is enrolled, or it did not sign this, or another may answer alone: that of the
            user whom it was started for, or that which was faster.
        DecodeError: `public_key_malformed`. CeremonyError: `user_disabled`. ConflictError: too many at once.
    """
    now = context.now()
    for _ in range(RACES):
        challenge = await found_challenge(context, challenge_id)
        if challenge.method != "qr-code":
            raise unknown_challenge()
        device, user, _ = await _judged(context, challenge, public_key, signature, "claim", None, now, NO_CONSEQUENCES)
        if challenge.state != "pending" or now >= challenge.expires_at:
            raise unknown_challenge()
        check_enabled(user)
        claimed = changed(challenge, state="claimed", user_id=device.user_id, authenticator_id=device.authenticator_id)
        event = challenge_event(context, EventType.DEVICE_CHALLENGE_CLAIMED, claimed)
        used = revised(device, last_used_at=now)
        if await context.repository.replace_device_challenge(claimed, used, context.stored(event)):
            context.tell(event)
            return PendingDeviceChallenge(challenge=claimed, authenticator_id=device.authenticator_id)
    raise conflict()


async def answer_challenge(
    context: DeviceContext,
    challenge_id: str,
    *,
    public_key: bytes,
    signature: bytes,
    decision: Decision,
    verification_code: str | None = None,
    app_attest_assertion: bytes | None = None,
) -> AnsweredDeviceChallenge:
    """What the device's user decided, stored for the waiting side, after every check. A challenge is answered once.

    Those of actions are answered by `ActionService.answer_device_challenge`: here they are unknown.

    Args:
        challenge_id: Which challenge.
        public_key: The device's, P-256, DER SubjectPublicKeyInfo.
        signature: Of the decision; see `passkeycore.devices`.
        decision: What the user decided.
        verification_code: What the user typed; None: nothing was asked for, or they reject.
        app_attest_assertion: Apple's assertion over the message that is signed, where the device has such a key and
            the service demands it.

    Raises:
        SignatureError: No such device is enrolled, or it is none that may answer, or it did not sign this. With the key
            of a device that may, it counts as an attempt.
        VerificationError: `verification_code_wrong`, which counts as an attempt; `app_attest_invalid`.
        UntrustedError: `attestation_required`: App Attest is demanded, and the device has no key or sent no assertion.
        ChallengeError: No such challenge waits for this device's answer; `challenge_expired`: it came too late.
        DecodeError: `public_key_malformed`, `name_invalid`. CeremonyError: `user_disabled`.
        ConflictError: The challenge, or the device, changes faster than it can be written.
    """
    return await take_answer(
        context,
        challenge_id,
        public_key=public_key,
        signature=signature,
        decision=decision,
        verification_code=verification_code,
        app_attest_assertion=app_attest_assertion,
        accepts=lambda purpose: not is_reserved(purpose),
    )


async def take_answer(
    context: DeviceContext,
    challenge_id: str,
    *,
    public_key: bytes,
    signature: bytes,
    decision: Decision,
    verification_code: str | None,
    app_attest_assertion: bytes | None,
    accepts: Callable[[str | None], bool],
    consequences: Consequences = NO_CONSEQUENCES,
    of_user: str | None = None,
    is_taken: bool = False,
) -> AnsweredDeviceChallenge:
    """See `answer_challenge`.

    Args:
        accepts: Whether a challenge with this purpose is answered here.
        consequences: What else an answer does.
        of_user: Whose device has to answer a challenge that was started for nobody in particular. None: whoever's.
        is_taken: Whoever answers is also who waits: the answer is given out with this.
    """
    now = context.now()
    check_text(verification_code, "verification_code", longest=64)
    if decision not in ("approve", "reject"):
        raise DecodeError(Code.NAME_INVALID, "approve or reject", path="decision")
    for _ in range(RACES):
        challenge = await found_challenge(context, challenge_id)
        if not accepts(challenge.purpose):
            raise unknown_challenge()
        device, user, message = await _judged(
            context, challenge, public_key, signature, decision, verification_code, now, consequences, of_user
        )
        if not _is_answerable(challenge, device, of_user):
            if (
                decision == "reject"
                and challenge.state == "rejected"
                and challenge.authenticator_id == device.authenticator_id
            ):
                await consequences.rejection(challenge)
            raise unknown_challenge()
        if now >= challenge.expires_at:
            raise ChallengeError(Code.CHALLENGE_EXPIRED, "the challenge has expired")
        check_enabled(user)
        used = used_device(context, device, message, app_attest_assertion, now)
        shown = challenge.verification_code
        if decision == "approve" and shown is not None:
            # Counted before the code is looked at: any number of guesses at once have no more chances than these.
            challenge = changed(challenge, attempts_left=challenge.attempts_left - 1)
            if not await context.repository.replace_device_challenge(challenge, None, None):
                continue
            if not compare_digest(shown.encode(), (verification_code or "").encode()):
                await _fail_if_last(context, challenge)
                await consequences.attempt(challenge)
                raise _wrong_code()
        elif verification_code is not None:
            raise _wrong_code()  # nobody was shown one
        answered = changed(
            challenge,
            state="approved" if decision == "approve" else "rejected",
            user_id=device.user_id,
            authenticator_id=device.authenticator_id,
            answered_at=now,
            taken_at=now if is_taken else None,
        )
        event = challenge_event(context, _ANSWERS[decision], answered)
        for _ in range(RACES):
            if await context.repository.replace_device_challenge(answered, used, context.stored(event)):
                context.tell(event)
                if decision == "reject":
                    await consequences.rejection(answered)
                return AnsweredDeviceChallenge(challenge=answered, device=used, user=user, decision=decision)
            if (await found_challenge(context, challenge_id)).revision != challenge.revision:
                break
            # Only the device has changed, such as by another answer: that must not take an attempt more.
            device, user = await _current_device(context, challenge, device, now)
            check_enabled(user)
            used = used_device(context, device, message, app_attest_assertion, now)
        else:
            raise conflict()
    raise conflict()


async def _judged(
    context: DeviceContext,
    challenge: DeviceChallenge,
    public_key: bytes,
    signature: bytes,
    decision: Decision | Literal["claim"],
    verification_code: str | None,
    now: datetime,
    consequences: Consequences,
    of_user: str | None = None,
) -> tuple[DeviceCredential, User, bytes]:
    """The device that signed, its owner, and what it signed.

    Raises:
        SignatureError: No such device, or none that may answer this, or not its signature.
    """
    public_key = checked_bytes(public_key, "public_key")
    found = await context.repository.find_device(context.realm, challenge.method, public_key)
    is_claim = decision == "claim"
    try:
        # Judged whoever's key it is: the time that it takes must not tell which keys are enrolled.
        message = _verifier(context, challenge).verify_answer(
            public_key,
            checked_bytes(signature, "signature"),
            method=challenge.method,
            challenge_id=challenge.challenge_id,
            decision=decision,
            purpose=None if is_claim else challenge.purpose,
            verification_code=verification_code,
            content="" if is_claim else challenge.content,
        )
    except SignatureError:
        if found is not None and not is_claim and _is_answerable(challenge, found[0], of_user):
            await _count_attempt(context, challenge)
            await consequences.attempt(challenge)
        raise
    if found is None or not is_current(found[0], now) or not _may_answer(challenge, found[0], of_user):
        raise bad_signature()
    return *found, message


async def _current_device(
    context: DeviceContext, challenge: DeviceChallenge, device: DeviceCredential, now: datetime
) -> tuple[DeviceCredential, User]:
    """The device whose signature was good, and its owner, as they are now.

    Raises:
        SignatureError: It is not there any more, whoever has its key now, or has expired.
    """
    found = await context.repository.find_device(context.realm, challenge.method, device.public_key)
    if (
        found is None
        or (found[0].authenticator_id, found[0].user_id) != (device.authenticator_id, device.user_id)
        or not is_current(found[0], now)
    ):
        raise bad_signature()
    return found


def _verifier(context: DeviceContext, challenge: DeviceChallenge) -> DeviceVerifier:
    if challenge.protocol == PROTOCOL:
        return context.verifier
    if context.challenge_id_verifier is None:  # it was allowed when the challenge began
        raise unknown_challenge()
    return context.challenge_id_verifier


async def _count_attempt(context: DeviceContext, challenge: DeviceChallenge) -> None:
    """Takes an attempt away, while the challenge still waits."""
    for _ in range(RACES):
        left = challenge.attempts_left - 1
        counted = changed(challenge, attempts_left=left, state=challenge.state if left > 0 else "failed")
        event = None if left > 0 else challenge_event(context, EventType.DEVICE_CHALLENGE_FAILED, counted)
        if await context.repository.replace_device_challenge(counted, None, context.stored(event)):
            context.tell(event)
            return
        challenge = await found_challenge(context, challenge.challenge_id)
        if state_of(challenge) not in OPEN:
            return
    raise conflict()


async def _fail_if_last(context: DeviceContext, challenge: DeviceChallenge) -> None:
    """Says that the challenge has failed, once no attempt is left; `state_of` knows it without."""
    if challenge.attempts_left <= 0:
        failed = changed(challenge, state="failed")
        event = challenge_event(context, EventType.DEVICE_CHALLENGE_FAILED, failed)
        if await context.repository.replace_device_challenge(failed, None, context.stored(event)):
            context.tell(event)


def _may_answer(challenge: DeviceChallenge, device: DeviceCredential, of_user: str | None = None) -> bool:
    """Whether the challenge is for this device at all."""
    return (
        challenge.user_id in (None, device.user_id)
        and of_user in (None, device.user_id)
        and challenge.authenticator_id in (None, device.authenticator_id)
    )


def _is_answerable(challenge: DeviceChallenge, device: DeviceCredential, of_user: str | None) -> bool:
    """Whether the device may answer now: only the one that claimed it, where it has to be claimed."""
    state = state_of(challenge)
    if challenge.method == "qr-code":
        return state == "claimed" and challenge.authenticator_id == device.authenticator_id
    return state == "pending" and _may_answer(challenge, device, of_user)


def _wrong_code() -> VerificationError:
    return VerificationError(Code.VERIFICATION_CODE_WRONG, "not the code that is shown", path="verification_code")
