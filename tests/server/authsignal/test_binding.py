"""What a device signs says nothing of what it is for: which challenge it answers, by which route, is for the server."""

import pytest

from .kit import OWN, Api, key_in_query, phone, refused, signed

ROUTES = ("push", "qr-code", "device")
ANSWERED_BY = {"push": {"push"}, "qr-code": {"qr-code", "device"}, "in-app": {"device"}}
"""By which routes the challenge of a method is answered."""


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ANSWERED_BY)
def test_a_challenge_is_answered_by_the_routes_of_its_method(api: Api, method: str, route: str) -> None:
    """One key is enrolled for everything, as the oldest apps have it."""
    if method == "in-app":
        device = api.new_device(kind="in-app")  # and nothing else: it looks by itself
    else:
        device = api.new_device(kind="push")
        for kind in ("qr-code", "in-app"):
            api.new_device(kind=kind)
    token = api.track()["token"]
    if method == "qr-code":
        id = api.post("/client/challenge/qr-code", {}, token=token)["challengeId"]
        api.post(f"{OWN}/qr-code/challenge/claim", signed(device, id))
    else:
        id = api.post("/client/challenge/push", {}, token=token)["challengeId"]
    answer = api.client("POST", f"{OWN}/{route}/challenge", {**signed(device, id), "approved": True})
    if route in ANSWERED_BY[method]:
        assert answer.json() == {"isVerified": True}
    else:
        refused(answer, "invalid_request", 400)
        assert api.validate(token)["state"] == "CHALLENGE_REQUIRED"


@pytest.mark.parametrize("id", ["", "x", "\x00" * 43, "A" * 43, "A" * 10_000])
def test_an_id_that_is_none_is_answered_by_nobody(api: Api, id: str) -> None:
    device = api.new_device()
    refused(api.client("POST", f"{OWN}/push/challenge", {**signed(device, id), "approved": True}), "invalid_request")


def test_a_device_is_asked_no_more_for_what_a_passkey_has_met(api: Api) -> None:
    client = api.new_passkey(client=phone("p", origin="https://shop.example.com"))
    device = api.new_device()
    met, other = (api.track()["token"] for _ in range(2))
    ids = [api.post("/client/challenge/push", {}, token=token)["challengeId"] for token in (other, met)]
    api.sign_in(client, token=met)
    assert api.get(f"{OWN}/push/challenge?publicKey={key_in_query(device)}")["challengeId"] == ids[0]
    refused(
        api.client("POST", f"{OWN}/push/challenge", {**signed(device, ids[1]), "approved": True}), "invalid_request"
    )
    assert api.post("/client/verify/push", {"challengeId": ids[1]}, token=met) == {
        "isVerified": False,
        "isConsumed": True,
    }


def test_each_error_of_devices_has_a_sentence_of_its_own(api: Api) -> None:
    device, stranger = api.new_device(), api.new_device("eve", seed="eve")
    token = api.track()["token"]
    id = api.post("/client/challenge/push", {}, token=token)["challengeId"]

    def sentence(path: str, body: object) -> str:
        answer = api.client("POST", path, body, token=None)  # type: ignore[arg-type]
        text: str = refused(answer, "invalid_request")["errorDescription"]
        return text

    path = f"{OWN}/push/challenge"
    foreign = sentence(path, {**signed(stranger, id), "approved": True})
    unknown = sentence(path, {**signed(device, "A" * 43), "approved": True})
    no_key = sentence(path, {**signed(device, id), "publicKey": "AAAA", "approved": True})
    code = sentence(path, {**signed(device, id), "approved": True, "verificationCode": "12"})
    claim = sentence(f"{OWN}/qr-code/challenge/claim", signed(device, id))
    assert len({foreign, unknown, no_key, code}) == 4
    assert claim == unknown
    assert "could not be processed" not in "".join((foreign, unknown, no_key, code))
