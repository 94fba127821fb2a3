"""Every route of the dialect against everybody who may not call it: always refused, always in three members."""

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from passkeycore.server.tenancy.keys import create_key, revoke_key
from tests.server.kit import tenant_kit

from .kit import OWN, Api, basic, bearer, refused, secret_of
from .test_auth import CLIENT_ROUTES, ROUTES, SERVER_ROUTES, TOKEN_ROUTES

Route = tuple[str, str]

# What a route needs before it looks at whose it is, by its path; of the others, the empty object will do.
_PASSKEY: Final = {"challengeId": "c", "registrationCredential": {}}
_KEY: Final = {"publicKey": "k", "signature": "s", "challengeId": "c", "approved": True}
_BODIES: Final[Mapping[str, Any]] = {f"{OWN}/passkey": _PASSKEY, f"{OWN}/push": _KEY, "/client/verify/push": _KEY}


def revoked_key(api: Api) -> dict[str, str]:
    tenant = api.kit.tenant()
    made = api.kit.run(create_key(tenant, api.kit.settings.secrets, "api", "revoked"))
    api.kit.run(revoke_key(tenant, made.key.key_id))
    return {"Authorization": "Basic " + base64.b64encode(f"{made.text}:".encode()).decode()}


def expired_token(api: Api) -> dict[str, str]:
    token = api.track()["token"]
    api.kit.clock.pass_(601)
    return bearer(token)


def sent(api: Api, route: Route, headers: Mapping[str, str], path: str | None = None) -> Any:
    method = route[0]
    body = None if method == "GET" else _BODIES.get(route[1], {})
    return api.http.request(method, f"/v1{path or route[1]}", headers=headers, json=body)


STRANGERS: Final[Mapping[str, Callable[[Api], dict[str, str]]]] = {
    "no credentials": lambda _: {},
    "a wrong secret": lambda _: {"Authorization": "Basic " + base64.b64encode(b"wrong:").decode()},
    "a revoked key": revoked_key,
    "an expired token": expired_token,
    "a token that is none": lambda _: bearer("x"),
}
"""Who may call nothing at all."""


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Both tenants, the same for all routes: what is refused leaves nothing behind."""
    with tenant_kit(tmp_path_factory.mktemp("matrix")) as kit:
        yield Api(kit)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_a_stranger_is_refused_everywhere(everywhere: Api, route: Route) -> None:
    for stranger, headers in STRANGERS.items():
        answer = sent(everywhere, route, headers(everywhere))
        members = refused(answer, answer.json()["error"], 401)
        codes = {"unauthorized"} if route in SERVER_ROUTES else {"unauthorized", "token_required", "token_invalid"}
        assert members["error"] in (codes if "expired" not in stranger else codes | {"expired_token"}), stranger


@pytest.mark.parametrize("route", SERVER_ROUTES, ids=" ".join)
def test_another_tenants_key_sees_and_changes_nothing(api: Api, route: Route) -> None:
    """It is a good key: it finds its own tenant's users, none of whom is there."""
    api.new_passkey()
    key = api.track(idempotencyKey="a key of the shop")["idempotencyKey"]
    before = [api.server("GET", f"/users/ada{path}") for path in ("", "/authenticators", "/actions")]
    token = api.track()["token"]
    method, path = route
    body = {"token": token, "state": "REVIEW_SUCCEEDED", "verificationMethod": "SMS", "phoneNumber": "+49123"}
    answer = api.http.request(method, f"/v1{path}", headers=secret_of("bank"), json=None if method == "GET" else body)
    if answer.status_code == 200:
        assert not [each for each in before[1] if each["userAuthenticatorId"] in answer.text]
        assert f'"{key}"' not in answer.text
    else:
        refused(answer, answer.json()["error"])
    after = [api.server("GET", f"/users/ada{path}") for path in ("", "/authenticators")]
    assert after == before[:2]
    assert len(api.server("GET", "/users/ada/actions")) == len(before[2]) + 1


@pytest.mark.parametrize("route", CLIENT_ROUTES, ids=" ".join)
def test_a_secret_key_is_no_clients(api: Api, route: Route) -> None:
    code = "token_required" if route in TOKEN_ROUTES else "unauthorized"
    refused(sent(api, route, secret_of("shop")), code, 401)


@pytest.mark.parametrize("route", SERVER_ROUTES, ids=" ".join)
def test_no_token_and_no_tenants_name_is_a_servers(api: Api, route: Route) -> None:
    api.new_passkey()
    for headers in (bearer(api.token()), basic("shop")):
        refused(sent(api, route, headers), "unauthorized", 401)


@pytest.mark.parametrize("route", TOKEN_ROUTES, ids=" ".join)
def test_a_token_without_the_scope_changes_nothing(api: Api, route: Route) -> None:
    """Ada has a passkey: a further authenticator takes the scope, whatever the route."""
    api.new_passkey()
    before = api.server("GET", "/users/ada/authenticators")
    answer = sent(api, route, bearer(api.track()["token"]))
    if route in (("GET", OWN), ("POST", "/client/challenge/push")):  # which take none
        assert answer.status_code == 200
    else:
        refused(answer, answer.json()["error"])
    assert api.server("GET", "/users/ada/authenticators") == before


@pytest.mark.parametrize("route", TOKEN_ROUTES, ids=" ".join)
def test_a_foreign_users_token_shows_and_changes_nothing_of_ada(api: Api, route: Route) -> None:
    api.new_passkey()
    api.new_device()
    before = api.server("GET", "/users/ada/authenticators")
    answer = sent(api, route, bearer(api.token("eve")))
    for each in before:
        assert each["userAuthenticatorId"] not in answer.text
    assert "ada" not in answer.text.replace("shop.example.com", "")
    assert api.server("GET", "/users/ada/authenticators") == before
