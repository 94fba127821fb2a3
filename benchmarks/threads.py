"""Throughput of two threads relative to one: `cryptography` releases the GIL, the Python around it does not.

The floor's own figure says what this machine can give: two processors, or one that is shared.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Final

from passkeycore.webauthn.cose import ES256, RS256

from .cases import ALGORITHMS, AuthenticationCase, authentication_cases, remember_keys
from .measure import Call, Contender, estimate, interleave
from .peers import Peer
from .report import Section, raw, samples, table, times

_CALLS: Final = 100  # each thread's, a round
_CASES: Final = 5
_ROUNDS_EACH: Final = 5
_WHAT: Final[Mapping[str, Callable[[AuthenticationCase], Call]]] = {
    "floor": AuthenticationCase.floor,
    "ours": AuthenticationCase.ours,
}


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for a fifth of `rounds` rounds of a hundred calls in each thread."""
    cases = {ALGORITHMS[algorithm]: authentication_cases(algorithm, _CASES) for algorithm in (ES256, RS256)}
    for warm in cases.values():
        remember_keys(warm)
    with ThreadPoolExecutor(2) as pool:
        contenders = [
            Contender(f"{algorithm} {name}, {workers}", partial(_batch, pool, workers, prepare, known))
            for algorithm, known in cases.items()
            for name, prepare in _WHAT.items()
            for workers in (1, 2)
        ]
        series = interleave(contenders, max(3, rounds // _ROUNDS_EACH))
    figures = {
        (algorithm, name): estimate(_gain, series[f"{algorithm} {name}, 1"], series[f"{algorithm} {name}, 2"])
        for algorithm in cases
        for name in _WHAT
    }
    rows = [(algorithm, *(times(figures[algorithm, name]) for name in _WHAT)) for algorithm in cases]
    text = (
        f"{table(('two threads / one', *_WHAT), rows)}\n\n"
        f"below: {_CALLS} calls in each of one or two threads.\n\n" + samples(series)
    )
    data = {
        "throughput_of_two_threads": {" ".join(key): one.to_dict() for key, one in figures.items()},
        "calls_each": _CALLS,
        "series": raw(series),
    }
    return Section("threads", text, data)


def _gain(one: float, two: float) -> float:
    return 2 * one / two


def _batch(
    pool: ThreadPoolExecutor,
    workers: int,
    prepare: Callable[[AuthenticationCase], Call],
    cases: Sequence[AuthenticationCase],
) -> list[Call]:
    shares = [[prepare(case) for case in cases] for _ in range(workers)]
    return [partial(_spread, pool, shares)]


def _spread(pool: ThreadPoolExecutor, shares: Sequence[Sequence[Call]]) -> None:
    wait([pool.submit(_work, share) for share in shares])


def _work(calls: Sequence[Call]) -> None:
    for _ in range(_CALLS // len(calls)):
        for call in calls:
            call()
