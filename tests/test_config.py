"""Configuration from files: what follows from each key, and that whatever is wrong names its file, line and key."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from passkeycore import ConfigurationError, RelyingParty, android_origin, second_factor, sole_factor
from passkeycore.config import AndroidApp, Config, Format, describe, load, parse
from passkeycore.config.checks import number
from passkeycore.config.keys import KEYS
from passkeycore.config.lines import Lines
from passkeycore.config.source import Source
from passkeycore.tokens import Tokens

SECRET = "correct horse battery staple, twice over"
OTHER = "another secret of thirty-two bytes or more"
FINGERPRINT = ":".join(f"{byte:02X}" for byte in range(32))


def filled(text: str, fingerprint: str) -> str:
    for name, value in {"<secret>": SECRET, "<other>": OTHER, "<fingerprint>": fingerprint}.items():
        text = text.replace(name, value)
    return text


JSONC = filled(
    """\
// the vendor's two keys, and ours
{
  "hostname": "app.example.com:8443", /* a port
     is no part of the RP ID */ "rp_id": "example.com",
  "max_passkeys_per_user": 7, // "max_passkeys_per_user": 99,
  "name": "Bank // of \\"Example\\" /* Ltd */,}",
  "related_origins": ["https://example.org",],
  "top_origins": ["https://partner.example"],
  "android_apps": [
    {
      "package_name": "com.example.app",
      "sha256_fingerprints": ["<fingerprint>"],
    },
  ],
  "ios_apps": ["ABCDE12345.com.example.app"],
  "passkey_enroll_url": "https://app.example.com/passkeys/new",
  "passkey_manage_url": "https://app.example.com/passkeys",
  "preset": "second_factor",
  "attestation": "direct",
  "algorithms": [-7, -257],
  "ceremony_timeout_s": 60,
  "conditional_timeout_s": 600,
  "realm": "tenant",
  "database": "postgresql+psycopg://bank:hunter2@db/bank",
  "redis": "rediss://:hunter2@cache",
  "secret": "<secret>",
  "previous_secrets": ["<other>"], // trailing commas, too
}
""",
    FINGERPRINT.lower().replace(":", ""),
)

TOML = filled(
    """\
hostname = "app.example.com:8443" # a port is no part of the RP ID
rp_id = "example.com"
"max_passkeys_per_user" = 7
name = 'Bank // of "Example" /* Ltd */,}'
related_origins = [
  "https://example.org", # [
]
top_origins = ["https://partner.example"]
ios_apps = ["ABCDE12345.com.example.app"]
passkey_enroll_url = "https://app.example.com/passkeys/new"
passkey_manage_url = "https://app.example.com/passkeys"
preset = "second_factor"
attestation = "direct"
algorithms = [-7, -257]
ceremony_timeout_s = 60
conditional_timeout_s = 600
realm = "tenant"
database = "postgresql+psycopg://bank:hunter2@db/bank"
redis = "rediss://:hunter2@cache"
secret = "<secret>"
previous_secrets = ["<other>"]

[[android_apps]]
package_name = "com.example.app"
sha256_fingerprints = ["<fingerprint>"]
""",
    FINGERPRINT,
)

FULL = Config(
    hostname="app.example.com:8443",
    rp_id="example.com",
    name='Bank // of "Example" /* Ltd */,}',
    origins=("https://app.example.com:8443", android_origin(FINGERPRINT), "https://example.com"),
    related_origins=("https://example.org",),
    top_origins=("https://partner.example",),
    android_apps=(AndroidApp(package_name="com.example.app", sha256_fingerprints=(FINGERPRINT,)),),
    ios_apps=("ABCDE12345.com.example.app",),
    passkey_enroll_url="https://app.example.com/passkeys/new",
    passkey_manage_url="https://app.example.com/passkeys",
    max_passkeys_per_user=7,
    preset=second_factor(),
    attestation="direct",
    algorithms=(-7, -257),
    ceremony_timeout_s=60,
    conditional_timeout_s=600,
    realm="tenant",
    database="postgresql+psycopg://bank:hunter2@db/bank",
    redis="rediss://:hunter2@cache",
    secrets=(SECRET.encode(), OTHER.encode()),
)


def of(**keys: object) -> Config:
    return parse(json.dumps({"hostname": "example.com"} | keys), name="f.json", format="jsonc")


def refused(text: str, form: Format = "jsonc") -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, name="f", format=form)
    return caught.value


def said(text: str, form: Format = "jsonc") -> str:
    return str(refused(text, form))


@pytest.mark.parametrize(("text", "form"), [(JSONC, "jsonc"), (TOML, "toml")])
def test_both_languages_say_the_same(text: str, form: Format) -> None:
    assert parse(text, name="f", format=form) == FULL
    assert parse("\ufeff" + text.replace("\n", "\r\n"), name="f", format=form) == FULL


def test_only_the_hostname_is_needed() -> None:
    config = of()
    assert config == Config(hostname="example.com", rp_id="example.com", origins=("https://example.com",))
    assert config.max_passkeys_per_user == 5
    assert config.preset == sole_factor()
    assert (config.ceremony_timeout_s, config.conditional_timeout_s) == (300, 1800)
    assert (config.realm, config.database, config.redis, config.secrets) == ("", None, None, ())


@pytest.mark.parametrize(
    ("hostname", "rp_id", "origin"),
    [
        ("example.com", "example.com", "https://example.com"),
        ("app.example.com", "app.example.com", "https://app.example.com"),
        ("app.example.com:8443", "app.example.com", "https://app.example.com:8443"),
        ("localhost", "localhost", "http://localhost"),
        ("localhost:3000", "localhost", "http://localhost:3000"),
        ("app.localhost:3000", "app.localhost", "http://app.localhost:3000"),
        ("localhost.example.com", "localhost.example.com", "https://localhost.example.com"),
    ],
)
def test_the_hostname_settles_the_rp_id_and_the_origin(hostname: str, rp_id: str, origin: str) -> None:
    config = of(hostname=hostname)
    assert (config.rp_id, config.origins) == (rp_id, (origin,))


@pytest.mark.parametrize(
    "hostname",
    [
        *(
            "",
            "https://example.com",
            "example.com/",
            "Example.com",
            "example.com.",
            "127.0.0.1",
            "127.0.0.1:3000",
            "[::1]",
        ),
        *(
            "example.com:",
            "example.com:443",
            "localhost:80",
            "example.com:0",
            "example.com:99999",
            "exa mple.com",
            "é.com",
        ),
        *("*.example.com", "example.com:3000:1", "user@example.com", ":3000", "example.com:123456"),
    ],
)
def test_no_other_hostname_is_taken(hostname: str) -> None:
    error = refused(json.dumps({"hostname": hostname}))
    assert error.path == "hostname"
    assert str(error).startswith("f:1: hostname: ")


def test_the_relying_party_is_built_from_the_configuration() -> None:
    assert FULL.relying_party() == RelyingParty(
        id="example.com",
        name=FULL.name,
        origins=FULL.origins,
        related_origins=["https://example.org"],
        top_origins=["https://partner.example"],
        algorithms=[-7, -257],
        attestation="direct",
    )


def test_origins_replace_the_derived_one_and_apps_add_to_them() -> None:
    config = of(
        origins=["https://a.example.com"],
        android_apps=[{"package_name": "com.example", "sha256_fingerprints": [FINGERPRINT]}],
        ios_apps=["ABCDE12345.x"],
    )
    assert config.origins == ("https://a.example.com", android_origin(FINGERPRINT), "https://example.com")
    assert of(ios_apps=["ABCDE12345.x"]).origins == ("https://example.com",)  # the derived one already


# One bad value for each rule of each key: every one is refused, by the name of its key.
BAD: Mapping[str, Sequence[object]] = {
    "hostname": [None, 1, ["example.com"]],
    "max_passkeys_per_user": [0, 11, -1, 5.0, "5", True, None, 10**30],
    "rp_id": ["com.", "https://example.com", "other.com", "a.example.com", "ample.com", 1],
    "name": ["", "x" * 256, "a\nb", "a\u202eb", "\ud800", 1],
    "origins": [
        "https://example.com",
        [],
        {},
        ["https://example.com"] * 2,
        ["https://example.org"],
        [1],
        ["https://" + "é" * 4000],
        ["https://example.com/"],
        ["http://example.com"],
        ["https://example.com:443"],
        ["https://e.com"] * 101,
    ],
    "related_origins": [["https://example.org/"], ["android:apk-key-hash:" + "A" * 43], ["example.org"]],
    "top_origins": [["https://*.example"], ["ios:bundle"], "https://partner.example"],
    "android_apps": [{}, [1], [{}], [{"package_name": "com.example"}], [{"sha256_fingerprints": [FINGERPRINT]}]]
    + [[{"package_name": name, "sha256_fingerprints": [FINGERPRINT]}] for name in ("", "com", "com.", "1.a", "a.b-c")]
    + [[{"package_name": "a." + "b" * 254, "sha256_fingerprints": [FINGERPRINT]}]]
    + [[{"package_name": "a.b", "sha256_fingerprints": value}] for value in ([], "AA", ["AA"], [FINGERPRINT[:-1]])]
    + [[{"package_name": "a.b", "sha256_fingerprints": [FINGERPRINT], "debug": True}]],
    "ios_apps": [
        ["com.example.app"],
        ["abcde12345.com"],
        ["ABCDE12345"],
        ["ABCDE12345."],
        ["ABCDE12345.a..b"],
        ["ABCDE1234.com"],
        ["ABCDE12345." + "a" * 250],
        "ABCDE12345.com",
    ],
    "passkey_enroll_url": [
        "",
        "/passkeys",
        "http://example.com/",
        "https://example.com/ä",
        "https://a@example.com/",
        1,
    ],
    "passkey_manage_url": ["example.com/passkeys", "https://example.com/a b", ["https://example.com/"], None],
    "preset": ["", "both", "Sole_factor", 1],
    "attestation": ["full", "", None],
    "algorithms": [[], [-7, -7], [-6], [7], [-65535], ["-7"], [True], -7],
    "ceremony_timeout_s": [29, 601, "300", 300.0],
    "conditional_timeout_s": [59, 3601],
    "realm": ["x" * 256, "a\x00b", "\ud800", None],
    "database": ["", "postgres://db", "mysql://db", "sqlite", "passkeys.db", "sqlite://" + "x" * 4097, 1],
    "redis": ["", "localhost:6379", "http://cache", False],
    "secret": ["", "x" * 31, "é" * 15, "x" * 4097, "\ud800" * 40, 1, None],
    "secret_env": ["", "A B", "A=B", "PASSKEYCORE_NO_SUCH_VARIABLE", "\ud800", 1],
    "secret_file": ["", "no/such/file", ".", "a\x00b", 1],
    "previous_secrets": [[SECRET], "x" * 40, [""], [SECRET] * 2, [f"{number:032}" for number in range(16)]],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in BAD for value in BAD[key]])
def test_bad_values_are_refused_by_the_name_of_their_key(key: str, value: object) -> None:
    text = json.dumps({"hostname": "example.com"} | {key: value}, indent=1)
    if key == "previous_secrets" and value != [SECRET]:
        text = text.replace("{", f'{{"secret": "{OTHER}",', 1)
    error = refused(text)
    assert (error.path or "").startswith(key)
    line = 2 if key == "hostname" else 3
    found = re.match(r"f:([0-9]+): ", str(error))
    assert found is not None
    assert int(found[1]) >= line
    assert len(str(error)) < 1500


def test_every_key_has_bad_values() -> None:
    assert BAD.keys() == KEYS.keys()


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [("max_passkeys_per_user", 1, 10), ("ceremony_timeout_s", 30, 600), ("conditional_timeout_s", 60, 3600)],
)
def test_ranges_include_their_ends(key: str, least: int, most: int) -> None:
    assert getattr(of(**{key: least}), key) == least
    assert getattr(of(**{key: most}), key) == most


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        (JSONC.replace(": 7", ": 11"), "jsonc", "f:5: max_passkeys_per_user: a number from 1 to 10"),
        (TOML.replace("= 7", "= 11"), "toml", "f:3: max_passkeys_per_user: a number from 1 to 10"),
        (JSONC.replace('["ABCDE', '[\n\n"x", "ABCDE'), "jsonc", "f:17: ios_apps[0]: an app ID: "),
        (JSONC.replace("com.example.app", "app", 1), "jsonc", "f:11: android_apps[0].package_name: an application id"),
        (TOML.replace("com.example.app", "app").replace("5.app", "5.b"), "toml", "f:24: android_apps[0].package_name"),
        (TOML + "[[android_apps]]\n", "toml", "f:26: android_apps[1].package_name: missing: an application id"),
        (TOML.replace("https://example.org", "x"), "toml", "f:6: related_origins[0]: 'x' is not an origin"),
        ('{\n"hostname": "example.com",\n"origins": ["https://a.org"]}', "jsonc", "f:3: origins: "),
        ('{\n"hostname": "example.com",\n"algorithms": [-6]}', "jsonc", "f:3: algorithms: COSE algorithm -6 "),
        ('{\n"hostname": "example.com",\n"origins": []}', "jsonc", "f:3: origins: at least one origin is needed"),
        ('{\n"hostname": "a.com",\n"rp_id": "b.com"}', "jsonc", "f:3: rp_id: neither the hostname nor "),
        ('{"hostname": "https://a.com"}', "jsonc", "f:1: hostname: a domain in lower case"),
        ('{"hostname": "a.com:443"}', "jsonc", "f:1: hostname: 'https://a.com:443': browsers leave out a default port"),
        ('{"related_origins": ["ios:app"]}', "jsonc", "f:1: related_origins[0]: a web origin"),
        ('{"secret_file": ""}', "jsonc", "f:1: secret_file: the path of a file"),
        ("{\n\n}", "jsonc", "f:1: hostname: missing: a domain"),
        ("", "toml", "f:1: hostname: missing: a domain"),
        ('{"hostname": 1,\n"max_passkey_per_user": 1}', "jsonc", "f:1: hostname: a domain"),
        ('\nmax_passkey_per_user = 1', "toml", "f:2: max_passkey_per_user: unknown key; did you mean max_"),
        ('{\n"user_verification": 1}', "jsonc", "f:2: user_verification: unknown key"),
        ('{\n"a\\nb\\u2028": 1}', "jsonc", "f:2: 'a\\nb\\u2028': unknown key"),
        ("a.b.\"c d\".e = 1", "toml", "f:1: a: unknown key"),
        ("[actions]\nx = 1", "toml", "f:1: actions: unknown key"),
        ("[]", "jsonc", "f:1: a table of keys and values"),
        ("7", "jsonc", "f:1: a table of keys and values"),
        ("", "jsonc", "f:1: not JSON with comments: Expecting value"),
    ],
)  # fmt: skip
def test_errors_name_file_line_and_key(text: str, form: Format, message: str) -> None:
    assert said(text, form).startswith(message)


def test_the_path_of_an_error_is_its_key() -> None:
    assert refused('{"hostname": 1}').path == "hostname"
    assert refused("android_apps = [{}]\nhostname='a'", "toml").path == "android_apps[0].package_name"
    assert refused("{").path is None


@pytest.mark.parametrize(
    ("text", "form", "message"),
    [
        ('{\n"hostname": "a",\n"hostname": "b"}', "jsonc", "f:3: hostname: given twice, first on line 2"),
        ('{\n"hostname": "a",\n"host\\u006eame": "b"}', "jsonc", "f:3: hostname: given twice, first on line 2"),
        ('{"android_apps": [{"a": 1,\n"a": 1}]}', "jsonc", "f:2: android_apps[0].a: given twice, first on line 1"),
        ('hostname = "a"\n\n"hostname" = "b"', "toml", "f:3: hostname: not TOML: "),
        ("[a]\n[b]\nhostname.x = 1\n[a]\n", "toml", "f:4: a: not TOML: "),
        (f'{{"secret": "{SECRET}",\n"secret_env": "HOME"}}', "jsonc", "f:2: secret_env: either this or secret, not"),
        ("secret_env='HOME'\nsecret_file='x'\n", "toml", "f:1: secret_env: "),
    ],
)  # fmt: skip
def test_what_is_given_twice_is_refused(text: str, form: Format, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "short")
    assert said(text, form).startswith(message)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{\n"hostname": "example.com"', 2),
        ('{\n"hostname": "example.com\n}', 2),
        ('{\n"hostname": "example.com\\\n"}', 2),
        ('{\n"hostname": "example.com" // }', 2),
        ('{"hostname": "example.com"} /* no end\n', 1),
        ('{\n/* no end\n"hostname": "example.com"}', 2),
        ('{\n"hostname": "example.com",,}', 2),
        ("{\n,}", 2),
        ('{"hostname": "example.com",\n"origins": [,]}', 2),
        ('{"hostname": "example.com",\n"origins": ["https://example.com",,]}', 2),
        ('{"hostname": "example.com"}\n{}', 2),
        ("{'hostname': 'example.com'}", 1),
        ("{hostname: 1}", 1),
        ('{"hostname": "example.com"} # no comment', 1),
    ],
)
def test_wrong_json_names_its_line(text: str, line: int) -> None:
    error = refused(text)
    assert error.path is None
    assert re.match(rf"f:{line}: (not JSON with comments: |a comment without an end)", str(error))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hostname\n", "f:1: not TOML: "),
        ("\n= 1\n", "f:2: not TOML: "),
        ("realm = 'x'\nhostname\n", "f:2: not TOML: "),
        ('realm = "x"\nhostname = "example.com\n', "f:2: hostname: not TOML: "),
        ('hostname = """example.com\n\n', "f:1: hostname: not TOML: "),
        ("origins = [\n'https://example.com',\n", "f:2: origins: not TOML: "),
        ("android_apps = {a = 1,,}", "f:1: android_apps: not TOML: "),
        ("hostname = }", "f:1: hostname: not TOML: "),
        ("[hostname\n", "f:1: not TOML: "),
        ("realm = 1979-05-27 07:32:00", "f:1: realm: a text of at most 255 characters"),
        ("origins = [ 1979-05-27 07:32:00, 07:32:00]", "f:1: origins[0]: an origin"),
        ("\nmax_passkeys_per_user = " + "1" * 5000, "f:2: a number with too many digits"),
        ("max_passkeys_per_user = " + "1_" * 5000 + "1", "f:1: a number with too many digits"),
    ],
)
def test_wrong_toml_names_its_line_and_key(text: str, message: str) -> None:
    assert said(text, "toml").startswith(message)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('name = """\n[x]\na = 1\n"""""\nmax_passkeys_per_user = 0', 5),
        ("name = '''\n'' '\n'''\nmax_passkeys_per_user = 0", 4),
        ('name = """\n""""\nmax_passkeys_per_user = 0', 3),
        ("name = '''\n''''\nmax_passkeys_per_user = 0", 3),
        ("# a\nmax_passkeys_per_user = 0\n# b", 2),
        ("# [\nname = '#'  # '\nmax_passkeys_per_user = 0", 3),
        ('origins = [\n[\'[\', "\\"]"],\n{a = [\n]}]\nmax_passkeys_per_user = 0', 5),
    ],
)
def test_lines_are_right_behind_every_kind_of_value(text: str, lines: int) -> None:
    walked = Lines(text, toml=True)
    walked.walk()
    assert walked[("max_passkeys_per_user",)] == lines


def test_a_header_means_the_latest_table_of_each_array_on_its_way() -> None:
    lines = Lines(
        "[[a]]\nx = 1\n[[a.b]]\nx = 2\n[[a.b]]\nx = 3\n[[a]]\nx = 4\n[a.c]\nx = 5\n[d.'e.f']\nx.y = 6", toml=True
    )
    lines.walk()
    paths = [("a", 0), ("a", 0, "b", 0), ("a", 0, "b", 1), ("a", 1), ("a", 1, "c"), ("d", "e.f")]
    assert [lines[(*path, "x")] for path in paths] == [2, 4, 6, 8, 10, 12]
    assert [lines[path] for path in paths] == [1, 3, 5, 7, 9, 11]
    assert lines[("d", "e.f", "x", "y")] == 12


@pytest.mark.parametrize("form", get_args(Format))
def test_deep_nesting_is_refused_with_its_line_before_the_parser_sees_it(form: Format) -> None:
    key = {"jsonc": '{"origins":\n', "toml": "origins = [\n"}
    assert said(key[form] + "[" * 100_000, form) == "f:2: nested more than 16 deep"
    assert said(key[form] + '{"a":' * 50_000, form) == "f:2: nested more than 16 deep"
    assert "16 deep" not in said(key[form] + "[" * 15 + "]" * 15 + {"jsonc": "}", "toml": "]"}[form], form)
    assert "16 deep" not in said(key[form] + '"[[[[[[[[[[[[[[[[[[[[a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s"', form)


@pytest.mark.parametrize(
    "key",
    ["a" + ".a" * 100_000, '"a"' + ' . "a"' * 30_000, "[" + "a." * 100_000 + "a]"],
    ids=["bare", "quoted", "header"],
)
def test_keys_with_many_dots_are_refused_before_minutes_of_work(key: str) -> None:
    assert said(f"realm = ''\n{key} = 1\n", "toml") == "f:2: nested more than 16 deep"


@pytest.mark.parametrize("quotes", ['"""\\', "'''\"", '"""', '"\\', '\\"', 'x\\"""\n'])
def test_strings_without_an_end_are_looked_for_once(quotes: str) -> None:
    """Each of the many openings could be searched to the end of the text, which would take minutes."""
    assert "not TOML" in said(quotes * 40_000, "toml")
    assert "not TOML" in said('a = """' + quotes * 40_000, "toml")


def test_a_number_too_long_to_read_suits_no_key() -> None:
    node = Source("f").read('{"a": ' + "1" * 5_000 + "}", toml=False)
    with pytest.raises(ConfigurationError, match="f:1: a: a number from -1 to 10"):
        number(-1, 10).read(node.members()["a"])


def test_dots_of_several_values_do_not_add_up() -> None:
    assert "unknown key" in said("a = [" + "1.5, " * 20 + "]\n" + "\n".join(f"b{n}.c = 1.5" for n in range(20)), "toml")


@pytest.mark.parametrize("form", get_args(Format))
def test_large_texts_are_refused(form: Format) -> None:
    space = "#" * (256 << 10)
    assert said(space, form) != "f:1: larger than 256 KiB"
    assert said(space + " ", form) == "f:1: larger than 256 KiB"
    assert said("é" * (129 << 10), form) == "f:1: larger than 256 KiB"


# --- files ---


@pytest.mark.parametrize(
    ("name", "text"), [("passkey_config.jsonc", JSONC), ("c.json", JSONC), ("c.toml", TOML), ("c.TOML", TOML)]
)
def test_the_suffix_of_a_file_tells_its_language(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert load(tmp_path / name) == FULL
    assert load(str(tmp_path / name)) == FULL


def test_errors_name_the_file_as_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("passkey_config.jsonc").write_text('{\n\n"hostname": "a.com",\n"max_passkeys_per_user": 11\n}', "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load("passkey_config.jsonc")
    assert str(caught.value) == "passkey_config.jsonc:4: max_passkeys_per_user: a number from 1 to 10"
    assert caught.value.path == "max_passkeys_per_user"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.jsonc", b'{\n"hostname": "\xff"}', ":2: not UTF-8"),
        ("c.toml", b"\xff\xfeh\x00", ":1: not UTF-8"),
        ("c.toml", b"\n" * (256 << 10) + "é".encode(), ":1: larger than 256 KiB"),
        ("c.yaml", b"", ": the suffix has to be one of .json, .jsonc, .toml"),
        ("c", b"", ": the suffix has to be one of .json, .jsonc, .toml"),
        ("c.json", None, ": cannot be read: No such file or directory"),
    ],
)
def test_files_that_cannot_be_read_are_refused(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}{message}"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "d.json").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "d.json")


def test_there_is_no_third_language() -> None:
    with pytest.raises(ConfigurationError, match="jsonc or toml"):
        parse("", name="f", format="yaml")  # type: ignore[arg-type]


# --- secrets ---


def test_a_secret_comes_from_the_file_the_environment_or_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSKEY_SECRET", SECRET)
    (tmp_path / "key").write_bytes(SECRET.encode() + b"\r\n")
    assert of(secret=SECRET).secrets == (SECRET.encode(),)
    assert of(secret_env="PASSKEY_SECRET", previous_secrets=[OTHER]).secrets == (SECRET.encode(), OTHER.encode())
    assert of(secret_file=str(tmp_path / "key")).secrets == (SECRET.encode(),)
    (tmp_path / "c.toml").write_text("hostname = 'example.com'\nsecret_file = 'key'", "utf-8")
    assert load(tmp_path / "c.toml").secrets == (SECRET.encode(),)  # beside the configuration, wherever we run


@pytest.mark.parametrize(("size", "right"), [(31, False), (32, True), (4096, True), (4097, False)])
def test_secrets_have_32_to_4096_bytes(size: int, right: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSKEY_SECRET", "x" * size)
    (tmp_path / "key").write_bytes(b"x" * size + b"\r\n")
    for keys in ({"secret": "x" * size}, {"secret_env": "PASSKEY_SECRET"}, {"secret_file": str(tmp_path / "key")}):
        if right:
            assert of(**keys).secrets == (b"x" * size,)
        else:
            with pytest.raises(ConfigurationError, match="32 to 4096 bytes"):
                of(**keys)


def test_tokens_take_every_number_of_secrets_that_a_file_may_have() -> None:
    Tokens(of(secret=SECRET).secrets)
    Tokens(of(secret=SECRET, previous_secrets=[f"{number:032}" for number in range(15)]).secrets)


@pytest.mark.parametrize("previous", [[SECRET], [OTHER, SECRET]])
def test_the_present_secret_is_no_previous_one(previous: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="previous_secrets: the present secret is among them"):
        of(secret=SECRET, previous_secrets=previous)


def test_previous_secrets_need_a_present_one() -> None:
    with pytest.raises(ConfigurationError, match="previous_secrets: without a present secret"):
        of(previous_secrets=[SECRET])
    assert of(previous_secrets=[]).secrets == ()


def test_no_repr_shows_secrets_or_passwords_of_databases() -> None:
    printed = io.StringIO()
    Console(file=printed, width=200).print(FULL)
    for text in (repr(FULL), str(FULL), f"{FULL}", printed.getvalue()):
        assert "app.example.com:8443" in text
        for hidden in (SECRET, OTHER, "hunter2"):
            assert hidden not in text


@pytest.mark.parametrize(
    "keys",
    [
        {"secret": "hunter2"},
        {"secret": ["hunter2"]},
        {"secret": SECRET, "previous_secrets": ["hunter2"]},
        {"secret": SECRET, "previous_secrets": [SECRET]},
        {"secret_env": "hunter2 hunter2"},
        {"secret_env": "hunter2"},
        {"secret_file": "hunter2"},
        {"database": "postgres://bank:hunter2@db/bank"},
        {"redis": "http://:hunter2@cache"},
        {"secret": SECRET, "max_passkeys_per_user": 0},
    ],
)
def test_no_error_repeats_what_may_be_a_secret(keys: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        of(**keys)
    shown = f"{caught.value} {caught.value.to_dict()} {caught.value!r}"
    assert "hunter2" not in shown
    assert SECRET not in shown


def test_no_syntax_error_repeats_a_secret() -> None:
    for text in (
        '{"secret": "hunter2\n}',
        '{"secret": hunter2}',
        '{"secret": "hunter2" "x"}',
        '{"secret": "\\hunter2"}',
    ):
        assert "hunter2" not in said(text)
    for text in ('secret = "hunter2\n', "secret = hunter2", 'secret = "hunter2" x', 'secret = "\\hunter2"'):
        assert "hunter2" not in said(text, "toml")


# --- the example ---


def test_the_example_file_is_valid_and_says_every_key() -> None:
    config = parse(describe(), name="passkey_config.jsonc", format="jsonc")
    assert config == Config(hostname="localhost:8000", rp_id="localhost", origins=("http://localhost:8000",))
    assert re.findall(r'^  (?:// )?"(\w+)": ', describe(), re.MULTILINE) == list(KEYS)
    assert max(len(line) for line in describe().splitlines() if '"' not in line) <= 120


@pytest.mark.parametrize("key", sorted(KEYS.keys() - {"secret"}))
def test_every_example_is_valid_and_a_default_where_there_is_one(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSKEYCORE_SECRET", SECRET)
    (tmp_path / "passkeycore.secret").write_text(SECRET, "utf-8")
    (tmp_path / "passkey_config.jsonc").write_text(describe().replace(f'// "{key}"', f'"{key}"'), "utf-8")
    config = load(tmp_path / "passkey_config.jsonc")
    plain = parse(describe(), name="f", format="jsonc")
    without_default = {"name", "related_origins", "top_origins", "android_apps", "ios_apps", "database", "redis"}
    without_default |= {"passkey_enroll_url", "passkey_manage_url"}
    assert (config == plain) == (key not in without_default | {"secret_env", "secret_file"})


def test_the_secret_of_the_example_is_none() -> None:
    """Or every server that began with the example would have the same one."""
    assert refused(describe().replace('// "secret"', '"secret"')).path == "secret"


# --- anything at all ---

FRAGMENTS = st.sampled_from(
    [
        *('"', "'", '"""', "'''", "{", "}", "[", "]", "[[", "]]", ",", ":", "=", ".", "#", "//", "/*", "*/"),
        *("\n", "\r\n", " ", "\\", "\\u", "\ud800", "\x00", "1", "1e999", "0x", "-", "true", "null", "NaN", "Infinity"),
        *("1979-05-27", "07:32:00", "hostname", '"hostname"', "example.com", "origins", "secret", "android_apps"),
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(), inner),
    max_leaves=12,
)


def judged(text: str) -> None:
    for form in get_args(Format):
        try:
            config = parse(text, name="f", format=form)
        except ConfigurationError as error:
            assert re.match(r"f:[0-9]+: ", str(error))
        else:
            assert isinstance(config, Config)
            config.relying_party()


@settings(deadline=None)
@given(st.text() | st.lists(FRAGMENTS | st.text(max_size=3), max_size=60).map("".join))
@example("[" * 5_000)
@example('{"a":' * 5_000)
@example('{"hostname": ' + "9" * 10_000 + "}")
@example("hostname = " + "9" * 10_000)
@example("hostname = 0x" + "f" * 10_000)
@example("hostname = 9999-99-99")
def test_any_text_is_a_configuration_or_a_configuration_error(text: str) -> None:
    judged(text)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KEYS)), JSON_VALUES))
def test_any_json_is_a_configuration_or_a_configuration_error(values: dict[str, object]) -> None:
    judged(json.dumps(values))
    judged(json.dumps({"hostname": "example.com"} | values, ensure_ascii=False))


@settings(deadline=None)
@given(st.sampled_from([JSONC, TOML]), st.data())
def test_any_damaged_file_is_a_configuration_or_a_configuration_error(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        text = text[:start] + data.draw(FRAGMENTS | st.just("")) + text[start + data.draw(st.integers(0, 9)) :]
    judged(text)
