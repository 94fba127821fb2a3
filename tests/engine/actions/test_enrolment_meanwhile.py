"""What others enrol, or remove, between two steps of an enrolment with the token of an action."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from passkeycore import PasskeyError
from passkeycore.engine.run import run
from passkeycore.testing import SoftwareDevice
from tests.engine.kit import NOW, Colour, browser

from .enrolling import KINDS, NEW, add, number_of
from .kit import DOMAIN, SCOPE, Stage, enrolled, refused, register_elsewhere


class TestMeanwhile:
    """What others enrol between two steps of one."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("has", ["an expired device", "a passkey of another relying party"])
    def test_what_is_of_no_use_now_counts_as_well(self, stage: Stage, has: str, kind: str) -> None:
        """The one meaning of enrolled, that rules have too: who has it is not somebody new, whoever has the token."""
        if has == "an expired device":
            stage.enrol(expires_at=NOW)
        else:
            register_elsewhere(stage)
        tracked = stage.track()
        assert tracked.is_enrolled
        with refused("scope_missing", stage):
            add(stage, tracked.token, kind)

    def test_what_was_enrolled_since_the_start_counts(self, stage: Stage) -> None:
        tracked = stage.track()
        start = stage.actions.start_passkey_enrolment(tracked.token, user_name="ada")
        body = NEW.create(start.to_dict())
        stage.enrol()
        with refused("scope_missing", stage):
            stage.actions.finish_passkey_enrolment(tracked.token, body)

    def quicker(self, stage: Stage, method: str, kind: str) -> None:
        """Before this method of the repository, somebody else's first one is quicker, with a token of the same."""
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, seed="other", call=run)
        token = stage.track().token

        def be_quicker(*_: object) -> None:
            stage.before.clear()
            if kind == "passkey":
                start = other.actions.start_passkey_enrolment(token, user_name="name")
                other.actions.finish_passkey_enrolment(token, browser("quicker").create(start.to_dict()))
            else:
                device = SoftwareDevice("quicker", domain=DOMAIN)
                other.actions.enrol_device(token, user_name="name", **enrolled(device, token))

        stage.before[method] = be_quicker

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("other", KINDS)
    def test_of_two_first_ones_at_once_at_most_one_stays(self, stage: Stage, kind: str, other: str) -> None:
        tracked = stage.track()
        self.quicker(stage, "add_passkey" if kind == "passkey" else "add_device", other)
        with refused("scope_missing"):
            add(stage, tracked.token, kind)
        assert number_of(stage) == 1

    @pytest.mark.parametrize("method", ["add_device_challenge", "add_device"])
    def test_a_token_counts_once_though_its_device_is_removed_between_the_writes(
        self, stage: Stage, method: str
    ) -> None:
        """Nothing that is there then tells of the first one but the token, which is spent before all else."""
        token = stage.track(scope=[SCOPE]).token
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, seed="other", call=run)
        seen: list[str] = []

        def enrol_and_remove(*_: object) -> None:
            stage.before.clear()
            device = enrolled(SoftwareDevice("quicker", domain=DOMAIN), token)
            try:
                made = other.actions.enrol_device(token, user_name="name", **device)
            except PasskeyError as error:
                seen.append(error.code)
            else:
                other.devices.remove_device("ada", made.authenticator_id)
                seen.append("enrolled")

        stage.before[method] = enrol_and_remove
        if method == "add_device_challenge":
            with refused("credential_exists"):
                add(stage, token, "push")
            assert (seen, number_of(stage)) == (["enrolled"], 0)
        else:
            assert add(stage, token, "push")
            assert (seen, number_of(stage)) == (["credential_exists"], 1)

    def test_a_token_is_spent_before_its_user_is_stored(self, stage: Stage) -> None:
        """Who lost leaves nobody behind."""
        token, stored = stage.track().token, list[str]()
        for name in ("add_device_challenge", "get_or_create_user", "add_device"):
            stage.before[name] = lambda *_, name=name: stored.append(name)
        add(stage, token, "push")
        assert stored == ["add_device_challenge", "get_or_create_user", "add_device"]

    GONE: dict[str, Callable[[Stage], object]] = {  # noqa: RUF012
        "removed": lambda stage: stage.memory.remove_passkeys("", "ada", None),
        "removed with another in its place": lambda stage: (
            stage.memory.remove_passkeys("", "ada", None),
            Stage(stage.colour, memory=stage.memory, clock=stage.clock, seed="other", call=run).register(
                client=browser("another")
            ),
        ),
    }

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("what", GONE)
    def test_a_success_whose_passkey_goes_meanwhile_enrols_nothing(self, stage: Stage, kind: str, what: str) -> None:
        """What was just enrolled is removed again: a thief's next key must not outlast the owner's removal."""
        met = stage.meet(stage.track(), stage.register())

        def act(*_: object) -> None:
            stage.before.clear()
            self.GONE[what](stage)

        stage.before["add_passkey" if kind == "passkey" else "add_device"] = act
        with refused("token_invalid"):
            add(stage, met.token, kind)
        assert number_of(stage) == (what != "removed")
        assert stage.devices.list_devices("ada") == ()

    def test_if_neither_was_the_first_neither_stays(self, stage: Stage) -> None:
        """Each step of one is taken before the next of the other: let in, store, look, remove."""
        here, tokens = threading.local(), {kind: stage.track().token for kind in KINDS}
        begun, looked, seen = (threading.Barrier(2, timeout=60) for _ in range(3))

        def store(*_: object) -> None:
            begun.wait()
            here.stored = True

        def look(*_: object) -> None:
            if getattr(here, "stored", False):
                here.stored = False
                looked.wait()

        def remove(*_: object) -> None:
            seen.wait()

        stage.before |= dict.fromkeys(("add_passkey", "add_device"), store)
        stage.before |= dict.fromkeys(("list_devices", "find_account"), look)
        stage.before |= dict.fromkeys(("remove_passkey", "remove_device"), remove)

        def refusal(kind: str) -> object:
            with pytest.raises(PasskeyError) as caught:
                add(stage, tokens[kind], kind)
            return caught.value.code

        stage.passkeys.get_or_create_user("ada", "ada")
        with ThreadPoolExecutor(2) as pool:
            assert set(pool.map(refusal, KINDS)) == {"scope_missing"}
        stage.before.clear()
        assert number_of(stage) == 0

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_limit_of_one_is_a_limit(self, colour: Colour, kind: str) -> None:
        stage = Stage(colour, passkeys={"max_passkeys_per_user": 1}, devices={"max_devices_per_user": 1})
        tracked = stage.track()
        self.quicker(stage, "add_passkey" if kind == "passkey" else "add_device", kind)
        with refused("limit_reached"):
            add(stage, tracked.token, kind)
        assert number_of(stage) == 1
