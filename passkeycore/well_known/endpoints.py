"""``passkey-endpoints``: where users make and manage their passkeys, for password managers that lead them there.

Spec: https://www.w3.org/TR/passkey-endpoints-1/
"""

import re
from typing import Any, Final

from ..errors import ConfigurationError, show
from ..webauthn.origins import check_origin, check_rp_id, is_within
from .findings import Finding, Problem, Report, refuse, to_bytes

MOST_BYTES: Final = 256 << 10
"""Ours: the specification names none, and three addresses need a hundredth of it."""

_MEMBERS: Final = ("enroll", "manage", "prfUsageDetails")
_URL: Final = re.compile(r"(https://[^/?#\\]+)(?:[/?#][!-~]*)?")
_LONGEST_URL: Final = 2_048  # characters; clients begin to cut beyond


def passkey_endpoints(
    *, enroll: str | None = None, manage: str | None = None, prf_usage_details: str | None = None
) -> dict[str, Any]:
    """The document that says where a site's pages for passkeys are. Without any it still says that there are passkeys.

    Args:
        enroll: Absolute https URL of the page that makes a passkey. None: it is not told.
        manage: Likewise of the one that lists and removes them.
        prf_usage_details: Likewise of one that tells what the ``prf`` extension is used for.

    Raises:
        ConfigurationError: A URL of another form.
    """
    given = dict(zip(_MEMBERS, (enroll, manage, prf_usage_details), strict=True))
    document = {name: url for name, url in given.items() if url is not None}
    try:
        content = to_bytes(document)
    except (TypeError, ValueError):
        raise ConfigurationError("URLs as strings", path="enroll") from None
    refuse(check_passkey_endpoints(content), "endpoints")
    return document


def check_passkey_endpoints(
    document: bytes, *, rp_id: str | None = None, enroll: str | None = None, manage: str | None = None
) -> tuple[Finding, ...]:
    """What is wrong with such a document, errors first; empty: nothing. Unknown members are not looked at.

    Args:
        document: As it is served.
        rp_id: The domain whose document it is. None: it does not matter where its pages are.
        enroll, manage: The URLs that have to be in it. None: any or none.

    Raises:
        ConfigurationError: An `rp_id` that is no domain.
    """
    if rp_id is not None:
        check_rp_id(rp_id)
    report = Report()
    value = report.read(document, MOST_BYTES)
    if value is None:
        return report.findings()
    members = report.table(value, "")
    for name in _MEMBERS:
        if name not in members:
            continue
        url = members[name]
        host = page_host(url)
        if host is None:
            report.add(Problem.URL_INVALID, name, f"{show(url)} is no absolute https URL in ASCII")
        elif rp_id is not None and not is_within(host, rp_id):
            report.add(Problem.URL_ELSEWHERE, name, f"{show(url)} is outside {rp_id}, which its users know")
    for name, url in (("enroll", enroll), ("manage", manage)):
        if url is not None and members.get(name) != url:
            report.add(Problem.NOT_LISTED, name, f"{show(url)} is missing: password managers will not lead there")
    return report.findings()


def page_host(url: object) -> str | None:
    """The host of an absolute https URL in ASCII without a user's name; None: it is none, or longer than 2048."""
    if not isinstance(url, str) or len(url) > _LONGEST_URL or (found := _URL.fullmatch(url)) is None:
        return None
    try:
        return check_origin(found[1])
    except ConfigurationError:
        return None
