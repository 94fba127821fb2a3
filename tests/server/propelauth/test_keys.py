"""Who may run what: every command against every key that is not its own, always refused in the dialect's form."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from passkeycore.server.propelauth.commands import COMMANDS, NOT_SERVED
from passkeycore.server.tenancy.keys import create_key, revoke_key, rotate_key
from tests.server.kit import API_KEYS, INTEGRATION_KEYS, ORIGINS, SIGN_IN_ONLY, TenantKit, tenant_kit

from .backends import KEY, Http, Json, checked
from .kit import World, browser

ALL: Final = [*COMMANDS, *sorted(NOT_SERVED), "Nothing"]
DATA: Final[Json] = {
    "userId": "ada",
    "emailOrUsername": "ada",
    "publicKey": {},
    "credentialId": "AAAA",
}
"""Good members for any command."""
NONE_OF_OURS: Final = {"type": "InvalidPrefix", "details": "An integration key begins with pki_"}
NOT_FOUND: Final = {"type": "IntegrationKeyNotFound"}


def sent(http: Http, command: str, headers: Mapping[str, str | bytes], data: Json = DATA) -> Json:
    """The error that a command is answered with."""
    response = http.send({"command": command, "data": data}, headers)
    assert response.status_code in (401, 403)
    return checked(response).members


class TestNobody:
    """Whatever the command is."""

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": ""},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer  "},
            {"Authorization": KEY},
            {"Authorization": f"Basic {KEY}"},
            {"X-Api-Key": KEY},
        ],
        ids=str,
    )
    def test_who_shows_no_key_is_told_so(self, http: Http, headers: dict[str, str]) -> None:
        for command in ALL:
            assert sent(http, command, headers) == {"type": "NoIntegrationKeyFoundInHeader"}

    @pytest.mark.parametrize(
        "key", ["x", KEY + "x", KEY[:-1], API_KEYS["shop"], "pks_0123456789abcdef_" + "A" * 43, "ÿ", "x" * 5_000]
    )
    def test_what_does_not_look_like_a_key_opens_nothing(self, http: Http, key: str) -> None:
        for command in ALL:
            assert sent(http, command, {"Authorization": f"Bearer {key}".encode()}) == NONE_OF_OURS

    @pytest.mark.parametrize("key", ["pki_", "pki_0123456789abcdef_" + "A" * 43])
    def test_what_only_looks_like_one_opens_nothing_either(self, http: Http, key: str) -> None:
        for command in ALL:
            assert sent(http, command, {"Authorization": f"Bearer {key}"}) == NOT_FOUND


def test_sessions_and_devices_are_for_no_key(http: Http) -> None:
    for name in NOT_SERVED:
        expected = {"type": "CommandNotAllowed", "details": {"command_name": name}}
        assert sent(http, name, {"Authorization": f"Bearer {KEY}"}) == expected


def test_seven_commands_and_ping_are_served_and_seventeen_are_known_besides() -> None:
    assert len(COMMANDS) == 8
    assert len(NOT_SERVED) == 17
    assert not NOT_SERVED & COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_key_runs_what_it_is_for_and_nothing_else(http: Http, command: str) -> None:
    headers = {"Authorization": f"Bearer {SIGN_IN_ONLY}"}
    if command in ("StartPasskeyAuthentication", "FinishPasskeyAuthentication"):
        refusal = checked(http.send({"command": command, "data": DATA}, headers)).members
        assert refusal["type"] != "CommandNotAllowed"
    else:
        assert sent(http, command, headers) == {
            "type": "CommandNotAllowed",
            "details": {"command_name": command},
        }


def test_a_key_that_may_not_do_it_changes_nothing(shop: World) -> None:
    shop.new_passkey()
    shop.backend.run("DeregisterAllPasskeysForUser", {"userId": "ada"}, key=SIGN_IN_ONLY)
    assert len(shop.ids()) == 1


FOREIGN: Final[Mapping[str, Json | Callable[[Json], bool]]] = {
    # A user of the bank's own by the same name: no passkey of Ada's is left out of the options.
    "StartPasskeyRegistration": lambda told: (
        told["registrationOptions"]["rp"] == {"id": "example.com", "name": "Bank"}
        and told["registrationOptions"]["excludeCredentials"] == []
    ),
    "FinishPasskeyRegistration": {"type": "NoRegistrationChallengeFound"},
    "StartPasskeyAuthentication": {"type": "NoPasskeysRegisteredForUser"},
    "FinishPasskeyAuthentication": {"type": "NoAuthenticationChallengeFound"},
    "FetchAllPasskeysForUser": {"passkeys": []},
    "DeregisterPasskey": {"type": "PasskeyNotFound"},
    "DeregisterAllPasskeysForUser": {},
    "Ping": lambda told: told.keys() == {"timestamp"},
}
"""What the bank is told by each command that the shop would carry out: the shop's users are none of the bank's."""
SHARED: Final = 'rp_id = "example.com"'
"""Of both tenants: so that nothing but the key tells them apart."""


def adas(shop: World, command: str) -> Json:
    """Members with which the shop's own key succeeds."""
    client = shop.new_passkey()
    more: Json = {"emailOrUsername": "ada@example.com", "credentialId": shop.ids()[0]}
    if command == "FinishPasskeyRegistration":
        more = {"publicKey": browser("another").create(shop.start())}
    if command == "FinishPasskeyAuthentication":
        more = {"publicKey": client.get(shop.ask())}
    return {"userId": "ada", "additionalAllowedOrigin": ORIGINS["shop"], **more}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_key_opens_its_own_tenant(tmp_path: Path, command: str) -> None:
    """Another tenant's is answered in its own name, sees and changes nothing here, and spends no ceremony."""
    with tenant_kit(tmp_path, shop_more=SHARED, bank_more=SHARED) as kit:
        shop = World(kit, Http(kit))
        data = adas(shop, command)
        before = shop.ids()
        answer = shop.backend.run(command, data, key=INTEGRATION_KEYS["bank"])
        expected = FOREIGN[command]
        assert expected(answer.members) if callable(expected) else answer.members == expected
        assert shop.ids() == before
        assert shop.backend.run(command, data).good


@pytest.mark.parametrize("command", sorted(NOT_SERVED))
def test_what_is_served_to_no_tenant_is_refused_to_another_as_well(http: Http, command: str) -> None:
    expected = {"type": "CommandNotAllowed", "details": {"command_name": command}}
    assert sent(http, command, {"Authorization": f"Bearer {INTEGRATION_KEYS['bank']}"}) == expected


class TestMadeKeys:
    """Keys that the server made: stored as a digest, revoked, two at a time."""

    @pytest.fixture
    def ping(self, http: Http) -> Any:
        """What Ping is answered with to a key."""
        return lambda key: checked(http.send({"command": "Ping"}, {"Authorization": f"Bearer {key}"})).members

    def test_each_opens_until_it_is_revoked(self, kit: TenantKit, ping: Any) -> None:
        tenant, secrets = kit.tenant(), kit.settings.secrets
        old = kit.run(create_key(tenant, secrets, "integration", "backend"))
        new = kit.run(rotate_key(tenant, secrets, old.key.key_id))
        assert ping(old.text).keys() == ping(new.text).keys() == {"timestamp"}
        kit.run(revoke_key(tenant, old.key.key_id))
        assert ping(old.text) == NOT_FOUND
        assert ping(new.text).keys() == {"timestamp"}

    @pytest.mark.parametrize("command", ALL)
    def test_one_that_was_revoked_runs_nothing(self, kit: TenantKit, shop: World, http: Http, command: str) -> None:
        """Whether another took its place or not. Told as a key that never was, and nothing is done or spent."""
        tenant, secrets = kit.tenant(), kit.settings.secrets
        data = adas(shop, command)
        before = shop.ids()
        revoked, rotated = (kit.run(create_key(tenant, secrets, "integration", name)) for name in ("gone", "old"))
        new = kit.run(rotate_key(tenant, secrets, rotated.key.key_id))
        for made in (revoked, rotated):
            kit.run(revoke_key(tenant, made.key.key_id))
            assert sent(http, command, {"Authorization": f"Bearer {made.text}"}, data) == NOT_FOUND
        assert shop.ids() == before
        assert shop.backend.run(command, data, key=new.text).good is (command in COMMANDS)

    def test_one_of_another_kind_opens_nothing(self, kit: TenantKit, ping: Any) -> None:
        made = kit.run(create_key(kit.tenant(), kit.settings.secrets, "api", "backend"))
        assert ping(made.text) == NONE_OF_OURS

    def test_it_runs_what_it_is_for(self, kit: TenantKit, http: Http) -> None:
        made = kit.run(create_key(kit.tenant(), kit.settings.secrets, "integration", "list", ["Ping"]))
        headers = {"Authorization": f"bearer {made.text}"}
        assert checked(http.send({"command": "Ping"}, headers)).good
        assert sent(http, "FetchAllPasskeysForUser", headers)["type"] == "CommandNotAllowed"


def test_a_key_of_other_letters_is_read_as_utf_8(tmp_path: Any) -> None:
    key = "schlüssel " * 4
    more = f'integration_keys = [{{ key = "{key.strip()}" }}]'
    shop_more = '[tenants.cafe]\nhostname = "cafe.example.com"\n' + more
    with tenant_kit(tmp_path, shop_more=shop_more) as kit:
        header = f"Bearer {key.strip()}".encode()
        answer = Http(kit).client.post("/run-command", json={"command": "Ping"}, headers={b"Authorization": header})
        assert checked(answer).good
