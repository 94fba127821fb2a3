"""An `ActionService` with its passkeys and devices in either colour, and what users do with it.

What belongs here: the steps that more than one file of these tests takes. `Stage` has the three services over one
repository; their methods are called alike in both colours.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import pytest
from msgspec.structs import replace

from passkeycore import PasskeyError, RelyingParty
from passkeycore.actions import ActionRules, ActionSettings, ActionState, Outcome
from passkeycore.devices import PROTOCOL
from passkeycore.engine.actions.challenges import MetChallenge
from passkeycore.engine.actions.records import Action
from passkeycore.engine.actions.service import ActionService, AsyncActionService
from passkeycore.engine.actions.tracking import TrackedAction
from passkeycore.engine.devices.answers import AnsweredDeviceChallenge
from passkeycore.engine.devices.challenges import StartedDeviceChallenge
from passkeycore.engine.devices.service import AsyncDeviceService, DeviceService
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.engine.records import Passkey
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import SoftwareDevice, VirtualClient
from passkeycore.tokens import Tokens
from tests.engine.kit import RP, SECRET, Chance, Clock, Colour, Hooked, Json, browser, engine
from tests.engine.kit import stored as stored_users

Call: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]

TOKENS: Final = Tokens([SECRET])
DOMAIN: Final = "example.org"
SCOPE: Final = "add:authenticators"
BEGINNINGS: Final = {
    "pay": ActionState.CHALLENGE_REQUIRED,
    "look": ActionState.ALLOW,
    "steal": ActionState.BLOCK,
    "borrow": ActionState.REVIEW_REQUIRED,
}
"""In which state each of these actions begins."""
RULES: Final = ActionRules(
    actions={
        "look": ActionSettings(default=Outcome.ALLOW),
        "steal": ActionSettings(default=Outcome.BLOCK),
        "borrow": ActionSettings(default=Outcome.REVIEW),
        "by-passkey": ActionSettings(allowed_methods=("passkey",)),
        "by-push": ActionSettings(allowed_methods=("push",)),
    }
)
_SERVICES: Final[dict[Colour, Any]] = {
    "sync": (PasskeyService, DeviceService, ActionService),
    "async": (AsyncPasskeyService, AsyncDeviceService, AsyncActionService),
}


class Called:
    """A service whose methods are called alike in both colours."""

    def __init__(self, service: Any, call: Call | None) -> None:
        self.service, self._call = service, call

    def __getattr__(self, name: str) -> Any:
        method, call = getattr(self.service, name), self._call
        if call is None:
            return method
        return lambda *arguments, **keywords: call(method(*arguments, **keywords))


class Stage:
    """The three services over one repository, with one clock.

    Attributes:
        before: What happens before a method of the repository, by its name; see `Hooked`. Fill it when the stage is
            set.
        passkeys, devices, actions: The services.
        memory: What they store, where they store it there.
    """

    def __init__(
        self,
        colour: Colour,
        *,
        memory: MemoryRepository | None = None,
        repository: Any = None,
        call: Call | None = asyncio.run,
        clock: Clock | None = None,
        realm: str = "",
        seed: str = "chance",
        rules: ActionRules | None = RULES,
        tokens: Tokens = TOKENS,
        actions: Json | None = None,
        passkeys: Json | None = None,
        devices: Json | None = None,
        **settings: Any,
    ) -> None:
        self.colour: Colour = colour
        self.clock, self.realm = clock or Clock(), realm
        self.memory = memory or MemoryRepository()
        if repository is None:
            repository = self.memory
            if colour == "async":
                repository = AsyncMemoryRepository()
                repository.__dict__["memory"] = self.memory
        self.before: dict[str, Callable[..., object]] = {}
        self.repository: Any = Hooked(repository, colour, self.before)
        usual: Json = {"now": self.clock, "random": Chance(seed), "realm": realm} | settings
        kinds = _SERVICES[colour]
        passkey_service = kinds[0](RP, self.repository, **(usual | (passkeys or {})))
        device_service = kinds[1](self.repository, **({"domain": DOMAIN, "tokens": tokens} | usual | (devices or {})))
        both = {"passkeys": passkey_service, "devices": device_service}
        action_service = kinds[2](self.repository, **({"tokens": tokens, "rules": rules} | both | (actions or {})))
        run = None if colour == "sync" else call
        self.passkeys = Called(passkey_service, run)
        self.devices = Called(device_service, run)
        self.actions = Called(action_service, run)

    def stored(self) -> Json:
        """Users, passkeys, devices, their challenges, and actions: what no failure may change."""
        return stored_users(self.memory) | {"actions": self.all_actions()}

    def all_actions(self) -> dict[tuple[str, str, str, str], Action]:
        """Every action as it is stored, by realm, user, word and key."""
        return {place: action for place, (_, action) in self.memory._actions.items()}

    def register(self, user_id: str = "ada", client: VirtualClient | None = None) -> VirtualClient:
        """A browser with a new passkey of the user's."""
        client = client or browser(user_id)
        start = self.passkeys.start_registration(user_id=user_id, user_name=f"{user_id}@example.org")
        self.passkeys.finish_registration(client.create(start.to_dict()), user_id=user_id)
        return client

    def enrol(self, user_id: str = "ada", method: Any = "push", seed: str | None = None, **more: Any) -> SoftwareDevice:
        """A new device of the user's."""
        device = SoftwareDevice(seed or f"{user_id}'s {method}", domain=DOMAIN, method=method)
        token = self.devices.start_enrolment(user_id, user_name=f"{user_id}@example.org").token
        self.devices.enrol_device(token, **enrolled(device, token), **more)
        return device

    def passkey_of(self, user_id: str = "ada") -> Passkey:
        """The user's first passkey."""
        found: Passkey = self.passkeys.list_passkeys(user_id)[0]
        return found

    def device_id_of(self, user_id: str = "ada") -> str:
        """The id of the user's first device."""
        found: str = self.devices.list_devices(user_id)[0].authenticator_id
        return found

    def track(self, action: str = "pay", user_id: str = "ada", **more: Any) -> TrackedAction:
        """An action of the user's."""
        tracked: TrackedAction = self.actions.track(user_id, action, **more)
        return tracked

    def now(self, tracked: TrackedAction | Action) -> Action:
        """The action as it is now."""
        action = tracked.action if isinstance(tracked, TrackedAction) else tracked
        found: Action = self.actions.get_action(action.user_id, action.action, action.idempotency_key)
        return found

    def signed(self, tracked: TrackedAction, client: VirtualClient) -> Json:
        """The response of a passkey to the action's challenge."""
        return client.get(self.actions.start_passkey_challenge(tracked.token).to_dict())

    def meet(self, tracked: TrackedAction, client: VirtualClient) -> MetChallenge:
        """The action's challenge, met by a passkey."""
        met: MetChallenge = self.actions.finish_passkey_challenge(tracked.token, self.signed(tracked, client))
        return met

    def ask(self, tracked: TrackedAction, method: str = "push", **more: Any) -> StartedDeviceChallenge:
        """A question to a device, for the action."""
        started: StartedDeviceChallenge = self.actions.start_device_challenge(tracked.token, method=method, **more)
        return started

    def answer(
        self, started: StartedDeviceChallenge, device: SoftwareDevice, decision: Any = "approve", **more: Any
    ) -> AnsweredDeviceChallenge:
        """The device's answer, claimed before where it has to be."""
        id = started.challenge_id
        if device.method == "qr-code":
            self.devices.claim_challenge(id, public_key=device.public_key, signature=device.claim(id))
        answered: AnsweredDeviceChallenge = self.actions.answer_device_challenge(
            id, **(answer_of(started, device, decision) | more)
        )
        return answered

    def approve(self, tracked: TrackedAction, device: SoftwareDevice) -> MetChallenge:
        """The action's challenge, met by a device."""
        started = self.ask(tracked, device.method)
        self.answer(started, device)
        met: MetChallenge | None = self.actions.finish_device_challenge(tracked.token, started.challenge_id)
        assert met is not None
        return met

    def begin_in_app(self, action: str | None, **more: Any) -> StartedDeviceChallenge:
        """A question to the app that asks for it, whoever's; `ask` begins the one for an action that is there."""
        started: StartedDeviceChallenge = self.actions.start_in_app_challenge(action, **more)
        return started

    def approve_in_app(self, started: StartedDeviceChallenge, app: SoftwareDevice, **more: Any) -> MetChallenge:
        """What was asked, approved within the app; `more` are other arguments."""
        asked: Json = {"challenge_id": started.challenge_id} | approval_of(started, app) | more
        met: MetChallenge = self.actions.finish_in_app_challenge(**asked)
        return met

    def validate(self, met: MetChallenge, **more: Any) -> Action:
        """What the server that does it asks at last."""
        action: Action = self.actions.validate_challenge(
            met.token, user_id=met.action.user_id, action=met.action.action, **more
        )
        return action


def register_elsewhere(stage: Stage, user_id: str = "ada") -> None:
    """A passkey of the user's for another RP ID, over the same storage."""
    there = RelyingParty(id="example.net", name="Elsewhere", origins=["https://example.net"])
    passkeys = engine(stage.colour, rp=there, memory=stage.memory, clock=stage.clock, seed="elsewhere")
    start = {"user_id": user_id, "user_name": f"{user_id}@example.org"}
    passkeys.register(start=start, client=browser("elsewhere", "https://example.net"))


def enrolled(device: SoftwareDevice, token: str) -> Json:
    """What the device sends to be enrolled."""
    return {
        "method": device.method,
        "public_key": device.public_key,
        "signature": device.enrol(token),
        "name": "Telephone",
        "platform": "ios",
    }


def answer_of(started: StartedDeviceChallenge, device: SoftwareDevice, decision: Any = "approve") -> Json:
    """What the device sends, with the code that is shown where there is one."""
    challenge = started.challenge
    code = challenge.verification_code if decision == "approve" else None
    signature = device.sign_challenge_id(challenge.challenge_id)
    if challenge.protocol == PROTOCOL:
        signature = device.answer(
            challenge.challenge_id,
            decision,
            purpose=challenge.purpose,
            verification_code=code,
            content=challenge.content,
        )
    return {
        "public_key": device.public_key,
        "signature": signature,
        "decision": decision,
        "verification_code": code,
    }


def approval_of(started: StartedDeviceChallenge, app: SoftwareDevice) -> Json:
    """What the app sends that was asked within itself: its approval, of which nothing else is said."""
    answer = answer_of(started, app)
    return {name: answer[name] for name in ("public_key", "signature")}


def forged(response: Json) -> Json:
    """The response with the signature of something else."""
    spoilt = response["response"] | {"signature": response["response"]["authenticatorData"]}
    return response | {"response": spoilt}


@contextmanager
def refused(
    code: str, stage: Stage | None = None, *, attempts: int = 0, but: Collection[str] = ()
) -> Generator["pytest.ExceptionInfo[PasskeyError]"]:
    """Holds only when the block ends in this code.

    Given the stage, nothing that is stored may change, save that one action has so many attempts more, and the parts of
    `Stage.stored` that `but` names.
    """
    before = None if stage is None else stage.stored()
    with pytest.raises(PasskeyError) as caught:
        yield caught
    assert caught.value.code == code, repr(caught.value)
    if stage is None or before is None:
        return
    after = stage.stored()
    were, are = before.pop("actions"), after.pop("actions")
    assert {name for name in before if before[name] != after[name]} <= {*but}
    changed = [place for place in were.keys() | are.keys() if were.get(place) != are.get(place)]
    assert len(changed) == bool(attempts), changed
    for place in changed:
        was, is_now = were[place], are[place]
        counted = {"attempts": was.attempts + attempts, "last_failure_at": stage.clock()}
        assert is_now == replace(was, **counted, revision=is_now.revision)
        assert was.state in (ActionState.CHALLENGE_REQUIRED, ActionState.ALLOW)
