"""Ada, every state that an action of hers can get to, and what no client may say of itself."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from passkeycore.actions import ActionState
from passkeycore.engine.actions.records import Action
from passkeycore.engine.actions.tracking import ClientInfo, TrackedAction
from passkeycore.engine.devices.challenges import StartedDeviceChallenge
from passkeycore.testing import SoftwareDevice, VirtualClient
from tests.engine.kit import Colour

from .kit import Stage

S = ActionState
WRONG_CLIENTS: Final[dict[str, tuple[str, Any]]] = {
    "a long device id": ("name_invalid", ClientInfo(device_id=256 * "a")),
    "a list as a data point": ("action_invalid", ClientInfo(custom={"a": ["b"]})),  # type: ignore[dict-item]
    "a mapping": ("configuration_invalid", {"device_id": "laptop"}),
    "a text": ("configuration_invalid", "laptop"),
}
"""What nobody can be told of a client, and the code with which it is refused."""


class Cast:
    """Ada, with a passkey and a telephone."""

    def __init__(self, colour: Colour, **settings: Any) -> None:
        self.stage = Stage(colour, **settings)
        self.client: VirtualClient = self.stage.register()
        self.phone: SoftwareDevice = self.stage.enrol()

    def brought_to(self, state: ActionState, **more: Any) -> TrackedAction:
        """An action of hers that has got so far."""
        word, further = _LIVES[state]
        tracked = self.stage.track(word, **more)
        further(self, tracked)
        assert self.stage.now(tracked).state is state
        return tracked

    def reject(self, tracked: TrackedAction) -> None:
        self.stage.answer(self.stage.ask(tracked), self.phone, "reject")

    def mistype(self, started: StartedDeviceChallenge) -> None:
        """Answers with a code that is not shown."""
        shown = started.challenge.verification_code
        other = replace(started.challenge, verification_code="0000" if shown != "0000" else "1111")
        self.stage.answer(replace(started, challenge=other), self.phone)

    def review(self, tracked: TrackedAction, state: ActionState | str) -> Action:
        action = tracked.action
        found: Action = self.stage.actions.update_action(
            action.user_id, action.action, action.idempotency_key, state=state
        )
        return found


_LIVES: Final[dict[ActionState, tuple[str, Callable[[Cast, TrackedAction], object]]]] = {
    S.ALLOW: ("look", lambda cast, tracked: None),
    S.BLOCK: ("steal", lambda cast, tracked: None),
    S.CHALLENGE_REQUIRED: ("pay", lambda cast, tracked: None),
    S.CHALLENGE_SUCCEEDED: ("pay", lambda cast, tracked: cast.stage.meet(tracked, cast.client)),
    S.CHALLENGE_FAILED: ("pay", Cast.reject),
    S.REVIEW_REQUIRED: ("borrow", lambda cast, tracked: None),
    S.REVIEW_SUCCEEDED: ("borrow", lambda cast, tracked: cast.review(tracked, S.REVIEW_SUCCEEDED)),
    S.REVIEW_FAILED: ("borrow", lambda cast, tracked: cast.review(tracked, S.REVIEW_FAILED)),
}
