"""Trusted devices, from both sides: their owner's, who is signed in with the host, and their own, which signs.

What a device signs, line by line, is in `passkeycore.devices`; ``domain`` there is the tenant's RP ID.
"""

from typing import Annotated, Final, Literal

import msgspec

from ....devices import DeviceMethod
from ....engine.devices.app_attest import AppAttestation
from ....webauthn.encoding import decode_base64url
from ..calls import Call, Row, get, post
from ..shapes import (
    Asked,
    AuthenticatorNamed,
    Binary,
    DeviceList,
    DeviceMembers,
    Done,
    EnrolmentToken,
    NewDevice,
    PendingQuestion,
    device_of,
    pending_of,
)
from .sign_in import assertion_of


class StartEnrolment(Asked, frozen=True, kw_only=True):
    """`user_name` is needed for a user whom this server does not know yet."""

    user_name: str | None = None
    display_name: str = ""


class RenameDevice(Asked, frozen=True, kw_only=True):
    """Another name for a device, of 1 to 64 characters that can be seen."""

    authenticator_id: str
    name: str


class EnrolDevice(NewDevice, frozen=True, kw_only=True):
    """A device's key, with the token that says whose it will be. The device signs an enrolment."""

    token: str


class SignedByDevice(Asked, frozen=True, kw_only=True):
    """Which device asks, when it signed this (seconds since 1970), and its signature."""

    method: DeviceMethod
    public_key: Binary
    signature: Binary
    issued_at: int


class UpdateByDevice(SignedByDevice, frozen=True, kw_only=True):
    """The push token that the device has got from its platform; null: it has none any more. It signs an update."""

    push_token: str | None


class ClaimChallenge(Asked, frozen=True, kw_only=True):
    """The challenge whose QR code was scanned. The device signs a claim."""

    challenge_id: str
    public_key: Binary
    signature: Binary


class AnswerChallenge(Asked, frozen=True, kw_only=True):
    """What the device's user decided, and the code that they typed, where one is asked for. The device signs both."""

    challenge_id: str
    public_key: Binary
    signature: Binary
    decision: Literal["approve", "reject"]
    verification_code: str | None = None
    app_attest_assertion: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]*$", max_length=8_192)] | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for this device; null: nothing."""

    challenge: PendingQuestion | None


async def list_devices(call: Call, _: None) -> DeviceList:
    """The user's devices."""
    return DeviceList(devices=[device_of(each) for each in await call.devices.list_devices(call.identity.user_id)])


async def start_enrolment(call: Call, asked: StartEnrolment) -> EnrolmentToken:
    """A token with which the user enrols one device."""
    start = await call.devices.start_enrolment(
        call.identity.user_id, user_name=asked.user_name, user_display_name=asked.display_name
    )
    return EnrolmentToken(token=start.token, expires_at=start.expires_at)


async def rename_device(call: Call, asked: RenameDevice) -> DeviceList:
    """Gives a device of the user's another name."""
    await call.devices.update_device(call.identity.user_id, asked.authenticator_id, name=asked.name)
    return await list_devices(call, None)


async def remove_device(call: Call, asked: AuthenticatorNamed) -> DeviceList:
    """Removes a device of the user's."""
    await call.devices.remove_device(call.identity.user_id, asked.authenticator_id)
    return await list_devices(call, None)


async def enrol(call: Call, asked: EnrolDevice) -> DeviceMembers:
    """Enrols the device for the user whom the token names."""
    return device_of(
        await call.devices.enrol_device(
            asked.token,
            method=asked.method,
            public_key=decode_base64url(asked.public_key, "public_key"),
            signature=decode_base64url(asked.signature, "signature"),
            name=asked.name,
            platform=asked.platform,
            push_token=asked.push_token,
            user_authentication_required=asked.user_authentication_required,
            app_attestation=attestation_of(asked),
        )
    )


async def update_by_device(call: Call, asked: UpdateByDevice) -> DeviceMembers:
    """Keeps the device's new push token."""
    return device_of(
        await call.devices.update_by_device(
            method=asked.method,
            public_key=decode_base64url(asked.public_key, "public_key"),
            signature=decode_base64url(asked.signature, "signature"),
            push_token=asked.push_token,
            issued_at=asked.issued_at,
        )
    )


async def remove_by_device(call: Call, asked: SignedByDevice) -> Done:
    """Removes the device, as it wants. It signs a removal."""
    await call.devices.remove_by_device(
        method=asked.method,
        public_key=decode_base64url(asked.public_key, "public_key"),
        signature=decode_base64url(asked.signature, "signature"),
        issued_at=asked.issued_at,
    )
    return Done()


async def pending(call: Call, asked: SignedByDevice) -> Waiting:
    """What waits for the device, the last one first. It signs a fetch."""
    found = await call.devices.pending_challenge(
        method=asked.method,
        public_key=decode_base64url(asked.public_key, "public_key"),
        signature=decode_base64url(asked.signature, "signature"),
        issued_at=asked.issued_at,
    )
    return Waiting(challenge=None if found is None else pending_of(found))


async def claim(call: Call, asked: ClaimChallenge) -> PendingQuestion:
    """The challenge of the QR code, which no other device can answer from now on."""
    return pending_of(
        await call.devices.claim_challenge(
            asked.challenge_id,
            public_key=decode_base64url(asked.public_key, "public_key"),
            signature=decode_base64url(asked.signature, "signature"),
        )
    )


async def answer(call: Call, asked: AnswerChallenge) -> Done:
    """Keeps the decision for whoever waits. A challenge is answered once."""
    # Actions' challenges are answered through their service, which knows what a rejection means for them.
    service = call.devices if call.site.actions is None else None
    judge = call.actions.answer_device_challenge if service is None else service.answer_challenge
    await judge(
        asked.challenge_id,
        public_key=decode_base64url(asked.public_key, "public_key"),
        signature=decode_base64url(asked.signature, "signature"),
        decision=asked.decision,
        verification_code=asked.verification_code,
        app_attest_assertion=assertion_of(asked.app_attest_assertion),
    )
    return Done()


def attestation_of(asked: NewDevice) -> AppAttestation | None:
    """Apple's App Attest, where the app has both parts of it.

    Raises:
        DecodeError: `base64url_invalid`.
    """
    if asked.app_attest_key_id is None or asked.app_attest_object is None:
        return None
    return AppAttestation(
        key_id=decode_base64url(asked.app_attest_key_id, "app_attest_key_id"),
        attestation_object=decode_base64url(asked.app_attest_object, "app_attest_object"),
    )


ROWS: Final[tuple[Row, ...]] = (
    get("/me/devices", "user", list_devices, DeviceList, "devices"),
    post("/me/devices/enrolment", "user", start_enrolment, StartEnrolment, EnrolmentToken, "devices", "tokens"),
    post("/me/devices/rename", "user", rename_device, RenameDevice, DeviceList, "devices"),
    post("/me/devices/remove", "user", remove_device, AuthenticatorNamed, DeviceList, "devices"),
    post("/device/enrol", "device", enrol, EnrolDevice, DeviceMembers, "devices", "tokens"),
    post("/device/update", "device", update_by_device, UpdateByDevice, DeviceMembers, "devices"),
    post("/device/remove", "device", remove_by_device, SignedByDevice, Done, "devices"),
    post("/device/pending", "device", pending, SignedByDevice, Waiting, "devices"),
    post("/device/claim", "device", claim, ClaimChallenge, PendingQuestion, "devices"),
    post("/device/answer", "device", answer, AnswerChallenge, Done, "devices"),
)
"""Routes of users' devices, and of devices themselves."""
