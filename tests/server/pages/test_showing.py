"""Opening a page: what is refused before anything is shown, what headers every page has, and that nothing changes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException

from passkeycore.engine.actions.tracking import TrackedAction
from passkeycore.server.app import server_app
from passkeycore.server.pages import refused_page

from .kit import SHOP, Pages, heading, page_data, pages_kit

LINK = "This link does not work"
ELSEWHERE = "This link cannot be trusted"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Shared: no test here changes what others see."""
    with pages_kit(tmp_path_factory.mktemp("pages")) as kit:
        kit.new_passkey()
        yield kit


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(document.domain)",
        "https://evil.example/back",
        "https://shop.localhost@evil.example/",
        "https://shop.localhost.evil.example/",
        "data:text/html,x",
        "//evil.example",
    ],
)
@pytest.mark.parametrize("more", ["", "&mode=popup"])
def test_an_action_that_leads_elsewhere_shows_nothing_of_itself(pages: Pages, url: str, more: str) -> None:
    """The engine stores whatever it is told: pages judge for themselves."""
    answer = pages.open(pages.track(redirect_url=url), more)
    assert (answer.status_code, heading(answer)) == (400, ELSEWHERE)
    assert "evil" not in answer.text
    assert "javascript:" not in answer.text
    assert page_data(answer)["token"] == ""


@pytest.mark.parametrize("scheme", ["javascript", "https", "evil", "authsignal://x?y=", "", "com.example.other"])
def test_an_app_that_is_not_registered_is_led_nowhere(pages: Pages, scheme: str) -> None:
    answer = pages.open(pages.track(), f"&nativeScheme={scheme}")
    assert (answer.status_code, heading(answer)) == (400, ELSEWHERE)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "x" * 9_000, "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_token_opens_nothing(pages: Pages, token: str) -> None:
    answer = pages.open(token)
    assert (answer.status_code, heading(answer)) == (401, LINK)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_page_without_a_token_opens_nothing(pages: Pages) -> None:
    assert heading(pages.http.get("/challenge")) == LINK


def test_a_token_of_another_tenant_shows_that_tenant(pages: Pages) -> None:
    """Whose page it is, the token alone says."""
    answer = pages.open(pages.track(tenant="bank"))
    assert "Bank" in answer.text
    assert "Shop" not in answer.text


@pytest.mark.parametrize("more", ["", "&mode=popup"])
def test_an_expired_token_says_so_and_tells_the_page_around(tmp_path: Path, more: str) -> None:
    with pages_kit(tmp_path) as pages:
        tracked = pages.track()
        pages.kit.clock.pass_(601)
        answer = pages.open(tracked, more)
    assert (answer.status_code, heading(answer)) == (401, "This link has expired")
    data = page_data(answer)
    assert data["event"] == {"errorCode": "expired_token", "statusCode": 401}
    assert data["origins"] == ([SHOP] if more else [])
    assert data["token"] == ""


@pytest.mark.parametrize(
    ("action", "user_id", "title"),
    [
        ("withdraw-funds", "ada", "Confirm it is you"),
        ("withdraw-funds", "new", "Create a passkey"),
        ("profile", "new", "Create a passkey"),
        ("profile", "ada", "You are all set"),
        ("refund", "ada", "This is not possible"),
        ("loan", "ada", "We are looking at this"),
        ("push-only", "ada", "You need another way to confirm"),
    ],
)
def test_every_state_has_its_page(pages: Pages, action: str, user_id: str, title: str) -> None:
    answer = pages.open(pages.track(user_id, action))
    assert (answer.status_code, heading(answer)) == (200, title)


def test_a_disabled_user_is_shown_nothing_of_theirs(tmp_path: Path) -> None:
    with pages_kit(tmp_path) as pages:
        pages.new_passkey()
        tracked = pages.track("ada", "profile", scope=["remove:authenticators"])
        pages.kit.run(pages.kit.tenant().passkeys.disable_user("ada"))
        answer = pages.open(tracked, "&settings=true")
        assert heading(answer) == "This is not possible"
        script = pages.script(answer)
        assert script.refused("/authenticators/remove", {"id": "x"})["code"] == "scope_missing"


def test_the_headers_of_a_page(pages: Pages) -> None:
    answers = [pages.open(pages.track()) for _ in range(2)]
    policies = [answer.headers["content-security-policy"] for answer in answers]
    nonces = [re.findall(r"nonce-([\w-]+)", policy) for policy in policies]
    assert nonces[0] != nonces[1]
    for answer, (script, style) in zip(answers, nonces, strict=True):
        assert script == style
        assert set(re.findall(r'nonce="([^"]*)"', answer.text)) == {script}
        assert len(re.findall(r"<script", answer.text)) == 1
        assert " style=" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "publickey-credentials-get=(self)" in answer.headers["permissions-policy"]
        assert "publickey-credentials-create=(self)" in answer.headers["permissions-policy"]
        assert "set-cookie" not in answer.headers
    assert policies[0].split("; ") == [
        "default-src 'none'",
        f"script-src 'nonce-{nonces[0][0]}'",
        f"style-src 'nonce-{nonces[0][0]}'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "frame-ancestors 'none'",
    ]


def test_only_a_popup_may_be_framed_and_only_by_the_tenants_origins(pages: Pages) -> None:
    popup = pages.open(pages.track(), "&mode=popup")
    assert popup.headers["content-security-policy"].endswith(f"frame-ancestors {SHOP}")
    assert popup.headers["cross-origin-opener-policy"] == "unsafe-none"  # a window's opener is told as well
    bank = pages.open(pages.track(tenant="bank"), "&mode=popup")  # which has registered none
    assert bank.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert page_data(bank)["origins"] == []


def test_what_a_tenant_or_an_application_calls_something_is_text(tmp_path: Path) -> None:
    with pages_kit(tmp_path, replace={'name = "Shop"': "name = '<script>alert(1)</script>'"}) as pages:
        answer = pages.open(pages.track())
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;" in answer.text


def test_opening_a_page_changes_nothing(pages: Pages) -> None:
    tracked = pages.track()

    def stored() -> object:
        action = tracked.action
        actions = pages.kit.tenant().actions
        return pages.kit.run(actions.get_action(action.user_id, action.action, action.idempotency_key))

    before = stored()
    for more in ("", "&method=push", "&method=qr-code", "&settings=true", "&force_enrollment=true", "&mode=popup"):
        assert pages.open(tracked, more).status_code == 200
    assert stored() == before


def test_pages_at_an_address_where_passkeys_do_not_work_say_so(pages: Pages) -> None:
    """The bank's passkeys are of another host than the pages are at: the challenge that waits is not "all set"."""
    tracked: TrackedAction = pages.track("eve", "withdraw-funds", tenant="bank")
    answer = pages.open(tracked)
    assert (answer.status_code, heading(answer)) == (200, "Passkeys do not work here")
    script = pages.script(answer)
    assert script.refused("/passkey/start", status=400)["code"] == "method_not_allowed"
    assert script.refused("/enrolment/start", status=400)["code"] == "method_not_allowed"


def test_the_whole_server_has_the_pages(pages: Pages) -> None:
    """And tells errors below them as pages to people, and as JSON to scripts."""
    client = pages.kit.client(server_app(pages.kit.tenants, pages.kit.settings))
    page = client.get(f"/challenge?token={pages.track().token}")
    assert heading(page) == "Confirm it is you"
    assert "nonce-" in page.headers["content-security-policy"]
    for path in ("/static/theme.css", "/static/pages.css", "/static/page.js", "/static/favicon.svg"):
        assert client.get(f"/challenge{path}").headers["cache-control"] == "no-cache"
    missing = client.get("/challenge/nothing")
    assert (missing.status_code, heading(missing)) == (404, "There is no such page")
    assert client.post("/challenge/api/nothing").json()["error"]["message"]
    assert heading(client.get("/challenge/static/../showing.py")) == "There is no such page"


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (400, "This is not possible here"),
        (404, "There is no such page"),
        (405, "This is not possible here"),
        (413, "This is not possible here"),
        (429, "Too many attempts"),
        (500, "Something went wrong"),
        (503, "Something went wrong"),
    ],
)
def test_only_what_is_our_fault_is_called_so(status: int, title: str) -> None:
    answer = refused_page(HTTPException(status, headers={"Allow": "GET"}), "/auth/challenge")
    text = bytes(answer.body).decode()
    assert answer.status_code == status
    assert f">{title}</h1>" in text
    assert 'href="/auth/challenge/static/pages.css"' in text
    assert answer.headers["allow"] == "GET"


def test_too_many_attempts_are_told_to_the_frame(tmp_path: Path) -> None:
    with pages_kit(
        tmp_path, replace={"\n\n[tenants.shop]": '\n[limits]\nper_user = "1/minute"\n\n[tenants.shop]'}
    ) as pages:
        client = pages.kit.client(server_app(pages.kit.tenants, pages.kit.settings))
        address = f"/challenge?token={pages.track().token}&mode=popup"
        assert client.get(address).status_code == 200
        answer = client.get(address)
        assert (answer.status_code, heading(answer)) == (429, "Too many attempts")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-security-policy"].endswith(f"frame-ancestors {SHOP}")
        assert page_data(answer)["event"] == {"errorCode": "too_many_requests", "statusCode": 429}
        assert page_data(answer)["origins"] == [SHOP]
