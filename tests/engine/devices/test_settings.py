"""What a `DeviceService` is built with, and what type checkers know of it."""

import inspect
from collections.abc import Callable
from typing import Any, assert_type

import pytest

from passkeycore.engine.devices import answers, authenticators, challenges, credentials
from passkeycore.engine.devices.answers import AnsweredDeviceChallenge, PendingDeviceChallenge
from passkeycore.engine.devices.authenticators import Authenticator
from passkeycore.engine.devices.challenges import DeviceApproval, StartedDeviceChallenge
from passkeycore.engine.devices.enrolment import DeviceEnrolment
from passkeycore.engine.devices.records import DeviceChallengeState, DeviceCredential
from passkeycore.engine.devices.service import AsyncDeviceService, DeviceService
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.tokens import Tokens

from ..kit import SECRET, Colour, refused
from .kit import PAY, PHONE, TABLET, answer, device_engine, enrol

_NUMBERS: dict[str, int] = {
    "max_devices_per_user": 1000,
    "max_pending_per_user": 100,
    "max_attempts": 100,
    "verification_code_digits": 8,
    "challenge_lifetime_s": 3600,
    "enrolment_lifetime_s": 86_400,
}
_REFUSED: dict[str, list[Any]] = {
    **{name: [0, -1, most + 1, 1.5, "1", None, True] for name, most in _NUMBERS.items()},
    "domain": ["", "a\nb", "a\0", "b\u00fccher.example", None, 7, b"example.org"],
    "realm": [None, 7, b"tenant", "a\0", "a\nb"],
    "tokens": [object(), SECRET, "tokens", False],
    "sinks": [print, "print", None],
    "app_attest": [object(), {}, True],
}
_ACCEPTED: dict[str, list[Any]] = {
    **{name: [1, most] for name, most in _NUMBERS.items()},
    "domain": ["example.org", "example.com", "localhost:8000"],
    "realm": ["", "tenant 7"],
    "sinks": [(), [], [lambda _: None]],
    "app_attest": [None],
}


def _each(settings: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in settings.items() for value in values]


@pytest.mark.parametrize(("name", "value"), _each(_REFUSED))
def test_a_value_that_cannot_work_is_refused_by_its_name(colour: Colour, name: str, value: Any) -> None:
    with refused("configuration_invalid") as caught:
        device_engine(colour, **{name: value})
    assert caught.value.path == name


@pytest.mark.parametrize(("name", "value"), _each(_ACCEPTED))
def test_one_that_can_is_not(colour: Colour, name: str, value: Any) -> None:
    devices = device_engine(colour, **{name: value})
    assert devices.start_enrolment("ada", user_name="ada")
    assert devices.start_challenge(**PAY)
    if devices.service.dispatcher is not None:
        devices.service.dispatcher.close(10)


@pytest.mark.parametrize(
    ("kind", "repository"), [(DeviceService, AsyncMemoryRepository()), (AsyncDeviceService, MemoryRepository())]
)
def test_a_repository_of_the_other_colour_is_refused(kind: Any, repository: Any) -> None:
    right: Any = MemoryRepository() if kind is DeviceService else AsyncMemoryRepository()
    nothing: Any = object()
    builds: tuple[Callable[[], object], ...] = (
        lambda: kind(repository, domain="example.org"),
        lambda: kind(right, domain="example.org").using(repository),
        lambda: kind(nothing, domain="example.org"),
    )
    for build in builds:
        with refused("configuration_invalid") as caught:
            build()
        assert caught.value.path == "repository"


def test_another_repository_can_be_used_with_the_same_settings(colour: Colour) -> None:
    told: list[Any] = []
    devices = device_engine(colour, sinks=[told.append], store_events=True, max_devices_per_user=1)
    other = device_engine(colour)
    using = device_engine(colour, memory=other.memory)
    using.service = devices.service.using(using.wrapped)
    enrol(using, PHONE)
    with refused("limit_reached"):
        enrol(using, TABLET)
    assert devices.list_devices("ada") == ()
    assert len(other.list_devices("ada")) == 1
    assert using.service.dispatcher is devices.service.dispatcher
    devices.service.dispatcher.close(10)
    assert len(told) == len(other.memory._events) == 1
    assert len(devices.memory._events) == 0


def test_defaults_are_safe(colour: Colour) -> None:
    kind: Any = DeviceService if colour == "sync" else AsyncDeviceService
    repository: Any = MemoryRepository() if colour == "sync" else AsyncMemoryRepository()
    context = kind(repository, domain="example.org").context
    assert context.challenge_id_verifier is None
    assert (context.max_devices_per_user, context.max_pending_per_user) == (10, 5)
    assert (context.attempts, context.code_digits) == (3, 4)
    assert (context.challenge_lifetime.seconds, context.enrolment_lifetime.seconds) == (300, 600)
    assert (context.app_attest, context.tokens, context.events, context.emit) == (None, None, None, None)
    assert context.now().tzinfo is not None
    assert context.random(32) != context.random(32)


FLOWS: dict[str, Callable[..., Any]] = {
    name: flow
    for module in (credentials, challenges, answers, authenticators)
    for name, flow in vars(module).items()
    if inspect.iscoroutinefunction(flow) and not name.startswith("_") and flow.__module__ == module.__name__
}
_INSIDE = {"ensure_user", "judge_device", "store_device", "take_answer"}  # for actions


@pytest.mark.parametrize("kind", [DeviceService, AsyncDeviceService])
def test_every_flow_is_a_method_with_its_arguments_and_words(kind: Any) -> None:
    for name, flow in FLOWS.items():
        if name not in _INSIDE:
            method = getattr(kind, name)
            assert list(inspect.signature(method).parameters)[1:] == list(inspect.signature(flow).parameters)[1:]
            assert method.__doc__ == flow.__doc__


def test_an_answer_made_by_one_service_is_seen_by_another(colour: Colour) -> None:
    """Nothing is kept in the service: any process may go on."""
    devices = device_engine(colour)
    enrol(devices, PHONE)
    start = devices.start_challenge(**PAY)
    other = device_engine(colour, memory=devices.memory, tokens=Tokens([SECRET]), seed="other")
    answer(other, PHONE, start)
    assert devices.poll_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")


def synchronous() -> None:
    """Never called: the type checkers read it."""
    s = DeviceService(MemoryRepository(), domain="example.org")
    assert_type(s.start_enrolment("u"), DeviceEnrolment)
    enrolled = s.enrol_device("t", method="push", public_key=b"", signature=None, name="n", platform="p")
    assert_type(enrolled, DeviceCredential)
    assert_type(s.find_device(method="push", public_key=b""), DeviceCredential | None)
    assert_type(s.list_devices("u"), tuple[DeviceCredential, ...])
    assert_type(s.update_device("u", "a", name="n"), DeviceCredential)
    assert_type(s.remove_device("u", "a"), None)
    assert_type(s.remove_by_device(method="push", public_key=b"", signature=b""), DeviceCredential)
    assert_type(s.start_challenge(method="push", user_id="u"), StartedDeviceChallenge)
    assert_type(s.poll_challenge("c"), DeviceApproval | None)
    assert_type(s.challenge_state("c"), DeviceChallengeState)
    assert_type(s.cancel_challenge("c"), None)
    found = s.pending_challenge(method="push", public_key=b"", signature=None)
    assert_type(found, PendingDeviceChallenge | None)
    assert_type(s.claim_challenge("c", public_key=b"", signature=b""), PendingDeviceChallenge)
    answered = s.answer_challenge("c", public_key=b"", signature=b"", decision="approve")
    assert_type(answered, AnsweredDeviceChallenge)
    assert_type(s.list_authenticators("u"), tuple[Authenticator, ...])
    assert_type(s.remove_expired(), int)
    assert_type(s.using(MemoryRepository()), DeviceService)
    DeviceService(AsyncMemoryRepository(), domain="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    s.start_challenge(method="post", user_id="u")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    s.answer_challenge("c", public_key=b"", signature=b"", decision="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def asynchronous() -> None:
    """Likewise."""
    s = AsyncDeviceService(AsyncMemoryRepository(), domain="example.org")
    assert_type(await s.start_enrolment("u"), DeviceEnrolment)
    assert_type(await s.poll_challenge("c"), DeviceApproval | None)
    assert_type(await s.list_authenticators("u"), tuple[Authenticator, ...])
    assert_type(s.using(AsyncMemoryRepository()), AsyncDeviceService)
    AsyncDeviceService(MemoryRepository(), domain="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
