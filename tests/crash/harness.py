"""Kills children over one database, at random moments or after every statement, and has each crash judged.

A random moment is a number of lines that the child has reported, and a few milliseconds from there. So a slow machine
crashes in the same places as a fast one, and no verdict depends on how long anything takes.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

import sqlalchemy

from .child import Task
from .plan import USERS, VARIANTS, Plan, Variant, make_plan
from .verdict import Database, Log, Verdict, judge

_ROOT: Final = Path(__file__).parents[2]
_FEW_USERS: Final = 2  # one who comes with a passkey, and one who is there before
_LINES: Final = 2  # of each step
_DELAY_S: Final = 0.004  # some statements, or one or two steps
_PATIENCE_S: Final = 120.0  # for a machine that is very busy; what does not come by then never comes
_APPLICATION: Final = "passkeycore crash test"
_DRIVERS: Final = "sqlalchemy.exc."
_BACKENDS: Final = sqlalchemy.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")

Crash: TypeAlias = Callable[[], None]


class Children:
    """The process that forks children, and what the current one reports."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._unread = b""

    def crash(self, task: Task, lines: int, delay_s: float, server: Crash | None = None) -> Log:
        """Lets a child report so many lines, waits so long, and kills it.

        With `server`, that is called first; what fails then is no fault of the child's.
        """
        log = Log()
        self._send(task.to_line())
        for _ in range(1 + lines):
            if self._read(log) == "finished":
                break
        time.sleep(delay_s)
        if server is not None:
            server()
        self._send(b"kill\n")
        self._until_ended(log)
        return log

    def crash_by_itself(self, task: Task) -> Log | None:
        """Lets a child kill itself, as its task says. None: it came to its end before."""
        log = Log()
        self._send(task.to_line())
        return log if self._until_ended(log) == signal.SIGKILL else None

    def _until_ended(self, log: Log) -> int:
        while True:
            event = self._read(log)
            if event.startswith("ended "):
                return int(event.split()[1])

    def _send(self, line: bytes) -> None:
        if self._process.stdin is None:
            raise RuntimeError("no pipe")
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _read(self, log: Log) -> str:
        while b"\n" not in self._unread:
            output = self._process.stdout
            if output is None or not select.select([output], [], [], _PATIENCE_S)[0]:
                raise TimeoutError("a child of a crash test reports nothing any more")
            read = os.read(output.fileno(), 1 << 16)
            if not read:
                raise RuntimeError("the children of the crash test are gone")
            self._unread += read
        line, self._unread = self._unread.split(b"\n", 1)
        event, *words = line.decode().split()
        if event == "started":
            log.started[int(words[0])] = None if words[1] == "-" else words[1]
        elif event == "done":
            log.done.add(int(words[0]))
        elif event == "failed":
            log.failed[int(words[0])] = words[1]
        return line.decode()


@contextmanager
def children(users: int) -> Generator[Children]:
    """The process that forks children, with a plan of so many users; when this ends, none of them is left."""
    command = [sys.executable, "-m", "tests.crash.child", str(users)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT) as process:
        try:
            yield Children(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()


def crash_at_random(
    url: str, crashes: int, seed: int, server: Callable[[int], Crash | None] = lambda _: None
) -> Iterator[Verdict]:
    """Crashes as often, every variant in turn, and judges each before the next.

    Args:
        url: The database, for SQLAlchemy; its tables are made.
        crashes: How many.
        seed: Of the moments.
        server: For the number of a crash, what crashes beside the child, if anything does.
    """
    random, plan = Random(seed), make_plan()  # noqa: S311 - moments, no secrets
    database = Database(url)
    with children(USERS) as forked:
        for number in range(crashes):
            task = Task(_named(url), f"random {seed} {number}", VARIANTS[number % len(VARIANTS)])
            lines, delay_s = random.randrange(_LINES * len(plan.steps)), random.uniform(0, _DELAY_S)
            with_server = server(number)
            log = forked.crash(task, lines, delay_s, with_server)
            yield _judged(database, plan, task, log, may_fail=with_server is not None)


def crash_after_each_statement(url: str, variant: Variant, statements: int) -> Iterator[Verdict]:
    """Crashes after the first statement, the second, … up to so many, and judges each before the next."""
    plan = make_plan(_FEW_USERS)
    database = Database(url)
    with children(_FEW_USERS) as forked:
        for number in range(1, statements + 1):
            task = Task(_named(url), f"statement {number} {variant}", variant, number)
            log = forked.crash_by_itself(task)
            if log is None:
                return
            yield _judged(database, plan, task, log, may_fail=False)


def _judged(database: Database, plan: Plan, task: Task, log: Log, *, may_fail: bool) -> Verdict:
    _until_forgotten(database.engine)
    verdict = judge(database, plan, task, log)
    for number, error in log.failed.items():
        if not (may_fail and error.startswith(_DRIVERS)):
            verdict.violations.append(f"{task.realm} ({task.variant}): step {number} failed with {error}")
    return verdict


def _named(url: str) -> str:
    if url.startswith("sqlite"):
        return url
    named = sqlalchemy.make_url(url).update_query_dict({"application_name": _APPLICATION})
    return named.render_as_string(hide_password=False)


def _until_forgotten(engine: sqlalchemy.Engine) -> None:
    """Returns when PostgreSQL has noticed that the child is gone: until then it may still be working for it."""
    deadline = time.monotonic() + _PATIENCE_S
    while engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            if not connection.execute(_BACKENDS, {"name": _APPLICATION}).scalar_one():
                return
        if time.monotonic() > deadline:
            raise TimeoutError("PostgreSQL does not let go of a connection that is gone")
        time.sleep(0.005)
