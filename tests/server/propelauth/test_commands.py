"""The seven commands and Ping: what a backend can do with its users' passkeys, with each SDK."""

from pathlib import Path

import pytest

from passkeycore.testing import VirtualClient
from passkeycore.webauthn.encoding import decode_base64url
from tests.server.kit import INTEGRATION_KEYS, RP_IDS, TenantKit, tenant_kit

from .backends import Answer, Http
from .kit import LIMIT, World, browser

TIMEOUT_S = 300
"""How long a ceremony may take, unless the tenant says otherwise."""


def test_a_users_whole_life(each_sdk: World) -> None:
    shop = each_sdk
    assert shop.ids() == []
    phone, key = shop.new_passkey(passkeyDisplayName="My phone"), shop.new_passkey(seed="key")
    assert shop.verify(phone.get(shop.ask())) == Answer(True, {})
    assert shop.verify(key.get(shop.ask())) == Answer(True, {})
    first, second = shop.good("FetchAllPasskeysForUser", userId="ada")["passkeys"]
    assert first["displayName"] == "My phone"
    assert shop.run("DeregisterPasskey", userId="ada", credentialId=first["credentialId"]) == Answer(True, {})
    assert shop.ids() == [second["credentialId"]]
    assert shop.run("DeregisterAllPasskeysForUser", userId="ada") == Answer(True, {})
    assert shop.ids() == []
    assert shop.run("DeregisterAllPasskeysForUser", userId="ada") == Answer(True, {})
    assert shop.good("Ping") == {"timestamp": int(shop.kit.clock().timestamp())}


def test_creation_options_are_what_a_browser_takes_as_they_are(shop: World) -> None:
    """Bare, and of the hostname without its port; they name the user's passkeys, so that none is made twice."""
    shop.new_passkey()
    options = shop.start(userDisplayName="Ada Lovelace")
    assert options["rp"] == {"id": RP_IDS["shop"], "name": "Shop"}
    assert options["user"]["name"] == "ada@example.com"
    assert options["user"]["displayName"] == "Ada Lovelace"
    assert len(decode_base64url(options["user"]["id"], "id")) <= 64
    assert len(decode_base64url(options["challenge"], "challenge")) == 32
    (excluded,) = options["excludeCredentials"]
    assert (excluded["id"], excluded["type"]) == (shop.ids()[0], "public-key")
    assert "publicKey" not in options


def test_the_user_handle_tells_nothing_and_stays(shop: World) -> None:
    handles = {shop.start(user_id)["user"]["id"] for user_id in ("ada", "ada", "grace")}
    assert len(handles) == 2
    assert not any(b"ada" in decode_base64url(handle, "id") for handle in handles)


def test_a_user_without_a_display_name_is_shown_by_name(shop: World) -> None:
    assert shop.start()["user"]["displayName"] in ("", "ada@example.com")


def test_request_options_name_all_passkeys_of_the_user_and_nobody_elses(shop: World) -> None:
    shop.new_passkey("grace", seed="hers")
    for seed in ("phone", "key"):
        shop.new_passkey(seed=seed)
    options = shop.ask()
    assert [credential["id"] for credential in options["allowCredentials"]] == shop.ids()
    assert options["rpId"] == RP_IDS["shop"]
    assert "publicKey" not in options


@pytest.mark.parametrize("credential_id", ["", "AAAA", "A", "AA==", "not base64url!", "é", "A" * 5_000])
def test_what_is_no_passkey_of_the_user_is_not_found(shop: World, credential_id: str) -> None:
    shop.new_passkey()
    removed = shop.run("DeregisterPasskey", userId="ada", credentialId=credential_id)
    assert removed == Answer(False, {"type": "PasskeyNotFound"})


def test_another_users_passkey_is_not_found_and_stays(shop: World) -> None:
    shop.new_passkey()
    shop.new_passkey("eve", seed="eves")
    (credential_id,) = shop.ids()
    removed = shop.run("DeregisterPasskey", userId="eve", credentialId=credential_id)
    assert removed == Answer(False, {"type": "PasskeyNotFound"})
    assert shop.ids() == [credential_id]


class TestChallenges:
    """Each is good once, for five minutes, for one user, in this dialect."""

    def test_a_response_counts_once(self, shop: World) -> None:
        phone = browser()
        made = phone.create(shop.start())
        assert shop.finish(made).good
        assert shop.finish(made).members == {"type": "NoRegistrationChallengeFound"}
        used = phone.get(shop.ask())
        assert shop.verify(used).good
        assert shop.verify(used).members == {"type": "NoAuthenticationChallengeFound"}

    @pytest.mark.parametrize(("passed_s", "good"), [(TIMEOUT_S - 1, True), (TIMEOUT_S + 1, False), (7_200, False)])
    def test_a_response_has_to_come_in_time(self, each_sdk: World, passed_s: int, good: bool) -> None:
        shop = each_sdk
        phone = shop.new_passkey("eve")
        made, used = browser("new").create(shop.start()), phone.get(shop.ask("eve"))
        shop.kit.clock.pass_(passed_s)
        finished, verified = shop.finish(made), shop.verify(used, "eve")
        assert finished.good is verified.good is good
        if not good:
            assert finished.members == {"type": "NoRegistrationChallengeFound"}
            assert verified.members == {"type": "NoAuthenticationChallengeFound"}
            assert shop.ids() == []

    def test_a_failed_attempt_ends_its_ceremony(self, shop: World) -> None:
        phone = shop.new_passkey()
        used = phone.get(shop.ask())
        broken = {**used, "response": {**used["response"], "signature": "AAAA"}}
        assert shop.verify(broken).members["type"] == "UnexpectedError"
        assert shop.verify(used).members == {"type": "NoAuthenticationChallengeFound"}

    def test_another_user_cannot_finish_it_and_ends_it(self, shop: World) -> None:
        """A backend that takes the user from its own session is safe from responses that were swapped."""
        phone = shop.new_passkey()
        shop.new_passkey("eve", seed="eves")
        used = phone.get(shop.ask())
        assert shop.verify(used, "eve").members == {"type": "NoAuthenticationChallengeFound"}
        assert shop.verify(used).members == {"type": "NoAuthenticationChallengeFound"}
        made = browser("new").create(shop.start())
        assert shop.finish(made, "eve").members == {"type": "NoRegistrationChallengeFound"}
        assert shop.finish(made).members == {"type": "NoRegistrationChallengeFound"}
        assert len(shop.ids("eve")) == len(shop.ids()) == 1

    def test_another_users_passkey_does_not_sign_in(self, shop: World) -> None:
        shop.new_passkey()
        eve = shop.new_passkey("eve", seed="eves")
        options = shop.ask()
        forged = eve.get({**options, "allowCredentials": []})
        assert shop.verify(forged).members["type"] == "UnexpectedError"

    def test_a_second_start_does_not_end_the_first(self, shop: World) -> None:
        phone = shop.new_passkey()
        first, second = shop.ask(), shop.ask()
        assert shop.verify(phone.get(second)).good
        assert shop.verify(phone.get(first)).good

    def test_a_ceremony_of_another_room_cannot_be_finished_here_nor_here_begun_there(self, shop: World) -> None:
        passkeys, phone = shop.kit.tenant().passkeys, shop.new_passkey()
        elsewhere = shop.kit.run(passkeys.start_authentication(user_id="ada")).to_dict()
        assert shop.verify(phone.get(elsewhere)).members == {"type": "NoAuthenticationChallengeFound"}
        elsewhere = shop.kit.run(passkeys.start_registration(user_id="ada")).to_dict()
        assert shop.finish(browser("b").create(elsewhere)).members == {"type": "NoRegistrationChallengeFound"}
        for binding in (None, "a session"):
            begun = phone.get(shop.ask())
            with pytest.raises(Exception, match="not begun here"):
                shop.kit.run(passkeys.finish_authentication(begun, user_id="ada", binding=binding))

    def test_a_ceremony_of_another_tenant_cannot_be_finished_here(self, kit: TenantKit, shop: World) -> None:
        phone, key = shop.new_passkey(), INTEGRATION_KEYS["bank"]
        used = phone.get(shop.ask())
        finish = {"userId": "ada", "publicKey": used}
        refused = shop.backend.run("FinishPasskeyAuthentication", finish, key=key)
        assert refused.members["type"] == "OriginNotAllowed"
        start = {"userId": "ada", "emailOrUsername": "ada", "additionalAllowedOrigin": "https://www.bank.example.com"}
        options = shop.backend.run("StartPasskeyRegistration", start, key=key).members["registrationOptions"]
        made = browser("b", "https://www.bank.example.com").create(options)
        assert not shop.finish(made).good
        assert shop.verify(used).good  # the bank has not ended it


class TestLimits:
    def test_a_user_has_so_many_passkeys_and_no_more(self, each_sdk: World) -> None:
        shop = each_sdk
        for number in range(LIMIT):
            shop.new_passkey(seed=f"authenticator {number}")
        refused = shop.run("StartPasskeyRegistration", userId="ada", emailOrUsername="ada")
        assert refused.members["type"] == "TooManyPasskeys"
        assert refused.members["details"]["max_passkeys"] == refused.members["details"]["current_count"] == LIMIT
        shop.good("DeregisterPasskey", userId="ada", credentialId=shop.ids()[0])
        shop.new_passkey(seed="the next one")

    def test_ceremonies_at_the_same_time_do_not_exceed_it(self, shop: World) -> None:
        for number in range(LIMIT - 1):
            shop.new_passkey(seed=f"authenticator {number}")
        first, second = browser("one"), browser("two")
        made, late = first.create(shop.start()), second.create(shop.start())
        assert shop.finish(made).good
        assert shop.finish(late).members["type"] == "UnexpectedError"  # a finish knows no other name for it
        assert len(shop.ids()) == LIMIT

    def test_a_tenant_may_choose_another(self, tmp_path: Path) -> None:
        with tenant_kit(tmp_path, shop_more="max_passkeys_per_user = 1") as kit:
            shop = World(kit, Http(kit))
            shop.new_passkey()
            refused = shop.run("StartPasskeyRegistration", userId="ada", emailOrUsername="ada")
            assert refused.members["details"]["max_passkeys"] == 1


def test_passkeys_that_are_a_second_factor_work_without_user_verification(tmp_path: Path) -> None:
    with tenant_kit(tmp_path, shop_more='preset = "second_factor"') as kit:
        shop, key = World(kit, Http(kit)), browser(user_verification=False)
        assert shop.finish(key.create(shop.start())).good
        assert shop.verify(key.get(shop.ask())).good


def test_a_disabled_user_has_no_passkeys_to_sign_in_with(kit: TenantKit, shop: World) -> None:
    phone: VirtualClient = shop.new_passkey()
    begun = phone.get(shop.ask())
    kit.run(kit.tenant().passkeys.disable_user("ada"))
    assert shop.verify(begun).members["type"] == "UnexpectedError"
    refused = shop.run("StartPasskeyAuthentication", userId="ada")
    assert refused.members == {"type": "NoPasskeysRegisteredForUser"}
