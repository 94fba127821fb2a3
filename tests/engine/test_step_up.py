"""Step-up: a user who is signed in proves themselves again, for one purpose, with verification that can be trusted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore import RelyingParty, second_factor
from passkeycore.testing import VirtualClient
from passkeycore.tokens import Tokens

from .calls import calls_of
from .kit import EVE, NOW, SECRET, Colour, Engine, browser, engine, hooked, refused

TOKENS = Tokens([SECRET])
ISSUED = "passkeycore/step-up"
PAY = {"user_id": "ada", "purpose": "pay:42"}


@pytest.fixture
def device() -> VirtualClient:
    """Ada's browser."""
    return browser()


@pytest.fixture
def ada(colour: Colour, device: VirtualClient) -> Engine:
    """A service with tokens, where ada has a passkey."""
    passkeys = engine(colour, tokens=TOKENS)
    passkeys.register(client=device)
    return passkeys


def step_up(passkeys: Engine, device: VirtualClient, **start: Any) -> Any:
    """A finished step-up."""
    asked = PAY | start
    body = device.get(passkeys.start_authentication(**asked).to_dict())
    return passkeys.finish_authentication(body, **{n: v for n, v in asked.items() if n != "preset"})


def test_its_token_is_good_for_its_purpose(ada: Engine, device: VirtualClient) -> None:
    done = step_up(ada, device)
    assert done.purpose == "pay:42"
    assert done.step_up_token not in repr(done)
    ada.clock.move(minutes=5)
    assert ada.validate_step_up(done.step_up_token, **PAY) == NOW


@pytest.mark.parametrize("change", [{"user_id": "eve"}, {"purpose": "pay:43"}, {"purpose": ""}, {"binding": "x"}])
def test_and_for_nothing_else(ada: Engine, device: VirtualClient, change: Any) -> None:
    token = step_up(ada, device).step_up_token
    with refused("token_invalid") as caught:
        ada.validate_step_up(token, **(PAY | change))
    assert caught.value.public_message == "The link or code is not valid any more."


@pytest.mark.parametrize(("binding", "code"), [("session", None), (b"session", None), ("x", 1), (None, 1), ("", 1)])
def test_a_binding_is_repeated(ada: Engine, device: VirtualClient, binding: Any, code: Any) -> None:
    token = step_up(ada, device, binding="session").step_up_token
    if code is None:
        assert ada.validate_step_up(token, **PAY, binding=binding)
    else:
        with refused("token_invalid"):
            ada.validate_step_up(token, **PAY, binding=binding)


@pytest.mark.parametrize(
    ("max_age_s", "after", "good"), [(300, 300, 1), (300, 301, 0), (0, 0, 1), (10, 9, 1), (10, 11, 0)]
)
def test_it_ages(ada: Engine, device: VirtualClient, max_age_s: int, after: int, good: int) -> None:
    token = step_up(ada, device).step_up_token
    ada.clock.move(seconds=after)
    if good:
        assert ada.validate_step_up(token, **PAY, max_age_s=max_age_s) == NOW
    else:
        with refused("token_expired"):
            ada.validate_step_up(token, **PAY, max_age_s=max_age_s)


def test_nothing_is_good_for_more_than_an_hour(ada: Engine, device: VirtualClient) -> None:
    token = step_up(ada, device).step_up_token
    ada.clock.move(minutes=59, seconds=59)
    assert ada.validate_step_up(token, **PAY, max_age_s=10**6)
    ada.clock.move(seconds=1)
    with refused("token_expired"):
        ada.validate_step_up(token, **PAY, max_age_s=10**6)


def test_what_is_no_token_is_refused(ada: Engine, device: VirtualClient) -> None:
    token = step_up(ada, device).step_up_token
    foreign = Tokens([SECRET[::-1]]).issue(ISSUED, {}, expires_at=NOW + timedelta(hours=1), now=NOW)
    other = TOKENS.issue("enrolment", {"at": 1}, expires_at=NOW + timedelta(hours=1), now=NOW)
    for wrong in ("", "x", token[:-1], token[:-2] + "AA", foreign, other):
        with refused("token_invalid"):
            ada.validate_step_up(wrong, **PAY)


@pytest.mark.parametrize("name", ["for", "credential", "at"])
@pytest.mark.parametrize("value", [None, "1", 1.5, ["a"]])
def test_a_token_without_all_its_parts_is_none(ada: Engine, device: VirtualClient, name: str, value: Any) -> None:
    claims = TOKENS.read(ISSUED, step_up(ada, device).step_up_token, now=NOW)
    whole = TOKENS.issue(ISSUED, claims, expires_at=NOW + timedelta(hours=1), now=NOW)
    assert ada.validate_step_up(whole, **PAY) == NOW
    other = TOKENS.issue(ISSUED, claims | {name: value}, expires_at=NOW + timedelta(hours=1), now=NOW)
    with refused("token_invalid"):
        ada.validate_step_up(other, **PAY)


def test_a_token_of_the_applications_own_is_none_of_ours(ada: Engine, device: VirtualClient) -> None:
    claims = TOKENS.read(ISSUED, step_up(ada, device).step_up_token, now=NOW)
    own = TOKENS.issue("step-up", claims, expires_at=NOW + timedelta(hours=1), now=NOW)
    with refused("token_invalid"):
        ada.validate_step_up(own, **PAY)


def test_its_reader_learns_neither_user_nor_purpose(ada: Engine, device: VirtualClient) -> None:
    claims = TOKENS.read(ISSUED, step_up(ada, device, binding="session", account_stamp="7").step_up_token, now=NOW)
    assert claims.keys() == {"for", "credential", "at"}
    for word in ("ada", "pay", "session", _id(ada.list_passkeys("ada")[0])):
        assert word not in str(claims)


@pytest.mark.parametrize("text", ["é", "o'neil; --", 255 * "a"])
def test_purposes_and_users_are_any_text_that_can_be_stored(ada: Engine, device: VirtualClient, text: str) -> None:
    ada.register("odd", start={"user_id": text, "user_name": "odd"}, client=device)
    done = step_up(ada, device, user_id=text, purpose=text)
    assert ada.validate_step_up(done.step_up_token, user_id=text, purpose=text)
    with refused("token_invalid"):
        ada.validate_step_up(done.step_up_token, user_id=text, purpose=text + "x")


@pytest.mark.parametrize("name", ["purpose", "account_stamp"])
@pytest.mark.parametrize("text", ["\ud800", "a\0b", 1025 * "a"])
def test_what_cannot_be_kept_until_the_finish_is_refused_at_the_start(ada: Engine, name: str, text: str) -> None:
    for start in (ada.start_authentication, ada.start_registration):
        with refused("name_invalid", ada) as caught:
            start(user_id="ada", **{name: text})
        assert caught.value.path == name


def test_a_purpose_demands_verification_whatever_the_preset(ada: Engine, device: VirtualClient) -> None:
    start = ada.start_authentication(**PAY, preset=second_factor())
    assert start.to_dict()["userVerification"] == "required"
    assert step_up(ada, device, preset=second_factor()).step_up_token


def test_and_one_that_can_be_trusted(ada: Engine) -> None:
    device = browser("second")
    passkey = ada.register(client=device, start={"preset": second_factor()})
    start = ada.start_authentication(**PAY, preset=second_factor())
    options = start.to_dict() | {"allowCredentials": [{"type": "public-key", "id": _id(passkey)}]}
    with refused("user_verification_untrusted", ada):
        ada.finish_authentication(device.get(options), **PAY)
    ada.confirm_user_verification("ada", passkey.credential_id)
    start = ada.start_authentication(**PAY, preset=second_factor())
    options = start.to_dict() | {"allowCredentials": [{"type": "public-key", "id": _id(passkey)}]}
    assert ada.finish_authentication(device.get(options), **PAY).step_up_token


def test_there_is_no_token_without_a_purpose(ada: Engine, device: VirtualClient) -> None:
    assert ada.finish_authentication(device.get(ada.start_authentication().to_dict())).step_up_token is None


def test_nor_without_tokens(passkeys: Engine, device: VirtualClient) -> None:
    passkeys.register(client=device)
    assert step_up(passkeys, device).step_up_token is None
    with refused("configuration_invalid"):
        passkeys.validate_step_up("x", **PAY)


def test_another_user_has_tokens_of_their_own(ada: Engine) -> None:
    other = browser("eve")
    ada.register(client=other, start=EVE)
    token = step_up(ada, other, user_id="eve").step_up_token
    with refused("token_invalid"):
        ada.validate_step_up(token, **PAY)
    assert ada.validate_step_up(token, **(PAY | {"user_id": "eve"}))


class TestElsewhere:
    """Services that share the secret of their tokens do not share what the tokens prove."""

    @pytest.mark.parametrize(("rp_id", "realm"), [("example.net", ""), ("example.org", "b")])
    def test_another_relying_party_and_another_realm_refuse_it(
        self, ada: Engine, device: VirtualClient, rp_id: str, realm: str
    ) -> None:
        token = step_up(ada, device).step_up_token
        rp = RelyingParty(id=rp_id, name="Elsewhere", origins=[f"https://{rp_id}"])
        memory = ada.memory if realm == "" else None
        other = engine(ada.colour, rp=rp, realm=realm, memory=memory, tokens=TOKENS)
        if realm:  # the same user with the same user handle and passkey: only the realm differs
            other.get_or_create_user("ada", "ada", user_handle=ada.find_user("ada").user_handle)
            other.import_passkey(user_id="ada", user_name="ada", credential=ada.list_passkeys("ada")[0].credential)
        with refused("token_invalid"):
            other.validate_step_up(token, **PAY)
        assert ada.validate_step_up(token, **PAY)

    def test_another_process_with_the_secret_accepts_it(self, ada: Engine, device: VirtualClient) -> None:
        token = step_up(ada, device).step_up_token
        assert engine(ada.colour, memory=ada.memory, tokens=TOKENS, seed="two").validate_step_up(token, **PAY)


class TestSince:
    """What happened to the user since the step-up."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda e: e.disable_user("ada"),
            lambda e: e.remove_user("ada"),
            lambda e: (e.register("another"), e.remove_passkey("ada", e.list_passkeys("ada")[0].credential_id)),
            lambda e: e.remove_all_passkeys("ada"),
            lambda e: _recreated(e),
        ],
    )
    def test_it_says_nothing_about_who_is_not_the_same_any_more(
        self, ada: Engine, device: VirtualClient, change: Any
    ) -> None:
        token = step_up(ada, device).step_up_token
        change(ada)
        with refused("token_invalid", ada):
            ada.validate_step_up(token, **PAY)

    @pytest.mark.parametrize("stamp", [None, "", "8"])
    def test_another_account_stamp_ends_it(self, ada: Engine, device: VirtualClient, stamp: str | None) -> None:
        token = step_up(ada, device, account_stamp="7").step_up_token
        with refused("token_invalid"):
            ada.validate_step_up(token, **PAY, account_stamp=stamp)
        assert ada.validate_step_up(token, **PAY, account_stamp="7") == NOW

    def test_an_empty_stamp_is_not_none(self, ada: Engine, device: VirtualClient) -> None:
        token = step_up(ada, device).step_up_token
        with refused("token_invalid"):
            ada.validate_step_up(token, **PAY, account_stamp="")

    @pytest.mark.parametrize(
        "change",
        [
            lambda e: e.rename_user("ada", "another", "Another"),
            lambda e: e.rename_passkey("ada", e.list_passkeys("ada")[0].credential_id, "another"),
            lambda e: (e.disable_user("ada"), e.enable_user("ada")),
            lambda e: e.register("another"),
        ],
    )
    def test_other_changes_leave_it_good(self, ada: Engine, device: VirtualClient, change: Any) -> None:
        token = step_up(ada, device).step_up_token
        change(ada)
        assert ada.validate_step_up(token, **PAY) == NOW


def _recreated(passkeys: Engine) -> None:
    """A user of the same name with the same passkey, but another handle: somebody else."""
    record = passkeys.list_passkeys("ada")[0].credential
    passkeys.remove_user("ada")
    passkeys.import_passkey(user_id="ada", user_name="ada", credential=replace(record, user_handle=b"another"))


class TestBeforeTheWrite:
    """Nothing that can fail comes after the passkey's record was updated."""

    @pytest.mark.parametrize("text", [1024 * "\U0001f511", 1024 * "'"])
    def test_the_longest_texts_fit_into_a_token(self, ada: Engine, device: VirtualClient, text: str) -> None:
        done = step_up(ada, device, purpose=text, account_stamp=text, binding=text)
        wanted = PAY | {"purpose": text, "account_stamp": text, "binding": text}
        assert ada.validate_step_up(done.step_up_token, **wanted) == NOW
        assert ada.list_passkeys("ada") == (done.passkey,)

    def test_the_token_is_made_first(self, colour: Colour, device: VirtualClient) -> None:
        before: dict[str, Callable[..., object]] = {}
        passkeys = hooked(colour, before, tokens=TOKENS)
        passkeys.register(client=device)
        made: list[int] = []
        with calls_of("issue", "tokens.py") as issued:
            before["advance_passkey"] = lambda *_: made.append(issued.number)
            assert step_up(passkeys, device).step_up_token
        assert (made, issued.number) == ([1], 1)


class TestRecipes:
    """Removing the last passkey and enrolling another are the application's to guard; this is how."""

    def remove(self, passkeys: Engine, credential_id: bytes, token: str | None) -> None:
        passkeys.validate_step_up(token or "", user_id="ada", purpose="passkeys:remove", max_age_s=60)
        passkeys.remove_passkey("ada", credential_id)

    def test_removing_a_passkey_can_demand_a_fresh_step_up(self, ada: Engine, device: VirtualClient) -> None:
        (only,) = ada.list_passkeys("ada")
        elsewhere = step_up(ada, device, purpose="passkeys:add").step_up_token
        for token in (None, elsewhere):
            with refused("token_invalid", ada):
                self.remove(ada, only.credential_id, token)
        token = step_up(ada, device, purpose="passkeys:remove").step_up_token
        ada.clock.move(seconds=61)
        with refused("token_expired", ada):
            self.remove(ada, only.credential_id, token)
        self.remove(ada, only.credential_id, step_up(ada, device, purpose="passkeys:remove").step_up_token)
        assert ada.list_passkeys("ada") == ()


def _id(passkey: Any) -> str:
    from passkeycore.testing import b64url_encode

    return b64url_encode(passkey.credential_id)
