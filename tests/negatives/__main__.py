"""Runs every case and sweep without pytest, which is how they are run optimised: `python -O -m tests.negatives`."""

import sys

from .ceremonies import HarnessError
from .harness import Ceremony, check
from .sweeps import SWEEPS
from .tables import CASES
from .through import check_through


def main() -> int:
    """How many cases and sweeps fail that should not."""
    failed = 0
    for case in CASES:
        try:
            check(case)
            if isinstance(case, Ceremony):
                check_through(case, "sync")
        except HarnessError as error:
            failed += 1
            sys.stderr.write(f"{error}\n")
    for sweep in SWEEPS:
        sweep.run()
    sys.stdout.write(f"{len(CASES)} cases, {len(SWEEPS)} sweeps, {failed} failed, optimised: {not __debug__}\n")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
