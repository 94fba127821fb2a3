"""Users as an application's server sees them: what was said of them, and what they have."""

from typing import Any

import pytest

from .kit import Api, phone, refused, secret_of


class TestProfile:
    def test_nobody_is_somebody_without_authenticators(self, api: Api) -> None:
        user = api.server("GET", "/users/nobody")
        assert user["isEnrolled"] is False
        assert user["emailVerified"] is False
        assert user["phoneNumberVerified"] is False
        assert user["enrolledVerificationMethods"] == []

    def test_what_is_said_is_kept_and_the_rest_stays(self, api: Api) -> None:
        said: dict[str, Any] = {
            "email": "ada@example.com",
            "emailVerified": True,
            "phoneNumber": "+49123",
            "username": "ada",
            "displayName": "Ada",
            "locale": "de",
            "custom": {"vip": True},
        }
        answer = api.server("PATCH", "/users/ada", said)
        assert answer == said | {"phoneNumberVerified": False}
        answer = api.server("PATCH", "/users/ada", {"displayName": "Ada L.", "custom": None, "unknown": 1})
        assert answer["displayName"] == "Ada L."
        assert "custom" not in answer
        assert api.server("GET", "/users/ada")["email"] == "ada@example.com"

    def test_another_address_is_not_a_verified_one(self, api: Api) -> None:
        api.server("PATCH", "/users/ada", {"email": "ada@example.com", "emailVerified": True})
        assert api.server("PATCH", "/users/ada", {"email": "ada@example.com"})["emailVerified"] is True
        api.track(email="eve@example.com")
        assert api.server("GET", "/users/ada")["emailVerified"] is False

    def test_null_empties(self, api: Api) -> None:
        api.server("PATCH", "/users/ada", {"email": "ada@example.com", "emailVerified": True})
        answer = api.server("PATCH", "/users/ada", {"email": None})
        assert answer == {"emailVerified": False, "phoneNumberVerified": False}

    def test_a_removed_user_has_nothing_left(self, api: Api) -> None:
        client = api.new_passkey()
        api.new_device()
        api.server("PATCH", "/users/ada", {"displayName": "Ada"})
        success = api.sign_in(client)["accessToken"]
        assert api.server("DELETE", "/users/ada") == {}
        user = api.server("GET", "/users/ada")
        assert user["isEnrolled"] is False
        assert "displayName" not in user
        assert api.server("GET", "/users/ada/authenticators") == []
        answer = api.http.post("/v1/validate", json={"token": success}, headers=secret_of("shop"))
        refused(answer, "token_invalid", 400)

    def test_somebody_who_is_gone_is_removed_again(self, api: Api) -> None:
        api.server("PATCH", "/users/ada", {"displayName": "Ada"})
        assert api.server("DELETE", "/users/ada") == {}
        assert api.server("DELETE", "/users/ada") == {}
        assert "displayName" not in api.server("GET", "/users/ada")

    @pytest.mark.parametrize(
        "body", [{"email": 5}, {"email": "\x00"}, {"email": "e" * 256}, {"custom": {"a": []}}, {"emailVerified": "yes"}]
    )
    def test_what_cannot_be_kept_is_refused(self, api: Api, body: Any) -> None:
        answer = api.http.patch("/v1/users/ada", json=body, headers=secret_of("shop"))
        refused(answer, "invalid_request", 400)

    def test_a_user_id_that_cannot_be_stored_is_refused(self, api: Api) -> None:
        for user_id in ("%00", "u" * 256):
            for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/authenticators")):
                answer = api.http.request(method, f"/v1/users/{user_id}{path}", headers=secret_of("shop"))
                refused(answer, "invalid_request", 400)


class TestQuery:
    def test_users_are_found_by_exactly_what_was_said(self, api: Api) -> None:
        for user_id in ("ada", "eve"):
            api.server("PATCH", f"/users/{user_id}", {"email": f"{user_id}@example.com", "username": "same"})
        found = api.server("GET", "/users", params={"email": "eve@example.com"})
        assert found == {
            "users": [
                {
                    "userId": "eve",
                    "email": "eve@example.com",
                    "emailVerified": False,
                    "phoneNumberVerified": False,
                    "username": "same",
                }
            ]
        }
        assert len(api.server("GET", "/users", params={"username": "same"})["users"]) == 2
        assert api.server("GET", "/users", params={"username": "same"}, tenant="bank")["users"] == []

    def test_the_next_page_begins_after_the_last_user(self, api: Api) -> None:
        for number in range(3):
            api.server("PATCH", f"/users/user-{number}", {"username": "same"})
        first = api.server("GET", "/users", params={"username": "same", "limit": "2"})
        assert [each["userId"] for each in first["users"]] == ["user-0", "user-1"]
        after = {"username": "same", "limit": "2", "lastEvaluatedUserId": first["lastEvaluatedUserId"]}
        rest = api.server("GET", "/users", params=after)
        assert [each["userId"] for each in rest["users"]] == ["user-2"]
        assert "lastEvaluatedUserId" not in rest

    def test_a_token_names_its_user(self, api: Api) -> None:
        token = api.track(username="ada")["token"]
        found = api.server("GET", "/users", params={"token": token})
        assert [each["userId"] for each in found["users"]] == ["ada"]
        now = int(api.kit.clock().timestamp())
        payload = found["tokenPayload"]
        assert (payload["sub"], payload["iat"], payload["exp"]) == ("ada", now, now + 600)
        assert payload["scope"] == "read:authenticators"
        other = payload["other"]
        assert (other["userId"], other["username"], other["tenantId"], other["actionCode"]) == (
            "ada",
            "ada",
            "shop",
            "transfer",
        )
        assert other["idempotencyKey"]

    def test_a_token_that_is_none_is_the_requests_mistake_and_not_the_keys(self, api: Api) -> None:
        for token in ("bad", api.track(tenant="bank")["token"]):
            answer = api.http.get("/v1/users", params={"token": token}, headers=secret_of("shop"))
            refused(answer, "token_invalid", 400)

    @pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "-1"}, {"limit": "many"}, {"email": "e" * 256}])
    def test_a_question_that_makes_no_sense_is_refused(self, api: Api, query: Any) -> None:
        answer = api.http.get("/v1/users", params=query, headers=secret_of("shop"))
        refused(answer, "invalid_request", 400)


class TestAuthenticators:
    def test_each_is_told_with_what_is_known_of_it(self, api: Api) -> None:
        client = api.new_passkey()
        api.new_device(kind="push")
        api.kit.clock.pass_(60)
        api.sign_in(client)
        passkey, push = api.server("GET", "/users/ada/authenticators")
        assert passkey["userId"] == "ada"
        assert passkey["verificationMethod"] == "PASSKEY"
        assert passkey["createdAt"] == passkey["verifiedAt"] == "2026-11-03T12:00:00.000Z"
        assert passkey["lastVerifiedAt"] == "2026-11-03T12:01:00.000Z"
        credential = passkey["webauthnCredential"]
        assert credential.keys() >= {"credentialId", "name", "aaguid"}
        assert credential["deviceId"] == ""  # which is not kept, and is there for strict models
        assert credential["credentialDeviceType"] in ("singleDevice", "multiDevice")
        assert push["verificationMethod"] == "PUSH"
        assert push["devicePlatform"] == "IOS"
        assert "lastVerifiedAt" not in push

    def test_a_removed_one_is_gone(self, api: Api) -> None:
        api.new_passkey()
        api.new_device()
        for each in api.server("GET", "/users/ada/authenticators"):
            path = f"/users/ada/authenticators/{each['userAuthenticatorId']}"
            assert api.server("DELETE", path) == {}
            refused(api.http.delete(f"/v1{path}", headers=secret_of("shop")), "invalid_request", 404)
        assert api.server("GET", "/users/ada")["isEnrolled"] is False

    def test_nobody_removes_what_another_user_has(self, api: Api) -> None:
        api.new_passkey()
        api.new_passkey("eve", client=phone("eve", origin="https://shop.example.com"))
        (hers,) = api.server("GET", "/users/ada/authenticators")
        path = f"/v1/users/eve/authenticators/{hers['userAuthenticatorId']}"
        refused(api.http.delete(path, headers=secret_of("shop")), "invalid_request", 404)
        assert len(api.server("GET", "/users/ada/authenticators")) == 1

    @pytest.mark.parametrize(
        ("method", "told", "address"),
        [
            ("EMAIL_OTP", "EMAIL_OTP", {"email": "ada@example.com"}),
            ("EMAIL_MAGIC_LINK", "EMAIL_OTP", {"email": "ada@example.com"}),
            ("SMS", "SMS", {"phoneNumber": "+49123"}),
            ("WHATSAPP", "SMS", {"phoneNumber": "+49123"}),
        ],
    )
    def test_a_verified_address_is_listed_until_it_is_removed(
        self, api: Api, method: str, told: str, address: dict[str, str]
    ) -> None:
        answer = api.server("POST", "/users/ada/authenticators", {"verificationMethod": method, **address})
        made = answer["authenticator"]
        assert made["verificationMethod"] == told
        assert made.items() >= address.items()
        assert api.server("GET", "/users/ada/authenticators") == [made]
        api.server("DELETE", f"/users/ada/authenticators/{made['userAuthenticatorId']}")
        assert api.server("GET", "/users/ada/authenticators") == []
        assert api.server("GET", "/users/ada").items() >= address.items()

    def test_an_address_counts_as_enrolled_in_every_answer_and_meets_no_challenge(self, api: Api) -> None:
        assert api.track()["state"] == "ALLOW"
        body = {"verificationMethod": "EMAIL_OTP", "email": "ada@example.com"}
        api.server("POST", "/users/ada/authenticators", body)
        tracked, user = api.track(), api.server("GET", "/users/ada")
        for answer in (tracked, user):
            assert answer["isEnrolled"] is True
            assert answer["enrolledVerificationMethods"] == ["EMAIL_OTP"]
        listed = api.server("GET", "/users/ada/authenticators")
        assert [each["verificationMethod"] for each in listed] == ["EMAIL_OTP"]
        assert tracked["state"] == "CHALLENGE_REQUIRED"  # and not ALLOW, as if there were nothing
        assert "EMAIL_OTP" not in tracked["allowedVerificationMethods"]
        assert "defaultVerificationMethod" not in tracked

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"verificationMethod": "PASSKEY"},
            {"verificationMethod": "AUTHENTICATOR_APP"},
            {"verificationMethod": "EMAIL_OTP"},
            {"verificationMethod": "EMAIL_OTP", "email": ""},
            {"verificationMethod": "SMS", "email": "ada@example.com"},
        ],
    )
    def test_nothing_else_is_enrolled_like_that(self, api: Api, body: Any) -> None:
        answer = api.http.post("/v1/users/ada/authenticators", json=body, headers=secret_of("shop"))
        refused(answer, "invalid_request", 400)
        assert api.server("GET", "/users/ada/authenticators") == []
