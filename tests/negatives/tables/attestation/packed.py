"""Cases about attestation: the formats none and packed, and the certificates of packed.

Rows N1 to N4 and P1 to P16, less those that need metadata. Certificate paths have a table of their own.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from passkeycore import Code, Policy, RegistrationOutcome, TrustPolicy, conformance
from passkeycore.testing import (
    LEAF_SUBJECT,
    OID_AAGUID,
    TEST_AAGUID,
    AttestationAuthority,
    AttestationCertificate,
    SoftwareKey,
    Tamper,
    certificates,
    der,
    derive,
    packed_maker,
)
from passkeycore.webauthn.attestation import FORMATS

from ...ceremonies import SEED, Json, Replace, Setup, authenticator
from ...harness import create
from ..signatures import salted

DIRECT: Final[Json] = {"attestation": "direct"}
AUTHORITY: Final = AttestationAuthority(SEED)
OTHER_KEY: Final = SoftwareKey.derive(SEED, -7, purpose="key of another authenticator")
OID_FIRMWARE: Final = "1.3.6.1.4.1.45724.1.1.5"

ASKED: Final = Setup(options=DIRECT)
SELF: Final = Setup(options=DIRECT, authenticator={"attestation": "packed-self"})
SELF_PS256: Final = Setup(options=DIRECT, authenticator={"attestation": "packed-self", "algorithms": (-37,)})
STRICT_SELF: Final = Setup(options=DIRECT, authenticator={"attestation": "packed-self"}, rp={"policy": conformance()})
NONE_ONLY: Final = Setup(options=DIRECT, rp={"formats": {"none": FORMATS["none"]}})


def attesting(certificate: AttestationCertificate, **rp: Any) -> Setup:
    """An authenticator that attests with this certificate."""
    return Setup(options=DIRECT, rp=rp, authenticator={"attestation": packed_maker(certificate)})


BATCH: Final = attesting(AUTHORITY.issue(TEST_AAGUID))
STRICT_BATCH: Final = attesting(AUTHORITY.issue(TEST_AAGUID), policy=conformance())
RSA_LEAF: Final = attesting(AUTHORITY.issue(TEST_AAGUID, algorithm=-257))
P384_LEAF: Final = attesting(AUTHORITY.issue(TEST_AAGUID, algorithm=-35))
ED25519_LEAF: Final = attesting(AUTHORITY.issue(TEST_AAGUID, algorithm=-8))
ED448_LEAF: Final = attesting(AUTHORITY.issue(TEST_AAGUID, algorithm=-53))
ML_DSA_LEAF: Final = attesting(AUTHORITY.issue(TEST_AAGUID, algorithm=-48))
RS1_LEAF: Final = attesting(AUTHORITY.issue(TEST_AAGUID, algorithm=-257), policy=Policy(danger_allow_rs1=True))
REQUIRED: Final = attesting(
    AUTHORITY.issue(TEST_AAGUID), trust=TrustPolicy(anchors=(AUTHORITY.root,), require_trusted=True)
)
REJECTING: Final = attesting(
    AUTHORITY.issue(TEST_AAGUID), trust=TrustPolicy(anchors=(AUTHORITY.root,), untrusted="reject")
)


def stated(**members: Any) -> Tamper:
    """A statement with these members instead; `...` leaves one out. Signed before."""

    def change(attestation: Json) -> Json:
        made = attestation["attStmt"] | members
        return attestation | {"attStmt": {name: value for name, value in made.items() if value is not ...}}

    return Tamper(attestation=change)


def instead(**members: Any) -> Tamper:
    """An attestation object with these members instead."""
    return Tamper(attestation=lambda attestation: attestation | members)


def unverified(format: str) -> Callable[[RegistrationOutcome], bool]:
    """The statement was left unread and proves nothing."""
    return lambda o: (
        (o.attestation.format, o.attestation.type, o.trust.trusted) == (format, "unverified", False)
        and o.credential.attestation_format == format
    )


def certified(certificate: AttestationCertificate) -> Replace:
    """An authenticator that attests with this certificate instead."""
    return authenticator(attestation=packed_maker(certificate))


def issued(aaguid: Any = TEST_AAGUID, /, **changes: Any) -> Replace:
    """An authenticator whose certificate was issued with these changes."""
    return certified(AUTHORITY.issue(aaguid, **changes))


def subject(**changes: str | None) -> Replace:
    """An authenticator whose certificate's subject has these attributes instead."""
    return issued(subject=changes)


def aaguid(value: bytes) -> Replace:
    """An authenticator whose certificate has this AAGUID extension."""
    return issued(aaguid_extension=value)


def firmware(value: bytes, *, critical: bool = False) -> Replace:
    """An authenticator whose certificate has this firmware version extension."""
    return issued(extensions=[certificates.extension(OID_FIRMWARE, value, critical=critical)])


@cache
def small_rsa_key() -> SoftwareKey:
    """An RSA key of 1024 bits."""

    def prime(purpose: str) -> int:
        number = int.from_bytes(derive(SEED, purpose, length=64), "big") | 3 << 510 | 1
        while pow(2, number - 1, number) != 1 or number % 65537 == 1:
            number += 2
        return number

    p, q = prime("p"), prime("q")
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return SoftwareKey(-257, numbers.private_key())


def _of_version(version: int) -> AttestationCertificate:
    """A certificate of any version, with the extensions that only the third may have."""
    certificate = certificates.certificate(
        subject=certificates.name(LEAF_SUBJECT),
        subject_key=OTHER_KEY,
        issuer=AUTHORITY.subject,
        issuer_key=AUTHORITY.key,
        serial=7,
        extensions=[certificates.basic_constraints(False)],
        version=version,
    )
    return AttestationCertificate(OTHER_KEY, (certificate,))


def _self_signed() -> AttestationCertificate:
    key = SoftwareKey.derive(SEED, -7, purpose="batch")
    subject = certificates.name(LEAF_SUBJECT)
    certificate = certificates.certificate(
        subject=subject,
        subject_key=key,
        issuer=subject,
        issuer_key=key,
        serial=1,
        extensions=[certificates.basic_constraints(False)],
    )
    return AttestationCertificate(key, (certificate,))


_SELF_SIGNED: Final = _self_signed()
PINNED: Final = attesting(
    AUTHORITY.issue(TEST_AAGUID),
    trust=TrustPolicy(anchors=(AUTHORITY.root, *_SELF_SIGNED.x5c), require_trusted=True),
)
_UTF8_COUNTRY: Final = certificates.name(
    {"2.5.4.6": "AA", **{kind: value for kind, value in LEAF_SUBJECT.items() if kind != "C"}}
)
_EXISTING: Final = AUTHORITY.issue(TEST_AAGUID)
_STATEMENT: Final = Code.ATTESTATION_STATEMENT_INVALID
_CERTIFICATE, _SIGNATURE = Code.ATTESTATION_CERTIFICATE_INVALID, Code.ATTESTATION_SIGNATURE_INVALID
_FORMAT, _DER, _LARGE = Code.ATTESTATION_FORMAT_UNSUPPORTED, Code.CERTIFICATE_MALFORMED, Code.TOO_LARGE

NONE: Final = (
    create("N1-statement-of-format-none-with-a-member", _STATEMENT, instead(attStmt={"x": 1})),
    create("N1.with-a-signature", _STATEMENT, instead(attStmt={"alg": -7, "sig": b""})),
    create("N2.statement-as-a-list", _STATEMENT, instead(attStmt=[])),
    create("N2.statement-null", _STATEMENT, instead(attStmt=None)),
    create("N2.statement-empty-text", _STATEMENT, instead(attStmt="")),
    create("N2.statement-false", _STATEMENT, instead(attStmt=False)),
    create("N3.unknown-format", _FORMAT, instead(fmt="nothing"), ASKED),
    create("N3.format-in-capitals", _FORMAT, instead(fmt="None"), ASKED),
    create("N3.unknown-format-that-nobody-asked-for", None, instead(fmt="nothing"), then=unverified("nothing")),
    create("N3.format-of-32-characters-that-nobody-asked-for", None, instead(fmt=32 * "a"), then=unverified(32 * "a")),
    create("N3.empty-format", _FORMAT, instead(fmt="")),
    create("N3.format-of-33-characters", _FORMAT, instead(fmt=33 * "a")),
    create("N3.format-of-30000-characters", _FORMAT, instead(fmt=30_000 * "a")),
    create("N3.format-beyond-ascii", _FORMAT, instead(fmt="n\u043ene")),
    create("N4-format-that-is-not-enabled", _FORMAT, authenticator(attestation="packed-self"), NONE_ONLY),
)

STATEMENTS: Final = (
    create("P1-signature-by-another-key", _SIGNATURE, Tamper(sign=lambda _, m: OTHER_KEY.sign(m)), BATCH),
    create("P1.signature-flipped", _SIGNATURE, Tamper(sign=lambda k, m: k.sign(m)[:-1] + b"\0"), BATCH),
    create("P1.signature-over-the-hash-first", _SIGNATURE, Tamper(sign=lambda k, m: k.sign(m[-32:] + m[:-32])), BATCH),
    create("P1.self-signature-by-another-key", _SIGNATURE, Tamper(sign=lambda _, m: OTHER_KEY.sign(m)), SELF),
    create("P1.self-signature-empty", _SIGNATURE, stated(sig=b""), SELF),
    create(
        "P1.self-signature-of-the-credential-under-a-certificate",
        _SIGNATURE,
        Tamper(sign=lambda _, m: SoftwareKey.derive(SEED, -7, purpose="credential key").sign(m)),
        BATCH,
    ),
    create("P1.pss-salt-of-20-bytes", _SIGNATURE, salted(20), SELF_PS256),
    create("P1.signature-as-text", _STATEMENT, stated(sig="text"), SELF),
    create("P1.signature-missing", _STATEMENT, stated(sig=...), SELF),
    create("P1.algorithm-missing", _STATEMENT, stated(alg=...), SELF),
    create("P1.statement-as-a-list", _STATEMENT, instead(attStmt=[]), SELF),
    create("P2.es256-with-an-rsa-certificate", _STATEMENT, stated(alg=-7), RSA_LEAF),
    create("P2.es256-with-a-p384-certificate", _STATEMENT, stated(alg=-7), P384_LEAF),
    create("P2.es384-with-a-p256-certificate", _STATEMENT, stated(alg=-35), BATCH),
    create("P2.eddsa-with-a-p256-certificate", _STATEMENT, stated(alg=-8), BATCH),
    create("P2.rs256-with-a-p256-certificate", _STATEMENT, stated(alg=-257), BATCH),
    create("P2.rs256-with-an-ed25519-certificate", _STATEMENT, stated(alg=-257), ED25519_LEAF),
    create("P2.ed448-with-an-ed25519-certificate", _STATEMENT, stated(alg=-53), ED25519_LEAF),
    create("P2.eddsa-with-an-ed448-certificate", _STATEMENT, stated(alg=-8), ED448_LEAF),
    create("P2.another-name-of-eddsa", None, stated(alg=-19), ED25519_LEAF),
    create("P2.ml-dsa-87-with-an-ml-dsa-44-certificate", _STATEMENT, stated(alg=-50), ML_DSA_LEAF),
    create("P2.ml-dsa-with-a-p256-certificate", _STATEMENT, stated(alg=-48), BATCH),
    create("P2.another-name-of-the-algorithm", None, stated(alg=-9), BATCH),
    create("P2.another-padding", _SIGNATURE, stated(alg=-37), RSA_LEAF),
    create("P2.unknown-algorithm", _STATEMENT, stated(alg=-999), BATCH),
    create("P2.algorithm-as-text", _STATEMENT, stated(alg="ES256"), BATCH),
    create("P2.algorithm-as-a-list", _STATEMENT, stated(alg=[-7]), BATCH),
    create("P2.algorithm-true", _STATEMENT, stated(alg=True), BATCH),
    create("P2.rsa-certificate-of-1024-bits", _STATEMENT, issued(key=small_rsa_key()), BATCH),
    create("P2.rs1-without-opting-in", Code.ALGORITHM_UNSUPPORTED, issued(key=SoftwareKey.derive(SEED, -65535)), BATCH),
    create("P2.rs1-after-opting-in", None, issued(key=SoftwareKey.derive(SEED, -65535)), RS1_LEAF),
    create("P3.no-certificates", _STATEMENT, stated(x5c=[]), BATCH),
    create("P3.certificate-as-text", _STATEMENT, stated(x5c=["text"]), BATCH),
    create("P3.certificates-in-bytes", _STATEMENT, stated(x5c=_EXISTING.x5c[0]), BATCH),
    create("P3.certificates-null", _STATEMENT, stated(x5c=None), BATCH),
    create("P3.second-certificate-null", _STATEMENT, stated(x5c=[_EXISTING.x5c[0], None]), BATCH),
    create("P3.8-certificates", None, stated(x5c=8 * [_EXISTING.x5c[0]]), BATCH),
    create("P3.9-certificates", _LARGE, stated(x5c=9 * [_EXISTING.x5c[0]]), BATCH),
    create("P3.100-certificates", _LARGE, stated(x5c=100 * [b""]), BATCH),
    create("P3.certificate-of-16384-bytes", _DER, stated(x5c=[bytes(16_384)]), BATCH),
    create("P3.certificate-of-16385-bytes", _LARGE, stated(x5c=[bytes(16_385)]), BATCH),
    create("P3.certificate-of-a-megabyte", _LARGE, stated(x5c=[bytes(1_000_000)]), BATCH),
    create("P4.certificates-and-ecdaa", _STATEMENT, stated(ecdaaKeyId=b"id"), BATCH),
    create("P4.ecdaa-alone", _STATEMENT, stated(ecdaaKeyId=b"id"), SELF),
    create("P5-unknown-member", None, stated(x=1), SELF),
    create("P5.strict-with-certificates", None, stated(alg=-9), STRICT_BATCH),
    create("P5.strict-unknown-member", _STATEMENT, stated(x=1), STRICT_SELF),
    create("P15-self-attestation-of-another-algorithm", _STATEMENT, stated(alg=-9), SELF),
    create("P15.self-attestation-of-another-type", _STATEMENT, stated(alg=-257), SELF),
)

CERTIFICATES: Final = (
    create("P6.version-1", _CERTIFICATE, issued(version=1), BATCH),
    create("P6.version-1-with-extensions", _CERTIFICATE, certified(_of_version(1)), BATCH),
    create("P6.version-2-with-extensions", _CERTIFICATE, certified(_of_version(2)), BATCH),
    create("P6.version-3", None, certified(_of_version(3)), BATCH),
    create("P6.version-2", _CERTIFICATE, issued(version=2), BATCH),
    create("P7.other-unit", _CERTIFICATE, subject(OU="Authenticator attestation"), BATCH),
    create("P7.no-unit", _CERTIFICATE, subject(OU=None), BATCH),
    create("P7.longer-unit", _CERTIFICATE, subject(OU="Authenticator Attestation CA"), BATCH),
    create("P8.no-country", _CERTIFICATE, subject(C=None), BATCH),
    create("P8.country-of-three-letters", _CERTIFICATE, subject(C="XXX"), BATCH),
    create("P8.country-of-digits", _CERTIFICATE, subject(C="X1"), BATCH),
    create("P8.country-in-utf-8", _CERTIFICATE, issued(subject=_UTF8_COUNTRY), BATCH),
    create("P8.no-organisation", _CERTIFICATE, subject(O=None), BATCH),
    create("P8.empty-organisation", _CERTIFICATE, subject(O=""), BATCH),
    create("P8.no-name", _CERTIFICATE, subject(CN=None), BATCH),
    create("P8.empty-name", _CERTIFICATE, subject(CN=""), BATCH),
    create("P8.no-subject", _CERTIFICATE, issued(subject=der.sequence()), BATCH),
    create("P9.authority", _CERTIFICATE, issued(ca=True), BATCH),
    create("P9.constraints-absent", _CERTIFICATE, issued(ca=None), BATCH),
    create("P10-aaguid-of-another-model", _CERTIFICATE, aaguid(der.octet_string(bytes(16))), BATCH),
    create("P10.no-aaguid-extension", None, issued(None, key=_EXISTING.key), BATCH),
    create("P11.critical-aaguid", _CERTIFICATE, issued(aaguid_critical=True), BATCH),
    create("P11.aaguid-of-15-bytes", _CERTIFICATE, aaguid(der.octet_string(TEST_AAGUID.bytes[:-1])), BATCH),
    create("P11.aaguid-of-17-bytes", _CERTIFICATE, aaguid(der.octet_string(TEST_AAGUID.bytes + b"\0")), BATCH),
    create("P11.bare-aaguid", _DER, aaguid(TEST_AAGUID.bytes), BATCH),
    create("P11.aaguid-in-a-sequence", _DER, aaguid(der.sequence(der.octet_string(TEST_AAGUID.bytes))), BATCH),
    create("P11.byte-after-the-aaguid", _DER, aaguid(der.octet_string(TEST_AAGUID.bytes) + b"\0"), BATCH),
    create("P11.empty-aaguid-extension", _DER, aaguid(b""), BATCH),
    create(
        "P11.aaguid-twice",
        _DER,
        issued(extensions=[certificates.extension(OID_AAGUID, der.octet_string(TEST_AAGUID.bytes))]),
        BATCH,
    ),
    create(
        "P11.firmware-version",
        None,
        firmware(der.integer(7)),
        BATCH,
        lambda o: o.attestation.claims == {"firmware_version": 7},
    ),
    create("P11.critical-firmware-version", _CERTIFICATE, firmware(der.integer(7), critical=True), BATCH),
    create("P11.firmware-version-0", None, firmware(der.integer(0)), BATCH),
    create("P11.negative-firmware-version", _CERTIFICATE, firmware(der.integer(-1)), BATCH),
    create("P11.firmware-version-as-text", _DER, firmware(der.utf8_string("7")), BATCH),
)

_EARLY, _LATE = datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
_UNTRUSTED, _REQUIRED = Code.ATTESTATION_UNTRUSTED, Code.ATTESTATION_REQUIRED
TRUST: Final = (
    create("P12.expired", _UNTRUSTED, issued(not_after=_LATE), REJECTING),
    create("P12.not-yet-valid", _UNTRUSTED, issued(not_before=_EARLY), REJECTING),
    create("P12.expired-without-anchors", None, issued(not_after=_LATE), BATCH, lambda o: not o.trust.trusted),
    create(
        "P13-root-sent-along",
        None,
        certified(AttestationCertificate(_EXISTING.key, (*_EXISTING.x5c, AUTHORITY.root))),
        REQUIRED,
        lambda o: o.trust.trusted,
    ),
    create(
        "P13.root-sent-along-to-a-conformance-suite",
        _CERTIFICATE,
        certified(AttestationCertificate(_EXISTING.key, (*_EXISTING.x5c, AUTHORITY.root))),
        STRICT_BATCH,
    ),
    create("P14-self-signed-and-pinned", None, certified(_SELF_SIGNED), PINNED, lambda o: o.trust.trusted),
    create(
        "P16-self-attestation-where-trust-is-required", _REQUIRED, authenticator(attestation="packed-self"), REQUIRED
    ),
    create(
        "P16.untrusted-where-trust-is-required",
        _UNTRUSTED,
        certified(AttestationAuthority("evil").issue(TEST_AAGUID)),
        REQUIRED,
    ),
    create(
        "P16.self-attestation-where-paths-must-be-trusted", None, authenticator(attestation="packed-self"), REJECTING
    ),
    create("P16.none-where-paths-must-be-trusted", None, authenticator(attestation="none"), REJECTING),
)
CASES: Final = (*NONE, *STATEMENTS, *CERTIFICATES, *TRUST)
