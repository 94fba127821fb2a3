"""Rules and facts in few words."""

from datetime import UTC, datetime
from typing import Any

from passkeycore.actions import METHODS, ActionRules, ActionSettings, Condition, Decision, Facts, Outcome, Rule

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)  # a Wednesday
EVERYBODY = frozenset(METHODS)
YES, NO = Condition(recent_failures_at_least=1), Condition(recent_failures_at_least=9)
"""With one recent failure."""

WHO_KNOWS = Condition(device_id_in=("x",))
"""Without a device."""

BAD = Condition(ip_address_in=("192.0.2.0/24",))


def settled(condition: Condition, known: Facts) -> bool | None:
    """Whether a condition holds; None: it is undecided."""
    rule = Rule(id="r", outcome=Outcome.ALLOW, when=condition)
    made = ActionRules(default=ActionSettings(default=Outcome.BLOCK, rules=(rule,)))
    explained = made.evaluate("any", known, explain=True).explanation
    assert explained is not None
    return None if explained[0].undecided else explained[0].held


def says(condition: Condition, **known: Any) -> bool | None:
    """The same, at noon on a Wednesday."""
    members: dict[str, Any] = {"now": NOW} | known
    return settled(condition, Facts(**members))


def of(*given: Rule, **settings: Any) -> ActionRules:
    """Rules of the action ``a``."""
    return ActionRules(actions={"a": ActionSettings(rules=given, **settings)})


def decide(made: ActionRules, **known: Any) -> Decision:
    """What rules say of the action ``a`` of a user who has every method."""
    members: dict[str, Any] = {"now": NOW, "enrolled_methods": EVERYBODY} | known
    return made.evaluate("a", Facts(**members))


def rule(outcome: Outcome, when: Condition, id: str = "r", **members: Any) -> Rule:
    """One rule."""
    return Rule(id=id, outcome=outcome, when=when, **members)
