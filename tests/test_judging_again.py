"""What the engine needs of level 1: the challenge that a response names, and a judgement over a record that changed."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from passkeycore import Code, DecodeError, Limits, PasskeyError, Policy, VerificationError, sole_factor
from passkeycore.testing import SoftwareKey, Tamper, b64url_encode
from passkeycore.webauthn.authentication import VerifiedAuthentication, judge_again
from passkeycore.webauthn.client_data import claimed_challenge
from passkeycore.webauthn.options import AuthenticationState

from .ceremony import NOW, client, record, relying_party

RP = relying_party()


def judged(policy: Policy | None = None, **settings: Any) -> tuple[VerifiedAuthentication, AuthenticationState]:
    """A sign-in with a passkey that counts from 5 to 6."""
    rp = relying_party(policy=policy or Policy())
    device = client(sign_count=5, sign_count_step=1, **settings)
    credential = record(rp, device, preset=sole_factor())
    start = rp.authentication_options(preset=sole_factor(), now=NOW)
    return rp.verify_authentication(device.get(start.to_dict()), start.state, credential, now=NOW), start.state


class TestJudgeAgain:
    def test_the_outcome_is_about_the_record_as_it_is_now(self) -> None:
        verified, state = judged()
        now = replace(verified.previous, sign_count=4, backup_state=True)
        again = judge_again(verified, state, now)
        assert again.previous == now
        assert (again.update.expected_sign_count, again.update.expected_backup_state) == (4, True)
        assert again.credential.sign_count == 6
        assert again.authenticator_data is verified.authenticator_data
        assert again.user_verification_trusted

    def test_a_counter_that_went_by_is_a_regression(self) -> None:
        verified, state = judged()
        with pytest.raises(VerificationError) as caught:
            judge_again(verified, state, replace(verified.previous, sign_count=6))
        assert caught.value.code == Code.SIGN_COUNT_REGRESSED

    def test_unless_the_policy_only_reports_it(self) -> None:
        policy = Policy(sign_count_regression="report")
        verified, state = judged(policy)
        assert not verified.sign_count_regressed
        again = judge_again(verified, state, replace(verified.previous, sign_count=9), policy=policy)
        assert again.sign_count_regressed
        assert again.credential.sign_count == 9

    def test_trust_is_decided_anew(self) -> None:
        verified, state = judged()
        untrusted = replace(verified.previous, uv_initialized=False)
        with pytest.raises(VerificationError) as caught:
            judge_again(verified, state, untrusted)
        assert caught.value.code == Code.USER_VERIFICATION_UNTRUSTED
        lenient = replace(state, require_trusted_user_verification=False)
        assert not judge_again(verified, lenient, untrusted).user_verification_trusted

    def test_backup_eligibility_still_may_not_change(self) -> None:
        verified, state = judged()
        with pytest.raises(VerificationError) as caught:
            judge_again(verified, state, replace(verified.previous, backup_eligible=True))
        assert caught.value.code == Code.BACKUP_ELIGIBILITY_CHANGED

    @pytest.mark.parametrize(
        "change",
        [
            {"credential_id": b"another"},
            {"public_key": SoftwareKey.derive("another", -7).cose()},
            {"user_handle": b"another"},
            {"user_handle": None},
        ],
    )
    def test_another_credential_under_the_same_id_is_not_the_one_that_was_verified(self, change: Any) -> None:
        verified, state = judged()
        with pytest.raises(VerificationError) as caught:
            judge_again(verified, state, replace(verified.previous, **change))
        assert caught.value.code == Code.PUBLIC_KEY_INVALID
        assert type(caught.value) is VerificationError


class TestWhatAForgedResponseLearns:
    """What the record alone knows is judged after the signature."""

    @pytest.mark.parametrize(
        "change",
        [{"sign_count": 99}, {"backup_eligible": True}, {"uv_initialized": False}, {"backup_state": True}],
    )
    def test_nothing_of_the_record(self, change: Any) -> None:
        device = client(sign_count=5)
        credential = record(RP, device, preset=sole_factor())
        start = RP.authentication_options(preset=sole_factor(), now=NOW)
        other = SoftwareKey.derive("another", -7)
        body = device.get(start.to_dict(), tamper=Tamper(sign=lambda _, message: other.sign(message)))
        told = []
        for seen in (credential, replace(credential, **change)):
            with pytest.raises(PasskeyError) as caught:
                RP.verify_authentication(body, start.state, seen, now=NOW)
            told.append((caught.value.code, str(caught.value)))
        assert told[0] == told[1]
        assert told[0][0] == Code.SIGNATURE_INVALID


CHALLENGE = bytes(range(32))
TEXT = b64url_encode(CHALLENGE)
CUT = b'{"type":"webauthn.get","challenge":"' + TEXT.encode()


class TestClaimedChallenge:
    @pytest.mark.parametrize("type", ["webauthn.get", "webauthn.create"])
    def test_as_clients_write_it(self, type: str) -> None:
        raw = f'{{"type":"{type}","challenge":"{TEXT}","origin":"https://example.org"}}'
        assert claimed_challenge(raw.encode()) == CHALLENGE

    @pytest.mark.parametrize(
        "raw",
        [
            json.dumps({"type": "webauthn.get", "challenge": TEXT, "origin": "o"}),
            json.dumps({"challenge": TEXT, "type": "webauthn.get", "origin": "o"}),
            "\ufeff" + json.dumps({"origin": "o", "challenge": TEXT, "type": "webauthn.get"}),
            json.dumps({"type": "payment.get", "challenge": TEXT, "origin": "o"}),
        ],
    )
    def test_in_any_other_form(self, raw: str) -> None:
        assert claimed_challenge(raw.encode()) == CHALLENGE

    def test_escapes_are_read(self) -> None:
        raw = f'{{"type":"webauthn.get","challenge":"\\u0041{TEXT[1:]}","origin":"o"}}'
        assert claimed_challenge(raw.encode()) == CHALLENGE

    @pytest.mark.parametrize("text", [TEXT + "=", TEXT[:-1] + chr(ord(TEXT[-1]) + 1), "%" + TEXT])
    def test_another_spelling_may_name_a_ceremony_but_finishes_none(self, text: str) -> None:
        """It is lenient so that such a response spends the challenge that it means."""
        device = client()
        credential = record(RP, device)
        start = RP.authentication_options(challenge=CHALLENGE, now=NOW)
        body = device.get(start.to_dict(), tamper=Tamper(client_data=lambda data: data | {"challenge": text}))
        assert claimed_challenge(RP.parse_authentication(body).client_data_json) == CHALLENGE
        with pytest.raises(VerificationError) as caught:
            RP.verify_authentication(body, start.state, credential, now=NOW)
        assert caught.value.code == Code.CHALLENGE_MISMATCH

    @pytest.mark.parametrize("text", ["A", "AAAAA"])
    @pytest.mark.parametrize("separators", [(",", ":"), None])
    def test_what_can_be_no_challenge_is_none(self, text: str, separators: Any) -> None:
        raw = json.dumps({"type": "webauthn.get", "challenge": text, "origin": "o"}, separators=separators)
        assert claimed_challenge(raw.encode()) is None

    @pytest.mark.parametrize(
        "raw", [b"", b"{", b"[]", b"{}", b'{"type": "webauthn.get", "challenge": 7}', b"\xff", CUT]
    )
    def test_what_is_no_client_data_is_refused(self, raw: bytes) -> None:
        with pytest.raises(DecodeError):
            claimed_challenge(raw)

    def test_more_than_the_limit_is_not_read(self) -> None:
        policy = Policy(limits=Limits(client_data_bytes=100))
        raw = json.dumps({"type": "webauthn.get", "challenge": TEXT, "origin": 100 * "o"}).encode()
        with pytest.raises(DecodeError) as caught:
            claimed_challenge(raw, policy)
        assert caught.value.code == Code.TOO_LARGE
