"""The ``tpm`` format: a TPM certifies the credential's key with a certified attestation identity key (AIK).

How the TPM's structures are read stands in `tpm_structures`.
Sources: TCG "EK Credential Profile for TPM Family 2.0", section 3.2.9 (names in the certificate).
Spec: #sctn-tpm-attestation
"""

from collections.abc import Mapping
from typing import Final

from cryptography.hazmat import asn1

from ..encoding import CBOR
from ..key_types import ALG
from ..policy import Policy
from .certificate import (
    Attribute,
    AttributeShape,
    Certificate,
    attributes_of,
    certificate_error,
    check_aaguid,
    check_leaf,
    decode_der,
    enclosed,
)
from .statement import (
    AttestationCeremony,
    AttestationResult,
    Verify,
    attestation_key,
    certificates_of,
    check_signature,
    members_of,
    statement_error,
)
from .tpm_structures import HASH_OF, SHA1, TEST_VENDOR, VENDORS, PubArea, digest, read_cert_info, read_pub_area

_MEMBERS: Final = frozenset({"ver", "alg", "x5c", "sig", "certInfo", "pubArea"})
_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
_AIK_CERTIFICATE: Final = "2.23.133.8.3"
_DIRECTORY_NAME: Final = b"\xa4"
_MANUFACTURER: Final = "2.23.133.2.1"
_CLAIMS: Final[Mapping[str, str]] = {
    _MANUFACTURER: "tpm_manufacturer",
    "2.23.133.2.2": "tpm_model",
    "2.23.133.2.3": "tpm_version",
}
_LONGEST_NAME: Final = 256  # characters; STRMAX in the profile
_TEXTS: Final[Mapping[int, str]] = {0x0C: "utf-8", 0x13: "ascii"}  # UTF8String, PrintableString
_VENDOR_LISTS: Final[Mapping[str, frozenset[str]]] = {"listed": VENDORS, "listed_or_test": VENDORS | {TEST_VENDOR}}


@asn1.sequence
class _GeneralNames:
    names: list[asn1.TLV]


@asn1.sequence
class _DirectoryName:
    relative_names: list[asn1.SetOf[AttributeShape]]


def verify(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result, of type ``attca``, with the claims ``tpm_manufacturer``, ``tpm_model`` and ``tpm_version``.

    They are text of 1 to 256 characters as the certificate has it, save that whatever is not printable ASCII, and
    the backslash, is written as an escape of Python.

    Raises:
        AttestationError: `attestation_statement_invalid`, `attestation_signature_invalid`,
            `attestation_certificate_invalid`.
        DecodeError: `too_large`, `certificate_malformed`.
    """
    members = members_of(statement, "tpm", _MEMBERS, frozenset(), policy)
    algorithm, signature = members["alg"], members["sig"]
    cert_info, pub_area = members["certInfo"], members["pubArea"]
    if members["ver"] != "2.0":
        raise statement_error("tpm", "ver is not '2.0'")
    if type(algorithm) is not int or not isinstance(signature, bytes):
        raise statement_error("tpm", "alg is not an integer or sig not a byte string")
    if not isinstance(cert_info, bytes) or not isinstance(pub_area, bytes):
        raise statement_error("tpm", "certInfo or pubArea is not a byte string")

    area = read_pub_area(pub_area)
    _check_key(area, ceremony, policy)
    path = certificates_of(members["x5c"], "tpm", policy)
    leaf = Certificate.parse(path[0])
    key = attestation_key(algorithm, leaf.public_key, "tpm", policy)
    if algorithm not in HASH_OF:
        raise statement_error("tpm", "alg is not an algorithm of TPMs")
    check_signature(key, signature, cert_info, "tpm")

    certified = read_cert_info(cert_info)
    signed = ceremony.authenticator_data.raw + ceremony.client_data_hash
    if certified.extra_data != digest(HASH_OF[algorithm], signed):
        raise statement_error("tpm", "certInfo was not made for this ceremony")
    if certified.name != area.name_hash.to_bytes(2, "big") + digest(area.name_hash, pub_area):
        raise statement_error("tpm", "certInfo certifies another key than pubArea holds")
    return AttestationResult(format="tpm", type="attca", trust_path=path, claims=_claims(leaf, ceremony, policy))


def _check_key(area: PubArea, ceremony: AttestationCeremony, policy: Policy) -> None:
    algorithm = ceremony.public_key.algorithm.id
    if {**area.key, ALG: algorithm} != ceremony.attested_credential_data.cose_key:
        raise statement_error("tpm", "the key in pubArea is not the credential's")
    if algorithm not in area.algorithms:
        raise statement_error("tpm", "the scheme in pubArea is not the algorithm of the credential's key")
    # Somebody who can make two keys with one SHA-1 could have one certified and use the other.
    if area.name_hash == SHA1 and not policy.danger_allow_rs1:
        raise statement_error("tpm", "nameAlg is SHA-1, which needs danger_allow_rs1")


def _claims(leaf: Certificate, ceremony: AttestationCeremony, policy: Policy) -> Mapping[str, object]:
    """What the certificate of an AIK says about the TPM, when it meets all its requirements.

    Whether the alternative name is critical is not judged. RFC 5280, section 4.2.1.6, demands it where the subject is
    empty, WebAuthn does not, and the name is read here either way.
    Spec: #sctn-tpm-cert-requirements
    """
    check_leaf(leaf, "tpm")
    if leaf.shape.to_be_signed.subject:
        raise certificate_error("tpm", "the subject is not empty")
    if _AIK_CERTIFICATE not in (leaf.purposes or ()):
        raise certificate_error("tpm", "the certificate is not one of an attestation identity key")
    names = _names(leaf, policy)
    listed = _VENDOR_LISTS.get(policy.tpm_vendor)
    if listed is not None and names[_MANUFACTURER].lower() not in listed:
        raise certificate_error("tpm", "the manufacturer is not in the TCG's registry")
    check_aaguid(leaf, ceremony.attested_credential_data.aaguid, "tpm")
    return {claim: names[type].encode("unicode_escape").decode("ascii") for type, claim in _CLAIMS.items()}


def _names(leaf: Certificate, policy: Policy) -> Mapping[str, str]:
    """The texts of manufacturer, model and version in the alternative name, by type. Other names in it are ignored."""
    extension = leaf.extensions.get(_SUBJECT_ALTERNATIVE_NAME)
    if extension is None:
        raise certificate_error("tpm", "the certificate has no alternative name")
    relative_names = [
        relative_name
        for name in decode_der(_GeneralNames, enclosed(extension.value)).names
        if name.tag_bytes == _DIRECTORY_NAME
        for relative_name in attributes_of(decode_der(_DirectoryName, enclosed(bytes(name.data))).relative_names)
    ]
    found = [[attribute for attribute in several if attribute.type in _CLAIMS] for several in relative_names]
    attributes = [attribute for several in found for attribute in several]
    if sorted(attribute.type for attribute in attributes) != sorted(_CLAIMS):
        raise certificate_error("tpm", "the alternative name lacks manufacturer, model or version, or has one twice")
    if policy.tpm_names == "one" and attributes not in found:
        raise certificate_error("tpm", "manufacturer, model and version are not in one relative name")
    return {attribute.type: _text(attribute) for attribute in attributes}


def _text(attribute: Attribute) -> str:
    try:
        text = attribute.value.decode(_TEXTS[attribute.tag])
    except (KeyError, UnicodeDecodeError):
        raise certificate_error("tpm", "manufacturer, model or version is not text") from None
    if not 1 <= len(text) <= _LONGEST_NAME:
        raise certificate_error("tpm", "manufacturer, model or version is empty or too long")
    return text
