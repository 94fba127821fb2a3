"""Which pages may call the client side from their scripts: configured origins, each for itself, and nobody else."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passkeycore.server.cors import Cors
from passkeycore.server.http import json_answer, note_tenant
from tests.server.kit import Client, TenantKit, tenant_kit

SHOP, WWW, BANK = "https://shop.example.com", "https://www.shop.example", "https://bank.example.com"
FOREIGN = ("https://evil.example", "null", "", "https://shop.example.com.evil.example", "https://SHOP.example.com", "*")
GRANTED = "access-control-allow-origin"


async def of_shop(request: Request) -> Response:
    note_tenant(request, "shop")
    return json_answer({})


async def of_nobody(request: Request) -> Response:
    return json_answer({}, 401)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with tenant_kit(tmp_path) as kit:
        yield kit.client(cors(kit))


def cors(kit: TenantKit) -> Cors:
    routes = [
        Route(path, endpoint, methods=["GET", "POST"])
        for path, endpoint in (("/client/shop", of_shop), ("/client", of_nobody), ("/server", of_shop))
    ]
    return Cors(Starlette(routes=routes), kit.tenants.origins_of, ["/client"])


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
