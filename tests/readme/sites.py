"""A real application for each framework around a quick start of the README, and browsers that visit it.

What an application has anyway: one user, Ada, who can also sign in without a passkey; sessions; and the module
``yours`` by which a quick start reaches them.
"""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped,misc"
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# Views are called by their frameworks alone.
# pyright: reportUnusedFunction=false

import secrets
from asyncio import Runner
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Any, NamedTuple, Protocol

from .blocks import execute
from .yours import ADA, Store, User, importable

ADDRESS = "https://example.com"


class Answer(NamedTuple):
    """What came back."""

    status: int
    members: dict[str, Any]


class Visitor(Protocol):
    """A browser with cookies of its own."""

    def post(self, path: str, body: object = None) -> Answer:
        """Posts JSON as the page's script does."""
        ...

    def sign_in_without_passkey(self) -> None:
        """As Ada, by other means."""
        ...

    def user_id(self) -> str | None:
        """Who is signed in here."""
        ...


class Site(NamedTuple):
    """A running application. `visitor` opens a new browser; `store` is what level 1 uses."""

    visitor: Callable[[], Visitor]
    store: Store


@contextmanager
def fastapi_site(section: str) -> Generator[Site]:
    """The section's quick start in a FastAPI application."""
    from fastapi import Depends, FastAPI, HTTPException, Request
    from httpx import ASGITransport, AsyncClient
    from starlette.middleware.sessions import SessionMiddleware

    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=secrets.token_hex(), https_only=True)
    on_the_server: dict[str, dict[str, str]] = {}
    store = Store()

    def me(request: Request) -> User:
        if request.session.get("user") != ADA.id:
            raise HTTPException(401)
        return ADA

    def server_side(request: Request) -> dict[str, str]:
        return on_the_server.setdefault(request.session.setdefault("id", secrets.token_hex()), {})

    def sign_in(request: Request, user_id: str) -> None:
        request.session.clear()
        request.session["user"] = user_id

    @app.post("/password")
    def password(request: Request) -> None:
        sign_in(request, ADA.id)

    @app.get("/who")
    def who(request: Request) -> str | None:
        user: str | None = request.session.get("user")
        return user

    names: dict[str, Any] = {
        "app": app,
        "Me": Annotated[User, Depends(me)],
        "Session": Annotated[dict[str, str], Depends(server_side)],
        "sign_in": sign_in,
        "store": store,
    }
    with importable(**names):
        defined = execute(section, {"__name__": "app"})

    transport = ASGITransport(app, raise_app_exceptions=False)

    class Browser:
        def __init__(self) -> None:
            self.client = AsyncClient(transport=transport, base_url=ADDRESS)

        def post(self, path: str, body: object = None) -> Answer:
            response = loop.run(self.client.post(path, json=body))
            return Answer(response.status_code, response.json() if response.status_code < 500 else {})

        def sign_in_without_passkey(self) -> None:
            assert self.post("/password").status == 200

        def user_id(self) -> str | None:
            user: str | None = loop.run(self.client.get("/who")).json()
            return user

    with Runner() as loop:  # one event loop for all visitors, as in a server
        yield Site(Browser, store)
        if "repository" in defined:
            loop.run(defined["repository"].close())


@contextmanager
def flask_site(section: str) -> Generator[Site]:
    """The section's quick start in a Flask application; at level 1 its sessions are on the server."""
    import flask
    from flask.sessions import SessionInterface, SessionMixin

    class ServerSession(dict[str, Any], SessionMixin):
        id = ""

    class ServerSessions(SessionInterface):
        def __init__(self) -> None:
            self.kept: dict[str, dict[str, Any]] = {}

        def open_session(self, app: flask.Flask, request: flask.Request) -> ServerSession:
            session = ServerSession(self.kept.get(request.cookies.get("id", ""), {}))
            session.id = request.cookies.get("id", "")
            return session

        def save_session(self, app: flask.Flask, session: SessionMixin, response: flask.Response) -> None:
            assert isinstance(session, ServerSession)
            session.id = session.id or secrets.token_hex()
            self.kept[session.id] = dict(session)
            response.set_cookie("id", session.id, secure=True, httponly=True, samesite="Lax")

    app = flask.Flask("yours")
    app.secret_key = secrets.token_hex()
    store = Store()
    if section.startswith("Level 1"):
        app.session_interface = ServerSessions()

    def me() -> User:
        if flask.session.get("user") != ADA.id:
            flask.abort(401)
        return ADA

    def sign_in(user_id: str) -> None:
        flask.session.clear()
        flask.session["user"] = user_id
        if isinstance(flask.session, ServerSession):
            flask.session.id = ""

    @app.post("/password")
    def password() -> dict[str, Any]:
        sign_in(ADA.id)
        return {}

    @app.get("/who")
    def who() -> dict[str, Any]:
        return {"user": flask.session.get("user")}

    @app.errorhandler(401)
    def unauthorized(error: object) -> tuple[dict[str, Any], int]:
        return {}, 401

    with importable(app=app, me=me, sign_in=sign_in, store=store):
        defined = execute(section, {"__name__": "app"})

    class Browser:
        def __init__(self) -> None:
            self.client = app.test_client()

        def post(self, path: str, body: object = None) -> Answer:
            response = self.client.post(path, json=body, base_url=ADDRESS)
            return Answer(response.status_code, response.get_json())

        def sign_in_without_passkey(self) -> None:
            assert self.post("/password").status == 200

        def user_id(self) -> str | None:
            user: str | None = self.client.get("/who", base_url=ADDRESS).get_json()["user"]
            return user

    yield Site(Browser, store)
    if "repository" in defined:
        defined["repository"].close()


@contextmanager
def django_site(section: str) -> Generator[Site]:
    """The section's quick start in the Django site of `tests.django_example`, with its users and sessions."""
    from tests.django_example.site import bring_up

    bring_up()
    from django.contrib.auth import get_user_model, login
    from django.core.exceptions import PermissionDenied
    from django.http import HttpRequest
    from django.test import Client, override_settings

    store = Store()
    users: Any = get_user_model().objects
    ada, _ = users.get_or_create(pk=ADA.id, defaults={"username": ADA.email})

    def me(request: HttpRequest) -> User:
        if request.user != ada:
            raise PermissionDenied
        return ADA

    def sign_in(request: HttpRequest, user_id: str) -> None:
        login(request, users.get(pk=user_id))

    with importable(me=me, sign_in=sign_in, store=store):
        defined = execute(section, {"__name__": "app"})

    class Browser:
        def __init__(self) -> None:
            self.client: Any = Client(raise_request_exception=False, headers={"host": "example.com"})

        def post(self, path: str, body: object = None) -> Answer:
            response = self.client.post(path, body, content_type="application/json", secure=True)
            members = response.json() if response["Content-Type"] == "application/json" else {}
            return Answer(response.status_code, members)

        def sign_in_without_passkey(self) -> None:
            self.client.force_login(ada)

        def user_id(self) -> str | None:
            user: str | None = self.client.session.get("_auth_user_id")
            return user

    class Urls:
        urlpatterns = defined["urlpatterns"]

    with override_settings(ROOT_URLCONF=Urls):
        yield Site(Browser, store)
    if "repository" in defined:
        defined["repository"].close()


SITES: dict[str, Callable[[str], AbstractContextManager[Site]]] = {
    "FastAPI": fastapi_site,
    "Flask": flask_site,
    "Django": django_site,
}
