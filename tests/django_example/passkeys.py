"""`Passkeys`: users, their passkeys and ceremonies in the tables of `models`, through Django's ORM."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped,no-any-return"
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import IntegrityError
from django.db.models import Exists, OuterRef
from django.db.transaction import atomic

from passkeycore import Code, ConflictError, CredentialUpdate
from passkeycore.engine import records
from passkeycore.engine.records import Account, Event
from passkeycore.engine.repository import Addition

from .models import Ceremony, Passkey, User

GRACE = timedelta(minutes=1)  # what expired is kept so long, for machines whose clocks differ
_STEP = 1000


class Passkeys:
    """A `passkeycore.engine.repository.Repository`. It keeps no events, so it ignores them.

    Users and passkeys join the request's transaction, where there is one (``ATOMIC_REQUESTS``). Ceremonies must not: a
    rollback would revive a challenge that was used. They go through a connection of their own, an alias in
    ``DATABASES`` that may well lead to the same PostgreSQL.

    On PostgreSQL it relies on Django's isolation level, READ COMMITTED; on SQLite on ``transaction_mode: IMMEDIATE``.
    """

    def __init__(self, ceremonies: str = "ceremonies") -> None:
        """Keeps the name of the database alias for ceremonies."""
        self._alias = ceremonies
        self._ceremonies = Ceremony.objects.using(ceremonies)

    def add_ceremony(self, ceremony: records.Ceremony, /) -> bool:
        state = ceremony.state
        values = {"body": ceremony.to_bytes(), "expires_at": state.expires_at}
        return self._ceremonies.get_or_create(realm=state.realm, challenge=state.challenge, defaults=values)[1]

    def take_ceremony(self, realm: str, challenge: bytes, /) -> records.Ceremony | None:
        # Durable: fails at once where the alias takes part in a transaction of the caller's after all.
        with atomic(using=self._alias, durable=True):
            row = self._ceremonies.select_for_update().filter(realm=realm, challenge=challenge).first()
            if row is not None:
                row.delete()
        return None if row is None else records.Ceremony.from_bytes(row.body)

    def remove_expired(self, now: datetime, /) -> int:
        return remove_in_steps(self._ceremonies.filter(expires_at__lt=now - GRACE))

    def get_or_create_user(self, user: records.User, /) -> records.User:
        values = msgspec.structs.asdict(user)
        try:
            row, _ = User.objects.get_or_create(realm=user.realm, user_id=user.user_id, defaults=values)
        except IntegrityError:
            raise ConflictError(Code.CONFLICT, "another user has this user handle") from None
        return row.to_record()

    def find_account(self, realm: str, user_id: str, /) -> Account | None:
        rows = list(_passkeys(realm, user_id).select_related("user").order_by("created_at", "pk"))
        user = rows[0].user if rows else users(realm, user_id).first()
        return user and Account(user=user.to_record(), passkeys=tuple(row.to_record() for row in rows))

    def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        return users(realm, user_id).update(name=name, display_name=display_name) == 1

    def set_user_disabled(self, realm: str, user_id: str, disabled_at: datetime | None, event: Event | None, /) -> bool:
        return users(realm, user_id).update(disabled_at=disabled_at) == 1

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        with atomic():
            user = users(realm, user_id).select_for_update().first()  # nobody adds a passkey meanwhile
            return user is not None and user.delete()[0] > 0

    def add_passkey(
        self, passkey: records.Passkey, limit: int, new_user: records.User | None, event: Event | None, /
    ) -> Addition:
        owned = _passkeys(passkey.realm, passkey.user_id)
        try:
            with atomic():
                if new_user is None:  # locked, so that of several writers each counts what the one before has added
                    user = users(passkey.realm, passkey.user_id).select_for_update().first()
                else:
                    user = User(**msgspec.structs.asdict(new_user))
                if user is None or user.user_handle != passkey.credential.user_handle:
                    return "user_not_found"
                if user.disabled_at is not None:
                    return "user_disabled"
                if owned.count() >= limit:
                    return "limit_reached"
                if new_user is not None:
                    user.save(force_insert=True)
                Passkey.from_record(passkey, user).save(force_insert=True)
                return "added"
        except IntegrityError:  # which of the two, the constraints have decided
            taken = Passkey.objects.filter(realm=passkey.realm, credential_id=passkey.credential_id).exists()
            return "credential_exists" if taken or new_user is None else "user_exists"

    def find_passkey(self, realm: str, credential_id: bytes, /) -> tuple[records.Passkey, records.User] | None:
        rows = Passkey.objects.select_related("user").filter(realm=realm, credential_id=credential_id)
        row = rows.first()
        return row and (row.to_record(), row.user.to_record())

    def advance_passkey(self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /) -> bool:
        unchanged = Passkey.objects.filter(
            owner_is(disabled_at=None),
            realm=realm,
            credential_id=update.credential_id,
            sign_count=update.expected_sign_count,
            backup_state=update.expected_backup_state,
            uv_initialized=update.expected_uv_initialized,
        )
        written = unchanged.update(
            sign_count=update.sign_count,
            backup_eligible=update.backup_eligible,
            backup_state=update.backup_state,
            last_used_at=used_at,
        )
        return written == 1

    def rename_passkey(self, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /) -> bool:
        return _passkeys(realm, user_id, credential_id=credential_id).update(name=name) == 1

    def remove_passkey(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        return _passkeys(realm, user_id, credential_id=credential_id).delete()[0] == 1

    def remove_passkeys(self, realm: str, user_id: str, event: Event | None, /) -> int:
        return _passkeys(realm, user_id).delete()[0]

    def confirm_user_verification(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        return _passkeys(realm, user_id, credential_id=credential_id).update(uv_initialized=True) == 1


def owner_is(**which: object) -> Exists:
    """For an update that compares. With a join (user__disabled_at=None) Django would compare before it locks."""
    return Exists(User.objects.filter(pk=OuterRef("user_id"), **which))


def remove_in_steps(rows: Any) -> int:
    """How many there were of `rows`, which are removed in steps that block nobody."""
    removed = 0
    while step := list(rows.values_list("pk", flat=True)[:_STEP]):
        removed += rows.filter(pk__in=step).delete()[0]
    return removed


def users(realm: str, user_id: str) -> Any:
    return User.objects.filter(realm=realm, user_id=user_id)


def _passkeys(realm: str, user_id: str, **which: object) -> Any:
    return Passkey.objects.filter(realm=realm, user__user_id=user_id, **which)
