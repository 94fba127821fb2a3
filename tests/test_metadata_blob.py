"""Signed FIDO metadata: what a BLOB has to be before anything in it counts. Rows X27 to X31 of the attack matrix."""

import hashlib
import hmac
import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from passkeycore import Code, ConfigurationError, DecodeError, PasskeyError, VerificationError
from passkeycore.testing import (
    ALGORITHMS,
    NOT_AFTER,
    NOT_BEFORE,
    TEST_AAGUID,
    AttestationAuthority,
    MetadataSigner,
    SoftwareKey,
    b64url_encode,
    der,
    metadata_entry,
    metadata_payload,
)
from passkeycore.testing.certificates import extension
from passkeycore.trust.metadata import Metadata
from tests.ceremony import NOW

pytest.importorskip("joserfc", reason="the extra jose is not installed: signed metadata is not tested")

SIGNER, STRANGER = MetadataSigner("blob"), MetadataSigner("stranger")
PAYLOAD = metadata_payload(metadata_entry(TEST_AAGUID, [SIGNER.root]), no=7)
BLOB = SIGNER.blob(PAYLOAD)
HEADER, BODY, SIGNATURE = BLOB.split(b".")


def purposes(*oids: str) -> bytes:
    return extension("2.5.29.37", der.sequence(*map(der.oid, oids)))


def load(blob: bytes, signer: MetadataSigner = SIGNER, **arguments: Any) -> Metadata:
    members: dict[str, Any] = {"now": NOW, "anchors": [signer.root]}
    return Metadata.from_blob(blob, **(members | arguments))


def refused(blob: bytes, signer: MetadataSigner = SIGNER, **arguments: Any) -> PasskeyError:
    with pytest.raises(PasskeyError) as caught:
        load(blob, signer, **arguments)
    return caught.value


def signed_header(**members: Any) -> bytes:
    return SIGNER.blob(PAYLOAD, header=members)


# --- Good ones ---


@pytest.mark.parametrize("algorithm", [-257, -258, -259, -37, -38, -39, -7, -35, -36])
def test_a_good_blob_loads(algorithm: int) -> None:
    signer = MetadataSigner("good", algorithm=algorithm)
    metadata = load(signer.blob(PAYLOAD), signer)
    assert (metadata.no, metadata.signed, metadata.problems) == (7, True, ())
    assert metadata.entry(TEST_AAGUID) is not None
    assert repr(metadata) == "<Metadata signed no=7 next_update=2043-12-31 entries=1>"


def test_the_maker_repeats_itself() -> None:
    assert MetadataSigner("blob").blob(PAYLOAD) == BLOB
    assert STRANGER.root != SIGNER.root


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda: BLOB + b"\r\n", id="newline-at-the-end"),
        pytest.param(lambda: signed_header(typ=None), id="without-typ"),
        pytest.param(lambda: signed_header(kid="1", new={"a": 1}), id="X30-unknown-header-members"),
        pytest.param(
            lambda: signed_header(x5u="https://example.org/", jku="https://example.org/"), id="X31-beside-x5c"
        ),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, x5c=[*SIGNER.x5c, SIGNER.root]), id="root-in-x5c"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, x5c=[*SIGNER.x5c, *STRANGER.x5c]), id="more-than-the-path"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD | {"new": 1}), id="X30-unknown-payload-members"),
    ],
)
def test_what_varies_between_honest_blobs(change: Callable[[], bytes]) -> None:
    assert load(change()).no == 7


@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(MetadataSigner("h", host="MDS.fidoalliance.ORG"), id="letters"),
        pytest.param(MetadataSigner("h", common_name="somebody"), id="common-name-does-not-count"),
    ],
)
def test_names_of_the_host(signer: MetadataSigner) -> None:
    assert load(signer.blob(PAYLOAD), signer).no == 7


def test_another_service_can_be_named() -> None:
    signer = MetadataSigner("other", host="mds.example.org")
    for host in ("mds.example.org", "MDS.Example.org"):
        assert load(signer.blob(PAYLOAD), signer, host=host).no == 7
    assert refused(BLOB, host="mds.example.org").code == Code.METADATA_UNTRUSTED


def test_a_pinned_certificate_is_an_anchor() -> None:
    assert load(BLOB, anchors=[SIGNER.x5c[0]]).no == 7
    assert load(BLOB, anchors=[SIGNER.x5c[1]]).no == 7


def test_a_stale_blob_loads_and_says_so() -> None:
    metadata = load(SIGNER.blob(metadata_payload(no=7, next_update=date(2025, 12, 31))))
    assert metadata.is_stale(NOW)
    assert metadata.signed


def test_x28_the_number_never_goes_back() -> None:
    metadata = load(BLOB, known=7)
    assert load(BLOB, known=metadata).no == load(BLOB, known=6).no == load(BLOB, known=None).no == 7
    for known in (8, load(SIGNER.blob(metadata_payload(no=8)))):
        error = refused(BLOB, known=known)
        assert isinstance(error, VerificationError)
        assert (error.code, error.expected, error.actual) == (Code.METADATA_ROLLBACK, 8, 7)


def test_x30_the_rest_of_a_signed_blob_is_accepted() -> None:
    entry = metadata_entry(TEST_AAGUID, [SIGNER.root])
    entry["metadataStatement"]["attestationRootCertificates"].append("MII")
    metadata = load(SIGNER.blob(metadata_payload({}, entry, entry)))
    assert [problem.entry for problem in metadata.problems] == ["entry 0", *[str(TEST_AAGUID)] * 3]
    assert metadata.by_aaguid[TEST_AAGUID].anchors == (SIGNER.root,)


# --- Signatures ---


def confused() -> bytes:
    """HS256 under the public key, which is what a verifier that lets the header choose would take for the secret."""
    header = json.dumps({"alg": "HS256", "x5c": json.loads(pad(HEADER))["x5c"]}).encode()
    signed = b64url_encode(header).encode() + b"." + BODY
    digest = hmac.new(SIGNER.key.spki(), signed, hashlib.sha256).digest()
    return signed + b"." + b64url_encode(digest).encode()


def pad(text: bytes) -> bytes:
    import base64

    return base64.urlsafe_b64decode(text + b"==")


def resigned(key: SoftwareKey) -> bytes:
    """The BLOB with the signer's certificates and somebody else's signature."""
    other = MetadataSigner("blob", key=key)
    return other.blob(PAYLOAD, x5c=SIGNER.x5c)


EC = MetadataSigner("blob", algorithm=-7)
CURVES = MetadataSigner("curves", key=SoftwareKey.derive("curve", -47).with_algorithm(-7))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"alg": "none"}, signature=b""), id="X27-alg-none"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"alg": "none"}), id="X27-alg-none-signed"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"alg": "None"}, signature=b""), id="X27-alg-None"),
        pytest.param(confused, id="X27-alg-HS256"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"alg": "ES256"}), id="X27-alg-of-another-key"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"alg": "RS384"}), id="X27-alg-of-another-hash"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"alg": "RS1"}), id="X27-alg-RS1"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"alg": 5}), id="X27-alg-number"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"alg": ["RS256"]}), id="X27-alg-array"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header=b'{"x5c":' + x5c_json() + b"}"), id="X27-alg-missing"),
        pytest.param(lambda: resigned(STRANGER.key), id="X27-swapped-key"),
        pytest.param(lambda: signed_header(kid=5), id="header-member-of-another-type"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, signature=b""), id="X27-no-signature"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, signature=bytes(256)), id="X27-zero-signature"),
        pytest.param(
            lambda: b".".join((HEADER, SIGNER.blob(PAYLOAD | {"no": 8}).split(b".")[1], SIGNATURE)), id="payload"
        ),
        pytest.param(lambda: b".".join((signed_header(kid="1").split(b".")[0], BODY, SIGNATURE)), id="header"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, header={"x5c": None}), id="X31-no-certificates"),
        pytest.param(
            lambda: SIGNER.blob(PAYLOAD, header={"x5c": None, "x5u": "https://example.org/chain.pem"}), id="X31-x5u"
        ),
        pytest.param(
            lambda: SIGNER.blob(PAYLOAD, header={"x5c": None, "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
            id="X31-jwk",
        ),
    ],
)
def test_a_bad_signature_is_refused(change: Callable[[], bytes]) -> None:
    error = refused(change())
    assert isinstance(error, VerificationError)
    assert error.code == Code.METADATA_SIGNATURE_INVALID


def x5c_json() -> bytes:
    return json.dumps(json.loads(pad(HEADER))["x5c"]).encode()


@pytest.mark.parametrize(
    ("signer", "arguments"),
    [
        pytest.param(EC, {"header": {"alg": "ES384"}}, id="alg-of-another-curve"),
        pytest.param(EC, {"header": {"alg": "RS256"}}, id="alg-of-another-kind"),
        pytest.param(EC, {"signature": EC.key.sign(b"")}, id="ecdsa-in-der"),
        pytest.param(EC, {"signature": bytes(64)}, id="ecdsa-zeros"),
        pytest.param(EC, {"signature": bytes(63)}, id="ecdsa-short"),
        pytest.param(CURVES, {}, id="odd-curve"),
        pytest.param(MetadataSigner("ed", key=SoftwareKey.derive("ed", -8)), {}, id="no-algorithm-of-ours"),
    ],
)
def test_a_bad_signature_by_another_key_is_refused(signer: MetadataSigner, arguments: Any) -> None:
    assert refused(signer.blob(PAYLOAD, **arguments), signer).code == Code.METADATA_SIGNATURE_INVALID


# --- The signer ---

AUTHORITY = AttestationAuthority("self", common_name="self")
SELF = MetadataSigner("self-signed")


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        pytest.param(lambda: STRANGER.blob(PAYLOAD), {}, id="X27-another-root"),
        pytest.param(lambda: BLOB, {"anchors": []}, id="X27-no-anchors"),
        pytest.param(lambda: BLOB, {"anchors": None}, id="X24-bundled-roots-only"),
        pytest.param(lambda: SIGNER.blob(PAYLOAD, x5c=SIGNER.x5c[:1]), {}, id="X27-no-intermediate"),
        pytest.param(lambda: self_signed(), {}, id="X27-self-signed"),
        pytest.param(
            lambda: STRANGER.blob(PAYLOAD, x5c=[*STRANGER.x5c, *SIGNER.x5c, SIGNER.root]), {}, id="X27-good-path-beside"
        ),
        pytest.param(lambda: BLOB, {"now": datetime(2044, 1, 1, 0, 0, 1, tzinfo=UTC)}, id="X27-ended"),
        pytest.param(lambda: BLOB, {"now": datetime(2023, 12, 31, tzinfo=UTC)}, id="X27-not-yet"),
    ],
)
def test_a_signer_without_a_path_is_refused(change: Callable[[], bytes], arguments: Any) -> None:
    error = refused(change(), **arguments)
    assert isinstance(error, VerificationError)
    assert error.code == Code.METADATA_UNTRUSTED


def self_signed() -> bytes:
    signer = MetadataSigner("self", key=AUTHORITY.key)
    return signer.blob(PAYLOAD, x5c=[AUTHORITY.certificate], header={"alg": "ES256"})


@pytest.mark.parametrize(
    "signer",
    [
        pytest.param(MetadataSigner("h", host="mds.example.org"), id="X27-another-host"),
        pytest.param(MetadataSigner("h", host="*.fidoalliance.org"), id="X27-wildcard"),
        pytest.param(MetadataSigner("h", host="mds.fidoalliance.org.example.org"), id="X27-longer"),
        pytest.param(MetadataSigner("h", host="mds.fidoalliance.org\0.example.org"), id="X27-nul"),
        pytest.param(MetadataSigner("h", host="fidoalliance.org"), id="X27-shorter"),
        pytest.param(MetadataSigner("h", host=None, common_name="mds.example.org"), id="X27-common-name"),
        pytest.param(MetadataSigner("h", host=None), id="common-name-of-the-host"),
        pytest.param(
            MetadataSigner(
                "h",
                host=None,
                extensions=[extension("2.5.29.17", der.sequence(der.implicit(1, b"mds.fidoalliance.org")))],
            ),
            id="X27-address-of-mail",
        ),
    ],
)
def test_a_certificate_of_another_host_is_refused(signer: MetadataSigner) -> None:
    error = refused(signer.blob(PAYLOAD), signer)
    assert isinstance(error, VerificationError)
    assert (error.code, error.expected) == (Code.METADATA_UNTRUSTED, "mds.fidoalliance.org")


# --- Forms ---

NAMES_MALFORMED = MetadataSigner("h", host=None, extensions=[extension("2.5.29.17", b"\x30\x80\0\0")])


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"", id="X29-empty"),
        pytest.param(b"<!DOCTYPE html>\n<title>503 Service Unavailable</title>", id="X29-html"),
        pytest.param(b"<html>a.b.c</html>", id="X29-html-with-dots"),
        pytest.param(json.dumps(PAYLOAD).encode(), id="X29-bare-payload"),
        pytest.param(HEADER + b"." + BODY, id="X29-two-parts"),
        pytest.param(BLOB + b".", id="X29-four-parts"),
        pytest.param(BLOB + b"." + SIGNATURE, id="X29-five-parts"),
        pytest.param(b"." + BODY + b"." + SIGNATURE, id="X29-no-header"),
        pytest.param(HEADER + b"=." + BODY + b"." + SIGNATURE, id="X29-padding"),
        pytest.param("é.e.e".encode(), id="X29-letters"),
        pytest.param(HEADER + b"." + BODY + b"." + SIGNATURE + b"A" * 2048, id="X29-long-signature"),
        pytest.param(b"A" * ((1 << 17) + 1) + b".e.e", id="X29-long-header"),
        pytest.param(signed_header(new="A" * 100_000), id="X29-long-header-with-all-it-needs"),
        pytest.param(SIGNER.blob(PAYLOAD, header=b"[]"), id="X29-header-array"),
        pytest.param(SIGNER.blob(PAYLOAD, header=b"{"), id="X29-header-truncated"),
        pytest.param(SIGNER.blob(PAYLOAD, header=b'{"alg":NaN}'), id="X29-header-nan"),
        pytest.param(SIGNER.blob(PAYLOAD, header=b'{"alg":"\xff"}'), id="X29-header-utf8"),
        pytest.param(SIGNER.blob(PAYLOAD, header=b"[" * 50_000), id="X29-header-deep"),
        pytest.param(
            SIGNER.blob(PAYLOAD, header=b'{"alg":"none","alg":"RS256","x5c":' + x5c_json() + b"}"), id="X29-alg-twice"
        ),
        pytest.param(
            SIGNER.blob(PAYLOAD, header=b'{"alg":"RS256","x5c":[],"x5\\u0063":' + x5c_json() + b"}"), id="X29-x5c-twice"
        ),
        pytest.param(signed_header(crit=["exp"], exp=1), id="X29-critical"),
        pytest.param(signed_header(b64=False), id="X29-unencoded"),
        pytest.param(signed_header(x5c="MII"), id="X29-x5c-text"),
        pytest.param(signed_header(x5c=[]), id="X29-x5c-empty"),
        pytest.param(signed_header(x5c=[1]), id="X29-x5c-number"),
        pytest.param(signed_header(x5c=["M-_="]), id="X29-x5c-base64url"),
        pytest.param(signed_header(x5c=["AAAA"]), id="X29-x5c-no-certificate"),
        pytest.param(SIGNER.blob(PAYLOAD, x5c=[*SIGNER.x5c, bytes(16_385)]), id="X29-x5c-large"),
        pytest.param(SIGNER.blob(PAYLOAD, x5c=SIGNER.x5c * 5), id="X29-x5c-many"),
        pytest.param(SIGNER.blob(PAYLOAD, x5c=[SIGNER.x5c[0] + b"\0"]), id="X20-trailing-byte"),
        pytest.param(HEADER + b".=." + SIGNATURE, id="X29-payload-encoding"),
        pytest.param(SIGNER.blob(b"<html>"), id="X29-signed-html"),
        pytest.param(SIGNER.blob(b""), id="X29-signed-nothing"),
        pytest.param(SIGNER.blob(PAYLOAD | {"no": "7"}), id="X29-number-as-text"),
        pytest.param(SIGNER.blob(PAYLOAD | {"nextUpdate": "soon"}), id="X28-no-date"),
    ],
)
def test_another_form_is_refused(blob: bytes) -> None:
    error = refused(blob)
    assert isinstance(error, DecodeError)
    assert error.code == Code.METADATA_INVALID


def test_unreadable_names_are_refused() -> None:
    assert refused(NAMES_MALFORMED.blob(PAYLOAD), NAMES_MALFORMED).code == Code.METADATA_INVALID


def test_every_truncation_is_refused() -> None:
    for end in range(0, len(BLOB), 97):
        assert refused(BLOB[:end]).code in (Code.METADATA_INVALID, Code.METADATA_SIGNATURE_INVALID)


def test_x29_a_blob_is_bounded_before_work() -> None:
    assert refused(BLOB, max_bytes=len(BLOB) - 1).code == Code.TOO_LARGE
    assert load(BLOB, max_bytes=len(BLOB)).no == 7
    assert refused(bytes((32 << 20) + 1)).code == Code.TOO_LARGE


def test_more_than_joserfc_would_read_by_itself_is_read() -> None:
    payload = metadata_payload(*(metadata_entry(TEST_AAGUID, statement={"icon": "A" * 1_000_000}) for _ in range(3)))
    assert len(load(SIGNER.blob(payload)).entries) == 3


# --- The set-up ---


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "joserfc", None)
    error = refused(BLOB)
    assert isinstance(error, ConfigurationError)
    assert "passkeycore[jose]" in error.message


def test_an_anchor_that_is_no_certificate_is_a_mistake_of_ours() -> None:
    assert isinstance(refused(BLOB, anchors=[b"root"]), ConfigurationError)


def test_the_kit_certificates_end_when_they_say() -> None:
    assert load(BLOB, now=NOT_AFTER).no == load(BLOB, now=NOT_BEFORE).no == 7
    assert {ALGORITHMS[key] for key in (-257, -7)} == {"RS256", "ES256"}


# --- Kept, nested, timed ---


def test_one_that_was_verified_when_its_certificate_was_valid_keeps_working() -> None:
    signer = MetadataSigner("ended", not_after=NOW)
    blob, later = signer.blob(PAYLOAD), NOW.replace(year=NOW.year + 1)
    assert refused(blob, signer, now=later).code is Code.METADATA_UNTRUSTED
    assert load(blob, signer, now=later, verified_at=NOW).no == 7
    assert refused(blob, signer, now=NOW, verified_at=later).code is Code.METADATA_UNTRUSTED


def test_a_certificate_of_a_server_may_say_so() -> None:
    signer = MetadataSigner("server", extensions=[purposes("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1")])
    assert load(signer.blob(PAYLOAD), signer).no == 7
    for_code = MetadataSigner("code", extensions=[purposes("1.3.6.1.5.5.7.3.3")])
    assert refused(for_code.blob(PAYLOAD), for_code).code is Code.METADATA_UNTRUSTED


@pytest.mark.parametrize("times", [{"now": NOW.replace(tzinfo=None)}, {"verified_at": NOW.replace(tzinfo=None)}])
def test_a_time_without_its_zone(times: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        load(BLOB, **times)


def test_a_header_of_any_depth() -> None:
    for depth in range(100, 1100, 7):
        nested = b'{"alg":"RS256","x":' + b"[" * depth + b"]" * depth + b"}"
        assert refused(SIGNER.blob(PAYLOAD, header=nested)).code in {
            Code.METADATA_INVALID,
            Code.METADATA_SIGNATURE_INVALID,
        }
