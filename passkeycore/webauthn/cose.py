"""COSE: the table of signature algorithms, and public keys that are checked once and then only verify.

Everything about one algorithm stands in its row of `ALGORITHMS`; everything about one key type in its loader.
Sources: RFC 9052 and 9053 (COSE), RFC 8230 (RSA-PSS), RFC 8812 (RSA, secp256k1), RFC 9864 (fully specified
identifiers), RFC 9964 (ML-DSA), https://www.iana.org/assignments/cose.
Spec: #sctn-alg-identifier
"""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Final, Protocol, TypeAlias, cast

import cbor2
import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from ..errors import Code, DecodeError, SignatureError, UnsupportedError, VerificationError
from .encoding import CBOR, decode_cbor_prefix
from .policy import DEFAULT_POLICY, Policy

ES256: Final = -7
EDDSA: Final = -8
ESP256: Final = -9
ED25519: Final = -19
ES384: Final = -35
ES512: Final = -36
PS256: Final = -37
PS384: Final = -38
PS512: Final = -39
ES256K: Final = -47
ML_DSA_44: Final = -48
ML_DSA_65: Final = -49
ML_DSA_87: Final = -50
ESP384: Final = -51
ESP512: Final = -52
ED448: Final = -53
RS256: Final = -257
RS384: Final = -258
RS512: Final = -259
RS1: Final = -65535

_PATH: Final = "credentialPublicKey"
_KTY, _ALG, _FIRST, _SECOND, _THIRD = 1, 3, -1, -2, -3  # -1 is a curve, a modulus or a key, as the type says
_OKP, _EC2, _RSA, _AKP = 1, 2, 3, 7
_LABELS: Final = {
    _OKP: {_KTY, _ALG, _FIRST, _SECOND},
    _EC2: {_KTY, _ALG, _FIRST, _SECOND, _THIRD},
    _RSA: {_KTY, _ALG, _FIRST, _SECOND},
    _AKP: {_KTY, _ALG, _FIRST},
}
_RSA_BITS: Final = (2048, 8192)
_RSA_EXPONENT_LIMIT: Final = 2**32  # a 3071-bit exponent costs 35 times a normal check


class _Verifier(Protocol):
    """What every public key of `cryptography` can do; the parameters depend on its type."""

    def verify(self, signature: bytes, data: bytes, *parameters: Any) -> None: ...


class _Curve(msgspec.Struct, frozen=True):
    """One curve: its COSE number, the bytes of one coordinate or key, its prime and its coefficients.

    Weierstrass curves are y*y = x*x*x + a*x + b, and `implementation` is what `cryptography` calls them. Edwards curves
    are a*x*x + y*y = 1 + b*x*x*y*y, and `small_order` has the y coordinates of the points whose order divides the
    cofactor.
    """

    id: int
    size: int
    prime: int
    a: int
    b: int
    implementation: ec.EllipticCurve | None = None
    small_order: frozenset[int] = frozenset()


# NIST SP 800-186, sections 3.2.1.3 to 3.2.1.5; SEC 2, section 2.4.1.
_P256 = _Curve(
    1,
    32,
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    -3,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ec.SECP256R1(),
)
_P384 = _Curve(
    2,
    48,
    2**384 - 2**128 - 2**96 + 2**32 - 1,
    -3,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ec.SECP384R1(),
)
_P521 = _Curve(
    3,
    66,
    2**521 - 1,
    -3,
    0x51953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ec.SECP521R1(),
)
_SECP256K1 = _Curve(8, 32, 2**256 - 2**32 - 977, 0, 7, ec.SECP256K1())
_Q25519: Final = 2**255 - 19
_Q448: Final = 2**448 - 2**224 - 1
# RFC 7748, section 7, and RFC 8032: on these points one fixed signature verifies many messages or all.
_Y8: Final = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_CURVE25519 = _Curve(
    6,
    32,
    _Q25519,
    -1,
    -121665 * pow(121666, -1, _Q25519),
    small_order=frozenset({0, 1, _Q25519 - 1, _Y8, _Q25519 - _Y8}),
)
_CURVE448 = _Curve(7, 57, _Q448, 1, -39081, small_order=frozenset({0, 1, _Q448 - 1}))


class Algorithm(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the IANA COSE algorithm table.

    Attributes:
        id: The COSE identifier, as in ``pubKeyCredParams``.
        name: IANA's name.
        key_type: COSE ``kty``: 1 OKP, 2 EC2, 3 RSA, 7 AKP.
        curve: The only curve that WebAuthn lets this identifier mean, or None.
        make_parameters: Makes what the key's ``verify`` takes after signature and message.
        key_bytes: The exact length of an AKP public key, else 0.
    """

    id: int
    name: str
    key_type: int
    curve: _Curve | None = None
    make_parameters: Callable[[], tuple[object, ...]] = tuple
    key_bytes: int = 0


def _ecdsa(id: int, name: str, curve: _Curve, digest: hashes.HashAlgorithm) -> Algorithm:
    return Algorithm(id=id, name=name, key_type=_EC2, curve=curve, make_parameters=lambda: (ec.ECDSA(digest),))


def _eddsa(id: int, name: str, curve: _Curve) -> Algorithm:
    return Algorithm(id=id, name=name, key_type=_OKP, curve=curve)


def _pkcs1(id: int, name: str, digest: hashes.HashAlgorithm) -> Algorithm:
    return Algorithm(id=id, name=name, key_type=_RSA, make_parameters=lambda: (padding.PKCS1v15(), digest))


def _pss(id: int, name: str, digest: hashes.HashAlgorithm) -> Algorithm:
    # RFC 8230, section 2: the salt is as long as the hash. `PSS.MAX_LENGTH` would accept any length here.
    return Algorithm(
        id=id,
        name=name,
        key_type=_RSA,
        make_parameters=lambda: (padding.PSS(padding.MGF1(digest), digest.digest_size), digest),
    )


def _ml_dsa(id: int, name: str, key_bytes: int) -> Algorithm:
    return Algorithm(id=id, name=name, key_type=_AKP, key_bytes=key_bytes)


ALGORITHMS: Final[Mapping[int, Algorithm]] = {
    algorithm.id: algorithm
    for algorithm in (
        _ecdsa(ES256, "ES256", _P256, hashes.SHA256()),
        _ecdsa(ES384, "ES384", _P384, hashes.SHA384()),
        _ecdsa(ES512, "ES512", _P521, hashes.SHA512()),
        _ecdsa(ESP256, "ESP256", _P256, hashes.SHA256()),
        _ecdsa(ESP384, "ESP384", _P384, hashes.SHA384()),
        _ecdsa(ESP512, "ESP512", _P521, hashes.SHA512()),
        _ecdsa(ES256K, "ES256K", _SECP256K1, hashes.SHA256()),
        _eddsa(EDDSA, "EdDSA", _CURVE25519),
        _eddsa(ED25519, "Ed25519", _CURVE25519),
        _eddsa(ED448, "Ed448", _CURVE448),
        _pkcs1(RS256, "RS256", hashes.SHA256()),
        _pkcs1(RS384, "RS384", hashes.SHA384()),
        _pkcs1(RS512, "RS512", hashes.SHA512()),
        _pss(PS256, "PS256", hashes.SHA256()),
        _pss(PS384, "PS384", hashes.SHA384()),
        _pss(PS512, "PS512", hashes.SHA512()),
        _ml_dsa(ML_DSA_44, "ML-DSA-44", 1312),
        _ml_dsa(ML_DSA_65, "ML-DSA-65", 1952),
        _ml_dsa(ML_DSA_87, "ML-DSA-87", 2592),
        _pkcs1(RS1, "RS1", hashes.SHA1()),  # noqa: S303 - only where `danger_allow_rs1` lets it be configured
    )
}
SUPPORTED_ALGORITHMS: Final = tuple(id for id in ALGORITHMS if id != RS1)
# ES256 first: every client has it. With EdDSA and RS256, because the specification asks for at least these three.
DEFAULT_ALGORITHMS: Final = (ES256, EDDSA, RS256)


class PublicKey:
    """A public key that passed every check that its algorithm needs, ready to verify.

    Attributes:
        algorithm: The row of `ALGORITHMS` that the key is bound to.
    """

    __slots__ = ("_key", "_parameters", "_point", "algorithm")

    def __init__(self, algorithm: Algorithm, key: object = None, point: bytes = b"") -> None:
        self.algorithm = algorithm
        self._key: _Verifier | None = key  # type: ignore[assignment]  # each of cryptography's key types verifies
        self._point = point  # an elliptic curve point, checked, where there is no key yet
        self._parameters = _parameters(algorithm.id)

    @property
    def key(self) -> "_Verifier":
        """The key, as `cryptography` has it."""
        key = self._key
        if key is None:
            key = self._key = cast("_Verifier", _ec2_key(self.algorithm, self._point))
        return key

    @staticmethod
    def parse(cose_key: bytes) -> "PublicKey":
        """The key that `cose_key` (a CBOR COSE_Key) holds.

        Remembers the 4096 keys last used, by their bytes: a key that signs in again is not parsed again.

        Raises:
            DecodeError, UnsupportedError, VerificationError: As `load`; `public_key_malformed` also for what is not
                strict CBOR.

        Spec: #sctn-encoded-credPubKey-examples, #sctn-alg-identifier
        """
        return _parse(cose_key)

    @staticmethod
    def load(members: CBOR) -> "PublicKey":
        """The key with these `members` of a COSE_Key, for use at once.

        It leaves out one check, that an Edwards key is a point of its curve: no signature verifies under such a key.

        Raises:
            DecodeError: `public_key_malformed`: no map, a parameter that is missing, unknown or of the wrong type or
                length, or a curve or key type that is not the algorithm's. `too_large`: an RSA modulus of more than
                8192 bits.
            UnsupportedError: `algorithm_unsupported`.
            VerificationError: `public_key_invalid`: not a point of its curve, not in its only form, or
                impossible RSA numbers. `public_key_weak`: RSA under 2048 bits, an Edwards point of small order.

        Spec: #sctn-encoded-credPubKey-examples, #sctn-alg-identifier
        """
        algorithm, known = _algorithm_of(members)
        return PublicKey(algorithm, _KEY_TYPES[algorithm.key_type].load(algorithm, known))

    @staticmethod
    def check(members: CBOR) -> "PublicKey":
        """The key with these `members` of a COSE_Key, after every check, for registration.

        `cryptography` makes a key of an elliptic curve point only when it is used: without an attestation statement
        nobody uses it, and it would be a third of the cost of a registration.

        Raises:
            DecodeError, UnsupportedError, VerificationError: As `load`; also for an Edwards key off its curve.
        """
        algorithm, known = _algorithm_of(members)
        if algorithm.key_type == _EC2:
            return PublicKey(algorithm, point=_ec2_point(algorithm, known, on_curve=True))
        if algorithm.key_type == _OKP:
            _check_edwards(algorithm, known)
        return PublicKey(algorithm, _KEY_TYPES[algorithm.key_type].load(algorithm, known))

    @staticmethod
    def bind(algorithm_id: int, key: object, *, allow_rs1: bool = False) -> "PublicKey | None":
        """`key`, a public key of `cryptography`, bound to one algorithm; None when it is not a key for that one.

        For keys that come in certificates, where a separate member names the algorithm. RS1 is no algorithm
        unless `allow_rs1` says so.
        """
        algorithm = ALGORITHMS.get(algorithm_id)
        if algorithm is None or (algorithm_id == RS1 and not allow_rs1):
            return None
        if not _KEY_TYPES[algorithm.key_type].fits(algorithm, key):
            return None
        return PublicKey(algorithm, key)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Returns only when `signature` is this key's over `message`.

        ECDSA signatures are DER (Ecdsa-Sig-Value), the others raw.

        Raises:
            SignatureError: `signature_invalid`: any other signature.

        Spec: #sctn-signature-attestation-types
        """
        try:
            (self._key or self.key).verify(signature, message, *self._parameters)
        except InvalidSignature:
            raise SignatureError(
                Code.SIGNATURE_INVALID,
                f"the {self.algorithm.name} signature does not verify",
                path="response.signature",
                spec="#sctn-verifying-assertion",
            ) from None


@cache  # as many as `ALGORITHMS`; made late, because `cryptography` loads its whole backend for them
def _parameters(algorithm_id: int) -> tuple[object, ...]:
    return ALGORITHMS[algorithm_id].make_parameters()


@lru_cache(maxsize=4096)
def _parse(cose_key: bytes) -> PublicKey:
    members, end = decode_cose_key(cose_key, 0, _PATH)
    if end != len(cose_key):
        raise _malformed("there are bytes after the COSE_Key")
    return PublicKey.load(members)


class _Frame(msgspec.Struct, frozen=True):
    """The bytes around the values of a canonical COSE_Key of one algorithm: what is the same in every such key.

    `first` and `second` are the labels of the one or two byte strings, `sizes` their lengths (0: there is no second).
    """

    prefix: bytes
    infix: bytes
    members: dict[int | str, CBOR]
    first: int
    second: int
    sizes: tuple[int, int]


def _frame(algorithm: Algorithm) -> _Frame:
    members: dict[int | str, CBOR] = {_KTY: algorithm.key_type, _ALG: algorithm.id}
    first, second = _FIRST, _SECOND
    if algorithm.curve is not None:
        members[_FIRST] = algorithm.curve.id
        first, second = _SECOND, _THIRD
        sizes = (algorithm.curve.size, algorithm.curve.size if algorithm.key_type == _EC2 else 0)
    else:
        sizes = (algorithm.key_bytes, 0) if algorithm.key_type == _AKP else (256, 3)  # RSA as TPMs make it
    fixed = b"".join(cbor2.dumps(item) for pair in members.items() for item in pair)
    parts = [(label, size) for label, size in zip((first, second), sizes, strict=True) if size]
    strings = [cbor2.dumps(label) + cbor2.dumps(bytes(size))[:-size] for label, size in parts]
    count = bytes([0xA0 + len(members) + len(strings)])
    return _Frame(count + fixed + strings[0], b"".join(strings[1:]), members, first, second, sizes)


# By the first 7 bytes, in which the algorithm stands.
_FRAMES: Final = {frame.prefix[:7]: frame for frame in map(_frame, ALGORITHMS.values())}


def decode_cose_key(data: bytes, start: int, path: str, policy: Policy = DEFAULT_POLICY) -> tuple[CBOR, int]:
    """The CBOR data item that begins in `data` at `start`, a COSE_Key if honest, and where it ends.

    Authenticators write a key in one way, so equal bytes around its values need no reader; anything else is for
    `decode_cbor_prefix` to read and judge.

    Raises:
        DecodeError: `public_key_malformed`: see `decode_cbor_prefix`.
    """
    frame = _FRAMES.get(data[start : start + 7])
    if frame is not None:
        first = start + len(frame.prefix)
        first_end = first + frame.sizes[0]
        second = first_end + len(frame.infix)
        end = second + frame.sizes[1]
        if end <= len(data) and data.startswith(frame.prefix, start) and data.startswith(frame.infix, first_end):
            members = {**frame.members, frame.first: data[first:first_end]}
            if end != second:
                members[frame.second] = data[second:end]
            return members, end
    value, length = decode_cbor_prefix(data[start:], path, policy, Code.PUBLIC_KEY_MALFORMED)
    return value, start + length


def _algorithm_of(members: CBOR) -> tuple[Algorithm, "_Members"]:
    if not isinstance(members, dict):
        raise _malformed("a COSE_Key is a map")
    id = members.get(_ALG)
    if type(id) is not int:
        raise _malformed("alg is not an integer")
    algorithm = ALGORITHMS.get(id)
    if algorithm is None:
        raise UnsupportedError(
            Code.ALGORITHM_UNSUPPORTED, f"COSE algorithm {id} is not supported", path=_PATH, actual=id
        )
    if members.get(_KTY) != algorithm.key_type or type(members[_KTY]) is not int:
        raise _malformed(f"the key type is not the one of {algorithm.name}")
    if members.keys() != _LABELS[algorithm.key_type]:
        raise _malformed(f"the parameters are not exactly those of {algorithm.name}")
    return algorithm, members


def _jacobi(n: int, m: int) -> int:
    """The Jacobi symbol (n/m) for an odd m: four times as fast here as Euler's criterion."""
    sign = 1
    while n:
        twos = (n & -n).bit_length() - 1
        n >>= twos
        if twos & 1 and m & 7 in (3, 5):
            sign = -sign
        if n & m & 3 == 3:
            sign = -sign
        n, m = m % n, n
    return sign if m == 1 else 0


def _edwards_y(encoded: bytes) -> int:
    bits = 8 * len(encoded) - 1  # the last bit is the sign of x
    return int.from_bytes(encoded, "little") & ((1 << bits) - 1)


_Members: TypeAlias = Mapping[int | str, object]


def _string(members: _Members, label: int, size: int | None = None) -> bytes:
    value = members[label]
    if not isinstance(value, bytes):
        raise _malformed(f"parameter {label} is not a byte string")
    if size is not None and len(value) != size:
        raise _malformed(f"parameter {label} has {len(value)} bytes instead of {size}")
    return value


def _curve(algorithm: Algorithm, members: _Members) -> _Curve:
    curve = algorithm.curve
    if curve is None or members[_FIRST] != curve.id or type(members[_FIRST]) is not int:
        raise _malformed(f"the curve is not the one of {algorithm.name}")
    return curve


def _ec2_point(algorithm: Algorithm, members: _Members, *, on_curve: bool) -> bytes:
    """The uncompressed point, with both coordinates reduced; with `on_curve` also checked to be one of the curve."""
    curve = _curve(algorithm, members)
    x_bytes, y_bytes = _string(members, _SECOND, curve.size), _string(members, _THIRD, curve.size)
    x, y, p = int.from_bytes(x_bytes, "big"), int.from_bytes(y_bytes, "big"), curve.prime
    # OpenSSL reduces a coordinate of x + p silently; then one key would have two encodings.
    if x >= p or y >= p:
        raise _invalid("a coordinate is not reduced modulo the prime of the curve")
    if on_curve and ((x * x + curve.a) * x + curve.b - y * y) % p:
        raise _invalid("not a point of the curve")
    return b"\x04" + x_bytes + y_bytes


def _ec2_key(algorithm: Algorithm, point: bytes) -> ec.EllipticCurvePublicKey:
    curve = algorithm.curve
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve.implementation, point)  # type: ignore[union-attr, arg-type]
    except ValueError:
        raise _invalid("not a point of the curve") from None


def _load_ec2(algorithm: Algorithm, members: _Members) -> object:
    return _ec2_key(algorithm, _ec2_point(algorithm, members, on_curve=False))


def _check_edwards(algorithm: Algorithm, members: _Members) -> None:
    curve = _curve(algorithm, members)
    p, y = curve.prime, _edwards_y(_string(members, _SECOND, curve.size))
    # There is an x for this y when x*x = (y*y - 1) / (b*y*y - a) is a square, or when their product is: which takes
    # half a verification to find out.
    if y not in curve.small_order and _jacobi((y * y - 1) * (curve.b * y * y - curve.a) % p, p) != 1:
        raise _invalid("not a point of the curve")


def _load_okp(algorithm: Algorithm, members: _Members) -> object:
    curve = _curve(algorithm, members)
    x = _string(members, _SECOND, curve.size)
    y = _edwards_y(x)
    if y >= curve.prime:
        raise _invalid("the y coordinate is not reduced modulo the prime of the curve")
    if y in curve.small_order:
        raise VerificationError(Code.PUBLIC_KEY_WEAK, "the point has small order", path=_PATH)
    if curve is _CURVE25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(x)
    return ed448.Ed448PublicKey.from_public_bytes(x)


def _load_rsa(_: Algorithm, members: _Members) -> object:
    modulus, exponent = _string(members, _FIRST), _string(members, _SECOND)
    if not modulus or not exponent or modulus[0] == 0 or exponent[0] == 0:
        raise _malformed("an RSA number is empty or begins with a zero byte")
    n, e = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    bits = n.bit_length()
    if bits < _RSA_BITS[0]:
        raise VerificationError(
            Code.PUBLIC_KEY_WEAK,
            "the RSA modulus is too short",
            path=_PATH,
            expected=_RSA_BITS[0],
            actual=bits,
        )
    if bits > _RSA_BITS[1]:
        raise DecodeError(Code.TOO_LARGE, "the RSA modulus is too long", path=_PATH, expected=_RSA_BITS[1], actual=bits)
    if not n & 1:
        raise _invalid("the RSA modulus is even")
    if not e & 1 or not 3 <= e < _RSA_EXPONENT_LIMIT:
        raise _invalid("the RSA exponent is even or out of range")
    return rsa.RSAPublicNumbers(e, n).public_key()


def _load_akp(algorithm: Algorithm, members: _Members) -> object:
    public = _string(members, _FIRST, algorithm.key_bytes)
    try:
        return _ml_dsa_types()[algorithm.id].from_public_bytes(public)
    except UnsupportedAlgorithm:
        raise UnsupportedError(
            Code.ALGORITHM_UNSUPPORTED, f"the installed cryptography lacks {algorithm.name}", path=_PATH
        ) from None


def _ml_dsa_types() -> dict[int, Any]:
    from cryptography.hazmat.primitives.asymmetric import mldsa  # only its users pay for the import

    return {
        ML_DSA_44: mldsa.MLDSA44PublicKey,
        ML_DSA_65: mldsa.MLDSA65PublicKey,
        ML_DSA_87: mldsa.MLDSA87PublicKey,
    }


def _fits_ec2(algorithm: Algorithm, key: object) -> bool:
    curve = algorithm.curve
    return (
        isinstance(key, ec.EllipticCurvePublicKey)
        and curve is not None
        and curve.implementation is not None
        and key.curve.name == curve.implementation.name
    )


def _fits_okp(algorithm: Algorithm, key: object) -> bool:
    return isinstance(key, ed25519.Ed25519PublicKey if algorithm.curve is _CURVE25519 else ed448.Ed448PublicKey)


def _fits_rsa(_: Algorithm, key: object) -> bool:
    return isinstance(key, rsa.RSAPublicKey) and _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]


def _fits_akp(algorithm: Algorithm, key: object) -> bool:
    return isinstance(key, _ml_dsa_types()[algorithm.id])


class _KeyType(msgspec.Struct, frozen=True):
    load: Callable[[Algorithm, _Members], object]
    fits: Callable[[Algorithm, object], bool]


_KEY_TYPES: Final = {
    _OKP: _KeyType(_load_okp, _fits_okp),
    _EC2: _KeyType(_load_ec2, _fits_ec2),
    _RSA: _KeyType(_load_rsa, _fits_rsa),
    _AKP: _KeyType(_load_akp, _fits_akp),
}


def _malformed(message: str) -> DecodeError:
    return DecodeError(Code.PUBLIC_KEY_MALFORMED, message, path=_PATH, spec="#sctn-encoded-credPubKey-examples")


def _invalid(message: str) -> VerificationError:
    return VerificationError(Code.PUBLIC_KEY_INVALID, message, path=_PATH, spec="#sctn-alg-identifier")
