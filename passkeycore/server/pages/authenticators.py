"""The user's passkeys and devices on the settings page: what is shown of them, renaming and removing them."""

from datetime import datetime
from typing import Any, Final

import msgspec

from ...actions.states import Method
from ...engine.devices.authenticators import Authenticator
from ...errors import Code, CredentialNotFound, TokenError
from ...webauthn.wire import decode_json
from .visits import Visit

_SMALL: Final = 4_096  # bytes: room for the longest id with the longest name
_KINDS: Final[dict[Method, str]] = {
    "passkey": "Passkey",
    "push": "App with push messages",
    "in-app": "App on a device",
    "qr-code": "App that scans codes",
}


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey or device, for the eyes of its owner.

    Attributes:
        id: Names it for the script.
        name: As its owner calls it.
        kind: What it is.
        method: What it answers.
        created_at, last_used_at: UTC; None: not used yet.
        is_synced: It is kept by an account of its owner's and comes to their other devices; None: nobody knows.
    """

    id: str
    name: str
    kind: str
    method: Method
    created_at: datetime
    last_used_at: datetime | None
    is_synced: bool | None


class _Rename(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str


class _Remove(msgspec.Struct, forbid_unknown_fields=True):
    id: str


_RENAME: Final = msgspec.json.Decoder(_Rename)
_REMOVE: Final = msgspec.json.Decoder(_Remove)


async def list_shown(visit: Visit) -> list[Shown]:
    """What the user has, the oldest first."""
    _, _, action = visit.tracked
    return [_shown(one) for one in await visit.tenant.devices.list_authenticators(action.user_id)]


async def rename(visit: Visit, body: bytes) -> dict[str, Any]:
    """The new name, as it is kept."""
    asked = decode_json(_RENAME, body, _SMALL)
    _, _, action = visit.tracked
    if not visit.rights.rename:
        raise _no_right()
    name = asked.name.strip()
    found = await _found(visit, action.user_id, asked.id)
    if found.passkey is not None:
        await visit.tenant.passkeys.rename_passkey(action.user_id, found.passkey.credential_id, name)
    else:
        await visit.tenant.devices.update_device(action.user_id, found.authenticator_id, name=name)
    return {"name": name}


async def remove(visit: Visit, body: bytes) -> dict[str, Any]:
    """How many are left, what tells the browser which passkeys are still good, and how the page goes on.

    Where that has met the challenge that opened the page, the page goes on by another address and another sealed text
    until its proof ends, and only shows what is left: a thief who removes what he stole has nothing in its place.
    """
    asked = decode_json(_REMOVE, body, _SMALL)
    _, _, action = visit.tracked
    if not visit.rights.remove:
        raise _no_right()
    tenant = visit.tenant
    await tenant.devices.remove_authenticator(action.user_id, asked.id)
    left = len(await tenant.devices.list_authenticators(action.user_id))
    accepted = await tenant.passkeys.all_accepted_credentials(action.user_id)
    removed: dict[str, Any] = {"left": left, "signals": {"signalAllAcceptedCredentials": accepted}}
    if visit.opened.proof is not None and visit.opened.proof.authenticator_id == asked.id:
        after = visit.after_removal(visit.opened.proof)
        removed |= {"token": after.sealed(), "address": after.own_address}
    return removed


async def _found(visit: Visit, user_id: str, authenticator_id: str) -> Authenticator:
    for one in await visit.tenant.devices.list_authenticators(user_id):
        if one.authenticator_id == authenticator_id:
            return one
    raise CredentialNotFound("the user has no such authenticator", path="id")


def _shown(one: Authenticator) -> Shown:
    return Shown(
        id=one.authenticator_id,
        name=one.name or _KINDS[one.method],
        kind=_KINDS[one.method],
        method=one.method,
        created_at=one.created_at,
        last_used_at=one.last_used_at,
        is_synced=None if one.passkey is None else one.passkey.credential.backup_state,
    )


def _no_right() -> TokenError:
    return TokenError(Code.SCOPE_MISSING, "the token does not let its holder do this")
