"""What an embedder writes to keep actions in a storage of their own, in both colours.

What `passkeycore.engine.repository` says of every method holds here too. `remove_user` of a repository that keeps
actions removes the user's actions as well: their tokens must not be good for somebody who gets the same `user_id`.
"""

from datetime import datetime
from typing import Protocol

from ..records import Event
from .records import Action, ActionFilter, ActionHistory, ActionPage


class ActionRepository(Protocol):
    """Actions. An action need not have a user whom the engine knows."""

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        """The stored action with the realm, user, word and idempotency key of `action`; itself, now stored, if new.

        Atomicity: Of several callers one creates, and all get the same. Nothing stored is changed; `event` is stored
            only with a new one.
        """
        ...

    def find_action(self, realm: str, user_id: str, action: str, idempotency_key: str, /) -> Action | None:
        """The action. Answer: None when there is none."""
        ...

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        """Writes `action` over the one that it names.

        Atomicity: Compare-and-set: only while the stored `revision` is one less than that of `action`.
        Answer: False when that is not so, or it is gone; then nothing changed.
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

    def action_history(self, realm: str, user_id: str, device_id: str | None, since: datetime, /) -> ActionHistory:
        """What the user's actions say, as they are stored; see `ActionHistory`. In one read.

        Args:
            realm, user_id: Whose actions.
            device_id: None: no device is known.
            since: Failures count that have a `state_updated_at` of this or later.
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

    async def list_actions(
        self, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
    ) -> ActionPage:
        """See `ActionRepository.list_actions`."""
        ...

    async def action_history(
        self, realm: str, user_id: str, device_id: str | None, since: datetime, /
    ) -> ActionHistory:
        """See `ActionRepository.action_history`."""
        ...
