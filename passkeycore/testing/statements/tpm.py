"""The format `tpm`: the structures that a TPM writes, and the certificate of an attestation identity key.

A structure is made field by field. `changes` hold encoded bytes by the field's name in the TCG's documents, in place
of the right ones; a name that no field has adds its bytes at the end.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from passkeycore.testing import der
from passkeycore.testing.certificates import AttestationAuthority, AttestationCertificate, extension
from passkeycore.testing.encoding import CborValue
from passkeycore.testing.keys import SoftwareKey
from passkeycore.testing.statements.request import AttestationRequest, Statement, StatementMaker

TPM_NAMES: Final[Mapping[str, str]] = {
    "2.23.133.2.1": "id:FFFFF1D0",
    "2.23.133.2.2": "passkeycore",
    "2.23.133.2.3": "id:00010002",
}
"""Manufacturer, model and version of the kit's TPM, by attribute type; the manufacturer is FIDO's for tests."""
OID_EXTENDED_KEY_USAGE: Final = "2.5.29.37"
OID_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
OID_AIK_CERTIFICATE: Final = "2.23.133.8.3"

_NULL: Final = b"\x00\x10"
_CURVES: Final[Mapping[str, bytes]] = {
    "secp256r1": b"\x00\x03",
    "secp384r1": b"\x00\x04",
    "secp521r1": b"\x00\x05",
}
_HASHES: Final[Mapping[int, str]] = {
    **dict.fromkeys((-7, -9, -47, -257, -37), "sha256"),
    **dict.fromkeys((-35, -51, -258, -38), "sha384"),
    **dict.fromkeys((-36, -52, -259, -39), "sha512"),
    -65535: "sha1",
}
_NAME_HASHES: Final[Mapping[bytes, str]] = {
    b"\x00\x04": "sha1",
    b"\x00\x0b": "sha256",
    b"\x00\x0c": "sha384",
    b"\x00\x0d": "sha512",
}


def sized(content: bytes) -> bytes:
    """A TPM2B: the length of `content` in 2 bytes, then `content`."""
    return len(content).to_bytes(2, "big") + content


def tpm_pub_area(key: SoftwareKey, changes: Mapping[str, bytes] | None = None) -> bytes:
    """A TPMT_PUBLIC of an RSA key or one on a NIST curve, named with SHA-256 and free to sign under any scheme.

    The fields are `type`, `nameAlg`, `objectAttributes`, `authPolicy`, `symmetric` and `scheme`; then `keyBits`,
    `exponent` and `unique`, or `curveID`, `kdf`, `x` and `y`.

    Raises:
        ValueError: A TPM has no keys of this kind.

    Spec: TCG "TPM 2.0 Library, Part 2: Structures", TPMT_PUBLIC
    """
    public = key.public_key
    common = {
        "nameAlg": b"\x00\x0b",
        "objectAttributes": b"\x00\x04\x04\x72",  # sign, noDA, userWithAuth, and made and kept in this TPM
        "authPolicy": sized(b""),
        "symmetric": _NULL,
        "scheme": _NULL,
    }
    if isinstance(public, rsa.RSAPublicKey):
        size = public.key_size
        fields = {
            "type": b"\x00\x01",
            **common,
            "keyBits": size.to_bytes(2, "big"),
            "exponent": bytes(4),
            "unique": sized(public.public_numbers().n.to_bytes(size // 8, "big")),
        }
    elif isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _CURVES:
        size = (public.key_size + 7) // 8
        numbers = public.public_numbers()
        fields = {
            "type": b"\x00\x23",
            **common,
            "curveID": _CURVES[public.curve.name],
            "kdf": _NULL,
            "x": sized(numbers.x.to_bytes(size, "big")),
            "y": sized(numbers.y.to_bytes(size, "big")),
        }
    else:
        raise ValueError(f"no TPM has a key for COSE algorithm {key.algorithm}")
    return b"".join((fields | dict(changes or {})).values())


def tpm_cert_info(pub_area: bytes, extra_data: bytes, changes: Mapping[str, bytes] | None = None) -> bytes:
    """A TPMS_ATTEST that certifies the key of `pub_area`, named with its own nameAlg (SHA-256 if that is unknown).

    The fields are `magic`, `type`, `qualifiedSigner`, `extraData`, `clockInfo`, `firmwareVersion`, `name` and
    `qualifiedName`.

    Spec: TCG "TPM 2.0 Library, Part 2: Structures", TPMS_ATTEST
    """
    name_hash = pub_area[2:4]
    fields = {
        "magic": b"\xffTCG",
        "type": b"\x80\x17",
        "qualifiedSigner": sized(b""),
        "extraData": sized(extra_data),
        "clockInfo": bytes(16) + b"\x01",
        "firmwareVersion": bytes(8),
        "name": sized(name_hash + hashlib.new(_NAME_HASHES.get(name_hash, "sha256"), pub_area).digest()),
        "qualifiedName": sized(b""),
    }
    return b"".join((fields | dict(changes or {})).values())


def tpm_alternative_name(*relative_names: Mapping[str, str]) -> bytes:
    """A DER GeneralNames with one directory name; in each of the relative names, the attributes by type."""
    name = der.sequence(
        *(
            der.set_of(*(der.sequence(der.oid(kind), der.utf8_string(value)) for kind, value in relative_name.items()))
            for relative_name in relative_names
        )
    )
    return der.sequence(der.explicit(4, name))


_ALTERNATIVE_NAME: Final = tpm_alternative_name(TPM_NAMES)
_PURPOSES: Final = der.sequence(der.oid(OID_AIK_CERTIFICATE))
_NOBODY: Final = der.sequence()


def tpm_certificate(
    authority: AttestationAuthority,
    aaguid: UUID | None = None,
    *,
    alternative_name: bytes | None = _ALTERNATIVE_NAME,
    alternative_name_critical: bool = True,
    purposes: bytes | None = _PURPOSES,
    subject: bytes = _NOBODY,
    extensions: Iterable[bytes] = (),
    **issue: Any,
) -> AttestationCertificate:
    """The certificate of a TPM's attestation identity key, right except where told otherwise.

    Args:
        authority: Who issues it.
        aaguid: The model, for the AAGUID extension; None leaves the extension out.
        alternative_name: A DER GeneralNames; None leaves the extension out.
        alternative_name_critical: Whether that extension is critical, as it should be for an empty subject.
        purposes: The value of the extended key usage, DER; None leaves the extension out.
        subject: A DER Name, which should be empty.
        extensions: Further DER Extensions, after the usual ones.
        issue: Further arguments of `AttestationAuthority.issue`.

    Spec: #sctn-tpm-cert-requirements
    """
    usual: list[bytes] = []
    if purposes is not None:
        usual.append(extension(OID_EXTENDED_KEY_USAGE, purposes))
    if alternative_name is not None:
        usual.append(extension(OID_SUBJECT_ALTERNATIVE_NAME, alternative_name, critical=alternative_name_critical))
    return authority.issue(aaguid, subject=subject, extensions=[*usual, *extensions], **issue)


def tpm(
    certificate: AttestationCertificate,
    request: AttestationRequest,
    *,
    pub_area: Mapping[str, bytes] | None = None,
    cert_info: Mapping[str, bytes] | None = None,
    key: SoftwareKey | None = None,
) -> Statement:
    """A `tpm` statement signed with the key of `certificate`, whose path it carries in `x5c`.

    The hash of what is attested is that of the key's algorithm, or SHA-256 where that has none.

    Args:
        certificate: The attestation identity key.
        request: What is attested.
        pub_area: Changes to the fields of the TPMT_PUBLIC.
        cert_info: Changes to the fields of the TPMS_ATTEST, which is computed from the changed TPMT_PUBLIC.
        key: The key that is certified instead of the credential's.

    Raises:
        ValueError: A TPM has no keys of this kind.

    Spec: #sctn-tpm-attestation
    """
    hash = _HASHES.get(certificate.key.algorithm, "sha256")
    public = tpm_pub_area(key or request.credential_key, pub_area)
    extra_data = hashlib.new(hash, request.authenticator_data + request.client_data_hash).digest()
    certified = tpm_cert_info(public, extra_data, cert_info)
    return {
        "ver": "2.0",
        "alg": certificate.key.algorithm,
        "x5c": list(certificate.x5c),
        "sig": request.sign(certificate.key, certified),
        "certInfo": certified,
        "pubArea": public,
    }


def tpm_maker(
    issuer: AttestationAuthority | AttestationCertificate,
    *,
    pub_area: Mapping[str, bytes] | None = None,
    cert_info: Mapping[str, bytes] | None = None,
    key: SoftwareKey | None = None,
) -> StatementMaker:
    """A `StatementMaker` of format `tpm`.

    Args:
        issuer: A certificate to attest with as it is, or an authority that issues a new one, for the AAGUID
            of the request, at each attestation.
        pub_area: As in `tpm`.
        cert_info: As in `tpm`.
        key: As in `tpm`.
    """

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        certificate = issuer if isinstance(issuer, AttestationCertificate) else tpm_certificate(issuer, request.aaguid)
        return "tpm", tpm(certificate, request, pub_area=pub_area, cert_info=cert_info, key=key)

    return make
