"""Every error of every command's union, brought about by each SDK: each has to read it as what it is."""

from collections.abc import Callable
from importlib import import_module
from itertools import product
from typing import Any, Final, get_args

import pytest

from passkeycore.testing import ClientError, VirtualClient

from .backends import Answer, snake
from .kit import LIMIT, World, browser

NO_ORIGIN: Final = ("preview.shop.example.com", "https://", "", "https://preview.shop.example.com/path", "*", "null")
"""What cannot be parsed as an origin."""


def _with_passkey(answer: Callable[[World, VirtualClient], Answer]) -> Callable[[World], Answer]:
    """For a user who has a passkey, and the browser that has it."""
    return lambda shop: answer(shop, shop.new_passkey())


def _too_many(shop: World) -> Answer:
    for number in range(LIMIT):
        shop.new_passkey(seed=f"authenticator {number}")
    return shop.run("StartPasskeyRegistration", userId="ada", emailOrUsername="ada")


def _elsewhere(client: VirtualClient) -> VirtualClient:
    """The same browser, on a page that the shop does not know, on a host below its own."""
    return VirtualClient(client.authenticator, "https://evil.shop.example.com")


def _made_twice(shop: World) -> Answer:
    phone = shop.new_passkey()
    options = shop.start()
    with pytest.raises(ClientError):
        phone.create(options)
    again = browser()  # has the same keys, and does not know it
    return shop.finish(again.create({**options, "excludeCredentials": []}))


def _bad_signature(shop: World, phone: VirtualClient) -> Answer:
    response = phone.get(shop.ask())
    return shop.verify({**response, "response": {**response["response"], "signature": "MEUCIQ"}})


ROWS: Final[dict[tuple[str, str], Callable[[World], Answer]]] = {
    ("StartPasskeyRegistration", "TooManyPasskeys"): _too_many,
    ("StartPasskeyRegistration", "UnexpectedError"): lambda shop: shop.run(
        "StartPasskeyRegistration", userId="ada", emailOrUsername="a\x00b"
    ),
    ("FinishPasskeyRegistration", "NoRegistrationChallengeFound"): lambda shop: shop.finish(
        browser().create({**shop.start(), "challenge": "A" * 43})
    ),
    ("FinishPasskeyRegistration", "OriginNotAllowed"): lambda shop: shop.finish(
        _elsewhere(browser()).create(shop.start())
    ),
    ("FinishPasskeyRegistration", "PasskeyForUserAlreadyExists"): _made_twice,
    ("FinishPasskeyRegistration", "UnexpectedError"): lambda shop: shop.finish({"id": "x"}),
    ("StartPasskeyAuthentication", "NoPasskeysRegisteredForUser"): lambda shop: shop.run(
        "StartPasskeyAuthentication", userId="nobody"
    ),
    ("StartPasskeyAuthentication", "UnexpectedError"): lambda shop: shop.run("StartPasskeyAuthentication", userId=""),
    ("FinishPasskeyAuthentication", "NoAuthenticationChallengeFound"): _with_passkey(
        lambda shop, phone: shop.verify(phone.get({**shop.ask(), "challenge": "A" * 43}))
    ),
    ("FinishPasskeyAuthentication", "OriginNotAllowed"): _with_passkey(
        lambda shop, phone: shop.verify(_elsewhere(phone).get(shop.ask()))
    ),
    ("FinishPasskeyAuthentication", "UnexpectedError"): _with_passkey(_bad_signature),
    ("FetchAllPasskeysForUser", "UnexpectedError"): lambda shop: shop.run("FetchAllPasskeysForUser", userId="a\x00"),
    ("DeregisterPasskey", "PasskeyNotFound"): lambda shop: shop.run(
        "DeregisterPasskey", userId="ada", credentialId="AAAA"
    ),
    ("DeregisterPasskey", "UnexpectedError"): lambda shop: shop.run(
        "DeregisterPasskey", userId="", credentialId="AAAA"
    ),
    ("DeregisterAllPasskeysForUser", "UnexpectedError"): lambda shop: shop.run(
        "DeregisterAllPasskeysForUser", userId="x" * 256
    ),
}
"""How each error comes about, by command and name. That an origin cannot be parsed is below."""

IDS: Final = ["-".join(row) for row in ROWS]


@pytest.mark.parametrize(("command", "kind"), ROWS, ids=IDS)
def test_each_sdk_reads_every_error(each_sdk: World, command: str, kind: str) -> None:
    answer = ROWS[command, kind](each_sdk)
    assert not answer.good
    assert answer.members["type"] == kind
    details = answer.members.get("details")
    if kind == "UnexpectedError":
        assert isinstance(details, str)
        assert details
    elif kind == "OriginNotAllowed":
        assert isinstance(details, dict)
        assert details.keys() == {"message"}
    elif kind == "TooManyPasskeys":
        assert isinstance(details, dict)
        assert details["max_passkeys"] == details["current_count"] == LIMIT
    else:
        assert answer.members == {"type": kind}


def test_each_sdk_reads_that_an_origin_cannot_be_parsed(each_sdk: World) -> None:
    ceremonies: dict[str, dict[str, Any]] = {
        "StartPasskeyRegistration": {"emailOrUsername": "ada"},
        "FinishPasskeyRegistration": {"publicKey": {}},
        "StartPasskeyAuthentication": {},
        "FinishPasskeyAuthentication": {"publicKey": {}},
    }
    for (command, data), origin in product(ceremonies.items(), NO_ORIGIN):
        answer = each_sdk.run(command, userId="ada", additionalAllowedOrigin=origin, **data)
        assert answer == Answer(False, {"type": "CannotParseAdditionalAllowedOrigin"})


def test_no_failed_attempt_says_why(shop: World) -> None:
    """One sentence for a wrong signature, an unknown passkey, somebody else's, and no user verification."""
    phone, eve = shop.new_passkey(), shop.new_passkey("eve", seed="eves")
    said: set[str] = set()

    def tried(response: Any) -> None:
        members = shop.verify(response).members
        assert members["type"] == "UnexpectedError"
        said.add(members["details"])

    good = phone.get(shop.ask())
    tried({**good, "response": {**good["response"], "signature": good["response"]["signature"][:-8] + "AAAAAAAA"}})
    tried(eve.get({**shop.ask(), "allowCredentials": []}))
    stranger = browser("stranger")
    stranger.create({**shop.start("ada"), "excludeCredentials": []})
    tried(stranger.get({**shop.ask(), "allowCredentials": []}))
    tried(phone.get({**shop.ask(), "userVerification": "discouraged"}))
    gone = phone.get(shop.ask())
    shop.good("DeregisterAllPasskeysForUser", userId="ada")
    tried(gone)
    assert said == {"The passkey could not be verified."}


@pytest.mark.usefixtures("python_sdk")
def test_no_error_that_the_sdk_knows_is_left_out() -> None:
    """The table above has every name of every union in the Python SDK, but for origins that cannot be parsed."""
    for command in {command for command, _ in ROWS}:
        union: Any = getattr(import_module(f"propelauth_byo.generated.{snake(command)}_error"), f"{command}Error")
        known = {get_args(each.__annotations__["type"])[0] for each in get_args(union) or (union,)}
        assert known - {"CannotParseAdditionalAllowedOrigin"} == {kind for name, kind in ROWS if name == command}
