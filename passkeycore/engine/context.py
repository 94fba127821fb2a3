"""What every flow is given: the Relying Party, the repositories, the clock, randomness, and who is told of events."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from ..errors import Code
from ..relying_party import RelyingParty
from ..webauthn.options import Preset
from .ceremonies import Ceremonies
from .records import Event, EventType
from .repository import AsyncEventRepository, AsyncPasskeyRepository

if TYPE_CHECKING:
    from ..tokens import Tokens


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A service's configuration. Its repositories are in the asynchronous shape, whatever their colour.

    Attributes:
        rp: Level 1.
        repository: Users and passkeys.
        ceremonies: What is under way.
        events: The store of events; None: none is kept.
        emit: Tells the sinks, at once and without failing; None: there are none.
        realm: The tenant, whose records alone exist here.
        max_passkeys_per_user: At least 1.
        preset: What ceremonies demand unless they say otherwise.
        timeout_ms, conditional_timeout_ms: How long ceremonies may take unless they say otherwise; None: as at level 1.
        decoy_secret: Makes credentials for users who have none; None: such a start is refused.
        tokens: Makes step-up tokens; None: there are none.
        now: The clock, aware.
        random: So many random bytes, for challenges, user handles and the ids of users and events.
    """

    rp: RelyingParty
    repository: AsyncPasskeyRepository
    ceremonies: Ceremonies
    events: AsyncEventRepository | None
    emit: Callable[[Event], object] | None
    realm: str
    max_passkeys_per_user: int
    preset: Preset
    timeout_ms: int | None
    conditional_timeout_ms: int | None
    decoy_secret: bytes | None
    tokens: "Tokens | None"
    now: Callable[[], datetime]
    random: Callable[[int], bytes]

    def timeout(self, mediation: str | None) -> int | None:
        """How long a ceremony with this mediation may take, in milliseconds; None: as at level 1."""
        return self.conditional_timeout_ms if mediation == "conditional" else self.timeout_ms

    def event(
        self,
        type: EventType,
        *,
        user_id: str | None = None,
        credential_id: bytes | None = None,
        code: Code | None = None,
        purpose: str | None = None,
    ) -> Event | None:
        """The event to store and to tell; None where nobody wants to know."""
        if self.events is None and self.emit is None:
            return None
        return Event(
            id=self.random(16).hex(),
            type=type,
            at=self.now(),
            realm=self.realm,
            user_id=user_id,
            credential_id=credential_id,
            code=code,
            details={} if purpose is None else {"purpose": purpose},
        )

    def stored(self, event: Event | None) -> Event | None:
        """`event` as a repository is to store it with a change: None where no events are kept."""
        return event if self.events is not None else None

    def tell(self, event: Event | None) -> None:
        """Tells the sinks of what has happened."""
        if event is not None and self.emit is not None:
            self.emit(event)

    async def record(self, event: Event | None) -> None:
        """Stores an event that goes with no change, and tells it."""
        if event is not None:
            if self.events is not None:
                await self.events.add_event(event)
            self.tell(event)
