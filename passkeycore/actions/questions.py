"""All that the rules of one action ask, each question a bit, so that one look at a fact answers all about it.

Rules ask some facts many times over: is the address in these networks, or in those? Is the amount above this, or
above that? Between two neighbouring limits all such questions have the same answers. They are worked out once, when
the rules are built; then an action costs one search for each fact that is asked about, however many rules there are.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from .facts import Facts
from .reading import kind_of, read_address, second_of_week, verified_ago_s
from .states import METHODS, Method

Source: TypeAlias = Callable[[Facts], tuple[int, int]]
"""The bits of the questions that facts answer with yes, and of those that they leave undecided."""

_EVERY_METHOD: Final = frozenset(METHODS)

_H = TypeVar("_H", bound=Hashable)


class Ordered:
    """Questions about a number: each has an answer below all of its limits, which changes at each of them."""

    __slots__ = ("_changes", "_first", "bits")

    def __init__(self) -> None:
        self.bits = 0
        self._first = 0
        self._changes: list[tuple[int | float, bool, int]] = []

    def ask(self, bit: int, first: bool, changes: Iterable[tuple[int | float, bool]]) -> None:
        """Adds a question.

        Args:
            bit: Its own.
            first: Its answer below all limits.
            changes: Its limits, and whether the answer changes only beyond the limit, not at it already.
        """
        self.bits |= bit
        self._first |= bit if first else 0
        self._changes += [(limit, beyond, bit) for limit, beyond in changes]

    def answers(self) -> Callable[[int | float], int]:
        """Gives, for a number, the bits of the questions that it answers with yes."""
        limits = sorted({limit for limit, _, _ in self._changes})
        # Below the first limit, at it, between it and the next, at that one, and so on.
        places = {limit: 2 * index + 1 for index, limit in enumerate(limits)}
        flips = [self._first] + [0] * (2 * len(limits))
        for limit, beyond, bit in self._changes:
            flips[places[limit] + beyond] ^= bit
        yes = 0
        at_place = [yes := yes ^ flip for flip in flips]
        return lambda value: at_place[bisect_left(limits, value) + bisect_right(limits, value)]


class Exact(Generic[_H]):
    """Questions about a value that is equal to others or not."""

    __slots__ = ("_different", "_usual", "bits")

    def __init__(self) -> None:
        self.bits = 0
        self._usual = 0
        self._different: defaultdict[_H, int] = defaultdict(int)

    def ask(self, bit: int, usual: bool, values: Iterable[_H]) -> None:
        """Adds a question with its usual answer; for each of `values`, none twice, it is the other one."""
        self.bits |= bit
        self._usual |= bit if usual else 0
        for value in values:
            self._different[value] ^= bit

    def answers(self) -> Callable[[_H], int]:
        """Gives, for a value, the bits of the questions that it answers with yes."""
        usual, different = self._usual, dict(self._different)
        return lambda value: usual ^ different.get(value, 0)


class DataPoint:
    """Questions about one data point."""

    __slots__ = ("absent", "exact", "numbers", "present")

    def __init__(self) -> None:
        self.present = self.absent = 0
        self.exact = Exact[tuple[str, object]]()
        self.numbers = Ordered()

    def source(self, name: str) -> Source:
        """What the data point called `name` answers."""
        present, exact, in_order = self.present, self.exact.answers(), self.numbers.answers()
        exacts, numbers = self.exact.bits, self.numbers.bits
        missing, unreadable = (self.absent, exacts | numbers), (present, exacts | numbers)

        def source(facts: Facts) -> tuple[int, int]:
            value = facts.custom.get(name)
            if value is None:
                return missing
            kind = kind_of(value)
            if kind is None:
                return unreadable
            yes = present | exact((kind, value)) if exacts else present
            if not numbers:
                return yes, 0
            # NaN is not even equal to itself.
            if kind != "number" or isinstance(value, str) or value != value:
                return yes, numbers
            return yes | in_order(value), 0

        return source


class Combination(NamedTuple):
    """A question whether all, any or none of the questions `bits` are answered with yes."""

    bit: int
    bits: int
    how: Literal["all", "any", "none"]


class Questions:
    """All questions of one action, by the facts that answer them.

    Attributes:
        facts: The names of the facts that are asked about.
        combinations: In an order in which each comes after those that it consists of.
    """

    def __init__(self) -> None:
        self.facts: set[str] = set()
        self.combinations: list[Combination] = []
        self.addresses = Ordered()
        self.texts: defaultdict[str, int] = defaultdict(int)
        self.device_ids = Exact[str]()
        self.device_known = {True: 0, False: 0}
        self.data_points: defaultdict[str, DataPoint] = defaultdict(DataPoint)
        self.weeks: defaultdict[str, Ordered] = defaultdict(Ordered)
        self.enrolled: list[tuple[int, Callable[[frozenset[Method]], bool]]] = []
        self.verified = Ordered()
        self.failures = Ordered()
        self._sent: dict[tuple[str, bool], int] = {}
        self._next = 1

    @property
    def every(self) -> int:
        """The bits of all questions."""
        return self._next - 1

    def bit(self, fact: str = "") -> int:
        """The bit of a new question, about `fact` if it is about one."""
        if fact:
            self.facts.add(fact)
        self._next <<= 1
        return self._next >> 1

    def combined(self, each: Sequence[int], how: Literal["any", "none"]) -> int:
        """The bit of the question whether any or none of some conditions hold, each of them all of some bits."""
        bits = 0
        for one in each:
            alone = one
            if one & (one - 1):  # more than one bit
                alone = self.bit()
                self.combinations.append(Combination(alone, one, "all"))
            bits |= alone
        bit = self.bit()
        self.combinations.append(Combination(bit, bits, how))
        return bit

    def sent(self, fact: str, sent: bool) -> int:
        """The bit of the question whether a fact about the client was sent and can be read, or whether it was not."""
        key = fact, sent
        if key not in self._sent:
            self._sent[key] = self.bit(fact)
        return self._sent[key]

    def _sent_bits(self, fact: str) -> tuple[int, int]:
        return self._sent.get((fact, True), 0), self._sent.get((fact, False), 0)

    def sources(self) -> list[Source]:
        """Everything that is asked, one function for each fact."""
        made: list[Source] = []
        if "ip_address" in self.facts:
            made.append(_address(self.addresses, *self._sent_bits("ip_address")))
        if "user_agent" in self.facts:
            made.append(_user_agent(self.texts, *self._sent_bits("user_agent")))
        if not self.facts.isdisjoint({"device_id", "device_known"}):
            made.append(_device(self.device_known, self.device_ids, *self._sent_bits("device_id")))
        if self.enrolled:
            made.append(_enrolled(self.enrolled))
        if self.verified.bits:
            verified = self.verified.answers()
            made.append(lambda facts: (verified(verified_ago_s(facts)), 0))
        if self.failures.bits:
            failures = self.failures.answers()
            made.append(lambda facts: (failures(facts.recent_failures), 0))
        made += [point.source(name) for name, point in self.data_points.items()]
        made += [_week(hours, ZoneInfo(zone)) for zone, hours in self.weeks.items()]
        return made


def _address(addresses: Ordered, sent: int, missing: int) -> Source:
    answers, unknown = addresses.answers(), (missing, addresses.bits)

    def source(facts: Facts) -> tuple[int, int]:
        number = read_address(facts.ip_address)
        return unknown if number is None else (sent | answers(number), 0)

    return source


def _user_agent(texts: Mapping[str, int], sent: int, missing: int) -> Source:
    listed = tuple(texts.items())
    every = 0
    for _, bits in listed:
        every |= bits
    unknown = missing, every

    def source(facts: Facts) -> tuple[int, int]:
        if not facts.user_agent:
            return unknown
        user_agent, yes = facts.user_agent.casefold(), sent
        for text, bits in listed:
            if text in user_agent:
                yes |= bits
        return yes, 0

    return source


def _device(known: Mapping[bool, int], ids: Exact[str], sent: int, missing: int) -> Source:
    answers, old, new = ids.answers(), known[True], known[False]
    unknown = new | missing, ids.bits

    def source(facts: Facts) -> tuple[int, int]:
        if not facts.device_id:
            return unknown
        return (old if facts.device_known else new) | sent | answers(facts.device_id), 0

    return source


def _enrolled(asked: Iterable[tuple[int, Callable[[frozenset[Method]], bool]]]) -> Source:
    questions = tuple(asked)
    answers = {
        methods: sum(bit for bit, holds in questions if holds(methods))
        for size in range(len(METHODS) + 1)
        for methods in map(frozenset, combinations(METHODS, size))
    }
    return lambda facts: (answers[_EVERY_METHOD.intersection(facts.enrolled_methods)], 0)


def _week(hours: Ordered, zone: ZoneInfo) -> Source:
    answers, unknown = hours.answers(), (0, hours.bits)

    def source(facts: Facts) -> tuple[int, int]:
        second = second_of_week(facts.now, zone)
        return unknown if second is None else (answers(second), 0)

    return source
