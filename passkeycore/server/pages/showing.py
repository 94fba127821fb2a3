"""The pages themselves: what an address asks for is judged, the page for it is chosen and written.

Nothing changes by opening a page: programs look at links, and people open them twice.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ...errors import Code, TokenError
from ..edge.http import note_tenant
from ..edge.limits import admit
from ..redirects import may_redirect
from ..tenancy.tenants import Tenant
from .authenticators import list_shown
from .leaving import Ending, is_app_scheme
from .notes import NOTES, WRONG, Wrong, words_of
from .opened import Opened, Proof, SignInLink, check_open, unseal_link, unseal_proof
from .views import View, Way, view_of
from .visits import Server, Visit, client_info, visit

_HERE: Final = Path(__file__).parent
_LONGEST_TOKEN: Final = 12_288  # characters: a sealed proof with the longest names
_WAYS: Final[Mapping[str, Way]] = {"passkey": "passkey", "push": "push", "qr-code": "qr-code"}
_TEMPLATES: Final[Mapping[str, str]] = {
    "passkey": "challenge.html",
    "push": "push.html",
    "qr-code": "qr-code.html",
    "enrolment": "enrolment.html",
    "settings": "settings.html",
    "sign-in": "sign-in.html",
    "note": "note.html",
}
_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.globals["icon"] = vars(_ENVIRONMENT.get_template("icons.html").module)["icon"]
# Only passkeys, and what else browsers grant unasked: a page for signing in needs nothing of a device.
_PERMISSIONS: Final = (
    "publickey-credentials-get=(self), publickey-credentials-create=(self), "
    "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
)


class _Asked(NamedTuple):
    """What an address says."""

    token: str
    popup: bool
    embedded: bool
    native_scheme: str | None
    settings: bool
    enrolment: bool
    way: Way | None


class _RefusedError(Exception):
    """No page is shown but one that says what is wrong. With a tenant and a code, its frames are told."""

    def __init__(
        self,
        wrong: Wrong,
        tenant: Tenant | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(wrong)
        self.wrong: Wrong = wrong
        self.tenant = tenant
        self.code = code
        self.headers = headers


class _Files(StaticFiles):
    """Files that browsers ask for again each time, so that a page and its script are always of one version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """See `StaticFiles`."""
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


_FAULTS: Final[Mapping[int, Wrong]] = {404: "missing", 429: "busy"}


def page_routes(server: Server) -> list[BaseRoute]:
    """The page, and its files."""
    return [
        Route("/challenge", _endpoint(server), methods=["GET"]),
        Mount("/challenge/static", _Files(directory=_HERE / "static")),
    ]


def refused_page(error: HTTPException, path: str = "/challenge") -> Response:
    """An error of the server's, as a page for people.

    Args:
        error: What it is.
        path: Where the pages are, and their style: the path of ``base_url``, and ``/challenge``.
    """
    status = error.status_code
    wrong: Wrong = _FAULTS.get(status, "mistaken" if 400 <= status < 500 else "broken")
    answer = _written(_wrong_page(path, wrong), status=error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def _endpoint(server: Server) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        asked = _asked(request)
        try:
            visiting = await _visit(server, request, asked)
            return await _page(visiting, asked)
        except _RefusedError as error:
            origins = error.tenant.settings.frame_origins if asked.popup and error.tenant is not None else ()
            page = _wrong_page(server.path, error.wrong, error.tenant, origins, error.code, lost=not asked.token)
            answer = _written(page, status=WRONG[error.wrong].status, frame_origins=origins, popup=asked.popup)
            answer.headers.update(error.headers or {})
            return answer
        except HTTPException as error:
            return refused_page(error, server.path)

    return endpoint


def _asked(request: Request) -> _Asked:
    query = request.query_params
    popup = query.get("mode") == "popup"
    return _Asked(
        token=query.get("token", ""),
        popup=popup,
        # Browsers say so themselves; one that does not is believed to do what the mode is for.
        embedded=popup and request.headers.get("sec-fetch-dest", "iframe") == "iframe",
        native_scheme=query.get("nativeScheme"),
        settings=query.get("settings") == "true",
        enrolment=query.get("force_enrollment") == "true",
        way=_WAYS.get(query.get("method", "")),
    )


async def _visit(server: Server, request: Request, asked: _Asked) -> Visit:
    """Who opens the page, once everything that the address says was found good.

    Raises:
        _RefusedError: Something was not. HTTPException: 429.
    """
    tenant, opened = await _opened(server, asked)
    note_tenant(request, tenant.tenant_id)
    registered = tenant.settings.redirect_urls
    if asked.native_scheme is not None and not is_app_scheme(registered, asked.native_scheme):
        raise _RefusedError("elsewhere", tenant)
    try:
        visiting = await visit(server, tenant, opened, client_info(server, request))
    except TokenError as error:
        raise _RefusedError("expired" if error.code is Code.TOKEN_EXPIRED else "invalid", tenant, error.code) from None
    action = visiting.action
    try:
        await admit(request, tenant.tenant_id, user_id=None if action is None else action.user_id)
    except HTTPException as error:
        raise _RefusedError("busy", tenant, str(error.status_code), error.headers) from None
    redirect_url = opened.redirect_url if action is None else action.redirect_url
    if redirect_url is not None and not may_redirect(registered, redirect_url):
        raise _RefusedError("elsewhere", tenant)
    return visiting


async def _opened(server: Server, asked: _Asked) -> tuple[Tenant, Opened]:
    if not asked.token or len(asked.token) > _LONGEST_TOKEN:
        raise _RefusedError("invalid")
    opened = Opened(
        realm="",
        popup=asked.popup,
        embedded=asked.embedded,
        native_scheme=asked.native_scheme,
        settings=asked.settings,
        enrolment=asked.enrolment,
    )
    tenant = await server.tenants.by_token(asked.token)
    if tenant is not None:
        return tenant, msgspec.structs.replace(opened, realm=tenant.tenant_id, token=asked.token)
    sealed = _unsealed(server, asked.token)
    tenant = await server.tenants.by_id(sealed.realm)
    if tenant is None:
        raise _RefusedError("invalid")
    try:
        check_open(sealed, server.now())
    except TokenError as error:
        raise _RefusedError("expired", tenant, error.code) from None
    if isinstance(sealed, Proof):
        return tenant, msgspec.structs.replace(opened, realm=sealed.realm, token=sealed.token, proof=sealed)
    return tenant, msgspec.structs.replace(
        opened,
        realm=sealed.realm,
        word=sealed.word,
        redirect_url=sealed.redirect_url,
        binding=tenant.actions.context.random(32).hex(),
        # Where the tenant's server has said where the page leads, whoever passes the link on says nothing else.
        popup=asked.popup and sealed.redirect_url is None,
        embedded=asked.embedded and sealed.redirect_url is None,
    )


def _unsealed(server: Server, text: str) -> SignInLink | Proof:
    now = server.now()
    try:
        with suppress(TokenError):
            return unseal_proof(server.tokens, text, now)
        return unseal_link(server.tokens, text, now)
    except TokenError as error:
        raise _RefusedError("expired" if error.code is Code.TOKEN_EXPIRED else "invalid") from None


async def _page(visiting: Visit, asked: _Asked) -> Response:
    if visiting.action is None or visiting.kind is None:
        if not visiting.takes_passkeys:
            raise _RefusedError("address", visiting.tenant)
        if not visiting.signs_in:
            raise _RefusedError("second-factor", visiting.tenant)
        return _shown(visiting, "sign-in", leave=visiting.ending(None))
    ways = visiting.ways
    view: View = view_of(
        visiting.opened,
        visiting.kind,
        visiting.action,
        visiting.enrolled,
        ways,
        passkeys=visiting.takes_passkeys,
    )
    if view == "challenge":
        way = asked.way if asked.way in ways else ways[0]
        token = visiting.opened.token or ""
        others = [
            {"way": other, "address": f"{visiting.address(token)}&method={other}"} for other in ways if other != way
        ]
        return _shown(visiting, way, others=others)
    if view == "settings":
        rights = visiting.rights
        return _shown(
            visiting,
            "settings",
            authenticators=await list_shown(visiting),
            can_add=rights.add and visiting.takes_passkeys,
            rights=rights,
        )
    if view == "enrolment":
        return _shown(visiting, "enrolment", has_some=bool(visiting.enrolled))
    return _shown(visiting, "note", note=NOTES[view], ends=view == "nothing")


def _shown(visiting: Visit, name: str, *, leave: Ending | None = None, ends: bool = False, **members: Any) -> Response:
    """A page of the tenant's, whose script is given what it needs.

    Args:
        visiting: Who opens it.
        name: Which one.
        leave: How it ends when nothing comes of it; None: with the token that it was opened with, which proves nothing
            that it did not prove before.
        ends: It does so at once, where there is somewhere to go.
        members: For the template.
    """
    settings, opened = visiting.tenant.settings, visiting.opened
    leave = visiting.ending(opened.token) if leave is None else leave
    origins = settings.frame_origins if opened.popup else ()
    data = {
        "token": visiting.sealed(),
        "api": f"{visiting.server.path}/api",
        "origins": origins,
        "leave": leave,
        "ends": ends,
        # By which a tab finds what it waits for when it is loaded again; no secret.
        "place": sha256((opened.token or "").encode()).hexdigest()[:16],
    }
    page = {
        "view": name,
        "path": visiting.server.path,
        "name": settings.config.name or settings.config.rp_id,
        "data": data,
        "popup": opened.popup,
        "action": None if visiting.action is None else words_of(visiting.action.action),
        "can_leave": opened.popup or leave.redirect is not None,
        "lost": False,
        **members,
    }
    return _written(page, frame_origins=origins, popup=opened.popup)


def _wrong_page(
    path: str,
    wrong: Wrong,
    tenant: Tenant | None = None,
    origins: tuple[str, ...] = (),
    code: str | None = None,
    *,
    lost: bool = False,
) -> dict[str, Any]:
    """What says what is wrong. `lost`: the address had no token, which its tab may remember."""
    status = WRONG[wrong].status
    event = None if code is None else {"errorCode": _EVENT_CODES.get(code, code), "statusCode": status}
    config = None if tenant is None else tenant.settings.config
    return {
        "view": "note",
        "path": path,
        "name": "" if config is None else config.name or config.rp_id,
        "data": {"token": "", "api": "", "origins": origins, "leave": {}, "ends": False, "event": event, "lost": lost},
        "popup": bool(origins),
        "action": None,
        "can_leave": bool(origins),
        "lost": lost,
        "note": WRONG[wrong].note,
    }


# As the pages around ours know them.
_EVENT_CODES: Final[Mapping[str, str]] = {Code.TOKEN_EXPIRED.value: "expired_token", "429": "too_many_requests"}


def _written(
    page: Mapping[str, Any], *, status: int = 200, frame_origins: tuple[str, ...] = (), popup: bool = False
) -> Response:
    nonce = secrets.token_urlsafe(16)
    data = msgspec.json.encode(page["data"]).decode()
    text = _ENVIRONMENT.get_template(_TEMPLATES[page["view"]]).render({**page, "data": data, "nonce": nonce})
    framing = " ".join(frame_origins) or "'none'"
    answer = Response(text, status, media_type="text/html")
    answer.headers.update(
        {
            "Cache-Control": "no-store",
            "Content-Security-Policy": (
                f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
                f"trusted-types 'none'; frame-ancestors {framing}"
            ),
            # A window that another page has opened tells that page; any other window knows of no other.
            "Cross-Origin-Opener-Policy": "unsafe-none" if popup else "same-origin",
            "Permissions-Policy": _PERMISSIONS,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
    )
    return answer
