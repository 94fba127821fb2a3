"""Attestation certificates, to be looked at: whose, from whom, for how long, with which key and extensions."""

from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..webauthn.attestation.certificate import (
    FIDO_AAGUID,
    FIDO_FIRMWARE_VERSION,
    AttributeShape,
    Certificate,
    CertificateShape,
    decode_der,
)
from .output import Tree

_UTC_TIME: Final = b"\x17"
_BMP_STRING: Final = b"\x1e"
_ATTRIBUTES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
}
_EXTENSIONS: Final = {
    "2.5.29.14": "subjectKeyIdentifier",
    "2.5.29.15": "keyUsage",
    "2.5.29.17": "subjectAltName",
    "2.5.29.19": "basicConstraints",
    "2.5.29.31": "cRLDistributionPoints",
    "2.5.29.32": "certificatePolicies",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.37": "extKeyUsage",
    FIDO_AAGUID: "id-fido-gen-ce-aaguid",
    FIDO_FIRMWARE_VERSION: "id-fido-gen-ce-fw-version",
    "1.3.6.1.4.1.45724.2.1.1": "id-fido-u2f-ce-transports",
    "1.3.6.1.4.1.11129.2.1.17": "Android key description",
    "1.2.840.113635.100.8.2": "Apple nonce",
}


def certificate(der: bytes, attempt: Callable[..., Any]) -> Tree:
    """The certificate that `der` holds; `attempt` calls what may raise and returns None then."""
    shown: Tree = {"bytes": len(der)}
    outline: CertificateShape | None = attempt(decode_der, CertificateShape, der)
    if outline is None:
        return shown | {"der": der}
    body = outline.to_be_signed
    shown["subject"], shown["issuer"] = _name(body.subject), _name(body.issuer)
    shown["not_before"], shown["not_after"] = _time(body.validity.not_before), _time(body.validity.not_after)
    shown["serial_number"] = f"{body.serial:x}"
    parsed: Certificate | None = attempt(Certificate.parse, der)
    if parsed is None:
        return shown
    shown["public_key"] = _key(parsed.public_key)
    shown["ca"] = parsed.ca
    if FIDO_AAGUID in parsed.extensions:
        aaguid: bytes | None = attempt(decode_der, bytes, parsed.extensions[FIDO_AAGUID].value)
        shown["aaguid"] = str(UUID(bytes=aaguid)) if aaguid is not None and len(aaguid) == 16 else aaguid
    marks = {True: " (critical)", False: ""}
    shown["extensions"] = [
        _EXTENSIONS.get(oid, oid) + marks[extension.critical] for oid, extension in parsed.extensions.items()
    ]
    return shown


def _name(name: Iterable[asn1.SetOf[AttributeShape]]) -> str:
    return ", ".join(
        f"{_ATTRIBUTES.get(attribute.type.dotted_string, attribute.type.dotted_string)}={_text(attribute.value)}"
        for relative_name in name
        for attribute in relative_name.as_list()
    )


def _text(value: asn1.TLV) -> str:
    return bytes(value.data).decode("utf-16-be" if value.tag_bytes == _BMP_STRING else "utf-8", "replace")


def _time(value: asn1.TLV) -> str:
    """An X.509 time as RFC 3339; anything else as it is. RFC 5280: two digits of a year from 50 on mean 19xx."""
    text = bytes(value.data).decode("ascii", "replace")
    if value.tag_bytes == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    if len(text) != 15 or not text[:14].isdigit() or text[14] != "Z":
        return text
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:{text[12:14]}Z"


def _key(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size} bits"
    return type(key).__name__.removesuffix("PublicKey")
