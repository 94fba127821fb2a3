"""What nobody learns: who exists, from a start; and any secret, from an event, a repr or a message."""

from typing import Any

import msgspec
import pytest

from passkeycore import PasskeyError
from passkeycore.engine.records import Event, EventFilter, EventType
from tests.engine.kit import SECRET, Colour, browser

from .cast import Cast
from .kit import SCOPE, Stage, enrolled, forged, refused


class TestWhoExists:
    @pytest.mark.parametrize("who", ["nobody", "without", "disabled"])
    def test_a_start_with_decoys_looks_like_any_other(self, colour: Colour, who: str) -> None:
        stage = Stage(colour, passkeys={"decoy_secret": SECRET})
        client = stage.register()
        stage.enrol("without")
        stage.register("disabled", browser("disabled"))
        tracked = stage.track(user_id=who)
        stage.passkeys.disable_user("disabled")
        real = stage.actions.start_passkey_challenge(stage.track().token).to_dict()
        decoy = stage.actions.start_passkey_challenge(tracked.token).to_dict()
        assert decoy["allowCredentials"]
        body = client.get(real | {"challenge": decoy["challenge"]})
        del real["allowCredentials"], decoy["allowCredentials"]  # which differ between users, too
        assert shape(decoy) == shape(real)
        with refused("credential_not_allowed", stage, attempts=1):
            stage.actions.finish_passkey_challenge(tracked.token, body)

    @pytest.mark.parametrize("who", ["nobody", "without", "disabled"])
    def test_a_question_to_a_device_looks_like_any_other(self, stage: Stage, who: str) -> None:
        """It waits, and nobody answers."""
        stage.enrol()
        stage.register("without")
        stage.enrol("disabled")
        tracked = stage.track(user_id=who)
        stage.passkeys.disable_user("disabled")
        real, none = stage.ask(stage.track(), number_matching=True), stage.ask(tracked, number_matching=True)
        assert shape(none.to_dict()) == shape(real.to_dict())
        assert stage.actions.finish_device_challenge(tracked.token, none.challenge_id) is None

    def test_tokens_of_somebody_and_of_nobody_are_alike(self, stage: Stage) -> None:
        stage.register()
        lengths = {len(stage.track(user_id=who).token) for who in ("ada", "eve")}
        assert len(lengths) == 1

    def test_every_refusal_of_a_token_reads_the_same(self, stage: Stage) -> None:
        client = stage.register()
        met = stage.meet(stage.track(), client)
        messages: set[tuple[str, ...]] = set()

        def ask(token: str, **more: str) -> None:
            with pytest.raises(PasskeyError) as caught:
                stage.actions.validate_challenge(token, **more)
            messages.add((caught.value.public_message, str(caught.value.http_status), caught.value.code))

        ask("x")
        ask(met.token, user_id="eve")
        ask(met.token, action="look")
        stage.passkeys.disable_user("ada")
        ask(met.token)
        stage.passkeys.remove_user("ada")
        ask(met.token)
        assert len(messages) == 1


def shape(value: Any) -> Any:
    """Names, types and lengths."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(member) for member in value]
    return type(value), len(value) if isinstance(value, str) else None


@pytest.fixture
def cast(colour: Colour) -> Cast:
    """Ada, where events are stored."""
    return Cast(colour, store_events=True)


def happened(stage: Stage, *types: EventType) -> list[Event]:
    """Events, the oldest first."""
    events = stage.passkeys.list_events(EventFilter(types=types or None)).events
    return list(reversed(events))


ACTIONS = (EventType.ACTION_TRACKED, EventType.ACTION_UPDATED, EventType.ACTION_CONSUMED)


class TestEvents:
    def test_every_change_has_one(self, cast: Cast) -> None:
        stage = cast.stage
        tracked = stage.track(idempotency_key="k")
        stage.track(idempotency_key="k")
        stage.actions.cancel_challenge(tracked.token)
        met = stage.meet(tracked, cast.client)
        stage.validate(met)
        stage.validate(met, consume=True)
        found = happened(stage, *ACTIONS)
        assert [(one.type, one.details.get("state")) for one in found] == [
            (EventType.ACTION_TRACKED, "CHALLENGE_REQUIRED"),
            (EventType.ACTION_UPDATED, "CHALLENGE_REQUIRED"),
            (EventType.ACTION_UPDATED, "CHALLENGE_SUCCEEDED"),
            (EventType.ACTION_CONSUMED, "CHALLENGE_SUCCEEDED"),
        ]
        for one in found:
            assert (one.user_id, one.details["action"], one.details["idempotency_key"]) == ("ada", "pay", "k")
            assert (one.at, one.realm) == (stage.clock(), "")
        assert [one.details.get("method") for one in found] == [None, None, "passkey", "passkey"]

    def test_a_review_has_one_and_so_has_an_expiry_that_is_written(self, cast: Cast) -> None:
        stage = cast.stage
        cast.review(stage.track("borrow"), "REVIEW_FAILED")
        late = stage.track()
        body = stage.signed(late, cast.client)
        stage.before["advance_passkey"] = lambda *_: setattr(stage.clock, "at", late.action.expires_at)
        with refused("action_state"):
            stage.actions.finish_passkey_challenge(late.token, body)
        found = happened(stage, EventType.ACTION_UPDATED)
        assert [one.details["state"] for one in found] == ["REVIEW_FAILED", "CHALLENGE_FAILED"]

    def test_what_was_refused_has_none(self, cast: Cast) -> None:
        stage = cast.stage
        tracked = stage.track()
        met = stage.meet(tracked, cast.client)
        stage.validate(met, consume=True)
        before = happened(stage)
        for token in ("x", met.token, tracked.token):
            with pytest.raises(PasskeyError):
                stage.actions.validate_challenge(token, consume=True)
        assert happened(stage) == before

    def test_sinks_hear_of_the_same(self, colour: Colour) -> None:
        heard: list[Event] = []
        cast = Cast(colour, store_events=True, sinks=[heard.append])
        stage = cast.stage
        tracked = stage.track()
        stage.actions.cancel_challenge(tracked.token)
        stage.validate(stage.meet(tracked, cast.client), consume=True)
        for service in (stage.passkeys.service, stage.devices.service):
            service.dispatcher.flush(60)
            service.dispatcher.close(60)
        assert [one for one in heard if one.type in ACTIONS] == happened(stage, *ACTIONS)

    def test_sinks_hear_once_of_what_was_stored_once(self, colour: Colour) -> None:
        """Also where somebody else is quicker."""
        heard: list[Event] = []
        cast = Cast(colour, sinks=[heard.append])
        stage = cast.stage
        quick = Stage("sync", memory=stage.memory, seed="other")

        def be_quicker(*_: object) -> None:
            stage.before.clear()
            quick.clock.move(seconds=1)
            quick.track(idempotency_key="k")

        stage.before["add_action"] = be_quicker
        stage.track(idempotency_key="k")
        for service in (stage.passkeys.service, stage.devices.service):
            service.dispatcher.flush(60)
            service.dispatcher.close(60)
        assert [one for one in heard if one.type in ACTIONS] == []


class TestSecrets:
    def test_neither_events_nor_reprs_nor_messages_tell_any(self, cast: Cast) -> None:
        stage, shown = cast.stage, list[object]()
        tracked = stage.track(scope=[SCOPE])
        bad = stage.track()
        start = stage.actions.start_passkey_challenge(bad.token)
        body = forged(cast.client.get(start.to_dict()))
        with pytest.raises(PasskeyError) as caught:
            stage.actions.finish_passkey_challenge(bad.token, body)
        started = stage.ask(tracked, number_matching=True, content="Pay 42 EUR")
        answered = stage.answer(started, cast.phone)
        by_device = stage.actions.finish_device_challenge(tracked.token, started.challenge_id)
        met = stage.meet(stage.track(), cast.client)
        enrolment = stage.actions.start_passkey_enrolment(tracked.token)
        key = enrolled(cast.phone, tracked.token)
        with pytest.raises(PasskeyError) as other:
            stage.actions.enrol_device(tracked.token, **key)
        shown += [tracked, met, by_device, started, answered, start, enrolment, stage.actions.service.context.tokens]
        shown += [caught.value, other.value, caught.value.to_dict(), other.value.to_dict()]
        shown += happened(stage)
        told = "\n".join([*map(repr, shown), *map(str, shown)])
        told += msgspec.json.encode(happened(stage)).decode()
        assert by_device is not None
        secrets = {
            "the token from track": tracked.token,
            "of a success": met.token,
            "of another": by_device.token,
            "a passkey's challenge": start.to_dict()["challenge"],
            "an enrolment's": enrolment.to_dict()["challenge"],
            "a device's": started.challenge_id,
            "the code": repr(started.challenge.verification_code),
            "what was shown": "Pay 42 EUR",
        }
        for what, secret in secrets.items():
            assert secret not in told, what
            assert secret.split(".")[-1] not in told, what
