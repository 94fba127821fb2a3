"""What every flow of every service is given: the tenant, the clock, randomness, and who is told of events."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from ..errors import Code
from ..webauthn.encoding import encode_base64url
from .records import Event, EventType
from .repository import AsyncEventRepository

_USER_HANDLE_BYTES: Final = 24  # 32 characters of base64url, as some native clients take the handle for a text


class EngineContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration of each service has. Repositories are in the asynchronous shape, whatever their colour.

    Attributes:
        events: The store of events; None: none is kept.
        emit: Tells the sinks, at once and without failing; None: there are none.
        realm: The tenant, whose records alone exist here.
        now: The clock, aware.
        random: So many random bytes, for challenges, user handles, ids and codes.
    """

    events: AsyncEventRepository | None
    emit: Callable[[Event], object] | None
    realm: str
    now: Callable[[], datetime]
    random: Callable[[int], bytes]

    @property
    def has_listeners(self) -> bool:
        """Whether anybody wants to know of events."""
        return self.events is not None or self.emit is not None

    def event(
        self,
        type: EventType,
        *,
        user_id: str | None = None,
        credential_id: bytes | None = None,
        code: Code | None = None,
        **details: str | None,
    ) -> Event | None:
        """The event to store and to tell, with the details that are known; None where nobody wants to know."""
        if not self.has_listeners:
            return None
        return Event(
            id=self.random(16).hex(),
            type=type,
            at=self.now(),
            realm=self.realm,
            user_id=user_id,
            credential_id=credential_id,
            code=code,
            details={name: value for name, value in details.items() if value is not None},
        )

    def new_user_handle(self) -> bytes:
        """32 ASCII characters of base64url: 24 random bytes that also survive clients which take them for a text."""
        return encode_base64url(self.random(_USER_HANDLE_BYTES)).encode()

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
