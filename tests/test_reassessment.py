"""Judging stored credentials again: what was good when it was registered stays good, and what became known counts."""

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from passkeycore import (
    AttestationError,
    Code,
    CredentialRecord,
    DecodeError,
    PasskeyError,
    RelyingParty,
    TrustPolicy,
    UntrustedError,
)
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    StatementMaker,
    Tamper,
    android_key_maker,
    apple_maker,
    certificates,
    compound_maker,
    fido_u2f_maker,
    metadata_entry,
    metadata_payload,
    packed_maker,
    tpm_certificate,
    tpm_maker,
)
from passkeycore.testing.statements import make_none, make_packed_self
from passkeycore.trust import Anchor, AndroidStatusList
from passkeycore.trust.metadata import Metadata
from passkeycore.webauthn.attestation.certificate import Certificate
from tests.ceremony import NOW, client, register, relying_party

LATER = NOW + timedelta(days=800)
SOON: dict[str, Any] = {"not_before": NOW - timedelta(days=1), "not_after": NOW + timedelta(days=2)}
ROOT = AttestationAuthority("reassessment")
PROVISIONED = AttestationAuthority(
    "reassessment",
    parent=ROOT,
    common_name="Droid CA3",
    extensions=[certificates.extension("1.3.6.1.4.1.11129.2.1.30", b"\xa1\x01\x08")],
    **SOON,
)
PACKED_LEAF = ROOT.issue(TEST_AAGUID, **SOON)
PACKED = packed_maker(PACKED_LEAF)
# Every certificate below the root has ended long before `LATER`.
MAKERS: dict[str, StatementMaker] = {
    "packed": PACKED,
    "tpm": tpm_maker(tpm_certificate(ROOT, TEST_AAGUID, **SOON)),
    "android-key": android_key_maker(PROVISIONED),
    "apple": apple_maker(ROOT, **SOON),
    "fido-u2f": fido_u2f_maker(ROOT.issue(**SOON)),
    "compound": compound_maker(PACKED, tpm_maker(tpm_certificate(ROOT, TEST_AAGUID, **SOON))),
}


def party(**rules: Any) -> RelyingParty:
    usual: dict[str, Any] = {"anchors": [ROOT.root], "require_trusted": True}
    return relying_party(trust=TrustPolicy(**(usual | rules)), attestation="direct")


def registered(maker: StatementMaker, rp: RelyingParty | None = None) -> CredentialRecord:
    """The record of a new credential, as it comes back from its store."""
    record = register(rp or party(), client(attestation=maker)).credential
    return CredentialRecord.from_bytes(record.to_bytes())


def metadata(*reports: tuple[str, str]) -> Metadata:
    entry = metadata_entry(TEST_AAGUID, [ROOT.root], statuses=reports)
    return Metadata.from_unsigned_payload(json.dumps(metadata_payload(entry)).encode())


def refused(rp: RelyingParty, record: CredentialRecord, *arguments: Any) -> PasskeyError:
    with pytest.raises(PasskeyError) as caught:
        rp.reassess(record, *arguments)
    return caught.value


@pytest.mark.parametrize("format", MAKERS)
@pytest.mark.parametrize("now", [NOW, LATER])
def test_a_credential_does_not_turn_bad_with_the_certificates_of_its_attestation(format: str, now: datetime) -> None:
    decision = party().reassess(registered(MAKERS[format]), None, now)
    assert decision.trusted
    assert all(child.trusted for child in decision.children)


@pytest.mark.parametrize("format", MAKERS)
def test_they_would_not_be_registered_any_more(format: str) -> None:
    rp = party()
    start = rp.registration_options(user_handle=b"user", user_name="ada", now=LATER)
    with pytest.raises(UntrustedError, match="not valid at"):
        rp.verify_registration(client(attestation=MAKERS[format]).create(start.to_dict()), start.state, now=LATER)


def test_an_anchor_that_was_taken_away() -> None:
    record = registered(PACKED)
    error = refused(party(anchors=[AttestationAuthority("another").root]), record, None, LATER)
    assert (type(error), error.code) == (UntrustedError, Code.ATTESTATION_UNTRUSTED)


def test_a_model_that_was_revoked_since() -> None:
    record = registered(PACKED)
    news = metadata(("FIDO_CERTIFIED_L1", "2024-01-01"), ("REVOKED", "2027-01-01"))
    assert party().reassess(record, news, NOW).trusted
    assert refused(party(), record, news, LATER).code is Code.ATTESTATION_REVOKED
    assert not party(require_trusted=False).reassess(record, news, LATER).trusted


def test_a_certificate_that_was_revoked_since() -> None:
    record = registered(MAKERS["android-key"])
    serial = f"{Certificate.parse(PROVISIONED.certificate).serial_number:x}"
    listed = AndroidStatusList.parse(json.dumps({"entries": {serial: {"status": "REVOKED"}}}).encode(), LATER)
    assert refused(party(android_status=listed), record, None, LATER).code is Code.ATTESTATION_REVOKED


def test_a_rule_that_came_since() -> None:
    assert party(deny_aaguids=[]).reassess(registered(PACKED), None, LATER).trusted
    error = refused(party(deny_aaguids=[TEST_AAGUID]), registered(PACKED), None, LATER)
    assert error.code is Code.AUTHENTICATOR_NOT_ALLOWED


@pytest.mark.parametrize("maker", [make_none, make_packed_self])
def test_what_proved_nothing_proves_nothing_later(maker: StatementMaker) -> None:
    lenient = party(require_trusted=False)
    record = registered(maker, lenient)
    assert not lenient.reassess(record, None, LATER).trusted
    assert refused(party(), record, None, LATER).code is Code.ATTESTATION_REQUIRED


@pytest.mark.parametrize("lost", ["attestation_object", "client_data_json"])
def test_a_record_that_kept_no_attestation_counts_as_one_without(lost: str) -> None:
    record = msgspec.structs.replace(registered(PACKED), **{lost: None})
    assert refused(party(), record, None, LATER).code is Code.ATTESTATION_REQUIRED
    assert not party(require_trusted=False).reassess(record).trusted


def test_a_statement_that_was_left_unread_is_so_again() -> None:
    rp = relying_party(trust=TrustPolicy())
    start = rp.registration_options(user_handle=b"user", user_name="ada", now=NOW)
    unknown = Tamper(attestation=lambda attestation: attestation | {"fmt": "of-tomorrow", "attStmt": {"x": 1}})
    response = client().create(start.to_dict(), tamper=unknown)
    record = rp.verify_registration(response, start.state, now=NOW).credential
    assert record.attestation_format == "of-tomorrow"
    assert not rp.reassess(record, None, LATER).trusted


@pytest.mark.parametrize("format", MAKERS)
def test_a_record_whose_time_is_unknown_is_judged_at_a_time_at_which_all_was_valid(format: str) -> None:
    record = msgspec.structs.replace(registered(MAKERS[format]), created_at=None)
    for now in (NOW, LATER):
        assert party().reassess(record, None, now).trusted


@pytest.mark.parametrize("member", ["credential_id", "public_key", "aaguid"])
def test_the_attestation_of_another_credential(member: str) -> None:
    other = register(party(), client("other", attestation=PACKED)).credential
    changed = {"aaguid": type(TEST_AAGUID)(int=7)} if member == "aaguid" else {member: getattr(other, member)}
    error = refused(party(), msgspec.structs.replace(registered(PACKED), **changed), None, NOW)
    assert (type(error), error.code) == (DecodeError, Code.RECORD_INVALID)


def test_an_attestation_that_was_altered_in_the_store() -> None:
    record = registered(PACKED)
    assert record.client_data_json is not None
    altered = msgspec.structs.replace(record, client_data_json=record.client_data_json + b" ")
    error = refused(party(), altered, None, NOW)
    assert (type(error), error.code) == (AttestationError, Code.ATTESTATION_SIGNATURE_INVALID)


def test_enterprise_attestation_is_judged_again_as_it_was_asked_for() -> None:
    serial = certificates.extension("1.3.6.1.4.1.45724.1.1.2", b"\x04\x02\x01\x02")
    rp = party()
    maker = packed_maker(ROOT.issue(TEST_AAGUID, extensions=[serial]))
    outcome = register(rp, client(attestation=maker), attestation="enterprise")
    assert outcome.attestation.claims == {"serial_number": b"\1\2"}
    assert rp.reassess(outcome.credential, None, LATER).trusted


def test_a_list_of_the_future_is_not_fresh() -> None:
    record = registered(MAKERS["android-key"])
    for ahead, fresh in ((timedelta(minutes=4), True), (timedelta(minutes=6), False)):
        listed = AndroidStatusList({}, NOW + ahead)
        rp = party(android_status=listed, require_android_status=True)
        if fresh:
            assert rp.reassess(record, None, NOW).trusted
        else:
            assert refused(rp, record, None, NOW).code is Code.STATUS_LIST_MISSING


def test_stale_metadata_shows_on_a_compound_statement_too() -> None:
    entry = metadata_entry(TEST_AAGUID, [ROOT.root], statement={"attestationTypes": ["basic_full", "attca"]})
    payload = metadata_payload(entry, nextUpdate="2025-12-31")
    stale = Metadata.from_unsigned_payload(json.dumps(payload).encode())
    decision = party().reassess(registered(MAKERS["compound"]), stale, NOW)
    assert (decision.trusted, decision.metadata_stale) == (True, True)


def test_a_record_of_none_without_its_object_is_none() -> None:
    lenient = party(require_trusted=False, types={"none"})
    record = msgspec.structs.replace(registered(make_none, lenient), attestation_object=None)
    assert not lenient.reassess(record, None, NOW).trusted
    kept = msgspec.structs.replace(registered(PACKED), attestation_object=None)
    assert refused(lenient, kept, None, NOW).code is Code.ATTESTATION_NOT_ALLOWED


def test_the_decision_names_the_anchor() -> None:
    record = registered(PACKED)
    named, nameless = Anchor(ROOT.root, name="ours"), Anchor(ROOT.root)
    decision = party(anchors=[named]).reassess(record, None, NOW)
    assert (decision.anchor, decision.code) == (named, None)
    assert decision.path == (*PACKED_LEAF.x5c, ROOT.root)
    assert decision.reason == "the path leads to ours"
    assert party(anchors=[nameless]).reassess(record, None, NOW).reason == "the path leads to a configured anchor"
    assert not decision.metadata_stale


def test_stale_metadata_says_so_and_keeps_working() -> None:
    record = registered(PACKED)
    decision = party().reassess(record, metadata(("FIDO_CERTIFIED_L1", "2024-01-01")), NOW)
    assert (decision.trusted, decision.metadata_stale) == (True, False)
    assert decision.entry is not None
    payload = metadata_payload(metadata_entry(TEST_AAGUID, [ROOT.root]), nextUpdate="2025-12-31")
    stale = Metadata.from_unsigned_payload(json.dumps(payload).encode())
    decision = party().reassess(record, stale, NOW)
    assert (decision.trusted, decision.metadata_stale) == (True, True)
