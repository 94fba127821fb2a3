"""Long runs, too long for every change: ``python -m tests.soak crash --kills 200``.

Each prints a line of figures for every database and ends with 1 when a rule was broken.
"""

import argparse
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

_KILLS: Final = 200
_SERVER_EVERY: Final = 10


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
