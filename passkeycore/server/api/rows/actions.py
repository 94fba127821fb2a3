"""What the client of one action does: it shows the action's token, and meets its challenge, or enrols something.

The token comes from ``/server/actions/track`` by way of the application's server. What else it allows, its scope says.
"""

from datetime import datetime
from typing import Final, Literal

import msgspec

from ....actions.states import ActionState, Method
from ....devices import DeviceMethod
from ....webauthn.encoding import decode_base64url
from ..calls import Call, Row, post
from ..shapes import (
    Asked,
    AuthenticatorList,
    AuthenticatorNamed,
    CeremonyFinish,
    CeremonyStart,
    ChallengeNamed,
    DeviceMembers,
    DeviceQuestion,
    Done,
    Hints,
    Met,
    NewDevice,
    Nothing,
    authenticators_of,
    device_of,
    passkey_of,
    question_of,
    start_of,
)
from .devices import attestation_of
from .passkeys import Registered, StartRegistration
from .sign_in import AnswerInApp, assertion_of

READ: Final = "read:authenticators"
"""The scope of a token that lists its user's passkeys and devices."""

REMOVE: Final = "remove:authenticators"
"""The scope of a token that removes them."""


class ActionShown(msgspec.Struct, frozen=True, kw_only=True):
    """How far the action has come, for what a page shows. It proves nothing."""

    action: str
    state: ActionState
    allowed_methods: tuple[Method, ...]
    scope: tuple[str, ...]
    expires_at: datetime


class StartPasskeyChallenge(Asked, frozen=True, kw_only=True):
    """A challenge for one of the user's passkeys."""

    hints: Hints = msgspec.field(default_factory=list[Literal["security-key", "client-device", "hybrid"]])


class StartDeviceChallenge(Asked, frozen=True, kw_only=True):
    """A challenge for one of the user's devices; null: for any of them. By `in-app`, for the one that asks.

    With `number_matching` the page shows a code that the user types on the device.
    """

    method: DeviceMethod
    authenticator_id: str | None = None
    number_matching: bool = False


class GiveUp(Asked, frozen=True, kw_only=True):
    """The device challenge that nobody is to answer any more; null: it was a passkey's."""

    challenge_id: str | None = None


class EnrolByAction(NewDevice, frozen=True, kw_only=True):
    """A device's key. The device signs an enrolment with the action's token."""

    user_name: str | None = None
    display_name: str = ""


async def show(call: Call, asked: Nothing) -> ActionShown:
    """How far the action has come."""
    action = await call.actions.action_of_token(call.identity.token)
    return ActionShown(
        action=action.action,
        state=action.state,
        allowed_methods=action.allowed_methods,
        scope=action.scope,
        expires_at=action.expires_at,
    )


async def start_passkey(call: Call, asked: StartPasskeyChallenge) -> CeremonyStart:
    """Asks for one of the user's passkeys, alone or as a second factor."""
    return start_of(await call.actions.start_passkey_challenge(call.identity.token, hints=asked.hints))


async def finish_passkey(call: Call, asked: CeremonyFinish) -> Met:
    """Meets the challenge by the user's passkey."""
    met = await call.actions.finish_passkey_challenge(
        call.identity.token, bytes(asked.response), sealed_state=asked.sealed_state
    )
    return Met(token=met.token, state=met.action.state)


async def start_device(call: Call, asked: StartDeviceChallenge) -> DeviceQuestion:
    """Asks one of the user's devices. What it shows is for servers to say, by `/server/actions/device/start`."""
    return question_of(
        await call.actions.start_device_challenge(
            call.identity.token,
            method=asked.method,
            authenticator_id=asked.authenticator_id,
            number_matching=asked.number_matching or call.site.number_matching,
        )
    )


async def poll_device(call: Call, asked: ChallengeNamed) -> Met:
    """Meets the challenge by the user's device, once; until it has answered, there is no token."""
    met = await call.actions.finish_device_challenge(call.identity.token, asked.challenge_id)
    if met is None:
        return Met(token=None, state=ActionState.CHALLENGE_REQUIRED)
    return Met(token=met.token, state=met.action.state)


async def finish_in_app(call: Call, asked: AnswerInApp) -> Met:
    """Meets the challenge by the app that asked, by `/action/device/start`, with the key of its device."""
    met = await call.actions.finish_in_app_challenge(
        asked.challenge_id,
        public_key=decode_base64url(asked.public_key, "public_key"),
        signature=decode_base64url(asked.signature, "signature"),
        token=call.identity.token,
        app_attest_assertion=assertion_of(asked.app_attest_assertion),
    )
    return Met(token=met.token, state=met.action.state)


async def give_up(call: Call, asked: GiveUp) -> Done:
    """Notes that the user gave up for now, which counts as an attempt."""
    if asked.challenge_id is not None:
        _ = call.devices  # refused where there are none
    await call.actions.cancel_challenge(call.identity.token, asked.challenge_id)
    return Done()


async def start_registration(call: Call, asked: StartRegistration) -> CeremonyStart:
    """Begins a new passkey of the user's: their first one, or one that the scope `add:authenticators` allows."""
    return start_of(
        await call.actions.start_passkey_enrolment(
            call.identity.token,
            user_name=asked.user_name,
            user_display_name=asked.display_name,
            passkey_name=asked.passkey_name,
            mediation="conditional" if asked.automatic else None,
            authenticator_attachment=asked.authenticator_attachment,
            hints=asked.hints,
        )
    )


async def finish_registration(call: Call, asked: CeremonyFinish) -> Registered:
    """Stores the new passkey."""
    done = await call.actions.finish_passkey_enrolment(
        call.identity.token, bytes(asked.response), sealed_state=asked.sealed_state
    )
    return Registered(passkey=passkey_of(done.passkey))


async def enrol_device(call: Call, asked: EnrolByAction) -> DeviceMembers:
    """Enrols a device for the user: their first one, or one that the scope `add:authenticators` allows."""
    return device_of(
        await call.actions.enrol_device(
            call.identity.token,
            method=asked.method,
            public_key=decode_base64url(asked.public_key, "public_key"),
            signature=decode_base64url(asked.signature, "signature"),
            name=asked.name,
            platform=asked.platform,
            user_name=asked.user_name,
            user_display_name=asked.display_name,
            push_token=asked.push_token,
            user_authentication_required=asked.user_authentication_required,
            app_attestation=attestation_of(asked),
        )
    )


async def list_authenticators(call: Call, asked: Nothing) -> AuthenticatorList:
    """The user's passkeys and devices."""
    return authenticators_of(await call.devices.list_authenticators(call.identity.user_id))


async def remove_authenticator(call: Call, asked: AuthenticatorNamed) -> AuthenticatorList:
    """Removes a passkey or a device of the user's."""
    await call.devices.remove_authenticator(call.identity.user_id, asked.authenticator_id)
    return await list_authenticators(call, Nothing())


_REMOVE: Final = "/action/authenticators/remove"
ROWS: Final[tuple[Row, ...]] = (
    post("/action", "token", show, Nothing, ActionShown, "actions"),
    post("/action/passkey/start", "token", start_passkey, StartPasskeyChallenge, CeremonyStart, "actions"),
    post("/action/passkey/finish", "token", finish_passkey, CeremonyFinish, Met, "actions"),
    post("/action/device/start", "token", start_device, StartDeviceChallenge, DeviceQuestion, "actions", "devices"),
    post("/action/device/poll", "token", poll_device, ChallengeNamed, Met, "actions", "devices"),
    post("/action/in-app/finish", "token", finish_in_app, AnswerInApp, Met, "actions", "devices"),
    post("/action/cancel", "token", give_up, GiveUp, Done, "actions"),
    post("/action/register/start", "token", start_registration, StartRegistration, CeremonyStart, "actions"),
    post("/action/register/finish", "token", finish_registration, CeremonyFinish, Registered, "actions"),
    post("/action/device/enrol", "token", enrol_device, EnrolByAction, DeviceMembers, "actions", "devices"),
    post("/action/authenticators", "token", list_authenticators, Nothing, AuthenticatorList, "devices", scope=READ),
    post(_REMOVE, "token", remove_authenticator, AuthenticatorNamed, AuthenticatorList, "devices", scope=REMOVE),
)
"""Routes of whoever has the token of an action."""
