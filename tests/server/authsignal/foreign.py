"""What Ada asks of each route for clients, with success, and what Eve sends in its place; `test_matrix` sends both.

What belongs here: a row for every route, and how its requests are made, by way of the API. Eve has of her own whatever
Ada has, and knows all that Ada sends but Ada's token and the key on Ada's device.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from operator import itemgetter
from typing import Any, Final, NamedTuple

from passkeycore.testing import SoftwareDevice, VirtualClient

from .kit import OWN, Api, Json, key_in_query, key_of, phone, signed
from .test_devices import KINDS, removal
from .test_passkeys import made, used

Route = tuple[str, str]


class Asked(NamedTuple):
    """A request to a route: the token that is shown, or the tenant's name alone; its body, and its query string."""

    token: str | None = None
    body: Json | None = None
    query: str = ""

    def answer(self, api: Api, route: Route) -> Any:
        """What is answered."""
        method, path = route
        body = self.body if method == "GET" else self.body or {}
        return api.client(method, path + self.query, body, token=self.token)


class Case(NamedTuple):
    """Two requests, and what is read in their answers.

    Attributes:
        adas: Which is good.
        eves: The same as far as it can be, with Eve's token or device.
        told: What is read in an answer.
        expected: That, in Ada's.
        hers: That, in Eve's, where she is answered.
    """

    adas: Asked
    eves: Asked
    told: Callable[[Any], object]
    expected: object
    hers: object = None


class Row(NamedTuple):
    """A route.

    Attributes:
        case: Sets up its requests.
        refusal: The code and the status that Eve gets; None: she is answered.
        reason: Why she is: the route goes by no user, or her request is about herself; empty: she is refused.
    """

    case: Callable[[Api], Case]
    refusal: tuple[str, int] | None
    reason: str = ""


def stored(api: Api, user_id: str) -> dict[str, list[Any]]:
    """Every row of the database that is the user's, by its table."""
    path = api.kit.settings.database.partition(":///")[2]
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: database.execute(f"SELECT * FROM {name} WHERE user_id = ?", (user_id,)).fetchall()  # noqa: S608
            for name in names
            if "user_id" in [column[1] for column in database.execute(f"PRAGMA table_info({name})")]
        }


# --- what both have ---


def passkeys(api: Api) -> tuple[VirtualClient, dict[str, str]]:
    """Ada's client, and the ids of both users' passkeys."""
    ada = api.new_passkey()
    api.new_passkey("eve", client=phone("eve", origin="https://shop.example.com"))
    listed = {user_id: api.server("GET", f"/users/{user_id}/authenticators") for user_id in ("ada", "eve")}
    return ada, {user_id: each[0]["userAuthenticatorId"] for user_id, each in listed.items()}


def devices(api: Api, kind: str) -> tuple[SoftwareDevice, SoftwareDevice]:
    """Ada's device and Eve's, enrolled for this."""
    return api.new_device("ada", kind, seed="ada"), api.new_device("eve", kind, seed="eve")


def tokens(api: Api, **attributes: Any) -> tuple[str, str]:
    """A token of each, without a scope."""
    return api.track("ada", **attributes)["token"], api.track("eve", **attributes)["token"]


def query_of(device: SoftwareDevice) -> str:
    return f"?publicKey={key_in_query(device)}"


def id_of(api: Api, device: SoftwareDevice, kind: str) -> str:
    found: str = api.get(f"{OWN}/{kind}{query_of(device)}")["userAuthenticatorId"]
    return found


def forged(body: Json, by: Json) -> Json:
    """Ada's body with the signature from another."""
    return body | {"signature": by["signature"]}


# --- passkeys ---


def passkey_options(api: Api) -> Case:
    passkeys(api)
    return Case(
        Asked(api.token("ada"), {}),
        Asked(api.token("eve"), {}),
        lambda answer: answer["options"]["user"]["name"],
        "ada@example.com",
        "eve@example.com",
    )


def registration(api: Api) -> Case:
    token = api.token("ada")
    body = made(api, api.kit.virtual_client(), token)
    return Case(Asked(token, body), Asked(api.token("eve"), body), itemgetter("userId"), "ada")


def passkey_look_up(api: Api) -> Case:
    _, ids = passkeys(api)
    (ada, eve), query, told = tokens(api), f"?credentialIds={ids['ada']}", ["credentialId", "verifiedAt"]
    return Case(Asked(ada, query=query), Asked(eve, query=query), sorted, told, told)


def sign_in_options(api: Api) -> Case:
    _, ids = passkeys(api)

    def allowed(answer: Any) -> object:
        return [each["id"] for each in answer["options"]["allowCredentials"]]

    ada, eve = tokens(api)
    return Case(Asked(ada), Asked(eve), allowed, [ids["ada"]], [ids["eve"]])


def sign_in(api: Api) -> Case:
    client, _ = passkeys(api)
    ada, eve = tokens(api)
    body = used(api, client, token=ada)
    return Case(Asked(ada, body), Asked(eve, body), itemgetter("userId"), "ada")


def own_list(api: Api) -> Case:
    _, ids = passkeys(api)
    ada, eve = tokens(api)

    def listed(answer: Any) -> object:
        return {each["userId"]: each["userAuthenticatorId"] for each in answer}

    return Case(Asked(ada), Asked(eve), listed, {"ada": ids["ada"]}, {"eve": ids["eve"]})


# --- keys on devices ---


def key_look_up(api: Api, kind: str) -> Case:
    (ada, eve), (_, token) = devices(api, kind), tokens(api)
    return Case(Asked(query=query_of(ada)), Asked(token, query=query_of(eve)), itemgetter("userId"), "ada", "eve")


def enrolment(api: Api, kind: str) -> Case:
    body = {"publicKey": key_of(SoftwareDevice("ada")), "deviceName": "Phone", "devicePlatform": "ios"}
    devices(api, kind)
    return Case(Asked(api.token("ada"), body), Asked(api.token("eve"), body), itemgetter("userId"), "ada")


def key_removal(api: Api, kind: str) -> Case:
    (ada, eve), (_, token) = devices(api, kind), tokens(api)
    body = removal(api, ada)
    return Case(
        Asked(body=body),
        Asked(token, forged(body, removal(api, eve))),
        itemgetter("removedAuthenticatorId"),
        id_of(api, ada, kind),
    )


# --- challenges of devices ---


def waits(api: Api, token: str) -> str:
    """The id of a challenge of the token's, for a device that looks for it."""
    started: str = api.post("/client/challenge/push", {}, token=token)["challengeId"]
    return started


def shown(api: Api, token: str) -> Json:
    """What the poll of a QR code of the token's says."""
    start = api.post("/client/challenge/qr-code", {}, token=token)
    return {"challengeId": start["challengeId"], "deviceCode": start["deviceCode"]}


def waiting(api: Api, kind: str) -> Case:
    (ada, eve), (adas, token) = devices(api, kind), tokens(api)
    id = waits(api, adas)
    return Case(
        Asked(query=query_of(ada)),
        Asked(token, query=query_of(eve)),
        lambda answer: (answer["userAuthenticatorId"], answer.get("userId"), answer.get("challengeId")),
        (id_of(api, ada, kind), "ada", id),
        (id_of(api, eve, kind), None, None),
    )


def message(api: Api) -> Case:
    (ada, eve), (adas, token) = devices(api, "push"), tokens(api, custom={"amount": 5})
    id = waits(api, adas)
    return Case(
        Asked(query=query_of(ada)),
        Asked(token, query=query_of(eve)),
        lambda answer: answer.get("message"),
        f"passkeycore.fetch.{id}",
        None,
    )


def decision(api: Api, kind: str) -> Case:
    (ada, eve), (adas, token) = devices(api, kind), tokens(api)
    id = shown(api, adas)["challengeId"] if kind == "qr-code" else waits(api, adas)
    if kind == "qr-code":
        api.post(f"{OWN}/qr-code/challenge/claim", signed(ada, id))
    adas_body, eves_body = ({**signed(device, id), "approved": True} for device in (ada, eve))
    return Case(Asked(body=adas_body), Asked(token, eves_body), itemgetter("isVerified"), True)


def claim(api: Api, kind: str) -> Case:
    (ada, eve), (adas, token) = devices(api, kind), tokens(api)
    id = shown(api, adas)["challengeId"]
    return Case(Asked(body=signed(ada, id)), Asked(token, signed(eve, id)), itemgetter("success"), True)


def approval(api: Api, kind: str) -> Case:
    (ada, _), (adas, token) = devices(api, kind), tokens(api)
    body = signed(ada, api.post("/client/challenge")["challengeId"])
    return Case(Asked(adas, body), Asked(token, body), itemgetter("userId"), "ada")


# --- whoever waits ---


def nonce(api: Api) -> Case:
    (ada, eve), told = tokens(api), ["challengeId", "nonce"]
    return Case(Asked(ada, {}), Asked(eve, {}), sorted, told, told)


def push_message(api: Api) -> Case:
    (ada, _), (adas, token) = devices(api, "push"), tokens(api)
    body = {"userAuthenticatorId": id_of(api, ada, "push")}
    return Case(Asked(adas, body), Asked(token, body), itemgetter("deliveryResults"), [body])


def push_poll(api: Api) -> Case:
    (ada, _), (adas, token) = devices(api, "push"), tokens(api)
    body = {"challengeId": waits(api, adas)}
    api.post(f"{OWN}/push/challenge", {**signed(ada, body["challengeId"]), "approved": True})
    return Case(Asked(adas, body), Asked(token, body), itemgetter("isVerified"), True)


def qr_code(api: Api) -> Case:
    (ada, _), (adas, token) = devices(api, "qr-code"), tokens(api)

    def claimed(answer: Any) -> object:
        body = signed(ada, answer["challengeId"])
        return api.client("POST", f"{OWN}/qr-code/challenge/claim", body).status_code

    return Case(Asked(adas, {}), Asked(token, {}), claimed, 200, 403)


def qr_poll(api: Api) -> Case:
    (ada, _), (adas, token) = devices(api, "qr-code"), tokens(api)
    body = shown(api, adas)
    for path, more in (("/claim", {}), ("", {"approved": True})):
        api.post(f"{OWN}/qr-code/challenge{path}", {**signed(ada, body["challengeId"]), **more})
    return Case(Asked(adas, body), Asked(token, body), itemgetter("isVerified"), True)


_BY_TOKEN: Final = "The body names nobody: the request is about whoever's token is shown."
_BY_KEY: Final = "A key in the query proves nothing: whoever knows it is told what is told for it, whoever they are."
_OTHER_TOKEN: Final = ("token_invalid", 401)
_OTHER_DEVICE: Final = ("invalid_request", 403)

ROWS: Final[Mapping[Route, Row]] = {
    ("POST", "/client/challenge"): Row(nonce, None, "A question that is nobody's until a device answers it."),
    ("POST", f"{OWN}/passkey/registration-options"): Row(passkey_options, None, _BY_TOKEN),
    ("POST", f"{OWN}/passkey"): Row(registration, _OTHER_TOKEN),
    ("GET", f"{OWN}/passkey"): Row(
        passkey_look_up, None, "Goes by a credential's id, and tells that it is known here, not whose it is."
    ),
    ("POST", f"{OWN}/passkey/authentication-options"): Row(sign_in_options, None, _BY_TOKEN),
    ("POST", "/client/verify/passkey"): Row(sign_in, _OTHER_TOKEN),
    ("GET", OWN): Row(own_list, None, _BY_TOKEN),
    **{("GET", f"{OWN}/{kind}"): Row(partial(key_look_up, kind=kind), None, _BY_KEY) for kind in KINDS},
    **{("POST", f"{OWN}/{kind}"): Row(partial(enrolment, kind=kind), ("invalid_request", 409)) for kind in KINDS},
    **{
        ("POST", f"{OWN}/{kind}/remove"): Row(partial(key_removal, kind=kind), ("invalid_credential", 404))
        for kind in KINDS
    },
    ("GET", f"{OWN}/push/challenge"): Row(partial(waiting, kind="push"), None, _BY_KEY),
    ("POST", f"{OWN}/push/challenge"): Row(partial(decision, kind="push"), _OTHER_DEVICE),
    ("POST", f"{OWN}/push/challenge/sign"): Row(message, None, _BY_KEY),
    ("GET", f"{OWN}/device/challenge"): Row(partial(waiting, kind="device"), None, _BY_KEY),
    ("POST", f"{OWN}/device/challenge"): Row(partial(decision, kind="device"), _OTHER_DEVICE),
    ("POST", f"{OWN}/device/challenge/claim"): Row(partial(claim, kind="device"), _OTHER_DEVICE),
    ("POST", f"{OWN}/qr-code/challenge"): Row(partial(decision, kind="qr-code"), _OTHER_DEVICE),
    ("POST", f"{OWN}/qr-code/challenge/claim"): Row(partial(claim, kind="qr-code"), _OTHER_DEVICE),
    ("POST", "/client/verify/in-app"): Row(partial(approval, kind="in-app"), ("invalid_credential", 403)),
    ("POST", "/client/verify/device"): Row(partial(approval, kind="device"), ("invalid_credential", 403)),
    ("POST", "/client/challenge/push"): Row(push_message, ("invalid_request", 404)),
    ("POST", "/client/verify/push"): Row(push_poll, ("invalid_request", 403)),
    ("POST", "/client/challenge/qr-code"): Row(qr_code, None, _BY_TOKEN),
    ("POST", "/client/verify/qr-code"): Row(qr_poll, _OTHER_TOKEN),
}
"""By method and path. A route that is not here fails `test_matrix`."""
