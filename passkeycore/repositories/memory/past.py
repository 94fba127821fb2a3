"""A user's actions, summed up as they change: what they say is known without looking at each."""

from bisect import bisect_left, insort
from collections import Counter
from datetime import datetime

from ...actions.states import ActionState
from ...engine.actions.records import Action, ActionHistory


class Past:
    """What the actions of a user say; not thread-safe.

    Attributes:
        keys: Word and idempotency key of each, in the order of storing.
    """

    __slots__ = ("_devices", "_failed_at", "_verified_at", "keys")

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], None] = {}
        self._failed_at: list[datetime] = []  # sorted
        self._verified_at: list[datetime] = []  # sorted
        self._devices = Counter[str]()

    def add(self, action: Action) -> None:
        """Counts `action`."""
        if action.state == ActionState.CHALLENGE_FAILED:
            insort(self._failed_at, action.state_updated_at)
        elif action.state == ActionState.CHALLENGE_SUCCEEDED:
            if action.device_id is not None:
                self._devices[action.device_id] += 1
            if action.user_verified:
                insort(self._verified_at, action.state_updated_at)

    def remove(self, action: Action) -> None:
        """Counts `action`, which was counted, no more."""
        if action.state == ActionState.CHALLENGE_FAILED:
            del self._failed_at[bisect_left(self._failed_at, action.state_updated_at)]
        elif action.state == ActionState.CHALLENGE_SUCCEEDED:
            if action.device_id is not None:
                self._devices[action.device_id] -= 1
                if not self._devices[action.device_id]:
                    del self._devices[action.device_id]
            if action.user_verified:
                del self._verified_at[bisect_left(self._verified_at, action.state_updated_at)]

    def history(self, device_id: str | None, since: datetime) -> ActionHistory:
        """See `ActionRepository.action_history`."""
        return ActionHistory(
            recent_failures=len(self._failed_at) - bisect_left(self._failed_at, since),
            device_known=device_id in self._devices,
            user_verified_at=self._verified_at[-1] if self._verified_at else None,
        )
