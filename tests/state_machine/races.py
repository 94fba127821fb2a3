"""Races: a second step comes between what the first has read and what it writes, and counts as the earlier one."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .chooser import KEYS, methods, pick, users, words
from .intruders import Intruders
from .model import Key
from .play import Step

_ANSWERS: Final = ("approve", "reject", "give up", "remove", "disable")


class Races(Intruders):
    """Every rule sets the stage for a race, and plays it."""

    @precondition(lambda self: self.world.gadgets)
    @rule(n=pick, first=st.sampled_from(("poll", "approve", "reject", "claim")),
          second=st.sampled_from(("poll", "claim", *_ANSWERS)), shows=st.booleans())  # fmt: skip
    def race_for_answer(self, n: int, first: str, second: str, shows: bool) -> None:
        gadget = self.gadget(n)
        question = self.question(gadget, "anybody", shows=shows and first == "claim", claimed=first != "claim")
        if question is None:
            return
        realm = question.realm
        if first == "poll":
            self.play.do(self.play.answer(realm, question, gadget, "approve"))
        steps: dict[str, Step] = {
            "poll": self.play.poll(realm, question),
            "approve": self.play.answer(realm, question, gadget, "approve"),
            "reject": self.play.answer(realm, question, gadget, "reject"),
            "claim": self.play.claim(realm, question, gadget),
            "give up": self.play.give_up(realm, question),
            "remove": self.play.remove_gadget(realm, gadget.owner.user_id, gadget),
            "disable": self.play.disable(realm, gadget.owner.user_id),
        }
        self.play.race(steps[first], steps[second], "replace_device_challenge")

    @precondition(lambda self: self.world.gadgets and self.world.keys)
    @rule(n=pick, by=st.sampled_from(("passkey", "device")), second=st.sampled_from(("cancel", "reject", "again")))
    def race_to_meet(self, n: int, by: str, second: str) -> None:
        gadget = self.gadget(n)
        person = gadget.owner
        other = self.question(gadget, "action")
        keys = self.world.keys_of(person)
        if other is None or other.token is None:
            return
        realm, token = other.realm, other.token
        if second == "reject":
            rival = self.play.answer(realm, other, gadget, "reject", service="actions")
        else:
            rival = self.play.cancel(realm, token, None)
        if by == "passkey" and keys and self.accepted(self.play.ask_passkey(realm, token, self.nth(keys, n))):
            ceremony = self.world.ceremonies[-1]
            self.play.race(self.play.meet_by_passkey(realm, token, ceremony), rival, "replace_action")
            ceremony.spent = True  # by a finish that came too late for the action, too
        elif by == "device" and self.accepted(self.play.ask_device(realm, token, gadget.method)):
            question = self.world.questions[-1]
            if gadget.method == "qr-code":
                self.play.do(self.play.claim(realm, question, gadget))
            self.play.do(self.play.answer(realm, question, gadget, "approve"))
            finish = self.play.meet_by_device(realm, token, question)
            if second == "again":
                self.play.race(finish, self.play.meet_by_device(realm, token, question), "replace_device_challenge")
            else:
                self.play.race(finish, rival, "replace_action")

    @precondition(lambda self: self.world.keys)
    @rule(n=pick, second=st.sampled_from(("again", "again", "remove", "lose", "disable")))
    def race_to_consume(self, n: int, second: str) -> None:
        token = self.success(n)
        deed, proof = token.deed, token.deed.met_by
        step = self.play.validate(token.realm, token, deed.user_id, deed.word, consume=True)
        rival = step
        if second == "remove":
            rival = self.play.remove_user(token.realm, deed.user_id)
        elif second == "disable":
            rival = self.play.disable(token.realm, deed.user_id)
        elif second == "lose" and isinstance(proof, Key):
            rival = self.play.remove_key(token.realm, deed.user_id, proof)
        is_raced = self.play.race(step, rival, "replace_action")
        deed.consumed = deed.consumed or (is_raced and not deed.gone)  # whether or not it was of use

    @rule(realm=pick, user_id=users, word=words, key=st.sampled_from(KEYS[:2]))
    def race_to_track(self, realm: int, user_id: str, word: str, key: str) -> None:
        step = self.play.track(self.realm(realm), user_id, word, key)
        self.play.race(step, step, "add_action")

    @precondition(lambda self: self.world.keys)
    @rule(n=pick, second=st.sampled_from(("again", "remove", "disable")))
    def race_to_sign_in(self, n: int, second: str) -> None:
        key = self.key(n)
        realm, user_id = key.owner.realm, key.owner.user_id
        self.play.do(self.play.start_sign_in(realm, key))
        ceremony = self.world.ceremonies[-1]
        rivals = {
            "again": self.play.finish_sign_in(realm, ceremony),
            "remove": self.play.remove_key(realm, user_id, key),
            "disable": self.play.disable(realm, user_id),
        }
        at = "take_ceremony" if second == "again" else "advance_passkey"
        self.play.race(self.play.finish_sign_in(realm, ceremony), rivals[second], at)

    @rule(n=pick, second=st.sampled_from(("same token", "another", "disable", "remove")), method=methods)
    def race_to_enrol(self, n: int, second: str, method: str) -> None:
        enrolment = self.nth(self.world.enrolments, n)
        owner = enrolment.person
        if n < 4 and not self.accepted(self.play.start_enrolment(owner.realm, owner.user_id)):
            return
        enrolment = self.nth(self.world.enrolments, max(0, n - 3))
        realm, user_id = enrolment.person.realm, enrolment.person.user_id
        other = self.nth(self.world.enrolments, n + 1) if second == "another" else enrolment
        rivals = {
            "disable": self.play.disable(realm, user_id),
            "remove": self.play.remove_user(realm, user_id),
        }
        rival = rivals.get(second) or self.play.enrol(realm, other, self.play.new_device(method))
        step = self.play.enrol(realm, enrolment, self.play.new_device(method))
        if second not in rivals and other is enrolment:
            self.play.race(step, rival, "add_device_challenge")  # which is where a token is spent
        elif self.play.race(step, rival, "add_device"):
            enrolment.used = True  # whether or not the device was stored

    @rule(realm=pick, user_id=users, device_first=st.booleans(), scoped=st.booleans())
    def race_to_be_first(self, realm: int, user_id: str, device_first: bool, scoped: bool) -> None:
        """A user's first authenticator takes any token of theirs; of two at once, neither takes it for granted."""
        near = self.realm(realm)
        if (near, user_id) in self.world.people:
            self.play.do(self.play.remove_user(near, user_id))
        self.play.do(self.play.track(near, user_id, "pay", None, scoped=scoped))
        token = self.world.tokens[-1]
        self.play.do(self.play.start_passkey_enrolment(near, token))
        passkey = self.play.finish_passkey_enrolment(near, token, self.world.ceremonies[-1])
        device = self.play.enrol_by_action(near, token, self.play.new_device("push"))
        if device_first:
            if self.play.race(device, passkey, "add_device"):
                self.play.used.add((token.text, "push"))  # whether or not the device was stored
        else:
            self.play.race(passkey, device, "add_passkey")
            self.world.ceremonies[-1].spent = True

    @rule(realm=pick, user_id=users)
    def race_to_register(self, realm: int, user_id: str) -> None:
        near = self.realm(realm)
        begun = [self.accepted(self.play.start_registration(near, user_id)) for _ in range(2)]
        if all(begun):
            first, second = (self.play.finish_registration(near, one) for one in self.world.ceremonies[-2:])
            self.play.race(first, second, "add_passkey")
