"""The same stories over every storage, in both colours: what a repository must not change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passkeycore.actions import ActionRules, ActionSettings, ActionState, Condition, Outcome, Rule
from passkeycore.engine.actions.records import ActionFilter
from passkeycore.engine.actions.tracking import ClientInfo
from passkeycore.testing import SoftwareDevice
from tests.engine.kit import browser

from .kit import DOMAIN, SCOPE, Stage, enrolled, refused

HISTORY = ActionRules(
    default=ActionSettings(
        rules=(
            Rule(id="known", outcome=Outcome.CHALLENGE, when=Condition(device_known=True)),
            Rule(id="verified", outcome=Outcome.CHALLENGE, when=Condition(user_verified_within_s=60)),
            Rule(id="failures", outcome=Outcome.CHALLENGE, when=Condition(recent_failures_at_least=1)),
        )
    )
)


def test_from_the_first_enrolment_to_the_last_proof(shared: Stage) -> None:
    first = shared.track(
        client=ClientInfo(ip_address="192.0.2.1", custom={"amount": 5}), redirect_url="https://example.org"
    )
    client = browser("ada")
    start = shared.actions.start_passkey_enrolment(first.token, user_name="ada")
    shared.actions.finish_passkey_enrolment(first.token, client.create(start.to_dict()))
    met = shared.meet(first, client)
    phone = SoftwareDevice("ada's telephone", domain=DOMAIN)
    shared.actions.enrol_device(met.token, **enrolled(phone, met.token))
    assert shared.validate(met, consume=True).custom == {"amount": 5}
    assert shared.validate(shared.approve(shared.track(), phone), consume=True)
    begun = shared.actions.start_passkey_sign_in("sign-in", binding="s")
    signed_in = shared.actions.finish_passkey_sign_in("sign-in", client.get(begun.to_dict()), binding="s")
    assert shared.validate(signed_in, consume=True).state is ActionState.CHALLENGE_SUCCEEDED
    app = shared.enrol(method="in-app")
    assert shared.validate(shared.approve_in_app(shared.begin_in_app("sign-in"), app), consume=True)
    tracked = shared.track()
    assert shared.validate(shared.approve_in_app(shared.ask(tracked, "in-app"), app, token=tracked.token), consume=True)
    words = [action.action for action in shared.actions.list_actions(ActionFilter(user_id="ada")).actions]
    assert words == ["pay", "sign-in", "sign-in", "pay", "pay"]


def test_who_gets_the_id_of_somebody_who_was_removed_gets_nothing_of_theirs(shared: Stage) -> None:
    client = shared.register()
    tracked, other = shared.track(idempotency_key="k", scope=[SCOPE]), shared.track()
    met = shared.meet(other, client)
    body = shared.signed(tracked, client)
    started = shared.ask(tracked)
    shared.passkeys.remove_user("ada")
    shared.register(client=client)
    for call in (
        lambda: shared.validate(met),
        lambda: shared.actions.action_of_token(tracked.token),
        lambda: shared.actions.finish_passkey_challenge(tracked.token, body),
        lambda: shared.actions.finish_device_challenge(tracked.token, started.challenge_id),
        lambda: shared.actions.start_passkey_enrolment(met.token),
        lambda: shared.actions.start_passkey_enrolment(tracked.token),
    ):
        with refused("token_invalid"):
            call()
    assert shared.actions.list_actions(ActionFilter(user_id="ada")).actions == ()
    shared.clock.move(seconds=1)
    assert shared.track(idempotency_key="k").token != tracked.token


def test_the_longest_names_and_texts_come_back(shared: Stage) -> None:
    key = "\U0001f511"
    custom: dict[str, Any] = {64 * "a": 1024 * key, "most": 2**63 - 1, "float": 1e300, "true": True}
    client = ClientInfo(ip_address=64 * "1", user_agent=1024 * key, device_id=255 * key, custom=custom)
    tracked = shared.track(64 * "Z", 255 * key, idempotency_key=255 * key, client=client, redirect_url=2048 * key)
    assert shared.now(tracked) == tracked.action
    assert shared.actions.action_of_token(tracked.token) == tracked.action
    assert tracked.action.custom == custom


@pytest.mark.parametrize("settings", [{"rules": HISTORY, "actions": {"max_attempts": 1}}])
def test_rules_see_what_happened(shared: Stage) -> None:
    client = shared.register()

    def held() -> set[str]:
        return set(shared.track(client=ClientInfo(device_id="phone")).rule_ids)

    assert held() == set()
    shared.meet(shared.track(client=ClientInfo(device_id="phone")), client)
    assert held() == {"known", "verified"}
    shared.clock.move(seconds=61)
    assert held() == {"known"}
    shared.actions.cancel_challenge(shared.track().token)
    assert held() == {"known", "failures"}
    shared.clock.move(hours=2)
    assert held() == {"known"}
    shared.passkeys.remove_all_passkeys("ada")
    shared.register(client=browser("next"))
    assert held() == set(), "what was removed is trusted no more"


def test_what_is_old_is_removed(shared: Stage) -> None:
    old = shared.track(idempotency_key="old")
    shared.clock.move(days=3)
    new = shared.track(idempotency_key="new")
    assert shared.actions.remove_actions(shared.clock.at - timedelta(days=1)) == 1
    (left,) = shared.actions.list_actions().actions
    assert left == new.action
    assert shared.track(idempotency_key="old").token != old.token


def test_what_expired_is_listed_as_failed(shared: Stage) -> None:
    late = shared.track()
    shared.clock.move(minutes=5)
    early = shared.track()
    shared.clock.at = late.action.expires_at
    for state, tracked in ((ActionState.CHALLENGE_FAILED, late), (ActionState.CHALLENGE_REQUIRED, early)):
        (found,) = shared.actions.list_actions(ActionFilter(states=(state,))).actions
        assert (found.idempotency_key, found.state) == (tracked.idempotency_key, state)


def test_pages_give_every_action_once(shared: Stage) -> None:
    keys = [shared.track().idempotency_key for _ in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page = shared.actions.list_actions(cursor=cursor, limit=2)
        seen += [action.idempotency_key for action in page.actions]
        cursor = page.next_cursor
    assert (seen, cursor) == (keys[::-1], None)


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("user_id_invalid", {"which": ActionFilter(user_id="a\0")}),
        ("action_invalid", {"which": ActionFilter(actions=("\0",))}),
        ("cursor_invalid", {"cursor": "\0"}),
        ("cursor_invalid", {"cursor": "99999999999999999999999999"}),
        ("cursor_invalid", {"cursor": "\u0661"}),
    ],
)
def test_what_no_storage_could_look_for_never_reaches_it(shared: Stage, code: str, arguments: dict[str, Any]) -> None:
    shared.track()
    with refused(code):
        shared.actions.list_actions(**arguments)


def test_texts_that_no_storage_holds_never_reach_it(shared: Stage) -> None:
    shared.enrol()
    tracked = shared.track()
    calls: tuple[tuple[str, Callable[[], object]], ...] = (
        ("name_invalid", lambda: shared.ask(tracked, authenticator_id="\0")),
        ("name_invalid", lambda: shared.ask(tracked, content="\0")),
        ("name_invalid", lambda: shared.actions.get_action("ada", "pay", "\0")),
        ("challenge_unknown", lambda: shared.actions.finish_device_challenge(tracked.token, "\0")),
        ("challenge_unknown", lambda: shared.actions.cancel_challenge(tracked.token, "\0")),
    )
    for code, call in calls:
        with refused(code):
            call()
