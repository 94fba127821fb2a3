"""With which token a client begins: apps keep the token of their last success, and show it where a new one is due.

Such a token means its user, who does the same once more: a new action under the same word, which rules decide anew.
A success begins one such action, however often options are asked for while that waits: a client that holds a token
must not fill the database. Once that one is over, met or not, a further one takes the next success: the token lives no
longer than the action that it began, and who has none signs in without.
"""

import hashlib
from typing import Final

from ...engine.actions.records import Action
from ..tenancy.tenants import Tenant
from .auth import Call

_PURPOSE: Final = "passkeycore again"


async def of_success(tenant: Tenant, token: str) -> Action | None:
    """The action whose success the token proves; None: it proves none, as it is from ``track``.

    Raises:
        TokenError: `token_invalid`: also where its user may not sign in any more, or has lost what met it.
            `token_expired`.
    """
    kind, action = await tenant.actions.read_token(token)
    return action if kind == "success" else None


async def starting_token(call: Call) -> str | None:
    """The token of an action that the client may begin to meet; None: the client has shown none.

    Raises:
        TokenError: As `of_success`.
        DecodeError: As `ActionService.track`.
    """
    tenant, token = call.tenant, call.caller.token
    again = None if token is None else await of_success(tenant, token)
    if again is None:
        return token
    tracked = await tenant.actions.track(
        again.user_id,
        again.action,
        idempotency_key=_key_of(again),
        client=call.client,
        challenge_unenrolled=tenant.settings.challenge_unenrolled,
    )
    return tracked.token


def _key_of(success: Action) -> str:
    """The idempotency key of what a success begins: 64 hexadecimal digits, always the same.

    From what the token says rather than its text: another spelling of one success is no other success.
    """
    told = (_PURPOSE, success.realm, success.user_id, success.action, success.idempotency_key)
    text = "\0".join((*told, success.state_updated_at.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()
