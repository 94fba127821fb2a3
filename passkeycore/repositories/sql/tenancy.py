"""What `SQLRepository` keeps of tenants, once for both colours: keys, what operators changed, profiles of users.

What belongs here: the statements, built once save those that depend on a filter, and what their results mean. Who lists
users, the portal and wire dialects, asks here as well, though users themselves are in `users`.
"""

from collections.abc import Mapping
from hmac import compare_digest
from typing import Final

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, or_, select, update

from ...engine.records import Event
from ...engine.tenancy.records import Overrides, Profile, ProfileFilter, ProfilePage, ServerKey, UserPage
from ...errors import Code, DecodeError
from .connections import Context
from .events import change
from .statements import OUT_OF_STEP, REALM, USER, Stored, insert_new
from .tables import overrides, profiles, server_keys, users
from .users import USER_COLUMNS, read_user

_KEY: Final = Stored(ServerKey, b"pkk1")
_OVERRIDES: Final = Stored(Overrides, b"pko1")
_PROFILE: Final = Stored(Profile, b"pkf1")

_this_key: Final = server_keys.c.key_id == bindparam("of_key")
_this_profile: Final = and_(profiles.c.realm == REALM, profiles.c.user_id == USER)
_EXPECTED: Final = bindparam("expected_revision", type_=server_keys.c.revision.type)

_INSERT_KEY: Final = insert_new(server_keys)
_FIND_KEY: Final = select(server_keys.c.body).where(_this_key)
_LIST_KEYS: Final = (
    select(server_keys.c.body)
    .where(server_keys.c.realm == REALM)
    .order_by(server_keys.c.created_at, server_keys.c.key_id)
)
_REPLACE_KEY: Final = (
    update(server_keys)
    .where(_this_key, server_keys.c.realm == REALM, server_keys.c.revision == _EXPECTED)
    .values({column: bindparam(f"new_{column}") for column in ("created_at", "revision", "body")})
)
_INSERT_OVERRIDES: Final = insert_new(overrides)
_FIND_OVERRIDES: Final = select(overrides.c.body).where(overrides.c.realm == REALM)
_REPLACE_OVERRIDES: Final = (
    update(overrides)
    .where(overrides.c.realm == REALM, overrides.c.revision == _EXPECTED)
    .values({column: bindparam(f"new_{column}") for column in ("revision", "body")})
)
_INSERT_PROFILE: Final = insert_new(profiles)
_FIND_PROFILE: Final = select(profiles.c.body).where(_this_profile)
_REPLACE_PROFILE: Final = (
    update(profiles)
    .where(_this_profile, profiles.c.revision == _EXPECTED)
    .values(
        {column: bindparam(f"new_{column}") for column in ("email", "phone_number", "username", "revision", "body")}
    )
)
_DELETE_PROFILE: Final = delete(profiles).where(_this_profile)


async def add_server_key(context: Context, key: ServerKey, event: Event | None, /) -> bool:
    """See `TenancyRepository.add_server_key`."""
    values = {
        "key_id": key.key_id,
        "realm": key.realm,
        "created_at": key.created_at,
        "revision": key.revision,
        "body": _KEY.encode(key),
    }
    return await change(context, _INSERT_KEY[context.store.dialect], values, event) == 1


async def find_server_key(context: Context, key_id: str, /) -> ServerKey | None:
    """See `TenancyRepository.find_server_key`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another key.
    """
    for (body,) in await context.store.rows(_FIND_KEY, {"of_key": key_id}):
        key = _KEY.decode(body)
        if not compare_digest(key.key_id.encode(), key_id.encode()):
            raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
        return key
    return None


async def list_server_keys(context: Context, realm: str, /) -> tuple[ServerKey, ...]:
    """See `TenancyRepository.list_server_keys`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another tenant.
    """
    listed = tuple(_KEY.decode(body) for (body,) in await context.store.rows(_LIST_KEYS, {"in_realm": realm}))
    if any(key.realm != realm for key in listed):
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    return listed


async def replace_server_key(context: Context, key: ServerKey, event: Event | None, /) -> bool:
    """See `TenancyRepository.replace_server_key`."""
    values = {
        "of_key": key.key_id,
        "in_realm": key.realm,
        "expected_revision": key.revision - 1,
        "new_created_at": key.created_at,
        "new_revision": key.revision,
        "new_body": _KEY.encode(key),
    }
    return await change(context, _REPLACE_KEY, values, event) == 1


async def find_overrides(context: Context, realm: str, /) -> Overrides | None:
    """See `TenancyRepository.find_overrides`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another tenant.
    """
    for (body,) in await context.store.rows(_FIND_OVERRIDES, {"in_realm": realm}):
        found = _OVERRIDES.decode(body)
        if found.realm != realm:
            raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
        return found
    return None


async def replace_overrides(context: Context, changed: Overrides, event: Event | None, /) -> bool:
    """See `TenancyRepository.replace_overrides`."""
    body = _OVERRIDES.encode(changed)
    if changed.revision == 1:
        first = {"realm": changed.realm, "revision": 1, "body": body}
        return await change(context, _INSERT_OVERRIDES[context.store.dialect], first, event) == 1
    values = {
        "in_realm": changed.realm,
        "expected_revision": changed.revision - 1,
        "new_revision": changed.revision,
        "new_body": body,
    }
    return await change(context, _REPLACE_OVERRIDES, values, event) == 1


async def find_profile(context: Context, realm: str, user_id: str, /) -> Profile | None:
    """See `TenancyRepository.find_profile`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another user.
    """
    for (body,) in await context.store.rows(_FIND_PROFILE, {"in_realm": realm, "of_user": user_id}):
        found = _PROFILE.decode(body)
        if (found.realm, found.user_id) != (realm, user_id):
            raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
        return found
    return None


async def save_profile(context: Context, profile: Profile, /) -> bool:
    """See `TenancyRepository.save_profile`."""
    columns: Mapping[str, object] = {
        "email": profile.email,
        "phone_number": profile.phone_number,
        "username": profile.username,
        "revision": profile.revision,
        "body": _PROFILE.encode(profile),
    }
    if profile.revision == 0:
        new = {**columns, "realm": profile.realm, "user_id": profile.user_id}
        return await context.store.count(_INSERT_PROFILE[context.store.dialect], new) == 1
    values = {
        **{f"new_{column}": value for column, value in columns.items()},
        "in_realm": profile.realm,
        "of_user": profile.user_id,
        "expected_revision": profile.revision - 1,
    }
    return await context.store.count(_REPLACE_PROFILE, values) == 1


async def remove_profile(context: Context, realm: str, user_id: str, /) -> bool:
    """See `TenancyRepository.remove_profile`."""
    return await context.store.count(_DELETE_PROFILE, {"in_realm": realm, "of_user": user_id}) == 1


async def list_profiles(
    context: Context, realm: str, which: ProfileFilter, after: str | None, limit: int, /
) -> ProfilePage:
    """See `TenancyRepository.list_profiles`.

    Raises:
        DecodeError: `record_invalid`: what is stored is no record, or the answer is about another tenant.
    """
    conditions: list[ColumnElement[bool]] = [profiles.c.realm == realm]
    for name in ProfileFilter.__struct_fields__:
        wanted = getattr(which, name)
        if wanted is not None:
            conditions.append(profiles.c[name] == wanted)
    if after is not None:
        conditions.append(profiles.c.user_id > after)
    # One more than wanted tells whether there is a next page.
    statement = select(profiles.c.body).where(*conditions).order_by(profiles.c.user_id).limit(limit + 1)
    found = [_PROFILE.decode(body) for (body,) in await context.store.rows(statement, {})]
    if any(profile.realm != realm for profile in found):
        raise DecodeError(Code.RECORD_INVALID, OUT_OF_STEP)
    page = tuple(found[:limit])
    return ProfilePage(profiles=page, next_after=page[-1].user_id if len(found) > limit else None)


async def list_users(context: Context, realm: str, prefix: str, after: str | None, limit: int, /) -> UserPage:
    """See `TenancyRepository.list_users`.

    Raises:
        DecodeError: `record_invalid`: the answer is about another tenant.
    """
    conditions: list[ColumnElement[bool]] = [users.c.realm == realm]
    if after is not None:
        conditions.append(users.c.user_id > after)
    if prefix:
        # Not LIKE: the two databases disagree about upper and lower case in it.
        conditions.append(
            or_(*(func.substr(column, 1, len(prefix)) == prefix for column in (users.c.user_id, users.c.name)))
        )
    statement = select(*USER_COLUMNS).where(*conditions).order_by(users.c.user_id).limit(limit + 1)
    found = [read_user(realm, None, row) for row in await context.store.rows(statement, {})]
    page = tuple(found[:limit])
    return UserPage(users=page, next_after=page[-1].user_id if len(found) > limit else None)
