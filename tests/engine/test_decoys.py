"""Nobody learns from a start, or from what became of a finish, who has an account and who has passkeys."""

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from passkeycore import PasskeyError, second_factor
from passkeycore.engine.passkeys.decoys import decoys
from passkeycore.testing import SoftwareKey, Tamper, VirtualClient, b64url_decode, b64url_encode

from .calls import calls_of
from .kit import SECRET, Colour, Engine, browser, engine, hooked, refused

KEY = SoftwareKey.derive("anybody", -7)
NAMES = [f"user {number}" for number in range(400)]


class TestShape:
    def test_they_are_the_same_each_time(self) -> None:
        assert len({decoys(SECRET, "", "ada") for _ in range(3)}) == 1

    @pytest.mark.parametrize("other", [(SECRET[::-1], "", "ada"), (SECRET, "b", "ada"), (SECRET, "", "eve")])
    def test_another_secret_realm_or_user_has_others(self, other: Any) -> None:
        handle, credentials = decoys(SECRET, "", "ada")
        other_handle, others = decoys(*other)
        assert handle != other_handle
        assert not {each.id for each in credentials} & {each.id for each in others}

    def test_realm_and_user_do_not_run_together(self) -> None:
        assert decoys(SECRET, "a", "bc") != decoys(SECRET, "ab", "c")

    def test_a_user_is_any_text(self) -> None:
        assert decoys(SECRET, "", "\ud800")[1] != decoys(SECRET, "", "\0é\ud800")[1]

    def test_they_look_like_real_ones(self) -> None:
        drawn = [decoys(SECRET, "", name) for name in NAMES]
        assert {len(handle) for handle, _ in drawn} == {32}
        counts = Counter(len(credentials) for _, credentials in drawn)
        assert set(counts) == {1, 2, 3, 4, 5}
        assert counts[1] > counts[2] > counts[3] > max(counts[4], counts[5])
        every = [each for _, credentials in drawn for each in credentials]
        assert len({each.id for each in every}) == len(every)
        assert {len(each.id) for each in every} == {16, 20, 32, 48, 64}
        assert {each.transports for each in every} == {
            ("hybrid", "internal"),
            ("internal",),
            ("nfc", "usb"),
            ("usb",),
            (),
        }


@pytest.fixture
def devices() -> dict[str, VirtualClient]:
    """Authenticators of users whose ids are as long as those of decoys."""
    return {name: browser(name, transports=("hybrid", "internal")) for name in ("ada", "off")}


@pytest.fixture
def passkeys(colour: Colour, devices: dict[str, VirtualClient]) -> Engine:
    """A service with decoys; ada has a passkey, off has one but is disabled, bare has none, nobody does not exist."""
    made = engine(colour, decoy_secret=SECRET)
    for name, device in devices.items():
        made.register(client=device, start={"user_id": name, "user_name": name})
    made.disable_user("off")
    made.get_or_create_user("bare", "bare")
    return made


EVERYBODY = ("ada", "off", "bare", "nobody")


class TestStart:
    def test_it_has_the_same_members_for_everybody(self, passkeys: Engine) -> None:
        shapes = set()
        for user_id in EVERYBODY:
            options = passkeys.start_authentication(user_id=user_id).to_dict()
            for each in options["allowCredentials"]:
                assert sorted(each) == ["id", "transports", "type"]
            shapes.add(json.dumps(options | {"challenge": "", "allowCredentials": ""}, sort_keys=True))
        assert len(shapes) == 1

    @pytest.mark.parametrize("user_id", EVERYBODY)
    def test_it_names_the_same_credentials_each_time(self, passkeys: Engine, user_id: str) -> None:
        first, second = (passkeys.start_authentication(user_id=user_id).to_dict() for _ in range(2))
        assert first["allowCredentials"] == second["allowCredentials"]
        assert first["challenge"] != second["challenge"]

    def test_only_real_ones_are_real(self, passkeys: Engine, devices: dict[str, VirtualClient]) -> None:
        real = {b64url_encode(id) for device in devices.values() for id in device.authenticator.credentials}
        named = {
            user_id: {
                each["id"] for each in passkeys.start_authentication(user_id=user_id).to_dict()["allowCredentials"]
            }
            for user_id in EVERYBODY
        }
        assert named["ada"] < real
        assert not any(named[user_id] & real for user_id in EVERYBODY[1:])

    def test_a_passkey_that_may_not_answer_is_as_good_as_none(self, passkeys: Engine) -> None:
        passkey = passkeys.register("second", start={"user_id": "b", "user_name": "b", "preset": second_factor()})
        named = passkeys.start_authentication(user_id="b").to_dict()["allowCredentials"]
        assert b64url_encode(passkey.credential_id) not in [each["id"] for each in named]
        beside = passkeys.start_authentication(user_id="b", preset=second_factor()).to_dict()["allowCredentials"]
        assert [b64url_decode(each["id"]) for each in beside] == [passkey.credential_id]

    @pytest.mark.parametrize("user_id", EVERYBODY)
    def test_who_may_learn_who_has_passkeys_asks_without(self, passkeys: Engine, user_id: str) -> None:
        if user_id == "ada":
            assert passkeys.start_authentication(user_id=user_id, decoys=False)
            return
        with refused("no_credential", passkeys):
            passkeys.start_authentication(user_id=user_id, decoys=False)

    def test_decoys_are_made_for_everybody(self, passkeys: Engine) -> None:
        """Counted by the interpreter: the work that they are does not tell for whom they were needed."""
        for user_id in EVERYBODY:
            with calls_of("decoys", "decoys.py") as counted:
                passkeys.start_authentication(user_id=user_id)
            assert counted.number == 1, user_id

    def test_it_asks_the_repository_as_often_for_everybody(self, colour: Colour) -> None:
        asked: list[str] = []
        names = ("find_account", "add_ceremony", "take_ceremony", "find_passkey", "add_passkey", "advance_passkey")
        before: dict[str, Callable[..., object]] = {name: partial(_note, asked, name) for name in names}
        passkeys = hooked(colour, before, decoy_secret=SECRET)
        for user_id in ("ada", "off"):
            passkeys.register(user_id, start={"user_id": user_id, "user_name": user_id})
        passkeys.disable_user("off")
        passkeys.get_or_create_user("bare", "bare")
        for user_id in EVERYBODY:
            asked.clear()
            start = passkeys.start_authentication(user_id=user_id)
            assert asked == ["find_account", "add_ceremony"]
            asked.clear()
            with refused("signature_invalid"):
                passkeys.finish_authentication(forged(start.to_dict()))
            assert asked == ["take_ceremony", "find_passkey"]


def _note(asked: list[str], name: str, *_: object) -> None:
    asked.append(name)


def forged(options: Any, tamper: Tamper | None = None) -> Any:
    """What somebody posts who has none of the named passkeys: signed with a key of their own."""
    device = browser("forger")
    rival = device.create(
        {
            "rp": {"id": "example.org", "name": ""},
            "user": {"id": "AAAA", "name": "", "displayName": ""},
            "challenge": "AAAA",
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        }
    )
    named = options["allowCredentials"][0]["id"]
    body = device.get(
        options | {"allowCredentials": [{"type": "public-key", "id": rival["id"]}]}, tamper=tamper or Tamper()
    )
    body["response"].pop("userHandle", None)
    return {name: named if value == rival["id"] else value for name, value in body.items()}


def _answered(**members: Any) -> Any:
    return lambda body: body | members


def _inside(**members: Any) -> Any:
    return lambda body: body | {"response": body["response"] | members}


CHANGES: dict[str, tuple[Tamper | None, Any]] = {
    "nothing else": (None, None),
    "type": (Tamper(client_data=lambda data: data | {"type": "webauthn.create"}), None),
    "origin": (Tamper(client_data=lambda data: data | {"origin": "https://evil.example"}), None),
    "cross-origin": (Tamper(client_data=lambda data: data | {"crossOrigin": True}), None),
    "rp id": (Tamper(rp_id_hash=lambda _: bytes(32)), None),
    "absent": (Tamper(flags=lambda flags: flags & ~1), None),
    "unverified": (Tamper(flags=lambda flags: flags & ~4), None),
    "backed up": (Tamper(flags=lambda flags: flags | 0x10), None),
    "eligible": (Tamper(flags=lambda flags: flags | 0x18), None),
    "no count": (Tamper(sign_count=lambda _: 0), None),
    "count": (Tamper(sign_count=lambda _: 2**32 - 1), None),
    "extensions": (Tamper(extensions=lambda _: {"credProtect": 1}), None),
    "truncated": (Tamper(authenticator_data=lambda data: data[:-1]), None),
    "empty signature": (None, _inside(signature="")),
    "no signature": (None, _inside(signature=b64url_encode(b"no DER"))),
    "handle": (None, _inside(userHandle=b64url_encode(b"ada"))),
    "credential type": (None, _answered(type="password")),
    "another id": (None, _answered(id="AAAA")),
    "unknown ids": (None, _answered(id="AAAA", rawId="AAAA")),
    "attachment": (None, _answered(authenticatorAttachment="platform")),
    "results": (None, _answered(clientExtensionResults={"appid": True})),
}


class TestFinish:
    @pytest.mark.parametrize("change", CHANGES)
    def test_a_real_user_fails_exactly_as_a_decoy_does(self, passkeys: Engine, change: str) -> None:
        tamper, edit = CHANGES[change]
        told = []
        for user_id in EVERYBODY:
            start = passkeys.start_authentication(user_id=user_id)
            body = forged(start.to_dict(), tamper)
            with pytest.raises(PasskeyError) as caught:
                passkeys.finish_authentication(edit(body) if edit else body)
            error = caught.value
            told.append((type(error), error.public_message, error.http_status, json.dumps(_unnamed(error, body))))
            assert not hasattr(error, "signal")
        assert len(set(told)) == 1, told

    @pytest.mark.parametrize("algorithm", [-7, -257, -8, -35])
    def test_whatever_the_algorithm_of_the_real_passkey(self, passkeys: Engine, algorithm: int) -> None:
        device = browser("other", algorithms=[algorithm])
        rp = passkeys.service.context.rp
        from msgspec.structs import replace

        passkeys.service.context = replace(passkeys.service.context, rp=replace(rp, algorithms=(algorithm,)))
        passkeys.register(client=device, start={"user_id": "other", "user_name": "other"})
        told = set()
        for user_id in ("other", "nobody"):
            with pytest.raises(PasskeyError) as caught:
                passkeys.finish_authentication(forged(passkeys.start_authentication(user_id=user_id).to_dict()))
            # The message, which only developers see, names the algorithm as well.
            message = re.sub(r"the \S+ signature", "the signature", str(caught.value))
            told.add((type(caught.value), caught.value.code, message, caught.value.public_message))
        assert len(told) == 1, told

    def test_a_passkey_of_ones_own_does_not_answer_for_a_decoy(
        self, passkeys: Engine, devices: dict[str, VirtualClient]
    ) -> None:
        told = set()
        for user_id in ("bare", "nobody", "off"):
            start = passkeys.start_authentication(user_id=user_id)
            body = devices["ada"].get(start.to_dict() | {"allowCredentials": []})
            with refused("credential_not_allowed", passkeys) as caught:
                passkeys.finish_authentication(body)
            told.add(str(caught.value))
        assert len(told) == 1

    def test_an_unknown_passkey_costs_a_verification_too(self, passkeys: Engine) -> None:
        """Counted by the interpreter: every refused finish runs `PublicKey.verify` once, whoever was asked for."""
        for user_id in EVERYBODY:
            body = forged(passkeys.start_authentication(user_id=user_id).to_dict())
            with calls_of("verify", "cose.py") as counted, refused("signature_invalid"):
                passkeys.finish_authentication(body)
            assert counted.number == 1


def _unnamed(error: PasskeyError, body: Any) -> Any:
    """What the error tells, without the ids that the client knows anyhow."""
    text = json.dumps(error.to_dict())
    return text.replace(b64url_decode(body["rawId"]).hex(), "…").replace(b64url_decode(body["id"]).hex(), "…")


def test_a_secret_is_not_short(colour: Colour) -> None:
    with refused("configuration_invalid") as caught:
        engine(colour, decoy_secret=SECRET[:-1])
    assert caught.value.path == "decoy_secret"
