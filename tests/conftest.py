"""The servers that tests share. In CI a server that is missing is a failure, elsewhere a loud skip."""

import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from tests.servers import UnavailableError, postgres_server, redis_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL 18 for SQLAlchemy, ``postgresql+psycopg://…``. Its tables are shared by all tests."""
    with _available(postgres_server()) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The address of a Redis, whose keys are shared by all tests."""
    with _available(redis_server()) as url:
        yield url


@contextmanager
def _available(server: AbstractContextManager[str]) -> Generator[str]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(server)
        except UnavailableError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield url
