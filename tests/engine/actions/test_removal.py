"""Removing old actions: which go, which bounds there are, and what is left of those that are gone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from passkeycore.engine.records import EventType
from tests.engine.kit import NOW, Colour

from .cast import Cast
from .kit import Stage, refused

DAY = timedelta(days=1)


def test_those_go_whose_challenge_expired_before(stage: Stage) -> None:
    """Ten minutes after they began, whatever became of them; one that expired at that moment stays."""
    first = stage.track()
    stage.clock.move(microseconds=1)
    second = stage.track("look")
    stage.clock.at = second.action.expires_at + 2 * DAY
    assert stage.actions.remove_actions(first.action.expires_at) == 0
    assert stage.actions.remove_actions(second.action.expires_at) == 1
    assert [*stage.all_actions().values()] == [second.action]
    assert stage.actions.remove_actions(second.action.expires_at + DAY) == 1
    assert stage.all_actions() == {}


def test_those_of_another_realm_are_not_this_ones(stage: Stage) -> None:
    there = Stage(stage.colour, memory=stage.memory, clock=stage.clock, realm="b")
    theirs = there.track()
    stage.track()
    stage.clock.move(days=3)
    assert stage.actions.remove_actions(NOW + DAY) == 1
    assert [*stage.all_actions().values()] == [theirs.action]


def test_what_is_gone_proves_nothing_and_its_key_begins_anew(cast: Cast) -> None:
    stage = cast.stage
    tracked = stage.track(idempotency_key="k")
    met = stage.meet(tracked, cast.client)
    stage.clock.move(days=2)
    assert stage.actions.remove_actions(NOW + DAY) == 1
    for token in (tracked.token, met.token):
        with refused("token_expired", stage):
            stage.actions.validate_challenge(token)
    with refused("action_not_found", stage):
        stage.now(tracked)
    again = stage.track(idempotency_key="k")
    assert again.token != tracked.token
    assert again.action.state == tracked.action.state


def test_events_stay(colour: Colour) -> None:
    stage = Stage(colour, store_events=True)
    stage.track()
    stage.clock.move(days=2)
    assert stage.actions.remove_actions(NOW + DAY) == 1
    assert [event.type for event in stage.passkeys.list_events().events] == [EventType.ACTION_TRACKED]


@pytest.mark.parametrize(
    "before",
    [
        NOW,
        NOW + DAY,
        NOW - DAY + timedelta(microseconds=1),
        datetime(2020, 1, 1),  # noqa: DTZ001
        "2020-01-01T00:00:00Z",
        0,
        None,
    ],
)
def test_what_may_still_be_of_use_is_not_removed(stage: Stage, before: Any) -> None:
    """A proof lasts as long as its challenge at most, and neither lasts longer than a day."""
    stage.track()
    with refused("configuration_invalid", stage) as caught:
        stage.actions.remove_actions(before)
    assert caught.value.path == "before"


def test_a_day_ago_is_early_enough(stage: Stage) -> None:
    assert stage.actions.remove_actions(NOW - DAY) == 0
