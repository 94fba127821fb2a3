"""Registrations that Chromium answers: what the engine makes of them, and which it refuses."""

import msgspec
import pytest

from passkeycore import (
    AttestationError,
    Code,
    CredentialExists,
    PasskeyError,
    RelyingParty,
    TrustPolicy,
    UnsupportedError,
    UntrustedError,
    VerificationError,
    sole_factor,
)
from passkeycore.webauthn.attestation import FORMATS
from passkeycore.webauthn.cose import PublicKey

from .ceremonies import USER, Party
from .chromium import PLATFORM, SECURITY_KEY, U2F_KEY, RefusalError

ALGORITHMS = {"ES256": -7, "Ed25519": -8, "RS256": -257, "ML-DSA-44": -48, "ML-DSA-65": -49, "ML-DSA-87": -50}


def test_a_passkey(party: Party) -> None:
    party.tab.plug(PLATFORM)
    outcome = party.register(preset=sole_factor(), extensions={"credProps": True})
    record = outcome.credential
    assert outcome.user_verified
    assert outcome.attestation.type == "none"
    assert not outcome.trust.trusted
    assert (record.rp_id, record.user_handle, record.usage) == ("localhost", USER, "sole_factor")
    assert record.uv_initialized
    assert record.discoverable is True
    assert (record.transports, record.authenticator_attachment) == (("internal",), "platform")
    assert (record.backup_eligible, record.backup_state) == (False, False)
    assert PublicKey.parse(record.public_key).algorithm.id == -7


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_every_algorithm_that_chromium_has(party: Party, algorithm: int) -> None:
    party.tab.plug(PLATFORM)
    created = party.create(algorithms=[algorithm], attestation="direct")
    outcome = party.rp.verify_registration(created.response, created.state)
    assert PublicKey.parse(outcome.credential.public_key).algorithm.id == algorithm
    assert (outcome.attestation.format, outcome.attestation.type) == ("packed", "basic")
    assert party.authenticate(outcome.credential).credential.sign_count > outcome.credential.sign_count
    not_offered = msgspec.structs.replace(created.state, algorithms=(-35,))
    with pytest.raises(VerificationError) as refused:
        party.rp.verify_registration(created.response, not_offered)
    assert refused.value.code is Code.ALGORITHM_NOT_ALLOWED


def test_no_offered_algorithm_is_one_of_the_authenticators(party: Party) -> None:
    party.tab.plug(PLATFORM)
    with pytest.raises(RefusalError, match="NotAllowedError"):
        party.create(algorithms=[-35, -36])


@pytest.mark.parametrize("conveyance", ["indirect", "direct", "enterprise"])
def test_an_attestation_is_trusted_when_its_certificate_is(party: Party, conveyance: str) -> None:
    party.tab.plug(PLATFORM)
    created = party.create(attestation=conveyance)
    outcome = party.rp.verify_registration(created.response, created.state)
    assert outcome.attestation.type == "basic"
    assert not outcome.trust.trusted
    (leaf,) = outcome.attestation.trust_path
    trusting = with_trust(party.rp, TrustPolicy(anchors=(leaf,), require_trusted=True))
    assert trusting.verify_registration(created.response, created.state).trust.trusted

    another = party.register(attestation=conveyance, user_handle=b"another").attestation.trust_path
    distrusting = with_trust(party.rp, TrustPolicy(anchors=another, untrusted="reject"))
    if another != (leaf,):  # Chromium makes one for each credential
        with pytest.raises(UntrustedError) as refused:
            distrusting.verify_registration(created.response, created.state)
        assert refused.value.code is Code.ATTESTATION_UNTRUSTED


def test_no_attestation_where_one_is_required(party: Party) -> None:
    party.tab.plug(PLATFORM)
    (anchor,) = party.register(attestation="direct").attestation.trust_path
    created = party.create(attestation="none", user_handle=b"another")
    with pytest.raises(UntrustedError) as refused:
        with_trust(party.rp, TrustPolicy(anchors=(anchor,), require_trusted=True)).verify_registration(
            created.response, created.state
        )
    assert refused.value.code is Code.ATTESTATION_REQUIRED


def with_trust(rp: RelyingParty, trust: TrustPolicy) -> RelyingParty:
    return msgspec.structs.replace(rp, trust=trust)


def test_a_u2f_key(party: Party) -> None:
    party.tab.plug(U2F_KEY)
    outcome = party.register(user_verification="discouraged", extensions={"credProps": True})
    assert not outcome.user_verified
    assert outcome.credential.discoverable is False
    assert outcome.credential.transports == ("usb",)
    verified = party.authenticate(outcome.credential, allow=[outcome.credential])
    assert not verified.user_verified


def test_the_attestation_of_a_u2f_key(party: Party) -> None:
    party.tab.plug(U2F_KEY)
    created = party.create(attestation="direct")
    if "fido-u2f" in FORMATS:
        outcome = party.rp.verify_registration(created.response, created.state)
        assert (outcome.attestation.format, outcome.attestation.type) == ("fido-u2f", "basic")
        return
    with pytest.raises(UnsupportedError) as refused:
        party.rp.verify_registration(created.response, created.state)
    assert refused.value.code is Code.ATTESTATION_FORMAT_UNSUPPORTED


@pytest.mark.parametrize(
    ("transport", "reported"),
    [
        ("usb", ("usb",)),
        ("nfc", ("nfc",)),
        ("ble", ("ble",)),
        ("hybrid", ("ble", "hybrid")),
        ("smart-card", ("nfc", "smart-card")),
        ("internal", ("internal",)),
    ],
)
def test_transports_lead_back_to_the_authenticator(party: Party, transport: str, reported: tuple[str, ...]) -> None:
    party.tab.plug(PLATFORM, transport=transport)
    record = party.enrol(resident_key="discouraged")
    assert record.transports == reported
    assert party.authenticate(record, allow=[record]).previous == record


@pytest.mark.parametrize(("eligible", "state"), [(False, False), (True, False), (True, True)])
def test_backup_flags(party: Party, eligible: bool, state: bool) -> None:
    party.tab.plug(PLATFORM, defaultBackupEligibility=eligible, defaultBackupState=state)
    record = party.enrol()
    assert (record.backup_eligible, record.backup_state) == (eligible, state)
    verified = party.authenticate(record)
    assert (verified.backup_eligibility_changed, verified.backup_state_changed) == (False, False)


def test_a_backup_of_what_cannot_be_backed_up(party: Party) -> None:
    party.tab.plug(PLATFORM, defaultBackupEligibility=False, defaultBackupState=True)
    with pytest.raises(VerificationError) as refused:
        party.register()
    assert refused.value.code is Code.BACKUP_FLAGS_INVALID


def test_a_credential_that_is_registered_already(party: Party) -> None:
    party.tab.plug(PLATFORM)
    created = party.create()
    record = party.rp.verify_registration(created.response, created.state).credential
    with pytest.raises(RefusalError, match="InvalidStateError"):
        party.create(exclude=[record])
    # A page that ignores the list gets no further.
    excluding = msgspec.structs.replace(created.state, exclude_credentials=(record.credential_id,))
    with pytest.raises(CredentialExists) as refused:
        party.rp.verify_registration(created.response, excluding)
    assert refused.value.code is Code.CREDENTIAL_EXISTS


def test_an_excluded_credential_elsewhere_is_no_obstacle(party: Party) -> None:
    first = party.tab.plug(PLATFORM)
    record = party.enrol()
    first.unplug()
    party.tab.plug(SECURITY_KEY)
    assert party.enrol(exclude=[record]).credential_id != record.credential_id


def test_an_authenticator_without_user_verification(party: Party) -> None:
    party.tab.plug(PLATFORM, hasUserVerification=False, isUserVerified=False)
    assert not party.register(user_verification="preferred").user_verified
    with pytest.raises(RefusalError, match="NotAllowedError"):
        party.create(user_verification="required")


def test_a_user_who_fails_verification(party: Party) -> None:
    party.tab.plug(PLATFORM, isUserVerified=False)
    with pytest.raises(RefusalError, match="NotAllowedError"):
        party.create(user_verification="required")


def test_a_discoverable_credential_where_there_is_no_room(party: Party) -> None:
    party.tab.plug(SECURITY_KEY, hasResidentKey=False)
    assert party.enrol(extensions={"credProps": True}).discoverable is False
    with pytest.raises(RefusalError, match="NotAllowedError"):
        party.create(resident_key="required")


@pytest.mark.parametrize(
    ("lie", "error", "code"),
    [
        ("isBadUV", VerificationError, Code.USER_VERIFICATION_REQUIRED),
        ("isBadUP", VerificationError, Code.USER_PRESENCE_REQUIRED),
        ("isBogusSignature", AttestationError, Code.ATTESTATION_SIGNATURE_INVALID),
    ],
)
def test_an_authenticator_that_lies(party: Party, lie: str, error: type[PasskeyError], code: Code) -> None:
    device = party.tab.plug(PLATFORM)
    device.lie(**{lie: True})
    with pytest.raises(error) as refused:
        party.register(attestation="direct", user_verification="required")
    assert refused.value.code is code
    device.lie()
    party.register(attestation="direct", user_verification="required")


def test_a_response_to_another_challenge(party: Party) -> None:
    party.tab.plug(PLATFORM)
    first, second = party.create(), party.create(user_handle=b"another")
    with pytest.raises(VerificationError) as refused:
        party.rp.verify_registration(first.response, second.state)
    assert refused.value.code is Code.CHALLENGE_MISMATCH
