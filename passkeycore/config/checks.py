"""The kinds of values that keys take: numbers, texts, words, lists, tables. Which keys there are is not known here."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from ..errors import ConfigurationError
from .source import Node

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_TEXT: Final = 4_096  # characters
_LONGEST_REASON: Final = 400  # characters; it may repeat the value


class Check(NamedTuple):
    """What a value has to be.

    Attributes:
        expected: In words, for errors and for the example file.
        read: The value in the form in which the configuration keeps it. Raises `Node.fault` for any other value.
    """

    expected: str
    read: Callable[[Node], object]


class Key(NamedTuple):
    """One key of a table.

    Attributes:
        name: As it stands in the file.
        check: What its value has to be.
        meaning: For readers of the example file.
        example: A value, as JSON: the default where there is one.
        field: What it fills; empty: the field of its own name. Keys that fill the same one exclude each other.
        required: Whether the table must have it.
    """

    name: str
    check: Check
    meaning: str
    example: str = ""
    field: str = ""
    required: bool = False


def by_name(*keys: Key) -> Mapping[str, Key]:
    """The keys of one table."""
    return {key.name: key for key in keys}


def read_table(node: Node, keys: Mapping[str, Key]) -> dict[str, Any]:
    """The fields that a table of the file fills.

    Raises:
        ConfigurationError: No table, an unknown key, a value that its key does not take, two keys that exclude each
            other, or a missing key.
    """
    fields: dict[str, Any] = {}
    filled_by: dict[str, str] = {}
    for name, member in node.members().items():
        key = keys.get(name)
        if key is None:
            similar = get_close_matches(name, keys, n=1)
            raise member.fault(f"unknown key; did you mean {similar[0]}?" if similar else "unknown key")
        field = key.field or name
        if field in fields:
            raise member.fault(f"either this or {filled_by[field]}, not both")
        fields[field] = key.check.read(member)
        filled_by[field] = name
    for key in keys.values():
        if key.required and key.name not in fields:
            raise node.child(key.name).fault(f"missing: {key.check.expected}")
    return fields


def number(low: int, high: int, unit: str = "") -> Check:
    """A whole number in a range, both ends included."""
    expected = f"a number{unit} from {low} to {high}"

    def read(node: Node) -> object:
        # bool is an int to Python, but `true` is no number to whoever writes the file.
        if type(node.value) is not int or not low <= node.value <= high:
            raise node.fault(expected)
        return node.value

    return Check(expected, read)


def text(expected: str, accepts: Callable[[str], object], result: Callable[[str], object] = str) -> Check:
    """A text without control characters, unless `accepts` returns False or raises a ConfigurationError, for its reason.

    The text itself is no part of the error, unless that reason repeats it.
    """

    def read(node: Node) -> object:
        value = node.value
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT or _CONTROLS.search(value):
            raise node.fault(expected)
        try:
            accepted = accepts(value)
        except ConfigurationError as error:
            raise node.fault(reason(error)) from None
        if accepted is False:
            raise node.fault(expected)
        return result(value)

    return Check(expected, read)


def matching(expected: str, pattern: str) -> Check:
    """A text that a regular expression matches as a whole."""
    compiled = re.compile(pattern)
    return text(expected, lambda value: compiled.fullmatch(value) is not None)


def word(values: Mapping[str, object]) -> Check:
    """One of some words, read as what it stands for."""
    return text(" or ".join(values), values.__contains__, values.__getitem__)


def url(*schemes: str) -> Check:
    """A URL, of which only the scheme is checked: the driver judges the rest. It may hold a password."""
    begins = tuple(f"{scheme}://" for scheme in schemes)
    return text(f"a URL that begins with {' or '.join(begins)}", lambda value: value.startswith(begins))


def several(item: Check, *, least: int = 0, most: int = 100) -> Check:
    """A list without repetitions, read as a tuple."""
    expected = f"a list of {least} to {most}, each {item.expected}"

    def read(node: Node) -> object:
        elements = node.elements()
        if elements is None or not least <= len(elements) <= most:
            raise node.fault(expected)
        values: list[object] = []
        for element in elements:
            value = item.read(element)
            if value in values:
                raise element.fault("twice in the list")
            values.append(value)
        return tuple(values)

    return Check(expected, read)


def table(keys: Mapping[str, Key], result: Callable[[dict[str, Any]], object]) -> Check:
    """A table with keys of its own, read as what `result` makes of its fields."""
    expected = "; ".join(f"{key.name}: {key.check.expected}" for key in keys.values())

    def read(node: Node) -> object:
        return result(read_table(node, keys))

    return Check(f"a table ({expected})", read)


def reason(error: ConfigurationError) -> str:
    """What an error says, bounded, and without the name of the argument that it was about."""
    return error.message.removeprefix(f"{error.path}: ")[:_LONGEST_REASON]
