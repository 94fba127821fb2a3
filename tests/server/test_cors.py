"""Which pages may call the client side from their scripts: configured origins, each for itself, and nobody else."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passkeycore.server.edge.cors import Cors
from passkeycore.server.edge.http import json_answer, note_tenant
from tests.server.kit import Client, TenantKit, tenant_kit

SHOP, WWW, BANK = "https://shop.example.com", "https://www.shop.example", "https://bank.example.com"
FOREIGN = ("https://evil.example", "null", "", "https://shop.example.com.evil.example", "https://SHOP.example.com", "*")
GRANTED = "access-control-allow-origin"


async def of_shop(request: Request) -> Response:
    note_tenant(request, "shop")
    return json_answer({})


async def of_nobody(request: Request) -> Response:
    return json_answer({}, 401)


async def unnoted(request: Request) -> Response:
    return json_answer({})


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with tenant_kit(tmp_path) as kit:
        yield kit.client(cors(kit))


def cors(kit: TenantKit) -> Cors:
    routes = [
        Route(path, endpoint, methods=["GET", "POST"])
        for path, endpoint in (
            ("/client/shop", of_shop),
            ("/client", of_nobody),
            ("/client/unnoted", unnoted),
            ("/server", of_shop),
            ("/tenants/{tenant_id}/session", of_nobody),
            ("/tenants/{tenant_id}/server/users", of_shop),
        )
    ]
    app = Starlette(routes=routes)
    prefixes = ["/client", "/tenants/{tenant_id}"]
    return Cors(app, kit.tenants.origins_of, prefixes, closed=["/tenants/{tenant_id}/server"])


def granted(answer: httpx.Response) -> str | None:
    origin: str | None = answer.headers.get(GRANTED)
    assert answer.headers.get("access-control-allow-credentials") == (None if origin is None else "true")
    return origin


def test_an_origin_of_the_tenant_is_echoed_with_credentials(client: Client) -> None:
    for origin in (SHOP, WWW):
        answer = client.post("/client/shop", headers={"Origin": origin})
        assert granted(answer) == origin
        assert "Origin" in answer.headers["vary"]
        assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_another_tenants_origin_is_foreign_once_the_tenant_is_known(client: Client) -> None:
    assert granted(client.post("/client/shop", headers={"Origin": BANK})) is None
    assert granted(client.post("/client", headers={"Origin": BANK})) == BANK


def test_where_the_path_names_the_tenant_its_origins_alone_count(client: Client) -> None:
    """For a preflight and for a refusal that comes before anything was noted, too."""
    for path in ("/tenants/shop/session", "/tenants/shop/nothing"):
        assert granted(client.post(path, headers={"Origin": SHOP})) == SHOP
        assert granted(preflight(client, SHOP, path=path)) == SHOP
        assert granted(client.post(path, headers={"Origin": BANK})) is None
        assert granted(preflight(client, BANK, path=path)) is None
    for answer in (client.post("/tenants/nobody/session", headers={"Origin": SHOP}), client.post("/tenants//session")):
        assert granted(answer) is None


def test_a_success_of_no_known_tenant_is_read_by_nobody(client: Client) -> None:
    assert granted(client.post("/client/unnoted", headers={"Origin": SHOP})) is None


def test_what_is_for_a_tenants_servers_is_closed_to_its_own_pages(client: Client) -> None:
    for path in ("/tenants/shop/server/users", "/tenants/shop/server", "/tenants/shop/server/nothing"):
        assert granted(client.post(path, headers={"Origin": SHOP})) is None
        assert granted(preflight(client, SHOP, path=path)) is None
    assert granted(client.post("/tenants/shop/servers", headers={"Origin": SHOP})) == SHOP


def test_while_origins_are_not_known_nothing_is_granted_and_everything_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(tenant_id: str | None) -> frozenset[str]:
        raise RuntimeError("a secret that a driver repeats")

    with tenant_kit(tmp_path) as kit:
        client = kit.client(Cors(Starlette(routes=[Route("/client", of_shop, methods=["POST"])]), broken, ["/client"]))
        answer = client.post("/client", headers={"Origin": SHOP})
        assert (answer.status_code, granted(answer)) == (200, None)
        answer = preflight(client, SHOP, path="/client")
        assert (answer.status_code, granted(answer)) == (204, None)
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_gets_no_header(client: Client, origin: str) -> None:
    for path in ("/client/shop", "/client"):
        answer = client.post(path, headers={"Origin": origin})
        assert granted(answer) is None
        assert "Origin" in answer.headers["vary"]
    answer = preflight(client, origin)
    assert (answer.status_code, granted(answer)) == (204, None)
    assert "access-control-allow-methods" not in answer.headers


def test_what_is_for_servers_is_for_no_page(client: Client) -> None:
    assert granted(client.post("/server", headers={"Origin": SHOP})) is None
    assert granted(preflight(client, SHOP, path="/server")) is None
    assert granted(client.post("/clientele", headers={"Origin": SHOP})) is None


@pytest.mark.parametrize("origin", [SHOP, WWW, BANK])
def test_a_preflight_is_granted_to_the_origins_of_any_tenant(client: Client, origin: str) -> None:
    answer = preflight(client, origin, "authorization, content-type")
    assert (answer.status_code, answer.content, granted(answer)) == (204, b"", origin)
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("wanted", ["", "a\tb", "x" * 513, "a,,b", "*"])
def test_headers_that_are_none_are_not_echoed(client: Client, wanted: str) -> None:
    assert "access-control-allow-headers" not in preflight(client, SHOP, wanted).headers


def preflight(client: Client, origin: str, wanted: str = "", path: str = "/client/shop") -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    return client.request("OPTIONS", path, headers=headers)


def test_who_is_no_page_is_let_alone(client: Client) -> None:
    answer = client.post("/client/shop")
    assert (answer.status_code, granted(answer)) == (200, None)
