"""The histories that CI plays: the same each time, about 15 seconds. More: ``python -m tests.soak machine``."""

from typing import Final

from .machine import Machine, play

_HISTORIES: Final = 50
_NEVER_ACCEPTED: Final = frozenset[str]()


def test_storages_and_services_are_as_the_model_says() -> None:
    """Whatever happens in whatever order, what the model accepts is accepted, and nothing else is."""
    play(_HISTORIES)
    called = {method for method, _ in Machine.tally}
    accepted = {method for method, code in Machine.tally if code is None}
    assert called - accepted == _NEVER_ACCEPTED, "histories without a success show little"
