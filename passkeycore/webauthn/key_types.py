"""The types of public keys in COSE: their curves and parameters, and every check that a key of that type must pass.

What one algorithm adds to its key type stands in its row of `cose.ALGORITHMS`; here stands everything about a type.
Sources: RFC 9052 and 9053; NIST SP 800-186; RFC 7748 and 8032 (Edwards curves); RFC 8017 (RSA).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from ..errors import Code, DecodeError, UnsupportedError, VerificationError

_K = TypeVar("_K")

PATH: Final = "credentialPublicKey"
KTY, ALG, FIRST, SECOND, THIRD = 1, 3, -1, -2, -3  # -1 is a curve, a modulus or a key, as the type says
OKP, EC2, RSA, AKP = 1, 2, 3, 7
LABELS: Final = {
    OKP: {KTY, ALG, FIRST, SECOND},
    EC2: {KTY, ALG, FIRST, SECOND, THIRD},
    RSA: {KTY, ALG, FIRST, SECOND},
    AKP: {KTY, ALG, FIRST},
}
_RSA_BITS: Final = (2048, 8192)
_RSA_EXPONENT_LIMIT: Final = 2**32  # a 3071-bit exponent costs 35 times a normal check


Members: TypeAlias = Mapping[int | str, object]


class Verifier(Protocol):
    """What every public key of `cryptography` can do; the parameters depend on its type."""

    def verify(self, signature: bytes, data: bytes, *parameters: Any) -> None: ...


class Curve(msgspec.Struct, frozen=True):
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
P256 = Curve(
    1,
    32,
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    -3,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ec.SECP256R1(),
)
P384 = Curve(
    2,
    48,
    2**384 - 2**128 - 2**96 + 2**32 - 1,
    -3,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ec.SECP384R1(),
)
P521 = Curve(
    3,
    66,
    2**521 - 1,
    -3,
    0x51953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ec.SECP521R1(),
)
SECP256K1 = Curve(8, 32, 2**256 - 2**32 - 977, 0, 7, ec.SECP256K1())
_Q25519: Final = 2**255 - 19
_Q448: Final = 2**448 - 2**224 - 1
# RFC 7748, section 7, and RFC 8032: on these points one fixed signature verifies many messages or all.
_Y8: Final = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
CURVE25519 = Curve(
    6,
    32,
    _Q25519,
    -1,
    -121665 * pow(121666, -1, _Q25519),
    small_order=frozenset({0, 1, _Q25519 - 1, _Y8, _Q25519 - _Y8}),
)
CURVE448 = Curve(7, 57, _Q448, 1, -39081, small_order=frozenset({0, 1, _Q448 - 1}))


_EDWARDS: Final[dict[int, Any]] = {6: ed25519.Ed25519PublicKey, 7: ed448.Ed448PublicKey}


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
    curve: Curve | None = None
    make_parameters: Callable[[], tuple[object, ...]] = tuple
    key_bytes: int = 0


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


def _string(members: Members, label: int, size: int | None = None) -> bytes:
    value = members[label]
    if not isinstance(value, bytes):
        raise malformed(f"parameter {label} is not a byte string")
    if size is not None and len(value) != size:
        raise malformed(f"parameter {label} has {len(value)} bytes instead of {size}")
    return value


def _curve(algorithm: Algorithm, members: Members) -> Curve:
    curve = algorithm.curve
    if curve is None or members[FIRST] != curve.id or type(members[FIRST]) is not int:
        raise malformed(f"the curve is not the one of {algorithm.name}")
    return curve


def ec2_point(algorithm: Algorithm, members: Members, *, on_curve: bool) -> bytes:
    """The uncompressed point, with both coordinates reduced; with `on_curve` also checked to be one of the curve."""
    curve = _curve(algorithm, members)
    x_bytes, y_bytes = _string(members, SECOND, curve.size), _string(members, THIRD, curve.size)
    x, y, p = int.from_bytes(x_bytes, "big"), int.from_bytes(y_bytes, "big"), curve.prime
    # OpenSSL reduces a coordinate of x + p silently; then one key would have two encodings.
    if x >= p or y >= p:
        raise invalid("a coordinate is not reduced modulo the prime of the curve")
    if on_curve and ((x * x + curve.a) * x + curve.b - y * y) % p:
        raise invalid("not a point of the curve")
    return b"\x04" + x_bytes + y_bytes


def ec2_key(algorithm: Algorithm, point: bytes) -> ec.EllipticCurvePublicKey:
    implementation = cast("Curve", algorithm.curve).implementation
    try:
        return _supported(algorithm, lambda: ec.EllipticCurvePublicKey.from_encoded_point(implementation, point))  # type: ignore[arg-type]
    except ValueError:
        raise invalid("not a point of the curve") from None


def _load_ec2(algorithm: Algorithm, members: Members) -> object:
    return ec2_key(algorithm, ec2_point(algorithm, members, on_curve=False))


def check_edwards(algorithm: Algorithm, members: Members) -> None:
    curve = _curve(algorithm, members)
    p, y = curve.prime, _edwards_y(_string(members, SECOND, curve.size))
    # There is an x for this y when x*x = (y*y - 1) / (b*y*y - a) is a square, or when their product is: which takes
    # half a verification to find out.
    if y not in curve.small_order and _jacobi((y * y - 1) * (curve.b * y * y - curve.a) % p, p) != 1:
        raise invalid("not a point of the curve")


def _load_okp(algorithm: Algorithm, members: Members) -> object:
    curve = _curve(algorithm, members)
    x = _string(members, SECOND, curve.size)
    y = _edwards_y(x)
    if y >= curve.prime:
        raise invalid("the y coordinate is not reduced modulo the prime of the curve")
    if y in curve.small_order:
        raise VerificationError(Code.PUBLIC_KEY_WEAK, "the point has small order", path=PATH)
    return _supported(algorithm, lambda: _EDWARDS[curve.id].from_public_bytes(x))


def _load_rsa(_: Algorithm, members: Members) -> object:
    modulus, exponent = _string(members, FIRST), _string(members, SECOND)
    if not modulus or not exponent or modulus[0] == 0 or exponent[0] == 0:
        raise malformed("an RSA number is empty or begins with a zero byte")
    n, e = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    bits = n.bit_length()
    if bits < _RSA_BITS[0]:
        raise VerificationError(
            Code.PUBLIC_KEY_WEAK,
            "the RSA modulus is too short",
            path=PATH,
            expected=_RSA_BITS[0],
            actual=bits,
        )
    if bits > _RSA_BITS[1]:
        raise DecodeError(Code.TOO_LARGE, "the RSA modulus is too long", path=PATH, expected=_RSA_BITS[1], actual=bits)
    if not _are_rsa_numbers(n, e):
        raise invalid("an even RSA number, or an exponent out of range")
    return rsa.RSAPublicNumbers(e, n).public_key()


def _are_rsa_numbers(n: int, e: int) -> bool:
    return bool(n & 1 and e & 1 and 3 <= e < _RSA_EXPONENT_LIMIT)


def _load_akp(algorithm: Algorithm, members: Members) -> object:
    public = _string(members, FIRST, algorithm.key_bytes)
    return _supported(algorithm, lambda: _ml_dsa_types()[algorithm.name].from_public_bytes(public))


def _supported(algorithm: Algorithm, make: Callable[[], _K]) -> _K:
    try:
        return make()
    except UnsupportedAlgorithm:
        raise UnsupportedError(
            Code.ALGORITHM_UNSUPPORTED, f"the installed cryptography lacks {algorithm.name}", path=PATH
        ) from None


def _ml_dsa_types() -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric import mldsa  # only its users pay for the import

    return {
        "ML-DSA-44": mldsa.MLDSA44PublicKey,
        "ML-DSA-65": mldsa.MLDSA65PublicKey,
        "ML-DSA-87": mldsa.MLDSA87PublicKey,
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
    curve = algorithm.curve
    if curve is None or not isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return False
    raw = key.public_bytes_raw()
    return len(raw) == curve.size and _edwards_y(raw) < curve.prime and _edwards_y(raw) not in curve.small_order


def _fits_rsa(_: Algorithm, key: object) -> bool:
    if not isinstance(key, rsa.RSAPublicKey) or not _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
        return False
    numbers = key.public_numbers()
    return _are_rsa_numbers(numbers.n, numbers.e)


def _fits_akp(algorithm: Algorithm, key: object) -> bool:
    return isinstance(key, _ml_dsa_types()[algorithm.name])


class KeyType(msgspec.Struct, frozen=True):
    load: Callable[[Algorithm, Members], object]
    fits: Callable[[Algorithm, object], bool]


KEY_TYPES: Final = {
    OKP: KeyType(_load_okp, _fits_okp),
    EC2: KeyType(_load_ec2, _fits_ec2),
    RSA: KeyType(_load_rsa, _fits_rsa),
    AKP: KeyType(_load_akp, _fits_akp),
}


def malformed(message: str) -> DecodeError:
    return DecodeError(Code.PUBLIC_KEY_MALFORMED, message, path=PATH, spec="#sctn-encoded-credPubKey-examples")


def invalid(message: str) -> VerificationError:
    return VerificationError(Code.PUBLIC_KEY_INVALID, message, path=PATH, spec="#sctn-alg-identifier")
