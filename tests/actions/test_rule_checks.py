"""Rules that cannot be as they are: refused when they are built, with the rule and the member at fault."""

from datetime import UTC, time
from typing import Any

import pytest

from passkeycore import ConfigurationError
from passkeycore.actions import ActionRules, ActionSettings, Condition, DataPoint, Outcome, Rule, TimeOfDay

from .kit import NO, YES, of, rule, says


def refused(**members: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        ActionRules(**members)
    return caught.value


def when(**members: Any) -> dict[str, Any]:
    return {"default": ActionSettings(rules=(rule(Outcome.ALLOW, Condition(**members), "office"),))}


def nested(depth: int) -> Condition:
    return Condition(any_of=(nested(depth - 1),)) if depth else YES


WRONG: Any = object()
AT = "default.rules[0].when"


class TestChecks:
    @pytest.mark.parametrize(
        ("member", "value", "path"),
        [
            ("ip_address_in", (), ""),
            ("ip_address_in", "192.0.2.0/24", ""),
            ("ip_address_in", ("192.0.2.0/33",), "[0]"),
            ("ip_address_in", ("192.0.2.0/24", "192.0.2.1/24"), "[1]"),
            ("ip_address_in", ("192.0.2.0/255.255.255.0",), "[0]"),
            ("ip_address_in", ("fe80::1%eth0",), "[0]"),
            ("ip_address_in", ("",), "[0]"),
            ("ip_address_in", (1,), "[0]"),
            ("ip_address_in", ("192.0.2.0/24", "192.0.2.0/24"), "[1]"),
            ("ip_address_in", ("192.0.2.0/24", "::ffff:192.0.2.0/120"), "[1]"),
            ("ip_address_in", tuple(f"10.0.{number >> 8}.{number & 255}" for number in range(1_001)), ""),
            ("ip_address_not_in", ("x",), "[0]"),
            ("user_agent_contains", ("",), "[0]"),
            ("user_agent_contains", ("curl", "CURL"), "[1]"),
            ("user_agent_contains", ("\ud800",), "[0]"),
            ("user_agent_contains", ("a" * 1_025,), "[0]"),
            ("device_id_in", (b"d",), "[0]"),
            ("device_known", "yes", ""),
            ("device_known", 1, ""),
            ("custom", {}, ""),
            ("custom", [], ""),
            ("custom", {"": DataPoint(equals=1)}, ".''"),
            ("custom", {"point": {"equals": 1}}, ".point"),
            ("custom", {"point": DataPoint()}, ".point"),
            ("custom", {"point": DataPoint(equals=float("nan"))}, ".point.equals"),
            ("custom", {"point": DataPoint(equals=WRONG)}, ".point.equals"),
            ("custom", {"point": DataPoint(one_of=())}, ".point.one_of"),
            ("custom", {"point": DataPoint(one_of=(1, 1.0))}, ".point.one_of[1]"),
            ("custom", {"point": DataPoint(at_least=True)}, ".point.at_least"),
            ("custom", {"point": DataPoint(at_most=float("inf"))}, ".point.at_most"),
            ("custom", {"point": DataPoint(less_than=2**63)}, ".point.less_than"),
            ("custom", {"point": DataPoint(more_than=WRONG)}, ".point.more_than"),
            ("custom", {"point": DataPoint(exists=WRONG)}, ".point.exists"),
            ("custom", {"a.b": DataPoint()}, ".'a.b'"),
            ("custom", {str(number): DataPoint(exists=True) for number in range(101)}, ""),
            ("time_of_day", "22:00", ""),
            ("time_of_day", TimeOfDay(zone="Europe/Atlantis"), ".zone"),
            ("time_of_day", TimeOfDay(zone="../../etc/passwd"), ".zone"),
            ("time_of_day", TimeOfDay(zone="Europe"), ".zone"),
            ("time_of_day", TimeOfDay(zone=WRONG), ".zone"),
            ("time_of_day", TimeOfDay(zone="UTC", start=WRONG), ".start"),
            ("time_of_day", TimeOfDay(zone="UTC", start=time(9, tzinfo=UTC)), ".start"),
            ("time_of_day", TimeOfDay(zone="UTC", end=time(9, 0, 0, 1)), ".end"),
            ("time_of_day", TimeOfDay(zone="UTC", start=time(9), end=time(9)), ".end"),
            ("time_of_day", TimeOfDay(zone="UTC", weekdays=()), ".weekdays"),
            ("time_of_day", TimeOfDay(zone="UTC", weekdays=("monday", WRONG)), ".weekdays[1]"),
            ("enrolled_any_of", ("sms",), "[0]"),
            ("enrolled_none_of", (), ""),
            ("enrolled_at_least", 0, ""),
            ("enrolled_at_least", 5, ""),
            ("enrolled_at_most", 4, ""),
            ("enrolled_at_most", -1, ""),
            ("user_verified_within_s", 0, ""),
            ("user_verified_within_s", 300.0, ""),
            ("user_not_verified_within_s", True, ""),
            ("user_not_verified_within_s", 31_536_001, ""),
            ("recent_failures_at_least", 0, ""),
            ("present", ("address",), "[0]"),
            ("missing", ("custom",), "[0]"),
            ("any_of", (), ""),
            ("any_of", Condition(device_known=True), ""),
            ("any_of", (YES, Condition()), "[1]"),
            ("none_of", (YES, "condition"), "[1]"),
            ("none_of", (Condition(ip_address_in=("x",)),), "[0].ip_address_in[0]"),
            ("any_of", (nested(3),), "[0].any_of[0].any_of[0].any_of"),
            ("any_of", (YES,) * 101, ""),
        ],
    )
    def test_a_condition_that_cannot_be_is_refused_with_rule_and_member(
        self, member: str, value: Any, path: str
    ) -> None:
        error = refused(**when(**{member: value}))
        assert error.path == f"{AT}.{member}{path}"
        assert error.message.startswith(f"{error.path}: rule office: ")
        assert len(error.message) < 400

    def test_conditions_nest_three_deep(self) -> None:
        assert says(nested(3), recent_failures=1) is True

    def test_a_condition_that_asks_nothing_is_refused(self) -> None:
        assert refused(**when()).path == AT

    @pytest.mark.parametrize(
        ("members", "path"),
        [
            ({"failure_window_s": 0}, "failure_window_s"),
            ({"failure_window_s": 31_536_001}, "failure_window_s"),
            ({"failure_window_s": "1"}, "failure_window_s"),
            ({"actions": []}, "actions"),
            ({"actions": {f"a{number}": ActionSettings() for number in range(257)}}, "actions"),
            ({"actions": {"": ActionSettings()}}, "actions.''"),
            ({"actions": {"a b": ActionSettings()}}, "actions.'a b'"),
            ({"actions": {"a\n": ActionSettings()}}, "actions.'a\\n'"),
            ({"actions": {"a" * 65: ActionSettings()}}, f"actions.{'a' * 64!r}"),
            ({"actions": {1: ActionSettings()}}, "actions.1"),
            ({"actions": {"a": {}}}, "actions.a"),
            ({"default": None}, "default"),
            ({"default": ActionSettings(default="ALLOW")}, "default.default"),  # type: ignore[arg-type]
            ({"default": ActionSettings(not_enrolled=WRONG)}, "default.not_enrolled"),
            ({"default": ActionSettings(allowed_methods=())}, "default.allowed_methods"),
            ({"default": ActionSettings(allowed_methods=("sms",))}, "default.allowed_methods[0]"),  # type: ignore[arg-type]
            ({"default": ActionSettings(allowed_methods=("push", "push"))}, "default.allowed_methods[1]"),
            ({"default": ActionSettings(rules=rule(Outcome.ALLOW, YES))}, "default.rules"),  # type: ignore[arg-type]
            ({"default": ActionSettings(rules=(YES,))}, "default.rules[0]"),  # type: ignore[arg-type]
        ],
    )
    def test_settings_that_cannot_be_are_refused(self, members: dict[str, Any], path: str) -> None:
        assert refused(**members).path == path

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            *[("id", value) for value in ("", "a b", "a" * 65, "a\n", "é")],
            *[("id", 1), ("id", None)],
            *[("outcome", "ALLOW"), ("outcome", "no"), ("outcome", None)],
            *[("allowed_methods", ()), ("allowed_methods", ("sms",)), ("allowed_methods", "push")],
            *[("description", None), ("description", 1), ("description", "a" * 256)],
            *[("when", None), ("when", {}), ("when", (YES,))],
        ],
    )
    def test_a_rule_that_cannot_be_is_refused(self, member: str, value: Any) -> None:
        members: dict[str, Any] = {"id": "office", "outcome": Outcome.ALLOW, "when": YES} | {member: value}
        error = refused(actions={"a": ActionSettings(rules=(Rule(**members),))})
        assert (error.path or "").startswith(f"actions.a.rules[0].{member}")

    def test_an_id_is_used_once_in_an_action(self) -> None:
        same = (rule(Outcome.ALLOW, YES), rule(Outcome.BLOCK, NO))
        assert refused(actions={"a": ActionSettings(rules=same)}).path == "actions.a.rules[1].id"
        apart = {name: ActionSettings(rules=(one,)) for name, one in zip("ab", same, strict=True)}
        assert set(ActionRules(actions=apart).actions) == {"a", "b"}

    def test_there_are_at_most_256_rules(self) -> None:
        many = tuple(rule(Outcome.ALLOW, YES, f"r{number}") for number in range(257))
        assert refused(actions={"a": ActionSettings(rules=many)}).path == "actions.a.rules"
        assert of(*many[:-1]).needs_history("a")
