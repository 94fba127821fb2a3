"""The command as a process: misuse, terminals, streams, and the subcommands that need no file of their own."""

import json
import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from passkeycore import __version__
from tests.command import NONE, PACKED, b64, changed, command, part, verify
from tests.w3c import VECTORS_PATH

ROOT = Path(__file__).parents[1]
ATTESTATION = b64(part(PACKED, "registration", "attestationObject"))
REFUSED = changed(NONE, "registration", challenge="AAAA")


# --- Misuse ---


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "verify",
        "verify --no-such-option -",
        "verify no/such/file.jsonl",
        "verify {empty}",
        "verify {empty}/absent.json --json",
        "judge -",
        "inspect",
        "inspect -",
        "inspect - --as poem",
        "origin AA:BB",
        "origin",
    ],
)
def test_misuse(arguments: str, tmp_path: Path) -> None:
    run = command(*arguments.format(empty=tmp_path).split())
    assert run.code == 2
    assert run.out == ""
    assert run.err.strip()
    assert "Traceback" not in run.err


# --- Terminals ---


@pytest.fixture
def markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose names mean something to `rich` and to terminals; and an environment without preferences."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    cases = [NONE | {"name": "[bold]x[/bold] :smile:"}, REFUSED | {"name": "[/] \x1b[2J"}]
    (tmp_path / "file.jsonl").write_text("\n".join(map(json.dumps, cases)))
    return tmp_path / "file.jsonl"


def test_colours_on_a_terminal(markup: Path) -> None:
    pytest.importorskip("rich")
    run = command("verify", markup, terminal=True)
    assert run.code == 1
    assert "\x1b[" in run.out
    assert "\x1b[2J" not in run.out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", run.out)
    assert "[bold]x[/bold] :smile:" in plain
    assert "FAILED registration of [/] \\x1b[2J" in plain
    run = command("inspect", ATTESTATION, terminal=True)
    assert run.code == 0
    assert "\x1b[" in run.out


def test_no_color(markup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for arguments in (("verify", markup), ("inspect", ATTESTATION)):
        run = command(*arguments, terminal=True)
        assert run.out
        assert "\x1b" not in run.out


def test_json_on_a_terminal_is_json(markup: Path) -> None:
    assert len(command("verify", markup, "--json", terminal=True).objects) == 4


def test_no_terminal_no_colours(markup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in command("verify", markup).out


def test_without_rich(markup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    run = command("verify", markup, terminal=True)
    assert run.code == 1
    assert "\x1b" not in run.out
    assert "2 cases: 2 verified, 2 not as expected" in run.out
    run = command("inspect", ATTESTATION, terminal=True)
    assert run.code == 0
    assert run.out.startswith("attestation object\n  bytes: 835\n")


def test_names_cannot_forge_lines_or_colours() -> None:
    name = "x\x1b[31m\n15 cases: all verified\u202e\u009bé"
    cases = [REFUSED | {"name": name}, NONE | {"name": name}, NONE | {"name": name, "requires": [name]}]
    human = verify(*cases, options=())
    assert all(line.isprintable() for line in human.out.split("\n"))
    assert not any(line.startswith("15 cases") for line in human.out.splitlines())
    assert "é" in human.out
    machine = verify(*cases)
    assert machine.out.isascii()
    assert machine.objects[0]["name"] == name
    assert command("verify", f"absent\n{name}").err.count("\n") == 1


# --- The process ---


def process(*arguments: str, stdin: bytes = b"", **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "passkeycore", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )


def test_the_module_is_the_command() -> None:
    done = process("verify", "-", "--json", stdin=VECTORS_PATH.read_bytes())
    assert done.returncode == 0
    assert done.stderr == b""
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 30
    assert process("verify", "-", stdin=b"bad").returncode == 1
    assert process("nonsense").returncode == 2


def test_letters_that_the_terminal_lacks() -> None:
    case = json.dumps(NONE | {"name": "schlüssel 鍵"}, ensure_ascii=False).encode()
    done = process("verify", "-", stdin=case, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert b"schl\\xfcssel \\u9375" in done.stdout


def test_a_reader_that_has_seen_enough() -> None:
    """As ``passkeycore verify … | head`` does: no traceback when the pipe closes."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "passkeycore", "verify", str(VECTORS_PATH), "--json"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
            cwd=ROOT,
        )
    assert done.returncode == 1
    assert done.stderr == b""


def test_the_start_is_cheap() -> None:
    """A subcommand pays for no other: neither the test kit nor rich is loaded to print an origin."""
    code = (
        "import sys; from passkeycore.cli import main; main(['origin', '00' * 32]); "
        "sys.exit(any(name.startswith(('rich', 'passkeycore.testing')) for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout == f"android:apk-key-hash:{b64(bytes(32))}\n".encode()


# --- Small subcommands ---


def test_version() -> None:
    run = command("--version")
    assert (run.code, run.out) == (0, f"passkeycore {__version__}\n")


@pytest.mark.parametrize("subcommand", ["verify", "inspect"])
def test_help_names_the_exit_codes(subcommand: str) -> None:
    run = command(subcommand, "--help")
    assert run.code == 0
    assert "Exit code 0" in run.out


def test_origin() -> None:
    digest = sha256(b"certificate").hexdigest()
    fingerprint = ":".join(re.findall("..", digest.upper()))
    run = command("origin", fingerprint)
    assert (run.code, run.out) == (0, f"android:apk-key-hash:{b64(bytes.fromhex(digest))}\n")
    assert command("origin", digest).out == run.out
    refused = command("origin", fingerprint[:-3])
    assert (refused.code, refused.out) == (2, "")
    assert "SHA-256" in refused.err
