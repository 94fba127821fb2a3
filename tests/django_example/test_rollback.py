"""What happens to passkeys when the transaction of a request is rolled back."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped"
# pyright: reportMissingTypeStubs=false, reportGeneralTypeIssues=false

from secrets import token_hex
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from passkeycore import PasskeyError
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.testing import SoftwareAuthenticator, VirtualClient

from .repository import DjangoRepository
from .urls import passkeys


@pytest.fixture
def phone() -> VirtualClient:
    """A client whose user has a passkey at the site."""
    user = f"user-{token_hex(8)}"
    phone = VirtualClient(SoftwareAuthenticator(user), "https://example.com")
    start = passkeys.start_registration(user_id=user, user_name="Ada")
    passkeys.finish_registration(phone.create(start.to_dict()), user_id=user)
    return phone


def test_a_request_that_is_rolled_back_leaves_the_challenge_spent(phone: VirtualClient) -> None:
    """The record falls back to what it was, the challenge does not: the same response is refused afterwards."""
    response = phone.get(_post("login/new"))
    with pytest.raises(RuntimeError, match="later in this request"):
        _post("login?fail=1", response)
    (passkey,) = passkeys.list_passkeys(_user(phone))
    assert passkey.last_used_at is None
    assert passkey.credential.sign_count == 0
    assert _post("login", response) == {"code": "challenge_unknown"}
    assert _post("login", phone.get(_post("login/new"))) == {"user": _user(phone)}


def test_a_registration_goes_with_the_transaction_around_it() -> None:
    """User and passkey join the caller's transaction, so that they are not there without what came with them."""
    user = f"user-{token_hex(8)}"
    phone = VirtualClient(SoftwareAuthenticator(user), "https://example.com")
    start = passkeys.start_registration(user_id=user, user_name="Ada", new_user=True, binding="visitor")
    with transaction.atomic():
        passkeys.finish_registration(phone.create(start.to_dict()), user_id=user, binding="visitor")
        assert passkeys.list_passkeys(user)
        transaction.set_rollback(True)
    assert passkeys.find_user(user) is None


def test_ceremonies_within_the_transaction_of_the_request_are_refused(phone: VirtualClient) -> None:
    """An alias that takes part in the caller's transaction is found out: nobody signs in, rather than twice."""
    careless = PasskeyService(passkeys.context.rp, DjangoRepository(ceremonies="default"))
    response = phone.get(careless.start_authentication(binding="visitor").to_dict())
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        careless.finish_authentication(response, binding="visitor")


def test_what_the_engine_raises_leaves_the_callers_transaction_usable(phone: VirtualClient) -> None:
    """A passkey that is refused costs a savepoint, not the transaction: on PostgreSQL, too, the request goes on."""
    start = passkeys.start_registration(user_id=_user(phone), user_name="Ada")
    options: dict[str, Any] = start.to_dict() | {"excludeCredentials": []}
    response = phone.create(options)
    passkeys.finish_registration(response, user_id=_user(phone))
    (stored, _) = passkeys.list_passkeys(_user(phone))
    with transaction.atomic():
        with pytest.raises(PasskeyError):
            passkeys.import_passkey(user_id=_user(phone), user_name="Ada", credential=stored.credential)
        assert len(passkeys.list_passkeys(_user(phone))) == 2


def _user(phone: VirtualClient) -> str:
    return str(phone.authenticator.seed)


def _post(path: str, body: object = None) -> Any:
    client: Any = Client(headers={"host": "example.com"})
    return client.post(f"/{path}", body, content_type="application/json").json()
