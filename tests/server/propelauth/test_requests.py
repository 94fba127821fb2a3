"""Whatever arrives: an error of the dialect, for a client's mistake never a 5xx, and nothing is stored."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from passkeycore.config.server import Limits
from passkeycore.server.edge.limits import AddressLimits, RateLimits
from passkeycore.server.propelauth import refused, routes
from passkeycore.server.propelauth.commands import COMMANDS
from tests.server.kit import INTEGRATION_KEYS, TenantKit, tenant_kit

from .backends import KEY, Http, application, checked
from .kit import World, browser

HEADERS = {"Authorization": f"Bearer {KEY}"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)


def unexpected(response: httpx.Response, status: int = 400) -> str:
    """The sentence of an error that has no name of its own."""
    assert response.status_code == status
    members = checked(response).members
    assert members["type"] == "UnexpectedError"
    sentence: str = members["details"]
    return sentence


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"Ping"',
        b"\xff\xfe",
        b"[" * 60_000,
        b"{}",
        b'{"command": null}',
        b'{"command": 5, "data": {}}',
        b'{"command": "Ping", "data": []}',
        b'{"command": "Ping", "data": "{}"}',
        b'{"command": "FetchAllPasskeysForUser", "data": {}}',
        b'{"command": "FetchAllPasskeysForUser"}',
        b'{"command": "FetchAllPasskeysForUser", "data": {"userId": null}}',
        b'{"command": "FetchAllPasskeysForUser", "data": {"userId": 5}}',
        b'{"command": "FetchAllPasskeysForUser", "data": {"userId": "\\ud800"}}',
        b'{"command": "FinishPasskeyRegistration", "data": {"userId": "ada"}}',
        b'{"command": "FinishPasskeyRegistration", "data": {"userId": "ada", "publicKey": null}}',
        b'{"command": "FinishPasskeyRegistration", "data": {"userId": "ada", "publicKey": "{}"}}',
    ],
)
def test_a_bad_body_is_the_clients_mistake(http: Http, body: bytes) -> None:
    assert len(unexpected(http.send(body, HEADERS))) < 300


def test_which_member_is_wrong_is_told(http: Http) -> None:
    sentence = unexpected(http.send({"command": "FetchAllPasskeysForUser", "data": {"userId": 5}}, HEADERS))
    assert sentence.startswith("userId: ")


@pytest.mark.parametrize("name", ["", "ping", "Nothing", "Ping ", "<script>", "x" * 10_000])
def test_an_unknown_command_is_none_and_is_not_repeated(http: Http, name: str) -> None:
    assert unexpected(http.send({"command": name, "data": {}}, HEADERS)) == "There is no such command."


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_another_method_is_told_in_the_dialect(http: Http, method: str) -> None:
    answer = http.send(b"", HEADERS, method)
    assert unexpected(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_too_long_a_body_is_not_read(http: Http) -> None:
    body = json.dumps({"command": "Ping", "data": {"x": "x" * 70_000}}).encode()
    assert unexpected(http.send(body, HEADERS), 413)


def test_a_request_too_many_is_told_in_the_dialect(kit: TenantKit) -> None:
    limits = RateLimits(Limits(per_tenant="2/minute"), monotonic=lambda: 1.0)
    app = AddressLimits(Starlette(routes=routes(kit.tenants)), limits, refused=lambda scope, error: refused(error))
    client = kit.client(app)
    answers = [client.post("/run-command", json={"command": "Ping"}, headers=HEADERS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert unexpected(answers[-1], 429)
    assert int(answers[-1].headers["retry-after"]) > 0


def test_one_address_may_ask_as_often_as_its_tenant_may_once_it_has_shown_a_key(kit: TenantKit) -> None:
    """A backend speaks for many users. Who guesses keys is stopped."""
    limits = RateLimits(Limits(per_address="2/minute"), monotonic=lambda: 1.0)
    app = AddressLimits(Starlette(routes=routes(kit.tenants)), limits, refused=lambda scope, error: refused(error))
    client = kit.client(app)

    def status(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return client.post("/run-command", json={"command": "Ping"}, headers=headers).status_code

    assert [status(KEY) for _ in range(5)] == [200] * 5
    assert [status("pki_guess") for _ in range(3)] == [401, 401, 429]


def test_the_path_of_java_over_http_without_tls(kit: TenantKit) -> None:
    """Its client offers HTTP/2 first; HTTP/1.1 goes on as if it had not."""
    headers = {
        **HEADERS,
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        "User-Agent": "Java-http-client/17.0.2",
    }
    with kit.live(application(kit)) as url:
        answer = httpx.post(f"{url}/run-command", json={"command": "Ping", "data": {}}, headers=headers)
    assert answer.http_version == "HTTP/1.1"
    assert checked(answer).members.keys() == {"timestamp"}


def test_what_goes_wrong_on_the_server_is_told_in_the_dialect(kit: TenantKit, tmp_path: Path) -> None:
    """Without its reasons, by the last handler of the application."""

    def handled(request: Request, error: Exception) -> Response:
        return refused(HTTPException(500, "Something went wrong."))

    client = kit.client(Starlette(routes=routes(kit.tenants), exception_handlers={Exception: handled}))
    body = {"command": "FetchAllPasskeysForUser", "data": {"userId": "ada"}}
    assert checked(client.post("/run-command", json=body, headers=HEADERS)).good
    with closing(sqlite3.connect(tmp_path / "passkeycore.db")) as database:
        database.execute("DROP TABLE passkey_users")
        database.commit()
    answer = client.post("/run-command", json=body, headers=HEADERS)
    assert answer.status_code == 500
    assert answer.json() == {"type": "UnexpectedError", "details": "Something went wrong."}


def test_below_any_path_of_a_host(kit: TenantKit) -> None:
    app = Starlette(routes=[Mount("/auth/byo", routes=routes(kit.tenants))])
    assert checked(kit.client(app).post("/auth/byo/run-command", json={"command": "Ping"}, headers=HEADERS)).good


def test_a_user_is_stored_by_a_start_that_went_well_alone(kit: TenantKit, shop: World) -> None:
    passkeys = kit.tenant().passkeys
    for data in (
        {"emailOrUsername": ""},
        {"emailOrUsername": "x" * 257},
        {"emailOrUsername": "ada", "passkeyDisplayName": "x" * 65},
        {"emailOrUsername": "ada", "additionalAllowedOrigin": "https://evil.example"},
        {"emailOrUsername": "ada", "additionalAllowedOrigin": "nothing"},
    ):
        assert not shop.run("StartPasskeyRegistration", userId="ada", **data).good
    shop.finish(browser().create({**shop.start("eve"), "challenge": "A" * 43}), "grace")
    assert kit.run(passkeys.find_user("ada")) is None
    assert kit.run(passkeys.find_user("grace")) is None


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    command=st.sampled_from(sorted(COMMANDS)),
    data=st.fixed_dictionaries(
        {},
        optional={
            "userId": st.text(max_size=260) | JSON,
            "emailOrUsername": st.text(max_size=260) | JSON,
            "userDisplayName": st.text(max_size=260) | JSON,
            "passkeyDisplayName": st.text(max_size=70) | JSON,
            "additionalAllowedOrigin": st.text(max_size=70).map(lambda text: f"https://{text}") | JSON,
            "credentialId": st.text(max_size=70) | JSON,
            "publicKey": JSON
            | st.fixed_dictionaries({"id": JSON, "response": st.fixed_dictionaries({"clientDataJSON": JSON})}),
        },
    ),
)
def test_whatever_the_members_are(http: Http, command: str, data: dict[str, Any]) -> None:
    checked(http.send({"command": command, "data": data}, HEADERS))


@pytest.mark.parametrize("end", ["à", "Å", "ü", "\N{NO-BREAK SPACE}"])
def test_a_key_of_other_letters_is_read_as_utf_8_to_its_last_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Also where that byte alone would be a space; spaces and tabs around it do not count."""
    key = f"a key of the shop, in its own file, {end}"
    monkeypatch.setitem(INTEGRATION_KEYS, "shop", key)
    with tenant_kit(tmp_path) as kit:
        client = Http(kit)
        for shown, status in ((key, 200), (f" {key}\t ", 200), (key[:-1], 401), (f"{key}x", 401)):
            headers = {"Authorization": b"Bearer " + shown.encode()}
            assert client.send({"command": "Ping", "data": {}}, headers).status_code == status
