"""Values that expire, found without looking at those that do not."""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")

_GRACE: Final = timedelta(minutes=1)  # kept after the expiry, so that the engine can say "expired" instead of "unknown"
_BATCH: Final = 1000  # removed in one go, while everybody else waits


class Expiring(Generic[_K, _V]):
    """Values that expire, by realm and key; not thread-safe.

    Lifetimes differ, so that the order of insertion is not the order of expiry. Beside the values, the keys are kept by
    the second in which they expire: what is due is found among a few hundred seconds, however many values there are,
    and what is taken early leaves nothing behind, as it would in a heap.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[str, _K], tuple[int, datetime, _V]] = OrderedDict()
        self._seconds: dict[int, set[tuple[str, _K]]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def add(self, realm: str, key: _K, value: _V, expires_at: datetime) -> bool:
        """False when the key is taken."""
        place = realm, key
        if place in self._values:
            return False
        second = int(expires_at.timestamp())
        self._values[place] = second, expires_at, value
        self._seconds.setdefault(second, set()).add(place)
        return True

    def get(self, realm: str, key: _K) -> _V | None:
        """The value, which stays."""
        found = self._values.get((realm, key))
        return None if found is None else found[2]

    def replace(self, realm: str, key: _K, value: _V, expires_at: datetime) -> None:
        """Puts `value` in the place of the one that is there; its age stays."""
        place = realm, key
        second, before, _ = self._values[place]
        if expires_at != before:
            self._forget(place, second)
            second = int(expires_at.timestamp())
            self._seconds.setdefault(second, set()).add(place)
        self._values[place] = second, expires_at, value

    def take(self, realm: str, key: _K) -> _V | None:
        """The value, which is gone then."""
        place = realm, key
        found = self._values.pop(place, None)
        if found is None:
            return None
        self._forget(place, found[0])
        return found[2]

    def take_oldest(self) -> _V:
        """Likewise, the one that was added first."""
        place, (second, _, value) = self._values.popitem(last=False)
        self._forget(place, second)
        return value

    def take_expired(self, now: datetime) -> list[_V]:
        """Some of what expired more than `_GRACE` before `now`, which is gone then; none when none is left."""
        before = now - _GRACE
        last = int(before.timestamp())
        due = (place for second in self._seconds if second <= last for place in self._seconds[second])
        some = list(islice((place for place in due if self._values[place][1] < before), _BATCH))
        taken: list[_V] = []
        for place in some:
            second, _, value = self._values.pop(place)
            self._forget(place, second)
            taken.append(value)
        return taken

    def _forget(self, place: tuple[str, _K], second: int) -> None:
        places = self._seconds[second]
        places.discard(place)
        if not places:
            del self._seconds[second]
