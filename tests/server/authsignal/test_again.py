"""A client that shows the token of its last success where a new one is due: the same user, once more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.kit import TenantKit, tenant_kit

from .kit import OWN, Api, Json, phone, refused, signed

USE = f"{OWN}/passkey/authentication-options"
RULES = """
[[tenants.shop.actions.sign-in.rules]]
id = "elsewhere"
outcome = "BLOCK"
when = { ip_address_in = ["203.0.113.0/24"] }
"""
ELSEWHERE = "203.0.113.5"


def test_a_passkey_is_used_again_with_the_token_of_its_last_success(api: Api) -> None:
    client = api.new_passkey()
    first = api.sign_in(client, token=api.track(idempotencyKey="first")["token"])["accessToken"]
    second = api.sign_in(client, token=first)["accessToken"]
    proof = api.validate(second, userId="ada", action="transfer")
    assert proof["isValid"] is True
    assert proof["idempotencyKey"] != "first"
    assert len(api.server("GET", "/users/ada/actions", params={"codes": "transfer"})) == 3  # with the enrolment's


def test_a_success_begins_one_further_action_however_often_options_are_asked_for(api: Api) -> None:
    client = api.new_passkey()
    first = api.sign_in(client, token=api.track()["token"])["accessToken"]
    before = len(transfers(api))
    starts = [api.post(USE, {}, token=first) for _ in range(3)]
    assert len(transfers(api)) == before + 1
    body = {"challengeId": starts[0]["challengeId"], "authenticationCredential": client.get(starts[0]["options"])}
    assert api.post("/client/verify/passkey", body, token=first)["isVerified"] is True


def test_a_further_action_that_is_over_takes_the_next_success(api: Api) -> None:
    client = api.new_passkey()
    first = api.sign_in(client, token=api.track()["token"])["accessToken"]
    second = api.sign_in(client, token=first)["accessToken"]
    before = transfers(api)
    refused(api.client("POST", USE, {}, token=first), "invalid_request")
    assert transfers(api) == before
    assert api.sign_in(client, token=second)["isVerified"] is True
    assert len(transfers(api)) == len(before) + 1


def test_each_success_begins_an_action_of_its_own(api: Api) -> None:
    client = api.new_passkey()
    for _ in range(2):
        token = api.sign_in(client, token=api.track()["token"])["accessToken"]
        before = len(transfers(api))
        api.post(USE, {}, token=token)
        assert len(transfers(api)) == before + 1


def transfers(api: Api) -> list[Json]:
    """All actions of that word."""
    found: list[Json] = api.server("GET", "/users/ada/actions", params={"codes": "transfer"})
    return found


def test_it_can_be_finished_with_the_tenants_name_and_with_no_other_token(api: Api) -> None:
    client = api.new_passkey()
    first = api.sign_in(client, token=api.track()["token"])["accessToken"]
    start = api.post(USE, {}, token=first)
    body = {"challengeId": start["challengeId"], "authenticationCredential": client.get(start["options"])}
    for other in (api.track()["token"], api.token("eve")):
        refused(api.client("POST", "/client/verify/passkey", body, token=other), "token_invalid", 401)
    assert api.post("/client/verify/passkey", body)["isVerified"] is True


@pytest.mark.parametrize("path", ["/client/verify/in-app", "/client/verify/device"])
def test_a_device_answers_again_with_the_token_of_its_last_success(api: Api, path: str) -> None:
    device = api.new_device(kind="in-app")
    seen = set[str]()
    token = None
    for _ in range(3):
        id = api.post("/client/challenge")["challengeId"]
        token = api.post(path, signed(device, id), token=token)["token"]
        proof = api.validate(token, userId="ada", action="sign-in")
        assert proof["isValid"] is True
        seen.add(proof["idempotencyKey"])
    assert len(seen) == 3


def test_another_users_device_answers_nothing_with_it_and_nothing_is_stored(api: Api) -> None:
    client = api.new_passkey(client=phone("p", origin="https://shop.example.com"))
    eve = api.new_device("eve", kind="in-app", seed="eve")
    token = api.sign_in(client, token=api.track()["token"])["accessToken"]
    before = [api.server("GET", f"/users/{user_id}/actions") for user_id in ("ada", "eve")]
    id = api.post("/client/challenge")["challengeId"]
    refused(api.client("POST", "/client/verify/in-app", signed(eve, id), token=token), "invalid_credential", 403)
    assert [api.server("GET", f"/users/{user_id}/actions") for user_id in ("ada", "eve")] == before


def test_it_asks_no_device_by_a_push_message(api: Api) -> None:
    client = api.new_passkey()
    api.new_device()
    token = api.sign_in(client, token=api.track()["token"])["accessToken"]
    refused(api.client("POST", "/client/challenge/push", {}, token=token), "token_invalid", 401)


def test_a_success_whose_passkey_was_removed_begins_nothing(api: Api) -> None:
    client = api.new_passkey()
    token = api.sign_in(client, token=api.track()["token"])["accessToken"]
    (passkey,) = api.server("GET", "/users/ada/authenticators")
    api.server("DELETE", f"/users/ada/authenticators/{passkey['userAuthenticatorId']}")
    refused(api.client("POST", USE, {}, token=token), "token_invalid", 401)


@pytest.mark.parametrize("rules", ["none", "one that allows no passkey", "one that allows them"])
def test_what_no_passkey_ever_meets_is_refused_and_nothing_is_stored(api: Api, rules: str) -> None:
    client = api.new_passkey()
    token = api.sign_in(client, token=api.track()["token"])["accessToken"]
    transfer: Json = {"allowed_methods": ["push"]}
    if rules != "none":
        rule = {"id": "elsewhere", "outcome": "CHALLENGE", "when": {"ip_address_in": ["203.0.113.0/24"]}}
        methods = ["passkey", "push"] if rules == "one that allows them" else ["in-app"]
        transfer["rules"] = [{**rule, "allowed_methods": methods}]
    api.kit.run(api.kit.tenants.change("shop", {"actions": {"transfer": transfer}}, revision=0))
    before = transfers(api)
    api.http = api.kit.client(api.app, address=ELSEWHERE)
    answer = api.client("POST", USE, {}, token=token)
    if rules == "one that allows them":
        assert answer.status_code == 200
        assert len(transfers(api)) == len(before) + 1
    else:
        assert "method" in refused(answer, "invalid_request")["errorDescription"]
        assert transfers(api) == before


class TestRules:
    @pytest.fixture
    def tenants(self, tmp_path: Path) -> Iterator[TenantKit]:
        """Nobody signs in from elsewhere."""
        with tenant_kit(tmp_path, shop_more=RULES) as kit:
            yield kit

    def test_rules_decide_anew(self, api: Api) -> None:
        client = api.new_passkey()
        token = api.sign_in(client)["accessToken"]
        before = api.server("GET", "/users/ada/actions", params={"codes": "sign-in"})
        api.http = api.kit.client(api.app, address=ELSEWHERE)
        refused(api.client("POST", USE, {}, token=token), "invalid_request")
        after = api.server("GET", "/users/ada/actions", params={"codes": "sign-in"})
        assert [each["state"] for each in after] == ["BLOCK", *(each["state"] for each in before)]  # who reads it may

    def test_a_code_whose_approval_they_block_is_over(self, api: Api) -> None:
        device = api.new_device(kind="qr-code")
        start = api.post("/client/challenge/qr-code")
        api.post(f"{OWN}/qr-code/challenge/claim", signed(device, start["challengeId"]))
        api.post(f"{OWN}/qr-code/challenge", {**signed(device, start["challengeId"]), "approved": True})
        api.http = api.kit.client(api.app, address=ELSEWHERE)
        poll = {name: start[name] for name in ("challengeId", "deviceCode")}
        for _ in range(2):
            polled = api.post("/client/verify/qr-code", poll)
            assert polled == {"isClaimed": True, "isVerified": False, "isConsumed": True}
