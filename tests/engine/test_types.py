"""What mypy and pyright know of the services: exact results in both colours, and refusal of the other colour.

The functions are never called: the checkers read them. An ``ignore`` that is not needed is an error to mypy, so each
states that the line is refused.
"""

from datetime import datetime
from typing import Any, assert_type

from passkeycore import RelyingParty
from passkeycore.engine.passkeys.authentication import Authentication, StartedAuthentication
from passkeycore.engine.passkeys.ceremonies import AsyncStatelessCeremonies, StatelessCeremonies
from passkeycore.engine.passkeys.registration import Registration, StartedRegistration
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.engine.records import EventCount, EventPage, Passkey, User
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.tokens import Tokens


def synchronous(rp: RelyingParty, tokens: Tokens, credential: Any) -> None:
    s = PasskeyService(rp, MemoryRepository(), ceremonies=StatelessCeremonies(tokens, MemoryRepository()))
    assert_type(s.start_registration(user_id="u", user_name="n"), StartedRegistration)
    assert_type(s.finish_registration(b"", user_id="u", sealed_state=None), Registration)
    assert_type(s.start_authentication(binding=b""), StartedAuthentication)
    assert_type(s.finish_authentication({}, binding=""), Authentication)
    assert_type(s.finish_authentication("").user_id, str)
    assert_type(s.list_passkeys("u"), tuple[Passkey, ...])
    assert_type(s.rename_passkey("u", b"", "n"), None)
    assert_type(s.remove_passkey("u", ""), None)
    assert_type(s.remove_all_passkeys("u"), int)
    assert_type(s.confirm_user_verification("u", b""), None)
    assert_type(s.import_passkey(user_id="u", user_name="n", credential=credential), Passkey)
    assert_type(s.get_or_create_user("u", "n"), User)
    assert_type(s.find_user("u"), User | None)
    assert_type(s.rename_user("u", "n"), None)
    assert_type(s.disable_user("u"), None)
    assert_type(s.enable_user("u"), None)
    assert_type(s.remove_user("u"), None)
    assert_type(s.all_accepted_credentials("u"), dict[str, Any])
    assert_type(s.current_user_details("u"), dict[str, Any])
    assert_type(s.validate_step_up("t", user_id="u", purpose="p"), datetime)
    assert_type(s.list_events(), EventPage)
    assert_type(s.count_events(), tuple[EventCount, ...])
    assert_type(s.remove_expired(), int)
    assert_type(s.using(MemoryRepository()), PasskeyService)


async def asynchronous(rp: RelyingParty, tokens: Tokens, credential: Any) -> None:
    s = AsyncPasskeyService(
        rp, AsyncMemoryRepository(), ceremonies=AsyncStatelessCeremonies(tokens, AsyncMemoryRepository())
    )
    assert_type(await s.start_registration(user_id="u", user_name="n"), StartedRegistration)
    assert_type(await s.finish_registration(b"", user_id="u", sealed_state=None), Registration)
    assert_type(await s.start_authentication(binding=b""), StartedAuthentication)
    assert_type(await s.finish_authentication({}, binding=""), Authentication)
    assert_type(await s.list_passkeys("u"), tuple[Passkey, ...])
    assert_type(await s.remove_all_passkeys("u"), int)
    assert_type(await s.import_passkey(user_id="u", user_name="n", credential=credential), Passkey)
    assert_type(await s.get_or_create_user("u", "n"), User)
    assert_type(await s.find_user("u"), User | None)
    assert_type(await s.all_accepted_credentials("u"), dict[str, Any])
    assert_type(await s.validate_step_up("t", user_id="u", purpose="p"), datetime)
    assert_type(await s.list_events(), EventPage)
    assert_type(await s.count_events(), tuple[EventCount, ...])
    assert_type(await s.remove_expired(), int)
    assert_type(s.using(AsyncMemoryRepository()), AsyncPasskeyService)


def wrong_colours(rp: RelyingParty, tokens: Tokens) -> None:
    right, other = MemoryRepository(), AsyncMemoryRepository()
    PasskeyService(rp, other)  # type: ignore[arg-type]
    PasskeyService(rp, right, ceremonies=other)  # type: ignore[arg-type]
    PasskeyService(rp, right, ceremonies=AsyncStatelessCeremonies(tokens, other))  # type: ignore[arg-type]
    PasskeyService(rp, right).using(other)  # type: ignore[arg-type]
    AsyncPasskeyService(rp, right)  # type: ignore[arg-type]
    AsyncPasskeyService(rp, other, ceremonies=right)  # type: ignore[arg-type]
    AsyncPasskeyService(rp, other, ceremonies=StatelessCeremonies(tokens, right))  # type: ignore[arg-type]
    AsyncPasskeyService(rp, other).using(right)  # type: ignore[arg-type]
    StatelessCeremonies(tokens, other)  # type: ignore[arg-type]
    AsyncStatelessCeremonies(tokens, right)  # type: ignore[arg-type]


def wrong_arguments(s: PasskeyService) -> None:
    s.start_registration("u")  # type: ignore[call-arg]
    s.start_registration(user="u")  # type: ignore[call-arg]
    s.start_registration(user_id=7)  # type: ignore[arg-type]
    s.start_authentication(mediation="silent")  # type: ignore[arg-type]
    s.finish_authentication()  # type: ignore[call-arg]
    s.finish_authentication(7)  # type: ignore[arg-type]
    s.rename_passkey("u", b"")  # type: ignore[call-arg]


def test_the_checkers_have_something_to_read() -> None:
    """What is stated above holds for functions that exist; whether it does, `mypy` and `pyright` tell."""
    assert all(map(callable, (synchronous, asynchronous, wrong_colours, wrong_arguments)))
