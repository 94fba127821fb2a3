"""Webhooks: the signature, the one that a step waits for, and those that follow a change."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from passkeycore.engine.webhooks import AsyncWebhookWorker, WebhookResponse
from passkeycore.server.authsignal.webhooks import AuthsignalSender, Hooks, endpoints, signature
from tests.server.kit import API_KEYS, TenantKit, tenant_kit

from .kit import OWN, Api, key_in_query, refused, signed

URL = "https://shop.example.com/webhooks"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Receiver:
    """The application, which checks every signature and keeps what it was told."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        self.delay_s = 0.0
        self.error: Exception | None = None

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, /) -> WebhookResponse:
        assert url == URL
        assert headers["content-type"] == "application/json"
        assert_signed(headers["x-signature-v2"], body, API_KEYS["shop"])
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        self.got.append(json.loads(body))
        return WebhookResponse(status=self.status)


def assert_signed(value: str, body: bytes, secret: str) -> None:
    """As the SDKs parse and check it: no spaces, no padding."""
    match = re.fullmatch(r"t=([0-9]+)((?:,v2=[A-Za-z0-9+/]{43})+)", value)
    assert match is not None
    digest = hmac.new(secret.encode(), match[1].encode() + b"." + body, hashlib.sha256).digest()
    assert base64.b64encode(digest).decode().rstrip("=") in match[2].split(",v2=")


@pytest.fixture
def receiver() -> Receiver:
    """The shop's application."""
    return Receiver()


@pytest.fixture
def tenants(tmp_path: Path) -> Iterator[TenantKit]:
    """Both tenants, of which the shop wants to be told."""
    with tenant_kit(tmp_path, shop_more=f'webhook_url = "{URL}"') as kit:
        yield kit


@pytest.fixture
def api(tenants: TenantKit, receiver: Receiver) -> Api:
    """The dialect, which tells the application."""
    return Api(tenants, Hooks(tenants.tenants, receiver, timeout_s=0.2))


class TestSignature:
    def test_each_key_that_is_good_now_signs(self) -> None:
        value = signature(["new", "old"], b"{}", now=NOW)
        assert value.count(",v2=") == 2
        for secret in ("new", "old"):
            assert_signed(value, b"{}", secret)

    def test_it_is_what_a_receiver_calculates(self) -> None:
        digest = hmac.new(b"secret", b"1767225600.body", hashlib.sha256).digest()
        assert signature(["secret"], b"body", now=NOW) == "t=1767225600,v2=" + base64.b64encode(digest).decode()[:-1]


class TestPush:
    def test_the_application_is_told_before_the_answer(self, api: Api, receiver: Receiver) -> None:
        device = api.new_device()
        tracked = api.track(userAgent="Browser", ipAddress="192.0.2.7")
        start = api.post("/client/challenge/push", {}, token=tracked["token"])
        (told,) = receiver.got
        assert told["data"] == {
            "challengeId": start["challengeId"],
            "userId": "ada",
            "idempotencyKey": tracked["idempotencyKey"],
            "actionCode": "transfer",
            "userAgent": "Browser",
            "ipAddress": "192.0.2.7",
        }
        assert (told["version"], told["type"], told["tenantId"]) == (1, "push.created", "shop")
        assert told["time"] == "2026-11-03T12:00:00.000Z"
        assert told["id"]
        api.post(f"{OWN}/push/challenge", {**signed(device, start["challengeId"]), "approved": True})

    @pytest.mark.parametrize("trouble", ["status", "delay", "error"])
    def test_where_it_does_not_take_it_nothing_waits_and_no_attempt_is_counted(
        self, api: Api, receiver: Receiver, trouble: str
    ) -> None:
        device = api.new_device()
        token = api.track()["token"]
        receiver.status = 500 if trouble == "status" else 200
        receiver.delay_s = 5 if trouble == "delay" else 0
        receiver.error = OSError("unreachable: a secret") if trouble == "error" else None
        for _ in range(7):  # more than may wait, and than may go wrong
            members = refused(
                api.client("POST", "/client/challenge/push", {}, token=token), "invalid_configuration", 502
            )
            assert "secret" not in members["errorDescription"]
        assert api.get(f"{OWN}/push/challenge?publicKey={key_in_query(device)}").keys() == {"userAuthenticatorId"}
        receiver.status, receiver.delay_s, receiver.error = 204, 0, None
        assert api.post("/client/challenge/push", {}, token=token)["challengeId"]

    def test_a_tenant_without_an_address_is_not_told(self, api: Api, receiver: Receiver) -> None:
        token = api.track(tenant="bank")["token"]
        assert api.post("/client/challenge/push", {}, token=token)["challengeId"]
        assert receiver.got == []


class TestFollowing:
    def told(self, api: Api, receiver: Receiver) -> list[dict[str, Any]]:
        """What the application was told until nothing waits any more."""
        sender = AuthsignalSender(api.kit.tenants, receiver)
        worker = AsyncWebhookWorker(
            api.kit.storage.repository, endpoints(api.kit.tenants), send=sender, now=api.kit.clock
        )

        async def deliver() -> None:
            while (await worker.run_once()).taken:
                pass

        api.kit.run(deliver())
        return receiver.got

    def test_what_changes_is_told_in_order(self, api: Api, receiver: Receiver) -> None:
        client = api.new_passkey()
        api.new_device()
        tracked = api.track(idempotencyKey="one")
        api.sign_in(client, token=tracked["token"])
        for each in api.server("GET", "/users/ada/authenticators"):
            api.server("DELETE", f"/users/ada/authenticators/{each['userAuthenticatorId']}")
        told = self.told(api, receiver)
        assert [each["type"] for each in told] == [
            "action.log_created",
            "authenticator.created",
            "action.log_created",
            "authenticator.created",
            "action.log_created",
            "action.log_created",
            "authenticator.deleted",
            "authenticator.deleted",
        ]
        passkey, device = told[1]["data"], told[3]["data"]
        assert passkey.keys() == {"userId", "verificationMethod", "createdAt", "userAuthenticatorId", "credentialId"}
        assert (passkey["userId"], passkey["verificationMethod"]) == ("ada", "PASSKEY")
        assert (device["userId"], device["verificationMethod"]) == ("ada", "PUSH")
        assert told[5]["data"] == {
            "userId": "ada",
            "actionCode": "transfer",
            "idempotencyKey": "one",
            "state": "CHALLENGE_SUCCEEDED",
            "verificationMethod": "PASSKEY",
        }
        ids = {each["id"] for each in told}
        assert len(ids) == len(told)
        assert {told[6]["data"]["userAuthenticatorId"], told[7]["data"]["userAuthenticatorId"]} == {
            passkey["userAuthenticatorId"],
            device["userAuthenticatorId"],
        }

    def test_what_was_not_taken_comes_again_with_the_same_id(self, api: Api, receiver: Receiver) -> None:
        api.track()
        receiver.status = 500
        self.told(api, receiver)
        receiver.status = 200
        api.kit.clock.pass_(60)
        first, second = self.told(api, receiver)
        assert first == second

    def test_a_tenant_without_an_address_is_told_nothing(self, api: Api, receiver: Receiver) -> None:
        api.track(tenant="bank")
        assert self.told(api, receiver) == []
