"""Events, and those that wait for their delivery: the methods of `EventRepository` and `OutboxRepository`."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from ...engine.records import Event, EventCount, EventFilter, EventPage
from ...engine.webhooks.records import Delivery
from .pages import page
from .tables import Tables, Waiting


class Events(Tables):
    """Part of `MemoryRepository`."""

    def add_event(self, event: Event, /) -> None:
        """See `EventRepository.add_event`."""
        with self._lock:
            self._note(event)

    def list_events(self, realm: str, which: EventFilter, cursor: str | None, limit: int, /) -> EventPage:
        """See `EventRepository.list_events`.

        Raises:
            DecodeError: `cursor_invalid`: no cursor of this repository's.
        """
        found = ((number, event) for number, event in reversed(self._snapshot()) if _matches(event, realm, which))
        events, next_cursor = page(found, cursor, limit)
        return EventPage(events=events, next_cursor=next_cursor)

    def count_events(self, realm: str, which: EventFilter, /) -> tuple[EventCount, ...]:
        """See `EventRepository.count_events`."""
        counts = Counter(
            (event.at.date(), event.type) for _, event in self._snapshot() if _matches(event, realm, which)
        )
        return tuple(EventCount(day=day, type=kind, count=count) for (day, kind), count in sorted(counts.items()))

    def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        """See `OutboxRepository.take_deliveries`."""
        with self._lock:
            due = (one for one in self._first_of_each() if one.due_at is None or one.due_at <= now)
            taken = sorted(due, key=_number)[:limit]
            for one in taken:
                one.attempts += 1
                one.due_at = leased_until
            return tuple(Delivery(event=one.event, attempt=one.attempts) for one in taken)

    def finish_delivery(self, delivery: Delivery, /) -> bool:
        """See `OutboxRepository.finish_delivery`."""
        with self._lock:
            if self._in_hand(delivery) is None:
                return False
            user = delivery.event.realm, delivery.event.user_id
            del self._outbox[user][delivery.event.id]
            if not self._outbox[user]:
                del self._outbox[user]
            return True

    def postpone_delivery(self, delivery: Delivery, due_at: datetime | None, /) -> bool:
        """See `OutboxRepository.postpone_delivery`."""
        with self._lock:
            waiting = self._in_hand(delivery)
            if waiting is None:
                return False
            waiting.due_at, waiting.given_up = due_at, due_at is None
            return True

    def revive_deliveries(self, now: datetime, /) -> int:
        """See `OutboxRepository.revive_deliveries`."""
        with self._lock:
            given_up = [one for theirs in self._outbox.values() for one in theirs.values() if one.given_up]
            for one in given_up:
                one.due_at, one.given_up = now, False
            return len(given_up)

    def _first_of_each(self) -> Iterator[Waiting]:
        """Of each user the first that waits and is not given up."""
        for theirs in self._outbox.values():
            first = next((one for one in theirs.values() if not one.given_up), None)
            if first is not None:
                yield first

    def _in_hand(self, delivery: Delivery) -> Waiting | None:
        waiting = self._outbox.get((delivery.event.realm, delivery.event.user_id), {}).get(delivery.event.id)
        return waiting if waiting is not None and waiting.attempts == delivery.attempt else None

    def _snapshot(self) -> tuple[tuple[int, Event], ...]:
        with self._lock:  # copied, so that nobody waits while they are looked through
            return tuple(self._events)


def _number(waiting: Waiting) -> int:
    return waiting.number


def _matches(event: Event, realm: str, which: EventFilter) -> bool:
    return (
        event.realm == realm
        and (which.types is None or event.type in which.types)
        and (which.user_id is None or event.user_id == which.user_id)
        and (which.credential_id is None or event.credential_id == which.credential_id)
        and (which.since is None or event.at >= which.since)
        and (which.until is None or event.at < which.until)
    )
