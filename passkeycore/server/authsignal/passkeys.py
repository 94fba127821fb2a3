"""Passkeys, as client SDKs make, use and look them up.

What belongs here: their routes, and what native SDKs spell in their own way before the engine judges it: binary members
in standard base64.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, cast

import msgspec

from ...engine.actions.challenges import MetChallenge
from ...engine.records import Passkey, User
from ...errors import CeremonyError, DecodeError, PasskeyError, VerificationError
from ...webauthn.encoding import encode_base64url
from ..forgetting import may_forget
from ..handles import with_owners_handle
from ..tenancy.tenants import Tenant
from .auth import Call
from .ceremonies import Begun, new_binding, seal, unseal
from .profiles import Json, find_profile, name_of
from .starting import starting_token
from .waiting import give_up_waiting
from .wire import Members, Refused, decode_lenient, invalid_credential, invalid_request, iso, present, read

_REGISTRATION: Final = ("clientDataJSON", "attestationObject")
_AUTHENTICATION: Final = ("clientDataJSON", "authenticatorData", "signature")
_MOST_ASKED: Final = 64  # credential ids in one look-up; a shared tablet remembers one for each of its users
_LONGEST_DEVICE_ID: Final = 255
_VERSION: Final = "X-Authsignal-Version"


class _RegistrationOptions(Members):
    username: str | None = None
    display_name: str | None = None
    authenticator_attachment: Literal["platform", "cross-platform"] | None = None


class _Registration(Members):
    challenge_id: str
    registration_credential: dict[str, Any]


class _AuthenticationOptions(Members):
    challenge_id: str | None = None


class _Authentication(Members):
    challenge_id: str
    authentication_credential: dict[str, Any]
    device_id: str | None = None


_REGISTRATION_OPTIONS: Final = msgspec.json.Decoder(_RegistrationOptions)
_REGISTER: Final = msgspec.json.Decoder(_Registration)
_AUTHENTICATION_OPTIONS: Final = msgspec.json.Decoder(_AuthenticationOptions)
_AUTHENTICATE: Final = msgspec.json.Decoder(_Authentication)


async def registration_options(call: Call) -> Json:
    """Options for a new passkey of the user whose token it is."""
    asked, tenant = read(_REGISTRATION_OPTIONS, call.body), call.tenant
    token, action = call.bearer
    profile = await find_profile(tenant, action.user_id)
    user_name = asked.username or name_of(profile)
    known = await tenant.passkeys.find_user(action.user_id)
    if user_name is None and known is None:
        user_name = action.user_id
    shown = user_name or (known.name if known is not None else "")
    said = (profile.display_name if profile is not None else None) or (known.display_name if known is not None else "")
    start = await tenant.actions.start_passkey_enrolment(
        token,
        user_name=user_name,
        user_display_name=asked.display_name or said or shown,  # iOS labels the passkey with it
        authenticator_attachment=asked.authenticator_attachment,
    )
    begun = Begun(kind="enrolment", realm=tenant.tenant_id, token=token)
    lifetime_s = tenant.settings.config.ceremony_timeout_s
    options = start.to_dict()
    if _is_of_2023(call, asked):
        options["excludeCredentials"] = []
    return {"challengeId": seal(tenant, begun, lifetime_s), "options": options}


async def register(call: Call) -> Json:
    """The passkey, stored. The token stays what it was: a new passkey meets no challenge by being made.

    So that ``validate`` calls it no proof; clients keep it and meet its action with the new passkey.
    """
    asked, tenant = read(_REGISTER, call.body), call.tenant
    token, action = call.bearer
    unseal(call.caller, asked.challenge_id, "enrolment")
    credential = _canonical(asked.registration_credential, _REGISTRATION)
    done = await tenant.actions.finish_passkey_enrolment(token, credential)
    credential_id = encode_base64url(done.passkey.credential_id)
    return {
        "isVerified": True,
        "accessToken": token,
        "userAuthenticatorId": credential_id,
        "credentialId": credential_id,
        "userId": action.user_id,
    }


async def authentication_options(call: Call) -> Json:
    """Options to meet the token's challenge; without a token, to sign in whoever has a passkey here."""
    asked, tenant = read(_AUTHENTICATION_OPTIONS, call.body), call.tenant
    config = tenant.settings.config
    token = await starting_token(call, "passkey")
    if token is not None:
        start = await tenant.actions.start_passkey_challenge(token)
        begun = Begun(kind="authentication", realm=tenant.tenant_id, token=token, shown=call.caller.token)
        return {"challengeId": seal(tenant, begun, config.ceremony_timeout_s), "options": _request(start.to_dict())}
    word = await tenant.actions.in_app_challenge_action(asked.challenge_id) if asked.challenge_id else None
    begun = Begun(
        kind="authentication",
        realm=tenant.tenant_id,
        action=word or tenant.settings.default_action,
        binding=new_binding(tenant),
    )
    # As long as a prompt may wait in a page's fields: nothing tells here whether it is one.
    start = await tenant.actions.start_passkey_sign_in(
        begun.action, binding=begun.binding, timeout_ms=config.conditional_timeout_s * 1000
    )
    return {"challengeId": seal(tenant, begun, config.conditional_timeout_s), "options": _request(start.to_dict())}


async def authenticate(call: Call) -> Json:
    """Who has used their passkey, and the token that proves it."""
    asked, tenant = read(_AUTHENTICATE, call.body), call.tenant
    begun = unseal(call.caller, asked.challenge_id, "authentication")
    credential = _canonical(asked.authentication_credential, _AUTHENTICATION)
    credential_id = _credential_id(credential.get("rawId"))
    found = None if credential_id is None else await tenant.passkeys.find_passkey(credential_id)
    if found is not None:
        credential = with_owners_handle(credential, *found)
    try:
        met = await _met(call, begun, credential, asked.device_id)
    except (VerificationError, CeremonyError) as error:
        is_gone = credential_id is not None and found is None and await _may_forget(call, credential_id)
        raise _failed(error, is_gone=is_gone) from None
    return await _proof(call, met)


async def look_up(call: Call) -> Json:
    """That one of these passkeys signs somebody in here, and since when; nothing of whose it is."""
    ids = (call.query.get("credentialIds") or call.query.get("credentialId") or "").split(",")
    if len(ids) > _MOST_ASKED:
        raise invalid_request(f"Ask for up to {_MOST_ASKED} credentials.")
    for text in ids:
        credential_id = _credential_id(text)
        found = None if credential_id is None else await call.tenant.passkeys.find_passkey(credential_id)
        if found is not None and _is_good(call.tenant, *found):
            passkey = found[0]
            return {"credentialId": encode_base64url(passkey.credential_id), "verifiedAt": iso(passkey.created_at)}
    raise invalid_credential()


async def names_of(call: Call, user: User) -> Json:
    """The user's names, for a client that keeps its passkeys under them."""
    profile = await find_profile(call.tenant, user.user_id)
    display_name = (profile.display_name if profile is not None else None) or user.display_name
    return {"username": name_of(profile) or user.name, "userDisplayName": display_name or None}


async def _met(call: Call, begun: Begun, credential: Json, device_id: str | None) -> MetChallenge:
    actions = call.tenant.actions
    if begun.token is not None:
        met = await actions.finish_passkey_challenge(begun.token, credential)
        await give_up_waiting(call.tenant, begun.token, met.user_id)
        return met
    client = call.client
    if device_id:
        client = msgspec.structs.replace(client, device_id=device_id[:_LONGEST_DEVICE_ID])
    return await actions.finish_passkey_sign_in(begun.action, credential, binding=begun.binding, client=client)


async def _proof(call: Call, met: MetChallenge) -> Json:
    done = met.authentication
    if done is None:  # only a passkey's challenge is finished here
        raise invalid_request("The challenge is none for passkeys.")
    return present(
        {
            "isVerified": True,
            "accessToken": met.token,
            "userId": met.user_id,
            "userAuthenticatorId": encode_base64url(done.passkey.credential_id),
            **await names_of(call, done.user),
        }
    )


async def _may_forget(call: Call, credential_id: bytes) -> bool:
    dialect = call.dialect
    return await may_forget(dialect.tenants, dialect.settings, call.tenant, encode_base64url(credential_id))


def _failed(error: PasskeyError, *, is_gone: bool) -> Refused:
    """`unknown_credential` makes devices hide the passkey: only of one that nobody has here."""
    if not is_gone:
        return Refused(error.http_status, "invalid_credential", error.public_message)
    return Refused(404, "unknown_credential", "This passkey is not registered here.")


def _is_good(tenant: Tenant, passkey: Passkey, user: User) -> bool:
    """Whether it signs its owner in: not of another RP ID, which the tenant had before, nor of a disabled user."""
    return user.disabled_at is None and passkey.credential.rp_id == tenant.passkeys.context.rp.id


def _is_of_2023(call: Call, asked: _RegistrationOptions) -> bool:
    """Whether it can be an app that reads only texts in `excludeCredentials`; the platform then finds no duplicate.

    These send a name and nothing else. Later ones say which release they are, or where they want the passkey.
    """
    is_bare = asked.username is not None and (asked.display_name, asked.authenticator_attachment) == (None, None)
    return is_bare and _VERSION not in call.headers


def _request(options: Json) -> Json:
    return {"allowCredentials": [], **options}  # native SDKs need the member


def _canonical(credential: Json, names: Sequence[str]) -> Json:
    """The credential with its binary members in the one spelling that the engine reads."""
    response = _members(credential.get("response"))
    if response is None:
        return credential  # which the engine refuses
    members = {**credential, **{name: _respelled(credential.get(name), name) for name in ("id", "rawId")}}
    members["response"] = {**response, **{name: _respelled(response.get(name), f"response.{name}") for name in names}}
    return members


def _respelled(value: object, path: str) -> object:
    return encode_base64url(decode_lenient(value, path)) if isinstance(value, str) else value


def _credential_id(text: object) -> bytes | None:
    """The id that a client names; None: it is none."""
    try:
        credential_id = decode_lenient(text, "rawId") if isinstance(text, str) else b""
    except DecodeError:
        return None
    return credential_id if 1 <= len(credential_id) <= 1_023 else None


def _members(value: object) -> Json | None:
    return cast("Json", value) if isinstance(value, dict) else None
