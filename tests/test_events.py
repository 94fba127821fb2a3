"""Sinks of events: they get everything in order, and whatever they do, they cannot break or slow down who emits."""

import functools
import gc
import inspect
import json
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from passkeycore import Code, ConfigurationError
from passkeycore.engine import events
from passkeycore.engine.events import EventDispatcher, EventSink, logging_sink
from passkeycore.engine.otel import otel_sink
from passkeycore.engine.records import Event, EventType

PATIENCE_S = 30.0  # how long a test waits for what happens at once, before it fails
EVIL = "mallory\n2026-01-01 INFO all is well \u202e\x1b[2J"


def event(number: int = 0, **members: Any) -> Event:
    known: dict[str, Any] = {"type": EventType.PASSKEY_RENAMED, "at": datetime(2026, 1, 1, tzinfo=UTC)}
    return Event(id=f"{number:032x}", **(known | members))


class Recorder:
    """A sink that keeps the ids it was given."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.threads: set[str] = set()

    def __call__(self, event: Event) -> None:
        self.seen.append(int(event.id, 16))
        self.threads.add(threading.current_thread().name)


class Gate:
    """A sink that blocks until it is opened, and tells that it was entered."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, event: Event) -> None:
        self.entered.set()
        self.opened.wait()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def dispatcher_of() -> Iterator[Callable[..., EventDispatcher]]:
    made: list[EventDispatcher] = []

    def make(*sinks: EventSink, **options: int) -> EventDispatcher:
        made.append(EventDispatcher(sinks, **options))
        return made[-1]

    yield make
    for dispatcher in made:
        dispatcher.close(PATIENCE_S)


Make = Callable[..., EventDispatcher]


# --- delivery


def test_every_sink_gets_every_event_in_order_in_a_thread_of_its_own(dispatcher_of: Make) -> None:
    first, second = Recorder(), Recorder()
    dispatcher = dispatcher_of(first, second)
    for number in range(1000):
        dispatcher.emit(event(number))
    assert dispatcher.flush(PATIENCE_S)
    assert first.seen == second.seen == list(range(1000))
    assert first.threads == second.threads == {"passkeycore-events"}
    assert (dispatcher.dropped, dispatcher.failed) == (0, 0)


def test_no_thread_starts_before_the_first_event_and_none_without_sinks(dispatcher_of: Make) -> None:
    dispatcher, idle = dispatcher_of(Recorder()), dispatcher_of()
    idle.emit(event())
    assert dispatcher._thread is idle._thread is None
    dispatcher.emit(event())
    assert dispatcher._thread is not None


def test_events_of_many_threads_all_arrive_once(dispatcher_of: Make) -> None:
    recorder = Recorder()
    dispatcher = dispatcher_of(recorder)
    start = threading.Barrier(8)

    def emit(offset: int) -> None:
        start.wait()
        for number in range(offset, offset + 200):
            dispatcher.emit(event(number))

    threads = [threading.Thread(target=emit, args=(200 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert dispatcher.flush(PATIENCE_S)
    assert sorted(recorder.seen) == list(range(1600))
    assert recorder.threads == {"passkeycore-events"}


def test_flush_waits_for_the_sink_and_not_only_for_the_queue(dispatcher_of: Make, gate: Gate) -> None:
    dispatcher = dispatcher_of(gate)
    dispatcher.emit(event())
    assert gate.entered.wait(PATIENCE_S)
    assert not dispatcher.flush(0.0)
    gate.opened.set()
    assert dispatcher.flush(PATIENCE_S)


def test_emitting_from_a_sink_is_delivered_after_it(dispatcher_of: Make) -> None:
    recorder, last = Recorder(), threading.Event()

    def echo(seen: Event) -> None:
        number = int(seen.id, 16)
        if number < 3:
            dispatcher.emit(event(number + 1))
        else:
            last.set()

    dispatcher = dispatcher_of(recorder, echo)
    dispatcher.emit(event(0))
    assert last.wait(PATIENCE_S)
    assert recorder.seen == [0, 1, 2, 3]


def test_emitting_while_the_same_thread_is_emitting_does_not_lock_up(dispatcher_of: Make) -> None:
    """As a signal handler does, or a finalizer: what it interrupts holds the lock."""
    recorder = Recorder()
    dispatcher = dispatcher_of(recorder)

    def interrupted() -> None:
        with dispatcher._arrived:
            dispatcher.emit(event(1))

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert dispatcher.flush(PATIENCE_S)
    assert recorder.seen == [1]


# --- sinks that misbehave


def test_a_sink_that_blocks_forever_costs_events_but_never_the_caller(dispatcher_of: Make, gate: Gate) -> None:
    recorder = Recorder()
    dispatcher = dispatcher_of(gate, recorder, capacity=10)
    dispatcher.emit(event(0))
    assert gate.entered.wait(PATIENCE_S)
    for number in range(1, 101):
        dispatcher.emit(event(number))  # would hang here
    assert dispatcher.dropped == 90
    gate.opened.set()
    assert dispatcher.flush(PATIENCE_S)
    assert recorder.seen == list(range(11))


class Vanish(BaseException):
    """What `except Exception` misses."""


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), Vanish(), KeyboardInterrupt()], ids=repr)
def test_a_sink_that_raises_is_counted_and_the_others_go_on(
    dispatcher_of: Make, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def broken(seen: Event) -> None:
        raise error

    recorder = Recorder()
    dispatcher = dispatcher_of(broken, recorder)
    for number in range(50):
        dispatcher.emit(event(number))
    assert dispatcher.flush(PATIENCE_S)
    assert recorder.seen == list(range(50))
    assert (dispatcher.failed, dispatcher.dropped) == (50, 0)
    assert [record.name for record in caplog.records] == ["passkeycore.events"]
    assert "broken" in caplog.text
    assert type(error).__name__ in caplog.text
    assert "test_events.py" in caplog.text


def test_failures_are_logged_once_for_each_sink_and_class(
    dispatcher_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(seen: Event) -> None:
        raise (ValueError, KeyError)[int(seen.id, 16) % 2]("x")

    dispatcher = dispatcher_of(fails, functools.partial(fails))
    for number in range(10):
        dispatcher.emit(event(number))
    assert dispatcher.flush(PATIENCE_S)
    assert dispatcher.failed == 20
    assert len(caplog.records) == 4


def test_what_a_sink_raises_is_escaped_in_the_log(dispatcher_of: Make, caplog: pytest.LogCaptureFixture) -> None:
    def broken(seen: Event) -> None:
        raise ValueError(EVIL)

    dispatcher = dispatcher_of(broken)
    dispatcher.emit(event())
    assert dispatcher.flush(PATIENCE_S)
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert record.exc_info is None


def test_an_error_that_cannot_be_logged_stops_nothing(dispatcher_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise SystemExit

    def broken(seen: Event) -> None:
        raise UnspeakableError

    recorder = Recorder()
    dispatcher = dispatcher_of(broken, recorder)
    for number in range(2):
        dispatcher.emit(event(number))
    assert dispatcher.flush(PATIENCE_S)
    assert (recorder.seen, dispatcher.failed) == ([0, 1], 2)


def test_an_awaitable_from_a_sink_is_an_error_and_its_coroutine_is_closed(
    dispatcher_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Closed, so that Python has nothing to warn of: one that is only dropped was never awaited."""
    made: list[Coroutine[Any, Any, None]] = []

    async def send(seen: Event) -> None:
        recorder(seen)

    def sink(seen: Event) -> None:
        made.append(send(seen))
        return made[-1]  # type: ignore[return-value]  # as a lambda does that calls an asynchronous function

    class Awaitable:
        def __await__(self) -> Iterator[None]:
            yield

    recorder = Recorder()
    dispatcher = dispatcher_of(sink, lambda seen: Awaitable())
    dispatcher.emit(event())
    assert dispatcher.flush(PATIENCE_S)
    assert [inspect.getcoroutinestate(coroutine) for coroutine in made] == [inspect.CORO_CLOSED]
    assert dispatcher.failed == 2
    assert recorder.seen == []
    assert all("nobody awaits" in record.getMessage() for record in caplog.records)


def test_wrong_sinks_and_capacities_are_refused_when_built() -> None:
    async def asynchronous(seen: Event) -> None: ...

    with pytest.raises(ConfigurationError, match="asynchronous is asynchronous"):
        EventDispatcher([asynchronous])
    with pytest.raises(ConfigurationError, match="int, which is not callable"):
        EventDispatcher([3])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="capacity"):
        EventDispatcher([], capacity=0)


# --- life and death


def test_close_delivers_what_waits_and_ends_the_thread(dispatcher_of: Make) -> None:
    recorder = Recorder()
    dispatcher = dispatcher_of(recorder)
    for number in range(100):
        dispatcher.emit(event(number))
    worker = dispatcher._thread
    assert worker is not None
    assert dispatcher.close(PATIENCE_S)
    assert recorder.seen == list(range(100))
    assert not worker.is_alive()
    dispatcher.emit(event(100))
    assert dispatcher.dropped == 1
    assert dispatcher.close(0.0)
    assert len(recorder.seen) == 100


def test_close_gives_up_on_a_sink_that_blocks_and_drops_what_waits(dispatcher_of: Make, gate: Gate) -> None:
    recorder = Recorder()
    dispatcher = dispatcher_of(gate, recorder)
    dispatcher.emit(event(0))
    assert gate.entered.wait(PATIENCE_S)
    worker = dispatcher._thread
    for number in range(1, 4):
        dispatcher.emit(event(number))
    assert not dispatcher.close(0.0)
    assert dispatcher.dropped == 3
    gate.opened.set()
    assert worker is not None
    worker.join(PATIENCE_S)
    assert not worker.is_alive()
    assert recorder.seen == [0]
    assert dispatcher.flush(0.0)


def test_a_thread_without_work_ends_and_the_next_event_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_IDLE_S", 0.0)
    recorder = Recorder()
    dispatcher = EventDispatcher([recorder])
    for number in range(2):
        dispatcher.emit(event(number))
        if (worker := dispatcher._thread) is not None:
            worker.join(PATIENCE_S)
        assert dispatcher._thread is None
    assert recorder.seen == [0, 1]
    gone = weakref.ref(dispatcher)
    worker = None
    del dispatcher
    gc.collect()
    assert gone() is None


def test_where_no_thread_can_start_events_are_dropped(dispatcher_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    recorder = Recorder()
    dispatcher = dispatcher_of(recorder)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        dispatcher.emit(event(0))
    assert dispatcher.dropped == 1
    dispatcher.emit(event(1))
    assert dispatcher.flush(PATIENCE_S)
    assert recorder.seen == [1]


FORK = """
import json, os, sys, threading
from tests.test_events import EventDispatcher, Gate, Recorder, event

gate, recorder = Gate(), Recorder()
dispatcher = EventDispatcher([gate, recorder], capacity=2)
for number in range(4):  # one with the sink, two waiting, one dropped
    dispatcher.emit(event(number))
    gate.entered.wait()
held, forked = threading.Event(), threading.Event()
def hold():
    with dispatcher._arrived:
        held.set()
        forked.wait()
holder = threading.Thread(target=hold)
holder.start()
held.wait()
reader, writer = os.pipe()
child = os.fork()
if not child:
    gate.opened.set()
    counted = dispatcher.dropped
    dispatcher.emit(event(7))
    flushed = dispatcher.flush(30)
    os.write(writer, json.dumps([flushed, counted, recorder.seen]).encode())
    os._exit(0)
forked.set()
print(os.read(reader, 1000).decode())
os.waitpid(child, 0)
gate.opened.set()
print(json.dumps([dispatcher.flush(30), dispatcher.dropped, recorder.seen]))
"""


def test_a_forked_process_has_its_own_thread_and_queue_also_when_the_lock_was_held() -> None:
    """What waits at the fork is delivered by the parent, and once."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=120, check=True
    )
    child, parent = map(json.loads, run.stdout.splitlines())
    assert child == [True, 0, [7]]
    assert parent == [True, 1, [0, 1, 2]]


# --- the sinks that come along


def test_the_logging_sink_writes_one_line_and_a_structured_member(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "passkeycore.events")
    logging_sink()(
        event(
            5,
            type=EventType.AUTHENTICATION_FAILED,
            code=Code.SIGNATURE_INVALID,
            realm="acme",
            user_id="alice@example.com",
            credential_id=b"\xfb\xff",
            details={"purpose": "sign in"},
        )
    )
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        "type=authentication.failed code=signature_invalid realm=acme user_id=alice@example.com credential_id=-_8"
        " details={'purpose': 'sign in'} at=2026-01-01T00:00:00+00:00 id=00000000000000000000000000000005"
    )
    assert json.loads(json.dumps(vars(record)["passkey_event"])) == {
        "type": "authentication.failed",
        "code": "signature_invalid",
        "realm": "acme",
        "user_id": "alice@example.com",
        "credential_id": "-_8",
        "details": {"purpose": "sign in"},
        "at": "2026-01-01T00:00:00+00:00",
        "id": "00000000000000000000000000000005",
    }


def test_text_of_users_cannot_forge_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "passkeycore.events")
    for text in (EVIL, "a code=none", "x" * 5000):
        logging_sink()(event(user_id=text, realm=text, details={text: text}))
    for record in caplog.records:
        line = record.getMessage()
        assert line.isprintable()
        assert line.isascii()
        assert " code=" not in line.replace("'a code=none'", "")
        assert len(line) < 1000


def test_logger_and_level_are_the_callers_choice(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("audit")
    sink = logging_sink(logger, logging.WARNING)
    sink(event())
    logger.setLevel(logging.ERROR)
    try:
        sink(event())
    finally:
        logger.setLevel(logging.NOTSET)
    assert [(record.name, record.levelno) for record in caplog.records] == [("audit", logging.WARNING)]


def points(reader: InMemoryMetricReader) -> dict[frozenset[tuple[str, Any]], int | float]:
    data = reader.get_metrics_data()
    assert data is not None
    ((scope,),) = [resource.scope_metrics for resource in data.resource_metrics]
    (metric,) = scope.metrics
    assert (scope.scope.name, metric.name, metric.unit) == ("passkeycore", "passkeycore.events", "{event}")
    counted: dict[frozenset[tuple[str, Any]], int | float] = {}
    for point in metric.data.data_points:
        assert isinstance(point, NumberDataPoint)
        counted[frozenset((point.attributes or {}).items())] = point.value
    return counted


def test_opentelemetry_counts_by_type_code_and_realm_and_never_by_user() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    sink = otel_sink(provider)
    for user in ("alice", "bob"):
        sink(event(user_id=user, credential_id=b"id", details={"purpose": "x"}))
    failure = event(type=EventType.AUTHENTICATION_FAILED, code=Code.SIGNATURE_INVALID, realm="acme", user_id="eve")
    sink(failure)
    assert points(reader) == {
        frozenset({("passkeycore.event.type", "passkey.renamed")}): 2,
        frozenset(
            {
                ("passkeycore.event.type", "authentication.failed"),
                ("error.type", "signature_invalid"),
                ("passkeycore.realm", "acme"),
            }
        ): 1,
    }
    provider.shutdown()


def test_without_a_provider_it_is_the_one_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", provider)
    otel_sink()(event())
    assert list(points(reader).values()) == [1]
    provider.shutdown()


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(ConfigurationError, match='extra "otel"'):
        otel_sink()
