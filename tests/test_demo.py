"""The demonstration over HTTP: its routes, its sessions, what it refuses; and the command that serves it."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from passkeycore import RelyingParty
from passkeycore.engine.passkeys.service import AsyncPasskeyService
from passkeycore.repositories.memory import AsyncMemoryRepository
from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from tests.command import command

for name in ("aiosqlite", "httpx", "starlette", "uvicorn"):
    pytest.importorskip(name, reason="the extra server is not installed: the demonstration is not tested")

import httpx  # noqa: E402

from passkeycore.repositories.sql import AsyncSQLRepository  # noqa: E402
from passkeycore.server import pages  # noqa: E402
from passkeycore.server.demo import ACCOUNT_ROUTES, WEBAUTHN_ROUTES, demo_app, sessions  # noqa: E402
from passkeycore.server.demo import app as demo  # noqa: E402
from passkeycore.server.demo.sessions import COOKIE  # noqa: E402

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
ORIGIN = "http://localhost:8000"
RP = RelyingParty(id="localhost", name="Demo", origins=[ORIGIN])
CHANGING = [*WEBAUTHN_ROUTES, *ACCOUNT_ROUTES]
OWNERS = [path for path in CHANGING if "sign-" not in path]
"""What only somebody who is signed in may ask for."""


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 3, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


class Site:
    """The demonstration in memory, at a time of its own."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.clock = Clock()
        self.passkeys = AsyncPasskeyService(RP, AsyncMemoryRepository(), now=self.clock)
        self.app = demo_app(self.passkeys, ORIGIN)
        self.runner = runner


class Browser:
    """Sends requests to a site, and keeps its cookies."""

    def __init__(self, site: Site, host: str = "localhost:8000") -> None:
        transport = httpx.ASGITransport(site.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(
            transport=transport, base_url=f"http://{host}", headers={"Origin": f"http://{host}"}
        )
        self._runner = site.runner

    @property
    def cookie(self) -> str:
        """The session id."""
        return str(self._client.cookies[COOKIE])

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **arguments))

    def get(self, path: str, **headers: str | bytes) -> httpx.Response:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, members: object, **headers: str) -> httpx.Response:
        return self.request("POST", path, json=members, headers=headers)

    def post_bytes(self, path: str, body: bytes | AsyncIterator[bytes]) -> httpx.Response:
        return self.request("POST", path, content=body, headers={"Content-Type": "application/json"})


class Visitor(Browser):
    """A browser with an authenticator, and what somebody does with them."""

    def __init__(self, site: Site, seed: str = "phone") -> None:
        super().__init__(site)
        self.client = VirtualClient(SoftwareAuthenticator(seed), ORIGIN)

    def ask(self, path: str, members: object) -> Json:
        answer = self.post(path, members)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def sign_up(self, name: str = "Ada") -> Json:
        options = self.ask("/webauthn/sign-up/start", {"user_name": name})
        return self.ask("/webauthn/sign-up/finish", self.client.create(options))

    def sign_in(self, *, autofill: bool = False) -> Json:
        return self.ask("/webauthn/sign-in/finish", self.answered(autofill=autofill))

    def answered(self, *, autofill: bool = False) -> Json:
        """What the browser would post to finish a sign-in that was just started."""
        options = self.ask("/webauthn/sign-in/start", {"autofill": autofill})
        mediation = "conditional" if autofill else None
        assert options.get("mediation") == mediation
        return dict(self.client.get(options, mediation=mediation))

    def account(self) -> Json:
        members: Json = self.get("/api/account").json()
        return members


@pytest.fixture
def site() -> Iterator[Site]:
    with asyncio.Runner() as runner:
        yield Site(runner)


@pytest.fixture
def ada(site: Site) -> Visitor:
    return Visitor(site)


@pytest.fixture
def empty(site: Site, tmp_path: Path) -> Iterator[AsyncSQLRepository]:
    """A database without its tables, which fails until they are created."""
    repository = AsyncSQLRepository(f"sqlite+aiosqlite:///{tmp_path / 'demo.sqlite'}")
    yield repository
    site.runner.run(repository.close())


def refused(answer: httpx.Response, status: int) -> str:
    """The sentence of an error, which is JSON and has nothing else."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    members: Json = answer.json()
    assert set(members) == {"error"}
    assert set(members["error"]) <= {"message", "signal"}
    message: str = members["error"]["message"]
    assert message.endswith((".", "?"))
    return message


# --- A visitor's life ---


def test_a_new_account_is_shown_with_its_first_passkey(ada: Visitor) -> None:
    assert ada.account() == {"user": None}
    shown = ada.sign_up(" Ada ")
    assert shown["user"] == {"name": "Ada"}
    (passkey,) = shown["passkeys"]
    assert passkey["created_at"] == "2026-11-03T12:00:00Z"
    assert passkey["last_used_at"] is None
    assert (passkey["backup_eligible"], passkey["backup_state"], passkey["transports"]) == (False, False, ["internal"])
    assert shown["signals"]["signalAllAcceptedCredentials"]["allAcceptedCredentialIds"] == [passkey["id"]]
    assert shown["signals"]["signalCurrentUserDetails"]["name"] == "Ada"
    assert ada.account() == shown


@pytest.mark.parametrize("autofill", [False, True])
def test_signing_in_shows_when_the_passkey_was_used(site: Site, ada: Visitor, autofill: bool) -> None:
    ada.sign_up()
    assert ada.ask("/api/sign-out", {}) == {"user": None}
    assert ada.account() == {"user": None}
    site.clock.time += timedelta(minutes=5)
    (passkey,) = ada.sign_in(autofill=autofill)["passkeys"]
    assert passkey["last_used_at"] == "2026-11-03T12:05:00Z"


def test_two_accounts_of_one_name_are_two_accounts(site: Site, ada: Visitor) -> None:
    ada.sign_up()
    other = Visitor(site, "laptop")
    assert other.sign_up()["passkeys"] != ada.account()["passkeys"]


def test_a_second_passkey_is_added_renamed_and_removed(site: Site, ada: Visitor) -> None:
    first = ada.sign_up()["passkeys"][0]
    options = ada.ask("/webauthn/passkeys/start", {})
    assert [one["id"] for one in options["excludeCredentials"]] == [first["id"]]
    key = VirtualClient(SoftwareAuthenticator("key", transports=["usb"]), ORIGIN)
    shown = ada.ask("/webauthn/passkeys/finish", key.create(options))
    assert [one["id"] for one in shown["passkeys"]] == [first["id"], shown["added"]]
    shown = ada.ask("/api/passkeys/rename", {"credential_id": shown["added"], "name": " My key "})
    assert [one["name"] for one in shown["passkeys"]] == [first["name"], "My key"]
    shown = ada.ask("/api/passkeys/remove", {"credential_id": first["id"]})
    assert [one["name"] for one in shown["passkeys"]] == ["My key"]


def test_the_removed_passkey_is_refused_and_its_client_told(ada: Visitor) -> None:
    removed = ada.sign_up()["passkeys"][0]["id"]
    ada.ask("/api/passkeys/remove", {"credential_id": removed})
    ada.ask("/api/sign-out", {})
    answer = ada.post("/webauthn/sign-in/finish", ada.answered())
    refused(answer, 403)
    assert answer.json()["error"]["signal"] == {"rpId": "localhost", "credentialId": removed}
    assert ada.account() == {"user": None}


def test_deleting_the_account_ends_all_its_sessions_and_passkeys(site: Site, ada: Visitor) -> None:
    ada.sign_up()
    elsewhere = Visitor(site)
    elsewhere.client = ada.client
    elsewhere.sign_in()
    deleted = ada.ask("/api/account/delete", {})
    assert deleted["signals"]["signalAllAcceptedCredentials"]["allAcceptedCredentialIds"] == []
    for visitor in (ada, elsewhere):
        assert visitor.account() == {"user": None}
        refused(visitor.post("/webauthn/sign-in/finish", visitor.answered()), 403)
    refused(elsewhere.post("/webauthn/passkeys/start", {}), 401)


def test_the_limit_of_passkeys_is_told_in_words(ada: Visitor) -> None:
    limit = ada.sign_up()["limit"]
    for number in range(1, limit):
        key = VirtualClient(SoftwareAuthenticator(f"key {number}"), ORIGIN)
        ada.ask("/webauthn/passkeys/finish", key.create(ada.ask("/webauthn/passkeys/start", {})))
    assert "Remove one first" in refused(ada.post("/webauthn/passkeys/start", {}), 409)


# --- Sessions ---


def test_signing_in_changes_the_session_id(site: Site, ada: Visitor) -> None:
    """Whoever planted the id before, or has seen it, has nothing."""
    ada.account()
    seen = [ada.cookie]
    ada.sign_up()
    seen.append(ada.cookie)
    ada.sign_in()
    seen.append(ada.cookie)
    ada.ask("/api/sign-out", {})
    seen.append(ada.cookie)
    assert len(set(seen)) == 4
    for old in seen:
        assert Browser(site).get("/api/account", Cookie=f"{COOKIE}={old}").json() == {"user": None}


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(ada: Visitor) -> None:
    header = ada.get("/api/account").headers["set-cookie"]
    assert re.fullmatch(rf"{COOKIE}=[\w-]{{43}}; HttpOnly; Max-Age=43200; Path=/; SameSite=lax", header)
    assert "set-cookie" not in ada.get("/api/account").headers


@pytest.mark.parametrize("planted", ["", "x", "a" * 42, "a" * 44, "ä" * 43, "a" * 5000])
def test_an_id_that_is_none_of_ours_is_replaced(ada: Visitor, planted: str) -> None:
    answer = ada.get("/api/account", Cookie=f"{COOKIE}={planted}".encode())
    assert answer.json() == {"user": None}
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=")


def test_a_session_ends_after_twelve_hours(site: Site, ada: Visitor) -> None:
    ada.sign_up()
    site.clock.time += timedelta(hours=12, seconds=-1)
    assert ada.account()["user"]
    site.clock.time += timedelta(seconds=1)
    assert ada.account() == {"user": None}


def test_sessions_are_bounded(site: Site, ada: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_MOST", 2)
    ada.sign_up()
    others = [Visitor(site, seed) for seed in ("laptop", "tablet")]
    for other in others:
        other.sign_up()
    assert ada.account() == {"user": None}
    assert all(other.account()["user"] for other in others)


def test_nobody_finishes_what_another_browser_started(site: Site, ada: Visitor) -> None:
    """Neither an attacker's sign-in in a victim's browser, nor a victim's in an attacker's."""
    ada.sign_up()
    ada.ask("/api/sign-out", {})
    mallory = Visitor(site, "mallory")
    mallory.account()
    answered = ada.answered()
    refused(mallory.post("/webauthn/sign-in/finish", answered), 403)
    refused(ada.post("/webauthn/sign-in/finish", answered), 403)  # and it is spent
    created = ada.client.create(ada.ask("/webauthn/sign-up/start", {"user_name": "Eve"}))
    refused(mallory.post("/webauthn/sign-up/finish", created), 403)
    assert mallory.account() == {"user": None}


def test_a_passkey_of_a_new_account_is_not_added_to_one_that_exists(site: Site, ada: Visitor) -> None:
    options = ada.ask("/webauthn/sign-up/start", {"user_name": "Eve"})
    created = VirtualClient(SoftwareAuthenticator("eve"), ORIGIN).create(options)
    ada.sign_up()
    refused(ada.post("/webauthn/passkeys/finish", created), 403)
    assert len(ada.account()["passkeys"]) == 1


def test_passkeys_of_others_are_nobodys(site: Site, ada: Visitor) -> None:
    theirs = ada.sign_up()["passkeys"][0]["id"]
    mallory = Visitor(site, "mallory")
    mallory.sign_up("Mallory")
    refused(mallory.post("/api/passkeys/rename", {"credential_id": theirs, "name": "mine"}), 403)
    refused(mallory.post("/api/passkeys/remove", {"credential_id": theirs}), 403)
    assert ada.account()["passkeys"][0]["id"] == theirs


@pytest.mark.parametrize("path", OWNERS)
def test_only_those_who_are_signed_in_change_an_account(ada: Visitor, path: str) -> None:
    body = {"rename": {"credential_id": "AA", "name": "x"}, "remove": {"credential_id": "AA"}}
    assert "sign in" in refused(ada.post(path, body.get(path.rpartition("/")[2], {})), 401)


# --- What is refused ---


@pytest.mark.parametrize("path", CHANGING)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:8001"}, 403),
        ({"Origin": "https://localhost:8000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": ""}, 415),
    ],
)
def test_other_sites_and_forms_change_nothing(ada: Visitor, path: str, headers: dict[str, str], status: int) -> None:
    ada.sign_up()
    refused(ada.post(path, {}, **headers), status)
    assert ada.account()["user"]


@pytest.mark.parametrize("path", CHANGING)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"{",
        b'{"unknown": 1}',
        b'{"user_name": 1, "autofill": "yes", "credential_id": 1}',
        b'{"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}',
        b"\xff\xfe",
        b"[" * 4000,
        b'{"user_name": "\\ud800", "name": "\\ud800", "credential_id": "AA"}',
    ],
)
def test_malformed_bodies_are_the_senders_fault(ada: Visitor, path: str, body: bytes) -> None:
    ada.sign_up()
    refused(ada.post_bytes(path, body), 400)


@pytest.mark.parametrize("name", ["", "   ", "a\x00b", "a\u202eb", "x" * 257])
def test_names_are_checked(ada: Visitor, name: str) -> None:
    refused(ada.post("/webauthn/sign-up/start", {"user_name": name}), 400)
    passkey = ada.sign_up()["passkeys"][0]["id"]
    message = refused(ada.post("/api/passkeys/rename", {"credential_id": passkey, "name": name}), 400)
    assert "1 to 64" in message


@pytest.mark.parametrize("path", CHANGING)
def test_a_body_without_an_end_is_not_read_to_the_end(site: Site, ada: Visitor, path: str) -> None:
    limit, sent = site.passkeys.context.rp.policy.limits.json_bytes, list[bytes]()

    async def endless() -> AsyncIterator[bytes]:
        while len(sent) < 100:
            sent.append(bytes(limit // 2))
            yield sent[-1]

    refused(ada.post_bytes(path, endless()), 413)
    assert len(sent) == 3


def test_what_is_small_may_not_be_large(ada: Visitor) -> None:
    refused(ada.post_bytes("/webauthn/sign-up/start", b" " * 4096 + b'{"user_name": "Ada"}'), 400)


def test_a_browser_that_goes_away_in_the_middle_is_no_failure_of_ours(site: Site) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": "localhost:8000", "origin": ORIGIN, "content-type": "application/json"}
    scope: Json = {"type": "http", "method": "POST", "path": "/api/sign-out", "query_string": b""}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def serve() -> None:
        await site.app(scope, receive, send)

    site.runner.run(serve())
    assert sent[0]["status"] == 400


def test_a_late_answer_is_told_so(site: Site, ada: Visitor) -> None:
    ada.sign_up()
    answered = ada.answered()
    site.clock.time += timedelta(minutes=6)
    assert "too long" in refused(ada.post("/webauthn/sign-in/finish", answered), 403)


def test_a_failure_of_the_database_is_a_sentence_and_no_trace(site: Site, empty: AsyncSQLRepository) -> None:
    site.app = demo_app(AsyncPasskeyService(RP, empty), ORIGIN)
    message = refused(Browser(site).post("/webauthn/sign-up/start", {"user_name": "Ada"}), 500)
    assert message == "Something went wrong on the server. Please try again."
    site.runner.run(empty.create())
    assert Visitor(site).sign_up()["user"] == {"name": "Ada"}


def test_expired_ceremonies_are_swept_also_after_the_database_failed(
    site: Site,
    empty: AsyncSQLRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(demo, "_SWEEP_S", 0.001)
    passkeys = AsyncPasskeyService(RP, empty, now=site.clock)

    async def live() -> None:
        orders, reports = asyncio.Queue[Any](), asyncio.Queue[Any]()

        async def serve() -> None:
            await demo_app(passkeys, ORIGIN)({"type": "lifespan"}, orders.get, reports.put)

        serving = asyncio.create_task(serve())
        await orders.put({"type": "lifespan.startup"})
        assert (await reports.get())["type"] == "lifespan.startup.complete"
        async with asyncio.timeout(60):
            while not caplog.records:
                await asyncio.sleep(0.001)
            await empty.create()
            await passkeys.start_authentication(binding="browser")
            assert waiting() == 1
            site.clock.time += timedelta(hours=1)
            while waiting():
                await asyncio.sleep(0.001)
        await orders.put({"type": "lifespan.shutdown"})
        await serving

    def waiting() -> int:
        with closing(sqlite3.connect(tmp_path / "demo.sqlite")) as connection:
            count: int = connection.execute("select count(*) from passkey_ceremonies").fetchone()[0]
            return count

    site.runner.run(live())
    assert "not removed" in caplog.text


# --- Every answer ---


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/static/demo.js", 200),
        ("GET", "/static/demo.css", 200),
        ("GET", "/static/icons.svg", 200),
        ("GET", "/api/account", 200),
        ("GET", "/nothing", 404),
        ("GET", "/static/nothing", 404),
        ("GET", "/static/../demo.py", 404),
        ("GET", "/static/%2e%2e/demo.py", 404),
        ("GET", "/api/sign-out", 405),
        ("POST", "/", 405),
        ("POST", "/api/sign-out", 415),
        ("DELETE", "/api/account", 405),
    ],
)
def test_every_answer_has_the_security_headers(ada: Visitor, method: str, path: str, status: int) -> None:
    answer = ada.request(method, path)
    assert answer.status_code == status
    headers = answer.headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy.pop("default-src") == policy["frame-ancestors"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    if path.startswith("/api"):
        assert headers["cache-control"] == "no-store"


def test_other_hosts_are_sent_to_the_origin_or_away(site: Site) -> None:
    """The page at another name has no passkeys, and a domain of an attacker's that points here gets nothing."""
    for host in ("127.0.0.1:8000", "evil.example:8000", "localhost:8001", "localhost"):
        other = Browser(site, host)
        for path in ("/", "/api/account"):
            moved = other.get(path)
            assert (moved.status_code, moved.headers["location"]) == (307, ORIGIN)
            assert "set-cookie" not in moved.headers
        refused(other.post("/api/sign-out", {}), 421)


def test_the_page_has_no_script_or_style_of_its_own_and_names_only_files_that_exist(ada: Visitor) -> None:
    page = ada.get("/").text
    assert not re.search(r"<style|<script(?! type=\"module\" src=)|\son\w+=|\sstyle=|javascript:", page)
    addresses = set(re.findall(r"(?:href|src)=\"([^\"#]+)", page))
    assert addresses
    for address in addresses:
        assert address.startswith("/static/")
        assert ada.get(address).status_code == 200
    script = ada.get("/static/demo.js").text
    assert "innerHTML" not in script
    for path in CHANGING:
        assert f'"{path.removesuffix("/finish").removesuffix("/start")}' in script


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    """Level AA: 4.5 for text, 3 for the outlines of controls and of the focus."""
    style = (Path(pages.__file__).parent / "static" / "theme.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", light if scheme == "light" else dark))
    texts = ("text", "soft", "accent", "danger")
    pairs = [(4.5, text, ground) for text in texts for ground in ("ground", "surface", "tint")]
    pairs += [(4.5, "text", "sunken"), (4.5, "soft", "sunken"), (4.5, "danger", "danger-tint")]
    pairs += [(4.5, f"on-{name}", name + hover) for name in ("accent", "danger") for hover in ("", "-hover")]
    pairs += [(3, line, ground) for line in ("field-line", "focus") for ground in ("ground", "surface")]
    pairs.remove((4.5, "danger", "tint"))  # never together
    for least, one, other in pairs:
        bright, dim = sorted((luminance(colours[one]), luminance(colours[other])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= least, (one, other)


def luminance(colour: str) -> float:
    """The relative luminance of sRGB. Spec: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [value / 255 for value in bytes.fromhex(colour)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


# --- The command ---


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    run = command("demo", "--port", "0", "--database", tmp_path / "demo.sqlite")
    assert (run.code, run.out) == (2, "")
    assert "passkeycore[server]" in run.err


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_a_port_is_a_number(port: str) -> None:
    assert command("demo", f"--port={port}").code == 2


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = command("demo", "--port", str(port), "--database", tmp_path / "demo.sqlite")
    assert run.code == 2
    assert run.err.startswith(f"passkeycore: port {port}: ")


def test_a_file_that_an_address_cannot_name_is_a_sentence(tmp_path: Path) -> None:
    run = command("demo", "--port", "0", "--database", tmp_path / "demo?mode=memory")
    assert (run.code, run.out) == (2, "")
    assert "without a question mark" in run.err


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "demo.sqlite"
    file.write_text("a poem, and a long one, so that it is longer than the header of a database: " * 10)
    done = subprocess.run(
        [sys.executable, "-m", "passkeycore", "demo", "--port", "0", "--database", file],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"passkeycore: {file}: file is not a database\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(number: signal.Signals, tmp_path: Path) -> None:
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path / "new data")}
    with subprocess.Popen(
        [sys.executable, "-m", "passkeycore", "demo", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://localhost:(\d+)$", process.stdout.readline().strip())
            assert found
            assert str(tmp_path / "new data" / "passkeycore" / "demo.sqlite") in process.stdout.readline()
            origin = found.group()
            with closing(HTTPConnection("127.0.0.1", int(found.group(1)), timeout=30)) as connection:
                headers = {"Host": origin.removeprefix("http://"), "Origin": origin, "Content-Type": "application/json"}
                connection.request("POST", "/webauthn/sign-up/start", json.dumps({"user_name": "Ada"}), headers)
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                assert answer.headers["server"] is None
                options = json.loads(answer.read())
                assert (options["rp"]["id"], options["user"]["name"]) == ("localhost", "Ada")
                process.send_signal(number)  # with a connection still open
                _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert errors == ""
