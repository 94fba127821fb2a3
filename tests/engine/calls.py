"""How often a function of ours ran, counted by the interpreter: nothing is replaced."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Calls:
    """How many there were."""

    number: int = 0


@contextmanager
def calls_of(function: str, file: str) -> Generator[Calls]:
    """Counts the calls of `function` in the file of this name while the block runs, in this thread."""
    counted, before = Calls(), sys.getprofile()

    def see(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name == function and code.co_filename.endswith(file):
            counted.number += 1

    sys.setprofile(see)
    try:
        yield counted
    finally:
        sys.setprofile(before)
