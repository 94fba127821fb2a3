"""Links to a page where somebody signs in, whom nobody knows yet: a tenant's server asks for one.

    POST /challenge/api/sign-in-links
    Authorization: Bearer <an API key of the tenant's>
    {"action": "sign-in", "redirect_url": "https://shop.example.com/back?state=4711"}

    {"url": "https://auth.example.com/challenge?token=…"}

So only the tenant decides where such a page leads. A browser that comes back with another ``state`` than it was sent
with was sent by somebody else.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ...engine.actions.tracking import check_word
from ...errors import PasskeyError
from ...webauthn.wire import decode_json
from ..edge.http import authorization, json_answer, read_body
from ..edge.limits import admit
from ..redirects import may_redirect
from ..tenancy.tenants import Tenant
from .opened import new_link, seal_link
from .visits import Server

_SMALL: Final = 8_192  # bytes


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    action: str | None = None
    redirect_url: str | None = None


_LINK: Final = msgspec.json.Decoder(_Link)


def sign_in_url(server: Server, tenant: Tenant, *, action: str | None = None, redirect_url: str | None = None) -> str:
    """Where somebody signs in to this tenant; good for ten minutes, in which it may be opened again.

    Args:
        server: Where.
        tenant: Whose users.
        action: The word under which the sign-in is kept; None: the one that the tenant has for such.
        redirect_url: Where it leads, with the token of its success, whatever else the address says then; None: nowhere,
            the page that frames it is told.

    Raises:
        DecodeError: `action_invalid`.
        HTTPException: 400: the tenant has not registered where `redirect_url` leads.
    """
    word = tenant.settings.default_action if action is None else action
    check_word(word)
    if redirect_url is not None and not may_redirect(tenant.settings.redirect_urls, redirect_url):
        raise HTTPException(400, "The tenant has not registered where redirect_url leads.")
    now = server.now()
    link = new_link(tenant.tenant_id, word, redirect_url, now)
    return f"{server.settings.base_url}/challenge?token={seal_link(server.tokens, link, now)}"


def endpoint(server: Server, refused: Callable[[Exception], Response]) -> Callable[[Request], Awaitable[Response]]:
    """What answers a tenant's server that asks for a link; `refused` words errors."""

    async def answer(request: Request) -> Response:
        try:
            scheme, key = authorization(request.headers)
            holder = await server.tenants.by_key(key, "api") if scheme == "bearer" else None
            if holder is None:
                raise HTTPException(401, "An API key of the tenant's is needed, as a Bearer token.")
            await admit(request, holder.tenant.tenant_id, by_server=True)
            asked = decode_json(_LINK, await read_body(request, limit=_SMALL), _SMALL)
            url = sign_in_url(server, holder.tenant, action=asked.action, redirect_url=asked.redirect_url)
            return json_answer({"url": url})
        except (PasskeyError, HTTPException, ClientDisconnect) as error:
            return refused(error)

    return answer
