"""Timing: calls of several contenders interleaved in one process, and statistics that say how noisy they were."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any, Final, NamedTuple, TypeAlias

Call: TypeAlias = Callable[[], object]

_WARM_UP: Final = 3  # rounds that are thrown away: the interpreter specialises code that runs repeatedly
_PARTS: Final = 5


class Contender(NamedTuple):
    """One of the things compared.

    Attributes:
        name: Unique in its run.
        prepare: Gives one round's batch of calls; not timed itself.
        lead_in: So many calls at the head of the batch are made but not counted. They find the processor's caches
            full of the neighbour's code: the first call takes twice as long as the fifth, which says more about the
            neighbour than about the contender.
    """

    name: str
    prepare: Callable[[], Sequence[Call]]
    lead_in: int = 0


@dataclass(frozen=True)
class Series:
    """The times of one contender's single calls, in nanoseconds, in the order in which they ran."""

    samples: list[int] = field(default_factory=list[int])

    @property
    def median_us(self) -> float:
        """In microseconds, as all below."""
        return median(self.samples) / 1e3

    @property
    def quartiles_us(self) -> tuple[float, float]:
        """A quarter of the calls took less than the first, a quarter more than the second."""
        lower, _, upper = quantiles(self.samples, n=4)
        # Of a few calls they may be guessed to lie beyond all of them.
        return max(lower, min(self.samples)) / 1e3, min(upper, max(self.samples)) / 1e3

    def medians_of_parts(self) -> list[float]:
        """The medians of the first, second, … fifth of the run."""
        bounds = [len(self.samples) * part // _PARTS for part in range(_PARTS + 1)]
        return [median(self.samples[start:end]) / 1e3 for start, end in pairwise(bounds) if start < end]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        lower, upper = self.quartiles_us
        return {
            "median_us": round(self.median_us, 3),
            "lower_quartile_us": round(lower, 3),
            "upper_quartile_us": round(upper, 3),
            "calls": len(self.samples),
        }


class Estimate(NamedTuple):
    """A figure made of the medians of a run, and the range of what each fifth of the run would have said and of it."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """JSON-ready."""
        return {name: round(figure, 4) for name, figure in self._asdict().items()}


def estimate(figure: Callable[..., float], *series: Series) -> Estimate:
    """What `figure` makes of the medians of `series`, over the whole run and over each fifth of it."""
    parts = [figure(*medians) for medians in zip(*(s.medians_of_parts() for s in series), strict=True)]
    value = figure(*(s.median_us for s in series))
    return Estimate(value, min(value, *parts), max(value, *parts))


def ratio(ours: Series, base: Series) -> Estimate:
    """How many times `base` the median of `ours` is."""
    return estimate(_quotient, ours, base)


def overhead(ours: Series, floor: Series, unit: Series) -> Estimate:
    """What `ours` costs beyond `floor`, in medians of `unit`."""
    return estimate(_excess, ours, floor, unit)


def _quotient(ours: float, base: float) -> float:
    return ours / base


def _excess(ours: float, floor: float, unit: float) -> float:
    return (ours - floor) / unit


def interleave(
    contenders: Sequence[Contender], rounds: int, before_round: Callable[[], object] | None = None
) -> dict[str, Series]:
    """The times of all contenders, by name.

    Every round runs one small batch of each, in an order that is drawn anew, so that a slow second of the machine
    hits all of them and nobody always follows the same neighbour. Each call is timed by itself: an interrupt then
    spoils one sample, not an average, and the clock costs every contender the same.

    The cyclic garbage collector is off while calls are timed and runs between the rounds. It would start at whoever
    happens to make the 700th object, mostly of others, so it adds noise and blame; objects without cycles are freed
    inside the timed call as ever. Whoever allocates more gains from this, which here is the peers.
    """
    series = {contender.name: Series() for contender in contenders}
    order = list(contenders)
    random = Random(0)  # noqa: S311 - an order, not a secret
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for number in range(-_WARM_UP, rounds):
            if before_round is not None:
                before_round()
            random.shuffle(order)
            for contender in order:
                samples = _time(contender.prepare())
                if number >= 0:
                    series[contender.name].samples.extend(samples[contender.lead_in :])
            gc.collect()
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()
    return series


def _time(calls: Sequence[Call]) -> list[int]:
    clock = perf_counter_ns
    samples: list[int] = []
    for call in calls:
        start = clock()
        call()
        samples.append(clock() - start)
    return samples
