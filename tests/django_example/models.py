"""Three tables, with the columns that a repository looks for or changes; the rest of a record is one value of bytes."""

# Django ships no types, so that what derives from it is Any for a type checker.
# mypy: disable-error-code="import-untyped,misc"
# pyright: reportMissingTypeStubs=false, reportUntypedBaseClass=false
# A field stands in the class; in a row it is the value.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import msgspec
from django.db import models

from passkeycore import CredentialRecord
from passkeycore.engine import records

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
