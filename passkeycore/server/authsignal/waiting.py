"""Whoever waits until a device has answered: a browser that asks for a push message, or shows a QR code.

What belongs here: starting such challenges for apps of the dialect, and polling them. `devices` has the app's side,
`qr_socket` the same QR codes without polling.
"""

from contextlib import suppress
from typing import Any, Final, Literal

import msgspec

from ...devices import DeviceMethod
from ...engine.actions.challenges import MetChallenge
from ...engine.actions.records import Action
from ...engine.actions.tracking import ClientInfo
from ...engine.devices.challenges import StartedDeviceChallenge
from ...engine.devices.records import DeviceChallengeState
from ...errors import CeremonyError, ChallengeError, Code, LimitReached
from ..tenants import Tenant
from .auth import Call, Caller
from .ceremonies import Begun, new_binding, seal, unseal
from .users import Json
from .webhooks import Hooks
from .wire import Members, Refused, custom_values, invalid_request, iso, present, read

_PROTOCOL: Final = "challenge-id"
_LONGEST_USER_AGENT: Final = 512  # of what the device is shown
_MOST_RESULTS: Final = 16
# What ends a challenge without a proof, of which whoever waits has to hear once and for all.
_OVER: Final = frozenset({Code.CHALLENGE_REJECTED, Code.ATTEMPTS_EXCEEDED, Code.CHALLENGE_EXPIRED})


class _Shown(Members):
    """What the device is told of the challenge, kept with it; nobody signs it."""

    action_code: str | None = None
    idempotency_key: str | None = None
    device_id: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None


class _Push(Members):
    action: str | None = None
    user_authenticator_id: str | None = None


class _Poll(Members):
    challenge_id: str


class _QR(Members):
    action: str | None = None
    custom: dict[str, Any] | None = None


class _PollQR(Members):
    challenge_id: str
    device_code: str


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """How far a challenge has come, for whoever waits.

    Attributes:
        state: As the engine has it; ``over``: it ended without a proof, and not by the user's will.
        met: What it proves; None: nothing yet, or nothing ever.
    """

    state: Literal["pending", "claimed", "approved", "rejected", "over"]
    met: MetChallenge | None = None


_PUSH: Final = msgspec.json.Decoder(_Push)
_POLL: Final = msgspec.json.Decoder(_Poll)
_START_QR: Final = msgspec.json.Decoder(_QR)
_POLL_QR: Final = msgspec.json.Decoder(_PollQR)
_SHOWN: Final = msgspec.json.Decoder(_Shown)


def describe(action: Action | None, word: str, client: ClientInfo) -> str:
    """The content of a challenge: what its device shows, so that its user knows what they approve, and where from.

    Args:
        action: Which one; None: it begins when it is known whose it is.
        word: What the application calls it.
        client: Of whoever waits; an action knows better.
    """
    source = client if action is None else action
    shown = _Shown(
        action_code=word,
        idempotency_key=None if action is None else action.idempotency_key,
        device_id=source.device_id,
        user_agent=(source.user_agent or client.user_agent or "")[:_LONGEST_USER_AGENT] or None,
        ip_address=source.ip_address or client.ip_address,
    )
    return msgspec.json.encode(present(_members(shown))).decode()


def described(content: str) -> Json:
    """What `describe` wrote, as the dialect tells it; nothing, where the challenge was begun elsewhere."""
    try:
        return present(_members(_SHOWN.decode(content)))
    except (msgspec.MsgspecError, ValueError):
        return {}


async def start_push(call: Call) -> Json:
    """A question to the user's devices. The application's own push message is asked for before the answer goes out."""
    asked = read(_PUSH, call.body)
    token, action = call.bearer
    if asked.action not in (None, action.action):
        raise invalid_request("The token is for another action.")
    start = await begin_push(
        call.tenant, token, action, call.client, call.dialect.hooks, authenticator_id=asked.user_authenticator_id
    )
    return present(
        {
            "challengeId": start.challenge_id,
            "verificationCode": start.challenge.verification_code,
            "deliveryResults": [
                {"userAuthenticatorId": device.authenticator_id} for device in start.devices[:_MOST_RESULTS]
            ],
        }
    )


async def begin_push(
    tenant: Tenant,
    token: str,
    action: Action,
    client: ClientInfo,
    hooks: Hooks | None,
    *,
    authenticator_id: str | None = None,
) -> StartedDeviceChallenge:
    """A question to the user's devices, which apps of the dialect can answer, and of which the application knows.

    Args:
        tenant: Whose user it is.
        token, action: What is to be met.
        client: Of whoever waits.
        hooks: By which the application is told; None: it is not.
        authenticator_id: Which device alone may answer; None: any.

    Raises:
        Refused: 429: as many wait as may. 502: the application did not take it, and nothing waits.
        PasskeyError: As `ActionService.start_device_challenge`.
    """
    try:
        start = await tenant.actions.start_device_challenge(
            token,
            method=await _push_method(tenant, action),
            authenticator_id=authenticator_id,
            content=describe(action, action.action, client),
            number_matching=tenant.settings.number_matching,
            protocol=_PROTOCOL,
        )
    except LimitReached:
        raise Refused(429, "too_many_requests", "As many challenges wait for this user as may.") from None
    if hooks is None:
        return start
    try:
        # After it is stored, as the device may look at once.
        await hooks.push_created(tenant, action, start.challenge, client)
    except Refused:
        with suppress(ChallengeError):  # the device was faster
            await tenant.devices.cancel_challenge(
                start.challenge_id, user_id=action.user_id, binding=token, purpose=start.challenge.purpose
            )
        raise
    return start


async def poll_push(call: Call) -> Json:
    """Whether the device has answered; the proof, once."""
    asked = read(_POLL, call.body)
    token, _ = call.bearer
    try:
        met = await call.tenant.actions.finish_device_challenge(token, asked.challenge_id)
    except CeremonyError as error:
        if error.code not in _OVER:
            raise
        return {"isVerified": False, "isConsumed": True}
    return _told(met)


async def start_qr(call: Call) -> Json:
    """A challenge for whoever scans it, and what to poll it with."""
    asked, tenant = read(_START_QR, call.body), call.tenant
    custom_values(asked.custom or {})
    start, begun = await begin_qr(call.caller, asked.action or call.dialect.default_action, call.client)
    lifetime_s = int(tenant.devices.context.challenge_lifetime.total_seconds())
    return {
        "challengeId": start.challenge_id,
        "expiresAt": iso(start.challenge.expires_at),
        "deviceCode": seal(tenant, begun, lifetime_s),
    }


async def poll_qr(call: Call) -> Json:
    """Whether somebody has scanned the code, and answered; the proof, once."""
    asked = read(_POLL_QR, call.body)
    begun = unseal(call.caller, asked.device_code, "qr-code")
    if begun.challenge_id != asked.challenge_id:
        raise invalid_request("There is no such challenge.")
    polled = await poll_begun_qr(call.tenant, begun, call.client)
    return {"isClaimed": polled.state != "pending", **_told(polled.met, is_over=polled.state in ("rejected", "over"))}


async def begin_qr(caller: Caller, word: str, client: ClientInfo) -> tuple[StartedDeviceChallenge, Begun]:
    """A challenge for whoever scans it: to meet the token's action, or to sign in under `word`.

    Raises:
        PasskeyError: As `ActionService.start_device_challenge` and `start_device_sign_in`.
    """
    tenant, token, action = caller.tenant, caller.token, caller.action
    if token is not None and action is not None:
        begun = Begun(kind="qr-code", realm=tenant.tenant_id, token=token, binding=token)
        start = await tenant.actions.start_device_challenge(
            token, method="qr-code", content=describe(action, action.action, client), protocol=_PROTOCOL
        )
    else:
        begun = Begun(kind="qr-code", realm=tenant.tenant_id, action=word, binding=new_binding(tenant))
        start = await tenant.actions.start_device_sign_in(
            word,
            method="qr-code",
            binding=begun.binding,
            content=describe(None, word, client),
            protocol=_PROTOCOL,
        )
    purpose = start.challenge.purpose or ""
    return start, msgspec.structs.replace(begun, challenge_id=start.challenge_id, purpose=purpose)


async def poll_begun_qr(tenant: Tenant, begun: Begun, client: ClientInfo) -> Polled:
    """How far a challenge has come that `begin_qr` has begun; its proof is given out once.

    Raises:
        PasskeyError: As `ActionService.finish_device_challenge` and `finish_device_sign_in`, but not for its end.
    """
    try:
        if begun.token is not None:
            met = await tenant.actions.finish_device_challenge(begun.token, begun.challenge_id)
        else:
            met = await tenant.actions.finish_device_sign_in(
                begun.action, begun.challenge_id, binding=begun.binding, client=client
            )
    except CeremonyError as error:
        if error.code not in _OVER:
            raise
        return Polled(state="rejected" if error.code is Code.CHALLENGE_REJECTED else "over")
    if met is not None:
        return Polled(state="approved", met=met)
    state: DeviceChallengeState = await tenant.devices.challenge_state(
        begun.challenge_id, binding=begun.binding, purpose=begun.purpose
    )
    return Polled(state="pending" if state == "pending" else "claimed")


async def _push_method(tenant: Tenant, action: Action) -> DeviceMethod:
    """How the user's devices hear of it: by push, unless they have none but an app that looks by itself."""
    methods = {device.method for device in await tenant.devices.list_devices(action.user_id)}
    return "in-app" if "push" not in methods and "in-app" in methods else "push"


def _told(met: MetChallenge | None, *, is_over: bool = False) -> Json:
    if met is None:
        return {"isVerified": False, "isConsumed": is_over}
    return {"isVerified": True, "isConsumed": True, "accessToken": met.token}


def _members(shown: _Shown) -> Json:
    return {
        "actionCode": shown.action_code,
        "idempotencyKey": shown.idempotency_key,
        "deviceId": shown.device_id,
        "userAgent": shown.user_agent,
        "ipAddress": shown.ip_address,
    }
