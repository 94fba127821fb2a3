"""The constants of the curves, and the edges of what a key may be, where no ceremony comes near them."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from passkeycore import Code, DecodeError, VerificationError
from passkeycore.testing import der
from passkeycore.webauthn.cose import ALGORITHMS, ED448, EDDSA, ES256, ES256K, ES384, ES512, RS1, RS256, PublicKey
from passkeycore.webauthn.key_types import CURVE448, CURVE25519, ec2_point

CURVES: dict[int, ec.EllipticCurve] = {
    ES256: ec.SECP256R1(),
    ES384: ec.SECP384R1(),
    ES512: ec.SECP521R1(),
    ES256K: ec.SECP256K1(),
}


def members(algorithm: int, x: int, y: int) -> dict[int | str, Any]:
    curve = ALGORITHMS[algorithm].curve
    assert curve is not None
    size = curve.size
    return {1: 2, 3: algorithm, -1: curve.id, -2: x.to_bytes(size, "big"), -3: y.to_bytes(size, "big")}


@pytest.mark.parametrize("algorithm", CURVES)
def test_points_of_a_curve_meet_its_equation_and_others_do_not(algorithm: int) -> None:
    row = ALGORITHMS[algorithm]
    for secret in (1, 2, 3, 2**200 + 7):
        point = ec.derive_private_key(secret, CURVES[algorithm]).public_key().public_numbers()
        assert ec2_point(row, members(algorithm, point.x, point.y), on_curve=True)
        with pytest.raises(VerificationError, match="not a point"):
            ec2_point(row, members(algorithm, point.x, point.y ^ 1), on_curve=True)


@pytest.mark.parametrize("algorithm", CURVES)
@pytest.mark.parametrize("coordinate", [-2, -3])
def test_a_coordinate_is_smaller_than_the_prime(algorithm: int, coordinate: int) -> None:
    row = ALGORITHMS[algorithm]
    assert row.curve is not None
    prime, size = row.curve.prime, row.curve.size
    good = members(algorithm, 1, 1)
    assert ec2_point(row, good | {coordinate: (prime - 1).to_bytes(size, "big")}, on_curve=False)
    with pytest.raises(VerificationError, match="not reduced"):
        ec2_point(row, good | {coordinate: prime.to_bytes(size, "big")}, on_curve=False)


@pytest.mark.parametrize(
    ("algorithm", "prime", "make"),
    [
        (EDDSA, CURVE25519.prime, ed25519.Ed25519PublicKey.from_public_bytes),
        (ED448, CURVE448.prime, ed448.Ed448PublicKey.from_public_bytes),
    ],
)
def test_a_certificate_with_an_edwards_key_in_another_form(algorithm: int, prime: int, make: Any) -> None:
    curve = ALGORITHMS[algorithm].curve
    assert curve is not None
    assert PublicKey.bind(algorithm, make((prime - 2).to_bytes(curve.size, "little"))) is not None
    assert PublicKey.bind(algorithm, make(prime.to_bytes(curve.size, "little"))) is None
    assert PublicKey.bind(algorithm, make((prime + 3).to_bytes(curve.size, "little"))) is None


def rsa_key(bits: int, exponent: int = 65537) -> rsa.RSAPublicKey:
    """A key as a certificate may carry it: nobody knows whether the modulus has factors."""
    numbers = der.sequence(der.integer(2**bits - 1), der.integer(exponent))
    algorithm = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.null())
    key = load_der_public_key(der.sequence(algorithm, der.bit_string(numbers)))
    assert isinstance(key, rsa.RSAPublicKey)
    return key


@pytest.mark.parametrize(("bits", "fits"), [(2047, False), (2048, True), (8192, True), (8193, False)])
def test_a_certificate_with_an_rsa_key_at_the_edge(bits: int, fits: bool) -> None:
    assert (PublicKey.bind(RS256, rsa_key(bits)) is not None) is fits


def test_rs1_is_no_algorithm_unless_asked_for() -> None:
    assert PublicKey.bind(RS1, rsa_key(2048)) is None
    assert PublicKey.bind(RS1, rsa_key(2048), allow_rs1=True) is not None


@pytest.mark.parametrize(("bits", "code", "limit"), [(2047, Code.PUBLIC_KEY_WEAK, 2048), (8193, Code.TOO_LARGE, 8192)])
def test_a_modulus_out_of_range_tells_the_range(bits: int, code: Code, limit: int) -> None:
    modulus = (2**bits - 1).to_bytes((bits + 7) // 8, "big")
    with pytest.raises((VerificationError, DecodeError)) as caught:
        PublicKey.load({1: 3, 3: RS256, -1: modulus, -2: b"\1\0\1"})
    assert (caught.value.code, caught.value.expected, caught.value.actual) == (code, limit, bits)
