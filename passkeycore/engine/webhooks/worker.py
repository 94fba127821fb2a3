"""`WebhookWorker` and `AsyncWebhookWorker`: pass after pass over what waits, until they are told to stop.

What belongs here: how each colour sends several requests at once, waits and stops; a pass itself is in `delivery`.
"""

import logging
import os
import threading
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from ...errors import ConfigurationError
from ..run import awaited, immediate, run
from .delivery import DeliveryContext, DeliveryCounts, Sent, WebhookRequest, WebhookResponse, deliver_due
from .endpoint import WebhookEndpoint
from .repository import AsyncOutboxRepository, OutboxRepository
from .sending import AsyncHTTPSender, HTTPSender, check_timeout

if TYPE_CHECKING:
    import asyncio

Endpoints: TypeAlias = Mapping[str, WebhookEndpoint] | Callable[[str], WebhookEndpoint | None]
"""By realm, or asked for each event; None, or a realm that is missing: nothing is to be delivered."""

AsyncEndpoints: TypeAlias = (
    Mapping[str, WebhookEndpoint] | Callable[[str], WebhookEndpoint | Awaitable[WebhookEndpoint | None] | None]
)
"""The same, where a function may also be asynchronous."""

Send: TypeAlias = Callable[[str, Mapping[str, str], bytes], WebhookResponse]
"""POSTs a body with these headers to an address. What it raises is a failure."""

AsyncSend: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[WebhookResponse]]
"""The same, awaited."""

_T = TypeVar("_T")
_LOGGER: Final = logging.getLogger("passkeycore.webhooks")
_MOST_AT_ONCE: Final = 100
_LEASE_MARGIN: Final = timedelta(seconds=50)  # for what is around the sending, on a machine that is busy


class _Worker:
    """What both colours have.

    Attributes:
        context: The configuration, for the flow.
    """

    context: DeliveryContext

    def _build(
        self,
        adapt: Callable[[object, type[Any]], Any],
        repository: object,
        endpoint_of: Callable[[str], Awaitable[WebhookEndpoint | None]],
        send_all: Callable[[Sequence[WebhookRequest]], AsyncGenerator[Sent, None]],
        *,
        timeout_s: float,
        concurrency: int,
        poll_s: float,
        now: Callable[[], datetime] | None,
        random: Callable[[int], bytes] | None,
    ) -> None:
        if not getattr(repository, "keeps_outbox", True):
            raise ConfigurationError("was built without outbox=True: nothing would ever wait in it", path="repository")
        check_timeout(timeout_s)
        if not isinstance(concurrency, int) or not 1 <= concurrency <= _MOST_AT_ONCE:
            raise ConfigurationError(f"a number from 1 to {_MOST_AT_ONCE}", path="concurrency")
        if not isinstance(poll_s, (int, float)) or not poll_s > 0:
            raise ConfigurationError("more than 0 seconds", path="poll_s")
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._totals = DeliveryCounts()
        self.context = DeliveryContext(
            outbox=adapt(repository, AsyncOutboxRepository),
            endpoint_of=endpoint_of,
            send_all=send_all,
            limit=concurrency,
            lease=timedelta(seconds=timeout_s) + _LEASE_MARGIN,
            now=_utc_now if now is None else now,
            random=os.urandom if random is None else random,
        )

    @property
    def totals(self) -> DeliveryCounts:
        """What this worker has done since it was made, for your metrics."""
        return self._totals

    def _count(self, counts: DeliveryCounts) -> DeliveryCounts:
        with self._lock:
            self._totals += counts
        return counts


class WebhookWorker(_Worker):
    """Delivers what waits in a synchronous repository: at least once, and in order for each user.

        worker = WebhookWorker(repository, {"": WebhookEndpoint(url=…, secrets=…)})
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        worker.run(stop)

    Any number of workers, in any number of processes and on any number of machines, share the work. The repository is
    called from the thread that runs the worker; only what is sent has threads of its own.
    """

    def __init__(
        self,
        repository: OutboxRepository,
        endpoints: Endpoints,
        *,
        send: Send | None = None,
        timeout_s: float = 10.0,
        concurrency: int = 10,
        poll_s: float = 1.0,
        now: Callable[[], datetime] | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        """Checks and keeps the configuration.

        Args:
            repository: What waits, in all realms; `keeps_outbox` of it, where it has that, must not be False.
            endpoints: Where to; see `Endpoints`. What a function raises is a failure of that event.
            send: How; it has to end within `timeout_s`. None: an `HTTPSender`, which needs the extra ``server``.
            timeout_s: How long sending may take, in seconds, up to 300. Events that a worker took, and did not live
                to settle, are taken again 50 seconds after it.
            concurrency: How many events, of different users, are sent at once: 1 to 100. The default is polite.
            poll_s: How long to wait, in seconds, when nothing is due. The default is quick, at little cost.
            now: The clock, aware; None: the system's. Those of all workers should agree within seconds.
            random: So many random bytes, for the jitter; None: the system's.

        Raises:
            ConfigurationError: A repository or a function of the other colour, a repository without a method, a value
                out of range, or the extra ``server`` is not installed.
        """
        for path, function in (("endpoints", endpoints), ("send", send)):
            if iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
                raise ConfigurationError("asynchronous: use AsyncWebhookWorker", path=path)
        self._made: HTTPSender | None = None
        if send is None:
            self._made = send = HTTPSender(timeout_s=timeout_s)
        self._send = send
        lookup = _lookup(endpoints)

        async def endpoint_of(realm: str) -> WebhookEndpoint | None:
            return lookup(realm)

        self._build(
            immediate,
            repository,
            endpoint_of,
            self._send_all,
            timeout_s=timeout_s,
            concurrency=concurrency,
            poll_s=poll_s,
            now=now,
            random=random,
        )

    def run_once(self) -> DeliveryCounts:
        """One pass: what became of the events that were due, up to `concurrency` of them; 0 taken: nothing is due.

        For a scheduler of yours; `close` the worker at the end. What the repository raises passes through.
        """
        return self._count(run(deliver_due(self.context)))

    def run(self, stop: threading.Event) -> None:
        """Delivers until `stop` is set, then finishes what is under way, which takes up to `timeout_s`, and closes.

        What the repository raises is logged, and tried again after `poll_s`: databases come back.

        Raises:
            ConfigurationError: Something is set up wrongly, such as a repository that turns out to be asynchronous.
        """
        try:
            while not stop.is_set():
                try:
                    idle = self.run_once().taken == 0
                except ConfigurationError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a driver has
                    _report(error)
                    idle = True
                if idle:
                    stop.wait(self._poll_s)
        finally:
            self.close()

    def close(self) -> None:
        """Closes the connections of the sender that was made here; one that was given is yours."""
        if self._made is not None:
            self._made.close()

    async def _send_all(self, requests: Sequence[WebhookRequest]) -> AsyncGenerator[Sent, None]:
        if len(requests) < 2:  # no thread for a single one
            for request in requests:
                yield request, self._attempt(request)
            return
        with ThreadPoolExecutor(len(requests), "passkeycore-webhook") as pool:
            futures = {pool.submit(self._attempt, request): request for request in requests}
            for future in as_completed(futures):
                yield futures[future], future.result()

    def _attempt(self, request: WebhookRequest) -> WebhookResponse | Exception:
        try:
            return self._send(request.url, request.headers, request.body)
        except Exception as error:  # noqa: BLE001 - whatever a network, or a function of the application's, has
            return error


class AsyncWebhookWorker(_Worker):
    """`WebhookWorker` for asyncio, over an asynchronous repository.

    Run it as a task beside your server, or in a process of its own. When the task is cancelled, what is under way is
    cut off, and delivered again when its lease is over; setting `stop` is kinder.
    """

    def __init__(
        self,
        repository: AsyncOutboxRepository,
        endpoints: AsyncEndpoints,
        *,
        send: AsyncSend | None = None,
        timeout_s: float = 10.0,
        concurrency: int = 10,
        poll_s: float = 1.0,
        now: Callable[[], datetime] | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        """Checks and keeps the configuration; see `WebhookWorker`.

        A function for `endpoints` may be asynchronous; `send` is, and is cut off after `timeout_s`.
        """
        self._made: AsyncHTTPSender | None = None
        if send is None:
            self._made = send = AsyncHTTPSender(timeout_s=timeout_s)
        self._send = send
        self._timeout_s = timeout_s
        lookup = _lookup(endpoints)

        async def endpoint_of(realm: str) -> WebhookEndpoint | None:
            found = lookup(realm)
            return await found if isawaitable(found) else found

        self._build(
            awaited,
            repository,
            endpoint_of,
            self._send_all,
            timeout_s=timeout_s,
            concurrency=concurrency,
            poll_s=poll_s,
            now=now,
            random=random,
        )

    async def run_once(self) -> DeliveryCounts:
        """See `WebhookWorker.run_once`."""
        return self._count(await deliver_due(self.context))

    async def run(self, stop: "asyncio.Event") -> None:
        """See `WebhookWorker.run`."""
        import asyncio

        try:
            while not stop.is_set():
                try:
                    idle = (await self.run_once()).taken == 0
                except ConfigurationError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever a driver has
                    _report(error)
                    idle = True
                if idle:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._poll_s):
                            await stop.wait()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """See `WebhookWorker.close`."""
        if self._made is not None:
            await self._made.aclose()

    async def _send_all(self, requests: Sequence[WebhookRequest]) -> AsyncGenerator[Sent, None]:
        import asyncio

        tasks = {asyncio.create_task(self._attempt(request)): request for request in requests}
        waiting = set(tasks)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield tasks[task], task.result()
        finally:
            for task in waiting:
                task.cancel()

    async def _attempt(self, request: WebhookRequest) -> WebhookResponse | Exception:
        import asyncio

        try:
            sending = self._send(request.url, request.headers, request.body)
            if self._made is not None:  # it has the same bound, for what counts
                return await sending
            async with asyncio.timeout(self._timeout_s):
                return await sending
        except Exception as error:  # noqa: BLE001 - whatever a network, or a function of the application's, has
            return error


def _lookup(endpoints: Mapping[str, _T] | Callable[[str], _T]) -> Callable[[str], _T | None]:
    """What asks for the endpoint of a realm.

    Raises:
        ConfigurationError: Neither a mapping nor a function.
    """
    if callable(endpoints):
        return endpoints
    if not isinstance(endpoints, Mapping):
        raise ConfigurationError("a mapping from realms to WebhookEndpoint, or a function", path="endpoints")
    return endpoints.get


def _report(error: Exception) -> None:
    # Not its words: those of a driver have what it was asked.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    _LOGGER.error("no pass: %s (%s:%s)", type(error).__qualname__, os.path.basename(frame.filename), frame.lineno)


def _utc_now() -> datetime:
    return datetime.now(UTC)
