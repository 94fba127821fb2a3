"""How many requests are answered, for each tenant, address and user; more get status 429, and when to come back.

Counted in Redis where there is one, for all processes together; else in each process by itself, so that with four
workers four times as many get through. Windows slide: what was counted a window ago counts as far as it lasts.

Whose a request is, rooms say by `admit`, as soon as they know. What an address may do is judged around all of them, by
`AddressLimits`; a server of a tenant that has shown a key does not count there, as it speaks for many users. So that
its pages cannot keep a tenant's servers out, nor the other way round, the two are counted apart.
"""

import hmac
import logging
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...config.server import Limits
from .http import client_address, is_by_server, note_tenant, refuse

if TYPE_CHECKING:
    from redis.asyncio import Redis

_LOGGER: Final = logging.getLogger("passkeycore.server")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_MOST_KEYS: Final = 100_000  # about 30 MB; beyond, those who came longest ago are forgotten
_SITE_BITS: Final = 64  # of an IPv6 address: who has one usually has all that begin with them
_SCOPE: Final = "passkeycore.limits"
_LANDED: Final = "passkeycore.landed"
_IN_FLIGHT_S: Final = 1.0  # until those who came at once are answered
_AGAIN_LATER: Final = 1013  # close code of a WebSocket
_NAMESPACE: Final = "passkeycore"  # of keys in Redis

Refusal = Callable[[Scope, HTTPException], ASGIApp]
"""What tells an error in the dialect of the path that was asked for."""


class _Rate(NamedTuple):
    most: int
    window_s: int


class _Counter(Protocol):
    async def hit(self, key: str, rate: _Rate, *, count: bool, more: int = 0) -> float:
        """How long to wait, in seconds, until one fits beside so many more that are not counted yet; 0: it fits."""
        ...


class _Memory:
    """Counts in this process. Bounded: whoever was counted longest ago is forgotten first."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._windows: OrderedDict[str, tuple[int, int, int]] = OrderedDict()  # number of the window, count, previous

    async def hit(self, key: str, rate: _Rate, *, count: bool, more: int = 0) -> float:
        """See `_Counter`."""
        window, passed_s = divmod(self._monotonic(), rate.window_s)
        number, current, previous = self._windows.get(key, (0, 0, 0))
        if number != window:
            previous = current if number == window - 1 else 0
            current = 0
        left = 1 - passed_s / rate.window_s
        counted = math.floor(previous * left) + current
        if counted >= rate.most:
            return _wait_s(rate, current, previous, left)
        if counted + more >= rate.most:
            return _IN_FLIGHT_S
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

    async def hit(self, key: str, rate: _Rate, *, count: bool, more: int = 0) -> float:
        """See `_Counter`."""
        from limits import RateLimitItemPerSecond
        from limits.errors import StorageError

        item = RateLimitItemPerSecond(rate.most, rate.window_s, namespace=_NAMESPACE)
        try:
            admitted = await self._limiter.test(item, key, cost=1 + more) if not count or more else True
            if admitted and count:
                admitted = await self._limiter.hit(item, key)
            reset_at = 0.0 if admitted else (await self._limiter.get_window_stats(item, key)).reset_time
        except StorageError as error:
            if not self._is_down:
                _LOGGER.error(
                    "Redis does not count requests, each process does: %s", type(error.storage_error).__name__
                )
            self._is_down = True
            return await self._memory.hit(key, rate, count=count, more=more)
        self._is_down = False
        return 0.0 if admitted else max(reset_at - time.time(), 0.001)


class RateLimits:
    """Counts requests and says when there are too many."""

    def __init__(
        self,
        limits: Limits,
        redis: "Redis | None" = None,
        *,
        secret: bytes = b"",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing was counted yet.

        Args:
            limits: How many are too many.
            redis: Where to count, a client in bytes; None: in this process.
            secret: Of the server. Users and addresses are counted under names that only who has it can make: there
                are few enough addresses to try them all.
            monotonic: What windows are measured with, in seconds, where this process counts.
        """
        memory = _Memory(monotonic)
        self._counter: _Counter = memory if redis is None else _InRedis(redis, memory)
        self._secret = secret
        self._tenant, self._address, self._user = map(_rate, (limits.per_tenant, limits.per_address, limits.per_user))

    async def check_tenant(self, tenant_id: str, *, by_server: bool = False) -> None:
        """Counts a request about a tenant, by a server of its own or by anybody else.

        Raises:
            HTTPException: 429, with ``Retry-After``: there were too many.
        """
        await self._check(f"tenant:{'server' if by_server else 'client'}:{tenant_id}", self._tenant)

    async def check_user(self, tenant_id: str, user_id: str) -> None:
        """Counts a request about a user of a tenant.

        Raises:
            HTTPException: 429, with ``Retry-After``: there were too many.
        """
        await self._check(f"user:{self._name(tenant_id, user_id)}", self._user)

    async def check_address(self, address: str, *, count: bool, more: int = 0) -> None:
        """Looks whether an address may still ask, and counts a request from it if told to.

        Args:
            address: As `client_address` has it.
            count: Whether to count it.
            more: So many requests of the address are under way that are not counted yet.

        Raises:
            HTTPException: 429, with ``Retry-After``: there were too many.
        """
        await self._check(f"address:{self._name(_site(address))}", self._address, count=count, more=more)

    def _name(self, *parts: str) -> str:
        # Users and addresses are nobody's business in Redis, and may hold what separates its keys.
        return hmac.digest(self._secret, "\0".join(parts).encode("utf-8", "surrogatepass"), "sha256").hex()

    async def _check(self, key: str, rate: _Rate, *, count: bool = True, more: int = 0) -> None:
        wait_s = await self._counter.hit(key, rate, count=count, more=more)
        if wait_s > 0:
            raise HTTPException(
                429, "Too many requests. Please try again later.", {"Retry-After": str(math.ceil(wait_s))}
            )


async def admit(
    request: HTTPConnection, tenant_id: str, *, user_id: str | None = None, by_server: bool = False
) -> None:
    """Notes whose request it is, and counts it; every room calls it as soon as it knows.

    Users are counted where what a request shows names them before any work is done: a session, a token of an action.
    Whom a passkey or the key of a device belongs to is known only after it was judged; there the address and the
    tenant are counted, and the engine counts failures.

    Args:
        request: A request or a WebSocket.
        tenant_id: The tenant.
        user_id: The user whom it is about; None: nobody in particular.
        by_server: The client is a server of the tenant's and has shown a key: only the tenant's own limit counts.

    Raises:
        HTTPException: 429, with ``Retry-After``: there were too many.
    """
    note_tenant(request, tenant_id, by_server=by_server)
    if by_server and _LANDED in request.scope:
        request.scope[_LANDED]()
    limits: RateLimits | None = request.scope.get(_SCOPE)
    if limits is None:  # a room that is mounted alone
        return
    await limits.check_tenant(tenant_id, by_server=by_server)
    if user_id is not None and not by_server:
        await limits.check_user(tenant_id, user_id)


class AddressLimits:
    """`app` for addresses that do not ask too often, with limits for `admit` within.

    Whether a request counts is known only when a server has shown a key or an answer begins. Until then it is in
    flight, and takes a place all the same: those who come at once are no more than those who come one by one. Flights
    are counted in each process by itself.
    """

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
            refused: Makes what answers those who ask too often.
            trusted_proxies: See `client_address`.
            free: Paths that anybody may ask for as often as they like, as those who watch the server do.
        """
        self._app = app
        self._limits = limits
        self._refused = refused
        self._trusted = trusted_proxies
        self._free = frozenset(free)
        self._in_flight: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] == "lifespan" or scope["path"] in self._free:
            await self._app(scope, receive, send)
            return
        scope[_SCOPE] = self._limits
        address = client_address(HTTPConnection(scope), self._trusted)
        is_socket = scope["type"] == "websocket"
        flight = _Flight(self._in_flight, _site(address))
        try:
            await self._limits.check_address(address, count=is_socket, more=flight.others)
        except HTTPException as error:
            flight.land()
            await refuse(self._refused(scope, error), scope, receive, send, code=_AGAIN_LATER)
            return
        except BaseException:
            flight.land()
            raise
        if is_socket:  # open for long, and counted when it came, whatever becomes of it
            flight.land()
            await self._app(scope, receive, send)
            return
        scope[_LANDED] = flight.land

        async def counted() -> None:
            if flight.is_up and not is_by_server(scope):
                with suppress(HTTPException):
                    await self._limits.check_address(address, count=True)
            flight.land()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                await counted()
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            await counted()


class _Flight:
    """One request that is not counted yet.

    Attributes:
        others: How many of its site were under way when it came.
        is_up: Whether it still is.
    """

    def __init__(self, in_flight: Counter[str], site: str) -> None:
        self._in_flight, self._site = in_flight, site
        self.others = in_flight[site]
        self.is_up = True
        in_flight[site] += 1

    def land(self) -> None:
        """It does not take a place any more. Once is enough."""
        if self.is_up:
            self.is_up = False
            self._in_flight[self._site] -= 1
            if not self._in_flight[self._site]:
                del self._in_flight[self._site]


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
