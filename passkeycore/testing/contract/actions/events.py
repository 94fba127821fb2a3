"""Rules for actions in a repository that stores events: with a new one or a change, or not at all."""

from functools import partial
from typing import Protocol

from passkeycore.engine.actions.repository import AsyncActionRepository
from passkeycore.engine.records import EventFilter, EventPage, EventType
from passkeycore.engine.repository import AsyncEventRepository
from passkeycore.testing.contract.actions.samples import action, later
from passkeycore.testing.contract.harness import Together, demand, expect, race, rule
from passkeycore.testing.contract.samples import CALLERS, ROUNDS, event, realm


class AsyncRecordedActions(AsyncActionRepository, AsyncEventRepository, Protocol):
    """Actions, and events in the same transactions."""


class ActionEventContract:
    """What an `ActionRepository` must do that is an `EventRepository`, too, synchronous or asynchronous."""

    @rule
    async def test_only_what_is_new_or_changed_stores_its_event(self, repository: AsyncRecordedActions) -> None:
        """The event of a new action and of a change is there when that is; of anything else it is not stored."""
        of = realm()
        kept = action(of)
        first, second, none = (event(of, kind) for kind in (EventType.ACTION_TRACKED, *[EventType.ACTION_UPDATED] * 2))
        expect(await repository.add_action(kept, first), kept)
        expect(await repository.list_events(of, EventFilter(), None, 9), EventPage(events=(first,)), "the events")
        expect(await repository.replace_action(later(kept), second), True)
        wanted = EventPage(events=(second, first))
        expect(await repository.list_events(of, EventFilter(), None, 9), wanted, "the events after a change")
        expect(await repository.add_action(kept, none), later(kept), "the answer to the same action again")
        for stale in (kept, later(kept), later(action(of))):
            expect(await repository.replace_action(stale, none), False)
        expect(await repository.list_events(of, EventFilter(), None, 9), wanted, "the events at the end")

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
