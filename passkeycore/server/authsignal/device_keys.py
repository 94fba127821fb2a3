"""Keys on devices, as an app looks them up, enrols and removes them: push, QR codes, in-app, and the legacy ``device``.

A public key names a device and proves nothing: what is told for it is told to whoever knows it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ...devices import DeviceMethod
from ...engine.devices.records import DeviceCredential
from ...errors import CredentialExists, CredentialNotFound, SignatureError
from ..edge.http import describe
from ..tenancy.tenants import Tenant
from .auth import Call, Handler
from .profiles import Json, find_profile, name_of
from .wire import Members, decode_lenient, decode_query_key, invalid_credential, invalid_request, iso, present, read

_LOGGER: Final = logging.getLogger("passkeycore.server")
_LONGEST_NAME: Final = 64
_NAMELESS: Final = "Device"

METHODS_OF: Final[Mapping[str, tuple[DeviceMethod, ...]]] = {
    "push": ("push",),
    "qr-code": ("qr-code",),
    "in-app": ("in-app",),
    "device": ("in-app", "qr-code"),
}
"""By what the dialect calls them. The legacy one has one key for several; the first of them is told."""


class _Enrol(Members):
    public_key: str
    device_name: str | None = None
    device_platform: str | None = None
    push_token: str | None = None


class _Remove(Members):
    public_key: str
    signature: str


_ENROL: Final = msgspec.json.Decoder(_Enrol)
_REMOVE: Final = msgspec.json.Decoder(_Remove)


def look_up(name: str) -> Handler:
    """The route that tells whether a key is enrolled, and since when."""

    async def handler(call: Call) -> Json:
        return _members(await found_device(call, METHODS_OF[name]))

    return handler


def enrol(name: str) -> Handler:
    """The route that enrols a key for the user whose token it is. One that is theirs already stays enrolled.

    What has several methods is enrolled for all of them, or for none: whatever ends the request between them takes back
    the first. A process that is killed there, or loses its database, leaves the first method alone: the key counts for
    it, `remove` removes it, and it is enrolled for the rest at the next time with a token that adds authenticators.
    """

    async def handler(call: Call) -> Json:
        asked = read(_ENROL, call.body)
        public_key = decode_lenient(asked.public_key, "publicKey")
        first, *others = METHODS_OF[name]
        device, is_new = await _enrolled(call, first, public_key, asked)
        for method in others:
            try:
                if is_new:
                    await _other_half(call.tenant, device, method)
                else:
                    await _enrolled(call, method, public_key, asked)
            except BaseException:  # also where the request is cancelled
                if is_new:
                    await _take_back(call.tenant, device)
                raise
        return _members(device)

    return handler


def remove(name: str) -> Handler:
    """The route by which a device removes its own key, from whichever of the methods it is enrolled for."""

    async def handler(call: Call) -> Json:
        asked = read(_REMOVE, call.body)
        public_key = decode_lenient(asked.public_key, "publicKey")
        signature = decode_lenient(asked.signature, "signature")
        removed: list[DeviceCredential] = []
        for method in METHODS_OF[name]:
            try:
                device = await call.tenant.devices.remove_by_device(
                    method=method, public_key=public_key, signature=signature
                )
            except SignatureError:
                continue
            removed.append(device)
        if not removed:
            raise invalid_credential()
        return {"removedAuthenticatorId": removed[0].authenticator_id}

    return handler


async def found_device(call: Call, methods: Sequence[DeviceMethod]) -> DeviceCredential:
    """The device whose key the query names, by the first of the methods that it is enrolled for.

    Raises:
        Refused: 404, `invalid_credential`. DecodeError: `base64url_invalid`, `public_key_malformed`.
    """
    public_key = decode_query_key(call.query.get("publicKey", ""))
    for method in methods:
        device = await call.tenant.devices.find_device(method=method, public_key=public_key)
        if device is not None:
            return device
    raise invalid_credential()


async def _enrolled(
    call: Call, method: DeviceMethod, public_key: bytes, asked: _Enrol
) -> tuple[DeviceCredential, bool]:
    """The device, and whether it is new."""
    tenant, (token, action) = call.tenant, call.bearer
    push_token = (asked.push_token or None) if method == "push" else None
    theirs = await tenant.devices.find_device(method=method, public_key=public_key)
    # Apps keep their keys and enrol them at every sign-in: nothing changes by it, so that any token of theirs will do.
    if theirs is not None and theirs.user_id == action.user_id and push_token in (None, theirs.push_token):
        return theirs, False
    profile = await find_profile(tenant, action.user_id)
    try:
        device = await tenant.actions.enrol_device(
            token,
            method=method,
            public_key=public_key,
            signature=None,
            name=(asked.device_name or _NAMELESS)[:_LONGEST_NAME],
            platform=(asked.device_platform or "unknown")[:_LONGEST_NAME],
            user_name=name_of(profile) or action.user_id,
            push_token=push_token,
        )
    except CredentialExists:
        # Whoever may add a device may say where its push messages go from now on.
        return await _again(tenant, action.user_id, method, public_key, push_token), False
    return device, True


async def _other_half(tenant: Tenant, device: DeviceCredential, method: DeviceMethod) -> None:
    """Enrols the key of a device for another method, too: it is the same authenticator, which was just let in.

    Raises:
        PasskeyError: As `DeviceService.enrol_device`.
    """
    enrolment = await tenant.devices.start_enrolment(device.user_id)
    await tenant.devices.enrol_device(
        enrolment.token,
        method=method,
        public_key=device.public_key,
        signature=None,
        name=device.name,
        platform=device.platform,
    )


async def _take_back(tenant: Tenant, device: DeviceCredential) -> None:
    """Removes it, to the end: who cancels the request once more does not cancel this. What fails here is logged only.

    So that what ended the request is what its caller learns.
    """
    try:
        await asyncio.shield(tenant.devices.remove_device(device.user_id, device.authenticator_id))
    except CredentialNotFound:  # somebody else was first
        return
    except Exception as error:  # noqa: BLE001 - whatever a driver raises: the first error is what is told
        _LOGGER.error("one half of a device was not taken back: %s", describe(error))


async def _again(
    tenant: Tenant, user_id: str, method: DeviceMethod, public_key: bytes, push_token: str | None
) -> DeviceCredential:
    device = await tenant.devices.find_device(method=method, public_key=public_key)
    if device is None or device.user_id != user_id:
        raise invalid_request("The key is enrolled already, or the token was used.", 409)
    if push_token in (None, device.push_token):
        return device
    try:
        return await tenant.devices.update_device(user_id, device.authenticator_id, push_token=push_token)
    except CredentialNotFound:
        raise invalid_credential() from None


def _members(device: DeviceCredential) -> dict[str, Any]:
    return present(
        {
            "userAuthenticatorId": device.authenticator_id,
            "userId": device.user_id,
            "verifiedAt": iso(device.created_at),
            "lastVerifiedAt": None if device.last_used_at is None else iso(device.last_used_at),
            "expiresAt": None if device.expires_at is None else iso(device.expires_at),
        }
    )
