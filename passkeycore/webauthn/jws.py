"""Signed JSON (JWS, compact form) whose header brings the signer's certificates, read strictly, in one order.

`header_of`, `certificates_of`, `key_of`, `verified_payload`: nothing in the payload is read before its signature is
good. Whether the certificates lead to somebody is the caller's question; `dns_names` says which hosts they name.
Sources: RFC 7515 (JWS), RFC 7518 (JWA); RFC 5280, section 4.2.1.6 (subject alternative names)
"""

import json
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Collection, Mapping
from typing import Any, Final, NoReturn, TypeAlias, cast

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..errors import ConfigurationError
from .attestation.certificate import Certificate, decode_der, enclosed
from .cose import ES256, ES384, ES512, PS256, PS384, PS512, RS256, RS384, RS512, PublicKey
from .encoding import decode_base64url

Members: TypeAlias = dict[str, Any]

# Neither none nor anything with a shared secret: the key is that of a certificate, which the header itself brings.
ALGORITHMS: Final[Mapping[str, int]] = {
    "RS256": RS256,
    "RS384": RS384,
    "RS512": RS512,
    "PS256": PS256,
    "PS384": PS384,
    "PS512": PS512,
    "ES256": ES256,
    "ES384": ES384,
    "ES512": ES512,
}
"""COSE algorithms by their names in a header."""
_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
_DNS_NAME: Final = b"\x82"  # [2] IMPLICIT IA5String


class RefusedError(Exception):
    """Why a JWS is refused. It never leaves the library: every caller has a typed error of its own for it."""

    def __init__(self, message: str, actual: object = None) -> None:
        super().__init__(message)
        self.actual = actual


class MalformedError(RefusedError):
    """Not of the form that is read here."""


class HeaderError(RefusedError):
    """The header names no algorithm of the key's, or has a parameter that is not of its type."""


class ForgedError(RefusedError):
    """The signature does not verify."""


def header_of(compact: bytes, path: str) -> Members:
    """The header of a JWS of three segments. The bounds of its size are the caller's.

    Raises:
        MalformedError: Other segments, no JSON object, or extensions that have to be understood.
        DecodeError: `base64url_invalid`: the header's segment; `path` is the member it names.
    """
    if compact.count(b".") != 2:
        raise MalformedError("not a JWS of three segments")
    segment = compact[: compact.index(b".")]  # splitting would copy the payload
    header = object_of(decode_base64url(segment.decode("latin-1"), path))
    # RFC 7515, section 4.1.11: what is not understood is refused. The one called b64 changes what is signed, and what
    # joserfc makes of it where nobody calls it critical depends on its version.
    if "crit" in header or "b64" in header:
        raise MalformedError("the header has critical extensions")
    return header


def object_of(text: bytes) -> Members:
    """The object that `text`, JSON in UTF-8, holds.

    Raises:
        MalformedError: Something else, or a member that stands twice, however deep.
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_each_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MalformedError("not JSON in which every member stands once") from None
    if not isinstance(value, dict):
        raise MalformedError("not a JSON object")
    return cast("Members", value)


def _each_once(pairs: list[tuple[str, Any]]) -> Members:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def certificates_of(header: Members) -> list[bytes]:
    """The certificates of ``x5c``, DER, leaf first, not read yet; their number and sizes are for the caller to bound.

    There they are standard base64, not base64url (RFC 7515, section 4.1.6). What an ``x5u`` points to is never
    fetched: its address is the sender's choice.

    Raises:
        MalformedError: No array, or something else in it.
    """
    texts = header.get("x5c")
    if not isinstance(texts, list):
        raise MalformedError("x5c is not an array of certificates")
    certificates: list[bytes] = []
    for text in cast("list[object]", texts):
        try:
            der = a2b_base64(text) if isinstance(text, str) else b""
        except ValueError:
            der = b""
        if not der or b64encode(der).decode() != text:
            raise MalformedError("x5c holds something else than certificates in standard base64")
        certificates.append(der)
    return certificates


def key_of(header: Members, leaf: Certificate, algorithms: Collection[str]) -> PublicKey:
    """The key of `leaf`, bound to the algorithm that the header names, one of `algorithms` (keys of `ALGORITHMS`).

    The name is the sender's choice, so it may only be one for this very key.

    Raises:
        HeaderError: It is not. `actual` is what stands there.
    """
    name = header.get("alg")
    algorithm = ALGORITHMS[name] if isinstance(name, str) and name in algorithms else None
    key = None if algorithm is None else PublicKey.bind(algorithm, leaf.public_key)
    if key is None:
        raise HeaderError(f"alg is not one of {', '.join(algorithms)}, or not for the key of the certificate", name)
    return key


def verified_payload(compact: bytes, key: PublicKey, setting: str) -> bytes:
    """The payload of a JWS whose header was read here, when it is signed with `key`, by the algorithm of `key`.

    Raises:
        ConfigurationError: The extra ``jose`` is not installed, without which nobody can use `setting`.
        ForgedError: The signature does not verify.
        HeaderError: A parameter of the header is not of its type.
        MalformedError: The payload is not base64url, or the header nested too deep.
    """
    try:
        from joserfc import errors, jwk, jws  # an extra, and only those who use it pay for the import
    except ImportError:
        raise ConfigurationError('a JWS needs the extra "jose": passkeycore[jose]', path=setting) from None
    registry = jws.JWSRegistry(algorithms=[key.algorithm.name], strict_check_header=False)
    # Its own limits suit session tokens; those of the caller hold by now.
    registry.max_header_length = registry.max_payload_length = registry.max_signature_length = len(compact)
    public_key = cast("rsa.RSAPublicKey | ec.EllipticCurvePublicKey", key.key)
    kind = jwk.RSAKey if isinstance(public_key, rsa.RSAPublicKey) else jwk.ECKey
    try:
        pem = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return jws.deserialize_compact(compact, kind.import_key(pem), registry=registry).payload
    except errors.BadSignatureError:
        raise ForgedError("the signature does not verify") from None
    except (errors.DecodeError, RecursionError):  # it reads the header once more, with less of the stack left
        raise MalformedError("the payload is not base64url, or the header nested too deep") from None
    except (errors.JoseError, ValueError):
        raise HeaderError("a parameter of the header is not of its type") from None


@asn1.sequence
class _GeneralNames:
    names: list[asn1.TLV]


def dns_names(certificate: Certificate) -> list[bytes] | None:
    """The DNS names of the certificate's subjectAltName, as they stand there; None without that extension.

    Raises:
        DecodeError: `certificate_malformed`: the extension cannot be read.
    """
    extension = certificate.extensions.get(_SUBJECT_ALTERNATIVE_NAME)
    if extension is None:
        return None
    names = decode_der(_GeneralNames, enclosed(extension.value)).names
    return [bytes(name.data) for name in names if name.tag_bytes == _DNS_NAME]
