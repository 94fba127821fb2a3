"""``passkeycore init`` and ``passkeycore serve``: as processes, with one worker and with two, until they stop."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from passkeycore.config.server import load_server
from tests.command import command
from tests.server.kit import free_port

PATIENCE_S = 60.0
"""How long to wait for what has to come, on a busy machine; only a failure takes that long."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "passkeycore.toml"
    assert command("init", file).code == 0
    return file


def test_init_writes_a_file_with_fresh_secrets_for_its_owner(tmp_path: Path) -> None:
    texts: list[str] = []
    for name in ("one.toml", "other.toml"):
        run = command("init", tmp_path / name)
        assert (run.code, run.err) == (0, "")
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        texts.append((tmp_path / name).read_text())
        settings = load_server(tmp_path / name)
        tenant = settings.tenants["main"].settings
        found = [*settings.secrets, settings.operator_secret or b"", *tenant.api_keys]
        assert len({*found}) == 3
        assert all(len(secret) >= 43 for secret in found)
        assert not any(secret.decode() in run.out for secret in found)
    assert texts[0] != texts[1]
    lines = zip(*(text.splitlines() for text in texts), strict=True)
    assert sum(one != other for one, other in lines) == 3


@pytest.mark.parametrize("name", ["passkeycore.toml", "dangling.toml", "no/such/directory.toml", "passkeycore.jsonc"])
def test_init_never_writes_over_anything(tmp_path: Path, name: str) -> None:
    (tmp_path / "passkeycore.toml").write_text("mine")
    (tmp_path / "dangling.toml").symlink_to(tmp_path / "elsewhere.toml")
    run = command("init", tmp_path / name)
    assert (run.code, run.out) == (2, "")
    assert name in run.err
    assert (tmp_path / "passkeycore.toml").read_text() == "mine"
    assert not (tmp_path / "elsewhere.toml").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "base_url: missing"),
        ('base_url = "https://a.example"\nnothing = 1', "nothing: unknown key"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_not_good_is_not_served(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "passkeycore.toml"
    if text is not None:
        file.write_text(text)
    run = command("serve", "--config", file)
    assert (run.code, run.out) == (2, "")
    assert str(file) in run.err
    assert said in run.err


def test_a_database_that_cannot_be_used_is_named(file: Path, tmp_path: Path) -> None:
    file.write_text(file.read_text().replace("sqlite:///", f"sqlite:///{tmp_path}/no/such/directory/"))
    run = command("serve", "--config", file)
    assert run.code == 2
    assert "the database cannot be used: unable to open database file" in run.err


@pytest.mark.parametrize("option", ["--port=x", "--port=65536", "--workers=0", "--workers=65"])
def test_numbers_are_in_their_range(file: Path, option: str) -> None:
    assert command("serve", "--config", file, option).code == 2


def test_the_missing_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    run = command("serve", "--config", file)
    assert (run.code, run.out) == (2, "")
    assert "passkeycore[server]" in run.err


def test_a_port_that_is_taken_is_named(file: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "passkeycore", "serve", "--config", file, "--port", str(port)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 2
    assert f"port {port}" in done.stderr


@contextmanager
def served(file: Path, *options: str, port: int | None = 0) -> Generator[tuple[subprocess.Popen[str], str]]:
    """The server as a process, and its address, once it answers; its output is in files beside the configuration.

    Args:
        file: The configuration.
        options: More of the command line.
        port: 0: one that was free a moment ago; None: `options` say so, and the server which.
    """
    arguments = [sys.executable, "-m", "passkeycore", "serve", "--config", str(file), *options]
    if port is not None:
        port = port or free_port()
        arguments += ["--port", str(port)]
    with (file.parent / "out").open("w") as out, (file.parent / "err").open("w") as err:
        process = subprocess.Popen(
            arguments, cwd=file.parent, stdout=out, stderr=err, text=True, start_new_session=True
        )
    try:
        if port is None:
            until(lambda: (file.parent / "err").read_text().endswith("\n"))
            port = int((file.parent / "err").read_text().rpartition(" ")[2])
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(process, url)
        yield process, url
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    with httpx.Client(timeout=PATIENCE_S) as client:
        while True:
            try:
                assert client.get(f"{url}/ready").json() == {"status": "ready"}
                return
            except httpx.ConnectError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (file.parent / "out").read_text().splitlines()]


def api_key(file: Path) -> str:
    key: str = tomllib.loads(file.read_text())["tenants"]["main"]["api_keys"][0]
    return key


@pytest.mark.parametrize(
    ("options", "number"),
    [((), signal.SIGTERM), ((), signal.SIGINT), (("--workers", "2"), signal.SIGTERM)],
    ids=["SIGTERM", "SIGINT", "SIGTERM with two workers"],
)
def test_it_serves_until_it_is_stopped(file: Path, options: tuple[str, ...], number: int) -> None:
    """On SQLite, with a line of JSON for each request and nothing secret; the exit code of a stop is 0."""
    key = api_key(file)
    with served(file, *options) as (process, url), client_of(url, key) as client:
        for _ in range(10):
            assert client.get("/v1/users/ada/authenticators").status_code == 200
        tracked = client.post("/v1/users/ada/actions/sign-in", json={})
        assert tracked.status_code == 200
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        with pytest.raises(httpx.ConnectError):
            client.get("/")
    asked = [line for line in lines(file) if line["route"] != "/ready"]
    assert [line["status"] for line in asked] == [200] * 11
    assert {line["tenant"] for line in asked} == {"main"}
    err = (file.parent / "err").read_text()
    assert re.fullmatch(r"passkeycore: http://localhost:8000 is served on 127\.0\.0\.1, port [0-9]+\n", err)
    written = err + (file.parent / "out").read_text()
    assert key not in written
    assert tracked.json()["token"] not in written
    assert (file.parent / "passkeycore.db").exists()


def test_what_is_under_way_when_it_is_stopped_is_answered(file: Path) -> None:
    """A request whose body is still coming when SIGTERM arrives gets its answer."""
    with served(file) as (process, url):
        port = int(url.rpartition(":")[2])
        authorization = next(httpx.BasicAuth(api_key(file), "").auth_flow(httpx.Request("POST", url)))
        with socket.create_connection(("127.0.0.1", port)) as client:
            body = b"{}"
            client.sendall(
                b"POST /v1/users/ada/actions/sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                + f"Content-Length: {len(body)}\r\nAuthorization: {authorization.headers['authorization']}\r\n".encode()
                + b"Expect: 100-continue\r\n\r\n"
            )
            assert client.recv(100).startswith(b"HTTP/1.1 100 ")  # now it waits for the body
            process.send_signal(signal.SIGTERM)
            client.sendall(body)
            answer = b""
            while part := client.recv(4_096):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert process.wait(PATIENCE_S) == 0


def test_two_workers_share_the_work_and_what_is_stored(file: Path) -> None:
    """What one of them has stored, the other finds."""
    with served(file, "--workers", "2") as (process, url):
        assert len(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()) >= 2
        with client_of(url, api_key(file)) as client:
            for number in range(20):
                members = {"email": f"{number}@example.com"}
                assert client.patch(f"/v1/users/user-{number}", json=members).status_code == 200
            for number in range(20):
                assert client.get(f"/v1/users/user-{number}").json()["email"] == f"{number}@example.com"


def children_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that serve: those that Python's own helper is not among."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("edit", ["another key", "not TOML", "gone"])
def test_what_was_read_once_holds_for_processes_that_are_started_anew(file: Path, edit: str) -> None:
    """A process that died comes back with the settings that all others have, whatever became of the file."""
    key = api_key(file)
    with served(file, "--workers", "2") as (process, url), client_of(url, key) as client:
        text = file.read_text()
        if edit == "gone":
            file.unlink()
        else:
            file.write_text("[" if edit == "not TOML" else text.replace(key, "another key of at least 32 characters"))
        before = children_of(process)
        assert len(before) == 2
        for child in before:
            os.kill(child, signal.SIGKILL)
        until(lambda: len(children_of(process)) == 2 and not {*before} & {*children_of(process)})
        for _ in range(10):
            assert client.get("/v1/users/ada/authenticators").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_no_process_outlives_the_one_that_started_it(file: Path) -> None:
    with served(file, "--workers", "2") as (process, url):
        children = children_of(process)
        process.kill()
        process.wait()
        until(lambda: not any(is_running(child) for child in children))
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


FAILING = """
import sys
from msgspec.structs import replace
from passkeycore.cli import serve
from passkeycore.config.server import load_server

settings = replace(load_server(sys.argv[1]), database="nothing://a-secret@x/", workers=2, port=0)
sys.exit(serve._run(settings))
"""


def test_processes_that_cannot_start_end_the_server(file: Path) -> None:
    """With one line that says so, an exit code that is none of success, and no words of what failed."""
    command = [sys.executable, "-c", FAILING, str(file)]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert said[-1].endswith("the server has ended: 3 processes in a row could not start")
    assert all(line.startswith("passkeycore: ") for line in said[:-1])
    assert "a-secret" not in done.stderr


KILLED = """
import json
import os
import signal
import socket
from passkeycore.server.running import workers


class Clock:
    now = 0.0

    def monotonic(self):
        self.now += 0.25
        return self.now


class Deadly:
    workers = 2

    def __reduce__(self):  # once for each process that is started
        started.append(clock.now)
        if len(started) == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return exec, ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)",)


clock = workers.time = Clock()
started = []
with socket.create_server(("127.0.0.1", 0)) as listener:
    served = workers.serve_workers(Deadly(), listener)
print(json.dumps([served, started]))
"""


def test_processes_that_are_killed_before_they_serve_are_started_anew_in_peace() -> None:
    """By a system that is short of memory, for instance: that is no failure, but a second passes between two starts."""
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    served, started = json.loads(done.stdout)
    assert served
    again = started[2:]  # after the two that every server begins with
    assert len(again) >= 4
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(again))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_the_system_chooses_is_said(file: Path, workers: str) -> None:
    with served(file, "--port", "0", "--workers", workers, port=None) as (_, url):
        assert httpx.get(f"{url}/health").json() == {"status": "ok"}


def test_what_is_no_http_is_refused_in_json_and_logged_nowhere(file: Path) -> None:
    with served(file) as (_, url):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            client.sendall(b"hello\r\n\r\n")
            answer = b""
            while part := client.recv(4_096):
                answer += part
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"request_incomplete"' in answer
    assert len((file.parent / "err").read_text().splitlines()) == 1


def test_what_turns_out_to_be_no_http_is_told_in_the_form_of_the_room_below_the_base_path(file: Path) -> None:
    text, edits = re.subn(r'(?m)^base_url = "(.*)"$', r'base_url = "\1/auth"', file.read_text())
    assert edits == 1
    file.write_text(text)
    with served(file) as (_, url), socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
        head = b"POST /auth/v1/client/verify/passkey HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head + b"no number\r\n")
        answer = b""
        while part := client.recv(4_096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"errorCode"' in answer


def client_of(url: str, key: str) -> httpx.Client:
    """Shows the key, by a new connection each time, which any of the processes may take."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=url, auth=(key, ""), limits=limits, timeout=PATIENCE_S)
