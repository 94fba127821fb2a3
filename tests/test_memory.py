"""Memory as a repository: bounded, cleaned in steps, shared by both colours. The contract is in `test_contract`."""

import asyncio
import inspect
from datetime import UTC, datetime, timedelta

import pytest

from passkeycore import ConfigurationError, ConflictError
from passkeycore.engine.records import EventFilter
from passkeycore.engine.repository import (
    AsyncEventRepository,
    AsyncRepository,
    AsyncSpentRepository,
    EventRepository,
    Repository,
    SpentRepository,
)
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing.contract.samples import BEGUN, LIFETIME, ceremony, event, passkey, user

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)


def test_both_colours_have_their_protocols() -> None:
    """The type checkers accept these assignments, and refuse the wrong colour (or the ignores were unused)."""
    repository: Repository = MemoryRepository()
    events: EventRepository = MemoryRepository()
    spent: SpentRepository = MemoryRepository()
    asynchronous: AsyncRepository = AsyncMemoryRepository()
    asynchronous_events: AsyncEventRepository = AsyncMemoryRepository()
    asynchronous_spent: AsyncSpentRepository = AsyncMemoryRepository()
    wrong: Repository = AsyncMemoryRepository()  # type: ignore[assignment]
    asynchronous_wrong: AsyncRepository = MemoryRepository()  # type: ignore[assignment]
    assert all((repository, events, spent, asynchronous, asynchronous_events, asynchronous_spent))
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
@pytest.mark.parametrize("name", ["max_ceremonies", "max_events", "max_spent"])
def test_a_bound_is_positive(kind: type[MemoryRepository] | type[AsyncMemoryRepository], name: str) -> None:
    kind(**{name: 1})
    with pytest.raises(ConfigurationError, match=name):
        kind(**{name: 0})


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
    live = ceremony("", BEGUN + MINUTE)
    repository.add_ceremony(live)
    assert repository.remove_expired(BEGUN + LIFETIME + MINUTE + timedelta(seconds=2)) == 2 * count
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
