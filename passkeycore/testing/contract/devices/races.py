"""Rules for devices and their challenges while many write at the same time."""

from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

from passkeycore.engine.devices.repository import AsyncDeviceRepository
from passkeycore.testing.contract.devices.samples import answered, challenge, changed, device, owned, public_key
from passkeycore.testing.contract.harness import Together, demand, expect, expect_one, race
from passkeycore.testing.contract.samples import CALLERS, NOW, ROUNDS, realm, user

_LATER = NOW + timedelta(days=1)
_WRITERS = 12
_LIMIT = 5
Call: TypeAlias = Callable[[], Coroutine[Any, Any, object]]


class DeviceRaces:
    """Part of `DeviceContract`."""

    @race
    async def test_one_of_many_enrols_a_key(self, repository: AsyncDeviceRepository, together: Together) -> None:
        """Of many users who enrol one key for one method, one succeeds; the others get `credential_exists`."""
        for _ in range(ROUNDS):
            of, key = realm(), public_key()
            owners = [await repository.get_or_create_user(user(of)) for _ in range(CALLERS)]
            devices = [device(owner, public_key=key) for owner in owners]
            calls = [partial(repository.add_device, each, _LIMIT, None) for each in devices]
            won = expect_one(await together(calls), "added", "credential_exists")
            expect(await repository.find_device(of, "push", key), (devices[won], owners[won]), "the device")
            for number, owner in enumerate(owners):
                kept = (devices[number],) if number == won else ()
                expect(await repository.list_devices(of, owner.user_id), kept, "the devices")

    @race
    async def test_a_device_is_enrolled_once_for_its_user(
        self, repository: AsyncDeviceRepository, together: Together
    ) -> None:
        """Of many callers who enrol one key, or one id, for the same user, one succeeds and nothing is replaced."""
        for round_ in range(ROUNDS):
            owner = await repository.get_or_create_user(user(realm()))
            one = device(owner)
            same = {"public_key": one.public_key} if round_ % 2 else {"authenticator_id": one.authenticator_id}
            devices = [device(owner, name=str(number), **same) for number in range(CALLERS)]
            calls = [partial(repository.add_device, each, CALLERS, None) for each in devices]
            won = expect_one(await together(calls), "added", "credential_exists")
            expect(await repository.list_devices(owner.realm, owner.user_id), (devices[won],), "the devices")

    @race
    async def test_the_limit_of_devices_holds_for_many_writers(
        self, repository: AsyncDeviceRepository, together: Together
    ) -> None:
        """Of 12 writers with a limit of 5 exactly 5 succeed, and after a removal exactly one more."""
        for _ in range(ROUNDS):
            owner = await repository.get_or_create_user(user(realm()))
            for free in (_LIMIT, 1):
                calls = [partial(repository.add_device, device(owner), _LIMIT, None) for _ in range(_WRITERS)]
                answers = Counter(await together(calls))
                wanted = {"added": free, "limit_reached": _WRITERS - free}
                demand(answers == wanted, f"{_WRITERS} writers with {free} places free got {dict(answers)}")
                kept = await repository.list_devices(owner.realm, owner.user_id)
                expect(len(kept), _LIMIT, "the number of devices")
                await repository.remove_device(owner.realm, owner.user_id, kept[1].authenticator_id, None)

    @race
    async def test_one_of_many_changes_a_device(self, repository: AsyncDeviceRepository, together: Together) -> None:
        """Of many who read the same revision of a device, one writes; what stays is what that one wrote."""
        for _ in range(ROUNDS):
            _, kept = await owned(repository, realm())
            versions = [changed(kept, name=str(number)) for number in range(CALLERS)]
            calls = [partial(repository.replace_device, each, None) for each in versions]
            won = expect_one(await together(calls), True, False)
            expect(await repository.list_devices(kept.realm, kept.user_id), (versions[won],), "the devices")

    @race
    async def test_one_of_many_removes_a_device(self, repository: AsyncDeviceRepository, together: Together) -> None:
        """Of many who remove one device, one is told that it did."""
        for _ in range(ROUNDS):
            _, kept = await owned(repository, realm())
            call = partial(repository.remove_device, kept.realm, kept.user_id, kept.authenticator_id, None)
            expect_one(await together([call] * CALLERS), True, False)

    @race
    async def test_no_device_outlives_its_user(self, repository: AsyncDeviceRepository, together: Together) -> None:
        """Whoever adds a device while its user is removed comes before and loses it, or is told `user_not_found`."""
        for round_ in range(ROUNDS * 2):
            owner = await repository.get_or_create_user(user(realm()))
            devices = [device(owner) for _ in range(_WRITERS)]
            add = [partial(repository.add_device, each, _WRITERS, None) for each in devices]
            remove = partial(repository.remove_user, owner.realm, owner.user_id, None)
            place = round_ * 2 % _WRITERS
            calls: list[Call] = [*add[:place], remove, *add[place:]]
            answers = await together(calls)
            expect(answers.pop(place), True, "the answer to the one who removed")
            demand(set(answers) <= {"added", "user_not_found"}, f"those who added got {sorted(map(str, set(answers)))}")
            expect(await repository.list_devices(owner.realm, owner.user_id), (), "the removed user's devices")
            for each in devices:
                found = await repository.find_device(owner.realm, each.method, each.public_key)
                expect(found, None, "a device of the removed user")

    @race
    async def test_one_of_many_adds_a_device_challenge(
        self, repository: AsyncDeviceRepository, together: Together
    ) -> None:
        """Of many callers who add one challenge id, one succeeds, and it is that one's challenge that is kept."""
        for _ in range(ROUNDS):
            of = realm()
            one = challenge(of)
            kept = [challenge(of, challenge_id=one.challenge_id, user_id=f"user-{n}") for n in range(CALLERS)]
            won = expect_one(
                await together([partial(repository.add_device_challenge, each, None) for each in kept]), True, False
            )
            expect(await repository.find_device_challenge(of, one.challenge_id), kept[won], "the challenge")

    @race
    async def test_a_device_challenge_is_answered_once(
        self, repository: AsyncDeviceRepository, together: Together
    ) -> None:
        """Of many devices that answer one challenge, one does, and only that device is written."""
        for _ in range(ROUNDS):
            of = realm()
            devices = [(await owned(repository, of))[1] for _ in range(CALLERS)]
            kept = challenge(of, method="qr-code")
            await repository.add_device_challenge(kept, None)
            answers = [
                answered(kept, state=("approved", "rejected")[number % 2], authenticator_id=each.authenticator_id)
                for number, each in enumerate(devices)
            ]
            used = [changed(each, last_used_at=_LATER) for each in devices]
            calls = [
                partial(repository.replace_device_challenge, answers[number], used[number], None)
                for number in range(CALLERS)
            ]
            won = expect_one(await together(calls), True, False)
            expect(await repository.find_device_challenge(of, kept.challenge_id), answers[won], "the challenge")
            for number, each in enumerate(devices):
                stored = used[number] if number == won else each
                expect(await repository.list_devices(of, each.user_id), (stored,), "the devices")

    @race
    async def test_a_device_answers_one_challenge_at_a_time(
        self, repository: AsyncDeviceRepository, together: Together
    ) -> None:
        """Of many challenges that one revision of a device answers, one is answered and the others wait as before."""
        for _ in range(ROUNDS):
            owner, used = await owned(repository, realm())
            kept = [challenge(owner.realm, user_id=owner.user_id) for _ in range(CALLERS)]
            for each in kept:
                await repository.add_device_challenge(each, None)
            after = [changed(used, name=str(number)) for number in range(CALLERS)]
            calls = [
                partial(repository.replace_device_challenge, answered(each), after[number], None)
                for number, each in enumerate(kept)
            ]
            won = expect_one(await together(calls), True, False)
            expect(await repository.list_devices(owner.realm, owner.user_id), (after[won],), "the devices")
            for number, each in enumerate(kept):
                stored = answered(each) if number == won else each
                found = await repository.find_device_challenge(owner.realm, each.challenge_id)
                expect(found, stored, "the challenge")

    @race
    async def test_an_answer_comes_before_a_removal_or_not_at_all(
        self, repository: AsyncDeviceRepository, together: Together
    ) -> None:
        """Where a device answers while it is removed, the challenge is as the answer says, and no device comes back."""
        for round_ in range(ROUNDS * 2):
            owner, used = await owned(repository, realm())
            kept = challenge(owner.realm, user_id=owner.user_id)
            await repository.add_device_challenge(kept, None)
            calls: list[Call] = [
                partial(repository.replace_device_challenge, answered(kept), changed(used), None),
                partial(repository.remove_device, owner.realm, owner.user_id, used.authenticator_id, None),
            ]
            answers = await together(calls[:: 1 if round_ % 2 else -1])
            answer, removed = answers[:: 1 if round_ % 2 else -1]
            expect(removed, True, "the answer to the one who removed")
            expect(await repository.list_devices(owner.realm, owner.user_id), (), "the devices")
            found = await repository.find_device_challenge(owner.realm, kept.challenge_id)
            expect(found, answered(kept) if answer is True else kept, f"the challenge after the answer {answer}")
