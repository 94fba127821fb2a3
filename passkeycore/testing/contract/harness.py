"""How a rule of the contract is driven over a repository of either colour, and how it says that it is broken.

A rule is written once, as a coroutine over the asynchronous protocol that its parameter `repository` names. `rule`,
`race` and `rollback` make a test of it: a plain function that takes the repository, so that no runner and no plug-in is
needed.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, cast

import msgspec

from passkeycore.engine.run import awaited, immediate, run
from passkeycore.errors import ConfigurationError, show

_C = TypeVar("_C")
_L = TypeVar("_L", bound="Rollback")
_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)
_T = TypeVar("_T")


class ContractError(AssertionError):
    """A repository breaks a rule of its contract.

    Attributes:
        rule: The rule, in words.
        seen: What happened instead.
    """

    def __init__(self, seen: str, rule: str = "") -> None:
        """Keeps both; `rule` may be set later."""
        super().__init__(seen, rule)
        self.seen = seen
        self.rule = rule

    def __str__(self) -> str:
        """The rule, and what broke it."""
        return f"{self.rule} Broken: {self.seen}" if self.rule else self.seen


class Together(Protocol):
    """Runs calls at the same time, each in a thread or a task of its own."""

    async def __call__(self, calls: Sequence[Callable[[], Coroutine[Any, Any, _T]]], /) -> list[_T]:
        """What the calls returned, in their order. What one of them raised, when all have ended."""
        ...


class Undone(Protocol[_R_co]):
    """Gives the repository within a transaction of the caller's, which is rolled back at the end."""

    def __call__(self) -> AbstractAsyncContextManager[_R_co]:
        """See above."""
        ...


class Rollback(Protocol):
    """A contract that is told how to join a transaction."""

    def rolled_back(self, repository: Any, /) -> AbstractContextManager[object] | AbstractAsyncContextManager[object]:
        """`repository` within a transaction that is rolled back at the end, as a context manager of its colour."""
        ...


class _Stage(NamedTuple):
    """What a rule is played on: the repository as it was given, and what depends on its colour."""

    given: object
    adapt: Callable[[object, type[object]], object]
    together: Together


Test: TypeAlias = Callable[[_C, object], None]


def rule(body: Callable[[_C, _R], Coroutine[Any, Any, None]]) -> Test[_C]:
    """`body` as a test that takes a repository, or an asynchronous context manager that gives one."""
    return _test(body, lambda self, repository, _: body(self, repository))


def race(body: Callable[[_C, _R, Together], Coroutine[Any, Any, None]]) -> Test[_C]:
    """`rule` for a body that lets callers compete."""
    return _test(body, lambda self, repository, stage: body(self, repository, stage.together))


def rollback(body: Callable[[_L, _R, Undone[_R]], Coroutine[Any, Any, None]]) -> Test[_L]:
    """`rule` for a body that works within a transaction of the caller's."""
    protocol = _protocol_of(body)

    def play(self: _L, repository: _R, stage: _Stage) -> Coroutine[Any, Any, None]:
        @asynccontextmanager
        async def undone() -> AsyncGenerator[_R]:
            async with AsyncExitStack() as stack:
                manager = self.rolled_back(stage.given)
                if isinstance(manager, AbstractAsyncContextManager):
                    joined = await stack.enter_async_context(manager)
                else:
                    joined = stack.enter_context(manager)
                yield cast("_R", stage.adapt(joined, protocol))

        return body(self, repository, undone)

    return _test(body, play)


def expect(seen: object, wanted: object, of: str = "the answer") -> None:
    """Returns when the two are equal, in type and in every member.

    Raises:
        ContractError: They are not; `of` says what they are.
    """
    difference = _difference(seen, wanted, of)
    if difference is not None:
        raise ContractError(difference)


def demand(held: bool, seen: str) -> None:
    """Returns when `held`.

    Raises:
        ContractError: It is not; `seen` says what happened.
    """
    if not held:
        raise ContractError(seen)


def expect_one(answers: Sequence[object], winner: object, others: object) -> int:
    """The index of the one answer that is `winner`, while all others are `others`.

    Raises:
        ContractError: They are not.
    """
    won = [index for index, answer in enumerate(answers) if answer == winner]
    demand(len(won) == 1, f"of {len(answers)} callers at once {len(won)} got {winner!r}: {show(list(answers))}")
    for index, answer in enumerate(answers):
        expect(answer, winner if index == won[0] else others, f"the answer to caller {index}")
    return won[0]


def _protocol_of(body: Callable[..., Any]) -> type[object]:
    return cast("type[object]", inspect.signature(body).parameters["repository"].annotation)


def _test(body: Callable[..., Any], play: Callable[[_C, Any, _Stage], Coroutine[Any, Any, None]]) -> Test[_C]:
    words = " ".join((inspect.getdoc(body) or body.__name__).split())
    protocol = _protocol_of(body)

    def test(self: _C, repository: object) -> None:
        def judge(subject: object, stage: _Stage) -> Coroutine[Any, Any, None]:
            return play(self, subject, stage)

        try:
            _drive(repository, protocol, judge)
        except ContractError as error:
            error.rule = words
            raise

    # No __wrapped__: pytest would look for the parameters of a body that it does not call.
    test.__name__, test.__doc__ = body.__name__, body.__doc__
    test.__qualname__, test.__module__ = body.__qualname__, body.__module__
    return test


def _drive(
    repository: object, protocol: type[object], judge: Callable[[object, _Stage], Coroutine[Any, Any, None]]
) -> None:
    if _opening(repository) is None:
        try:
            subject = immediate(repository, protocol)
        except ConfigurationError:  # asynchronous, or no repository at all: `awaited` looks again
            pass
        else:
            return run(judge(subject, _Stage(repository, immediate, _in_threads)))
    import asyncio  # here: a synchronous repository needs none

    async def in_loop() -> None:
        async with AsyncExitStack() as stack:
            manager = _opening(repository)
            opened = repository if manager is None else await stack.enter_async_context(manager)
            await judge(awaited(opened, protocol), _Stage(opened, awaited, _in_tasks))

    return asyncio.run(in_loop())


def _opening(repository: object) -> AbstractAsyncContextManager[object] | None:
    is_one = isinstance(repository, AbstractAsyncContextManager)
    return cast("AbstractAsyncContextManager[object]", repository) if is_one else None


async def _in_threads(calls: Sequence[Callable[[], Coroutine[Any, Any, _T]]], /) -> list[_T]:
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    barrier = Barrier(len(calls))

    def at_once(call: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        barrier.wait()
        return run(call())

    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(at_once, call) for call in calls]
    return [future.result() for future in futures]


async def _in_tasks(calls: Sequence[Callable[[], Coroutine[Any, Any, _T]]], /) -> list[_T]:
    import asyncio

    answers = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return cast("list[_T]", answers)


def _difference(seen: object, wanted: object, of: str) -> str | None:
    if type(seen) is not type(wanted):
        return f"{of} is {show(seen)}, a {type(seen).__name__}, instead of {show(wanted)}, a {type(wanted).__name__}"
    for name, one, other in _members(seen, wanted):
        difference = _difference(one, other, f"{of}{name}")
        if difference is not None:
            return difference
    if seen != wanted:
        return f"{of} is {show(seen)}{_size(seen)} instead of {show(wanted)}{_size(wanted)}"
    if isinstance(seen, datetime) and seen.utcoffset() != timedelta(0):
        return f"{of} is {seen.isoformat()}, not in UTC"
    return None


def _members(seen: object, wanted: object) -> list[tuple[str, object, object]]:
    if isinstance(wanted, msgspec.Struct):
        return [(f".{name}", getattr(seen, name), getattr(wanted, name)) for name in wanted.__struct_fields__]
    if isinstance(wanted, tuple):
        ours, theirs = cast("tuple[object, ...]", wanted), cast("tuple[object, ...]", seen)
        same_length = len(ours) == len(theirs)
        return [(f"[{at}]", *pair) for at, pair in enumerate(zip(theirs, ours, strict=True))] if same_length else []
    if isinstance(wanted, Mapping):
        mine, yours = cast("Mapping[str, object]", wanted), cast("Mapping[str, object]", seen)
        return [(f"[{key!r}]", yours.get(key), value) for key, value in mine.items()]
    return []


def _size(value: object) -> str:
    return f" ({len(value)} bytes)" if isinstance(value, bytes) else ""
