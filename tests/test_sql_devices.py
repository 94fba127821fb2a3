"""What is particular to devices, their challenges and actions in SQL: what is sent, who waits for whom, what joins."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from passkeycore import Code, DecodeError
from passkeycore.actions.states import ActionState
from passkeycore.engine.actions.records import Action, ActionFilter, ActionHistory
from passkeycore.engine.devices.records import DeviceChallenge, DeviceCredential
from passkeycore.engine.records import EventFilter, User
from passkeycore.repositories.sql import AsyncSQLRepository, SQLRepository, metadata
from passkeycore.testing.contract.actions.samples import action, later, named
from passkeycore.testing.contract.devices.samples import answered, challenge, changed, device
from passkeycore.testing.contract.samples import BEGUN, NOW, realm, user
from passkeycore.testing.contract.samples import event as an_event
from tests.sql import DATABASES, Waiting, engine_of, meanwhile, opened, plans_of, sent_by, url_of


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return url_of(request, request.param)


@pytest.fixture
def repository(url: str) -> Iterator[SQLRepository]:
    with opened(url) as repository:
        yield repository


def enrolled(repository: SQLRepository) -> tuple[User, DeviceCredential, DeviceChallenge]:
    """A new user with a device and a challenge to it, in a realm of their own."""
    owner = repository.get_or_create_user(user(realm()))
    used, asked = device(owner), challenge(owner.realm, user_id=owner.user_id)
    assert repository.add_device(used, 5, None) == "added"
    assert repository.add_device_challenge(asked, None)
    return owner, used, asked


# How many statements; in a transaction with its beginning and its end.
Call = Callable[[SQLRepository, User, DeviceCredential, DeviceChallenge], object]
STATEMENTS: list[tuple[str, int, Call]] = [
    ("add_device", 5, lambda r, u, d, c: r.add_device(device(u), 5, None)),
    ("find_device", 1, lambda r, u, d, c: r.find_device(u.realm, d.method, d.public_key)),
    ("list_devices", 1, lambda r, u, d, c: r.list_devices(u.realm, u.user_id)),
    ("replace_device", 1, lambda r, u, d, c: r.replace_device(changed(d), None)),
    ("replace_device, event", 4, lambda r, u, d, c: r.replace_device(changed(d), an_event(u.realm))),
    ("remove_device", 1, lambda r, u, d, c: r.remove_device(u.realm, u.user_id, d.authenticator_id, None)),
    ("add_device_challenge", 1, lambda r, u, d, c: r.add_device_challenge(challenge(u.realm), None)),
    (
        *("add_device_challenge, event", 4),
        lambda r, u, d, c: r.add_device_challenge(challenge(u.realm), an_event(u.realm)),
    ),
    ("find_device_challenge", 1, lambda r, u, d, c: r.find_device_challenge(u.realm, c.challenge_id)),
    ("pending_device_challenges", 1, lambda r, u, d, c: r.pending_device_challenges(u.realm, u.user_id, NOW, 9)),
    ("replace_device_challenge", 1, lambda r, u, d, c: r.replace_device_challenge(answered(c), None, None)),
    ("... with its device", 4, lambda r, u, d, c: r.replace_device_challenge(answered(c), changed(d), None)),
    ("... and its event", 5, lambda r, u, d, c: r.replace_device_challenge(answered(c), changed(d), an_event(u.realm))),
    ("add_action", 1, lambda r, u, d, c: r.add_action(action(u.realm), None)),
    ("add_action, event", 4, lambda r, u, d, c: r.add_action(action(u.realm), an_event(u.realm))),
    ("add_action, there", 2, lambda r, u, d, c: r.add_action(deed(u), None)),
    ("find_action", 1, lambda r, u, d, c: r.find_action(*named(deed(u)))),
    ("replace_action", 1, lambda r, u, d, c: r.replace_action(later(deed(u)), None)),
    ("record_failure", 1, lambda r, u, d, c: r.record_failure(later(deed(u)), None)),
    ("record_failure, event", 4, lambda r, u, d, c: r.record_failure(later(deed(u)), an_event(u.realm))),
    ("record_failure, lost", 2, lambda r, u, d, c: r.record_failure(deed(u), None)),
    ("remove_actions", 1, lambda r, u, d, c: r.remove_actions(u.realm, BEGUN)),
    ("list_actions", 1, lambda r, u, d, c: r.list_actions(u.realm, ActionFilter(), NOW, None, 9)),
    ("action_history", 1, lambda r, u, d, c: r.action_history(u.realm, u.user_id, ("key",), "", NOW, NOW)),
]


def deed(of: User) -> Action:
    return action(of.realm, user_id=of.user_id, idempotency_key="key")


@pytest.mark.parametrize(("name", "expected", "call"), STATEMENTS, ids=[row[0] for row in STATEMENTS])
def test_each_method_sends_no_more_statements_than_it_needs(
    repository: SQLRepository, name: str, expected: int, call: Call
) -> None:
    owner, used, asked = enrolled(repository)
    repository.add_action(deed(owner), None)
    with sent_by(repository._engine) as statements:
        answer = call(repository, owner, used, asked)
    assert answer is not False
    assert len(statements) == expected, statements
    assert expected < 4 or statements[-1] == "COMMIT"


# Who waits for whom


@pytest.mark.parametrize("change", ["UPDATE passkey_users SET disabled_at = now()", "DELETE FROM passkey_users"])
def test_an_answer_waits_for_whoever_disables_or_removes_its_user(postgres: str, change: str) -> None:
    """To look at the user alone would see them as they were before, and the device could answer all the same."""
    with opened(postgres) as repository, engine_of(postgres) as engine:
        owner, used, asked = enrolled(repository)
        answering = Waiting(postgres, lambda: repository.replace_device_challenge(answered(asked), changed(used), None))
        with engine.begin() as connection:
            connection.execute(text(f"{change} WHERE realm = :realm"), {"realm": owner.realm})
            answering.start()
        assert answering.answer() is False
        assert repository.find_device_challenge(owner.realm, asked.challenge_id) == asked


@pytest.mark.parametrize("start", ["UPDATE passkey_device_challenges", "COMMIT"])
@pytest.mark.parametrize("call", ["disable", "remove", "remove_device"])
def test_whoever_disables_or_removes_waits_for_an_answer_under_way(postgres: str, start: str, call: str) -> None:
    """When they are told that it is done, no device answers any more; and nobody waits in a circle."""
    with opened(postgres) as repository:
        owner, used, asked = enrolled(repository)
        calls: dict[str, Callable[[], object]] = {
            "disable": lambda: repository.set_user_disabled(owner.realm, owner.user_id, NOW, None),
            "remove": lambda: repository.remove_user(owner.realm, owner.user_id, None),
            "remove_device": lambda: repository.remove_device(owner.realm, owner.user_id, used.authenticator_id, None),
        }
        waiting = Waiting(postgres, calls[call])
        with meanwhile(repository._engine, start, waiting.start):
            assert repository.replace_device_challenge(answered(asked), changed(used), None)
        assert waiting.answer() is True
        if call == "remove":
            assert repository.find_device_challenge(owner.realm, asked.challenge_id) is None
            assert repository.list_devices(owner.realm, owner.user_id) == ()


def test_a_device_that_was_changed_meanwhile_undoes_nothing_of_it(postgres: str) -> None:
    with opened(postgres) as repository, engine_of(postgres) as engine:
        owner, used, asked = enrolled(repository)
        answering = Waiting(postgres, lambda: repository.replace_device_challenge(answered(asked), changed(used), None))
        renamed = changed(used, name="renamed")
        with engine.begin() as connection:
            assert repository.joining(connection).replace_device(renamed, None)
            answering.start()
        assert answering.answer() is False
        assert repository.list_devices(owner.realm, owner.user_id) == (renamed,)


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_stale_snapshot_cannot_exceed_the_limit_of_devices(postgres: str, isolation: str) -> None:
    """The driver's error comes through; the unique slot is what the snapshot cannot hide."""
    with opened(postgres) as repository, engine_of(postgres, isolation_level=isolation) as engine:
        owner, used, _ = enrolled(repository)
        with engine.connect() as connection:
            connection.execute(text("SELECT count(*) FROM passkey_devices"))  # the snapshot is taken here
            second = device(owner)
            assert repository.add_device(second, 2, None) == "added"
            with pytest.raises(OperationalError, match="could not serialize"):
                repository.joining(connection).add_device(device(owner), 2, None)
        assert set(repository.list_devices(owner.realm, owner.user_id)) == {used, second}


@pytest.mark.parametrize("with_event", [False, True])
def test_an_action_that_is_removed_while_it_is_looked_for_is_added(
    repository: SQLRepository, url: str, with_event: bool
) -> None:
    """It was there when it was to be added, and is gone when it is read."""
    owner, _, _ = enrolled(repository)
    kept = deed(owner)
    assert repository.add_action(msgspec.structs.replace(kept, attempts=7), None).attempts == 7
    event = an_event(owner.realm) if with_event else None
    with opened(url, create=False) as other:
        gone = meanwhile(
            repository._engine,
            "SELECT passkey_actions",
            lambda: other.remove_user(owner.realm, owner.user_id, None),
        )
        with gone:
            assert repository.add_action(kept, event) == kept
    assert repository.find_action(*named(kept)) == kept
    assert len(repository.list_events(owner.realm, EventFilter(), None, 9).events) == int(with_event)


# Joining


def test_challenges_are_seen_as_they_are_in_a_transaction_that_sees_nothing_new(postgres: str) -> None:
    """They are written beside it; read in it, they would never change, and could not be written over again."""
    with opened(postgres) as repository, engine_of(postgres, isolation_level="REPEATABLE READ") as engine:
        owner, used, asked = enrolled(repository)
        with engine.connect() as connection:
            joining = repository.joining(connection)
            assert joining.find_device(owner.realm, used.method, used.public_key) == (used, owner)  # the snapshot
            new = challenge(owner.realm, BEGUN + (BEGUN - NOW), user_id=owner.user_id)
            assert joining.add_device_challenge(new, None)
            assert joining.pending_device_challenges(owner.realm, owner.user_id, BEGUN, 9) == (new, asked)
            claimed = answered(asked, state="claimed", answered_at=None)
            assert joining.replace_device_challenge(claimed, changed(used), None)
            assert joining.find_device_challenge(owner.realm, asked.challenge_id) == claimed
            assert joining.replace_device_challenge(answered(claimed), None, None)
            connection.rollback()
        assert repository.find_device_challenge(owner.realm, asked.challenge_id) == answered(claimed)


def test_what_is_over_is_removed_whatever_becomes_of_the_transaction(repository: SQLRepository, url: str) -> None:
    """In one transaction with anything else, the steps would not be small."""
    kept = action(realm())
    repository.add_action(kept, None)
    with engine_of(url) as engine, engine.connect() as connection:
        assert repository.joining(connection).remove_actions(kept.realm, BEGUN) == 1
        connection.rollback()
    assert repository.find_action(*named(kept)) is None


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_failures_count_in_a_transaction_that_does_not_see_them(postgres: str, isolation: str) -> None:
    """Who reads an action there reads it as it was: the answer tells of the failure that was recorded meanwhile."""
    with opened(postgres) as repository, engine_of(postgres, isolation_level=isolation) as engine:
        kept = action(realm())
        repository.add_action(kept, None)
        with engine.connect() as connection:
            joining = repository.joining(connection)
            assert joining.find_action(*named(kept)) == kept  # the snapshot
            first = later(kept, attempts=1)
            assert joining.record_failure(first, None) is first
            assert joining.find_action(*named(kept)) == (first if isolation == "READ COMMITTED" else kept)
            assert joining.record_failure(later(kept, attempts=1), None) == first
            second = later(first, attempts=2)
            assert joining.record_failure(second, None) is second
            connection.rollback()
        assert repository.find_action(*named(kept)) == second


def test_a_failure_of_an_action_that_is_not_committed_is_not_recorded(postgres: str) -> None:
    """Nobody else sees that action yet, so that there is nothing that could outlast the transaction."""
    with opened(postgres) as repository, engine_of(postgres) as engine, engine.connect() as connection:
        joining, kept = repository.joining(connection), action(realm())
        assert joining.add_action(kept, None) is kept
        assert joining.record_failure(later(kept, attempts=1), None) is None
        assert joining.find_action(*named(kept)) == kept
        connection.rollback()


def test_an_answer_goes_on_when_its_task_is_cancelled(postgres: str) -> None:
    """It has connections of its own, also in a transaction of the caller's, and nobody may wait for its locks."""

    async def use() -> None:
        repository = AsyncSQLRepository(postgres, create=True)
        owner = await repository.get_or_create_user(user(realm()))
        used, asked = device(owner), challenge(owner.realm, user_id=owner.user_id)
        assert await repository.add_device(used, 5, None) == "added"
        assert await repository.add_device_challenge(asked, None)
        engine = create_async_engine(postgres)
        async with engine.connect() as connection:
            joining = repository.joining(connection)
            task = asyncio.create_task(joining.replace_device_challenge(answered(asked), changed(used), None))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        for _ in range(1000):  # it goes on by itself, a few statements long
            if await repository.find_device_challenge(owner.realm, asked.challenge_id) == answered(asked):
                break
            await asyncio.sleep(0.001)
        assert await repository.list_devices(owner.realm, owner.user_id) == (changed(used),)
        await engine.dispose()
        await repository.close()

    asyncio.run(use())


# What is stored


def test_nothing_stays_of_a_removed_user_where_foreign_keys_are_not_heeded(tmp_path: Path) -> None:
    with engine_of(f"sqlite:///{tmp_path / 'passkeys.db'}") as engine, opened(engine) as repository:
        owner, used, asked = enrolled(repository)
        repository.add_action(deed(owner), None)
        assert repository.remove_user(owner.realm, owner.user_id, None)
        assert repository.get_or_create_user(owner) == owner
        assert repository.find_device(owner.realm, used.method, used.public_key) is None
        assert repository.find_device_challenge(owner.realm, asked.challenge_id) is None
        assert repository.find_action(*named(deed(owner))) is None


Break = Callable[[bytes], bytes]
BREAKS: dict[str, Break] = {
    "empty": lambda body: b"",
    "prefix alone": lambda body: body[:4],
    "cut": lambda body: body[:-1],
    "no map": lambda body: body[:4] + b"\xc0",
    "no member": lambda body: body[:4] + b"\x80",
    "malformed": lambda body: body[:4] + b"\xa1\xff",
    "of another kind": lambda body: b"pkx1" + body[4:],
    "of another version": lambda body: body[:3] + b"2" + body[4:],
}


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("name", ["passkey_devices", "passkey_device_challenges", "passkey_actions"])
def test_what_is_no_record_is_a_decode_error(tmp_path: Path, name: str, how: str) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        owner, used, asked = enrolled(repository)
        repository.add_action(deed(owner), None)
        table = metadata.tables[name]
        with repository._engine.connect() as connection:
            body = connection.execute(table.select()).one().body
            connection.execute(table.update(), {"body": BREAKS[how](body)})
        reads: dict[str, Callable[[], object]] = {
            "passkey_devices": lambda: repository.find_device(owner.realm, used.method, used.public_key),
            "passkey_device_challenges": lambda: repository.find_device_challenge(owner.realm, asked.challenge_id),
            "passkey_actions": lambda: repository.find_action(*named(deed(owner))),
        }
        with pytest.raises(DecodeError) as caught:
            reads[name]()
        assert caught.value.code is Code.RECORD_INVALID


# Indexes


def stored(repository: SQLRepository, number: int) -> str:
    """A realm with this many actions of a thousand users, ten of which wait for review."""
    of, engine = realm(), repository._engine
    states = [state for state in ActionState if state is not ActionState.REVIEW_REQUIRED]
    same = {
        **dict.fromkeys(("created_at", "expires_at", "state_updated_at"), NOW),
        "realm": of,
        "action": "pay",
        "device_id": "device",
        "authenticator_id": "key",
        "user_verified": True,
        "revision": 0,
    }
    rows: list[dict[str, object]] = [
        {
            **same,
            "user_id": f"user-{n % 1000}",
            "idempotency_key": str(n),
            "state": states[n // 1000 % len(states)] if n % (number // 10) else ActionState.REVIEW_REQUIRED,
            "body": bytes(200),
        }
        for n in range(number)
    ]
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.execute(metadata.tables["passkey_actions"].insert(), rows)
        connection.exec_driver_sql("COMMIT")
        connection.execute(text("ANALYZE"))
    return of


def test_the_history_of_a_user_is_read_from_its_indexes_alone(repository: SQLRepository) -> None:
    of = stored(repository, 20_000)
    with plans_of(repository._engine) as plans:
        history = repository.action_history(of, "user-1", ("other", "key"), "device", NOW, NOW)
    assert history == ActionHistory(device_known=True, user_verified_at=NOW)
    (plan,) = plans
    for index in ("passkey_actions_failed", "passkey_actions_device", "passkey_actions_verified"):
        assert index in plan
    assert "Seq Scan" not in plan
    assert "SCAN passkey" not in plan


@pytest.mark.parametrize("index", ["review", "user"])
def test_what_is_listed_is_found_by_an_index_that_has_it_in_order(repository: SQLRepository, index: str) -> None:
    of = stored(repository, 20_000)
    filters = {
        "review": ActionFilter(states=(ActionState.REVIEW_REQUIRED,)),
        "user": ActionFilter(user_id="user-1"),
    }
    with plans_of(repository._engine) as plans, pytest.raises(DecodeError):  # there are no bodies
        repository.list_actions(of, filters[index], NOW, None, 10)
    (plan,) = plans
    assert f"passkey_actions_{index}" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


def test_what_indexes_have_some_rows_of_is_asked_for_in_their_words(repository: SQLRepository) -> None:
    """A plan that is made for any values, as PostgreSQL does after some time, could not use them."""
    with sent_by(repository._engine) as statements:
        repository.action_history("", "", (), None, NOW, NOW)
        repository.list_actions("", ActionFilter(states=(ActionState.REVIEW_REQUIRED,)), NOW, None, 10)
        repository.take_deliveries(NOW, NOW, 1)
    sent = "\n".join(statements)
    for state in ("CHALLENGE_SUCCEEDED", "REVIEW_REQUIRED", "ready", "later"):
        assert f"state = '{state}'" in sent
    assert "failed_at IS NOT NULL" in sent
    assert "state != 'given_up'" in sent


@pytest.mark.parametrize(
    "call", ["find_device", "list_devices", "find", "pending", "answer", "replace", "failure", "action"]
)
def test_what_a_device_asks_for_is_found_by_an_index(tmp_path: Path, call: str) -> None:
    with opened(f"sqlite:///{tmp_path / 'passkeys.db'}") as repository:
        owner, used, asked = enrolled(repository)
        calls: dict[str, Callable[[], object]] = {
            "find_device": lambda: repository.find_device(owner.realm, used.method, used.public_key),
            "list_devices": lambda: repository.list_devices(owner.realm, owner.user_id),
            "find": lambda: repository.find_device_challenge(owner.realm, asked.challenge_id),
            "pending": lambda: repository.pending_device_challenges(owner.realm, owner.user_id, NOW, 9),
            "answer": lambda: repository.replace_device_challenge(answered(asked), changed(used), None),
            "replace": lambda: repository.replace_action(deed(owner), None),
            "failure": lambda: repository.record_failure(deed(owner), None),
            "action": lambda: repository.find_action(*named(deed(owner))),
        }
        with plans_of(repository._engine) as plans:
            calls[call]()
        assert plans
        for plan in plans:
            assert "SEARCH" in plan
            assert "SCAN passkey" not in plan
