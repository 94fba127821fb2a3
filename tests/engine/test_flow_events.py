"""Which events the flows record: with the change itself, and nothing secret in them."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from passkeycore.engine.records import Event, EventType
from passkeycore.testing import SoftwareKey, Tamper, VirtualClient, b64url_encode

from .kit import ADA, Colour, Engine, browser, challenge_of, engine, hooked, refused
from .test_management import OWNER, RECORD

FORGER = SoftwareKey.derive("forger", -7)


@pytest.fixture
def device() -> VirtualClient:
    return browser()


@pytest.fixture
def ada(colour: Colour, device: VirtualClient) -> Engine:
    """A service that stores events, where ada has a passkey."""
    made = engine(colour, store_events=True)
    made.register(client=device)
    return made


def _counting(colour: Colour) -> tuple[Engine, VirtualClient]:
    """A service that stores events, where ada has signed in once with an authenticator that counts."""
    passkeys, device = engine(colour, store_events=True), browser(sign_count=5, sign_count_step=1)
    passkeys.register(client=device)
    passkeys.finish_authentication(device.get(passkeys.start_authentication().to_dict()))
    return passkeys, device


def _replaced(passkeys: Engine, **members: Any) -> None:
    """Changes ada's stored record, as another server would."""
    owner = passkeys.memory._users["", "ada"]
    ((id, passkey),) = owner.passkeys.items()
    owner.passkeys[id] = replace(passkey, credential=replace(passkey.credential, **members))


def types(passkeys: Engine) -> list[str]:
    """The stored events, the newest first."""
    return [event.type for event in passkeys.list_events().events]


def test_every_change_has_one(ada: Engine, device: VirtualClient) -> None:
    id = ada.list_passkeys("ada")[0].credential_id
    ada.finish_authentication(device.get(ada.start_authentication().to_dict()))
    ada.rename_passkey("ada", id, "new")
    ada.confirm_user_verification("ada", id)
    ada.rename_user("ada", "new")
    ada.disable_user("ada")
    ada.enable_user("ada")
    ada.import_passkey(**OWNER, credential=RECORD)
    ada.remove_passkey("ada", id)
    ada.remove_all_passkeys("ada")
    ada.remove_user("ada")
    assert types(ada) == [
        EventType.USER_REMOVED,
        EventType.PASSKEYS_REMOVED,
        EventType.PASSKEY_REMOVED,
        EventType.PASSKEY_IMPORTED,
        EventType.USER_ENABLED,
        EventType.USER_DISABLED,
        EventType.USER_RENAMED,
        EventType.USER_VERIFICATION_CONFIRMED,
        EventType.PASSKEY_RENAMED,
        EventType.AUTHENTICATION_SUCCEEDED,
        EventType.PASSKEY_REGISTERED,
    ]
    events = ada.list_events().events
    assert {event.user_id for event in events} == {"ada"}
    assert {event.at for event in events} == {ada.clock.at}
    assert len({event.id for event in events}) == len(events)
    assert all(len(bytes.fromhex(event.id)) == 16 for event in events)
    about = {event.type: event.credential_id for event in events}
    assert about[EventType.PASSKEY_RENAMED] == about[EventType.AUTHENTICATION_SUCCEEDED] == id
    assert about[EventType.USER_REMOVED] is None


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda e: e.rename_passkey("ada", b"x", "new"), "no_credential"),
        (lambda e: e.remove_passkey("ada", b"x"), "no_credential"),
        (lambda e: e.confirm_user_verification("ada", b"x"), "no_credential"),
        (lambda e: e.rename_user("nobody", "new"), "user_not_found"),
        (lambda e: e.disable_user("nobody"), "user_not_found"),
        (lambda e: e.enable_user("nobody"), "user_not_found"),
        (lambda e: e.remove_user("nobody"), "user_not_found"),
        (lambda e: e.import_passkey(**OWNER, credential=e.list_passkeys("ada")[0].credential), "credential_exists"),
    ],
)
def test_what_changes_nothing_has_none(ada: Engine, call: Any, code: str) -> None:
    before = types(ada)
    with refused(code, ada):
        call(ada)
    assert ada.remove_all_passkeys("nobody") == 0
    assert types(ada) == before


class TestFailures:
    def test_a_failed_ceremony_has_one_that_says_why(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication(user_id="ada", purpose="pay")
        tamper = Tamper(rp_id_hash=lambda _: bytes(32))
        with refused("rp_id_mismatch"):
            ada.finish_authentication(device.get(start.to_dict(), tamper=tamper), user_id="ada", purpose="pay")
        event = ada.list_events().events[0]
        assert (event.type, event.code, event.user_id) == ("authentication.failed", "rp_id_mismatch", "ada")
        assert event.details == {"purpose": "pay"}
        assert event.credential_id == next(iter(device.authenticator.credentials))
        start = ada.start_registration(**ADA)
        with refused("rp_id_mismatch"):
            ada.finish_registration(browser("two").create(start.to_dict(), tamper=tamper), user_id="ada")
        assert types(ada)[:2] == [EventType.REGISTRATION_FAILED, EventType.AUTHENTICATION_FAILED]

    def test_what_was_never_begun_here_fills_no_store(self, ada: Engine, device: VirtualClient) -> None:
        before = types(ada)
        body = device.get(ada.start_authentication().to_dict())
        ada.finish_authentication(body)
        for wrong in (body, b"{", {}, body | {"rawId": "%"}):
            with pytest.raises(Exception):  # noqa: B017, PT011
                ada.finish_authentication(wrong)
        assert types(ada) == [EventType.AUTHENTICATION_SUCCEEDED, *before]

    @pytest.mark.parametrize(
        ("prepare", "tamper", "code"),
        [
            (None, Tamper(sign_count=lambda _: 0), "sign_count_regressed"),
            (None, Tamper(flags=lambda flags: flags | 8), "backup_eligibility_changed"),
            (lambda e: _replaced(e, uv_initialized=False), Tamper(), "user_verification_untrusted"),
            (lambda e: e.clock.move(hours=1), Tamper(), "challenge_expired"),
            (lambda e: e.disable_user("ada"), Tamper(), "user_disabled"),
        ],
    )
    def test_after_a_good_signature_it_names_the_owner_where_the_start_named_nobody(
        self, colour: Colour, prepare: Any, tamper: Tamper, code: str
    ) -> None:
        passkeys, device = _counting(colour)
        start = passkeys.start_authentication()
        if prepare is not None:
            prepare(passkeys)
        with refused(code, passkeys):
            passkeys.finish_authentication(device.get(start.to_dict(), tamper=tamper))
        event = passkeys.list_events().events[0]
        assert (event.type, event.code, event.user_id) == ("authentication.failed", code, "ada")

    def test_so_does_a_record_that_changes_faster_than_it_can_be_written(self, colour: Colour) -> None:
        before: dict[str, Callable[..., object]] = {}
        passkeys, device = hooked(colour, before, store_events=True), browser()
        passkeys.register(client=device)
        before["advance_passkey"] = lambda *_: False
        with refused("conflict", passkeys):
            passkeys.finish_authentication(device.get(passkeys.start_authentication().to_dict()))
        assert passkeys.list_events().events[0].user_id == "ada"

    @pytest.mark.parametrize(
        ("finish", "tamper", "code"),
        [
            ({}, Tamper(sign=lambda _, message: FORGER.sign(message)), "signature_invalid"),
            ({}, Tamper(flags=lambda flags: flags & ~4), "user_verification_required"),
            ({}, Tamper(rp_id_hash=lambda _: bytes(32)), "rp_id_mismatch"),
            ({"binding": "another"}, Tamper(), "challenge_unknown"),
        ],
    )
    def test_before_it_names_nobody(self, colour: Colour, finish: Any, tamper: Tamper, code: str) -> None:
        """Or anybody could write failures into the history of whomever's credential id they know."""
        passkeys, device = _counting(colour)
        start = passkeys.start_authentication()
        with refused(code, passkeys):
            passkeys.finish_authentication(device.get(start.to_dict(), tamper=tamper), **finish)
        event = passkeys.list_events().events[0]
        assert (event.type, event.code, event.user_id) == ("authentication.failed", code, None)

    def test_a_new_user_who_fails_is_named_by_the_id_they_were_promised(self, ada: Engine) -> None:
        start = ada.start_registration(user_name="new", binding="session")
        tamper = Tamper(rp_id_hash=lambda _: bytes(32))
        with refused("rp_id_mismatch", ada):
            ada.finish_registration(browser("two").create(start.to_dict(), tamper=tamper), binding="session")
        assert ada.list_events().events[0].user_id == start.user_id

    def test_a_lost_race_is_a_failure(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_registration(**ADA)
        for number in range(4):
            ada.register(f"{number}")
        with refused("limit_reached", ada):
            ada.finish_registration(browser("late").create(start.to_dict()), user_id="ada")
        assert ada.list_events().events[0].code == "limit_reached"


class TestSinks:
    def told(self, passkeys: Engine) -> None:
        """Waits until the sinks know."""
        assert passkeys.service.context.emit.__self__.flush(10)

    def test_they_are_told_of_starts_as_well(self, colour: Colour, device: VirtualClient) -> None:
        events: list[Event] = []
        passkeys = engine(colour, sinks=[events.append])
        passkeys.register(client=device)
        start = passkeys.start_authentication(binding="session")
        with refused("challenge_unknown"):
            passkeys.finish_authentication(device.get(start.to_dict()), binding="another")
        self.told(passkeys)
        assert [event.type for event in events] == [
            EventType.REGISTRATION_STARTED,
            EventType.PASSKEY_REGISTERED,
            EventType.AUTHENTICATION_STARTED,
            EventType.AUTHENTICATION_FAILED,
        ]
        with refused("configuration_invalid"):
            passkeys.list_events()

    def test_they_are_told_nothing_where_nothing_changed(self, colour: Colour) -> None:
        events: list[Event] = []
        passkeys = engine(colour, sinks=[events.append])
        assert passkeys.remove_all_passkeys("nobody") == 0
        passkeys.register()
        assert passkeys.remove_all_passkeys("ada") == 1
        self.told(passkeys)
        assert [event.type for event in events][-1] == EventType.PASSKEYS_REMOVED
        assert len(events) == 3

    def test_the_repository_is_given_none_unless_it_shall_store_them(self, colour: Colour) -> None:
        passkeys = engine(colour, sinks=[lambda _: None])
        passkeys.register()
        passkeys.disable_user("ada")
        assert passkeys.memory._snapshot() == ()

    def test_one_that_fails_or_says_no_changes_nothing(self, colour: Colour, device: VirtualClient) -> None:
        def fail(_: Event) -> None:
            raise ValueError("sink")

        passkeys = engine(colour, sinks=[fail, lambda _: False])
        passkeys.register(client=device)
        assert passkeys.finish_authentication(device.get(passkeys.start_authentication().to_dict()))
        self.told(passkeys)
        assert passkeys.service.context.emit.__self__.failed == 4

    def test_a_coroutine_function_is_none(self, colour: Colour) -> None:
        async def sink(_: Event) -> None: ...

        with refused("configuration_invalid"):
            engine(colour, sinks=[sink])

    def test_nothing_secret_is_told(self, colour: Colour, device: VirtualClient) -> None:
        events: list[Event] = []
        passkeys = engine(colour, sinks=[events.append], store_events=True)
        given: dict[str, Any] = {"binding": "the session's secret", "account_stamp": "the stamp", "purpose": "pay"}
        starts = [passkeys.start_registration(**ADA, **given)]
        passkeys.finish_registration(device.create(starts[0].to_dict()), user_id="ada", **given)
        for wrong in ({}, {"binding": "a wrong secret"}):
            starts.append(passkeys.start_authentication(user_id="ada", **given))
            with refused("challenge_unknown") if wrong else nullcontext():
                passkeys.finish_authentication(device.get(starts[-1].to_dict()), user_id="ada", **(given | wrong))
        self.told(passkeys)
        told = json.dumps(msgspec.to_builtins([events, passkeys.list_events()])) + repr(events)
        for secret in ("secret", "the stamp", *(b64url_encode(challenge_of(start)) for start in starts)):
            assert secret not in told
        assert "pay" in told
        assert len(passkeys.list_events().events) == 3
