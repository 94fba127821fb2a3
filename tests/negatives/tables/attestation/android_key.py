"""Cases about attestation: the format android-key. Rows K1 to K9, K16 and K17; the others are about trust.

Where a certificate, or what stands in it, is changed, it is issued and signed anew.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from passkeycore import Code, Policy, RegistrationOutcome, TrustPolicy, conformance
from passkeycore.testing import (
    AttestationAuthority,
    SoftwareKey,
    Tamper,
    certificates,
    der,
)
from passkeycore.testing.statements import android_key_maker
from passkeycore.testing.statements.android_key import (
    HARDWARE_ENFORCED,
    OID_KEY_DESCRIPTION,
    SOFTWARE_ENFORCED,
    authorizations,
    key_description,
    keystore_certificate,
)

from ...ceremonies import SEED, Json, Replace, Setup, authenticator
from ...harness import create
from .packed import AUTHORITY, DIRECT, OTHER_KEY, stated

MIDDLE: Final = AttestationAuthority(SEED, parent=AUTHORITY)
SIGNING: Final = {1: der.set_of(der.integer(2))}
GENERATED: Final = {702: der.integer(0)}
LEVELS: Final = Policy(android_key_require_hardware=True)
STRONGBOX: Final = Policy(android_key_require_strongbox=True)
EMPTY: Final = Policy(danger_allow_empty_android_key_lists=True)
ANY_ORDER: Final = Policy(android_key_tag_order="any")


def keystore(policy: Policy | None = None, **description: Any) -> Setup:
    """A device whose key is described like this, and a server with this policy."""
    maker = android_key_maker(AUTHORITY, describe=partial(key_description, **description))
    rp: dict[str, Any] = {"trust": TrustPolicy(anchors=(AUTHORITY.root,), require_trusted=True)}
    return Setup(options=DIRECT, authenticator={"attestation": maker}, rp=rp | ({"policy": policy} if policy else {}))


USUAL: Final = keystore()
REQUIRED: Final = keystore(LEVELS)
IN_STRONGBOX: Final = keystore(STRONGBOX, security_level=2, keymint_security_level=2)
ONLY_SIGN: Final = keystore(conformance())
UNORDERED: Final = keystore(ANY_ORDER)
OPTED_IN: Final = keystore(EMPTY)
BELOW: Final = Setup(options=DIRECT, authenticator={"attestation": android_key_maker(MIDDLE)})


def described(**changes: Any) -> Replace:
    """A device whose key is described with these changes."""
    return authenticator(attestation=android_key_maker(AUTHORITY, describe=partial(key_description, **changes)))


def edited(edit: Callable[[bytes], bytes]) -> Replace:
    """A device whose key description has its bytes changed."""
    maker = android_key_maker(AUTHORITY, describe=lambda challenge: edit(key_description(challenge)))
    return authenticator(attestation=maker)


def instead(value: bytes) -> Replace:
    """A device whose certificate has this extension instead of a key description."""
    return edited(lambda _: value)


def hardware(**changes: bytes | None) -> Replace:
    """A device whose trusted environment enforces other values, by tag; None removes one."""
    return described(hardware=changed(HARDWARE_ENFORCED, changes))


def changed(members: Mapping[int, bytes], changes: Mapping[str, bytes | None]) -> Mapping[int, bytes]:
    """An authorization list with these values instead, in ascending order; `_702` means the tag 702."""
    merged = {**members, **{int(tag[1:]): value for tag, value in changes.items()}}
    return {tag: value for tag, value in sorted(merged.items()) if value is not None}


def moved(*tags: int) -> Replace:
    """A device on which Android, instead of the trusted environment, enforces these."""
    kept = {tag: value for tag, value in HARDWARE_ENFORCED.items() if tag not in tags}
    taken = {tag: HARDWARE_ENFORCED[tag] for tag in tags}
    return described(software=dict(sorted({**SOFTWARE_ENFORCED, **taken}.items())), hardware=kept)


def software(**changes: bytes | None) -> Replace:
    """A device on which Android enforces other values, by tag."""
    return described(software=changed(SOFTWARE_ENFORCED, changes))


def listed(*members: bytes) -> Replace:
    """A device whose trusted environment enforces exactly these encoded members."""
    return described(hardware=der.sequence(*members))


def below_the_key(key: SoftwareKey, *extensions: bytes) -> Replace:
    """A device that certifies with a key of the Keystore, as if that were an authority's."""
    return authenticator(attestation=android_key_maker(keystore_certificate(AUTHORITY, key, extensions)))


def sent_along(*certificates: bytes) -> Tamper:
    """A statement with further certificates at the end of the path."""

    def change(attestation: Json) -> Json:
        statement = attestation["attStmt"]
        return attestation | {"attStmt": statement | {"x5c": [*statement["x5c"], *certificates]}}

    return Tamper(attestation=change)


def claiming(**expected: object) -> Callable[[RegistrationOutcome], bool]:
    """The statement makes these claims; None means that it does not make the claim."""
    return lambda outcome: {name: outcome.attestation.claims.get(name) for name in expected} == expected


def _indefinite(description: bytes) -> bytes:
    return b"\x30\x80" + _content(description) + b"\0\0"


def _content(description: bytes) -> bytes:
    return description[4 if description[1] == 0x82 else 3 :]


def _long_length(description: bytes) -> bytes:
    content = _content(description)
    return b"\x30\x83" + len(content).to_bytes(3, "big") + content


def _extension(description: bytes) -> bytes:
    return certificates.extension(OID_KEY_DESCRIPTION, description)


def _replaced(old: bytes, new: bytes) -> Replace:
    """A device whose key description has the members after the outer length changed; the length is written anew."""
    return edited(lambda description: der.sequence(_content(description).replace(old, new, 1)))


def _described_authority(description: bytes) -> Replace:
    middle = AttestationAuthority(SEED, parent=AUTHORITY, extensions=[_extension(description)])
    return authenticator(attestation=android_key_maker(middle))


def _started(key: bytes = b"", locked: bytes = der.boolean(True), state: bytes = der.enumerated(0)) -> bytes:
    """A RootOfTrust as before attestation version 3, without a hash."""
    return der.sequence(der.octet_string(key), locked, state)


_EXPLICIT_ORIGIN: Final = der.explicit(702, der.integer(0))
_EXPLICIT_PURPOSE: Final = der.explicit(1, der.set_of(der.integer(2)))
_SHUFFLED: Final = authorizations([(702, der.integer(0)), *SIGNING.items(), (705, der.integer(1))])
_EXISTING: Final = key_description(bytes(32))
_UNKNOWN: Final = [der.explicit(tag, der.octet_string(b"x")) for tag in (800, 16_383, 16_384, 2_000_000)]
_STATEMENT: Final = Code.ATTESTATION_STATEMENT_INVALID
_CERTIFICATE, _SIGNATURE = Code.ATTESTATION_CERTIFICATE_INVALID, Code.ATTESTATION_SIGNATURE_INVALID
_DER, _LEVEL, _LISTS = Code.CERTIFICATE_MALFORMED, Code.SECURITY_LEVEL_INSUFFICIENT, Code.ANDROID_KEY_LISTS_EMPTY

STATEMENTS: Final = (
    create(
        "K1-certificate-for-another-key",
        _STATEMENT,
        authenticator(attestation=android_key_maker(AUTHORITY, key=OTHER_KEY)),
        USUAL,
    ),
    create("K1.signature-by-another-key", _SIGNATURE, Tamper(sign=lambda _, m: OTHER_KEY.sign(m)), USUAL),
    create("K1.signature-over-the-hash-first", _SIGNATURE, Tamper(sign=lambda k, m: k.sign(m[-32:] + m[:-32])), USUAL),
    create("K1.signature-empty", _SIGNATURE, stated(sig=b""), USUAL),
    create("K1.signature-as-text", _STATEMENT, stated(sig="text"), USUAL),
    create("K1.signature-missing", _STATEMENT, stated(sig=...), USUAL),
    create("K1.algorithm-missing", _STATEMENT, stated(alg=...), USUAL),
    create("K1.algorithm-true", _STATEMENT, stated(alg=True), USUAL),
    create("K1.algorithm-as-a-list", _STATEMENT, stated(alg=[-7]), USUAL),
    create("K1.algorithm-of-another-type", _STATEMENT, stated(alg=-257), USUAL),
    create("K1.another-name-of-the-algorithm", None, stated(alg=-9), USUAL),
    create("K1.certificates-missing", _STATEMENT, stated(x5c=...), USUAL),
    create("K1.certificates-empty", _STATEMENT, stated(x5c=[]), USUAL),
    create("K1.certificate-of-nothing", _DER, stated(x5c=[b""]), USUAL),
    create("K1.9-certificates", Code.TOO_LARGE, stated(x5c=9 * [b""]), USUAL),
    create("K1.unknown-member", None, stated(x=1), USUAL),
    create("K1.strict-unknown-member", _STATEMENT, stated(x=1), ONLY_SIGN),
    create("K2-challenge-of-another-registration", _STATEMENT, edited(lambda _: _EXISTING), USUAL),
    create("K2.challenge-empty", _STATEMENT, edited(lambda _: key_description(b"")), USUAL),
    create("K2.challenge-cut-short", _STATEMENT, edited(lambda d: key_description(_content(d)[16:47])), USUAL),
    create("K17-rsa-key", None, authenticator(algorithms=(-257,)), USUAL),
    create("K17.p-384-key", None, authenticator(algorithms=(-35,)), USUAL),
    create("K17.ed25519-key", None, authenticator(algorithms=(-8,)), USUAL),
)

DESCRIPTIONS: Final = (
    create(
        "K3-no-key-description",
        _CERTIFICATE,
        authenticator(attestation=android_key_maker(AUTHORITY, describe=None)),
        USUAL,
    ),
    create(
        "K3.twice",
        _DER,
        authenticator(attestation=android_key_maker(AUTHORITY, extensions=[_extension(_EXISTING)])),
        USUAL,
    ),
    create("K3.empty", _DER, instead(b""), USUAL),
    create("K3.set-instead-of-a-sequence", _DER, edited(lambda d: b"\x31" + d[1:]), USUAL),
    create("K3.octet-string-around-it", _DER, edited(der.octet_string), USUAL),
    create("K3.byte-after-it", _DER, edited(lambda d: d + b"\0"), USUAL),
    create("K3.cut-short", _DER, edited(lambda d: d[:-1]), USUAL),
    create("K3.member-after-the-lists", _DER, edited(lambda d: der.sequence(_content(d) + der.null())), USUAL),
    create("K3.version-0", _CERTIFICATE, described(version=0), USUAL),
    create("K3.version-negative", _DER, described(version=-1), USUAL),
    create("K3.version-of-33-bits", _DER, described(version=2**32), USUAL),
    create("K3.keymint-version-negative", _DER, described(keymint_version=-1), USUAL),
    *(
        create(f"K3.version-{version}", None, described(version=version), USUAL, claiming(attestation_version=version))
        for version in (1, 2, 3, 4, 100, 200, 400)
    ),
    create("K3.version-nobody-knows-yet", None, described(version=500), USUAL),
    create("K3.levels-as-integers", _DER, described(level=der.integer), USUAL),
    create("K3.level-unknown", _DER, described(security_level=3), USUAL),
    create("K3.keymint-level-unknown", _DER, described(keymint_security_level=3), USUAL),
    create("K3.level-of-two-bytes", _DER, described(level=lambda n: der.element(b"\x0a", bytes([0, n]))), USUAL),
    create("K3.level-empty", _DER, described(level=lambda _: der.element(b"\x0a", b"")), USUAL),
    create(
        "K3.version-of-too-many-bytes", _DER, _replaced(der.integer(300), der.element(b"\x02", b"\x00\x01\x2c")), USUAL
    ),
    create(
        "K3.list-as-a-set", _DER, described(hardware=b"\x31" + authorizations(HARDWARE_ENFORCED.items())[1:]), USUAL
    ),
)

AUTHORIZATIONS: Final = (
    create("K4-for-all-applications-says-the-hardware", _STATEMENT, hardware(_600=der.null()), USUAL),
    create("K4.for-all-applications-says-android", _STATEMENT, software(_600=der.null()), USUAL),
    create(
        "K4.for-all-applications-says-android-where-hardware-counts", _STATEMENT, software(_600=der.null()), REQUIRED
    ),
    create("K4.with-another-value", _STATEMENT, hardware(_600=der.boolean(False)), USUAL),
    create("K4.beside-lists-that-are-empty", _STATEMENT, described(software={600: der.null()}, hardware={}), OPTED_IN),
    create("K5-imported", _STATEMENT, hardware(_702=der.integer(2)), USUAL),
    create("K5.derived", _STATEMENT, hardware(_702=der.integer(1)), USUAL),
    create("K5.no-origin", _STATEMENT, hardware(_702=None), USUAL),
    create("K5.origin-only-in-software", None, moved(702), USUAL, claiming(origin="generated")),
    create("K5.origin-only-in-software-where-hardware-counts", _STATEMENT, moved(702), REQUIRED),
    create("K5.lists-contradict", _STATEMENT, software(_702=der.integer(2)), USUAL),
    create("K5.lists-agree", None, software(_702=der.integer(0)), USUAL),
    create("K5.lists-contradict-where-hardware-counts", None, software(_702=der.integer(2)), REQUIRED),
    create("K5.origin-null", _DER, hardware(_702=der.null()), USUAL),
    create("K5.origin-negative", _DER, hardware(_702=der.integer(-1)), USUAL),
    create("K5.origin-of-33-bits", _DER, hardware(_702=der.integer(2**32)), USUAL),
    create("K5.origin-of-two-bytes", _DER, hardware(_702=der.element(b"\x02", b"\0\0")), USUAL),
    create("K5.two-origins", _DER, hardware(_702=der.integer(0) + der.integer(2)), USUAL),
    create("K6-not-for-signing", _STATEMENT, hardware(_1=der.set_of(der.integer(3))), USUAL),
    create("K6.no-purpose", _STATEMENT, hardware(_1=None), USUAL),
    create("K6.purposes-empty", _STATEMENT, hardware(_1=der.set_of()), USUAL),
    create(
        "K6.further-purposes",
        None,
        hardware(_1=der.set_of(der.integer(2), der.integer(3), der.integer(8))),
        USUAL,
        claiming(purposes=("sign", "verify", "8")),
    ),
    create("K6.strict-further-purpose", _STATEMENT, hardware(_1=der.set_of(der.integer(2), der.integer(3))), ONLY_SIGN),
    create("K6.purpose-only-in-software", None, moved(1), USUAL),
    create("K6.purpose-only-in-software-where-hardware-counts", _STATEMENT, moved(1), REQUIRED),
    create("K6.lists-contradict", _STATEMENT, software(_1=der.set_of(der.integer(2), der.integer(3))), USUAL),
    create("K6.purpose-not-in-a-set", _DER, hardware(_1=der.integer(2)), USUAL),
    create("K6.purposes-out-of-order", _DER, hardware(_1=der.element(b"\x31", der.integer(3) + der.integer(2))), USUAL),
    create("K6.purpose-enumerated", _DER, hardware(_1=der.set_of(der.enumerated(2))), USUAL),
    create("K6.purpose-negative", _DER, hardware(_1=der.set_of(der.integer(2), der.integer(-1))), USUAL),
    create(
        "K7-origin-inside-an-application-id",
        _STATEMENT,
        described(software={709: der.octet_string(_EXPLICIT_ORIGIN)}, hardware=SIGNING),
        USUAL,
    ),
    create(
        "K7.purpose-inside-an-application-id",
        _STATEMENT,
        described(software={709: der.octet_string(_EXPLICIT_PURPOSE)}, hardware=GENERATED),
        USUAL,
    ),
    create(
        "K7.all-applications-inside-an-application-id",
        None,
        software(_709=der.octet_string(der.explicit(600, der.null()))),
        USUAL,
    ),
    create("K7.origin-inside-another-member", _STATEMENT, hardware(_702=None, _724=_EXPLICIT_ORIGIN), USUAL),
)

LEVEL: Final = (
    create("K8-attested-by-software", _LEVEL, described(security_level=0), REQUIRED),
    create("K8.kept-by-software", _LEVEL, described(keymint_security_level=0), REQUIRED),
    create(
        "K8.attested-outside-of-a-strongbox",
        _LEVEL,
        described(security_level=1, keymint_security_level=2),
        IN_STRONGBOX,
    ),
    create(
        "K8.kept-outside-of-a-strongbox", _LEVEL, described(security_level=2, keymint_security_level=1), IN_STRONGBOX
    ),
    create(
        "K8.in-a-strongbox",
        None,
        described(security_level=2, keymint_security_level=2),
        REQUIRED,
        claiming(security_level="strongbox"),
    ),
    create(
        "K8.by-software-where-nobody-minds",
        None,
        described(security_level=0, keymint_security_level=0),
        USUAL,
        claiming(security_level="software", keymint_security_level="software"),
    ),
    create(
        "K8.purpose-only-in-software-where-strongbox-counts",
        _STATEMENT,
        described(security_level=2, keymint_security_level=2, software=SIGNING, hardware=GENERATED),
        IN_STRONGBOX,
    ),
    create("K8.lists-empty", _LISTS, described(software={}, hardware={}), USUAL),
    create(
        "K8.lists-empty-after-opting-in",
        None,
        described(software={}, hardware={}),
        OPTED_IN,
        claiming(attestation_version=300, origin=None, purposes=None),
    ),
    create(
        "K8.lists-without-a-known-member-after-opting-in",
        _STATEMENT,
        described(software={}, hardware={800: der.null()}),
        OPTED_IN,
    ),
    create("K8.hardware-list-empty-after-opting-in", _STATEMENT, described(hardware={}), OPTED_IN),
    create(
        "K8.everything-in-software",
        None,
        described(software=HARDWARE_ENFORCED, hardware={}),
        USUAL,
        claiming(os_version=150_000),
    ),
)

CLAIMS: Final = (
    create(
        "K8.claims",
        None,
        described(version=301),
        USUAL,
        claiming(
            keymint_security_level="trusted_environment",
            purposes=("sign",),
            os_version=150_000,
            os_patch_level=202_601,
            verified_boot_state="verified",
            device_locked=True,
        ),
    ),
    create(
        "K8.claims-without-a-root-of-trust",
        None,
        hardware(_704=None),
        USUAL,
        claiming(os_version=150_000, verified_boot_state=None, device_locked=None),
    ),
    create(
        "K8.claims-of-a-device-that-is-unlocked",
        None,
        hardware(_704=_started(locked=der.boolean(False), state=der.enumerated(2))),
        USUAL,
        claiming(verified_boot_state="unverified", device_locked=False),
    ),
    create(
        "K8.claims-of-both-lists",
        None,
        software(_705=der.integer(1), _706=der.integer(1)),
        USUAL,
        claiming(os_version=150_000, os_patch_level=202_601),
    ),
    create(
        "K8.boot-state-unknown",
        _DER,
        hardware(_704=_started(state=der.enumerated(4))),
        USUAL,
    ),
    create(
        "K8.boot-state-as-an-integer",
        _DER,
        hardware(_704=_started(state=der.integer(0))),
        USUAL,
    ),
    create(
        "K8.device-locked-of-another-byte",
        _DER,
        hardware(_704=_started(locked=b"\x01\x01\x01")),
        USUAL,
    ),
    create("K8.root-of-trust-of-1024-bytes", None, hardware(_704=_started(bytes(1010))), USUAL),
    create("K8.root-of-trust-of-1025-bytes", _DER, hardware(_704=_started(bytes(1011))), USUAL),
    create("K8.patch-level-as-text", _DER, hardware(_706=der.utf8_string("202601")), USUAL),
)

CHAINS: Final = (
    create(
        "K9-certified-with-a-key-of-the-keystore", _CERTIFICATE, below_the_key(OTHER_KEY, _extension(_EXISTING)), USUAL
    ),
    create("K9.authority-with-a-key-description", _CERTIFICATE, _described_authority(_EXISTING), BELOW),
    create("K9.authority-with-one-that-cannot-be-read", _CERTIFICATE, _described_authority(b""), BELOW),
    create(
        "K9.certified-with-a-key-that-is-not-described", Code.ATTESTATION_UNTRUSTED, below_the_key(OTHER_KEY), USUAL
    ),
    create("K9.authority-that-is-no-certificate", _DER, sent_along(b"nothing"), USUAL),
    create("K9.root-sent-along", None, sent_along(AUTHORITY.root), USUAL),
    create("K9.strict-root-sent-along", _CERTIFICATE, sent_along(AUTHORITY.root), ONLY_SIGN),
)

ORDER: Final = (
    create("K16-tags-out-of-order", _CERTIFICATE, described(hardware=_SHUFFLED), USUAL),
    create(
        "K16.tags-of-android-out-of-order",
        _CERTIFICATE,
        described(software={tag: SOFTWARE_ENFORCED[tag] for tag in (709, 701)}),
        USUAL,
    ),
    create("K16.tags-out-of-order-where-any-will-do", None, described(hardware=_SHUFFLED), UNORDERED),
    create("K16.tag-twice", _CERTIFICATE, listed(_EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN, _EXPLICIT_ORIGIN), USUAL),
    create(
        "K16.tag-twice-where-any-order-will-do",
        _CERTIFICATE,
        listed(_EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN, der.explicit(702, der.integer(2))),
        UNORDERED,
    ),
    create(
        "K16.unknown-tag-twice",
        _CERTIFICATE,
        listed(_EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN, _UNKNOWN[0], _UNKNOWN[0]),
        USUAL,
    ),
    create("K16.unknown-tags", None, listed(_EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN, *_UNKNOWN), USUAL),
    create("K16.tag-0", None, listed(der.explicit(0), _EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN), USUAL),
    create(
        "K16.unknown-tags-out-of-order",
        _CERTIFICATE,
        listed(_EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN, _UNKNOWN[2], _UNKNOWN[1]),
        USUAL,
    ),
    create(
        "K16.unknown-member-of-10000-bytes",
        None,
        listed(_EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN, der.explicit(800, bytes(10_000))),
        USUAL,
    ),
    create("K16.tag-in-too-many-bytes", _DER, _replaced(b"\xbf\x85\x3e", b"\xbf\x80\x85\x3e"), USUAL),
    create("K16.low-tag-in-the-long-form", _DER, listed(b"\xbf\x01" + _EXPLICIT_PURPOSE[1:], _EXPLICIT_ORIGIN), USUAL),
    create(
        "K16.tag-of-40-bits",
        _DER,
        listed(_EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN, b"\xbf\x81\x80\x80\x80\x80\x00\x00"),
        USUAL,
    ),
    create(
        "K16.origin-without-a-tag-of-its-own", _DER, listed(_EXPLICIT_PURPOSE, _EXPLICIT_ORIGIN, der.integer(0)), USUAL
    ),
    create(
        "K16.all-applications-under-a-primitive-tag",
        _DER,
        listed(_EXPLICIT_PURPOSE, der.implicit(600, b""), _EXPLICIT_ORIGIN),
        USUAL,
    ),
    create("K16.private-tag", _DER, listed(_EXPLICIT_PURPOSE, b"\xff" + _EXPLICIT_ORIGIN[1:]), USUAL),
    create("K16.indefinite-length", _DER, edited(_indefinite), USUAL),
    create(
        "K16.indefinite-length-of-a-list",
        _DER,
        described(hardware=b"\x30\x80" + _EXPLICIT_PURPOSE + _EXPLICIT_ORIGIN + b"\0\0"),
        USUAL,
    ),
    create(
        "K16.indefinite-length-of-a-member",
        _DER,
        listed(_EXPLICIT_PURPOSE, b"\xbf\x85\x3e\x80\x02\x01\x00\x00\x00"),
        USUAL,
    ),
    create("K16.length-in-too-many-bytes", _DER, edited(_long_length), USUAL),
    create(
        "K16.length-of-a-member-in-too-many-bytes",
        _DER,
        listed(_EXPLICIT_PURPOSE, b"\xbf\x85\x3e\x81\x03\x02\x01\x00"),
        USUAL,
    ),
    create(
        "K16.length-of-an-origin-in-too-many-bytes",
        _DER,
        listed(_EXPLICIT_PURPOSE, der.explicit(702, b"\x02\x81\x01\x00")),
        USUAL,
    ),
)

CASES: Final = (*STATEMENTS, *DESCRIPTIONS, *AUTHORIZATIONS, *LEVEL, *CLAIMS, *CHAINS, *ORDER)
