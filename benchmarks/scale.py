"""Scale: what a sign-in costs when a thousand, a hundred thousand or a million credentials are stored.

SQLite has a file for each size, PostgreSQL a database in one server; all take turns in one run. Every sign-in is that
of another user, drawn from all of them, so that not the same few pages of a large table are read again and again. The
rows are real: they differ in ids and user handles, and have one key, so that one signature serves for whoever is drawn.
The finish has a bound; the start, of that user, is beside it.

Not among the benchmarks that run by default: filling the databases takes minutes and some gigabytes.
"""

import json
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.repositories.sql import SQLRepository, metadata
from passkeycore.testing import b64url_encode

from .measure import Call, Contender, Series, interleave, ratio
from .peers import Peer
from .report import Section, bound, raw, samples, table, verdict
from .sign_ins import BINDING, RP, Challenges, SignIn, make_sign_ins, store

SIZES: Final = (1_000, 100_000, 1_000_000)
QUICK_SIZES: Final = (1_000, 20_000)
_BOUND: Final = 1.3
_TIMED: Final = 4
_LEAD_IN: Final = 1
_ROUNDS_EACH: Final = 2
_WHAT: Final = ("finish", "start")
_PG_ID: Final = "sha256(int8send(i))"
_PG_HANDLE: Final = "sha256(int8send(-i))"


@dataclass(frozen=True)
class Filled:
    """A database with so many credentials, and calls of a service over it.

    Attributes:
        kind: Of database.
        size: How many.
        prepare: By what is timed, gives a round's calls.
    """

    kind: str
    size: int
    prepare: Mapping[str, Callable[[], Sequence[Call]]]

    def name(self, what: str) -> str:
        return f"{self.kind} {self.size} {what}"


def run(rounds: int, _: Mapping[str, Peer], sizes: Sequence[int] = SIZES) -> Section:
    """Measures for half of `rounds` rounds of four calls of each contender."""
    sign_ins = make_sign_ins(_LEAD_IN + _TIMED, users=1)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="passkeycore-")))
        filled = [stack.enter_context(sqlite_filled(size, sign_ins, directory)) for size in sizes]
        missing = _with_postgres(stack, filled, sizes, sign_ins)
        contenders = [
            Contender(one.name(what), prepare, _LEAD_IN) for one in filled for what, prepare in one.prepare.items()
        ]
        series = interleave(contenders, max(3, rounds // _ROUNDS_EACH))
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for kind in dict.fromkeys(one.kind for one in filled):
        for what in _WHAT:
            times = [series[one.name(what)] for one in filled if one.kind == kind]
            spread, limit = _spread(times), _BOUND if what == "finish" else None
            rows.append((f"{kind} {what}", *_ratios(times), f"{spread:.2f}x", verdict(spread, limit)))
            data[f"{kind} {what}"] = {"slowest_to_fastest": round(spread, 4), "bound": bound(spread, limit)}
    header = ("times the smallest", *(f"{size:,}" for size in sizes), "slowest / fastest", "bound")
    text = (
        f"{table(header, rows)}\n" + "".join(f"{line}\n" for line in missing) + "\n"
        f"the databases were in {tempfile.gettempdir()}.\n\n" + samples(series)
    )
    return Section("scale", text, {"sizes": [*sizes], "sign_ins": data, "missing": missing, "series": raw(series)})


def run_quick(rounds: int, peers: Mapping[str, Peer]) -> Section:
    """Measures small databases only: a look."""
    return run(rounds, peers, QUICK_SIZES)


def _ratios(times: Sequence[Series]) -> list[str]:
    return [f"{ratio(one, times[0]).value:.2f}x" for one in times]


def _spread(times: Sequence[Series]) -> float:
    medians = [one.median_us for one in times]
    return max(medians) / min(medians)


def credential_id(number: int) -> bytes:
    """The id of a user's credential; 0 is the one that was registered."""
    return sha256(struct.pack(">q", number)).digest()


def user_handle(number: int) -> bytes:
    """A user's handle."""
    return sha256(struct.pack(">q", -number)).digest()


def redirected(one: SignIn, number: int) -> bytes:
    """The response of `one`, as this user's: what is signed names neither."""
    response: dict[str, Any] = json.loads(one.body)
    response["id"] = response["rawId"] = b64url_encode(credential_id(number))
    response["response"]["userHandle"] = b64url_encode(user_handle(number))
    return json.dumps(response, separators=(",", ":")).encode()


def _calls(repository: SQLRepository, size: int, sign_ins: Sequence[SignIn]) -> Mapping[str, Callable[[], list[Call]]]:
    challenges, random = Challenges(), Random(size)  # noqa: S311 - who comes, no secret
    service = PasskeyService(RP, repository, random=challenges)

    def start(one: SignIn, number: int) -> None:
        challenges.next = one.challenge
        service.start_authentication(user_id=f"user {number}", binding=BINDING)

    def starts() -> list[Call]:
        for one in sign_ins:
            repository.take_ceremony("", one.challenge)
        return [partial(start, one, random.randrange(1, size)) for one in sign_ins]

    def finishes() -> list[Call]:
        calls: list[Call] = []
        for one in sign_ins:
            number = random.randrange(1, size)
            repository.take_ceremony("", one.challenge)
            start(one, number)
            calls.append(partial(service.finish_authentication, redirected(one, number), binding=BINDING))
        return calls

    return dict(zip(_WHAT, (finishes, starts), strict=True))


def _model(sign_ins: Sequence[SignIn]) -> tuple[bytes, bytes, bytes]:
    """The stored record of the one who registered, and its credential id and user handle, wherever they stand in it."""
    account = sign_ins[0].account
    return account.passkeys[0].credential.to_bytes(), account.passkeys[0].credential_id, account.user.user_handle


def _fill(execute: Callable[[str], object], size: int, numbers: str, columns: Mapping[str, str]) -> None:
    """Copies the one user and passkey that are there for each `i` of `numbers`, with these columns made of `i`."""
    for name in ("passkey_users", "passkeys"):
        names = [column.name for column in metadata.tables[name].columns]
        values = [columns.get(column, f"{name}.{column}") for column in names]
        execute(
            f"INSERT INTO {name} ({', '.join(names)}) SELECT {', '.join(values)} "  # noqa: S608 - our own names
            f"FROM {name}, {numbers} WHERE {name}.user_id = 'user 0' AND i < {size}"
        )


@contextmanager
def sqlite_filled(size: int, sign_ins: Sequence[SignIn], directory: Path) -> Generator[Filled]:
    """SQLite, in a file in `directory`."""
    path = directory / f"{size}.db"
    repository = SQLRepository(f"sqlite:///{path}", create=True)
    store(repository, sign_ins)
    record, id, handle = _model(sign_ins)

    def record_of(number: int) -> bytes:
        return record.replace(id, credential_id(number)).replace(handle, user_handle(number))

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    for name, function in (
        ("id_of", credential_id),
        ("handle_of", user_handle),
        ("record_of", record_of),
    ):
        connection.create_function(name, 1, function, deterministic=True)
    numbers = f"(WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {size}) SELECT i FROM n)"  # noqa: S608
    columns = {"user_id": "'user ' || i", "user_handle": "handle_of(i)", "credential_id": "id_of(i)"}
    _fill(connection.execute, size, numbers, columns | {"record": "record_of(i)"})
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    yield Filled("SQLite", size, _calls(repository, size, sign_ins))
    repository.close()


def _with_postgres(
    stack: ExitStack, filled: list[Filled], sizes: Sequence[int], sign_ins: Sequence[SignIn]
) -> list[str]:
    """Adds a database of each size in one server; what is missing, in words."""
    from tests.servers import UnavailableError, postgres_server

    try:
        url = stack.enter_context(postgres_server())
    except UnavailableError as error:
        return [f"PostgreSQL: {error}"]
    filled += [stack.enter_context(_postgres(url, size, sign_ins)) for size in sizes]
    return []


def _pg_record(record: bytes, id: bytes, handle: bytes) -> str:
    def joined(parts: Sequence[bytes]) -> str:
        return f" || {_PG_HANDLE} || ".join(f"'\\x{part.hex()}'::bytea" for part in parts)

    return f" || {_PG_ID} || ".join(joined(part.split(handle)) for part in record.split(id))


@contextmanager
def _postgres(url: str, size: int, sign_ins: Sequence[SignIn]) -> Generator[Filled]:
    import psycopg
    from sqlalchemy.engine import make_url

    name = f"with_{size}"
    address = make_url(url).set(drivername="postgresql")
    with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    repository = SQLRepository(make_url(url).set(database=name).render_as_string(hide_password=False), create=True)
    store(repository, sign_ins)
    own = address.set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(own, autocommit=True) as connection:
        columns = {"user_id": "'user ' || i", "user_handle": _PG_HANDLE, "credential_id": _PG_ID}
        columns["record"] = _pg_record(*_model(sign_ins))
        _fill(lambda text: connection.execute(text.encode()), size, f"generate_series(1::bigint, {size}) AS i", columns)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    yield Filled("PostgreSQL", size, _calls(repository, size, sign_ins))
    repository.close()
