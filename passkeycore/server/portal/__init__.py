"""The operator's portal under ``/portal``: settings, keys, users and events of every tenant of a server.

    app = Starlette(routes=routes(tenants, settings))

It is there only where the file has an operator secret. `serving` judges what comes in and writes what goes out,
`sessions` has who is signed in, and the other modules a page each, or a few; ``templates`` and ``static`` are what
they look like, over the style of hosted pages.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from . import events, keys, settings, sign_in, users
from .serving import PATH, Portal, refused, refused_json, route

if TYPE_CHECKING:
    from ...config.server import ServerSettings
    from ..tenancy.live import LiveTenants

__all__ = ["OF_SCRIPTS", "PATH", "ROWS", "Portal", "refused", "refused_json", "routes"]

_HERE: Final = Path(__file__).parent
_CHECKED: Final = {"Cache-Control": "no-cache"}

ROWS: Final = (*sign_in.ROWS, *events.ROWS, *settings.ROWS, *keys.ROWS, *users.ROWS)
"""All that can be asked for, but for files."""

OF_SCRIPTS: Final = tuple(dict.fromkeys((PATH + row.path).rpartition("/")[0] for row in ROWS if row.sends == "json"))
"""Paths below which our script alone asks, and reads errors as `refused_json` tells them."""


def routes(tenants: "LiveTenants", server: "ServerSettings") -> list[BaseRoute]:
    """The portal, for an application at the path of ``base_url``; nothing without an operator secret."""
    if server.operator_secret is None:
        return []
    portal = Portal(tenants, server, server.operator_secret)
    return [
        *(route(portal, row) for row in ROWS),
        # What the portal has not, hosted pages have: their style.
        Mount(f"{PATH}/static", _Static(directory=_HERE / "static", packages=[("passkeycore.server.pages", "static")])),
    ]


class _Static(StaticFiles):
    """Files, of which browsers ask each time whether they are still so: a release changes all of them at once."""

    def file_response(self, *arguments: Any, **members: Any) -> Response:
        """See `StaticFiles.file_response`."""
        answer = super().file_response(*arguments, **members)
        answer.headers.update(_CHECKED)
        return answer
