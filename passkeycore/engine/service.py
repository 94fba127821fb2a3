"""What the services of every part are built from: the checks of arguments that all of them have, and who is told."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError
from .records import Event
from .repository import AsyncEventRepository

if TYPE_CHECKING:
    from .events import EventDispatcher

Adapt = Callable[[object, type[Any]], Any]
"""`run.immediate` or `run.awaited`: makes a repository of its colour fit the flows."""


class Surroundings(NamedTuple):
    """The members of an `EngineContext`, and who tells the sinks."""

    events: AsyncEventRepository | None
    emit: Callable[[Event], object] | None
    realm: str
    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    dispatcher: "EventDispatcher | None"


def surroundings(
    adapt: Adapt,
    repository: object,
    *,
    realm: str,
    store_events: bool,
    sinks: Sequence[Callable[[Event], object]],
    now: Callable[[], datetime] | None,
    random: Callable[[int], bytes] | None,
) -> Surroundings:
    """What a service passes on to its context, checked.

    Raises:
        ConfigurationError: An argument of another type, or a repository without a store of events.
    """
    if not isinstance(realm, str) or "\0" in realm or not realm.isprintable():
        raise ConfigurationError("a text that prints", path="realm")
    if not isinstance(sinks, (list, tuple)):
        raise ConfigurationError("a list of functions", path="sinks")
    dispatcher = None
    if sinks:
        from .events import EventDispatcher  # threads are for those who have sinks

        dispatcher = EventDispatcher(sinks)
    return Surroundings(
        events=adapt(repository, AsyncEventRepository) if store_events else None,
        emit=None if dispatcher is None else dispatcher.emit,
        realm=realm,
        now=_utc_now if now is None else now,
        random=os.urandom if random is None else random,
        dispatcher=dispatcher,
    )


def check_number(value: int, path: str, *, least: int, most: int) -> None:
    """Raises ConfigurationError for anything but a number from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigurationError(f"a number from {least} to {most}", path=path)


def check_tokens(tokens: object, *, needed: bool = False) -> None:
    """Raises ConfigurationError for anything but a `Tokens`, or None where none are needed."""
    if needed or tokens is not None:
        from ..tokens import Tokens  # only for those who have some

        if not isinstance(tokens, Tokens):
            raise ConfigurationError("a Tokens", path="tokens")


def _utc_now() -> datetime:
    return datetime.now(UTC)
