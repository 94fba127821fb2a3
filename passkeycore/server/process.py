"""One process of ``passkeycore serve``: its application, made from the file that the environment names, and its logs.

With several processes each makes its own: uvicorn starts them anew, and imports `application` in them.
"""

import logging
import os
import sys
from typing import Final

from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp

from ..config.server import ServerSettings, load_server
from ..errors import ConfigurationError
from ..repositories.sql import SQLRepository
from .access_log import LOGGER
from .app import server_app
from .live import LiveTenants
from .storage import Storage

CONFIG: Final = "PASSKEYCORE_CONFIG"
"""The environment variable that names the file."""


def application() -> ASGIApp:
    """The application of this process; its logs go to standard output and standard error.

    Raises:
        ConfigurationError: The environment names no file, or it is not good.
    """
    path = os.environ.get(CONFIG)
    if path is None:
        raise ConfigurationError(f"the environment variable {CONFIG} names no file")
    set_up_logs()
    return build_app(load_server(path))


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
    build_app(settings)  # opens nothing
    # Without asyncio: the driver's thread could outlive a loop that ends with the first failure.
    repository = SQLRepository(settings.database.replace("sqlite+aiosqlite:", "sqlite:", 1))
    try:
        repository.create()
    except DBAPIError as error:
        raise ConfigurationError(f"the database cannot be used: {error.orig}") from None
    finally:
        repository.close()


def set_up_logs() -> None:
    """Requests go to standard output, a line of JSON each, and nothing else does; what is wrong, to standard error."""
    LOGGER.handlers = [logging.StreamHandler(sys.stdout)]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    ours = logging.getLogger("passkeycore")
    ours.handlers = [logging.StreamHandler(sys.stderr)]
    ours.handlers[0].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours.propagate = False
