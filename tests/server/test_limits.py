"""How many requests are answered: windows that slide, who counts where, and what those hear who ask too often."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from passkeycore.config.server import Limits
from passkeycore.server import limits as module
from passkeycore.server.app import server_app
from passkeycore.server.http import json_answer
from passkeycore.server.limits import AddressLimits, RateLimits, admit
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
    one, other = (RateLimits(Limits(per_user="4/hour"), redis) for redis in (first, second))
    answers = [wait_s(loop, limits, "shared") for limits in (one, other, one, other)]
    assert answers == [0] * 4
    assert 0 < wait_s(loop, one, "shared") <= 3_600
    assert 0 < wait_s(loop, other, "shared") <= 3_600
    assert wait_s(loop, one, "somebody else") == 0

    async def kept() -> list[bytes]:
        return [key async for key in first.scan_iter("*passkeycore/user:*")]

    keys = loop.run(kept())
    assert keys
    assert not any(b"shared" in key for key in keys)
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
    assert statuses(server, "/ada", 4, Authorization="Basic x") == [200] * 4
    assert statuses(phone, "/ada", 2) == [200] * 2
    refused = server.get("/ada", headers={"Authorization": "Basic x"})
    assert (refused.text, refused.status_code) == ("room: 429", 429)
    assert int(refused.headers["retry-after"]) > 0


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
