"""The contract of repositories that keep actions."""

from passkeycore.testing.contract.actions.events import ActionEventContract
from passkeycore.testing.contract.actions.listing import ActionListingRules
from passkeycore.testing.contract.actions.races import ActionRaces
from passkeycore.testing.contract.actions.removal import ActionRemovalRules
from passkeycore.testing.contract.actions.storing import ActionRules

__all__ = ["ActionContract", "ActionEventContract"]


class ActionContract(ActionRules, ActionListingRules, ActionRemovalRules, ActionRaces):
    """What an `ActionRepository` must do that is a `PasskeyRepository`, too, synchronous or asynchronous."""
