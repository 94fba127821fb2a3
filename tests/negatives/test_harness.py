"""The harness on itself: it must notice every way in which a case can prove nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from passkeycore import Code, ConfigurationError, DecodeError, PasskeyError, RelyingParty, VerificationError
from passkeycore.testing import UP, UV, SoftwareKey, Tamper

from . import ceremonies
from .ceremonies import NOW, ORIGIN, RP_ID, Body, HarnessError, Kind, Setup, finish, play
from .harness import Right, call, check, check_distinct, check_error, class_of, create, get
from .tables import CASES
from .tables.signatures import PKCS1_SHA256, padded, salted

ABSENT = Tamper(flags=lambda flags: flags & ~UP)
PARTY = Right(RelyingParty, {"id": RP_ID, "origins": [ORIGIN]})


@pytest.mark.parametrize("make", [create, get])
class TestCeremonies:
    def test_the_right_code_satisfies_it(self, make: Any) -> None:
        check(make("R35-x", Code.USER_PRESENCE_REQUIRED, ABSENT))

    def test_another_code_does_not(self, make: Any) -> None:
        with pytest.raises(HarnessError, match="not in user_verification_required"):
            check(make("R35-x", Code.USER_VERIFICATION_REQUIRED, ABSENT))

    def test_a_refusal_where_acceptance_was_stated(self, make: Any) -> None:
        with pytest.raises(HarnessError, match="user_presence_required"):
            check(make("R35-x", None, ABSENT))

    def test_an_acceptance_where_refusal_was_stated(self, make: Any) -> None:
        with pytest.raises(HarnessError, match="accepted instead"):
            check(make("R35-x", Code.USER_PRESENCE_REQUIRED, Tamper(flags=lambda flags: flags | 2)))

    def test_a_ceremony_that_fails_unchanged(self, make: Any) -> None:
        late = Setup(finish={"now": NOW + timedelta(days=1)})
        with pytest.raises(HarnessError, match="without the change"):
            check(make("R35-x", Code.USER_PRESENCE_REQUIRED, ABSENT, late))

    def test_a_change_that_changes_nothing(self, make: Any) -> None:
        for change in (Tamper(flags=lambda flags: flags | UP), Body(lambda body: body), finish(now=NOW)):
            with pytest.raises(HarnessError, match="changes nothing"):
                check(make("R35-x", None, change))

    def test_two_changes_in_one(self, make: Any) -> None:
        with pytest.raises(HarnessError, match="flags and sign_count"):
            make("R35-x", None, Tamper(flags=lambda flags: flags & ~UV, sign_count=lambda _: 7))
        with pytest.raises(HarnessError, match="changes nothing"):
            make("R35-x", None, Tamper())

    def test_what_must_be_true_of_the_outcome(self, make: Any) -> None:
        harmless = Tamper(flags=lambda flags: flags | 2)
        check(make("R41-x", None, harmless, then=lambda outcome: outcome.user_verified))
        with pytest.raises(HarnessError, match="not as it should be"):
            check(make("R41-x", None, harmless, then=lambda outcome: not outcome.user_verified))
        with pytest.raises(HarnessError, match="not as it should be"):
            check(make("R35-x", Code.USER_PRESENCE_REQUIRED, ABSENT, then=lambda error: error.expected))


def test_another_exception_is_not_swallowed() -> None:
    with pytest.raises(TypeError):
        check(create("R35-x", Code.JSON_INVALID, ceremonies.state(created_at="yesterday")))


def test_a_call_changes_one_argument() -> None:
    check(call("R24-x", Code.CONFIGURATION_INVALID, PARTY, id="1.2.3.4"))
    with pytest.raises(HarnessError, match="2 arguments"):
        call("R24-x", None, PARTY, id="1.2.3.4", origins=[])
    with pytest.raises(HarnessError, match="changes nothing"):
        check(call("R24-x", None, PARTY, id=RP_ID))


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (DecodeError(Code.TYPE_MISMATCH, "x"), "it is a DecodeError"),
        (PasskeyError(Code.TYPE_MISMATCH, "x"), "it is a PasskeyError"),
        (VerificationError(Code.TYPE_MISMATCH, "a\nb"), "forge a line"),
        (VerificationError(Code.TYPE_MISMATCH, "é"), "forge a line"),
        (VerificationError(Code.TYPE_MISMATCH, 601 * "a"), "too long"),
        (VerificationError(Code.TYPE_MISMATCH, "x", actual=ceremonies.CHALLENGE), "tells the challenge"),
    ],
)
def test_errors_that_may_not_be_shown(error: PasskeyError, fault: str) -> None:
    with pytest.raises(HarnessError, match=fault):
        check_error(error)
    check_error(VerificationError(Code.TYPE_MISMATCH, "a b", actual="\n"))


def test_an_oracle() -> None:
    class TellingError(VerificationError):
        public_message = "almost"

    with pytest.raises(HarnessError, match="oracle"):
        check_error(TellingError(Code.TYPE_MISMATCH, "x"))


def test_codes_belong_to_one_class() -> None:
    assert {class_of(code) for code in Code} <= {PasskeyError, *_below(PasskeyError)}
    assert class_of(Code.CONFIGURATION_INVALID) is ConfigurationError
    assert class_of(Code.TYPE_MISMATCH) is VerificationError


def _below(kind: type[PasskeyError]) -> set[type[PasskeyError]]:
    return {*kind.__subclasses__(), *(k for below in kind.__subclasses__() for k in _below(below))}


def test_no_two_cases_are_the_same() -> None:
    check_distinct(CASES)


def test_two_cases_that_are_the_same() -> None:
    first = create("R35-one", Code.USER_PRESENCE_REQUIRED, ABSENT)
    with pytest.raises(HarnessError, match="R36-two is the same as R35-one"):
        check_distinct((first, create("R36-two", None, Tamper(flags=lambda flags: flags ^ UP))))
    with pytest.raises(HarnessError, match="R35-one is the same"):
        check_distinct((first, create("R35-one", None, Tamper(flags=lambda flags: flags ^ UV))))


@pytest.mark.parametrize("kind", ["create", "get"])
def test_unchanged_inputs_repeat(kind: Kind) -> None:
    assert play(kind).attempt().digest == play(kind).attempt().digest


def test_rows_are_read_from_ids() -> None:
    ids = {"R18.slash-origin": "R18", "R13-origin-prefix": "R13", "A03.R18.slash-origin": "A03"}
    first = create("R1-x", None, ABSENT)
    assert {id: replace(first, id=id).row for id in ids} == ids


def test_the_makers_of_odd_rsa_signatures_can_make_right_ones() -> None:
    key = SoftwareKey.derive("any", -257)
    assert padded(PKCS1_SHA256).sign(key, b"message") == key.sign(b"message")
    check(get("A22.right-salt", None, salted(32), Setup(authenticator={"algorithms": (-37,)})))
