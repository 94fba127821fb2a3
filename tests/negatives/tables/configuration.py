"""Cases about what we ourselves configure, ask for and store: what no client could honour, or nobody wrote.

Rows R24, R77, R78, J21 and A27.
"""

import json
from typing import Any, Final

from passkeycore import (
    Code,
    CredentialRecord,
    Policy,
    RegistrationExtensions,
    RelyingParty,
    TrustPolicy,
    android_origin,
    second_factor,
    sole_factor,
)
from passkeycore.testing import ANDROID_ORIGIN, TEST_AAGUID, AttestationAuthority, derive
from passkeycore.trust import Anchor, AndroidStatusList, bundled

from ..ceremonies import CHALLENGE, NOW, ORIGIN, RP_ID, SEED, USER_HANDLE, Json, registered
from ..harness import Right, call
from .registration import CREATION, CREATION_STATE, REQUEST

_RP: Final = RelyingParty(id=RP_ID, origins=[ORIGIN])
PARTY: Final = Right(RelyingParty, {"id": RP_ID, "origins": [ORIGIN]})
APP: Final = Right(RelyingParty, {"id": RP_ID, "origins": [ANDROID_ORIGIN]})
LOCAL: Final = Right(RelyingParty, {"id": "localhost", "origins": ["http://localhost:8000"]})
ANDROID: Final = Right(android_origin, {"fingerprint": ":".join(32 * ["aB"])})
USER: Final = {"user_handle": USER_HANDLE, "user_name": "ada", "challenge": CHALLENGE, "now": NOW}
CREATE: Final = Right(_RP.registration_options, USER)
PRESET: Final = Right(_RP.registration_options, USER | {"preset": second_factor()})
GET: Final = Right(_RP.authentication_options, {"challenge": CHALLENGE, "now": NOW})
RELATED: Final = Right(RelyingParty, {"id": RP_ID, "origins": [ORIGIN], "related_origins": ["https://example.com"]})
POLICY: Final = Right(Policy, {})
INPUTS: Final = Right(RegistrationExtensions.from_dict, {"inputs": {}})
TRUST: Final = Right(TrustPolicy, {})
_ROOT: Final = AttestationAuthority(SEED).root
ANCHORED: Final = Right(TrustPolicy, {"anchors": (_ROOT,)})
REQUIRED: Final = Right(TrustPolicy, {"anchors": (_ROOT,), "require_trusted": True})
ANCHOR: Final = Right(Anchor, {"certificate": _ROOT})
LIST: Final = Right(AndroidStatusList, {"entries": {}, "fetched_at": NOW})

_INVALID, _STATE, _RECORD = Code.CONFIGURATION_INVALID, Code.STATE_INVALID, Code.RECORD_INVALID
_LABEL: Final = 63 * "a"


# Related origins are checked for their spelling alone; `origins` also for being within the RP ID.
SPELLINGS: Final = tuple(
    call(f"R24.{name}", _INVALID, PARTY, related_origins=[origin])
    for name, origin in {
        "wildcard-in-an-origin": "https://*.example.org",
        "slash-after-an-origin": "https://example.org/",
        "path-in-an-origin": "https://example.org/login",
        "query-in-an-origin": "https://example.org?a",
        "fragment-in-an-origin": "https://example.org#a",
        "user-in-an-origin": "https://ada@example.org",
        "backslash-in-an-origin": "https://example.org\\a",
        "space-in-an-origin": "https://example .org",
        "newline-after-an-origin": "https://example.org\n",
        "case-of-a-host": "https://Example.org",
        "case-of-a-scheme": "HTTPS://example.org",
        "dot-after-a-host": "https://example.org.",
        "two-dots-in-a-host": "https://example..org",
        "u-label-in-an-origin": "https://bücher.example.org",
        "empty-host": "https://",
        "ipv6-host": "https://[::1]",
        "ipv4-host": "https://10.0.0.1",
        "ipv4-host-as-a-number": "https://167772161",
        "ipv4-host-in-hexadecimal": "https://10.0.0.0x1",
        "default-port-of-https": "https://example.org:443",
        "default-port-of-http": "http://localhost:80",
        "port-too-large": "https://example.org:65536",
        "port-of-six-digits": "https://example.org:100000",
        "port-with-a-zero": "https://example.org:0443",
        "port-0": "https://example.org:0",
        "empty-port": "https://example.org:",
        "http-outside-localhost": "http://example.org",
        "http-on-a-host-that-ends-in-localhost": "http://notlocalhost",
        "no-scheme": "example.org",
        "null-origin": "null",
        "app-origin": ANDROID_ORIGIN,
    }.items()
) + tuple(
    call(f"R24.{name}", None, PARTY, related_origins=[origin])
    for name, origin in {
        "largest-port": "https://example.org:65535",
        "port-80-over-https": "https://example.org:80",
        "port-443-over-http": "http://localhost:443",
        "http-below-localhost": "http://app.localhost:8000",
        "host-with-a-digit-first": "https://1and1.example",
        "a-label": "https://xn--bcher-kva.example",
        "host-of-253-characters": "https://" + ".".join((_LABEL, _LABEL, _LABEL, 61 * "a")),
    }.items()
)
ORIGINS: Final = tuple(
    call(f"R24.{name}", _INVALID, PARTY, origins=list(origins))
    for name, origins in {
        "no-origin": (),
        "one-bad-of-two": (ORIGIN, "https://example.org/"),
        "foreign-origin": ("https://example.com",),
        "foreign-origin-that-ends-alike": ("https://notexample.org",),
        "foreign-origin-above": ("https://org",),
        "unprintable-app": ("example-os:app id\n",),
        "app-beyond-ascii": ("example-os:äpp",),
        "app-without-a-name": ("example-os:",),
        "app-with-a-capital-scheme": ("Example-os:app",),
        "android-app-padded": (ANDROID_ORIGIN + "=",),
        "android-app-in-standard-base64": ("android:apk-key-hash:" + 42 * "A" + "/",),
        "android-app-cut-short": (ANDROID_ORIGIN[:-3],),
        "android-app-of-33-bytes": (ANDROID_ORIGIN + "A",),
        "android-app-with-another-hash": ("android:apk-key-hash-sha1:AAAA",),
        "android-app-in-capitals": (ANDROID_ORIGIN.replace("android", "Android"),),
    }.items()
) + tuple(
    call(f"R24.{name}", None, PARTY, origins=list(origins))
    for name, origins in {
        "opaque-app": ("example-os:appid:12",),
        "android-app": (ANDROID_ORIGIN,),
        "own-subdomain": ("https://a.b.example.org",),
        "own-port": ("https://example.org:8443",),
    }.items()
)
LISTS: Final = (
    call("R24.string-as-origins", _INVALID, PARTY, origins=ORIGIN),
    call("R24.string-as-related-origins", _INVALID, PARTY, related_origins="https://example.com"),
    call("R24.string-as-top-origins", _INVALID, PARTY, top_origins="https://example.com"),
    call("R24.app-as-top-origin", _INVALID, PARTY, top_origins=[ANDROID_ORIGIN]),
    call("R24.wildcard-as-top-origin", _INVALID, PARTY, top_origins=["https://*.example.com"]),
    call("R24.http-origin-of-its-own-host", None, LOCAL, origins=["http://localhost"]),
)

RP_IDS: Final = tuple(  # with an app's origin, which suits every RP ID
    call(f"R24.{name}-as-rp-id", _INVALID, APP, id=rp_id)
    for name, rp_id in {
        "empty": "",
        "ipv4": "1.2.3.4",
        "ipv4-in-hexadecimal": "1.2.3.0x4",
        "number": "1",
        "ipv6": "::1",
        "wildcard": "*.example.org",
        "scheme": ORIGIN,
        "port": "example.org:443",
        "path": "example.org/",
        "capital": "Example.org",
        "u-label": "bücher.example",
        "dot-before": ".example.org",
        "dot-after": "example.org.",
        "two-dots": "example..org",
        "hyphen-before": "-a.example.org",
        "hyphen-after": "a-.example.org",
        "underscore": "a_b.example.org",
        "newline": "example.org\n",
        "label-of-64": _LABEL + "a.org",
        "domain-of-254": ".".join((_LABEL, _LABEL, _LABEL, 62 * "a")),
    }.items()
)

PARTIES: Final = (
    call("R24.rp-id-that-does-not-cover-the-origin", _INVALID, PARTY, id="example.com"),
    call("R24.rp-id-of-253-characters", None, APP, id=".".join((_LABEL, _LABEL, _LABEL, 61 * "a"))),
    call("R24.rp-id-of-one-label", None, APP, id="intranet"),
    call("R24.related-origin-among-the-origins", None, RELATED, origins=[ORIGIN, "https://example.com"]),
    call("R24.conveyance-unknown", _INVALID, PARTY, attestation="all"),
    call("R24.policy-unknown", _INVALID, POLICY, sign_count_regression="perhaps"),
    call("R24.trust-unknown", _INVALID, TRUST, untrusted="ignore"),
    call("R24.ceremony-verification-unknown", _INVALID, CREATE, user_verification="perhaps"),
    call("R24.ceremony-mediation-unknown", _INVALID, GET, mediation="silent"),
    call("R24.no-algorithms", _INVALID, PARTY, algorithms=()),
    call("R24.unknown-algorithm", _INVALID, PARTY, algorithms=(-7, -999)),
    call("R24.rs1-without-opting-in", _INVALID, PARTY, algorithms=(-7, -65535)),
    call("R24.text-as-algorithms", _INVALID, PARTY, algorithms="ES256"),
    call("R24.name-with-a-line-break", _INVALID, PARTY, name="Example\nInc."),
    call("R24.name-that-turns-around", _INVALID, PARTY, name="Example \u202e"),
    call("R24.ceremony-algorithm-unknown", _INVALID, CREATE, algorithms=(-999,)),
    call("R24.ceremony-without-algorithms", _INVALID, CREATE, algorithms=()),
    call("R24.ceremony-rs1-without-opting-in", _INVALID, CREATE, algorithms=(-65535,)),
    call("R24.ceremony-without-origins", _INVALID, CREATE, origins=[]),
    call("R24.ceremony-string-as-origins", _INVALID, CREATE, origins=ORIGIN),
    call("R24.ceremony-foreign-origin", _INVALID, CREATE, origins=["https://example.com"]),
    call("R24.ceremony-malformed-origin", _INVALID, GET, origins=["https://example.org/"]),
    call("R24.fingerprint-sha1", _INVALID, ANDROID, fingerprint=40 * "a"),
    call("R24.fingerprint-some-colons", _INVALID, ANDROID, fingerprint="aa:" + 62 * "a"),
    call("R24.fingerprint-no-hexadecimal", _INVALID, ANDROID, fingerprint=63 * "a" + "g"),
    call("R24.fingerprint-newline", _INVALID, ANDROID, fingerprint=64 * "a" + "\n"),
    call("R24.fingerprint-plain", None, ANDROID, fingerprint=64 * "A"),
    call("R24.trust-required-without-anchors", _INVALID, TRUST, require_trusted=True),
    call("R24.anchor-that-is-no-certificate", _INVALID, TRUST, anchors=(b"nothing",)),
    # Each rule about models demands trust, which nothing here can give.
    call("R24.allowed-models-without-anchors", _INVALID, TRUST, allow_aaguids=()),
    call("R24.denied-models-without-anchors", _INVALID, TRUST, deny_aaguids=(TEST_AAGUID,)),
    call("R24.no-denied-models", None, TRUST, lambda policy: not policy.require_trusted, deny_aaguids=()),
    call("R24.further-refused-statuses-without-metadata", _INVALID, TRUST, refuse_statuses={"NOT_FIDO_CERTIFIED"}),
    call("R24.no-refused-statuses", None, TRUST, lambda policy: not policy.require_trusted, refuse_statuses=()),
    call("R24.anchors-of-metadata-alone", _INVALID, REQUIRED, anchors=bundled("mds")),
    call("R24.one-anchor-as-bytes", _INVALID, TRUST, anchors=_ROOT),
    call("R24.models-as-texts", _INVALID, ANCHORED, deny_aaguids={str(TEST_AAGUID)}),
    call("R24.status-without-brackets", _INVALID, ANCHORED, refuse_statuses="REVOKED"),
    call("R24.format-without-brackets", _INVALID, ANCHORED, formats="packed"),
    call("R24.type-unknown", _INVALID, ANCHORED, types={"full"}),
    call("R24.anchor-formats-without-brackets", _INVALID, ANCHOR, formats="tpm"),
    call("R24.anchor-models-as-texts", _INVALID, ANCHOR, aaguids=[str(TEST_AAGUID)]),
    call("R24.anchor-formats-as-a-list", None, ANCHOR, lambda anchor: anchor.formats == {"tpm"}, formats=["tpm"]),
    call("R24.list-fetched-at-a-time-without-zone", _INVALID, LIST, fetched_at=NOW.replace(tzinfo=None)),
    call("R24.android-status-without-anchors", _INVALID, TRUST, require_android_status=True),
    call("R24.certification-unknown", _INVALID, ANCHORED, require_certification="FIDO_CERTIFIED_L9"),
    call("R24.certification-without-metadata", _INVALID, ANCHORED, require_certification="FIDO_CERTIFIED_L1"),
    call("R24.list-of-no-age", _INVALID, ANCHORED, android_status_max_age_s=0),
    call("R24.answers-of-no-age", _INVALID, POLICY, android_safetynet_max_age_s=0),
    call(
        "R24.anchor-for-one-format",
        None,
        TRUST,
        lambda policy: policy.anchors[0].formats == {"tpm"},
        anchors=(Anchor(_ROOT, frozenset({"tpm"})),),
    ),
)

_ENFORCED: Final = RegistrationExtensions(enforce_cred_protect=True)
OPTIONS: Final = (
    call("R77-user-handle-empty", _INVALID, CREATE, user_handle=b""),
    call("R77.1-byte-in-the-user-handle", None, CREATE, user_handle=b"x"),
    call("R77.65-bytes-in-the-user-handle", _INVALID, CREATE, user_handle=bytes(65)),
    call("R77.64-bytes-in-the-user-handle", None, CREATE, user_handle=bytes(64)),
    call("R77.user-handle-is-the-name", _INVALID, CREATE, user_handle=b"ada"),
    call("R77.challenge-15-bytes", _INVALID, CREATE, challenge=bytes(15)),
    call("R77.challenge-16-bytes", None, CREATE, challenge=bytes(16)),
    call("R77.challenge-128-bytes", None, GET, challenge=bytes(128)),
    call("R77.challenge-129-bytes", _INVALID, GET, challenge=bytes(129)),
    call("R77.timeout-0", _INVALID, CREATE, timeout_ms=0),
    call("R77.timeout-negative", _INVALID, GET, timeout_ms=-1),
    call("R77.timeout-beyond-the-calendar", _INVALID, CREATE, timeout_ms=10**18),
    call("R77.timeout-1", None, CREATE, timeout_ms=1),
    call("R77.preset-and-resident-key", _INVALID, PRESET, resident_key="required"),
    call("R77.preset-and-user-verification", _INVALID, PRESET, user_verification="required"),
    call("R77.other-preset", None, PRESET, preset=sole_factor()),
    call("R78-name-with-a-line-break", _INVALID, CREATE, user_name="ada\n"),
    call("R78.name-with-a-nul", _INVALID, CREATE, user_name="ada\0"),
    call("R78.name-with-c1-control", _INVALID, CREATE, user_name="ada\x85"),
    call("R78.name-that-turns-around", _INVALID, CREATE, user_name="\u202eada"),
    call("R78.name-isolated", _INVALID, CREATE, user_name="\u2066ada"),
    call("R78.name-with-a-lone-surrogate", _INVALID, CREATE, user_name="ada\ud800"),
    call("R78.name-empty", _INVALID, CREATE, user_name=""),
    call("R78.name-in-any-script", None, CREATE, user_name="עדה Ада 🦉"),
    call("R78.display-name-that-turns-around", _INVALID, CREATE, user_display_name="Ada\u202e"),
    call(
        "R78.protection-enforced-but-not-asked-for",
        _INVALID,
        CREATE,
        extensions={"enforceCredentialProtectionPolicy": True},
    ),
    call("R78.protection-enforced-in-typed-inputs", _INVALID, CREATE, extensions=_ENFORCED),
    call(
        "R78.protection-enforced-in-inputs-alone", _INVALID, INPUTS, inputs={"enforceCredentialProtectionPolicy": True}
    ),
    call("R78.appid-at-registration", _INVALID, CREATE, extensions={"appid": "https://example.org"}),
    call(
        "R78.evaluation-by-credential-at-registration", _INVALID, CREATE, extensions={"prf": {"evalByCredential": {}}}
    ),
    call("R78.excluded-appid-at-authentication", _INVALID, GET, extensions={"appidExclude": "https://example.org"}),
    call("R78.credential-properties-at-authentication", _INVALID, GET, extensions={"credProps": True}),
    call("R78.large-blob-for-nobody", _INVALID, GET, extensions={"largeBlob": {"write": "AA"}}),
    call(
        "R78.evaluation-for-a-stranger",
        _INVALID,
        GET,
        extensions={"prf": {"evalByCredential": {"AA": {"first": "AA"}}}},
    ),
    call("R78.evaluation-of-nothing", Code.JSON_INVALID, CREATE, extensions={"prf": {"eval": {}}}),
    call("R78.prf-of-a-number", Code.JSON_INVALID, CREATE, extensions={"prf": 1}),
    call(
        "R78.protection-of-a-kind-unknown", Code.JSON_INVALID, CREATE, extensions={"credentialProtectionPolicy": "all"}
    ),
    call("R78.blob-with-padding", Code.BASE64URL_INVALID, CREATE, extensions={"credBlob": "AA=="}),
)


def _edited(**members: Any) -> str:
    """The state's text with these members instead; None leaves one out."""
    changed: Json = json.loads(CREATION_STATE) | members
    return json.dumps({name: value for name, value in changed.items() if value is not ...})


STATES: Final = tuple(
    call(f"J21.{name}", _STATE, CREATION, text=text)
    for name, text in {
        "empty-state": "",
        "state-cut-short": CREATION_STATE[:-1],
        "two-states": CREATION_STATE + CREATION_STATE,
        "list-of-states": f"[{CREATION_STATE}]",
        "null-state": "null",
        "number-as-state": "1",
        "state-of-another-version": _edited(version=2),
        "state-of-another-ceremony": _edited(ceremony="authentication"),
        "state-of-no-ceremony": _edited(ceremony=...),
        "state-without-challenge": _edited(challenge=...),
        "state-without-expiry": _edited(expires_at=...),
        "state-without-algorithms": _edited(algorithms=...),
        "state-with-a-wish-unknown": _edited(user_verification="maybe"),
        "state-with-a-time-that-is-none": _edited(expires_at="tomorrow"),
        "state-with-a-number-as-challenge": _edited(challenge=1),
        "state-with-text-as-origins": _edited(origins=ORIGIN),
        "state-with-bad-base64": _edited(challenge="A"),
        "state-with-a-time-without-zone": _edited(expires_at="2026-01-02T12:05:00"),
        "state-that-forges-a-line": _edited(user_verification="x\r\nok \x1b[2J" + 900 * "A"),
        "state-too-deep": 100_000 * "[",
        "state-with-bad-unicode": CREATION_STATE.encode().replace(b"example", b"ex\xffmple"),
    }.items()
)
AUTHENTICATION_STATE: Final = call("J21.empty-state-of-an-authentication", _STATE, REQUEST, text="{}")

_BYTES: Final = registered().to_bytes()
_MEMBERS: Final = registered().to_dict()
STORED: Final = Right(CredentialRecord.from_bytes, {"stored": _BYTES})
STORED_MEMBERS: Final = Right(CredentialRecord.from_dict, {"members": _MEMBERS})
RECORDS: Final = tuple(
    call(f"A27.{name}", _RECORD, STORED, stored=stored)
    for name, stored in {
        "record-empty": b"",
        "record-of-chance": derive(SEED, "chance", length=300),
        "record-without-its-mark": _BYTES[4:],
        "record-with-another-mark": b"PKC" + _BYTES[3:],
        "record-mark-only": _BYTES[:3],
        "record-version-only": _BYTES[:4],
        "record-cut-short": _BYTES[:-1],
        "record-and-more": _BYTES + b"\0",
        "record-of-another-type": _BYTES[:4] + b"\x01",
        "record-too-deep": _BYTES[:4] + 5000 * b"\x91",
        "record-with-bad-unicode": _BYTES.replace(b"example.org", b"ex\xffmple.org"),
    }.items()
)
MEMBERS: Final = (
    call("A27.record-of-a-newer-release", None, STORED, stored=_BYTES[:3] + b"\x02" + _BYTES[4:]),
    call("A27.members-missing", _RECORD, STORED_MEMBERS, members={"credential_id": "AAAA"}),
    call("A27.members-of-another-type", _RECORD, STORED_MEMBERS, members=_MEMBERS | {"sign_count": "1"}),
    call("A27.members-number-for-bytes", _RECORD, STORED_MEMBERS, members=_MEMBERS | {"public_key": 7}),
    call("A27.members-usage-unknown", _RECORD, STORED_MEMBERS, members=_MEMBERS | {"usage": "third_factor"}),
    call("A27.members-that-forge-a-line", _RECORD, STORED_MEMBERS, members=_MEMBERS | {"usage": "\r\nok\x1b[2J"}),
    call("A27.members-padded", Code.BASE64URL_INVALID, STORED_MEMBERS, members=_MEMBERS | {"public_key": "AA=="}),
    call("A27.members-of-a-newer-release", None, STORED_MEMBERS, members=_MEMBERS | {"new": 1, "version": 2}),
)

CASES: Final = (
    *SPELLINGS,
    *ORIGINS,
    *LISTS,
    *RP_IDS,
    *PARTIES,
    *OPTIONS,
    *STATES,
    AUTHENTICATION_STATE,
    *RECORDS,
    *MEMBERS,
)
