"""The tables of `SQLRepository`, for SQLite and PostgreSQL, and how values are written in them.

What belongs here: columns, keys and indexes, nothing that runs. To have the tables in your own migrations, give
`metadata` to the tool, for Alembic ``target_metadata = [your_metadata, passkeycore.repositories.sql.metadata]``.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: aware times go in, of any zone, and aware UTC comes out, to the microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """`value` as the driver takes it."""
        if value is None:
            return None
        # SQLite stores text, which sorts as the moments do only when all of it has one form.
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """`value` as the driver gives it, in UTC."""
        if value is None:
            return None
        # PostgreSQL answers in the time zone of the session.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata: Final = MetaData()
"""The tables, for your own migrations."""

# Identifiers are compared byte for byte, whatever collation a database sorts names by.
_Key: Final = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite numbers its rows by itself only in a column of exactly this type.
_Serial: Final = BigInteger().with_variant(Integer(), "sqlite")


def _of_some(name: str, *columns: str, where: str, in_sqlite: str | None = None) -> Index:
    """An index of those rows only of which `where` is true; None: SQLite writes it in the same way."""
    return Index(name, *columns, postgresql_where=text(where), sqlite_where=text(in_sqlite or where))


users: Final = Table(
    "passkey_users",
    metadata,
    Column("realm", _Key, primary_key=True),
    Column("user_id", _Key, primary_key=True),
    Column("user_handle", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("disabled_at", UTCDateTime),
    UniqueConstraint("realm", "user_handle", name="passkey_users_user_handle"),
)

passkeys: Final = Table(
    "passkeys",
    metadata,
    Column("realm", _Key, primary_key=True),
    Column("credential_id", LargeBinary, primary_key=True),
    Column("user_id", _Key, nullable=False),
    Column("slot", Integer, nullable=False),  # 0 and up, so that this constraint and not a count holds the limit
    # What changes or is compared has columns; `record` has the rest, and of these only what was registered.
    Column("sign_count", BigInteger, nullable=False),
    Column("backup_eligible", Boolean),
    Column("backup_state", Boolean),
    Column("uv_initialized", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("last_used_at", UTCDateTime),
    Column("record", LargeBinary, nullable=False),
    UniqueConstraint("realm", "user_id", "slot", name="passkeys_slot"),
    ForeignKeyConstraint(
        ["realm", "user_id"],
        ["passkey_users.realm", "passkey_users.user_id"],
        name="passkeys_user",
        ondelete="CASCADE",
    ),
)

ceremonies: Final = Table(
    "passkey_ceremonies",
    metadata,
    Column("realm", _Key, primary_key=True),
    Column("challenge", LargeBinary, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Index("passkey_ceremonies_expires_at", "expires_at"),
)

devices: Final = Table(
    "passkey_devices",
    metadata,
    Column("realm", _Key, primary_key=True),
    Column("authenticator_id", _Key, primary_key=True),
    Column("user_id", _Key, nullable=False),
    Column("slot", Integer, nullable=False),  # as that of a passkey
    Column("method", _Key, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # all of it; what is compared or searched has a column besides
    UniqueConstraint("realm", "user_id", "slot", name="passkey_devices_slot"),
    UniqueConstraint("realm", "method", "public_key", name="passkey_devices_key"),
    ForeignKeyConstraint(
        ["realm", "user_id"],
        ["passkey_users.realm", "passkey_users.user_id"],
        name="passkey_devices_user",
        ondelete="CASCADE",
    ),
)

# Without a foreign key: a challenge may be to somebody who is not known here, so that nobody can ask who is.
device_challenges: Final = Table(
    "passkey_device_challenges",
    metadata,
    Column("realm", _Key, primary_key=True),
    Column("challenge_id", _Key, primary_key=True),
    Column("user_id", _Key),
    Column("state", _Key, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("passkey_device_challenges_user", "realm", "user_id", "created_at"),
    Index("passkey_device_challenges_expires_at", "expires_at"),
)

# Likewise: what is done need not be done by anybody who has passkeys.
actions: Final = Table(
    "passkey_actions",
    metadata,
    Column("position", _Serial, primary_key=True, autoincrement=True),  # in the order of storing: what cursors name
    Column("realm", _Key, nullable=False),
    Column("user_id", _Key, nullable=False),
    Column("action", _Key, nullable=False),
    Column("idempotency_key", _Key, nullable=False),
    Column("state", _Key, nullable=False),
    Column("device_id", _Key),
    Column("authenticator_id", _Key),
    Column("user_verified", Boolean, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("state_updated_at", UTCDateTime, nullable=False),
    Column("failed_at", UTCDateTime),  # NULL: it does not count as a failure
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("realm", "user_id", "action", "idempotency_key", name="passkey_actions_key"),
    Index("passkey_actions_realm", "realm", "position"),
    Index("passkey_actions_user", "realm", "user_id", "position"),
    Index("passkey_actions_created_at", "realm", "created_at"),
    Index("passkey_actions_expires_at", "realm", "expires_at"),
    _of_some("passkey_actions_review", "realm", "position", where="state = 'REVIEW_REQUIRED'"),
    # What a user's history asks for. A new action is in none of these, and costs nothing there.
    _of_some("passkey_actions_failed", "realm", "user_id", "failed_at", where="failed_at IS NOT NULL"),
    _of_some(
        *("passkey_actions_device", "realm", "user_id", "device_id"),
        where="state = 'CHALLENGE_SUCCEEDED'",
    ),
    _of_some(
        *("passkey_actions_verified", "realm", "user_id", "state_updated_at"),
        where="state = 'CHALLENGE_SUCCEEDED' AND user_verified",
        in_sqlite="state = 'CHALLENGE_SUCCEEDED' AND user_verified = 1",
    ),
    sqlite_autoincrement=True,  # a position whose action was removed never comes again
)

server_keys: Final = Table(
    "passkey_server_keys",
    metadata,
    Column("key_id", _Key, primary_key=True),  # of all tenants: a key says its id, and not whose it is
    Column("realm", _Key, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # with a digest; the key itself is stored nowhere
    Index("passkey_server_keys_realm", "realm", "created_at"),
)

overrides: Final = Table(
    "passkey_overrides",
    metadata,
    Column("realm", _Key, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# Without a foreign key: what is said of somebody may be said before there is any passkey or device.
profiles: Final = Table(
    "passkey_profiles",
    metadata,
    Column("realm", _Key, primary_key=True),
    Column("user_id", _Key, primary_key=True),
    Column("email", _Key),
    Column("phone_number", _Key),
    Column("username", _Key),
    Column("revision", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("passkey_profiles_email", "realm", "email", "user_id"),
    Index("passkey_profiles_phone_number", "realm", "phone_number", "user_id"),
    Index("passkey_profiles_username", "realm", "username", "user_id"),
)

spent: Final = Table(
    "passkey_spent",
    metadata,
    Column("realm", _Key, primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("expires_at", UTCDateTime, nullable=False),
    Index("passkey_spent_expires_at", "expires_at"),
)

events: Final = Table(
    "passkey_events",
    metadata,
    Column("position", _Serial, primary_key=True, autoincrement=True),  # in the order of storing: what cursors name
    Column("id", _Key, nullable=False),
    Column("realm", _Key, nullable=False),
    Column("type", _Key, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("day", Integer, nullable=False),  # since 1970-01-01 UTC; counted by an index, in both databases alike
    Column("user_id", _Key),
    Column("credential_id", LargeBinary),
    Column("code", _Key),
    Column("details", Text, nullable=False),  # a JSON object
    UniqueConstraint("id", name="passkey_events_id"),
    Index("passkey_events_realm", "realm", "position"),
    Index("passkey_events_user", "realm", "user_id", "position"),
    Index("passkey_events_day", "realm", "day", "type"),
    sqlite_autoincrement=True,  # a position whose event was removed never comes again
)

# An event that waits here cannot be removed from its table: those behind it would wait for it in vain.
outbox: Final = Table(
    "passkey_outbox",
    metadata,
    # Not the position: an index of all of them, in that order, would be taken where the one of those ready should be.
    Column("event_id", _Key, primary_key=True),
    Column("position", BigInteger, nullable=False),  # that of the event
    Column("realm", _Key, nullable=False),
    Column("user_id", _Key, nullable=False),  # empty: about nobody
    Column("state", _Key, nullable=False),  # ready, later, behind or given_up; see `outbox`
    Column("due_at", UTCDateTime),  # from when it may be taken; the end of a lease, too; NULL: at once
    Column("attempt", Integer, nullable=False),
    ForeignKeyConstraint(["event_id"], ["passkey_events.id"], name="passkey_outbox_event"),
    _of_some("passkey_outbox_ready", "state", "position", where="state = 'ready'"),
    _of_some("passkey_outbox_later", "due_at", where="state = 'later'"),
    _of_some("passkey_outbox_behind", "realm", "user_id", "position", where="state = 'behind'"),
    _of_some("passkey_outbox_first", "realm", "user_id", "position", where="state <> 'given_up'"),
)
