"""The same for asyncio."""

from collections.abc import Callable
from inspect import signature
from types import CoroutineType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from .synchronous import MemoryRepository

_T = TypeVar("_T")
_P = ParamSpec("_P")


def _asynchronous(
    method: Callable[Concatenate[MemoryRepository, _P], _T],
) -> "Callable[Concatenate[AsyncMemoryRepository, _P], CoroutineType[Any, Any, _T]]":
    """`method` of the repository within, for asyncio; there is nothing to wait for, so it never suspends."""

    async def call(self: "AsyncMemoryRepository", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return method(self.memory, *args, **kwargs)

    call.__name__, call.__doc__ = method.__name__, method.__doc__
    call.__qualname__ = f"AsyncMemoryRepository.{method.__name__}"
    call.__signature__ = signature(method)  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]  # mypy calls it a Coroutine, pyright the narrower CoroutineType


class AsyncMemoryRepository:
    """`MemoryRepository` for asyncio.

    Attributes:
        memory: The same users, passkeys and all the rest for synchronous code.
        keeps_outbox: Whether stored events wait for their delivery.
    """

    def __init__(
        self,
        *,
        max_ceremonies: int = 100_000,
        max_events: int = 10_000,
        max_spent: int = 1_000_000,
        max_device_challenges: int = 100_000,
        max_actions: int = 100_000,
        outbox: bool = False,
    ) -> None:
        """An empty one; see `MemoryRepository`."""
        self.memory: Final = MemoryRepository(
            max_ceremonies=max_ceremonies,
            max_events=max_events,
            max_spent=max_spent,
            max_device_challenges=max_device_challenges,
            max_actions=max_actions,
            outbox=outbox,
        )
        self.keeps_outbox: Final = outbox

    add_ceremony = _asynchronous(MemoryRepository.add_ceremony)
    take_ceremony = _asynchronous(MemoryRepository.take_ceremony)
    remove_expired = _asynchronous(MemoryRepository.remove_expired)
    spend = _asynchronous(MemoryRepository.spend)
    get_or_create_user = _asynchronous(MemoryRepository.get_or_create_user)
    find_account = _asynchronous(MemoryRepository.find_account)
    rename_user = _asynchronous(MemoryRepository.rename_user)
    set_user_disabled = _asynchronous(MemoryRepository.set_user_disabled)
    remove_user = _asynchronous(MemoryRepository.remove_user)
    add_passkey = _asynchronous(MemoryRepository.add_passkey)
    find_passkey = _asynchronous(MemoryRepository.find_passkey)
    advance_passkey = _asynchronous(MemoryRepository.advance_passkey)
    rename_passkey = _asynchronous(MemoryRepository.rename_passkey)
    remove_passkey = _asynchronous(MemoryRepository.remove_passkey)
    remove_passkeys = _asynchronous(MemoryRepository.remove_passkeys)
    confirm_user_verification = _asynchronous(MemoryRepository.confirm_user_verification)
    add_event = _asynchronous(MemoryRepository.add_event)
    list_events = _asynchronous(MemoryRepository.list_events)
    count_events = _asynchronous(MemoryRepository.count_events)
    add_device = _asynchronous(MemoryRepository.add_device)
    find_device = _asynchronous(MemoryRepository.find_device)
    list_devices = _asynchronous(MemoryRepository.list_devices)
    replace_device = _asynchronous(MemoryRepository.replace_device)
    remove_device = _asynchronous(MemoryRepository.remove_device)
    add_device_challenge = _asynchronous(MemoryRepository.add_device_challenge)
    find_device_challenge = _asynchronous(MemoryRepository.find_device_challenge)
    pending_device_challenges = _asynchronous(MemoryRepository.pending_device_challenges)
    replace_device_challenge = _asynchronous(MemoryRepository.replace_device_challenge)
    add_action = _asynchronous(MemoryRepository.add_action)
    find_action = _asynchronous(MemoryRepository.find_action)
    replace_action = _asynchronous(MemoryRepository.replace_action)
    record_failure = _asynchronous(MemoryRepository.record_failure)
    list_actions = _asynchronous(MemoryRepository.list_actions)
    action_history = _asynchronous(MemoryRepository.action_history)
    remove_actions = _asynchronous(MemoryRepository.remove_actions)
    take_deliveries = _asynchronous(MemoryRepository.take_deliveries)
    finish_delivery = _asynchronous(MemoryRepository.finish_delivery)
    postpone_delivery = _asynchronous(MemoryRepository.postpone_delivery)
    revive_deliveries = _asynchronous(MemoryRepository.revive_deliveries)
    add_server_key = _asynchronous(MemoryRepository.add_server_key)
    find_server_key = _asynchronous(MemoryRepository.find_server_key)
    list_server_keys = _asynchronous(MemoryRepository.list_server_keys)
    replace_server_key = _asynchronous(MemoryRepository.replace_server_key)
    find_overrides = _asynchronous(MemoryRepository.find_overrides)
    replace_overrides = _asynchronous(MemoryRepository.replace_overrides)
    find_profile = _asynchronous(MemoryRepository.find_profile)
    save_profile = _asynchronous(MemoryRepository.save_profile)
    remove_profile = _asynchronous(MemoryRepository.remove_profile)
    list_profiles = _asynchronous(MemoryRepository.list_profiles)
    list_users = _asynchronous(MemoryRepository.list_users)
