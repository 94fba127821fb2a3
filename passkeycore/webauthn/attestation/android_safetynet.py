"""The ``android-safetynet`` format: a JSON Web Signature of Google's about the device, of a service that has ended.

Off unless the policy opts in: what honest devices sent is too old by now, and an attacker needs only one signing key.
Sources: Google, "SafetyNet Attestation API"; RFC 7515 (JWS); RFC 5280, section 4.2.1.6 (subject alternative names).
Spec: #sctn-android-safetynet-attestation
"""

import json
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final, cast

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ...errors import AttestationError, Code, ConfigurationError, UnsupportedError
from ..cose import PublicKey
from ..encoding import CBOR, check_size, decode_base64url
from ..policy import Policy
from .certificate import Certificate, certificate_error, decode_der, enclosed
from .statement import AttestationCeremony, AttestationResult, Verify, certificates_of, members_of, statement_error

FORMAT: Final = "android-safetynet"

_STATEMENT: Final = frozenset({"ver", "response"})
_PATH: Final = "response.attestationObject.attStmt.response"
_LONGEST_RESPONSE: Final = 32_768  # bytes; one with three certificates has about 8000
_LONGEST_VERSION: Final = 64  # characters; that of Google Play services, such as 17122037
# Neither none nor anything with a shared secret: the key is that of the certificate which the header itself brings.
_ALGORITHMS: Final[Mapping[str, int]] = {"RS256": -257, "ES256": -7}
_HOST: Final = b"attest.android.com"
_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
_DNS_NAME: Final = b"\x82"  # [2] IMPLICIT IA5String
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SKEW_MS: Final = 5_000  # Google's clock and ours are both set by the network; more than that is no skew


def verify(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """The result for a statement, ``basic``, whose trust path is the one in the header of the signature.

    Raises:
        UnsupportedError: `attestation_format_unsupported`: the policy does not opt in.
        ConfigurationError: The policy opts in, and the extra ``jose`` is not installed.
        AttestationError: `attestation_statement_invalid`: not a JWS of this form, of another registration, not of this
            time, or about a device that is not what it should be. `attestation_signature_invalid`.
            `attestation_certificate_invalid`: the certificate is not for attest.android.com.
        DecodeError: `too_large`, `base64url_invalid`, `certificate_malformed`.
    """
    if not policy.danger_allow_android_safetynet:
        raise UnsupportedError(
            Code.ATTESTATION_FORMAT_UNSUPPORTED,
            "android-safetynet needs danger_allow_android_safetynet",
            path="response.attestationObject.fmt",
            actual=FORMAT,
            spec="#sctn-android-safetynet-attestation",
        )
    members = members_of(statement, FORMAT, _STATEMENT, frozenset(), policy)
    version, response = members["ver"], members["response"]
    if not isinstance(version, str) or not 1 <= len(version) <= _LONGEST_VERSION or not isinstance(response, bytes):
        raise statement_error(FORMAT, "ver is not a short text or response not a byte string")
    check_size(len(response), _LONGEST_RESPONSE, _PATH)
    header, payload = _read(response)

    path = certificates_of(_certificates(header.get("x5c")), FORMAT, policy)
    leaf = Certificate.parse(path[0])
    _check_signature(response, header, leaf)
    _check_host(leaf)

    nonce = sha256(ceremony.authenticator_data.raw + ceremony.client_data_hash).digest()
    said = payload.get("nonce")
    if not isinstance(said, str) or not compare_digest(said.encode(errors="replace"), b64encode(nonce)):
        raise statement_error(FORMAT, "the nonce is not of this registration")
    if payload.get("ctsProfileMatch") is not True:
        raise statement_error(FORMAT, "the device does not match a profile that passed the compatibility tests")
    made_ms = payload.get("timestampMs")
    age_ms = (ceremony.now - _EPOCH) // timedelta(milliseconds=1) - made_ms if type(made_ms) is int else None
    if age_ms is None or not -_SKEW_MS <= age_ms <= policy.android_safetynet_max_age_s * 1000:
        raise statement_error(FORMAT, "not made within the time that the policy allows")
    claims = {"version": version, "timestamp_ms": made_ms, "basic_integrity": payload.get("basicIntegrity") is True}
    return AttestationResult(format=FORMAT, type="basic", trust_path=path, claims=claims)


@asn1.sequence
class _Names:
    names: list[asn1.TLV]


def _read(response: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload of a JWS in compact form. Neither they nor the signature are judged yet."""
    segments = response.split(b".", 3)
    if len(segments) != 3:
        raise statement_error(FORMAT, "response is not a JWS of three segments")
    # JOSE libraries differ in what they take for base64url, so every segment is held to its one spelling here.
    header, payload, _ = (decode_base64url(segment.decode("latin-1"), _PATH) for segment in segments)
    return _object(header), _object(payload)


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text.decode(), object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise statement_error(FORMAT, "not JSON in which every member stands once") from None
    if not isinstance(value, dict):
        raise statement_error(FORMAT, "not a JSON object")
    return cast("dict[str, Any]", value)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _certificates(x5c: Any) -> list[CBOR]:
    """The certificates of a header, where they are standard base64, not base64url (RFC 7515, section 4.1.6)."""
    certificates: list[CBOR] = []
    for text in cast("list[object]", x5c) if isinstance(x5c, list) else ():
        try:
            der = a2b_base64(text) if isinstance(text, str) else b""
        except ValueError:
            der = b""
        if not der or b64encode(der).decode() != text:
            raise statement_error(FORMAT, "a certificate of the header is not standard base64")
        certificates.append(der)
    return certificates


def _check_signature(response: bytes, header: Mapping[str, Any], leaf: Certificate) -> None:
    """Returns only when `response` is signed with the key of `leaf`, under one of the two algorithms."""
    try:
        from joserfc import errors, jwk, jws  # an extra, and only those who opt in pay for the import
    except ImportError:
        raise ConfigurationError('SafetyNet needs the extra "jose"', path="danger_allow_android_safetynet") from None
    name = header.get("alg")
    algorithm = _ALGORITHMS.get(name) if isinstance(name, str) else None
    if algorithm is None or PublicKey.bind(algorithm, leaf.public_key) is None:
        raise statement_error(FORMAT, "alg is not RS256 or ES256, or not an algorithm for the certificate's key")
    # We know none of the extensions that have to be understood. The one called b64 changes what is signed, and what
    # the library makes of it where nobody calls it critical depends on its version.
    if "crit" in header or "b64" in header:
        raise statement_error(FORMAT, "the header has critical extensions")
    key_type = jwk.RSAKey if name == "RS256" else jwk.ECKey
    public_key = cast("rsa.RSAPublicKey | ec.EllipticCurvePublicKey", leaf.public_key)
    registry = jws.JWSRegistry(algorithms=[str(name)], strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = registry.max_signature_length = _LONGEST_RESPONSE
    try:
        key = key_type.import_key(public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        jws.deserialize_compact(response, key, registry=registry)
    except errors.BadSignatureError:
        raise AttestationError(
            Code.ATTESTATION_SIGNATURE_INVALID,
            "the signature of the SafetyNet response does not verify",
            attestation_format=FORMAT,
            spec="#sctn-android-safetynet-attestation",
        ) from None
    except errors.JoseError:
        raise statement_error(FORMAT, "a parameter of the header is not of its type") from None


def _check_host(leaf: Certificate) -> None:
    """Returns only when the certificate is for Google's host, by the very name, as the API's documentation has it."""
    extension = leaf.extensions.get(_SUBJECT_ALTERNATIVE_NAME)
    if extension is None:
        raise certificate_error(FORMAT, "the certificate names no host")
    # Only what stands inside a sequence can be read as a list; the length of an OCTET STRING is that of one.
    names = decode_der(_Names, enclosed(extension.value)).names
    if not any(name.tag_bytes == _DNS_NAME and bytes(name.data) == _HOST for name in names):
        raise certificate_error(FORMAT, "the certificate is not for attest.android.com")
