"""Actions, as an application's server tracks, validates, looks up and reviews them."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from starlette.applications import Starlette

from passkeycore.engine.actions.records import Action
from passkeycore.engine.tenancy.records import Profile
from passkeycore.server.pages import routes as pages_routes
from tests.server.kit import API_KEYS, BASE_URL, tenant_kit

from .kit import Api, good, refused, secret_of

ACTION = "/users/ada/actions/transfer"


class TestTrack:
    def test_it_begins_an_action_and_tells_where_to_go_on(self, api: Api) -> None:
        tracked = api.server("POST", ACTION, {})
        assert tracked["state"] == "ALLOW"
        assert tracked["isEnrolled"] is False
        assert tracked["enrolledVerificationMethods"] == []
        assert tracked["allowedVerificationMethods"] == ["PASSKEY", "PUSH", "IN_APP", "QR_CODE"]
        assert tracked["ruleIds"] == []
        assert len(tracked["idempotencyKey"]) == 32

    def test_the_url_has_a_question_mark_already_as_sdks_append_to_it(self, api: Api) -> None:
        tracked = api.track()
        url = urlsplit(tracked["url"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{BASE_URL}/challenge"
        assert parse_qs(url.query) == {"token": [tracked["token"]]}

    def test_the_token_survives_a_header_a_query_and_a_subprotocol(self, api: Api) -> None:
        assert set(api.track()["token"]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")

    def test_no_body_at_all_is_an_empty_one(self, api: Api) -> None:
        assert good(api.http.post(f"/v1{ACTION}", headers=secret_of("shop")))["token"]

    def test_a_repeated_request_gets_the_same_action(self, api: Api) -> None:
        first = api.track(idempotencyKey="order-1")
        assert first["idempotencyKey"] == "order-1"
        assert api.track(idempotencyKey="order-1") == first
        assert api.track()["idempotencyKey"] != api.track()["idempotencyKey"]

    def test_who_is_enrolled_is_told_by_what(self, api: Api) -> None:
        api.new_passkey()
        api.new_device(kind="push")
        tracked = api.track()
        assert tracked["isEnrolled"] is True
        assert tracked["enrolledVerificationMethods"] == ["PASSKEY", "PUSH"]
        assert tracked["defaultVerificationMethod"] == "PASSKEY"

    @pytest.mark.parametrize("user_id", ["a b", "ada|1", "a/b", "ä", "a.b@example.com", "a%2Fb"])
    def test_any_user_id_that_sdks_put_into_a_path(self, api: Api, user_id: str) -> None:
        path = user_id.replace("%", "%25").replace(" ", "%20")
        tracked = api.server("POST", f"/users/{path}/actions/transfer", {})
        assert api.validate(tracked["token"])["userId"] == user_id

    def test_unknown_attributes_are_ignored(self, api: Api) -> None:
        assert api.track(unknown="javascript:alert(1)", customDomain="x", redirectToSettings=True)["token"]

    def test_attributes_are_kept_with_the_user(self, api: Api) -> None:
        api.track(email="ada@example.com", phoneNumber="+4912345", username="ada", locale="de")
        user = api.server("GET", "/users/ada")
        assert (user["email"], user["phoneNumber"], user["username"], user["locale"]) == (
            "ada@example.com",
            "+4912345",
            "ada",
            "de",
        )
        assert user["emailVerified"] is False

    def test_decimals_of_the_python_sdk_are_numbers(self, api: Api) -> None:
        custom = {"amount": ["12.50"], "currency": "EUR", "first": True, "count": 3, "nothing": None}
        key = api.track(custom=custom)["idempotencyKey"]
        action = api.kit.run(api.kit.tenant().actions.get_action("ada", "transfer", key))
        assert action.custom == {"amount": 12.5, "currency": "EUR", "first": True, "count": 3}

    @pytest.mark.parametrize(
        "attributes",
        [
            {"email": 5},
            {"custom": {"a": {"b": 1}}},
            {"custom": {"a": ["x"]}},
            {"custom": {"a": ["1", "2"]}},
            {"custom": {"a": 10**30}},
            {"custom": {str(n): n for n in range(65)}},
            {"custom": {"": 1}},
            {"ipAddress": "1" * 65},
            {"scope": "everything"},
            {"idempotencyKey": "k" * 256},
            {"username": "\x00"},
            {"email": "e" * 256},
        ],
    )
    def test_what_cannot_be_kept_is_refused_and_nothing_is_stored(self, api: Api, attributes: Any) -> None:
        answer = api.http.post(f"/v1{ACTION}", json={"username": "eve", **attributes}, headers=secret_of("shop"))
        refused(answer, "invalid_request", 400)
        assert api.server("GET", "/users/ada/actions") == []
        assert "username" not in api.server("GET", "/users/ada")

    def test_a_profile_that_others_change_faster_keeps_nobody_from_an_answer(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was stored is not refused; of the profile, the others have the last word."""
        repository = api.kit.tenant().repository
        save = repository.save_profile

        async def outrun(profile: Profile) -> bool:
            """As when somebody else writes the same revision first, each time."""
            assert await save(msgspec.structs.replace(profile, username=f"other {profile.revision}"))
            return await save(profile)

        monkeypatch.setattr(repository, "save_profile", outrun)
        tracked = api.track(username="mine", idempotencyKey="one")
        assert tracked["idempotencyKey"] == "one"
        assert [each["idempotencyKey"] for each in api.server("GET", "/users/ada/actions")] == ["one"]
        assert api.server("GET", "/users/ada")["username"].startswith("other")

    @pytest.mark.parametrize("body", [b"[]", b"{", b"null", b'"x"', b"\xff", b"[" * 10_000])
    def test_a_body_that_is_no_object_is_refused(self, api: Api, body: bytes) -> None:
        refused(api.http.post(f"/v1{ACTION}", content=body, headers=secret_of("shop")), "invalid_request", 400)

    @pytest.mark.parametrize("action", ["a b", "a.b", "x" * 65, "ä"])
    def test_a_word_that_is_none_is_refused(self, api: Api, action: str) -> None:
        answer = api.http.post(f"/v1/users/ada/actions/{action}", json={}, headers=secret_of("shop"))
        refused(answer, "invalid_request", 400)

    @pytest.mark.parametrize(
        "url", ["https://shop.example.com/done?a=1", "https://shop.example.com", "com.example.shop:/done"]
    )
    def test_a_redirect_to_what_is_registered_is_kept(self, api: Api, url: str) -> None:
        key = api.track(redirectUrl=url)["idempotencyKey"]
        action = api.kit.run(api.kit.tenant().actions.get_action("ada", "transfer", key))
        assert action.redirect_url == url

    @pytest.mark.parametrize(
        "url",
        [
            "javascript:alert(1)",
            "https://evil.example",
            "http://shop.example.com",
            "https://shop.example.com.evil.example",
            "https://shop.example.com@evil.example",
            "https://shop.example.com:8443",
            "https:\\\\evil.example",
            "//evil.example",
            "/relative",
            "com.example.other:/done",
            "https://shop.example.com\t/",
            "https://shop.example.com/" + "x" * 2048,
            "https://[",
        ],
    )
    def test_a_redirect_anywhere_else_is_refused(self, api: Api, url: str) -> None:
        answer = api.http.post(f"/v1{ACTION}", json={"redirectUrl": url}, headers=secret_of("shop"))
        refused(answer, "invalid_request", 400)
        assert api.server("GET", "/users/ada/actions") == []

    def test_attributes_are_read_in_either_spelling(self, api: Api) -> None:
        """The SDK for Python sends them as they were typed."""
        tracked = api.track(
            idempotency_key="typed",
            redirect_url="https://shop.example.com/done",
            redirect_to_settings=True,
            ip_address="192.0.2.7",
            user_agent="Browser",
            device_id="pc",
            phone_number="+49123",
            custom={"an_amount": 5},
        )
        assert tracked["idempotencyKey"] == "typed"
        assert "settings=true" in tracked["url"]
        action = api.kit.run(api.kit.tenant().actions.get_action("ada", "transfer", "typed"))
        assert (action.ip_address, action.user_agent, action.device_id) == ("192.0.2.7", "Browser", "pc")
        assert action.redirect_url == "https://shop.example.com/done"
        assert action.custom == {"an_amount": 5}
        assert api.server("GET", "/users/ada")["phoneNumber"] == "+49123"

    def test_of_both_spellings_the_dialects_own_counts(self, api: Api) -> None:
        assert api.track(idempotency_key="typed", idempotencyKey="own")["idempotencyKey"] == "own"

    def test_a_redirect_elsewhere_is_refused_in_either_spelling(self, api: Api) -> None:
        answer = api.http.post(f"/v1{ACTION}", json={"redirect_url": "https://evil.example"}, headers=secret_of("shop"))
        refused(answer, "invalid_request", 400)

    @pytest.mark.parametrize("is_enrolled", [True, False])
    def test_a_repeated_request_whose_action_has_expired_is_told_its_state_and_no_token(
        self, api: Api, is_enrolled: bool
    ) -> None:
        if is_enrolled:
            api.new_device()
        api.track(idempotencyKey="order-1")
        api.kit.clock.pass_(600)
        again = api.track(idempotencyKey="order-1")
        assert again["state"] == ("CHALLENGE_FAILED" if is_enrolled else "ALLOW")
        assert again["idempotencyKey"] == "order-1"
        assert again.keys().isdisjoint({"token", "url"})

    def test_who_has_nothing_enrolled_is_allowed_and_may_enrol_with_the_token(self, api: Api) -> None:
        tracked = api.track()
        assert (tracked["state"], tracked["isEnrolled"]) == ("ALLOW", False)
        assert api.validate(tracked["token"])["isValid"] is False  # nothing was proven by it
        assert api.validate(tracked["token"])["state"] == "ALLOW"
        client, body = api.kit.virtual_client(), {"username": "ada"}
        start = api.post("/client/user-authenticators/passkey/registration-options", body, token=tracked["token"])
        made = {"challengeId": start["challengeId"], "registrationCredential": client.create(start["options"])}
        done = api.post("/client/user-authenticators/passkey", made, token=tracked["token"])
        assert done["isVerified"] is True
        assert api.track()["state"] == "CHALLENGE_REQUIRED"
        proof = api.sign_in(client, token=done["accessToken"])["accessToken"]
        assert api.validate(proof)["idempotencyKey"] == tracked["idempotencyKey"]

    def test_the_hosted_page_lets_them_enrol_too(self, api: Api) -> None:
        tenant = api.kit.tenant()
        tracked = api.track()
        shown = api.kit.run(tenant.actions.read_token(tracked["token"]))
        assert (shown.kind, shown.action.state.value) == ("track", "ALLOW")
        pages = api.kit.client(Starlette(routes=pages_routes(api.kit.tenants, api.kit.settings)))
        answer = pages.get(tracked["url"].removeprefix(BASE_URL), follow_redirects=True)
        assert answer.status_code == 200
        assert "passkey" in answer.text
        assert "has expired" not in answer.text

    def test_a_tenant_may_want_a_challenge_whoever_it_is(self, tmp_path: Path) -> None:
        with tenant_kit(tmp_path, shop_more="challenge_unenrolled = true") as kit:
            assert Api(kit).track()["state"] == "CHALLENGE_REQUIRED"


class TestValidate:
    def test_a_fresh_token_proves_nothing_and_tells_whose_it_is(self, api: Api) -> None:
        api.new_passkey()
        tracked = api.track()
        answer = api.validate(tracked["token"])
        assert answer["isValid"] is False
        assert answer["state"] == "CHALLENGE_REQUIRED"
        assert (answer["userId"], answer["action"], answer["actionCode"]) == ("ada", "transfer", "transfer")
        assert answer["idempotencyKey"] == tracked["idempotencyKey"]
        assert "verificationMethod" not in answer

    def test_the_token_of_a_success_proves_it(self, api: Api) -> None:
        client = api.new_passkey()
        tracked = api.track()
        token = api.sign_in(client, token=tracked["token"])["accessToken"]
        assert token != tracked["token"]
        for expected in ({}, {"userId": "ada"}, {"action": "transfer"}, {"userId": "ada", "action": "transfer"}):
            answer = api.validate(token, **expected)
            assert answer["isValid"] is True
            assert answer["state"] == "CHALLENGE_SUCCEEDED"
            assert answer["verificationMethod"] == "PASSKEY"
            assert answer["idempotencyKey"] == tracked["idempotencyKey"]

    def test_the_token_from_before_the_challenge_stays_without_proof(self, api: Api) -> None:
        client = api.new_passkey()
        before = api.track()["token"]
        api.sign_in(client, token=before)
        assert api.validate(before)["isValid"] is False

    @pytest.mark.parametrize("expected", [{"userId": "eve"}, {"action": "login"}, {"userId": "eve", "action": "login"}])
    @pytest.mark.parametrize("is_met", [True, False])
    def test_a_foreign_user_or_action_is_not_valid_and_its_state_is_not_told(
        self, api: Api, expected: Any, is_met: bool
    ) -> None:
        client = api.new_passkey()
        token = api.track()["token"]
        if is_met:
            token = api.sign_in(client, token=token)["accessToken"]
        answer = api.validate(token, **expected)
        assert answer.keys() == {"isValid", "state", "error"}
        assert answer["state"] == "CHALLENGE_FAILED"  # whatever it is

    def test_another_tenants_token_is_none(self, api: Api) -> None:
        token = api.track(tenant="bank")["token"]
        answer = api.http.post("/v1/validate", json={"token": token}, headers=secret_of("shop"))
        refused(answer, "token_invalid", 400)

    def test_an_expired_token_says_so(self, api: Api) -> None:
        token = api.track()["token"]
        api.kit.clock.pass_(601)
        answer = api.http.post("/v1/validate", json={"token": token}, headers=secret_of("shop"))
        refused(answer, "expired_token", 400)

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "x" * 20_000])
    def test_what_is_no_token_is_refused(self, api: Api, token: str) -> None:
        answer = api.http.post("/v1/validate", json={"token": token}, headers=secret_of("shop"))
        refused(answer, "token_invalid", 400)

    def test_without_a_token_there_is_nothing_to_validate(self, api: Api) -> None:
        refused(api.http.post("/v1/validate", json={}, headers=secret_of("shop")), "invalid_request", 400)


class TestActions:
    def test_an_action_is_looked_up_by_its_key(self, api: Api) -> None:
        api.new_device()
        key = api.track()["idempotencyKey"]
        action = api.server("GET", f"{ACTION}/{key}")
        assert action["state"] == "CHALLENGE_REQUIRED"
        assert action["createdAt"] == action["stateUpdatedAt"] == "2026-11-03T12:00:00.000Z"
        assert action["output"] is not None
        assert action["rules"] == []

    def test_one_that_is_not_there_is_an_error(self, api: Api) -> None:
        answer = api.http.get(f"/v1{ACTION}/nothing", headers=secret_of("shop"))
        refused(answer, "invalid_request", 404)

    def test_no_server_says_that_a_challenge_was_met(self, api: Api) -> None:
        api.new_device()
        key = api.track()["idempotencyKey"]
        for state in ("CHALLENGE_SUCCEEDED", "ALLOW", "NONSENSE", ""):
            answer = api.http.patch(f"/v1{ACTION}/{key}", json={"state": state}, headers=secret_of("shop"))
            refused(answer, "invalid_request")
        assert api.server("GET", f"{ACTION}/{key}")["state"] == "CHALLENGE_REQUIRED"

    def test_a_users_actions_the_newest_first(self, api: Api) -> None:
        for action in ("transfer", "sign-in"):
            api.track(action=action)
            api.kit.clock.pass_(60)
        api.track("eve")
        listed = api.server("GET", "/users/ada/actions")
        assert [each["actionCode"] for each in listed] == ["sign-in", "transfer"]
        assert listed[0]["state"] == "ALLOW"

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"codes": "transfer"}, 1),
            ({"codes": "transfer,sign-in"}, 2),
            ({"codes": "other"}, 0),
            ({"state": "ALLOW"}, 2),
            ({"state": "BLOCK"}, 0),
            ({"fromDate": "2026-11-03T12:00:30.000Z"}, 1),
            ({"fromDate": "2026-11-03"}, 2),
        ],
    )
    def test_they_can_be_filtered(self, api: Api, query: Any, found: int) -> None:
        api.track(action="transfer")
        api.kit.clock.pass_(60)
        api.track(action="sign-in")
        assert len(api.server("GET", "/users/ada/actions", params=query)) == found

    @pytest.mark.parametrize(("count", "more"), [(1000, None), (1001, "true")])
    def test_where_there_are_more_than_are_listed_a_header_says_so(
        self, api: Api, count: int, more: str | None
    ) -> None:
        tenant, (first,) = api.kit.tenant(), [api.track(idempotencyKey="0")]
        stored = api.kit.run(tenant.actions.get_action("ada", "transfer", first["idempotencyKey"]))
        many = [msgspec.structs.replace(stored, idempotency_key=str(number)) for number in range(1, count)]

        async def store(actions: list[Action]) -> None:
            for action in actions:
                await tenant.actions.context.repository.add_action(action, None)

        api.kit.run(store(many))
        answer = api.http.get("/v1/users/ada/actions", headers=secret_of("shop"))
        assert len(good(answer)) == 1000
        assert answer.headers.get("x-more-actions") == more

    @pytest.mark.parametrize("query", [{"state": "X"}, {"fromDate": "yesterday"}, {"codes": "a b"}])
    def test_a_filter_that_makes_no_sense_is_refused(self, api: Api, query: Any) -> None:
        answer = api.http.get("/v1/users/ada/actions", params=query, headers=secret_of("shop"))
        refused(answer, "invalid_request", 400)


def test_actions_are_their_tenants_alone(api: Api) -> None:
    key = api.track(idempotencyKey="one")["idempotencyKey"]
    refused(api.http.get(f"/v1{ACTION}/{key}", headers=secret_of("bank")), "invalid_request", 404)
    assert api.server("GET", "/users/ada/actions", tenant="bank") == []


def test_the_secret_is_the_name_of_basic_and_any_password_will_do(api: Api) -> None:
    shown = base64.b64encode(f"{API_KEYS['shop']}:password".encode()).decode()
    assert good(api.http.get("/v1/users/ada", headers={"Authorization": f"basic {shown}"}))["isEnrolled"] is False


def test_a_key_of_the_file_may_have_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "an older key: of the shop, from its file"
    monkeypatch.setitem(API_KEYS, "shop", key)

    def asked(api: Api, shown: str) -> Any:
        header = {"Authorization": "Basic " + base64.b64encode(shown.encode()).decode()}
        return api.http.get("/v1/users/ada", headers=header)

    with tenant_kit(tmp_path) as kit:
        api = Api(kit)
        for shown in (f"{key}:", key):
            assert good(asked(api, shown))["isEnrolled"] is False
        for wrong in ("an older key:", "an older key", f"{key}x:"):
            refused(asked(api, wrong), "unauthorized", 401)


def test_a_secret_that_is_no_base64_of_any_kind_is_refused(api: Api) -> None:
    """Whatever bytes it has, also such as are no UTF-8."""
    for value in (b"\xff", "Schlüssel".encode(), "Schlüssel".encode("latin-1"), b"\xa0"):
        for scheme in (b"Basic ", b"Bearer "):
            refused(api.http.get("/v1/users/ada", headers={"Authorization": scheme + value}), "unauthorized", 401)
