"""The 15 test vectors of W3C Web Authentication Level 3, drawn again from their published derivation.

What belongs here: the derivation and nothing else. Each vector is one registration and one authentication.
Every random value is HKDF-SHA-256 of one public string and every signature is deterministic, so the bytes are
those the specification prints; ``vectors/digests.json`` holds the SHA-256 of each. Nothing is imported from
``passkeycore``: the engine is not to be tested against itself.

``python -m tests.w3c`` writes ``vectors/w3c.jsonl``.

Spec: #sctn-test-vectors (editor's draft of 2026-07-30)
"""

import itertools
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import NameOID

IKM = b"WebAuthn test vectors"
VECTORS_PATH = Path(__file__).parents[1] / "vectors" / "w3c.jsonl"

RP_ID = "example.org"
ORIGIN = "https://example.org"
TIME = "2026-01-01T00:00:00Z"  # any moment within the certificates' validity, 2024 to 3024

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


class Vector(NamedTuple):
    """One line of the table below; ``name`` is also the HKDF info of its section."""

    name: str
    format: str
    algorithm: int  # COSE
    cross_origin: bool = False
    top_origin: str | None = None
    challenge_bytes: int = 32
    credential_id_bytes: int = 32
    self_attested: bool = False


VECTORS = (
    Vector("none.ES256", "none", -7),
    Vector("packed-self.ES256", "packed", -7, self_attested=True),
    Vector("none.ES256.crossOrigin", "none", -7, cross_origin=True),
    Vector("none.ES256.topOrigin", "none", -7, cross_origin=True, top_origin="https://example.com"),
    Vector("none.ES256.long-credential-id", "none", -7, credential_id_bytes=1023),
    Vector("packed.ES256", "packed", -7),
    Vector("packed.ES384", "packed", -35),
    Vector("packed.ES512", "packed", -36, challenge_bytes=128),
    Vector("packed.RS256", "packed", -257),
    Vector("packed.EdDSA", "packed", -8),
    Vector("packed.Ed448", "packed", -53),
    Vector("tpm.ES256", "tpm", -7),
    Vector("android-key.ES256", "android-key", -7),
    Vector("apple.ES256", "apple", -7),
    Vector("fido-u2f.ES256", "fido-u2f", -7),
)
# The vector's two authorization lists are empty, so that nothing in it says that the key is there to sign.
REFUSED = {"android-key.ES256": "android_key_lists_empty"}

Draw = Callable[[int], bytes]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


def generate(ikm: bytes = IKM) -> list[dict[str, Any]]:
    """Return the 15 cases in the format of ``passkeycore verify``, in the specification's order.

    Args:
        ikm: HKDF input keying material; anything but the default gives vectors that are not W3C's.
    """
    authority = Authority(drawing(ikm, "Attestation CA"))
    return [make_case(vector, drawing(ikm, vector.name), authority) for vector in VECTORS]


def drawing(ikm: bytes, info: str) -> Draw:
    """Return the random source of one section: n bytes per call, the salt a counter from 00."""
    counter = itertools.count()

    def draw(length: int) -> bytes:
        salt = bytes([next(counter)])
        return HKDF(hashes.SHA256(), length, salt=salt, info=info.encode()).derive(ikm)

    return draw


def make_case(vector: Vector, draw: Draw, authority: "Authority") -> dict[str, Any]:
    """Return one case: what the relying party expects, a registration, and an authentication with its key.

    The order of the draws is part of the derivation, also across the calls made from here.
    """
    challenge = draw(vector.challenge_bytes)
    key = credential_key(vector.algorithm, draw)
    client_data = client_data_json("webauthn.create", challenge, vector, draw)
    aaguid, credential_id = draw(16), draw(vector.credential_id_bytes)
    flags = UP | AT
    if vector.format != "fido-u2f":  # which knows none of the other flags
        flags |= draw(1)[0] & (UV | BE | BS)
    authenticator_data = authenticator_data_head(flags) + b"".join(
        (aaguid, len(credential_id).to_bytes(2), credential_id, cbor2.dumps(cose_key(key, vector.algorithm)))
    )
    client_data_hash = sha256(client_data).digest()
    statement = attestation_statement(vector, draw, authority, key, authenticator_data, client_data_hash, credential_id)
    attestation = {"fmt": vector.format, "attStmt": statement, "authData": authenticator_data}

    sign_in_challenge = draw(vector.challenge_bytes)
    sign_in_client_data = client_data_json("webauthn.get", sign_in_challenge, vector, draw)
    sign_in_flags = UP | (flags & BE) | (draw(1)[0] & (UV | BS))
    sign_in_authenticator_data = authenticator_data_head(sign_in_flags)
    signature = sign(key, sign_in_authenticator_data + sha256(sign_in_client_data).digest())

    section, algorithm, *variant = vector.name.split(".")
    anchor = "-".join([section, algorithm.lower(), *variant])
    return {
        "name": f"w3c/{vector.name}",
        "source": f"W3C Web Authentication Level 3, section Test Vectors, #sctn-test-vectors-{anchor}",
        "rp": {
            "id": RP_ID,
            "origins": [ORIGIN],
            **({"top_origins": [vector.top_origin]} if vector.top_origin else {}),
            **({"allow_cross_origin": True} if vector.cross_origin else {}),
        },
        "registration": {
            "challenge": base64url(challenge),
            "response": public_key_credential(
                credential_id,
                clientDataJSON=base64url(client_data),
                attestationObject=base64url(cbor2.dumps(attestation)),
                transports=[],
            ),
            "user_verification": "preferred",
            **({"trust_anchors": [base64url(authority.certificate)]} if "x5c" in statement else {}),
            "time": TIME,
            "expect": {"ok": False, "code": REFUSED[vector.name]}
            if vector.name in REFUSED
            else {"ok": True, "attestation_format": vector.format},
        },
        "authentication": {
            "challenge": base64url(sign_in_challenge),
            "response": public_key_credential(
                credential_id,
                clientDataJSON=base64url(sign_in_client_data),
                authenticatorData=base64url(sign_in_authenticator_data),
                signature=base64url(signature),
            ),
            "time": TIME,
            "allow_credentials": [base64url(credential_id)],  # without it the response had to name the user
            **({"credential": stored(credential_id, key, vector, flags)} if vector.name in REFUSED else {}),
            "expect": {"ok": True},
        },
    }


def stored(credential_id: bytes, key: PrivateKey, vector: Vector, flags: int) -> dict[str, Any]:
    """Return what a server stores of a credential that it registered, for an authentication that has to do without."""
    return {
        "id": base64url(credential_id),
        "public_key": base64url(cbor2.dumps(cose_key(key, vector.algorithm))),
        "sign_count": 0,
        "backup_eligible": bool(flags & BE),
        "user_handle": None,
    }


def public_key_credential(credential_id: bytes, **response: str | list[str]) -> dict[str, Any]:
    """Return the JSON form of a PublicKeyCredential around its ``response``."""
    return {
        "id": base64url(credential_id),
        "rawId": base64url(credential_id),
        "type": "public-key",
        "clientExtensionResults": {},
        "response": response,
    }


def client_data_json(type_: str, challenge: bytes, vector: Vector, draw: Draw) -> bytes:
    """Return clientDataJSON, with a member nobody knows when a drawn bit says so."""
    members: dict[str, str | bool] = {
        "type": type_,
        "challenge": base64url(challenge),
        "origin": ORIGIN,
        "crossOrigin": vector.cross_origin,
    }
    if vector.top_origin:
        members["topOrigin"] = vector.top_origin
    if draw(1)[0] & 0x01:
        members["extraData"] = (
            "clientDataJSON may be extended with additional fields in the future, such as this: " + base64url(draw(16))
        )
    return json.dumps(members, separators=(",", ":")).encode()


def authenticator_data_head(flags: int) -> bytes:
    """Return the first 37 bytes of authenticator data; BS goes where BE is clear. The sign count is 0."""
    if not flags & BE:
        flags &= ~BS
    return sha256(RP_ID.encode()).digest() + bytes([flags]) + bytes(4)


def attestation_statement(
    vector: Vector,
    draw: Draw,
    authority: "Authority",
    key: PrivateKey,
    authenticator_data: bytes,
    client_data_hash: bytes,
    credential_id: bytes,
) -> dict[str, Any]:
    """Return attStmt, its members in CTAP2 canonical order. ``x5c`` is the leaf alone."""
    signed = authenticator_data + client_data_hash
    nonce = sha256(signed).digest()
    if vector.format == "none":
        return {}
    if vector.self_attested:
        return {"alg": vector.algorithm, "sig": sign(key, signed)}

    if vector.format == "apple":
        # SEQUENCE { [1] { OCTET STRING nonce } }
        extension = other_extension("1.2.840.113635.100.8.2", bytes.fromhex("3024 a122 0420") + nonce)
        return {"x5c": [authority.issue(p256(key), draw(16), extension)]}
    if vector.format == "android-key":
        # SEQUENCE { INTEGER 300, ENUMERATED 0, INTEGER 0, ENUMERATED 0, OCTET STRING clientDataHash,
        #            OCTET STRING (empty), SEQUENCE {}, SEQUENCE {} }
        description = (
            bytes.fromhex("3035 0202012c 0a0100 020100 0a0100 0420")
            + client_data_hash
            + bytes.fromhex("0400 3000 3000")
        )
        extension = other_extension("1.3.6.1.4.1.11129.2.1.17", description)
        leaf = authority.issue(p256(key), draw(16), extension)
        return {"alg": vector.algorithm, "sig": sign(key, signed), "x5c": [leaf]}

    # The others have an attestation key of their own: P-256, whatever the credential's algorithm.
    attestation_key = ec_key(ec.SECP256R1(), draw(32))
    serial = draw(16)
    if vector.format == "packed":
        leaf = authority.issue(attestation_key, serial)
        return {"alg": -7, "sig": sign(attestation_key, signed), "x5c": [leaf]}
    if vector.format == "fido-u2f":
        signed = b"\0" + authenticator_data[:32] + client_data_hash + credential_id + point(p256(key))
        return {"sig": sign(attestation_key, signed), "x5c": [authority.issue(attestation_key, serial)]}
    if vector.format == "tpm":
        public_area, certify_info = tpm_structures(p256(key), nonce)
        leaf = authority.issue(attestation_key, serial, *TPM_EXTENSIONS, subject=x509.Name([]))
        return {
            "alg": -7,
            "sig": sign(attestation_key, certify_info),
            "ver": "2.0",
            "x5c": [leaf],
            "pubArea": public_area,
            "certInfo": certify_info,
        }
    raise ValueError(vector.format)


def tpm_structures(key: ec.EllipticCurvePrivateKey, nonce: bytes) -> tuple[bytes, bytes]:
    """Return pubArea (TPMT_PUBLIC of the credential key) and certInfo (TPMS_ATTEST over it)."""
    x_and_y = point(key)[1:]
    public_area = (
        bytes.fromhex("0023 000b 00040000")  # TPM_ALG_ECC, nameAlg SHA-256, objectAttributes signEncrypt
        + sized(b"")  # authPolicy
        + bytes.fromhex("0010 0010 0003 0010")  # no symmetric, no scheme, TPM_ECC_NIST_P256, no kdf
        + sized(x_and_y[:32])
        + sized(x_and_y[32:])
    )
    certify_info = (
        bytes.fromhex("ff544347 8017")  # TPM_GENERATED_VALUE, TPM_ST_ATTEST_CERTIFY
        + sized(b"")  # qualifiedSigner
        + sized(nonce)  # extraData
        + bytes.fromhex("0000000000000000 11111111 22222222 33")  # clockInfo; safe is no valid TPMI_YES_NO
        + bytes(8)  # firmwareVersion
        + sized(bytes.fromhex("000b") + sha256(public_area).digest())  # name
        + sized(b"")  # qualifiedName
    )
    return public_area, certify_info


def sized(value: bytes) -> bytes:
    """Return a TPM2B: a big-endian 16-bit length, then the value."""
    return len(value).to_bytes(2) + value


# --- Keys ---


def credential_key(algorithm: int, draw: Draw) -> PrivateKey:
    """Return the credential key of a COSE algorithm; RS256 has a fixed one and draws nothing."""
    match algorithm:
        case -7:
            return ec_key(ec.SECP256R1(), draw(32))
        case -35:
            return ec_key(ec.SECP384R1(), draw(48))
        case -36:
            return ec_key(ec.SECP521R1(), draw(65))
        case -8:
            return ed25519.Ed25519PrivateKey.from_private_bytes(draw(32))
        case -53:
            return ed448.Ed448PrivateKey.from_private_bytes(draw(57))
        case -257:
            return rsa_key(p=2**1279 - 1, q=2**2203 - 1, e=65537)
        case _:
            raise ValueError(algorithm)


def ec_key(curve: ec.EllipticCurve, secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the key whose private value is ``secret``, big-endian."""
    return ec.derive_private_key(int.from_bytes(secret), curve)


def rsa_key(p: int, q: int, e: int) -> rsa.RSAPrivateKey:
    """Return the key of two given primes."""
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    # Both primes are known; testing them again would take a second.
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def p256(key: PrivateKey) -> ec.EllipticCurvePrivateKey:
    """Return ``key`` itself, for the formats that only exist for P-256 credentials."""
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.key_size != 256:
        raise TypeError(key)
    return key


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the uncompressed public point: 04, x, y."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def cose_key(key: PrivateKey, algorithm: int) -> dict[int, int | bytes]:
    """Return the COSE_Key of the public half, its labels in CTAP2 canonical order."""
    match key:
        case ec.EllipticCurvePrivateKey():
            curve = {256: 1, 384: 2, 521: 3}[key.key_size]
            coordinates = point(key)[1:]
            half = len(coordinates) // 2
            return {1: 2, 3: algorithm, -1: curve, -2: coordinates[:half], -3: coordinates[half:]}
        case rsa.RSAPrivateKey():
            public = key.public_key().public_numbers()
            return {1: 3, 3: algorithm, -1: minimal(public.n), -2: minimal(public.e)}
        case ed25519.Ed25519PrivateKey():
            return {1: 1, 3: algorithm, -1: 6, -2: key.public_key().public_bytes_raw()}
        case ed448.Ed448PrivateKey():
            return {1: 1, 3: algorithm, -1: 7, -2: key.public_key().public_bytes_raw()}


def minimal(number: int) -> bytes:
    """Return ``number`` in big-endian, no leading zeros."""
    return number.to_bytes((number.bit_length() + 7) // 8)


def sign(key: PrivateKey, message: bytes) -> bytes:
    """Return the key's only signature of ``message``: RFC 6979 for ECDSA, PKCS#1 v1.5 for RSA."""
    match key:
        case ec.EllipticCurvePrivateKey():
            digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.key_size]
            return key.sign(message, ec.ECDSA(digest, deterministic_signing=True))
        case rsa.RSAPrivateKey():
            return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        case _:
            return key.sign(message)


# --- Certificates ---

Extension = tuple[x509.ExtensionType, bool]  # and whether it is critical


class Authority:
    """The root that issues every attestation certificate of the vectors."""

    certificate: bytes  # DER

    def __init__(self, draw: Draw) -> None:
        self._key = ec_key(ec.SECP256R1(), draw(32))
        self._name = distinguished_name("Authenticator Attestation CA")
        self.certificate = self._sign(
            self._name,
            self._key,
            draw(16),
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (key_usage("key_cert_sign", "crl_sign"), True),
            (x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False),
        )

    def issue(
        self,
        key: ec.EllipticCurvePrivateKey,
        serial: bytes,
        *extensions: Extension,
        subject: x509.Name | None = None,
    ) -> bytes:
        """Return a leaf for ``key`` as DER; ``extensions`` are a format's own and come last."""
        return self._sign(
            distinguished_name("Authenticator Attestation") if subject is None else subject,
            key,
            serial,
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (key_usage("digital_signature"), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
            *extensions,
        )

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, serial: bytes, *extensions: Extension
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .serial_number(int.from_bytes(serial))
            .issuer_name(self._name)
            .subject_name(subject)
            .public_key(key.public_key())
            .not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(3024, 1, 1, tzinfo=UTC))  # past 2049, so a GeneralizedTime
        )
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        return builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def distinguished_name(unit: str) -> x509.Name:
    """Return one of the two names; the default string types are right: Printable for C, else UTF-8."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "WebAuthn test vectors"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "W3C"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "AA"),
        ]
    )


def key_usage(*usages: str) -> x509.KeyUsage:
    """Return the extension with only ``usages`` set."""
    bits = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{bit: bit in usages for bit in bits})


def other_extension(oid: str, der: bytes) -> Extension:
    """Return an extension that no certificate library knows, not critical."""
    return x509.UnrecognizedExtension(ObjectIdentifier(oid), der), False


TPM_MANUFACTURER_MODEL_VERSION = x509.RelativeDistinguishedName(  # all three in one
    [
        x509.NameAttribute(ObjectIdentifier("2.23.133.2.1"), "id:00000000"),
        x509.NameAttribute(ObjectIdentifier("2.23.133.2.2"), "WebAuthn test vectors"),
        x509.NameAttribute(ObjectIdentifier("2.23.133.2.3"), "id:00000000"),
    ]
)
TPM_EXTENSIONS: tuple[Extension, ...] = (
    (x509.ExtendedKeyUsage([ObjectIdentifier("2.23.133.8.3")]), False),  # tcg-kp-AIKCertificate
    (
        x509.SubjectAlternativeName([x509.DirectoryName(x509.Name([TPM_MANUFACTURER_MODEL_VERSION]))]),
        True,
    ),
)


# --- Files ---


def base64url(value: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def digest(encoded: str) -> str:
    """Return the SHA-256 in hexadecimal of what base64url text without padding stands for."""
    return sha256(urlsafe_b64decode(encoded + "==")).hexdigest()


def digests(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the SHA-256 of every value of the cases and of their one root, in the form of digests.json."""
    table: dict[str, Any] = {
        case["name"].removeprefix("w3c/"): {
            ceremony: {
                member: digest(value)
                for member, value in case[ceremony]["response"]["response"].items()
                if member != "transports"
            }
            for ceremony in ("registration", "authentication")
        }
        for case in cases
    }
    (root,) = {anchor for case in cases for anchor in case["registration"].get("trust_anchors", ())}
    return table | {"attestation root": {"certificate": digest(root)}}


def jsonl(cases: Sequence[dict[str, Any]]) -> str:
    """Return the text of a vector file, one case a line."""
    return "".join(json.dumps(case, separators=(",", ":")) + "\n" for case in cases)


if __name__ == "__main__":
    VECTORS_PATH.write_text(jsonl(generate()), encoding="ascii", newline="\n")
