"""Repositories with one mistake each, of those that real ones make: the contract has to find every one.

A pause stands where another caller may come in between; it makes the mistake show, and decides nothing. What belongs
here: the tools; the mistakes are in the files named after what is kept.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import msgspec

replace = msgspec.structs.replace


def pause() -> None:
    time.sleep(0.002)


class Folding(OrderedDict[Any, Any]):
    """A table whose keys are the same when `fold` gives the same."""

    def __init__(self, fold: Callable[[Any], Hashable]) -> None:
        super().__init__()
        self.fold = fold

    def __contains__(self, key: object) -> bool:
        return super().__contains__(self.fold(key))

    def __getitem__(self, key: object) -> Any:
        return super().__getitem__(self.fold(key))

    def __setitem__(self, key: object, value: object) -> None:
        super().__setitem__(self.fold(key), value)

    def __delitem__(self, key: object) -> None:
        super().__delitem__(self.fold(key))

    def get(self, key: object, default: Any = None) -> Any:
        return super().get(self.fold(key), default)

    def pop(self, key: object, default: Any = None) -> Any:
        return super().pop(self.fold(key), default)


class Pausing(dict[Any, Any]):
    """A table after each reading of which others come in between."""

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        pause()
        return found

    def __getitem__(self, key: object) -> Any:
        found = super().__getitem__(key)
        pause()
        return found

    def get(self, key: object, default: Any = None) -> Any:
        found = super().get(key, default)
        pause()
        return found

    def __len__(self) -> int:
        count = super().__len__()
        pause()
        return count
