"""Webhooks: the signature, the one that a step waits for, and those that follow a change."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from passkeycore.engine.webhooks import AsyncWebhookWorker, WebhookResponse
from passkeycore.server.authsignal.webhooks import AuthsignalSender, Hooks, endpoints, signature
from passkeycore.server.tenancy.live import LiveTenants
from passkeycore.server.tenancy.tenants import Tenant
from passkeycore.testing import SoftwareDevice
from tests.server.kit import API_KEYS, TenantKit, tenant_kit

from .kit import OWN, Api, key_in_query, refused, signed

URL = "https://shop.example.com/webhooks"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Receiver:
    """The application, which checks every signature and keeps what it was told."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.calls = 0
        self.status = 200
        self.delay_s = 0.0
        self.error: Exception | None = None
        self.tenant: Tenant | None = None
        self.pending: list[object] = []

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, /) -> WebhookResponse:
        self.calls += 1
        assert url == URL
        if self.tenant is not None:
            context = self.tenant.devices.context
            waiting = await context.repository.pending_device_challenges(context.realm, "ada", context.now(), 10)
            stored = await context.repository.find_device_challenge(
                context.realm, json.loads(body)["data"]["challengeId"]
            )
            self.pending.append({} if not waiting and stored is None else waiting)
        assert headers["content-type"] == "application/json"
        assert_signed(headers["x-signature-v2"], body, API_KEYS["shop"])
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        self.got.append(json.loads(body))
        return WebhookResponse(status=self.status)


class Keyless:
    """All tenants as they are when each of their keys was revoked."""

    def __init__(self, tenants: LiveTenants) -> None:
        self.by_id = tenants.by_id
        self.by_token = tenants.by_token
        self.by_key = tenants.by_key

    async def secrets_of(self, tenant: Tenant) -> tuple[str, ...]:
        """None is left."""
        return ()


def assert_signed(value: str, body: bytes, secret: str) -> None:
    """As the SDKs parse and check it: no spaces, no padding."""
    match = re.fullmatch(r"t=([0-9]+)((?:,v2=[A-Za-z0-9+/]{43})+)", value)
    assert match is not None
    digest = hmac.new(secret.encode(), match[1].encode() + b"." + body, hashlib.sha256).digest()
    assert base64.b64encode(digest).decode().rstrip("=") in match[2].split(",v2=")


def id_of(api: Api, device: SoftwareDevice, *, user_id: str = "ada") -> str:
    """The id of a device of the user's."""
    devices = api.kit.run(api.kit.tenant().devices.list_devices(user_id))
    (found,) = [each for each in devices if each.public_key == device.public_key]
    return found.authenticator_id


def expired_id(api: Api) -> str:
    """The id of a device of the user's that has just expired."""
    id = id_of(api, api.new_device(seed="expired"))
    api.kit.run(api.kit.tenant().devices.update_device("ada", id, expires_at=api.kit.clock()))
    return id


DEVICES: dict[str, Callable[[Api], str]] = {
    "no device": lambda api: "nobody's",
    "too long": lambda api: "x" * 65,
    "foreign": lambda api: id_of(api, api.new_device("eve", seed="eve"), user_id="eve"),
    "other method": lambda api: id_of(api, api.new_device(kind="in-app", seed="in-app")),
    "expired": expired_id,
}
"""Ids of devices that cannot answer a question to the user's."""


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
        receiver.tenant = api.kit.tenant()
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
        assert receiver.pending == [{}]  # nobody could have answered meanwhile
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

    @pytest.mark.parametrize(
        "trouble",
        ["met", "too many", "success", "method", "no device", "too long", "foreign", "other method", "expired"],
    )
    def test_who_asks_in_vain_has_no_message_sent(self, api: Api, receiver: Receiver, trouble: str) -> None:
        client = api.new_passkey()
        api.new_device()
        token = api.track()["token"]
        asked: dict[str, str] = {}
        if (make := DEVICES.get(trouble)) is not None:
            asked = {"userAuthenticatorId": make(api)}
        elif trouble in ("met", "success"):
            success = api.sign_in(client, token=token)["accessToken"]
            token = success if trouble == "success" else token
        elif trouble == "too many":
            for _ in range(5):
                api.post("/client/challenge/push", {}, token=api.track()["token"])
        else:
            methods = {"transfer": {"allowed_methods": ["passkey"]}}
            api.kit.run(api.kit.tenants.change("shop", {"actions": methods}, revision=0))
            token = api.track()["token"]
        before = len(receiver.got)
        answer = api.client("POST", "/client/challenge/push", asked, token=token)
        refused(answer, answer.json()["error"], 404 if asked else None)
        assert len(receiver.got) == before

    def test_a_device_that_is_named_is_asked_alone(self, api: Api, receiver: Receiver) -> None:
        """Others of the user's see nothing."""
        first, second = api.new_device(), api.new_device(seed="second")
        named, other = id_of(api, first), id_of(api, second)
        token = api.track()["token"]
        start = api.post("/client/challenge/push", {"userAuthenticatorId": named}, token=token)
        assert start["deliveryResults"] == [{"userAuthenticatorId": named}]
        assert len(receiver.got) == 1
        waiting = api.get(f"{OWN}/push/challenge?publicKey={key_in_query(first)}")
        assert waiting["challengeId"] == start["challengeId"]
        nothing = api.get(f"{OWN}/push/challenge?publicKey={key_in_query(second)}")
        assert nothing == {"userAuthenticatorId": other}

    def test_without_a_key_to_sign_with_nothing_is_sent_and_nothing_waits(
        self, api: Api, receiver: Receiver, tenants: TenantKit
    ) -> None:
        device = api.new_device()
        token = api.track()["token"]
        keyless = Api(tenants, Hooks(Keyless(tenants.tenants), receiver))
        refused(keyless.client("POST", "/client/challenge/push", {}, token=token), "invalid_configuration", 502)
        assert receiver.calls == 0
        assert api.get(f"{OWN}/push/challenge?publicKey={key_in_query(device)}").keys() == {"userAuthenticatorId"}

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
        # They are gone by now: what is told of them is what their beginning said.
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

    def test_an_authenticator_is_told_with_what_is_known_of_it(self, api: Api, receiver: Receiver) -> None:
        api.new_passkey()
        (told,) = [each["data"] for each in self.told(api, receiver) if each["type"] == "authenticator.created"]
        (passkey,) = api.server("GET", "/users/ada/authenticators")
        credential = passkey["webauthnCredential"]
        assert (told["aaguid"], told["credentialName"]) == (credential["aaguid"], credential["name"])

    @pytest.mark.parametrize("kind", ["passkey", "push"])
    def test_what_is_changed_or_removed_is_told_with_its_method_and_when_it_was_made(
        self, api: Api, receiver: Receiver, kind: str
    ) -> None:
        if kind == "passkey":
            api.new_passkey()
        else:
            api.new_device(pushToken="first")
        (listed,) = api.server("GET", "/users/ada/authenticators")
        id = listed["userAuthenticatorId"]
        api.kit.clock.pass_(60)
        tenant = api.kit.tenant()
        if kind == "passkey":
            api.kit.run(tenant.passkeys.rename_passkey("ada", id, "Renamed"))
        else:
            api.kit.run(tenant.devices.update_device("ada", id, push_token="second"))
        updated = self.told(api, receiver)[-1]
        api.kit.clock.pass_(60)
        api.server("DELETE", f"/users/ada/authenticators/{id}")
        deleted = self.told(api, receiver)[-1]
        assert [updated["type"], deleted["type"]] == ["authenticator.updated", "authenticator.deleted"]
        for each in (updated, deleted):
            assert each["data"]["createdAt"] == listed["createdAt"] == "2026-11-03T12:00:00.000Z"
            assert each["data"]["verificationMethod"] == listed["verificationMethod"]
            assert each["data"]["userAuthenticatorId"] == id
            assert each["time"] != listed["createdAt"]

    @pytest.mark.parametrize("trouble", ["status", "error"])
    def test_what_was_not_taken_comes_again_after_half_a_minute_at_the_earliest(
        self, api: Api, receiver: Receiver, trouble: str
    ) -> None:
        api.track()
        receiver.status = 500 if trouble == "status" else 200
        receiver.error = OSError("unreachable") if trouble == "error" else None
        self.told(api, receiver)
        receiver.status, receiver.error = 200, None
        receiver.got.clear()
        api.kit.clock.pass_(29)
        assert self.told(api, receiver) == []
        api.kit.clock.pass_(1)
        assert len(self.told(api, receiver)) == 1

    def test_without_a_key_to_sign_with_it_waits_until_there_is_one(self, api: Api, receiver: Receiver) -> None:
        api.track()
        sender = AuthsignalSender(Keyless(api.kit.tenants), receiver)
        worker = AsyncWebhookWorker(
            api.kit.storage.repository, endpoints(api.kit.tenants), send=sender, now=api.kit.clock
        )
        assert api.kit.run(worker.run_once()).postponed == 1
        assert receiver.calls == 0
        api.kit.clock.pass_(60)
        assert len(self.told(api, receiver)) == 1

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
