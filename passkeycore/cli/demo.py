"""``passkeycore demo``: serves the demonstration on this computer, and keeps its passkeys in a SQLite file."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError
from . import complain
from .output import printer

if TYPE_CHECKING:
    import uvicorn

    from ..repositories.sql import AsyncSQLRepository

_ADDRESS: Final = "127.0.0.1"  # other computers have no business here: their browsers would refuse passkeys anyway
_HOST: Final = "localhost"  # the one name that has passkeys without https
_GRACE_S: Final = 3  # for requests under way when it is stopped


def default_database() -> Path:
    """Where the passkeys are kept unless told otherwise. Spec: XDG Base Directory Specification"""
    base = os.environ.get("XDG_DATA_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.local/share"), "passkeycore", "demo.sqlite")


def run(port: int, database: str | None) -> int:
    """The exit code: 0 when SIGINT or SIGTERM stopped it, 2 when it could not start.

    Args:
        port: On this computer's own address alone; 0: any that is free.
        database: The SQLite file; None: `default_database`. Made where there is none.
    """
    file = (default_database() if database is None else Path(database)).absolute()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with socket.create_server((_ADDRESS, port)) as listener:
            asyncio.run(_serve(listener, file))
    except ConfigurationError as error:
        return complain(error.message)
    except OSError as error:
        return complain(f"{error.filename or f'port {port}'}: {error.strerror}")
    return 0


async def _serve(listener: socket.socket, file: Path) -> None:
    origin = f"http://{_HOST}:{listener.getsockname()[1]}"
    server, repository = _built(origin, file)

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)  # also what uvicorn raises once more when it has stopped: then it changes nothing
    try:
        await _check(repository, file)
        out = printer()
        out.line(f"The passkey demonstration is at {origin}", "title")
        out.line(f"It keeps its passkeys in {file}")
        out.line("Ctrl-C stops it.", "quiet")
        sys.stdout.flush()
        await server.serve([listener])
    finally:
        await repository.close()


def _built(origin: str, file: Path) -> "tuple[uvicorn.Server, AsyncSQLRepository]":
    try:
        import uvicorn
        from sqlalchemy import URL

        from ..server.demo import demo_app
    except ImportError:
        raise ConfigurationError('the demonstration needs the extra "server": passkeycore[server]') from None
    from ..engine.passkeys.service import AsyncPasskeyService
    from ..relying_party import RelyingParty
    from ..repositories.sql import AsyncSQLRepository

    if "?" in str(file):  # older releases of SQLAlchemy would open another file
        raise ConfigurationError(f"{file}: choose a name without a question mark")
    url = URL.create("sqlite+aiosqlite", database=str(file)).render_as_string()
    repository = AsyncSQLRepository(url, create=True)
    rp = RelyingParty(id=_HOST, name="Passkey demonstration", origins=[origin])
    config = uvicorn.Config(
        demo_app(AsyncPasskeyService(rp, repository), origin),
        lifespan="on",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return uvicorn.Server(config), repository


async def _check(repository: "AsyncSQLRepository", file: Path) -> None:
    """Returns only when the database can be used."""
    from sqlalchemy.exc import DBAPIError

    try:
        await repository.create()
    except DBAPIError as error:
        raise ConfigurationError(f"{file}: {error.orig}") from None
