"""Trusted devices of `SQLRepository` and the challenges to them, once for both colours.

What belongs here: the statements, built once, and what their results mean. Devices are written in the transaction of a
caller, if there is one to join; challenges are not, or a rollback would revive one that was answered.
"""

from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest
from typing import Final

from sqlalchemy import and_, bindparam, delete, or_, select, update

from ...engine.devices.records import DeviceChallenge, DeviceCredential
from ...engine.records import Event, User
from ...engine.repository import Addition
from ...errors import Code, DecodeError
from .connections import Context
from .events import change, note
from .statements import OUT_OF_STEP, REALM, USER, Stored, insert_new
from .tables import device_challenges, devices, users
from .users import USER_COLUMNS, USER_WIDTH, Kind, RefusedError, add_to_user, lock_user, read_user, this_user

_DEVICE: Final = Stored(DeviceCredential, b"pkd1")
_CHALLENGE: Final = Stored(DeviceChallenge, b"pkq1")

_this_key: Final = and_(
    devices.c.realm == REALM,
    devices.c.method == bindparam("for_method"),
    devices.c.public_key == bindparam("with_key"),
)
_this_device: Final = and_(
    devices.c.realm == REALM, devices.c.authenticator_id == bindparam("of_authenticator"), devices.c.user_id == USER
)
_this_challenge: Final = and_(
    device_challenges.c.realm == REALM, device_challenges.c.challenge_id == bindparam("of_challenge")
)
_owner: Final = and_(users.c.realm == devices.c.realm, users.c.user_id == devices.c.user_id)

_KIND: Final = Kind(
    insert=insert_new(devices),
    slots=select(devices.c.slot).where(devices.c.realm == REALM, devices.c.user_id == USER),
    taken=select(devices.c.slot).where(
        or_(
            and_(devices.c.realm == REALM, devices.c.authenticator_id == bindparam("of_authenticator")),
            _this_key,
        )
    ),
)
_FIND_DEVICE: Final = select(*USER_COLUMNS, devices.c.body).select_from(devices.join(users, _owner)).where(_this_key)
_LIST_DEVICES: Final = (
    select(devices.c.body)
    .where(devices.c.realm == REALM, devices.c.user_id == USER)
    .order_by(devices.c.created_at, devices.c.authenticator_id)
)
_REPLACE_DEVICE: Final = (
    update(devices)
    .where(_this_device, _this_key, devices.c.revision == bindparam("expected_revision"))
    .values(created_at=bindparam("new_created_at"), revision=bindparam("new_revision"), body=bindparam("new_body"))
)
# Locked, so that whoever disables or removes the user comes before all of the answer or after it; and before the device
# is, as whoever removes a user does it in this order, too.
_REPLACE_DEVICE_IN_USE: Final = _REPLACE_DEVICE.where(
    select(users.c.user_id).where(this_user, users.c.disabled_at.is_(None)).with_for_update(read=True).exists()
)
_DELETE_DEVICE: Final = delete(devices).where(_this_device)
_INSERT_CHALLENGE: Final = insert_new(device_challenges)
_FIND_CHALLENGE: Final = select(device_challenges.c.body).where(_this_challenge)
_PENDING: Final = (
    select(device_challenges.c.body)
    .where(
        device_challenges.c.realm == REALM,
        device_challenges.c.user_id == USER,
        device_challenges.c.state.in_(["pending", "claimed"]),
        device_challenges.c.expires_at > bindparam("at"),
    )
    .order_by(device_challenges.c.created_at.desc(), device_challenges.c.challenge_id)
    .limit(bindparam("up_to"))
)
_REPLACE_CHALLENGE: Final = (
    update(device_challenges)
    .where(_this_challenge, device_challenges.c.revision == bindparam("expected_revision"))
    .values(
        {
            column: bindparam(f"new_{column}")
            for column in ("user_id", "state", "created_at", "expires_at", "revision", "body")
        }
    )
)


class _LostError(Exception):
    """Never leaves `replace_device_challenge`; it undoes the transaction on its way out."""


async def add_device(context: Context, device: DeviceCredential, limit: int, event: Event | None, /) -> Addition:
    """See `DeviceRepository.add_device`.

    Raises:
        ConflictError: `conflict`: others took every slot that was tried.
    """
    values: dict[str, object] = {
        "realm": device.realm,
        "authenticator_id": device.authenticator_id,
        "user_id": device.user_id,
        "method": device.method,
        "public_key": device.public_key,
        "created_at": device.created_at,
        "revision": device.revision,
        "body": _DEVICE.encode(device),
    }
    try:
        async with context.store.transaction() as work:
            await lock_user(work, device.realm, device.user_id)
            await add_to_user(work, _KIND, values, _key_of(device), limit)
            await note(context, work, event)
            return "added"
    except RefusedError as refused:
        return refused.answer


async def find_device(
    context: Context, realm: str, method: str, public_key: bytes, /
) -> tuple[DeviceCredential, User] | None:
    """See `DeviceRepository.find_device`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another device.
    """
    values = {"in_realm": realm, "for_method": method, "with_key": public_key}
    for row in await context.store.rows(_FIND_DEVICE, values):
        device, user = _DEVICE.decode(row[USER_WIDTH]), read_user(realm, None, row)
        if device.method != method or not compare_digest(device.public_key, public_key):
            raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
        return device, user
    return None


async def list_devices(context: Context, realm: str, user_id: str, /) -> tuple[DeviceCredential, ...]:
    """See `DeviceRepository.list_devices`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another user.
    """
    rows = await context.store.rows(_LIST_DEVICES, {"in_realm": realm, "of_user": user_id})
    listed = tuple(_DEVICE.decode(body) for (body,) in rows)
    if any((device.realm, device.user_id) != (realm, user_id) for device in listed):
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    return listed


async def replace_device(context: Context, device: DeviceCredential, event: Event | None, /) -> bool:
    """See `DeviceRepository.replace_device`."""
    return await change(context, _REPLACE_DEVICE, _replacement_of(device), event) == 1


async def remove_device(
    context: Context, realm: str, user_id: str, authenticator_id: str, event: Event | None, /
) -> bool:
    """See `DeviceRepository.remove_device`."""
    values = {"in_realm": realm, "of_user": user_id, "of_authenticator": authenticator_id}
    return await change(context, _DELETE_DEVICE, values, event) == 1


async def add_device_challenge(context: Context, challenge: DeviceChallenge, event: Event | None, /) -> bool:
    """See `DeviceRepository.add_device_challenge`."""
    values = {
        "realm": challenge.realm,
        "challenge_id": challenge.challenge_id,
        "user_id": challenge.user_id,
        "state": challenge.state,
        "created_at": challenge.created_at,
        "expires_at": challenge.expires_at,
        "revision": challenge.revision,
        "body": _CHALLENGE.encode(challenge),
    }
    return await change(context, _INSERT_CHALLENGE[context.own.dialect], values, event, own=True) == 1


# Challenges are read where they are written: a transaction of the caller's may see an older state of them, and then
# nothing could be written over them.


async def find_device_challenge(context: Context, realm: str, challenge_id: str, /) -> DeviceChallenge | None:
    """See `DeviceRepository.find_device_challenge`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another challenge.
    """
    for (body,) in await context.own.rows(_FIND_CHALLENGE, {"in_realm": realm, "of_challenge": challenge_id}):
        challenge = _CHALLENGE.decode(body)
        if challenge.realm != realm or not compare_digest(challenge.challenge_id.encode(), challenge_id.encode()):
            raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
        return challenge
    return None


async def pending_device_challenges(
    context: Context, realm: str, user_id: str, now: datetime, limit: int, /
) -> tuple[DeviceChallenge, ...]:
    """See `DeviceRepository.pending_device_challenges`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another user.
    """
    values = {"in_realm": realm, "of_user": user_id, "at": now, "up_to": limit}
    pending = tuple(_CHALLENGE.decode(body) for (body,) in await context.own.rows(_PENDING, values))
    if any((challenge.realm, challenge.user_id) != (realm, user_id) for challenge in pending):
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    return pending


async def replace_device_challenge(
    context: Context, challenge: DeviceChallenge, device: DeviceCredential | None, event: Event | None, /
) -> bool:
    """See `DeviceRepository.replace_device_challenge`."""
    values = {
        "in_realm": challenge.realm,
        "of_challenge": challenge.challenge_id,
        "expected_revision": challenge.revision - 1,
        "new_user_id": challenge.user_id,
        "new_state": challenge.state,
        "new_created_at": challenge.created_at,
        "new_expires_at": challenge.expires_at,
        "new_revision": challenge.revision,
        "new_body": _CHALLENGE.encode(challenge),
    }
    if device is None:
        return await change(context, _REPLACE_CHALLENGE, values, event, own=True) == 1
    try:
        async with context.own.transaction() as work:
            if (
                await work.count(_REPLACE_DEVICE_IN_USE, _replacement_of(device)) != 1
                or await work.count(_REPLACE_CHALLENGE, values) != 1
            ):
                raise _LostError
            await note(context, work, event)
            return True
    except _LostError:
        return False


def _key_of(device: DeviceCredential) -> Mapping[str, object]:
    return {
        "in_realm": device.realm,
        "of_user": device.user_id,
        "of_authenticator": device.authenticator_id,
        "for_method": device.method,
        "with_key": device.public_key,
    }


def _replacement_of(device: DeviceCredential) -> Mapping[str, object]:
    return {
        **_key_of(device),
        "expected_revision": device.revision - 1,
        "new_created_at": device.created_at,
        "new_revision": device.revision,
        "new_body": _DEVICE.encode(device),
    }
