"""Cases about attestation: the format android-safetynet. Rows S1 to S7.

What the signature covers is changed before it is made, so every case but those about the signature has a right one.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from passkeycore import Code, Policy, RegistrationOutcome, TrustPolicy
from passkeycore.testing import (
    AttestationCertificate,
    AttestationRequest,
    CborValue,
    SoftwareKey,
    Tamper,
    b64url_decode,
    b64url_encode,
    der,
)
from passkeycore.testing.certificates import extension
from passkeycore.testing.statements import android_safetynet_maker, compound_maker, make_packed_self
from passkeycore.testing.statements.android_safetynet import (
    OID_SUBJECT_ALTERNATIVE_NAME,
    dns_names,
    safetynet_certificate,
)

from ...ceremonies import NOW, SEED, Json, Replace, Setup, authenticator
from ...harness import create
from .packed import ASKED, AUTHORITY, DIRECT, OTHER_KEY, instead, small_rsa_key, stated, unverified

OTHER_RSA_KEY: Final = SoftwareKey.derive(SEED, -257, purpose="key of another server")
POLICY: Final = Policy(danger_allow_android_safetynet=True)
GOOGLE: Final = safetynet_certificate(AUTHORITY)
ON_P256: Final = safetynet_certificate(AUTHORITY, algorithm=-7)
TRUST: Final = TrustPolicy(anchors=(AUTHORITY.root,), require_trusted=True)


def google(certificate: AttestationCertificate = GOOGLE, policy: Policy = POLICY) -> Setup:
    """A device whose answers are signed with this certificate, and a server that opted in."""
    maker = android_safetynet_maker(certificate, at=NOW)
    return Setup(options=DIRECT, authenticator={"attestation": maker}, rp={"policy": policy, "trust": TRUST})


USUAL: Final = google()
ES256: Final = google(ON_P256)
PATIENT: Final = google(policy=Policy(danger_allow_android_safetynet=True, android_safetynet_max_age_s=3600))
STRICT: Final = google(policy=Policy(danger_allow_android_safetynet=True, unknown_statement_members="refuse"))


def said(**members: Any) -> Replace:
    """An answer with these members instead; `...` leaves one out."""
    return answered(lambda payload: _merged(payload, members))


def answered(payload: Callable[[Json], Json | bytes]) -> Replace:
    """An answer that is changed before it is signed."""
    return authenticator(attestation=android_safetynet_maker(GOOGLE, at=NOW, payload=payload))


def headed(certificate: AttestationCertificate = GOOGLE, **members: Any) -> Replace:
    """A header with these members instead, signed all the same."""
    return titled(lambda header: _merged(header, members), certificate)


def titled(header: Callable[[Json], Json | bytes], certificate: AttestationCertificate = GOOGLE) -> Replace:
    """A header that is changed before it is signed."""
    return authenticator(attestation=android_safetynet_maker(certificate, at=NOW, header=header))


def certified(*extensions: bytes, **changes: Any) -> Replace:
    """An answer signed with a certificate that has these extensions instead of the name of the host."""
    certificate = safetynet_certificate(AUTHORITY, *extensions, **changes)
    return authenticator(attestation=android_safetynet_maker(certificate, at=NOW))


def made(**ago: float) -> Replace:
    """An answer that was made so long ago."""
    return authenticator(attestation=android_safetynet_maker(GOOGLE, at=NOW - timedelta(**ago)))


def rewritten(edit: Callable[[bytes], object]) -> Tamper:
    """A response whose bytes are changed after it was signed."""
    return Tamper(attestation=lambda a: a | {"attStmt": a["attStmt"] | {"response": edit(a["attStmt"]["response"])}})


def _merged(members: Json, changes: Json) -> Json:
    return {name: value for name, value in (members | changes).items() if value is not ...}


def _segment(number: int, edit: Callable[[bytes], bytes]) -> Tamper:
    def change(response: bytes) -> bytes:
        segments = response.split(b".")
        segments[number] = edit(segments[number])
        return b".".join(segments)

    return rewritten(change)


def _url(text: str) -> str:
    return text.replace("+", "-").replace("/", "_").rstrip("=")


def _text(members: Json, more: str) -> bytes:
    return (json.dumps(members)[:-1] + "," + more + "}").encode()


def _unsigned() -> Replace:
    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        signing = android_safetynet_maker(GOOGLE, at=NOW, header=lambda h: h | {"alg": "none"})
        return signing(replace(request, sign=lambda _key, _message: b""))

    return authenticator(attestation=make)


def _on_p384() -> Replace:
    certificate = safetynet_certificate(AUTHORITY, algorithm=-35)
    return headed(certificate, alg="ES256")


def _named(value: bytes) -> Replace:
    """An answer signed with a certificate whose names are written like this."""
    return certified(extension(OID_SUBJECT_ALTERNATIVE_NAME, value))


def _with_a_space(segment: bytes) -> bytes:
    return b64url_encode(b64url_decode(segment.decode()) + b" ").encode()


def _with_spare_bits(segment: bytes) -> bytes:
    """256 bytes take 342 characters and leave the last four bits of the last one unused."""
    return segment[:-1] + bytes([segment[-1] + 1])


def _claims(outcome: RegistrationOutcome) -> bool:
    return (
        outcome.attestation.type == "basic"
        and outcome.trust.trusted
        and outcome.attestation.claims["version"] == "17122037"
        and outcome.attestation.claims["basic_integrity"] is False
        and outcome.attestation.claims["timestamp_ms"] == int(NOW.timestamp() * 1000)
    )


_IN_DER: Final = b64url_encode(OTHER_KEY.sign(b"message")).encode()
_DER_OF_GOOGLE: Final = b64encode(GOOGLE.x5c[0]).decode()
_STATEMENT: Final = Code.ATTESTATION_STATEMENT_INVALID
_CERTIFICATE, _SIGNATURE = Code.ATTESTATION_CERTIFICATE_INVALID, Code.ATTESTATION_SIGNATURE_INVALID
_BASE64, _DER, _LARGE = Code.BASE64URL_INVALID, Code.CERTIFICATE_MALFORMED, Code.TOO_LARGE
_FORMAT: Final = Code.ATTESTATION_FORMAT_UNSUPPORTED
_OTHER_HOST: Final = dns_names("attest.android.com.example.org", "example.org", "ATTEST.ANDROID.COM", "*.android.com")
_AS_ADDRESS: Final = der.sequence(der.implicit(1, b"attest.android.com"), der.implicit(6, b"attest.android.com"))

NONCES: Final = (
    create("S1-nonce-of-another-registration", _STATEMENT, said(nonce=b64encode(bytes(32)).decode()), USUAL),
    create("S1.nonce-in-base64url", _STATEMENT, answered(lambda p: p | {"nonce": _url(p["nonce"])}), USUAL),
    create("S1.nonce-with-a-line-end", _STATEMENT, answered(lambda p: p | {"nonce": p["nonce"] + "\n"}), USUAL),
    create("S1.nonce-missing", _STATEMENT, said(nonce=...), USUAL),
    create("S1.nonce-null", _STATEMENT, said(nonce=None), USUAL),
    create("S1.nonce-as-a-list", _STATEMENT, answered(lambda p: p | {"nonce": [p["nonce"]]}), USUAL),
    create("S1.nonce-of-half-a-character", _STATEMENT, said(nonce="\ud800"), USUAL),
    create("S1.nonce-beyond-ascii", _STATEMENT, said(nonce="é"), USUAL),
    create("S1.another-answer", _SIGNATURE, Tamper(sign=lambda k, m: k.sign(m + b"A")), USUAL),
    create("S1.claims", None, said(basicIntegrity=False), USUAL, _claims),
)
ALGORITHMS: Final = (
    create("S2-algorithm-none", _STATEMENT, headed(alg="none"), USUAL),
    create("S2.algorithm-none-and-no-signature", _STATEMENT, _unsigned(), USUAL),
    create("S2.algorithm-hs256", _STATEMENT, headed(alg="HS256"), USUAL),
    create("S2.algorithm-ps256", _STATEMENT, headed(alg="PS256"), USUAL),
    create("S2.algorithm-rs512", _STATEMENT, headed(alg="RS512"), USUAL),
    create("S2.algorithm-in-a-list", _STATEMENT, headed(alg=["RS256"]), USUAL),
    create("S2.algorithm-in-small-letters", _STATEMENT, headed(alg="rs256"), USUAL),
    create("S2.algorithm-missing", _STATEMENT, headed(alg=...), USUAL),
    create("S2.es256-with-an-rsa-certificate", _STATEMENT, headed(alg="ES256"), USUAL),
    create("S2.rs256-with-a-p256-certificate", _STATEMENT, headed(ON_P256, alg="RS256"), ES256),
    create("S2.es256-with-a-p384-certificate", _STATEMENT, _on_p384(), ES256),
    create("S2.rsa-certificate-of-1024-bits", _STATEMENT, certified(key=small_rsa_key()), USUAL),
    create("S2.signature-by-another-key", _SIGNATURE, Tamper(sign=lambda _, m: OTHER_RSA_KEY.sign(m)), USUAL),
    create("S2.es256-signature-by-another-key", _SIGNATURE, Tamper(sign=lambda _, m: OTHER_KEY.sign(m)), ES256),
    create("S2.signature-empty", _SIGNATURE, Tamper(sign=lambda _k, _m: b""), USUAL),
    create("S2.es256-signature-in-der", _SIGNATURE, _segment(2, lambda _: _IN_DER), ES256),
    create("S2.es256-signature-of-zeros", _SIGNATURE, _segment(2, lambda _: b64url_encode(bytes(64)).encode()), ES256),
    create("S2.payload-changed-after-signing", _SIGNATURE, _segment(1, _with_a_space), USUAL),
    create("S2.key-in-the-header", None, headed(jwk={"kty": "oct", "k": "AAAA"}), USUAL),
)
HOSTS: Final = (
    create("S3-certificate-of-other-hosts", _CERTIFICATE, certified(_OTHER_HOST), USUAL),
    create("S3.no-host", _CERTIFICATE, certified(extension("1.2.3.4", der.null())), USUAL),
    create("S3.no-names", _CERTIFICATE, certified(dns_names()), USUAL),
    create("S3.host-as-another-kind-of-name", _CERTIFICATE, _named(_AS_ADDRESS), USUAL),
    create("S3.several-hosts", None, certified(dns_names("example.org", "attest.android.com")), USUAL),
    create("S3.names-not-in-a-sequence", _DER, _named(der.implicit(2, b"attest.android.com")), USUAL),
    create(
        "S3.byte-after-the-names", _DER, _named(der.sequence(der.implicit(2, b"attest.android.com")) + b"\0"), USUAL
    ),
    create("S3.names-of-no-bytes", _DER, _named(b""), USUAL),
)
DEVICES: Final = (
    create("S4-device-that-does-not-match", _STATEMENT, said(ctsProfileMatch=False), USUAL),
    create("S4.match-as-text", _STATEMENT, said(ctsProfileMatch="true"), USUAL),
    create("S4.match-as-a-number", _STATEMENT, said(ctsProfileMatch=1), USUAL),
    create("S4.match-missing", _STATEMENT, said(ctsProfileMatch=...), USUAL),
)
TIMES: Final = (
    create("S5-made-in-the-future", _STATEMENT, made(seconds=-5.001), USUAL),
    create("S5.made-in-the-future-within-the-skew", None, made(seconds=-5), USUAL),
    create("S5.made-61-seconds-ago", _STATEMENT, made(seconds=60.001), USUAL),
    create("S5.made-60-seconds-ago", None, made(seconds=60), USUAL),
    create("S5.made-within-what-the-policy-allows", None, made(seconds=61), PATIENT),
    create("S5.made-too-long-ago-for-any-policy", _STATEMENT, made(seconds=3601), PATIENT),
    create("S5.time-missing", _STATEMENT, said(timestampMs=...), USUAL),
    create("S5.time-as-text", _STATEMENT, answered(lambda p: p | {"timestampMs": str(p["timestampMs"])}), USUAL),
    create("S5.time-true", _STATEMENT, said(timestampMs=True), USUAL),
    create(
        "S5.time-with-a-fraction", _STATEMENT, answered(lambda p: p | {"timestampMs": float(p["timestampMs"])}), USUAL
    ),
    create("S5.time-of-4000-digits", _STATEMENT, said(timestampMs=10**4000), USUAL),
    create("S5.time-of-5000-digits", _STATEMENT, answered(lambda p: _text(p, '"more":1' + 5000 * "0")), USUAL),
)
SHAPES: Final = (
    create("S6.no-version", _STATEMENT, stated(ver=...), USUAL),
    create("S6.version-empty", _STATEMENT, stated(ver=""), USUAL),
    create("S6.version-as-a-number", _STATEMENT, stated(ver=17122037), USUAL),
    create("S6.version-of-1-character", None, stated(ver="1"), USUAL),
    create("S6.version-of-64-characters", None, stated(ver=64 * "1"), USUAL),
    create("S6.version-of-65-characters", _STATEMENT, stated(ver=65 * "1"), USUAL),
    create("S6.no-response", _STATEMENT, stated(response=...), USUAL),
    create("S6.response-as-text", _STATEMENT, rewritten(bytes.decode), USUAL),
    create("S6.response-empty", _STATEMENT, stated(response=b""), USUAL),
    create("S6.strict-unknown-member", _STATEMENT, stated(x=1), STRICT),
    create("S6.unknown-member", None, stated(x=1), USUAL),
    create("S6.two-segments", _STATEMENT, rewritten(lambda r: r.rpartition(b".")[0]), USUAL),
    create("S6.four-segments", _STATEMENT, rewritten(lambda r: r + b"."), USUAL),
    create("S6.response-of-32768-bytes", _BASE64, rewritten(lambda r: r + bytes(32_768 - len(r))), USUAL),
    create("S6.response-of-32769-bytes", _LARGE, rewritten(lambda r: r + bytes(32_769 - len(r))), USUAL),
    create("S6.header-with-padding", _BASE64, _segment(0, lambda h: h + b"="), USUAL),
    create("S6.payload-with-a-line-end", _BASE64, _segment(1, lambda p: p + b"\n"), USUAL),
    create("S6.payload-beyond-ascii", _BASE64, _segment(1, lambda p: p + b"\xff"), USUAL),
    create("S6.signature-in-standard-base64", _BASE64, _segment(2, lambda _: b"+/AA"), USUAL),
    create("S6.signature-with-bits-to-spare", _BASE64, _segment(2, _with_spare_bits), USUAL),
    create("S6.header-with-a-member-twice", _STATEMENT, titled(lambda h: _text(h, '"alg":"RS256"')), USUAL),
    create(
        "S6.header-with-a-member-twice-in-escapes", _STATEMENT, titled(lambda h: _text(h, '"\\u0061lg":"RS256"')), USUAL
    ),
    create("S6.payload-with-a-member-twice", _STATEMENT, answered(lambda p: _text(p, '"ctsProfileMatch":true')), USUAL),
    create(
        "S6.payload-with-a-member-twice-further-in",
        _STATEMENT,
        answered(lambda p: _text(p, '"x":{"y":1,"y":1}')),
        USUAL,
    ),
    create("S6.critical-extension", _STATEMENT, headed(crit=["exp"], exp=1), USUAL),
    create("S6.critical-extension-that-the-library-knows", _STATEMENT, headed(crit=["kid"], kid="1"), USUAL),
    create("S6.critical-extensions-empty", _STATEMENT, headed(crit=[]), USUAL),
    create("S6.critical-extensions-as-a-number", _STATEMENT, headed(crit=5), USUAL),
    create("S6.payload-that-is-not-encoded", _STATEMENT, headed(crit=["b64"], b64=False), USUAL),
    create("S6.payload-that-claims-not-to-be-encoded", _STATEMENT, headed(b64=False), USUAL),
    create("S6.payload-that-claims-to-be-encoded", _STATEMENT, headed(b64=True), USUAL),
    create("S6.header-parameter-of-another-type", _STATEMENT, headed(kid=5), USUAL),
    create("S6.header-parameter-that-is-unknown", None, headed(x=5), USUAL),
    create("S6.header-as-a-list", _STATEMENT, titled(lambda _: b"[]"), USUAL),
    create("S6.header-empty", _STATEMENT, titled(lambda _: b""), USUAL),
    create("S6.header-in-utf-16", _STATEMENT, titled(lambda h: json.dumps(h).encode("utf-16")), USUAL),
    create("S6.payload-as-a-text", _STATEMENT, answered(lambda _: b'"text"'), USUAL),
    create(
        "S6.payload-in-bad-utf-8", _STATEMENT, answered(lambda p: json.dumps(p)[:-1].encode() + b',"x":"\xff"}'), USUAL
    ),
    create(
        "S6.payload-with-a-byte-order-mark",
        _STATEMENT,
        answered(lambda p: b"\xef\xbb\xbf" + json.dumps(p).encode()),
        USUAL,
    ),
    create("S6.payload-of-brackets", _STATEMENT, answered(lambda _: 15_000 * b"["), USUAL),
    create("S6.no-certificates", _STATEMENT, headed(x5c=...), USUAL),
    create("S6.certificates-empty", _STATEMENT, headed(x5c=[]), USUAL),
    create("S6.certificates-as-a-text", _STATEMENT, headed(x5c=_DER_OF_GOOGLE), USUAL),
    create("S6.certificate-as-a-number", _STATEMENT, headed(x5c=[_DER_OF_GOOGLE, 1]), USUAL),
    create("S6.certificate-empty", _STATEMENT, headed(x5c=[_DER_OF_GOOGLE, ""]), USUAL),
    create("S6.certificate-in-base64url", _STATEMENT, headed(x5c=["-_8A"]), USUAL),
    create("S6.certificate-without-padding", _STATEMENT, headed(x5c=["AA"]), USUAL),
    create("S6.certificate-with-a-line-end", _STATEMENT, headed(x5c=[_DER_OF_GOOGLE + "\n"]), USUAL),
    create("S6.certificate-beyond-ascii", _STATEMENT, headed(x5c=["é"]), USUAL),
    create("S6.certificate-of-nothing", _DER, headed(x5c=["AAAA"]), USUAL),
    create("S6.9-certificates", _LARGE, headed(x5c=9 * ["AAAA"]), USUAL),
    create("S6.certificate-of-16385-bytes", _LARGE, headed(x5c=[b64encode(bytes(16_385)).decode()]), USUAL),
)
OPT_IN: Final = (
    create(
        "S7.not-opted-in-inside-of-another",
        _FORMAT,
        authenticator(attestation=compound_maker(make_packed_self, android_safetynet_maker(GOOGLE, at=NOW))),
        ASKED,
    ),
    create(
        "S7.not-opted-in-and-not-asked-for",
        None,
        instead(fmt="android-safetynet", attStmt={"ver": "1"}),
        then=unverified("android-safetynet"),
    ),
    create("S7-not-opted-in", _FORMAT, authenticator(attestation=android_safetynet_maker(GOOGLE, at=NOW)), ASKED),
)

CASES: Final = (*NONCES, *ALGORITHMS, *HOSTS, *DEVICES, *TIMES, *SHAPES, *OPT_IN)
