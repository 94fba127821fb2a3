"""The contract of repositories, as tests: run it over the storage that you wrote.

    import pytest
    from passkeycore.testing.contract import CeremonyContract, PasskeyContract

    class TestMyRepository(CeremonyContract, PasskeyContract):
        @pytest.fixture
        def repository(self, database):
            return MyRepository(database)

Add what else the repository keeps, and leave out what is kept elsewhere:

    EventContract, SpentContract              events, spent keys
    DeviceContract, DeviceEventContract       devices and their challenges; where it keeps events, too
    ActionContract, ActionEventContract       actions; where it keeps events, too
    OutboxContract                            events that wait for their delivery
    TenancyContract, TenancyEventContract     keys, settings and profiles of tenants; where it keeps events, too

The fixture may give a synchronous or an asynchronous repository. Where something has to be opened and closed
in the event loop of the test, it gives an asynchronous context manager:

        @pytest.fixture
        def repository(self, database):
            @asynccontextmanager
            async def opened():
                async with connect(database) as pool:
                    yield MyAsyncRepository(pool)
            return opened()

Where your repository can join a transaction of the caller's, `RollbackContract` has rules for that, too, and
`SpentRollbackContract`, `DeviceRollbackContract`, `ActionRollbackContract`, `OutboxRollbackContract` and
`TenancyRollbackContract` have more of them, for a repository that keeps such; `DeviceEventRollbackContract`,
`ActionEventRollbackContract` and `TenancyEventRollbackContract` where it keeps events, too.

Each method states one rule in its docstring, and raises `ContractError` where it does not hold. Callers who compete are
threads or tasks: the repository needs room for 16 at a time. Every rule uses realms and ids of its own, so that tables
need not be empty; but expired ceremonies of all realms are removed, and so is what waits for its delivery: use no
database that is in use.
No plug-in is needed, and no pytest: the methods are functions of a repository, ``MyTests().test_...(repository)``.
"""

from passkeycore.testing.contract.actions import ActionContract, ActionEventContract
from passkeycore.testing.contract.ceremonies import CeremonyContract, SpentContract
from passkeycore.testing.contract.devices import DeviceContract, DeviceEventContract
from passkeycore.testing.contract.events import EventContract
from passkeycore.testing.contract.harness import ContractError
from passkeycore.testing.contract.outbox import OutboxContract
from passkeycore.testing.contract.passkeys import PasskeyContract
from passkeycore.testing.contract.rollbacks import (
    ActionEventRollbackContract,
    ActionRollbackContract,
    DeviceEventRollbackContract,
    DeviceRollbackContract,
    OutboxRollbackContract,
    RollbackContract,
    SpentRollbackContract,
)
from passkeycore.testing.contract.tenancy import (
    TenancyContract,
    TenancyEventContract,
    TenancyEventRollbackContract,
    TenancyRollbackContract,
)

__all__ = [
    "ActionContract",
    "ActionEventContract",
    "ActionEventRollbackContract",
    "ActionRollbackContract",
    "CeremonyContract",
    "ContractError",
    "DeviceContract",
    "DeviceEventContract",
    "DeviceEventRollbackContract",
    "DeviceRollbackContract",
    "EventContract",
    "OutboxContract",
    "OutboxRollbackContract",
    "PasskeyContract",
    "RollbackContract",
    "SpentContract",
    "SpentRollbackContract",
    "TenancyContract",
    "TenancyEventContract",
    "TenancyEventRollbackContract",
    "TenancyRollbackContract",
]
