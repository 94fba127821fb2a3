"""What the engine stores of actions: what a user was about to do, and how far it came."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from ...actions.facts import CustomValue
from ...actions.states import ActionState, Method


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a user was about to do, once.

    Realm, user, action and idempotency key name it.

    Attributes:
        user_id: The application's own name for the user.
        action: What it is, a word of the application's: 1..64 of ``A-Z a-z 0-9 _ -``.
        idempotency_key: Which time it is, 1..255 characters.
        state: How far it has come.
        allowed_methods: By which a challenge may be met.
        scope: What its token lets its holder do besides, such as ``add:authenticators``.
        rule_ids: The rules that held when it was tracked; the first of them decided.
        ip_address, user_agent, device_id, custom: What was known of the client; see `passkeycore.actions.Facts`.
        redirect_url: Where hosted pages send the user afterwards.
        created_at, expires_at, state_updated_at: UTC. A challenge that is not met before `expires_at` has failed.
        attempts: How many times meeting it went wrong.
        last_failure_at: When it last went wrong, or was rejected, UTC; None: it never did.
        method, authenticator_id: What met it; None: nothing has.
        user_verified: It was met with user verification that can be trusted.
        consumed_at: When its success was used up, UTC; None: it was not.
        revision: How many times it changed since it was stored.
        realm: The tenant.
    """

    user_id: str
    action: str
    idempotency_key: str
    state: ActionState
    allowed_methods: tuple[Method, ...]
    scope: tuple[str, ...] = ()
    rule_ids: tuple[str, ...] = ()
    ip_address: str | None = None
    user_agent: str | None = None
    device_id: str | None = None
    custom: Mapping[str, CustomValue] = msgspec.field(default_factory=dict[str, CustomValue])
    redirect_url: str | None = None
    created_at: datetime
    expires_at: datetime
    state_updated_at: datetime
    attempts: int = 0
    last_failure_at: datetime | None = None
    method: Method | None = None
    authenticator_id: str | None = None
    user_verified: bool = False
    consumed_at: datetime | None = None
    revision: int = 0
    realm: str = ""

    @property
    def failed_at(self) -> datetime | None:
        """When it counts as a failure; None: it does not.

        One that was met in the end is none, nor one that lapsed before anybody tried to meet it: people close windows.
        """
        return None if self.state == ActionState.CHALLENGE_SUCCEEDED else self.last_failure_at


class ActionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which actions to list; None means any.

    Attributes:
        user_id: Of this user.
        actions: With any of these words.
        states: In any of these states.
        since, until: Tracked from `since` until before `until`, UTC.
    """

    user_id: str | None = None
    actions: tuple[str, ...] | None = None
    states: tuple[ActionState, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


class ActionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some actions, the newest first, and where to go on; see `EventPage`."""

    actions: tuple[Action, ...]
    next_cursor: str | None = None


class ActionHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What a user's actions say about the next one.

    Attributes:
        recent_failures: How many failed in the time that was asked for; see `Action.failed_at`.
        device_known: One with this `device_id` is CHALLENGE_SUCCEEDED, by an authenticator that was asked for.
        user_verified_at: The latest `state_updated_at` of those that are CHALLENGE_SUCCEEDED, by an authenticator that
            was asked for, and `user_verified`.
    """

    recent_failures: int = 0
    device_known: bool = False
    user_verified_at: datetime | None = None
