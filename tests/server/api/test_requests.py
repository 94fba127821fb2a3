"""What is wrong with a request before anybody looks at what it wants: told in our form, never a fault of the server."""

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Mount, Route

from passkeycore.config.server import Limits
from passkeycore.errors import ConfigurationError
from passkeycore.server.api import HANDLERS, mounted_routes
from passkeycore.server.api import refused as answered
from passkeycore.server.api.refusals import STATUSES, EdgeCode, Refused
from passkeycore.server.api.rows import ROWS
from passkeycore.server.edge.limits import AddressLimits, RateLimits
from tests.server.api.kit import Api, good, refused
from tests.server.kit import API_KEYS, tenant_kit

KEY = {"Authorization": f"Bearer {API_KEYS['shop']}"}
JSON = {"Content-Type": "application/json"}
GET_USER = "/api/shop/server/users/get"
TRACK = "/api/shop/server/actions/track"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b"null", "$"),
        (b"[]", "$"),
        (b'"ada"', "$"),
        (b"{}", "$"),
        (b'{"user_id": 42}', "user_id"),
        (b'{"user_id": null}', "user_id"),
        (b'{"user_id": "ada", "userId": "ada"}', "$"),
        (b'{"user_id": "\xff"}', "$"),
        (b'{"user_id": "\\ud800"}', "$"),
        (b'{"user_id": "ada"} and more', "$"),
        (b"[" * 60_000, "$"),
    ],
)
def test_a_body_of_another_shape_is_refused_with_the_path_of_the_member(
    shared_api: Api, body: bytes, path: str
) -> None:
    answer = shared_api.http.post(GET_USER, content=body, headers=KEY | JSON)
    assert refused(answer, "json_invalid", 400)["path"] == path


@pytest.mark.parametrize("row", [row for row in ROWS if row.asked is not None], ids=lambda row: row.name)
def test_no_request_has_members_that_nobody_reads(row: Any) -> None:
    assert row.asked.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_only_json_is_read_which_no_form_of_another_site_can_send(shared_api: Api, content_type: str | None) -> None:
    headers = KEY if content_type is None else KEY | {"Content-Type": content_type}
    answer = shared_api.http.post(GET_USER, content=b'{"user_id": "ada"}', headers=headers)
    refused(answer, "media_type_unsupported", 415)


def test_the_type_may_name_its_charset(shared_api: Api) -> None:
    headers = KEY | {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = shared_api.http.post(GET_USER, content=b'{"user_id": "nobody"}', headers=headers)
    refused(answer, "user_not_found", 403)


def test_a_body_that_is_too_long_is_not_read(shared_api: Api) -> None:
    body = b'{"user_id": "' + b"x" * 70_000 + b'"}'
    refused(shared_api.http.post(GET_USER, content=body, headers=KEY | JSON), "body_too_large", 413)


def test_a_length_that_is_none_is_refused(shared_api: Api) -> None:
    headers = KEY | JSON | {"Content-Length": "many"}
    refused(shared_api.http.post(GET_USER, content=b"{}", headers=headers), "request_incomplete", 400)


def test_what_there_is_not_is_told_in_our_form(shared_api: Api) -> None:
    refused(shared_api.http.get("/api/shop/nothing"), "not_found", 404)
    refused(shared_api.http.get("/api/nobody/session"), "not_found", 404)
    refused(shared_api.http.get("/api/nobody/openapi.json"), "not_found", 404)
    answer = shared_api.http.get(GET_USER)
    refused(answer, "verb_not_allowed", 405)
    assert answer.headers["allow"] == "POST"


def test_too_many_requests_are_told_when_to_come_back(api: Api) -> None:
    limits = RateLimits(Limits(per_tenant="2/minute"), monotonic=lambda: 0.0)
    app = AddressLimits(api.app, limits, refused=lambda scope, error: answered(error), trusted_proxies=())
    client = api.kit.client(app)
    for _ in range(2):
        refused(client.post(GET_USER, json={"user_id": "nobody"}, headers=KEY), "user_not_found")
    answer = client.post(GET_USER, json={"user_id": "nobody"}, headers=KEY)
    refused(answer, "too_many_requests", 429)
    assert int(answer.headers["retry-after"]) > 0


def test_too_many_requests_about_one_user_are_refused_but_for_servers(api: Api) -> None:
    limits = RateLimits(Limits(per_user="2/minute"), monotonic=lambda: 0.0)
    client = api.kit.client(AddressLimits(api.app, limits, refused=lambda scope, error: answered(error)))
    token = api.track("ada")
    bearer = {"Authorization": f"Bearer {token}"}
    for _ in range(2):
        good(client.post("/api/shop/action", json={}, headers=bearer))
    refused(client.post("/api/shop/action", json={}, headers=bearer), "too_many_requests", 429)
    good(client.post("/api/shop/action", json={}, headers={"Authorization": f"Bearer {api.track('bob')}"}))
    for _ in range(4):
        refused(client.post(GET_USER, json={"user_id": "ada"}, headers=KEY), "user_not_found")


def test_what_breaks_on_our_side_is_told_without_details(api: Api) -> None:
    def broken(request: Request) -> str:
        raise ZeroDivisionError("the host's secret")

    browser = api.host_browser("ada", current_user=broken)
    answer = browser.get("/me/passkeys")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "server_error"
    assert "secret" not in answer.text


def test_a_host_that_refuses_says_so_in_its_own_words(api: Api) -> None:
    def refusing(request: Request) -> str:
        raise Refused(EdgeCode.FORBIDDEN, "Your account is closed.")

    answer = api.host_browser("ada", current_user=refusing).get("/me/passkeys")
    assert refused(answer, "forbidden", 403)["message"] == "Your account is closed."


@pytest.mark.parametrize("answer", [42, b"ada", {"id": "ada"}, ["ada"], True, 0, b""], ids=repr)
def test_a_host_that_names_nobody_known_is_told_so(api: Api, answer: Any) -> None:
    """Who is signed in is a text or nobody: anything else is the host's to mend, and lets nobody in."""
    browser = api.host_browser("ada", current_user=lambda request: answer)
    told = browser.get("/me/passkeys")
    assert (told.status_code, told.json()["error"]["code"]) == (500, "configuration_invalid")
    assert "current_user" not in told.text
    tenant = api.kit.tenant()
    routes = mounted_routes(tenant.passkeys, current_user=lambda request: answer)
    (route,) = (route for route in routes if isinstance(route, Route) and route.path == "/me/passkeys")
    headers = [(b"origin", b"https://shop.example.com")]
    with pytest.raises(ConfigurationError, match="current_user"):
        api.kit.run(route.endpoint(Request({"type": "http", "method": "GET", "headers": headers})))


@pytest.mark.parametrize(("status", "code"), [(403, "forbidden"), (401, "unauthorized"), (503, "server_error")])
def test_a_host_that_refuses_in_another_form_is_told_in_ours(api: Api, status: int, code: str) -> None:
    """Frameworks let the detail of an error be anything: what is no sentence is not passed on."""

    def refusing(request: Request) -> str:
        raise HTTPException(status, {"secret": "of the host"})  # type: ignore[arg-type]

    answer = api.host_browser("ada", current_user=refusing).get("/me/passkeys")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert isinstance(error["message"], str)
    assert "secret" not in answer.text


def test_a_host_that_reads_the_body_leaves_it_to_be_read(api: Api) -> None:
    """It must not, but some do; whole it is still there."""

    async def reading(request: Request) -> str:
        await request.body()
        return "ada"

    browser = api.host_browser("ada", current_user=reading)
    assert good(browser.send("/me/passkeys/register/start", {"user_name": "Ada"}))["options"]


def test_a_host_that_has_left_something_out_serves_no_route_that_needs_it(api: Api) -> None:
    tenant = api.kit.tenant()
    app = Starlette(
        routes=[Mount("/passkeys", app=Starlette(routes=mounted_routes(tenant.passkeys), exception_handlers=HANDLERS))]
    )
    document = api.kit.client(app).get("/passkeys/openapi.json").json()
    assert document["paths"].keys() == {"/session"}  # nobody could be told who signs in


def test_services_that_do_not_belong_together_are_not_mounted(api: Api) -> None:
    shop, bank = api.kit.tenant("shop"), api.kit.tenant("bank")
    for services in ((bank.passkeys, shop.devices, shop.actions), (shop.passkeys, None, shop.actions)):
        with pytest.raises(ConfigurationError, match="actions"):
            mounted_routes(*services)


def test_every_word_of_the_edge_has_a_status_and_none_is_the_engines() -> None:
    assert STATUSES.keys() == set(EdgeCode)
    assert all(400 <= status <= 500 for status in STATUSES.values())


@pytest.mark.parametrize("end", ["à", "Å", "ü", "\N{NO-BREAK SPACE}"])
def test_a_key_of_other_letters_is_read_as_utf_8_to_its_last_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Also where that byte alone would be a space; spaces and tabs around it do not count."""
    key = f"a key of the shop, in its own file, {end}"
    monkeypatch.setitem(API_KEYS, "shop", key)
    with tenant_kit(tmp_path) as kit:
        api = Api(kit)
        for shown, status in ((key, 200), (f" {key}\t ", 200), (key[:-1], 401), (f"{key}x", 401)):
            headers = {"Authorization": b"Bearer " + shown.encode()}
            answer = api.http.post(TRACK, json={"user_id": "ada", "action": "transfer"}, headers=headers)
            assert answer.status_code == status, answer.text
