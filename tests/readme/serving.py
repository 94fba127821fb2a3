"""The command ``passkeycore``, as a reader runs it, and a server of it until the test ends."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.server.kit import free_port

_PATIENCE_S = 60.0  # for what has to come, on a busy machine; only a failure takes that long


def run(command: str, place: Path) -> None:
    """The command, run to its end in a directory. One that fails, fails the test."""
    subprocess.run(shlex.split(command), cwd=place, env=_environment(), check=True, timeout=_PATIENCE_S)


@contextmanager
def serving(command: str, place: Path, port: int = 0) -> Generator[str]:
    """Where the server of this command answers, ``http://localhost:…``; its output is in ``log`` in its directory."""
    port, log = port or free_port(), place / "log"
    url, deadline = f"http://localhost:{port}", time.monotonic() + _PATIENCE_S
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*shlex.split(command), "--port", str(port)], cwd=place, env=_environment(), stdout=output, stderr=output
        )
    try:
        while not _is_ready(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield url
        process.terminate()
        assert process.wait(_PATIENCE_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=_PATIENCE_S).status_code == 200
    except httpx.TransportError:
        return False
