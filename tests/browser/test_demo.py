"""The demonstration in Chromium: a visitor's whole life on the page, with authenticators of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from passkeycore import RelyingParty
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.repositories.sql import SQLRepository
from passkeycore.webauthn.encoding import decode_base64url

from .chromium import PLATFORM, SECURITY_KEY, Chromium, Device, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

ROOT = Path(__file__).parents[2]
_WATCH: Final = """() => {
    window.signals = [];
    for (const name of Object.getOwnPropertyNames(PublicKeyCredential).filter((name) => name.startsWith("signal"))) {
        const method = PublicKeyCredential[name].bind(PublicKeyCredential);
        PublicKeyCredential[name] = (argument) => {
            window.signals.push([name, argument]);
            return method(argument);
        };
    }
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


class Demo:
    """The page in a tab, and the service below it."""

    def __init__(self, tab: Tab, origin: str, repository: SQLRepository) -> None:
        self.tab = tab
        self.passkeys = PasskeyService(RelyingParty(id="localhost", origins=[origin]), repository)
        self.page: Page = tab._frame.page
        self.origin, self.repository = origin, repository
        self.problems: list[str] = []
        self.started: list[dict[str, Any]] = []
        """The bodies of sign-ins that the page has started."""
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if request.url.endswith("/sign-in/start"):
            self.started.append(json.loads(request.post_data))

    def open(self) -> None:
        """Loads the page and waits until it shows something."""
        self.page.reload()
        self.page.evaluate(_WATCH)
        self.page.wait_for_selector("main > section:not([hidden])")

    def expect(self, words: str) -> None:
        """Waits for a message on the page."""
        self.page.wait_for_selector(f'.message:has-text("{words}")', timeout=15_000)

    def press(self, button: str) -> None:
        self.page.click(f'button:visible:text-is("{button}")')

    def sign_up(self, name: str = "Ada") -> None:
        self.page.fill("#user-name", name)
        self.press("Create account")
        self.expect("Your account is ready.")

    def sign_out(self, autofill: Literal["waiting", "refused"] | None) -> None:
        """Signs out, and goes on when autofill is waiting for the visitor, or was refused for lack of one.

        None: there is no autofill, as the browser knows that it had nothing to offer.
        """
        self.page.evaluate("() => window.autofill = null")
        self.press("Sign out")
        self.expect("You are signed out.")
        self.page.wait_for_function("(state) => window.autofill === state", arg=autofill)

    def names(self) -> list[str]:
        return self.page.locator(".passkey h2").all_inner_texts()

    def signals(self, name: str) -> list[dict[str, Any]]:
        """The arguments with which the page called a signal method since it was loaded."""
        calls: list[tuple[str, dict[str, Any]]] = self.page.evaluate("() => window.signals")
        return [argument for called, argument in calls if called == name]


def keep_waiting(device: Device, waiting: bool = True) -> None:
    """Leaves every request of the authenticator for a touch unanswered, or answers them from now on."""
    device._send("setAutomaticPresenceSimulation", enabled=not waiting)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The command, running: its origin and its database."""
    file = tmp_path_factory.mktemp("demo") / "demo.sqlite"
    with subprocess.Popen(
        [sys.executable, "-m", "passkeycore", "demo", "--port", "0", "--database", file],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://localhost:\d+", process.stdout.readline())
            assert found
            yield found.group(), file
        finally:
            process.terminate()


@pytest.fixture
def demo(chromium: Chromium, served: tuple[str, Path]) -> Iterator[Demo]:
    origin, file = served
    repository = SQLRepository(f"sqlite:///{file}")
    with chromium.tab(origin) as tab:
        page = Demo(tab, origin, repository)
        page.page.context.clear_cookies()  # all tests share the browser
        page.open()
        yield page
        assert page.problems == []
    repository.close()


def test_a_whole_life(demo: Demo) -> None:
    page, phone = demo.page, demo.tab.plug(PLATFORM, defaultBackupEligibility=True, defaultBackupState=True)
    demo.sign_up("Ada Lovelace")
    assert page.inner_text("#visitor-name") == "Ada Lovelace"
    assert page.inner_text(".badge") == "Synced"
    assert re.fullmatch(r"Created \d{1,2} \w{3,4} \d{4}\s+Not used yet", page.inner_text(".dates"))
    demo.open()
    assert page.is_visible(".passkey")

    phone.recognise(False)  # autofill would take the passkey at once, as nobody has to choose it here
    demo.sign_out(autofill="refused")
    phone.recognise(True)
    page.focus("#user-name")
    demo.expect("You are signed in.")
    assert demo.started[-1] == {"autofill": True}
    assert "Last used just now" in page.inner_text(".dates")

    keep_waiting(phone)
    demo.sign_out(autofill="waiting")
    keep_waiting(phone, False)
    demo.press("Sign in with a passkey")  # while autofill still waits, and has to be called off
    demo.expect("You are signed in.")
    assert demo.started[-2:] == [{"autofill": True}, {}]

    demo.press("Add a passkey")
    demo.expect("This device already has a passkey for your account.")
    phone.unplug()
    demo.tab.plug(SECURITY_KEY)
    demo.press("Add a passkey")
    demo.expect("The passkey was added.")
    page.keyboard.type("My key")
    page.keyboard.press("Enter")
    demo.expect("The name was changed.")
    first, second = demo.names()
    assert second == "My key"
    assert page.locator(".badge").all_inner_texts() == ["Synced", "Device-bound"]

    page.click(f'[aria-label="Remove {first}"]')
    demo.press("Cancel")
    assert demo.names() == [first, second]
    page.click(f'[aria-label="Remove {first}"]')
    demo.press("Remove passkey")
    demo.expect("was removed.")
    assert demo.names() == ["My key"]

    demo.sign_out(autofill=None)
    demo.press("Sign in with a passkey")
    demo.expect("You are signed in.")
    page.click("#delete")
    page.click("#dialog-confirm")
    demo.expect("Your account was deleted.")


def test_a_rename_is_given_up_with_escape_and_keeps_the_keyboard_where_it_was(demo: Demo) -> None:
    demo.tab.plug(PLATFORM)
    demo.sign_up()
    (name,) = demo.names()
    demo.page.focus(".rename")
    demo.page.keyboard.press("Enter")
    demo.page.keyboard.type("Something else")
    demo.page.keyboard.press("Escape")
    assert demo.names() == [name]
    assert demo.page.evaluate("() => document.activeElement.className").endswith("rename")


def test_a_removed_passkey_signs_in_no_more_and_the_browser_is_told(demo: Demo) -> None:
    """Both kinds of signal: of all that are good, after each change; of one that is unknown, when it was used."""
    phone = demo.tab.plug(PLATFORM)
    demo.sign_up()
    accepted = demo.signals("signalAllAcceptedCredentials")[-1]
    (credential_id,) = accepted["allAcceptedCredentialIds"]
    assert demo.signals("signalCurrentUserDetails")[-1] == {
        "rpId": "localhost",
        "userId": accepted["userId"],
        "name": "Ada",
        "displayName": "Ada",
    }
    phone.recognise(False)
    demo.sign_out(autofill="refused")
    passkey, user = demo.repository.find_passkey("", decode_base64url(credential_id, "id")) or (None, None)
    assert passkey is not None
    assert user is not None
    demo.passkeys.remove_passkey(user.user_id, credential_id)  # elsewhere: this browser does not know yet
    phone.recognise(True)
    demo.press("Sign in with a passkey")
    demo.expect("This passkey is not known here any more.")
    assert demo.signals("signalUnknownCredential") == [{"rpId": "localhost", "credentialId": credential_id}]
    assert demo.page.is_visible("#signed-out")
    demo.press("Sign in with a passkey")
    demo.expect("Nothing was changed.")  # the browser has forgotten it


def test_another_browser_cannot_finish_what_this_one_started(demo: Demo) -> None:
    """A response that was stolen on its way is worth nothing, and spends the challenge."""
    phone = demo.tab.plug(PLATFORM)
    demo.sign_up()
    phone.recognise(False)
    demo.sign_out(autofill="refused")
    phone.recognise(True)
    stolen: list[tuple[str, str]] = []

    def steal(route: "Route") -> None:
        stolen.append((route.request.url, route.request.post_data or ""))
        route.abort()

    demo.page.route("**/sign-in/finish", steal)
    demo.press("Sign in with a passkey")
    demo.expect("The server does not answer.")
    demo.page.unroute("**/sign-in/finish")
    address, body = stolen[0]
    headers = {"Origin": demo.origin, "Content-Type": "application/json"}
    browser = demo.page.context.browser
    assert browser is not None
    other = browser.new_context()
    for request in (other.request, demo.page.context.request):
        assert request.post(address, data=body, headers=headers).status == 403
    assert other.request.get(f"{demo.origin}/api/account").json() == {"user": None}
    other.close()


def test_autofill_is_asked_for_again_before_its_challenge_expires(demo: Demo) -> None:
    phone = demo.tab.plug(PLATFORM)
    demo.page.clock.install()
    demo.open()
    demo.sign_up()
    keep_waiting(phone)
    demo.sign_out(autofill="waiting")
    before = len(demo.started)
    with demo.page.expect_request("**/sign-in/start"):
        demo.page.clock.fast_forward("29:01")
    assert demo.started[before:] == [{"autofill": True}]


def test_a_browser_that_lacks_the_json_methods_is_told(demo: Demo) -> None:
    browser = demo.page.context.browser
    assert browser is not None
    page = browser.new_page()  # with a context of its own, where the script stays
    page.add_init_script("delete PublicKeyCredential.parseCreationOptionsFromJSON")
    page.goto(demo.origin)
    page.wait_for_selector('.message:has-text("This browser is too old for passkeys.")')
    assert page.is_disabled("#sign-in")
    page.close()
