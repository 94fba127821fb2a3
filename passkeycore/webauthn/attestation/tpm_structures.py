"""What a TPM writes, read strictly, and the tables of the Trusted Computing Group (TCG) that say what it means.

No judgement on a ceremony stands here: that is the business of `tpm`. Numbers are big-endian.
Sources: TCG "Trusted Platform Module 2.0 Library, Part 2: Structures" (TPMT_PUBLIC, TPMS_ATTEST), "TCG Algorithm
Registry", "TCG TPM Vendor ID Registry" version 1.07.
"""

import hashlib
from collections.abc import Callable, Mapping, Set
from typing import Final

import msgspec

from ...errors import AttestationError
from ..cose import ES256, ES384, ES512, ESP256, ESP384, ESP512, PS256, PS384, PS512, RS1, RS256, RS384, RS512
from ..key_types import EC2, FIRST, KTY, P256, P384, P521, RSA, SECOND, THIRD
from .statement import statement_error

SHA1: Final = 0x0004
_SHA256: Final = 0x000B
_SHA384: Final = 0x000C
_SHA512: Final = 0x000D
_HASHES: Final[Mapping[int, str]] = {SHA1: "sha1", _SHA256: "sha256", _SHA384: "sha384", _SHA512: "sha512"}

_NULL: Final = 0x0010
_RSASSA: Final = 0x0014
_RSAPSS: Final = 0x0016
_ECDSA: Final = 0x0018
# The COSE algorithms under which a signature of this scheme and hash goes by.
_SCHEMES: Final[Mapping[tuple[int, int], frozenset[int]]] = {
    (_RSASSA, SHA1): frozenset({RS1}),
    (_RSASSA, _SHA256): frozenset({RS256}),
    (_RSASSA, _SHA384): frozenset({RS384}),
    (_RSASSA, _SHA512): frozenset({RS512}),
    (_RSAPSS, _SHA256): frozenset({PS256}),
    (_RSAPSS, _SHA384): frozenset({PS384}),
    (_RSAPSS, _SHA512): frozenset({PS512}),
    (_ECDSA, _SHA256): frozenset({ES256, ESP256}),
    (_ECDSA, _SHA384): frozenset({ES384, ESP384}),
    (_ECDSA, _SHA512): frozenset({ES512, ESP512}),
}
HASH_OF: Final[Mapping[int, int]] = {id: hash for (_, hash), ids in _SCHEMES.items() for id in ids}
"""The TPM's name for the hash of each COSE algorithm that a TPM can sign with."""

_CURVES: Final = {0x0003: P256, 0x0004: P384, 0x0005: P521}
_DEFAULT_EXPONENT: Final = 65537  # which a TPM writes as 0
_SIGN: Final = 1 << 18  # the bit of TPMA_OBJECT for keys that sign
_GENERATED: Final = 0xFF544347  # TPM_GENERATED_VALUE: no TPM signs other people's bytes that begin so
_ATTEST_CERTIFY: Final = 0x8017
_CLOCK_INFO: Final = 17  # bytes of TPMS_CLOCK_INFO

# Four characters, filled up with NUL where the registry does not fill up with a space.
_VENDOR_CODES: Final = (
    *("AMD", "ANT", "ATML", "BRCM", "CSCO", "FLYS", "GOOG", "HISI", "HPE", "HPI", "IBM", "IFX", "INTC", "LEN"),
    *("MSFT", "NSG", "NSM ", "NTC", "NTZ", "QCOM", "ROCC", "SEAL", "SECE", "SMSC", "SMSN", "SNS", "STM ", "TXN", "WEC"),
)
VENDORS: Final = frozenset(f"id:{code.ljust(4, chr(0)).encode().hex()}" for code in _VENDOR_CODES)
"""The manufacturers of the TCG's registry as certificates name them, but in small letters."""
TEST_VENDOR: Final = "id:fffff1d0"
"""The manufacturer in the certificates of FIDO's conformance suite, which is in no registry."""


class PubArea(msgspec.Struct, frozen=True, kw_only=True):
    """A TPMT_PUBLIC: the credential's key as the TPM knows it.

    Attributes:
        name_hash: The TCG's number of the hash in the key's name; one that `digest` knows.
        key: The key as members of a COSE_Key, less ``alg``.
        algorithms: The COSE algorithms that the key's scheme allows; all that a TPM has when the key leaves that open.
    """

    name_hash: int
    key: Mapping[int, int | bytes]
    algorithms: Set[int]


class CertInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A TPMS_ATTEST of type TPM_ST_ATTEST_CERTIFY, without what the specification has us ignore.

    Attributes:
        extra_data: What the TPM was asked to sign along.
        name: The name of the certified key: the number of a hash, 2 bytes, and the hash of its TPMT_PUBLIC.
    """

    extra_data: bytes
    name: bytes


class _Reader:
    """Reads one structure from its first byte to its last.

    Every method raises AttestationError `attestation_statement_invalid` when there are fewer bytes than it needs.
    """

    __slots__ = ("_data", "_member", "_position")

    def __init__(self, data: bytes, member: str) -> None:
        self._data = data
        self._member = member
        self._position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start = self._position
        self._position += size
        if self._position > len(self._data):
            raise self.error("is too short")
        return self._data[start : self._position]

    def number(self, size: int) -> int:
        """The number in the next `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def sized(self) -> bytes:
        """The content of a TPM2B: 2 bytes with its length come first."""
        return self.take(self.number(2))

    def finish(self) -> None:
        """Returns only at the end. Raises AttestationError `attestation_statement_invalid` before it."""
        if self._position != len(self._data):
            raise self.error("has bytes after its end")

    def error(self, message: str) -> AttestationError:
        """The error for what was read."""
        return statement_error("tpm", f"{self._member} {message}")


def digest(hash: int, data: bytes) -> bytes:
    """The digest of `data` under a hash that is named by its number, one of those in `HASH_OF` or of a `PubArea`."""
    return hashlib.new(_HASHES[hash], data, usedforsecurity=False).digest()


def read_pub_area(data: bytes) -> PubArea:
    """The TPMT_PUBLIC that `data` holds, of a key that signs, and nothing after it.

    Raises:
        AttestationError: `attestation_statement_invalid`: bytes missing or left over; a hash, type, curve or scheme
            that is not in our tables; a key that may not sign; a symmetric algorithm or a key derivation, which
            belong to other kinds of keys; a modulus of another length than the structure says.
    """
    reader = _Reader(data, "pubArea")
    read_key = _TYPES.get(reader.number(2))
    if read_key is None:
        raise reader.error("has a key that is neither RSA nor elliptic curve")
    name_hash = reader.number(2)
    if name_hash not in _HASHES:
        raise reader.error("has an unknown nameAlg")
    if not reader.number(4) & _SIGN:
        raise reader.error("has a key that may not sign")
    reader.sized()  # authPolicy: who may use the key is between the TPM and its owner
    if reader.number(2) != _NULL:
        raise reader.error("has a symmetric algorithm, as storage keys do")
    algorithms = _read_scheme(reader)
    key = read_key(reader)
    reader.finish()
    return PubArea(name_hash=name_hash, key=key, algorithms=algorithms)


def _read_scheme(reader: _Reader) -> Set[int]:
    scheme = reader.number(2)
    if scheme == _NULL:
        return HASH_OF.keys()
    algorithms = _SCHEMES.get((scheme, reader.number(2)))
    if algorithms is None:
        raise reader.error("has an unknown scheme or hash")
    return algorithms


def _read_rsa(reader: _Reader) -> Mapping[int, int | bytes]:
    bits, exponent = reader.number(2), reader.number(4) or _DEFAULT_EXPONENT
    modulus = reader.sized()
    if 8 * len(modulus) != bits:
        raise reader.error("has a modulus that is not as long as keyBits says")
    return {KTY: RSA, FIRST: modulus, SECOND: exponent.to_bytes((exponent.bit_length() + 7) // 8, "big")}


def _read_ecc(reader: _Reader) -> Mapping[int, int | bytes]:
    curve = _CURVES.get(reader.number(2))
    if curve is None:
        raise reader.error("has an unknown curve")
    if reader.number(2) != _NULL:
        raise reader.error("has a key derivation, for which no TPM has a use")
    # Some TPMs leave leading zeros of a coordinate out; COSE never does.
    x, y = reader.sized().rjust(curve.size, b"\0"), reader.sized().rjust(curve.size, b"\0")
    return {KTY: EC2, FIRST: curve.id, SECOND: x, THIRD: y}


_TYPES: Final[Mapping[int, Callable[[_Reader], Mapping[int, int | bytes]]]] = {0x0001: _read_rsa, 0x0023: _read_ecc}


def read_cert_info(data: bytes) -> CertInfo:
    """The TPMS_ATTEST that `data` holds, on a certified key, and nothing after it.

    Its clock and firmware version are not looked at: the specification ignores them, and its own vector has a clock
    that no TPM would write.

    Raises:
        AttestationError: `attestation_statement_invalid`: bytes missing or left over, another magic number, or an
            attestation of something else than a key.
    """
    reader = _Reader(data, "certInfo")
    if reader.number(4) != _GENERATED:
        raise reader.error("was not made by a TPM")
    if reader.number(2) != _ATTEST_CERTIFY:
        raise reader.error("does not certify a key")
    reader.sized()  # qualifiedSigner
    extra_data = reader.sized()
    reader.take(_CLOCK_INFO)
    reader.take(8)  # firmwareVersion
    name = reader.sized()
    reader.sized()  # qualifiedName
    reader.finish()
    return CertInfo(extra_data=extra_data, name=name)
