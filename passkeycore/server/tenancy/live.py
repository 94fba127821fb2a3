"""Tenants of a server as they are now: what the file says of them, and what their operators have changed since.

What belongs here: how services are built from settings, when stored changes are looked for, and whose key or token
somebody shows.
"""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple, cast

from ...config.server import (
    ServerSettings,
    TenantSettings,
    TenantTable,
    shared_config,
    tenant_settings,
)
from ...config.well_known import well_known_files
from ...engine.actions.service import AsyncActionService
from ...engine.context import EngineContext
from ...engine.devices.service import AsyncDeviceService
from ...engine.passkeys.service import AsyncPasskeyService
from ...engine.records import EventType
from ...engine.tenancy.records import KeyKind, Overrides, ServerKey
from ...errors import Code, ConfigurationError, ConflictError, DecodeError, TokenError
from ...tokens import Tokens
from ...webauthn.encoding import decode_base64url
from ..edge.cors import client_origins
from ..edge.http import describe
from .changes import difference, told_values
from .keys import find_key, text_of
from .storage import Storage
from .tenants import KeyHolder, Tenant, TenantUnavailable

_LOGGER: Final = logging.getLogger("passkeycore.server")
_DEVICE_CHALLENGE_S: Final = 570  # a page renews the QR code that it shows after nine minutes; a token lasts ten
_ACTION: Final = "passkeycore/action"  # the purpose of tokens of actions; see `passkeycore.engine.actions.steps`
_LONGEST_KEY: Final = 4_096  # bytes
_MADE_UP: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Live:
    """A tenant, when it was last looked after, and what keeps it from being served."""

    __slots__ = ("checked_at", "problem", "revision", "table", "tenant", "told")

    def __init__(self, table: TenantTable, tenant: Tenant) -> None:
        self.table = table
        self.tenant = tenant
        self.revision = 0  # of the changes that were tried last, whether they were good or not
        self.checked_at: float | None = None
        self.problem: str | None = None
        self.told = ""  # in the log, last


class _FileKey(NamedTuple):
    digest: bytes
    tenant_id: str
    key: ServerKey


class LiveTenants:
    """The tenants of a file, with what their operators have changed; looked for once a second at most.

    One for each process. Changes that do not go with the file, because somebody edited it since or another release
    wrote them, are never half in force and never left out: a tenant is served by settings that were once good as a
    whole, or not at all. So a process keeps those that it has, and one that has none yet, as it was just started, does
    not serve the tenant: whoever asks for it gets `TenantUnavailable`, and `problems` says why. Either way it is
    logged, and ends with the next changes that are good.

    Attributes:
        tokens: What makes and reads tokens of all tenants.
        storage: Where everything is kept.
        now: The clock, aware.
    """

    def __init__(
        self,
        settings: ServerSettings,
        storage: Storage,
        *,
        refresh_s: float = 1.0,
        now: Callable[[], datetime] | None = None,
        random: Callable[[int], bytes] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Builds every tenant as the file has it.

        Args:
            settings: What the file says.
            storage: Where everything is kept.
            refresh_s: For how long what was seen of stored changes counts, in seconds. The default costs one query a
                second for each tenant that is in use.
            now: The clock, aware; None: the system's.
            random: So many random bytes; None: the system's.
            monotonic: What `refresh_s` is measured with, in seconds.

        Raises:
            ConfigurationError: A tenant whose services cannot be built.
        """
        self.tokens: Final = Tokens(settings.secrets)
        self._secrets = settings.secrets
        self.storage: Final = storage
        self._refresh_s = refresh_s
        self.now: Final[Callable[[], datetime]] = _utc_now if now is None else now
        self._random = random
        self._monotonic = monotonic
        self._tenants = {
            tenant_id: _Live(table, self._built(table.settings)) for tenant_id, table in settings.tenants.items()
        }
        self._file_keys = [key for table in settings.tenants.values() for key in _file_keys(table.settings)]

    @property
    def tenant_ids(self) -> tuple[str, ...]:
        """All of them, in the order of the file."""
        return tuple(self._tenants)

    async def by_id(self, tenant_id: str) -> Tenant | None:
        """See `Tenants.by_id`."""
        live = await self._seen(tenant_id)
        if live is not None and live.problem is not None:
            raise TenantUnavailable
        return None if live is None else live.tenant

    async def for_operator(self, tenant_id: str) -> Tenant | None:
        """The same for its operator, who may mend a tenant that is not served: it is as the file has it then."""
        live = await self._seen(tenant_id)
        return None if live is None else live.tenant

    async def problems(self) -> Mapping[str, str]:
        """Why tenants are not served, by their names; empty: all are. In words for operators, not for clients."""
        seen = {tenant_id: await self._seen(tenant_id) for tenant_id in self._tenants}
        return {
            tenant_id: live.problem for tenant_id, live in seen.items() if live is not None and live.problem is not None
        }

    async def _seen(self, tenant_id: str) -> _Live | None:
        live = self._tenants.get(tenant_id)
        if live is None:
            return None
        now = self._monotonic()
        if live.checked_at is None:  # nobody is served before what was changed earlier is known
            await self._refresh(live)
            live.checked_at = now
        elif now - live.checked_at >= self._refresh_s:
            live.checked_at = now  # first, so that nobody else asks meanwhile
            await self._refresh(live)
        return live

    async def by_token(self, token: str) -> Tenant | None:
        """See `Tenants.by_token`. Of a token that has expired, too: its service says so."""
        try:
            claims = self._claims(token)
        except TokenError:
            return None
        realm = claims.get("realm")
        return await self.by_id(realm) if isinstance(realm, str) else None

    async def by_key(self, key: str, kind: str) -> KeyHolder | None:
        """See `Tenants.by_key`."""
        shown = _encoded(key)
        if shown is None:
            return None
        of_file: _FileKey | None = None
        digest = sha256(shown).digest()
        for each in self._file_keys:  # all of them: how long it takes says nothing
            if hmac.compare_digest(each.digest, digest) and each.key.kind == kind:
                of_file = each
        if of_file is not None:
            tenant = await self.by_id(of_file.tenant_id)
            return None if tenant is None else KeyHolder(tenant=tenant, key=of_file.key)
        stored = await find_key(self.storage.repository, key, kind)
        tenant = None if stored is None else await self.by_id(stored.realm)
        return None if stored is None or tenant is None else KeyHolder(tenant=tenant, key=stored)

    async def secrets_of(self, tenant: Tenant) -> tuple[str, ...]:
        """See `Tenants.secrets_of`. Those of the file come last."""
        keys = await tenant.repository.list_server_keys(tenant.tenant_id)
        live = [text_of(self._secrets, key) for key in reversed(keys) if key.kind == "api" and key.revoked_at is None]
        of_file = [key.decode("utf-8", "surrogateescape") for key in tenant.settings.api_keys]
        return (*(text for text in live if text is not None), *of_file)

    async def all(self) -> tuple[Tenant, ...]:
        """All tenants that are served, in the order of the file."""
        found = [await self._seen(tenant_id) for tenant_id in self._tenants]
        return tuple(live.tenant for live in found if live is not None and live.problem is None)

    async def origins_of(self, tenant_id: str | None) -> frozenset[str]:
        """The web origins whose scripts may call the client side of a tenant; None: of any tenant.

        For None, a tenant whose changes cannot be looked for has none, and the others have theirs.

        Raises:
            Exception: The database's, where the changes of the tenant that is named cannot be looked for.
        """
        if tenant_id is not None:
            return _origins_of(await self._seen(tenant_id))
        # At once: the database may be down, and each of them would wait for it.
        found = await asyncio.gather(*(self._seen(each) for each in self._tenants), return_exceptions=True)
        origins = frozenset[str]()
        for each, live in zip(self._tenants, found, strict=True):
            if isinstance(live, BaseException):
                _LOGGER.error("the origins of %s are not known: %s", each, describe(live))
            else:
                origins |= _origins_of(live)
        return origins

    async def changes_of(self, tenant_id: str) -> Overrides | None:
        """What an operator has changed, as it is stored now; None: nothing, or there is no such tenant."""
        return await self.storage.repository.find_overrides(tenant_id)

    async def change(
        self, tenant_id: str, values: Mapping[str, Any], *, revision: int, context: EngineContext | None = None
    ) -> Tenant:
        """The tenant, after its changes were replaced by these. Nothing is written where they are those that were.

        The event has which keys were changed, and for those that can hold no secret ``old_<key>`` and ``new_<key>``:
        what was in force, and what is, in JSON, long ones cut around the first difference; ``-``: nothing was given.

        Args:
            tenant_id: Which one.
            values: Keys of `passkeycore.config.server.OVERRIDABLE` with their values, JSON-ready: all that differs
                from the file.
            revision: Of the changes that the operator has seen; 0: there were none.
            context: Makes the event, so that it says who it was. None: that of the tenant, which does not.

        Raises:
            ConfigurationError: No such tenant, or a value that does not go. `path` is the key. Nothing was stored.
            ConflictError: `conflict`: somebody else has changed it meanwhile.
        """
        live = self._tenants.get(tenant_id)
        if live is None:
            raise ConfigurationError("there is no such tenant", path="tenant_id")
        encoded = json.dumps(values).encode()
        settings = tenant_settings(live.table, encoded, revision=revision + 1)
        self._check_shared_files(settings)
        built = self._built(settings)
        repository, context = self.storage.repository, context or live.tenant.passkeys.context
        stored = await repository.find_overrides(tenant_id)
        if revision != (0 if stored is None else stored.revision):
            raise _changed_by_others()
        changed = difference(None if stored is None else stored.values, values)
        if changed == ():
            return live.tenant
        overrides = Overrides(values=encoded, updated_at=context.now(), revision=revision + 1, realm=tenant_id)
        keys = None if changed is None else ", ".join(changed)
        told = told_values(
            live.table, None if stored is None else stored.values, encoded, values if changed is None else changed
        )
        event = context.event(
            EventType.SETTINGS_CHANGED,
            user_id=None,
            credential_id=None,
            code=None,
            keys=keys,
            revision=str(revision + 1),
            **told,
        )
        if not await repository.replace_overrides(overrides, context.stored(event)):
            raise _changed_by_others()
        context.tell(event)
        if live.revision <= revision:  # unless this process has seen still later ones meanwhile
            live.tenant, live.revision, live.problem = built, revision + 1, None
        return built

    async def _refresh(self, live: _Live) -> None:
        """Looks for changes. Those not newer than what was tried last are old news, such as of a slow query."""
        try:
            found = await self.storage.repository.find_overrides(live.tenant.tenant_id)
            if found is None or found.revision <= live.revision:
                return
            live.revision = found.revision
            live.tenant = self._built(tenant_settings(live.table, found.values, revision=found.revision))
            live.problem = None
        except (ConfigurationError, DecodeError) as error:
            _refuse(live, str(error))

    def _check_shared_files(self, settings: TenantSettings) -> None:
        """Returns only when the well-known files go with those of the other tenants of the same RP ID.

        Raises:
            ConfigurationError: They do not. `path` is the key.
        """
        others = (live.tenant.settings for live in self._tenants.values())
        theirs = [
            other.config
            for other in others
            if other.tenant_id != settings.tenant_id and other.config.rp_id == settings.config.rp_id
        ]
        well_known_files(shared_config([settings.config, *theirs]))

    def _built(self, settings: TenantSettings) -> Tenant:
        if settings.webhook_url is not None:
            self.storage.keep_outbox()
        return build_tenant(
            settings, self.storage, tokens=self.tokens, secrets=self._secrets, now=self.now, random=self._random
        )

    def _claims(self, token: str) -> Mapping[str, object]:
        now = self.now()
        try:
            return self.tokens.read(_ACTION, token, now=now)
        except TokenError as error:
            if error.code is not Code.TOKEN_EXPIRED:
                raise
        # All but its time was good. When it was made, it was good as well.
        return self.tokens.read(_ACTION, token, now=_issued_at(token))


def build_tenant(
    settings: TenantSettings,
    storage: Storage,
    *,
    tokens: Tokens,
    secrets: tuple[bytes, ...],
    now: Callable[[], datetime] | None = None,
    random: Callable[[int], bytes] | None = None,
) -> Tenant:
    """A tenant with its services.

    Args:
        settings: What it is like.
        storage: Where everything is kept.
        tokens: Of the server.
        secrets: Of the server. The last one, which stays the longest, makes decoys for users who do not exist.
        now, random: As for the services.

    Raises:
        ConfigurationError: Its services cannot be built.
    """
    config, realm, repository = settings.config, settings.tenant_id, storage.repository
    passkeys = AsyncPasskeyService(
        config.relying_party(),
        repository,
        ceremonies=storage.ceremonies,
        realm=realm,
        max_passkeys_per_user=config.max_passkeys_per_user,
        preset=config.preset,
        timeout_ms=config.ceremony_timeout_s * 1_000,
        conditional_timeout_ms=config.conditional_timeout_s * 1_000,
        decoy_secret=hmac.digest(secrets[-1], f"passkeycore decoys|{realm}".encode(), "sha256"),
        tokens=tokens,
        store_events=True,
        now=now,
        random=random,
    )
    devices = AsyncDeviceService(
        repository,
        domain=config.rp_id,
        realm=realm,
        tokens=tokens,
        challenge_lifetime_s=_DEVICE_CHALLENGE_S,
        danger_allow_challenge_id_signatures=True,
        store_events=True,
        now=now,
        random=random,
    )
    actions = AsyncActionService(repository, tokens=tokens, passkeys=passkeys, devices=devices, rules=settings.rules)
    return Tenant(settings=settings, passkeys=passkeys, devices=devices, actions=actions, repository=repository)


def _origins_of(live: _Live | None) -> frozenset[str]:
    return frozenset() if live is None or live.problem is not None else client_origins(live.tenant.settings)


def _refuse(live: _Live, reason: str) -> None:
    if live.checked_at is None or live.problem is not None:
        live.problem = reason
    if reason != live.told:
        live.told = reason
        outcome = "keeps the settings that it had" if live.problem is None else "is not served"
        tenant_id = live.tenant.tenant_id
        _LOGGER.error("the changes of %s do not go with the file, so it %s: %s", tenant_id, outcome, reason)


def _changed_by_others() -> ConflictError:
    return ConflictError(Code.CONFLICT, "somebody else has changed the settings")


def _file_keys(settings: TenantSettings) -> list[_FileKey]:
    keys: list[tuple[KeyKind, bytes, tuple[str, ...] | None]] = [
        *(("api", key, None) for key in settings.api_keys),
        *(("integration", each.key, each.commands) for each in settings.integration_keys),
    ]
    made_up: list[_FileKey] = []
    for kind, key, commands in keys:
        digest = sha256(key).digest()
        made_up.append(
            _FileKey(
                digest,
                settings.tenant_id,
                ServerKey(
                    key_id=f"{len(made_up):016x}",
                    kind=kind,
                    name="file",
                    digest=b"",
                    commands=commands,
                    created_at=_MADE_UP,
                    realm=settings.tenant_id,
                ),
            )
        )
    return made_up


def _encoded(key: str) -> bytes | None:
    # What is no Unicode is a byte that was no UTF-8, in an environment variable and in a header alike.
    try:
        encoded = key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None
    return encoded if 1 <= len(encoded) <= _LONGEST_KEY else None


def _issued_at(token: str) -> datetime:
    """When a token was made whose signature was verified.

    Raises:
        TokenError: `token_invalid`: it does not say.
    """
    try:
        body = json.loads(decode_base64url(token.split(".")[1], "token"))
        return datetime.fromtimestamp(cast("dict[str, int]", body)["iat"], UTC)
    except (DecodeError, ValueError, KeyError, IndexError, OverflowError):
        raise TokenError(Code.TOKEN_INVALID, "no token of ours") from None


def _utc_now() -> datetime:
    return datetime.now(UTC)
