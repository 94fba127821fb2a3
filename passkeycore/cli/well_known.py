"""``passkeycore well-known``: makes the files below ``/.well-known/``, and says what is wrong with those that exist."""

import json
import os
import ssl
from collections.abc import Collection, Iterator, Sequence
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import BaseHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

from ..config import Config, check_well_known, load, parse, well_known_files
from ..config.well_known import DIRECTORY, NAMES
from ..errors import ConfigurationError
from ..webauthn.origins import check_origin
from ..well_known import CONTENT_TYPE, Finding, Problem, check_response
from ..well_known.findings import WHOLE
from . import complain
from .download import DownloadError, download
from .output import Printer, Style, printable, printer, write_json

_MOST_BYTES: Final = 1 << 20  # the most that any of the files may have; the check knows which has less
_WHOLE_S: Final = 30.0  # for a small file; clients wait for less
_OK: Final = 200
_GONE: Final = frozenset({404, 410})
_LONGEST_REASON: Final = 200  # characters
_READABLE: Final = 0o644  # whoever serves it may be somebody else


class BuildOptions(NamedTuple):
    """What ``build`` is told without a configuration file, as in the keys of one.

    Attributes:
        rp_id: The domain. None: there is a configuration file.
        ios_apps: App IDs.
        android_apps: ``PACKAGE=FINGERPRINT``; more fingerprints of a package by naming it again.
        related_origins: Of other domains.
        enroll_url, manage_url: Pages; None: they are not told.
    """

    rp_id: str | None = None
    ios_apps: Sequence[str] = ()
    android_apps: Sequence[str] = ()
    related_origins: Sequence[str] = ()
    enroll_url: str | None = None
    manage_url: str | None = None

    def config(self) -> Config:
        """The configuration that they amount to.

        Raises:
            ConfigurationError: A value that its key does not take, or no domain.
        """
        if self.rp_id is None:
            raise ConfigurationError("whose passkeys they are for has to be said", path="--rp-id")
        apps: dict[str, list[str]] = {}
        for app in self.android_apps:
            package, separator, fingerprint = app.partition("=")
            if not separator:
                raise ConfigurationError(f"{app!a} is not PACKAGE=FINGERPRINT", path="--android-app")
            apps.setdefault(package, []).append(fingerprint)
        keys: dict[str, Any] = {
            "hostname": self.rp_id,
            "ios_apps": list(self.ios_apps),
            "android_apps": [{"package_name": name, "sha256_fingerprints": each} for name, each in apps.items()],
            "related_origins": list(self.related_origins),
            "passkey_enroll_url": self.enroll_url,
            "passkey_manage_url": self.manage_url,
        }
        given = {name: value for name, value in keys.items() if value not in (None, [])}
        return parse(json.dumps(given), name="options", format="jsonc")


def build(config: str | None, options: BuildOptions, directory: str) -> int:
    """Writes every file for which there is something, and shows what should be known of them.

    1: something is still wrong with one, such as an Android origin without its app. 2: misuse.

    Args:
        config: A configuration file; None: `options` say it all.
        options: Instead of a configuration file.
        directory: The root of the site: the files go into its ``.well-known``, which is made where there is none.
    """
    if (config is None) == (options == BuildOptions()):
        return complain("either --config or the options that stand for it")
    try:
        settings = load(config) if config is not None else options.config()
        files = well_known_files(settings)
    except ConfigurationError as error:
        return complain(error.message)
    if not files:
        return complain("no app, related origin or page is configured, so there is no file to make")
    out, good = printer(), True
    try:
        for path, (_, content) in files.items():
            file = Path(directory, *path.strip("/").split("/"))
            _replace(file, content)
            findings = check_well_known(file.name, content, settings)
            good &= _tell(out, f"{file}, to be served as https://{settings.rp_id}{path}", findings)
    except OSError as error:
        return complain(str(error))
    out.line(f"serve them with status 200 as {CONTENT_TYPE}, without a redirect", "quiet")
    return 0 if good else 1


def check(
    arguments: Sequence[str],
    config: str | None,
    name: str | None,
    public_suffixes: Collection[str],
    *,
    as_json: bool,
) -> int:
    """Shows what is wrong with files, or with what a site serves. 1: there is an error. 2: misuse.

    Args:
        arguments: Files, directories that hold them, https addresses, or domains, whose four files are fetched.
        config: A configuration file to compare with; None: each is judged alone.
        name: Which file each argument is, where its own name does not tell; None: it does.
        public_suffixes: Those of related origins that have more than one label, such as ``co.uk``.
        as_json: One object for each file instead of text.
    """
    try:
        settings = None if config is None else load(config)
        sources = [source for argument in arguments for source in _sources(argument, name)]
        found = list(_read_all(sources, settings, public_suffixes))
    except ConfigurationError as error:
        return complain(error.message)
    except OSError as error:
        return complain(str(error))
    out = printer()
    good = True
    for source, served, findings in found:
        ok = all(finding.level != "error" for finding in findings)
        good &= ok
        if as_json:
            listed = [{"level": f.level, "code": f.code, "path": f.path, "message": f.message} for f in findings]
            about = {"document": source.place, "name": source.name, "served": served}
            write_json(about | {"ok": ok, "findings": listed})
        elif served or findings:
            _tell(out, source.place, findings)
        else:
            out.line(f"{source.place}: there is none", "quiet")
    return 0 if good else 1


class _Source(NamedTuple):
    """One file to look at.

    Attributes:
        place: A path, or an address.
        name: Which of the files it is.
        optional: The domain or directory it belongs to, which need not have it; None: it has to be there.
    """

    place: str
    name: str
    optional: str | None = None

    def is_remote(self) -> bool:
        """Whether it is fetched."""
        return self.place.startswith("https://")


def _sources(argument: str, name: str | None) -> list[_Source]:
    """The files that an argument means.

    Raises:
        ConfigurationError: It means none.
    """
    if "://" in argument:
        if not argument.startswith("https://"):
            raise ConfigurationError(f"{argument!a}: https only, as clients fetch these files")
        try:
            path = urlsplit(argument).path.rstrip("/")
        except ValueError:
            raise ConfigurationError(f"{argument!a}: no address") from None
        return [_Source(argument, _named(path, name, argument))] if path else _all_four(argument.rstrip("/"), DIRECTORY)
    if not argument:  # an unset variable of the shell, hardly this directory
        raise ConfigurationError("an empty argument")
    place = Path(argument)
    if place.is_dir():
        below = place / DIRECTORY.strip("/")
        return _all_four(str(below if below.is_dir() else place), "/")
    if place.exists():
        return [_Source(argument, _named(argument, name, argument))]
    try:
        is_domain = argument not in NAMES and check_origin(f"https://{argument}") is not None
    except ConfigurationError:
        is_domain = False
    if not is_domain:
        raise ConfigurationError(f"{argument!a}: no such file, and no domain")
    return _all_four(f"https://{argument}", DIRECTORY)


def _all_four(place: str, directory: str) -> list[_Source]:
    return [_Source(f"{place}{directory}{name}", name, place) for name in NAMES]


def _named(path: str, name: str | None, argument: str) -> str:
    """Which of the files one at `path` is."""
    known = name or next((each for each in NAMES if Path(path).name in (each, f"{each}.json")), None)
    if known is None:
        raise ConfigurationError(f"{argument!a}: say by --as which of {', '.join(NAMES)} it is")
    return known


def _read_all(
    sources: Sequence[_Source], config: Config | None, public_suffixes: Collection[str]
) -> Iterator[tuple[_Source, bool, tuple[Finding, ...]]]:
    """Each file, whether it is there, and what is wrong with it."""
    trusted = ssl.create_default_context()
    wanted = () if config is None else [path.removeprefix(DIRECTORY) for path in well_known_files(config)]
    results: list[tuple[_Source, bytes | None, tuple[Finding, ...]]] = []
    for source in sources:
        absent, content, findings = _fetch(source.place, trusted) if source.is_remote() else _read(source)
        if absent and source.optional is not None and source.name not in wanted:
            findings = ()
        results.append((source, content, findings))
    # None of them has to be there, but to have none at all is no answer to the question.
    present = {source.optional for source, content, findings in results if content is not None or findings}
    for source, content, findings in results:
        if source.optional is not None and source.optional not in present:
            findings = (_not_served("none of the files is there"),)
        if content is not None:
            findings += check_well_known(source.name, content, config, public_suffixes=public_suffixes)
        yield source, content is not None, findings


class _Status(BaseHandler):
    """Sees the response before its content is read, and lets only those with status 200 pass."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.content_type: str | None = None

    def https_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        """Called by the opener."""
        self.code, self.content_type = response.status, response.headers.get("Content-Type")
        if self.code != _OK:
            response.close()
            raise URLError(f"status {self.code}")
        return response


def _read(source: _Source) -> tuple[bool, bytes | None, tuple[Finding, ...]]:
    """As `_fetch`, of a file on this computer."""
    try:
        with open(source.place, "rb") as file:
            return False, file.read(_MOST_BYTES + 1), ()
    except FileNotFoundError:
        return True, None, (_not_served("there is no such file"),)


def _fetch(url: str, trusted: ssl.SSLContext) -> tuple[bool, bytes | None, tuple[Finding, ...]]:
    """Whether the server says that there is none, the content, and what is wrong with how it is served.

    The content is None where nothing usable is served.

    No redirect is followed, as the clients of these files follow none.
    """
    opener, seen = OpenerDirector(), _Status()
    for handler in (ProxyHandler(), UnknownHandler(), seen, HTTPSHandler(context=trusted)):
        opener.add_handler(handler)
    content: bytes | None = None
    reason = ""
    try:
        content = download(url, _MOST_BYTES, opener, whole_s=_WHOLE_S)
    except DownloadError as error:
        reason = printable(str(error))[:_LONGEST_REASON]
    if seen.code is None or (content is None and seen.code == _OK):
        return False, None, (_not_served(reason),)
    return seen.code in _GONE, content, check_response(status=seen.code, content_type=seen.content_type)


def _not_served(message: str) -> Finding:
    return Finding(code=Problem.NOT_SERVED, path=WHOLE, message=message)


def _tell(out: Printer, place: str, findings: Sequence[Finding]) -> bool:
    """Shows what was found; False: an error is among it."""
    good = all(finding.level != "error" for finding in findings)
    out.line(f"{place}: {'good' if not findings else 'good, but' if good else 'not good'}", "good" if good else "bad")
    for finding in findings:
        style: Style = "bad" if finding.level == "error" else ""
        out.line(f"  {finding.level} {finding.code} at {finding.path}: {finding.message}", style)
    return good


def _replace(file: Path, content: bytes) -> None:
    """Replaces the file as a whole: a server that reads it meanwhile has the old or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.chmod(_READABLE)
        temporary.replace(file)
    except BaseException:  # an interruption leaves no half of a file behind either
        temporary.unlink(missing_ok=True)
        raise
