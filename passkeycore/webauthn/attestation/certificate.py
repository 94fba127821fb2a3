"""Attestation certificates: strict DER, and the requirements that several formats have in common.

Read with `cryptography.hazmat.asn1`, which takes DER only and, unlike `cryptography.x509`, leaves algorithm
parameters alone: real YubiKeys carry certificates with a NULL there.
Spec: #sctn-packed-attestation-cert-requirements; RFC 5280
"""

from collections.abc import Mapping
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
_BASIC_CONSTRAINTS: Final = "2.5.29.19"
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
class CertificateShape:
    to_be_signed: _ToBeSigned
    algorithm: asn1.TLV
    signature: asn1.BitString


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
    """The parts of an X.509 certificate that attestation formats have rules for.

    Attributes:
        raw: DER.
        version: 1, 2 or 3.
        subject: The attributes of the subject, in order; a multi-valued RDN gives several.
        public_key: The subject's key, as `cryptography` has it.
        extensions: By dotted identifier.
        ca: ``cA`` of basicConstraints, or None when the extension is absent.
    """

    raw: bytes
    version: int
    subject: tuple[Attribute, ...]
    public_key: object
    extensions: Mapping[str, Extension]
    ca: bool | None

    @staticmethod
    def parse(der: bytes) -> "Certificate":
        """The certificate that `der` holds, and nothing after it.

        Raises:
            DecodeError: `certificate_malformed`: not strict DER, an extension that stands twice, or a public key
                that cannot be read.
        """
        certificate = decode_der(CertificateShape, der)
        tbs = certificate.to_be_signed
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
            subject=tuple(
                Attribute(attribute.type.dotted_string, attribute.value.tag_bytes[0], bytes(attribute.value.data))
                for relative_name in tbs.subject
                for attribute in relative_name.as_list()
            ),
            public_key=_public_key(_encoded(tbs.public_key)),
            extensions=extensions,
            ca=None if constraints is None else decode_der(_BasicConstraints, constraints.value).ca,
        )


def _encoded(element: asn1.TLV) -> bytes:
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
