"""Cases of the engine: a whole flow over a fresh repository, in both colours.

What belongs here: setting the stage, and what holds for every flow that fails: its challenge is gone, and no user and
no passkey is other than before. Which change ends in which code is the tables' business.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from msgspec import structs

from passkeycore import CredentialRecord, PasskeyError
from passkeycore.engine.passkeys.ceremonies import AsyncStatelessCeremonies, StatelessCeremonies
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import SoftwareAuthenticator, SoftwareKey, Tamper, VirtualClient
from passkeycore.tokens import Tokens

from ..engine.kit import ADA, EVE, RP, Chance, Colour, Engine, browser, challenge_of, hooked
from .ceremonies import CHALLENGE, Attempt, HarnessError, Json, Members, digest_of
from .harness import Case

COLOURS: Final[tuple[Colour, ...]] = ("sync", "async")
SECRET: Final = bytes(range(32))
TOKENS: Final = Tokens([SECRET])
IMPORTED: Final = CredentialRecord(
    credential_id=b"an id from elsewhere", public_key=SoftwareKey.derive("elsewhere", -7).cose(), rp_id=RP.id
)
_members: Final = dict[str, Any]


class Draw(Chance):
    """Randomness whose next challenges can be settled."""

    def __init__(self) -> None:
        super().__init__("flows")
        self.next: list[bytes] = []

    def __call__(self, length: int) -> bytes:
        return self.next.pop(0) if length == 32 and self.next else super().__call__(length)


@dataclass(frozen=True, kw_only=True, eq=False)
class Play:
    """A flow that succeeds: what is called last, and what differs from the plainest one before it."""

    verb: str = "finish_authentication"
    service: Members = field(default_factory=_members)
    start: Members = field(default_factory=_members)
    finish: Members = field(default_factory=_members)
    device: Members = field(default_factory=_members)
    sealed: bool = False
    memory: Members = field(default_factory=_members)


class Scene:
    """The stage of a play up to its last call. Ada and eve have a passkey each; the device is ada's."""

    def __init__(self, play: Play, colour: Colour) -> None:
        self.play = play
        self.colour: Colour = colour
        self.hooks: dict[str, Callable[..., object]] = {}
        self.notes: list[object] = []
        self.draw = Draw()
        self.memory = MemoryRepository(**play.memory)
        self.spent = MemoryRepository()
        self.passkeys = self.another()
        self.device = browser("ada", sign_count=5, sign_count_step=1, **play.device)
        self.eve = browser("eve")
        self.register(self.device)
        self.register(self.eve, **EVE)
        self.start: Any = None
        self.arguments: list[Any] = []
        self.keywords: Json = dict(play.finish)
        _PREPARE[play.verb](self)

    def another(self, **settings: Any) -> Engine:
        """Another service with the same settings over the same storage: another process."""
        if self.play.sealed:
            spent: Any = AsyncMemoryRepository()
            spent.__dict__["memory"] = self.spent
            sealed = (
                StatelessCeremonies(TOKENS, self.spent)
                if self.colour == "sync"
                else AsyncStatelessCeremonies(TOKENS, spent)
            )
            settings = {"ceremonies": sealed} | settings
        usual: Json = {"tokens": TOKENS, "random": self.draw, "memory": self.memory}
        if hasattr(self, "passkeys"):
            usual["clock"] = self.passkeys.clock
        return hooked(self.colour, self.hooks, **(usual | dict(self.play.service) | settings))

    def register(self, device: VirtualClient, **start: Any) -> None:
        """A passkey of ada's, or of whomever `start` names."""
        start = ADA | start
        begun = self.passkeys.start_registration(**start)
        self.passkeys.finish_registration(
            device.create(begun.to_dict()), user_id=start["user_id"], **self.handed_back(begun)
        )

    def handed_back(self, begun: Any) -> Json:
        """What the client hands back beside the response."""
        return {"sealed_state": begun.sealed_state} if self.play.sealed else {}

    @property
    def body(self) -> Json:
        """What is posted."""
        posted: Json = self.arguments[0]
        return posted

    @property
    def credential_id(self) -> bytes:
        """Ada's first."""
        return next(iter(self.device.authenticator.credentials))

    def answer(self, device: VirtualClient | None = None, tamper: Tamper | None = None, **asked: Any) -> None:
        """Posts this answer instead; `asked` replaces members of the options."""
        device = device or self.device
        verb = device.create if self.play.verb == "finish_registration" else device.get
        mediation = self.start.options.mediation
        self.arguments[0] = verb(self.start.to_dict() | asked, mediation=mediation, tamper=tamper or Tamper())

    def act(self) -> Any:
        """The last call."""
        return getattr(self.passkeys, self.play.verb)(*self.arguments, **self.keywords)

    def once(self, method: str, act: Callable[[], object]) -> None:
        """`act` happens before `method` is called the next time."""

        def hook(*_: object) -> object:
            del self.hooks[method]
            return act()

        self.hooks[method] = hook
        self.notes.append(method)

    def change_record(self, **members: Any) -> None:
        """Changes ada's first stored record, as another server would."""
        owner = self.memory._users["", "ada"]
        passkey = owner.passkeys[self.credential_id]
        owner.passkeys[self.credential_id] = structs.replace(
            passkey, credential=structs.replace(passkey.credential, **members)
        )

    def digest(self) -> bytes:
        """What tells this scene from any other."""
        stored = self.passkeys.stored()
        kept = {key: (value, value.credential.to_bytes()) for key, value in stored["passkeys"].items()}
        given = sorted((name, _shown(value)) for name, value in self.keywords.items())
        waiting = sorted(value[2].to_bytes() for value in self.memory._ceremonies._values.values())
        return digest_of(
            self.play.verb, self.arguments, given, stored["users"], kept, waiting, self.passkeys.clock.at
        ) + digest_of(self.notes, self.draw.next, sorted(self.hooks))


def _shown(value: object) -> str:
    # The repr of a record shows its id alone.
    return repr(structs.asdict(value)) if isinstance(value, CredentialRecord) else repr(value)


def _finish(scene: Scene) -> None:
    play = scene.play
    scene.draw.next = [CHALLENGE]
    if play.verb == "finish_registration":
        scene.start = scene.passkeys.start_registration(**(ADA | dict(play.start)))
        scene.device = VirtualClient(SoftwareAuthenticator("ada's second", **play.device))
        scene.keywords = {"user_id": "ada"} | scene.keywords
    else:
        scene.start = scene.passkeys.start_authentication(**play.start)
    scene.keywords |= scene.handed_back(scene.start)
    scene.arguments = [None]
    scene.answer()


def _of_a_passkey(scene: Scene) -> None:
    scene.arguments = ["ada", scene.credential_id]


def _rename(scene: Scene) -> None:
    scene.arguments = ["ada", scene.credential_id, "a new name"]


def _token(scene: Scene) -> None:
    asked = {"user_id": "ada", "purpose": "passkeys:remove"} | dict(scene.play.start)
    start = scene.passkeys.start_authentication(**asked)
    done = scene.passkeys.finish_authentication(scene.device.get(start.to_dict()), **asked)
    scene.arguments = [done.step_up_token]
    scene.keywords = asked | dict(scene.play.finish)


def _import(scene: Scene) -> None:
    scene.keywords = {"user_id": "ada", "user_name": "ada", "credential": IMPORTED} | scene.keywords


def _start(scene: Scene) -> None:
    scene.draw.next = [CHALLENGE]
    scene.keywords |= dict(scene.play.start)


_PREPARE: Final[Mapping[str, Callable[[Scene], None]]] = {
    "finish_registration": _finish,
    "finish_authentication": _finish,
    "remove_passkey": _of_a_passkey,
    "confirm_user_verification": _of_a_passkey,
    "rename_passkey": _rename,
    "validate_step_up": _token,
    "import_passkey": _import,
    "start_authentication": _start,
    "start_registration": _start,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Flow(Case):
    """A case that is a flow."""

    play: Play
    change: Callable[[Scene], object]
    names_it: bool = True
    """The response names the challenge, which is therefore gone when it failed."""

    @property
    def base(self) -> object:
        return self.play

    def attempt(self, *, changed: bool) -> Attempt:
        scene = Scene(self.play, "sync")
        if changed:
            self.change(scene)
        return Attempt(scene.digest(), tuple(partial(self._act, colour, changed) for colour in COLOURS))

    def _act(self, colour: Colour, changed: bool) -> object:
        scene = Scene(self.play, colour)
        if changed:
            self.change(scene)
        before, hooks = scene.passkeys.stored(), bool(scene.hooks)
        try:
            return scene.act()
        except PasskeyError:
            if scene.passkeys.stored() != before and not hooks:  # a hook is somebody else, who may store something
                raise HarnessError(f"{self.id} failed, and something is stored") from None
            if self.play.verb.startswith("finish_") and self.names_it:
                self._check_spent(scene)
            raise

    def _check_spent(self, scene: Scene) -> None:
        scene.hooks.clear()
        if scene.memory.take_ceremony(scene.passkeys.realm, challenge_of(scene.start)) is not None:
            raise HarnessError(f"{self.id} failed, and its challenge is not spent") from None


def flow(
    id: str, code: Any, play: Play, change: Callable[[Scene], object], then: Any = None, *, names_it: bool = True
) -> Flow:
    """A case that is a flow."""
    return Flow(id=id, code=code, play=play, change=change, then=then, names_it=names_it)
