"""Users and their passkeys: the methods of `PasskeyRepository`."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from ...engine.records import Account, Event, Passkey, User
from ...engine.repository import Addition
from ...errors import Code, ConflictError
from ...webauthn.credential import CredentialUpdate, confirm_user_verification
from .tables import Owner, Tables


class Passkeys(Tables):
    """Part of `MemoryRepository`."""

    def get_or_create_user(self, user: User, /) -> User:
        """See `PasskeyRepository.get_or_create_user`.

        Raises:
            ConflictError: `conflict`: another user has this user handle.
        """
        with self._lock:
            owner = self._users.get((user.realm, user.user_id))
            if owner is not None:
                return owner.user
            if (user.realm, user.user_handle) in self._handles:
                raise ConflictError(Code.CONFLICT, "another user has this user handle")
            self._store(Owner(user))
            return user

    def find_account(self, realm: str, user_id: str, /) -> Account | None:
        """See `PasskeyRepository.find_account`."""
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None:
                return None
            passkeys = tuple(sorted(owner.passkeys.values(), key=_created_at))
            return Account(user=owner.user, passkeys=passkeys)

    def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        """See `PasskeyRepository.rename_user`."""
        return self._change_user(realm, user_id, event, name=name, display_name=display_name)

    def set_user_disabled(self, realm: str, user_id: str, disabled_at: datetime | None, event: Event | None, /) -> bool:
        """See `PasskeyRepository.set_user_disabled`."""
        return self._change_user(realm, user_id, event, disabled_at=disabled_at)

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        """See `PasskeyRepository.remove_user`."""
        with self._lock:
            removed = self._forget(realm, user_id)
            if removed:
                self._note(event)
            return removed

    def add_passkey(self, passkey: Passkey, limit: int, new_user: User | None, event: Event | None, /) -> Addition:
        """See `PasskeyRepository.add_passkey`."""
        realm, credential_id = passkey.realm, passkey.credential_id
        with self._lock:
            owner = self._users.get((realm, passkey.user_id))
            if new_user is not None:
                if owner is not None or (realm, new_user.user_handle) in self._handles:
                    return "user_exists"
                owner = Owner(new_user)
            if owner is None or owner.user.user_handle != passkey.credential.user_handle:
                return "user_not_found"
            if owner.user.disabled_at is not None:
                return "user_disabled"
            if (realm, credential_id) in self._owners:
                return "credential_exists"
            if len(owner.passkeys) >= limit:
                return "limit_reached"
            if new_user is not None:
                self._store(owner)
            owner.passkeys[credential_id] = passkey
            self._owners[realm, credential_id] = owner
            self._note(event)
            return "added"

    def find_passkey(self, realm: str, credential_id: bytes, /) -> tuple[Passkey, User] | None:
        """See `PasskeyRepository.find_passkey`."""
        owner = self._owners.get((realm, credential_id))  # without the lock: each look is atomic by itself
        passkey = None if owner is None else owner.passkeys.get(credential_id)
        return None if owner is None or passkey is None else (passkey, owner.user)

    def advance_passkey(self, realm: str, update: CredentialUpdate, used_at: datetime, event: Event | None, /) -> bool:
        """See `PasskeyRepository.advance_passkey`."""
        credential_id = update.credential_id
        with self._lock:
            owner = self._owners.get((realm, credential_id))
            if owner is None or owner.user.disabled_at is not None:
                return False
            passkey = owner.passkeys[credential_id]
            record = passkey.credential
            if (
                record.sign_count != update.expected_sign_count
                or record.backup_state is not update.expected_backup_state
                or record.uv_initialized is not update.expected_uv_initialized
            ):
                return False
            owner.passkeys[credential_id] = msgspec.structs.replace(
                passkey, credential=update.apply(record), last_used_at=used_at
            )
            self._note(event)
            return True

    def rename_passkey(self, realm: str, user_id: str, credential_id: bytes, name: str, event: Event | None, /) -> bool:
        """See `PasskeyRepository.rename_passkey`."""
        return self._change_passkey(
            realm, user_id, credential_id, event, lambda passkey: msgspec.structs.replace(passkey, name=name)
        )

    def remove_passkey(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        """See `PasskeyRepository.remove_passkey`."""
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None or owner.passkeys.pop(credential_id, None) is None:
                return False
            del self._owners[realm, credential_id]
            self._note(event)
            return True

    def remove_passkeys(self, realm: str, user_id: str, event: Event | None, /) -> int:
        """See `PasskeyRepository.remove_passkeys`."""
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None or not owner.passkeys:
                return 0
            removed, owner.passkeys = owner.passkeys, {}
            for credential_id in removed:
                del self._owners[realm, credential_id]
            self._note(event)
            return len(removed)

    def confirm_user_verification(self, realm: str, user_id: str, credential_id: bytes, event: Event | None, /) -> bool:
        """See `PasskeyRepository.confirm_user_verification`."""
        return self._change_passkey(realm, user_id, credential_id, event, _confirmed)

    def _change_user(self, realm: str, user_id: str, event: Event | None, **members: object) -> bool:
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None:
                return False
            owner.user = msgspec.structs.replace(owner.user, **members)
            self._note(event)
            return True

    def _change_passkey(
        self, realm: str, user_id: str, credential_id: bytes, event: Event | None, change: Callable[[Passkey], Passkey]
    ) -> bool:
        with self._lock:
            owner = self._users.get((realm, user_id))
            if owner is None or credential_id not in owner.passkeys:
                return False
            owner.passkeys[credential_id] = change(owner.passkeys[credential_id])
            self._note(event)
            return True

    def _forget(self, realm: str, user_id: str) -> bool:
        owner = self._users.get((realm, user_id))
        for credential_id in () if owner is None else owner.passkeys:
            del self._owners[realm, credential_id]
        return super()._forget(realm, user_id)


def _created_at(passkey: Passkey) -> datetime:
    return passkey.created_at


def _confirmed(passkey: Passkey) -> Passkey:
    return msgspec.structs.replace(passkey, credential=confirm_user_verification(passkey.credential))
