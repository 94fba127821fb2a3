"""Sign-ins whose challenge is known before they start, so that making the response is no part of what is timed.

What belongs here: what the benchmarks of the engine and of repositories have in common. A service draws its challenges
from `Challenges`, which gives what was set before. The authenticators do not count signatures, so that one response
answers its challenge again and again: every finish ends the ceremony, and the next start begins the same one anew.
"""

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from passkeycore import AuthenticationState, CredentialRecord, RelyingParty
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.engine.records import Account
from passkeycore.engine.repository import PasskeyRepository
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.testing import AttestationAuthority, SoftwareAuthenticator, VirtualClient, b64url_decode
from passkeycore.webauthn.cose import ES256

from .cases import ORIGIN, RP_ID
from .measure import Call

RP: Final = RelyingParty(id=RP_ID, origins=[ORIGIN])
BINDING: Final = "the browser's session"
_CHALLENGE_BYTES: Final = 32
_LIMIT: Final = 5
_AUTHORITY: Final = AttestationAuthority("benchmark of sign-ins")
_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_P256: Final = ec.SECP256R1()


class Challenges(threading.local):
    """Randomness for a service: as a challenge it gives `next`, which each thread has for itself."""

    next: bytes = b""

    def __call__(self, length: int) -> bytes:
        """So many bytes."""
        return self.next if length == _CHALLENGE_BYTES else os.urandom(length)


@dataclass(frozen=True)
class SignIn:
    """One sign-in of a user who is known at the start: its challenge, the response, and what verifies it.

    Attributes:
        account: The user, with one passkey.
        challenge: To be set as `Challenges.next` before the start.
        body: The response.
        stored_state: What level 1 needs of the start.
        signature, message: What the floor checks.
    """

    account: Account
    challenge: bytes
    body: bytes
    stored_state: str
    signature: bytes
    message: bytes

    @property
    def user_id(self) -> str:
        """Who signs in."""
        return self.account.user.user_id

    def floor(self) -> Call:
        """The signature check alone; the key is ready."""
        members = self._key
        key = ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\4" + members[-2] + members[-3])
        return partial(key.verify, self.signature, self.message, _ECDSA)

    def level_1(self) -> Call:
        """The verification without storage, with state and record as they come out of one."""
        state = AuthenticationState.from_json(self.stored_state)
        record = CredentialRecord.from_bytes(self.account.passkeys[0].credential.to_bytes())
        return partial(RP.verify_authentication, self.body, state, record, user_id=self.user_id, binding=BINDING)

    @property
    def _key(self) -> Any:
        import cbor2

        return cbor2.loads(self.account.passkeys[0].credential.public_key)


def make_sign_ins(number: int, users: int | None = None) -> list[SignIn]:
    """As many sign-ins, each with a challenge of its own, of as many users (None: as sign-ins) with a passkey each.

    Raises:
        RuntimeError: The service does not ask for challenges as it used to, so nobody knows them beforehand.
    """
    repository, challenges = MemoryRepository(), Challenges()
    service = PasskeyService(RP, repository, random=challenges)
    clients: list[tuple[str, VirtualClient]] = []
    for index in range(number if users is None else users):
        user_id = f"user {index}"
        device = SoftwareAuthenticator(f"sign-in {index}", algorithms=(ES256,), authority=_AUTHORITY)
        client = VirtualClient(device, ORIGIN)
        challenges.next = sha256(f"registration {index}".encode()).digest()
        begun = service.start_registration(user_id=user_id, user_name=f"{user_id}@example.org")
        service.finish_registration(client.create(begun.to_dict()), user_id=user_id)
        clients.append((user_id, client))
    return [_make(service, repository, challenges, index, *clients[index % len(clients)]) for index in range(number)]


def _make(
    service: PasskeyService,
    repository: MemoryRepository,
    challenges: Challenges,
    index: int,
    user_id: str,
    client: VirtualClient,
) -> SignIn:
    challenges.next = challenge = sha256(f"sign-in {index}".encode()).digest()
    start = service.start_authentication(user_id=user_id, binding=BINDING)
    response: dict[str, Any] = client.get(start.to_dict())
    ceremony, account = repository.take_ceremony("", challenge), repository.find_account("", user_id)
    if ceremony is None or account is None:
        raise RuntimeError("the service does not ask for challenges of 32 bytes")
    inner = {name: b64url_decode(value) for name, value in response["response"].items()}
    return SignIn(
        account=account,
        challenge=challenge,
        body=json.dumps(response, separators=(",", ":")).encode(),
        stored_state=ceremony.state.to_json(),
        signature=inner["signature"],
        message=inner["authenticatorData"] + sha256(inner["clientDataJSON"]).digest(),
    )


def store(repository: PasskeyRepository, sign_ins: Sequence[SignIn]) -> None:
    """Stores the users and passkeys of `sign_ins`.

    Raises:
        RuntimeError: They are there already.
    """
    for account in {one.user_id: one.account for one in sign_ins}.values():
        repository.get_or_create_user(account.user)
        for passkey in account.passkeys:
            if repository.add_passkey(passkey, _LIMIT, None, None) != "added":
                raise RuntimeError("the repository was not empty")
