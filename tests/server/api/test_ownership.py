"""Whoever is let through touches what is theirs, and nothing of anybody else's."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import httpx
import pytest

from passkeycore.server.api.calls import Row
from passkeycore.server.api.rows import ROWS
from passkeycore.testing import SoftwareDevice
from tests.server.api.examples import SESSION, TOKEN_BODIES, USER_BODIES, key_of, met, new_device_members
from tests.server.api.kit import HOST_COOKIE, Api, Json, good, refused
from tests.server.kit import API_KEYS, RP_IDS

SHOP = API_KEYS["shop"]


ITS_OWN: Final[Mapping[str, str]] = {
    "/action": "the token says whose action is shown",
    "/action/passkey/start": "the token says whose passkeys are asked for",
    "/action/device/start": "the token says whose devices are asked",
    "/action/register/start": "the token says whose passkey it will be; the name is only shown",
    "/action/authenticators": "the token says whose are listed",
    "/me/passkeys": "the session says whose are listed",
    "/me/passkeys/register/start": "the session says whose passkey it will be; the name is only shown",
    "/me/passkeys/should-prompt": "the session says whose passkeys are looked at",
    "/me/step-up/start": "the session says who is asked",
    "/me/devices": "the session says whose are listed",
    "/me/devices/enrolment": "the session says whose device it will be; the name is only shown",
}
"""Routes whose body names nothing of anybody's, and why: what Ada would send is Eve's own request when Eve sends it."""

ECHOED: Final = {"/action/register/start", "/me/passkeys/register/start"}
"""Of those: what answers with the name that was sent."""

SPENT: Final = {
    "/action/passkey/finish",
    "/action/register/finish",
    "/me/passkeys/register/finish",
    "/me/step-up/finish",
}
"""Where a WebAuthn ceremony is spent by any response to it, whoever sends it: Ada begins again."""

CODES: Final = {"challenge_unknown", "no_credential", "signature_invalid"}
"""By what anything else is refused: none of them says that what was named is there, and somebody else's."""

Signed = tuple[SoftwareDevice, Callable[[SoftwareDevice], Json]]
"""A user's device, and what it would send, as signed by this device."""


def _answered_in_app(api: Api, user: str) -> Signed:
    device = api.new_device(user, "in-app")
    start = api.post("/sign-in/in-app/start")
    named = {"challenge_id": start["challenge_id"]}
    shown = {"purpose": start["purpose"], "content": start["content"]}
    return device, lambda by: named | key_of(device, by.answer(start["challenge_id"], "approve", **shown))


def _enrolled(api: Api, user: str) -> Signed:
    token = api.server("/server/devices/enrolment", user_id=user, user_name=user)["token"]
    device = SoftwareDevice(f"shop {user}", domain=RP_IDS["shop"])
    members = {"token": token, **new_device_members(device, token)}
    return device, lambda by: members | key_of(device, by.enrol(token, public_key=device.public_key))


def _by_itself(sign: Callable[[SoftwareDevice, str, int], bytes], **members: str) -> Callable[[Api, str], Signed]:
    def make(api: Api, user: str) -> Signed:
        device, at = api.new_device(user), api.seconds
        own = api.server("/server/authenticators", user_id=user)["authenticators"][0]["authenticator_id"]
        named = {"method": "push", "issued_at": at, **members}
        return device, lambda by: named | key_of(device, sign(by, own, at))

    return make


def _claimed(api: Api, user: str) -> Signed:
    device = api.new_device(user, "qr-code")
    start = api.post("/action/device/start", {"method": "qr-code"}, token=api.track(user))
    challenge_id = start["challenge_id"]
    return device, lambda by: {"challenge_id": challenge_id, **key_of(by, by.claim(challenge_id))}


def _answered(api: Api, user: str) -> Signed:
    device, token = api.new_device(user), api.track(user)
    start = api.post("/action/device/start", {"method": "push"}, token=token)
    fetched = {"method": "push", "issued_at": api.seconds, **key_of(device, device.fetch(issued_at=api.seconds))}
    shown = api.post("/device/pending", fetched)["challenge"]
    named = {"challenge_id": start["challenge_id"], "decision": "approve"}
    return device, lambda by: named | key_of(by, by.answer(start["challenge_id"], "approve", purpose=shown["purpose"]))


SIGNED: Final[Mapping[str, Callable[[Api, str], Signed]]] = {
    "/sign-in/in-app/finish": _answered_in_app,
    "/device/enrol": _enrolled,
    "/device/update": _by_itself(lambda by, own, at: by.update(own, issued_at=at, push_token="new"), push_token="new"),
    "/device/remove": _by_itself(lambda by, own, at: by.remove(own, issued_at=at)),
    "/device/pending": _by_itself(lambda by, own, at: by.fetch(issued_at=at)),
    "/device/claim": _claimed,
    "/device/answer": _answered,
}
"""What a device sends, by the path of the route. Another user's device that is known itself shows its own key where the
challenge alone says whose it is, and the owner's where the key does."""


def _by_token(api: Api, row: Row, ada: str, eve: str) -> tuple[Callable[[], httpx.Response], ...]:
    token, members = TOKEN_BODIES[row.path](api, ada)
    of_eve, _ = TOKEN_BODIES[row.path](api, eve)
    return tuple(partial(api.send, row.method, row.path, members, token=each) for each in (of_eve, token))


def _by_user(api: Api, row: Row, ada: str, eve: str) -> tuple[Callable[[], httpx.Response], ...]:
    browsers = api.host_browser(eve), api.host_browser(ada)
    USER_BODIES[row.path](api, eve, browsers[0])
    members = USER_BODIES[row.path](api, ada, browsers[1])
    if members is None:
        return tuple(partial(browser.get, row.path) for browser in browsers)
    return tuple(partial(browser.send, row.path, members) for browser in browsers)


def _by_device(api: Api, row: Row, ada: str, eve: str) -> tuple[Callable[[], httpx.Response], ...]:
    device, make = SIGNED[row.path](api, ada)
    other = api.new_device(eve, device.method)
    return tuple(partial(api.send, row.method, row.path, make(each)) for each in (other, device))


FOREIGN_USER: Final = {"token": _by_token, "user": _by_user, "device": _by_device}
"""By the caller: what sends Ada's request as Eve, who may send one of her own, and what sends it as Ada."""


def is_refused_or_her_own(row: Row, answer: httpx.Response, ada: str) -> None:
    """Returns only if Eve, who sent Ada's request, was refused, or was answered with nothing of Ada's."""
    if row.path not in ITS_OWN:
        assert refused(answer)["code"] in CODES
        return
    members = good(answer)
    assert row.path in ECHOED or ada not in json.dumps(members)


@pytest.mark.parametrize("row", [row for row in ROWS if row.caller in FOREIGN_USER], ids=lambda row: row.name)
def test_what_one_user_may_do_no_other_user_does_to_them(shared_api: Api, row: Row) -> None:
    ada, eve = f"ada {row.name}", f"eve {row.name}"
    as_eve, as_ada = FOREIGN_USER[row.caller](shared_api, row, ada, eve)
    before = shared_api.things_of(ada)
    is_refused_or_her_own(row, as_eve(), ada)
    assert shared_api.things_of(ada) == before
    if row.path in SPENT:
        refused(as_ada(), "challenge_unknown", 403)
    else:
        good(as_ada())


@pytest.mark.parametrize("row", [row for row in ROWS if row.caller == "user"], ids=lambda row: row.name)
def test_whoever_signs_in_next_in_a_browser_goes_on_with_nothing_of_the_last_one(shared_api: Api, row: Row) -> None:
    ada, eve = f"ada first {row.name}", f"eve next {row.name}"
    browser = shared_api.host_browser(ada)
    members = USER_BODIES[row.path](shared_api, ada, browser)
    shared_api.new_passkey(eve)
    before = shared_api.things_of(ada)
    browser.client.http.cookies.set(HOST_COOKIE, eve)
    answer = browser.get(row.path) if members is None else browser.send(row.path, members)
    is_refused_or_her_own(row, answer, ada)
    assert shared_api.things_of(ada) == before


def test_every_route_of_users_own_is_tried_by_somebody_else() -> None:
    tried = TOKEN_BODIES.keys() | USER_BODIES.keys() | SIGNED.keys()
    assert tried == {row.path for row in ROWS if row.caller in FOREIGN_USER}
    assert tried >= ITS_OWN.keys()


@pytest.mark.parametrize(
    ("path", "members"),
    [("/me/passkeys/rename", {"name": "Mine"}), ("/me/passkeys/remove", {})],
    ids=["rename", "remove"],
)
def test_nobody_changes_a_passkey_of_somebody_elses(api: Api, path: str, members: dict[str, str]) -> None:
    api.new_passkey("ada")
    api.new_passkey("bob")
    ada = good(api.host_browser("ada").get("/me/passkeys"))
    named = {"credential_id": ada["passkeys"][0]["credential_id"], **members}
    refused(api.host_browser("bob").send(path, named), "no_credential", 403)
    assert good(api.host_browser("ada").get("/me/passkeys")) == ada


@pytest.mark.parametrize(
    ("path", "members"),
    [("/me/devices/rename", {"name": "Mine"}), ("/me/devices/remove", {})],
    ids=["rename", "remove"],
)
def test_nobody_changes_a_device_of_somebody_elses(api: Api, path: str, members: dict[str, str]) -> None:
    api.new_device("ada")
    api.new_device("bob")
    ada = good(api.host_browser("ada").get("/me/devices"))
    named = {"authenticator_id": ada["devices"][0]["authenticator_id"], **members}
    refused(api.host_browser("bob").send(path, named), "no_credential", 403)
    assert good(api.host_browser("ada").get("/me/devices")) == ada


def test_nobody_finishes_a_registration_that_somebody_else_began_in_the_same_browser(api: Api) -> None:
    browser = api.host_browser("ada")
    options = browser.post("/me/passkeys/register/start", {"user_name": "Ada"})["options"]
    browser.client.http.cookies.set("host_session", "bob")
    made = api.kit.virtual_client().create(options)
    refused(browser.send("/me/passkeys/register/finish", {"response": made}), "challenge_unknown", 403)


def test_a_token_meets_its_own_challenge_only(api: Api) -> None:
    ada, bob = api.new_passkey("ada"), api.new_passkey("bob")
    of_ada, of_bob = api.track("ada"), api.track("bob")
    options = api.post("/action/passkey/start", token=of_ada)["options"]
    refused(api.send("POST", "/action/passkey/finish", {"response": ada.get(options)}, token=of_bob))
    options = api.post("/action/passkey/start", token=of_bob)["options"]
    other = {"response": bob.get(options)}
    refused(api.send("POST", "/action/passkey/finish", other, token=of_ada), "challenge_unknown", 403)
    assert api.post("/action", token=of_ada)["state"] == "CHALLENGE_REQUIRED"


def test_a_token_polls_its_own_device_challenge_only(api: Api) -> None:
    api.new_device("ada")
    start = api.post("/action/device/start", {"method": "push"}, token=api.track("ada"))
    named = {"challenge_id": start["challenge_id"]}
    for other in (api.track("ada"), api.track("bob")):
        refused(api.send("POST", "/action/device/poll", named, token=other), "challenge_unknown", 403)
        refused(api.send("POST", "/action/cancel", named, token=other), "challenge_unknown", 403)


def test_the_token_from_track_proves_nothing(api: Api) -> None:
    api.new_passkey("ada")
    answer = api.send("POST", "/server/actions/validate", {"token": api.track("ada"), "action": "transfer"}, token=SHOP)
    refused(answer, "action_state", 403)


def test_a_proof_is_for_its_user_its_action_and_its_tenant_and_counts_once(api: Api) -> None:
    _, proof = met(api, "ada")
    for wrong in ({"user_id": "bob"}, {"action": "sign-in"}):
        members = {"token": proof, "action": "transfer", **wrong}
        refused(api.send("POST", "/server/actions/validate", members, token=SHOP), "token_invalid", 403)
    at_the_bank = {"token": proof, "action": "transfer"}
    answer = api.send("POST", "/server/actions/validate", at_the_bank, token=API_KEYS["bank"], tenant="bank")
    refused(answer, "token_invalid", 403)
    named = {"token": proof, "action": "transfer", "user_id": "ada"}
    assert api.server("/server/actions/validate", **named, consume=False)["consumed_at"] is None
    assert api.server("/server/actions/validate", **named)["consumed_at"] is not None
    refused(api.send("POST", "/server/actions/validate", named, token=SHOP), "token_invalid", 403)


def test_a_second_authenticator_takes_a_token_that_allows_it(api: Api) -> None:
    api.new_passkey("ada")
    asked = {"user_name": "Ada"}
    refused(api.send("POST", "/action/register/start", asked, token=api.track("ada")), "scope_missing", 403)
    token = api.track("ada")
    device = new_device_members(SoftwareDevice("new", domain="shop.example.com"), token)
    refused(api.send("POST", "/action/device/enrol", device, token=token), "scope_missing", 403)
    good(api.send("POST", "/action/register/start", asked, token=api.track("ada", scope=["add:authenticators"])))


def test_a_token_removes_what_is_its_users_and_tells_what_is_left(api: Api) -> None:
    scope = ["read:authenticators", "remove:authenticators"]
    api.new_device("bob")
    of_bob = api.server("/server/authenticators", user_id="bob")["authenticators"][0]["authenticator_id"]
    token, _ = met(api, "ada", scope=scope)
    api.new_device("ada")
    listed = api.post("/action/authenticators", token=token)["authenticators"]
    assert [each["method"] for each in listed] == ["passkey", "push"]
    answer = api.send("POST", "/action/authenticators/remove", {"authenticator_id": of_bob}, token=token)
    refused(answer, "no_credential", 403)
    removal = {"authenticator_id": listed[1]["authenticator_id"]}
    assert api.post("/action/authenticators/remove", removal, token=token)["authenticators"] == listed[:1]


def test_a_token_whose_passkey_was_removed_removes_nothing(api: Api) -> None:
    token, _ = met(api, "ada", scope=["remove:authenticators"])
    api.new_device("ada")
    listed = api.server("/server/authenticators", user_id="ada")["authenticators"]
    api.server("/server/authenticators/remove", user_id="ada", authenticator_id=listed[0]["authenticator_id"])
    removal = {"authenticator_id": listed[1]["authenticator_id"]}
    refused(api.send("POST", "/action/authenticators/remove", removal, token=token), "token_invalid", 403)


def test_a_token_of_somebody_disabled_removes_nothing(api: Api) -> None:
    token, _ = met(api, "ada", scope=["read:authenticators"])
    api.server("/server/users/disable", user_id="ada")
    refused(api.send("POST", "/action/authenticators", {}, token=token), "token_invalid", 403)


def test_servers_of_a_tenant_see_nobody_of_another(api: Api) -> None:
    api.new_passkey("ada")
    bank = API_KEYS["bank"]
    for path in ("get", "rename", "disable", "enable", "remove"):
        members = {"user_id": "ada"} | ({"name": "Eve"} if path == "rename" else {})
        refused(api.send("POST", f"/server/users/{path}", members, token=bank, tenant="bank"), "user_not_found", 403)
    assert api.server("/server/authenticators", tenant="bank", user_id="ada") == {"authenticators": []}
    assert api.server("/server/users/get", user_id="ada")["disabled_at"] is None


def test_what_a_device_shows_is_for_servers_to_say(api: Api) -> None:
    device, token = api.new_device("ada"), api.track("ada")
    answer = api.send("POST", "/action/device/start", {"method": "push", "content": "Pay Eve"}, token=token)
    refused(answer, "json_invalid", 400)
    start = api.server("/server/actions/device/start", token=token, method="push", content="Pay 42 EUR to Bob")
    assert start["devices"][0]["push_token"] == "push here"
    fetched = {"method": "push", "issued_at": api.seconds, **key_of(device, device.fetch(issued_at=api.seconds))}
    shown = api.post("/device/pending", fetched)["challenge"]
    assert shown["content"] == "Pay 42 EUR to Bob"
    signature = device.answer(shown["challenge_id"], "approve", purpose=shown["purpose"], content=shown["content"])
    decision = {"challenge_id": shown["challenge_id"], "decision": "approve", **key_of(device, signature)}
    api.post("/device/answer", decision)
    assert api.post("/action/device/poll", {"challenge_id": shown["challenge_id"]}, token=token)["token"]


def test_a_rejection_ends_the_action(api: Api) -> None:
    device, token = api.new_device("ada"), api.track("ada")
    start = api.post("/action/device/start", {"method": "push"}, token=token)
    fetched = {"method": "push", "issued_at": api.seconds, **key_of(device, device.fetch(issued_at=api.seconds))}
    shown = api.post("/device/pending", fetched)["challenge"]
    signature = device.answer(start["challenge_id"], "reject", purpose=shown["purpose"])
    api.post(
        "/device/answer", {"challenge_id": start["challenge_id"], "decision": "reject", **key_of(device, signature)}
    )
    assert api.post("/action", token=token)["state"] == "CHALLENGE_FAILED"


def test_a_question_of_a_servers_is_answered_once_for_whoever_asked(api: Api) -> None:
    device = api.new_device("ada")
    asked = {"user_id": "ada", "binding": SESSION, "purpose": "transfer:42"}
    start = api.server("/server/device-challenges/start", method="push", number_matching=True, **asked)
    named = {"challenge_id": start["challenge_id"], **asked}
    assert api.server("/server/device-challenges/poll", **named)["state"] == "pending"
    code = start["verification_code"]
    signature = device.answer(start["challenge_id"], "approve", purpose="transfer:42", verification_code=code)
    approve = {"challenge_id": start["challenge_id"], "decision": "approve", "verification_code": code}
    api.post("/device/answer", {**approve, **key_of(device, signature)})
    other = {**named, "binding": "the session of another"}
    refused(api.send("POST", "/server/device-challenges/poll", other, token=SHOP), "challenge_unknown", 403)
    done = api.server("/server/device-challenges/poll", **named)
    assert (done["state"], done["user_id"]) == ("approved", "ada")
    refused(api.send("POST", "/server/device-challenges/poll", named, token=SHOP), "challenge_unknown", 403)


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "javascript:alert(1)", "https://shop.example.com@evil.example/", "data:,x"]
)
def test_hosted_pages_are_not_told_to_lead_elsewhere(api: Api, url: str) -> None:
    members = {"user_id": "ada", "action": "transfer", "redirect_url": url}
    before = api.stored()
    refused(api.send("POST", "/server/actions/track", members, token=SHOP), "action_invalid", 400)
    assert api.stored() == before
