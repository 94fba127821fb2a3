"""Rules and the settings of an action, as plain values; `ActionRules` checks and applies them."""

import msgspec

from .conditions import Condition
from .states import METHODS, Method, Outcome


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when a condition holds. Checked as part of `ActionRules`.

    Attributes:
        id: Names it in answers, 1..64 of ``A-Z a-z 0-9 _ . -``, once among the rules of an action.
        outcome: Which state the action begins in.
        when: The condition.
        allowed_methods: By which a challenge may be met; None: those of the action.
        description: For people, up to 255 characters.
    """

    id: str
    outcome: Outcome
    when: Condition
    allowed_methods: tuple[Method, ...] | None = None
    description: str = ""


class ActionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one action is decided. Checked as part of `ActionRules`.

    Attributes:
        default: The outcome when no rule holds. A challenge: what nobody thought of is not simply allowed.
        allowed_methods: By which a challenge may be met.
        not_enrolled: The outcome instead of a challenge for a user who has none of the methods that may meet it. By
            default the challenge stays, and cannot be met. With ALLOW such users are let through until they enrol; but
            none who has a method of the action's, where a rule alone demands another.
        rules: In order: the first that holds decides.
    """

    default: Outcome = Outcome.CHALLENGE
    allowed_methods: tuple[Method, ...] = METHODS
    not_enrolled: Outcome = Outcome.CHALLENGE
    rules: tuple[Rule, ...] = ()
