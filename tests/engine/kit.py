"""A service in either colour, behind one face, with a clock and a randomness that a test sets.

What belongs here: what the tests of every flow need. `Engine` makes a method of the asynchronous service a call, so
that one body tests both colours.
"""

import asyncio
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import pytest

from passkeycore import PasskeyError, RelyingParty
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.engine.records import Passkey, User
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import AttestationAuthority, SoftwareAuthenticator, VirtualClient, b64url_decode, derive

Colour: TypeAlias = Literal["sync", "async"]
Json: TypeAlias = dict[str, Any]

NOW: Final = datetime(2026, 1, 2, 12, tzinfo=UTC)
RP: Final = RelyingParty(id="example.org", name="Example", origins=["https://example.org"])
ADA: Final[Json] = {"user_id": "ada", "user_name": "ada@example.org"}
EVE: Final[Json] = {"user_id": "eve", "user_name": "eve@example.org"}
SECRET: Final = bytes(range(32))
_AUTHORITY: Final = AttestationAuthority("engine")


class Clock:
    """The time, which stands still until it is moved."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class Chance:
    """Bytes that follow from a seed, never the same twice."""

    def __init__(self, seed: str = "chance") -> None:
        self.seed = seed
        self.drawn = 0

    def __call__(self, length: int) -> bytes:
        self.drawn += 1
        return derive(self.seed, str(self.drawn), length=length)


@dataclass
class Engine:
    """A service over a repository in memory. Its methods are those of the service, in both colours called alike."""

    service: Any
    memory: MemoryRepository
    clock: Clock
    colour: Colour
    realm: str = ""
    wrapped: Any = field(default=None)
    """The repository that the service was given."""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.service, name)
        if self.colour == "sync":
            return method
        return lambda *arguments, **keywords: asyncio.run(method(*arguments, **keywords))

    def stored(self) -> Json:
        """Every user with their passkeys, and what leads to them: what no failure may change."""
        return stored(self.memory)

    def under_way(self) -> int:
        """How many ceremonies wait."""
        return len(self.memory._ceremonies)

    def register(self, seed: str = "ada", *, start: Json | None = None, client: VirtualClient | None = None) -> Passkey:
        """A new passkey of ada's, or of whomever `start` names."""
        asked = ADA | (start or {})
        device = client or browser(seed)
        begun = self.start_registration(**asked)
        body = device.create(begun.to_dict(), mediation=begun.options.mediation)
        repeated = {name: asked[name] for name in ("binding", "purpose", "account_stamp") if name in asked}
        return self.finish_registration(body, user_id=asked["user_id"], **repeated).passkey  # type: ignore[no-any-return]


def stored(memory: MemoryRepository) -> Json:
    """What `memory` holds for good, apart from events: comparable."""
    owners = memory._users.items()
    return {
        "users": {key: owner.user for key, owner in owners},
        "passkeys": {(key, id): passkey for key, owner in owners for id, passkey in owner.passkeys.items()},
        "owners": {key: owner.user.user_id for key, owner in memory._owners.items()},
        "handles": set(memory._handles),
        "devices": {(key, id): device for key, owner in owners for id, device in owner.devices.items()},
        "device owners": {key: owner.user.user_id for key, owner in memory._device_owners.items()},
        "device keys": dict(memory._device_ids),
        "device challenges": {key: value[2] for key, value in memory._device_challenges._values.items()},
    }


def engine(
    colour: Colour,
    *,
    rp: RelyingParty = RP,
    memory: MemoryRepository | None = None,
    wrap: Any = None,
    clock: Clock | None = None,
    seed: str = "chance",
    realm: str = "",
    **settings: Any,
) -> Engine:
    """A service of this colour over `memory`, or over what `wrap` makes of it."""
    memory = MemoryRepository() if memory is None else memory
    clock = Clock() if clock is None else clock
    repository: Any = memory
    if colour == "async":
        repository = AsyncMemoryRepository()
        repository.__dict__["memory"] = memory
    if wrap is not None:
        repository = wrap(repository)
    kind = PasskeyService if colour == "sync" else AsyncPasskeyService
    usual: Json = {"now": clock, "random": Chance(seed), "realm": realm}
    return Engine(kind(rp, repository, **(usual | settings)), memory, clock, colour, realm, repository)


class Hooked:
    """A repository before some of whose methods something happens, as if another server had done it.

    What a hook returns, unless it is None, is the answer instead.
    """

    def __init__(self, within: Any, colour: Colour, before: dict[str, Callable[..., object]]) -> None:
        self.within, self.colour, self.before = within, colour, before

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.within, name)

        def call(*arguments: Any) -> Any:
            instead = self.before.get(name, _nothing)(*arguments)
            return method(*arguments) if instead is None else instead

        async def call_and_wait(*arguments: Any) -> Any:
            answer = call(*arguments)
            return await answer if hasattr(answer, "__await__") else answer

        return call if self.colour == "sync" else call_and_wait


def _nothing(*_: object) -> None:
    """What usually happens before."""


def hooked(colour: Colour, before: dict[str, Callable[..., object]], **settings: Any) -> Engine:
    """A service over a `Hooked` repository. Fill `before` when the stage is set."""
    return engine(colour, wrap=lambda repository: Hooked(repository, colour, before), **settings)


def browser(seed: str = "ada", origin: str | None = None, **settings: Any) -> VirtualClient:
    """A browser with an authenticator of its own."""
    return VirtualClient(SoftwareAuthenticator(seed, authority=_AUTHORITY, **settings), origin)


def posted(response: Json) -> bytes:
    """The response as a page posts it."""
    return json.dumps(response).encode()


def challenge_of(start: Any) -> bytes:
    """The challenge of options that were begun."""
    return b64url_decode(start.to_dict()["challenge"])


def user_of(memory: MemoryRepository, user_id: str, realm: str = "") -> User:
    """The stored user."""
    return memory._users[realm, user_id].user


@contextmanager
def refused(code: str, of: Engine | None = None) -> Generator["pytest.ExceptionInfo[PasskeyError]"]:
    """Holds only when the block ends in this code, and, given the engine, when nothing that is stored changed."""
    before = None if of is None else of.stored()
    with pytest.raises(PasskeyError) as caught:
        yield caught
    assert caught.value.code == code, repr(caught.value)
    if of is not None:
        assert of.stored() == before
