"""The files below ``/.well-known/`` that follow from a configuration, and whether those that exist agree with it."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import ConfigurationError
from ..well_known import (
    CONTENT_TYPE,
    Finding,
    apple_app_site_association,
    asset_links,
    check_apple_app_site_association,
    check_asset_links,
    check_passkey_endpoints,
    check_related_origins,
    passkey_endpoints,
    related_origins,
    to_bytes,
)
from .checks import reason

if TYPE_CHECKING:
    from . import Config

DIRECTORY: Final = "/.well-known/"
"""Where every file is, on the RP ID's own host."""


class _Kind(NamedTuple):
    """Of which key one file is made, how (None: the configuration has nothing for it), and how it is checked."""

    key: str
    build: "Callable[[Config], object | None]"
    check: "Callable[[bytes, Config | None, Collection[str]], tuple[Finding, ...]]"


def _apple(config: "Config") -> object | None:
    return apple_app_site_association(config.ios_apps) if config.ios_apps else None


def _check_apple(document: bytes, config: "Config | None", _: Collection[str]) -> tuple[Finding, ...]:
    return check_apple_app_site_association(document, apps=None if config is None else config.ios_apps)


def _android(config: "Config") -> object | None:
    return asset_links(config.android_apps) if config.android_apps else None


def _check_android(document: bytes, config: "Config | None", _: Collection[str]) -> tuple[Finding, ...]:
    if config is None:
        return check_asset_links(document)
    return check_asset_links(document, apps=config.android_apps, origins=config.origins)


def _related(config: "Config") -> object | None:
    return related_origins(config.related_origins, rp_id=config.rp_id) if config.related_origins else None


def _check_related(document: bytes, config: "Config | None", suffixes: Collection[str]) -> tuple[Finding, ...]:
    if config is None:
        return check_related_origins(document, public_suffixes=suffixes)
    return check_related_origins(document, origins=config.related_origins, rp_id=config.rp_id, public_suffixes=suffixes)


def _endpoints(config: "Config") -> object | None:
    enroll, manage = config.passkey_enroll_url, config.passkey_manage_url
    return None if enroll is None and manage is None else passkey_endpoints(enroll=enroll, manage=manage)


def _check_endpoints(document: bytes, config: "Config | None", _: Collection[str]) -> tuple[Finding, ...]:
    if config is None:
        return check_passkey_endpoints(document)
    return check_passkey_endpoints(
        document, rp_id=config.rp_id, enroll=config.passkey_enroll_url, manage=config.passkey_manage_url
    )


_KINDS: Final[Mapping[str, _Kind]] = {
    "apple-app-site-association": _Kind("ios_apps", _apple, _check_apple),
    "assetlinks.json": _Kind("android_apps", _android, _check_android),
    "webauthn": _Kind("related_origins", _related, _check_related),
    "passkey-endpoints": _Kind("passkey_enroll_url", _endpoints, _check_endpoints),
}

NAMES: Final = tuple(_KINDS)
"""Of the files, below `DIRECTORY`."""


def well_known_files(config: "Config") -> dict[str, tuple[str, bytes]]:
    """The files for which the configuration has something: each path, its content type, and its content.

    They are served as they are, by the RP ID's own host: ``("application/json", b"…")`` for
    ``/.well-known/assetlinks.json``.

    Raises:
        ConfigurationError: What nobody could use in such a file: more than five labels among the related origins, or
            one on localhost. `path` is the key.
    """
    files: dict[str, tuple[str, bytes]] = {}
    for name, kind in _KINDS.items():
        try:
            document = kind.build(config)
        except ConfigurationError as error:
            raise ConfigurationError(reason(error), path=kind.key) from None
        if document is not None:
            files[DIRECTORY + name] = (CONTENT_TYPE, to_bytes(document))
    return files


def check_well_known(
    name: str, document: bytes, config: "Config | None" = None, *, public_suffixes: Collection[str] = ()
) -> tuple[Finding, ...]:
    """What is wrong with one of the files, errors first; empty: nothing.

    Args:
        name: Which one it is, of `NAMES`.
        document: As it is served.
        config: What it has to agree with: apps, origins and pages, no more and no less. None: it is judged alone.
        public_suffixes: Those of related origins that have more than one label, such as ``co.uk``.

    Raises:
        ConfigurationError: Another name, or a public suffix that is no domain.
    """
    kind = _KINDS.get(name)
    if kind is None:
        raise ConfigurationError(f"one of {', '.join(NAMES)}", path="name")
    return kind.check(document, config, public_suffixes)
