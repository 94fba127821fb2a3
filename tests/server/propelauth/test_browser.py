"""Both SDKs, and the library that their documentation gives to pages, in Chromium with virtual authenticators."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from passkeycore.server.propelauth import routes
from tests.browser.chromium import PLATFORM, SECURITY_KEY, Chromium, RefusalError, Tab, UnavailableError, launch
from tests.browser.sites import serve
from tests.server.kit import free_port, tenant_kit
from tests.server.npm import missing

from .backends import Answer, Node, Python
from .kit import LIMIT, World

if TYPE_CHECKING:
    from playwright.sync_api import Frame

_BUNDLE: Final = "node_modules/@simplewebauthn/browser/dist/bundle/index.umd.min.js"
_RUN: Final = """async ([method, optionsJSON]) => {
    try {
        return {response: await SimpleWebAuthnBrowser[method]({optionsJSON})};
    } catch (error) {
        return {refusal: [error.name, error.message]};
    }
}"""


class Page:
    """A page with the library, in a tab."""

    def __init__(self, tab: Tab, packages: Path) -> None:
        self.tab = tab
        self._frame: Frame = tab._frame
        self._frame.add_script_tag(path=packages / _BUNDLE)

    def create(self, options: Any) -> Any:
        """What the library makes of creation options."""
        return self._run("startRegistration", options)

    def get(self, options: Any) -> Any:
        """What the library makes of request options."""
        return self._run("startAuthentication", options)

    def _run(self, method: str, options: Any) -> Any:
        answer = self._frame.evaluate(_RUN, [method, options])
        if "refusal" in answer:
            raise RefusalError(*answer["refusal"])
        return answer["response"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with ExitStack() as stack:
        sites = stack.enter_context(serve())
        try:
            browser = stack.enter_context(launch(sites))
        except UnavailableError as error:
            missing(str(error))
            raise
        yield browser


@pytest.fixture(params=["python", "node"])
def local(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The shop on a port of localhost, once with each SDK."""
    sdk, port = request.getfixturevalue("python_sdk" if request.param == "python" else "node"), free_port()
    with tenant_kit(tmp_path, port=port) as kit:
        app = Starlette(routes=[Route("/", _page), *routes(kit.tenants)])
        with kit.live(app, port) as url:
            yield World(kit, Python(kit, url) if request.param == "python" else Node(sdk, url))


@pytest.fixture
def page(chromium: Chromium, local: World, packages: Path) -> Iterator[Page]:
    with chromium.tab(local.kit.settings.base_url) as tab:
        yield Page(tab, packages)


async def _page(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>Shop</title>")


def test_a_users_whole_life(local: World, page: Page) -> None:
    """All seven commands, from the first passkey to the last."""
    phone = page.tab.plug(PLATFORM)
    assert local.finish(page.create(local.start(passkeyDisplayName="My phone"))) == Answer(True, {})
    assert local.verify(page.get(local.ask())) == Answer(True, {})
    with pytest.raises(RefusalError, match="InvalidStateError"):  # the options name what is there already
        page.create(local.start())
    phone.unplug()

    local.kit.clock.pass_(1)  # so that it is known which came first
    page.tab.plug(SECURITY_KEY)
    assert local.finish(page.create(local.start(userDisplayName="Ada"))) == Answer(True, {})
    first, second = local.good("FetchAllPasskeysForUser", userId="ada")["passkeys"]
    assert first["displayName"] == "My phone"
    assert local.verify(page.get(local.ask())) == Answer(True, {})

    local.good("DeregisterPasskey", userId="ada", credentialId=second["credentialId"])
    assert local.ids() == [first["credentialId"]]
    with pytest.raises(RefusalError, match="NotAllowedError"):  # only the phone's is asked for
        page.get({**local.ask(), "timeout": 1_000})
    local.good("DeregisterAllPasskeysForUser", userId="ada")
    refused = local.run("StartPasskeyAuthentication", userId="ada")
    assert refused == Answer(False, {"type": "NoPasskeysRegisteredForUser"})


def test_a_passkey_that_was_removed_signs_in_no_more(local: World, page: Page) -> None:
    page.tab.plug(PLATFORM)
    local.finish(page.create(local.start()))
    response = page.get(local.ask())
    local.good("DeregisterAllPasskeysForUser", userId="ada")
    assert local.verify(response).members["type"] == "UnexpectedError"


def test_a_bad_signature_and_a_user_who_was_not_verified_do_not_sign_in(local: World, page: Page) -> None:
    phone = page.tab.plug(PLATFORM)
    local.finish(page.create(local.start()))
    phone.lie(isBogusSignature=True)
    forged = local.verify(page.get(local.ask()))
    phone.lie(isBadUV=True)
    unverified = local.verify(page.get(local.ask()))
    assert (
        forged
        == unverified
        == Answer(False, {"type": "UnexpectedError", "details": "The passkey could not be verified."})
    )
    phone.lie()
    assert local.verify(page.get(local.ask())).good


def test_a_user_has_so_many_passkeys_and_no_more(local: World, page: Page) -> None:
    for _ in range(LIMIT):
        key = page.tab.plug(SECURITY_KEY)
        assert local.finish(page.create(local.start())).good
        key.unplug()
    refused = local.run("StartPasskeyRegistration", userId="ada", emailOrUsername="ada")
    assert refused.members["type"] == "TooManyPasskeys"
    assert refused.members["details"]["max_passkeys"] == refused.members["details"]["current_count"] == LIMIT


def test_a_response_has_to_come_in_time_and_counts_once(local: World, page: Page) -> None:
    page.tab.plug(PLATFORM)
    made = page.create(local.start())
    local.kit.clock.pass_(301)
    assert local.finish(made).members == {"type": "NoRegistrationChallengeFound"}
    page.tab.plug(SECURITY_KEY)
    made = page.create(local.start())
    assert local.finish(made).good
    used = page.get(local.ask())
    local.kit.clock.pass_(301)
    assert local.verify(used).members == {"type": "NoAuthenticationChallengeFound"}
    used = page.get(local.ask())
    assert local.verify(used).good
    assert local.verify(used).members == {"type": "NoAuthenticationChallengeFound"}


def test_a_page_of_an_origin_more(local: World, chromium: Chromium, packages: Path) -> None:
    """Another port of the same host, as of a preview: refused until start and finish name it."""
    preview = chromium.sites.localhost
    extra = {"additionalAllowedOrigin": preview}
    with chromium.tab(preview) as tab:
        page = Page(tab, packages)
        key = tab.plug(PLATFORM)
        assert local.finish(page.create(local.start())).members["type"] == "OriginNotAllowed"
        key.unplug()
        tab.plug(PLATFORM)
        assert local.finish(page.create(local.start(**extra)), **extra).good
        assert local.verify(page.get(local.ask(**extra))).members["type"] == "OriginNotAllowed"
        assert local.verify(page.get(local.ask(**extra)), **extra).good
