"""Every key of a server's configuration file, in tables: reading, errors and the example file come from them.

`SERVER_KEYS` has those of the file itself, `TENANT_KEYS` those of a tenant's table: of `passkeycore.config.keys` what
one tenant among others needs, what only servers need, and the rules of its actions.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from textwrap import wrap
from typing import Any, Final, NamedTuple, cast
from urllib.parse import SplitResult, urlsplit

from ..errors import ConfigurationError
from ..webauthn.origins import check_origin
from .checks import Check, Key, by_name, matching, number, read_table, several, table, text, url, word
from .files import read_file, read_text
from .keys import KEYS, SECRET, WEB_ORIGIN, secret_keys
from .rules import RULE_KEYS
from .source import Node

_BASE: Final = re.compile(r"(https?://[^/?#\\]+)((?:/[A-Za-z0-9._~-]+)*)")
_URL: Final = re.compile(r"[!-~]{1,2048}")
_APP_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,63}:")
# What a browser itself opens, shows or runs is no app that somebody has registered.
_NO_APPS: Final = frozenset(
    f"{scheme}:"
    for scheme in (
        *("http", "https", "ws", "wss", "ftp", "file", "filesystem", "blob", "data", "about", "javascript"),
        *("vbscript", "livescript", "jar", "view-source", "resource", "chrome", "chrome-extension", "edge"),
        *("moz-extension", "intent", "android-app", "content", "mailto", "tel", "sms", "facetime", "cid", "mid"),
    )
)
_APP_ORIGINS: Final = ("android:apk-key-hash:", "ios:")
_DOMAIN: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+")
_LOCAL_NAMES: Final = frozenset({"localhost", "local", "localdomain", "internal"})
# Addresses of IPv6 that stand for one of IPv4: compatible, mapped, NAT64, Teredo, 6to4.
_TO_IPV4: Final = [
    *map(ip_network, ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"))
]
_ELSEWHERE: Final = (", in an environment variable", ", in a file")
_ABOVE_TENANTS: Final = {"database", "redis", "secret", "secret_env", "secret_file", "previous_secrets", "realm"}


def _boolean(node: Node) -> object:
    if not isinstance(node.value, bool):
        raise node.fault("true or false")
    return node.value


def _is_base_url(value: str) -> bool:
    found = _BASE.fullmatch(value)
    return found is not None and check_origin(found[1]) is not None


def _is_redirect(value: str) -> bool:
    if _APP_SCHEME.fullmatch(value):
        return value not in _NO_APPS
    return check_origin(value) is not None


def _is_webhook_url(value: str) -> bool:
    parts = _split(value)
    if parts is None or not parts.hostname or "@" in parts.netloc or "#" in value:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_local(parts.hostname))


def _split(value: str) -> SplitResult | None:
    with suppress(ValueError):  # brackets that do not match, a port that is no number
        parts = urlsplit(value)
        if _URL.fullmatch(value) and "\\" not in value and parts.port != 0:
            return parts
    return None


def is_ours(origin: str) -> bool:
    """Whether an origin is of a kind that clients have: a web origin, or that of an Android or iOS app."""
    return origin.startswith(_APP_ORIGINS) or check_origin(origin) is not None


def leads_out(webhook_url: str) -> bool:
    """Whether a URL that ``webhook_url`` takes leads out of the server's own network, as far as its spelling tells."""
    parts = _split(webhook_url)
    return parts is not None and parts.scheme == "https" and _is_public(parts.hostname or "")


def _is_public(host: str) -> bool:
    """Whether a host is a name of the public DNS, or a public address."""
    with suppress(ValueError):
        address = ip_address(host)
        if isinstance(address, IPv4Address):
            return address.is_global
        return address.is_global and not any(address in network for network in _TO_IPV4)
    name = host.removesuffix(".").lower()
    last = name.rpartition(".")[2]
    # Resolvers read 127.1, 0x7f000001 and the like as addresses.
    return bool(_DOMAIN.fullmatch(name)) and not last[0].isdigit() and last not in _LOCAL_NAMES


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _is_network(value: str) -> bool:
    with suppress(ValueError):
        return bool(ip_network(value))
    return False


class PasskeyConfig(NamedTuple):
    """What a file of `passkeycore.config` gives a tenant.

    Attributes:
        members: Its keys, each where it stands.
        fields: What they were read as.
    """

    members: Mapping[str, Node]
    fields: Mapping[str, Any]


def _passkey_config(node: Node) -> PasskeyConfig:
    path = Path(node.source.name).parent / cast("str", _FILE.read(node))
    try:
        content, form = read_file(path)
    except ConfigurationError as error:
        raise node.fault(error.message) from None
    root = read_text(content, name=str(path), format=form)
    fields = read_table(root, KEYS)
    return PasskeyConfig(
        {name: member for name, member in root.members().items() if name not in _ABOVE_TENANTS},
        {name: value for name, value in fields.items() if name not in _ABOVE_TENANTS},
    )


_FILE: Final = text("the path of a file, absolute or beginning where this file is", bool)
_RATE: Final = matching('a number and a time, such as "600/minute"', "[1-9][0-9]{0,8}/(?:second|minute|hour|day)")
_ORIGINS: Final = several(WEB_ORIGIN)

INTEGRATION_KEYS: Final = by_name(
    *secret_keys("key", "The key."),
    Key(
        "commands",
        several(matching("a command's name", "[A-Za-z][A-Za-z0-9]{0,63}")),
        "What it may run. By default everything.",
        '["StartPasskeyRegistration"]',
    ),
)
"""The keys of one integration key."""


def _integration_key(fields: dict[str, Any]) -> dict[str, Any]:
    return fields


LIMITS: Final = by_name(
    Key("per_tenant", _RATE, "Requests about one tenant: by its servers, and as many by all others.", '"60000/minute"'),
    Key(
        "per_address",
        _RATE,
        "Requests from one address, save those of a tenant's servers, which have shown a key.",
        '"3000/minute"',
    ),
    Key("per_user", _RATE, "Requests about one user of a tenant.", '"300/minute"'),
)
"""The keys of the table ``limits``."""

TENANT_KEYS: Final = by_name(
    *(key for name, key in KEYS.items() if name not in _ABOVE_TENANTS),
    Key(
        "passkey_config",
        Check(_FILE.expected, _passkey_config),
        "A passkey_config.jsonc, whose keys count where this table does not say otherwise. What it says of secrets and "
        "storage is for servers that are built on it, not for this one.",
        '"passkey_config.jsonc"',
    ),
    Key(
        "redirect_urls",
        several(
            text(
                'a web origin, or the scheme of an app with its colon, such as "com.example.shop:"',
                _is_redirect,
            )
        ),
        "Where hosted pages may send the user when they are done: origins of pages, schemes of apps.",
        '["https://example.com", "com.example.shop:"]',
    ),
    Key(
        "frame_origins",
        _ORIGINS,
        "Origins of pages that may show hosted pages in a frame, and are told what became of them.",
        '["https://example.com"]',
    ),
    Key(
        "cors_origins",
        _ORIGINS,
        "Origins of pages whose scripts may call what is for clients, besides `origins`. Only those of the server's "
        "own site get as far as signing in there: browsers send the visitor's cookie from no other.",
        '["https://www.example.com"]',
    ),
    Key(
        "webhook_url",
        text("an absolute https URL without a user and a fragment; http on this machine", _is_webhook_url),
        "Where events are sent. By default nowhere.",
        '"https://example.com/webhooks"',
    ),
    Key(
        "webhook_format",
        word({"standard": "standard", "authsignal": "authsignal"}),
        "How they are signed and worded: as Standard Webhooks, or for servers that moved here from Authsignal.",
        '"standard"',
    ),
    Key(
        "number_matching",
        Check("true or false", _boolean),
        "Whether a phone that approves asks for the number that the page shows.",
        "false",
    ),
    Key(
        "default_action",
        matching("1 to 64 of A-Z a-z 0-9 _ -", "[A-Za-z0-9_-]{1,64}"),
        "Under which word an action begins whose client names none.",
        '"sign-in"',
    ),
    Key(
        "challenge_unenrolled",
        Check("true or false", _boolean),
        "What servers that moved here from Authsignal are told where a challenge is asked of a user who has nothing "
        "enrolled: true: CHALLENGE_REQUIRED; false: ALLOW, as there.",
        "false",
    ),
    Key(
        "api_keys",
        several(SECRET),
        "What the tenant's servers show. Keys made in the portal are good besides.",
        '["<32 random characters or more>"]',
    ),
    *(
        key._replace(meaning=f"One more of them{where}.")
        for key, where in zip(secret_keys("api_key", "")[1:], _ELSEWHERE, strict=True)
    ),
    Key(
        "integration_keys",
        several(table(INTEGRATION_KEYS, _integration_key)),
        "What the tenant's servers show to run commands.",
        '[{"key_env": "PASSKEYCORE_INTEGRATION_KEY", "commands": ["StartPasskeyRegistration"]}]',
    ),
    *RULE_KEYS.values(),
)
"""The keys of a tenant's table."""

OVERRIDABLE: Final[Mapping[str, Key]] = {
    name: TENANT_KEYS[name]._replace(required=False)
    for name in (
        *("hostname", "rp_id", "name", "origins", "related_origins", "android_apps", "ios_apps"),
        *("max_passkeys_per_user", "redirect_urls", "frame_origins", "cors_origins", "webhook_url", "webhook_format"),
        *("number_matching", "default_action", "challenge_unenrolled", "default", "actions", "failure_window_s"),
    )
}
"""What an operator may change while the server runs: no keys, no secrets."""

CAN_BE_NONE: Final = frozenset({"name", "rp_id", "webhook_url"})
"""Of these, texts that an operator may switch off, whatever the file says."""


def _tenants(node: Node) -> object:
    members = node.members()
    if not members:
        raise node.fault("at least one tenant")
    for name, member in members.items():
        TENANT_ID.read(member._replace(value=name))
    return members


TENANT_ID: Final = matching("a tenant's name: 1 to 64 of A-Z a-z 0-9 _ -", "[A-Za-z0-9_-]{1,64}")
"""What a tenant may be called."""

SERVER_KEYS: Final = by_name(
    Key(
        "base_url",
        text("a web origin, and a path where there is one, without a slash at the end", _is_base_url),
        "Where clients reach this server: hosted pages and the API.",
        '"http://localhost:8000"',
        required=True,
    ),
    Key("host", text("a name or an address", lambda host: 1 <= len(host) <= 255), "Where it listens.", '"127.0.0.1"'),
    Key("port", number(0, 65_535), "On which port; 0: any that is free.", "8000"),
    Key("workers", number(1, 64), "How many processes serve.", "1"),
    Key(
        "database",
        KEYS["database"].check,
        "Where everything is kept. A relative file begins where the server is started.",
        '"sqlite:///passkeycore.db"',
    ),
    Key("redis", url("redis", "rediss", "unix"), KEYS["redis"].meaning, KEYS["redis"].example),
    *secret_keys("secret", "What tokens and keys are made with: random characters."),
    KEYS["previous_secrets"]._replace(
        meaning="Secrets that are replaced, but whose tokens are still good. Keys that the portal made with one stay "
        "good until they are rotated there, also when it is not listed here any more."
    ),
    *secret_keys("operator_secret", "What opens the portal. By default it is closed."),
    Key("limits", table(LIMITS, dict), "How many requests are answered; more get status 429."),
    Key("body_bytes", number(1_024, 1_048_576, " of bytes"), "The longest body that is read.", "65536"),
    Key("body_timeout_s", number(1, 120, " of seconds"), "How long a client may take to send one.", "10"),
    Key(
        "trusted_proxies",
        several(text("an address or a network, such as 10.0.0.0/8", _is_network)),
        "Whose X-Forwarded-For is believed.",
        '["127.0.0.1"]',
    ),
    Key("tenants", Check("a table for each tenant", _tenants), "Tenants, by their names.", required=True),
)
"""The keys of the file itself."""

_TABLES: Final = {"limits", "tenants", *RULE_KEYS}  # not on a line of their own


def describe_server(
    values: Mapping[str, object] | None = None, tenant: Mapping[str, object] | None = None, tenant_id: str = "main"
) -> str:
    """An example file in TOML: every key with its meaning, commented out but for what `values` and `tenant` give.

    Args:
        values: Keys of the file that stand there, with their values. None: ``base_url`` alone.
        tenant: Keys of the tenant's table that do, likewise. None: ``hostname`` alone.
        tenant_id: What the tenant is called.
    """
    base = json.loads(SERVER_KEYS["base_url"].example)
    lines = ["# Configuration of a passkeycore server. The same keys work in JSON with comments.", ""]
    lines += _described(SERVER_KEYS, {"base_url": base} if values is None else values)
    lines += [*_explained(SERVER_KEYS["limits"]), "[limits]", *_described(LIMITS, {})]
    lines += [*_explained(SERVER_KEYS["tenants"]), f"[tenants.{tenant_id}]"]
    lines += _described(TENANT_KEYS, {"hostname": base.partition("://")[2]} if tenant is None else tenant)
    lines += ["# Rules of actions, for those that are not listed and for each that is; by default every action takes a"]
    lines += ["# challenge.", f"# [tenants.{tenant_id}.default]", '# default = "CHALLENGE"', ""]
    lines += [f"# [tenants.{tenant_id}.actions.transfer]", '# default = "ALLOW"', ""]
    lines += [f"# [[tenants.{tenant_id}.actions.transfer.rules]]", '# id = "large"', '# outcome = "CHALLENGE"']
    lines += ["# when = { custom = { amount = { at_least = 1000 } } }", ""]
    return "\n".join(lines)


def _described(keys: Mapping[str, Key], values: Mapping[str, object]) -> list[str]:
    lines: list[str] = []
    for key in keys.values():
        if key.name not in _TABLES:
            value = _toml(values[key.name] if key.name in values else json.loads(key.example))
            lines += [*_explained(key), f"{'' if key.name in values else '# '}{key.name} = {value}", ""]
    return lines


def _explained(key: Key) -> list[str]:
    sentence = f"{key.meaning} ({key.check.expected})"
    return [f"# {line}" for line in wrap(sentence, 110, break_on_hyphens=False, break_long_words=False)]


def _toml(value: object) -> str:
    """`value` as TOML writes it within one line; texts, numbers and booleans are written as in JSON."""
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return "{ " + ", ".join(f"{name} = {_toml(member)}" for name, member in members.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, cast("list[object]", value))) + "]"
    return json.dumps(value)
