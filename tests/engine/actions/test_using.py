"""The same service over another repository: every step of a flow is there, and in the transaction that it joins."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import create_engine

from passkeycore import PasskeyError
from passkeycore.actions import ActionState
from passkeycore.engine.records import EventType
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.repositories.sql import SQLRepository
from passkeycore.testing import SoftwareDevice
from passkeycore.testing.contract.samples import realm
from tests.engine.kit import Colour, browser

from .cast import Cast
from .kit import DOMAIN, Called, Stage, enrolled, forged, refused

S: Final = ActionState


def moved(stage: Stage) -> tuple[Stage, MemoryRepository]:
    """The stage, whose actions are now over another storage, and that one."""
    there = Stage(stage.colour)
    stage.actions = Called(stage.actions.service.using(there.repository), stage.actions._call)
    return stage, there.memory


def flow(stage: Stage) -> None:
    """From the first enrolment to proofs by a passkey and a device, by the service for actions alone."""
    first = stage.track(idempotency_key="first")
    client = browser("ada")
    start = stage.actions.start_passkey_enrolment(first.token, user_name="ada")
    stage.actions.finish_passkey_enrolment(first.token, client.create(start.to_dict()))
    stage.validate(stage.meet(first, client), consume=True)


def test_nothing_reaches_the_first_one_but_ceremonies(colour: Colour) -> None:
    stage, there = moved(Stage(colour, store_events=True))
    before = stage.stored()
    flow(stage)
    phone = there_enrolled(stage, there)
    assert stage.validate(stage.approve(stage.track(), phone), consume=True)
    assert stage.stored() == before
    assert len(there._actions) == 2
    assert len(there._events) > 5
    assert len(stage.memory._events) == 0


def there_enrolled(stage: Stage, there: MemoryRepository) -> Any:
    """A device of ada's in the other storage."""
    return Stage(stage.colour, memory=there, clock=stage.clock, seed="there").enrol()


def test_so_is_what_is_reported_of_a_failure(colour: Colour) -> None:
    """Which is stored by itself, and not with a change."""
    stage, there = moved(Stage(colour, store_events=True))
    client = Stage(colour, memory=there, clock=stage.clock, seed="there").register()
    tracked = stage.track()
    body = forged(stage.signed(tracked, client))
    with refused("signature_invalid"):
        stage.actions.finish_passkey_challenge(tracked.token, body)
    assert EventType.AUTHENTICATION_FAILED in [event.type for _, event in there._events]
    assert len(stage.memory._events) == 0


@pytest.mark.parametrize("part", ["passkeys", "devices"])
def test_what_the_service_has_not_it_has_not_there_either(colour: Colour, part: str) -> None:
    stage, there = moved(Stage(colour, actions={part: None}))
    tracked = stage.track()
    calls: dict[str, Callable[[], object]] = {
        "passkeys": lambda: stage.actions.start_passkey_challenge(tracked.token),
        "devices": lambda: stage.ask(tracked),
    }
    with refused("configuration_invalid"):
        calls[part]()
    assert len(there._actions) == 1


def test_settings_are_the_same(colour: Colour) -> None:
    stage, there = moved(Stage(colour, actions={"max_attempts": 1, "lifetime_s": 60}))
    tracked = stage.track("look")
    assert (tracked.state, (tracked.action.expires_at - tracked.action.created_at).seconds) == (S.ALLOW, 60)
    tracked = stage.track()
    stage.actions.cancel_challenge(tracked.token)
    assert stage.now(tracked).state is S.CHALLENGE_FAILED
    assert len(there._events) == 0, "none are stored where none were"


def test_sinks_hear_of_it(colour: Colour) -> None:
    told: list[Any] = []
    stage, _ = moved(Stage(colour, passkeys={"sinks": [told.append]}))
    stage.track()
    stage.passkeys.service.dispatcher.close(10)
    assert [event.type.value for event in told] == ["action.tracked"]


def test_a_repository_of_the_other_colour_is_refused(stage: Stage) -> None:
    wrong: Any = AsyncMemoryRepository() if stage.colour == "sync" else MemoryRepository()
    nothing: Any = object()
    for repository in (wrong, nothing):
        with refused("configuration_invalid") as caught:
            stage.actions.service.using(repository)
        assert caught.value.path == "repository"


ENDS: Final[dict[str, tuple[Callable[[Cast, Stage, Any], object], ActionState, int]]] = {
    "a bad signature": (
        lambda cast, joined, begun: joined.actions.finish_passkey_challenge(begun[0].token, forged(begun[1])),
        S.CHALLENGE_REQUIRED,
        1,
    ),
    "a cancel": (
        lambda cast, joined, begun: joined.actions.cancel_challenge(begun[0].token),
        S.CHALLENGE_REQUIRED,
        1,
    ),
    "a no": (lambda cast, joined, begun: joined.answer(begun[2], cast.phone, "reject"), S.CHALLENGE_FAILED, 0),
    "a proof": (
        lambda cast, joined, begun: joined.actions.finish_passkey_challenge(begun[0].token, begun[1]),
        S.CHALLENGE_REQUIRED,
        0,
    ),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_rollback_takes_back_a_proof_and_no_failure(tmp_path: Path, what: str) -> None:
    """Or who rolls back on an error, as is usual, would give each attempt back, and each no."""
    engine = create_engine(f"sqlite:///{tmp_path / 'actions.db'}")
    cast = Cast("sync", repository=SQLRepository(engine, create=True), random=None)
    stage = cast.stage
    tracked = stage.track()
    begun = tracked, stage.signed(tracked, cast.client), stage.ask(tracked)
    end, state, attempts = ENDS[what]
    with engine.connect() as connection, connection.begin() as transaction:
        joined = Stage("sync", clock=stage.clock)
        repository = SQLRepository(engine).joining(connection)
        joined.actions = Called(stage.actions.service.using(repository), None)
        try:
            end(cast, joined, begun)
        except PasskeyError as error:
            assert error.code == "signature_invalid", what
        transaction.rollback()
    now = stage.now(tracked)
    assert (now.state, now.attempts) == (state, attempts)
    engine.dispose()


class Joined:
    """A stage over a file, and the same services in a transaction that somebody else has begun."""

    def __init__(self, url: str, **engine: Any) -> None:
        self.engine = create_engine(url, **engine)
        self.stage = Stage("sync", repository=SQLRepository(self.engine, create=True), realm=realm(), random=None)

    @contextmanager
    def transaction(self, *, commits: bool = True) -> Generator[Stage]:
        """The services in it. It ends with the block."""
        with self.engine.connect() as connection, connection.begin() as transaction:
            joined, repository = copy(self.stage), SQLRepository(self.engine).joining(connection)
            joined.actions = Called(self.stage.actions.service.using(repository), None)
            joined.devices = Called(self.stage.devices.service.using(repository), None)
            yield joined
            (transaction.commit if commits else transaction.rollback)()


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[Joined]:
    """Over SQLite, where one alone can write."""
    made = Joined(f"sqlite:///{tmp_path / 'actions.db'}")
    yield made
    made.engine.dispose()


def with_token(stage: Stage, kind: str) -> Callable[[Stage], Any]:
    """Enrols a device of ada's: as somebody new by an action, or by the devices' service, for which she is there."""
    device = SoftwareDevice("new", domain=DOMAIN)
    if kind == "actions":
        token = stage.track().token
        return lambda where: where.actions.enrol_device(token, user_name="ada", **enrolled(device, token))
    token = stage.devices.start_enrolment("ada", user_name="ada").token
    return lambda where: where.devices.enrol_device(token, **enrolled(device, token))


@pytest.mark.parametrize("kind", ["actions", "devices"])
def test_a_device_is_enrolled_in_it(joined: Joined, kind: str) -> None:
    """The token is spent beside the transaction, so before anything is written in it: SQLite lets one alone write."""
    enrol = with_token(joined.stage, kind)
    with joined.transaction() as stage:
        made = enrol(stage)
    assert joined.stage.devices.list_devices("ada") == (made,)
    with refused("scope_missing" if kind == "actions" else "credential_exists"):
        enrol(joined.stage)


@pytest.mark.parametrize("kind", ["actions", "devices"])
def test_a_rollback_takes_back_the_device_and_not_that_its_token_was_used(joined: Joined, kind: str) -> None:
    enrol = with_token(joined.stage, kind)
    with joined.transaction(commits=False) as stage:
        enrol(stage)
    assert joined.stage.devices.list_devices("ada") == ()
    assert (joined.stage.passkeys.find_user("ada") is None) == (kind == "actions")
    with refused("credential_exists"):
        enrol(joined.stage)


def test_one_token_enrols_once_in_one_transaction(postgres: str) -> None:
    """Though what it enrolled is removed before it ends."""
    joined = Joined(postgres)
    enrol = with_token(joined.stage, "devices")
    with joined.transaction() as stage:
        stage.devices.remove_device("ada", enrol(stage).authenticator_id)
        with refused("credential_exists"):
            enrol(stage)
    assert joined.stage.devices.list_devices("ada") == ()
    joined.engine.dispose()


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_what_fails_in_a_snapshot_counts_each_time(postgres: str, isolation: str) -> None:
    """The transaction sees the action as it was when it began; what it adds to is what others see."""
    joined = Joined(postgres, isolation_level=isolation)
    stage = joined.stage
    client, phone, tracked = stage.register(), stage.enrol(), stage.track()
    bodies = [forged(stage.signed(tracked, client)) for _ in range(3)]
    started = stage.ask(tracked)
    with joined.transaction(commits=False) as within:
        assert within.actions.action_of_token(tracked.token) == tracked.action, "the snapshot"
        for number, body in enumerate(bodies, 1):
            with refused("signature_invalid"):
                within.actions.finish_passkey_challenge(tracked.token, body)
            assert stage.now(tracked).attempts == number
        within.answer(started, phone, "reject")
    now = stage.now(tracked)
    assert (now.state, now.attempts) == (S.CHALLENGE_FAILED, 3)
    joined.engine.dispose()


def test_each_part_keeps_its_own_events_elsewhere(colour: Colour) -> None:
    """Whether a service stores events is not the other service's to say."""
    stage = Stage(colour, passkeys={"store_events": False}, devices={"store_events": True})
    context = stage.actions.service.using(Stage(colour).repository).context
    assert context.devices.events is not None
    assert context.passkeys.events is None
