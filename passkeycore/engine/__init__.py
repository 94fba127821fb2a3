"""Level 2: ceremonies with storage. What happens in which order, over any repository, in both colours.

`passkeys`, `devices` and `actions` have the flows and the services over them, `webhooks` what delivers events;
`repository` is what an embedder writes, `records` what is stored.
"""

from .passkeys.authentication import Authentication, StartedAuthentication
from .passkeys.ceremonies import AsyncStatelessCeremonies, StatelessCeremonies
from .passkeys.registration import Registration, StartedRegistration
from .passkeys.service import AsyncPasskeyService, PasskeyService
from .records import Account, Ceremony, Event, EventCount, EventFilter, EventPage, EventType, Passkey, User

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
