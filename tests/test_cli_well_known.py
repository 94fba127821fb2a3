"""``passkeycore well-known``: the files that are made, and what is found in files and on a real https server."""

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

import pytest

from passkeycore import android_origin
from passkeycore.cli import _WELL_KNOWN_NAMES
from passkeycore.config.well_known import NAMES
from passkeycore.well_known import to_bytes
from tests.command import Run, command
from tests.https import Answer, Server, redirect
from tests.test_well_known import ANDROID, APPLE, ENDPOINTS, GOOD, IOS, ONE, RELATED, SIX, TWO

OPTIONS: Final = (
    *("--rp-id", "example.com", "--ios-app", IOS, "--ios-app", "ABCDE12345.com.example.app2"),
    *("--android-app", f"com.example.app={ONE}", "--android-app", f"com.example.two={TWO.lower()}"),
    *(part for origin in RELATED["origins"] for part in ("--related-origin", origin)),
    *("--enroll-url", ENDPOINTS["enroll"], "--manage-url", ENDPOINTS["manage"]),
)
KEYS: Final[dict[str, Any]] = {
    "hostname": "example.com",
    "ios_apps": APPLE["webcredentials"]["apps"],
    "android_apps": [
        {"package_name": "com.example.app", "sha256_fingerprints": [ONE]},
        {"package_name": "com.example.two", "sha256_fingerprints": [TWO]},
    ],
    "related_origins": RELATED["origins"],
    "passkey_enroll_url": ENDPOINTS["enroll"],
    "passkey_manage_url": ENDPOINTS["manage"],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configured(tmp_path)


def configured(directory: Path, **keys: Any) -> Path:
    file = directory / "passkey_config.json"
    file.write_text(json.dumps(KEYS | keys), "utf-8")
    return file


def build(*arguments: str | Path) -> Run:
    return command("well-known", "build", *arguments)


def check(*arguments: str | Path) -> Run:
    return command("well-known", "check", *arguments)


def files_of(directory: Path) -> dict[str, Any]:
    return {file.name: json.loads(file.read_bytes()) for file in (directory / ".well-known").iterdir()}


# --- build ---


@pytest.mark.parametrize("from_file", [True, False])
def test_all_four_are_made_from_a_configuration_or_from_options(config: Path, tmp_path: Path, from_file: bool) -> None:
    site = tmp_path / "site"
    run = build(*(("--config", config) if from_file else OPTIONS), "--out", site)
    assert (run.code, run.err) == (0, "")
    made = files_of(site)
    assert made == GOOD | {"apple-app-site-association": {"webcredentials": APPLE["webcredentials"]}} | {
        "assetlinks.json": ANDROID[:2]
    }
    for name in NAMES:
        assert f"https://example.com/.well-known/{name}: good" in run.out
        assert (site / ".well-known" / name).stat().st_mode & 0o777 == 0o644
    assert check(site, "--config", config).code == 0


def test_certificates_of_one_package_are_gathered(tmp_path: Path) -> None:
    apps = ["--android-app", f"com.example.app={ONE}", "--android-app", f"com.example.app={TWO}"]
    assert build("--rp-id", "example.com", *apps, "--out", tmp_path).code == 0
    (statement,) = files_of(tmp_path)["assetlinks.json"]
    assert statement["target"]["sha256_cert_fingerprints"] == [ONE, TWO]


def test_what_is_there_is_replaced_and_nothing_else_is_touched(config: Path, tmp_path: Path) -> None:
    directory = tmp_path / "site" / ".well-known"
    directory.mkdir(parents=True)
    (directory / "assetlinks.json").write_text("[]", "utf-8")
    (directory / "security.txt").write_text("ours", "utf-8")
    assert build("--config", config, "--out", tmp_path / "site").code == 0
    assert (directory / "security.txt").read_text("utf-8") == "ours"
    assert {file.name for file in directory.iterdir()} == {*NAMES, "security.txt"}
    assert json.loads((directory / "assetlinks.json").read_bytes()) == ANDROID[:2]


def test_a_file_that_is_not_good_yet_is_told(tmp_path: Path) -> None:
    other = android_origin("00" * 32)
    config = configured(tmp_path, origins=["https://example.com", other])
    run = build("--config", config, "--out", tmp_path)
    assert run.code == 1
    assert "error not_listed at $" in run.out
    assert other in run.out


def test_a_budget_that_nobody_can_count_is_a_warning(tmp_path: Path) -> None:
    config = configured(tmp_path, related_origins=[f"https://{name}.co.uk" for name in "abcdef"])
    run = build("--config", config, "--out", tmp_path)
    assert run.code == 0
    assert "good, but" in run.out
    assert "warning labels_uncertain at origins" in run.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either --config or"),
        (("--config", "no.json"), "no.json"),
        (("--config", "{config}", "--rp-id", "example.com"), "either --config or"),
        (("--ios-app", IOS), "--rp-id"),
        (("--rp-id", "example.com"), "there is no file to make"),
        (("--rp-id", "https://example.com", "--ios-app", IOS), "hostname"),
        (("--rp-id", "example.com", "--ios-app", "app"), "ios_apps[0]"),
        (("--rp-id", "example.com", "--android-app", "com.example.app"), "PACKAGE=FINGERPRINT"),
        (("--rp-id", "example.com", "--android-app", f"app={ONE}"), "package_name"),
        (("--rp-id", "example.com", "--android-app", "com.example.app=AA:BB"), "sha256_fingerprints[0]"),
        (("--rp-id", "example.com", "--related-origin", "example.org"), "related_origins[0]"),
        (("--rp-id", "example.com", *(x for o in SIX for x in ("--related-origin", o))), "more than 5 labels"),
        (("--rp-id", "localhost", "--related-origin", "http://localhost:3000"), "https only"),
        (("--rp-id", "example.com", "--enroll-url", "/passkeys"), "passkey_enroll_url"),
    ],
)
def test_misuse_makes_nothing(config: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    filled = [str(config) if argument == "{config}" else argument for argument in arguments]
    run = build(*filled, "--out", tmp_path / "site")
    assert (run.code, run.out) == (2, "")
    assert message in run.err
    assert not (tmp_path / "site").exists()


def test_a_place_that_cannot_be_written_is_misuse_and_leaves_nothing(config: Path, tmp_path: Path) -> None:
    run = build("--config", config, "--out", config)
    assert run.code == 2
    site = tmp_path / "site"
    (site / ".well-known" / "apple-app-site-association").mkdir(parents=True)
    assert build("--config", config, "--out", site).code == 2
    assert [file.name for file in (site / ".well-known").iterdir()] == ["apple-app-site-association"]


def test_nothing_to_write_to_is_misuse() -> None:
    assert build("--rp-id", "example.com").code == 2


# --- check: files ---


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(to_bytes(GOOD[name]))
    run = check(file)
    assert (run.code, run.out) == (0, f"{file}: good\n")
    file.write_bytes(b"{}//")
    run = check(file)
    assert run.code == 1
    assert f"{file}: not good" in run.out
    assert "error json_invalid at $: not JSON, line 1: a comment" in run.out


def test_a_file_of_another_name_has_to_be_named(tmp_path: Path) -> None:
    file = tmp_path / "related.txt"
    file.write_bytes(to_bytes(RELATED))
    run = check(file)
    assert (run.code, "--as" in run.err) == (2, True)
    assert check(file, "--as", "webauthn").code == 0
    assert check(file, "--as", "assetlinks.json").code == 1
    renamed = file.rename(tmp_path / "webauthn.json")
    assert check(renamed).code == 0


def test_a_directory_is_looked_through_also_as_the_root_of_a_site(tmp_path: Path) -> None:
    below = tmp_path / "site" / ".well-known"
    below.mkdir(parents=True)
    (below / "webauthn").write_bytes(to_bytes(RELATED))
    (below / "assetlinks.json").write_bytes(b"[]")
    for directory in (below, tmp_path / "site"):
        run = check(directory, "--json")
        assert run.code == 1
        assert [Path(each["document"]) for each in run.objects] == [below / name for name in NAMES]
        assert [(each["served"], each["ok"]) for each in run.objects] == [
            (False, True),
            (True, False),
            (True, True),
            (False, True),
        ]
    assert f"{below / 'passkey-endpoints'}: there is none" in check(below).out


def test_a_directory_without_any_file_fails_and_so_does_one_without_what_is_configured(
    tmp_path: Path, config: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    assert check(site).code == 1
    assert build("--config", config, "--out", site).code == 0
    assert check(site, "--config", config).code == 0
    (site / ".well-known" / "webauthn").unlink()
    assert check(site).code == 0
    run = check(site, "--config", config, "--json")
    assert run.code == 1
    assert [each["findings"][0]["code"] for each in run.objects if not each["ok"]] == ["not_served"]


def test_json_has_every_finding(tmp_path: Path) -> None:
    file = tmp_path / "webauthn"
    file.write_bytes(to_bytes({"origins": ["https://example.org/", "https://a.de", "https://a.de"]}))
    (told,) = check(file, "--json").objects
    messages = [finding.pop("message") for finding in told["findings"]]
    assert all(messages)
    assert told == {
        "document": str(file),
        "name": "webauthn",
        "served": True,
        "ok": False,
        "findings": [
            {"level": "error", "code": "origin_invalid", "path": "origins[0]"},
            {"level": "warning", "code": "repeated", "path": "origins[2]"},
        ],
    }


def test_warnings_alone_are_no_failure(tmp_path: Path) -> None:
    file = tmp_path / "webauthn"
    file.write_bytes(to_bytes({"origins": ["https://a.de", "https://a.de"]}))
    run = check(file)
    assert (run.code, "good, but" in run.out) == (0, True)


def test_a_configuration_is_compared(tmp_path: Path) -> None:
    file = tmp_path / "assetlinks.json"
    file.write_bytes(to_bytes(ANDROID[:1]))
    assert check(file).code == 0
    run = check(file, "--config", configured(tmp_path), "--json")
    assert run.code == 1
    assert [finding["code"] for finding in run.objects[0]["findings"]] == ["not_listed"]


def test_public_suffixes_settle_the_budget(tmp_path: Path) -> None:
    file = tmp_path / "webauthn"
    file.write_bytes(to_bytes({"origins": [f"https://{name}.co.uk" for name in "abcdef"]}))
    assert check(file).code == 0
    assert check(file, "--public-suffix", "co.uk").code == 1
    assert check(file, "--public-suffix", "*.uk").code == 2


@pytest.mark.parametrize(
    "place",
    [
        *("http://example.com", "ftp://example.com/webauthn", "https://example.com/robots.txt", "https://[", "no/such"),
        *("assetlinks.json", "webauthn", "", "exa mple.com", "example.com/.well-known/webauthn", "a\x00b"),
    ],
)
def test_what_is_neither_file_nor_site_is_misuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    run = check(place)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("passkeycore: ")


def test_a_file_that_cannot_be_read_is_misuse(tmp_path: Path) -> None:
    (tmp_path / "webauthn").symlink_to("/proc/self/mem" if os.path.exists("/proc/self/mem") else "/")
    assert check(tmp_path / "webauthn").code == 2


def test_the_names_of_the_arguments_are_those_of_the_files() -> None:
    assert _WELL_KNOWN_NAMES == NAMES


# --- check: a server ---


def served(content: bytes, *, status: int = 200, kind: str | None = "application/json") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        if kind is not None:
            handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


MISSING: Final = served(b"<html>", status=404, kind="text/html")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("https"))
    yield server
    server.close()


@pytest.fixture
def site(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server with four good files, which this environment trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.root))
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("no_proxy", "localhost")
    server.answers = {f"/.well-known/{name}": served(to_bytes(GOOD[name])) for name in NAMES}
    server.asked.clear()
    return server


def place(site: Server, name: str) -> str:
    return f"{site.url}/.well-known/{name}"


@pytest.mark.parametrize("form", ["{}", "https://{}", "https://{}/"])
def test_all_four_of_a_domain_are_fetched(site: Server, config: Path, form: str) -> None:
    run = check(form.format(site.url.removeprefix("https://")), "--config", config, "--json")
    assert (run.code, run.err) == (0, "")
    assert [each["document"] for each in run.objects] == [place(site, name) for name in NAMES]
    assert site.asked == [f"/.well-known/{name}" for name in NAMES]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(served(b"[]", kind="text/html"), "content_type_wrong", id="html"),
        pytest.param(served(b"[]", kind=None), "content_type_wrong", id="no-type"),
        pytest.param(MISSING, "not_served", id="404"),
        pytest.param(served(b"[]", status=500), "not_served", id="500"),
        pytest.param(served(b"[]", status=203), "not_served", id="203"),
        pytest.param(redirect("/.well-known/webauthn"), "redirected", id="redirect"),
        pytest.param(redirect("http://localhost:1/"), "redirected", id="redirect-to-http"),
        pytest.param(served(b"{}" + (2 << 20) * b" "), "not_served", id="2-MiB"),
        pytest.param(lambda handler: handler.wfile.write(b"I am not HTTP\r\n\r\n"), "not_served", id="no-http"),
        pytest.param(served(b"{"), "json_invalid", id="no-json"),
    ],
)
def test_how_a_file_is_served_matters(site: Server, answer: Answer, code: str) -> None:
    site.answers["/.well-known/assetlinks.json"] = answer
    run = check(place(site, "assetlinks.json"), "--json")
    assert run.code == 1
    assert run.objects[0]["findings"][0]["code"] == code
    assert site.asked == ["/.well-known/assetlinks.json"]  # no redirect is followed


def test_what_is_served_with_another_type_is_judged_all_the_same(site: Server) -> None:
    site.answers["/.well-known/assetlinks.json"] = served(b"[]", kind="text/plain")
    (told,) = check(place(site, "assetlinks.json"), "--json").objects
    assert [finding["code"] for finding in told["findings"]] == ["content_type_wrong", "relation_missing"]


def test_a_domain_may_do_without_a_file_unless_the_configuration_has_it(
    site: Server, tmp_path: Path, config: Path
) -> None:
    site.answers["/.well-known/webauthn"] = MISSING
    run = check(site.url)
    assert run.code == 0
    assert f"{place(site, 'webauthn')}: there is none" in run.out
    (told,) = [each for each in check(site.url, "--json").objects if not each["served"]]
    assert (told["name"], told["ok"], told["findings"]) == ("webauthn", True, [])
    run = check(site.url, "--config", config, "--json")
    assert run.code == 1
    (told,) = [each for each in run.objects if not each["ok"]]
    assert (told["name"], told["findings"][0]["code"]) == ("webauthn", "not_served")
    assert check(site.url, "--config", configured(tmp_path, related_origins=[])).code == 0


def test_a_domain_with_a_broken_file_is_not_one_without(site: Server) -> None:
    site.answers["/.well-known/webauthn"] = served(b"", status=503)
    assert check(site.url).code == 1


def test_a_domain_without_any_file_fails(site: Server) -> None:
    site.answers = dict.fromkeys(site.answers, MISSING)
    run = check(site.url, "--json")
    assert run.code == 1
    assert [finding["code"] for each in run.objects for finding in each["findings"]] == 4 * ["not_served"]


def test_a_server_that_nobody_certifies_or_nobody_reaches(
    site: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = check("https://localhost:1/.well-known/webauthn", "--json")
    assert (run.code, run.objects[0]["findings"][0]["code"]) == (1, "not_served")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert check(place(site, "webauthn")).code == 1
    assert site.asked == []
