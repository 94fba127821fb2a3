"""Level 2: ceremonies with storage. What happens in which order, over any repository, in both colours.

`registration` and `authentication` are the ceremonies, `management` is everything else, `service` binds them;
`repository` is what an embedder writes, `records` what is stored.
"""

from .authentication import Authentication, StartedAuthentication
from .ceremonies import AsyncStatelessCeremonies, StatelessCeremonies
from .records import Account, Ceremony, Event, EventCount, EventFilter, EventPage, EventType, Passkey, User
from .registration import Registration, StartedRegistration
from .service import AsyncPasskeyService, PasskeyService

__all__ = [
    "Account",
    "AsyncPasskeyService",
    "AsyncStatelessCeremonies",
    "Authentication",
    "Ceremony",
    "Event",
    "EventCount",
    "EventFilter",
    "EventPage",
    "EventType",
    "Passkey",
    "PasskeyService",
    "Registration",
    "StartedAuthentication",
    "StartedRegistration",
    "StatelessCeremonies",
    "User",
]
