"""Configuration from a file: ``passkey_config.jsonc``, or the same keys in TOML. What a program reads, and how.

    // passkey_config.jsonc: JSON with comments, trailing commas too
    {
      "hostname": "login.example.com",
      "rp_id": "example.com", // passkeys work on every host below it
      "max_passkeys_per_user": 5,
      "secret_env": "PASSKEYCORE_SECRET",
    }

    # passkey_config.toml
    hostname = "login.example.com"
    rp_id = "example.com"
    max_passkeys_per_user = 5
    secret_env = "PASSKEYCORE_SECRET"

Only ``hostname`` is needed; `describe` writes a file with every key. Whatever is wrong is refused when the file is
read, by a `ConfigurationError` that names file, line and key::

    passkey_config.jsonc:4: max_passkeys_per_user: a number from 1 to 10

    config = load("passkey_config.jsonc")
    rp = config.relying_party()

Rules of actions are in a file of their own, which `load_rules` reads.
"""

import os
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ..errors import ConfigurationError
from ..relying_party import RelyingParty
from ..webauthn.cose import DEFAULT_ALGORITHMS
from ..webauthn.options import Conveyance, Preset, sole_factor
from ..webauthn.origins import is_within
from ..well_known.android import AndroidApp
from .checks import read_table, reason
from .files import Format, read_file, read_text
from .keys import KEYS, describe, web_origin
from .rules import load_rules, parse_rules
from .source import Node
from .well_known import check_well_known, well_known_files

__all__ = [
    "AndroidApp",
    "Config",
    "Format",
    "check_well_known",
    "describe",
    "load",
    "load_rules",
    "parse",
    "parse_rules",
    "well_known_files",
]

_HIDDEN: Final = frozenset({"database", "redis", "secrets"})  # URLs of databases hold passwords


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says, checked, with everything that follows from it. Made by `load` or `parse`.

    Its repr shows neither secrets nor URLs of databases.

    Attributes:
        hostname: Where the passkeys are used, with the port where it has one.
        rp_id: The RP ID: the hostname without its port, or a domain above it.
        name: What users know the site by; None: the RP ID.
        origins: Every origin that may use the passkeys, those of apps included.
        related_origins: Web origins of other domains that may, too.
        top_origins: Origins of pages that may embed ours.
        android_apps: For ``assetlinks.json``; their origins are among `origins` already.
        ios_apps: App IDs, ``<team>.<bundle>``, for ``apple-app-site-association``.
        passkey_enroll_url, passkey_manage_url: Pages that make a passkey, and manage them, for ``passkey-endpoints``;
            None: they are not told.
        max_passkeys_per_user: 1 to 10. 5: the devices of one person, and one to spare.
        preset: Whether passkeys replace the password. They do by default.
        attestation: The conveyance that is asked for. ``none``, as users of passkeys gain nothing by more.
        algorithms: COSE identifiers that are offered, in order of preference.
        ceremony_timeout_s: How long a registration or authentication may take, in seconds.
        conditional_timeout_s: The same for conditional UI, in seconds: an autofill prompt waits with its page.
        realm: What scopes users and passkeys where several configurations share one database.
        database: URL of SQLAlchemy's form; None: the program brings its own storage.
        redis: URL of a Redis for what expires; None: the database keeps it.
        secrets: For `passkeycore.tokens.Tokens`, 32 to 4096 bytes each, the present one first; empty: none was given.
    """

    hostname: str
    rp_id: str
    name: str | None = None
    origins: tuple[str, ...]
    related_origins: tuple[str, ...] = ()
    top_origins: tuple[str, ...] = ()
    android_apps: tuple[AndroidApp, ...] = ()
    ios_apps: tuple[str, ...] = ()
    passkey_enroll_url: str | None = None
    passkey_manage_url: str | None = None
    max_passkeys_per_user: int = 5
    preset: Preset = sole_factor()
    attestation: Conveyance = "none"
    algorithms: tuple[int, ...] = DEFAULT_ALGORITHMS
    ceremony_timeout_s: int = 300
    conditional_timeout_s: int = 1_800
    realm: str = ""
    database: str | None = None
    redis: str | None = None
    secrets: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec's own would show the secrets wherever Rich prints a configuration.
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in _HIDDEN]

    def relying_party(self) -> RelyingParty:
        """Level 1 for this configuration.

        Raises:
            ConfigurationError: As `RelyingParty`; never for what `load` or `parse` returned.
        """
        return RelyingParty(
            id=self.rp_id,
            name=self.name,
            origins=self.origins,
            related_origins=self.related_origins,
            top_origins=self.top_origins,
            algorithms=self.algorithms,
            attestation=self.attestation,
        )


def load(path: str | os.PathLike[str]) -> Config:
    """The configuration in a file: JSON with comments in ``.jsonc`` and ``.json``, TOML in ``.toml``.

    Secrets that the file only points to are read now, too.

    Raises:
        ConfigurationError: The file cannot be read, has another suffix, is larger than 256 KiB or not UTF-8; and as
            `parse`. Its message names file, line and key, and `path` is the key; None where no key is at fault.
    """
    text, form = read_file(path)
    return parse(text, name=os.fspath(path), format=form)


def parse(text: str, *, name: str, format: Format) -> Config:
    """The configuration that a text says.

    Args:
        text: At most 256 KiB in UTF-8. A byte order mark does not count.
        name: Of the file, for messages. A relative ``secret_file`` begins in its directory.
        format: ``jsonc``, which plain JSON is, too, or ``toml``.

    Raises:
        ConfigurationError: A syntax error, a key unknown or given twice, a value that its key does not take, or no
            ``hostname``. Its message names file, line and key, and `path` is the key; None where no key is at fault.
    """
    root = read_text(text, name=name, format=format)
    config = Config(**resolve(root.child, read_table(root, KEYS)))
    try:
        config.relying_party()
    except ConfigurationError as error:
        raise root.child(str(error.path)).fault(reason(error)) from None
    return config


def resolve(place: Callable[[str], Node], fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a `Config`: those that were given, and what follows from several of them.

    Args:
        place: Where a key stands, or would stand, for errors.
        fields: From `KEYS`. Secrets are taken out.

    Raises:
        ConfigurationError: The hostname is not within the RP ID, or secrets that exclude each other.
    """
    hostname, secret, previous = fields["hostname"], fields.pop("secret", None), fields.pop("previous_secrets", ())
    host = hostname.partition(":")[0]
    rp_id = fields.setdefault("rp_id", host)
    if not is_within(host, rp_id):
        raise place("rp_id").fault("neither the hostname nor a domain above it")
    origins = list(fields.get("origins", [web_origin(hostname)]))
    for app in fields.get("android_apps", ()):
        origins += app.origins()
    if fields.get("ios_apps"):
        origins.append(f"https://{rp_id}")  # what iOS says for every app of the domain
    if secret in previous:
        raise place("previous_secrets").fault("the present secret is among them")
    if previous and secret is None:
        raise place("previous_secrets").fault("without a present secret")
    secrets = () if secret is None else (secret, *previous)
    return fields | {"origins": tuple(dict.fromkeys(origins)), "secrets": secrets}
