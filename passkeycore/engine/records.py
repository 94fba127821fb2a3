"""What the engine stores: users, their passkeys, ceremonies that are under way, and events.

Immutable values; a repository keeps them in whatever shape it likes. All times are aware UTC.
"""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from ..errors import Code, DecodeError
from ..webauthn.credential import CredentialRecord
from ..webauthn.options import AuthenticationState, RegistrationState
from ..webauthn.wire import reason_of


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has passkeys, or is about to.

    Attributes:
        user_id: The application's own name for the user; unique in the realm, never shown to clients.
        user_handle: What authenticators know the user by, the same for all of their passkeys: 1..64 bytes without
            personal data, unique in the realm. It never changes.
        name: What the user recognises the account by, such as an e-mail address.
        display_name: A friendlier name, or empty.
        created_at: UTC.
        disabled_at: Since when the user cannot sign in; None: they can.
        realm: The tenant.
    """

    user_id: str
    user_handle: Annotated[bytes, msgspec.Meta(min_length=1, max_length=64)]
    name: str
    display_name: str = ""
    created_at: datetime
    disabled_at: datetime | None = None
    realm: str = ""


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """A credential, whose it is, and what its owner calls it.

    Attributes:
        credential: What verifies it. Its id is unique in the realm.
        user_id: The owner, who never changes.
        name: For the owner's eyes.
        created_at: UTC.
        last_used_at: When it last signed its owner in, UTC; None: never yet.
        realm: The tenant.
    """

    credential: CredentialRecord
    user_id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None = None
    realm: str = ""

    @property
    def credential_id(self) -> bytes:
        """1..1023 bytes."""
        return self.credential.credential_id


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A user with their passkeys, the oldest first."""

    user: User
    passkeys: tuple[Passkey, ...] = ()


class Ceremony(msgspec.Struct, frozen=True, kw_only=True):
    """A ceremony between its start and its finish.

    Attributes:
        state: What the finish needs; see `passkeycore.webauthn.options`.
        new_user: Whom a finished registration creates; None: it is somebody who exists, or an authentication.
    """

    state: RegistrationState | AuthenticationState
    new_user: User | None = None

    def to_bytes(self) -> bytes:
        """The ceremony in its stored form. It holds the challenge: keep it on the server, or sealed."""
        return _PREFIX + _ENCODER.encode(self)

    @staticmethod
    def from_bytes(stored: bytes) -> "Ceremony":
        """The ceremony that `to_bytes` stored, here or in a newer release.

        Raises:
            DecodeError: `state_invalid`.
        """
        try:
            if not stored.startswith(_PREFIX):
                raise DecodeError(Code.STATE_INVALID, "not a stored ceremony")
            return _DECODER.decode(stored[len(_PREFIX) :])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(Code.STATE_INVALID, f"not a stored ceremony: {reason_of(error)}") from None


_PREFIX: Final = b"pkx1"
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Ceremony)


class EventType(StrEnum):
    """What happened. Closed as `passkeycore.Code` is: words are added, never renamed.

    Starts of ceremonies, and of device challenges to nobody in particular, are told to sinks alone: anybody can begin
    as many as they like, and fill a store.
    """

    REGISTRATION_STARTED = "registration.started"
    REGISTRATION_FAILED = "registration.failed"
    AUTHENTICATION_STARTED = "authentication.started"
    AUTHENTICATION_FAILED = "authentication.failed"
    AUTHENTICATION_SUCCEEDED = "authentication.succeeded"
    PASSKEY_REGISTERED = "passkey.registered"
    PASSKEY_IMPORTED = "passkey.imported"
    PASSKEY_RENAMED = "passkey.renamed"
    PASSKEY_REMOVED = "passkey.removed"
    PASSKEYS_REMOVED = "passkey.all_removed"
    USER_VERIFICATION_CONFIRMED = "passkey.user_verification_confirmed"
    DEVICE_ENROLLED = "device.enrolled"
    DEVICE_UPDATED = "device.updated"
    DEVICE_REMOVED = "device.removed"
    DEVICE_CHALLENGE_STARTED = "device_challenge.started"
    DEVICE_CHALLENGE_CLAIMED = "device_challenge.claimed"
    DEVICE_CHALLENGE_APPROVED = "device_challenge.approved"
    DEVICE_CHALLENGE_REJECTED = "device_challenge.rejected"
    DEVICE_CHALLENGE_FAILED = "device_challenge.failed"
    ACTION_TRACKED = "action.tracked"
    ACTION_UPDATED = "action.updated"
    ACTION_CONSUMED = "action.consumed"
    USER_RENAMED = "user.renamed"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_REMOVED = "user.removed"
    SERVER_KEY_CREATED = "server_key.created"
    SERVER_KEY_REVOKED = "server_key.revoked"
    SETTINGS_CHANGED = "settings.changed"
    SESSION_ENDED = "session.ended"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, for audit, dashboards and webhooks. Without secrets.

    Attributes:
        id: 32 hexadecimal characters, unique.
        type: What happened.
        at: When, UTC.
        realm: The tenant.
        user_id: Whom it concerns; None where nobody knows.
        credential_id: Which passkey; None where it is about none.
        code: Why it failed, a `passkeycore.Code`; None where nothing failed.
        details: What else is known, such as the purpose of the ceremony.
    """

    id: str
    type: EventType
    at: datetime
    realm: str = ""
    user_id: str | None = None
    credential_id: bytes | None = None
    code: Code | None = None
    details: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to list or count; None means any.

    Attributes:
        types: Any of these.
        user_id, credential_id: About these.
        since, until: From `since` until before `until`, UTC.
    """

    types: tuple[EventType, ...] | None = None
    user_id: str | None = None
    credential_id: bytes | None = None
    since: datetime | None = None
    until: datetime | None = None


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events, the newest first, and where to go on.

    Attributes:
        events: As many as were asked for, or what is left.
        next_cursor: To be given with the same filter for the next page; None at the end.
    """

    events: tuple[Event, ...]
    next_cursor: str | None = None


class EventCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many events of a type there were on a day (UTC)."""

    day: date
    type: EventType
    count: int
