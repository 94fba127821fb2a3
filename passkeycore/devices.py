"""Keys of trusted devices, what they sign, and how it is judged. Pure: values in, nothing or an error out.

A device holds a P-256 key and signs with ES256 (ECDSA with SHA-256, signatures in DER), as the Secure Enclave and the
Android Keystore do. What it signs in our protocol, `PROTOCOL`, is a text of lines, each ended by a line feed but the
last, in UTF-8:

    passkeycore-device-1
    <what for>            approve, reject, claim, enrol, fetch, update or remove
    <domain>              the server's, such as example.com
    <method>              push, in-app or qr-code
    ...                   what the functions below say

Nothing that matters is left out, so that a signature is good for one decision on one question alone. Texts of free
form stand there as digests: base64url, without padding, of the SHA-256 of their UTF-8.

`CHALLENGE_ID_PROTOCOL` is what apps sign that were built for another service: the challenge's id alone, whatever the
decision. There nothing but the server's state tells an approval from a rejection; see `ChallengeIdVerifier`.
"""

from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal, Protocol, TypeAlias, get_args

from .errors import Code, DecodeError, SignatureError
from .webauthn.cose import PublicKey
from .webauthn.encoding import encode_base64url

DeviceMethod: TypeAlias = Literal["push", "in-app", "qr-code"]
"""How a device hears of a challenge: by a push message, as the app is what waits, or by scanning a code."""

DeviceProtocol: TypeAlias = Literal["passkeycore-device-1", "challenge-id"]
Decision: TypeAlias = Literal["approve", "reject"]

DEVICE_METHODS: Final[tuple[DeviceMethod, ...]] = get_args(DeviceMethod)
DEVICE_PROTOCOLS: Final[tuple[DeviceProtocol, ...]] = get_args(DeviceProtocol)
PROTOCOL: Final[DeviceProtocol] = "passkeycore-device-1"
CHALLENGE_ID_PROTOCOL: Final[DeviceProtocol] = "challenge-id"

# DER of a SubjectPublicKeyInfo for an uncompressed point of P-256, before the point (RFC 5480, section 2).
_SPKI_HEAD: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04")
_SPKI_BYTES: Final = 91
_SIGNATURE_BYTES: Final = 72  # the longest Ecdsa-Sig-Value over P-256
_BUCKET_S: Final = 600
_END_OF_TIME: Final = 2**53  # seconds: what every client can count
_SKEW_S: Final = 300  # between the clocks of a device and ours


def check_public_key(public_key: bytes) -> bytes:
    """`public_key` itself, which is a point of P-256 as DER SubjectPublicKeyInfo, in its only form: 91 bytes.

    Raises:
        DecodeError: `public_key_malformed`: anything else, such as another curve or a compressed point.
        VerificationError: `public_key_invalid`: not a point of the curve.
    """
    _key(public_key)
    return public_key


def digest_of(text: str) -> str:
    """What stands for a text of free form in a signed message: base64url of the SHA-256 of its UTF-8."""
    return encode_base64url(sha256(text.encode("utf-8", "surrogatepass")).digest())


class DeviceVerifier(Protocol):
    """Judges signatures of devices. Each method returns only when the signature is good.

    Raises:
        SignatureError: `signature_invalid`.
    """

    def verify_answer(
        self,
        public_key: bytes,
        signature: bytes,
        *,
        method: DeviceMethod,
        challenge_id: str,
        decision: Decision | Literal["claim"],
        purpose: str | None,
        verification_code: str | None,
        content: str,
    ) -> bytes:
        """The message that was signed: an answer to a challenge, or its claim."""
        ...

    def verify_removal(
        self,
        public_key: bytes,
        signature: bytes,
        *,
        method: DeviceMethod,
        authenticator_id: str,
        issued_at: int | None,
        now: datetime,
    ) -> None:
        """For the removal of the device's own credential."""
        ...


class SignedVerifier:
    """Judges what devices sign in our protocol, `PROTOCOL`. Immutable."""

    __slots__ = ("_domain",)

    def __init__(self, domain: str) -> None:
        """For one server.

        Args:
            domain: Stands in every message, so that no other server's signatures are good here. One line.
        """
        self._domain = domain

    def verify_answer(
        self,
        public_key: bytes,
        signature: bytes,
        *,
        method: DeviceMethod,
        challenge_id: str,
        decision: Decision | Literal["claim"],
        purpose: str | None,
        verification_code: str | None,
        content: str,
    ) -> bytes:
        """The message. Further lines: challenge id, digest of the purpose, verification code, digest of the content.

        The lines of a purpose and of a code that there is not are empty. A claim, which comes before the device knows
        what it is about, has neither, and the digest of no content.
        """
        return self._verify(
            public_key,
            signature,
            decision,
            method,
            challenge_id,
            "" if purpose is None else digest_of(purpose),
            verification_code or "",
            digest_of(content),
        )

    def verify_enrolment(
        self, public_key: bytes, signature: bytes, *, method: DeviceMethod, enrolment_token: str
    ) -> bytes:
        """The message, which proves that whoever enrols the key holds it.

        Further lines: digest of the enrolment token, base64url of the public key's SHA-256.
        """
        key_digest = encode_base64url(sha256(public_key).digest())
        return self._verify(public_key, signature, "enrol", method, digest_of(enrolment_token), key_digest)

    def verify_fetch(
        self, public_key: bytes, signature: bytes, *, method: DeviceMethod, issued_at: int, now: datetime
    ) -> None:
        """For a look at what waits for the device. Further line: seconds since 1970 when it was signed."""
        self._verify(public_key, signature, "fetch", method, _digits(issued_at))
        _check_time(issued_at, now)

    def verify_update(
        self,
        public_key: bytes,
        signature: bytes,
        *,
        method: DeviceMethod,
        authenticator_id: str,
        push_token: str | None,
        issued_at: int,
        now: datetime,
    ) -> None:
        """Further lines: authenticator id, digest of the push token or nothing, seconds since 1970 when signed."""
        digest = "" if push_token is None else digest_of(push_token)
        self._verify(public_key, signature, "update", method, authenticator_id, digest, _digits(issued_at))
        _check_time(issued_at, now)

    def verify_removal(
        self,
        public_key: bytes,
        signature: bytes,
        *,
        method: DeviceMethod,
        authenticator_id: str,
        issued_at: int | None,
        now: datetime,
    ) -> None:
        """Further lines: authenticator id, seconds since 1970 when it was signed."""
        self._verify(public_key, signature, "remove", method, authenticator_id, _digits(issued_at))
        _check_time(issued_at, now)

    def _verify(self, public_key: bytes, signature: bytes, what_for: str, method: str, *lines: str) -> bytes:
        message = "\n".join((PROTOCOL, what_for, self._domain, method, *lines)).encode("utf-8", "surrogatepass")
        _verify(public_key, signature, message)
        return message


class ChallengeIdVerifier:
    """Judges what apps sign that were built for another service: only for a wire dialect that speaks to those.

    The signature covers the challenge's id and nothing else: not the decision, not the code, not even whether it is a
    claim. What makes it count once, for one user and one thing, is the state that the engine keeps: ids are long and
    random, a challenge is answered once, only a ``qr-code`` one can be claimed, and then only the same key answers it.
    Whoever sees a claim can still forge the decision: such a dialect stands and falls with TLS.
    """

    __slots__ = ()

    def verify_answer(
        self,
        public_key: bytes,
        signature: bytes,
        *,
        method: DeviceMethod,
        challenge_id: str,
        decision: Decision | Literal["claim"],
        purpose: str | None,
        verification_code: str | None,
        content: str,
    ) -> bytes:
        """The message: the challenge's id."""
        message = challenge_id.encode("utf-8", "surrogatepass")
        _verify(public_key, signature, message)
        return message

    def verify_removal(
        self,
        public_key: bytes,
        signature: bytes,
        *,
        method: DeviceMethod,
        authenticator_id: str,
        issued_at: int | None,
        now: datetime,
    ) -> None:
        """The message is the number of the ten minutes that `now` is in, as a floating-point number: ``2992174.0``.

        That of the ten minutes before, and after, is good as well.
        """
        bucket = int(now.timestamp()) // _BUCKET_S
        for number in (bucket, bucket - 1, bucket + 1):
            try:
                return _verify(public_key, signature, f"{number}.0".encode())
            except SignatureError:
                continue
        raise _bad_signature()


def _verify(public_key: bytes, signature: bytes, message: bytes) -> None:
    if len(signature) > _SIGNATURE_BYTES:
        raise _bad_signature()
    try:
        _key(public_key).verify(signature, message)
    except SignatureError:
        raise _bad_signature() from None


@lru_cache(maxsize=4096)
def _key(public_key: bytes) -> PublicKey:
    if len(public_key) != _SPKI_BYTES or not public_key.startswith(_SPKI_HEAD):
        raise DecodeError(
            Code.PUBLIC_KEY_MALFORMED,
            "not a SubjectPublicKeyInfo, in DER, with an uncompressed point of P-256",
            path="public_key",
        )
    # As a COSE_Key for ES256: it is checked as any other.
    return PublicKey.parse(
        b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + public_key[27:59] + b"\x22\x58\x20" + public_key[59:]
    )


def _digits(issued_at: int | None) -> str:
    if not isinstance(issued_at, int) or not 0 <= issued_at < _END_OF_TIME:
        raise _bad_signature()
    return str(issued_at)


def _check_time(issued_at: int | None, now: datetime) -> None:
    if issued_at is None or abs(now.timestamp() - issued_at) > _SKEW_S:
        raise _bad_signature()  # an old one that somebody kept


def _bad_signature() -> SignatureError:
    return SignatureError(Code.SIGNATURE_INVALID, "the device's signature does not verify", path="signature")
