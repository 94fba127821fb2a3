"""The credential record: everything about a registered credential that later ceremonies need, in one value.

Spec: #credential-record
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

import msgspec

from ..errors import Code, DecodeError
from .encoding import decode_base64url, encode_base64url
from .wire import reason_of

Usage: TypeAlias = Literal["sole_factor", "second_factor"]

_VERSION: Final = 1  # a newer release only adds members; it raises this when an older one must not read its records
_PREFIX: Final = b"pkc"  # and one byte: the version


class CredentialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A registered credential. Store it whole (`to_bytes`) and give it back at each authentication.

    Column sizes, should you take it apart: credential_id up to 1023 bytes, public_key up to 2700 (ML-DSA-87),
    user_handle up to 64, attestation_object up to `Limits.attestation_object_bytes`.

    Attributes:
        credential_id: Unique within a Relying Party; 1..1023 bytes. Compare bytes, never text without case.
        public_key: The COSE_Key (CBOR), exactly as it was registered. Not the browser's ``getPublicKey()``.
        rp_id: The RP ID that the credential is scoped to.
        user_handle: The owner's user handle, 1..64 bytes; None only in imported records that lack it.
        sign_count: The largest signature counter seen; 0 from authenticators without one.
        uv_initialized: User verification was performed at registration, or confirmed by another factor since.
        backup_eligible: BE, which never changes; None in imported records, learnt at the next authentication.
        backup_state: BS as last seen; None in imported records.
        transports: As the client reported them, unknown ones included: hints for `exclude` and `allow` lists.
        aaguid: The authenticator's model. Not proven unless the attestation was trusted.
        attestation_format: The format of the attestation statement that was verified.
        attestation_object: As received, to judge it again later; None when it was not kept.
        client_data_json: The registration's client data, as received; None when it was not kept.
        authenticator_attachment: ``platform``, ``cross-platform`` or what else the client said; a hint.
        discoverable: Whether the client said that the credential is discoverable; None when it did not say.
        prf_enabled: Whether the client said that the PRF works; None when it did not say.
        large_blob_supported: Whether the client said that a large blob can be stored; None when it did not say.
        cred_protect: The protection that the authenticator reported, 1..3; None when it did not.
        usage: ``second_factor`` credentials never finish a ceremony whose preset is ``sole_factor``.
        created_at: When it was registered, UTC; None in imported records.
    """

    credential_id: Annotated[bytes, msgspec.Meta(min_length=1, max_length=1023)]
    public_key: bytes
    rp_id: str
    user_handle: Annotated[bytes, msgspec.Meta(min_length=1, max_length=64)] | None = None
    sign_count: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] = 0
    uv_initialized: bool = False
    backup_eligible: bool | None = None
    backup_state: bool | None = None
    transports: tuple[str, ...] = ()
    aaguid: UUID = UUID(int=0)
    attestation_format: str = "none"
    attestation_object: bytes | None = None
    client_data_json: bytes | None = None
    authenticator_attachment: str | None = None
    discoverable: bool | None = None
    prf_enabled: bool | None = None
    large_blob_supported: bool | None = None
    cred_protect: int | None = None
    usage: Usage | None = None
    created_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def __repr__(self) -> str:
        return f"CredentialRecord(credential_id={self.credential_id.hex()}, rp_id={self.rp_id!r}, …)"

    def to_bytes(self) -> bytes:
        """The record in its compact stored form: a version and MessagePack."""
        return _PREFIX + bytes([_VERSION]) + _ENCODER.encode(self)

    @staticmethod
    def from_bytes(stored: bytes) -> "CredentialRecord":
        """The record that `to_bytes` stored, here or in a newer release (whose additional members are left out).

        Raises:
            DecodeError: `record_invalid`.
        """
        if not stored.startswith(_PREFIX):
            raise DecodeError(Code.RECORD_INVALID, "not a stored credential record")
        try:
            return _DECODER.decode(stored[len(_PREFIX) + 1 :])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(Code.RECORD_INVALID, f"not a stored credential record: {reason_of(error)}") from None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready members: bytes as base64url, the time as RFC 3339."""
        members = msgspec.to_builtins(self, builtin_types=(bytes,))
        return {"version": _VERSION} | {
            name: encode_base64url(value) if isinstance(value, bytes) else value for name, value in members.items()
        }

    @staticmethod
    def from_dict(members: Mapping[str, Any]) -> "CredentialRecord":
        """The record whose members `to_dict` gave, here or in a newer release.

        Raises:
            DecodeError: `record_invalid`, `base64url_invalid`.
        """
        known = {
            name: decode_base64url(value, name) if name in _BYTES and isinstance(value, str) else value
            for name, value in members.items()
            if name in CredentialRecord.__struct_fields__
        }
        try:
            return msgspec.convert(known, CredentialRecord)
        except (msgspec.ValidationError, RecursionError) as error:
            raise DecodeError(Code.RECORD_INVALID, f"not a credential record: {reason_of(error)}") from None


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(CredentialRecord)
_BYTES: Final = frozenset({"credential_id", "public_key", "user_handle", "attestation_object", "client_data_json"})


class CredentialUpdate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an authentication changes in a stored record, and what it judged: write it as compare-and-set.

    Attributes:
        credential_id: The record to change.
        expected_sign_count: The stored counter that was judged; when it is another by now, judge again.
        expected_backup_state: The stored BS that was judged.
        expected_uv_initialized: The stored value that was judged.
        sign_count: The counter to store. Never lower than the stored one.
        backup_eligible: BE to store.
        backup_state: BS to store.
    """

    credential_id: bytes
    expected_sign_count: int
    expected_backup_state: bool | None
    expected_uv_initialized: bool
    sign_count: int
    backup_eligible: bool
    backup_state: bool

    def apply(self, record: CredentialRecord) -> CredentialRecord:
        """`record` with the changes made."""
        return msgspec.structs.replace(
            record,
            sign_count=self.sign_count,
            backup_eligible=self.backup_eligible,
            backup_state=self.backup_state,
        )


def confirm_user_verification(record: CredentialRecord) -> CredentialRecord:
    """`record` with `uv_initialized` set, so that its user verification counts from the next ceremony on.

    Call it only after the user was authenticated by *another* factor as strong as user verification: whoever steals
    an authenticator can set a PIN of his own.

    Spec: #sctn-verifying-assertion (the update of uvInitialized)
    """
    return msgspec.structs.replace(record, uv_initialized=True)
