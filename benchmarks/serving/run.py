"""The benchmarks of the server: beside a bare route, with many connections at once, and its memory."""

import shutil
import statistics
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..peers import Peer
from ..report import Section, bound, table, verdict
from .prepared import prepare, record, write_config
from .replay import Replayed, bare, free_port, is_installed, memory_kib, replay, server

_BOUND: Final = 0.6
_CONNECTIONS: Final = 16  # enough to keep one process busy
_WINDOW_S: Final = 4
_ROUNDS_EACH: Final = 60
_MOST_PER_SECOND: Final = 800  # for how many requests have to be ready
_CROWD: Final = 200
_CROWD_S: Final = 60
_CROWD_PER_SECOND: Final = 700
_FIRST: Final = 20_000
_LAST: Final = 200_000
_GROWTH: Final = 1.05
_NO_WRK: Final = "wrk is not installed"


@dataclass(frozen=True)
class Place:
    """A kind of database. `create` makes an empty one, `copy` one with what the first holds; both give URLs."""

    name: str
    create: Callable[[str], str]
    copy: Callable[[str, str], str]


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Ours and the bare route in turns, a sixtieth of `rounds` windows of four seconds each, over each database."""
    if not is_installed():
        return Section("serving", _NO_WRK, {})
    windows = max(2, rounds // _ROUNDS_EACH)
    count = windows * _WINDOW_S * _MOST_PER_SECOND
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    with places() as (directory, several):
        for place in several:
            ours, floor, failed = _in_turns(place, directory / place.name, windows, count)
            shares = sorted(mine / theirs for mine, theirs in zip(ours, floor, strict=True))
            share = statistics.median(ours) / statistics.median(floor)
            told = verdict(share, _BOUND, at_least=True)
            figures = (f"{statistics.median(ours):.0f}", f"{statistics.median(floor):.0f}")
            rows.append((place.name, *figures, f"{share:.2f} [{shares[0]:.2f}..{shares[-1]:.2f}]", told, str(failed)))
            data[place.name] = {
                "ours_per_second": ours,
                "floor_per_second": floor,
                "share_of_floor": share,
                "bound": bound(share, _BOUND, at_least=True),
                "failed": failed,
            }
    header = ("sign-ins a second over HTTP", "ours", "bare route", "ours / bare", "bound", "failed")
    text = f"{table(header, rows)}\n\none process each, {_CONNECTIONS} connections, {windows} windows of {_WINDOW_S} s"
    return Section("serving", text, data)


def run_crowd(rounds: int, _: Mapping[str, Peer]) -> Section:
    """200 connections for 60 seconds, whatever `rounds` is: how many are answered, and whether all are."""
    if not is_installed():
        return Section("crowd", _NO_WRK, {})
    rows: list[tuple[str, ...]] = []
    data: dict[str, Any] = {}
    with places() as (directory, several):
        for place in several:
            prepared = prepare(directory / place.name, place.create("crowd"), _CROWD_S * _CROWD_PER_SECOND)
            port = free_port()
            with server(prepared, port, workers=2):
                seen = replay(prepared, port, 0, connections=_CROWD, seconds=_CROWD_S)
            rows.append((place.name, str(seen.answered), str(seen.refused), str(seen.broken), f"{seen.slow_ms:.0f} ms"))
            data[place.name] = {"answered": seen.answered, "refused": seen.refused, "broken": seen.broken}
    header = (f"{_CROWD} connections, {_CROWD_S} s, two processes", "answered", "refused", "broken", "99 of 100 within")
    return Section("crowd", table(header, rows), data)


def run_memory(rounds: int, _: Mapping[str, Peer]) -> Section:
    """What the process has in memory after 20,000 sign-ins, and after 200,000, whatever `rounds` is; over SQLite."""
    if not is_installed():
        return Section("memory", _NO_WRK, {})
    with places() as (directory, several):
        place = several[0]
        prepared = prepare(directory / place.name, place.create("memory"), _LAST + _FIRST)
        port, done, first_kib, failed = free_port(), 0, 0, 0
        with server(prepared, port) as process:
            while done < _LAST:
                seen = replay(prepared, port, done, connections=_CONNECTIONS, seconds=_WINDOW_S)
                done, failed = done + seen.sent, failed + seen.refused + seen.broken
                if not first_kib and done >= _FIRST:
                    first_kib = memory_kib(process)
            last_kib = memory_kib(process)
    growth = last_kib / first_kib
    rows = [
        (f"after {_FIRST:,}", f"{first_kib / 1024:.1f}", "1.00", "-"),
        (f"after {_LAST:,}", f"{last_kib / 1024:.1f}", f"{growth:.3f}", verdict(growth, _GROWTH)),
    ]
    text = f"{table(('resident memory, sign-ins', 'MiB', 'ratio', 'bound'), rows)}\n\nfailed: {failed}"
    return Section("memory", text, {"growth": growth, "bound": bound(growth, _GROWTH), "failed": failed})


def _in_turns(place: Place, directory: Path, windows: int, count: int) -> tuple[list[float], list[float], int]:
    url = place.create("base")
    prepared = prepare(directory, url, count)
    expected = record(prepared, place.copy(url, "recorded"), _made(directory / "recorded"), count)
    floor_url = place.copy(url, "floor")
    write_config(directory, url)
    ports = free_port(), free_port()
    ours: list[float] = []
    floor: list[float] = []
    next_ours = next_floor = failed = 0
    with server(prepared, ports[0]), bare(expected, floor_url, ports[1]):
        for _ in range(windows):
            mine = replay(prepared, ports[0], next_ours, connections=_CONNECTIONS, seconds=_WINDOW_S)
            theirs = replay(prepared, ports[1], next_floor, connections=_CONNECTIONS, seconds=_WINDOW_S)
            next_ours, next_floor = next_ours + mine.sent, next_floor + theirs.sent
            failed += _failed(mine) + _failed(theirs)
            ours.append(mine.per_second)
            floor.append(theirs.per_second)
    return ours, floor, failed


def _failed(seen: Replayed) -> int:
    return seen.refused + seen.broken


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


@contextmanager
def places() -> Generator[tuple[Path, list[Place]]]:
    """A directory, SQLite in it, and a PostgreSQL where one can be started."""
    from tests.servers import UnavailableError, postgres_server

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="passkeycore-")))
        several = [_sqlite(directory)]
        try:
            several.append(_postgres(stack.enter_context(postgres_server())))
        except UnavailableError as error:
            print(f"PostgreSQL: {error}")
        yield directory, several


def _sqlite(directory: Path) -> Place:
    def create(name: str) -> str:
        return f"sqlite:///{directory}/{name}.db"

    def copy(url: str, name: str) -> str:
        shutil.copy(url.removeprefix("sqlite:///"), directory / f"{name}.db")
        return create(name)

    return Place("SQLite", create, copy)


def _postgres(url: str) -> Place:
    import psycopg
    from sqlalchemy.engine import make_url

    address = make_url(url).set(drivername="postgresql")

    def of(name: str) -> str:
        return address.set(database=name).render_as_string(hide_password=False)

    def create(name: str, template: str = "template1") -> str:
        with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return of(name)

    def copy(source: str, name: str) -> str:
        return create(name, make_url(source).database or "")

    return Place("PostgreSQL", create, copy)
