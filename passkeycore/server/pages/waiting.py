"""Hosted pages that wait for the user's own device: after a push message, or until it has scanned a code.

Only the script that began a challenge can poll it, as it is bound to the action's token.
"""

import base64
from contextlib import suppress
from typing import Any, Final, Literal

import msgspec
from starlette.exceptions import HTTPException

from ...devices import CHALLENGE_ID_PROTOCOL
from ...engine.actions.steps import WAITING
from ...errors import ActionError, CeremonyError, ChallengeError, Code, LimitReached
from ...qr import qr_svg
from ...webauthn.encoding import encode_base64url
from ...webauthn.wire import decode_json
from ..authsignal.waiting import describe
from .ceremonies import after
from .leaving import Ending
from .views import device_method
from .visits import Visit

_SMALL: Final = 1_024  # bytes
_TOO_MANY: Final = "Several requests wait for you already. Answer one on your phone, or wait for a few minutes."
# What ends a challenge without a proof, and how the page calls it.
_OVER: Final = {
    Code.CHALLENGE_REJECTED: "rejected",
    Code.ATTEMPTS_EXCEEDED: "failed",
    Code.CHALLENGE_EXPIRED: "expired",
}


class _Start(msgspec.Struct, forbid_unknown_fields=True):
    way: Literal["push", "qr-code"]


class _Begun(msgspec.Struct, forbid_unknown_fields=True):
    challenge: str


class Started(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A challenge that the user's device is to answer, for the script.

    Attributes:
        challenge: Its id.
        expires_in_s: How long it can be answered, in seconds.
        code: What the user has to type on the device; None: nothing.
        qr: A picture for the device to scan, an address of its own; None: nothing.
    """

    challenge: str
    expires_in_s: int
    code: str | None = None
    qr: str | None = None

    def __repr__(self) -> str:
        return "Started(…)"


class Polled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a challenge has come, for the script.

    Attributes:
        state: ``pending``, ``claimed`` (a device has scanned the code), ``approved``, ``rejected``, ``failed`` or
            ``expired``.
        ending: Where the page leads; None: nowhere yet.
    """

    state: str
    ending: Ending | None = None


_START: Final = msgspec.json.Decoder(_Start)
_BEGUN: Final = msgspec.json.Decoder(_Begun)


async def start(visit: Visit, body: bytes) -> Started:
    """A question to the user's devices. The application has taken its push message before anybody can answer it.

    Raises:
        HTTPException: The application has not; then nothing is stored. 429: too many questions wait for the user.
    """
    way = decode_json(_START, body, _SMALL).way
    token, kind, action = visit.tracked
    if kind != "track" or action.state not in WAITING:  # the application is not told of what cannot begin
        raise ActionError(Code.ACTION_STATE, "it waits for no challenge", state=action.state.value)
    method = device_method(way, action, visit.usable)
    if method is None:
        raise ActionError(Code.METHOD_NOT_ALLOWED, "the user has no such device", state=action.state.value)
    challenge_id = encode_base64url(visit.tenant.actions.context.random(32))
    try:
        if way == "push" and visit.server.push_created is not None:
            await visit.tenant.devices.check_pending(action.user_id)
            await visit.server.push_created(visit.tenant, action, challenge_id, visit.client)
        begun = await visit.tenant.actions.start_device_challenge(
            token,
            method=method,
            content=describe(action, action.action, visit.client),
            number_matching=way == "push" and visit.tenant.settings.number_matching,
            protocol=CHALLENGE_ID_PROTOCOL,
            challenge_id=challenge_id,
        )
    except LimitReached:
        raise HTTPException(429, _TOO_MANY) from None
    challenge = begun.challenge
    return Started(
        challenge=challenge.challenge_id,
        expires_in_s=int((challenge.expires_at - challenge.created_at).total_seconds()),
        code=challenge.verification_code,
        qr=None if way == "push" else _picture(challenge.challenge_id),
    )


async def poll(visit: Visit, body: bytes) -> Polled:
    """Whether the device has answered, and where the page leads then; the proof is given out once."""
    challenge_id = decode_json(_BEGUN, body, _SMALL).challenge
    token, _, _ = visit.tracked
    try:
        met = await visit.tenant.actions.finish_device_challenge(token, challenge_id)
    except CeremonyError as error:
        if error.code not in _OVER:
            raise
        return Polled(state=_OVER[error.code])
    if met is not None:
        return Polled(state="approved", ending=after(visit, met))
    state = await visit.tenant.actions.device_challenge_state(token, challenge_id)
    return Polled(state="pending" if state == "approved" else state)  # which the next poll gives out


async def cancel(visit: Visit, body: bytes) -> dict[str, Any]:
    """Nothing, once no device can answer any more. What was sent counts as an attempt, or devices could be flooded."""
    challenge_id = decode_json(_BEGUN, body, _SMALL).challenge
    token, _, _ = visit.tracked
    with suppress(ChallengeError):  # answered, or over
        await visit.tenant.actions.cancel_challenge(token, challenge_id)
    return {}


def _picture(challenge_id: str) -> str:
    svg = qr_svg(challenge_id, scale=6, title="QR code")
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
