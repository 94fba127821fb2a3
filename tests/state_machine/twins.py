"""The same services twice, over memory and over SQLite, with one clock and the same randomness.

What belongs here: how a call gets to both, and that both answer alike.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import sqlalchemy
from hypothesis import note
from sqlalchemy import event

from passkeycore import PasskeyError
from passkeycore.actions import ActionRules, ActionSettings, Condition, Outcome, Rule
from passkeycore.engine.actions.records import ActionFilter
from passkeycore.engine.actions.service import ActionService
from passkeycore.engine.devices.service import DeviceService
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.engine.records import EventFilter
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.sql import SQLRepository, metadata
from passkeycore.testing import b64url_encode
from passkeycore.tokens import Tokens
from tests.engine.kit import RP, SECRET, Chance, Clock, Hooked, Json

from . import model

REALMS: Final = ("", "shop")
USERS: Final = ("ada", "eve")
DOMAIN: Final = "example.org"
TOKENS: Final = Tokens([SECRET])
Service: TypeAlias = Literal["passkeys", "devices", "actions"]

_BEGINNINGS: Final = {
    "CHALLENGE_REQUIRED": Outcome.CHALLENGE,
    "ALLOW": Outcome.ALLOW,
    "REVIEW_REQUIRED": Outcome.REVIEW,
    "BLOCK": Outcome.BLOCK,
}
_TOO_MANY: Final = Rule(
    id="failures", outcome=Outcome.BLOCK, when=Condition(recent_failures_at_least=model.MOST_FAILURES)
)
_RULES: Final = ActionRules(
    actions={
        word: ActionSettings(
            default=_BEGINNINGS[state],
            allowed_methods=methods,  # type: ignore[arg-type]  # the model knows no types of ours
            rules=(_TOO_MANY,) if word == "vote" else (),
        )
        for word, (state, methods) in model.WORDS.items()
    },
    failure_window_s=int(model.WINDOW.total_seconds()),
)
_FEW: Final = 100_000  # of anything that a history can make
_TICK_MS: Final = 1
_EITHER: Final = {"credential_exists", "limit_reached"}
"""Where both are so, a repository names any one."""


@dataclass(frozen=True)
class Call:
    """A call of a service's method in a realm."""

    realm: str
    service: Service
    method: str
    arguments: Sequence[Any] = ()
    keywords: Json = field(default_factory=dict)

    def __str__(self) -> str:
        shown = [*map(_short, self.arguments), *(f"{name}={_short(value)}" for name, value in self.keywords.items())]
        return f"{self.realm or '-'}: {self.service}.{self.method}({', '.join(shown)})"


class Answer(NamedTuple):
    """What a call gave, or the error that it ended in."""

    value: Any
    error: PasskeyError | None

    @property
    def code(self) -> str | None:
        """None: it gave something."""
        return None if self.error is None else self.error.code.value

    def __str__(self) -> str:
        return _short(self.value) if self.error is None else f"{self.error.code.value}: {self.error}"


class Side:
    """The services of every realm over one storage.

    Attributes:
        repository: The storage itself.
        before: What happens before a method of it, by its name; see `Hooked`.
    """

    def __init__(self, repository: Any, clock: Clock) -> None:
        self.repository = repository
        self.before: dict[str, Callable[..., object]] = {}
        self._services: dict[str, dict[Service, Any]] = {}
        hooked: Any = Hooked(repository, "sync", self.before)
        for realm in REALMS:
            usual: Json = {"realm": realm, "now": clock, "random": Chance(f"chance of {realm}"), "store_events": True}
            passkeys = PasskeyService(RP, hooked, max_passkeys_per_user=model.MAX_PASSKEYS, **usual)
            devices = DeviceService(
                hooked,
                domain=DOMAIN,
                tokens=TOKENS,
                max_devices_per_user=model.MAX_DEVICES,
                max_pending_per_user=model.MAX_PENDING,
                max_attempts=model.DEVICE_ATTEMPTS,
                **usual,
            )
            actions = ActionService(
                hooked,
                tokens=TOKENS,
                passkeys=passkeys,
                devices=devices,
                rules=_RULES,
                max_attempts=model.ACTION_ATTEMPTS,
            )
            self._services[realm] = {"passkeys": passkeys, "devices": devices, "actions": actions}

    def call(self, call: Call) -> Answer:
        """What the call gives here."""
        method = getattr(self._services[call.realm][call.service], call.method)
        try:
            return Answer(method(*call.arguments, **call.keywords), None)
        except PasskeyError as error:
            return Answer(None, error)


class Twins:
    """Both storages, empty at first.

    Attributes:
        clock: Of both. It moves a little before each call, so that no two things have the same age.
        memory, sqlite: The two sides.
        tally: How many calls of each method ended in which code; None: they were accepted.
        races: How many calls came in the midst of others.
    """

    def __init__(self) -> None:
        self.tally: Counter[tuple[str, str | None]] = Counter()
        self.races = 0
        self.clock = Clock()
        self.memory = Side(MemoryRepository(), self.clock)
        self.sqlite = Side(_empty_sqlite(), self.clock)

    def call(self, call: Call, *, at_once: bool = False) -> Answer:
        """What the call gives on both sides, which answer alike; `at_once`: in the very moment of the one before."""
        self.clock.move(milliseconds=0 if at_once else _TICK_MS)
        answer, other = self.memory.call(call), self.sqlite.call(call)
        note(f"{self.clock.at:%H:%M:%S.%f} {call} -> {answer}")
        self._compare(call, answer, other)
        return answer

    def race(self, call: Call, rival: Call, at: str) -> tuple[Answer, Answer | None]:
        """What two calls give, the second of which is made in the midst of the first, on both sides.

        Args:
            call: The first.
            rival: The second.
            at: Before this method of the repository, once. None of the first call's may come before it that writes.

        Returns:
            Both answers; None: the first call did not get so far, and the second was not made.
        """
        self.clock.move(milliseconds=_TICK_MS)
        began = self.clock.at
        answers, rivals = [], []
        for side in (self.memory, self.sqlite):
            self.clock.at = began
            met: list[Answer] = []

            def interrupt(*_: object, side: Side = side, met: list[Answer] = met) -> None:
                side.before.clear()
                self.clock.move(milliseconds=_TICK_MS)
                met.append(side.call(rival))

            side.before[at] = interrupt
            answers.append(side.call(call))
            side.before.clear()
            rivals.append(met[0] if met else None)
        note(f"{self.clock.at:%H:%M:%S.%f} {call} -> {answers[0]}")
        note(f"    meanwhile, before {at}: {rival} -> {rivals[0]}")
        self._compare(call, *answers)
        assert (rivals[0] is None) == (rivals[1] is None), f"the storages are not asked alike by {call}"
        if rivals[0] is not None and rivals[1] is not None:
            self._compare(rival, rivals[0], rivals[1])
            self.races += 1
        return answers[0], rivals[0]

    def compare_records(self, question_ids: Sequence[tuple[str, str]]) -> None:
        """Holds only when both storages hold the same records."""
        ours, theirs = (self._records(side.repository, question_ids) for side in (self.memory, self.sqlite))
        for name in ours:
            assert ours[name] == theirs[name], f"the storages hold other {name}"
        memory = self.memory.repository
        with self.sqlite.repository._engine.connect() as connection:
            rows = {
                table.name: connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)).scalar()
                for table in metadata.sorted_tables
            }
        held = {
            "passkey_users": len(memory._users),
            "passkeys": len(memory._owners),
            "passkey_devices": len(memory._device_owners),
            "passkey_device_challenges": len(memory._device_challenges),
            "passkey_ceremonies": len(memory._ceremonies),
            "passkey_actions": len(memory._actions),
            "passkey_events": len(memory._events),
        }
        # Of tables that no step here writes to, none may have a row.
        assert Counter(rows) == Counter(held), "the storages hold other numbers of records"

    def _compare(self, call: Call, answer: Answer, other: Answer) -> None:
        self.tally[call.method, answer.code] += 1
        both = f"of {call}:\n  memory: {answer}\n  SQLite: {other}"
        if answer.code != other.code and {answer.code, other.code} == _EITHER:
            return
        assert (type(answer.error), answer.code) == (type(other.error), other.code), f"not the same answers {both}"
        if answer.error is None or other.error is None:
            assert answer.value == other.value, f"not the same values {both}"
        else:
            assert answer.error.to_dict() == other.error.to_dict(), f"not the same errors {both}"

    def _records(self, repository: Any, question_ids: Sequence[tuple[str, str]]) -> Json:
        people = [(realm, user_id) for realm in REALMS for user_id in USERS]
        return {
            "users and passkeys": {who: repository.find_account(*who) for who in people},
            "devices": {who: repository.list_devices(*who) for who in people},
            "device challenges": {id: repository.find_device_challenge(*id) for id in question_ids},
            "pending challenges": {
                who: repository.pending_device_challenges(*who, self.clock.at, _FEW) for who in people
            },
            "actions": {
                realm: repository.list_actions(realm, ActionFilter(), self.clock.at, None, _FEW).actions
                for realm in REALMS
            },
            "histories": {
                who: repository.action_history(
                    *who, _owned(repository, who), None, self.clock.at - model.WINDOW, self.clock.at
                )
                for who in people
            },
            "events": {realm: repository.list_events(realm, EventFilter(), None, _FEW).events for realm in REALMS},
        }


def _owned(repository: Any, who: tuple[str, str]) -> set[str]:
    """The ids of the user's devices and passkeys, as actions name them."""
    account = repository.find_account(*who)
    passkeys = () if account is None else account.passkeys
    return {one.authenticator_id for one in repository.list_devices(*who)} | {
        b64url_encode(one.credential_id) for one in passkeys
    }


def _short(value: object) -> str:
    if isinstance(value, bytes | dict):
        return "…"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:16]}…{shown[-8:]}"


def _empty_sqlite() -> SQLRepository:
    repository, engine = _sqlite()
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return repository


@cache
def _sqlite() -> tuple[SQLRepository, sqlalchemy.Engine]:
    """One database for all histories: SQLAlchemy then compiles its statements once."""
    directory = tempfile.TemporaryDirectory()
    _kept.append(directory)
    engine = sqlalchemy.create_engine(f"sqlite:///{Path(directory.name) / 'passkeys.db'}", isolation_level="AUTOCOMMIT")

    def prepare(connection: Any, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # no power failure is played here

    event.listen(engine, "connect", prepare)
    return SQLRepository(engine, create=True), engine


_kept: Final[list[tempfile.TemporaryDirectory[str]]] = []
