"""Arguments of a type that no checker would let pass are refused with a code: they may come out of somebody's JSON.

User ids and names have files of their own.
"""

from collections.abc import Callable
from typing import Any

import pytest

from passkeycore.tokens import Tokens

from .devices.kit import device_engine
from .kit import ADA, NOW, SECRET, Colour, Engine, browser, engine, refused

WRONG = [7, 1.5, ["a"], {"a": 1}, True]


@pytest.mark.parametrize("id", [*WRONG, None, bytearray(b"id"), memoryview(b"id")])
def test_a_credential_id_is_bytes_or_text(passkeys: Engine, id: Any) -> None:
    passkeys.register()
    for method, rest in (("rename_passkey", ["name"]), ("remove_passkey", []), ("confirm_user_verification", [])):
        with refused("credential_id_invalid", passkeys) as caught:
            getattr(passkeys, method)("ada", id, *rest)
        assert caught.value.path == "credential_id"


@pytest.mark.parametrize("cursor", [*WRONG, b"1"])
def test_a_cursor_is_text(colour: Colour, cursor: Any) -> None:
    with refused("cursor_invalid") as caught:
        engine(colour, store_events=True).list_events(cursor=cursor)
    assert caught.value.path == "cursor"


@pytest.mark.parametrize("name", ["purpose", "account_stamp"])
@pytest.mark.parametrize("text", [*WRONG, b"pay"])
def test_a_purpose_and_a_stamp_are_texts(colour: Colour, name: str, text: Any) -> None:
    passkeys = engine(colour, tokens=Tokens([SECRET]))
    asked: dict[str, Any] = {"user_id": "ada", "purpose": "pay"} | {name: text}
    calls: tuple[Callable[[], object], ...] = (
        lambda: passkeys.start_registration(**asked, user_name="ada"),
        lambda: passkeys.start_authentication(**asked),
        lambda: passkeys.validate_step_up("token", **asked),
    )
    for call in calls:
        with refused("name_invalid", passkeys) as caught:
            call()
        assert caught.value.path == name
    assert passkeys.under_way() == 0


@pytest.mark.parametrize("name", ["purpose", "account_stamp"])
@pytest.mark.parametrize("text", [*WRONG, b"pay"])
def test_a_finish_compares_whatever_it_is_told(passkeys: Engine, name: str, text: Any) -> None:
    device = browser()
    start = passkeys.start_registration(**ADA)
    with refused("challenge_unknown", passkeys):
        passkeys.finish_registration(device.create(start.to_dict()), user_id="ada", **{name: text})
    passkeys.register(client=device)
    start = passkeys.start_authentication()
    with refused("challenge_unknown", passkeys):
        passkeys.finish_authentication(device.get(start.to_dict()), **{name: text})


STARTS: dict[str, Callable[[Engine, Engine, str], Any]] = {
    "a registration": lambda passkeys, _, purpose: passkeys.start_registration(**ADA, purpose=purpose),
    "a sign-in": lambda passkeys, _, purpose: passkeys.start_authentication(purpose=purpose),
    "an authentication": lambda passkeys, _, purpose: passkeys.start_authentication(user_id="ada", purpose=purpose),
    "a device's challenge": lambda _, devices, purpose: devices.start_challenge(
        method="push", user_id="ada", purpose=purpose
    ),
    "one for anybody": lambda _, devices, purpose: devices.start_challenge(
        method="in-app", binding="session", purpose=purpose
    ),
}


@pytest.mark.parametrize("purpose", ["passkeycore/", "passkeycore/action 3:ada3:pay1:k", "passkeycore/sign-in x"])
@pytest.mark.parametrize("what", STARTS)
def test_purposes_of_ours_are_nobody_elses(colour: Colour, what: str, purpose: str) -> None:
    """Else an application's challenge, answered in good faith, could be shown as an action's."""
    passkeys = engine(colour)
    passkeys.register()
    devices = device_engine(colour, memory=passkeys.memory)
    with refused("configuration_invalid", passkeys) as caught:
        STARTS[what](passkeys, devices, purpose)
    assert caught.value.path == "purpose"
    assert passkeys.under_way() == 0


@pytest.mark.parametrize("purpose", ["passkeycore", "Passkeycore/action", " passkeycore/action", "pay passkeycore/"])
@pytest.mark.parametrize("what", STARTS)
def test_others_are_free(colour: Colour, what: str, purpose: str) -> None:
    passkeys = engine(colour)
    passkeys.register()
    assert STARTS[what](passkeys, device_engine(colour, memory=passkeys.memory), purpose)


def test_no_step_up_is_for_no_purpose(colour: Colour) -> None:
    passkeys, device = engine(colour, tokens=Tokens([SECRET])), browser()
    passkeys.register(client=device)
    asked: dict[str, Any] = {"user_id": "ada", "purpose": "pay"}
    body = device.get(passkeys.start_authentication(**asked).to_dict())
    token = passkeys.finish_authentication(body, **asked).step_up_token
    for wrong in (token, 7, None, b""):
        with refused("token_invalid"):
            passkeys.validate_step_up(wrong, user_id="ada", purpose=None)
    assert passkeys.validate_step_up(token, **asked) == NOW
