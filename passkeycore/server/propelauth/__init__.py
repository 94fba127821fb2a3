"""The wire dialect of another service's server SDKs, at ``POST /run-command``, so that these work here unmodified.

    app = Starlette(routes=routes(tenants))

An application's server shows an integration key and sends one command at a time; browsers never come here. `keys` has
who calls, `commands` what there is to run, `origins` the one origin more that a ceremony may have, `wire` the envelope
and the errors. Sessions and devices are not served: their commands are answered as not allowed.

Nothing in the dialect names a ceremony, so a finish is known by the challenge inside the browser's response, and has to
be of the user and of this dialect. Several of one user's may wait at the same time: a second start does not end the
first, as somebody who can start ceremonies for a user could otherwise keep the user from ever finishing one. Each is
good once, for as long as the tenant's configuration says.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ...errors import ConfigurationError, PasskeyError
from ..edge.http import json_answer, read_body
from ..edge.limits import admit
from ..tenancy.tenants import Tenants
from .commands import COMMANDS, NOT_SERVED, Call
from .keys import check_allowed, key_holder, not_allowed
from .wire import ENVELOPE, read, refused, unexpected

__all__ = ["PATH", "refused", "routes"]

PATH: Final = "/run-command"
"""Where everything is."""


def routes(tenants: Tenants) -> list[BaseRoute]:
    """Everything of the dialect, for an application at the root of a host or mounted below any path.

    Args:
        tenants: Whose users they are. The key says which.
    """
    return [Route(PATH, _Endpoint(tenants))]


class _Endpoint:
    """Answers every method: clients read no other errors than those of the dialect."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = json_answer(await _run(self._tenants, Request(scope, receive)))
        except ConfigurationError:
            raise  # ours to mend: the application's last handler logs it
        except (PasskeyError, HTTPException) as error:
            answer = refused(error)
        await answer(scope, receive, send)


async def _run(tenants: Tenants, request: Request) -> Mapping[str, Any]:
    if request.method != "POST":
        raise HTTPException(405, "Commands are sent with POST.", {"Allow": "POST"})
    holder = await key_holder(tenants, request.headers)
    await admit(request, holder.tenant.tenant_id, by_server=True)
    envelope = read(ENVELOPE, await read_body(request))
    name, answer = envelope.command, COMMANDS.get(envelope.command)
    if name in NOT_SERVED:
        raise not_allowed(name)
    if answer is None:
        raise unexpected("There is no such command.")
    check_allowed(holder, name)
    call = Call(tenant=holder.tenant, user_agent=request.headers.get("user-agent", ""))
    return await answer(call, bytes(envelope.data))
