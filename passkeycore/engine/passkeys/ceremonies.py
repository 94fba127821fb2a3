"""Where a ceremony waits between start and finish: in a repository, or sealed in the client's hands.

Either way it is taken once. `StatelessCeremonies` and its asynchronous twin are what an application passes as
``ceremonies=``; flows see `Ceremonies`.
"""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, Protocol

from ...errors import Code, ConflictError, DecodeError, TokenError
from ..records import Ceremony
from ..repository import AsyncCeremonyRepository, AsyncSpentRepository, SpentRepository

if TYPE_CHECKING:
    from ...tokens import Tokens

_PURPOSE: Final = "passkeycore/ceremony"
_LONGEST_HANDLE: Final = 64
# A response that is late but otherwise right is told so; therefore nothing forgets a ceremony at its very end.
GRACE: Final = timedelta(minutes=1)


class StatelessCeremonies:
    """Keeps nothing at the start: the sealed state travels with the options, and the finish is handed it back.

    The state is encrypted, authenticated and padded, so that the client learns nothing from it. What was used is
    remembered until it expires, or else a captured response could be sent twice: signature counters do not stop
    that, as synced passkeys have none.

    Attributes:
        tokens: Seals the states.
        spent: Remembers what was used; `MemoryRepository`, `SQLRepository` and `RedisCeremonies` do. Servers that
            share the secret of `tokens` have to share this as well: a state counts once in each.
    """

    def __init__(self, tokens: "Tokens", spent: SpentRepository) -> None:
        self.tokens = tokens
        self.spent = spent


class AsyncStatelessCeremonies:
    """`StatelessCeremonies` for asyncio."""

    def __init__(self, tokens: "Tokens", spent: AsyncSpentRepository) -> None:
        self.tokens = tokens
        self.spent = spent


class Ceremonies(Protocol):
    """What flows need."""

    async def begin(self, ceremony: Ceremony, now: datetime, /) -> str | None:
        """Keeps `ceremony`; what the client has to hand back, or None."""
        ...

    def take(
        self, realm: str, challenge: bytes | None, sealed_state: str | None, now: datetime, /
    ) -> Awaitable[Ceremony | None]:
        """The ceremony with this challenge, once; None when there is none (any more)."""
        ...

    async def remove_expired(self, now: datetime, /) -> int:
        """How many were removed that expired; see `CeremonyRepository.remove_expired`."""
        ...


class StoredCeremonies:
    """Ceremonies in a repository."""

    def __init__(self, repository: AsyncCeremonyRepository) -> None:
        self._add = repository.add_ceremony
        self._take = repository.take_ceremony
        self.remove_expired = repository.remove_expired

    async def begin(self, ceremony: Ceremony, now: datetime, /) -> None:
        """See `Ceremonies.begin`.

        Raises:
            ConflictError: `conflict`: the challenge was issued before, so the randomness is none.
        """
        if not await self._add(ceremony):
            raise ConflictError(Code.CONFLICT, "this challenge was issued before")

    def take(
        self, realm: str, challenge: bytes | None, sealed_state: str | None, now: datetime, /
    ) -> Awaitable[Ceremony | None]:
        """See `Ceremonies.take`."""
        return self._take(realm, challenge or b"")  # nobody begins with an empty challenge


class SealedCeremonies:
    """Ceremonies in the client's hands."""

    def __init__(self, tokens: "Tokens", spent: AsyncSpentRepository) -> None:
        self._tokens = tokens
        self._spend = spent.spend
        self.remove_expired = spent.remove_expired

    async def begin(self, ceremony: Ceremony, now: datetime, /) -> str:
        """See `Ceremonies.begin`."""
        state = ceremony.state
        # A decoy's user handle may have another length than a real one; the sealed state shall not tell them apart.
        filler = _LONGEST_HANDLE - len(state.user_handle or b"")
        content = bytes([filler]) + bytes(filler) + ceremony.to_bytes()
        return self._tokens.seal(_PURPOSE, content, expires_at=state.expires_at + GRACE, now=now)

    async def take(
        self, realm: str, challenge: bytes | None, sealed_state: str | None, now: datetime, /
    ) -> Ceremony | None:
        """See `Ceremonies.take`."""
        if sealed_state is None:
            return None
        try:
            content = self._tokens.unseal(_PURPOSE, sealed_state, now=now)
            ceremony = Ceremony.from_bytes(content[1 + content[0] :] if content else b"")
        except (TokenError, DecodeError):
            return None
        state = ceremony.state
        if state.realm != realm:
            return None
        # Spent whatever the response says: the first finish ends the ceremony that it was handed.
        unspent = await self._spend(realm, sha256(state.challenge).digest(), state.expires_at)
        return ceremony if unspent and compare_digest(state.challenge, challenge or b"") else None
