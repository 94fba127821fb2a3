"""Tenants as they are now: what an operator changes is seen by every process within a second, and never breaks one."""

import json
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.exc import OperationalError

from passkeycore import ConfigurationError, ConflictError
from passkeycore.config.server import OVERRIDABLE, parse_server
from passkeycore.engine.actions.tracking import ClientInfo
from passkeycore.engine.records import EventFilter, EventType
from passkeycore.engine.tenancy.records import Overrides
from passkeycore.server.tenancy.changes import _TOLD
from passkeycore.server.tenancy.live import LiveTenants
from passkeycore.server.tenancy.storage import Storage
from passkeycore.server.tenancy.tenants import TenantUnavailable
from tests.server.kit import API_KEYS, TenantKit, file_text, tenant_kit
from tests.sql import sent_by

ORIGINS = {"origins": ["https://shop.example.com", "https://www.shop.example.com"]}


class Seconds:
    """What a process measures with; it stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Process:
    """Another process of the same server, which looks for changes once a second."""

    def __init__(self, kit: TenantKit) -> None:
        self.kit, self.seconds = kit, Seconds()
        self.storage = Storage(kit.settings)
        self.tenants = LiveTenants(kit.settings, self.storage, now=kit.clock, monotonic=self.seconds)

    def origins(self) -> list[str]:
        tenant = self.kit.run(self.tenants.by_id("shop"))
        assert tenant is not None
        assert tenant.passkeys.context.rp.origins == tenant.settings.config.origins
        return list(tenant.settings.config.origins)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TenantKit]:
    with tenant_kit(tmp_path) as kit:
        yield kit


@pytest.fixture
def other(kit: TenantKit) -> Iterator[Process]:
    process = Process(kit)
    yield process
    kit.run(process.storage.close())


def change(kit: TenantKit, values: dict[str, Any], revision: int = 0) -> None:
    kit.run(kit.tenants.change("shop", values, revision=revision))


def store(kit: TenantKit, values: bytes, revision: int) -> None:
    overrides = Overrides(values=values, updated_at=kit.clock.time, revision=revision, realm="shop")
    assert kit.run(kit.storage.repository.replace_overrides(overrides, None))


def test_a_change_reaches_another_process_within_a_second(kit: TenantKit, other: Process) -> None:
    assert other.origins() == ["https://shop.example.com"]
    change(kit, ORIGINS)
    assert list(kit.tenant().settings.config.origins) == ORIGINS["origins"]
    other.seconds.now += 0.9
    assert other.origins() == ["https://shop.example.com"]
    other.seconds.now += 0.1
    assert other.origins() == ORIGINS["origins"]
    change(kit, {}, revision=1)
    other.seconds.now += 1
    assert other.origins() == ["https://shop.example.com"]


def test_a_new_process_serves_nobody_before_it_knows_the_changes(kit: TenantKit, other: Process) -> None:
    change(kit, ORIGINS)
    assert other.origins() == ORIGINS["origins"]


def test_other_tenants_stay_as_they_are(kit: TenantKit) -> None:
    before = kit.tenant("bank")
    change(kit, ORIGINS)
    assert kit.tenant("bank") is before


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"rp_id": "other.example"}', b'{"of_a_newer_release": 1}', b"\xff"])
def test_changes_that_do_not_go_leave_the_tenant_as_it_was(
    kit: TenantKit, other: Process, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """After an upgrade, or when somebody edited the file: the last good settings stay, and it is logged once."""
    change(kit, ORIGINS)
    assert other.origins() == ORIGINS["origins"]
    store(kit, broken, 2)
    with caplog.at_level(logging.ERROR, "passkeycore.server"):
        for _ in range(3):
            other.seconds.now += 1
            assert other.origins() == ORIGINS["origins"]
    assert len(caplog.records) == 1
    assert "shop" in caplog.records[0].getMessage()
    store(kit, b"{}", 3)
    other.seconds.now += 1
    assert other.origins() == ["https://shop.example.com"]


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"rp_id": "other.example"}', b'{"of_a_newer_release": 1}', b"\xff"])
def test_a_new_process_does_not_serve_a_tenant_with_broken_changes(
    kit: TenantKit, other: Process, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by them nor as the file is, which the operator has changed; other tenants are served, and it is told why.

    The next changes that are good end it.
    """
    token = token_of(kit, "shop")
    store(kit, broken, 1)
    asked: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: other.tenants.by_id("shop"),
        lambda: other.tenants.by_token(token),
        lambda: other.tenants.by_key(API_KEYS["shop"], "api"),
    ]
    for ask in (*asked, *asked):
        other.seconds.now += 1
        with pytest.raises(TenantUnavailable) as caught:
            kit.run(ask())
        assert caught.value.status_code == 503
    assert list(kit.run(other.tenants.problems())) == ["shop"]
    assert [tenant.tenant_id for tenant in kit.run(other.tenants.all())] == ["bank"]
    assert kit.run(other.tenants.origins_of("shop")) == frozenset()
    assert kit.run(other.tenants.by_id("bank")) is not None
    assert len(caplog.records) == 1
    assert "the changes of shop do not go with the file, so it is not served" in caplog.records[0].getMessage()
    mended = kit.run(other.tenants.change("shop", ORIGINS, revision=1))
    assert kit.run(other.tenants.by_id("shop")) is mended
    assert kit.run(other.tenants.problems()) == {}


def test_an_unserved_tenant_is_served_once_another_process_has_mended_it(kit: TenantKit, other: Process) -> None:
    store(kit, b'{"rp_id": "other.example"}', 1)
    assert list(kit.run(other.tenants.problems())) == ["shop"]
    kit.run(kit.tenants.change("shop", ORIGINS, revision=1))
    other.seconds.now += 1
    assert other.origins() == ORIGINS["origins"]


def test_changes_that_cannot_even_be_read_are_as_those_that_do_not_go(
    kit: TenantKit, other: Process, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that runs goes on, and one that begins does not serve the tenant; each says so once."""
    change(kit, ORIGINS)
    assert other.origins() == ORIGINS["origins"]
    with sqlite3.connect(kit.settings.database.partition("///")[2]) as database:
        database.execute("UPDATE passkey_overrides SET body = x'00'")
    late = Process(kit)
    try:
        for _ in range(3):
            other.seconds.now += 1
            late.seconds.now += 1
            assert other.origins() == ORIGINS["origins"]
            with pytest.raises(TenantUnavailable):
                kit.run(late.tenants.by_id("shop"))
    finally:
        kit.run(late.storage.close())
    assert len(caplog.records) == 2


def test_changes_that_are_not_newer_change_nothing(kit: TenantKit, other: Process) -> None:
    """What a slow query has read is old news when the process itself has written since."""
    change(kit, ORIGINS)
    assert other.origins() == ORIGINS["origins"]
    live = other.tenants._tenants["shop"]
    live.revision = 5
    other.seconds.now += 1
    assert other.origins() == ORIGINS["origins"]
    change(kit, {}, revision=1)
    other.seconds.now += 1
    assert other.origins() == ORIGINS["origins"]
    store(kit, b"{}", 3)
    store(kit, b"{}", 4)
    store(kit, b"{}", 5)
    store(kit, b"{}", 6)
    other.seconds.now += 1
    assert other.origins() == ["https://shop.example.com"]


def test_what_changes_nothing_is_not_written(kit: TenantKit) -> None:
    change(kit, ORIGINS)
    change(kit, ORIGINS, revision=1)
    stored = kit.run(kit.tenants.changes_of("shop"))
    assert stored is not None
    assert stored.revision == 1
    assert len(kit.run(kit.tenant().passkeys.list_events(EventFilter())).events) == 1
    with pytest.raises(ConflictError):
        change(kit, ORIGINS, revision=0)


def test_an_event_names_what_was_changed_by_this_save(kit: TenantKit) -> None:
    """Not what was changed before and stays so; what was taken back is a change, too."""
    change(kit, ORIGINS | {"name": "New"})
    change(kit, {"name": "Newer", "number_matching": True}, revision=1)
    event = kit.run(kit.tenant().passkeys.list_events(EventFilter())).events[0]
    assert event.details == {
        "keys": "name, number_matching, origins",
        "revision": "2",
        "old_name": '"New"',
        "new_name": '"Newer"',
        "old_number_matching": "-",
        "new_number_matching": "true",
        "old_origins": json.dumps(ORIGINS["origins"]),
        "new_origins": "-",
    }


def test_an_event_tells_every_value_but_those_that_can_hold_a_secret(kit: TenantKit) -> None:
    """Of all keys that an operator may change, whoever adds one has to say which it is."""
    assert {*_TOLD, "webhook_url"} == {*OVERRIDABLE}
    for revision, url in enumerate(("https://shop.example.com/hook/pw-1?pw-2", "https://shop.example.com/pw-3")):
        change(kit, {"webhook_url": url}, revision)
    change(kit, {}, 2)
    events = kit.run(kit.tenant().passkeys.list_events(EventFilter())).events
    assert [event.details for event in events] == [{"keys": "webhook_url", "revision": str(n)} for n in (3, 2, 1)]


def test_long_values_are_told_around_what_differs(kit: TenantKit) -> None:
    """Of a hundred origins, the one that was changed is in the event; what is left out has a mark."""
    origins = [f"https://page{number}.example.com" for number in range(100)]
    change(kit, {"cors_origins": origins})
    origins[50] = "https://new.example.com"
    change(kit, {"cors_origins": origins}, 1)
    change(kit, {"cors_origins": [*origins[:99], "https://last.example.com"]}, 2)
    last, middle, first = kit.run(kit.tenant().passkeys.list_events(EventFilter())).events
    assert all(len(text) <= 302 for event in (last, middle, first) for text in event.details.values())
    assert first.details["new_cors_origins"].startswith('["https://page0.example.com", ')
    assert first.details["new_cors_origins"].endswith("…")
    old, new = middle.details["old_cors_origins"], middle.details["new_cors_origins"]
    assert ("https://page50." in old, "https://new." in new) == (True, True)
    assert [text[0] + text[-1] for text in (old, new)] == ["……", "……"]
    assert last.details["new_cors_origins"].endswith('"https://last.example.com"]')


def test_where_nobody_can_read_what_was_the_event_tells_what_is(kit: TenantKit) -> None:
    for revision, broken in ((1, b"\xff"), (3, b""), (5, b"[]")):
        store(kit, broken, revision)
        change(kit, {"name": "New"}, revision)
        event = kit.run(kit.tenant().passkeys.list_events(EventFilter())).events[0]
        assert (event.details["new_name"], "old_name" in event.details) == ('"New"', False)


def test_half_a_character_is_told_as_none(kit: TenantKit) -> None:
    """JSON can hold one, as another release may have stored it; a store of events cannot."""
    store(kit, b'{"name": "\\ud800\\u00e9"}', 1)
    change(kit, {"name": "é"}, 1)
    (event,) = kit.run(kit.tenant().passkeys.list_events(EventFilter())).events
    assert (event.details["old_name"], event.details["new_name"]) == ('"?é"', '"é"')


def test_what_only_a_tenant_of_the_same_rp_id_forbids_is_not_stored(tmp_path: Path) -> None:
    """Both share one file of related origins, in which there is room for five labels."""
    with tenant_kit(tmp_path, bank_more='rp_id = "example.com"', shop_more='rp_id = "example.com"') as kit:
        change(kit, {"related_origins": [f"https://site{number}.example" for number in range(5)]})
        with pytest.raises(ConfigurationError) as caught:
            kit.run(kit.tenants.change("bank", {"related_origins": ["https://one.more"]}, revision=0))
        assert caught.value.path == "related_origins"
        assert kit.run(kit.tenants.changes_of("bank")) is None
        kit.run(kit.tenants.change("bank", {"related_origins": ["https://site0.example"]}, revision=0))


def test_what_does_not_go_is_not_stored(kit: TenantKit) -> None:
    for values in ({"origins": ["https://elsewhere.example"]}, {"api_keys": ["x" * 32]}, {"secret": "x" * 32}):
        with pytest.raises(ConfigurationError):
            change(kit, values)
    with pytest.raises(ConfigurationError):
        kit.run(kit.tenants.change("nobody", {}, revision=0))
    assert kit.run(kit.tenants.changes_of("shop")) is None
    assert kit.run(kit.tenant().passkeys.list_events(EventFilter())).events == ()


def test_who_has_not_seen_the_latest_changes_changes_nothing(kit: TenantKit, other: Process) -> None:
    change(kit, ORIGINS)
    with pytest.raises(ConflictError):
        kit.run(other.tenants.change("shop", {"name": "Other"}, revision=0))
    assert list(kit.tenant().settings.config.origins) == ORIGINS["origins"]
    assert kit.tenant().settings.config.name == "Shop"


def test_a_change_is_audited(kit: TenantKit) -> None:
    change(kit, ORIGINS | {"name": "New"})
    (event,) = kit.run(kit.tenant().passkeys.list_events(EventFilter())).events
    assert event.type is EventType.SETTINGS_CHANGED
    assert event.details == {
        "keys": "origins, name",
        "revision": "1",
        "old_name": '"Shop"',
        "new_name": '"New"',
        "old_origins": "-",
        "new_origins": json.dumps(ORIGINS["origins"]),
    }
    stored = kit.run(kit.tenants.changes_of("shop"))
    assert stored is not None
    assert (json.loads(stored.values), stored.revision) == (ORIGINS | {"name": "New"}, 1)


def test_events_wait_for_their_delivery_from_when_a_tenant_wants_them(kit: TenantKit, other: Process) -> None:
    """Without any webhook nothing is kept for one; the first change that names one starts it, in every process."""
    kept = [kit.storage.repository.keeps_outbox]
    change(kit, {"webhook_url": "https://shop.example.com/hook"})
    kept += [kit.storage.repository.keeps_outbox, other.storage.repository.keeps_outbox]
    other.origins()
    assert [*kept, other.storage.repository.keeps_outbox] == [False, True, False, True]


# --- Whose token ---


def token_of(kit: TenantKit, tenant_id: str) -> str:
    tracked = kit.run(kit.tenant(tenant_id).actions.track("ada", "sign-in", client=ClientInfo()))
    assert tracked.token is not None
    return tracked.token


def test_a_token_names_its_tenant(kit: TenantKit) -> None:
    """Also when it has expired: then the tenant's service says so."""
    tokens = {tenant_id: token_of(kit, tenant_id) for tenant_id in ("shop", "bank")}
    for age in (timedelta(0), timedelta(days=400)):
        kit.clock.time += age
        for tenant_id, token in tokens.items():
            tenant = kit.run(kit.tenants.by_token(token))
            assert tenant is not None
            assert tenant.tenant_id == tenant_id


def test_what_is_no_token_of_an_action_names_nobody(kit: TenantKit) -> None:
    token = token_of(kit, "shop")
    head, body, signature = token.split(".")
    other = kit.tenants.tokens.issue(
        "passkeycore/other", {"realm": "shop"}, expires_at=kit.clock.time + timedelta(1), now=kit.clock.time
    )
    nowhere = kit.tenants.tokens.issue(
        "passkeycore/action", {"realm": "nobody"}, expires_at=kit.clock.time + timedelta(1), now=kit.clock.time
    )
    nobody = kit.tenants.tokens.issue(
        "passkeycore/action", {}, expires_at=kit.clock.time + timedelta(1), now=kit.clock.time
    )
    later = kit.clock.time + timedelta(minutes=5)
    future = kit.tenants.tokens.issue(
        "passkeycore/action", {"realm": "shop"}, expires_at=later + timedelta(1), now=later
    )
    flipped = signature[:-2] + ("AA" if signature[-2:] != "AA" else "BB")
    for wrong in (
        future,
        "",
        "x",
        other,
        nowhere,
        nobody,
        f"{head}.{body}.{flipped}",
        f"{head}.{body}.",
        "\ud800",
        "." * 9_000,
    ):
        assert kit.run(kit.tenants.by_token(wrong)) is None


def test_a_tenants_origins_may_call_it(kit: TenantKit) -> None:
    """Web origins of the configuration and of ``cors_origins``; for None those of all tenants."""
    shop = {"https://shop.example.com", "https://www.shop.example"}
    assert kit.run(kit.tenants.origins_of("shop")) == shop
    assert kit.run(kit.tenants.origins_of("bank")) == {"https://bank.example.com"}
    assert kit.run(kit.tenants.origins_of(None)) == shop | {"https://bank.example.com"}
    assert kit.run(kit.tenants.origins_of("nobody")) == frozenset()
    change(kit, {"origins": ["android:apk-key-hash:" + "A" * 43, "https://shop.example.com"], "cors_origins": []})
    assert kit.run(kit.tenants.origins_of("shop")) == {"https://shop.example.com"}


def test_who_asks_for_the_origins_of_a_tenant_has_no_other_looked_up(kit: TenantKit) -> None:
    kit.tenant()  # the first who asks creates the tables
    for tenant_id in ("shop", "bank"):
        with sent_by(kit.storage.database._engine) as statements:
            assert kit.run(kit.tenants.origins_of(tenant_id))
        assert len(statements) == 1


def test_the_origins_of_all_tenants_are_kept_in_mind_for_a_second(kit: TenantKit, other: Process) -> None:
    kit.run(other.storage.repository.find_overrides(""))  # the first who asks creates the tables
    with sent_by(other.storage.database._engine) as statements:
        for passed, sent in ((0.0, 2), (0.9, 2), (0.1, 4)):
            other.seconds.now += passed
            assert len(kit.run(other.tenants.origins_of(None))) == 3
            assert len(statements) == sent


def test_a_tenant_that_cannot_be_looked_up_takes_its_own_origins_from_nobody_else(
    kit: TenantKit, caplog: pytest.LogCaptureFixture
) -> None:
    """Among the origins of all; the log says whose are missing, and nothing of what the driver says."""

    def fail(_connection: object, _cursor: object, _statement: str, parameters: tuple[object, ...], *_: object) -> None:
        if "bank" in parameters:
            raise sqlite3.OperationalError("a disk that fails")

    sqlalchemy_event.listen(kit.storage.database._engine, "before_cursor_execute", fail)
    assert kit.run(kit.tenants.origins_of(None)) == {"https://shop.example.com", "https://www.shop.example"}
    assert "the origins of bank are not known: OperationalError" in caplog.text
    assert "a disk that fails" not in caplog.text
    with pytest.raises((OperationalError, sqlite3.OperationalError)):  # which, is for SQLAlchemy's version to say
        kit.run(kit.tenants.origins_of("bank"))


def test_ceremonies_wait_in_redis_where_there_is_one(tmp_path: Path, redis_url: str) -> None:
    more = f'redis = "{redis_url}"'
    with tenant_kit(tmp_path, more=more) as kit:
        tenant, browser = kit.tenant(), kit.virtual_client()
        start = kit.run(tenant.passkeys.start_registration(user_id="ada", user_name="Ada"))
        kit.run(tenant.passkeys.finish_registration(browser.create(start.to_dict()), user_id="ada"))
        assert kit.run(kit.storage.answers())


def test_a_file_says_what_is_needed(tmp_path: Path) -> None:
    """The kit's own file is a file as any."""
    text = file_text(f"sqlite:///{tmp_path}/x.db")
    assert set(parse_server(text, name="x", format="toml").tenants) == {"shop", "bank"}
