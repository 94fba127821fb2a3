"""Reading what the test kit makes with `cryptography`, `cbor2` and `struct`, and the options it is given."""

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from passkeycore.testing import (
    ALGORITHMS,
    AT,
    ED,
    b64url_decode,
    b64url_encode,
)
from passkeycore.testing.keys import PublicKey

Json = dict[str, Any]
ANY_HASH = bytes(32)
"""A client data hash where its value does not matter."""
P256 = -7


def check(key: PublicKey, algorithm: int, signature: bytes, message: bytes) -> None:
    """Verifies with `cryptography`, the scheme written out a second time from the COSE registry."""
    digits = ALGORITHMS[algorithm][-3:]
    digest: Mapping[str, hashes.HashAlgorithm] = {"384": hashes.SHA384(), "512": hashes.SHA512()}
    used = digest.get(digits, hashes.SHA1() if algorithm == -65535 else hashes.SHA256())  # noqa: S303
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, message, ec.ECDSA(used))
    elif isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(used), used.digest_size)
        key.verify(signature, message, pss if ALGORITHMS[algorithm][0] == "P" else padding.PKCS1v15(), used)
    else:
        key.verify(signature, message)


def public_key(cose: bytes) -> tuple[PublicKey, int]:
    """The key and algorithm of a COSE_Key, read with `cbor2`."""
    fields: dict[int, Any] = loads(cose)
    kty, algorithm = fields[1], fields[3]
    if kty == 2:
        curves = {1: ec.SECP256R1(), 2: ec.SECP384R1(), 3: ec.SECP521R1(), 8: ec.SECP256K1()}
        point = b"\x04" + fields[-2] + fields[-3]
        return ec.EllipticCurvePublicKey.from_encoded_point(curves[fields[-1]], point), algorithm
    if kty == 3:
        n, e = int.from_bytes(fields[-1], "big"), int.from_bytes(fields[-2], "big")
        return rsa.RSAPublicNumbers(e, n).public_key(), algorithm
    if kty == 1 and fields[-1] == 6:
        return ed25519.Ed25519PublicKey.from_public_bytes(fields[-2]), algorithm
    if kty == 1:
        return ed448.Ed448PublicKey.from_public_bytes(fields[-2]), algorithm
    if algorithm == -48:
        return mldsa.MLDSA44PublicKey.from_public_bytes(fields[-1]), algorithm
    if algorithm == -49:
        return mldsa.MLDSA65PublicKey.from_public_bytes(fields[-1]), algorithm
    return mldsa.MLDSA87PublicKey.from_public_bytes(fields[-1]), algorithm


def loads(data: bytes) -> Any:
    """`data` read with `cbor2`."""
    return cbor2.loads(data)


def dumps(value: object) -> bytes:
    """`value` in canonical CBOR, written with `cbor2`."""
    return cbor2.dumps(value, canonical=True)


class Parsed:
    """Authenticator data taken apart with `struct`."""

    def __init__(self, data: bytes) -> None:
        self.rp_id_hash, self.flags, self.sign_count = struct.unpack(">32sBI", data[:37])
        self.tail = data[37:]
        self.aaguid, self.credential_id, self.cose = b"", b"", b""
        if self.flags & AT:
            self.aaguid, length = struct.unpack(">16sH", self.tail[:18])
            self.credential_id, rest = self.tail[18 : 18 + length], self.tail[18 + length :]
            fields = loads(rest)
            self.cose = dumps(fields)
            self.tail = rest[len(self.cose) :]
        self.extensions: Json = loads(self.tail) if self.flags & ED else {}


def creation_options(**changes: Any) -> Json:
    return {
        "rp": {"id": "example.org", "name": "Example"},
        "user": {"id": b64url_encode(b"user-1"), "name": "alice", "displayName": "Alice"},
        "challenge": b64url_encode(b"challenge of registration"),
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        "attestation": "direct",
        "authenticatorSelection": {"residentKey": "required"},
    } | changes


def request_options(**changes: Any) -> Json:
    return {"challenge": b64url_encode(b"challenge of login"), "rpId": "example.org"} | changes


def member(response: Json, name: str) -> bytes:
    return b64url_decode(response["response"][name])


def registered(response: Json) -> tuple[Json, Parsed]:
    """The attestation object of a registration and its authenticator data."""
    attestation: Json = loads(member(response, "attestationObject"))
    return attestation, Parsed(attestation["authData"])


def check_assertion(response: Json, key: PublicKey, algorithm: int = P256) -> None:
    message = member(response, "authenticatorData") + hashlib.sha256(member(response, "clientDataJSON")).digest()
    check(key, algorithm, member(response, "signature"), message)


def named(credential_id: bytes) -> list[Json]:
    return [{"type": "public-key", "id": b64url_encode(credential_id)}]
