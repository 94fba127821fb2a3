"""What may be in a database after a crash, and what becomes of every response that was under way.

The rules, each a text in `Verdict.violations` when it is broken:

- What was reported as done is there, whole: the user, the passkey, its counter and time of last use.
- What is there is whole: a passkey equals the planned one after as many sign-ins as its counter says, an account that
  comes with a passkey has one, no passkey is without its user, and events tell the same story.
- Nothing is there that was not begun.
- Every response is sent again, twice. Where its step had come through, neither is accepted; where it had not, at most
  the first. Whatever is not accepted fails because of its challenge.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
import sqlalchemy

from passkeycore import Code, PasskeyError
from passkeycore.engine.records import Account, EventFilter, EventType, Passkey
from passkeycore.repositories.sql import SQLRepository, metadata

from .child import Task
from .plan import WORKERS, Kind, Plan, Step, Steps

_REFUSED: Final = Code.CHALLENGE_UNKNOWN
_ACCEPTED: Final = "accepted"
_MOST_EVENTS: Final = 1000


@dataclass
class Log:
    """What a child reported until it was killed: numbers of steps.

    Attributes:
        started: With their sealed states.
        done: Whose finish had returned.
        failed: With the name of the exception.
    """

    started: dict[int, str | None] = field(default_factory=dict[int, str | None])
    done: set[int] = field(default_factory=set[int])
    failed: dict[int, str] = field(default_factory=dict[int, str])


@dataclass
class Verdict:
    """What was found, of one crash or of many: how many steps had come how far, and what may not be.

    Attributes:
        done: Reported as done.
        applied: Not reported, yet there: cut off between the commit and the report.
        spent: Not there, and the challenge is gone.
        untouched: Not there, and the response was accepted when it was sent again.
        violations: Broken rules.
    """

    crashes: int = 0
    done: int = 0
    applied: int = 0
    spent: int = 0
    untouched: int = 0
    violations: list[str] = field(default_factory=list[str])

    def add(self, other: "Verdict") -> None:
        """Counts `other` in."""
        self.crashes += other.crashes
        self.done += other.done
        self.applied += other.applied
        self.spent += other.spent
        self.untouched += other.untouched
        self.violations += other.violations


class Database:
    """A database from outside of any crash. Nothing is open between two verdicts, so each reopens it."""

    def __init__(self, url: str) -> None:
        """The database with its tables, which are created here."""
        self.repository = SQLRepository(url, create=True)
        self.repository.close()
        self.engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)


def judge(database: Database, plan: Plan, task: Task, log: Log) -> Verdict:
    """Reopens the database, looks at it, and sends every response of the child's again."""
    verdict = Verdict(crashes=1, done=len(log.done))
    repository = database.repository
    try:
        verdict.violations += _damage(database.engine)
        accounts = {user_id: repository.find_account(task.realm, user_id) for user_id in plan.accounts}
        verdict.violations += [*_unowned(database.engine, task.realm), *_half_written(plan, task.realm, accounts)]
        if task.variant.events:
            verdict.violations += _events(repository, task.realm, accounts)
        steps = Steps(repository, task.variant, task.realm)
        under_way = _under_way(plan, task, log)
        for step in plan.steps:
            _judge_step(verdict, steps, step, step in under_way, _is_there(step, accounts[step.user_id]), task, log)
        for step in plan.steps:
            if step.number in log.done and not _is_there(step, repository.find_account(task.realm, step.user_id)):
                verdict.violations.append(f"{_name(step)}: gone after responses were sent again")
    finally:
        repository.close()
    verdict.violations = [f"{task.realm} ({task.variant}): {text}" for text in verdict.violations]
    return verdict


def _judge_step(
    verdict: Verdict, steps: Steps, step: Step, under_way: bool, is_there: bool, task: Task, log: Log
) -> None:
    def wrong(text: str) -> None:
        verdict.violations.append(f"{_name(step)}: {text}")

    done = step.number in log.done
    if done and not is_there:
        wrong("reported as done, and not there")
    if is_there and not done and not (under_way and step.number in log.started):
        wrong("there, and never begun")
    if task.variant.sealed and step.number not in log.started:
        return  # nobody has the state
    again = [_sent_again(steps, step, log.started.get(step.number)) for _ in range(2)]
    if again[0] == _ACCEPTED and (is_there or not under_way):
        wrong("its challenge was accepted a second time")
    if again[1] == _ACCEPTED:
        wrong("its challenge was accepted twice after the crash")
    if others := {answer for answer in again if answer not in (_REFUSED, _ACCEPTED)}:
        wrong(f"answered with {', '.join(sorted(others))}")
    if under_way and step.number in log.started and not done:
        if is_there:
            verdict.applied += 1
        elif again[0] == _ACCEPTED:
            verdict.untouched += 1
        else:
            verdict.spent += 1


def _sent_again(steps: Steps, step: Step, sealed_state: str | None) -> str:
    try:
        steps.finish(step, sealed_state)
    except PasskeyError as error:
        return error.code
    return _ACCEPTED


def _under_way(plan: Plan, task: Task, log: Log) -> list[Step]:
    """The first step of each thread that was not reported as done: of no other one may anything be there."""
    threads: Sequence[Sequence[Step]] = (
        [plan.of_worker(worker) for worker in range(WORKERS)] if task.kill_after is None else [plan.steps]
    )
    left = [[step for step in several if step.number not in log.done] for several in threads]
    return [several[0] for several in left if several]


def _is_there(step: Step, account: Account | None) -> bool:
    passkey = None if account is None else _passkey(account, step.credential_id)
    if passkey is None:
        return False
    return step.kind is not Kind.SIGN_IN or (passkey.last_used_at is not None and passkey.last_used_at >= step.at)


def _half_written(plan: Plan, realm: str, accounts: Mapping[str, Account | None]) -> Iterator[str]:
    for user_id, account in accounts.items():
        if account is None:
            continue
        planned = plan.accounts[user_id]
        steps = [step for step in plan.steps if step.user_id == user_id]
        if account.user != msgspec.structs.replace(planned.user, realm=realm):
            yield f"{user_id}: the user is not as planned"
        if not account.passkeys and steps[0].kind is Kind.CREATE_ACCOUNT:
            yield f"{user_id}: a user without the passkey that came with them"
        for passkey in account.passkeys:
            model = _passkey(planned, passkey.credential_id)
            times = [step.at for step in steps if (step.kind, step.credential_id) == _sign_in_with(passkey)]
            if model is None or passkey != _after(model, realm, times[: passkey.credential.sign_count]):
                yield f"{user_id}: a passkey that is not as planned"


def _after(planned: Passkey, realm: str, times: Sequence[datetime]) -> Passkey:
    """The passkey when it has signed in at these times."""
    record = msgspec.structs.replace(planned.credential, sign_count=len(times))
    return msgspec.structs.replace(planned, credential=record, realm=realm, last_used_at=times[-1] if times else None)


def _events(repository: SQLRepository, realm: str, accounts: Mapping[str, Account | None]) -> Iterator[str]:
    stored = [passkey for account in accounts.values() if account is not None for passkey in account.passkeys]
    for type, expected in (
        (EventType.PASSKEY_REGISTERED, {passkey.credential_id: 1 for passkey in stored}),
        (
            EventType.AUTHENTICATION_SUCCEEDED,
            {passkey.credential_id: passkey.credential.sign_count for passkey in stored},
        ),
    ):
        page = repository.list_events(realm, EventFilter(types=(type,)), None, _MOST_EVENTS)
        if Counter(event.credential_id for event in page.events) != Counter(expected):
            yield f"other events of {type} than changes"


def _unowned(engine: sqlalchemy.Engine, realm: str) -> Iterator[str]:
    passkeys, users = metadata.tables["passkeys"], metadata.tables["passkey_users"]
    owner = sqlalchemy.and_(users.c.realm == passkeys.c.realm, users.c.user_id == passkeys.c.user_id)
    unowned = (
        sqlalchemy.select(sqlalchemy.func.count())
        .select_from(passkeys.outerjoin(users, owner))
        .where(passkeys.c.realm == realm, users.c.user_id.is_(None))
    )
    with engine.connect() as connection:
        if connection.execute(unowned).scalar_one():
            yield "a passkey without its user"


def _damage(engine: sqlalchemy.Engine) -> Iterator[str]:
    if engine.dialect.name != "sqlite":
        return  # PostgreSQL has no such check
    with engine.connect() as connection:
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
    if found != "ok":
        yield f"a damaged file: {found}"


def _passkey(account: Account, credential_id: bytes) -> Passkey | None:
    return next((passkey for passkey in account.passkeys if passkey.credential_id == credential_id), None)


def _sign_in_with(passkey: Passkey) -> tuple[Kind, bytes]:
    return Kind.SIGN_IN, passkey.credential_id


def _name(step: Step) -> str:
    return f"step {step.number} ({step.kind.value} of {step.user_id})"
