"""``passkeycore mds``: what is downloaded over real https, what replaces the cache, and what the cache tells."""

import io
import json
import ssl
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest

from passkeycore.cli import mds
from passkeycore.cli.download import DownloadError, download, https_opener
from passkeycore.testing import (
    TEST_AAGUID,
    MetadataSigner,
    metadata_entry,
    metadata_payload,
)
from tests.ceremony import NOW
from tests.command import Run, command
from tests.https import Answer, Server, body, no_http, redirect, unannounced

pytest.importorskip("joserfc", reason="the extra jose is not installed: signed metadata is not tested")

SIGNER = MetadataSigner("cli")
ENTRY = metadata_entry(TEST_AAGUID, [SIGNER.root], statement={"description": "Key\x1b[2J One"})
U2F = metadata_entry(
    None, statement={"protocolFamily": "u2f"}, statuses=(), attestationCertificateKeyIdentifiers=["ab" * 20]
)


def blob(no: int = 7, *entries: object, next_update: date | None = None) -> bytes:
    return SIGNER.blob(metadata_payload(*(entries or (ENTRY, U2F)), no=no, next_update=next_update))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("https"))
    yield server
    server.close()


@pytest.fixture
def home(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory with the root of the metadata's signer, and an environment that trusts the server."""
    (tmp_path / "root.der").write_bytes(SIGNER.root)
    monkeypatch.setenv("SSL_CERT_FILE", str(server.root))
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("no_proxy", "localhost")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server.asked.clear()
    return tmp_path


def fetch(server: Server, home: Path, answer: Answer, *arguments: str, terminal: bool = False) -> Run:
    server.answers["/"] = answer
    options = ["--url", server.url + "/", "--root", str(home / "root.der"), "--to", str(home / "mds.jwt"), *arguments]
    return command("mds", "fetch", *options, terminal=terminal)


def show(home: Path, *arguments: str) -> Run:
    return command("mds", "show", "--root", home / "root.der", "--file", home / "mds.jwt", *arguments)


def check(home: Path, *arguments: str) -> Run:
    return command("mds", "check", "--root", home / "root.der", "--file", home / "mds.jwt", *arguments)


def leftovers(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()} - {"root.der", "mds.jwt"}


# --- fetch ---


def test_what_is_fetched_is_verified_and_cached(server: Server, home: Path) -> None:
    run = fetch(server, home, body(blob()))
    assert (run.code, run.err) == (0, "")
    assert "number 7 with 2 entries, next update 2043-12-31" in run.out
    assert "verified and up to date" in run.out
    assert (home / "mds.jwt").read_bytes() == blob()
    assert (home / "mds.jwt").stat().st_mode & 0o777 == 0o644
    assert leftovers(home) == set()


def test_the_default_place_is_the_users_cache(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["/"] = body(blob())
    options = ["--url", server.url + "/", "--root", str(home / "root.der")]
    assert command("mds", "fetch", *options).code == 0
    assert (home / "cache" / "passkeycore" / "mds.jwt").read_bytes() == blob()
    assert command("mds", "check", "--root", home / "root.der").code == 0
    assert command("mds", "show", "--root", home / "root.der", str(TEST_AAGUID)).code == 0
    monkeypatch.setenv("HOME", str(home))
    for relative in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert mds.default_file() == home / ".cache" / "passkeycore" / "mds.jwt"


def test_a_newer_one_replaces_an_older_one_and_never_the_other_way(server: Server, home: Path) -> None:
    for no, code, kept in ((7, 0, 7), (8, 0, 8), (8, 0, 8), (7, 1, 8)):
        run = fetch(server, home, body(blob(no)))
        assert (run.code, (home / "mds.jwt").read_bytes()) == (code, blob(kept))
    assert "metadata_rollback" in run.err
    assert leftovers(home) == set()


def test_a_cache_that_is_not_good_is_replaced_with_a_word(server: Server, home: Path) -> None:
    (home / "mds.jwt").write_bytes(b"<html>")
    run = fetch(server, home, body(blob()))
    assert run.code == 0
    assert "not good (metadata_invalid)" in run.err
    assert (home / "mds.jwt").read_bytes() == blob()


def test_problems_are_told(server: Server, home: Path) -> None:
    run = fetch(server, home, body(blob(7, *[{}] * 12)))
    assert run.code == 0
    assert run.out.count("left out") == 10
    assert "and 2 more" in run.out


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(body(b"<html>503</html>"), "metadata_invalid", id="X29-html"),
        pytest.param(body(b"gone", status=404), "404", id="X29-not-found"),
        pytest.param(body(blob()[:-1000]), "metadata_", id="X29-truncated"),
        pytest.param(body(blob()[:-1000], announced=len(blob())), "it ends after", id="X29-truncated-announced"),
        pytest.param(body(b"", announced=200 << 20), "larger than", id="X29-200-MB"),
        pytest.param(body(b""), "metadata_invalid", id="X29-empty"),
        pytest.param(
            body(MetadataSigner("stranger").blob(metadata_payload())), "metadata_untrusted", id="X27-stranger"
        ),
        pytest.param(body(blob()[:-4] + b"AAAA"), "metadata_signature_invalid", id="X27-signature"),
        pytest.param(no_http, "failed", id="X29-no-http"),
        pytest.param(redirect("http://localhost:1/"), "leaves https", id="X31-redirect-to-http"),
        pytest.param(redirect("file:///etc/passwd"), "failed", id="X31-redirect-to-file"),
        pytest.param(redirect("/"), "failed", id="X29-redirect-for-ever"),
    ],
)
def test_what_fails_leaves_the_old_one(server: Server, home: Path, answer: Answer, reason: str) -> None:
    (home / "mds.jwt").write_bytes(blob(3))
    run = fetch(server, home, answer)
    assert (run.code, run.out) == (1, "")
    assert reason in run.err
    assert (home / "mds.jwt").read_bytes() == blob(3)
    assert leftovers(home) == set()


def test_a_redirect_within_https_is_followed(server: Server, home: Path) -> None:
    server.answers["/new"] = body(blob())
    assert fetch(server, home, redirect("/new")).code == 0
    assert server.asked == ["/", "/new"]


def test_a_length_that_is_not_announced_is_no_matter(server: Server, home: Path) -> None:
    assert fetch(server, home, unannounced(blob())).code == 0


def test_a_server_that_nobody_certifies_is_refused(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "none.pem"))
    run = fetch(server, home, body(blob()))
    assert run.code == 1
    assert server.asked == []


@pytest.mark.parametrize(
    "url", ["http://localhost:1/", "file:///etc/passwd", "ftp://localhost/", "HTTP://h/", "mds", ""]
)
def test_other_addresses_are_misuse(home: Path, url: str) -> None:
    run = command("mds", "fetch", "--url", url, "--to", home / "mds.jwt")
    assert (run.code, "https only" in run.err) == (2, True)
    assert not (home / "mds.jwt").exists()


def test_an_impossible_address_fails(home: Path) -> None:
    run = command("mds", "fetch", "--url", "https://\udc80 /", "--to", home / "mds.jwt")
    assert run.code == 1


def test_a_place_that_cannot_be_written_is_misuse(server: Server, home: Path) -> None:
    run = fetch(server, home, body(blob()), "--to", str(home / "root.der" / "mds.jwt"))
    assert run.code == 2
    (home / "directory").mkdir()
    run = fetch(server, home, body(blob()), "--to", str(home / "directory"))
    assert run.code == 2
    assert leftovers(home) == {"directory"}


def test_a_write_that_fails_leaves_the_old_one(server: Server, home: Path) -> None:
    (home / "mds.jwt").write_bytes(blob(3))
    with patch("os.fsync", side_effect=OSError("the disk is full")):
        run = fetch(server, home, body(blob()))
    assert (run.code, "the disk is full" in run.err) == (2, True)
    assert (home / "mds.jwt").read_bytes() == blob(3)
    assert leftovers(home) == set()


@pytest.mark.parametrize(
    "content", [b"root", b"-----BEGIN CERTIFICATE-----\n\xff", b"-----BEGIN CERTIFICATE-----\nAAAA"]
)
def test_a_root_that_is_no_certificate_is_misuse(server: Server, home: Path, content: bytes) -> None:
    (home / "mds.jwt").write_bytes(blob())
    (home / "root.der").write_bytes(content)
    for run in (fetch(server, home, body(blob())), show(home), check(home)):
        assert (run.code, run.out) == (2, "")
    (home / "root.der").unlink()
    assert check(home).code == 2


def test_a_root_may_be_pem(home: Path) -> None:
    (home / "mds.jwt").write_bytes(blob())
    (home / "root.der").write_text("\n" + ssl.DER_cert_to_PEM_cert(SIGNER.root))
    assert check(home).code == 0


def test_without_joserfc_the_extra_is_named(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "joserfc", None)
    first = fetch(server, home, body(blob()))
    (home / "mds.jwt").write_bytes(blob())
    second = fetch(server, home, body(blob()))
    for run in (first, second):
        assert (run.code, "passkeycore[jose]" in run.err, "not good" in run.err) == (2, True, False)


# --- The download by itself ---


@pytest.mark.parametrize("send", [body, unannounced])
@pytest.mark.parametrize("size", [0, 1, 65_536, 200_000])
def test_a_download_is_bounded_before_and_while_it_comes(
    server: Server, home: Path, size: int, send: Callable[[bytes], Answer]
) -> None:
    opener = https_opener(ssl.create_default_context(cafile=server.root))
    server.answers["/"] = send(bytes(size))
    assert download(server.url + "/", size, opener) == bytes(size)
    server.answers["/"] = send(bytes(size + 1))
    with pytest.raises(DownloadError, match="larger than"):
        download(server.url + "/", size, opener)


def test_a_download_ends_in_time(server: Server, home: Path) -> None:
    server.answers["/"] = body(bytes(10))
    opener = https_opener(ssl.create_default_context(cafile=server.root))
    with pytest.raises(DownloadError, match="not complete"):
        download(server.url + "/", 10, opener, whole_s=-1)


@pytest.mark.parametrize("url", ["http://localhost:1/", "file:///etc/passwd", "data:,x", "nothing"])
def test_the_opener_speaks_https_only(url: str) -> None:
    with pytest.raises(DownloadError):
        download(url, 10, https_opener())


def test_the_systems_proxy_is_used(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("https_proxy", "http://localhost:1")
    assert fetch(server, home, body(blob())).code == 1
    assert server.asked == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("rich", [True, False])
def test_progress_is_shown_on_a_terminal(
    server: Server, home: Path, rich: bool, announced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rich:
        pytest.importorskip("rich.progress")
    else:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    server.answers["/"] = body(bytes(200_000)) if announced else unannounced(bytes(200_000))
    screen = Terminal()
    with patch.object(sys, "stderr", screen):
        assert len(download(server.url + "/", 1 << 20, https_opener())) == 200_000  # as `home` trusts the server
    assert ("downloading" if rich else "195 KiB" + " of 195" * announced) in screen.getvalue()


# --- show and check ---


def test_an_entry_is_shown(home: Path) -> None:
    (home / "mds.jwt").write_bytes(blob())
    run = show(home, str(TEST_AAGUID))
    assert run.code == 0
    assert "\x1b" not in run.out
    assert "status: FIDO_CERTIFIED_L1" in run.out
    (members,) = show(home, str(TEST_AAGUID), "--json").objects
    assert (members["aaguid"], members["status"]) == (str(TEST_AAGUID), "FIDO_CERTIFIED_L1")
    assert members["anchors"][0]["formats"] == ["android-key", "android-safetynet", "packed"]
    assert members["status_reports"] == [{"status": "FIDO_CERTIFIED_L1", "effective_date": "2024-01-01", "url": None}]


def test_all_entries_are_shown_in_short(home: Path) -> None:
    (home / "mds.jwt").write_bytes(blob())
    run = show(home)
    assert run.code == 0
    assert [line.split()[0] for line in run.out.splitlines()[:3]] == ["AAGUID", str(TEST_AAGUID), "u2f"]
    one, two = show(home, "--json").objects
    assert (one["aaguid"], two["aaguid"], two["status"], two["key_identifiers"]) == (
        str(TEST_AAGUID),
        None,
        None,
        ["ab" * 20],
    )


def test_what_is_not_there_is_said(home: Path) -> None:
    for run in (show(home), check(home), check(home, "--json")):
        assert (run.code, "No such file" in run.err) == (2, True)
    (home / "mds.jwt").write_bytes(blob())
    run = show(home, str(UUID(int=9)))
    assert (run.code, "no entry" in run.err) == (1, True)
    assert show(home, "nonsense").code == 2


def test_the_cache_is_verified_whenever_it_is_read(home: Path) -> None:
    (home / "mds.jwt").write_bytes(blob()[:-4] + b"AAAA")
    run = show(home)
    assert (run.code, run.out, "metadata_signature_invalid" in run.err) == (1, "", True)
    run = check(home)
    assert (run.code, "metadata_signature_invalid" in run.out) == (1, True)
    (members,) = check(home, "--json").objects
    assert (members["ok"], members["code"]) == (False, "metadata_signature_invalid")


def test_check_tells_stale_from_fresh(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "mds.jwt"
    file.write_bytes(blob(next_update=date(2026, 1, 1)))
    roots = [str(home / "root.der")]
    later = datetime(2026, 1, 2, tzinfo=UTC)
    assert mds.check(str(file), roots, as_json=False, now=NOW) == 0
    assert "up to date" in capsys.readouterr().out
    assert mds.check(str(file), roots, as_json=False, now=later) == 1
    assert "stale" in capsys.readouterr().out
    assert mds.check(str(file), roots, as_json=True, now=later) == 1
    members = json.loads(capsys.readouterr().out)
    assert members == {
        "file": str(file),
        "ok": False,
        "no": 7,
        "next_update": "2026-01-01",
        "entries": 2,
        "stale": True,
        "problems": [],
    }
    assert mds.show(None, str(file), roots, as_json=False, now=later) == 0


def test_fidos_own_roots_are_the_default(home: Path) -> None:
    (home / "mds.jwt").write_bytes(blob())
    run = command("mds", "check", "--file", home / "mds.jwt")
    assert (run.code, "metadata_untrusted" in run.out) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["other"], ["show", "a", "b"], ["fetch", "--json"]])
def test_other_arguments_are_misuse(arguments: list[str]) -> None:
    assert command("mds", *arguments).code == 2
