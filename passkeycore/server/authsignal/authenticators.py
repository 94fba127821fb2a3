"""What a user can prove themselves by, as an application's server and a client see it, and how it is written."""

from collections.abc import Mapping
from typing import Final

import msgspec

from ...actions.states import Method
from ...engine.devices.authenticators import Authenticator
from ...engine.tenancy.records import Profile
from ...webauthn.encoding import encode_base64url
from .auth import Call
from .profiles import ADDRESSES, Json, find_profile, save_profile, verified_addresses
from .wire import METHODS, Members, invalid_request, iso, present, read_typed

_KINDS: Final[Mapping[str, str]] = {
    "EMAIL_OTP": "email-otp",
    "EMAIL_MAGIC_LINK": "email-otp",
    "SMS": "sms-otp",
    "WHATSAPP": "sms-otp",
}


class _Verified(Members):
    verification_method: str
    email: str | None = None
    phone_number: str | None = None


_VERIFIED: Final = msgspec.json.Decoder(_Verified)


async def get_authenticators(call: Call) -> list[Json]:
    """All of a user's authenticators, the addresses that the application has verified among them."""
    tenant, user_id = call.tenant, call.path["user_id"]
    profile = await find_profile(tenant, user_id)
    listed = await tenant.devices.list_authenticators(user_id)
    verified = [] if profile is None else [_of_address(profile, kind) for kind in verified_addresses(profile)]
    return [authenticator_members(each, user_id, profile) for each in listed] + verified


async def enrol_verified(call: Call) -> Json:
    """An address that the application has verified itself, as an authenticator of the user's.

    It is listed and counted like others, so that the user is asked for a challenge; but that takes another one, as
    codes are neither sent nor checked.
    """
    asked = read_typed(_VERIFIED, call.body)
    kind = _KINDS.get(asked.verification_method)
    if kind is None:
        raise invalid_request("Only an address can be enrolled like this: EMAIL_OTP, EMAIL_MAGIC_LINK, SMS, WHATSAPP.")
    _, field, _ = ADDRESSES[kind]
    if not (address := getattr(asked, field)):
        raise invalid_request("The address is missing.")
    changes = {field: address, f"{field}_verified": True}
    profile = await save_profile(call.tenant, call.path["user_id"], changes)
    return {"authenticator": _of_address(profile, kind)}


async def delete_authenticator(call: Call) -> Json:
    """Removes one of a user's authenticators; of an address, that it is one."""
    tenant, user_id, authenticator_id = call.tenant, call.path["user_id"], call.path["authenticator_id"]
    if authenticator_id not in ADDRESSES:
        await tenant.devices.remove_authenticator(user_id, authenticator_id)
        return {}
    if authenticator_id not in verified_addresses(await find_profile(tenant, user_id)):
        raise invalid_request("There is no such authenticator.", 404)
    await save_profile(tenant, user_id, {f"{ADDRESSES[authenticator_id][1]}_verified": False})
    return {}


async def list_own(call: Call) -> list[Json]:
    """All authenticators of the user whose token it is: clients forget every passkey that is not among them.

    Without addresses: the token need not be in its user's hands yet.
    """
    _, action = call.bearer
    listed = await call.tenant.devices.list_authenticators(action.user_id)
    return [authenticator_members(each, action.user_id, None) for each in listed]


def authenticator_members(authenticator: Authenticator, user_id: str, profile: Profile | None) -> Json:
    """An authenticator as the dialect writes it. By which device a passkey was made is not kept, and so an empty text.

    Args:
        authenticator: What it is.
        user_id: Whose it is.
        profile: What else is told of the user; None: nothing.
    """
    members: Json = {
        "userId": user_id,
        "userAuthenticatorId": authenticator.authenticator_id,
        "verificationMethod": METHODS[authenticator.method],
        "createdAt": iso(authenticator.created_at),
        "verifiedAt": iso(authenticator.created_at),
        "lastVerifiedAt": None if authenticator.last_used_at is None else iso(authenticator.last_used_at),
        "username": None if profile is None else profile.username,
        "displayName": authenticator.name,
        "isDefault": False,
    }
    if authenticator.device is not None:
        members["devicePlatform"] = authenticator.device.platform.upper()
    if authenticator.passkey is not None:
        credential = authenticator.passkey.credential
        eligible = credential.backup_eligible
        members["webauthnCredential"] = present(
            {
                "credentialId": encode_base64url(credential.credential_id),
                "deviceId": "",  # some SDKs read no object without it
                "name": authenticator.name,
                "aaguid": str(credential.aaguid),
                "credentialBackedUp": credential.backup_state,
                "credentialDeviceType": None if eligible is None else "multiDevice" if eligible else "singleDevice",
            }
        )
    return present(members)


def method_names(methods: tuple[Method, ...]) -> list[str]:
    """Methods as the dialect calls them."""
    return [METHODS[method] for method in methods]


def _of_address(profile: Profile, kind: str) -> Json:
    method, field, member = ADDRESSES[kind]
    return {
        "userId": profile.user_id,
        "userAuthenticatorId": kind,
        "verificationMethod": method,
        "createdAt": iso(profile.updated_at),
        "verifiedAt": iso(profile.updated_at),
        member: getattr(profile, field),
        "isDefault": False,
    }
