"""Apple's App Attest in the flows about devices: what is demanded of an enrolment, and of an answer.

What an attestation or assertion has to be like is judged in `passkeycore.app_attest`.
"""

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from ...errors import Code, DecodeError, UntrustedError, VerificationError
from .context import DeviceContext, revised
from .records import DeviceCredential

if TYPE_CHECKING:
    from ...app_attest import AppAttestKey, AppAttestPolicy


class AppAttestation(msgspec.Struct, frozen=True, kw_only=True):
    """What an app on an Apple device got from App Attest for its enrolment.

    Attributes:
        key_id: Of App Attest's key, 32 bytes.
        attestation_object: As the app got it, CBOR.
        nonce: What the app had attested instead of the enrolment's message, where it comes from another service's SDK:
            a text that the server issued for this one enrolment. None: the message that the device signs.
    """

    key_id: bytes
    attestation_object: bytes
    nonce: str | None = None

    def __repr__(self) -> str:
        return "AppAttestation(…)"


def attested_key(
    context: DeviceContext, attestation: AppAttestation | None, message: bytes | None, now: datetime
) -> "AppAttestKey | None":
    """App Attest's key, after every check; None where the service does not look at it.

    Raises:
        UntrustedError: `attestation_required`: it is demanded, and there is none. What App Attest raises besides.
    """
    policy = context.app_attest
    if policy is None:
        return None
    if attestation is None:
        if policy.require_attestation:
            raise UntrustedError(Code.ATTESTATION_REQUIRED, "an attestation of App Attest is demanded", decision=None)
        return None
    from ...app_attest import verify_attestation  # only for those who look at it

    if message is None:
        if attestation.nonce is None:
            raise DecodeError(Code.NAME_INVALID, "what was attested, where nothing is signed", path="nonce")
        message = attestation.nonce.encode("utf-8", "surrogatepass")
    return verify_attestation(
        attestation.attestation_object, key_id=attestation.key_id, client_data=message, policy=policy, now=now
    )


def used_device(
    context: DeviceContext, device: DeviceCredential, message: bytes, assertion: bytes | None, now: datetime
) -> DeviceCredential:
    """The device, as it is stored with its answer."""
    used = revised(device, last_used_at=now)
    return used if context.app_attest is None else _asserted(context.app_attest, used, message, assertion)


def _asserted(
    policy: "AppAttestPolicy", device: DeviceCredential, message: bytes, assertion: bytes | None
) -> DeviceCredential:
    """The device, with the counter of its App Attest key where it has one.

    Raises:
        VerificationError: `app_attest_invalid`. UntrustedError: `attestation_required`: a key or an assertion is
            missing that the policy demands.
    """
    from ...app_attest import verify_assertion  # only for those who demand it

    key = device.app_attest
    if key is None:
        if policy.require_attestation:  # which was not demanded when it was enrolled
            raise UntrustedError(Code.ATTESTATION_REQUIRED, "the device has no key of App Attest", decision=None)
        return device
    if assertion is None:
        if policy.require_assertions:
            raise UntrustedError(Code.ATTESTATION_REQUIRED, "an assertion of App Attest is demanded", decision=None)
        return device
    if key.app_id not in policy.app_ids or key.environment not in policy.environments:
        raise VerificationError(Code.APP_ATTEST_INVALID, "the key is of an app that is not ours any more")
    count = verify_assertion(assertion, client_data=message, key=key)
    return msgspec.structs.replace(device, app_attest=msgspec.structs.replace(key, sign_count=count))
