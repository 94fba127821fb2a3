"""Every key of a configuration file, in one table: reading, errors and the example file come from it."""

import os
import re
from pathlib import Path
from textwrap import wrap
from typing import Final, cast, get_args

from ..webauthn.cose import DEFAULT_ALGORITHMS
from ..webauthn.options import Conveyance, second_factor, sole_factor
from ..webauthn.origins import check_origin, check_rp_id
from ..well_known.android import AndroidApp, canonical_fingerprint, is_package_name
from ..well_known.apple import is_app_id
from ..well_known.endpoints import page_host
from .checks import Check, Key, by_name, matching, number, several, table, text, url, word
from .source import Node

MOST_SECRETS: Final = 16
"""As many as `passkeycore.tokens.Tokens` takes, the present one included."""

_SECRET_BYTES: Final = (32, 4_096)  # RFC 7518, section 3.2: as long as the hash; nobody's key has more than the rest
_HOSTNAME: Final = re.compile(r"[^:]+(?::[0-9]+)?")


def web_origin(hostname: str) -> str:
    """The origin of the pages on a host: https, but http on the developer's own machine. `hostname` may have a port."""
    host = hostname.partition(":")[0]
    local = host == "localhost" or host.endswith(".localhost")
    return f"{'http' if local else 'https'}://{hostname}"


def _is_hostname(hostname: str) -> bool:
    return _HOSTNAME.fullmatch(hostname) is not None and check_origin(web_origin(hostname)) is not None


def _secret(node: Node, secret: bytes) -> bytes:
    if not _SECRET_BYTES[0] <= len(secret) <= _SECRET_BYTES[1]:
        raise node.fault(f"a secret of {_SECRET_BYTES[0]} to {_SECRET_BYTES[1]} bytes")
    return secret


def _secret_text(node: Node) -> bytes:
    value = node.value
    try:
        return _secret(node, value.encode() if isinstance(value, str) else b"")
    except UnicodeEncodeError:  # a lone surrogate, which JSON can write
        return _secret(node, b"")


def _secret_of_variable(node: Node) -> bytes:
    value = os.environ.get(cast("str", _VARIABLE.read(node)))
    if value is None:
        raise node.fault("the environment has no such variable")
    return _secret(node, os.fsencode(value))


def _secret_of_file(node: Node) -> bytes:
    path = Path(node.source.name).parent / cast("str", _FILE.read(node))
    try:
        with path.open("rb") as file:
            content = file.read(_SECRET_BYTES[1] + 3)
    except OSError as error:
        raise node.fault(f"cannot be read: {error.strerror}") from None
    # Editors and `echo` end the line.
    return _secret(node, content.removesuffix(b"\n").removesuffix(b"\r"))


_VARIABLE: Final = matching("the name of an environment variable", "[A-Za-z_][A-Za-z0-9_]*")
_FILE: Final = text("the path of a file, absolute or beginning where this file is", bool)
SECRET: Final = Check(f"a text of {_SECRET_BYTES[0]} to {_SECRET_BYTES[1]} bytes", _secret_text)
"""A secret that stands in the file itself."""

_ORIGIN: Final = text("an origin: https://host or https://host:port, or that of an app", check_origin)
WEB_ORIGIN: Final = text(
    "a web origin: https://host or https://host:port", lambda origin: check_origin(origin) is not None
)
"""An origin that is no app's."""

_PAGE: Final = text("an absolute https URL in ASCII", lambda url: page_host(url) is not None)


def secret_keys(name: str, meaning: str) -> tuple[Key, Key, Key]:
    """The keys of a secret that stands in the file itself, in the environment, or in a file of its own."""
    return (
        Key(
            name,
            SECRET,
            f"{meaning} Only for trying things out: better outside of this file.",
            '"<32 of them or more>"',
        ),
        Key(
            f"{name}_env",
            Check(_VARIABLE.expected, _secret_of_variable),
            "The same in an environment variable.",
            f'"PASSKEYCORE_{name.upper()}"',
            field=name,
        ),
        Key(
            f"{name}_file",
            Check(_FILE.expected, _secret_of_file),
            "The same in a file. A line break at its end does not count.",
            f'"passkeycore.{name}"',
            field=name,
        ),
    )


_ANDROID_APP: Final = by_name(
    Key(
        "package_name",
        text("an application id such as com.example.app", is_package_name),
        "The app.",
        required=True,
    ),
    Key(
        "sha256_fingerprints",
        several(
            text("a SHA-256 fingerprint in 64 hexadecimal digits", canonical_fingerprint, canonical_fingerprint),
            least=1,
        ),
        "Of its signing certificates, as Play Console shows them.",
        required=True,
    ),
)

KEYS: Final = by_name(
    Key(
        "hostname",
        text("a domain in lower case, with a port where it has one: example.com or localhost:3000", _is_hostname),
        "Where the passkeys are used. Without a port it is the RP ID; https://<hostname> is the origin that may use "
        "them, or http:// on localhost.",
        '"localhost:8000"',
        required=True,
    ),
    Key("max_passkeys_per_user", number(1, 10), "How many passkeys one user may have.", "5"),
    Key(
        "rp_id",
        text("a domain in lower case, without a port", check_rp_id),
        "What passkeys are bound to, for ever: the hostname, or a domain above it for passkeys that work on all hosts "
        "below it. By default the hostname.",
        '"localhost"',
    ),
    Key(
        "name",
        text("a name of 1 to 255 characters", lambda name: 1 <= len(name) <= 255),
        "What users know the site by. By default the RP ID.",
        '"Example"',
    ),
    Key(
        "origins",
        several(_ORIGIN),
        "Every origin that may use the passkeys, instead of the one that follows from the hostname.",
        '["http://localhost:8000"]',
    ),
    Key(
        "related_origins",
        several(WEB_ORIGIN),
        "Origins of other domains that may use the passkeys. Browsers ask https://<rp id>/.well-known/webauthn.",
        '["https://example.org"]',
    ),
    Key(
        "top_origins",
        several(WEB_ORIGIN),
        "Origins of pages that may embed ours in a frame. By default none.",
        '["https://partner.example"]',
    ),
    Key(
        "android_apps",
        several(table(_ANDROID_APP, lambda fields: AndroidApp(**fields))),
        "Android apps that may use the passkeys. Each certificate becomes an origin.",
        '[{"package_name": "com.example.app", "sha256_fingerprints": ["'
        + ":".join(f"{byte:02X}" for byte in range(32))
        + '"]}]',
    ),
    Key(
        "ios_apps",
        several(text("an app ID: the team's 10 characters, a dot and the bundle ID", is_app_id)),
        "iOS apps that may use the passkeys. With any, https://<rp id> becomes an origin.",
        '["ABCDE12345.com.example.app"]',
    ),
    Key(
        "passkey_enroll_url",
        _PAGE,
        "The page that makes a passkey, for password managers that lead users there.",
        '"https://example.com/passkeys/new"',
    ),
    Key(
        "passkey_manage_url",
        _PAGE,
        "The page that lists and removes them, likewise.",
        '"https://example.com/passkeys"',
    ),
    Key(
        "preset",
        word({"sole_factor": sole_factor(), "second_factor": second_factor()}),
        "Whether passkeys replace the password, and verify the user, or stand beside it.",
        '"sole_factor"',
    ),
    Key(
        "attestation",
        word({conveyance: conveyance for conveyance in get_args(Conveyance)}),
        "Which proof of its model to ask an authenticator for. Passkeys of phones and password managers have none.",
        '"none"',
    ),
    Key(
        "algorithms",
        several(number(-65_535, -1), least=1),
        "COSE identifiers of the signature algorithms to offer, the preferred one first.",
        str(list(DEFAULT_ALGORITHMS)),
    ),
    Key(
        "ceremony_timeout_s", number(30, 600, " of seconds"), "How long a user may take to register or sign in.", "300"
    ),
    Key(
        "conditional_timeout_s",
        number(60, 3_600, " of seconds"),
        "The same where the browser offers passkeys by autofill, which waits as long as the page is open.",
        "1800",
    ),
    Key(
        "realm",
        text("a text of at most 255 characters", lambda realm: len(realm) <= 255),  # it is in every key of the database
        "Separates the users of this file from those of others in the same database.",
        '""',
    ),
    Key(
        "database",
        url("sqlite", "sqlite+aiosqlite", "postgresql", "postgresql+psycopg"),
        "Where passkeys are kept.",
        '"sqlite:///passkeys.db"',
    ),
    Key(
        "redis",
        url("redis", "rediss", "unix"),
        "Where to keep what expires, rather than in the database.",
        '"redis://localhost:6379/0"',
    ),
    *secret_keys("secret", "What tokens are made with: random characters."),
    Key(
        "previous_secrets",
        several(SECRET, most=MOST_SECRETS - 1),
        "Secrets that are replaced, but whose tokens are still good.",
        "[]",
    ),
)
"""The keys of the file itself. Every table inside of it has a table like this one."""


def describe() -> str:
    """An example file in JSON with comments: every key with its meaning, and all but the first two commented out."""
    lines = ["// Configuration of passkeycore. The same keys work in TOML.", "{"]
    for place, key in enumerate(KEYS.values()):
        sentence = f"{key.meaning} ({key.check.expected})"
        lines += [f"  // {line}" for line in wrap(sentence, 110, break_on_hyphens=False, break_long_words=False)]
        lines += [f'  {"" if place < 2 else "// "}"{key.name}": {key.example},', ""]
    return "\n".join([*lines[:-1], "}", ""])
