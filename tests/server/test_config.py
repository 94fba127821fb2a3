"""The configuration of a server: what follows from each key, what is refused, and what an operator may change."""

import json
import re
from pathlib import Path

import pytest

from passkeycore import ConfigurationError
from passkeycore.config.server import (
    OVERRIDABLE,
    IntegrationKey,
    Limits,
    ServerSettings,
    describe_server,
    load_server,
    parse_server,
    tenant_settings,
    tenant_values,
)
from passkeycore.config.server_keys import SERVER_KEYS, TENANT_KEYS

SECRET, OTHER, THIRD = (f"{name} secret of thirty-two bytes or more" for name in ("first", "second", "third"))
LEAST = f"""
base_url = "https://auth.example.com"
secret = "{SECRET}"
[tenants.shop]
hostname = "shop.example.com"
"""


def parse(text: str) -> ServerSettings:
    return parse_server(text, name="passkeycore.toml", format="toml")


def test_little_is_needed() -> None:
    """Base URL, a secret and one tenant's hostname; all else has a default."""
    settings = parse(LEAST)
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert (settings.database, settings.redis, settings.operator_secret) == ("sqlite:///passkeycore.db", None, None)
    assert (settings.secrets, settings.limits, settings.body_bytes) == ((SECRET.encode(),), Limits(), 65_536)
    shop = settings.tenants["shop"].settings
    assert (shop.tenant_id, shop.config.realm, shop.revision) == ("shop", "shop", 0)
    assert (shop.config.rp_id, shop.config.origins) == ("shop.example.com", ("https://shop.example.com",))
    assert (shop.api_keys, shop.integration_keys, shop.redirect_urls) == ((), (), ())
    assert (shop.default_action, shop.challenge_unenrolled) == ("sign-in", False)


def test_everything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key of both tables fills its field; secrets come from the file, the environment, or a file of their own."""
    monkeypatch.setenv("SHOP_KEY", THIRD)
    (tmp_path / "operator").write_text("operator secret, of 32 bytes or more\n")
    (tmp_path / "passkeycore.toml").write_text(
        f"""
        base_url = "https://auth.example.com:8443/passkeys"
        host = "::1"
        port = 0
        workers = 4
        database = "postgresql://db/passkeycore"
        redis = "redis://cache"
        secret = "{SECRET}"
        previous_secrets = ["{OTHER}"]
        operator_secret_file = "operator"
        body_bytes = 100000
        body_timeout_s = 5
        trusted_proxies = ["10.0.0.0/8", "::1"]
        limits = {{ per_tenant = "1/second", per_address = "2/hour", per_user = "3/day" }}
        [tenants.shop]
        hostname = "www.shop.example"
        rp_id = "shop.example"
        top_origins = ["https://partner.example"]
        redirect_urls = ["https://www.shop.example", "http://localhost:3000", "com.example.shop:", "myapp:"]
        frame_origins = ["https://www.shop.example", "https://partner.example"]
        cors_origins = ["https://m.shop.example"]
        webhook_url = "https://www.shop.example/hook?a=b"
        webhook_format = "authsignal"
        number_matching = true
        default_action = "Log_in-1"
        challenge_unenrolled = true
        api_key_env = "SHOP_KEY"
        api_keys = ["one api key, of thirty-two bytes or so"]
        integration_keys = [{{ key = "one integration key, of 32 bytes or so", commands = ["A", "B"] }}]
        failure_window_s = 60
        [tenants.shop.default]
        default = "ALLOW"
        [[tenants.shop.actions.transfer.rules]]
        id = "large"
        outcome = "BLOCK"
        when = {{ custom = {{ amount = {{ at_least = 1000 }} }} }}
        """
    )
    settings = load_server(tmp_path / "passkeycore.toml")
    assert settings.base_url == "https://auth.example.com:8443/passkeys"
    assert (settings.host, settings.port, settings.workers) == ("::1", 0, 4)
    assert settings.secrets == (SECRET.encode(), OTHER.encode())
    assert settings.operator_secret == b"operator secret, of 32 bytes or more"
    assert (settings.body_bytes, settings.body_timeout_s) == (100_000, 5)
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert settings.limits == Limits(per_tenant="1/second", per_address="2/hour", per_user="3/day")
    shop = settings.tenants["shop"].settings
    assert shop.config.top_origins == ("https://partner.example",), "frames of pages are none of other ceremonies"
    assert shop.frame_origins == ("https://www.shop.example", "https://partner.example")
    assert shop.redirect_urls[1:] == ("http://localhost:3000", "com.example.shop:", "myapp:")
    assert (shop.cors_origins, shop.number_matching) == (("https://m.shop.example",), True)
    assert (shop.default_action, shop.challenge_unenrolled) == ("Log_in-1", True)
    assert (shop.webhook_url, shop.webhook_format) == ("https://www.shop.example/hook?a=b", "authsignal")
    assert shop.api_keys == (THIRD.encode(), b"one api key, of thirty-two bytes or so")
    key = IntegrationKey(key=b"one integration key, of 32 bytes or so", commands=("A", "B"))
    assert shop.integration_keys == (key,)
    assert (shop.rules.failure_window_s, shop.rules.default.default) == (60, "ALLOW")
    assert shop.rules.actions["transfer"].rules[0].outcome == "BLOCK"


ROOT = f"""
base_url = "https://auth.example.com"
secret = "{SECRET}"
{{line}}
[tenants.shop]
hostname = "shop.example.com"
{{tenant}}
"""

BROKEN_ROOT = [
    ("secret = 1", "secret"),
    ('previous_secrets = ["short"]', "previous_secrets[0]"),
    (f'previous_secrets = ["{SECRET}"]', "previous_secrets"),
    (f'operator_secret = "{SECRET}"', "operator_secret"),
    (f'operator_secret = "{OTHER}"\noperator_secret_env = "HOME"', "operator_secret_env"),
    ('operator_secret_env = "NO_SUCH_VARIABLE"', "operator_secret_env"),
    ('operator_secret_file = "no such file"', "operator_secret_file"),
    ("port = 65536", "port"),
    ("workers = 0", "workers"),
    ('database = "mysql://db"', "database"),
    ('redis = "http://cache"', "redis"),
    ('limits = { per_user = "0/minute" }', "limits.per_user"),
    ('limits = { per_user = "10/fortnight" }', "limits.per_user"),
    ('limits = { per_cat = "1/day" }', "limits.per_cat"),
    ("body_bytes = 1023", "body_bytes"),
    ("body_timeout_s = 121", "body_timeout_s"),
    ('trusted_proxies = ["everybody"]', "trusted_proxies[0]"),
    ('trusted_proxies = ["10.0.0.1/8"]', "trusted_proxies[0]"),
    ('realm = "shop"', "realm"),
    ('tenants.bank = { hostname = "bank.example" }\nbase = 1', "base"),
]


@pytest.mark.parametrize(("line", "path"), BROKEN_ROOT)
def test_a_wrong_key_of_the_file_is_named_with_its_line(line: str, path: str) -> None:
    """The error names file, line and key, and repeats no secret."""
    with pytest.raises(ConfigurationError) as caught:
        parse(ROOT.format(line=line, tenant=""))
    assert caught.value.path == path
    assert re.match(rf"passkeycore\.toml:[345]: {re.escape(path)}: ", caught.value.message)
    assert SECRET not in caught.value.message


BROKEN_TENANT = [
    ('hostname = "x"\nrp_id = "other.example"', "hostname"),
    ('rp_id = "other.example"', "rp_id"),
    ('origins = ["https://other.example"]', "origins"),
    *(
        (f'origins = ["https://shop.example.com", "{origin}"]', "origins[1]")
        for origin in ("javascript:alert(1)", "data:x", "chrome-extension://abcdef", "android:x", "https://a/b")
    ),
    ("related_origins = [" + ", ".join(f'"https://site{n}.example"' for n in range(7)) + "]", "related_origins"),
    ('database = "sqlite:///x"', "database"),
    ('realm = "x"', "realm"),
    (f'secret = "{OTHER}"', "secret"),
    *(
        (f'redirect_urls = ["{url}"]', "redirect_urls[0]")
        for url in (
            *("javascript:", "data:", "file:", "blob:", "about:", "vbscript:", "http:", "https:", "intent:"),
            *("http://shop.example.com", "https://shop.example.com/", "https://shop.example.com/path", "*", "x"),
            *("JavaScript:", "javascript:alert(1)", "com.example.shop://", "https://*.example.com", ""),
        )
    ),
    ('redirect_urls = "https://shop.example.com"', "redirect_urls"),
    ('frame_origins = ["com.example.shop:"]', "frame_origins[0]"),
    ('frame_origins = ["https://shop.example.com/x"]', "frame_origins[0]"),
    ('cors_origins = ["*"]', "cors_origins[0]"),
    ('cors_origins = ["null"]', "cors_origins[0]"),
    *(
        (f'webhook_url = "{url}"', "webhook_url")
        for url in (
            *("http://shop.example.com", "ftp://shop.example.com", "https://", "https://u:p@shop.example.com"),
            *("https://shop.example.com/#x", "https://shop.example.com\\\\x", "https://shop.example.com:0", "x"),
        )
    ),
    ('webhook_format = "other"', "webhook_format"),
    ("number_matching = 1", "number_matching"),
    ("challenge_unenrolled = 1", "challenge_unenrolled"),
    ('default_action = ""', "default_action"),
    ('default_action = "sign in"', "default_action"),
    (f'default_action = "{"x" * 65}"', "default_action"),
    ('passkey_config = "nowhere.jsonc"', "passkey_config"),
    ('passkey_config = "nowhere.yaml"', "passkey_config"),
    ("passkey_config = 1", "passkey_config"),
    ('api_keys = ["short"]', "api_keys[0]"),
    (f'api_keys = ["{OTHER}", "{OTHER}"]', "api_keys[1]"),
    (f'api_keys = ["{OTHER}"]\nintegration_keys = [{{ key = "{OTHER}" }}]', "integration_keys"),
    ('integration_keys = [{ commands = ["A"] }]', "integration_keys"),
    (f'integration_keys = [{{ key = "{OTHER}", commands = ["a b"] }}]', "integration_keys[0].commands[0]"),
    ("failure_window_s = 0", "failure_window_s"),
    ('default = { default = "MAYBE" }', "default.default"),
    ('actions = { "a b" = {} }', "actions.'a b'"),
    ('actions.transfer = { rules = [{ id = "a", outcome = "BLOCK" }] }', "actions.transfer.rules[0].when"),
]


@pytest.mark.parametrize(("line", "path"), BROKEN_TENANT)
def test_a_wrong_key_of_a_tenant_is_named_with_its_line(line: str, path: str) -> None:
    """The error names file, line, tenant and key, and repeats no secret."""
    with pytest.raises(ConfigurationError) as caught:
        parse(ROOT.format(line="", tenant=line))
    if not line.startswith("hostname"):  # which is TOML's to refuse
        assert caught.value.path == f"tenants.shop.{path}"
    assert re.match(r"passkeycore\.toml:[678]: ", caught.value.message)
    assert OTHER not in caught.value.message


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "base_url"),
        ('base_url = "https://auth.example.com/"', "base_url"),
        ('base_url = "http://auth.example.com"', "base_url"),
        ('base_url = "https://auth.example.com/a?b"', "base_url"),
        ('base_url = "https://auth.example.com"', "tenants"),
        (LEAST.replace("secret =", "# "), "secret"),
        (LEAST.replace("shop.example.com", "intranet"), "tenants.shop.hostname"),
        (LEAST + 'rp_id = "com"', "tenants.shop.rp_id"),
        (
            LEAST
            + "related_origins = ["
            + ", ".join(f'"https://site{n}.example"' for n in range(5))
            + ']\n[tenants.b]\nhostname = "b.shop.example.com"\nrp_id = "shop.example.com"\n'
            + 'related_origins = ["https://other.example"]',
            "tenants.b.related_origins",
        ),
        (LEAST.replace("shop]", '"a b"]'), "tenants.'a b'"),
        (LEAST.replace("shop]", f"{'x' * 65}]"), f"tenants.'{'x' * 65}'"),
        (LEAST.replace('hostname = "shop.example.com"', ""), "tenants.shop.hostname"),
        (f'base_url = "https://a.example"\nsecret = "{SECRET}"\n[tenants]', "tenants"),
        (
            f'{LEAST}api_keys = ["{OTHER}"]\n[tenants.b]\nhostname = "b.example"\napi_keys = ["{OTHER}"]',
            "tenants.b.api_keys",
        ),
    ],
)
def test_what_is_missing_or_given_to_two_is_named(text: str, path: str) -> None:
    """Nothing is made up, and a key opens one tenant."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert caught.value.path is not None
    assert caught.value.path[:60] == path[:60]


@pytest.mark.parametrize("origin", ["android:apk-key-hash:" + "A" * 43, "ios:bundle-id:com.example.shop"])
def test_origins_of_apps_are_origins(origin: str) -> None:
    text = f'{LEAST}origins = ["https://shop.example.com", "{origin}"]'
    assert parse(text).tenants["shop"].settings.config.origins == ("https://shop.example.com", origin)


@pytest.mark.parametrize("hostname", ["localhost:3000", "shop.localhost:3000"])
def test_this_machine_is_somebodys_own(hostname: str) -> None:
    parse(LEAST.replace("shop.example.com", hostname))


def test_no_repr_shows_a_secret() -> None:
    settings = parse(
        f"""
        base_url = "https://auth.example.com"
        database = "postgresql://user:{SECRET[:5]}-password@db/x"
        secret = "{SECRET}"
        operator_secret = "{OTHER}"
        [tenants.shop]
        hostname = "shop.example.com"
        api_keys = ["{THIRD}"]
        integration_keys = [{{ key = "{THIRD} and more" }}]
        """
    )
    table = settings.tenants["shop"]
    for shown in (settings, table, table.settings, *table.settings.integration_keys):
        text = repr(shown) + repr(shown.__rich_repr__() if hasattr(shown, "__rich_repr__") else "")
        assert not any(secret in text for secret in (SECRET, OTHER, THIRD, "password"))


def test_the_example_is_read_as_it_is() -> None:
    """What stands there is what was given; all else is commented out."""
    text = describe_server(
        {"base_url": "http://localhost:8000", "secret": SECRET, "port": 81},
        {"hostname": "localhost:8000", "api_keys": [THIRD]},
        "shop",
    )
    settings = parse(text)
    assert (settings.base_url, settings.port) == ("http://localhost:8000", 81)
    assert settings.tenants["shop"].settings.api_keys == (THIRD.encode(),)


def test_every_line_of_the_example_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key stands there with a value that it takes, and the rules at the end are rules."""
    monkeypatch.setenv("PASSKEYCORE_INTEGRATION_KEY", OTHER)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "passkey_config.jsonc").write_text('{"hostname": "localhost:8000"}')
    text = describe_server({"base_url": "http://localhost:8000", "secret": SECRET}, {"hostname": "localhost:8000"})
    keys = set(re.findall(r"^(?:# )?([a-z_]+) = ", text, re.MULTILINE))
    assert keys >= {*SERVER_KEYS, *TENANT_KEYS} - {"limits", "tenants", "default", "actions", "failure_window_s"}
    lines: list[str] = []
    for line in text.splitlines():
        found = re.match(r"# (?=[a-z_]+ = |\[)", line)
        if found and re.match(r"# [a-z_]+(_env|_file) = ", line):
            continue  # excludes the key beside it
        if found and line.startswith(("# secret", "# operator_secret", "# api_keys")):
            line = f"# {line.split()[1]} = {json.dumps(['k' * 32] if 'keys' in line else 'o' * 32)}"
        if found and line.startswith(("# origins", "# rp_id")):
            continue  # follow from the hostname, which has a port
        lines.append(line.removeprefix(found[0]) if found else line)
    settings = parse("\n".join(lines)).tenants["main"].settings
    assert settings.rules.actions["transfer"].rules[0].outcome == "CHALLENGE"
    assert settings.redirect_urls == ("https://example.com", "com.example.shop:")


# --- A file of one's own for a tenant ---


def with_file(place: Path, file: str, tenant: str = "") -> ServerSettings:
    """A server whose only tenant has a ``passkey_config.jsonc`` beside the server's file."""
    (place / "passkey_config.jsonc").write_text(file)
    (place / "passkeycore.toml").write_text(
        f'base_url = "https://auth.example.com"\nsecret = "{SECRET}"\n'
        f'[tenants.shop]\npasskey_config = "passkey_config.jsonc"\n{tenant}'
    )
    return load_server(place / "passkeycore.toml")


FILE = """{
  // as the old vendor has it
  "hostname": "shop.example.com",
  "max_passkeys_per_user": 3,
  "name": "Shop",
}"""


def test_a_passkey_config_counts_where_the_table_says_nothing_else(tmp_path: Path) -> None:
    """Its keys are the tenant's, below those of the table, and below what an operator changes."""
    table = with_file(tmp_path, FILE, 'name = "The Shop"\n').tenants["shop"]
    config = table.settings.config
    assert (config.hostname, config.max_passkeys_per_user, config.name) == ("shop.example.com", 3, "The Shop")
    assert config.realm == "shop"
    changed = tenant_settings(table, b'{"max_passkeys_per_user": 4}', revision=1).config
    assert (changed.max_passkeys_per_user, changed.name) == (4, "The Shop")
    wanted = {"hostname": "shop.example.com", "max_passkeys_per_user": 3, "name": "The Shop"}
    assert tenant_values(table) == wanted


def test_what_a_passkey_config_says_of_secrets_and_storage_is_not_the_servers(tmp_path: Path) -> None:
    more = f'"secret": "{OTHER}", "database": "sqlite:///other.db", "realm": "other"'
    settings = with_file(tmp_path, FILE.replace('"name": "Shop",', f"{more},"))
    assert (settings.secrets, settings.database) == ((SECRET.encode(),), "sqlite:///passkeycore.db")
    config = settings.tenants["shop"].settings.config
    assert (config.secrets, config.database, config.realm) == ((), None, "shop")


@pytest.mark.parametrize(
    ("file", "tenant", "told"),
    [
        (FILE.replace("3", "11"), "", r"passkey_config\.jsonc:4: max_passkeys_per_user: "),
        (FILE.replace('"name"', '"redirect_urls"'), "", r"passkey_config\.jsonc:5: redirect_urls: unknown key"),
        (FILE.replace('"hostname"', '"rp_id"'), "", r"passkey_config\.jsonc:\d+: hostname: missing"),
        (
            FILE.replace('"name": "Shop"', '"rp_id": "example.com"'),
            'hostname = "shop.example.org"',
            r"jsonc:5: rp_id: ",
        ),
        (FILE, 'origins = ["https://else.example"]', r"passkeycore\.toml:5: tenants\.shop\.origins: "),
    ],
)
def test_a_mistake_is_told_where_it_stands(tmp_path: Path, file: str, tenant: str, told: str) -> None:
    """In the passkey_config, or in the table that lies over it."""
    with pytest.raises(ConfigurationError, match=told):
        with_file(tmp_path, file, tenant)


# --- What an operator changes ---


def test_changes_are_laid_over_the_file_key_by_key() -> None:
    """A key that was changed replaces what the file says of it; all others stay."""
    table = parse(
        f"""
        base_url = "https://auth.example.com"
        secret = "{SECRET}"
        [tenants.shop]
        hostname = "shop.example.com"
        name = "Shop"
        top_origins = ["https://partner.example"]
        frame_origins = ["https://old.example"]
        api_keys = ["{THIRD}"]
        [tenants.shop.default]
        default = "BLOCK"
        """
    ).tenants["shop"]
    changes = {
        "name": "New",
        "frame_origins": ["https://new.example"],
        "origins": ["https://shop.example.com", "https://www.shop.example.com"],
        "actions": {"transfer": {"default": "ALLOW"}},
    }
    changed = tenant_settings(table, json.dumps(changes).encode(), revision=3)
    assert (changed.revision, changed.config.name, changed.config.realm) == (3, "New", "shop")
    assert (changed.config.top_origins, changed.frame_origins) == (
        ("https://partner.example",),
        ("https://new.example",),
    )
    assert changed.config.origins == ("https://shop.example.com", "https://www.shop.example.com")
    assert changed.api_keys == (THIRD.encode(),)
    assert (changed.rules.default.default, changed.rules.actions["transfer"].default) == ("BLOCK", "ALLOW")
    assert tenant_settings(table) is table.settings
    assert tenant_settings(table, b"{}").config == table.settings.config
    written = tenant_values(table, json.dumps(changes).encode())
    assert written == {"hostname": "shop.example.com", "default": {"default": "BLOCK"}} | changes


def test_null_takes_back_what_the_file_says() -> None:
    """Of the keys that may be without a value; of no others."""
    text = LEAST + 'name = "Shop"\nrp_id = "example.com"\nwebhook_url = "https://example.com/hook"\n'
    table = parse(text).tenants["shop"]
    changed = tenant_settings(table, b'{"name": null, "rp_id": null, "webhook_url": null}', revision=1)
    assert (changed.config.name, changed.config.rp_id, changed.webhook_url) == (None, "shop.example.com", None)
    for key in sorted({*OVERRIDABLE} - {"name", "rp_id", "webhook_url"}):
        with pytest.raises(ConfigurationError):
            tenant_settings(table, json.dumps({key: None}).encode())


@pytest.mark.parametrize("key", sorted({*TENANT_KEYS} - {*OVERRIDABLE}))
def test_an_operator_changes_neither_keys_nor_what_is_not_listed(key: str) -> None:
    with pytest.raises(ConfigurationError, match="unknown key"):
        tenant_settings(parse(LEAST).tenants["shop"], json.dumps({key: "x"}).encode())


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        (b"", None),
        (b"[]", None),
        (b"\xff", None),
        (b'{"name": "a", "name": "b"}', "name"),
        (b'{"rp_id": "other.example"}', "rp_id"),
        (b'{"hostname": "other.example"}', None),
        (b'{"origins": []}', "origins"),
        (b'{"origins": ["https://other.example"]}', "origins"),
        (b'{"origins": ["https://shop.example.com", "javascript:alert(1)"]}', "origins[1]"),
        (json.dumps({"related_origins": [f"https://site{n}.example" for n in range(7)]}).encode(), "related_origins"),
        (b'{"redirect_urls": ["javascript:"]}', "redirect_urls[0]"),
        (b'{"max_passkeys_per_user": 11}', "max_passkeys_per_user"),
        (b'{"actions": {"a": {"rules": [{"id": "x"}]}}}', "actions.a.rules[0].outcome"),
        (b'{"default": {"default": "x"}}', "default.default"),
    ],
)
def test_changes_that_do_not_go_are_refused(changes: bytes, path: str | None) -> None:
    """By themselves, or with what the file says; the error names the key."""
    table = parse(LEAST + 'rp_id = "shop.example.com"\n').tenants["shop"]
    with pytest.raises(ConfigurationError) as caught:
        tenant_settings(table, changes)
    if path is not None:
        assert caught.value.path == path
    assert caught.value.message.startswith("changes of shop") or "passkeycore.toml" in caught.value.message
