"""Keys that servers of a tenant show: made, rotated, revoked, and found again.

    pks_0123456789abcdef_<43 characters of base64url>     kind ``api``
    pki_0123456789abcdef_<43 characters of base64url>     kind ``integration``

The middle names the key; the end is the HMAC-SHA256 of kind, tenant and name under a secret of the server. So a key
need not be stored to sign webhooks with it: the digest in the database, which opens nothing, says which secret makes
it. A key opens what it is for as long as its digest is stored, also when the secret that made it was dropped; but then
nothing can be signed with it any more.
"""

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from ...engine.context import EngineContext
from ...engine.records import EventType
from ...engine.tenancy.records import KeyKind, ServerKey
from ...engine.tenancy.repository import AsyncTenancyRepository
from ...errors import Code, ConflictError, CredentialNotFound, DecodeError, LimitReached
from ...relying_party import UNSAFE_CHARACTERS
from ...webauthn.encoding import encode_base64url

if TYPE_CHECKING:
    from .tenants import Tenant

_PREFIXES: Final[dict[KeyKind, str]] = {"api": "pks", "integration": "pki"}
_FORM: Final = re.compile(r"(pks|pki)_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_ID_BYTES: Final = 8
_LIVE: Final = 2  # of one kind and name: the old one, and the new one that servers are being given
_LONGEST_NAME: Final = 64
_ATTEMPTS: Final = 10
_NO_DIGEST: Final = bytes(32)


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made. Its repr does not show it.

    Attributes:
        key: As it is stored.
        text: The key itself, to be shown once.
    """

    key: ServerKey
    text: str

    def __repr__(self) -> str:
        return f"NewKey(key={self.key!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("key", self.key)]


async def create_key(
    tenant: "Tenant", secrets: Sequence[bytes], kind: KeyKind, name: str, commands: Sequence[str] | None = None
) -> NewKey:
    """A new key of the tenant; one of the same kind and name may live beside it, until it is revoked.

    Args:
        tenant: Whose it is.
        secrets: Of the server; the first makes the key.
        kind: What it opens.
        name: For the operator's eyes, 1 to 64 characters.
        commands: Which commands an integration key may run; None: all.

    Raises:
        DecodeError: `name_invalid`: the name is empty, too long or has control characters.
        LimitReached: Two of this kind and name live already.
        ConflictError: `conflict`: no name for the key was free.
    """
    context, repository = tenant.passkeys.context, tenant.repository
    if not 1 <= len(name) <= _LONGEST_NAME or not name.strip() or UNSAFE_CHARACTERS.search(name):
        raise DecodeError(Code.NAME_INVALID, f"1 to {_LONGEST_NAME} visible characters", path="name")
    _check_room(await _live(repository, context.realm, kind, name), 1)
    for _ in range(_ATTEMPTS):
        key_id = context.random(_ID_BYTES).hex()
        text = _text(secrets[0], kind, context.realm, key_id)
        key = ServerKey(
            key_id=key_id,
            kind=kind,
            name=name,
            digest=_digest(text),
            commands=None if commands is None else tuple(commands),
            created_at=context.now(),
            realm=context.realm,
        )
        event = context.event(EventType.SERVER_KEY_CREATED, key_id=key_id, kind=kind, name=name)
        if not await repository.add_server_key(key, context.stored(event)):
            continue
        context.tell(event)
        live = await _live(repository, context.realm, kind, name)
        if len(live) > _LIVE:  # somebody else made one at the same time; whoever looks last gives way
            await _revoke(context, repository, key)
            _check_room(live, 0)
        return NewKey(key=key, text=text)
    raise ConflictError(Code.CONFLICT, "no name for the key was free")


async def rotate_key(tenant: "Tenant", secrets: Sequence[bytes], key_id: str) -> NewKey:
    """A new key of the same kind and name, for the same commands. The old one lives until it is revoked.

    Raises:
        CredentialNotFound: The tenant has no such key, or it is revoked.
        LimitReached: There is a second one already.
        ConflictError: As `create_key`.
    """
    old = await _own(tenant, key_id)
    if old.revoked_at is not None:
        raise _no_such_key()
    return await create_key(tenant, secrets, old.kind, old.name, old.commands)


async def revoke_key(tenant: "Tenant", key_id: str) -> ServerKey:
    """The key, which opens nothing from now on; to revoke it again changes nothing.

    Raises:
        CredentialNotFound: The tenant has no such key.
        ConflictError: `conflict`: it changes faster than it can be written.
    """
    context, repository = tenant.passkeys.context, tenant.repository
    for _ in range(_ATTEMPTS):
        key = await _own(tenant, key_id)
        if key.revoked_at is not None:
            return key
        revoked = await _revoke(context, repository, key)
        if revoked is not None:
            return revoked
    raise ConflictError(Code.CONFLICT, "the key changes faster than it can be written")


async def find_key(repository: AsyncTenancyRepository, text: str, kind: str) -> ServerKey | None:
    """The stored key that `text` is, of this kind; None: nothing that opens anything.

    Args:
        repository: Where digests are.
        text: What somebody has shown, whatever that is.
        kind: Of keys.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    key = await repository.find_server_key(found[2])
    is_it = hmac.compare_digest(_digest(text), _NO_DIGEST if key is None else key.digest)
    if key is None or not is_it or key.kind != kind or key.revoked_at is not None:
        return None
    return key


def text_of(secrets: Sequence[bytes], key: ServerKey) -> str | None:
    """The key itself; None: the secret that made it is not among these."""
    for secret in secrets:
        text = _text(secret, key.kind, key.realm, key.key_id)
        if hmac.compare_digest(_digest(text), key.digest):
            return text
    return None


async def _live(repository: AsyncTenancyRepository, realm: str, kind: KeyKind, name: str) -> list[ServerKey]:
    keys = await repository.list_server_keys(realm)
    return [key for key in keys if key.revoked_at is None and (key.kind, key.name) == (kind, name)]


def _check_room(live: Sequence[ServerKey], needed: int) -> None:
    if len(live) + needed > _LIVE:
        raise LimitReached("two keys of this name live; revoke one first", limit=_LIVE, current=len(live))


async def _own(tenant: "Tenant", key_id: str) -> ServerKey:
    key = await tenant.repository.find_server_key(key_id)
    if key is None or key.realm != tenant.tenant_id:
        raise _no_such_key()
    return key


async def _revoke(context: EngineContext, repository: AsyncTenancyRepository, key: ServerKey) -> ServerKey | None:
    event = context.event(EventType.SERVER_KEY_REVOKED, key_id=key.key_id, kind=key.kind, name=key.name)
    revoked = msgspec.structs.replace(key, revoked_at=context.now(), revision=key.revision + 1)
    if not await repository.replace_server_key(revoked, context.stored(event)):
        return None
    context.tell(event)
    return revoked


def _no_such_key() -> CredentialNotFound:
    return CredentialNotFound("the tenant has no such key", path="key_id")


def _text(secret: bytes, kind: KeyKind, realm: str, key_id: str) -> str:
    made = hmac.digest(secret, f"passkeycore server key|{kind}|{realm}|{key_id}".encode(), "sha256")
    return f"{_PREFIXES[kind]}_{key_id}_{encode_base64url(made)}"


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()
