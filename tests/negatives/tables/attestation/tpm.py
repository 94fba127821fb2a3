"""Cases about attestation: the format tpm, its structures and the certificate of its attestation key.

Rows T1 to T18. A changed structure is certified and signed like a right one, so only the named check can stop it.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from passkeycore import Code, Policy, RegistrationOutcome, TrustPolicy, conformance
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    AttestationCertificate,
    AttestationRequest,
    CborValue,
    SoftwareKey,
    StatementMaker,
    Tamper,
    certificates,
    der,
    tpm_certificate,
    tpm_maker,
)
from passkeycore.testing.statements.tpm import TPM_NAMES, sized, tpm, tpm_alternative_name, tpm_pub_area

from ...ceremonies import SEED, Json, Replace, Setup, authenticator
from ...harness import create

MANUFACTURER, MODEL, VERSION = TPM_NAMES
AUTHORITY: Final = AttestationAuthority(SEED)
AIK: Final = tpm_certificate(AUTHORITY, TEST_AAGUID)
CREDENTIAL_KEY: Final = SoftwareKey.derive(SEED, -7, purpose="credential key")
OTHER_KEY: Final = SoftwareKey.derive(SEED, -7, purpose="key of another TPM")
OTHER_RSA_KEY: Final = SoftwareKey.derive(SEED, -257, purpose="credential key", index=1)
ES256K_KEY: Final = SoftwareKey.derive(SEED, -47, purpose="credential key")
SHA1: Final = b"\x00\x04"
SHA256: Final = b"\x00\x0b"
ECDSA: Final = b"\x00\x18"
RSASSA: Final = b"\x00\x14"
RSAPSS: Final = b"\x00\x16"


def attesting(algorithm: int = -7, certificate: AttestationCertificate = AIK, **rp: Any) -> Setup:
    """A TPM with credential keys of this algorithm, which attests with this certificate."""
    return Setup(
        options={"attestation": "direct"},
        rp=rp,
        authenticator={"attestation": tpm_maker(certificate), "algorithms": (algorithm,)},
    )


def named(**names: str) -> bytes:
    """An alternative name in which manufacturer, model or version are these; empty ones are left out."""
    types = {"manufacturer": MANUFACTURER, "model": MODEL, "version": VERSION}
    changed = {**TPM_NAMES, **{types[name]: text for name, text in names.items()}}
    return tpm_alternative_name({type: text for type, text in changed.items() if text})


BATCH: Final = attesting()
STRICT: Final = attesting(policy=conformance())
LISTED: Final = attesting(
    certificate=tpm_certificate(AUTHORITY, TEST_AAGUID, alternative_name=named(manufacturer="id:414D4400")),
    policy=Policy(tpm_vendor="listed"),
)
LISTED_OR_TEST: Final = attesting(policy=Policy(tpm_vendor="listed_or_test"))
ONE_NAME: Final = attesting(policy=Policy(tpm_names="one"))
OLD: Final = attesting(policy=Policy(danger_allow_rs1=True))
RSA: Final = attesting(-257)
PSS: Final = attesting(-37)
P384: Final = attesting(-35)
ED25519: Final = Setup(
    options={"attestation": "direct"}, authenticator={"attestation": "packed-self", "algorithms": (-8,)}
)
ES256K: Final = Setup(
    options={"attestation": "direct"}, authenticator={"attestation": "packed-self", "algorithms": (-47,)}
)
REJECTING: Final = attesting(trust=TrustPolicy(anchors=(AUTHORITY.root,), untrusted="reject"))


def made_by(maker: StatementMaker) -> Replace:
    """An authenticator with this maker of statements instead."""
    return authenticator(attestation=maker)


def area(key: SoftwareKey | None = None, /, **changes: bytes) -> Replace:
    """A TPM whose TPMT_PUBLIC has these fields instead, or is that of another key."""
    return made_by(tpm_maker(AIK, pub_area=changes, key=key))


def info(**changes: bytes) -> Replace:
    """A TPM whose TPMS_ATTEST has these fields instead."""
    return made_by(tpm_maker(AIK, cert_info=changes))


def computed(
    fields: Callable[[bytes, bytes], Mapping[str, bytes]], certificate: AttestationCertificate = AIK
) -> Replace:
    """A TPM whose TPMS_ATTEST has these fields instead, computed from what is attested and from the TPMT_PUBLIC."""

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        attested = request.authenticator_data + request.client_data_hash
        changes = fields(attested, tpm_pub_area(request.credential_key))
        return "tpm", tpm(certificate, request, cert_info=changes)

    return made_by(make)


def extra(hash: Callable[[bytes], Any], certificate: AttestationCertificate = AIK) -> Replace:
    """A TPM that was asked to sign along another hash of what is attested."""
    return computed(lambda attested, _: {"extraData": sized(hash(attested).digest())}, certificate)


def name(algorithm: bytes, hash: Callable[[bytes], Any]) -> Replace:
    """A TPM that names the key by another hash."""
    return computed(lambda _, public: {"name": sized(algorithm + hash(public).digest())})


def certified(certificate: AttestationCertificate) -> Replace:
    """A TPM that attests with this certificate instead."""
    return made_by(tpm_maker(certificate))


def issued(aaguid: Any = TEST_AAGUID, /, **changes: Any) -> Replace:
    """A TPM whose certificate was issued with these changes."""
    return certified(tpm_certificate(AUTHORITY, aaguid, **changes))


def alternative(value: bytes | None) -> Replace:
    """A TPM whose certificate has this alternative name."""
    return issued(alternative_name=value)


def names(**changes: str) -> Replace:
    """A TPM of another manufacturer, model or version."""
    return alternative(named(**changes))


def written(model: bytes) -> Replace:
    """A TPM whose model is this DER element."""
    attributes = (
        der.sequence(der.oid(MANUFACTURER), der.utf8_string("id:414D4400")),
        der.sequence(der.oid(MODEL), model),
        der.sequence(der.oid(VERSION), der.utf8_string("id:13")),
    )
    return alternative(der.sequence(der.explicit(4, der.sequence(der.set_of(*attributes)))))


def attested_by(algorithm: int) -> Replace:
    """A TPM whose attestation key is one for this algorithm."""
    return issued(key=SoftwareKey.derive(SEED, algorithm, purpose="attestation key"))


def stated(**members: Any) -> Tamper:
    """A statement with these members instead; `...` leaves one out. Signed before."""

    def change(attestation: Json) -> Json:
        made = attestation["attStmt"] | members
        return attestation | {"attStmt": {member: value for member, value in made.items() if value is not ...}}

    return Tamper(attestation=change)


def model(text: str) -> Callable[[RegistrationOutcome], bool]:
    """The model is told as this text."""
    return lambda o: o.attestation.claims["tpm_model"] == text


def plain(outcome: RegistrationOutcome) -> bool:
    """The result of a plain statement."""
    return outcome.attestation.type == "attca" and outcome.attestation.claims == {
        "tpm_manufacturer": "id:FFFFF1D0",
        "tpm_model": "passkeycore",
        "tpm_version": "id:00010002",
    }


def coordinates(key: SoftwareKey) -> tuple[bytes, bytes]:
    """The coordinates of the key's point."""
    x, y = key.cose_map()[-2], key.cose_map()[-3]
    if not isinstance(x, bytes) or not isinstance(y, bytes):
        raise TypeError(key.algorithm)
    return x, y


_X, _Y = coordinates(CREDENTIAL_KEY)
_K_X, _K_Y = coordinates(ES256K_KEY)
_SEPARATE: Final = tpm_alternative_name(*({type: text} for type, text in TPM_NAMES.items()))
_DIRECTORY: Final = tpm_alternative_name(TPM_NAMES)[2:]  # the sequence taken off
_HARDWARE_MODULE: Final = der.explicit(0, der.oid("1.3.6.1.5.5.7.8.4"), der.explicit(0, der.sequence()))
_AIK_PURPOSE, _OTHER_PURPOSE = der.oid("2.23.133.8.3"), der.oid("2.23.133.8.1")
_EARLY, _LATE = datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
_RS1_AIK: Final = tpm_certificate(AUTHORITY, TEST_AAGUID, algorithm=-65535)
_ED25519_AIK: Final = tpm_certificate(AUTHORITY, TEST_AAGUID, algorithm=-8)
_P384_AIK: Final = tpm_certificate(AUTHORITY, TEST_AAGUID, algorithm=-35)
_STATEMENT, _CERTIFICATE = Code.ATTESTATION_STATEMENT_INVALID, Code.ATTESTATION_CERTIFICATE_INVALID
_SIGNATURE, _DER, _UNTRUSTED = (
    Code.ATTESTATION_SIGNATURE_INVALID,
    Code.CERTIFICATE_MALFORMED,
    Code.ATTESTATION_UNTRUSTED,
)

MEMBERS: Final = (
    create("T1-version-1.2", _STATEMENT, stated(ver="1.2"), BATCH),
    create("T1.version-in-bytes", _STATEMENT, stated(ver=b"2.0"), BATCH),
    create("T1.version-2", _STATEMENT, stated(ver=2), BATCH),
    create("T1.version-with-a-blank", _STATEMENT, stated(ver="2.0 "), BATCH),
    create("T1.version-missing", _STATEMENT, stated(ver=...), BATCH),
    create("T1.statement-as-a-list", _STATEMENT, Tamper(attestation=lambda a: a | {"attStmt": []}), BATCH),
    create("T1.unknown-member", None, stated(ecdaaKeyId=b"id"), BATCH, plain),
    create("T1.strict-unknown-member", _STATEMENT, stated(ecdaaKeyId=b"id"), STRICT),
    create("T1.no-certificates", _STATEMENT, stated(x5c=[]), BATCH),
    create("T1.certificates-missing", _STATEMENT, stated(x5c=...), BATCH),
    create("T1.9-certificates", Code.TOO_LARGE, stated(x5c=9 * [AIK.x5c[0]]), BATCH),
    create("T1.certificate-malformed", _DER, stated(x5c=[AIK.x5c[0] + b"\0"]), BATCH),
    create("T1.signature-as-text", _STATEMENT, stated(sig="text"), BATCH),
    create("T1.certified-as-text", _STATEMENT, stated(certInfo="text"), BATCH),
    create("T1.key-as-text", _STATEMENT, stated(pubArea="text"), BATCH),
    create("T1.key-null", _STATEMENT, stated(pubArea=None), BATCH),
    create("T1.algorithm-as-text", _STATEMENT, stated(alg="ES256"), BATCH),
    create("T1.algorithm-true", _STATEMENT, stated(alg=True), BATCH),
    create("T1.algorithm-as-a-list", _STATEMENT, stated(alg=[-7]), BATCH),
)

CERTIFIED: Final = (
    create("T2-other-magic", _STATEMENT, info(magic=b"\xffTCH"), BATCH),
    create("T2.magic-of-zeros", _STATEMENT, info(magic=bytes(4)), BATCH),
    create("T2.magic-in-little-endian", _STATEMENT, info(magic=b"GCT\xff"), BATCH),
    create("T3-quote", _STATEMENT, info(type=b"\x80\x18"), BATCH),
    create("T3.creation", _STATEMENT, info(type=b"\x80\x1a"), BATCH),
    create("T3.null", _STATEMENT, info(type=b"\x80\x00"), BATCH),
    create("T4-nothing-signed-along", _STATEMENT, info(extraData=sized(b"")), BATCH),
    create("T4.another-ceremony", _STATEMENT, info(extraData=sized(bytes(32))), BATCH),
    create("T4.sha-1-with-es256", _STATEMENT, extra(hashlib.sha1), BATCH),
    create("T4.sha-384-with-es256", _STATEMENT, extra(hashlib.sha384), BATCH),
    create("T4.sha-256-with-es384", _STATEMENT, extra(hashlib.sha256, _P384_AIK), BATCH),
    create(
        "T4.hash-cut",
        _STATEMENT,
        computed(lambda attested, _: {"extraData": sized(hashlib.sha256(attested).digest()[:-1])}),
        BATCH,
    ),
    create(
        "T4.what-is-attested-itself",
        _STATEMENT,
        computed(lambda attested, _: {"extraData": sized(attested)}),
        BATCH,
    ),
    create(
        "T4.client-data-only",
        _STATEMENT,
        computed(lambda attested, _: {"extraData": sized(hashlib.sha256(attested[-32:]).digest())}),
        BATCH,
    ),
    *(
        create(f"T4.attestation-key-of-{label}", None, attested_by(algorithm), BATCH, plain)
        for label, algorithm in {
            "esp256": -9,
            "es384": -35,
            "es512": -36,
            "rs256": -257,
            "rs384": -258,
            "rs512": -259,
            "ps256": -37,
            "ps384": -38,
            "ps512": -39,
        }.items()
    ),
    create("T5-another-key-certified", _STATEMENT, info(name=sized(SHA256 + bytes(32))), BATCH),
    create("T5.name-empty", _STATEMENT, info(name=sized(b"")), BATCH),
    create("T5.name-as-a-handle", _STATEMENT, info(name=sized(b"\x81\0\0\1")), BATCH),
    create("T5.name-of-another-hash", _STATEMENT, name(b"\x00\x0c", hashlib.sha384), BATCH),
    create("T5.name-under-another-number", _STATEMENT, name(b"\x00\x0c", hashlib.sha256), BATCH),
    create("T5.name-without-number", _STATEMENT, name(b"", hashlib.sha256), BATCH),
    create(
        "T5.name-and-more",
        _STATEMENT,
        computed(lambda _, p: {"name": sized(SHA256 + hashlib.sha256(p).digest() + b"\0")}),
        BATCH,
    ),
    create("T5.unknown-hash", _STATEMENT, area(nameAlg=b"\x00\x27"), BATCH),
    create("T5.no-hash", _STATEMENT, area(nameAlg=b"\x00\x10"), BATCH),
    create("T5.hash-sha-384", None, area(nameAlg=b"\x00\x0c"), BATCH, plain),
    create("T5.hash-sha-512", None, area(nameAlg=b"\x00\x0d"), BATCH, plain),
    create("T5.hash-sha-1", _STATEMENT, area(nameAlg=SHA1), BATCH),
    create("T5.hash-sha-1-after-opting-in", None, area(nameAlg=SHA1), OLD, plain),
    create("T5.odd-clock", None, info(clockInfo=bytes(16) + b"\x33"), BATCH, plain),
    create("T5.other-firmware", None, info(firmwareVersion=b"firmware"), BATCH, plain),
    create("T5.qualified-signer", None, info(qualifiedSigner=sized(SHA256 + bytes(32))), BATCH, plain),
    create("T5.qualified-name", None, info(qualifiedName=sized(SHA256 + bytes(32))), BATCH, plain),
)

KEYS: Final = (
    create("T6-key-of-another-credential", _STATEMENT, area(OTHER_KEY), BATCH),
    create("T6.modulus-of-another-credential", _STATEMENT, area(OTHER_RSA_KEY), RSA),
    create("T6.rsa-key-for-a-p256-credential", _STATEMENT, area(OTHER_RSA_KEY), BATCH),
    create("T6.p256-key-for-an-rsa-credential", _STATEMENT, area(OTHER_KEY), RSA),
    create("T6.p256-key-for-an-ed25519-credential", _STATEMENT, area(OTHER_KEY), ED25519),
    create("T6.other-x", _STATEMENT, area(x=sized(_Y)), BATCH),
    create("T6.other-y", _STATEMENT, area(y=sized(_X)), BATCH),
    create("T6.empty-y", _STATEMENT, area(y=sized(b"")), BATCH),
    create("T7-exponent-3", _STATEMENT, area(exponent=b"\0\0\0\3"), RSA),
    create("T7.exponent-65539", _STATEMENT, area(exponent=b"\0\1\0\3"), RSA),
    create("T7.exponent-of-32-bits", _STATEMENT, area(exponent=b"\xff\xff\xff\xff"), RSA),
    create("T7.exponent-0-for-a-key-with-3", _STATEMENT, Tamper(cose_key=lambda key: key | {-2: b"\3"}), RSA),
    create("T7.exponent-65537", None, area(exponent=b"\0\1\0\1"), RSA, plain),
    create("T8-another-curve", _STATEMENT, area(curveID=b"\0\4"), BATCH),
    create("T8.unknown-curve", _STATEMENT, area(curveID=b"\0\x10"), BATCH),
    create("T8.p256-for-a-point-of-secp256k1", _STATEMENT, area(OTHER_KEY, x=sized(_K_X), y=sized(_K_Y)), ES256K),
    create("T8.unknown-key-derivation", _STATEMENT, area(kdf=b"\0\x20"), BATCH),
    create("T8.key-derivation-with-a-hash", _STATEMENT, area(kdf=b"\0\x20" + SHA256), BATCH),
    create("T8.ecdaa", _STATEMENT, area(scheme=b"\0\x1a" + SHA256 + b"\0\0"), BATCH),
    create("T8.unknown-scheme", _STATEMENT, area(scheme=b"\0\x77" + SHA256), BATCH),
    create("T8.ecdsa-of-an-unknown-hash", _STATEMENT, area(scheme=ECDSA + b"\0\x27"), BATCH),
    create("T8.ecdsa-of-another-hash", _STATEMENT, area(scheme=ECDSA + b"\0\x0c"), BATCH),
    create("T8.rsa-scheme-of-a-p256-key", _STATEMENT, area(scheme=RSASSA + SHA256), BATCH),
    create("T8.ecdsa", None, area(scheme=ECDSA + SHA256), BATCH, plain),
    create("T8.ecdsa-of-p384", None, area(scheme=ECDSA + b"\0\x0c"), P384, plain),
    create("T8.pss-for-an-rs256-credential", _STATEMENT, area(scheme=RSAPSS + SHA256), RSA),
    create("T8.pkcs1", None, area(scheme=RSASSA + SHA256), RSA, plain),
    create("T8.pkcs1-of-another-hash", _STATEMENT, area(scheme=RSASSA + b"\0\x0d"), RSA),
    create("T8.pkcs1-for-a-ps256-credential", _STATEMENT, area(scheme=RSASSA + SHA256), PSS),
    create("T8.pss", None, area(scheme=RSAPSS + SHA256), PSS, plain),
    create("T8.symmetric-algorithm", _STATEMENT, area(symmetric=b"\0\6\0\x80\0\x43"), BATCH),
    create("T8.symmetric-algorithm-without-size", _STATEMENT, area(symmetric=b"\0\6"), BATCH),
    create("T8.symmetric-key", _STATEMENT, area(type=b"\0\x08"), BATCH),
    create("T8.rsa-for-a-point", _STATEMENT, area(type=b"\0\1"), BATCH),
    create("T8.key-that-may-not-sign", _STATEMENT, area(objectAttributes=b"\0\2\4\x72"), BATCH),
    create("T8.key-that-may-only-sign", None, area(objectAttributes=b"\0\4\0\0"), BATCH, plain),
    create("T8.key-of-a-policy", None, area(authPolicy=sized(bytes(32))), BATCH, plain),
    create("T8.modulus-longer-than-said", _STATEMENT, area(keyBits=b"\4\0"), RSA),
    create("T8.modulus-shorter-than-said", _STATEMENT, area(keyBits=b"\x10\0"), RSA),
    create("T9-byte-after-the-key", _STATEMENT, area(trailing=b"\0"), BATCH),
    create("T9.byte-after-the-rsa-key", _STATEMENT, area(trailing=b"\0"), RSA),
    create("T9.key-cut", _STATEMENT, area(y=sized(_Y)[:-1]), BATCH, lambda e: "pubArea is too short" in str(e)),
    create("T9.key-empty", _STATEMENT, stated(pubArea=b""), BATCH),
    create("T9.key-without-point", _STATEMENT, area(x=b"", y=b""), BATCH),
    create("T9.key-in-a-frame", _STATEMENT, area(type=b"\0\x58\0\x23"), BATCH),
    create("T9.policy-longer-than-all", _STATEMENT, area(authPolicy=b"\xff\xff"), BATCH),
    create("T9.coordinate-of-33-bytes", _STATEMENT, area(x=sized(b"\0" + _X)), BATCH),
    create("T9.byte-after-what-is-certified", _STATEMENT, info(trailing=b"\0"), BATCH),
    create("T9.what-is-certified-cut", _STATEMENT, info(qualifiedName=b"\0"), BATCH),
    create("T9.qualified-name-cut", _STATEMENT, info(qualifiedName=b"\0\1"), BATCH),
    create("T9.clock-without-safe", _STATEMENT, info(clockInfo=bytes(16)), BATCH),
    create("T9.signer-longer-than-all", _STATEMENT, info(qualifiedSigner=b"\xff\xff"), BATCH),
)

CERTIFICATES: Final = (
    create("T10-subject-with-a-name", _CERTIFICATE, issued(subject=certificates.name({"CN": "TPM"})), BATCH),
    create("T10.subject-with-an-empty-name", _CERTIFICATE, issued(subject=der.sequence(der.set_of())), BATCH),
    create("T11-no-alternative-name", _CERTIFICATE, alternative(None), BATCH),
    create("T11.no-manufacturer", _CERTIFICATE, names(manufacturer=""), BATCH),
    create("T11.no-model", _CERTIFICATE, names(model=""), BATCH),
    create("T11.no-version", _CERTIFICATE, names(version=""), BATCH),
    create("T11.empty-alternative-name", _CERTIFICATE, alternative(der.sequence()), BATCH),
    create("T11.empty-directory-name", _CERTIFICATE, alternative(tpm_alternative_name()), BATCH),
    create("T11.domain-only", _CERTIFICATE, alternative(der.sequence(der.implicit(2, b"example.org"))), BATCH),
    create(
        "T11.manufacturer-twice",
        _CERTIFICATE,
        alternative(tpm_alternative_name(TPM_NAMES, {MANUFACTURER: "id:414D4400"})),
        BATCH,
    ),
    create(
        "T11.model-twice-and-no-version",
        _CERTIFICATE,
        alternative(
            tpm_alternative_name({MANUFACTURER: TPM_NAMES[MANUFACTURER], MODEL: "7"}, {MODEL: TPM_NAMES[MODEL]})
        ),
        BATCH,
    ),
    create("T11.everything-twice", _CERTIFICATE, alternative(der.sequence(_DIRECTORY, _DIRECTORY)), BATCH),
    create("T11.a-name-each", None, alternative(_SEPARATE), BATCH, plain),
    create("T11.a-name-each-where-one-is-wanted", _CERTIFICATE, alternative(_SEPARATE), ONE_NAME),
    create(
        "T11.two-names",
        None,
        alternative(
            tpm_alternative_name(
                {MANUFACTURER: TPM_NAMES[MANUFACTURER], VERSION: TPM_NAMES[VERSION]}, {MODEL: TPM_NAMES[MODEL]}
            )
        ),
        BATCH,
        plain,
    ),
    create(
        "T11.two-names-where-one-is-wanted",
        _CERTIFICATE,
        alternative(
            tpm_alternative_name(
                {MANUFACTURER: TPM_NAMES[MANUFACTURER], VERSION: TPM_NAMES[VERSION]}, {MODEL: TPM_NAMES[MODEL]}
            )
        ),
        STRICT,
    ),
    create(
        "T11.one-name-and-others-beside-it",
        None,
        alternative(tpm_alternative_name({"2.5.4.3": "TPM"}, TPM_NAMES, {"2.5.4.10": "passkeycore"})),
        ONE_NAME,
        plain,
    ),
    create(
        "T11.other-attributes-in-the-name",
        None,
        alternative(tpm_alternative_name({**TPM_NAMES, "2.5.4.3": "TPM"})),
        ONE_NAME,
        plain,
    ),
    create("T11.hardware-module-name", None, alternative(der.sequence(_HARDWARE_MODULE, _DIRECTORY)), BATCH, plain),
    create("T11.not-critical", None, issued(alternative_name_critical=False), BATCH, plain),
    create(
        "T11.alternative-name-twice",
        _DER,
        issued(extensions=[certificates.extension("2.5.29.17", tpm_alternative_name(TPM_NAMES))]),
        BATCH,
    ),
    create("T11.alternative-name-as-text", _DER, alternative(der.utf8_string("TPM")), BATCH),
    create("T11.alternative-name-of-no-bytes", _DER, alternative(b""), BATCH),
    create("T11.byte-after-the-alternative-name", _DER, alternative(tpm_alternative_name(TPM_NAMES) + b"\0"), BATCH),
    create(
        "T11.directory-name-as-text", _DER, alternative(der.sequence(der.explicit(4, der.utf8_string("TPM")))), BATCH
    ),
    create("T11.model-in-printable-text", None, written(der.printable_string("TPM 7")), BATCH, model("TPM 7")),
    create("T11.model-beyond-ascii-in-printable-text", _CERTIFICATE, written(der.printable_string("\u00e9")), BATCH),
    create("T11.model-as-a-number", _CERTIFICATE, written(der.integer(7)), BATCH),
    create("T11.model-in-utf-16", _CERTIFICATE, written(der.element(b"\x1e", b"\0T")), BATCH),
    create("T11.model-in-broken-utf-8", _CERTIFICATE, written(der.element(b"\x0c", b"\xc3\x28")), BATCH),
    create("T11.model-empty", _CERTIFICATE, written(der.utf8_string("")), BATCH),
    create("T11.model-of-256-characters", None, names(model=256 * "m"), BATCH, model(256 * "m")),
    create("T11.model-of-257-characters", _CERTIFICATE, names(model=257 * "m"), BATCH),
    create("T11.model-with-a-line-break", None, names(model="a\nb\\\0\u00e9"), BATCH, model(r"a\nb\\\x00\xe9")),
    create("T12-unknown-manufacturer", _CERTIFICATE, names(manufacturer="id:00000000"), LISTED),
    create("T12.test-manufacturer-in-production", _CERTIFICATE, names(manufacturer="id:FFFFF1D0"), LISTED),
    create("T12.manufacturer-without-prefix", _CERTIFICATE, names(manufacturer="414D4400"), LISTED),
    create("T12.manufacturer-as-a-word", _CERTIFICATE, names(manufacturer="AMD"), LISTED),
    create("T12.listed-manufacturer", None, names(manufacturer="id:53544D20"), LISTED),
    create("T12.listed-manufacturer-in-small-letters", None, names(manufacturer="id:53544d20"), LISTED),
    create("T12.unknown-manufacturer-in-a-test", _CERTIFICATE, names(manufacturer="id:FFFFF1D1"), LISTED_OR_TEST),
    create("T12.listed-manufacturer-in-a-test", None, names(manufacturer="id:4E544300"), LISTED_OR_TEST),
    create("T12.unknown-manufacturer-for-a-conformance-suite", _CERTIFICATE, names(manufacturer="id:0"), STRICT),
    create("T12.unknown-manufacturer-by-default", None, names(manufacturer="id:00000000"), BATCH),
    create("T13-no-purposes", _CERTIFICATE, issued(purposes=None), BATCH),
    create("T13.other-purpose", _CERTIFICATE, issued(purposes=der.sequence(_OTHER_PURPOSE)), BATCH),
    create("T13.empty-purposes", _CERTIFICATE, issued(purposes=der.sequence()), BATCH),
    create("T13.second-purpose", None, issued(purposes=der.sequence(_OTHER_PURPOSE, _AIK_PURPOSE)), BATCH, plain),
    create("T13.bare-purpose", _DER, issued(purposes=_AIK_PURPOSE), BATCH),
    create("T13.byte-after-the-purposes", _DER, issued(purposes=der.sequence(_AIK_PURPOSE) + b"\0"), BATCH),
    create("T13.purpose-as-text", _DER, issued(purposes=der.sequence(_AIK_PURPOSE, der.utf8_string("AIK"))), BATCH),
    create("T14-authority", _CERTIFICATE, issued(ca=True), BATCH),
    create("T14.constraints-absent", _CERTIFICATE, issued(ca=None), BATCH),
    create("T14.version-1", _CERTIFICATE, issued(version=1), BATCH),
    create("T14.version-2", _CERTIFICATE, issued(version=2), BATCH),
    create("T15-aaguid-of-another-model", _CERTIFICATE, issued(aaguid_extension=der.octet_string(bytes(16))), BATCH),
    create("T15.critical-aaguid", _CERTIFICATE, issued(aaguid_critical=True), BATCH),
    create("T15.bare-aaguid", _DER, issued(aaguid_extension=TEST_AAGUID.bytes), BATCH),
    create("T15.no-aaguid-extension", None, issued(None), BATCH, plain),
    create("T16-expired", _UNTRUSTED, issued(not_after=_LATE), REJECTING),
    create("T16.not-yet-valid", _UNTRUSTED, issued(not_before=_EARLY), REJECTING),
    create("T16.expired-without-anchors", None, issued(not_after=_LATE), BATCH, lambda o: not o.trust.trusted),
)

SIGNATURES: Final = (
    create("T17-rs1", Code.ALGORITHM_UNSUPPORTED, certified(_RS1_AIK), BATCH),
    create("T17.rs1-after-opting-in", None, certified(_RS1_AIK), OLD, plain),
    create("T17.rs1-with-sha-256", _STATEMENT, extra(hashlib.sha256, _RS1_AIK), OLD),
    create("T18-signature-by-another-key", _SIGNATURE, Tamper(sign=lambda _, m: OTHER_KEY.sign(m)), BATCH),
    create("T18.signature-by-the-credential", _SIGNATURE, Tamper(sign=lambda _, m: CREDENTIAL_KEY.sign(m)), BATCH),
    create("T18.signature-over-more", _SIGNATURE, Tamper(sign=lambda k, m: k.sign(m + b"\0")), BATCH),
    create("T18.signature-empty", _SIGNATURE, stated(sig=b""), BATCH),
    create("T18.signature-with-its-scheme", _SIGNATURE, Tamper(sign=lambda k, m: ECDSA + SHA256 + k.sign(m)), BATCH),
    create("T18.rs256-with-a-p256-certificate", _STATEMENT, stated(alg=-257), BATCH),
    create("T18.es384-with-a-p256-certificate", _STATEMENT, stated(alg=-35), BATCH),
    create("T18.unknown-algorithm", _STATEMENT, stated(alg=-999), BATCH),
    create("T18.ed25519-certificate", _STATEMENT, certified(_ED25519_AIK), BATCH),
)
CASES: Final = (*MEMBERS, *CERTIFIED, *KEYS, *CERTIFICATES, *SIGNATURES)
