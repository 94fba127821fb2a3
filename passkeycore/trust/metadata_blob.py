"""FIDO metadata as it is served: a BLOB, which is accepted or refused as a whole before anything in it is read.

Source: FIDO Metadata Service 3.1, section 3.2 (metadata BLOB object processing rules)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ..errors import Code, ConfigurationError, DecodeError, PasskeyError, VerificationError
from ..webauthn import jws
from ..webauthn.attestation.certificate import Certificate
from ..webauthn.encoding import check_size
from . import chain
from .roots import bundled

_HEADER_BYTES: Final = 1 << 17  # base64url; room for the longest allowed path
_CERTIFICATES: Final = 8
_CERTIFICATE_BYTES: Final = 16_384
_SIGNATURE_BYTES: Final = 2_048
_SERVER: Final = "1.3.6.1.5.5.7.3.1"  # id-kp-serverAuth


def verified_payload(
    blob: bytes, *, now: datetime, anchors: Sequence[bytes] | None, host: str, max_bytes: int
) -> bytes:
    """The payload of a BLOB whose signer is `host`, as certified by one of the anchors at `now`.

    Raises: What `Metadata.from_blob` raises, `metadata_rollback` aside.
    """
    check_size(len(blob), max_bytes, "blob")
    blob = blob.strip(b" \t\r\n")  # editors and downloads leave a newline
    if blob.find(b".") > _HEADER_BYTES or len(blob) - blob.rfind(b".") > _SIGNATURE_BYTES:
        raise _invalid("not a JWS in compact form")
    try:
        header = jws.header_of(blob, "header")
        path = _certificates(header)
        leaf = Certificate.parse(path[0])
        key = jws.key_of(header, leaf, jws.ALGORITHMS)
        chain.verified_path(path, _anchors(anchors), now)
        _check_host(leaf, host)
        return jws.verified_payload(blob, key, "metadata")
    except jws.MalformedError as refusal:
        raise _invalid(str(refusal)) from None
    except jws.RefusedError as refusal:
        raise _bad_signature(str(refusal), refusal.actual) from None
    except chain.PathError as error:
        raise VerificationError(Code.METADATA_UNTRUSTED, f"the signer's certificate: {error}") from None
    except DecodeError as error:
        raise _invalid(f"the header or the signer's certificate cannot be read: {error.message}") from None


def _certificates(header: jws.Members) -> tuple[bytes, ...]:
    if header.get("x5c") is None:
        raise _bad_signature("the header has no certificates (x5c)")
    certificates = jws.certificates_of(header)
    if not 0 < len(certificates) <= _CERTIFICATES or max(map(len, certificates)) > _CERTIFICATE_BYTES:
        raise jws.MalformedError(f"x5c is not 1 to {_CERTIFICATES} certificates of at most {_CERTIFICATE_BYTES} bytes")
    return tuple(certificates)


def _anchors(anchors: Sequence[bytes] | None) -> tuple[bytes, ...]:
    """Those to use, all of which can be read: an unreadable one is our mistake, not the BLOB's."""
    roots = tuple(anchor.certificate for anchor in bundled("mds")) if anchors is None else tuple(anchors)
    try:
        for root in roots:
            Certificate.parse(root)
    except PasskeyError:
        raise ConfigurationError("an anchor of the metadata is not a certificate in DER", path="anchors") from None
    return roots


def _check_host(leaf: Certificate, host: str) -> None:
    """Returns only when the certificate is one of a server, this host's. Spec: RFC 9525, section 2 (never the CN)

    The roots also certify people and code, in whose names anything may stand.
    """
    names = jws.dns_names(leaf) or []
    if leaf.purposes is not None and _SERVER not in leaf.purposes:
        raise VerificationError(Code.METADATA_UNTRUSTED, "the signer's certificate is not one of a server")
    if host.lower().encode() not in [name.lower() for name in names]:
        raise VerificationError(
            Code.METADATA_UNTRUSTED, "the signer's certificate is another host's", expected=host, actual=names
        )


def _invalid(message: str) -> DecodeError:
    return DecodeError(Code.METADATA_INVALID, message, path="blob")


def _bad_signature(message: str, actual: object = None) -> VerificationError:
    return VerificationError(Code.METADATA_SIGNATURE_INVALID, message, path="blob", actual=actual)
