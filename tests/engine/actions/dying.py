"""The process that gets killed: ``python -m tests.engine.actions.dying`` forks one for every task that it reads.

A task is a line of JSON on standard input. The child of it finishes what was begun elsewhere, and kills itself after so
many statements; the status with which it ended is a line on standard output.
"""

import json
import os
import signal
import sys
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, event

from passkeycore.repositories.sql import SQLRepository
from tests.engine.kit import Json

from .kit import Stage

DEEDS: Final = {
    "finish_passkey_challenge": lambda stage, more: stage.actions.finish_passkey_challenge(**more),
    "finish_device_challenge": lambda stage, more: stage.actions.finish_device_challenge(**more),
    "answer_device_challenge": lambda stage, more: stage.actions.answer_device_challenge(**_in_bytes(more)),
    "validate_challenge": lambda stage, more: stage.actions.validate_challenge(**more),
    "finish_passkey_enrolment": lambda stage, more: stage.actions.finish_passkey_enrolment(**more),
}


class Task(NamedTuple):
    """What a child is to do.

    Attributes:
        url: The database, whose tables are there.
        realm: The run's own.
        store_events: Whether the service stores events, so that changes need transactions.
        deed: One of `DEEDS`.
        more: Its arguments; bytes as hexadecimal text.
        kill_after: After so many statements.
        at: What its clock shows, in seconds after that of the tests.
    """

    url: str
    realm: str
    store_events: bool
    deed: str
    more: Json
    kill_after: int
    at: int = 0

    def to_line(self) -> bytes:
        """As the process reads it."""
        more = {name: value.hex() if isinstance(value, bytes) else value for name, value in self.more.items()}
        return json.dumps(self._replace(more=more)).encode() + b"\n"


def main() -> None:
    """Forks a child for each task, until standard input ends."""
    while line := sys.stdin.buffer.readline():
        task = Task(*json.loads(line))
        child = os.fork()
        if not child:
            try:
                _work(task)
                os._exit(0)
            finally:
                os._exit(1)
        os.write(1, f"{os.waitpid(child, 0)[1]}\n".encode())


def _work(task: Task) -> None:
    stage = Stage(
        "sync",
        repository=SQLRepository(task.url),
        realm=task.realm,
        random=None,
        store_events=task.store_events,
    )
    stage.clock.move(seconds=task.at)
    executed = 0

    def count(*_: object) -> None:
        nonlocal executed
        executed += 1
        if executed == task.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", count)
    DEEDS[task.deed](stage, task.more)


def _in_bytes(more: Json) -> dict[str, Any]:
    return more | {name: bytes.fromhex(more[name]) for name in ("public_key", "signature")}


if __name__ == "__main__":
    main()
