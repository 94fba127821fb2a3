"""Where users may be sent: the one place that judges such addresses, for hosted pages, dialects and our own API.

An address is read here as browsers read it: what they would read in another way leads nowhere.
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

_LONGEST: Final = 2_048  # characters
_WEB: Final = ("https", "http")


def may_redirect(registered: Collection[str], url: str) -> bool:
    """Whether `url` is of an origin, or has the scheme of an app, that a tenant has registered.

    Args:
        registered: Web origins, and schemes with their colon, as `TenantSettings.redirect_urls` has them.
        url: Where a page is to lead.
    """
    parts = _split(url)
    if parts is None:
        return False
    if parts.scheme in _WEB:
        return f"{parts.scheme}://{parts.netloc.lower()}" in registered
    return f"{parts.scheme}:" in registered


def _split(url: str) -> SplitResult | None:
    if not url.isascii() or not url.isprintable() or len(url) > _LONGEST or not {" ", "\\"}.isdisjoint(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return None if "@" in parts.netloc else parts
