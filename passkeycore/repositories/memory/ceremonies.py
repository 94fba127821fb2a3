"""Ceremonies under way, and what is spent: the methods of `CeremonyRepository` and `SpentRepository`."""

from datetime import UTC, datetime

from ...engine.records import Ceremony
from .tables import Tables


class Ceremonies(Tables):
    """Part of `MemoryRepository`."""

    def add_ceremony(self, ceremony: Ceremony, /) -> bool:
        """See `CeremonyRepository.add_ceremony`."""
        state = ceremony.state
        with self._lock:
            # Everybody may begin ceremonies, as many as they like: to keep all of them would let them take all memory,
            # to refuse new ones would let them lock out everybody else. The oldest are the likeliest to be abandoned.
            while len(self._ceremonies) >= self._bounds["max_ceremonies"]:
                if not self._ceremonies.take_expired(state.created_at):
                    self._ceremonies.take_oldest()
            return self._ceremonies.add(state.realm, state.challenge, ceremony, state.expires_at)

    def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
        """See `CeremonyRepository.take_ceremony`."""
        with self._lock:
            return self._ceremonies.take(realm, challenge)

    def spend(self, realm: str, key: bytes, expires_at: datetime, /) -> bool:
        """See `SpentRepository.spend`. Answer: False, too, when there is no room for the key."""
        with self._lock:
            # The clock decides only what may be forgotten. What may not is kept, and the newcomer refused: a key that
            # was forgotten could be spent twice.
            if len(self._spent) >= self._bounds["max_spent"] and not self._spent.take_expired(datetime.now(UTC)):
                return False
            return self._spent.add(realm, key, None, expires_at)

    def remove_expired(self, now: datetime, /) -> int:
        """See `CeremonyRepository.remove_expired`. Spent keys and device challenges, too."""
        removed = 0
        while some := self._remove_some(now):
            removed += some
        return removed

    def _remove_some(self, now: datetime) -> int:
        """Removes some of what expired. Answer: how many, 0 when nothing is left."""
        with self._lock:  # given back after each batch: nobody waits for all of them
            return len(self._ceremonies.take_expired(now)) or len(self._spent.take_expired(now))
