"""Eight callers at once, over every storage: what is to happen once happens once, and nothing is lost."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from passkeycore import PasskeyError
from passkeycore.actions import ActionState
from passkeycore.engine.records import EventFilter, EventType
from passkeycore.testing import SoftwareDevice
from tests.engine.kit import Json, browser

from .kit import DOMAIN, SCOPE, Stage, answer_of, enrolled, forged

CALLERS: Final = 8


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the calls returned, all of which begin at once; for a refusal, its code."""
    begin = threading.Barrier(len(calls), timeout=60)

    def run(call: Callable[[], Any]) -> Any:
        begin.wait()
        try:
            return call()
        except PasskeyError as error:
            return str(error.code)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def split(answers: Sequence[Any]) -> tuple[list[Any], Counter[str]]:
    """What went well, and how often each code came."""
    return [one for one in answers if not isinstance(one, str)], Counter(one for one in answers if isinstance(one, str))


def number_of(stage: Stage, type: EventType) -> int:
    return len(stage.passkeys.list_events(EventFilter(types=(type,))).events)


def test_the_same_key_gives_all_the_same_answer_once(shared: Stage) -> None:
    shared.register()
    for key in "abc":
        answers = together(
            [lambda n=n, key=key: shared.track(idempotency_key=key, redirect_url=str(n)) for n in range(CALLERS)]  # type: ignore[misc]
        )
        assert len({(one.token, one.action.redirect_url) for one in answers}) == 1
        assert shared.now(answers[0]) == answers[0].action
    assert len(shared.actions.list_actions().actions) == 3
    assert number_of(shared, EventType.ACTION_TRACKED) == 3


def test_a_success_is_used_up_once(shared: Stage) -> None:
    client = shared.register()
    for _ in range(3):
        met = shared.meet(shared.track(), client)
        used, refused = split(together([lambda met=met: shared.validate(met, consume=True)] * CALLERS))  # type: ignore[misc]
        assert (len(used), refused) == (1, {"token_invalid": CALLERS - 1})
        assert shared.now(met.action) == used[0]
    assert number_of(shared, EventType.ACTION_CONSUMED) == 3


def test_of_many_proofs_one_counts_and_has_the_token(shared: Stage) -> None:
    client, tracked = shared.register(), shared.track()
    bodies = [shared.signed(tracked, client) for _ in range(CALLERS)]
    met, refused = split(
        together([lambda b=b: shared.actions.finish_passkey_challenge(tracked.token, b) for b in bodies])  # type: ignore[misc]
    )
    assert (len(met), refused) == (1, {"action_state": CALLERS - 1})
    assert shared.validate(met[0], consume=True).state is ActionState.CHALLENGE_SUCCEEDED


def test_a_challenge_within_the_app_is_answered_once(shared: Stage) -> None:
    app, tracked = shared.enrol(method="in-app"), shared.track()
    started = shared.ask(tracked, "in-app")
    met, refused = split(together([lambda: shared.approve_in_app(started, app, token=tracked.token)] * CALLERS))
    assert len(met) == 1
    assert refused.keys() <= {"challenge_unknown", "action_state"}
    assert shared.validate(met[0], consume=True).method == "in-app"


@pytest.mark.parametrize("settings", [{"devices": {"danger_allow_challenge_id_signatures": True}}])
def test_one_that_began_before_any_action_is_for_one_of_them(shared: Stage) -> None:
    app, started = shared.enrol(method="in-app"), shared.begin_in_app(None, protocol="challenge-id")
    tokens = [shared.track().token for _ in range(CALLERS)]
    met, refused = split(
        together([lambda t=t: shared.approve_in_app(started, app, token=t) for t in tokens])  # type: ignore[misc]
    )
    assert (len(met), refused) == (1, {"challenge_unknown": CALLERS - 1})
    assert shared.validate(met[0], consume=True).method == "in-app"


def test_an_approval_is_given_out_once(shared: Stage) -> None:
    phone, tracked = shared.enrol(), shared.track()
    started = shared.ask(tracked)
    shared.answer(started, phone)
    met, refused = split(
        together([lambda: shared.actions.finish_device_challenge(tracked.token, started.challenge_id)] * CALLERS)
    )
    # Who lost too often to the others is told that, and may ask again.
    assert len(met) == 1
    assert refused.keys() <= {"challenge_unknown", "action_state", "conflict"}
    assert shared.validate(met[0], consume=True)


@pytest.mark.parametrize("settings", [{"actions": {"max_attempts": 100}}])
def test_no_attempt_is_lost(shared: Stage) -> None:
    client, tracked = shared.register(), shared.track()
    bodies = [forged(shared.signed(tracked, client)) for _ in range(CALLERS)]
    answers = together([lambda b=b: shared.actions.finish_passkey_challenge(tracked.token, b) for b in bodies])  # type: ignore[misc]
    assert Counter(answers) == {"signature_invalid": CALLERS}
    now = shared.now(tracked)
    assert (now.state, now.attempts) == (ActionState.CHALLENGE_REQUIRED, CALLERS)


def test_there_are_as_many_attempts_as_there_are(shared: Stage) -> None:
    tracked = shared.track()
    cancels = together([lambda: shared.actions.cancel_challenge(tracked.token)] * CALLERS)
    now = shared.now(tracked)
    assert (now.state, now.attempts) == (ActionState.CHALLENGE_FAILED, 5)
    assert set(cancels) <= {None, "action_state"}


def test_a_proof_and_a_no_at_once_end_in_one(shared: Stage) -> None:
    client, phone = shared.register(), shared.enrol()
    for _ in range(3):
        tracked = shared.track()
        body, started = shared.signed(tracked, client), shared.ask(tracked)
        no = answer_of(started, phone, "reject")
        met, answered = together(
            [
                lambda t=tracked, b=body: shared.actions.finish_passkey_challenge(t.token, b),  # type: ignore[misc]
                lambda s=started, a=no: shared.actions.answer_device_challenge(s.challenge_id, **a),  # type: ignore[misc]
            ]
        )
        assert answered.decision == "reject"
        state = shared.now(tracked).state
        if met == "action_state":
            assert state is ActionState.CHALLENGE_FAILED
        else:
            assert state is ActionState.CHALLENGE_SUCCEEDED
            assert shared.validate(met)


def test_a_review_ends_once(shared: Stage) -> None:
    tracked = shared.track("borrow")
    states = [ActionState.REVIEW_SUCCEEDED, ActionState.REVIEW_FAILED] * (CALLERS // 2)
    reviewed, refused = split(
        together(
            [
                lambda state=state: shared.actions.update_action(  # type: ignore[misc]
                    "ada", "borrow", tracked.idempotency_key, state=state
                )
                for state in states
            ]
        )
    )
    assert (len(reviewed), refused) == (1, {"action_state": CALLERS - 1})
    assert shared.now(tracked) == reviewed[0]


class TestEnrolment:
    def passkey(self, shared: Stage, token: str, seed: str) -> Callable[[], Any]:
        start = shared.actions.start_passkey_enrolment(token, user_name="name")
        body: Json = browser(seed).create(start.to_dict())
        return lambda: shared.actions.finish_passkey_enrolment(token, body)

    def device(self, shared: Stage, token: str, seed: str) -> Callable[[], Any]:
        sent = enrolled(SoftwareDevice(seed, domain=DOMAIN), token)
        return lambda: shared.actions.enrol_device(token, user_name="name", **sent)

    @pytest.mark.parametrize("kinds", ["pppppppp", "dddddddd", "pdpdpdpd", "pd"])
    def test_of_first_ones_at_once_at_most_one_stays(self, shared: Stage, kinds: str) -> None:
        for round in range(3):
            user_id = f"user-{round}"
            shared.passkeys.get_or_create_user(user_id, user_id)
            tokens = [shared.track(user_id=user_id).token for _ in kinds]
            enrol = {"p": self.passkey, "d": self.device}
            calls = [
                enrol[kind](shared, token, f"{user_id} {number}")
                for number, (kind, token) in enumerate(zip(kinds, tokens, strict=True))
            ]
            added, refused = split(together(calls))
            listed = shared.devices.list_authenticators(user_id)
            assert len(listed) == len(added) <= 1
            assert refused.keys() == {"scope_missing"}

    def test_a_token_enrols_one_device_for_a_method(self, shared: Stage) -> None:
        shared.register()
        token = shared.track(scope=[SCOPE]).token
        added, refused = split(together([self.device(shared, token, str(number)) for number in range(CALLERS)]))
        assert (len(added), refused) == (1, {"credential_exists": CALLERS - 1})
        assert shared.devices.list_devices("ada") == (added[0],)
