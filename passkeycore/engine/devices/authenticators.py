"""All that a user can prove themselves by, passkeys and devices alike, in one list."""

from datetime import datetime
from typing import Final

import msgspec

from ...actions.states import Method
from ...errors import CredentialNotFound, DecodeError
from ...webauthn.encoding import decode_base64url, encode_base64url
from ..checks import check_text, check_user_id
from ..records import EventType, Passkey
from .context import DeviceContext
from .credentials import remove_device
from .records import DeviceCredential

_LONGEST: Final = 1364  # of a credential id in base64url


class Authenticator(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey or a device of a user's.

    Attributes:
        authenticator_id: Names it among the user's: of a passkey the credential id in base64url.
        method: What it answers.
        name: For the owner's eyes.
        created_at, last_used_at, expires_at: UTC; None: not yet, and never.
        passkey, device: The record; one of them.
    """

    authenticator_id: str
    method: Method
    name: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    passkey: Passkey | None = None
    device: DeviceCredential | None = None


async def list_authenticators(context: DeviceContext, user_id: str) -> tuple[Authenticator, ...]:
    """The user's passkeys and devices, the oldest first, those that have expired as well.

    None for a user who is not there.
    """
    check_user_id(user_id)
    account = await context.repository.find_account(context.realm, user_id)
    devices = await context.repository.list_devices(context.realm, user_id)
    found = [
        *map(_of_passkey, () if account is None else account.passkeys),
        *map(_of_device, devices),
    ]
    return tuple(sorted(found, key=lambda authenticator: authenticator.created_at))


async def remove_authenticator(context: DeviceContext, user_id: str, authenticator_id: str) -> None:
    """Removes a passkey or device of the user's.

    Raises:
        CredentialNotFound: The user has no such one.
        DecodeError: `user_id_invalid`, `name_invalid`.
    """
    check_user_id(user_id)
    check_text(authenticator_id, "authenticator_id", longest=_LONGEST)
    devices = await context.repository.list_devices(context.realm, user_id)
    if authenticator_id in {device.authenticator_id for device in devices}:
        return await remove_device(context, user_id, authenticator_id)
    try:
        credential_id = decode_base64url(authenticator_id or "", "authenticator_id")
    except DecodeError:
        raise _not_found() from None
    event = context.event(EventType.PASSKEY_REMOVED, user_id=user_id, credential_id=credential_id)
    if not await context.repository.remove_passkey(context.realm, user_id, credential_id, context.stored(event)):
        raise _not_found()
    return context.tell(event)


def _not_found() -> CredentialNotFound:
    return CredentialNotFound("the user has no such authenticator", path="authenticator_id")


def _of_passkey(passkey: Passkey) -> Authenticator:
    return Authenticator(
        authenticator_id=encode_base64url(passkey.credential_id),
        method="passkey",
        name=passkey.name,
        created_at=passkey.created_at,
        last_used_at=passkey.last_used_at,
        expires_at=None,
        passkey=passkey,
    )


def _of_device(device: DeviceCredential) -> Authenticator:
    return Authenticator(
        authenticator_id=device.authenticator_id,
        method=device.method,
        name=device.name,
        created_at=device.created_at,
        last_used_at=device.last_used_at,
        expires_at=device.expires_at,
        device=device,
    )
