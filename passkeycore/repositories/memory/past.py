"""A user's actions, summed up as they change: what they say is known without looking at each."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Collection
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
        self._verified_at: dict[str, list[datetime]] = {}  # by authenticator, sorted
        self._devices = Counter[tuple[str, str]]()  # an authenticator, and the device that it was used on

    def add(self, action: Action) -> None:
        """Counts `action`."""
        if action.failed_at is not None:
            insort(self._failed_at, action.failed_at)
        if action.state == ActionState.CHALLENGE_SUCCEEDED and action.authenticator_id is not None:
            if action.device_id is not None:
                self._devices[action.authenticator_id, action.device_id] += 1
            if action.user_verified:
                insort(self._verified_at.setdefault(action.authenticator_id, []), action.state_updated_at)

    def remove(self, action: Action) -> None:
        """Counts `action`, which was counted, no more."""
        if action.failed_at is not None:
            del self._failed_at[bisect_left(self._failed_at, action.failed_at)]
        if action.state == ActionState.CHALLENGE_SUCCEEDED and action.authenticator_id is not None:
            if action.device_id is not None:
                used = action.authenticator_id, action.device_id
                self._devices[used] -= 1
                if not self._devices[used]:
                    del self._devices[used]
            if action.user_verified:
                times = self._verified_at[action.authenticator_id]
                del times[bisect_left(times, action.state_updated_at)]
                if not times:
                    del self._verified_at[action.authenticator_id]

    def history(
        self, authenticator_ids: Collection[str], device_id: str | None, since: datetime, now: datetime
    ) -> ActionHistory:
        """See `ActionRepository.action_history`."""
        verified_at = [self._verified_at[one][-1] for one in authenticator_ids if one in self._verified_at]
        return ActionHistory(
            recent_failures=max(0, bisect_right(self._failed_at, now) - bisect_left(self._failed_at, since)),
            device_known=device_id is not None and any((one, device_id) in self._devices for one in authenticator_ids),
            user_verified_at=max(verified_at, default=None),
        )
