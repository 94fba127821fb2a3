"""Authentications that Chromium answers: what the engine makes of them, and which it refuses."""

import msgspec
import pytest

from passkeycore import (
    Code,
    CredentialDescriptor,
    PasskeyError,
    Policy,
    RelyingParty,
    SignatureError,
    VerificationError,
    sole_factor,
)

from .ceremonies import USER, Party, foreign_credential
from .chromium import PLATFORM, SECURITY_KEY, U2F_KEY, RefusalError


def test_whoever_it_is(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol(preset=sole_factor())
    asserted = party.get(preset=sole_factor())
    response = party.rp.parse_authentication(asserted.response)
    assert (response.raw_id, response.user_handle) == (record.credential_id, USER)
    verified = party.rp.verify_authentication(response, asserted.state, record)
    assert verified.user_handle == USER
    assert verified.user_verification_trusted


def test_the_signature_counter_grows(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record, counts = party.enrol(), list[int]()
    for _ in range(3):
        counts.append(record.sign_count)
        record = party.authenticate(record).credential
    assert counts == sorted(set(counts))


def test_a_known_user(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol()
    assert party.authenticate(record, user_handle=USER, allow=[record]).user_handle == USER
    another = party.get(user_handle=b"another")
    with pytest.raises(VerificationError) as refused:
        party.rp.verify_authentication(another.response, another.state, record)
    assert refused.value.code is Code.CREDENTIAL_NOT_ALLOWED


def test_a_credential_that_only_its_id_finds(party: Party) -> None:
    party.tab.plug(SECURITY_KEY)
    record = party.enrol(resident_key="discouraged")
    unknown = CredentialDescriptor(id=bytes(32))
    asserted = party.get(allow=[unknown, record])
    assert party.rp.parse_authentication(asserted.response).user_handle is None
    assert party.rp.verify_authentication(asserted.response, asserted.state, record).user_handle == USER
    with pytest.raises(RefusalError, match="NotAllowedError"):
        party.get()
    with pytest.raises(RefusalError, match="NotAllowedError"):
        party.get(allow=[unknown])


def test_a_credential_that_is_not_in_the_allow_list(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol()
    asserted = party.get()
    narrower = msgspec.structs.replace(asserted.state, allow_credentials=(bytes(32),))
    with pytest.raises(VerificationError) as refused:
        party.rp.verify_authentication(asserted.response, narrower, record)
    assert refused.value.code is Code.CREDENTIAL_NOT_ALLOWED


def test_autofill(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol()
    assert party.authenticate(record, mediation="conditional").user_handle == USER


def test_user_verification(party: Party) -> None:
    device = party.tab.plug(PLATFORM)
    record = party.enrol()
    assert party.authenticate(record, user_verification="required").user_verified
    assert party.authenticate(record, user_verification="preferred").user_verified
    assert not party.authenticate(record, user_verification="discouraged").user_verified
    device.recognise(user=False)
    assert not party.authenticate(record, user_verification="discouraged").user_verified
    with pytest.raises(RefusalError, match="NotAllowedError"):
        party.get(user_verification="required")


def test_user_verification_that_the_page_did_not_ask_for(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol()
    asserted = party.get(user_verification="discouraged")
    demanding = msgspec.structs.replace(asserted.state, user_verification="required")
    with pytest.raises(VerificationError) as refused:
        party.rp.verify_authentication(asserted.response, demanding, record)
    assert refused.value.code is Code.USER_VERIFICATION_REQUIRED


def test_user_verification_that_was_set_up_later(party: Party) -> None:
    device = party.tab.plug(PLATFORM)
    device.lie(isBadUV=True)  # as from a key that had no PIN yet
    record = party.enrol()
    device.lie()
    assert not party.authenticate(record).user_verification_trusted
    with pytest.raises(VerificationError) as refused:
        party.authenticate(record, require_trusted_user_verification=True)
    assert refused.value.code is Code.USER_VERIFICATION_UNTRUSTED


@pytest.mark.parametrize(
    ("lie", "error", "code"),
    [
        ("isBadUV", VerificationError, Code.USER_VERIFICATION_REQUIRED),
        ("isBadUP", VerificationError, Code.USER_PRESENCE_REQUIRED),
        ("isBogusSignature", SignatureError, Code.SIGNATURE_INVALID),
    ],
)
def test_an_authenticator_that_lies(party: Party, lie: str, error: type[PasskeyError], code: Code) -> None:
    device = party.tab.plug(PLATFORM)
    record = party.enrol()
    device.lie(**{lie: True})
    with pytest.raises(error) as refused:
        party.authenticate(record, user_verification="required")
    assert refused.value.code is code
    device.lie()
    party.authenticate(record, user_verification="required")


def test_a_clone(party: Party) -> None:
    device = party.tab.plug(PLATFORM)
    record = party.authenticate(party.enrol()).credential
    device.change(record.credential_id, signCount=record.sign_count - 1)
    asserted = party.get()
    with pytest.raises(VerificationError) as refused:
        party.rp.verify_authentication(asserted.response, asserted.state, record)
    assert refused.value.code is Code.SIGN_COUNT_REGRESSED
    reporting = msgspec.structs.replace(party.rp, policy=Policy(sign_count_regression="report"))
    verified = reporting.verify_authentication(asserted.response, asserted.state, record)
    assert verified.sign_count_regressed
    assert verified.credential.sign_count == record.sign_count


def test_an_authenticator_without_a_counter(party: Party) -> None:
    record, private_key = foreign_credential("localhost")
    party.tab.plug(PLATFORM).insert(
        record.credential_id,
        isResidentCredential=True,
        rpId="localhost",
        privateKey=private_key,
        signCount=-1,
        userHandle=USER,
    )
    for _ in range(2):
        verified = party.authenticate(record)
        assert not verified.sign_count_regressed
        record = verified.credential
        assert (record.sign_count, record.backup_eligible) == (0, False)


def test_a_passkey_that_gets_backed_up(party: Party) -> None:
    device = party.tab.plug(PLATFORM, defaultBackupEligibility=True)
    record = party.enrol()
    device.change(record.credential_id, backupState=True)
    verified = party.authenticate(record)
    assert verified.backup_state_changed
    assert verified.credential.backup_state is True


@pytest.mark.parametrize(
    ("eligible", "code"),
    [(True, Code.BACKUP_ELIGIBILITY_CHANGED), (False, Code.BACKUP_FLAGS_INVALID)],
)
def test_a_backup_of_what_could_not_be_backed_up(party: Party, eligible: bool, code: Code) -> None:
    device = party.tab.plug(PLATFORM)
    record = party.enrol()
    device.change(record.credential_id, backupEligibility=eligible, backupState=True)
    with pytest.raises(VerificationError) as refused:
        party.authenticate(record)
    assert refused.value.code is code


def test_a_response_is_good_for_one_ceremony(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol()
    first, second = party.get(), party.get()
    with pytest.raises(VerificationError) as refused:
        party.rp.verify_authentication(first.response, second.state, record)
    assert refused.value.code is Code.CHALLENGE_MISMATCH


def test_two_credentials_are_not_confused(party: Party) -> None:
    first = party.tab.plug(PLATFORM)
    mine = party.enrol()
    first.unplug()
    party.tab.plug(U2F_KEY)
    other = party.enrol()
    asserted = party.get(allow=[mine, other])
    party.rp.verify_authentication(asserted.response, asserted.state, other)
    for record, code in (
        (mine, Code.CREDENTIAL_ID_MISMATCH),
        (msgspec.structs.replace(other, public_key=mine.public_key), Code.SIGNATURE_INVALID),
    ):
        with pytest.raises(VerificationError) as refused:
            party.rp.verify_authentication(asserted.response, asserted.state, record)
        assert refused.value.code is code


def test_another_origin(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol()
    elsewhere = RelyingParty(id="localhost", origins=["https://localhost"])
    asserted = party.get()
    state = msgspec.structs.replace(asserted.state, origins=tuple(elsewhere.origins))
    with pytest.raises(VerificationError) as refused:
        elsewhere.verify_authentication(asserted.response, state, record)
    assert refused.value.code is Code.ORIGIN_NOT_ALLOWED
