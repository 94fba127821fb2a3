"""Attacks on a challenge as a table: on its answer, its claim, and on whoever waits for it.

One named change in a valid flow ends in one code and changes nothing that is stored, save that an attempt is counted
where the table says so. Each flow is also played unchanged.
"""

from typing import Any, Final

import pytest

from passkeycore.engine.checks import OwnPurpose
from passkeycore.testing import SoftwareDevice

from ..kit import Colour
from .changes import (
    Attack,
    Change,
    also,
    another_challenge,
    asks,
    cancelled,
    challenge,
    check_attack,
    device_enrolled_anew,
    device_expired,
    device_removed,
    done_before,
    in_another_realm,
    later,
    name_of,
    no_attempt_left,
    rejected_before,
    says,
    signed_as,
    signed_for_another_challenge,
    signer,
    signs,
    user_disabled,
    user_made_anew,
    user_removed,
    wrong_form,
)
from .kit import (
    CAMERA,
    EVES_CAMERA,
    EVES_PHONE,
    FLOWS,
    PAY,
    PHONE,
    SCANNED,
    SECOND_CAMERA,
    SECONDS,
    STRANGER,
    TABLET,
    Stage,
    claim,
    staged,
)

_BAD, _UNKNOWN, _WRONG = "signature_invalid", "challenge_unknown", "verification_code_wrong"
_ANSWERS: Final = tuple(flow for flow in FLOWS if "answer" in flow or "reject" in flow)


def _coded(code: Any, *, signed: bool = True) -> Change:
    return also(asks(verification_code=code), says(verification_code=code) if signed else asks())


def _approved(stage: Stage) -> None:
    id = stage.start.challenge_id
    stage.given["signature"] = CAMERA.answer(id, "approve", purpose="sign-in", content="Sign in?")


def _claimed_by_eve(stage: Stage) -> None:
    claim(stage.devices, EVES_CAMERA, stage.start)


def _claimed_by_another(stage: Stage) -> None:
    claim(stage.devices, SECOND_CAMERA, stage.start)


def _without_binding(stage: Stage) -> None:
    del stage.asks["binding"]


_OURS: Final = PAY | {"purpose": OwnPurpose("passkeycore/action transfer")}
_IDS: Final[dict[str, Any]] = {
    "another id": "A" * 43,
    "an empty id": "",
    "no id": None,
    "a long id": "A" * 44,
    "an id of bytes": b"A" * 43,
    "NUL in an id": "A" * 42 + "\0",
    "a surrogate in an id": "A" * 42 + "\ud800",
    "a line more in an id": "A" * 43 + "\n",
}

ATTACKS: Final[list[Attack]] = [
    *(attack for flow in _ANSWERS for attack in wrong_form(flow, counts=True)),
    *wrong_form("claim"),
    # A signature is for one decision on one question.
    *(
        Attack(flow, name, _BAD, change, counts=True)
        for flow in ("answer", "answer with a code", "answer by one", "answer in the app")
        for name, change in (
            ("the answer to another challenge", signed_for_another_challenge(PAY)),
            ("a rejection sent as approval", says(more=("reject",))),
            ("another purpose", says(purpose="transfer:43")),
            ("no purpose", says(purpose=None)),
            ("other content", says(content="Pay 1 EUR to Bob?")),
            ("no content", says(content="")),
            ("signed with a code that is not sent", says(verification_code="12")),
            ("the signature of a claim", signs("claim")),
            ("the signature of an enrolment", signs("enrol")),
            ("the signature of a removal", signs("remove", issued_at=SECONDS)),
            ("the challenge's id alone", signs("sign_challenge_id")),
            ("signed for a method that the key is not for", signed_as(method="qr-code")),
        )
    ),
    Attack("reject with a code", "an approval sent as rejection", _BAD, says(more=("approve",)), counts=True),
    Attack("answer with a code", "a code that is not signed", _BAD, says(verification_code=None), counts=True),
    Attack("answer", "an unknown decision", "name_invalid", asks(decision="maybe")),
    Attack("answer", "no decision", "name_invalid", asks(decision=None)),
    Attack("answer", "a decision that cannot be looked up", "name_invalid", asks(decision=["approve"])),
    Attack("answer", "a claim as the decision", "name_invalid", also(asks(decision="claim"), signs("claim"))),
    Attack("claim", "the signature of an approval", _BAD, _approved),
    Attack("claim", "the claim of another challenge", _BAD, signed_for_another_challenge(SCANNED)),
    Attack("answer what was claimed", "its claim", _BAD, signs("claim"), counts=True),
    # Codes.
    Attack("answer", "a code though none is shown", _WRONG, _coded("1234")),
    Attack("answer", "an empty code though none is shown", _WRONG, _coded("")),
    Attack("reject with a code", "a code with a rejection", _WRONG, _coded("1234")),
    *(
        Attack("answer with a code", f"the code {name}", "name_invalid", _coded(code, signed=False))
        for name, code in (("of 65 characters", 65 * "1"), ("with NUL", "\0"), ("that is a number", 7))
    ),
    *(
        Attack("answer with a code", f"a code that is {name}", _WRONG, _coded(code), counts=True)
        for name, code in (
            ("missing", None),
            ("empty", ""),
            ("wrong", "x"),
            ("in other digits", "\u0661\u0662\u0663\u0664"),
            ("followed by something", "12345"),
        )
    ),
    # Whose device, and which.
    *(
        Attack(flow, "a key that nobody enrolled", _BAD, signer(device))
        for flow, device in (
            ("answer", STRANGER),
            ("answer with a code", STRANGER),
            ("answer in the app", SoftwareDevice("x", method="in-app")),
            ("answer what was claimed", SoftwareDevice("x", method="qr-code")),
            ("claim", SoftwareDevice("x", method="qr-code")),
        )
    ),
    Attack("answer", "another user's device", _BAD, signer(EVES_PHONE)),
    Attack("answer with a code", "another user's device", _BAD, signer(EVES_PHONE)),
    Attack("answer", "another user's device, wrongly", _BAD, also(signer(EVES_PHONE), says(purpose=None))),
    Attack("answer by one", "another device of the user's", _BAD, signer(TABLET)),
    Attack("answer by one", "another of the user's, wrongly", _BAD, also(signer(TABLET), says(purpose=None))),
    Attack("answer", "a key for another method", _BAD, signer(CAMERA)),
    Attack("answer", "a key for another method, signed", _BAD, also(signer(CAMERA), signed_as(method="push"))),
    Attack("answer what was claimed", "another device of the user's", _BAD, signer(SECOND_CAMERA)),
    Attack("answer what was claimed", "another user's device", _BAD, signer(EVES_CAMERA)),
    Attack("answer what was claimed", "another that gets it wrong", _BAD, also(signer(EVES_CAMERA), signs("claim"))),
    Attack("claim", "a key for another method", _BAD, also(signer(PHONE), signed_as(method="qr-code"))),
    Attack("claim", "a challenge to another user", _BAD, another_challenge(SCANNED | {"user_id": "eve"})),
    *(Attack(flow, "a removed device", _BAD, device_removed) for flow in (*_ANSWERS, "claim")),
    *(Attack(flow, "an expired device", _BAD, device_expired) for flow in (*_ANSWERS, "claim")),
    *(
        Attack(flow, "the device, enrolled anew", _BAD, device_enrolled_anew)
        for flow in ("answer by one", "answer what was claimed")
    ),
    *(Attack(flow, "a disabled user", "user_disabled", user_disabled) for flow in (*_ANSWERS, "claim", "poll")),
    *(
        Attack(flow, "a removed user", _UNKNOWN, user_removed)
        for flow in ("answer", "answer by one", "answer what was claimed", "poll")
    ),
    Attack("claim", "a removed user", _BAD, user_removed),
    Attack("answer", "a user who is somebody else now", _UNKNOWN, user_made_anew),
    Attack("poll", "a user who is somebody else now", _UNKNOWN, user_made_anew),
    # How far the challenge has come.
    Attack("answer", "a challenge of an action's", _UNKNOWN, another_challenge(_OURS)),
    Attack("answer", "a wrong answer to an action's", _UNKNOWN, also(another_challenge(_OURS), signs("claim"))),
    *(Attack(flow, "too late", "challenge_expired", later(minutes=5)) for flow in (*_ANSWERS, "poll")),
    Attack("claim", "too late", _UNKNOWN, later(minutes=5)),
    *(Attack(flow, "once more", _UNKNOWN, done_before) for flow in (*_ANSWERS, "claim", "poll")),
    *(Attack(flow, "after it was rejected", _UNKNOWN, rejected_before) for flow in _ANSWERS),
    *(Attack(flow, "after it was cancelled", _UNKNOWN, cancelled) for flow in (*_ANSWERS, "claim")),
    *(Attack(flow, "with no attempt left", _UNKNOWN, no_attempt_left) for flow in _ANSWERS),
    Attack("answer what was claimed", "unclaimed", _UNKNOWN, another_challenge(SCANNED)),
    Attack("claim", "claimed by another user's", _BAD, _claimed_by_eve),
    Attack("claim", "claimed by another of the user's", _BAD, _claimed_by_another),
    Attack("claim", "a challenge by push", _UNKNOWN, another_challenge(PAY)),
    Attack("claim", "a challenge in the app", _UNKNOWN, another_challenge(SCANNED | {"method": "in-app"})),
    *(
        Attack(flow, name, _UNKNOWN, challenge(value))
        for flow in ("answer", "claim", "poll")
        for name, value in _IDS.items()
    ),
    *(Attack(flow, "another realm", _UNKNOWN, in_another_realm) for flow in (*_ANSWERS, "claim", "poll")),
    # Who waits.
    *(
        Attack("poll", name, _UNKNOWN, change)
        for name, change in (
            ("another binding", asks(binding="another session")),
            ("an empty binding", asks(binding="")),
            ("no binding", _without_binding),
            ("another purpose", asks(purpose="transfer:43")),
            ("no purpose", asks(purpose=None)),
            ("another user", asks(user_id="eve")),
            ("a user that is none", asks(user_id=7)),
            ("a binding that is none", asks(binding=7)),
            ("a list as the binding", asks(binding=["session"])),
            ("a removed device", device_removed),
            ("an expired device", device_expired),
            ("the device, enrolled anew", device_enrolled_anew),
        )
    ),
]


@pytest.mark.parametrize("flow", FLOWS)
def test_the_unchanged_flow_succeeds(colour: Colour, flow: str) -> None:
    assert staged(colour, flow).act() is not None


@pytest.mark.parametrize("attack", ATTACKS, ids=name_of)
def test_one_change_is_refused_and_changes_nothing(colour: Colour, attack: Attack) -> None:
    check_attack(colour, attack)


def test_no_two_attacks_are_called_the_same() -> None:
    names = [name_of(attack) for attack in ATTACKS]
    assert len(set(names)) == len(names)
