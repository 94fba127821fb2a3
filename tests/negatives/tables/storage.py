"""Cases about what is stored, and when: once, atomically, for the right user, and not at all when anything failed.

Rows D01 to D24 as far as they are no loops, and R10, R66, R67, R80, A40, A41, A47, A55 and A56.
"""

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from passkeycore import Code, CredentialRecord, PasskeyError, RelyingParty
from passkeycore.engine.passkeys.service import AsyncPasskeyService, PasskeyService
from passkeycore.engine.records import Ceremony
from passkeycore.repositories.memory import AsyncMemoryRepository, MemoryRepository
from passkeycore.testing import SoftwareKey, Tamper

from ...engine.kit import ADA, EVE, RP, Clock, browser, challenge_of
from ..flows import IMPORTED, Play, Scene, flow
from ..harness import Right, call

SIGN_IN: Final = Play()
KNOWN: Final = Play(start={"user_id": "ada"})
STAMPED: Final = Play(start={"account_stamp": "7"}, finish={"account_stamp": "7"})
ENROL: Final = Play(verb="finish_registration")
ENROL_STAMPED: Final = Play(verb="finish_registration", start={"account_stamp": "7"}, finish={"account_stamp": "7"})
ENROL_NEW: Final = Play(
    verb="finish_registration",
    start={"user_id": "new", "user_name": "new", "new_user": True, "binding": "this session"},
    finish={"user_id": "new", "binding": "this session"},
)
CROWDED: Final = Play(memory={"max_ceremonies": 3})
SEALED: Final = Play(sealed=True)
REMOVE: Final = Play(verb="remove_passkey")
RENAME: Final = Play(verb="rename_passkey")
CONFIRM: Final = Play(verb="confirm_user_verification")
TOKEN: Final = Play(verb="validate_step_up")
ENROL_TOKEN: Final = Play(verb="validate_step_up", start={"purpose": "passkeys:add"})
IMPORT: Final = Play(verb="import_passkey")
BEGIN: Final = Play(verb="start_authentication", start={"user_id": "ada"})
BEGIN_ENROLLING: Final = Play(verb="start_registration", start=ADA)

_UNKNOWN, _NOBODY, _DISABLED = Code.CHALLENGE_UNKNOWN, Code.NO_CREDENTIAL, Code.USER_DISABLED
_EXISTS, _INVALID, _EXPIRED = Code.CREDENTIAL_EXISTS, Code.TOKEN_INVALID, Code.TOKEN_EXPIRED
_BAD: Final = Tamper(sign=lambda _, message: SoftwareKey.derive("another", -7).sign(message))
_UNVERIFIED: Final = Tamper(flags=lambda flags: flags & ~4)


def _twice(scene: Scene) -> None:
    scene.act()


def _elsewhere(scene: Scene) -> None:
    getattr(scene.another(), scene.play.verb)(*scene.arguments, **scene.keywords)
    scene.notes.append("another process")


def _first_wrong(tamper: Tamper) -> Any:
    def change(scene: Scene) -> None:
        right = scene.arguments[0]
        scene.answer(tamper=tamper)
        scene.notes.append(scene.body)
        try:
            scene.act()
        except PasskeyError:
            scene.arguments[0] = right

    return change


def _during(scene: Scene) -> None:
    """Another finish arrives while the first one is still at work, and a long time later at that."""

    def act() -> None:
        scene.passkeys.clock.move(minutes=4)
        service = PasskeyService(RP, scene.memory, now=scene.passkeys.clock)
        service.finish_authentication(scene.body)

    scene.once("find_passkey", act)


def _registered_meanwhile(**who: Any) -> Any:
    return lambda scene: scene.register(browser("ada's second", **scene.play.device), **who)


def _new_user_meanwhile(scene: Scene) -> None:
    scene.register(browser("quicker"), user_id="new", user_name="new")


def _filled(scene: Scene) -> None:
    for number in range(4):
        scene.register(browser(f"other {number}"))


def _disabled(scene: Scene) -> None:
    scene.passkeys.disable_user("ada")


def _removed(scene: Scene) -> None:
    scene.passkeys.remove_passkey("ada", scene.credential_id)


def _removed_user(scene: Scene) -> None:
    scene.passkeys.remove_user("ada")


def _replaced_user(scene: Scene) -> None:
    scene.passkeys.remove_user("ada")
    scene.passkeys.get_or_create_user("ada", "ada")


def _remove_all(scene: Scene) -> None:
    scene.memory.remove_passkeys("", "ada", None)


def _disable(scene: Scene) -> None:
    scene.memory.set_user_disabled("", "ada", scene.passkeys.clock.at, None)


def _of_another_party(scene: Scene) -> None:
    scene.passkeys = scene.another(rp=RelyingParty(id="example.net", name="Net", origins=["https://example.net"]))
    scene.notes.append("another relying party")


def _of_another_realm(scene: Scene) -> None:
    scene.passkeys = scene.another(realm="another")
    scene.notes.append("another realm")


def _before_the_write(act: Any, **note: int) -> Any:
    def change(scene: Scene) -> None:
        scene.once("advance_passkey", lambda: act(scene))
        scene.notes.append((act.__qualname__, note))

    return change


def _counted(count: int) -> Any:
    return _before_the_write(lambda scene: scene.change_record(sign_count=count), count=count)


def _later(**by: float) -> Any:
    return lambda scene: scene.passkeys.clock.move(**by)


def _given(**keywords: Any) -> Any:
    return lambda scene: scene.keywords.update(keywords)


def _tampered(tamper: Tamper, **by: float) -> Any:
    def change(scene: Scene) -> None:
        scene.answer(tamper=tamper)
        scene.passkeys.clock.move(**by)

    return change


def _of(user_id: str) -> Any:
    def change(scene: Scene) -> None:
        scene.arguments[0] = user_id

    return change


def _restarted(scene: Scene) -> None:
    lost: Any = MemoryRepository() if scene.colour == "sync" else AsyncMemoryRepository()
    scene.passkeys = scene.another(ceremonies=lost)
    scene.memory.take_ceremony("", challenge_of(scene.start))
    scene.notes.append("restarted")


def _continued(scene: Scene) -> None:
    scene.passkeys = scene.another()
    scene.notes.append("restarted")


def _crowd(scene: Scene) -> None:
    for _ in range(3):
        scene.passkeys.start_authentication()


def _crowd_of_many(scene: Scene) -> None:
    for _ in range(100):
        scene.passkeys.start_authentication()
    scene.notes.append("a hundred more were begun")


def _answers(method: str, answer: object) -> Any:
    def change(scene: Scene) -> None:
        scene.hooks[method] = lambda *_: answer

    return change


def _imports(**members: Any) -> Any:
    return lambda scene: scene.keywords.update(credential=replace(IMPORTED, **members))


def _import_ada_again(scene: Scene) -> None:
    scene.keywords["credential"] = scene.passkeys.list_passkeys("ada")[0].credential


def _imported_beside(credential_id: bytes, other: bytes) -> Any:
    def change(scene: Scene) -> None:
        scene.passkeys.import_passkey(
            user_id="ada", user_name="ada", credential=replace(IMPORTED, credential_id=credential_id)
        )
        scene.keywords["credential"] = replace(IMPORTED, credential_id=other)

    return change


def _wrong_token(token: str) -> Any:
    def change(scene: Scene) -> None:
        scene.arguments[0] = token

    return change


async def _sink(_: object) -> None: ...


class _OneAsynchronous(MemoryRepository):
    async def find_passkey(self, *_: object) -> None:  # type: ignore[override]
        """A policy that somebody made asynchronous."""


_LONG: Final = 1023 * b"a"
_SYNC: Final = Right(PasskeyService, {"rp": RP, "repository": MemoryRepository(), "sinks": ()})
_ASYNC: Final = Right(AsyncPasskeyService, {"rp": RP, "repository": AsyncMemoryRepository()})
_STORED: Final = Ceremony(
    state=RP.registration_options(user_handle=b"handle", user_name="ada", challenge=bytes(32), now=Clock().at).state
).to_bytes()
_NEWER: Final = b"pkx1" + msgspec.msgpack.encode(msgspec.msgpack.decode(_STORED[4:]) | {"invented": {"later": [1]}})
_CEREMONY: Final = Right(Ceremony.from_bytes, {"stored": _STORED})
_RECORD: Final = Right(CredentialRecord.from_bytes, {"stored": IMPORTED.to_bytes()})
_NEWER_RECORD: Final = IMPORTED.to_bytes()[:4] + msgspec.msgpack.encode(
    msgspec.msgpack.decode(IMPORTED.to_bytes()[4:]) | {"invented": 1}
)

ONCE: Final = (
    flow("R10-same-response-again", _UNKNOWN, ENROL, _twice),
    flow("R66-registered-by-the-same-user", _EXISTS, ENROL, _registered_meanwhile()),
    flow("R67-registered-by-another-user", _EXISTS, ENROL, _registered_meanwhile(**EVE)),
    flow("D02-finished-by-another-process", _UNKNOWN, SIGN_IN, _elsewhere),
    flow("D02.enrolled-by-another-process", _UNKNOWN, ENROL, _elsewhere),
    flow("D02.sealed-finished-by-another-process", _UNKNOWN, SEALED, _elsewhere),
    flow("D03-taken-while-the-first-is-verified", _UNKNOWN, SIGN_IN, _during),
    flow("D04-bad-signature-then-good", _UNKNOWN, SIGN_IN, _first_wrong(_BAD)),
    flow("D04.unreadable-then-good", _UNKNOWN, SIGN_IN, _first_wrong(Tamper(authenticator_data=lambda _: b""))),
    flow("D04.unverified-then-good-enrolment", _UNKNOWN, ENROL, _first_wrong(_UNVERIFIED)),
    flow("D05-user-created-meanwhile", Code.USER_EXISTS, ENROL_NEW, _new_user_meanwhile),
    flow("D05.limit-reached-meanwhile", Code.LIMIT_REACHED, ENROL, _filled),
    flow("D05.limit-reached-at-the-start", Code.LIMIT_REACHED, BEGIN_ENROLLING, _filled),
)
MEANWHILE: Final = (
    flow(
        "D09-higher-count-was-written",
        Code.SIGN_COUNT_REGRESSED,
        SIGN_IN,
        _counted(7),
    ),
    flow(
        "D09.lower-count-was-written",
        None,
        SIGN_IN,
        _counted(4),
        lambda outcome: outcome.passkey.credential.sign_count == 6,
    ),
    flow("D10-passkey-removed", _NOBODY, SIGN_IN, _removed, lambda error: error.signal is not None),
    flow("D10.known-user-passkey-removed", Code.SIGNATURE_INVALID, KNOWN, _removed),
    flow(
        "D10.removed-before-the-write",
        _NOBODY,
        KNOWN,
        _before_the_write(_remove_all),
        lambda error: error.signal is None,
    ),
    flow("D11-user-disabled", _DISABLED, SIGN_IN, _disabled),
    flow("D11.disabled-before-the-write", _DISABLED, SIGN_IN, _before_the_write(_disable)),
    flow("D11.known-user-disabled", _DISABLED, KNOWN, _disabled),
    flow("D11.disabled-while-enrolling", _DISABLED, ENROL, _disabled),
    flow("D11.removed-while-enrolling", Code.USER_NOT_FOUND, ENROL, _removed_user),
    flow("D11.replaced-while-enrolling", Code.USER_NOT_FOUND, ENROL, _replaced_user),
    flow("D11.replaced-while-signing-in", Code.SIGNATURE_INVALID, KNOWN, _replaced_user),
    flow("D12-stamp-changed", _UNKNOWN, STAMPED, _given(account_stamp="8")),
    flow("D12.stamp-forgotten", _UNKNOWN, STAMPED, _given(account_stamp=None)),
    flow("D12.stamp-changed-while-enrolling", _UNKNOWN, ENROL_STAMPED, _given(account_stamp="8")),
    flow("D18-clock-moved-back", Code.CHALLENGE_EXPIRED, SIGN_IN, _later(hours=-1)),
    flow("D18.clock-moved-back-while-enrolling", Code.CHALLENGE_EXPIRED, ENROL, _later(hours=-1)),
    flow("D18.clock-moved-back-by-less-than-a-minute", None, SIGN_IN, _later(seconds=-59)),
    flow("D19-restarted-without-what-was-under-way", _UNKNOWN, SIGN_IN, _restarted),
    flow("D19.restarted-over-the-same-storage", None, SIGN_IN, _continued),
    flow("D19.restarted-with-sealed-states", None, SEALED, _continued),
    flow("D16-more-begun-than-are-kept", _UNKNOWN, CROWDED, _crowd),
    flow("D16.more-begun-with-sealed-states", None, SEALED, _crowd_of_many),
)
OWN: Final = (
    flow("D13-passkey-of-another-user-removed", _NOBODY, REMOVE, _of("eve")),
    flow("D13.passkey-of-another-user-renamed", _NOBODY, RENAME, _of("eve")),
    flow("D13.passkey-of-another-user-confirmed", _NOBODY, CONFIRM, _of("eve")),
    flow("D14-last-passkey-without-a-step-up", _INVALID, TOKEN, _wrong_token("")),
    flow("D14.step-up-for-something-else", _INVALID, TOKEN, _given(purpose="passkeys:rename")),
    flow("D14.step-up-too-long-ago", _EXPIRED, TOKEN, _later(minutes=5, seconds=1)),
    flow("D14.step-up-with-a-passkey-removed-since", _INVALID, TOKEN, _removed),
    flow("D14.step-up-of-a-user-disabled-since", _INVALID, TOKEN, _disabled),
    flow("D14.step-up-of-a-user-removed-since", _INVALID, TOKEN, _removed_user),
    flow("D14.step-up-of-a-user-replaced-since", _INVALID, TOKEN, _replaced_user),
    flow("D14.step-up-of-another-relying-party", _INVALID, TOKEN, _of_another_party),
    flow("D14.step-up-of-another-realm", _INVALID, TOKEN, _of_another_realm),
    flow("D12.stamp-changed-since-the-step-up", _INVALID, TOKEN, _given(account_stamp="8")),
    flow("D15-step-up-of-another-user", _INVALID, TOKEN, _given(user_id="root")),
    flow("R80-enrolment-without-a-step-up", _INVALID, ENROL_TOKEN, _wrong_token("x")),
    flow("R80.step-up-for-something-else", _INVALID, ENROL_TOKEN, _given(purpose="passkeys:remove")),
    flow("R80.step-up-of-another-session", _INVALID, ENROL_TOKEN, _given(binding="another")),
    flow("R80.step-up-too-long-ago", _EXPIRED, ENROL_TOKEN, _later(hours=2)),
    flow("A41-disabled-user-begins", _NOBODY, BEGIN, _disabled),
    flow("A41.disabled-user-begins-enrolling", _DISABLED, BEGIN_ENROLLING, _disabled),
    flow("A41.user-without-passkeys-begins", _NOBODY, BEGIN, _removed),
    flow("A47-counter-of-an-unverified-response", Code.USER_VERIFICATION_REQUIRED, SIGN_IN, _tampered(_UNVERIFIED)),
    flow("A47.counter-of-a-late-response", Code.CHALLENGE_EXPIRED, SIGN_IN, _later(minutes=6)),
    flow("A47.counter-of-a-forged-response", Code.SIGNATURE_INVALID, SIGN_IN, _tampered(_BAD)),
    flow("A55-storage-that-says-no-to-the-write", Code.CONFLICT, SIGN_IN, _answers("advance_passkey", False)),
    flow("A55.storage-that-says-no-to-the-challenge", Code.CONFLICT, BEGIN, _answers("add_ceremony", False)),
    flow("A55.storage-that-knows-no-such-user", Code.USER_NOT_FOUND, ENROL, _answers("add_passkey", "user_not_found")),
    call("A56-asynchronous-repository", Code.CONFIGURATION_INVALID, _SYNC, repository=AsyncMemoryRepository()),
    call("A56.one-asynchronous-method", Code.CONFIGURATION_INVALID, _SYNC, repository=_OneAsynchronous()),
    call("A56.asynchronous-sink", Code.CONFIGURATION_INVALID, _SYNC, sinks=(_sink,)),
    call("A56.synchronous-repository", Code.CONFIGURATION_INVALID, _ASYNC, repository=MemoryRepository()),
)
RECORDS: Final = (
    flow("A40-second-record-with-the-same-id", _EXISTS, IMPORT, _import_ada_again),
    call("D22-ceremony-of-a-newer-release", None, _CEREMONY, stored=_NEWER),
    call("D22.ceremony-of-another-format", Code.STATE_INVALID, _CEREMONY, stored=b"pkx9" + _STORED[4:]),
    call("D22.truncated-ceremony", Code.STATE_INVALID, _CEREMONY, stored=_STORED[:-1]),
    call("D22.record-of-a-newer-release", None, _RECORD, stored=_NEWER_RECORD),
    call("D22.pickled-record", Code.RECORD_INVALID, _RECORD, stored=b"\x80\x04\x95"),
    flow("D23-id-in-hexadecimal", Code.RECORD_INVALID, IMPORT, _imports(credential_id=IMPORTED.credential_id.hex())),
    flow("D23.handle-that-is-text", Code.RECORD_INVALID, IMPORT, _imports(user_handle="ada")),
    flow("D23.key-in-hexadecimal", Code.RECORD_INVALID, IMPORT, _imports(public_key=IMPORTED.public_key.hex())),
    flow(
        "D23.key-as-spki",
        Code.PUBLIC_KEY_MALFORMED,
        IMPORT,
        _imports(public_key=SoftwareKey.derive("elsewhere", -7).spki()),
    ),
    flow("D23.record-of-another-relying-party", Code.RECORD_INVALID, IMPORT, _imports(rp_id="example.net")),
    flow("D24-ids-that-differ-in-the-last-of-1023-bytes", None, IMPORT, _imported_beside(_LONG, _LONG[:-1] + b"b")),
    flow("D24.ids-that-differ-in-case", None, IMPORT, _imported_beside(b"some id", b"SOME ID")),
    flow("D24.id-of-1024-bytes", Code.RECORD_INVALID, IMPORT, _imports(credential_id=_LONG + b"a")),
    flow("D24.same-id-of-1023-bytes", _EXISTS, IMPORT, _imported_beside(_LONG, _LONG)),
)
CASES: Final = (*ONCE, *MEANWHILE, *OWN, *RECORDS)
