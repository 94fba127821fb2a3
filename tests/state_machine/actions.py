"""Steps about actions: tracking them, meeting their challenges, and showing that they were met."""

from typing import Any

from passkeycore.engine.actions.records import ActionFilter
from tests.engine.kit import Json

from .devices import DeviceSteps
from .model import LIFETIME, SCOPE, WAITING, WORDS, Ceremony, Codes, Deed, Key, Question, Token
from .play import Step
from .twins import Answer, Call

_REVIEWS = ("REVIEW_SUCCEEDED", "REVIEW_FAILED")


class ActionSteps(DeviceSteps):
    """Part of the machine."""

    def track(self, realm: str, user_id: str, word: str, key: str | None, *, scoped: bool = False) -> Step:
        named: Json = {"idempotency_key": key, "scope": (SCOPE,) if scoped else ()}

        def judge(answer: Answer) -> None:
            self.judged(answer, set())
            tracked = answer.value
            assert key in (None, tracked.idempotency_key)
            assert (tracked.action.realm, tracked.action.user_id, tracked.action.action) == (realm, user_id, word)
            place = (realm, user_id, word, tracked.idempotency_key)
            deed = self.world.deeds.get(place)
            if deed is None:
                deed = self._begun(realm, user_id, word, tracked.idempotency_key, scoped)
            assert tracked.state == deed.state_at(self.now)
            assert tracked.action.created_at == deed.created_at
            assert set(tracked.enrolled_methods) == self.world.methods_of(realm, user_id)
            self.add_token("track", tracked.token, deed, deed.expires_at)

        return Step(Call(realm, "actions", "track", [user_id, word], named), judge)

    def ask_passkey(self, realm: str, token: Token, key: Key, *, forged: bool = False) -> Step:
        """Begins the ceremony that this passkey answers, whoever's it is."""

        def judge(answer: Answer) -> None:
            gate = self.world.wrong_with_beginner(realm, token, "passkey", self.now)
            person = self.world.people.get((realm, token.deed.user_id))
            if person is None or person.disabled or not self.world.keys_of(person):
                gate.add("no_credential")
            if self.judged(answer, gate) is None:
                self.begun_authentication(realm, answer.value, key, token.text, forged=forged, token=token)

        return Step(Call(realm, "actions", "start_passkey_challenge", [token.text]), judge)

    def meet_by_passkey(self, realm: str, token: Token, ceremony: Ceremony) -> Step:
        def judge(answer: Answer) -> None:
            gate = self.world.wrong_with_beginner(realm, token, "passkey", self.now)
            wrong = self.wrong_with_authentication(realm, ceremony, ceremony.token is token)
            refused = self.judged(answer, gate, wrong)
            if refused != 0:
                self.spend(realm, ceremony)
            if refused == 1:
                self.count_attempt(token.deed)
            elif refused is None:
                assert ceremony.signer is not None
                self._met(answer.value, token.deed, ceremony.signer, "passkey")

        return Step(Call(realm, "actions", "finish_passkey_challenge", [token.text, ceremony.body]), judge)

    def ask_device(self, realm: str, token: Token, method: str, *, shows: bool = False) -> Step:
        def judge(answer: Answer) -> None:
            gate = self.world.wrong_with_beginner(realm, token, method, self.now)
            gate |= set() if gate else self.wrong_with_asking(realm, token.deed.user_id)
            if self.judged(answer, gate) is None:
                self.asked(realm, answer.value.challenge, token.deed.user_id, token.text, token=token)

        named = {"method": method, "number_matching": shows, "content": "Pay 42 EUR?"}
        return Step(Call(realm, "actions", "start_device_challenge", [token.text], named), judge)

    def meet_by_device(self, realm: str, token: Token, question: Question) -> Step:
        def judge(answer: Answer) -> None:
            gate = self._wrong_with_tracker(realm, token)
            if gate:
                self.judged(answer, gate)
                return
            deed, fits = token.deed, question.token is token
            refusing: Codes = set() if deed.state_at(self.now) in WAITING else {"action_state"}
            is_taken = question.state == "approved" and fits and not question.taken
            if is_taken and refusing and answer.code == "action_state":
                # The approval is spent, although it comes too late for the action.
                accepted = Answer(object(), None)
                assert self.judge_poll(accepted, realm, question, fits) is not None
                return
            proof = self.judge_poll(answer, realm, question, fits)
            if answer.code == "challenge_rejected":
                self.reject(deed)
            if proof is not None:
                self.judged(answer, refusing)
                self._met(answer.value, deed, proof, question.method)

        return Step(Call(realm, "actions", "finish_device_challenge", [token.text, question.id]), judge)

    def cancel(self, realm: str, token: Token, question: Question | None) -> Step:
        def judge(answer: Answer) -> None:
            gate = self._wrong_with_tracker(realm, token)
            if token.deed.state_at(self.now) not in WAITING:
                gate.add("action_state")
            if gate:
                self.judged(answer, gate)
            elif question is None or self.judge_giving_up(answer, realm, question, question.token is token):
                self.judged(answer, gate)
                self.count_attempt(token.deed)

        which = [token.text] if question is None else [token.text, question.id]
        return Step(Call(realm, "actions", "cancel_challenge", which), judge)

    def ask_anybody(self, realm: str, word: str, method: str, *, shows: bool = False) -> Step:
        """A sign-in by whoever's device."""
        binding = self.fresh("browser")

        def judge(answer: Answer) -> None:
            self.judged(answer, set())
            self.asked(realm, answer.value.challenge, None, binding, word=word)

        named = {"method": method, "binding": binding, "number_matching": shows}
        return Step(Call(realm, "actions", "start_device_sign_in", [word], named), judge)

    def sign_in_by_device(self, realm: str, question: Question, word: str, *, binding: str | None = None) -> Step:
        given = binding or question.binding

        def judge(answer: Answer) -> None:
            fits = given == question.binding and word == question.word and question.token is None
            is_taken = question.state == "approved" and not question.taken and fits and realm == question.realm
            if is_taken and answer.code in (None, "action_state", "method_not_allowed"):
                proof = self.judge_poll(Answer(object(), None), realm, question, fits)
                assert proof is not None
                self.signed_in(answer, realm, word, proof, question.method)
            else:
                self.judge_poll(answer, realm, question, fits)

        named = {"binding": given}
        return Step(Call(realm, "actions", "finish_device_sign_in", [word, question.id], named), judge)

    def signed_in(self, answer: Answer, realm: str, word: str, proof: Any, method: str) -> None:
        """Judges the action that a sign-in is, once it is proved who it is."""
        user_id = proof.owner.user_id
        which = ActionFilter(user_id=user_id, actions=(word,))
        newest = self.twins.memory.repository.list_actions(realm, which, self.now, None, 1).actions[0]
        assert (realm, user_id, word, newest.idempotency_key) not in self.world.deeds
        deed = self._begun(realm, user_id, word, newest.idempotency_key, False)
        wrong: Codes = set() if deed.state in WAITING else {"action_state"}
        if self.judged(answer, wrong, set() if method in deed.methods else {"method_not_allowed"}) is None:
            self._met(answer.value, deed, proof, method)

    def validate(self, realm: str, token: Token, user_id: str | None, word: str | None, *, consume: bool) -> Step:
        deed = token.deed
        named: Json = {"user_id": user_id, "action": word, "consume": consume}

        def judge(answer: Answer) -> None:
            wrong = self.world.wrong_with_token(realm, token, self.now)
            if user_id not in (None, deed.user_id) or word not in (None, deed.word):
                wrong.add("token_invalid")
            if token.kind == "track":
                wrong.add("action_state")
            else:
                wrong |= self.world.wrong_with_proof(deed, self.now)
            if self.judged(answer, wrong) is None:
                action = answer.value
                assert (action.realm, action.user_id) == (realm, deed.user_id)
                assert (action.action, action.idempotency_key) == (deed.word, deed.key)
                assert (action.state, action.consumed_at is not None) == ("CHALLENGE_SUCCEEDED", consume)
                deed.consumed = consume

        return Step(Call(realm, "actions", "validate_challenge", [token.text], named), judge)

    def review(self, realm: str, deed: Deed, state: str) -> Step:
        place = deed.user_id, deed.word, deed.key

        def judge(answer: Answer) -> None:
            found = self.world.deeds.get((realm, *place))
            wrong: Codes = set()
            if found is None:
                wrong.add("action_not_found")
            elif found.state != "REVIEW_REQUIRED" or state not in _REVIEWS:
                wrong.add("action_state")
            if self.judged(answer, wrong) is None:
                assert found is not None
                found.state = state

        return Step(Call(realm, "actions", "update_action", place, {"state": state}), judge)

    def look(self, realm: str, deed: Deed) -> Step:
        place = deed.user_id, deed.word, deed.key

        def judge(answer: Answer) -> None:
            found = self.world.deeds.get((realm, *place))
            if self.judged(answer, set() if found else {"action_not_found"}) is None:
                assert found is not None
                action = answer.value
                told, known = (action.state, action.attempts), (found.state_at(self.now), found.attempts)
                assert told == known, f"state and attempts are {told}, not {known}"
                assert (action.consumed_at is not None) == found.consumed

        return Step(Call(realm, "actions", "get_action", place), judge)

    def _begun(self, realm: str, user_id: str, word: str, key: str, scoped: bool) -> Deed:
        state = self.world.beginning(realm, user_id, word, self.now)
        deed = Deed(realm, user_id, word, key, state, WORDS[word][1], self.now, scoped)
        self.world.deeds[realm, user_id, word, key] = deed
        return deed

    def _met(self, met: Any, deed: Deed, proof: Any, method: str) -> None:
        action = met.action
        assert (action.realm, action.user_id) == (deed.realm, deed.user_id)
        assert (action.action, action.idempotency_key) == (deed.word, deed.key)
        assert (action.state, action.method) == ("CHALLENGE_SUCCEEDED", method)
        assert (proof.owner.realm, proof.owner.user_id) == (deed.realm, deed.user_id)
        deed.state, deed.met_by = "CHALLENGE_SUCCEEDED", proof
        self.add_token("success", met.token, deed, self.now + LIFETIME)

    def _wrong_with_tracker(self, realm: str, token: Token) -> Codes:
        wrong = self.world.wrong_with_token(realm, token, self.now)
        return wrong | {"token_invalid"} if token.kind != "track" else wrong
