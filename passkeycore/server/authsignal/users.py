"""Users as an application's server sees them: their profiles, and what they can prove themselves by.

What belongs here: the routes below ``/users/{userId}`` that are about no action, and how an authenticator is written.
A profile is what the application has said; nothing in it decides who gets in.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...actions.states import Method
from ...engine.checks import check_text, check_user_id
from ...engine.devices.authenticators import Authenticator
from ...engine.tenancy.records import Profile, ProfileFilter
from ...errors import CeremonyError, Code, ConflictError
from ...webauthn.encoding import encode_base64url
from ..tenants import Tenant
from .auth import Call
from .wire import METHODS, Members, custom_values, invalid_request, iso, present, read

Json = dict[str, Any]

_RACES: Final = 5
_LONGEST: Final = 255  # characters of what a profile is found by
_MOST_LISTED: Final = 100
_TEXTS: Final = ("email", "phone_number", "username", "display_name", "locale")


class _Attributes(Members):
    email: str | msgspec.UnsetType | None = msgspec.UNSET
    email_verified: bool | msgspec.UnsetType | None = msgspec.UNSET
    phone_number: str | msgspec.UnsetType | None = msgspec.UNSET
    phone_number_verified: bool | msgspec.UnsetType | None = msgspec.UNSET
    username: str | msgspec.UnsetType | None = msgspec.UNSET
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET
    locale: str | msgspec.UnsetType | None = msgspec.UNSET
    custom: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class _Verified(Members):
    verification_method: str
    email: str | None = None
    phone_number: str | None = None


_ATTRIBUTES: Final = msgspec.json.Decoder(_Attributes)
_VERIFIED: Final = msgspec.json.Decoder(_Verified)


async def get_user(call: Call) -> Json:
    """What is known of a user; of one who is not known, that they have enrolled nothing."""
    user_id = call.path["user_id"]
    profile = await find_profile(call.tenant, user_id)
    enrolled = [METHODS[each.method] for each in await call.tenant.devices.list_authenticators(user_id)]
    return {
        "isEnrolled": bool(enrolled),
        **_attributes(profile),
        "enrolledVerificationMethods": list(dict.fromkeys(enrolled)),
        "allowedVerificationMethods": method_names(call.tenant.settings.rules.default.allowed_methods),
    }


async def update_user(call: Call) -> Json:
    """The user's profile with what the body says; null empties a member."""
    asked = read(_ATTRIBUTES, call.body)
    changes = {
        name: value for name in _Attributes.__struct_fields__ if (value := getattr(asked, name)) is not msgspec.UNSET
    }
    return _attributes(await save_profile(call.tenant, call.path["user_id"], changes))


async def delete_user(call: Call) -> Json:
    """Removes all of a user. One who is not known is gone already."""
    tenant, user_id = call.tenant, call.path["user_id"]
    try:
        await tenant.passkeys.remove_user(user_id)
    except CeremonyError as error:
        if error.code is not Code.USER_NOT_FOUND:
            raise
    await tenant.repository.remove_profile(tenant.tenant_id, user_id)
    return {}


async def query_users(call: Call) -> Json:
    """Users whose profiles say exactly this, by their ids; or the one whose action a token names."""
    query, tenant = call.query, call.tenant
    for name in ("email", "phoneNumber", "username", "lastEvaluatedUserId"):
        check_text(query.get(name), name, longest=_LONGEST)
    if "token" in query:
        action = await tenant.actions.action_of_token(query["token"])
        profile = await find_profile(tenant, action.user_id)
        return {"users": [] if profile is None else [_listed(profile)]}
    page = await tenant.repository.list_profiles(
        tenant.tenant_id,
        ProfileFilter(email=query.get("email"), phone_number=query.get("phoneNumber"), username=query.get("username")),
        query.get("lastEvaluatedUserId"),
        _limit(query.get("limit")),
    )
    members = {"users": list(map(_listed, page.profiles)), "lastEvaluatedUserId": page.next_after}
    return present(members)


async def get_authenticators(call: Call) -> list[Json]:
    """All of a user's authenticators, the addresses that the application has verified among them."""
    tenant, user_id = call.tenant, call.path["user_id"]
    profile = await find_profile(tenant, user_id)
    listed = await tenant.devices.list_authenticators(user_id)
    verified = [] if profile is None else [_of_address(profile, kind) for kind in _ADDRESSES if _has(profile, kind)]
    return [authenticator_members(each, user_id, profile) for each in listed] + verified


async def enrol_verified(call: Call) -> Json:
    """An address that the application has verified itself, as an authenticator of the user's.

    It is listed like others and meets no challenge here: codes are neither sent nor checked.
    """
    asked = read(_VERIFIED, call.body)
    kind = _KINDS.get(asked.verification_method)
    if kind is None:
        raise invalid_request("Only an address can be enrolled like this: EMAIL_OTP, EMAIL_MAGIC_LINK, SMS, WHATSAPP.")
    _, field, _ = _ADDRESSES[kind]
    if not (address := getattr(asked, field)):
        raise invalid_request("The address is missing.")
    changes = {field: address, f"{field}_verified": True}
    profile = await save_profile(call.tenant, call.path["user_id"], changes)
    return {"authenticator": _of_address(profile, kind)}


async def delete_authenticator(call: Call) -> Json:
    """Removes one of a user's authenticators; of an address, that it is one."""
    tenant, user_id, authenticator_id = call.tenant, call.path["user_id"], call.path["authenticator_id"]
    if authenticator_id not in _ADDRESSES:
        await tenant.devices.remove_authenticator(user_id, authenticator_id)
        return {}
    profile = await find_profile(tenant, user_id)
    if profile is None or not _has(profile, authenticator_id):
        raise invalid_request("There is no such authenticator.", 404)
    await save_profile(tenant, user_id, {f"{_ADDRESSES[authenticator_id][1]}_verified": False})
    return {}


async def list_own(call: Call) -> list[Json]:
    """All authenticators of the user whose token it is: clients forget every passkey that is not among them.

    Without addresses: the token need not be in its user's hands yet.
    """
    _, action = call.bearer
    listed = await call.tenant.devices.list_authenticators(action.user_id)
    return [authenticator_members(each, action.user_id, None) for each in listed]


def authenticator_members(authenticator: Authenticator, user_id: str, profile: Profile | None) -> Json:
    """An authenticator as the dialect writes it.

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
                "deviceId": authenticator.authenticator_id,
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


# --- profiles ---


async def find_profile(tenant: Tenant, user_id: str) -> Profile | None:
    """What the application has said of a user; None: nothing."""
    check_user_id(user_id)
    return await tenant.repository.find_profile(tenant.tenant_id, user_id)


async def save_profile(tenant: Tenant, user_id: str, changes: Mapping[str, Any]) -> Profile:
    """The profile with `changes`, stored. An address that changes is not a verified one any more, unless they say so.

    Raises:
        DecodeError: `user_id_invalid`, `name_invalid`, `action_invalid`: what cannot be stored.
        ConflictError: It changes faster than it can be written.
    """
    check_user_id(user_id)
    changes = checked_changes(changes)
    repository, realm, now = tenant.repository, tenant.tenant_id, tenant.passkeys.context.now()
    for _ in range(_RACES):
        stored = await repository.find_profile(realm, user_id)
        base = stored or Profile(user_id=user_id, created_at=now, updated_at=now, realm=realm)
        changed = msgspec.structs.replace(base, **_unverified(base, changes), **changes)
        if stored is not None:
            if changed == stored:
                return stored
            changed = msgspec.structs.replace(changed, updated_at=now, revision=stored.revision + 1)
        if await repository.save_profile(changed):
            return changed
    raise ConflictError(Code.CONFLICT, "the profile changes faster than it can be written")


def _unverified(profile: Profile, changes: Mapping[str, Any]) -> Json:
    return {
        f"{field}_verified": False
        for field in ("email", "phone_number")
        if f"{field}_verified" not in changes and field in changes and changes[field] != getattr(profile, field)
    }


def checked_changes(changes: Mapping[str, Any]) -> Json:
    """Changes of a profile that can be stored: what is None is emptied.

    Raises:
        DecodeError: `name_invalid`, `action_invalid`.
    """
    for name in _TEXTS:
        check_text(changes.get(name), name, longest=_LONGEST)
    empty: Json = {"email_verified": False, "phone_number_verified": False}
    checked = {name: empty.get(name) if value is None else value for name, value in changes.items()}
    return {**checked, "custom": custom_values(changes["custom"] or {})} if "custom" in changes else checked


def _attributes(profile: Profile | None) -> Json:
    if profile is None:
        return {"emailVerified": False, "phoneNumberVerified": False}
    return present(
        {
            **_addresses(profile),
            "username": profile.username,
            "displayName": profile.display_name,
            "custom": dict(profile.custom) or None,
            "locale": profile.locale,
        }
    )


def _listed(profile: Profile) -> Json:
    return present({"userId": profile.user_id, **_addresses(profile), "username": profile.username})


def _addresses(profile: Profile) -> Json:
    return {
        "email": profile.email,
        "emailVerified": profile.email_verified,
        "phoneNumber": profile.phone_number,
        "phoneNumberVerified": profile.phone_number_verified,
    }


# Of an address: its method, the member of a profile, and of an answer. No other authenticator has such an id.
_ADDRESSES: Final[Mapping[str, tuple[str, str, str]]] = {
    "email-otp": ("EMAIL_OTP", "email", "email"),
    "sms-otp": ("SMS", "phone_number", "phoneNumber"),
}
_KINDS: Final[Mapping[str, str]] = {
    "EMAIL_OTP": "email-otp",
    "EMAIL_MAGIC_LINK": "email-otp",
    "SMS": "sms-otp",
    "WHATSAPP": "sms-otp",
}


def _has(profile: Profile, kind: str) -> bool:
    field = _ADDRESSES[kind][1]
    return bool(getattr(profile, field)) and bool(getattr(profile, f"{field}_verified"))


def _of_address(profile: Profile, kind: str) -> Json:
    method, field, member = _ADDRESSES[kind]
    return {
        "userId": profile.user_id,
        "userAuthenticatorId": kind,
        "verificationMethod": method,
        "createdAt": iso(profile.updated_at),
        "verifiedAt": iso(profile.updated_at),
        member: getattr(profile, field),
        "isDefault": False,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return _MOST_LISTED
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) < 1:
        raise invalid_request("The limit is a number from 1 on.")
    return min(int(text), _MOST_LISTED)
