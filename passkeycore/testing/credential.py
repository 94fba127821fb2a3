"""What an authenticator keeps and what it answers, with the authenticator's side of the extensions."""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from passkeycore.testing.encoding import CborValue, attestation_object
from passkeycore.testing.keys import SoftwareKey

EXTENSIONS: Final = frozenset(
    {"credBlob", "credProtect", "hmac-secret", "hmac-secret-mc", "largeBlob", "minPinLength", "uvm"}
)
"""The authenticator extensions the kit can play; `largeBlob` stands for CTAP 2.1's large-blob storage."""

MAX_CRED_BLOB_LENGTH: Final = 32
"""The most bytes of `credBlob` an authenticator of the kit stores."""


@dataclass(kw_only=True, slots=True)
class SoftwareCredential:
    """A credential inside an authenticator. Everything may be changed between ceremonies."""

    credential_id: bytes
    key: SoftwareKey
    rp_id: str
    user_handle: bytes
    """1..64 bytes."""
    discoverable: bool
    sign_count: int
    backup_eligible: bool
    backup_state: bool
    cred_protect: int | None = None
    """Protection level 1..3; None if none was asked for, which acts as 1."""
    cred_blob: bytes | None = None
    """At most 32 bytes; None if none was stored."""
    large_blob: bytes | None = None
    """What the client stored with the `largeBlob` extension; None if nothing."""
    secret_with_uv: bytes = field(repr=False)
    """The key of `hmac-secret` (and so of `prf`) when the user is verified, 32 bytes."""
    secret_without_uv: bytes = field(repr=False)
    """The same when the user is only present, 32 bytes."""

    def hmac_secret(self, salts: Iterable[bytes], *, user_verified: bool) -> tuple[bytes, ...]:
        """The `hmac-secret` result for each salt, 32 bytes each."""
        secret = self.secret_with_uv if user_verified else self.secret_without_uv
        return tuple(hmac.digest(secret, salt, "sha256") for salt in salts)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCredential:
    """What `make_credential` gives."""

    credential: SoftwareCredential
    fmt: str
    statement: CborValue
    authenticator_data: bytes
    extensions: Mapping[str, CborValue]
    """The authenticator extension outputs before any tampering."""
    secrets: tuple[bytes, ...] = field(repr=False)
    """Results of `hmac-secret-mc` in the clear, as the client learns them; empty if not asked for."""

    @property
    def attestation_object(self) -> bytes:
        """The attestation object, CBOR."""
        return attestation_object(self.fmt, self.statement, self.authenticator_data)


@dataclass(frozen=True, kw_only=True, slots=True)
class Assertion:
    """What `get_assertion` gives."""

    credential: SoftwareCredential
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes | None
    """The user handle of a discoverable credential; None for others, whose authenticator need not know it."""
    extensions: Mapping[str, CborValue]
    """The authenticator extension outputs before any tampering."""
    secrets: tuple[bytes, ...] = field(repr=False)
    """Results of `hmac-secret` in the clear, as the client learns them; empty if not asked for."""

    @property
    def credential_id(self) -> bytes:
        """The id of the credential that signed."""
        return self.credential.credential_id


def registration_outputs(
    credential: SoftwareCredential,
    inputs: Mapping[str, CborValue],
    *,
    min_pin_length: int,
    user_verified: bool,
) -> dict[str, CborValue]:
    """The authenticator extension outputs of a registration, storing in `credential` what is to be kept.

    The secrets of `hmac-secret-mc` are not among them: they are encrypted, and the authenticator does that.
    """
    outputs: dict[str, CborValue] = {}
    if isinstance(level := inputs.get("credProtect"), int):
        outputs["credProtect"] = credential.cred_protect = level
    if isinstance(blob := inputs.get("credBlob"), bytes):
        stored = len(blob) <= MAX_CRED_BLOB_LENGTH
        credential.cred_blob = blob if stored else None
        outputs["credBlob"] = stored
    if inputs.get("minPinLength") is True:
        outputs["minPinLength"] = min_pin_length
    if inputs.get("hmac-secret") is True:
        outputs["hmac-secret"] = True
    return outputs | _user_verification_method(inputs, user_verified)


def authentication_outputs(
    credential: SoftwareCredential, inputs: Mapping[str, CborValue], *, user_verified: bool
) -> dict[str, CborValue]:
    """The authenticator extension outputs of an authentication, apart from the encrypted `hmac-secret`."""
    outputs: dict[str, CborValue] = {}
    if inputs.get("credBlob") is True:
        outputs["credBlob"] = credential.cred_blob or b""
    return outputs | _user_verification_method(inputs, user_verified)


def _user_verification_method(inputs: Mapping[str, CborValue], user_verified: bool) -> dict[str, CborValue]:
    if inputs.get("uvm") is not True:
        return {}
    method = 0x02 if user_verified else 0x01  # USER_VERIFY_FINGERPRINT_INTERNAL, USER_VERIFY_PRESENCE_INTERNAL
    return {"uvm": [[method, 0x04, 0x02]]}  # KEY_PROTECTION_TEE, MATCHER_PROTECTION_TEE


def salts_of(value: CborValue) -> Sequence[bytes]:
    """The salts in an input of `hmac-secret` or `hmac-secret-mc`; none when it is not a list of them."""
    if not isinstance(value, list | tuple):
        return ()
    return [salt for salt in value if isinstance(salt, bytes)]
