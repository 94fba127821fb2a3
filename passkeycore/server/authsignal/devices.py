"""What an app answers with the key on its device: push, QR codes, in-app and the legacy ``device``.

What belongs here: the app's side of challenges. `device_keys` has how a key gets there, `waiting` the side of whoever
waits for an answer.
"""

import re
from typing import Final

import msgspec

from ...devices import DeviceMethod
from ...engine.actions.challenges import MetChallenge
from ...engine.devices.records import DeviceChallenge, DeviceCredential
from ...errors import DecodeError, SignatureError
from ..tenancy.tenants import Tenant
from .auth import Call, Handler
from .device_keys import METHODS_OF, found_device
from .passkeys import names_of
from .profiles import Json
from .shown import described, has_custom
from .starting import of_success
from .wire import Members, decode_lenient, invalid_credential, invalid_request, present, read

_CHALLENGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SIGNATURE: Final = "X-Authsignal-Signature"
_LONGEST_SIGNATURE: Final = 256  # characters of base64


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


_CLAIM: Final = msgspec.json.Decoder(_Claim)
_ANSWER: Final = msgspec.json.Decoder(_Answer)
_CHALLENGE: Final = msgspec.json.Decoder(_Challenge)


def pending(name: str) -> Handler:
    """The route by which a device asks what waits for it; without a challenge in the answer, nothing does.

    What the application itself has said of the action is told to a device that signs what `message_to_sign` gave it.
    """

    async def handler(call: Call) -> Json:
        device = await found_device(call, METHODS_OF[name][:1])
        challenge = await _waiting(call.tenant, device)
        if challenge is None:
            return {"userAuthenticatorId": device.authenticator_id}
        return {
            "userAuthenticatorId": device.authenticator_id,
            "challengeId": challenge.challenge_id,
            "userId": device.user_id,
            "expiresAt": int(challenge.expires_at.timestamp()),
            **described(challenge.content, with_custom=_has_signed(call, device, challenge)),
        }

    return handler


async def message_to_sign(call: Call) -> Json:
    """What a device signs to be told more of what waits for it; nothing, where there is no more.

    So no user is asked for a fingerprint each time that an app looks.
    """
    device = await found_device(call, METHODS_OF["push"])
    challenge = await _waiting(call.tenant, device)
    return {} if challenge is None or not has_custom(challenge.content) else {"message": _message(challenge)}


def answer(name: str) -> Handler:
    """The route for what the device's user decided. Once; whoever waits for it gets the proof."""

    async def handler(call: Call) -> Json:
        asked = read(_ANSWER, call.body)
        await _check_method(call.tenant, asked.challenge_id, METHODS_OF[name])
        await call.tenant.actions.answer_device_challenge(
            asked.challenge_id,
            public_key=decode_lenient(asked.public_key, "publicKey"),
            signature=_signature(asked.signature),
            decision="approve" if asked.approved else "reject",
            verification_code=(asked.verification_code or None) if asked.approved else None,
        )
        return {"isVerified": asked.approved}

    return handler


async def claim(call: Call) -> Json:
    """The challenge of a QR code that the device has scanned, which no other can answer from now on."""
    asked = read(_CLAIM, call.body)
    claimed = await call.tenant.devices.claim_challenge(
        asked.challenge_id,
        public_key=decode_lenient(asked.public_key, "publicKey"),
        signature=_signature(asked.signature),
    )
    return {"success": True, **described(claimed.challenge.content, with_custom=True)}


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
    actions, token = call.tenant.actions, call.caller.token
    action: str | None = None
    if token is None:
        if await actions.in_app_challenge_action(asked.challenge_id) is None:
            action = call.tenant.settings.default_action  # begun without one, by a client that might have shown a token
    elif (again := await of_success(call.tenant, token)) is not None:
        # Its user does the same once more. Whose device it is, is known before anything is stored.
        device = await call.tenant.devices.find_device(method="in-app", public_key=public_key)
        if device is None or device.user_id != again.user_id:
            raise invalid_credential(403)
        token, action = None, again.action
    return await actions.finish_in_app_challenge(
        asked.challenge_id,
        public_key=public_key,
        signature=signature,
        token=token,
        action=action,
        client=call.client,
    )


async def _waiting(tenant: Tenant, device: DeviceCredential) -> DeviceChallenge | None:
    waiting = await tenant.devices.pending_challenge(method=device.method, public_key=device.public_key, signature=None)
    return None if waiting is None else waiting.challenge


async def _check_method(tenant: Tenant, challenge_id: str, methods: tuple[DeviceMethod, ...]) -> None:
    """Returns only where the challenge is for the route: what a device signs says nothing of it.

    Raises:
        Refused: 400, `invalid_request`.
    """
    context = tenant.devices.context
    found = None
    if _CHALLENGE_ID.fullmatch(challenge_id):
        found = await context.repository.find_device_challenge(context.realm, challenge_id)
    if found is None or found.method not in methods:
        raise invalid_request("There is no such challenge that waits for this.")


def _message(challenge: DeviceChallenge) -> str:
    # No challenge's id looks like this: who signs it has approved nothing.
    return f"passkeycore.fetch.{challenge.challenge_id}"


def _has_signed(call: Call, device: DeviceCredential, challenge: DeviceChallenge) -> bool:
    """Whether the device has signed what it got for this challenge; a signature of another one is none."""
    text = call.headers.get(_SIGNATURE, "")
    verifier = call.tenant.devices.context.challenge_id_verifier
    if not text or len(text) > _LONGEST_SIGNATURE or verifier is None:
        return False
    try:
        verifier.verify_answer(
            device.public_key,
            decode_lenient(text, _SIGNATURE),
            method=device.method,
            challenge_id=_message(challenge),
            decision="claim",
            purpose=None,
            verification_code=None,
            content="",
        )
    except (SignatureError, DecodeError):
        return False
    return True


def _signature(text: str) -> bytes:
    return decode_lenient(text, "signature")
