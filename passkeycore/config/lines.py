"""On which line each value of a JSON or TOML text stands: what `json` and `tomllib` do not tell.

The syntax is theirs to judge. `Lines` walks over a text that one of them accepted, so it may trust its form; inside of
brackets both languages nest the same way. `tomllib` itself reads each key and header, so no spelling of one is missed.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import date, time
from typing import Final, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Names of members and indexes of elements, from the outermost value inwards."""

Value: TypeAlias = "bool | int | float | str | date | time | list[Value] | dict[str, Value] | None"
"""What the parsers make of a text."""

DEEPEST: Final = 16
"""Levels of nesting. Our deepest key needs 3, a rule file 15; recursion stays far from the interpreter's limit."""

# A string without an end takes the rest: looking for the end of each of many would take minutes.
_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?(?:"""(?!")|\Z)'  # up to two more quotes may stand before the last three
    r"|'''.*?(?:'''(?!')|\Z)"
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|'[^'\n]*'?"
    r"|#[^\n]*"
    r"|[\[\]{},=:\n]"
    r"""|[^\s\[\]{},=:"'#]+""",
    re.DOTALL,
)
_MARKS: Final = frozenset("[]{},=:\n")
_AFTER_VALUE: Final = _MARKS - {":"}  # which stands in times
_NESTING: Final = {"[": 1, "{": 1, "]": -1, "}": -1}


class _Token(NamedTuple):
    text: str
    line: int


def too_deep(text: str, *, toml: bool) -> int | None:
    """The line on which `text`, not parsed yet, nests more than 16 levels; None: nowhere.

    Asked first, because the parsers answer deep brackets by a RecursionError, and keys with thousands of dots by
    minutes of work.
    """
    depth = dots = 0
    for token, line in _tokens(text, toml):
        depth += _NESTING.get(token, 0)
        if token in _MARKS:
            dots = 0
        elif token[0] not in "\"'":
            dots += token.count(".")
        if depth > DEEPEST or dots > DEEPEST:
            return line
    return None


def _tokens(text: str, toml: bool) -> Iterator[_Token]:
    """What counts: no spaces, no comments, and line breaks only where they end a statement of TOML."""
    line, at, depth = 1, 0, 0
    for found in _TOKEN.finditer(text + "\n"):
        token = found[0]
        line += text.count("\n", at, found.start())
        at = found.start()
        depth += _NESTING.get(token, 0)
        if token[0] != "#" and (token != "\n" or (toml and depth == 0)):
            yield _Token(token, line)


class Lines:
    """The lines of the values of one text, after `walk`.

    Attributes:
        repeated: What an object of JSON gave more than once, in the order of the text, each with its later line.
        statement: The key of the last statement of TOML; empty where it has none that can be read.
    """

    __slots__ = ("_arrays", "_at", "_lines", "_tokens", "_toml", "repeated", "statement")

    def __init__(self, text: str, *, toml: bool) -> None:
        self.repeated: list[tuple[Path, int]] = []
        self.statement: Path = ()
        self._toml = toml
        self._tokens = list(_tokens(text, toml))
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._arrays: Counter[Path] = Counter()  # arrays of tables, with how many tables there are by now

    def __getitem__(self, path: Path) -> int:
        """The line of `path`, counted from 1; where it does not stand in the text, that of the table around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def walk(self) -> None:
        """Notes the line of every value.

        Raises:
            ValueError, IndexError: The text is not what its parser would accept. What came before it is noted.
        """
        if self._toml:
            self._statements()
        else:
            self._value(())

    def _statements(self) -> None:
        table: Path = ()
        while self._at < len(self._tokens):
            self.statement = ()
            if self._next() == "[":
                self.statement = table = self._header()
            elif self._next() != "\n":
                self.statement = self._key(table)
                self._value(self.statement)
            self._skip("\n")

    def _header(self) -> Path:
        line = self._tokens[self._at].line
        parts: list[str] = []
        while self._next() != "\n":
            parts.append(self._take().text)
        names = _names("".join(parts))
        path: Path = ()
        for number, name in enumerate(names, 1):
            path = (*path, name)
            if number == len(names) and parts[1] == "[":
                self._arrays[path] += 1
            if path in self._arrays:  # a header means the latest table of each array on its way
                path = (*path, self._arrays[path] - 1)
        self._note(path, line)
        return path

    def _key(self, table: Path) -> Path:
        line = self._tokens[self._at].line
        parts: list[str] = []
        while self._next() not in "=:":
            parts.append(self._take().text)
        self._take()
        path = table + (_names("".join(parts) + "=0") if self._toml else (str(json.loads(parts[0])),))
        if path in self._lines:
            self.repeated.append((path, line))
        self._note(path, line)
        return path

    def _value(self, path: Path) -> None:
        token, line = self._take()
        self._note(path, line)
        if token == "{":
            while self._next() != "}":
                self._value(self._key(path))
                self._skip(",")
            self._take()
        elif token == "[":
            index = 0
            while self._next() != "]":
                self._value((*path, index))
                self._skip(",")
                index += 1
            self._take()
        else:
            while self._toml and self._next() not in _AFTER_VALUE:  # a date and its time are two
                self._take()

    def _next(self) -> str:
        return self._tokens[self._at].text

    def _take(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, token: str) -> None:
        self._at += self._next() == token

    def _note(self, path: Path, line: int) -> None:
        for end in range(len(path) + 1):
            self._lines.setdefault(path[:end], line)


def _names(statement: str) -> tuple[str, ...]:
    """The names in one key or header of TOML, without their quotes."""
    names: list[str] = []
    rest: Value = tomllib.loads(statement)
    while isinstance(rest, dict) and rest:
        [(name, rest)] = rest.items()
        names.append(name)
        rest = rest[0] if isinstance(rest, list) else rest
    return tuple(names)
