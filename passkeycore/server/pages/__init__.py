"""Hosted pages under ``/challenge``: where a browser is sent to confirm an action, make a passkey, or sign in.

    app = Starlette(routes=routes(tenants, settings))

The address comes from tracking an action, or from `links`. `showing` chooses and writes a page, `api` answers its
script; `visits` knows who is there, `views` which page it is, `leaving` where it may lead. ``static`` has the scripts,
one small module for each kind of page, and the style.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from ..tenancy.tenants import Tenants
from .api import api_routes, refused
from .links import sign_in_url
from .showing import page_routes, refused_page
from .visits import PushHook, Server

if TYPE_CHECKING:
    from ...config.server import ServerSettings

__all__ = ["Server", "api_routes", "page_routes", "refused", "refused_page", "routes", "sign_in_url"]


def routes(
    tenants: Tenants,
    settings: "ServerSettings",
    *,
    push_created: PushHook | None = None,
    now: Callable[[], datetime] | None = None,
) -> list[BaseRoute]:
    """Everything of hosted pages, for an application at the path of ``base_url``.

    Args:
        tenants: Whose users they are.
        settings: Where the server is reached, and which proxies it believes.
        push_created: Has the application send a push message before a page waits for its answer; None: apps look
            by themselves.
        now: The clock, aware; None: the system's.
    """
    server = Server(tenants, settings, push_created, now)
    return [*api_routes(server), *page_routes(server)]
