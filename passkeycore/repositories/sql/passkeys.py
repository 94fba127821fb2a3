"""Passkeys of `SQLRepository`, once for both colours: each function is one method of `PasskeyRepository`.

What belongs here: the statements, built once so that SQLAlchemy compiles them once, and what their results mean.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import BindParameter, and_, bindparam, delete, select, update

from ...engine.records import Account, Event, Passkey, User
from ...engine.repository import Addition
from ...errors import Code, DecodeError
from ...webauthn.credential import CredentialRecord, CredentialUpdate
from .connections import Context
from .events import change, note
from .statements import OUT_OF_STEP, REALM, USER, insert_new
from .tables import passkeys, users
from .users import (
    USER_COLUMNS,
    USER_WIDTH,
    Kind,
    RefusedError,
    add_to_user,
    insert_user,
    lock_user,
    read_user,
    this_user,
)

_CREDENTIAL: Final[BindParameter[bytes]] = bindparam("of_credential")
_this_passkey: Final = and_(passkeys.c.realm == REALM, passkeys.c.credential_id == _CREDENTIAL)
_their_passkeys: Final = and_(passkeys.c.realm == REALM, passkeys.c.user_id == USER)
_their_passkey: Final = and_(_this_passkey, passkeys.c.user_id == USER)
_owner: Final = and_(users.c.realm == passkeys.c.realm, users.c.user_id == passkeys.c.user_id)

_PASSKEY_COLUMNS: Final = [
    passkeys.c.record,
    passkeys.c.sign_count,
    passkeys.c.backup_eligible,
    passkeys.c.backup_state,
    passkeys.c.uv_initialized,
    passkeys.c.user_id,
    passkeys.c.name,
    passkeys.c.created_at,
    passkeys.c.last_used_at,
]

_KIND: Final = Kind(
    insert=insert_new(passkeys),
    slots=select(passkeys.c.slot).where(_their_passkeys),
    taken=select(passkeys.c.user_id).where(_this_passkey),
)
_SELECT_ACCOUNT: Final = (
    select(*USER_COLUMNS, *_PASSKEY_COLUMNS)
    .select_from(users.outerjoin(passkeys, _owner))
    .where(this_user)
    .order_by(passkeys.c.created_at, passkeys.c.credential_id)
)
_FIND_PASSKEY: Final = (
    select(*USER_COLUMNS, *_PASSKEY_COLUMNS).select_from(passkeys.join(users, _owner)).where(_this_passkey)
)
_ADVANCE_PASSKEY: Final = (
    update(passkeys)
    .where(
        _this_passkey,
        passkeys.c.sign_count == bindparam("expected_sign_count"),
        passkeys.c.backup_state.is_not_distinct_from(bindparam("expected_backup_state")),
        passkeys.c.uv_initialized == bindparam("expected_uv_initialized"),
        select(users.c.user_id).where(_owner, users.c.disabled_at.is_(None)).correlate(passkeys).exists(),
    )
    .values(
        sign_count=bindparam("new_sign_count"),
        backup_eligible=bindparam("new_backup_eligible"),
        backup_state=bindparam("new_backup_state"),
        last_used_at=bindparam("new_last_used_at"),
    )
)
_RENAME_PASSKEY: Final = update(passkeys).where(_their_passkey).values(name=bindparam("new_name"))
_DELETE_PASSKEY: Final = delete(passkeys).where(_their_passkey)
_DELETE_PASSKEYS: Final = delete(passkeys).where(_their_passkeys)
_CONFIRM: Final = update(passkeys).where(_their_passkey).values(uv_initialized=True)


async def find_account(context: Context, realm: str, user_id: str, /) -> Account | None:
    """See `PasskeyRepository.find_account`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another user.
    """
    rows = await context.store.rows(_SELECT_ACCOUNT, {"in_realm": realm, "of_user": user_id})
    if not rows:
        return None
    user = read_user(realm, user_id, rows[0])
    return Account(user=user, passkeys=tuple(_passkey(user, row) for row in rows if row[USER_WIDTH] is not None))


async def add_passkey(
    context: Context, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /
) -> Addition:
    """See `PasskeyRepository.add_passkey`.

    Raises:
        ConflictError: `conflict`: others took every slot that was tried.
    """
    record = passkey.credential
    key = {"in_realm": passkey.realm, "of_user": passkey.user_id, "of_credential": record.credential_id}
    values: dict[str, object] = {
        "realm": passkey.realm,
        "credential_id": record.credential_id,
        "user_id": passkey.user_id,
        "sign_count": record.sign_count,
        "backup_eligible": record.backup_eligible,
        "backup_state": record.backup_state,
        "uv_initialized": record.uv_initialized,
        "name": passkey.name,
        "created_at": passkey.created_at,
        "last_used_at": passkey.last_used_at,
        "record": record.to_bytes(),
    }
    try:
        async with context.store.transaction() as work:
            if new_user is not None and not await insert_user(work, new_user):
                raise RefusedError("user_exists")
            if await lock_user(work, passkey.realm, passkey.user_id) != record.user_handle:
                raise RefusedError("user_not_found")
            await add_to_user(work, _KIND, values, key, limit)
            await note(context, work, event)
            return "added"
    except RefusedError as refused:
        return refused.answer


async def find_passkey(context: Context, realm: str, credential_id: bytes, /) -> tuple[Passkey, User] | None:
    """See `PasskeyRepository.find_passkey`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another passkey.
    """
    rows = await context.store.rows(_FIND_PASSKEY, {"in_realm": realm, "of_credential": credential_id})
    if not rows:
        return None
    user = read_user(realm, None, rows[0])
    passkey = _passkey(user, rows[0])
    if passkey.credential_id != credential_id:
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    return passkey, user


async def advance_passkey(
    context: Context, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.advance_passkey`."""
    values = {
        "in_realm": realm,
        "of_credential": update.credential_id,
        "expected_sign_count": update.expected_sign_count,
        "expected_backup_state": update.expected_backup_state,
        "expected_uv_initialized": update.expected_uv_initialized,
        "new_sign_count": update.sign_count,
        "new_backup_eligible": update.backup_eligible,
        "new_backup_state": update.backup_state,
        "new_last_used_at": used_at,
    }
    return await change(context, _ADVANCE_PASSKEY, values, event) == 1


async def rename_passkey(
    context: Context, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.rename_passkey`."""
    values = {"in_realm": realm, "of_user": user_id, "of_credential": credential_id, "new_name": name}
    return await change(context, _RENAME_PASSKEY, values, event) == 1


async def remove_passkey(
    context: Context, realm: str, user_id: str, credential_id: bytes, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.remove_passkey`."""
    values = {"in_realm": realm, "of_user": user_id, "of_credential": credential_id}
    return await change(context, _DELETE_PASSKEY, values, event) == 1


async def remove_passkeys(context: Context, realm: str, user_id: str, event: Event | None, /) -> int:
    """See `PasskeyRepository.remove_passkeys`."""
    return await change(context, _DELETE_PASSKEYS, {"in_realm": realm, "of_user": user_id}, event)


async def confirm_user_verification(
    context: Context, realm: str, user_id: str, credential_id: bytes, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.confirm_user_verification`."""
    values = {"in_realm": realm, "of_user": user_id, "of_credential": credential_id}
    return await change(context, _CONFIRM, values, event) == 1


def _passkey(owner: User, row: Sequence[Any]) -> Passkey:
    record, sign_count, eligible, state, uv_initialized, user_id, name, created_at, last_used_at = row[USER_WIDTH:]
    credential = msgspec.structs.replace(
        CredentialRecord.from_bytes(record),
        sign_count=sign_count,
        backup_eligible=eligible,
        backup_state=state,
        uv_initialized=uv_initialized,
    )
    return Passkey(
        credential=credential,
        user_id=user_id,
        name=name,
        created_at=created_at,
        last_used_at=last_used_at,
        realm=owner.realm,
    )
