"""Enrolling a device's key: for the user whom a token names, or who has just proved themselves by an action.

What belongs here: every check before a device credential is stored, and what makes a token count once.
"""

from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from ...devices import PROTOCOL, DeviceMethod, check_public_key
from ...errors import (
    CeremonyError,
    Code,
    ConfigurationError,
    CredentialExists,
    LimitReached,
    TokenError,
)
from ...webauthn.encoding import encode_base64url
from ..checks import check_name, check_names, check_text, check_user_id
from ..records import EventType, User
from ..repository import Addition
from .app_attest import AppAttestation, attested_key
from .context import DeviceContext
from .records import DeviceChallenge, DeviceCredential
from .steps import LONGEST_PUSH_TOKEN, bad_signature, check_enabled, check_expiry, check_method, checked_bytes

_PURPOSE: Final = "passkeycore/device-enrolment"


class DeviceEnrolment(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment that has just begun.

    Attributes:
        token: For the device, which signs it together with its key. It binds the device to the user, once.
        user_id: Who will own it.
        expires_at: When it ends, UTC.
    """

    token: str
    user_id: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"DeviceEnrolment(user_id={self.user_id!r}, …)"


async def start_enrolment(
    context: DeviceContext, user_id: str, *, user_name: str | None = None, user_display_name: str = ""
) -> DeviceEnrolment:
    """A token with which the user, who is signed in, enrols one device.

    Args:
        user_id: Who is signed in. The engine's record of them is created here where there is none yet.
        user_name, user_display_name: As in `PasskeyService.start_registration`.

    Raises:
        CeremonyError: `user_not_found`: `user_name` is needed for somebody new. `user_disabled`.
        LimitReached: The user has `max_devices_per_user` already.
        DecodeError: `user_id_invalid`, `name_invalid`.
        ConfigurationError: The service has no `tokens`.
    """
    now = context.now()
    if context.tokens is None:
        raise ConfigurationError("enrolment needs tokens", path="tokens")
    user, is_new = await found_or_new_user(context, user_id, user_name, user_display_name)
    if is_new:
        user = await context.repository.get_or_create_user(user)
        check_enabled(user)
    current = len(await context.repository.list_devices(context.realm, user_id))
    if current >= context.max_devices_per_user:
        raise _too_many(context.max_devices_per_user)
    expires_at = now + context.enrolment_lifetime
    # The device's id is in the token, and ids are unique: a token enrols one device.
    claims = {"realm": context.realm, "user": user_id, "id": encode_base64url(context.random(16))}
    claims["handle"] = encode_base64url(user.user_handle)  # somebody who gets the same `user_id` later has another
    return DeviceEnrolment(
        token=context.tokens.issue(_PURPOSE, claims, expires_at=expires_at, now=now),
        user_id=user_id,
        expires_at=expires_at,
    )


async def enrol_device(
    context: DeviceContext,
    token: str,
    *,
    method: DeviceMethod,
    public_key: bytes,
    signature: bytes | None,
    name: str,
    platform: str,
    push_token: str | None = None,
    user_authentication_required: bool = False,
    expires_at: datetime | None = None,
    app_attestation: AppAttestation | None = None,
) -> DeviceCredential:
    """The device, enrolled for the user whom the token names.

    Args:
        token: As `start_enrolment` gave it.
        method: What the device is to answer.
        public_key: The device's, P-256, DER SubjectPublicKeyInfo, 91 bytes.
        signature: Of an enrolment; see `passkeycore.devices`. None: for an app of another service's, which proves
            nothing; the service has to allow it.
        name: What the user recognises the device by, 1 to 64 characters that print.
        platform: What the device calls its platform, 1 to 64 characters. Nothing proves it.
        push_token: Where to send push messages, up to 4096 characters; None: nowhere.
        user_authentication_required: The application's policy; see `DeviceCredential`.
        expires_at: From when on the device counts no more, aware; None: never.
        app_attestation: Apple's App Attest, where the app has it.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
        SignatureError: The device did not sign this.
        DecodeError: `public_key_malformed`, `name_invalid`, `app_attest_malformed`.
        VerificationError: `public_key_invalid`, `app_attest_invalid`.
        UntrustedError: `attestation_required`: the service demands App Attest, and there is none.
        CredentialExists: The key is enrolled for this method, or the token was used. LimitReached: too many devices.
        CeremonyError: `user_not_found`, `user_disabled`: meanwhile.
        ConfigurationError: A method that there is not, or a time without its zone.
    """
    if context.tokens is None:
        raise ConfigurationError("enrolment needs tokens", path="tokens")
    claims = context.tokens.read(_PURPOSE, token, now=context.now())
    user_id, authenticator_id = claims.get("user"), claims.get("id")
    if claims.get("realm") != context.realm or not isinstance(user_id, str) or not isinstance(authenticator_id, str):
        raise TokenError(Code.TOKEN_INVALID, "not a token for this")
    account = await context.repository.find_account(context.realm, user_id)
    if account is not None and claims.get("handle") != encode_base64url(account.user.user_handle):
        raise TokenError(Code.TOKEN_INVALID, "not a token for this")
    device = judged_device(
        context,
        user_id=user_id,
        authenticator_id=authenticator_id,
        token=token,
        method=method,
        public_key=public_key,
        signature=signature,
        name=name,
        platform=platform,
        push_token=push_token,
        user_authentication_required=user_authentication_required,
        expires_at=expires_at,
        app_attestation=app_attestation,
    )
    if account is None:
        raise CeremonyError(Code.USER_NOT_FOUND, "the user is not there any more")
    check_enabled(account.user)
    spent_until = device.created_at + context.enrolment_lifetime
    limit = context.max_devices_per_user
    await store_device(context, device, limit, enrolment_id=derived_id(token), spent_until=spent_until)
    return device


async def found_or_new_user(
    context: DeviceContext, user_id: str, user_name: str | None, user_display_name: str
) -> tuple[User, bool]:
    """The engine's record of the user, who can sign in, and whether it is new, and not stored yet.

    Raises:
        CeremonyError: `user_not_found`: somebody new needs a name. `user_disabled`.
        DecodeError: `user_id_invalid`, `name_invalid`.
    """
    check_user_id(user_id)
    check_names(user_name, user_display_name)
    account = await context.repository.find_account(context.realm, user_id)
    if account is not None:
        check_enabled(account.user)
        return account.user, False
    if user_name is None:
        raise CeremonyError(Code.USER_NOT_FOUND, "a user who is new here needs a name", path="user_name")
    new = User(
        user_id=user_id,
        user_handle=context.new_user_handle(),
        name=user_name,
        display_name=user_display_name,
        created_at=context.now(),
        realm=context.realm,
    )
    return new, True


def judged_device(
    context: DeviceContext,
    *,
    user_id: str,
    authenticator_id: str,
    token: str,
    method: DeviceMethod,
    public_key: bytes,
    signature: bytes | None,
    name: str,
    platform: str,
    push_token: str | None,
    user_authentication_required: bool,
    expires_at: datetime | None,
    app_attestation: AppAttestation | None,
) -> DeviceCredential:
    """The device, after every check, once somebody has decided whose it is; nothing is stored. See `enrol_device`."""
    now = context.now()
    check_method(method)
    if expires_at is not None:
        check_expiry(expires_at)
    check_name(name, "name")
    check_name(platform, "platform")
    check_text(push_token, "push_token", longest=LONGEST_PUSH_TOKEN)
    check_public_key(checked_bytes(public_key, "public_key"))
    message: bytes | None = None
    if signature is not None:
        signature = checked_bytes(signature, "signature")
        message = context.verifier.verify_enrolment(public_key, signature, method=method, enrolment_token=token)
    elif context.challenge_id_verifier is None:
        raise bad_signature()
    return DeviceCredential(
        authenticator_id=authenticator_id,
        user_id=user_id,
        method=method,
        public_key=public_key,
        name=name,
        platform=platform,
        push_token=push_token,
        user_authentication_required=user_authentication_required,
        app_attest=attested_key(context, app_attestation, message, now),
        created_at=now,
        expires_at=expires_at,
        realm=context.realm,
    )


async def store_device(
    context: DeviceContext,
    device: DeviceCredential,
    limit: int,
    *,
    enrolment_id: str,
    spent_until: datetime,
    new_user: User | None = None,
) -> None:
    """Spends what enrolled the device, and stores it: in this order, as a token must not count twice.

    Args:
        context: The service's.
        device: As `judged_device` gives it.
        limit: How many the user may have, at least 1.
        enrolment_id: 43 characters that the token gives. It is kept like a challenge that was answered: a token does
            not bring back what was removed.
        spent_until: When the token has expired at the latest.
        new_user: Who owns it, to be stored as well; None: they are.

    Raises:
        CredentialExists, LimitReached, CeremonyError: As `enrol_device`.
    """
    repository, now = context.repository, device.created_at
    # What can be seen before leaves the token as it is.
    if await repository.find_device(context.realm, device.method, device.public_key) is not None:
        raise _exists()
    if len(await repository.list_devices(context.realm, device.user_id)) >= limit:
        raise _too_many(limit)
    spent = DeviceChallenge(
        challenge_id=enrolment_id,
        method=device.method,
        protocol=PROTOCOL,
        state="approved",
        attempts_left=0,
        created_at=now,
        expires_at=spent_until,
        answered_at=now,
        taken_at=now,
        realm=context.realm,
    )
    if not await repository.add_device_challenge(spent, None):
        raise _exists()
    if new_user is not None:
        check_enabled(await repository.get_or_create_user(new_user))
    event = context.event(
        EventType.DEVICE_ENROLLED,
        user_id=device.user_id,
        method=device.method,
        authenticator_id=device.authenticator_id,
    )
    _check_added(await repository.add_device(device, limit, context.stored(event)), limit)
    context.tell(event)


def derived_id(*parts: str) -> str:
    """43 characters of base64url that these parts always give: whatever they name happens once."""
    return encode_base64url(sha256("\n".join(parts).encode("utf-8", "surrogatepass")).digest())


def _check_added(answer: Addition, limit: int) -> None:
    if answer == "added":
        return
    if answer == "credential_exists":
        raise _exists()
    if answer == "limit_reached":
        raise _too_many(limit)
    code = Code.USER_DISABLED if answer == "user_disabled" else Code.USER_NOT_FOUND
    raise CeremonyError(code, "the user is disabled, or not there any more")


def _exists() -> CredentialExists:
    return CredentialExists(Code.CREDENTIAL_EXISTS, "the key is enrolled already, or the token was used")


def _too_many(limit: int) -> LimitReached:
    return LimitReached("the user has as many devices as they may", limit=limit, current=limit)
