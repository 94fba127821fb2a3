"""Our own JSON API: passkeys, devices and actions of a tenant, for its pages, apps, devices and servers.

    app.mount("/passkeys", PasskeyApp(passkeys, current_user=user_id_of, on_sign_in=start_session))  # one tenant
    routes(tenants, settings)  # every tenant of a server, below /api/<tenant>

`rows` has all routes in a table. `serving` is the way of a request, `guards` says who calls, `visitors` knows browsers,
`shapes` has what routes read and answer, `refusals` the form of errors, and `document` describes it all.

A page begins with ``GET session``, sends ``X-CSRF-Token`` with whatever it posts, and is answered in JSON. See
``GET openapi.json``, or `openapi_document`.
"""

from .calls import CurrentUser, OnSignIn, SignIn
from .document import openapi_document
from .refusals import refused
from .serving import HANDLERS, PREFIX, mounted_routes, routes
from .visitors import visitor_binding

__all__ = [
    "HANDLERS",
    "PREFIX",
    "CurrentUser",
    "OnSignIn",
    "SignIn",
    "mounted_routes",
    "openapi_document",
    "refused",
    "routes",
    "visitor_binding",
]
