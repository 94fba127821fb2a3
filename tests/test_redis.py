"""What is specific to Redis: keys, lifetimes, one key an operation, and failures of the connection and the server."""

import asyncio
import re
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from passkeycore import AuthenticationState, Code, ConfigurationError, DecodeError
from passkeycore.engine.records import Ceremony
from passkeycore.engine.repository import (
    AsyncCeremonyRepository,
    AsyncSpentRepository,
    CeremonyRepository,
    SpentRepository,
)
from passkeycore.engine.run import awaited, immediate
from passkeycore.repositories import redis as repository_module
from passkeycore.repositories.redis import AsyncRedisCeremonies, RedisCeremonies
from tests import servers

T = TypeVar("T")

PAST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
MINUTE_MS = 60_000
PATIENCE_S = 30.0
NOWHERE = "redis://127.0.0.1:1"  # nothing listens there, and nothing connects before it is asked for


def ceremony(challenge: bytes, *, realm: str = "", expires_at: datetime = FUTURE) -> Ceremony:
    return Ceremony(
        state=AuthenticationState(
            challenge=challenge,
            rp_id="example.com",
            origins=("https://example.com",),
            created_at=expires_at - timedelta(minutes=5),
            expires_at=expires_at,
            realm=realm,
        )
    )


class Blocking:
    """`AsyncRedisCeremonies` with methods that wait, so that one test does for both colours."""

    def __init__(self, url_or_client: Any, *, prefix: str = "passkeycore:") -> None:
        self.runner = asyncio.Runner()
        try:
            self.asynchronous = AsyncRedisCeremonies(url_or_client, prefix=prefix)
        except ConfigurationError:
            self.runner.close()
            raise

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.asynchronous, name)
        return lambda *arguments: self.runner.run(method(*arguments))

    def close(self) -> None:
        self.runner.run(self.asynchronous.close())
        self.runner.close()


Either = RedisCeremonies | Blocking
Make = Callable[..., Either]
Admin = Any  # redis.Redis, whose methods have no types in every release


@pytest.fixture
def admin(redis_url: str) -> Iterator[Admin]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(params=[RedisCeremonies, Blocking], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def make(colour: Any, redis_url: str, admin: Admin) -> Iterator[Make]:
    """Makes repositories on a server that is empty."""
    made: list[Either] = []

    def make(url_or_client: Any = redis_url, **options: Any) -> Either:
        made.append(colour(url_or_client, **options))
        return made[-1]

    admin.flushdb()
    yield make
    for repository in made:
        repository.close()


def with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{options}"


def until(condition: Callable[[], T]) -> T:
    """What `condition` gives once it is true; a test that waits for it in vain fails."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail("waited in vain")
        time.sleep(0.005)
    return answer


@contextmanager
def writes_paused(admin: Admin) -> Generator[None]:
    admin.client_pause(int(PATIENCE_S * 1000), all=False)
    try:
        yield
    finally:
        admin.client_unpause()


def in_flight(admin: Admin, name: str, command: str) -> Callable[[], int]:
    """The id of the connection with this name, once it has sent `command`, which does not return."""

    def waiting() -> int:
        found = [each for each in admin.client_list() if each["name"] == name and each["cmd"].lower() == command]
        return int(found[0]["id"]) if found else 0

    return waiting


# --- keys


def test_a_ceremony_is_stored_under_realm_and_challenge(make: Make, admin: Admin) -> None:
    stored = ceremony(b"\xfb\xff", realm="a:b")
    assert make().add_ceremony(stored) is True
    assert admin.keys() == [b"passkeycore:ceremony:YTpi:-_8"]
    assert admin.get(b"passkeycore:ceremony:YTpi:-_8") == stored.to_bytes()


def test_what_is_spent_is_stored_under_realm_and_key_and_holds_nothing(make: Make, admin: Admin) -> None:
    assert make(prefix="shop:").spend("", b"k" * 32, FUTURE) is True
    (key,) = admin.keys()
    assert key == b"shop:spent::" + b"a2tr" * 10 + b"a2s"
    assert admin.get(key) == b""


def test_no_realm_and_challenge_share_a_key(make: Make) -> None:
    """Whatever either of them holds: separators, nothing at all, or the text of the other's key."""
    repository = make()
    challenges = [b"", b":", b"a", b"a:", b"YQ", b"a:YQ", b"\x00", b"\xff", b"ceremony::YQ"]
    realms = ["", ":", "a", "a:", "YQ", "a:YQ", "\x00", "ü", "{a}", "a b\r\n"]
    pairs = [(realm, challenge) for realm in realms for challenge in challenges]
    for realm, challenge in pairs:
        assert repository.add_ceremony(ceremony(challenge, realm=realm))
        assert repository.spend(realm, challenge, FUTURE)
    for realm, challenge in pairs:
        assert repository.take_ceremony(realm, challenge) == ceremony(challenge, realm=realm)


def test_prefixes_keep_applications_apart(make: Make) -> None:
    first, second = make(prefix="first:"), make(prefix="second:")
    assert first.add_ceremony(ceremony(b"c"))
    assert second.take_ceremony("", b"c") is None
    assert second.spend("", b"k", FUTURE)
    assert first.spend("", b"k", FUTURE)


def test_a_challenge_is_never_replaced(make: Make) -> None:
    repository = make()
    first = ceremony(b"c")
    assert repository.add_ceremony(first) is True
    assert repository.add_ceremony(ceremony(b"c", expires_at=PAST)) is False
    assert repository.take_ceremony("", b"c") == first
    assert repository.take_ceremony("", b"c") is None


# --- lifetimes


@pytest.mark.parametrize(
    ("remaining", "lifetime_ms"),
    [
        (timedelta(minutes=5), 6 * MINUTE_MS),
        (timedelta(microseconds=1), MINUTE_MS + 1),
        (timedelta(0), MINUTE_MS),
        (timedelta(days=-9999), MINUTE_MS),
    ],
)
def test_the_lifetime_is_what_remains_and_a_minute_rounded_up(remaining: timedelta, lifetime_ms: int) -> None:
    assert repository_module._lifetime_ms(FUTURE + remaining, FUTURE) == lifetime_ms


def test_what_has_expired_is_kept_for_a_minute_and_no_longer(make: Make, admin: Admin) -> None:
    """Redis deletes at once what it is given without a lifetime; then a key could be spent again and again."""
    repository = make()
    expired = ceremony(b"c", expires_at=PAST)
    assert repository.add_ceremony(expired)
    assert repository.spend("", b"k", PAST) is True
    assert repository.spend("", b"k", PAST) is False
    for key in admin.keys(b"*"):
        assert 0 < admin.pttl(key) <= MINUTE_MS
    assert repository.take_ceremony("", b"c") == expired


def test_what_has_not_expired_is_kept_until_it_does(make: Make, admin: Admin) -> None:
    repository = make()
    assert repository.add_ceremony(ceremony(b"c"))
    assert repository.spend("", b"k", FUTURE)
    for key in admin.keys(b"*"):
        ends_ms = admin.pttl(key)
        seconds, microseconds = admin.time()
        ends_ms += seconds * 1000 + microseconds // 1000
        assert FUTURE.timestamp() * 1000 + MINUTE_MS - 5 <= ends_ms <= FUTURE.timestamp() * 1000 + 60 * MINUTE_MS


def test_there_is_nothing_to_remove_as_redis_does_it(make: Make, admin: Admin) -> None:
    repository = make()
    assert repository.add_ceremony(ceremony(b"c", expires_at=PAST))
    assert repository.remove_expired(FUTURE) == 0
    assert admin.dbsize() == 1


# --- one winner, one key


def race(repository: Either, call: Callable[[Any], Any], callers: int = 16) -> list[Any]:
    """What this many callers of `call` get at the same time: threads, or tasks of one event loop."""
    if isinstance(repository, Blocking):
        asynchronous = repository.asynchronous

        async def together() -> list[Any]:
            return await asyncio.gather(*(call(asynchronous) for _ in range(callers)))

        return repository.runner.run(together())
    start, answers = threading.Barrier(callers), list[Any]()

    def one() -> None:
        start.wait()
        answers.append(call(repository))

    threads = [threading.Thread(target=one) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return answers


def spend(key: bytes, repository: Any) -> Any:
    return repository.spend("", key, FUTURE)


def test_of_many_callers_exactly_one_wins(make: Make) -> None:
    repository = make()
    stored = ceremony(b"c")
    for number in range(10):
        key = bytes([number]) * 32
        assert sorted(race(repository, lambda r: r.add_ceremony(stored))) == [False] * 15 + [True]
        assert sorted(race(repository, lambda r: r.take_ceremony("", b"c")), key=bool) == [None] * 15 + [stored]
        assert sorted(race(repository, partial(spend, key))) == [False] * 15 + [True]


Sent = list[tuple[Any, ...]]


class Recording(redis.Redis):
    """A client that remembers what it sent."""

    sent: Sent

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self.__dict__.setdefault("sent", []).append(args)
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


class AsyncRecording(redis.asyncio.Redis):
    """`Recording` for asyncio."""

    sent: Sent

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.__dict__.setdefault("sent", []).append(args)
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]


def test_every_operation_is_one_command_on_one_key(make: Make, colour: Any, redis_url: str, admin: Admin) -> None:
    """So a cluster knows where it belongs, and an access list needs two commands and one prefix."""
    client: Any = (Recording if colour is RedisCeremonies else AsyncRecording).from_url(redis_url)
    repository = make(client)
    operations: list[tuple[Callable[[], object], str | None]] = [
        (lambda: repository.add_ceremony(ceremony(b"c")), "SET"),
        (lambda: repository.take_ceremony("", b"c"), "GETDEL"),
        (lambda: repository.spend("", b"k", FUTURE), "SET"),
        (lambda: repository.remove_expired(FUTURE), None),
    ]
    for operation, command in operations:
        client.sent = []
        operation()
        assert [sent[0] for sent in client.sent] == ([command] if command else [])
        for sent in client.sent:
            keys = admin.execute_command("COMMAND GETKEYS", *sent)
            assert [key.encode() for key in keys] == [sent[1]]
            assert sent[1].startswith(b"passkeycore:")
    if colour is Blocking:
        assert isinstance(repository, Blocking)
        repository.runner.run(client.aclose())
    else:
        client.close()


@pytest.fixture(scope="module")
def cluster_port(redis_url: str) -> Iterator[int]:
    """A cluster of one server that has all slots. (`redis_url`: where there is no Redis, there is no cluster.)"""
    port = free_port()
    with servers.redis_server(port, cluster_enabled="yes"):
        with redis.Redis(port=port) as client:
            node: Admin = client
            node.execute_command("CLUSTER ADDSLOTS", *range(16384))
            until(lambda: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        yield port


def free_port() -> int:
    while True:
        with socket.socket() as candidate:
            candidate.bind(("127.0.0.1", 0))
            port = int(candidate.getsockname()[1])
        if port + 10_000 < 65_536:  # where the servers of a cluster talk
            return port


def test_it_works_on_a_cluster(cluster_port: int) -> None:
    with redis.RedisCluster(host="127.0.0.1", port=cluster_port) as client:
        repository = RedisCeremonies(client)
        for number in range(20):
            stored = ceremony(bytes([number]))
            assert repository.add_ceremony(stored)
            assert not repository.add_ceremony(stored)
            assert repository.take_ceremony("", bytes([number])) == stored
            assert repository.take_ceremony("", bytes([number])) is None
            assert repository.spend("", bytes([number]), FUTURE)
            assert not repository.spend("", bytes([number]), FUTURE)
    with (
        redis.RedisCluster(host="127.0.0.1", port=cluster_port, decode_responses=True) as decoding,
        pytest.raises(ConfigurationError, match="decode_responses"),
    ):
        RedisCeremonies(decoding)


def test_it_works_on_a_cluster_with_asyncio(cluster_port: int) -> None:
    async def use() -> None:
        async with redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster_port) as client:
            repository = AsyncRedisCeremonies(client)
            for number in range(20, 40):
                stored = ceremony(bytes([number]))
                assert await repository.add_ceremony(stored)
                assert not await repository.add_ceremony(stored)
                assert await repository.take_ceremony("", bytes([number])) == stored
                assert await repository.take_ceremony("", bytes([number])) is None
                assert await repository.spend("", bytes([number]), FUTURE)
                assert not await repository.spend("", bytes([number]), FUTURE)

    asyncio.run(use())


# --- failures


def test_a_server_that_is_gone_is_the_drivers_error(colour: Any, redis_url: str) -> None:
    with servers.redis_server() as url:
        repository: Either = colour(url)
        assert repository.add_ceremony(ceremony(b"c"))
        with redis.Redis.from_url(url) as client:
            client.shutdown(nosave=True)
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                repository.take_ceremony("", b"c")
            with pytest.raises(redis.ConnectionError):
                repository.spend("", b"k", FUTURE)
        repository.close()


def test_a_connection_that_was_closed_while_idle_is_replaced(make: Make, redis_url: str, admin: Admin) -> None:
    repository = make(with_options(redis_url, "client_name=idle"))
    stored = ceremony(b"c")
    assert repository.add_ceremony(stored)
    (idle,) = [each for each in admin.client_list() if each["name"] == "idle"]
    assert admin.client_kill_filter(_id=idle["id"]) == 1
    if isinstance(repository, Blocking):
        repository.runner.run(asyncio.sleep(0))  # as the loop of a server does all the time: so it learns of the end
    assert repository.take_ceremony("", b"c") == stored


def test_a_connection_lost_under_way_is_the_drivers_error_and_leaves_everything_as_it_was(
    redis_url: str, admin: Admin
) -> None:
    admin.flushdb()
    repository = RedisCeremonies(with_options(redis_url, "client_name=victim"))
    stored = ceremony(b"c")
    assert repository.add_ceremony(stored)
    errors: list[Exception] = []

    def call(operation: Callable[[], object]) -> None:
        try:
            operation()
        except redis.ConnectionError as error:
            errors.append(error)

    operations: dict[str, Callable[[], object]] = {
        "getdel": lambda: repository.take_ceremony("", b"c"),
        "set": lambda: repository.spend("", b"k", FUTURE),
    }
    for command, operation in operations.items():
        thread = threading.Thread(target=call, args=(operation,))
        with writes_paused(admin):
            thread.start()
            victim = until(in_flight(admin, "victim", command))
            assert admin.client_kill_filter(_id=victim) == 1
            thread.join(PATIENCE_S)
    assert len(errors) == 2
    assert repository.take_ceremony("", b"c") == stored
    assert repository.spend("", b"k", FUTURE) is True
    repository.close()


def test_a_server_that_does_not_answer_is_the_drivers_timeout(make: Make, redis_url: str, admin: Admin) -> None:
    """Options in the address win over ours, or this would take longer than anybody waits."""
    repository = make(with_options(redis_url, "socket_timeout=0.05"))
    with writes_paused(admin):
        for operation in (lambda: repository.take_ceremony("", b"c"), lambda: repository.spend("", b"k", FUTURE)):
            with pytest.raises(redis.TimeoutError):
                operation()
    assert repository.take_ceremony("", b"c") is None


def test_clients_that_are_made_here_neither_wait_for_ever_nor_repeat(colour: Any) -> None:
    repository = colour(NOWHERE)
    made = getattr(repository, "asynchronous", repository)._made
    options = made.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (5.0, 5.0)
    assert options["retry"]._retries == 0
    repository.close()


def test_a_full_memory_is_the_drivers_error_and_stores_nothing(make: Make, admin: Admin) -> None:
    repository = make()
    stored = ceremony(b"c")
    assert repository.add_ceremony(stored)
    admin.config_set("maxmemory-policy", "noeviction")
    admin.config_set("maxmemory", "1")
    try:
        with pytest.raises(redis.OutOfMemoryError):
            repository.add_ceremony(ceremony(b"d"))
        with pytest.raises(redis.OutOfMemoryError):
            repository.spend("", b"k", FUTURE)
        assert repository.take_ceremony("", b"c") == stored
    finally:
        admin.config_set("maxmemory", "0")
    assert admin.dbsize() == 0
    assert repository.spend("", b"k", FUTURE)


class Proxy:
    """Stands between clients and the server; loses a reply when told to, and the connection with it."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self.connect, self.lose = connect, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open: list[socket.socket] = [self.listener]
        self.threads: list[threading.Thread] = []
        self.start(self.serve)

    def start(self, target: Callable[..., None], *arguments: object) -> None:
        self.threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self.threads[-1].start()

    def serve(self) -> None:
        with suppress(OSError):  # the listener is shut
            while True:
                client, server = self.listener.accept()[0], self.connect()
                self.open += client, server
                self.start(self.pump, client, server, False)
                self.start(self.pump, server, client, True)

    def pump(self, source: socket.socket, target: socket.socket, replies: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if replies and self.lose.is_set():
                    self.lose.clear()
                    break
                target.sendall(data)
        for each in (source, target):
            shut(each)

    def close(self) -> None:
        for each in self.open:
            shut(each)
        for thread in self.threads:
            thread.join(PATIENCE_S)
        for each in self.open:
            each.close()


def shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(admin: Admin) -> Iterator[Proxy]:
    def connect() -> socket.socket:
        options = admin.connection_pool.connection_kwargs
        if "path" not in options:
            return socket.create_connection((options["host"], options["port"]))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(options["path"]))
        return server

    proxy = Proxy(connect)
    yield proxy
    proxy.close()


def test_when_a_reply_is_lost_the_clients_made_here_say_so(make: Make, admin: Admin, proxy: Proxy) -> None:
    """Once each: a command that was carried out is not sent again behind the caller's back."""
    repository = make(proxy.url)
    assert repository.add_ceremony(ceremony(b"c"))
    proxy.lose.set()
    with pytest.raises(redis.ConnectionError):
        repository.take_ceremony("", b"c")
    assert admin.dbsize() == 0
    assert repository.take_ceremony("", b"c") is None
    proxy.lose.set()
    with pytest.raises(redis.ConnectionError):
        repository.spend("", b"k", FUTURE)
    assert admin.dbsize() == 1
    assert repository.spend("", b"k", FUTURE) is False


def test_a_client_that_repeats_after_a_lost_reply_answers_no(admin: Admin, proxy: Proxy) -> None:
    """The caller has to start again, but nothing can count twice."""
    admin.flushdb()
    repeating: Any = {"retry": Retry(NoBackoff(), 3), "retry_on_error": [redis.ConnectionError]}
    with redis.Redis.from_url(proxy.url, **repeating) as client:
        repository = RedisCeremonies(client)
        assert repository.add_ceremony(ceremony(b"c"))
        proxy.lose.set()
        assert repository.take_ceremony("", b"c") is None
        proxy.lose.set()
        assert repository.spend("", b"k", FUTURE) is False
        proxy.lose.set()
        assert repository.add_ceremony(ceremony(b"d")) is False
        assert not proxy.lose.is_set()


def test_a_cancelled_task_leaves_no_reply_for_the_next_one(redis_url: str, admin: Admin) -> None:
    admin.flushdb()

    async def use() -> None:
        repository = AsyncRedisCeremonies(with_options(redis_url, "client_name=cancelled&max_connections=1"))
        for challenge in (b"mine", b"yours"):
            assert await repository.add_ceremony(ceremony(challenge))
        with writes_paused(admin):
            task = asyncio.create_task(repository.take_ceremony("", b"mine"))
            waiting = in_flight(admin, "cancelled", "getdel")
            while not waiting():
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await repository.take_ceremony("", b"yours") == ceremony(b"yours")
        await repository.close()

    asyncio.run(asyncio.wait_for(use(), PATIENCE_S))


# --- what is not ours


@pytest.mark.parametrize(
    "stored", [b"", b"nonsense", ceremony(b"other").to_bytes(), ceremony(b"c", realm="other").to_bytes()]
)
def test_what_is_not_the_ceremony_that_was_asked_for_is_a_decode_error(make: Make, admin: Admin, stored: bytes) -> None:
    repository = make()
    assert repository.add_ceremony(ceremony(b"c"))
    (key,) = admin.keys()
    admin.set(key, stored)
    with pytest.raises(DecodeError) as caught:
        repository.take_ceremony("", b"c")
    assert caught.value.code is Code.STATE_INVALID
    assert repository.take_ceremony("", b"c") is None


def test_a_key_of_another_kind_is_the_drivers_error(make: Make, admin: Admin) -> None:
    admin.rpush(b"passkeycore:ceremony::Yw", b"x")
    with pytest.raises(redis.ResponseError):
        make().take_ceremony("", b"c")


# --- configuration


def test_a_client_that_decodes_is_refused(colour: Any) -> None:
    kind: Any = redis.Redis if colour is RedisCeremonies else redis.asyncio.Redis
    for decoding in (kind(decode_responses=True), with_options(NOWHERE, "decode_responses=true")):
        with pytest.raises(ConfigurationError, match="decode_responses"):
            colour(decoding)


def test_a_client_whose_answers_are_none_is_refused_when_it_answers(admin: Admin, make: Make) -> None:
    """A pipeline only promises answers: what it returns must not be taken for a True."""
    with admin.pipeline() as pipeline:
        repository = RedisCeremonies(pipeline)
        for operation in (
            lambda: repository.spend("", b"k", FUTURE),
            lambda: repository.add_ceremony(ceremony(b"c")),
            lambda: repository.take_ceremony("", b"c"),
        ):
            with pytest.raises(ConfigurationError, match="answers with Pipeline"):
                operation()
    assert admin.dbsize() == 0


def test_a_client_without_callbacks_works(admin: Admin, redis_url: str) -> None:
    """Then SET answers OK instead of True."""
    admin.flushdb()
    with redis.Redis.from_url(redis_url) as client:
        client.response_callbacks.clear()
        assert RedisCeremonies(client).spend("", b"k", FUTURE) is True
        assert RedisCeremonies(client).spend("", b"k", FUTURE) is False


@pytest.mark.parametrize(
    "address", ["", "localhost", "http://user:hunter2@localhost", "redis://:hunter2@localhost:port"]
)
def test_a_wrong_address_is_refused_without_repeating_it(colour: Any, address: str) -> None:
    with pytest.raises(ConfigurationError, match="not an address") as caught:
        colour(address)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_anything_but_a_client_is_refused(colour: Any) -> None:
    for wrong in (None, b"redis://localhost", object(), redis.ConnectionPool()):
        with pytest.raises(ConfigurationError, match=r"redis.*client.Redis or redis.*RedisCluster"):
            colour(wrong)


def test_the_wrong_colour_is_refused_by_the_type_checkers_and_when_built() -> None:
    with pytest.raises(ConfigurationError, match=r"redis\.client\.Redis"):
        RedisCeremonies(redis.asyncio.Redis())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio\.client\.Redis"):
        AsyncRedisCeremonies(redis.Redis())  # type: ignore[arg-type]


def test_the_classes_are_what_the_protocols_ask_for_and_not_the_other_colour() -> None:
    synchronous, asynchronous = RedisCeremonies(NOWHERE), AsyncRedisCeremonies(NOWHERE)
    ceremonies: CeremonyRepository = synchronous
    spent: SpentRepository = synchronous
    async_ceremonies: AsyncCeremonyRepository = asynchronous
    async_spent: AsyncSpentRepository = asynchronous
    wrong: AsyncCeremonyRepository = synchronous  # type: ignore[assignment]
    also_wrong: SpentRepository = asynchronous  # type: ignore[assignment]
    taken: Callable[[str, bytes], Ceremony | None] = synchronous.take_ceremony
    promised: Callable[[str, bytes], Awaitable[Ceremony | None]] = asynchronous.take_ceremony
    not_bytes: Callable[[str, str], Ceremony | None] = synchronous.take_ceremony  # type: ignore[assignment]
    same: list[tuple[object, object]] = [(ceremonies, spent), (async_ceremonies, async_spent), (taken, not_bytes)]
    assert all(one == other for one, other in same)
    assert promised == asynchronous.take_ceremony
    with pytest.raises(ConfigurationError, match="use PasskeyService"):
        awaited(wrong, AsyncCeremonyRepository)  # type: ignore[type-abstract]
    with pytest.raises(ConfigurationError, match="use AsyncPasskeyService"):
        immediate(also_wrong, AsyncSpentRepository)  # type: ignore[type-abstract]


def test_closing_leaves_the_callers_client_open(admin: Admin, redis_url: str) -> None:
    repository = RedisCeremonies(with_options(redis_url, "client_name=ours"))
    repository.spend("", b"closing", FUTURE)
    repository.close()
    until(lambda: not [each for each in admin.client_list() if each["name"] == "ours"])
    with redis.Redis.from_url(with_options(redis_url, "client_name=theirs")) as client:
        RedisCeremonies(client).spend("", b"closing", FUTURE)
        RedisCeremonies(client).close()
        assert [each["name"] for each in admin.client_list() if re.match("ours|theirs", each["name"])] == ["theirs"]


@pytest.mark.parametrize("kind", [RedisCeremonies, AsyncRedisCeremonies])
def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    for module in ("redis", "redis.asyncio"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match='extra "redis"'):
        kind(NOWHERE)
