"""Where a hosted page may send its user when it is done, and how: the one place that judges addresses.

An address is judged before anything is shown, and again when the user leaves. It is read here as browsers read it:
what they would read in another way leads nowhere.
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

_LONGEST: Final = 2_048  # characters
_WEB: Final = ("https", "http")
_NATIVE: Final = "auth"  # the host that apps have registered for their scheme


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a page ends, for its script.

    Attributes:
        token: What the application is given; None: nothing.
        redirect: Where the browser goes; None: nowhere, the page around it or the one that opened it is told.
        page: Our own page that comes next, instead; None: none.
    """

    token: str | None = None
    redirect: str | None = None
    page: str | None = None

    def __repr__(self) -> str:
        return "Ending(…)"


def may_redirect(registered: Collection[str], url: str) -> bool:
    """Whether `url` is of an origin, or has the scheme of an app, that the tenant has registered."""
    parts = _split(url)
    if parts is None:
        return False
    if parts.scheme in _WEB:
        return f"{parts.scheme}://{parts.netloc.lower()}" in registered
    return f"{parts.scheme}:" in registered


def is_app_scheme(registered: Collection[str], scheme: str) -> bool:
    """Whether an app of the tenant's answers to this scheme, such as ``com.example.shop``."""
    return f"{scheme}:" in registered and may_redirect(registered, app_address(scheme, ""))


def app_address(scheme: str, token: str) -> str:
    """Where an app waits that has opened the page in a browser, and is known by its scheme alone."""
    return f"{scheme}://{_NATIVE}?token={token}"


def with_token(url: str, token: str) -> str:
    """`url` with ``token`` at the end of its query, which stays as it is; a token has nothing to escape."""
    address, hash_sign, fragment = url.partition("#")
    separator = ("&" if not address.endswith(("?", "&")) else "") if "?" in address else "?"
    return f"{address}{separator}token={token}{hash_sign}{fragment}"


def _split(url: str) -> SplitResult | None:
    if not url.isascii() or not url.isprintable() or len(url) > _LONGEST or not {" ", "\\"}.isdisjoint(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return None if "@" in parts.netloc else parts
