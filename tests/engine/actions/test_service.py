"""The two services: what they are built from, and that both have every flow under its own signature."""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from passkeycore.actions import ActionState
from passkeycore.engine.actions import challenges, enrolment, in_app, sign_in, tracking
from passkeycore.engine.actions.service import ActionService, AsyncActionService
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from tests.engine.kit import NOW, Colour

from .kit import TOKENS, Stage, refused

# The flows that are steps of others alone.
STEPS = {
    "tracked",
    "waiting_action",
    "begun",
    "met_by_passkey",
    "met_by_device",
    "owned_authenticators",
    "check_authenticator",
}
FLOWS: dict[str, Callable[..., Any]] = {
    name: flow
    for module in (tracking, challenges, sign_in, in_app, enrolment)
    for name, flow in vars(module).items()
    if inspect.iscoroutinefunction(flow)
    and not name.startswith("_")
    and flow.__module__ == module.__name__
    and name not in STEPS
}


@pytest.mark.parametrize("kind", [ActionService, AsyncActionService])
@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_is_a_method_with_its_signature_and_docstring(kind: type, name: str) -> None:
    method, flow = getattr(kind, name), FLOWS[name]
    ours, theirs = inspect.signature(method), inspect.signature(flow)
    assert list(ours.parameters)[1:] == list(theirs.parameters)[1:]
    assert ours.return_annotation == theirs.return_annotation
    assert method.__doc__ == flow.__doc__
    assert inspect.iscoroutinefunction(method) == (kind is AsyncActionService)
    get_type_hints(method)


def test_there_is_no_method_more() -> None:
    for kind in (ActionService, AsyncActionService):
        methods = {name for name, value in vars(kind).items() if callable(value) and not name.startswith("_")}
        assert methods == {*FLOWS, "using"}


def services(colour: Colour) -> tuple[Any, Any]:
    stage = Stage(colour)
    return stage.passkeys.service, stage.devices.service


WRONG: dict[str, tuple[str, Callable[[Colour], dict[str, Any]]]] = {
    "a passkeys' service of the other colour": ("passkeys", lambda colour: {"passkeys": services(other(colour))[0]}),
    "a devices' service of the other colour": ("devices", lambda colour: {"devices": services(other(colour))[1]}),
    "the one for the other": ("passkeys", lambda colour: {"passkeys": services(colour)[1]}),
    "neither": ("passkeys", lambda colour: {"passkeys": None, "devices": None}),
    "services of two tenants": ("devices.realm", lambda colour: {"devices": Stage(colour, realm="b").devices.service}),
    "no tokens": ("tokens", lambda colour: {"tokens": None}),
    "tokens that are none": ("tokens", lambda colour: {"tokens": b"secret"}),
    "rules that are none": ("rules", lambda colour: {"rules": {"pay": "BLOCK"}}),
    "no lifetime": ("lifetime_s", lambda colour: {"lifetime_s": 0}),
    "too long a lifetime": ("lifetime_s", lambda colour: {"lifetime_s": 86_401}),
    "a lifetime of another type": ("lifetime_s", lambda colour: {"lifetime_s": 1.5}),
    "no attempts": ("max_attempts", lambda colour: {"max_attempts": 0}),
    "too many attempts": ("max_attempts", lambda colour: {"max_attempts": 101}),
    "attempts of another type": ("max_attempts", lambda colour: {"max_attempts": True}),
}


def other(colour: Colour) -> Colour:
    return "async" if colour == "sync" else "sync"


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_work_is_refused_when_it_is_built(colour: Colour, what: str) -> None:
    path, change = WRONG[what]
    with refused("configuration_invalid") as caught:
        Stage(colour, actions=change(colour))
    assert caught.value.path == path


@pytest.mark.parametrize("wrong", ["other colour", "no repository"])
def test_so_is_a_repository_that_does_not_fit(colour: Colour, wrong: str) -> None:
    kind: Any = ActionService if colour == "sync" else AsyncActionService
    passkeys, devices = services(colour)
    repository: Any = object()
    if wrong == "other colour":
        repository = AsyncMemoryRepository() if colour == "sync" else MemoryRepository()
    with refused("configuration_invalid") as caught:
        kind(repository, tokens=TOKENS, passkeys=passkeys, devices=devices)
    assert caught.value.path == "repository"


@pytest.mark.parametrize(
    "settings", [{"lifetime_s": 1, "max_attempts": 1}, {"lifetime_s": 86_400, "max_attempts": 100}]
)
def test_bounds_themselves_are_allowed(colour: Colour, settings: dict[str, int]) -> None:
    tracked = Stage(colour, actions=settings).track()
    assert (tracked.action.expires_at - NOW).total_seconds() == settings["lifetime_s"]


def test_actions_may_be_kept_elsewhere_than_passkeys_and_devices(colour: Colour) -> None:
    elsewhere: Any = MemoryRepository()
    repository = elsewhere
    if colour == "async":
        repository = AsyncMemoryRepository()
        elsewhere = repository.memory
    stage = Stage(colour)
    kind: Any = type(stage.actions.service)
    service = kind(repository, tokens=TOKENS, passkeys=stage.passkeys.service, devices=stage.devices.service)
    stage.actions = type(stage.actions)(service, stage.actions._call)
    met = stage.meet(stage.track(), stage.register())
    assert stage.validate(met).state is ActionState.CHALLENGE_SUCCEEDED
    assert (len(stage.all_actions()), len(elsewhere._actions)) == (0, 1)
    stage.passkeys.remove_user("ada")
    with refused("token_invalid"):
        stage.validate(met)


def test_the_defaults_are_the_systems_clock_and_randomness(colour: Colour) -> None:
    stage = Stage(colour, now=None, random=None)
    tracked = [stage.track() for _ in range(8)]
    assert len({one.idempotency_key for one in tracked}) == 8
    assert tracked[0].action.created_at.tzinfo is not None
    assert stage.now(tracked[0]) == tracked[0].action
