"""User ids that a storage cannot hold are refused before any storage is asked: they may come from remote users."""

import inspect

import pytest

from passkeycore import CredentialRecord
from passkeycore.engine import PasskeyService

from .kit import RP, Engine, refused

_NAMED = [
    name
    for name, method in vars(PasskeyService).items()
    if callable(method) and not name.startswith("_") and "user_id" in inspect.signature(method).parameters
]
# What a finish is told is only compared, and so is what a token is to say.
_COMPARED = {"finish_registration", "finish_authentication", "validate_step_up"}
_OTHERS = {
    "credential_id": b"id",
    "name": "name",
    "user_name": "name",
    "credential": CredentialRecord(credential_id=b"id", public_key=b"", rp_id=RP.id),
}


@pytest.mark.parametrize("user_id", ["", "a\0b", "\ud800", "x" * 256])
@pytest.mark.parametrize("name", sorted(set(_NAMED) - _COMPARED))
def test_a_user_id_that_no_storage_can_hold_is_refused(name: str, user_id: str, passkeys: Engine) -> None:
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
