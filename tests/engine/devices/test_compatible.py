"""Apps of another service's, which sign the challenge's id alone: allowed by name only, and bound by state.

What is signed tells nothing, so the engine's state has to: one use, one user, the claim first and by the same key.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from passkeycore.testing import SoftwareDevice

from ..kit import ADA, NOW, Colour, Engine, refused
from .kit import (
    CAMERA,
    EVES_CAMERA,
    EVES_PHONE,
    PAY,
    PHONE,
    SCANNED,
    SECOND_CAMERA,
    SHOWN,
    STRANGER,
    TABLET,
    answer,
    challenge_in,
    counted,
    device_engine,
    device_of,
    enrol,
    enrol_all,
    wrong_codes,
)


@pytest.fixture
def devices(colour: Colour) -> Engine:
    """A service that allows such signatures, where ada and eve have their devices."""
    made = device_engine(colour, danger_allow_challenge_id_signatures=True)
    enrol_all(made)
    return made


def strict(devices: Engine) -> Engine:
    """Another service over the same storage, which does not."""
    return device_engine(devices.colour, memory=devices.memory, clock=devices.clock, seed="strict")


def begin(devices: Engine, asked: Any = PAY) -> str:
    """A challenge to such an app."""
    id: str = devices.start_challenge(**asked, protocol="challenge-id").challenge_id
    return id


def reply(devices: Engine, device: SoftwareDevice, id: str, decision: Any = "approve", code: Any = None) -> Any:
    """As such an app answers."""
    return devices.answer_challenge(
        id,
        public_key=device.public_key,
        signature=device.sign_challenge_id(id),
        decision=decision,
        verification_code=code,
    )


def scan(devices: Engine, device: SoftwareDevice, id: str) -> Any:
    """As such an app claims."""
    return devices.claim_challenge(id, public_key=device.public_key, signature=device.sign_challenge_id(id))


class TestNotAllowed:
    def test_no_challenge_starts_so(self, devices: Engine) -> None:
        with refused("configuration_invalid", devices) as caught:
            strict(devices).start_challenge(**PAY, protocol="challenge-id")
        assert caught.value.path == "protocol"

    @pytest.mark.parametrize("decision", ["approve", "reject"])
    def test_nor_is_one_answered_that_began_before(self, devices: Engine, decision: str) -> None:
        id = begin(devices)
        with refused("challenge_unknown", devices):
            reply(strict(devices), PHONE, id, decision)

    def test_nor_claimed(self, devices: Engine) -> None:
        id = begin(devices, SCANNED)
        with refused("challenge_unknown", devices):
            scan(strict(devices), CAMERA, id)

    @pytest.mark.parametrize(
        "call",
        [
            lambda e: e.pending_challenge(method="push", public_key=PHONE.public_key, signature=None),
            lambda e: e.remove_by_device(method="push", public_key=PHONE.public_key, signature=PHONE.sign_bucket(NOW)),
            lambda e: enrol(e, STRANGER, signature=None),
        ],
    )
    def test_nor_is_anything_unsigned(self, devices: Engine, call: Callable[[Any], Any]) -> None:
        with refused("signature_invalid", devices):
            call(strict(devices))


class TestProtocols:
    """A challenge is answered as it was started, whatever the service allows."""

    @pytest.mark.parametrize("protocol", ["other", "", None, 7])
    def test_there_are_two(self, devices: Engine, protocol: Any) -> None:
        with refused("configuration_invalid", devices) as caught:
            devices.start_challenge(**PAY, protocol=protocol)
        assert caught.value.path == "protocol"

    @pytest.mark.parametrize("asked", [PAY, SCANNED])
    def test_a_signature_of_the_id_answers_none_of_ours(self, devices: Engine, asked: Any) -> None:
        id = devices.start_challenge(**asked).challenge_id
        if asked is SCANNED:
            with refused("signature_invalid", devices):
                scan(devices, CAMERA, id)
        else:
            with counted(devices, id), refused("signature_invalid"):
                reply(devices, PHONE, id)

    def test_a_signature_of_ours_answers_none_of_theirs(self, devices: Engine) -> None:
        start = devices.start_challenge(**PAY, protocol="challenge-id")
        with counted(devices, start.challenge_id), refused("signature_invalid"):
            answer(devices, PHONE, start)

    def test_an_unsigned_look_finds_theirs_alone_and_a_signed_one_ours(self, devices: Engine) -> None:
        theirs, ours = begin(devices), devices.start_challenge(**PAY).challenge_id
        asked = {"method": "push", "public_key": PHONE.public_key}
        now = int(NOW.timestamp())
        unsigned = devices.pending_challenge(**asked, signature=None)
        signed = devices.pending_challenge(**asked, signature=PHONE.fetch(issued_at=now), issued_at=now)
        assert (unsigned.challenge.challenge_id, signed.challenge.challenge_id) == (theirs, ours)

    def test_an_unsigned_look_of_a_stranger_tells_as_little(self, devices: Engine) -> None:
        for key in (STRANGER.public_key, b"", bytes(91)):
            with refused("signature_invalid", devices):
                devices.pending_challenge(method="push", public_key=key, signature=None)


class TestState:
    def test_an_answer_is_stored_as_it_was_sent(self, devices: Engine) -> None:
        """The signature is the same: TLS alone guards the decision."""
        for decision, state in (("approve", "approved"), ("reject", "rejected")):
            id = begin(devices)
            assert reply(devices, PHONE, id, decision).decision == decision
            assert challenge_in(devices, id).state == state

    def test_it_counts_once(self, devices: Engine) -> None:
        id = begin(devices)
        reply(devices, PHONE, id)
        for device, code in ((PHONE, "challenge_unknown"), (TABLET, "signature_invalid")):
            for decision in ("approve", "reject"):
                with refused(code, devices):
                    reply(devices, device, id, decision)

    @pytest.mark.parametrize("device", [EVES_PHONE, STRANGER, CAMERA])
    def test_only_for_its_user_and_method(self, devices: Engine, device: SoftwareDevice) -> None:
        id = begin(devices)
        with refused("signature_invalid", devices):
            reply(devices, device, id)

    def test_it_is_claimed_before_it_is_answered(self, devices: Engine) -> None:
        id = begin(devices, SCANNED)
        for device in (CAMERA, EVES_CAMERA):
            with refused("challenge_unknown", devices):
                reply(devices, device, id)
        scan(devices, CAMERA, id)
        assert reply(devices, CAMERA, id).user_id == "ada"

    def test_only_by_the_key_that_claimed_it(self, devices: Engine) -> None:
        id = begin(devices, SCANNED)
        scan(devices, CAMERA, id)
        for device in (SECOND_CAMERA, EVES_CAMERA, STRANGER):
            for decision in ("approve", "reject"):
                with refused("signature_invalid", devices):
                    reply(devices, device, id, decision)
            with refused("signature_invalid", devices):
                scan(devices, device, id)
        with refused("challenge_unknown", devices):
            scan(devices, CAMERA, id)

    @pytest.mark.parametrize("method", ["push", "in-app"])
    def test_only_what_was_scanned_is_claimed(self, devices: Engine, method: Any) -> None:
        """Else the signature of a claim, which is that of an answer, could be fetched in passing."""
        id = begin(devices, PAY | {"method": method})
        with refused("challenge_unknown", devices):
            scan(devices, SoftwareDevice(PHONE.seed, method=method), id)

    def test_the_code_is_judged_by_state(self, devices: Engine) -> None:
        start = devices.start_challenge(**SHOWN, protocol="challenge-id")
        id, right = start.challenge_id, start.challenge.verification_code
        for wrong in (None, *wrong_codes(right, 1)):
            with counted(devices, id), refused("verification_code_wrong"):
                reply(devices, PHONE, id, code=wrong)
        assert reply(devices, PHONE, id, code=right).decision == "approve"

    def test_a_code_that_nobody_was_shown_is_refused(self, devices: Engine) -> None:
        id = begin(devices)
        with refused("verification_code_wrong", devices):
            reply(devices, PHONE, id, code="1234")


class TestRemoval:
    @pytest.mark.parametrize(("minutes", "is_good"), [(-20, False), (-10, True), (0, True), (10, True), (20, False)])
    def test_the_ten_minutes_and_their_neighbours_count(self, devices: Engine, minutes: int, is_good: bool) -> None:
        signature = PHONE.sign_bucket(NOW + timedelta(minutes=minutes))
        asked = {"method": "push", "public_key": PHONE.public_key, "signature": signature}
        if is_good:
            assert devices.remove_by_device(**asked).user_id == "ada"
        with refused("signature_invalid", devices):
            devices.remove_by_device(**asked)

    def test_a_signature_of_ours_without_its_time_is_none(self, devices: Engine) -> None:
        id = device_of(devices, PHONE).authenticator_id
        signature = PHONE.remove(id, issued_at=int(NOW.timestamp()))
        with refused("signature_invalid", devices):
            devices.remove_by_device(method="push", public_key=PHONE.public_key, signature=signature)

    def test_nor_is_one_of_theirs_with_a_time(self, devices: Engine) -> None:
        now = int(NOW.timestamp())
        with refused("signature_invalid", devices):
            devices.remove_by_device(
                method="push", public_key=PHONE.public_key, signature=PHONE.sign_bucket(NOW), issued_at=now
            )


def test_an_app_of_theirs_enrols_without_a_signature(devices: Engine) -> None:
    """It proves nothing of the key: whoever has the token may enrol any key, for the user whom the token names."""
    made = enrol(devices, STRANGER, ADA, signature=None)
    assert (made.user_id, made.public_key) == ("ada", STRANGER.public_key)


def test_one_that_signs_has_to_sign_rightly_all_the_same(devices: Engine) -> None:
    for signature in (b"", STRANGER.sign(b"x")):
        with refused("signature_invalid"):
            enrol(devices, STRANGER, signature=signature)
    assert devices.find_device(method="push", public_key=STRANGER.public_key) is None


def test_the_clock_is_the_services(devices: Engine) -> None:
    devices.clock.at = datetime(2030, 1, 1, tzinfo=NOW.tzinfo)
    with refused("signature_invalid", devices):
        devices.remove_by_device(method="push", public_key=PHONE.public_key, signature=PHONE.sign_bucket(NOW))
