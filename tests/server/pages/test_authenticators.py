"""The list of passkeys and devices: who may rename and remove what; without a browser."""

import msgspec
import pytest

from passkeycore.errors import TokenError
from passkeycore.server.pages.opened import seal_proof, unseal_proof
from passkeycore.testing import VirtualClient

from .kit import Pages, Script, heading


def managed(pages: Pages, *rights: str) -> Script:
    scope = [f"{right}:authenticators" for right in ("read", *rights)]
    return pages.script(pages.open(pages.track("ada", "profile", scope=scope), "&settings=true"))


def test_passkeys_and_devices_are_renamed_and_removed(pages: Pages) -> None:
    pages.new_passkey()
    pages.new_device()
    devices = pages.kit.tenant().devices
    ids = [one.authenticator_id for one in pages.kit.run(devices.list_authenticators("ada"))]
    script = managed(pages, "update", "remove")
    for number, one in enumerate(ids):
        assert script("/authenticators/rename", {"id": one, "name": f"  Number {number} "}) == {
            "name": f"Number {number}"
        }
    assert [one.name for one in pages.kit.run(devices.list_authenticators("ada"))] == ["Number 0", "Number 1"]
    for left, one in reversed(list(enumerate(ids))):
        assert script("/authenticators/remove", {"id": one})["left"] == left
    assert script.refused("/authenticators/remove", {"id": ids[0]})["code"] == "no_credential"


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\u0000b", "a\u202eb", "\u200b"])
def test_a_name_has_to_be_one(pages: Pages, name: str) -> None:
    pages.new_passkey()
    pages.new_device()
    script = managed(pages, "update")
    for one in pages.kit.run(pages.kit.tenant().devices.list_authenticators("ada")):
        error = script.refused("/authenticators/rename", {"id": one.authenticator_id, "name": name}, 400)
        assert error["message"] == "Please choose a name of 1 to 64 visible characters."


def test_a_scope_is_needed_for_each(pages: Pages) -> None:
    pages.new_passkey()
    (one,) = pages.kit.run(pages.kit.tenant().devices.list_authenticators("ada"))
    rename, remove = {"id": one.authenticator_id, "name": "x"}, {"id": one.authenticator_id}
    assert managed(pages, "remove").refused("/authenticators/rename", rename)["code"] == "scope_missing"
    assert managed(pages, "update").refused("/authenticators/remove", remove)["code"] == "scope_missing"
    waiting = pages.script(pages.open(pages.track("ada", scope=["remove:authenticators", "update:authenticators"])))
    assert waiting.refused("/authenticators/remove", remove)["code"] == "scope_missing"
    assert waiting.refused("/authenticators/rename", rename)["code"] == "scope_missing"


def test_nobody_touches_what_is_anothers(pages: Pages) -> None:
    pages.new_passkey()
    pages.new_passkey("eve", "eve's")
    (hers,) = pages.kit.run(pages.kit.tenant().devices.list_authenticators("eve"))
    script = managed(pages, "update", "remove")
    script.refused("/authenticators/remove", {"id": hers.authenticator_id})
    script.refused("/authenticators/rename", {"id": hers.authenticator_id, "name": "mine"})
    assert pages.kit.run(pages.kit.tenant().devices.list_authenticators("eve")) == (hers,)


def test_who_has_met_the_challenge_manages_what_they_have_until_it_is_removed(pages: Pages) -> None:
    client = pages.new_passkey()
    ending = pages.script(pages.open(pages.track(), "&settings=true")).meet(client)
    answer = pages.http.get(ending["page"])
    assert heading(answer) == "Your passkeys and devices"
    script = pages.script(answer)
    (one,) = pages.kit.run(pages.kit.tenant().devices.list_authenticators("ada"))
    assert script("/authenticators/rename", {"id": one.authenticator_id, "name": "Mine"}) == {"name": "Mine"}
    assert script("/authenticators/remove", {"id": one.authenticator_id})["left"] == 0
    assert script.refused("/enrolment/start", {}, 401)["code"] == "token_invalid"


def met(pages: Pages, client: VirtualClient) -> tuple[str, Script]:
    """The address of the settings page of whoever has just met a challenge, and its script."""
    ending = pages.script(pages.open(pages.track(), "&settings=true")).meet(client)
    return ending["page"], pages.script(pages.http.get(ending["page"]))


def test_the_token_of_a_success_manages_nothing_from_another_browser(pages: Pages) -> None:
    """Applications hand it around, and write it down: it gives no more than the action was tracked for, and enrols."""
    client = pages.new_passkey()
    (one,) = pages.kit.run(pages.kit.tenant().devices.list_authenticators("ada"))
    token = pages.script(pages.open(pages.track())).meet(client)["token"]
    answer = pages.open(token, "&settings=true")
    assert heading(answer) == "You are all set"
    assert one.name not in answer.text
    script = pages.script(answer)
    for path, body in (("rename", {"name": "x"}), ("remove", {})):
        error = script.refused(f"/authenticators/{path}", {"id": one.authenticator_id, **body})
        assert error["code"] == "scope_missing"
        assert "add a passkey" not in error["message"]
    assert heading(pages.open(token, "&force_enrollment=true")) == "Add another passkey"


def test_no_token_of_a_success_is_in_an_address_of_ours(pages: Pages) -> None:
    client = pages.new_passkey()
    address, script = met(pages, client)
    token = address.partition("token=")[2].partition("&")[0]
    for read in (pages.kit.tenant().actions.read_token, pages.kit.tenant().actions.validate_challenge):
        with pytest.raises(TokenError):
            pages.kit.run(read(token))
    assert pages.validated(script.data["leave"]["token"]) == "ada"


def test_a_proof_is_good_for_ten_minutes_and_for_nothing_else(pages: Pages) -> None:
    client = pages.new_passkey()
    address, script = met(pages, client)
    proof = address.partition("token=")[2].partition("&")[0]
    forged = Script(pages, {**script.data, "token": proof})
    assert forged.refused("/authenticators/remove", {"id": "x"}, 401)["code"] == "token_invalid"
    (one,) = pages.kit.run(pages.kit.tenant().devices.list_authenticators("ada"))
    pages.kit.clock.pass_(599)
    assert heading(pages.http.get(address)) == "Your passkeys and devices"
    pages.kit.clock.pass_(1)
    assert heading(pages.http.get(address)) == "This link has expired"
    assert script.refused("/authenticators/remove", {"id": one.authenticator_id}, 401)["code"] == "token_expired"


@pytest.mark.parametrize("change", [{"realm": "bank"}, {"authenticator_id": "other"}, {"user_id": "eve"}])
def test_a_proof_is_of_one_realm_one_action_and_one_authenticator(pages: Pages, change: dict[str, str]) -> None:
    """Whichever of them does not go with the token in it, it opens nothing."""
    client = pages.new_passkey()
    address, _ = met(pages, client)
    tokens, now = pages.server.tokens, pages.kit.clock()
    proof = unseal_proof(tokens, address.partition("token=")[2].partition("&")[0], now)
    for removed_here in (False, True):
        other = msgspec.structs.replace(proof, removed_here=removed_here, **change)
        answer = pages.open(seal_proof(tokens, other, now), "&settings=true")
        assert (answer.status_code, heading(answer)) == (401, "This link does not work")


def test_who_removes_what_they_came_with_sees_what_is_left_and_changes_nothing_more(pages: Pages) -> None:
    """By another address, until the proof ends. A thief who removes what he stole must have nothing in its place."""
    client = pages.new_passkey()
    pages.new_device()
    pages.new_passkey(seed="other phone")
    address, script = met(pages, client)
    mine = pages.kit.run(pages.kit.tenant().devices.list_authenticators("ada"))
    first, third = [one.authenticator_id for one in mine if one.method == "passkey"]
    device = next(one.authenticator_id for one in mine if one.method != "passkey")
    pages.kit.clock.pass_(60)
    assert script("/authenticators/remove", {"id": device}).keys() == {"left", "signals"}
    removed = script("/authenticators/remove", {"id": first})
    assert heading(pages.http.get(address)) == "This link does not work"
    again = pages.http.get(removed["address"])
    assert heading(again) == "Your passkeys and devices"
    pages.kit.run(pages.kit.tenant().passkeys.remove_all_passkeys("ada"))
    for page in (Script(pages, {**script.data, "token": removed["token"]}), pages.script(again)):
        for path, body in (
            ("/enrolment/start", {}),
            ("/authenticators/rename", {"id": third, "name": "New"}),
            ("/authenticators/remove", {"id": third}),
        ):
            assert page.refused(path, body)["code"] == "scope_missing"
    assert "token" not in pages.script(again).data["leave"], "what it proved is gone"
    pages.kit.clock.pass_(540)
    assert heading(pages.http.get(removed["address"])) == "This link has expired"
    gone = Script(pages, {**script.data, "token": removed["token"]})
    assert gone.refused("/enrolment/start", {}, 401)["code"] == "token_expired"


def test_a_page_that_goes_on_after_a_removal_ends_with_its_user(pages: Pages) -> None:
    client = pages.new_passkey()
    pages.new_device()
    _, script = met(pages, client)
    one, other = pages.kit.run(pages.kit.tenant().devices.list_authenticators("ada"))
    removed = script("/authenticators/remove", {"id": one.authenticator_id})
    page = Script(pages, {**script.data, "token": removed["token"]})
    pages.kit.run(pages.kit.tenant().passkeys.disable_user("ada"))
    assert heading(pages.http.get(removed["address"])) == "This is not possible"
    for path, body in (("/authenticators/remove", {"id": other.authenticator_id}), ("/enrolment/start", {})):
        assert page.refused(path, body)["code"] == "scope_missing"
    pages.kit.run(pages.kit.tenant().passkeys.remove_user("ada"))
    assert page.refused("/enrolment/start", {}, 401)["code"] == "token_invalid"


def test_a_stolen_passkey_manages_nothing_any_more_once_it_was_removed(pages: Pages) -> None:
    client = pages.new_passkey()
    pages.new_device()
    ending = pages.script(pages.open(pages.track(), "&settings=true")).meet(client)
    script = pages.script(pages.http.get(ending["page"]))
    tenant = pages.kit.tenant()
    pages.kit.run(tenant.passkeys.remove_all_passkeys("ada"))
    (device,) = pages.kit.run(tenant.devices.list_authenticators("ada"))
    for path, body in (
        ("rename", {"id": device.authenticator_id, "name": "x"}),
        ("remove", {"id": device.authenticator_id}),
    ):
        assert script.refused(f"/authenticators/{path}", body, 401)["code"] == "token_invalid"
    assert heading(pages.http.get(ending["page"])) == "This link does not work"
