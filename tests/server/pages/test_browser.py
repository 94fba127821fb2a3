"""Hosted pages in Chromium: every page, by mouse and by keyboard alone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from passkeycore.server.pages import sign_in_url
from passkeycore.testing import SoftwareDevice

from .browsing import Tab, World, world

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_WATCH: Final = """() => {
    window.autofill = null;
    const get = navigator.credentials.get.bind(navigator.credentials);
    navigator.credentials.get = (options) => {
        const asked = get(options);
        if (options.mediation === "conditional") {
            window.autofill = "waiting";
            asked.catch(() => window.autofill = "refused");
        }
        return asked;
    };
}"""


def keep_waiting(tab: Tab, waiting: bool = True) -> None:
    """Leaves requests for a touch unanswered, or answers them from now on."""
    assert tab.device is not None
    tab.device._send("setAutomaticPresenceSimulation", enabled=not waiting)


def test_a_challenge_is_met_and_the_browser_goes_back(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        tracked = live.pages.track(redirect_url=f"{live.shop}/back?order=17")
        tab.open(live.pages.url(tracked))
        assert tab.heading() == "Confirm it is you"
        assert "Withdraw funds" in tab.page.inner_text("main")
        tab.press("Continue with passkey")
        token = tab.arrived()
        assert tab.page.url.startswith(f"{live.shop}/back?order=17&token=")
        assert live.pages.validated(token) == "ada"
        assert tab.context.cookies() == []


def test_a_cancelled_dialog_is_told_and_can_be_tried_again(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        assert tab.device is not None
        tab.open(live.pages.url(live.pages.track()))
        tab.device.recognise(False)
        tab.press("Continue with passkey")
        tab.page.wait_for_selector('[role=alert]:has-text("Nothing was changed.")')
        tab.device.recognise(True)
        tab.press("Continue with passkey")
        tab.expect("Confirmed")
        tab.expect("You can close this page.")


def test_whoever_cancels_goes_back_with_a_token_that_proves_nothing(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        tracked = live.pages.track(redirect_url=f"{live.shop}/back")
        tab.open(live.pages.url(tracked))
        tab.press("Cancel")
        assert tab.arrived() == tracked.token
        assert live.pages.state(tracked) == "CHALLENGE_REQUIRED"


def test_a_challenge_by_keyboard_alone(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        live.pages.new_device()
        tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back")))
        reached: list[str] = []
        for _ in range(3):
            tab.page.keyboard.press("Tab")
            reached.append(tab.page.evaluate("() => document.activeElement.innerText.trim()"))
            width = tab.page.evaluate("() => getComputedStyle(document.activeElement).outlineWidth")
            assert width == "3px", "the focus can be seen"
        assert reached == ["Continue with passkey", "Cancel", "Ask my app"]
        tab.page.keyboard.press("Shift+Tab")
        tab.page.keyboard.press("Shift+Tab")
        tab.page.keyboard.press("Enter")
        assert live.pages.validated(tab.arrived()) == "ada"


def test_a_new_passkey_or_not_now(live: World) -> None:
    with live.tab() as tab:
        skipped = live.pages.track("ada", "profile", redirect_url=f"{live.shop}/back")
        tab.open(live.pages.url(skipped))
        assert tab.heading() == "Create a passkey"
        tab.press("Not now")
        assert tab.arrived() == skipped.token
        made = live.pages.track("ada", "profile", redirect_url=f"{live.shop}/back")
        tab.open(live.pages.url(made))
        tab.press("Create a passkey")
        assert tab.arrived() == made.token
        tab.open(live.pages.url(live.pages.track("ada", "profile", scope=["add:authenticators"])))
        assert tab.heading() == "Add another passkey"
        tab.press("Create a passkey")
        tab.expect("This device already has a passkey for your account.")


def test_a_user_without_anything_makes_a_passkey_and_then_meets_the_challenge(live: World) -> None:
    with live.tab() as tab:
        tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back")))
        tab.press("Create a passkey")
        tab.page.wait_for_selector("h1:text-is('Confirm it is you')")
        tab.press("Continue with passkey")
        assert live.pages.validated(tab.arrived()) == "ada"


def test_force_enrollment_comes_after_the_challenge(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back"), "&force_enrollment=true"))
        tab.press("Continue with passkey")
        tab.expect("Add another passkey")
        tab.press("Not now")
        assert live.pages.validated(tab.arrived()) == "ada"


def test_passkeys_are_listed_renamed_and_removed_by_keyboard_alone(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        live.pages.new_device()
        keys = tab.page.keyboard
        tracked = live.pages.track(redirect_url=f"{live.shop}/back")
        tab.open(live.pages.url(tracked, "&settings=true"))
        tab.press("Continue with passkey")  # before anything is shown
        tab.expect("Your passkeys and devices")
        assert tab.page.locator(".what").all_inner_texts()[1] == "Ada's phone"
        assert "Added 3 November 2026" in tab.page.inner_text(".dates >> nth=0")
        tab.page.focus(".rename >> nth=0")
        keys.press("Enter")
        keys.type("Something else")
        keys.press("Escape")
        assert "Something else" not in tab.page.locator(".what").all_inner_texts()
        assert tab.page.evaluate("() => document.activeElement.className").endswith("rename")
        keys.press("Enter")
        keys.type("My laptop")
        keys.press("Enter")
        tab.page.wait_for_selector('[role=status]:has-text("The name was changed.")')
        assert tab.page.locator(".what").all_inner_texts() == ["My laptop", "Ada's phone"]
        tab.page.focus(".remove >> nth=1")
        keys.press("Enter")
        assert tab.page.evaluate("() => document.activeElement.innerText") == "Keep it"
        keys.press("Escape")
        assert tab.page.locator(".row").count() == 2
        assert tab.page.evaluate("() => document.activeElement.innerText").startswith("Remove")
        keys.press("Enter")
        keys.press("Tab")
        keys.press("Enter")
        tab.page.wait_for_selector('[role=status]:has-text("was removed.")')
        assert tab.page.locator(".what").all_inner_texts() == ["My laptop"]
        tab.press("Done")
        assert live.pages.validated(tab.arrived()) == "ada"


def test_a_passkey_is_added_to_the_list(live: World) -> None:
    with live.tab() as tab:
        live.pages.new_device()
        tab.open(live.pages.url(live.pages.track("ada", "profile", scope=["add:authenticators"]), "&settings=true"))
        assert tab.page.locator(".row").count() == 1
        assert tab.page.locator(".tools").count() == 0, "it may be neither renamed nor removed"
        tab.press("Add a passkey")
        tab.page.wait_for_selector(".row >> nth=1")


# --- signing in ---


def test_the_browser_signs_in_from_the_field(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        url = sign_in_url(live.pages.server, live.pages.kit.tenant(), redirect_url=f"{live.shop}/back?state=1")
        tab.page.goto(url)  # the virtual authenticator takes the offer at once
        assert live.pages.validated(tab.arrived()) == "ada"


def test_the_button_calls_autofill_off(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        keep_waiting(tab)
        tab.page.add_init_script(f"({_WATCH})()")
        url = sign_in_url(live.pages.server, live.pages.kit.tenant(), redirect_url=f"{live.shop}/back")
        tab.page.goto(url)
        tab.page.wait_for_function("() => window.autofill === 'waiting'")
        keep_waiting(tab, False)
        tab.page.fill("#user-name", "ada")
        tab.page.keyboard.press("Enter")
        assert live.pages.validated(tab.arrived()) == "ada"


def test_autofill_is_asked_for_again_before_its_challenge_expires(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        keep_waiting(tab)
        tab.page.clock.install()
        tab.page.add_init_script(f"({_WATCH})()")
        with tab.page.expect_request("**/passkey/start") as first:
            tab.page.goto(sign_in_url(live.pages.server, live.pages.kit.tenant()))
        assert json.loads(first.value.post_data or "") == {"autofill": True}
        tab.page.wait_for_function("() => window.autofill === 'waiting'")
        with tab.page.expect_request("**/passkey/start") as second:
            tab.page.clock.fast_forward("29:01")
        assert json.loads(second.value.post_data or "") == {"autofill": True}


def test_an_unknown_passkey_is_told_and_forgotten(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        live.pages.kit.run(live.pages.kit.tenant().passkeys.remove_all_passkeys("ada"))
        tab.page.goto(sign_in_url(live.pages.server, live.pages.kit.tenant()))
        tab.expect("This passkey is not known here any more.")


# --- waiting ---


def asked_of(device: SoftwareDevice, live: World, tab: Tab) -> str:
    """What the page has asked the device."""
    tab.page.wait_for_load_state("networkidle")
    return live.pages.pending(device)


def test_a_push_message_is_waited_for(live: World) -> None:
    device = live.pages.new_device()
    with live.tab() as tab:
        tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back")))
        assert tab.heading() == "Confirm in your app"
        live.pages.answer(device, asked_of(device, live, tab))
        assert live.pages.validated(tab.arrived()) == "ada"


def test_a_page_that_is_loaded_again_does_not_ask_twice(live: World) -> None:
    device = live.pages.new_device()
    with live.tab() as tab:
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
        tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back")))
        assert asked_of(device, live, tab)
        tab.page.reload(wait_until="networkidle")
        assert asked.count("start") == 1
        live.pages.answer(device, asked_of(device, live, tab))
        assert live.pages.validated(tab.arrived()) == "ada"


def test_a_rejection_on_the_phone_ends_it(live: World) -> None:
    device = live.pages.new_device()
    with live.tab() as tab:
        tracked = live.pages.track(redirect_url=f"{live.shop}/back")
        tab.open(live.pages.url(tracked))
        live.pages.answer(device, asked_of(device, live, tab), "reject")
        tab.expect("This was not confirmed")
        tab.press("Go back")
        assert tab.arrived() == tracked.token
        assert live.pages.state(tracked) == "CHALLENGE_FAILED"


def test_another_way_takes_the_question_back(live: World) -> None:
    device = live.pages.new_device()
    with live.tab() as tab:
        tab.new_passkey()
        tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back")))
        tab.page.click("text=Ask my app")
        tab.expect("Confirm in your app")
        assert asked_of(device, live, tab)
        tab.page.click("text=Use a passkey")
        tab.page.wait_for_selector("h1:text-is('Confirm it is you')")
        with pytest.raises(AssertionError):
            live.pages.pending(device)
        tab.press("Continue with passkey")
        assert live.pages.validated(tab.arrived()) == "ada"


def test_a_code_is_scanned(live: World) -> None:
    device = live.pages.new_device(method="qr-code")
    with live.tab() as tab:
        with tab.page.expect_response("**/device/start") as started:
            tab.page.goto(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back")))
        tab.page.wait_for_selector("#qr")
        assert tab.page.evaluate("() => document.getElementById('qr').naturalWidth") > 100
        challenge_id = started.value.json()["challenge"]
        signature = device.sign_challenge_id(challenge_id)
        devices = live.pages.kit.tenant().devices
        live.pages.kit.run(devices.claim_challenge(challenge_id, public_key=device.public_key, signature=signature))
        tab.expect("Your phone has scanned the code.")
        live.pages.answer(device, challenge_id)
        assert live.pages.validated(tab.arrived()) == "ada"


def test_a_code_that_nobody_scanned_is_replaced(tmp_path: Path, browser: "Browser") -> None:
    with world(tmp_path, browser, hasty=True) as live:
        live.pages.new_device(method="qr-code")
        with live.tab() as tab:
            with tab.page.expect_response("**/device/start") as first:
                tab.page.goto(live.pages.url(live.pages.track()))
            assert first.value.ok
            with tab.page.expect_response("**/device/start") as second:
                live.pages.kit.clock.pass_(60)
            assert first.value.json()["qr"] != second.value.json()["qr"]


def test_a_push_message_that_nobody_answered_is_sent_again_when_asked(tmp_path: Path, browser: "Browser") -> None:
    with world(tmp_path, browser, hasty=True) as live:
        device = live.pages.new_device()
        with live.tab() as tab:
            tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back")))
            assert asked_of(device, live, tab)
            live.pages.kit.clock.pass_(60)
            tab.expect("Nobody answered in time.")
            tab.press("Ask again")
            tab.page.wait_for_selector("#waiting:visible")
            live.pages.answer(device, asked_of(device, live, tab))
            assert live.pages.validated(tab.arrived()) == "ada"


# --- a second tab, a stale page ---


def test_a_second_tab_learns_that_it_is_settled(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        url = live.pages.url(live.pages.track())
        tab.open(url)
        second = tab.context.new_page()
        second.goto(url)
        tab.press("Continue with passkey")
        tab.expect("Confirmed")
        second.click("text=Continue with passkey")
        second.wait_for_selector("text=Already confirmed")


def test_a_page_that_was_open_for_too_long_says_so(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        tab.open(live.pages.url(live.pages.track()))
        live.pages.kit.clock.pass_(601)
        tab.press("Continue with passkey")
        tab.expect("This link has expired")


def test_a_browser_that_lacks_the_json_methods_is_told(live: World) -> None:
    with live.tab() as tab:
        tab.page.add_init_script("delete PublicKeyCredential.parseCreationOptionsFromJSON")
        tab.open(live.pages.url(live.pages.track("new")))
        tab.expect("This browser is too old for passkeys.")
        assert tab.page.is_disabled("#create")


def test_a_server_that_does_not_answer_is_told(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        tab.open(live.pages.url(live.pages.track()))
        tab.page.route("**/passkey/start", lambda route: route.abort())
        tab.press("Continue with passkey")
        tab.expect("The server does not answer.")


def test_a_device_without_a_passkey_is_told(live: World) -> None:
    live.pages.new_passkey()
    with live.tab() as tab:
        tab.open(live.pages.url(live.pages.track()))
        tab.press("Continue with passkey")
        tab.page.wait_for_selector("[role=alert]:not(:empty)")
