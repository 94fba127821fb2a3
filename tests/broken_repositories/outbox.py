"""Mistakes with events that wait for their delivery."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from passkeycore.engine.records import Event
from passkeycore.engine.webhooks.records import Delivery
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.memory.tables import Waiting
from tests.broken_repositories import pause, replace


class Delivering(MemoryRepository):
    """Without a mistake."""

    def __init__(self) -> None:
        super().__init__(outbox=True)


class OnlyAdded(Delivering):
    """Events that come with a change do not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.keeps_outbox = False

    def add_event(self, event: Event, /) -> None:
        self.keeps_outbox = True
        super().add_event(event)
        self.keeps_outbox = False


class DueByItsTime(Delivering):
    """An event is due from the time on that it tells."""

    def _note(self, event: Event | None) -> None:
        super()._note(event)
        if event is not None:
            self._outbox[event.realm, event.user_id][event.id].due_at = event.at


class Plain(Delivering):
    """Delivers without the details."""

    def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        taken = super().take_deliveries(now, leased_until, limit)
        return tuple(replace(one, event=replace(one.event, details={})) for one in taken)


class Beside(Delivering):
    """The outbox is filled beside the change."""

    def rename_user(self, realm: str, user_id: str, name: str, display_name: str, event: Event | None, /) -> bool:
        if event is not None:
            self.add_event(event)
        return super().rename_user(realm, user_id, name, display_name, None)


class NeverRemoved(Delivering):
    """Marks what is delivered, and finds it again in the end."""

    def finish_delivery(self, delivery: Delivery, /) -> bool:
        return self.postpone_delivery(delivery, None)


class AlwaysDone(Delivering):
    def finish_delivery(self, delivery: Delivery, /) -> bool:
        super().finish_delivery(delivery)
        return True


class First(Delivering):
    """Has another opinion about who is first."""

    def __init__(self, first: Callable[[list[Waiting]], Iterator[Waiting]]) -> None:
        super().__init__()
        self.first = first

    def _first_of_each(self) -> Iterator[Waiting]:
        return self.first([one for theirs in self._outbox.values() for one in theirs.values()])


def everything(waiting: list[Waiting]) -> Iterator[Waiting]:
    return (one for one in waiting if not one.given_up)


def of_each(name: Callable[[Event], Any], waits: Callable[[Waiting], bool]) -> Callable[[], Delivering]:
    """The first of those that have a name in common, among those that wait."""

    def first(waiting: list[Waiting]) -> Iterator[Waiting]:
        ranked = sorted((one for one in waiting if waits(one)), key=lambda one: one.number)
        return iter({name(one.event): one for one in reversed(ranked)}.values())

    return lambda: First(first)


def not_given_up(one: Waiting) -> bool:
    return not one.given_up


def by_user(event: Event) -> object:
    return event.realm, event.user_id


class Ranked(Delivering):
    """Takes in another order, or another number."""

    def __init__(self, rank: Callable[[Delivery], Any], more: int = 0) -> None:
        super().__init__()
        self.rank, self.more = rank, more

    def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        taken = super().take_deliveries(now, leased_until, limit + self.more)
        return tuple(sorted(taken, key=self.rank)) if self.more == 0 else taken


class ByDue(Delivering):
    """Those that have been due longest come first."""

    def _first_of_each(self) -> Iterator[Waiting]:
        ranked = sorted(super()._first_of_each(), key=lambda one: (one.due_at is not None, one.due_at, one.number))
        for number, one in enumerate(ranked):
            one.number = number
        return iter(ranked)


class ByUser(Delivering):
    """Users come in the order in which they began to have something that waits."""

    def _first_of_each(self) -> Iterator[Waiting]:
        for number, one in enumerate(super()._first_of_each()):
            one.number = number
            yield one


class SkippingInHand(Delivering):
    """While the first is in hand, or put off, the next one is taken."""

    def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        self.now = now
        return super().take_deliveries(now, leased_until, limit)

    def _first_of_each(self) -> Iterator[Waiting]:
        for theirs in self._outbox.values():
            yield from [
                one for one in theirs.values() if not one.given_up and (one.due_at is None or one.due_at <= self.now)
            ][:1]

    def finish_delivery(self, delivery: Delivery, /) -> bool:
        pause()
        return super().finish_delivery(delivery)


class AnyAttempt(Delivering):
    """Looks for the event, and not for the attempt."""

    def _in_hand(self, delivery: Delivery) -> Waiting | None:
        return self._outbox.get((delivery.event.realm, delivery.event.user_id), {}).get(delivery.event.id)


class Leased(Delivering):
    """Leases last longer, or less long."""

    def __init__(self, longer: timedelta) -> None:
        super().__init__()
        self.longer = longer

    def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        return super().take_deliveries(now, leased_until + self.longer, limit)


class Postponed(Delivering):
    """Puts off until another time."""

    def __init__(self, longer: timedelta) -> None:
        super().__init__()
        self.longer = longer

    def postpone_delivery(self, delivery: Delivery, due_at: datetime | None, /) -> bool:
        return super().postpone_delivery(delivery, due_at and due_at + self.longer)


class Punctual(Delivering):
    """Who is late has lost, also where nobody came in between."""

    def _in_hand(self, delivery: Delivery) -> Waiting | None:
        waiting = super()._in_hand(delivery)
        late = waiting is not None and waiting.due_at is not None and waiting.due_at <= delivery.event.at
        return None if late else waiting


class Uncounted(Delivering):
    """Counts no attempt that ended in time."""

    def postpone_delivery(self, delivery: Delivery, due_at: datetime | None, /) -> bool:
        waiting = self._in_hand(delivery)
        answer = super().postpone_delivery(delivery, due_at)
        if waiting is not None:
            waiting.attempts -= 1
        return answer


class Revived(Delivering):
    """Revives in another way."""

    def __init__(self, *, anew: bool = False, at_once: bool = False) -> None:
        super().__init__()
        self.anew, self.at_once = anew, at_once

    def revive_deliveries(self, now: datetime, /) -> int:
        given_up = [one for theirs in self._outbox.values() for one in theirs.values() if one.given_up]
        for one in given_up:
            one.attempts = 0 if self.anew else one.attempts
        return super().revive_deliveries(now - timedelta(days=1) if self.at_once else now)


class NeverRevived(Delivering):
    def revive_deliveries(self, now: datetime, /) -> int:
        return 0


class Unlocked(Delivering):
    """Looks first and writes then."""

    def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        due = [one for one in self._first_of_each() if one.due_at is None or one.due_at <= now][:limit]
        pause()
        for one in due:
            one.due_at = leased_until
        taken = tuple(Delivery(event=one.event, attempt=one.attempts + 1) for one in due)
        for one in due:
            one.attempts += 1
        return taken

    def finish_delivery(self, delivery: Delivery, /) -> bool:
        held = self._in_hand(delivery) is not None
        pause()
        super().finish_delivery(delivery)
        return held


class Marked(Delivering):
    """Remembers the last position that was taken, and looks behind it; but who stores last may have an earlier one."""

    mark = 0

    def add_event(self, event: Event, /) -> None:
        with self._lock:
            self._events_stored += 1
            number = self._events_stored
        if number % 2:
            pause()
        with self._lock:
            self._outbox.setdefault((event.realm, event.user_id), {})[event.id] = Waiting(number, event)

    def _first_of_each(self) -> Iterator[Waiting]:
        found = sorted((one for one in super()._first_of_each() if one.number > self.mark), key=lambda one: one.number)
        self.mark = max((one.number for one in found), default=self.mark)
        return iter(found)


MISTAKES: list[tuple[str, Callable[[], object]]] = [
    ("every_event_that_is_stored_waits", OnlyAdded),
    ("every_event_that_is_stored_waits", DueByItsTime),
    ("every_event_that_is_stored_waits", Plain),
    ("every_event_that_is_stored_waits", MemoryRepository),
    ("what_is_not_stored_does_not_wait", Beside),
    ("an_event_is_delivered_once_it_is_finished", NeverRemoved),
    ("an_event_is_delivered_once_it_is_finished", AlwaysDone),
    ("each_user_has_one_event_in_hand", lambda: First(everything)),
    ("each_user_has_one_event_in_hand", of_each(lambda event: event.user_id, not_given_up)),
    ("each_user_has_one_event_in_hand", of_each(lambda event: (event.realm, str(event.user_id)), not_given_up)),
    ("each_user_has_one_event_in_hand", of_each(lambda event: (event.realm, event.user_id or event.id), not_given_up)),
    ("each_user_has_one_event_in_hand", of_each(lambda event: event.realm, not_given_up)),
    ("each_user_has_one_event_in_hand", SkippingInHand),
    ("who_has_waited_longest_comes_first", lambda: Ranked(lambda one: one.event.at)),
    ("who_has_waited_longest_comes_first", lambda: Ranked(lambda one: one.attempt)),
    ("who_has_waited_longest_comes_first", lambda: Ranked(lambda one: 0, more=1)),
    ("who_has_waited_longest_comes_first", ByDue),
    ("who_has_waited_longest_comes_first", ByUser),
    ("one_in_hand_is_let_alone_while_its_lease_lasts", SkippingInHand),
    ("one_in_hand_is_let_alone_while_its_lease_lasts", AnyAttempt),
    ("one_in_hand_is_let_alone_while_its_lease_lasts", lambda: Leased(timedelta(microseconds=1))),
    ("one_in_hand_is_let_alone_while_its_lease_lasts", lambda: Leased(timedelta(microseconds=-1))),
    ("who_is_late_but_alone_still_finishes", Punctual),
    ("one_that_is_put_off_keeps_those_behind_it_waiting", SkippingInHand),
    ("one_that_is_put_off_keeps_those_behind_it_waiting", Uncounted),
    ("one_that_is_put_off_keeps_those_behind_it_waiting", lambda: Postponed(timedelta(microseconds=1))),
    ("one_that_is_put_off_keeps_those_behind_it_waiting", lambda: Postponed(timedelta(microseconds=-1))),
    ("what_is_given_up_keeps_nobody_waiting", of_each(by_user, lambda _: True)),
    ("what_is_given_up_keeps_nobody_waiting", lambda: Revived(anew=True)),
    ("what_is_given_up_keeps_nobody_waiting", lambda: Revived(at_once=True)),
    ("what_is_given_up_keeps_nobody_waiting", NeverRevived),
    ("one_of_many_takes_an_event", Unlocked),
    ("one_of_many_finishes_a_delivery", Unlocked),
    ("one_of_many_finishes_a_delivery", AlwaysDone),
    ("many_workers_deliver_each_user_in_order", SkippingInHand),
    ("no_event_is_missed", Marked),
]
"""The rule that finds it, and the repository."""
