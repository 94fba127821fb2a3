"""Attestation certificates: strict DER, and the requirements that several formats have in common.

Read with `cryptography.hazmat.asn1`, which takes DER only and, unlike `cryptography.x509`, leaves algorithm
parameters alone: real YubiKeys carry certificates with a NULL there.
Spec: #sctn-packed-attestation-cert-requirements; RFC 5280
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha1
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import ObjectIdentifier

from ...errors import AttestationError, Code, DecodeError

COUNTRY: Final = "2.5.4.6"
ORGANIZATION: Final = "2.5.4.10"
ORGANIZATIONAL_UNIT: Final = "2.5.4.11"
COMMON_NAME: Final = "2.5.4.3"
FIDO_AAGUID: Final = "1.3.6.1.4.1.45724.1.1.4"
FIDO_FIRMWARE_VERSION: Final = "1.3.6.1.4.1.45724.1.1.5"
FIDO_SERIAL_NUMBER: Final = "1.3.6.1.4.1.45724.1.1.2"
_LONGEST_NUMBER: Final = 18  # bytes of DER: a version of 128 bits
_LONGEST_SERIAL: Final = 512  # bits; RFC 5280 allows 160, and there are longer ones
_MOST_PARTS: Final = 64  # relative names, or extensions; what is remembered must not grow beyond what honest ones need
_EXTENDED_KEY_USAGE: Final = "2.5.29.37"
_BASIC_CONSTRAINTS: Final = "2.5.29.19"
_UTC_TIME: Final = b"\x17"
_GENERALIZED_TIME: Final = b"\x18"
_PATH: Final = "response.attestationObject.attStmt.x5c"

_T = TypeVar("_T")


@asn1.sequence
class _Extension:
    oid: ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class AttributeShape:
    type: ObjectIdentifier
    value: asn1.TLV


@asn1.sequence
class _Validity:
    not_before: asn1.TLV
    not_after: asn1.TLV


@asn1.sequence
class _ToBeSigned:
    version: Annotated[int, asn1.Explicit(0), asn1.Default(0)]
    serial: int
    signature: asn1.TLV
    issuer: list[asn1.SetOf[AttributeShape]]
    validity: _Validity
    subject: list[asn1.SetOf[AttributeShape]]
    public_key: asn1.TLV
    issuer_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[_Extension] | None, asn1.Explicit(3)]


@asn1.sequence
class _SubjectPublicKeyInfo:
    algorithm: asn1.TLV
    bits: asn1.BitString


@asn1.sequence
class CertificateShape:
    to_be_signed: _ToBeSigned
    algorithm: asn1.TLV
    signature: asn1.BitString


@asn1.sequence
class _KeyPurposes:
    identifiers: list[ObjectIdentifier]


@asn1.sequence
class _BasicConstraints:
    ca: Annotated[bool, asn1.Default(False)]
    path_length: int | None


class Extension(msgspec.Struct, frozen=True):
    """The content of one certificate extension (DER), and whether it is critical."""

    critical: bool
    value: bytes


class Attribute(msgspec.Struct, frozen=True):
    """One attribute of a name: its type (dotted), the ASN.1 tag of its value, and the value's content bytes."""

    type: str
    tag: int
    value: bytes


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """An X.509 certificate as far as attestation has rules for it. What only some formats read is read when asked for.

    Attributes:
        raw: DER.
        version: 1, 2 or 3.
        serial_number: As it stands there, which may be negative.
        public_key: The subject's key, as `cryptography` has it.
        extensions: By dotted identifier.
        ca: ``cA`` of basicConstraints, or None when the extension is absent.
        shape: The decoded parts that the properties read.
    """

    raw: bytes
    version: int
    serial_number: int
    public_key: object
    extensions: Mapping[str, Extension]
    ca: bool | None
    shape: CertificateShape

    @staticmethod
    def parse(der: bytes) -> "Certificate":
        """The certificate that `der` holds, and nothing after it.

        Remembers the certificates last used: the devices of a batch share one.

        Raises:
            DecodeError: `certificate_malformed`: not strict DER, an extension that stands twice, or a public key
                that cannot be read.
        """
        return _parse(der)

    @property
    def subject(self) -> tuple[Attribute, ...]:
        """The attributes of the subject, in order; a multi-valued RDN gives several."""
        return tuple(attribute for several in attributes_of(self.shape.to_be_signed.subject) for attribute in several)

    @property
    def self_issued(self) -> bool:
        """Subject and issuer are the same name, as in every root."""
        tbs = self.shape.to_be_signed
        return attributes_of(tbs.subject) == attributes_of(tbs.issuer)

    @property
    def purposes(self) -> frozenset[str] | None:
        """The purposes of the extended key usage, dotted; None without that extension.

        Raises:
            DecodeError: `certificate_malformed`.
        """
        usage = self.extensions.get(_EXTENDED_KEY_USAGE)
        if usage is None:
            return None
        return frozenset(one.dotted_string for one in decode_der(_KeyPurposes, enclosed(usage.value)).identifiers)

    @property
    def key_identifier(self) -> bytes:
        """SHA-1 of the bits of the subject's key, 20 bytes. Source: RFC 5280, section 4.2.1.2, method (1)."""
        key = decode_der(_SubjectPublicKeyInfo, encoded(self.shape.to_be_signed.public_key))
        return sha1(key.bits.as_bytes(), usedforsecurity=False).digest()

    @property
    def aaguid(self) -> UUID | None:
        """The AAGUID of the id-fido-gen-ce-aaguid extension; None without one.

        Raises:
            DecodeError: `certificate_malformed`: not an OCTET STRING of 16 bytes within the extension's own.
        """
        extension = self.extensions.get(FIDO_AAGUID)
        if extension is None:
            return None
        value = decode_der(bytes, extension.value)
        if len(value) != 16:
            raise _malformed("an AAGUID has 16 bytes")
        return UUID(bytes=value)

    @property
    def signature_algorithm(self) -> bytes:
        """The content of the AlgorithmIdentifier (DER) of the issuer's signature: an identifier and its parameters.

        Raises:
            DecodeError: `certificate_malformed`: the signed part names another one than the envelope.
        """
        outer, inner = self.shape.algorithm.data, self.shape.to_be_signed.signature.data
        if outer != inner:
            raise _malformed("two different signature algorithms")
        return bytes(outer)

    @property
    def not_before(self) -> datetime:
        """When the validity begins, UTC. Raises DecodeError `certificate_malformed` for a time of another form."""
        return _time(self.shape.to_be_signed.validity.not_before)

    @property
    def not_after(self) -> datetime:
        """When the validity ends, UTC, that second included. Raises as `not_before`."""
        return _time(self.shape.to_be_signed.validity.not_after)


_memories: Final[list[Callable[[], None]]] = []


def remembered(read: Callable[[bytes], _T]) -> Callable[[bytes], _T]:
    """`read`, a function of a certificate's bytes alone, which remembers the 512 last used: a batch shares one."""
    cached = lru_cache(maxsize=512)(read)
    _memories.append(cached.cache_clear)
    return cached


def forget_certificates() -> None:
    """Forgets everything that is remembered about certificates, for measurements."""
    for forget in _memories:
        forget()


@remembered
def _parse(der: bytes) -> Certificate:
    shape = decode_der(CertificateShape, der)
    tbs = shape.to_be_signed
    if not 0 <= tbs.version <= 2 or tbs.serial.bit_length() > _LONGEST_SERIAL:
        raise _malformed("of no known version, or with a serial number longer than any")
    if max(len(tbs.issuer), len(tbs.subject), len(tbs.extensions or ())) > _MOST_PARTS:
        raise _malformed("more names or extensions than any certificate has")
    extensions: dict[str, Extension] = {}
    for extension in tbs.extensions or ():
        oid = extension.oid.dotted_string
        if oid in extensions:
            raise _malformed("an extension stands twice")
        extensions[oid] = Extension(extension.critical, extension.value)
    constraints = extensions.get(_BASIC_CONSTRAINTS)
    return Certificate(
        raw=der,
        version=tbs.version + 1,
        serial_number=tbs.serial,
        public_key=_public_key(encoded(tbs.public_key)),
        extensions=extensions,
        ca=None if constraints is None else decode_der(_BasicConstraints, constraints.value).ca,
        shape=shape,
    )


def attributes_of(name: list[asn1.SetOf[AttributeShape]]) -> tuple[tuple[Attribute, ...], ...]:
    """The relative distinguished names of a decoded Name, each with its attributes."""
    return tuple(
        tuple(
            Attribute(attribute.type.dotted_string, attribute.value.tag_bytes[0], bytes(attribute.value.data))
            for attribute in relative_name.as_list()
        )
        for relative_name in name
    )


def _time(element: asn1.TLV) -> datetime:
    """RFC 5280, section 4.1.2.5: UTCTime from 1950 to 2049, else GeneralizedTime; both to the second and in UTC."""
    text, tag = bytes(element.data), element.tag_bytes
    if tag == _UTC_TIME and len(text) == 13:
        text = (b"19" if text[:2] >= b"50" else b"20") + text
    elif tag != _GENERALIZED_TIME or len(text) != 15:
        raise _malformed("a time that is neither UTCTime nor GeneralizedTime to the second")
    try:
        if not (text[:14].isdigit() and text[14:] == b"Z"):
            raise ValueError
        return datetime.fromisoformat(f"{text[:8].decode()}T{text[8:].decode()}")
    except ValueError:
        raise _malformed("not a time in UTC") from None


def encoded(element: asn1.TLV) -> bytes:
    """`element` as DER: its tag, the length and the content."""
    # asn1.encode_der() writes a TLV only since cryptography 50.
    size = len(element.data)
    octets = (size.bit_length() + 7) // 8
    length = bytes([size]) if size < 128 else bytes([0x80 | octets]) + size.to_bytes(octets, "big")
    return element.tag_bytes + length + bytes(element.data)


def _public_key(spki: bytes) -> object:
    try:
        return load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _malformed("the public key cannot be read") from None


def decode_der(shape: type[_T], der: bytes) -> _T:
    """The value of type `shape` (made with `cryptography.hazmat.asn1`) that `der` holds, and nothing after it.

    Raises:
        DecodeError: `certificate_malformed`.
    """
    try:
        return asn1.decode_der(shape, der)
    except (ValueError, OverflowError):
        raise _malformed("not DER of the expected form") from None


def enclosed(der: bytes) -> bytes:
    """A SEQUENCE around `der`: the reader takes lists only as members of a structure."""
    return b"\x30" + asn1.encode_der(der)[1:]  # the length is that of an OCTET STRING


def _malformed(message: str) -> DecodeError:
    return DecodeError(Code.CERTIFICATE_MALFORMED, message, path=_PATH)


def certificate_error(format: str, message: str) -> AttestationError:
    """The error for a certificate that does not meet its format's requirements."""
    return AttestationError(
        Code.ATTESTATION_CERTIFICATE_INVALID,
        message,
        attestation_format=format,
        spec="#sctn-packed-attestation-cert-requirements",
    )


def check_leaf(certificate: Certificate, format: str) -> None:
    """Returns only when the certificate is of version 3 and no certificate authority's.

    Raises:
        AttestationError: `attestation_certificate_invalid`.
    """
    if certificate.version != 3:
        raise certificate_error(format, "the attestation certificate is not of version 3")
    if certificate.ca is not False:
        raise certificate_error(format, "the attestation certificate does not say that it is no CA's")


def check_aaguid(certificate: Certificate, aaguid: UUID, format: str) -> None:
    """Returns only when the id-fido-gen-ce-aaguid extension, if present, names the authenticator's AAGUID.

    Raises:
        AttestationError: `attestation_certificate_invalid`: another AAGUID, or a critical extension.
        DecodeError: `certificate_malformed`: not an OCTET STRING within the extension's own.
    """
    extension = certificate.extensions.get(FIDO_AAGUID)
    if extension is None:
        return
    if extension.critical:
        raise certificate_error(format, "the AAGUID extension of the certificate is critical")
    if decode_der(bytes, extension.value) != aaguid.bytes:
        raise certificate_error(format, "the AAGUID of the certificate is not the authenticator's")


def firmware_claims(certificate: Certificate, format: str) -> Mapping[str, object]:
    """The claim ``firmware_version``, when the certificate makes it.

    Raises:
        AttestationError: `attestation_certificate_invalid`: a critical extension, or a negative version.
        DecodeError: `certificate_malformed`: not an INTEGER.
    """
    extension = certificate.extensions.get(FIDO_FIRMWARE_VERSION)
    if extension is None:
        return {}
    if len(extension.value) > _LONGEST_NUMBER:
        raise certificate_error(format, "the firmware version is longer than any")
    version = decode_der(int, extension.value)
    if extension.critical or version < 0:
        raise certificate_error(format, "the firmware version extension is critical or negative")
    return {"firmware_version": version}


def serial_claims(certificate: Certificate, conveyance: str, format: str) -> Mapping[str, object]:
    """The claim ``serial_number`` (bytes) of an enterprise attestation, when the certificate makes it.

    Raises:
        AttestationError: `attestation_certificate_invalid`: a critical extension, or one outside of enterprise
            attestation.
        DecodeError: `certificate_malformed`: not an OCTET STRING within the extension's own.

    Spec: #sctn-enterprise-packed-attestation-cert-requirements
    """
    extension = certificate.extensions.get(FIDO_SERIAL_NUMBER)
    if extension is None:
        return {}
    if extension.critical or conveyance != "enterprise":
        raise certificate_error(format, "the serial number extension is critical, or there without being asked for")
    return {"serial_number": decode_der(bytes, extension.value)}
