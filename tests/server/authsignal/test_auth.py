"""Who may call what, and how every mistake is told: in three members that each SDK reads one or two of."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Mount, Route

from passkeycore.server.authsignal import routes
from passkeycore.server.tenancy.keys import create_key, revoke_key
from tests.server.kit import API_KEYS, INTEGRATION_KEYS, TenantKit, tenant_kit

from .kit import OWN, SPELLINGS, Api, Platform, basic, bearer, good, refused, secret_of


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantKit]:
    """Both tenants, the same for all of these tests: what is refused leaves nothing behind."""
    with tenant_kit(tmp_path_factory.mktemp("auth")) as kit:
        yield kit


def table() -> list[tuple[str, str]]:
    """Every route of the dialect, with names in its path filled in."""
    (mount,) = [route for route in routes(None, None) if isinstance(route, Mount)]  # type: ignore[arg-type]
    listed: list[tuple[str, str]] = []
    for route in mount.routes:
        if isinstance(route, Route) and route.methods != {"OPTIONS"}:
            path = route.path.replace("{user_id:path}", "ada").replace("{action}", "transfer")
            path = path.replace("{idempotency_key}", "key").replace("{authenticator_id}", "id")
            listed += [(method, path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return listed


ROUTES = table()
CLIENT_ROUTES = [(method, path) for method, path in ROUTES if path.startswith("/client")]
SERVER_ROUTES = [each for each in ROUTES if each not in CLIENT_ROUTES]
TOKEN_ROUTES = [
    ("POST", f"{OWN}/passkey/registration-options"),
    ("POST", f"{OWN}/passkey"),
    ("GET", OWN),
    *(("POST", f"{OWN}/{kind}") for kind in ("push", "qr-code", "in-app", "device")),
    ("POST", "/client/challenge/push"),
    ("POST", "/client/verify/push"),
]
"""Those that nobody may call without a token."""


def sent(api: Api, route: tuple[str, str], headers: dict[str, str]) -> Any:
    method, path = route
    return api.http.request(method, f"/v1{path}", headers=headers, json=None if method == "GET" else {})


def wrong_secrets() -> dict[str, str]:
    def shown(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    return {
        "none": "",
        "empty": f"Basic {shown(':')}",
        "wrong": f"Basic {shown('wrong:')}",
        "password": f"Basic {shown(':' + API_KEYS['shop'])}",
        "longer": f"Basic {shown(API_KEYS['shop'] + 'x:')}",
        "for commands": f"Basic {shown(INTEGRATION_KEYS['shop'] + ':')}",
        "a tenant": f"Basic {shown('shop:')}",
        "bearer": f"Bearer {API_KEYS['shop'].replace(' ', '')}",
        "no scheme": shown(f"{API_KEYS['shop']}:"),
        "no base64": "Basic !!!",
        "bytes": "Basic //79/A==",
        "nothing": "Basic",
        "too long": "Basic " + "A" * 20_000,
    }


class TestServers:
    @pytest.mark.parametrize("route", SERVER_ROUTES, ids=" ".join)
    def test_every_route_refuses_whoever_does_not_show_a_secret_key(self, api: Api, route: tuple[str, str]) -> None:
        for header in wrong_secrets().values():
            refused(sent(api, route, {"Authorization": header} if header else {}), "unauthorized", 401)
        refused(sent(api, route, bearer(api.track()["token"])), "unauthorized", 401)

    def test_a_revoked_key_opens_nothing(self, api: Api) -> None:
        tenant = api.kit.tenant()
        made = api.kit.run(create_key(tenant, api.kit.settings.secrets, "api", "test"))
        header = {"Authorization": "Basic " + base64.b64encode(f"{made.text}:".encode()).decode()}
        good(api.http.get("/v1/users/ada", headers=header))
        api.kit.run(revoke_key(tenant, made.key.key_id))
        refused(api.http.get("/v1/users/ada", headers=header), "unauthorized", 401)


class TestClients:
    @pytest.mark.parametrize("platform", SPELLINGS)
    @pytest.mark.parametrize("tenant", ["shop", "bank"])
    def test_each_platform_spells_the_tenant_in_its_own_way(self, api: Api, platform: Platform, tenant: str) -> None:
        assert api.post("/client/challenge", tenant=tenant, platform=platform)["challengeId"]

    @pytest.mark.parametrize("route", TOKEN_ROUTES, ids=" ".join)
    def test_what_is_a_users_own_takes_a_token(self, api: Api, route: tuple[str, str]) -> None:
        refused(sent(api, route, {}), "token_required", 401)
        refused(sent(api, route, basic("shop")), "token_required", 401)
        refused(sent(api, route, secret_of("shop")), "token_required", 401)

    @pytest.mark.parametrize("route", CLIENT_ROUTES, ids=" ".join)
    def test_every_route_refuses_who_is_nobody(self, api: Api, route: tuple[str, str]) -> None:
        code = "token_required" if route in TOKEN_ROUTES else "unauthorized"
        for headers in ({}, basic("nobody"), basic(""), secret_of("shop"), {"Authorization": "Digest x"}):
            refused(sent(api, route, headers), code, 401)

    @pytest.mark.parametrize("route", CLIENT_ROUTES, ids=" ".join)
    def test_every_route_refuses_a_token_that_is_none_or_too_old(self, api: Api, route: tuple[str, str]) -> None:
        token = api.track()["token"]
        head, body, signature = token.split(".")
        for forged in ("x", f"{head}.{body}.{signature[::-1]}", f"{head}.{body}.", token + "x", "a" * 9_000):
            refused(sent(api, route, bearer(forged)), "token_invalid", 401)
        api.kit.clock.pass_(601)
        refused(sent(api, route, bearer(token)), "expired_token", 401)

    @pytest.mark.parametrize("route", CLIENT_ROUTES, ids=" ".join)
    def test_a_token_ends_with_its_user(self, api: Api, route: tuple[str, str]) -> None:
        token = api.track()["token"]
        api.server("DELETE", "/users/ada")
        refused(sent(api, route, bearer(token)), "token_invalid", 401)


class TestErrors:
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
    @pytest.mark.parametrize("path", ["/nothing", "/sessions", "/claim", "/client/nothing", "/client/verify/sms"])
    def test_what_there_is_not_is_told_like_any_error(self, api: Api, method: str, path: str) -> None:
        refused(api.http.request(method, f"/v1{path}", headers=secret_of("shop")), "invalid_request")

    def test_another_method_is_told_like_any_error(self, api: Api) -> None:
        answer = api.http.request("PUT", "/v1/validate", headers=secret_of("shop"))
        refused(answer, "invalid_request", 405)
        assert "POST" in answer.headers["allow"]

    @pytest.mark.parametrize("route", [each for each in ROUTES if each[0] != "GET"], ids=" ".join)
    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"challengeId": 5}', b'{"publicKey": {}}', b"\x00" * 70_000])
    def test_a_bad_body_is_the_clients_mistake_everywhere(self, api: Api, route: tuple[str, str], body: bytes) -> None:
        method, path = route
        headers = bearer(api.track()["token"]) if route in CLIENT_ROUTES else secret_of("shop")
        answer = api.http.request(method, f"/v1{path}", content=body, headers=headers)
        if method == "DELETE" and len(body) < 65_536:  # its body is nobody's business
            assert answer.status_code in (200, 404)
        elif answer.status_code != 200:  # a member of another route's is an unknown one
            assert refused(answer, answer.json()["error"])["error"] in ("invalid_request", "invalid_credential")

    def test_what_goes_wrong_on_the_server_is_told_without_its_reasons(
        self, tenants: TenantKit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        api = Api(tenants)

        async def broken(*_: object) -> None:
            raise RuntimeError("the database's password")

        monkeypatch.setattr(tenants.tenants, "by_id", broken)
        answer = api.client("POST", "/client/challenge", {})
        assert answer.status_code == 500
        assert answer.json() == {
            "error": "internal_error",
            "errorCode": "internal_error",
            "errorDescription": "Something went wrong on the server.",
        }


class TestPages:
    """Which web pages may read the answers."""

    @pytest.mark.parametrize("origin", ["https://shop.example.com", "https://www.shop.example"])
    def test_those_of_the_tenant_may(self, api: Api, origin: str) -> None:
        headers = {**basic("shop", "browser"), "Origin": origin}
        for path in ("/client/challenge", "/client/verify/passkey"):  # good and refused answers alike
            answer = api.http.post(f"/v1{path}", json={}, headers=headers)
            assert answer.headers["access-control-allow-origin"] == origin
            assert "Origin" in answer.headers["vary"]

    @pytest.mark.parametrize("origin", ["https://evil.example", "https://bank.example.com", "null", "*"])
    def test_no_other_may(self, api: Api, origin: str) -> None:
        for headers in (basic("shop"), bearer(api.track()["token"])):
            answer = api.http.post("/v1/client/challenge", json={}, headers={**headers, "Origin": origin})
            assert "access-control-allow-origin" not in answer.headers

    def test_an_error_of_no_tenant_can_be_read_by_the_sdk(self, api: Api) -> None:
        for origin, allowed in (("https://shop.example.com", True), ("https://evil.example", False)):
            headers = {"Origin": origin, "Authorization": "Bearer x"}
            answer = api.http.post("/v1/client/challenge", json={}, headers=headers)
            refused(answer, "token_invalid", 401)
            assert ("access-control-allow-origin" in answer.headers) is allowed

    @pytest.mark.parametrize("path", [path for _, path in CLIENT_ROUTES])
    def test_a_browser_may_ask_before_it_sends_a_token(self, api: Api, path: str) -> None:
        headers = {
            "Origin": "https://shop.example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        answer = api.http.request("OPTIONS", f"/v1{path}", headers=headers)
        assert 200 <= answer.status_code < 300
        assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
        assert answer.headers["access-control-allow-headers"] == "authorization,content-type"

    def test_no_page_may_call_what_takes_the_secret_key(self, api: Api) -> None:
        headers = {**secret_of("shop"), "Origin": "https://shop.example.com"}
        answer = api.http.get("/v1/users/ada", headers=headers)
        assert "access-control-allow-origin" not in answer.headers
        assert api.http.request("OPTIONS", "/v1/users/ada", headers=headers).status_code == 405
