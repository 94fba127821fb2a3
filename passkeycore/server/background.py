"""What runs beside the requests of a server, from its start to its end: removing what expired, delivering events."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette

from .edge.http import describe
from .webhooks import Webhooks

if TYPE_CHECKING:
    from .tenancy.live import LiveTenants
    from .tenancy.storage import Storage

_LOGGER: Final = logging.getLogger("passkeycore.server")
_SWEEP_S: Final = 60.0  # what expired is refused anyway


def lifespan(
    tenants: "LiveTenants", webhooks: Webhooks, *, sweep_s: float = _SWEEP_S
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """For Starlette: what runs while the application does. At its end the storage is closed.

    Args:
        tenants: Whose things.
        webhooks: What delivers their events.
        sweep_s: How often what expired is removed, in seconds.
    """

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncGenerator[None]:
        stop = asyncio.Event()
        tasks = [
            _task("removing what expired", _sweep(tenants.storage, tenants.now, sweep_s, stop)),
            _task("delivering events", webhooks.run(stop)),
        ]
        try:
            yield
        finally:
            stop.set()  # rather than to cancel them: what is under way would outlive the connections
            try:
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                await tenants.storage.close()

    return running


def _task(doing: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """What runs until it is told to stop; when it fails, that is logged at once: nobody waits for it before the end."""

    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _LOGGER.error("%s has ended: %s", doing, describe(error))

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task


async def _sweep(storage: "Storage", now: Callable[[], datetime], every_s: float, stop: asyncio.Event) -> None:
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await stop.wait()
        if stop.is_set():
            return
        try:
            await storage.repository.remove_expired(now())
        except Exception as error:  # noqa: BLE001 - whatever the driver raises: it may be gone in a minute
            _LOGGER.warning("what expired was not removed: %s", describe(error))
