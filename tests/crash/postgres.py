"""A PostgreSQL that crashes and comes back, for soak runs: what it had reported as committed must be there again.

Unlike the death of a client this takes the server's own memory away, the write-ahead log it has not written included;
a server with ``synchronous_commit = off`` would be found out.
"""

import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy

from tests.servers import postgres_server

_PATIENCE_S: Final = 60.0
_NOBODY: Final = "nobody"


class Server:
    """A server in a directory of its own.

    Attributes:
        url: Its address, for SQLAlchemy.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        host = sqlalchemy.make_url(url).query["host"]
        self._data = Path(str(host)) / "data"
        started_with = (self._data / "postmaster.opts").read_text().split()[0]
        self._control = Path(started_with).parent / "pg_ctl"
        self.restarted = False

    def crash(self) -> None:
        """Ends it as a crash does, without writing anything any more, and starts it again."""
        self._restart()

    def kill(self) -> None:
        """Kills its first process, and starts it again."""
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        self._restart()

    def stop(self) -> None:
        """Stops what was started again."""
        if self.restarted:
            self._run("stop", "-m", "fast")

    def _restart(self) -> None:
        self.restarted = True
        deadline = time.monotonic() + _PATIENCE_S
        # The processes of a killed server need a moment to notice; until then the new one refuses to start.
        while not self._run("restart", "-m", "immediate", "-l", str(self._data / "log")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL does not come back: {(self._data / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def _run(self, *arguments: str) -> bool:
        command = [str(self._control), *arguments, "-D", str(self._data), "-w", "-s"]
        user = _NOBODY if os.geteuid() == 0 else None
        done = subprocess.run(command, user=user, cwd=self._data, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0


@contextmanager
def crashing_server() -> Generator[Server]:
    """A new PostgreSQL. Nothing of it is left when this ends.

    Raises:
        UnavailableError: It is not installed, or does not start.
    """
    with postgres_server() as url:
        server = Server(url)
        try:
            yield server
        finally:
            server.stop()
