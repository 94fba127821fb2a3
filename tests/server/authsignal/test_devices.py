"""Keys on devices, as apps of the dialect enrol, look up and remove them, and what they answer: push and in-app."""

import asyncio
import base64
import concurrent.futures
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy.event

from passkeycore.testing import SoftwareDevice
from tests.server.kit import TenantKit, tenant_kit

from .kit import OWN, Api, Json, Platform, key_in_query, key_of, phone, refused, signed

KINDS = ("push", "qr-code", "in-app", "device")


def look_up(api: Api, kind: str, device: SoftwareDevice, platform: Platform = "android") -> Any:
    # As clients write it, "=" and all: not encoded once more.
    return api.client("GET", f"{OWN}/{kind}?publicKey={key_in_query(device, platform)}", platform=platform)


def methods(api: Api) -> list[str]:
    return sorted(each["verificationMethod"] for each in api.server("GET", "/users/ada/authenticators"))


def removal(api: Api, device: SoftwareDevice, **clock: float) -> Json:
    bucket = device.sign_bucket(api.kit.clock() + timedelta(**clock))
    return {"publicKey": key_of(device), "signature": base64.b64encode(bucket).decode()}


class TestKeys:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_key_is_enrolled_found_and_removed(self, api: Api, kind: str) -> None:
        device = SoftwareDevice("phone")
        body = {"publicKey": key_of(device), "deviceName": "Phone", "devicePlatform": "android"}
        enrolled = api.post(f"{OWN}/{kind}", body, token=api.token())
        assert enrolled["userId"] == "ada"
        assert enrolled["verifiedAt"] == "2026-11-03T12:00:00.000Z"
        for platform in ("ios", "android"):
            found = look_up(api, kind, device, platform)
            assert found.json() == enrolled
        assert api.track()["isEnrolled"] is True
        removed = api.post(f"{OWN}/{kind}/remove", removal(api, device))
        assert removed == {"removedAuthenticatorId": enrolled["userAuthenticatorId"]}
        refused(look_up(api, kind, device), "invalid_credential", 404)
        assert api.track()["isEnrolled"] is False

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_unknown_key_is_told_as_one_that_was_removed(self, api: Api, kind: str) -> None:
        refused(look_up(api, kind, SoftwareDevice("stranger")), "invalid_credential", 404)

    def test_a_key_of_another_tenant_is_unknown(self, api: Api) -> None:
        device = api.new_device()
        answer = api.client("GET", f"{OWN}/push?publicKey={key_in_query(device)}", tenant="bank")
        refused(answer, "invalid_credential", 404)

    @pytest.mark.parametrize("query", ["", "?publicKey=", "?publicKey=!", "?publicKey=gICA", "?publicKey=ISEh"])
    def test_what_is_no_key_is_a_mistake(self, api: Api, query: str) -> None:
        answer = api.client("GET", f"{OWN}/push{query}")
        refused(answer, answer.json()["error"])
        assert answer.status_code in (400, 404)

    def test_a_key_may_be_enrolled_for_several_methods(self, api: Api) -> None:
        """The oldest apps have one for all."""
        for kind in ("push", "in-app", "qr-code"):
            api.new_device(kind=kind)
        methods = [each["verificationMethod"] for each in api.server("GET", "/users/ada/authenticators")]
        assert sorted(methods) == ["IN_APP", "PUSH", "QR_CODE"]

    def test_an_app_enrols_its_key_again_at_each_sign_in(self, api: Api) -> None:
        api.new_device(pushToken="first")
        first = api.server("GET", "/users/ada/authenticators")
        api.new_device(pushToken="second")
        assert api.server("GET", "/users/ada/authenticators") == first
        (device,) = api.kit.run(api.kit.tenant().devices.list_devices("ada"))
        assert device.push_token == "second"

    def test_another_users_key_is_refused(self, api: Api) -> None:
        device = api.new_device("ada")
        body = {"publicKey": key_of(device), "deviceName": "Phone", "devicePlatform": "ios", "pushToken": "eve's"}
        refused(api.client("POST", f"{OWN}/push", body, token=api.token("eve")), "invalid_request", 409)
        (stored,) = api.kit.run(api.kit.tenant().devices.list_devices("ada"))
        assert stored.push_token is None

    def test_a_first_device_takes_any_token_and_a_second_one_that_allows_it(self, api: Api) -> None:
        def enrol(seed: str, token: str) -> Any:
            body = {"publicKey": key_of(SoftwareDevice(seed)), "deviceName": seed, "devicePlatform": "ios"}
            return api.client("POST", f"{OWN}/push", body, token=token)

        assert enrol("first", api.track()["token"]).status_code == 200
        refused(enrol("second", api.track()["token"]), "token_invalid", 403)
        assert enrol("second", api.token()).status_code == 200

    def test_a_first_legacy_device_is_enrolled_for_both_that_it_does(self, api: Api) -> None:
        body = {"publicKey": key_of(SoftwareDevice("old")), "deviceName": "Old", "devicePlatform": "ios"}
        api.post(f"{OWN}/device", body, token=api.track()["token"])
        assert methods(api) == ["IN_APP", "QR_CODE"]

    def test_a_legacy_device_is_enrolled_for_both_or_for_none(self, api: Api) -> None:
        """A user may have ten devices: the eleventh half does not fit, and nothing is left of the tenth."""
        for number in range(9):
            api.new_device(seed=f"phone {number}")
        body = {"publicKey": key_of(SoftwareDevice("old")), "deviceName": "Old", "devicePlatform": "ios"}
        refused(api.client("POST", f"{OWN}/device", body, token=api.token()), "invalid_request")
        assert methods(api) == ["PUSH"] * 9

    @pytest.mark.parametrize("ended", [OSError("the disk is full"), asyncio.CancelledError()])
    def test_nothing_of_a_legacy_device_is_left_whatever_ends_the_request(self, api: Api, ended: BaseException) -> None:
        def at_the_other_half(*execution: Any) -> None:
            statement, parameters = execution[2:4]
            if statement.startswith("INSERT INTO passkey_devices") and "qr-code" in parameters:
                raise ended

        engine = api.kit.storage.database._engine
        sqlalchemy.event.listen(engine, "before_cursor_execute", at_the_other_half)
        body = {"publicKey": key_of(SoftwareDevice("old")), "deviceName": "Old", "devicePlatform": "ios"}
        with suppress(concurrent.futures.CancelledError):
            assert api.client("POST", f"{OWN}/device", body, token=api.token()).status_code == 500
        sqlalchemy.event.remove(engine, "before_cursor_execute", at_the_other_half)
        assert methods(api) == []

    def test_nothing_of_a_legacy_device_is_left_whichever_half_was_there(self, api: Api) -> None:
        device = api.new_device(kind="qr-code")
        api.post(f"{OWN}/device/remove", removal(api, device))
        assert methods(api) == []
        refused(api.client("POST", f"{OWN}/device/remove", removal(api, device)), "invalid_credential", 404)

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_same_key_with_the_same_token_is_enrolled_already(self, api: Api, kind: str) -> None:
        token = api.track()["token"]
        body = {"publicKey": key_of(SoftwareDevice("phone")), "deviceName": "Phone", "devicePlatform": "ios"}
        first = api.post(f"{OWN}/{kind}", body, token=token)
        for again in (token, api.track()["token"]):
            assert api.post(f"{OWN}/{kind}", body, token=again) == first

    def test_where_push_messages_go_is_said_by_who_may_add_a_device(self, api: Api) -> None:
        device = api.new_device(pushToken="first")
        body = {"publicKey": key_of(device), "deviceName": "Phone", "devicePlatform": "ios", "pushToken": "eve's"}
        refused(api.client("POST", f"{OWN}/push", body, token=api.track()["token"]), "token_invalid", 403)
        (stored,) = api.kit.run(api.kit.tenant().devices.list_devices("ada"))
        assert stored.push_token == "first"

    @pytest.mark.parametrize(
        "change",
        [
            {"publicKey": None},
            {"publicKey": "!"},
            {"publicKey": "AAAA"},
            {"publicKey": base64.b64encode(bytes(91)).decode()},
            {"deviceName": "\x07"},
            {"pushToken": "t" * 4097},
        ],
    )
    def test_what_cannot_be_enrolled_is_refused(self, api: Api, change: Json) -> None:
        body = {"publicKey": key_of(SoftwareDevice("phone")), "deviceName": "Phone", "devicePlatform": "ios"} | change
        refused(api.client("POST", f"{OWN}/push", body, token=api.token()), "invalid_request", 400)
        assert api.server("GET", "/users/ada/authenticators") == []

    def test_what_an_app_leaves_out_has_a_default(self, api: Api) -> None:
        long = {"publicKey": key_of(SoftwareDevice("long")), "deviceName": "n" * 80, "devicePlatform": "ios"}
        api.post(f"{OWN}/push", {"publicKey": key_of(SoftwareDevice("phone"))}, token=api.token())
        api.post(f"{OWN}/push", long, token=api.token())
        names = {each["displayName"] for each in api.server("GET", "/users/ada/authenticators")}
        assert names == {"Device", "n" * 64}

    @pytest.mark.parametrize("minutes", [-10, 0, 10])
    def test_a_removal_of_the_ten_minutes_around_counts(self, api: Api, minutes: float) -> None:
        device = api.new_device()
        api.post(f"{OWN}/push/remove", removal(api, device, minutes=minutes))

    @pytest.mark.parametrize("minutes", [-20, 20])
    def test_an_older_one_does_not(self, api: Api, minutes: float) -> None:
        device = api.new_device()
        refused(api.client("POST", f"{OWN}/push/remove", removal(api, device, minutes=minutes)), "invalid_credential")
        assert api.track()["isEnrolled"] is True

    def test_nobody_else_removes_it(self, api: Api) -> None:
        device = api.new_device()
        forged = removal(api, SoftwareDevice("eve")) | {"publicKey": key_of(device)}
        refused(api.client("POST", f"{OWN}/push/remove", forged), "invalid_credential")
        assert api.track()["isEnrolled"] is True


class TestPush:
    def begun(self, api: Api, kind: str = "push", **attributes: Any) -> tuple[SoftwareDevice, str, str]:
        """A device, the token of the action, and the challenge's id."""
        device = api.new_device(kind=kind)
        token = api.track(**attributes)["token"]
        return device, token, api.post("/client/challenge/push", {}, token=token)["challengeId"]

    def test_the_device_is_asked_and_whoever_waits_gets_the_proof_once(self, api: Api) -> None:
        device, token, id = self.begun(api, deviceId="pc", ipAddress="192.0.2.7", userAgent="Browser")
        assert api.post("/client/verify/push", {"challengeId": id}, token=token) == {
            "isVerified": False,
            "isConsumed": False,
        }
        waiting = api.get(f"{OWN}/push/challenge?publicKey={key_in_query(device)}")
        assert waiting["challengeId"] == id
        assert waiting["userId"] == "ada"
        assert waiting["actionCode"] == "transfer"
        assert (waiting["deviceId"], waiting["ipAddress"], waiting["userAgent"]) == ("pc", "192.0.2.7", "Browser")
        assert waiting["expiresAt"] == int(api.kit.clock().timestamp()) + 570
        answer = {**signed(device, id), "approved": True, "verificationCode": None}
        assert api.post(f"{OWN}/push/challenge", answer) == {"isVerified": True}
        polled = api.post("/client/verify/push", {"challengeId": id}, token=token)
        assert (polled["isVerified"], polled["isConsumed"]) == (True, True)
        proof = api.validate(polled["accessToken"], userId="ada", action="transfer")
        assert (proof["isValid"], proof["verificationMethod"]) == (True, "PUSH")
        assert proof["idempotencyKey"] == waiting["idempotencyKey"]
        again = api.post("/client/verify/push", {"challengeId": id}, token=token)
        assert again == {"isVerified": False, "isConsumed": True}

    def test_nothing_pending_is_an_answer_with_the_authenticator_alone(self, api: Api) -> None:
        device = api.new_device()
        answer = api.get(f"{OWN}/push/challenge?publicKey={key_in_query(device)}")
        assert answer.keys() == {"userAuthenticatorId"}

    def test_nothing_to_sign_before_looking(self, api: Api) -> None:
        device = api.new_device()
        path = f"{OWN}/push/challenge/sign?publicKey={key_in_query(device)}"
        assert api.client("POST", path).json() == {}
        refused(
            api.client("POST", f"{OWN}/push/challenge/sign?publicKey={key_in_query(SoftwareDevice('eve'))}"),
            "invalid_credential",
        )

    def test_a_rejection_is_consumed_and_not_verified_and_ends_the_action(self, api: Api) -> None:
        device, token, id = self.begun(api)
        assert api.post(f"{OWN}/push/challenge", {**signed(device, id), "approved": False}) == {"isVerified": False}
        for _ in range(2):
            polled = api.post("/client/verify/push", {"challengeId": id}, token=token)
            assert polled == {"isVerified": False, "isConsumed": True}
        assert api.validate(token)["state"] == "CHALLENGE_FAILED"

    def test_a_challenge_that_nobody_answers_in_time_is_over(self, api: Api) -> None:
        _, token, id = self.begun(api)
        api.kit.clock.pass_(571)
        polled = api.post("/client/verify/push", {"challengeId": id}, token=token)
        assert polled == {"isVerified": False, "isConsumed": True}

    def test_an_answer_counts_once(self, api: Api) -> None:
        device, _, id = self.begun(api)
        api.post(f"{OWN}/push/challenge", {**signed(device, id), "approved": False})
        answer = {**signed(device, id), "approved": True}
        refused(api.client("POST", f"{OWN}/push/challenge", answer), "invalid_request")

    def test_another_users_device_answers_nothing(self, api: Api) -> None:
        _, token, id = self.begun(api)
        eve = api.new_device("eve", seed="eve")
        for forged in (signed(eve, id), signed(SoftwareDevice("stranger"), id)):
            refused(api.client("POST", f"{OWN}/push/challenge", {**forged, "approved": True}), "invalid_request", 403)
        assert api.post("/client/verify/push", {"challengeId": id}, token=token)["isVerified"] is False

    def test_another_token_does_not_get_the_answer(self, api: Api) -> None:
        device, _, id = self.begun(api)
        api.post(f"{OWN}/push/challenge", {**signed(device, id), "approved": True})
        for token in (api.track()["token"], api.track("eve")["token"]):
            refused(api.client("POST", "/client/verify/push", {"challengeId": id}, token=token), "invalid_request")

    def test_so_many_wait_and_no_more(self, api: Api) -> None:
        api.new_device()
        for _ in range(5):
            api.post("/client/challenge/push", {}, token=api.track()["token"])
        answer = api.client("POST", "/client/challenge/push", {}, token=api.track()["token"])
        refused(answer, "too_many_requests", 429)

    def test_the_word_of_another_action_is_refused(self, api: Api) -> None:
        api.new_device()
        token = api.track()["token"]
        body = {"action": "login"}
        refused(api.client("POST", "/client/challenge/push", body, token=token), "invalid_request", 400)
        assert api.post("/client/challenge/push", {"action": "transfer"}, token=token)["challengeId"]

    def test_one_device_of_several_is_asked(self, api: Api) -> None:
        first = api.new_device(seed="first")
        api.kit.clock.pass_(1)
        second = api.new_device(seed="second")
        one, _ = api.server("GET", "/users/ada/authenticators")
        body = {"userAuthenticatorId": one["userAuthenticatorId"]}
        start = api.post("/client/challenge/push", body, token=api.track()["token"])
        assert start["deliveryResults"] == [body]
        assert "challengeId" in api.get(f"{OWN}/push/challenge?publicKey={key_in_query(first)}")
        assert "challengeId" not in api.get(f"{OWN}/push/challenge?publicKey={key_in_query(second)}")

    def test_a_user_without_a_device_looks_like_any_other(self, api: Api) -> None:
        token = api.track("nobody")["token"]
        start = api.post("/client/challenge/push", {}, token=token)
        polled = api.post("/client/verify/push", {"challengeId": start["challengeId"]}, token=token)
        assert polled == {"isVerified": False, "isConsumed": False}

    @pytest.mark.parametrize("change", [{"approved": "yes"}, {"signature": "!"}, {"publicKey": ""}, {"challengeId": 1}])
    def test_what_is_no_answer_is_refused(self, api: Api, change: Json) -> None:
        device, _, id = self.begun(api)
        answer = {**signed(device, id), "approved": True} | change
        refused(api.client("POST", f"{OWN}/push/challenge", answer), "invalid_request")


class TestNumberMatching:
    """Whoever waits is shown a number, and the user types it on the device."""

    @pytest.fixture
    def tenants(self, tmp_path: Path) -> Iterator[TenantKit]:
        with tenant_kit(tmp_path, shop_more="number_matching = true") as kit:
            yield kit

    def test_the_number_is_asked_for(self, api: Api) -> None:
        device = api.new_device()
        token = api.track()["token"]
        start = api.post("/client/challenge/push", {}, token=token)
        code = start["verificationCode"]
        answer = {**signed(device, start["challengeId"]), "approved": True}
        assert code not in str(api.get(f"{OWN}/push/challenge?publicKey={key_in_query(device)}"))
        for wrong in (None, ""):
            body = answer | {"verificationCode": wrong}
            refused(api.client("POST", f"{OWN}/push/challenge", body), "invalid_request", 400)
        assert api.post(f"{OWN}/push/challenge", answer | {"verificationCode": code}) == {"isVerified": True}

    def test_nobody_guesses_it(self, api: Api) -> None:
        device = api.new_device()
        token = api.track()["token"]
        id = api.post("/client/challenge/push", {}, token=token)["challengeId"]
        for _ in range(3):
            body = {**signed(device, id), "approved": True, "verificationCode": "x"}
            refused(api.client("POST", f"{OWN}/push/challenge", body), "invalid_request", 400)
        polled = api.post("/client/verify/push", {"challengeId": id}, token=token)
        assert polled == {"isVerified": False, "isConsumed": True}


class TestLegacyPush:
    def test_the_oldest_apps_answer_with_the_key_that_they_have(self, api: Api) -> None:
        device = api.new_device(kind="device")
        token = api.track()["token"]
        id = api.post("/client/challenge/push", {}, token=token)["challengeId"]
        waiting = api.get(f"{OWN}/device/challenge?publicKey={key_in_query(device)}")
        assert waiting["challengeId"] == id
        api.post(f"{OWN}/device/challenge", {**signed(device, id), "approved": True})
        polled = api.post("/client/verify/push", {"challengeId": id}, token=token)
        assert api.validate(polled["accessToken"])["isValid"] is True


@pytest.mark.parametrize("path", ["/client/verify/in-app", "/client/verify/device"])
@pytest.mark.parametrize("kind", ["in-app", "device"])
class TestInApp:
    def test_without_an_action_it_is_the_word_that_the_server_is_told(self, api: Api, path: str, kind: str) -> None:
        device = api.new_device(kind=kind)
        api.server("PATCH", "/users/ada", {"username": "ada@example.com"})
        id = api.client("POST", "/client/challenge").json()["challengeId"]  # without a body, as the oldest SDKs
        done = api.post(path, signed(device, id))
        assert (done["userId"], done["username"]) == ("ada", "ada@example.com")
        assert done["userAuthenticatorId"]
        proof = api.validate(done["token"], userId="ada")
        assert (proof["isValid"], proof["action"], proof["verificationMethod"]) == (True, "sign-in", "IN_APP")
        assert api.validate(done["token"], action="transfer")["isValid"] is False

    def test_an_action_is_kept_under_its_word(self, api: Api, path: str, kind: str) -> None:
        device = api.new_device(kind=kind)
        id = api.post("/client/challenge", {"action": "transfer"})["challengeId"]
        done = api.post(path, signed(device, id))
        assert api.validate(done["token"], userId="ada", action="transfer")["isValid"] is True

    def test_a_token_ties_it_to_its_action(self, api: Api, path: str, kind: str) -> None:
        device = api.new_device(kind=kind)
        tracked = api.track()
        id = api.post("/client/challenge")["challengeId"]
        done = api.post(path, signed(device, id), token=tracked["token"])
        assert api.validate(done["token"])["idempotencyKey"] == tracked["idempotencyKey"]

    def test_another_users_token_is_not_met(self, api: Api, path: str, kind: str) -> None:
        device = api.new_device(kind=kind)
        api.new_device("eve", kind=kind, seed="eve")
        token = api.track("eve")["token"]
        id = api.post("/client/challenge")["challengeId"]
        refused(api.client("POST", path, signed(device, id), token=token), "invalid_credential", 403)
        assert api.validate(token)["isValid"] is False

    def test_a_challenge_is_answered_once(self, api: Api, path: str, kind: str) -> None:
        device = api.new_device(kind=kind)
        for body in ({}, {"action": "transfer"}):
            id = api.post("/client/challenge", body)["challengeId"]
            api.post(path, signed(device, id))
            refused(api.client("POST", path, signed(device, id)), "invalid_request")

    def test_who_cannot_sign_begins_nothing(self, api: Api, path: str, kind: str) -> None:
        device = api.new_device(kind=kind)
        before = api.server("GET", "/users/ada/actions")
        for body in ({}, {"action": "transfer"}):
            id = api.post("/client/challenge", body)["challengeId"]
            forged = signed(SoftwareDevice("eve"), id) | {"publicKey": key_of(device)}
            refused(api.client("POST", path, forged), "invalid_credential", 403)
            refused(api.client("POST", path, signed(SoftwareDevice("eve"), id)), "invalid_credential", 403)
        assert api.server("GET", "/users/ada/actions") == before

    def test_a_challenge_that_is_too_old_or_another_tenants_is_none(self, api: Api, path: str, kind: str) -> None:
        device = api.new_device(kind=kind)
        id = api.post("/client/challenge", tenant="bank")["challengeId"]
        refused(api.client("POST", path, signed(device, id)), "invalid_request")
        id = api.post("/client/challenge")["challengeId"]
        api.kit.clock.pass_(571)
        refused(api.client("POST", path, signed(device, id)), "invalid_request")

    def test_a_push_challenge_is_not_answered_here(self, api: Api, path: str, kind: str) -> None:
        device = api.new_device(kind=kind)
        id = api.post("/client/challenge/push", {}, token=api.track()["token"])["challengeId"]
        refused(api.client("POST", path, signed(device, id)), "invalid_request")


def test_a_client_with_a_token_gets_a_nonce_to_be_attested_with(api: Api) -> None:
    start = api.post("/client/challenge", token=api.track()["token"])
    assert len(start["nonce"]) >= 16
    assert "nonce" not in api.post("/client/challenge")


def test_a_word_that_is_none_is_refused(api: Api) -> None:
    refused(api.client("POST", "/client/challenge", {"action": "a b"}), "invalid_request", 400)


def test_a_passkey_and_a_device_of_one_user_meet_the_same_action(api: Api) -> None:
    api.new_passkey(client=phone("p", origin="https://shop.example.com"))
    api.new_device()
    assert api.track()["enrolledVerificationMethods"] == ["PASSKEY", "PUSH"]
