"""What the application's servers do with users, with their API key: whoever they name, the servers answer for.

A second factor and a step-up of a user whom the application knows already go through its server: it hands the options
on to the browser, and brings the response back.
"""

from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec

from ....engine.passkeys.authentication import Authentication
from ....errors import CeremonyError, Code
from ....webauthn.encoding import encode_base64url
from ....webauthn.options import second_factor
from ..calls import Call, Row, post
from ..shapes import (
    Asked,
    AuthenticatorList,
    AuthenticatorNamed,
    AwareTime,
    CeremonyStart,
    DeviceMembers,
    Done,
    EnrolmentToken,
    PromptAdvice,
    SealedState,
    Signals,
    WebAuthnResponse,
    authenticators_of,
    device_of,
    in_utc,
    start_of,
)
from .passkeys import Purpose, signals_of

Binding: TypeAlias = Annotated[
    str, msgspec.Meta(min_length=16, max_length=512, description="A secret of the browser's session.")
]


class UserNamed(Asked, frozen=True, kw_only=True):
    """Which user."""

    user_id: str


class UserMembers(msgspec.Struct, frozen=True, kw_only=True):
    """What this server knows of a user. It keeps no more than it needs for passkeys."""

    user_id: str
    name: str
    display_name: str
    created_at: datetime
    disabled_at: datetime | None


class RenameUser(UserNamed, frozen=True, kw_only=True):
    """Other names; clients show them once they are told by the signals."""

    name: str
    display_name: str = ""


class StartEnrolmentFor(UserNamed, frozen=True, kw_only=True):
    """A user who is signed in with the application. `user_name` is needed for one whom this server does not know."""

    user_name: str | None = None
    display_name: str = ""


class AuthenticatorOf(AuthenticatorNamed, frozen=True, kw_only=True):
    """Which authenticator of which user."""

    user_id: str


class UpdateDevice(AuthenticatorOf, frozen=True, kw_only=True):
    """What to change of a device; what is left out stays. From `expires_at` on it counts no more; null: it lasts."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    push_token: str | msgspec.UnsetType | None = msgspec.UNSET
    expires_at: AwareTime | msgspec.UnsetType | None = msgspec.UNSET


class AskPromptFor(UserNamed, frozen=True, kw_only=True):
    """The credential ids that were used on the user's device, and whether it can make passkeys."""

    stored_credential_ids: Annotated[list[str], msgspec.Meta(max_length=64)]
    supported: bool = True


class StartSecondFactor(UserNamed, frozen=True, kw_only=True):
    """A user who has given a first factor, and whose browser it is."""

    binding: Binding


class FinishSecondFactor(StartSecondFactor, frozen=True, kw_only=True):
    """What the browser made of the options, for the same user and browser."""

    response: WebAuthnResponse
    sealed_state: SealedState = None


class StartStepUpFor(StartSecondFactor, frozen=True, kw_only=True):
    """A user who is signed in, whose browser it is, and what they are about to do."""

    purpose: Purpose


class FinishStepUpFor(StartStepUpFor, frozen=True, kw_only=True):
    """What the browser made of the options, for the same user, browser and purpose."""

    response: WebAuthnResponse
    sealed_state: SealedState = None


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """The user has their passkey.

    `user_verification_trusted` says that it verified its user, in a way that counts as a factor of its own.
    """

    user_id: str
    credential_id: str
    user_verified: bool
    user_verification_trusted: bool
    authenticated_at: datetime
    step_up_token: str | None


class ValidateStepUp(StartStepUpFor, frozen=True, kw_only=True):
    """The proof that was kept, for whom and what, and how old it may be, in seconds."""

    token: str
    max_age_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 300


class SteppedUpAt(msgspec.Struct, frozen=True, kw_only=True):
    """When the user proved themselves."""

    authenticated_at: datetime


async def get_user(call: Call, asked: UserNamed) -> UserMembers:
    """What this server knows of the user."""
    user = await call.passkeys.find_user(asked.user_id)
    if user is None:
        raise CeremonyError(Code.USER_NOT_FOUND, "there is no such user")
    return UserMembers(**{name: getattr(user, name) for name in UserMembers.__struct_fields__})


async def rename_user(call: Call, asked: RenameUser) -> Signals:
    """Gives the user other names, and tells what to tell their clients."""
    await call.passkeys.rename_user(asked.user_id, asked.name, asked.display_name)
    return await signals_of(call, asked.user_id)


async def disable_user(call: Call, asked: UserNamed) -> Done:
    """Ends the user's sign-ins, those under way included."""
    await call.passkeys.disable_user(asked.user_id)
    return Done()


async def enable_user(call: Call, asked: UserNamed) -> Done:
    """Lets the user sign in again."""
    await call.passkeys.enable_user(asked.user_id)
    return Done()


async def remove_user(call: Call, asked: UserNamed) -> Done:
    """Removes the user, with all that they have enrolled."""
    await call.passkeys.remove_user(asked.user_id)
    return Done()


async def get_signals(call: Call, asked: UserNamed) -> Signals:
    """What to tell a browser, in a page of the user's own."""
    return await signals_of(call, asked.user_id)


async def should_prompt(call: Call, asked: AskPromptFor) -> PromptAdvice:
    """Whether to offer the user a passkey on their device."""
    advice = await call.passkeys.should_prompt_to_create(
        asked.user_id, stored_credential_ids=asked.stored_credential_ids, supported=asked.supported
    )
    return PromptAdvice(prompt=advice.prompt, reason=advice.reason)


async def list_authenticators(call: Call, asked: UserNamed) -> AuthenticatorList:
    """The user's passkeys and devices."""
    return authenticators_of(await call.devices.list_authenticators(asked.user_id))


async def remove_authenticator(call: Call, asked: AuthenticatorOf) -> AuthenticatorList:
    """Removes a passkey or a device of the user's."""
    await call.devices.remove_authenticator(asked.user_id, asked.authenticator_id)
    return authenticators_of(await call.devices.list_authenticators(asked.user_id))


async def start_enrolment(call: Call, asked: StartEnrolmentFor) -> EnrolmentToken:
    """A token with which the user enrols one device."""
    start = await call.devices.start_enrolment(
        asked.user_id, user_name=asked.user_name, user_display_name=asked.display_name
    )
    return EnrolmentToken(token=start.token, expires_at=start.expires_at)


async def update_device(call: Call, asked: UpdateDevice) -> DeviceMembers:
    """The user's device, changed."""
    at = asked.expires_at
    return device_of(
        await call.devices.update_device(
            asked.user_id,
            asked.authenticator_id,
            name=asked.name,
            push_token=asked.push_token,
            expires_at=in_utc(at, "expires_at") if isinstance(at, datetime) else at,
        )
    )


async def start_second_factor(call: Call, asked: StartSecondFactor) -> CeremonyStart:
    """Asks for a passkey of the user's, after their first factor."""
    return start_of(
        await call.passkeys.start_authentication(user_id=asked.user_id, binding=asked.binding, preset=second_factor())
    )


async def finish_second_factor(call: Call, asked: FinishSecondFactor) -> Proven:
    """Proof that the user has their passkey."""
    return _proven(
        await call.passkeys.finish_authentication(
            bytes(asked.response), user_id=asked.user_id, binding=asked.binding, sealed_state=asked.sealed_state
        )
    )


async def start_step_up(call: Call, asked: StartStepUpFor) -> CeremonyStart:
    """Asks the user to prove themselves again, with user verification that can be trusted."""
    return start_of(
        await call.passkeys.start_authentication(user_id=asked.user_id, binding=asked.binding, purpose=asked.purpose)
    )


async def finish_step_up(call: Call, asked: FinishStepUpFor) -> Proven:
    """Proof that they did, and a token to keep."""
    return _proven(
        await call.passkeys.finish_authentication(
            bytes(asked.response),
            user_id=asked.user_id,
            binding=asked.binding,
            purpose=asked.purpose,
            sealed_state=asked.sealed_state,
        )
    )


async def validate_step_up(call: Call, asked: ValidateStepUp) -> SteppedUpAt:
    """When the user proved themselves for this purpose."""
    return SteppedUpAt(
        authenticated_at=await call.passkeys.validate_step_up(
            asked.token,
            user_id=asked.user_id,
            purpose=asked.purpose,
            max_age_s=asked.max_age_s,
            binding=asked.binding,
        )
    )


def _proven(done: Authentication) -> Proven:
    return Proven(
        user_id=done.user_id,
        credential_id=encode_base64url(done.passkey.credential_id),
        user_verified=done.user_verified,
        user_verification_trusted=done.user_verification_trusted,
        authenticated_at=done.authenticated_at,
        step_up_token=done.step_up_token,
    )


_OF_USERS: Final = "/server/users"
ROWS: Final[tuple[Row, ...]] = (
    post(f"{_OF_USERS}/get", "server", get_user, UserNamed, UserMembers),
    post(f"{_OF_USERS}/rename", "server", rename_user, RenameUser, Signals),
    post(f"{_OF_USERS}/disable", "server", disable_user, UserNamed, Done),
    post(f"{_OF_USERS}/enable", "server", enable_user, UserNamed, Done),
    post(f"{_OF_USERS}/remove", "server", remove_user, UserNamed, Done),
    post(f"{_OF_USERS}/signals", "server", get_signals, UserNamed, Signals),
    post(f"{_OF_USERS}/should-prompt", "server", should_prompt, AskPromptFor, PromptAdvice),
    post("/server/authenticators", "server", list_authenticators, UserNamed, AuthenticatorList, "devices"),
    post(
        "/server/authenticators/remove", "server", remove_authenticator, AuthenticatorOf, AuthenticatorList, "devices"
    ),
    post(
        "/server/devices/enrolment", "server", start_enrolment, StartEnrolmentFor, EnrolmentToken, "devices", "tokens"
    ),
    post("/server/devices/update", "server", update_device, UpdateDevice, DeviceMembers, "devices"),
    post("/server/second-factor/start", "server", start_second_factor, StartSecondFactor, CeremonyStart),
    post("/server/second-factor/finish", "server", finish_second_factor, FinishSecondFactor, Proven),
    post("/server/step-up/start", "server", start_step_up, StartStepUpFor, CeremonyStart, "tokens"),
    post("/server/step-up/finish", "server", finish_step_up, FinishStepUpFor, Proven, "tokens"),
    post("/server/step-up/validate", "server", validate_step_up, ValidateStepUp, SteppedUpAt, "tokens"),
)
"""Routes of the application's servers about users."""
