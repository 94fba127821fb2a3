"""The waiting side: it starts a challenge, polls, and gets the answer once. Attacks on it have tables."""

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from passkeycore import LimitReached
from passkeycore.engine.records import User

from ..kit import ADA, NOW, Colour, Engine, Json, refused
from .kit import (
    APP,
    CAMERA,
    EVES_CAMERA,
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
    put_challenge,
    put_device,
    staged,
)


@pytest.fixture
def devices(colour: Colour) -> Engine:
    """A service where ada and eve have their devices."""
    made = device_engine(colour)
    enrol_all(made)
    return made


def poll(devices: Engine, start: Any, **changes: Any) -> Any:
    """As whoever started it."""
    begun = start.challenge
    return devices.poll_challenge(
        start.challenge_id, **({"user_id": begun.user_id, "purpose": begun.purpose} | changes)
    )


class TestStart:
    def test_what_is_stored_is_what_was_asked(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY, binding="session")
        stored = challenge_in(devices, start.challenge_id)
        assert stored == start.challenge
        assert (stored.method, stored.user_id, stored.authenticator_id) == ("push", "ada", None)
        assert (stored.purpose, stored.content) == ("transfer:42", "Pay 42 EUR to Bob?")
        assert (stored.state, stored.protocol) == ("pending", "passkeycore-device-1")
        assert (stored.created_at, stored.expires_at) == (NOW, NOW + timedelta(minutes=5))
        assert (stored.attempts_left, stored.verification_code) == (3, None)
        assert stored.binding is not None
        assert b"session" not in stored.binding
        assert len(start.challenge_id) == 43

    def test_the_devices_to_ring_are_those_that_may_answer(self, devices: Engine) -> None:
        phone = device_of(devices, PHONE)
        assert {each.authenticator_id for each in devices.start_challenge(**PAY).devices} == {
            phone.authenticator_id,
            device_of(devices, TABLET).authenticator_id,
        }
        one = devices.start_challenge(**PAY, authenticator_id=phone.authenticator_id)
        assert one.devices == (phone,)
        assert one.challenge.authenticator_id == phone.authenticator_id
        put_device(devices, PHONE, expires_at=NOW)
        assert [each.public_key for each in devices.start_challenge(**PAY).devices] == [TABLET.public_key]
        assert devices.start_challenge(**SCANNED).devices == ()

    def test_what_the_browser_gets_is_this_alone(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY, binding="session")
        assert start.to_dict() == {
            "challengeId": start.challenge_id,
            "expiresAt": (NOW + timedelta(minutes=5)).isoformat(),
        }
        shown = devices.start_challenge(**SHOWN)
        assert shown.to_dict()["verificationCode"] == shown.challenge.verification_code
        json.dumps(shown.to_dict())

    @pytest.mark.parametrize("digits", [1, 4, 8])
    def test_a_code_has_so_many_digits(self, colour: Colour, digits: int) -> None:
        drawn = iter([bytes(32), bytes(8), bytes(31) + b"\1", bytes([255] * 8)])
        devices = device_engine(colour, verification_code_digits=digits, random=lambda _: next(drawn))
        asked = SHOWN | {"user_id": "nobody"}
        codes = [devices.start_challenge(**asked).challenge.verification_code for _ in range(2)]
        assert codes == [digits * "0", str(2**64 - 1)[-digits:]]

    def test_nobody_learns_whether_the_user_exists(self, devices: Engine) -> None:
        """Start and polls are the same for a user who is there, for one without devices, and for none."""
        devices.memory.get_or_create_user(_somebody("without"))
        seen = []
        for user_id in ("ada", "without", "nobody"):
            starts = [devices.start_challenge(**SHOWN | {"user_id": user_id}) for _ in range(5)]
            start = starts[0]
            shape = {name: len(str(value)) for name, value in start.to_dict().items()}
            codes = [code_of(partial(devices.start_challenge, **PAY | {"user_id": user_id}))]
            states = [
                poll(devices, start),
                devices.challenge_state(start.challenge_id, user_id=user_id, purpose="transfer:42"),
            ]
            stored = challenge_in(devices, start.challenge_id)
            same = {name: getattr(stored, name) for name in stored.__struct_fields__}
            for its_own in ("challenge_id", "user_id", "verification_code"):
                del same[its_own]
            seen.append((shape, codes, states, same))
        assert seen[0] == seen[1] == seen[2]
        assert seen[0][1] == ["limit_reached"]

    def test_nobody_answers_for_a_user_who_is_not_there(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY | {"user_id": "nobody"})
        for device in (PHONE, CAMERA, EVES_CAMERA):
            with refused("signature_invalid", devices):
                answer(devices, device, start)

    @pytest.mark.parametrize(
        ("asked", "code", "path"),
        [
            ({"method": "x"}, "configuration_invalid", "method"),
            ({"method": None}, "configuration_invalid", "method"),
            ({"user_id": None}, "configuration_invalid", "user_id"),
            ({"user_id": None, "method": "in-app"}, "configuration_invalid", "binding"),
            ({"user_id": None, "method": "qr-code"}, "configuration_invalid", "binding"),
            ({"user_id": None, "method": "qr-code", "binding": ""}, "configuration_invalid", "binding"),
            ({"binding": ""}, "configuration_invalid", "binding"),
            ({"binding": b""}, "configuration_invalid", "binding"),
            ({"protocol": "challenge-id"}, "configuration_invalid", "protocol"),
            ({"user_id": ""}, "user_id_invalid", "user_id"),
            ({"user_id": 7}, "user_id_invalid", "user_id"),
            ({"purpose": 4097 * "x"}, "name_invalid", "purpose"),
            ({"purpose": "\0"}, "name_invalid", "purpose"),
            ({"purpose": 7}, "name_invalid", "purpose"),
            ({"content": 4097 * "x"}, "name_invalid", "content"),
            ({"content": "\ud800"}, "name_invalid", "content"),
            ({"content": 7}, "name_invalid", "content"),
            ({"authenticator_id": 65 * "x"}, "name_invalid", "authenticator_id"),
            ({"authenticator_id": "\ud800"}, "name_invalid", "authenticator_id"),
            ({"authenticator_id": 7}, "name_invalid", "authenticator_id"),
        ],
    )
    def test_what_does_not_go_together_is_refused(self, devices: Engine, asked: Json, code: str, path: str) -> None:
        with refused(code, devices) as caught:
            devices.start_challenge(**PAY | asked)
        assert caught.value.path == path

    def test_no_content_is_none_to_show(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY | {"content": None})
        assert start.challenge.content == ""
        answer(devices, PHONE, start)

    def test_the_longest_texts_are_kept(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY | {"purpose": 4096 * "p", "content": 4096 * "\n"})
        answer(devices, PHONE, start)
        assert poll(devices, start).user_id == "ada"


class TestPending:
    """`max_pending_per_user`: how often somebody can make a phone ring."""

    @pytest.mark.parametrize("most", [1, 3])
    def test_so_many_may_wait(self, colour: Colour, most: int) -> None:
        devices = device_engine(colour, max_pending_per_user=most)
        enrol(devices, PHONE)
        starts = []
        for _ in range(most):
            devices.check_pending("ada")
            starts.append(devices.start_challenge(**PAY))
        with refused("limit_reached", devices):
            devices.check_pending("ada")
        devices.check_pending("eve")
        with refused("limit_reached", devices) as caught:
            devices.start_challenge(**PAY)
        assert isinstance(caught.value, LimitReached)
        assert (caught.value.limit, caught.value.current) == (most, most)
        devices.start_challenge(**PAY | {"user_id": "eve"})
        answer(devices, PHONE, starts[0])
        devices.start_challenge(**PAY)

    @pytest.mark.parametrize("end", ["answered", "rejected", "cancelled", "expired"])
    def test_what_ended_waits_no_more(self, colour: Colour, end: str) -> None:
        devices = device_engine(colour, max_pending_per_user=1)
        enrol(devices, PHONE)
        start = devices.start_challenge(**PAY)
        if end == "expired":
            devices.clock.move(minutes=5)
        elif end == "cancelled":
            devices.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")
        else:
            answer(devices, PHONE, start, "approve" if end == "answered" else "reject")
        assert devices.start_challenge(**PAY)

    def test_what_was_claimed_still_does(self, colour: Colour) -> None:
        devices = device_engine(colour, max_pending_per_user=1)
        enrol(devices, CAMERA)
        claim(devices, CAMERA, devices.start_challenge(**SCANNED))
        with refused("limit_reached", devices):
            devices.start_challenge(**PAY)


class TestPoll:
    def test_nothing_until_it_is_answered_then_the_approval(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY)
        assert poll(devices, start) is None
        devices.clock.move(seconds=1)
        answer(devices, PHONE, start)
        devices.clock.move(seconds=1)
        approval = poll(devices, start)
        assert (approval.user_id, approval.user.name) == ("ada", "ada@example.org")
        assert approval.device.public_key == PHONE.public_key
        assert approval.device.last_used_at == NOW + timedelta(seconds=1)
        assert approval.challenge.answered_at == NOW + timedelta(seconds=1)
        assert approval.challenge.taken_at == NOW + timedelta(seconds=2)
        assert approval.challenge == challenge_in(devices, start.challenge_id)

    def test_a_rejection_is_told_each_time(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY)
        answer(devices, PHONE, start, "reject")
        for minutes in (0, 5):
            devices.clock.move(minutes=minutes)
            with refused("challenge_rejected", devices):
                poll(devices, start)

    def test_so_is_that_it_was_given_up(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY)
        devices.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")
        with refused("attempts_exceeded", devices):
            poll(devices, start)

    def test_an_approval_lasts_as_long_as_its_challenge(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY)
        devices.clock.move(seconds=299)
        answer(devices, PHONE, start)
        devices.clock.move(seconds=1)
        with refused("challenge_expired", devices):
            poll(devices, start)

    @pytest.mark.parametrize(("seconds", "code"), [(59, None), (60, "challenge_expired")])
    def test_its_lifetime_is_the_services(self, colour: Colour, seconds: int, code: str | None) -> None:
        devices = device_engine(colour, challenge_lifetime_s=60)
        enrol(devices, PHONE)
        start = devices.start_challenge(**PAY)
        devices.clock.move(seconds=seconds)
        if code is None:
            assert poll(devices, start) is None
        else:
            with refused(code, devices):
                poll(devices, start)

    @pytest.mark.parametrize(
        ("begun", "polled", "is_known"),
        [
            ({}, {"user_id": "ada"}, True),
            ({}, {"user_id": None}, False),
            ({}, {"user_id": "eve"}, False),
            ({}, {"user_id": "ada", "binding": "session"}, False),
            ({}, {"user_id": "ada", "binding": ""}, False),
            ({"binding": "session"}, {"user_id": "ada", "binding": "session"}, True),
            ({"binding": "session"}, {"user_id": "ada", "binding": b"session"}, True),
            ({"binding": "session"}, {"user_id": None, "binding": "session"}, True),
            ({"binding": "session"}, {"user_id": "eve", "binding": "session"}, False),
            ({"binding": "session"}, {"user_id": "ada"}, False),
            ({"binding": "session"}, {"user_id": None}, False),
            ({"binding": "session"}, {"user_id": "ada", "binding": "other"}, False),
            ({"binding": "session"}, {"user_id": "ada", "binding": ""}, False),
        ],
    )
    @pytest.mark.parametrize("verb", ["poll_challenge", "challenge_state", "cancel_challenge"])
    def test_only_whoever_started_it_sees_it(
        self, devices: Engine, verb: str, begun: Json, polled: Json, is_known: bool
    ) -> None:
        """A binding is enough to be known, a user without one is not; what is given has to be right."""
        start = devices.start_challenge(**PAY, **begun)
        call = getattr(devices, verb)
        if is_known:
            call(start.challenge_id, **polled, purpose="transfer:42")
            return
        with refused("challenge_unknown", devices):
            call(start.challenge_id, **polled, purpose="transfer:42")

    @pytest.mark.parametrize("purpose", [None, "", "transfer:4", "Transfer:42", 42, b"transfer:42"])
    @pytest.mark.parametrize("verb", ["poll_challenge", "challenge_state", "cancel_challenge"])
    def test_nor_for_another_purpose(self, devices: Engine, verb: str, purpose: Any) -> None:
        start = devices.start_challenge(**PAY)
        with refused("challenge_unknown", devices):
            getattr(devices, verb)(start.challenge_id, user_id="ada", purpose=purpose)

    def test_a_claim_shows_whoever_waits_no_user_yet(self, devices: Engine) -> None:
        start = devices.start_challenge(**SCANNED)
        claim(devices, CAMERA, start)
        asked = {"binding": "session", "purpose": "sign-in"}
        assert devices.poll_challenge(start.challenge_id, **asked) is None
        answer(devices, CAMERA, start)
        assert devices.poll_challenge(start.challenge_id, **asked).user_id == "ada"

    def test_of_a_sign_in_the_user_is_whoevers_device_it_was(self, devices: Engine) -> None:
        start = devices.start_challenge(method="in-app", binding="session")
        answer(devices, APP, start)
        assert devices.poll_challenge(start.challenge_id, binding="session").user_id == "ada"


class TestState:
    def test_it_goes_from_pending_to_the_end(self, devices: Engine) -> None:
        def state(start: Any) -> Any:
            return devices.challenge_state(start.challenge_id, binding="session", purpose="sign-in")

        start = devices.start_challenge(**SCANNED)
        seen = [state(start)]
        claim(devices, CAMERA, start)
        seen.append(state(start))
        answer(devices, CAMERA, start)
        seen.append(state(start))
        assert seen == ["pending", "claimed", "approved"]
        devices.poll_challenge(start.challenge_id, binding="session", purpose="sign-in")
        with refused("challenge_unknown", devices):
            state(start)

    @pytest.mark.parametrize(("end", "after"), [("rejected", "rejected"), ("failed", "failed"), ("approved", None)])
    def test_a_refusal_stays_and_everything_else_expires(self, devices: Engine, end: str, after: str | None) -> None:
        start = devices.start_challenge(**PAY)
        put_challenge(devices, start.challenge_id, state=end)
        asked = {"user_id": "ada", "purpose": "transfer:42"}
        assert devices.challenge_state(start.challenge_id, **asked) == end
        devices.clock.move(minutes=5)
        if after is None:
            with refused("challenge_unknown", devices):
                devices.challenge_state(start.challenge_id, **asked)
        else:
            assert devices.challenge_state(start.challenge_id, **asked) == after

    def test_it_has_failed_when_no_attempt_is_left_though_nobody_wrote_so(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY)
        put_challenge(devices, start.challenge_id, attempts_left=0)
        assert devices.challenge_state(start.challenge_id, user_id="ada", purpose="transfer:42") == "failed"
        with refused("attempts_exceeded", devices):
            poll(devices, start)
        with refused("challenge_unknown", devices):
            devices.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")


class TestCancel:
    def test_no_device_answers_it_any_more(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY)
        devices.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")
        assert challenge_in(devices, start.challenge_id).state == "failed"
        with refused("challenge_unknown", devices):
            answer(devices, PHONE, start)
        with refused("challenge_unknown", devices):
            devices.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")

    @pytest.mark.parametrize("decision", ["approve", "reject"])
    def test_what_was_answered_stays_so(self, devices: Engine, decision: str) -> None:
        start = devices.start_challenge(**PAY)
        answer(devices, PHONE, start, decision)
        with refused("challenge_unknown", devices):
            devices.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")

    def test_a_claimed_one_can_be_given_up(self, devices: Engine) -> None:
        stage_start = devices.start_challenge(**SCANNED)
        claim(devices, CAMERA, stage_start)
        devices.cancel_challenge(stage_start.challenge_id, binding="session", purpose="sign-in")
        with refused("challenge_unknown", devices):
            answer(devices, CAMERA, stage_start)


@pytest.mark.parametrize("id", [None, "", "A" * 43, "A" * 44, 7, b"A" * 43, "\0", "\ud800", ["x"]])
@pytest.mark.parametrize("verb", ["poll_challenge", "challenge_state", "cancel_challenge"])
def test_there_is_no_other_challenge(colour: Colour, verb: str, id: Any) -> None:
    devices = staged(colour, "poll").devices
    with refused("challenge_unknown", devices):
        getattr(devices, verb)(id, user_id="ada", purpose="transfer:42", binding="session")


def _somebody(user_id: str) -> User:
    return User(user_id=user_id, user_handle=user_id.encode(), name="x", created_at=NOW)


def test_the_start_of_a_new_user_is_not_the_start_of_a_record(colour: Colour) -> None:
    """Whoever types names into a form creates no users."""
    devices = device_engine(colour)
    devices.start_challenge(**PAY | {"user_id": ADA["user_id"]})
    assert devices.stored()["users"] == {}
