"""A user's passkeys and devices in one list, and removing either."""

from datetime import timedelta
from typing import Any

import pytest

from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.testing import b64url_encode

from ..kit import EVE, NOW, RP, Colour, Engine, browser, engine, refused
from .kit import APP, PHONE, answer, device_engine, device_of, enrol


@pytest.fixture
def devices(colour: Colour) -> Engine:
    """Ada has a phone, a passkey and an app, in this order."""
    made = device_engine(colour)
    enrol(made, PHONE, name="My phone", expires_at=NOW + timedelta(minutes=1))
    made.clock.move(seconds=1)
    engine("sync", memory=made.memory, clock=made.clock).register()
    made.clock.move(seconds=1)
    enrol(made, APP, name="My app")
    return made


def test_the_oldest_is_first_whatever_it_is(devices: Engine) -> None:
    devices.clock.move(minutes=2)
    phone, passkey, app = devices.list_authenticators("ada")
    assert [each.method for each in (phone, passkey, app)] == ["push", "passkey", "in-app"]
    assert (phone.name, phone.device, phone.passkey) == ("My phone", device_of(devices, PHONE), None)
    assert (phone.created_at, phone.last_used_at, phone.expires_at) == (NOW, None, NOW + timedelta(minutes=1))
    assert phone.authenticator_id == device_of(devices, PHONE).authenticator_id
    assert (passkey.device, passkey.expires_at, passkey.created_at) == (None, None, NOW + timedelta(seconds=1))
    assert passkey.authenticator_id == b64url_encode(passkey.passkey.credential_id)
    assert passkey.name == passkey.passkey.name
    assert app.created_at == NOW + timedelta(seconds=2)


def test_each_says_when_it_was_used_last(devices: Engine) -> None:
    answer(devices, PHONE, devices.start_challenge(method="push", user_id="ada"))
    devices.clock.move(seconds=1)
    passkeys, client = engine("sync", memory=devices.memory, clock=devices.clock, seed="again"), browser("another")
    passkeys.register(client=client)
    passkeys.finish_authentication(client.get(passkeys.start_authentication().to_dict()))
    used = [(each.method, each.last_used_at) for each in devices.list_authenticators("ada")]
    assert used == [
        ("push", NOW + timedelta(seconds=2)),
        ("passkey", None),
        ("in-app", None),
        ("passkey", NOW + timedelta(seconds=3)),
    ]


@pytest.mark.parametrize("user_id", ["nobody", "eve"])
def test_others_have_none_of_them(devices: Engine, user_id: str) -> None:
    devices.start_enrolment(**EVE)
    assert devices.list_authenticators(user_id) == ()
    for each in devices.list_authenticators("ada"):
        with refused("no_credential", devices):
            devices.remove_authenticator(user_id, each.authenticator_id)


def test_each_is_removed_by_its_id(devices: Engine) -> None:
    left = list(devices.list_authenticators("ada"))
    while left:
        gone = left.pop(1 if len(left) > 1 else 0)
        devices.remove_authenticator("ada", gone.authenticator_id)
        assert devices.list_authenticators("ada") == tuple(left)
        with refused("no_credential", devices):
            devices.remove_authenticator("ada", gone.authenticator_id)


def test_what_is_removed_has_the_event_of_its_kind(devices: Engine) -> None:
    noted = device_engine(devices.colour, memory=devices.memory, store_events=True, seed="noted")
    phone, passkey, _ = devices.list_authenticators("ada")
    for each in (phone, passkey):
        noted.remove_authenticator("ada", each.authenticator_id)
    events = PasskeyService(RP, devices.memory, store_events=True).list_events().events
    assert [event.type.value for event in events] == ["passkey.removed", "device.removed"]
    assert events[0].credential_id == passkey.passkey.credential_id
    assert events[1].details == {"authenticator_id": phone.authenticator_id}


@pytest.mark.parametrize(
    ("id", "code"),
    [
        ("", "no_credential"),
        ("x", "no_credential"),
        ("not base64url!", "no_credential"),
        (1364 * "A", "no_credential"),
        (1365 * "A", "name_invalid"),
        (7, "name_invalid"),
        ("\0", "name_invalid"),
        (None, "no_credential"),
    ],
)
def test_there_is_no_other(devices: Engine, id: Any, code: str) -> None:
    with refused(code, devices):
        devices.remove_authenticator("ada", id)


def test_a_user_id_is_one(devices: Engine) -> None:
    for call in (devices.list_authenticators, lambda id: devices.remove_authenticator(id, "x")):
        with refused("user_id_invalid", devices):
            call("\0")
