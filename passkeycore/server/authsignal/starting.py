"""With which token a client begins: apps keep the token of their last success, and show it where a new one is due.

Such a token means its user, who does the same once more: a new action under the same word, which rules decide anew.
A success begins one such action, however often options are asked for while that waits: a client that holds a token
must not fill the database. Once that one is over, met or not, a further one takes the next success: the token lives no
longer than the action that it began, and who has none signs in without.

What can never be met like this is refused before it is stored. What rules decide of this one time (to block it, to have
it reviewed, or to want another method now) is a decision like any other: it is stored, as an operator has to see it.
"""

import hashlib
from typing import Final

from ...actions.states import Method
from ...engine.actions.records import Action
from ...errors import ActionError, Code
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


async def starting_token(call: Call, method: Method) -> str | None:
    """The token of an action that the client may begin to meet by `method`; None: the client has shown none.

    Raises:
        TokenError: As `of_success`.
        ActionError: `method_not_allowed`: whatever rules said of a new one, the method could not meet it.
        DecodeError: As `ActionService.track`.
    """
    tenant, token = call.tenant, call.caller.token
    again = None if token is None else await of_success(tenant, token)
    if again is None:
        return token
    _check_method(tenant, again.action, method)
    tracked = await tenant.actions.track(
        again.user_id,
        again.action,
        idempotency_key=_key_of(again),
        client=call.client,
        challenge_unenrolled=tenant.settings.challenge_unenrolled,
    )
    return tracked.token


def _check_method(tenant: Tenant, word: str, method: Method) -> None:
    """Returns only where some action under `word` could be met by `method`, as rules are now."""
    rules = tenant.actions.context.rules
    settings = rules.actions.get(word, rules.default)
    ways = (settings.allowed_methods, *(rule.allowed_methods for rule in settings.rules))
    if not any(way is not None and method in way for way in ways):
        raise ActionError(Code.METHOD_NOT_ALLOWED, f"{method} never meets this action")


def _key_of(success: Action) -> str:
    """The idempotency key of what a success begins: 64 hexadecimal digits, always the same.

    From what the token says rather than its text: another spelling of one success is no other success.
    """
    told = (_PURPOSE, success.realm, success.user_id, success.action, success.idempotency_key)
    text = "\0".join((*told, success.state_updated_at.isoformat()))
    return hashlib.sha256(text.encode()).hexdigest()
