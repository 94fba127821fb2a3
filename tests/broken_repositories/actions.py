"""Mistakes with actions."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import Action, ActionFilter, ActionHistory, ActionPage
from passkeycore.engine.records import Event
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.memory.past import Past
from passkeycore.repositories.memory.tables import Owner
from tests.broken_repositories import Folding, pause, replace
from tests.broken_repositories.passkeys import Unlocked

EVER = ActionFilter()
INSTANT = timedelta(microseconds=1)


class Folded(MemoryRepository):
    def __init__(self, fold: Callable[[Any], Hashable]) -> None:
        super().__init__()
        self._actions = Folding(fold)


def folded(part: int, fold: Callable[[str], str]) -> Callable[[], MemoryRepository]:
    return lambda: Folded(lambda place: (*place[:part], fold(place[part]), *place[part + 1 :]))


def joined(mark: str) -> Callable[[], MemoryRepository]:
    """The parts of the name in one column, with something between them."""
    return lambda: Folded(mark.join)


class Mangled(MemoryRepository):
    def __init__(self, **changes: Callable[[Any], Any]) -> None:
        super().__init__()
        self.changes = changes

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        return super().add_action(
            replace(action, **{name: change(getattr(action, name)) for name, change in self.changes.items()}), event
        )


def mangled(**changes: Callable[[Any], Any]) -> Callable[[], MemoryRepository]:
    return lambda: Mangled(**changes)


class Replaced(MemoryRepository):
    """INSERT OR REPLACE."""

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        stored = super().add_action(action, event)
        if stored is not action:
            super().replace_action(replace(action, revision=stored.revision + 1), None)
        return stored


class Echoed(MemoryRepository):
    """Answers with what was given, also when another action is stored."""

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        super().add_action(action, event)
        return action


class Remembered(MemoryRepository):
    """Answers with what was first stored, from a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.first = dict[tuple[str, ...], Action]()

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        name = action.realm, action.user_id, action.action, action.idempotency_key
        return self.first.setdefault(name, super().add_action(action, event))


class Revisions(MemoryRepository):
    """Compares revisions in another way: `judge` gives the one to compare, of the new and the stored one."""

    def __init__(self, judge: Callable[[int, int], int]) -> None:
        super().__init__()
        self.judge = judge

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        stored = self.find_action(action.realm, action.user_id, action.action, action.idempotency_key)
        if stored is not None:
            action = replace(action, revision=self.judge(action.revision, stored.revision))
        return super().replace_action(action, event)


class Upserted(MemoryRepository):
    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        if super().replace_action(action, event):
            return True
        name = action.realm, action.user_id, action.action, action.idempotency_key
        return self.find_action(*name) is None and self.add_action(action, event) is action


class Coalesced(MemoryRepository):
    """COALESCE(?, column): what is there cannot become None."""

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        stored = self.find_action(action.realm, action.user_id, action.action, action.idempotency_key)
        if stored is not None:
            names = [name for name in action.__struct_fields__ if getattr(action, name) is None]
            action = replace(action, **{name: getattr(stored, name) for name in names})
        return super().replace_action(action, event)


class StateAlone(MemoryRepository):
    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        stored = self.find_action(action.realm, action.user_id, action.action, action.idempotency_key)
        if stored is not None:
            action = replace(stored, state=action.state, revision=action.revision)
        return super().replace_action(action, event)


class Orphans(MemoryRepository):
    """Leaves actions behind, when their user goes; or what is known of them."""

    def __init__(self, *, actions: bool) -> None:
        super().__init__()
        self.actions = actions

    def _forget(self, owner: Owner) -> None:
        user = owner.user.realm, owner.user.user_id
        past = self._pasts.pop(user, None) if self.actions else self._pasts.get(user)
        super()._forget(owner)
        if past is not None and not self.actions:
            past.keys = {}
            self._pasts[user] = past


class GreedyRemoval(MemoryRepository):
    """Removes the actions of the user with this id in every realm."""

    def _forget(self, owner: Owner) -> None:
        super()._forget(owner)
        for place in [one for one in self._actions if one[1] == owner.user.user_id]:
            self._drop(place)


class Listed(MemoryRepository):
    """Lists actions in another way, with the place in the list for a cursor."""

    def all(self, realm: str, which: ActionFilter, now: datetime) -> list[Action]:
        return list(super().list_actions(realm, which, now, None, 10**6).actions)

    def list_actions(
        self, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
    ) -> ActionPage:
        actions, at = self.all(realm, which, now), int(cursor or 0)
        more = len(actions) > at + limit
        return ActionPage(actions=tuple(actions[at : at + limit]), next_cursor=str(at + limit) if more else None)


class OldestFirst(Listed):
    def all(self, realm: str, which: ActionFilter, now: datetime) -> list[Action]:
        return super().all(realm, which, now)[::-1]


class ByTime(Listed):
    def all(self, realm: str, which: ActionFilter, now: datetime) -> list[Action]:
        return sorted(super().all(realm, which, now), key=lambda action: action.created_at, reverse=True)


class ByChange(MemoryRepository):
    """A changed action is written anew, at the end."""

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        if not super().replace_action(action, event):
            return False
        place = action.realm, action.user_id, action.action, action.idempotency_key
        self._drop(place)
        self.add_action(action, None)
        return True


class Filtered(MemoryRepository):
    """Lists for another filter, or at another time."""

    def __init__(self, change: Callable[[ActionFilter], dict[str, Any]], late: timedelta = timedelta(0)) -> None:
        super().__init__()
        self.change, self.late = change, late

    def list_actions(
        self, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
    ) -> ActionPage:
        return super().list_actions(realm, replace(which, **self.change(which)), now - self.late, cursor, limit)


def filtered(change: Callable[[ActionFilter], dict[str, Any]]) -> Callable[[], MemoryRepository]:
    return lambda: Filtered(change)


class AsStored(Listed):
    """Looks for the state that is stored."""

    def all(self, realm: str, which: ActionFilter, now: datetime) -> list[Action]:
        found = super().all(realm, replace(which, states=None), now)
        return [one for one in found if which.states is None or one.state in which.states]


class AsItCounts(MemoryRepository):
    """Gives the state as it counts, instead of the one that is stored."""

    def list_actions(
        self, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
    ) -> ActionPage:
        page = super().list_actions(realm, which, now, cursor, limit)
        late = [one.state is ActionState.CHALLENGE_REQUIRED and one.expires_at <= now for one in page.actions]
        failed = ActionState.CHALLENGE_FAILED
        return replace(
            page,
            actions=tuple(
                replace(one, state=failed) if over else one for one, over in zip(page.actions, late, strict=True)
            ),
        )


class History(MemoryRepository):
    """Sums up in another way."""

    def __init__(self, sum_up: Callable[[list[Action], str | None, datetime], ActionHistory]) -> None:
        super().__init__()
        self.sum_up = sum_up

    def action_history(self, realm: str, user_id: str, device_id: str | None, since: datetime, /) -> ActionHistory:
        actions = [one for _, one in self._actions.values() if (one.realm, one.user_id) == (realm, user_id)]
        return self.sum_up(actions, device_id, since)


FAILED, SUCCEEDED = ActionState.CHALLENGE_FAILED, ActionState.CHALLENGE_SUCCEEDED


def history(
    *,
    failed: Callable[[Action, datetime], bool] = lambda one, since: (
        one.state is FAILED and one.state_updated_at >= since
    ),
    known: Callable[[Action, str | None, datetime], bool] = lambda one, device_id, _: (
        one.state is SUCCEEDED and device_id is not None and one.device_id == device_id
    ),
    verified: Callable[[Action], bool] = lambda one: one.state is SUCCEEDED and one.user_verified,
    at: Callable[[Action], datetime] = lambda one: one.state_updated_at,
    latest: Callable[[list[datetime]], datetime] = max,
) -> Callable[[], MemoryRepository]:
    def sum_up(actions: list[Action], device_id: str | None, since: datetime) -> ActionHistory:
        times = [at(one) for one in actions if verified(one)]
        return ActionHistory(
            recent_failures=sum(failed(one, since) for one in actions),
            device_known=any(known(one, device_id, since) for one in actions),
            user_verified_at=latest(times) if times else None,
        )

    return lambda: History(sum_up)


class Accumulated(MemoryRepository):
    """Counts what comes, and takes nothing back."""

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        stored = self.find_action(action.realm, action.user_id, action.action, action.idempotency_key)
        if stored is None or not super().replace_action(action, event):
            return False
        self._pasts[action.realm, action.user_id].add(stored)
        return True


class Uncounted(MemoryRepository):
    """Counts what an action was when it came."""

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        past = self._pasts.get((action.realm, action.user_id))
        self._pasts[action.realm, action.user_id] = Past()
        replaced = past is not None and super().replace_action(action, event)
        if past is not None:
            self._pasts[action.realm, action.user_id] = past
        return replaced


class RealmlessHistory(MemoryRepository):
    def action_history(self, realm: str, user_id: str, device_id: str | None, since: datetime, /) -> ActionHistory:
        each = [
            super(RealmlessHistory, self).action_history(of, user_id, device_id, since)
            for of in {place[0] for place in self._actions}
        ]
        times = [one.user_verified_at for one in each if one.user_verified_at is not None]
        return ActionHistory(
            recent_failures=sum(one.recent_failures for one in each),
            device_known=any(one.device_known for one in each),
            user_verified_at=max(times, default=None),
        )


class LostActions(MemoryRepository):
    """Reads everything, adds an action, and writes all of it back."""

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        before = OrderedDict(self._actions)
        pause()
        with self._lock:
            self._actions = before
        return super().add_action(action, event)


class Recorded(MemoryRepository):
    """Stores the event of whoever comes."""

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        if event is not None:
            self.add_event(event)
        return super().add_action(action, None)


class Unrecorded(MemoryRepository):
    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        return super().replace_action(action, None)


def any_revision(new: int, stored: int) -> int:
    return stored + 1


def no_lower_revision(new: int, stored: int) -> int:
    """WHERE revision < ?"""
    return stored + 1 if new > stored else new


def _as_numbers(custom: dict[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, (bool, int)) else value for name, value in custom.items()}


MISTAKES: list[tuple[str, Callable[[], object]]] = [
    ("an_action_comes_back", mangled(custom=lambda custom: {k: v for k, v in custom.items() if k})),
    ("an_action_comes_back", mangled(custom=_as_numbers)),
    ("an_action_comes_back", mangled(custom=lambda custom: {k: v == 1 or v for k, v in custom.items()})),
    ("an_action_comes_back", mangled(custom=lambda custom: {k: str(v) for k, v in custom.items()})),
    ("an_action_comes_back", mangled(scope=list)),
    ("an_action_comes_back", mangled(rule_ids=lambda ids: tuple(sorted(ids)))),
    ("an_action_comes_back", mangled(user_verified=int)),
    ("an_action_comes_back", mangled(redirect_url=lambda url: url and url[:2000])),
    ("an_action_comes_back", mangled(state=str)),
    ("an_action_comes_back", mangled(consumed_at=lambda at: at and at.replace(microsecond=0))),
    ("an_unknown_action_is_none", Upserted),
    ("an_action_is_stored_once", Replaced),
    ("an_action_is_stored_once", Echoed),
    ("an_action_is_stored_once", Remembered),
    *(("actions_that_look_alike_are_different", folded(part, str.lower)) for part in range(4)),
    *(("actions_that_look_alike_are_different", folded(part, str.rstrip)) for part in (0, 1, 3)),
    *(("actions_that_look_alike_are_different", folded(part, lambda text: text[:63])) for part in (2, 3)),
    ("actions_that_look_alike_are_different", folded(3, lambda text: text[:254])),
    *(("actions_that_look_alike_are_different", joined(mark)) for mark in (":", "")),
    ("an_action_is_changed", Coalesced),
    ("an_action_is_changed", StateAlone),
    ("an_action_is_changed_only_as_read", lambda: Revisions(any_revision)),
    ("an_action_is_changed_only_as_read", lambda: Revisions(no_lower_revision)),
    ("an_action_is_changed_only_as_read", Upserted),
    ("a_user_goes_with_all_actions", lambda: Orphans(actions=True)),
    ("a_user_goes_with_all_actions", lambda: Orphans(actions=False)),
    ("a_user_goes_with_all_actions", GreedyRemoval),
    ("the_last_action_comes_first", OldestFirst),
    ("the_last_action_comes_first", ByTime),
    ("the_last_action_comes_first", ByChange),
    ("pages_hold_each_action_once", Listed),
    ("pages_hold_each_action_once", ByChange),
    ("actions_are_filtered", filtered(lambda which: {"until": which.until and which.until + INSTANT})),
    ("actions_are_filtered", filtered(lambda which: {"since": which.since and which.since + INSTANT})),
    ("actions_are_filtered", filtered(lambda which: {"states": which.states or None})),
    ("actions_are_filtered", filtered(lambda which: {"actions": which.actions or None})),
    ("actions_are_filtered", filtered(lambda which: {"actions": which.actions and which.actions[:1]})),
    ("actions_are_filtered", filtered(lambda which: {"user_id": None})),
    ("a_challenge_that_is_late_counts_as_failed", AsStored),
    ("a_challenge_that_is_late_counts_as_failed", AsItCounts),
    ("a_challenge_that_is_late_counts_as_failed", lambda: Filtered(lambda _: {}, late=INSTANT)),
    ("no_cursor_of_actions_is_a_decode_error", Listed),
    ("the_history_counts_recent_failures", history(failed=lambda one, since: one.state is FAILED)),
    (
        "the_history_counts_recent_failures",
        history(failed=lambda one, since: one.state is FAILED and one.state_updated_at > since),
    ),
    (
        "the_history_counts_recent_failures",
        history(failed=lambda one, since: one.state is FAILED and one.created_at >= since),
    ),
    (
        "the_history_counts_recent_failures",
        history(
            failed=lambda one, since: (
                (one.state is FAILED and one.state_updated_at >= since)
                or (one.state is ActionState.CHALLENGE_REQUIRED and one.expires_at < since)
            )
        ),
    ),
    ("the_history_counts_recent_failures", RealmlessHistory),
    ("the_history_knows_devices", RealmlessHistory),
    ("the_history_knows_devices", history(known=lambda one, device_id, _: one.device_id == device_id)),
    (
        "the_history_knows_devices",
        history(known=lambda one, device_id, _: one.state is SUCCEEDED and one.device_id == device_id),
    ),
    (
        "the_history_knows_devices",
        history(
            known=lambda one, device_id, since: (
                one.state is SUCCEEDED
                and device_id is not None
                and one.device_id == device_id
                and one.state_updated_at >= since
            )
        ),
    ),
    ("the_history_knows_the_last_user_verification", history(verified=lambda one: one.state is SUCCEEDED)),
    ("the_history_knows_the_last_user_verification", history(verified=lambda one: one.user_verified)),
    ("the_history_knows_the_last_user_verification", history(latest=lambda times: times[-1])),
    ("the_history_knows_the_last_user_verification", history(at=lambda one: one.created_at)),
    ("the_history_knows_the_last_user_verification", RealmlessHistory),
    ("the_history_follows_every_change", Accumulated),
    ("the_history_follows_every_change", Uncounted),
    ("one_of_many_creates_the_action", Unlocked),
    ("one_of_many_creates_the_action", Echoed),
    ("one_of_many_changes_an_action", Unlocked),
    ("one_of_many_changes_an_action", lambda: Revisions(any_revision)),
    ("no_attempt_is_lost", Unlocked),
    ("no_action_is_lost", LostActions),
    ("only_what_is_new_or_changed_stores_its_event", Recorded),
    ("only_what_is_new_or_changed_stores_its_event", Unrecorded),
    ("one_of_many_stores_its_event", Recorded),
]
"""The rule that finds it, and the repository."""
