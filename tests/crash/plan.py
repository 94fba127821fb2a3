"""The steps that a child takes: registrations and sign-ins of several users, with responses made beforehand.

Everything follows from the place in the plan: challenges, user handles, times. So every process that makes the plan
makes the same one, and whatever is found in a database later tells which steps got there. Each run has its own realm.
"""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, NamedTuple

from passkeycore import RelyingParty
from passkeycore.engine.passkeys.authentication import StartedAuthentication
from passkeycore.engine.passkeys.ceremonies import StatelessCeremonies
from passkeycore.engine.passkeys.registration import StartedRegistration
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.engine.records import Account
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.sql import SQLRepository
from passkeycore.testing import AttestationAuthority, SoftwareAuthenticator, VirtualClient, b64url_decode, derive
from passkeycore.tokens import Tokens

WORKERS: Final = 2
USERS: Final = 4
_RP: Final = RelyingParty(id="example.org", origins=["https://example.org"])
_BEGIN: Final = datetime(2026, 1, 2, 12, tzinfo=UTC)
_AUTHORITY: Final = AttestationAuthority("crash")
_TOKENS: Final = Tokens([b"a secret of the crash tests' own"])
_CHALLENGE_BYTES: Final = 32
_HANDLE_BYTES: Final = 24


class Kind(Enum):
    """What a step does."""

    CREATE_ACCOUNT = "create account"  # the user comes with the passkey, or not at all
    REGISTER = "register"  # the user is there from the start on
    SIGN_IN = "sign in"


class Step(NamedTuple):
    """One ceremony.

    Attributes:
        number: Its place in the plan.
        kind: What it does.
        user_id: Whose it is.
        credential_id: The passkey that it registers, or that signs.
        body: The response; empty while the plan is being made.
    """

    number: int
    kind: Kind
    user_id: str
    credential_id: bytes = b""
    body: bytes = b""

    @property
    def challenge(self) -> bytes:
        """32 bytes."""
        return derive("challenge", str(self.number), length=_CHALLENGE_BYTES)

    @property
    def at(self) -> datetime:
        """When it takes place; of two steps the later one has the later time."""
        return _BEGIN + timedelta(seconds=self.number)


class Variant(NamedTuple):
    """How a service is built.

    Attributes:
        sealed: Ceremonies wait in the client's hands, and what is spent in the database; else they wait there.
        events: There is a store of events, so that changes need transactions.
    """

    sealed: bool
    events: bool

    def __str__(self) -> str:
        return f"{'sealed' if self.sealed else 'stored'} ceremonies, {'with' if self.events else 'without'} events"


VARIANTS: Final = tuple(Variant(sealed, events) for events in (False, True) for sealed in (False, True))


class Plan(NamedTuple):
    """The steps in order, and what users and passkeys are when all of them were taken."""

    steps: Sequence[Step]
    accounts: Mapping[str, Account]

    def of_worker(self, worker: int) -> list[Step]:
        """The steps that one of the `WORKERS` threads takes: those of some users."""
        users = [user for place, user in enumerate(self.accounts) if place % WORKERS == worker]
        return [step for step in self.steps if step.user_id in users]


class Now(threading.local):
    """Clock and randomness of a service: those of the step that the thread is at."""

    step: Step

    def clock(self) -> datetime:
        """The step's time."""
        return self.step.at

    def random(self, length: int) -> bytes:
        """The step's challenge and its user's handle; what has another length (ids of events) is nobody's business."""
        if length == _CHALLENGE_BYTES:
            return self.step.challenge
        return derive("handle", self.step.user_id, length=length) if length == _HANDLE_BYTES else os.urandom(length)


class Steps:
    """A service that takes steps; for threads."""

    def __init__(self, repository: SQLRepository | MemoryRepository, variant: Variant, realm: str) -> None:
        self._now = Now()
        self._service = PasskeyService(
            _RP,
            repository,
            ceremonies=StatelessCeremonies(_TOKENS, repository) if variant.sealed else None,
            realm=realm,
            store_events=variant.events,
            now=self._now.clock,
            random=self._now.random,
        )

    def start(self, step: Step) -> StartedRegistration | StartedAuthentication:
        """Begins the step's ceremony."""
        self._now.step = step
        if step.kind is Kind.SIGN_IN:
            return self._service.start_authentication(user_id=step.user_id)
        return self._service.start_registration(
            user_id=step.user_id,
            user_name=step.user_id,
            new_user=step.kind is Kind.CREATE_ACCOUNT,
            binding=step.user_id,
        )

    def finish(self, step: Step, sealed_state: str | None) -> None:
        """Ends it with the step's response.

        Raises:
            PasskeyError: As the service's methods.
        """
        self._now.step = step
        if step.kind is Kind.SIGN_IN:
            self._service.finish_authentication(step.body, sealed_state=sealed_state)
        else:
            self._service.finish_registration(
                step.body, user_id=step.user_id, binding=step.user_id, sealed_state=sealed_state
            )


def make_plan(users: int = USERS) -> Plan:
    """The plan, played to its end in memory."""
    memory = MemoryRepository()
    playing = Steps(memory, Variant(sealed=False, events=False), "")
    device = SoftwareAuthenticator("crash", sign_count_step=1, authority=_AUTHORITY)
    client = VirtualClient(device)
    steps: list[Step] = []
    latest: dict[str, bytes] = {}
    lives = [
        # Every other user exists before their first passkey does.
        (f"user {user}", (first, Kind.SIGN_IN, Kind.REGISTER, Kind.SIGN_IN, Kind.SIGN_IN))
        for user, first in zip(range(users), (Kind.CREATE_ACCOUNT, Kind.REGISTER) * users, strict=False)
    ]
    for turn in range(len(lives[0][1])):
        for user_id, kinds in lives:
            planned = Step(len(steps), kinds[turn], user_id)
            options = playing.start(planned).to_dict()
            response: dict[str, Any]
            if planned.kind is Kind.SIGN_IN:
                response = client.get(options, credential_id=latest[user_id])
            else:
                options["excludeCredentials"] = []  # one authenticator may play several
                response = client.create(options)
                latest[user_id] = b64url_decode(response["rawId"])
            step = planned._replace(credential_id=latest[user_id], body=json.dumps(response).encode())
            playing.finish(step, None)
            steps.append(step)
    accounts = {user_id: memory.find_account("", user_id) for user_id, _ in lives}
    return Plan(steps, {user_id: account for user_id, account in accounts.items() if account is not None})
