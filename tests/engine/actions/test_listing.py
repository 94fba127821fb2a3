"""Listing actions: the newest first, as they are now, page by page."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from passkeycore.actions import ActionState
from passkeycore.engine.actions.records import ActionFilter
from tests.engine.kit import NOW, Colour

from .kit import Stage, refused

REQUIRED, FAILED = ActionState.CHALLENGE_REQUIRED, ActionState.CHALLENGE_FAILED
MINUTE = timedelta(minutes=1)


@pytest.fixture
def five(colour: Colour) -> Stage:
    """Five actions, a minute between each: ada pays, eve pays, ada looks, ada pays, ada borrows."""
    stage = Stage(colour)
    for number, (user_id, action) in enumerate(
        (("ada", "pay"), ("eve", "pay"), ("ada", "look"), ("ada", "pay"), ("ada", "borrow"))
    ):
        stage.track(action, user_id, idempotency_key=str(number))
        stage.clock.move(minutes=1)
    return stage


def keys(stage: Stage, which: ActionFilter | None = None, **more: Any) -> str:
    return "".join(action.idempotency_key for action in stage.actions.list_actions(which, **more).actions)


@pytest.mark.parametrize(
    ("which", "listed"),
    [
        (None, "43210"),
        (ActionFilter(), "43210"),
        (ActionFilter(user_id="ada"), "4320"),
        (ActionFilter(user_id="nobody"), ""),
        (ActionFilter(actions=("pay",)), "310"),
        (ActionFilter(actions=("pay", "look"), user_id="ada"), "320"),
        (ActionFilter(actions=()), ""),
        (ActionFilter(states=(ActionState.ALLOW, ActionState.REVIEW_REQUIRED)), "42"),
        (ActionFilter(states=()), ""),
        (ActionFilter(since=NOW + MINUTE, until=NOW + 3 * MINUTE), "21"),
    ],
)
def test_a_filter_says_which(five: Stage, which: ActionFilter | None, listed: str) -> None:
    assert keys(five, which) == listed


def test_an_expired_challenge_has_failed_though_nobody_wrote_it(five: Stage) -> None:
    five.clock.at = NOW + timedelta(minutes=11)  # the first two are over
    before = five.stored()
    assert keys(five, ActionFilter(states=(FAILED,))) == "10"
    assert keys(five, ActionFilter(states=(REQUIRED,))) == "3"
    late = five.actions.list_actions(ActionFilter(user_id="eve")).actions[0]
    assert (late.state, late.state_updated_at) == (FAILED, late.expires_at)
    assert five.stored() == before, "looking writes nothing"


def test_pages_give_every_action_once(five: Stage) -> None:
    seen, cursor = "", None
    for size in (2, 2, 1):
        page = five.actions.list_actions(cursor=cursor, limit=2)
        assert len(page.actions) == size
        seen += "".join(action.idempotency_key for action in page.actions)
        cursor = page.next_cursor
    assert (seen, cursor) == ("43210", None)


def test_other_realms_are_not_listed(five: Stage) -> None:
    other = Stage(five.colour, memory=five.memory, realm="b")
    assert keys(other) == ""
    other.track(idempotency_key="b")
    assert (keys(other), keys(five)) == ("b", "43210")


@pytest.mark.parametrize(
    ("code", "path", "arguments"),
    [
        ("configuration_invalid", "limit", {"limit": 0}),
        ("configuration_invalid", "limit", {"limit": 1001}),
        ("configuration_invalid", "limit", {"limit": "1"}),
        ("configuration_invalid", "which", {"which": ActionFilter(since=datetime(2026, 1, 1))}),  # noqa: DTZ001
        ("configuration_invalid", "which", {"which": ActionFilter(until=datetime(2026, 1, 1))}),  # noqa: DTZ001
        ("user_id_invalid", "user_id", {"which": ActionFilter(user_id="a\0")}),
        ("action_invalid", "action", {"which": ActionFilter(actions=("pay", "\0"))}),
        ("action_invalid", "which.states", {"which": ActionFilter(states=("PAID",))}),  # type: ignore[arg-type]
        ("configuration_invalid", "which", {"which": {"user_id": "ada"}}),
        ("configuration_invalid", "which", {"which": "ada"}),
        ("configuration_invalid", "which", {"which": ActionFilter(actions=["pay"])}),  # type: ignore[arg-type]
        ("configuration_invalid", "which", {"which": ActionFilter(states="ALLOW")}),  # type: ignore[arg-type]
        ("configuration_invalid", "which", {"which": ActionFilter(since="2026-01-01")}),  # type: ignore[arg-type]
        ("configuration_invalid", "which", {"which": ActionFilter(until=7)}),  # type: ignore[arg-type]
        ("user_id_invalid", "user_id", {"which": ActionFilter(user_id=7)}),  # type: ignore[arg-type]
        ("action_invalid", "action", {"which": ActionFilter(actions=(7,))}),  # type: ignore[arg-type]
        ("cursor_invalid", "cursor", {"cursor": 7}),
        ("cursor_invalid", None, {"cursor": "nonsense"}),
    ],
)
def test_what_no_storage_could_look_for_is_refused(
    five: Stage, code: str, path: str | None, arguments: dict[str, Any]
) -> None:
    with refused(code, five) as caught:
        five.actions.list_actions(**arguments)
    assert path is None or caught.value.path == path


def test_the_most_is_a_thousand(five: Stage) -> None:
    assert keys(five, limit=1000) == "43210"
