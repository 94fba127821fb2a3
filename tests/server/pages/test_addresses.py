"""What stands in the address bar of a page, in Chromium: nothing that opens it, while loading it again still works."""

from typing import TYPE_CHECKING

from passkeycore.server.pages import sign_in_url

from .browsing import Tab, World

if TYPE_CHECKING:
    from playwright.sync_api import Request


def assert_hidden(tab: Tab) -> None:
    """The address opens nothing, and nor does anything that other pages can read of the tab."""
    tab.page.wait_for_selector("#content:not([inert])", state="attached")
    assert tab.page.url == f"{tab.world.pages.base_url}/challenge"
    assert tab.page.evaluate("() => sessionStorage.length + localStorage.length") == 0


def reload(tab: Tab, title: str) -> None:
    """Loads the page again, which is still there."""
    tab.page.evaluate("() => { window.before = true }")
    tab.page.reload(wait_until="commit")
    tab.page.wait_for_function(f"() => !window.before && document.querySelector('h1')?.innerText === '{title}'")
    tab.page.wait_for_load_state("networkidle")
    assert_hidden(tab)


def test_no_token_stays_in_the_address_and_none_of_a_success_is_ever_there(live: World) -> None:
    asked: list[str] = []

    def note(request: "Request") -> None:
        asked.append(request.url)

    with live.tab() as tab:
        tab.new_passkey()
        tab.page.on("request", note)
        tab.open(live.pages.url(live.pages.track(redirect_url=f"{live.shop}/back"), "&settings=true"))
        assert_hidden(tab)
        reload(tab, "Confirm it is you")
        tab.press("Continue with passkey")
        tab.expect("Your passkeys and devices")
        assert_hidden(tab)
        reload(tab, "Your passkeys and devices")
        tab.press("Done")
        token = tab.arrived()
        assert live.pages.validated(token) == "ada"
        assert [url for url in asked if token in url and not url.startswith(f"{live.shop}/back")] == []


def test_a_page_to_sign_in_is_hidden_as_well(live: World) -> None:
    with live.tab(plugged=False) as tab:
        tab.open(sign_in_url(live.pages.server, live.pages.kit.tenant()))
        assert_hidden(tab)
        reload(tab, "Sign in")


def test_an_address_without_a_token_is_said_to_be_one(live: World) -> None:
    with live.tab() as tab:
        tab.open(f"{live.pages.base_url}/challenge")
        tab.expect("This link does not work")


def test_who_removes_the_passkey_they_came_with_stays_on_the_page(live: World) -> None:
    """It only shows what is left, also when it is loaded again."""
    with live.tab() as tab:
        tab.new_passkey()
        live.pages.new_device()
        tab.open(live.pages.url(live.pages.track(), "&settings=true"))
        tab.press("Continue with passkey")
        tab.expect("Your passkeys and devices")
        tab.page.click(".remove >> nth=0")
        tab.page.click("#dialog-confirm")
        tab.page.wait_for_selector('[role=status]:has-text("was removed.")')
        assert tab.page.locator(".row").count() == 1
        assert tab.page.locator(".rename, .remove, #add").count() == 0
        reload(tab, "Your passkeys and devices")
        assert tab.page.locator(".row").count() == 1
        assert tab.page.locator(".rename, .remove, #add").count() == 0
