"""Several processes of ``passkeycore serve``, over one socket: started, started anew when they die, and stopped.

All of them serve the settings that the first process has read and checked, which are handed to them through a pipe: a
file that was edited meanwhile changes nothing before the server is started again, and no secret is in an environment or
on a disk. They end with the process that started them, however that ends.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from ...config.server import ServerSettings
from ..edge.http import describe
from .process import GRACE_S, serve_process

MOST_FAILURES: Final = 3
"""So many starts in a row may fail before the server gives up: what keeps it from starting does not go by itself."""

_PAUSE_S: Final = 1.0  # after a process that could not start, or was killed before it could; then the next may
_LOOK_S: Final = 0.2
_STOPPED_S: Final = GRACE_S + 5.0  # what has not ended by then never will
_SPAWN: Final = multiprocessing.get_context("spawn")


def serve_workers(settings: ServerSettings, listener: socket.socket) -> bool:
    """Whether it served, until SIGINT, SIGTERM or SIGHUP; False: its processes do not start any more.

    Args:
        settings: What to serve, by how many processes.
        listener: Where connections come in.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: stopping.set())
    workers = [_Worker(settings, listener) for _ in range(settings.workers)]
    failures, again_at = 0, 0.0
    try:
        while not stopping.is_set() and failures < MOST_FAILURES:
            wait([worker.process.sentinel for worker in workers if worker.process.is_alive()], _LOOK_S)
            for place, worker in enumerate(workers):
                is_alive = worker.process.is_alive()  # first: what it has said before it died is read next
                if worker.has_begun():
                    failures = 0
                if is_alive or time.monotonic() < again_at:
                    continue
                if not worker.was_ready:
                    again_at = time.monotonic() + _PAUSE_S
                    # What somebody kills has not failed by itself: memory may be short, or an operator in a hurry.
                    failures += worker.process.exitcode != -signal.SIGKILL
                worker.close()
                if not stopping.is_set() and failures < MOST_FAILURES:
                    workers[place] = _Worker(settings, listener)
    finally:
        _stop(workers)
    return failures < MOST_FAILURES


class _Worker:
    """One process.

    Attributes:
        process: It.
        was_ready: Whether it has served.
    """

    def __init__(self, settings: ServerSettings, listener: socket.socket) -> None:
        """Starts it."""
        self._pipe, theirs = _SPAWN.Pipe()
        self.was_ready = False
        self.process: SpawnProcess = _SPAWN.Process(target=_work, args=(settings, listener, theirs))
        self.process.start()
        theirs.close()

    def has_begun(self) -> bool:
        """Whether it has become ready since this was last asked."""
        if self.was_ready or not self._pipe.poll():
            return False
        try:
            self._pipe.recv_bytes()
        except EOFError:
            return False
        self.was_ready = True
        return True

    def close(self) -> None:
        """Lets go of it; when it still runs, it stops."""
        self._pipe.close()


def _stop(workers: list[_Worker]) -> None:
    deadline = time.monotonic() + _STOPPED_S
    for worker in workers:
        if worker.process.is_alive():
            worker.process.terminate()
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0.0))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.close()


def _work(settings: ServerSettings, listener: socket.socket, pipe: Connection) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # for the process that started this one, which says when to stop
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    try:
        served = serve_process(settings, listener, lambda: pipe.send_bytes(b"ready"))
    except Exception as error:  # noqa: BLE001 - whatever it is, one line says so: its words may hold secrets
        sys.stderr.write(f"passkeycore: a process could not serve: {describe(error)}\n")
        served = False
    sys.exit(0 if served else 1)


def _end_with_parent(pipe: Connection) -> None:
    """Stops this process when the one that started it is gone, which closes its end."""
    try:
        pipe.recv_bytes()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGTERM)
