"""Sign-ins: what verification costs beyond its signature check, with known and with new keys, and beside the peers.

One run holds everything: four algorithms, and for each the floor (the bare signature check), ours and the peers.
Overhead is ours minus the floor, as a fraction of the bare ES256 check.

Warm: the key is in our cache. Cold: it is not. Before every round `forget_keys` fills the cache with other keys and
the warm keys are used once; then each round uses each cold key once, after a few sign-ins with warm ones. What a new
key costs with `cryptography` alone, the least that anybody pays, is measured beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from passkeycore.webauthn.cose import ML_DSA_65

from .cases import ALGORITHMS, AuthenticationCase, authentication_cases, forget_keys, remember_keys
from .measure import Call, Contender, Estimate, Series, interleave, overhead, ratio
from .peers import NAMES, Peer
from .report import Section, bound, raw, samples, share, table, times, verdict

_WARM: Final = 5  # with the cold ones no more keys than the 15 RSA keys of the test kit
_COLD: Final = 10
_LEAD_IN: Final = _WARM
_TIMED: Final = _COLD
_UNIT: Final = "ES256 floor"
_BOUND_WARM: Final = 0.12
_BOUND_WARM_ML_DSA: Final = 0.20  # a signature of 3309 bytes and a key of 1952 are read as well
_BOUND_COLD: Final = 0.25


_HEADER: Final = (
    "algorithm",
    "floor µs",
    "ours",
    "overhead warm",
    "bound",
    "overhead cold",
    "bound",
    "bare cold",
    *NAMES,
)


def run(rounds: int, peers: Mapping[str, Peer]) -> Section:
    """Measures for `rounds` rounds of ten calls of each contender."""
    made = {algorithm: authentication_cases(algorithm, _WARM + _COLD) for algorithm in ALGORITHMS}
    cases = {algorithm: known for algorithm, known in made.items() if known}
    warm = [case for known in cases.values() for case in known[:_WARM]]

    def before_round() -> None:
        forget_keys()
        remember_keys(warm)

    contenders = [one for algorithm, known in cases.items() for one in _contenders(algorithm, known, peers)]
    series = interleave(contenders, rounds, before_round)
    results = [_Result.of(algorithm, series, peers) for algorithm in cases]
    missing = ", ".join(name for algorithm, name in ALGORITHMS.items() if algorithm not in cases)
    text = (
        f"{table(_HEADER, [result.row() for result in results])}\n"
        + (f"not in this cryptography: {missing}\n" if missing else "")
        + "\nfloor: the bare signature check, key ready. ours, peers: times the floor; ours with known keys.\n"
        "overhead: (ours - floor) / the bare ES256 check; in brackets, what fifths of the run say.\n"
        "bare cold: the overhead of cryptography alone when it makes a new key and checks one signature.\n\n"
        + samples(series)
    )
    data = {
        "unit": _UNIT,
        "algorithms": {result.name: result.to_dict() for result in results},
        "series": raw(series),
    }
    return Section("authentication", text, data)


def _contenders(algorithm: int, cases: Sequence[AuthenticationCase], peers: Mapping[str, Peer]) -> list[Contender]:
    name = ALGORITHMS[algorithm]
    warm, cold = [*cases[:_WARM]] * ((_LEAD_IN + _TIMED) // _WARM), cases  # the first of all cases are warm
    ready = [case.floor() for case in cases[:_WARM]] * ((_LEAD_IN + _TIMED) // _WARM)
    prepares: dict[str, Callable[[], Sequence[Call]]] = {
        "floor": lambda: ready,
        "floor, first use of a key": _each(AuthenticationCase.floor, cold),
        "floor and making the key": _each(AuthenticationCase.load_and_floor, cold),
        "ours warm": _each(AuthenticationCase.ours, warm),
        "ours cold": _each(AuthenticationCase.ours, cold),
    }
    for peer_name, peer in peers.items():
        if peer.supports(algorithm):
            prepares[peer_name] = _each(peer.authentication, warm)
    return [Contender(f"{name} {what}", prepare, _LEAD_IN) for what, prepare in prepares.items()]


def _each(
    prepare: Callable[[AuthenticationCase], Call], cases: Sequence[AuthenticationCase]
) -> Callable[[], list[Call]]:
    return lambda: [prepare(case) for case in cases]


@dataclass(frozen=True)
class _Result:
    """One line of the table. A peer's ratio is a reason instead when there is none."""

    name: str
    floor_us: float
    ours: Estimate
    warm: Estimate
    warm_bound: float
    cold: Estimate
    cold_bound: float | None
    bare_cold: Estimate
    peers: Mapping[str, Estimate | str]

    @classmethod
    def of(cls, algorithm: int, series: Mapping[str, Series], peers: Mapping[str, Peer]) -> "_Result":
        name = ALGORITHMS[algorithm]
        floor, unit = series[f"{name} floor"], series[_UNIT]
        warm, cold = series[f"{name} ours warm"], series[f"{name} ours cold"]
        ml_dsa = algorithm == ML_DSA_65
        return cls(
            name=name,
            floor_us=floor.median_us,
            ours=ratio(warm, floor),
            warm=overhead(warm, floor, unit),
            warm_bound=_BOUND_WARM_ML_DSA if ml_dsa else _BOUND_WARM,
            cold=overhead(cold, floor, unit),
            cold_bound=None if ml_dsa else _BOUND_COLD,
            bare_cold=overhead(series[f"{name} floor and making the key"], floor, unit),
            peers={
                peer: ratio(series[f"{name} {peer}"], floor)
                if f"{name} {peer}" in series
                else "-"
                if peer in peers
                else "not installed"
                for peer in NAMES
            },
        )

    def row(self) -> tuple[str, ...]:
        return (
            self.name,
            f"{self.floor_us:.1f}",
            times(self.ours),
            share(self.warm),
            verdict(self.warm.value, self.warm_bound),
            share(self.cold),
            verdict(self.cold.value, self.cold_bound),
            f"{self.bare_cold.value:.3f}",
            *map(times, self.peers.values()),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "floor_us": round(self.floor_us, 3),
            "ours_ratio": self.ours.to_dict(),
            "overhead_warm": self.warm.to_dict(),
            "overhead_warm_bound": bound(self.warm.value, self.warm_bound),
            "overhead_cold": self.cold.to_dict(),
            "overhead_cold_bound": bound(self.cold.value, self.cold_bound),
            "bare_cold": self.bare_cold.to_dict(),
            "peer_ratios": {
                name: value if isinstance(value, str) else value.to_dict() for name, value in self.peers.items()
            },
        }
