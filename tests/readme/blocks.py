"""The code in README.md, by section, as something that can be executed."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

_F = TypeVar("_F", bound=Callable[..., None])

README = Path(__file__).parents[2] / "README.md"
EXECUTED: set[str] = set()
"""Sections that a test executes; see `executes`."""
_HEADING = re.compile(r"(##+) (.+)")


class Block(NamedTuple):
    """Attributes: section: ``Chapter`` or ``Chapter / Section``; line: where the code begins, counted from 1."""

    section: str
    language: str
    code: str
    line: int


@cache
def blocks() -> tuple[Block, ...]:
    """Every fenced block of the README, in order."""
    return tuple(_blocks())


def section(name: str, language: str = "python") -> list[Block]:
    """The blocks of one section in this language; at least one."""
    found = [block for block in blocks() if (block.section, block.language) == (name, language)]
    assert found, f"README.md has no {language} under {name!r}"
    return found


def execute(name: str, names: dict[str, Any], replaced: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the section's Python defines, run in order among `names`, which it may use and which are given back.

    Args:
        name: The section.
        names: What the reader has: see the text around each block.
        replaced: Parts of the code, each there once, and what stands in for them, such as the address of a server.
    """
    code = "".join(block.code for block in section(name))
    missing = [old for old in replaced or {} if code.count(old) != 1]
    assert not missing, f"README.md does not say once what is replaced: {missing}"
    for block in section(name):
        code = block.code
        for old, new in (replaced or {}).items():
            code = code.replace(old, new)
        # As many lines above as there are in the README, so that a traceback shows its line.
        exec(compile("\n" * (block.line - 1) + code, str(README), "exec"), names)  # noqa: S102
    return names


def executes(name: str) -> Callable[[_F], _F]:
    """Marks the test that executes this section."""

    def mark(test: _F) -> _F:
        EXECUTED.add(name)
        return test

    return mark


def _blocks() -> Iterator[Block]:
    path: list[str] = []
    lines = enumerate(README.read_text("utf-8").splitlines(), 1)
    for number, line in lines:
        heading = _HEADING.fullmatch(line)
        if heading is not None:
            path[len(heading[1]) - 2 :] = [heading[2]]
        elif line.startswith("```"):
            code = ""
            while (inside := next(lines)[1]) != "```":
                code += f"{inside}\n"
            yield Block(" / ".join(path), line[3:].strip(), code, number + 1)
