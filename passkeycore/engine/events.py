"""Where events go beside the event store: sinks, which a dispatcher calls from a thread of its own.

Sinks are best effort. They can neither break a ceremony nor slow it down: what they raise is logged and counted, and
what they are too slow for is dropped and counted. What must not be missed belongs into the event store.
"""

import inspect
import logging
import os
import re
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Final, TypeAlias

from ..errors import ConfigurationError, show
from ..webauthn.encoding import encode_base64url
from .records import Event

EventSink: TypeAlias = Callable[[Event], object]
"""Is given every event, one after the other, in a thread of the dispatcher's. What it returns is ignored."""

_LOGGER: Final = logging.getLogger("passkeycore.events")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:@+-]{1,200}")  # what needs no quotes to be taken for one value
_IDLE_S: Final = 60.0  # a thread without work ends, so that a dispatcher that nobody uses any more can be collected


class EventDispatcher:
    """Hands events to sinks, in the order they came in, through a bounded queue and one daemon thread.

    The thread starts with the first event. A forked process starts with an empty queue, with counters of its own and,
    when it needs it, with a thread of its own; what was queued before the fork is delivered by the parent.

    Args:
        sinks: Plain functions or other callables. Every event goes to each of them, in this order.
        capacity: How many events may wait. The default is some megabytes, and the events of some seconds under load.

    Raises:
        ConfigurationError: A sink is not callable, or is a coroutine function; `capacity` is less than 1.
    """

    def __init__(self, sinks: Iterable[EventSink], *, capacity: int = 10_000) -> None:
        self._sinks = tuple(sinks)
        for sink in self._sinks:
            if not callable(sink):
                raise ConfigurationError(f"a sink is {type(sink).__name__}, which is not callable", path="sinks")
            if inspect.iscoroutinefunction(sink):
                raise ConfigurationError(f"the sink {_name(sink)} is asynchronous", path="sinks")
        if capacity < 1:
            raise ConfigurationError("at least 1", path="capacity")
        self._capacity = capacity
        self._closed = False
        self._renew()
        _DISPATCHERS.add(self)

    def _renew(self) -> None:
        # Reentrant, as a signal handler may emit while the thread it interrupts is emitting.
        lock = threading.RLock()
        self._arrived = threading.Condition(lock)
        self._delivered = threading.Condition(lock)
        self._queue = deque[Event]()
        self._thread: threading.Thread | None = None
        self._accepted = self._finished = self._dropped = self._failed = 0
        self._reported: set[tuple[str, str]] = set()

    @property
    def dropped(self) -> int:
        """How many events no sink got, because the queue was full or the dispatcher closed. Of this process."""
        return self._dropped

    @property
    def failed(self) -> int:
        """How many times a sink raised, or returned an awaitable. Of this process."""
        return self._failed

    def emit(self, event: Event, /) -> None:
        """Queues `event`, or drops and counts it. Never waits for a sink, and never raises."""
        if not self._sinks:
            return
        with self._arrived:
            if self._closed or len(self._queue) >= self._capacity or not self._has_thread():
                self._dropped += 1
                return
            self._accepted += 1
            self._queue.append(event)
            self._arrived.notify()

    def flush(self, timeout_s: float) -> bool:
        """Waits until the sinks are done with everything that was emitted before; not to be called by a sink.

        Args:
            timeout_s: How long to wait at most, in seconds.

        Returns:
            False when the time was too short.
        """
        with self._delivered:
            accepted = self._accepted
            return self._delivered.wait_for(lambda: self._finished >= accepted, timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Waits as `flush` does, then stops: what still waits, and what is emitted from now on, is dropped.

        Args:
            timeout_s: How long to wait at most, in seconds. The default leaves a sink the time for a call over the
                network, and ends well before a process manager loses patience.

        Returns:
            False when the time was too short. A sink that is under way is then left to itself.
        """
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        ended = monotonic() + timeout_s
        done = self.flush(timeout_s)
        with self._arrived:
            left = len(self._queue)
            self._queue.clear()
            self._dropped += left
            self._accepted -= left
            thread = self._thread
        if done and thread is not None:
            thread.join(max(0.0, ended - monotonic()))
        return done

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="passkeycore-events", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending
                self._thread = None
                return False
        return True

    def _work(self) -> None:
        while (event := self._next()) is not None:
            for sink in self._sinks:
                self._deliver(event, sink)
            with self._delivered:
                self._finished += 1
                self._delivered.notify_all()

    def _next(self) -> Event | None:
        with self._arrived:
            self._arrived.wait_for(lambda: self._queue or self._closed, _IDLE_S)
            if self._queue:
                return self._queue.popleft()
            self._thread = None
            return None

    def _deliver(self, event: Event, sink: EventSink) -> None:
        try:
            answer = sink(event)
            if hasattr(answer, "__await__"):
                if inspect.iscoroutine(answer):
                    answer.close()  # or Python warns that nobody awaited it
                raise TypeError("a sink is a plain function: nobody awaits what it returns")
        except BaseException as error:  # noqa: BLE001 - also what would end the thread: the other sinks go on
            with self._delivered:
                self._failed += 1
            with suppress(BaseException):  # handlers and filters of logging are foreign code, too
                self._report(sink, error)

    def _report(self, sink: EventSink, error: BaseException) -> None:
        # Once of a kind: a sink that fails does so with every event.
        seen = (_name(sink), type(error).__qualname__)
        if seen in self._reported:
            return
        self._reported.add(seen)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        _LOGGER.error(
            "the sink %s failed: %s %s (%s:%s)", *seen, show(str(error)), os.path.basename(frame.filename), frame.lineno
        )


def logging_sink(logger: logging.Logger | None = None, level: int = logging.INFO) -> EventSink:
    """A sink that writes each event as one line.

    The line is safe to show, whatever names hold: text of users is escaped and cut. For structured logs the record
    has the attribute `passkey_event`: a JSON-ready dictionary with the members of the event that are set, as they are,
    the time in ISO 8601 and the credential id in base64url.

    Args:
        logger: Where to; None is the logger ``passkeycore.events``.
        level: Of all events, as their types and codes tell them apart.
    """
    target = _LOGGER if logger is None else logger

    def sink(event: Event) -> None:
        if target.isEnabledFor(level):
            members = _members(event)
            shown = " ".join(f"{name}={_shown(value)}" for name, value in members.items())
            target.log(level, "%s", shown, extra={"passkey_event": members})

    return sink


def _members(event: Event) -> dict[str, object]:
    credential_id = None if event.credential_id is None else encode_base64url(event.credential_id)
    members: dict[str, object] = {
        "type": event.type.value,
        "code": None if event.code is None else event.code.value,
        "realm": event.realm or None,
        "user_id": event.user_id,
        "credential_id": credential_id,
        "details": dict(event.details) or None,
        "at": event.at.isoformat(),
        "id": event.id,
    }
    return {name: value for name, value in members.items() if value is not None}


def _shown(value: object) -> str:
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else show(value)


def _name(sink: EventSink) -> str:
    return getattr(sink, "__qualname__", type(sink).__qualname__)


_DISPATCHERS: Final = weakref.WeakSet[EventDispatcher]()


def _renew_all() -> None:
    # Locks may have been held by threads that do not exist in a forked process.
    for dispatcher in _DISPATCHERS:
        dispatcher._renew()  # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):  # not where processes are only ever spawned
    os.register_at_fork(after_in_child=_renew_all)
