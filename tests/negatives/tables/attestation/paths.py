"""Cases about certificate paths: from an attestation certificate to a configured anchor, or not.

Rows X01 to X14 and X19 to X21, as far as the format packed reaches them.
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from passkeycore import Code, TrustPolicy
from passkeycore.testing import (
    LEAF_SUBJECT,
    TEST_AAGUID,
    AttestationAuthority,
    AttestationCertificate,
    SoftwareKey,
    certificates,
    der,
)

from ...ceremonies import NOW, SEED, Replace, Setup
from ...harness import create
from .packed import attesting, certified, small_rsa_key

_BEFORE: Final = datetime(2025, 1, 1, tzinfo=UTC)
_AFTER: Final = datetime(2027, 1, 1, tzinfo=UTC)

ROOT: Final = AttestationAuthority(SEED)
MIDDLE: Final = AttestationAuthority(SEED, parent=ROOT)
LOWER: Final = AttestationAuthority(SEED, parent=MIDDLE, common_name="lower")
EVIL: Final = AttestationAuthority("evil")  # of the same name as the good one
EVIL_MIDDLE: Final = AttestationAuthority("evil", parent=EVIL)
SHORT: Final = AttestationAuthority(SEED, common_name="short", path_length=0)
SHA1: Final = AttestationAuthority(SEED, common_name="sha-1", algorithm=-65535)
EXPIRED: Final = AttestationAuthority(SEED, common_name="expired", not_after=_BEFORE)

GOOD: Final = ROOT.issue(TEST_AAGUID)
LONG: Final = LOWER.issue(TEST_AAGUID)
PINNED: Final = EVIL.issue(TEST_AAGUID)
PINNED_AND_EXPIRED: Final = EVIL.issue(TEST_AAGUID, not_after=_BEFORE)


def rooted(*anchors: bytes, certificate: AttestationCertificate = GOOD) -> Setup:
    """A path that has to lead to one of these anchors, and does."""
    return attesting(certificate, trust=TrustPolicy(anchors=anchors, require_trusted=True))


PATH: Final = rooted(ROOT.root)
LONG_PATH: Final = rooted(ROOT.root, certificate=LONG)
SHORT_PATH: Final = rooted(SHORT.root, certificate=SHORT.issue(TEST_AAGUID))
MIDDLE_ANCHORED: Final = rooted(MIDDLE.certificate, certificate=MIDDLE.issue(TEST_AAGUID))
WITH_PINS: Final = rooted(ROOT.root, PINNED.x5c[0], PINNED_AND_EXPIRED.x5c[0])
WITH_SHA1: Final = rooted(ROOT.root, SHA1.root)
WITH_EXPIRED: Final = rooted(ROOT.root, EXPIRED.root)
WITHOUT_ANCHORS: Final = attesting(GOOD)


def sending(certificate: AttestationCertificate, *x5c: bytes) -> Replace:
    """An authenticator with this certificate's key that sends these certificates."""
    return certified(AttestationCertificate(certificate.key, x5c))


def below(authority: AttestationAuthority, **changes: Any) -> Replace:
    """An authenticator that this authority certifies."""
    return certified(authority.issue(TEST_AAGUID, **changes))


def middle(**changes: Any) -> Replace:
    """An authenticator below an intermediate authority that is different in this."""
    return below(AttestationAuthority(SEED, parent=ROOT, common_name="different", **changes))


def _identifier(key: SoftwareKey) -> bytes:
    return sha256(key.spki()).digest()[:20]


def _issued_by(key: SoftwareKey) -> bytes:
    value = der.sequence(der.implicit(0, _identifier(key)))
    return certificates.extension(certificates.OID_AUTHORITY_KEY_IDENTIFIER, value)


def _identified_as(key: SoftwareKey) -> bytes:
    value = der.octet_string(_identifier(key))
    return certificates.extension(certificates.OID_SUBJECT_KEY_IDENTIFIER, value)


def _made(key: SoftwareKey, subject: bytes, issuer: AttestationAuthority, signer: SoftwareKey, *more: bytes) -> bytes:
    return certificates.certificate(
        subject=subject,
        subject_key=key,
        issuer=issuer.subject,
        issuer_key=signer,
        serial=7,
        extensions=more,
    )


def _impostors() -> Replace:
    """A path to a root that claims the name and the key identifier of the real one."""
    key = SoftwareKey.derive(SEED, -7, purpose="impostor")
    leaf = _made(key, _LEAF, ROOT, EVIL.key, certificates.basic_constraints(False), _issued_by(ROOT.key))
    root = _made(EVIL.key, ROOT.subject, ROOT, EVIL.key, certificates.basic_constraints(True), _identified_as(ROOT.key))
    return certified(AttestationCertificate(key, (leaf, root)))


def _below_a_leaf() -> Replace:
    """A certificate that an attestation key has signed, as if it were an authority's."""
    key = SoftwareKey.derive(SEED, -7, purpose="below a leaf")
    leaf = certificates.certificate(
        subject=_LEAF,
        subject_key=key,
        issuer=_LEAF,
        issuer_key=GOOD.key,
        serial=7,
        extensions=[certificates.basic_constraints(False)],
    )
    return certified(AttestationCertificate(key, (leaf, GOOD.x5c[0])))


def _below_an_rsa_key_of_1024_bits() -> Replace:
    weak, key = small_rsa_key(), SoftwareKey.derive(SEED, -7, purpose="below a weak key")
    subject = certificates.name({"CN": "weak"})
    authority = _made(weak, subject, ROOT, ROOT.key, certificates.basic_constraints(True))
    leaf = certificates.certificate(
        subject=_LEAF,
        subject_key=key,
        issuer=subject,
        issuer_key=weak,
        serial=7,
        extensions=[certificates.basic_constraints(False)],
    )
    return certified(AttestationCertificate(key, (leaf, authority)))


def _relabelled(authority: AttestationAuthority, algorithm: int) -> AttestationAuthority:
    """The same authority, which from now on signs under another algorithm."""
    authority.key = authority.key.with_algorithm(algorithm)
    return authority


def _with_off_curve_key(leaf: AttestationCertificate) -> Replace:
    certificate, spki = leaf.x5c[0], leaf.key.spki()
    return sending(leaf, certificate.replace(spki, spki[:-1] + bytes([spki[-1] ^ 1])))


_LEAF: Final = certificates.name(LEAF_SUBJECT)
_CRITICAL: Final = [certificates.extension("1.2.3.4", der.null(), critical=True)]
_UNCRITICAL: Final = [certificates.extension("1.2.3.4", der.null())]
# Only names below this one: permittedSubtrees with one directoryName.
_ELSEWHERE: Final = der.explicit(0, der.sequence(der.explicit(4, certificates.name({"O": "elsewhere"}))))
_CONSTRAINED: Final = [certificates.extension("2.5.29.30", der.sequence(_ELSEWHERE), critical=True)]
_SHA256, _SHA384 = der.oid("1.2.840.10045.4.3.2"), der.oid("1.2.840.10045.4.3.3")
_PEM: Final = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
_UNTRUSTED, _DER = Code.ATTESTATION_UNTRUSTED, Code.CERTIFICATE_MALFORMED

ANCHORS: Final = (
    create("X01-root-of-the-attacker-sent-along", _UNTRUSTED, sending(PINNED, *PINNED.x5c, EVIL.root), PATH),
    create("X01.both-roots-sent-along", _UNTRUSTED, sending(PINNED, *PINNED.x5c, EVIL.root, ROOT.root), PATH),
    create("X02-root-of-the-same-name", _UNTRUSTED, below(EVIL), PATH),
    create("X03-root-of-the-same-name-and-key-identifier", _UNTRUSTED, _impostors(), PATH),
    create("X04-authority-that-nobody-certified", _UNTRUSTED, below(EVIL_MIDDLE), PATH),
    create("X04.middle-as-the-anchor", None, below(MIDDLE, algorithm=-35), MIDDLE_ANCHORED, lambda o: o.trust.trusted),
    create("X05-no-anchors", None, below(EVIL), WITHOUT_ANCHORS, lambda o: not o.trust.trusted and not o.trust.path),
    create("X06.leaf-is-the-anchor", None, certified(PINNED), WITH_PINS, lambda o: o.trust.path == PINNED.x5c),
    create("X06.other-leaf-of-the-same-authority", _UNTRUSTED, below(EVIL, algorithm=-35), WITH_PINS),
    create("X06.below-a-leaf", _UNTRUSTED, _below_a_leaf(), rooted(GOOD.x5c[0])),
    create("X06.below-a-leaf-below-a-root", _UNTRUSTED, _below_a_leaf(), PATH),
)
PATHS: Final = (
    create("X07.authority-that-is-none", _UNTRUSTED, middle(ca=False), PATH),
    create("X07.authority-that-does-not-say", _UNTRUSTED, middle(ca=None), PATH),
    create("X07.authority-that-is-one", None, middle(), PATH, lambda o: len(o.trust.path) == 3),
    create(
        "X08-path-longer-than-the-root-allows", _UNTRUSTED, below(AttestationAuthority(SEED, parent=SHORT)), SHORT_PATH
    ),
    create("X09.critical-extension-that-nobody-knows", _UNTRUSTED, below(ROOT, extensions=_CRITICAL), PATH),
    create("X09.uncritical-extension-that-nobody-knows", None, below(ROOT, extensions=_UNCRITICAL), PATH),
    create("X09.critical-extension-of-an-authority", _UNTRUSTED, middle(extensions=_CRITICAL), PATH),
    create("X10-name-outside-the-constraints", _UNTRUSTED, middle(extensions=_CONSTRAINED), PATH),
    create("X11.another-order", None, sending(LONG, LONG.x5c[0], *reversed(LONG.x5c[1:])), LONG_PATH),
    create("X11.middle-twice", None, sending(LONG, *LONG.x5c, *LONG.x5c[1:]), LONG_PATH),
    create("X11.gap", _UNTRUSTED, sending(LONG, LONG.x5c[0], LONG.x5c[2]), LONG_PATH),
    create("X11.leaf-alone", _UNTRUSTED, sending(LONG, LONG.x5c[0]), LONG_PATH),
    create("X11.authority-first", Code.ATTESTATION_SIGNATURE_INVALID, sending(LONG, *reversed(LONG.x5c)), LONG_PATH),
    create("X12-64-certificates", Code.TOO_LARGE, sending(LONG, *(64 * LONG.x5c[1:])), LONG_PATH),
    create(
        "X13-two-signature-algorithms", _UNTRUSTED, sending(GOOD, _SHA384.join(GOOD.x5c[0].rsplit(_SHA256, 1))), PATH
    ),
    create("X14-authority-signed-with-sha-1", _UNTRUSTED, below(AttestationAuthority(SEED, parent=SHA1)), WITH_SHA1),
    create("X14.leaf-signed-with-sha-1", _UNTRUSTED, below(SHA1), WITH_SHA1),
    create(
        "X14.anchor-signed-with-sha-1",
        None,
        below(_relabelled(AttestationAuthority(SEED, common_name="sha-1", algorithm=-65535), -257)),
        WITH_SHA1,
    ),
    create("X14.signature-flipped", _UNTRUSTED, sending(GOOD, GOOD.x5c[0][:-1] + bytes([GOOD.x5c[0][-1] ^ 1])), PATH),
    create("X19-expired-anchor", _UNTRUSTED, below(EXPIRED), WITH_EXPIRED),
    create("X19.expired-pin", _UNTRUSTED, certified(PINNED_AND_EXPIRED), WITH_PINS),
    create("X19.expired-authority", _UNTRUSTED, middle(not_after=_BEFORE), PATH),
    create("X19.authority-not-yet-valid", _UNTRUSTED, middle(not_before=_AFTER), PATH),
    create("X19.last-moment", None, below(ROOT, not_after=NOW), PATH),
    create("X19.first-moment", None, below(ROOT, not_before=NOW), PATH),
)
BYTES: Final = (
    create("X20-byte-after-the-certificate", _DER, sending(GOOD, GOOD.x5c[0] + b"\0"), PATH),
    create("X20.certificate-cut-short", _DER, sending(GOOD, GOOD.x5c[0][:-1]), PATH),
    create("X20.certificate-in-pem", _DER, sending(GOOD, _PEM), PATH),
    create("X20.empty-certificate", _DER, sending(GOOD, b""), PATH),
    create("X20.indefinite-length", _DER, sending(GOOD, b"\x30\x80" + GOOD.x5c[0][4:] + b"\0\0"), PATH),
    create(
        "X20.byte-after-an-authority",
        _UNTRUSTED,
        sending(LONG, LONG.x5c[0], LONG.x5c[1] + b"\0", LONG.x5c[2]),
        LONG_PATH,
    ),
    create("X20.authority-that-is-no-certificate", _UNTRUSTED, sending(LONG, LONG.x5c[0], b"nothing"), LONG_PATH),
    create("X21.key-off-the-curve", _DER, _with_off_curve_key(GOOD), PATH),
    create("X21.authority-with-1024-bits", _UNTRUSTED, _below_an_rsa_key_of_1024_bits(), PATH),
    create("X21.authority-on-secp256k1", _UNTRUSTED, middle(algorithm=-47), PATH),
    create("X21.leaf-on-secp256k1", _UNTRUSTED, below(ROOT, algorithm=-47), PATH),
    create("X21.authority-on-p-384", None, middle(algorithm=-35), PATH),
)
CASES: Final = (*ANCHORS, *PATHS, *BYTES)
