"""Keys on devices, as an app enrols and removes them, and answers challenges with them.

What belongs here: the app's side, of push, QR codes, in-app and the legacy ``device``, which has one key for all of
these. `waiting` has the side of whoever waits for an answer. A public key names a device and proves nothing: what is
told for it is told to whoever knows it.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...devices import DeviceMethod
from ...engine.actions.challenges import MetChallenge
from ...engine.devices.records import DeviceCredential
from ...errors import CredentialExists, CredentialNotFound, LimitReached, SignatureError, TokenError
from ..tenants import Tenant
from .auth import Call, Handler
from .passkeys import name_of, names_of
from .users import Json, find_profile
from .waiting import described
from .wire import (
    Members,
    Refused,
    decode_lenient,
    decode_query_key,
    invalid_credential,
    invalid_request,
    iso,
    present,
    read,
)

_LONGEST_NAME: Final = 64
_NAMELESS: Final = "Device"

# By what the dialect calls them. The first of several is the one that has to be enrolled, and that is told.
_METHODS: Final[dict[str, tuple[DeviceMethod, ...]]] = {
    "push": ("push",),
    "qr-code": ("qr-code",),
    "in-app": ("in-app",),
    "device": ("in-app", "qr-code"),
}


class _Enrol(Members):
    public_key: str
    device_name: str | None = None
    device_platform: str | None = None
    push_token: str | None = None


class _Remove(Members):
    public_key: str
    signature: str


class _Claim(Members):
    challenge_id: str
    public_key: str
    signature: str


class _Answer(Members):
    challenge_id: str
    public_key: str
    signature: str
    approved: bool
    verification_code: str | None = None


class _Challenge(Members):
    action: str | None = None


_ENROL: Final = msgspec.json.Decoder(_Enrol)
_REMOVE: Final = msgspec.json.Decoder(_Remove)
_CLAIM: Final = msgspec.json.Decoder(_Claim)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_CHALLENGE: Final = msgspec.json.Decoder(_Challenge)


def look_up(name: str) -> Handler:
    """The route that tells whether a key is enrolled, and since when."""

    async def handler(call: Call) -> Json:
        device = await _found(call, _METHODS[name])
        return _members(device)

    return handler


def enrol(name: str) -> Handler:
    """The route that enrols a key for the user whose token it is. One that is theirs already stays enrolled."""

    async def handler(call: Call) -> Json:
        asked = read(_ENROL, call.body)
        public_key = decode_lenient(asked.public_key, "publicKey")
        first, *others = _METHODS[name]
        device = await _enrolled(call, first, public_key, asked)
        for method in others:
            try:
                await _enrolled(call, method, public_key, asked)
            except (TokenError, LimitReached, Refused):
                break  # a first authenticator is one: the token allows no second. Or the key is another user's there
        return _members(device)

    return handler


def remove(name: str) -> Handler:
    """The route by which a device removes its own key."""

    async def handler(call: Call) -> Json:
        asked = read(_REMOVE, call.body)
        public_key, signature = decode_lenient(asked.public_key, "publicKey"), _signature(asked.signature)
        first, *others = _METHODS[name]
        try:
            removed = await call.tenant.devices.remove_by_device(
                method=first, public_key=public_key, signature=signature
            )
        except SignatureError:
            raise invalid_credential() from None
        for method in others:
            if await call.tenant.devices.find_device(method=method, public_key=public_key) is not None:
                await call.tenant.devices.remove_by_device(method=method, public_key=public_key, signature=signature)
        return {"removedAuthenticatorId": removed.authenticator_id}

    return handler


def pending(name: str) -> Handler:
    """The route by which a device asks what waits for it; without a challenge in the answer, nothing does."""

    async def handler(call: Call) -> Json:
        method = _METHODS[name][0]
        device = await _found(call, (method,))
        waiting = await call.tenant.devices.pending_challenge(
            method=method, public_key=device.public_key, signature=None
        )
        if waiting is None:
            return {"userAuthenticatorId": device.authenticator_id}
        return {
            "userAuthenticatorId": device.authenticator_id,
            "challengeId": waiting.challenge.challenge_id,
            "userId": device.user_id,
            "expiresAt": int(waiting.challenge.expires_at.timestamp()),
            **described(waiting.challenge.content),
        }

    return handler


async def answer(call: Call) -> Json:
    """What the device's user decided. Once; whoever waits for it gets the proof."""
    asked = read(_ANSWER, call.body)
    await call.tenant.actions.answer_device_challenge(
        asked.challenge_id,
        public_key=decode_lenient(asked.public_key, "publicKey"),
        signature=_signature(asked.signature),
        decision="approve" if asked.approved else "reject",
        verification_code=(asked.verification_code or None) if asked.approved else None,
    )
    return {"isVerified": asked.approved}


async def claim(call: Call) -> Json:
    """The challenge of a QR code that the device has scanned, which no other can answer from now on."""
    asked = read(_CLAIM, call.body)
    claimed = await call.tenant.devices.claim_challenge(
        asked.challenge_id,
        public_key=decode_lenient(asked.public_key, "publicKey"),
        signature=_signature(asked.signature),
    )
    return {"success": True, **described(claimed.challenge.content)}


async def no_message(call: Call) -> Json:
    """Nothing to sign before looking: a device then looks without, and no user is asked for a fingerprint each time."""
    await _found(call, _METHODS["push"])
    return {}


async def start_in_app(call: Call) -> Json:
    """A question to the app that asks, or the word under which a passkey's sign-in is to be kept.

    A client that shows a token wants a nonce to be attested with; what it signs then is its own business.
    """
    asked = read(_CHALLENGE, call.body)
    word = None if call.caller.token is not None else asked.action or None
    start = await call.tenant.actions.start_in_app_challenge(word, protocol="challenge-id")
    nonce = {} if call.caller.token is None else {"nonce": start.challenge_id}
    return {"challengeId": start.challenge_id, **nonce}


async def verify_in_app(call: Call) -> Json:
    """Who has approved within the app, and the token that proves it."""
    asked = read(_CLAIM, call.body)
    try:
        met = await _met(call, asked, decode_lenient(asked.public_key, "publicKey"), _signature(asked.signature))
    except SignatureError:
        raise invalid_credential(403) from None
    if met.approval is None:  # only a device's challenge is finished here
        raise invalid_request("The challenge is none for devices.")
    return present(
        {
            "token": met.token,
            "userId": met.user_id,
            "userAuthenticatorId": met.approval.device.authenticator_id,
            "username": (await names_of(call, met.approval.user))["username"],
        }
    )


async def _met(call: Call, asked: _Claim, public_key: bytes, signature: bytes) -> MetChallenge:
    actions, token, action = call.tenant.actions, call.caller.token, None
    if token is None and await actions.in_app_challenge_action(asked.challenge_id) is None:
        action = call.dialect.default_action  # begun without a word, by a client that might have shown a token now
    return await actions.finish_in_app_challenge(
        asked.challenge_id,
        public_key=public_key,
        signature=signature,
        token=token,
        action=action,
        client=call.client,
    )


async def _found(call: Call, methods: Sequence[DeviceMethod]) -> DeviceCredential:
    public_key = decode_query_key(call.query.get("publicKey", ""))
    for method in methods:
        device = await call.tenant.devices.find_device(method=method, public_key=public_key)
        if device is not None:
            return device
    raise invalid_credential()


async def _enrolled(call: Call, method: DeviceMethod, public_key: bytes, asked: _Enrol) -> DeviceCredential:
    tenant, (token, action) = call.tenant, call.bearer
    push_token = (asked.push_token or None) if method == "push" else None
    profile = await find_profile(tenant, action.user_id)
    try:
        return await tenant.actions.enrol_device(
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
        # Apps keep their keys and enrol them at every sign-in. Whoever may add a device may say that it is there.
        return await _again(tenant, action.user_id, method, public_key, push_token)


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


def _signature(text: str) -> bytes:
    return decode_lenient(text, "signature")
