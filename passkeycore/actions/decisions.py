"""What rules say about one action, and what became of each of them."""

import msgspec

from .states import Method, Outcome


class ConditionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one member of a condition said.

    Attributes:
        condition: Its name within the rule's condition, such as ``custom.amount.at_least``.
        holds: None: undecided, because a fact is missing or cannot be read.
        seen: What kind of value it looked at, such as ``number`` or ``missing``; never the value.
    """

    condition: str
    holds: bool | None
    seen: str


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one rule.

    Attributes:
        rule_id: Its id.
        held: It counts as one that holds.
        undecided: Its condition neither holds nor fails; see `ActionRules`.
        conditions: Every member of its condition, in order, also those that could not change anything.
    """

    rule_id: str
    held: bool
    undecided: bool
    conditions: tuple[ConditionResult, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say.

    Attributes:
        outcome: Which state the action begins in.
        allowed_methods: By which a challenge may be met.
        rule_ids: Every rule that held, in order. The first decided; empty: the action's default did.
        enrolled: The user has one of `allowed_methods`.
        explanation: What became of every rule, in order; None: nobody asked.
    """

    outcome: Outcome
    allowed_methods: tuple[Method, ...]
    rule_ids: tuple[str, ...]
    enrolled: bool
    explanation: tuple[RuleResult, ...] | None = None
