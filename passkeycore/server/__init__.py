"""Passkeys over HTTP, with the extra ``server``: a server of its own, parts of it for a host's, and a demonstration.

To mount, in `mounted` and `well_known`:

    app.mount("/passkeys", PasskeyApp(passkeys, current_user=user_id_of, on_sign_in=start_session))
    app.router.routes.extend(well_known_routes(config))

To run alone, ``passkeycore serve``: `running` has its processes, `app` what each serves, put together out of `rooms`: a
folder for each language that clients speak; `background` is what runs beside requests. `tenancy` says whose a request
is, and where theirs is kept; `edge` is around every request. `webhooks` tells applications what happened.
"""

from ..errors import ConfigurationError

try:
    import starlette as _starlette  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError:
    raise ConfigurationError('the server needs the extra "server": passkeycore[server]') from None

from .mounted import PasskeyApp
from .well_known import well_known_routes

__all__ = ["PasskeyApp", "well_known_routes"]
