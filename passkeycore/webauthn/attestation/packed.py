"""The ``packed`` format: signed by an attestation key with certificates, or by the credential's own key.

Spec: #sctn-packed-attestation
"""

from collections.abc import Mapping
from typing import Final

from ..encoding import CBOR
from ..policy import Policy
from .certificate import (
    COMMON_NAME,
    COUNTRY,
    ORGANIZATION,
    ORGANIZATIONAL_UNIT,
    Certificate,
    certificate_error,
    check_aaguid,
    check_leaf,
    firmware_claims,
    remembered,
    serial_claims,
)
from .statement import (
    AttestationCeremony,
    AttestationResult,
    Verify,
    attestation_key,
    certificates_of,
    check_signature,
    members_of,
    statement_error,
)

_PRINTABLE_STRING: Final = 0x13


def verify(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result for a statement of either kind: ``basic`` with certificates, ``self`` without.

    Raises:
        AttestationError: `attestation_statement_invalid`, `attestation_signature_invalid`,
            `attestation_certificate_invalid`.
        DecodeError: `too_large`, `certificate_malformed`.
        UnsupportedError: `algorithm_unsupported`: RS1, unless the policy accepts it.
    """
    members = members_of(statement, "packed", frozenset({"alg", "sig"}), frozenset({"x5c"}), policy)
    algorithm, signature = members["alg"], members["sig"]
    if type(algorithm) is not int or not isinstance(signature, bytes):
        raise statement_error("packed", "alg is not an integer or sig not a byte string")
    if "ecdaaKeyId" in members:
        raise statement_error("packed", "ECDAA was removed from WebAuthn")
    signed = ceremony.authenticator_data.raw + ceremony.client_data_hash
    if "x5c" in members:
        path = certificates_of(members["x5c"], "packed", policy)
        claims = _verify_certified(algorithm, signature, signed, path, ceremony, policy)
        return AttestationResult(format="packed", type="basic", trust_path=path, claims=claims)
    if algorithm != ceremony.public_key.algorithm.id:
        raise statement_error("packed", "alg is not the algorithm of the credential's key")
    check_signature(ceremony.public_key, signature, signed, "packed")
    return AttestationResult(format="packed", type="self")


def _verify_certified(
    algorithm: int,
    signature: bytes,
    signed: bytes,
    path: tuple[bytes, ...],
    ceremony: AttestationCeremony,
    policy: Policy,
) -> Mapping[str, object]:
    leaf = Certificate.parse(path[0])
    key = attestation_key(algorithm, leaf.public_key, "packed", policy)
    check_signature(key, signature, signed, "packed")
    claims = _claims_of(path[0])
    check_aaguid(leaf, ceremony.attested_credential_data.aaguid, "packed")
    return {**claims, **serial_claims(leaf, ceremony.conveyance, "packed")}


@remembered
def _claims_of(certificate: bytes) -> Mapping[str, object]:
    """What the attestation certificate claims, if it meets the requirements that have nothing to do with the ceremony.

    Spec: #sctn-packed-attestation-cert-requirements
    """
    leaf = Certificate.parse(certificate)
    check_leaf(leaf, "packed")
    attributes = leaf.subject
    subject = {attribute.type: attribute for attribute in attributes}
    country = subject.get(COUNTRY)
    # ISO 3166 alpha-2 in form only: countries come and go, and devices outlive them.
    if country is None or country.tag != _PRINTABLE_STRING or not (len(country.value) == 2 and country.value.isalpha()):
        raise certificate_error("packed", "the subject's C is not a PrintableString of two letters")
    for name, type in (("O", ORGANIZATION), ("CN", COMMON_NAME)):
        if type not in subject or not subject[type].value:
            raise certificate_error("packed", f"the subject lacks {name}")
    if [unit.value for unit in attributes if unit.type == ORGANIZATIONAL_UNIT] != [b"Authenticator Attestation"]:
        raise certificate_error("packed", "the subject's OU is not 'Authenticator Attestation'")
    return firmware_claims(leaf, "packed")
