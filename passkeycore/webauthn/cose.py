"""COSE: the table of signature algorithms, and public keys that are checked once and then only verify.

Everything about one algorithm stands in its row of `ALGORITHMS`; everything about one key type in `key_types`.
Sources: RFC 9052 and 9053 (COSE), RFC 8230 (RSA-PSS), RFC 8812 (RSA, secp256k1), RFC 9864 (fully specified
identifiers), RFC 9964 (ML-DSA), https://www.iana.org/assignments/cose.
Spec: #sctn-alg-identifier
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final, cast

import cbor2
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from ..errors import Code, SignatureError, UnsupportedError
from .encoding import CBOR, decode_cbor_prefix
from .key_types import (
    AKP,
    ALG,
    CURVE448,
    CURVE25519,
    EC2,
    FIRST,
    KEY_TYPES,
    KTY,
    LABELS,
    OKP,
    P256,
    P384,
    P521,
    PATH,
    RSA,
    SECOND,
    SECP256K1,
    THIRD,
    Algorithm,
    Curve,
    Members,
    Verifier,
    check_edwards,
    ec2_key,
    ec2_point,
    malformed,
)
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


def _ecdsa(id: int, name: str, curve: Curve, digest: hashes.HashAlgorithm) -> Algorithm:
    return Algorithm(id=id, name=name, key_type=EC2, curve=curve, make_parameters=lambda: (ec.ECDSA(digest),))


def _eddsa(id: int, name: str, curve: Curve) -> Algorithm:
    return Algorithm(id=id, name=name, key_type=OKP, curve=curve)


def _pkcs1(id: int, name: str, digest: hashes.HashAlgorithm) -> Algorithm:
    return Algorithm(id=id, name=name, key_type=RSA, make_parameters=lambda: (padding.PKCS1v15(), digest))


def _pss(id: int, name: str, digest: hashes.HashAlgorithm) -> Algorithm:
    # RFC 8230, section 2: the salt is as long as the hash. `PSS.MAX_LENGTH` would accept any length here.
    return Algorithm(
        id=id,
        name=name,
        key_type=RSA,
        make_parameters=lambda: (padding.PSS(padding.MGF1(digest), digest.digest_size), digest),
    )


def _ml_dsa(id: int, name: str, key_bytes: int) -> Algorithm:
    return Algorithm(id=id, name=name, key_type=AKP, key_bytes=key_bytes)


ALGORITHMS: Final[Mapping[int, Algorithm]] = {
    algorithm.id: algorithm
    for algorithm in (
        _ecdsa(ES256, "ES256", P256, hashes.SHA256()),
        _ecdsa(ES384, "ES384", P384, hashes.SHA384()),
        _ecdsa(ES512, "ES512", P521, hashes.SHA512()),
        _ecdsa(ESP256, "ESP256", P256, hashes.SHA256()),
        _ecdsa(ESP384, "ESP384", P384, hashes.SHA384()),
        _ecdsa(ESP512, "ESP512", P521, hashes.SHA512()),
        _ecdsa(ES256K, "ES256K", SECP256K1, hashes.SHA256()),
        _eddsa(EDDSA, "EdDSA", CURVE25519),
        _eddsa(ED25519, "Ed25519", CURVE25519),
        _eddsa(ED448, "Ed448", CURVE448),
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
        self._key: Verifier | None = key  # type: ignore[assignment]  # each of cryptography's key types verifies
        self._point = point  # an elliptic curve point, checked, where there is no key yet
        self._parameters = _parameters(algorithm.id)

    @property
    def key(self) -> "Verifier":
        """The key, as `cryptography` has it."""
        key = self._key
        if key is None:
            key = self._key = cast("Verifier", ec2_key(self.algorithm, self._point))
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
        return PublicKey(algorithm, KEY_TYPES[algorithm.key_type].load(algorithm, known))

    @staticmethod
    def check(members: CBOR) -> "PublicKey":
        """The key with these `members` of a COSE_Key, after every check, for registration.

        `cryptography` makes a key of a P-256 point only when it is used: without an attestation statement nobody uses
        it, and it would be a third of the cost of a registration.

        Raises:
            DecodeError, UnsupportedError, VerificationError: As `load`; also for an Edwards key off its curve.
        """
        algorithm, known = _algorithm_of(members)
        if algorithm.curve is P256:
            return PublicKey(algorithm, point=ec2_point(algorithm, known, on_curve=True))
        if algorithm.key_type == OKP:
            check_edwards(algorithm, known)
        return PublicKey(algorithm, KEY_TYPES[algorithm.key_type].load(algorithm, known))

    @staticmethod
    def bind(algorithm_id: int, key: object, *, allow_rs1: bool = False) -> "PublicKey | None":
        """`key`, a public key of `cryptography`, bound to one algorithm; None when it is not a key for that one.

        For keys that come in certificates, where a separate member names the algorithm. RS1 is no algorithm
        unless `allow_rs1` says so.
        """
        algorithm = ALGORITHMS.get(algorithm_id)
        if algorithm is None or (algorithm_id == RS1 and not allow_rs1):
            return None
        if not KEY_TYPES[algorithm.key_type].fits(algorithm, key):
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
                "the signature does not verify",  # by which algorithm, would tell of the record
                path="response.signature",
                spec="#sctn-verifying-assertion",
            ) from None


@cache  # as many as `ALGORITHMS`; made late, because `cryptography` loads its whole backend for them
def _parameters(algorithm_id: int) -> tuple[object, ...]:
    return ALGORITHMS[algorithm_id].make_parameters()


@lru_cache(maxsize=4096)
def _parse(cose_key: bytes) -> PublicKey:
    members, end = decode_cose_key(cose_key, 0, PATH)
    if end != len(cose_key):
        raise malformed("there are bytes after the COSE_Key")
    return PublicKey.load(members)


def check_rs1(public_key: PublicKey, policy: Policy) -> None:
    """Returns only when the key's signatures are not over SHA-1, or the policy puts up with that.

    Raises:
        UnsupportedError: `algorithm_unsupported`.
    """
    if public_key.algorithm.id == RS1 and not policy.danger_allow_rs1:
        raise UnsupportedError(Code.ALGORITHM_UNSUPPORTED, "RS1 needs danger_allow_rs1", path=PATH, actual=RS1)


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
    members: dict[int | str, CBOR] = {KTY: algorithm.key_type, ALG: algorithm.id}
    first, second = FIRST, SECOND
    if algorithm.curve is not None:
        members[FIRST] = algorithm.curve.id
        first, second = SECOND, THIRD
        sizes = (algorithm.curve.size, algorithm.curve.size if algorithm.key_type == EC2 else 0)
    else:
        sizes = (algorithm.key_bytes, 0) if algorithm.key_type == AKP else (256, 3)  # RSA as TPMs make it
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


def _algorithm_of(members: CBOR) -> tuple[Algorithm, "Members"]:
    if not isinstance(members, dict):
        raise malformed("a COSE_Key is a map")
    id = members.get(ALG)
    if type(id) is not int:
        raise malformed("alg is not an integer")
    algorithm = ALGORITHMS.get(id)
    if algorithm is None:
        raise UnsupportedError(
            Code.ALGORITHM_UNSUPPORTED, f"COSE algorithm {id} is not supported", path=PATH, actual=id
        )
    if members.get(KTY) != algorithm.key_type or type(members[KTY]) is not int:
        raise malformed(f"the key type is not the one of {algorithm.name}")
    if members.keys() != LABELS[algorithm.key_type]:
        raise malformed(f"the parameters are not exactly those of {algorithm.name}")
    return algorithm, members
