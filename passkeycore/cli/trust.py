"""``passkeycore trust``: the roots that come with the package, and which of them end soon."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec

from ..trust.roots import Anchor, bundled
from ..webauthn.attestation.certificate import Certificate
from .output import printer, write_json


class _Root(msgspec.Struct, frozen=True):
    """What is told about one root."""

    name: str
    formats: tuple[str, ...]
    not_after: datetime
    sha256: str

    @staticmethod
    def of(anchor: Anchor) -> "_Root":
        """What is told about `anchor`."""
        return _Root(
            anchor.name,
            tuple(sorted(anchor.formats or ())),
            Certificate.parse(anchor.certificate).not_after,
            sha256(anchor.certificate).hexdigest(),
        )


def list_roots(formats: Sequence[str], *, as_json: bool) -> int:
    """Shows the roots for these attestation formats (none: all, those of the metadata service included)."""
    _show([_Root.of(anchor) for anchor in _roots(formats)], as_json=as_json)
    return 0


def list_expiring(days: int, *, as_json: bool, now: datetime | None = None) -> int:
    """Shows the roots that end within so many days, and returns 1 when there are any.

    Args:
        days: How far to look ahead.
        as_json: One object for each root instead of a table.
        now: From when on, aware; None: the clock.
    """
    end = (now or datetime.now(UTC)) + timedelta(days=days)
    ending = [root for root in map(_Root.of, _roots(())) if root.not_after <= end]
    if ending or as_json:
        _show(ending, as_json=as_json)
    else:
        printer().line(f"no bundled root ends within {days} days", "good")
    return 1 if ending else 0


def _roots(formats: Sequence[str]) -> tuple[Anchor, ...]:
    return bundled(*formats) if formats else bundled() + bundled("mds")


def _show(roots: Sequence[_Root], *, as_json: bool) -> None:
    if as_json:
        for root in roots:
            write_json(msgspec.structs.asdict(root))
        return
    printer().table(
        ("root", "formats", "until", "SHA-256"),
        [
            (
                (root.name, "title"),
                (", ".join(root.formats), ""),
                (f"{root.not_after:%Y-%m-%d}", ""),
                (root.sha256, "quiet"),
            )
            for root in roots
        ],
    )
