"""Rules for actions in a repository that stores events: with a new one or a change, or not at all."""

from datetime import timedelta
from functools import partial
from typing import Protocol

from passkeycore.engine.actions.repository import AsyncActionRepository, AsyncActionsOfUsers
from passkeycore.engine.records import EventFilter, EventPage, EventType
from passkeycore.engine.repository import AsyncEventRepository
from passkeycore.testing.contract.actions.samples import WRITES, action, failed, later
from passkeycore.testing.contract.harness import Together, demand, expect, race, rule
from passkeycore.testing.contract.samples import CALLERS, NOW, ROUNDS, event, realm


class AsyncRecordedActions(AsyncActionRepository, AsyncEventRepository, Protocol):
    """Actions, and events in the same transactions."""


class AsyncRecordedActionsOfUsers(AsyncActionsOfUsers, AsyncEventRepository, Protocol):
    """Actions and their users, and events in the same transactions."""


class ActionEventContract:
    """What an `ActionRepository` must do that is an `EventRepository`, too, synchronous or asynchronous."""

    @rule
    async def test_only_what_is_new_or_changed_stores_its_event(self, repository: AsyncRecordedActions) -> None:
        """The event of a new action and of a change is there when that is; of anything else it is not stored."""
        of = realm()
        kept = action(of)
        updated = [EventType.ACTION_UPDATED] * 3
        first, second, third, none = (event(of, kind) for kind in (EventType.ACTION_TRACKED, *updated))
        expect(await repository.add_action(kept, first), kept)
        expect(await repository.list_events(of, EventFilter(), None, 9), EventPage(events=(first,)), "the events")
        expect(await repository.replace_action(later(kept), second), True)
        expect(await failed(repository, later(later(kept)), third), True)
        wanted = EventPage(events=(third, second, first))
        expect(await repository.list_events(of, EventFilter(), None, 9), wanted, "the events after two changes")
        expect(await repository.add_action(kept, none), later(later(kept)), "the answer to the same action again")
        for stale in (kept, later(kept), later(later(kept)), later(action(of))):
            for write in WRITES:
                expect(await write(repository, stale, none), False)
        expect(await repository.list_events(of, EventFilter(), None, 9), wanted, "the events at the end")

    @rule
    async def test_who_is_not_known_goes_with_an_event(self, repository: AsyncRecordedActionsOfUsers) -> None:
        """Where actions are all that there is of a user, the event of the removal is stored with it, and only then."""
        kept = action(realm())
        gone, none = (event(kept.realm, EventType.USER_REMOVED, user_id=kept.user_id) for _ in range(2))
        expect(await repository.remove_user(kept.realm, kept.user_id, none), False)
        await repository.add_action(kept, None)
        expect(await repository.remove_user(kept.realm, kept.user_id, gone), True)
        expect(await repository.remove_user(kept.realm, kept.user_id, none), False, "the answer the second time")
        page = await repository.list_events(kept.realm, EventFilter(), None, 9)
        expect(page, EventPage(events=(gone,)), "the events")

    @rule
    async def test_events_stay_when_actions_are_removed(self, repository: AsyncRecordedActions) -> None:
        """Events about an action are there when it is long gone."""
        kept = action(realm())
        noted = event(kept.realm, EventType.ACTION_TRACKED, user_id=kept.user_id)
        await repository.add_action(kept, noted)
        expect(await repository.remove_actions(kept.realm, NOW + timedelta(days=1)), 1, "the number of actions removed")
        page = await repository.list_events(kept.realm, EventFilter(user_id=kept.user_id), None, 9)
        expect(page, EventPage(events=(noted,)), "the events")

    @race
    async def test_one_of_many_stores_its_event(self, repository: AsyncRecordedActions, together: Together) -> None:
        """Of any number of callers who add one action, only the one who creates it stores an event."""
        for _ in range(ROUNDS):
            one = action(realm())
            actions = [
                action(one.realm, user_id=one.user_id, idempotency_key=one.idempotency_key, attempts=number)
                for number in range(CALLERS)
            ]
            events = [event(one.realm, EventType.ACTION_TRACKED) for _ in actions]
            answers = await together(
                [partial(repository.add_action, each, events[number]) for number, each in enumerate(actions)]
            )
            demand(answers[0] in actions, "the action is of none of the callers")
            wanted = EventPage(events=(events[actions.index(answers[0])],))
            expect(await repository.list_events(one.realm, EventFilter(), None, 99), wanted, "the events")
