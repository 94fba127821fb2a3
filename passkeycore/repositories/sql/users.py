"""Users of `SQLRepository`, once for both colours, and how something new comes to belong to one.

What belongs here: what is done to a user as a whole, and what `passkeys` and `devices` need of one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Executable, and_, bindparam, delete, select, update

from ...engine.records import Event, User
from ...engine.repository import Addition
from ...errors import Code, ConflictError, DecodeError
from .connections import Context, Statements
from .events import change, note
from .statements import ATTEMPTS, OUT_OF_STEP, REALM, USER, insert_new
from .tables import actions, device_challenges, devices, passkeys, profiles, users

USER_COLUMNS: Final = [users.c[name] for name in User.__struct_fields__]
USER_WIDTH: Final = len(USER_COLUMNS)
this_user: Final = and_(users.c.realm == REALM, users.c.user_id == USER)

_INSERT_USER: Final = insert_new(users)
_SELECT_USER: Final = select(*USER_COLUMNS).where(this_user)
# Locked until the end of the transaction (SQLite locks all there is): writers of what one user has come one by one,
# and the user cannot go away in between.
_LOCK_USER: Final = select(users.c.user_handle, users.c.disabled_at).where(this_user).with_for_update(key_share=True)
_RENAME_USER: Final = (
    update(users).where(this_user).values(name=bindparam("new_name"), display_name=bindparam("new_display_name"))
)
_DISABLE_USER: Final = update(users).where(this_user).values(disabled_at=bindparam("new_disabled_at"))
_DELETE_USER: Final = delete(users).where(this_user)
# Some have no foreign key, and SQLite heeds those there are only where that was switched on.
_DELETE_THEIRS: Final = [
    delete(table).where(table.c.realm == REALM, table.c.user_id == USER)
    for table in (passkeys, devices, device_challenges, actions, profiles)
]


async def get_or_create_user(context: Context, user: User, /) -> User:
    """See `PasskeyRepository.get_or_create_user`.

    Raises:
        ConflictError: `conflict`: another user has this user handle.
        DecodeError: `record_invalid`: the answer is about another user.
    """
    store = context.store
    for _ in range(ATTEMPTS):
        rows = await store.rows(_SELECT_USER, {"in_realm": user.realm, "of_user": user.user_id})
        if rows:
            return read_user(user.realm, user.user_id, rows[0])
        if await store.count(_INSERT_USER[store.dialect], msgspec.structs.asdict(user)) == 1:
            return user
    raise ConflictError(Code.CONFLICT, "another user has this user handle")


async def rename_user(
    context: Context, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.rename_user`."""
    values = {"in_realm": realm, "of_user": user_id, "new_name": name, "new_display_name": display_name}
    return await change(context, _RENAME_USER, values, event) == 1


async def set_user_disabled(
    context: Context, realm: str, user_id: str, disabled_at: datetime | None, event: Event | None, /
) -> bool:
    """See `PasskeyRepository.set_user_disabled`."""
    values = {"in_realm": realm, "of_user": user_id, "new_disabled_at": disabled_at}
    return await change(context, _DISABLE_USER, values, event) == 1


async def remove_user(context: Context, realm: str, user_id: str, event: Event | None, /) -> bool:
    """See `PasskeyRepository.remove_user`; removes devices, their challenges, actions and the profile as well."""
    values = {"in_realm": realm, "of_user": user_id}
    async with context.store.transaction() as work:
        # The user first: that waits for whoever is adding something, which is then seen and removed as well.
        removed = [await work.count(statement, values) for statement in (_DELETE_USER, *_DELETE_THEIRS)]
        if not any(removed):
            return False
        await note(context, work, event)
        return True


def read_user(realm: str, user_id: str | None, row: Sequence[Any]) -> User:
    """The user whose `USER_COLUMNS` the row begins with.

    Raises:
        DecodeError: `record_invalid`: it is one of another realm, or another one than `user_id`, where that is given.
    """
    user = User(**dict(zip(User.__struct_fields__, row, strict=False)))  # more may follow: a passkey
    if user.realm != realm or (user_id is not None and user.user_id != user_id):
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    return user


class RefusedError(Exception):
    """Never leaves an operation; it undoes the transaction on its way out.

    Attributes:
        answer: Why nothing was stored.
    """

    def __init__(self, answer: Addition) -> None:
        self.answer: Addition = answer


class Kind(NamedTuple):
    """What a user has a limited number of.

    Attributes:
        insert: By dialect, what inserts a new one.
        slots: What selects the slots that the user's have.
        taken: What selects something when the name of the new one is taken.
    """

    insert: Mapping[str, Executable]
    slots: Executable
    taken: Executable


async def insert_user(work: Statements, user: User) -> bool:
    """Whether the user is new, and stored now."""
    return await work.count(_INSERT_USER[work.dialect], msgspec.structs.asdict(user)) == 1


async def lock_user(work: Statements, realm: str, user_id: str) -> bytes:
    """The user's handle. Nobody else adds anything to the user until the end of the transaction.

    Raises:
        RefusedError: There is no such user, or it is disabled.
    """
    for user_handle, disabled_at in await work.rows(_LOCK_USER, {"in_realm": realm, "of_user": user_id}):
        if disabled_at is not None:
            raise RefusedError("user_disabled")
        return bytes(user_handle)
    raise RefusedError("user_not_found")


async def add_to_user(
    work: Statements, kind: Kind, values: Mapping[str, object], key: Mapping[str, object], limit: int
) -> None:
    """Returns when something new is stored in the lowest free slot of a user who is locked.

    Args:
        work: The transaction.
        kind: What is new.
        values: Its columns, save the slot.
        key: The parameters of `kind.taken` and `kind.slots`.
        limit: How many of its kind the user may have.

    Raises:
        RefusedError: The limit is reached, or its name is taken.
        ConflictError: `conflict`: others took every slot that was tried.
    """
    for _ in range(ATTEMPTS):
        # The lock on the user makes room for one writer at a time; should anybody write without it, the slot is unique.
        taken = {slot for (slot,) in await work.rows(kind.slots, key)}
        if len(taken) >= limit:
            raise RefusedError("limit_reached")
        free = next(slot for slot in count() if slot not in taken)
        if await work.count(kind.insert[work.dialect], {**values, "slot": free}) == 1:
            return
        if await work.rows(kind.taken, key):
            raise RefusedError("credential_exists")
    raise ConflictError(Code.CONFLICT, "others took every slot")
