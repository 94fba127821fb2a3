"""Every ceremony of the tables once more, as a finish over a repository: what level 1 refuses, the engine refuses.

What belongs here: how a ceremony of level 1 is put onto a stage of the engine, and where the two differ on purpose. In
each case nothing is stored where anything failed, and the challenge is spent.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from passkeycore import Code, CredentialRecord, PasskeyError, RegistrationState
from passkeycore.engine.records import Ceremony as Waiting
from passkeycore.engine.records import Passkey, User
from passkeycore.repositories.memory import MemoryRepository

from ..engine.kit import Clock, Colour, Engine, engine
from .ceremonies import NOW, HarnessError, Played, play
from .harness import Ceremony

ADA: Final = "ada"
DIFFERENT: Final[Mapping[Code | None, frozenset[Code]]] = {
    # The challenge is what the ceremony is found by, so that another one is no mismatch, but unknown.
    Code.CHALLENGE_MISMATCH: frozenset({Code.CHALLENGE_UNKNOWN}),
    # The record is found by `rawId`; level 1 was handed one that does not go with it.
    Code.CREDENTIAL_ID_MISMATCH: frozenset({Code.NO_CREDENTIAL, Code.SIGNATURE_INVALID, Code.CREDENTIAL_NOT_ALLOWED}),
    # A record with another owner is another user's: as good as none.
    Code.CREDENTIAL_NOT_ALLOWED: frozenset({Code.SIGNATURE_INVALID, Code.NO_CREDENTIAL, Code.USER_HANDLE_MISMATCH}),
    Code.USER_HANDLE_MISMATCH: frozenset({Code.SIGNATURE_INVALID, Code.NO_CREDENTIAL}),
}
_UNNAMED: Final = frozenset({Code.CHALLENGE_UNKNOWN, Code.TOO_LARGE, Code.JSON_INVALID, Code.BASE64URL_INVALID})
"""Codes of responses that may name no challenge at all, or another one: those spend none."""


def staged(colour: Colour, played: Played) -> tuple[Engine, str]:
    """An engine where this ceremony is under way, and the method that finishes it."""
    state, record = played.state, played.record
    clock = Clock()
    clock.at = played.finish.get("now", NOW)
    memory = MemoryRepository()
    handle = state.user_handle or (record.user_handle if record is not None else None) or b"nobody's"
    owner = (record.user_handle if record is not None else None) or handle
    for user_id, user_handle in {handle: ADA, owner: ADA if owner == handle else "eve"}.items():
        memory.get_or_create_user(User(user_id=user_handle, user_handle=user_id, name="x", created_at=NOW))
    if record is not None:
        kept: CredentialRecord = msgspec.structs.replace(record, user_handle=owner)
        passkey = Passkey(credential=kept, user_id=ADA if owner == handle else "eve", name="x", created_at=NOW)
        if memory.add_passkey(passkey, 5, None, None) != "added":
            raise HarnessError("the stage cannot be set")
    registering = isinstance(state, RegistrationState)
    known = ADA if registering or state.user_handle is not None else None
    memory.add_ceremony(Waiting(state=msgspec.structs.replace(state, user_id=state.user_id or known)))
    return engine(colour, rp=played.rp, memory=memory, clock=clock), (
        "finish_registration" if registering else "finish_authentication"
    )


def check_through(case: Ceremony, colour: Colour) -> None:
    """Returns only when the engine comes to the same as level 1, or to what `DIFFERENT` allows.

    Raises:
        HarnessError: Otherwise.
    """
    played = play(case.kind, case.setup, case.change)
    if played.record is not None and played.record.user_handle is None:
        return  # in the engine every passkey has an owner
    passkeys, verb = staged(colour, played)
    given = {name: value for name, value in played.finish.items() if name != "now"}
    if "user_id" not in given:
        given["user_id"] = next(iter(passkeys.memory._ceremonies._values.values()))[2].state.user_id
    before = passkeys.stored()
    code = _code(lambda: getattr(passkeys, verb)(played.body, **given))
    if code != case.code and code not in DIFFERENT.get(case.code, ()):
        raise HarnessError(f"{case.id}: level 1 says {case.code}, the engine {code}")
    if code is None:
        return
    if passkeys.stored() != before:
        raise HarnessError(f"{case.id} failed with {code}, and something is stored")
    if passkeys.under_way() and code not in _UNNAMED:
        raise HarnessError(f"{case.id} failed with {code}, and its challenge is not spent")


def _code(call: Any) -> Code | None:
    try:
        call()
    except PasskeyError as error:
        return error.code
    return None
