"""`PasskeyApp`: one tenant as an ASGI application, which a host mounts below any path beside its own routes.

    app.mount("/passkeys", PasskeyApp(passkeys, current_user=user_id_of, on_sign_in=start_session))
    app.router.routes.extend(well_known_routes(config))

The host says who is signed in and is told who has just signed in; sessions are its own. So are rate limits and logs.
"""

from collections.abc import Collection

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from ..engine.actions.service import AsyncActionService
from ..engine.devices.service import AsyncDeviceService
from ..engine.passkeys.service import AsyncPasskeyService
from ..errors import ConfigurationError
from .api import HANDLERS, CurrentUser, OnSignIn, mounted_routes
from .api.visitors import web_origins
from .edge.cors import Cors
from .edge.http import BODY_BYTES, BODY_TIMEOUT_S, Edge


class PasskeyApp:
    """Passkeys of one tenant over HTTP, to be mounted; see `passkeycore.server.api` for what it answers."""

    def __init__(
        self,
        passkeys: AsyncPasskeyService,
        devices: AsyncDeviceService | None = None,
        actions: AsyncActionService | None = None,
        *,
        current_user: CurrentUser | None = None,
        on_sign_in: OnSignIn | None = None,
        body_bytes: int = BODY_BYTES,
        body_timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        """Builds the routes.

        Args:
            passkeys, devices, actions: What does the work, of one tenant; None: not served.
            current_user: Who is signed in; None: nobody ever is, so that only signing in is served.
            on_sign_in: Who is told that somebody has signed in; None: nobody, and the answer carries a token for the
                host's server to validate, where there are `actions`.
            body_bytes: The longest body that is read. What the longest ceremony needs.
            body_timeout_s: How long a client may take to send it, in seconds: long enough for a bad mobile network.

        Raises:
            ConfigurationError: A service of the other colour or of another tenant, or actions that other services meet.
        """
        for path, service, kind in (
            ("passkeys", passkeys, AsyncPasskeyService),
            ("devices", devices, AsyncDeviceService),
            ("actions", actions, AsyncActionService),
        ):
            if not isinstance(service, kind) and (service is not None or path == "passkeys"):
                raise ConfigurationError(f"an {kind.__name__}", path=path)
        if devices is not None and devices.context.realm != passkeys.context.realm:
            raise ConfigurationError("all services have to be one tenant's", path="devices")
        routes = mounted_routes(passkeys, devices, actions, current_user=current_user, on_sign_in=on_sign_in)
        app = Starlette(routes=routes, exception_handlers=HANDLERS)
        app.router.redirect_slashes = False  # a redirect repeats what is in the path
        rp = passkeys.context.rp
        origins = web_origins((*rp.origins, *rp.related_origins))

        async def allowed(tenant_id: str | None) -> Collection[str]:
            return origins

        self._app: ASGIApp = Edge(Cors(app, allowed, [""]), body_bytes=body_bytes, body_timeout_s=body_timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        await self._app(scope, receive, send)
