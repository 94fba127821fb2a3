"""What runs beside the requests of a server, from its start to its end: removing what expired, delivering events."""

import asyncio
import logging
import os
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette

from .webhooks import Webhooks

if TYPE_CHECKING:
    from .live import LiveTenants
    from .storage import Storage

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
        sweeper = asyncio.create_task(_sweep(tenants.storage, tenants.now, sweep_s, stop))
        deliveries = asyncio.create_task(webhooks.run(stop))
        try:
            yield
        finally:
            stop.set()  # rather than to cancel them: what is under way would outlive the connections
            await asyncio.gather(sweeper, deliveries)
            await tenants.storage.close()

    return running


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


def describe(error: BaseException) -> str:
    """What went wrong and where, without its words: those of a driver have what it was asked."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return type(error).__qualname__ + place
