"""One whole life of a user in Chromium, within FastAPI, Django and Flask, each of which has mounted `PasskeyApp`.

The code that mounts it, and the page's script, are the README's own.
"""

import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.browser.chromium import PLATFORM, Chromium, UnavailableError, launch
from tests.browser.sites import serve
from tests.server.kit import free_port
from tests.server.npm import missing

from .hosts import SECTIONS

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT: Final = Path(__file__).parents[3]
_PATIENCE_S: Final = 120
_TOUCHES: Final = 2400


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


@pytest.fixture(scope="module", params=SECTIONS)
def origin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a host serves."""
    with serving(request.param, tmp_path_factory.mktemp("host")) as url:
        yield url


@contextmanager
def serving(framework: str, place: Path) -> Generator[str]:
    """Where the host of this framework serves, in a process of its own."""
    port, log = free_port(), place / "log"
    module = f"tests.server.api.hosts.{framework.lower()}_host"
    command = [sys.executable, "-m", module, str(port), str(place)]
    with log.open("wb") as output, subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process:
        try:
            url = f"http://localhost:{port}"
            for _ in range(_TOUCHES):
                if process.poll() is not None or is_up(url):
                    break
                time.sleep(_PATIENCE_S / _TOUCHES)
            assert is_up(url), log.read_text()
            yield url
        finally:
            process.terminate()
            process.wait()


def is_up(url: str) -> bool:
    """Whether anything answers there."""
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


class Visitor:
    """Somebody at the page."""

    def __init__(self, page: "Page") -> None:
        self._page = page
        page.wait_for_function("window.ready")

    def run(self, function: str, *arguments: Any) -> Any:
        """The status and members of an answer."""
        answer = self._page.evaluate(f"arguments => {function}(...arguments)", list(arguments))
        return answer["status"], answer["members"]

    def good(self, function: str, *arguments: Any) -> Any:
        """The members of a success."""
        status, members = self.run(function, *arguments)
        assert status == 200, members
        return members

    def by_script(self, function: str, *arguments: Any) -> Any:
        """What a function of the README's script answers."""
        return self._page.evaluate(f"arguments => {function}(...arguments)", list(arguments))

    def who(self) -> str | None:
        """Whose session it is, as the host sees it."""
        user: str | None = self.good("get", "/who")["user"]
        return user


def test_a_whole_life_within_a_host(chromium: Chromium, origin: str) -> None:
    with chromium.tab(origin) as tab:
        tab.plug(PLATFORM)
        ada = Visitor(tab._frame.page)
        assert ada.good("begin")["signed_in"] is False
        status, members = ada.run("get", "/passkeys/me/passkeys")
        assert (status, members["error"]["code"]) == (401, "sign_in_required")

        # Signed in by whatever the host has, a passkey is added.
        ada.good("post", "/enter", {"name": "ada"})
        made = ada.by_script("addPasskey", "Ada")
        listed = ada.good("get", "/passkeys/me/passkeys")
        assert [each["credential_id"] for each in listed["passkeys"]] == [made["passkey"]["credential_id"]]

        # From now on it signs in by itself.
        ada.good("post", "/leave", {})
        assert ada.who() is None
        ada.by_script("signIn")
        assert ada.who() == "ada"
        assert ada.good("begin")["signed_in"] is True

        # It proves its user once more, for one thing.
        step_up = {"purpose": "transfer:42"}
        proof = ada.good("prove", "/me/step-up/start", "/me/step-up/finish", step_up, step_up)["step_up_token"]
        assert ada.good("post", "/transfer", {"proof": proof}) == {"transferred": 42}
        other = {"purpose": "transfer:43"}
        proof = ada.good("prove", "/me/step-up/start", "/me/step-up/finish", other, other)["step_up_token"]
        assert ada.run("post", "/transfer", {"proof": proof}) == (403, {"code": "token_invalid"})

        # It is renamed, and goes; its browser is told what is left.
        named = {"credential_id": made["passkey"]["credential_id"]}
        renamed = ada.good("post", "/passkeys/me/passkeys/rename", {**named, "name": "Blue phone"})
        assert renamed["passkeys"][0]["name"] == "Blue phone"
        left = ada.good("post", "/passkeys/me/passkeys/remove", named)
        assert left["passkeys"] == []
        assert left["signals"]["signal_all_accepted_credentials"]["allAcceptedCredentialIds"] == []

        # So it does not sign in any more, and the browser learns why.
        ada.good("post", "/leave", {})
        status, members = ada.run("prove", "/sign-in/passkey/start", "/sign-in/passkey/finish", {}, {})
        assert (status, members["error"]["code"]) == (403, "no_credential")
        assert members["error"]["signal"]["credentialId"] == named["credential_id"]
        assert ada.who() is None


def test_a_page_of_another_origin_does_nothing_in_a_host(chromium: Chromium, origin: str) -> None:
    foreign = chromium.sites.localhost
    with httpx.Client(base_url=origin) as client:
        csrf = client.get("/passkeys/session").json()["csrf_token"]
        for sent in (foreign, None):
            headers = {"X-CSRF-Token": csrf} | ({} if sent is None else {"Origin": sent})
            answer = client.post("/passkeys/sign-in/passkey/start", json={}, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")
        answer = client.post(
            "/passkeys/sign-in/passkey/start", json={}, headers={"X-CSRF-Token": csrf, "Origin": origin}
        )
        assert answer.status_code == 200


def test_a_host_has_the_files_for_its_apps(origin: str) -> None:
    """At its root, as what asks for them never looks elsewhere."""
    answer = httpx.get(f"{origin}/.well-known/assetlinks.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert {each["target"]["package_name"] for each in answer.json()} == {"com.example.shop"}
    assert httpx.get(f"{origin}/.well-known/apple-app-site-association").status_code == 404  # there are no such apps


def test_a_closed_account_does_not_sign_in_to_django(chromium: Chromium, tmp_path: Path) -> None:
    """What Django says of a user counts, whatever passkey they have."""
    with serving("Django", tmp_path) as origin, chromium.tab(origin) as tab:
        tab.plug(PLATFORM)
        ada = Visitor(tab._frame.page)
        ada.good("begin")
        ada.good("post", "/enter", {"name": "ada"})
        ada.by_script("addPasskey", "Ada")
        ada.good("post", "/close", {})
        assert ada.run("get", "/passkeys/me/passkeys")[0] == 401
        status, _ = ada.run("prove", "/sign-in/passkey/start", "/sign-in/passkey/finish", {}, {})
        assert status == 403
        assert ada.who() is None
