"""What several routes read and answer, as JSON: members in snake_case, bytes in base64url, times in RFC 3339 with UTC.

Each class is a schema of the OpenAPI document, with its docstring for a description.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from ...actions.facts import CustomValue
from ...actions.states import ActionState, Method
from ...devices import DeviceMethod
from ...engine.actions.records import Action
from ...engine.devices.answers import PendingDeviceChallenge
from ...engine.devices.authenticators import Authenticator
from ...engine.devices.challenges import StartedDeviceChallenge
from ...engine.devices.records import DeviceCredential
from ...engine.passkeys.authentication import StartedAuthentication
from ...engine.passkeys.registration import StartedRegistration
from ...engine.records import Passkey
from ...errors import Code, DecodeError
from ...webauthn.encoding import encode_base64url

Binary: TypeAlias = Annotated[
    str, msgspec.Meta(pattern="^[A-Za-z0-9_-]*$", max_length=2_048, description="base64url without padding")
]
WebAuthnResponse: TypeAlias = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="What `credential.toJSON()` gives, as it is.",
        extra_json_schema={"type": "object", "additionalProperties": True},
    ),
]
SealedState: TypeAlias = Annotated[
    str | None, msgspec.Meta(description="What the start answered, where it answered one.")
]
Hints: TypeAlias = Annotated[list[Literal["security-key", "client-device", "hybrid"]], msgspec.Meta(max_length=3)]
AwareTime: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]

PLATFORM_NAME: Final = "What the device calls its platform."


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request. Members that it does not have are refused."""


class Nothing(Asked, frozen=True, kw_only=True):
    """An object without members."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """It is done."""


class CeremonyStart(msgspec.Struct, frozen=True, kw_only=True):
    """A ceremony has begun.

    `options` is for `PublicKeyCredential.parseCreationOptionsFromJSON()` or `parseRequestOptionsFromJSON()`; its member
    `mediation`, if there is one, is handed to `navigator.credentials` beside `publicKey`.
    """

    options: dict[str, Any]
    expires_at: datetime
    sealed_state: str | None = None


class CeremonyFinish(Asked, frozen=True, kw_only=True):
    """What the browser or app made of the options."""

    response: WebAuthnResponse
    sealed_state: SealedState = None


class PasskeyMembers(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey, for its owner's eyes."""

    credential_id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    backup_eligible: bool | None
    backup_state: bool | None
    transports: tuple[str, ...]
    aaguid: str


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """Arguments of methods of `PublicKeyCredential`, with which a client learns what is good; null: nobody is known."""

    signal_all_accepted_credentials: dict[str, Any] | None
    signal_current_user_details: dict[str, Any] | None


class DeviceMembers(msgspec.Struct, frozen=True, kw_only=True):
    """A device of a user's."""

    authenticator_id: str
    method: DeviceMethod
    name: str
    platform: str
    user_authentication_required: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class DeviceList(msgspec.Struct, frozen=True, kw_only=True):
    """Devices, the oldest first, those that have expired as well."""

    devices: list[DeviceMembers]


class AuthenticatorMembers(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey or a device of a user's."""

    authenticator_id: str
    method: Method
    name: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class AuthenticatorList(msgspec.Struct, frozen=True, kw_only=True):
    """A user's passkeys and devices, the oldest first, those that have expired as well."""

    authenticators: list[AuthenticatorMembers]


class AuthenticatorNamed(Asked, frozen=True, kw_only=True):
    """Which one."""

    authenticator_id: str


class DeviceQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a device has begun.

    `challenge_id` is what a QR code shows, and what whoever waits asks with. `verification_code` is shown by whoever
    waits, and typed on the device. `purpose` and `content` are what an app signs and shows that asks itself.
    """

    challenge_id: str
    expires_at: datetime
    verification_code: str | None = None
    purpose: str | None = None
    content: str | None = None


class ChallengeNamed(Asked, frozen=True, kw_only=True):
    """Which challenge."""

    challenge_id: str


class PendingQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a device learns of a challenge: enough to show it, and to sign an answer."""

    challenge_id: str
    method: DeviceMethod
    purpose: str | None
    content: str
    asks_for_code: bool
    expires_at: datetime
    authenticator_id: str


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """The challenge is met: `token` proves it to the application's server, once. Null: the device has not answered."""

    token: str | None
    state: ActionState


class EnrolmentToken(msgspec.Struct, frozen=True, kw_only=True):
    """For the app on the device, which signs it together with its key."""

    token: str
    expires_at: datetime


class NewDevice(Asked, frozen=True, kw_only=True):
    """A device's key, and what the device is."""

    method: DeviceMethod
    public_key: Binary
    signature: Binary
    name: str
    platform: Annotated[str, msgspec.Meta(description=PLATFORM_NAME)]
    push_token: str | None = None
    user_authentication_required: bool = False
    app_attest_key_id: Binary | None = None
    app_attest_object: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]*$", max_length=32_768)] | None = None


class ActionMembers(msgspec.Struct, frozen=True, kw_only=True):
    """An action, for the application's servers."""

    user_id: str
    action: str
    idempotency_key: str
    state: ActionState
    allowed_methods: tuple[Method, ...]
    scope: tuple[str, ...]
    rule_ids: tuple[str, ...]
    ip_address: str | None
    user_agent: str | None
    device_id: str | None
    custom: dict[str, CustomValue]
    redirect_url: str | None
    created_at: datetime
    expires_at: datetime
    state_updated_at: datetime
    attempts: int
    method: Method | None
    authenticator_id: str | None
    user_verified: bool
    consumed_at: datetime | None


class PromptAdvice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to offer the user a passkey on this device, and why."""

    prompt: bool
    reason: Literal["not_supported", "present", "limit_reached", "removed", "not_used_here", "none_created"]


def start_of(start: StartedRegistration | StartedAuthentication) -> CeremonyStart:
    """As the client gets it."""
    return CeremonyStart(options=start.to_dict(), expires_at=start.expires_at, sealed_state=start.sealed_state)


def passkey_of(passkey: Passkey) -> PasskeyMembers:
    """As its owner sees it."""
    credential = passkey.credential
    return PasskeyMembers(
        credential_id=encode_base64url(passkey.credential_id),
        name=passkey.name,
        created_at=passkey.created_at,
        last_used_at=passkey.last_used_at,
        backup_eligible=credential.backup_eligible,
        backup_state=credential.backup_state,
        transports=tuple(credential.transports),
        aaguid=str(credential.aaguid),
    )


def device_of(device: DeviceCredential) -> DeviceMembers:
    """As its owner sees it: without its key and its push token."""
    return DeviceMembers(**{name: getattr(device, name) for name in DeviceMembers.__struct_fields__})


def authenticators_of(listed: Iterable[Authenticator]) -> AuthenticatorList:
    """As their owner sees them."""
    names = AuthenticatorMembers.__struct_fields__
    return AuthenticatorList(
        authenticators=[AuthenticatorMembers(**{name: getattr(each, name) for name in names}) for each in listed]
    )


def action_of(action: Action) -> ActionMembers:
    """As a server sees it."""
    return ActionMembers(**{name: getattr(action, name) for name in ActionMembers.__struct_fields__})


def question_of(start: StartedDeviceChallenge) -> DeviceQuestion:
    """As whoever waits gets it."""
    challenge = start.challenge
    asks_itself = challenge.method == "in-app"
    return DeviceQuestion(
        challenge_id=challenge.challenge_id,
        expires_at=challenge.expires_at,
        verification_code=challenge.verification_code,
        purpose=challenge.purpose if asks_itself else None,
        content=challenge.content if asks_itself else None,
    )


def pending_of(pending: PendingDeviceChallenge) -> PendingQuestion:
    """As a device gets it."""
    challenge = pending.challenge
    return PendingQuestion(
        challenge_id=challenge.challenge_id,
        method=challenge.method,
        purpose=challenge.purpose,
        content=challenge.content,
        asks_for_code=challenge.verification_code is not None,
        expires_at=challenge.expires_at,
        authenticator_id=pending.authenticator_id,
    )


def in_utc(at: datetime, path: str) -> datetime:
    """`at`, which has a zone, in UTC.

    Raises:
        DecodeError: `json_invalid`: at the ends of time, there is none in UTC.
    """
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise DecodeError(Code.JSON_INVALID, "no time in UTC", path=path) from None
