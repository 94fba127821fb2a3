"""Rules for what counts once: ceremonies under way, and the keys of sealed ones that are spent."""

from datetime import timedelta
from functools import partial
from secrets import token_bytes

from passkeycore.engine.repository import AsyncCeremonyRepository, AsyncSpentRepository
from passkeycore.testing.contract.harness import Together, demand, expect, expect_one, race, rule
from passkeycore.testing.contract.samples import (
    BEGUN,
    CALLERS,
    EARLIER,
    LIFETIME,
    ROUNDS,
    ceremony,
    full_ceremonies,
    realm,
)

_GRACE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)


class CeremonyContract:
    """What a `CeremonyRepository` must do, synchronous or asynchronous."""

    @rule
    async def test_a_ceremony_is_taken_once(self, repository: AsyncCeremonyRepository) -> None:
        """A ceremony comes back equal in every member, and then is gone."""
        of = realm()
        for kept in (ceremony(of), *full_ceremonies(of)):
            expect(await repository.add_ceremony(kept), True)
            expect(await repository.take_ceremony(of, kept.state.challenge), kept, "the ceremony")
            expect(await repository.take_ceremony(of, kept.state.challenge), None, "the ceremony taken before")

    @rule
    async def test_an_unknown_challenge_is_none(self, repository: AsyncCeremonyRepository) -> None:
        """A challenge that nobody added gives None."""
        expect(await repository.take_ceremony(realm(), token_bytes(32)), None)

    @rule
    async def test_a_challenge_is_never_replaced(self, repository: AsyncCeremonyRepository) -> None:
        """The same challenge a second time is refused, and the first ceremony stays."""
        of = realm()
        first = ceremony(of, user_id="first")
        second = ceremony(of, user_id="second", challenge=first.state.challenge)
        expect(await repository.add_ceremony(first), True)
        expect(await repository.add_ceremony(second), False, "the answer to the same challenge again")
        expect(await repository.take_ceremony(of, first.state.challenge), first, "the first ceremony")

    @rule
    async def test_challenges_that_look_alike_are_different(self, repository: AsyncCeremonyRepository) -> None:
        """Challenges are compared byte for byte over their whole length."""
        of, start = realm(), token_bytes(16)
        ends = (
            b"",
            b"\x00",
            b"\x00\x00",
            b"a",
            b"A",
            b"a ",
            b"a\x00",
            b"%",
            b":",
            b"\xff",
            b"a" * 48,
            b"a" * 47 + b"b",
        )
        kept = [ceremony(of, challenge=start + end) for end in ends]
        for one in kept:
            expect(await repository.add_ceremony(one), True, f"the answer to challenge {one.state.challenge.hex()}")
        for one in kept:
            expect(await repository.take_ceremony(of, one.state.challenge), one, "the ceremony")

    @rule
    async def test_realms_know_nothing_of_each_other(self, repository: AsyncCeremonyRepository) -> None:
        """The same challenge in two realms is two ceremonies; taking it in a third takes neither."""
        one, challenge = realm(), token_bytes(32)
        realms = (one, one.lower(), one + " ", one + ":", "")
        kept = [ceremony(of, challenge=challenge) for of in realms]
        for each in kept:
            expect(await repository.add_ceremony(each), True, f"the answer in realm {each.state.realm!r}")
        for of in (one[:-1], one + "\u0301", realm()):
            expect(await repository.take_ceremony(of, challenge), None, "the answer in another realm")
        for each in kept:
            expect(await repository.take_ceremony(each.state.realm, challenge), each, "the ceremony")

    @rule
    async def test_a_minute_passes_before_it_is_removed(self, repository: AsyncCeremonyRepository) -> None:
        """A ceremony that expired a minute ago or less is not removed: its own time says that it is over."""
        kept = ceremony(realm(), EARLIER)
        await repository.add_ceremony(kept)
        await repository.remove_expired(EARLIER + LIFETIME + _GRACE)
        expect(await repository.take_ceremony(kept.state.realm, kept.state.challenge), kept, "the ceremony")

    @rule
    async def test_what_expired_is_removed(self, repository: AsyncCeremonyRepository) -> None:
        """What expired more than a minute ago is removed and counted, in whatever order it came, and nothing else.

        A storage that does this by itself removes nothing here, and says 0.
        """
        of = realm()
        over = [ceremony(of, EARLIER - timedelta(seconds=late)) for late in range(20)]
        open_ = [ceremony(of, begun) for begun in (BEGUN, EARLIER + _INSTANT, BEGUN)]
        for one in (*over[:10], open_[0], *reversed(over[10:]), *open_[1:]):
            await repository.add_ceremony(one)
        removed = await repository.remove_expired(EARLIER + LIFETIME + _GRACE + _INSTANT)
        left = [one for one in over if await repository.take_ceremony(of, one.state.challenge) is not None]
        if removed:
            expect(len(left), 0, "the number of expired ceremonies that are still there")
            demand(removed >= len(over), f"{len(over)} were removed, and {removed} counted")
        else:
            expect(len(left), len(over), "the number of ceremonies after none was removed")
        for one in open_:
            expect(await repository.take_ceremony(of, one.state.challenge), one, "the ceremony that is not over")
        expect(await repository.remove_expired(EARLIER), 0, "the number when nothing expired")

    @race
    async def test_one_caller_gets_it(self, repository: AsyncCeremonyRepository, together: Together) -> None:
        """Of any number of callers who take one challenge, one gets the ceremony."""
        for _ in range(ROUNDS):
            kept = ceremony(realm())
            await repository.add_ceremony(kept)
            take = partial(repository.take_ceremony, kept.state.realm, kept.state.challenge)
            expect_one(await together([take] * CALLERS), kept, None)

    @race
    async def test_one_caller_adds_it(self, repository: AsyncCeremonyRepository, together: Together) -> None:
        """Of any number of callers who add one challenge, one succeeds, and it is that one's ceremony that is kept."""
        for _ in range(ROUNDS):
            of, challenge = realm(), token_bytes(32)
            kept = [ceremony(of, challenge=challenge, user_id=f"user-{number}") for number in range(CALLERS)]
            added = expect_one(await together([partial(repository.add_ceremony, one) for one in kept]), True, False)
            expect(await repository.take_ceremony(of, challenge), kept[added], "the ceremony")

    @race
    async def test_everybody_gets_their_own(self, repository: AsyncCeremonyRepository, together: Together) -> None:
        """Callers who take different challenges at the same time get their own ceremonies."""
        of = realm()
        kept = [ceremony(of, user_id=f"user-{number}") for number in range(CALLERS)]
        expect(await together([partial(repository.add_ceremony, one) for one in kept]), [True] * CALLERS)
        taken = await together([partial(repository.take_ceremony, of, one.state.challenge) for one in kept])
        for got, one in zip(taken, kept, strict=True):
            expect(got, one, "the ceremony")


class SpentContract:
    """What a `SpentRepository` must do, synchronous or asynchronous."""

    @rule
    async def test_a_key_is_spent_once(self, repository: AsyncSpentRepository) -> None:
        """A key is spent the first time and never again, whatever expiry is given with it."""
        of, key = realm(), token_bytes(32)
        expect(await repository.spend(of, key, BEGUN), True)
        for expires_at in (BEGUN, BEGUN + LIFETIME, EARLIER):
            expect(await repository.spend(of, key, expires_at), False, "the answer to the same key again")
        expect(await repository.spend(of, key, BEGUN), False, "the answer to the same key once more")

    @rule
    async def test_keys_that_look_alike_are_different(self, repository: AsyncSpentRepository) -> None:
        """Keys are compared byte for byte over their whole length."""
        of, start = realm(), token_bytes(30)
        for end in (b"aa", b"aA", b"a\x00", b"\x00\x00", b"\x00a", b"a ", b"a%", b"\xff\xff"):
            expect(await repository.spend(of, start + end, BEGUN), True, f"the answer to key {(start + end).hex()}")

    @rule
    async def test_realms_spend_apart(self, repository: AsyncSpentRepository) -> None:
        """The same key in two realms is two keys."""
        one, key = realm(), token_bytes(32)
        for of in (one, one.lower(), one + " ", one + ":", ""):
            expect(await repository.spend(of, key, BEGUN), True, f"the answer in realm {of!r}")
            expect(await repository.spend(of, key, BEGUN), False, f"the second answer in realm {of!r}")

    @rule
    async def test_a_key_stays_spent_until_it_is_over(self, repository: AsyncSpentRepository) -> None:
        """Cleaning forgets a key that expired more than a minute ago, and no other.

        A storage that does this by itself removes nothing here, and says 0.
        """
        of, over = realm(), token_bytes(32)
        needed = {token_bytes(32): late for late in (_INSTANT, timedelta(minutes=1), BEGUN - EARLIER)}
        expect(await repository.spend(of, over, EARLIER), True)
        for key, late in needed.items():
            expect(await repository.spend(of, key, EARLIER + late), True)
        removed = await repository.remove_expired(EARLIER + _GRACE)
        expect(await repository.spend(of, over, EARLIER), False, "the answer to a key that expired a minute ago")
        removed = await repository.remove_expired(EARLIER + _GRACE + _INSTANT)
        for key, late in needed.items():
            expect(await repository.spend(of, key, EARLIER + late), False, "the answer to a key that is not over")
        expect(await repository.spend(of, over, BEGUN), removed > 0, f"that a key is forgotten when {removed} were")

    @race
    async def test_one_caller_spends_it(self, repository: AsyncSpentRepository, together: Together) -> None:
        """Of any number of callers who spend one key, one succeeds."""
        for _ in range(ROUNDS):
            spend = partial(repository.spend, realm(), token_bytes(32), BEGUN)
            expect_one(await together([spend] * CALLERS), True, False)
