"""Everything about users and passkeys that is no ceremony: list, rename, remove, disable, import, signal, look back.

Whoever calls these has already decided that the user may; every operation names the user, and touches nobody else. A
`user_id` that no storage can hold is refused by each with a `DecodeError`, `user_id_invalid`.
"""

from datetime import datetime
from types import NoneType
from typing import Any, Final

import msgspec

from ...errors import (
    CeremonyError,
    Code,
    ConfigurationError,
    ConflictError,
    CredentialNotFound,
    DecodeError,
)
from ...webauthn.cose import PublicKey
from ...webauthn.credential import CredentialRecord
from ...webauthn.encoding import decode_base64url, encode_base64url
from ..checks import check_name, check_names, check_user_id
from ..records import Account, EventCount, EventFilter, EventPage, EventType, Passkey, User
from ..repository import AsyncEventRepository
from .context import Context
from .registration import check_added

_MOST_IMPORTED: Final = 32  # nobody loses a passkey because a former service allowed more; a sealed state holds these
_MOST_EVENTS: Final = 1000


async def list_passkeys(context: Context, user_id: str) -> tuple[Passkey, ...]:
    """The user's passkeys, the oldest first; none for a user who is not there."""
    check_user_id(user_id)
    account = await context.repository.find_account(context.realm, user_id)
    return () if account is None else account.passkeys


async def find_passkey(context: Context, credential_id: bytes | str) -> tuple[Passkey, User] | None:
    """The passkey with this id and its owner, who may be disabled; None: nobody has it here.

    A credential id names a passkey and proves nothing: tell whoever asks no more than they have to know.

    Args:
        credential_id: As in `rename_passkey`.

    Raises:
        DecodeError: `base64url_invalid`.
    """
    return await context.repository.find_passkey(context.realm, _credential_id(credential_id))


async def rename_passkey(context: Context, user_id: str, credential_id: bytes | str, name: str) -> None:
    """Gives a passkey of the user another name.

    Args:
        user_id: Whose it is.
        credential_id: Bytes, or base64url as it stands in WebAuthn JSON.
        name: 1 to 64 characters that print.

    Raises:
        CredentialNotFound: The user has no such passkey.
        DecodeError: `name_invalid`, `base64url_invalid`.
    """
    check_user_id(user_id)
    check_name(name, "name")
    credential_id = _credential_id(credential_id)
    event = context.event(EventType.PASSKEY_RENAMED, user_id=user_id, credential_id=credential_id)
    _check_passkey(
        await context.repository.rename_passkey(context.realm, user_id, credential_id, name, context.stored(event))
    )
    context.tell(event)


async def remove_passkey(context: Context, user_id: str, credential_id: bytes | str) -> None:
    """Removes a passkey of the user. Tell the client with `all_accepted_credentials`, so that it forgets it as well.

    Args:
        user_id, credential_id: As in `rename_passkey`.

    Raises:
        CredentialNotFound: The user has no such passkey.
        DecodeError: `base64url_invalid`.
    """
    check_user_id(user_id)
    credential_id = _credential_id(credential_id)
    event = context.event(EventType.PASSKEY_REMOVED, user_id=user_id, credential_id=credential_id)
    _check_passkey(
        await context.repository.remove_passkey(context.realm, user_id, credential_id, context.stored(event))
    )
    context.tell(event)


async def remove_all_passkeys(context: Context, user_id: str) -> int:
    """How many passkeys the user had, all of which are removed."""
    check_user_id(user_id)
    event = context.event(EventType.PASSKEYS_REMOVED, user_id=user_id)
    removed = await context.repository.remove_passkeys(context.realm, user_id, context.stored(event))
    if removed:
        context.tell(event)
    return removed


async def confirm_user_verification(context: Context, user_id: str, credential_id: bytes | str) -> None:
    """Lets the user verification of a passkey count from now on, which it did not as it was registered without.

    Call it only right after the user was authenticated by *another* factor as strong as user verification: whoever
    steals an authenticator can set a PIN of their own.

    Args:
        user_id, credential_id: As in `rename_passkey`.

    Raises:
        CredentialNotFound: The user has no such passkey.
        DecodeError: `base64url_invalid`.

    Spec: #sctn-verifying-assertion (the update of uvInitialized)
    """
    check_user_id(user_id)
    credential_id = _credential_id(credential_id)
    event = context.event(EventType.USER_VERIFICATION_CONFIRMED, user_id=user_id, credential_id=credential_id)
    _check_passkey(
        await context.repository.confirm_user_verification(context.realm, user_id, credential_id, context.stored(event))
    )
    context.tell(event)


async def import_passkey(
    context: Context,
    *,
    user_id: str,
    user_name: str,
    user_display_name: str = "",
    credential: CredentialRecord,
    name: str = "Passkey",
    created_at: datetime | None = None,
    last_used_at: datetime | None = None,
) -> Passkey:
    """The passkey, stored: one that another library or service registered for this RP ID.

    Args:
        user_id, user_name, user_display_name: The owner, who is created where there is none yet.
        credential: With the other system's `credential_id`, `public_key` (COSE_Key) and `user_handle` as bytes; what
            it did not keep stays None. Without a user handle it takes the user's.
        name: For the owner's eyes.
        created_at, last_used_at: Aware; None: now, and never.

    Raises:
        DecodeError, UnsupportedError, VerificationError: The record or its key is none, or another RP ID's.
        CredentialExists: It is there already. LimitReached: The user has 32.
        ConflictError: The user's passkeys here have another user handle; or `user_exists`: since a moment ago.
        ConfigurationError: A time without its zone.
    """
    now = context.now()
    check_user_id(user_id)
    check_names(user_name, user_display_name)
    check_name(name, "name")
    credential = CredentialRecord.from_bytes(credential.to_bytes())  # which refuses values of the wrong type
    if credential.rp_id != context.rp.id:
        raise DecodeError(Code.RECORD_INVALID, "the credential is another Relying Party's", path="credential.rp_id")
    PublicKey.parse(credential.public_key)
    for path, at in (("created_at", created_at), ("last_used_at", last_used_at)):
        if at is not None and at.utcoffset() is None:  # or the user's passkeys could not be put in order any more
            raise ConfigurationError("a time without its zone", path=path)
    account = await context.repository.find_account(context.realm, user_id)
    new_user: User | None = None
    if account is not None:
        user_handle = account.user.user_handle
    else:
        user_handle = credential.user_handle or context.new_user_handle()
        new_user = User(
            user_id=user_id,
            user_handle=user_handle,
            name=user_name,
            display_name=user_display_name,
            created_at=now,
            realm=context.realm,
        )
    if credential.user_handle not in (None, user_handle):
        raise _other_handle()
    credential = msgspec.structs.replace(credential, user_handle=user_handle)
    passkey = Passkey(
        credential=credential,
        user_id=user_id,
        name=name,
        created_at=created_at or now,
        last_used_at=last_used_at,
        realm=context.realm,
    )
    event = context.event(EventType.PASSKEY_IMPORTED, user_id=user_id, credential_id=passkey.credential_id)
    answer = await context.repository.add_passkey(passkey, _MOST_IMPORTED, new_user, context.stored(event))
    check_added(answer, _MOST_IMPORTED)
    context.tell(event)
    return passkey


async def get_or_create_user(
    context: Context, user_id: str, name: str, *, display_name: str = "", user_handle: bytes | None = None
) -> User:
    """The engine's record of the user, as stored; made with these names where there is none yet.

    Args:
        user_id: The application's own name for the user.
        name, display_name: As in `start_registration`.
        user_handle: 1..64 bytes without personal data, for an application that has given some before. None: random.

    Raises:
        ConflictError: The user is stored with another user handle than this.
        DecodeError: `name_invalid`. ConfigurationError: A user handle of another length.
    """
    check_user_id(user_id)
    check_names(name, display_name)
    if user_handle is not None and not 1 <= len(user_handle) <= 64:
        raise ConfigurationError("a user handle has 1 to 64 bytes", path="user_handle")
    user = await context.repository.get_or_create_user(
        User(
            user_id=user_id,
            user_handle=user_handle or context.new_user_handle(),
            name=name,
            display_name=display_name,
            created_at=context.now(),
            realm=context.realm,
        )
    )
    if user_handle is not None and user.user_handle != user_handle:
        raise _other_handle()
    return user


async def find_user(context: Context, user_id: str) -> User | None:
    """The engine's record of the user, or None."""
    check_user_id(user_id)
    account = await context.repository.find_account(context.realm, user_id)
    return None if account is None else account.user


async def rename_user(context: Context, user_id: str, name: str, display_name: str = "") -> None:
    """Gives the user other names. Tell the client with `current_user_details`, so that it shows them as well.

    Raises:
        CeremonyError: `user_not_found`. DecodeError: `name_invalid`.
    """
    check_user_id(user_id)
    check_names(name, display_name)
    event = context.event(EventType.USER_RENAMED, user_id=user_id)
    _check_user(await context.repository.rename_user(context.realm, user_id, name, display_name, context.stored(event)))
    context.tell(event)


async def disable_user(context: Context, user_id: str) -> None:
    """Ends the user's sign-ins at once, those under way included, until `enable_user`.

    Raises:
        CeremonyError: `user_not_found`.
    """
    check_user_id(user_id)
    event = context.event(EventType.USER_DISABLED, user_id=user_id)
    now = context.now()
    _check_user(await context.repository.set_user_disabled(context.realm, user_id, now, context.stored(event)))
    context.tell(event)


async def enable_user(context: Context, user_id: str) -> None:
    """Lets the user sign in again.

    Raises:
        CeremonyError: `user_not_found`.
    """
    check_user_id(user_id)
    event = context.event(EventType.USER_ENABLED, user_id=user_id)
    _check_user(await context.repository.set_user_disabled(context.realm, user_id, None, context.stored(event)))
    context.tell(event)


async def remove_user(context: Context, user_id: str) -> None:
    """Removes the user with all their passkeys. Events about them stay, as an audit needs them.

    Raises:
        CeremonyError: `user_not_found`.
    """
    check_user_id(user_id)
    event = context.event(EventType.USER_REMOVED, user_id=user_id)
    _check_user(await context.repository.remove_user(context.realm, user_id, context.stored(event)))
    context.tell(event)


async def all_accepted_credentials(context: Context, user_id: str) -> dict[str, Any]:
    """The argument of ``PublicKeyCredential.signalAllAcceptedCredentials()``: the client forgets the user's others.

    Only for a page of the user's own: it tells what passkeys they have.

    Raises:
        CeremonyError: `user_not_found`.

    Spec: #sctn-signalAllAcceptedCredentials
    """
    check_user_id(user_id)
    account = await _account(context, user_id)
    return {
        "rpId": context.rp.id,
        "userId": encode_base64url(account.user.user_handle),
        "allAcceptedCredentialIds": [
            encode_base64url(passkey.credential_id)
            for passkey in account.passkeys
            if passkey.credential.rp_id == context.rp.id
        ],
    }


async def current_user_details(context: Context, user_id: str) -> dict[str, Any]:
    """The argument of ``PublicKeyCredential.signalCurrentUserDetails()``: the client shows the names as they are now.

    Raises:
        CeremonyError: `user_not_found`.

    Spec: #sctn-signalCurrentUserDetails
    """
    check_user_id(user_id)
    user = (await _account(context, user_id)).user
    return {
        "rpId": context.rp.id,
        "userId": encode_base64url(user.user_handle),
        "name": user.name,
        "displayName": user.display_name or user.name,
    }


async def list_events(
    context: Context, which: EventFilter | None = None, *, cursor: str | None = None, limit: int = 100
) -> EventPage:
    """Stored events, the newest first.

    Args:
        which: Which of them; None: all.
        cursor: `EventPage.next_cursor` of the page before.
        limit: How many at most, 1 to 1000.

    Raises:
        ConfigurationError: The service stores none, or another limit.
        DecodeError: `cursor_invalid`, `user_id_invalid`.
    """
    if not 1 <= limit <= _MOST_EVENTS:
        raise ConfigurationError(f"a number from 1 to {_MOST_EVENTS}", path="limit")
    if not isinstance(cursor, (str, NoneType)):
        raise DecodeError(Code.CURSOR_INVALID, "no cursor", path="cursor")
    return await _events(context).list_events(context.realm, _checked(which), cursor, limit)


async def count_events(context: Context, which: EventFilter | None = None) -> tuple[EventCount, ...]:
    """How many events were stored, by day (UTC) and type, in this order.

    Raises:
        ConfigurationError: The service stores none.
    """
    return await _events(context).count_events(context.realm, _checked(which))


async def remove_expired(context: Context) -> int:
    """How many ceremonies, or records of spent ones, were removed that expired. Call it now and then, say every minute.

    0 where they are in Redis, which forgets by itself.
    """
    return await context.ceremonies.remove_expired(context.now())


def _checked(which: EventFilter | None) -> EventFilter:
    if which is not None and which.user_id is not None:
        check_user_id(which.user_id)
    return which or EventFilter()


def _events(context: Context) -> AsyncEventRepository:
    if context.events is None:
        raise ConfigurationError("this service stores no events", path="store_events")
    return context.events


async def _account(context: Context, user_id: str) -> Account:
    account = await context.repository.find_account(context.realm, user_id)
    if account is None:
        raise _no_user()
    return account


def _credential_id(credential_id: bytes | str) -> bytes:
    if isinstance(credential_id, str):
        return decode_base64url(credential_id, "credential_id")
    if not isinstance(credential_id, bytes):
        raise DecodeError(Code.CREDENTIAL_ID_INVALID, "neither bytes nor base64url", path="credential_id")
    return credential_id


def _check_passkey(found: bool) -> None:
    if not found:
        raise CredentialNotFound("the user has no such passkey", path="credential_id")


def _check_user(found: bool) -> None:
    if not found:
        raise _no_user()


def _no_user() -> CeremonyError:
    return CeremonyError(Code.USER_NOT_FOUND, "there is no such user")


def _other_handle() -> ConflictError:
    return ConflictError(Code.CONFLICT, "the user is known by another user handle")
