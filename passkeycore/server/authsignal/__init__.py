"""The wire dialect of another service's SDKs under ``/v1``, so that these work here unmodified.

    app = Starlette(routes=routes(tenants, settings))

Routes of servers take the tenant's secret key, those of clients an action's token or the tenant's name. `routing` has
how a path is read, `auth` who calls, `wire` how values and errors are spelled. `backend`, `users` and `authenticators`
serve an application's servers; `passkeys`, `devices`, `device_keys`, `waiting` and `qr_socket` its clients; `webhooks`
tells the application. What is not in the table below is answered as unknown: one-time codes, sessions, and the cookie
mode of browsers. Pages of other origins may call what is below ``/v1/client``: that is for
`passkeycore.server.edge.cors`, around this.
"""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.types import ExceptionHandler

from ...errors import PasskeyError
from ..edge.http import json_answer, read_body
from ..edge.limits import admit
from ..tenancy.tenants import Tenants
from . import authenticators, backend, device_keys, devices, passkeys, users, waiting
from .auth import (
    Call,
    Caller,
    Dialect,
    Guard,
    Handler,
    by_secret,
    by_tenant,
    by_token,
    client_info,
)
from .qr_socket import qr_socket
from .routing import SegmentRoute
from .wire import refused

if TYPE_CHECKING:
    from ...config.server import ServerSettings
    from .webhooks import Hooks

__all__ = ["routes"]


class _Row(NamedTuple):
    """A route: who may call it, and what answers."""

    method: str
    path: str
    guard: Guard
    handler: Handler


_USER: Final = "/users/{user_id:path}"
_ACTION: Final = _USER + "/actions/{action}"
_OWN: Final = "/client/user-authenticators"

_SERVER_ROUTES: Final = (
    _Row("POST", _ACTION, by_secret, backend.track),
    _Row("GET", _ACTION + "/{idempotency_key}", by_secret, backend.get_action),
    _Row("PATCH", _ACTION + "/{idempotency_key}", by_secret, backend.update_action),
    _Row("GET", _USER + "/actions", by_secret, backend.list_actions),
    _Row("POST", "/validate", by_secret, backend.validate),
    _Row("GET", _USER + "/authenticators", by_secret, authenticators.get_authenticators),
    _Row("POST", _USER + "/authenticators", by_secret, authenticators.enrol_verified),
    _Row("DELETE", _USER + "/authenticators/{authenticator_id}", by_secret, authenticators.delete_authenticator),
    _Row("GET", "/users", by_secret, users.query_users),
    _Row("GET", _USER, by_secret, users.get_user),
    _Row("PATCH", _USER, by_secret, users.update_user),
    _Row("DELETE", _USER, by_secret, users.delete_user),
)
_CLIENT_ROUTES: Final = (
    _Row("POST", "/client/challenge", by_tenant, devices.start_in_app),
    _Row("POST", _OWN + "/passkey/registration-options", by_token, passkeys.registration_options),
    _Row("POST", _OWN + "/passkey", by_token, passkeys.register),
    _Row("GET", _OWN + "/passkey", by_tenant, passkeys.look_up),
    _Row("POST", _OWN + "/passkey/authentication-options", by_tenant, passkeys.authentication_options),
    _Row("POST", "/client/verify/passkey", by_tenant, passkeys.authenticate),
    _Row("GET", _OWN, by_token, authenticators.list_own),
    *(
        row
        for name in ("push", "qr-code", "in-app", "device")
        for row in (
            _Row("GET", f"{_OWN}/{name}", by_tenant, device_keys.look_up(name)),
            _Row("POST", f"{_OWN}/{name}", by_token, device_keys.enrol(name)),
            _Row("POST", f"{_OWN}/{name}/remove", by_tenant, device_keys.remove(name)),
        )
    ),
    _Row("GET", _OWN + "/push/challenge", by_tenant, devices.pending("push")),
    _Row("POST", _OWN + "/push/challenge", by_tenant, devices.answer("push")),
    _Row("POST", _OWN + "/push/challenge/sign", by_tenant, devices.message_to_sign),
    _Row("GET", _OWN + "/device/challenge", by_tenant, devices.pending("device")),
    _Row("POST", _OWN + "/device/challenge", by_tenant, devices.answer("device")),
    _Row("POST", _OWN + "/device/challenge/claim", by_tenant, devices.claim),
    _Row("POST", _OWN + "/qr-code/challenge", by_tenant, devices.answer("qr-code")),
    _Row("POST", _OWN + "/qr-code/challenge/claim", by_tenant, devices.claim),
    _Row("POST", "/client/verify/in-app", by_tenant, devices.verify_in_app),
    _Row("POST", "/client/verify/device", by_tenant, devices.verify_in_app),
    _Row("POST", "/client/challenge/push", by_token, waiting.start_push),
    _Row("POST", "/client/verify/push", by_token, waiting.poll_push),
    _Row("POST", "/client/challenge/qr-code", by_tenant, waiting.start_qr),
    _Row("POST", "/client/verify/qr-code", by_tenant, waiting.poll_qr),
)


def routes(tenants: Tenants, settings: "ServerSettings", *, hooks: "Hooks | None" = None) -> list[BaseRoute]:
    """Everything of the dialect, for an application at the root of a host or mounted below any path.

    Args:
        tenants: Whose users they are.
        settings: Where the server is reached, and which proxies it believes.
        hooks: What has to be told before a step goes on; None: nothing.
    """
    dialect = Dialect(tenants=tenants, settings=settings, hooks=hooks)
    served: list[BaseRoute] = [_route(dialect, row) for row in (*_SERVER_ROUTES, *_CLIENT_ROUTES)]
    # An application of its own, so that whatever goes wrong in it is told in its own words.
    app = Starlette(routes=served, exception_handlers=_HANDLERS)
    app.router.redirect_slashes = False  # a redirect is no answer in this dialect, and repeats what is in the path
    return [WebSocketRoute("/ws-v1-challenge", qr_socket(dialect)), Mount("/v1", app=app)]


def _route(dialect: Dialect, row: _Row) -> SegmentRoute:
    async def endpoint(request: Request) -> Response:
        try:
            caller = await row.guard(dialect.tenants, request.headers)
            user_id = None if caller.action is None else caller.action.user_id
            await admit(request, caller.tenant.tenant_id, user_id=user_id, by_server=row.guard is by_secret)
            call = await _call(dialect, caller, request)
            answer = json_answer(await row.handler(call))
            answer.headers.update(call.answer_headers)
            return answer
        except (PasskeyError, HTTPException, ClientDisconnect) as error:
            return refused(error)

    return SegmentRoute(row.path, endpoint, method=row.method, name=f"{row.method} {row.path}")


async def _call(dialect: Dialect, caller: Caller, request: Request) -> Call:
    body = b""
    if request.method not in ("GET", "HEAD"):
        body = await read_body(request)
    return Call(
        dialect=dialect,
        caller=caller,
        body=body,
        path=request.path_params,
        query=request.query_params,
        headers=request.headers,
        client=client_info(dialect, request),
    )


def _told(request: Request, error: Exception) -> Response:
    return refused(error)


_HANDLERS: Final[dict[Any, ExceptionHandler]] = dict.fromkeys((HTTPException, Exception), _told)
