"""The package ``@authsignal/node`` from npm, unchanged, in Node.js, against a server on a port."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from passkeycore.server.authsignal.webhooks import envelope, signature
from tests.server.kit import API_KEYS
from tests.server.npm import needed

from .kit import Api

ACTION = "node-sdk-test"
PACKAGE = "@authsignal/node@2.21.0"
SCRIPT = Path(__file__).parent / "node" / "sdk.mjs"
SHOP = API_KEYS["shop"]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the package."""
    needed("node")
    npm = needed("npm")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run([npm, "install", "--no-audit", "--no-fund", "--silent", PACKAGE], cwd=folder, check=True)
    return folder


class NodeSDK:
    """The package in a process of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.process = subprocess.Popen(
            ["node", str(SCRIPT)], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answer(self, name: str, *arguments: Any, secret: str = SHOP) -> Any:
        """``result`` or ``error``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        call = {"name": name, "secret": secret, "url": self.url, "arguments": arguments}
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, name: str, *arguments: Any) -> Any:
        """What the method gives, which must not fail."""
        answer = self.answer(name, *arguments)
        assert "result" in answer, answer
        return answer["result"]

    def close(self) -> None:
        """Ends the process."""
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()


@pytest.fixture
def sdk(api: Api, installed: Path) -> Iterator[NodeSDK]:
    """The shop's client."""
    with api.kit.live(api.app) as url:
        sdk = NodeSDK(installed, f"{url}/v1")
        try:
            yield sdk
        finally:
            sdk.close()


def test_an_action_is_tracked_validated_and_looked_up(api: Api, sdk: NodeSDK) -> None:
    client = api.new_passkey()
    attributes = {"idempotencyKey": "once", "username": "ada", "custom": {"amount": 5}, "redirectUrl": None}
    tracked = sdk("track", {"userId": "ada", "action": ACTION, "attributes": attributes})
    assert tracked["state"] == "CHALLENGE_REQUIRED"
    assert tracked["isEnrolled"] is True
    assert tracked["enrolledVerificationMethods"] == ["PASSKEY"]
    assert sdk("track", {"userId": "ada", "action": ACTION, "attributes": attributes}) == tracked

    fresh = sdk("validateChallenge", {"token": tracked["token"]})
    assert (fresh["isValid"], fresh["state"]) == (False, "CHALLENGE_REQUIRED")
    token = api.sign_in(client, token=tracked["token"])["accessToken"]
    proven = sdk("validateChallenge", {"token": token, "userId": "ada", "action": ACTION})
    assert proven["isValid"] is True
    assert (proven["userId"], proven["action"]) == ("ada", ACTION)
    assert (proven["idempotencyKey"], proven["verificationMethod"]) == ("once", "PASSKEY")
    assert sdk("validateChallenge", {"token": token, "action": "other"})["isValid"] is False

    action = sdk("getAction", {"userId": "ada", "action": ACTION, "idempotencyKey": "once"})
    assert (action["state"], action["verificationMethod"]) == ("CHALLENGE_SUCCEEDED", "PASSKEY")
    listed = sdk("queryUserActions", {"userId": "ada", "actionCodes": [ACTION], "state": "CHALLENGE_SUCCEEDED"})
    assert [each["idempotencyKey"] for each in listed] == ["once"]
    update = {"userId": "ada", "action": ACTION, "idempotencyKey": "once", "attributes": {"state": "REVIEW_FAILED"}}
    assert sdk.answer("updateAction", update)["error"]["errorCode"] == "invalid_request"


@pytest.mark.parametrize("user_id", ["a b", "a|b", "a/b", "ä", "user@example.com"])
def test_whatever_a_user_is_called(sdk: NodeSDK, user_id: str) -> None:
    """It stands in the path as it is, not encoded."""
    tracked = sdk("track", {"userId": user_id, "action": ACTION})
    assert sdk("validateChallenge", {"token": tracked["token"]})["userId"] == user_id
    assert sdk("getUser", {"userId": user_id})["isEnrolled"] is False


def test_users_are_changed_found_and_removed(sdk: NodeSDK) -> None:
    changed = sdk("updateUser", {"userId": "ada", "attributes": {"email": "ada@example.com", "displayName": "Ada"}})
    assert changed["displayName"] == "Ada"
    found = sdk("queryUsers", {"email": "ada@example.com"})
    assert [each["userId"] for each in found["users"]] == ["ada"]
    assert sdk("getUser", {"userId": "ada"})["email"] == "ada@example.com"
    sdk("deleteUser", {"userId": "ada"})
    assert "email" not in sdk("getUser", {"userId": "ada"})


def test_authenticators_are_enrolled_listed_and_removed(api: Api, sdk: NodeSDK) -> None:
    api.new_passkey()
    attributes = {"verificationMethod": "EMAIL_OTP", "email": "ada@example.com"}
    enrolled = sdk("enrollVerifiedAuthenticator", {"userId": "ada", "attributes": attributes})
    assert enrolled["authenticator"]["email"] == "ada@example.com"
    listed = sdk("getAuthenticators", {"userId": "ada"})
    assert [each["verificationMethod"] for each in listed] == ["PASSKEY", "EMAIL_OTP"]
    for each in listed:
        sdk("deleteAuthenticator", {"userId": "ada", "userAuthenticatorId": each["userAuthenticatorId"]})
    assert sdk("getAuthenticators", {"userId": "ada"}) == []


def test_errors_are_read(sdk: NodeSDK) -> None:
    error = sdk.answer("getUser", {"userId": "ada"}, secret="bad-secret")["error"]
    assert (error["errorCode"], error["statusCode"]) == ("unauthorized", 401)
    error = sdk.answer("getAction", {"userId": "ada", "action": ACTION, "idempotencyKey": "none"})["error"]
    assert (error["errorCode"], error["statusCode"]) == ("invalid_request", 404)
    assert "There is no such action" in error["message"]
    assert sdk.answer("createSession", {"clientId": "c", "token": "t"})["error"]["errorCode"] == "invalid_request"


@pytest.mark.parametrize("secrets", [(SHOP,), ("a newer key", SHOP), (SHOP, "an older key")])
def test_a_webhook_is_constructed_from_what_we_send(sdk: NodeSDK, secrets: tuple[str, ...]) -> None:
    body = envelope("shop", "push.created", "1", "2026-01-01T00:00:00.000Z", {"challengeId": "c", "userId": "ä"})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    event = sdk("constructEvent", body.decode(), signature(secrets, body, now=now), 0)  # whatever the time is
    assert event["type"] == "push.created"
    assert event["data"] == {"challengeId": "c", "userId": "ä"}
    assert (event["tenantId"], event["version"]) == ("shop", 1)


def test_a_webhook_of_somebody_else_is_refused(sdk: NodeSDK) -> None:
    body = envelope("shop", "push.created", "1", "2026-01-01T00:00:00.000Z", {})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for value in (signature(["another key"], body, now=now), signature([SHOP], body + b" ", now=now)):
        assert "error" in sdk.answer("constructEvent", body.decode(), value, 0)
