"""User ids that a storage cannot hold are refused before any storage is asked: they may come from remote users."""

import inspect
from typing import Any

import pytest

from passkeycore import CredentialRecord
from passkeycore.engine import PasskeyService
from passkeycore.engine.records import EventFilter
from passkeycore.tokens import Tokens

from .kit import ADA, RP, SECRET, Colour, Engine, browser, engine, refused

_NAMED = [
    name
    for name, method in vars(PasskeyService).items()
    if callable(method) and not name.startswith("_") and "user_id" in inspect.signature(method).parameters
]
# What a finish is told is only compared.
_COMPARED = {"finish_registration", "finish_authentication"}
_OTHERS = {
    "credential_id": b"id",
    "name": "name",
    "token": "token",
    "purpose": "purpose",
    "stored_credential_ids": (),
    "user_name": "name",
    "credential": CredentialRecord(credential_id=b"id", public_key=b"", rp_id=RP.id),
}


@pytest.mark.parametrize("user_id", ["", "a\0b", "\ud800", "x" * 256, 7, 1.5, b"ada", ["ada"]])
@pytest.mark.parametrize("name", sorted(set(_NAMED) - _COMPARED))
def test_a_user_id_that_no_storage_can_hold_is_refused(name: str, user_id: Any, colour: Colour) -> None:
    passkeys = engine(colour, tokens=Tokens([SECRET]))
    wanted = inspect.signature(getattr(PasskeyService, name)).parameters.values()
    others = {p.name: _OTHERS[p.name] for p in wanted if p.default is p.empty and p.name in _OTHERS}
    if name == "import_passkey":
        key = passkeys.register("other", start={"user_id": "other", "user_name": "other"}).credential.public_key
        others["credential"] = CredentialRecord(credential_id=b"id", public_key=key, rp_id=RP.id)
    with refused("user_id_invalid", passkeys) as caught:
        getattr(passkeys, name)(user_id=user_id, **others)
    assert caught.value.path == "user_id"


@pytest.mark.parametrize("user_id", ["x" * 255, "o'neil; -- é🔑", " "])
def test_other_user_ids_are_the_applications_affair(user_id: str, passkeys: Engine) -> None:
    assert passkeys.get_or_create_user(user_id, "name").user_id == user_id


@pytest.mark.parametrize("user_id", ["", "\0", "\ud800", "x" * 256, 7])
@pytest.mark.parametrize("method", ["list_events", "count_events"])
def test_nor_is_the_history_of_such_a_user_looked_for(method: str, user_id: Any, colour: Colour) -> None:
    passkeys = engine(colour, store_events=True)
    with refused("user_id_invalid") as caught:
        getattr(passkeys, method)(EventFilter(user_id=user_id))
    assert caught.value.path == "user_id"
    assert not getattr(passkeys, method)(EventFilter(user_id="nobody")) or method == "list_events"


@pytest.mark.parametrize("user_id", [7, b"ada", ["ada"]])
def test_a_finish_compares_whatever_it_is_told(user_id: Any, passkeys: Engine) -> None:
    device = browser()
    start = passkeys.start_registration(**ADA)
    with refused("challenge_unknown", passkeys):
        passkeys.finish_registration(device.create(start.to_dict()), user_id=user_id)
    passkeys.register(client=device)
    start = passkeys.start_authentication(user_id="ada")
    with refused("challenge_unknown", passkeys):
        passkeys.finish_authentication(device.get(start.to_dict()), user_id=user_id)
