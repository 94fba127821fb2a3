"""What every flow about actions is given."""

from datetime import timedelta
from typing import TYPE_CHECKING

from ...actions.rules import ActionRules
from ..context import EngineContext
from ..devices.context import DeviceContext
from ..devices.repository import AsyncDeviceRepository
from ..passkeys.context import Context as PasskeyContext
from ..repository import AsyncPasskeyRepository
from .repository import AsyncActionRepository

if TYPE_CHECKING:
    from ...tokens import Tokens


class ActionContext(EngineContext, frozen=True, kw_only=True):
    """An `ActionService`'s configuration. Its repositories are in the asynchronous shape, whatever their colour.

    Attributes:
        repository: Actions.
        users: Users and passkeys, which those of the two services have.
        passkeys, devices: What meets challenges; None: nobody has any.
        known_devices: Where the users' devices are, whether they meet challenges here or not; None: nobody knows.
        rules: Decide where an action begins.
        tokens: Makes and reads the tokens of actions.
        lifetime: How long a challenge may take, and how long its success can be shown.
        max_attempts: How many times meeting a challenge may go wrong.
    """

    repository: AsyncActionRepository
    users: AsyncPasskeyRepository
    passkeys: PasskeyContext | None
    devices: DeviceContext | None
    known_devices: AsyncDeviceRepository | None
    rules: ActionRules
    tokens: "Tokens"
    lifetime: timedelta
    max_attempts: int
