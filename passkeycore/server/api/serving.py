"""The table of routes as Starlette routes: of a tenant that a host mounts, or of every tenant of a server.

What belongs here: the one way of every request, from the caller to the answer.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ExceptionHandler

from ...engine.actions.service import AsyncActionService
from ...engine.devices.service import AsyncDeviceService
from ...engine.passkeys.service import AsyncPasskeyService
from ...errors import ConfigurationError, PasskeyError
from ...webauthn.wire import decode_json
from ..edge.cors import client_origins
from ..edge.http import json_answer, note_tenant, read_body
from ..edge.limits import admit
from ..forgetting import may_forget
from ..redirects import may_redirect
from ..tenancy.tenants import Tenant, Tenants
from .calls import Call, CurrentUser, OnSignIn, Row, Site
from .document import openapi_document
from .guards import identify
from .refusals import EdgeCode, Refused, refused
from .rows import ROWS
from .visitors import web_origins

if TYPE_CHECKING:
    from ...config.server import ServerSettings

PREFIX: Final = "/api"
"""Below it, a server has each tenant at its name: ``/api/shop/session``."""

_DOCUMENT: Final = "/openapi.json"
_TENANT: Final = "{tenant_id}"
_NO_LIMIT: Final = 2**31  # bytes; what may be read, `read_body` has said

_SiteOf: TypeAlias = Callable[[Request], Awaitable[Site]]


def routes(tenants: Tenants, settings: "ServerSettings") -> list[BaseRoute]:
    """Everything of this API for every tenant, below ``/api/<tenant>``.

    There is no host here that could say who is signed in: users act by tokens of actions, which the tenant's own server
    asks for and hands on.

    Args:
        tenants: Whose users they are.
        settings: Which proxies are believed.
    """

    async def site_of(request: Request) -> Site:
        tenant = await tenants.by_id(request.path_params["tenant_id"])
        if tenant is None:
            raise Refused(EdgeCode.NOT_FOUND, "There is no such tenant here.")
        return _site(tenants, tenant, settings)

    return _routes(f"{PREFIX}/{_TENANT}", [row for row in ROWS if row.caller != "user"], site_of)


def mounted_routes(
    passkeys: AsyncPasskeyService,
    devices: AsyncDeviceService | None = None,
    actions: AsyncActionService | None = None,
    *,
    current_user: CurrentUser | None = None,
    on_sign_in: OnSignIn | None = None,
) -> list[BaseRoute]:
    """What of this API one tenant needs that a host mounts: what browsers, apps and devices call.

    What servers call is not there: the host has the services. Nor is what the host has left out: without `current_user`
    nobody is ever signed in, and without `on_sign_in` and `actions` nobody could be told who signs in.

    Args:
        passkeys, devices, actions: What does the work; None: not served.
        current_user, on_sign_in: See there.

    Raises:
        ConfigurationError: The actions are met by other services than these.
    """
    if actions is not None:
        if actions.context.passkeys is not passkeys.context:
            raise ConfigurationError("built with other passkeys", path="actions")
        if actions.context.devices is not (None if devices is None else devices.context):
            raise ConfigurationError("built with other devices", path="actions")
    rp = passkeys.context.rp
    site = Site(
        tenant_id=passkeys.context.realm,
        passkeys=passkeys,
        devices=devices,
        actions=actions,
        origins=web_origins((*rp.origins, *rp.related_origins)),
        current_user=current_user,
        on_sign_in=on_sign_in,
    )

    async def site_of(request: Request) -> Site:
        return site

    return _routes("", [row for row in ROWS if site.serves(row.caller) and all(map(site.has, row.needs))], site_of)


def _site(tenants: Tenants, tenant: Tenant, settings: "ServerSettings") -> Site:

    async def is_key(text: str) -> bool:
        holder = await tenants.by_key(text, "api")
        return holder is not None and holder.tenant.tenant_id == tenant.tenant_id

    async def may_be_forgotten(credential_id: str) -> bool:
        return await may_forget(tenants, settings, tenant, credential_id)

    return Site(
        tenant_id=tenant.tenant_id,
        passkeys=tenant.passkeys,
        devices=tenant.devices,
        actions=tenant.actions,
        origins=client_origins(tenant.settings),
        is_key=is_key,
        page_url=f"{settings.base_url}/challenge",
        may_redirect=lambda url: may_redirect(tenant.settings.redirect_urls, url),
        number_matching=tenant.settings.number_matching,
        may_forget=may_be_forgotten,
        trusted_proxies=settings.trusted_proxies,
    )


def _routes(prefix: str, rows: list[Row], site_of: _SiteOf) -> list[BaseRoute]:
    document = json_answer(openapi_document(rows)).body

    async def openapi(request: Request) -> Response:
        try:
            await site_of(request)
        except HTTPException as error:
            return refused(error)
        return Response(document, media_type="application/json", headers={"Cache-Control": "no-cache"})

    served: list[BaseRoute] = [Route(prefix + _DOCUMENT, openapi, methods=["GET"])]
    return served + [Route(prefix + row.path, _endpoint(row, site_of), methods=[row.method]) for row in rows]


def _endpoint(row: Row, site_of: _SiteOf) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            site = await site_of(request)
            note_tenant(request, site.tenant_id)
            identity = await identify(site, request, row)
            await admit(request, site.tenant_id, user_id=identity.user_id or None, by_server=row.caller == "server")
            asked = None if row.asked is None else await _asked(request, row.asked)
            answer = await row.handler(Call(site=site, request=request, identity=identity), asked)
        except ConfigurationError:
            raise  # ours to mend, not the client's
        except (PasskeyError, HTTPException, ClientDisconnect) as error:
            return refused(error)
        return answer if isinstance(answer, Response) else json_answer(msgspec.to_builtins(answer))

    return endpoint


async def _asked(request: Request, shape: type[msgspec.Struct]) -> msgspec.Struct:
    """The body, as the route reads it.

    Raises:
        Refused: 415. HTTPException: As `read_body`. DecodeError: `json_invalid`, with the path of the member.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(EdgeCode.MEDIA_TYPE_UNSUPPORTED, "Only JSON is understood here.")
    asked: msgspec.Struct = decode_json(_decoder(shape), await read_body(request), _NO_LIMIT)
    return asked


@lru_cache(maxsize=256)
def _decoder(shape: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


async def _handled(request: Request, error: Exception) -> Response:
    return refused(error)


HANDLERS: Final[dict[Any, ExceptionHandler]] = dict.fromkeys((HTTPException, Exception), _handled)
"""For the Starlette application around the routes: what no route answers is told in the same form."""
