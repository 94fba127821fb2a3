"""Passkeys over HTTP, with the extra ``server``: a server of its own, parts of it for a host's, and a demonstration.

To mount, in `mounted` and `well_known`:

    app.mount("/passkeys", PasskeyApp(passkeys, current_user=user_id_of, on_sign_in=start_session))
    app.router.routes.extend(well_known_routes(config))

To run alone, ``passkeycore serve``: `process` is one of its processes, `app` puts it together, out of a room for each
language that clients speak. `tenants`, `live`, `keys` and `storage` say whose a request is, and where things are;
`http`, `limits`, `cors` and `access_log` are around every request, `background` and `webhooks` beside them.
"""

from ..errors import ConfigurationError

try:
    import starlette as _starlette  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError:
    raise ConfigurationError('the server needs the extra "server": passkeycore[server]') from None

from .mounted import PasskeyApp
from .well_known import well_known_routes

__all__ = ["PasskeyApp", "well_known_routes"]
