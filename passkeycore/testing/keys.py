"""Deterministic key material: `derive` for bytes, `SoftwareKey` for a signing key of any COSE algorithm.

Keys follow from a seed, so a failing test repeats. They protect nothing: who knows the seed knows the key,
and RSA keys share a handful of published primes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from passkeycore.testing._primes import PRIMES
from passkeycore.testing.encoding import cbor

MLDSAPrivateKey: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MLDSAPublicKey: TypeAlias = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
PrivateKey: TypeAlias = (
    ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | rsa.RSAPrivateKey | MLDSAPrivateKey
)
PublicKey: TypeAlias = (
    ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | rsa.RSAPublicKey | MLDSAPublicKey
)

_CURVES: Final[Mapping[int, ec.EllipticCurve]] = {
    -7: ec.SECP256R1(),
    -9: ec.SECP256R1(),
    -35: ec.SECP384R1(),
    -51: ec.SECP384R1(),
    -36: ec.SECP521R1(),
    -52: ec.SECP521R1(),
    -47: ec.SECP256K1(),
}
_COSE_CURVES: Final[Mapping[str, int]] = {"secp256r1": 1, "secp384r1": 2, "secp521r1": 3, "secp256k1": 8}
_HASHES: Final[Mapping[int, hashes.HashAlgorithm]] = {
    **dict.fromkeys((-7, -9, -47, -257, -37), hashes.SHA256()),
    **dict.fromkeys((-35, -51, -258, -38), hashes.SHA384()),
    **dict.fromkeys((-36, -52, -259, -39), hashes.SHA512()),
    -65535: hashes.SHA1(),  # noqa: S303 - RS1 is what it is: servers must be seen to refuse it
}
_RSA_PSS: Final = frozenset((-37, -38, -39))
_RSA: Final = frozenset((-257, -258, -259, -65535)) | _RSA_PSS
_ML_DSA: Final[Mapping[int, Callable[[bytes], MLDSAPrivateKey]]] = {
    -48: mldsa.MLDSA44PrivateKey.from_seed_bytes,
    -49: mldsa.MLDSA65PrivateKey.from_seed_bytes,
    -50: mldsa.MLDSA87PrivateKey.from_seed_bytes,
}

ALGORITHMS: Final[Mapping[int, str]] = {
    -7: "ES256",
    -35: "ES384",
    -36: "ES512",
    -9: "ESP256",
    -51: "ESP384",
    -52: "ESP512",
    -47: "ES256K",
    -8: "EdDSA",
    -19: "Ed25519",
    -53: "Ed448",
    -257: "RS256",
    -258: "RS384",
    -259: "RS512",
    -37: "PS256",
    -38: "PS384",
    -39: "PS512",
    -48: "ML-DSA-44",
    -49: "ML-DSA-65",
    -50: "ML-DSA-87",
    -65535: "RS1",
}
"""Every COSE algorithm the kit can sign with, and its name. EdDSA means Ed25519."""


def derive(seed: bytes | str, purpose: str, *, index: int = 0, length: int = 32) -> bytes:
    """`length` bytes that follow from `seed`: HKDF-SHA-256, with `purpose` and `index` separating the uses.

    Args:
        seed: The input key material, any length; a string counts as its UTF-8 bytes.
        purpose: What the bytes are for.
        index: Which of several for that purpose, 0..2^64-1.
        length: 0..8160 bytes.
    """
    if not length:
        return b""
    material = seed.encode() if isinstance(seed, str) else seed
    info = b"passkeycore.testing\0" + purpose.encode() + b"\0" + index.to_bytes(8, "big")
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(material)


@dataclass(frozen=True, slots=True)
class SoftwareKey:
    """A private key and the COSE algorithm it signs under.

    The two need not fit: `with_algorithm` makes mislabelled keys for negative tests. `cose_map` then
    describes the key as it is under the wrong `alg`, and `sign` takes the key's own scheme with the
    algorithm's hash.
    """

    algorithm: int
    """The COSE algorithm identifier."""
    private_key: PrivateKey

    @classmethod
    def derive(cls, seed: bytes | str, algorithm: int, *, purpose: str = "key", index: int = 0) -> "SoftwareKey":
        """The key for `algorithm` that follows from `seed`, `purpose` and `index`.

        RSA keys have 2048 bits, e = 65537 and one of 15 moduli; up to 15 consecutive indexes get distinct
        ones.

        Raises:
            ValueError: `algorithm` is not in `ALGORITHMS`.
            cryptography.exceptions.UnsupportedAlgorithm: The crypto library was built without `algorithm`.
        """
        return cls(algorithm, _private_key(seed, algorithm, f"{purpose} {algorithm}", index))

    @property
    def public_key(self) -> PublicKey:
        """The public half, an object of `cryptography`."""
        return self.private_key.public_key()

    def with_algorithm(self, algorithm: int) -> "SoftwareKey":
        """The same private key under another COSE algorithm, fitting or not."""
        return SoftwareKey(algorithm, self.private_key)

    def sign(self, message: bytes) -> bytes:
        """The signature over `message` in the form WebAuthn uses: DER for ECDSA, raw octets otherwise.

        It repeats for ECDSA (RFC 6979), EdDSA and PKCS#1 v1.5, not for PSS (salt as long as the hash) and
        ML-DSA.

        Raises:
            ValueError: An EC or RSA key is labelled with an algorithm that names no hash.
        """
        key = self.private_key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(message, ec.ECDSA(self._hash(), deterministic_signing=True))
        if isinstance(key, rsa.RSAPrivateKey):
            digest = self._hash()
            if self.algorithm in _RSA_PSS:
                return key.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
            return key.sign(message, padding.PKCS1v15(), digest)
        return key.sign(message)

    def cose_map(self) -> dict[int, int | bytes]:
        """The public key's COSE_Key parameters, label to value, coordinates padded to full length."""
        key = self.public_key
        if isinstance(key, ec.EllipticCurvePublicKey):
            size = (key.curve.key_size + 7) // 8
            numbers = key.public_numbers()
            x, y = numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")
            return {1: 2, 3: self.algorithm, -1: _COSE_CURVES[key.curve.name], -2: x, -3: y}
        if isinstance(key, rsa.RSAPublicKey):
            return {
                1: 3,
                3: self.algorithm,
                -1: _octets(key.public_numbers().n),
                -2: _octets(key.public_numbers().e),
            }
        raw = key.public_bytes_raw()
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            return {
                1: 1,
                3: self.algorithm,
                -1: 6 if isinstance(key, ed25519.Ed25519PublicKey) else 7,
                -2: raw,
            }
        return {1: 7, 3: self.algorithm, -1: raw}

    def cose(self) -> bytes:
        """The public key as a COSE_Key in CTAP2 canonical CBOR."""
        return cbor(self.cose_map())

    def spki(self) -> bytes:
        """The public key as a DER SubjectPublicKeyInfo."""
        return self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def _hash(self) -> hashes.HashAlgorithm:
        digest = _HASHES.get(self.algorithm)
        if digest is None:
            raise ValueError(f"COSE algorithm {self.algorithm} names no hash for this key")
        return digest


def _private_key(seed: bytes | str, algorithm: int, purpose: str, index: int) -> PrivateKey:
    if curve := _CURVES.get(algorithm):
        order = curve.group_order
        drawn = derive(seed, purpose, index=index, length=(order.bit_length() + 7) // 8 + 16)
        return ec.derive_private_key(1 + int.from_bytes(drawn, "big") % (order - 1), curve)
    if algorithm in _RSA:
        start = int.from_bytes(derive(seed, purpose, length=8), "big")
        return _rsa_key(start + index)
    if algorithm in (-8, -19):
        return ed25519.Ed25519PrivateKey.from_private_bytes(derive(seed, purpose, index=index))
    if algorithm == -53:
        return ed448.Ed448PrivateKey.from_private_bytes(derive(seed, purpose, index=index, length=57))
    if from_seed := _ML_DSA.get(algorithm):
        return from_seed(derive(seed, purpose, index=index))
    raise ValueError(f"no COSE algorithm of this kit: {algorithm}")


def _rsa_key(number: int) -> rsa.RSAPrivateKey:
    pairs = tuple(combinations(PRIMES, 2))
    return _rsa_from_primes(*pairs[number % len(pairs)])


@lru_cache
def _rsa_from_primes(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(65537, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
