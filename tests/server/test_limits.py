"""How many requests are answered: windows that slide, who counts where, and what those hear who ask too often."""

import asyncio
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from passkeycore.config.server import Limits
from passkeycore.server.app import server_app
from passkeycore.server.edge import limits as module
from passkeycore.server.edge.http import json_answer
from passkeycore.server.edge.limits import AddressLimits, RateLimits, admit
from tests.server.kit import API_KEYS, Client, Loop, TenantKit, tenant_kit
from tests.servers import redis_server

MANY = Limits(per_tenant="1000/minute", per_address="1000/minute", per_user="1000/minute")


class Seconds:
    def __init__(self) -> None:
        self.now = 6_000.0  # where a window begins

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def wait_s(loop: Loop, limits: RateLimits, user_id: str = "ada", tenant_id: str = "shop") -> int:
    """How long the user has to wait, in seconds, after one more request; 0: not at all."""
    try:
        loop.run(limits.check_user(tenant_id, user_id))
    except HTTPException as error:
        assert error.status_code == 429
        assert error.headers is not None
        return int(error.headers["Retry-After"])
    return 0


def test_windows_slide(loop: Loop) -> None:
    """No more than the limit in a window; what was counted in the one before fades, and who waits as told gets in."""
    seconds = Seconds()
    limits = RateLimits(Limits(per_user="10/minute"), monotonic=seconds)
    assert [wait_s(loop, limits) for _ in range(10)] == [0] * 10
    told = wait_s(loop, limits)
    assert 60 < told <= 67
    assert wait_s(loop, limits) == told  # to be refused costs nothing
    seconds.now += 59
    assert wait_s(loop, limits) > 0
    seconds.now = 6_000 + told
    assert wait_s(loop, limits) == 0
    assert 0 < wait_s(loop, limits) <= 7
    seconds.now = 6_090  # half of the first window has faded
    assert [wait_s(loop, limits) == 0 for _ in range(6)] == [True] * 4 + [False] * 2
    seconds.now = 6_000 + 180
    assert [wait_s(loop, limits) for _ in range(10)] == [0] * 10


def test_nobody_counts_for_somebody_else(loop: Loop) -> None:
    """Users, tenants and their users of the same name are apart, however their names are put together."""
    limits = RateLimits(Limits(per_user="1/minute"), monotonic=Seconds())
    for tenant_id, user_id in (("shop", "ada"), ("shop", "bob"), ("bank", "ada"), ("shopa", "da"), ("shop", "\ud800")):
        assert wait_s(loop, limits, user_id, tenant_id) == 0
        assert wait_s(loop, limits, user_id, tenant_id) > 0


def test_what_is_remembered_is_bounded(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KEYS", 3)
    limits = RateLimits(Limits(per_user="1/minute"), monotonic=Seconds())
    for user_id in ("a", "b", "c", "d"):
        assert wait_s(loop, limits, user_id) == 0
    assert [wait_s(loop, limits, user_id) > 0 for user_id in ("b", "c", "d", "a")] == [True, True, True, False]


def test_redis_counts_for_all_processes(loop: Loop, redis_url: str) -> None:
    """Two that share a Redis share the limit, and say when to come back."""
    first, second = (Redis.from_url(redis_url) for _ in range(2))
    one, other = (RateLimits(Limits(per_user="4/hour"), redis, secret=b"secret") for redis in (first, second))
    answers = [wait_s(loop, limits, "shared") for limits in (one, other, one, other)]
    assert answers == [0] * 4
    assert 0 < wait_s(loop, one, "shared") <= 3_600
    assert 0 < wait_s(loop, other, "shared") <= 3_600
    assert wait_s(loop, one, "somebody else") == 0

    loop.run(one.check_address("192.0.2.77", count=True))

    async def kept() -> list[bytes]:
        return [key async for key in first.scan_iter("*passkeycore/*")]

    keys = loop.run(kept())
    assert {kind for key in keys for kind in (b"/user:", b"/address:") if kind in key} == {b"/user:", b"/address:"}
    assert not any(word in key for key in keys for word in (b"shared", b"192.0.2"))
    unkeyed = hmac.digest(b"", b"192.0.2.77", "sha256").hex().encode()
    assert not any(unkeyed in key for key in keys)  # there are few enough addresses to try them all
    for redis in (first, second):
        loop.run(redis.aclose())


def test_without_redis_each_process_goes_on_counting(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    """A Redis that goes away neither lets everybody in nor keeps everybody out; it is logged once."""
    with redis_server() as url:
        redis = Redis.from_url(url)
        limits = RateLimits(Limits(per_user="2/hour"), redis, monotonic=Seconds())
        assert wait_s(loop, limits) == 0
    assert [wait_s(loop, limits) for _ in range(2)] == [0, 0]
    assert wait_s(loop, limits) > 0
    assert len(caplog.records) == 1
    loop.run(redis.aclose())


# --- Around the routes ---


async def of_ada(request: Request) -> Response:
    by_server = request.headers.get("authorization") is not None
    try:
        await admit(request, "shop", user_id="ada", by_server=by_server)
    except HTTPException as error:
        return PlainTextResponse(f"room: {error.status_code}", error.status_code, error.headers)
    return PlainTextResponse("ok")


async def anybody(request: Request) -> Response:
    return PlainTextResponse("ok")


def limited(limits: Limits) -> ASGIApp:
    app = Starlette(routes=[Route("/ada", of_ada), Route("/", anybody), Route("/health", anybody)])
    return AddressLimits(
        app,
        RateLimits(limits, monotonic=Seconds()),
        refused=lambda scope, error: json_answer({"error": scope["path"]}, error.status_code),
        trusted_proxies=("10.0.0.0/8",),
        free=["/health"],
    )


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TenantKit]:
    with tenant_kit(tmp_path) as kit:
        yield kit


def statuses(client: Client, path: str, count: int, **headers: str) -> list[int]:
    return [client.get(path, headers=headers).status_code for _ in range(count)]


def test_an_address_is_refused_in_the_words_of_the_path(kit: TenantKit) -> None:
    app = limited(Limits(per_address="2/minute"))
    client = kit.client(app)
    assert statuses(client, "/", 3) == [200, 200, 429]
    assert client.get("/ada").json() == {"error": "/ada"}
    assert statuses(client, "/health", 3) == [200] * 3
    assert statuses(kit.client(app, address="192.0.2.2"), "/", 1) == [200]


def test_an_address_behind_a_trusted_proxy_counts_for_itself(kit: TenantKit) -> None:
    client = kit.client(limited(Limits(per_address="1/minute")), address="10.0.0.1")
    for address, seen in (("198.51.100.1", [200, 429]), ("198.51.100.2", [200, 429])):
        assert statuses(client, "/", 2, **{"X-Forwarded-For": f"1.1.1.1, {address}"}) == seen


def test_addresses_of_one_ipv6_network_count_together(kit: TenantKit) -> None:
    app = limited(Limits(per_address="1/minute"))
    seen = [
        statuses(kit.client(app, address=address), "/", 1)
        for address in ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1")
    ]
    assert seen == [[200], [429], [200]]


def test_a_server_with_a_key_counts_for_its_tenant_alone(kit: TenantKit) -> None:
    """It speaks for many users from one address; and its own requests do not keep a user out."""
    app = limited(Limits(per_address="2/minute", per_user="2/minute", per_tenant="6/minute"))
    server, phone = kit.client(app), kit.client(app, address="192.0.2.2")
    assert statuses(server, "/ada", 6, Authorization="Basic x") == [200] * 6
    assert statuses(phone, "/ada", 2) == [200] * 2
    refused = server.get("/ada", headers={"Authorization": "Basic x"})
    assert (refused.text, refused.status_code) == ("room: 429", 429)
    assert int(refused.headers["retry-after"]) > 0


def test_clients_do_not_keep_the_servers_of_their_tenant_out(kit: TenantKit) -> None:
    """Nor the other way round: each has the tenant's limit for itself."""
    app = limited(Limits(per_tenant="2/minute"))
    server = {"Authorization": "Basic x"}
    assert statuses(kit.client(app), "/ada", 3) == [200, 200, 429]
    assert statuses(kit.client(app), "/ada", 3, **server) == [200, 200, 429]


class Gate:
    """Answers nobody before it is opened; with a key, only after that was shown."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = 0

    async def answer(self, request: Request) -> Response:
        if "authorization" in request.headers:
            await admit(request, "shop", by_server=True)
        self.waiting += 1
        await self.open.wait()
        return PlainTextResponse("ok")


def at_once(kit: TenantKit, limits: RateLimits, count: int, **headers: str) -> list[int]:
    """What so many are answered who have all come before the first one is."""
    gate = Gate()
    app = AddressLimits(
        Starlette(routes=[Route("/", gate.answer)]),
        limits,
        refused=lambda scope, error: json_answer({}, error.status_code),
    )
    client = kit.client(app).http

    async def ask() -> list[int]:
        asking = [asyncio.create_task(client.get("/", headers=headers)) for _ in range(count)]
        while gate.waiting + sum(task.done() for task in asking) < count:
            await asyncio.sleep(0.001)
        gate.open.set()
        return [(await task).status_code for task in asking]

    return kit.run(ask())


@pytest.mark.parametrize("place", ["in the process", "in Redis"])
def test_who_comes_many_times_at_once_gets_through_as_often_as_one_after_the_other(
    kit: TenantKit, redis_url: str, place: str
) -> None:
    """And who was refused then is told to come back soon, and does, where there is room."""
    redis = Redis.from_url(redis_url) if place == "in Redis" else None
    limits = RateLimits(Limits(per_address="5/minute"), redis, secret=place.encode())
    answers = at_once(kit, limits, 20)
    assert sorted(answers) == [200] * 5 + [429] * 15
    assert at_once(kit, limits, 1) == [429]
    if redis is not None:
        kit.run(redis.aclose())


def test_a_server_may_come_many_times_at_once(kit: TenantKit) -> None:
    """Once it has shown its key, it takes no place of its address any more."""
    limits = RateLimits(Limits(per_address="2/minute"), monotonic=Seconds())
    assert at_once(kit, limits, 2, Authorization="Basic x") == [200] * 2
    assert sum(status == 200 for status in at_once(kit, limits, 20, Authorization="Basic x")) == 20


def test_who_goes_away_without_an_answer_is_counted_all_the_same(kit: TenantKit) -> None:
    async def gone(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    limits = RateLimits(Limits(per_address="2/minute"), monotonic=Seconds())
    app = AddressLimits(gone, limits, refused=lambda scope, error: json_answer({}, error.status_code))
    assert statuses(kit.client(app), "/", 4) == [500, 500, 429, 429]
    assert not app._in_flight


def test_a_user_is_limited_from_whatever_address(kit: TenantKit) -> None:
    app = limited(Limits(per_user="2/minute"))
    answers = [kit.client(app, address=f"192.0.2.{number}").get("/ada").status_code for number in range(3)]
    assert answers == [200, 200, 429]


def test_a_room_that_is_mounted_alone_has_no_limits(kit: TenantKit) -> None:
    client = kit.client(Starlette(routes=[Route("/ada", of_ada)]))
    assert statuses(client, "/ada", 3) == [200] * 3


def test_a_socket_of_an_address_that_asks_too_often_is_closed(loop: Loop) -> None:
    """Before it is accepted."""
    app = limited(Limits(per_address="1/minute"))
    sent: list[dict[str, object]] = []

    async def opened() -> None:
        async def send(message: object) -> None:
            assert isinstance(message, dict)
            sent.append(message)

        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        scope = {"type": "websocket", "path": "/nothing", "headers": [], "client": ("192.0.2.1", 1)}
        await app(scope, receive, send)

    for _ in range(2):
        loop.run(opened())
    assert [message.get("code", 1000) for message in sent] == [1000, 1013]


def test_so_it_is_answered_in_the_dialects_form_where_the_server_around_can(tmp_path: Path) -> None:
    with tenant_kit(tmp_path, more='limits = { per_address = "1/minute" }') as kit:
        app = server_app(kit.tenants, kit.settings)
        sent: list[Message] = []

        async def opened() -> None:
            async def send(message: Message) -> None:
                sent.append(message)

            async def receive() -> Message:
                return {"type": "websocket.connect"}

            scope = {"type": "websocket", "path": "/v1/nothing", "headers": [], "client": ("192.0.2.1", 1)}
            await app({**scope, "query_string": b"", "extensions": {"websocket.http.response": {}}}, receive, send)

        for _ in range(2):
            kit.run(opened())
        start, body = sent[-2:]
        assert (start["type"], start["status"]) == ("websocket.http.response.start", 429)
        assert "errorCode" in json.loads(body["body"])
        assert b"retry-after" in dict(start["headers"])


def test_a_socket_that_is_refused_counts_for_its_address(tmp_path: Path) -> None:
    """Who guesses tokens by WebSockets is slowed down as anybody else."""
    with tenant_kit(tmp_path, more='limits = { per_address = "3/minute" }') as kit:
        app = server_app(kit.tenants, kit.settings)

        async def opened() -> int:
            sent: list[Message] = []

            async def send(message: Message) -> None:
                sent.append(message)

            async def receive() -> Message:
                return {"type": "websocket.connect"}

            client = ("192.0.2.1", 1)
            scope = {"type": "websocket", "path": "/nothing", "headers": [], "client": client, "query_string": b""}
            await app(scope, receive, send)
            return int(sent[-1].get("code", 1000))

        assert [kit.run(opened()) for _ in range(4)] == [1000, 1000, 1000, 1013]
        assert kit.client(app).get("/api/shop/session").status_code == 429


def test_the_whole_server_answers_in_the_dialects_form(tmp_path: Path) -> None:
    """Whoever guesses keys is slowed down, in the words that the SDKs of the path read; a good key goes on."""
    with tenant_kit(tmp_path, more='limits = { per_address = "3/minute" }') as kit:
        client = kit.client(server_app(kit.tenants, kit.settings))
        good = {"auth": (API_KEYS["shop"], "")}
        path = "/v1/users/ada/authenticators"
        assert [client.get(path, **good).status_code for _ in range(5)] == [200] * 5
        assert [client.get(path, auth=("wrong", "")).status_code for _ in range(4)] == [401] * 3 + [429]
        refused = client.get(path, auth=("wrong", ""))
        assert refused.json()["errorCode"] == "too_many_requests"
        assert refused.headers["content-type"] == "application/json"
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/nothing").json()["error"]["code"] == "too_many_requests"
        assert client.get("/health").status_code == 200


def test_who_has_no_address_is_one_address(loop: Loop) -> None:
    """Behind a Unix socket, or in a test: all of them together, rather than none."""
    limits = RateLimits(Limits(per_address="1/minute"), monotonic=Seconds())
    loop.run(limits.check_address("", count=True))
    with pytest.raises(HTTPException):
        loop.run(limits.check_address("", count=True))
