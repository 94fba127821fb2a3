"""A configuration file as values that know their file, line and key. What the keys mean is not known here."""

import json
import math
import re
import tomllib
from contextlib import suppress
from datetime import time
from typing import Any, Final, NamedTuple, cast

from ..errors import ConfigurationError, show, show_path
from .lines import DEEPEST, Lines, Path, Value, too_deep

MOST_BYTES: Final = 256 << 10
"""Of a file: a hundred times the usual one."""

# JSON with comments is blanked into JSON here, every line break kept. The parsers for it that are maintained (json5,
# json-with-comments) tell no line for a key, overlook or do not locate keys given twice, and nest into a
# RecursionError. A string without an end is left to `json`, which names its line.
_STRING: Final = r'"(?:[^"\\\n]|\\[^\n])*"?'
_COMMENT: Final = re.compile(rf"{_STRING}|(?P<comment>//[^\r\n]*|/\*.*?(?:\*/|(?P<open>\Z)))", re.DOTALL)
_COMMA: Final = re.compile(rf"{_STRING}|[\[{{]\s*,|(?P<trailing>,)(?=\s*[\]}}])")  # "[," stays, for `json` to refuse
_VISIBLE: Final = re.compile(r"[^\r\n]")
_LONGEST_NUMBER: Final = 20  # digits; no key takes more, and int() refuses to work on thousands
_TOML_PLACE: Final = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)\Z")
_LONG_NUMBER: Final = re.compile(r"[0-9_]{600}")  # below 640 digits int() never refuses, however it is configured


class Node(NamedTuple):
    """A value of the file and where it stands."""

    source: "Source"
    path: Path
    value: Value

    def fault(self, message: str) -> ConfigurationError:
        """The error to raise for this value. `message` repeats nothing that may be a secret."""
        return self.source.fault(self.source.lines[self.path], self.path, message)

    def child(self, key: str | int, value: Value = None) -> "Node":
        """A member or an element of this value, or the place where it would stand."""
        return Node(self.source, (*self.path, key), value)

    def members(self) -> "dict[str, Node]":
        """The members of a table by their names, in the order of the file.

        Raises:
            ConfigurationError: The value is no table.
        """
        if not isinstance(self.value, dict):
            raise self.fault("a table of keys and values")
        return {key: self.child(key, value) for key, value in self.value.items()}

    def elements(self) -> "list[Node] | None":
        """The elements of a list; None: the value is none."""
        if not isinstance(self.value, list):
            return None
        return [self.child(index, value) for index, value in enumerate(self.value)]

    def as_json(self) -> Any:
        """The value, JSON-ready: a time of day, which TOML has, as text."""
        return _as_json(self.value)


class Source:
    """One text, and what its errors need: the name of the file, and the lines of its values."""

    __slots__ = ("lines", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines = Lines("", toml=True)

    def fault(self, line: int, path: Path, message: str) -> ConfigurationError:
        """The error that names file, line and key. An empty `path` is no key's fault."""
        key = show_path(path)
        error = ConfigurationError(": ".join(part for part in (f"{self.name}:{line}", key, message) if part))
        error.path = key or None  # set here, because the constructor would write it before the file's name
        return error

    def decode(self, content: bytes) -> str:
        """The text in the bytes of the file.

        Raises:
            ConfigurationError: More than 256 KiB, or not UTF-8.
        """
        self._check_size(len(content))
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise self.fault(content.count(b"\n", 0, error.start) + 1, (), "not UTF-8") from None

    def _check_size(self, size: int) -> None:
        if size > MOST_BYTES:
            raise self.fault(1, (), f"larger than {MOST_BYTES >> 10} KiB")

    def read(self, text: str, *, toml: bool) -> Node:
        """The whole text as one value; every value in it knows its place.

        Raises:
            ConfigurationError: More than 256 KiB, nested more than 16 deep, not the language that it should be, or
                with a key given twice.
        """
        self._check_size(len(text.encode("utf-8", "surrogatepass")))
        # Editors on Windows write a byte order mark, which neither parser takes.
        text = text.removeprefix("\ufeff")
        text = text if toml else self._without_comments(text)
        line = too_deep(text, toml=toml)
        if line is not None:
            raise self.fault(line, (), f"nested more than {DEEPEST} deep")
        value = self._toml(text) if toml else self._json(text)
        self.lines = Lines(text, toml=toml)
        self.lines.walk()
        for path, again in self.lines.repeated[:1]:
            raise self.fault(again, path, f"given twice, first on line {self.lines[path]}")
        return Node(self, (), value)

    def _without_comments(self, text: str) -> str:
        def blanked(found: re.Match[str]) -> str:
            if found["open"] is not None:
                raise self.fault(text.count("\n", 0, found.start()) + 1, (), "a comment without an end")
            return found[0] if found["comment"] is None else _VISIBLE.sub(" ", found[0])

        return _COMMA.sub(lambda found: " " if found["trailing"] else found[0], _COMMENT.sub(blanked, text))

    def _json(self, text: str) -> Value:
        try:
            return cast("Value", json.loads(text, parse_int=_integer))
        except json.JSONDecodeError as error:
            raise self.fault(error.lineno, (), f"not JSON with comments: {error.msg.removesuffix(' at')}") from None

    def _toml(self, text: str) -> Value:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _TOML_PLACE.search(str(error))
            line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
            before = "\n".join(text.split("\n")[:line])
            # The names in its message are the file's own.
            reason = show(_TOML_PLACE.sub("", str(error)))[1:-1]
            raise self.fault(line, _last_key(before), f"not TOML: {reason}") from None
        except ValueError:  # of int(), without a place
            number = _LONG_NUMBER.search(text)
            line = text.count("\n", 0, number.start()) + 1 if number else 1
            raise self.fault(line, (), "a number with too many digits") from None


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else math.inf


def _as_json(value: object) -> Any:
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, list):
        return list(map(_as_json, cast("list[object]", value)))
    if isinstance(value, dict):
        return {name: _as_json(member) for name, member in cast("dict[str, object]", value).items()}
    return value


def _last_key(text: str) -> Path:
    # `tomllib` does not name a key that is given twice. What comes before the mistake is sound, so a walk gets there.
    lines = Lines(text, toml=True)
    with suppress(ValueError, IndexError):
        lines.walk()
    return lines.statement
