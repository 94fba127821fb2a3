"""axe-core finds nothing on any page, in either colour scheme; nothing moves for those who asked for that."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from passkeycore.server.pages import sign_in_url

from .browsing import Tab, World, world

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ALL: Final = [f"{right}:authenticators" for right in ("read", "add", "update", "remove")]


def ended(tab: Tab) -> None:
    tab.press("Create a passkey")
    tab.expect("Your passkey is ready")


def failed(tab: Tab) -> None:
    assert tab.device is not None
    tab.device.recognise(False)
    tab.press("Continue with passkey")
    tab.page.wait_for_selector("[role=alert]:not(:empty)")
    tab.device.recognise(True)


STATES: Final[dict[str, tuple[Callable[[World], str], Callable[[Tab], Any] | None]]] = {
    "challenge": (lambda live: live.pages.url(live.pages.track()), None),
    "challenge that failed": (lambda live: live.pages.url(live.pages.track("ben")), failed),
    "push": (
        lambda live: live.pages.url(live.pages.track(), "&method=push"),
        lambda tab: tab.page.wait_for_selector("#number:visible"),
    ),
    "qr-code": (
        lambda live: live.pages.url(live.pages.track(), "&method=qr-code"),
        lambda tab: tab.page.wait_for_selector("#qr[src]"),
    ),
    "enrolment": (lambda live: live.pages.url(live.pages.track("new", "profile")), None),
    "enrolment that ended": (lambda live: live.pages.url(live.pages.track("new", "profile")), ended),
    "settings": (lambda live: live.pages.url(live.pages.track("ada", "profile", scope=ALL), "&settings=true"), None),
    "settings, renaming": (
        lambda live: live.pages.url(live.pages.track("ada", "profile", scope=ALL), "&settings=true"),
        lambda tab: tab.page.click(".rename >> nth=0"),
    ),
    "settings, removing": (
        lambda live: live.pages.url(live.pages.track("ada", "profile", scope=ALL), "&settings=true"),
        lambda tab: tab.page.click(".remove >> nth=0"),
    ),
    "sign-in": (lambda live: sign_in_url(live.pages.server, live.pages.kit.tenant()), None),
    "note": (lambda live: live.pages.url(live.pages.track("ada", "refund", redirect_url=f"{live.shop}/")), None),
    "wrong link": (lambda live: live.pages.url("x"), None),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    tmp_path: Path, browser: "Browser", packages: Path, scheme: Literal["light", "dark"]
) -> None:
    with world(tmp_path, browser, more="number_matching = true") as live:
        check_all(live, packages, scheme)


def check_all(live: World, packages: Path, scheme: Literal["light", "dark"]) -> None:
    axe = (packages / "node_modules/axe-core/axe.min.js").read_text()
    live.pages.new_passkey()
    live.pages.new_passkey("ben", "ben's")
    live.pages.new_device()
    live.pages.new_device(method="qr-code")
    # The policy of the pages would keep axe out as well.
    with live.tab(color_scheme=scheme, bypass_csp=True, viewport={"width": 360, "height": 740}) as tab:
        for state, (url, act) in STATES.items():
            tab.open(url(live))
            if act is not None:
                act(tab)
            tab.page.evaluate(axe)
            found = tab.page.evaluate(f"async () => (await axe.run({{runOnly: {_TAGS}}})).violations")
            assert found == [], f"{state}: {[(one['id'], [node['html'] for node in one['nodes']]) for one in found]}"
            assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= 360, f"{state} fits a phone"


_TAGS: Final = '["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]'


def test_nothing_moves_for_those_who_asked_for_that(live: World) -> None:
    live.pages.new_device()
    with live.tab(reduced_motion="reduce") as tab:
        tab.open(live.pages.url(live.pages.track()))
        assert tab.page.evaluate("() => document.getAnimations().length") == 0
    with live.tab(reduced_motion="no-preference") as tab:
        tab.open(live.pages.url(live.pages.track()))
        assert tab.page.evaluate("() => document.getAnimations().length") > 0
