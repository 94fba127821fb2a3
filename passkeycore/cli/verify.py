"""``passkeycore verify``: vector files in, a verdict on each ceremony and a report out."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from ..errors import ConfigurationError
from ..testing.vectors import find_vector_files, read_vectors
from . import complain
from .judging import Verdict, check_policies, judge
from .output import Cell, Printer, printer, write_json

_CASES_LISTED: Final = 60
_FAILURES_LISTED: Final = 100
_NAMES_LISTED: Final = 10
_NOTHING: Final[Cell] = ("", "")


def run(files: Sequence[str], *, as_json: bool) -> int:
    """Judges the files (paths, directories, or ``-``), prints the report, and returns the exit code."""
    try:
        sources = [source for file in files for source in _sources(file)]
        inputs = [(source, list(read_vectors(source))) for source in sources]
        for _, cases in inputs:
            for case in cases:  # all of them before the first verdict: misuse is no half result
                check_policies(case)
    except OSError as error:
        return complain(str(error))
    except ConfigurationError as error:
        return complain(error.message)

    now, out = datetime.now(UTC), None if as_json else printer()
    everything: list[Verdict] = []
    for source, cases in inputs:
        judged: list[list[Verdict]] = []
        for case in cases:
            verdicts = list(judge(case, now))
            judged.append(verdicts)
            if out is None:
                for verdict in verdicts:
                    write_json(verdict.to_dict())
        if out is not None:
            _report(out, "standard input" if source == "-" else source, judged)
        everything += [verdict for verdicts in judged for verdict in verdicts]
    if out is not None and len(inputs) > 1:
        _total(out, f"{len(inputs)} files", everything)
    return 0 if all(verdict.met for verdict in everything) else 1


def _sources(file: str) -> list[str]:
    if file == "-" or not os.path.isdir(file):
        return [file]
    found = [str(path) for path in find_vector_files(file)]
    if not found:
        raise ConfigurationError(f"there are no vector files in {file}")
    return found


def _report(out: Printer, source: str, judged: Sequence[Sequence[Verdict]]) -> None:
    """Prints what became of one file, `judged` case by case: each case of a few, else only what failed."""
    out.line(source, "title")
    verdicts = [verdict for case in judged for verdict in case]
    rows = [_row(case) for case in judged if case[0].name is not None]
    if 0 < len(rows) <= _CASES_LISTED:
        out.table(("case", "registration", "authentication"), rows)
    failures = [verdict for verdict in verdicts if not verdict.met]
    for verdict in failures[:_FAILURES_LISTED]:
        headline, *details = _failure(verdict)
        out.line(headline, "bad")
        for line in details:
            out.line("  " + line)
    if len(failures) > _FAILURES_LISTED:
        out.line(f"... and {len(failures) - _FAILURES_LISTED} more; --json has them all")
    waiting: dict[str | None, list[str]] = {}
    for verdict in verdicts:
        if verdict.pending:
            waiting.setdefault(verdict.message, []).append(f"{verdict.ceremony} of {verdict.name}")
    for message, names in waiting.items():
        more = [f"and {len(names) - _NAMES_LISTED} more"] if len(names) > _NAMES_LISTED else []
        out.line(f"pending, {message}: {', '.join(names[:_NAMES_LISTED] + more)}", "quiet")
    _total(out, f"{len(rows)} case{'' if len(rows) == 1 else 's'}", verdicts)
    out.line()


def _total(out: Printer, of: str, verdicts: Iterable[Verdict]) -> None:
    counts = Counter(_kind(verdict) for verdict in verdicts)
    kinds = [kind for kind in ("verified", "refused as expected", "pending", "no case") if counts[kind]]
    counted = [f"{counts[kind]} {kind}" for kind in [*kinds, "not as expected"]]
    out.line(f"{of}: {', '.join(counted)}", "bad" if counts["not as expected"] or counts["no case"] else "good")


def _kind(verdict: Verdict) -> str:
    if verdict.name is None:
        return "no case"
    if verdict.pending:
        return "pending"
    return ("verified" if verdict.ok else "refused as expected") if verdict.met else "not as expected"


def _row(case: Sequence[Verdict]) -> list[Cell]:
    cells: dict[str | None, Cell] = {verdict.ceremony: _cell(verdict) for verdict in case}
    return [(case[0].name or "", ""), cells.get("registration", _NOTHING), cells.get("authentication", _NOTHING)]


def _cell(verdict: Verdict) -> Cell:
    if verdict.pending:
        return "pending", "quiet"
    result = "ok" if verdict.ok else f"refused: {verdict.code}"
    return (result, "good") if verdict.met else (f"FAILED, {result}", "bad")


def _failure(verdict: Verdict) -> list[str]:
    if verdict.name is None:
        return [f"FAILED {verdict.message}"]
    seen = ", ".join(f"{member} {verdict.details[member]!r}" for member in verdict.unmet if member in verdict.details)
    wanted = ", ".join(f"{member} {value!r}" for member, value in verdict.unmet.items())
    return [
        f"FAILED {verdict.ceremony} of {verdict.name}",
        f"verified: {seen}".removesuffix(": ") if verdict.ok else f"{verdict.code}: {verdict.message}",
        f"expected {wanted or 'to verify'}",
    ]
