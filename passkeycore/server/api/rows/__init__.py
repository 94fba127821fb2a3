"""The table of all routes of one tenant: who may call which, what it reads, and what it answers.

Each row is in the module of its subject or its caller, with its handler and the shapes that are its own. A handler is
short: it calls a service of the tenant's, and says what came of it.
"""

from typing import Final

from ..calls import Row
from . import actions, devices, passkeys, servers, sign_in, users

ROWS: Final[tuple[Row, ...]] = (
    *sign_in.ROWS,
    *passkeys.ROWS,
    *devices.ROWS,
    *actions.ROWS,
    *servers.ROWS,
    *users.ROWS,
)
"""Routing, decoding of bodies, authorization and the OpenAPI document all come from here."""
