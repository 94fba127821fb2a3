"""Start time: a process that imports passkeycore beside one that imports what it needs in any case.

Whole processes, started in turn, with the modules' bytecode already written. `python -c` finds what this process
finds: the environment and the working directory are the same.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from importlib.util import cache_from_source
from pathlib import Path
from typing import Final

import passkeycore

from .measure import Contender, estimate, interleave, ratio
from .peers import Peer
from .report import Section, bound, raw, samples, share, table, times, verdict

_BASELINE: Final = "pass"
_NEEDED: Final = "from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa; import cbor2, msgspec"
_OURS: Final = "import passkeycore"
_BOUND: Final = 1.4
_ROUNDS_EACH: Final = 10  # a process costs as much as some hundred calls


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for a tenth of `rounds` rounds of one process of each kind."""
    contenders = [Contender(code, partial(_batch, code)) for code in (_BASELINE, _NEEDED, _OURS)]
    series = interleave(contenders, max(3, rounds // _ROUNDS_EACH))
    baseline, needed, ours = (series[code] for code in (_BASELINE, _NEEDED, _OURS))
    whole = ratio(ours, needed)
    net = estimate(_net_quotient, ours, needed, baseline)
    cached = Path(cache_from_source(passkeycore.__file__)).exists()
    rows = [
        ("start of the process included", times(whole), share(whole), verdict(whole.value, _BOUND)),
        ("less that of an empty process", times(net), share(net), verdict(net.value, _BOUND)),
    ]
    text = (
        f"{table(('import passkeycore / its imports', 'ratio', 'with fifths', 'bound'), rows)}\n\n"
        + ("" if cached else "The bytecode could not be written: these figures include compiling.\n\n")
        + samples(series)
    )
    data = {
        "ratio": whole.to_dict(),
        "ratio_bound": bound(whole.value, _BOUND),
        "ratio_less_baseline": net.to_dict(),
        "ratio_less_baseline_bound": bound(net.value, _BOUND),
        "bytecode_cached": cached,
        "series": raw(series),
    }
    return Section("imports", text, data)


def _net_quotient(ours: float, needed: float, baseline: float) -> float:
    return (ours - baseline) / (needed - baseline)


def _batch(code: str) -> list[partial[None]]:
    return [partial(_start, code)]


def _start(code: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", code], check=True, stdin=subprocess.DEVNULL, env=environment)
