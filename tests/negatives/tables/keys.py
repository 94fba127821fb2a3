"""Cases about credential public keys, each under attestation none: nothing but the key itself can be wrong.

Rows R53 to R65 and some of B04, for every algorithm: `_common` has what every key must have, the rest goes by key type.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from passkeycore import Code, Policy
from passkeycore.testing import ALGORITHMS, SoftwareKey, Tamper, cbor, cbor_map

from ..ceremonies import SEED, Setup
from ..harness import Case, create

Key: TypeAlias = dict[int, Any]
KTY, ALG, FIRST, SECOND, THIRD = 1, 3, -1, -2, -3
"""The labels of a COSE_Key. -1 is a curve, a modulus or an ML-DSA key, as the type says."""

_MALFORMED, _INVALID, _WEAK = Code.PUBLIC_KEY_MALFORMED, Code.PUBLIC_KEY_INVALID, Code.PUBLIC_KEY_WEAK

_P256, _P384, _P521 = ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()
_PRIMES: Final[Mapping[str, int]] = {
    "secp256r1": 2**256 - 2**224 + 2**192 + 2**96 - 1,
    "secp384r1": 2**384 - 2**128 - 2**96 + 2**32 - 1,
    "secp521r1": 2**521 - 1,
    "secp256k1": 2**256 - 2**32 - 977,
}
CURVES: Final[Mapping[int, ec.EllipticCurve]] = {
    -7: _P256,
    -9: _P256,
    -35: _P384,
    -51: _P384,
    -36: _P521,
    -52: _P521,
    -47: ec.SECP256K1(),
}
EDWARDS: Final = (-8, -19, -53)
RSA: Final = (-257, -258, -259, -37, -38, -39, -65535)
ML_DSA: Final = (-48, -49, -50)
_P25519, _P448 = 2**255 - 19, 2**448 - 2**224 - 1
_ORDER_8: Final = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
"""The encoding of a point of order 8 on edwards25519."""


def changed(**members: Any) -> Tamper:
    """A key whose parameters are these instead; `...` leaves one out. Names are those of the labels above."""
    labels = {"kty": KTY, "alg": ALG, "first": FIRST, "second": SECOND, "third": THIRD}

    def change(key: Key) -> Key:
        made = {**key, **{labels[name]: value for name, value in members.items()}}
        return {label: value for label, value in made.items() if value is not ...}

    return Tamper(cose_key=change)


def also(label: int | str, value: Any) -> Tamper:
    """A key with one parameter more."""
    return Tamper(cose_key=lambda key: {**key, label: value})


def edited(label: int, change: Any) -> Tamper:
    """A key whose parameter `label` is what `change` makes of the right one."""
    return Tamper(cose_key=lambda key: {**key, label: change(key[label])})


def always(key: bytes) -> Callable[[Key], bytes]:
    """A change that leaves nothing of what was there."""
    return lambda _: key


def setup_of(algorithm: int) -> Setup:
    """A registration with a key for `algorithm`."""
    rs1: Mapping[str, Any] = {"algorithms": (-65535,), "policy": Policy(danger_allow_rs1=True)}
    return Setup(authenticator={"algorithms": (algorithm,)}, rp=rs1 if algorithm == -65535 else {})


def _common(key: Key) -> Iterator[tuple[str, Code | None, Tamper]]:
    names = {FIRST: "first", SECOND: "second", THIRD: "third"}
    for label in key.keys() - {KTY, ALG}:
        yield f"R53.{names[label]}-parameter-missing", _MALFORMED, changed(**{names[label]: ...})
        yield f"R57.{names[label]}-parameter-is-text", _MALFORMED, changed(**{names[label]: "text"})
        yield f"R57.{names[label]}-parameter-is-null", _MALFORMED, changed(**{names[label]: None})
    for kty in {1, 2, 3, 4, 7} - {key[KTY]}:
        yield f"R55.type-{kty}", _MALFORMED, changed(kty=kty)
    yield "R55.type-missing", _MALFORMED, changed(kty=...)
    yield "R55.type-as-text", _MALFORMED, changed(kty="OKP")
    yield "R63.private-key", _MALFORMED, also(-4, bytes(32))
    yield "R63.key-id", _MALFORMED, also(2, b"id")
    yield "R63.operations", _MALFORMED, also(4, [2])
    yield "R63.unknown-label", _MALFORMED, also(99, 0)
    yield "R63.label-of-text", _MALFORMED, also("x", 0)
    yield "B04.labels-in-reverse", None, Tamper(cose_key=lambda key: cbor_map(reversed(key.items())))


def _smallest(curve: ec.EllipticCurve) -> tuple[int, int]:
    """The point of the curve whose x is smallest."""
    size = (curve.key_size + 7) // 8
    for x in range(100):
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\2" + x.to_bytes(size, "big"))
        except ValueError:
            continue
        return x, point.public_numbers().y
    raise ValueError(curve.name)


def _elliptic(algorithm: int) -> Iterator[tuple[str, Code | None, Tamper]]:
    curve = CURVES[algorithm]
    size, prime = (curve.key_size + 7) // 8, _PRIMES[curve.name]
    x, y = _smallest(curve)

    def point(x: int, y: int) -> Tamper:
        return changed(second=x.to_bytes(size, "big"), third=y.to_bytes(size, "big"))

    other = SoftwareKey.derive(SEED, -35 if curve is _P256 else -7).cose_map()
    yield "R54.curve-of-another-key", _MALFORMED, Tamper(cose_key=lambda key: {**other, ALG: key[ALG]})
    for crv in {1, 2, 3, 4, 6, 8} - {SoftwareKey.derive(SEED, algorithm).cose_map()[FIRST]}:
        yield f"R54.curve-{crv}", _MALFORMED, changed(first=crv)
    yield "R54.curve-true", _MALFORMED, changed(first=True)
    yield "R56.off-the-curve", _INVALID, edited(THIRD, lambda y: y[:-1] + bytes([y[-1] ^ 1]))
    yield "R56.zeros", _INVALID, point(0, 0)
    yield "R57.smallest-x", None, point(x, y)
    yield "R57.x-not-reduced", _INVALID, point(x + prime, y)
    if curve is _P521:  # the one whose coordinates have bits to spare for every y
        yield "R57.y-not-reduced", _INVALID, point(x, y + prime)
    for label, name in ((SECOND, "x"), (THIRD, "y")):
        yield f"R57.{name}-too-short", _MALFORMED, edited(label, lambda value: value[1:])
        yield f"R57.{name}-too-long", _MALFORMED, edited(label, lambda value: b"\0" + value)
        yield f"R57.{name}-empty", _MALFORMED, edited(label, lambda _: b"")
        yield f"R57.{name}-number", _MALFORMED, edited(label, lambda value: int.from_bytes(value[:8], "big"))
    yield "R57.compressed-y-true", _MALFORMED, changed(third=True)
    yield "R57.compressed-y-false", _MALFORMED, changed(third=False)
    yield "R57.compressed-point-as-x", _MALFORMED, edited(SECOND, lambda x: b"\2" + x)


def _little(y: int, size: int, sign: int = 0) -> bytes:
    return (y | sign << (8 * size - 1)).to_bytes(size, "little")


def _on_curve(y: int, *, p: int, a: int, d: int) -> bool:
    """Whether there is a point with this y, by Euler's criterion on (1 - y*y) / (a - d*y*y)."""
    return pow((1 - y * y) * pow(a - d * y * y, -1, p), (p - 1) // 2, p) == 1


def _edwards(algorithm: int) -> Iterator[tuple[str, Code | None, Tamper]]:
    if algorithm == -53:
        size, p, a, d, crv, weak = 57, _P448, 1, -39081, 7, {1: "identity", _P448 - 1: "order-2", 0: "order-4"}
    else:
        d, y8 = -121665 * pow(121666, -1, _P25519), int.from_bytes(_ORDER_8, "little")
        size, p, a, crv = 32, _P25519, -1, 6
        weak = {1: "identity", p - 1: "order-2", 0: "order-4", y8: "order-8", p - y8: "order-8-negated"}
    for y, name in weak.items():
        for sign in (0, 1):  # x is zero for two of them: there the second one is another spelling of the first
            yield f"R58.{name}-sign-{sign}", _WEAK, changed(second=_little(y, size, sign))
    for y in (0, 1, 2):
        for sign in (0, 1):
            yield f"R58.prime-plus-{y}-sign-{sign}", _INVALID, changed(second=_little(p + y, size, sign))
    yield "R58.all-ones", _INVALID, changed(second=size * b"\xff")
    for y in range(2, 12):
        on_curve = _on_curve(y, p=p, a=a, d=d)
        name = "small-y-on-the-curve" if on_curve else "small-y-off-the-curve"
        yield f"R58.{name}-{y}", None if on_curve else _INVALID, changed(second=_little(y, size, y & 1))
    yield "R59.too-short", _MALFORMED, edited(SECOND, lambda x: x[1:])
    yield "R59.too-long", _MALFORMED, edited(SECOND, lambda x: x + b"\0")
    yield "R59.empty", _MALFORMED, edited(SECOND, lambda _: b"")
    for other in {1, 4, 5, 6, 7} - {crv}:
        yield f"R59.curve-{other}", _MALFORMED, changed(first=other)
    yield "R59.curve-as-text", _MALFORMED, changed(first="Ed25519")
    yield "R55.type-true", _MALFORMED, changed(kty=True)
    foreign = SoftwareKey.derive(SEED, -8 if algorithm == -53 else -53).cose_map()
    yield "R59.key-of-the-other-curve", _MALFORMED, Tamper(cose_key=lambda key: {**foreign, ALG: key[ALG]})


def _number(bits: int) -> bytes:
    """An odd number of exactly so many bits; whether it has two prime factors nobody can tell."""
    return (1 << bits - 1 | 1).to_bytes((bits + 7) // 8, "big")


def _rsa(_: int) -> Iterator[tuple[str, Code | None, Tamper]]:
    for bits in (512, 1024, 2040, 2047):
        yield f"R60.{bits}-bits", _WEAK, changed(first=_number(bits))
    for bits in (2048, 2049, 3482, 8192):
        yield f"R61.{bits}-bits", None, changed(first=_number(bits))
    for bits in (8193, 16_384, 65_536):
        yield f"R61.{bits}-bits", Code.TOO_LARGE, changed(first=_number(bits))
    yield "R62.even-modulus", _INVALID, edited(FIRST, lambda n: n[:-1] + bytes([n[-1] - 1]))
    yield "R62.zero-before-the-modulus", _MALFORMED, edited(FIRST, lambda n: b"\0" + n)
    yield "R62.empty-modulus", _MALFORMED, changed(first=b"")
    yield "R62.number-as-modulus", _MALFORMED, changed(first=2**63 - 1)
    for exponent in (1, 2, 4, 65536, 2**32, 2**32 + 1, 2**33 - 1, 2**255 + 1):
        size = (exponent.bit_length() + 7) // 8
        yield f"R62.exponent-{exponent}", _INVALID, changed(second=exponent.to_bytes(size, "big"))
    for exponent in (3, 5, 2**32 - 1):
        size = (exponent.bit_length() + 7) // 8
        yield f"R62.exponent-{exponent}", None, changed(second=exponent.to_bytes(size, "big"))
    yield "R62.exponent-0", _MALFORMED, changed(second=b"\0")
    yield "R62.empty-exponent", _MALFORMED, changed(second=b"")
    yield "R62.zero-before-the-exponent", _MALFORMED, changed(second=b"\0\1\0\1")
    yield "R62.number-as-exponent", _MALFORMED, changed(second=65537)


def _ml_dsa(algorithm: int) -> Iterator[tuple[str, Code | None, Tamper]]:
    yield "R64.too-short", _MALFORMED, edited(FIRST, lambda public: public[:-1])
    yield "R64.too-long", _MALFORMED, edited(FIRST, lambda public: public + b"\0")
    yield "R64.empty", _MALFORMED, changed(first=b"")
    for other in set(ML_DSA) - {algorithm}:
        key = SoftwareKey.derive(SEED, other).cose_map()
        yield f"R64.key-of-{ALGORITHMS[other]}", _MALFORMED, changed(first=key[FIRST])
    yield "R64.second-parameter", _MALFORMED, also(-2, b"")


def _cases() -> Iterator[Case]:
    for algorithm in ALGORITHMS:
        setup = setup_of(algorithm)
        kinds = ((CURVES, _elliptic), (EDWARDS, _edwards), (RSA, _rsa), (ML_DSA, _ml_dsa))
        own = next(kind for algorithms, kind in kinds if algorithm in algorithms)
        key = SoftwareKey.derive(SEED, algorithm).cose_map()
        for table in (_common(dict(key)), own(algorithm)):
            for id, code, tamper in table:
                yield create(f"{id}-{ALGORITHMS[algorithm]}", code, tamper, setup)


_NO_KEYS: Final = {
    "list": cbor([1, 2]),
    "number": cbor(1),
    "text": cbor("key"),
    "bytes": cbor(b"key"),
    "null": cbor(None),
    "empty-map": cbor({}),
}
ES256: Final = Setup(options={"algorithms": (-7,)})
IDENTIFIERS: Final = (
    create("R53-algorithm-that-nobody-knows", Code.ALGORITHM_UNSUPPORTED, changed(alg=-999)),
    create("R53.algorithm-of-a-key-agreement", Code.ALGORITHM_UNSUPPORTED, changed(alg=-25)),
    create("R53.algorithm-0", Code.ALGORITHM_UNSUPPORTED, changed(alg=0)),
    *(create(f"R53.{name}-as-the-key", _MALFORMED, Tamper(cose_key=always(item))) for name, item in _NO_KEYS.items()),
    create("R53.algorithm-missing", _MALFORMED, changed(alg=...)),
    create("R53.algorithm-as-text", _MALFORMED, changed(alg="ES256")),
    create("R53.algorithm-true", _MALFORMED, changed(alg=True)),
    create("R53.algorithm-null", _MALFORMED, changed(alg=None)),
    create(
        "R53.rs1-without-opting-in",
        Code.ALGORITHM_NOT_ALLOWED,
        Tamper(cose_key=lambda _: SoftwareKey.derive(SEED, -65535).cose_map()),
    ),
    create(
        "R52.same-curve-under-another-name",
        Code.ALGORITHM_NOT_ALLOWED,
        changed(alg=-9),
        ES256,
    ),
    # Firefox 117 wrote a map of three pairs for the four of an Ed25519 key.
    create(
        "R65-ed25519-key-that-miscounts-its-pairs",
        Code.AUTHENTICATOR_DATA_INVALID,
        Tamper(cose_key=lambda key: b"\xa3" + cbor(key)[1:]),
        setup_of(-8),
    ),
)
CASES: Final = (*_cases(), *IDENTIFIERS)
