"""Looking devices up, changing and removing them, by their owner's application and by themselves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from passkeycore import PasskeyError
from passkeycore.engine.devices.records import DeviceCredential

from ..kit import ADA, EVE, NOW, Chance, Colour, Engine, refused
from .kit import (
    PAY,
    PHONE,
    SECONDS,
    TABLET,
    answer,
    device_engine,
    device_of,
    enrol,
    hooked_devices,
    put_device,
    staged,
)


class TestFind:
    def test_it_is_found_by_method_and_key(self, colour: Colour) -> None:
        devices = device_engine(colour)
        made = enrol(devices, PHONE)
        assert devices.find_device(method="push", public_key=PHONE.public_key) == made
        assert devices.find_device(method="in-app", public_key=PHONE.public_key) is None
        assert devices.find_device(method="push", public_key=TABLET.public_key) is None
        assert devices.find_device(method="push", public_key=b"") is None

    @pytest.mark.parametrize(("seconds", "is_there"), [(59, True), (60, False), (61, False)])
    def test_not_once_it_has_expired(self, colour: Colour, seconds: int, is_there: bool) -> None:
        devices = device_engine(colour)
        enrol(devices, PHONE, expires_at=NOW + timedelta(minutes=1))
        devices.clock.move(seconds=seconds)
        assert (devices.find_device(method="push", public_key=PHONE.public_key) is not None) == is_there
        assert len(devices.list_devices("ada")) == 1

    def test_not_while_its_owner_is_disabled(self, colour: Colour) -> None:
        devices = device_engine(colour)
        enrol(devices, PHONE)
        devices.memory.set_user_disabled("", "ada", NOW, None)
        assert devices.find_device(method="push", public_key=PHONE.public_key) is None

    @pytest.mark.parametrize("key", [None, "text", bytes(1025), 7])
    def test_what_is_no_key_by_its_size_is_refused(self, colour: Colour, key: Any) -> None:
        with refused("public_key_malformed"):
            device_engine(colour).find_device(method="push", public_key=key)

    @pytest.mark.parametrize("method", ["x", None, [], "\0"])
    def test_nor_is_there_another_method(self, colour: Colour, method: Any) -> None:
        with refused("configuration_invalid"):
            device_engine(colour).find_device(method=method, public_key=PHONE.public_key)


def test_they_are_listed_the_oldest_first(colour: Colour) -> None:
    devices = device_engine(colour)
    first = enrol(devices, PHONE)
    devices.clock.move(seconds=1)
    second = enrol(devices, TABLET)
    assert devices.list_devices("ada") == (first, second)
    assert devices.list_devices("nobody") == ()
    with refused("user_id_invalid"):
        devices.list_devices("\0")


class TestUpdate:
    """By the application, for a user who may."""

    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"name": "New"},
            {"push_token": "new"},
            {"push_token": None},
            {"expires_at": NOW},
            {"expires_at": None},
            {"name": "New", "push_token": 4096 * "x", "expires_at": NOW},
        ],
    )
    def test_what_is_named_changes_and_the_rest_stays(self, colour: Colour, members: Any) -> None:
        devices = device_engine(colour)
        made = enrol(devices, PHONE, push_token="old", expires_at=NOW + timedelta(days=1))
        changed = devices.update_device("ada", made.authenticator_id, **members)
        assert changed == put_members(made, **members)
        assert devices.list_devices("ada") == (changed,)

    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ({"name": ""}, "name_invalid"),
            ({"name": None}, "name_invalid"),
            ({"name": "a\0"}, "name_invalid"),
            ({"push_token": 4097 * "x"}, "name_invalid"),
            ({"push_token": 7}, "name_invalid"),
            ({"expires_at": datetime(2030, 1, 1)}, "configuration_invalid"),  # noqa: DTZ001
            ({"expires_at": "2030-01-01"}, "configuration_invalid"),
            ({"expires_at": 0}, "configuration_invalid"),
        ],
    )
    def test_what_cannot_be_stored_is_refused(self, colour: Colour, members: Any, code: str) -> None:
        devices = device_engine(colour)
        made = enrol(devices, PHONE)
        with refused(code, devices):
            devices.update_device("ada", made.authenticator_id, **members)

    @pytest.mark.parametrize("user_id", ["eve", "nobody"])
    def test_another_users_device_is_none(self, colour: Colour, user_id: str) -> None:
        devices = device_engine(colour)
        made = enrol(devices, PHONE)
        enrol(devices, TABLET, EVE)
        with refused("no_credential", devices):
            devices.update_device(user_id, made.authenticator_id, name="New")
        for id in ("", "x", None, 7):
            with refused("no_credential", devices):
                devices.update_device("ada", id, name="New")
        with refused("user_id_invalid", devices):
            devices.update_device("", made.authenticator_id, name="New")


def put_members(device: Any, **members: Any) -> Any:
    """The record with these members, as a change writes it."""
    return structs.replace(device, revision=device.revision + 1, **members)


class TestByDevice:
    @pytest.mark.parametrize("by", [-300, 0, 300])
    @pytest.mark.parametrize("flow", ["update", "remove", "fetch"])
    def test_clocks_may_differ_by_five_minutes(self, colour: Colour, flow: str, by: int) -> None:
        stage = staged(colour, flow)
        stage.says["issued_at"] = stage.asks["issued_at"] = SECONDS + by
        assert stage.act() is not None

    def test_an_update_writes_the_push_token_alone(self, colour: Colour) -> None:
        stage = staged(colour, "update")
        before = device_of(stage.devices, PHONE)
        assert stage.act() == put_members(before, push_token="a new one", update_issued_at=SECONDS)
        stage.says["push_token"] = stage.asks["push_token"] = None
        stage.says["issued_at"] = stage.asks["issued_at"] = SECONDS + 1
        assert stage.act().push_token is None
        assert device_of(stage.devices, PHONE).push_token is None

    @pytest.mark.parametrize(("by", "code"), [(-60, "signature_invalid"), (0, "signature_invalid"), (1, None)])
    def test_an_update_is_later_than_the_last(self, colour: Colour, by: int, code: str | None) -> None:
        """Whoever kept one, in the minutes that clocks may differ by, does not put an old push token back."""
        stage = staged(colour, "update")
        stage.act()
        stage.devices.update_device("ada", device_of(stage.devices, PHONE).authenticator_id, push_token="ours")
        stage.says["issued_at"] = stage.asks["issued_at"] = SECONDS + by
        if code is None:
            changed = stage.act()
            assert (changed.push_token, changed.update_issued_at) == ("a new one", SECONDS + by)
            return
        with refused(code, stage.devices):
            stage.act()

    def test_an_update_may_be_sent_once_more(self, colour: Colour) -> None:
        """Its answer was lost: the device hears what is stored, and nothing is written."""
        stage = staged(colour, "update")
        made = stage.act()
        before = stage.devices.stored()
        assert stage.act() == made
        assert stage.devices.stored() == before

    @pytest.mark.parametrize("by", [-1, 0])
    @pytest.mark.parametrize("push_token", [None, "another"])
    def test_but_another_one_of_its_second_or_before_is_none(
        self, colour: Colour, push_token: str | None, by: int
    ) -> None:
        stage = staged(colour, "update")
        stage.act()
        stage.says |= {"issued_at": SECONDS + by, "push_token": push_token}
        stage.asks |= {"issued_at": SECONDS + by, "push_token": push_token}
        with refused("signature_invalid", stage.devices):
            stage.act()

    def test_once_more_takes_the_same_signature(self, colour: Colour) -> None:
        """Who knows key, time and push token learns nothing of the device."""
        stage = staged(colour, "update")
        stage.act()
        stage.given["signature"] = b"x"
        with refused("signature_invalid", stage.devices):
            stage.act()

    def test_of_two_updates_at_once_the_later_stays(self, colour: Colour) -> None:
        """What is written between the look and the write counts: the earlier one comes too late."""
        before: dict[str, Callable[..., object]] = {}
        devices = hooked_devices(colour, before)
        enrol(devices, PHONE)

        def later(*_: object) -> None:
            before.clear()
            put_device(devices, PHONE, push_token="later", update_issued_at=SECONDS + 1)

        before["replace_device"] = later
        with refused("signature_invalid"):
            devices.update_by_device(
                method="push",
                public_key=PHONE.public_key,
                signature=PHONE.update(
                    device_of(devices, PHONE).authenticator_id, issued_at=SECONDS, push_token="earlier"
                ),
                push_token="earlier",
                issued_at=SECONDS,
            )
        stored = device_of(devices, PHONE)
        assert (stored.push_token, stored.update_issued_at) == ("later", SECONDS + 1)

    def test_what_signs_nothing_right_changes_no_time(self, colour: Colour) -> None:
        """Or anybody could keep the device from updating itself."""
        stage = staged(colour, "update")
        stage.given["signature"] = b"x"
        with refused("signature_invalid", stage.devices):
            stage.act()
        stage.given.clear()
        assert stage.act().update_issued_at == SECONDS

    def test_a_removal_removes_it_alone(self, colour: Colour) -> None:
        stage = staged(colour, "remove")
        before = stage.devices.list_devices("ada")
        removed = stage.act()
        assert removed.public_key == PHONE.public_key
        assert stage.devices.list_devices("ada") == tuple(each for each in before if each != removed)

    @pytest.mark.parametrize("state", ["expired", "disabled"])
    def test_what_counts_no_more_may_still_remove_itself(self, colour: Colour, state: str) -> None:
        stage = staged(colour, "remove")
        if state == "expired":
            put_device(stage.devices, PHONE, expires_at=NOW)
        else:
            stage.devices.memory.set_user_disabled("", "ada", NOW, None)
        assert stage.act().public_key == PHONE.public_key


class TestRemoval:
    def test_it_answers_nothing_any_more(self, colour: Colour) -> None:
        devices = device_engine(colour)
        made = enrol(devices, PHONE)
        start = devices.start_challenge(**PAY)
        devices.remove_device("ada", made.authenticator_id)
        assert devices.list_devices("ada") == ()
        with refused("signature_invalid", devices):
            answer(devices, PHONE, start)
        with refused("no_credential", devices):
            devices.remove_device("ada", made.authenticator_id)

    @pytest.mark.parametrize(
        ("user_id", "id", "code"),
        [
            ("eve", ..., "no_credential"),
            ("nobody", ..., "no_credential"),
            ("", ..., "user_id_invalid"),
            ("ada", "x", "no_credential"),
            ("ada", "", "no_credential"),
            ("ada", None, "no_credential"),
            ("ada", 65 * "x", "name_invalid"),
            ("ada", 7, "name_invalid"),
            ("ada", "\0", "name_invalid"),
        ],
    )
    def test_only_the_owners_goes(self, colour: Colour, user_id: str, id: Any, code: str) -> None:
        devices = device_engine(colour)
        made = enrol(devices, PHONE)
        enrol(devices, TABLET, EVE)
        with refused(code, devices):
            devices.remove_device(user_id, made.authenticator_id if id is ... else id)


class TestMeanwhile:
    """Others write between the reading and the writing."""

    @pytest.mark.parametrize(("times", "code"), [(0, None), (1, None), (2, None), (3, "conflict"), (9, "conflict")])
    @pytest.mark.parametrize("who", ["application", "device"])
    def test_an_update_is_tried_three_times(self, colour: Colour, who: str, times: int, code: str | None) -> None:
        before: dict[str, Callable[..., object]] = {}
        devices = hooked_devices(colour, before)
        made = enrol(devices, PHONE)
        lost: list[int] = []

        def lose(*_: object) -> None:
            lost.append(1)
            if len(lost) <= times:
                put_device(devices, PHONE, name=f"changed {len(lost)}")

        before["replace_device"] = lose

        def update() -> Any:
            if who == "application":
                return devices.update_device("ada", made.authenticator_id, push_token="new")
            signature = PHONE.update(made.authenticator_id, issued_at=SECONDS, push_token="new")
            return devices.update_by_device(
                method="push",
                public_key=PHONE.public_key,
                signature=signature,
                push_token="new",
                issued_at=SECONDS,
            )

        if code is not None:
            with refused(code):
                update()
            assert len(lost) == 3
            assert device_of(devices, PHONE).push_token is None
            return
        assert update() == device_of(devices, PHONE)
        assert device_of(devices, PHONE).push_token == "new"
        assert device_of(devices, PHONE).name == (f"changed {times}" if times else "Phone")

    def test_of_two_removals_one_is_told_so(self, colour: Colour) -> None:
        before: dict[str, Callable[..., object]] = {}
        devices = hooked_devices(colour, before)
        made = enrol(devices, PHONE)
        before["remove_device"] = lambda *_: _remove(devices, made)
        with refused("signature_invalid"):
            devices.remove_by_device(
                method="push",
                public_key=PHONE.public_key,
                signature=PHONE.remove(made.authenticator_id, issued_at=SECONDS),
                issued_at=SECONDS,
            )

    def test_what_was_removed_meanwhile_is_not_written_again(self, colour: Colour) -> None:
        before: dict[str, Callable[..., object]] = {}
        devices = hooked_devices(colour, before)
        made = enrol(devices, PHONE)
        before["replace_device"] = lambda *_: _remove(devices, made)
        with refused("no_credential"):
            devices.update_device("ada", made.authenticator_id, name="New")
        assert devices.list_devices("ada") == ()

    @pytest.mark.parametrize("answer", ["user_not_found", "user_disabled", "credential_exists", "limit_reached"])
    def test_storage_has_the_last_word_on_an_enrolment(self, colour: Colour, answer: str) -> None:
        before: dict[str, Callable[..., object]] = {}
        devices = hooked_devices(colour, before)
        if colour == "sync":
            before["add_device"] = lambda *_: answer
        else:
            before["add_device"] = lambda *_: _given(answer)
        with refused(answer):
            enrol(devices, PHONE)
        assert devices.list_devices("ada") == ()


def _remove(devices: Engine, device: DeviceCredential) -> None:
    assert devices.memory.remove_device("", device.user_id, device.authenticator_id, None)


async def _given(answer: str) -> str:
    return answer


def test_expired_challenges_are_removed_now_and_then(colour: Colour) -> None:
    devices = device_engine(colour)
    enrol(devices, PHONE)
    devices.start_challenge(**PAY)
    devices.clock.move(minutes=5)
    assert devices.remove_expired() == 0
    devices.clock.move(minutes=2)
    assert devices.remove_expired() == 1, "but not what remembers that the enrolment's token was used"
    devices.clock.move(minutes=5)
    assert devices.remove_expired() == 1
    assert devices.stored()["device challenges"] == {}


def test_a_random_source_that_repeats_is_found_out(colour: Colour) -> None:
    devices = device_engine(colour)
    enrol(devices, PHONE)
    same = [device_engine(colour, memory=devices.memory, random=Chance("same")) for _ in range(2)]
    same[0].start_challenge(**PAY)
    with refused("conflict", devices):
        same[1].start_challenge(**PAY)


def test_tokens_of_a_user_who_was_removed_enrol_nothing_for_the_next(colour: Colour) -> None:
    """The user's record is gone, and the token does not bring it back."""
    devices = device_engine(colour)
    token = devices.start_enrolment(**ADA).token
    devices.memory.remove_user("", "ada", None)
    with pytest.raises(PasskeyError) as caught:
        devices.enrol_device(
            token,
            method="push",
            public_key=PHONE.public_key,
            signature=PHONE.enrol(token),
            name="Phone",
            platform="ios",
        )
    assert caught.value.code == "user_not_found"
