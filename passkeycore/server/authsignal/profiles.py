"""Profiles: what an application has said of its users, kept beside what they can prove themselves by.

What belongs here: finding and storing one, and the addresses in it. Nothing in a profile decides who gets in; but an
address that the application has verified is an authenticator in this dialect: it counts as enrolled, and meets no
challenge here, as codes are neither sent nor checked.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...engine.checks import check_text, check_user_id
from ...engine.tenancy.records import Profile
from ...errors import Code, ConflictError
from ..tenancy.tenants import Tenant
from .wire import custom_values, present

Json = dict[str, Any]

_RACES: Final = 5
LONGEST: Final = 255
"""Characters of what a profile is found by."""

_TEXTS: Final = ("email", "phone_number", "username", "display_name", "locale")

# Of an address: its method, the member of a profile, and of an answer. No other authenticator has such an id.
ADDRESSES: Final[Mapping[str, tuple[str, str, str]]] = {
    "email-otp": ("EMAIL_OTP", "email", "email"),
    "sms-otp": ("SMS", "phone_number", "phoneNumber"),
}


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


def checked_changes(changes: Mapping[str, Any]) -> Json:
    """Changes of a profile that can be stored: what is None is emptied.

    Raises:
        DecodeError: `name_invalid`, `action_invalid`.
    """
    for name in _TEXTS:
        check_text(changes.get(name), name, longest=LONGEST)
    empty: Json = {"email_verified": False, "phone_number_verified": False}
    checked = {name: empty.get(name) if value is None else value for name, value in changes.items()}
    return {**checked, "custom": custom_values(changes["custom"] or {})} if "custom" in changes else checked


def verified_addresses(profile: Profile | None) -> tuple[str, ...]:
    """The ids in `ADDRESSES` of those that the application has verified."""
    return () if profile is None else tuple(kind for kind in ADDRESSES if _is_verified(profile, ADDRESSES[kind][1]))


def address_methods(profile: Profile | None) -> list[str]:
    """What the dialect calls the methods of verified addresses."""
    return [ADDRESSES[kind][0] for kind in verified_addresses(profile)]


def addresses(profile: Profile) -> Json:
    """The addresses as members of an answer; one that is not known is None."""
    return {
        "email": profile.email,
        "emailVerified": profile.email_verified,
        "phoneNumber": profile.phone_number,
        "phoneNumberVerified": profile.phone_number_verified,
    }


def attributes(profile: Profile | None) -> Json:
    """All of a profile as members of an answer; None: nobody has said anything."""
    if profile is None:
        return {"emailVerified": False, "phoneNumberVerified": False}
    return present(
        {
            **addresses(profile),
            "username": profile.username,
            "displayName": profile.display_name,
            "custom": dict(profile.custom) or None,
            "locale": profile.locale,
        }
    )


def name_of(profile: Profile | None) -> str | None:
    """What a user recognises their account by, as far as the application has said; None: it has not."""
    return None if profile is None else profile.username or profile.email or profile.phone_number


def _is_verified(profile: Profile, field: str) -> bool:
    return bool(getattr(profile, field)) and bool(getattr(profile, f"{field}_verified"))


def _unverified(profile: Profile, changes: Mapping[str, Any]) -> Json:
    return {
        f"{field}_verified": False
        for field in ("email", "phone_number")
        if f"{field}_verified" not in changes and field in changes and changes[field] != getattr(profile, field)
    }
