"""Links to sign in: who gets one, where it leads, and how long it is good; without a browser."""

from pathlib import Path
from typing import Any

import pytest

from passkeycore.server.pages.opened import Opened, seal_page
from passkeycore.server.tenancy.keys import create_key, revoke_key, rotate_key
from tests.server.kit import API_KEYS

from .kit import SHOP, Json, Pages, Script, heading, page_data, pages_kit

NO_KEY = "An API key of the tenant's is needed, as a Bearer token."
NOT_REGISTERED = "The tenant has not registered where redirect_url leads."


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


def test_a_sign_in_is_kept_under_the_tenants_own_word(tmp_path: Path) -> None:
    with pages_kit(tmp_path, more='default_action = "log-in"') as pages:
        client = pages.new_passkey()
        for members, word in (({}, "log-in"), ({"action": "pay"}, "pay")):
            token = pages.script(pages.http.get(link(pages, members).json()["url"])).meet(client)["token"]
            assert pages.kit.run(pages.kit.tenant().actions.validate_challenge(token)).action == word


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


def test_a_revoked_key_gets_no_link(pages: Pages) -> None:
    """Also where another took its place, which does."""
    tenant, secrets = pages.kit.tenant(), pages.kit.settings.secrets
    revoked, rotated = (pages.kit.run(create_key(tenant, secrets, "api", name)) for name in ("gone", "old"))
    new = pages.kit.run(rotate_key(tenant, secrets, rotated.key.key_id))
    for made in (revoked, rotated):
        assert link(pages, {}, made.text).status_code == 200
        pages.kit.run(revoke_key(tenant, made.key.key_id))
        answer = link(pages, {}, made.text)
        assert answer.status_code == 401
        assert answer.json() == {"error": {"code": "401", "message": NO_KEY}}
    assert link(pages, {}, new.text).status_code == 200


def test_another_tenants_key_gets_no_link_to_the_shop_nor_into_it(tmp_path: Path) -> None:
    """It is a good key, for the bank's own page: even with the shop's RP ID nobody gets into the shop there."""
    with pages_kit(tmp_path, replace={'hostname = "bank.localhost"': 'hostname = "localhost"'}) as pages:
        client = pages.new_passkey()
        answer = link(pages, {"redirect_url": f"{SHOP}/back"}, API_KEYS["bank"])
        assert answer.status_code == 400
        assert answer.json() == {"error": {"code": "400", "message": NOT_REGISTERED}}
        urls = (link(pages, {}, API_KEYS[name]).json()["url"] for name in ("bank", "shop"))
        bank, shop = (pages.script(pages.http.get(url)) for url in urls)
        own, begun_in_the_shop = (client.get(each("/passkey/start")) for each in (bank, shop))
        assert bank.refused("/passkey/finish", own, 403)["code"] == "no_credential"
        assert bank.refused("/passkey/finish", begun_in_the_shop, 403)["code"] == "challenge_unknown"
        assert shop("/passkey/finish", begun_in_the_shop)["token"]


@pytest.mark.parametrize("more", ["&mode=popup", "&nativeScheme=authsignal", "&mode=popup&nativeScheme=authsignal"])
def test_a_link_leads_where_the_tenant_has_sealed_it_whatever_its_address_says(pages: Pages, more: str) -> None:
    """Or whoever passes a link on gets around the state that only the tenant's own site can compare."""
    client = pages.new_passkey()
    url = link(pages, {"redirect_url": f"{SHOP}/back?state=4711"}).json()["url"]
    opened = pages.http.get(url + more)
    assert opened.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    script = pages.script(opened)
    assert script.data["origins"] == []
    ending = script.meet(client)
    assert ending["redirect"] == f"{SHOP}/back?state=4711&token={ending['token']}"


def test_a_link_that_leads_nowhere_is_for_a_frame_and_never_for_an_app(pages: Pages) -> None:
    client = pages.new_passkey()
    url = link(pages, {}).json()["url"]
    framed = pages.script(pages.http.get(f"{url}&mode=popup&nativeScheme=authsignal"))
    assert framed.data["origins"] == [SHOP]
    assert framed.meet(client).keys() == {"token"}
    alone = pages.script(pages.http.get(f"{url}&nativeScheme=authsignal"))
    assert alone.meet(client).keys() == {"token"}


def test_an_expired_link_is_told_to_the_frame(pages: Pages) -> None:
    url = link(pages, {}).json()["url"]
    pages.kit.clock.pass_(600)
    answer = pages.http.get(f"{url}&mode=popup")
    assert (answer.status_code, heading(answer)) == (401, "This link has expired")
    assert answer.headers["content-security-policy"].endswith(f"frame-ancestors {SHOP}")
    assert page_data(answer)["origins"] == [SHOP]
    assert page_data(answer)["event"] == {"errorCode": "expired_token", "statusCode": 401}


def test_where_passkeys_are_a_second_factor_nobody_signs_in_by_one(tmp_path: Path) -> None:
    """And the page says so, instead of failing."""
    with pages_kit(tmp_path, more='preset = "second_factor"') as pages:
        url = link(pages, {}).json()["url"]
        answer = pages.http.get(url)
        assert (answer.status_code, heading(answer)) == (400, "Passkeys do not sign in here")
        opened = Opened(realm="shop", word="sign-in", binding="secret")
        page = seal_page(pages.server.tokens, opened, pages.kit.clock())
        script = Script(pages, {"token": page, "api": "/challenge/api"})
        assert script.refused("/passkey/start", {}, 400)["code"] == "method_not_allowed"


def test_a_link_expires_and_an_open_page_stays(pages: Pages) -> None:
    client = pages.new_passkey()
    url = link(pages, {}).json()["url"]
    script = pages.script(pages.http.get(url))
    pages.kit.clock.pass_(600)
    assert heading(pages.http.get(url)) == "This link has expired"
    pages.kit.clock.pass_(3_600)
    assert script.meet(client)["token"]
