"""Cases about a registration as a whole: its time and owner, the credential's id and type, what was demanded of it.

Rows R08, R09, R12, R49 to R52, R68 to R71, R74 to R76 and R79.
"""

from datetime import timedelta
from hashlib import sha256
from typing import Final

from passkeycore import (
    AuthenticationState,
    Code,
    PasskeyError,
    Policy,
    RegistrationOutcome,
    RegistrationState,
    RelyingParty,
    TrustPolicy,
    conformance,
    second_factor,
)
from passkeycore.testing import AttestationAuthority, SoftwareKey, Tamper, b64url_decode, b64url_encode

from ..ceremonies import (
    CHALLENGE,
    CREDENTIAL_ID,
    LIFETIME,
    NOW,
    ORIGIN,
    RP_ID,
    SEED,
    USER_HANDLE,
    Json,
    Setup,
    authenticator,
    finish,
    play,
    state,
)
from ..changes import STRICT, answered, inside, results, said
from ..harness import Right, call, create, get

SECOND: Final = timedelta(seconds=1)
OTHER_ID: Final = b64url_encode(sha256(b"another credential").digest())
ES384_KEY: Final = SoftwareKey.derive(SEED, -35)

OWNED: Final = Setup(options={"user_id": "ada"}, finish={"user_id": "ada"})
BOUND: Final = Setup(options={"binding": "session of ada"}, finish={"binding": "session of ada"})
BOUND_BYTES: Final = Setup(options={"binding": b"\xff\0"}, finish={"binding": b"\xff\0"})
EDDSA: Final = Setup(authenticator={"algorithms": (-8,)})
DISCOVERABLE: Final = Setup(options={"resident_key": "required", "extensions": {"credProps": True}})
NOT_DISCOVERABLE: Final = Setup(options={"preset": second_factor(), "extensions": {"credProps": True}})
PLATFORM: Final = Setup(options={"authenticator_attachment": "platform"})
PLATFORM_STRICT: Final = Setup(options={"authenticator_attachment": "platform"}, rp={"policy": conformance()})
CONDITIONAL: Final = Setup(options={"mediation": "conditional"})
MINUTE: Final = Setup(options={"timeout_ms": 60_000})
ACTION: Final = Setup(options={"binding": "token of delete"}, finish={"binding": "token of delete"})
ES256_ONLY: Final = Setup(options={"algorithms": (-7,)})
UNSOLICITED_REFUSED: Final = Setup(rp={"policy": Policy(unsolicited_extensions="refuse")})
DIRECT: Final = Setup(options={"attestation": "direct"}, authenticator={"attestation": "packed"})
PROVEN: Final = Setup(
    options={"attestation": "direct"},
    authenticator={"attestation": "packed", "authority": AttestationAuthority(SEED)},
    rp={"trust": TrustPolicy(anchors=(AttestationAuthority(SEED).root,), require_trusted=True)},
)
_STATES: Final[Json] = {"challenge": CHALLENGE, "now": NOW}
_RP: Final = RelyingParty(id=RP_ID, origins=[ORIGIN])
CREATION_STATE: Final = _RP.registration_options(user_handle=USER_HANDLE, user_name="ada", **_STATES).state.to_json()
REQUEST_STATE: Final = _RP.authentication_options(**_STATES).state.to_json()


CREATION: Final = Right(RegistrationState.from_json, {"text": CREATION_STATE})
REQUEST: Final = Right(AuthenticationState.from_json, {"text": REQUEST_STATE})


_REQUEST: Final = _RP.authentication_options(**_STATES).state
_PLAYED: Final = play("create")
FINISH: Final = Right(_RP.verify_registration, {"response": _PLAYED.body, "state": _PLAYED.state, "now": NOW})


def _keeps_the_signed_key(outcome: RegistrationOutcome) -> bool:
    key = SoftwareKey.derive(SEED, -7, purpose="credential key")
    return outcome.credential.public_key == key.cose()


def _tells_the_other_id(error: PasskeyError) -> bool:
    return error.actual == b64url_decode(OTHER_ID)


_LATE, _UNKNOWN, _MISMATCH = Code.CHALLENGE_EXPIRED, Code.CHALLENGE_UNKNOWN, Code.CREDENTIAL_ID_MISMATCH
_TYPE, _ALGORITHM, _LARGE = Code.CREDENTIAL_TYPE_INVALID, Code.ALGORITHM_NOT_ALLOWED, Code.TOO_LARGE
_STATE, _ATTACHMENT = Code.STATE_INVALID, Code.ATTACHMENT_NOT_ALLOWED
_INJECTION: Final = "https://a\r\n2026-01-02 login ok \x1b[2J\u202e" + 500 * "A"

STATES: Final = (
    call("R08-state-of-an-authentication", _STATE, CREATION, text=REQUEST_STATE),
    call("A02.R08-state-of-a-registration", _STATE, REQUEST, text=CREATION_STATE),
    call("R08.state-of-the-other-kind-at-the-finish", _UNKNOWN, FINISH, state=_REQUEST),
    create("R09.time-without-a-zone", Code.CONFIGURATION_INVALID, finish(now=NOW.replace(tzinfo=None))),
    create("R09-expired", _LATE, finish(now=NOW + LIFETIME + SECOND)),
    create("R09.last-moment", None, finish(now=NOW + LIFETIME)),
    create("R09.before-it-began", _LATE, finish(now=NOW - 61 * SECOND)),
    create("R09.clocks-a-minute-apart", None, finish(now=NOW - 60 * SECOND)),
    create("R09.conditional-lives-longer", None, finish(now=NOW + 6 * LIFETIME), CONDITIONAL),
    create("R09.conditional-expired", _LATE, finish(now=NOW + 6 * LIFETIME + SECOND), CONDITIONAL),
    create("R09.own-timeout-expired", _LATE, finish(now=NOW + 61 * SECOND), MINUTE),
    get("A02.R09-expired", _LATE, finish(now=NOW + LIFETIME + SECOND)),
    get("A02.R09.last-moment", None, finish(now=NOW + LIFETIME)),
    get("A02.R09.before-it-began", _LATE, finish(now=NOW - 61 * SECOND)),
    create("R12-state-of-another-user", _UNKNOWN, finish(user_id="eve"), OWNED),
    create("R12.nobody-finishes", _UNKNOWN, finish(user_id=None), OWNED),
    create("R12.user-from-nowhere", _UNKNOWN, finish(user_id="eve")),
    create("R12.state-of-another-session", _UNKNOWN, finish(binding="session of eve"), BOUND),
    create("R12.session-missing", _UNKNOWN, finish(binding=None), BOUND),
    create("R12.session-empty", _UNKNOWN, finish(binding=""), BOUND),
    create("R12.session-from-nowhere", _UNKNOWN, finish(binding="session of eve")),
    create("R12.session-in-other-bytes", _UNKNOWN, finish(binding=b"\xff\1"), BOUND_BYTES),
    get("A49-step-up-for-another-action", _UNKNOWN, finish(binding="token of pay"), ACTION),
    get("A49.step-up-of-another-user", _UNKNOWN, finish(user_id="eve"), OWNED),
    get("A49.step-up-without-its-action", _UNKNOWN, finish(binding=None), ACTION),
)

CREDENTIALS: Final = (
    create("R49-id-of-another-credential", _MISMATCH, answered(id=OTHER_ID), then=_tells_the_other_id),
    create("R49.raw-id-of-another-credential", _MISMATCH, answered(rawId=OTHER_ID), then=_tells_the_other_id),
    create("R49.case-of-the-id", _MISMATCH, Tamper(response=lambda r: r | {"id": r["id"].swapcase()})),
    create("R50-id-that-was-not-attested", _MISMATCH, answered(id=OTHER_ID, rawId=OTHER_ID)),
    create("R50.attested-id-of-another-credential", _MISMATCH, Tamper(credential_id=lambda id: id[::-1])),
    create("R50.longer-attested-id", _MISMATCH, Tamper(credential_id=lambda id: id + b"\0")),
    create("R51-type-password", _TYPE, answered(type="password")),
    create("R51.case-of-the-type", _TYPE, answered(type="Public-Key")),
    create("R51.empty-type", _TYPE, answered(type="")),
    create("R51.missing-type", Code.JSON_INVALID, answered(type=...)),
    create(
        "R52-algorithm-that-was-not-offered", _ALGORITHM, Tamper(cose_key=lambda _: ES384_KEY.cose_map()), ES256_ONLY
    ),
    create("R52.nothing-offered-means-es256", None, state(algorithms=())),
    create("R52.nothing-offered-means-no-eddsa", _ALGORITHM, state(algorithms=()), EDDSA),
    create("R68-excluded-credential", Code.CREDENTIAL_EXISTS, state(exclude_credentials=(CREDENTIAL_ID,))),
    create("R68.other-credential-excluded", None, state(exclude_credentials=(CREDENTIAL_ID[:-1],))),
)

DEMANDS: Final = (
    create("R69-other-attachment", None, answered(authenticatorAttachment="cross-platform"), PLATFORM),
    create(
        "R69.strict-other-attachment", _ATTACHMENT, answered(authenticatorAttachment="cross-platform"), PLATFORM_STRICT
    ),
    create("R69.strict-no-attachment", _ATTACHMENT, answered(authenticatorAttachment=...), PLATFORM_STRICT),
    create("R69.strict-null-attachment", _ATTACHMENT, answered(authenticatorAttachment=None), PLATFORM_STRICT),
    create("R69.strict-nothing-demanded", None, answered(authenticatorAttachment=...), STRICT),
    create(
        "R69.unknown-attachment",
        None,
        answered(authenticatorAttachment="implant"),
        then=lambda o: o.credential.authenticator_attachment == "implant",
    ),
    create("R69.long-attachment", _LARGE, answered(authenticatorAttachment=33 * "a")),
    create(
        "R70-not-discoverable-though-required",
        Code.CREDENTIAL_NOT_DISCOVERABLE,
        results(credProps={"rk": False}),
        DISCOVERABLE,
        lambda e: (e.expected, e.actual) == (True, False),
    ),
    create("R70.silent-about-it", None, results(), DISCOVERABLE, lambda o: o.credential.discoverable is None),
    create("R70.null-about-it", None, results(credProps={"rk": None}), DISCOVERABLE),
    create("R70.discoverable-though-discouraged", None, results(credProps={"rk": True}), NOT_DISCOVERABLE),
    create(
        "R71-none-where-direct-was-asked-for",
        None,
        authenticator(attestation="none"),
        DIRECT,
        lambda o: not o.trust.trusted,
    ),
    create("R71.none-where-proof-is-required", Code.ATTESTATION_REQUIRED, authenticator(attestation="none"), PROVEN),
    create(
        "R74-copied-public-key-differs",
        None,
        inside(publicKey=b64url_encode(ES384_KEY.spki()), publicKeyAlgorithm=-35),
        then=_keeps_the_signed_key,
    ),
    create(
        "R75-copied-authenticator-data-differs",
        None,
        inside(authenticatorData=b64url_encode(bytes(37))),
        then=_keeps_the_signed_key,
    ),
    create("R75.copied-authenticator-data-is-nonsense", None, inside(authenticatorData=7)),
    create("R76-10000-transports", _LARGE, inside(transports=10_000 * ["usb"])),
    create("R76.33-transports", _LARGE, inside(transports=33 * ["usb"])),
    create(
        "R76.32-transports", None, inside(transports=32 * ["usb"]), then=lambda o: o.credential.transports == ("usb",)
    ),
    create("R76.33-characters-in-a-transport", _LARGE, inside(transports=[33 * "u"])),
    create("R76.a-million-characters-in-a-transport", _LARGE, inside(transports=[1_000_000 * "u"])),
    create("R76.number-as-transport", Code.JSON_INVALID, inside(transports=[1])),
    create("R76.null-as-transport", Code.JSON_INVALID, inside(transports=[None])),
    create("R76.text-as-transports", Code.JSON_INVALID, inside(transports="usb")),
    create(
        "R76.unknown-transports-in-their-order",
        None,
        inside(transports=["x", "usb", "x"]),
        then=lambda o: o.credential.transports == ("x", "usb"),
    ),
    create("R76.null-transports", None, inside(transports=None), then=lambda o: o.credential.transports == ()),
)

LOGS: Final = (
    create("R79-origin-that-forges-a-line", Code.ORIGIN_NOT_ALLOWED, said(origin=_INJECTION)),
    create("R79.type-that-forges-a-line", Code.TYPE_MISMATCH, said(type=_INJECTION)),
    create("R79.top-origin-that-forges-a-line", Code.TOP_ORIGIN_NOT_ALLOWED, said(topOrigin=_INJECTION)),
    create("R79.credential-type-that-forges-a-line", _TYPE, answered(type=_INJECTION)),
    create("R79.transport-that-forges-a-line", _LARGE, inside(transports=[_INJECTION])),
    create("R79.member-that-forges-a-line", Code.JSON_INVALID, answered(response={_INJECTION: 1})),
    create(
        "R79.format-that-forges-a-line",
        Code.ATTESTATION_FORMAT_UNSUPPORTED,
        Tamper(attestation=lambda a: a | {"fmt": _INJECTION}),
    ),
    create(
        "R79.extension-that-forges-a-line", Code.EXTENSION_UNSOLICITED, results(**{_INJECTION: 1}), UNSOLICITED_REFUSED
    ),
    create("R79.attachment-that-forges-a-line", _LARGE, answered(authenticatorAttachment=_INJECTION)),
    create("R79.names-in-cbor-that-forge-a-line", Code.CBOR_INVALID, Tamper(attestation=lambda a: a | {_INJECTION: 1})),
)
CASES: Final = (*STATES, *CREDENTIALS, *DEMANDS, *LOGS)
