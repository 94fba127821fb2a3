"""The format `android-safetynet`: answers of a service that has ended, signed as Google's servers did."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from passkeycore.testing import der
from passkeycore.testing.certificates import AttestationAuthority, AttestationCertificate, extension, name
from passkeycore.testing.encoding import CborValue, b64url_encode
from passkeycore.testing.keys import SoftwareKey
from passkeycore.testing.statements.request import AttestationRequest, Sign, Statement, StatementMaker

SAFETYNET_HOST: Final = "attest.android.com"
"""The host whose certificate signs SafetyNet answers."""
OID_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"

JsonEdit: TypeAlias = Callable[[dict[str, Any]], dict[str, Any] | bytes]
"""Changes the members of a JSON object, or gives other bytes in its stead."""


def _unchanged(members: dict[str, Any]) -> dict[str, Any]:
    return members


def dns_names(*hosts: str) -> bytes:
    """The extension subjectAltName with these hosts."""
    value = der.sequence(*(der.implicit(2, host.encode()) for host in hosts))
    return extension(OID_SUBJECT_ALTERNATIVE_NAME, value)


def safetynet_certificate(
    authority: AttestationAuthority, *extensions: bytes, algorithm: int = -257, key: SoftwareKey | None = None
) -> AttestationCertificate:
    """A certificate for attest.android.com.

    Args:
        authority: Who issues it.
        extensions: DER Extensions instead of the one that names the host.
        algorithm: COSE algorithm of its key, -257 as Google's was, or -7.
        key: Its key; None derives one.
    """
    return authority.issue(
        key=key,
        algorithm=algorithm,
        subject=name({"CN": SAFETYNET_HOST}),
        extensions=extensions or [dns_names(SAFETYNET_HOST)],
    )


def jws(
    key: SoftwareKey, header: dict[str, Any] | bytes, payload: dict[str, Any] | bytes, *, sign: Sign = SoftwareKey.sign
) -> bytes:
    """A JSON Web Signature in compact form, by `key` whatever the header says.

    Spec: RFC 7515, section 7.1; RFC 7518, section 3.4 (ECDSA signatures are the two numbers).
    """
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload))
    signed = ".".join(map(b64url_encode, parts)).encode()
    signature = sign(key, signed)
    if isinstance(key.public_key, ec.EllipticCurvePublicKey):
        size = (key.public_key.curve.key_size + 7) // 8
        signature = b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(signature))
    return signed + b"." + b64url_encode(signature).encode()


def android_safetynet(
    certificate: AttestationCertificate,
    authenticator_data: bytes,
    client_data_hash: bytes,
    *,
    at: datetime,
    header: JsonEdit = _unchanged,
    payload: JsonEdit = _unchanged,
    sign: Sign = SoftwareKey.sign,
) -> Statement:
    """An `android-safetynet` statement whose answer was made `at` that time, signed with the key of `certificate`.

    `header` and `payload` change these before they are signed.

    Spec: #sctn-android-safetynet-attestation
    """
    nonce = sha256(authenticator_data + client_data_hash).digest()
    answer = {
        "nonce": b64encode(nonce).decode(),
        "timestampMs": int(at.timestamp() * 1000),
        "apkPackageName": "com.google.android.gms",
        "apkDigestSha256": b64encode(bytes(32)).decode(),
        "ctsProfileMatch": True,
        "apkCertificateDigestSha256": [b64encode(bytes(32)).decode()],
        "basicIntegrity": True,
    }
    protected = {
        "alg": "ES256" if certificate.key.algorithm == -7 else "RS256",
        "x5c": [b64encode(one).decode() for one in certificate.x5c],
    }
    response = jws(certificate.key, header(protected), payload(answer), sign=sign)
    return {"ver": "17122037", "response": response}


def android_safetynet_maker(
    certificate: AttestationCertificate,
    *,
    at: datetime,
    header: JsonEdit = _unchanged,
    payload: JsonEdit = _unchanged,
) -> StatementMaker:
    """A `StatementMaker` of format `android-safetynet`; see `android_safetynet`."""

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        statement = android_safetynet(
            certificate,
            request.authenticator_data,
            request.client_data_hash,
            at=at,
            header=header,
            payload=payload,
            sign=request.sign,
        )
        return "android-safetynet", statement

    return make
