"""Files below /.well-known/: what is built is right, and every mistake in one that exists is found, alone.

Rows begin from a good document, change one thing, and name the findings; the unchanged document has none.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, get_args

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from passkeycore import ConfigurationError, RelyingParty, android_origin
from passkeycore.config import Config, check_well_known, parse, well_known_files
from passkeycore.config.well_known import NAMES
from passkeycore.well_known import (
    AndroidApp,
    Finding,
    LabelCount,
    Level,
    Problem,
    apple_app_site_association,
    asset_links,
    check_apple_app_site_association,
    check_asset_links,
    check_passkey_endpoints,
    check_related_origins,
    check_response,
    count_labels,
    passkey_endpoints,
    related_origins,
    to_bytes,
)
from passkeycore.well_known.findings import MOST_FINDINGS

Json: TypeAlias = Any
Found: TypeAlias = list[tuple[str, str]]

ONE: Final = ":".join(f"{byte:02X}" for byte in range(32))
TWO: Final = ":".join(f"{byte:02X}" for byte in range(100, 132))
SHA1: Final = ONE[:59]
IOS: Final = "ABCDE12345.com.example.app"
LOGIN: Final = "delegate_permission/common.get_login_creds"
LINKS: Final = "delegate_permission/common.handle_all_urls"
CERTIFICATES: Final = "[0].target.sha256_cert_fingerprints"
CERTS: Final = "0.target.sha256_cert_fingerprints"
WITHOUT_LOGIN: Final = ("login_relation_missing", CERTIFICATES + "[0]")
SIX: Final = [f"https://{name}.com" for name in ("one", "two", "three", "four", "five", "six")]

APPLE: Final[Json] = {"applinks": {}, "webcredentials": {"apps": [IOS, "ABCDE12345.com.example.app2"]}}
ANDROID: Final[Json] = [
    {
        "relation": [LINKS, LOGIN],
        "target": {"namespace": "android_app", "package_name": "com.example.app", "sha256_cert_fingerprints": [ONE]},
    },
    {
        "relation": [LINKS, LOGIN],
        "target": {"namespace": "android_app", "package_name": "com.example.two", "sha256_cert_fingerprints": [TWO]},
    },
    {"relation": [LOGIN], "target": {"namespace": "web", "site": "https://example.org"}},
]
RELATED: Final[Json] = {"origins": ["https://example.org", "https://example.net:8443", "https://shop.de"]}
ENDPOINTS: Final[Json] = {"enroll": "https://example.com/new", "manage": "https://example.com/?tab=keys#own"}
GOOD: Final[dict[str, Json]] = dict(zip(NAMES, (APPLE, ANDROID, RELATED, ENDPOINTS), strict=True))
APPLE_NAME, ANDROID_NAME, RELATED_NAME, ENDPOINTS_NAME = NAMES

CONFIG: Final = parse(
    json.dumps(
        {
            "hostname": "example.com",
            "ios_apps": APPLE["webcredentials"]["apps"],
            "android_apps": [
                {"package_name": "com.example.app", "sha256_fingerprints": [ONE]},
                {"package_name": "com.example.two", "sha256_fingerprints": [TWO.lower()]},
            ],
            "related_origins": RELATED["origins"],
            "passkey_enroll_url": ENDPOINTS["enroll"],
            "passkey_manage_url": ENDPOINTS["manage"],
        }
    ),
    name="config",
    format="jsonc",
)


def found(findings: Sequence[Finding]) -> Found:
    return [(finding.code.value, finding.path) for finding in findings]


def changed(document: Json, path: str, value: object) -> Json:
    """`document` with another value at a path such as ``0.target.site``; ... takes it out."""
    copy = json.loads(json.dumps(document))
    *way, last = path.split(".")
    inner = copy
    for step in way:
        inner = inner[int(step) if step.isdigit() else step]
    key: Any = int(last) if last.isdigit() else last
    if value is ...:
        del inner[key]
    elif isinstance(inner, list) and key == len(inner):
        inner.append(value)
    else:
        inner[key] = value
    return copy


def alone(name: str, document: bytes) -> Sequence[Finding]:
    return check_well_known(name, document)


@pytest.mark.parametrize("name", NAMES)
def test_the_good_documents_have_no_findings(name: str) -> None:
    assert check_well_known(name, to_bytes(GOOD[name])) == ()
    assert check_well_known(name, to_bytes(GOOD[name]), CONFIG) == ()


# --- one change, its findings: name, path, value, what is found ---

CHANGES: Final[list[tuple[str, str, object, Found]]] = [
    (APPLE_NAME, "webcredentials", ..., [("member_missing", "webcredentials")]),
    (APPLE_NAME, "webcredentials", [], [("type_wrong", "webcredentials"), ("member_missing", "webcredentials.apps")]),
    (APPLE_NAME, "webcredentials.apps", ..., [("member_missing", "webcredentials.apps")]),
    (APPLE_NAME, "webcredentials.apps", [], [("member_missing", "webcredentials.apps")]),
    (APPLE_NAME, "webcredentials.apps", IOS, [("type_wrong", "webcredentials.apps")]),
    (APPLE_NAME, "webcredentials.apps.1", 7, [("type_wrong", "webcredentials.apps[1]")]),
    (APPLE_NAME, "webcredentials.apps.1", IOS, [("repeated", "webcredentials.apps[1]")]),
    *(
        (APPLE_NAME, "webcredentials.apps.1", app, [("app_id_invalid", "webcredentials.apps[1]")])
        for app in (
            "",
            "com.example.app",
            "abcde12345.com.example.app",
            "ABCDE1234.com.example.app",
            "ABCDE123456.com.example.app",
            "ABCDE12345",
            "ABCDE12345.",
            "ABCDE12345.com..app",
            "ABCDE12345.com.example.*",
            "ABCDE12345.com.example.app\n",
            " ABCDE12345.com.example.app",
            "ABCDE12345.com.exämple",
            "ABCDE12345." + "a" * 250,
        )
    ),
    (APPLE_NAME, "appclips", {"apps": 7}, []),
    (ANDROID_NAME, "0.relation", [LINKS], [("login_relation_missing", CERTIFICATES + "[0]")]),
    (ANDROID_NAME, "0.relation", [LOGIN], [("links_relation_missing", CERTIFICATES + "[0]")]),
    (ANDROID_NAME, "0.relation", ..., [("member_missing", "[0].relation"), WITHOUT_LOGIN]),
    (ANDROID_NAME, "0.relation", LOGIN, [("type_wrong", "[0].relation"), WITHOUT_LOGIN]),
    (ANDROID_NAME, "0.relation.2", "delegate_permission/common.use_as_origin", []),
    (ANDROID_NAME, "0.relation.2", None, [("type_wrong", "[0].relation[2]")]),
    (ANDROID_NAME, "0.target", ..., [("member_missing", "[0].target")]),
    (ANDROID_NAME, "0.target", "com.example.app", [("type_wrong", "[0].target")]),
    (ANDROID_NAME, "0.target.namespace", ..., [("member_missing", "[0].target.namespace")]),
    (ANDROID_NAME, "0.target.namespace", "something_new", []),
    (ANDROID_NAME, "0.target.package_name", ..., [("member_missing", "[0].target.package_name")]),
    *(
        (ANDROID_NAME, "0.target.package_name", name, [("package_name_invalid", "[0].target.package_name")])
        for name in ("", "app", "com.", "1.app", "com.exa-mple", "com.example.app ", 7, "a." + "b" * 254)
    ),
    (ANDROID_NAME, CERTS, ..., [("member_missing", CERTIFICATES)]),
    (ANDROID_NAME, CERTS, [], [("member_missing", CERTIFICATES)]),
    (ANDROID_NAME, CERTS, ONE, [("type_wrong", CERTIFICATES)]),
    (ANDROID_NAME, CERTS + ".1", TWO, []),
    (ANDROID_NAME, CERTS + ".1", ONE, [("repeated", CERTIFICATES + "[1]")]),
    *(
        (ANDROID_NAME, CERTS + ".0", text, [(code, CERTIFICATES + "[0]")])
        for text, code in (
            (ONE.lower(), "fingerprint_lower_case"),
            (SHA1, "fingerprint_sha1"),
            (SHA1.lower(), "fingerprint_sha1"),
            (SHA1.replace(":", ""), "fingerprint_sha1"),
            (ONE.replace(":", ""), "fingerprint_invalid"),
            (ONE.replace(":", "-"), "fingerprint_invalid"),
            (ONE[:-1], "fingerprint_invalid"),
            (ONE[:-3], "fingerprint_invalid"),
            (ONE + ":20", "fingerprint_invalid"),
            (ONE[:-1] + "G", "fingerprint_invalid"),
            (ONE + "\n", "fingerprint_invalid"),
            ("SHA256: " + ONE, "fingerprint_invalid"),
            ("", "fingerprint_invalid"),
        )
    ),
    (ANDROID_NAME, "3", ANDROID[0], [("repeated", "[3].target.sha256_cert_fingerprints[0]")]),
    (ANDROID_NAME, "3", "statement", [("type_wrong", "[3]")]),
    (ANDROID_NAME, "3", {"include": "https://example.com/more.json"}, [("included_elsewhere", "[3].include")]),
    (ANDROID_NAME, "2.target.site", ..., [("member_missing", "[2].target.site")]),
    (ANDROID_NAME, "2.target.site", 7, [("type_wrong", "[2].target.site")]),
    (ANDROID_NAME, "2.target.site", "http://example.org", [("origin_insecure", "[2].target.site")]),
    (ANDROID_NAME, "2.target.site", "https://example.org/", [("origin_invalid", "[2].target.site")]),
    (ANDROID_NAME, "2.target.site", "example.org", [("origin_invalid", "[2].target.site")]),
    (ANDROID_NAME, "2.target.site", "ios:app", [("origin_invalid", "[2].target.site")]),
    (ANDROID_NAME, "2.target.site", "https://example.org:443", []),
    (RELATED_NAME, "origins", ..., [("member_missing", "origins")]),
    (RELATED_NAME, "origins", [], [("member_missing", "origins")]),
    (RELATED_NAME, "origins", {}, [("type_wrong", "origins")]),
    (RELATED_NAME, "origins.1", None, [("type_wrong", "origins[1]")]),
    (RELATED_NAME, "origins.1", "https://example.org", [("repeated", "origins[1]")]),
    (RELATED_NAME, "origins.1", "http://example.net", [("origin_insecure", "origins[1]")]),
    (RELATED_NAME, "origins.1", "http://localhost:3000", [("origin_insecure", "origins[1]")]),
    (RELATED_NAME, "origins.1", "https://localhost", [("origin_without_domain", "origins[1]")]),
    *(
        (RELATED_NAME, "origins.1", origin, [("origin_invalid", "origins[1]")])
        for origin in (
            "",
            "example.net",
            "https://example.net/",
            "https://example.net/path",
            "https://*.example.net",
            "https://EXAMPLE.net",
            "https://example.net:443",
            "https://192.0.2.1",
            "https://exämple.net",
            "ios:bundle",
            android_origin(ONE),
        )
    ),
    (RELATED_NAME, "origins", SIX[:5], []),
    (RELATED_NAME, "origins", SIX, [("labels_exceeded", "origins")]),
    (RELATED_NAME, "origins", [*SIX[:5], "https://www.one.org"], [("labels_uncertain", "origins")]),
    (RELATED_NAME, "more", 7, []),
    (ENDPOINTS_NAME, "enroll", ..., []),
    (ENDPOINTS_NAME, "prfUsageDetails", "https://example.com/prf", []),
    (ENDPOINTS_NAME, "somethingNew", 7, []),
    *(
        (ENDPOINTS_NAME, member, url, [("url_invalid", member)])
        for member in ("enroll", "manage", "prfUsageDetails")
        for url in (
            "/passkeys",
            "http://example.com/passkeys",
            "https:///passkeys",
            "https://ada@example.com/",
            "https://example.com/a b",
            "https://example.com/ä",
            "https://example.com\\passkeys",
            "https://example.com/" + "a" * 2048,
            "javascript:alert(1)",
            None,
            7,
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "findings"), CHANGES)
def test_one_change_has_its_findings_and_no_others(name: str, path: str, value: object, findings: Found) -> None:
    assert found(alone(name, to_bytes(changed(GOOD[name], path, value)))) == findings


TEXTS: Final[list[tuple[bytes, Found]]] = [
    (b"", [("json_invalid", "$")]),
    (b"<html>", [("json_invalid", "$")]),
    (b"\xff", [("json_invalid", "$")]),
    (b"// ours\n{}", [("json_invalid", "$")]),
    (b"{} /* ours */", [("json_invalid", "$")]),
    (b'{"a": 1,}', [("json_invalid", "$")]),
    (b'{"a": NaN}', [("json_invalid", "$")]),
    (b'{"a": ' + 5000 * b"9" + b"}", [("json_invalid", "$")]),
    (100_000 * b"[", [("json_invalid", "$")]),
    (b'{"a": ' * 20_000, [("json_invalid", "$")]),
    (b"null", [("type_wrong", "$")]),
    ("{}".encode("utf-16"), [("json_invalid", "$")]),
    ((1 << 20) * b" " + b"x", [("too_large", "$")]),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("text", "findings"), TEXTS)
def test_what_is_no_json_is_said_and_nothing_else(name: str, text: bytes, findings: Found) -> None:
    assert found(alone(name, text)) == findings


@pytest.mark.parametrize("name", NAMES)
def test_a_byte_order_mark_is_one_mistake_and_hides_no_other(name: str) -> None:
    good = b"\xef\xbb\xbf" + to_bytes(GOOD[name])
    assert found(alone(name, good)) == [("json_invalid", "$")]
    assert found(alone(name, b"\xef\xbb\xbf7"))[0] == ("json_invalid", "$")
    assert len(alone(name, b"\xef\xbb\xbf7")) > 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{\n// ours\n}", "line 2: a comment"),
        (b"{}\n\n/* ours */", "line 3: a comment"),
        (b"[\n\n1,\n]", "line 4: "),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": "\xff"}', "at byte 7"),
    ],
)
def test_a_syntax_error_says_what_and_where(text: bytes, message: str) -> None:
    assert message in alone(RELATED_NAME, text)[0].message


@pytest.mark.parametrize("name", NAMES)
def test_a_member_given_twice_is_found_wherever_it_is(name: str) -> None:
    text = to_bytes(GOOD[name]).replace(b"{", b'{"x\\u0031": 1, "x1": {"y": 1, "y": 2}, ', 1)
    assert found(alone(name, text)) == [("member_repeated", "$"), ("member_repeated", "$")]


@pytest.mark.parametrize(
    ("name", "most"), [(APPLE_NAME, 128 << 10), (ANDROID_NAME, 1 << 20), (RELATED_NAME, 256 << 10)]
)
def test_sizes_end_where_clients_end(name: str, most: int) -> None:
    good = to_bytes(GOOD[name])
    assert alone(name, good.ljust(most)) == ()
    assert found(alone(name, good.ljust(most + 1))) == [("too_large", "$")]


def test_findings_are_bounded_errors_first_and_no_error_is_lost_among_warnings() -> None:
    origins = [*(5000 * ["https://example.org"]), *(5000 * [7]), "https://example.org/"]
    findings = check_related_origins(to_bytes({"origins": origins}))
    levels = [finding.level for finding in findings]
    assert levels == MOST_FINDINGS * ["error"] + MOST_FINDINGS * ["warning"]


def test_messages_repeat_remote_values_escaped_and_bounded() -> None:
    for name, path in ((APPLE_NAME, "webcredentials.apps.0"), (RELATED_NAME, "origins.0"), (ENDPOINTS_NAME, "manage")):
        for value in ("\x1b[2J\u202e", "x" * 100_000):
            for finding in alone(name, to_bytes(changed(GOOD[name], path, value))):
                assert finding.message.isascii()
                assert finding.message.isprintable()
                assert len(finding.message) < 500


# --- asset links as a whole ---


def test_relations_of_one_certificate_may_stand_in_several_statements() -> None:
    split = [statement | {"relation": [relation]} for statement in ANDROID[:2] for relation in (LOGIN, LINKS)]
    assert check_asset_links(to_bytes(split)) == ()


def test_no_app_with_credentials_is_an_error() -> None:
    for document in ([], [ANDROID[0] | {"relation": [LINKS]}], [ANDROID[2]]):
        assert found(check_asset_links(to_bytes(document))) == [("relation_missing", "$")]
    twice = 2 * [ANDROID[0] | {"relation": [LINKS]}]
    assert ("relation_missing", "$") in found(check_asset_links(to_bytes(twice)))


def test_what_is_included_elsewhere_is_not_said_to_be_missing() -> None:
    include = [{"include": "https://example.com/more.json"}]
    origins = [android_origin(ONE)]
    apps = [AndroidApp(package_name="com.example.app", sha256_fingerprints=(ONE,))]
    findings = check_asset_links(to_bytes(include), apps=apps, origins=origins)
    assert found(findings) == [("included_elsewhere", "[0].include")]


def test_each_android_origin_has_its_fingerprint_and_the_other_way_round() -> None:
    document = to_bytes(ANDROID)
    origins = ["https://example.com", android_origin(ONE), android_origin(TWO)]
    assert check_asset_links(document, origins=origins) == ()
    (finding,) = check_asset_links(document, origins=origins[:2])
    assert (finding.code, finding.path) == ("not_configured", "[1].target.sha256_cert_fingerprints[0]")
    other = android_origin("00" * 32)
    (finding,) = check_asset_links(document, origins=[*origins, other])
    assert (finding.code, finding.level) == ("not_listed", "error")
    assert other in finding.message


def test_a_lower_case_fingerprint_is_not_said_to_be_missing_as_well() -> None:
    document = to_bytes(ANDROID).replace(ONE.encode(), ONE.lower().encode())
    assert found(check_well_known(ANDROID_NAME, document, CONFIG)) == [("fingerprint_lower_case", CERTIFICATES + "[0]")]


# --- labels ---


@pytest.mark.parametrize(
    ("hosts", "suffixes", "rp_id", "count"),
    [
        ([], [], None, (0, 0)),
        (["example.com"], [], None, (1, 1)),
        (["example.com", "example.org", "example.de"], [], None, (1, 1)),
        (["example.com", "www.example.com", "a.b.example.com"], [], None, (1, 1)),
        (["www.example.com", "shop.example.com"], [], None, (1, 2)),
        (["www.example.com", "shop.example.com"], [], "example.com", (1, 1)),
        (["www.example.com", "shop.example.com"], ["co.uk"], None, (1, 2)),
        (["www.example.com", "example.org"], [], None, (1, 2)),
        (["example.co.uk", "other.co.uk"], [], None, (1, 2)),
        (["example.co.uk", "other.co.uk"], ["co.uk"], None, (2, 2)),
        (["example.co.uk", "www.example.co.uk", "example.com"], ["co.uk"], None, (1, 1)),
        (["a.github.io", "b.github.io", "github.io"], ["github.io"], None, (2, 2)),
        (["a.b.example", "c.d.example"], [], None, (2, 2)),
        (["localhost", "app.localhost"], [], None, (1, 1)),
        (["com"], [], "com", (0, 0)),
        ([f"{name}.com" for name in "abcdefgh"], [], None, (6, 6)),
        ([f"{name}.co.uk" for name in "abcdefgh"], [], None, (1, 6)),
        ([f"{name}.co.uk" for name in "abcde"], ["co.uk"], None, (5, 5)),
        (["a.x.com", "b.x.com", "a.y.com", "b.y.com"], [], None, (2, 4)),
        (["a.com", "a.b.org", "b.a.org", "b.com"], [], None, (2, 2)),
    ],
)
def test_labels_are_counted_between_two_bounds(
    hosts: list[str], suffixes: list[str], rp_id: str | None, count: tuple[int, int]
) -> None:
    for order in (hosts, hosts[::-1], hosts + hosts):
        assert count_labels(order, rp_id=rp_id, public_suffixes=suffixes) == LabelCount(*count)


LABELS: Final = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4)


@settings(deadline=None)
@given(st.lists(LABELS, max_size=7), st.integers(1, 3))
def test_the_truth_lies_between_the_bounds(names: list[list[str]], depth: int) -> None:
    """A public suffix list that gives every top-level domain suffixes of one depth; only hosts below one count."""
    tops = ("x", "y")
    hosts = [".".join([*labels, tops[len(labels) % 2]]) for labels in names]
    hosts = [host for host in hosts if host.count(".") >= depth]
    truth = {host.split(".")[-depth - 1] for host in hosts}
    count = count_labels(hosts)
    assert count.at_least <= min(len(truth), 6) <= count.at_most
    suffixes = {".".join(host.split(".")[-depth:]) for host in hosts}
    exact = min(len(truth), 6)
    assert count_labels(hosts, public_suffixes=suffixes) == (exact, exact)


def test_a_public_suffix_settles_an_uncertain_budget() -> None:
    document = {"origins": [f"https://{name}.co.uk" for name in "abcdef"]}
    assert found(check_related_origins(to_bytes(document))) == [("labels_uncertain", "origins")]
    exceeded = check_related_origins(to_bytes(document), public_suffixes=["co.uk"])
    assert found(exceeded) == [("labels_exceeded", "origins")]
    document["origins"].pop()
    assert check_related_origins(to_bytes(document), public_suffixes=["co.uk"]) == ()


def test_an_origin_that_is_a_public_suffix_has_no_domain() -> None:
    document = to_bytes({"origins": ["https://co.uk", "https://example.org"]})
    findings = check_related_origins(document, public_suffixes=["co.uk"])
    assert found(findings) == [("origin_without_domain", "origins[0]")]


@pytest.mark.parametrize("arguments", [{"rp_id": "https://example.com"}, {"public_suffixes": ["*.uk"]}])
def test_arguments_that_are_no_domains_are_ours_to_mend(arguments: Any) -> None:
    with pytest.raises(ConfigurationError):
        check_related_origins(to_bytes(RELATED), **arguments)
    with pytest.raises(ConfigurationError):
        related_origins(RELATED["origins"], **arguments)


# --- against a configuration ---


def settings_with(**changes: object) -> Config:
    return msgspec.structs.replace(CONFIG, **changes)


AGAINST: Final[list[tuple[str, Json, Config, Found]]] = [
    (APPLE_NAME, APPLE, settings_with(ios_apps=(IOS,)), [("not_configured", "webcredentials.apps[1]")]),
    (
        APPLE_NAME,
        APPLE,
        settings_with(ios_apps=(*CONFIG.ios_apps, "ZZZZZ12345.app")),
        [("not_listed", "webcredentials.apps")],
    ),
    (
        APPLE_NAME,
        {},
        CONFIG,
        [("member_missing", "webcredentials"), *(2 * [("not_listed", "webcredentials.apps")])],
    ),
    (
        ANDROID_NAME,
        changed(ANDROID, "0.relation", [LINKS]),
        CONFIG,
        [("not_listed", "$"), ("login_relation_missing", CERTIFICATES + "[0]")],
    ),
    (
        ANDROID_NAME,
        changed(ANDROID, "0.target.package_name", "com.example.other"),
        CONFIG,
        [("not_listed", "$"), ("not_configured", CERTIFICATES + "[0]")],
    ),
    (
        ANDROID_NAME,
        ANDROID,
        settings_with(origins=CONFIG.origins[:2]),
        [("not_configured", "[1].target.sha256_cert_fingerprints[0]")],
    ),
    (
        RELATED_NAME,
        changed(RELATED, "origins.3", "https://example.com"),
        CONFIG,
        [("origin_within_rp_id", "origins[3]")],
    ),
    (
        RELATED_NAME,
        changed(RELATED, "origins.3", "https://login.example.com"),
        CONFIG,
        [("origin_within_rp_id", "origins[3]")],
    ),
    (RELATED_NAME, changed(RELATED, "origins.3", "https://a.org"), CONFIG, [("not_configured", "origins[3]")]),
    (RELATED_NAME, changed(RELATED, "origins.2", ...), CONFIG, [("not_listed", "origins")]),
    (ENDPOINTS_NAME, changed(ENDPOINTS, "enroll", ...), CONFIG, [("not_listed", "enroll")]),
    (ENDPOINTS_NAME, changed(ENDPOINTS, "manage", "https://example.com/"), CONFIG, [("not_listed", "manage")]),
    (
        ENDPOINTS_NAME,
        ENDPOINTS,
        settings_with(rp_id="login.example.com"),
        [("url_elsewhere", "enroll"), ("url_elsewhere", "manage")],
    ),
]


@pytest.mark.parametrize(("name", "document", "config", "findings"), AGAINST)
def test_a_document_and_the_configuration_agree(name: str, document: Json, config: Config, findings: Found) -> None:
    assert found(check_well_known(name, to_bytes(document), config)) == findings


def test_a_relying_party_will_do_as_well() -> None:
    rp = RelyingParty(id="example.com", origins=["https://example.com", android_origin(ONE)])
    assert found(check_asset_links(to_bytes(ANDROID), origins=rp.origins)) == [
        ("not_configured", "[1].target.sha256_cert_fingerprints[0]")
    ]
    assert len(check_related_origins(to_bytes(RELATED), origins=rp.related_origins, rp_id=rp.id)) == 3


def test_another_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="one of apple"):
        check_well_known("robots.txt", b"{}")


# --- how it is served ---


@pytest.mark.parametrize(
    ("status", "content_type", "codes"),
    [
        (200, "application/json", []),
        (200, "Application/JSON; charset=utf-8", []),
        (200, None, ["content_type_wrong"]),
        (200, "", ["content_type_wrong"]),
        (200, "text/html", ["content_type_wrong"]),
        (200, "application/jsonp", ["content_type_wrong"]),
        *((status, "application/json", ["redirected"]) for status in (301, 302, 303, 307, 308)),
        *((status, "application/json", ["not_served"]) for status in (201, 204, 206, 304, 404, 500)),
    ],
)
def test_only_status_200_and_json_will_do(status: int, content_type: str | None, codes: list[str]) -> None:
    assert [each.code for each in check_response(status=status, content_type=content_type)] == codes


def test_every_problem_has_a_row_and_a_level() -> None:
    listed: list[Found] = [row[-1] for rows in (CHANGES, TEXTS, AGAINST) for row in rows]
    rows = [code for findings in listed for code, _ in findings]
    elsewhere = {"not_served", "redirected", "content_type_wrong", "member_repeated", "relation_missing"}
    assert {*rows, *elsewhere} == set(Problem)
    levels = {Finding(code=code, path="$", message="").level for code in Problem}
    assert levels == set(get_args(Level))


# --- builders ---

BUILT: Final[list[tuple[Callable[[], object], str, Callable[[bytes], object]]]] = [
    (
        lambda: apple_app_site_association([IOS], other_services={"applinks": {"details": []}}),
        f'{{"webcredentials": {{"apps": ["{IOS}"]}}, "applinks": {{"details": []}}}}',
        check_apple_app_site_association,
    ),
    (
        lambda: asset_links(
            [AndroidApp(package_name="com.example.app", sha256_fingerprints=(ONE.lower().replace(":", ""), TWO))],
            sites=["https://example.org"],
        ),
        json.dumps([changed(ANDROID[0], "target.sha256_cert_fingerprints", [ONE, TWO]), ANDROID[2]]),
        check_asset_links,
    ),
    (lambda: related_origins(RELATED["origins"]), json.dumps(RELATED), check_related_origins),
    (
        lambda: passkey_endpoints(**ENDPOINTS, prf_usage_details="https://example.com/prf"),
        json.dumps(ENDPOINTS | {"prfUsageDetails": "https://example.com/prf"}),
        check_passkey_endpoints,
    ),
    (passkey_endpoints, "{}", check_passkey_endpoints),
]


@pytest.mark.parametrize(("build", "wanted", "check"), BUILT)
def test_what_is_built_is_good(build: Callable[[], object], wanted: str, check: Callable[[bytes], object]) -> None:
    document = build()
    assert document == json.loads(wanted)
    content = to_bytes(document)
    assert content.isascii()
    assert content.endswith(b"\n")
    assert json.loads(content) == document
    assert check(content) == ()


def test_app_links_are_left_out_on_demand() -> None:
    app = AndroidApp(package_name="com.example.app", sha256_fingerprints=(ONE,))
    assert asset_links([app])[0]["relation"] == [LINKS, LOGIN]
    assert asset_links([app], handle_all_urls=False)[0]["relation"] == [LOGIN]


def app(*fingerprints: str, package: str = "com.example.app") -> AndroidApp:
    return AndroidApp(package_name=package, sha256_fingerprints=fingerprints)


@pytest.mark.parametrize(
    "build",
    [
        lambda: apple_app_site_association([]),
        lambda: apple_app_site_association(IOS),
        lambda: apple_app_site_association([IOS, IOS]),
        lambda: apple_app_site_association(["com.example.app"]),
        lambda: apple_app_site_association([b"x"]),  # type: ignore[list-item]
        lambda: apple_app_site_association([IOS], other_services={"webcredentials": {"apps": [IOS]}}),
        lambda: apple_app_site_association([IOS], other_services={"applinks": {1, 2}}),
        lambda: apple_app_site_association([IOS], other_services={"applinks": "x" * (128 << 10)}),
        lambda: apple_app_site_association([IOS], other_services={"applinks": float("nan")}),
        lambda: asset_links([]),
        lambda: asset_links([app()]),
        lambda: asset_links([app(SHA1)]),
        lambda: asset_links([app(ONE[:-1])]),
        lambda: asset_links([app(ONE, ONE.lower())]),
        lambda: asset_links([app(ONE), app(ONE)]),
        lambda: asset_links([app(ONE, package="app")]),
        lambda: asset_links([app(ONE)], sites=["http://example.org"]),
        lambda: asset_links([app(ONE)], sites=[b"https://example.org"]),  # type: ignore[list-item]
        lambda: asset_links([], sites=["https://example.org"]),
        lambda: related_origins([]),
        lambda: related_origins("https://example.org"),
        lambda: related_origins([*SIX[:2], SIX[0]]),
        lambda: related_origins(["https://example.org/"]),
        lambda: related_origins(["http://example.org"]),
        lambda: related_origins(["https://localhost"]),
        lambda: related_origins([android_origin(ONE)]),
        lambda: related_origins([b"https://example.org"]),  # type: ignore[list-item]
        lambda: related_origins(SIX),
        lambda: related_origins([f"https://{name}.co.uk" for name in "abcdef"], public_suffixes=["co.uk"]),
        lambda: passkey_endpoints(enroll="/passkeys"),
        lambda: passkey_endpoints(manage="http://example.com"),
        lambda: passkey_endpoints(enroll=b"https://example.com"),  # type: ignore[arg-type]
    ],
)
def test_builders_refuse_what_nobody_could_use(build: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build()
    assert caught.value.path is not None


def test_a_builder_refuses_no_more_labels_than_there_certainly_are() -> None:
    assert related_origins([f"https://{name}.co.uk" for name in "abcdef"])
    assert related_origins(SIX[:5])


# --- from a configuration ---


def test_the_files_of_a_configuration_are_good_and_agree_with_it() -> None:
    files = well_known_files(CONFIG)
    assert list(files) == [f"/.well-known/{name}" for name in NAMES]
    for path, (content_type, content) in files.items():
        assert content_type == "application/json"
        assert check_well_known(path.removeprefix("/.well-known/"), content, CONFIG) == ()
    assert json.loads(files["/.well-known/assetlinks.json"][1]) == ANDROID[:2]
    assert json.loads(files["/.well-known/apple-app-site-association"][1]) == {
        "webcredentials": APPLE["webcredentials"]
    }
    assert json.loads(files["/.well-known/webauthn"][1]) == RELATED
    assert json.loads(files["/.well-known/passkey-endpoints"][1]) == ENDPOINTS


def test_there_are_only_files_with_something_to_say() -> None:
    plain = Config(hostname="example.com", rp_id="example.com", origins=("https://example.com",))
    assert well_known_files(plain) == {}
    for member in ("passkey_enroll_url", "passkey_manage_url"):
        only = msgspec.structs.replace(plain, **{member: "https://example.com/keys"})
        assert list(well_known_files(only)) == ["/.well-known/passkey-endpoints"]


@pytest.mark.parametrize("related", [tuple(SIX), ("http://localhost:3000",)])
def test_related_origins_that_no_browser_takes_are_refused_by_their_key(related: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        well_known_files(settings_with(related_origins=related))
    assert caught.value.path == "related_origins"


# --- anything at all ---

MEMBERS: Final = (
    *("webcredentials", "apps", "relation", "target", "namespace", "package_name", "site", "include"),
    *("sha256_cert_fingerprints", "origins", "enroll", "manage"),
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([ONE, IOS, LOGIN, *SIX]),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(MEMBERS) | st.text(),
            inner,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
@example(b'{"origins": ["https://\\ud800"]}')
@example(b'{"webcredentials": {"apps": ["\\ud800"]}}')
def test_any_bytes_have_findings_and_no_exception(document: bytes) -> None:
    for name in NAMES:
        for config in (None, CONFIG):
            for finding in check_well_known(name, document, config):
                assert finding.message.isprintable()
