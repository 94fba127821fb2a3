"""The whole server: health and readiness, well-known files, errors in the words of each path, and what runs beside."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from passkeycore import ConfigurationError
from passkeycore.config import parse
from passkeycore.engine.actions.tracking import ClientInfo
from passkeycore.repositories.memory import AsyncMemoryRepository
from passkeycore.server import PasskeyApp, well_known_routes
from passkeycore.server.app import LastResort, server_app
from passkeycore.server.background import lifespan
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


def test_an_error_of_ours_is_logged_without_its_words(kit: TenantKit, caplog: pytest.LogCaptureFixture) -> None:
    async def failing(request: Request) -> Response:
        raise RuntimeError("a secret that a driver repeats")

    app = LastResort(Starlette(routes=[Route("/", failing)]))
    with caplog.at_level(logging.ERROR):
        assert kit.client(app).get("/").status_code == 500
    (record,) = caplog.records
    assert "RuntimeError (test_app.py:" in record.getMessage()
    assert "secret" not in caplog.text


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
            async with kit.storage.repository._engine.connect() as connection:
                return int((await connection.exec_driver_sql("SELECT count(*) FROM passkey_ceremonies")).scalar_one())

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
        received = receiver.wait_for(2)[-1]
    secrets = WebhookSecrets([webhook_secret(sha256(key.encode()).digest())])
    webhook = verify_webhook(secrets, received.headers, received.body, now=kit.clock.time)
    body = json.loads(webhook.body)
    assert (body["type"], body["data"]["realm"], body["data"]["user_id"]) == ("passkey.registered", "shop", "ada")


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
