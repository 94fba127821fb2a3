"""What the scripts of pages can ask, who may ask, and how a refusal is told: without a browser."""

from typing import Any

import pytest

from passkeycore.server.pages.api import _ROWS
from passkeycore.server.pages.opened import Opened, seal_page

from .kit import SHOP, Json, Pages, Script

PATHS = [row.path for row in _ROWS]
BODIES: dict[str, Json] = {
    "/device/start": {"way": "push"},
    "/device/poll": {"challenge": "x"},
    "/device/cancel": {"challenge": "x"},
    "/authenticators/rename": {"id": "x", "name": "y"},
    "/authenticators/remove": {"id": "x"},
}


def sealed(pages: Pages, **members: Any) -> Script:
    """The script of a page that was opened with these."""
    members.setdefault("realm", "shop")
    opened = Opened(**members)
    return Script(pages, {"token": seal_page(pages.server.tokens, opened, pages.kit.clock()), "api": "/challenge/api"})


@pytest.mark.parametrize("path", PATHS)
def test_nobody_asks_without_a_page_of_theirs(pages: Pages, path: str) -> None:
    """Every path: nothing shown, another kind of credential, a token that opens no page, one that was changed."""
    tracked = pages.track(scope=["remove:authenticators"])
    script, body = pages.script(pages.open(tracked)), BODIES.get(path, {})
    page = script.data["token"]
    for shown in (
        None,
        "",
        "Bearer",
        "Bearer x",
        f"Bearer {tracked.token}",
        f"Basic {page}",
        f"Bearer {page[:-2]}",
        f"Bearer {'A' * 70_000}",
    ):
        error = script.refused(path, body, 401, Authorization=shown)
        assert error["code"] == "token_invalid"


@pytest.mark.parametrize("path", PATHS)
def test_nobody_asks_from_another_site(pages: Pages, path: str) -> None:
    script, body = pages.script(pages.open(pages.track())), BODIES.get(path, {})
    for origin in (None, "null", SHOP, "http://localhost:81", "https://localhost", "http://localhost.evil.example"):
        assert script.refused(path, body, 403, Origin=origin)["code"] == "403"


@pytest.mark.parametrize("path", PATHS)
def test_only_json_is_read_and_only_so_much(pages: Pages, path: str) -> None:
    script, body = pages.script(pages.open(pages.track())), BODIES.get(path, {})
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        script.refused(path, body, 415, **{"Content-Type": kind})
    script.refused(path, {"x": "y" * 70_000}, 413)


@pytest.mark.parametrize("path", [path for path in PATHS if path not in ("/passkey/finish", "/enrolment/finish")])
def test_unknown_members_are_refused(pages: Pages, path: str) -> None:
    script = pages.script(pages.open(pages.track()))
    bodies: list[Any] = [{**BODIES.get(path, {}), "user_id": "eve"}, [], "x", 1]
    for body in bodies:
        answer = script.ask(path, body)
        assert 400 <= answer.status_code < 500
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_dies_with_its_action(pages: Pages, path: str) -> None:
    pages.new_passkey()
    tracked = pages.track(scope=["remove:authenticators"])
    script = pages.script(pages.open(tracked))
    pages.kit.clock.pass_(600)
    assert script.refused(path, BODIES.get(path, {}), 401)["code"] == "token_expired"


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_another_tenant_has_nothing_to_do_with_this_one(pages: Pages, path: str) -> None:
    tracked = pages.track(scope=["remove:authenticators"])
    script = sealed(pages, realm="bank", token=tracked.token)
    assert script.refused(path, BODIES.get(path, {}), 401)["code"] == "token_invalid"
    gone = sealed(pages, realm="gone", token=tracked.token)
    assert gone.refused(path, BODIES.get(path, {}), 401)["code"] == "token_invalid"


def test_a_page_to_sign_in_manages_nobody(pages: Pages) -> None:
    script = sealed(pages, word="sign-in", binding="secret")
    for path in PATHS:
        if not path.startswith("/passkey"):
            assert script.refused(path, BODIES.get(path, {}), 401)["code"] == "token_invalid"


def test_a_path_that_is_not_there(pages: Pages) -> None:
    script = pages.script(pages.open(pages.track()))
    assert script.ask("/passkey").status_code == 404
    assert pages.http.get("/challenge/api/passkey/start").status_code == 405
