"""Attestation statement makers: one function for each format, and what an authenticator tells them.

A statement is returned as plain values, not yet CBOR, so a test can change a member that no signature covers;
what a signature covers is changed before, through the arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from passkeycore.testing.certificates import AttestationAuthority, AttestationCertificate
from passkeycore.testing.encoding import CborValue
from passkeycore.testing.keys import SoftwareKey

Sign: TypeAlias = Callable[[SoftwareKey, bytes], bytes]
"""Signs a message with a key; `SoftwareKey.sign` unless a test interferes."""
Statement: TypeAlias = dict[str, CborValue]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttestationRequest:
    """What an authenticator knows when it is about to attest a new credential."""

    authenticator_data: bytes
    client_data_hash: bytes
    """SHA-256 of the client data, 32 bytes."""
    credential_key: SoftwareKey
    credential_id: bytes
    """As the authenticator data has it."""
    aaguid: UUID
    sign: Sign = SoftwareKey.sign
    """How to sign; a maker that signs through this obeys `Tamper.sign`."""

    @property
    def rp_id_hash(self) -> bytes:
        """SHA-256 of the RP ID, 32 bytes, as the authenticator data has it."""
        return self.authenticator_data[:32]


StatementMaker: TypeAlias = Callable[[AttestationRequest], tuple[str, CborValue]]
"""Makes an attestation: the format's identifier and the statement."""


def none() -> Statement:
    """The statement of format `none`, an empty map.

    Spec: #sctn-none-attestation
    """
    return {}


def packed_self(
    key: SoftwareKey, authenticator_data: bytes, client_data_hash: bytes, *, sign: Sign = SoftwareKey.sign
) -> Statement:
    """A `packed` statement without certificates: self attestation, signed with the credential's own `key`.

    Spec: #sctn-packed-attestation
    """
    return {"alg": key.algorithm, "sig": sign(key, authenticator_data + client_data_hash)}


def packed(
    certificate: AttestationCertificate,
    authenticator_data: bytes,
    client_data_hash: bytes,
    *,
    sign: Sign = SoftwareKey.sign,
) -> Statement:
    """A `packed` statement signed with the key of `certificate`, whose path it carries in `x5c`.

    Spec: #sctn-packed-attestation
    """
    signed = packed_self(certificate.key, authenticator_data, client_data_hash, sign=sign)
    return signed | {"x5c": list(certificate.x5c)}


def make_none(_request: AttestationRequest) -> tuple[str, CborValue]:
    """A `StatementMaker` of format `none`."""
    return "none", none()


def make_packed_self(request: AttestationRequest) -> tuple[str, CborValue]:
    """A `StatementMaker` of format `packed`, self attestation."""
    return "packed", packed_self(
        request.credential_key, request.authenticator_data, request.client_data_hash, sign=request.sign
    )


def packed_maker(issuer: AttestationAuthority | AttestationCertificate) -> StatementMaker:
    """A `StatementMaker` of format `packed` with certificates.

    Args:
        issuer: A certificate to attest with as it is, or an authority that issues a new one, for the AAGUID
            of the request, at each attestation.
    """

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        certificate = issuer if isinstance(issuer, AttestationCertificate) else issuer.issue(request.aaguid)
        return "packed", packed(certificate, request.authenticator_data, request.client_data_hash, sign=request.sign)

    return make
