"""Keys as the operator makes, rotates and revokes them: shown once, two live, of this tenant alone, audited."""

import re
from hashlib import sha256

import pytest

from passkeycore.engine.records import EventFilter, EventType
from passkeycore.engine.tenancy.records import ServerKey
from passkeycore.server.tenancy.keys import create_key
from tests.server.kit import API_KEYS, INTEGRATION_KEYS, SIGN_IN_ONLY, TenantKit

from .kit import Operator

PAGE = "/tenants/shop/keys"


def shown(text: str) -> str:
    """The key on a page."""
    found = re.search(r'<input id="key"[^>]* value="([^"]+)"', text)
    assert found is not None
    return found[1]


def keys(kit: TenantKit, tenant: str = "shop") -> list[ServerKey]:
    return list(kit.run(kit.storage.repository.list_server_keys(tenant)))


def opens(kit: TenantKit, key: str, kind: str = "api") -> str | None:
    holder = kit.run(kit.tenants.by_key(key, kind))
    return None if holder is None else holder.tenant.tenant_id


def make(operator: Operator, **form: object) -> str:
    answer = operator.send(PAGE, {"kind": "api", "name": "checkout", **form})
    assert answer.status_code == 200, answer.text
    return shown(answer.text)


def test_a_new_key_opens_its_tenant_and_is_shown_once(operator: Operator, kit: TenantKit) -> None:
    key = make(operator)
    assert opens(kit, key) == "shop"
    assert opens(kit, key, "integration") is None
    for page in (PAGE, "/tenants/shop/events", "/tenants/shop"):
        assert key not in operator.get(page).text
        assert key.split("_", 2)[2] not in operator.get(page).text
    assert "checkout" in operator.get(PAGE).text


def test_an_old_key_and_its_successor_both_open_until_one_is_revoked(operator: Operator, kit: TenantKit) -> None:
    old = make(operator)
    identity = keys(kit)[0].key_id
    new = shown(operator.send(PAGE, {"id": identity}, to=f"{PAGE}/rotate").text)
    assert [opens(kit, old), opens(kit, new)] == ["shop", "shop"]
    third = operator.send(PAGE, {"id": identity}, to=f"{PAGE}/rotate")
    assert third.status_code == 409
    assert "revoke one of them first" in third.text
    answer = operator.send(PAGE, {"id": identity}, to=f"{PAGE}/revoke")
    assert answer.headers["location"] == "/portal/tenants/shop/keys?done=revoked"
    assert [opens(kit, old), opens(kit, new)] == [None, "shop"]
    assert "Revoked keys (1)" in operator.get(PAGE).text


def test_an_integration_key_runs_the_commands_that_were_chosen(operator: Operator, kit: TenantKit) -> None:
    make(operator, kind="integration", commands=["Ping", "StartPasskeyRegistration", "Evil"])
    assert keys(kit)[0].commands == ("Ping", "StartPasskeyRegistration")
    assert "Ping, StartPasskeyRegistration" in operator.get(PAGE).text


def test_a_key_without_commands_is_not_made(operator: Operator, kit: TenantKit) -> None:
    """Nothing chosen must not become a key for everything."""
    for commands in ([], ["Evil"]):
        answer = operator.send(PAGE, {"kind": "integration", "name": "x", "commands": commands})
        assert answer.status_code == 422
    assert keys(kit) == []


@pytest.mark.parametrize(
    "form", [{"kind": "root"}, {"name": " "}, {"name": "x" * 65}, {"name": "a\0b"}, {"name": "\u202e"}]
)
def test_what_is_no_key_is_not_made(operator: Operator, kit: TenantKit, form: dict[str, str]) -> None:
    answer = operator.send(PAGE, {"kind": "api", "name": "checkout", **form})
    assert answer.status_code == 422
    assert keys(kit) == []


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_a_key_of_another_tenant_is_none(operator: Operator, kit: TenantKit, verb: str) -> None:
    operator.send("/tenants/bank/keys", {"kind": "api", "name": "bank"})
    identity = keys(kit, "bank")[0].key_id
    assert operator.send(PAGE, {"id": identity}, to=f"{PAGE}/{verb}").status_code == 404
    for strange in ("", "x", "0" * 16, "é" * 16, "0" * 5000):
        assert operator.send(PAGE, {"id": strange}, to=f"{PAGE}/{verb}").status_code == 404
    assert keys(kit) == []
    assert keys(kit, "bank")[0].revoked_at is None


def test_keys_are_events(operator: Operator, kit: TenantKit) -> None:
    make(operator)
    operator.send(PAGE, {"id": keys(kit)[0].key_id}, to=f"{PAGE}/revoke")
    types = (EventType.SERVER_KEY_CREATED, EventType.SERVER_KEY_REVOKED)
    events = kit.run(kit.tenant().passkeys.list_events(EventFilter(types=types))).events
    assert [event.type for event in events] == [types[1], types[0]]
    assert all(event.details["name"] == "checkout" for event in events)
    assert all(event.details["by"] == "operator" and len(event.details["session"]) == 16 for event in events)


def test_keys_of_an_old_secret_are_marked_until_they_are_rotated(operator: Operator, kit: TenantKit) -> None:
    """They are good as ever, but whoever has got that secret can make them."""
    for secrets in ([b"an old secret of this server, 32 bytes"], kit.settings.secrets):
        kit.run(create_key(kit.tenant(), secrets, "api", "checkout"))
        kit.clock.pass_(1)
    page = operator.get(PAGE).text
    marks = [part.count("made with an old secret") for part in page.split('<li class="row">')[1:]]
    assert marks == [0, 1], "the newest first"


def test_keys_of_the_file_are_told_apart_and_not_shown(operator: Operator) -> None:
    """By kind, place and the beginning of their digest."""
    page = operator.get(PAGE).text
    for key in (API_KEYS["shop"], INTEGRATION_KEYS["shop"], SIGN_IN_ONLY):
        assert f"<code>{sha256(key.encode()).hexdigest()[:8]}…</code>" in page
        assert key not in page
        assert key[:8] + "…" not in page
    assert "StartPasskeyAuthentication, FinishPasskeyAuthentication" in page
    assert sha256(API_KEYS["bank"].encode()).hexdigest()[:8] not in page


@pytest.mark.parametrize(
    ("verb", "form"), [("", {"kind": "api"}), ("", {"name": "x"}), ("/rotate", {}), ("/revoke", {})]
)
def test_a_form_without_its_fields_is_none(operator: Operator, kit: TenantKit, verb: str, form: dict[str, str]) -> None:
    assert operator.send(PAGE, form, to=PAGE + verb).status_code == 400
    assert keys(kit) == []
