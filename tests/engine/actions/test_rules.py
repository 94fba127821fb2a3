"""What rules are told of an action: what was sent, what the user has, and what happened before."""

from datetime import timedelta
from typing import Any

import pytest

from passkeycore.actions import (
    ActionRules,
    ActionSettings,
    ActionState,
    Condition,
    DataPoint,
    Outcome,
    Rule,
    TimeOfDay,
)
from passkeycore.engine.actions.tracking import ClientInfo
from tests.engine.kit import NOW, Colour, browser

from .cast import Cast
from .kit import Stage, forged, refused, register_elsewhere

CONDITIONS: dict[str, Condition] = {
    "network": Condition(ip_address_in=("192.0.2.0/24",)),
    "browser": Condition(user_agent_contains=("firefox",)),
    "laptop": Condition(device_id_in=("laptop",)),
    "known": Condition(device_known=True),
    "large": Condition(custom={"amount": DataPoint(at_least=100)}),
    "noon": Condition(time_of_day=TimeOfDay(zone="UTC", start=NOW.time(), end=(NOW + timedelta(hours=1)).time())),
    "passkey": Condition(enrolled_any_of=("passkey",)),
    "push": Condition(enrolled_any_of=("push",)),
    "nothing": Condition(enrolled_at_most=0),
    "verified": Condition(user_verified_within_s=60),
    "failures": Condition(recent_failures_at_least=2),
}


def rules_of(*names: str) -> ActionRules:
    """Rules that change nothing, so that what is unknown holds none of them: the answer lists those that held."""
    return ActionRules(
        actions={
            "pay": ActionSettings(
                rules=tuple(Rule(id=name, outcome=Outcome.CHALLENGE, when=CONDITIONS[name]) for name in names)
            )
        },
        failure_window_s=600,
    )


@pytest.fixture
def cast(colour: Colour) -> Cast:
    """Ada, where every rule is asked."""
    return Cast(colour, rules=rules_of(*CONDITIONS), actions={"max_attempts": 1})


def held(stage: Stage, user_id: str = "ada", **client: Any) -> set[str]:
    return set(stage.track(user_id=user_id, client=ClientInfo(**client)).rule_ids)


class TestSent:
    @pytest.mark.parametrize(
        ("client", "rule"),
        [
            ({"ip_address": "192.0.2.7"}, "network"),
            ({"user_agent": "Mozilla Firefox"}, "browser"),
            ({"device_id": "laptop"}, "laptop"),
            ({"custom": {"amount": 100}}, "large"),
        ],
    )
    def test_what_the_client_sent(self, cast: Cast, client: dict[str, Any], rule: str) -> None:
        assert rule in held(cast.stage, **client)
        assert rule not in held(cast.stage)

    def test_a_user_agent_is_looked_at_as_far_as_it_is_kept(self, cast: Cast) -> None:
        assert "browser" not in held(cast.stage, user_agent=1024 * "a" + "firefox")

    def test_the_time_is_the_services(self, cast: Cast) -> None:
        assert "noon" in held(cast.stage)
        cast.stage.clock.move(hours=1)
        assert "noon" not in held(cast.stage)

    def test_what_the_user_has(self, cast: Cast) -> None:
        assert {"passkey", "push"} <= held(cast.stage)
        assert held(cast.stage, "eve") & {"passkey", "push", "nothing"} == {"nothing"}
        cast.stage.devices.remove_device("ada", cast.stage.device_id_of())
        assert held(cast.stage) & {"passkey", "push"} == {"passkey"}

    def test_what_is_of_no_use_now_is_enrolled_all_the_same(self, colour: Colour) -> None:
        """An expired device, a passkey of another RP ID: somebody who has to prove themselves, not somebody new."""
        stage = Stage(colour, rules=rules_of("passkey", "push", "nothing"))
        stage.enrol(expires_at=NOW + timedelta(minutes=1))
        stage.clock.move(minutes=1)
        assert held(stage) == {"push"}
        register_elsewhere(stage, "eve")
        assert held(stage, "eve") == {"passkey"}

    def test_a_disabled_user_has_nothing(self, cast: Cast) -> None:
        cast.stage.passkeys.disable_user("ada")
        assert held(cast.stage) & {"passkey", "push", "nothing"} == {"nothing"}
        assert cast.stage.track().state is ActionState.BLOCK

    def test_the_answer_lists_every_rule_that_held_and_the_first_decides(self, colour: Colour) -> None:
        network, laptop = CONDITIONS["network"], CONDITIONS["laptop"]
        rules = ActionRules(
            actions={
                "pay": ActionSettings(
                    rules=(
                        Rule(id="a", outcome=Outcome.BLOCK, when=network),
                        Rule(id="b", outcome=Outcome.ALLOW, when=laptop),
                    )
                )
            }
        )
        stage = Stage(colour, rules=rules)
        tracked = stage.track(client=ClientInfo(ip_address="192.0.2.1", device_id="laptop"))
        assert (tracked.state, tracked.rule_ids) == (ActionState.BLOCK, ("a", "b"))
        assert stage.now(tracked).rule_ids == ("a", "b")


class TestBefore:
    def test_a_device_is_known_once_a_challenge_was_met_with_it(self, cast: Cast) -> None:
        stage = cast.stage
        tracked = stage.track(client=ClientInfo(device_id="phone"))
        assert "known" not in held(stage, device_id="phone"), "it was only seen"
        stage.approve(tracked, cast.phone)
        assert "known" in held(stage, device_id="phone")
        assert "known" not in held(stage, device_id="other")
        assert "known" not in held(stage)
        assert "known" not in held(stage, "eve", device_id="phone")

    def test_verification_counts_where_it_can_be_trusted(self, cast: Cast) -> None:
        stage = cast.stage
        stage.approve(stage.track(), cast.phone)
        assert "verified" not in held(stage), "a device proves none"
        stage.meet(stage.track(), cast.client)
        assert "verified" in held(stage)
        assert "verified" not in held(stage, "eve")
        stage.clock.move(seconds=60)
        assert "verified" in held(stage)
        stage.clock.move(seconds=1)
        assert "verified" not in held(stage)

    def test_trust_ends_with_what_has_earned_it(self, cast: Cast) -> None:
        """Who stole a telephone earns nothing that outlasts its removal; what is enrolled next begins anew."""
        stage = cast.stage
        for id in ("phone", "both"):
            stage.approve(stage.track(client=ClientInfo(device_id=id)), cast.phone)
        for id in ("browser", "both"):
            stage.meet(stage.track(client=ClientInfo(device_id=id)), cast.client)
        trusted = {id for id in ("phone", "browser", "both") if "known" in held(stage, device_id=id)}
        assert trusted == {"phone", "browser", "both"}
        stage.devices.remove_device("ada", stage.device_id_of())
        assert "known" not in held(stage, device_id="phone")
        for id in ("browser", "both"):
            assert {"known", "verified"} <= held(stage, device_id=id), "the passkey has earned it, too"
        stage.passkeys.remove_all_passkeys("ada")
        stage.register(client=browser("ada's next"))
        stage.enrol()
        for id in ("phone", "browser", "both"):
            assert held(stage, device_id=id) & {"known", "verified"} == set()

    def test_failures_count_while_they_are_recent(self, cast: Cast) -> None:
        stage = cast.stage
        for _ in range(2):
            assert "failures" not in held(stage)
            tracked = stage.track()
            with refused("signature_invalid"):
                stage.actions.finish_passkey_challenge(tracked.token, forged(stage.signed(tracked, cast.client)))
        assert "failures" in held(stage)
        assert "failures" not in held(stage, "eve")
        stage.clock.move(minutes=10)
        assert "failures" in held(stage)
        stage.clock.move(seconds=1)
        assert "failures" not in held(stage)

    def test_what_went_wrong_is_a_failure_at_once_though_the_action_is_open(self, colour: Colour) -> None:
        """And as long after it as one that has ended: whether the action lapses meanwhile does not matter."""
        stage = Cast(colour, rules=rules_of("failures")).stage
        stage.actions.cancel_challenge(stage.track().token)
        assert held(stage) == set()
        tracked = stage.track()
        stage.clock.move(minutes=5)
        stage.actions.cancel_challenge(tracked.token)
        assert held(stage) == {"failures"}
        assert stage.now(tracked).state is ActionState.CHALLENGE_REQUIRED
        stage.clock.at = NOW + timedelta(minutes=10)  # when both have lapsed, and the first attempt is just recent
        assert held(stage) == {"failures"}
        stage.clock.move(microseconds=1)
        assert held(stage) == set()

    def test_an_action_is_one_failure_from_its_last_attempt_on(self, colour: Colour) -> None:
        stage = Cast(colour, rules=rules_of("failures")).stage
        tracked = stage.track()
        for _ in range(2):
            stage.actions.cancel_challenge(tracked.token)
            assert held(stage) == set()
        stage.clock.move(minutes=9)
        for token in (tracked.token, stage.track().token):
            stage.actions.cancel_challenge(token)
        assert held(stage) == {"failures"}
        stage.clock.move(minutes=10)
        assert held(stage) == {"failures"}

    def test_what_was_met_in_the_end_is_none(self, colour: Colour) -> None:
        cast = Cast(colour, rules=rules_of("failures"))
        stage = cast.stage
        tracked = [stage.track() for _ in range(2)]
        for one in tracked:
            stage.actions.cancel_challenge(one.token)
        assert held(stage) == {"failures"}
        met = stage.meet(tracked[0], cast.client)
        assert (met.action.attempts, met.action.last_failure_at) == (1, NOW)
        assert held(stage) == set()

    def test_what_lapsed_untried_is_none_even_where_it_was_written(self, colour: Colour) -> None:
        """People close windows, and proofs come too late."""
        cast = Cast(colour, rules=rules_of("failures"))
        stage = cast.stage
        for _ in range(3):
            tracked = stage.track()
            body = stage.signed(tracked, cast.client)
            stage.before["advance_passkey"] = lambda *_, at=tracked.action.expires_at: setattr(stage.clock, "at", at)
            with refused("action_state"):
                stage.actions.finish_passkey_challenge(tracked.token, body)
            (written,) = [one for one in stage.all_actions().values() if one.created_at == tracked.action.created_at]
            assert written.state is ActionState.CHALLENGE_FAILED
            stage.clock.move(microseconds=1)
        assert held(stage) == set()

    def test_a_no_is_a_failure_without_attempts(self, colour: Colour) -> None:
        cast = Cast(colour, rules=rules_of("failures"))
        for _ in range(2):
            assert held(cast.stage) == set()
            cast.reject(cast.stage.track())
        assert held(cast.stage) == {"failures"}

    def test_those_of_another_realm_are_not_this_ones(self, cast: Cast) -> None:
        stage = cast.stage
        stage.meet(stage.track(client=ClientInfo(device_id="phone")), cast.client)
        there = Stage(
            stage.colour, memory=stage.memory, clock=stage.clock, realm="b", rules=rules_of("known", "verified")
        )
        assert held(there, device_id="phone") == set()

    def test_who_asks_nothing_of_it_reads_nothing_of_it(self, cast: Cast) -> None:
        """One read less where no rule looks at what happened."""
        reads: list[object] = []
        for names, number in ((("network", "push"), 0), (("known",), 1), (("verified",), 1), (("failures",), 1)):
            stage = Stage(cast.stage.colour, memory=cast.stage.memory, rules=rules_of(*names))
            reads.clear()
            stage.before["action_history"] = lambda *arguments: reads.append(arguments)
            stage.track()
            assert len(reads) == number, names


class TestMethods:
    RULES = ActionRules(
        actions={
            "pay": ActionSettings(
                allowed_methods=("passkey", "push"),
                rules=(
                    Rule(
                        id="strict",
                        outcome=Outcome.CHALLENGE,
                        when=Condition(custom={"amount": DataPoint(at_least=100)}),
                        allowed_methods=("passkey",),
                    ),
                ),
            )
        }
    )

    def test_a_rule_may_allow_fewer(self, colour: Colour) -> None:
        cast = Cast(colour, rules=self.RULES)
        stage = cast.stage
        strict = stage.track(client=ClientInfo(custom={"amount": 100}))
        usual = stage.track(client=ClientInfo(custom={"amount": 1}))
        assert strict.action.allowed_methods == ("passkey",)
        assert usual.action.allowed_methods == ("passkey", "push")
        with refused("method_not_allowed", stage):
            stage.ask(strict)
        assert stage.approve(usual, cast.phone)
        assert stage.meet(strict, cast.client)
