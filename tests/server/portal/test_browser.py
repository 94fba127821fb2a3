"""The portal in Chromium: one whole life of an operator, by keyboard where it matters, and axe on every page."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

from passkeycore.server.app import server_app
from tests.browser.chromium import PLATFORM, Device
from tests.server.kit import OPERATOR_SECRET, TenantKit, free_port, tenant_kit

from .kit import RULES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS: Final = 20_000
TAGS: Final = '["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]'
FINGERPRINT: Final = ":".join(["AB"] * 32)
APPS: Final = f"com.example.shop\n{FINGERPRINT}"


class Live:
    """The server, live, and the operator's browser."""

    def __init__(self, kit: TenantKit, url: str, page: "Page") -> None:
        self.kit = kit
        self.url = url
        self.page = page

    def open(self, place: str) -> None:
        """A page of the portal's."""
        self.page.goto(f"{self.url}/portal{place}")

    def press(self, name: str) -> None:
        """The first button that can be seen and is called so."""
        self.page.get_by_role("button", name=name).first.click()

    def expect(self, words: str) -> None:
        """Waits until the page says this."""
        self.page.wait_for_selector(f"text={words}")

    def sign_in(self) -> None:
        """By the secret."""
        self.open("/sign-in")
        self.page.get_by_label("Operator secret").fill(OPERATOR_SECRET)
        self.press("Sign in with the secret")
        self.expect("Tenants")

    def busy_days(self, days: int = 14) -> None:
        """Users of the shop do something each day; time has passed then."""
        passkeys = self.kit.tenant().passkeys
        phone, tablet = self.kit.virtual_client(seed="phone"), self.kit.virtual_client(seed="tablet")
        for user, client in (("ada", phone), ("ada", tablet), ("ben", self.kit.virtual_client(seed="ben"))):
            start = self.kit.run(passkeys.start_registration(user_id=user, user_name=f"{user}@example.com"))
            self.kit.run(passkeys.finish_registration(client.create(start.to_dict()), user_id=user))
        for day in range(days - 1):
            self.kit.clock.pass_(86_400)
            self.kit.run(self.kit.tenant().actions.track("ada", "transfer"))
            for time in range(1 + day * 7 % 5):
                answer = phone.get(self.kit.run(passkeys.start_authentication(binding="b")).to_dict())
                try:
                    binding = "b" if (day + time) % 4 else "other"
                    self.kit.run(passkeys.finish_authentication(answer, binding=binding))
                except Exception as error:  # noqa: BLE001 - a ceremony that fails is wanted
                    assert "not begun here" in str(error)


@contextmanager
def live(place: Path, browser: "Browser", **options: Any) -> Generator[Live]:
    """The whole server, and a tab of a profile of its own; options are of the profile."""
    port = free_port()
    with (
        tenant_kit(place, port=port, shop_more=RULES) as kit,
        kit.live(server_app(kit.tenants, kit.settings), port) as url,
    ):
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
        session = context.new_cdp_session(page)
        session.send("WebAuthn.enable", {})
        Device(session, PLATFORM)
        try:
            yield Live(kit, url, page)
            assert problems == []
        finally:
            context.close()


def test_a_whole_life(tmp_path: Path, browser: "Browser") -> None:
    """In by the secret, a passkey made, out and in again with it; settings, keys and users changed; out."""
    with live(tmp_path, browser) as it:
        it.busy_days(2)
        it.open("/tenants/shop/settings")
        assert it.page.url.endswith("/portal/sign-in")
        it.page.get_by_label("Operator secret").fill("x" * 32)
        it.page.keyboard.press("Enter")
        it.expect("This is not the operator secret")
        it.page.get_by_label("Operator secret").fill(OPERATOR_SECRET)
        it.page.keyboard.press("Enter")
        it.expect("Tenants")

        it.open("/access")
        it.press("Add a passkey")  # nothing happens without the secret
        it.page.get_by_label("Operator secret").fill("x" * 32)
        it.press("Add a passkey")
        it.expect("This is not the operator secret")
        it.page.get_by_label("Operator secret").fill(OPERATOR_SECRET)
        it.press("Add a passkey")
        it.expect("The passkey is ready")
        it.press("Sign out")
        it.expect("You have signed out")
        it.page.go_back()
        assert "Sign out" not in it.page.content()
        it.open("/sign-in")
        it.press("Sign in with a passkey")
        it.expect("Tenants")

        it.page.get_by_role("link", name="Shop").click()
        it.page.get_by_role("link", name="Settings").click()
        it.page.get_by_label("Android apps").fill(APPS)
        it.page.get_by_label("Rules").fill('[default]\ndefault = "PERHAPS"')
        it.press("Save")
        assert it.page.inner_text("#rules-wrong").startswith("Line 2: ")
        assert it.page.input_value("#android_apps") == APPS
        it.page.get_by_label("Rules").fill('[default]\ndefault = "BLOCK"')
        it.press("Save")
        it.expect("in force")
        assert it.kit.tenant().settings.config.android_apps[0].origins()[0] in it.page.inner_text("main")
        assert it.kit.run(it.kit.tenant().actions.track("ada", "anything")).state == "BLOCK"

        it.page.get_by_role("link", name="Keys").click()
        it.page.get_by_label("Name").fill("checkout")
        it.press("Make the key")
        key = it.page.input_value("#key")
        assert re.fullmatch(r"pks_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", key)
        assert it.kit.run(it.kit.tenants.by_key(key, "api")) is not None
        it.page.get_by_role("link", name="Done").click()
        it.page.locator("summary", has_text="Revoke").click()
        it.press("Revoke the key")
        it.expect("It opens nothing any more")
        assert it.kit.run(it.kit.tenants.by_key(key, "api")) is None

        it.page.get_by_role("link", name="Users").click()
        it.page.get_by_label("Search").fill("ad")
        it.page.keyboard.press("Enter")
        it.page.get_by_role("link", name="ada", exact=True).click()
        first = it.page.locator("summary", has_text="Remove").first  # by keyboard alone
        first.focus()
        it.page.keyboard.press("Enter")
        it.page.keyboard.press("Tab")
        assert it.page.evaluate("() => document.activeElement.textContent") == "Remove it"
        it.page.keyboard.press("Enter")
        it.expect("cannot sign in with it any more")
        assert len(it.kit.run(it.kit.tenant().passkeys.list_passkeys("ada"))) == 1

        it.page.get_by_role("link", name="Events", exact=True).click()
        it.page.get_by_label("What", exact=True).select_option("settings.changed")
        it.press("Show")
        assert "android_apps" in it.page.inner_text("tbody")
        it.press("Sign out")
        it.expect("You have signed out")
        it.open("/tenants/shop")
        assert it.page.url.endswith("/portal/sign-in")


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (429, '{"error": {"code": "429", "message": "Too many. Wait."}}', "Too many. Wait."),
        (429, "<!doctype html>", "Too many attempts. Please wait a minute and try again."),
        (502, "<!doctype html>", "Something went wrong on the server. Please try again."),
        (200, "<!doctype html>", "Something went wrong on the server. Please try again."),
    ],
)
def test_who_is_refused_is_told_why(tmp_path: Path, browser: "Browser", status: int, content: str, words: str) -> None:
    """Also by a proxy that answers in words of its own: that the server does not answer is said where it does not."""
    with live(tmp_path, browser) as it:
        it.open("/sign-in")
        place = "**/portal/sign-in/passkey/start"
        it.page.route(place, lambda route: route.fulfill(status=status, body=content))
        it.press("Sign in with a passkey")
        it.expect(words)
        it.page.unroute(place)
        it.page.route(place, lambda route: route.abort())
        it.press("Sign in with a passkey")
        it.expect("The server does not answer")


PAGES: Final = {
    "home": "/",
    "overview": "/tenants/shop",
    "users": "/tenants/shop/users",
    "user": "/tenants/shop/user?id=ada",
    "events": "/tenants/shop/events",
    "keys": "/tenants/shop/keys",
    "settings": "/tenants/shop/settings",
    "access": "/access",
    "missing": "/tenants/none",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    tmp_path: Path, browser: "Browser", packages: Path, scheme: Literal["light", "dark"]
) -> None:
    """On any page, at a phone's width, which every page fits."""
    axe = (packages / "node_modules/axe-core/axe.min.js").read_text()
    options: dict[str, Any] = {"color_scheme": scheme, "bypass_csp": True, "viewport": {"width": 360, "height": 740}}

    def check(state: str) -> None:
        it.page.evaluate(axe)
        found = it.page.evaluate(f"async () => (await axe.run({{runOnly: {TAGS}}})).violations")
        assert found == [], f"{state}: {[(one['id'], [node['html'] for node in one['nodes']]) for one in found]}"
        assert it.page.evaluate("() => document.documentElement.scrollWidth") <= 360, f"{state} fits a phone"

    with live(tmp_path, browser, **options) as it:
        it.open("/sign-in")
        check("sign-in")
        it.busy_days()
        it.sign_in()
        change = {"android_apps": [{"package_name": "com.example.shop", "sha256_fingerprints": [FINGERPRINT]}]}
        it.kit.run(it.kit.tenants.change("shop", change, revision=0))
        for state, place in PAGES.items():
            it.open(place)
            for details in it.page.query_selector_all("details"):
                details.evaluate("(one) => { one.open = true; }")
            check(state)
        it.open("/tenants/shop/settings")
        it.page.get_by_label("Rules").fill("[default]\ndefault = 1")
        it.page.get_by_label("Hostname").fill("Wrong")
        it.press("Save")
        check("settings that do not go")
        it.open("/tenants/shop/keys")
        it.page.get_by_label("Name").fill("checkout")
        it.press("Make the key")
        check("new key")
