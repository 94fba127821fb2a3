"""One pass: what becomes of an event with each answer, in which order, and what it looks like on its way."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from passkeycore import Code
from passkeycore.engine.records import EventType
from passkeycore.engine.webhooks import DeliveryCounts, WebhookEndpoint, WebhookResponse, WebhookWorker, event_body
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.webhooks import Webhook, WebhookSecrets, verify_webhook, webhook_secret

from .kit import BEGUN, FAILED, LEASE_S, OK, SECRETS, Clock, Network, endpoint, event, no_jitter


class Stage:
    """A repository, a network and a worker between them; the clock stands."""

    def __init__(self, answer: Callable[[Webhook], WebhookResponse | Exception] = lambda _: OK) -> None:
        self.clock = Clock()
        self.network = Network(self.clock, answer)
        self.repository = MemoryRepository(outbox=True)
        self.endpoints: dict[str, WebhookEndpoint] = {"": endpoint()}
        self.worker = self.another()

    def another(self) -> WebhookWorker:
        return WebhookWorker(
            self.repository, self.endpoints, send=self.network, concurrency=3, now=self.clock, random=no_jitter
        )

    def add(self, *users: str | None, **changes: object) -> list[str]:
        events = [event(user, **changes) for user in users]
        for one in events:
            self.repository.add_event(one)
        return [one.id for one in events]

    def drain(self) -> DeliveryCounts:
        """Passes until nothing is due."""
        total = DeliveryCounts()
        while (counts := self.worker.run_once()).taken:
            total += counts
        return total


def test_an_event_is_delivered_once_and_signed() -> None:
    stage = Stage()
    (id,) = stage.add("ada")
    assert stage.worker.run_once() == DeliveryCounts(delivered=1)
    assert stage.worker.run_once() == DeliveryCounts()
    assert (stage.network.ids, stage.network.urls) == ([id], ["https://example.org/events"])
    assert stage.network.sent[0].sent_at == BEGUN.replace(microsecond=0)


def test_the_events_of_a_user_arrive_in_their_order_and_nobodys_are_one_more_user() -> None:
    stage = Stage()
    ids = stage.add("ada", "bob", None, "ada", "bob", None, "ada", "bob", None)
    assert stage.drain() == DeliveryCounts(delivered=9)
    for user in range(3):
        assert [id for id in stage.network.ids if id in ids[user::3]] == ids[user::3]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_done(status: int) -> None:
    stage = Stage(lambda _: WebhookResponse(status=status))
    stage.add("ada")
    assert stage.drain() == DeliveryCounts(delivered=1)
    stage.clock.go(10**7)
    assert stage.drain() == DeliveryCounts()


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 429, 500, 502, 503, 504])
def test_every_other_status_is_a_failure(status: int) -> None:
    stage = Stage(lambda _: WebhookResponse(status=status))
    stage.add("ada")
    assert stage.drain() == DeliveryCounts(postponed=1)


@pytest.mark.parametrize("error", [TimeoutError(), OSError("reset"), ValueError("what a function of yours raises")])
def test_what_sending_raises_is_a_failure(error: Exception) -> None:
    stage = Stage(lambda _: error)
    stage.add("ada")
    assert stage.drain() == DeliveryCounts(postponed=1)


def test_a_failure_is_tried_again_when_its_time_has_come_until_it_is_given_up() -> None:
    stage = Stage(lambda _: FAILED)
    (id,) = stage.add("ada")
    for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400):
        assert stage.drain() == DeliveryCounts(postponed=1)
        stage.clock.go(seconds - 1)
        assert stage.drain() == DeliveryCounts()
        stage.clock.go(1)
    assert stage.drain() == DeliveryCounts(given_up=1)
    assert stage.network.ids == [id] * 10
    stage.clock.go(10**8)
    assert stage.drain() == DeliveryCounts()
    assert stage.worker.totals == DeliveryCounts(postponed=9, given_up=1)


def test_every_attempt_has_its_own_timestamp_and_the_same_id_and_body() -> None:
    stage = Stage(lambda _: FAILED)
    stage.add("ada")
    stage.drain()
    stage.clock.go(5)
    stage.drain()
    first, second = stage.network.sent
    assert (first.id, first.body) == (second.id, second.body)
    assert second.sent_at - first.sent_at == timedelta(seconds=5)


def test_a_failure_keeps_the_later_events_of_that_user_waiting_and_nobody_else() -> None:
    down = True
    stage = Stage(lambda webhook: FAILED if down and json.loads(webhook.body)["data"]["user_id"] == "ada" else OK)
    ids = stage.add("ada", "bob", "ada", "bob", "ada", "bob")
    assert stage.drain() == DeliveryCounts(delivered=3, postponed=1)
    assert [id for id in stage.network.ids if id in ids[1::2]] == ids[1::2]
    down = False
    stage.clock.go(5)
    assert stage.drain() == DeliveryCounts(delivered=3)
    assert stage.network.ids[-3:] == ids[::2]


def test_what_is_given_up_keeps_nobody_waiting_and_can_be_revived() -> None:
    stage = Stage(lambda webhook: WebhookResponse(status=410) if webhook.id == ids[0] else OK)
    ids = stage.add("ada", "ada")
    assert stage.drain() == DeliveryCounts(given_up=1, delivered=1)
    stage.network.answer = lambda _: OK
    assert stage.repository.revive_deliveries(stage.clock()) == 1
    assert stage.drain() == DeliveryCounts(delivered=1)
    assert stage.network.ids == [ids[0], ids[1], ids[0]]


def test_retry_after_puts_the_next_attempt_off() -> None:
    stage = Stage(lambda _: WebhookResponse(status=429, retry_after="3600"))
    stage.add("ada")
    assert stage.drain() == DeliveryCounts(postponed=1)
    stage.clock.go(3599)
    assert stage.drain() == DeliveryCounts()
    stage.clock.go(1)
    assert stage.drain() == DeliveryCounts(postponed=1)


def test_without_an_endpoint_there_is_nothing_to_deliver() -> None:
    stage = Stage()
    stage.add("ada", "bob", realm="elsewhere")
    assert stage.drain() == DeliveryCounts(skipped=2)
    assert stage.network.sent == []


def test_types_that_an_endpoint_does_not_want_are_done() -> None:
    stage = Stage()
    stage.endpoints[""] = endpoint(types={EventType.USER_REMOVED})
    stage.add("ada")
    (id,) = stage.add("ada", type=EventType.USER_REMOVED)
    assert stage.drain() == DeliveryCounts(skipped=1, delivered=1)
    assert stage.network.ids == [id]


def test_realms_have_their_own_endpoints_and_secrets() -> None:
    theirs = WebhookSecrets([webhook_secret(bytes(range(32)))])
    clock, repository, bodies = Clock(), MemoryRepository(outbox=True), dict[str, bytes]()
    endpoints = {"a": endpoint("https://a.example/"), "b": endpoint("https://b.example/", secrets=theirs)}
    secrets = {"https://a.example/": SECRETS, "https://b.example/": theirs}

    def send(url: str, headers: object, body: bytes) -> WebhookResponse:
        bodies[url] = verify_webhook(secrets[url], headers, body, now=clock()).body  # type: ignore[arg-type]
        return OK

    for realm in endpoints:
        repository.add_event(event(realm=realm))
    assert WebhookWorker(repository, endpoints.get, send=send, now=clock).run_once() == DeliveryCounts(delivered=2)
    assert {url: json.loads(body)["data"]["realm"] for url, body in bodies.items()} == {
        "https://a.example/": "a",
        "https://b.example/": "b",
    }


def test_what_the_applications_function_raises_fails_that_event_alone() -> None:
    def find(realm: str) -> WebhookEndpoint:
        if realm == "broken":
            raise LookupError("the application's database is down")
        return endpoint()

    stage = Stage()
    stage.worker = WebhookWorker(stage.repository, find, send=stage.network, now=stage.clock, random=no_jitter)
    stage.add("ada", realm="broken")
    stage.add("ada")
    assert stage.drain() == DeliveryCounts(postponed=1, delivered=1)
    stage.clock.go(5)
    assert stage.drain() == DeliveryCounts(postponed=1)


def test_an_event_that_cannot_be_written_is_given_up_in_the_end_and_stops_nobody() -> None:
    stage = Stage()
    stage.add("ada", details={"name": "\ud800"})
    stage.add("bob", id="not an id")
    stage.add("cyd")
    assert stage.drain() == DeliveryCounts(postponed=2, delivered=1)
    for _ in range(9):
        stage.clock.go(90_000)
        stage.drain()
    assert stage.worker.totals == DeliveryCounts(delivered=1, postponed=18, given_up=2)


def test_no_more_is_taken_in_hand_than_is_sent_at_once() -> None:
    stage = Stage()
    stage.add(*map(str, range(7)))
    assert [stage.worker.run_once().taken for _ in range(4)] == [3, 3, 1, 0]


def test_what_is_in_hand_is_not_sent_by_anybody_else_until_its_lease_is_over() -> None:
    """A worker that took events, and does not come back, as in a process that was killed."""
    stage = Stage()
    (id,) = stage.add("ada")
    taken = stage.repository.take_deliveries(BEGUN, BEGUN + timedelta(seconds=LEASE_S), 3)
    stage.clock.go(LEASE_S - 1)
    assert stage.drain() == DeliveryCounts()
    stage.clock.go(1)
    assert stage.drain() == DeliveryCounts(delivered=1)
    assert stage.network.ids == [id]
    assert not stage.repository.finish_delivery(taken[0])


def test_a_worker_that_was_too_slow_changes_nothing_any_more() -> None:
    """While its request is under way the lease ends, and another worker delivers the event."""
    for late in (OK, FAILED):
        stage = Stage()
        other = stage.another()

        def answer(webhook: Webhook, stage: Stage = stage, other: WebhookWorker = other, late: object = late) -> object:
            stage.network.answer = lambda _: OK
            stage.clock.go(LEASE_S)
            assert other.run_once() == DeliveryCounts(delivered=1)
            return late

        stage.network.answer = answer  # type: ignore[assignment]
        stage.add("ada")
        assert stage.worker.run_once() == DeliveryCounts(lost=1)
        assert stage.drain() == DeliveryCounts()


def test_what_is_not_in_hand_any_more_is_not_sent() -> None:
    """The process slept between taking and sending."""
    stage = Stage()

    def find(_: str) -> WebhookEndpoint:
        stage.clock.go(LEASE_S)
        return endpoint()

    slow = WebhookWorker(stage.repository, find, send=stage.network, now=stage.clock)
    stage.add("ada")
    assert slow.run_once() == DeliveryCounts(lost=1)
    assert stage.network.sent == []
    assert stage.drain() == DeliveryCounts(delivered=1)


def test_the_lease_outlasts_the_timeout() -> None:
    for timeout_s in (0.1, 10.0, 300.0):
        worker = WebhookWorker(MemoryRepository(outbox=True), {}, timeout_s=timeout_s)
        assert worker.context.lease >= timedelta(seconds=timeout_s + 30)


def test_failures_are_logged_without_addresses_and_words_of_others(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(lambda webhook: OSError("to https://example.org/secret-path") if webhook.id == ids[0] else gone)
    gone = WebhookResponse(status=410)
    stage.endpoints["acme\n"] = endpoint("https://example.org/secret-path")
    ids = stage.add("ada", "bob", realm="acme\n")
    with caplog.at_level(logging.DEBUG, "passkeycore.webhooks"):
        stage.drain()
    # Both are sent at the same time, and end in any order.
    assert sorted((record.levelname, record.getMessage()) for record in caplog.records) == [
        ("ERROR", f"gave up event '{ids[1]}' of the realm 'acme\\n' after attempt 1: status 410"),
        ("WARNING", f"event '{ids[0]}' of the realm 'acme\\n' failed at attempt 1: OSError"),
    ]


# --- The body ---


def test_the_body_is_what_its_description_says_to_the_byte() -> None:
    full = event(
        "42",
        id="5f0c" * 8,
        type=EventType.AUTHENTICATION_FAILED,
        realm="acme",
        credential_id=b"\xfb\xff",
        code=Code.SIGNATURE_INVALID,
        details={"purpose": "pay", "name": "Zoë"},
    )
    assert event_body(full).decode() == (
        '{"type":"authentication.failed","timestamp":"2100-01-02T03:04:05.678901Z","data":{"id":"' + "5f0c" * 8 + '",'
        '"realm":"acme","user_id":"42","credential_id":"-_8","code":"signature_invalid",'
        '"details":{"name":"Zoë","purpose":"pay"}}}'
    )
    bare = event(None, id="5f0c" * 8, at=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    assert event_body(bare).decode() == (
        '{"type":"passkey.renamed","timestamp":"2026-01-01T00:00:00.000000Z","data":{"id":"' + "5f0c" * 8 + '",'
        '"realm":"","user_id":null,"credential_id":null,"code":null,"details":{}}}'
    )


def test_the_body_is_the_same_whatever_the_order_of_details_and_the_zone() -> None:
    at = BEGUN.astimezone(timezone(timedelta(hours=5, minutes=30)))
    one = event(id="0" * 32, details={"a": "1", "b": "2"})
    other = event(id="0" * 32, details={"b": "2", "a": "1"}, at=at)
    assert event_body(one) == event_body(other)
    assert datetime.fromisoformat(json.loads(event_body(one))["timestamp"]).astimezone(UTC) == BEGUN
