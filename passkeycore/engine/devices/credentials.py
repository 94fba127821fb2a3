"""Device credentials that there are: looking them up, changing and removing them.

Where a device asks for itself, its signature proves that; where a method names a user, whoever calls has already
decided that the user may.
"""

from datetime import datetime
from typing import Final

import msgspec

from ...devices import DeviceMethod
from ...errors import Code, ConflictError, CredentialNotFound
from ..checks import check_name, check_text, check_user_id
from ..records import EventType
from .context import DeviceContext, is_current, revised
from .records import DeviceCredential
from .steps import (
    LONGEST_PUSH_TOKEN,
    RACES,
    bad_signature,
    check_enabled,
    check_expiry,
    check_method,
    checked_bytes,
    checked_seconds,
)

_UNSET: Final = msgspec.UNSET


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
        check_text(push_token, "push_token", longest=LONGEST_PUSH_TOKEN)
        members["push_token"] = push_token
    if expires_at is not _UNSET:
        if expires_at is not None:
            check_expiry(expires_at)
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
        issued_at: When it was signed, seconds since 1970; each update has to be a second later than the last.

    Raises:
        SignatureError: No device of that key is enrolled, or it did not sign this, or too long ago, or before its last
            update.
        DecodeError: `public_key_malformed`, `name_invalid`. CeremonyError: `user_disabled`.
        ConflictError: It changes faster than it can be written. ConfigurationError: A method that there is not.
    """
    now = context.now()
    check_method(method)
    checked_seconds(issued_at)
    check_text(push_token, "push_token", longest=LONGEST_PUSH_TOKEN)
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
        if issued_at <= (found[0].update_issued_at or 0):
            if (issued_at, push_token) == (found[0].update_issued_at, found[0].push_token):
                return found[0]  # once more, as the answer was lost
            raise bad_signature()  # somebody kept it, and would put an old push token back
        if await _replace(context, changed := revised(found[0], push_token=push_token, update_issued_at=issued_at)):
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
    verifier = context.challenge_id_verifier if issued_at is None else context.verifier
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


async def _replace(context: DeviceContext, device: DeviceCredential) -> bool:
    event = context.event(EventType.DEVICE_UPDATED, user_id=device.user_id, authenticator_id=device.authenticator_id)
    if not await context.repository.replace_device(device, context.stored(event)):
        return False
    context.tell(event)
    return True


def _no_device() -> CredentialNotFound:
    return CredentialNotFound("the user has no such device", path="authenticator_id")


def _changes_too_fast() -> ConflictError:
    return ConflictError(Code.CONFLICT, "the device changes faster than it can be written")
