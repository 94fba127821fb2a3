"""What every attestation format shares: the signature of its `verify`, its result, and reading a statement's members.

Spec: #sctn-attestation
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

import msgspec

from ...errors import AttestationError, Code, SignatureError, UnsupportedError
from ..authenticator_data import AttestedCredentialData, AuthenticatorData
from ..cose import RS1, PublicKey
from ..encoding import CBOR, check_size
from ..policy import Policy

AttestationType: TypeAlias = Literal["none", "self", "basic", "attca", "anonca", "compound", "unverified"]


class AttestationCeremony(msgspec.Struct, frozen=True, kw_only=True):
    """The registration that a statement is about.

    Attributes:
        authenticator_data: What was signed, raw and parsed.
        attested_credential_data: The new credential in it.
        client_data_hash: SHA-256 of the client data, 32 bytes.
        public_key: The new credential's key.
        conveyance: What was asked for; only ``enterprise`` may identify a single device.
        now: The time to judge at.
    """

    authenticator_data: AuthenticatorData
    attested_credential_data: AttestedCredentialData
    client_data_hash: bytes
    public_key: PublicKey
    conveyance: str
    now: datetime


class AttestationResult(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that is valid. Not yet a reason to trust it.

    Attributes:
        format: The statement's format.
        type: The attestation type. ``basic`` may turn out to be ``attca``: only metadata tells them apart.
            ``unverified``: nobody asked for attestation, and the format is not known or not enabled.
        trust_path: Certificates, DER, leaf first, as sent (often without the root); empty without certificates.
        claims: What the statement says about the authenticator, by name; as credible as the trust path.
        children: The results inside a compound statement.
    """

    format: str
    type: AttestationType
    trust_path: tuple[bytes, ...] = ()
    claims: Mapping[str, object] = {}
    children: tuple["AttestationResult", ...] = ()


class Verify(Protocol):
    """A format's verification procedure.

    Returns the result only when the statement is valid for the ceremony, else raises `AttestationError` (or
    `DecodeError` for a certificate that cannot be read). `formats` are those that may stand inside a compound one.
    """

    def __call__(
        self,
        statement: CBOR,
        ceremony: AttestationCeremony,
        policy: Policy,
        formats: Mapping[str, "Verify"],
        /,
    ) -> AttestationResult: ...


def members_of(
    statement: CBOR, format: str, required: frozenset[str], optional: frozenset[str], policy: Policy
) -> dict[int | str, CBOR]:
    """The members of a statement that is a map and has all the `required` ones.

    Raises:
        AttestationError: `attestation_statement_invalid`, also for further members when the policy refuses them.
    """
    if not isinstance(statement, dict) or not required <= statement.keys():
        raise statement_error(format, f"not a map with {', '.join(sorted(required)) or 'any members'}")
    if policy.unknown_statement_members == "refuse" and not statement.keys() <= required | optional:
        raise statement_error(format, "a member that the format does not define")
    return statement


def certificates_of(x5c: CBOR, format: str, policy: Policy) -> tuple[bytes, ...]:
    """The certificates of a non-empty ``x5c``, DER, leaf first.

    Raises:
        AttestationError: `attestation_statement_invalid`: empty, or not an array of byte strings.
        DecodeError: `too_large`: more or larger certificates than the policy's limits. `certificate_malformed`: one
            above the leaf cannot be read, where the policy has to know whether it is a root.
        AttestationError: `attestation_certificate_invalid`: a root, where the policy refuses those.
    """
    if not isinstance(x5c, list) or not x5c:
        raise statement_error(format, "x5c is not an array of certificates")
    path = "response.attestationObject.attStmt.x5c"
    check_size(len(x5c), policy.limits.certificates, path)
    certificates: list[bytes] = []
    for der in x5c:
        if not isinstance(der, bytes):
            raise statement_error(format, "x5c holds something else than byte strings")
        check_size(len(der), policy.limits.certificate_bytes, path)
        certificates.append(der)
    if policy.root_in_x5c == "refuse":
        from .certificate import Certificate, certificate_error

        if any(Certificate.parse(der).self_issued for der in certificates[1:]):
            raise certificate_error(format, "x5c holds a root")
    return tuple(certificates)


def attestation_key(algorithm: int, key: object, format: str, policy: Policy) -> PublicKey:
    """`key`, from the attestation certificate, bound to the algorithm that the statement names.

    Raises:
        UnsupportedError: `algorithm_unsupported`: RS1, as old TPMs sign, without the policy that accepts it.
        AttestationError: `attestation_statement_invalid`: no algorithm, or not one for this key.
    """
    if algorithm == RS1 and not policy.danger_allow_rs1:
        message = "RS1, as old TPMs sign, needs danger_allow_rs1"
        path = "response.attestationObject.attStmt.alg"
        raise UnsupportedError(Code.ALGORITHM_UNSUPPORTED, message, path=path, actual=RS1)
    bound = PublicKey.bind(algorithm, key, allow_rs1=policy.danger_allow_rs1)
    if bound is None:
        raise statement_error(format, "alg is not an algorithm for the attestation certificate's key")
    return bound


def check_signature(public_key: PublicKey, signature: bytes, signed: bytes, format: str) -> None:
    """Returns only when the statement's signature verifies.

    Raises:
        AttestationError: `attestation_signature_invalid`.
    """
    try:
        public_key.verify(signature, signed)
    except SignatureError:
        raise AttestationError(
            Code.ATTESTATION_SIGNATURE_INVALID,
            "the signature of the attestation statement does not verify",
            attestation_format=format,
            spec="#sctn-defined-attestation-formats",
        ) from None


def statement_error(format: str, message: str) -> AttestationError:
    """The error for a statement that does not have its format's form, or contradicts itself."""
    return AttestationError(
        Code.ATTESTATION_STATEMENT_INVALID,
        message,
        attestation_format=format,
        spec="#sctn-defined-attestation-formats",
    )


def format_error(format: str, formats: Mapping[str, Verify], path: str) -> UnsupportedError:
    """The error for a statement, or one inside a compound statement, in a format that is not in `formats`."""
    return UnsupportedError(
        Code.ATTESTATION_FORMAT_UNSUPPORTED,
        "an attestation format that is not known or not enabled",
        path=path,
        expected=sorted(formats),
        actual=format,
        spec="#sctn-attstn-fmt-ids",
    )
