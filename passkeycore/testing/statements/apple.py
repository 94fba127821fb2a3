"""The format `apple`."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, Final

from passkeycore.testing import der
from passkeycore.testing.certificates import AttestationAuthority, AttestationCertificate, extension
from passkeycore.testing.encoding import CborValue
from passkeycore.testing.keys import SoftwareKey
from passkeycore.testing.statements.request import AttestationRequest, Statement, StatementMaker

OID_APPLE_NONCE: Final = "1.2.840.113635.100.8.2"
"""The extension that holds the nonce of the ceremony."""


def apple(certificate: AttestationCertificate) -> Statement:
    """An `apple` statement: the path of `certificate`, whose key is the credential's, and nothing else.

    Spec: #sctn-apple-anonymous-attestation
    """
    return {"x5c": list(certificate.x5c)}


def apple_nonce(authenticator_data: bytes, client_data_hash: bytes) -> bytes:
    """The nonce of a ceremony, 32 bytes: SHA-256 of what other formats sign."""
    return sha256(authenticator_data + client_data_hash).digest()


def apple_extension(nonce: bytes, *, critical: bool = False) -> bytes:
    """The DER Extension that holds `nonce`: SEQUENCE { [1] EXPLICIT OCTET STRING }."""
    return extension(OID_APPLE_NONCE, der.sequence(der.explicit(1, der.octet_string(nonce))), critical=critical)


def apple_maker(
    authority: AttestationAuthority,
    *,
    extensions: Callable[[bytes], Iterable[bytes]] = lambda nonce: [apple_extension(nonce)],
    key: SoftwareKey | None = None,
    **issued: Any,
) -> StatementMaker:
    """A `StatementMaker` of format `apple`, which has each credential's key certified anew.

    Args:
        authority: Who certifies the key.
        extensions: The DER Extensions of the certificate after the usual ones, from the right nonce.
        key: The key to certify instead of the credential's; None is right.
        issued: Further arguments of `AttestationAuthority.issue`, such as dates. The certificate has no AAGUID
            extension unless they add one.
    """

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        nonce = apple_nonce(request.authenticator_data, request.client_data_hash)
        certified = key or request.credential_key
        return "apple", apple(authority.issue(key=certified, extensions=extensions(nonce), **issued))

    return make
