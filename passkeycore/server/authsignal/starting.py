"""With which token a client begins: apps keep the token of their last success, and show it where a new one is due.

Such a token means its user, who does the same once more: a new action under the same word, which rules decide anew.
"""

from ...engine.actions.records import Action
from ..tenancy.tenants import Tenant
from .auth import Call


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
    """
    tenant, token = call.tenant, call.caller.token
    again = None if token is None else await of_success(tenant, token)
    if again is None:
        return token
    tracked = await tenant.actions.track(
        again.user_id,
        again.action,
        client=call.client,
        challenge_unenrolled=tenant.settings.challenge_unenrolled,
    )
    return tracked.token
