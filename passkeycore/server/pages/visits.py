"""Who is on a page: what an address, or the script of a page, shows, and whose it is.

What belongs here: the parts that pages and their JSON have in common, before either does its own.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request

from ...actions.states import ActionState, Method
from ...engine.actions.challenges import MetChallenge
from ...engine.actions.records import Action
from ...engine.actions.steps import TokenKind
from ...engine.actions.tracking import ClientInfo
from ...errors import ActionError, Code, ConfigurationError, TokenError
from ...tokens import Tokens
from ...webauthn.origins import check_origin, is_within
from ..edge.http import client_address
from ..redirects import may_redirect
from ..tenancy.tenants import Tenant, Tenants
from .leaving import Ending, app_address, with_token
from .opened import Opened, Proof, check_open, new_proof, seal_page, seal_proof
from .views import Rights, Way, rights_of, ways_of

if TYPE_CHECKING:
    from ...config.server import ServerSettings

PushHook: TypeAlias = Callable[[Tenant, Action, str, ClientInfo], Awaitable[None]]
"""Has the application send its push message for the challenge that will have this id; what it raises refuses the step,
as an `HTTPException`."""

_LONGEST_USER_AGENT: Final = 1_024


class Server:
    """What all pages have in common.

    Attributes:
        tenants: Whose users they are.
        settings: Where the server is reached, and which proxies it believes.
        push_created: What has to be told of a push message before anybody waits for its answer; None: nothing.
        now: The clock, aware.
        tokens: Seals what scripts hold.
    """

    def __init__(
        self,
        tenants: Tenants,
        settings: "ServerSettings",
        push_created: PushHook | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Keeps what it is given; without a clock, the system's."""
        self.tenants = tenants
        self.settings = settings
        self.push_created = push_created
        self.now = now or _utc_now
        self.tokens = Tokens(settings.secrets)

    @cached_property
    def origin(self) -> str:
        """The origin of all pages, as browsers spell it."""
        parts = urlsplit(self.settings.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def path(self) -> str:
        """Where pages are, as the path of an address."""
        return urlsplit(self.settings.base_url).path + "/challenge"


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody on a page.

    Attributes:
        server: Where.
        tenant: Whose page it is.
        opened: The page.
        kind, action: Of the token; None: somebody signs in.
        enrolled: What the user has.
        usable: What of it has not expired.
        client: What is known of their machine.
    """

    server: Server
    tenant: Tenant
    opened: Opened
    kind: TokenKind | None = None
    action: Action | None = None
    enrolled: tuple[Method, ...] = ()
    usable: tuple[Method, ...] = ()
    client: ClientInfo

    def __repr__(self) -> str:
        return f"Visit(tenant={self.tenant!r}, …)"

    @property
    def tracked(self) -> tuple[str, TokenKind, Action]:
        """The token that the page was opened with, what kind it is, and its action.

        Raises:
            TokenError: `token_invalid`: somebody signs in here.
        """
        if self.opened.token is None or self.kind is None or self.action is None:
            raise TokenError(Code.TOKEN_INVALID, "no action was tracked")
        return self.opened.token, self.kind, self.action

    @property
    def extra_origin(self) -> str | None:
        """The origin of the pages, where the Relying Party does not name it itself; None: it does."""
        rp, origin = self.tenant.passkeys.context.rp, self.server.origin
        return None if origin in rp.origins or origin in rp.related_origins else origin

    @property
    def takes_passkeys(self) -> bool:
        """Whether browsers let a page of ours use the tenant's passkeys."""
        rp = self.tenant.passkeys.context.rp
        if self.extra_origin is None:
            return True
        try:
            host = check_origin(self.extra_origin)
        except ConfigurationError:
            return False
        return host is not None and is_within(host, rp.id)

    @property
    def signs_in(self) -> bool:
        """Whether a passkey of the tenant's alone says who somebody is."""
        return self.tenant.passkeys.context.preset.usage != "second_factor"

    @property
    def ways(self) -> tuple[Way, ...]:
        """How the action's challenge can be met here, the simplest first."""
        return () if self.action is None else ways_of(self.action, self.usable, passkeys=self.takes_passkeys)

    @property
    def rights(self) -> Rights:
        """What its user may do besides.

        Raises:
            TokenError: As `tracked`.
        """
        _, kind, action = self.tracked
        return rights_of(self.opened, kind, action, self.enrolled)

    @property
    def top_origins(self) -> tuple[str, ...]:
        """What may be around a ceremony of this page: in a frame, the pages that may frame it; else nothing."""
        return self.tenant.settings.frame_origins if self.opened.embedded else ()

    def sealed(self) -> str:
        """What the script of the page shows."""
        return seal_page(self.server.tokens, self.opened, self.server.now())

    def page_after(self, met: MetChallenge) -> str:
        """The page that comes next, now that a challenge was met on this one."""
        now = self.server.now()
        return self.address(seal_proof(self.server.tokens, new_proof(met.action, met.token, now), now))

    def after_removal(self, proof: Proof) -> "Visit":
        """The same, after what has met the challenge was removed here."""
        proof = msgspec.structs.replace(proof, removed_here=True)
        return msgspec.structs.replace(self, opened=msgspec.structs.replace(self.opened, proof=proof))

    @property
    def own_address(self) -> str:
        """The page itself."""
        opened, tokens = self.opened, self.server.tokens
        token = opened.token if opened.proof is None else seal_proof(tokens, opened.proof, self.server.now())
        return self.address(token or "")

    def address(self, token: str, *, enrolment: bool = True) -> str:
        """The page that comes next, opened as this one.

        Args:
            token: The one that this page was opened with, or a sealed proof; never that of a success, which is for the
                application alone.
            enrolment: Whether the user still comes for a new passkey, if they did.
        """
        opened = self.opened
        said = {
            "mode": "popup" if opened.popup else None,
            "nativeScheme": opened.native_scheme,
            "settings": "true" if opened.settings else None,
            "force_enrollment": "true" if opened.enrolment and enrolment else None,
        }
        rest = "".join(f"&{name}={value}" for name, value in said.items() if value is not None)
        return f"{self.server.path}?token={token}{rest}"

    def ending(self, token: str | None) -> Ending:
        """How the page ends, with this token for the application. It leads only where the tenant has registered.

        What the tenant's server has said counts, not what the address of the page says. So ``nativeScheme``, by which
        the SDKs for apps have their page end, counts only for an action that was tracked without a ``redirectUrl``: an
        application whose apps open pages tracks without one, or with the app's own address, ``authsignal://auth``.
        """
        opened, registered = self.opened, self.tenant.settings.redirect_urls
        if opened.proof is not None and opened.proof.removed_here:
            token = None  # what it proved is gone
        url = opened.redirect_url if self.action is None else self.action.redirect_url
        if opened.popup:
            url = None
        elif url is not None:
            url = url if token is None else with_token(url, token)
        elif opened.native_scheme is not None and self.action is not None:
            url = app_address(opened.native_scheme, token or "")
        return Ending(token=token, redirect=url if url is not None and may_redirect(registered, url) else None)


async def visit(server: Server, tenant: Tenant, opened: Opened, client: ClientInfo) -> Visit:
    """Somebody on a page that was opened with this.

    Raises:
        TokenError: `token_invalid`, `token_expired`: of the action.
    """
    if opened.token is None:
        return Visit(server=server, tenant=tenant, opened=opened, client=client)
    kind, action = await _read(server, tenant, opened.token, opened.proof)
    user = await tenant.passkeys.find_user(action.user_id)
    if user is None and opened.proof is not None:
        raise TokenError(Code.TOKEN_INVALID, "the user is not there any more")
    if user is not None and user.disabled_at is not None:
        action = msgspec.structs.replace(action, state=ActionState.BLOCK)  # whatever it was before
    found, now = await tenant.devices.list_authenticators(action.user_id), server.now()
    return Visit(
        server=server,
        tenant=tenant,
        opened=opened,
        kind=kind,
        action=action,
        enrolled=tuple(dict.fromkeys(one.method for one in found)),
        usable=tuple(dict.fromkeys(one.method for one in found if one.expires_at is None or now < one.expires_at)),
        client=client,
    )


async def _read(server: Server, tenant: Tenant, token: str, proof: Proof | None) -> tuple[TokenKind, Action]:
    """What kind the token is, and its action; with a proof, the action whose challenge was met on a page of ours.

    Raises:
        TokenError: `token_invalid`: also when what met the challenge was removed, but on such a page. `token_expired`.
    """
    if proof is None:
        return await tenant.actions.read_token(token)
    check_open(proof, server.now())
    try:
        action = await tenant.actions.get_action(proof.user_id, proof.word, proof.idempotency_key)
    except ActionError:
        raise TokenError(Code.TOKEN_INVALID, "the action is not there any more") from None
    if action.consumed_at is not None or action.authenticator_id != proof.authenticator_id:
        raise TokenError(Code.TOKEN_INVALID, "the success was used up, or is another")
    if not proof.removed_here and await tenant.actions.read_token(token) != ("success", action):
        raise TokenError(Code.TOKEN_INVALID, "the token is of another action")
    return "success", action


def client_info(server: Server, request: Request) -> ClientInfo:
    """What the request itself tells of the machine that it comes from."""
    user_agent = request.headers.get("user-agent")
    return ClientInfo(
        ip_address=client_address(request, server.settings.trusted_proxies) or None,
        user_agent=None if user_agent is None else user_agent[:_LONGEST_USER_AGENT],
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)
