"""The format `fido-u2f`."""

from collections.abc import Callable

from passkeycore.testing.certificates import AttestationAuthority, AttestationCertificate
from passkeycore.testing.encoding import CborValue
from passkeycore.testing.keys import SoftwareKey
from passkeycore.testing.statements.request import AttestationRequest, Sign, Statement, StatementMaker


def fido_u2f(certificate: AttestationCertificate, message: bytes, *, sign: Sign = SoftwareKey.sign) -> Statement:
    """A `fido-u2f` statement over `message`, signed with the key of `certificate`, whose path it carries in `x5c`.

    Spec: #sctn-fido-u2f-attestation
    """
    return {"sig": sign(certificate.key, message), "x5c": list(certificate.x5c)}


def u2f_message(request: AttestationRequest) -> bytes:
    """What U2F signs when it registers: 00, RP ID hash, client data hash, credential id, 04, x, y.

    Of a key that is not on an elliptic curve, which no U2F authenticator has, the coordinates are whatever byte strings
    its COSE_Key has under their labels.
    """
    members = request.credential_key.cose_map()
    point = b"".join(value for label in (-2, -3) if isinstance(value := members.get(label), bytes))
    return b"\0" + request.rp_id_hash + request.client_data_hash + request.credential_id + b"\4" + point


def fido_u2f_maker(
    issuer: AttestationAuthority | AttestationCertificate,
    *,
    message: Callable[[AttestationRequest], bytes] = u2f_message,
) -> StatementMaker:
    """A `StatementMaker` of format `fido-u2f`.

    It takes the authenticator data as it comes. A client that speaks to a real U2F authenticator writes an AAGUID of
    zeros there and sets no flags but UP and AT.

    Args:
        issuer: A certificate to attest with as it is, or an authority that issues a new one, without AAGUID, at each
            attestation. An intermediate authority makes a path of more than one certificate, which is wrong.
        message: What to sign.
    """

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        certificate = issuer if isinstance(issuer, AttestationCertificate) else issuer.issue()
        return "fido-u2f", fido_u2f(certificate, message(request), sign=request.sign)

    return make
