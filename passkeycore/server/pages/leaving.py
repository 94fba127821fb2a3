"""How a hosted page ends, and the address that its user is sent to then.

An address is judged (`passkeycore.server.redirects`) before anything is shown, and again when the user leaves.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from ..redirects import may_redirect

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
