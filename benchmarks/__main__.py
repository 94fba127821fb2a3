"""The command line: which benchmarks to run, for how long, and where the figures go."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from . import (
    actions,
    attestation,
    authentication,
    devices,
    engine,
    imports,
    metadata,
    registration,
    repositories,
    rules,
    scale,
    threads,
    trail,
)
from .peers import Peer, installed
from .report import Section, versions
from .serving import run as serving

_SECTIONS: Final[Mapping[str, Callable[[int, Mapping[str, Peer]], Section]]] = {
    "authentication": authentication.run,
    "registration": registration.run,
    "attestation": attestation.run,
    "metadata": metadata.run,
    "imports": imports.run,
    "threads": threads.run,
    "trail": trail.run,
    "engine": engine.run,
    "repositories": repositories.run,
    "rules": rules.run,
    "actions": actions.run,
    "devices": devices.run,
    "scale": scale.run,
    "serving": serving.run,
    "crowd": serving.run_crowd,
    "memory": serving.run_memory,
}
_WHEN_NAMED: Final = ("scale", "serving", "crowd", "memory")
DEFAULT: Final = tuple(name for name in _SECTIONS if name not in _WHEN_NAMED)
_CHOICE: Final = f"of {', '.join(_SECTIONS)}; none: all but {', '.join(_WHEN_NAMED)}, which take long"
_ROUNDS: Final = 300
_QUICK_ROUNDS: Final = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks that `arguments` name (None: the command line's). Reports; judges nobody."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=_CHOICE)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"rounds of interleaved batches ({_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds, small databases: a look")
    given = parser.parse_args(arguments)
    names: list[str] = given.sections or [*DEFAULT]
    if unknown := [name for name in names if name not in _SECTIONS]:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(_SECTIONS)}")
    rounds: int = (_QUICK_ROUNDS if given.quick else _ROUNDS) if given.rounds is None else given.rounds
    if rounds < 1:
        parser.error("--rounds is at least 1")

    peers, environment = installed(), versions()
    print(", ".join(f"{name} {value or 'not installed'}" for name, value in environment.items()))
    data: dict[str, Any] = {"versions": environment, "rounds": rounds, "sections": {}}
    sections = dict(_SECTIONS)
    if given.quick:
        sections["scale"] = scale.run_quick
    for name in dict.fromkeys(names):
        section = sections[name](rounds, peers)
        print(f"\n== {section.title}, {rounds} rounds ==\n\n{section.text}", flush=True)
        data["sections"][name] = section.data
    if given.json is not None:
        given.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
