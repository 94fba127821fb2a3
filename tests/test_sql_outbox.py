"""What is particular to the outbox in SQL: what is sent, who meets whom in a queue, and how much may wait.

What every outbox has to do is in its contract.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from passkeycore.engine.records import Event, EventFilter, User
from passkeycore.engine.webhooks.records import Delivery
from passkeycore.repositories.sql import SQLRepository, metadata
from passkeycore.testing.contract.samples import NOW, realm, user
from passkeycore.testing.contract.samples import event as an_event
from tests.sql import DATABASES, Waiting, engine_of, impatient, meanwhile, opened, plans_of, sent_by, url_of

SOON = NOW + timedelta(minutes=1)
OUTBOX = metadata.tables["passkey_outbox"]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    return url_of(request, request.param)


@pytest.fixture
def repository(url: str) -> Iterator[SQLRepository]:
    """One in which nothing waits."""
    with opened(url, outbox=True) as repository:
        with repository._engine.connect() as connection:
            connection.execute(OUTBOX.delete())
        yield repository


@pytest.fixture
def shared(postgres: str) -> Iterator[SQLRepository]:
    """One in which nothing waits, where many write at a time."""
    with opened(postgres, outbox=True) as repository:
        with repository._engine.connect() as connection:
            connection.execute(OUTBOX.delete())
        yield repository


def stored(repository: SQLRepository, *user_ids: str | None) -> list[Event]:
    """Events about these users of a new realm."""
    of = realm()
    events = [an_event(of, user_id=user_id) for user_id in user_ids]
    for each in events:
        repository.add_event(each)
    return events


def take(repository: SQLRepository, limit: int = 9) -> list[Event]:
    """The events that are taken, of which nobody has had one before."""
    taken = repository.take_deliveries(NOW, SOON, limit)
    assert {each.attempt for each in taken} <= {1}
    return [each.event for each in taken]


def done(event: Event, attempt: int = 1) -> Delivery:
    return Delivery(event=event, attempt=attempt)


def states(repository: SQLRepository) -> list[str]:
    """Those of all that is in the outbox, in the order of storing."""
    with repository._engine.connect() as connection:
        return [row.state for row in connection.execute(OUTBOX.select().order_by(OUTBOX.c.position))]


# What is sent, and stored


def test_it_sends_no_more_statements_than_it_needs(repository: SQLRepository) -> None:
    """Of them two are the beginning and the end of a transaction, wherever there are four or more."""
    owner = repository.get_or_create_user(user(realm()))
    one, two, three = stored(repository, "ada", "eve", "joe")
    renamed = an_event(owner.realm, user_id=owner.user_id)
    calls: list[tuple[str, int, Callable[[], object]]] = [
        ("an event", 4, lambda: repository.add_event(an_event(owner.realm))),
        ("a change", 5, lambda: repository.rename_user(owner.realm, owner.user_id, "renamed", "", renamed)),
        ("all is taken", 6, lambda: take(repository)),
        ("nothing is due", 4, lambda: take(repository)),
        ("finish", 4, lambda: repository.finish_delivery(done(one))),
        ("finish again", 3, lambda: not repository.finish_delivery(done(one))),
        ("postpone", 1, lambda: repository.postpone_delivery(done(two), SOON)),
        ("give up", 4, lambda: repository.postpone_delivery(done(three), None)),
        ("revive", 1, lambda: repository.revive_deliveries(NOW)),
        ("what was put off is taken", 7, lambda: repository.take_deliveries(SOON, SOON, 9)),
    ]
    for name, expected, call in calls:
        with sent_by(repository._engine) as statements:
            answer = call()
        assert len(statements) == expected, (name, statements)
        assert answer is not False, name


def test_nothing_waits_where_no_outbox_is_kept(url: str, repository: SQLRepository) -> None:
    with opened(url, create=False) as without:
        (event,) = stored(without, "ada")
        owner = without.get_or_create_user(user(event.realm))
        assert without.rename_user(owner.realm, owner.user_id, "renamed", "", an_event(owner.realm))
    assert take(repository) == []
    assert len(repository.list_events(event.realm, EventFilter(), None, 9).events) == 2


def test_what_joins_a_transaction_waits_when_it_is_committed(url: str, repository: SQLRepository) -> None:
    owner = repository.get_or_create_user(user(realm()))
    kept, undone = an_event(owner.realm), an_event(owner.realm)
    with engine_of(url) as engine, engine.connect() as connection:
        joining = repository.joining(connection)
        assert joining.rename_user(owner.realm, owner.user_id, "undone", "", undone)
        connection.rollback()
        assert take(repository) == []
        assert joining.rename_user(owner.realm, owner.user_id, "kept", "", kept)
        connection.commit()
    assert take(repository) == [kept]


def test_a_lease_lasts_when_a_transaction_is_rolled_back(url: str, repository: SQLRepository) -> None:
    """Or somebody else would get what is being delivered."""
    (event,) = stored(repository, "ada")
    with engine_of(url) as engine, engine.connect() as connection:
        assert take(repository.joining(connection)) == [event]
        connection.rollback()
    assert take(repository) == []


def test_an_event_that_waits_cannot_be_removed(repository: SQLRepository) -> None:
    """What is behind it would wait for it for ever. Once it is delivered, it can."""
    (event,) = stored(repository, "ada")
    remove = text("DELETE FROM passkey_events WHERE id = :id")
    with repository._engine.connect() as connection:
        with pytest.raises(IntegrityError):
            connection.execute(remove, {"id": event.id})
        assert take(repository) == [event]
        assert repository.finish_delivery(done(event))
        assert connection.execute(remove, {"id": event.id}).rowcount == 1


@pytest.mark.parametrize(
    ("column", "value"), [("type", "user.of_a_newer_release"), ("code", "of_a_newer_release"), ("details", "{")]
)
def test_an_event_that_cannot_be_read_keeps_only_its_own_user_waiting(
    repository: SQLRepository, caplog: pytest.LogCaptureFixture, column: str, value: str
) -> None:
    """It stays in hand, as a newer release reads it, is told of in the log, and comes again after each lease."""
    unreadable, behind, other, third = stored(repository, "ada", "ada", "eve", "joe")
    table = metadata.tables["passkey_events"]
    change = table.update().where(table.c.id == unreadable.id)
    with repository._engine.connect() as connection:
        kept = connection.execute(table.select().where(table.c.id == unreadable.id)).one()
        connection.execute(change, {column: value})
    with caplog.at_level(logging.ERROR, "passkeycore.webhooks"):
        assert take(repository, 2) == [other]
    assert [(each.name, each.levelname) for each in caplog.records] == [("passkeycore.webhooks", "ERROR")]
    assert unreadable.id in caplog.text
    assert value not in caplog.text
    assert take(repository) == [third]
    assert states(repository) == ["later", "behind", "later", "later"]
    for each in (other, third):
        assert repository.finish_delivery(done(each))
    assert repository.take_deliveries(SOON, SOON + timedelta(minutes=1), 9) == ()
    assert states(repository) == ["later", "behind"]
    with repository._engine.connect() as connection:
        connection.execute(change, {column: getattr(kept, column)})
    after = SOON + timedelta(minutes=1)
    assert repository.take_deliveries(after, after, 9) == (done(unreadable, 3),)
    assert repository.finish_delivery(done(unreadable, 3))
    assert take(repository) == [behind]


@pytest.mark.parametrize("start", ["BEGIN", "UPDATE passkey_outbox", "COMMIT"])
def test_a_connection_that_is_lost_takes_nothing(shared: SQLRepository, start: str) -> None:
    """Nor is anything taken out of its queue without the next one being looked at."""
    engine = shared._engine
    first, second = stored(shared, "ada", "ada")

    def kill() -> None:
        others = "pid <> pg_backend_pid() AND state LIKE 'idle%'"
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"  # noqa: S608
        with engine_of(engine.url.render_as_string(hide_password=False)) as other, other.connect() as connection:
            connection.execute(text(end))

    with pytest.raises(DBAPIError), meanwhile(engine, start, kill):
        take(shared)
    assert take(shared) == [first]
    assert states(shared) == ["later", "behind"]
    with pytest.raises(DBAPIError), meanwhile(engine, start, kill):
        shared.finish_delivery(done(first))
    assert take(shared) == []
    assert shared.finish_delivery(done(first))
    assert take(shared) == [second]


# Queues


def test_what_is_behind_is_looked_at_once(repository: SQLRepository) -> None:
    """However much waits, what is seen to be behind another one is looked at again when its turn comes."""
    events = stored(repository, *["ada"] * 30, "eve")
    assert take(repository, 2) == [events[0], events[30]]
    assert states(repository) == ["later", *["behind"] * 29, "later"]
    for turn in range(1, 5):
        assert repository.finish_delivery(done(events[turn - 1]))
        assert states(repository) == ["ready", *["behind"] * (29 - turn), "later"]
        with sent_by(repository._engine) as statements:
            assert take(repository) == [events[turn]]
        assert len(statements) == 6


def test_more_than_a_batch_may_be_behind(repository: SQLRepository) -> None:
    """Who waits behind nobody is found behind 2500 who do; and they come in order."""
    fill(repository, 2500, users=1)
    (last,) = stored(repository, "eve")
    with sent_by(repository._engine) as statements:
        assert take(repository)[1:] == [last]
    assert len(statements) <= 30
    assert states(repository) == ["later", *["behind"] * 2499, "later"]
    assert take(repository) == []


def test_giving_up_lets_the_next_one_go_and_reviving_makes_it_the_first_again(repository: SQLRepository) -> None:
    first, second, third = stored(repository, *["ada"] * 3)
    assert take(repository) == [first]
    assert repository.postpone_delivery(done(first), None)
    assert take(repository) == [second]
    assert states(repository) == ["given_up", "later", "behind"]
    assert repository.revive_deliveries(NOW) == 1
    assert repository.take_deliveries(NOW, SOON, 9) == (done(first, 2),)
    assert repository.finish_delivery(done(second))
    assert take(repository) == []
    assert repository.finish_delivery(done(first, 2))
    assert take(repository) == [third]


# Who meets whom, on PostgreSQL; in SQLite one writes at a time


def test_a_worker_neither_waits_for_another_nor_takes_what_is_behind_what_that_one_has(
    postgres: str, shared: SQLRepository
) -> None:
    """The other one's lease cannot be seen yet."""
    ada, behind, eve = stored(shared, "ada", "ada", "eve")
    seen: list[list[Event]] = []
    with impatient(postgres) as other:
        with meanwhile(shared._engine, "UPDATE passkey_outbox", lambda: seen.append(take(other))):
            assert take(shared, 1) == [ada]
        assert shared.finish_delivery(done(ada))
        with meanwhile(shared._engine, "COMMIT", lambda: seen.append(take(other))):
            assert take(shared, 1) == [behind]
    assert seen == [[eve], []]
    assert states(shared) == ["later", "later"]


def test_an_event_whose_transaction_commits_late_takes_its_place_then(postgres: str, shared: SQLRepository) -> None:
    """It keeps nobody waiting before, is not missed afterwards, and goes before those that nobody has taken."""
    owner = shared.get_or_create_user(user(realm()))
    late, early, behind, last = (an_event(owner.realm, user_id=owner.user_id) for _ in range(4))
    with engine_of(postgres) as engine, engine.connect() as connection:
        assert shared.joining(connection).rename_user(owner.realm, owner.user_id, "late", "", late)
        for event in (early, behind, last):
            shared.add_event(event)
        assert take(shared) == [early]
        connection.commit()
    assert take(shared) == [late]
    assert take(shared) == []
    assert shared.finish_delivery(done(early))
    assert take(shared) == []
    assert shared.finish_delivery(done(late))
    for event in (behind, last):
        assert take(shared) == [event]
        assert shared.finish_delivery(done(event))


def test_events_of_one_user_are_stored_at_the_same_time(postgres: str, shared: SQLRepository) -> None:
    """An application's long transaction must not keep anybody from signing in."""
    owner = shared.get_or_create_user(user(realm()))
    event = an_event(owner.realm, user_id=owner.user_id)
    with (
        impatient(postgres) as other,
        shared._engine.connect().execution_options(isolation_level="READ COMMITTED") as connection,
    ):
        joining = shared.joining(connection)
        assert joining.rename_user(owner.realm, owner.user_id, "", "", an_event(owner.realm, user_id=owner.user_id))
        other.add_event(event)
        connection.rollback()
    assert take(shared) == [event]


def test_who_takes_the_first_out_of_its_queue_sees_who_was_put_behind_it_meanwhile(
    postgres: str, shared: SQLRepository
) -> None:
    """They wait for whoever does that; or nobody would ever look at those again."""
    first, second = stored(shared, "ada", "ada")
    assert take(shared, 1) == [first]
    with opened(postgres, create=False) as other:
        finishing = Waiting(postgres, lambda: other.finish_delivery(done(first)))
        with meanwhile(shared._engine, "UPDATE passkey_outbox", finishing.start):
            assert take(shared) == []
        assert finishing.answer() is True
    assert states(shared) == ["ready"]
    assert take(shared) == [second]


@pytest.mark.parametrize("give_up", [False, True])
def test_nobody_is_put_behind_one_that_has_left_meanwhile(postgres: str, shared: SQLRepository, give_up: bool) -> None:
    """It was there when the queue was read, and is not when the other one would be put behind it."""
    first, second = stored(shared, "ada", "ada")
    assert take(shared, 1) == [first]
    with opened(postgres, create=False) as other:

        def leave() -> None:
            assert other.postpone_delivery(done(first), None) if give_up else other.finish_delivery(done(first))

        with meanwhile(
            shared._engine, "SELECT passkey_outbox.event_id \nFROM passkey_outbox \nWHERE passkey_outbox.ev", leave
        ):
            assert take(shared) == []
    assert take(shared) == [second]


def test_two_of_one_user_that_are_in_hand_may_end_at_once(postgres: str, shared: SQLRepository) -> None:
    """One of them was stored late. Each sees the other one still, and the next one is looked at all the same."""
    owner: User = shared.get_or_create_user(user(realm()))
    late, early, behind = (an_event(owner.realm, user_id=owner.user_id) for _ in range(3))
    with engine_of(postgres) as engine, engine.connect() as connection:
        assert shared.joining(connection).rename_user(owner.realm, owner.user_id, "", "", late)
        shared.add_event(early)
        shared.add_event(behind)
        assert take(shared) == [early]
        connection.commit()
    assert take(shared) == [late]
    assert states(shared) == ["later", "later", "behind"]
    with (
        impatient(postgres) as other,
        meanwhile(shared._engine, "UPDATE passkey_outbox", lambda: other.finish_delivery(done(early))),
    ):
        assert shared.finish_delivery(done(late))
    assert take(shared) == [behind]


# How much may wait


def fill(repository: SQLRepository, number: int, *, users: int) -> None:
    """Stores events of so many users."""
    of = realm()
    rows = [
        {"id": f"{of}-{n}", "realm": of, "type": "user.renamed", "at": NOW, "day": 0, "details": "{}"}
        | {"user_id": f"user-{n % users}"}
        for n in range(number)
    ]
    wait = text(
        "INSERT INTO passkey_outbox (event_id, position, realm, user_id, state, attempt)"
        " SELECT id, position, realm, user_id, 'ready', 0 FROM passkey_events WHERE realm = :realm"
    )
    with repository._engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.execute(metadata.tables["passkey_events"].insert(), rows)
        connection.execute(wait, {"realm": of})
        connection.exec_driver_sql("COMMIT")


@pytest.mark.parametrize("with_statistics", [False, True])
@pytest.mark.parametrize("users", [4, 20_000])
def test_no_statement_reads_all_that_waits(repository: SQLRepository, users: int, with_statistics: bool) -> None:
    """Also where statistics tell of another time, when everything was ready."""
    fill(repository, 20_000, users=users)
    if with_statistics:
        with repository._engine.connect() as connection:
            connection.execute(text("ANALYZE"))
    assert len(repository.take_deliveries(NOW, SOON, 3)) == 3
    while repository.take_deliveries(NOW, SOON + timedelta(hours=1), 1000):
        pass
    assert set(states(repository)) == ({"later", "behind"} if users == 4 else {"later"})
    with plans_of(repository._engine) as plans:
        assert take(repository) == []
        one, two = repository.take_deliveries(SOON, SOON, 2)
        assert repository.finish_delivery(one)
        assert repository.postpone_delivery(two, None)
    assert len(plans) >= 8
    for plan in plans:
        assert "Seq Scan" not in plan
        assert "SCAN passkey" not in plan
    assert "passkey_outbox_later" in plans[0]
    assert "passkey_outbox_ready" in plans[1]
    assert "passkey_outbox_first" in plans[1]
    assert "passkey_outbox_behind" in plans[-1]
