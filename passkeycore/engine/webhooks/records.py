"""What waits to be delivered."""

import msgspec

from ..records import Event


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event that somebody has taken in hand to deliver.

    Attributes:
        event: What to deliver.
        attempt: Which attempt this is, from 1.
    """

    event: Event
    attempt: int
