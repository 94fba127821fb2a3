"""The contract of repositories that keep devices."""

from passkeycore.testing.contract.devices.challenges import DeviceChallengeRules
from passkeycore.testing.contract.devices.credentials import DeviceRules
from passkeycore.testing.contract.devices.events import DeviceEventContract
from passkeycore.testing.contract.devices.races import DeviceRaces

__all__ = ["DeviceContract", "DeviceEventContract"]


class DeviceContract(DeviceRules, DeviceChallengeRules, DeviceRaces):
    """What a `DeviceRepository` must do, synchronous or asynchronous."""
