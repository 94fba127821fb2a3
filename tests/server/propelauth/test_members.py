"""Exactly the documented members: the Java SDK fails over any other, and others over one that is missing."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from .backends import KEY, Answer, Http, Json, checked
from .kit import LIMIT, World, browser
from .test_unions import IDS, ROWS

JAVA: Final = {"Authorization": f"Bearer {KEY}", "User-Agent": "Java-http-client/17.0.2"}
OPTIONAL: Final = {
    "StartPasskeyRegistration": ("userDisplayName", "passkeyDisplayName", "additionalAllowedOrigin"),
    "FinishPasskeyRegistration": ("additionalAllowedOrigin",),
    "StartPasskeyAuthentication": ("additionalAllowedOrigin",),
    "FinishPasskeyAuthentication": ("additionalAllowedOrigin",),
}
"""Members that may be absent, which Java sends as null then."""

MEMBERS: Final[Mapping[str, Any]] = {
    "StartPasskeyRegistration": {"registrationOptions": dict},
    "FinishPasskeyRegistration": {},
    "StartPasskeyAuthentication": {"authenticationOptions": dict},
    "FinishPasskeyAuthentication": {},
    "FetchAllPasskeysForUser": {"passkeys": [{"credentialId": str, "displayName": str}]},
    "DeregisterPasskey": {},
    "DeregisterAllPasskeysForUser": {},
    "Ping": {"timestamp": int},
}
"""What is answered by each command."""

DETAILS: Final[Mapping[str, Any]] = {
    "TooManyPasskeys": {"max_passkeys": int, "current_count": int},
    "OriginNotAllowed": {"message": str},
    "CommandNotAllowed": {"command_name": str},
    "UnexpectedError": str,
    "InvalidPrefix": str,
}
"""What goes with an error; nothing with the others."""


class Java:
    """A backend that is as strict as Jackson with its defaults, and says null for what is absent."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.seen: set[str] = set()

    def run(self, command: str, data: Mapping[str, Any], *, key: str = KEY) -> Answer:
        absent = dict.fromkeys(OPTIONAL.get(command, ()))
        headers = {**JAVA, "Authorization": f"Bearer {key}"}
        answer = checked(self._http.send({"command": command, "data": {**absent, **data}}, headers))
        if answer.good:
            self.seen.add(command)
            assert _is(answer.members, MEMBERS[command]), answer
        else:
            kind = answer.members["type"]
            expected: Json = {"type": str, **({"details": DETAILS[kind]} if kind in DETAILS else {})}
            assert _is(answer.members, expected), answer
        return answer


def _is(value: Any, shape: Any) -> bool:
    if isinstance(shape, dict):
        members = value if isinstance(value, dict) else {"": None}
        return members.keys() == shape.keys() and all(_is(members[name], shape[name]) for name in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_is(each, shape[0]) for each in value)
    return type(value) is shape


@pytest.fixture
def java(shop: World) -> World:
    """The shop, whose backend is in Java."""
    assert isinstance(shop.backend, Http)
    return World(shop.kit, Java(shop.backend))


def test_the_strictest_client_reads_every_answer(java: World) -> None:
    phone = java.new_passkey()
    assert java.verify(phone.get(java.ask())).good
    (credential_id,) = java.ids()
    java.good("DeregisterPasskey", userId="ada", credentialId=credential_id)
    java.good("DeregisterAllPasskeysForUser", userId="ada")
    java.good("Ping")
    assert isinstance(java.backend, Java)
    assert java.backend.seen == MEMBERS.keys()


@pytest.mark.parametrize(("command", "kind"), ROWS, ids=IDS)
def test_the_strictest_client_reads_every_error(java: World, command: str, kind: str) -> None:
    assert ROWS[command, kind](java).members["type"] == kind


@pytest.mark.parametrize("key", ["", "nobody's", "pki_0123456789abcdef_" + "A" * 43])
def test_the_strictest_client_reads_every_error_of_a_key(java: World, key: str) -> None:
    assert not java.backend.run("Ping", {}, key=key).good


@pytest.mark.parametrize(
    ("user_agent", "names"),
    [
        ("Java-http-client/21", {"max_passkeys", "current_count"}),
        ("Java-http-client", {"max_passkeys", "current_count"}),
        ("Python/3.12 aiohttp/3.12", {"max_passkeys", "current_count", "maxPasskeys", "currentCount"}),
        ("node", {"max_passkeys", "current_count", "maxPasskeys", "currentCount"}),
        ("Go-http-client/1.1", {"max_passkeys", "current_count", "maxPasskeys", "currentCount"}),
        ("", {"max_passkeys", "current_count", "maxPasskeys", "currentCount"}),
    ],
)
def test_the_limit_is_told_in_the_names_that_the_client_reads(
    shop: World, http: Http, user_agent: str, names: set[str]
) -> None:
    for number in range(LIMIT):
        shop.new_passkey(seed=f"authenticator {number}")
    body = {"command": "StartPasskeyRegistration", "data": {"userId": "ada", "emailOrUsername": "ada"}}
    answer = http.send(body, {"Authorization": f"Bearer {KEY}", "User-Agent": user_agent})
    assert answer.json() == {"type": "TooManyPasskeys", "details": dict.fromkeys(names, LIMIT)}


@pytest.mark.parametrize("absent", [lambda data: {}, dict], ids=["left out", "null"])
def test_what_is_null_is_absent(shop: World, absent: Callable[[Json], Json]) -> None:
    nothing = absent(dict.fromkeys(OPTIONAL["StartPasskeyRegistration"]))
    nothing_else = absent(dict.fromkeys(OPTIONAL["FinishPasskeyRegistration"]))
    phone = browser()
    assert shop.finish(phone.create(shop.start(**nothing)), **nothing_else).good
    assert shop.verify(phone.get(shop.ask(**nothing_else)), **nothing_else).good


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {}}])
def test_a_command_without_members_needs_no_data(http: Http, data: Json) -> None:
    answer = http.send({**data, "command": "Ping"}, {"Authorization": f"Bearer {KEY}"})
    assert checked(answer).members.keys() == {"timestamp"}


def test_an_empty_name_for_the_passkey_is_none(shop: World) -> None:
    shop.new_passkey(passkeyDisplayName="", userDisplayName="")
    (passkey,) = shop.good("FetchAllPasskeysForUser", userId="ada")["passkeys"]
    assert passkey["displayName"]


def test_members_that_nobody_knows_are_ignored(shop: World) -> None:
    phone = browser()
    made = phone.create(shop.start(tomorrow="a new one"))
    assert shop.finish({**made, "unknown": [1]}, tomorrow={}).good
