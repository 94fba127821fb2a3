"""Which route a path is for: as it was sent, so that no name in it can become another route."""

from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from .kit import Api, basic, bearer, good, refused, secret_of
from .test_auth import ROUTES


def passkey_of(api: Api, user_id: str) -> str:
    """The id of the one authenticator that the user has."""
    api.new_passkey(user_id)
    (passkey,) = api.server("GET", f"/users/{user_id}/authenticators")
    authenticator_id: str = passkey["userAuthenticatorId"]
    return authenticator_id


def test_a_slash_at_the_end_is_another_path_and_no_redirect(api: Api) -> None:
    for method, path in ROUTES:
        for headers in (secret_of("shop"), basic("shop"), bearer(api.track()["token"]), {}):
            answer = api.http.request(method, f"/v1{path}/", headers=headers, json={})
            refused(answer, "invalid_request", 404)


@pytest.mark.parametrize("slash", ["%2F", "%2f"])
def test_an_encoded_slash_is_part_of_a_user_id(api: Api, slash: str) -> None:
    authenticator_id = passkey_of(api, "victim")
    for end in (f"{slash}{authenticator_id}", ""):
        assert api.server("DELETE", f"/users/victim{slash}authenticators{end}") == {}  # nobody's of that name
    assert len(api.server("GET", "/users/victim/authenticators")) == 1
    named = f"victim/authenticators/{authenticator_id}"
    tracked = api.server("POST", f"/users/{named.replace('/', slash)}/actions/transfer", {})
    assert api.validate(tracked["token"])["userId"] == named


def test_whatever_an_id_spells_it_is_the_id(api: Api) -> None:
    for user_id in ("a/actions/b", "a/actions/b/c", "actions", "../victim", "a//b", "/", "a?b#c", "a%2Fb"):
        path = f"/users/{quote(user_id, safe='')}"
        tracked = api.server("POST", f"{path}/actions/transfer", {})
        assert api.validate(tracked["token"])["userId"] == user_id
        assert [each["actionCode"] for each in api.server("GET", f"{path}/actions")] == ["transfer"]
        assert api.server("GET", path)["isEnrolled"] is False


@pytest.mark.parametrize("user_id", ["victim/authenticators/1", "victim/actions/x", "a/authenticators", "a//b", "a/"])
def test_an_id_whose_slashes_would_make_another_path_of_it_is_no_user(api: Api, user_id: str) -> None:
    """Some SDKs do not encode ids: then nothing is begun for one that would mean something else elsewhere."""
    answer = api.http.post(f"/v1/users/{user_id}/actions/transfer", json={}, headers=secret_of("shop"))
    refused(answer, "invalid_request")
    assert answer.status_code in (404, 405)


def test_a_slash_in_an_id_that_means_nothing_else_is_part_of_it(api: Api) -> None:
    tracked = api.server("POST", "/users/a/b/actions/transfer", {})
    assert api.validate(tracked["token"])["userId"] == "a/b"
    assert len(api.server("GET", "/users/a%2Fb/actions")) == 1


class Changed:
    """`app`, whose server says less, or something else, of the path."""

    def __init__(self, app: ASGIApp, **said: Any) -> None:
        self.app = app
        self.said = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {name: value for name, value in {**scope, **self.said}.items() if value is not None}
        await self.app(scope, receive, send)


def test_a_server_that_does_not_tell_what_was_sent_is_good_enough_for_other_ids(api: Api) -> None:
    http = api.kit.client(Changed(api.app, raw_path=None))
    assert good(http.get("/v1/users/ada", headers=secret_of("shop")))["isEnrolled"] is False


@pytest.mark.parametrize("raw_path", [b"/v1/users/victim", b"/v1/users/%FF", b"/v1/" + b"a/" * 5_000])
def test_what_was_sent_and_what_the_server_makes_of_it_have_to_agree(api: Api, raw_path: bytes) -> None:
    http = api.kit.client(Changed(api.app, raw_path=raw_path))
    refused(http.get("/v1/users/ada", headers=secret_of("shop")), "invalid_request", 404)


def test_bytes_that_are_no_text_name_nobody(api: Api) -> None:
    refused(api.http.get("/v1/users/%FF", headers=secret_of("shop")), "invalid_request", 404)


def test_it_can_be_mounted_below_any_path(api: Api) -> None:
    http = api.kit.client(Starlette(routes=[Mount("/a b/c", app=api.app)]))
    authenticator_id = passkey_of(api, "victim")
    path = f"/a%20b/c/v1/users/victim%2Fauthenticators%2F{authenticator_id}"
    assert good(http.delete(path, headers=secret_of("shop"))) == {}
    assert len(api.server("GET", "/users/victim/authenticators")) == 1
