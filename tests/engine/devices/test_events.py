"""Which events the flows about devices record: with the change itself, and nothing secret in them."""

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.engine.records import Event, EventType

from ..kit import ADA, RP, Colour, Engine, refused
from .kit import (
    CAMERA,
    PAY,
    PHONE,
    SCANNED,
    SECONDS,
    SHOWN,
    answer,
    claim,
    code_of,
    device_engine,
    device_of,
    enrol,
    enrol_all,
    hooked_devices,
    put_challenge,
    wrong_codes,
)


def stored(devices: Engine) -> list[Event]:
    """The stored events, the newest first."""
    return list(PasskeyService(RP, devices.memory, store_events=True).list_events().events)


def named(start: Any) -> str:
    """What events call the challenge: sixteen hexadecimal digits of its id's SHA-256, of which nobody gets the id."""
    return sha256(start.challenge_id.encode()).hexdigest()[:16]


def types(devices: Engine) -> list[str]:
    """Their types."""
    return [event.type.value for event in stored(devices)]


@pytest.fixture
def devices(colour: Colour) -> Engine:
    """A service that stores events, where ada and eve have their devices."""
    made = device_engine(colour)
    enrol_all(made)
    return device_engine(colour, memory=made.memory, clock=made.clock, store_events=True, seed="events")


def test_every_change_has_one(colour: Colour) -> None:
    devices = device_engine(colour, store_events=True)
    enrol(devices, CAMERA)
    made = enrol(devices, PHONE, push_token="secret push token")
    scanned = devices.start_challenge(**SCANNED)
    claim(devices, CAMERA, scanned)
    answer(devices, CAMERA, scanned)
    asked = devices.start_challenge(**PAY)
    answer(devices, PHONE, asked, "reject")
    given_up = devices.start_challenge(**PAY)
    devices.cancel_challenge(given_up.challenge_id, user_id="ada", purpose="transfer:42")
    devices.update_device("ada", made.authenticator_id, name="New")
    devices.update_by_device(
        method="push",
        public_key=PHONE.public_key,
        signature=PHONE.update(made.authenticator_id, issued_at=SECONDS, push_token="x"),
        push_token="x",
        issued_at=SECONDS,
    )
    devices.remove_by_device(
        method="push",
        public_key=PHONE.public_key,
        signature=PHONE.remove(made.authenticator_id, issued_at=SECONDS),
        issued_at=SECONDS,
    )
    devices.remove_device("ada", device_of(devices, CAMERA).authenticator_id)
    events = stored(devices)
    assert [event.type for event in events] == [
        EventType.DEVICE_REMOVED,
        EventType.DEVICE_REMOVED,
        EventType.DEVICE_UPDATED,
        EventType.DEVICE_UPDATED,
        EventType.DEVICE_CHALLENGE_FAILED,
        EventType.DEVICE_CHALLENGE_STARTED,
        EventType.DEVICE_CHALLENGE_REJECTED,
        EventType.DEVICE_CHALLENGE_STARTED,
        EventType.DEVICE_CHALLENGE_APPROVED,
        EventType.DEVICE_CHALLENGE_CLAIMED,
        EventType.DEVICE_ENROLLED,
        EventType.DEVICE_ENROLLED,
    ]
    assert {event.user_id for event in events} == {"ada"}
    assert {event.at for event in events} == {devices.clock.at}
    assert {event.realm for event in events} == {""}
    assert len({event.id for event in events}) == len(events)
    rejected = events[6]
    assert rejected.details == {
        "challenge": named(asked),
        "method": "push",
        "authenticator_id": made.authenticator_id,
        "purpose": "transfer:42",
    }
    of_one = [event.details["challenge"] for event in events[4:10]]
    assert of_one == [named(each) for each in (given_up, given_up, asked, asked, scanned, scanned)]
    assert events[-1].details == {"method": "qr-code", "authenticator_id": events[0].details["authenticator_id"]}


@pytest.mark.parametrize("kind", ["code", "signature"])
def test_the_last_attempt_has_one(devices: Engine, kind: str) -> None:
    start = devices.start_challenge(**SHOWN)
    id = start.challenge_id
    for wrong in wrong_codes(start.challenge.verification_code, 3):
        assert types(devices) == ["device_challenge.started"]
        signature = PHONE.answer(
            id, "approve", purpose="transfer:42", verification_code=wrong, content="Pay 42 EUR to Bob?"
        )
        if kind == "signature":
            signature = b"x"
        assert code_of(
            lambda wrong=wrong, signature=signature: devices.answer_challenge(  # type: ignore[misc]
                id,
                public_key=PHONE.public_key,
                signature=signature,
                decision="approve",
                verification_code=wrong,
            )
        )
    event, _ = stored(devices)
    assert (event.type, event.user_id) == (EventType.DEVICE_CHALLENGE_FAILED, "ada")
    assert event.details["challenge"] == named(start)


def test_what_changes_nothing_has_none(devices: Engine) -> None:
    start = devices.start_challenge(**PAY)
    with refused("signature_invalid"):
        answer(devices, PHONE, start, signature=b"x")
    with refused("no_credential"):
        devices.remove_device("ada", "x")
    with refused("no_credential"):
        devices.update_device("ada", "x", name="New")
    with refused("credential_exists"):
        enrol(devices, PHONE)
    assert devices.poll_challenge(start.challenge_id, user_id="ada", purpose="transfer:42") is None
    with refused("challenge_unknown"):
        devices.cancel_challenge(start.challenge_id, user_id="eve", purpose="transfer:42")
    assert types(devices) == ["device_challenge.started"]


class TestSinks:
    @pytest.mark.parametrize("asked", [SCANNED, SCANNED | {"method": "in-app"}])
    def test_they_are_told_of_starts_for_nobody_in_particular_as_well(self, colour: Colour, asked: Any) -> None:
        """Which are not stored: anybody can start as many as they like, and fill a store."""
        told: list[Event] = []
        devices = device_engine(colour, store_events=True, sinks=[told.append])
        start = devices.start_challenge(**asked)
        devices.service.dispatcher.close(10)
        (event,) = told
        assert (event.type, event.user_id) == (EventType.DEVICE_CHALLENGE_STARTED, None)
        assert event.details == {"challenge": named(start), "method": asked["method"], "purpose": "sign-in"}
        assert types(devices) == []

    def test_they_are_told_what_is_stored(self, colour: Colour) -> None:
        told: list[Event] = []
        devices = device_engine(colour, store_events=True, sinks=[told.append])
        enrol(devices, PHONE)
        start = devices.start_challenge(**PAY)
        answer(devices, PHONE, start)
        devices.cancel_challenge(devices.start_challenge(**PAY).challenge_id, user_id="ada", purpose="transfer:42")
        devices.service.dispatcher.close(10)
        assert [event.type.value for event in told] == [
            "device.enrolled",
            "device_challenge.started",
            "device_challenge.approved",
            "device_challenge.started",
            "device_challenge.failed",
        ]
        assert told == stored(devices)[::-1]

    def test_a_start_that_was_not_stored_is_none(self, colour: Colour) -> None:
        told: list[Event] = []
        before: dict[str, Any] = {"add_device_challenge": lambda *_: False}
        devices = hooked_devices(colour, before, store_events=True, sinks=[told.append])
        if colour == "async":
            before["add_device_challenge"] = lambda *_: _false()
        with refused("conflict"):
            devices.start_challenge(**PAY)
        devices.service.dispatcher.close(10)
        assert (told, stored(devices)) == ([], [])

    def test_they_are_told_without_a_store(self, colour: Colour) -> None:
        told: list[Event] = []
        devices = device_engine(colour, sinks=[told.append])
        made = enrol(devices, PHONE)
        devices.update_device("ada", made.authenticator_id, name="New")
        devices.remove_device("ada", made.authenticator_id)
        devices.service.dispatcher.close(10)
        assert [event.type.value for event in told] == ["device.enrolled", "device.updated", "device.removed"]
        assert types(devices) == []

    @pytest.mark.parametrize("by", ["us", "another"])
    @pytest.mark.parametrize("kind", ["code", "signature"])
    def test_they_hear_of_a_failure_from_who_wrote_it_alone(self, colour: Colour, kind: str, by: str) -> None:
        """Where another has written something else first, nothing failed here."""
        told: list[Event] = []
        before: dict[str, Any] = {}
        devices = hooked_devices(colour, before, sinks=[told.append], max_attempts=1)
        enrol(devices, PHONE)
        start = devices.start_challenge(**SHOWN)
        (wrong,) = wrong_codes(start.challenge.verification_code, 1)

        def ended(challenge: Any, *_: object) -> None:
            if challenge.state == "failed" and by == "another":
                before.clear()
                put_challenge(devices, challenge.challenge_id, state="rejected")

        before["replace_device_challenge"] = ended
        signature = PHONE.answer(
            start.challenge_id, "approve", purpose="transfer:42", verification_code=wrong, content="Pay 42 EUR to Bob?"
        )
        with refused("verification_code_wrong" if kind == "code" else "signature_invalid"):
            devices.answer_challenge(
                start.challenge_id,
                public_key=PHONE.public_key,
                signature=signature if kind == "code" else b"x",
                decision="approve",
                verification_code=wrong,
            )
        devices.service.dispatcher.close(10)
        ends = ["device_challenge.failed"] if by == "us" else []
        assert [event.type.value for event in told] == ["device.enrolled", "device_challenge.started", *ends]


async def _false() -> bool:
    return False


def test_nothing_secret_is_in_events_and_reprs(colour: Colour) -> None:
    """Tokens, codes, bindings, challenge ids and push tokens; what is shown to the user is theirs as well."""
    told: list[Event] = []
    devices = device_engine(colour, store_events=True, sinks=[told.append])
    begun = devices.start_enrolment(**ADA)
    made = devices.enrol_device(
        begun.token,
        method="push",
        public_key=PHONE.public_key,
        signature=PHONE.enrol(begun.token),
        name="Phone",
        platform="ios",
        push_token="secret push token",
    )
    start = devices.start_challenge(**SHOWN, binding="secret session")
    found = devices.pending_challenge(
        method="push", public_key=PHONE.public_key, signature=PHONE.fetch(issued_at=SECONDS), issued_at=SECONDS
    )
    answered = answer(devices, PHONE, start)
    approval = devices.poll_challenge(
        start.challenge_id, user_id="ada", purpose="transfer:42", binding="secret session"
    )
    devices.service.dispatcher.close(10)
    secrets = [
        begun.token,
        start.challenge_id,
        "secret",
        "Pay 42",
        f"'{start.challenge.verification_code}'",
        f'"{start.challenge.verification_code}"',
        PHONE.public_key.hex(),
        repr(PHONE.public_key),
    ]
    values = [begun, made, start, found, answered, approval, start.challenge, *told, *stored(devices)]
    texts = [repr(value) for value in values] + [json.dumps(msgspec.to_builtins(event)) for event in told]
    assert len(told) == 3
    assert [secret for secret in secrets for text in texts if secret in text] == []
