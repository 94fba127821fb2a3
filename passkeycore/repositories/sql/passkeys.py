"""What `SQLRepository` does, once for both colours: each function is one method of the protocols.

What belongs here: the statements, built once so that SQLAlchemy compiles them once, and what their results mean.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hmac import compare_digest
from itertools import count
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Executable,
    Table,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from ...engine.records import Account, Ceremony, Event, Passkey, User
from ...engine.repository import Addition
from ...errors import Code, ConflictError, DecodeError
from ...webauthn.credential import CredentialRecord, CredentialUpdate
from .connections import Context, Statements
from .events import note
from .tables import ceremonies, passkeys, spent, users

_GRACE: Final = timedelta(minutes=1)  # what expired is kept so long, for machines whose clocks differ
_BATCH: Final = 1000  # rows; a few milliseconds, for which SQLite lets nobody else write
# Two who share a connection, such as a process and its fork, get each other's answers: that must let nobody in.
_OUT_OF_STEP: Final = "another one was asked for: the replies on this connection are out of step"
_ATTEMPTS: Final = 32  # at a slot or user that others take in the same moment
# Names of parameters may not be those of columns that the same statement sets.
_REALM: Final[BindParameter[str]] = bindparam("in_realm")
_USER: Final[BindParameter[str]] = bindparam("of_user")
_CREDENTIAL: Final[BindParameter[bytes]] = bindparam("of_credential")
_this_user: Final = and_(users.c.realm == _REALM, users.c.user_id == _USER)
_this_passkey: Final = and_(passkeys.c.realm == _REALM, passkeys.c.credential_id == _CREDENTIAL)
_their_passkeys: Final = and_(passkeys.c.realm == _REALM, passkeys.c.user_id == _USER)
_their_passkey: Final = and_(_this_passkey, passkeys.c.user_id == _USER)
_owner: Final = and_(users.c.realm == passkeys.c.realm, users.c.user_id == passkeys.c.user_id)

_USER_COLUMNS: Final = [users.c[name] for name in User.__struct_fields__]
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
_USER_WIDTH: Final = len(_USER_COLUMNS)

# Inserts only what is not there, by whatever key; SQLAlchemy has this in each dialect apart. Of an INSERT it keeps the
# number of rows only when told to.
_INSERT_NEW: Final[Mapping[str, Mapping[Table, Executable]]] = {
    dialect: {
        table: make(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
        for table in (users, passkeys, ceremonies, spent)
    }
    for dialect, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_TAKE_CEREMONY: Final = (
    delete(ceremonies)
    .where(ceremonies.c.realm == _REALM, ceremonies.c.challenge == bindparam("with_challenge"))
    .returning(ceremonies.c.body)
)
_SELECT_USER: Final = select(*_USER_COLUMNS).where(_this_user)
# Locked until the end of the transaction (SQLite locks all there is): writers of one user's passkeys come one by one,
# and the user cannot go away in between.
_LOCK_USER: Final = select(users.c.user_handle, users.c.disabled_at).where(_this_user).with_for_update(key_share=True)
_SELECT_ACCOUNT: Final = (
    select(*_USER_COLUMNS, *_PASSKEY_COLUMNS)
    .select_from(users.outerjoin(passkeys, _owner))
    .where(_this_user)
    .order_by(passkeys.c.created_at, passkeys.c.credential_id)
)
_RENAME_USER: Final = (
    update(users).where(_this_user).values(name=bindparam("new_name"), display_name=bindparam("new_display_name"))
)
_DISABLE_USER: Final = update(users).where(_this_user).values(disabled_at=bindparam("new_disabled_at"))
_DELETE_USER: Final = delete(users).where(_this_user)
_SELECT_SLOTS: Final = select(passkeys.c.slot).where(_their_passkeys)
_SELECT_CREDENTIAL: Final = select(passkeys.c.user_id).where(_this_passkey)
_FIND_PASSKEY: Final = (
    select(*_USER_COLUMNS, *_PASSKEY_COLUMNS).select_from(passkeys.join(users, _owner)).where(_this_passkey)
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


def _delete_expired(table: Table, dialect: str) -> Executable:
    # By its place a row is found again without a search; by its key, PostgreSQL may prefer to read the whole table.
    place: ColumnElement[Any] = literal_column({"sqlite": "rowid", "postgresql": "ctid"}[dialect])
    oldest = (
        select(place)
        .select_from(table)
        .where(table.c.expires_at < bindparam("before"))
        .order_by(table.c.expires_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)  # what is being taken in this moment goes anyway
        .correlate(None)
        .scalar_subquery()
    )
    return delete(table).where(place.in_(oldest) if dialect == "sqlite" else place == func.any(func.array(oldest)))


_DELETE_EXPIRED: Final = {
    dialect: [_delete_expired(table, dialect) for table in (ceremonies, spent)] for dialect in _INSERT_NEW
}


async def add_ceremony(context: Context, ceremony: Ceremony, /) -> bool:
    """See `CeremonyRepository.add_ceremony`."""
    state = ceremony.state
    values = {
        "realm": state.realm,
        "challenge": state.challenge,
        "body": ceremony.to_bytes(),
        "expires_at": state.expires_at,
    }
    return await context.own.count(_INSERT_NEW[context.own.dialect][ceremonies], values) == 1


async def take_ceremony(context: Context, realm: str, challenge: bytes, /) -> Ceremony | None:
    """See `CeremonyRepository.take_ceremony`.

    Raises:
        DecodeError: `state_invalid`: what is stored is no ceremony, or another one; it is gone as well.
    """
    rows = await context.own.rows(_TAKE_CEREMONY, {"in_realm": realm, "with_challenge": challenge})
    if not rows:
        return None
    ceremony = Ceremony.from_bytes(rows[0][0])
    if ceremony.state.realm != realm or not compare_digest(ceremony.state.challenge, challenge):
        raise DecodeError(Code.STATE_INVALID, _OUT_OF_STEP)
    return ceremony


async def remove_expired(context: Context, now: datetime, /) -> int:
    """See `CeremonyRepository.remove_expired`; removes what was spent as well."""
    removed = 0
    for statement in _DELETE_EXPIRED[context.own.dialect]:
        in_batch = _BATCH
        while in_batch == _BATCH:
            in_batch = await context.own.count(statement, {"before": now - _GRACE})
            removed += in_batch
    return removed


async def spend(context: Context, realm: str, key: bytes, expires_at: datetime, /) -> bool:
    """See `SpentRepository.spend`."""
    values = {"realm": realm, "key": key, "expires_at": expires_at}
    return await context.own.count(_INSERT_NEW[context.own.dialect][spent], values) == 1


async def get_or_create_user(context: Context, user: User, /) -> User:
    """See `PasskeyRepository.get_or_create_user`.

    Raises:
        ConflictError: `conflict`: another user has this user handle.
        DecodeError: `record_invalid`: the answer is about another user.
    """
    store = context.store
    for _ in range(_ATTEMPTS):
        rows = await store.rows(_SELECT_USER, {"in_realm": user.realm, "of_user": user.user_id})
        if rows:
            return _user(user.realm, user.user_id, rows[0])
        if await store.count(_INSERT_NEW[store.dialect][users], msgspec.structs.asdict(user)) == 1:
            return user
    raise ConflictError(Code.CONFLICT, "another user has this user handle")


async def find_account(context: Context, realm: str, user_id: str, /) -> Account | None:
    """See `PasskeyRepository.find_account`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another user.
    """
    rows = await context.store.rows(_SELECT_ACCOUNT, {"in_realm": realm, "of_user": user_id})
    if not rows:
        return None
    user = _user(realm, user_id, rows[0])
    return Account(user=user, passkeys=tuple(_passkey(user, row) for row in rows if row[_USER_WIDTH] is not None))


async def rename_user(
    context: Context, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.rename_user`."""
    values = {"in_realm": realm, "of_user": user_id, "new_name": name, "new_display_name": display_name}
    return await _change(context, _RENAME_USER, values, event) == 1


async def set_user_disabled(
    context: Context, realm: str, user_id: str, disabled_at: datetime | None, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.set_user_disabled`."""
    values = {"in_realm": realm, "of_user": user_id, "new_disabled_at": disabled_at}
    return await _change(context, _DISABLE_USER, values, event) == 1


async def remove_user(context: Context, realm: str, user_id: str, event: Event | None, /) -> bool:
    """See `PasskeyRepository.remove_user`."""
    values = {"in_realm": realm, "of_user": user_id}
    async with context.store.transaction() as work:
        # The user first: that waits for whoever is adding a passkey, which the foreign key then removes as well.
        if await work.count(_DELETE_USER, values) != 1:
            return False
        await work.count(_DELETE_PASSKEYS, values)  # SQLite heeds foreign keys only where that was switched on
        await note(work, event)
        return True


async def add_passkey(
    context: Context, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /
) -> Addition:
    """See `PasskeyRepository.add_passkey`.

    Raises:
        ConflictError: `conflict`: others took every slot that was tried.
    """
    try:
        async with context.store.transaction() as work:
            owner = await _owner_of(work, passkey, new_user)
            if owner != "added":
                raise _Refused(owner)
            addition = await _add(work, passkey, limit)
            if addition != "added":
                raise _Refused(addition)
            await note(work, event)
            return "added"
    except _Refused as refused:
        return refused.answer


async def find_passkey(context: Context, realm: str, credential_id: bytes, /) -> tuple[Passkey, User] | None:
    """See `PasskeyRepository.find_passkey`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another passkey.
    """
    rows = await context.store.rows(_FIND_PASSKEY, {"in_realm": realm, "of_credential": credential_id})
    if not rows:
        return None
    user = _user(realm, None, rows[0])
    passkey = _passkey(user, rows[0])
    if passkey.credential_id != credential_id:
        raise DecodeError(Code.RECORD_INVALID, _OUT_OF_STEP)
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
    return await _change(context, _ADVANCE_PASSKEY, values, event) == 1


async def rename_passkey(
    context: Context, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.rename_passkey`."""
    values = {"in_realm": realm, "of_user": user_id, "of_credential": credential_id, "new_name": name}
    return await _change(context, _RENAME_PASSKEY, values, event) == 1


async def remove_passkey(
    context: Context, realm: str, user_id: str, credential_id: bytes, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.remove_passkey`."""
    values = {"in_realm": realm, "of_user": user_id, "of_credential": credential_id}
    return await _change(context, _DELETE_PASSKEY, values, event) == 1


async def remove_passkeys(context: Context, realm: str, user_id: str, event: Event | None, /) -> int:
    """See `PasskeyRepository.remove_passkeys`."""
    return await _change(context, _DELETE_PASSKEYS, {"in_realm": realm, "of_user": user_id}, event)


async def confirm_user_verification(
    context: Context, realm: str, user_id: str, credential_id: bytes, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.confirm_user_verification`."""
    values = {"in_realm": realm, "of_user": user_id, "of_credential": credential_id}
    return await _change(context, _CONFIRM, values, event) == 1


class _Refused(Exception):  # noqa: N818 - never leaves `add_passkey`; it undoes the transaction on its way out
    def __init__(self, answer: Addition) -> None:
        self.answer: Addition = answer


async def _owner_of(work: Statements, passkey: Passkey, new_user: User | None) -> Addition:
    if new_user is not None:
        inserted = await work.count(_INSERT_NEW[work.dialect][users], msgspec.structs.asdict(new_user))
        if inserted != 1:
            return "user_exists"
    for user_handle, disabled_at in await work.rows(_LOCK_USER, _user_key(passkey)):
        if user_handle == passkey.credential.user_handle:
            return "added" if disabled_at is None else "user_disabled"
    return "user_not_found"


async def _add(work: Statements, passkey: Passkey, limit: int) -> Addition:
    record = passkey.credential
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
    for _ in range(_ATTEMPTS):
        # The lock on the user makes room for one writer at a time; should anybody write without it, the slot is unique.
        taken = {slot for (slot,) in await work.rows(_SELECT_SLOTS, _user_key(passkey))}
        if len(taken) >= limit:
            return "limit_reached"
        free = next(slot for slot in count() if slot not in taken)
        if await work.count(_INSERT_NEW[work.dialect][passkeys], values | {"slot": free}) == 1:
            return "added"
        if await work.rows(_SELECT_CREDENTIAL, {"in_realm": passkey.realm, "of_credential": record.credential_id}):
            return "credential_exists"
    raise ConflictError(Code.CONFLICT, "others took every slot")


async def _change(context: Context, statement: Executable, values: Mapping[str, object], event: Event | None) -> int:
    if event is None:
        return await context.store.count(statement, values)
    async with context.store.transaction() as work:
        changed = await work.count(statement, values)
        if changed > 0:
            await note(work, event)
        return changed


def _user_key(passkey: Passkey) -> Mapping[str, object]:
    return {"in_realm": passkey.realm, "of_user": passkey.user_id}


def _user(realm: str, user_id: str | None, row: Sequence[Any]) -> User:
    user = User(**dict(zip(User.__struct_fields__, row, strict=False)))  # more may follow: a passkey
    if user.realm != realm or (user_id is not None and user.user_id != user_id):
        raise DecodeError(Code.RECORD_INVALID, _OUT_OF_STEP)
    return user


def _passkey(owner: User, row: Sequence[Any]) -> Passkey:
    record, sign_count, eligible, state, uv_initialized, user_id, name, created_at, last_used_at = row[_USER_WIDTH:]
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
