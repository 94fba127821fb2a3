"""Cases about the format fido-u2f: the one certificate, the ES256 credential, and exactly what U2F signs.

Rows U1 to U6.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from passkeycore import Code, TrustPolicy, conformance
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    AttestationCertificate,
    AttestationRequest,
    SoftwareKey,
    Tamper,
    der,
    fido_u2f_maker,
)
from passkeycore.testing.statements.fido_u2f import u2f_message

from ...ceremonies import SEED, Json, Replace, Setup, authenticator
from ...harness import create
from .packed import DIRECT, OTHER_KEY, instead, stated

AUTHORITY: Final = AttestationAuthority(SEED)
LEAF: Final = AUTHORITY.issue()
TOKEN: Final = {"attestation": fido_u2f_maker(LEAF), "aaguid": UUID(int=0), "user_verification": False}


def token(**rp: Any) -> Setup:
    """A registration with a U2F authenticator."""
    return Setup(options=DIRECT, rp=rp, authenticator=TOKEN)


U2F: Final = token()
ZERO: Final = token(policy=conformance())
ROOTED: Final = token(trust=TrustPolicy(anchors=(AUTHORITY.root,), untrusted="reject"))
MODEL: Final = Setup(options=DIRECT, authenticator=TOKEN | {"aaguid": TEST_AAGUID})
"""A client that tells an AAGUID, as that of the specification's vector does."""


def certified(certificate: AttestationCertificate) -> Replace:
    """An authenticator that attests with this certificate instead."""
    return authenticator(attestation=fido_u2f_maker(certificate))


def issued(aaguid: UUID | None = None, /, **changes: Any) -> Replace:
    """An authenticator whose certificate was issued with these changes."""
    return certified(AUTHORITY.issue(aaguid, **changes))


def signing(message: Callable[[AttestationRequest], bytes]) -> Replace:
    """An authenticator that signs this."""
    return authenticator(attestation=fido_u2f_maker(LEAF, message=message))


def rewritten(change: Callable[[bytes], bytes]) -> Tamper:
    """A statement whose right signature `change` rewrites."""
    return Tamper(sign=lambda key, message: change(key.sign(message)))


def _raw(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _without(request: AttestationRequest, part: bytes, instead: bytes = b"") -> bytes:
    """What U2F signs, with `instead` in the place of `part`."""
    before, found, after = u2f_message(request).partition(part)
    if not found:
        raise ValueError("not a part of what U2F signs")
    return before + instead + after


def _coordinate(request: AttestationRequest, label: int) -> bytes:
    value = request.credential_key.cose_map()[label]
    if not isinstance(value, bytes):
        raise TypeError(label)
    return value


def _flagged(attestation: Json) -> Json:
    data = attestation["authData"]
    return attestation | {"authData": data[:32] + bytes([data[32] | 2]) + data[33:]}


def _coordinates(change: Callable[[Any], dict[int, Any]]) -> Tamper:
    return Tamper(cose_key=lambda members: members | change(members))


_STATEMENT: Final = Code.ATTESTATION_STATEMENT_INVALID
_CERTIFICATE, _SIGNATURE = Code.ATTESTATION_CERTIFICATE_INVALID, Code.ATTESTATION_SIGNATURE_INVALID
_DER, _LARGE, _KEY = Code.CERTIFICATE_MALFORMED, Code.TOO_LARGE, Code.PUBLIC_KEY_MALFORMED
_LATE, _EARLY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
_OTHER: Final = sha256(b"another").digest()

AAGUIDS: Final = (
    create("U1-aaguid-where-zeros-are-wanted", _STATEMENT, authenticator(aaguid=TEST_AAGUID), ZERO),
    create("U1.aaguid", None, authenticator(aaguid=TEST_AAGUID), U2F, lambda o: o.attestation.type == "basic"),
    create("U1.aaguid-of-the-certificate", None, issued(TEST_AAGUID), MODEL),
    create("U1.aaguid-of-another-certificate", _CERTIFICATE, issued(UUID(int=7)), MODEL),
    create("U1.critical-aaguid-of-the-certificate", _CERTIFICATE, issued(TEST_AAGUID, aaguid_critical=True), MODEL),
    create("U1.bare-aaguid-of-the-certificate", _DER, issued(aaguid_extension=TEST_AAGUID.bytes), MODEL),
    create("U1.zeros-with-the-certificate-of-a-model", None, issued(TEST_AAGUID), U2F),
    create("U1.zeros-with-the-certificate-of-a-model-where-zeros-are-wanted", None, issued(TEST_AAGUID), ZERO),
)
CERTIFICATES: Final = (
    create("U2.no-certificates", _STATEMENT, stated(x5c=[]), U2F),
    create("U2.certificates-missing", _STATEMENT, stated(x5c=...), U2F),
    create("U2.certificate-twice", _STATEMENT, stated(x5c=2 * [LEAF.x5c[0]]), U2F),
    create("U2.certificate-and-its-root", _STATEMENT, stated(x5c=[LEAF.x5c[0], AUTHORITY.root]), U2F),
    create("U2.path", _STATEMENT, certified(AttestationAuthority(SEED, parent=AUTHORITY).issue()), U2F),
    create("U2.certificate-in-bytes", _STATEMENT, stated(x5c=LEAF.x5c[0]), U2F),
    create("U2.100-certificates", _LARGE, stated(x5c=100 * [b""]), U2F),
    create("U2.certificate-that-is-none", _DER, stated(x5c=[b"nothing"]), U2F),
    create("U2.statement-as-a-list", _STATEMENT, instead(attStmt=[]), U2F),
    create("U2.unknown-member", None, stated(alg=-7), U2F),
    create("U2.unknown-member-refused", _STATEMENT, stated(alg=-7), ZERO),
    create("U3.p-384-certificate", _CERTIFICATE, issued(algorithm=-35), U2F),
    create("U3.p-521-certificate", _CERTIFICATE, issued(algorithm=-36), U2F),
    create("U3.secp256k1-certificate", _CERTIFICATE, issued(algorithm=-47), U2F),
    create("U3.rsa-certificate", _CERTIFICATE, issued(algorithm=-257), U2F),
    create("U3.ed25519-certificate", _CERTIFICATE, issued(algorithm=-8), U2F),
    create("U3.certificate-that-packed-would-refuse", None, issued(version=1, subject={"OU": None, "C": None}), U2F),
    create("U3.certificate-without-constraints", None, issued(ca=None), U2F),
)
CREDENTIALS: Final = (
    create("U4.es384-credential", _STATEMENT, authenticator(algorithms=(-35,)), U2F),
    create("U4.esp256-credential", _STATEMENT, authenticator(algorithms=(-9,)), U2F),
    create("U4.rs256-credential", _STATEMENT, authenticator(algorithms=(-257,)), U2F),
    create("U4.eddsa-credential", _STATEMENT, authenticator(algorithms=(-8,)), U2F),
    create("U4.x-of-31-bytes", _KEY, _coordinates(lambda m: {-2: m[-2][1:]}), U2F),
    create("U4.x-of-33-bytes", _KEY, _coordinates(lambda m: {-2: b"\0" + m[-2]}), U2F),
    create("U4.y-of-31-bytes", _KEY, _coordinates(lambda m: {-3: m[-3][:-1]}), U2F),
    create("U4.y-of-33-bytes", _KEY, _coordinates(lambda m: {-3: m[-3] + b"\0"}), U2F),
    create("U4.y-as-a-sign", _KEY, _coordinates(lambda m: {-3: bool(m[-3][-1] & 1)}), U2F),
)
SIGNATURES: Final = (
    create("U5.no-zero-byte", _SIGNATURE, signing(lambda r: u2f_message(r)[1:]), U2F),
    create("U5.one-for-the-zero-byte", _SIGNATURE, signing(lambda r: b"\1" + u2f_message(r)[1:]), U2F),
    create("U5.cose-key", _SIGNATURE, signing(lambda r: u2f_message(r)[:-65] + r.credential_key.cose()), U2F),
    create("U5.point-without-its-04", _SIGNATURE, signing(lambda r: u2f_message(r)[:-65] + u2f_message(r)[-64:]), U2F),
    create(
        "U5.compressed-point",
        _SIGNATURE,
        signing(lambda r: u2f_message(r)[:-65] + bytes([2 + (_coordinate(r, -3)[-1] & 1)]) + _coordinate(r, -2)),
        U2F,
    ),
    create(
        "U5.coordinates-swapped",
        _SIGNATURE,
        signing(lambda r: u2f_message(r)[:-64] + _coordinate(r, -3) + _coordinate(r, -2)),
        U2F,
    ),
    create("U5.what-packed-signs", _SIGNATURE, signing(lambda r: r.authenticator_data + r.client_data_hash), U2F),
    create("U5.rp-id-of-another", _SIGNATURE, signing(lambda r: _without(r, r.rp_id_hash, _OTHER)), U2F),
    create("U5.client-data-of-another", _SIGNATURE, signing(lambda r: _without(r, r.client_data_hash, _OTHER)), U2F),
    create("U5.credential-id-of-another", _SIGNATURE, signing(lambda r: _without(r, r.credential_id, _OTHER)), U2F),
    create("U5.no-credential-id", _SIGNATURE, signing(lambda r: _without(r, r.credential_id)), U2F),
    create(
        "U5.key-of-another",
        _SIGNATURE,
        signing(lambda r: _without(r, _coordinate(r, -2) + _coordinate(r, -3), OTHER_KEY.spki()[-64:])),
        U2F,
    ),
    create(
        "U5.client-data-hash-first",
        _SIGNATURE,
        signing(lambda r: _without(r, r.rp_id_hash + r.client_data_hash, r.client_data_hash + r.rp_id_hash)),
        U2F,
    ),
    create("U5.signature-by-another-key", _SIGNATURE, Tamper(sign=lambda _, m: OTHER_KEY.sign(m)), U2F),
    create(
        "U5.signature-by-the-credential",
        _SIGNATURE,
        Tamper(sign=lambda _, m: SoftwareKey.derive(SEED, -7, purpose="credential key").sign(m)),
        U2F,
    ),
    create("U5.signature-over-sha-384", _SIGNATURE, Tamper(sign=lambda k, m: k.with_algorithm(-35).sign(m)), U2F),
    create("U5.raw-signature", _SIGNATURE, rewritten(_raw), U2F),
    create("U5.byte-after-the-signature", _SIGNATURE, rewritten(lambda s: s + b"\0"), U2F),
    create("U5.signature-in-a-longer-form", _SIGNATURE, rewritten(lambda s: b"\x30\x81" + s[1:]), U2F),
    create("U5.empty-signature", _SIGNATURE, stated(sig=b""), U2F),
    create("U5.signature-of-zeros", _SIGNATURE, stated(sig=der.sequence(der.integer(0), der.integer(0))), U2F),
    create("U5.signature-as-text", _STATEMENT, stated(sig="text"), U2F),
    create("U5.signature-missing", _STATEMENT, stated(sig=...), U2F),
    create("U5.flag-set-afterwards", None, Tamper(attestation=_flagged), U2F),
)
TRUST: Final = (
    create("U6-expired", Code.ATTESTATION_UNTRUSTED, issued(not_after=_LATE), ROOTED),
    create("U6.not-yet-valid", Code.ATTESTATION_UNTRUSTED, issued(not_before=_EARLY), ROOTED),
    create("U6.expired-without-anchors", None, issued(not_after=_LATE), U2F, lambda o: not o.trust.trusted),
    create("U6.other-leaf", None, issued(key=OTHER_KEY), ROOTED, lambda o: o.trust.trusted),
)
CASES: Final = (*AAGUIDS, *CERTIFICATES, *CREDENTIALS, *SIGNATURES, *TRUST)
