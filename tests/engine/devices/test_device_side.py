"""The device's side: what it sees, claiming, answering, and codes. Attacks on it are in tables of their own."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from ..kit import NOW, Colour, Engine, refused
from .kit import (
    CAMERA,
    EVES_CAMERA,
    EVES_PHONE,
    PAY,
    PHONE,
    SCANNED,
    SECONDS,
    SHOWN,
    TABLET,
    answer,
    challenge_in,
    claim,
    counted,
    device_engine,
    device_of,
    enrol_all,
    put_challenge,
    staged,
    wrong_codes,
)


@pytest.fixture
def devices(colour: Colour) -> Engine:
    """A service where ada and eve have their devices."""
    made = device_engine(colour)
    enrol_all(made)
    return made


def fetch(devices: Engine, device: Any) -> Any:
    """What waits for the device."""
    return devices.pending_challenge(
        method=device.method,
        public_key=device.public_key,
        signature=device.fetch(issued_at=SECONDS),
        issued_at=SECONDS,
    )


class TestPending:
    def test_the_last_one_first(self, devices: Engine) -> None:
        assert fetch(devices, PHONE) is None
        devices.start_challenge(**PAY)
        devices.clock.move(seconds=1)
        last = devices.start_challenge(**PAY)
        found = fetch(devices, PHONE)
        assert found.challenge == last.challenge
        assert found.authenticator_id == device_of(devices, PHONE).authenticator_id

    def test_what_the_device_gets_has_no_code_and_no_secret(self, devices: Engine) -> None:
        start = devices.start_challenge(**SHOWN, binding="session")
        found = fetch(devices, PHONE)
        assert found.to_dict() == {
            "challengeId": start.challenge_id,
            "method": "push",
            "purpose": "transfer:42",
            "content": "Pay 42 EUR to Bob?",
            "asksForCode": True,
            "expiresAt": (NOW + timedelta(minutes=5)).isoformat(),
            "authenticatorId": found.authenticator_id,
        }
        assert start.challenge.verification_code not in repr(found)

    @pytest.mark.parametrize("end", ["answered", "cancelled", "expired", "no attempt left"])
    def test_what_ended_is_not_there(self, devices: Engine, end: str) -> None:
        start = devices.start_challenge(**PAY)
        if end == "answered":
            answer(devices, TABLET, start)
        elif end == "cancelled":
            devices.cancel_challenge(start.challenge_id, user_id="ada", purpose="transfer:42")
        elif end == "expired":
            devices.clock.move(minutes=5)
        else:
            put_challenge(devices, start.challenge_id, attempts_left=0)
        assert fetch(devices, PHONE) is None

    def test_nor_what_another_is_to_answer(self, devices: Engine) -> None:
        devices.start_challenge(**PAY | {"user_id": "eve"})
        devices.start_challenge(**PAY, authenticator_id=device_of(devices, TABLET).authenticator_id)
        devices.start_challenge(**PAY | {"method": "in-app"})
        devices.start_challenge(**SCANNED)
        assert fetch(devices, PHONE) is None
        assert fetch(devices, TABLET) is not None
        assert fetch(devices, EVES_PHONE) is not None

    def test_nor_in_another_realm(self, devices: Engine) -> None:
        devices.start_challenge(**PAY)
        other = device_engine(devices.colour, memory=devices.memory, realm="elsewhere", seed="elsewhere")
        with refused("signature_invalid", devices):
            fetch(other, PHONE)
        enrol_all(other)
        assert fetch(other, PHONE) is None

    def test_one_for_another_app_waits_for_none_of_ours(self, devices: Engine) -> None:
        other = device_engine(
            devices.colour, memory=devices.memory, seed="other", danger_allow_challenge_id_signatures=True
        )
        other.start_challenge(**PAY, protocol="challenge-id")
        assert fetch(devices, PHONE) is fetch(other, PHONE) is None


class TestClaim:
    def test_it_belongs_to_the_device_from_then_on(self, devices: Engine) -> None:
        start = devices.start_challenge(**SCANNED)
        devices.clock.move(seconds=1)
        found = claim(devices, CAMERA, start)
        stored, device = challenge_in(devices, start.challenge_id), device_of(devices, CAMERA)
        assert found.challenge == stored
        assert (stored.state, stored.user_id) == ("claimed", "ada")
        assert stored.authenticator_id == found.authenticator_id == device.authenticator_id
        assert device.last_used_at == NOW + timedelta(seconds=1)
        assert stored.attempts_left == 3

    def test_what_it_is_about_is_told_then(self, devices: Engine) -> None:
        start = devices.start_challenge(**SCANNED)
        assert claim(devices, CAMERA, start).to_dict()["content"] == "Sign in?"

    def test_the_second_loses(self, devices: Engine) -> None:
        start = devices.start_challenge(**SCANNED)
        claim(devices, CAMERA, start)
        with refused("signature_invalid", devices):
            claim(devices, EVES_CAMERA, start)
        with refused("challenge_unknown", devices):
            claim(devices, CAMERA, start)
        answer(devices, CAMERA, start)

    def test_a_bad_claim_is_no_attempt(self, devices: Engine) -> None:
        start = devices.start_challenge(**SCANNED)
        for _ in range(9):
            with refused("signature_invalid", devices):
                devices.claim_challenge(start.challenge_id, public_key=CAMERA.public_key, signature=b"x")
        claim(devices, CAMERA, start)


class TestAnswer:
    @pytest.mark.parametrize(("decision", "state"), [("approve", "approved"), ("reject", "rejected")])
    def test_it_is_stored_with_who_gave_it(self, devices: Engine, decision: str, state: str) -> None:
        start = devices.start_challenge(**PAY)
        devices.clock.move(seconds=1)
        done = answer(devices, PHONE, start, decision)
        stored, device = challenge_in(devices, start.challenge_id), device_of(devices, PHONE)
        assert (done.challenge, done.device, done.decision, done.user_id) == (stored, device, decision, "ada")
        assert stored == structs.replace(
            start.challenge,
            state=state,
            authenticator_id=device.authenticator_id,
            answered_at=NOW + timedelta(seconds=1),
            revision=1,
        )
        assert device.last_used_at == NOW + timedelta(seconds=1)

    def test_a_rejection_needs_no_code(self, colour: Colour) -> None:
        stage = staged(colour, "reject with a code")
        assert stage.act().challenge.state == "rejected"

    def test_any_of_the_users_devices_will_do(self, devices: Engine) -> None:
        for device in (PHONE, TABLET):
            assert answer(devices, device, devices.start_challenge(**PAY)).device.public_key == device.public_key

    @pytest.mark.parametrize("purpose", [None, "", "passkeycore", "Passkeycore/", " passkeycore/", "x passkeycore/x"])
    def test_only_purposes_that_begin_as_ours_are_kept_for_actions(self, devices: Engine, purpose: str | None) -> None:
        assert answer(devices, PHONE, devices.start_challenge(**PAY | {"purpose": purpose}))

    def test_the_last_second_counts(self, colour: Colour) -> None:
        stage = staged(colour, "answer")
        stage.devices.clock.move(seconds=299.999)
        assert stage.act()


class TestAttempts:
    @pytest.mark.parametrize("most", [1, 2, 5])
    @pytest.mark.parametrize("kind", ["code", "signature"])
    def test_so_many_may_be_wrong(self, colour: Colour, most: int, kind: str) -> None:
        stage = staged(colour, "answer with a code", max_attempts=most)
        right, id = stage.says["verification_code"], stage.start.challenge_id

        def guess(code: str) -> Any:
            stage.says["verification_code"] = stage.asks["verification_code"] = code
            return stage.act()

        for number, wrong in enumerate(wrong_codes(right, most)):
            with counted(stage.devices, id):
                if kind == "code":
                    with refused("verification_code_wrong"):
                        guess(wrong)
                else:
                    stage.given["signature"] = bytes(8)
                    with refused("signature_invalid"):
                        guess(right)
                    del stage.given["signature"]
            assert challenge_in(stage.devices, id).state == ("failed" if number + 1 == most else "pending")
        with refused("challenge_unknown", stage.devices):
            guess(right)
        with refused("attempts_exceeded", stage.devices):
            stage.devices.poll_challenge(id, user_id="ada", purpose="transfer:42")

    def test_the_last_attempt_may_be_right(self, colour: Colour) -> None:
        stage = staged(colour, "answer with a code", max_attempts=3)
        right = stage.says["verification_code"]
        for wrong in wrong_codes(right, 2):
            stage.says["verification_code"] = stage.asks["verification_code"] = wrong
            with refused("verification_code_wrong"):
                stage.act()
        stage.says["verification_code"] = stage.asks["verification_code"] = right
        assert stage.act().decision == "approve"
        assert stage.devices.poll_challenge(stage.start.challenge_id, user_id="ada", purpose="transfer:42")

    def test_who_may_not_answer_takes_none_away(self, devices: Engine) -> None:
        start = devices.start_challenge(**SHOWN)
        code = start.challenge.verification_code
        signature = EVES_PHONE.answer(start.challenge_id, "approve", verification_code="x")
        for key in (EVES_PHONE.public_key, CAMERA.public_key):
            with refused("signature_invalid", devices):
                devices.answer_challenge(
                    start.challenge_id, public_key=key, signature=signature, decision="approve", verification_code=code
                )


def test_what_the_user_has_to_do_on_the_device_is_a_policy_and_no_evidence(colour: Colour) -> None:
    """`user_authentication_required` comes back as it was stored, and changes nothing in what is accepted."""
    stage = staged(colour, "answer")
    stored = device_of(stage.devices, PHONE)
    changed = structs.replace(stored, revision=stored.revision + 1, user_authentication_required=True)
    assert stage.devices.memory.replace_device(changed, None)
    assert stage.act().device.user_authentication_required is True
