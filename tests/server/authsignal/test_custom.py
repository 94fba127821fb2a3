"""What the application says of an action besides: kept, shown by the device that answers, and told to nobody else."""

import base64
from typing import Any

import pytest

from passkeycore.testing import SoftwareDevice

from .kit import OWN, Api, Json, basic, good, key_in_query, refused, signed

CUSTOM = {"amount": 500.5, "payee": "Bob", "first": True}
NOBODY_KEEPS = [{"a": "x\x00"}, {"a\x00": "x"}]


def looked(api: Api, device: SoftwareDevice, signature: bytes | None = None) -> Json:
    """What waits for the device, as an app asks that signs, or does not."""
    headers = basic("shop")
    if signature is not None:
        headers["X-Authsignal-Signature"] = base64.b64encode(signature).decode()
    path = f"/v1{OWN}/push/challenge?publicKey={key_in_query(device)}"
    members: Json = good(api.http.get(path, headers=headers))
    return members


def message(api: Api, device: SoftwareDevice) -> Any:
    return api.post(f"{OWN}/push/challenge/sign?publicKey={key_in_query(device)}").get("message")


@pytest.mark.parametrize("with_token", [True, False])
def test_a_device_that_scans_a_code_is_told_what_the_browser_and_the_server_said(api: Api, with_token: bool) -> None:
    device = api.new_device(kind="qr-code")
    token = api.track(custom={"payee": "Bob"})["token"] if with_token else None
    start = api.post("/client/challenge/qr-code", {"action": "transfer", "custom": {"amount": 5}}, token=token)
    claimed = api.post(f"{OWN}/qr-code/challenge/claim", signed(device, start["challengeId"]))
    assert claimed["custom"] == {"amount": 5} | ({"payee": "Bob"} if with_token else {})


def test_a_device_is_told_what_it_approves_when_it_signs_for_it(api: Api) -> None:
    device = api.new_device()
    start = api.post("/client/challenge/push", {}, token=api.track(custom=CUSTOM)["token"])
    assert looked(api, device)["challengeId"] == start["challengeId"]
    text = message(api, device)
    assert looked(api, device, device.sign(text.encode()))["custom"] == CUSTOM


def test_who_knows_the_public_key_alone_is_not_told(api: Api) -> None:
    device, eve = api.new_device(), SoftwareDevice("eve")
    api.post("/client/challenge/push", {}, token=api.track(custom=CUSTOM)["token"])
    text = message(api, device)
    for signature in (None, b"", b"x", eve.sign(text.encode()), device.sign(b"another"), b"x" * 400):
        assert "custom" not in looked(api, device, signature)


def test_what_is_signed_for_it_approves_nothing(api: Api) -> None:
    device = api.new_device()
    start = api.post("/client/challenge/push", {}, token=api.track(custom=CUSTOM)["token"])
    text = message(api, device)
    assert text != start["challengeId"]
    forged = signed(device, start["challengeId"])
    forged["signature"] = base64.b64encode(device.sign(text.encode())).decode()
    refused(api.client("POST", f"{OWN}/push/challenge", {**forged, "approved": True}), "invalid_request", 403)


def test_nothing_is_signed_where_there_is_nothing_more_to_be_told(api: Api) -> None:
    device = api.new_device()
    assert message(api, device) is None
    api.post("/client/challenge/push", {}, token=api.track()["token"])
    assert message(api, device) is None


def test_what_does_not_fit_is_left_out_as_a_whole_where_the_server_said_it(api: Api) -> None:
    device = api.new_device()
    api.post("/client/challenge/push", {}, token=api.track(custom={str(n): "x" * 1_000 for n in range(5)})["token"])
    assert message(api, device) is None


def test_what_does_not_fit_is_refused_where_a_browser_says_it(api: Api) -> None:
    body = {"action": "transfer", "custom": {str(n): "x" * 1_000 for n in range(5)}}
    refused(api.client("POST", "/client/challenge/qr-code", body), "invalid_request", 400)


@pytest.mark.parametrize("custom", NOBODY_KEEPS)
def test_a_nul_is_no_text(api: Api, custom: Json) -> None:
    refused(api.client("POST", "/client/challenge/qr-code", {"custom": custom}), "invalid_request", 400)
    with pytest.raises(AssertionError, match="invalid_request"):
        api.track(custom=custom)
