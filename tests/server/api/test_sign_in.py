"""Signing in, and what the host or the application's server makes of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

from passkeycore.engine.passkeys.service import AsyncPasskeyService
from passkeycore.server.api import HANDLERS, SignIn, mounted_routes, visitor_binding
from passkeycore.server.api.visitors import COOKIE, LOCAL_COOKIE, cookie_name, csrf_token
from passkeycore.webauthn.encoding import encode_base64url
from passkeycore.webauthn.options import second_factor
from tests.server.api.examples import approval
from tests.server.api.kit import HOST_COOKIE, Api, Browser, begin_session, good, refused
from tests.server.kit import API_KEYS, ORIGINS, tenant_kit


def test_without_a_host_the_server_validates_the_token_of_a_sign_in_once(api: Api) -> None:
    members = api.browser().sign_in(api.new_passkey("ada"))
    assert members.keys() == {"user_id", "token"}
    proof = api.server("/server/actions/validate", token=members["token"], action="sign-in")
    assert (proof["user_id"], proof["method"], proof["user_verified"]) == ("ada", "passkey", True)
    again = api.send(
        "POST", "/server/actions/validate", {"token": members["token"], "action": "sign-in"}, token=API_KEYS["shop"]
    )
    refused(again, "token_invalid", 403)


def test_the_token_of_a_sign_in_is_none_for_anything_else(api: Api) -> None:
    token = api.browser().sign_in(api.new_passkey("ada"))["token"]
    for named in ({"action": "transfer"}, {"action": "sign-in", "user_id": "bob"}):
        answer = api.send("POST", "/server/actions/validate", {"token": token, **named}, token=API_KEYS["shop"])
        refused(answer, "token_invalid", 403)


def test_the_host_begins_its_session_by_the_answer_it_gives(api: Api) -> None:
    browser = api.host_browser()
    assert browser.begin()["signed_in"] is False
    client = api.new_passkey("ada")
    options = browser.post("/sign-in/passkey/start", {"autofill": True})["options"]
    assert options["mediation"] == "conditional"
    answer = browser.send("/sign-in/passkey/finish", {"response": client.get(options, mediation="conditional")})
    assert good(answer) == {"welcome": True}
    assert browser.client.http.cookies[HOST_COOKIE] == "ada"
    assert browser.begin()["signed_in"] is True
    assert len(good(browser.get("/me/passkeys"))["passkeys"]) == 1


async def _told_async(request: Request, done: SignIn) -> Mapping[str, Any]:
    return {"hello": done.user.name}


@pytest.mark.parametrize(
    ("on_sign_in", "expected"),
    [
        (lambda request, done: {"hello": done.user.name}, {"hello": "ada"}),
        (lambda request, done: None, {"user_id": "ada", "token": None}),
        (_told_async, {"hello": "ada"}),
    ],
    ids=["members", "nothing", "a coroutine"],
)
def test_the_host_may_answer_with_members_or_leave_the_answer_to_us(
    api: Api, on_sign_in: Any, expected: dict[str, Any]
) -> None:
    browser = api.host_browser(on_sign_in=on_sign_in)
    assert browser.sign_in(api.new_passkey("ada")) == expected


def test_the_host_may_say_who_is_signed_in_from_a_coroutine(api: Api) -> None:
    async def current_user(request: Request) -> str:
        return "ada"

    api.new_passkey("ada")
    assert len(good(api.host_browser(current_user=current_user).get("/me/passkeys"))["passkeys"]) == 1


def test_a_host_without_actions_is_told_by_the_passkey_alone(api: Api) -> None:
    passkeys = api.kit.tenant().passkeys
    served = mounted_routes(passkeys, on_sign_in=begin_session)
    app = Starlette(routes=[Mount("/passkeys", app=Starlette(routes=served, exception_handlers=HANDLERS))])
    browser = Browser(api.kit.client(app, base_url=ORIGINS["shop"]), "/passkeys", ORIGINS["shop"])
    assert browser.sign_in(api.new_passkey("ada")) == {"welcome": True}
    refused(browser.send("/sign-in/qr/start", {}), "not_found", 404)


def test_rules_that_block_a_sign_in_leave_nobody_signed_in(api: Api) -> None:
    client = api.new_passkey("ada")
    api.server("/server/users/disable", user_id="ada")
    browser = api.host_browser()
    options = browser.post("/sign-in/passkey/start")["options"]
    answer = browser.send("/sign-in/passkey/finish", {"response": client.get(options)})
    refused(answer, "user_disabled", 403)
    assert HOST_COOKIE not in browser.client.http.cookies


def test_another_browser_does_not_finish_what_one_began(api: Api) -> None:
    client = api.new_passkey("ada")
    options = api.browser().post("/sign-in/passkey/start")["options"]
    answer = api.browser().send("/sign-in/passkey/finish", {"response": client.get(options)})
    refused(answer, "challenge_unknown", 403)


def test_a_response_counts_once(api: Api) -> None:
    client, browser = api.new_passkey("ada"), api.browser()
    body = {"response": client.get(browser.post("/sign-in/passkey/start")["options"])}
    good(browser.send("/sign-in/passkey/finish", body))
    refused(browser.send("/sign-in/passkey/finish", body), "challenge_unknown", 403)


def test_a_passkey_of_the_bank_does_not_sign_in_at_the_shop(api: Api) -> None:
    client, browser = api.new_passkey("ada", tenant="bank"), api.browser("shop")
    options = api.browser("bank").post("/sign-in/passkey/start")["options"]
    refused(browser.send("/sign-in/passkey/finish", {"response": client.get(options)}), "challenge_unknown", 403)


def test_a_client_is_told_to_forget_a_passkey_that_is_not_known(api: Api) -> None:
    client, browser = api.new_passkey("ada"), api.browser()
    api.server("/server/users/remove", user_id="ada")
    options = browser.post("/sign-in/passkey/start")["options"]
    response = client.get(options)
    error = refused(browser.send("/sign-in/passkey/finish", {"response": response}), "no_credential", 403)
    assert error["signal"] == {"rpId": "shop.example.com", "credentialId": response["id"]}


def test_a_client_keeps_a_passkey_that_another_tenant_with_the_rp_id_knows(tmp_path: Path) -> None:
    shared = 'rp_id = "example.com"'
    with tenant_kit(tmp_path, shop_more=shared, bank_more=shared) as kit:
        api = Api(kit)
        client, browser = api.new_passkey("ada", tenant="bank"), api.browser()
        client.origin = ORIGINS["shop"]
        for is_known in (True, False):
            response = client.get(browser.post("/sign-in/passkey/start")["options"])
            error = refused(browser.send("/sign-in/passkey/finish", {"response": response}), "no_credential", 403)
            assert ("signal" in error) is not is_known
            kit.run(kit.tenant("bank").passkeys.remove_all_passkeys("ada"))


def test_a_sign_in_that_takes_too_long_is_told_so(api: Api) -> None:
    client, browser = api.new_passkey("ada"), api.browser()
    response = client.get(browser.post("/sign-in/passkey/start")["options"])
    api.kit.clock.pass_(301)
    answer = browser.send("/sign-in/passkey/finish", {"response": response})
    assert "too long" in refused(answer, "challenge_expired", 403)["message"]


def test_a_qr_code_signs_in_the_browser_that_shows_it_and_no_other(api: Api) -> None:
    device, browser = api.new_device("ada", "qr-code"), api.browser()
    challenge_id = browser.post("/sign-in/qr/start")["challenge_id"]
    assert browser.post("/sign-in/qr/poll", {"challenge_id": challenge_id}) == {"signed_in": None}
    api.post("/device/answer", approval(api, device, challenge_id))
    refused(api.browser().send("/sign-in/qr/poll", {"challenge_id": challenge_id}), "challenge_unknown", 403)
    signed_in = browser.post("/sign-in/qr/poll", {"challenge_id": challenge_id})["signed_in"]
    assert signed_in["user_id"] == "ada"
    proof = api.server("/server/actions/validate", token=signed_in["token"], action="sign-in")
    assert (proof["user_id"], proof["method"]) == ("ada", "qr-code")


def test_a_host_is_told_of_a_sign_in_by_a_device_as_well(api: Api) -> None:
    device, browser = api.new_device("ada", "qr-code"), api.host_browser()
    challenge_id = browser.post("/sign-in/qr/start")["challenge_id"]
    api.post("/device/answer", approval(api, device, challenge_id))
    assert browser.post("/sign-in/qr/poll", {"challenge_id": challenge_id}) == {"welcome": True}
    assert browser.client.http.cookies[HOST_COOKIE] == "ada"


def test_where_passkeys_are_a_second_factor_nobody_signs_in_by_one_alone(api: Api) -> None:
    shop = api.kit.tenant().passkeys.context
    passkeys = AsyncPasskeyService(
        shop.rp, api.kit.storage.repository, realm="shop", preset=second_factor(), now=api.kit.clock
    )
    app = Starlette(routes=mounted_routes(passkeys, on_sign_in=begin_session), exception_handlers=HANDLERS)
    browser = Browser(api.kit.client(app, base_url=ORIGINS["shop"]), "", ORIGINS["shop"])
    refused(browser.send("/sign-in/passkey/start", {}), "not_found", 404)


def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(api: Api) -> None:
    answer = api.browser().get("/session")
    cookie = answer.headers["set-cookie"]
    name, _, rest = cookie.partition("=")
    assert name == COOKIE
    assert {"path=/", "httponly", "samesite=lax", "secure"} <= {part.strip().lower() for part in rest.split(";")}
    assert "domain" not in rest.lower()
    assert rest.split(";")[0] not in answer.text


def test_a_browser_keeps_its_cookie_and_its_token(api: Api) -> None:
    browser = api.browser()
    first = browser.begin()
    answer = browser.get("/session")
    assert "set-cookie" not in answer.headers
    assert answer.json() == first
    assert api.browser().begin()["csrf_token"] != first["csrf_token"]


def test_the_cookie_has_no_prefix_where_every_origin_is_local() -> None:
    assert cookie_name(["http://localhost:3000", "http://app.localhost"]) == LOCAL_COOKIE
    assert cookie_name(["http://localhost:3000", "https://shop.example.com"]) == COOKIE
    assert cookie_name([]) == COOKIE


def test_tokens_against_forged_requests_are_each_for_one_browser_and_tenant() -> None:
    tokens = {csrf_token(visitor, tenant) for visitor in ("A" * 43, "B" * 43) for tenant in ("", "shop", "bank")}
    assert len(tokens) == 6


def test_the_host_validates_a_step_up_of_its_browser(api: Api) -> None:
    client, browser = api.new_passkey("ada"), api.host_browser("ada")
    options = browser.post("/me/step-up/start", {"purpose": "transfer:42"})["options"]
    members = {"purpose": "transfer:42", "response": client.get(options)}
    token = browser.post("/me/step-up/finish", members)["step_up_token"]
    passkeys = api.kit.tenant().passkeys
    binding = visitor_binding(passkeys, dict(browser.client.http.cookies))
    assert binding is not None
    proof = passkeys.validate_step_up(token, user_id="ada", purpose="transfer:42", binding=binding)
    assert api.kit.run(proof) == api.kit.clock.time
    assert visitor_binding(passkeys, {}) is None


def test_a_page_does_not_ask_for_what_is_the_engines_own(api: Api) -> None:
    api.new_passkey("ada")
    browser = api.host_browser("ada")
    answer = browser.send("/me/step-up/start", {"purpose": "passkeycore/sign-in sign-in"})
    refused(answer, "json_invalid", 400)


def test_an_unknown_credential_fails_like_a_bad_signature_for_a_named_user(api: Api) -> None:
    start = {"user_id": "nobody", "binding": "the session of a browser"}
    options = api.server("/server/second-factor/start", **start)["options"]
    assert options["allowCredentials"]  # decoys
    stranger = api.new_passkey("stranger")
    real = dict(stranger.get({**options, "allowCredentials": []}))
    real["id"] = real["rawId"] = encode_base64url(bytes(32))
    answer = api.send("POST", "/server/second-factor/finish", {**start, "response": real}, token=API_KEYS["shop"])
    assert refused(answer, status=403)["code"] in {"signature_invalid", "credential_not_allowed"}
