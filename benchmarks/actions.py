"""Actions: how many are tracked and validated a second, beside what the database alone would allow.

One call tracks a new action of a user who has a passkey, and validates the success of another one. The floor sends the
very statements that ours sends, recorded from such a call, to the same tables through the bare driver, each time with
a new idempotency key, or nothing would be inserted. Both write with the same durability. The tokens of both steps,
issued and read by joserfc, are measured by themselves as well: over memory they are most of it.
"""

import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from passkeycore.engine.actions.service import ActionService
from passkeycore.engine.actions.tracking import ClientInfo
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from passkeycore.tokens import Tokens

from .measure import Call, Contender, estimate, interleave
from .peers import Peer
from .report import Section, raw, samples, table
from .repositories import Statement
from .sign_ins import RP

_ROUNDS_EACH: Final = 5
_TIMED: Final = 10
_LEAD_IN: Final = 3
_ACTION: Final = "transfer"
_KEY: Final = "recorded"
_TOKENS: Final = Tokens(["a secret of the benchmarks, 32 bytes or more"])
_CLIENT: Final = ClientInfo(
    ip_address="192.0.2.7", user_agent="Mozilla/5.0", device_id="a cookie", custom={"amount": 100}
)


@dataclass(frozen=True)
class Place:
    """A database: our call, and its floor; None where there are no statements."""

    name: str
    ours: Call
    floor: Call | None


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for a fifth of `rounds` rounds of ten calls of each contender."""
    from passkeycore.repositories.memory import MemoryRepository

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="passkeycore-")))
        places = [Place("memory", ours(MemoryRepository()), None), stack.enter_context(sqlite_place(directory))]
        missing = _with_postgres(stack, places)
        calls = {f"{place.name} ours": place.ours for place in places}
        calls |= {f"{place.name} floor": place.floor for place in places if place.floor is not None}
        calls["tokens"] = tokens()
        series = interleave(
            [Contender(name, partial(_batch, call), _LEAD_IN) for name, call in calls.items()],
            max(3, rounds // _ROUNDS_EACH),
        )
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    for place in places:
        mine = series[f"{place.name} ours"]
        row = [place.name, f"{1e6 / mine.median_us:.0f}"]
        found: dict[str, Any] = {"ours_per_second": round(1e6 / mine.median_us, 1)}
        if place.floor is None:
            row += ["-", "-"]
        else:
            floor = series[f"{place.name} floor"]
            reached = estimate(_share, mine, floor)
            row += [f"{1e6 / floor.median_us:.0f}", f"{reached.value:.2f} [{reached.low:.2f}..{reached.high:.2f}]"]
            found |= {"floor_per_second": round(1e6 / floor.median_us, 1), "share_of_floor": reached.to_dict()}
        apart = estimate(_share, mine, series["tokens"])
        row.append(f"{apart.value:.2f}")
        rows.append(tuple(row))
        data[place.name] = found | {"share_of_tokens": apart.to_dict()}
    header = ("track + validate a second", "ours", "bare SQL", "ours / bare SQL", "of ours, tokens")
    text = f"{table(header, rows)}\n" + "".join(f"{line}\n" for line in missing) + "\n" + samples(series)
    return Section("actions", text, {"places": data, "missing": missing, "series": raw(series)})


def ours(repository: Any) -> Call:
    """Tracks a new action, and validates the success of another one."""
    actions, token = _with_success(repository)

    def call() -> None:
        actions.track("ada", _ACTION, client=_CLIENT)
        actions.validate_challenge(token, user_id="ada", action=_ACTION)

    return call


def tokens() -> Call:
    """What both steps have to do with tokens: one is issued, one is read."""
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "kind": "success",
        "realm": "",
        "user": "ada",
        "action": _ACTION,
        "key": secrets.token_hex(16),
        "at": int(now.timestamp() * 1e6),
    }
    token = _TOKENS.issue("passkeycore/action", claims, expires_at=now + timedelta(minutes=10), now=now)

    def call() -> None:
        _TOKENS.issue("passkeycore/action", claims, expires_at=now + timedelta(minutes=10), now=now)
        _TOKENS.read("passkeycore/action", token, now=now)

    return call


@contextmanager
def sqlite_place(directory: Path) -> Generator[Place]:
    """SQLite, in a file in `directory`."""
    from passkeycore.repositories.sql import SQLRepository

    path = directory / "actions.db"
    with ExitStack() as stack:
        repository = SQLRepository(f"sqlite:///{path}", create=True)
        stack.callback(repository.close)
        call = ours(repository)
        statements = recorded(f"sqlite:///{path}")
        connection = sqlite3.connect(path, isolation_level=None)
        stack.callback(connection.close)
        for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        yield Place("SQLite", call, floor(connection.execute, statements))


def _with_postgres(stack: ExitStack, places: list[Place]) -> list[str]:
    """Adds PostgreSQL; what is missing, in words."""
    import psycopg
    from sqlalchemy.engine import make_url

    from passkeycore.repositories.sql import SQLRepository
    from tests.servers import UnavailableError, postgres_server

    try:
        url = stack.enter_context(postgres_server())
    except UnavailableError as error:
        return [f"PostgreSQL: {error}"]
    repository = SQLRepository(url, create=True)
    stack.callback(repository.close)
    call = ours(repository)
    statements = recorded(url)
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = stack.enter_context(psycopg.connect(address, autocommit=True))
    places.append(Place("PostgreSQL", call, floor(connection.execute, statements)))
    return []


def recorded(url: str) -> list[Statement]:
    """The statements that one call of ours sends to this database, in their order; what it tracked has `_KEY`."""
    import sqlalchemy
    from sqlalchemy import event

    from passkeycore.repositories.sql import SQLRepository

    seen: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    actions, token = _with_success(SQLRepository(engine))
    event.listen(engine, "before_cursor_execute", note)
    actions.track("ada", _ACTION, client=_CLIENT, idempotency_key=_KEY)
    actions.validate_challenge(token, user_id="ada", action=_ACTION)
    engine.dispose()
    return seen


def floor(execute: Callable[..., Any], statements: Sequence[Statement]) -> Call:
    """Sends the statements, with a new key."""

    def call() -> None:
        key = secrets.token_hex(16)
        for statement, parameters in statements:
            cursor = execute(statement, _with_key(parameters, key))
            if cursor.description is not None:
                cursor.fetchall()

    return call


def _with_key(parameters: Any, key: str) -> Any:
    if isinstance(parameters, Mapping):
        named = cast("Mapping[str, Any]", parameters)
        return {name: key if value == _KEY else value for name, value in named.items()}
    return tuple(key if value == _KEY else value for value in parameters)


def _with_success(repository: Any) -> tuple[ActionService, str]:
    """A service, and the token of a success, which can be shown any number of times."""
    passkeys = PasskeyService(RP, repository)
    actions = ActionService(repository, tokens=_TOKENS, passkeys=passkeys)
    # The second service over a repository finds the first one's passkey, and has another device.
    client = VirtualClient(SoftwareAuthenticator(f"phone {len(passkeys.list_passkeys('ada'))}"))
    begun = passkeys.start_registration(user_id="ada", user_name="ada@example.org")
    passkeys.finish_registration(client.create(begun.to_dict()), user_id="ada")
    tracked = actions.track("ada", _ACTION)
    start = actions.start_passkey_challenge(tracked.token)
    return actions, actions.finish_passkey_challenge(tracked.token, client.get(start.to_dict())).token


def _batch(call: Call) -> list[Call]:
    return [call] * (_LEAD_IN + _TIMED)


def _share(ours: float, floor: float) -> float:
    return floor / ours
