"""The ``fido-u2f`` format: signed by the attestation key of an authenticator that predates CTAP2.

U2F signs the RP ID, the client data, the credential id and its key. The rest of the authenticator data, AAGUID, flags,
counter and extensions, was written by the client, and the statement proves nothing about it.
Spec: #sctn-fido-u2f-attestation
"""

from collections.abc import Mapping
from typing import cast

from ..cose import ES256, PublicKey
from ..encoding import CBOR
from ..key_types import Members, ec2_point
from ..policy import Policy
from .certificate import Certificate, certificate_error, check_aaguid
from .statement import (
    AttestationCeremony,
    AttestationResult,
    Verify,
    certificates_of,
    check_signature,
    members_of,
    statement_error,
)


def verify(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result, of type ``basic``, for an ES256 credential that a P-256 attestation key has signed.

    The specification demands nothing else of the certificate, and old ones would not meet what packed attestation
    demands. An AAGUID in the certificate must not contradict the one claimed. But zeros claim nothing: U2F knows no
    AAGUIDs, while newer authenticators show the certificate of their model here too (YubiKey 5C in Firefox, 2021).

    Raises:
        AttestationError: `attestation_statement_invalid`: other members than one certificate and a signature, a
            credential that is not ES256, or an AAGUID other than zeros where the policy wants those.
            `attestation_certificate_invalid`: a key not on P-256, or another AAGUID. `attestation_signature_invalid`.
        DecodeError: `too_large`, `certificate_malformed`.
    """
    members = members_of(statement, "fido-u2f", frozenset({"x5c", "sig"}), frozenset(), policy)
    signature = members["sig"]
    if not isinstance(signature, bytes):
        raise statement_error("fido-u2f", "sig is not a byte string")
    path = certificates_of(members["x5c"], "fido-u2f", policy)
    if len(path) != 1:
        raise statement_error("fido-u2f", "x5c is not exactly one certificate")
    if ceremony.public_key.algorithm.id != ES256:
        raise statement_error("fido-u2f", "the credential's key is not one for ES256")
    attested = ceremony.attested_credential_data
    if policy.fido_u2f_aaguid == "zero" and attested.aaguid.int:
        raise statement_error("fido-u2f", "the AAGUID is not zeros")

    leaf = Certificate.parse(path[0])
    key = PublicKey.bind(ES256, leaf.public_key)
    if key is None:
        raise certificate_error("fido-u2f", "the attestation certificate's key is not on P-256")
    # Taken from the bytes of the credential's key, which has been checked: making a key of them would cost a third of
    # the registration.
    point = ec2_point(ceremony.public_key.algorithm, cast("Members", attested.cose_key), on_curve=False)
    signed = ceremony.authenticator_data.rp_id_hash + ceremony.client_data_hash + attested.credential_id + point
    check_signature(key, signature, b"\0" + signed, "fido-u2f")
    # Honest authenticators with certificates that name their model show zeros to U2F clients.
    certified = leaf.aaguid
    check_aaguid(leaf, attested.aaguid if attested.aaguid.int or certified is None else certified, "fido-u2f")
    return AttestationResult(format="fido-u2f", type="basic", trust_path=path)
