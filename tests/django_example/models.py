"""The tables, with the columns that a repository looks for or changes; the rest of a record is one value of bytes."""

# Django ships no types, so that what derives from it is Any for a type checker.
# mypy: disable-error-code="import-untyped,misc"
# pyright: reportMissingTypeStubs=false, reportUntypedBaseClass=false
# A field stands in the class; in a row it is the value.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false

from typing import Any

import msgspec
from django.db import models

from passkeycore import CredentialRecord
from passkeycore.engine import records
from passkeycore.engine.actions import records as action_records
from passkeycore.engine.devices import records as device_records

_CHANGING = ("sign_count", "backup_eligible", "backup_state", "uv_initialized")


class User(models.Model):
    """The engine's record of a user; `user_id` is the primary key of your own user, as text."""

    realm = models.TextField()
    user_id = models.TextField()
    user_handle = models.BinaryField()
    name = models.TextField()
    display_name = models.TextField()
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["realm", "user_id"], name="passkey_user_id"),
            models.UniqueConstraint(fields=["realm", "user_handle"], name="passkey_user_handle"),
        )

    def to_record(self) -> records.User:
        """The row as the engine's value."""
        return records.User(**{name: getattr(self, name) for name in records.User.__struct_fields__})


class Passkey(models.Model):
    """A passkey. What an authentication changes has columns, which count; the other members are in `record`."""

    realm = models.TextField()
    credential_id = models.BinaryField()
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    name = models.TextField()
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    sign_count = models.BigIntegerField()
    backup_eligible = models.BooleanField(null=True)
    backup_state = models.BooleanField(null=True)
    uv_initialized = models.BooleanField()
    record = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["realm", "credential_id"], name="passkey_credential_id"),)

    @classmethod
    def from_record(cls, passkey: records.Passkey, user: User) -> "Passkey":
        """A new row for the engine's value."""
        credential = passkey.credential
        return cls(
            realm=passkey.realm,
            credential_id=passkey.credential_id,
            user=user,
            name=passkey.name,
            created_at=passkey.created_at,
            last_used_at=passkey.last_used_at,
            record=credential.to_bytes(),
            **{name: getattr(credential, name) for name in _CHANGING},
        )

    def to_record(self) -> records.Passkey:
        """The row as the engine's value."""
        credential = CredentialRecord.from_bytes(self.record)
        return records.Passkey(
            credential=msgspec.structs.replace(credential, **{name: getattr(self, name) for name in _CHANGING}),
            user_id=self.user.user_id,
            name=self.name,
            created_at=self.created_at,
            last_used_at=self.last_used_at,
            realm=self.realm,
        )


class Ceremony(models.Model):
    """A ceremony under way."""

    realm = models.TextField()
    challenge = models.BinaryField()
    body = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["realm", "challenge"], name="passkey_ceremony"),)


# Of the tables below, `body` is the engine's whole value; the other columns are there to be looked for.


class Device(models.Model):
    """A trusted device. What it answers with, and for whom, never changes."""

    realm = models.TextField()
    authenticator_id = models.TextField()
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    method = models.TextField()
    public_key = models.BinaryField()
    created_at = models.DateTimeField()
    revision = models.BigIntegerField()
    body = models.BinaryField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["realm", "authenticator_id"], name="passkey_device_id"),
            models.UniqueConstraint(fields=["realm", "method", "public_key"], name="passkey_device_key"),
        )

    def to_record(self) -> device_records.DeviceCredential:
        """The row as the engine's value."""
        return msgspec.msgpack.decode(self.body, type=device_records.DeviceCredential)


class DeviceChallenge(models.Model):
    """A question to a user's device. It has no foreign key: it may be in another database than users."""

    realm = models.TextField()
    challenge_id = models.TextField()
    user_id = models.TextField(null=True)
    state = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    revision = models.BigIntegerField()
    body = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["realm", "challenge_id"], name="passkey_device_challenge"),)
        indexes = (models.Index(fields=["realm", "user_id"], name="passkey_device_pending"),)

    def to_record(self) -> device_records.DeviceChallenge:
        """The row as the engine's value."""
        return msgspec.msgpack.decode(self.body, type=device_records.DeviceChallenge)


class Action(models.Model):
    """What a user was about to do. It has no foreign key: the engine need not know the user."""

    realm = models.TextField()
    user_id = models.TextField()
    action = models.TextField()
    idempotency_key = models.TextField()
    state = models.TextField()
    device_id = models.TextField(null=True)
    authenticator_id = models.TextField(null=True)
    user_verified = models.BooleanField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state_updated_at = models.DateTimeField()
    failed_at = models.DateTimeField(null=True)
    revision = models.BigIntegerField()
    body = models.BinaryField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["realm", "user_id", "action", "idempotency_key"], name="passkey_action"),
        )

    def to_record(self) -> action_records.Action:
        """The row as the engine's value."""
        return msgspec.msgpack.decode(self.body, type=action_records.Action)


def columns(model: Any, record: msgspec.Struct) -> dict[str, Any]:
    """The engine's value for a row of `model`: what it has columns for, and all of it as `body`."""
    names = {field.name for field in model._meta.fields if hasattr(record, field.name)}
    return {name: getattr(record, name) for name in names} | {"body": msgspec.msgpack.encode(record)}


def replace(rows: Any, record: Any) -> bool:
    """Writes the engine's value over the one of `rows` that it names, while the revision there is one less."""
    written: int = rows.filter(revision=record.revision - 1).update(**columns(rows.model, record))
    return written == 1
