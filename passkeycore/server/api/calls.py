"""What a handler is given, and what a row of the table of routes says.

What belongs here: the tenant as this API uses it, a request whose caller is known, and `row`, which ties a handler to
what it reads and answers. Nothing here decides anything.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ...engine.actions.records import Action
from ...engine.actions.service import AsyncActionService
from ...engine.actions.tracking import ClientInfo
from ...engine.devices.challenges import DeviceApproval
from ...engine.devices.service import AsyncDeviceService
from ...engine.passkeys.authentication import Authentication
from ...engine.passkeys.service import AsyncPasskeyService
from ..edge.http import client_address
from .refusals import EdgeCode, Refused

_LONGEST_USER_AGENT: Final = 1_024

SignIn: TypeAlias = Authentication | DeviceApproval
"""Who has just signed in, by a passkey or by a device: both have `user` and `user_id`."""

CurrentUser: TypeAlias = Callable[[Request], str | Awaitable[str | None] | None]
"""The host's answer to who is signed in where a request comes from: the user's id, or None for nobody.

A plain function or a coroutine function. It sees the request with the host's own cookies, and has to say None for
somebody who has given only a first factor: whoever it names may add and remove passkeys. It must not read the body,
which is bounded only where the route reads it afterwards. To answer anything else is a `ConfigurationError`.
"""

OnSignIn: TypeAlias = Callable[[Request, SignIn], object]
"""Is told who has just signed in, before the answer goes, so that the host begins its session.

A plain function or a coroutine function. What it returns is the answer: a Starlette response as it is, such as one that
sets the host's cookie; a mapping as JSON; None for the usual answer. What it raises is refused: nobody has signed in.
"""

Caller: TypeAlias = Literal["anyone", "visitor", "user", "token", "device", "server"]
"""Who may call a route.

- ``anyone``: whoever; it gives nothing away.
- ``visitor``: a page of the tenant's own, with the cookie of its browser and the token against forged requests.
- ``user``: the same, where the host says who is signed in.
- ``token``: who shows the token of an action, as a Bearer token.
- ``device``: who has signed what is in the body with the key of a device.
- ``server``: a server of the tenant's, which shows its API key as a Bearer token.
"""

CALLERS: Final[tuple[Caller, ...]] = get_args(Caller)

Need: TypeAlias = Literal["devices", "actions", "tokens", "sign_in", "sole_factor"]
"""What a tenant has to have for a route.

``tokens``: the passkey service makes step-up tokens. ``sign_in``: something tells the host who has signed in. And
``sole_factor``: a passkey alone signs in.
"""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant, as this API serves it.

    Attributes:
        tenant_id: What tells it from others; empty where there is only one.
        passkeys: Its service.
        devices, actions: Its services; None: not served.
        origins: Web origins whose pages may call what browsers call.
        current_user, on_sign_in: The host's; None: there is none.
        is_key: Whether a text is a good API key of this tenant's; None: servers are not served.
        page_url: Where the hosted page of an action is, but for its token; None: there are no hosted pages.
        may_redirect: Whether they may send a user to this URL.
        number_matching: Whether a push always asks for the number that the page shows.
        may_forget: Whether a client may be told to forget the passkey of this id, in base64url; None: always, as no
            other tenant can have the RP ID.
        trusted_proxies: Whose ``X-Forwarded-For`` is believed.
    """

    tenant_id: str
    passkeys: AsyncPasskeyService
    devices: AsyncDeviceService | None
    actions: AsyncActionService | None
    origins: frozenset[str]
    current_user: CurrentUser | None = None
    on_sign_in: OnSignIn | None = None
    is_key: Callable[[str], Awaitable[bool]] | None = None
    page_url: str | None = None
    may_redirect: Callable[[str], bool] = lambda url: False
    number_matching: bool = False
    may_forget: Callable[[str], Awaitable[bool]] | None = None
    trusted_proxies: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Site({self.tenant_id!r})"

    def has(self, need: Need) -> bool:
        """Whether it has what a route needs."""
        return _NEEDS[need](self)

    def serves(self, caller: Caller) -> bool:
        """Whether there can be such a caller at all."""
        return {"user": self.current_user is not None, "server": self.is_key is not None}.get(caller, True)


_NEEDS: Final[dict[Need, Callable[[Site], bool]]] = {
    "devices": lambda site: site.devices is not None,
    "actions": lambda site: site.actions is not None,
    "tokens": lambda site: site.passkeys.context.tokens is not None,
    "sign_in": lambda site: site.on_sign_in is not None or site.actions is not None,
    "sole_factor": lambda site: site.passkeys.context.preset.usage != "second_factor",
}


class Identity(NamedTuple):
    """Who calls, as far as the route asks for it.

    Attributes:
        visitor_id: The browser; secret.
        user_id: Who is signed in there.
        token: The Bearer token; secret.
        action: The token's, as it is now.
    """

    visitor_id: str = ""
    user_id: str = ""
    token: str = ""
    action: Action | None = None

    def __repr__(self) -> str:
        return f"Identity(user_id={self.user_id!r}, …)"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose caller is known.

    Attributes:
        site: Whose users they are.
        request: For the host's functions; its body is read.
        identity: Who calls.
    """

    site: Site
    request: Request
    identity: Identity = Identity()

    def __repr__(self) -> str:
        return f"Call(site={self.site!r}, …)"

    @property
    def passkeys(self) -> AsyncPasskeyService:
        """The tenant's service."""
        return self.site.passkeys

    @property
    def devices(self) -> AsyncDeviceService:
        """The tenant's service, which the row says it needs."""
        if self.site.devices is None:
            raise not_available()
        return self.site.devices

    @property
    def actions(self) -> AsyncActionService:
        """The tenant's service, which the row says it needs."""
        if self.site.actions is None:
            raise not_available()
        return self.site.actions

    @property
    def client(self) -> ClientInfo:
        """What the request itself tells of the machine that it comes from, for rules."""
        user_agent = self.request.headers.get("user-agent")
        return ClientInfo(
            ip_address=client_address(self.request, self.site.trusted_proxies) or None,
            user_agent=None if user_agent is None else user_agent[:_LONGEST_USER_AGENT],
        )


class Row(NamedTuple):
    """One route.

    Attributes:
        method, path: As in HTTP; the path below the tenant's.
        caller: Who may call it.
        asked: What the body has to be; None: there is none.
        answer: What a success is.
        handler: What does it.
        needs: What the tenant has to have.
        scope: What the action of the token has to allow; None: nothing beyond what the engine asks.
    """

    method: str
    path: str
    caller: Caller
    asked: type[msgspec.Struct] | None
    answer: type[msgspec.Struct]
    handler: Callable[[Call, Any], Awaitable[msgspec.Struct | Response]]
    needs: tuple[Need, ...] = ()
    scope: str | None = None

    @property
    def name(self) -> str:
        """Names it in the OpenAPI document."""
        return "_".join((self.caller, *self.path.strip("/").replace("-", "_").split("/"))).replace(".", "_")


_A = TypeVar("_A", bound=msgspec.Struct)
_R = TypeVar("_R", bound=msgspec.Struct)


def post(
    path: str,
    caller: Caller,
    handler: Callable[[Call, _A], Awaitable[_R | Response]],
    asked: type[_A],
    answer: type[_R],
    *needs: Need,
    scope: str | None = None,
) -> Row:
    """A route whose handler reads and answers exactly these."""
    return Row("POST", path, caller, asked, answer, handler, needs, scope)


def get(
    path: str, caller: Caller, handler: Callable[[Call, None], Awaitable[_R | Response]], answer: type[_R], *needs: Need
) -> Row:
    """A route without a body, which changes nothing."""
    return Row("GET", path, caller, None, answer, handler, needs)


def not_available() -> Refused:
    """The tenant is not set up for this."""
    return Refused(EdgeCode.NOT_AVAILABLE, "This is not set up here.")
