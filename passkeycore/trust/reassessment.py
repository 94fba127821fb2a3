"""Judging a stored credential again: would it still be accepted today, by what is known today?"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

from ..errors import Code, DecodeError
from ..webauthn.attestation import AttestationCeremony, AttestationResult, Verify, verify_statement
from ..webauthn.cose import PublicKey
from ..webauthn.credential import CredentialRecord
from ..webauthn.policy import Policy
from ..webauthn.responses import AttestationObject
from .decision import TrustDecision, judge
from .policy import TrustPolicy


def reassess(
    credential: CredentialRecord,
    trust: TrustPolicy,
    now: datetime,
    *,
    policy: Policy,
    formats: Mapping[str, Verify],
) -> TrustDecision:
    """The decision that a registration with what the record kept would meet now.

    The statement is verified again, and its certificates are judged at the time of the registration: those of Apple
    and Android live for days, and having ended since says nothing against the credential. Metadata and lists of revoked
    certificates are judged at `now`. A record that kept no attestation counts as one without.

    Where the record does not know when it was registered, certificates are judged at a time at which all were valid.
    What was stripped from a record cannot be judged: where that must not help, require trust.

    Raises:
        UntrustedError: As `judge`: it would be refused today.
        AttestationError, DecodeError, UnsupportedError: Its statement would not be valid today, under this policy.
        DecodeError: `record_invalid`: what the record kept is about another credential.
    """
    kept_none = credential.attestation_format == "none"
    result = AttestationResult(format=credential.attestation_format, type="none" if kept_none else "unverified")
    public_key = PublicKey.parse(credential.public_key)
    if credential.attestation_object is not None and credential.client_data_json is not None:
        attestation_object = AttestationObject.parse(credential.attestation_object, policy)
        data = attestation_object.authenticator_data
        attested = data.attested_credential_data
        if (
            attested is None
            or attested.credential_id != credential.credential_id
            or attested.public_key != credential.public_key
            or attested.aaguid != credential.aaguid
        ):
            raise DecodeError(
                Code.RECORD_INVALID, "the attestation is not the credential's own", path="attestation_object"
            )
        if attestation_object.format in formats:  # else it was left unread then, and is so now
            result = verify_statement(
                attestation_object.format,
                attestation_object.statement,
                AttestationCeremony(
                    authenticator_data=data,
                    attested_credential_data=attested,
                    client_data_hash=sha256(credential.client_data_json).digest(),
                    public_key=public_key,
                    conveyance="enterprise",  # what was asked for is not kept; it was judged when it was known
                    now=credential.created_at or now,
                ),
                policy,
                formats,
            )
    return judge(
        result,
        trust,
        now,
        aaguid=credential.aaguid,
        algorithm=public_key.algorithm.id,
        registered_at=credential.created_at,
    )
