"""The JSON that the scripts of hosted pages exchange with the server, under ``/challenge/api``.

What belongs here: the table of what can be asked, who may ask, and how an error is told. A page shows its own sealed
text as a Bearer token, from memory; no cookie opens anything, so that no other page can ask in a user's name.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ...errors import Code, CredentialNotFound, LimitReached, PasskeyError, TokenError
from ..edge.http import json_answer, note_tenant, read_body
from ..edge.limits import admit
from . import authenticators, ceremonies, links, waiting
from .opened import unseal_page
from .visits import Server, Visit, client_info, visit

Handler: TypeAlias = Callable[[Visit, bytes], Awaitable[Any]]


class _Row(NamedTuple):
    """What a page can ask. Polling does not count as trying again."""

    path: str
    handler: Handler
    is_poll: bool = False


_ROWS: Final = (
    _Row("/passkey/start", ceremonies.start_passkey),
    _Row("/passkey/finish", ceremonies.finish_passkey),
    _Row("/enrolment/start", ceremonies.start_enrolment),
    _Row("/enrolment/finish", ceremonies.finish_enrolment),
    _Row("/device/start", waiting.start),
    _Row("/device/poll", waiting.poll, is_poll=True),
    _Row("/device/cancel", waiting.cancel),
    _Row("/authenticators/rename", authenticators.rename),
    _Row("/authenticators/remove", authenticators.remove),
)
# Where the public message says less than somebody who can do something about it may know.
_SENTENCES: Final[Mapping[Code, str]] = {
    Code.ACTION_STATE: "This was settled in the meantime.",
    Code.CHALLENGE_EXPIRED: "That took too long. Please try again.",
    Code.CREDENTIAL_EXISTS: "This passkey is already registered.",
    Code.NAME_INVALID: "Please choose a name of 1 to 64 visible characters.",
    Code.NO_CREDENTIAL: "This passkey is not known here any more. It may have been removed.",
    Code.SCOPE_MISSING: "You cannot change this here. Please go back and sign in again.",
    Code.TOKEN_EXPIRED: "This page has been open for too long.",
}


def api_routes(server: Server) -> list[BaseRoute]:
    """All that pages, and the tenants' servers that want a link to one, can ask."""
    return [
        *(_route(server, row) for row in _ROWS),
        Route("/challenge/api/sign-in-links", links.endpoint(server, refused), methods=["POST"]),
    ]


def refused(error: Exception) -> Response:
    """An error, as scripts read it: ``{"error": {"code", "message", "signal"?}}``, a sentence for people."""
    if isinstance(error, HTTPException):
        code, message, status = str(error.status_code), error.detail, error.status_code
    elif isinstance(error, PasskeyError):
        code, status = error.code.value, 401 if isinstance(error, TokenError) else error.http_status
        message = _SENTENCES.get(error.code, error.public_message)
    elif isinstance(error, ClientDisconnect):
        code, message, status = "400", "The request is incomplete.", 400
    else:
        code, message, status = "500", "Something went wrong on the server. Please try again.", 500
    if isinstance(error, TokenError) and error.code is Code.SCOPE_MISSING:
        status = 403
    if isinstance(error, LimitReached):
        message = "You have as many as you may have. Remove one first."
    members: dict[str, Any] = {"code": code, "message": message}
    if isinstance(error, CredentialNotFound) and error.signal is not None:
        members["signal"] = error.signal
    answer = json_answer({"error": members}, status)
    answer.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
    return answer


def _route(server: Server, row: _Row) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return json_answer(msgspec.to_builtins(await _answer(server, row, request)))
        except (PasskeyError, HTTPException, ClientDisconnect) as error:
            return refused(error)

    return Route(f"/challenge/api{row.path}", endpoint, methods=["POST"])


async def _answer(server: Server, row: _Row, request: Request) -> Any:
    if request.headers.get("origin") != server.origin:
        raise HTTPException(403, "This request comes from another site.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Only JSON is understood here.")
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise TokenError(Code.TOKEN_INVALID, "nothing is shown")
    opened = unseal_page(server.tokens, text.strip(), server.now())
    tenant = await server.tenants.by_id(opened.realm)
    if tenant is None:
        raise TokenError(Code.TOKEN_INVALID, "there is no such tenant any more")
    note_tenant(request, tenant.tenant_id)
    visiting = await visit(server, tenant, opened, client_info(server, request))
    user_id = None if row.is_poll or visiting.action is None else visiting.action.user_id
    await admit(request, tenant.tenant_id, user_id=user_id)
    return await row.handler(visiting, await read_body(request))
