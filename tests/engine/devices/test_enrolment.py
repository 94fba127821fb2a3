"""Enrolling a device: for whom, how many, and what is stored. Attacks on it are in tables of their own."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passkeycore import LimitReached
from passkeycore.devices import DEVICE_METHODS
from passkeycore.testing import SoftwareDevice

from ..kit import ADA, EVE, NOW, Colour, Engine, refused
from .kit import APP, PHONE, TABLET, Stage, code_of, device_engine, device_of, enrol, hooked_devices, staged


def test_what_is_stored_is_what_was_sent_and_nothing_of_it_is_believed(colour: Colour) -> None:
    devices = device_engine(colour)
    later = NOW + timedelta(days=1)
    made = enrol(
        devices, PHONE, push_token="to the phone", user_authentication_required=True, expires_at=later, platform="ios"
    )
    assert (made.user_id, made.method, made.public_key) == ("ada", "push", PHONE.public_key)
    assert (made.name, made.platform, made.push_token) == ("Phone", "ios", "to the phone")
    assert made.user_authentication_required is True
    assert (made.created_at, made.last_used_at, made.expires_at) == (NOW, None, later)
    assert (made.revision, made.realm, made.app_attest) == (0, "", None)
    assert devices.list_devices("ada") == (made,)
    assert devices.find_device(method="push", public_key=PHONE.public_key) == made


def test_what_is_left_out_has_its_default(colour: Colour) -> None:
    made = enrol(device_engine(colour), PHONE)
    assert (made.push_token, made.user_authentication_required, made.expires_at) == (None, False, None)


def test_the_token_decides_who_owns_the_device(colour: Colour) -> None:
    """Whoever calls `enrol_device` says nothing about the user."""
    devices = device_engine(colour)
    tokens = [devices.start_enrolment(**owner).token for owner in (ADA, EVE)]
    for token, device in zip(tokens, (PHONE, TABLET), strict=True):
        devices.enrol_device(
            token,
            method="push",
            public_key=device.public_key,
            signature=device.enrol(token),
            name="Phone",
            platform="ios",
        )
    assert [each.public_key for each in devices.list_devices("ada")] == [PHONE.public_key]
    assert [each.public_key for each in devices.list_devices("eve")] == [TABLET.public_key]


def test_one_key_is_enrolled_once_for_each_method(colour: Colour) -> None:
    devices = device_engine(colour)
    one = [SoftwareDevice("one", method=method) for method in DEVICE_METHODS]
    assert len({enrol(devices, device).authenticator_id for device in one}) == 3


class TestStart:
    def test_the_answer_names_user_and_end(self, colour: Colour) -> None:
        start = device_engine(colour, enrolment_lifetime_s=60).start_enrolment(**ADA)
        assert (start.user_id, start.expires_at) == ("ada", NOW + timedelta(seconds=60))
        assert start.token not in repr(start)

    @pytest.mark.parametrize(("seconds", "code"), [(59, None), (60, "token_expired")])
    def test_the_token_ends_when_it_says(self, colour: Colour, seconds: int, code: str | None) -> None:
        stage = staged(colour, "enrol", enrolment_lifetime_s=60)
        stage.devices.clock.move(seconds=seconds)
        if code is None:
            assert stage.act().created_at == NOW + timedelta(seconds=59)
        else:
            with refused(code, stage.devices):
                stage.act()

    def test_somebody_new_is_created_with_their_names_and_needs_one(self, colour: Colour) -> None:
        devices = device_engine(colour)
        with refused("user_not_found", devices) as caught:
            devices.start_enrolment("ada")
        assert caught.value.path == "user_name"
        devices.start_enrolment("ada", user_name="ada@example.org", user_display_name="Ada")
        ((_, user),) = devices.stored()["users"].items()
        assert (user.user_id, user.name, user.display_name, user.created_at) == ("ada", "ada@example.org", "Ada", NOW)
        assert len(user.user_handle) == 32
        devices.start_enrolment("ada", user_name="other", user_display_name="Other")
        assert devices.stored()["users"] == {("", "ada"): user}

    def test_a_disabled_user_gets_none(self, colour: Colour) -> None:
        devices = device_engine(colour)
        devices.start_enrolment(**ADA)
        devices.memory.set_user_disabled("", "ada", NOW, None)
        with refused("user_disabled", devices):
            devices.start_enrolment(**ADA)

    def test_one_who_was_created_and_disabled_in_the_same_moment_gets_none(self, colour: Colour) -> None:
        """What is stored decides, not what was read before."""
        before: dict[str, Any] = {}
        devices = hooked_devices(colour, before)

        def disabled_meanwhile(user: Any) -> None:
            devices.memory.get_or_create_user(user)
            devices.memory.set_user_disabled("", "ada", NOW, None)

        before["get_or_create_user"] = disabled_meanwhile
        with refused("user_disabled"):
            devices.start_enrolment(**ADA)

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            ({"user_id": ""}, "user_id_invalid"),
            ({"user_id": "a\0"}, "user_id_invalid"),
            ({"user_id": 256 * "x"}, "user_id_invalid"),
            ({"user_id": None}, "user_id_invalid"),
            ({"user_name": ""}, "name_invalid"),
            ({"user_name": 257 * "x"}, "name_invalid"),
            ({"user_display_name": "a\nb"}, "name_invalid"),
            ({"user_display_name": None}, "name_invalid"),
        ],
    )
    def test_what_cannot_be_stored_is_refused(self, colour: Colour, arguments: Any, code: str) -> None:
        devices = device_engine(colour)
        with refused(code, devices):
            devices.start_enrolment(**(ADA | arguments))

    def test_a_service_without_tokens_has_none(self, colour: Colour) -> None:
        devices = device_engine(colour, tokens=None)
        with refused("configuration_invalid", devices) as caught:
            devices.start_enrolment(**ADA)
        assert caught.value.path == "tokens"
        with refused("configuration_invalid", devices) as caught:
            devices.enrol_device(
                "token", method="push", public_key=PHONE.public_key, signature=b"", name="x", platform="x"
            )
        assert caught.value.path == "tokens"


_OBSTACLES: dict[str, tuple[str, Callable[[Stage], object], Callable[[Stage], object]]] = {
    "the key is there": (
        "credential_exists",
        lambda stage: enrol(stage.devices, stage.signer, EVE),
        lambda stage: stage.devices.remove_device("eve", device_of(stage.devices, stage.signer).authenticator_id),
    ),
    "the limit": (
        "limit_reached",
        lambda stage: [enrol(stage.devices, SoftwareDevice(f"ada's {number}")) for number in range(5)],
        lambda stage: stage.devices.remove_device("ada", device_of(stage.devices, PHONE).authenticator_id),
    ),
    "a disabled user": (
        "user_disabled",
        lambda stage: stage.devices.memory.set_user_disabled("", "ada", NOW, None),
        lambda stage: stage.devices.memory.set_user_disabled("", "ada", None, None),
    ),
    "a signature of another device": (
        "signature_invalid",
        lambda stage: stage.given.update(signature=PHONE.enrol(stage.positional[0])),
        lambda stage: stage.given.clear(),
    ),
}


@pytest.mark.parametrize("what", _OBSTACLES)
def test_what_can_be_seen_before_leaves_the_token_as_it_was(colour: Colour, what: str) -> None:
    """Ada has five devices, and may have ten."""
    stage = staged(colour, "enrol")
    code, put, clear = _OBSTACLES[what]
    put(stage)
    for _ in range(2):
        with refused(code, stage.devices):
            stage.act()
    clear(stage)
    assert stage.act().user_id == "ada"


@pytest.mark.parametrize("method", ["add_device_challenge", "add_device"])
def test_a_token_counts_once_though_its_device_is_removed_between_the_writes(colour: Colour, method: str) -> None:
    """Nothing that is there then tells of the first one but the token, which is spent before all else."""
    before: dict[str, Any] = {}
    devices = hooked_devices(colour, before)
    token = devices.start_enrolment(**ADA).token
    other = device_engine("sync", memory=devices.memory, clock=devices.clock, seed="other")
    seen: list[str | None] = []

    def finish(of: Engine, device: SoftwareDevice) -> Any:
        asked = {"method": "push", "public_key": device.public_key, "name": "x", "platform": "x"}
        return of.enrol_device(token, signature=device.enrol(token), **asked)

    def enrol_and_remove(*_: object) -> None:
        before.clear()
        seen.append(code_of(lambda: other.remove_device("ada", finish(other, TABLET).authenticator_id)))

    before[method] = enrol_and_remove
    if method == "add_device_challenge":
        with refused("credential_exists"):
            finish(devices, PHONE)
        assert (seen, devices.list_devices("ada")) == ([None], ())
    else:
        made = finish(devices, PHONE)
        assert (seen, devices.list_devices("ada")) == (["credential_exists"], (made,))


@pytest.mark.parametrize("is_there", [True, False])
def test_a_spent_token_is_no_challenge(colour: Colour, is_there: bool) -> None:
    """It is kept among the challenges; nobody can answer it, or get an approval of it."""
    stage = staged(colour, "enrol")
    made = stage.act()
    ((_, id),) = stage.devices.stored()["device challenges"]
    if not is_there:
        stage.devices.remove_device("ada", made.authenticator_id)
    for asked in ({}, {"user_id": "ada"}):
        for verb in ("poll_challenge", "challenge_state", "cancel_challenge"):
            with refused("challenge_unknown", stage.devices):
                getattr(stage.devices, verb)(id, **asked)
    signature = stage.signer.answer(id, "approve")
    with refused("challenge_unknown" if is_there else "signature_invalid", stage.devices):
        stage.devices.answer_challenge(id, public_key=stage.signer.public_key, signature=signature, decision="approve")


def test_a_token_is_kept_as_spent_until_it_has_expired(colour: Colour) -> None:
    stage = staged(colour, "enrol", enrolment_lifetime_s=86_400)
    stage.devices.clock.move(hours=23)
    stage.devices.remove_device("ada", stage.act().authenticator_id)
    for _ in range(3):
        stage.devices.remove_expired()
        with refused("credential_exists", stage.devices):
            stage.act()
        stage.devices.clock.move(minutes=19)
    stage.devices.clock.move(minutes=3)
    with refused("token_expired", stage.devices):
        stage.act()


class TestLimit:
    """`max_devices_per_user`, of all methods together, expired or not."""

    @pytest.mark.parametrize("most", [1, 2, 3])
    def test_it_holds_at_start_and_at_the_end(self, colour: Colour, most: int) -> None:
        devices = device_engine(colour, max_devices_per_user=most)
        tokens = [devices.start_enrolment(**ADA).token for _ in range(most + 1)]
        new = [SoftwareDevice(f"{number}", method=DEVICE_METHODS[number % 2]) for number in range(most + 1)]

        def finish(number: int) -> object:
            device, token = new[number], tokens[number]
            return devices.enrol_device(
                token,
                method=device.method,
                public_key=device.public_key,
                signature=device.enrol(token),
                name="x",
                platform="x",
                expires_at=NOW,
            )

        for number in range(most):
            finish(number)
        for call in (lambda: finish(most), lambda: devices.start_enrolment(**ADA)):
            with refused("limit_reached", devices) as caught:
                call()
            assert isinstance(caught.value, LimitReached)
            assert (caught.value.limit, caught.value.current) == (most, most)
        devices.remove_device("ada", devices.list_devices("ada")[0].authenticator_id)
        finish(most)

    def test_it_is_each_users_own(self, colour: Colour) -> None:
        devices = device_engine(colour, max_devices_per_user=1)
        enrol(devices, PHONE)
        enrol(devices, TABLET, EVE)
        enrol(device_engine(colour, memory=devices.memory, realm="elsewhere", max_devices_per_user=1), APP)


def test_each_realm_has_its_own_keys(colour: Colour) -> None:
    devices = device_engine(colour)
    other = device_engine(colour, memory=devices.memory, realm="elsewhere")
    first, second = enrol(devices, PHONE), enrol(other, PHONE, EVE)
    assert (first.user_id, second.user_id, second.realm) == ("ada", "eve", "elsewhere")
    assert devices.list_devices("eve") == other.list_devices("ada") == ()
    assert other.find_device(method="push", public_key=PHONE.public_key) == second
    with refused("no_credential", devices):
        other.remove_device("ada", first.authenticator_id)
