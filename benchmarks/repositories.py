"""Repositories: whole sign-ins of known users a second, start and finish, beside what the database alone would allow.

The floor sends the very statements that ours sends, recorded from one sign-in of each user, to the same tables through
the bare driver, and checks the signature once: what the best server without an engine would do. It keeps a connection
for each worker, and its driver keeps the statements prepared. Both write with the same durability: SQLite with a
write-ahead log and ``synchronous=FULL``, PostgreSQL with ``fsync``.

The workers are threads of this process, one or eight, over the synchronous service. Ours and the floor of all databases
take turns in one run. SQLite has one writer at a time: of eight workers seven sleep and try again, in ours and in the
floor, so that more of them get less done.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.engine.repository import CeremonyRepository, Repository
from passkeycore.repositories.memory import MemoryRepository

from .measure import Call, Contender, Estimate, Series, estimate, interleave
from .peers import Peer
from .report import Section, bound, raw, samples, table, verdict
from .sign_ins import BINDING, RP, Challenges, SignIn, make_sign_ins, store

_ROUNDS_EACH: Final = 5
_WORKERS: Final = (1, 8)
_EACH: Final = 8  # sign-ins of each worker, a batch
_LEAD_IN: Final = 1
_BATCHES: Final = 2  # counted, a round

Statement: TypeAlias = tuple[str, Any]
"""As the driver gets it, with its parameters."""


@dataclass(frozen=True)
class Place:
    """A database with a service over it, and its floor.

    Attributes:
        name: For people.
        sign_in: One of ours.
        floor: For each worker, what sends the statements of one sign-in and checks its signature.
        bound: How much of the floor's sign-ins a second we are to reach; None: as it comes.
    """

    name: str
    sign_in: Callable[[SignIn], object]
    floor: Sequence[Callable[[SignIn], object]]
    bound: float | None = None


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for a fifth of `rounds` rounds of three batches of each contender, of which the first does not count."""
    sign_ins = make_sign_ins(max(_WORKERS) * _EACH)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="passkeycore-")))
        places: list[Place] = [_memory(sign_ins), stack.enter_context(sqlite_place(sign_ins, directory))]
        missing = _with_servers(stack, places, sign_ins)
        pool = stack.enter_context(ThreadPoolExecutor(max(_WORKERS)))
        contenders = [
            Contender(_contender(place, what, workers), partial(_batches, pool, work[:workers], sign_ins), _LEAD_IN)
            for place in places
            for what, work in (("ours", [place.sign_in] * max(_WORKERS)), ("floor", place.floor))
            for workers in _WORKERS
        ]
        series = interleave(contenders, max(3, rounds // _ROUNDS_EACH))
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for place in places:
        for workers in _WORKERS:
            ours, floor = (series[_contender(place, what, workers)] for what in ("ours", "floor"))
            reached = estimate(_share, ours, floor)
            rows.append(_row(place, workers, ours, floor, reached))
            data[f"{place.name}, {workers}"] = {
                "ours_per_second": round(_per_second(workers, ours), 1),
                "floor_per_second": round(_per_second(workers, floor), 1),
                "share_of_floor": reached.to_dict(),
                "bound": bound(reached.value, place.bound, at_least=True),
            }
    header = ("sign-ins a second", "workers", "ours", "floor", "ours / floor", "bound")
    text = (
        f"{table(header, rows)}\n" + "".join(f"{line}\n" for line in missing) + "\n"
        f"the databases are in {tempfile.gettempdir()}. below: {_EACH} sign-ins of each worker.\n\n" + samples(series)
    )
    return Section("repositories", text, {"places": data, "missing": missing, "series": raw(series)})


def _row(place: Place, workers: int, ours: Series, floor: Series, reached: Estimate) -> tuple[str, ...]:
    return (
        place.name,
        str(workers),
        f"{_per_second(workers, ours):.0f}",
        f"{_per_second(workers, floor):.0f}",
        f"{reached.value:.2f} [{reached.low:.2f}..{reached.high:.2f}]",
        verdict(reached.value, place.bound, at_least=True),
    )


def _per_second(workers: int, series: Series) -> float:
    return workers * _EACH / series.median_us * 1e6


def _share(ours: float, floor: float) -> float:
    return floor / ours


def _contender(place: Place, what: str, workers: int) -> str:
    return f"{place.name} {what}, {workers}"


def _batches(
    pool: ThreadPoolExecutor, work: Sequence[Callable[[SignIn], object]], sign_ins: Sequence[SignIn]
) -> list[Call]:
    shares = [(one, sign_ins[place * _EACH : (place + 1) * _EACH]) for place, one in enumerate(work)]
    # A worker that is alone is this thread itself: a pool would wake another one, on a processor that is not warm.
    batch = partial(_each, *shares[0]) if len(shares) == 1 else partial(_spread, pool, shares)
    return [batch] * (_LEAD_IN + _BATCHES)


def _spread(pool: ThreadPoolExecutor, shares: Sequence[tuple[Callable[[SignIn], object], Sequence[SignIn]]]) -> None:
    for done in [pool.submit(_each, *share) for share in shares]:
        done.result()


def _each(work: Callable[[SignIn], object], sign_ins: Sequence[SignIn]) -> None:
    for one in sign_ins:
        work(one)


def ours(repository: Repository, ceremonies: CeremonyRepository | None = None) -> Callable[[SignIn], object]:
    """Whole sign-ins through a service over `repository`, where the users are."""
    challenges = Challenges()
    service = PasskeyService(RP, repository, ceremonies=ceremonies, random=challenges)

    def sign_in(one: SignIn) -> object:
        challenges.next = one.challenge
        service.start_authentication(user_id=one.user_id, binding=BINDING)
        return service.finish_authentication(one.body, binding=BINDING)

    return sign_in


def recorded(
    url: str, sign_ins: Sequence[SignIn], ceremonies: CeremonyRepository | None
) -> Mapping[str, list[Statement]]:
    """By user, the statements that a sign-in of ours sends to this database, in their order."""
    import sqlalchemy
    from sqlalchemy import event

    from passkeycore.repositories.sql import SQLRepository

    seen: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    # Not the engine that is timed: whoever was listened to once is slower ever after.
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    sign_in = ours(SQLRepository(engine), ceremonies)
    sign_in(sign_ins[0])  # what a first connection asks its server is none of it
    event.listen(engine, "before_cursor_execute", note)
    statements: dict[str, list[Statement]] = {}
    for one in sign_ins:
        seen.clear()
        sign_in(one)
        statements[one.user_id] = [*seen]
    engine.dispose()
    return statements


def _memory(sign_ins: Sequence[SignIn]) -> Place:
    repository = MemoryRepository()
    store(repository, sign_ins)
    return Place("memory", ours(repository), [_check(sign_ins)] * max(_WORKERS))


@contextmanager
def sqlite_place(sign_ins: Sequence[SignIn], directory: Path) -> Generator[Place]:
    """SQLite, in a file in `directory`."""
    from passkeycore.repositories.sql import SQLRepository

    path = directory / "passkeys.db"
    with ExitStack() as stack:
        repository = SQLRepository(f"sqlite:///{path}", create=True)
        stack.callback(repository.close)
        store(repository, sign_ins)
        statements = recorded(f"sqlite:///{path}", sign_ins, None)
        floors: list[Callable[[SignIn], object]] = []
        for _ in range(max(_WORKERS)):
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            stack.callback(connection.close)
            for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
            floors.append(_floor(connection.execute, statements, sign_ins))
        yield Place("SQLite", ours(repository), floors, 0.35)


def _with_servers(stack: ExitStack, places: list[Place], sign_ins: Sequence[SignIn]) -> list[str]:
    """Adds the places that need a server; what is missing, in words."""
    from tests.servers import UnavailableError, postgres_server, redis_server

    try:
        url = stack.enter_context(postgres_server())
    except UnavailableError as error:
        return [f"PostgreSQL: {error}"]
    places.append(_postgres(stack, url, sign_ins, None))
    try:
        places.append(_postgres(stack, url, sign_ins, stack.enter_context(redis_server())))
    except UnavailableError as error:
        return [f"Redis: {error}"]
    return []


def _postgres(stack: ExitStack, url: str, sign_ins: Sequence[SignIn], redis_url: str | None) -> Place:
    import psycopg
    from sqlalchemy.engine import make_url

    from passkeycore.repositories.redis import RedisCeremonies
    from passkeycore.repositories.sql import SQLRepository

    repository = SQLRepository(url, create=True)
    stack.callback(repository.close)
    ceremonies = None if redis_url is None else RedisCeremonies(redis_url)
    if ceremonies is None:
        store(repository, sign_ins)  # the first to come
    else:
        stack.callback(ceremonies.close)
    statements = recorded(url, sign_ins, ceremonies)
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    floors: list[Callable[[SignIn], object]] = []
    for _ in range(max(_WORKERS)):
        connection = stack.enter_context(psycopg.connect(address, autocommit=True))
        more = None if redis_url is None else _redis_floor(stack, redis_url, sign_ins)
        floors.append(_floor(connection.execute, statements, sign_ins, more))
    name = "PostgreSQL" if redis_url is None else "Redis, PostgreSQL"
    return Place(name, ours(repository, ceremonies), floors, 0.45 if redis_url is None else None)


def _floor(
    execute: Callable[..., Any],
    statements: Mapping[str, Sequence[Statement]],
    sign_ins: Sequence[SignIn],
    more: Callable[[SignIn], object] | None = None,
) -> Callable[[SignIn], object]:
    check = _check(sign_ins)

    def sign_in(one: SignIn) -> None:
        for statement, parameters in statements[one.user_id]:
            cursor = execute(statement, parameters)
            if cursor.description is not None:
                cursor.fetchall()
        if more is not None:
            more(one)
        check(one)

    return sign_in


def _check(sign_ins: Sequence[SignIn]) -> Callable[[SignIn], object]:
    checks = {one.user_id: one.floor() for one in sign_ins}
    return lambda one: checks[one.user_id]()


def _redis_floor(stack: ExitStack, url: str, sign_ins: Sequence[SignIn]) -> Callable[[SignIn], object]:
    """The two commands of a sign-in, with a ceremony as long as ours."""
    import redis

    client: Any = redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    stack.callback(client.close)
    bodies = {one.user_id: one.stored_state.encode() for one in sign_ins}

    def sign_in(one: SignIn) -> object:
        client.execute_command("SET", one.challenge, bodies[one.user_id], b"NX", b"PX", 360_000)
        return client.execute_command("GETDEL", one.challenge)

    return sign_in
