"""How results are shown: sections, aligned tables, verdicts on bounds, and the versions everything ran with."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from cryptography.hazmat.backends.openssl import backend

import passkeycore

from .measure import Estimate, Series

_PACKAGES: Final = ("cryptography", "cbor2", "msgspec", "pybase64", "webauthn", "fido2")


@dataclass(frozen=True)
class Section:
    """One benchmark's outcome: `text` for people, `data` (JSON-ready) for programs."""

    title: str
    text: str
    data: Mapping[str, Any]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows under their header, in columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join((first, *others)).rstrip()

    return "\n".join((line(header), "  ".join("-" * width for width in widths), *map(line, rows)))


def samples(series: Mapping[str, Series]) -> str:
    """Medians and quartiles of every contender, so that a reader sees how noisy the run was."""
    rows = [(name, *(f"{value:.1f}" for value in (one.median_us, *one.quartiles_us))) for name, one in series.items()]
    return table(("µs a call, this run only", "median", "lower quartile", "upper"), rows)


def times(ratio: Estimate | str) -> str:
    """A ratio, or the reason why there is none."""
    return ratio if isinstance(ratio, str) else f"{ratio.value:.2f}x"


def share(estimate: Estimate) -> str:
    """An overhead, with the range that fifths of the run gave."""
    return f"{estimate.value:.3f} [{estimate.low:.3f}..{estimate.high:.3f}]"


def verdict(value: float, bound: float | None, *, at_least: bool = False) -> str:
    """Whether `value` keeps to `bound`, which is a limit, or with `at_least` a goal; None is no bound."""
    return "-" if bound is None else f"{bound:g} {'reached' if _keeps(value, bound, at_least) else 'missed'}"


def bound(value: float, limit: float | None, *, at_least: bool = False) -> dict[str, Any] | None:
    """The same, JSON-ready."""
    return None if limit is None else {"bound": limit, "reached": _keeps(value, limit, at_least)}


def _keeps(value: float, bound: float, at_least: bool) -> bool:
    return value >= bound if at_least else value <= bound


def raw(series: Mapping[str, Series]) -> dict[str, Any]:
    """Every contender's figures, JSON-ready."""
    return {name: one.to_dict() for name, one in series.items()}


def versions() -> dict[str, Any]:
    """What the figures depend on. A package that is not installed has None."""
    return {
        "passkeycore": passkeycore.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": backend.openssl_version_text(),
        **{package: _version(package) for package in _PACKAGES},
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
