"""What all rules need: the play, who is there at first, and choices by small numbers.

0 is the newest and the right, so that a history that fails shrinks to a short and plain one.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from .actions import ActionSteps
from .model import WORDS, Ceremony, Deed, Gadget, Key, Person, Question, Token
from .play import Step
from .twins import REALMS, USERS

_T = TypeVar("_T")
_O = TypeVar("_O", Key, Gadget)

KEYS: Final = ("first", "second", None)
_WRONG: Final = 4  # from this number on a choice need not make sense

pick: Final = st.integers(min_value=0, max_value=5)
often: Final = st.sampled_from((True, True, True, True, True, False))
rarely: Final = st.sampled_from((False, False, False, False, False, True))
users: Final = st.sampled_from(USERS)
words: Final = st.sampled_from(("pay", "pay", "pay", *WORDS))
methods: Final = st.sampled_from(("push", "qr-code", "in-app"))
happenings: Final = st.sampled_from((*("nothing",) * 8, "late", "disabled", "removed", "ended"))
decisions: Final = st.sampled_from(("approve", "approve", "approve", "reject"))


class Chooser(RuleBasedStateMachine):
    """The play, and how a rule finds something to play with.

    Attributes:
        play: The steps.
        world: What the model knows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.play = ActionSteps()
        self.world = self.play.world

    @initialize(alone=rarely)
    def people(self, alone: bool) -> None:
        """Ada, mostly with everything, with somebody of her name in another realm, and eve."""
        self.register("", "ada")
        self.enrol("", "ada", "push")
        if not alone:
            self.enrol("", "ada", "qr-code")
            self.register("", "eve")
            self.enrol("", "eve", "qr-code")
            self.enrol("shop", "ada", "push")

    def register(self, realm: str, user_id: str) -> None:
        """Another passkey of the user's, if they may."""
        if self.accepted(self.play.start_registration(realm, user_id)):
            self.play.do(self.play.finish_registration(realm, self.world.ceremonies[-1]))

    def enrol(self, realm: str, user_id: str, method: str) -> None:
        """Another device of the user's, if they may."""
        if self.accepted(self.play.start_enrolment(realm, user_id)):
            self.play.do(self.play.enrol(realm, self.world.enrolments[-1], self.play.new_device(method)))

    def accepted(self, step: Step) -> bool:
        """Whether the step was, as it should."""
        return self.play.do(step).code is None

    def question(
        self, gadget: Gadget, kind: str, *, word: str = "pay", shows: bool = False, claimed: bool = True
    ) -> Question | None:
        """A new challenge that the device may answer, of a realm's or of an action; None: it was refused."""
        owner = gadget.owner
        realm, user_id, method = owner.realm, owner.user_id, gadget.method
        if kind == "action":
            step = self.play.ask_device(realm, self.token(owner, word), method, shows=shows)
        elif kind == "sign-in" and method != "push":
            step = self.play.ask_anybody(realm, word, method, shows=shows)
        else:
            named = None if kind == "anybody" and method != "push" else user_id
            step = self.play.ask(realm, method, named, shows=shows)
        if not self.accepted(step):
            return None
        question = self.world.questions[-1]
        if claimed and method == "qr-code":
            self.play.do(self.play.claim(realm, question, gadget))
        return question

    def success(self, n: int) -> Token:
        """Of an action whose challenge was met, now if none was before."""
        known = [one for one in self.world.tokens if one.kind == "success" and self._is_good(one)]
        if known and n > 1:
            return self.nth(known, n)
        key = self.key(n)
        token = self.token(key.owner, "pay")
        if self.accepted(self.play.ask_passkey(token.realm, token, key)):
            self.play.do(self.play.meet_by_passkey(token.realm, token, self.world.ceremonies[-1]))
        return self.world.tokens[-1]

    def meanwhile(self, what: str, thing: Key | Gadget) -> None:
        """What may happen to a passkey or device, or to its owner, between two steps."""
        realm, user_id = thing.owner.realm, thing.owner.user_id
        if what == "late":
            self.play.twins.clock.move(seconds=301)
        elif what == "disabled":
            self.play.do(self.play.disable(realm, user_id))
        elif what == "removed" and isinstance(thing, Key):
            self.play.do(self.play.remove_key(realm, user_id, thing))
        elif isinstance(thing, Gadget) and what == "ended":
            self.play.do(self.play.expire_gadget(thing, timedelta(seconds=-1)))
        elif isinstance(thing, Gadget) and what == "removed":
            self.play.do(self.play.remove_gadget(realm, user_id, thing))

    def token(self, person: Person, word: str) -> Token:
        """Of a new action of the person's."""
        self.play.do(self.play.track(person.realm, person.user_id, word, None))
        return self.world.tokens[-1]

    def await_answer(self, realm: str, question: Question, *, gives_up: bool = False) -> Step:
        """By the side that started it, as it started it."""
        if question.token is not None:
            return self.by_token(realm, question.token, question, gives_up=gives_up)
        if question.word is not None and not gives_up:
            return self.play.sign_in_by_device(realm, question, question.word)
        return (self.play.give_up if gives_up else self.play.poll)(realm, question)

    def by_token(self, realm: str, token: Token, question: Question, *, gives_up: bool) -> Step:
        """By the holder of an action's token."""
        return (self.play.cancel if gives_up else self.play.meet_by_device)(realm, token, question)

    def realm(self, n: int) -> str:
        """Mostly the first."""
        return REALMS[n == 5]

    def near(self, realm: str, n: int) -> str:
        """Mostly the same."""
        return realm if n < 5 else next(other for other in REALMS if other != realm)

    def key(self, n: int) -> Key:
        """Mostly one that its owner can sign in with."""
        return _nth(self.world.keys, n, lambda key: not key.gone and not key.owner.disabled)

    def gadget(self, n: int) -> Gadget:
        """Mostly one that its owner can answer with."""
        return _nth(self.world.gadgets, n, lambda one: one.counts(self.play.now) and not one.owner.disabled)

    def answerer(self, question: Question, n: int) -> Gadget:
        """Mostly a device that may answer."""
        fits = lambda gadget: question.is_for(gadget) and gadget.counts(self.play.now)  # noqa: E731
        return _nth(self.world.gadgets, n, fits)

    def any_question(self, n: int, states: Sequence[str] = ("pending", "claimed", "approved")) -> Question:
        """Mostly one that goes on."""
        return _nth(self.world.questions, n, lambda one: self._goes_on(one) and one.state in states)

    def any_token(self, n: int, kind: str | None = None) -> Token:
        """Mostly one that is good for something, of this kind; None: of any."""
        return _nth(self.world.tokens, n, lambda one: self._is_good(one) and kind in (None, one.kind))

    def _goes_on(self, question: Question) -> bool:
        return not question.gone and not question.taken and self.play.now < question.expires_at

    def _is_good(self, token: Token) -> bool:
        return not token.deed.gone and not token.deed.consumed and self.play.now < token.expires_at

    def any_deed(self, n: int, state: str) -> Deed:
        """Mostly one in this state."""
        return _nth(list(self.world.deeds.values()), n, lambda deed: deed.state == state)

    def ceremonies(self, kind: str) -> list[Ceremony]:
        """All of the kind that were begun."""
        return [one for one in self.world.ceremonies if one.kind == kind]

    def ceremony(self, kind: str, n: int) -> Ceremony:
        """Mostly one that is not over."""
        return _nth(self.ceremonies(kind), n, lambda one: not one.spent)

    @staticmethod
    def nth(things: Sequence[_T], n: int) -> _T:
        """Any of the things; 0 is the last one."""
        return things[-1 - n % len(things)]


def _nth(things: Sequence[_T], n: int, makes_sense: Callable[[_T], Any]) -> _T:
    good = [thing for thing in things if makes_sense(thing)] if n < _WRONG else []
    return Chooser.nth(good or things, n)
