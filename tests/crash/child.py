"""The process that gets killed: ``python -m tests.crash.child USERS`` forks one for every task that it reads.

Protocol: a task is a line of JSON on standard input, and, unless the child kills itself, a second line says when it is
to be killed. Lines on standard output, each written in one piece without a buffer:

    ready                  connected; from here on everything may be cut off
    started <step> <state> the start has returned, with its sealed state or ``-``; the finish is next
    done <step>            the finish has returned
    failed <step> <error>  one of them has not, because of this exception; this thread stops
    finished               nothing is left to do
    ended <status>         the child is gone; says its parent, so nothing of it follows

Forking a process that has everything imported takes milliseconds instead of a second. The parent has neither threads
nor connections that could be shared.
"""

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine, event

from passkeycore.repositories.sql import SQLRepository

from .plan import WORKERS, Plan, Step, Steps, Variant, make_plan


class Task(NamedTuple):
    """What a child is to do.

    Attributes:
        url: The database, whose tables are there.
        realm: The run's own.
        variant: How its service is built.
        kill_after: It takes one step after the other and kills itself after so many statements. None: it takes steps
            in several threads, and is killed.
    """

    url: str
    realm: str
    variant: Variant
    kill_after: int | None = None

    def to_line(self) -> bytes:
        """As `from_line` reads it."""
        return json.dumps(self).encode() + b"\n"

    @staticmethod
    def from_line(line: bytes) -> "Task":
        """What `to_line` wrote."""
        url, realm, variant, kill_after = json.loads(line)
        return Task(url, realm, Variant(*variant), kill_after)


def main(users: int) -> None:
    """Forks a child for each task, until standard input ends."""
    plan = make_plan(users)
    while line := sys.stdin.buffer.readline():
        task = Task.from_line(line)
        child = os.fork()
        if not child:
            try:
                _work(plan, task)
            finally:
                os._exit(1)
        if task.kill_after is None:
            sys.stdin.buffer.readline()
            os.kill(child, signal.SIGKILL)
        _report("ended", os.waitpid(child, 0)[1])


def _work(plan: Plan, task: Task) -> None:
    steps = Steps(SQLRepository(task.url), task.variant, task.realm)
    _report("ready")
    if task.kill_after is not None:
        _die_after(task.kill_after)
        _take(steps, plan.steps)
        os._exit(0)
    threads = [threading.Thread(target=_take, args=(steps, plan.of_worker(worker))) for worker in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _report("finished")
    while True:
        signal.pause()


def _take(steps: Steps, several: Sequence[Step]) -> None:
    for step in several:
        try:
            sealed_state = steps.start(step).sealed_state
            _report("started", step.number, sealed_state or "-")
            steps.finish(step, sealed_state)
            _report("done", step.number)
        except Exception as error:  # noqa: BLE001 - whatever it is, the harness judges it
            _report("failed", step.number, f"{type(error).__module__}.{type(error).__qualname__}")
            return


def _die_after(statements: int) -> None:
    executed = 0

    def count(*_: object) -> None:
        nonlocal executed
        executed += 1
        if executed == statements:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", count)


def _report(*words: object) -> None:
    line = (" ".join(map(str, words)) + "\n").encode()
    if len(line) > select.PIPE_BUF:
        raise ValueError("a line of this length may be cut in two")
    os.write(1, line)


if __name__ == "__main__":
    main(int(sys.argv[1]))
