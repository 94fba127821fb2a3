"""The formats `none` and `packed`."""

from passkeycore.testing.certificates import AttestationAuthority, AttestationCertificate
from passkeycore.testing.encoding import CborValue
from passkeycore.testing.keys import SoftwareKey
from passkeycore.testing.statements.request import AttestationRequest, Sign, Statement, StatementMaker


def none() -> Statement:
    """The statement of format `none`, an empty map.

    Spec: #sctn-none-attestation
    """
    return {}


def packed_self(
    key: SoftwareKey, authenticator_data: bytes, client_data_hash: bytes, *, sign: Sign = SoftwareKey.sign
) -> Statement:
    """A `packed` statement without certificates: self attestation, signed with the credential's own `key`.

    Spec: #sctn-packed-attestation
    """
    return {"alg": key.algorithm, "sig": sign(key, authenticator_data + client_data_hash)}


def packed(
    certificate: AttestationCertificate,
    authenticator_data: bytes,
    client_data_hash: bytes,
    *,
    sign: Sign = SoftwareKey.sign,
) -> Statement:
    """A `packed` statement signed with the key of `certificate`, whose path it carries in `x5c`.

    Spec: #sctn-packed-attestation
    """
    signed = packed_self(certificate.key, authenticator_data, client_data_hash, sign=sign)
    return signed | {"x5c": list(certificate.x5c)}


def make_none(_request: AttestationRequest) -> tuple[str, CborValue]:
    """A `StatementMaker` of format `none`."""
    return "none", none()


def make_packed_self(request: AttestationRequest) -> tuple[str, CborValue]:
    """A `StatementMaker` of format `packed`, self attestation."""
    return "packed", packed_self(
        request.credential_key, request.authenticator_data, request.client_data_hash, sign=request.sign
    )


def packed_maker(issuer: AttestationAuthority | AttestationCertificate) -> StatementMaker:
    """A `StatementMaker` of format `packed` with certificates.

    Args:
        issuer: A certificate to attest with as it is, or an authority that issues a new one, for the AAGUID
            of the request, at each attestation.
    """

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        certificate = issuer if isinstance(issuer, AttestationCertificate) else issuer.issue(request.aaguid)
        return "packed", packed(certificate, request.authenticator_data, request.client_data_hash, sign=request.sign)

    return make
