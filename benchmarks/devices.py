"""Trusted devices: what answering a challenge costs beyond the bare signature check that is in it.

Twice: the pure verifier, which makes the message and checks the signature, and the whole flow of `answer_challenge`
over a repository that hands out prepared records and keeps nothing, so that what storage costs stays apart. Keys are
known, as in the warm figures of `authentication`; every answer is another device's to another challenge.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from passkeycore.devices import PROTOCOL, SignedVerifier, digest_of
from passkeycore.engine.devices.records import DeviceChallenge, DeviceCredential
from passkeycore.engine.devices.service import DeviceService
from passkeycore.engine.records import Event, User
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.testing import SoftwareDevice

from .measure import Call, Contender, interleave, overhead
from .peers import Peer
from .report import Section, bound, raw, samples, share, table, verdict

_TIMED: Final = 10
_LEAD_IN: Final = 5
_BOUND: Final = 0.2
_FLOOR: Final = "ES256 floor"
_PURE: Final = "verify_answer"
_FLOW: Final = "answer_challenge"
_DOMAIN: Final = "example.org"
_PURPOSE: Final = "transfer:0123456789abcdef0123456789abcdef"
_CONTENT: Final = "Pay 42.00 EUR to Bob, DE89 3704 0044 0532 0130 00"
_DIGESTS: Final = (digest_of(_PURPOSE), "", digest_of(_CONTENT))
_NOW: Final = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


class Answer(NamedTuple):
    """A device that is asked something, and what it signed."""

    device: DeviceCredential
    user: User
    challenge: DeviceChallenge
    signature: bytes

    def floor(self) -> Call:
        """Nothing but the check of the signature, by the same backend."""
        key = load_der_public_key(self.device.public_key)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise TypeError("no elliptic curve")
        lines = (PROTOCOL, "approve", _DOMAIN, "push", self.challenge.challenge_id, *_DIGESTS)
        return partial(key.verify, self.signature, "\n".join(lines).encode(), ec.ECDSA(SHA256()))


class Prepared(MemoryRepository):
    """Hands out what it was given, and says that everything was written."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__()
        self._challenges = {one.challenge.challenge_id: one.challenge for one in answers}
        self._found = {one.device.public_key: (one.device, one.user) for one in answers}

    def find_device_challenge(self, realm: str, challenge_id: str, /) -> DeviceChallenge | None:
        """The prepared one."""
        return self._challenges.get(challenge_id)

    def find_device(self, realm: str, method: str, public_key: bytes, /) -> tuple[DeviceCredential, User] | None:
        """The prepared one."""
        return self._found.get(public_key)

    def replace_device_challenge(
        self, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
    ) -> bool:
        """As if it had been written."""
        return True


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for `rounds` rounds of ten calls of each contender."""
    answers = make_answers(_LEAD_IN + _TIMED)
    batches = {
        _FLOOR: [one.floor() for one in answers],
        _PURE: pure(answers),
        _FLOW: flow(answers),
    }
    series = interleave(
        [Contender(name, partial(list[Call], calls), _LEAD_IN) for name, calls in batches.items()], rounds
    )
    floor = series[_FLOOR]
    found = {name: overhead(series[name], floor, floor) for name in (_PURE, _FLOW)}
    rows = [
        (f"{name} beyond the bare check", share(figure), verdict(figure.value, _BOUND))
        for name, figure in found.items()
    ]
    text = (
        f"{table(('answering, storage apart', 'in bare ES256 checks', 'bound'), rows)}\n\n"
        "in brackets, what fifths of the run say.\n\n" + samples(series)
    )
    data = {
        "unit": _FLOOR,
        "overhead": {name: figure.to_dict() for name, figure in found.items()},
        "bounds": {name: bound(figure.value, _BOUND) for name, figure in found.items()},
        "series": raw(series),
    }
    return Section("devices", text, data)


def make_answers(number: int) -> list[Answer]:
    """So many users, each with a phone that approves what it is asked."""
    return [_answer(str(place)) for place in range(number)]


def pure(answers: list[Answer]) -> list[Call]:
    """The judging of each answer by `SignedVerifier`."""
    verifier = SignedVerifier(_DOMAIN)
    return [
        partial(
            verifier.verify_answer,
            one.device.public_key,
            one.signature,
            method="push",
            challenge_id=one.challenge.challenge_id,
            decision="approve",
            purpose=_PURPOSE,
            verification_code=None,
            content=_CONTENT,
        )
        for one in answers
    ]


def flow(answers: list[Answer]) -> list[Call]:
    """Each answer through a service, over `Prepared`."""
    service = DeviceService(Prepared(answers), domain=_DOMAIN, now=lambda: _NOW)
    return [
        partial(
            service.answer_challenge,
            one.challenge.challenge_id,
            public_key=one.device.public_key,
            signature=one.signature,
            decision="approve",
        )
        for one in answers
    ]


def _answer(name: str) -> Answer:
    phone = SoftwareDevice(name, domain=_DOMAIN)
    user = User(user_id=name, user_handle=name.encode(), name=name, created_at=_NOW)
    device = DeviceCredential(
        authenticator_id=f"phone {name}",
        user_id=name,
        method="push",
        public_key=phone.public_key,
        name="Phone",
        platform="ios",
        push_token="0" * 64,
        created_at=_NOW,
    )
    challenge = DeviceChallenge(
        challenge_id=name.rjust(43, "A"),
        method="push",
        protocol=PROTOCOL,
        user_id=name,
        purpose=_PURPOSE,
        content=_CONTENT,
        binding=bytes(32),
        attempts_left=3,
        created_at=_NOW,
        expires_at=_NOW + timedelta(minutes=5),
    )
    signature = phone.answer(challenge.challenge_id, "approve", purpose=_PURPOSE, content=_CONTENT)
    return Answer(device, user, challenge, signature)
