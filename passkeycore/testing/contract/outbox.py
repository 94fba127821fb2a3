"""Rules for events that wait for their delivery: in order for each user, by one at a time, until it is done."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from itertools import zip_longest
from typing import Any, Final, Protocol

import msgspec

from passkeycore.engine.records import Event, EventType
from passkeycore.engine.repository import AsyncEventRepository, AsyncPasskeyRepository
from passkeycore.engine.webhooks.records import Delivery
from passkeycore.engine.webhooks.repository import AsyncOutboxRepository
from passkeycore.errors import Code
from passkeycore.testing.contract.harness import Together, demand, expect, expect_one, race, rule
from passkeycore.testing.contract.samples import (
    BEGUN,
    BINARY,
    CALLERS,
    NOW,
    ROUNDS,
    TEXT,
    event,
    passkey,
    realm,
    update,
    user,
)

_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_INSTANT: Final = timedelta(microseconds=1)
_FAR: Final = BEGUN + timedelta(days=10_000)  # later than anything that any rule leaves behind
_MANY: Final = 1000


class AsyncDeliveringRepository(AsyncPasskeyRepository, AsyncEventRepository, AsyncOutboxRepository, Protocol):
    """Passkeys, events of what happens to them, and those that wait for their delivery."""


class OutboxContract:
    """What an `OutboxRepository` must do that stores events and passkeys, too, synchronous or asynchronous.

    The repository is told to keep an outbox. Each rule empties that first, of what waits in any realm.
    """

    @rule
    async def test_every_event_that_is_stored_waits(self, repository: AsyncDeliveringRepository) -> None:
        """What is stored, by itself or with a change, waits from then on, equal in every member."""
        await emptied(repository)
        of = realm()
        owner, new = await repository.get_or_create_user(user(of)), user(of)
        kept, other = passkey(owner), passkey(new)
        full = event(
            of,
            EventType.AUTHENTICATION_FAILED,
            at=NOW + _INSTANT,
            user_id=TEXT,
            credential_id=BINARY * 100,
            code=Code.SIGNATURE_INVALID,
            details={"purpose": TEXT, "": "", TEXT: "a" * 1000},
        )
        ahead = event(of, at=_FAR)  # a server's clock may be wrong
        changes: list[tuple[Event, Callable[[Event], Coroutine[Any, Any, object]]]] = [
            (full, repository.add_event),
            (ahead, repository.add_event),
            (event(of), lambda noted: repository.add_passkey(kept, 5, None, noted)),
            (event(of), lambda noted: repository.add_passkey(other, 5, new, noted)),
            (event(of), lambda noted: repository.advance_passkey(of, update(kept), NOW, noted)),
            (event(of), lambda noted: repository.rename_user(of, owner.user_id, "renamed", "", noted)),
            (event(of), lambda noted: repository.remove_user(of, owner.user_id, noted)),
        ]
        for noted, change in changes:
            await change(noted)
            taken = await repository.take_deliveries(NOW, NOW + _MINUTE, 9)
            expect(taken, (Delivery(event=noted, attempt=1),), "the deliveries")
            expect(await repository.finish_delivery(taken[0]), True)
        expect(await repository.take_deliveries(_FAR, _FAR, 9), (), "what waits at the end")

    @rule
    async def test_what_is_not_stored_does_not_wait(self, repository: AsyncDeliveringRepository) -> None:
        """The event of a change that was refused does not wait."""
        await emptied(repository)
        of = realm()
        noted = event(of)
        expect(await repository.rename_user(of, "nobody", "renamed", "", noted), False)
        expect(await repository.add_passkey(passkey(user(of)), 5, None, noted), "user_not_found")
        expect(await repository.take_deliveries(NOW, NOW + _MINUTE, 9), (), "the deliveries")

    @rule
    async def test_an_event_is_delivered_once_it_is_finished(self, repository: AsyncDeliveringRepository) -> None:
        """An event that is finished is gone: it is neither taken, finished, postponed nor revived again."""
        (kept,) = await _waiting(repository, "ada")
        (taken,) = await repository.take_deliveries(NOW, NOW + _MINUTE, 9)
        expect(taken, Delivery(event=kept, attempt=1), "the delivery")
        expect(await repository.finish_delivery(taken), True)
        expect(await repository.finish_delivery(taken), False, "the answer a second time")
        for due_at in (NOW, None):
            expect(await repository.postpone_delivery(taken, due_at), False, "the answer to putting it off afterwards")
        expect(await repository.revive_deliveries(NOW), 0, "the number revived")
        expect(await repository.take_deliveries(_FAR, _FAR, 9), (), "what waits at the end")

    @rule
    async def test_each_user_has_one_event_in_hand(self, repository: AsyncDeliveringRepository) -> None:
        """Of each user of a realm only the first that waits is taken, those about nobody being one more user's."""
        kept = await _waiting(repository, "ada", "ada", None, "eve", "Ada", "ada", None, "eve", "None")
        elsewhere = event(realm(), user_id="ada")
        await repository.add_event(elsewhere)
        first = (kept[0], kept[2], kept[3], kept[4], kept[8], elsewhere)
        taken = await repository.take_deliveries(NOW, NOW + _MINUTE, 99)
        expect(taken, _attempts(first), "the deliveries")
        expect(await repository.take_deliveries(NOW, NOW + _MINUTE, 99), (), "what else is there")
        for one, behind in ((0, kept[1]), (1, kept[6]), (2, kept[7])):
            expect(await repository.finish_delivery(taken[one]), True)
            more = await repository.take_deliveries(NOW, NOW + _MINUTE, 99)
            expect(more, _attempts((behind,)), "the next of the same user")
        expect(await repository.take_deliveries(NOW, NOW + _MINUTE, 99), (), "what is there afterwards")

    @rule
    async def test_who_has_waited_longest_comes_first(self, repository: AsyncDeliveringRepository) -> None:
        """As many as are asked for are taken, in the order of storing, whatever time they tell and were put off to."""
        await emptied(repository)
        of = realm()
        kept = [event(of, user_id=f"user-{n}", at=NOW + at * _SECOND) for n, at in enumerate((3, 1, 2, 2, -5, 0))]
        for each in kept:
            await repository.add_event(each)
        (first,) = await repository.take_deliveries(NOW, NOW + _MINUTE, 1)
        expect(first, Delivery(event=kept[0], attempt=1), "the first delivery")
        expect(await repository.postpone_delivery(first, NOW + _SECOND), True)
        taken = await repository.take_deliveries(NOW + _SECOND, NOW + _MINUTE, 3)
        expect(taken, (Delivery(event=kept[0], attempt=2), *_attempts(kept[1:3])), "the next three")
        taken = await repository.take_deliveries(NOW + _SECOND, NOW + _MINUTE, 9)
        expect(taken, _attempts(kept[3:]), "the rest")
        kept = await _waiting(repository, "ada", "eve", "joe", "eve", "ada")
        for delivery in (await repository.take_deliveries(NOW, NOW, 9))[:2]:
            expect(await repository.finish_delivery(delivery), True)
        again, *others = await repository.take_deliveries(NOW, NOW, 9)
        expect(again, Delivery(event=kept[2], attempt=2), "the one of whom nothing was finished")
        expect(tuple(others), _attempts(kept[3:]), "what was behind the others")

    @rule
    async def test_one_in_hand_is_let_alone_while_its_lease_lasts(self, repository: AsyncDeliveringRepository) -> None:
        """Nobody else gets it, nor what is behind it, before `leased_until`; then somebody does, as one attempt more.

        Who had it then cannot finish it, nor put it off.
        """
        kept = await _waiting(repository, "ada", "ada", "eve")
        leased_until = NOW + _MINUTE
        late, theirs = await repository.take_deliveries(NOW, leased_until, 9)
        expect((late, theirs), _attempts((kept[0], kept[2])), "the deliveries")
        expect(await repository.finish_delivery(theirs), True)
        expect(await repository.take_deliveries(leased_until - _INSTANT, _FAR, 9), (), "what is there before the end")
        (again,) = await repository.take_deliveries(leased_until, leased_until + _MINUTE, 9)
        expect(again, Delivery(event=kept[0], attempt=2), "the delivery by another")
        for answer in (
            await repository.finish_delivery(late),
            await repository.postpone_delivery(late, NOW),
            await repository.postpone_delivery(late, None),
            await repository.finish_delivery(msgspec.structs.replace(again, attempt=3)),
        ):
            expect(answer, False, "the answer to who is not at this attempt")
        expect(await repository.take_deliveries(leased_until, _FAR, 9), (), "what is there for a third")
        expect(await repository.finish_delivery(again), True)
        (behind,) = await repository.take_deliveries(leased_until, _FAR, 9)
        expect(behind, Delivery(event=kept[1], attempt=1), "the one behind")

    @rule
    async def test_who_is_late_but_alone_still_finishes(self, repository: AsyncDeliveringRepository) -> None:
        """After the lease, while nobody else has taken it, who had it finishes it, or puts it off."""
        kept = await _waiting(repository, "ada", "ada")
        (late,) = await repository.take_deliveries(NOW, NOW, 9)
        expect(await repository.postpone_delivery(late, NOW + _SECOND), True)
        (late,) = await repository.take_deliveries(NOW + _SECOND, NOW + _SECOND, 9)
        expect(late, Delivery(event=kept[0], attempt=2), "the delivery")
        expect(await repository.finish_delivery(late), True)
        (behind,) = await repository.take_deliveries(NOW, NOW + _MINUTE, 9)
        expect(behind, Delivery(event=kept[1], attempt=1), "the one behind")

    @rule
    async def test_one_that_is_put_off_keeps_those_behind_it_waiting(
        self, repository: AsyncDeliveringRepository
    ) -> None:
        """Put off, an event is taken from `due_at` on, and nothing of its user's before it; others are not delayed."""
        kept = await _waiting(repository, "ada", "ada", "eve", "eve")
        due_at = NOW + timedelta(hours=1)
        for attempt in (1, 2, 3):
            first = (await repository.take_deliveries(NOW, NOW + _MINUTE, 1))[0]
            expect(first, Delivery(event=kept[0], attempt=attempt), "the delivery")
            expect(await repository.postpone_delivery(first, NOW if attempt < 3 else due_at), True)
        for each in kept[2:]:
            taken = await repository.take_deliveries(due_at - _INSTANT, due_at, 9)
            expect(taken, _attempts((each,)), "the other user's")
            expect(await repository.finish_delivery(taken[0]), True)
        expect(await repository.take_deliveries(due_at - _INSTANT, _FAR, 9), (), "what is due before")
        taken = await repository.take_deliveries(due_at, _FAR, 9)
        expect(taken, (Delivery(event=kept[0], attempt=4),), "the delivery when it is due")

    @rule
    async def test_what_is_given_up_keeps_nobody_waiting(self, repository: AsyncDeliveringRepository) -> None:
        """Given up, an event is never due and those behind it go on, until it is revived: then it is due at `now`."""
        kept = await _waiting(repository, "ada", "ada", "eve")
        given_up = await repository.take_deliveries(NOW, NOW + _MINUTE, 9)
        expect(given_up, _attempts((kept[0], kept[2])), "the deliveries")
        for each in given_up:
            expect(await repository.postpone_delivery(each, None), True)
        (behind,) = await repository.take_deliveries(NOW, NOW + _MINUTE, 9)
        expect(behind, Delivery(event=kept[1], attempt=1), "the one behind")
        expect(await repository.finish_delivery(behind), True)
        expect(await repository.take_deliveries(_FAR, _FAR, 9), (), "what is due ever after")
        now = NOW + timedelta(days=3)
        last = event(kept[0].realm, user_id="ada")
        await repository.add_event(last)
        expect(await repository.revive_deliveries(now), 2, "the number revived")
        expect(await repository.revive_deliveries(now), 0, "the number revived again")
        expect(await repository.take_deliveries(now - _INSTANT, _FAR, 9), (), "what is due before")
        again = await repository.take_deliveries(now, _FAR, 9)
        wanted = tuple(Delivery(event=each.event, attempt=2) for each in given_up)
        expect(again, wanted, "those that were given up")
        expect(await repository.finish_delivery(given_up[0]), False, "the answer to the attempt that was given up")
        expect(await repository.finish_delivery(again[0]), True)
        taken = await repository.take_deliveries(now, _FAR, 9)
        expect(taken, _attempts((last,)), "what was stored meanwhile")

    @race
    async def test_one_of_many_takes_an_event(self, repository: AsyncDeliveringRepository, together: Together) -> None:
        """Of any number of callers one gets an event, and another one again when its lease is over."""
        for _ in range(ROUNDS):
            (kept,) = await _waiting(repository, "ada")
            for attempt in (1, 2):
                now = NOW + attempt * _MINUTE
                take = partial(repository.take_deliveries, now, now + _MINUTE, 9)
                expect_one(await together([take] * CALLERS), (Delivery(event=kept, attempt=attempt),), ())

    @race
    async def test_one_of_many_finishes_a_delivery(
        self, repository: AsyncDeliveringRepository, together: Together
    ) -> None:
        """Of any number of callers who finish one delivery, one is told that it did."""
        for _ in range(ROUNDS):
            await _waiting(repository, "ada")
            (taken,) = await repository.take_deliveries(NOW, NOW + _MINUTE, 9)
            expect_one(await together([partial(repository.finish_delivery, taken)] * CALLERS), True, False)

    @race
    async def test_many_workers_deliver_each_user_in_order(
        self, repository: AsyncDeliveringRepository, together: Together
    ) -> None:
        """Whatever workers do at the same time, each event is taken once and each user's in the order of storing."""
        users = ("ada", "eve", None, "joe", "ann")
        kept = await _waiting(repository, *users * 4)
        delivered: list[Event] = []

        async def work() -> None:
            while taken := await repository.take_deliveries(NOW, NOW + _MINUTE, 2):
                for each in taken:
                    delivered.append(each.event)
                    expect(each.attempt, 1, "the attempt")
                    expect(await repository.finish_delivery(each), True, "the answer to who has it in hand")

        await together([work] * CALLERS)
        await work()  # the last of a user may have waited while everybody looked
        expect(len(delivered), len(kept), "the number of deliveries")
        for who in users:
            theirs = tuple(each for each in delivered if each.user_id == who)
            expect(theirs, tuple(each for each in kept if each.user_id == who), f"the events of {who}")

    @race
    async def test_no_event_is_missed(self, repository: AsyncDeliveringRepository, together: Together) -> None:
        """What many store while others take is delivered, each once, in whatever order it was committed."""
        await emptied(repository)
        of = realm()
        kept = [event(of, user_id=f"user-{number % 4}") for number in range(CALLERS * 5 // 8)]
        seen: list[str] = []

        async def work() -> None:
            for each in await repository.take_deliveries(NOW, NOW + _MINUTE, 3):
                seen.append(each.event.id)
                expect(await repository.finish_delivery(each), True)

        adding = [partial(repository.add_event, each) for each in kept]
        workers = [work] * (CALLERS - len(kept))
        await together([call for some in zip_longest(adding[::2], adding[1::2], workers) for call in some if call])
        for _ in kept:
            await work()
        expect(sorted(seen), sorted(each.id for each in kept), "the ids of the events")


def _attempts(events: Sequence[Event]) -> tuple[Delivery, ...]:
    return tuple(Delivery(event=each, attempt=1) for each in events)


async def emptied(repository: AsyncOutboxRepository) -> None:
    """Delivers everything that waits, so that nothing does."""
    await repository.revive_deliveries(NOW)
    while taken := await repository.take_deliveries(_FAR, _FAR, _MANY):
        for each in taken:
            demand(await repository.finish_delivery(each), "an event cannot be finished by the one who has it in hand")


async def _waiting(repository: AsyncDeliveringRepository, *user_ids: str | None) -> list[Event]:
    """Events about these users of a new realm, in an outbox in which nothing else waits."""
    await emptied(repository)
    of = realm()
    kept = [event(of, user_id=user_id) for user_id in user_ids]
    for each in kept:
        await repository.add_event(each)
    return kept
