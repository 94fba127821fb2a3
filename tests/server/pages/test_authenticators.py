"""The list of passkeys and devices: who may rename and remove what; without a browser."""

import pytest

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
