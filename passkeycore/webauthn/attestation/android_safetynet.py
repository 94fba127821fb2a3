"""The ``android-safetynet`` format: a JSON Web Signature of Google's about the device, of a service that has ended.

Off unless the policy opts in: what honest devices sent is too old by now, and an attacker needs only one signing key.
Source: Google, "SafetyNet Attestation API"
Spec: #sctn-android-safetynet-attestation
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from ...errors import AttestationError, Code, UnsupportedError
from .. import jws
from ..encoding import CBOR, check_size, decode_base64url
from ..policy import Policy
from .certificate import Certificate, certificate_error
from .statement import AttestationCeremony, AttestationResult, Verify, certificates_of, members_of, statement_error

FORMAT: Final = "android-safetynet"

_STATEMENT: Final = frozenset({"ver", "response"})
_PATH: Final = "response.attestationObject.attStmt.response"
_LONGEST_RESPONSE: Final = 32_768  # bytes; one with three certificates has about 8000
_LONGEST_VERSION: Final = 64  # characters; that of Google Play services, such as 17122037
_ALGORITHMS: Final = ("RS256", "ES256")
_HOST: Final = b"attest.android.com"
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
    try:
        header = jws.header_of(response, _PATH)
        # JOSE libraries differ in what they take for base64url, so every segment is held to its one spelling here.
        for segment in response.split(b".")[1:]:
            decode_base64url(segment.decode("latin-1"), _PATH)
        path = certificates_of([*jws.certificates_of(header)], FORMAT, policy)
        leaf = Certificate.parse(path[0])
        key = jws.key_of(header, leaf, _ALGORITHMS)
        payload = jws.object_of(jws.verified_payload(response, key, "danger_allow_android_safetynet"))
    except jws.ForgedError:
        raise AttestationError(
            Code.ATTESTATION_SIGNATURE_INVALID,
            "the signature of the SafetyNet response does not verify",
            attestation_format=FORMAT,
            spec="#sctn-android-safetynet-attestation",
        ) from None
    except jws.RefusedError as refusal:
        raise statement_error(FORMAT, f"response: {refusal}") from None
    # By the very name of Google's host, as the API's documentation has it.
    names = jws.dns_names(leaf)
    if names is None:
        raise certificate_error(FORMAT, "the certificate names no host")
    if _HOST not in names:
        raise certificate_error(FORMAT, "the certificate is not for attest.android.com")

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
