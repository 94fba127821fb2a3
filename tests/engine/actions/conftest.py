"""Fixtures of the actions' tests; `colour` is that of the engine's."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.testing.contract.samples import realm
from tests.engine.kit import Colour

from .cast import Cast
from .kit import Stage


@pytest.fixture
def stage(colour: Colour) -> Stage:
    """The services with the defaults and `RULES`."""
    return Stage(colour)


@pytest.fixture
def cast(colour: Colour) -> Cast:
    """Ada, with a passkey and a telephone."""
    return Cast(colour)


class Loop:
    """An event loop in a thread of its own, which any number of threads use at once."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def __call__(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What the coroutine gives."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest) -> str:
    """Every test that takes it runs over each of them."""
    return str(request.param)


@pytest.fixture
def settings() -> dict[str, Any]:
    """Of the stage that `shared` is."""
    return {}


@pytest.fixture
def shared(
    request: pytest.FixtureRequest, colour: Colour, storage: str, tmp_path: Path, settings: dict[str, Any]
) -> Iterator[Stage]:
    """The services over a storage that many use at once, in a realm of their own, with the system's randomness."""
    usual: dict[str, Any] = {"realm": realm(), "random": None, "store_events": True} | settings
    if storage == "memory":
        yield Stage(colour, **usual)
        return
    url = f"sqlite:///{tmp_path / 'actions.db'}"
    if storage == "postgresql":
        url = str(request.getfixturevalue("postgres"))
    if colour == "sync":
        repository = SQLRepository(url, create=True)
        try:
            yield Stage(colour, repository=repository, **usual)
        finally:
            repository.close()
        return
    loop = Loop()
    waiting = AsyncSQLRepository(url.replace("sqlite:", "sqlite+aiosqlite:"), create=True)
    try:
        yield Stage(colour, repository=waiting, call=loop, **usual)
    finally:
        loop(waiting.close())
        loop.close()
