"""Cases about authenticator data: RP ID hash, flags, layout, extension outputs, the length of the credential id.

Rows R31 to R48 and A05 to A14, A58.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from passkeycore import Code, PasskeyError, Policy, RegistrationOutcome, sole_factor
from passkeycore.testing import (
    AT,
    BE,
    BS,
    ED,
    TEST_AAGUID,
    UP,
    UV,
    SoftwareKey,
    Tamper,
    attested_credential_data,
    b64url_decode,
    b64url_encode,
    cbor,
)

from ..ceremonies import ORIGIN, RP_ID, SEED, Json, Setup, authenticator, client, record, state
from ..changes import STRICT, results
from ..harness import create, get

APPID: Final = "https://example.org/u2f.json"
UV_REQUIRED: Final = Setup(options={"user_verification": "required"})
UV_DISCOURAGED: Final = Setup(options={"user_verification": "discouraged"})
SOLE_FACTOR: Final = Setup(options={"preset": sole_factor()})
CONDITIONAL: Final = Setup(options={"mediation": "conditional"})
APPID_EXCLUDED: Final = Setup(options={"extensions": {"appidExclude": APPID}})
PROTECTED: Final = Setup(
    options={"extensions": {"credentialProtectionPolicy": "userVerificationOptional", "minPinLength": True}}
)
MODERN: Final = Setup(allow=True, options={"extensions": {"appid": APPID}})
U2F: Final = Setup(allow=True, credential={"rp_id": APPID}, options={"extensions": {"appid": APPID}})
TRUSTED_UV: Final = Setup(options={"require_trusted_user_verification": True})
SYNCED: Final = Setup(authenticator={"backup_eligible": True})
SYNCED_TRUSTED_UV: Final = Setup(
    authenticator={"backup_eligible": True}, options={"require_trusted_user_verification": True}
)
REPORTING: Final = Setup(rp={"policy": Policy(backup_eligibility_change="report")})
WITH_UVM: Final = Setup(options={"extensions": {"uvm": True}})
ATTESTED: Final = attested_credential_data(TEST_AAGUID, b"id", SoftwareKey.derive(SEED, -7).cose())


def hashed(text: str) -> Tamper:
    """Authenticator data for another RP ID."""
    return Tamper(rp_id_hash=lambda _: sha256(text.encode()).digest())


def flags(set: int = 0, clear: int = 0) -> Tamper:
    """Authenticator data with these flags set and those clear, whatever follows."""
    return Tamper(flags=lambda flags: (flags | set) & ~clear)


def attested(change: Any) -> Tamper:
    """Attested credential data that `change` makes of the right one."""
    return Tamper(attested_credential_data=change)


def outputs(**members: Any) -> Tamper:
    """Extension outputs, exactly these."""
    return Tamper(extensions=lambda _: {name.replace("_", "-"): value for name, value in members.items()})


def claiming(cleared: int, **members: Any) -> Tamper:
    """A response without this flag, in which the client claims that it may be so. Only for unsigned statements."""

    def change(response: Json) -> Json:
        inner = response["response"]
        data = bytearray(b64url_decode(inner["attestationObject"]))
        data[data.index(sha256(RP_ID.encode()).digest()) + 32] &= ~cleared
        return response | members | {"response": inner | {"attestationObject": b64url_encode(bytes(data))}}

    return Tamper(response=change)


def _tells(part: str) -> Callable[[PasskeyError], bool]:
    """An error that names the part that is cut off."""
    return lambda error: part in error.message


def _refuses_secrets(outcome: RegistrationOutcome) -> bool:
    return outcome.authenticator_extensions.hmac_secret is False


_RP, _UP, _UV = Code.RP_ID_MISMATCH, Code.USER_PRESENCE_REQUIRED, Code.USER_VERIFICATION_REQUIRED
_DATA, _EXT, _ID = Code.AUTHENTICATOR_DATA_INVALID, Code.EXTENSION_MALFORMED, Code.CREDENTIAL_ID_INVALID

RP_ID_HASH: Final = (
    create("R31-hash-of-another-rp-id", _RP, hashed("evil.test")),
    create("R32-hash-of-the-origin", _RP, hashed(ORIGIN)),
    create("R33.parent-hash-of-the-parent-domain", _RP, hashed("org")),
    create("R33.child-hash-of-a-subdomain", _RP, hashed("a.example.org")),
    create("R34-hash-of-the-appid", _RP, hashed(APPID), APPID_EXCLUDED),
    get("A05-hash-of-another-rp-id", _RP, hashed("evil.test")),
    get("A05.origin-hash-of-the-origin", _RP, hashed(ORIGIN)),
    get("A05.parent-hash-of-the-parent-domain", _RP, hashed("org")),
    get("A06-appid-that-was-not-asked-for", _RP, state(appid=None), U2F),
    get("A06.hash-of-an-appid", _RP, hashed(APPID)),
    get("A07.false-appid-that-the-client-denies", _RP, results(appid=False), U2F),
    get("A07.absent-appid-that-the-client-conceals", _RP, results(), U2F),
    get("A07.rp-id-where-the-client-claims-the-appid", _RP, results(appid=True), MODERN),
    get("A07.other-appid", _RP, hashed(APPID + "x"), U2F),
    get("A60-record-of-another-relying-party", _RP, record(rp_id="other.example")),
)

FLAGS: Final = (
    create("R35-nobody-present", _UP, flags(clear=UP)),
    create("R35.present-in-a-conditional-creation", None, flags(set=UP), CONDITIONAL),
    create("R36-conditional-by-the-client-alone", _UP, client(mediation="conditional")),
    create("R36.member-that-claims-it", _UP, claiming(UP, mediation="conditional")),
    create("R37-user-not-verified", _UV, flags(clear=UV), UV_REQUIRED),
    create("R37.preferred-user-not-verified", None, flags(clear=UV)),
    create("R37.conditional-creation-that-requires-it", _UV, state(user_verification="required"), CONDITIONAL),
    create("R38-client-that-asks-for-less", _UV, claiming(UV, userVerification="discouraged"), UV_REQUIRED),
    create("R39-passwordless-without-user-verification", _UV, flags(clear=UV), SOLE_FACTOR),
    create("R40-backed-up-but-not-eligible", Code.BACKUP_FLAGS_INVALID, flags(set=BS)),
    create("R40.not-backed-up-though-eligible", None, flags(set=BE)),
    create("R40.backed-up-and-eligible", None, flags(set=BE | BS)),
    create("R41.bit-1-reserved", None, flags(set=0x02)),
    create("R41.bit-5-reserved", None, flags(set=0x20)),
    get("A08-nobody-present", _UP, flags(clear=UP)),
    get("A08.conditional-nobody-present", _UP, flags(clear=UP), CONDITIONAL),
    get("A09-user-not-verified", _UV, flags(clear=UV), UV_REQUIRED),
    get("A09.sole-factor-user-not-verified", _UV, flags(clear=UV), SOLE_FACTOR),
    get("A09.preferred-user-not-verified", None, flags(clear=UV), then=lambda o: not o.user_verification_trusted),
    get("A09.discouraged-user-verified", None, flags(set=UV), UV_DISCOURAGED),
    get(
        "A10-verification-that-nobody-has-seen",
        Code.USER_VERIFICATION_UNTRUSTED,
        record(uv_initialized=False),
        TRUSTED_UV,
    ),
    get(
        "A10.sole-factor-verification-that-nobody-has-seen",
        Code.USER_VERIFICATION_UNTRUSTED,
        record(uv_initialized=False),
        SOLE_FACTOR,
    ),
    get("A09.trusted-verification-that-did-not-happen", _UV, flags(clear=UV), TRUSTED_UV),
    get(
        "A10.reported-but-not-trusted",
        None,
        record(uv_initialized=False),
        then=lambda o: o.user_verified and not o.user_verification_trusted and not o.credential.uv_initialized,
    ),
    get(
        "A10.synced-and-so-trusted",
        None,
        record(uv_initialized=False),
        SYNCED_TRUSTED_UV,
        lambda o: o.user_verification_trusted,
    ),
    get("A11-backed-up-but-not-eligible", Code.BACKUP_FLAGS_INVALID, flags(set=BS)),
    get("A12.lost-eligibility", Code.BACKUP_ELIGIBILITY_CHANGED, flags(clear=BE), SYNCED),
    get("A12.gained-eligibility", Code.BACKUP_ELIGIBILITY_CHANGED, flags(set=BE)),
    get(
        "A12.learnt-eligibility",
        None,
        record(backup_eligible=None),
        then=lambda o: o.credential.backup_eligible is False,
    ),
    get("A12.reported-eligibility", None, flags(set=BE), REPORTING, lambda o: o.backup_eligibility_changed),
    get("A12.newly-backed-up", None, flags(set=BS), SYNCED, lambda o: o.backup_state_changed),
    get("A13-attested-data-in-an-assertion", Code.ATTESTED_DATA_UNEXPECTED, attested(lambda _: ATTESTED)),
)

LAYOUT: Final = (
    create("R42-no-attested-data", Code.ATTESTED_DATA_MISSING, attested(lambda _: b"")),
    create(
        "R43-attested-data-cut-after-the-aaguid", _DATA, attested(lambda d: d[:16]), then=_tells("attested credential")
    ),
    create("R43.length-cut-in-the-length", _DATA, attested(lambda d: d[:17]), then=_tells("attested credential")),
    create("R43.id-cut-in-the-credential-id", _DATA, attested(lambda d: d[:40]), then=_tells("the credential id")),
    create("R43.key-cut-in-the-key", Code.PUBLIC_KEY_MALFORMED, attested(lambda d: d[:-1])),
    create("R43.no-key", Code.PUBLIC_KEY_MALFORMED, attested(lambda d: d[:50])),
    create("R43.flag-without-attested-data", _DATA, Tamper(authenticator_data=lambda d: d[:37])),
    create("R44.flag-without-extensions", Code.CBOR_INVALID, flags(set=ED)),
    create("R44.extensions-without-flag", _DATA, flags(clear=ED), PROTECTED),
    create("R44.attested-data-without-flag", _DATA, flags(clear=AT)),
    create("R45.text-instead-of-extensions", _EXT, Tamper(extensions=lambda _: cbor("credProtect"))),
    create("R45.list-of-extensions", _EXT, Tamper(extensions=lambda _: cbor([1]))),
    create("R45.number-as-the-name-of-an-extension", _EXT, Tamper(extensions=lambda _: {1: 2})),
    create("R45.trailing-byte", _DATA, Tamper(authenticator_data=lambda d: d + b"\0")),
    create("R45.trailing-byte-after-extensions", _DATA, Tamper(authenticator_data=lambda d: d + b"\0"), PROTECTED),
    create("R45.unknown-extension", None, outputs(someday={"a": [1]})),
    create("R45.protection-0", _EXT, outputs(credProtect=0)),
    create("R45.protection-4", _EXT, outputs(credProtect=4)),
    create("R45.protection-true", _EXT, outputs(credProtect=True)),
    create("R45.protection-3", None, outputs(credProtect=3), then=lambda o: o.credential.cred_protect == 3),
    create("R45.pin-length-negative", _EXT, outputs(minPinLength=-1)),
    create("R45.pin-length-true", _EXT, outputs(minPinLength=True)),
    create("R45.pin-length-0", None, outputs(minPinLength=0)),
    create("R45.secret-refused", None, outputs(hmac_secret=False), then=_refuses_secrets),
    create("R45.blob-number", _EXT, outputs(credBlob=1)),
    create("R45.secret-text", _EXT, outputs(hmac_secret="yes")),
    create("R45.blob-stored", None, outputs(credBlob=True), then=lambda o: o.authenticator_extensions.cred_blob_stored),
    create("R45.secret-set-up", None, outputs(hmac_secret=True), then=lambda o: o.authenticator_extensions.hmac_secret),
    create("R45.uvm-number", _EXT, outputs(uvm=1)),
    create("R45.uvm-with-numbers", _EXT, outputs(uvm=[1])),
    create("R45.uvm-without-methods", _EXT, outputs(uvm=[])),
    create("R45.uvm-with-four-methods", _EXT, outputs(uvm=[[1, 2, 3]] * 4)),
    create("R45.uvm-with-two-numbers", _EXT, outputs(uvm=[[1, 2]])),
    create("R45.uvm-with-booleans", _EXT, outputs(uvm=[[True, 2, 3]])),
    create("R45.uvm-with-three-methods", None, outputs(uvm=[[1, 2, 3]] * 3)),
    create("R46.empty", _DATA, Tamper(authenticator_data=lambda _: b"")),
    create("R46.36-bytes", _DATA, Tamper(authenticator_data=lambda d: d[:36])),
    create("R46.8193-bytes", Code.TOO_LARGE, Tamper(authenticator_data=lambda d: d.ljust(8193, b"\0"))),
    create("R46.8192-bytes", _DATA, Tamper(authenticator_data=lambda d: d.ljust(8192, b"\0"))),
    create("R47.0-bytes-in-the-id", _ID, authenticator(credential_id_length=0)),
    create("R47.1-byte-in-the-id", None, authenticator(credential_id_length=1)),
    create("R47.15-bytes-in-the-id", None, authenticator(credential_id_length=15)),
    create("R47.strict-15-bytes-in-the-id", _ID, authenticator(credential_id_length=15), STRICT),
    create("R47.strict-16-bytes-in-the-id", None, authenticator(credential_id_length=16), STRICT),
    create("R47.1023-bytes-in-the-id", None, authenticator(credential_id_length=1023)),
    create("R47.1024-bytes-in-the-id", _ID, authenticator(credential_id_length=1024)),
    create("R47.2000-bytes-in-the-id", _ID, authenticator(credential_id_length=2000)),
    create("R48-id-longer-than-the-data", _DATA, attested(lambda d: d[:16] + b"\xff\xff" + d[18:])),
    create(
        "R48.shorter-id-so-the-rest-is-no-key",
        Code.PUBLIC_KEY_MALFORMED,
        attested(lambda d: d[:16] + b"\0\x1f" + d[18:]),
    ),
    get("A14.extensions", None, outputs(someday=1), then=lambda o: o.authenticator_extensions.names == {"someday"}),
    get("A14.no-extensions", None, flags(set=0x02), then=lambda o: o.authenticator_extensions.names == frozenset()),
    get("A14-trailing-byte", _DATA, Tamper(authenticator_data=lambda d: d + b"\0")),
    get("A14.flag-without-extensions", Code.CBOR_INVALID, flags(set=ED)),
    get("A14.extensions-without-flag", _DATA, flags(clear=ED), WITH_UVM),
    get("A14.flag-without-attested-data", _DATA, flags(set=AT)),
    get("A14.36-bytes", _DATA, Tamper(authenticator_data=lambda d: d[:36])),
    get("A14.too-large", Code.TOO_LARGE, Tamper(authenticator_data=lambda d: d.ljust(8193, b"\0"))),
    get(
        "A58-extension-that-stands-twice",
        Code.CBOR_INVALID,
        Tamper(extensions=lambda _: b"\xa2" + 2 * (cbor("uvm") + cbor([[1, 2, 3]]))),
    ),
)
CASES: Final = (*RP_ID_HASH, *FLAGS, *LAYOUT)
