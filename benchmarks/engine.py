"""The engine: what finishing a sign-in costs beyond level 1, which judges the same response without any storage.

Over the memory repository, so that what is left is the flow. Level 1 is handed its state and its record, the engine
takes the ceremony, finds the passkey and writes it back. Both names the same user and binding; the keys are known, as
in the warm figures of `authentication`.

Everything runs inside one coroutine. Its calls of the asynchronous service are driven as a task drives them, by `send`:
over memory, nothing ever waits.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository

from .measure import Call, Contender, interleave, overhead
from .peers import Peer
from .report import Section, bound, raw, samples, share, table, verdict
from .sign_ins import BINDING, RP, Challenges, SignIn, make_sign_ins, store

_TIMED: Final = 10
_LEAD_IN: Final = 5
_BOUND: Final = 0.12
_FLOOR: Final = "ES256 floor"
_LEVEL_1: Final = "level 1"
_COLOURS: Final = ("engine", "engine, async")


def run(rounds: int, _: Mapping[str, Peer]) -> Section:
    """Measures for `rounds` rounds of ten calls of each contender."""
    return asyncio.run(_run(rounds))


async def _run(rounds: int) -> Section:
    sign_ins = make_sign_ins(_LEAD_IN + _TIMED)
    ready = [one.floor() for one in sign_ins]
    prepares: dict[str, Callable[[], Sequence[Call]]] = {
        _FLOOR: lambda: ready,
        _LEVEL_1: lambda: [one.level_1() for one in sign_ins],
        _COLOURS[0]: synchronous(sign_ins),
        _COLOURS[1]: await asynchronous(sign_ins),
    }
    series = interleave([Contender(name, prepare, _LEAD_IN) for name, prepare in prepares.items()], rounds)
    floor, level_1 = series[_FLOOR], series[_LEVEL_1]
    found = {name: overhead(series[name], level_1, floor) for name in _COLOURS}
    beyond_floor = overhead(level_1, floor, floor)
    rows = [
        (f"{_LEVEL_1} beyond the bare check", share(beyond_floor), "-"),
        *(
            (f"{name} beyond {_LEVEL_1}", share(figure), verdict(figure.value, _BOUND))
            for name, figure in found.items()
        ),
    ]
    text = (
        f"{table(('finish_authentication', 'in bare ES256 checks', 'bound'), rows)}\n\n"
        "in brackets, what fifths of the run say.\n\n" + samples(series)
    )
    data = {
        "unit": _FLOOR,
        "level_1_overhead": beyond_floor.to_dict(),
        "overhead": {name: figure.to_dict() for name, figure in found.items()},
        "bounds": {name: bound(figure.value, _BOUND) for name, figure in found.items()},
        "series": raw(series),
    }
    return Section("engine", text, data)


def synchronous(sign_ins: Sequence[SignIn]) -> Callable[[], list[Call]]:
    """Gives the finishes of `sign_ins`, each begun just before."""
    repository, challenges = MemoryRepository(), Challenges()
    store(repository, sign_ins)
    service = PasskeyService(RP, repository, random=challenges)

    def prepare() -> list[Call]:
        for one in sign_ins:
            challenges.next = one.challenge
            service.start_authentication(user_id=one.user_id, binding=BINDING)
        return [partial(service.finish_authentication, one.body, binding=BINDING) for one in sign_ins]

    return prepare


async def asynchronous(sign_ins: Sequence[SignIn]) -> Callable[[], list[Call]]:
    """The same of the asynchronous service."""
    repository, challenges = AsyncMemoryRepository(), Challenges()
    for one in sign_ins:
        await repository.get_or_create_user(one.account.user)
        await repository.add_passkey(one.account.passkeys[0], 1, None, None)
    service = AsyncPasskeyService(RP, repository, random=challenges)

    def prepare() -> list[Call]:
        for one in sign_ins:
            challenges.next = one.challenge
            _driven(service.start_authentication(user_id=one.user_id, binding=BINDING))
        return [partial(_finished, service, one.body) for one in sign_ins]

    return prepare


def _finished(service: AsyncPasskeyService, body: bytes) -> object:
    return _driven(service.finish_authentication(body, binding=BINDING))


def _driven(coroutine: Coroutine[Any, Any, object]) -> object:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("memory made somebody wait")
