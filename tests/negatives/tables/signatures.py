"""Cases about the signature of an assertion: by whom, over what, under which scheme, in which encoding.

Rows A15 to A24, and A26. A20 is accepted: WebAuthn does not ask for the lower of the two values of s.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from passkeycore import Code
from passkeycore.testing import (
    SoftwareKey,
    Tamper,
    b64url_encode,
    cbor,
    client_data_json,
    der,
    derive,
)

from ..ceremonies import CHALLENGE, ORIGIN, SEED, Json, Replace, Setup, record
from ..harness import get

OTHER_KEY: Final = SoftwareKey.derive(SEED, -7, purpose="key of another credential")
STORED_KEY: Final = SoftwareKey.derive(SEED, -7, purpose="credential key").cose()
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""
ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493

ED25519: Final = Setup(authenticator={"algorithms": (-8,)})
ED448: Final = Setup(authenticator={"algorithms": (-53,)})
RS256: Final = Setup(authenticator={"algorithms": (-257,)})
PS256: Final = Setup(authenticator={"algorithms": (-37,)})
ES384: Final = Setup(authenticator={"algorithms": (-35,)})
ML_DSA: Final = Setup(authenticator={"algorithms": (-49,)})

PKCS1_SHA256: Final = bytes.fromhex("3031300d060960864801650304020105000420")
PKCS1_SHA256_WITHOUT_NULL: Final = bytes.fromhex("302f300b06096086480165030402010420")


def signed(change: Callable[[SoftwareKey, bytes], bytes]) -> Tamper:
    """An assertion signed like this."""
    return Tamper(sign=change)


def rewritten(change: Callable[[bytes], bytes]) -> Tamper:
    """An assertion whose right signature `change` rewrites."""
    return Tamper(sign=lambda key, message: change(key.sign(message)))


def numbers(change: Callable[[int, int], bytes]) -> Tamper:
    """An assertion whose right ECDSA signature (r, s) `change` encodes."""
    return Tamper(sign=lambda key, message: change(*decode_dss_signature(key.sign(message))))


def pair(r: int, s: int) -> bytes:
    """An ECDSA signature."""
    return der.sequence(der.integer(r), der.integer(s))


def wide(number: int) -> bytes:
    """An INTEGER with a zero byte more than it needs."""
    return der.element(b"\2", b"\0" + der.integer(number)[2:])


def padded(info: bytes, *, filler_bytes: int | None = None, head: bytes = b"\0\1") -> Tamper:
    """An RSA signature of which only the padding is odd; what does not fit behind it is garbage."""

    def sign(key: SoftwareKey, message: bytes) -> bytes:
        private = key.private_key
        if not isinstance(private, rsa.RSAPrivateKey):
            raise TypeError(key.algorithm)
        end = b"\0" + info + sha256(message).digest()
        filler = b"\xff" * (256 - 2 - len(end) if filler_bytes is None else filler_bytes)
        encoded = int.from_bytes((head + filler + end).ljust(256, b"\0"), "big")
        own = private.private_numbers()
        return pow(encoded, own.d, own.public_numbers.n).to_bytes(256, "big")

    return Tamper(sign=sign)


def salted(length: int) -> Tamper:
    """An RSA-PSS signature with a salt of this many bytes."""

    def sign(key: SoftwareKey, message: bytes) -> bytes:
        if not isinstance(key.private_key, rsa.RSAPrivateKey):
            raise TypeError(key.algorithm)
        return key.private_key.sign(message, padding.PSS(padding.MGF1(SHA256()), length), SHA256())

    return Tamper(sign=sign)


def honest_client_data() -> Json:
    """The members of the client data that the authentications of this table sign."""
    challenge = b64url_encode(CHALLENGE)
    return {"type": "webauthn.get", "challenge": challenge, "origin": ORIGIN, "crossOrigin": False}


def _reordered() -> bytes:
    members = honest_client_data()
    return sha256(client_data_json({name: members[name] for name in reversed(members)})).digest()


def _space_after_signing(response: Json) -> Json:
    text = client_data_json(honest_client_data()).replace(b",", b", ")
    return response | {"response": response["response"] | {"clientDataJSON": b64url_encode(text)}}


def _more_after_signing(response: Json) -> Json:
    text = client_data_json(honest_client_data() | {"extra": 1})
    return response | {"response": response["response"] | {"clientDataJSON": b64url_encode(text)}}


_BAD: Final = Code.SIGNATURE_INVALID

SIGNERS: Final = (
    get("A15-signature-by-another-key", _BAD, signed(lambda _, m: OTHER_KEY.sign(m))),
    get("A15.signature-under-another-stored-key", _BAD, record(public_key=OTHER_KEY.cose())),
    get("A16.no-signature", _BAD, rewritten(lambda _: b"")),
    get("A16.signature-of-one-byte", _BAD, rewritten(lambda _: b"\x30")),
    get("A16.signature-of-chance", _BAD, rewritten(lambda _: derive(SEED, "signature", length=70))),
    get("A16.signature-of-10000-bytes", Code.TOO_LARGE, rewritten(lambda s: s.ljust(10_000, b"\0"))),
    get("A16.signature-of-8192-bytes", _BAD, rewritten(lambda s: s.ljust(8192, b"\0"))),
    get("A16.signature-of-8193-bytes", Code.TOO_LARGE, rewritten(lambda s: s.ljust(8193, b"\0"))),
)
ENCODINGS: Final = (
    get("A17.r-zero", _BAD, numbers(lambda _, s: pair(0, s))),
    get("A17.s-zero", _BAD, numbers(lambda r, _: pair(r, 0))),
    get("A17.both-zero", _BAD, numbers(lambda *_: pair(0, 0))),
    get("A17.r-order", _BAD, numbers(lambda _, s: pair(ORDER, s))),
    get("A17.s-order", _BAD, numbers(lambda r, _: pair(r, ORDER))),
    get("A17.r-not-reduced", _BAD, numbers(lambda r, s: pair(r + ORDER, s))),
    get("A17.s-not-reduced", _BAD, numbers(lambda r, s: pair(r, s + ORDER))),
    get("A17.negated", _BAD, numbers(lambda r, s: pair(-r, -s))),
    get("A18.wide-r", _BAD, numbers(lambda r, s: der.sequence(wide(r), der.integer(s)))),
    get("A18.wide-s", _BAD, numbers(lambda r, s: der.sequence(der.integer(r), wide(s)))),
    get("A18.signed-bytes", _BAD, numbers(lambda r, s: pair(r - 2**256, s - 2**256))),
    get("A18.trailing-byte", _BAD, rewritten(lambda s: s + b"\0")),
    get("A18.trailing-byte-inside", _BAD, numbers(lambda r, s: der.sequence(der.integer(r), der.integer(s), b"\0"))),
    get("A18.third-integer", _BAD, numbers(lambda r, s: der.sequence(der.integer(r), der.integer(s), der.integer(1)))),
    get("A18.one-integer", _BAD, numbers(lambda r, _: der.sequence(der.integer(r)))),
    get("A18.indefinite-length", _BAD, rewritten(lambda s: b"\x30\x80" + s[2:] + b"\0\0")),
    get("A18.long-length", _BAD, rewritten(lambda s: b"\x30\x81" + s[1:])),
    get("A18.set-instead-of-sequence", _BAD, rewritten(lambda s: b"\x31" + s[1:])),
    get("A19-raw-r-and-s", _BAD, numbers(lambda r, s: r.to_bytes(32, "big") + s.to_bytes(32, "big"))),
    get("A20-other-value-of-s", None, numbers(lambda r, s: pair(r, ORDER - s))),
    get("A21.ecdsa-for-an-ed25519-key", _BAD, signed(lambda _, m: OTHER_KEY.sign(m)), ED25519),
    get("A21.rsa-for-an-ecdsa-key", _BAD, signed(lambda _, m: SoftwareKey.derive(SEED, -257).sign(m))),
    get("A21.ed25519-for-an-ecdsa-key", _BAD, signed(lambda _, m: SoftwareKey.derive(SEED, -8).sign(m))),
    get("A21.ecdsa-with-another-hash", _BAD, signed(lambda key, m: key.with_algorithm(-35).sign(m))),
    get("A21.es384-with-another-hash", _BAD, signed(lambda key, m: key.with_algorithm(-7).sign(m)), ES384),
    get(
        "A21.ed25519-s-not-reduced",
        _BAD,
        rewritten(lambda s: s[:32] + (int.from_bytes(s[32:], "little") + ED25519_ORDER).to_bytes(32, "little")),
        ED25519,
    ),
    get("A21.ed25519-cut-short", _BAD, rewritten(lambda s: s[:-1]), ED25519),
    get("A21.ed25519-trailing-byte", _BAD, rewritten(lambda s: s + b"\0"), ED25519),
    get("A21.ed448-cut-short", _BAD, rewritten(lambda s: s[:-1]), ED448),
    get("A21.ml-dsa-cut-short", _BAD, rewritten(lambda s: s[:-1]), ML_DSA),
    get("A21.ml-dsa-trailing-byte", _BAD, rewritten(lambda s: s + b"\0"), ML_DSA),
    get("A21.ml-dsa-by-another-key", _BAD, signed(lambda _, m: SoftwareKey.derive(SEED, -49).sign(m)), ML_DSA),
)
RSA: Final = (
    get("A22.pss-for-rs256", _BAD, signed(lambda key, m: key.with_algorithm(-37).sign(m)), RS256),
    get("A22.pkcs1-for-ps256", _BAD, signed(lambda key, m: key.with_algorithm(-257).sign(m)), PS256),
    get("A22.sha-1", _BAD, signed(lambda key, m: key.with_algorithm(-65535).sign(m)), RS256),
    get("A22.sha-512", _BAD, signed(lambda key, m: key.with_algorithm(-259).sign(m)), RS256),
    get("A22.garbage-after-the-hash", _BAD, padded(PKCS1_SHA256, filler_bytes=8), RS256),
    get("A22.encryption-padding", _BAD, padded(PKCS1_SHA256, head=b"\0\2"), RS256),
    get("A22.digest-without-null", _BAD, padded(PKCS1_SHA256_WITHOUT_NULL), RS256),
    get("A22.digest-alone", _BAD, padded(b""), RS256),
    get("A22.zero-before-the-signature", _BAD, rewritten(lambda s: b"\0" + s), RS256),
    get("A22.signature-cut-short", _BAD, rewritten(lambda s: s[:-1]), RS256),
    *(get(f"A22.pss-salt-of-{length}-bytes", _BAD, salted(length), PS256) for length in (0, 20, 31, 33, 64, 222)),
)
MESSAGES: Final = (
    get(
        "A23.client-data-instead-of-its-hash",
        _BAD,
        signed(lambda key, m: key.sign(m[:-32] + client_data_json(honest_client_data()))),
    ),
    get("A23.halves-swapped", _BAD, signed(lambda key, m: key.sign(m[-32:] + m[:-32]))),
    get("A23.hash-alone", _BAD, signed(lambda key, m: key.sign(m[-32:]))),
    get("A23.authenticator-data-alone", _BAD, signed(lambda key, m: key.sign(m[:-32]))),
    get("A23.hash-of-the-hash", _BAD, signed(lambda key, m: key.sign(m[:-32] + sha256(m[-32:]).digest()))),
    get("A23.client-data-in-another-order", _BAD, signed(lambda key, m: key.sign(m[:-32] + _reordered()))),
    get("A24-space-in-the-client-data-after-signing", _BAD, Tamper(response=_space_after_signing)),
    get("A24.member-in-the-client-data-after-signing", _BAD, Tamper(response=_more_after_signing)),
)


def stored(label: int, value: object, algorithm: int = -7) -> Replace:
    """A record in whose key one parameter is another."""
    key = SoftwareKey.derive(SEED, algorithm, purpose="credential key").cose_map()
    return record(public_key=cbor({**key, label: value}))  # type: ignore[dict-item]


RECORDS: Final = (
    get("A26-stored-key-that-is-the-identity", Code.PUBLIC_KEY_WEAK, stored(-2, b"\1" + bytes(31), -8), ED25519),
    get("A26.order-4", Code.PUBLIC_KEY_WEAK, stored(-2, bytes(32), -8), ED25519),
    get("A26.ed448-identity", Code.PUBLIC_KEY_WEAK, stored(-2, b"\1" + bytes(56), -53), ED448),
    get("A26.rsa-1024-bits", Code.PUBLIC_KEY_WEAK, stored(-1, 127 * b"\xff" + b"\1", -257), RS256),
    get("A26.rsa-even", Code.PUBLIC_KEY_INVALID, stored(-1, 256 * b"\xfe", -257), RS256),
    get("A26.off-the-curve", Code.PUBLIC_KEY_INVALID, stored(-3, 32 * b"\1")),
    # An Edwards key that is no point is refused when it is registered; later every signature fails under it.
    get("A26.ed25519-off-the-curve", Code.SIGNATURE_INVALID, stored(-2, b"\2" + bytes(31), -8), ED25519),
    get("A26.unknown-algorithm", Code.ALGORITHM_UNSUPPORTED, stored(3, -999)),
    get("A26.no-key", Code.PUBLIC_KEY_MALFORMED, record(public_key=b"")),
    get("A26.list-as-the-key", Code.PUBLIC_KEY_MALFORMED, record(public_key=cbor([1]))),
    get("A26.key-and-more", Code.PUBLIC_KEY_MALFORMED, record(public_key=STORED_KEY + b"\0")),
    get("A26.key-cut-short", Code.PUBLIC_KEY_MALFORMED, record(public_key=STORED_KEY[:-1])),
    get("A26.spki", Code.PUBLIC_KEY_MALFORMED, record(public_key=OTHER_KEY.spki())),
)
CASES: Final = (*SIGNERS, *ENCODINGS, *RSA, *MESSAGES, *RECORDS)
