"""Views around the service, on level 2. Every request is one transaction, as ``ATOMIC_REQUESTS`` says."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped,untyped-decorator"
# pyright: reportMissingTypeStubs=false, reportUntypedFunctionDecorator=false

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from passkeycore import PasskeyError, RelyingParty
from passkeycore.engine.passkeys.service import PasskeyService

from .repository import DjangoRepository

passkeys = PasskeyService(RelyingParty(id="example.com", origins=["https://example.com"]), DjangoRepository())


@require_POST
def login_new(request: HttpRequest) -> JsonResponse:
    """Begins a sign-in. The visitor's session is not of interest here."""
    return JsonResponse(passkeys.start_authentication(binding="visitor").to_dict())


@require_POST
def login(request: HttpRequest) -> JsonResponse:
    """Finishes it, and then fails if the request says so, after everything was written."""
    try:
        done = passkeys.finish_authentication(request.body, binding="visitor")
    except PasskeyError as error:
        return JsonResponse({"code": error.code}, status=error.http_status)
    if request.GET.get("fail"):
        raise RuntimeError("something went wrong later in this request")
    return JsonResponse({"user": done.user_id})


urlpatterns = [path("login/new", login_new), path("login", login)]
