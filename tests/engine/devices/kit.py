"""A `DeviceService` in either colour, users with devices, and flows that are valid up to their last call.

What belongs here: what the tests of these flows share. `Stage` holds everything that one last call is made from, so
that a test changes one thing in it and signs again, or not.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, TypeVar

from msgspec import structs

from passkeycore import PasskeyError
from passkeycore.engine.devices.records import DeviceChallenge, DeviceCredential
from passkeycore.engine.devices.service import AsyncDeviceService, DeviceService
from passkeycore.engine.records import User
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import SoftwareDevice
from passkeycore.tokens import Tokens

from ..kit import ADA, EVE, NOW, SECRET, Chance, Clock, Colour, Engine, Hooked, Json, user_of

_T = TypeVar("_T")

DOMAIN: Final = "example.org"
TOKENS: Final = Tokens([SECRET])
SECONDS: Final = int(NOW.timestamp())
PHONE: Final = SoftwareDevice("ada's phone", method="push")
TABLET: Final = SoftwareDevice("ada's tablet", method="push")
CAMERA: Final = SoftwareDevice("ada's camera", method="qr-code")
SECOND_CAMERA: Final = SoftwareDevice("ada's other camera", method="qr-code")
APP: Final = SoftwareDevice("ada's app", method="in-app")
EVES_PHONE: Final = SoftwareDevice("eve's phone", method="push")
EVES_CAMERA: Final = SoftwareDevice("eve's camera", method="qr-code")
STRANGER: Final = SoftwareDevice("a phone that nobody enrolled")
ADAS: Final = (PHONE, TABLET, CAMERA, SECOND_CAMERA, APP)
EVES: Final = (EVES_PHONE, EVES_CAMERA)


def device_engine(
    colour: Colour,
    *,
    memory: MemoryRepository | None = None,
    wrap: Any = None,
    clock: Clock | None = None,
    seed: str = "devices",
    **settings: Any,
) -> Engine:
    """A service of this colour over `memory`, or over what `wrap` makes of it."""
    memory = MemoryRepository() if memory is None else memory
    clock = Clock() if clock is None else clock
    repository: Any = memory
    if colour == "async":
        repository = AsyncMemoryRepository()
        repository.__dict__["memory"] = memory
    if wrap is not None:
        repository = wrap(repository)
    kind = DeviceService if colour == "sync" else AsyncDeviceService
    usual: Json = {"domain": DOMAIN, "tokens": TOKENS, "now": clock, "random": Chance(seed)}
    realm = settings.get("realm", "")
    return Engine(kind(repository, **(usual | settings)), memory, clock, colour, realm, repository)


def hooked_devices(colour: Colour, before: dict[str, Callable[..., object]], **settings: Any) -> Engine:
    """A service over a `Hooked` repository. Fill `before` when the stage is set."""
    return device_engine(colour, wrap=lambda repository: Hooked(repository, colour, before), **settings)


def enrol(devices: Engine, device: SoftwareDevice, owner: Json = ADA, **members: Any) -> DeviceCredential:
    """The device, enrolled for the owner as an app does it."""
    token = devices.start_enrolment(**owner).token
    asked: Json = {"name": "Phone", "platform": "ios", "signature": device.enrol(token)} | members
    return devices.enrol_device(  # type: ignore[no-any-return]
        token, **({"method": device.method, "public_key": device.public_key} | asked)
    )


def enrol_all(devices: Engine) -> None:
    """Ada's devices and eve's."""
    for owner, theirs in ((ADA, ADAS), (EVE, EVES)):
        for device in theirs:
            enrol(devices, device, owner, push_token=f"push token of {device.seed!r}")


def _there(found: _T | None) -> _T:
    """`found`, also where assertions are left out: the negative tests run so as well."""
    if found is None:
        raise LookupError("the stage cannot be set")
    return found


def device_of(devices: Engine, device: SoftwareDevice, realm: str | None = None) -> DeviceCredential:
    """The stored record of the device."""
    realm = devices.realm if realm is None else realm
    found = devices.memory.find_device(realm, device.method, device.public_key)
    return _there(found)[0]


def put_device(devices: Engine, device: SoftwareDevice, **members: Any) -> DeviceCredential:
    """Writes other members into the stored record, as another server would."""
    stored = device_of(devices, device)
    changed = structs.replace(stored, revision=stored.revision + 1, **members)
    _there(devices.memory.replace_device(changed, None) or None)
    return changed


def challenge_in(devices: Engine, challenge_id: str) -> DeviceChallenge:
    """The stored challenge."""
    return _there(devices.memory.find_device_challenge(devices.realm, challenge_id))


def put_challenge(devices: Engine, challenge_id: str, **members: Any) -> None:
    """Writes other members into the stored challenge, as another server would."""
    stored = challenge_in(devices, challenge_id)
    changed = structs.replace(stored, revision=stored.revision + 1, **members)
    _there(devices.memory.replace_device_challenge(changed, None, None) or None)


def answer(devices: Engine, device: SoftwareDevice, start: Any, decision: Any = "approve", **given: Any) -> Any:
    """The device answers honestly, with the code that is shown when it approves."""
    challenge: DeviceChallenge = start.challenge
    code = challenge.verification_code if decision == "approve" else None
    signature = device.answer(
        challenge.challenge_id,
        decision,
        purpose=challenge.purpose,
        verification_code=code,
        content=challenge.content,
    )
    asked: Json = {"public_key": device.public_key, "signature": signature, "decision": decision}
    return devices.answer_challenge(challenge.challenge_id, **(asked | {"verification_code": code} | given))


def claim(devices: Engine, device: SoftwareDevice, start: Any) -> Any:
    """The device claims honestly."""
    id = start.challenge_id
    return devices.claim_challenge(id, public_key=device.public_key, signature=device.claim(id))


PAY: Final[Json] = {"method": "push", "user_id": "ada", "purpose": "transfer:42", "content": "Pay 42 EUR to Bob?"}
SHOWN: Final[Json] = PAY | {"number_matching": True}
SCANNED: Final[Json] = {"method": "qr-code", "purpose": "sign-in", "content": "Sign in?", "binding": "session"}


@dataclass
class Stage:
    """A valid flow up to its last call, `verb`.

    `says` is what `signer` signs, by the method `signs` of `SoftwareDevice`; `given` replaces arguments of the call
    after that.
    """

    devices: Engine
    verb: str
    signs: str | None
    signer: SoftwareDevice
    positional: list[Any] = field(default_factory=list)
    says: Json = field(default_factory=dict)
    asks: Json = field(default_factory=dict)
    given: Json = field(default_factory=dict)
    start: Any = None

    def arguments(self) -> Json:
        """Of the last call, by keyword."""
        signed: Json = {}
        if self.signs is not None:
            says = dict(self.says)
            first = says.pop("first", None)
            rest = [] if first is None else [first, *says.pop("more", ())]
            signed = {
                "public_key": self.signer.public_key,
                "signature": getattr(self.signer, self.signs)(*rest, **says),
            }
        return self.asks | signed | self.given

    def act(self) -> Any:
        """The last call."""
        return getattr(self.devices, self.verb)(*self.positional, **self.arguments())

    def sign_with(self, **changes: Any) -> None:
        """The signer is the same but in this: another domain, or another method."""
        self.signer = replace(self.signer, **changes)

    def another(self, **settings: Any) -> Engine:
        """Another service over the same storage."""
        return device_engine(
            self.devices.colour, memory=self.devices.memory, clock=self.devices.clock, seed="another", **settings
        )


def staged(colour: Colour, flow: str, **settings: Any) -> Stage:
    """The stage of this flow, with ada's devices and eve's enrolled."""
    devices = device_engine(colour, **settings)
    for user, device in _people():
        devices.memory.get_or_create_user(user)
        _there(devices.memory.add_device(device, 10, None) == "added" or None)
    return (_STAGES | _COMPATIBLE)[flow](devices)


@cache
def _people() -> list[tuple[User, DeviceCredential]]:
    """Everybody's devices with their owners, enrolled once for all tests."""
    devices = device_engine("sync", seed="people")
    enrol_all(devices)
    return [(user_of(devices.memory, device.user_id), device) for device in devices.stored()["devices"].values()]


def _answering(devices: Engine, device: SoftwareDevice, start: Any, decision: str = "approve") -> Stage:
    challenge: DeviceChallenge = start.challenge
    code = challenge.verification_code if decision == "approve" else None
    stage = Stage(devices, "answer_challenge", "answer", device, [start.challenge_id], start=start)
    stage.says = {
        "first": start.challenge_id,
        "more": (decision,),
        "purpose": challenge.purpose,
        "verification_code": code,
        "content": challenge.content,
    }
    stage.asks = {"decision": decision, "verification_code": code}
    return stage


def _compatible(devices: Engine, device: SoftwareDevice, asked: Json) -> Stage:
    start = devices.start_challenge(**asked, protocol="challenge-id")
    id = start.challenge_id
    says: Json = {"first": id}
    stage = Stage(devices, "answer_challenge", "sign_challenge_id", device, [id], says, start=start)
    stage.asks = {"decision": "approve"}
    return stage


def _compatible_claimed(devices: Engine) -> Stage:
    stage = _compatible(devices, CAMERA, SCANNED)
    id = stage.start.challenge_id
    devices.claim_challenge(id, public_key=CAMERA.public_key, signature=CAMERA.sign_challenge_id(id))
    return stage


def _claimed(devices: Engine) -> Stage:
    start = devices.start_challenge(**SCANNED)
    claim(devices, CAMERA, start)
    return _answering(devices, CAMERA, start)


def _claiming(devices: Engine) -> Stage:
    start = devices.start_challenge(**SCANNED)
    return Stage(
        devices, "claim_challenge", "claim", CAMERA, [start.challenge_id], {"first": start.challenge_id}, start=start
    )


def _polling(devices: Engine) -> Stage:
    start = devices.start_challenge(**PAY, binding="session")
    answer(devices, PHONE, start)
    asked = {"user_id": "ada", "purpose": "transfer:42", "binding": "session"}
    return Stage(devices, "poll_challenge", None, PHONE, [start.challenge_id], asks=asked, start=start)


def _fetching(devices: Engine) -> Stage:
    start = devices.start_challenge(**PAY)
    asked = {"method": "push", "issued_at": SECONDS}
    return Stage(devices, "pending_challenge", "fetch", PHONE, says={"issued_at": SECONDS}, asks=asked, start=start)


def _updating(devices: Engine) -> Stage:
    says = {"first": device_of(devices, PHONE).authenticator_id, "issued_at": SECONDS, "push_token": "a new one"}
    asked = {"method": "push", "issued_at": SECONDS, "push_token": "a new one"}
    return Stage(devices, "update_by_device", "update", PHONE, says=says, asks=asked)


def _removing(devices: Engine) -> Stage:
    says = {"first": device_of(devices, PHONE).authenticator_id, "issued_at": SECONDS}
    return Stage(devices, "remove_by_device", "remove", PHONE, says=says, asks={"method": "push", "issued_at": SECONDS})


def _enrolling(devices: Engine) -> Stage:
    start = devices.start_enrolment("ada")
    asked = {"method": "push", "name": "New", "platform": "ios"}
    new = SoftwareDevice("ada's new phone")
    return Stage(devices, "enrol_device", "enrol", new, [start.token], {"first": start.token}, asked, start=start)


_STAGES: Final[dict[str, Callable[[Engine], Stage]]] = {
    "answer": lambda devices: _answering(devices, PHONE, devices.start_challenge(**PAY)),
    "answer with a code": lambda devices: _answering(devices, PHONE, devices.start_challenge(**SHOWN)),
    "reject with a code": lambda devices: _answering(devices, PHONE, devices.start_challenge(**SHOWN), "reject"),
    "answer in the app": lambda devices: _answering(
        devices, APP, devices.start_challenge(**PAY | {"method": "in-app"})
    ),
    "answer by one": lambda devices: _answering(
        devices,
        PHONE,
        devices.start_challenge(**PAY, authenticator_id=device_of(devices, PHONE).authenticator_id),
    ),
    "answer what was claimed": _claimed,
    "claim": _claiming,
    "poll": _polling,
    "fetch": _fetching,
    "update": _updating,
    "remove": _removing,
    "enrol": _enrolling,
}
_COMPATIBLE: Final[dict[str, Callable[[Engine], Stage]]] = {
    "compatible answer by one": lambda devices: _compatible(
        devices, PHONE, PAY | {"authenticator_id": device_of(devices, PHONE).authenticator_id}
    ),
    "compatible answer what was claimed": _compatible_claimed,
}
FLOWS: Final = tuple(_STAGES)


@contextmanager
def counted(of: Engine, challenge_id: str) -> Generator[None]:
    """Holds only when the block leaves all as it was but for one attempt less."""
    before, challenge = of.stored(), challenge_in(of, challenge_id)
    yield
    left = challenge.attempts_left - 1
    now = structs.replace(
        challenge,
        attempts_left=left,
        revision=challenge_in(of, challenge_id).revision,
        state=challenge.state if left else "failed",
    )
    assert challenge_in(of, challenge_id) == now
    before["device challenges"][of.realm, challenge_id] = now
    assert of.stored() == before


def code_of(call: Callable[[], object]) -> str | None:
    """What the call ends in; None is success."""
    try:
        call()
    except PasskeyError as error:
        return error.code.value
    return None


def wrong_codes(right: str, number: int) -> list[str]:
    """As many codes that are shown nowhere."""
    return [each for each in (str(n).zfill(len(right)) for n in range(number + 1)) if each != right][:number]


def secrets_of(stage: Stage) -> list[str]:
    """What no error, event or repr of this flow may tell."""
    begun = getattr(stage.start, "challenge", None)
    tokens = [value for value in stage.positional if isinstance(value, str) and len(value) > 16]
    code = None if begun is None else begun.verification_code
    return [*tokens, "push token of", "a new one", "'session'", *([] if code is None else [code])]
