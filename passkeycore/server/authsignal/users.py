"""Users as an application's server sees them: looked up, changed, removed, and found by what was said of them."""

from typing import Any, Final

import msgspec

from ...engine.actions.records import Action
from ...engine.checks import check_text
from ...engine.tenancy.records import Profile, ProfileFilter
from ...errors import CeremonyError, Code, TokenError
from .auth import Call
from .authenticators import method_names
from .profiles import LONGEST, Json, address_methods, addresses, attributes, find_profile, save_profile
from .wire import METHODS, Members, bad_token, invalid_request, present, read_typed

_MOST_LISTED: Final = 100


class _Attributes(Members):
    email: str | msgspec.UnsetType | None = msgspec.UNSET
    email_verified: bool | msgspec.UnsetType | None = msgspec.UNSET
    phone_number: str | msgspec.UnsetType | None = msgspec.UNSET
    phone_number_verified: bool | msgspec.UnsetType | None = msgspec.UNSET
    username: str | msgspec.UnsetType | None = msgspec.UNSET
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET
    locale: str | msgspec.UnsetType | None = msgspec.UNSET
    custom: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


_ATTRIBUTES: Final = msgspec.json.Decoder(_Attributes)


async def get_user(call: Call) -> Json:
    """What is known of a user; of one who is not known, that they have enrolled nothing."""
    user_id = call.path["user_id"]
    profile = await find_profile(call.tenant, user_id)
    owned = [METHODS[each.method] for each in await call.tenant.devices.list_authenticators(user_id)]
    enrolled = [*owned, *address_methods(profile)]
    return {
        "isEnrolled": bool(enrolled),
        **attributes(profile),
        "enrolledVerificationMethods": list(dict.fromkeys(enrolled)),
        "allowedVerificationMethods": method_names(call.tenant.settings.rules.default.allowed_methods),
    }


async def update_user(call: Call) -> Json:
    """The user's profile with what the body says; null empties a member."""
    asked = read_typed(_ATTRIBUTES, call.body)
    changes = {
        name: value for name in _Attributes.__struct_fields__ if (value := getattr(asked, name)) is not msgspec.UNSET
    }
    return attributes(await save_profile(call.tenant, call.path["user_id"], changes))


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
    """Users whose profiles say exactly this, by their ids; or the one whose action a token names, and what it says."""
    query, tenant = call.query, call.tenant
    for name in ("email", "phoneNumber", "username", "lastEvaluatedUserId"):
        check_text(query.get(name), name, longest=LONGEST)
    if "token" in query:
        try:
            action = await tenant.actions.action_of_token(query["token"])
        except TokenError as error:
            raise bad_token(error) from None
        profile = await find_profile(tenant, action.user_id)
        users = [] if profile is None else [_listed(profile)]
        return {"users": users, "tokenPayload": _payload(tenant.tenant_id, action, profile)}
    page = await tenant.repository.list_profiles(
        tenant.tenant_id,
        ProfileFilter(email=query.get("email"), phone_number=query.get("phoneNumber"), username=query.get("username")),
        query.get("lastEvaluatedUserId"),
        _limit(query.get("limit")),
    )
    members = {"users": list(map(_listed, page.profiles)), "lastEvaluatedUserId": page.next_after}
    return present(members)


def _listed(profile: Profile) -> Json:
    return present({"userId": profile.user_id, **addresses(profile), "username": profile.username})


def _payload(tenant_id: str, action: Action, profile: Profile | None) -> Json:
    """What other servers of this dialect write into a token; here it is looked up."""
    return present(
        {
            "sub": action.user_id,
            "iat": int(action.created_at.timestamp()),
            "exp": int(action.expires_at.timestamp()),
            "scope": " ".join(action.scope) or None,
            "other": present(
                {
                    "actionCode": action.action,
                    "idempotencyKey": action.idempotency_key,
                    "tenantId": tenant_id,
                    "userId": action.user_id,
                    "username": None if profile is None else profile.username,
                }
            ),
        }
    )


def _limit(text: str | None) -> int:
    if text is None:
        return _MOST_LISTED
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) < 1:
        raise invalid_request("The limit is a number from 1 on.")
    return min(int(text), _MOST_LISTED)
