"""``passkeycore mds``: FIDO metadata downloaded, verified and cached; and what the cache holds."""

import os
import ssl
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from ..errors import ConfigurationError, PasskeyError
from ..trust.metadata import MAX_BYTES, Metadata
from ..trust.metadata_entry import MetadataEntry
from . import complain
from .download import DownloadError, download, https_opener
from .output import Cell, Node, Tree, printable, printer, write_json

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

URL: Final = "https://mds3.fidoalliance.org/"
_BEGIN_PEM: Final = b"-----BEGIN CERTIFICATE-----"
_PROBLEMS_LISTED: Final = 10
_READABLE: Final = 0o644  # metadata is public, and the server may run as somebody else


def default_file() -> Path:
    """Where the metadata is cached unless told otherwise. Spec: XDG Base Directory Specification"""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache"), "passkeycore", "mds.jwt")


def fetch(
    url: str,
    file: str | None,
    roots: Sequence[str],
    *,
    opener: "OpenerDirector | None" = None,
    now: datetime | None = None,
) -> int:
    """Downloads the metadata, verifies it, and replaces the cached one, which stays when anything fails.

    Args:
        url: Where it is served, https.
        file: Where to cache it; None: `default_file`.
        roots: Files with certificates, PEM or DER, instead of the roots of FIDO's service.
        opener: Who downloads; None: https under the system's authorities.
        now: The time to judge at, aware; None: the clock.
    """
    if not url.startswith("https://"):
        return complain("metadata is downloaded over https only")
    now, target = now or datetime.now(UTC), Path(file) if file is not None else default_file()
    try:
        anchors = _anchors(roots)
        known = _known(target, anchors, now)
        blob = download(url, MAX_BYTES, opener or https_opener())
        metadata = Metadata.from_blob(blob, now=now, anchors=anchors, known=known)
        _replace(target, blob)
    except DownloadError as error:
        return _fail(f"the download from {url} failed: {error}")
    except ConfigurationError as error:
        return complain(error.message)
    except PasskeyError as error:
        return _fail(f"what {url} serves is refused: {error.code}: {error.message}")
    except OSError as error:
        return complain(str(error))
    _summary(metadata, target, now)
    return 0


def show(
    aaguid: str | None, file: str | None, roots: Sequence[str], *, as_json: bool, now: datetime | None = None
) -> int:
    """Shows the cached entry of one model, or all of them in short. 1: it is not there, or the cache is not good."""
    now, source = now or datetime.now(UTC), Path(file) if file is not None else default_file()
    try:
        wanted = None if aaguid is None else UUID(aaguid)
    except ValueError:
        return complain(f"{aaguid!a} is no AAGUID")
    try:
        metadata = _load(source, _anchors(roots), now)
    except (OSError, ConfigurationError) as error:
        return complain(str(error))
    except PasskeyError as error:
        return _fail(f"{source}: {error.code}: {error.message}")
    if wanted is not None:
        entry = metadata.entry(wanted)
        if entry is None:
            return _fail(f"{source} has no entry for {wanted}")
        tree = _tree(entry, now)
        write_json(tree) if as_json else printer().tree(entry.description, tree)
    elif as_json:
        for entry in metadata.entries:
            write_json(_tree(entry, now))
    else:
        printer().table(("AAGUID", "authenticator", "status"), [_row(entry, now) for entry in metadata.entries])
        _summary(metadata, source, now)
    return 0


def check(file: str | None, roots: Sequence[str], *, as_json: bool, now: datetime | None = None) -> int:
    """Says whether the cached metadata is good and up to date. 1: it is not."""
    now, source = now or datetime.now(UTC), Path(file) if file is not None else default_file()
    try:
        metadata = _load(source, _anchors(roots), now)
    except (OSError, ConfigurationError) as error:
        return complain(str(error))
    except PasskeyError as error:
        if as_json:
            write_json({"file": str(source), "ok": False} | error.to_dict())
        else:
            printer().line(f"{source}: {error.code}: {error.message}", "bad")
        return 1
    stale = metadata.is_stale(now)
    if as_json:
        about = {"no": metadata.no, "next_update": metadata.next_update, "entries": len(metadata.entries)}
        problems = [f"{problem.entry}: {problem.message}" for problem in metadata.problems]
        write_json({"file": str(source), "ok": not stale, **about, "stale": stale, "problems": problems})
    else:
        _summary(metadata, source, now)
    return 1 if stale else 0


def _fail(message: str) -> int:
    sys.stderr.write(f"passkeycore: {printable(message)}\n")
    return 1


def _anchors(files: Sequence[str]) -> list[bytes] | None:
    """The certificates in the files; None when there are none, which means FIDO's own."""
    contents = [Path(file).read_bytes() for file in files]
    return [_der(content) for content in contents] or None


def _der(content: bytes) -> bytes:
    if not content.lstrip().startswith(_BEGIN_PEM):
        return content
    try:
        return ssl.PEM_cert_to_DER_cert(content.decode("ascii").strip())
    except ValueError:
        raise ConfigurationError("a root is not a certificate in PEM or DER", path="--root") from None


def _load(file: Path, anchors: Sequence[bytes] | None, now: datetime) -> Metadata:
    with file.open("rb") as stream:
        blob = stream.read(MAX_BYTES + 1)
        kept_since = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, UTC)
    # `fetch` writes only what it has verified, so the file's time says when its signer's certificate had to be valid.
    return Metadata.from_blob(blob, now=now, verified_at=min(kept_since, now), anchors=anchors)


def _known(file: Path, anchors: Sequence[bytes] | None, now: datetime) -> Metadata | None:
    """The metadata that is cached; None, with a word on standard error, when there is none that verifies."""
    try:
        return _load(file, anchors, now)
    except FileNotFoundError:
        return None
    except ConfigurationError:
        raise
    except PasskeyError as error:
        _fail(f"{file} is not good ({error.code}), so it will be replaced by any that is")
        return None


def _replace(file: Path, content: bytes) -> None:
    """Replaces the file as a whole: whoever reads it meanwhile, or after a crash, has the old or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        os.chmod(temporary, _READABLE)
        os.replace(temporary, file)
    except BaseException:  # an interrupted download leaves no file behind either
        os.unlink(temporary)
        raise


def _summary(metadata: Metadata, file: Path, now: datetime) -> None:
    out = printer()
    out.line(f"{file}: number {metadata.no} with {len(metadata.entries)} entries, next update {metadata.next_update}")
    for problem in metadata.problems[:_PROBLEMS_LISTED]:
        out.line(f"{problem.entry}: {problem.message}", "quiet")
    if len(metadata.problems) > _PROBLEMS_LISTED:
        out.line(f"... and {len(metadata.problems) - _PROBLEMS_LISTED} more", "quiet")
    stale = metadata.is_stale(now)
    out.line("stale: the next one is due" if stale else "verified and up to date", "bad" if stale else "good")


def _row(entry: MetadataEntry, now: datetime) -> list[Cell]:
    report = entry.status_at(now)
    known_as = entry.protocol_family if entry.aaguid is None else str(entry.aaguid)
    return [(known_as, "quiet"), (entry.description, "title"), ("" if report is None else report.status, "")]


def _tree(entry: MetadataEntry, now: datetime) -> Tree:
    report = entry.status_at(now)
    reports: list[Node] = [
        {"status": report.status, "effective_date": str(report.effective_date or "") or None, "url": report.url}
        for report in entry.status_reports
    ]
    anchors: list[Node] = [
        {"sha256": sha256(anchor).hexdigest(), "formats": [*sorted(formats)]}
        for anchor, formats in zip(entry.anchors, entry.anchor_formats, strict=True)
    ]
    return {
        "aaguid": None if entry.aaguid is None else str(entry.aaguid),
        "key_identifiers": [*sorted(identifier.hex() for identifier in entry.key_identifiers)],
        "description": entry.description,
        "protocol_family": entry.protocol_family,
        "status": None if report is None else report.status,
        "status_reports": reports,
        "attestation_types": [*entry.attestation_types],
        "algorithms": [*entry.algorithms],
        "anchors": anchors,
    }
