"""`DjangoRepository`: everything of the example in one place. Leave out what you do not need."""

from .actions import Actions
from .devices import Devices


class DjangoRepository(Devices, Actions):
    """Passkeys, ceremonies, devices and actions."""
