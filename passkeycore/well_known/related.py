"""``webauthn``: which origins of other domains may use the passkeys of a domain, within five labels.

Browsers need only look at origins of five different labels. The label of an origin is the first one of its registrable
domain, ``example`` for ``https://www.example.co.uk``, which only the public suffix list tells for certain. That list
changes every few days and is not part of this package, so labels are counted from both sides: there are at least so
many, whatever the list says, and at most so many. Too many at least is an error; too many at most is a warning, which
goes away when the public suffixes in question are given.

Spec: #sctn-related-origins; https://publicsuffix.org/
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from ..errors import ConfigurationError, show
from ..webauthn.origins import check_origin, check_rp_id, is_within
from .findings import Finding, Problem, Report, refuse, to_bytes

MOST_BYTES: Final = 256 << 10
"""Ours: no specification names one, and a file within the budget has a hundredth of it."""

MOST_LABELS: Final = 5
"""As many as every client has to look at; more may be ignored."""

_MEMBER: Final = "origins"


class LabelCount(NamedTuple):
    """How many different labels there are, between two bounds; either counts no further than one over the budget."""

    at_least: int
    at_most: int


def related_origins(
    origins: Iterable[str], *, rp_id: str | None = None, public_suffixes: Collection[str] = ()
) -> dict[str, Any]:
    """The document that lets pages of other domains use the passkeys of the domain that serves it.

    Args:
        origins: ``https://host`` or ``https://host:port``, the more important ones first, none twice.
        rp_id: Whose passkeys they are. None: unknown, so it helps nothing in counting labels.
        public_suffixes: Those of the origins that have more than one label, such as ``co.uk``. None by default: then
            only a document that certainly has more than five labels is refused.

    Raises:
        ConfigurationError: No https origin of a registrable domain, one given twice, none at all, or more than five
            labels.
    """
    document: dict[str, Any] = {_MEMBER: list(origins)}
    try:
        content = to_bytes(document)
    except (TypeError, ValueError):
        raise ConfigurationError("a list of origins", path=_MEMBER) from None
    refuse(check_related_origins(content, rp_id=rp_id, public_suffixes=public_suffixes), _MEMBER)
    return document


def check_related_origins(
    document: bytes,
    *,
    origins: Collection[str] | None = None,
    rp_id: str | None = None,
    public_suffixes: Collection[str] = (),
) -> tuple[Finding, ...]:
    """What is wrong with such a document, errors first; empty: nothing.

    Args:
        document: As it is served.
        origins: The related origins that our server accepts, such as `RelyingParty.related_origins`: both have to say
            the same. None: it is not compared.
        rp_id, public_suffixes: As in `related_origins`.

    Raises:
        ConfigurationError: An `rp_id` or a public suffix that is no domain.
    """
    for domain in (*public_suffixes, *(() if rp_id is None else (rp_id,))):
        check_rp_id(domain)
    report = Report()
    value = report.read(document, MOST_BYTES)
    if value is None:
        return report.findings()
    hosts: dict[str, str] = {}
    for path, origin in report.texts(report.table(value, ""), _MEMBER, ""):
        if origin in hosts:
            report.add(Problem.REPEATED, path, f"{origin} is there already")
            continue
        host = _checked_host(report, origin, path, public_suffixes)
        if host is None:
            continue
        hosts[origin] = host
        if rp_id is not None and is_within(host, rp_id):
            message = f"{origin} is within {rp_id} and needs no permission; here it costs a label"
            report.add(Problem.ORIGIN_WITHIN_RP_ID, path, message)
        elif origins is not None and origin not in origins:
            report.add(Problem.NOT_CONFIGURED, path, f"{origin} may ask for passkeys, but our server refuses them")
    for origin in origins or ():
        if origin not in hosts:
            message = f"{show(origin)} is missing: our server accepts it, but browsers do not let it ask"
            report.add(Problem.NOT_LISTED, _MEMBER, message)
    if not hosts and not report.has_errors:
        report.add(Problem.MEMBER_MISSING, _MEMBER, "at least one origin is needed")
    _check_budget(report, count_labels(hosts.values(), rp_id=rp_id, public_suffixes=public_suffixes))
    return report.findings()


def _checked_host(report: Report, origin: str, path: str, public_suffixes: Collection[str]) -> str | None:
    if origin.startswith("http:"):
        report.add(Problem.ORIGIN_INSECURE, path, f"{show(origin)}: browsers have passkeys over https only")
        return None
    try:
        host = check_origin(origin)
    except ConfigurationError:
        message = f"{show(origin)} is not https://host or https://host:port, as browsers spell it: lower-case ASCII, "
        report.add(Problem.ORIGIN_INVALID, path, message + "without a path, a slash at the end or a default port")
        return None
    if host is None:
        report.add(Problem.ORIGIN_INVALID, path, f"{show(origin)} is the origin of an app, which this file is not for")
    elif _candidates(host, public_suffixes) is None:
        report.add(Problem.ORIGIN_WITHOUT_DOMAIN, path, f"{origin} has no registrable domain, so browsers skip it")
        return None
    return host


def _check_budget(report: Report, count: LabelCount) -> None:
    if count.at_least > MOST_LABELS:
        message = f"more than {MOST_LABELS} labels: what comes after the first {MOST_LABELS} is ignored by some clients"
        report.add(Problem.LABELS_EXCEEDED, _MEMBER, message)
    elif count.at_most > MOST_LABELS:
        message = (
            f"between {count.at_least} labels and more than {MOST_LABELS}, which is the most that every client looks "
            "at: name the public suffixes of more than one label, such as co.uk, to know"
        )
        report.add(Problem.LABELS_UNCERTAIN, _MEMBER, message)


def count_labels(
    hosts: Iterable[str], *, rp_id: str | None = None, public_suffixes: Collection[str] = ()
) -> LabelCount:
    """How many different labels the hosts of origins have, as far as that can be told without the public suffix list.

    Known are hosts of two labels and those below one of `public_suffixes`. A host below another one of the list, or
    below the RP ID, has that one's label: neither is a public suffix. Any other may have any label but its last.

    Args:
        hosts: Domains in lower case.
        rp_id, public_suffixes: As in `related_origins`.
    """
    unique = dict.fromkeys(hosts)
    suffixes = frozenset(public_suffixes)
    known = {domain for domain in (*unique, rp_id or "") if "." in domain and domain not in suffixes}
    roots = dict.fromkeys(_shortest(host, known) for host in unique)
    options = [labels for root in roots if (labels := _candidates(root, suffixes)) is not None]
    return LabelCount(_fewest(options), _most(options))


def _shortest(host: str, known: Collection[str]) -> str:
    """The shortest of the known domains that `host` is or stands below; `host` itself where there is none."""
    labels = host.split(".")
    above = (".".join(labels[start:]) for start in range(len(labels) - 1, -1, -1))
    return next((domain for domain in above if domain in known), host)


def _candidates(host: str, public_suffixes: Collection[str]) -> frozenset[str] | None:
    """What the label of `host` may be; None: it has no registrable domain."""
    labels = host.split(".")
    for start in range(len(labels)):
        if ".".join(labels[start:]) in public_suffixes:
            return frozenset({labels[start - 1]}) if start else None
    return frozenset(labels[:-1]) or None


def _fewest(options: Sequence[frozenset[str]]) -> int:
    """How many labels there are in any case: hosts whose labels cannot be the same."""
    taken: set[str] = set()
    count = 0
    for labels in sorted(set(options), key=len):
        if taken.isdisjoint(labels):
            taken |= labels
            count += 1
            if count > MOST_LABELS:
                break
    return count


def _most(options: Sequence[frozenset[str]]) -> int:
    """How many labels there may be: a largest matching of hosts and labels, found by augmenting paths."""
    holder: dict[str, int] = {}

    def place(index: int, tried: set[str]) -> bool:
        for label in options[index] - tried:
            tried.add(label)
            if label not in holder or place(holder[label], tried):
                holder[label] = index
                return True
        return False

    count = 0
    for index in range(len(options)):
        count += place(index, set())
        if count > MOST_LABELS:
            break
    return count
