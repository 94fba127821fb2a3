"""Nobody but the caller that a route is for: every route against everything that must not open it, from the table.

A new route is in here by itself. What is refused is refused in our form, before the body is read, and stores nothing.
Another user of the same tenant is in `test_ownership`.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any, Final

import httpx
import pytest

from passkeycore.server.api.calls import CALLERS, Caller, Row
from passkeycore.server.api.rows import ROWS
from passkeycore.server.api.visitors import COOKIE, csrf_token
from passkeycore.server.tenancy.keys import create_key, revoke_key
from passkeycore.testing import SoftwareDevice
from passkeycore.tokens import Tokens
from passkeycore.webauthn.encoding import encode_base64url
from tests.server.api.examples import DEVICE_BODIES, met, new_device_members
from tests.server.api.kit import HOST_COOKIE, Api, Browser, good, refused
from tests.server.kit import API_KEYS, INTEGRATION_KEYS, ORIGINS, RP_IDS

Attack = Callable[[Api, Row], tuple[Callable[[], httpx.Response], set[str]]]
"""What was prepared, to be sent, and by which codes it may be refused."""

_NUMBERS: Final = count()
UNAUTHORIZED: Final = {"unauthorized"}
BAD_TOKEN: Final = {"token_invalid"}


def _with_bearer(bearer: str | None, codes: set[str], tenant: str = "shop") -> Attack:
    def attack(api: Api, row: Row) -> tuple[Callable[[], httpx.Response], set[str]]:
        return lambda: api.send(row.method, row.path, {}, token=bearer, tenant=tenant), codes

    return attack


def _with_header(value: str, codes: set[str]) -> Attack:
    def attack(api: Api, row: Row) -> tuple[Callable[[], httpx.Response], set[str]]:
        return lambda: api.send(row.method, row.path, {}, headers={"Authorization": value}), codes

    return attack


def _with_token(make: Callable[[Api, Row], str], codes: set[str], tenant: str = "shop") -> Attack:
    def attack(api: Api, row: Row) -> tuple[Callable[[], httpx.Response], set[str]]:
        token = make(api, row)
        return lambda: api.send(row.method, row.path, {}, token=token, tenant=tenant), codes

    return attack


def _allowed(api: Api, row: Row, tenant: str = "shop") -> str:
    """A token that would open the route."""
    return api.track("ada", tenant=tenant, scope=[] if row.scope is None else [row.scope])


def _expired(api: Api, row: Row) -> str:
    token = _allowed(api, row)
    api.kit.clock.pass_(601)
    return token


def _tampered(api: Api, row: Row) -> str:
    token = _allowed(api, row)
    return token[:-2] + ("AA" if token[-2:] != "AA" else "BA")


def _of_another_server(api: Api, row: Row) -> str:
    now = api.kit.clock.time
    claims: dict[str, Any] = {"kind": "track", "realm": "shop", "for": "", "at": 0}
    other = Tokens([b"the secret of some other server, 32 bytes"])
    return other.issue("passkeycore/action", claims, expires_at=now + timedelta(minutes=10), now=now)


def _of_somebody_removed(api: Api, row: Row) -> str:
    api.new_passkey("leaving")
    token = api.track("leaving")
    api.server("/server/users/remove", user_id="leaving")
    return token


def _enrolment_token(api: Api, row: Row) -> str:
    token: str = api.server("/server/devices/enrolment", user_id="ada", user_name="Ada")["token"]
    return token


def _revoked(api: Api, row: Row) -> str:
    tenant = api.kit.tenant("shop")
    made = api.kit.run(create_key(tenant, api.kit.settings.secrets, "api", row.name[:64]))
    api.kit.run(revoke_key(tenant, made.key.key_id))
    return made.text


def _stored_of_the_bank(api: Api, row: Row) -> str:
    return api.kit.run(create_key(api.kit.tenant("bank"), api.kit.settings.secrets, "api", row.name[:64])).text


def _without_scope(api: Api, row: Row) -> str:
    scopes = {"read:authenticators", "remove:authenticators", "add:authenticators", row.scope}
    return api.track("ada", scope=sorted(scope for scope in scopes if scope not in (None, row.scope)))


TOKEN: Final[dict[str, Attack]] = {
    "nothing": _with_bearer(None, UNAUTHORIZED),
    "no scheme": _with_header("token", UNAUTHORIZED),
    "basic": _with_header("Basic c2hvcDo=", UNAUTHORIZED),
    "an empty token": _with_header("Bearer  ", UNAUTHORIZED),
    "far too long": _with_header("Bearer " + "x" * 17_000, UNAUTHORIZED),
    "no token": _with_bearer("no-token", BAD_TOKEN),
    "an API key": _with_bearer(API_KEYS["shop"], BAD_TOKEN),
    "tampered with": _with_token(_tampered, BAD_TOKEN),
    "another server's": _with_token(_of_another_server, BAD_TOKEN),
    "the bank's": _with_token(lambda api, row: _allowed(api, row, "bank"), BAD_TOKEN),
    "for the bank": _with_token(_allowed, BAD_TOKEN, tenant="bank"),
    "for nobody": _with_token(_allowed, {"not_found"}, tenant="nobody"),
    "expired": _with_token(_expired, {"token_expired"}),
    "of somebody removed": _with_token(_of_somebody_removed, BAD_TOKEN),
    "for something else": _with_token(_enrolment_token, BAD_TOKEN),
}
SCOPED: Final[dict[str, Attack]] = {
    "of another scope": _with_token(_without_scope, {"scope_missing"}),
    "of a challenge that was not met": _with_token(_allowed, {"action_state"}),
}

SERVER: Final[dict[str, Attack]] = {
    "nothing": _with_bearer(None, UNAUTHORIZED),
    "basic": _with_header("Basic c2hvcDo=", UNAUTHORIZED),
    "no key": _with_bearer("pks_0123456789abcdef_" + "A" * 43, UNAUTHORIZED),
    "a key that is nearly right": _with_bearer(API_KEYS["shop"][:-1], UNAUTHORIZED),
    "an integration key": _with_bearer(INTEGRATION_KEYS["shop"], UNAUTHORIZED),
    "the bank's": _with_bearer(API_KEYS["bank"], UNAUTHORIZED),
    "the bank's, stored": _with_token(_stored_of_the_bank, UNAUTHORIZED),
    "for the bank": _with_bearer(API_KEYS["shop"], UNAUTHORIZED, tenant="bank"),
    "for nobody": _with_bearer(API_KEYS["shop"], {"not_found"}, tenant="nobody"),
    "revoked": _with_token(_revoked, UNAUTHORIZED),
    "a token of an action": _with_token(_allowed, UNAUTHORIZED),
}


def _by_page(change: Callable[[Browser], Mapping[str, str | None]], codes: set[str]) -> Attack:
    """A page that would be let through, but for one thing."""

    def attack(api: Api, row: Row) -> tuple[Callable[[], httpx.Response], set[str]]:
        browser = api.host_browser("ada") if row.caller == "user" else api.browser()
        browser.begin()
        headers = change(browser)
        if row.method == "GET":
            origin = headers.get("origin", browser.origin)
            return lambda: browser.get(row.path, None if origin is None else {"Origin": origin}), codes
        return lambda: browser.send(row.path, {}, **headers), codes

    return attack


def _without_cookie(browser: Browser) -> Mapping[str, str | None]:
    browser.client.http.cookies.delete(COOKIE)
    return {}


def _with_cookie(value: str) -> Callable[[Browser], Mapping[str, str | None]]:
    def change(browser: Browser) -> Mapping[str, str | None]:
        _without_cookie(browser)
        browser.client.http.cookies.set(COOKIE, value)
        return {}

    return change


def _signed_out(browser: Browser) -> Mapping[str, str | None]:
    browser.client.http.cookies.delete(HOST_COOKIE)
    return {}


def _csrf_of_the_bank(browser: Browser) -> Mapping[str, str | None]:
    return {"csrf": csrf_token(str(browser.client.http.cookies[COOKIE]), "bank")}


ORIGIN: Final[dict[str, Attack]] = {
    name: _by_page(lambda browser, origin=origin: {"origin": origin}, {"foreign_origin"})  # type: ignore[misc]
    for name, origin in {
        "the bank's page": ORIGINS["bank"],
        "a page without an origin": "null",
        "a page on another port": ORIGINS["shop"] + ":8443",
        "a page without TLS": "http://shop.example.com",
        "a page below": "https://evil.shop.example.com",
        "a page with a like name": "https://shop.example.com.evil.example",
    }.items()
}
POSTED: Final[dict[str, Attack]] = {
    "no origin": _by_page(lambda browser: {"origin": None}, {"foreign_origin"}),
    "no cookie": _by_page(_without_cookie, {"visitor_unknown"}),
    "a cookie of no form": _by_page(_with_cookie("short"), {"visitor_unknown"}),
    "somebody else's cookie": _by_page(_with_cookie("A" * 43), {"csrf_token_invalid"}),
    "no token": _by_page(lambda browser: {"csrf": None}, {"csrf_token_invalid"}),
    "another token": _by_page(lambda browser: {"csrf": csrf_token("B" * 43, "shop")}, {"csrf_token_invalid"}),
    "the bank's token": _by_page(_csrf_of_the_bank, {"csrf_token_invalid"}),
}
USER: Final[dict[str, Attack]] = {"nobody is signed in": _by_page(_signed_out, {"sign_in_required"})}


def _changed(change: Callable[[Api, dict[str, Any]], Mapping[str, Any]], codes: set[str]) -> Attack:
    def attack(api: Api, row: Row) -> tuple[Callable[[], httpx.Response], set[str]]:
        members = DEVICE_BODIES[row.path](api, f"{row.name} {next(_NUMBERS)}")
        sent = {**members, **change(api, members)}
        sent = {name: value for name, value in sent.items() if value is not None}
        return lambda: api.send(row.method, row.path, sent), codes

    return attack


def _other_device(api: Api, members: dict[str, Any]) -> Mapping[str, Any]:
    return {"public_key": encode_base64url(SoftwareDevice("nobody's").public_key)}


def _other_signature(api: Api, members: dict[str, Any]) -> Mapping[str, Any]:
    return {"signature": encode_base64url(SoftwareDevice("nobody's").sign(b"anything"))}


def _late(api: Api, members: dict[str, Any]) -> Mapping[str, Any]:
    api.kit.clock.pass_(1_801)
    return {}


def _at_the_bank(api: Api, row: Row) -> tuple[Callable[[], httpx.Response], set[str]]:
    members = DEVICE_BODIES[row.path](api, f"{row.name} {next(_NUMBERS)}")
    codes = {"signature_invalid", "challenge_unknown", "token_invalid"}
    return lambda: api.send(row.method, row.path, members, tenant="bank"), codes


DEVICE: Final[dict[str, Attack]] = {
    "no signature": _changed(lambda api, members: {"signature": None}, {"json_invalid"}),
    "no key": _changed(lambda api, members: {"public_key": None}, {"json_invalid"}),
    "an empty signature": _changed(lambda api, members: {"signature": ""}, {"signature_invalid"}),
    "another key's signature": _changed(_other_signature, {"signature_invalid"}),
    "an unknown key": _changed(_other_device, {"signature_invalid"}),
    "no point of the curve": _changed(
        lambda api, members: {"public_key": encode_base64url(bytes(91))}, {"public_key_malformed"}
    ),
    "too late": _changed(_late, {"signature_invalid", "challenge_expired", "challenge_unknown", "token_expired"}),
    "at the bank": _at_the_bank,
}

ATTACKS: Final[Mapping[Caller, dict[str, Attack]]] = {
    "anyone": {},
    "visitor": ORIGIN | POSTED,
    "user": ORIGIN | POSTED | USER,
    "token": TOKEN,
    "device": DEVICE,
    "server": SERVER,
}


def attacks_on(row: Row) -> dict[str, Attack]:
    """Those that its caller is made for; where a page only reads, no token against forged requests is asked for."""
    attacks = ATTACKS[row.caller] | (SCOPED if row.scope is not None else {})
    is_read = row.method == "GET" and row.caller in ("visitor", "user")
    return {name: attack for name, attack in attacks.items() if not (is_read and name in POSTED)}


CASES: Final = [
    pytest.param(row, attack, id=f"{row.name}: {name}") for row in ROWS for name, attack in attacks_on(row).items()
]


@pytest.mark.parametrize(("row", "attack"), CASES)
def test_nobody_else_gets_through(shared_api: Api, row: Row, attack: Attack) -> None:
    send, codes = attack(shared_api, row)
    before = shared_api.stored()
    error = refused(send())
    assert error["code"] in codes
    if row.caller != "device":  # where a wrong answer is counted, and noted
        assert shared_api.stored() == before


def _listing(api: Api, user: str, scope: list[str]) -> tuple[str, dict[str, Any]]:
    return met(api, user, scope=scope)[0], {}


def _removal(api: Api, user: str, scope: list[str]) -> tuple[str, dict[str, Any]]:
    token, _ = met(api, user, scope=scope)
    api.new_device(user)
    listed = api.server("/server/authenticators", user_id=user)["authenticators"]
    return token, {"authenticator_id": listed[1]["authenticator_id"]}


def _another_passkey(api: Api, user: str, scope: list[str]) -> tuple[str, dict[str, Any]]:
    api.new_passkey(user)
    return api.track(user, scope=scope), {"user_name": user}


def _passkey_made(api: Api, user: str, scope: list[str]) -> tuple[str, dict[str, Any]]:
    """It was begun as the user's first, which anybody with a token may add; meanwhile it is not any more."""
    token = api.track(user, scope=scope)
    options = api.post("/action/register/start", {"user_name": user}, token=token)["options"]
    api.new_passkey(user)
    return token, {"response": api.kit.virtual_client(seed=f"second {user}").create(options)}


def _another_device(api: Api, user: str, scope: list[str]) -> tuple[str, dict[str, Any]]:
    token, members = _another_passkey(api, user, scope)
    device = SoftwareDevice(user, domain=RP_IDS["shop"])
    return token, members | new_device_members(device, token)


_SCOPED_BODIES: Final[Mapping[str, tuple[str, Callable[[Api, str, list[str]], tuple[str, dict[str, Any]]]]]] = {
    "/action/authenticators": ("read:authenticators", _listing),
    "/action/authenticators/remove": ("remove:authenticators", _removal),
    "/action/register/start": ("add:authenticators", _another_passkey),
    "/action/register/finish": ("add:authenticators", _passkey_made),
    "/action/device/enrol": ("add:authenticators", _another_device),
}
"""What each scope opens, and a request of somebody with a passkey that is whole. The last three the engine judges."""


@pytest.mark.parametrize("path", _SCOPED_BODIES)
def test_the_same_request_is_refused_without_its_scope_and_done_with_it(shared_api: Api, path: str) -> None:
    needed, make = _SCOPED_BODIES[path]
    others = sorted({scope for scope, _ in _SCOPED_BODIES.values()} - {needed})
    token, members = make(shared_api, f"without {path}", others)
    before = shared_api.things_of(f"without {path}")
    refused(shared_api.send("POST", path, members, token=token), "scope_missing", 403)
    assert shared_api.things_of(f"without {path}") == before
    token, members = make(shared_api, f"with {path}", [needed])
    good(shared_api.send("POST", path, members, token=token))


def test_every_route_that_takes_a_scope_is_tried_with_one() -> None:
    tokens = [row for row in ROWS if row.caller == "token"]
    adding = {row.path for row in tokens if "/register/" in row.path or row.path.endswith("/enrol")}
    assert _SCOPED_BODIES.keys() == adding | {row.path for row in tokens if row.scope is not None}
    assert {_SCOPED_BODIES[row.path][0] for row in tokens if row.scope is not None} == {
        row.scope for row in tokens if row.scope is not None
    }


@pytest.mark.parametrize("row", [row for row in ROWS if row.caller == "user"], ids=lambda row: row.name)
def test_somebody_who_is_disabled_does_nothing_though_the_host_has_them_signed_in(shared_api: Api, row: Row) -> None:
    user = f"disabled {row.name}"
    browser = shared_api.host_browser(user)
    browser.begin()
    shared_api.new_passkey(user)
    shared_api.server("/server/users/disable", user_id=user)
    answer = browser.get(row.path) if row.method == "GET" else browser.send(row.path, {})
    refused(answer, "user_disabled", 403)


@pytest.mark.parametrize("row", [row for row in ROWS if row.caller == "user"], ids=lambda row: row.name)
def test_a_server_without_a_host_has_nobody_signed_in(shared_api: Api, row: Row) -> None:
    refused(shared_api.send(row.method, row.path, None if row.method == "GET" else {}), "not_found", 404)


@pytest.mark.parametrize("row", [row for row in ROWS if row.caller == "server"], ids=lambda row: row.name)
def test_a_host_that_mounts_it_serves_no_servers(shared_api: Api, row: Row) -> None:
    browser = shared_api.host_browser("ada")
    refused(browser.send(row.path, {}), "not_found", 404)


def test_what_anyone_may_call_is_a_short_list() -> None:
    assert {row.path for row in ROWS if row.caller == "anyone"} == {"/sign-in/in-app/start"}
    assert {row.path for row in ROWS if row.caller == "visitor" and row.method == "GET"} == {"/session"}
    assert ATTACKS.keys() == set(CALLERS)
