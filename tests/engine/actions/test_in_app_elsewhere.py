"""Apps that were built for another service: they sign a challenge's id alone, and show an action's token at its finish.

So a challenge of theirs may begin before there is an action, without a word: the token says what it is for then.
"""

from collections.abc import Callable
from typing import Final

import pytest

from passkeycore.actions import ActionState
from passkeycore.engine.devices.challenges import StartedDeviceChallenge
from passkeycore.testing import SoftwareDevice
from tests.engine.kit import Colour

from .kit import DOMAIN, Stage, approval_of, refused

BEGINS: Final[dict[str, Callable[[Stage], StartedDeviceChallenge]]] = {
    "without a word": lambda stage: stage.begin_in_app(None, protocol="challenge-id"),
    "with the token's word": lambda stage: stage.begin_in_app("pay", protocol="challenge-id"),
}


@pytest.fixture
def stage(colour: Colour) -> Stage:
    """The services, which let such apps take part."""
    return Stage(colour, devices={"danger_allow_challenge_id_signatures": True})


@pytest.fixture
def app(stage: Stage) -> SoftwareDevice:
    """Ada's app."""
    return stage.enrol(method="in-app")


@pytest.mark.parametrize("how", BEGINS)
def test_an_action_that_is_tracked_later_is_met(stage: Stage, app: SoftwareDevice, how: str) -> None:
    started = BEGINS[how](stage)
    tracked = stage.track()
    met = stage.approve_in_app(started, app, token=tracked.token)
    assert (met.action, met.action.state) == (stage.now(tracked), ActionState.CHALLENGE_SUCCEEDED)
    assert stage.validate(met, consume=True).method == "in-app"
    assert len(stage.all_actions()) == 1


def test_so_is_one_that_was_there_before(stage: Stage, app: SoftwareDevice) -> None:
    tracked = stage.track()
    started = stage.ask(tracked, "in-app", protocol="challenge-id")
    assert stage.approve_in_app(started, app, token=tracked.token).user_id == "ada"


@pytest.mark.parametrize("word", ["look", "pay-2", "p"])
def test_a_word_is_no_other_word(stage: Stage, app: SoftwareDevice, word: str) -> None:
    tracked, started = stage.track(), stage.begin_in_app(word, protocol="challenge-id")
    with refused("challenge_unknown", stage):
        stage.approve_in_app(started, app, token=tracked.token)


def test_one_for_an_action_is_for_no_other_of_its_word(stage: Stage, app: SoftwareDevice) -> None:
    mine, other = stage.track(), stage.track()
    started = stage.ask(mine, "in-app", protocol="challenge-id")
    with refused("challenge_unknown", stage):
        stage.approve_in_app(started, app, token=other.token)
    assert stage.approve_in_app(started, app, token=mine.token)


def test_without_a_word_and_a_token_it_is_for_nothing(stage: Stage, app: SoftwareDevice) -> None:
    started = stage.begin_in_app(None, protocol="challenge-id")
    with refused("challenge_unknown", stage):
        stage.approve_in_app(started, app)
    assert stage.approve_in_app(started, app, token=stage.track().token), "nothing was spent"


def test_with_a_word_it_is_a_sign_in(stage: Stage, app: SoftwareDevice) -> None:
    met = stage.approve_in_app(stage.begin_in_app("sign-in", protocol="challenge-id"), app)
    assert (met.user_id, met.action.action) == ("ada", "sign-in")


def test_it_is_answered_once(stage: Stage, app: SoftwareDevice) -> None:
    first, second = stage.track(), stage.track()
    started = stage.begin_in_app(None, protocol="challenge-id")
    assert stage.approve_in_app(started, app, token=first.token)
    with refused("challenge_unknown", stage):
        stage.approve_in_app(started, app, token=second.token)


@pytest.mark.parametrize("how", BEGINS)
def test_the_token_tells_whose_device_has_to_answer(stage: Stage, app: SoftwareDevice, how: str) -> None:
    """Nobody else's counts, and nothing is spent."""
    mine, hers, started = stage.track(), stage.track(user_id="eve"), BEGINS[how](stage)
    for _ in range(9):
        with refused("signature_invalid", stage):
            stage.approve_in_app(started, app, token=hers.token)
    assert stage.approve_in_app(started, app, token=mine.token).action.user_id == "ada"
    assert stage.now(hers) == hers.action


def test_devices_of_others_and_of_nobody_do_not_answer_and_cost_nothing(stage: Stage, app: SoftwareDevice) -> None:
    others = stage.enrol("eve", "in-app"), SoftwareDevice("nobody's", domain=DOMAIN, method="in-app")
    tracked, started = stage.track(), BEGINS["without a word"](stage)
    for other in others:
        with refused("signature_invalid", stage):
            stage.approve_in_app(started, other, token=tracked.token)
    assert stage.approve_in_app(started, app, token=tracked.token)


def test_a_bad_signature_of_who_is_not_asked_does_not_make_the_challenge_theirs(
    stage: Stage, app: SoftwareDevice
) -> None:
    """Whose device it has to be comes from the token, and is never written into what everybody may answer."""
    eves = stage.enrol("eve", "in-app")
    mine, hers, started = stage.track(), stage.track(user_id="eve"), BEGINS["without a word"](stage)
    with refused("signature_invalid", stage, attempts=1, but=["device challenges"]):
        stage.approve_in_app(started, eves, token=hers.token, signature=b"")
    stored = stage.memory.find_device_challenge("", started.challenge_id)
    assert stored is not None
    assert stored.user_id is None
    assert stage.approve_in_app(started, app, token=mine.token)


def test_each_signs_in_its_own_protocol(stage: Stage, app: SoftwareDevice) -> None:
    tracked = stage.track()
    ours, theirs = stage.ask(tracked, "in-app"), BEGINS["without a word"](stage)
    purpose = theirs.challenge.purpose
    signatures = (
        (ours, app.sign_challenge_id(ours.challenge_id)),
        (theirs, app.answer(theirs.challenge_id, "approve", purpose=purpose)),
    )
    for started, signature in signatures:
        with refused("signature_invalid", stage, attempts=1, but=["device challenges"]):
            stage.approve_in_app(started, app, token=tracked.token, signature=signature)


def test_a_service_that_allows_them_no_more_knows_none_of_their_challenges(stage: Stage, app: SoftwareDevice) -> None:
    tracked, started = stage.track(), BEGINS["without a word"](stage)
    strict = Stage(stage.colour, memory=stage.memory, clock=stage.clock, seed="strict")
    with refused("challenge_unknown", stage):
        strict.approve_in_app(started, app, token=tracked.token)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_it_is_not_answered_as_a_challenge_that_somebody_waits_for(
    stage: Stage, app: SoftwareDevice, decision: str
) -> None:
    for begin in BEGINS.values():
        started = begin(stage)
        with refused("challenge_unknown", stage):
            stage.actions.answer_device_challenge(started.challenge_id, decision=decision, **approval_of(started, app))


def test_a_word_may_come_with_the_answer(stage: Stage, app: SoftwareDevice) -> None:
    met = stage.approve_in_app(stage.begin_in_app(None, protocol="challenge-id"), app, action="sign-in")
    assert (met.user_id, met.action.action, met.action.state) == ("ada", "sign-in", ActionState.CHALLENGE_SUCCEEDED)


def test_but_no_other_than_the_start_was_given(stage: Stage, app: SoftwareDevice) -> None:
    started = stage.begin_in_app("sign-in", protocol="challenge-id")
    with refused("challenge_unknown", stage):
        stage.approve_in_app(started, app, action="pay")
    with refused("action_invalid", stage):
        stage.approve_in_app(started, app, action="sign in")
    assert stage.approve_in_app(started, app, action="sign-in"), "nothing was spent"


def test_nor_than_the_tokens(stage: Stage, app: SoftwareDevice) -> None:
    tracked, started = stage.track(), stage.begin_in_app(None, protocol="challenge-id")
    with refused("challenge_unknown", stage):
        stage.approve_in_app(started, app, token=tracked.token, action="look")
    assert stage.approve_in_app(started, app, token=tracked.token, action="pay")


def test_which_word_a_challenge_waits_for_can_be_asked(stage: Stage, app: SoftwareDevice) -> None:
    for word in ("sign-in", None):
        started = stage.begin_in_app(word, protocol="challenge-id")
        assert stage.actions.in_app_challenge_action(started.challenge_id) == word
        stage.approve_in_app(started, app, action="sign-in")
        with refused("challenge_unknown", stage):
            stage.actions.in_app_challenge_action(started.challenge_id)
    late, other = stage.begin_in_app("sign-in", protocol="challenge-id"), stage.ask(stage.track(), "in-app")
    with refused("challenge_unknown", stage):
        stage.actions.in_app_challenge_action(other.challenge_id)
    stage.clock.move(minutes=5)
    for challenge_id in (late.challenge_id, "x"):
        with refused("challenge_unknown", stage):
            stage.actions.in_app_challenge_action(challenge_id)
