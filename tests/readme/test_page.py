"""The README's page in a real Chromium, with the README's Flask server behind it.

Nothing listens anywhere: what the browser asks for is answered by the application's test client, at the address that
the quick start names.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import PLATFORM, Chromium, UnavailableError, launch
from tests.browser.sites import Sites

from .blocks import section
from .sites import ADDRESS, Visitor, flask_site
from .yours import ADA

if TYPE_CHECKING:
    from playwright.sync_api import Route

FILES = {
    "/": ("text/html", section("The page", "html")[0].code),
    "/passkeys.js": ("text/javascript", section("The page", "js")[0].code),
}
# A browser without autofill, save where the address asks for it: else it would sign in before anybody clicks.
AUTOFILL = """if (location.search !== "?autofill")
    PublicKeyCredential.isConditionalMediationAvailable = async () => false;"""
SIGNED_IN = "<!doctype html><title>signed in</title>"


class Page:
    """The page in the browser of `visitor`. Whoever comes to be signed in there sees another page."""

    def __init__(self, chromium: Chromium, visitor: Visitor) -> None:
        self.visitor = visitor
        self.browser = chromium._page
        self.browser.add_init_script(AUTOFILL)
        self.browser.route("**/*", self._answer)

    def add_passkey(self, visitor: Visitor) -> str:
        """The name of the new passkey of the user who is signed in there."""
        self.visitor = visitor
        name: str = self.browser.evaluate("async () => (await (await import('/passkeys.js')).addPasskey()).name")
        return name

    def sign_in(self, visitor: Visitor, *, click: bool) -> str | None:
        """Whom the page, opened anew, signs in: when the button is clicked, or by autofill."""
        self.visitor = visitor
        self.browser.goto(ADDRESS if click else f"{ADDRESS}/?autofill")
        if click:
            self.browser.click("#sign-in")
        self.browser.wait_for_function("document.title === 'signed in'")
        return visitor.user_id()

    def _answer(self, route: "Route") -> None:
        path = urlsplit(route.request.url).path
        if route.request.method == "POST":
            answer = self.visitor.post(path, route.request.post_data_json)
            route.fulfill(status=answer.status, content_type="application/json", body=json.dumps(answer.members))
        elif path == "/" and self.visitor.user_id() is not None:
            route.fulfill(content_type="text/html", body=SIGNED_IN)
        elif path in FILES:
            content_type, text = FILES[path]
            route.fulfill(content_type=content_type, body=text)
        else:
            route.fulfill(status=404)


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(launch(Sites(localhost="", embedder="", switches=())))
        except UnavailableError as error:
            if environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield browser


def test_the_page_registers_and_signs_in(chromium: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`addPasskey` makes a passkey, with which autofill signs in, and so does the button where there is no autofill."""
    monkeypatch.chdir(tmp_path)
    with flask_site("Level 2: start and finish / Flask") as site:
        page, ada = Page(chromium, site.visitor()), site.visitor()
        ada.sign_in_without_passkey()
        with chromium.tab(ADDRESS) as tab:
            tab.plug(PLATFORM)
            assert page.add_passkey(ada) == "Passkey"
            for click in (False, True):
                assert page.sign_in(site.visitor(), click=click) == ADA.id
