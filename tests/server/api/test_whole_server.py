"""The API as the whole server has it: at its place, for pages of other origins, in its own words wherever it ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from passkeycore.server.app import server_app
from tests.server.api.kit import Api, good, refused
from tests.server.kit import API_KEYS, Client, tenant_kit

PAGE = "https://www.shop.example"
"""Of the shop's ``cors_origins``."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with tenant_kit(tmp_path, bank_more='preset = "second_factor"') as kit:
        yield Api(kit)


@pytest.fixture
def client(api: Api) -> Client:
    return api.kit.client(server_app(api.kit.tenants, api.kit.settings))


def test_a_page_of_a_configured_origin_signs_somebody_in(api: Api, client: Client) -> None:
    ada = api.new_passkey("ada")
    answer = client.get("/api/shop/session", headers={"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-credentials"] == "true"
    headers = {"Origin": PAGE, "X-CSRF-Token": good(answer)["csrf_token"]}
    options = good(client.post("/api/shop/sign-in/passkey/start", json={}, headers=headers))["options"]
    body = {"response": ada.get(options)}
    assert good(client.post("/api/shop/sign-in/passkey/finish", json=body, headers=headers))["user_id"] == "ada"


@pytest.mark.parametrize("origin", ["https://bank.example.com", "https://evil.example", "null"])
def test_a_page_of_another_origin_is_refused_and_may_not_read_why(client: Client, origin: str) -> None:
    answer = client.get("/api/shop/session", headers={"Origin": origin})
    refused(answer, "foreign_origin", 403)
    assert "access-control-allow-origin" not in answer.headers


def test_whatever_is_not_there_is_told_in_our_words(client: Client) -> None:
    refused(client.get("/api/shop/nothing"), "not_found", 404)
    refused(client.get("/api"), "not_found", 404)
    refused(client.get("/api/shop/action"), "verb_not_allowed", 405)
    refused(client.post("/api/nobody/action", json={}), "not_found", 404)


def test_every_answer_has_the_headers_of_the_server(client: Client) -> None:
    answer = client.get("/api/shop/openapi.json")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-request-id"]


def test_the_page_of_an_action_is_told_to_the_server_that_tracks_it(client: Client) -> None:
    members = {"user_id": "ada", "action": "transfer", "redirect_url": "https://shop.example.com/done"}
    headers = {"Authorization": f"Bearer {API_KEYS['shop']}"}
    tracked = good(client.post("/api/shop/server/actions/track", json=members, headers=headers))
    assert tracked["url"] == f"https://auth.example.com/challenge?token={tracked['token']}"


def test_where_passkeys_are_a_second_factor_nobody_signs_in_by_one_alone(api: Api) -> None:
    answer = api.browser("bank").send("/sign-in/passkey/start", {})
    refused(answer, "not_available", 422)
