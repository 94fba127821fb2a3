"""Verifying an assertion: the specification's procedure, in the specification's order. The hot path.

One thing comes later than in the specification, which allows any order: what only the stored record can tell is
judged after the signature, so that nobody learns from a forged response what is stored, or whether anything is.

Spec: #sctn-verifying-assertion
"""

from datetime import datetime
from hashlib import sha256

import msgspec

from ..errors import Code, VerificationError
from .authenticator_data import (
    BACKUP_ELIGIBLE,
    BACKUP_STATE,
    USER_VERIFIED,
    AuthenticatorData,
    check_authenticator_data,
    rp_id_hash,
)
from .client_data import check_client_data
from .cose import PublicKey, check_rs1
from .credential import CredentialRecord, CredentialUpdate
from .extensions import NO_OUTPUTS, AuthenticatorExtensionOutputs, ClientExtensionResults, check_solicited
from .options import AuthenticationState, check_time
from .policy import DEFAULT_POLICY, Policy
from .responses import AuthenticationResponse, check_same_id
from .trail import Trail

_SPEC = "#sctn-verifying-assertion"


class VerifiedAuthentication(msgspec.Struct, frozen=True, kw_only=True):
    """An authentication that passed every check.

    Attributes:
        previous: The record that was given.
        authenticator_data: What the authenticator signed.
        user_verification_trusted: UV that counts as a factor: it was performed, and either the credential was
            registered with it (or confirmed since) or it can be backed up. Otherwise a thief could have set a PIN.
        sign_count_regressed: The counter did not grow: a sign of a clone, or of a race.
        client_extensions: Unsigned outputs.
    """

    previous: CredentialRecord
    authenticator_data: AuthenticatorData
    user_verification_trusted: bool
    sign_count_regressed: bool
    client_extensions: ClientExtensionResults

    @property
    def credential(self) -> CredentialRecord:
        """The record to store in place of `previous`."""
        return self.update.apply(self.previous)

    @property
    def update(self) -> CredentialUpdate:
        """What to change in the stored record, and what must not have changed meanwhile."""
        previous, seen = self.previous, self.authenticator_data
        return CredentialUpdate(
            credential_id=previous.credential_id,
            expected_sign_count=previous.sign_count,
            expected_backup_state=previous.backup_state,
            expected_uv_initialized=previous.uv_initialized,
            sign_count=max(seen.sign_count, previous.sign_count),
            backup_eligible=seen.flags & BACKUP_ELIGIBLE != 0,
            backup_state=seen.flags & BACKUP_STATE != 0,
        )

    @property
    def user_handle(self) -> bytes | None:
        """Whose credential it is, from the record; None where the record does not say. Never the response's word."""
        return self.previous.user_handle

    @property
    def user_verified(self) -> bool:
        """UV of this ceremony."""
        return self.authenticator_data.user_verified

    @property
    def backup_eligibility_changed(self) -> bool:
        """BE is not what it was; possible only under ``backup_eligibility_change="report"``."""
        return self.previous.backup_eligible not in (None, self.authenticator_data.backup_eligible)

    @property
    def backup_state_changed(self) -> bool:
        """BS is not what it was: newly backed up, or no longer."""
        return self.previous.backup_state not in (None, self.authenticator_data.backup_state)

    @property
    def authenticator_extensions(self) -> AuthenticatorExtensionOutputs:
        """Signed outputs of extensions."""
        return self.authenticator_data.extensions or NO_OUTPUTS


def verify_authentication(
    response: AuthenticationResponse,
    state: AuthenticationState,
    credential: CredentialRecord,
    *,
    now: datetime,
    policy: Policy = DEFAULT_POLICY,
    trail: Trail | None = None,
) -> VerifiedAuthentication:
    """Who signed in and what to store, after every check.

    Args:
        response: What the client returned.
        state: What was begun; nothing the client says can change it.
        credential: The record whose id the response names.
        now: The time, aware. A response after the state's `expires_at` is late.
        policy: What to do where the specification leaves the choice.
        trail: Filled with the checks that ran, when given.

    Raises:
        VerificationError, SignatureError: A check failed; `code` says which.
        DecodeError, UnsupportedError: The record's public key is none.
        ChallengeError: `challenge_expired`: everything is right, but too late.

    Spec: #sctn-verifying-assertion
    """
    authenticator_data = response.authenticator_data
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

    check_owner(response, state, credential, trail)

    check_client_data(response.client_data_json, "webauthn.get", state, policy, trail)

    results = response.client_extension_results
    # A credential that U2F registered signs the AppID; then the client says so, and it must have been asked to.
    scope = state.appid if results.appid and state.appid is not None else state.rp_id
    check_authenticator_data(authenticator_data, rp_id_hash(scope), state, True, trail)

    if trail is not None:
        trail.see("attested credential data", False, authenticator_data.attested_credential_data is not None)
    if authenticator_data.attested_credential_data is not None:
        raise VerificationError(
            Code.ATTESTED_DATA_UNEXPECTED,
            "an assertion has no attested credential data",
            path="response.authenticatorData",
            spec="#sctn-attested-credential-data",
        )

    if trail is not None:
        trail.see("public key", None, credential.public_key)
    public_key = PublicKey.parse(credential.public_key)
    check_rs1(public_key, policy)
    if trail is not None:
        trail.see("signature")
    public_key.verify(response.signature, authenticator_data.raw + sha256(response.client_data_json).digest())

    trusted, regressed = _judge_record(authenticator_data, state, credential, policy, trail)

    if trail is not None:
        outputs = authenticator_data.extensions or NO_OUTPUTS
        trail.see("extensions", state.extensions, sorted(results.names | outputs.names))
    if policy.unsolicited_extensions == "refuse":
        check_solicited(results, authenticator_data.extensions or NO_OUTPUTS, state.extensions)

    check_time(state, now, trail)

    return VerifiedAuthentication(
        previous=credential,
        authenticator_data=authenticator_data,
        user_verification_trusted=trusted,
        sign_count_regressed=regressed,
        client_extensions=results,
    )


def judge_again(
    verified: VerifiedAuthentication,
    state: AuthenticationState,
    credential: CredentialRecord,
    *,
    policy: Policy = DEFAULT_POLICY,
) -> VerifiedAuthentication:
    """What `verified` comes to when its record meanwhile became `credential`; the signature is not checked again.

    For whoever wanted to write `VerifiedAuthentication.update` and found another counter or another backup state.

    Raises:
        VerificationError: As `verify_authentication`, where the record matters; `public_key_invalid`: the record has
            another key or owner than the one that was verified.
    """
    previous = verified.previous
    if (
        credential.credential_id != previous.credential_id
        or credential.public_key != previous.public_key
        or credential.user_handle != previous.user_handle
    ):
        raise VerificationError(
            Code.PUBLIC_KEY_INVALID, "the credential was registered anew meanwhile", path="rawId", spec=_SPEC
        )
    trusted, regressed = _judge_record(verified.authenticator_data, state, credential, policy, None)
    return msgspec.structs.replace(
        verified, previous=credential, user_verification_trusted=trusted, sign_count_regressed=regressed
    )


def _judge_record(
    authenticator_data: AuthenticatorData,
    state: AuthenticationState,
    credential: CredentialRecord,
    policy: Policy,
    trail: Trail | None,
) -> tuple[bool, bool]:
    """Whether UV can be trusted and whether the counter regressed, after all rules about what the record remembers.

    Only a response with a good signature comes here: a forged one shall not learn what is stored.
    """
    # UV counts only where a thief cannot have set it up: known from before this ceremony, or synced to the account.
    flags = authenticator_data.flags
    stored_eligibility, backup_eligible = credential.backup_eligible, flags & BACKUP_ELIGIBLE != 0
    synced = backup_eligible if stored_eligibility is None else stored_eligibility
    trusted = flags & USER_VERIFIED != 0 and (credential.uv_initialized or synced)
    if trail is not None:
        trail.see("trusted UV", state.require_trusted_user_verification, trusted)
    if state.require_trusted_user_verification and not trusted:
        raise VerificationError(
            Code.USER_VERIFICATION_UNTRUSTED,
            "user verification that was never seen before does not count",
            path="response.authenticatorData",
            spec="#abstract-opdef-credential-record-uvinitialized",
        )

    if trail is not None:
        trail.see("BE unchanged", stored_eligibility, backup_eligible)
    if (
        stored_eligibility is not backup_eligible
        and stored_eligibility is not None
        and policy.backup_eligibility_change == "reject"
    ):
        raise VerificationError(
            Code.BACKUP_ELIGIBILITY_CHANGED,
            "backup eligibility never changes for a credential",
            path="response.authenticatorData",
            expected=stored_eligibility,
            actual=backup_eligible,
            spec="#sctn-credential-backup",
        )

    sign_count, stored_count = authenticator_data.sign_count, credential.sign_count
    regressed = sign_count <= stored_count and (sign_count != 0 or stored_count != 0)
    if trail is not None:
        trail.see("signCount", stored_count, sign_count)
    if regressed and (
        policy.sign_count_regression == "reject"
        or (policy.sign_count_regression == "reject_single_device" and stored_eligibility is False)
    ):
        raise VerificationError(
            Code.SIGN_COUNT_REGRESSED,
            "the signature counter did not grow: perhaps a clone",
            path="response.authenticatorData",
            expected=f"> {stored_count}",
            actual=sign_count,
            spec="#sctn-sign-counter",
        )
    return trusted, regressed


def check_owner(
    response: AuthenticationResponse,
    state: AuthenticationState,
    credential: CredentialRecord,
    trail: Trail | None = None,
) -> None:
    """Returns only when `credential` is the one that the response names, may answer, and is the right user's.

    The one place where the record's owner, the user remembered at the start and the response's user handle meet.

    Raises:
        VerificationError: `credential_id_mismatch`: `id`, `rawId` and the record differ. `rp_id_mismatch`: the
            record is another Relying Party's. `credential_not_allowed`: not in the allow list, not the known
            user's, or a second factor where a sole factor was asked for. `user_handle_missing`,
            `user_handle_mismatch`.

    Spec: #sctn-verifying-assertion (identify the user and verify that they own the credential)
    """
    credential_id = credential.credential_id
    if trail is not None:
        trail.see("credential id", credential_id, response.raw_id)
    check_same_id(credential_id, response, "the record")
    if trail is not None:
        trail.see("RP ID of the record", state.rp_id, credential.rp_id)
    if credential.rp_id != state.rp_id:
        raise VerificationError(
            Code.RP_ID_MISMATCH,
            "the credential is another Relying Party's",
            path="rawId",
            expected=state.rp_id,
            actual=credential.rp_id,
            spec=_SPEC,
        )

    if trail is not None:
        trail.see("allowed credentials", len(state.allow_credentials), credential_id)
    if state.allow_credentials and credential_id not in state.allow_credentials:
        raise _not_allowed("the credential is not in the allow list")
    owner, known, claimed = credential.user_handle, state.user_handle, response.user_handle
    if trail is not None:
        trail.see("owner", known, owner)
    # A record that does not know its owner is the known user's only when the allow list says so.
    if known is not None and owner != known and not (owner is None and state.allow_credentials):
        raise _not_allowed("the credential is not the user's")
    if trail is not None:
        trail.see("user handle", owner if known is None else known, claimed)
    if claimed is None:
        # With neither a user nor an allow list from the start, the handle is what says whose account it is.
        if known is None and not state.allow_credentials:
            raise VerificationError(
                Code.USER_HANDLE_MISSING,
                "a ceremony that began without a user needs the user handle",
                path="response.userHandle",
                spec=_SPEC,
            )
    elif claimed != (owner if known is None else known) and not (
        known is None and owner is None and state.allow_credentials
    ):
        raise VerificationError(
            Code.USER_HANDLE_MISMATCH,
            "not the owner of the credential",
            path="response.userHandle",
            spec=_SPEC,
        )

    if trail is not None:
        trail.see("usage", state.usage, credential.usage)
    # Some authenticators make even a second factor discoverable; where it is all that is asked for, it is no second.
    alone = state.usage == "sole_factor" or (state.user_handle is None and not state.allow_credentials)
    if alone and credential.usage == "second_factor":
        raise _not_allowed("the credential is only a second factor")


def _not_allowed(message: str) -> VerificationError:
    return VerificationError(Code.CREDENTIAL_NOT_ALLOWED, message, path="rawId", spec=_SPEC)
