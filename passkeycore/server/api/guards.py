"""Who calls: one guard for each kind of caller, in a table. A guard returns only for somebody who may.

They run before the body is read. What a device has signed stands in the body, so that the engine judges it.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from typing import Final, TypeAlias

from starlette.requests import Request

from ...actions.states import ActionState
from ...errors import ActionError, CeremonyError, Code, ConfigurationError, TokenError
from ..edge.http import authorization
from .calls import Caller, Identity, Row, Site, not_available
from .refusals import EdgeCode, Refused
from .visitors import CSRF_HEADER, csrf_token, visitor_of

# The application has let the user go on: no rule said no, and what was to be proven was.
_PASSED: Final = frozenset({ActionState.ALLOW, ActionState.CHALLENGE_SUCCEEDED, ActionState.REVIEW_SUCCEEDED})
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}

Guard: TypeAlias = Callable[[Site, Request, Row], Awaitable[Identity]]


async def identify(site: Site, request: Request, row: Row) -> Identity:
    """Who calls, as far as the route asks for it.

    Raises:
        Refused: 401: `unauthorized`, `visitor_unknown`, `sign_in_required`; 403: `foreign_origin`,
            `csrf_token_invalid`; 422: `not_available`.
        TokenError: `token_invalid`, `token_expired`, `scope_missing`. ActionError: `action_state`: what the scope
            allows was not reached. CeremonyError: `user_disabled`.
        ConfigurationError: The host's `current_user` answers with something that is no user id.
    """
    if not site.serves(row.caller) or not all(map(site.has, row.needs)):
        raise not_available()
    return await GUARDS[row.caller](site, request, row)


async def _anyone(site: Site, request: Request, row: Row) -> Identity:
    return Identity()


async def _visitor(site: Site, request: Request, row: Row) -> Identity:
    """Whoever sits before a page of the tenant's own; of another origin, no page can have sent this."""
    check_origin(site, request, needed=row.method != "GET")
    visitor_id = visitor_of(request.cookies, site.origins)
    if row.method == "GET":
        return Identity(visitor_id=visitor_id or "")
    if visitor_id is None:
        raise Refused(EdgeCode.VISITOR_UNKNOWN, "Your browser did not send its cookie. Please reload the page.")
    shown = request.headers.get(CSRF_HEADER, "")
    if not compare_digest(shown.encode(), csrf_token(visitor_id, site.tenant_id).encode()):
        raise Refused(EdgeCode.CSRF_TOKEN_INVALID, "Please reload the page and try again.")
    return Identity(visitor_id=visitor_id)


async def _user(site: Site, request: Request, row: Row) -> Identity:
    visitor = await _visitor(site, request, row)
    if site.current_user is None:
        raise not_available()
    answer = site.current_user(request)
    user_id: object = await answer if inspect.isawaitable(answer) else answer
    if user_id is not None and not isinstance(user_id, str):
        raise ConfigurationError(f"a user's id as str, or None: not {type(user_id).__name__}", path="current_user")
    if not user_id:
        raise Refused(EdgeCode.SIGN_IN_REQUIRED, "Please sign in first.")
    await _check_enabled(site, user_id)
    return visitor._replace(user_id=user_id)


async def _token(site: Site, request: Request, row: Row) -> Identity:
    token = _bearer(request)
    if site.actions is None:
        raise not_available()
    if row.scope is None:
        action = await site.actions.action_of_token(token)
    else:
        action = (await site.actions.read_token(token)).action
        if row.scope not in action.scope:
            raise TokenError(Code.SCOPE_MISSING, f"the action was tracked without {row.scope}")
        if action.state not in _PASSED:
            raise ActionError(Code.ACTION_STATE, "what its scope allows comes later", state=action.state.value)
        await _check_enabled(site, action.user_id)
    return Identity(user_id=action.user_id, token=token, action=action)


async def _server(site: Site, request: Request, row: Row) -> Identity:
    key = _bearer(request)
    if site.is_key is None:
        raise not_available()
    if not await site.is_key(key):
        raise Refused(EdgeCode.UNAUTHORIZED, "The API key is not good here.", _CHALLENGE)
    return Identity()


GUARDS: Final[Mapping[Caller, Guard]] = {
    "anyone": _anyone,
    "visitor": _visitor,
    "user": _user,
    "token": _token,
    "device": _anyone,
    "server": _server,
}
"""What lets each kind of caller pass."""


def check_origin(site: Site, request: Request, *, needed: bool) -> None:
    """Returns only for a page of the tenant's own; without `needed`, also where a browser need not say.

    Raises:
        Refused: `foreign_origin`.
    """
    origin = request.headers.get("origin")
    if origin not in site.origins and (needed or origin is not None):
        raise Refused(EdgeCode.FOREIGN_ORIGIN, "This request comes from another site.")


async def _check_enabled(site: Site, user_id: str) -> None:
    user = await site.passkeys.find_user(user_id)
    if user is not None and user.disabled_at is not None:
        raise CeremonyError(Code.USER_DISABLED, "the user is disabled")


def _bearer(request: Request) -> str:
    scheme, value = authorization(request.headers)
    if scheme != "bearer" or not value:
        raise Refused(EdgeCode.UNAUTHORIZED, "This takes a Bearer token.", _CHALLENGE)
    return value
