"""Users and passkeys apart from ceremonies: each operation touches the named user's, and nobody else's."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore import CredentialRecord, LimitReached, RelyingParty
from passkeycore.engine.records import EventFilter, EventType
from passkeycore.testing import SoftwareKey, b64url_encode

from .kit import ADA, EVE, NOW, Colour, Engine, browser, engine, refused, user_of

RECORD = CredentialRecord(
    credential_id=b"an id from elsewhere",
    public_key=SoftwareKey.derive("imported", -7).cose(),
    rp_id="example.org",
)
OWNER = {"user_id": "ada", "user_name": "ada"}
AS = [bytes, b64url_encode]


@pytest.fixture
def both(passkeys: Engine) -> Engine:
    """A service where ada and eve have two passkeys each."""
    for who in (ADA, EVE):
        for number in (1, 2):
            passkeys.register(f"{who['user_id']} {number}", start=who)
            passkeys.clock.move(seconds=1)
    return passkeys


def ids(passkeys: Engine, user_id: str = "ada") -> list[bytes]:
    return [passkey.credential_id for passkey in passkeys.list_passkeys(user_id)]


class TestList:
    def test_the_oldest_come_first(self, both: Engine) -> None:
        times = [passkey.created_at for passkey in both.list_passkeys("ada")]
        assert times == sorted(times)
        assert len(set(times)) == 2

    def test_nobody_has_none(self, both: Engine) -> None:
        assert both.list_passkeys("nobody") == ()
        assert both.find_user("nobody") is None


class TestFind:
    @pytest.mark.parametrize("form", AS)
    def test_an_id_finds_its_passkey_and_whose_it_is(self, both: Engine, form: Any) -> None:
        both.disable_user("eve")
        (first, _) = both.list_passkeys("eve")
        found = both.find_passkey(form(first.credential_id))
        assert found == (first, both.find_user("eve"))

    @pytest.mark.parametrize("credential_id", [b"unknown", b"", "dW5rbm93bg"])
    def test_nobody_has_another(self, both: Engine, credential_id: Any) -> None:
        assert both.find_passkey(credential_id) is None

    def test_nor_anybody_of_another_realm(self, both: Engine, colour: Colour) -> None:
        other = engine(colour, realm="other", memory=both.memory)
        assert other.find_passkey(ids(both)[0]) is None

    @pytest.mark.parametrize("text", ["x", "dW5rbm93bg==", "?"])
    def test_what_is_no_id_is_refused(self, both: Engine, text: str) -> None:
        with refused("base64url_invalid", both):
            both.find_passkey(text)


class TestRename:
    @pytest.mark.parametrize("form", AS)
    def test_it_changes_the_name_alone(self, both: Engine, form: Any) -> None:
        first, second = both.list_passkeys("ada")
        both.rename_passkey("ada", form(first.credential_id), "on my desk")
        assert both.list_passkeys("ada") == (replace(first, name="on my desk"), second)

    def test_only_ones_own(self, both: Engine) -> None:
        (other, _) = ids(both, "eve")
        for user_id, id in (("ada", other), ("nobody", other), ("ada", b"unknown"), ("ada", b"")):
            with refused("no_credential", both):
                both.rename_passkey(user_id, id, "mine")

    @pytest.mark.parametrize("name", ["", 65 * "a", "a\tb", "\u2066a"])
    def test_names_that_nobody_could_read_are_refused(self, both: Engine, name: str) -> None:
        with refused("name_invalid", both) as caught:
            both.rename_passkey("ada", ids(both)[0], name)
        assert caught.value.path == "name"

    @pytest.mark.parametrize("id", ["%", "AA==", "é", "A"])
    def test_an_id_that_is_no_base64url(self, both: Engine, id: str) -> None:
        calls: tuple[Callable[[], object], ...] = (
            lambda: both.rename_passkey("ada", id, "name"),
            lambda: both.remove_passkey("ada", id),
            lambda: both.confirm_user_verification("ada", id),
        )
        for call in calls:
            with refused("base64url_invalid", both):
                call()


class TestRemove:
    @pytest.mark.parametrize("form", AS)
    def test_one(self, both: Engine, form: Any) -> None:
        first, second = ids(both)
        assert both.remove_passkey("ada", form(first)) is None
        assert ids(both) == [second]
        assert len(ids(both, "eve")) == 2
        with refused("no_credential", both):
            both.remove_passkey("ada", first)

    def test_only_ones_own(self, both: Engine) -> None:
        (other, _) = ids(both, "eve")
        for user_id, id in (("ada", other), ("nobody", other), ("ada", b"unknown")):
            with refused("no_credential", both) as caught:
                both.remove_passkey(user_id, id)
            assert caught.value.signal is None  # type: ignore[attr-defined]

    def test_all(self, both: Engine) -> None:
        assert both.remove_all_passkeys("ada") == 2
        assert (ids(both), len(ids(both, "eve"))) == ([], 2)
        assert both.remove_all_passkeys("ada") == 0
        assert both.remove_all_passkeys("nobody") == 0
        assert both.find_user("ada") is not None


class TestConfirmUserVerification:
    @pytest.mark.parametrize("form", AS)
    def test_it_counts_from_then_on(self, passkeys: Engine, form: Any) -> None:
        passkey = passkeys.register(start={"mediation": "conditional"})
        assert not passkey.credential.uv_initialized
        passkeys.confirm_user_verification("ada", form(passkey.credential_id))
        assert passkeys.list_passkeys("ada")[0].credential == replace(passkey.credential, uv_initialized=True)

    def test_only_of_ones_own(self, both: Engine) -> None:
        with refused("no_credential", both):
            both.confirm_user_verification("ada", ids(both, "eve")[0])


class TestUsers:
    def test_get_or_create_creates_once(self, passkeys: Engine) -> None:
        made = passkeys.get_or_create_user("ada", "ada", display_name="Ada")
        assert (made.user_id, made.name, made.display_name, made.created_at) == ("ada", "ada", "Ada", NOW)
        passkeys.clock.move(days=1)
        assert passkeys.get_or_create_user("ada", "another") == made
        assert passkeys.find_user("ada") == made

    def test_a_user_handle_of_ones_own(self, passkeys: Engine) -> None:
        for handle in (b"x", 64 * b"x"):
            assert passkeys.get_or_create_user(handle.decode(), "x", user_handle=handle).user_handle == handle
        assert passkeys.get_or_create_user("x", "x", user_handle=b"x").user_handle == b"x"
        with refused("conflict", passkeys):
            passkeys.get_or_create_user("x", "x", user_handle=b"y")
        for handle in (b"", 65 * b"x"):
            with refused("configuration_invalid", passkeys):
                passkeys.get_or_create_user("y", "y", user_handle=handle)

    @pytest.mark.parametrize("names", [{"name": ""}, {"name": "a", "display_name": "\n"}, {"name": 257 * "a"}])
    def test_names_that_nobody_could_read_are_refused(self, passkeys: Engine, names: Any) -> None:
        for call in (passkeys.get_or_create_user, passkeys.rename_user):
            with refused("name_invalid", passkeys):
                call("ada", **names)

    def test_rename(self, both: Engine) -> None:
        before = both.find_user("ada")
        both.rename_user("ada", "new", "New")
        assert both.find_user("ada") == replace(before, name="new", display_name="New")
        both.rename_user("ada", "newer")
        assert both.find_user("ada") == replace(before, name="newer", display_name="")

    def test_disable_and_enable(self, both: Engine) -> None:
        both.disable_user("ada")
        assert both.find_user("ada").disabled_at == both.clock.at
        both.enable_user("ada")
        assert both.find_user("ada").disabled_at is None
        assert both.find_user("eve").disabled_at is None

    def test_remove_takes_everything_of_theirs(self, both: Engine) -> None:
        id = ids(both)[0]
        both.remove_user("ada")
        assert both.find_user("ada") is None
        assert both.list_passkeys("ada") == ()
        assert both.memory.find_passkey("", id) is None
        assert len(ids(both, "eve")) == 2

    @pytest.mark.parametrize(
        "call",
        [
            lambda e: e.rename_user("nobody", "x"),
            lambda e: e.disable_user("nobody"),
            lambda e: e.enable_user("nobody"),
            lambda e: e.remove_user("nobody"),
            lambda e: e.all_accepted_credentials("nobody"),
            lambda e: e.current_user_details("nobody"),
        ],
    )
    def test_somebody_who_is_not_there(self, both: Engine, call: Any) -> None:
        with refused("user_not_found", both):
            call(both)


class TestSignals:
    def test_all_accepted_credentials(self, both: Engine) -> None:
        assert both.all_accepted_credentials("ada") == {
            "rpId": "example.org",
            "userId": b64url_encode(user_of(both.memory, "ada").user_handle),
            "allAcceptedCredentialIds": [b64url_encode(id) for id in ids(both)],
        }
        both.remove_all_passkeys("ada")
        assert both.all_accepted_credentials("ada")["allAcceptedCredentialIds"] == []

    def test_those_of_another_relying_party_in_the_same_realm_are_not_this_ones_to_signal(self, both: Engine) -> None:
        rp = RelyingParty(id="example.net", name="Elsewhere", origins=["https://example.net"])
        elsewhere = engine(both.colour, rp=rp, memory=both.memory, seed="elsewhere")
        other = elsewhere.register(client=browser("elsewhere", origin="https://example.net"))
        told = elsewhere.all_accepted_credentials("ada")
        assert told["allAcceptedCredentialIds"] == [b64url_encode(other.credential_id)]
        assert (
            b64url_encode(other.credential_id) not in both.all_accepted_credentials("ada")["allAcceptedCredentialIds"]
        )
        assert len(both.list_passkeys("ada")) == 3

    def test_current_user_details(self, both: Engine) -> None:
        both.rename_user("ada", "new")
        told = both.current_user_details("ada")
        handle = b64url_encode(user_of(both.memory, "ada").user_handle)
        assert told == {"rpId": "example.org", "userId": handle, "name": "new", "displayName": "new"}
        both.rename_user("ada", "new", "New")
        assert both.current_user_details("ada")["displayName"] == "New"


class TestImport:
    def test_it_takes_the_users_handle(self, passkeys: Engine) -> None:
        passkey = passkeys.import_passkey(**OWNER, user_display_name="Ada", credential=RECORD, name="old")
        user = passkeys.find_user("ada")
        assert passkey.credential == replace(RECORD, user_handle=user.user_handle)
        assert (passkey.name, passkey.created_at, passkey.last_used_at) == ("old", NOW, None)
        assert user.display_name == "Ada"
        assert passkeys.list_passkeys("ada") == (passkey,)

    def test_it_keeps_the_other_systems_handle_and_times(self, passkeys: Engine) -> None:
        made, used = NOW - timedelta(days=9), NOW - timedelta(days=2)
        record = replace(RECORD, user_handle=b"theirs")
        passkey = passkeys.import_passkey(**OWNER, credential=record, created_at=made, last_used_at=used)
        assert (passkey.created_at, passkey.last_used_at) == (made, used)
        assert passkeys.find_user("ada").user_handle == b"theirs"

    def test_another_handle_than_the_users_is_a_conflict(self, passkeys: Engine) -> None:
        passkeys.register()
        with refused("conflict", passkeys):
            passkeys.import_passkey(**OWNER, credential=replace(RECORD, user_handle=b"theirs"))

    def test_it_signs_in(self, passkeys: Engine) -> None:
        device = browser()
        record = passkeys.register(client=device).credential
        passkeys.remove_user("ada")
        imported = CredentialRecord(
            credential_id=record.credential_id,
            public_key=record.public_key,
            rp_id=record.rp_id,
            user_handle=record.user_handle,
            uv_initialized=True,
        )
        passkeys.import_passkey(**OWNER, credential=imported)
        assert passkeys.finish_authentication(device.get(passkeys.start_authentication().to_dict())).user_id == "ada"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"credential_id": RECORD.credential_id.hex()}, "record_invalid"),
            ({"credential_id": b""}, "record_invalid"),
            ({"credential_id": 1024 * b"a"}, "record_invalid"),
            ({"user_handle": "ada"}, "record_invalid"),
            ({"public_key": RECORD.public_key.hex()}, "record_invalid"),
            ({"public_key": SoftwareKey.derive("imported", -7).spki()}, "public_key_malformed"),
            ({"public_key": b""}, "public_key_malformed"),
            ({"rp_id": "example.com"}, "record_invalid"),
            ({"sign_count": -1}, "record_invalid"),
        ],
    )
    def test_what_is_no_record_is_refused(self, passkeys: Engine, change: Any, code: str) -> None:
        with refused(code, passkeys):
            passkeys.import_passkey(**OWNER, credential=replace(RECORD, **change))

    @pytest.mark.parametrize("handle", [b"", 65 * b"a"])
    def test_a_user_handle_has_1_to_64_bytes(self, passkeys: Engine, handle: bytes) -> None:
        with refused("record_invalid", passkeys):
            passkeys.import_passkey(**OWNER, credential=replace(RECORD, user_handle=handle))

    @pytest.mark.parametrize("name", ["created_at", "last_used_at"])
    def test_times_have_a_zone(self, passkeys: Engine, name: str) -> None:
        naive = datetime(2026, 1, 1)  # noqa: DTZ001
        with refused("configuration_invalid", passkeys) as caught:
            passkeys.import_passkey(**OWNER, credential=RECORD, **{name: naive})
        assert caught.value.path == name

    @pytest.mark.parametrize("names", [{"user_name": ""}, {"user_display_name": "\n"}, {"name": 65 * "a"}])
    def test_names_that_nobody_could_read_are_refused(self, passkeys: Engine, names: Any) -> None:
        with refused("name_invalid", passkeys):
            passkeys.import_passkey(**(OWNER | names), credential=RECORD)

    @pytest.mark.parametrize("owner", [ADA, EVE])
    def test_one_that_is_there_is_not_replaced(self, passkeys: Engine, owner: Any) -> None:
        passkeys.import_passkey(**OWNER, credential=RECORD)
        passkeys.get_or_create_user("eve", "eve")
        with refused("credential_exists", passkeys):
            passkeys.import_passkey(**owner, credential=RECORD)

    def test_a_disabled_user_gets_none(self, passkeys: Engine) -> None:
        passkeys.get_or_create_user("ada", "ada")
        passkeys.disable_user("ada")
        with refused("user_disabled", passkeys):
            passkeys.import_passkey(**OWNER, credential=RECORD)

    def test_nobody_loses_one_because_another_service_allowed_more(self, colour: Colour) -> None:
        passkeys = engine(colour, max_passkeys_per_user=1)
        for number in range(32):
            passkeys.import_passkey(**OWNER, credential=replace(RECORD, credential_id=bytes([number])))
        with refused("limit_reached", passkeys) as caught:
            passkeys.import_passkey(**OWNER, credential=RECORD)
        assert isinstance(caught.value, LimitReached)
        assert (caught.value.limit, caught.value.current) == (32, 32)
        with refused("limit_reached", passkeys):
            passkeys.start_registration(**ADA)


class TestExpired:
    def test_what_was_never_finished_goes_a_minute_after_its_end(self, passkeys: Engine) -> None:
        passkeys.start_authentication()
        passkeys.start_authentication(mediation="conditional")
        for after, removed, left in ((6 * 60, 0, 2), (1, 1, 1), (25 * 60, 1, 0), (0, 0, 0)):
            passkeys.clock.move(seconds=after)
            assert passkeys.remove_expired() == removed
            assert passkeys.under_way() == left


class TestEvents:
    def test_only_a_service_that_stores_them_has_some(self, passkeys: Engine) -> None:
        for call in (passkeys.list_events, passkeys.count_events):
            with refused("configuration_invalid"):
                call()

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    def test_a_page_has_1_to_1000(self, colour: Colour, limit: int) -> None:
        with refused("configuration_invalid"):
            engine(colour, store_events=True).list_events(limit=limit)

    def test_pages_follow_each_other(self, colour: Colour) -> None:
        passkeys = engine(colour, store_events=True)
        passkeys.get_or_create_user("ada", "ada")
        for _ in range(3):
            passkeys.disable_user("ada")
            passkeys.enable_user("ada")
        which = EventFilter(types=(EventType.USER_DISABLED,))
        page = passkeys.list_events(which, limit=2)
        assert [event.type for event in page.events] == 2 * [EventType.USER_DISABLED]
        rest = passkeys.list_events(which, cursor=page.next_cursor, limit=2)
        assert len(rest.events) == 1
        assert rest.next_cursor is None
        assert len(passkeys.list_events(limit=1000).events) == 6

    @pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "٣", 99 * "9"])
    def test_a_cursor_of_nobodys(self, colour: Colour, cursor: str) -> None:
        with refused("cursor_invalid"):
            engine(colour, store_events=True).list_events(cursor=cursor)

    def test_counts_by_day_and_type(self, colour: Colour) -> None:
        passkeys = engine(colour, store_events=True)
        passkeys.get_or_create_user("ada", "ada")
        for days in (0, 0, 1):
            passkeys.clock.move(days=days)
            passkeys.disable_user("ada")
        counted = [(each.day, each.type, each.count) for each in passkeys.count_events()]
        assert counted == [
            (NOW.date(), EventType.USER_DISABLED, 2),
            (NOW.date() + timedelta(days=1), EventType.USER_DISABLED, 1),
        ]
        assert passkeys.count_events(EventFilter(since=passkeys.clock.at))[0].count == 1
