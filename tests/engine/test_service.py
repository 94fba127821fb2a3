"""The services themselves: colours, settings, signatures, help and tracebacks."""

import asyncio
import inspect
import pydoc
import traceback
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from passkeycore import PasskeyError
from passkeycore.engine.passkeys import authentication, availability, management, registration, step_up
from passkeycore.engine.passkeys.ceremonies import AsyncStatelessCeremonies, StatelessCeremonies
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.engine.run import run
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import b64url_decode
from passkeycore.tokens import Tokens

from .kit import ADA, RP, SECRET, Clock, Colour, Engine, browser, engine, refused

FLOWS: dict[str, Callable[..., Any]] = {
    name: flow
    for module in (registration, authentication, management, availability, step_up)
    for name, flow in vars(module).items()
    if inspect.iscoroutinefunction(flow) and not name.startswith("_") and flow.__module__ == module.__name__
}
TOKENS = Tokens([SECRET])


class TestColours:
    @pytest.mark.parametrize(
        ("kind", "repository", "hint"),
        [
            (PasskeyService, AsyncMemoryRepository(), "use AsyncPasskeyService"),
            (AsyncPasskeyService, MemoryRepository(), "use PasskeyService"),
        ],
    )
    def test_a_repository_of_the_other_one_is_refused(self, kind: Any, repository: Any, hint: str) -> None:
        right: Any = MemoryRepository() if kind is PasskeyService else AsyncMemoryRepository()
        sealed: Any = StatelessCeremonies if kind is PasskeyService else AsyncStatelessCeremonies
        builds: tuple[Callable[[], object], ...] = (
            lambda: kind(RP, repository),
            lambda: kind(RP, right, ceremonies=repository),
            lambda: kind(RP, right, ceremonies=sealed(TOKENS, repository)),
            lambda: kind(RP, right).using(repository),
        )
        for build in builds:
            with refused("configuration_invalid") as caught:
                build()
            assert hint in str(caught.value)
            assert caught.value.path == "repository"

    def test_something_that_is_no_repository_is_refused(self) -> None:
        for kind in (PasskeyService, AsyncPasskeyService):
            with refused("configuration_invalid") as caught:
                kind(RP, object())  # type: ignore[arg-type]
            assert "object has no method" in str(caught.value)

    def test_a_repository_that_stores_no_events_is_refused_where_they_are_wanted(self) -> None:
        class Plain:
            """Everything but events."""

            def __init__(self) -> None:
                for name in dir(MemoryRepository):
                    if not name.startswith("_") and not name.endswith("_events") and name != "add_event":
                        setattr(self, name, getattr(MemoryRepository(), name))

        plain: Any = Plain()
        assert PasskeyService(RP, plain)
        with refused("configuration_invalid") as caught:
            PasskeyService(RP, plain, store_events=True)
        assert "has no method add_event" in str(caught.value)

    def test_one_asynchronous_method_is_enough_to_be_refused(self) -> None:
        class Odd(MemoryRepository):
            async def find_passkey(self, *_: object) -> None:  # type: ignore[override]
                return None

        with refused("configuration_invalid") as caught:
            PasskeyService(RP, Odd())  # type: ignore[arg-type]
        assert "Odd.find_passkey is asynchronous" in str(caught.value)

    def test_an_awaitable_where_an_answer_is_due_is_not_taken_for_yes(self) -> None:
        async def never() -> bool:
            return True

        class Odd(MemoryRepository):
            def add_ceremony(self, *_: object) -> Any:
                return never()

            def find_account(self, *_: object) -> Any:
                return _Awaitable()

        service = PasskeyService(RP, Odd())
        for user_id in (None, "ada"):
            with refused("configuration_invalid"):
                service.start_authentication(user_id=user_id)

    def test_nor_is_an_answer_where_an_awaitable_is_due(self) -> None:
        class Odd(AsyncMemoryRepository):
            def add_ceremony(self, *_: object) -> Any:
                return True

        with refused("configuration_invalid") as caught:
            asyncio.run(AsyncPasskeyService(RP, Odd()).start_authentication())
        assert "Odd.add_ceremony is synchronous" in str(caught.value)

    def test_a_plain_method_that_gives_an_awaitable_will_do(self) -> None:
        class Plain(AsyncMemoryRepository):
            def find_account(self, *arguments: Any) -> Any:
                return super().find_account(*arguments)

        assert asyncio.run(AsyncPasskeyService(RP, Plain()).list_passkeys("ada")) == ()

    def test_a_flow_that_waits_has_no_loop_to_wait_for(self) -> None:
        with refused("configuration_invalid"):
            run(asyncio.sleep(0))


class _Awaitable:
    def __await__(self) -> Any:
        return iter(())


class TestSettings:
    @pytest.mark.parametrize("limit", [0, -1])
    def test_at_least_one_passkey(self, colour: Colour, limit: int) -> None:
        with refused("configuration_invalid") as caught:
            engine(colour, max_passkeys_per_user=limit)
        assert caught.value.path == "max_passkeys_per_user"

    def test_ceremonies_may_wait_elsewhere(self, colour: Colour) -> None:
        elsewhere = MemoryRepository()
        place: Any = elsewhere
        if colour == "async":
            place = AsyncMemoryRepository()
            elsewhere = place.memory
        passkeys = engine(colour, ceremonies=place)
        passkeys.start_authentication()
        assert (passkeys.under_way(), len(elsewhere._ceremonies)) == (0, 1)
        passkeys.clock.move(hours=1)
        assert passkeys.remove_expired() == 1

    @pytest.mark.parametrize("store_events", [False, True])
    def test_another_repository_for_one_transaction(self, colour: Colour, store_events: bool) -> None:
        passkeys = engine(colour, store_events=store_events)
        other = engine(colour)
        joined = passkeys.service.using(other.wrapped)
        assert type(joined) is type(passkeys.service)
        face = Engine(joined, other.memory, passkeys.clock, colour)
        device = browser()
        face.register(client=device)
        assert (passkeys.list_passkeys("ada"), len(other.list_passkeys("ada"))) == ((), 1)
        start = face.start_authentication()
        assert (passkeys.under_way(), other.under_way()) == (1, 0)
        assert face.finish_authentication(device.get(start.to_dict())).user_id == "ada"
        if store_events:
            assert len(face.list_events().events) == 2
            assert passkeys.list_events().events == ()

    def test_the_defaults_are_the_systems_clock_and_randomness(self, colour: Colour) -> None:
        passkeys = engine(colour, now=None, random=None)
        starts = [passkeys.start_authentication() for _ in range(8)]
        challenges = {b64url_decode(start.to_dict()["challenge"]) for start in starts}
        assert len(challenges) == 8
        assert {len(challenge) for challenge in challenges} == {32}
        assert starts[0].expires_at.tzinfo is not None

    def test_a_clock_without_a_zone_is_ours_to_mend(self, colour: Colour) -> None:
        with refused("configuration_invalid"):
            engine(colour, now=lambda: Clock().at.replace(tzinfo=None)).start_authentication()


@pytest.mark.parametrize("kind", [PasskeyService, AsyncPasskeyService])
class TestMethods:
    def test_they_are_the_flows(self, kind: Any) -> None:
        assert {name for name, member in vars(kind).items() if name[0] != "_" and callable(member)} == {*FLOWS, "using"}

    @pytest.mark.parametrize("name", FLOWS)
    def test_they_have_the_flows_signature_and_words(self, kind: Any, name: str) -> None:
        method, flow = getattr(kind, name), FLOWS[name]
        context, *rest = inspect.signature(flow).parameters.values()
        self_, *others = inspect.signature(method).parameters.values()
        assert (context.name, self_.name, others) == ("context", "self", rest)
        assert inspect.signature(method).return_annotation == inspect.signature(flow).return_annotation
        assert (method.__name__, method.__doc__, method.__module__) == (name, flow.__doc__, flow.__module__)
        assert inspect.iscoroutinefunction(method) == (kind is AsyncPasskeyService)
        assert not hasattr(method, "__wrapped__")

    @pytest.mark.parametrize("name", FLOWS)
    def test_their_types_can_be_asked_for(self, kind: Any, name: str) -> None:
        """As frameworks do that inject arguments by their types."""
        wanted = get_type_hints(FLOWS[name])
        del wanted["context"]
        hints = get_type_hints(getattr(kind, name))
        assert hints == wanted
        assert hints.keys() == {*inspect.signature(getattr(kind, name)).parameters, "return"} - {"self"}

    def test_help_shows_them(self, kind: Any) -> None:
        text = pydoc.plain(pydoc.render_doc(kind.finish_authentication))
        assert "finish_authentication(self, body:" in text
        assert "sealed_state: str | None = None" in text
        assert "context" not in text.splitlines()[2]
        assert "Who signed in, after every check" in text


def test_a_traceback_names_the_line_of_the_flow(colour: Colour) -> None:
    passkeys = engine(colour)
    start = passkeys.start_registration(**ADA)
    with pytest.raises(PasskeyError) as caught:
        passkeys.finish_registration(browser().create(start.to_dict()), user_id="eve")
    frames = traceback.extract_tb(caught.tb)
    places = [(frame.filename.rpartition("/")[2], frame.name) for frame in frames]
    assert ("registration.py", "finish_registration") in places
    assert places[-1][0] == "relying_party.py"


def test_wrong_arguments_are_refused_as_by_any_function(colour: Colour) -> None:
    passkeys = engine(colour)
    calls: tuple[Callable[[], object], ...] = (
        lambda: passkeys.start_authentication("ada"),
        lambda: passkeys.finish_authentication(),
        lambda: passkeys.start_registration(user="ada"),
    )
    for call in calls:
        with pytest.raises(TypeError):
            call()
