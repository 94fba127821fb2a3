"""Hosted pages in Chromium: live, with the shop's own site beside them, and tabs with authenticators of their own."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from tests.browser.chromium import PLATFORM, Device
from tests.server.kit import Clock, free_port

from .kit import Pages, pages_kit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PATIENCE_MS: Final = 15_000
SYNCED: Final[dict[str, bool]] = {"defaultBackupEligibility": True, "defaultBackupState": True}

_SITE: Final = """<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1>
<input autocomplete="username webauthn" aria-label="User name">
<script>
  window.messages = [];
  addEventListener("message", ({origin, data}) => window.messages.push([origin, data]));
  window.embed = (url) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    frame.allow = "publickey-credentials-get *; publickey-credentials-create *";
    frame.onload = resolve;
    document.body.append(frame);
  });
</script>"""


class World:
    """The pages, live, and who is around them.

    Attributes:
        pages: What is behind them.
        shop: The origin of the shop's own site.
        foreign: The origin of a site that nobody has registered.
    """

    def __init__(self, pages: Pages, browser: "Browser", shop: str, foreign: str) -> None:
        self.pages = pages
        self.browser = browser
        self.shop = shop
        self.foreign = foreign

    @contextmanager
    def tab(self, *, plugged: bool = True, **options: Any) -> "Generator[Tab]":
        """A tab of a profile of its own, with a platform's authenticator; options are of the profile."""
        context = self.browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        try:
            tab = Tab(self, context, plugged=plugged)
            yield tab
            assert tab.problems == []
        finally:
            context.close()


class Tab:
    """A tab, its authenticator, and what went wrong in its scripts."""

    def __init__(self, world: World, context: "BrowserContext", *, plugged: bool) -> None:
        self.world = world
        self.context = context
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        session = context.new_cdp_session(self.page)
        session.send("WebAuthn.enable", {})
        self.device = Device(session, {**PLATFORM, **SYNCED}) if plugged else None

    def open(self, url: str) -> None:
        """Loads a page, and waits until its script has run."""
        self.page.goto(url)

    def press(self, button: str) -> None:
        """Presses the button that can be seen and begins like this."""
        self.page.get_by_role("button", name=button).first.click()

    def expect(self, words: str) -> None:
        """Waits until the page says this."""
        self.page.wait_for_selector(f"text={words}")

    def heading(self) -> str:
        """What the page says it is."""
        return self.page.inner_text("h1:visible")

    def arrived(self) -> str:
        """The token that the shop's site was given, once the browser is there."""
        self.page.wait_for_url(f"{self.world.shop}/back**")
        return self.page.url.partition("token=")[2]

    def messages(self) -> list[Any]:
        """What the site was told: origins and data."""
        found: list[Any] = self.page.evaluate("() => window.messages")
        return found

    def new_passkey(self, user_id: str = "ada") -> None:
        """The user makes a passkey here, on the page that is for it."""
        self.open(self.world.pages.url(self.world.pages.track(user_id, "profile", scope=["add:authenticators"])))
        self.press("Create a passkey")
        self.expect("Your passkey is ready")


def site(files: Path | None = None) -> Starlette:
    """A site with one page at every address, which keeps messages; below ``/files/``, files of a directory."""

    async def page(request: Request) -> Response:
        return HTMLResponse(_SITE)

    async def file(request: Request) -> Response:
        return FileResponse((files or Path()) / request.path_params["path"])

    return Starlette(routes=[Route("/files/{path:path}", file), Route("/{path:path}", page)])


@contextmanager
def world(
    place: Path, browser: "Browser", *, clock: Clock | None = None, files: Path | None = None, **more: Any
) -> Generator[World]:
    """The pages and the shop's own site, live; see `pages_kit` for more.

    With files to serve, that site is at ``localhost`` too, where the shop's passkeys work, and may call the dialect.
    """
    port, shop_port = free_port(), free_port()
    origin, foreign = f"http://localhost:{port}", f"http://foreign.localhost:{shop_port}"
    shop = f"http://{'shop.' if files is None else ''}localhost:{shop_port}"
    if files is not None:
        more["replace"] = {f'origins = ["{origin}"]': f'origins = ["{origin}", "{shop}"]'}
    with (
        pages_kit(place, origin=origin, shop=shop, clock=clock, **more) as pages,
        pages.kit.live(pages.app, port),
        pages.kit.live(site(files), shop_port),
    ):
        yield World(pages, browser, shop, foreign)
