"""Rules: which state an action begins in, decided by what is known of it. Pure: facts in, a decision out."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, cast

import msgspec

from ..errors import ConfigurationError, show_path
from .checks import Fault
from .decisions import Decision
from .evaluating import Compiled, compile_rules
from .facts import Facts
from .settings import ActionSettings

_HISTORY: Final = frozenset({"device_known", "user_verified_at", "recent_failures"})


class ActionRules(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The rules of all actions. Immutable, checked when built; share one between threads.

    A rule whose condition is undecided, because a fact is missing or unreadable, counts as one that holds if what it
    leads to is stricter than what would be decided without it; else as one that does not. ALLOW, CHALLENGE, REVIEW
    and BLOCK are ever stricter, and so is a challenge that fewer methods meet. Nobody gains by leaving out what a rule
    asks for: without an address, ``BLOCK`` for `Condition.ip_address_in` blocks, and ``ALLOW`` for the same allows
    nothing. Where that is too strict, a rule says so by `Condition.present`.

    Attributes:
        actions: How each action is decided, by its name: 1..64 of ``A-Z a-z 0-9 _ -``.
        default: How all others are. By a challenge.
        failure_window_s: For how long a failed challenge is a recent failure, in seconds. An hour: long enough for
            guessing not to pay, short enough for a user to wait.
    """

    actions: Mapping[str, ActionSettings] = msgspec.field(default_factory=dict[str, ActionSettings])
    default: ActionSettings = ActionSettings()
    failure_window_s: int = 3_600

    def __post_init__(self) -> None:
        """Checks all rules, once.

        Raises:
            ConfigurationError: An action, a rule or a member of a condition that cannot be as it is. The message names
                the rule, and `path` the member, such as ``actions.transfer.rules[0].when.ip_address_in[1]``.
        """
        if isinstance(self.actions, Mapping):
            msgspec.structs.force_setattr(self, "actions", dict(self.actions))
        try:
            _ = self._compiled
        except Fault as fault:
            raise ConfigurationError(fault.message, path=show_path(fault.place)) from None

    @cached_property
    def _compiled(self) -> tuple[Mapping[str, Compiled], Compiled]:
        # Not a field, so that it is neither compared nor copied: a copy compiles anew.
        return compile_rules(self.actions, self.default, self.failure_window_s)

    def evaluate(self, action: str, facts: Facts, *, explain: bool = False) -> Decision:
        """What the rules of an action say about it. Never raises.

        Args:
            action: Its name.
            facts: What is known.
            explain: Whether to say what became of every rule. It takes several times as long.
        """
        listed, default = self._compiled
        return listed.get(action, default).evaluate(facts, explain)

    def needs_history(self, action: str) -> bool:
        """Whether the rules of an action look at what its user did before.

        Those facts are `Facts.device_known`, `Facts.user_verified_at` and `Facts.recent_failures`.
        """
        listed, default = self._compiled
        return not listed.get(action, default).uses.isdisjoint(_HISTORY)

    def to_dict(self) -> dict[str, Any]:
        """The rules in the form of a file, JSON-ready: `passkeycore.config.parse_rules` makes the same of it."""
        return {
            "failure_window_s": self.failure_window_s,
            "default": _to_dict(self.default),
            "actions": {name: _to_dict(settings) for name, settings in self.actions.items()},
        }


def _to_dict(settings: ActionSettings) -> Any:
    # What is left to a default is written down too: another release may have another default.
    return _without_none(msgspec.json.decode(msgspec.json.encode(settings)))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        members = cast("Mapping[str, object]", value)
        return {name: _without_none(member) for name, member in members.items() if member is not None}
    return list(map(_without_none, cast("Sequence[object]", value))) if isinstance(value, list) else value
