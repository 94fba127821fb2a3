"""A tenant's settings as the operator edits them: over the file, live, audited, never half, never somebody else's."""

import json
import re
from pathlib import Path

import pytest

from passkeycore.engine.records import EventFilter, EventType
from passkeycore.engine.tenancy.records import Overrides
from passkeycore.server.portal.rules_text import read_rules, rules_text
from passkeycore.server.tenancy.live import LiveTenants
from passkeycore.server.tenancy.storage import Storage
from tests.server.kit import TenantKit

from .kit import Operator, fields, portal_kit

PAGE = "/tenants/shop/settings"
FINGERPRINT = ":".join(["AB"] * 32)


def stored(kit: TenantKit) -> dict[str, object]:
    found = kit.run(kit.tenants.changes_of("shop"))
    return {} if found is None else json.loads(found.values)


def test_what_is_not_changed_is_not_stored(operator: Operator, kit: TenantKit) -> None:
    """The form as it comes, sent back: no key is laid over the file, and the rules are as they were."""
    before = kit.tenant().settings
    assert operator.send(PAGE, operator.fields(PAGE)).status_code == 303
    assert stored(kit) == {}
    after = kit.tenant().settings
    assert (after.config, after.rules, after.redirect_urls) == (before.config, before.rules, before.redirect_urls)


def test_a_change_lies_over_the_file_and_back(operator: Operator, kit: TenantKit) -> None:
    form = operator.fields(PAGE)
    changed = {"name": "The Shop", "redirect_urls": "https://shop.example.com\r\n", "number_matching": "true"}
    answer = operator.send(PAGE, {**form, **changed, "max_passkeys_per_user": "3"})
    assert answer.headers["location"] == "/portal/tenants/shop/settings?done=saved"
    assert stored(kit) == {
        "name": "The Shop",
        "redirect_urls": ["https://shop.example.com"],
        "number_matching": True,
        "max_passkeys_per_user": 3,
    }
    settings = kit.tenant().settings
    assert (settings.config.name, settings.number_matching, settings.revision) == ("The Shop", True, 1)
    page = operator.get(f"{PAGE}?done=saved").text
    assert "in force" in page
    assert "In the file: <code>Shop</code>" in page
    form = operator.fields(PAGE)
    assert form["name"] == "The Shop"
    operator.send(PAGE, {**form, "name": "", "number_matching": "", "max_passkeys_per_user": ""})
    assert stored(kit) == {"redirect_urls": ["https://shop.example.com"]}
    assert kit.tenant().settings.config.name == "Shop"


def test_keys_of_clients_are_live(operator: Operator, kit: TenantKit) -> None:
    form = {**operator.fields(PAGE), "default_action": "login", "challenge_unenrolled": "true"}
    assert operator.send(PAGE, form).status_code == 303
    settings = kit.tenant().settings
    assert (settings.default_action, settings.challenge_unenrolled) == ("login", True)
    assert operator.send(PAGE, {**operator.fields(PAGE), "default_action": "log in"}).status_code == 422


def test_a_form_that_changes_nothing_writes_nothing(operator: Operator, kit: TenantKit) -> None:
    """Neither a revision nor an event, whatever was changed before."""
    operator.send(PAGE, {**operator.fields(PAGE), "name": "The Shop", "rules": '[default]\ndefault = "BLOCK"'})
    before = kit.run(kit.tenants.changes_of("shop"))
    answer = operator.send(PAGE, operator.fields(PAGE))
    assert answer.headers["location"].endswith("?done=same")
    assert kit.run(kit.tenants.changes_of("shop")) == before
    assert len(kit.run(kit.tenant().passkeys.list_events(EventFilter())).events) == 1
    assert "Nothing was changed" in operator.get(f"{PAGE}?done=same").text


def test_a_form_without_a_field_is_none_of_ours(operator: Operator, kit: TenantKit) -> None:
    """What a page of an older release does not have is not taken for what its operator has emptied."""
    form = operator.fields(PAGE)
    for missing in form:
        sent = {name: value for name, value in form.items() if name != missing}
        answer = operator.send(PAGE, sent)
        assert answer.status_code == 400, missing
        assert "incomplete" in answer.text
    assert operator.send(PAGE, {**form, "revision": "x"}).status_code == 400
    assert stored(kit) == {}


def test_a_text_of_the_file_can_be_switched_off(tmp_path: Path) -> None:
    """Where its key may be without one; and it comes back as the file has it."""
    with portal_kit(tmp_path, bank_more='webhook_url = "http://localhost:9/hook"\nrp_id = "example.com"') as (kit, app):
        operator, page = Operator(kit, app), "/tenants/bank/settings"
        operator.sign_in()
        assert operator.get(page).text.count('type="checkbox" name="none"') == 3
        form = {**operator.fields(page), "webhook_url": "", "name": "", "rp_id": ""}
        answer = operator.send(page, {**form, "none": ["webhook_url", "name", "rp_id", "hostname", "origins"]})
        assert answer.status_code == 303
        settings = kit.tenant("bank").settings
        assert (settings.webhook_url, settings.config.name, settings.config.rp_id) == (None, None, "bank.example.com")
        text = operator.get(page).text
        assert text.count(" checked") == 3
        assert fields(text)["webhook_url"] == ""
        refused = operator.send(page, {**operator.fields(page), "name": "Both", "none": ["name"]})
        assert refused.status_code == 422
        assert "either a value, or none" in refused.text
        operator.send(page, operator.fields(page))
        assert kit.tenant("bank").settings.webhook_url == "http://localhost:9/hook"


@pytest.mark.parametrize(
    "url",
    [
        *("https://localhost/x", "https://LOCALHOST./x", "https://shop.localhost/x", "https://127.0.0.1/x"),
        *("https://127.1/x", "https://2130706433/x", "https://0x7f000001/x", "https://[::1]/x", "https://10.1.2.3/x"),
        *("https://[::ffff:10.0.0.1]/x", "https://[64:ff9b::a00:1]/x", "https://169.254.169.254/latest", "https://x/"),
        *(
            "https://[fe80::1]/x",
            "https://metadata.google.internal/x",
            "http://example.com/x",
            "https://[::127.0.0.1]/",
        ),
        *("http://localhost:8000/x", "https://192.168.0.1.:443/x", "https://100.64.0.1/x", "https://[2002:7f00:1::]/x"),
    ],
)
def test_webhooks_lead_out_of_the_servers_network(operator: Operator, kit: TenantKit, url: str) -> None:
    """Who looks after the portal cannot have the server ask what is behind its firewall. The file may."""
    answer = operator.send(PAGE, {**operator.fields(PAGE), "webhook_url": url})
    assert answer.status_code == 422
    assert "private address" in answer.text.partition('id="webhook_url-wrong">')[2].partition("</p>")[0]
    assert stored(kit) == {}


@pytest.mark.parametrize("url", ["https://example.com/x?y", "https://8.8.8.8:8443/", "https://[2606:4700::1111]/x"])
def test_webhooks_go_to_hosts_on_the_internet(operator: Operator, kit: TenantKit, url: str) -> None:
    assert operator.send(PAGE, {**operator.fields(PAGE), "webhook_url": url}).status_code == 303
    assert kit.tenant().settings.webhook_url == url


def test_another_rp_id_is_said_twice_where_there_are_users(operator: Operator, kit: TenantKit) -> None:
    """Else one slip of the hand takes everybody's passkeys; whichever field it follows from."""
    kit.run(kit.tenant().passkeys.get_or_create_user("ada", "Ada"))
    other = {"hostname": "shop.example.org", "redirect_urls": "", "frame_origins": "", "cors_origins": ""}
    for change, new in (({"rp_id": "example.com"}, "example.com"), (other, "shop.example.org")):
        for confirmed in ({}, {"confirm_rp_id": ""}, {"confirm_rp_id": "shop.example.com"}, {"confirm_rp_id": "x"}):
            answer = operator.send(PAGE, {**operator.fields(PAGE), **change, **confirmed})
            assert answer.status_code == 422
            assert f"write {new} here" in answer.text
            assert 'id="rp_id-wrong"' in answer.text
        assert kit.tenant().settings.config.rp_id == "shop.example.com"
    assert "confirm_rp_id" not in operator.get(PAGE).text
    confirmed = {"rp_id": "example.com", "confirm_rp_id": "example.com"}
    assert operator.send(PAGE, {**operator.fields(PAGE), **confirmed}).status_code == 303
    assert kit.tenant().settings.config.rp_id == "example.com"
    assert operator.send(PAGE, {**operator.fields(PAGE), "name": "Same RP ID"}).status_code == 303


def test_another_rp_id_is_nothing_where_there_is_nobody(operator: Operator, kit: TenantKit) -> None:
    assert operator.send(PAGE, {**operator.fields(PAGE), "rp_id": "example.com"}).status_code == 303
    assert kit.tenant().settings.config.rp_id == "example.com"


@pytest.mark.parametrize("values", [b'{"rp_id": "other.example"}', b"[]", b"", b'{"later": 1}'])
def test_a_tenant_that_is_not_served_can_be_mended(operator: Operator, kit: TenantKit, values: bytes) -> None:
    """The portal shows what is wrong, and what is saved there is served at once."""
    overrides = Overrides(values=values, updated_at=kit.clock.time, revision=1, realm="shop")
    kit.run(kit.storage.repository.replace_overrides(overrides, None))
    assert list(kit.run(kit.tenants.problems())) == ["shop"]
    assert "not served" in operator.get("/").text
    for page in ("", "/users", "/events", "/keys", "/settings"):
        assert operator.get(f"/tenants/shop{page}").status_code == 200
    assert 'class="message error' in operator.get(PAGE).text
    form = {**operator.fields(PAGE), "rp_id": "", "name": "Mended"}
    assert operator.send(PAGE, form).status_code == 303
    assert kit.tenant().settings.config.name == "Mended"
    assert "not served" not in operator.get("/").text


def test_rules_nest_no_deeper_than_they_can_be_read_again(operator: Operator, kit: TenantKit) -> None:
    """The deepest that is taken comes back as it was; one more is refused at its field, by whatever spelling."""

    def rules(depth: int) -> str:
        inner = '{ custom = { a = { equals = "x" } } }'
        for _ in range(depth):
            inner = f"{{ any_of = [{inner}] }}"
        return f'[[actions.a.rules]]\nid = "deep"\noutcome = "BLOCK"\nwhen = {inner}'

    assert operator.send(PAGE, {**operator.fields(PAGE), "rules": rules(3)}).status_code == 303
    before = stored(kit)
    assert read_rules(operator.fields(PAGE)["rules"])["actions"] == before["actions"]
    headers = "[[actions.a.rules]]\nid = 'x'\noutcome = 'BLOCK'\n" + "".join(
        f"[[actions.a.rules.when{'.any_of' * depth}]]\n" for depth in range(1, 12)
    )
    for text in (rules(4), rules(12), rules(500), headers, "x = " + "[" * 5_000):
        answer = operator.send(PAGE, {**operator.fields(PAGE), "rules": text})
        assert answer.status_code == 422
        assert 'id="rules-wrong"' in answer.text
    assert stored(kit) == before


def test_a_list_of_the_file_can_be_emptied(operator: Operator, kit: TenantKit) -> None:
    """To take away where users may be sent is what an operator does in a hurry."""
    operator.send(PAGE, {**operator.fields(PAGE), "redirect_urls": " \r\n"})
    assert stored(kit) == {"redirect_urls": []}
    assert kit.tenant().settings.redirect_urls == ()


def test_apps_become_origins_and_well_known_files(operator: Operator, kit: TenantKit) -> None:
    """What a certificate becomes is shown, and the files that follow are served at once."""
    form = operator.fields(PAGE)
    apps = f"com.example.shop\r\n{FINGERPRINT.lower()}\r\n{'CD' * 32}\r\ncom.example.till\r\n{FINGERPRINT}"
    operator.send(PAGE, {**form, "android_apps": apps, "ios_apps": "ABCDE12345.com.example.shop"})
    config = kit.tenant().settings.config
    assert [app.package_name for app in config.android_apps] == ["com.example.shop", "com.example.till"]
    page = operator.get(PAGE).text
    for origin in config.android_apps[0].origins():
        assert f"<code>{origin}</code>" in page
        assert origin in config.origins
    assert "https://shop.example.com/.well-known/assetlinks.json" in page
    host = {"Host": "shop.example.com"}
    assert "com.example.till" in operator.http.get("/.well-known/assetlinks.json", headers=host).text
    assert operator.http.get("/.well-known/apple-app-site-association", headers=host).status_code == 200
    assert operator.send(PAGE, operator.fields(PAGE)).status_code == 303
    assert len(kit.tenant().settings.config.android_apps[0].sha256_fingerprints) == 2


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("origins", "https://shop.example.com\r\nhttp://evil", "entry 2"),
        ("origins", "https://shop.example.com/path", "entry 1"),
        ("rp_id", "example.org", "neither the hostname nor a domain above it"),
        ("hostname", "Shop.Example", "is not a domain in lower-case"),
        ("redirect_urls", "javascript:", "entry 1"),
        ("android_apps", "com.example.shop\r\nnot a fingerprint", "entry 1"),
        ("android_apps", f"com.example.shop\r\n{FINGERPRINT[:-3]}", "entry 1, fingerprint 1"),
        ("max_passkeys_per_user", "11", "from 1 to 10"),
        ("max_passkeys_per_user", "many", "from 1 to 10"),
        ("max_passkeys_per_user", "9" * 5000, "from 1 to 10"),
        ("webhook_url", "http://example.com/x", "https"),
        ("webhook_format", "other", "standard or authsignal"),
        ("number_matching", "perhaps", "true or false"),
        (
            *("related_origins", "\r\n".join(f"https://site{n}.example" for n in range(6))),
            "related origins are of more than 5 labels, the names before",
        ),
        (
            "android_apps",
            f"com.example.shop\r\n{FINGERPRINT.replace(':', ' ')}",
            "entry 1, fingerprint 1: the fingerprint",
        ),
        ("android_apps", f"{FINGERPRINT.replace(':', ' ')}", "entry 1: the package name of the Android app"),
        ("android_apps", "com.example.shop", "entry 1: no SHA-256 fingerprint of the Android app"),
        ("name", "x" * 300, "1 to 255"),
    ],
)
def test_a_value_that_does_not_go_is_shown_at_its_field(
    operator: Operator, kit: TenantKit, field: str, text: str, message: str
) -> None:
    """And nothing of the form is stored, however good the rest of it; what was written stays there."""
    form = operator.fields(PAGE)
    answer = operator.send(PAGE, {**form, "name": "Other", field: text})
    assert answer.status_code == 422
    said = answer.text.partition(f'id="{field}-wrong">')[2].partition("</p>")[0]
    assert message in said
    assert "Nothing is saved" in answer.text
    assert stored(kit) == {}
    assert kit.tenant().settings.config.name == "Shop"
    if field not in ("webhook_format", "number_matching"):  # of which a browser knows no others
        assert fields(answer.text)[field].split() == text.split()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[default]\r\ndefault = "PERHAPS"', 2, "default"),
        ('[default]\r\n\r\ndefault = "ALLOW"\r\nunknown = 1', 4, "unknown"),
        ("[default]\r\ndefault = ", 2, "not TOML"),
        ('name = "Evil"', 1, "unknown key"),
        ('api_keys = ["0123456789012345678901234567890123456789"]', 1, "unknown key"),
    ],
)
def test_a_mistake_in_the_rules_is_shown_at_its_line(
    operator: Operator, kit: TenantKit, text: str, line: int, message: str
) -> None:
    answer = operator.send(PAGE, {**operator.fields(PAGE), "rules": text})
    assert answer.status_code == 422
    said = answer.text.partition('id="rules-wrong">')[2].partition("</p>")[0]
    assert said.startswith(f"line {line}: ")
    assert message in said
    excerpt = answer.text.partition('<pre class="excerpt"')[2].partition("</pre>")[0]
    assert f'<span class="it"><b>{line}</b>' in excerpt
    assert stored(kit) == {}


def test_what_a_field_says_describes_it_is_there(operator: Operator) -> None:
    """Every id of an ``aria-describedby`` is on the page, whatever is wrong with the form."""
    wrong = {"rp_id": "example.org", "webhook_format": "other", "rules": "x", "name": "x" * 300, "ios_apps": "x"}
    answers = [operator.get(PAGE), operator.send(PAGE, {**operator.fields(PAGE), **wrong})]
    answers.append(operator.post("/sign-in", {"secret": "x"}))
    for answer in answers:
        named = {one for text in re.findall(r'aria-describedby="([^"]*)"', answer.text) for one in text.split(" ")}
        assert named
        assert named <= {*re.findall(r' id="([^"]+)"', answer.text)}


def test_a_mistake_in_the_rules_hides_no_other(operator: Operator, kit: TenantKit) -> None:
    form = {**operator.fields(PAGE), "rules": "x", "hostname": "Wrong", "name": "Good"}
    answer = operator.send(PAGE, form)
    assert answer.status_code == 422
    assert 'id="rules-wrong"' in answer.text
    assert 'id="hostname-wrong"' in answer.text
    assert stored(kit) == {}
    assert operator.send(PAGE, {**form, "hostname": "shop.example.com"}).status_code == 422
    assert stored(kit) == {}


def test_rules_are_live_and_can_be_taken_away(operator: Operator, kit: TenantKit) -> None:
    rules = '[default]\r\ndefault = "BLOCK"\r\n'
    operator.send(PAGE, {**operator.fields(PAGE), "rules": rules})
    tracked = kit.run(kit.tenant().actions.track("ada", "transfer"))
    assert tracked.state == "BLOCK"
    assert stored(kit) == {"actions": {}, "default": {"default": "BLOCK"}}
    operator.send(PAGE, {**operator.fields(PAGE), "rules": operator.fields("/tenants/shop/settings")["rules"]})
    assert stored(kit) == {"actions": {}, "default": {"default": "BLOCK"}}


def test_rules_survive_being_written_and_read() -> None:
    """Names that need quotes, times, nested conditions, characters that TOML escapes: the same values again."""
    text = """
failure_window_s = 60
[default]
default = "REVIEW"
[actions."a-b"]
allowed_methods = ["passkey", "push"]
[[actions."a-b".rules]]
id = "night"
outcome = "BLOCK"
when = { time_of_day = { zone = "Europe/Berlin", start = 22:00:00, end = "06:00" }, device_known = false }
[[actions."a-b".rules]]
id = "odd"
outcome = "ALLOW"
when = { any_of = [{ custom = { "a b" = { equals = "\\u007f\\"\u2028\U0001f600" }, n = { at_least = 1.5 } } }] }
"""
    values = read_rules(text)
    assert read_rules(rules_text(values)) == values
    assert values["actions"]["a-b"]["rules"][0]["when"]["time_of_day"]["start"] == "22:00:00"
    assert rules_text({}) == ""


def test_who_comes_second_sees_what_the_first_has_stored(operator: Operator, kit: TenantKit) -> None:
    """Nothing is overwritten unseen: a conflict is shown with their values, and then it can be."""
    mine, theirs = operator.fields(PAGE), operator.fields(PAGE)
    operator.send(PAGE, {**theirs, "name": "Theirs"})
    answer = operator.send(PAGE, {**mine, "name": "Mine"})
    assert answer.status_code == 409
    assert "Somebody else has changed the settings" in answer.text
    assert "Theirs" in answer.text.partition('id="name-theirs">')[2].partition("</div>")[0]
    assert 'id="hostname-theirs"' not in answer.text
    assert kit.tenant().settings.config.name == "Theirs"
    form = fields(answer.text)
    assert (form["name"], form["revision"]) == ("Mine", "1")
    assert operator.send(PAGE, form).status_code == 303
    assert kit.tenant().settings.config.name == "Mine"


def test_a_change_is_in_force_in_another_process(operator: Operator, kit: TenantKit) -> None:
    storage = Storage(kit.settings)
    other = LiveTenants(kit.settings, storage, refresh_s=0, now=kit.clock)
    try:
        operator.send(PAGE, {**operator.fields(PAGE), "name": "Changed"})
        tenant = kit.run(other.by_id("shop"))
        assert tenant is not None
        assert tenant.settings.config.name == "Changed"
    finally:
        kit.run(storage.close())


def test_a_change_is_an_event_that_tells_old_and_new_values_and_never_a_secret(
    operator: Operator, kit: TenantKit
) -> None:
    """Who, what it was and what it is. Of a webhook's URL, which may hold a password, only that it was changed."""
    url = "https://example.com/hook?token=not-for-the-log"
    operator.send(PAGE, {**operator.fields(PAGE), "webhook_url": url, "name": "<i>New", "redirect_urls": ""})
    (event,) = kit.run(kit.tenant().passkeys.list_events(EventFilter(types=(EventType.SETTINGS_CHANGED,)))).events
    before = list(kit.settings.tenants["shop"].settings.redirect_urls)
    assert dict(event.details) == {
        "keys": "name, redirect_urls, webhook_url",
        "revision": "1",
        "by": "operator",
        "session": event.details["session"],
        "old_name": '"Shop"',
        "new_name": '"<i>New"',
        "old_redirect_urls": json.dumps(before),
        "new_redirect_urls": "[]",
    }
    page = operator.get("/tenants/shop/events").text
    assert "<b>new_name</b> &#34;&lt;i&gt;New&#34;" in page
    assert "not-for-the-log" not in page + repr(event)


def test_an_event_says_who_changed_what_this_time(operator: Operator, kit: TenantKit) -> None:
    """The session, and what this save changed or took back."""
    operator.send(PAGE, {**operator.fields(PAGE), "name": "New", "number_matching": "true"})
    operator.send(PAGE, {**operator.fields(PAGE), "name": "", "cors_origins": ""})
    events = kit.run(kit.tenant().passkeys.list_events(EventFilter())).events
    assert [event.details["keys"] for event in events] == ["cors_origins, name", "name, number_matching"]
    assert {event.details["by"] for event in events} == {"operator"}
    (session,) = {event.details["session"] for event in events}
    operator.sign_in()
    operator.send(PAGE, {**operator.fields(PAGE), "name": "Newer"})
    newest = kit.run(kit.tenant().passkeys.list_events(EventFilter())).events[0]
    assert re.fullmatch("[0-9a-f]{16}", session)
    assert newest.details["session"] != session


def test_the_other_tenant_stays_as_it_is(operator: Operator, kit: TenantKit) -> None:
    before = kit.tenant("bank").settings
    operator.send(PAGE, {**operator.fields(PAGE), "name": "Bank"})
    assert kit.tenant("bank").settings == before
    assert operator.get("/tenants/nobody/settings").status_code == 404


def test_what_operators_write_is_text_to_a_browser(operator: Operator) -> None:
    evil = "</textarea><script>alert(1)</script>"
    answer = operator.send(PAGE, {**operator.fields(PAGE), "origins": evil, "name": '"><b>'})
    assert evil not in answer.text
    assert '"><b>' not in answer.text
