"""Steps about devices: enrolling and removing them, asking them, and what they answer."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias

from passkeycore.testing import SoftwareDevice
from tests.engine.kit import Json

from .model import (
    ACTION_ATTEMPTS,
    CHALLENGE_LIFETIME,
    LIFETIME,
    MAX_DEVICES,
    MAX_PENDING,
    WAITING,
    Codes,
    Deed,
    Enrolment,
    Gadget,
    Question,
    Token,
)
from .passkeys import PasskeySteps
from .play import Step
from .twins import DOMAIN, Answer, Call

How: TypeAlias = Literal["right", "wrong key", "other decision", "other content", "wrong code", "other challenge"]
HOW: Final[tuple[How, ...]] = (
    *("right", "right", "right", "right", "right"),
    *("wrong key", "other decision", "other content", "wrong code", "other challenge"),
)
_STRANGER: Final = SoftwareDevice("a device that nobody enrolled", domain=DOMAIN)


class DeviceSteps(PasskeySteps):
    """Part of the machine."""

    def start_enrolment(self, realm: str, user_id: str) -> Step:
        def judge(answer: Answer) -> None:
            person = self.world.people.get((realm, user_id))
            wrong: Codes = {"user_disabled"} if person is not None and person.disabled else set()
            if len(self.world.gadgets_of(person)) >= MAX_DEVICES:
                wrong.add("limit_reached")
            if self.judged(answer, wrong) is None:
                assert (answer.value.user_id, answer.value.expires_at) == (user_id, self.now + LIFETIME)
                person = self.world.person(realm, user_id)
                self.world.enrolments.append(Enrolment(answer.value.token, person, answer.value.expires_at))

        named = {"user_name": f"{user_id}@example.org"}
        return Step(Call(realm, "devices", "start_enrolment", [user_id], named), judge)

    def enrol(self, realm: str, enrolment: Enrolment, device: SoftwareDevice, *, signs: str | None = None) -> Step:
        """The device signs the enrolment's token, or another text."""

        def judge(answer: Answer) -> None:
            person = enrolment.person
            wrong: Codes = set()
            if person.realm != realm:
                wrong.add("token_invalid")
            if int(self.now.timestamp()) >= int(enrolment.expires_at.timestamp()):
                wrong.add("token_expired")
            if signs is not None:
                wrong.add("signature_invalid")
            there = self.world.people.get((realm, person.user_id))
            if person.gone:
                wrong.add("user_not_found" if there is None else "token_invalid")
            wrong |= self._wrong_with_another(person, realm, device)
            if enrolment.used:
                wrong.add("credential_exists")
            if self.judged(answer, wrong) is None:
                enrolment.used = True
                self._enrolled(person, device, answer)

        call = Call(realm, "devices", "enrol_device", [enrolment.text], self._asked(device, signs or enrolment.text))
        return Step(call, judge)

    def enrol_by_action(self, realm: str, token: Token, device: SoftwareDevice, *, signs: str | None = None) -> Step:
        """Likewise, with the token of an action."""
        user_id = token.deed.user_id

        def judge(answer: Answer) -> None:
            gate = self.world.wrong_with_enroller(realm, token, self.now)
            if signs is not None:
                gate.add("signature_invalid")
            person = self.world.people.get((realm, user_id))
            if person is not None and person.disabled:
                gate.add("user_disabled")
            if not gate:
                person = self.world.person(realm, user_id)
            wrong = set() if person is None else self._wrong_with_another(person, realm, device)
            if (token.text, device.method) in self.used:
                wrong.add("credential_exists")
            if self.judged(answer, gate, wrong) is None:
                assert person is not None
                self.used.add((token.text, device.method))
                self._enrolled(person, device, answer)

        asked = self._asked(device, signs or token.text) | {"user_name": f"{user_id}@example.org"}
        return Step(Call(realm, "actions", "enrol_device", [token.text], asked), judge)

    def remove_gadget(self, realm: str, user_id: str, gadget: Gadget) -> Step:
        def judge(answer: Answer) -> None:
            theirs = not gadget.gone and (gadget.owner.realm, gadget.owner.user_id) == (realm, user_id)
            if self.judged(answer, set() if theirs else {"no_credential"}) is None:
                gadget.gone = True

        return Step(Call(realm, "devices", "remove_device", [user_id, gadget.authenticator_id]), judge)

    def remove_by_device(self, realm: str, gadget: Gadget, signer: Gadget) -> Step:
        def judge(answer: Answer) -> None:
            theirs = not gadget.gone and gadget.owner.realm == realm and signer.software == gadget.software
            if self.judged(answer, set() if theirs else {"signature_invalid"}) is None:
                gadget.gone = True

        seconds = int(self.now.timestamp())
        named = {
            "method": gadget.method,
            "public_key": gadget.public_key,
            "signature": signer.software.remove(gadget.authenticator_id, issued_at=seconds),
            "issued_at": seconds,
        }
        return Step(Call(realm, "devices", "remove_by_device", (), named), judge)

    def expire_gadget(self, gadget: Gadget, after: timedelta) -> Step:
        expires_at = self.now + after

        def judge(answer: Answer) -> None:
            if self.judged(answer, {"no_credential"} if gadget.gone else set()) is None:
                gadget.expires_at = expires_at

        place = [gadget.owner.user_id, gadget.authenticator_id]
        return Step(Call(gadget.owner.realm, "devices", "update_device", place, {"expires_at": expires_at}), judge)

    def ask(
        self, realm: str, method: str, user_id: str | None, *, only: Gadget | None = None, shows: bool = False
    ) -> Step:
        """A challenge to the user's device, or to whoever's."""
        named: Json = {
            "method": method,
            "user_id": user_id,
            "authenticator_id": None if only is None else only.authenticator_id,
            "purpose": self.fresh("transfer"),
            "content": "Pay 42 EUR?",
            "number_matching": shows,
            "binding": self.fresh("browser") if user_id is None else None,
        }

        def judge(answer: Answer) -> None:
            wrong = set() if user_id is None else self.wrong_with_asking(realm, user_id)
            if self.judged(answer, wrong) is None:
                self.asked(realm, answer.value.challenge, user_id, named["binding"], only=only)

        return Step(Call(realm, "devices", "start_challenge", (), named), judge)

    def claim(self, realm: str, question: Question, gadget: Gadget, *, signer: SoftwareDevice | None = None) -> Step:
        def judge(answer: Answer) -> None:
            if realm != question.realm or question.gone or question.method != "qr-code":
                self.judged(answer, {"challenge_unknown"})
                return
            wrong: Codes = set()
            known = self.world.enrolled_as(realm, gadget)
            if signer is not None or not question.is_for(known) or not known.counts(self.now):
                wrong.add("signature_invalid")
            if question.state != "pending" or self.now >= question.expires_at:
                wrong.add("challenge_unknown")
            if known.owner.disabled:
                wrong.add("user_disabled")
            if self.judged(answer, wrong) is None:
                question.state, question.user_id = "claimed", known.owner.user_id
                question.only = known.authenticator_id

        signature = (signer or gadget.software).claim(question.id)
        named = {"public_key": gadget.public_key, "signature": signature}
        return Step(Call(realm, "devices", "claim_challenge", [question.id], named), judge)

    def answer(
        self,
        realm: str,
        question: Question,
        gadget: Gadget,
        decision: Any,
        *,
        how: How = "right",
        service: Literal["devices", "actions"] = "devices",
    ) -> Step:
        typed = question.code if decision == "approve" else None
        if how == "wrong code":
            typed = f"{(int(question.code or 0) + 1) % 10_000:04}"
        signer = replace(_STRANGER, method=gadget.software.method) if how == "wrong key" else gadget.software
        other = {"approve": "reject", "reject": "approve"}
        named = {
            "public_key": gadget.public_key,
            "signature": signer.answer(
                self.world.questions[0].id if how == "other challenge" else question.id,
                other[decision] if how == "other decision" else decision,  # type: ignore[arg-type]
                purpose=question.purpose,
                verification_code=typed,
                content="Pay 1 EUR?" if how == "other content" else question.content,
            ),
            "decision": decision,
            "verification_code": typed,
        }
        signs_it = how in ("right", "wrong code") or (how == "other challenge" and question is self.world.questions[0])
        is_right = signs_it and gadget.method == question.method

        def judge(answer: Answer) -> None:
            is_ours = question.token is not None or question.word is not None
            if service == "devices" and is_ours:
                self.judged(answer, {"challenge_unknown"})  # whoever started it for an action answers for it
                return
            known = self.world.enrolled_as(realm, gadget)
            is_counted = self._judge_answer(answer, realm, question, known, decision, typed, is_right)
            if question.token is not None and is_counted:
                self.count_attempt(question.token.deed)
            if question.token is not None and question.state == "rejected" and answer.code is None:
                self.reject(question.token.deed)

        method = "answer_challenge" if service == "devices" else "answer_device_challenge"
        return Step(Call(realm, service, method, [question.id], named), judge)

    def poll(self, realm: str, question: Question, **others: str | None) -> Step:
        """By whoever started it, unless another user, binding or purpose is given."""
        named = self._begun_with(question) | others

        def judge(answer: Answer) -> None:
            proof = self.judge_poll(answer, realm, question, self._fits(question, **named))
            if proof is not None:
                approval = answer.value
                assert (approval.user_id, approval.device.public_key) == (proof.owner.user_id, proof.public_key)

        return Step(Call(realm, "devices", "poll_challenge", [question.id], named), judge)

    def give_up(self, realm: str, question: Question, **others: str | None) -> Step:
        """Likewise, and cancels it."""
        named = self._begun_with(question) | others

        def judge(answer: Answer) -> None:
            self.judge_giving_up(answer, realm, question, self._fits(question, **named))

        return Step(Call(realm, "devices", "cancel_challenge", [question.id], named), judge)

    def fetch(self, realm: str, gadget: Gadget) -> Step:
        def judge(answer: Answer) -> None:
            known = self.world.enrolled_as(realm, gadget)
            if known.owner.realm != realm or not known.counts(self.now) or known.owner.disabled:
                self.judged(answer, {"signature_invalid"})
                return
            self.judged(answer, set())
            waiting = [
                question
                for question in self.world.pending(realm, known.owner.user_id, self.now)[:MAX_PENDING]
                if question.is_for(known)
            ]
            found = None if answer.value is None else answer.value.challenge.challenge_id
            assert found == (waiting[0].id if waiting else None)

        seconds = int(self.now.timestamp())
        named = {
            "method": gadget.method,
            "public_key": gadget.public_key,
            "signature": gadget.software.fetch(issued_at=seconds),
            "issued_at": seconds,
        }
        return Step(Call(realm, "devices", "pending_challenge", (), named), judge)

    def asked(
        self,
        realm: str,
        stored: Any,
        user_id: str | None,
        binding: str | None,
        *,
        only: Gadget | None = None,
        token: Token | None = None,
        word: str | None = None,
    ) -> None:
        """Keeps a challenge that was started, for the user and the device alone whom the start named."""
        device = None if only is None else only.authenticator_id
        assert (stored.realm, stored.user_id, stored.authenticator_id) == (realm, user_id, device)
        assert stored.expires_at == self.now + CHALLENGE_LIFETIME
        self.world.questions.append(
            Question(
                *(realm, stored.challenge_id, stored.method, user_id, user_id, device),
                purpose=stored.purpose,
                binding=binding,
                content=stored.content,
                code=stored.verification_code,
                created_at=self.now,
                token=token,
                word=word,
            )
        )

    def wrong_with_asking(self, realm: str, user_id: str) -> Codes:
        """Why the user's devices are not asked anything."""
        return {"limit_reached"} if len(self.world.pending(realm, user_id, self.now)) >= MAX_PENDING else set()

    def judge_poll(self, answer: Answer, realm: str, question: Question, fits: bool) -> Gadget | None:
        """Judges a poll. Returns what approved, or None."""
        wrong: Codes = set()
        proof = question.answered_by
        if realm != question.realm or question.gone or question.taken or not fits:
            wrong.add("challenge_unknown")
        elif question.state in ("rejected", "failed"):
            wrong.add("challenge_rejected" if question.state == "rejected" else "attempts_exceeded")
        else:
            if self.now >= question.expires_at:
                wrong.add("challenge_expired")
            if proof is not None and not proof.counts(self.now):
                wrong.add("challenge_unknown")
            if proof is not None and proof.owner.disabled:
                wrong.add("user_disabled")
        if self.judged_poll(answer, wrong, question) is not None or question.state != "approved":
            return None
        assert proof is not None
        question.taken = True
        assert (realm, question.id) not in self.approvals
        self.approvals.add((realm, question.id))
        assert question.begun_for in (None, proof.owner.user_id)
        return proof

    def judged_poll(self, answer: Answer, wrong: Codes, question: Question) -> int | None:
        """Judges the answer to a poll as such; an action may refuse what was approved."""
        refused = self.judged(answer, wrong)
        if refused is None:
            assert (answer.value is not None) == (question.state == "approved")
        return refused

    def judge_giving_up(self, answer: Answer, realm: str, question: Question, fits: bool) -> bool:
        """Whether it was given up."""
        there = realm == question.realm and not question.gone and fits
        is_open = question.state in ("pending", "claimed")
        if self.judged(answer, set() if there and is_open else {"challenge_unknown"}) is not None:
            return False
        question.state = "failed"
        return True

    def reject(self, deed: Deed) -> None:
        """The action has failed, when it waited for its challenge."""
        if deed.state_at(self.now) in WAITING and not deed.gone:
            deed.state, deed.failed_at = "CHALLENGE_FAILED", self.now

    def count_attempt(self, deed: Deed) -> None:
        """Meeting the action's challenge went wrong, once more."""
        if deed.state_at(self.now) in WAITING and not deed.gone:
            deed.attempts, deed.failed_at = deed.attempts + 1, self.now
            if deed.attempts >= ACTION_ATTEMPTS:
                deed.state = "CHALLENGE_FAILED"

    def new_device(self, method: Any) -> SoftwareDevice:
        """A device that nobody has enrolled yet."""
        return SoftwareDevice(self.fresh("device"), domain=DOMAIN, method=method)

    def _begun_with(self, question: Question) -> dict[str, str | None]:
        return {"user_id": question.begun_for, "binding": question.binding, "purpose": question.purpose}

    def _fits(self, question: Question, user_id: str | None, binding: str | None, purpose: str | None) -> bool:
        """Whether this is what it was started with; who shows a binding need not say for whom."""
        is_user = user_id == question.user_id or (user_id is None and question.binding is not None)
        return (binding, purpose) == (question.binding, question.purpose) and is_user

    def _judge_answer(
        self,
        answer: Answer,
        realm: str,
        question: Question,
        gadget: Gadget,
        decision: str,
        typed: str | None,
        is_right: bool,
    ) -> bool:
        """Whether an attempt was counted."""
        if realm != question.realm or question.gone:
            self.judged(answer, {"challenge_unknown"})
            return False
        if not is_right:
            self.judged(answer, {"signature_invalid"})
            if gadget.gone or not question.awaits(gadget):
                return False
            question.count_attempt()
            return True
        wrong: Codes = set()
        if not gadget.counts(self.now) or not question.is_for(gadget):
            wrong.add("signature_invalid")
        if not question.awaits(gadget):
            wrong.add("challenge_unknown")
        if self.now >= question.expires_at:
            wrong.add("challenge_expired")
        if gadget.owner.disabled:
            wrong.add("user_disabled")
        takes_code = decision == "approve" and question.code is not None
        fits = typed == question.code if takes_code else typed is None
        refused = self.judged(answer, wrong, set() if fits else {"verification_code_wrong"})
        if refused == 1 and takes_code:
            question.count_attempt()
        if refused is None:
            question.attempts -= takes_code
            question.state = "approved" if decision == "approve" else "rejected"
            question.answered_by, question.user_id = gadget, gadget.owner.user_id
            question.only = gadget.authenticator_id
            assert answer.value.user_id == gadget.owner.user_id
        return refused == 1 and takes_code

    def _wrong_with_another(self, person: Any, realm: str, device: SoftwareDevice) -> Codes:
        """Why the device is not stored as another one of the user's."""
        wrong: Codes = {"user_disabled"} if person.disabled else set()
        if any(
            not gadget.gone and gadget.owner.realm == realm and gadget.software == device
            for gadget in self.world.gadgets
        ):
            wrong.add("credential_exists")
        if len(self.world.gadgets_of(person)) >= MAX_DEVICES:
            wrong.add("limit_reached")
        return wrong

    def _asked(self, device: SoftwareDevice, text: str) -> Json:
        return {
            "method": device.method,
            "public_key": device.public_key,
            "signature": device.enrol(text),
            "name": "Telephone",
            "platform": "ios",
        }

    def _enrolled(self, person: Any, device: SoftwareDevice, answer: Answer) -> None:
        stored = answer.value
        assert (stored.realm, stored.user_id) == (person.realm, person.user_id)
        self.world.gadgets.append(Gadget(person, device, device.public_key, stored.authenticator_id))
