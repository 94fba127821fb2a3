"""Rules for challenges to devices: kept until they are over, and answered only as they were read."""

from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe

import msgspec

from passkeycore.engine.devices.records import DeviceChallenge, DeviceCredential
from passkeycore.engine.devices.repository import AsyncDeviceRepository
from passkeycore.testing.contract.devices.samples import (
    answered,
    challenge,
    changed,
    device,
    full_challenge,
    owned,
    successors,
)
from passkeycore.testing.contract.harness import demand, expect, rule
from passkeycore.testing.contract.samples import BEGUN, EARLIER, LIFETIME, NOW, realm, user

_GRACE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class DeviceChallengeRules:
    """Part of `DeviceContract`."""

    @rule
    async def test_a_device_challenge_comes_back(self, repository: AsyncDeviceRepository) -> None:
        """A challenge comes back equal in every member, as often as it is looked up, and needs no user to be there."""
        of = realm()
        for kept in (challenge(of), full_challenge(of)):
            expect(await repository.add_device_challenge(kept, None), True)
            for _ in range(2):
                expect(await repository.find_device_challenge(of, kept.challenge_id), kept, "the challenge")

    @rule
    async def test_an_unknown_device_challenge_is_none(self, repository: AsyncDeviceRepository) -> None:
        """A challenge that nobody added gives None, and cannot be written over."""
        of = realm()
        expect(await repository.find_device_challenge(of, token_urlsafe(32)), None)
        none = answered(challenge(of))
        expect(await repository.replace_device_challenge(none, None, None), False)
        expect(await repository.find_device_challenge(of, none.challenge_id), None, "the challenge afterwards")

    @rule
    async def test_a_device_challenge_is_never_replaced_by_a_new_one(self, repository: AsyncDeviceRepository) -> None:
        """The same id a second time is refused, and the first challenge stays."""
        of = realm()
        first = challenge(of, user_id="first")
        second = challenge(of, user_id="second", challenge_id=first.challenge_id)
        expect(await repository.add_device_challenge(first, None), True)
        expect(await repository.add_device_challenge(second, None), False, "the answer to the same id again")
        expect(await repository.find_device_challenge(of, first.challenge_id), first, "the first challenge")
        expect(await repository.pending_device_challenges(of, "second", BEGUN, 5), (), "the second user's challenges")

    @rule
    async def test_device_challenges_that_look_alike_are_different(self, repository: AsyncDeviceRepository) -> None:
        """Ids compare character for character over their whole length, and those of realms are apart."""
        one, start = realm(), token_urlsafe(32)[:41]
        kept = [challenge(one, challenge_id=start + end) for end in ("aa", "aA", "Aa", "a_", "a-", "__", "--")]
        kept += [challenge(of, challenge_id=start + "aa") for of in (one.lower(), one + " ", "")]
        for each in kept:
            expect(await repository.add_device_challenge(each, None), True, f"the answer to {each.challenge_id}")
        for each in kept:
            expect(await repository.find_device_challenge(each.realm, each.challenge_id), each, "the challenge")
        for number, each in enumerate(kept):
            expect(await repository.replace_device_challenge(answered(each), None, None), True)
            for other in kept[number + 1 :]:
                expect(await repository.find_device_challenge(other.realm, other.challenge_id), other, "another one")

    @rule
    async def test_pending_device_challenges_are_listed(self, repository: AsyncDeviceRepository) -> None:
        """Those to the user that wait or are claimed and expire after `now`, the last one first, up to the limit."""
        of, who = realm(), user(realm()).user_id
        waiting = [
            challenge(of, BEGUN + seconds * _SECOND, user_id=who, state=state)
            for seconds, state in ((2, "pending"), (0, "claimed"), (5, "pending"), (3, "claimed"))
        ]
        late = challenge(of, BEGUN - LIFETIME + _INSTANT, user_id=who)
        for each in (
            *waiting,
            late,
            challenge(of, BEGUN - LIFETIME, user_id=who),
            *(challenge(of, user_id=who, state=state) for state in ("approved", "rejected", "failed")),
            *(challenge(of, user_id=other) for other in (None, who.upper(), who + " ", who[:-1], "%")),
            challenge(realm(), user_id=who),
        ):
            expect(await repository.add_device_challenge(each, None), True)
        wanted = (*sorted(waiting, key=lambda each: each.created_at, reverse=True), late)
        for limit in (1, 2, 3, 4, 5, 6, 100):
            listed = await repository.pending_device_challenges(of, who, BEGUN, limit)
            expect(listed, wanted[:limit], f"the challenges with a limit of {limit}")
        expect(await repository.pending_device_challenges(of, who, BEGUN + _INSTANT, 9), wanted[:-1], "a moment later")
        done = answered(wanted[0], state="rejected")
        expect(await repository.replace_device_challenge(done, None, None), True)
        expect(await repository.pending_device_challenges(of, who, BEGUN, 9), wanted[1:], "those left after an answer")

    @rule
    async def test_a_device_challenge_is_written_over(self, repository: AsyncDeviceRepository) -> None:
        """Every member can be changed, also to None, and no other challenge is; who claims it has it on their list."""
        of = realm()
        kept, other = challenge(of, method="qr-code"), challenge(of)
        claimer = user(of).user_id
        await repository.add_device_challenge(kept, None)
        await repository.add_device_challenge(other, None)
        full = full_challenge(of)
        for changes in (
            {"state": "claimed", "user_id": claimer, "authenticator_id": full.authenticator_id},
            {"state": "claimed", "attempts_left": 0, "verification_code": "99"},
            {"state": "approved", "answered_at": full.answered_at, "purpose": full.purpose, "content": full.content},
            {"state": "approved", "taken_at": full.taken_at, "binding": full.binding},
            {"state": "pending", "answered_at": None, "taken_at": None, "binding": None, "verification_code": None},
            {"state": "failed", "user_id": None, "authenticator_id": None, "purpose": None, "content": ""},
        ):
            kept = msgspec.structs.replace(kept, revision=kept.revision + 1, **changes)
            expect(await repository.replace_device_challenge(kept, None, None), True)
            expect(await repository.find_device_challenge(of, kept.challenge_id), kept, "the challenge")
            listed = await repository.pending_device_challenges(of, claimer, BEGUN, 5)
            waits = kept.user_id is not None and kept.state in ("pending", "claimed")
            expect(listed, (kept,) if waits else (), "the claimer's list")
        expect(await repository.find_device_challenge(of, other.challenge_id), other, "another challenge")

    @rule
    async def test_an_answer_is_written_only_as_read(self, repository: AsyncDeviceRepository) -> None:
        """Where the stored revision of the challenge, or of the device, is not one less, neither is written."""
        of = realm()
        owner, used = await owned(repository, of)
        kept = challenge(of, user_id=owner.user_id)
        await repository.add_device_challenge(kept, None)
        for _ in range(2):
            kept, used = answered(kept, state="claimed", answered_at=None), changed(used)
            expect(await repository.replace_device_challenge(kept, used, None), True)
        for one in (0, 1, 2, 3, 4):
            for two in (0, 1, 2, 3, 4):
                if (one, two) != (3, 3):
                    answer = await repository.replace_device_challenge(
                        msgspec.structs.replace(answered(kept), revision=one),
                        msgspec.structs.replace(changed(used, name="stale"), revision=two),
                        None,
                    )
                    expect(answer, False, f"the answer to revisions {one} of the challenge and {two} of the device")
        await _still(repository, kept, used)
        for stale in (answered(kept, revision=kept.revision), answered(kept, realm=realm())):
            expect(await repository.replace_device_challenge(stale, None, None), False, "the answer without a device")
        await _still(repository, kept, used)
        final, last = answered(kept), changed(used, last_used_at=NOW)
        expect(await repository.replace_device_challenge(final, last, None), True)
        await _still(repository, final, last)
        expect(await repository.replace_device_challenge(final, last, None), False, "the answer a second time")

    @rule
    async def test_a_device_that_is_gone_does_not_answer(self, repository: AsyncDeviceRepository) -> None:
        """With a device that was removed meanwhile nothing is written, and the device does not come back."""
        of = realm()
        owner, gone = await owned(repository, of)
        other, theirs = await owned(repository, of)
        kept = challenge(of, user_id=owner.user_id)
        await repository.add_device_challenge(kept, None)
        await repository.remove_device(of, owner.user_id, gone.authenticator_id, None)
        for who in (gone, device(owner), msgspec.structs.replace(theirs, realm=realm())):
            expect(await repository.replace_device_challenge(answered(kept), changed(who), None), False)
            expect(await repository.find_device_challenge(of, kept.challenge_id), kept, "the challenge")
        expect(await repository.list_devices(of, owner.user_id), (), "the devices")
        expect(await repository.list_devices(of, other.user_id), (theirs,), "another user's devices")
        expect(await repository.replace_device_challenge(answered(kept), None, None), True, "without a device")

    @rule
    async def test_a_device_that_took_the_id_of_another_does_not_answer_for_it(
        self, repository: AsyncDeviceRepository
    ) -> None:
        """With what was read of a device that is gone nothing is written, also where another one has its id by now."""
        of = realm()
        owner, other = await repository.get_or_create_user(user(of)), await repository.get_or_create_user(user(of))
        for gone, heir in successors(owner, other):
            kept = challenge(of, user_id=owner.user_id)
            await repository.add_device_challenge(kept, None)
            await repository.add_device(gone, 5, None)
            await repository.remove_device(of, owner.user_id, gone.authenticator_id, None)
            expect(await repository.add_device(heir, 5, None), "added", "the answer to an id that is free")
            expect(await repository.replace_device_challenge(answered(kept), changed(gone), None), False)
            expect(await repository.find_device_challenge(of, kept.challenge_id), kept, "the challenge")
            whose = other if heir.user_id == other.user_id else owner
            found = await repository.find_device(of, heir.method, heir.public_key)
            expect(found, (heir, whose), "the device with its owner")

    @rule
    async def test_nobody_who_is_disabled_answers(self, repository: AsyncDeviceRepository) -> None:
        """With a device of a user who was disabled meanwhile nothing is written; enabled again, it answers as ever."""
        of = realm()
        (owner, used), (_, theirs) = await owned(repository, of), await owned(repository, of)
        kept, second = challenge(of, user_id=owner.user_id), challenge(of)
        for each in (kept, second):
            await repository.add_device_challenge(each, None)
        await repository.set_user_disabled(of, owner.user_id, NOW, None)
        expect(await repository.replace_device_challenge(answered(kept), changed(used), None), False)
        expect(await repository.find_device_challenge(of, kept.challenge_id), kept, "the challenge")
        disabled = msgspec.structs.replace(owner, disabled_at=NOW)
        found = await repository.find_device(of, used.method, used.public_key)
        expect(found, (used, disabled), "the device with its owner")
        late = answered(kept, state="failed", answered_at=None)
        expect(await repository.replace_device_challenge(late, None, None), True, "the answer without a device")
        expect(await repository.replace_device_challenge(answered(second), changed(theirs), None), True, "another's")
        await repository.set_user_disabled(of, owner.user_id, None, None)
        again = answered(late)
        expect(await repository.replace_device_challenge(again, changed(used), None), True, "when enabled")
        await _still(repository, again, changed(used))

    @rule
    async def test_a_user_goes_with_all_devices_and_their_challenges(self, repository: AsyncDeviceRepository) -> None:
        """Removing a user removes their devices and the challenges to them, nobody else's; keys and ids are free."""
        of = realm()
        (owner, kept), (other, theirs) = await owned(repository, of), await owned(repository, of)
        second = device(owner)
        await repository.add_device(second, 5, None)
        mine = [challenge(of, user_id=owner.user_id, state=state) for state in ("pending", "claimed", "approved")]
        others = [
            *(challenge(of, user_id=who) for who in (None, other.user_id)),
            challenge(realm(), user_id=owner.user_id),
        ]
        claimed = challenge(of, method="qr-code")
        for each in (*mine, *others, claimed):
            await repository.add_device_challenge(each, None)
        mine.append(answered(claimed, state="claimed", user_id=owner.user_id))
        expect(await repository.replace_device_challenge(mine[-1], None, None), True)
        expect(await repository.remove_user(of, owner.user_id, None), True)
        for again in (False, True):
            if again:
                await repository.get_or_create_user(user(of, user_id=owner.user_id))
            for one in (kept, second):
                expect(await repository.find_device(of, one.method, one.public_key), None, "a removed user's device")
            expect(await repository.list_devices(of, owner.user_id), (), "the removed user's devices")
            for gone in mine:
                found = await repository.find_device_challenge(of, gone.challenge_id)
                expect(found, None, "a challenge to the removed user")
            listed = await repository.pending_device_challenges(of, owner.user_id, BEGUN, 9)
            expect(listed, (), "the removed user's list of challenges")
        for left in others:
            found = await repository.find_device_challenge(left.realm, left.challenge_id)
            expect(found, left, "a challenge to somebody else")
        expect(await repository.list_devices(of, other.user_id), (theirs,), "the other user's devices")
        heir = device(other, authenticator_id=kept.authenticator_id, public_key=kept.public_key)
        expect(await repository.add_device(heir, 5, None), "added", "the answer to a key and an id that are free")

    @rule
    async def test_a_minute_passes_before_a_device_challenge_is_removed(
        self, repository: AsyncDeviceRepository
    ) -> None:
        """A challenge that expired a minute ago or less is not removed: its own time says that it is over."""
        kept = challenge(realm(), EARLIER)
        await repository.add_device_challenge(kept, None)
        await repository.remove_expired(EARLIER + LIFETIME + _GRACE)
        expect(await repository.find_device_challenge(kept.realm, kept.challenge_id), kept, "the challenge")

    @rule
    async def test_device_challenges_that_expired_are_removed(self, repository: AsyncDeviceRepository) -> None:
        """What expired more than a minute ago is removed and counted, answered or not, and nothing else.

        A storage that does this by itself, by its own clock, removes nothing here, and says 0. But what is over by
        every clock is gone then, by whomever.
        """
        of, who = realm(), user(realm()).user_id
        over = [challenge(of, EARLIER - number * _SECOND, user_id=who) for number in range(20)]
        open_ = [challenge(of, begun, user_id=who) for begun in (BEGUN, EARLIER + _INSTANT, BEGUN)]
        long_ago = challenge(of, _LONG_AGO, user_id=who)
        for one in (*over[:10], long_ago, open_[0], *reversed(over[10:]), *open_[1:]):
            await repository.add_device_challenge(one, None)
        for one in over[::3]:
            expect(await repository.replace_device_challenge(answered(one), None, None), True)
        open_[0] = answered(open_[0])
        expect(await repository.replace_device_challenge(open_[0], None, None), True)
        removed = await repository.remove_expired(EARLIER + LIFETIME + _GRACE + _INSTANT)
        found = await repository.find_device_challenge(of, long_ago.challenge_id)
        expect(found, None, "the challenge that expired by every clock")
        left = [one for one in over if await repository.find_device_challenge(of, one.challenge_id) is not None]
        if removed:
            expect(len(left), 0, "the number of expired challenges that are still there")
            demand(removed >= len(over), f"{len(over)} were removed, and {removed} counted")
        else:
            expect(len(left), len(over), "the number of challenges after none was removed")
        for one in open_:
            expect(await repository.find_device_challenge(of, one.challenge_id), one, "the challenge that is not over")
        expect(await repository.remove_expired(EARLIER), 0, "the number when nothing expired")


async def _still(repository: AsyncDeviceRepository, kept: DeviceChallenge, used: DeviceCredential) -> None:
    expect(await repository.find_device_challenge(kept.realm, kept.challenge_id), kept, "the challenge")
    expect(await repository.list_devices(used.realm, used.user_id), (used,), "the devices")
