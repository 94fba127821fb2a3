"""Files that are read whole: which language they are in, and their text."""

import os
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from ..errors import ConfigurationError
from .source import MOST_BYTES, Node, Source

Format: TypeAlias = Literal["jsonc", "toml"]

_FORMAT_OF_SUFFIX: Final[dict[str, Format]] = {".json": "jsonc", ".jsonc": "jsonc", ".toml": "toml"}


def read_file(path: str | os.PathLike[str]) -> tuple[str, Format]:
    """The text of a file, and its language by its suffix.

    Raises:
        ConfigurationError: The file cannot be read, has another suffix, is larger than 256 KiB or not UTF-8.
    """
    name = os.fspath(path)
    form = _FORMAT_OF_SUFFIX.get(Path(name).suffix.lower())
    if form is None:
        raise ConfigurationError(f"{name}: the suffix has to be one of {', '.join(_FORMAT_OF_SUFFIX)}")
    try:
        with open(name, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read: {error.strerror}") from None
    return Source(name).decode(content), form


def read_text(text: str, *, name: str, format: Format) -> Node:
    """What a text says, every value with its place.

    Raises:
        ConfigurationError: No such format, or a syntax error; see `Source.read`.
    """
    if format not in get_args(Format):
        raise ConfigurationError("jsonc or toml", path="format")
    return Source(name).read(text, toml=format == "toml")
