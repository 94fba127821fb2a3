"""What the command prints: for people, with `rich` on a terminal, else as plain text; for machines, JSON.

Everything that came from outside is escaped here, so that no value can move the cursor or forge a line.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import msgspec

from ..webauthn.encoding import encode_base64url

if TYPE_CHECKING:
    import rich.tree

Style: TypeAlias = Literal["", "title", "good", "bad", "quiet"]
Cell: TypeAlias = tuple[str, Style]
Node: TypeAlias = "Named | bytes | str | int | float | bool | list[Node] | dict[str, Node] | None"
Tree: TypeAlias = dict[str, Node]

_BYTES_SHOWN: Final = 32
_STYLES: Final[Mapping[Style, str]] = {
    "": "",
    "title": "bold",
    "good": "green",
    "bad": "bold red",
    "quiet": "dim",
}


class Named(msgspec.Struct, frozen=True):
    """A number that has a name, such as a COSE algorithm."""

    id: int
    name: str


class Printer(Protocol):
    """Prints for people."""

    def line(self, text: str = "", style: Style = "") -> None:
        """Prints one line."""

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Prints rows below the names of their columns."""

    def tree(self, title: str, members: Tree) -> None:
        """Prints nested members below a title."""


def printer() -> Printer:
    """The printer for standard output: with `rich` where that is a terminal and `rich` installed, else plain."""
    if sys.stdout.isatty():
        try:
            return _RichPrinter()
        except ImportError:
            pass
    return _PlainPrinter()


def write_json(members: Mapping[str, object]) -> None:
    """Prints `members` as one line of ASCII JSON, bytes as base64url."""
    sys.stdout.write(json.dumps(members, default=_jsonable) + "\n")


def _jsonable(value: object) -> object:
    return encode_base64url(value) if isinstance(value, bytes) else msgspec.to_builtins(value)


def printable(text: str) -> str:
    """`text` on one line, with everything that is no visible character escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _shown(value: Node) -> str:
    """A single value for people, on one line."""
    if isinstance(value, Named):
        return f"{value.name} ({value.id})"
    if isinstance(value, bytes):
        more = "..." if len(value) > _BYTES_SHOWN else ""
        return f"{value[:_BYTES_SHOWN].hex()}{more} ({len(value)} bytes)".lstrip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_shown(member) for member in value) or "none"
    return "none" if value is None or value == {} else printable(str(value))


def _branches(members: Tree) -> list[tuple[str, Tree]]:
    """The lines of one level of a tree, and what hangs below each."""
    branches: list[tuple[str, Tree]] = []
    for name, value in members.items():
        if isinstance(value, list) and any(isinstance(member, (dict, list)) for member in value):
            value = {str(number): member for number, member in enumerate(value, 1)}
        if isinstance(value, dict) and value:
            branches.append((printable(name), value))
        else:
            branches.append((f"{printable(name)}: {_shown(value)}", {}))
    return branches


class _PlainPrinter:
    def line(self, text: str = "", style: Style = "") -> None:
        sys.stdout.write(printable(text) + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        lines = [list(columns), *([printable(text) for text, _ in row] for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            sys.stdout.write("  ".join(cells).rstrip() + "\n")

    def tree(self, title: str, members: Tree, depth: int = 0) -> None:
        sys.stdout.write("  " * depth + printable(title) + "\n")
        for label, below in _branches(members):
            self.tree(label, below, depth + 1)


class _RichPrinter:
    """Raises ImportError when `rich` is not installed. Text is never read as markup."""

    def __init__(self) -> None:
        from rich.console import Console

        colour: dict[str, Any] = {"color_system": None} if os.environ.get("NO_COLOR") else {}
        self._console = Console(file=sys.stdout, markup=False, emoji=False, highlight=False, **colour)

    def line(self, text: str = "", style: Style = "") -> None:
        self._console.print(printable(text), style=_STYLES[style], soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(text), style=_STYLES[style]) for text, style in row))
        self._console.print(table)

    def tree(self, title: str, members: Tree) -> None:
        from rich.text import Text
        from rich.tree import Tree as RichTree

        root = RichTree(Text(printable(title), style=_STYLES["title"]))
        self._grow(root, members)
        self._console.print(root)

    def _grow(self, tree: "rich.tree.Tree", members: Tree) -> None:
        from rich.text import Text

        for label, below in _branches(members):
            name, colon, value = label.partition(": ")
            style = _STYLES["bad" if name.startswith("error") else "quiet"]
            self._grow(tree.add(Text.assemble((name + colon, style), value)), below)
