"""What an embedder writes so that events are delivered, at least once and in order for each user; in both colours.

An event waits from the very transaction that stores it, so that none is missed whatever order transactions commit in;
that is what a repository does with every event it stores, once it is told to keep an outbox.
"""

from datetime import datetime
from typing import Protocol

from .records import Delivery


class OutboxRepository(Protocol):
    """Events that wait for their delivery, of all realms."""

    def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        """Takes up to `limit` events in hand, which nobody else gets before `leased_until`.

        Of each user of a realm only the first that waits, in the order of storing, and only when it is due at `now`;
        events about nobody count as one more user's. One that is in hand, or is due later, keeps those behind it
        waiting.

        Atomicity: Of any number of callers one gets an event; its number of attempts grows by one.
        Answer: Those that have waited longest, first.
        """
        ...

    def finish_delivery(self, delivery: Delivery, /) -> bool:
        """Removes an event from the outbox, while it is at this attempt still. Answer: False when it is not."""
        ...

    def postpone_delivery(self, delivery: Delivery, due_at: datetime | None, /) -> bool:
        """Gives an event back, while it is at this attempt still: to be taken again from `due_at` on.

        None gives up: it stays in the outbox, is never due and keeps nobody waiting, until `revive_deliveries`.

        Answer: False when it is not at this attempt any more.
        """
        ...

    def revive_deliveries(self, now: datetime, /) -> int:
        """Lets everything that was given up be due at `now`. Answer: How many there were."""
        ...


class AsyncOutboxRepository(Protocol):
    """`OutboxRepository` for asyncio."""

    async def take_deliveries(self, now: datetime, leased_until: datetime, limit: int, /) -> tuple[Delivery, ...]:
        """See `OutboxRepository.take_deliveries`."""
        ...

    async def finish_delivery(self, delivery: Delivery, /) -> bool:
        """See `OutboxRepository.finish_delivery`."""
        ...

    async def postpone_delivery(self, delivery: Delivery, due_at: datetime | None, /) -> bool:
        """See `OutboxRepository.postpone_delivery`."""
        ...

    async def revive_deliveries(self, now: datetime, /) -> int:
        """See `OutboxRepository.revive_deliveries`."""
        ...
