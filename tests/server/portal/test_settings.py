"""A tenant's settings as the operator edits them: over the file, live, audited, never half, never somebody else's."""

import json

import pytest

from passkeycore.engine.records import EventFilter, EventType
from passkeycore.server.live import LiveTenants
from passkeycore.server.portal.rules_text import read_rules, rules_text
from passkeycore.server.storage import Storage
from tests.server.kit import TenantKit

from .kit import Operator, fields

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
        ("related_origins", "\r\n".join(f"https://site{n}.example" for n in range(7)), "more than 5 labels"),
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


def test_a_change_is_an_event_that_names_keys_and_no_values(operator: Operator, kit: TenantKit) -> None:
    operator.send(PAGE, {**operator.fields(PAGE), "webhook_url": "https://example.com/hook?token=not-for-the-log"})
    events = kit.run(kit.tenant().passkeys.list_events(EventFilter(types=(EventType.SETTINGS_CHANGED,)))).events
    assert [dict(event.details) for event in events] == [{"keys": "webhook_url", "revision": "1"}]
    assert "not-for-the-log" not in operator.get("/tenants/shop/events").text


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
