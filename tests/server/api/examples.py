"""One success of every route, with users of its own: what has to be there before, and the request itself.

`EXAMPLES` is a table by paths; a route that is not in it fails the tests that go through the table of routes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import httpx

from passkeycore.testing import SoftwareDevice
from passkeycore.webauthn.encoding import encode_base64url
from tests.server.api.kit import Api, Browser, Json
from tests.server.kit import API_KEYS

Example = Callable[[Api, str], httpx.Response]
"""Makes the request about this user."""

SESSION = "the session of a browser"
"""What servers bind ceremonies to."""


def _server(path: str, before: Callable[[Api, str], Json]) -> Example:
    def example(api: Api, user: str) -> httpx.Response:
        return api.send("POST", path, before(api, user), token=API_KEYS["shop"])

    return example


def _token(path: str, before: Callable[[Api, str], tuple[str, Json]]) -> Example:
    def example(api: Api, user: str) -> httpx.Response:
        token, members = before(api, user)
        return api.send("POST", path, members, token=token)

    return example


def _user(path: str, before: Callable[[Api, str, Browser], Json | None]) -> Example:
    def example(api: Api, user: str) -> httpx.Response:
        browser = api.host_browser(user)
        members = before(api, user, browser)
        return browser.get(path) if members is None else browser.send(path, members)

    return example


def _visitor(path: str, before: Callable[[Api, str, Browser], Json]) -> Example:
    def example(api: Api, user: str) -> httpx.Response:
        browser = api.browser()
        members = before(api, user, browser)
        return browser.send(path, members)

    return example


def _device(path: str, before: Callable[[Api, str], Json]) -> Example:
    def example(api: Api, user: str) -> httpx.Response:
        return api.send("POST", path, before(api, user))

    return example


# --- what has to be there before ---


def key_of(device: SoftwareDevice, signature: bytes) -> Json:
    """The key and the signature, as they are sent."""
    return {"public_key": encode_base64url(device.public_key), "signature": encode_base64url(signature)}


def new_device_members(device: SoftwareDevice, token: str) -> Json:
    """What an app sends to enrol its device."""
    members = {"method": device.method, "name": "Phone", "platform": "ios"}
    return members | key_of(device, device.enrol(token))


def known(api: Api, user: str) -> Json:
    """Somebody with a passkey."""
    api.new_passkey(user)
    return {"user_id": user}


def tracked(api: Api, user: str, **members: Any) -> tuple[str, Json]:
    """An action of somebody with a passkey and a device."""
    api.new_passkey(user)
    api.new_device(user)
    return api.track(user, **members), {}


def met(api: Api, user: str, **members: Any) -> tuple[str, str]:
    """An action whose challenge was met: its token, and that of its success."""
    client = api.new_passkey(user)
    token = api.track(user, **members)
    options = api.post("/action/passkey/start", token=token)["options"]
    return token, api.post("/action/passkey/finish", {"response": client.get(options)}, token=token)["token"]


def _validated(api: Api, user: str) -> Json:
    return {"token": met(api, user)[1], "action": "transfer", "user_id": user}


def _action_named(api: Api, user: str) -> Json:
    members = {"user_id": user, "action": "transfer", "idempotency_key": "first"}
    api.server("/server/actions/track", **members)
    return members


def _reviewed(api: Api, user: str) -> Json:
    members = {"user_id": user, "action": "reviewed", "idempotency_key": "first"}
    api.server("/server/actions/track", **members)
    return members | {"state": "REVIEW_SUCCEEDED"}


def _action_device(api: Api, user: str) -> Json:
    return {"token": tracked(api, user)[0], "method": "push", "content": "Pay 42 EUR"}


def _asked_device(api: Api, user: str, **members: Any) -> Json:
    api.new_device(user)
    question = {"user_id": user, "binding": SESSION, **members}
    start = api.server("/server/device-challenges/start", method="push", **question)
    return question | {"challenge_id": start["challenge_id"]}


def _authenticator(api: Api, user: str) -> Json:
    api.new_device(user)
    listed = api.server("/server/authenticators", user_id=user)["authenticators"]
    return {"user_id": user, "authenticator_id": listed[0]["authenticator_id"]}


def _second_factor(api: Api, user: str, room: str = "second-factor", **members: str) -> Json:
    client = api.new_passkey(user)
    asked = {"user_id": user, "binding": SESSION, **members}
    options = api.server(f"/server/{room}/start", **asked)["options"]
    return asked | {"response": client.get(options)}


def _stepped_up(api: Api, user: str) -> Json:
    done = api.server("/server/step-up/finish", **_second_factor(api, user, "step-up", purpose="transfer:42"))
    asked = {"user_id": user, "binding": SESSION, "purpose": "transfer:42"}
    return asked | {"token": done["step_up_token"]}


def _passkey_challenge(api: Api, user: str) -> tuple[str, Json]:
    client = api.new_passkey(user)
    token = api.track(user)
    options = api.post("/action/passkey/start", token=token)["options"]
    return token, {"response": client.get(options)}


def _device_challenge(api: Api, user: str) -> tuple[str, Json]:
    token, _ = tracked(api, user)
    start = api.post("/action/device/start", {"method": "push"}, token=token)
    return token, {"challenge_id": start["challenge_id"]}


def _in_app(api: Api, user: str) -> tuple[str, Json]:
    device = api.new_device(user, "in-app")
    token = api.track(user)
    start = api.post("/action/device/start", {"method": "in-app"}, token=token)
    signature = device.answer(start["challenge_id"], "approve", purpose=start["purpose"], content=start["content"])
    return token, {"challenge_id": start["challenge_id"], **key_of(device, signature)}


def _registration(api: Api, user: str) -> tuple[str, Json]:
    token = api.track(user)
    options = api.post("/action/register/start", {"user_name": user}, token=token)["options"]
    return token, {"response": api.kit.virtual_client(seed=user).create(options)}


def _enrolment_by_action(api: Api, user: str) -> tuple[str, Json]:
    token = api.track(user)
    device = SoftwareDevice(user, domain="shop.example.com")
    return token, {"user_name": user, **new_device_members(device, token)}


def _removal_by_action(api: Api, user: str) -> tuple[str, Json]:
    token, _ = met(api, user, scope=["read:authenticators", "remove:authenticators"])
    api.new_device(user)
    listed = api.post("/action/authenticators", token=token)["authenticators"]
    device = next(each for each in listed if each["method"] == "push")
    return token, {"authenticator_id": device["authenticator_id"]}


def _sign_in(api: Api, user: str, browser: Browser) -> Json:
    client = api.new_passkey(user)
    return {"response": client.get(browser.post("/sign-in/passkey/start")["options"])}


def _scanned(api: Api, user: str) -> tuple[Browser, SoftwareDevice, str]:
    device, browser = api.new_device(user, "qr-code"), api.browser()
    return browser, device, browser.post("/sign-in/qr/start")["challenge_id"]


def _claim(api: Api, user: str) -> Json:
    _, device, challenge_id = _scanned(api, user)
    return {"challenge_id": challenge_id, **key_of(device, device.claim(challenge_id))}


def approval(api: Api, device: SoftwareDevice, challenge_id: str) -> Json:
    """What a device sends that has claimed a challenge, and whose user says yes."""
    claim = {"challenge_id": challenge_id, **key_of(device, device.claim(challenge_id))}
    shown = api.post("/device/claim", claim)
    signature = device.answer(challenge_id, "approve", purpose=shown["purpose"], content=shown["content"])
    return {"challenge_id": challenge_id, "decision": "approve", **key_of(device, signature)}


def _answer(api: Api, user: str) -> Json:
    _, device, challenge_id = _scanned(api, user)
    return approval(api, device, challenge_id)


def _qr_poll(api: Api, user: str) -> httpx.Response:
    browser, device, challenge_id = _scanned(api, user)
    api.post("/device/answer", approval(api, device, challenge_id))
    return browser.send("/sign-in/qr/poll", {"challenge_id": challenge_id})


def _in_app_sign_in(api: Api, user: str) -> Json:
    device = api.new_device(user, "in-app")
    start = api.post("/sign-in/in-app/start")
    signature = device.answer(start["challenge_id"], "approve", purpose=start["purpose"], content=start["content"])
    return {"challenge_id": start["challenge_id"], **key_of(device, signature)}


def _fetch(api: Api, user: str) -> Json:
    device = api.new_device(user)
    signature = device.fetch(issued_at=api.seconds)
    return {"method": "push", "issued_at": api.seconds, **key_of(device, signature)}


def _update(api: Api, user: str) -> Json:
    device = api.new_device(user)
    own = api.server("/server/authenticators", user_id=user)["authenticators"][0]["authenticator_id"]
    signature = device.update(own, issued_at=api.seconds, push_token="elsewhere")
    return {"method": "push", "push_token": "elsewhere", "issued_at": api.seconds, **key_of(device, signature)}


def _leave(api: Api, user: str) -> Json:
    device = api.new_device(user)
    own = api.server("/server/authenticators", user_id=user)["authenticators"][0]["authenticator_id"]
    signature = device.remove(own, issued_at=api.seconds)
    return {"method": "push", "issued_at": api.seconds, **key_of(device, signature)}


def _enrolment(api: Api, user: str) -> Json:
    token = api.server("/server/devices/enrolment", user_id=user, user_name=user)["token"]
    return {"token": token, **new_device_members(SoftwareDevice(user, domain="shop.example.com"), token)}


def _own_registration(api: Api, user: str, browser: Browser) -> Json:
    options = browser.post("/me/passkeys/register/start", {"user_name": user})["options"]
    return {"response": api.kit.virtual_client(seed=user).create(options)}


def _own_passkey(api: Api, user: str, browser: Browser, **members: str) -> Json:
    api.new_passkey(user)
    listed = browser.get("/me/passkeys").json()["passkeys"]
    return {"credential_id": listed[0]["credential_id"], **members}


def _own_device(api: Api, user: str, browser: Browser, **members: str) -> Json:
    api.new_device(user)
    listed = browser.get("/me/devices").json()["devices"]
    return {"authenticator_id": listed[0]["authenticator_id"], **members}


def _own_step_up(api: Api, user: str, browser: Browser) -> Json:
    client = api.new_passkey(user)
    options = browser.post("/me/step-up/start", {"purpose": "transfer:42"})["options"]
    return {"purpose": "transfer:42", "response": client.get(options)}


def _with_passkey(api: Api, user: str, browser: Browser, **members: Any) -> Json:
    api.new_passkey(user)
    return members


def _listed(api: Api, user: str, browser: Browser) -> None:
    api.new_passkey(user)
    api.new_device(user)


DEVICE_BODIES: Final[Mapping[str, Callable[[Api, str], Json]]] = {
    "/sign-in/in-app/finish": _in_app_sign_in,
    "/device/enrol": _enrolment,
    "/device/update": _update,
    "/device/remove": _leave,
    "/device/pending": _fetch,
    "/device/claim": _claim,
    "/device/answer": _answer,
}
"""What a device sends, signed, by the path of the route."""

USER_BODIES: Final[Mapping[str, Callable[[Api, str, Browser], Json | None]]] = {
    "/me/passkeys": _listed,
    "/me/passkeys/register/start": lambda api, user, browser: {"user_name": user},
    "/me/passkeys/register/finish": _own_registration,
    "/me/passkeys/rename": partial(_own_passkey, name="Blue key"),
    "/me/passkeys/remove": _own_passkey,
    "/me/passkeys/should-prompt": partial(_with_passkey, stored_credential_ids=[]),
    "/me/step-up/start": partial(_with_passkey, purpose="transfer:42"),
    "/me/step-up/finish": _own_step_up,
    "/me/devices": _listed,
    "/me/devices/enrolment": lambda api, user, browser: {"user_name": user},
    "/me/devices/rename": partial(_own_device, name="Old phone"),
    "/me/devices/remove": _own_device,
}
"""What a page sends for whoever is signed in, by the path of the route; None: a request without a body."""

TOKEN_BODIES: Final[Mapping[str, Callable[[Api, str], tuple[str, Json]]]] = {
    "/action": tracked,
    "/action/passkey/start": tracked,
    "/action/passkey/finish": _passkey_challenge,
    "/action/device/start": lambda api, user: (tracked(api, user)[0], {"method": "push"}),
    "/action/device/poll": _device_challenge,
    "/action/in-app/finish": _in_app,
    "/action/cancel": _device_challenge,
    "/action/register/start": lambda api, user: (api.track(user), {"user_name": user}),
    "/action/register/finish": _registration,
    "/action/device/enrol": _enrolment_by_action,
    "/action/authenticators": lambda api, user: (met(api, user, scope=["read:authenticators"])[0], {}),
    "/action/authenticators/remove": _removal_by_action,
}
"""The token of an action, and what its client sends with it, by the path of the route."""

EXAMPLES: Final[Mapping[str, Example]] = {
    "/session": lambda api, user: api.browser().get("/session"),
    "/sign-in/passkey/start": _visitor("/sign-in/passkey/start", lambda api, user, browser: {"autofill": True}),
    "/sign-in/passkey/finish": _visitor("/sign-in/passkey/finish", _sign_in),
    "/sign-in/qr/start": _visitor("/sign-in/qr/start", lambda api, user, browser: {}),
    "/sign-in/qr/poll": _qr_poll,
    "/sign-in/in-app/start": _device("/sign-in/in-app/start", lambda api, user: {}),
    **{path: _device(path, before) for path, before in DEVICE_BODIES.items()},
    **{path: _user(path, before) for path, before in USER_BODIES.items()},
    **{path: _token(path, before) for path, before in TOKEN_BODIES.items()},
    "/server/actions/track": _server(
        "/server/actions/track",
        lambda api, user: {
            "user_id": user,
            "action": "transfer",
            "client": {"ip_address": "192.0.2.7", "custom": {"amount": 42.5}},
            "redirect_url": "https://shop.example.com/done",
        },
    ),
    "/server/actions/validate": _server("/server/actions/validate", _validated),
    "/server/actions/get": _server("/server/actions/get", _action_named),
    "/server/actions/review": _server("/server/actions/review", _reviewed),
    "/server/actions/list": _server("/server/actions/list", lambda api, user: {"user_id": user, "limit": 5}),
    "/server/actions/device/start": _server("/server/actions/device/start", _action_device),
    "/server/device-challenges/start": _server(
        "/server/device-challenges/start",
        lambda api, user: {"method": "push", **_without_challenge(_asked_device(api, user))},
    ),
    "/server/device-challenges/poll": _server("/server/device-challenges/poll", _asked_device),
    "/server/device-challenges/cancel": _server("/server/device-challenges/cancel", _asked_device),
    "/server/users/get": _server("/server/users/get", known),
    "/server/users/rename": _server("/server/users/rename", lambda api, user: known(api, user) | {"name": "New name"}),
    "/server/users/disable": _server("/server/users/disable", known),
    "/server/users/enable": _server("/server/users/enable", known),
    "/server/users/remove": _server("/server/users/remove", known),
    "/server/users/signals": _server("/server/users/signals", known),
    "/server/users/should-prompt": _server(
        "/server/users/should-prompt", lambda api, user: known(api, user) | {"stored_credential_ids": []}
    ),
    "/server/authenticators": _server("/server/authenticators", known),
    "/server/authenticators/remove": _server("/server/authenticators/remove", _authenticator),
    "/server/devices/enrolment": _server(
        "/server/devices/enrolment", lambda api, user: {"user_id": user, "user_name": user}
    ),
    "/server/devices/update": _server(
        "/server/devices/update", lambda api, user: _authenticator(api, user) | {"expires_at": "2027-01-01T00:00:00Z"}
    ),
    "/server/second-factor/start": _server(
        "/server/second-factor/start", lambda api, user: known(api, user) | {"binding": SESSION}
    ),
    "/server/second-factor/finish": _server("/server/second-factor/finish", _second_factor),
    "/server/step-up/start": _server(
        "/server/step-up/start", lambda api, user: known(api, user) | {"binding": SESSION, "purpose": "transfer:42"}
    ),
    "/server/step-up/finish": _server(
        "/server/step-up/finish", partial(_second_factor, room="step-up", purpose="transfer:42")
    ),
    "/server/step-up/validate": _server("/server/step-up/validate", _stepped_up),
}
"""By the path of the route."""


def _without_challenge(members: Json) -> Json:
    return {name: value for name, value in members.items() if name != "challenge_id"}
