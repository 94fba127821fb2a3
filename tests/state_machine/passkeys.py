"""Steps about users and their passkeys: registering, signing in, removing, disabling."""

from typing import Any

from passkeycore.testing import SoftwareAuthenticator, VirtualClient

from .model import CHALLENGE_LIFETIME, MAX_PASSKEYS, Ceremony, Codes, Key, Person, Token
from .play import Play, Step
from .twins import Answer, Call


class PasskeySteps(Play):
    """Part of the machine."""

    def disable(self, realm: str, user_id: str) -> Step:
        def judge(answer: Answer) -> None:
            if self.judged(answer, self._missing(realm, user_id)) is None:
                self.world.person(realm, user_id).disabled = True

        return Step(Call(realm, "passkeys", "disable_user", [user_id]), judge)

    def enable(self, realm: str, user_id: str) -> Step:
        def judge(answer: Answer) -> None:
            if self.judged(answer, self._missing(realm, user_id)) is None:
                self.world.person(realm, user_id).disabled = False

        return Step(Call(realm, "passkeys", "enable_user", [user_id]), judge)

    def remove_user(self, realm: str, user_id: str) -> Step:
        def judge(answer: Answer) -> None:
            is_known = self.world.is_known(realm, user_id)
            if self.judged(answer, set() if is_known else {"user_not_found"}) is None:
                self.world.remove_person(self.world.person(realm, user_id))

        return Step(Call(realm, "passkeys", "remove_user", [user_id]), judge)

    def remove_key(self, realm: str, user_id: str, key: Key) -> Step:
        def judge(answer: Answer) -> None:
            theirs = not key.gone and (key.owner.realm, key.owner.user_id) == (realm, user_id)
            if self.judged(answer, set() if theirs else {"no_credential"}) is None:
                key.gone = True

        return Step(Call(realm, "passkeys", "remove_passkey", [user_id, key.credential_id]), judge)

    def start_registration(self, realm: str, user_id: str) -> Step:
        binding = self.fresh("browser")

        def judge(answer: Answer) -> None:
            if self.judged(answer, self._wrong_with_newcomer(realm, user_id)) is None:
                self._begun_registration(realm, user_id, answer.value, binding, None)

        named = {"user_id": user_id, "user_name": f"{user_id}@example.org", "binding": binding}
        return Step(Call(realm, "passkeys", "start_registration", (), named), judge)

    def start_passkey_enrolment(self, realm: str, token: Token) -> Step:
        user_id = token.deed.user_id

        def judge(answer: Answer) -> None:
            gate = self.world.wrong_with_enroller(realm, token, self.now)
            if self.judged(answer, gate, self._wrong_with_newcomer(realm, user_id)) is None:
                self._begun_registration(realm, user_id, answer.value, token.text, token)

        named = {"user_name": f"{user_id}@example.org"}
        return Step(Call(realm, "actions", "start_passkey_enrolment", [token.text], named), judge)

    def finish_registration(
        self, realm: str, ceremony: Ceremony, *, user_id: str | None = None, binding: str | None = None
    ) -> Step:
        """As it was begun, unless another user or binding is given."""
        begun = {"user_id": "" if ceremony.person is None else ceremony.person.user_id, "binding": ceremony.binding}
        named = {"user_id": user_id or begun["user_id"], "binding": binding or begun["binding"]}

        def judge(answer: Answer) -> None:
            fits = named == begun and ceremony.token is None
            self._judge_registration(answer, realm, ceremony, set(), fits)

        return Step(Call(realm, "passkeys", "finish_registration", [ceremony.body], named), judge)

    def finish_passkey_enrolment(self, realm: str, token: Token, ceremony: Ceremony) -> Step:
        def judge(answer: Answer) -> None:
            gate = self.world.wrong_with_enroller(realm, token, self.now)
            fits = ceremony.token is token
            self._judge_registration(answer, realm, ceremony, gate, fits)

        return Step(Call(realm, "actions", "finish_passkey_enrolment", [token.text, ceremony.body]), judge)

    def start_sign_in(self, realm: str, key: Key, *, word: str | None = None, forged: bool = False) -> Step:
        """Of whoever has a passkey, which this one answers; as an action when it has a word."""
        binding = self.fresh("browser")

        def judge(answer: Answer) -> None:
            self.judged(answer, set())
            self.begun_authentication(realm, answer.value, key, binding, forged=forged, word=word)

        if word is None:
            return Step(Call(realm, "passkeys", "start_authentication", (), {"binding": binding}), judge)
        return Step(Call(realm, "actions", "start_passkey_sign_in", [word], {"binding": binding}), judge)

    def finish_sign_in(
        self, realm: str, ceremony: Ceremony, *, word: str | None = None, binding: str | None = None
    ) -> Step:
        """As it was begun, unless another word or binding is given."""
        given = binding or ceremony.binding

        def judge(answer: Answer) -> None:
            fits = given == ceremony.binding and word == ceremony.word and ceremony.token is None
            wrong = self.wrong_with_authentication(realm, ceremony, fits)
            self.spend(realm, ceremony)
            if word is None:
                if self.judged(answer, wrong) is None:
                    assert ceremony.signer is not None
                    assert answer.value.user_id == ceremony.signer.owner.user_id
            elif wrong:
                self.judged(answer, wrong)
            else:
                assert ceremony.signer is not None
                self.signed_in(answer, realm, word, ceremony.signer, "passkey")

        if word is None:
            call = Call(realm, "passkeys", "finish_authentication", [ceremony.body], {"binding": given})
        else:
            call = Call(realm, "actions", "finish_passkey_sign_in", [word, ceremony.body], {"binding": given})
        return Step(call, judge)

    def begun_authentication(
        self,
        realm: str,
        start: Any,
        key: Key,
        binding: str,
        *,
        forged: bool = False,
        token: Token | None = None,
        word: str | None = None,
    ) -> None:
        """Keeps what the passkey answers, whether or not it was asked."""
        assert start.expires_at == self.now + CHALLENGE_LIFETIME
        options = start.to_dict()
        asked = {one["id"] for one in options.get("allowCredentials", ())}
        body = key.client.get(options | {"allowCredentials": []}, credential_id=key.credential_id)
        if forged:
            body["response"]["signature"] = body["response"]["authenticatorData"]
        named = None if token is None else self.world.people.get((realm, token.deed.user_id))
        self.world.ceremonies.append(
            Ceremony(
                *(realm, "authentication", body, named, binding, start.expires_at),
                token=token,
                word=word,
                signer=key,
                allowed=(not asked or body["id"] in asked) and key.owner.realm == realm,
                forged=forged,
            )
        )

    def wrong_with_authentication(self, realm: str, ceremony: Ceremony, fits: bool) -> Codes:
        """Why the response to a ceremony proves nothing."""
        signer = ceremony.signer
        assert signer is not None
        if ceremony.realm != realm or ceremony.spent or not fits:
            return {"challenge_unknown"}
        codes: Codes = set()
        if ceremony.forged and not signer.gone:
            codes.add("signature_invalid")
        if signer.gone or not ceremony.allowed:
            codes |= {"signature_invalid", "credential_not_allowed", "user_handle_mismatch"}
            if ceremony.person is None:
                codes = {"no_credential"}
        elif signer.owner.disabled:
            codes.add("user_disabled")
        if self.now > ceremony.expires_at:
            codes.add("challenge_expired")
        return codes

    def spend(self, realm: str, ceremony: Ceremony) -> None:
        """Ends the ceremony, when it is shown where it was begun: the first finish counts."""
        if ceremony.realm == realm:
            ceremony.spent = True

    def signed_in(self, answer: Answer, realm: str, word: str, proof: Any, method: str) -> None:
        """Judges the action that a sign-in is, once it is proved who it is."""
        raise NotImplementedError

    def _missing(self, realm: str, user_id: str) -> Codes:
        return set() if (realm, user_id) in self.world.people else {"user_not_found"}

    def _wrong_with_newcomer(self, realm: str, user_id: str) -> Codes:
        """Why the user, who need not be there yet, gets no further passkey."""
        person = self.world.people.get((realm, user_id))
        codes: Codes = {"user_disabled"} if person is not None and person.disabled else set()
        return codes | ({"limit_reached"} if len(self.world.keys_of(person)) >= MAX_PASSKEYS else set())

    def _begun_registration(self, realm: str, user_id: str, start: Any, binding: str, token: Token | None) -> None:
        assert start.expires_at == self.now + CHALLENGE_LIFETIME
        person: Person = self.world.person(realm, user_id)
        name = self.fresh("authenticator")
        client = VirtualClient(SoftwareAuthenticator(name, backup_eligible=True, backup_state=True))
        body = client.create(start.to_dict())
        self.world.ceremonies.append(
            Ceremony(
                *(realm, "registration", body, person, binding, start.expires_at),
                token=token,
                client=client,
            )
        )

    def _judge_registration(self, answer: Answer, realm: str, ceremony: Ceremony, gate: Codes, fits: bool) -> None:
        owner = ceremony.person
        wrong: Codes = set()
        if ceremony.realm != realm or ceremony.spent or not fits:
            wrong.add("challenge_unknown")
        else:
            if self.now > ceremony.expires_at:
                wrong.add("challenge_expired")
            wrong |= self.world.wrong_with_owner(owner)
            if len(self.world.keys_of(owner)) >= MAX_PASSKEYS:
                wrong.add("limit_reached")
        refused = self.judged(answer, gate, wrong)
        if refused != 0:
            self.spend(realm, ceremony)
        if refused is None:
            assert owner is not None
            passkey = answer.value.passkey
            assert (passkey.realm, passkey.user_id) == (owner.realm, owner.user_id)
            name = self.fresh("passkey")
            self.world.keys.append(Key(owner, passkey.credential_id, name, ceremony.client))
