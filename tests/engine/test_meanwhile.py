"""What others do between two steps of a flow, and storage that fails: judged again, or nothing happened at all."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore import CredentialNotFound
from passkeycore.engine.passkeys.service import AsyncPasskeyService
from passkeycore.repositories.memory import AsyncMemoryRepository
from passkeycore.testing import SoftwareKey, VirtualClient, b64url_encode
from passkeycore.webauthn.options import Preset

from .calls import calls_of
from .kit import ADA, EVE, RP, Clock, Colour, Engine, browser, challenge_of, engine, hooked, refused, stored


class Stage:
    """A service where ada has signed in once with an authenticator that counts."""

    def __init__(self, colour: Colour, **settings: Any) -> None:
        self.before: dict[str, Callable[..., object]] = {}
        self.passkeys: Engine = hooked(colour, self.before, **settings)
        self.device = browser(sign_count=5, sign_count_step=1)
        self.passkeys.register(client=self.device)
        self.id = next(iter(self.device.authenticator.credentials))

    def change(self, **members: Any) -> None:
        """Changes ada's stored record, as another server would."""
        owner = self.passkeys.memory._users["", "ada"]
        passkey = owner.passkeys[self.id]
        owner.passkeys[self.id] = replace(passkey, credential=replace(passkey.credential, **members))

    def sign_in(self) -> Any:
        """Starts and finishes."""
        start = self.passkeys.start_authentication()
        return self.passkeys.finish_authentication(self.device.get(start.to_dict()))

    def record(self) -> Any:
        """Ada's stored record."""
        return self.passkeys.list_passkeys("ada")[0].credential

    def once(self, act: Callable[[], object]) -> None:
        """Before the next write `act` happens."""

        def hook(*_: object) -> None:
            self.before.clear()
            act()

        self.before["advance_passkey"] = hook


@pytest.fixture
def stage(colour: Colour) -> Stage:
    return Stage(colour)


class TestLostUpdates:
    def test_a_lower_count_than_ours_is_judged_again(self, stage: Stage) -> None:
        stage.device.authenticator.credentials[stage.id].sign_count = 8
        stage.once(lambda: stage.change(sign_count=7))
        done = stage.sign_in()
        assert done.previous.credential.sign_count == 7
        assert stage.record().sign_count == 9

    def test_a_higher_one_is_a_regression_and_stays(self, stage: Stage) -> None:
        stage.once(lambda: stage.change(sign_count=7))
        with refused("sign_count_regressed"):
            stage.sign_in()
        assert stage.record().sign_count == 7

    def test_of_two_responses_that_cross_the_later_count_stays(self, stage: Stage) -> None:
        """The slower of two sign-ins finds the counter of the faster one."""
        starts = [stage.passkeys.start_authentication() for _ in range(2)]
        slow, fast = (stage.device.get(start.to_dict()) for start in starts)
        other = engine("sync", memory=stage.passkeys.memory)
        stage.once(lambda: other.finish_authentication(fast))
        with refused("sign_count_regressed"):
            stage.passkeys.finish_authentication(slow)
        assert stage.record().sign_count == 7

    def test_a_synced_passkey_only_reports_it(self, colour: Colour) -> None:
        stage = Stage(colour)
        stage.change(backup_eligible=None)
        stage.once(lambda: stage.change(sign_count=7))
        assert stage.sign_in().verified.sign_count_regressed
        assert stage.record().sign_count == 7

    @pytest.mark.parametrize("change", [{"uv_initialized": False}, {"backup_state": None}, {"backup_state": True}])
    def test_everything_that_was_judged_is_compared(self, stage: Stage, change: Any) -> None:
        stage.once(lambda: stage.change(**change))
        if "uv_initialized" in change:
            with refused("user_verification_untrusted"):
                stage.sign_in()
        else:
            assert stage.sign_in().user_verification_trusted
            assert stage.record().sign_count == 6

    def test_a_confirmation_meanwhile_counts(self, stage: Stage) -> None:
        beside = Preset(usage="second_factor", resident_key="preferred", user_verification="preferred")
        stage.change(uv_initialized=False)
        start = stage.passkeys.start_authentication(user_id="ada", preset=beside)
        stage.once(lambda: stage.change(uv_initialized=True))
        done = stage.passkeys.finish_authentication(stage.device.get(start.to_dict()), user_id="ada")
        assert done.user_verification_trusted
        assert stage.record().uv_initialized

    @pytest.mark.parametrize(("times", "code"), [(0, None), (1, None), (2, None), (3, "conflict"), (9, "conflict")])
    def test_three_attempts_are_made(self, stage: Stage, times: int, code: str | None) -> None:
        attempts = []

        def lose(*_: object) -> None:
            attempts.append(1)
            if len(attempts) <= times:
                stage.change(backup_state=len(attempts) % 2 == 1)

        stage.before["advance_passkey"] = lose
        with calls_of("verify", "cose.py") as verified:
            if code is None:
                assert stage.sign_in()
            else:
                with refused(code) as caught:
                    stage.sign_in()
                assert caught.value.http_status == 409
                assert stage.record().sign_count == 5
        assert verified.number == 1, "the signature is checked once"
        assert len(attempts) == min(times + 1, 3)

    def test_another_key_under_the_same_id_is_refused(self, stage: Stage) -> None:
        key = SoftwareKey.derive("another", -7).cose()
        stage.once(lambda: stage.change(public_key=key, sign_count=0))
        with refused("public_key_invalid"):
            stage.sign_in()

    def test_another_owner_of_the_same_id_is_refused(self, stage: Stage) -> None:
        def give_to_eve() -> None:
            memory = stage.passkeys.memory
            passkey = memory._users["", "ada"].passkeys[stage.id]
            memory.remove_user("", "ada", None)
            eve = memory.get_or_create_user(_eve())
            record = replace(passkey.credential, user_handle=eve.user_handle, sign_count=0)
            memory.add_passkey(replace(passkey, user_id="eve", credential=record), 5, None, None)

        stage.once(give_to_eve)
        with refused("no_credential") as caught:
            stage.sign_in()
        assert isinstance(caught.value, CredentialNotFound)
        assert caught.value.signal is None

    def test_a_user_of_the_same_name_with_another_handle_is_refused(self, stage: Stage) -> None:
        stage.once(lambda: stage.change(user_handle=b"another", sign_count=0))
        with refused("public_key_invalid"):
            stage.sign_in()

    def test_a_removed_passkey_is_gone(self, stage: Stage) -> None:
        stage.once(lambda: stage.passkeys.memory.remove_passkeys("", "ada", None))
        with refused("no_credential"):
            stage.sign_in()

    def test_a_user_who_is_disabled_meanwhile_is_noticed(self, stage: Stage) -> None:
        def disable() -> None:
            stage.passkeys.memory.set_user_disabled("", "ada", stage.passkeys.clock.at, None)
            stage.change(sign_count=4)

        stage.once(disable)
        with refused("user_disabled"):
            stage.sign_in()

    def test_one_disabled_between_the_read_and_the_write_is_too(self, stage: Stage) -> None:
        """Nothing of the passkey's own record changes: it is the write that has to look at the user."""
        memory, at = stage.passkeys.memory, stage.passkeys.clock.at
        stage.once(lambda: memory.set_user_disabled("", "ada", at, None))
        with refused("user_disabled"):
            stage.sign_in()
        assert stage.record().sign_count == 5
        assert stage.passkeys.list_passkeys("ada")[0].last_used_at is None


class TestFirstStarts:
    def test_of_two_at_once_both_have_the_handle_that_is_stored(self, colour: Colour) -> None:
        before: dict[str, Callable[..., object]] = {}
        passkeys = hooked(colour, before)
        other = engine("sync", memory=passkeys.memory, seed="other")
        first: list[Any] = []

        def be_quicker(*_: object) -> None:
            before.clear()
            first.append(other.start_registration(**ADA))

        before["get_or_create_user"] = be_quicker
        second = passkeys.start_registration(**ADA)
        handle = b64url_encode(passkeys.find_user("ada").user_handle)
        assert [start.to_dict()["user"]["id"] for start in (*first, second)] == [handle, handle]
        assert passkeys.under_way() == 2
        for number, start in enumerate((*first, second)):
            assert passkeys.finish_registration(browser(f"{number}").create(start.to_dict()), user_id="ada")


def _eve() -> Any:
    from passkeycore.engine.records import User

    return User(user_id="eve", user_handle=b"eve's handle", name="eve", created_at=Clock().at)


class DownError(Exception):
    """What a driver raises."""


def _down(*_: object) -> None:
    raise DownError("no connection")


class TestStorageThatFails:
    """Its own error comes through as it is, and nothing has happened."""

    @pytest.mark.parametrize("method", ["find_account", "add_ceremony"])
    def test_at_the_start_of_an_authentication(self, stage: Stage, method: str) -> None:
        stage.before[method] = _down
        with pytest.raises(DownError):
            stage.passkeys.start_authentication(user_id="ada")
        assert stage.passkeys.under_way() == 0

    @pytest.mark.parametrize("method", ["find_account", "get_or_create_user", "add_ceremony"])
    def test_at_the_start_of_a_registration(self, stage: Stage, method: str) -> None:
        stage.before[method] = _down
        with pytest.raises(DownError):
            stage.passkeys.start_registration(**EVE)
        assert stage.passkeys.under_way() == 0

    @pytest.mark.parametrize("method", ["take_ceremony", "find_passkey", "advance_passkey"])
    def test_at_the_finish_of_an_authentication(self, stage: Stage, method: str) -> None:
        start = stage.passkeys.start_authentication()
        before = stage.passkeys.stored()
        stage.before[method] = _down
        with pytest.raises(DownError) as caught:
            stage.passkeys.finish_authentication(stage.device.get(start.to_dict()))
        assert caught.value.args == ("no connection",)
        assert stage.passkeys.stored() == before
        assert stage.passkeys.under_way() == (method == "take_ceremony"), "spent as soon as it was taken"

    @pytest.mark.parametrize("method", ["take_ceremony", "add_passkey"])
    def test_at_the_finish_of_a_registration(self, stage: Stage, method: str) -> None:
        start = stage.passkeys.start_registration(**ADA)
        before = stage.passkeys.stored()
        stage.before[method] = _down
        with pytest.raises(DownError):
            stage.passkeys.finish_registration(browser("two").create(start.to_dict()), user_id="ada")
        assert stage.passkeys.stored() == before
        assert stage.passkeys.under_way() == (method == "take_ceremony")

    def test_when_a_lost_update_is_read_again(self, stage: Stage) -> None:
        def lose() -> None:
            stage.change(sign_count=4)
            stage.before["find_passkey"] = _down

        stage.once(lose)
        with pytest.raises(DownError):
            stage.sign_in()
        assert stage.record().sign_count == 4

    def test_no_failure_is_recorded_that_was_none_of_the_users(self, colour: Colour) -> None:
        stage = Stage(colour, store_events=True)
        stage.before["advance_passkey"] = _down
        with pytest.raises(DownError):
            stage.sign_in()
        assert [event.type for event in stage.passkeys.list_events().events] == ["passkey.registered"]


class TestCancellation:
    """A task that is cancelled between taking and writing leaves a spent challenge and no record."""

    @pytest.mark.parametrize("method", ["find_passkey", "advance_passkey"])
    def test_of_an_authentication(self, method: str) -> None:
        async def story() -> None:
            service, repository, device = await _cast()
            start = await service.start_authentication()
            await self.cancel_at(method, repository, service.finish_authentication(device.get(start.to_dict())), start)

        asyncio.run(story())

    def test_of_a_registration(self) -> None:
        async def story() -> None:
            service, repository, _ = await _cast()
            start = await service.start_registration(user_id="eve", user_name="eve", new_user=True, binding="b")
            body = browser("eve").create(start.to_dict())
            finish = service.finish_registration(body, user_id="eve", binding="b")
            await self.cancel_at("add_passkey", repository, finish, start)

        asyncio.run(story())

    @staticmethod
    async def cancel_at(method: str, repository: "_Waiting", finish: Any, start: Any) -> None:
        before = stored(repository.memory)
        repository.waits_in = method
        task = asyncio.create_task(finish)
        await repository.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert repository.memory.take_ceremony("", challenge_of(start)) is None
        assert stored(repository.memory) == before


class _Waiting(AsyncMemoryRepository):
    """A repository that never gets an answer in the method `waits_in`."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_in = ""
        self.reached = asyncio.Event()

    async def _arrive(self, method: str) -> None:
        if method == self.waits_in:
            self.reached.set()
            await asyncio.Event().wait()

    async def find_passkey(self, *arguments: Any) -> Any:  # type: ignore[override]
        await self._arrive("find_passkey")
        return self.memory.find_passkey(*arguments)

    async def advance_passkey(self, *arguments: Any) -> Any:  # type: ignore[override]
        await self._arrive("advance_passkey")
        return self.memory.advance_passkey(*arguments)

    async def add_passkey(self, *arguments: Any) -> Any:  # type: ignore[override]
        await self._arrive("add_passkey")
        return self.memory.add_passkey(*arguments)


async def _cast() -> tuple[AsyncPasskeyService, _Waiting, VirtualClient]:
    repository, device = _Waiting(), browser()
    service = AsyncPasskeyService(RP, repository, now=Clock())
    start = await service.start_registration(user_id="ada", user_name="ada")
    await service.finish_registration(device.create(start.to_dict()), user_id="ada")
    return service, repository, device
