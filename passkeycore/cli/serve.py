"""``passkeycore serve`` and ``passkeycore init``: run the server that a file describes, and write such a file."""

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import ConfigurationError
from . import complain
from .output import printer

if TYPE_CHECKING:
    from ..config.server import ServerSettings

_SECRET_BYTES: Final = 32
_BACKLOG: Final = 2_048  # connections that nobody has taken yet
_BASE_URL: Final = "http://localhost:8000"


def serve(config: str, host: str | None, port: int | None, workers: int | None) -> int:
    """The exit code: 0 when SIGINT or SIGTERM stopped it, 2 when it, or later its processes, could not start.

    Args:
        config: The file.
        host, port, workers: Instead of what the file says; None: that.
    """
    given = {"host": host, "port": port, "workers": workers}
    try:
        settings = _settings(config, {name: value for name, value in given.items() if value is not None})
        return _run(settings)
    except ConfigurationError as error:
        return complain(error.message)
    except OSError as error:
        return complain(f"{error.filename or f'port {port}'}: {error.strerror}")


def init(path: str) -> int:
    """The exit code: 0 when the file was written, for its owner's eyes only; 2 when there is one, or it cannot be."""
    from ..config.server import describe_server

    if Path(path).suffix != ".toml":
        return complain(f"{path}: the suffix has to be .toml")
    text = describe_server(
        {
            "base_url": _BASE_URL,
            "database": "sqlite:///passkeycore.db",
            "secret": secrets.token_urlsafe(_SECRET_BYTES),
            "operator_secret": secrets.token_urlsafe(_SECRET_BYTES),
        },
        {"hostname": _BASE_URL.partition("://")[2], "api_keys": [secrets.token_urlsafe(_SECRET_BYTES)]},
    )
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        return complain(f"{path}: {error.strerror}")
    with open(file, "w", encoding="utf-8") as writer:
        writer.write(text)
    out = printer()
    out.line(f"{path} is written, with secrets that nobody else has.", "title")
    out.line(f"passkeycore serve --config {path}")
    return 0


def _settings(config: str, given: dict[str, Any]) -> "ServerSettings":
    try:
        import uvicorn  # noqa: F401  # pyright: ignore[reportUnusedImport]

        from ..config.server import load_server
        from ..server.running.process import check_settings
    except ImportError:
        raise ConfigurationError('the server needs the extra "server": passkeycore[server]') from None
    settings = msgspec.structs.replace(load_server(config), **given)
    check_settings(settings)
    return settings


def _run(settings: "ServerSettings") -> int:
    from ..server.running.process import serve_process
    from ..server.running.workers import MOST_FAILURES, serve_workers

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG) as listener:
        _announce(settings, listener.getsockname()[1])
        if settings.workers == 1:
            return 0 if serve_process(settings, listener, lambda: None) else complain("the server could not start")
        if serve_workers(settings, listener):
            return 0
    return complain(f"the server has ended: {MOST_FAILURES} processes in a row could not start")


def _announce(settings: "ServerSettings", port: int) -> None:
    # Not on standard output, which has a line of JSON for each request and nothing else.
    sys.stderr.write(f"passkeycore: {settings.base_url} is served on {settings.host}, port {port}\n")
    sys.stderr.flush()
