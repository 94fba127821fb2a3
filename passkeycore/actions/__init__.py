"""What a user is about to do, pure: the states that it goes through, and rules that decide where it begins.

`states` is the table of states and `facts` what rules may ask for. `conditions` and `settings` are what `rules` are
made of, `decisions` what comes out of them. `compiling` turns conditions into `questions`, and `evaluating` asks them.
"""

from .conditions import Condition, DataPoint, TimeOfDay, Weekday
from .decisions import ConditionResult, Decision, RuleResult
from .facts import CustomValue, Facts
from .rules import ActionRules
from .settings import ActionSettings, Rule
from .states import METHODS, TRANSITIONS, ActionState, Method, Outcome

__all__ = [
    "METHODS",
    "TRANSITIONS",
    "ActionRules",
    "ActionSettings",
    "ActionState",
    "Condition",
    "ConditionResult",
    "CustomValue",
    "DataPoint",
    "Decision",
    "Facts",
    "Method",
    "Outcome",
    "Rule",
    "RuleResult",
    "TimeOfDay",
    "Weekday",
]
