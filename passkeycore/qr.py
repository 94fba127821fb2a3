"""QR codes of short texts, such as what a device scans to claim a challenge: as SVG for a page, or for a terminal.

Drawn by segno, which comes with the extras ``server`` and ``cli``.
"""

from html import escape
from typing import TYPE_CHECKING, Final

from .errors import Code, ConfigurationError, DecodeError

if TYPE_CHECKING:
    from segno import QRCode

LONGEST: Final = 512
"""The most bytes of UTF-8 that a code is made of: more, and phones begin to have trouble with the modules' size."""

_SCALES: Final = range(1, 33)
_QUIET_ZONE: Final = 4  # modules on each side that scanners need (ISO/IEC 18004, section 6.3.8)


def qr_svg(text: str, *, scale: int = 4, title: str = "QR code") -> str:
    """A QR code as an SVG element, black on white, to stand in a page or in a file.

    It refers to nothing, and has neither styles nor scripts, so any Content-Security-Policy lets it be.

    Args:
        text: What a scanner reads, 1 to 512 bytes of UTF-8.
        scale: Width of one module in CSS pixels, 1 to 32; 4 makes a code of 32 random bytes as wide as 164 of them.
        title: What stands for the picture where it cannot be seen. Not `text`, which is none for the ear.

    Raises:
        DecodeError: `too_large`: longer; `name_invalid`: empty, or lone surrogates.
        ConfigurationError: segno is not installed, or `scale` is none of these.
    """
    if scale not in _SCALES:
        raise ConfigurationError(f"{_SCALES[0]} to {_SCALES[-1]}", path="scale")
    rows = [bytes(row) for row in _code(text).matrix]
    size = len(rows) + 2 * _QUIET_ZONE
    # One path of a rectangle for each run of dark modules in a row.
    path = "".join(
        f"M{x + _QUIET_ZONE} {y + _QUIET_ZONE}h{width}v1h-{width}z"
        for y, row in enumerate(rows)
        for x, width in _runs(row)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}"'
        f' width="{size * scale}" height="{size * scale}" viewBox="0 0 {size} {size}" shape-rendering="crispEdges">'
        f"<title>{escape(title)}</title>"
        f'<path fill="#fff" d="M0 0h{size}v{size}h-{size}z"/><path fill="#000" d="{path}"/></svg>'
    )


def qr_terminal(text: str) -> str:
    """A QR code in half blocks, two modules a character, for a terminal: lines, each ended by a line feed.

    Light modules are drawn and dark ones left out, as most terminals are dark; on a light one it comes out inverted,
    which phones read as well.

    Args:
        text: What a scanner reads, 1 to 512 bytes of UTF-8.

    Raises:
        DecodeError: As `qr_svg`. ConfigurationError: segno is not installed.
    """
    rows = [bytes(row) for row in _code(text).matrix_iter(border=_QUIET_ZONE)]
    dark = b"\1" * len(rows[0])
    rows += [dark] * (len(rows) % 2)  # nothing is drawn below the last row
    return "".join(
        "".join(_BLOCKS[upper, lower] for upper, lower in zip(*pair, strict=True)) + "\n"
        for pair in zip(rows[::2], rows[1::2], strict=True)
    )


_BLOCKS: Final = {(0, 0): "\u2588", (0, 1): "\u2580", (1, 0): "\u2584", (1, 1): " "}


def _code(text: str) -> "QRCode":
    """The code, with error correction of level M, in bytes: scanners differ in what they make of other modes."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise DecodeError(Code.NAME_INVALID, "lone surrogates", path="text") from None
    if not data:
        raise DecodeError(Code.NAME_INVALID, "nothing to make a code of", path="text")
    if len(data) > LONGEST:
        raise DecodeError(Code.TOO_LARGE, f"more than {LONGEST} bytes", path="text", expected=LONGEST, actual=len(data))
    try:
        from segno import make_qr  # only those who draw pay for the import
    except ImportError:
        raise ConfigurationError('QR codes need the extra "server" or "cli": passkeycore[server]') from None
    return make_qr(data, error="m", mode="byte", boost_error=False)


def _runs(row: bytes) -> list[tuple[int, int]]:
    """Where dark modules begin in a row, and how many there are."""
    found: list[tuple[int, int]] = []
    start = row.find(1)
    while start >= 0:
        end = row.find(0, start)
        end = len(row) if end < 0 else end
        found.append((start, end - start))
        start = row.find(1, end)
    return found
