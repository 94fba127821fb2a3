"""The files below ``/.well-known/`` that follow from a configuration, as routes: of one, or of each tenant of a server.

Browsers and systems ask the RP ID's own host for them, without cookies, and keep what they get for a while.
"""

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..config import Config, well_known_files
from ..config.well_known import DIRECTORY

if TYPE_CHECKING:
    from .live import LiveTenants

_HEADERS: Final = {
    "Cache-Control": "public, max-age=300"
}  # so long a change takes; asked for by many, at every sign-in


def well_known_routes(config: Config) -> list[Route]:
    """The routes of the files for which the configuration has something, for the root of the RP ID's host.

        app.router.routes.extend(well_known_routes(config))

    Raises:
        ConfigurationError: What nobody could use in such a file; see `passkeycore.config.well_known_files`.
    """
    return [_route(path, content_type, content) for path, (content_type, content) in well_known_files(config).items()]


def live_well_known_routes(tenants: "LiveTenants") -> list[Route]:
    """The same for the tenants of a server as they are now, each for the host of its RP ID."""

    async def endpoint(request: Request) -> Response:
        host = request.url.hostname or ""
        everybody = await tenants.all()
        wanted = DIRECTORY + request.path_params["name"]
        # Behind a proxy that does not pass the host on, one tenant can still be served.
        for tenant in everybody if len(everybody) == 1 else [t for t in everybody if t.settings.config.rp_id == host]:
            file = well_known_files(tenant.settings.config).get(wanted)
            if file is not None:
                return Response(file[1], media_type=file[0], headers=_HEADERS)
        raise HTTPException(404)

    return [Route(DIRECTORY + "{name}", endpoint)]


def _route(path: str, content_type: str, content: bytes) -> Route:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=content_type, headers=_HEADERS)

    return Route(path, endpoint)
