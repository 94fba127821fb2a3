"""The package ``authsignal`` from PyPI, unchanged, as an application's server uses it, against a server on a port."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from authsignal.client import ApiException, AuthsignalClient  # type: ignore[import-untyped]

from passkeycore.server.edge.http import Edge
from tests.server.kit import API_KEYS

from .kit import Api

ACTION = "python-sdk-test"


@pytest.fixture
def base(api: Api) -> Iterator[str]:
    """What an application configures: it includes ``/v1``."""
    with api.kit.live(api.app) as url:
        yield f"{url}/v1"


@pytest.fixture
def sdk(base: str) -> Any:
    """The shop's client."""
    return AuthsignalClient(api_secret_key=API_KEYS["shop"], api_url=base)


def test_an_action_is_tracked_looked_up_and_repeated(api: Api, sdk: Any) -> None:
    api.new_passkey("user123")
    attributes = {
        "redirect_url": "https://shop.example.com/done",
        "redirect_to_settings": True,
        "email": "user@example.com",
        "ip_address": "127.0.0.1",
        "custom": {"hello": "world", "amount": Decimal("12.50")},
        "idempotencyKey": "once",
    }
    tracked = sdk.track(user_id="user123", action=ACTION, attributes=attributes)
    assert tracked["state"] == "CHALLENGE_REQUIRED"
    assert tracked["idempotency_key"] == "once"
    assert tracked["is_enrolled"] is True
    assert tracked["allowed_verification_methods"]
    assert tracked["enrolled_verification_methods"] == ["PASSKEY"]
    assert "?" in tracked["url"]
    assert "settings=true" in tracked["url"]
    assert sdk.track(user_id="user123", action=ACTION, attributes=attributes)["token"] == tracked["token"]
    assert sdk.track(user_id="user123", action=ACTION)["idempotency_key"] != "once"
    stored = api.kit.run(api.kit.tenant().actions.get_action("user123", ACTION, "once"))
    assert (stored.redirect_url, stored.ip_address) == ("https://shop.example.com/done", "127.0.0.1")
    assert api.server("GET", "/users/user123")["email"] == "user@example.com"
    action = sdk.get_action(user_id="user123", action=ACTION, idempotency_key="once")
    assert action["state"] == "CHALLENGE_REQUIRED"
    assert action["output"] is not None


def test_a_review_is_decided(api: Api, sdk: Any) -> None:
    key = sdk.track(user_id="ada", action=ACTION)["idempotency_key"]
    with pytest.raises(ApiException) as caught:
        sdk.update_action("ada", ACTION, key, {"state": "REVIEW_SUCCEEDED"})  # it waits for none
    assert caught.value.error_code == "invalid_request"


@pytest.mark.parametrize("user_id", ["a b", "a/b", "ä|x", "user@example.com"])
def test_whatever_a_user_is_called(sdk: Any, user_id: str) -> None:
    tracked = sdk.track(user_id=user_id, action=ACTION)
    assert sdk.validate_challenge({"token": tracked["token"]})["user_id"] == user_id
    assert sdk.get_user(user_id)["is_enrolled"] is False


def test_a_fresh_token_is_not_valid_and_a_proven_one_is(api: Api, sdk: Any) -> None:
    client = api.new_passkey()
    tracked = sdk.track(user_id="ada", action=ACTION)
    fresh = sdk.validate_challenge({"token": tracked["token"]})
    assert fresh["is_valid"] is False
    assert fresh["state"] == "CHALLENGE_REQUIRED"
    assert (fresh["user_id"], fresh["action"]) == ("ada", ACTION)
    assert fresh["idempotency_key"] == tracked["idempotency_key"]
    token = api.sign_in(client, token=tracked["token"])["accessToken"]
    proven = sdk.validate_challenge({"token": token, "userId": "ada", "action": ACTION})
    assert proven["is_valid"] is True
    assert proven["state"] == "CHALLENGE_SUCCEEDED"
    assert proven["verification_method"] == "PASSKEY"
    assert sdk.validate_challenge({"token": token, "userId": "eve"})["is_valid"] is False


def test_users_are_changed_looked_up_and_removed(sdk: Any) -> None:
    changed = sdk.update_user("a-new-user", {"phoneNumber": "9876543210", "displayName": "A New User"})
    assert (changed["phone_number"], changed["display_name"]) == ("9876543210", "A New User")
    found = sdk.get_user("a-new-user")
    assert (found["phone_number"], found["display_name"]) == ("9876543210", "A New User")
    sdk.delete_user("a-new-user")
    assert sdk.get_user("a-new-user")["is_enrolled"] is False


def test_authenticators_are_enrolled_listed_and_removed(api: Api, sdk: Any) -> None:
    api.new_passkey()
    enrolled = sdk.enroll_verified_authenticator(
        "ada", {"verificationMethod": "EMAIL_OTP", "email": "ada@example.com"}
    )["authenticator"]
    assert (enrolled["user_id"], enrolled["email"]) == ("ada", "ada@example.com")
    listed = sdk.get_authenticators("ada")
    assert [each["verification_method"] for each in listed] == ["PASSKEY", "EMAIL_OTP"]
    assert listed[0]["webauthn_credential"]["credential_id"]
    for each in listed:
        sdk.delete_authenticator("ada", each["user_authenticator_id"])
    assert sdk.get_authenticators("ada") == []


def test_errors_are_read(base: str, sdk: Any) -> None:
    stranger = AuthsignalClient(api_secret_key="bad-secret", api_url=base)
    with pytest.raises(ApiException) as caught:
        stranger.get_action("ada", ACTION, "key")
    assert (caught.value.status_code, caught.value.error_code) == (401, "unauthorized")
    assert caught.value.error_description
    with pytest.raises(ApiException) as caught:
        sdk.get_action("ada", ACTION, "none")
    assert (caught.value.status_code, caught.value.error_code) == (404, "invalid_request")


def test_an_attribute_that_is_none_does_not_hang_for_ever(api: Api, sdk: Any) -> None:
    """The SDK drops it from the body and leaves the length as it was: the server waits, and gives up."""
    with api.kit.live(Edge(api.app, body_timeout_s=0.5)) as url:
        hasty = AuthsignalClient(api_secret_key=API_KEYS["shop"], api_url=f"{url}/v1")
        with pytest.raises(ApiException) as caught:
            hasty.track("ada", ACTION, {"email": None, "username": "ada"})
    assert caught.value.status_code == 408
    assert caught.value.error_code == "invalid_request"
    assert api.server("GET", "/users/ada/actions") == []
