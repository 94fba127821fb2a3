"""Keys of a tenant's servers: derived, stored as digests, two live, revoked at once, and good for signing."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from passkeycore import ConflictError, CredentialNotFound, DecodeError, LimitReached
from passkeycore.engine.records import EventFilter, EventType
from passkeycore.engine.tenancy.records import Profile, ServerKey
from passkeycore.server.tenancy.keys import NewKey, create_key, find_key, revoke_key, rotate_key, text_of
from tests.server.kit import API_KEYS, INTEGRATION_KEYS, SIGN_IN_ONLY, TenantKit, tenant_kit

NOW = datetime(2026, 11, 3, tzinfo=UTC)
NEW, OLD = b"the server's present secret, 32 bytes", b"the server's previous secret, 32 bytes"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TenantKit]:
    with tenant_kit(tmp_path) as kit:
        yield kit


def created(kit: TenantKit, tenant_id: str = "shop", name: str = "Backend", kind: str = "api") -> NewKey:
    tenant = kit.tenant(tenant_id)
    return kit.run(create_key(tenant, kit.settings.secrets, "api" if kind == "api" else "integration", name))


def holder(kit: TenantKit, text: str, kind: str = "api") -> str | None:
    found = kit.run(kit.tenants.by_key(text, kind))
    return None if found is None else found.tenant.tenant_id


def test_a_key_opens_its_tenant_for_its_kind_and_is_stored_as_a_digest(kit: TenantKit) -> None:
    for tenant_id in ("shop", "bank"):
        for kind, prefix in (("api", "pks"), ("integration", "pki")):
            new = created(kit, tenant_id, kind=kind)
            assert re.fullmatch(rf"{prefix}_{new.key.key_id}_[A-Za-z0-9_-]{{43}}", new.text)
            stored = kit.run(kit.storage.repository.find_server_key(new.key.key_id))
            assert stored == new.key
            assert new.key.digest == sha256(new.text.encode()).digest()
            assert holder(kit, new.text, kind) == tenant_id
            assert holder(kit, new.text, "integration" if kind == "api" else "api") is None
            assert new.text not in repr(new) + repr(new.__rich_repr__())
    file = b"".join(path.read_bytes() for path in Path(kit.settings.database.partition("///")[2]).parent.iterdir())
    assert new.key.key_id.encode() in file
    assert new.text.split("_", 2)[2].encode() not in file


def test_what_is_not_the_key_opens_nothing(kit: TenantKit) -> None:
    """Another end, another tenant's end, another id, another case, more or less around it: nobody."""
    mine, other = created(kit).text, created(kit, "bank").text
    end = mine[:-1] + ("A" if mine[-1] != "A" else "B")
    swapped = mine[:21] + other[21:]
    for wrong in (
        *(end, swapped, mine.upper(), mine + " ", " " + mine, mine[:-1], "pki" + mine[3:], mine + "\n", ""),
        *("pks_", "pks_0123456789abcdef_" + "A" * 43, "\ud800", "\udcff" * 40, "x" * 100_000, "\0"),
    ):
        assert holder(kit, wrong) is None
        assert kit.run(find_key(kit.storage.repository, wrong, "api")) is None
    assert holder(kit, mine) == "shop"


def test_keys_of_the_file_open_what_they_are_for(kit: TenantKit) -> None:
    for tenant_id in ("shop", "bank"):
        assert holder(kit, API_KEYS[tenant_id]) == tenant_id
        assert holder(kit, INTEGRATION_KEYS[tenant_id], "integration") == tenant_id
        assert holder(kit, API_KEYS[tenant_id], "integration") is None
        assert holder(kit, INTEGRATION_KEYS[tenant_id]) is None
    limited = kit.run(kit.tenants.by_key(SIGN_IN_ONLY, "integration"))
    assert limited is not None
    assert limited.key.commands == ("StartPasskeyAuthentication", "FinishPasskeyAuthentication")
    assert (limited.key.digest, limited.key.realm) == (b"", "shop")


def test_two_keys_of_a_name_live_and_no_third(kit: TenantKit) -> None:
    """Rotation: the new one comes while the old one is good; a third has to wait until one is revoked."""
    shop, secrets = kit.tenant(), kit.settings.secrets
    kind = kit.run(create_key(shop, secrets, "integration", "Backend", ["A"]))
    first = created(kit)
    second = kit.run(rotate_key(shop, secrets, first.key.key_id))
    assert (second.key.kind, second.key.name) == ("api", "Backend")
    assert kit.run(rotate_key(shop, secrets, kind.key.key_id)).key.commands == ("A",)
    assert (holder(kit, first.text), holder(kit, second.text)) == ("shop", "shop")
    for attempt in (create_key(shop, secrets, "api", "Backend"), rotate_key(shop, secrets, second.key.key_id)):
        with pytest.raises(LimitReached) as caught:
            kit.run(attempt)
        assert (caught.value.limit, caught.value.current) == (2, 2)
    created(kit, name="Another")
    kit.run(revoke_key(shop, first.key.key_id))
    assert (holder(kit, first.text), holder(kit, second.text)) == (None, "shop")
    third = kit.run(rotate_key(shop, secrets, second.key.key_id))
    assert holder(kit, third.text) == "shop"


def test_of_many_who_make_a_key_at_once_two_get_one_at_most(kit: TenantKit) -> None:
    shop, secrets = kit.tenant(), kit.settings.secrets

    async def at_once() -> list[NewKey | BaseException]:
        calls = (create_key(shop, secrets, "api", "Backend") for _ in range(8))
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = kit.run(at_once())
    made = [answer for answer in answers if isinstance(answer, NewKey)]
    assert all(isinstance(answer, (NewKey, LimitReached)) for answer in answers)
    live = [key for key in kit.run(kit.storage.repository.list_server_keys("shop")) if key.revoked_at is None]
    assert len(made) <= 2
    assert sorted(key.key_id for key in live) == sorted(new.key.key_id for new in made)


def test_a_revoked_key_opens_nothing_and_stays_listed(kit: TenantKit) -> None:
    shop, new = kit.tenant(), created(kit)
    kit.clock.pass_(5)
    revoked = kit.run(revoke_key(shop, new.key.key_id))
    assert revoked.revoked_at == kit.clock.time
    assert holder(kit, new.text) is None
    kit.clock.pass_(5)
    assert kit.run(revoke_key(shop, new.key.key_id)) == revoked
    assert kit.run(kit.storage.repository.list_server_keys("shop")) == (revoked,)
    assert new.text not in kit.run(kit.tenants.secrets_of(shop))
    with pytest.raises(CredentialNotFound):
        kit.run(rotate_key(shop, kit.settings.secrets, new.key.key_id))


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_another_tenants_key_does_not_exist(kit: TenantKit, verb: str) -> None:
    bank, new = kit.tenant("bank"), created(kit)
    with pytest.raises(CredentialNotFound):
        kit.run(
            revoke_key(bank, new.key.key_id)
            if verb == "revoke"
            else rotate_key(bank, kit.settings.secrets, new.key.key_id)
        )
    assert holder(kit, new.text) == "shop"


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb", "a\u202eb"])
def test_a_name_is_something_that_people_can_read(kit: TenantKit, name: str) -> None:
    with pytest.raises(DecodeError):
        created(kit, name=name)
    assert kit.run(kit.storage.repository.list_server_keys("shop")) == ()


def test_making_and_revoking_are_audited_without_the_key(kit: TenantKit) -> None:
    new = created(kit)
    kit.run(revoke_key(kit.tenant(), new.key.key_id))
    page = kit.run(kit.tenant().passkeys.list_events(EventFilter()))
    assert [event.type for event in page.events] == [EventType.SERVER_KEY_REVOKED, EventType.SERVER_KEY_CREATED]
    for event in page.events:
        assert event.details == {"key_id": new.key.key_id, "kind": "api", "name": "Backend"}
    assert kit.run(kit.tenant("bank").passkeys.list_events(EventFilter())).events == ()


def test_a_key_outlives_the_secret_that_made_it(kit: TenantKit) -> None:
    """It opens what it did; it signs as long as its secret is among those of the server, in whatever place."""
    shop = kit.tenant()
    new = kit.run(create_key(shop, [OLD], "api", "Backend"))
    assert holder(kit, new.text) == "shop"
    for secrets, text in (([OLD], new.text), ([NEW, OLD], new.text), ([OLD, NEW], new.text), ([NEW], None)):
        assert text_of(secrets, new.key) == text
    for changed in ({"realm": "bank"}, {"kind": "integration"}, {"key_id": "0" * 16}):
        assert text_of([OLD], msgspec.structs.replace(new.key, **changed)) is None


def test_what_prints_a_key_or_a_profile_shows_no_more_than_its_repr(kit: TenantKit) -> None:
    """Not the digest, nor what is known of a person, wherever Rich prints one."""
    key = created(kit).key
    told = Profile(user_id="ada", email="ada@example.com", created_at=NOW, updated_at=NOW)
    assert key.__rich_repr__() == [("key_id", key.key_id), ("kind", "api")]
    assert told.__rich_repr__() == [("user_id", "ada")]
    assert "example" not in repr(told)


def test_the_newest_key_signs_first_and_those_of_the_file_last(kit: TenantKit) -> None:
    first = created(kit)
    kit.clock.pass_(1)
    second = created(kit)
    created(kit, kind="integration")
    created(kit, "bank")
    assert kit.run(kit.tenants.secrets_of(kit.tenant())) == (second.text, first.text, API_KEYS["shop"])


def test_a_key_id_that_is_taken_is_not_taken_over(kit: TenantKit) -> None:
    """Where randomness repeats itself, another tenant's key stays what it is."""
    new = created(kit)
    bank = kit.tenant("bank")
    stuck = msgspec.structs.replace(bank.passkeys.context, random=lambda size: bytes.fromhex(new.key.key_id)[:size])
    bank.passkeys.context = stuck
    with pytest.raises(ConflictError):
        kit.run(create_key(bank, kit.settings.secrets, "api", "Backend"))
    stored: ServerKey | None = kit.run(kit.storage.repository.find_server_key(new.key.key_id))
    assert stored == new.key
