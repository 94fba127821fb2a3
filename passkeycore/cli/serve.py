"""``passkeycore serve`` and ``passkeycore init``: run the server that a file describes, and write such a file."""

import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import ConfigurationError
from . import MISUSE, complain
from .output import printer

if TYPE_CHECKING:
    from ..config.server import ServerSettings

_GRACE_S: Final = 10  # for requests under way when it is stopped; process managers wait longer
_SECRET_BYTES: Final = 32
_MESSAGE_BYTES: Final = 65_536  # of a WebSocket
_BASE_URL: Final = "http://localhost:8000"


def serve(config: str, host: str | None, port: int | None, workers: int | None) -> int:
    """The exit code: 0 when SIGINT or SIGTERM stopped it, 2 when it could not start.

    Args:
        config: The file.
        host, port, workers: Instead of what the file says; None: that.
    """
    given = {"host": host, "port": port, "workers": workers}
    try:
        settings = _settings(config, {name: value for name, value in given.items() if value is not None})
        return _run(Path(config).absolute(), settings)
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
        from ..server.process import check_settings
    except ImportError:
        raise ConfigurationError('the server needs the extra "server": passkeycore[server]') from None
    settings = msgspec.structs.replace(load_server(config), **given)
    check_settings(settings)
    return settings


def _run(file: Path, settings: "ServerSettings") -> int:
    import uvicorn

    from ..server.process import CONFIG

    os.environ[CONFIG] = str(file)  # the application is made in each process, from the same file
    options: dict[str, Any] = {
        "factory": True,
        "lifespan": "on",
        "ws": "websockets-sansio",
        "ws_max_size": _MESSAGE_BYTES,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": _GRACE_S,
    }
    application = "passkeycore.server.process:application"
    if settings.workers > 1:
        _announce(settings, settings.port)
        try:
            uvicorn.run(application, host=settings.host, port=settings.port, workers=settings.workers, **options)
        except SystemExit:  # uvicorn has said why
            return MISUSE
        return 0
    server = uvicorn.Server(uvicorn.Config(application, **options))

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)  # also what uvicorn raises once more when it has stopped: then it changes nothing
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.create_server((settings.host, settings.port), family=family) as listener:
        _announce(settings, listener.getsockname()[1])
        server.run([listener])
    return 0


def _announce(settings: "ServerSettings", port: int) -> None:
    # Not on standard output, which has a line of JSON for each request and nothing else.
    sys.stderr.write(f"passkeycore: {settings.base_url} is served on {settings.host}, port {port}\n")
    sys.stderr.flush()
