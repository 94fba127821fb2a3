"""What every page of the portal has in common: who may ask, what a form brings, how a page and an error are written.

What belongs here: the judgement that stands before every handler. Whatever changes something has to come from a page of
ours (Origin), from a session that is good, and with that session's own CSRF token.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from hmac import compare_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ...config.server import Limits
from ...engine.context import EngineContext
from ...engine.passkeys.service import AsyncPasskeyService
from ...errors import ConfigurationError, PasskeyError, TokenError
from ...relying_party import RelyingParty
from ...webauthn.encoding import encode_base64url
from ..edge.http import client_address, json_answer, note_tenant, read_body
from ..edge.limits import RateLimits
from ..tenancy.tenants import Tenant
from .auditing import of_operator
from .sessions import REALM, Session, is_ended, operator_of, renewed, seal_session, stamp_of, unseal_session

if TYPE_CHECKING:
    from ...config.server import ServerSettings
    from ..tenancy.live import LiveTenants

PATH: Final = "/portal"
_HERE: Final = Path(__file__).parent
_MOST_FIELDS: Final = 200  # of a form
_MOST_PASSKEYS: Final = 10
_SECRETS: Final = Limits(per_address="10/minute")
_PASSKEYS: Final = Limits(per_address="20/minute")  # another number, or Redis would count both together


def _day(at: date) -> str:
    return f"{_day_of_year(at)} {at.year}"


def _day_of_year(at: date) -> str:
    return f"{at.day} {at:%b}"  # not "%-d", which not every C library knows


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_ENVIRONMENT.filters["base64url"] = encode_base64url
_ENVIRONMENT.filters |= {"day": _day, "day_of_year": _day_of_year}
_TYPES: Final = {"form": "application/x-www-form-urlencoded", "json": "application/json"}


class Portal:
    """The portal of a server whose file has an operator secret.

    Attributes:
        tenants: What is looked after.
        settings: Of the server.
        secret: Opens it.
        operator: Whose passkeys open it, in the realm of operators; see `sessions.operator_of`.
        operators: Passkeys of the operator; None: where the server is reached, browsers know no passkeys.
        context: Makes events of the realm of operators, and stores them.
        wrong_secrets, wrong_passkeys: How often an address may fail to sign in. What succeeds does not count.
    """

    def __init__(self, tenants: "LiveTenants", settings: "ServerSettings", secret: bytes) -> None:
        """Keeps what it is given."""
        self.tenants = tenants
        self.settings = settings
        self.secret = secret
        self.stamp = stamp_of(secret)
        self.operator = operator_of(secret)
        parts = urlsplit(settings.base_url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path + PATH
        self.is_secure = parts.scheme == "https"
        redis, limits_secret = tenants.storage.redis, settings.secrets[0]
        self.wrong_secrets = RateLimits(_SECRETS, redis, secret=limits_secret)
        self.wrong_passkeys = RateLimits(_PASSKEYS, redis, secret=limits_secret)
        self.context = EngineContext(
            events=tenants.storage.repository, emit=None, realm=REALM, now=tenants.now, random=secrets.token_bytes
        )
        self.operators = self._operators(parts.hostname or "")

    def _operators(self, host: str) -> AsyncPasskeyService | None:
        try:
            rp = RelyingParty(id=host, name=f"passkeycore at {host}", origins=(self.origin,))
        except ConfigurationError:  # an IP address
            return None
        storage = self.tenants.storage
        return AsyncPasskeyService(
            rp,
            storage.repository,
            ceremonies=storage.ceremonies,
            realm=REALM,
            max_passkeys_per_user=_MOST_PASSKEYS,
            store_events=True,
            now=self.tenants.now,
        )

    def cookie(self, name: str) -> str:
        """What a cookie of the portal is called: such that browsers keep it for this host alone, where they can."""
        return f"__Host-passkeycore-{name}" if self.is_secure else f"passkeycore-{name}"

    def set_cookie(self, answer: Response, name: str, value: str, *, max_age_s: int | None = None) -> None:
        """Gives the browser a cookie that no script reads and no other site sends; an empty value takes it away."""
        answer.set_cookie(
            self.cookie(name),
            value,
            max_age=max_age_s if value else 0,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="strict",
        )

    def keep(self, answer: Response, session: Session) -> Response:
        """`answer`, with which the browser gets the session."""
        self.set_cookie(answer, "portal", seal_session(self.tenants.tokens, session, self.tenants.now()))
        return answer

    async def session_of(self, request: Request) -> Session | None:
        """Who asks; None: nobody who has signed in, or not any more."""
        text = request.cookies.get(self.cookie("portal"))
        if not text:
            return None
        try:
            session = unseal_session(self.tenants.tokens, text, self.tenants.now())
        except TokenError:
            return None
        if not compare_digest(session.stamp, self.stamp):
            return None
        if await is_ended(self.tenants.storage.repository, session):
            return None
        if session.credential_id is not None:
            passkeys = () if self.operators is None else await self.operators.list_passkeys(self.operator)
            if session.credential_id not in {passkey.credential_id for passkey in passkeys}:
                return None
        return session


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that may be answered.

    Attributes:
        portal: Of which portal.
        request: As it came.
        session: Who asks; None: anybody, where anybody may.
        found: The tenant that the path names; None: it names none.
        body: Of a JSON request.
        form: Of a form, the last value of each name, but for `several`.
        several: All values of names that a form gave.
    """

    portal: Portal
    request: Request
    session: Session | None = None
    found: Tenant | None = None
    body: bytes = b""
    form: Mapping[str, str] = {}
    several: Mapping[str, tuple[str, ...]] = {}

    @property
    def tenant(self) -> Tenant:
        """The tenant that the path names."""
        if self.found is None:
            raise HTTPException(404)
        return self.found

    @property
    def query(self) -> Mapping[str, str]:
        """What the address says."""
        return self.request.query_params

    def field(self, name: str) -> str:
        """What a form has in a field that every form of its page has.

        Raises:
            HTTPException: 400: it has no such field, so it does not come from that page as it is now.
        """
        text = self.form.get(name)
        if text is None:
            raise HTTPException(400, "The form is incomplete. Nothing was changed. Please load the page again.")
        return text

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return client_address(self.request, self.portal.settings.trusted_proxies)

    def to(self, page: str, **query: str) -> Response:
        """Sends the browser to a page of the portal's, which it then gets."""
        return _sent_to(self.link(page, **query))

    def link(self, page: str, **query: str) -> str:
        """The path of a page: of the tenant's, where one is named; ``/`` at its beginning: of the portal itself."""
        place = f"{PATH}{page}" if page.startswith("/") or self.found is None else f"{self.place}{page and '/'}{page}"
        base = self.portal.path.removesuffix(PATH) + place
        return f"{base}?{urlencode(query)}" if query else base

    @property
    def place(self) -> str:
        """Where the tenant's pages are, below the server's own path."""
        return f"{PATH}/tenants/{self.tenant.tenant_id}"

    def page(self, template: str, *, status: int = 200, tab: str = "", **members: Any) -> Response:
        """A page of the portal's, under the tab that it belongs to; empty: it has none."""
        tenant = self.found
        return written(
            self.portal.path,
            template,
            status=status,
            tab=tab,
            session=self.session,
            tenant=None if tenant is None else tenant.settings,
            tenant_ids=() if self.session is None else self.portal.tenants.tenant_ids,
            link=self.link,
            **members,
        )


Handler: TypeAlias = Callable[[Asked], Awaitable[Response]]


class Row(NamedTuple):
    """What can be asked for.

    Attributes:
        method: ``GET`` shows, ``POST`` changes.
        path: Below the portal.
        handler: Answers, once it may be answered.
        who: ``operator``: somebody with a session. ``anybody``: to become that.
        sends: What a POST brings.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    who: Literal["operator", "anybody"] = "operator"
    sends: Literal["form", "json"] = "form"


def route(portal: Portal, row: Row) -> Route:
    """The route of a row."""

    async def endpoint(request: Request) -> Response:
        try:
            return await _answer(portal, row, request)
        except (PasskeyError, HTTPException) as error:
            if row.sends == "json":
                return refused_json(error)
            return refused(error, portal.path)

    return Route(PATH + row.path, endpoint, methods=[row.method])


def refused(error: Exception, path: str = PATH) -> Response:
    """An error as a page for the operator.

    Args:
        error: What it is.
        path: Where the portal is, and its style.
    """
    status, message, headers = _told(error)
    answer = written(
        path, "wrong.html", status=status, session=None, tenant=None, tenant_ids=(), link=None, message=message
    )
    answer.headers.update(headers)
    return answer


def refused_json(error: Exception) -> Response:
    """An error for our script: ``{"error": {"code", "message"}}``, a sentence for the operator."""
    status, message, headers = _told(error)
    code = error.code.value if isinstance(error, PasskeyError) else str(status)
    answer = json_answer({"error": {"code": code, "message": message}}, status)
    answer.headers.update(headers)
    return answer


def written(path: str, template: str, *, status: int = 200, **members: Any) -> Response:
    """A page that nobody stores, frames, or gives scripts of their own to."""
    nonce = secrets.token_urlsafe(16)
    text = _ENVIRONMENT.get_template(template).render(path=path, nonce=nonce, **members)
    answer = Response(text, status, media_type="text/html")
    answer.headers.update(
        {
            "Cache-Control": "no-store",
            "Content-Security-Policy": (
                f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; "
                "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
                "require-trusted-types-for 'script'; trusted-types 'none'"
            ),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
            # With no-referrer, browsers send forms with the Origin "null", which cannot be told from a foreign one.
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
    )
    return answer


def _sent_to(address: str) -> Response:
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


async def _answer(portal: Portal, row: Row, request: Request) -> Response:
    changes = row.method == "POST"
    if changes and request.headers.get("origin") != portal.origin:
        raise HTTPException(403, "This request comes from another site. Nothing was changed.")
    session = await portal.session_of(request)
    if row.who == "operator" and session is None:
        if not changes:
            return _sent_to(f"{portal.path}/sign-in")
        raise HTTPException(401, "Your session has ended. Nothing was changed. Please sign in again.")
    asked = Asked(portal=portal, request=request, session=session, found=await _tenant(portal, request, session))
    if changes:
        asked = await _read(asked, row)
    answer = await row.handler(asked)
    fresh = None if session is None else renewed(session, portal.tenants.now())
    if fresh is not None and "set-cookie" not in answer.headers:
        portal.keep(answer, fresh)
    return answer


async def _tenant(portal: Portal, request: Request, session: Session | None) -> Tenant | None:
    tenant_id = request.path_params.get("tenant_id")
    if tenant_id is None:
        return None
    tenant = await portal.tenants.for_operator(tenant_id)
    if tenant is None:
        raise HTTPException(404, "There is no such tenant.")
    note_tenant(request, tenant.tenant_id)
    return tenant if session is None else of_operator(tenant, session)


async def _read(asked: Asked, row: Row) -> Asked:
    """The request with what it brings, once it has shown the CSRF token of its session.

    Raises:
        HTTPException: 400, 403, 408, 413, 415.
    """
    request = asked.request
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPES[row.sends]:
        raise HTTPException(415, "This is not what a page of the portal sends.")
    body = await read_body(request)
    several: dict[str, tuple[str, ...]] = {}
    if row.sends == "form":
        try:
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(body),
                errors="strict",
                max_num_fields=_MOST_FIELDS,
            )
        except ValueError:
            raise HTTPException(400, "The form cannot be read.") from None
        for name, value in pairs:
            several[name] = (*several.get(name, ()), value)
    form = {name: values[-1] for name, values in several.items()}
    if row.who == "operator" and asked.session is not None:
        shown = form.get("csrf", "") if row.sends == "form" else request.headers.get("x-csrf-token", "")
        if not compare_digest(shown.encode(), asked.session.csrf.encode()):
            raise HTTPException(403, "The form does not belong to your session. Nothing was changed.")
    return msgspec.structs.replace(asked, body=body, form=form, several=several)


# Where the public message says less than the operator, who can do something about it, may know.
_SENTENCES: Final[Mapping[str, str]] = {
    "conflict": "Somebody else changed this at the same time. Please look again.",
    "no_credential": "It is not there any more. Somebody may have removed it.",
    "user_not_found": "There is no such user any more.",
    "name_invalid": "Please choose a name of 1 to 64 visible characters.",
    "user_id_invalid": "There can be no user with this id.",
    "cursor_invalid": "This page of the list is not there.",
}
_STATUSES: Final[Mapping[str, int]] = {"no_credential": 404, "user_not_found": 404, "token_invalid": 401}
_HTTP: Final[Mapping[int, str]] = {
    404: "There is no such page.",
    405: "There is no such page.",
    429: "Too many attempts. Please wait a minute and try again.",
}


def _told(error: Exception) -> tuple[int, str, Mapping[str, str]]:
    if isinstance(error, PasskeyError):
        code = error.code.value
        return _STATUSES.get(code, error.http_status), _SENTENCES.get(code, error.public_message), {}
    if isinstance(error, HTTPException):
        by_starlette = error.detail in ("Not Found", "Method Not Allowed")
        message = _HTTP.get(error.status_code) if by_starlette or error.status_code == 429 else None
        return error.status_code, message or error.detail, error.headers or {}
    return 500, "Something went wrong on the server. Please try again.", {}
