"""A file over https into memory, bounded in size and time, with progress on a terminal."""

import ssl
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage
from typing import IO, Final
from urllib.error import URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from .. import __version__

_CHUNK: Final = 1 << 16
_SILENCE_S: Final = 30.0
_WHOLE_S: Final = 600.0


class DownloadError(Exception):
    """It did not arrive; the text says why."""


def https_opener(context: ssl.SSLContext | None = None) -> OpenerDirector:
    """An opener that speaks https and nothing else, after a redirect too.

    Args:
        context: Whom to trust; None: the system's authorities, as ``ssl.create_default_context`` has them.
    """
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        UnknownHandler(),
        HTTPDefaultErrorHandler(),
        _HttpsRedirectHandler(),
        HTTPErrorProcessor(),
        HTTPSHandler(context=context or ssl.create_default_context()),
    ):
        opener.add_handler(handler)
    return opener


class _HttpsRedirectHandler(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if not newurl.startswith("https://"):
            raise URLError("a redirect that leaves https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, max_bytes: int, opener: OpenerDirector, *, whole_s: float = _WHOLE_S) -> bytes:
    """The content at `url`, complete.

    Args:
        url: What `opener` opens.
        max_bytes: More than that is refused, if possible before it is sent.
        opener: Who opens it, such as `https_opener`.
        whole_s: How long all of it may take, in seconds, however steadily it drips.

    Raises:
        DownloadError: It cannot be reached, says that it failed, is too large or slow, or ends too early.
    """
    end = time.monotonic() + whole_s
    content = bytearray()
    try:
        # The opener, not the address, keeps this to https.
        request = Request(url, headers={"User-Agent": f"passkeycore/{__version__}"})  # noqa: S310
        with opener.open(request, timeout=_SILENCE_S) as response:
            announced = response.headers.get("Content-Length", "")
            size = int(announced) if announced.isdigit() else None
            if size is not None and size > max_bytes:
                raise DownloadError(f"larger than {max_bytes} bytes")
            with _progress(size) as tell:
                while chunk := response.read(_CHUNK):
                    content += chunk
                    if len(content) > max_bytes:
                        raise DownloadError(f"larger than {max_bytes} bytes")
                    if time.monotonic() > end:
                        raise DownloadError(f"not complete after {whole_s:.0f} seconds")
                    tell(len(content))
    except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError, a malformed address a ValueError
        raise DownloadError(f"{type(error).__name__}: {error}") from None
    if size is not None and len(content) != size:
        raise DownloadError(f"it ends after {len(content)} of {size} bytes")
    return bytes(content)


@contextmanager
def _progress(size: int | None) -> Generator[Callable[[int], object], None, None]:
    """What is called with the number of bytes so far, and shows it on a terminal; `size` None: nobody knows the end."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        yield lambda done: sys.stderr.write(f"\r{done >> 10} KiB" + (f" of {size >> 10}" if size else ""))
        sys.stderr.write("\n")
        return
    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("downloading", total=size)
        yield lambda done: bar.update(task, completed=done)
