"""A page that somebody has opened: what its script holds, sealed, and shows with every request that it makes.

Whatever the address of the page said was judged when it was opened; nothing of it is believed from the script. There
are three kinds of address: with the token of an action; with a link to sign in, which names an action's word; and with
a proof of ours, that the user has just met a challenge on the page before, which no application ever sees.
"""

from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from ...engine.actions.records import Action
from ...errors import Code, TokenError
from ...tokens import Tokens

_T = TypeVar("_T")

_PAGE: Final = "passkeycore/page"
_LINK: Final = "passkeycore/sign-in-link"
_PROOF: Final = "passkeycore/page-proof"
# The token of an action ends much sooner, and with it what its page can do. A page to sign in may stay open.
_PAGE_LIFETIME: Final = timedelta(hours=12)
_LINK_LIFETIME: Final = timedelta(minutes=10)
_PROOF_LIFETIME: Final = timedelta(minutes=10)
# For so long it can still be told whose link or proof has ended, and so whose page around it has to hear of that.
_REMEMBERED: Final = timedelta(days=1)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That the user has met the challenge of an action on a page of ours, a moment ago.

    Attributes:
        realm: The tenant.
        token: Of the action's success, for the application, when the pages are done.
        user_id, word, idempotency_key: Name the action.
        authenticator_id: What met it. When it is removed elsewhere, the proof is none any more.
        removed_here: It was removed on a page that this proof has opened, which only shows what is left from then on.
        ends_at: In seconds since 1970.
    """

    realm: str
    token: str
    user_id: str
    word: str
    idempotency_key: str
    authenticator_id: str
    removed_here: bool = False
    ends_at: int

    def __repr__(self) -> str:
        return f"Proof(realm={self.realm!r}, …)"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A page that is open somewhere.

    Attributes:
        realm: The tenant.
        token: Of an action; None: whoever it is signs in.
        proof: What has opened it instead of an action's token, which is then that of the success; None: nothing.
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
    proof: Proof | None = None
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
        ends_at: In seconds since 1970.
    """

    realm: str
    word: str
    redirect_url: str | None = None
    ends_at: int


_PAGES: Final = msgspec.msgpack.Decoder(Opened)
_LINKS: Final = msgspec.msgpack.Decoder(SignInLink)
_PROOFS: Final = msgspec.msgpack.Decoder(Proof)


def seal_page(tokens: Tokens, opened: Opened, now: datetime) -> str:
    """`opened`, for the script of the page."""
    return tokens.seal(_PAGE, msgspec.msgpack.encode(opened), expires_at=now + _PAGE_LIFETIME, now=now)


def unseal_page(tokens: Tokens, text: str, now: datetime) -> Opened:
    """The page whose script shows this.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
    """
    return _decoded(_PAGES, tokens.unseal(_PAGE, text, now=now))


def new_link(realm: str, word: str, redirect_url: str | None, now: datetime) -> SignInLink:
    """A link to sign in, good for ten minutes."""
    ends_at = int((now + _LINK_LIFETIME).timestamp())
    return SignInLink(realm=realm, word=word, redirect_url=redirect_url, ends_at=ends_at)


def seal_link(tokens: Tokens, link: SignInLink, now: datetime) -> str:
    """`link`, for an address."""
    return tokens.seal(_LINK, msgspec.msgpack.encode(link), expires_at=now + _REMEMBERED, now=now)


def unseal_link(tokens: Tokens, text: str, now: datetime) -> SignInLink:
    """What an address says that is no action's. It may have ended; see `check_open`.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
    """
    return _decoded(_LINKS, tokens.unseal(_LINK, text, now=now))


def new_proof(action: Action, token: str, now: datetime) -> Proof:
    """That the challenge of `action` was met now, whose success `token` shows; good for ten minutes."""
    return Proof(
        realm=action.realm,
        token=token,
        user_id=action.user_id,
        word=action.action,
        idempotency_key=action.idempotency_key,
        authenticator_id=action.authenticator_id or "",
        ends_at=int((now + _PROOF_LIFETIME).timestamp()),
    )


def seal_proof(tokens: Tokens, proof: Proof, now: datetime) -> str:
    """`proof`, for an address."""
    return tokens.seal(_PROOF, msgspec.msgpack.encode(proof), expires_at=now + _REMEMBERED, now=now)


def unseal_proof(tokens: Tokens, text: str, now: datetime) -> Proof:
    """The proof that an address shows. It may have ended; see `check_open`.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
    """
    return _decoded(_PROOFS, tokens.unseal(_PROOF, text, now=now))


def check_open(sealed: SignInLink | Proof, now: datetime) -> None:
    """Returns only while it is good.

    Raises:
        TokenError: `token_expired`.
    """
    if now.timestamp() >= sealed.ends_at:
        raise TokenError(Code.TOKEN_EXPIRED, "it has ended")


def _decoded(decoder: "msgspec.msgpack.Decoder[_T]", content: bytes) -> _T:
    try:
        return decoder.decode(content)
    except msgspec.MsgspecError:  # sealed by another version of ours
        raise TokenError(Code.TOKEN_INVALID, "no page of ours") from None
