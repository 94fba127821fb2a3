"""Authenticator data: the bytes an authenticator signs, read by their layout, and the rules for their flags.

Spec: #sctn-authenticator-data
"""

from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from struct import Struct
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from ..errors import Code, DecodeError, VerificationError
from .cose import decode_cose_key
from .encoding import CBOR, check_size, decode_cbor_prefix
from .extensions import AuthenticatorExtensionOutputs
from .policy import DEFAULT_POLICY, Policy
from .trail import Trail

if TYPE_CHECKING:
    from .options import AuthenticationState, RegistrationState

USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
BACKUP_ELIGIBLE: Final = 0x08
BACKUP_STATE: Final = 0x10
ATTESTED_DATA: Final = 0x40
EXTENSION_DATA: Final = 0x80

_PATH: Final = "response.authenticatorData"
_HEADER: Final = 37  # rpIdHash 32, flags 1, signCount 4
_FLAGS_AND_COUNT: Final = Struct(">BI").unpack_from
_MAX_CREDENTIAL_ID: Final = 1023  # spec: #credential-id


@lru_cache(maxsize=1024)
def rp_id_hash(rp_id: str) -> bytes:
    """SHA-256 of `rp_id`, or of an AppID, as authenticator data carries it."""
    return sha256(rp_id.encode()).digest()


class AttestedCredentialData(msgspec.Struct, frozen=True, kw_only=True):
    """The new credential inside the authenticator data of a registration.

    Attributes:
        aaguid: The authenticator's model; zeros when it does not tell. Proven only by trusted attestation.
        credential_id: As it stands there, of any length that fits.
        public_key: The COSE_Key, exactly as it stands there.
        cose_key: The same, decoded; not yet judged.
    """

    aaguid: UUID
    credential_id: bytes
    public_key: bytes
    cose_key: CBOR


class AuthenticatorData(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator signed.

    Attributes:
        raw: The bytes that the signature covers.
        rp_id_hash: SHA-256 of the RP ID (or AppID) it acted for, 32 bytes.
        flags: The flags byte; see the properties.
        sign_count: The signature counter, 0..2**32-1; 0 from authenticators that have none.
        attested_credential_data: The new credential, or None.
        extensions: Signed outputs of authenticator extensions, or None.
    """

    raw: bytes
    rp_id_hash: bytes
    flags: int
    sign_count: int
    attested_credential_data: AttestedCredentialData | None = None
    extensions: AuthenticatorExtensionOutputs | None = None

    @property
    def user_present(self) -> bool:
        """UP: somebody touched the authenticator."""
        return bool(self.flags & USER_PRESENT)

    @property
    def user_verified(self) -> bool:
        """UV: the authenticator verified its user, by PIN or biometrics."""
        return bool(self.flags & USER_VERIFIED)

    @property
    def backup_eligible(self) -> bool:
        """BE: the credential can be synced; fixed for its life."""
        return bool(self.flags & BACKUP_ELIGIBLE)

    @property
    def backup_state(self) -> bool:
        """BS: the credential is backed up now."""
        return bool(self.flags & BACKUP_STATE)

    @staticmethod
    def parse(raw: bytes, policy: Policy = DEFAULT_POLICY, path: str = _PATH) -> "AuthenticatorData":
        """The authenticator data that `raw` holds from its first byte to its last.

        Raises:
            DecodeError: `too_large`; `authenticator_data_invalid`: shorter than its flags promise, or bytes
                after the end; `public_key_malformed`, `cbor_invalid`: the key or the extensions are not
                strict CBOR; `extension_malformed`: a known extension with an output of another shape.
        """
        size = len(raw)
        check_size(size, policy.limits.authenticator_data_bytes, path)
        if size < _HEADER:
            raise _invalid("shorter than 37 bytes", path)
        flags, sign_count = _FLAGS_AND_COUNT(raw, 32)
        end = _HEADER
        attested = extensions = None
        if flags & (ATTESTED_DATA | EXTENSION_DATA):
            if flags & ATTESTED_DATA:
                attested, end = _attested(raw, policy, path)
            if flags & EXTENSION_DATA:
                value, length = decode_cbor_prefix(raw[end:], path, policy)
                end += length
                extensions = AuthenticatorExtensionOutputs.parse(value, path)
        if end != size:
            raise _invalid("there are bytes after the end that its flags give", path)
        return AuthenticatorData(
            raw=raw,
            rp_id_hash=raw[:32],
            flags=flags,
            sign_count=sign_count,
            attested_credential_data=attested,
            extensions=extensions,
        )


def _attested(raw: bytes, policy: Policy, path: str) -> tuple[AttestedCredentialData, int]:
    """The attested credential data, and where in `raw` it ends. Spec: #sctn-attested-credential-data"""
    start = _HEADER + 18  # aaguid 16, credentialIdLength 2
    if len(raw) < start:
        raise _invalid("the attested credential data is cut off", path)
    end = start + int.from_bytes(raw[start - 2 : start], "big")
    if len(raw) < end:
        raise _invalid("the credential id is cut off", path)
    cose_key, key_end = decode_cose_key(raw, end, path, policy)
    attested = AttestedCredentialData(
        aaguid=_aaguid(raw[_HEADER : start - 2]),
        credential_id=raw[start:end],
        public_key=raw[end:key_end],
        cose_key=cose_key,
    )
    return attested, key_end


@lru_cache(maxsize=1024)  # there are few models, and a UUID costs more than all the rest of the parsing
def _aaguid(raw: bytes) -> UUID:
    return UUID(bytes=raw)


def _invalid(message: str, path: str) -> DecodeError:
    return DecodeError(Code.AUTHENTICATOR_DATA_INVALID, message, path=path, spec="#sctn-authenticator-data")


def check_credential_id(credential_id: bytes, policy: Policy) -> None:
    """Returns only when the id has a length that a credential may have: 1 (or the policy's) to 1023 bytes.

    Raises:
        VerificationError: `credential_id_invalid`.
    """
    if not policy.min_credential_id_bytes <= len(credential_id) <= _MAX_CREDENTIAL_ID:
        raise VerificationError(
            Code.CREDENTIAL_ID_INVALID,
            "a credential id of this length is not allowed",
            path="rawId",
            expected=f"{policy.min_credential_id_bytes}..{_MAX_CREDENTIAL_ID} bytes",
            actual=len(credential_id),
            spec="#credential-id",
        )


def check_authenticator_data(
    authenticator_data: AuthenticatorData,
    expected_rp_id_hash: bytes,
    state: "RegistrationState | AuthenticationState",
    require_user_presence: bool,
    trail: Trail | None,
) -> None:
    """Returns only when the authenticator acted for this Relying Party, with the user as the ceremony demands.

    Raises:
        VerificationError: `rp_id_mismatch`, `user_presence_required`, `user_verification_required`,
            `backup_flags_invalid`.

    Spec: #sctn-registering-a-new-credential, #sctn-verifying-assertion
    """
    flags = authenticator_data.flags
    if trail is not None:
        trail.see("rpIdHash", expected_rp_id_hash, authenticator_data.rp_id_hash)
    if not compare_digest(authenticator_data.rp_id_hash, expected_rp_id_hash):
        raise VerificationError(
            Code.RP_ID_MISMATCH,
            "the authenticator acted for another Relying Party",
            path=_PATH,
            expected=expected_rp_id_hash,
            actual=authenticator_data.rp_id_hash,
            spec="#rp-id",
        )

    if trail is not None:
        trail.see("UP", require_user_presence, authenticator_data.user_present)
    if require_user_presence and not flags & USER_PRESENT:
        raise VerificationError(
            Code.USER_PRESENCE_REQUIRED, "the user was not present", path=_PATH, spec="#concept-user-present"
        )

    if trail is not None:
        trail.see("UV", state.user_verification, authenticator_data.user_verified)
    if not flags & USER_VERIFIED and state.user_verification == "required":
        raise VerificationError(
            Code.USER_VERIFICATION_REQUIRED,
            "the user was not verified",
            path=_PATH,
            spec="#concept-user-verified",
        )

    if trail is not None:
        trail.see("BE/BS", None, flags & (BACKUP_ELIGIBLE | BACKUP_STATE))
    if flags & BACKUP_STATE and not flags & BACKUP_ELIGIBLE:
        raise VerificationError(
            Code.BACKUP_FLAGS_INVALID,
            "backed up, but not eligible for backup",
            path=_PATH,
            spec="#sctn-credential-backup",
        )
