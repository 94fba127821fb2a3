"""The package ``@authsignal/browser`` from npm, unchanged, in Chromium on the shop's own site: pages and dialect."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from passkeycore.webauthn.encoding import encode_base64url
from tests.server.kit import API_KEYS

from .browsing import Tab, World, world

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Json = dict[str, Any]

_LOAD: Final = """async ([module, baseUrl]) => {
    const {Authsignal} = await import(module);
    window.expired = 0;
    window.authsignal = new Authsignal({tenantId: "shop", baseUrl, onTokenExpired: () => window.expired++});
}"""


@pytest.fixture
def live(tmp_path: Path, browser: "Browser", packages: Path) -> Iterator[World]:
    """With the package on the shop's site."""
    with world(tmp_path, browser, files=packages / "node_modules") as found:
        yield found


@pytest.fixture
def tab(live: World) -> Iterator[Tab]:
    """The shop's site with the package at work."""
    with live.tab() as found:
        begin(found)
        yield found


def begin(tab: Tab) -> None:
    """Opens the shop's site, and the package there."""
    live = tab.world
    tab.open(f"{live.shop}/")
    module = f"{live.shop}/files/@authsignal/browser/dist/index.js"
    tab.page.evaluate(_LOAD, [module, f"{live.pages.base_url}/v1"])


def server(live: World, path: str, members: Json) -> Any:
    """What the shop's server is answered by the dialect."""
    answer = live.pages.http.post(f"/v1{path}", json=members, auth=(API_KEYS["shop"], ""))
    assert answer.status_code == 200, answer.text
    return answer.json()


def track(live: World, action: str = "withdraw-funds", **members: Any) -> Any:
    """An action that the shop's server has tracked."""
    return server(live, f"/users/ada/actions/{action}", members)


def sign_up(tab: Tab) -> Json:
    """What the package gives for a passkey of the user's, made on this device."""
    token = track(tab.world, "profile", scope="add:authenticators")["token"]
    found: Json = tab.page.evaluate("(token) => authsignal.passkey.signUp({token, username: 'ada'})", token)
    return found


def assert_valid(live: World, token: str, action: str = "withdraw-funds") -> None:
    """The token proves to the shop's server that the user has met the action's challenge."""
    members = {"token": token, "userId": "ada", "action": action}
    assert server(live, "/validate", members)["isValid"] is True


def test_launch_by_redirect(live: World, tab: Tab) -> None:
    sign_up(tab)
    url = track(live, redirectUrl=f"{live.shop}/back?order=17")["url"]
    tab.page.evaluate("(url) => { authsignal.launch(url) }", url)
    tab.page.wait_for_url(f"{live.pages.base_url}/challenge")  # its script has run
    tab.press("Continue with passkey")
    token = tab.arrived()
    assert tab.page.url.startswith(f"{live.shop}/back?order=17&token=")
    assert_valid(live, token)


def test_launch_in_a_popup(live: World, tab: Tab) -> None:
    """A frame: it is revealed as soon as it is ready, as high as its page, and closed by it."""
    sign_up(tab)
    url = track(live)["url"]
    tab.page.evaluate("(url) => { window.launched = authsignal.launch(url, {mode: 'popup'}) }", url)
    tab.page.wait_for_selector("iframe.as-iframe-ready", timeout=2_500)  # by itself it would be after three seconds
    height = tab.page.evaluate("() => document.querySelector('iframe').style.height")
    assert 300 < int(height.removesuffix("px")) < 1_200
    tab.page.frame_locator("iframe").get_by_role("button", name="Continue with passkey").click()
    assert_valid(live, tab.page.evaluate("() => launched")["token"])
    assert tab.page.locator("iframe").count() == 0


def test_launch_in_a_popup_with_an_expired_token(live: World, tab: Tab) -> None:
    url = track(live)["url"]
    live.pages.kit.clock.pass_(601)
    tab.page.evaluate(
        """(url) => {
            window.errors = [];
            window.launched = authsignal.launch(url, {mode: "popup", onError: (error) => errors.push(error)});
        }""",
        url,
    )
    tab.page.frame_locator("iframe").get_by_role("button", name="Go back").click()
    assert tab.page.evaluate("() => launched")["token"] is None
    assert tab.page.evaluate("() => errors") == [{"errorCode": "expired_token", "statusCode": 401}]


def test_launch_in_a_window(live: World, tab: Tab) -> None:
    url = track(live, "profile")["url"]
    with tab.context.expect_page() as opening:
        tab.page.evaluate("(url) => { window.launched = authsignal.launch(url, {mode: 'window'}) }", url)
    opening.value.get_by_role("button", name="Not now").click()
    answer = server(live, "/validate", {"token": tab.page.evaluate("() => launched")["token"]})
    assert (answer["isValid"], answer["state"], answer["userId"]) == (False, "ALLOW", "ada")


def test_passkeys_by_the_package_itself(live: World, tab: Tab) -> None:
    available = "() => authsignal.passkey.isAvailableOnDevice({userId: 'ada'})"
    assert tab.page.evaluate(available) is False
    done = sign_up(tab)
    assert done["data"]["token"]
    assert tab.page.evaluate(available) is True

    token = track(live)["token"]
    by_token = tab.page.evaluate("(token) => authsignal.passkey.signIn({token})", token)["data"]
    assert (by_token["isVerified"], by_token["userId"]) == (True, "ada")
    assert_valid(live, by_token["token"])

    by_action = tab.page.evaluate("() => authsignal.passkey.signIn({action: 'log-in'})")["data"]
    assert_valid(live, by_action["token"], "log-in")

    by_autofill = tab.page.evaluate("() => authsignal.passkey.signIn({action: 'log-in', autofill: true})")["data"]
    assert_valid(live, by_autofill["token"], "log-in")

    passkeys = live.pages.kit.tenant().passkeys
    (passkey,) = live.pages.kit.run(passkeys.list_passkeys("ada"))
    live.pages.kit.run(passkeys.remove_passkey("ada", encode_base64url(passkey.credential_id)))
    removed = tab.page.evaluate("() => authsignal.passkey.signIn({action: 'log-in'})")
    assert removed["errorCode"] == "unknown_credential"


def test_an_expired_token_is_told_to_the_application(live: World, tab: Tab) -> None:
    token = track(live, "profile", scope="add:authenticators")["token"]
    live.pages.kit.clock.pass_(601)
    answer = tab.page.evaluate("(token) => authsignal.passkey.signUp({token, username: 'ada'})", token)
    assert answer["errorCode"] == "expired_token"
    assert tab.page.evaluate("() => expired") == 1


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_push_message_is_polled(live: World, tab: Tab, decision: str) -> None:
    device = live.pages.new_device()
    tab.page.evaluate("(token) => authsignal.setToken(token)", track(live)["token"])
    started = tab.page.evaluate("() => authsignal.push.challenge({action: 'withdraw-funds'})")["data"]
    verify = "(challengeId) => authsignal.push.verify({challengeId})"
    assert tab.page.evaluate(verify, started["challengeId"])["data"] == {"isVerified": False, "isConsumed": False}
    live.pages.answer(device, started["challengeId"], decision)
    polled = tab.page.evaluate(verify, started["challengeId"])["data"]
    if decision == "approve":
        assert (polled["isVerified"], polled["isConsumed"]) == (True, True)
        assert_valid(live, polled["token"])
    else:
        assert polled == {"isVerified": False, "isConsumed": True}


@pytest.mark.parametrize("polling", [True, False])
def test_a_code_is_scanned(live: World, tab: Tab, polling: bool) -> None:
    """By polling, and over the WebSocket whose address the package makes of the base URL."""
    device = live.pages.new_device(method="qr-code")
    started = tab.page.evaluate(
        """(polling) => {
            window.states = [];
            const onStateChange = (state, token) => states.push([state, token ?? null]);
            return authsignal.qrCode.challenge({action: "log-in", polling, pollInterval: 300, onStateChange});
        }""",
        polling,
    )["data"]
    challenge_id = started["challengeId"]
    devices = live.pages.kit.tenant().devices
    signature = device.sign_challenge_id(challenge_id)
    live.pages.kit.run(devices.claim_challenge(challenge_id, public_key=device.public_key, signature=signature))
    tab.page.wait_for_function("() => states.some(([state]) => state === 'claimed')")
    live.pages.answer(device, challenge_id)
    tab.page.wait_for_function("() => states.some(([state]) => state === 'approved')")
    states: list[Any] = tab.page.evaluate("() => states")
    assert_valid(live, dict(states)["approved"], "log-in")
    tab.page.evaluate("() => authsignal.qrCode.disconnect()")
