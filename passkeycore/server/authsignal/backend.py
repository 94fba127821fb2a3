"""Actions, as an application's server tracks, validates, looks up and reviews them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from ...actions.states import ActionState
from ...engine.actions.records import Action, ActionFilter
from ...engine.actions.tracking import ClientInfo
from ...errors import ActionError, ConflictError, TokenError
from ..redirects import may_redirect
from ..tenancy.tenants import Tenant
from .auth import Call
from .authenticators import method_names
from .profiles import Json, address_methods, checked_changes, find_profile, save_profile
from .wire import METHODS, Members, bad_token, custom_values, invalid_request, iso, parse_iso, present, read_typed

_READ: Final = "read:authenticators"
_MOST_LISTED: Final = 1_000
_MORE: Final = "X-More-Actions"  # no SDK reads a body of another form than the list
_PROFILE: Final = ("email", "phone_number", "username", "locale")


class _Track(Members):
    idempotency_key: str | None = None
    redirect_url: str | None = None
    redirect_to_settings: bool = False
    ip_address: str | None = None
    user_agent: str | None = None
    device_id: str | None = None
    scope: str | None = None
    email: str | None = None
    phone_number: str | None = None
    username: str | None = None
    locale: str | None = None
    custom: dict[str, Any] | None = None


class _Validate(Members):
    token: str
    user_id: str | None = None
    action: str | None = None


class _Update(Members):
    state: str


_TRACK: Final = msgspec.json.Decoder(_Track)
_VALIDATE: Final = msgspec.json.Decoder(_Validate)
_UPDATE: Final = msgspec.json.Decoder(_Update)


async def track(call: Call) -> Json:
    """The action, as rules decide; the one that is there already for a key that was seen before.

    Who has nothing enrolled is allowed what takes a challenge, unless the tenant is told otherwise. One whose token has
    expired is told in its state, and has no token any more.
    """
    asked, tenant, user_id = read_typed(_TRACK, call.body), call.tenant, call.path["user_id"]
    if asked.redirect_url is not None and not may_redirect(tenant.settings.redirect_urls, asked.redirect_url):
        raise invalid_request("The tenant has not registered where this redirectUrl leads.")
    said = checked_changes({name: value for name in _PROFILE if (value := getattr(asked, name))})
    verified = address_methods(await find_profile(tenant, user_id))
    tracked = await tenant.actions.track(
        user_id,
        call.path["action"],
        idempotency_key=asked.idempotency_key or None,
        client=ClientInfo(
            ip_address=asked.ip_address,
            user_agent=asked.user_agent,
            device_id=asked.device_id or None,
            custom=custom_values(asked.custom or {}),
        ),
        scope=(asked.scope or _READ).split(),
        redirect_url=asked.redirect_url,
        # An address counts as enrolled, and whoever has one is not let through because nothing else is.
        challenge_unenrolled=tenant.settings.challenge_unenrolled or bool(verified),
    )
    if said:
        # The action is stored. Whoever has changed the profile over and over meanwhile has had the last word.
        with suppress(ConflictError):
            await save_profile(tenant, user_id, said)
    settings = "&settings=true" if asked.redirect_to_settings else ""
    allowed = method_names(tracked.action.allowed_methods)
    enrolled = [*method_names(tracked.enrolled_methods), *verified]
    is_over = tenant.actions.context.now() >= tracked.action.expires_at
    return present(
        {
            "state": tracked.state.value,
            "url": None if is_over else f"{call.dialect.settings.base_url}/challenge?token={tracked.token}{settings}",
            "token": None if is_over else tracked.token,
            "idempotencyKey": tracked.idempotency_key,
            "isEnrolled": bool(enrolled),
            "enrolledVerificationMethods": enrolled,
            "allowedVerificationMethods": allowed,
            "defaultVerificationMethod": next((method for method in allowed if method in enrolled), None),
            "ruleIds": list(tracked.rule_ids),
        }
    )


async def validate(call: Call) -> Json:
    """Whether a token proves that its action's challenge was met.

    Only the token that came with the success does. One from ``track`` proves nothing, also of an action that needs no
    challenge: its state says so, and whoever tracked it knows. So does one with which a passkey was made: that its user
    has a passkey now was never asked for, and the challenge still waits to be met.

    A token that proves nothing, or something else than was asked, is an answer and no error. What a foreign one proves
    is not told: it is a failure, so that who looks at the state alone does not take it for theirs.
    """
    asked, actions = read_typed(_VALIDATE, call.body), call.tenant.actions
    named = await _action_of(call.tenant, asked.token)
    if asked.user_id not in (None, named.user_id) or asked.action not in (None, named.action):
        failed = ActionState.CHALLENGE_FAILED.value
        return {"isValid": False, "state": failed, "error": "The token is another user's, or another action's."}
    try:
        action = await actions.validate_challenge(asked.token, user_id=asked.user_id, action=asked.action)
    except ActionError:
        return {"isValid": False, **_validated(named)}
    except TokenError as error:
        raise bad_token(error) from None
    return {"isValid": True, **_validated(action)}


async def get_action(call: Call) -> Json:
    """The action as it is now."""
    path = call.path
    action = await call.tenant.actions.get_action(path["user_id"], path["action"], path["idempotency_key"])
    return _looked_up(action)


async def update_action(call: Call) -> Json:
    """The action after its review."""
    path, asked = call.path, read_typed(_UPDATE, call.body)
    action = await call.tenant.actions.update_action(
        path["user_id"], path["action"], path["idempotency_key"], state=asked.state
    )
    return _looked_up(action)


async def list_actions(call: Call) -> list[Json]:
    """A user's latest actions, the newest first, up to 1000; a header says whether there are more."""
    query = call.query
    states = tuple(map(_state, _words(query.get("state")))) or None
    which = ActionFilter(
        user_id=call.path["user_id"],
        actions=tuple(_words(query.get("codes"))) or None,
        states=states,
        since=parse_iso(query["fromDate"], "fromDate") if query.get("fromDate") else None,
    )
    page = await call.tenant.actions.list_actions(which, limit=_MOST_LISTED)
    if page.next_cursor is not None:
        call.answer_headers[_MORE] = "true"
    return [_listed(action) for action in page.actions]


async def _action_of(tenant: Tenant, token: str) -> Action:
    try:
        return await tenant.actions.action_of_token(token)
    except TokenError as error:
        raise bad_token(error) from None


def _method(action: Action) -> str | None:
    return None if action.method is None else METHODS[action.method]


def _validated(action: Action) -> Json:
    return present(
        {
            "state": action.state.value,
            "stateUpdatedAt": iso(action.state_updated_at),
            "userId": action.user_id,
            "action": action.action,
            "actionCode": action.action,
            "idempotencyKey": action.idempotency_key,
            "verificationMethod": _method(action),
        }
    )


def _looked_up(action: Action) -> Json:
    rules = [{"ruleId": rule_id, "name": rule_id} for rule_id in action.rule_ids]
    return present(
        {
            "state": action.state.value,
            "createdAt": iso(action.created_at),
            "stateUpdatedAt": iso(action.state_updated_at),
            "verificationMethod": _method(action),
            "rules": rules,
            "ruleIds": list(action.rule_ids),
            "priorityRuleId": action.rule_ids[0] if action.rule_ids else None,
            "output": _output(action),
        }
    )


def _output(action: Action) -> Mapping[str, Any]:
    return {"allowedVerificationMethods": method_names(action.allowed_methods)}


def _listed(action: Action) -> Json:
    return present(
        {
            "actionCode": action.action,
            "idempotencyKey": action.idempotency_key,
            "createdAt": iso(action.created_at),
            "updatedAt": iso(action.state_updated_at),
            "state": action.state.value,
            "stateUpdatedAt": iso(action.state_updated_at),
            "verificationMethod": _method(action),
            "verifiedByAuthenticatorId": action.authenticator_id,
        }
    )


def _words(text: str | None) -> list[str]:
    return [word for word in (text or "").split(",") if word]


def _state(word: str) -> ActionState:
    try:
        return ActionState(word)
    except ValueError:
        raise invalid_request("There is no such state of actions.") from None
