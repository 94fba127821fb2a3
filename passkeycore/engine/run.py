"""One body for both colours: how a coroutine over a synchronous repository runs without an event loop.

A flow is an ``async def`` over asynchronous protocols. Over a synchronous repository none of its awaits ever suspends,
so one step drives it to its end: no event loop, no threads. The methods that are made here keep the flow's exact
signature for type checkers and for `help()`, and a traceback names the flow's line. An asynchronous service whose
repositories are all in the same threads takes that one step there, instead of a trip for each method. Around the step
are scopes of the repositories, in which they keep for the whole flow what each method would otherwise have to fetch.
"""

import inspect
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from functools import partial
from threading import local
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar, cast

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from concurrent.futures import Executor

_C = TypeVar("_C", covariant=True)
_T = TypeVar("_T")
_P = ParamSpec("_P")
_F = TypeVar("_F", bound=Callable[..., Any])
Scopes: TypeAlias = tuple[AbstractContextManager[object], ...]


class HasContext(Protocol[_C]):
    """A service: what its methods hand to their flows."""

    @property
    def context(self) -> _C:
        """What flows read and write through."""
        ...


def immediate(repository: object, protocol: type[_T]) -> _T:
    """`repository`, which is synchronous, in the asynchronous shape of `protocol`: its coroutines never suspend.

    Raises:
        ConfigurationError: A method is missing, or asynchronous.
    """
    methods = _methods(repository, protocol)
    for name, method in methods.items():
        if _is_asynchronous(method):
            raise _asynchronous(repository, name)
    return cast("_T", SimpleNamespace(**{name: _immediate(repository, name, m) for name, m in methods.items()}))


def awaited(repository: object, protocol: type[_T]) -> _T:
    """`repository`, which is asynchronous, in the shape of `protocol`; a synchronous method in it is found out.

    Raises:
        ConfigurationError: A method is missing, or all are synchronous.
    """
    methods = _methods(repository, protocol)
    if not any(map(_is_asynchronous, methods.values())):  # a single one may be a plain function that gives an awaitable
        raise _synchronous(repository, next(iter(methods)))
    return cast("_T", SimpleNamespace(**{name: _awaited(repository, name, m) for name, m in methods.items()}))


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """What `coroutine` returns, which never suspends.

    Raises:
        ConfigurationError: It does.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("_T", done.value)
    coroutine.close()
    raise ConfigurationError("something in this synchronous flow waits for an event loop")


def flow_threads(*repositories: object) -> "Executor | None":
    """The threads in which flows over all of these run as a whole, one trip for each; None: there are no such.

    Args:
        repositories: Each an `InThreads`, or anything else, whose flows run in the event loop. None does not count.
    """
    found = {getattr(repository, "flow_threads", None) for repository in repositories if repository is not None}
    return found.pop() if len(found) == 1 else None


def flow_scopes(*repositories: object) -> Scopes:
    """What each synchronous flow over these runs in, as a repository for threads may want to keep a connection for it.

    Nothing, where one of them brings none: a flow that waits for something else, such as a Redis, keeps no connection.

    Args:
        repositories: Each has ``flow_scopes`` or not: context managers that may be entered again within themselves.
            None does not count.
    """
    found: dict[AbstractContextManager[object], None] = {}
    for repository in repositories:
        if repository is not None:
            scopes: object = getattr(repository, "flow_scopes", None)
            if not isinstance(scopes, tuple) or not scopes:  # a wrapper may make a method of whatever it is asked for
                return ()
            found.update(dict.fromkeys(cast("Scopes", scopes)))
    return tuple(found)


def is_within(threads: object) -> bool:
    """Whether this runs in a flow that runs as a whole in one of these threads."""
    return _here.threads is threads


class _Here(local):
    """Of this thread: whose it is, while a flow runs in it."""

    threads: object = None


_here = _Here()


def _run_within(threads: object, service: object, flow: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    _here.threads = threads
    try:
        return _run_of(service, flow())
    finally:
        _here.threads = None


def _run_of(owner: object, coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Runs it in the scopes of the service or repository whose method it is."""
    scopes: Scopes = getattr(owner, "flow_scopes", ())
    return _run_in(scopes, coroutine) if scopes else run(coroutine)


def _run_in(scopes: Scopes, coroutine: Coroutine[Any, Any, _T]) -> _T:
    outer, *inner = scopes
    with outer:
        return _run_in(tuple(inner), coroutine) if inner else run(coroutine)


def synchronous(
    flow: Callable[Concatenate[_C, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[HasContext[_C], _P], _T]:
    """`flow` as the method of a synchronous service."""

    def method(self: HasContext[_C], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return _run_of(self, flow(self.context, *args, **kwargs))

    return _named(method, flow)


def asynchronous(
    flow: Callable[Concatenate[_C, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[HasContext[_C], _P], Coroutine[Any, Any, _T]]:
    """`flow` as the method of an asynchronous service; as a whole in a thread, where the service has `flow_threads`."""

    async def method(self: HasContext[_C], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        threads: Executor | None = getattr(self, "flow_threads", None)
        if threads is None:
            return await flow(self.context, *args, **kwargs)
        from asyncio import get_running_loop  # only for those who have one

        whole = partial(flow, self.context, *args, **kwargs)
        return await get_running_loop().run_in_executor(threads, _run_within, threads, self, whole)

    return _named(method, flow)


def _named(method: _F, flow: Callable[..., Any]) -> _F:
    signature = inspect.signature(flow)
    context, *rest = signature.parameters.values()
    parameters = [context.replace(name="self", annotation=inspect.Parameter.empty), *rest]
    method.__name__ = method.__qualname__ = flow.__name__
    method.__doc__, method.__module__ = flow.__doc__, flow.__module__
    method.__annotations__ = {name: kind for name, kind in flow.__annotations__.items() if name != context.name}
    # No __wrapped__: frameworks that unwrap would see a coroutine behind a synchronous method.
    method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return method


def _methods(repository: object, protocol: type) -> dict[str, Callable[..., Any]]:
    methods: dict[str, Callable[..., Any]] = {}
    for name in dir(protocol):
        if not name.startswith("_"):
            method = getattr(repository, name, None)
            if not callable(method):
                raise ConfigurationError(f"{type(repository).__name__} has no method {name}", path="repository")
            methods[name] = method
    return methods


def _immediate(repository: object, name: str, method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    plain: set[type[object]] = set()  # what answers are, so that each type is looked at once

    async def call(*arguments: Any) -> Any:
        answer: object = method(*arguments)
        kind = type(answer)
        if kind not in plain:
            if hasattr(answer, "__await__"):  # an awaitable is true: it must not be taken for an answer
                if inspect.iscoroutine(answer):
                    answer.close()
                raise _asynchronous(repository, name)
            plain.add(kind)
        return answer

    return call


def _awaited(repository: object, name: str, method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    def call(*arguments: Any) -> Any:
        answer = method(*arguments)
        if not hasattr(answer, "__await__"):
            raise _synchronous(repository, name)
        return answer

    return call


def _is_asynchronous(method: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(method))


def _asynchronous(repository: object, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{type(repository).__name__}.{name} is asynchronous: use AsyncPasskeyService, or its like", path="repository"
    )


def _synchronous(repository: object, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{type(repository).__name__}.{name} is synchronous: use PasskeyService, or its like", path="repository"
    )
