"""Device credentials: enrolling a device's key, looking it up, changing and removing it.

Where a device asks for itself, its signature proves that; where a method names a user, whoever calls has already
decided that the user may.
"""

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from ...devices import PROTOCOL, DeviceMethod, check_public_key
from ...errors import (
    CeremonyError,
    Code,
    ConfigurationError,
    ConflictError,
    CredentialExists,
    CredentialNotFound,
    DecodeError,
    LimitReached,
    TokenError,
    UntrustedError,
)
from ...webauthn.encoding import encode_base64url
from ..checks import check_name, check_names, check_text, check_user_id
from ..records import EventType, User
from ..repository import Addition
from .context import DeviceContext, is_current, revised
from .records import DeviceChallenge, DeviceCredential
from .steps import RACES, bad_signature, check_enabled, check_method, checked_bytes, checked_seconds

if TYPE_CHECKING:
    from ...app_attest import AppAttestKey

_PURPOSE: Final = "passkeycore/device-enrolment"
_LONGEST_PUSH_TOKEN: Final = 4096
_UNSET: Final = msgspec.UNSET


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


class AppAttestation(msgspec.Struct, frozen=True, kw_only=True):
    """What an app on an Apple device got from App Attest for its enrolment.

    Attributes:
        key_id: Of App Attest's key, 32 bytes.
        attestation_object: As the app got it, CBOR.
        nonce: What the app had attested instead of the enrolment's message, where it comes from another service's SDK:
            a text that the server issued for this one enrolment. None: the message that the device signs.
    """

    key_id: bytes
    attestation_object: bytes
    nonce: str | None = None

    def __repr__(self) -> str:
        return "AppAttestation(…)"


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
    user = await ensure_user(context, user_id, user_name, user_display_name)
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
    spent_until = device.created_at + context.enrolment_lifetime
    await store_device(context, device, context.max_devices_per_user, derived_id(token), spent_until)
    return device


async def ensure_user(context: DeviceContext, user_id: str, user_name: str | None, user_display_name: str) -> User:
    """The engine's record of the user, who can sign in; made here where there is none yet.

    Raises:
        CeremonyError: `user_not_found`: somebody new needs a name. `user_disabled`.
        DecodeError: `user_id_invalid`, `name_invalid`.
    """
    check_user_id(user_id)
    check_names(user_name, user_display_name)
    account = await context.repository.find_account(context.realm, user_id)
    if account is not None:
        check_enabled(account.user)
        return account.user
    if user_name is None:
        raise CeremonyError(Code.USER_NOT_FOUND, "a user who is new here needs a name", path="user_name")
    user = User(
        user_id=user_id,
        user_handle=context.new_user_handle(),
        name=user_name,
        display_name=user_display_name,
        created_at=context.now(),
        realm=context.realm,
    )
    user = await context.repository.get_or_create_user(user)
    check_enabled(user)
    return user


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
        _check_time(expires_at)
    check_name(name, "name")
    check_name(platform, "platform")
    check_text(push_token, "push_token", longest=_LONGEST_PUSH_TOKEN)
    check_public_key(checked_bytes(public_key, "public_key"))
    message: bytes | None = None
    if signature is not None:
        signature = checked_bytes(signature, "signature")
        message = context.verifier.verify_enrolment(public_key, signature, method=method, enrolment_token=token)
    elif context.compatible is None:
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
        app_attest=_attested(context, app_attestation, message, now),
        created_at=now,
        expires_at=expires_at,
        realm=context.realm,
    )


async def store_device(
    context: DeviceContext, device: DeviceCredential, limit: int, enrolment_id: str, spent_until: datetime
) -> None:
    """Stores a judged device, of which the user never has more than `limit`, and spends what enrolled it.

    Args:
        context: The service's.
        device: As `judged_device` gives it.
        limit: At least 1.
        enrolment_id: 43 characters that the token gives. It is kept like a challenge that was answered: a token does
            not bring back what was removed.
        spent_until: When the token has expired at the latest.

    Raises:
        CredentialExists, LimitReached, CeremonyError: As `enrol_device`.
    """
    if await context.repository.find_device_challenge(context.realm, enrolment_id) is not None:
        raise _exists()
    event = context.event(
        EventType.DEVICE_ENROLLED,
        user_id=device.user_id,
        method=device.method,
        authenticator_id=device.authenticator_id,
    )
    _check_added(await context.repository.add_device(device, limit, context.stored(event)), limit)
    now = device.created_at
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
    # While the device is there, its id, which comes of the token as well, is what is unique.
    await context.repository.add_device_challenge(spent)
    context.tell(event)


async def find_device(context: DeviceContext, *, method: DeviceMethod, public_key: bytes) -> DeviceCredential | None:
    """The device with this key, unless it has expired or its owner is disabled; None: it counts no more here.

    A public key names a device and proves nothing: tell whoever asks no more than they have to know.

    Raises:
        DecodeError: `public_key_malformed`: by its size. ConfigurationError: A method that there is not.
    """
    check_method(method)
    found = await context.repository.find_device(context.realm, method, checked_bytes(public_key, "public_key"))
    if found is None or found[1].disabled_at is not None or not is_current(found[0], context.now()):
        return None
    return found[0]


async def list_devices(context: DeviceContext, user_id: str) -> tuple[DeviceCredential, ...]:
    """The user's devices, the oldest first, those that have expired as well; none for a user who is not there."""
    check_user_id(user_id)
    return await context.repository.list_devices(context.realm, user_id)


async def update_device(
    context: DeviceContext,
    user_id: str,
    authenticator_id: str,
    *,
    name: str | msgspec.UnsetType = _UNSET,
    push_token: str | msgspec.UnsetType | None = _UNSET,
    expires_at: datetime | msgspec.UnsetType | None = _UNSET,
) -> DeviceCredential:
    """A device of the user's, changed.

    Args:
        user_id, authenticator_id: Which one.
        name, push_token, expires_at: As in `enrol_device`. What is left out stays.

    Raises:
        CredentialNotFound: The user has no such device.
        DecodeError: `name_invalid`. ConfigurationError: A time without its zone.
        ConflictError: It changes faster than it can be written.
    """
    check_user_id(user_id)
    members: dict[str, object] = {}
    if name is not _UNSET:
        check_name(name, "name")
        members["name"] = name
    if push_token is not _UNSET:
        check_text(push_token, "push_token", longest=_LONGEST_PUSH_TOKEN)
        members["push_token"] = push_token
    if expires_at is not _UNSET:
        if expires_at is not None:
            _check_time(expires_at)
        members["expires_at"] = expires_at
    for _ in range(RACES):
        devices = await context.repository.list_devices(context.realm, user_id)
        device = next((device for device in devices if device.authenticator_id == authenticator_id), None)
        if device is None:
            raise _no_device()
        if await _replace(context, changed := revised(device, **members)):
            return changed
    raise _changes_too_fast()


async def update_by_device(
    context: DeviceContext,
    *,
    method: DeviceMethod,
    public_key: bytes,
    signature: bytes,
    push_token: str | None,
    issued_at: int,
) -> DeviceCredential:
    """The device, with another push token that it has got from its platform.

    Args:
        method, public_key: Which device it is.
        signature: Of an update; see `passkeycore.devices`.
        push_token: As in `enrol_device`; None: it has none any more.
        issued_at: When it was signed, seconds since 1970.

    Raises:
        SignatureError: No device of that key is enrolled, or it did not sign this, or too long ago.
        DecodeError: `public_key_malformed`, `name_invalid`. CeremonyError: `user_disabled`.
        ConflictError: It changes faster than it can be written. ConfigurationError: A method that there is not.
    """
    now = context.now()
    check_method(method)
    checked_seconds(issued_at)
    check_text(push_token, "push_token", longest=_LONGEST_PUSH_TOKEN)
    for _ in range(RACES):
        found = await context.repository.find_device(context.realm, method, checked_bytes(public_key, "public_key"))
        context.verifier.verify_update(
            public_key,
            checked_bytes(signature, "signature"),
            method=method,
            authenticator_id="" if found is None else found[0].authenticator_id,
            push_token=push_token,
            issued_at=issued_at,
            now=now,
        )
        if found is None or not is_current(found[0], now):
            raise bad_signature()
        check_enabled(found[1])
        if await _replace(context, changed := revised(found[0], push_token=push_token)):
            return changed
    raise _changes_too_fast()


async def remove_device(context: DeviceContext, user_id: str, authenticator_id: str) -> None:
    """Removes a device of the user's: it answers nothing any more.

    Raises:
        CredentialNotFound: The user has no such device.
        DecodeError: `user_id_invalid`, `name_invalid`.
    """
    check_user_id(user_id)
    check_text(authenticator_id, "authenticator_id", longest=64)
    event = context.event(EventType.DEVICE_REMOVED, user_id=user_id, authenticator_id=authenticator_id)
    if not await context.repository.remove_device(context.realm, user_id, authenticator_id, context.stored(event)):
        raise _no_device()
    context.tell(event)


async def remove_by_device(
    context: DeviceContext,
    *,
    method: DeviceMethod,
    public_key: bytes,
    signature: bytes,
    issued_at: int | None = None,
) -> DeviceCredential:
    """The device that was removed, as it wanted.

    Args:
        method, public_key: Which device it is.
        signature: Of a removal; see `passkeycore.devices`.
        issued_at: When it was signed, seconds since 1970. None: by an app of another service's, which signs nothing
            but the time; the service has to allow it.

    Raises:
        SignatureError: No device of that key is enrolled, or it did not sign this, or too long ago.
        DecodeError: `public_key_malformed`, `name_invalid`. ConfigurationError: A method that there is not.
    """
    check_method(method)
    verifier = context.compatible if issued_at is None else context.verifier
    if verifier is None:
        raise bad_signature()
    if issued_at is not None:
        checked_seconds(issued_at)
    found = await context.repository.find_device(context.realm, method, checked_bytes(public_key, "public_key"))
    verifier.verify_removal(
        public_key,
        checked_bytes(signature, "signature"),
        method=method,
        authenticator_id="" if found is None else found[0].authenticator_id,
        issued_at=issued_at,
        now=context.now(),
    )
    if found is None:
        raise bad_signature()
    try:
        await remove_device(context, found[0].user_id, found[0].authenticator_id)
    except CredentialNotFound:
        raise bad_signature() from None  # somebody else was first
    return found[0]


async def remove_expired(context: DeviceContext) -> int:
    """How many device challenges, and whatever else expires in the repository, were removed. Call it now and then."""
    return await context.repository.remove_expired(context.now())


def derived_id(*parts: str) -> str:
    """43 characters of base64url that these parts always give: whatever they name happens once."""
    return encode_base64url(sha256("\n".join(parts).encode("utf-8", "surrogatepass")).digest())


async def _replace(context: DeviceContext, device: DeviceCredential) -> bool:
    event = context.event(EventType.DEVICE_UPDATED, user_id=device.user_id, authenticator_id=device.authenticator_id)
    if not await context.repository.replace_device(device, context.stored(event)):
        return False
    context.tell(event)
    return True


def _attested(
    context: DeviceContext, attestation: AppAttestation | None, message: bytes | None, now: datetime
) -> "AppAttestKey | None":
    """App Attest's key, after every check; None where the service does not look at it.

    Raises:
        UntrustedError: `attestation_required`: it is demanded, and there is none. What App Attest raises besides.
    """
    policy = context.app_attest
    if policy is None:
        return None
    if attestation is None:
        if policy.require_attestation:
            raise UntrustedError(Code.ATTESTATION_REQUIRED, "an attestation of App Attest is demanded", decision=None)
        return None
    from ...app_attest import verify_attestation  # only for those who look at it

    if message is None:
        if attestation.nonce is None:
            raise DecodeError(Code.NAME_INVALID, "what was attested, where nothing is signed", path="nonce")
        message = attestation.nonce.encode("utf-8", "surrogatepass")
    return verify_attestation(
        attestation.attestation_object, key_id=attestation.key_id, client_data=message, policy=policy, now=now
    )


def _check_time(at: object) -> None:
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise ConfigurationError("a time with its zone", path="expires_at")


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


def _no_device() -> CredentialNotFound:
    return CredentialNotFound("the user has no such device", path="authenticator_id")


def _changes_too_fast() -> ConflictError:
    return ConflictError(Code.CONFLICT, "the device changes faster than it can be written")
