"""Servers as processes, and ``wrk`` against them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from .floor import DATABASE, EXPECTED
from .prepared import PATH, Prepared

_LUA: Final = Path(__file__).parent / "replay.lua"
_START_S: Final = 60.0
_STOP_S: Final = 30.0


@dataclass(frozen=True)
class Replayed:
    """What ``wrk`` saw.

    Attributes:
        answered: How many requests.
        seconds: In which time.
        sent: How many requests were begun: the next replay goes on after them.
        refused: Answered with another status than 2xx or 3xx.
        broken: Not answered: no connection, cut off, or too late.
        slow_ms: What 99 of 100 were faster than, in milliseconds.
    """

    answered: int
    seconds: float
    sent: int
    refused: int
    broken: int
    slow_ms: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


def is_installed() -> bool:
    """Whether there is a ``wrk``."""
    return shutil.which("wrk") is not None


def replay(prepared: Prepared, port: int, first: int, *, connections: int, seconds: int) -> Replayed:
    """Sends requests from the one with the number `first` on, over so many connections, for so long.

    Raises:
        RuntimeError: There are too few of them, or ``wrk`` fails.
    """
    count = prepared.count - first
    arguments = [str(prepared.requests), str(first), str(count), PATH]
    for name, value in prepared.headers.items():
        arguments += [name, value]
    done = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(_LUA)),
            *(f"http://127.0.0.1:{port}", "--", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise RuntimeError(f"wrk fails: {done.stdout}{done.stderr}")
    answered, duration, sent, spent, status, connect, read, write, timeout, slow = map(int, lines[0].split()[1:])
    if spent:
        raise RuntimeError(f"{count} requests are too few")
    return Replayed(answered, duration / 1e6, sent, status, connect + read + write + timeout, slow / 1e3)


@contextmanager
def server(prepared: Prepared, port: int, *, workers: int = 1) -> Generator[subprocess.Popen[bytes]]:
    """``passkeycore serve`` with the file of `prepared`; its access log goes nowhere."""
    command = [sys.executable, "-m", "passkeycore", "serve", "--config", str(prepared.config), "--port", str(port)]
    with _process([*command, "--workers", str(workers)], {}, port, "/health") as process:
        yield process


@contextmanager
def bare(expected: Path, database: str, port: int) -> Generator[subprocess.Popen[bytes]]:
    """The bare route under uvicorn, with the settings that the server has."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.serving.floor:application"]
    options = ["--port", str(port), "--no-access-log", "--log-level", "error", "--no-server-header"]
    with _process([*command, *options], {EXPECTED: str(expected), DATABASE: database}, port, "/") as process:
        yield process


def memory_kib(process: subprocess.Popen[bytes]) -> int:
    """What the process has in memory, in KiB."""
    for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("the system does not tell")


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], port: int, path: str
) -> Generator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            _wait(process, port, path, errors)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, path: str, errors: IO[bytes]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            errors.seek(0)
            raise RuntimeError(f"the server ends: {errors.read().decode()}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server does not answer")
