"""What is played, one thing after the other: mostly steps that have a chance, and some that have none."""

from datetime import timedelta
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .chooser import KEYS, Chooser, decisions, happenings, methods, often, pick, rarely, users, words
from .devices import HOW
from .model import WORDS, Gadget, Key
from .twins import REALMS, USERS, Call

_REVIEWS: Final = ("REVIEW_SUCCEEDED", "REVIEW_FAILED", "CHALLENGE_SUCCEEDED", "ALLOW")
_PAUSES: Final = (0.7, 20, 20, 20, 70, 70, 299.5, 301, 599.5, 601, 4_000)  # seconds
_LIVES: Final = (10_000, 10_000, 400, 30, -1)  # seconds, of devices
_KINDS: Final = ("named", "anybody", "sign-in", "action")


class Rules(Chooser):
    """Every rule plays one step or a few."""

    # Users, and what they have.

    @rule(realm=pick, user_id=users, method=st.sampled_from(("passkey", "push", "qr-code", "in-app")))
    def get_authenticator(self, realm: int, user_id: str, method: str) -> None:
        if method == "passkey":
            self.register(self.realm(realm), user_id)
        else:
            self.enrol(self.realm(realm), user_id, method)

    @rule(realm=pick, user_id=users, what=st.sampled_from(("disable", "enable", "enable", "enable", "remove")))
    def change_user(self, realm: int, user_id: str, what: str) -> None:
        steps = {"disable": self.play.disable, "enable": self.play.enable, "remove": self.play.remove_user}
        self.play.do(steps[what](self.realm(realm), user_id))

    @rule(user_id=users, word=words, scoped=st.booleans(), meets=st.booleans())
    def begin_anew(self, user_id: str, word: str, scoped: bool, meets: bool) -> None:
        """Somebody is removed, and another gets their name and does the same."""
        if ("", user_id) in self.world.people:
            self.play.do(self.play.remove_user("", user_id))
        self.register("", user_id)
        self.enrol("", user_id, "push")
        self.play.do(self.play.track("", user_id, word, "first", scoped=scoped))
        if meets:
            self.meet(0, "passkey", 0)
        for token in [one for one in self.world.tokens if one.deed.gone][-2:]:
            deed = token.deed
            self.play.do(self.play.validate("", token, deed.user_id, deed.word, consume=False))
            if token.kind == "track":
                self.play.do(self.play.cancel("", token, None))

    @precondition(lambda self: self.world.keys and self.world.gadgets)
    @rule(n=pick, realm=pick, user_id=users, right=often, kind=st.sampled_from(("key", "device", "itself")))
    def lose_authenticator(self, n: int, realm: int, user_id: str, right: bool, kind: str) -> None:
        thing: Key | Gadget = self.key(n) if kind == "key" else self.gadget(n)
        near = self.near(thing.owner.realm, realm)
        owner = thing.owner.user_id if right else user_id
        if isinstance(thing, Key):
            self.play.do(self.play.remove_key(near, owner, thing))
        elif kind == "itself":
            signer = thing if right else self.nth(self.world.gadgets, realm)
            self.play.do(self.play.remove_by_device(near, thing, signer))
        else:
            self.play.do(self.play.remove_gadget(near, owner, thing))

    @precondition(lambda self: self.world.gadgets)
    @rule(n=pick, seconds=st.sampled_from(_LIVES))
    def end_device(self, n: int, seconds: int) -> None:
        self.play.do(self.play.expire_gadget(self.gadget(n), timedelta(seconds=seconds)))

    # Enrolling, in two steps.

    @rule(realm=pick, user_id=users, kind=st.sampled_from(("key", "device", "action")), n=pick)
    def begin_enrolment(self, realm: int, user_id: str, kind: str, n: int) -> None:
        if kind == "action" and self.world.tokens:
            token = self.any_token(n)
            self.play.do(self.play.start_passkey_enrolment(self.near(token.realm, realm), token))
        elif kind == "device":
            self.play.do(self.play.start_enrolment(self.realm(realm), user_id))
        else:
            self.play.do(self.play.start_registration(self.realm(realm), user_id))

    @rule(n=pick, realm=pick, right=often, m=pick, user_id=users)
    def end_registration(self, n: int, realm: int, right: bool, m: int, user_id: str) -> None:
        ceremony = self.ceremony("registration", n)
        near = self.near(ceremony.realm, realm)
        if not right and m < 2 and self.world.tokens:
            self.play.do(self.play.finish_passkey_enrolment(near, self.any_token(m), ceremony))
        elif not right:
            other = {"user_id": user_id} if m % 2 else {"binding": "another browser"}
            self.play.do(self.play.finish_registration(near, ceremony, **other))
        elif ceremony.token is not None:
            self.play.do(self.play.finish_passkey_enrolment(near, ceremony.token, ceremony))
        else:
            self.play.do(self.play.finish_registration(near, ceremony))

    @rule(n=pick, realm=pick, by_action=st.booleans(), method=methods, known=rarely, right=often)
    def end_enrolment(self, n: int, realm: int, by_action: bool, method: str, known: bool, right: bool) -> None:
        device = self.world.gadgets[-1].software if known else self.play.new_device(method)
        signs = None if right else "another token"
        if by_action and self.world.tokens:
            token = self.any_token(n)
            self.play.do(self.play.enrol_by_action(self.near(token.realm, realm), token, device, signs=signs))
        else:
            enrolment = self.nth(self.world.enrolments, n)
            self.play.do(self.play.enrol(self.near(enrolment.person.realm, realm), enrolment, device, signs=signs))

    # Signing in by a passkey.

    @precondition(lambda self: self.world.keys)
    @rule(n=pick, realm=pick, word=st.sampled_from((None, None, *WORDS)), forged=rarely, ends=st.booleans(),
          what=happenings)  # fmt: skip
    def begin_sign_in(self, n: int, realm: int, word: str | None, forged: bool, ends: bool, what: str) -> None:
        key = self.key(n)
        near = self.near(key.owner.realm, realm)
        self.play.do(self.play.start_sign_in(near, key, word=word, forged=forged))
        if ends:
            self.meanwhile(what, key)
            self.play.do(self.play.finish_sign_in(near, self.world.ceremonies[-1], word=word))

    @precondition(lambda self: self.ceremonies("authentication"))
    @rule(n=pick, realm=pick, right=often, word=words)
    def end_sign_in(self, n: int, realm: int, right: bool, word: str) -> None:
        ceremony = self.ceremony("authentication", n)
        near = self.near(ceremony.realm, realm)
        if right:
            self.play.do(self.play.finish_sign_in(near, ceremony, word=ceremony.word))
        else:
            binding = "another browser" if n % 2 else None
            self.play.do(self.play.finish_sign_in(near, ceremony, word=word, binding=binding))

    # Actions.

    @rule(realm=pick, user_id=users, word=words, key=st.sampled_from(KEYS), scoped=st.booleans())
    def track(self, realm: int, user_id: str, word: str, key: str | None, scoped: bool) -> None:
        self.play.do(self.play.track(self.realm(realm), user_id, word, key, scoped=scoped))

    @precondition(lambda self: self.world.tokens and self.world.keys)
    @rule(n=pick, realm=pick, forged=rarely, m=pick)
    def begin_passkey_challenge(self, n: int, realm: int, forged: bool, m: int) -> None:
        token = self.any_token(n)
        person = self.world.people.get((token.realm, token.deed.user_id))
        key = self.key(5) if m == 5 else self.nth(self.play.keys_for(person), m)
        self.play.do(self.play.ask_passkey(self.near(token.realm, realm), token, key, forged=forged))

    @precondition(lambda self: self.world.tokens and self.ceremonies("authentication"))
    @rule(n=pick, realm=pick, right=often, m=pick)
    def end_passkey_challenge(self, n: int, realm: int, right: bool, m: int) -> None:
        ceremony = self.ceremony("authentication", n)
        token = ceremony.token if right and ceremony.token else self.any_token(m)
        self.play.do(self.play.meet_by_passkey(self.near(token.realm, realm), token, ceremony))

    @precondition(lambda self: self.world.tokens)
    @rule(n=pick, by=st.sampled_from(("passkey", "passkey", "device")), m=pick)
    def meet(self, n: int, by: str, m: int) -> None:
        """An action's challenge, met at once by what its user has."""
        token = self.any_token(n, "track")
        person = self.world.people.get((token.realm, token.deed.user_id))
        gadgets, keys = self.world.gadgets_of(person), self.world.keys_of(person)
        if by == "passkey" and keys:
            if self.accepted(self.play.ask_passkey(token.realm, token, self.nth(keys, m))):
                self.play.do(self.play.meet_by_passkey(token.realm, token, self.world.ceremonies[-1]))
        elif gadgets:
            gadget = self.nth(gadgets, m)
            if self.accepted(self.play.ask_device(token.realm, token, gadget.method)):
                question = self.world.questions[-1]
                if gadget.method == "qr-code":
                    self.play.do(self.play.claim(token.realm, question, gadget))
                self.play.do(self.play.answer(token.realm, question, gadget, "approve"))
                self.play.do(self.play.meet_by_device(token.realm, token, question))

    @precondition(lambda self: self.world.tokens)
    @rule(n=pick, m=pick, realm=pick, right=often, user_id=users, word=words, named=often, consume=rarely)
    def show_token(
        self, n: int, m: int, realm: int, right: bool, user_id: str, word: str, named: bool, consume: bool
    ) -> None:
        """A token, where it proves something or where it must not."""
        token = self.any_token(n, "success" if m < 4 else None)
        if right:
            user_id, word = token.deed.user_id, token.deed.word
        which = (user_id, word) if named else (None, None)
        self.play.do(self.play.validate(self.near(token.realm, realm), token, *which, consume=consume))

    @precondition(lambda self: self.world.keys)
    @rule(n=pick, what=happenings, consume=often, again=often)
    def meet_and_show(self, n: int, what: str, consume: bool, again: bool) -> None:
        """A success, shown to whoever asked for it: once, and once more."""
        token = self.success(n)
        if token.deed.met_by is not None:
            self.meanwhile(what, token.deed.met_by)
        for _ in range(1 + again):
            self.play.do(self.play.validate(token.realm, token, token.deed.user_id, token.deed.word, consume=consume))

    @rule(user_id=users, word=words, key=st.sampled_from(KEYS[:2]))
    def track_everywhere(self, user_id: str, word: str, key: str) -> None:
        """Two tenants' users of one name do the same in the same moment."""
        self.play.do(self.play.track("", user_id, word, key))
        self.play.do(self.play.track("shop", user_id, word, key), at_once=True)
        for token in self.world.tokens[-2:]:
            for realm in REALMS:
                self.play.do(self.play.cancel(realm, token, None))

    @precondition(lambda self: self.world.deeds)
    @rule(n=pick, realm=pick, state=st.sampled_from(_REVIEWS))
    def review(self, n: int, realm: int, state: str) -> None:
        deed = self.any_deed(n, "REVIEW_REQUIRED")
        self.play.do(self.play.review(self.near(deed.realm, realm), deed, state))

    # Devices.

    @rule(realm=pick, user_id=users, method=methods, shows=st.booleans(), kind=st.sampled_from(_KINDS), word=words,
          m=pick)  # fmt: skip
    def ask(self, realm: int, user_id: str, method: str, shows: bool, kind: str, word: str, m: int) -> None:
        near = self.realm(realm)
        if kind == "action" and self.world.tokens:
            token = self.any_token(m)
            self.play.do(self.play.ask_device(self.near(token.realm, realm), token, method, shows=shows))
        elif method == "push" or kind == "named":
            only = self.gadget(m) if m > 3 and self.world.gadgets else None
            self.play.do(self.play.ask(near, method, user_id, only=only, shows=shows))
        elif kind == "sign-in":
            self.play.do(self.play.ask_anybody(near, word, method, shows=shows))
        else:
            self.play.do(self.play.ask(near, method, None, shows=shows))

    @precondition(lambda self: self.world.gadgets)
    @rule(n=pick, kind=st.sampled_from(_KINDS), shows=st.booleans(), decision=decisions, how=st.sampled_from(HOW),
          service=st.sampled_from(("devices", "actions")), word=words, waits=often,
          before=happenings, after=happenings)  # fmt: skip
    def ask_and_decide(
        self,
        n: int,
        kind: str,
        shows: bool,
        decision: str,
        how: Any,
        service: Any,
        word: str,
        waits: bool,
        before: str,
        after: str,
    ) -> None:
        """A device is asked, answers, and the side that asked hears of it, or not yet."""
        gadget = self.gadget(n)
        question = self.question(gadget, kind, word=word, shows=shows)
        if question is not None:
            realm = question.realm
            self.meanwhile(before, gadget)
            self.play.do(self.play.answer(realm, question, gadget, decision, how=how, service=service))
            self.meanwhile(after, gadget)
            if waits:
                self.play.do(self.await_answer(realm, question))

    @precondition(lambda self: self.world.questions and self.world.gadgets)
    @rule(n=pick, realm=pick, m=pick, right=often)
    def claim(self, n: int, realm: int, m: int, right: bool) -> None:
        question = self.any_question(n, ["pending"])
        gadget = self.answerer(question, m)
        signer = None if right else self.play.new_device(gadget.method)
        self.play.do(self.play.claim(self.near(question.realm, realm), question, gadget, signer=signer))

    @precondition(lambda self: self.world.questions and self.world.gadgets)
    @rule(n=pick, realm=pick, m=pick, decision=decisions, how=st.sampled_from(HOW),
          service=st.sampled_from(("devices", "actions")))  # fmt: skip
    def decide(self, n: int, realm: int, m: int, decision: str, how: Any, service: Any) -> None:
        question = self.any_question(n)
        gadget = self.answerer(question, m)
        near = self.near(question.realm, realm)
        self.play.do(self.play.answer(near, question, gadget, decision, how=how, service=service))

    @precondition(lambda self: self.world.questions)
    @rule(n=pick, realm=pick, gives_up=rarely)
    def await_question(self, n: int, realm: int, gives_up: bool) -> None:
        question = self.any_question(n)
        self.play.do(self.await_answer(self.near(question.realm, realm), question, gives_up=gives_up))

    @precondition(lambda self: self.world.questions)
    @rule(n=pick, m=pick, word=words, gives_up=rarely)
    def spy_on_question(self, n: int, m: int, word: str, gives_up: bool) -> None:
        """Somebody who did not start it wants its answer."""
        question = self.any_question(n)
        others = ({"user_id": USERS[n % 2]}, {"binding": "another browser"}, {"purpose": "another purpose"})
        if m < 3:
            self.play.do((self.play.give_up if gives_up else self.play.poll)(question.realm, question, **others[m]))
        elif m == 3 or not self.world.tokens:
            self.play.do(self.play.sign_in_by_device(question.realm, question, word, binding="another browser"))
        else:
            self.play.do(self.by_token(question.realm, self.any_token(n), question, gives_up=gives_up))

    @precondition(lambda self: self.world.tokens)
    @rule(n=pick, realm=pick)
    def cancel(self, n: int, realm: int) -> None:
        token = self.any_token(n, "track")
        self.play.do(self.play.cancel(self.near(token.realm, realm), token, None))

    @precondition(lambda self: self.world.gadgets)
    @rule(n=pick, realm=pick)
    def fetch(self, n: int, realm: int) -> None:
        gadget = self.gadget(n)
        self.play.do(self.play.fetch(self.near(gadget.owner.realm, realm), gadget))

    # Time.

    @rule(seconds=st.sampled_from(_PAUSES), forget=rarely)
    def wait(self, seconds: float, forget: bool) -> None:
        self.play.twins.clock.move(seconds=seconds)
        if forget:
            assert self.play.twins.call(Call("", "passkeys", "remove_expired")).code is None
            self.world.forget(self.play.now)
