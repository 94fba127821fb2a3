"""What must never work, each time with everything in place and one thing wrong, and then as it should be.

Other rules get there by chance now and then; these whenever they are played, so that a few histories are enough.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .chooser import methods, pick, users
from .model import ALL, MAX_DEVICES, MAX_PENDING, Gadget, Key, Person, Token
from .rules import Rules
from .twins import REALMS, USERS

_KINDS: Final = ("named", "anybody", "sign-in", "action")
_ONLY: Final = "one device"
_PLAIN: Final = ("named", "anybody", _ONLY)
_ENDS: Final = ("removed", "removed by itself", "ended", "disabled")


class Intruders(Rules):
    """Every rule is one promise."""

    @precondition(lambda self: self.world.keys)
    @rule(n=pick, other=st.sampled_from(("move", "vote", "look")))
    def show_elsewhere(self, n: int, other: str) -> None:
        """A token of one action proves no other action, nobody else's, none of another realm, and nothing twice."""
        token = self.success(n)
        realm, user_id, word = token.realm, token.deed.user_id, token.deed.word
        wrong = [
            (realm, _another(USERS, user_id), word),
            (realm, user_id, _another((other, "pay"), word)),
            (_another(REALMS, realm), user_id, word),
            (_another(REALMS, realm), None, None),
        ]
        for place, *names in wrong:
            self.play.do(self.play.validate(place, token, *names, consume=True))
        for known in [one for one in self.world.tokens if one.deed is token.deed and one.kind == "track"]:
            self.play.do(self.play.validate(realm, known, user_id, word, consume=True))
        for _ in range(2):
            self.play.do(self.play.validate(realm, token, user_id, word, consume=True))

    @rule(realm=pick, user_id=users)
    def come_back(self, realm: int, user_id: str) -> None:
        """Nothing of somebody who was removed is good for whoever gets their name and does the same."""
        near = self.realm(realm)
        held: list[Token] = []
        for _ in range(2):
            if (near, user_id) in self.world.people:
                self.play.do(self.play.remove_user(near, user_id))
            self.register(near, user_id)
            self.play.do(self.play.track(near, user_id, "pay", "first"))
            token = self.world.tokens[-1]
            for one in held:
                self.play.do(self.play.validate(near, one, user_id, "pay", consume=False))
                self.play.do(self.play.cancel(near, one, None))
            held.append(token)
            if self.accepted(self.play.ask_passkey(near, token, self.world.keys[-1])):
                self.play.do(self.play.meet_by_passkey(near, token, self.world.ceremonies[-1]))
                held.append(self.world.tokens[-1])
            for one in held:
                self.play.do(self.play.validate(near, one, user_id, "pay", consume=False))

    @rule(realm=pick, user_id=users, method=methods, kind=st.sampled_from(_KINDS))
    def answer_for_others(self, realm: int, user_id: str, method: str, kind: str) -> None:
        """No device answers for another user, nor for one that is named; a right answer counts once."""
        for one in (kind, _ONLY):
            self._answered_by_one(self.realm(realm), user_id, method, one)

    def _answered_by_one(self, near: str, user_id: str, method: str, kind: str) -> None:
        mine = self._device(near, user_id, method)
        spare = self._device(near, user_id, method, but=mine)
        theirs = self._device(near, _another(USERS, user_id), method)
        elsewhere = self._device(_another(REALMS, near), user_id, method)
        if kind == _ONLY:
            question = None
            if self.accepted(self.play.ask(near, method, user_id, only=mine)):
                question = self.world.questions[-1]
        else:
            question = self.question(mine, kind, claimed=False)
        if question is None:
            return
        service: Literal["devices", "actions"] = "devices" if kind in _PLAIN else "actions"
        if method == "qr-code":
            # The first to claim what is nobody's in particular is right.
            for gadget in (elsewhere, *((theirs,) if question.user_id or question.only else ()), mine, theirs, spare):
                self.play.do(self.play.claim(near, question, gadget))
        for gadget in (mine, theirs):
            self.play.do(self.play.fetch(near, gadget))
        for gadget in (theirs, elsewhere, *((spare,) if question.only else ())):
            if question.user_id is not None or not question.awaits(gadget):
                self.play.do(self.play.answer(near, question, gadget, "approve", service=service))
        for gadget in (mine, mine, theirs):
            self.play.do(self.play.answer(near, question, gadget, "approve", service=service))
        if kind in _PLAIN:
            for other in ({"user_id": _another(USERS, user_id)}, {"binding": "another"}, {"purpose": "another"}):
                self.play.do(self.play.poll(near, question, **other))
        for _ in range(2):
            self.play.do(self.await_answer(near, question))

    @rule(realm=pick, user_id=users, method=methods, kind=st.sampled_from(_KINDS), end=st.sampled_from(_ENDS))
    def answer_afterwards(self, realm: int, user_id: str, method: str, kind: str, end: str) -> None:
        """A device that is removed, has expired or is a disabled user's answers nothing; nor does what it answered."""
        for answered in (False, True):
            self._ended(self.realm(realm), user_id, method, kind, end, answered=answered)

    def _ended(self, near: str, user_id: str, method: str, kind: str, end: str, *, answered: bool) -> None:
        gadget = self._device(near, user_id, method)
        question = self.question(gadget, kind)
        if question is None:
            return
        service: Literal["devices", "actions"] = "devices" if kind in _PLAIN else "actions"
        answer = self.play.answer(near, question, gadget, "approve", service=service)
        if answered:
            self.play.do(answer)
        if end == "removed by itself":
            self.play.do(self.play.remove_by_device(near, gadget, gadget))
        else:
            self.meanwhile(end, gadget)
        if not answered:
            self.play.do(answer)
        self.play.do(self.await_answer(near, question))

    @rule(realm=pick, user_id=users, end=st.sampled_from(("removed", "disabled")), when=st.integers(0, 2),
          word=st.sampled_from((None, "pay")))  # fmt: skip
    def use_passkey_afterwards(self, realm: int, user_id: str, end: str, when: int, word: str | None) -> None:
        """A passkey that is removed, or of a disabled user, signs nobody in and meets nothing; nor does what it met."""
        near = self.realm(realm)
        key = self._passkey(near, user_id)
        token = self.token(key.owner, "pay")
        if when == 0:
            self.meanwhile(end, key)
        self.play.do(self.play.start_sign_in(near, key, word=word))
        sign_in = self.world.ceremonies[-1]
        is_asked = self.accepted(self.play.ask_passkey(near, token, key))
        meeting = self.world.ceremonies[-1]
        if when == 1:
            self.meanwhile(end, key)
        self.play.do(self.play.finish_sign_in(near, sign_in, word=word))
        if is_asked:
            self.play.do(self.play.meet_by_passkey(near, token, meeting))
        if when == 2:
            self.meanwhile(end, key)
        for shown in [one for one in self.world.tokens if one.deed is token.deed]:
            self.play.do(self.play.validate(near, shown, user_id, "pay", consume=False))

    @rule(realm=pick, user_id=users, by=st.sampled_from(("passkey", *ALL)))
    def meet_another(self, realm: int, user_id: str, by: Any) -> None:
        """What was asked for one action meets no other, not even of the same user; and its own no more than once."""
        near = self.realm(realm)
        key, gadget = self._passkey(near, user_id), None if by == "passkey" else self._device(near, user_id, by)
        asked, other = self.token(key.owner, "pay"), self.token(key.owner, "pay")
        tokens = (other, asked, asked)
        if gadget is None:
            for shown in (tokens, tokens[1:]):  # whoever comes first spends it
                if self.accepted(self.play.ask_passkey(near, asked, key)):
                    ceremony = self.world.ceremonies[-1]
                    for token in shown:
                        self.play.do(self.play.meet_by_passkey(near, token, ceremony))
        elif self.accepted(self.play.ask_device(near, asked, gadget.method)):
            question = self.world.questions[-1]
            if gadget.method == "qr-code":
                self.play.do(self.play.claim(near, question, gadget))
            self.play.do(self.play.answer(near, question, gadget, "approve", service="actions"))
            for token in tokens:
                self.play.do(self.play.meet_by_device(near, token, question))

    @rule(realm=pick, user_id=users, method=methods, word=st.sampled_from(("pay", "move")), waits=st.booleans())
    def say_no(self, realm: int, user_id: str, method: str, word: str, waits: bool) -> None:
        """Only what an action allows is asked for it, and a rejection ends it: nothing meets it any more."""
        near = self.realm(realm)
        key, gadget = self._passkey(near, user_id), self._device(near, user_id, method)
        token = self.token(key.owner, word)
        if not self.accepted(self.play.ask_device(near, token, method)):
            return
        question = self.world.questions[-1]
        if method == "qr-code":
            self.play.do(self.play.claim(near, question, gadget))
        meeting = self.accepted(self.play.ask_passkey(near, token, key)) and self.world.ceremonies[-1]
        self.play.do(self.play.answer(near, question, gadget, "reject", service="actions"))
        self.play.do(self.play.look(near, token.deed))
        if meeting:
            self.play.do(self.play.meet_by_passkey(near, token, meeting))
        if waits:
            self.play.do(self.await_answer(near, question))

    @rule(realm=pick, user_id=users, good=st.booleans())
    def be_reviewed(self, realm: int, user_id: str, good: bool) -> None:
        """People decide once about an action that waits for them, and about no other."""
        near = self.realm(realm)
        self._enabled(near, user_id)
        for word in ("lend", "pay"):
            self.play.do(self.play.track(near, user_id, word, None))
            deed = self.world.tokens[-1].deed
            for state in ("REVIEW_SUCCEEDED", "REVIEW_FAILED")[:: 1 if good else -1]:
                self.play.do(self.play.review(near, deed, state))

    def _device(self, realm: str, user_id: str, method: str, *, but: Gadget | None = None) -> Gadget:
        """A device that can answer, of a user who may be asked; not that one."""
        person = self._enabled(realm, user_id)
        if len(self.world.pending(realm, user_id, self.play.now)) >= MAX_PENDING:
            self.play.twins.clock.move(seconds=301)
        theirs = [one for one in self.world.gadgets_of(person) if one is not but]
        for gadget in theirs:
            if gadget.method == method and gadget.counts(self.play.now):
                return gadget
        if len(self.world.gadgets_of(person)) >= MAX_DEVICES:
            self.play.do(self.play.remove_gadget(realm, user_id, theirs[0]))
        self.enrol(realm, user_id, method)
        return self.world.gadgets[-1]

    def _passkey(self, realm: str, user_id: str) -> Key:
        """One that can sign in."""
        person = self._enabled(realm, user_id)
        if not self.world.keys_of(person):
            self.register(realm, user_id)
        return self.world.keys_of(self.world.person(realm, user_id))[-1]

    def _enabled(self, realm: str, user_id: str) -> Person | None:
        person = self.world.people.get((realm, user_id))
        if person is not None and person.disabled:
            self.play.do(self.play.enable(realm, user_id))
        return person


def _another(names: Sequence[str], name: str) -> str:
    return next(other for other in names if other != name)
