"""`Machine`: all rules together, and what has to hold at the end of every history."""

from collections import Counter
from typing import ClassVar, Final

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .races import Races
from .twins import REALMS

STEPS: Final = 30
_MOST: Final = 6  # of each kind, the last ones
_NEVER_MIND: Final = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


class Machine(Races):
    """Random histories. At the end of each, tokens and answers are shown once more, and the storages hold the same.

    Attributes:
        played: How many histories, and races in them.
        tally: How many calls of each method ended in which code; None: they were accepted.
    """

    played: ClassVar[Counter[str]] = Counter()
    tally: ClassVar[Counter[tuple[str, str | None]]] = Counter()

    def teardown(self) -> None:
        """Plays the end of a history that held: it comes after the others as well, and would hide their fault."""
        if self.play.is_broken:
            return
        for token in self.world.tokens[-_MOST:]:
            for realm in REALMS:
                self.play.do(self.play.validate(realm, token, None, None, consume=False))
        for question in self.world.questions[-_MOST:]:
            self.play.do(self.await_answer(question.realm, question))
        for deed in list(self.world.deeds.values())[-_MOST:]:
            self.play.do(self.play.look(deed.realm, deed))
        twins = self.play.twins
        twins.compare_records([(one.realm, one.id) for one in self.world.questions])
        self.played.update(histories=1, races=twins.races)
        self.tally.update(twins.tally)


def play(histories: int, *, begin: int | None = None, steps: int = STEPS) -> None:
    """Plays so many histories.

    Args:
        histories: How many.
        begin: What they follow from; None: always the same.
        steps: Of each, at most.

    Raises:
        AssertionError: A storage is not as the model says, or not as the other. The history, made as short as it can
            be, is shown.
    """
    machine = Machine if begin is None else seed(begin)(type("Machine", (Machine,), {}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            derandomize=begin is None,
            deadline=None,
            database=None,
            suppress_health_check=_NEVER_MIND,
        ),
    )
