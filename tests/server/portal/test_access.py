"""Who gets into the portal, for how long, and what every page and form asks before it answers."""

import logging
import re
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest

from passkeycore.config.server import parse_server
from passkeycore.engine.records import EventFilter, EventType
from passkeycore.server import portal
from passkeycore.server.app import server_app
from passkeycore.server.portal.fields import FIELDS as SETTINGS
from passkeycore.server.portal.serving import Row
from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from tests.server.kit import OPERATOR_SECRET, TenantKit, file_text

from .kit import Operator, application, portal_kit

GUARDED = [row for row in portal.ROWS if row.who == "operator"]
FIELDS = (*(field.key for field in SETTINGS), "rules")
FORMS = [row for row in GUARDED if row.method == "POST"]


def place(row: Row) -> str:
    return row.path.replace("{tenant_id}", "shop")


def ask(who: Operator, row: Row, csrf: str | None = None, origin: str | None = None) -> int:
    """The status of an empty request of this row, with the CSRF token and from the origin that are given."""
    headers = {"Origin": origin or who.origin}
    if row.method == "GET":
        return who.http.get(f"/portal{place(row)}").status_code
    if row.sends == "json":
        headers |= {} if csrf is None else {"X-CSRF-Token": csrf}
        return who.http.post(f"/portal{place(row)}", json={}, headers=headers).status_code
    form = {} if csrf is None else {"csrf": csrf}
    return who.http.post(f"/portal{place(row)}", data={"x": "", **form}, headers=headers).status_code


@pytest.mark.parametrize("row", GUARDED, ids=lambda row: f"{row.method} {row.path}")
def test_nobody_without_a_session_gets_in(visitor: Operator, row: Row) -> None:
    assert ask(visitor, row) == (303 if row.method == "GET" else 401)
    assert row.method == "POST" or visitor.get(place(row)).headers["location"] == "/portal/sign-in"


@pytest.mark.parametrize("row", GUARDED, ids=lambda row: f"{row.method} {row.path}")
def test_nobody_with_an_idle_session_gets_in(operator: Operator, row: Row) -> None:
    csrf = operator.csrf()
    operator.kit.clock.pass_(30 * 60)
    assert ask(operator, row, csrf) in (303, 401)
    assert row.method == "POST" or operator.get(place(row)).headers["location"] == "/portal/sign-in"


@pytest.mark.parametrize("row", FORMS, ids=lambda row: row.path)
def test_a_form_needs_the_token_of_its_session_and_our_own_origin(operator: Operator, row: Row) -> None:
    csrf = operator.csrf()
    stranger = Operator(operator.kit, application(operator.kit), "192.0.2.2")
    stranger.sign_in()
    assert ask(operator, row) == 403
    assert ask(operator, row, "x") == 403
    assert ask(operator, row, "ü") in (403, 400) if row.sends == "form" else True
    assert ask(operator, row, stranger.csrf()) == 403
    for origin in ("https://evil.example", "null", "https://auth.example.com.evil.example", "http://auth.example.com"):
        assert ask(operator, row, csrf, origin) == 403
    assert operator.get("/").status_code == 200
    assert ask(operator, row, csrf) not in (401, 403)


def test_a_form_without_any_origin_is_refused(operator: Operator) -> None:
    csrf = operator.csrf()
    assert operator.post("/sign-out", {"csrf": csrf}, Origin=None).status_code == 403
    assert operator.get("/").status_code == 200


def test_the_secret_signs_in_and_nothing_else_does(visitor: Operator, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong secret, one that is cut off, an empty one: refused, in the log, and in no answer or line."""
    for wrong in ("", OPERATOR_SECRET[:-1], OPERATOR_SECRET + "x", "wrong ü secret"):
        answer = visitor.sign_in(wrong)
        assert answer.status_code == 403
        assert visitor.cookie() is None
        assert not wrong or wrong not in answer.text
    assert "refused by secret from 192.0.2.1" in caplog.text
    assert visitor.sign_in().headers["location"] == "/portal/"
    assert "signed in by secret from 192.0.2.1" in caplog.text
    assert OPERATOR_SECRET not in caplog.text
    assert OPERATOR_SECRET[:-1] not in caplog.text
    assert visitor.get("/").status_code == 200
    assert all(record.levelno >= logging.WARNING for record in caplog.records if "portal:" in record.message)


def test_signing_in_from_another_site_is_refused(visitor: Operator) -> None:
    answer = visitor.post("/sign-in", {"secret": OPERATOR_SECRET}, Origin="https://evil.example")
    assert answer.status_code == 403
    assert visitor.cookie() is None


def test_what_succeeds_is_no_attempt_too_many(visitor: Operator) -> None:
    """Who signs in often is not locked out; only failures count."""
    for _ in range(12):
        assert visitor.sign_in().status_code == 303
        assert visitor.send("/sign-out").status_code == 303


def test_passkeys_still_open_where_secrets_were_tried_too_often(operator: Operator, kit: TenantKit) -> None:
    """Neither locks the other out: somebody at the same address cannot keep the operator outside."""
    client = VirtualClient(SoftwareAuthenticator("laptop"), operator.origin)
    TestPasskeys().add(operator, client)
    visitor = Operator(kit, operator.app)
    for _ in range(11):
        visitor.sign_in("x" * 32)
    assert visitor.sign_in().status_code == 429
    options = visitor.json("/sign-in/passkey/start").json()
    assert visitor.json("/sign-in/passkey/finish", client.get(options)).status_code == 200
    other = Operator(kit, operator.app, "192.0.2.77")
    for _ in range(20):
        other.json("/sign-in/passkey/start")
        assert other.json("/sign-in/passkey/finish", {}).status_code == 400
    assert other.json("/sign-in/passkey/start").status_code == 429
    assert other.sign_in().status_code == 303


def test_a_wrong_secret_while_a_session_lives_is_refused_as_ever(operator: Operator) -> None:
    """And the session goes on."""
    assert operator.sign_in("x" * 32).status_code == 403
    assert operator.get("/").status_code == 200


WRONG_QUERIES = [
    "",
    "?q=%00&after=%00&id=%00&type=x&user=%00&from=x&until=9999-12-31&cursor=x&days=x&done=x&action=%00&state=%00",
    "?q=%ff&after=\u00e9&id=" + "x" * 3000 + "&user=" + "x" * 3000 + "&cursor=" + "A" * 3000 + "&done=%00",
    "?done_from=x&refused_from=%00",
    "?done_from=" + "9" * 3000 + "&refused_from=-1",
    "?id=nobody&action=" + "x" * 3000 + "&state=x&type=action.tracked&from=0001-01-01&until=0001-01-01&days=-1",
]
WRONG_FIELDS = ["", "x", "\0", "\ud7ff\uffff", "x" * 9000, "-1", "[]", "'\"<>&", "\r\n", "9" * 400]


@pytest.mark.parametrize("row", portal.ROWS, ids=lambda row: f"{row.method} {row.path}")
@pytest.mark.parametrize("signed_in", [True, False])
def test_no_wrong_input_is_our_fault(visitor: Operator, row: Row, signed_in: bool) -> None:
    """Whatever a page is asked and a form brings, with a session or without, nothing of it is answered by a 5xx."""
    csrf = ""
    if signed_in:
        visitor.sign_in()
        csrf = visitor.csrf()
    names = ("secret", "id", "user", "kind", "name", "commands", "revision", "none", "confirm_rp_id", *FIELDS)
    page = f"/portal{place(row)}"
    for query in WRONG_QUERIES:
        if row.method == "GET":
            assert visitor.http.get(page + query).status_code < 500, query
            continue
        if row.sends == "json":
            headers = {"Origin": visitor.origin, "X-CSRF-Token": csrf, "Content-Type": "application/json"}
            for body in (b"", b"{}", b"[]", b"\xff", b'{"secret": 1}', b'{"secret": "\\ud800"}', b"[" * 50_000):
                assert visitor.http.post(page, content=body, headers=headers).status_code < 500, body[:20]
    for text in WRONG_FIELDS if (row.method, row.sends) == ("POST", "form") else ():
        for given in (names, names[1:], ()):
            if signed_in and row.path == "/sign-out":
                visitor.sign_in()
            answer = visitor.post(place(row), {"csrf": csrf, **dict.fromkeys(given, text)})
            assert answer.status_code < 500, (text[:20], given)


def test_attempts_are_limited_for_each_address(visitor: Operator, kit: TenantKit) -> None:
    """Ten a minute; the right secret does not get through either, and another address is not concerned."""
    for _ in range(10):
        assert visitor.sign_in("x" * 32).status_code == 403
    refused = visitor.sign_in()
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "Too many attempts" in refused.text
    assert Operator(kit, visitor.app, "198.51.100.7").sign_in().status_code == 303


def test_the_cookie_is_for_this_host_alone_and_for_no_script(visitor: Operator) -> None:
    cookie = visitor.sign_in().headers["set-cookie"]
    assert cookie.startswith("__Host-passkeycore-portal=")
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {
        "httponly",
        "path=/",
        "samesite=strict",
        "secure",
    }


def test_a_session_goes_on_while_it_is_used_but_for_eight_hours_at_most(operator: Operator) -> None:
    for _ in range(8 * 60 // 20 - 1):
        operator.kit.clock.pass_(20 * 60)
        assert operator.get("/").status_code == 200
    operator.kit.clock.pass_(20 * 60)
    assert operator.get("/").status_code == 303


def test_every_process_knows_a_session_and_that_it_was_ended(operator: Operator) -> None:
    """The copy of a cookie is good for nothing after its session was ended, in another process too."""
    other = Operator(operator.kit, application(operator.kit))
    cookie = operator.cookie()
    assert cookie is not None
    other.http.http.cookies.set("__Host-passkeycore-portal", cookie, domain="auth.example.com", path="/")
    assert other.get("/").status_code == 200
    answer = operator.send("/sign-out")
    assert answer.headers["location"] == "/portal/sign-in?done=signed-out"
    assert operator.cookie() is None
    assert other.get("/").status_code == 303
    operator.sign_in()
    assert operator.get("/").status_code == 200


def test_sessions_that_have_ended_by_themselves_are_forgotten(operator: Operator, kit: TenantKit) -> None:
    """What is kept of sessions that were ended does not grow for ever."""
    operator.send("/sign-out")
    kit.clock.pass_(8 * 3600 + 1)
    operator.sign_in()
    operator.send("/sign-out")
    stored = kit.run(kit.storage.repository.find_overrides("passkeycore/operators"))
    assert stored is not None
    assert stored.values.count(b": ") == 2


def test_another_secret_in_the_file_ends_all_sessions(operator: Operator, kit: TenantKit, tmp_path: Path) -> None:
    text = file_text("sqlite://").replace(OPERATOR_SECRET, "another secret of the operator, 32 bytes")
    changed = parse_server(text, name="passkeycore.toml", format="toml")
    kit.settings = changed
    other = Operator(kit, application(kit))
    cookie = operator.cookie()
    assert cookie is not None
    other.http.http.cookies.set("__Host-passkeycore-portal", cookie, domain="auth.example.com", path="/")
    assert other.get("/").status_code == 303
    assert operator.get("/").status_code == 200


@pytest.mark.parametrize("cookie", ["x", "a.b.c", "é", "x" * 9000])
def test_a_cookie_that_is_none_of_ours_is_no_session(visitor: Operator, cookie: str) -> None:
    header = f"__Host-passkeycore-portal={cookie}".encode("latin-1")
    answer = visitor.http.get("/portal/", headers=[(b"cookie", header)])
    assert answer.status_code == 303


def test_without_an_operator_secret_there_is_no_portal(kit: TenantKit) -> None:
    text = "\n".join(line for line in file_text("sqlite://").splitlines() if not line.startswith("operator_secret"))
    assert portal.routes(kit.tenants, parse_server(text, name="x.toml", format="toml")) == []


def test_no_tenant_can_be_called_as_the_realm_of_operators() -> None:
    """Else its users, whom its own servers sign up, would be operators."""
    text = file_text("sqlite://").replace("[tenants.bank]", '[tenants."passkeycore/operators"]')
    with pytest.raises(Exception, match="a tenant's name"):
        parse_server(text, name="x.toml", format="toml")


@pytest.mark.parametrize("path", ["", "/", "/sign-in", "/access", "/tenants/shop", "/tenants/shop/settings"])
def test_pages_are_not_stored_not_framed_and_run_no_script_but_ours(operator: Operator, path: str) -> None:
    answer = operator.get(path)
    parts = [part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";")]
    policy = {name: value for name, _, value in parts}
    assert answer.headers["cache-control"] == "no-store"
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    if answer.status_code == 200:
        assert policy["script-src"].startswith("'nonce-")
        assert operator.get(path).headers["content-security-policy"] != answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["theme.css", "pages.css", "portal.css", "portal.js", "favicon.svg"])
def test_browsers_ask_whether_files_are_still_so(visitor: Operator, name: str) -> None:
    """A release changes pages and files together."""
    answer = visitor.get(f"/static/{name}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    again = visitor.http.get(f"/portal/static/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code in (200, 304), again.headers["cache-control"]) == (True, "no-cache")


def test_wrong_bodies_are_refused_as_pages(operator: Operator) -> None:
    """Another type, what is no form, too much of it: an answer of the 400s, never of the 500s."""
    bodies = {
        415: ("text/plain", b"csrf=x"),
        400: ("application/x-www-form-urlencoded", b"%ff=%ff&x"),
        413: ("application/x-www-form-urlencoded", b"x=" + b"y" * 70_000),
    }
    for status, (kind, body) in bodies.items():
        headers = {"Origin": operator.origin, "Content-Type": kind}
        answer = operator.http.post("/portal/sign-out", content=body, headers=headers)
        assert answer.status_code == status
        assert "That did not work" in answer.text
    many = "&".join(f"x{number}=" for number in range(201)).encode()
    headers = {"Origin": operator.origin, "Content-Type": "application/x-www-form-urlencoded"}
    assert operator.http.post("/portal/sign-out", content=many, headers=headers).status_code == 400
    assert len(parse_qsl(many.decode(), keep_blank_values=True)) == 201


class TestPasskeys:
    """The operator's own passkeys: of the server's host, in a realm of their own."""

    def client(self, seed: str = "laptop") -> VirtualClient:
        return VirtualClient(SoftwareAuthenticator(seed), "https://auth.example.com")

    def add(self, operator: Operator, client: VirtualClient) -> None:
        token = {"X-CSRF-Token": operator.csrf()}
        options = operator.json("/access/passkey/start", {"secret": OPERATOR_SECRET}, **token).json()
        assert options["rp"]["id"] == "auth.example.com"
        answer = operator.json("/access/passkey/finish", client.create(options), **token)
        assert answer.json() == {"next": "/portal/access?done=added"}

    def test_one_that_was_added_signs_in(self, operator: Operator, kit: TenantKit) -> None:
        client = self.client()
        self.add(operator, client)
        other = Operator(kit, application(kit), "192.0.2.9")
        options = other.json("/sign-in/passkey/start").json()
        assert "allowCredentials" not in options or options["allowCredentials"] == []
        answer = other.json("/sign-in/passkey/finish", client.get(options))
        assert answer.status_code == 200, answer.text
        assert other.get(answer.json()["next"].removeprefix("/portal")).status_code == 200
        assert kit.run(kit.tenant().passkeys.list_passkeys("operator")) == ()

    def test_once_it_is_removed_its_sessions_have_ended(self, operator: Operator, kit: TenantKit) -> None:
        client = self.client()
        self.add(operator, client)
        other = Operator(kit, application(kit), "192.0.2.9")
        other.json("/sign-in/passkey/finish", client.get(other.json("/sign-in/passkey/start").json()))
        assert other.get("/").status_code == 200
        page = operator.get("/access").text
        identity = page.partition('name="id" value="')[2].partition('"')[0]
        assert operator.send("/access/remove", {"id": identity}).status_code == 303
        assert other.get("/").status_code == 303
        assert operator.get("/").status_code == 200
        refused = other.json("/sign-in/passkey/finish", client.get(other.json("/sign-in/passkey/start").json()))
        assert refused.status_code == 403

    def test_a_tenants_user_is_no_operator(self, operator: Operator, kit: TenantKit) -> None:
        """A passkey of a tenant's, even of a user called as the operator is, opens nothing."""
        self.add(operator, self.client())
        users = kit.virtual_client()
        passkeys = kit.tenant().passkeys
        start = kit.run(passkeys.start_registration(user_id="operator", user_name="o@example.com"))
        kit.run(passkeys.finish_registration(users.create(start.to_dict()), user_id="operator"))
        other = Operator(kit, application(kit), "192.0.2.9")
        options = other.json("/sign-in/passkey/start").json()
        options["rpId"] = "shop.example.com"
        assert other.json("/sign-in/passkey/finish", users.get(options)).status_code == 403
        assert other.cookie() is None

    def test_another_browser_cannot_finish_a_sign_in(self, operator: Operator, kit: TenantKit) -> None:
        client = self.client()
        self.add(operator, client)
        app = application(kit)
        one, other = Operator(kit, app, "192.0.2.8"), Operator(kit, app, "192.0.2.9")
        options = one.json("/sign-in/passkey/start").json()
        other.json("/sign-in/passkey/start")
        assert other.json("/sign-in/passkey/finish", client.get(options)).status_code == 403
        nobody = Operator(kit, app, "192.0.2.10")
        assert nobody.json("/sign-in/passkey/finish", client.get(options)).status_code == 403

    def test_adding_one_takes_the_secret_again(self, operator: Operator, kit: TenantKit) -> None:
        """A session that somebody has got hold of is not worth a passkey."""
        token = {"X-CSRF-Token": operator.csrf()}
        for members, status in (({}, 400), ({"secret": ""}, 403), ({"secret": "x" * 32}, 403), ({"secret": 1}, 400)):
            answer = operator.json("/access/passkey/start", members, **token)
            assert (answer.status_code, "challenge" in answer.text) == (status, False)
        refused = operator.get("/access").text
        assert refused.count(">refused</span>") == 2
        self.add(operator, self.client())

    def test_another_secret_in_the_file_locks_out_every_passkey(
        self, operator: Operator, kit: TenantKit, tmp_path: Path
    ) -> None:
        """Who has got in by the old secret has perhaps left a passkey behind."""
        client = self.client()
        self.add(operator, client)
        text = file_text("sqlite://").replace(OPERATOR_SECRET, "another secret of the operator, 32 bytes")
        kit.settings = parse_server(text, name="passkeycore.toml", format="toml")
        other = Operator(kit, application(kit), "192.0.2.9")
        options = other.json("/sign-in/passkey/start").json()
        assert other.json("/sign-in/passkey/finish", client.get(options)).status_code == 403
        assert other.cookie() is None
        assert other.sign_in("another secret of the operator, 32 bytes").status_code == 303
        assert "None yet." in other.get("/access").text

    def test_a_sign_in_that_was_begun_under_another_secret_fails_like_any(
        self, operator: Operator, kit: TenantKit, caplog: pytest.LogCaptureFixture
    ) -> None:
        """By the passkey of the operator who was: it is logged, an event, no success, and counts as an attempt."""
        client = self.client()
        self.add(operator, client)
        former = operator.app
        text = file_text("sqlite://").replace(OPERATOR_SECRET, "another secret of the operator, 32 bytes")
        kit.settings = parse_server(text, name="passkeycore.toml", format="toml")
        one, other = Operator(kit, former, "192.0.2.9"), Operator(kit, application(kit), "192.0.2.9")
        for number in range(20):
            options = one.json("/sign-in/passkey/start").json()
            other.http.http.cookies.update(one.http.http.cookies)
            assert other.json("/sign-in/passkey/finish", client.get(options)).status_code == 403
            assert caplog.text.count("refused (challenge_unknown) by passkey from 192.0.2.9") == number + 1
        assert other.json("/sign-in/passkey/start").status_code == 429
        assert other.cookie() is None
        events = kit.run(kit.storage.repository.list_events("passkeycore/operators", EventFilter(), None, 100)).events
        kinds = [event.type for event in events]
        assert kinds.count(EventType.AUTHENTICATION_FAILED) == 20
        assert kinds.count(EventType.AUTHENTICATION_SUCCEEDED) == 1  # the secret, before

    def test_what_happens_to_access_is_an_event_and_shown(self, operator: Operator, kit: TenantKit) -> None:
        """Wrong secrets, passkeys that come and go, and in which session; the secret itself is nowhere."""
        stranger = Operator(kit, operator.app, "192.0.2.66")
        stranger.sign_in("a wrong secret that nobody may read")
        self.add(operator, self.client())
        page = operator.get("/access").text
        identity = page.partition('name="id" value="')[2].partition('"')[0]
        operator.send("/access/remove", {"id": identity})
        events = kit.run(kit.storage.repository.list_events("passkeycore/operators", EventFilter(), None, 100)).events
        kinds = [event.type for event in events]
        assert kinds == [
            *(EventType.PASSKEY_REMOVED, EventType.PASSKEY_REGISTERED, EventType.AUTHENTICATION_FAILED),
            EventType.AUTHENTICATION_SUCCEEDED,
        ]
        assert events[2].details == {"purpose": "secret", "address": "192.0.2.66"}
        assert [event.details["by"] for event in events[:2]] == ["operator", "operator"]
        assert events[0].details["session"] == events[1].details["session"]
        assert "wrong secret" not in repr(events)
        page = operator.get("/access").text
        for words in ("passkey removed", "passkey added", "refused", "signed in", "192.0.2.66"):
            assert words in page

    def test_every_way_in_and_out_names_its_session_and_address(self, operator: Operator, kit: TenantKit) -> None:
        """By the secret and by a passkey; what is done later names the same session. Who is refused has none."""
        client = self.client()
        self.add(operator, client)
        other = Operator(kit, operator.app, "192.0.2.9")
        other.json("/sign-in/passkey/finish", client.get(other.json("/sign-in/passkey/start").json()))
        other.send("/tenants/shop/settings", {**other.fields("/tenants/shop/settings"), "name": "New"})
        other.send("/sign-out")
        operator.send("/sign-out")
        stranger = Operator(kit, operator.app, "192.0.2.66")
        forged = client.get(stranger.json("/sign-in/passkey/start").json())
        forged["response"]["signature"] = "MAYCAQECAQE"
        assert stranger.json("/sign-in/passkey/finish", forged).status_code == 403
        events = kit.run(kit.storage.repository.list_events("passkeycore/operators", EventFilter(), None, 100)).events
        refused, out, other_out, other_in, added, entered = events
        assert [event.type for event in (out, other_out)] == [EventType.SESSION_ENDED] * 2
        assert {event.details["address"] for event in (entered, added, out)} == {"192.0.2.1"}
        assert len({event.details["session"] for event in (entered, added, out)}) == 1
        assert {event.details["address"] for event in (other_in, other_out)} == {"192.0.2.9"}
        (change,) = kit.run(kit.tenant().passkeys.list_events()).events
        assert len({event.details["session"] for event in (other_in, other_out, change, out)}) == 2
        assert other_in.details["session"] == change.details["session"] == other_out.details["session"]
        assert refused.type is EventType.AUTHENTICATION_FAILED
        assert refused.details == {"address": "192.0.2.66"}
        operator.sign_in()
        page = operator.get("/access").text
        assert page.count(">signed out</span>") == 2
        assert page.count(other_in.details["session"]) == 2

    def test_nobody_can_push_what_operators_did_off_the_page(self, operator: Operator, kit: TenantKit) -> None:
        """However many wrong secrets; each list has its own pages, and turning one leaves the other where it is."""

        def listed(text: str) -> list[tuple[int, str]]:
            """How many rows each list has, and where older ones are."""
            found: list[tuple[int, str]] = []
            for title in ("What operators did", "What was refused"):
                part = text.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]
                link = part.partition('<p class="more">')[2].partition('href="/portal')[2].partition('"')[0]
                found.append((part.count('<td class="when">'), link.replace("&amp;", "&")))
            return found

        for number in range(25):
            assert Operator(kit, operator.app, f"198.51.100.{number}").sign_in("x" * 32).status_code == 403
        (done, no_more), (refused, older) = listed(operator.get("/access").text)
        assert (done, no_more, refused) == (1, "", 20)
        assert [rows for rows, _ in listed(operator.get(older).text)] == [1, 5]
        for _ in range(24):
            operator.sign_in()
        (done, first), (refused, second) = listed(operator.get("/access").text)
        assert (done, refused) == (20, 20)
        (_, none), (_, both) = listed(operator.get(first).text)
        assert [rows for rows, _ in listed(operator.get(first).text)] == [5, 20]
        assert [rows for rows, _ in listed(operator.get(second).text)] == [20, 5]
        assert none == ""
        assert [rows for rows, _ in listed(operator.get(both).text)] == [5, 5]
        assert operator.get("/access?done_from=x").status_code == 400

    def test_sign_ins_are_shown_to_the_operator(self, operator: Operator, kit: TenantKit) -> None:
        assert "Operator secret" in operator.get("/access").text
        realm = portal.Portal(kit.tenants, kit.settings, b"x" * 32).operators
        assert realm is not None
        events = kit.run(realm.list_events()).events
        assert [event.type for event in events] == [EventType.AUTHENTICATION_SUCCEEDED]


def test_the_portal_works_below_a_path_of_the_server(tmp_path: Path) -> None:
    """Links and redirects keep the path of ``base_url``."""
    with portal_kit(tmp_path) as (kit, _):
        text = file_text("sqlite://").replace("https://auth.example.com", "https://example.org/auth")
        kit.settings = parse_server(text, name="x.toml", format="toml")
        operator = Operator(kit, application(kit))
        operator.http.http.base_url = "https://example.org"
        answer = operator.sign_in()
        assert answer.headers["location"] == "/auth/portal/"
        page = operator.get("/").text
        assert 'href="/auth/portal/tenants/shop"' in page
        assert 'href="/portal' not in page


def server_below_a_path(kit: TenantKit, path: str, more: str = "") -> Operator:
    """Somebody at the whole server, whose ``base_url`` ends with the path."""
    text = file_text("sqlite://", more=more).replace("https://auth.example.com", f"https://auth.example.com{path}")
    kit.settings = parse_server(text, name="x.toml", format="toml")
    operator = Operator(kit, server_app(kit.tenants, kit.settings))
    operator.http.http.base_url = operator.origin  # paths are whole in these tests
    return operator


@pytest.mark.parametrize("path", ["", "/auth"])
def test_a_page_of_an_error_has_its_style_and_a_way_back(kit: TenantKit, path: str) -> None:
    """Also of one that no page of the portal has seen, below a path of the host as well."""
    operator = server_below_a_path(kit, path)
    wrong = operator.http.get(f"{path}/portal/nothing/here")
    assert (wrong.status_code, wrong.headers["content-type"]) == (404, "text/html; charset=utf-8")
    places = re.findall(r'(?:href|src)="([^"]+)"', wrong.text)
    assert f"{path}/portal/" in places
    assert f"{path}/portal/static/portal.css" in places
    for place in places:
        assert operator.http.get(place).status_code in (200, 303), place


@pytest.mark.parametrize("path", ["", "/auth"])
@pytest.mark.parametrize("row", [row for row in portal.ROWS if row.sends == "json"], ids=lambda row: row.path)
def test_our_script_can_read_every_error_of_what_it_asks_for(
    visitor: Operator, kit: TenantKit, path: str, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another method, too many requests, a mistake of ours: JSON with a sentence, and no page."""
    asks = server_below_a_path(kit, path, '[limits]\nper_address = "2/minute"')
    place, members = f"{path}/portal{row.path}", {"secret": OPERATOR_SECRET}

    def told(answer: httpx.Response, status: int) -> str:
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        assert answer.json()["error"]["code"] == str(status)
        return str(answer.json()["error"]["message"])

    assert told(asks.http.get(place), 405) == "There is no such page."
    asks.http.get(place)
    refused = asks.http.post(place, json=members, headers={"Origin": asks.origin})
    assert told(refused, 429) == "Too many attempts. Please wait a minute and try again."
    assert int(refused.headers["retry-after"]) >= 1

    async def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(portal.Portal, "session_of", broken)
    other = server_below_a_path(kit, path)
    assert "went wrong" in told(other.http.post(place, json=members, headers={"Origin": other.origin}), 500)
