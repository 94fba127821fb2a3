"""What a client holds between two requests, sealed.

A client may begin with a token and finish without one, so that what it brings back has to say what was begun: an
opaque text that only this server can read. It is good once, as the ceremony that it belongs to is.
"""

from datetime import timedelta
from hmac import compare_digest
from typing import Final, Literal, TypeAlias

import msgspec

from ...errors import Code, TokenError
from ..tenancy.tenants import Tenant
from .auth import Caller
from .wire import Refused, invalid_request

Kind: TypeAlias = Literal["enrolment", "authentication", "qr-code"]

_PURPOSE: Final = "passkeycore/authsignal"
_UNKNOWN: Final = "There is no such challenge."


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What was begun, for the finish.

    Attributes:
        kind: By which routes.
        realm: The tenant.
        token: Of the action that it is to meet; None: it names an action's word instead.
        shown: The token that the client began it with, where it is another one; None: it is the same.
        action: That word, of an action that begins when it is known whose it is.
        binding: What the engine was given as such; with a token, it is the token.
        challenge_id, purpose: Of a device's challenge.
    """

    kind: Kind
    realm: str
    token: str | None = None
    shown: str | None = None
    action: str = ""
    binding: str = ""
    challenge_id: str = ""
    purpose: str = ""

    def __repr__(self) -> str:
        return f"Begun(kind={self.kind!r}, realm={self.realm!r}, …)"


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Begun)


def seal(tenant: Tenant, begun: Begun, lifetime_s: int) -> str:
    """`begun` for the client, of ``A-Z a-z 0-9 . _ -``; nobody else can read it.

    Args:
        tenant: Whose it is.
        begun: What it is.
        lifetime_s: How long it can be finished, in seconds.
    """
    context = tenant.actions.context
    now = context.now()
    return context.tokens.seal(
        _PURPOSE, _ENCODER.encode(begun), expires_at=now + timedelta(seconds=lifetime_s), now=now
    )


def unseal(caller: Caller, text: str, kind: Kind) -> Begun:
    """What this client, or another of the same tenant, has begun. A token that it shows has to be the same as then.

    Raises:
        Refused: 400, `invalid_request`: nothing of this kind, or another tenant's. 401, `token_invalid`: another token.
    """
    context = caller.tenant.actions.context
    try:
        begun = _DECODER.decode(context.tokens.unseal(_PURPOSE, text, now=context.now()))
    except (TokenError, msgspec.MsgspecError) as error:
        expired = isinstance(error, TokenError) and error.code is Code.TOKEN_EXPIRED
        raise invalid_request("The challenge has expired." if expired else _UNKNOWN) from None
    if begun.kind != kind or begun.realm != caller.tenant.tenant_id:
        raise invalid_request(_UNKNOWN)
    shown = begun.shown or begun.token or ""
    if caller.token is not None and not compare_digest(caller.token.encode(), shown.encode()):
        raise Refused(401, "token_invalid", "The challenge was begun with another token, or without one.")
    return begun


def new_binding(tenant: Tenant) -> str:
    """A secret of 32 random bytes, in hexadecimal digits."""
    return tenant.actions.context.random(32).hex()
