"""Judging a vector case through a `RelyingParty`, as an application would.

The ceremony states are made from what the case says was asked for, never from the response. The expectation is
compared afterwards and changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..errors import Code, ConfigurationError, CredentialNotFound, DecodeError, PasskeyError
from ..relying_party import RegistrationOutcome, RelyingParty
from ..testing.vectors import VectorAuthentication, VectorCase, VectorRegistration, VectorRelyingParty
from ..trust import TrustPolicy
from ..webauthn.attestation import FORMATS
from ..webauthn.authentication import VerifiedAuthentication
from ..webauthn.cose import SUPPORTED_ALGORITHMS, PublicKey
from ..webauthn.credential import CredentialRecord
from ..webauthn.encoding import encode_base64url
from ..webauthn.extension_inputs import AuthenticationExtensions, RegistrationExtensions
from ..webauthn.options import AuthenticationState, RegistrationState
from ..webauthn.origins import check_origin, is_within
from ..webauthn.policy import DEFAULT_POLICY, Policy

Ceremony: TypeAlias = Literal["registration", "authentication"]
Outcome: TypeAlias = RegistrationOutcome | VerifiedAuthentication | PasskeyError

# Every policy that a case may name, and the numbers that some take: what lies beyond helps nobody.
_KNOBS: Final = {f.name: f.type for f in msgspec.structs.fields(Policy) if f.name != "limits"}
_NUMBERS: Final = {"cbor_max_depth": range(1, 65), "min_credential_id_bytes": range(1, 1024)}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one ceremony, or of a line that is no case.

    Attributes:
        name, ceremony: Which one; None for a line that is no case.
        ok: The ceremony verified.
        code, message: Why it did not.
        expected: The outcome is the one that the case expects; None when it expects none.
        unmet: The members of the expectation that the outcome does not meet.
        pending: Not judged, for want of the attestation format that stands in `message`.
        details: Of the outcome, by name.
    """

    name: str | None
    ceremony: Ceremony | None
    ok: bool
    code: str | None = None
    message: str | None = None
    expected: bool | None = None
    unmet: Mapping[str, object] = {}
    pending: bool = False
    details: Mapping[str, object] = {}

    @property
    def met(self) -> bool:
        """Whether it lets the run succeed."""
        return self.pending or (self.ok if self.expected is None else self.expected)

    def to_dict(self) -> dict[str, object]:
        """The object that ``--json`` prints."""
        members: dict[str, object] = {"name": self.name, "ceremony": self.ceremony, "ok": self.ok}
        for name in ("code", "message", "expected"):
            if getattr(self, name) is not None:
                members[name] = getattr(self, name)
        if self.unmet:
            members["unmet"] = self.unmet
        if self.pending:
            members["pending"] = True
        return members | dict(self.details)


def judge(case: VectorCase | DecodeError, now: datetime) -> Iterator[Verdict]:
    """The verdict on each ceremony of `case`; `now` is the time for those that name none."""
    if isinstance(case, DecodeError):
        yield Verdict(name=None, ceremony=None, ok=False, code=case.code.value, message=case.message)
        return
    missing = sorted(format for format in case.requires if format not in FORMATS)
    if missing:
        for ceremony in ("registration", "authentication"):
            if getattr(case, ceremony) is not None:
                yield Verdict(
                    name=case.name,
                    ceremony=ceremony,
                    ok=False,
                    code=Code.ATTESTATION_FORMAT_UNSUPPORTED.value,
                    message=f"for want of the attestation format {', '.join(missing)}",
                    pending=True,
                )
        return
    outcome: Outcome | None = None
    if case.registration is not None:
        outcome = _attempt(_register, case, case.registration, case.registration.time or now)
        yield _verdict(case.name, "registration", case.registration.expect, outcome)
    if case.authentication is not None:
        record = _record(case, case.authentication, outcome)
        outcome = _attempt(_authenticate, case, case.authentication, record, case.authentication.time or now)
        yield _verdict(case.name, "authentication", case.authentication.expect, outcome)


def _attempt(ceremony: Callable[..., Outcome], *arguments: object) -> Outcome:
    try:
        return ceremony(*arguments)
    except PasskeyError as error:
        return error


def _register(case: VectorCase, registration: VectorRegistration, now: datetime) -> RegistrationOutcome:
    extensions = RegistrationExtensions.from_dict(registration.extensions or {})
    algorithms = SUPPORTED_ALGORITHMS if registration.algorithms is None else registration.algorithms
    state = RegistrationState(
        **_asked(case, registration, now),
        extensions=tuple(extensions.to_dict()),
        algorithms=algorithms,
        mediation=registration.mediation,
        attestation=registration.attestation or "none",
    )
    rp = _relying_party(case.rp, _policy(registration.policy), registration.trust_anchors)
    return rp.verify_registration(bytes(registration.response), state, now=now)


def _authenticate(
    case: VectorCase, authentication: VectorAuthentication, record: CredentialRecord | None, now: datetime
) -> VerifiedAuthentication:
    if record is None:
        raise CredentialNotFound("the case gives no credential, and registered none")
    extensions = AuthenticationExtensions.from_dict(authentication.extensions or {})
    state = AuthenticationState(
        **_asked(case, authentication, now),
        extensions=tuple(extensions.to_dict()),
        appid=extensions.appid,
        user_handle=authentication.user_handle,
        allow_credentials=authentication.allow_credentials or (),
    )
    rp = _relying_party(case.rp, _policy(authentication.policy), None)
    response = rp.parse_authentication(bytes(authentication.response))
    if record.user_handle is None and authentication.user_handle is None:
        # The case knows no owner: the response's own word is all there is to compare with.
        record = msgspec.structs.replace(record, user_handle=response.user_handle)
    return rp.verify_authentication(response, state, record, now=now)


@lru_cache(maxsize=256)  # the cases of a file are mostly of one Relying Party
def _relying_party(rp: VectorRelyingParty, policy: Policy, anchors: tuple[bytes, ...] | None) -> RelyingParty:
    hosts = {origin: check_origin(origin) for origin in rp.origins}
    return RelyingParty(
        id=rp.id,
        origins=rp.origins,
        related_origins=[o for o, host in hosts.items() if host is not None and not is_within(host, rp.id)],
        top_origins=rp.top_origins,
        allow_cross_origin=rp.allow_cross_origin,
        trust=TrustPolicy() if anchors is None else TrustPolicy(anchors=anchors, untrusted="reject"),
        policy=policy,
    )


def _asked(case: VectorCase, ceremony: VectorRegistration | VectorAuthentication, now: datetime) -> dict[str, Any]:
    """What the states of both ceremonies share, straight from the case: options would refuse odd challenges."""
    return {
        "challenge": bytes(ceremony.challenge),
        "rp_id": case.rp.id,
        "origins": case.rp.origins,
        "top_origins": case.rp.top_origins,
        "allow_cross_origin": case.rp.allow_cross_origin,
        "user_verification": ceremony.user_verification or "preferred",
        "created_at": now,
        "expires_at": now,
    }


def _record(
    case: VectorCase, authentication: VectorAuthentication, registered: Outcome | None
) -> CredentialRecord | None:
    given = authentication.credential
    if given is not None:
        return CredentialRecord(
            credential_id=given.id,
            public_key=given.public_key,
            rp_id=case.rp.id,
            user_handle=given.user_handle,
            sign_count=given.sign_count,
            backup_eligible=given.backup_eligible,
        )
    if not isinstance(registered, RegistrationOutcome):
        return None
    return msgspec.structs.replace(registered.credential, user_handle=authentication.user_handle)


def check_policies(case: VectorCase | DecodeError) -> None:
    """Returns only when every policy that `case` names exists and has a possible value.

    Raises:
        ConfigurationError: Otherwise.
    """
    if isinstance(case, VectorCase):
        for name, ceremony in (("registration", case.registration), ("authentication", case.authentication)):
            if ceremony is not None:
                try:
                    _policy(ceremony.policy)
                except ConfigurationError as error:
                    raise ConfigurationError(f"the {name} of {case.name}: {error.message}") from None


def _policy(values: Mapping[str, Any] | None) -> Policy:
    if not values:
        return DEFAULT_POLICY
    known: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _KNOBS:
            raise ConfigurationError(f"there is no policy {name}, only {', '.join(_KNOBS)}", path="policy")
        try:
            known[name] = msgspec.convert(value, _KNOBS[name])
        except msgspec.ValidationError as error:
            raise ConfigurationError(str(error), path=f"policy.{name}") from None
        if known[name] not in _NUMBERS.get(name, (known[name],)):
            raise ConfigurationError(f"{known[name]} is out of range", path=f"policy.{name}")
    return Policy(**known)


_Details: TypeAlias = Mapping[str, Callable[[Any], object]]
_DETAILS: Final[Mapping[type, _Details]] = {
    RegistrationOutcome: {
        "credential_id": lambda o: encode_base64url(o.credential.credential_id),
        "algorithm": lambda o: PublicKey.parse(o.credential.public_key).algorithm.id,
        "aaguid": lambda o: str(o.credential.aaguid),
        "attestation_format": lambda o: o.attestation.format,
        "attestation_type": lambda o: o.attestation.type,
        "trusted": lambda o: o.trust.trusted,
        "user_verified": lambda o: o.user_verified,
        "backup_eligible": lambda o: o.credential.backup_eligible,
        "backup_state": lambda o: o.credential.backup_state,
        "sign_count": lambda o: o.credential.sign_count,
    },
    VerifiedAuthentication: {
        "credential_id": lambda o: encode_base64url(o.previous.credential_id),
        "user_handle": lambda o: None if o.user_handle is None else encode_base64url(o.user_handle),
        "user_verified": lambda o: o.user_verified,
        "user_verification_trusted": lambda o: o.user_verification_trusted,
        "backup_eligible": lambda o: o.update.backup_eligible,
        "backup_state": lambda o: o.update.backup_state,
        "backup_eligibility_changed": lambda o: o.backup_eligibility_changed,
        "backup_state_changed": lambda o: o.backup_state_changed,
        "sign_count": lambda o: o.update.sign_count,
        "sign_count_regressed": lambda o: o.sign_count_regressed,
    },
}


def _verdict(name: str, ceremony: Ceremony, expect: Mapping[str, Any] | None, outcome: Outcome) -> Verdict:
    code = message = None
    if isinstance(outcome, PasskeyError):
        code, message = outcome.code.value, outcome.message
        details: dict[str, object] = {} if outcome.path is None else {"path": outcome.path}
    else:
        details = {member: read(outcome) for member, read in _DETAILS[type(outcome)].items()}
    seen = {"ok": code is None, "code": code} | details
    unmet = {
        member: value
        for member, value in (expect or {}).items()
        if member in seen and not (type(value) is type(seen[member]) and value == seen[member])
    }
    if expect is not None and expect.get("code") is None:
        unmet.pop("code", None)
    return Verdict(
        name=name,
        ceremony=ceremony,
        ok=code is None,
        code=code,
        message=message,
        expected=None if expect is None else not unmet,
        unmet=unmet,
        details=details,
    )
