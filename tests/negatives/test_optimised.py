"""The cases once more under `python -O`, where an `assert` checks nothing."""

import subprocess
import sys
from pathlib import Path


def test_nothing_depends_on_assert() -> None:
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-O", "-m", "tests.negatives"], cwd=root, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.rstrip().endswith("0 failed, optimised: True")
