"""Passkeys, in the spelling of each client: made, used, looked up, and refused with the word that its SDK acts upon."""

import base64
from pathlib import Path
from typing import Any

import pytest

from passkeycore.testing import ANDROID_ORIGIN, Tamper, VirtualClient, b64url_decode, b64url_encode
from passkeycore.testing.tamper import UNCHANGED
from tests.server.kit import tenant_kit

from .kit import OWN, Api, Json, phone, refused, signed

ADD = f"{OWN}/passkey/registration-options"
USE = f"{OWN}/passkey/authentication-options"


def made(api: Api, client: VirtualClient, token: str, **changes: Any) -> Json:
    start = api.post(ADD, {"username": "ada@example.com"}, token=token)
    return {"challengeId": start["challengeId"], "registrationCredential": client.create(start["options"])} | changes


def used(api: Api, client: VirtualClient, tamper: Tamper = UNCHANGED, **asked: Any) -> Json:
    start = api.post(USE, asked.pop("body", {}), **asked)
    credential = client.get(start["options"], tamper=tamper)
    return {"challengeId": start["challengeId"], "authenticationCredential": credential}


class TestRegistration:
    def test_the_options_have_what_native_sdks_cannot_do_without(self, api: Api) -> None:
        start = api.post(ADD, {"username": "ada@example.com", "displayName": "Ada"}, token=api.token())
        options = start["options"]
        assert set(start) == {"challengeId", "options"}
        assert len(options["challenge"]) == 43  # not divisible by four, as iOS would pad it wrongly
        assert options["rp"] == {"id": "shop.example.com", "name": "Shop"}
        assert options["user"].keys() == {"id", "name", "displayName"}
        assert (options["user"]["name"], options["user"]["displayName"]) == ("ada@example.com", "Ada")
        assert isinstance(options["timeout"], int)
        assert {"type": "public-key", "alg": -7} in options["pubKeyCredParams"]
        assert options["attestation"] == "none"
        assert options["excludeCredentials"] == []
        assert options["authenticatorSelection"] == {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        }

    def test_a_handle_is_printable_text_and_fits_when_ios_takes_its_base64_for_it(self, api: Api) -> None:
        user_id = api.post(ADD, {}, token=api.token())["options"]["user"]["id"]
        assert len(user_id) <= 64
        assert b64url_decode(user_id).decode("ascii").isprintable()

    def test_a_name_is_always_there_for_ios_to_label_the_passkey_with(self, api: Api) -> None:
        assert api.post(ADD, token=api.token())["options"]["user"]["displayName"] == "ada"
        api.server("PATCH", "/users/ada", {"email": "ada@example.com", "displayName": "Ada Lovelace"})
        user = api.post(ADD, token=api.token())["options"]["user"]
        assert (user["name"], user["displayName"]) == ("ada@example.com", "Ada Lovelace")

    @pytest.mark.parametrize("attachment", ["platform", "cross-platform", None])
    def test_the_attachment_is_passed_on_and_never_null(self, api: Api, attachment: str | None) -> None:
        start = api.post(ADD, {"authenticatorAttachment": attachment}, token=api.token())
        assert start["options"]["authenticatorSelection"].get("authenticatorAttachment", None) == attachment
        assert None not in start["options"]["authenticatorSelection"].values()

    def test_a_passkey_is_stored_for_the_user_whose_token_it_is(self, api: Api) -> None:
        token, client = api.token(), api.kit.virtual_client()
        answer = api.post(f"{OWN}/passkey", made(api, client, token), token=token)
        assert answer["isVerified"] is True
        assert answer["accessToken"]
        assert answer["userId"] == "ada"
        assert answer["credentialId"] == answer["userAuthenticatorId"]
        listed = api.server("GET", "/users/ada/authenticators")
        assert [each["webauthnCredential"]["credentialId"] for each in listed] == [answer["credentialId"]]

    def test_a_new_passkey_proves_nothing_yet(self, api: Api) -> None:
        token, client = api.token(), api.kit.virtual_client()
        answer = api.post(f"{OWN}/passkey", made(api, client, token), token=token)
        assert api.validate(answer["accessToken"])["isValid"] is False

    def test_the_answer_of_ios_is_read(self, api: Api) -> None:
        """Client data in standard base64 with padding, no transports, no extension results, always cross-platform."""
        token, client = api.token(), phone("iphone", "ios")
        body = made(api, client, token)
        credential = body["registrationCredential"]
        response = credential["response"]
        client_data = b64url_decode(response["clientDataJSON"])
        body["registrationCredential"] = {
            "id": credential["id"],
            "rawId": credential["rawId"],
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "response": {
                "attestationObject": response["attestationObject"],
                "clientDataJSON": base64.b64encode(client_data).decode(),
            },
        }
        assert api.post(f"{OWN}/passkey", body, token=token)["isVerified"] is True

    def test_a_second_passkey_takes_a_token_that_allows_it(self, api: Api) -> None:
        api.new_passkey()
        token = api.track()["token"]
        refused(api.client("POST", ADD, {}, token=token), "token_invalid", 403)
        start = api.post(ADD, {}, token=api.token())
        assert len(start["options"]["excludeCredentials"]) == 1
        proven = api.sign_in(api.new_passkey("eve", client=phone("eve", origin="https://shop.example.com")))
        assert api.post(ADD, {}, token=proven["accessToken"])["challengeId"]

    def test_another_token_finishes_nothing(self, api: Api) -> None:
        token, client = api.token(), api.kit.virtual_client()
        body = made(api, client, token)
        for other in (api.token("eve"), api.token()):
            refused(api.client("POST", f"{OWN}/passkey", body, token=other), "token_invalid", 401)
        assert api.post(f"{OWN}/passkey", body, token=token)["isVerified"]

    def test_a_ceremony_is_finished_once(self, api: Api) -> None:
        token, client = api.token(), api.kit.virtual_client()
        body = made(api, client, token)
        api.post(f"{OWN}/passkey", body, token=token)
        refused(api.client("POST", f"{OWN}/passkey", body, token=token), "invalid_request")

    @pytest.mark.parametrize(
        "change",
        [
            {"challengeId": "x"},
            {"challengeId": ""},
            {"registrationCredential": {}},
            {"registrationCredential": {"response": []}},
            {"registrationCredential": {"id": "a", "rawId": "a", "type": "public-key", "response": {}}},
        ],
    )
    def test_what_is_none_is_refused(self, api: Api, change: Json) -> None:
        token = api.token()
        body = made(api, api.kit.virtual_client(), token, **change)
        refused(api.client("POST", f"{OWN}/passkey", body, token=token), "invalid_request", 400)

    def test_a_foreign_origin_is_refused(self, api: Api) -> None:
        token = api.token()
        evil = phone(origin="https://evil.example", platform="android")
        refused(api.client("POST", f"{OWN}/passkey", made(api, evil, token), token=token), "invalid_request", 403)
        assert api.server("GET", "/users/ada/authenticators") == []


class TestAuthentication:
    def test_the_options_have_what_native_sdks_cannot_do_without(self, api: Api) -> None:
        start = api.post(USE)
        assert start["options"]["allowCredentials"] == []
        assert start["options"]["rpId"] == "shop.example.com"
        assert len(start["options"]["challenge"]) == 43
        assert isinstance(start["options"]["timeout"], int)

    def test_a_token_is_met_by_its_users_passkey(self, api: Api) -> None:
        client = api.new_passkey()
        api.server("PATCH", "/users/ada", {"username": "ada@example.com", "displayName": "Ada"})
        token = api.track()["token"]
        start = api.post(USE, token=token)
        assert len(start["options"]["allowCredentials"]) == 1
        answer = api.post("/client/verify/passkey", used(api, client, token=token), token=token)
        assert answer["isVerified"] is True
        assert answer["userId"] == "ada"
        assert (answer["username"], answer["userDisplayName"]) == ("ada@example.com", "Ada")
        assert api.validate(answer["accessToken"], userId="ada", action="transfer")["isValid"] is True

    def test_an_action_names_what_a_sign_in_is_for(self, api: Api) -> None:
        client = api.new_passkey()
        challenge = api.post("/client/challenge", {"action": "login"})
        answer = api.sign_in(client, challengeId=challenge["challengeId"])
        assert api.validate(answer["accessToken"], action="login", userId="ada")["isValid"] is True
        assert api.validate(answer["accessToken"], action="transfer")["isValid"] is False

    @pytest.mark.parametrize("word", ["sign-in", "login-by-passkey"])
    def test_without_an_action_it_is_the_word_that_the_tenant_has_for_it(self, tmp_path: Path, word: str) -> None:
        with tenant_kit(tmp_path, shop_more=f'default_action = "{word}"') as kit:
            api = Api(kit)
            client = api.new_passkey()
            for challenge in ({}, {"challengeId": api.post("/client/challenge")["challengeId"]}):
                answer = api.validate(api.sign_in(client, **challenge)["accessToken"])
                assert (answer["isValid"], answer["action"], answer["userId"]) == (True, word, "ada")

    def test_what_a_challenge_was_for_is_not_asked_of_one_that_is_over(self, api: Api) -> None:
        device = api.new_device(kind="in-app")
        answered, late = (api.post("/client/challenge", {"action": "login"})["challengeId"] for _ in range(2))
        api.post("/client/verify/in-app", signed(device, answered))
        refused(api.client("POST", USE, {"challengeId": answered}), "invalid_request")
        api.kit.clock.pass_(api.kit.tenant().devices.context.challenge_lifetime.total_seconds())
        refused(api.client("POST", USE, {"challengeId": late}), "invalid_request")
        refused(api.client("POST", USE, {"challengeId": "x"}), "invalid_request")

    def test_the_oldest_ios_sdk_begins_with_a_token_and_finishes_without(self, api: Api) -> None:
        client = api.new_passkey()
        tracked = api.track()
        body = used(api, client, token=tracked["token"])
        answer = api.post("/client/verify/passkey", body, platform="ios")
        assert api.validate(answer["accessToken"])["idempotencyKey"] == tracked["idempotencyKey"]

    def test_another_token_finishes_nothing(self, api: Api) -> None:
        client = api.new_passkey()
        body = used(api, client, token=api.track()["token"])
        refused(api.client("POST", "/client/verify/passkey", body, token=api.track()["token"]), "token_invalid", 401)
        body = used(api, client)
        refused(api.client("POST", "/client/verify/passkey", body, token=api.track()["token"]), "token_invalid", 401)

    def test_another_tenant_finishes_nothing(self, api: Api) -> None:
        body = used(api, api.new_passkey())
        refused(api.client("POST", "/client/verify/passkey", body, tenant="bank"), "invalid_request", 400)

    def test_a_challenge_is_finished_once(self, api: Api) -> None:
        body = used(api, api.new_passkey())
        api.post("/client/verify/passkey", body)
        refused(api.client("POST", "/client/verify/passkey", body), "invalid_credential")

    def test_one_kind_of_challenge_is_not_the_other(self, api: Api) -> None:
        client, token = api.new_passkey(), api.token()
        add = api.post(ADD, {}, token=token)["challengeId"]
        body = used(api, client, token=token) | {"challengeId": add}
        refused(api.client("POST", "/client/verify/passkey", body, token=token), "invalid_request", 400)

    def test_a_prompt_may_wait_in_a_page_and_not_for_ever(self, api: Api) -> None:
        client = api.new_passkey()
        body = used(api, client)
        api.kit.clock.pass_(1_700)
        assert api.post("/client/verify/passkey", body)["isVerified"]
        body = used(api, client)
        api.kit.clock.pass_(1_801)
        refused(api.client("POST", "/client/verify/passkey", body), "invalid_request", 400)

    def test_a_removed_passkey_is_unknown_with_a_token_and_without(self, api: Api) -> None:
        client, token = api.new_passkey(), api.track()["token"]
        api.new_passkey(client=phone("other", origin="https://shop.example.com"))
        bodies = [(used(api, client), None), (used(api, client, token=token), token)]
        (first, _) = api.server("GET", "/users/ada/authenticators")
        api.server("DELETE", f"/users/ada/authenticators/{first['userAuthenticatorId']}")
        for body, shown in bodies:
            refused(api.client("POST", "/client/verify/passkey", body, token=shown), "unknown_credential", 404)

    def test_what_another_tenant_with_the_rp_id_knows_is_not_unknown(self, tmp_path: Path) -> None:
        """The device would hide the passkey there as well."""
        shared = 'rp_id = "example.com"'
        with tenant_kit(tmp_path, shop_more=shared, bank_more=shared) as kit:
            api = Api(kit)
            client = api.new_passkey(tenant="bank")
            body = used(api, client)
            refused(api.client("POST", "/client/verify/passkey", body), "invalid_credential")
            token = api.server("GET", "/users/ada/authenticators", tenant="bank")[0]["userAuthenticatorId"]
            api.server("DELETE", f"/users/ada/authenticators/{token}", tenant="bank")
            refused(api.client("POST", "/client/verify/passkey", used(api, client)), "unknown_credential", 404)

    @pytest.mark.parametrize(
        "tamper",
        [
            Tamper(sign=lambda key, message: key.sign(message + b"x")),
            Tamper(flags=lambda flags: flags & ~4),
            Tamper(client_data=lambda members: members | {"origin": "https://evil.example"}),
            Tamper(client_data=lambda members: members | {"type": "webauthn.create"}),
        ],
    )
    @pytest.mark.parametrize("with_token", [True, False])
    def test_nothing_else_makes_a_device_forget_its_passkey(self, api: Api, tamper: Tamper, with_token: bool) -> None:
        client = api.new_passkey()
        token = api.track()["token"] if with_token else None
        body = used(api, client, tamper, token=token)
        refused(api.client("POST", "/client/verify/passkey", body, token=token), "invalid_credential")

    def test_another_users_passkey_meets_no_token(self, api: Api) -> None:
        eve = api.new_passkey("eve", client=phone("eve", origin="https://shop.example.com"))
        api.new_passkey()
        token = api.track()["token"]
        body = used(api, eve, body={}) | {"challengeId": api.post(USE, token=token)["challengeId"]}
        refused(api.client("POST", "/client/verify/passkey", body, token=token), "invalid_credential")

    @pytest.mark.parametrize(
        "change",
        [
            {"challengeId": "x"},
            {"authenticationCredential": {}},
            {"authenticationCredential": {"rawId": 5, "response": {"userHandle": []}}},
            {"authenticationCredential": {"rawId": "!", "response": {}}},
        ],
    )
    def test_what_is_none_is_refused(self, api: Api, change: Json) -> None:
        body = used(api, api.new_passkey()) | change
        refused(api.client("POST", "/client/verify/passkey", body), "invalid_request", 400)

    def test_a_user_handle_of_another_type_is_the_clients_mistake(self, api: Api) -> None:
        body = used(api, api.new_passkey())
        handles: list[Any] = [[], {}, 5, True]
        for handle in handles:
            body["authenticationCredential"]["response"]["userHandle"] = handle
            refused(api.client("POST", "/client/verify/passkey", body), "invalid_request", 400)


class TestHandles:
    """Where a passkey was made, and where it is used: what the user handle looks like then."""

    def body(self, api: Api, forms: str) -> Json:
        client = api.new_passkey()
        body = used(api, client)
        response = body["authenticationCredential"]["response"]
        right = response["userHandle"]
        response["userHandle"] = {
            "as it is": right,
            "its text": b64url_decode(right).decode(),
            "base64url of its base64url": b64url_encode(right.encode()),
            "another's": b64url_encode(b"somebody else's"),
            "another's text": "x" * 32,
        }[forms]
        return body

    @pytest.mark.parametrize("forms", ["as it is", "its text", "base64url of its base64url"])
    def test_each_form_of_the_owners_is_the_owners(self, api: Api, forms: str) -> None:
        assert api.post("/client/verify/passkey", self.body(api, forms))["userId"] == "ada"

    @pytest.mark.parametrize("forms", ["another's", "another's text"])
    def test_no_other_is(self, api: Api, forms: str) -> None:
        refused(api.client("POST", "/client/verify/passkey", self.body(api, forms)), "invalid_credential")


class TestLookUp:
    def test_a_passkey_that_is_good_is_known_and_nothing_is_told_of_its_owner(self, api: Api) -> None:
        api.new_passkey()
        (listed,) = api.server("GET", "/users/ada/authenticators")
        id = listed["webauthnCredential"]["credentialId"]
        for query in ({"credentialId": id}, {"credentialIds": id}, {"credentialIds": f"AAAA,{id}"}):
            found = api.get(f"{OWN}/passkey", params=query)
            assert found == {"credentialId": id, "verifiedAt": "2026-11-03T12:00:00.000Z"}

    @pytest.mark.parametrize("query", [{}, {"credentialId": "AAAA"}, {"credentialId": "!"}, {"credentialIds": ","}])
    def test_one_that_is_not_makes_clients_offer_another(self, api: Api, query: Json) -> None:
        refused(api.client("GET", f"{OWN}/passkey", params=query), "invalid_credential", 404)

    def test_one_that_was_removed_is_none(self, api: Api) -> None:
        api.new_passkey()
        (listed,) = api.server("GET", "/users/ada/authenticators")
        api.server("DELETE", f"/users/ada/authenticators/{listed['userAuthenticatorId']}")
        query = {"credentialId": listed["webauthnCredential"]["credentialId"]}
        refused(api.client("GET", f"{OWN}/passkey", params=query), "invalid_credential", 404)

    def test_one_of_another_tenant_is_none(self, api: Api) -> None:
        api.new_passkey(tenant="shop")
        (listed,) = api.server("GET", "/users/ada/authenticators")
        query = {"credentialId": listed["webauthnCredential"]["credentialId"]}
        refused(api.client("GET", f"{OWN}/passkey", params=query, tenant="bank"), "invalid_credential", 404)

    def test_one_of_a_disabled_user_signs_nobody_in_and_is_not_forgotten(self, api: Api) -> None:
        client = api.new_passkey()
        (listed,) = api.server("GET", "/users/ada/authenticators")
        body = used(api, client)
        api.kit.run(api.kit.tenant().passkeys.disable_user("ada"))
        query = {"credentialId": listed["webauthnCredential"]["credentialId"]}
        refused(api.client("GET", f"{OWN}/passkey", params=query), "invalid_credential", 404)
        refused(api.client("POST", "/client/verify/passkey", body), "invalid_credential", 403)

    def test_one_of_the_rp_id_before_is_gone(self, api: Api) -> None:
        api.new_passkey()
        (listed,) = api.server("GET", "/users/ada/authenticators")
        query = {"credentialId": listed["webauthnCredential"]["credentialId"]}
        api.kit.run(api.kit.tenants.change("shop", {"rp_id": "example.com"}, revision=0))
        refused(api.client("GET", f"{OWN}/passkey", params=query), "invalid_credential", 404)

    def test_nobody_asks_for_many_at_once(self, api: Api) -> None:
        query = {"credentialIds": ",".join(["AAAA"] * 65)}
        refused(api.client("GET", f"{OWN}/passkey", params=query), "invalid_request", 400)


def test_the_list_of_ones_own_is_complete_and_tells_no_address(api: Api) -> None:
    api.new_passkey()
    api.new_passkey(client=phone("other", origin="https://shop.example.com"))
    api.new_device()
    api.server("PATCH", "/users/ada", {"email": "ada@example.com", "emailVerified": True})
    token = api.track()["token"]
    listed = api.get(OWN, token=token)
    assert [each["verificationMethod"] for each in listed] == ["PASSKEY", "PASSKEY", "PUSH"]
    assert "example.com" not in str(listed)


def test_an_android_app_answers_from_its_own_origin(api: Api) -> None:
    """Whose hash is not registered: it is refused here, and allowed by the tests of apps."""
    assert ANDROID_ORIGIN not in api.kit.tenant().settings.config.origins
    token, client = api.token(), phone("pixel", "android")
    refused(api.client("POST", f"{OWN}/passkey", made(api, client, token), token=token), "invalid_request", 403)
