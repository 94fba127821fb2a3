"""`RedisCeremonies` and `AsyncRedisCeremonies`: what expires, in Redis 6.2 or later, on one server or on a cluster.

Every operation is one command on one key, so Redis makes it atomic and a cluster knows where it belongs:

    add_ceremony    SET <prefix>ceremony:<realm>:<challenge> <ceremony> NX PX <lifetime>
    take_ceremony   GETDEL <prefix>ceremony:<realm>:<challenge>
    spend           SET <prefix>spent:<realm>:<key> "" NX PX <lifetime>

Realm, challenge and key are in base64url, which has no colon: no two of them share a key of Redis.

What Redis forgets decides what this can promise. A lost ceremony only has to be started again. A lost removal, or a
lost record of something spent, lets a captured response count a second time until its ceremony expires, minutes later:

- Crash: with `appendonly yes` and `appendfsync always` nothing is lost; with `everysec`, the last second; with
  snapshots alone, everything since the last one.
- Failover: replicas follow late, so the writes that had not reached the new primary are lost.
- Full memory: `spend` needs `maxmemory-policy noeviction`. Any other policy, `volatile-ttl` included, may remove what
  is spent before its time. Ceremonies bear all of them.
- A name that is shared: `FLUSHDB`, or another application under the same prefix.

A driver may repeat a command whose reply was lost; the clients that are made here never do. Repeated, `GETDEL` finds
nothing any more and `SET NX` finds its own key: the answers are None and False, so a ceremony is lost and has to be
started again, but nothing counts twice.
"""

from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..engine.records import Ceremony
from ..engine.run import awaited, immediate, synchronous
from ..errors import Code, ConfigurationError, DecodeError
from ..webauthn.encoding import encode_base64url

if TYPE_CHECKING:
    import redis
    import redis.asyncio

_GRACE: Final = timedelta(minutes=1)  # what expired is kept this long: expiry is judged by the state, not by Redis
_PATH: Final = "url_or_client"
_MILLISECOND: Final = timedelta(milliseconds=1)
# To repeat a command whose reply was lost would pass a failure off as "not found" or "spent before". Connections that
# were closed while idle are replaced without it.
_RETRIES: Final = 0
_TIMEOUT_S: Final = 5.0  # longer than a failing disk or network makes a healthy server wait, shorter than people wait


class _Commands(Protocol):
    async def execute_command(self, command: str, /, *arguments: bytes | int) -> object: ...


class _Ceremonies:
    """Every operation, once, over commands that may or may not wait for an event loop."""

    def __init__(self, commands: _Commands, prefix: str) -> None:
        self._commands, self._prefix = commands, prefix

    async def add_ceremony(self, ceremony: Ceremony, /) -> bool:
        """Keeps `ceremony` under its realm and challenge until at least a minute after its `state.expires_at`.

        Returns:
            False when the challenge is taken; what is there stays.

        Raises:
            redis.RedisError: No connection, a timeout, full memory: the driver's own error. Whether the ceremony was
                stored is unknown where the connection was lost.
        """
        state = ceremony.state
        key = self._key("ceremony", state.realm, state.challenge)
        return await self._set_new(key, ceremony.to_bytes(), state.expires_at)

    async def take_ceremony(self, realm: str, challenge: bytes, /) -> Ceremony | None:
        """Removes and returns the ceremony with this challenge; of any number of callers one gets it.

        Returns:
            None when there is none (any more).

        Raises:
            DecodeError: `state_invalid`: what is stored there is no ceremony, or another one. It is removed.
            redis.RedisError: No connection, or a timeout: the driver's own error. Whether the ceremony was removed is
                then unknown.
        """
        stored = await self._commands.execute_command("GETDEL", self._key("ceremony", realm, challenge))
        if stored is None:
            return None
        if not isinstance(stored, bytes):
            raise _unexpected(stored)
        ceremony = Ceremony.from_bytes(stored)
        # A connection whose replies are out of step would hand out somebody else's.
        if ceremony.state.realm != realm or not compare_digest(ceremony.state.challenge, challenge):
            raise DecodeError(Code.STATE_INVALID, "the stored ceremony is another one")
        return ceremony

    async def spend(self, realm: str, key: bytes, expires_at: datetime, /) -> bool:
        """Notes that `key` (32 bytes) is spent, until at least a minute after `expires_at`.

        Returns:
            True for one of any number of callers; False when it was spent before.

        Raises:
            redis.RedisError: No connection, a timeout, full memory: the driver's own error. Whether the key is spent
                is unknown where the connection was lost.
        """
        return await self._set_new(self._key("spent", realm, key), b"", expires_at)

    async def remove_expired(self, now: datetime, /) -> int:
        """Returns 0: Redis removes what expired by itself."""
        return 0

    def _key(self, kind: str, realm: str, name: bytes) -> bytes:
        return f"{self._prefix}{kind}:{encode_base64url(realm.encode())}:{encode_base64url(name)}".encode()

    async def _set_new(self, key: bytes, value: bytes, expires_at: datetime) -> bool:
        lifetime_ms = _lifetime_ms(expires_at, datetime.now(UTC))
        answer = await self._commands.execute_command("SET", key, value, b"NX", b"PX", lifetime_ms)
        if answer is None:
            return False
        if answer not in (True, b"OK"):  # redis-py makes True of it, unless its callbacks were removed
            raise _unexpected(answer)
        return True


class RedisCeremonies:
    """Ceremonies and what is spent, in Redis: a `CeremonyRepository` and a `SpentRepository`.

    Args:
        url_or_client: Address, such as ``redis://localhost:6379/0`` (also ``rediss://`` and ``unix://``), or a client
            of redis-py that answers in bytes. A client made from an address waits 5 seconds at most, and repeats no
            command; options in the address win.
        prefix: What all keys begin with. With the default, two applications on one server must differ in their
            realms.

    Raises:
        ConfigurationError: The extra ``redis`` is not installed, `url_or_client` is neither an address nor a
            synchronous client, or the client decodes its answers.
    """

    def __init__(
        self, url_or_client: "str | redis.Redis | redis.RedisCluster", *, prefix: str = "passkeycore:"
    ) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise _no_extra() from None
        client = _client(url_or_client, (redis.Redis, redis.RedisCluster), Retry(NoBackoff(), _RETRIES))
        self._made = client if isinstance(url_or_client, str) else None
        commands = immediate(client, _Commands)  # type: ignore[type-abstract]  # it reads the names of its methods
        self.context = _Ceremonies(commands, prefix)

    add_ceremony = synchronous(_Ceremonies.add_ceremony)
    take_ceremony = synchronous(_Ceremonies.take_ceremony)
    spend = synchronous(_Ceremonies.spend)
    remove_expired = synchronous(_Ceremonies.remove_expired)

    def close(self) -> None:
        """Closes the connections, if the client was made here."""
        if self._made is not None:
            self._made.close()


class AsyncRedisCeremonies(_Ceremonies):
    """`RedisCeremonies` for asyncio: an `AsyncCeremonyRepository` and an `AsyncSpentRepository`.

    Args:
        url_or_client: As for `RedisCeremonies`, with a client from `redis.asyncio`.
        prefix: As for `RedisCeremonies`.

    Raises:
        ConfigurationError: As for `RedisCeremonies`.
    """

    def __init__(
        self, url_or_client: "str | redis.asyncio.Redis | redis.asyncio.RedisCluster", *, prefix: str = "passkeycore:"
    ) -> None:
        try:
            import redis.asyncio
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise _no_extra() from None
        client = _client(url_or_client, (redis.asyncio.Redis, redis.asyncio.RedisCluster), Retry(NoBackoff(), _RETRIES))
        self._made = client if isinstance(url_or_client, str) else None
        commands = awaited(client, _Commands)  # type: ignore[type-abstract]  # it reads the names of its methods
        super().__init__(commands, prefix)

    async def close(self) -> None:
        """Closes the connections, if the client was made here."""
        if self._made is not None:
            await self._made.aclose()


def _lifetime_ms(expires_at: datetime, now: datetime) -> int:
    # A span of time, as with a point in time (PXAT) a server whose clock is ahead would forget at once, and `spend`
    # would answer True again and again. What has expired is kept all the same: Redis deletes what has no lifetime.
    lifetime = max(expires_at - now, timedelta(0)) + _GRACE
    return -(-lifetime // _MILLISECOND)  # rounded up


def _client(given: object, classes: tuple[Any, ...], retry: object) -> Any:
    if isinstance(given, str):
        try:
            given = classes[0].from_url(
                given, retry=retry, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            )
        except ValueError:  # its text is not passed on, as an address may hold a password
            raise ConfigurationError("not an address of Redis, such as redis://localhost:6379/0", path=_PATH) from None
    if not isinstance(given, classes):
        expected = " or ".join(f"{each.__module__}.{each.__name__}" for each in classes)
        raise ConfigurationError(f"neither an address nor a client of the class {expected}", path=_PATH)
    client: Any = given
    if client.get_encoder().decode_responses:
        raise ConfigurationError("ceremonies are bytes: a client with decode_responses cannot read them", path=_PATH)
    return client


def _unexpected(answer: object) -> ConfigurationError:
    return ConfigurationError(f"the client of Redis answers with {type(answer).__name__}", path=_PATH)


def _no_extra() -> ConfigurationError:
    return ConfigurationError('Redis needs the extra "redis": passkeycore[redis]')
