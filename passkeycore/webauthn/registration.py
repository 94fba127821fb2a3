"""Registering a credential: the specification's procedure, in the specification's order.

Spec: #sctn-registering-a-new-credential
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

import msgspec

from ..errors import Code, CredentialExists, VerificationError
from .attestation import FORMATS, AttestationCeremony, AttestationResult, Verify, verify_statement
from .authenticator_data import check_authenticator_data, check_credential_id, rp_id_hash
from .client_data import check_client_data
from .cose import PublicKey, check_rs1
from .credential import CredentialRecord
from .extensions import NO_OUTPUTS, AuthenticatorExtensionOutputs, ClientExtensionResults, check_solicited
from .options import MINIMUM_ALGORITHMS_OF_CLIENTS, RegistrationState, check_time
from .policy import DEFAULT_POLICY, Policy
from .responses import RegistrationResponse, check_same_id
from .trail import Trail

_SPEC = "#sctn-registering-a-new-credential"


class VerifiedRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """A registration that passed every check. Whether its attestation is to be trusted is not yet decided.

    Attributes:
        credential: The record to store, unless its id is registered already, for whichever user.
        attestation: What the attestation statement turned out to be.
        algorithm: The COSE algorithm of the credential's key.
        user_verified: UV of this ceremony.
        client_extensions: Unsigned outputs.
        authenticator_extensions: Signed outputs.
    """

    credential: CredentialRecord
    attestation: AttestationResult
    algorithm: int
    user_verified: bool
    client_extensions: ClientExtensionResults
    authenticator_extensions: AuthenticatorExtensionOutputs


def verify_registration(
    response: RegistrationResponse,
    state: RegistrationState,
    *,
    now: datetime,
    policy: Policy = DEFAULT_POLICY,
    formats: Mapping[str, Verify] = FORMATS,
    trail: Trail | None = None,
) -> VerifiedRegistration:
    """The new credential, after every check.

    Args:
        response: What the client returned.
        state: What was begun; nothing the client says can change it.
        now: The time, aware. A response after the state's `expires_at` is late.
        policy: What to do where the specification leaves the choice.
        formats: The attestation formats that are enabled.
        trail: Filled with the checks that ran, when given.

    Raises:
        VerificationError, AttestationError, SignatureError: A check failed; `code` says which.
        DecodeError, UnsupportedError: The key or a certificate is malformed; the format or algorithm unknown.
        CredentialExists: `credential_exists`: one of the excluded credentials came again.
        ChallengeError: `challenge_expired`: everything is right, but too late.

    Spec: #sctn-registering-a-new-credential
    """
    attestation_object = response.attestation_object
    authenticator_data = attestation_object.authenticator_data
    if trail is not None:
        trail.see("credential type", "public-key", response.type)
    if response.type != "public-key":
        raise VerificationError(
            Code.CREDENTIAL_TYPE_INVALID,
            "not a public key credential",
            path="type",
            actual=response.type,
            spec=_SPEC,
        )

    check_client_data(response.client_data_json, "webauthn.create", state, policy, trail)
    client_data_hash = sha256(response.client_data_json).digest()

    # A conditional creation happens without a dialog, so nobody need be present; it must have been asked for.
    check_authenticator_data(
        authenticator_data, rp_id_hash(state.rp_id), state, state.mediation != "conditional", trail
    )

    attested = authenticator_data.attested_credential_data
    if trail is not None:
        trail.see("attested credential data", True, attested is not None)
    if attested is None:
        raise VerificationError(
            Code.ATTESTED_DATA_MISSING,
            "the authenticator data has no new credential",
            path="response.attestationObject.authData",
            spec="#sctn-attested-credential-data",
        )

    if trail is not None:
        trail.see("public key", None, attested.public_key)
    public_key = PublicKey.check(attested.cose_key)
    algorithms = state.algorithms or MINIMUM_ALGORITHMS_OF_CLIENTS
    if trail is not None:
        trail.see("algorithm", algorithms, public_key.algorithm.id)
    if public_key.algorithm.id not in algorithms:
        raise VerificationError(
            Code.ALGORITHM_NOT_ALLOWED,
            "the key's algorithm was not offered",
            path="credentialPublicKey",
            expected=algorithms,
            actual=public_key.algorithm.id,
            spec=_SPEC,
        )
    check_rs1(public_key, policy)

    if trail is not None:
        trail.see("attestation statement", sorted(formats), attestation_object.format)
    attestation = verify_statement(
        attestation_object.format,
        attestation_object.statement,
        AttestationCeremony(
            authenticator_data=authenticator_data,
            attested_credential_data=attested,
            client_data_hash=client_data_hash,
            public_key=public_key,
            conveyance=state.attestation,
            now=now,
        ),
        policy,
        formats,
    )

    credential_id = attested.credential_id
    if trail is not None:
        trail.see("credential id length", 1023, len(credential_id))
    check_credential_id(credential_id, policy)
    if trail is not None:
        trail.see("credential id", credential_id, response.raw_id)
    check_same_id(credential_id, response, "the authenticator data")
    if trail is not None:
        trail.see("excluded credentials", len(state.exclude_credentials), credential_id)
    if credential_id in state.exclude_credentials:
        raise CredentialExists(
            Code.CREDENTIAL_EXISTS,
            "one of the excluded credentials",
            path="rawId",
            actual=credential_id,
            spec=_SPEC,
        )

    results, outputs = response.client_extension_results, authenticator_data.extensions or NO_OUTPUTS
    if trail is not None:
        trail.see("extensions", state.extensions, sorted(results.names | outputs.names))
    if policy.unsolicited_extensions == "refuse":
        check_solicited(results, outputs, state.extensions)
    _check_demands(response, state, policy, trail)
    check_time(state, now, trail)

    return VerifiedRegistration(
        credential=CredentialRecord(
            credential_id=credential_id,
            public_key=attested.public_key,
            rp_id=state.rp_id,
            user_handle=state.user_handle,
            sign_count=authenticator_data.sign_count,
            uv_initialized=authenticator_data.user_verified,
            backup_eligible=authenticator_data.backup_eligible,
            backup_state=authenticator_data.backup_state,
            transports=response.transports,
            aaguid=attested.aaguid,
            attestation_format=attestation.format,
            attestation_object=attestation_object.raw,
            client_data_json=response.client_data_json,
            authenticator_attachment=response.authenticator_attachment,
            discoverable=results.discoverable,
            prf_enabled=results.prf_enabled,
            large_blob_supported=results.large_blob_supported,
            cred_protect=outputs.cred_protect,
            usage=state.usage,
            created_at=now,
        ),
        attestation=attestation,
        algorithm=public_key.algorithm.id,
        user_verified=authenticator_data.user_verified,
        client_extensions=results,
        authenticator_extensions=outputs,
    )


def _check_demands(
    response: RegistrationResponse, state: RegistrationState, policy: Policy, trail: Trail | None
) -> None:
    """What the options demanded of the authenticator, and the client says that it did not get."""
    discoverable = response.client_extension_results.discoverable
    if trail is not None:
        trail.see("residentKey", state.resident_key, discoverable)
    if state.resident_key == "required" and discoverable is False:
        raise VerificationError(
            Code.CREDENTIAL_NOT_DISCOVERABLE,
            "the credential is not discoverable",
            path="clientExtensionResults.credProps.rk",
            expected=True,
            actual=False,
            spec="#sctn-authenticator-credential-properties-extension",
        )
    wanted, given = state.authenticator_attachment, response.authenticator_attachment
    if trail is not None:
        trail.see("authenticatorAttachment", wanted, given)
    if policy.authenticator_attachment == "enforce" and wanted is not None and given != wanted:
        raise VerificationError(
            Code.ATTACHMENT_NOT_ALLOWED,
            "not the attachment that was asked for",
            path="authenticatorAttachment",
            expected=wanted,
            actual=given,
            spec="#dom-authenticatorselectioncriteria-authenticatorattachment",
        )
