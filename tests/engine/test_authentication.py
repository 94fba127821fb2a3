"""Signing in: with and without a known user, by autofill, late, out of order, and with somebody else's passkey."""

import json
from contextlib import nullcontext
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore import CredentialNotFound, VerificationError, second_factor, sole_factor
from passkeycore.testing import SoftwareKey, Tamper, VirtualClient, b64url_decode, b64url_encode

from .kit import ADA, EVE, NOW, RP, Colour, Engine, browser, challenge_of, engine, posted, refused, user_of

BAD_SIGNATURE = Tamper(sign=lambda key, message: SoftwareKey.derive("another", key.algorithm).sign(message))
UNVERIFIED = Tamper(flags=lambda flags: flags & ~4)
SECOND = second_factor()


@pytest.fixture
def device() -> VirtualClient:
    """Ada's browser, whose authenticator counts."""
    return browser("ada", sign_count_step=1)


@pytest.fixture
def ada(passkeys: Engine, device: VirtualClient) -> Engine:
    """A service where ada has a passkey."""
    passkeys.register(client=device)
    return passkeys


class TestDiscoverable:
    def test_whoever_has_a_passkey_signs_in(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication()
        assert "allowCredentials" not in start.to_dict() or start.to_dict()["allowCredentials"] == []
        assert start.expires_at == NOW + timedelta(minutes=5)
        ada.clock.move(seconds=3)
        done = ada.finish_authentication(device.get(start.to_json()))
        assert (done.user_id, done.purpose, done.step_up_token) == ("ada", None, None)
        assert done.user == ada.find_user("ada")
        assert done.user_verified
        assert done.user_verification_trusted
        assert done.authenticated_at == NOW + timedelta(seconds=3)
        assert done.previous.last_used_at is None
        assert done.passkey.last_used_at == done.authenticated_at
        assert done.passkey.credential.sign_count == 1
        assert ada.list_passkeys("ada") == (done.passkey,)

    def test_the_user_is_the_records_and_not_the_responses(self, ada: Engine, device: VirtualClient) -> None:
        ada.get_or_create_user("eve", "eve")
        victim = b64url_encode(user_of(ada.memory, "eve").user_handle)
        start = ada.start_authentication()
        claim = Tamper(response=lambda body: body | {"response": body["response"] | {"userHandle": victim}})
        with refused("user_handle_mismatch", ada):
            ada.finish_authentication(device.get(start.to_dict(), tamper=claim))

    def test_an_unknown_passkey_is_signalled(self, ada: Engine, device: VirtualClient) -> None:
        ada.remove_passkey("ada", next(iter(device.authenticator.credentials)))
        body = device.get(ada.start_authentication().to_dict())
        with refused("no_credential", ada) as caught:
            ada.finish_authentication(body)
        assert isinstance(caught.value, CredentialNotFound)
        assert caught.value.signal == {"rpId": "example.org", "credentialId": body["id"]}
        assert ada.under_way() == 0

    @pytest.mark.parametrize(
        ("tamper", "code"),
        [
            (Tamper(rp_id_hash=lambda _: bytes(32)), "rp_id_mismatch"),
            (Tamper(client_data=lambda data: data | {"origin": "https://evil.example"}), "origin_not_allowed"),
            (UNVERIFIED, "user_verification_required"),
        ],
    )
    def test_only_a_response_that_is_right_otherwise_is(
        self, ada: Engine, device: VirtualClient, tamper: Tamper, code: str
    ) -> None:
        ada.remove_all_passkeys("ada")
        start = ada.start_authentication()
        with refused(code, ada):
            ada.finish_authentication(device.get(start.to_dict(), tamper=tamper))

    def test_a_known_user_need_not_be_named_to_the_client(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication(user_id="ada", discoverable=True)
        assert not start.to_dict().get("allowCredentials")
        assert ada.finish_authentication(device.get(start.to_dict()), user_id="ada").user_id == "ada"

    def test_and_nobody_else_answers_then(self, ada: Engine, device: VirtualClient) -> None:
        ada.get_or_create_user("eve", "eve")
        start = ada.start_authentication(user_id="eve", discoverable=True)
        with refused("signature_invalid", ada) as caught:
            ada.finish_authentication(device.get(start.to_dict()), user_id="eve")
        assert not hasattr(caught.value, "signal")

    def test_its_start_tells_nothing_of_who_exists(self, ada: Engine) -> None:
        for user_id in ("ada", "nobody"):
            start = ada.start_authentication(user_id=user_id, discoverable=True)
            assert sorted(start.to_dict()) == sorted(ada.start_authentication().to_dict())


class TestAutofill:
    def test_it_waits_for_half_an_hour(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication(mediation="conditional")
        assert start.options.mediation == "conditional"
        ada.clock.move(minutes=30)
        assert ada.finish_authentication(device.get(start.to_dict(), mediation="conditional")).user_id == "ada"

    def test_then_it_is_told_to_begin_again(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication(mediation="conditional")
        ada.clock.move(minutes=30, seconds=1)
        with refused("challenge_expired", ada):
            ada.finish_authentication(device.get(start.to_dict(), mediation="conditional"))


class TestConditionalCreate:
    @pytest.mark.parametrize("synced", [True, False])
    def test_such_a_passkey_signs_in_once_its_verification_can_be_trusted(self, passkeys: Engine, synced: bool) -> None:
        device = browser(backup_eligible=synced, backup_state=synced)
        passkey = passkeys.register(client=device, start={"mediation": "conditional"})
        if not synced:
            start = passkeys.start_authentication()
            with refused("user_verification_untrusted", passkeys):
                passkeys.finish_authentication(device.get(start.to_dict()))
            passkeys.confirm_user_verification("ada", passkey.credential_id)
        start = passkeys.start_authentication()
        assert passkeys.finish_authentication(device.get(start.to_dict())).user_verification_trusted


class TestKnownUser:
    def test_their_passkeys_are_named(self, ada: Engine, device: VirtualClient) -> None:
        other = ada.register("other")
        ada.register("eve", start=EVE)
        start = ada.start_authentication(user_id="ada")
        named = [b64url_decode(each["id"]) for each in start.to_dict()["allowCredentials"]]
        assert named == [*device.authenticator.credentials, other.credential_id]
        assert ada.finish_authentication(device.get(start.to_dict())).user_id == "ada"

    @pytest.mark.parametrize("user_id", [None, "ada"])
    def test_who_signs_in_by_passkey_alone_need_not_be_repeated(
        self, ada: Engine, device: VirtualClient, user_id: Any
    ) -> None:
        start = ada.start_authentication(user_id="ada")
        assert ada.finish_authentication(device.get(start.to_dict()), user_id=user_id).user_id == "ada"

    @pytest.mark.parametrize("user_id", ["eve", ""])
    def test_but_nobody_else_may_be_given(self, ada: Engine, device: VirtualClient, user_id: str) -> None:
        for start in (ada.start_authentication(user_id="ada"), ada.start_authentication()):
            with refused("challenge_unknown", ada):
                ada.finish_authentication(device.get(start.to_dict()), user_id=user_id)

    @pytest.mark.parametrize("user_id", [None, "eve"])
    @pytest.mark.parametrize("start", [{"preset": SECOND}, {"purpose": "pay"}])
    def test_a_second_factor_and_a_step_up_repeat_the_user(
        self, ada: Engine, device: VirtualClient, user_id: Any, start: Any
    ) -> None:
        begun = ada.start_authentication(user_id="ada", **start)
        with refused("challenge_unknown", ada):
            ada.finish_authentication(device.get(begun.to_dict()), user_id=user_id, purpose=start.get("purpose"))
        assert ada.under_way() == 0

    def test_somebody_elses_passkey_does_not_answer(self, ada: Engine) -> None:
        device = browser("eve")
        eve = ada.register(client=device, start=EVE)
        start = ada.start_authentication(user_id="ada")
        options = start.to_dict() | {"allowCredentials": []}
        with refused("credential_not_allowed", ada):
            ada.finish_authentication(device.get(options, credential_id=eve.credential_id))

    def test_nobody_has_no_start_without_decoys(self, ada: Engine) -> None:
        ada.get_or_create_user("bare", "bare")
        ada.register("off", start={"user_id": "off", "user_name": "off"})
        ada.disable_user("off")
        ada.register("second", start={"user_id": "second", "user_name": "second", "preset": SECOND})
        told = []
        for user_id in ("nobody", "bare", "off", "second"):
            with refused("no_credential", ada) as caught:
                ada.start_authentication(user_id=user_id)
            told.append(caught.value.to_dict())
            assert caught.value.signal is None  # type: ignore[attr-defined]
        assert all(each == told[0] for each in told)

    def test_a_passkey_of_another_relying_party_is_not_named(self, ada: Engine) -> None:
        owner = ada.memory._users["", "ada"]
        (id, passkey), *_ = owner.passkeys.items()
        owner.passkeys[id] = replace(passkey, credential=replace(passkey.credential, rp_id="elsewhere.example"))
        with refused("no_credential"):
            ada.start_authentication(user_id="ada")


class TestWhatTheStartWasGiven:
    @pytest.mark.parametrize("name", ["binding", "purpose", "account_stamp"])
    @pytest.mark.parametrize(("begun", "finished"), [("one", "two"), ("one", None), (None, "one"), ("one", "")])
    def test_another_is_a_foreign_ceremony(
        self, ada: Engine, device: VirtualClient, name: str, begun: Any, finished: Any
    ) -> None:
        start = ada.start_authentication(user_id="ada", **{name: begun})
        body = device.get(start.to_dict())
        with refused("challenge_unknown", ada):
            ada.finish_authentication(body, user_id="ada", **{name: finished})
        with refused("challenge_unknown", ada):
            ada.finish_authentication(body, user_id="ada", **{name: begun})

    @pytest.mark.parametrize("name", ["binding", "purpose", "account_stamp"])
    def test_the_same_finishes(self, ada: Engine, device: VirtualClient, name: str) -> None:
        start = ada.start_authentication(user_id="ada", **{name: "one"})
        assert ada.finish_authentication(device.get(start.to_dict()), user_id="ada", **{name: "one"})

    def test_a_registration_is_not_finished_as_an_authentication(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_registration(**ADA)
        options = ada.start_authentication().to_dict() | {"challenge": start.to_dict()["challenge"]}
        with refused("challenge_unknown", ada):
            ada.finish_authentication(device.get(options), user_id="ada")
        assert ada.memory.take_ceremony("", challenge_of(start)) is None


class TestPresets:
    def test_a_second_factor_never_signs_in_alone(self, passkeys: Engine) -> None:
        device = browser()
        passkeys.register(client=device, start={"preset": SECOND})
        next(iter(device.authenticator.credentials.values())).discoverable = True
        start = passkeys.start_authentication()
        with refused("credential_not_allowed", passkeys):
            passkeys.finish_authentication(device.get(start.to_dict()))

    @pytest.mark.parametrize("start", [{}, {"discoverable": True}, {"user_id": "ada", "discoverable": True}])
    @pytest.mark.parametrize("of_the_service", [False, True])
    def test_nor_is_it_asked_for_where_nobody_is_named(self, colour: Colour, start: Any, of_the_service: bool) -> None:
        passkeys = engine(colour, preset=SECOND) if of_the_service else engine(colour)
        passkeys.register(start={"preset": SECOND})
        with refused("configuration_invalid", passkeys) as caught:
            passkeys.start_authentication(**start, **({} if of_the_service else {"preset": SECOND}))
        assert caught.value.path == ("discoverable" if "user_id" in start else "user_id")
        assert passkeys.under_way() == 0

    @pytest.mark.parametrize("user_id", [None, "eve"])
    def test_a_service_for_sole_factors_does_not_finish_one_without_the_user_who_gave_the_first(
        self, colour: Colour, user_id: str | None
    ) -> None:
        second = engine(colour, preset=SECOND)
        device = browser()
        passkey = second.register(client=device)
        sole = engine(colour, memory=second.memory, seed="sole")
        for finisher in (sole, second):
            start = second.start_authentication(user_id="ada")
            body = device.get(start.to_dict(), credential_id=passkey.credential_id)
            with refused("challenge_unknown", second):
                finisher.finish_authentication(body, user_id=user_id)
        start = second.start_authentication(user_id="ada")
        assert sole.finish_authentication(device.get(start.to_dict()), user_id="ada").user_id == "ada"

    def test_it_answers_beside_a_password(self, passkeys: Engine) -> None:
        device = browser()
        passkeys.register(client=device, start={"preset": SECOND})
        start = passkeys.start_authentication(user_id="ada", preset=SECOND)
        assert start.to_dict()["userVerification"] == "discouraged"
        done = passkeys.finish_authentication(device.get(start.to_dict()), user_id="ada")
        assert not done.user_verified
        assert not done.user_verification_trusted

    def test_a_sole_factor_may_be_a_second(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication(user_id="ada", preset=SECOND)
        assert ada.finish_authentication(device.get(start.to_dict()), user_id="ada")

    def test_the_services_preset_counts_where_the_start_has_none(self, colour: Colour) -> None:
        passkeys = engine(colour, preset=SECOND)
        device = browser()
        passkeys.register(client=device)
        start = passkeys.start_authentication(user_id="ada")
        assert start.to_dict()["userVerification"] == "discouraged"
        with refused("no_credential"):
            passkeys.start_authentication(user_id="ada", preset=sole_factor())


class TestOptions:
    def test_they_pass_through(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication(
            user_id="ada", hints=["hybrid"], extensions={"appid": "https://example.org/appid.json"}, timeout_ms=9000
        )
        options = start.to_dict()
        assert (options["hints"], options["timeout"]) == (["hybrid"], 9000)
        assert options["extensions"]["appid"] == "https://example.org/appid.json"
        assert start.expires_at == NOW + timedelta(seconds=9)
        assert ada.finish_authentication(device.get(options)).verified.client_extensions.appid is False

    def test_an_extra_origin_answers_one_ceremony(self, ada: Engine, device: VirtualClient) -> None:
        elsewhere = VirtualClient(device.authenticator, "https://login.example.org")
        start = ada.start_authentication(extra_origin="https://login.example.org")
        assert ada.finish_authentication(elsewhere.get(start.to_dict()))
        start = ada.start_authentication()
        with refused("origin_not_allowed", ada):
            ada.finish_authentication(elsewhere.get(start.to_dict()))
        with refused("configuration_invalid"):
            ada.start_authentication(extra_origin="https://example.com")

    def test_related_origins_stay_allowed_beside_an_extra_one(self, colour: Colour) -> None:
        passkeys = engine(colour, rp=replace(RP, related_origins=("https://example.net",)))
        device = browser()
        passkeys.register(client=device)
        start = passkeys.start_authentication(extra_origin="https://login.example.org")
        related = {"example.org": ["https://example.net"]}
        other = VirtualClient(device.authenticator, "https://example.net", related_origins=related)
        assert passkeys.finish_authentication(other.get(start.to_dict()))


class TestOnce:
    @pytest.mark.parametrize("body", [dict, posted, json.dumps, MappingProxyType])
    def test_the_first_finish_spends_the_challenge(self, ada: Engine, device: VirtualClient, body: Any) -> None:
        response = device.get(ada.start_authentication().to_dict())
        assert ada.finish_authentication(body(response))
        with refused("challenge_unknown", ada):
            ada.finish_authentication(body(response))

    @pytest.mark.parametrize(
        ("tamper", "code"),
        [
            (BAD_SIGNATURE, "signature_invalid"),
            (UNVERIFIED, "user_verification_required"),
            (Tamper(client_data=lambda data: data | {"type": "webauthn.create"}), "type_mismatch"),
            (Tamper(client_data_json=lambda raw: raw[:-1]), "json_invalid"),
            (Tamper(authenticator_data=lambda raw: raw[:-1]), "authenticator_data_invalid"),
            (Tamper(response=lambda body: body | {"rawId": "="}), "base64url_invalid"),
            (Tamper(response=lambda body: {"response": body["response"]}), "json_invalid"),
            (Tamper(sign_count=lambda _: 0), "sign_count_regressed"),
        ],
    )
    def test_a_wrong_one_does_too_and_stores_nothing(
        self, ada: Engine, device: VirtualClient, tamper: Tamper, code: str
    ) -> None:
        ada.finish_authentication(device.get(ada.start_authentication().to_dict()))
        start = ada.start_authentication()
        with refused(code, ada):
            ada.finish_authentication(device.get(start.to_dict(), tamper=tamper))
        with refused("challenge_unknown", ada):
            ada.finish_authentication(device.get(start.to_dict()))

    def test_one_challenge_does_not_spend_another(self, ada: Engine, device: VirtualClient) -> None:
        starts = [ada.start_authentication() for _ in range(2)]
        for start in reversed(starts):
            assert ada.finish_authentication(device.get(start.to_dict()))


class TestTime:
    @pytest.mark.parametrize(
        ("tamper", "finish", "code"),
        [
            (Tamper(), {}, "challenge_expired"),
            (BAD_SIGNATURE, {}, "signature_invalid"),
            (UNVERIFIED, {}, "user_verification_required"),
            (Tamper(), {"binding": "another"}, "challenge_unknown"),
            (Tamper(sign_count=lambda _: 0), {}, "sign_count_regressed"),
        ],
    )
    def test_lateness_is_told_only_to_what_is_right_otherwise(
        self, ada: Engine, device: VirtualClient, tamper: Tamper, finish: Any, code: str
    ) -> None:
        ada.finish_authentication(device.get(ada.start_authentication().to_dict()))
        start = ada.start_authentication()
        ada.clock.move(minutes=5, microseconds=1)
        with refused(code, ada):
            ada.finish_authentication(device.get(start.to_dict(), tamper=tamper), **finish)

    def test_the_last_moment_is_in_time(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication()
        ada.clock.move(minutes=5)
        assert ada.finish_authentication(device.get(start.to_dict()))

    @pytest.mark.parametrize(("back", "code"), [(60, None), (60.001, "challenge_expired"), (3600, "challenge_expired")])
    def test_a_clock_may_move_back_by_a_minute(
        self, ada: Engine, device: VirtualClient, back: float, code: str | None
    ) -> None:
        start = ada.start_authentication()
        ada.clock.move(seconds=-back)
        if code is None:
            assert ada.finish_authentication(device.get(start.to_dict()))
        else:
            with refused(code, ada):
                ada.finish_authentication(device.get(start.to_dict()))


class TestMeanwhile:
    @pytest.mark.parametrize("known", [False, True])
    @pytest.mark.parametrize(
        ("change", "codes"),
        [
            (lambda e: e.disable_user("ada"), ("user_disabled", "user_disabled")),
            (lambda e: e.remove_user("ada"), ("no_credential", "signature_invalid")),
            (lambda e: e.remove_all_passkeys("ada"), ("no_credential", "signature_invalid")),
            (
                lambda e: (e.remove_user("ada"), e.get_or_create_user("ada", "ada")),
                ("no_credential", "signature_invalid"),
            ),
        ],
    )
    def test_what_is_gone_does_not_sign_in(
        self, ada: Engine, device: VirtualClient, known: bool, change: Any, codes: Any
    ) -> None:
        start = ada.start_authentication(user_id="ada" if known else None)
        change(ada)
        with refused(codes[known], ada):
            ada.finish_authentication(device.get(start.to_dict()))
        assert ada.under_way() == 0

    def test_a_user_who_came_back_is_another(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication(user_id="ada")
        record = ada.list_passkeys("ada")[0].credential
        ada.remove_user("ada")
        ada.import_passkey(user_id="ada", user_name="ada", credential=replace(record, user_handle=b"new"))
        with refused("credential_not_allowed", ada):
            ada.finish_authentication(device.get(start.to_dict()))

    def test_an_enabled_user_signs_in_again(self, ada: Engine, device: VirtualClient) -> None:
        ada.disable_user("ada")
        start = ada.start_authentication()
        ada.enable_user("ada")
        assert ada.finish_authentication(device.get(start.to_dict()))

    def test_a_disabled_user_learns_it_only_with_a_good_signature(self, ada: Engine, device: VirtualClient) -> None:
        ada.disable_user("ada")
        for tamper, code in ((BAD_SIGNATURE, "signature_invalid"), (Tamper(), "user_disabled")):
            start = ada.start_authentication()
            with refused(code, ada):
                ada.finish_authentication(device.get(start.to_dict(), tamper=tamper))


class TestCounter:
    def test_only_a_success_writes_it(self, ada: Engine, device: VirtualClient) -> None:
        for tamper, count in ((UNVERIFIED, 0), (Tamper(), 2), (BAD_SIGNATURE, 2), (Tamper(), 4)):
            start = ada.start_authentication()
            with nullcontext() if tamper == Tamper() else pytest.raises(VerificationError):
                ada.finish_authentication(device.get(start.to_dict(), tamper=tamper))
            assert ada.list_passkeys("ada")[0].credential.sign_count == count

    def test_a_late_response_does_not(self, ada: Engine, device: VirtualClient) -> None:
        start = ada.start_authentication()
        ada.clock.move(hours=1)
        with refused("challenge_expired", ada):
            ada.finish_authentication(device.get(start.to_dict()))


def test_two_users_on_one_authenticator_are_told_apart(passkeys: Engine) -> None:
    device = browser()
    for who in (ADA, EVE):
        passkeys.register(client=device, start=who)
    for (id, credential), user_id in zip(device.authenticator.credentials.items(), ("ada", "eve"), strict=True):
        start = passkeys.start_authentication()
        done = passkeys.finish_authentication(device.get(start.to_dict(), credential_id=id))
        assert done.user_id == user_id
        assert done.user.user_handle == credential.user_handle


def test_no_repr_shows_a_challenge(ada: Engine, device: VirtualClient) -> None:
    registering, start = ada.start_registration(**ADA, binding="session"), ada.start_authentication(binding="session")
    done = ada.finish_authentication(device.get(start.to_dict()), binding="session")
    for value in (registering, start, done):
        for secret in (challenge_of(registering), challenge_of(start)):
            assert b64url_encode(secret) not in repr(value)
            assert repr(secret)[2:-1] not in repr(value)
    assert "ada" in repr(registering)
    assert "ada" in repr(done)
