"""Who calls: an application's server by its secret key, or a client by an action's token or the tenant's name.

What belongs here: the spellings of ``Authorization`` that SDKs have, and what a handler is given once it is known who
calls.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
from starlette.requests import HTTPConnection

from ...engine.actions.records import Action
from ...engine.actions.tracking import ClientInfo
from ...errors import DecodeError
from ..edge.http import authorization, client_address
from ..tenancy.tenants import Tenant, Tenants
from .wire import Refused, decode_lenient

if TYPE_CHECKING:
    from ...config.server import ServerSettings
    from .webhooks import Hooks

_LONGEST_USER_AGENT: Final = 1_024


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What all handlers have in common.

    Attributes:
        tenants: Whose users they are.
        settings: Where the server is reached, and which proxies it believes.
        hooks: What has to be told before a step goes on; None: nothing.
    """

    tenants: Tenants
    settings: "ServerSettings"
    hooks: "Hooks | None"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls.

    Attributes:
        tenant: Whose server or client it is.
        token: What the client has shown; None: nothing but the tenant's name, or it is a server.
        action: The token's, as it is now.
    """

    tenant: Tenant
    token: str | None = None
    action: Action | None = None

    def __repr__(self) -> str:
        return f"Caller(tenant={self.tenant!r}, …)"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose caller is known, for a handler.

    Attributes:
        dialect: The server.
        caller: Who it is.
        body: As it came, within its limit.
        path, query, headers: Names in the path, in the query string, and the request's headers.
        client: What is known of a client's machine.
        answer_headers: What a handler adds to the answer's.
    """

    dialect: Dialect
    caller: Caller
    body: bytes
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    client: ClientInfo
    answer_headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    def __repr__(self) -> str:
        return f"Call(caller={self.caller!r}, …)"

    @property
    def tenant(self) -> Tenant:
        """Whose users they are."""
        return self.caller.tenant

    @property
    def bearer(self) -> tuple[str, Action]:
        """The client's token and its action, where the route demands one.

        Raises:
            Refused: 401, `token_required`.
        """
        if self.caller.token is None or self.caller.action is None:
            raise token_required()
        return self.caller.token, self.caller.action


Guard: TypeAlias = Callable[[Tenants, Mapping[str, str]], Awaitable[Caller]]
Handler: TypeAlias = Callable[[Call], Awaitable[Mapping[str, Any] | list[dict[str, Any]]]]


async def by_secret(tenants: Tenants, headers: Mapping[str, str]) -> Caller:
    """The server that shows a tenant's secret key, as the name of HTTP Basic with an empty password.

    Raises:
        Refused: 401, `unauthorized`.
    """
    kind, value = authorization(headers)
    text = _basic_text(value) if kind == "basic" else ""
    # A key may have colons of its own; then there is no password behind it, as SDKs send none.
    for key in dict.fromkeys((text.removesuffix(":"), text.partition(":")[0])):
        holder = await tenants.by_key(key, "api") if key else None
        if holder is not None:
            return Caller(tenant=holder.tenant)
    raise _unauthorized("The secret key is missing or not good here. Check the key and the base URL.")


async def by_token(tenants: Tenants, headers: Mapping[str, str]) -> Caller:
    """The client that shows an action's token, from ``track`` or of its success.

    Raises:
        Refused: 401: `token_required`, `token_invalid`. TokenError: `token_invalid`, `token_expired`.
    """
    kind, value = authorization(headers)
    if kind != "bearer" or not value:
        raise token_required()
    return await of_token(tenants, value)


async def by_tenant(tenants: Tenants, headers: Mapping[str, str]) -> Caller:
    """The client that names the tenant, which proves nothing, or shows a token, which has to be good then.

    Raises:
        Refused: 401: `unauthorized`, or as `by_token`. TokenError: As `by_token`.
    """
    kind, value = authorization(headers)
    if kind == "bearer":
        return await by_token(tenants, headers)
    return await of_tenant(tenants, _basic_text(value).partition(":")[0] if kind == "basic" else "")


async def of_token(tenants: Tenants, token: str) -> Caller:
    """See `by_token`."""
    tenant = await tenants.by_token(token)
    if tenant is None:
        raise Refused(401, "token_invalid", "This is not a token of a tenant here.")
    return Caller(tenant=tenant, token=token, action=await tenant.actions.action_of_token(token))


async def of_tenant(tenants: Tenants, tenant_id: str) -> Caller:
    """See `by_tenant`."""
    tenant = await tenants.by_id(tenant_id) if tenant_id else None
    if tenant is None:
        raise _unauthorized("There is no such tenant here. Check the tenant and the base URL.")
    return Caller(tenant=tenant)


def client_info(dialect: Dialect, request: HTTPConnection) -> ClientInfo:
    """What the request itself tells of the machine that it comes from."""
    user_agent = request.headers.get("user-agent")
    return ClientInfo(
        ip_address=client_address(request, dialect.settings.trusted_proxies) or None,
        user_agent=None if user_agent is None else user_agent[:_LONGEST_USER_AGENT],
    )


def token_required() -> Refused:
    """The route takes an action's token."""
    return Refused(401, "token_required", "This takes the token of an action, as a Bearer token.")


def _unauthorized(description: str) -> Refused:
    return Refused(401, "unauthorized", description)


def _basic_text(value: str) -> str:
    """Name and password, with a colon between them, if there is one; empty: nothing.

    Three spellings are in use: base64url without padding (iOS), standard base64 (servers, Android), and standard
    base64 of a name without a colon (browsers).
    """
    try:
        return decode_lenient(value, "authorization").decode("utf-8", "surrogateescape")
    except DecodeError:
        return ""
