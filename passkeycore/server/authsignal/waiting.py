"""Whoever waits until a device has answered: a browser that asks for a push message, or shows a QR code.

What belongs here: starting such challenges for apps of the dialect, and polling them. `devices` has the app's side,
`qr_socket` the same QR codes without polling.
"""

from contextlib import suppress
from typing import Any, Final, Literal

import msgspec

from ...actions.facts import CustomValue
from ...actions.states import ActionState
from ...devices import DeviceMethod
from ...engine.actions.challenges import MetChallenge
from ...engine.actions.records import Action
from ...engine.actions.tracking import ClientInfo
from ...engine.devices.challenges import StartedDeviceChallenge
from ...engine.devices.context import is_current
from ...errors import ActionError, CeremonyError, ChallengeError, Code, LimitReached, TokenError
from ...webauthn.encoding import encode_base64url
from ..tenancy.tenants import Tenant
from .auth import Call, Caller
from .ceremonies import Begun, new_binding, seal, unseal
from .profiles import Json
from .shown import describe as describe
from .webhooks import Hooks
from .wire import Members, Refused, custom_values, invalid_request, iso, present, read

_PROTOCOL: Final = "challenge-id"
_MOST_RESULTS: Final = 16
_WAITING: Final = frozenset({ActionState.CHALLENGE_REQUIRED, ActionState.ALLOW})
# What ends a challenge without a proof, of which whoever waits has to hear once and for all.
_OVER: Final = frozenset({Code.CHALLENGE_REJECTED, Code.ATTEMPTS_EXCEEDED, Code.CHALLENGE_EXPIRED})


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
        state: As the engine has it; ``blocked``: rules do not take what was approved; ``over``: it ended without a
            proof, and not by anybody's will, or its proof was given out before.
        met: What it proves; None: nothing yet, or nothing ever.
    """

    state: Literal["pending", "claimed", "approved", "rejected", "blocked", "over"]
    met: MetChallenge | None = None


_PUSH: Final = msgspec.json.Decoder(_Push)
_POLL: Final = msgspec.json.Decoder(_Poll)
_START_QR: Final = msgspec.json.Decoder(_QR)
_POLL_QR: Final = msgspec.json.Decoder(_PollQR)


async def start_push(call: Call) -> Json:
    """A question to the user's devices. The application's own push message is asked for before it can be answered."""
    asked = read(_PUSH, call.body)
    token, action = call.bearer
    if asked.action not in (None, action.action):
        raise invalid_request("The token is for another action.")
    start = await begin_push(
        call.tenant, token, call.client, call.dialect.hooks, authenticator_id=asked.user_authenticator_id
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
    tenant: Tenant, token: str, client: ClientInfo, hooks: Hooks | None, *, authenticator_id: str | None = None
) -> StartedDeviceChallenge:
    """A question to the user's devices, which apps of the dialect can answer, and of which the application knows.

    Args:
        tenant: Whose user it is.
        token: Of the action that is to be met.
        client: Of whoever waits.
        hooks: By which the application is told; None: it is not.
        authenticator_id: Which device alone may answer; None: any.

    Raises:
        Refused: 404: the user has no such device that could answer. 429: as many wait as may. 502: the application did
            not take it. Nothing was stored.
        PasskeyError: As `ActionService.start_device_challenge`.
    """
    action, method = await _askable(tenant, token, authenticator_id)
    challenge_id = encode_base64url(tenant.devices.context.random(32))
    if hooks is not None:
        # Before it is stored: nobody answers what the application has not taken.
        await hooks.push_created(tenant, action, challenge_id, client)
    try:
        return await tenant.actions.start_device_challenge(
            token,
            method=method,
            authenticator_id=authenticator_id,
            content=describe(action, action.action, client),
            number_matching=tenant.settings.number_matching,
            protocol=_PROTOCOL,
            challenge_id=challenge_id,
        )
    except LimitReached:
        raise _too_many() from None


async def give_up_waiting(tenant: Tenant, token: str, user_id: str) -> None:
    """Takes back what still waits for a device's answer to an action that was met by something else."""
    context = tenant.devices.context
    waiting = await context.repository.pending_device_challenges(
        context.realm, user_id, context.now(), context.max_pending_per_user
    )
    for challenge in waiting:
        with suppress(ChallengeError):  # of another action, or answered in this moment
            await tenant.devices.cancel_challenge(
                challenge.challenge_id, user_id=user_id, binding=token, purpose=challenge.purpose
            )


async def poll_push(call: Call) -> Json:
    """Whether the device has answered; the proof, once."""
    asked = read(_POLL, call.body)
    token, action = call.bearer
    try:
        met = await call.tenant.actions.finish_device_challenge(token, asked.challenge_id)
    except (CeremonyError, ActionError) as error:
        # Whatever the challenge was, nothing comes of it any more: one that has given out its proof is told again.
        if error.code not in _OVER and action.state in _WAITING:
            raise
        return {"isVerified": False, "isConsumed": True}
    return _told(met)


async def start_qr(call: Call) -> Json:
    """A challenge for whoever scans it, and what to poll it with."""
    asked, tenant = read(_START_QR, call.body), call.tenant
    start, begun = await begin_qr(call.caller, asked.action, custom_values(asked.custom or {}), call.client)
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
    is_over = polled.state in ("rejected", "blocked", "over")
    return {"isClaimed": polled.state != "pending", **_told(polled.met, is_over=is_over)}


async def begin_qr(
    caller: Caller, word: str | None, custom: dict[str, CustomValue], client: ClientInfo
) -> tuple[StartedDeviceChallenge, Begun]:
    """A challenge for whoever scans it: to meet the token's action, or to sign in under `word`.

    Args:
        caller: Who waits.
        word: None: the one that the tenant has for actions without one.
        custom: What the device is to show besides.
        client: Of whoever waits.

    Raises:
        Refused: 400: too much to show.
        PasskeyError: As `ActionService.start_device_challenge` and `start_device_sign_in`.
    """
    tenant, token, action = caller.tenant, caller.token, caller.action
    if token is not None and action is not None:
        begun = Begun(kind="qr-code", realm=tenant.tenant_id, token=token, binding=token)
        content = describe(action, action.action, client, custom)
        start = await tenant.actions.start_device_challenge(
            token, method="qr-code", content=content, protocol=_PROTOCOL
        )
    else:
        word = word or tenant.settings.default_action
        begun = Begun(kind="qr-code", realm=tenant.tenant_id, action=word, binding=new_binding(tenant))
        start = await tenant.actions.start_device_sign_in(
            word,
            method="qr-code",
            binding=begun.binding,
            content=describe(None, word, client, custom),
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
        if met is not None:
            return Polled(state="approved", met=met)
        state = await tenant.devices.challenge_state(begun.challenge_id, binding=begun.binding, purpose=begun.purpose)
    except ActionError:
        return Polled(state="blocked")
    except CeremonyError as error:
        # It was begun, as what was sealed says: one that is unknown now has been answered, and its proof given out.
        if error.code not in _OVER | {Code.CHALLENGE_UNKNOWN}:
            raise
        return Polled(state="rejected" if error.code is Code.CHALLENGE_REJECTED else "over")
    return Polled(state="pending" if state == "pending" else "claimed")


async def _askable(tenant: Tenant, token: str, authenticator_id: str | None) -> tuple[Action, DeviceMethod]:
    """The action of the token, and how its user's devices hear of it: who asks in vain sends no push message.

    Raises:
        Refused, PasskeyError: As `begin_push`.
    """
    kind, action = await tenant.actions.read_token(token)
    if kind != "track":
        raise TokenError(Code.TOKEN_INVALID, "a success begins no challenge")
    if action.state not in _WAITING:
        raise ActionError(Code.ACTION_STATE, "it waits for no challenge", state=action.state.value)
    # By push, unless they have none but an app that looks by itself.
    devices = await tenant.devices.list_devices(action.user_id)
    owned = {device.method for device in devices}
    method: DeviceMethod = "in-app" if "push" not in owned and "in-app" in owned else "push"
    if method not in action.allowed_methods:
        raise ActionError(Code.METHOD_NOT_ALLOWED, "this does not meet the action", state=action.state.value)
    now = tenant.devices.context.now()
    usable = {device.authenticator_id for device in devices if device.method == method and is_current(device, now)}
    if authenticator_id is not None and authenticator_id not in usable:
        raise invalid_request("The user has no such authenticator that could answer this.", 404)
    try:
        await tenant.devices.check_pending(action.user_id)
    except LimitReached:
        raise _too_many() from None
    return action, method


def _too_many() -> Refused:
    return Refused(429, "too_many_requests", "As many challenges wait for this user as may.")


def _told(met: MetChallenge | None, *, is_over: bool = False) -> Json:
    if met is None:
        return {"isVerified": False, "isConsumed": is_over}
    return {"isVerified": True, "isConsumed": True, "accessToken": met.token}
