"""Every route of the dialect against everybody who may not call it: always refused, always in three members."""

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from passkeycore.server.tenancy.keys import create_key, revoke_key
from passkeycore.testing import SoftwareDevice
from tests.server.kit import tenant_kit

from .foreign import ROWS, Route, stored
from .kit import OWN, Api, Json, basic, bearer, good, key_of, phone, refused, secret_of, signed
from .test_auth import CLIENT_ROUTES, ROUTES, SERVER_ROUTES, TOKEN_ROUTES
from .test_devices import KINDS
from .test_passkeys import made

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


SCOPE_MISSING: Final = "The user has an authenticator already; the token needs the scope add:authenticators."
ADDING: Final[Mapping[Route, Callable[[Api, str], Json]]] = {
    ("POST", f"{OWN}/passkey/registration-options"): lambda *_: {"username": "ada@example.com"},
    # Begun while the token still makes a first authenticator: what has begun with one token ends with no other.
    ("POST", f"{OWN}/passkey"): lambda api, token: made(api, phone(origin="https://shop.example.com"), token),
    **dict.fromkeys(
        (("POST", f"{OWN}/{kind}") for kind in KINDS),
        lambda *_: {"publicKey": key_of(SoftwareDevice("second")), "deviceName": "Phone", "devicePlatform": "ios"},
    ),
}
"""How the body is made with which a token adds an authenticator, by its route."""

WITHOUT_SCOPE: Final[Mapping[Route, str]] = {
    ("GET", OWN): "adds nothing: the user's own list",
    ("POST", "/client/challenge/push"): "adds nothing: asks a device that there is",
    ("POST", "/client/verify/push"): "adds nothing: waits for its answer",
}
"""The other routes that take a token; `foreign` has them answered without any scope."""

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


@pytest.mark.parametrize("route", CLIENT_ROUTES, ids=" ".join)
def test_another_user_gets_and_changes_nothing_of_adas(api: Api, route: Route) -> None:
    """Ada's request as Eve can send it is refused, or is about Eve, and takes nothing from Ada, whose own is good."""
    row = ROWS[route]
    case = row.case(api)
    before = stored(api, "ada")
    assert any(before.values())
    assert (row.refusal is None) == bool(row.reason)
    answer = case.eves.answer(api, route)
    if row.refusal is None:
        assert case.told(good(answer)) == case.hers
    else:
        refused(answer, *row.refusal)
    assert stored(api, "ada") == before
    assert case.told(good(case.adas.answer(api, route))) == case.expected


def test_the_table_of_foreign_requests_names_no_route_that_there_is_not() -> None:
    assert ROWS.keys() == set(CLIENT_ROUTES)


def test_every_route_that_takes_a_token_adds_something_or_does_not() -> None:
    assert ADDING.keys() ^ WITHOUT_SCOPE.keys() == set(TOKEN_ROUTES)


@pytest.mark.parametrize("route", ADDING, ids=" ".join)
def test_who_has_an_authenticator_adds_another_with_the_scope_alone(api: Api, route: Route) -> None:
    """Each body is complete: without the scope it is refused for that and nothing else, with it it is good."""
    bare, scoped = api.track()["token"], api.token()
    bodies = {token: ADDING[route](api, token) for token in (bare, scoped)}
    api.new_device(kind="in-app", seed="the first")
    before = stored(api, "ada")
    members = refused(api.client(*route, bodies[bare], token=bare), "token_invalid", 403)
    assert members["errorDescription"] == SCOPE_MISSING
    assert stored(api, "ada") == before
    good(api.client(*route, bodies[scoped], token=scoped))


@pytest.mark.parametrize("route", ADDING, ids=" ".join)
def test_an_action_that_was_rejected_adds_nothing_for_all_its_scope(api: Api, route: Route) -> None:
    rejected, good_one = api.token(), api.token()
    bodies = {token: ADDING[route](api, token) for token in (rejected, good_one)}
    device = api.new_device(kind="push", seed="the first")
    id = api.post("/client/challenge/push", {}, token=rejected)["challengeId"]
    api.post(f"{OWN}/push/challenge", {**signed(device, id), "approved": False})
    before = stored(api, "ada")
    members = refused(api.client(*route, bodies[rejected], token=rejected), "invalid_request", 403)
    assert members["errorDescription"] == "The action is in a state in which this is not done."
    assert stored(api, "ada") == before
    good(api.client(*route, bodies[good_one], token=good_one))
