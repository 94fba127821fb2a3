"""The README's chapter on running the server: its commands as processes, what is where, and our own API with a browser.

`Running` is such a process. What mounts it is executed by `tests.server.api.hosts`, moving from vendors in
`test_vendors`.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from passkeycore.config.server import load_server
from tests.browser.chromium import PLATFORM, Chromium, UnavailableError, launch
from tests.browser.sites import Sites
from tests.server.kit import free_port
from tests.server.npm import missing

from .blocks import README, execute, executes, section
from .serving import run, serving
from .yours import ADA

RUN = "Level 3: the server / Run it"
OWN_API = "Level 3: the server / Our own API: track, open, validate"
BACK = "http://localhost:5000"


class Running(NamedTuple):
    """The server of the section's commands: where it is, and the key that ``init`` made for the tenant's servers."""

    url: str
    api_key: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """On a port that was free, with one redirect registered; all else is as the commands make it."""
    place, port = tmp_path_factory.mktemp("server"), free_port()
    install, init, serve = re.findall(r"^\$ (.+)$", section(RUN, "console")[0].code, re.MULTILINE)
    assert install == "pip install 'passkeycore[server]'"
    run(init, place)
    file = place / "passkeycore.toml"
    text = file.read_text().replace("localhost:8000", f"localhost:{port}")
    file.write_text(re.sub(r"^# redirect_urls = .*$", f'redirect_urls = ["{BACK}"]', text, flags=re.MULTILINE))
    with serving(serve, place, port) as url:
        yield Running(url, load_server(file).tenants["main"].settings.api_keys[0].decode())


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(launch(Sites(localhost="", embedder="", switches=())))
        except UnavailableError as error:
            missing(str(error))
            raise
        yield browser


def test_everything_is_where_the_table_says(running: Running) -> None:
    """Every address of the section's table answers, and none of another name does."""
    addresses = re.findall(r"`(/[^`]*)`", README.read_text("utf-8").partition("| address |")[2].partition("\n\n")[0])
    assert addresses == [
        *("/api/main", "/api/main/openapi.json", "/challenge?token=…", "/portal", "/v1", "/run-command"),
        *("/.well-known/…", "/health", "/ready"),
    ]
    with httpx.Client(base_url=running.url, follow_redirects=True) as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"status": "ready"}
        document = client.get("/api/main/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        for path in ("/server/actions/track", "/server/actions/validate"):
            assert path in document["paths"]
        assert client.get("/portal").headers["content-type"].startswith("text/html")
        assert client.get("/challenge?token=none").headers["content-type"].startswith("text/html")
        assert client.post("/v1/validate", json={}).json()["errorCode"] == "unauthorized"
        assert client.post("/run-command", json={}).json() == {"type": "NoIntegrationKeyFoundInHeader"}
        tracked = client.post("/v1/users/ada/actions/transfer", json={}, auth=(running.api_key, ""))
        assert tracked.json()["url"].startswith(f"{running.url}/challenge?token=")
        assert client.get("/api/other/openapi.json").status_code == 404
        assert client.get("/.well-known/assetlinks.json").status_code == 404  # there are no apps


def test_the_file_for_production_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as it stands, with secrets from where it says; the hosted pages are within the RP ID."""
    (tmp_path / "operator").write_text("the operator's secret, of 32 characters\n")
    for name in ("PASSKEYCORE_SECRET", "SHOP_API_KEY"):
        monkeypatch.setenv(name, f"{name} of 32 characters or more")
    text = section(RUN, "toml")[0].code
    assert text.count("/run/secrets/operator") == 1
    (tmp_path / "passkeycore.toml").write_text(text.replace("/run/secrets/operator", "operator"))
    settings = load_server(tmp_path / "passkeycore.toml")
    assert settings.operator_secret == b"the operator's secret, of 32 characters"
    shop = settings.tenants["shop"].settings
    assert shop.config.relying_party().origins == ("https://www.example.com",)
    assert (settings.base_url, shop.config.rp_id) == ("https://auth.example.com", "example.com")


@executes(OWN_API)
def test_an_action_is_tracked_opened_and_validated(running: Running, chromium: Chromium) -> None:
    """Whoever has no passkey makes one on the page, confirms with it, and comes back with a token that counts once."""
    names: dict[str, Any] = {"api_key": running.api_key, "me": lambda: ADA}
    execute(OWN_API, names, {"http://localhost:8000": running.url})
    with names["server"], chromium.tab(running.url) as tab:
        tab.plug(PLATFORM)
        page = tab._frame.page
        page.route(f"{BACK}/**", lambda route: route.fulfill(content_type="text/html", body="back"))
        page.goto(names["transfer_new"]())
        page.get_by_role("button", name="Create a passkey").first.click()
        page.wait_for_selector("h1:text-is('Confirm it is you')")
        page.get_by_role("button", name="Continue with passkey").first.click()
        page.wait_for_url(f"{BACK}/transfer?token=**")
        token = page.url.partition("token=")[2]
        names["transfer"](token)
        for bad in (token, names["transfer_new"]().partition("token=")[2]):
            with pytest.raises(httpx.HTTPStatusError):
                names["transfer"](bad)
