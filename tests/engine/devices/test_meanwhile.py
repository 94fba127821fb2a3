"""What others do between two steps of a claim, an answer or a poll: judged again, or nothing happened at all."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from ..kit import NOW, Colour, Engine, refused
from .kit import (
    CAMERA,
    PAY,
    PHONE,
    SCANNED,
    SHOWN,
    TABLET,
    answer,
    challenge_in,
    claim,
    code_of,
    device_engine,
    device_of,
    enrol,
    enrol_all,
    hooked_devices,
    put_challenge,
    put_device,
    wrong_codes,
)

Act = Callable[[], object]


class Stage:
    """A service before whose next writes of a challenge something happens; `plain` is another over the same storage."""

    def __init__(self, colour: Colour, **settings: Any) -> None:
        self.before: dict[str, Callable[..., object]] = {}
        self.devices: Engine = hooked_devices(colour, self.before, **settings)
        self.plain = device_engine("sync", memory=self.devices.memory, clock=self.devices.clock, seed="plain")
        enrol_all(self.plain)
        self.writes = 0

    def each_time(self, act: Act, times: int = 1) -> None:
        """Before the next `times` writes of a challenge `act` happens."""

        def hook(*_: object) -> None:
            self.writes += 1
            if self.writes <= times:
                act()

        self.writes = 0
        self.before["replace_device_challenge"] = hook

    def quietly(self) -> None:
        """From now on nothing happens any more."""
        self.before.clear()


@pytest.fixture
def stage(colour: Colour) -> Stage:
    return Stage(colour)


def poll(devices: Engine, start: Any) -> Any:
    """As whoever started it."""
    begun = start.challenge
    return devices.poll_challenge(start.challenge_id, user_id=begun.user_id, purpose=begun.purpose)


class TestRemovals:
    """Nothing that goes away between reading and writing answers."""

    @pytest.mark.parametrize(
        ("act", "code"),
        [
            (lambda s: s.plain.remove_device("ada", device_of(s.plain, PHONE).authenticator_id), "signature_invalid"),
            (lambda s: put_device(s.plain, PHONE, expires_at=NOW), "signature_invalid"),
            (lambda s: s.plain.memory.set_user_disabled("", "ada", NOW, None), "user_disabled"),
            (lambda s: s.plain.memory.remove_user("", "ada", None), "challenge_unknown"),
        ],
        ids=["device removed", "device expired", "user disabled", "user removed"],
    )
    @pytest.mark.parametrize("verb", ["answer", "answer with a code", "poll"])
    def test_the_answer_is_none(self, stage: Stage, verb: str, act: Callable[[Stage], object], code: str) -> None:
        start = stage.devices.start_challenge(**(SHOWN if "code" in verb else PAY))
        if verb == "poll":
            answer(stage.plain, PHONE, start)
            code = "challenge_unknown" if code == "signature_invalid" else code
        stage.each_time(lambda: act(stage))
        with refused(code):
            if verb == "poll":
                poll(stage.devices, start)
            else:
                answer(stage.devices, PHONE, start)
        stage.quietly()
        stored = stage.devices.memory.find_device_challenge("", start.challenge_id)
        if verb == "poll":
            assert stored is None or stored.taken_at is None
        else:
            assert stored is None or stored.state == "pending"

    def test_nor_is_the_claim(self, stage: Stage) -> None:
        start = stage.devices.start_challenge(**SCANNED)
        stage.each_time(lambda: stage.plain.remove_device("ada", device_of(stage.plain, CAMERA).authenticator_id))
        with refused("signature_invalid"):
            claim(stage.devices, CAMERA, start)
        assert challenge_in(stage.devices, start.challenge_id).state == "pending"

    def test_a_disabled_users_claim_is_none_either(self, stage: Stage) -> None:
        start = stage.devices.start_challenge(**SCANNED)
        stage.each_time(lambda: stage.plain.memory.set_user_disabled("", "ada", NOW, None))
        with refused("user_disabled"):
            claim(stage.devices, CAMERA, start)


class TestOthers:
    """Another is faster with the same challenge."""

    @pytest.mark.parametrize("mine", ["approve", "reject"])
    @pytest.mark.parametrize("theirs", ["approve", "reject"])
    def test_the_first_answer_stays(self, stage: Stage, mine: str, theirs: str) -> None:
        start = stage.devices.start_challenge(**PAY)
        stage.each_time(lambda: answer(stage.plain, TABLET, start, theirs))
        with refused("signature_invalid"):
            answer(stage.devices, PHONE, start, mine)
        stored = challenge_in(stage.devices, start.challenge_id)
        assert stored.state == {"approve": "approved", "reject": "rejected"}[theirs]
        assert stored.authenticator_id == device_of(stage.devices, TABLET).authenticator_id
        assert device_of(stage.devices, PHONE).last_used_at is None

    def test_one_device_cannot_do_both(self, stage: Stage) -> None:
        start = stage.devices.start_challenge(**PAY)
        stage.each_time(lambda: answer(stage.plain, PHONE, start, "reject"))
        with refused("challenge_unknown"):
            answer(stage.devices, PHONE, start)
        assert challenge_in(stage.devices, start.challenge_id).state == "rejected"

    @pytest.mark.parametrize("code", [False, True])
    def test_whoever_waits_may_give_up_first(self, stage: Stage, code: bool) -> None:
        start = stage.devices.start_challenge(**(SHOWN if code else PAY))
        stage.each_time(lambda: stage.plain.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42"))
        with refused("challenge_unknown"):
            answer(stage.devices, PHONE, start)
        assert challenge_in(stage.devices, start.challenge_id).state == "failed"

    def test_or_be_too_late_to(self, stage: Stage) -> None:
        start = stage.devices.start_challenge(**PAY)
        stage.each_time(lambda: answer(stage.plain, PHONE, start))
        with refused("challenge_unknown"):
            stage.devices.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")
        stage.quietly()
        assert poll(stage.devices, start)

    def test_an_approval_is_given_out_once(self, stage: Stage) -> None:
        start = stage.devices.start_challenge(**PAY)
        answer(stage.plain, PHONE, start)
        stage.each_time(lambda: poll(stage.plain, start))
        with refused("challenge_unknown"):
            poll(stage.devices, start)

    def test_a_code_is_judged_no_more_often_than_it_may(self, colour: Colour) -> None:
        """Others guess between this guess and its being counted."""
        stage = Stage(colour, max_attempts=2)
        start = stage.devices.start_challenge(**SHOWN)
        wrong = iter(wrong_codes(start.challenge.verification_code, 3))

        def guess() -> None:
            assert code_of(lambda: _guess(stage.plain, start, next(wrong))) == "verification_code_wrong"

        stage.each_time(guess, times=2)
        with refused("challenge_unknown"):
            answer(stage.devices, PHONE, start)
        assert challenge_in(stage.devices, start.challenge_id).state == "failed"

    def test_a_bad_signature_is_counted_beside_others(self, stage: Stage) -> None:
        start = stage.devices.start_challenge(**SHOWN)
        (wrong,) = wrong_codes(start.challenge.verification_code, 1)
        stage.each_time(lambda: code_of(lambda: _guess(stage.plain, start, wrong)))
        with refused("signature_invalid"):
            _guess(stage.devices, start, "1234", signature=b"x")
        assert challenge_in(stage.devices, start.challenge_id).attempts_left == 1

    def test_but_not_against_a_challenge_that_ended_meanwhile(self, stage: Stage) -> None:
        start = stage.devices.start_challenge(**PAY)
        stage.each_time(lambda: answer(stage.plain, PHONE, start))
        with refused("signature_invalid"):
            _guess(stage.devices, start, None, signature=b"x")
        stored = challenge_in(stage.devices, start.challenge_id)
        assert (stored.state, stored.attempts_left) == ("approved", 3)


def _guess(devices: Engine, start: Any, code: str | None, signature: bytes | None = None) -> Any:
    begun = start.challenge
    right = PHONE.answer(
        begun.challenge_id, "approve", purpose=begun.purpose, verification_code=code, content=begun.content
    )
    return devices.answer_challenge(
        begun.challenge_id,
        public_key=PHONE.public_key,
        signature=right if signature is None else signature,
        decision="approve",
        verification_code=code,
    )


class TestTries:
    """A write is tried three times; what is written between is judged each time."""

    @pytest.mark.parametrize(("times", "code"), [(0, None), (1, None), (2, None), (3, "conflict"), (9, "conflict")])
    @pytest.mark.parametrize("verb", ["answer", "claim", "poll", "cancel", "bad signature"])
    def test_three(self, stage: Stage, verb: str, times: int, code: str | None) -> None:
        start = stage.devices.start_challenge(**(SCANNED if verb == "claim" else PAY))
        if verb == "poll":
            answer(stage.plain, PHONE, start)
        id = start.challenge_id
        calls: dict[str, Callable[[], object]] = {
            "answer": lambda: answer(stage.devices, PHONE, start),
            "claim": lambda: claim(stage.devices, CAMERA, start),
            "poll": lambda: poll(stage.devices, start),
            "cancel": lambda: stage.devices.cancel_challenge(id, user_id="ada", purpose="transfer:42"),
            "bad signature": lambda: _guess(stage.devices, start, None, signature=b"x"),
        }
        stage.each_time(lambda: put_challenge(stage.plain, id), times=times)
        before = challenge_in(stage.devices, id)
        if verb == "bad signature" and code is None:
            code = "signature_invalid"
        assert code_of(calls[verb]) == code
        assert stage.writes == min(times + 1, 3)
        after = challenge_in(stage.devices, id)
        if times >= 3:
            assert after == structs.replace(before, revision=after.revision)
        else:
            assert after != structs.replace(before, revision=after.revision)

    @pytest.mark.parametrize("verb", ["answer", "claim", "poll"])
    def test_a_device_that_changes_meanwhile_answers_all_the_same(self, stage: Stage, verb: str) -> None:
        device = CAMERA if verb == "claim" else PHONE
        start = stage.devices.start_challenge(**(SCANNED if verb == "claim" else PAY))
        if verb == "poll":
            answer(stage.plain, PHONE, start)
        stage.each_time(lambda: put_device(stage.plain, device, push_token="meanwhile"))
        if verb == "poll":
            assert poll(stage.devices, start).device.push_token == "meanwhile"
        else:
            (claim if verb == "claim" else answer)(stage.devices, device, start)
        stored = device_of(stage.devices, device)
        assert (stored.push_token, stored.last_used_at) == ("meanwhile", NOW)

    @pytest.mark.parametrize("times", [1, 2])
    @pytest.mark.parametrize("attempts", [1, 3])
    def test_a_right_code_takes_one_attempt_though_the_device_changes(
        self, colour: Colour, attempts: int, times: int
    ) -> None:
        """Another answer of the same device, say, must not use up what its user may get wrong."""
        stage = Stage(colour, max_attempts=attempts)
        start = stage.devices.start_challenge(**SHOWN)
        writes_of_answers(stage, lambda: put_device(stage.plain, PHONE, push_token="meanwhile"), times)
        answer(stage.devices, PHONE, start)
        stored = challenge_in(stage.devices, start.challenge_id)
        assert (stored.state, stored.attempts_left) == ("approved", attempts - 1)
        device = device_of(stage.devices, PHONE)
        assert (device.push_token, device.last_used_at) == ("meanwhile", NOW)

    def test_a_challenge_that_changed_is_judged_anew_and_takes_another(self, stage: Stage) -> None:
        """Better one chance too few than one too many."""
        start = stage.devices.start_challenge(**SHOWN)
        writes_of_answers(stage, lambda: put_challenge(stage.plain, start.challenge_id))
        answer(stage.devices, PHONE, start)
        assert challenge_in(stage.devices, start.challenge_id).attempts_left == 1

    @pytest.mark.parametrize("what", ["removed", "expired", "disabled"])
    def test_a_right_code_of_who_is_gone_before_it_is_written_is_none(self, stage: Stage, what: str) -> None:
        start = stage.devices.start_challenge(**SHOWN)
        acts: dict[str, tuple[str, Act]] = {
            "removed": (
                "signature_invalid",
                lambda: stage.plain.remove_device("ada", device_of(stage.plain, PHONE).authenticator_id),
            ),
            "expired": ("signature_invalid", lambda: put_device(stage.plain, PHONE, expires_at=NOW)),
            "disabled": ("user_disabled", lambda: _disabled_with_a_change(stage)),
        }
        code, act = acts[what]
        writes = writes_of_answers(stage, act)
        with refused(code):
            answer(stage.devices, PHONE, start)
        assert len(writes) == 1, "it is not tried again"
        stored = challenge_in(stage.devices, start.challenge_id)
        assert (stored.state, stored.attempts_left) == ("pending", 2)

    def test_nor_may_the_key_be_another_devices_by_then(self, stage: Stage) -> None:
        """Who alone was asked is asked by the device's id: the same key, enrolled again, is another device."""
        id = device_of(stage.plain, PHONE).authenticator_id
        start = stage.devices.start_challenge(**SHOWN, authenticator_id=id)

        def enrol_again() -> None:
            stage.plain.remove_device("ada", id)
            enrol(stage.plain, PHONE)

        writes_of_answers(stage, enrol_again)
        with refused("signature_invalid"):
            answer(stage.devices, PHONE, start)
        assert challenge_in(stage.devices, start.challenge_id).state == "pending"


def writes_of_answers(stage: Stage, act: Act, times: int = 1) -> list[object]:
    """Before the next `times` writes of an answer, which the counting of its attempt comes before, `act` happens.

    Every such write is in the answer, also those after.
    """
    writes: list[object] = []

    def hook(_: object, device: Any, *__: object) -> None:
        if device is not None:
            writes.append(device)
            if len(writes) <= times:
                act()

    stage.before["replace_device_challenge"] = hook
    return writes


def _disabled_with_a_change(stage: Stage) -> None:
    put_device(stage.plain, PHONE, push_token="meanwhile")
    stage.plain.memory.set_user_disabled("", "ada", NOW, None)


class BrokenError(RuntimeError):
    """As a driver raises it."""


@pytest.mark.parametrize("method", ["find_device_challenge", "find_device", "replace_device_challenge"])
def test_a_failing_storage_is_no_verdict(stage: Stage, method: str) -> None:
    start = stage.devices.start_challenge(**PAY)

    def fail(*_: object) -> None:
        raise BrokenError

    stage.before[method] = fail
    before = stage.devices.stored()
    with pytest.raises(BrokenError):
        answer(stage.devices, PHONE, start)
    assert stage.devices.stored() == before
    stage.quietly()
    answer(stage.devices, PHONE, start)


def test_after_a_crash_between_count_and_answer_the_attempt_is_gone_and_the_challenge_is_not(stage: Stage) -> None:
    start = stage.devices.start_challenge(**SHOWN)

    def fail(_: object, device: Any, *__: object) -> None:
        if device is not None:
            raise BrokenError

    stage.before["replace_device_challenge"] = fail
    with pytest.raises(BrokenError):
        answer(stage.devices, PHONE, start)
    stage.quietly()
    assert challenge_in(stage.devices, start.challenge_id).attempts_left == 2
    answer(stage.devices, PHONE, start)
    assert poll(stage.devices, start).user_id == "ada"
