"""Django: ``asgi.py`` sends what is below ``/passkeys`` there, and all else to Django, whose sessions are used."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped"
# pyright: reportMissingTypeStubs=false

import json
from typing import Any

import django
import uvicorn
from django.conf import settings
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from passkeycore import PasskeyError
from passkeycore.server import PasskeyApp
from passkeycore.server.api import SignIn, visitor_binding

from .common import PAGE, PURPOSE, SECRET, Place, place

_COOKIE = "sessionid"
_USER = "user"


def user_id_of(request: Request) -> str | None:
    """Who is signed in with Django."""
    user_id: str | None = SessionStore(request.cookies.get(_COOKIE)).get(_USER)
    return user_id


def start_session(request: Request, done: SignIn) -> Response:
    """Django's session, begun outside of Django."""
    session = SessionStore()
    session[_USER] = done.user_id
    session.save()
    answer = JSONResponse({})
    answer.set_cookie(_COOKIE, session.session_key or "", httponly=True, samesite="lax")
    return answer


def application(where: Place) -> ASGIApp:
    """The host."""
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["localhost"],
        ROOT_URLCONF=tuple(urls(where)),
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    )
    django.setup()
    site = get_asgi_application()
    passkeys = PasskeyApp(where.passkeys, current_user=user_id_of, on_sign_in=start_session)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/passkeys/"):
            await passkeys({**scope, "root_path": "/passkeys"}, receive, send)
        elif scope["type"] == "http":
            await site(scope, receive, send)

    return dispatch


def urls(where: Place) -> list[Any]:
    """The host's own routes."""
    passkeys = where.own_passkeys
    mounted = where.passkeys

    def page(request: Any) -> HttpResponse:
        return HttpResponse(PAGE.encode())

    def enter(request: Any) -> HttpResponse:
        request.session[_USER] = json.loads(request.body)["name"]
        return JsonResponse({})

    def leave(request: Any) -> HttpResponse:
        request.session.flush()
        return JsonResponse({})

    def who(request: Any) -> HttpResponse:
        return JsonResponse({"user": request.session.get(_USER)})

    def transfer(request: Any) -> HttpResponse:
        proof, user_id = json.loads(request.body)["proof"], request.session.get(_USER, "")
        try:
            binding = visitor_binding(mounted, request.COOKIES)
            passkeys.validate_step_up(proof, user_id=user_id, purpose=PURPOSE, binding=binding)
        except PasskeyError as error:
            return JsonResponse({"code": error.code}, status=error.http_status)
        return JsonResponse({"transferred": 42})

    return [
        path("", page),
        path("enter", enter),
        path("leave", leave),
        path("who", who),
        path("transfer", transfer),
    ]


if __name__ == "__main__":
    where = place()
    uvicorn.run(application(where), port=where.port, log_level="warning", lifespan="off")
