"""A page that somebody has opened: what its script holds, sealed, and shows with every request that it makes.

Whatever the address of the page said was judged when it was opened; nothing of it is believed from the script. There
are two kinds of address: with the token of an action, and with a link to sign in, which names an action's word.
"""

from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from ...errors import Code, TokenError
from ...tokens import Tokens

_T = TypeVar("_T")

_PAGE: Final = "passkeycore/page"
_LINK: Final = "passkeycore/sign-in-link"
# The token of an action ends much sooner, and with it what its page can do. A page to sign in may stay open.
_PAGE_LIFETIME: Final = timedelta(hours=12)
_LINK_LIFETIME: Final = timedelta(minutes=10)


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A page that is open somewhere.

    Attributes:
        realm: The tenant.
        token: Of an action; None: whoever it is signs in.
        word: What a sign-in is kept under.
        binding: The page's own secret, which ties a sign-in to it.
        redirect_url: Where a sign-in leads; of an action, the action itself says so.
        popup: In a frame, or in a window that another page has opened: that page is told what becomes of it.
        embedded: In a frame.
        native_scheme: Of the app that has opened it in a browser; None: none has.
        settings: The user came for the list of their passkeys.
        enrolment: The user came for a new passkey.
    """

    realm: str
    token: str | None = None
    word: str = ""
    binding: str = ""
    redirect_url: str | None = None
    popup: bool = False
    embedded: bool = False
    native_scheme: str | None = None
    settings: bool = False
    enrolment: bool = False

    def __repr__(self) -> str:
        return f"Opened(realm={self.realm!r}, …)"


class SignInLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link to a page where somebody signs in, as the tenant's server asked for it.

    Attributes:
        realm: The tenant.
        word: What the sign-in is kept under.
        redirect_url: Where it leads; None: nowhere.
    """

    realm: str
    word: str
    redirect_url: str | None = None


_PAGES: Final = msgspec.msgpack.Decoder(Opened)
_LINKS: Final = msgspec.msgpack.Decoder(SignInLink)


def seal_page(tokens: Tokens, opened: Opened, now: datetime) -> str:
    """`opened`, for the script of the page."""
    return tokens.seal(_PAGE, msgspec.msgpack.encode(opened), expires_at=now + _PAGE_LIFETIME, now=now)


def unseal_page(tokens: Tokens, text: str, now: datetime) -> Opened:
    """The page whose script shows this.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
    """
    return _decoded(_PAGES, tokens.unseal(_PAGE, text, now=now))


def seal_link(tokens: Tokens, link: SignInLink, now: datetime) -> str:
    """`link`, for an address."""
    return tokens.seal(_LINK, msgspec.msgpack.encode(link), expires_at=now + _LINK_LIFETIME, now=now)


def unseal_link(tokens: Tokens, text: str, now: datetime) -> SignInLink:
    """What an address says that is no action's.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
    """
    return _decoded(_LINKS, tokens.unseal(_LINK, text, now=now))


def _decoded(decoder: "msgspec.msgpack.Decoder[_T]", content: bytes) -> _T:
    try:
        return decoder.decode(content)
    except msgspec.MsgspecError:  # sealed by another version of ours
        raise TokenError(Code.TOKEN_INVALID, "no page of ours") from None
