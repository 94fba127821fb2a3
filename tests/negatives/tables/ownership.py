"""Cases about who is signed in, and in which browser: the user of the start, of the response and of the record.

Rows V01 to V16 but V10, and A36.
"""

from typing import Any, Final

from passkeycore import Code, second_factor, sole_factor
from passkeycore.testing import SoftwareKey, Tamper, b64url_encode

from ...engine.kit import ADA, RP, challenge_of
from ..ceremonies import CHALLENGE
from ..changes import inside, said
from ..flows import Play, Scene, flow
from ..harness import Right, call

SIGN_IN: Final = Play()
KNOWN: Final = Play(start={"user_id": "ada"})
NAMED: Final = Play(start={"user_id": "ada", "discoverable": True}, finish={"user_id": "ada"})
BOUND: Final = Play(start={"binding": "this session"}, finish={"binding": "this session"})
COUNTING: Final = Play(start={"binding": "counts"}, finish={"binding": "counts"})
STEP_UP: Final = Play(
    start={"user_id": "ada", "purpose": "transfer:42"}, finish={"user_id": "ada", "purpose": "transfer:42"}
)
AUTOFILL: Final = Play(start={"mediation": "conditional"})
ENROL_BOUND: Final = Play(
    verb="finish_registration", start={"binding": "this session"}, finish={"binding": "this session"}
)
BEGIN: Final = Play(verb="start_authentication")
BEGIN_ENROLLING: Final = Play(verb="start_registration", start=ADA)
BEGIN_KNOWN: Final = Play(verb="start_authentication", start={"user_id": "ada", "preset": second_factor()})
BEGIN_NEW: Final = Play(verb="start_registration", start={"user_name": "new", "binding": "this session"})
SECOND: Final = Play(start={"user_id": "ada", "preset": second_factor()}, finish={"user_id": "ada"})

_UNKNOWN, _NOT_ALLOWED = Code.CHALLENGE_UNKNOWN, Code.CREDENTIAL_NOT_ALLOWED
_MISMATCH, _EXPIRED, _MISSING = Code.USER_HANDLE_MISMATCH, Code.CHALLENGE_EXPIRED, Code.USER_HANDLE_MISSING
_INVALID: Final = Code.CONFIGURATION_INVALID
_FORGED: Final = Tamper(sign=lambda _, message: SoftwareKey.derive("another", -7).sign(message))
_UNVERIFIED: Final = Tamper(flags=lambda flags: flags & ~4)
_GUESS: Final = said(challenge=b64url_encode(bytes(32)))
_LATE: Final = {"minutes": 31}


def _handle(scene: Scene, user_id: str) -> str:
    return b64url_encode(scene.memory._users["", user_id].user.user_handle)


def _eve_answers(claims: str = "eve") -> Any:
    return lambda scene: scene.answer(scene.eve, inside(userHandle=_handle(scene, claims)), allowCredentials=[])


def _answered(tamper: Tamper, **by: float) -> Any:
    def change(scene: Scene) -> None:
        scene.answer(tamper=tamper)
        scene.passkeys.clock.move(**by)

    return change


def _given(**keywords: Any) -> Any:
    return lambda scene: scene.keywords.update(keywords)


def _later(finish: Any = None, **by: float) -> Any:
    def change(scene: Scene) -> None:
        scene.keywords.update(finish or {})
        scene.passkeys.clock.move(**by)

    return change


def _removed_and_claims_eve(scene: Scene) -> None:
    scene.passkeys.remove_all_passkeys("ada")
    scene.answer(tamper=inside(userHandle=_handle(scene, "eve")))


def _forged_by_eve(scene: Scene) -> None:
    scene.answer(scene.eve, Tamper(sign=_FORGED.sign), allowCredentials=[])


def _without_resident_key(scene: Scene) -> None:
    scene.device.authenticator.credentials[scene.credential_id].discoverable = False
    named = [{"type": "public-key", "id": b64url_encode(scene.credential_id)}]
    scene.answer(allowCredentials=named)


def _of_a_registration(scene: Scene) -> None:
    scene.start = scene.passkeys.start_registration(**ADA)
    scene.arguments[0] = scene.device.get({"challenge": b64url_encode(challenge_of(scene.start)), "rpId": RP.id})


def _late_and_disabled(scene: Scene) -> None:
    scene.passkeys.disable_user("ada")
    scene.passkeys.clock.move(**_LATE)


def _finished_elsewhere(scene: Scene) -> None:
    scene.passkeys = scene.another(preset=sole_factor())
    scene.notes.append("a service for sole factors")


def _finished_alone(scene: Scene) -> None:
    _finished_elsewhere(scene)
    scene.keywords["user_id"] = None


def _drawn(*challenges: bytes) -> Any:
    def change(scene: Scene) -> None:
        scene.draw.next = list(challenges)

    return change


def _drawn_before(scene: Scene) -> None:
    scene.passkeys.start_authentication()
    scene.draw.next = [CHALLENGE]


def _not_told(error: Any) -> bool:
    return "ada" not in str(error.to_dict()) and not hasattr(error, "user_id")


OWNERS: Final = (
    flow("A36-handle-of-a-response-that-did-not-verify", Code.SIGNATURE_INVALID, SIGN_IN, _forged_by_eve, _not_told),
    flow("A36.unknown-passkey-that-claims-a-user", Code.NO_CREDENTIAL, SIGN_IN, _removed_and_claims_eve, _not_told),
    flow("V01-begun-for-ada-answered-by-eve", _NOT_ALLOWED, KNOWN, _eve_answers()),
    flow("V01.begun-for-ada-without-a-list-answered-by-eve", Code.SIGNATURE_INVALID, NAMED, _eve_answers()),
    flow("V01.step-up-of-ada-answered-by-eve", _NOT_ALLOWED, STEP_UP, _eve_answers()),
    flow("V02-eve-claims-to-be-ada", _NOT_ALLOWED, KNOWN, _eve_answers("ada")),
    flow("V02.eve-claims-to-be-ada-where-nobody-was-named", _MISMATCH, SIGN_IN, _eve_answers("ada")),
    flow("V03-user-from-the-form", _UNKNOWN, SIGN_IN, _given(user_id="eve")),
    flow("V03.user-from-the-record", None, SIGN_IN, _eve_answers(), lambda outcome: outcome.user_id == "eve"),
    flow("V04-no-handle-and-nobody-named", _MISSING, SIGN_IN, _without_resident_key),
    flow("V04.second-factor-of-nobody", _INVALID, BEGIN, _given(preset=second_factor())),
    flow("V04.second-factor-of-nobody-in-particular", _INVALID, BEGIN_KNOWN, _given(discoverable=True)),
)
CEREMONIES: Final = (
    flow("V05-registration-finished-as-authentication", _UNKNOWN, SIGN_IN, _of_a_registration),
    flow("V06-autofill-used-for-a-step-up", _UNKNOWN, AUTOFILL, _given(purpose="transfer:42")),
    flow("V06.step-up-used-to-sign-in", _UNKNOWN, STEP_UP, _given(purpose=None)),
    flow("V06.step-up-of-somebody-else", _UNKNOWN, STEP_UP, _given(user_id="eve")),
    flow("V06.step-up-of-nobody", _UNKNOWN, STEP_UP, _given(user_id=None)),
    flow("V06.second-factor-without-the-first", _UNKNOWN, SECOND, _given(user_id=None)),
    flow("V06.second-factor-used-as-the-only-one", _UNKNOWN, SECOND, _finished_alone),
    flow("V06.second-factor-finished-by-a-service-for-sole-factors", None, SECOND, _finished_elsewhere),
    flow("V07-step-up-for-another-action", _UNKNOWN, STEP_UP, _given(purpose="transfer:43")),
    flow("V09-begun-in-another-session", _UNKNOWN, BOUND, _given(binding="another session")),
    flow("V09.session-forgotten", _UNKNOWN, BOUND, _given(binding=None)),
    flow("V09.session-where-none-was", _UNKNOWN, SIGN_IN, _given(binding="this session")),
    flow("V09.enrolment-begun-in-another-session", _UNKNOWN, ENROL_BOUND, _given(binding="another session")),
    flow("V09.session-without-an-id", _INVALID, BEGIN, _given(binding="")),
    flow("V09.enrolment-in-a-session-without-an-id", _INVALID, BEGIN_ENROLLING, _given(binding=b"")),
    flow("V09.empty-session-where-none-was", _UNKNOWN, SIGN_IN, _given(binding="")),
    flow("V09.new-user-of-any-session", _INVALID, BEGIN_NEW, _given(binding=None)),
    flow(
        "V09.new-user-of-a-chosen-id-of-any-session",
        _INVALID,
        BEGIN_NEW,
        _given(user_id="new", new_user=True, binding=None),
    ),
    flow("V11-challenge-of-15-bytes", Code.CONFIGURATION_INVALID, BEGIN, _drawn(bytes(15))),
    flow("V11.challenge-of-no-bytes", Code.CONFIGURATION_INVALID, BEGIN_ENROLLING, _drawn(b"")),
    flow("V12-same-challenge-twice", Code.CONFLICT, BEGIN, _drawn_before),
    flow("V12.same-challenge-for-both-ceremonies", Code.CONFLICT, BEGIN_ENROLLING, _drawn_before),
    flow("V14-guessed-challenge", _UNKNOWN, SIGN_IN, lambda scene: scene.answer(tamper=_GUESS), names_it=False),
    flow("V14.no-challenge", _UNKNOWN, SIGN_IN, lambda scene: scene.answer(tamper=said(challenge="")), names_it=False),
)
TIME: Final = (
    flow("V15-autofill-after-31-minutes", _EXPIRED, AUTOFILL, _later(**_LATE)),
    flow("V15.autofill-after-29-minutes", None, AUTOFILL, _later(minutes=29)),
    flow("V15.sign-in-after-6-minutes", _EXPIRED, KNOWN, _later(minutes=6)),
    flow("V16-late-and-forged", Code.SIGNATURE_INVALID, AUTOFILL, _answered(_FORGED, **_LATE)),
    flow("V16.late-and-unverified", Code.USER_VERIFICATION_REQUIRED, AUTOFILL, _answered(_UNVERIFIED, **_LATE)),
    flow(
        "V16.late-and-a-lower-count",
        Code.SIGN_COUNT_REGRESSED,
        AUTOFILL,
        _answered(Tamper(sign_count=lambda _: 1), **_LATE),
    ),
    flow(
        "V16.late-and-from-elsewhere",
        Code.ORIGIN_NOT_ALLOWED,
        AUTOFILL,
        _answered(said(origin="https://example.net"), **_LATE),
    ),
    flow("V16.late-and-begun-in-another-session", _UNKNOWN, BOUND, _later({"binding": "another session"}, **_LATE)),
    flow(
        "V16.late-and-disabled",
        _EXPIRED,
        SIGN_IN,
        _late_and_disabled,
    ),
)
_BEGIN: Final = Right(RP.authentication_options, {"challenge": CHALLENGE})
_BEGIN_SECOND: Final = Right(RP.authentication_options, {"user_handle": b"handle", "preset": second_factor()})
CHALLENGES: Final = (
    call("V04.second-factor-of-nobody-at-level-1", _INVALID, _BEGIN_SECOND, user_handle=None),
    call("V13-given-challenge-of-15-bytes", Code.CONFIGURATION_INVALID, _BEGIN, challenge=bytes(15)),
    call("V13.given-challenge-of-16-bytes", None, _BEGIN, challenge=bytes(range(16))),
    call("V13.given-challenge-of-128-bytes", None, _BEGIN, challenge=bytes(range(128))),
    call("V13.given-challenge-of-129-bytes", Code.CONFIGURATION_INVALID, _BEGIN, challenge=bytes(129)),
)
CASES: Final = (*OWNERS, *CEREMONIES, *TIME, *CHALLENGES)
