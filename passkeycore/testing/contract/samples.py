"""What the contract stores: users, passkeys, ceremonies and events, each new, with members that storages get wrong.

Every rule works in realms of its own and with random ids, so that a repository need not be empty.
"""

from datetime import UTC, datetime, timedelta
from secrets import token_bytes, token_hex
from typing import Any, Final
from uuid import UUID

from passkeycore.engine.records import Ceremony, Event, EventType, Passkey, User
from passkeycore.webauthn.credential import CredentialRecord, CredentialUpdate
from passkeycore.webauthn.options import AuthenticationState, RegistrationState

CALLERS: Final = 16
"""How many compete in a race."""

ROUNDS: Final = 4
"""How often a race is run: once may go well by chance."""

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""When users and passkeys are made; with microseconds, which storages like to drop."""

BEGUN: Final = datetime(2100, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""When ceremonies begin: far away, as a storage with a clock of its own drops what is over by that clock."""

EARLIER: Final = datetime(2080, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""When ceremonies begin that expire before the others."""

LIFETIME: Final = timedelta(minutes=5)

TEXT: Final = 'O\'Hara "Zoë" %_\\; -- \U0001f511 e\u0301 '
"""A text that comes back as it is only where nothing is quoted, trimmed, normalised or narrowed on the way."""

BINARY: Final = b"\x00\xff'\\\x80 \x00"
"""The same for bytes."""


def realm() -> str:
    """A realm that nobody else uses."""
    return f"Realm-{token_hex(8)}"


def user(of: str, **changes: Any) -> User:
    """A new user of this realm."""
    members: dict[str, Any] = {
        "user_id": f"user-{token_hex(8)}",
        "user_handle": token_bytes(24),
        "name": "ada@example.org",
        "display_name": "Ada",
        "created_at": NOW,
        "realm": of,
    }
    return User(**(members | changes))


def passkey(owner: User, **changes: Any) -> Passkey:
    """A new passkey of this user; `changes` are members of the passkey or of its credential."""
    members: dict[str, Any] = {"user_id": owner.user_id, "name": "Laptop", "created_at": NOW, "realm": owner.realm}
    record: dict[str, Any] = {
        "credential_id": token_bytes(32),
        "public_key": token_bytes(77),
        "rp_id": "example.org",
        "user_handle": owner.user_handle,
        "sign_count": 5,
        "backup_eligible": False,
        "backup_state": False,
    }
    for name, value in changes.items():
        (members if name in Passkey.__struct_fields__ else record)[name] = value
    return Passkey(credential=CredentialRecord(**record), **members)


def full_passkey(owner: User) -> Passkey:
    """A passkey with every member set, as large as they get."""
    return passkey(
        owner,
        name=TEXT,
        last_used_at=NOW + timedelta(days=1, microseconds=1),
        credential_id=token_bytes(1016) + BINARY[:7],
        public_key=token_bytes(2592),  # ML-DSA-87
        rp_id="xn--zo-jka.example.org",
        sign_count=2**32 - 1,
        uv_initialized=True,
        backup_eligible=True,
        backup_state=True,
        transports=("internal", "hybrid", "carrier-pigeon", TEXT),
        aaguid=UUID("f8a011f3-8c0a-4d15-8006-17111f9edc7d"),
        attestation_format="packed",
        attestation_object=token_bytes(8192),
        client_data_json=b'{"type":"webauthn.create"}' + BINARY,
        authenticator_attachment="platform",
        discoverable=False,
        prf_enabled=True,
        large_blob_supported=False,
        cred_protect=3,
        usage="second_factor",
        created_at=NOW - timedelta(microseconds=1),
    )


def least_passkey(owner: User) -> Passkey:
    """A passkey in which everything that may be None is None, save the user handle."""
    return passkey(owner, name="", credential_id=token_bytes(8), sign_count=0, backup_eligible=None, backup_state=None)


def update(of: Passkey, **changes: Any) -> CredentialUpdate:
    """What an authentication with this passkey changes: the counter goes up by one."""
    record = of.credential
    members: dict[str, Any] = {
        "credential_id": record.credential_id,
        "expected_sign_count": record.sign_count,
        "expected_backup_state": record.backup_state,
        "expected_uv_initialized": record.uv_initialized,
        "sign_count": record.sign_count + 1,
        "backup_eligible": bool(record.backup_eligible),
        "backup_state": bool(record.backup_state),
    }
    return CredentialUpdate(**(members | changes))


def ceremony(of: str, begun: datetime = BEGUN, **changes: Any) -> Ceremony:
    """An authentication that is under way in this realm."""
    members: dict[str, Any] = {
        "challenge": token_bytes(32),
        "rp_id": "example.org",
        "origins": ("https://example.org",),
        "created_at": begun,
        "expires_at": begun + LIFETIME,
        "realm": of,
    }
    return Ceremony(state=AuthenticationState(**(members | changes)))


def full_ceremonies(of: str) -> tuple[Ceremony, Ceremony]:
    """A registration and an authentication with every member set."""
    members: dict[str, Any] = {
        "rp_id": "example.org",
        "origins": ("https://example.org", "android:apk-key-hash:" + "A" * 43),
        "created_at": BEGUN,
        "expires_at": BEGUN + LIFETIME,
        "allow_cross_origin": True,
        "top_origins": ("https://example.com",),
        "user_verification": "required",
        "usage": "sole_factor",
        "mediation": "conditional",
        "extensions": ("credProps", "prf"),
        "user_handle": BINARY,
        "realm": of,
        "user_id": TEXT,
        "binding": token_bytes(32),
        "purpose": TEXT,
        "account_stamp": TEXT,
    }
    ids = (token_bytes(1023), BINARY)
    registration = RegistrationState(
        challenge=token_bytes(32),
        algorithms=(-7, -257, -50),
        resident_key="required",
        attestation="direct",
        authenticator_attachment="platform",
        exclude_credentials=ids,
        credential_name=TEXT,
        **members,
    )
    authentication = AuthenticationState(
        challenge=token_bytes(32),
        allow_credentials=ids,
        appid="https://example.org/appid.json",
        require_trusted_user_verification=True,
        **members,
    )
    return Ceremony(state=registration, new_user=full_user(of)), Ceremony(state=authentication)


def full_user(of: str) -> User:
    """A user with every member set, whose id nobody else has."""
    return user(
        of,
        user_id=TEXT + token_hex(8) + " ",
        user_handle=token_bytes(57) + BINARY[:7],
        name=TEXT,
        display_name=TEXT,
        disabled_at=NOW + timedelta(microseconds=1),
    )


def event(of: str, kind: EventType = EventType.USER_RENAMED, **changes: Any) -> Event:
    """An event of this realm."""
    members: dict[str, Any] = {"id": token_hex(16), "type": kind, "at": NOW, "realm": of}
    return Event(**(members | changes))
