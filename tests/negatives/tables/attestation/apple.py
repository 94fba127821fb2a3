"""Cases about the format apple: the nonce in the certificate, the certified key, and where the path leads to.

Rows AP1 to AP6.
"""

from hashlib import sha256
from typing import Any, Final

from passkeycore import Code, Policy, TrustPolicy
from passkeycore.testing import (
    AttestationAuthority,
    AttestationRequest,
    CborValue,
    SoftwareKey,
    StatementMaker,
    Tamper,
    apple_maker,
    certificates,
    der,
)
from passkeycore.testing.statements.apple import OID_APPLE_NONCE, apple_extension

from ...ceremonies import SEED, Json, Replace, Setup, authenticator
from ...harness import create
from .packed import DIRECT, OTHER_KEY, instead, stated

ROOT: Final = AttestationAuthority(SEED).root
OTHER_ROOT: Final = AttestationAuthority("app attest").root
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def apple(seed: str = SEED, **changes: Any) -> StatementMaker:
    """An authenticator of Apple's. Its authority begins anew at each attestation, so that the same inputs repeat."""

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        return apple_maker(AttestationAuthority(seed), **changes)(request)

    return make


def phone(**rp: Any) -> Setup:
    """A registration with an authenticator of Apple's."""
    return Setup(options=DIRECT, rp=rp, authenticator={"attestation": apple()})


PHONE: Final = phone()
REFUSING: Final = phone(policy=Policy(unknown_statement_members="refuse"))
ROOTED: Final = phone(trust=TrustPolicy(anchors=(ROOT,), untrusted="reject"))


def certified(**changes: Any) -> Replace:
    """An authenticator whose certificate was issued with these changes."""
    return authenticator(attestation=apple(**changes))


def extended(value: bytes) -> Replace:
    """An authenticator whose certificate has this in the extension of the nonce."""
    return certified(extensions=lambda _: [certificates.extension(OID_APPLE_NONCE, value)])


def _negated(request: AttestationRequest) -> tuple[str, CborValue]:
    """The certificate of the key with the same x coordinate as the credential's."""
    numbers: Any = request.credential_key.private_key.private_numbers()  # type: ignore[union-attr]
    key: Any = type(numbers)(P256_ORDER - numbers.private_value, _opposite(numbers.public_numbers)).private_key()
    return apple(key=SoftwareKey(-7, key))(request)


def _opposite(point: Any) -> Any:
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    return type(point)(point.x, prime - point.y, point.curve)


def _flagged(attestation: Json) -> Json:
    """Authenticator data with a reserved flag that was not there when the certificate was made."""
    data = attestation["authData"]
    return attestation | {"authData": data[:32] + bytes([data[32] | 2]) + data[33:]}


_STATEMENT: Final = Code.ATTESTATION_STATEMENT_INVALID
_CERTIFICATE, _DER = Code.ATTESTATION_CERTIFICATE_INVALID, Code.CERTIFICATE_MALFORMED
_OTHER: Final = sha256(b"another ceremony").digest()
_RIGHT_FORM: Final = der.sequence(der.explicit(1, der.octet_string(_OTHER)))

NONCES: Final = (
    create(
        "AP1-nonce-of-another-ceremony", _STATEMENT, certified(extensions=lambda _: [apple_extension(_OTHER)]), PHONE
    ),
    create("AP1.nonce-cut-short", _STATEMENT, certified(extensions=lambda n: [apple_extension(n[:31])]), PHONE),
    create("AP1.byte-after-the-nonce", _STATEMENT, certified(extensions=lambda n: [apple_extension(n + b"\0")]), PHONE),
    create("AP1.empty-nonce", _STATEMENT, certified(extensions=lambda _: [apple_extension(b"")]), PHONE),
    create(
        "AP1.nonce-hashed-again",
        _STATEMENT,
        certified(extensions=lambda n: [apple_extension(sha256(n).digest())]),
        PHONE,
    ),
    create("AP1.flag-set-afterwards", _STATEMENT, Tamper(attestation=_flagged), PHONE),
    create("AP2.no-nonce", _CERTIFICATE, certified(extensions=lambda _: []), PHONE),
    create(
        "AP2.nonce-in-an-extension-of-another-name",
        _CERTIFICATE,
        certified(extensions=lambda n: [certificates.extension("1.2.840.113635.100.8.5", apple_extension(n))]),
        PHONE,
    ),
    create("AP2.version-1", _CERTIFICATE, certified(version=1), PHONE),
    create("AP2.nonce-twice", _DER, certified(extensions=lambda n: 2 * [apple_extension(n)]), PHONE),
    create(
        "AP2.nonce-and-another",
        _DER,
        certified(extensions=lambda n: [apple_extension(n), apple_extension(_OTHER)]),
        PHONE,
    ),
    create("AP2.bare-nonce", _DER, certified(extensions=lambda n: [certificates.extension(OID_APPLE_NONCE, n)]), PHONE),
    create(
        "AP2.nonce-in-an-octet-string",
        _DER,
        certified(extensions=lambda n: [certificates.extension(OID_APPLE_NONCE, der.octet_string(n))]),
        PHONE,
    ),
    create(
        "AP2.nonce-without-its-tag",
        _DER,
        certified(extensions=lambda n: [certificates.extension(OID_APPLE_NONCE, der.sequence(der.octet_string(n)))]),
        PHONE,
    ),
    create(
        "AP2.nonce-under-tag-0",
        _DER,
        certified(
            extensions=lambda n: [
                certificates.extension(OID_APPLE_NONCE, der.sequence(der.explicit(0, der.octet_string(n))))
            ]
        ),
        PHONE,
    ),
    create(
        "AP2.nonce-with-an-implicit-tag",
        _DER,
        certified(extensions=lambda n: [certificates.extension(OID_APPLE_NONCE, der.sequence(der.implicit(1, n)))]),
        PHONE,
    ),
    create("AP2.nonce-as-text", _DER, extended(der.sequence(der.explicit(1, der.utf8_string("nonce")))), PHONE),
    create(
        "AP2.second-nonce-in-the-sequence",
        _DER,
        certified(
            extensions=lambda n: [
                certificates.extension(OID_APPLE_NONCE, der.sequence(*(2 * [der.explicit(1, der.octet_string(n))])))
            ]
        ),
        PHONE,
    ),
    create("AP2.byte-after-the-extension", _DER, extended(_RIGHT_FORM + b"\0"), PHONE),
    create("AP2.indefinite-length", _DER, extended(b"\x30\x80" + _RIGHT_FORM[2:] + b"\0\0"), PHONE),
    create("AP2.empty-extension", _DER, extended(b""), PHONE),
    create("AP2.no-certificates", _STATEMENT, stated(x5c=[]), PHONE),
    create("AP2.certificates-missing", _STATEMENT, stated(x5c=...), PHONE),
    create("AP2.statement-as-a-list", _STATEMENT, instead(attStmt=[]), PHONE),
    create("AP2.100-certificates", Code.TOO_LARGE, stated(x5c=100 * [b""]), PHONE),
    create("AP2.certificate-that-is-none", _DER, stated(x5c=[b"nothing"]), PHONE),
)
KEYS: Final = (
    create("AP3-key-of-another-credential", _STATEMENT, certified(key=OTHER_KEY), PHONE),
    create("AP3.key-with-the-same-x", _STATEMENT, authenticator(attestation=_negated), PHONE),
    create("AP3.p-384-key", _STATEMENT, certified(key=SoftwareKey.derive(SEED, -35)), PHONE),
    create("AP3.rsa-key", _STATEMENT, certified(key=SoftwareKey.derive(SEED, -257)), PHONE),
    create("AP3.ed25519-key", _STATEMENT, certified(key=SoftwareKey.derive(SEED, -8)), PHONE),
)
TRUST: Final = (
    create("AP4-path-to-another-root", Code.ATTESTATION_UNTRUSTED, certified(seed="app attest"), ROOTED),
    create(
        "AP4.below-an-authority",
        None,
        authenticator(
            attestation=lambda request: apple_maker(AttestationAuthority("lower", parent=AttestationAuthority(SEED)))(
                request
            )
        ),
        ROOTED,
        lambda o: o.trust.trusted and o.attestation.type == "anonca" and len(o.attestation.trust_path) == 2,
    ),
)
MEMBERS: Final = (
    create(
        "AP5-algorithm-and-signature-of-nobody",
        None,
        stated(alg=-7, sig=b"nothing"),
        PHONE,
        lambda o: o.attestation.type == "anonca",
    ),
    create("AP5.algorithm", None, stated(alg="ES256"), PHONE),
    create("AP5.algorithm-and-signature-refused", _STATEMENT, stated(alg=-7, sig=b"nothing"), REFUSING),
    create("AP5.algorithm-refused", _STATEMENT, stated(alg=-7), REFUSING),
    create("AP6-apple-appattest", Code.ATTESTATION_FORMAT_UNSUPPORTED, instead(fmt="apple-appattest"), PHONE),
)
CASES: Final = (*NONCES, *KEYS, *TRUST, *MEMBERS)
