"""Sends webhooks over HTTPS with httpx, the extra ``server``: `AsyncHTTPSender`, and `HTTPSender` around it.

One body for both colours: httpx's synchronous client can bound the silence between two bytes, but not the whole, so
that an endpoint that drips would hold a thread for ever. The synchronous sender has an event loop in a thread of its
own, where everything can be cut off, the search for the address and the TLS handshake included.
"""

import threading
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final, cast

from ...errors import ConfigurationError
from .delivery import WebhookResponse

if TYPE_CHECKING:
    import asyncio
    import ssl

    import httpx

_MOST_TIMEOUT_S: Final = 300.0
_DRAINED_BYTES: Final = 1 << 14  # of the response, to use the connection again; nobody reads them
_DRAINED_S: Final = 1.0


class AsyncHTTPSender:
    """Sends webhooks, for asyncio. Calling it sends one; what goes wrong raises what httpx, or the system, raises.

    Redirects are not followed, cookies not kept, certificates checked, the response's body not read. An event loop
    opens connections of its own; close the sender in the loop that used it.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        ssl_context: "ssl.SSLContext | None" = None,
        proxy: str | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            timeout_s: How long all of it may take, until the response's headers are there, however they drip; in
                seconds, up to 300. The default is patient, and shorter than process managers are.
            ssl_context: Whom to trust; None: the system's authorities.
            proxy: The address of one, ``http://`` or ``https://``; None: none, whatever the environment says.

        Raises:
            ConfigurationError: The extra ``server`` is not installed, or the timeout is out of range.
        """
        try:
            import httpx  # an extra, and only those who use it pay for the import
        except ImportError:
            raise ConfigurationError('sending webhooks needs the extra "server": passkeycore[server]') from None
        check_timeout(timeout_s)
        self._timeout_s = timeout_s
        # A TLS handshake that is cut off from outside would leave its socket to the garbage collector (httpcore 1.0).
        # So connecting, then the handshake, have a bit less than half of the time each, and end by themselves.
        self._extensions = {"timeout": {"connect": 0.45 * timeout_s}}
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._open: tuple[asyncio.AbstractEventLoop, httpx.AsyncHTTPTransport] | None = None

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes, /) -> WebhookResponse:
        """The response to a POST, when its headers are there.

        Raises:
            TimeoutError: They are not, in time.
            httpx.HTTPError: Connecting takes half of the time; there is no connection, no valid certificate, no HTTP.
        """
        import asyncio

        import httpx

        sent = {"user-agent": "passkeycore", **headers}
        async with asyncio.timeout(self._timeout_s):
            request = httpx.Request("POST", url, headers=sent, content=body, extensions=self._extensions)
            response = await self._opened().handle_async_request(request)
        # Its answer counts, whatever becomes of the rest.
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(_DRAINED_S):
                await _drain(response)
        return WebhookResponse(status=response.status_code, retry_after=response.headers.get("retry-after"))

    async def aclose(self) -> None:
        """Closes the connections. The sender can be used again."""
        opened, self._open = self._open, None
        if opened is not None:
            await opened[1].aclose()

    def _opened(self) -> "httpx.AsyncHTTPTransport":
        import asyncio
        import ssl

        import httpx

        loop = asyncio.get_running_loop()
        if self._open is None or self._open[0] is not loop:
            if self._ssl_context is None:
                self._ssl_context = ssl.create_default_context()
            # Below httpx's client: that keeps cookies, reads the environment, and logs addresses, which may be secret.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
            transport = httpx.AsyncHTTPTransport(
                verify=self._ssl_context, proxy=self._proxy, trust_env=False, limits=limits
            )
            self._open = loop, transport
        return self._open[1]


class HTTPSender:
    """`AsyncHTTPSender` for threads: any number of them may send with one.

    Its own thread, with the loop, begins with the first webhook and ends when it is closed. It does not live on in a
    forked process: send nothing before.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        ssl_context: "ssl.SSLContext | None" = None,
        proxy: str | None = None,
    ) -> None:
        """Opens nothing yet; see `AsyncHTTPSender`."""
        self._sender = AsyncHTTPSender(timeout_s=timeout_s, ssl_context=ssl_context, proxy=proxy)
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, /) -> WebhookResponse:
        """See `AsyncHTTPSender`."""
        import asyncio

        return asyncio.run_coroutine_threadsafe(self._sender(url, headers, body), self._loop()).result()

    def close(self) -> None:
        """Cuts off what is under way, closes the connections, ends the thread. The sender can be used again."""
        import asyncio

        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            loop, thread = running
            asyncio.run_coroutine_threadsafe(self._end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()  # leaves a search for an address, which nothing can cut off, to its own thread

    async def _end(self) -> None:
        import asyncio

        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._sender.aclose()

    def _loop(self) -> "asyncio.AbstractEventLoop":
        import asyncio

        with self._lock:
            if self._running is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="passkeycore-webhooks", daemon=True)
                self._running = loop, thread
                thread.start()
            return self._running[0]


def check_timeout(timeout_s: float) -> None:
    """Returns only when a request may take so many seconds.

    Raises:
        ConfigurationError: Not more than 0, or more than 300.
    """
    if not isinstance(timeout_s, (int, float)) or not 0 < timeout_s <= _MOST_TIMEOUT_S:
        raise ConfigurationError(f"more than 0 seconds, and up to {_MOST_TIMEOUT_S:.0f}", path="timeout_s")


async def _drain(response: "httpx.Response") -> None:
    """Reads what little may be left of `response`, so that its connection can be used again, and closes it."""
    left = _DRAINED_BYTES
    try:
        async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_raw())) as chunks:
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    break
    finally:
        await response.aclose()
