"""The format `android-key`: key descriptions, and certificates of the Android Keystore that hold one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from passkeycore.testing import der
from passkeycore.testing.certificates import (
    OID_KEY_USAGE,
    AttestationAuthority,
    AttestationCertificate,
    certificate,
    extension,
    name,
)
from passkeycore.testing.encoding import CborValue
from passkeycore.testing.keys import SoftwareKey
from passkeycore.testing.statements.request import AttestationRequest, Sign, Statement, StatementMaker

OID_KEY_DESCRIPTION: Final = "1.3.6.1.4.1.11129.2.1.17"
"""The extension that describes a key of the Android Keystore."""

_ROOT_OF_TRUST: Final = der.sequence(
    der.octet_string(bytes(32)), der.boolean(True), der.enumerated(0), der.octet_string(bytes(32))
)
SOFTWARE_ENFORCED: Final[Mapping[int, bytes]] = {
    701: der.integer(1_767_312_000_000),  # creationDateTime
    709: der.octet_string(der.sequence(der.set_of(), der.set_of())),  # attestationApplicationId
}
"""An authorization list of Android itself, tag to DER value."""
HARDWARE_ENFORCED: Final[Mapping[int, bytes]] = {
    1: der.set_of(der.integer(2)),  # purpose: sign
    2: der.integer(3),  # algorithm: EC
    3: der.integer(256),  # keySize
    5: der.set_of(der.integer(4)),  # digest: SHA-256
    10: der.integer(1),  # ecCurve: P-256
    503: der.null(),  # noAuthRequired
    702: der.integer(0),  # origin: generated
    704: _ROOT_OF_TRUST,
    705: der.integer(150_000),  # osVersion
    706: der.integer(202_601),  # osPatchLevel
    718: der.integer(20_260_105),  # vendorPatchLevel
    719: der.integer(20_260_105),  # bootPatchLevel
}
"""An authorization list of a trusted environment whose key was made there for signing, tag to DER value."""

Describe: TypeAlias = Callable[[bytes], bytes]
"""Makes the DER value of the key description extension for a challenge."""


def authorizations(members: Iterable[tuple[int, bytes]]) -> bytes:
    """An AuthorizationList: each DER value under its explicit tag, in the order given."""
    return der.sequence(*(der.explicit(tag, value) for tag, value in members))


def key_description(
    challenge: bytes,
    *,
    version: int = 300,
    security_level: int = 1,
    keymint_version: int = 300,
    keymint_security_level: int = 1,
    software: Mapping[int, bytes] | bytes = SOFTWARE_ENFORCED,
    hardware: Mapping[int, bytes] | bytes = HARDWARE_ENFORCED,
    level: Callable[[int], bytes] = der.enumerated,
) -> bytes:
    """A KeyDescription, DER, of a key that was made for signing inside a trusted environment.

    Args:
        challenge: The attestation challenge; WebAuthn has the hash of the client data there.
        version: The attestation version, 1 to 400.
        security_level: Where the description is made: 0 software, 1 trusted environment, 2 StrongBox.
        keymint_version: The version of the Keymaster or KeyMint.
        keymint_security_level: Where the key is kept.
        software: What Android enforces, tag to DER value, or the whole list in DER.
        hardware: What the trusted environment enforces, likewise.
        level: How to write a security level; `der.integer` makes what an older draft had.

    Source: Android Open Source Project, "Key and ID attestation".
    """
    lists = (given if isinstance(given, bytes) else authorizations(given.items()) for given in (software, hardware))
    return der.sequence(
        der.integer(version),
        level(security_level),
        der.integer(keymint_version),
        level(keymint_security_level),
        der.octet_string(challenge),
        der.octet_string(b""),  # uniqueId
        *lists,
    )


def keystore_certificate(
    issuer: AttestationAuthority | AttestationCertificate, key: SoftwareKey, extensions: Iterable[bytes]
) -> AttestationCertificate:
    """A certificate as the Keystore makes them: for `key`, with serial number 1, a fixed subject and no constraints.

    Args:
        issuer: Who signs. A certificate instead of an authority signs all the same, as an attacker would with it.
        key: The key to certify.
        extensions: DER Extensions, after the key usage.
    """
    if isinstance(issuer, AttestationAuthority):
        subject, path = issuer.subject, issuer.path
    else:
        subject, path = _SUBJECT, issuer.x5c
    leaf = certificate(
        subject=_SUBJECT,
        subject_key=key,
        issuer=subject,
        issuer_key=issuer.key,
        serial=1,
        extensions=[extension(OID_KEY_USAGE, der.bit_string(b"\x80", 7), critical=True), *extensions],
    )
    return AttestationCertificate(key, (leaf, *path))


_SUBJECT: Final = name({"CN": "Android Keystore Key"})


def android_key(
    certificate: AttestationCertificate,
    authenticator_data: bytes,
    client_data_hash: bytes,
    *,
    sign: Sign = SoftwareKey.sign,
) -> Statement:
    """An `android-key` statement signed with the key of `certificate`, which should be the credential's.

    Spec: #sctn-android-key-attestation
    """
    signature = sign(certificate.key, authenticator_data + client_data_hash)
    return {"alg": certificate.key.algorithm, "sig": signature, "x5c": list(certificate.x5c)}


def android_key_maker(
    issuer: AttestationAuthority | AttestationCertificate,
    *,
    describe: Describe | None = key_description,
    key: SoftwareKey | None = None,
    extensions: Iterable[bytes] = (),
) -> StatementMaker:
    """A `StatementMaker` of format `android-key`.

    Args:
        issuer: Who certifies the credential's key; see `keystore_certificate`.
        describe: Makes the key description; None leaves the extension out.
        key: The key to certify and to sign with instead of the credential's, which is wrong.
        extensions: Further DER Extensions of the certificate.
    """
    further = tuple(extensions)

    def make(request: AttestationRequest) -> tuple[str, CborValue]:
        described = [] if describe is None else [extension(OID_KEY_DESCRIPTION, describe(request.client_data_hash))]
        certificate = keystore_certificate(issuer, key or request.credential_key, [*described, *further])
        statement = android_key(certificate, request.authenticator_data, request.client_data_hash, sign=request.sign)
        return "android-key", statement

    return make
