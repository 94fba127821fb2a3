"""The ceremonies that `capture` keeps: what is asked of which authenticator, and what has to come of it.

What belongs here: a line for each kind of response that some rule treats differently. The expectations follow from
what was asked, never from what the engine made of the answer.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from .chromium import PLATFORM, SECURITY_KEY, U2F_KEY, Device, Traits

Json = Mapping[str, Any]
Step = Callable[[Device, bytes], None]
"""Something that happens to the authenticator; the bytes are the id of the credential."""


_NOTHING: Final[Json] = MappingProxyType({})


class Case(NamedTuple):
    """A registration, and an authentication with the credential.

    Attributes:
        name: Unique.
        traits: Of the authenticator.
        register, authenticate: Arguments of `RelyingParty.registration_options` and `.authentication_options`.
        page: Where the page is: on localhost, there in a frame of another site, or at a related origin.
        allow: The authentication names the credential.
        anchored: The attestation certificate is among the trust anchors.
        before, between: What happens to the authenticator before the registration, and before the authentication.
        note: The same in words, for `source`.
        write_blob: A large blob is written between the two.
        rp, registration, authentication: Members of the case that are judged other than they were asked, and
            what to expect. A case that expects its registration to fail has no authentication.
        requires: The formats that the case needs.
    """

    name: str
    traits: Traits
    register: Json = _NOTHING
    authenticate: Json = _NOTHING
    page: Literal["localhost", "frame", "related"] = "localhost"
    allow: bool = False
    anchored: bool = False
    before: Step | None = None
    between: Step | None = None
    note: str = ""
    write_blob: bytes | None = None
    rp: Json = _NOTHING
    registration: Json = _NOTHING
    authentication: Json = _NOTHING
    requires: tuple[str, ...] = ()


def _ok(**details: Any) -> Json:
    return {"expect": {"ok": True, **details}}


def _fails(code: str, **judged: Any) -> Json:
    return {**judged, "expect": {"ok": False, "code": code}}


def _lie(bit: str) -> Step:
    return lambda device, _: device.lie(**{bit: True})


def _change(**members: bool | int) -> Step:
    return lambda device, credential_id: device.change(credential_id, **members)


_VERIFIED = _ok(user_verified=True)
_UNVERIFIED = _ok(user_verified=False)
_PACKED = {"attestation_format": "packed", "attestation_type": "basic"}
_REQUIRED = {"resident_key": "required", "user_verification": "required"}
_DIRECT = {"attestation": "direct"}
_EVAL = {"prf": {"eval": {"first": "Zmlyc3Q", "second": "c2Vjb25k"}}}
_U2F = {"resident_key": "discouraged", "user_verification": "discouraged"}
_U2F_LOGIN = {"user_verification": "discouraged"}
_OTHER_CHALLENGE = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def _signed_with(name: str, algorithm: int) -> Case:
    return Case(
        f"packed.{name}",
        PLATFORM,
        {**_DIRECT, "algorithms": [algorithm]},
        registration=_ok(**_PACKED, algorithm=algorithm, trusted=False),
        authentication=_VERIFIED,
    )


CASES = (
    # Who signs in, and how it is found
    Case(
        "passkey",
        PLATFORM,
        {**_REQUIRED, "extensions": {"credProps": True}},
        {"user_verification": "required"},
        registration=_ok(user_verified=True, attestation_format="none", algorithm=-7, backup_eligible=False),
        authentication=_VERIFIED,
    ),
    Case(
        "security-key",
        SECURITY_KEY,
        {"resident_key": "discouraged", "extensions": {"credProps": True}},
        allow=True,
        registration=_VERIFIED,
        authentication=_VERIFIED,
    ),
    Case(
        "no-user-verification",
        {**SECURITY_KEY, "hasUserVerification": False, "isUserVerified": False},
        {"resident_key": "discouraged"},
        allow=True,
        registration=_UNVERIFIED,
        authentication=_UNVERIFIED,
    ),
    Case(
        "user-verification-discouraged",
        PLATFORM,
        {"user_verification": "discouraged"},
        {"user_verification": "discouraged"},
        registration=_VERIFIED,  # Chromium's platform authenticator verifies whenever it creates
        authentication=_UNVERIFIED,
    ),
    Case("u2f", U2F_KEY, _U2F, _U2F_LOGIN, allow=True),
    Case("u2f.direct", U2F_KEY, {**_U2F, **_DIRECT}, _U2F_LOGIN, allow=True, requires=("fido-u2f",)),
    # Attestations and algorithms
    Case(
        "packed.trusted",
        PLATFORM,
        _DIRECT,
        anchored=True,
        registration=_ok(**_PACKED, algorithm=-7, trusted=True),
    ),
    _signed_with("Ed25519", -8),
    _signed_with("RS256", -257),
    _signed_with("ML-DSA-44", -48),
    _signed_with("ML-DSA-65", -49),
    Case(
        "packed.bogus-signature",
        PLATFORM,
        _DIRECT,
        before=_lie("isBogusSignature"),
        note="isBogusSignature",
        registration=_fails("attestation_signature_invalid"),
    ),
    Case(
        "algorithm-not-offered",
        PLATFORM,
        note="judged as if only RS256 had been offered",
        registration=_fails("algorithm_not_allowed", algorithms=[-257]),
    ),
    # Backup and counters
    Case(
        "backed-up",
        {**PLATFORM, "defaultBackupEligibility": True, "defaultBackupState": True},
        registration=_ok(backup_eligible=True, backup_state=True),
        authentication=_ok(backup_eligible=True, backup_state=True, backup_state_changed=False),
    ),
    Case(
        "backed-up-later",
        {**PLATFORM, "defaultBackupEligibility": True},
        between=_change(backupState=True),
        note="backupState changed before the authentication",
        registration=_ok(backup_eligible=True, backup_state=False),
        authentication=_ok(backup_state=True, backup_state_changed=True),
    ),
    Case(
        "backup-eligibility-changed",
        PLATFORM,
        between=_change(backupEligibility=True),
        note="backupEligibility changed before the authentication",
        authentication=_fails("backup_eligibility_changed"),
    ),
    Case(
        "clone",
        PLATFORM,
        between=_change(signCount=0),
        note="signCount set to 0 before the authentication",
        authentication=_fails("sign_count_regressed"),
    ),
    # Extensions
    Case("prf", {**PLATFORM, "hasPrf": True}, {"extensions": {"prf": {}}}, {"extensions": _EVAL}),
    Case(
        "prf.security-key",
        {**SECURITY_KEY, "hasHmacSecret": True, "hasHmacSecretMc": True},
        {"extensions": _EVAL},
        {"extensions": _EVAL},
    ),
    Case(
        "large-blob",
        {**PLATFORM, "hasLargeBlob": True},
        {"resident_key": "required", "extensions": {"largeBlob": {"support": "required"}}},
        {"extensions": {"largeBlob": {"read": True}}},
        write_blob=b"a large blob",
    ),
    Case(
        "credential-blob",
        {**SECURITY_KEY, "hasCredBlob": True, "hasMinPinLength": True},
        {
            **_REQUIRED,
            "extensions": {
                "credBlob": "YSBibG9i",
                "minPinLength": True,
                "credentialProtectionPolicy": "userVerificationRequired",
                "enforceCredentialProtectionPolicy": True,
            },
        },
        {"extensions": {"getCredBlob": True}},
    ),
    Case(
        "extension-not-asked-for",
        {**SECURITY_KEY, "hasCredBlob": True},
        {"resident_key": "required"},
        note="the browser asks for credProtect on its own account",
        registration=_fails("extension_unsolicited", policy={"unsolicited_extensions": "refuse"}),
    ),
    # Origins
    Case("related-origin", PLATFORM, page="related"),
    Case("frame", PLATFORM, page="frame"),
    Case(
        "frame.not-allowed",
        PLATFORM,
        page="frame",
        note="judged as if no page might embed ours",
        rp={"top_origins": []},
        registration=_fails("cross_origin_not_allowed"),
    ),
    Case(
        "wrong-origin",
        PLATFORM,
        note="judged for another origin",
        rp={"origins": ["https://localhost"]},
        registration=_fails("origin_not_allowed"),
    ),
    # Responses that do not fit
    Case(
        "wrong-challenge",
        PLATFORM,
        note="the authentication judged with another challenge",
        authentication=_fails("challenge_mismatch", challenge=_OTHER_CHALLENGE),
    ),
    Case(
        "bogus-signature",
        PLATFORM,
        between=_lie("isBogusSignature"),
        note="isBogusSignature",
        authentication=_fails("signature_invalid"),
    ),
    Case(
        "user-not-verified",
        PLATFORM,
        {"user_verification": "required"},
        {"user_verification": "required"},
        between=_lie("isBadUV"),
        note="isBadUV",
        authentication=_fails("user_verification_required"),
    ),
    Case(
        "user-not-present",
        PLATFORM,
        between=_lie("isBadUP"),
        note="isBadUP",
        authentication=_fails("user_presence_required"),
    ),
)
