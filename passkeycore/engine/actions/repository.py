"""What an embedder writes to keep actions in a storage of their own, in both colours.

What `passkeycore.engine.repository` says of every method holds here too. `remove_user` of a repository that keeps
actions removes the user's actions as well, also those of a user whom the engine does not know otherwise: their tokens
must not be good for somebody who gets the same `user_id`.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from ..records import Event
from ..repository import AsyncPasskeyRepository, PasskeyRepository
from .records import Action, ActionFilter, ActionHistory, ActionPage


class ActionRepository(Protocol):
    """Actions. An action need not have a user whom the engine knows."""

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        """The stored action with the realm, user, word and idempotency key of `action`; that very object, if new.

        Atomicity: Of several callers one creates, and all get the same. Nothing stored is changed; `event` is stored
            only with a new one.
        """
        ...

    def find_action(self, realm: str, user_id: str, action: str, idempotency_key: str, /) -> Action | None:
        """The action. Answer: None when there is none."""
        ...

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        """Writes `action` over the one that it names.

        Atomicity: Compare-and-set: only while the stored `revision` is one less than that of `action`, and its
            `created_at` the same: one that was removed, and tracked again, is another.
        Answer: False when that is not so, or it is gone; then nothing changed.
        """
        ...

    def record_failure(self, action: Action, event: Event | None, /) -> Action | None:
        """Writes `action`, which went wrong, over the one that it names, as `replace_action` does.

        Atomicity: As `replace_action`, but independent of the caller's transaction: a rollback must neither give back
            an attempt nor take back a rejection.
        Answer: That very object, now stored; or the action that is stored instead, as others see it, who know nothing
            of the caller's transaction; None when it is gone. Then nothing changed.
        """
        ...

    def list_actions(
        self, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
    ) -> ActionPage:
        """Up to `limit` actions, the last stored first, from `cursor` on, as they are stored.

        For `which.states` one that is stored as CHALLENGE_REQUIRED counts as CHALLENGE_FAILED from its `expires_at` on,
        as `now` tells.

        Raises:
            DecodeError: `cursor_invalid`: no cursor of this repository's.
        """
        ...

    def action_history(
        self,
        realm: str,
        user_id: str,
        authenticator_ids: Collection[str],
        device_id: str | None,
        since: datetime,
        now: datetime,
        /,
    ) -> ActionHistory:
        """What the user's actions say, as they are stored; see `ActionHistory`. In one read.

        Args:
            realm, user_id: Whose actions.
            authenticator_ids: What the user has now, a few dozen at most: whatever else has met a challenge earns no
                trust.
            device_id: None: no device is known.
            since, now: Failures count whose `Action.failed_at` is not before `since`, and not after `now`.
        """
        ...

    def remove_actions(self, realm: str, before: datetime, /) -> int:
        """Removes the actions whose `expires_at` is before `before`, in small steps that block nobody.

        Answer: How many were removed.
        """
        ...


class AsyncActionRepository(Protocol):
    """`ActionRepository` for asyncio."""

    async def add_action(self, action: Action, event: Event | None, /) -> Action:
        """See `ActionRepository.add_action`."""
        ...

    async def find_action(self, realm: str, user_id: str, action: str, idempotency_key: str, /) -> Action | None:
        """See `ActionRepository.find_action`."""
        ...

    async def replace_action(self, action: Action, event: Event | None, /) -> bool:
        """See `ActionRepository.replace_action`."""
        ...

    async def record_failure(self, action: Action, event: Event | None, /) -> Action | None:
        """See `ActionRepository.record_failure`."""
        ...

    async def list_actions(
        self, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
    ) -> ActionPage:
        """See `ActionRepository.list_actions`."""
        ...

    async def action_history(
        self,
        realm: str,
        user_id: str,
        authenticator_ids: Collection[str],
        device_id: str | None,
        since: datetime,
        now: datetime,
        /,
    ) -> ActionHistory:
        """See `ActionRepository.action_history`."""
        ...

    async def remove_actions(self, realm: str, before: datetime, /) -> int:
        """See `ActionRepository.remove_actions`."""
        ...


class ActionsOfUsers(PasskeyRepository, ActionRepository, Protocol):
    """Actions, and the users whose they are, in one place."""


class AsyncActionsOfUsers(AsyncPasskeyRepository, AsyncActionRepository, Protocol):
    """`ActionsOfUsers` for asyncio."""
