"""Long runs, too long for every change.

    python -m tests.soak crash --kills 200
    python -m tests.soak machine --minutes 20
    python -m tests.soak serve --seconds 60

Each prints lines of figures and ends with 1 when a rule was broken.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.crash.harness import Crash, crash_at_random
from tests.crash.postgres import Server, crashing_server
from tests.crash.verdict import Verdict
from tests.servers import postgres_server

_KILLS: Final = 200
_SERVER_EVERY: Final = 10
_MINUTES: Final = 20
_SECONDS: Final = 60
_HISTORIES: Final = 500  # from one seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what `arguments` name (None: the command line's): 0 when every rule held, 1 when one was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    crash = commands.add_parser("crash", help="kill processes that register and sign in, and PostgreSQL under them")
    crash.add_argument("--kills", type=_positive, default=_KILLS, metavar="N", help=f"for each database ({_KILLS})")
    crash.add_argument("--seed", type=int, default=0, metavar="N", help="of the random moments (0)")
    crash.add_argument(
        "--server-every",
        type=_positive,
        default=_SERVER_EVERY,
        metavar="N",
        help=f"every so many kills, PostgreSQL itself crashes ({_SERVER_EVERY})",
    )
    crash.add_argument("--directory", type=Path, metavar="DIR", help="where SQLite's file is (a temporary directory)")
    crash.set_defaults(run=_crash)
    machine = commands.add_parser("machine", help="random histories on memory and SQLite at once, beside a model")
    machine.add_argument(
        "--minutes", type=float, default=_MINUTES, metavar="N", help=f"how long, at least ({_MINUTES})"
    )
    machine.add_argument("--seed", type=int, metavar="N", help="of the first histories (a random one)")
    machine.add_argument("--steps", type=_positive, metavar="N", help="of each history, at most (as in CI)")
    machine.set_defaults(run=_machine)
    serve = commands.add_parser("serve", help="kill processes of passkeycore serve under clients, and judge the rest")
    serve.add_argument("--seconds", type=float, default=_SECONDS, metavar="N", help=f"for each database ({_SECONDS})")
    serve.add_argument("--seed", type=int, default=0, metavar="N", help="of the random moments (0)")
    serve.set_defaults(run=_serve)
    given = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], bool] = given.run
    return 0 if run(given) else 1


def _crash(given: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        url = f"sqlite:///{Path(directory) / 'passkeys.db'}"
        good = reported("sqlite", crash_at_random(url, given.kills, given.seed))
    with crashing_server() as server:
        crashes = crash_at_random(server.url, given.kills, given.seed, partial(_server_crash, server, given))
        return reported("postgresql", crashes) and good


def _server_crash(server: Server, given: argparse.Namespace, number: int) -> Crash | None:
    turn, left = divmod(number + 1, given.server_every)
    if left:
        return None
    return server.crash if turn % 2 else server.kill


def _serve(given: argparse.Namespace) -> bool:
    from tests.server.killing import killed_while_serving

    good = True
    with postgres_server() as postgres, tempfile.TemporaryDirectory() as directory:
        for name, database in (("sqlite", f"sqlite:///{directory}/passkeys.db"), ("postgresql", postgres)):
            began, place = time.monotonic(), Path(directory) / name
            place.mkdir()
            found = killed_while_serving(database, place, seconds=given.seconds, seed=given.seed)
            for violation in found.violations:
                print(f"{name}: VIOLATION: {violation}", flush=True)
            done = ", ".join(f"{number} {step}" for step, number in found.done.items())
            print(
                f"{name}: {found.kills} kills; {done}; {found.cut_off} requests cut off; "
                f"{len(found.violations)} violations; {time.monotonic() - began:.0f} s",
                flush=True,
            )
            good = good and not found.violations
    return good


def _machine(given: argparse.Namespace) -> bool:
    from tests.state_machine.machine import STEPS, Machine, play  # Hypothesis, for those who play

    began, first = time.monotonic(), secrets.randbits(32) if given.seed is None else given.seed
    seeds = 0
    good = True
    while good and time.monotonic() - began < given.minutes * 60:
        try:
            play(_HISTORIES, begin=first + seeds, steps=given.steps or STEPS)
        except AssertionError as violation:
            print(f"machine: VIOLATION with --seed {first + seeds}: {violation}", flush=True)
            print(*getattr(violation, "__notes__", ()), sep="\n", flush=True)
            good = False
        seeds += 1
    accepted = sum(number for (_, code), number in Machine.tally.items() if code is None)
    print(
        f"machine: {Machine.played['histories']} histories from {seeds} seeds, the first {first}; "
        f"{Machine.tally.total()} calls, each on both storages: {accepted} accepted, "
        f"{Machine.tally.total() - accepted} refused, {len(Machine.tally)} kinds of answers; "
        f"{Machine.played['races']} races; {0 if good else 1} violations; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return good


def reported(name: str, crashes: Iterable[Verdict]) -> bool:
    """Prints what broke, and the figures; whether nothing did."""
    began, total = time.monotonic(), Verdict()
    for verdict in crashes:
        total.add(verdict)
        for violation in verdict.violations:
            print(f"{name}: VIOLATION: {violation}", flush=True)
    print(
        f"{name}: {total.crashes} kills, {total.done} ceremonies reported as done; cut off: {total.applied} after the "
        f"commit, {total.spent} with the challenge spent, {total.untouched} before; "
        f"{len(total.violations)} violations; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return not total.violations


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
