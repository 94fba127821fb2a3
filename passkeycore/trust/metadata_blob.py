"""FIDO metadata as it is served: a BLOB, which is accepted or refused as a whole before anything in it is read.

Source: FIDO Metadata Service 3.1, section 3.2 (metadata BLOB object processing rules); RFC 7515
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn, TypeAlias, cast

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..errors import Code, ConfigurationError, DecodeError, PasskeyError, VerificationError
from ..webauthn.attestation.certificate import COMMON_NAME, Certificate, decode_der
from ..webauthn.encoding import check_size, decode_base64url
from . import chain
from .metadata_payload import base64_of
from .roots import bundled

_HEADER_BYTES: Final = 1 << 17  # base64url; room for the longest allowed path
_CERTIFICATES: Final = 8
_CERTIFICATE_BYTES: Final = 16_384
_SIGNATURE_BYTES: Final = 2_048
_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
_DNS_NAME: Final = b"\x82"
_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_EC_ALGORITHMS: Final[Mapping[str, str]] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

_Header: TypeAlias = dict[str, Any]
_Key: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@asn1.sequence
class _GeneralNames:
    names: list[asn1.TLV]


def verified_payload(
    blob: bytes, *, now: datetime, anchors: Sequence[bytes] | None, host: str, max_bytes: int
) -> bytes:
    """The payload of a BLOB whose signer is `host`, as certified by one of the anchors at `now`.

    Raises: What `Metadata.from_blob` raises, `metadata_rollback` aside.
    """
    check_size(len(blob), max_bytes, "blob")
    blob = blob.strip(b" \t\r\n")  # editors and downloads leave a newline
    header = _header(blob)
    path = _certificates(header)
    try:
        leaf = Certificate.parse(path[0])
    except PasskeyError as error:
        raise _invalid(f"the signer's certificate cannot be read: {error.message}") from None
    key = leaf.public_key
    # Before anything is verified: the algorithm is the sender's choice, so it may only be one of the key's own.
    algorithm = header.get("alg")
    if algorithm not in _algorithms(key):
        raise _bad_signature("the algorithm does not fit the key of the signer's certificate", actual=algorithm)
    roots = tuple(anchor.certificate for anchor in bundled("mds")) if anchors is None else tuple(anchors)
    _check_anchors(roots)
    try:
        chain.verified_path(path, roots, now)
    except chain.PathError as error:
        raise VerificationError(Code.METADATA_UNTRUSTED, f"the signer's certificate: {error}") from None
    _check_host(leaf, host)
    return _check_signature(blob, cast("_Key", key), str(algorithm))


def _header(blob: bytes) -> _Header:
    end, last = blob.find(b"."), blob.rfind(b".")  # splitting would copy the payload
    if blob.count(b".") != 2 or end > _HEADER_BYTES or len(blob) - last > _SIGNATURE_BYTES:
        raise _invalid("not a JWS in compact form")
    try:
        text = decode_base64url(blob[:end].decode("ascii"), "blob")
        header = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant)
    except (PasskeyError, ValueError, RecursionError):
        raise _invalid("the header is not the base64url of a JSON object with members that stand once") from None
    if not isinstance(header, dict):
        raise _invalid("the header is no JSON object")
    if not header.keys().isdisjoint(("crit", "b64")):  # RFC 7515, section 4.1.11: what is not understood is refused
        raise _invalid("the header has critical extensions")
    return cast("_Header", header)


def _members(pairs: list[tuple[str, Any]]) -> _Header:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


def _certificates(header: _Header) -> tuple[bytes, ...]:
    """The certificates of ``x5c``. What an ``x5u`` points to is never fetched: its address is the sender's choice."""
    x5c = header.get("x5c")
    if x5c is None:
        raise _bad_signature("the header has no certificates (x5c)")
    texts = cast("list[object]", x5c) if isinstance(x5c, list) else []
    if not 0 < len(texts) <= _CERTIFICATES:
        raise _invalid(f"x5c is not an array of 1 to {_CERTIFICATES} certificates")
    certificates = [base64_of(text) if isinstance(text, str) else None for text in texts]
    found = tuple(der for der in certificates if der is not None and len(der) <= _CERTIFICATE_BYTES)
    if len(found) != len(certificates):
        raise _invalid("x5c holds something else than certificates in base64")
    return found


def _algorithms(key: object) -> tuple[str, ...]:
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA_ALGORITHMS
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _EC_ALGORITHMS:
        return (_EC_ALGORITHMS[key.curve.name],)
    return ()


def _check_anchors(anchors: tuple[bytes, ...]) -> None:
    """Returns only when all of them can be read: an unreadable one is our mistake, not the BLOB's."""
    try:
        for anchor in anchors:
            Certificate.parse(anchor)
    except PasskeyError:
        raise ConfigurationError("an anchor of the metadata is not a certificate in DER", path="anchors") from None


def _check_host(leaf: Certificate, host: str) -> None:
    """Returns only when the certificate is the host's. Spec: RFC 6125, section 6.4.4 (the CN only without a SAN)"""
    extension = leaf.extensions.get(_SUBJECT_ALTERNATIVE_NAME)
    if extension is None:
        names = [attribute.value for attribute in leaf.subject if attribute.type == COMMON_NAME]
    else:
        try:
            # As the one field of a sequence, since the decoder takes no list by itself.
            general_names = decode_der(_GeneralNames, b"\x30" + asn1.encode_der(extension.value)[1:]).names
        except PasskeyError as error:
            raise _invalid(f"the signer's certificate cannot be read: {error.message}") from None
        names = [bytes(name.data) for name in general_names if name.tag_bytes == _DNS_NAME]
    if host.lower().encode() not in [name.lower() for name in names]:
        raise VerificationError(
            Code.METADATA_UNTRUSTED, "the signer's certificate is another host's", expected=host, actual=names
        )


def _check_signature(blob: bytes, key: _Key, algorithm: str) -> bytes:
    try:
        from joserfc import jws
        from joserfc.errors import DecodeError as MalformedError
        from joserfc.errors import JoseError
        from joserfc.jwk import ECKey, RSAKey
    except ImportError:
        raise ConfigurationError("verifying metadata needs the extra passkeycore[jose]") from None

    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    # joserfc's own limits suit session tokens; ours have been checked.
    registry.max_header_length = registry.max_payload_length = registry.max_signature_length = len(blob)
    kind = RSAKey if isinstance(key, rsa.RSAPublicKey) else ECKey
    try:
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        verified = jws.deserialize_compact(blob, kind.import_key(pem), registry=registry)
    except MalformedError:
        raise _invalid("not a JWS in compact form") from None
    except (JoseError, ValueError):
        raise _bad_signature("the signature does not verify") from None
    return verified.payload


def _invalid(message: str) -> DecodeError:
    return DecodeError(Code.METADATA_INVALID, message, path="blob")


def _bad_signature(message: str, actual: object = None) -> VerificationError:
    return VerificationError(Code.METADATA_SIGNATURE_INVALID, message, path="blob", actual=actual)
