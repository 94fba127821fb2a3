"""``apple-app-site-association``: which apps on Apple's systems may use the passkeys of a domain.

Spec: https://developer.apple.com/documentation/xcode/supporting-associated-domains
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from ..errors import ConfigurationError, show
from .findings import Finding, Problem, Report, refuse, to_bytes

MOST_BYTES: Final = 128 << 10
"""Uncompressed: what Apple's content delivery network takes."""

_APP_ID: Final = re.compile(r"(?=.{1,255}\Z)[A-Z0-9]{10}(?:\.[A-Za-z0-9-]+)+")
_SERVICE: Final = "webcredentials"


def is_app_id(app_id: str) -> bool:
    """Whether `app_id` has the form of one: a prefix of 10 characters, mostly the team's, a dot, the bundle ID."""
    return _APP_ID.fullmatch(app_id) is not None


def apple_app_site_association(
    webcredentials: Iterable[str], *, other_services: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """The document that lets apps use the passkeys (and passwords) of the domain that serves it.

    Args:
        webcredentials: App IDs, ``<prefix>.<bundle ID>``, at least one and none twice.
        other_services: What else the domain says, such as ``applinks``, as Apple describes it: there is only one such
            file. None: nothing.

    Raises:
        ConfigurationError: An app ID of another form or given twice, none at all, or services that are no JSON or
            make the document larger than 128 KiB.
    """
    services = dict(other_services or {})
    if _SERVICE in services:
        raise ConfigurationError("webcredentials are an argument of their own", path="other_services")
    document: dict[str, Any] = {_SERVICE: {"apps": list(webcredentials)}, **services}
    try:
        content = to_bytes(document)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError("not made of JSON values", path="other_services") from None
    refuse(check_apple_app_site_association(content), _SERVICE)
    return document


def check_apple_app_site_association(document: bytes, *, apps: Collection[str] | None = None) -> tuple[Finding, ...]:
    """What is wrong with such a document, errors first; empty: nothing. Services besides passkeys are not looked at.

    Args:
        document: As it is served, uncompressed.
        apps: The app IDs that have to be in it, and no others. None: whichever are meant.
    """
    report = Report()
    value = report.read(document, MOST_BYTES)
    if value is None:
        return report.findings()
    service = report.member(report.table(value, ""), _SERVICE, "")
    listed: set[str] = set()
    if service is not None:
        for path, app in report.texts(report.table(service, _SERVICE), "apps", _SERVICE):
            if not is_app_id(app):
                report.add(
                    Problem.APP_ID_INVALID,
                    path,
                    f"{show(app)} is no app ID: 10 capital letters or digits, a dot, and the bundle ID",
                )
            elif app in listed:
                report.add(Problem.REPEATED, path, f"{app} is there already")
            elif apps is not None and app not in apps:
                report.add(Problem.NOT_CONFIGURED, path, f"{app} is in no configuration of ours")
            listed.add(app)
    for app in apps or ():
        if app not in listed:
            report.add(Problem.NOT_LISTED, f"{_SERVICE}.apps", f"{show(app)} is missing: it cannot use the passkeys")
    if not listed and not report.has_errors:
        report.add(Problem.MEMBER_MISSING, f"{_SERVICE}.apps", "no app may use the passkeys")
    return report.findings()
