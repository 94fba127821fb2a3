"""The files below ``/.well-known/`` that follow from a configuration, as routes: of one, or of each tenant of a server.

Browsers and systems ask the RP ID's own host for them, without cookies, and keep what they get for a while.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..config import Config, well_known_files
from ..config.server import shared_config
from ..config.well_known import DIRECTORY
from ..errors import ConfigurationError
from .tenancy.tenants import TenantUnavailable

if TYPE_CHECKING:
    from .tenancy.live import LiveTenants

_LOGGER: Final = logging.getLogger("passkeycore.server")
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
    """The same for the tenants of a server as they are now, each for the host of its RP ID.

    Tenants of one RP ID share the files: each has what any of them says.
    """

    async def endpoint(request: Request) -> Response:
        host = _host_of(request)
        served = [tenant.settings.config for tenant in await tenants.all()]
        is_whole = len(served) == len(tenants.tenant_ids)
        # Behind a proxy that does not pass the host on, one RP ID can still be served.
        alone = is_whole and len({config.rp_id for config in served}) == 1
        file = _shared_files([c for c in served if alone or c.rp_id == host]).get(
            DIRECTORY + request.path_params["name"]
        )
        if file is not None:
            return Response(file[1], media_type=file[0], headers=_HEADERS)
        if not is_whole:  # it may be of a tenant that is not served, and those who ask remember what is not there
            raise TenantUnavailable
        raise HTTPException(404)

    return [Route(DIRECTORY + "{name}", endpoint)]


def _host_of(request: Request) -> str:
    """The host that was asked for, without its port and the dot of the root; names of the DNS have no other form."""
    return request.headers.get("host", "").partition(":")[0].lower().removesuffix(".")


def _shared_files(configs: Sequence[Config]) -> dict[str, tuple[str, bytes]]:
    """The files of one RP ID. A tenant with which they do not go is left out: two can change at the same time."""
    together: list[Config] = []
    files: dict[str, tuple[str, bytes]] = {}
    for config in configs:
        try:
            files = well_known_files(shared_config([*together, config]))
        except ConfigurationError as error:
            _LOGGER.error("the well-known files of %s lack what %s says: %s", config.rp_id, config.realm, error)
            continue
        together.append(config)
    return files


def _route(path: str, content_type: str, content: bytes) -> Route:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=content_type, headers=_HEADERS)

    return Route(path, endpoint)
