"""`SoftwareDevice`: a trusted device in software, which signs what an app signs when its user says yes or no.

Written from the documented protocol alone, line by line: nothing here is shared with the code that verifies.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal

from passkeycore.testing.encoding import b64url_encode
from passkeycore.testing.keys import SoftwareKey

_FIRST_LINE: Final = "passkeycore-device-1"
_ES256: Final = -7
_TEN_MINUTES_S: Final = 600


@dataclass(frozen=True, slots=True)
class SoftwareDevice:
    """A device with a P-256 key, the same for every run of a test: the seed decides.

    Signatures are in DER and repeat (RFC 6979). To sign wrongly in one thing, change it with `dataclasses.replace` or
    in the call; `sign` and `sign_lines` sign anything.

        phone = SoftwareDevice("alice's phone", domain="example.com", method="push")
        phone.answer(challenge.challenge_id, "approve", verification_code="42", content=challenge.content)
    """

    seed: bytes | str
    """What the key follows from. Another seed is another device."""
    domain: str = "example.org"
    """The server's, which stands in every message; the default is that of the rest of the kit."""
    method: Literal["push", "in-app", "qr-code"] = "push"
    """By which method the key was enrolled, which stands in every message, too."""

    @property
    def key(self) -> SoftwareKey:
        """The key pair."""
        return SoftwareKey.derive(self.seed, _ES256, purpose="device")

    @property
    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo, 91 bytes."""
        return self.key.spki()

    def answer(
        self,
        challenge_id: str,
        decision: Literal["approve", "reject"],
        *,
        purpose: str | None = None,
        verification_code: str | None = None,
        content: str = "",
    ) -> bytes:
        """The signature over a decision.

        Args:
            challenge_id: As the server gave it.
            decision: What the user said.
            purpose: What the challenge is for; None: it does not say.
            verification_code: What the user typed; None: no code was asked for.
            content: What the device showed; empty: nothing.
        """
        code = verification_code or ""
        return self.sign_lines(decision, challenge_id, _optional(purpose), code, _digest(content))

    def claim(self, challenge_id: str) -> bytes:
        """The signature of whoever scanned a code and wants to be the one who answers.

        It comes before the device knows what it is about, so there is no purpose, no code and no content in it.
        """
        return self.sign_lines("claim", challenge_id, "", "", _digest(""))

    def enrol(self, enrolment_token: str, *, public_key: bytes | None = None) -> bytes:
        """The signature that proves the key when it is enrolled; `public_key` None means the right one."""
        spki = self.public_key if public_key is None else public_key
        return self.sign_lines("enrol", _digest(enrolment_token), b64url_encode(sha256(spki).digest()))

    def fetch(self, *, issued_at: int) -> bytes:
        """The signature for a look at what waits for the device, signed at `issued_at`, in seconds since 1970."""
        return self.sign_lines("fetch", str(issued_at))

    def update(self, authenticator_id: str, *, issued_at: int, push_token: str | None = None) -> bytes:
        """The signature for a change of the device's own credential.

        Args:
            authenticator_id: The credential's, as the server gave it.
            issued_at: When it is signed, in seconds since 1970.
            push_token: The new one; None: it has none any more.
        """
        return self.sign_lines("update", authenticator_id, _optional(push_token), str(issued_at))

    def remove(self, authenticator_id: str, *, issued_at: int) -> bytes:
        """The signature for the removal of the device's own credential. The arguments are `update`'s."""
        return self.sign_lines("remove", authenticator_id, str(issued_at))

    def sign_challenge_id(self, challenge_id: str) -> bytes:
        """What compatible apps sign for every answer, and for a claim: the challenge's id and nothing else."""
        return self.sign(challenge_id.encode())

    def sign_bucket(self, now: datetime) -> bytes:
        """What compatible apps sign to be removed: the number of the ten minutes that `now` (aware) is in.

        It is written as such apps write it, as a floating-point number: ``2992174.0``.
        """
        return self.sign(f"{int(now.timestamp()) // _TEN_MINUTES_S}.0".encode())

    def sign_lines(self, what_for: str, *lines: str) -> bytes:
        """The signature over a message of the protocol, whatever its lines after the method are."""
        return self.sign("\n".join((_FIRST_LINE, what_for, self.domain, self.method, *lines)).encode())

    def sign(self, message: bytes) -> bytes:
        """The signature over `message`, whatever it is: ES256, DER."""
        return self.key.sign(message)


def _optional(text: str | None) -> str:
    return "" if text is None else _digest(text)


def _digest(text: str) -> str:
    return b64url_encode(sha256(text.encode()).digest())
