"""QR codes: a browser shows one and polls, an app scans, claims and answers."""

from typing import Any

import pytest

from passkeycore.testing import SoftwareDevice

from .kit import OWN, Api, Json, refused, signed

START = "/client/challenge/qr-code"
POLL = "/client/verify/qr-code"
CLAIM = f"{OWN}/qr-code/challenge/claim"
ANSWER = f"{OWN}/qr-code/challenge"
NOBODY = {"isClaimed": False, "isVerified": False, "isConsumed": False}


def begun(api: Api, token: str | None = None, **body: Any) -> Json:
    """What a browser polls with."""
    start = api.post(START, {"action": "transfer", **body}, token=token)
    assert start.keys() == {"challengeId", "expiresAt", "deviceCode"}
    return {"challengeId": start["challengeId"], "deviceCode": start["deviceCode"]}


@pytest.mark.parametrize("with_token", [True, False])
@pytest.mark.parametrize("kind", ["qr-code", "device"])
def test_the_app_that_scans_approves_and_the_browser_gets_the_proof_once(api: Api, with_token: bool, kind: str) -> None:
    device = api.new_device(kind=kind)
    tracked = api.track()
    poll = begun(api, tracked["token"] if with_token else None)
    assert api.post(POLL, poll) == NOBODY
    claimed = api.post(f"{OWN}/{kind}/challenge/claim", signed(device, poll["challengeId"]))
    assert claimed["success"] is True
    assert claimed["actionCode"] == "transfer"
    assert claimed["ipAddress"] == "192.0.2.1"
    assert api.post(POLL, poll) == NOBODY | {"isClaimed": True}
    answer = {**signed(device, poll["challengeId"]), "approved": True}
    assert api.post(f"{OWN}/{kind}/challenge", answer) == {"isVerified": True}
    polled = api.post(POLL, poll)
    assert (polled["isClaimed"], polled["isVerified"], polled["isConsumed"]) == (True, True, True)
    proof = api.validate(polled["accessToken"], userId="ada", action="transfer")
    assert (proof["isValid"], proof["verificationMethod"]) == (True, "QR_CODE")
    assert (proof["idempotencyKey"] == tracked["idempotencyKey"]) is with_token
    assert api.post(POLL, poll) == {"isClaimed": True, "isVerified": False, "isConsumed": True}


@pytest.mark.parametrize("with_token", [True, False])
def test_a_rejection_is_consumed_and_not_verified(api: Api, with_token: bool) -> None:
    device = api.new_device(kind="qr-code")
    poll = begun(api, api.track()["token"] if with_token else None)
    api.post(CLAIM, signed(device, poll["challengeId"]))
    api.post(ANSWER, {**signed(device, poll["challengeId"]), "approved": False})
    assert api.post(POLL, poll) == {"isClaimed": True, "isVerified": False, "isConsumed": True}


def test_an_approval_takes_a_claim_first_and_by_the_same_key(api: Api) -> None:
    """A claim and an answer sign the same text: only the order, and the key, tell them apart."""
    ada, eve = api.new_device(kind="qr-code"), api.new_device("eve", kind="qr-code", seed="eve")
    poll = begun(api)
    id = poll["challengeId"]
    refused(api.client("POST", ANSWER, {**signed(ada, id), "approved": True}), "invalid_request")
    api.post(CLAIM, signed(ada, id))
    refused(api.client("POST", CLAIM, signed(eve, id)), "invalid_request")
    refused(api.client("POST", ANSWER, {**signed(eve, id), "approved": True}), "invalid_request")
    assert api.post(POLL, poll) == NOBODY | {"isClaimed": True}


def test_only_whoever_asked_gets_the_answer(api: Api) -> None:
    device = api.new_device(kind="qr-code")
    poll, other = begun(api), begun(api)
    api.post(CLAIM, signed(device, poll["challengeId"]))
    api.post(ANSWER, {**signed(device, poll["challengeId"]), "approved": True})
    for code in (other["deviceCode"], "", "x", poll["deviceCode"][:-1]):
        refused(api.client("POST", POLL, poll | {"deviceCode": code}), "invalid_request", 400)
    refused(api.client("POST", POLL, poll, tenant="bank"), "invalid_request", 400)
    assert api.post(POLL, poll)["isVerified"] is True


def test_another_users_action_is_not_met(api: Api) -> None:
    eve = api.new_device("eve", kind="qr-code", seed="eve")
    poll = begun(api, api.track("ada")["token"])
    refused(api.client("POST", CLAIM, signed(eve, poll["challengeId"])), "invalid_request", 403)


def test_a_code_that_nobody_scans_in_time_is_over(api: Api) -> None:
    poll = begun(api)
    lifetime_s = api.kit.tenant().devices.context.challenge_lifetime.total_seconds()
    api.kit.clock.pass_(lifetime_s - 1)
    assert api.post(POLL, poll) == NOBODY
    api.kit.clock.pass_(1)
    refused(api.client("POST", POLL, poll), "invalid_request", 400)


def test_without_an_action_it_is_the_word_that_the_server_is_told(api: Api) -> None:
    device = api.new_device(kind="qr-code")
    poll = begun(api, action=None)
    claimed = api.post(CLAIM, signed(device, poll["challengeId"]))
    assert claimed["actionCode"] == "sign-in"


@pytest.mark.parametrize("body", [{"action": "a b"}, {"action": 5}, {"custom": {"a": []}}, {"custom": 1}])
def test_what_cannot_be_asked_is_refused(api: Api, body: Json) -> None:
    refused(api.client("POST", START, body), "invalid_request", 400)


def test_a_stranger_claims_nothing(api: Api) -> None:
    poll = begun(api)
    refused(api.client("POST", CLAIM, signed(SoftwareDevice("eve"), poll["challengeId"])), "invalid_request", 403)
    assert api.post(POLL, poll) == NOBODY
