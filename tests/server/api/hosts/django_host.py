"""Django: ``asgi.py`` sends what is below ``/passkeys`` there, and all else to Django, whose users sign in."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped"
# pyright: reportMissingTypeStubs=false

import json
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse, JsonResponse
from django.urls import path
from starlette.types import ASGIApp

from passkeycore import PasskeyError
from passkeycore.server.api import visitor_binding

from .common import PAGE, PURPOSE, SECRET, begin, mount, own_passkeys

_BACKEND = "django.contrib.auth.backends.ModelBackend"


def application() -> ASGIApp:
    """The host."""
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["localhost"],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django.db"}},
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        AUTHENTICATION_BACKENDS=[_BACKEND],
    )
    defined = mount("Django")
    call_command("migrate", verbosity=0)
    settings.ROOT_URLCONF = tuple(urls(defined["passkeys"]))
    app: ASGIApp = defined["application"]
    return app


def urls(mounted: Any) -> list[Any]:
    """The host's own routes."""
    from django.contrib.auth import get_user_model, login, logout

    own = own_passkeys()

    def page(request: Any) -> HttpResponse:
        return HttpResponse(PAGE.encode())

    def enter(request: Any) -> HttpResponse:
        users: Any = get_user_model().objects
        user, _ = users.get_or_create(username=json.loads(request.body)["name"])
        login(request, user, backend=_BACKEND)
        return JsonResponse({})

    def leave(request: Any) -> HttpResponse:
        logout(request)
        return JsonResponse({})

    def close(request: Any) -> HttpResponse:
        request.user.is_active = False
        request.user.save()
        return JsonResponse({})

    def who(request: Any) -> HttpResponse:
        return JsonResponse({"user": request.user.username or None})

    def transfer(request: Any) -> HttpResponse:
        proof, user_id = json.loads(request.body)["proof"], str(request.user.pk)
        try:
            binding = visitor_binding(mounted, request.COOKIES)
            own.validate_step_up(proof, user_id=user_id, purpose=PURPOSE, binding=binding)
        except PasskeyError as error:
            return JsonResponse({"code": error.code}, status=error.http_status)
        return JsonResponse({"transferred": 42})

    return [
        path("", page),
        path("enter", enter),
        path("leave", leave),
        path("close", close),
        path("who", who),
        path("transfer", transfer),
    ]


if __name__ == "__main__":
    port = begin()
    uvicorn.run(application(), port=port, log_level="warning", lifespan="off")
