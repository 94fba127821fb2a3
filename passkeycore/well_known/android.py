"""``assetlinks.json``: which Android apps, and which other sites, may use the passkeys of a domain.

Spec: https://developer.android.com/identity/credential-manager/prerequisites,
https://developers.google.com/digital-asset-links/v1/statements
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec

from ..errors import ConfigurationError, show
from ..webauthn.origins import android_origin, check_origin
from .findings import Finding, Problem, Report, below, refuse, to_bytes

MOST_BYTES: Final = 1 << 20
"""What Android itself reads of the file."""

LOGIN: Final = "delegate_permission/common.get_login_creds"
"""The relation that shares credentials."""

LINKS: Final = "delegate_permission/common.handle_all_urls"
"""The relation of app links, which Google asks for with passkeys, too."""

_IDENTIFIER: Final = "[A-Za-z][A-Za-z0-9_]*"
_PACKAGE_NAME: Final = re.compile(rf"(?=.{{1,255}}\Z){_IDENTIFIER}(?:\.{_IDENTIFIER})+")
_FINGERPRINT: Final = re.compile(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}")
_SHA1: Final = re.compile(r"(?:[0-9A-F]{2}:){19}[0-9A-F]{2}|[0-9A-F]{40}")
_ANDROID: Final = "android:apk-key-hash:"


class AndroidApp(msgspec.Struct, frozen=True, kw_only=True):
    """An Android app that may use the passkeys.

    Attributes:
        package_name: Its application id, such as ``com.example.app``.
        sha256_fingerprints: Of its signing certificates: upper case with colons, as ``assetlinks.json`` has them.
    """

    package_name: str
    sha256_fingerprints: tuple[str, ...]

    def origins(self) -> tuple[str, ...]:
        """The origins that Android gives the app, one for each certificate."""
        return tuple(map(android_origin, self.sha256_fingerprints))


def is_package_name(name: str) -> bool:
    """Whether `name` has the form of an application id: at least two words with a dot between them."""
    return _PACKAGE_NAME.fullmatch(name) is not None


def asset_links(
    apps: Iterable[AndroidApp], *, sites: Iterable[str] = (), handle_all_urls: bool = True
) -> list[dict[str, Any]]:
    """The document that lets apps use the passkeys (and passwords) of the domain that serves it.

    Args:
        apps: Their fingerprints as `android_origin` takes them: either case, with colons or without.
        sites: Origins of websites that may share passwords with this one. Passkeys do not need it: see
            `related_origins` for those. None by default.
        handle_all_urls: Whether the apps may also open the domain's links, if they say in their manifest that they
            do. By default they may: Google's guide to passkeys asks for this relation.

    Raises:
        ConfigurationError: A package name or fingerprint of another form, one given twice, an app without any, a
            site that is no https origin, or no app at all.
    """
    relation = [LINKS, LOGIN] if handle_all_urls else [LOGIN]
    document = [
        _statement(
            relation,
            namespace="android_app",
            package_name=app.package_name,
            sha256_cert_fingerprints=list(map(canonical_fingerprint, app.sha256_fingerprints)),
        )
        for app in apps
    ]
    document += [_statement([LOGIN], namespace="web", site=site) for site in sites]
    try:
        content = to_bytes(document)
    except (TypeError, ValueError):
        raise ConfigurationError("a list of AndroidApp, and sites as strings", path="apps") from None
    refuse(check_asset_links(content), "apps")
    return document


def _statement(relation: Sequence[str], **target: object) -> dict[str, Any]:
    return {"relation": list(relation), "target": target}


def canonical_fingerprint(fingerprint: str) -> str:
    """The fingerprint in the one form that Android compares: upper case, with a colon between every two digits.

    Raises:
        ConfigurationError: It is none, as in `android_origin`.
    """
    android_origin(fingerprint)
    return ":".join(re.findall("..", fingerprint.replace(":", "").upper()))


class _Links:
    """What a document says about apps: which certificate of which package has which relations, and where."""

    def __init__(self) -> None:
        self.relations: dict[tuple[str, str], set[str]] = {}
        self.paths: dict[tuple[str, str], str] = {}
        self.complete = True

    def grant(self, app: tuple[str, str], relation: set[str], path: str) -> bool:
        """Notes what one statement says; False: that was known."""
        new = app not in self.relations or not self.relations[app].issuperset(relation)
        self.relations.setdefault(app, set()).update(relation)
        self.paths.setdefault(app, path)
        return new

    def with_login(self) -> list[tuple[str, str]]:
        """The apps that share credentials."""
        return [app for app, relations in self.relations.items() if LOGIN in relations]


def check_asset_links(
    document: bytes, *, apps: Collection[AndroidApp] | None = None, origins: Iterable[str] | None = None
) -> tuple[Finding, ...]:
    """What is wrong with such a document, errors first; empty: nothing. Relations besides the two are not looked at.

    Args:
        document: As it is served.
        apps: The apps that have to share credentials by it, with each of their certificates. None: whichever are
            meant.
        origins: Every origin that our server accepts, such as `RelyingParty.origins`: each
            ``android:apk-key-hash:`` must have its fingerprint here, and each fingerprint its origin there. None: it
            is not compared.
    """
    report = Report()
    value = report.read(document, MOST_BYTES)
    if value is None:
        return report.findings()
    links = _Links()
    for index, statement in enumerate(report.elements(value, "")):
        _check_statement(report, links, statement, f"[{index}]")
    granted = links.with_login()
    if links.complete and not granted and not report.has_errors:
        report.add(Problem.RELATION_MISSING, "", f"no app has the relation {LOGIN}")
    if granted:
        _check_relations(report, links)
    _compare(report, links, apps, origins)
    return report.findings()


def _check_statement(report: Report, links: _Links, value: object, path: str) -> None:
    statement = report.table(value, path)
    if not statement:
        return
    if "include" in statement:
        links.complete = False
        report.add(Problem.INCLUDED_ELSEWHERE, below(path, "include"), "the rest is in another file, not looked at")
        return
    relation = {text for _, text in report.texts(statement, "relation", path)}
    target = report.member(statement, "target", path)
    if target is None:
        return
    path = below(path, "target")
    members = report.table(target, path)
    namespace = report.member(members, "namespace", path) if members else None
    if namespace == "android_app":
        _check_app(report, links, relation, members, path)
    elif namespace == "web" and LOGIN in relation:
        _check_site(report, report.member(members, "site", path), below(path, "site"))


def _check_app(report: Report, links: _Links, relation: set[str], target: dict[str, object], path: str) -> None:
    package = report.member(target, "package_name", path)
    if not isinstance(package, str) or not is_package_name(package):
        if package is not None:
            report.add(
                Problem.PACKAGE_NAME_INVALID,
                below(path, "package_name"),
                f"{show(package)} is no application id such as com.example.app",
            )
        package = None
    fingerprints = report.texts(target, "sha256_cert_fingerprints", path)
    if target.get("sha256_cert_fingerprints") == []:
        report.add(Problem.MEMBER_MISSING, below(path, "sha256_cert_fingerprints"), "no certificate signs this app")
    for place, text in fingerprints:
        fingerprint = _checked_fingerprint(report, text, place)
        if package is None or fingerprint is None:
            continue
        if not links.grant((package, fingerprint), relation, place):
            report.add(Problem.REPEATED, place, f"{package} has these relations with this certificate already")


def _checked_fingerprint(report: Report, text: str, path: str) -> str | None:
    """The fingerprint that is meant, in the right form; None: no such is."""
    if _FINGERPRINT.fullmatch(text):
        return text
    upper = text.upper()
    if _SHA1.fullmatch(upper):
        report.add(Problem.FINGERPRINT_SHA1, path, "a SHA-1 fingerprint: that of SHA-256 is needed, 32 bytes")
        return None
    if _FINGERPRINT.fullmatch(upper):
        report.add(Problem.FINGERPRINT_LOWER_CASE, path, "lower case: Android compares with capital letters")
        return upper
    report.add(
        Problem.FINGERPRINT_INVALID,
        path,
        f"{show(text)} is no SHA-256 fingerprint: 32 times two hexadecimal digits, a colon between every two",
    )
    return None


def _check_site(report: Report, site: object, path: str) -> None:
    if site is None:
        return
    if not isinstance(site, str):
        report.add(Problem.TYPE_WRONG, path, "a string is expected here")
        return
    if site.startswith("http:"):
        report.add(Problem.ORIGIN_INSECURE, path, f"{show(site)}: anybody on the network may speak for a site in http")
        return
    try:
        right = check_origin(site.removesuffix(":443")) is not None  # which statements may name
    except ConfigurationError:
        right = False
    if not right:
        report.add(Problem.ORIGIN_INVALID, path, f"{show(site)} is no site: https://host, without a path")


def _check_relations(report: Report, links: _Links) -> None:
    for app, relations in links.relations.items():
        package, _ = app
        if LOGIN not in relations:
            message = f"{package} cannot use the passkeys with this certificate: its relation is not {LOGIN}"
            report.add(Problem.LOGIN_RELATION_MISSING, links.paths[app], message)
        elif LINKS not in relations:
            message = f"{package} has no {LINKS}, which Google's guide to passkeys asks for as well"
            report.add(Problem.LINKS_RELATION_MISSING, links.paths[app], message)


def _compare(report: Report, links: _Links, apps: Collection[AndroidApp] | None, origins: Iterable[str] | None) -> None:
    granted = set(links.with_login())
    wanted = {
        (app.package_name, canonical_fingerprint(fingerprint))
        for app in apps or ()
        for fingerprint in app.sha256_fingerprints
    }
    named = {android_origin(fingerprint) for _, fingerprint in wanted | granted}
    allowed = None if origins is None else {origin for origin in origins if origin.startswith(_ANDROID)}
    if links.complete:
        for package, fingerprint in sorted(wanted - granted):
            report.add(Problem.NOT_LISTED, "", f"{package} with {fingerprint} is missing: it cannot use the passkeys")
        for origin in sorted((allowed or set()) - named):
            report.add(Problem.NOT_LISTED, "", f"no app has the certificate of {origin}, which our server accepts")
    for app in sorted(granted):
        package, fingerprint = app
        if allowed is not None and android_origin(fingerprint) not in allowed:
            message = f"{package}: our server does not accept {android_origin(fingerprint)}, this certificate's origin"
            report.add(Problem.NOT_CONFIGURED, links.paths[app], message)
        elif apps is not None and app not in wanted:
            report.add(Problem.NOT_CONFIGURED, links.paths[app], f"{package} with this certificate is not configured")
