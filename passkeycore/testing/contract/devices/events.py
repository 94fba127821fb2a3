"""Rules for devices in a repository that stores events: with the change or not at all."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import msgspec

from passkeycore.engine.devices.repository import AsyncDeviceRepository
from passkeycore.engine.records import Event, EventFilter, EventPage, EventType
from passkeycore.engine.repository import AsyncEventRepository
from passkeycore.testing.contract.devices.samples import answered, challenge, changed, device, owned
from passkeycore.testing.contract.harness import demand, expect, rule
from passkeycore.testing.contract.samples import NOW, event, realm, user


class AsyncRecordedDevices(AsyncDeviceRepository, AsyncEventRepository, Protocol):
    """Devices, and events in the same transactions."""


class DeviceEventContract:
    """What a `DeviceRepository` must do that is an `EventRepository`, too, synchronous or asynchronous."""

    @rule
    async def test_every_change_of_a_device_stores_its_event(self, repository: AsyncRecordedDevices) -> None:
        """An event that is given with a change of a device or a challenge is there when the change is."""
        of = realm()
        owner = await repository.get_or_create_user(user(of))
        kept, asked = device(owner), challenge(of)
        changes: list[Callable[[Event], Coroutine[Any, Any, object]]] = [
            lambda noted: repository.add_device_challenge(asked, noted),
            lambda noted: repository.add_device(kept, 5, noted),
            lambda noted: repository.replace_device(changed(kept), noted),
            lambda noted: repository.replace_device_challenge(answered(asked), changed(changed(kept)), noted),
            lambda noted: repository.replace_device_challenge(answered(answered(asked)), None, noted),
            lambda noted: repository.remove_device(of, owner.user_id, kept.authenticator_id, noted),
        ]
        stored: list[Event] = []
        for number, change in enumerate(changes):
            noted = event(of, EventType.DEVICE_UPDATED, user_id=owner.user_id, details={"change": str(number)})
            answer = await change(noted)
            demand(answer in (True, "added"), f"the answer to change {number} is {answer!r}")
            stored.insert(0, noted)
            page = await repository.list_events(of, EventFilter(), None, 100)
            expect(page, EventPage(events=tuple(stored)), f"the events after change {number}")

    @rule
    async def test_no_event_is_stored_where_no_device_changes(self, repository: AsyncRecordedDevices) -> None:
        """An event that is given with a change that is refused is not stored."""
        of = realm()
        owner, kept = await owned(repository, of)
        other, theirs = await owned(repository, of)
        await repository.set_user_disabled(of, other.user_id, NOW, None)
        asked = challenge(of, user_id=owner.user_id)
        await repository.add_device_challenge(asked, None)
        noted = event(of, EventType.DEVICE_UPDATED, user_id=owner.user_id)
        refused: list[Callable[[], Coroutine[Any, Any, object]]] = [
            partial(repository.add_device, kept, 5, noted),
            partial(repository.add_device, device(owner, public_key=kept.public_key), 5, noted),
            partial(repository.add_device, device(owner), 1, noted),
            partial(repository.add_device, device(user(of)), 5, noted),
            partial(repository.add_device, device(other), 5, noted),
            partial(repository.replace_device, kept, noted),
            partial(repository.replace_device, changed(device(owner)), noted),
            partial(repository.remove_device, of, other.user_id, kept.authenticator_id, noted),
            partial(repository.add_device_challenge, asked, noted),
            partial(repository.add_device_challenge, challenge(of, challenge_id=asked.challenge_id), noted),
            partial(repository.replace_device_challenge, asked, None, noted),
            partial(repository.replace_device_challenge, asked, changed(kept), noted),
            partial(repository.replace_device_challenge, answered(asked), kept, noted),
            partial(repository.replace_device_challenge, answered(asked), changed(device(owner)), noted),
            partial(repository.replace_device_challenge, answered(asked), changed(theirs), noted),
            partial(repository.replace_device_challenge, answered(challenge(of)), changed(kept), noted),
        ]
        for number, change in enumerate(refused):
            answer = await change()
            demand(answer not in (True, "added"), f"the answer to refusal {number} is {answer!r}")
            page = await repository.list_events(of, EventFilter(), None, 100)
            expect(page, EventPage(events=()), f"the events after refusal {number}")
        still = msgspec.structs.replace(kept, revision=1)
        expect(await repository.replace_device(still, noted), True, "the answer to a change at the end")
