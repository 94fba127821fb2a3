"""Who calls: a tenant's server, by an integration key, and which commands that key may run."""

from collections.abc import Mapping
from typing import Final

from ..edge.http import authorization
from ..tenancy.tenants import KeyHolder, Tenants
from .wire import Refused

_PREFIX: Final = "pki_"  # of keys that `passkeycore.server.tenancy.keys` makes; one of a file may be any text


async def key_holder(tenants: Tenants, headers: Mapping[str, str]) -> KeyHolder:
    """Who shows an integration key as a Bearer token.

    Raises:
        Refused: 401: ``NoIntegrationKeyFoundInHeader``; ``InvalidPrefix``: it does not look like a key that a server
            made; ``IntegrationKeyNotFound``: it does, but opens nothing.
    """
    scheme, key = authorization(headers)
    if scheme != "bearer" or not key:
        raise Refused("NoIntegrationKeyFoundInHeader", status=401)
    holder = await tenants.by_key(key, "integration")
    if holder is not None:
        return holder
    if key.startswith(_PREFIX):
        raise Refused("IntegrationKeyNotFound", status=401)
    raise Refused("InvalidPrefix", f"An integration key begins with {_PREFIX}", status=401)


def check_allowed(holder: KeyHolder, command: str) -> None:
    """Returns only when the key may run the command.

    Raises:
        Refused: 403, ``CommandNotAllowed``.
    """
    if holder.key.commands is not None and command not in holder.key.commands:
        raise not_allowed(command)


def not_allowed(command: str) -> Refused:
    """The command is not for this key, or is for nobody here."""
    return Refused("CommandNotAllowed", {"command_name": command}, status=403)
