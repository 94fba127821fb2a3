"""What tells one browser from another: a random visitor id in a cookie, which binds the start of a ceremony to its end.

The id proves nothing about who sits there; sessions are the application's. A token against forged requests follows from
it (`csrf_token`), so that nothing is stored for a visitor.
"""

import hmac
import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from ...engine.passkeys.service import AsyncPasskeyService
from ...errors import ConfigurationError
from ...webauthn.encoding import encode_base64url
from ...webauthn.origins import check_origin

CSRF_HEADER: Final = "X-CSRF-Token"
"""Where a page sends `csrf_token`, which it got from ``GET /session``."""

COOKIE: Final = "__Host-passkeycore"
"""The cookie's name. Browsers take such a one only over TLS, for this host alone, and from this host alone."""

LOCAL_COOKIE: Final = "passkeycore"
"""Its name where every origin is ``http://localhost``, where not every browser keeps the other one."""

ID_BYTES: Final = 32
_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def web_origins(origins: Collection[str]) -> frozenset[str]:
    """Those that are of the web, not of apps."""
    return frozenset(origin for origin in origins if _host(origin) is not None)


def cookie_name(origins: Collection[str]) -> str:
    """What the cookie is called where pages of these web origins use it.

    Decided by what is configured, never by the request: behind a proxy it may look as if it came from anywhere.
    """
    local = bool(origins) and all(urlsplit(origin).scheme == "http" for origin in origins)  # which only localhost may
    return LOCAL_COOKIE if local else COOKIE


def visitor_of(cookies: Mapping[str, str], origins: Collection[str]) -> str | None:
    """The visitor id, 43 characters of base64url; None: there is none, or not one of ours."""
    found = cookies.get(cookie_name(origins), "")
    return found if _ID.fullmatch(found) else None


def visitor_binding(passkeys: AsyncPasskeyService, cookies: Mapping[str, str]) -> str | None:
    """What step-ups of this browser are bound to, to be repeated in `AsyncPasskeyService.validate_step_up`.

    Args:
        passkeys: Of the application that is mounted.
        cookies: Of a request, such as ``request.cookies`` of Starlette and Flask, or ``request.COOKIES`` of Django.

    Returns:
        None: The browser has not asked the mounted application for anything.
    """
    rp = passkeys.context.rp
    return visitor_of(cookies, web_origins((*rp.origins, *rp.related_origins)))


def keep_visitor(answer: Response, visitor_id: str, origins: Collection[str]) -> None:
    """Gives the browser its visitor id, until it is closed."""
    name = cookie_name(origins)
    answer.set_cookie(name, visitor_id, path="/", secure=name == COOKIE, httponly=True, samesite="lax")


def csrf_token(visitor_id: str, tenant_id: str) -> str:
    """What a page of ours has to send with whatever changes something: 43 characters of base64url.

    Only who knows the visitor id can make it, which no page can read; only pages of the tenant's origins may read it.
    """
    digest = hmac.digest(visitor_id.encode(), f"passkeycore csrf|{tenant_id}".encode(), "sha256")
    return encode_base64url(digest)


def _host(origin: str) -> str | None:
    try:
        return check_origin(origin)
    except ConfigurationError:
        return None
