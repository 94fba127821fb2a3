"""One process of ``passkeycore serve``: its application, made from settings that were checked, and its logs.

What belongs here: what each process does, whether it is the only one or one of several, which `workers` starts.
"""

import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp

from ...config.server import ServerSettings
from ...errors import ConfigurationError
from ...repositories.sql import SQLRepository
from ..app import server_app
from ..edge.access_log import LOGGER
from ..tenancy.live import LiveTenants
from ..tenancy.storage import Storage, synchronous_url
from .protocol import HEAD_BYTES, below

GRACE_S: Final = 10
"""For requests under way when it is stopped, in seconds; process managers wait longer."""

_MESSAGE_BYTES: Final = 65_536  # of a WebSocket


def build_app(settings: ServerSettings) -> ASGIApp:
    """The application, over a storage of its own.

    Raises:
        ConfigurationError: A tenant whose services cannot be built, or an extra that is missing.
    """
    return server_app(LiveTenants(settings, Storage(settings)), settings)


def check_settings(settings: ServerSettings) -> None:
    """Returns when the application can be built and the database can be used, with its tables created.

    Raises:
        ConfigurationError: It cannot; or as `build_app`.
    """
    # Without asyncio: the driver's thread could outlive a loop that ends with the first failure.
    repository = SQLRepository(synchronous_url(settings))
    try:
        repository.create()
    except DBAPIError as error:
        raise ConfigurationError(f"the database cannot be used: {error.orig}") from None
    finally:
        repository.close()
    build_app(settings)


def serve_process(settings: ServerSettings, listener: socket.socket, ready: Callable[[], None]) -> bool:
    """Whether it served, until SIGINT or SIGTERM; False: it could not begin.

    Args:
        settings: What to serve.
        listener: Where connections come in; processes may share it.
        ready: Is called when it serves.
    """
    set_up_logs()
    config = uvicorn.Config(
        build_app(settings),
        lifespan="on",
        http=below(urlsplit(settings.base_url).path),
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="websockets-sansio",
        ws_max_size=_MESSAGE_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config, ready)

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)  # also what uvicorn raises once more when it has stopped: then it changes nothing
    try:
        server.run([listener])
    except SystemExit:  # uvicorn has said why
        return False
    return server.started


class _Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def set_up_logs() -> None:
    """Requests go to standard output, a line of JSON each, and nothing else does; what is wrong, to standard error."""
    LOGGER.handlers = [logging.StreamHandler(sys.stdout)]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    ours = logging.getLogger("passkeycore")
    ours.handlers = [logging.StreamHandler(sys.stderr)]
    ours.handlers[0].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours.propagate = False
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # at WARNING it has a line for whatever is no HTTP
