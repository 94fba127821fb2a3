"""Changes that several tables make: to what the client writes, and to the extension results it reports.

What belongs here: what more than one table needs. In each of them `...` leaves the member out.
"""

from typing import Any, Final

from passkeycore import conformance
from passkeycore.testing import Tamper

from .ceremonies import Json, Setup

STRICT: Final = Setup(rp={"policy": conformance()})
"""A Relying Party that takes the stricter form wherever there is a choice."""


def changed(members: Json, **changes: Any) -> Json:
    """`members` with these instead."""
    return {name: value for name, value in (members | changes).items() if value is not ...}


def said(**members: Any) -> Tamper:
    """Client data with these members instead."""
    return Tamper(client_data=lambda data: changed(data, **members))


def answered(**members: Any) -> Tamper:
    """A response with these members instead."""
    return Tamper(response=lambda response: changed(response, **members))


def inside(**members: Any) -> Tamper:
    """A response with these members instead in its inner `response`."""
    return Tamper(response=lambda response: response | {"response": changed(response["response"], **members)})


def results(**members: Any) -> Tamper:
    """Client extension results, exactly these."""
    return Tamper(client_extension_results=lambda _: members)
