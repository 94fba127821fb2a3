"""The settings of an action checked, made functions of, and applied to facts: which rules hold, and what follows."""

import re
from collections.abc import Mapping
from itertools import compress
from typing import Final, NamedTuple

from ..errors import show, show_path
from .checks import LONGEST_S, Fault, Place, elements, members, whole, words
from .compiling import Part, all_bits, compile_condition
from .decisions import ConditionResult, Decision, RuleResult
from .facts import Facts
from .questions import Questions
from .settings import ActionSettings, Rule
from .states import METHODS, Method, Outcome

_MOST: Final = 256  # actions; rules of one
_ACTION: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_RULE_ID: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_LONGEST_DESCRIPTION: Final = 255  # characters
_ALLOW: Final = Outcome.ALLOW  # a module's names are found faster than an enumeration's
_CHALLENGE: Final = Outcome.CHALLENGE
_STRICTNESS: Final[Mapping[Outcome, int]] = {
    outcome: place for place, outcome in enumerate((Outcome.ALLOW, Outcome.CHALLENGE, Outcome.REVIEW, Outcome.BLOCK))
}


def compile_rules(
    actions: object, default: object, failure_window_s: object
) -> "tuple[Mapping[str, Compiled], Compiled]":
    """The settings of every action as functions, and those of all others. For `ActionRules` and `config`.

    Raises:
        Fault: Something is not as it has to be.
    """
    whole(failure_window_s, ("failure_window_s",), 1, LONGEST_S)
    compiled: dict[str, Compiled] = {}
    for name, settings in members(actions, ("actions",), "actions", _MOST, least=0).items():
        place = ("actions", name if isinstance(name, str) else show(name))
        if not isinstance(name, str) or not _ACTION.fullmatch(name):
            raise Fault(place, "an action's name has 1 to 64 of A-Z a-z 0-9 _ -")
        compiled[name] = Compiled(settings, place)
    return compiled, Compiled(default, ("default",))


class _Answer(NamedTuple):
    """An outcome, and by which methods it may be met if it is a challenge."""

    outcome: Outcome
    methods: tuple[Method, ...]
    method_set: frozenset[Method]


class Compiled:
    """The settings of one action as functions. `uses` names the facts that they need."""

    __slots__ = (
        "_answers",
        "_bits",
        "_combinations",
        "_default",
        "_every",
        "_ids",
        "_leads_to",
        "_not_enrolled",
        "_own",
        "_parts",
        "_sources",
        "uses",
    )

    def __init__(self, settings: object, place: Place) -> None:
        if not isinstance(settings, ActionSettings):
            raise Fault(place, "an ActionSettings")
        methods = _methods(settings.allowed_methods, (*place, "allowed_methods"))
        self._own = frozenset(methods)
        self._default = _Answer(_outcome(settings.default, (*place, "default")), methods, self._own)
        self._not_enrolled = _outcome(settings.not_enrolled, (*place, "not_enrolled"))
        self._answers = [self._default]
        self._ids: list[str] = []
        self._leads_to: list[int] = []
        self._bits: list[int] = []
        self._parts: list[list[tuple[str, Part]]] = []
        questions = Questions()
        for index, rule in enumerate(elements(settings.rules, (*place, "rules"), "rules", _MOST, least=0)):
            at = (*place, "rules", index)
            if not isinstance(rule, Rule):
                raise Fault(at, "a Rule")
            self._ids.append(_id(rule.id, at, self._ids))
            try:
                parts = compile_condition(rule.when, (*at, "when"), questions)
                answer = self._answer(rule, at)
            except Fault as fault:
                raise Fault(fault.place, f"rule {rule.id}: {fault.message}") from None
            self._bits.append(all_bits(parts))
            self._parts.append([(show_path(one.place[len(at) + 1 :]), one) for part in parts for one in part.all()])
            if answer not in self._answers:
                self._answers.append(answer)
            self._leads_to.append(self._answers.index(answer))
        self._sources = questions.sources()
        self._every = questions.every
        self._combinations = questions.combinations
        self.uses = frozenset(questions.facts)

    def _answer(self, rule: Rule, place: Place) -> _Answer:
        outcome = _outcome(rule.outcome, (*place, "outcome"))
        if not isinstance(rule.description, str) or len(rule.description) > _LONGEST_DESCRIPTION:
            raise Fault((*place, "description"), f"a text of at most {_LONGEST_DESCRIPTION} characters")
        if rule.allowed_methods is None:
            return _Answer(outcome, self._default.methods, self._own)
        methods = _methods(rule.allowed_methods, (*place, "allowed_methods"))
        return _Answer(outcome, methods, frozenset(methods))

    def evaluate(self, facts: Facts, explain: bool) -> Decision:
        lacking, failed = self._asked(facts)
        held = [not bits & lacking for bits in self._bits]
        if lacking != failed:
            held = self._settled(held, failed, facts)
        rule_ids = tuple(compress(self._ids, held))
        answer = self._answers[self._leads_to[held.index(True)]] if rule_ids else self._default
        return Decision(
            outcome=self._outcome(answer, facts),
            allowed_methods=answer.methods,
            rule_ids=rule_ids,
            enrolled=not answer.method_set.isdisjoint(facts.enrolled_methods),
            explanation=self._explained(facts, lacking, failed, held) if explain else None,
        )

    def _asked(self, facts: Facts) -> tuple[int, int]:
        """The bits of all questions that are not answered with yes, and those that are answered with no.

        What stands between them is undecided. A condition holds if none of its bits is among the first, and fails if
        one is among the second.
        """
        yes = undecided = 0
        for source in self._sources:
            its_yes, its_undecided = source(facts)
            yes |= its_yes
            undecided |= its_undecided
        lacking = self._every ^ yes
        if undecided:
            return self._combined(lacking, lacking ^ undecided)
        for bit, bits, how in self._combinations:
            if (not bits & lacking) if how == "all" else (bits & lacking != bits) is (how == "any"):
                lacking ^= bit
        return lacking, lacking

    def _combined(self, lacking: int, failed: int) -> tuple[int, int]:
        """`lacking` and `failed` without the combinations that hold, or may hold."""
        for bit, bits, how in self._combinations:
            if how == "all":
                holds, may_hold = not bits & lacking, not bits & failed
            elif how == "any":
                holds, may_hold = bits & lacking != bits, bits & failed != bits
            else:
                holds, may_hold = bits & failed == bits, bits & lacking == bits
            lacking ^= bit if holds else 0
            failed ^= bit if may_hold else 0
        return lacking, failed

    def _settled(self, held: list[bool], failed: int, facts: Facts) -> list[bool]:
        """Which rules count as ones that hold, the undecided among them too. From the last to the first.

        So each is compared with what the rules after it decide, and the first that counts is the one that decides.
        """
        counted, without = [*held], 0
        ranks = [_STRICTNESS[self._outcome(answer, facts)] for answer in self._answers]
        possible = [index for index, bits in enumerate(self._bits) if not bits & failed]
        for index in reversed(possible):
            answer = self._leads_to[index]
            if held[index] or ranks[answer] > ranks[without] or self._is_narrower(answer, without, ranks):
                counted[index] = True
                without = answer
        return counted

    def _is_narrower(self, answer: int, other: int, ranks: list[int]) -> bool:
        """Both are challenges, and fewer methods meet the first."""
        if answer == other or not ranks[answer] == ranks[other] == _STRICTNESS[_CHALLENGE]:
            return False
        return self._answers[answer].method_set < self._answers[other].method_set

    def _outcome(self, answer: _Answer, facts: Facts) -> Outcome:
        if answer.outcome is not _CHALLENGE or not answer.method_set.isdisjoint(facts.enrolled_methods):
            return answer.outcome
        # A rule that demands a method which the user lacks must not open what the others of the action would guard.
        if self._not_enrolled is _ALLOW and not self._own.isdisjoint(facts.enrolled_methods):
            return answer.outcome
        return self._not_enrolled

    def _explained(self, facts: Facts, lacking: int, failed: int, held: list[bool]) -> tuple[RuleResult, ...]:
        def holds(bits: int) -> bool | None:
            return False if bits & failed else None if bits & lacking else True

        return tuple(
            RuleResult(
                rule_id=rule_id,
                held=counted,
                undecided=holds(bits) is None,
                conditions=tuple(
                    ConditionResult(condition=name, holds=holds(part.bits), seen=part.seen(facts))
                    for name, part in parts
                ),
            )
            for rule_id, counted, bits, parts in zip(self._ids, held, self._bits, self._parts, strict=True)
        )


def _id(value: object, place: Place, taken: list[str]) -> str:
    if not isinstance(value, str) or not _RULE_ID.fullmatch(value):
        raise Fault((*place, "id"), "a rule's id has 1 to 64 of A-Z a-z 0-9 _ . -")
    if value in taken:
        raise Fault((*place, "id"), f"rule {value}: another rule of the action has this id")
    return value


def _outcome(value: object, place: Place) -> Outcome:
    if not isinstance(value, Outcome):
        raise Fault(place, f"one of {', '.join(Outcome)}")
    return value


def _methods(value: object, place: Place) -> tuple[Method, ...]:
    return words(value, place, METHODS)
