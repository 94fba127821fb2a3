"""Step-up: proof, for the application to keep, that a user who is signed in has just proved themselves for one purpose.

The token names neither user nor purpose: it holds a digest of both, of the realm, the Relying Party, the binding and
the account stamp. It says nothing any more once the user is disabled or removed, or the passkey is.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from ...errors import Code, ConfigurationError, TokenError
from ...relying_party import hash_binding
from ...webauthn.encoding import encode_base64url
from ...webauthn.options import AuthenticationState
from ..checks import check_opaque, check_user_id
from ..records import Passkey, User
from .context import Context

if TYPE_CHECKING:
    from ...tokens import JSON

_PURPOSE: Final = "passkeycore/step-up"
_LIFETIME: Final = timedelta(hours=1)  # whoever validates the token says how old it may be, up to this


def step_up_token(
    context: Context, state: AuthenticationState, passkey: Passkey, user: User, now: datetime
) -> str | None:
    """A token for `validate_step_up`; None where the service has no tokens, or the ceremony no purpose."""
    if context.tokens is None or state.purpose is None:
        return None
    claims: dict[str, JSON] = {
        "for": _digest(context, user, state.purpose, state.binding, state.account_stamp),
        "credential": encode_base64url(sha256(passkey.credential_id).digest()),
        "at": int(now.timestamp()),
    }
    return context.tokens.issue(_PURPOSE, claims, expires_at=now + _LIFETIME, now=now)


async def validate_step_up(
    context: Context,
    token: str,
    *,
    user_id: str,
    purpose: str,
    max_age_s: int = 300,
    binding: bytes | str | None = None,
    account_stamp: str | None = None,
) -> datetime:
    """When the user proved themselves for this purpose with user verification that can be trusted, UTC.

    Args:
        token: `Authentication.step_up_token`, kept by the application since. It is good until it is too old: drop it
            after its use where once is enough.
        user_id, purpose, binding, account_stamp: What the ceremony was started with.
        max_age_s: How long ago at most, in seconds, up to an hour.

    Raises:
        TokenError: `token_invalid`: it proves something else, or nothing; or the user or their passkey is disabled or
            gone since. `token_expired`: it was too long ago.
        DecodeError: `user_id_invalid`; `name_invalid`: of `purpose` or `account_stamp`.
        ConfigurationError: The service has no `tokens`.
    """
    if context.tokens is None:
        raise ConfigurationError("step-up needs tokens", path="tokens")
    check_user_id(user_id)
    check_opaque(purpose, account_stamp)
    now = context.now()
    claims = context.tokens.read(_PURPOSE, token, now=now)
    account = await context.repository.find_account(context.realm, user_id)
    at, credential, subject = claims.get("at"), claims.get("credential"), claims.get("for")
    if (
        account is None
        or account.user.disabled_at is not None
        or not isinstance(at, int)
        or not isinstance(subject, str)
        or not isinstance(credential, str)
        or not isinstance(purpose, str)
        or not compare_digest(
            subject.encode(), _digest(context, account.user, purpose, hash_binding(binding), account_stamp).encode()
        )
        or credential not in {encode_base64url(sha256(p.credential_id).digest()) for p in account.passkeys}
    ):
        raise TokenError(Code.TOKEN_INVALID, "not a token for this")
    authenticated_at = datetime.fromtimestamp(at, now.tzinfo)
    if now - authenticated_at > timedelta(seconds=max_age_s):
        raise TokenError(Code.TOKEN_EXPIRED, "too long ago")
    return authenticated_at


def _digest(context: Context, user: User, purpose: str, binding: bytes | None, account_stamp: str | None) -> str:
    digest = sha256()
    texts = (context.rp.id, context.realm, user.user_id, purpose, account_stamp or "")
    # No two lists of parts spell the same text, as each part is preceded by its length.
    for part in (*(text.encode() for text in texts), user.user_handle, binding or b"", bytes([account_stamp is None])):
        digest.update(len(part).to_bytes(4, "big") + part)
    return encode_base64url(digest.digest())
