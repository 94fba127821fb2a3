"""How many requests are answered, for each tenant, address and user; more get status 429, and when to come back.

Counted in Redis where there is one, for all processes together; else in each process by itself, so that with four
workers four times as many get through. Windows slide: what was counted a window ago counts as far as it lasts.

Whose a request is, rooms say by `admit`, as soon as they know. What an address may do is judged around all of them, by
`AddressLimits`; a server of a tenant that has shown a key does not count there, as it speaks for many users.
"""

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..config.server import Limits
from .http import client_address, is_by_server, note_tenant

if TYPE_CHECKING:
    from redis.asyncio import Redis

_LOGGER: Final = logging.getLogger("passkeycore.server")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_MOST_KEYS: Final = 100_000  # about 30 MB; beyond, those who came longest ago are forgotten
_SITE_BITS: Final = 64  # of an IPv6 address: who has one usually has all that begin with them
_SCOPE: Final = "passkeycore.limits"
_NAMESPACE: Final = "passkeycore"  # of keys in Redis

Refusal = Callable[[Scope, HTTPException], Response]
"""What an error looks like in the dialect of the path that was asked for."""


class _Rate(NamedTuple):
    most: int
    window_s: int


class _Counter(Protocol):
    async def hit(self, key: str, rate: _Rate, *, count: bool) -> float: ...


class _Memory:
    """Counts in this process. Bounded: whoever was counted longest ago is forgotten first."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._windows: OrderedDict[str, tuple[int, int, int]] = OrderedDict()  # number of the window, count, previous

    async def hit(self, key: str, rate: _Rate, *, count: bool) -> float:
        """See `_Counter`."""
        window, passed_s = divmod(self._monotonic(), rate.window_s)
        number, current, previous = self._windows.get(key, (0, 0, 0))
        if number != window:
            previous = current if number == window - 1 else 0
            current = 0
        left = 1 - passed_s / rate.window_s
        if math.floor(previous * left) + current >= rate.most:
            return _wait_s(rate, current, previous, left)
        if count:
            self._windows[key] = int(window), current + 1, previous
            self._windows.move_to_end(key)
            if len(self._windows) > _MOST_KEYS:
                self._windows.popitem(last=False)
        return 0.0


class _InRedis:
    """Counts in Redis, by the package `limits`; while it does not answer, in this process."""

    def __init__(self, redis: "Redis", memory: _Memory) -> None:
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import SlidingWindowCounterRateLimiter

        storage = RedisStorage(
            "async+redis://",
            wrap_exceptions=True,
            implementation="redispy",
            connection_pool=redis.connection_pool,  # type: ignore[arg-type]  # pyright: ignore
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._memory = memory
        self._is_down = False

    async def hit(self, key: str, rate: _Rate, *, count: bool) -> float:
        """See `_Counter`."""
        from limits import RateLimitItemPerSecond
        from limits.errors import StorageError

        item = RateLimitItemPerSecond(rate.most, rate.window_s, namespace=_NAMESPACE)
        try:
            admitted = await (self._limiter.hit(item, key) if count else self._limiter.test(item, key))
            reset_at = 0.0 if admitted else (await self._limiter.get_window_stats(item, key)).reset_time
        except StorageError as error:
            if not self._is_down:
                _LOGGER.error(
                    "Redis does not count requests, each process does: %s", type(error.storage_error).__name__
                )
            self._is_down = True
            return await self._memory.hit(key, rate, count=count)
        self._is_down = False
        return 0.0 if admitted else max(reset_at - time.time(), 0.001)


class RateLimits:
    """Counts requests and says when there are too many."""

    def __init__(
        self, limits: Limits, redis: "Redis | None" = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing was counted yet.

        Args:
            limits: How many are too many.
            redis: Where to count, a client in bytes; None: in this process.
            monotonic: What windows are measured with, in seconds, where this process counts.
        """
        memory = _Memory(monotonic)
        self._counter: _Counter = memory if redis is None else _InRedis(redis, memory)
        self._tenant, self._address, self._user = map(_rate, (limits.per_tenant, limits.per_address, limits.per_user))

    async def check_tenant(self, tenant_id: str) -> None:
        """Counts a request about a tenant.

        Raises:
            HTTPException: 429, with ``Retry-After``: there were too many.
        """
        await self._check(f"tenant:{tenant_id}", self._tenant)

    async def check_user(self, tenant_id: str, user_id: str) -> None:
        """Counts a request about a user of a tenant.

        Raises:
            HTTPException: 429, with ``Retry-After``: there were too many.
        """
        # A digest: user ids are nobody's business in Redis, and may hold what separates its keys.
        name = sha256(f"{tenant_id}\0{user_id}".encode("utf-8", "surrogatepass")).hexdigest()
        await self._check(f"user:{name}", self._user)

    async def check_address(self, address: str, *, count: bool) -> None:
        """Looks whether an address may still ask, and counts a request from it if told to.

        Raises:
            HTTPException: 429, with ``Retry-After``: there were too many.
        """
        await self._check(f"address:{_site(address)}", self._address, count=count)

    async def _check(self, key: str, rate: _Rate, *, count: bool = True) -> None:
        wait_s = await self._counter.hit(key, rate, count=count)
        if wait_s > 0:
            raise HTTPException(
                429, "Too many requests. Please try again later.", {"Retry-After": str(math.ceil(wait_s))}
            )


async def admit(
    request: HTTPConnection, tenant_id: str, *, user_id: str | None = None, by_server: bool = False
) -> None:
    """Notes whose request it is, and counts it; every room calls it as soon as it knows.

    Args:
        request: A request or a WebSocket.
        tenant_id: The tenant.
        user_id: The user whom it is about; None: nobody in particular.
        by_server: The client is a server of the tenant's and has shown a key: only the tenant's own limit counts.

    Raises:
        HTTPException: 429, with ``Retry-After``: there were too many.
    """
    note_tenant(request, tenant_id, by_server=by_server)
    limits: RateLimits | None = request.scope.get(_SCOPE)
    if limits is None:  # a room that is mounted alone
        return
    await limits.check_tenant(tenant_id)
    if user_id is not None and not by_server:
        await limits.check_user(tenant_id, user_id)


class AddressLimits:
    """`app` for addresses that do not ask too often, with limits for `admit` within."""

    def __init__(
        self,
        app: ASGIApp,
        limits: RateLimits,
        *,
        refused: Refusal,
        trusted_proxies: tuple[str, ...] = (),
        free: Collection[str] = (),
    ) -> None:
        """Wraps `app`.

        Args:
            app: What is limited.
            limits: Count.
            refused: Makes the answer for those who ask too often.
            trusted_proxies: See `client_address`.
            free: Paths that anybody may ask for as often as they like, as those who watch the server do.
        """
        self._app = app
        self._limits = limits
        self._refused = refused
        self._trusted = trusted_proxies
        self._free = frozenset(free)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] == "lifespan" or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        scope[_SCOPE] = self._limits
        address = client_address(HTTPConnection(scope), self._trusted)
        is_socket = scope["type"] == "websocket"
        try:
            await self._limits.check_address(address, count=is_socket)
        except HTTPException as error:
            answer = {"type": "websocket.close", "code": 1013} if is_socket else None
            await (self._refused(scope, error)(scope, receive, send) if answer is None else send(answer))
            return
        if is_socket:
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, self._counting(scope, send, address))

    def _counting(self, scope: Scope, send: Send, address: str) -> Send:
        async def counted(message: Message) -> None:
            # Only now is it known whether a server has shown a key. Those who come at once may be some more.
            if message["type"] == "http.response.start" and not is_by_server(scope):
                with suppress(HTTPException):
                    await self._limits.check_address(address, count=True)
            await send(message)

        return counted


def _rate(text: str) -> _Rate:
    most, _, window = text.partition("/")
    return _Rate(int(most), _SECONDS[window])


def _wait_s(rate: _Rate, current: int, previous: int, left: float) -> float:
    """How long until one more fits, in seconds."""
    if current < rate.most:  # what the previous window still weighs has to fade
        return max((left - (rate.most - current) / previous) * rate.window_s, 0.001)
    return (left + 1 - rate.most / current) * rate.window_s + 0.001


def _site(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _SITE_BITS), strict=False).network_address)
    return address
