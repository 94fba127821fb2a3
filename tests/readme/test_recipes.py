"""The Python of the README's other sections, executed among the names that the text around it takes for granted.

`NAMES` is what a reader has after the quick start for level 2. A section that is executed here is marked by `executes`.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from passkeycore import (
    ActionError,
    Code,
    CredentialExists,
    PasskeyError,
    RelyingParty,
    TokenError,
    Trail,
    UntrustedError,
    VerificationError,
)
from passkeycore.config import load_rules
from passkeycore.engine.devices.service import DeviceService
from passkeycore.engine.passkeys.service import PasskeyService
from passkeycore.repositories.memory import MemoryRepository
from passkeycore.repositories.redis import RedisCeremonies
from passkeycore.repositories.sql import SQLRepository
from passkeycore.testing import (
    TEST_AAGUID,
    MetadataSigner,
    SoftwareAuthenticator,
    SoftwareDevice,
    VirtualClient,
    b64url_encode,
    metadata_entry,
    metadata_payload,
)
from passkeycore.tokens import Tokens
from passkeycore.trust import Metadata
from passkeycore.webhooks import WebhookSecrets, sign_webhook, webhook_secret
from tests.ceremony import NOW

from .blocks import execute, executes, section
from .sites import ADDRESS
from .yours import ADA

MOMENT = timedelta(seconds=1)


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        return self.now


class Reader(NamedTuple):
    """Somebody with a service, a session and a phone. `names` is what their module has."""

    phone: VirtualClient
    clock: Clock
    names: dict[str, Any]

    def add_passkey(self) -> None:
        passkeys = self.names["passkeys"]
        start = passkeys.start_registration(user_id=ADA.id, user_name=ADA.email)
        passkeys.finish_registration(self.phone.create(start.to_dict()), user_id=ADA.id)

    def sign_in(self) -> str:
        passkeys = self.names["passkeys"]
        start = passkeys.start_authentication(binding="visitor")
        user_id: str = passkeys.finish_authentication(self.phone.get(start.to_dict()), binding="visitor").user_id
        return user_id


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.chdir(tmp_path)
    rp, repository, clock = RelyingParty(id="example.com", origins=[ADDRESS]), MemoryRepository(), Clock()

    def service(*arguments: Any, **settings: Any) -> PasskeyService:
        return PasskeyService(*arguments, now=clock, **settings)

    secret = "a secret of 32 bytes or more, from a vault"
    names: dict[str, Any] = {
        "__name__": "app",
        "rp": rp,
        "repository": repository,
        "passkeys": service(rp, repository, tokens=Tokens([secret])),
        "PasskeyService": service,
        "SQLRepository": SQLRepository,
        "Tokens": Tokens,
        "tokens": Tokens([secret]),
        "secret": secret,
        "decoy_secret": os.urandom(32),
        "me": lambda: ADA,
        "visitor": lambda: "visitor",
        "session": {},
    }
    yield Reader(VirtualClient(SoftwareAuthenticator("the reader's phone"), ADDRESS), clock, names)
    if isinstance(names["repository"], SQLRepository):
        names["repository"].close()


@executes("What the engine guarantees")
def test_events_are_listed(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    """Stored events are printed as the section says."""
    stored = PasskeyService(reader.names["rp"], reader.names["repository"], store_events=True, now=reader.clock)
    stored.get_or_create_user("42", "Ada")
    stored.rename_user("42", "Ada Lovelace")
    execute("What the engine guarantees", reader.names)
    assert capsys.readouterr().out == f"{NOW} user.renamed None\n"


@executes("Several servers")
def test_ceremonies_wait_in_redis_or_sealed(reader: Reader, postgres: str, redis_url: str) -> None:
    """Passkeys in PostgreSQL, ceremonies in Redis; then sealed states, which count once."""
    SQLRepository(postgres, create=True).close()
    replaced = {"postgresql://app@database/app": postgres, "redis://cache:6379": redis_url}
    names = execute("Several servers", reader.names, replaced)
    assert isinstance(names["redis"], RedisCeremonies)
    names["passkeys"].remove_all_passkeys(ADA.id)
    try:
        with_redis = PasskeyService(names["rp"], names["repository"], ceremonies=names["redis"])
        start = with_redis.start_registration(user_id=ADA.id, user_name=ADA.email)
        with_redis.finish_registration(reader.phone.create(start.to_dict()), user_id=ADA.id)

        begun = names["login_new"]("visitor")
        message = {"response": reader.phone.get(begun["options"]), "sealed_state": begun["sealed_state"]}
        assert names["login"]("visitor", message) == ADA.id
        with pytest.raises(PasskeyError) as again:
            names["login"]("visitor", message)
        assert again.value.code == Code.CHALLENGE_UNKNOWN
    finally:
        names["passkeys"].remove_user(ADA.id)


@executes("Your own ORM")
def test_the_contract_runs_over_a_repository(reader: Reader) -> None:
    """The class of the section collects as tests, whose rules hold for the repository given."""
    names = execute("Your own ORM", reader.names | {"MyRepository": MemoryRepository})
    tests = names["TestMyRepository"]()
    rules = [name for name in dir(tests) if name.startswith("test_")]
    assert len(rules) > 20
    for name in ("test_a_ceremony_is_taken_once", "test_no_more_than_the_limit"):
        assert name in rules
        getattr(tests, name)(MemoryRepository())


def test_the_length_of_the_orm_example_is_the_one_that_the_readme_tells() -> None:
    """As many lines as it says, code, comments and blank lines alike."""
    example = Path(__file__).parents[1] / "django_example"
    names = [f"{name}.py" for name in ("models", "passkeys", "devices", "actions", "repository")]
    lines = sum(len((example / name).read_text("utf-8").splitlines()) for name in names)
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    assert f"{lines} lines, models included" in text


@executes("Configuration file")
def test_the_configuration_file_makes_a_service(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the section is read by the code of the section, and somebody signs in with what it makes."""
    monkeypatch.setenv("PASSKEYCORE_SECRET", reader.names["secret"])
    Path("passkey_config.jsonc").write_text(section("Configuration file", "jsonc")[0].code, "utf-8")
    made: list[SQLRepository] = []

    def repository(*arguments: Any, **settings: Any) -> SQLRepository:
        made.append(SQLRepository(*arguments, **settings))
        return made[-1]

    names = execute("Configuration file", reader.names | {"SQLRepository": repository})
    login = Reader(VirtualClient(SoftwareAuthenticator("below"), "https://login.example.com"), reader.clock, names)
    login.add_passkey()
    assert login.sign_in() == ADA.id
    assert Path("passkeys.db").exists()
    made[0].close()


STEP_UP = "Recipes / Step-up: confirm something that matters"


@executes(STEP_UP)
def test_a_transfer_needs_a_step_up(reader: Reader) -> None:
    """Without, for another purpose, twice, or too late, it is refused."""
    reader.add_passkey()
    names = execute(STEP_UP, reader.names)

    def confirm() -> None:
        names["confirm"](reader.phone.get(names["confirm_new"]()))

    with pytest.raises(TokenError):
        names["transfer"]()
    confirm()
    names["transfer"]()
    with pytest.raises(TokenError):
        names["transfer"]()
    confirm()
    reader.clock.now += timedelta(minutes=2) + MOMENT
    with pytest.raises(TokenError) as late:
        names["transfer"]()
    assert late.value.code == Code.TOKEN_EXPIRED
    confirm()
    session, names["session"] = names["session"], {"proof": "forged"}
    with pytest.raises(TokenError):
        names["transfer"]()
    names["session"] = session
    names["transfer"]()


ACTIONS = "Recipes / Actions: decide, challenge, prove"


@executes(ACTIONS)
def test_a_transfer_takes_the_challenge_that_rules_decide(reader: Reader) -> None:
    """A small one takes none; a large one is refused until its challenge was met, and then done once."""
    reader.add_passkey()
    names = execute(ACTIONS, reader.names)
    assert names["transfer_new"](10)["state"] == "ALLOW"
    begun = names["transfer_new"](1000)
    assert begun["state"] == "CHALLENGE_REQUIRED"
    with pytest.raises(ActionError):
        names["transfer"](begun["token"])
    proof = names["challenge"](begun["token"], reader.phone.get(names["challenge_new"](begun["token"])))["token"]
    names["transfer"](proof)
    with pytest.raises(TokenError):
        names["transfer"](proof)


def test_the_file_of_rules_is_the_rules_beside_it(reader: Reader) -> None:
    """The TOML of the section makes what its Python makes."""
    reader.add_passkey()
    names = execute(ACTIONS, reader.names)
    Path("rules.toml").write_text(section(ACTIONS, "toml")[0].code, "utf-8")
    assert load_rules("rules.toml") == names["actions"].context.rules


NATIVE = "Recipes / Native apps"


@executes(NATIVE)
def test_files_for_apps_follow_from_the_configuration(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the configuration says of apps is what is served; a passkey that is here is not offered again."""
    monkeypatch.setenv("PASSKEYCORE_SECRET", reader.names["secret"])
    usual = section("Configuration file", "jsonc")[0].code
    Path("passkey_config.jsonc").write_text(usual.replace("{", '{ "ios_apps": ["ABCDE12345.com.example.app"],', 1))
    names = execute(NATIVE, reader.names)
    ((path, (content_type, content)),) = names["files"].items()
    assert (path, content_type) == ("/.well-known/apple-app-site-association", "application/json")
    assert b"ABCDE12345.com.example.app" in content
    assert names["offer"]([])
    reader.add_passkey()
    (passkey,) = names["passkeys"].list_passkeys(ADA.id)
    stored = b64url_encode(passkey.credential_id)
    assert not names["offer"]([stored])
    names["passkeys"].remove_passkey(ADA.id, stored)
    assert names["offer"]([stored])


WEBHOOKS = "Recipes / Webhooks"


@executes(WEBHOOKS)
def test_a_webhook_is_received(reader: Reader) -> None:
    """Signed with the new secret or with the old one; not changed on its way."""
    new, old = (webhook_secret(bytes([number]) * 32) for number in (1, 2))
    names = execute(WEBHOOKS, reader.names | {"new_secret": new, "old_secret": old, "datetime": datetime, "UTC": UTC})
    for secret in (new, old):
        headers = sign_webhook(WebhookSecrets([secret]), "evt1", b"{}", now=datetime.now(UTC))
        assert names["receive"](headers, b"{}") == b"{}"
        with pytest.raises(VerificationError):
            names["receive"](headers, b"[]")


DEVICES = "Recipes / Trusted devices"


@executes(DEVICES)
def test_a_device_confirms_an_order(reader: Reader) -> None:
    """The phone sees what it is about, and approves with the code that the browser shows; or it rejects."""
    repository, tokens = reader.names["repository"], reader.names["tokens"]
    devices = DeviceService(repository, domain="example.com", tokens=tokens, now=reader.clock)
    names = execute(DEVICES, reader.names | {"devices": devices})
    phone = SoftwareDevice("Ada's phone", domain="example.com")
    token = names["enrol_new"]()
    names["enrol"](token, phone.public_key, phone.enrol(token))
    issued_at = int(NOW.timestamp())

    def answer(decision: Literal["approve", "reject"]) -> str:
        shown = names["confirm_new"]()
        seen = names["waiting"](phone.public_key, phone.fetch(issued_at=issued_at), issued_at)
        assert seen["challengeId"] == shown["challengeId"]
        assert not names["confirmed"](shown["challengeId"])
        code = shown["verificationCode"] if decision == "approve" else None
        signature = phone.answer(
            seen["challengeId"],
            decision,
            purpose=seen["purpose"],
            content=seen["content"],
            verification_code=code,
        )
        names["answer"](seen["challengeId"], phone.public_key, signature, decision, code)
        return str(shown["challengeId"])

    assert names["confirmed"](answer("approve"))
    rejected = answer("reject")
    with pytest.raises(PasskeyError) as refused:
        names["confirmed"](rejected)
    assert refused.value.code == Code.CHALLENGE_REJECTED


MANAGE = "Recipes / Adding and removing passkeys"


@executes(MANAGE)
def test_passkeys_are_added_and_removed_after_a_step_up(reader: Reader) -> None:
    """Neither happens without it; what is left is what the client is told."""
    reader.add_passkey()
    names = execute(MANAGE, reader.names)
    passkeys = names["passkeys"]
    asked = passkeys.start_authentication(user_id=ADA.id, purpose="manage passkeys", binding="visitor").to_dict()
    (credential_id,) = [credential["id"] for credential in asked["allowCredentials"]]
    for act in (names["add_new"], lambda: names["remove"](credential_id)):
        with pytest.raises(TokenError):
            act()
    assert len(passkeys.list_passkeys(ADA.id)) == 1
    done = passkeys.finish_authentication(
        reader.phone.get(asked), user_id=ADA.id, purpose="manage passkeys", binding="visitor"
    )
    names["session"]["proof"] = done.step_up_token
    laptop = VirtualClient(SoftwareAuthenticator("laptop"), ADDRESS)
    added = passkeys.finish_registration(laptop.create(names["add_new"]()), user_id=ADA.id)
    assert added.name == "Laptop"
    (left,) = names["remove"](credential_id)["allAcceptedCredentialIds"]
    assert left != credential_id


SIGN_UP = "Recipes / A new account, with a passkey and no password"


@executes(SIGN_UP)
def test_an_account_begins_with_its_passkey(reader: Reader) -> None:
    """Nothing is stored before the finish; after it the new user signs in."""
    names = execute(SIGN_UP, reader.names)
    response = reader.phone.create(names["sign_up_new"]("grace@example.com"))
    user_id = names["sign_up"](response)
    assert names["passkeys"].find_user(user_id).name == "grace@example.com"
    assert reader.sign_in() == user_id


IMPORT = "Recipes / Moving from another library"


@executes(IMPORT)
def test_passkeys_of_another_library_sign_in(reader: Reader) -> None:
    """What was registered elsewhere signs its owner in here, and is imported once."""

    class Row(NamedTuple):
        credential_id: bytes
        public_key: bytes
        user_handle: bytes
        sign_count: int
        user_verified: bool
        user_id: str
        email: str
        nickname: str

    rp = reader.names["rp"]
    start = rp.registration_options(user_handle=ADA.handle, user_name=ADA.email, resident_key="required", now=NOW)
    old = rp.verify_registration(reader.phone.create(start.to_dict()), start.state, now=NOW).credential
    row = Row(old.credential_id, old.public_key, ADA.handle, 0, True, ADA.id, ADA.email, "Phone")
    names = execute(IMPORT, reader.names | {"old_rows": [row]})
    assert [passkey.name for passkey in names["passkeys"].list_passkeys(ADA.id)] == ["Phone"]
    assert reader.sign_in() == ADA.id
    with pytest.raises(CredentialExists):
        execute(IMPORT, names)


@executes("What is checked")
def test_a_trail_tells_what_was_checked(reader: Reader) -> None:
    """It has every check of the authentication."""
    rp = reader.names["rp"]
    begun = rp.registration_options(user_handle=ADA.handle, user_name=ADA.email)
    credential = rp.verify_registration(reader.phone.create(begun.to_dict()), begun.state).credential
    start = rp.authentication_options(allow=[credential])
    names: dict[str, Any] = {"rp": rp, "state": start.state, "credential": credential, "Trail": Trail}
    response = reader.phone.get(start.to_dict())
    executed = execute("What is checked", names | {"response": response})
    assert len(executed["trail"].to_list()) > 10


@executes("Attestation")
def test_a_policy_of_models_is_made_and_judges_again(reader: Reader) -> None:
    """Metadata and a status list are read, and a record without a proof of its model is refused today."""
    rp = reader.names["rp"]
    start = rp.registration_options(user_handle=ADA.handle, user_name=ADA.email)
    record = rp.verify_registration(reader.phone.create(start.to_dict()), start.state).credential
    signer = MetadataSigner("readme")
    payload = metadata_payload(metadata_entry(TEST_AAGUID, [signer.root]), no=1)
    names: dict[str, Any] = {
        "blob": signer.blob(payload),
        "anchors_of_the_test": [signer.root],
        "body": b'{"entries": {}}',
        "now": NOW,
        "record": record,
        "new_metadata": Metadata.from_blob(signer.blob(payload), now=NOW, anchors=[signer.root]),
    }
    replaced = {"from_blob(blob, now=now)": "from_blob(blob, now=now, anchors=anchors_of_the_test)"}
    with pytest.raises(UntrustedError) as caught:  # by the last line
        execute("Attestation", names, replaced)
    assert caught.value.code == Code.ATTESTATION_REQUIRED
    assert names["rp"].trust.android_status is not None


@executes("Testing your own server")
def test_the_kit_makes_good_and_broken_responses(reader: Reader) -> None:
    """The same options serve both ceremonies here, as only their common members are read."""
    execute("Testing your own server", {"options": options_for_both(reader.names["rp"])})


def options_for_both(rp: RelyingParty) -> dict[str, Any]:
    creation = rp.registration_options(user_handle=ADA.handle, user_name=ADA.email, resident_key="required").to_dict()
    return creation | rp.authentication_options().to_dict()
