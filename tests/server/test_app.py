"""The whole server: health and readiness, well-known files, errors in the words of each path, and what runs beside."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

from passkeycore import ConfigurationError
from passkeycore.config import parse
from passkeycore.engine.actions.tracking import ClientInfo
from passkeycore.engine.records import EventType
from passkeycore.engine.tenancy.records import Overrides
from passkeycore.repositories.memory import AsyncMemoryRepository
from passkeycore.server import PasskeyApp, well_known_routes
from passkeycore.server.app import LastResort, server_app
from passkeycore.server.background import lifespan
from passkeycore.server.edge.http import json_answer
from passkeycore.server.tenancy.storage import Storage
from passkeycore.server.webhooks import Webhooks
from passkeycore.webhooks import WebhookSecrets, verify_webhook, webhook_secret
from tests.server.kit import API_KEYS, Client, TenantKit, tenant_kit
from tests.servers import redis_server
from tests.webhooks.receiver import receiving

ANDROID = '[{ package_name = "com.example.shop", sha256_fingerprints = ["' + "AB" * 32 + '"] }]'


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TenantKit]:
    with tenant_kit(tmp_path, shop_more=f"android_apps = {ANDROID}") as kit:
        yield kit


@pytest.fixture
def client(kit: TenantKit) -> Client:
    return kit.client(server_app(kit.tenants, kit.settings))


def test_the_server_is_alive_and_ready(client: Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}


def test_without_its_database_the_server_is_alive_but_not_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that needs it is answered in the dialect's form; the log says what kind of error, and no more."""
    with tenant_kit(f"sqlite+aiosqlite:///{tmp_path / 'gone' / 'passkeycore.db'}") as kit:
        client = kit.client(server_app(kit.tenants, kit.settings))
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})
        assert client.get("/health").status_code == 200
        caplog.clear()
        failed = client.get("/v1/users/ada/authenticators", auth=(API_KEYS["shop"], ""))
        assert (failed.status_code, failed.headers["content-type"]) == (500, "application/json")
        assert {*failed.json()} >= {"error", "errorCode", "errorDescription"}
        (record,) = caplog.records
        assert failed.headers["x-request-id"] in record.getMessage()
        assert "OperationalError" in record.getMessage()
        assert "SELECT" not in caplog.text
        assert record.exc_info is None


def test_a_database_that_comes_back_is_found(tmp_path: Path) -> None:
    with tenant_kit(f"sqlite+aiosqlite:///{tmp_path / 'gone' / 'passkeycore.db'}") as kit:
        assert not kit.run(kit.storage.answers())
        (tmp_path / "gone").mkdir()
        client = kit.client(server_app(kit.tenants, kit.settings))
        assert client.get("/v1/users/ada/authenticators", auth=(API_KEYS["shop"], "")).status_code == 200


def test_without_its_redis_the_server_is_not_ready(tmp_path: Path) -> None:
    with redis_server() as url, tenant_kit(tmp_path, more=f'redis = "{url}"') as kit:
        assert kit.run(kit.storage.answers())
    with tenant_kit(tmp_path, more=f'redis = "{url}"') as kit:
        assert kit.client(server_app(kit.tenants, kit.settings)).get("/ready").status_code == 503


def test_many_who_ask_for_readiness_ask_the_database_once(kit: TenantKit) -> None:
    """For a second, so that nobody makes work by asking."""

    async def many() -> int:
        before = kit.storage._asked
        await asyncio.gather(*(kit.storage.answers() for _ in range(50)))
        asked = kit.storage._asked
        await kit.storage.answers()
        return int(before is None) + int(asked is kit.storage._asked)

    assert kit.run(many()) == 2


def in_our_words(answer: httpx.Response) -> bool:
    return {*answer.json()["error"]} >= {"code", "message"}


def in_theirs(answer: httpx.Response) -> bool:
    return {*answer.json()} == {"error", "errorCode", "errorDescription"}


@pytest.mark.parametrize(
    ("path", "is_told"),
    [
        ("/nothing", in_our_words),
        ("/", in_our_words),
        ("/v10", in_our_words),
        ("/api/shop/nothing", in_our_words),
        ("/v1", in_theirs),
        ("/v1/nothing", in_theirs),
        ("/run-command/nothing", lambda answer: answer.json()["type"] == "UnexpectedError"),
        ("/challenge/api/nothing", in_our_words),
        ("/challenge/nothing", lambda answer: answer.text.startswith("<!doctype html>")),
    ],
)
def test_what_is_not_there_is_told_in_the_words_of_the_path(
    client: Client, path: str, is_told: Callable[[httpx.Response], bool]
) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = client.request(method, path)
        assert 400 <= answer.status_code < 500
        assert is_told(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/shop/openapi.json", 200),
        ("GET", "/v1/users", 401),
        ("POST", "/run-command", 401),
        ("GET", "/challenge", 401),
    ],
)
def test_every_room_is_there(client: Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-request-id"]


def test_pages_of_a_tenant_may_call_what_is_for_clients(client: Client) -> None:
    """From the tenant's own origins, and not what is for servers."""
    for path, is_granted in (("/v1/client/challenge", True), ("/api/shop/session", True), ("/v1/validate", False)):
        for origin in ("https://shop.example.com", "https://evil.example"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = client.request("OPTIONS", path, headers=headers)
            assert ("access-control-allow-origin" in answer.headers) == (is_granted and "evil" not in origin)


def test_a_wrong_method_is_told_in_json(client: Client) -> None:
    answer = client.post("/health")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/json")
    assert "GET" in answer.headers["allow"]


def test_no_redirect_repeats_a_path(client: Client) -> None:
    assert client.get("/health/").status_code == 404


def test_the_server_can_be_below_a_path(tmp_path: Path) -> None:
    """Rooms are at the path of the base URL; health and well-known files are at the root of the host."""
    with tenant_kit(tmp_path) as kit:
        text = kit.settings.base_url
        settings = type(kit.settings)(
            **{name: getattr(kit.settings, name) for name in kit.settings.__struct_fields__ if name != "base_url"},
            base_url=f"{text}/auth/passkeys",
        )
        client = kit.client(server_app(kit.tenants, settings))
        path, auth = "/v1/users/ada/authenticators", (API_KEYS["shop"], "")
        assert client.get(f"/auth/passkeys{path}", auth=auth).status_code == 200
        assert in_our_words(client.get(path, auth=auth))
        assert "errorCode" in client.get("/auth/passkeys/v1/nothing").json()
        assert client.get("/health").status_code == 200
        page = client.get("/auth/passkeys/challenge/nothing").text
        assert "/auth/passkeys/challenge/static/" in page


def test_an_error_of_ours_is_logged_without_its_words(kit: TenantKit, caplog: pytest.LogCaptureFixture) -> None:
    async def failing(request: Request) -> Response:
        raise RuntimeError("a secret that a driver repeats")

    app = LastResort(Starlette(routes=[Route("/", failing)]), told)
    with caplog.at_level(logging.ERROR):
        assert kit.client(app).get("/").status_code == 500
    (record,) = caplog.records
    assert "RuntimeError (test_app.py:" in record.getMessage()
    assert "secret" not in caplog.text


def told(scope: Scope, error: HTTPException) -> Response:
    return json_answer({"error": scope["path"]}, error.status_code)


def test_whatever_fails_before_it_has_answered_is_answered(kit: TenantKit, caplog: pytest.LogCaptureFixture) -> None:
    """And a connection that has become a WebSocket is closed; nothing reaches the server that we run in."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a secret that a driver repeats")

    answer = kit.client(LastResort(failing, told)).get("/client")
    assert (answer.status_code, answer.json()) == (500, {"error": "/client"})
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    kit.run(LastResort(failing, told)({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1011}]
    assert "secret" not in caplog.text


def test_without_its_database_a_page_of_another_origin_is_answered_in_the_dialects_form(tmp_path: Path) -> None:
    """Nobody knows whose origin it is then, so that nothing is granted."""
    with tenant_kit(f"sqlite+aiosqlite:///{tmp_path / 'gone' / 'passkeycore.db'}") as kit:
        client = kit.client(server_app(kit.tenants, kit.settings))
        origin = {"Origin": "https://shop.example.com"}
        for path, is_told in (("/api/shop/session", in_our_words), ("/v1/client/user-authenticators", in_theirs)):
            failed = client.get(path, headers=origin | {"Authorization": "Bearer none"})
            assert failed.headers["content-type"] == "application/json"
            assert is_told(failed)
            assert "access-control-allow-origin" not in failed.headers
            preflight = client.request("OPTIONS", path, headers=origin | {"Access-Control-Request-Method": "POST"})
            assert preflight.status_code == 204


def test_pages_may_read_that_they_ask_too_often_and_preflights_count(tmp_path: Path) -> None:
    with tenant_kit(tmp_path, more='limits = { per_address = "2/minute" }') as kit:
        client = kit.client(server_app(kit.tenants, kit.settings))
        origin = {"Origin": "https://shop.example.com"}
        preflight = origin | {"Access-Control-Request-Method": "POST"}
        path = "/api/shop/session"
        assert [client.request("OPTIONS", path, headers=preflight).status_code for _ in range(3)] == [204, 204, 429]
        refused = client.get(path, headers=origin)
        assert refused.status_code == 429
        assert refused.headers["access-control-allow-origin"] == origin["Origin"]
        assert "access-control-allow-origin" not in client.get(path, headers={"Origin": "https://evil.example"}).headers


def test_browsers_come_by_tls_alone_where_the_server_is_reached_by_it(tmp_path: Path, client: Client) -> None:
    assert client.get("/health").headers["strict-transport-security"] == "max-age=31536000"
    with tenant_kit(f"sqlite+aiosqlite:///{tmp_path / 'local.db'}", port=8_000) as kit:
        local = kit.client(server_app(kit.tenants, kit.settings))
        assert "strict-transport-security" not in local.get("/health").headers


def test_a_tenant_that_is_not_served_is_named_where_readiness_is_asked_for(kit: TenantKit, client: Client) -> None:
    async def spoil() -> None:
        values = Overrides(values=b'{"nothing": 1}', updated_at=kit.clock.time, revision=1, realm="shop")
        context = kit.tenants._tenants["shop"].tenant.passkeys.context
        event = context.event(EventType.SETTINGS_CHANGED, keys="nothing", revision="1")
        assert await kit.storage.repository.replace_overrides(values, context.stored(event))

    kit.run(spoil())
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "tenants": ["shop"]})
    assert client.get("/health").status_code == 200


# --- Well-known files ---


def test_each_tenant_has_its_well_known_files_at_its_rp_id(kit: TenantKit, client: Client) -> None:
    shop = client.get("/.well-known/assetlinks.json", headers={"Host": "shop.example.com"})
    assert shop.json()[0]["target"]["package_name"] == "com.example.shop"
    assert (shop.headers["content-type"], shop.headers["cache-control"]) == ("application/json", "public, max-age=300")
    for host in ("bank.example.com", "auth.example.com", "nothing", "www.shop.example.com"):
        assert client.get("/.well-known/assetlinks.json", headers={"Host": host}).status_code == 404
    assert client.get("/.well-known/anything", headers={"Host": "shop.example.com"}).status_code == 404


def test_well_known_files_follow_what_an_operator_changes(kit: TenantKit, client: Client) -> None:
    change = {"related_origins": ["https://shop.example.org"], "android_apps": []}
    kit.run(kit.tenants.change("shop", change, revision=0))
    host = {"Host": "shop.example.com:443"}
    assert client.get("/.well-known/webauthn", headers=host).json() == {"origins": ["https://shop.example.org"]}
    assert client.get("/.well-known/assetlinks.json", headers=host).status_code == 404


def test_a_host_has_routes_for_the_files_of_its_configuration(kit: TenantKit) -> None:
    config = parse('hostname = "example.com"\nios_apps = ["ABCDE12345.com.example.app"]', name="x", format="toml")
    client = kit.client(Starlette(routes=well_known_routes(config)))
    found = client.get("/.well-known/apple-app-site-association")
    assert found.json() == {"webcredentials": {"apps": ["ABCDE12345.com.example.app"]}}
    assert found.headers["content-type"] == "application/json"
    assert client.get("/.well-known/webauthn").status_code == 404


# --- Beside the requests ---


def test_what_expired_is_removed_while_the_server_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also after the database has failed for a while, which is logged."""
    with tenant_kit(f"sqlite+aiosqlite:///{tmp_path / 'gone' / 'passkeycore.db'}") as kit:

        async def left() -> int:
            with closing(sqlite3.connect(tmp_path / "gone" / "passkeycore.db")) as database:
                return int(database.execute("SELECT count(*) FROM passkey_ceremonies").fetchone()[0])

        async def swept() -> None:
            async with lifespan(kit.tenants, Webhooks(kit.tenants), sweep_s=0.001)(Starlette()):
                while not caplog.records:
                    await asyncio.sleep(0.005)
                (tmp_path / "gone").mkdir()
                tenant = await kit.tenants.by_id("shop")
                assert tenant is not None
                await tenant.passkeys.start_authentication()
                kit.clock.time += timedelta(hours=2)
                while await left():
                    await asyncio.sleep(0.005)

        kit.run(asyncio.wait_for(swept(), 60))
        assert "OperationalError" in caplog.records[0].getMessage()


def test_what_ends_early_is_logged_at_once_and_the_storage_is_closed_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tenant_kit(tmp_path) as kit:

        async def broken(stop: asyncio.Event) -> None:
            raise RuntimeError("a secret that a driver repeats")

        closed: list[bool] = []

        async def close() -> None:
            closed.append(True)
            await Storage.close(kit.storage)

        async def served() -> None:
            webhooks = Webhooks(kit.tenants)
            webhooks.run = broken  # type: ignore[method-assign]
            kit.storage.close = close  # type: ignore[method-assign]
            async with lifespan(kit.tenants, webhooks)(Starlette()):
                while not caplog.records:
                    await asyncio.sleep(0.005)
                assert not closed

        kit.run(asyncio.wait_for(served(), 60))
    assert closed[0]
    (record,) = caplog.records
    assert record.getMessage().startswith("delivering events has ended: RuntimeError (test_app.py:")


def test_keys_beyond_those_that_events_are_signed_with_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = tuple(b"one of many keys, %02d of them in all" % number for number in range(12))
    with tenant_kit(tmp_path, shop_more='webhook_url = "https://example.com/"') as kit:
        webhooks = Webhooks(kit.tenants)
        assert kit.run(webhooks._endpoint_of("shop")) is not None
        assert not caplog.records
        many = msgspec.structs.replace(kit.tenant().settings, api_keys=keys)
        kit.tenants._tenants["shop"].tenant = msgspec.structs.replace(kit.tenant(), settings=many)
        for _ in range(2):
            endpoint = kit.run(webhooks._endpoint_of("shop"))
            assert endpoint is not None
    (record,) = caplog.records
    assert record.getMessage().startswith("events of shop are signed with the newest 8 of its ")
    assert "one of many" not in caplog.text


def test_events_are_delivered_to_the_tenant_that_wants_them(tmp_path: Path) -> None:
    """Signed by its API keys as Standard Webhooks, from the moment on that an operator says where to."""
    with (
        receiving() as receiver,
        tenant_kit(tmp_path) as kit,
        kit.live(server_app(kit.tenants, kit.settings)),
    ):
        key = API_KEYS["shop"]
        kit.run(kit.tenants.change("shop", {"webhook_url": receiver.url}, revision=0))
        kit.run(kit.tenant("bank").actions.track("bob", "sign-in", client=ClientInfo()))
        browser, shop = kit.virtual_client(), kit.tenant()
        start = kit.run(shop.passkeys.start_registration(user_id="ada", user_name="Ada"))
        kit.run(shop.passkeys.finish_registration(browser.create(start.to_dict()), user_id="ada"))
        received = receiver.wait_for(2)
    assert len(received) == 2
    secrets = WebhookSecrets([webhook_secret(sha256(key.encode()).digest())])
    bodies = [json.loads(verify_webhook(secrets, one.headers, one.body, now=kit.clock.time).body) for one in received]
    told = {(body["type"], body["data"]["realm"], body["data"].get("user_id")) for body in bodies}
    assert told == {("settings.changed", "shop", None), ("passkey.registered", "shop", "ada")}  # in whichever order


# --- Mounted ---


def test_a_mounted_application_takes_services_of_one_tenant(kit: TenantKit) -> None:
    shop, bank = kit.tenant("shop"), kit.tenant("bank")
    app = PasskeyApp(shop.passkeys, shop.devices, shop.actions, current_user=lambda request: "ada")
    client = kit.client(Starlette(routes=[Mount("/passkeys", app=app)]))
    answer = client.get("/passkeys/nothing")
    assert (answer.status_code, answer.headers["referrer-policy"]) == (404, "no-referrer")
    assert in_our_words(answer)
    assert client.get("/passkeys/session", headers={"Origin": "https://shop.example.com"}).status_code == 200
    with pytest.raises(ConfigurationError):
        PasskeyApp(shop.passkeys, bank.devices)
    with pytest.raises(ConfigurationError):
        PasskeyApp(shop.passkeys, shop.devices, bank.actions)
    with pytest.raises(ConfigurationError):
        PasskeyApp(AsyncMemoryRepository())  # type: ignore[arg-type]


def test_pages_of_all_origins_of_a_mounted_tenant_may_call_it(tmp_path: Path) -> None:
    """Of related origins, too; of others, none."""
    related = "https://shop.example.org"
    with tenant_kit(tmp_path, shop_more=f'related_origins = ["{related}"]') as kit:
        app = PasskeyApp(kit.tenant().passkeys, on_sign_in=lambda request, done: None)
        client = kit.client(Starlette(routes=[Mount("/passkeys", app=app)]))
        for origin, is_granted in (
            ("https://shop.example.com", True),
            (related, True),
            ("https://bank.example.com", False),
            ("https://evil.example", False),
        ):
            answer = client.get("/passkeys/session", headers={"Origin": origin})
            assert answer.status_code == (200 if is_granted else 403)
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = client.request("OPTIONS", "/passkeys/sign-in/passkey/start", headers=headers)
            for each in (answer, preflight):
                assert each.headers.get("access-control-allow-origin") == (origin if is_granted else None)
