"""Workers of both colours over real repositories and a real server: each event once, in order, whatever stops them."""

import asyncio
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

import pytest
import sqlalchemy

from passkeycore import ConfigurationError
from passkeycore.engine import PasskeyService
from passkeycore.engine.records import Event
from passkeycore.engine.webhooks import (
    AsyncHTTPSender,
    AsyncWebhookWorker,
    DeliveryCounts,
    WebhookEndpoint,
    WebhookResponse,
    WebhookWorker,
)
from passkeycore.engine.webhooks.records import Delivery
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository
from passkeycore.webhooks import verify_webhook
from tests.engine.kit import RP

from .kit import BEGUN, LEASE_S, OK, SECRETS, Clock, endpoint, event, no_jitter
from .receiver import PATIENCE_S, Handler, Receiver, receiving

pytest.importorskip("httpx", reason="the extra server is not installed: nothing is sent")

POLL_S = 0.02


class Failing(MemoryRepository):
    """As a database that is away now and then."""

    errors: list[Exception]

    def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        if self.errors:
            raise self.errors.pop()
        return super().take_deliveries(now, leased_until, limit)


class AsyncFailing:
    """The same for asyncio: `Failing`, awaited."""

    def __init__(self, failing: Failing) -> None:
        self._failing = failing

    async def add_event(self, event: Event, /) -> None:
        self._failing.add_event(event)

    async def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        return self._failing.take_deliveries(now, leased_until, limit)

    async def finish_delivery(self, delivery: Delivery, /) -> bool:
        return self._failing.finish_delivery(delivery)

    async def postpone_delivery(self, delivery: Delivery, due_at: datetime | None, /) -> bool:
        return self._failing.postpone_delivery(delivery, due_at)

    async def revive_deliveries(self, now: datetime, /) -> int:
        return self._failing.revive_deliveries(now)


class Crew(Protocol):
    """A repository, and workers over it, in one colour or the other."""

    def add(self, *events: Event) -> None:
        """Stores events."""

    def once(self, endpoint: WebhookEndpoint, *, at: datetime = BEGUN, **settings: Any) -> DeliveryCounts:
        """One pass of a new worker."""
        ...

    def run(self, endpoint: WebhookEndpoint, until: Callable[[], object], *, workers: int, at: datetime) -> None:
        """Runs so many workers at once, until `until` has returned, and waits for their end."""


class ThreadCrew:
    def __init__(self, repository: MemoryRepository | SQLRepository) -> None:
        self.repository = repository

    def add(self, *events: Event) -> None:
        for one in events:
            self.repository.add_event(one)

    def worker(self, endpoint: WebhookEndpoint, at: datetime, **settings: Any) -> WebhookWorker:
        return WebhookWorker(
            self.repository, {"": endpoint}, now=Clock(at), random=no_jitter, poll_s=POLL_S, **settings
        )

    def once(self, endpoint: WebhookEndpoint, *, at: datetime = BEGUN, **settings: Any) -> DeliveryCounts:
        with closing(self.worker(endpoint, at, **settings)) as worker:
            return worker.run_once()

    def run(self, endpoint: WebhookEndpoint, until: Callable[[], object], *, workers: int, at: datetime) -> None:
        stop = threading.Event()
        crew = [self.worker(endpoint, at) for _ in range(workers)]
        threads = [threading.Thread(target=worker.run, args=(stop,)) for worker in crew]
        for thread in threads:
            thread.start()
        try:
            until()
        finally:
            stop.set()
            for thread in threads:
                thread.join()


class TaskCrew:
    def __init__(
        self, repository: AsyncMemoryRepository | AsyncSQLRepository | AsyncFailing, runner: asyncio.Runner
    ) -> None:
        self.repository, self.runner = repository, runner

    def add(self, *events: Event) -> None:
        async def main() -> None:
            for one in events:
                await self.repository.add_event(one)

        self.runner.run(main())

    def worker(self, endpoint: WebhookEndpoint, at: datetime, **settings: Any) -> AsyncWebhookWorker:
        async def endpoint_of(realm: str) -> WebhookEndpoint | None:
            await asyncio.sleep(0)
            return endpoint if realm == "" else None

        return AsyncWebhookWorker(
            self.repository, endpoint_of, now=Clock(at), random=no_jitter, poll_s=POLL_S, **settings
        )

    def once(self, endpoint: WebhookEndpoint, *, at: datetime = BEGUN, **settings: Any) -> DeliveryCounts:
        async def main() -> DeliveryCounts:
            worker = self.worker(endpoint, at, **settings)
            try:
                return await worker.run_once()
            finally:
                await worker.aclose()

        return self.runner.run(main())

    def run(self, endpoint: WebhookEndpoint, until: Callable[[], object], *, workers: int, at: datetime) -> None:
        async def main() -> None:
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self.worker(endpoint, at).run(stop))
                try:
                    await asyncio.to_thread(until)
                finally:
                    stop.set()

        self.runner.run(main())


def _crew(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Iterator[Crew]:
    colour, storage = kind.split()
    url = f"///{tmp_path / 'passkeys.db'}"
    postgres = _own_database(request) if storage == "postgresql" else ""
    if colour == "threads":
        if storage == "memory":
            yield ThreadCrew(MemoryRepository(outbox=True))
            return
        address = f"sqlite:{url}" if storage == "sqlite" else postgres
        with closing(SQLRepository(address, create=True, outbox=True)) as repository:
            yield ThreadCrew(repository)
        return
    with asyncio.Runner() as runner:
        if storage == "memory":
            yield TaskCrew(AsyncMemoryRepository(outbox=True), runner)
            return
        address = f"sqlite+aiosqlite:{url}" if storage == "sqlite" else postgres
        stored = AsyncSQLRepository(address, create=True, outbox=True)
        yield TaskCrew(stored, runner)
        runner.run(stored.close())


def _own_database(request: pytest.FixtureRequest) -> str:
    """The address of a new database: an outbox is of all realms, and other tests leave theirs behind."""
    url = sqlalchemy.make_url(request.getfixturevalue("postgres"))
    name = f"webhooks_{token_hex(8)}"
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["threads memory", "threads sqlite", "asyncio memory", "asyncio sqlite"])
def crew(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crew]:
    """Workers of each colour over memory and SQLite."""
    yield from _crew(request, request.param, tmp_path)


@pytest.fixture(params=["threads sqlite", "asyncio sqlite"])
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crew]:
    """Workers of each colour over SQLite."""
    yield from _crew(request, request.param, tmp_path)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def users(count: int, each: int) -> list[Event]:
    """So many events of each of so many users, taking turns."""
    return [event(f"user-{number}") for _ in range(each) for number in range(count)]


def by_user(events: Sequence[Event]) -> dict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for one in events:
        found[str(one.user_id)].append(one.id)
    return dict(found)


def arrived(receiver: Receiver) -> dict[str, list[str]]:
    """The ids of what has arrived, each with a good signature, by user."""
    found = defaultdict[str, list[str]](list)
    for one in receiver.arrived:
        webhook = verify_webhook(SECRETS, one.headers, one.body, now=BEGUN, tolerance_s=10**6)
        data = json.loads(webhook.body)["data"]
        assert data["id"] == webhook.id
        found[data["user_id"]].append(webhook.id)
    return dict(found)


def test_several_workers_deliver_each_event_once_and_in_order_when_nothing_fails(
    crew: Crew, receiver: Receiver
) -> None:
    events = users(12, 5)
    crew.add(*events)
    crew.run(endpoint(receiver.url), lambda: receiver.wait_for(len(events)), workers=3, at=BEGUN)
    assert arrived(receiver) == by_user(events)
    assert crew.once(endpoint(receiver.url), at=BEGUN + timedelta(days=9)) == DeliveryCounts()


@pytest.mark.parametrize("colour", ["threads", "asyncio"])
def test_several_workers_share_postgresql_too(
    colour: str, request: pytest.FixtureRequest, receiver: Receiver, tmp_path: Path
) -> None:
    events = users(12, 5)
    for crew in _crew(request, f"{colour} postgresql", tmp_path):
        crew.add(*events)
        crew.run(endpoint(receiver.url), lambda: receiver.wait_for(len(events)), workers=3, at=BEGUN)
        assert crew.once(endpoint(receiver.url), at=BEGUN + timedelta(days=9)) == DeliveryCounts()
    assert arrived(receiver) == by_user(events)


def test_an_endpoint_that_fails_for_one_user_keeps_only_that_user_waiting(crew: Crew, receiver: Receiver) -> None:
    events = users(4, 3)
    mine = by_user(events)

    def answer(handler: Handler) -> None:
        handler.status(500 if handler.headers["webhook-id"] in mine["user-0"] else 200)

    receiver.answer = answer
    crew.add(*events)
    while crew.once(endpoint(receiver.url)).taken:
        pass
    assert arrived(receiver) == mine | {"user-0": mine["user-0"][:1]}
    receiver.answer = lambda handler: handler.status(200)
    while crew.once(endpoint(receiver.url), at=BEGUN + timedelta(seconds=5)).taken:
        pass
    assert arrived(receiver)["user-0"] == [mine["user-0"][0], *mine["user-0"]]


def test_events_of_different_users_are_sent_at_the_same_time(crew: Crew, receiver: Receiver) -> None:
    """Nobody is answered before everybody's has arrived: sent one after the other, they would run out of time."""
    everybody = threading.Barrier(4)

    def answer(handler: Handler) -> None:
        everybody.wait(20)
        handler.status(200)

    receiver.answer = answer
    crew.add(*users(4, 1))
    assert crew.once(endpoint(receiver.url)) == DeliveryCounts(delivered=4)


def test_an_endpoint_that_hangs_for_one_user_does_not_undo_what_others_have(crew: Crew, receiver: Receiver) -> None:
    hanging, other = users(2, 1)
    released = threading.Event()

    def answer(handler: Handler) -> None:
        if handler.headers["webhook-id"] == hanging.id:
            released.wait(30)
        handler.status(200)

    receiver.answer = answer
    crew.add(hanging, other)
    assert crew.once(endpoint(receiver.url), timeout_s=2.0) == DeliveryCounts(delivered=1, postponed=1)
    released.set()
    assert crew.once(endpoint(receiver.url), at=BEGUN + timedelta(seconds=5)) == DeliveryCounts(delivered=1)
    assert receiver.ids.count(other.id) == 1


def test_410_gives_up_at_once_and_429_waits_as_long_as_it_says(crew: Crew, receiver: Receiver) -> None:
    gone, busy = users(2, 1)

    def answer(handler: Handler) -> None:
        if handler.headers["webhook-id"] == gone.id:
            handler.status(410)
        else:
            handler.status(429, Retry_After="3600")

    receiver.answer = answer
    crew.add(gone, busy)
    assert crew.once(endpoint(receiver.url)) == DeliveryCounts(given_up=1, postponed=1)
    assert crew.once(endpoint(receiver.url), at=BEGUN + timedelta(seconds=3599)) == DeliveryCounts()
    assert crew.once(endpoint(receiver.url), at=BEGUN + timedelta(seconds=3600)) == DeliveryCounts(postponed=1)
    assert receiver.ids.count(gone.id) == 1


def test_stopping_finishes_what_is_under_way(crew: Crew, receiver: Receiver) -> None:
    """The endpoint answers only after the worker was told to stop; nobody gets the event again."""
    told = threading.Event()

    def answer(handler: Handler) -> None:
        assert told.wait(PATIENCE_S)
        handler.status(200)

    def until() -> None:
        receiver.wait_for(1)
        threading.Timer(0.2, told.set).start()  # after `stop`, which is set when this returns

    receiver.answer = answer
    crew.add(event())
    crew.run(endpoint(receiver.url), until, workers=1, at=BEGUN)
    assert crew.once(endpoint(receiver.url), at=BEGUN + timedelta(days=9)) == DeliveryCounts()
    assert len(receiver.arrived) == 1


def test_a_new_worker_goes_on_where_another_one_stopped(lasting: Crew, receiver: Receiver) -> None:
    receiver.answer = lambda handler: handler.status(503)
    first, second = event(), event()
    lasting.add(first, second)
    assert lasting.once(endpoint(receiver.url)) == DeliveryCounts(postponed=1)
    receiver.answer = lambda handler: handler.status(200)
    later = BEGUN + timedelta(seconds=5)
    lasting.run(endpoint(receiver.url), lambda: receiver.wait_for(3), workers=1, at=later)
    assert receiver.ids == [first.id, first.id, second.id]


def test_what_a_service_does_arrives(receiver: Receiver) -> None:
    repository = MemoryRepository(outbox=True)
    service = PasskeyService(RP, repository, store_events=True)
    service.get_or_create_user("ada", name="ada@example.org")
    service.disable_user("ada")
    service.enable_user("ada")
    with closing(WebhookWorker(repository, {"": endpoint(receiver.url)})) as worker:
        while worker.run_once().taken:
            pass
    assert [json.loads(one.body)["type"] for one in receiver.arrived] == ["user.disabled", "user.enabled"]


# --- What only one colour has, or what needs no server ---


@pytest.mark.parametrize("colour", ["threads", "asyncio"])
def test_a_worker_outlives_its_database(colour: str, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with asyncio.Runner() as runner:
        repository = Failing(outbox=True)
        crew: Crew = ThreadCrew(repository) if colour == "threads" else TaskCrew(AsyncFailing(repository), runner)
        repository.errors = [OSError("secret"), OSError("secret")]
        crew.add(event())
        with caplog.at_level(logging.DEBUG, "passkeycore.webhooks"):
            crew.run(endpoint(receiver.url), lambda: receiver.wait_for(1), workers=1, at=BEGUN)
    assert len(caplog.records) == 2
    assert all("OSError" in record.getMessage() for record in caplog.records)
    assert "secret" not in caplog.text


def test_what_the_repository_raises_passes_through_a_single_pass() -> None:
    repository = Failing(outbox=True)
    repository.errors = [OSError("down")]
    with pytest.raises(OSError, match="down"):
        WebhookWorker(repository, {}).run_once()


def test_a_worker_that_is_set_up_wrongly_does_not_run() -> None:
    repository = Failing(outbox=True)
    repository.errors = [ConfigurationError("asynchronous after all")] * 9
    with pytest.raises(ConfigurationError):
        WebhookWorker(repository, {}).run(threading.Event())


def test_a_sender_of_yours_is_cut_off_in_asyncio() -> None:
    async def send(*_: object) -> WebhookResponse:
        await asyncio.sleep(5)
        return OK

    async def main() -> DeliveryCounts:
        repository = AsyncMemoryRepository(outbox=True)
        await repository.add_event(event())
        return await AsyncWebhookWorker(repository, {"": endpoint()}, send=send, timeout_s=0.05).run_once()

    assert asyncio.run(main()) == DeliveryCounts(postponed=1)


def test_a_cancelled_worker_cuts_off_what_is_under_way_and_another_one_delivers_it() -> None:
    async def main() -> None:
        begun, cut = asyncio.Event(), asyncio.Event()

        async def hang(*_: object) -> WebhookResponse:
            begun.set()
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                cut.set()
                raise
            return OK

        async def answer(*_: object) -> WebhookResponse:
            return OK

        repository, clock = AsyncMemoryRepository(outbox=True), Clock()
        await repository.add_event(event())
        task = asyncio.create_task(
            AsyncWebhookWorker(repository, {"": endpoint()}, send=hang, now=clock).run(asyncio.Event())
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(cut.wait(), PATIENCE_S)
        other = AsyncWebhookWorker(repository, {"": endpoint()}, send=answer, now=clock)
        clock.go(LEASE_S - 1)
        assert await other.run_once() == DeliveryCounts()
        clock.go(1)
        assert await other.run_once() == DeliveryCounts(delivered=1)

    asyncio.run(main())


def test_a_worker_that_stops_before_it_begins_takes_nothing() -> None:
    repository, stop = MemoryRepository(outbox=True), threading.Event()
    repository.add_event(event())
    stop.set()
    worker = WebhookWorker(repository, {"": endpoint()})
    worker.run(stop)
    assert worker.totals == DeliveryCounts()


def test_repositories_of_the_other_colour_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="asynchronous"):
        WebhookWorker(AsyncMemoryRepository(outbox=True), {})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="synchronous"):
        AsyncWebhookWorker(MemoryRepository(outbox=True), {})  # type: ignore[arg-type]


def test_functions_of_the_other_colour_are_refused() -> None:
    async def later(*_: object) -> None: ...

    repository = MemoryRepository(outbox=True)
    wrong: list[dict[str, Any]] = [
        {"endpoints": {}, "send": later},
        {"endpoints": {}, "send": AsyncHTTPSender()},
        {"send": print, "endpoints": later},
    ]
    for settings in wrong:
        with pytest.raises(ConfigurationError, match="AsyncWebhookWorker") as caught:
            WebhookWorker(repository, **settings)
        assert caught.value.path == list(settings)[-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", 0),
        ("concurrency", 101),
        ("concurrency", 1.5),
        ("poll_s", 0),
        ("poll_s", float("nan")),
        ("poll_s", "1"),
        ("timeout_s", 0),
        ("timeout_s", 301),
        ("endpoints", None),
        ("endpoints", [endpoint()]),
    ],
)
def test_settings_out_of_range(name: str, value: Any) -> None:
    settings: dict[str, Any] = {"endpoints": {}, "send": print, name: value}
    with pytest.raises(ConfigurationError) as caught:
        WebhookWorker(MemoryRepository(outbox=True), **settings)
    assert caught.value.path == name
    with pytest.raises(ConfigurationError) as caught:
        AsyncWebhookWorker(AsyncMemoryRepository(outbox=True), **settings)
    assert caught.value.path == name


@pytest.mark.parametrize("kept", [True, False])
def test_a_repository_that_was_built_without_an_outbox_is_refused(kept: bool, tmp_path: Path) -> None:
    """Nothing would ever wait in it, and a worker would say nothing of that."""
    database = tmp_path / "passkeys.db"
    built: list[tuple[type, object]] = [
        (WebhookWorker, MemoryRepository(outbox=kept)),
        (AsyncWebhookWorker, AsyncMemoryRepository(outbox=kept)),
        (WebhookWorker, SQLRepository(f"sqlite:///{database}", outbox=kept)),
        (AsyncWebhookWorker, AsyncSQLRepository(f"sqlite+aiosqlite:///{database}", outbox=kept)),
    ]
    for worker, repository in built:
        with nullcontext() if kept else pytest.raises(ConfigurationError) as caught:
            worker(repository, {"": endpoint()}, send=_never)
        assert kept or (caught is not None and caught.value.path == "repository")


def _never(*asked: object) -> WebhookResponse:
    raise NotImplementedError
