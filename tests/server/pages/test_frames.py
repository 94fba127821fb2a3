"""Hosted pages in frames, windows and for apps, in Chromium: who may show them, and who is told of their end."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from .browsing import Tab, World

if TYPE_CHECKING:
    from playwright.sync_api import Frame


def framed(tab: Tab, origin: str, url: str) -> "Frame":
    """The page in a frame of a site."""
    tab.open(f"{origin}/")
    tab.page.evaluate("(url) => embed(url)", url)
    while not (frame := tab.page.frames[-1]).url:  # it has loaded, but the driver was not told yet
        tab.page.wait_for_timeout(20)
    return frame


def events(tab: Tab) -> list[dict[str, Any]]:
    """What the site was told, as texts of JSON."""
    return [json.loads(data) for _, data in tab.messages() if isinstance(data, str)]


def test_a_frame_of_the_tenants_site_is_told_and_a_challenge_is_met_in_it(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        tracked = live.pages.track(redirect_url=f"{live.shop}/back")
        frame = framed(tab, live.shop, live.pages.url(tracked, "&mode=popup"))
        frame.click("text=Continue with passkey")
        tab.page.wait_for_function("() => messages.some(([, data]) => `${data}`.includes('CLOSE_POPUP'))")
        assert {origin for origin, _ in tab.messages()} == {live.pages.server.origin}
        ready, closed = events(tab)
        assert ready == {"event": "AUTHSIGNAL_READY"}
        assert closed == {"event": "AUTHSIGNAL_CLOSE_POPUP", "token": closed["token"]}
        assert live.pages.validated(closed["token"]) == "ada"
        heights = [data for _, data in tab.messages() if not isinstance(data, str)]
        assert heights
        assert all(size.keys() == {"height"} and 100 < size["height"] < 1_500 for size in heights)


def test_a_passkey_is_made_in_a_frame(live: World) -> None:
    with live.tab() as tab:
        tracked = live.pages.track("new", "profile")
        frame = framed(tab, live.shop, live.pages.url(tracked, "&mode=popup"))
        frame.click("button >> text=Create a passkey")
        tab.page.wait_for_function("() => messages.some(([, data]) => `${data}`.includes('CLOSE_POPUP'))")
        assert events(tab)[-1]["token"] == tracked.token


@pytest.mark.parametrize("mode", ["", "&mode=popup"])
def test_a_foreign_frame_shows_nothing_and_is_told_nothing(live: World, mode: str) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        frame = framed(tab, live.foreign, live.pages.url(live.pages.track(), mode))
        assert frame.url.startswith("chrome-error:")
        assert tab.messages() == []


def test_the_tenants_site_frames_only_a_popup(live: World) -> None:
    with live.tab() as tab:
        frame = framed(tab, live.shop, live.pages.url(live.pages.track()))
        assert frame.url.startswith("chrome-error:")


def test_an_expired_token_is_told_to_the_frame(live: World) -> None:
    with live.tab() as tab:
        tracked = live.pages.track()
        live.pages.kit.clock.pass_(601)
        frame = framed(tab, live.shop, live.pages.url(tracked, "&mode=popup"))
        assert frame.inner_text("h1:visible") == "This link has expired"
        error = {"event": "AUTHSIGNAL_API_ERROR", "errorCode": "expired_token", "statusCode": 401}
        tab.page.wait_for_function("() => messages.length > 1")
        assert error in events(tab)


@pytest.mark.parametrize("site", ["shop", "foreign"])
def test_a_window_tells_only_the_tenants_site_that_has_opened_it(live: World, site: str) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        tab.open(f"{getattr(live, site)}/")
        with tab.context.expect_page() as opening:
            url = live.pages.url(live.pages.track(), "&mode=popup")
            tab.page.evaluate("(url) => { window.open(url, '', 'width=400,height=700') }", url)
        window = opening.value
        window.wait_for_load_state("networkidle")
        session = tab.context.new_cdp_session(window)
        session.send("WebAuthn.enable", {})
        assert window.inner_text("h1:visible") == "Confirm it is you"
        window.click("text=Cancel")
        window.wait_for_selector("text=Nothing was changed")
        told = [event["event"] for event in events(tab)]
        assert told == (["AUTHSIGNAL_READY", "AUTHSIGNAL_CLOSE_POPUP"] if site == "shop" else [])


def test_an_app_is_called_by_its_scheme(live: World) -> None:
    with live.tab() as tab:
        tab.new_passkey()
        tab.open(live.pages.url(live.pages.track(), "&nativeScheme=authsignal"))
        with tab.page.expect_response("**/passkey/finish") as finished:
            tab.press("Continue with passkey")
        ending = finished.value.json()
        assert ending["redirect"] == f"authsignal://auth?token={ending['token']}"
        assert live.pages.validated(ending["token"]) == "ada"
