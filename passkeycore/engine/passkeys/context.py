"""What every flow about passkeys is given: the Relying Party, the repositories, and how ceremonies are."""

from typing import TYPE_CHECKING

from ...relying_party import RelyingParty
from ...webauthn.options import Preset
from ..context import EngineContext
from ..repository import AsyncPasskeyRepository
from .ceremonies import Ceremonies

if TYPE_CHECKING:
    from ...tokens import Tokens


class Context(EngineContext, frozen=True, kw_only=True):
    """A service's configuration. Its repositories are in the asynchronous shape, whatever their colour.

    Attributes:
        rp: Level 1.
        repository: Users and passkeys.
        ceremonies: What is under way.
        max_passkeys_per_user: At least 1.
        preset: What ceremonies demand unless they say otherwise.
        timeout_ms, conditional_timeout_ms: How long ceremonies may take unless they say otherwise; None: as at level 1.
        decoy_secret: Makes credentials for users who have none; None: such a start is refused.
        tokens: Makes step-up tokens; None: there are none.
    """

    rp: RelyingParty
    repository: AsyncPasskeyRepository
    ceremonies: Ceremonies
    max_passkeys_per_user: int
    preset: Preset
    timeout_ms: int | None
    conditional_timeout_ms: int | None
    decoy_secret: bytes | None
    tokens: "Tokens | None"

    def timeout(self, mediation: str | None) -> int | None:
        """How long a ceremony with this mediation may take, in milliseconds; None: as at level 1."""
        return self.conditional_timeout_ms if mediation == "conditional" else self.timeout_ms
