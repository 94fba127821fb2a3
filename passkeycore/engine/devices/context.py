"""What every flow about devices is given."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from ...devices import ChallengeIdVerifier, SignedVerifier
from ..context import EngineContext
from .records import DeviceCredential
from .repository import AsyncDeviceRepository

if TYPE_CHECKING:
    from ...app_attest import AppAttestPolicy
    from ...tokens import Tokens


class DeviceContext(EngineContext, frozen=True, kw_only=True):
    """A `DeviceService`'s configuration. Its repository is in the asynchronous shape, whatever its colour.

    Attributes:
        repository: Devices, their challenges, and the users who own them.
        verifier: Judges what devices sign in our protocol.
        challenge_id_verifier: Judges what apps sign that were built for another service; None: nobody may.
        max_devices_per_user: At least 1.
        max_pending_per_user: How many challenges of a user's may wait for an answer.
        attempts: How many times a device may get the code or its signature wrong.
        code_digits: Of a verification code.
        challenge_lifetime, enrolment_lifetime: From the start to the end.
        app_attest: What is demanded of Apple's App Attest; None: nothing.
        tokens: Makes enrolment tokens; None: there are none.
    """

    repository: AsyncDeviceRepository
    verifier: SignedVerifier
    challenge_id_verifier: ChallengeIdVerifier | None
    max_devices_per_user: int
    max_pending_per_user: int
    attempts: int
    code_digits: int
    challenge_lifetime: timedelta
    enrolment_lifetime: timedelta
    app_attest: "AppAttestPolicy | None"
    tokens: "Tokens | None"


def is_current(device: DeviceCredential, now: datetime) -> bool:
    """Whether the device has not expired."""
    return device.expires_at is None or now < device.expires_at


def revised(device: DeviceCredential, **members: object) -> DeviceCredential:
    """The device with other members, as `replace_device` takes it."""
    return msgspec.structs.replace(device, revision=device.revision + 1, **members)
