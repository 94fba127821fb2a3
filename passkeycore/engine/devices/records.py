"""What the engine stores of trusted devices: their keys, and the challenges that they are to answer."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from ...app_attest import AppAttestKey
from ...devices import DeviceMethod, DeviceProtocol

DeviceChallengeState: TypeAlias = Literal["pending", "claimed", "approved", "rejected", "failed"]
"""``claimed``: a device has scanned the QR code, and it alone may answer. ``failed``: no attempt is left, or the
waiting side gave up."""


class DeviceCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A key that a device of a user's holds, and what it may be used for.

    Attributes:
        authenticator_id: Names it, unique in the realm, 1..64 characters. No secret.
        user_id: The owner, who never changes.
        method: What it answers.
        public_key: P-256, DER SubjectPublicKeyInfo, 91 bytes; unique in the realm for each method.
        name: For the owner's eyes.
        platform: What the device calls its platform, such as ``ios`` or ``android``. Nothing proves it.
        push_token: Where to send push messages; None: nobody said.
        user_authentication_required: The application's policy: the device is to ask for a fingerprint, face or PIN
            before it signs. Nothing proves that it does.
        app_attest: Apple's App Attest key of the app, once attested; None: it has none.
        created_at, last_used_at: UTC; None: never yet.
        expires_at: From when on it counts no more, UTC; None: it lasts.
        update_issued_at: When the device signed the last update of itself, seconds since 1970: an older one that
            somebody kept does nothing. None: it never did.
        revision: How many times it changed since it was stored.
        realm: The tenant.
    """

    authenticator_id: str
    user_id: str
    method: DeviceMethod
    public_key: bytes
    name: str
    platform: str
    push_token: str | None = None
    user_authentication_required: bool = False
    app_attest: AppAttestKey | None = None
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    update_issued_at: int | None = None
    revision: int = 0
    realm: str = ""

    def __repr__(self) -> str:
        return f"DeviceCredential(authenticator_id={self.authenticator_id!r}, user_id={self.user_id!r}, …)"


class DeviceChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a user's device, and its answer.

    Attributes:
        challenge_id: 43 characters of base64url: 32 random bytes.
        method: What kind of device credential answers.
        protocol: What the device signs; see `passkeycore.devices`.
        state: How far it has come.
        user_id: Whose device; None: whoever claims it (``qr-code``).
        authenticator_id: Which device alone may answer; None: any of the user's.
        purpose: What it is for, opaque.
        content: What the device shows to the user, up to 4096 characters; empty: nothing.
        verification_code: What the waiting side shows and the user types on the device; None: no code is asked for.
        binding: Digest of the waiting side's secret; None: it has none.
        attempts_left: How many more times a device may get the code or its signature wrong.
        created_at, expires_at: UTC.
        answered_at: When it was approved or rejected, UTC; None: it was not.
        taken_at: When the waiting side got the answer, UTC; None: it has not. An answer is given out once.
        revision: How many times it changed since it was stored.
        realm: The tenant.
    """

    challenge_id: str
    method: DeviceMethod
    protocol: DeviceProtocol
    state: DeviceChallengeState = "pending"
    user_id: str | None = None
    authenticator_id: str | None = None
    purpose: str | None = None
    content: str = ""
    verification_code: str | None = None
    binding: bytes | None = None
    attempts_left: int
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    taken_at: datetime | None = None
    revision: int = 0
    realm: str = ""

    def __repr__(self) -> str:
        return f"DeviceChallenge(method={self.method!r}, state={self.state!r}, …)"
