"""Memory as a repository: bounded, cleaned in steps, shared by both colours. The contract is in `test_contract`."""

import asyncio
import inspect
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest

from passkeycore import ConfigurationError, ConflictError
from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import ActionFilter, ActionHistory
from passkeycore.engine.actions.repository import ActionRepository, AsyncActionRepository
from passkeycore.engine.devices.repository import AsyncDeviceRepository, DeviceRepository
from passkeycore.engine.records import EventFilter
from passkeycore.engine.repository import (
    AsyncEventRepository,
    AsyncRepository,
    AsyncSpentRepository,
    EventRepository,
    Repository,
    SpentRepository,
)
from passkeycore.engine.webhooks.repository import AsyncOutboxRepository, OutboxRepository
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing.contract.actions.samples import action, later, named
from passkeycore.testing.contract.devices.samples import answered, challenge, device
from passkeycore.testing.contract.samples import BEGUN, LIFETIME, NOW, ceremony, event, passkey, user

S = ActionState
MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)


def test_both_colours_have_their_protocols() -> None:
    """The type checkers accept these assignments, and refuse the wrong colour (or the ignores were unused)."""
    repository: Repository = MemoryRepository()
    events: EventRepository = MemoryRepository()
    spent: SpentRepository = MemoryRepository()
    devices: DeviceRepository = MemoryRepository()
    actions: ActionRepository = MemoryRepository()
    outbox: OutboxRepository = MemoryRepository()
    asynchronous: AsyncRepository = AsyncMemoryRepository()
    asynchronous_events: AsyncEventRepository = AsyncMemoryRepository()
    asynchronous_spent: AsyncSpentRepository = AsyncMemoryRepository()
    asynchronous_devices: AsyncDeviceRepository = AsyncMemoryRepository()
    asynchronous_actions: AsyncActionRepository = AsyncMemoryRepository()
    asynchronous_outbox: AsyncOutboxRepository = AsyncMemoryRepository()
    wrong: Repository = AsyncMemoryRepository()  # type: ignore[assignment]
    asynchronous_wrong: AsyncRepository = MemoryRepository()  # type: ignore[assignment]
    assert all((repository, events, spent, devices, actions, outbox))
    assert all((asynchronous, asynchronous_events, asynchronous_spent))
    assert all((asynchronous_devices, asynchronous_actions, asynchronous_outbox))
    assert all((wrong, asynchronous_wrong))


def test_the_asynchronous_methods_are_those_of_the_synchronous_ones() -> None:
    """Same names, signatures and docstrings, and nothing is missing."""
    for name, method in inspect.getmembers(MemoryRepository, inspect.isfunction):
        if not name.startswith("_"):
            twin = getattr(AsyncMemoryRepository, name)
            assert inspect.iscoroutinefunction(twin)
            assert inspect.signature(twin) == inspect.signature(method)
            assert twin.__doc__ == method.__doc__
            assert twin.__qualname__ == f"AsyncMemoryRepository.{name}"
    assert inspect.signature(AsyncMemoryRepository) == inspect.signature(MemoryRepository)


def test_both_colours_share_one_memory() -> None:
    repository = AsyncMemoryRepository()
    kept = ceremony("")
    assert repository.memory.add_ceremony(kept)
    assert asyncio.run(repository.take_ceremony("", kept.state.challenge)) == kept


@pytest.mark.parametrize("kind", [MemoryRepository, AsyncMemoryRepository])
@pytest.mark.parametrize("name", ["max_ceremonies", "max_events", "max_spent", "max_device_challenges", "max_actions"])
def test_a_bound_is_positive(kind: type[MemoryRepository] | type[AsyncMemoryRepository], name: str) -> None:
    bound: dict[str, Any] = {name: 1}
    kind(**bound)
    with pytest.raises(ConfigurationError, match=name):
        kind(**{name: bound[name] - 1})


@pytest.mark.parametrize("kind", [MemoryRepository, AsyncMemoryRepository])
def test_every_bound_counts(kind: type[MemoryRepository] | type[AsyncMemoryRepository]) -> None:
    """What is said to the one colour and to the other arrives as what it is called."""
    bounds = {"max_ceremonies": 2, "max_events": 3, "max_spent": 4, "max_device_challenges": 5, "max_actions": 6}
    said: dict[str, Any] = {**bounds, "outbox": True}
    made = kind(**said)
    memory = made if isinstance(made, MemoryRepository) else made.memory
    assert memory._bounds == bounds
    assert memory.keeps_outbox


def test_the_oldest_ceremony_makes_room() -> None:
    repository = MemoryRepository(max_ceremonies=3)
    kept = [ceremony("", BEGUN + timedelta(seconds=-number)) for number in range(5)]
    for one in kept:
        assert repository.add_ceremony(one)
    assert [repository.take_ceremony("", one.state.challenge) for one in kept] == [None, None, *kept[2:]]


def test_an_expired_ceremony_makes_room_before_the_oldest() -> None:
    """What expired more than a minute before the new one began goes first, however late it came."""
    repository = MemoryRepository(max_ceremonies=3)
    oldest = ceremony("", BEGUN, expires_at=BEGUN + timedelta(hours=1))
    over = ceremony("", BEGUN, expires_at=BEGUN + INSTANT)
    late = ceremony("", BEGUN, expires_at=BEGUN + INSTANT * 2)
    new = ceremony("", BEGUN + MINUTE + INSTANT * 2)
    for one in (oldest, over, late, new):
        assert repository.add_ceremony(one)
    assert [repository.take_ceremony("", one.state.challenge) for one in (oldest, over, late, new)] == [
        oldest,
        None,
        late,
        new,
    ]


def test_a_refused_ceremony_leaves_nothing_behind() -> None:
    """The second ceremony with one challenge changes neither the first nor when it is removed."""
    repository = MemoryRepository()
    first = ceremony("", BEGUN)
    second = ceremony("", BEGUN - LIFETIME, challenge=first.state.challenge)
    assert repository.add_ceremony(first)
    assert not repository.add_ceremony(second)
    assert repository.remove_expired(BEGUN + MINUTE + INSTANT) == 0
    assert repository.remove_expired(BEGUN + LIFETIME + MINUTE + INSTANT) == 1


def test_what_expired_is_removed_in_steps_to_the_end() -> None:
    """More than one step's worth goes in one call, from within one second and from several, and is counted."""
    repository = MemoryRepository()
    count = 2500
    for number in range(count):
        repository.add_ceremony(ceremony("", BEGUN + number % 3 * INSTANT * 400_000))
        repository.spend("", number.to_bytes(32), BEGUN + LIFETIME)
        repository.add_device_challenge(challenge("", BEGUN + number % 3 * INSTANT * 400_000), None)
    live = ceremony("", BEGUN + MINUTE)
    repository.add_ceremony(live)
    assert repository.remove_expired(BEGUN + LIFETIME + MINUTE + timedelta(seconds=2)) == 3 * count
    assert repository.remove_expired(BEGUN + LIFETIME + MINUTE + timedelta(seconds=2)) == 0
    assert repository.take_ceremony("", live.state.challenge) == live


def test_nothing_is_left_of_what_was_taken() -> None:
    """Neither taking nor removing leaves a trace: memory does not grow with the number of ceremonies."""
    repository = MemoryRepository()
    for number in range(100):
        one = ceremony("", BEGUN + timedelta(seconds=number))
        repository.add_ceremony(one)
        repository.take_ceremony("", one.state.challenge)
    over = ceremony("")
    repository.add_ceremony(over)
    repository.remove_expired(BEGUN + timedelta(hours=1))
    assert not repository._ceremonies._values
    assert not repository._ceremonies._seconds


def test_what_is_spent_is_not_forgotten_for_want_of_room() -> None:
    """When every key is still needed, a new one is refused, and none can be spent twice."""
    repository = MemoryRepository(max_spent=2)
    needed = datetime.max.replace(tzinfo=UTC)
    assert repository.spend("", b"1", needed)
    assert repository.spend("", b"2", needed)
    assert not repository.spend("", b"3", needed)
    assert not repository.spend("", b"1", needed)
    assert not repository.spend("", b"2", needed)


def test_what_is_spent_and_over_makes_room() -> None:
    repository = MemoryRepository(max_spent=2)
    over = datetime(2000, 1, 1, tzinfo=UTC)
    assert repository.spend("", b"1", over)
    assert repository.spend("", b"2", over)
    assert repository.spend("", b"3", over)
    assert repository.spend("", b"1", over)


def test_the_oldest_events_are_dropped() -> None:
    repository = MemoryRepository(max_events=3)
    kept = [event("") for _ in range(5)]
    for one in kept:
        repository.add_event(one)
    page = repository.list_events("", EventFilter(), None, 2)
    assert page.events == (kept[4], kept[3])
    repository.add_event(event(""))
    assert repository.list_events("", EventFilter(), page.next_cursor, 2).events == ()


def test_a_user_handle_that_another_user_has_is_a_conflict() -> None:
    """Within a realm; once its user is removed, it is free."""
    repository = MemoryRepository()
    first = repository.get_or_create_user(user("one"))
    other = user("one", user_handle=first.user_handle)
    with pytest.raises(ConflictError):
        repository.get_or_create_user(other)
    assert repository.add_passkey(passkey(other), 5, other, None) == "user_exists"
    assert repository.find_account("one", other.user_id) is None
    repository.get_or_create_user(user("two", user_handle=first.user_handle))
    assert repository.remove_user("one", first.user_id, None)
    assert repository.get_or_create_user(other) == other


def test_the_oldest_device_challenge_makes_room() -> None:
    repository = MemoryRepository(max_device_challenges=3)
    kept = [challenge("", BEGUN + timedelta(seconds=-number), user_id="ada") for number in range(5)]
    for one in kept:
        assert repository.add_device_challenge(one, None)
    assert [repository.find_device_challenge("", one.challenge_id) for one in kept] == [None, None, *kept[2:]]
    assert repository.pending_device_challenges("", "ada", BEGUN, 9) == tuple(kept[2:])


def test_an_expired_device_challenge_makes_room_before_the_oldest() -> None:
    """What expired more than a minute before the new one began goes first, however late it came."""
    repository = MemoryRepository(max_device_challenges=2)
    oldest = challenge("", BEGUN, expires_at=BEGUN + timedelta(hours=1), user_id="ada")
    over = challenge("", BEGUN, expires_at=BEGUN + INSTANT, user_id="ada")
    new = challenge("", BEGUN + MINUTE + INSTANT * 2, user_id="ada")
    for one in (oldest, over, new):
        assert repository.add_device_challenge(one, None)
    assert [repository.find_device_challenge("", one.challenge_id) for one in (oldest, over, new)] == [
        oldest,
        None,
        new,
    ]
    assert repository.pending_device_challenges("", "ada", BEGUN, 9) == (new, oldest)


@pytest.mark.parametrize("longer", [LIFETIME, -LIFETIME])
def test_a_device_challenge_is_removed_when_it_expires_by_then(longer: timedelta) -> None:
    """Written over with a later or an earlier expiry, a challenge is removed by that one."""
    repository = MemoryRepository()
    kept = challenge("", BEGUN)
    repository.add_device_challenge(kept, None)
    changed = answered(kept, expires_at=kept.expires_at + longer)
    assert repository.replace_device_challenge(changed, None, None)
    assert repository.remove_expired(changed.expires_at + MINUTE) == 0
    assert repository.find_device_challenge("", kept.challenge_id) == changed
    assert repository.remove_expired(changed.expires_at + MINUTE + INSTANT) == 1
    assert not repository._device_challenges._seconds


def test_nothing_is_left_of_devices_and_challenges_that_are_gone() -> None:
    """Whichever way they go: memory does not grow with what there once was."""
    repository = MemoryRepository(max_device_challenges=2)
    for removed in (False, True):
        owner = repository.get_or_create_user(user(""))
        kept = device(owner)
        assert repository.add_device(kept, 1, None) == "added"
        for _ in range(5):
            claimed = challenge("")
            assert repository.add_device_challenge(claimed, None)
            assert repository.replace_device_challenge(answered(claimed, user_id=owner.user_id), None, None)
        if not removed:
            assert repository.remove_device("", owner.user_id, kept.authenticator_id, None)
            assert repository.remove_expired(BEGUN + timedelta(hours=1)) == 2
            assert not repository._asked
        assert repository.remove_user("", owner.user_id, None)
    stranger = challenge("", user_id="nobody")
    assert repository.add_device_challenge(stranger, None)
    assert repository.remove_user("", "nobody", None)
    assert not repository.remove_user("", "nobody", None)
    for table in (repository._device_owners, repository._device_ids, repository._asked, repository._users):
        assert not table
    assert not repository._device_challenges._values
    assert not repository._device_challenges._seconds


def test_the_oldest_actions_are_dropped() -> None:
    """With all that they say; one that is changed is as old as ever, and one that is there needs no room."""
    repository = MemoryRepository(max_actions=3)
    members = {"state": S.CHALLENGE_SUCCEEDED, "authenticator_id": "key", "device_id": "phone", "user_verified": True}
    kept = [action("", user_id=who, **members) for who in ("ada", "ada", "eve", "eve", "joe")]
    for one in kept[:3]:
        repository.add_action(one, None)
    repository.add_action(kept[0], None)
    assert repository.find_action(*named(kept[0])) == kept[0]
    changed = later(kept[0], state=S.CHALLENGE_FAILED, last_failure_at=NOW)
    assert repository.replace_action(changed, None)
    wanted = ActionHistory(recent_failures=1, device_known=True, user_verified_at=NOW)
    assert repository.action_history("", "ada", ("key",), "phone", NOW, NOW) == wanted
    repository.add_action(kept[3], None)
    left = ActionHistory(device_known=True, user_verified_at=NOW)
    assert repository.action_history("", "ada", ("key",), "phone", NOW, NOW) == left
    repository.add_action(kept[4], None)
    assert [repository.find_action(*named(one)) for one in kept] == [None, None, *kept[2:]]
    assert repository.action_history("", "ada", ("key",), "phone", NOW, NOW) == ActionHistory()
    assert repository.list_actions("", ActionFilter(user_id="ada"), NOW, None, 9).actions == ()
    assert set(repository._pasts) == {("", "eve"), ("", "joe")}


def test_nothing_is_left_of_what_an_action_said_once() -> None:
    """Memory does not grow with the devices and authenticators that a user had."""
    repository = MemoryRepository()
    kept = action("", user_id="ada")
    repository.add_action(kept, None)
    for number in range(9):
        names = {"authenticator_id": f"key-{number}", "device_id": f"device-{number}"}
        kept = later(kept, state=S.CHALLENGE_SUCCEEDED, user_verified=True, **names)
        assert repository.replace_action(kept, None)
    past = repository._pasts["", "ada"]
    assert len(past._devices) == len(past._verified_at) == 1
    assert repository.replace_action(later(kept, state=S.CHALLENGE_REQUIRED), None)
    assert not past._devices
    assert not past._verified_at


def test_actions_that_are_over_are_removed_in_steps_to_the_end() -> None:
    """More than one step's worth goes in one call, whatever lies between, and leaves nothing behind."""

    class Steps(MemoryRepository):
        def _drop(self, place: Any) -> None:
            assert self._lock.locked()
            super()._drop(place)

    repository, count = Steps(), 2500
    kept = [action("", user_id="ada", expires_at=NOW + INSTANT * number) for number in range(3)]
    for number in range(count):
        state = (S.CHALLENGE_FAILED, S.CHALLENGE_SUCCEEDED)[number % 2]
        members = {"device_id": "phone", "authenticator_id": "key", "last_failure_at": NOW, "user_verified": True}
        over = action("", user_id=f"user-{number % 7}", state=state, expires_at=NOW - INSTANT, **members)
        repository.add_action(over, None)
        if number % 1000 == 0:
            repository.add_action(kept[number // 1000], None)
    assert repository.remove_actions("", NOW) == count
    assert repository.list_actions("", ActionFilter(), NOW, None, 9).actions == tuple(reversed(kept))
    assert set(repository._pasts) == {("", "ada")}
    assert repository.remove_actions("", NOW) == 0


def test_an_action_that_changes_while_others_are_removed_is_judged_as_it_is_then() -> None:
    """It was over when the removal began, and is not any more when its turn comes; another one is gone by then."""

    class Meanwhile(MemoryRepository):
        done = False

        def _drop(self, place: Any) -> None:
            super()._drop(place)
            if not self.done:
                self.done = True
                number, one = self._actions[prolonged]
                self._actions[prolonged] = number, later(one, expires_at=NOW)
                super()._drop(gone)

    repository = Meanwhile()
    first, second, third = (action("", expires_at=NOW - INSTANT) for _ in range(3))
    for one in (first, second, third):
        repository.add_action(one, None)
    prolonged, gone = named(second), named(third)
    assert repository.remove_actions("", NOW) == 1
    assert repository.find_action(*prolonged) == later(second, expires_at=NOW)
    assert repository.find_action(*gone) is None


def test_a_users_actions_are_found_without_looking_at_those_of_others() -> None:
    class Guarded(OrderedDict[Any, Any]):
        def values(self) -> NoReturn:
            raise AssertionError("somebody looks at everything")

        __iter__ = items = keys = __reversed__ = values

    repository = MemoryRepository()
    kept = action("")
    for one in (action(""), kept, action("")):
        repository.add_action(one, None)
    repository._actions = Guarded(repository._actions)
    assert repository.list_actions("", ActionFilter(user_id=kept.user_id), NOW, None, 9).actions == (kept,)
    repository.action_history("", kept.user_id, (), None, NOW, NOW)
    with pytest.raises(AssertionError):
        repository.list_actions("", ActionFilter(), NOW, None, 9)


def test_without_an_outbox_nothing_waits() -> None:
    repository = MemoryRepository()
    repository.add_event(event(""))
    assert repository.take_deliveries(NOW, NOW, 9) == ()
    assert not repository._outbox


def test_what_waits_is_kept_when_the_event_is_dropped() -> None:
    """The store of events is bounded; what waits for its delivery is delivered all the same, and leaves nothing."""
    repository = MemoryRepository(max_events=1, outbox=True)
    kept = [event("", user_id="ada") for _ in range(3)]
    for one in kept:
        repository.add_event(one)
    for one in kept:
        (taken,) = repository.take_deliveries(NOW, NOW + MINUTE, 9)
        assert taken.event == one
        assert repository.finish_delivery(taken)
    assert not repository._outbox
