"""Meeting an action's challenge with a passkey: who may start, what goes wrong, and that it only counts."""

from collections.abc import Callable
from typing import Any

import pytest

from passkeycore import Code, DecodeError, UnsupportedError, second_factor
from passkeycore.actions import ActionState
from passkeycore.engine.actions.steps import purpose_of
from passkeycore.engine.passkeys.ceremonies import AsyncStatelessCeremonies, StatelessCeremonies
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from tests.engine.kit import Colour, Json, browser, posted

from .kit import TOKENS, Stage, forged, refused

PARTNER = "https://partner.example"


@pytest.fixture
def client(stage: Stage) -> VirtualClient:
    """Ada's browser, with a passkey."""
    return stage.register()


class TestSuccess:
    def test_who_met_it_and_how(self, stage: Stage, client: VirtualClient) -> None:
        met = stage.meet(stage.track(), client)
        assert (met.user_id, met.approval) == ("ada", None)
        assert met.authentication is not None
        assert met.authentication.user_verification_trusted
        assert met.action.state is ActionState.CHALLENGE_SUCCEEDED
        assert stage.validate(met) == met.action

    def test_a_body_is_json_or_its_members(self, stage: Stage, client: VirtualClient) -> None:
        for shape in (posted, lambda body: posted(body).decode(), dict):
            tracked = stage.track()
            body = shape(stage.signed(tracked, client))
            assert stage.actions.finish_passkey_challenge(tracked.token, body).user_id == "ada"

    def test_the_client_is_asked_as_the_start_was(self, stage: Stage, client: VirtualClient) -> None:
        start = stage.actions.start_passkey_challenge(
            stage.track().token, hints=["client-device"], extensions={"appid": "https://example.org"}, timeout_ms=1000
        ).to_dict()
        assert (start["hints"], start["timeout"], start["userVerification"]) == (["client-device"], 1000, "required")
        assert start["extensions"] == {"appid": "https://example.org"}
        assert [one["id"] for one in start["allowCredentials"]] == [client.get(start)["id"]]

    def test_one_more_origin_may_answer_this_one(self, stage: Stage, client: VirtualClient) -> None:
        elsewhere = VirtualClient(client.authenticator, "https://pay.example.org")
        for extra, code in (("https://pay.example.org", None), (None, "origin_not_allowed")):
            tracked = stage.track()
            start = stage.actions.start_passkey_challenge(tracked.token, extra_origin=extra)
            body = elsewhere.get(start.to_dict())
            if code is None:
                assert stage.actions.finish_passkey_challenge(tracked.token, body)
            else:
                with refused(code, stage, attempts=1):
                    stage.actions.finish_passkey_challenge(tracked.token, body)

    @pytest.mark.parametrize(("given", "code"), [((PARTNER,), None), ((), "cross_origin_not_allowed")])
    def test_a_frame_is_allowed_for_this_one(self, stage: Stage, client: VirtualClient, given: Any, code: Any) -> None:
        framed = VirtualClient(client.authenticator, client.origin, cross_origin=True, top_origin=PARTNER)
        tracked = stage.track()
        challenge = stage.actions.start_passkey_challenge(tracked.token, top_origins=given)
        sign_in = stage.actions.start_passkey_sign_in("sign-in", binding="s", top_origins=given)
        bodies = framed.get(challenge.to_dict()), framed.get(sign_in.to_dict())
        token = stage.track(user_id="new").token
        enrolment = stage.actions.start_passkey_enrolment(token, user_name="new", top_origins=given)
        new = VirtualClient(SoftwareAuthenticator("new"), client.origin, cross_origin=True, top_origin=PARTNER)
        made = new.create(enrolment.to_dict())
        if code is None:
            assert stage.actions.finish_passkey_challenge(tracked.token, bodies[0])
            assert stage.actions.finish_passkey_sign_in("sign-in", bodies[1], binding="s")
            assert stage.actions.finish_passkey_enrolment(token, made)
            return
        with refused(code, stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, bodies[0])
        with refused(code, stage):
            stage.actions.finish_passkey_sign_in("sign-in", bodies[1], binding="s")
        with refused(code, stage):
            stage.actions.finish_passkey_enrolment(token, made)

    def test_the_user_may_try_again(self, stage: Stage, client: VirtualClient) -> None:
        tracked = stage.track()
        first = stage.signed(tracked, client)
        assert stage.meet(tracked, client)
        with refused("action_state", stage):
            stage.actions.finish_passkey_challenge(tracked.token, first)

    def test_its_ceremony_may_wait_with_the_client(self, colour: Colour) -> None:
        spent: Any = MemoryRepository() if colour == "sync" else AsyncMemoryRepository()
        kind: Any = StatelessCeremonies if colour == "sync" else AsyncStatelessCeremonies
        stage = Stage(colour, passkeys={"ceremonies": kind(TOKENS, spent)})
        client, asked = browser(), {"user_id": "ada", "user_name": "ada"}
        begun = stage.passkeys.start_registration(**asked)
        body = client.create(begun.to_dict())
        stage.passkeys.finish_registration(body, user_id="ada", sealed_state=begun.sealed_state)
        tracked = stage.track()
        start = stage.actions.start_passkey_challenge(tracked.token)
        body = client.get(start.to_dict())
        with refused("challenge_unknown", stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        met = stage.actions.finish_passkey_challenge(tracked.token, body, sealed_state=start.sealed_state)
        assert stage.validate(met)


class TestStart:
    def test_a_method_that_is_not_allowed_is_refused(self, stage: Stage, client: VirtualClient) -> None:
        tracked = stage.track("by-push")
        with refused("method_not_allowed", stage):
            stage.actions.start_passkey_challenge(tracked.token)
        assert stage.meet(stage.track("by-passkey"), client)

    @pytest.mark.parametrize("who", ["nobody", "without", "disabled"])
    def test_who_has_no_passkey_cannot_begin(self, stage: Stage, client: VirtualClient, who: str) -> None:
        stage.enrol("without")
        stage.register("disabled")
        tracked = stage.track(user_id=who)
        stage.passkeys.disable_user("disabled")
        with refused("no_credential", stage) as caught:
            stage.actions.start_passkey_challenge(tracked.token)
        assert caught.value.public_message

    def test_a_service_without_passkeys_says_so_and_counts_nothing(self, stage: Stage, client: VirtualClient) -> None:
        tracked = stage.track()
        body = stage.signed(tracked, client)
        other = Stage(stage.colour, memory=stage.memory, clock=stage.clock, actions={"passkeys": None})
        with refused("configuration_invalid", stage) as caught:
            other.actions.start_passkey_challenge(tracked.token)
        assert caught.value.path == "passkeys"
        with refused("configuration_invalid", stage):
            other.actions.finish_passkey_challenge(tracked.token, body)


def no_verification(stage: Stage, client: VirtualClient, start: Json) -> Json:
    return client.get(start | {"userVerification": "discouraged"})


WRONG: dict[str, tuple[str, Callable[[Stage, VirtualClient, Json], Any]]] = {
    "a bad signature": ("signature_invalid", lambda stage, client, start: forged(client.get(start))),
    "no user verification": ("user_verification_required", no_verification),
    "another challenge": (
        "challenge_unknown",
        lambda stage, client, start: client.get(start | {"challenge": start["challenge"][::-1]}),
    ),
    "another origin": (
        "origin_not_allowed",
        lambda stage, client, start: VirtualClient(client.authenticator, "https://www.example.org").get(start),
    ),
    "a passkey that is not the user's": (
        "credential_not_allowed",
        lambda stage, client, start: (lambda eve: eve.get(start | {"allowCredentials": []}))(stage.register("eve")),
    ),
    "a passkey that nobody has": (
        "signature_invalid",
        lambda stage, client, start: _removed(stage, client, start),
    ),
}


UNREADABLE: dict[str, tuple[str, Callable[[Json], Any]]] = {
    "no JSON": ("json_invalid", lambda body: b"{"),
    "no members": ("json_invalid", lambda body: {}),
    "too large a body": ("too_large", lambda body: b" " * 10_000_000),
    "no client data": ("json_invalid", lambda body: _with(body, "clientDataJSON", "AAAA")),
    "no authenticator data": ("authenticator_data_invalid", lambda body: _with(body, "authenticatorData", "AAAA")),
}


def _with(body: Json, member: str, value: str) -> Json:
    return body | {"response": body["response"] | {member: value}}


def _removed(stage: Stage, client: VirtualClient, start: Json) -> Json:
    stage.passkeys.remove_all_passkeys("ada")
    return client.get(start)


class TestWrongAnswers:
    @pytest.mark.parametrize("what", WRONG)
    def test_each_leaves_the_challenge_and_counts_an_attempt(
        self, stage: Stage, client: VirtualClient, what: str
    ) -> None:
        tracked = stage.track()
        start = stage.actions.start_passkey_challenge(tracked.token).to_dict()
        code, answer = WRONG[what]
        body = answer(stage, client, start)
        with refused(code, stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, body)

    @pytest.mark.parametrize("what", UNREADABLE)
    def test_what_cannot_be_read_counts_none(self, stage: Stage, client: VirtualClient, what: str) -> None:
        """It proves nothing, and is nobody's guess."""
        tracked = stage.track()
        code, spoil = UNREADABLE[what]
        for _ in range(9):
            body = spoil(stage.signed(tracked, client))
            with refused(code, stage) as caught:
                stage.actions.finish_passkey_challenge(tracked.token, body)
            assert isinstance(caught.value, DecodeError)
        assert stage.meet(tracked, client).action.attempts == 0

    def test_nor_does_what_the_service_does_not_know(self, stage: Stage, client: VirtualClient) -> None:
        """Such as a stored key of an algorithm that this version cannot verify."""
        tracked = stage.track()
        body = stage.signed(tracked, client)

        def refuse(*_: object) -> None:
            raise UnsupportedError(Code.ALGORITHM_UNSUPPORTED, "another algorithm", path="publicKey")

        stage.before["advance_passkey"] = refuse
        with refused("algorithm_unsupported", stage):
            stage.actions.finish_passkey_challenge(tracked.token, body)

    @pytest.mark.parametrize("what", ["too late", "disabled", "no trust"])
    def test_so_does_what_is_right_but_must_not_be(self, stage: Stage, client: VirtualClient, what: str) -> None:
        if what == "no trust":
            stage.passkeys.remove_all_passkeys("ada")
            begun = stage.passkeys.start_registration(user_id="ada", preset=second_factor())
            stage.passkeys.finish_registration(client.create(begun.to_dict()), user_id="ada")
            stage = Stage(stage.colour, memory=stage.memory, clock=stage.clock, passkeys={"preset": second_factor()})
        tracked = stage.track()
        body = stage.signed(tracked, client)
        if what == "too late":
            stage.clock.move(minutes=6)
        elif what == "disabled":
            stage.passkeys.disable_user("ada")
        codes = {
            "too late": "challenge_expired",
            "disabled": "user_disabled",
            "no trust": "user_verification_untrusted",
        }
        with refused(codes[what], stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, body)

    def test_an_answer_is_good_once(self, stage: Stage, client: VirtualClient) -> None:
        tracked = stage.track()
        body = stage.signed(tracked, client)
        with refused("signature_invalid"):
            stage.actions.finish_passkey_challenge(tracked.token, forged(body))
        with refused("challenge_unknown", stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, body)
        assert stage.meet(tracked, client)

    def test_the_finish_looks_at_the_methods_again(self, stage: Stage, client: VirtualClient) -> None:
        """Whoever started the ceremony."""
        tracked = stage.track("by-push")
        start = stage.passkeys.start_authentication(
            user_id="ada", binding=tracked.token, purpose=purpose_of(tracked.action)
        )
        with refused("method_not_allowed", stage):
            stage.actions.finish_passkey_challenge(tracked.token, client.get(start.to_dict()))
