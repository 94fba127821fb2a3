"""The configuration of a server with tenants: what its file says, and a tenant as its operator has changed it.

    # passkeycore.toml
    base_url = "https://auth.example.com"
    database = "postgresql://passkeycore@db/passkeycore"
    secret_env = "PASSKEYCORE_SECRET"

    [tenants.shop]
    hostname = "shop.example.com"
    redirect_urls = ["https://shop.example.com"]
    api_key_env = "SHOP_API_KEY"

    settings = load_server("passkeycore.toml")
    shop = settings.tenants["shop"].settings

What belongs here: what follows from the keys, whose tables are in `server_keys`. Errors name file, line and key.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from hmac import compare_digest
from typing import Any, Final

import msgspec

from ..actions.rules import ActionRules
from ..errors import ConfigurationError
from . import AndroidApp, Config, resolve
from .checks import read_table, reason
from .files import Format, read_file, read_text
from .rules import make_rules
from .server_keys import CAN_BE_NONE, OVERRIDABLE, SERVER_KEYS, TENANT_KEYS, PasskeyConfig, describe_server, is_ours
from .source import Node
from .well_known import well_known_files

__all__ = [
    "CAN_BE_NONE",
    "OVERRIDABLE",
    "IntegrationKey",
    "Limits",
    "ServerSettings",
    "TenantSettings",
    "TenantTable",
    "describe_server",
    "load_server",
    "parse_server",
    "shared_config",
    "tenant_settings",
    "tenant_values",
]


class IntegrationKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the file by which a tenant's servers run commands. Its repr does not show it.

    Attributes:
        key: 32 to 4096 bytes.
        commands: What it may run; None: everything.
    """

    key: bytes
    commands: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"IntegrationKey(commands={self.commands!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("commands", self.commands)]


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant as it is now. Its repr shows no keys.

    Attributes:
        tenant_id: What clients call it, and its realm: 1 to 64 of ``A-Z a-z 0-9 _ -``.
        config: Relying party, apps and limits.
        rules: How its actions are decided.
        redirect_urls: Where hosted pages may send the user: web origins, and app schemes with their colon.
        frame_origins: Web origins that may frame hosted pages, and get their messages; only of ceremonies that such a
            page begins, they are top origins.
        cors_origins: Web origins whose scripts may call the client side, besides those of `config` that are such.
        webhook_url: Where events are sent; None: nowhere.
        webhook_format: How: ``standard`` or ``authsignal``.
        number_matching: Whether a push asks for the number that the page shows.
        default_action: The word under which an action begins whose client names none; 1 to 64 of ``A-Z a-z 0-9 _ -``.
        challenge_unenrolled: What ``/v1`` says where a challenge is asked of a user who has nothing enrolled: True:
            ``CHALLENGE_REQUIRED``; False: ``ALLOW``, as servers expect that have moved here.
        api_keys: Of the file, for the tenant's servers; 32 to 4096 bytes each.
        integration_keys: Of the file, likewise, for commands.
        revision: Of the operator's changes; 0: there are none.
    """

    tenant_id: str
    config: Config
    rules: ActionRules = ActionRules()
    redirect_urls: tuple[str, ...] = ()
    frame_origins: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    webhook_url: str | None = None
    webhook_format: str = "standard"
    number_matching: bool = False
    default_action: str = "sign-in"
    challenge_unenrolled: bool = False
    api_keys: tuple[bytes, ...] = ()
    integration_keys: tuple[IntegrationKey, ...] = ()
    revision: int = 0

    def __repr__(self) -> str:
        return f"TenantSettings(tenant_id={self.tenant_id!r}, revision={self.revision}, config={self.config!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in ("tenant_id", "revision", "config")]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests are answered in which time, each such as ``600/minute``.

    Attributes:
        per_tenant: About one tenant: by its servers, and as many by all others.
        per_address: From one address, save those of servers that have shown a key. The default is for an office behind
            one address, some of whom are just waiting.
        per_user: About one user of a tenant. A page that waits asks every second; who guesses is stopped by the engine.
    """

    per_tenant: str = "60000/minute"
    per_address: str = "3000/minute"
    per_user: str = "300/minute"


class TenantTable(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says of a tenant, which an operator may change.

    Attributes:
        settings: The tenant without any changes.
        node: The table in the file.
        members: The keys that are given, each where it stands: those of the file that ``passkey_config`` names, and
            over them those of the table.
        fields: What they were read as.
    """

    settings: TenantSettings
    node: Node
    members: Mapping[str, Node]
    fields: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"TenantTable({self.settings.tenant_id!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("tenant_id", self.settings.tenant_id)]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server's file says, checked. Made by `load_server` or `parse_server`. Its repr shows no secrets.

    Attributes:
        base_url: Where clients reach it, without a slash at the end.
        host: Where it listens: a name or an address.
        port: On which port; 0: any that is free.
        workers: How many processes serve.
        database: URL of SQLAlchemy's form.
        redis: URL of a Redis for what expires, and for counting requests; None: the database and each process.
        secrets: Of tokens and keys, 32 to 4096 bytes each, the present one first.
        operator_secret: What opens the portal, 32 to 4096 bytes; None: it is closed.
        limits: How many requests are answered.
        body_bytes: The longest body that is read, in bytes. What the longest ceremony needs.
        body_timeout_s: How long a client may take to send one, in seconds: long enough for a bad mobile network.
        trusted_proxies: Addresses and networks whose ``X-Forwarded-For`` is believed.
        tenants: By their names.
    """

    base_url: str
    host: str = "127.0.0.1"
    port: int = 8_000
    workers: int = 1
    database: str = "sqlite:///passkeycore.db"
    redis: str | None = None
    secrets: tuple[bytes, ...]
    operator_secret: bytes | None = None
    limits: Limits = Limits()
    body_bytes: int = 65_536
    body_timeout_s: int = 10
    trusted_proxies: tuple[str, ...] = ()
    tenants: Mapping[str, TenantTable]

    def __repr__(self) -> str:
        return f"ServerSettings(base_url={self.base_url!r}, tenants={list(self.tenants)!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("base_url", self.base_url), ("tenants", list(self.tenants))]


def load_server(path: str | os.PathLike[str]) -> ServerSettings:
    """The configuration in a file: TOML in ``.toml``, JSON with comments in ``.json`` and ``.jsonc``.

    Secrets that the file only points to are read now, too.

    Raises:
        ConfigurationError: The file cannot be read, has another suffix, is larger than 256 KiB or not UTF-8; and as
            `parse_server`.
    """
    text, form = read_file(path)
    return parse_server(text, name=os.fspath(path), format=form)


def parse_server(text: str, *, name: str, format: Format) -> ServerSettings:
    """The configuration that a text says.

    Args:
        text: At most 256 KiB in UTF-8. A byte order mark does not count.
        name: Of the file, for messages. A relative ``secret_file`` begins in its directory.
        format: ``toml`` or ``jsonc``.

    Raises:
        ConfigurationError: A syntax error, a key that is unknown, missing or given twice, a value that its key does
            not take, a key of a server that opens two things, or tenants of one RP ID whose well-known files do not
            go together. Its message names file, line and key, and `path` is the key; None where no key is at fault.
    """
    root = read_text(text, name=name, format=format)
    fields = read_table(root, SERVER_KEYS)
    secret, previous = fields.pop("secret", None), fields.pop("previous_secrets", ())
    if secret is None:
        raise root.child("secret").fault("missing: this, secret_env or secret_file")
    if secret in previous:
        raise root.child("previous_secrets").fault("the present secret is among them")
    if fields.get("operator_secret") in (secret, *previous):
        raise root.child("operator_secret").fault("it makes tokens, too: choose another one")
    tenants = {tenant_id: _table(tenant_id, node) for tenant_id, node in fields.pop("tenants").items()}
    _check_keys_differ(tenants)
    _check_shared_files(tenants)
    limits = Limits(**fields.pop("limits", {}))
    return ServerSettings(**fields, limits=limits, secrets=(secret, *previous), tenants=tenants)


def tenant_settings(table: TenantTable, values: bytes | None = None, *, revision: int = 0) -> TenantSettings:
    """The tenant with what its operator has changed laid over what the file says.

    Args:
        table: What the file says.
        values: Keys of `OVERRIDABLE` and their values, a JSON object in UTF-8. A key replaces all that the file says
            of it; null, for keys of `CAN_BE_NONE`: as if the file did not say anything. None: nothing was changed.
        revision: Of these changes.

    Raises:
        ConfigurationError: Not such an object, a key that an operator cannot change, or a value that does not go, by
            itself or with the others. `path` is the key.
    """
    if values is None:
        return table.settings
    changed = _changes(table, values)
    members = changed.members()
    none = {key for key, node in members.items() if node.value is None and key in CAN_BE_NONE}
    fields = read_table(
        changed._replace(value={key: node.value for key, node in _without(members, none).items()}), OVERRIDABLE
    )
    place = _place(table.node, {**table.members, **members})
    return _settings(table.settings.tenant_id, place, {**_without(table.fields, none), **fields}, revision)


def shared_config(configs: Sequence[Config]) -> Config:
    """What the well-known files of one RP ID follow from, where several tenants have it: what any of them says.

    Args:
        configs: At least one, all of one RP ID. The pages for password managers are those of the first that has them.
    """
    if len(configs) == 1:
        return configs[0]
    apps: dict[str, dict[str, None]] = {}
    for app in (app for config in configs for app in config.android_apps):
        apps.setdefault(app.package_name, {}).update(dict.fromkeys(app.sha256_fingerprints))
    return msgspec.structs.replace(
        configs[0],
        android_apps=tuple(
            AndroidApp(package_name=name, sha256_fingerprints=(*prints,)) for name, prints in apps.items()
        ),
        **{
            name: tuple(dict.fromkeys(value for config in configs for value in getattr(config, name)))
            for name in ("ios_apps", "related_origins")
        },
        **{
            name: next((getattr(config, name) for config in configs if getattr(config, name) is not None), None)
            for name in ("passkey_enroll_url", "passkey_manage_url")
        },
    )


def tenant_values(table: TenantTable, values: bytes | None = None) -> dict[str, Any]:
    """The keys that an operator may change and that are given, as they are written, JSON-ready.

    Args:
        table, values: As for `tenant_settings`.

    Raises:
        ConfigurationError: `values` are no JSON object.
    """
    changed = {} if values is None else _changes(table, values).members()
    return {key: node.as_json() for key, node in {**table.members, **changed}.items() if key in OVERRIDABLE}


def _changes(table: TenantTable, values: bytes) -> Node:
    name = f"changes of {table.settings.tenant_id}"
    try:
        text = values.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}: not UTF-8") from None
    return read_text(text, name=name, format="jsonc")


def _table(tenant_id: str, node: Node) -> TenantTable:
    members = node.members()
    # A hostname that is missing here is missing there, or it is no such file.
    fields = read_table(node, _WITH_FILE if _FILE in members else TENANT_KEYS)
    file: PasskeyConfig | None = fields.pop(_FILE, None)
    if file is not None:
        members, fields = {**file.members, **members}, {**file.fields, **fields}
    place = _place(node, members)
    return TenantTable(settings=_settings(tenant_id, place, fields, 0), node=node, members=members, fields=fields)


def _place(node: Node, members: Mapping[str, Node]) -> Callable[[str], Node]:
    """Where each key stands, or would stand."""
    return lambda key: members[key] if key in members else node.child(key)


_FILE: Final = "passkey_config"
_WITH_FILE: Final = {name: key._replace(required=False) for name, key in TENANT_KEYS.items()}
_OWN: Final = (
    *("redirect_urls", "frame_origins", "cors_origins", "webhook_url", "webhook_format", "number_matching"),
    *("default_action", "challenge_unenrolled"),
)


def _settings(tenant_id: str, place: Callable[[str], Node], fields: Mapping[str, Any], revision: int) -> TenantSettings:
    of_config = {name: value for name, value in fields.items() if name in Config.__struct_fields__}
    for index, origin in enumerate(of_config.get("origins", ())):
        if not is_ours(origin):
            raise place("origins").child(index).fault("neither a web origin nor that of an Android or iOS app")
    config = Config(**resolve(place, of_config), realm=tenant_id)
    if "." not in config.rp_id and config.rp_id != "localhost":
        raise place("rp_id" if "rp_id" in fields else "hostname").fault("a domain of one word is nobody's own")
    try:
        config.relying_party()
        well_known_files(config)
    except ConfigurationError as error:
        raise place(str(error.path)).fault(reason(error)) from None
    one = (fields["api_key"],) if "api_key" in fields else ()
    return TenantSettings(
        tenant_id=tenant_id,
        config=config,
        rules=make_rules(place, fields),
        **{name: fields[name] for name in _OWN if name in fields},
        api_keys=(*one, *fields.get("api_keys", ())),
        integration_keys=tuple(_integration_key(place, key) for key in fields.get("integration_keys", ())),
        revision=revision,
    )


def _integration_key(place: Callable[[str], Node], fields: Mapping[str, Any]) -> IntegrationKey:
    if "key" not in fields:
        raise place("integration_keys").fault("each needs key, key_env or key_file")
    return IntegrationKey(**fields)


def _check_keys_differ(tenants: Mapping[str, TenantTable]) -> None:
    """Returns only when every key opens one tenant, for one kind of thing.

    Raises:
        ConfigurationError: One is given twice. The error names where, not what.
    """
    seen: list[bytes] = []
    for table in tenants.values():
        settings = table.settings
        for place, key in (
            *(("api_keys", key) for key in settings.api_keys),
            *(("integration_keys", each.key) for each in settings.integration_keys),
        ):
            if any(compare_digest(key, other) for other in seen):
                raise table.node.child(place).fault("a key that opens something else, too")
            seen.append(key)


def _check_shared_files(tenants: Mapping[str, TenantTable]) -> None:
    """Returns only when the well-known files of every RP ID can be made, whoever shares it.

    Raises:
        ConfigurationError: As `well_known_files`, at the tenant with which they do not go any more.
    """
    together: dict[str, list[Config]] = {}
    for table in tenants.values():
        config = table.settings.config
        configs = together.setdefault(config.rp_id, [])
        configs.append(config)
        try:
            well_known_files(shared_config(configs))
        except ConfigurationError as error:
            place = _place(table.node, table.members)(str(error.path))
            raise place.fault(f"{reason(error)} (with other tenants of this RP ID)") from None


def _without(table: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}
