"""Links to sign in: who gets one, where it leads, and how long it is good; without a browser."""

from typing import Any

import pytest

from tests.server.kit import API_KEYS

from .kit import SHOP, Json, Pages, heading


def link(pages: Pages, members: Json, key: str | None = None, **more: Any) -> Any:
    shown = API_KEYS["shop"] if key is None else key
    headers = {"Authorization": f"Bearer {shown}"}
    return pages.http.post("/challenge/api/sign-in-links", json=members, headers=headers, **more)


def test_whoever_has_a_passkey_signs_in_by_a_link(pages: Pages) -> None:
    client = pages.new_passkey()
    answer = link(pages, {"redirect_url": f"{SHOP}/back?state=4711"})
    assert answer.status_code == 200
    opened = pages.http.get(answer.json()["url"])
    assert heading(opened) == "Sign in"
    script = pages.script(opened)
    assert script.data["leave"] == {"redirect": f"{SHOP}/back?state=4711"}
    ending = script("/passkey/finish", client.get(script("/passkey/start", {"autofill": True})))
    assert ending["redirect"] == f"{SHOP}/back?state=4711&token={ending['token']}"
    validated = pages.kit.tenant().actions.validate_challenge(ending["token"], action="sign-in")
    assert pages.kit.run(validated).user_id == "ada"


def test_a_sign_in_belongs_to_the_page_that_began_it(pages: Pages) -> None:
    client = pages.new_passkey()
    url = link(pages, {}).json()["url"]
    first, second = (pages.script(pages.http.get(url)) for _ in range(2))
    credential = client.get(first("/passkey/start"))
    assert second.refused("/passkey/finish", credential, 403)["code"] == "challenge_unknown"


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"redirect_url": "https://evil.example/"}, 400),
        ({"redirect_url": "javascript:alert(1)"}, 400),
        ({"action": "sign in"}, 400),
        ({"user_id": "ada"}, 400),
        ([], 400),
    ],
)
def test_a_link_leads_nowhere_foreign(pages: Pages, members: Any, status: int) -> None:
    assert link(pages, members).status_code == status


@pytest.mark.parametrize("key", ["", "x", "integration key of the shop, for everything"])
def test_a_link_takes_a_key_of_the_tenants(pages: Pages, key: str) -> None:
    answer = link(pages, {}, key)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "401"


def test_a_link_expires_and_an_open_page_stays(pages: Pages) -> None:
    client = pages.new_passkey()
    url = link(pages, {}).json()["url"]
    script = pages.script(pages.http.get(url))
    pages.kit.clock.pass_(600)
    assert heading(pages.http.get(url)) == "This link has expired"
    pages.kit.clock.pass_(3_600)
    assert script.meet(client)["token"]
