"""Fixtures of the engine's tests."""

import pytest

from .kit import Colour, Engine, engine


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Colour:
    """Every test that takes it runs in both colours."""
    wanted: Colour = request.param
    return wanted


@pytest.fixture
def passkeys(colour: Colour) -> Engine:
    """A service with the defaults."""
    return engine(colour)
