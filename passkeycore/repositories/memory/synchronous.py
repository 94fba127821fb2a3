"""The parts put together."""

from .actions import Actions
from .devices import Devices
from .events import Events
from .passkeys import Passkeys
from .tenancy import Tenancy


class MemoryRepository(Passkeys, Devices, Actions, Events, Tenancy):
    """A `Repository` in memory for any number of threads, which keeps everything else, too.

    It is an `EventRepository`, `SpentRepository`, `DeviceRepository`, `ActionRepository`, `OutboxRepository` and
    `TenancyRepository`. Call `remove_expired` now and then, as with every repository. Users, passkeys, devices, what is
    kept of tenants and what waits for its delivery are unbounded.
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
        """An empty one.

        Args:
            max_ceremonies: How many may be under way. When there are more, those that expired go first, then the
                oldest. The default takes about 100 MB when it is reached.
            max_events: How many events are kept; older ones are dropped. The default takes about 6 MB.
            max_spent: How many spent keys are remembered. When all of them are needed, nothing more can be spent until
                some expire. The default takes about 400 MB when it is reached.
            max_device_challenges: How many challenges to devices are kept, likewise: first those go that expired, then
                the oldest. The default takes about 100 MB when it is reached.
            max_actions: How many actions are kept; the oldest are dropped, whatever their state: their tokens are good
                for nothing then. The default takes about 200 MB when it is reached.
            outbox: Every event that is stored waits for its delivery, too, and is kept for that until it is delivered;
                False: nothing is delivered, and nothing kept for it.

        Raises:
            ConfigurationError: A bound is not positive.
        """
        super().__init__(
            max_ceremonies=max_ceremonies,
            max_events=max_events,
            max_spent=max_spent,
            max_device_challenges=max_device_challenges,
            max_actions=max_actions,
            outbox=outbox,
        )
