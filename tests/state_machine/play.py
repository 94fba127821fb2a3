"""How a step is played: on both storages, and then judged by what the model knows."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .model import MAX_DEVICES, MAX_PASSKEYS, Key, Person, Token, World
from .twins import Answer, Call, Twins


@dataclass(frozen=True)
class Step:
    """A call, and what judges its answer and then keeps the model up to date."""

    call: Call
    judge: Callable[[Answer], None]


class Play:
    """What all steps need.

    Attributes:
        twins: The storages.
        world: The model.
        approvals: Realms and ids of the device challenges whose approval was given out.
        used: Tokens of actions that enrolled a device, with its method.
        is_broken: A step was not as the model says, so that the model knows no more what comes next.
    """

    def __init__(self) -> None:
        self.twins = Twins()
        self.world = World()
        self.approvals: set[tuple[str, str]] = set()
        self.used: set[tuple[str, str]] = set()
        self.is_broken = False
        self._made = 0

    @property
    def now(self) -> datetime:
        """The time on both sides."""
        return self.twins.clock.at

    def fresh(self, word: str) -> str:
        """A text that was never used before."""
        self._made += 1
        return f"{word} {self._made}"

    def do(self, step: Step, *, at_once: bool = False) -> Answer:
        """The answer of a step that was as the model says; `at_once`: in the very moment of the one before."""
        self.is_broken = True
        answer = self.twins.call(step.call, at_once=at_once)
        step.judge(answer)
        self._check_limits()
        self.is_broken = False
        return answer

    def race(self, step: Step, rival: Step, at: str) -> bool:
        """Two steps, of which the one in the midst of the other counts as the first; whether it was in the midst."""
        self.is_broken = True
        answer, met = self.twins.race(step.call, rival.call, at)
        if met is not None:
            rival.judge(met)
        step.judge(answer)
        self._check_limits()
        self.is_broken = False
        if met is None:
            self.do(rival)
        return met is not None

    def _check_limits(self) -> None:
        for owner in self.twins.memory.repository._users.values():
            assert len(owner.passkeys) <= MAX_PASSKEYS, "too many passkeys"
            assert len(owner.devices) <= MAX_DEVICES, "too many devices"

    def judged(self, answer: Answer, *stages: Collection[str]) -> int | None:
        """Which stage has to refuse, and did with one of its codes: the first that has any; None: it was accepted.

        Within a stage the order of checks is nobody's business. Between two it shows in what is changed nevertheless.
        """
        for place, codes in enumerate(stages):
            if codes:
                assert answer.code is not None, f"accepted, though {' or '.join(sorted(codes))}: {answer.value}"
                assert answer.code in codes, f"{answer.code} instead of {' or '.join(sorted(codes))}"
                return place
        assert answer.code is None, f"refused, though all is right: {answer}"
        return None

    def add_token(self, kind: Any, text: str, deed: Any, expires_at: datetime) -> Token:
        """The token, which is the last one shown now."""
        known = next((token for token in self.world.tokens if token.text == text and token.deed is deed), None)
        if known is not None:
            self.world.tokens.remove(known)
        token = known or Token(text, deed.realm, kind, deed, expires_at)
        self.world.tokens.append(token)
        return token

    def keys_for(self, person: Person | None) -> list[Key]:
        """The person's passkeys; anybody's when they have none."""
        return self.world.keys_of(person) or self.world.keys
