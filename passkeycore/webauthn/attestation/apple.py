"""The ``apple`` format: an Apple authority has certified the credential's own key, for this one registration.

Nothing is signed with that key. What binds the statement to the ceremony is a nonce in the certificate, and what makes
it worth something is only the path to Apple's root for WebAuthn: without trust anybody can write such a certificate.
Spec: #sctn-apple-anonymous-attestation
"""

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated, Final

from cryptography.hazmat import asn1

from ..encoding import CBOR
from ..policy import Policy
from .certificate import Certificate, certificate_error, decode_der
from .statement import (
    AttestationCeremony,
    AttestationResult,
    Verify,
    certificates_of,
    members_of,
    statement_error,
)

_NONCE: Final = "1.2.840.113635.100.8.2"


@asn1.sequence
class _NonceShape:
    nonce: Annotated[bytes, asn1.Explicit(1)]


def verify(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result, of type ``anonca``, for a certificate that names this ceremony and this credential's key.

    An ``alg`` or ``sig``, as some devices send, is a member that the format does not define: never used, and refused
    where the policy refuses those. The specification demands nothing else of the certificate.

    Raises:
        AttestationError: `attestation_statement_invalid`: no ``x5c``, the nonce of another ceremony, or another key
            than the credential's. `attestation_certificate_invalid`: no nonce in the certificate.
        DecodeError: `too_large`; `certificate_malformed`: also for a nonce of another form, or one that stands twice.
    """
    members = members_of(statement, "apple", frozenset({"x5c"}), frozenset(), policy)
    path = certificates_of(members["x5c"], "apple", policy)
    leaf = Certificate.parse(path[0])
    extension = leaf.extensions.get(_NONCE)
    if extension is None:
        raise certificate_error("apple", "the certificate has no nonce")
    nonce = sha256(ceremony.authenticator_data.raw + ceremony.client_data_hash).digest()
    if not compare_digest(decode_der(_NonceShape, extension.value).nonce, nonce):
        raise statement_error("apple", "the nonce of the certificate is not this ceremony's")
    if leaf.public_key != ceremony.public_key.key:
        raise statement_error("apple", "the key of the certificate is not the credential's")
    return AttestationResult(format="apple", type="anonca", trust_path=path)
