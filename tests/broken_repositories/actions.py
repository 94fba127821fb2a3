"""Mistakes with actions."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Any

from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import Action, ActionFilter, ActionPage
from passkeycore.engine.records import Event
from passkeycore.repositories.memory import MemoryRepository
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


def as_old_as_stored(repository: MemoryRepository, action: Action) -> Action:
    stored = repository.find_action(action.realm, action.user_id, action.action, action.idempotency_key)
    return action if stored is None else replace(action, created_at=stored.created_at)


class AnyBeginning(MemoryRepository):
    """Takes whatever has the names of an action, at this revision, for that action."""

    def replace_action(self, action: Action, event: Event | None, /) -> bool:
        return super().replace_action(as_old_as_stored(self, action), event)


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

    def _forget(self, realm: str, user_id: str) -> bool:
        user = realm, user_id
        past = self._pasts.pop(user, None) if self.actions else self._pasts.get(user)
        removed = super()._forget(realm, user_id)
        if past is not None and not self.actions:
            past.keys = {}
            self._pasts[user] = past
        return removed


class GreedyRemoval(MemoryRepository):
    """Removes the actions of the user with this id in every realm."""

    def _forget(self, realm: str, user_id: str) -> bool:
        removed = super()._forget(realm, user_id)
        for place in [one for one in self._actions if one[1] == user_id]:
            self._drop(place)
        return removed


class KnownAlone(MemoryRepository):
    """Removes the actions of a user who has a row."""

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        return (realm, user_id) in self._users and super().remove_user(realm, user_id, event)


class SilentRemoval(MemoryRepository):
    """Removes the actions of anybody, and answers whether there was a row of the user."""

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        known = (realm, user_id) in self._users
        return super().remove_user(realm, user_id, event if known else None) and known


class AlwaysRemoved(MemoryRepository):
    """Answers, and reports, that the user is gone."""

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        if not super().remove_user(realm, user_id, event) and event is not None:
            self.add_event(event)
        return True


class Removing(MemoryRepository):
    """Removes actions as `which` says, of the action, the realm and the time."""

    def __init__(self, which: Callable[[Action, str, datetime], bool]) -> None:
        super().__init__()
        self.which = which

    def remove_actions(self, realm: str, before: datetime, /) -> int:
        places = [place for place, (_, one) in self._actions.items() if self.which(one, realm, before)]
        for place in places:
            self._drop(place)
        return len(places)


def removing(which: Callable[[Action, str, datetime], bool]) -> Callable[[], MemoryRepository]:
    return lambda: Removing(which)


class CountedRemoval(MemoryRepository):
    def remove_actions(self, realm: str, before: datetime, /) -> int:
        return min(1, super().remove_actions(realm, before))


class HalfRemoval(MemoryRepository):
    """Leaves what is known of removed actions behind: `pasts` with all that they say, or their names taken."""

    def __init__(self, *, names: bool) -> None:
        super().__init__()
        self.names = names
        self.removed = set[tuple[str, ...]]()

    def remove_actions(self, realm: str, before: datetime, /) -> int:
        places = [place for place, (_, one) in self._actions.items() if one.realm == realm and one.expires_at < before]
        for place in places:
            past = self._pasts[place[:2]]
            if self.names:
                self.removed.add(place)
                self._drop(place)
            else:
                del self._actions[place], past.keys[place[2:]]
        return len(places)

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        name = action.realm, action.user_id, action.action, action.idempotency_key
        return action if name in self.removed else super().add_action(action, event)


class ForgottenEvents(MemoryRepository):
    """Events go with the actions."""

    def remove_actions(self, realm: str, before: datetime, /) -> int:
        self._events.clear()
        return super().remove_actions(realm, before)


class Copied(MemoryRepository):
    """Answers with what was read back, as an ORM does."""

    def add_action(self, action: Action, event: Event | None, /) -> Action:
        return replace(super().add_action(action, event))


class Failures(MemoryRepository):
    """Records failures in another way, and answers as it should."""

    def __init__(self, record: Callable[[MemoryRepository, Action, Event | None], bool]) -> None:
        super().__init__()
        self.record = record

    def record_failure(self, action: Action, event: Event | None, /) -> Action | None:
        if self.record(self, action, event):
            return action
        return self.find_action(action.realm, action.user_id, action.action, action.idempotency_key)


def failures(record: Callable[[MemoryRepository, Action, Event | None], bool]) -> Callable[[], MemoryRepository]:
    return lambda: Failures(record)


class Answers(MemoryRepository):
    """Records failures as it should, and answers in another way: `tell` is given the right answer and the failure."""

    def __init__(self, tell: Callable[[Action | None, Action], Any]) -> None:
        super().__init__()
        self.tell = tell

    def record_failure(self, action: Action, event: Event | None, /) -> Action | None:
        answer: Action | None = self.tell(super().record_failure(action, event), action)
        return answer


def answers(tell: Callable[[Action | None, Action], Any]) -> Callable[[], MemoryRepository]:
    return lambda: Answers(tell)


class FirstFailure(MemoryRepository):
    """Answers who lost with what was stored when they came, from a cache."""

    def __init__(self) -> None:
        super().__init__()
        self.first = dict[tuple[str, ...], Action]()

    def record_failure(self, action: Action, event: Event | None, /) -> Action | None:
        answer = super().record_failure(action, event)
        name = action.realm, action.user_id, action.action, action.idempotency_key
        return answer if answer is None or answer is action else self.first.setdefault(name, answer)


def upserted_failure(repository: MemoryRepository, action: Action, event: Event | None) -> bool:
    name = action.realm, action.user_id, action.action, action.idempotency_key
    if repository.find_action(*name) is None:
        return repository.add_action(action, event) is action
    return repository.replace_action(action, event)


def any_beginning(repository: MemoryRepository, action: Action, event: Event | None) -> bool:
    return repository.replace_action(as_old_as_stored(repository, action), event)


def any_failure(repository: MemoryRepository, action: Action, event: Event | None) -> bool:
    """UPDATE … SET attempts = attempts + 1, whatever the revision."""
    name = action.realm, action.user_id, action.action, action.idempotency_key
    stored = repository.find_action(*name)
    pause()
    return stored is not None and repository.replace_action(replace(action, revision=stored.revision + 1), event)


def attempts_alone(repository: MemoryRepository, action: Action, event: Event | None) -> bool:
    name = action.realm, action.user_id, action.action, action.idempotency_key
    stored = repository.find_action(*name)
    if stored is not None:
        action = replace(stored, state=action.state, attempts=action.attempts, revision=action.revision)
    return repository.replace_action(action, event)


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
    ("an_action_comes_back", mangled(last_failure_at=lambda at: None)),
    ("an_unknown_action_is_none", Upserted),
    ("an_unknown_action_is_none", failures(upserted_failure)),
    ("a_new_action_is_answered_with_itself", Copied),
    ("a_new_action_is_answered_with_itself", Echoed),
    ("an_action_is_changed", failures(attempts_alone)),
    ("an_action_that_was_removed_and_came_again_is_another", AnyBeginning),
    ("an_action_that_was_removed_and_came_again_is_another", failures(any_beginning)),
    *(
        ("a_failure_is_answered_with_what_is_stored", answers(tell))
        for tell in (
            lambda answer, given: answer is given,
            lambda answer, given: answer and replace(answer),
            lambda answer, given: answer if answer is given else None,
            lambda answer, given: given,
            lambda answer, given: answer and given,
            lambda answer, given: given if answer == given else answer,
            lambda answer, given: answer or given,
        )
    ),
    ("a_failure_is_answered_with_what_is_stored", FirstFailure),
    ("one_of_many_changes_an_action", answers(lambda answer, given: answer if answer is given else None)),
    ("no_attempt_is_lost", answers(lambda answer, given: given)),
    ("no_attempt_is_lost", FirstFailure),
    ("an_action_is_changed_only_as_read", failures(any_failure)),
    ("an_action_is_changed_only_as_read", failures(upserted_failure)),
    ("one_of_many_equal_actions_is_new", Unlocked),
    ("one_of_many_equal_actions_is_new", Copied),
    ("one_of_many_equal_actions_is_new", Echoed),
    ("one_of_many_changes_an_action", failures(any_failure)),
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
    ("a_user_who_is_not_known_goes_with_all_actions", KnownAlone),
    ("a_user_who_is_not_known_goes_with_all_actions", SilentRemoval),
    ("a_user_who_is_not_known_goes_with_all_actions", AlwaysRemoved),
    ("a_user_who_is_not_known_goes_with_all_actions", GreedyRemoval),
    *(
        ("actions_that_are_over_are_removed", removing(which))
        for which in (
            lambda one, realm, before: one.realm == realm and one.expires_at <= before,
            lambda one, realm, before: one.realm == realm and one.expires_at < before - INSTANT,
            lambda one, realm, before: one.realm == realm and one.created_at < before,
            lambda one, realm, before: (
                one.realm == realm and one.state is ActionState.ALLOW and one.expires_at < before
            ),
            lambda one, realm, before: one.expires_at < before,
            lambda one, realm, before: one.realm.lower() == realm.lower() and one.expires_at < before,
            lambda one, realm, before: False,
        )
    ),
    ("actions_that_are_over_are_removed", CountedRemoval),
    ("nothing_is_known_of_actions_that_were_removed", lambda: HalfRemoval(names=False)),
    ("nothing_is_known_of_actions_that_were_removed", lambda: HalfRemoval(names=True)),
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
    ("one_of_many_creates_the_action", Unlocked),
    ("one_of_many_creates_the_action", Echoed),
    ("one_of_many_changes_an_action", Unlocked),
    ("one_of_many_changes_an_action", lambda: Revisions(any_revision)),
    ("no_attempt_is_lost", Unlocked),
    ("no_action_is_lost", LostActions),
    ("only_what_is_new_or_changed_stores_its_event", Recorded),
    ("only_what_is_new_or_changed_stores_its_event", Unrecorded),
    (
        "only_what_is_new_or_changed_stores_its_event",
        failures(lambda repository, one, _: repository.replace_action(one, None)),
    ),
    ("who_is_not_known_goes_with_an_event", SilentRemoval),
    ("who_is_not_known_goes_with_an_event", AlwaysRemoved),
    ("events_stay_when_actions_are_removed", ForgottenEvents),
    ("one_of_many_stores_its_event", Recorded),
]
"""The rule that finds it, and the repository."""
