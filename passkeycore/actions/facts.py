"""What is known of an action when rules look at it."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

import msgspec

from .states import Method

CustomValue: TypeAlias = str | bool | int | float
"""What a custom data point may be."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What rules may ask for. None and empty mean that nobody said, or that it never happened.

    Attributes:
        now: The time to judge at, aware.
        ip_address: The client's, IPv4 or IPv6, as text.
        user_agent: The client's, as it sent it.
        device_id: What the application calls the client's device, such as the value of a long-lived cookie.
        device_known: The user has met a challenge with this `device_id` before.
        custom: Data points of the application's own, by name.
        enrolled_methods: By which the user could meet a challenge.
        user_verified_at: When the user last met a challenge with user verification that can be trusted, UTC.
        recent_failures: How many challenges of the user's failed lately.
    """

    now: datetime
    ip_address: str | None = None
    user_agent: str | None = None
    device_id: str | None = None
    device_known: bool = False
    custom: Mapping[str, CustomValue] = msgspec.field(default_factory=dict[str, CustomValue])
    enrolled_methods: frozenset[Method] = frozenset()
    user_verified_at: datetime | None = None
    recent_failures: int = 0
