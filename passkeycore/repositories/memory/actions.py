"""Actions: the methods of `ActionRepository`."""

from collections.abc import Collection
from datetime import datetime
from itertools import islice
from typing import Final

from ...actions.states import ActionState
from ...engine.actions.records import Action, ActionFilter, ActionHistory, ActionPage
from ...engine.records import Event
from .pages import page
from .past import Past
from .tables import Place, Tables

_BATCH: Final = 1000  # looked through in one go, while everybody else waits


class Actions(Tables):
    """Part of `MemoryRepository`."""

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        """See `ActionRepository.add_action`."""
        place = _place(action)
        with self._lock:
            found = self._actions.get(place)
            if found is not None:
                return found[1]
            if len(self._actions) >= self._bounds["max_actions"]:
                self._drop(next(iter(self._actions)))
            self._actions_stored += 1
            self._actions[place] = self._actions_stored, action
            past = self._pasts.setdefault(place[:2], Past())
            past.keys[place[2:]] = None
            past.add(action)
            self._note(event)
            return action

    def find_action(self, realm: str, user_id: str, action: str, idempotency_key: str, /) -> Action | None:
        """See `ActionRepository.find_action`."""
        found = self._actions.get((realm, user_id, action, idempotency_key))  # without the lock: a single look
        return None if found is None else found[1]

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        """See `ActionRepository.replace_action`."""
        place = _place(action)
        with self._lock:
            number, stored = self._actions.get(place, (0, None))
            if stored is None or (stored.revision, stored.created_at) != (action.revision - 1, action.created_at):
                return False
            self._actions[place] = number, action
            past = self._pasts[place[:2]]
            past.remove(stored)
            past.add(action)
            self._note(event)
            return True

    def record_failure(self, action: Action, event: Event | None, /) -> Action | None:
        """See `ActionRepository.record_failure`."""
        return action if self.replace_action(action, event) else self.find_action(*_place(action))

    def list_actions(
        self, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
    ) -> ActionPage:
        """See `ActionRepository.list_actions`.

        Raises:
            DecodeError: `cursor_invalid`: no cursor of this repository's.
        """
        found = ((number, one) for number, one in self._newest_first(realm, which) if _matches(one, realm, which, now))
        actions, next_cursor = page(found, cursor, limit)
        return ActionPage(actions=actions, next_cursor=next_cursor)

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
        """See `ActionRepository.action_history`."""
        with self._lock:
            past = self._pasts.get((realm, user_id))
            return ActionHistory() if past is None else past.history(authenticator_ids, device_id, since, now)

    def remove_actions(self, realm: str, before: datetime, /) -> int:
        """See `ActionRepository.remove_actions`."""
        with self._lock:
            places = list(self._actions)
        theirs = (place for place in places if place[0] == realm)
        removed = 0
        while some := list(islice(theirs, _BATCH)):
            with self._lock:  # given back after each batch: nobody waits for all of them
                for place in some:
                    found = self._actions.get(place)
                    if found is not None and found[1].expires_at < before:
                        self._drop(place)
                        removed += 1
        return removed

    def _newest_first(self, realm: str, which: ActionFilter) -> list[tuple[int, Action]]:
        with self._lock:  # copied, so that nobody waits while they are looked through
            if which.user_id is None:
                return list(reversed(self._actions.values()))
            past = self._pasts.get((realm, which.user_id))
            keys = () if past is None else reversed(past.keys)
            return [self._actions[realm, which.user_id, *key] for key in keys]

    def _drop(self, place: Place) -> None:
        _, action = self._actions.pop(place)
        past = self._pasts[place[:2]]
        past.remove(action)
        del past.keys[place[2:]]
        if not past.keys:
            del self._pasts[place[:2]]

    def _forget(self, realm: str, user_id: str) -> bool:
        past = self._pasts.pop((realm, user_id), None)
        for key in () if past is None else past.keys:
            del self._actions[realm, user_id, *key]
        return super()._forget(realm, user_id) or past is not None


def _place(action: Action) -> Place:
    return action.realm, action.user_id, action.action, action.idempotency_key


def _matches(action: Action, realm: str, which: ActionFilter, now: datetime) -> bool:
    return (
        action.realm == realm
        and (which.actions is None or action.action in which.actions)
        and (which.states is None or _state(action, now) in which.states)
        and (which.since is None or action.created_at >= which.since)
        and (which.until is None or action.created_at < which.until)
    )


def _state(action: Action, now: datetime) -> ActionState:
    late = action.state == ActionState.CHALLENGE_REQUIRED and action.expires_at <= now
    return ActionState.CHALLENGE_FAILED if late else action.state
