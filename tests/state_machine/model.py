"""The oracle: what there is, as plain values, and why something has to be refused.

Written from what the services promise, not from how they do it: things that are removed are marked as gone and never
come back, so that one with the same name is another. Nothing here imports the code that is judged.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from passkeycore.testing import SoftwareDevice

Codes: TypeAlias = set[str]

MAX_PASSKEYS: Final = 2
MAX_DEVICES: Final = 3
MAX_PENDING: Final = 3
DEVICE_ATTEMPTS: Final = 3
ACTION_ATTEMPTS: Final = 3
LIFETIME: Final = timedelta(minutes=10)  # of actions, their successes, and enrolments
CHALLENGE_LIFETIME: Final = timedelta(minutes=5)
GRACE: Final = timedelta(minutes=1)
WINDOW: Final = timedelta(hours=1)
MOST_FAILURES: Final = 2  # after which "vote" is blocked
SCOPE: Final = "add:authenticators"

ALL: Final = ("passkey", "push", "in-app", "qr-code")
WORDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "pay": ("CHALLENGE_REQUIRED", ALL),
    "move": ("CHALLENGE_REQUIRED", ("passkey", "push")),
    "vote": ("CHALLENGE_REQUIRED", ALL),
    "look": ("ALLOW", ALL),
    "lend": ("REVIEW_REQUIRED", ALL),
    "steal": ("BLOCK", ALL),
}
"""In which state each action begins, and what may meet it."""
WAITING: Final = ("CHALLENGE_REQUIRED", "ALLOW")
ENROLS_NOTHING: Final = ("BLOCK", "CHALLENGE_FAILED", "REVIEW_REQUIRED", "REVIEW_FAILED")


@dataclass(eq=False)
class Person:
    """A user of a realm, from their creation to their removal."""

    realm: str
    user_id: str
    disabled: bool = False
    gone: bool = False


@dataclass(eq=False)
class Key:
    """A passkey. `client` is the browser that has it."""

    owner: Person
    credential_id: bytes
    name: str
    client: Any
    gone: bool = False


@dataclass(eq=False)
class Gadget:
    """An enrolled device."""

    owner: Person
    software: SoftwareDevice
    public_key: bytes
    authenticator_id: str
    expires_at: datetime | None = None
    gone: bool = False

    @property
    def method(self) -> str:
        return self.software.method

    def counts(self, now: datetime) -> bool:
        """Whether it is there, and has not expired."""
        return not self.gone and (self.expires_at is None or now < self.expires_at)


@dataclass(eq=False)
class Deed:
    """An action. `met_by` is what met its challenge."""

    realm: str
    user_id: str
    word: str
    key: str
    state: str
    methods: tuple[str, ...]
    created_at: datetime
    scoped: bool
    attempts: int = 0
    met_by: Key | Gadget | None = None
    failed_at: datetime | None = None
    consumed: bool = False
    gone: bool = False

    @property
    def expires_at(self) -> datetime:
        return self.created_at + LIFETIME

    def state_at(self, now: datetime) -> str:
        late = self.state == "CHALLENGE_REQUIRED" and now >= self.expires_at
        return "CHALLENGE_FAILED" if late else self.state

    def counts_as_failure(self, now: datetime) -> bool:
        """Whether something went wrong with it lately, and it was not met in the end."""
        failed_at = None if self.state == "CHALLENGE_SUCCEEDED" else self.failed_at
        return failed_at is not None and now - WINDOW <= failed_at <= now


@dataclass(eq=False)
class Token:
    """What a client holds of an action: from tracking it, or from one success."""

    text: str
    realm: str
    kind: Literal["track", "success"]
    deed: Deed
    expires_at: datetime


@dataclass(eq=False)
class Enrolment:
    """A token that enrols one device of one person, once."""

    text: str
    person: Person
    expires_at: datetime
    used: bool = False


@dataclass(eq=False)
class Ceremony:
    """A passkey's ceremony that was begun, and the response to it."""

    realm: str
    kind: Literal["registration", "authentication"]
    body: Any
    person: Person | None
    """Who was named at the start."""
    binding: str
    expires_at: datetime
    token: Token | None = None
    """Of the action that it is for."""
    word: str | None = None
    """Of the sign-in that it is for."""
    client: Any = None
    """Who answers a registration."""
    signer: Key | None = None
    """Which passkey answers an authentication."""
    allowed: bool = True
    """The signer was asked."""
    forged: bool = False
    spent: bool = False


@dataclass(eq=False)
class Question:
    """A challenge to a device."""

    realm: str
    id: str
    method: str
    user_id: str | None
    begun_for: str | None
    """Whom the start named."""
    only: str | None
    """Which device alone may answer."""
    purpose: str | None
    binding: str | None
    content: str
    code: str | None
    created_at: datetime
    token: Token | None = None
    word: str | None = None
    state: str = "pending"
    attempts: int = DEVICE_ATTEMPTS
    answered_by: Gadget | None = None
    taken: bool = False
    gone: bool = False

    @property
    def expires_at(self) -> datetime:
        return self.created_at + CHALLENGE_LIFETIME

    def is_for(self, gadget: Gadget) -> bool:
        """Whether it is the device's to answer, at whichever time."""
        return (
            gadget.owner.realm == self.realm
            and gadget.method == self.method
            and self.user_id in (None, gadget.owner.user_id)
            and self.only in (None, gadget.authenticator_id)
        )

    def awaits(self, gadget: Gadget) -> bool:
        """Whether the device can answer now, as far as this goes."""
        if self.method == "qr-code":
            return self.state == "claimed" and self.only == gadget.authenticator_id and self.is_for(gadget)
        return self.state == "pending" and self.is_for(gadget)

    def count_attempt(self) -> None:
        self.attempts -= 1
        if self.attempts <= 0:
            self.state = "failed"


@dataclass
class World:
    """All that there is, and was."""

    people: dict[tuple[str, str], Person] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    gadgets: list[Gadget] = field(default_factory=list)
    deeds: dict[tuple[str, str, str, str], Deed] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    enrolments: list[Enrolment] = field(default_factory=list)
    ceremonies: list[Ceremony] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def person(self, realm: str, user_id: str) -> Person:
        """The user, created where there is none."""
        return self.people.setdefault((realm, user_id), Person(realm, user_id))

    def is_known(self, realm: str, user_id: str) -> bool:
        """Whether there is anything of the user's, who may have been asked for something before having anything."""
        who = realm, user_id
        return (
            who in self.people
            or any(name[:2] == who for name in self.deeds)
            or any((one.realm, one.user_id) == who and not one.gone for one in self.questions)
        )

    def remove_person(self, person: Person) -> None:
        """With all that is theirs."""
        person.gone = True
        del self.people[person.realm, person.user_id]
        for key in self.keys_of(person):
            key.gone = True
        for gadget in self.gadgets_of(person):
            gadget.gone = True
        for name, deed in list(self.deeds.items()):
            if name[:2] == (person.realm, person.user_id):
                deed.gone = True
                del self.deeds[name]
        for question in self.questions:
            if (question.realm, question.user_id) == (person.realm, person.user_id):
                question.gone = True

    def keys_of(self, person: Person | None) -> list[Key]:
        """The oldest first."""
        return [key for key in self.keys if key.owner is person and not key.gone]

    def gadgets_of(self, person: Person | None) -> list[Gadget]:
        """The oldest first, those that have expired as well."""
        return [gadget for gadget in self.gadgets if gadget.owner is person and not gadget.gone]

    def enrolled_as(self, realm: str, gadget: Gadget) -> Gadget:
        """What the realm takes the device for: one key may be enrolled in several realms, and again after a removal."""
        same = (one for one in self.gadgets if one.software == gadget.software and one.owner.realm == realm)
        return next((one for one in same if not one.gone), gadget)

    def methods_of(self, realm: str, user_id: str) -> set[str]:
        """Of what the user has, of use or not."""
        person = self.people.get((realm, user_id))
        if person is None or person.disabled:
            return set()
        methods = {gadget.method for gadget in self.gadgets_of(person)}
        return methods | {"passkey"} if self.keys_of(person) else methods

    def pending(self, realm: str, user_id: str, now: datetime) -> list[Question]:
        """What waits for an answer of the user's, the last one first."""
        return [
            question
            for question in reversed(self.questions)
            if (question.realm, question.user_id) == (realm, user_id)
            and question.state in ("pending", "claimed")
            and not question.gone
            and now < question.expires_at
        ]

    def beginning(self, realm: str, user_id: str, word: str, now: datetime) -> str:
        """In which state an action begins."""
        person = self.people.get((realm, user_id))
        if person is not None and person.disabled:
            return "BLOCK"
        if word == "vote":
            failed = [
                deed
                for name, deed in self.deeds.items()
                if name[:2] == (realm, user_id) and deed.counts_as_failure(now)
            ]
            if len(failed) >= MOST_FAILURES:
                return "BLOCK"
        return WORDS[word][0]

    def forget(self, now: datetime) -> None:
        """What is over for more than a minute is not known any more."""
        for ceremony in self.ceremonies:
            ceremony.spent = ceremony.spent or now > ceremony.expires_at + GRACE
        for question in self.questions:
            question.gone = question.gone or now > question.expires_at + GRACE

    def wrong_with_token(self, realm: str, token: Token, now: datetime) -> Codes:
        """Why nothing can be done with the token; empty: something can."""
        codes: Codes = set()
        if token.realm != realm or token.deed.gone or (token.kind == "success" and token.deed.consumed):
            codes.add("token_invalid")
        if math.floor(now.timestamp()) >= math.floor(token.expires_at.timestamp()):
            codes.add("token_expired")
        return codes

    def wrong_with_owner(self, person: Person | None) -> Codes:
        """Why nothing new can be the user's."""
        if person is None or person.gone:
            return {"user_not_found"}
        return {"user_disabled"} if person.disabled else set()

    def wrong_with_proof(self, deed: Deed, now: datetime) -> Codes:
        """Why what met the challenge counts no more."""
        proof = deed.met_by
        if proof is None or proof.gone or proof.owner.disabled or (isinstance(proof, Gadget) and not proof.counts(now)):
            return {"token_invalid"}
        return set()

    def wrong_with_beginner(self, realm: str, token: Token, method: str, now: datetime) -> Codes:
        """Why the holder of the token cannot try to meet the action's challenge by this method."""
        codes = self.wrong_with_token(realm, token, now)
        if token.kind != "track":
            codes.add("token_invalid")
        if token.deed.state_at(now) not in WAITING:
            codes.add("action_state")
        if method not in token.deed.methods:
            codes.add("method_not_allowed")
        return codes

    def is_first_only(self, token: Token) -> bool:
        """Whether the holder of the token may enrol a first authenticator alone."""
        return token.kind == "track" and not token.deed.scoped

    def wrong_with_enroller(self, realm: str, token: Token, now: datetime) -> Codes:
        """Why the holder of the token cannot enrol anything."""
        codes = self.wrong_with_token(realm, token, now)
        if token.deed.state_at(now) in ENROLS_NOTHING:
            codes.add("action_state")
        if token.kind == "success":
            codes |= self.wrong_with_proof(token.deed, now)
        person = self.people.get((realm, token.deed.user_id))
        if self.is_first_only(token) and (self.keys_of(person) or self.gadgets_of(person)):
            codes.add("scope_missing")
        return codes
