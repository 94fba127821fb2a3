"""App Attest where the service demands it: at enrolment, and with every answer of a device that has such a key.

What an attestation or assertion has to be is judged, and tested, in `passkeycore.app_attest`. Nobody but Apple can
certify keys under Apple's root, so the recorded attestation of a real iPhone stands for what succeeds in an enrolment
without a signature; where the enrolment's own message is attested, the root of the kit stands in for Apple's.
"""

import json
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from passkeycore import app_attest
from passkeycore.app_attest import AppAttestKey, AppAttestPolicy
from passkeycore.devices import digest_of
from passkeycore.engine.devices.app_attest import AppAttestation
from passkeycore.testing import AppAttestTamper, SoftwareAppAttest, b64url_decode, b64url_encode

from ..kit import ADA, Colour, Engine, Json, refused
from .kit import (
    PAY,
    PHONE,
    SHOWN,
    Stage,
    challenge_in,
    counted,
    device_engine,
    device_of,
    enrol,
    enrol_all,
    hooked_devices,
    put_device,
    staged,
    wrong_codes,
)

APP: Final = SoftwareAppAttest("ada's phone")
POLICY: Final = AppAttestPolicy(app_ids=(APP.app_id,))
RECORDED: Final[Json] = json.loads((Path(__file__).parents[3] / "vectors" / "app_attest.json").read_text("utf-8"))
GENUINE: Final[Json] = next(each for each in RECORDED["attestations"] if each["environment"] == "production")
ITS_POLICY: Final = AppAttestPolicy(app_ids=(RECORDED["app_id"],))
ITS_NONCE: Final = b64url_decode(GENUINE["client_data"]).decode()


def recorded(**changes: Any) -> AppAttestation:
    """What the iPhone sent."""
    members: Json = {
        "key_id": b64url_decode(GENUINE["key_id"]),
        "attestation_object": b64url_decode(GENUINE["attestation_object"]),
        "nonce": ITS_NONCE,
    }
    return AppAttestation(**(members | changes))


def theirs(colour: Colour, **settings: Any) -> Engine:
    """A service for apps of another's, at the time of the recording."""
    usual: Json = {"danger_allow_challenge_id_signatures": True, "app_attest": ITS_POLICY}
    devices = device_engine(colour, **(usual | settings))
    devices.clock.at = datetime.fromisoformat(GENUINE["time"])
    return devices


def enrolment_message(token: str) -> bytes:
    """What the phone signs to enrol, line by line as it is documented."""
    key = digest_of_bytes(PHONE.public_key)
    return "\n".join(("passkeycore-device-1", "enrol", "example.org", "push", digest_of(token), key)).encode()


def digest_of_bytes(data: bytes) -> str:
    """Base64url of its SHA-256."""
    return b64url_encode(sha256(data).digest())


class TestEnrolment:
    def test_a_genuine_attestation_is_kept(self, colour: Colour) -> None:
        devices = theirs(colour)
        made = enrol(devices, PHONE, signature=None, app_attestation=recorded())
        assert made.app_attest is not None
        assert made.app_attest.key_id == b64url_decode(GENUINE["key_id"])
        assert (made.app_attest.app_id, made.app_attest.sign_count) == (RECORDED["app_id"], 0)
        assert devices.list_devices("ada") == (made,)

    @pytest.mark.parametrize(
        ("attestation", "code"),
        [
            (None, "attestation_required"),
            (recorded(nonce=None), "name_invalid"),
            (recorded(nonce="another"), "app_attest_invalid"),
            (recorded(nonce="\ud800"), "app_attest_invalid"),
            (recorded(key_id=bytes(32)), "app_attest_invalid"),
            (recorded(key_id=b""), "app_attest_invalid"),
            (recorded(attestation_object=b""), "app_attest_malformed"),
            (recorded(attestation_object=bytes(32_769)), "too_large"),
        ],
    )
    def test_one_that_is_missing_or_wrong_enrols_nothing(
        self, colour: Colour, attestation: AppAttestation | None, code: str
    ) -> None:
        devices = theirs(colour)
        devices.start_enrolment(**ADA)
        with refused(code, devices):
            enrol(devices, PHONE, signature=None, app_attestation=attestation)

    @pytest.mark.parametrize("days", [-365, 3650])
    def test_it_is_judged_at_the_time_of_the_enrolment(self, colour: Colour, days: int) -> None:
        devices = theirs(colour)
        devices.clock.move(days=days)
        with refused("app_attest_invalid"):
            enrol(devices, PHONE, signature=None, app_attestation=recorded())

    def test_another_app_is_none_of_ours(self, colour: Colour) -> None:
        with refused("app_attest_invalid"):
            enrol(theirs(colour, app_attest=POLICY), PHONE, signature=None, app_attestation=recorded())

    def test_without_the_demand_it_may_be_missing_but_not_wrong(self, colour: Colour) -> None:
        devices = theirs(colour, app_attest=structs.replace(ITS_POLICY, require_attestation=False))
        with refused("app_attest_invalid"):
            enrol(devices, PHONE, signature=None, app_attestation=recorded(nonce="another"))
        assert enrol(devices, PHONE, signature=None).app_attest is None

    def test_a_service_that_does_not_look_keeps_none(self, colour: Colour) -> None:
        devices = theirs(colour, app_attest=None)
        made = enrol(devices, PHONE, signature=None, app_attestation=recorded(nonce="another"))
        assert made.app_attest is None

    def test_where_the_device_signs_its_message_is_attested_and_no_nonce(self, colour: Colour) -> None:
        """A nonce from elsewhere would let an attestation be used for any key and any user."""
        with refused("app_attest_invalid"):
            enrol(theirs(colour), PHONE, app_attestation=recorded())

    def test_the_enrolments_message_is_what_was_attested(self, colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(app_attest, "_roots", lambda _: (APP.root,))
        devices = device_engine(colour, app_attest=POLICY)
        tokens = [devices.start_enrolment(**ADA).token for _ in range(2)]
        right, other = (APP.attestation(enrolment_message(token)) for token in tokens)

        def finish(attestation_object: bytes, **members: Any) -> Any:
            return devices.enrol_device(
                tokens[0],
                method="push",
                public_key=PHONE.public_key,
                signature=PHONE.enrol(tokens[0]),
                name="x",
                platform="ios",
                app_attestation=AppAttestation(key_id=APP.key_id, attestation_object=attestation_object, **members),
            )

        with refused("app_attest_invalid", devices):
            finish(other)
        assert finish(right, nonce="ignored").app_attest.public_key == APP.public_key

    def test_the_repr_shows_nothing(self) -> None:
        assert repr(recorded()) == "AppAttestation(…)"


class Answering:
    """Ada's phone, whose App Attest key is stored with a count of 5, and a valid answer of its."""

    def __init__(self, colour: Colour, flow: str = "answer", **settings: Any) -> None:
        self.app = SoftwareAppAttest("ada's phone")
        self.app.sign_count = 5
        self.stage: Stage = staged(colour, flow, **({"app_attest": POLICY} | settings))
        key = AppAttestKey(
            key_id=APP.key_id, public_key=APP.public_key, app_id=APP.app_id, environment="production", sign_count=5
        )
        put_device(self.stage.devices, PHONE, app_attest=key)
        self.assert_with()

    def assert_with(self, message: bytes | None = None, app: SoftwareAppAttest | None = None, **tamper: Any) -> None:
        said = self.message() if message is None else message
        self.stage.asks["app_attest_assertion"] = (app or self.app).assertion(said, tamper=AppAttestTamper(**tamper))

    def message(self) -> bytes:
        """What the phone signs to answer, line by line as it is documented."""
        begun = self.stage.start.challenge
        lines = (
            "passkeycore-device-1",
            self.stage.asks["decision"],
            "example.org",
            "push",
            begun.challenge_id,
            digest_of(begun.purpose),
            self.stage.says["verification_code"] or "",
            digest_of(begun.content),
        )
        return "\n".join(lines).encode()

    def count(self) -> int:
        """As it is stored."""
        key = device_of(self.stage.devices, PHONE).app_attest
        assert key is not None
        return key.sign_count


class TestAnswers:
    @pytest.mark.parametrize("flow", ["answer", "answer with a code", "reject with a code"])
    def test_the_count_goes_up_with_the_answer(self, colour: Colour, flow: str) -> None:
        answering = Answering(colour, flow)
        done = answering.stage.act()
        assert done.device.app_attest.sign_count == answering.count() == 6

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda a: a.stage.asks.update(app_attest_assertion=None), "attestation_required"),
            (lambda a: a.stage.asks.update(app_attest_assertion=b""), "app_attest_malformed"),
            (lambda a: a.stage.asks.update(app_attest_assertion=bytes(2049)), "too_large"),
            (lambda a: a.assert_with(b"another message"), "app_attest_invalid"),
            (lambda a: a.assert_with(app=SoftwareAppAttest("another phone")), "app_attest_invalid"),
            (lambda a: a.assert_with(sign_count=lambda _: 5), "app_attest_invalid"),
            (lambda a: a.assert_with(sign_count=lambda _: 0), "app_attest_invalid"),
            (lambda a: a.assert_with(rp_id_hash=lambda _: bytes(32)), "app_attest_invalid"),
            (lambda a: a.assert_with(sign=lambda key, _: key.sign(b"x")), "app_attest_invalid"),
        ],
    )
    @pytest.mark.parametrize("flow", ["answer", "answer with a code"])
    def test_one_that_is_missing_or_wrong_answers_nothing(
        self, colour: Colour, flow: str, change: Callable[[Answering], object], code: str
    ) -> None:
        answering = Answering(colour, flow)
        change(answering)
        with refused(code, answering.stage.devices):
            answering.stage.act()

    def test_an_assertion_counts_once(self, colour: Colour) -> None:
        """The same one for the next challenge: another message, and a count that did not grow."""
        answering = Answering(colour)
        answering.stage.act()
        used = answering.stage.asks["app_attest_assertion"]
        start = answering.stage.devices.start_challenge(**PAY)
        answering.stage.start, answering.stage.positional = start, [start.challenge_id]
        answering.stage.says["first"] = start.challenge_id
        answering.stage.asks["app_attest_assertion"] = used
        with refused("app_attest_invalid", answering.stage.devices):
            answering.stage.act()
        answering.app.sign_count = 5
        answering.assert_with()
        with refused("app_attest_invalid", answering.stage.devices):
            answering.stage.act()
        answering.assert_with()
        assert answering.stage.act().device.app_attest.sign_count == 7

    @pytest.mark.parametrize(
        "policy",
        [
            AppAttestPolicy(app_ids=("A1B2C3D4E5.org.example.other",)),
            AppAttestPolicy(app_ids=(APP.app_id,), environments=("development",)),
        ],
    )
    def test_a_key_of_an_app_that_counts_no_more_answers_nothing(self, colour: Colour, policy: AppAttestPolicy) -> None:
        """What counted when it was enrolled does not decide."""
        answering = Answering(colour, app_attest=policy)
        with refused("app_attest_invalid", answering.stage.devices):
            answering.stage.act()

    def test_a_wrong_code_is_an_attempt_and_spends_no_assertion(self, colour: Colour) -> None:
        answering = Answering(colour, "answer with a code")
        stage = answering.stage
        (wrong,) = wrong_codes(stage.says["verification_code"], 1)
        stage.says["verification_code"] = stage.asks["verification_code"] = wrong
        answering.assert_with()
        with counted(stage.devices, stage.start.challenge_id), refused("verification_code_wrong"):
            stage.act()
        assert answering.count() == 5

    def test_a_device_without_such_a_key_answers_only_where_it_may_be_enrolled(self, colour: Colour) -> None:
        stage = staged(colour, "answer", app_attest=POLICY)
        with refused("attestation_required", stage.devices):
            stage.act()
        stage.devices = stage.another(app_attest=structs.replace(POLICY, require_attestation=False))
        assert stage.act()

    def test_without_the_demand_it_may_be_missing_but_not_wrong(self, colour: Colour) -> None:
        lenient = structs.replace(POLICY, require_assertions=False)
        answering = Answering(colour, app_attest=lenient)
        answering.assert_with(b"another message")
        with refused("app_attest_invalid", answering.stage.devices):
            answering.stage.act()
        answering.stage.asks["app_attest_assertion"] = None
        assert answering.stage.act()
        assert answering.count() == 5

    def test_a_service_that_does_not_look_accepts_any(self, colour: Colour) -> None:
        answering = Answering(colour, app_attest=None)
        answering.stage.asks["app_attest_assertion"] = b"x"
        assert answering.stage.act()
        assert answering.count() == 5

    def test_of_two_assertions_with_one_count_the_slower_is_judged_again(self, colour: Colour) -> None:
        """The count is stored by compare-and-set, and grows for each."""
        before: dict[str, Callable[..., object]] = {}
        devices = hooked_devices(colour, before, app_attest=structs.replace(POLICY, require_attestation=False))
        enrol_all(devices)
        answering = Answering.__new__(Answering)
        answering.app = SoftwareAppAttest("ada's phone")
        start = devices.start_challenge(**SHOWN)
        key = AppAttestKey(key_id=APP.key_id, public_key=APP.public_key, app_id=APP.app_id, environment="production")
        put_device(devices, PHONE, app_attest=key)
        code = start.challenge.verification_code
        answering.stage = Stage(devices, "answer_challenge", "answer", PHONE, [start.challenge_id], start=start)
        answering.stage.says = {
            "first": start.challenge_id,
            "more": ("approve",),
            "purpose": start.challenge.purpose,
            "verification_code": code,
            "content": start.challenge.content,
        }
        answering.stage.asks = {"decision": "approve", "verification_code": code}
        answering.assert_with()

        def faster(*arguments: Any) -> None:
            if arguments[1] is not None:
                before.clear()
                put_device(devices, PHONE, app_attest=structs.replace(key, sign_count=1))

        before["replace_device_challenge"] = faster
        with refused("app_attest_invalid"):
            answering.stage.act()
        assert challenge_in(devices, start.challenge_id).state == "pending"


def test_a_policy_is_one(colour: Colour) -> None:
    wrongs: tuple[object, ...] = (True, {}, "policy", AppAttestPolicy)
    for wrong in wrongs:
        with refused("configuration_invalid") as caught:
            device_engine(colour, app_attest=wrong)
        assert caught.value.path == "app_attest"
