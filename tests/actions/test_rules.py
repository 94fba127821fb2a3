"""Rules: which of them decides, what becomes of facts that are missing, and that they say why."""

import copy
import json
import pickle
from collections import Counter
from datetime import UTC, datetime
from socket import inet_pton
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rules import ACTION, CASES
from passkeycore.actions import (
    ActionRules,
    ActionSettings,
    Condition,
    DataPoint,
    Decision,
    Facts,
    Outcome,
    TimeOfDay,
    reading,
)
from passkeycore.config import parse_rules

from .kit import BAD, NO, NOW, YES, decide, of, rule
from .strategies import ALL, ASKING, THOROUGH, conditions, facts, rules

STRICTNESS = [Outcome.ALLOW, Outcome.CHALLENGE, Outcome.REVIEW, Outcome.BLOCK]
END = datetime.max.replace(tzinfo=UTC)


def custom(**asked: Any) -> Condition:
    return Condition(custom={"point": DataPoint(**asked)})


class TestDecisions:
    def test_the_first_rule_that_holds_decides_and_all_are_named(self) -> None:
        made = of(
            rule(Outcome.BLOCK, NO, "no"),
            rule(Outcome.REVIEW, YES, "first", allowed_methods=("push",)),
            rule(Outcome.BLOCK, YES, "second"),
            default=Outcome.ALLOW,
        )
        decided = decide(made, recent_failures=1)
        assert decided == Decision(
            outcome=Outcome.REVIEW, allowed_methods=("push",), rule_ids=("first", "second"), enrolled=True
        )

    def test_without_a_rule_the_default_decides(self) -> None:
        made = of(rule(Outcome.BLOCK, NO), default=Outcome.REVIEW, allowed_methods=("in-app", "push"))
        assert decide(made) == Decision(
            outcome=Outcome.REVIEW, allowed_methods=("in-app", "push"), rule_ids=(), enrolled=True
        )

    def test_what_nobody_decided_is_challenged(self) -> None:
        assert decide(ActionRules()).outcome is Outcome.CHALLENGE
        assert ActionSettings().not_enrolled is Outcome.CHALLENGE

    def test_actions_that_are_not_listed_have_the_default(self) -> None:
        made = ActionRules(
            actions={"a": ActionSettings(default=Outcome.ALLOW)}, default=ActionSettings(default=Outcome.BLOCK)
        )
        known = Facts(now=NOW)
        assert made.evaluate("a", known).outcome is Outcome.ALLOW
        assert made.evaluate("b", known).outcome is Outcome.BLOCK

    def test_a_rule_without_methods_has_those_of_the_action(self) -> None:
        made = of(rule(Outcome.CHALLENGE, YES), default=Outcome.ALLOW, allowed_methods=("push",))
        assert decide(made, recent_failures=1).allowed_methods == ("push",)


class TestEnrolment:
    @pytest.mark.parametrize("not_enrolled", Outcome)
    def test_who_can_meet_no_challenge_gets_the_other_outcome(self, not_enrolled: Outcome) -> None:
        made = of(default=Outcome.CHALLENGE, allowed_methods=("passkey",), not_enrolled=not_enrolled)
        without = decide(made, enrolled_methods=frozenset({"push"}))
        assert (without.outcome, without.enrolled) == (not_enrolled, False)
        enrolled = decide(made, enrolled_methods=frozenset({"push", "passkey"}))
        assert (enrolled.outcome, enrolled.enrolled) == (Outcome.CHALLENGE, True)

    @pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.CHALLENGE])
    def test_it_replaces_challenges_only(self, outcome: Outcome) -> None:
        made = of(default=outcome, not_enrolled=Outcome.ALLOW)
        decided = decide(made, enrolled_methods=frozenset())
        assert (decided.outcome, decided.enrolled) == (outcome, False)

    def test_a_rule_that_demands_another_method_opens_nothing(self) -> None:
        """Of two rules the stricter would otherwise let somebody through whom the other stops."""
        made = of(
            rule(Outcome.CHALLENGE, YES, allowed_methods=("passkey",)),
            allowed_methods=("passkey", "push"),
            not_enrolled=Outcome.ALLOW,
        )
        push = frozenset({"push"})
        assert decide(made, enrolled_methods=push, recent_failures=1).outcome is Outcome.CHALLENGE
        assert decide(made, enrolled_methods=push).outcome is Outcome.CHALLENGE
        assert decide(made, enrolled_methods=frozenset(), recent_failures=1).outcome is Outcome.ALLOW


class TestMissing:
    @pytest.mark.parametrize("outcome", Outcome)
    @pytest.mark.parametrize("default", Outcome)
    @pytest.mark.parametrize("known", [None, "no address"])
    def test_an_undecided_rule_counts_if_it_is_stricter(
        self, outcome: Outcome, default: Outcome, known: str | None
    ) -> None:
        decided = decide(of(rule(outcome, BAD), default=default), ip_address=known)
        counts = STRICTNESS.index(outcome) > STRICTNESS.index(default)
        assert decided.rule_ids == (("r",) if counts else ())
        assert decided.outcome is (outcome if counts else default)

    def test_it_is_compared_with_what_decides_without_it(self) -> None:
        made = of(
            rule(Outcome.CHALLENGE, BAD, "weak"),
            rule(Outcome.BLOCK, BAD, "strong"),
            rule(Outcome.ALLOW, YES, "holds"),
            rule(Outcome.REVIEW, BAD, "late"),
            default=Outcome.CHALLENGE,
        )
        decided = decide(made, recent_failures=1)
        assert (decided.outcome, decided.rule_ids) == (Outcome.BLOCK, ("strong", "holds", "late"))

    def test_it_is_not_compared_with_what_the_rules_before_it_decide(self) -> None:
        made = of(rule(Outcome.CHALLENGE, BAD, "bad"), rule(Outcome.ALLOW, YES, "yes"), default=Outcome.BLOCK)
        decided = decide(made, recent_failures=1)
        assert (decided.outcome, decided.rule_ids) == (Outcome.CHALLENGE, ("bad", "yes"))

    @pytest.mark.parametrize("outcome", Outcome)
    def test_fewer_methods_make_nothing_but_a_challenge_stricter(self, outcome: Outcome) -> None:
        made = of(rule(outcome, BAD, allowed_methods=("passkey",)), default=Outcome.BLOCK)
        assert (decide(made).outcome, decide(made).rule_ids) == (Outcome.BLOCK, ())

    def test_a_challenge_that_fewer_methods_meet_is_stricter(self) -> None:
        narrow = rule(Outcome.CHALLENGE, BAD, allowed_methods=("passkey",))
        assert decide(of(narrow, allowed_methods=("passkey", "push"))).allowed_methods == ("passkey",)
        wide = rule(Outcome.CHALLENGE, BAD, allowed_methods=("passkey", "push"))
        assert decide(of(wide, allowed_methods=("passkey",))).allowed_methods == ("passkey",)
        other = rule(Outcome.CHALLENGE, BAD, allowed_methods=("push",))
        assert decide(of(other, allowed_methods=("passkey",))).allowed_methods == ("passkey",)

    def test_strictness_is_that_of_what_follows(self) -> None:
        """A challenge that becomes a block for who is not enrolled is stricter than a review."""
        made = of(rule(Outcome.CHALLENGE, BAD), default=Outcome.REVIEW, not_enrolled=Outcome.BLOCK)
        assert decide(made, enrolled_methods=frozenset()).outcome is Outcome.BLOCK
        assert decide(made).outcome is Outcome.REVIEW

    def test_a_rule_may_say_what_it_means(self) -> None:
        only_if_known = Condition(ip_address_in=("192.0.2.0/24",), present=("ip_address",))
        assert decide(of(rule(Outcome.BLOCK, only_if_known), default=Outcome.ALLOW)).outcome is Outcome.ALLOW
        also_unknown = Condition(any_of=(BAD, Condition(missing=("ip_address",))))
        assert decide(of(rule(Outcome.ALLOW, also_unknown), default=Outcome.BLOCK)).outcome is Outcome.ALLOW

    @THOROUGH
    @given(
        rules(conditions(ASKING)), facts, st.sets(st.sampled_from(["ip_address", "user_agent", "device_id", "custom"]))
    )
    def test_nobody_gains_by_leaving_something_out(self, made: ActionRules, known: Facts, left_out: set[str]) -> None:
        nothing: dict[str, Any] = {name: {} if name == "custom" else None for name in left_out}
        before = made.evaluate("a", known).outcome
        after = made.evaluate("a", msgspec.structs.replace(known, **nothing)).outcome
        assert STRICTNESS.index(after) >= STRICTNESS.index(before)


class TestExplanations:
    def test_every_member_says_what_it_saw_and_no_value(self) -> None:
        secret = "an account number"
        made = of(
            rule(
                Outcome.BLOCK,
                Condition(
                    ip_address_in=("192.0.2.0/24",),
                    user_agent_contains=("curl",),
                    custom={"iban": DataPoint(equals="x", exists=True), "amount": DataPoint(at_least=5)},
                    any_of=(Condition(device_known=True), Condition(time_of_day=TimeOfDay(zone="UTC"))),
                    missing=("ip_address", "device_id"),
                ),
            )
        )
        known = Facts(now=NOW, ip_address="::1", user_agent="Mozilla", custom={"iban": secret, "amount": True})
        explained = made.evaluate("a", known, explain=True).explanation
        assert explained is not None
        assert secret not in str(explained)
        [one] = explained
        assert (one.rule_id, one.held, one.undecided) == ("r", False, False)
        assert [(each.condition, each.holds, each.seen) for each in one.conditions] == [
            ("ip_address_in", False, "IPv6"),
            ("user_agent_contains", False, "text"),
            ("custom.iban.equals", False, "text"),
            ("custom.iban.exists", True, "text"),
            ("custom.amount.at_least", None, "truth value"),
            ("missing", True, "IPv6, missing"),
            ("any_of", True, "conditions"),
            ("any_of[0].device_known", False, "new"),
            ("any_of[1].time_of_day", True, "time"),
        ]

    @pytest.mark.parametrize(
        ("condition", "known", "seen"),
        [
            (BAD, {}, "missing"),
            (BAD, {"ip_address": "x"}, "unreadable"),
            (BAD, {"ip_address": "::ffff:192.0.2.1"}, "IPv4"),
            (custom(at_least=1), {}, "missing"),
            (custom(at_least=1), {"custom": {"point": 2.5}}, "number"),
            (custom(at_least=1), {"custom": {"point": b"5"}}, "unreadable"),
            (Condition(user_verified_within_s=1), {}, "never"),
            (Condition(user_verified_within_s=1), {"user_verified_at": NOW}, "time"),
            (Condition(device_id_in=("a",)), {"device_id": "b"}, "text"),
            (Condition(device_known=True), {"device_id": "b", "device_known": True}, "known"),
            (Condition(enrolled_at_least=1), {}, "0 methods"),
            (Condition(recent_failures_at_least=1), {}, "number"),
            (
                Condition(time_of_day=TimeOfDay(zone="Asia/Tokyo")),
                {"now": END},
                "unreadable",
            ),
        ],
    )
    def test_kinds_of_values(self, condition: Condition, known: dict[str, Any], seen: str) -> None:
        members: dict[str, Any] = {"now": NOW} | known
        explained = of(rule(Outcome.ALLOW, condition)).evaluate("a", Facts(**members), explain=True)
        assert explained.explanation is not None
        assert [one.seen for one in explained.explanation[0].conditions] == [seen]

    def test_nothing_is_explained_unless_asked(self) -> None:
        assert decide(of(rule(Outcome.ALLOW, YES))).explanation is None

    @THOROUGH
    @given(rules(conditions(ALL)), facts)
    def test_nothing_is_ever_raised_and_the_explanation_agrees(self, made: ActionRules, known: Facts) -> None:
        decided = made.evaluate("a", known)
        explained = made.evaluate("a", known, explain=True)
        results = explained.explanation
        assert results is not None
        assert msgspec.structs.replace(explained, explanation=None) == decided
        action = made.actions["a"]
        assert [one.rule_id for one in results] == [one.id for one in action.rules]
        assert tuple(one.rule_id for one in results if one.held) == decided.rule_ids
        for one in results:
            said = {each.holds for each in one.conditions if "[" not in each.condition}
            expected = False if False in said else None if None in said else True
            assert one.undecided is (expected is None)
            assert one.held is expected or one.undecided
        first = next((one for one in action.rules if one.id in decided.rule_ids), None)
        outcome = action.default if first is None else first.outcome
        methods = (first and first.allowed_methods) or action.allowed_methods
        assert decided.allowed_methods == methods
        assert decided.enrolled is bool(known.enrolled_methods & {*methods})
        if outcome is not Outcome.CHALLENGE or decided.enrolled:
            assert decided.outcome is outcome
        else:
            assert decided.outcome in {Outcome.CHALLENGE, action.not_enrolled}


class TestNeeds:
    @pytest.mark.parametrize(
        ("condition", "needed"),
        [
            (Condition(device_known=False), True),
            (Condition(user_verified_within_s=1), True),
            (Condition(user_not_verified_within_s=1), True),
            (Condition(recent_failures_at_least=1), True),
            (Condition(none_of=(Condition(any_of=(Condition(device_known=True),)),)), True),
            (Condition(device_id_in=("d",)), False),
            (BAD, False),
            (Condition(enrolled_at_least=1), False),
        ],
    )
    def test_history_is_needed_only_by_what_looks_at_it(self, condition: Condition, needed: bool) -> None:
        made = of(rule(Outcome.ALLOW, condition))
        assert made.needs_history("a") is needed
        assert made.needs_history("another") is False
        assert ActionRules(default=made.actions["a"]).needs_history("another") is needed

    def test_an_address_is_read_only_if_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = Counter[str]()

        def counting(family: int, address: str) -> bytes:
            read[address] += 1
            return inet_pton(family, address)

        monkeypatch.setattr(reading, "inet_pton", counting)
        decide(of(rule(Outcome.ALLOW, YES)), ip_address="192.0.2.1")
        assert not read
        decide(of(*(rule(Outcome.ALLOW, BAD, f"r{number}") for number in range(5))), ip_address="192.0.2.1")
        assert read == {"192.0.2.1": 1}


class TestValues:
    def test_rules_do_not_change_with_what_they_were_made_of(self) -> None:
        given = {"a": ActionSettings(default=Outcome.BLOCK)}
        made = ActionRules(actions=given)
        given["a"] = ActionSettings(default=Outcome.ALLOW)
        assert made.to_dict()["actions"]["a"]["default"] == "BLOCK"
        assert decide(made).outcome is Outcome.BLOCK

    def test_copies_decide_the_same(self) -> None:
        made = of(rule(Outcome.BLOCK, YES), default=Outcome.ALLOW)
        for one in (
            copy.copy(made),
            copy.deepcopy(made),
            pickle.loads(pickle.dumps(made)),  # noqa: S301
            msgspec.structs.replace(made),
        ):
            assert one == made
            assert decide(one, recent_failures=1).outcome is Outcome.BLOCK

    @THOROUGH
    @given(rules(conditions(ALL)))
    def test_what_is_written_down_is_read_again(self, made: ActionRules) -> None:
        assert parse_rules(json.dumps(made.to_dict()), name="f", format="jsonc") == made


class TestBenchmark:
    def test_its_rules_do_what_they_are_called(self) -> None:
        held = {}
        for name, (made, known) in CASES.items():
            explained = made.evaluate(ACTION, known(), explain=True).explanation
            assert explained is not None
            assert len(explained) == 50
            held[name] = (sum(one.held for one in explained), sum(one.undecided for one in explained))
        assert held["none holds"] == (0, 0)
        assert 20 <= held["half hold"][0] <= 30
        assert held["half hold"][1] == 0
        assert held["nothing was sent"][1] >= 10
