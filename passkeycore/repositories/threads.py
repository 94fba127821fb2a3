"""`InThreads`: a synchronous repository for an asynchronous service, such as one over an ORM that knows no asyncio.

Each method runs as a whole in a thread of a pool, and a service whose repositories are all there takes one trip for a
whole flow. A driver for asyncio goes back and forth between tasks for each statement, which costs several times that.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import CoroutineType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from ..engine.actions.repository import ActionRepository
from ..engine.devices.repository import DeviceRepository
from ..engine.repository import (
    CeremonyRepository,
    EventRepository,
    PasskeyRepository,
    SpentRepository,
)
from ..engine.run import flow_scopes, is_within
from ..engine.tenancy.repository import TenancyRepository
from ..engine.webhooks.repository import OutboxRepository
from ..errors import ConfigurationError

__all__ = ["InThreads"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_MOST: Final = 100


def _method(
    method: Callable[Concatenate[Any, _P], _T],
) -> "Callable[Concatenate[InThreads, _P], CoroutineType[Any, Any, _T]]":
    """The method of this name of the repository within, awaited."""
    name = method.__name__

    async def awaited(within: "InThreads", *args: _P.args, **kwargs: _P.kwargs) -> _T:
        call: Callable[[], _T] = partial(getattr(within.repository, name), *args, **kwargs)
        if is_within(within.threads):  # the whole flow is there
            return call()
        return await asyncio.get_running_loop().run_in_executor(within.threads, call)

    awaited.__name__, awaited.__doc__ = name, f"See the synchronous `{name}`."
    # For pyright the methods of a protocol give a CoroutineType, which is narrower.
    return awaited  # type: ignore[return-value]


class InThreads:
    """A repository for asyncio, of every protocol that the one within has.

    An operation whose task is cancelled goes on to its end, though nobody hears of it.

    Attributes:
        repository: The synchronous one.
        threads: Where it runs.
        flow_threads: The same: services whose repositories are all there run their flows as a whole there.
        flow_scopes: What the repository within wants around each of them, see `passkeycore.engine.run.flow_scopes`.
    """

    repository: object
    threads: ThreadPoolExecutor
    flow_threads: ThreadPoolExecutor

    def __init__(self, repository: object, *, threads: int = 10) -> None:
        """Begins no thread yet.

        Args:
            repository: For threads, such as `SQLRepository`.
            threads: How many operations run at once. On SQLite one writes at a time, and the others sleep meanwhile.

        Raises:
            ConfigurationError: No number of threads from 1 to 100.
        """
        if not isinstance(threads, int) or not 1 <= threads <= _MOST:
            raise ConfigurationError(f"a number from 1 to {_MOST}", path="threads")
        self.repository = repository
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="passkeycore-repository")
        self.flow_threads = self.threads
        self.flow_scopes = flow_scopes(repository)
        for name in _METHODS - {*dir(repository)}:
            setattr(self, name, None)  # a service that needs it says so when it is built

    @property
    def keeps_outbox(self) -> bool:
        """See `OutboxRepository.keeps_outbox`."""
        return bool(getattr(self.repository, "keeps_outbox", False))

    async def close(self) -> None:
        """Waits for what is under way, and closes the repository, where that can be. It cannot be used again."""
        await asyncio.to_thread(self.threads.shutdown)
        close: Callable[[], object] | None = getattr(self.repository, "close", None)
        if close is not None:
            await asyncio.to_thread(close)

    add_ceremony = _method(CeremonyRepository.add_ceremony)
    take_ceremony = _method(CeremonyRepository.take_ceremony)
    remove_expired = _method(CeremonyRepository.remove_expired)
    spend = _method(SpentRepository.spend)
    get_or_create_user = _method(PasskeyRepository.get_or_create_user)
    find_account = _method(PasskeyRepository.find_account)
    rename_user = _method(PasskeyRepository.rename_user)
    set_user_disabled = _method(PasskeyRepository.set_user_disabled)
    remove_user = _method(PasskeyRepository.remove_user)
    add_passkey = _method(PasskeyRepository.add_passkey)
    find_passkey = _method(PasskeyRepository.find_passkey)
    advance_passkey = _method(PasskeyRepository.advance_passkey)
    rename_passkey = _method(PasskeyRepository.rename_passkey)
    remove_passkey = _method(PasskeyRepository.remove_passkey)
    remove_passkeys = _method(PasskeyRepository.remove_passkeys)
    confirm_user_verification = _method(PasskeyRepository.confirm_user_verification)
    add_device = _method(DeviceRepository.add_device)
    find_device = _method(DeviceRepository.find_device)
    list_devices = _method(DeviceRepository.list_devices)
    replace_device = _method(DeviceRepository.replace_device)
    remove_device = _method(DeviceRepository.remove_device)
    add_device_challenge = _method(DeviceRepository.add_device_challenge)
    find_device_challenge = _method(DeviceRepository.find_device_challenge)
    pending_device_challenges = _method(DeviceRepository.pending_device_challenges)
    replace_device_challenge = _method(DeviceRepository.replace_device_challenge)
    add_action = _method(ActionRepository.add_action)
    find_action = _method(ActionRepository.find_action)
    replace_action = _method(ActionRepository.replace_action)
    record_failure = _method(ActionRepository.record_failure)
    list_actions = _method(ActionRepository.list_actions)
    action_history = _method(ActionRepository.action_history)
    remove_actions = _method(ActionRepository.remove_actions)
    add_event = _method(EventRepository.add_event)
    list_events = _method(EventRepository.list_events)
    count_events = _method(EventRepository.count_events)
    take_deliveries = _method(OutboxRepository.take_deliveries)
    finish_delivery = _method(OutboxRepository.finish_delivery)
    postpone_delivery = _method(OutboxRepository.postpone_delivery)
    revive_deliveries = _method(OutboxRepository.revive_deliveries)
    add_server_key = _method(TenancyRepository.add_server_key)
    find_server_key = _method(TenancyRepository.find_server_key)
    list_server_keys = _method(TenancyRepository.list_server_keys)
    replace_server_key = _method(TenancyRepository.replace_server_key)
    find_overrides = _method(TenancyRepository.find_overrides)
    replace_overrides = _method(TenancyRepository.replace_overrides)
    find_profile = _method(TenancyRepository.find_profile)
    save_profile = _method(TenancyRepository.save_profile)
    remove_profile = _method(TenancyRepository.remove_profile)
    list_profiles = _method(TenancyRepository.list_profiles)
    list_users = _method(TenancyRepository.list_users)


_METHODS: Final = frozenset(name for name in vars(InThreads) if not name.startswith("_")) - {"keeps_outbox", "close"}
