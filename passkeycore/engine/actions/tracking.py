"""An action from its beginning to its proof: track it, look at it, and validate that its challenge was met."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, Final

import msgspec

from ...actions.facts import CustomValue, Facts
from ...actions.states import INITIAL, ActionState, Cause, Method, Outcome
from ...errors import Code, ConfigurationError, DecodeError
from ...webauthn.encoding import encode_base64url
from ..checks import check_text, check_user_id
from ..devices.context import is_current
from ..records import Account, EventType
from .context import ActionContext
from .records import Action, ActionFilter, ActionHistory, ActionPage
from .steps import Shown, action_event, as_of, change, found, not_a_token, shown, track_token, wrong_state

ADD_AUTHENTICATORS: Final = "add:authenticators"
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCOPE: Final = re.compile(r"[a-z]{1,64}:authenticators")
_MOST_SCOPES: Final = 16
_MOST_CUSTOM: Final = 64
_MOST_LISTED: Final = 1000
_LONGEST_TEXT: Final = 1024
_LARGEST_INTEGER: Final = 2**63 - 1
_LEAST_AGE: Final = timedelta(days=1)
_REVIEWED: Final[Mapping[ActionState, Cause]] = {
    ActionState.REVIEW_SUCCEEDED: "review_passed",
    ActionState.REVIEW_FAILED: "review_failed",
}


class ClientInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the application knows of who asks. What is unknown stays None.

    Attributes:
        ip_address, user_agent, device_id: As text, up to 64, 1024 and 255 characters; a longer user agent is cut.
        custom: Data points of the application's own: up to 64, with names of up to 64 characters, and texts of up to
            1024 characters, finite numbers or booleans.
    """

    ip_address: str | None = None
    user_agent: str | None = None
    device_id: str | None = None
    custom: Mapping[str, CustomValue] = msgspec.field(default_factory=dict[str, CustomValue])


class TrackedAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action that was tracked.

    Attributes:
        action: As stored.
        token: For the client: names the action, and proves nothing.
        enrolled_methods: Of what the user has enrolled, expired or not; none for one who is disabled.
    """

    action: Action
    token: str
    enrolled_methods: tuple[Method, ...]

    def __repr__(self) -> str:
        return f"TrackedAction(state={self.action.state.value!r}, …)"

    @property
    def state(self) -> ActionState:
        """How far the action has come."""
        return self.action.state

    @property
    def idempotency_key(self) -> str:
        """Names this one time."""
        return self.action.idempotency_key

    @property
    def is_enrolled(self) -> bool:
        """The user has enrolled something."""
        return bool(self.enrolled_methods)

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """The rules that held; the first of them decided."""
        return self.action.rule_ids


async def track(
    context: ActionContext,
    user_id: str,
    action: str,
    *,
    idempotency_key: str | None = None,
    client: ClientInfo | None = None,
    scope: Collection[str] = (),
    redirect_url: str | None = None,
    challenge_unenrolled: bool = True,
) -> TrackedAction:
    """The action, stored, in the state that rules decide; the one that is there already, when it was tracked before.

    Args:
        user_id: Who is about to do it: the application's own name for the user, whom the engine need not know.
        action: What: a word of the application's, 1..64 of ``A-Z a-z 0-9 _ -``.
        idempotency_key: Which time, 1..255 characters: the same key gives the same answer, so that a request can be
            repeated, whatever else is said the second time. So it is yours to choose, one for each thing that is about
            to be done, never the client's. None: a new one.
        client: What is known of who asks; rules look at it.
        scope: What the token lets its holder do besides, such as ``add:authenticators``, up to 16 words: only for a
            user who is signed in.
        redirect_url: Where hosted pages send the user afterwards, up to 2048 characters.
        challenge_unenrolled: False: a user who has nothing enrolled is allowed what rules ask a challenge for, as other
            services have it. Then nobody is asked until they have enrolled something, and whoever takes over an account
            before enrols their own.

    Raises:
        DecodeError: `user_id_invalid`; `action_invalid`, `name_invalid`: the word, the key, the scope or what the
            client sent cannot be stored.
    """
    stored, enrolled = await tracked(
        context,
        user_id,
        action,
        idempotency_key=idempotency_key,
        client=client,
        scope=scope,
        redirect_url=redirect_url,
        challenge_unenrolled=challenge_unenrolled,
    )
    return TrackedAction(action=stored, token=track_token(context, stored), enrolled_methods=enrolled)


async def tracked(
    context: ActionContext,
    user_id: str,
    action: str,
    *,
    idempotency_key: str | None = None,
    client: ClientInfo | None = None,
    scope: Collection[str] = (),
    redirect_url: str | None = None,
    challenge_unenrolled: bool = True,
) -> tuple[Action, tuple[Method, ...]]:
    """The action of `track`, as it is now, and what its user has enrolled; for flows that need no token."""
    now = context.now()
    check_user_id(user_id)
    client = checked_client(client)
    check_word(action)
    if idempotency_key == "":
        raise _invalid("1 to 255 characters", "idempotency_key")
    check_text(idempotency_key, "idempotency_key", longest=255)
    check_text(redirect_url, "redirect_url", longest=2048)
    if (
        not isinstance(scope, Collection)
        or len(scope) > _MOST_SCOPES
        or not all(isinstance(one, str) and _SCOPE.fullmatch(one) for one in scope)
    ):
        raise _invalid(f"up to {_MOST_SCOPES} such as add:authenticators", "scope")

    account = await context.users.find_account(context.realm, user_id)
    is_disabled = account is not None and account.user.disabled_at is not None
    owned = () if is_disabled else await owned_authenticators(context, user_id, account)
    enrolled = methods_of(owned)
    history = ActionHistory()
    if context.rules.needs_history(action):
        since = now - timedelta(seconds=context.rules.failure_window_s)
        names = {authenticator_id for _, authenticator_id in owned}
        history = await context.repository.action_history(context.realm, user_id, names, client.device_id, since, now)
    decision = context.rules.evaluate(
        action,
        Facts(
            now=now,
            ip_address=client.ip_address,
            user_agent=client.user_agent,
            device_id=client.device_id,
            device_known=history.device_known,
            custom=client.custom,
            enrolled_methods=frozenset(enrolled),
            user_verified_at=history.user_verified_at,
            recent_failures=history.recent_failures,
        ),
    )
    outcome = Outcome.BLOCK if is_disabled else decision.outcome
    if outcome is Outcome.CHALLENGE and not enrolled and not challenge_unenrolled:
        outcome = Outcome.ALLOW
    new = Action(
        user_id=user_id,
        action=action,
        idempotency_key=context.random(16).hex() if idempotency_key is None else idempotency_key,
        state=INITIAL[outcome],
        allowed_methods=decision.allowed_methods,
        scope=tuple(sorted(set(scope))),
        rule_ids=decision.rule_ids,
        ip_address=client.ip_address,
        user_agent=client.user_agent,
        device_id=client.device_id,
        custom=client.custom,
        redirect_url=redirect_url,
        created_at=now,
        expires_at=now + context.lifetime,
        state_updated_at=now,
        realm=context.realm,
    )
    event = action_event(context, EventType.ACTION_TRACKED, new)
    stored = await context.repository.add_action(new, context.stored(event))
    if stored is new:
        context.tell(event)
    return as_of(stored, now), enrolled


async def validate_challenge(
    context: ActionContext, token: str, *, user_id: str | None = None, action: str | None = None, consume: bool = False
) -> Action:
    """The action whose challenge was met, as the token proves.

    Args:
        token: What the client got when it met the challenge, not the one from `track`.
        user_id, action: Whose, and what, it has to be. Name them, unless the answer is compared elsewhere: another
            user's token is as genuine. None: whoever's, whatever.
        consume: It is good for this once.

    Raises:
        TokenError: `token_invalid`: it proves something else, or nothing, or was used up; or the user or what met the
            challenge is disabled, removed or expired since. `token_expired`.
        ActionError: `action_state`: it is the token from `track`, and proves nothing; `.state` tells how far the
            action has come.
    """
    kind, current = await shown(context, token)
    if user_id not in (None, current.user_id) or action not in (None, current.action):
        raise not_a_token()
    if kind == "track":
        raise wrong_state(current, "the token from track proves nothing")
    await check_authenticator(context, current)
    if not consume:
        return current
    consumed = msgspec.structs.replace(current, consumed_at=context.now(), revision=current.revision + 1)
    event = action_event(context, EventType.ACTION_CONSUMED, consumed)
    if not await context.repository.replace_action(consumed, context.stored(event)):
        raise not_a_token()  # a met challenge changes only by this: somebody else was first
    await check_authenticator(context, consumed)  # again: what was removed before it was used up counts
    context.tell(event)
    return consumed


async def action_of_token(context: ActionContext, token: str) -> Action:
    """The action that a token names, as it is now, whichever kind of token it is. It proves nothing.

    Raises:
        TokenError: `token_invalid`, `token_expired`.
    """
    return (await shown(context, token)).action


async def read_token(context: ActionContext, token: str) -> Shown:
    """What kind a token is, and the action that it names, as it is now: for pages that do more than to meet it.

    Raises:
        TokenError: `token_invalid`; also of an action that succeeded and whose user may not sign in any more, or has
            lost what met it. `token_expired`.
    """
    told = await shown(context, token)
    if told.action.state is ActionState.CHALLENGE_SUCCEEDED:
        await check_authenticator(context, told.action)  # or who stole a passkey goes on after it was removed
    return told


async def get_action(context: ActionContext, user_id: str, action: str, idempotency_key: str) -> Action:
    """The action as it is now.

    Raises:
        ActionError: `action_not_found`. DecodeError: `user_id_invalid`, `action_invalid`, `name_invalid`.
    """
    check_user_id(user_id)
    check_word(action)
    check_text(idempotency_key, "idempotency_key", longest=255)
    return as_of(await found(context, user_id, action, idempotency_key), context.now())


async def update_action(
    context: ActionContext, user_id: str, action: str, idempotency_key: str, *, state: ActionState | str
) -> Action:
    """The action after its review.

    Args:
        user_id, action, idempotency_key: Which one.
        state: REVIEW_SUCCEEDED or REVIEW_FAILED. No other is anybody's to set: a challenge is met or it is not.

    Raises:
        ActionError: `action_not_found`; `action_state`: it waits for no review, or `state` is none of these.
        DecodeError: `action_invalid`: no state at all. ConflictError: it changes faster than it can be written.
    """
    try:
        wanted = ActionState(state)
    except ValueError:
        raise _invalid("no state of actions", "state") from None
    current = await get_action(context, user_id, action, idempotency_key)
    cause = _REVIEWED.get(wanted)
    if cause is None:
        raise wrong_state(current, f"nobody sets {wanted.value}")
    return await change(context, current, cause)


async def list_actions(
    context: ActionContext, which: ActionFilter | None = None, *, cursor: str | None = None, limit: int = 100
) -> ActionPage:
    """Some actions, the newest first, as they are now.

    Args:
        which: None: all of the realm's.
        cursor: `next_cursor` of the page before, with the same filter.
        limit: At most, 1..1000.

    Raises:
        DecodeError: `cursor_invalid`; `user_id_invalid`, `action_invalid`: of the filter. ConfigurationError: another
            `limit`, or a time without its zone.
    """
    now = context.now()
    which = ActionFilter() if which is None else which
    if not isinstance(which, ActionFilter):
        raise ConfigurationError("an ActionFilter", path="which")
    if not isinstance(limit, int) or not 1 <= limit <= _MOST_LISTED:
        raise ConfigurationError(f"1 to {_MOST_LISTED}", path="limit")
    if not isinstance(which.actions, (tuple, NoneType)) or not isinstance(which.states, (tuple, NoneType)):
        raise ConfigurationError("tuples", path="which")
    if not all(isinstance(state, ActionState) for state in which.states or ()):
        raise _invalid("no states of actions", "which.states")
    for at in (which.since, which.until):
        if at is not None and (not isinstance(at, datetime) or at.utcoffset() is None):
            raise ConfigurationError("a time with its zone", path="which")
    if not isinstance(cursor, (str, NoneType)):
        raise DecodeError(Code.CURSOR_INVALID, "no cursor", path="cursor")
    if which.user_id is not None:
        check_user_id(which.user_id)
    for word in which.actions or ():
        check_word(word)
    page = await context.repository.list_actions(context.realm, which, now, cursor, limit)
    return msgspec.structs.replace(page, actions=tuple(as_of(action, now) for action in page.actions))


async def remove_actions(context: ActionContext, before: datetime) -> int:
    """How many old actions were removed: those whose challenge and token expired before `before`. Events stay.

    Call it now and then: nothing else removes actions of users who stay. Whatever rules ask about the past, such as
    whether a device is known, they ask about what is left; and an idempotency key that was removed begins anew.

    Raises:
        ConfigurationError: A time without its zone, or one within the last day, when an action may still be of use.
    """
    if not isinstance(before, datetime) or before.utcoffset() is None or before > context.now() - _LEAST_AGE:
        raise ConfigurationError("a time with its zone, at least a day ago", path="before")
    return await context.repository.remove_actions(context.realm, before)


async def owned_authenticators(
    context: ActionContext, user_id: str, account: Account | None
) -> tuple[tuple[Method, str], ...]:
    """Method and id of whatever the user has enrolled, as far as there is a way to know it.

    It need not be of use now: a device that has expired, say, still tells that the user is somebody who has to prove
    themselves, and that nobody enrols a first authenticator for them.
    """
    if account is None:
        return ()
    owned: list[tuple[Method, str]] = []
    owned.extend(("passkey", encode_base64url(passkey.credential_id)) for passkey in account.passkeys)
    if context.known_devices is not None:
        devices = await context.known_devices.list_devices(context.realm, user_id)
        owned.extend((device.method, device.authenticator_id) for device in devices)
    return tuple(owned)


def methods_of(owned: Iterable[tuple[Method, str]]) -> tuple[Method, ...]:
    """Each method once, in order."""
    return tuple(dict.fromkeys(method for method, _ in owned))


async def check_authenticator(context: ActionContext, action: Action) -> None:
    """Returns only while the user may sign in, and what met the challenge is still theirs.

    Raises:
        TokenError: `token_invalid`.
    """
    account = await context.users.find_account(context.realm, action.user_id)
    if account is None or account.user.disabled_at is not None:
        raise not_a_token()
    if action.method == "passkey":
        if action.authenticator_id in {encode_base64url(passkey.credential_id) for passkey in account.passkeys}:
            return
    elif context.devices is not None:
        now = context.now()
        for device in await context.devices.repository.list_devices(context.realm, action.user_id):
            if device.authenticator_id == action.authenticator_id and is_current(device, now):
                return
    raise not_a_token()


def check_word(action: str) -> None:
    """Raises DecodeError, `action_invalid`, for what is no word for an action."""
    if not isinstance(action, str) or not _WORD.fullmatch(action):
        raise _invalid("1 to 64 letters, digits, _ and -", "action")


def checked_client(client: ClientInfo | None) -> ClientInfo:
    """`client`, fit to be stored; of nothing, nothing is known.

    Raises:
        DecodeError: `name_invalid`, `action_invalid`: it cannot be stored. ConfigurationError: no `ClientInfo`.
    """
    if client is None:
        return ClientInfo()
    if not isinstance(client, ClientInfo):
        raise ConfigurationError("a ClientInfo", path="client")
    check_text(client.ip_address, "ip_address", longest=64)
    check_text(client.device_id, "device_id", longest=255)
    user_agent = client.user_agent
    if isinstance(user_agent, str):  # it comes from whoever asks, and its length must not keep the user from anything
        user_agent = user_agent[:_LONGEST_TEXT]
    check_text(user_agent, "user_agent", longest=_LONGEST_TEXT)
    if not isinstance(client.custom, Mapping) or len(client.custom) > _MOST_CUSTOM:
        raise _invalid(f"up to {_MOST_CUSTOM} names with their values", "custom")
    for name, value in client.custom.items():
        check_text(name, "custom", longest=64)
        if not _is_storable(value):
            raise _invalid("a short text, a number or a boolean", "custom")
    return msgspec.structs.replace(client, user_agent=user_agent, custom=dict(client.custom))


def _is_storable(value: Any) -> bool:
    if isinstance(value, str):
        check_text(value, "custom", longest=_LONGEST_TEXT)
        return True
    if isinstance(value, int):
        return abs(value) <= _LARGEST_INTEGER
    return isinstance(value, float) and math.isfinite(value)


def _invalid(message: str, path: str) -> DecodeError:
    return DecodeError(Code.ACTION_INVALID, message, path=path)
