"""The trust decision: whether a valid attestation proves the model of its authenticator, why, and what follows."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from ..errors import Code, UntrustedError
from ..webauthn.attestation import AttestationResult
from .policy import CERTIFICATIONS, TrustPolicy, anchors_of
from .roots import Anchor

if TYPE_CHECKING:
    from .metadata import MetadataEntry

# FIDO Registry of Predefined Values 2.2, section 3.7: what metadata calls the attestation types of each format.
_METADATA_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "packed": frozenset({"basic_full", "attca"}),
    "tpm": frozenset({"attca"}),
    "android-key": frozenset({"basic_full"}),
    "android-safetynet": frozenset({"basic_full"}),
    "fido-u2f": frozenset({"basic_full", "attca"}),
    "apple": frozenset({"anonca"}),
}
_PROVES_NOTHING: Final = "attestation of type {} proves no model"
_SELF: Final = "basic_surrogate"


class TrustDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an attestation proves anything about its authenticator.

    Attributes:
        trusted: It does. Otherwise the credential is registered as unproven, or not at all.
        reason: Why, in a few words for logs.
        code: Why not, as a word for programs; None when trusted.
        path: The certificates from leaf to anchor, DER, when there is such a path.
        anchor: The one it ends at.
        entry: What the metadata has about the model; None when it has nothing.
        metadata_stale: The metadata should have been replaced by a newer one by now.
        children: The decisions on the statements inside a compound one.
    """

    trusted: bool
    reason: str
    code: Code | None = None
    path: tuple[bytes, ...] = ()
    anchor: Anchor | None = None
    entry: "MetadataEntry | None" = None
    metadata_stale: bool = False
    children: tuple["TrustDecision", ...] = ()


class _UntrustedError(Exception):
    """Why not. Never leaves this file."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged, and when.

    Attributes:
        aaguid: The model that the authenticator data names.
        algorithm: The COSE algorithm of the credential.
        now: The time that statuses are judged at.
        registered_at: The time that certificates are judged at.
    """

    policy: TrustPolicy
    aaguid: UUID
    algorithm: int
    now: datetime
    registered_at: datetime


def judge(
    attestation: AttestationResult,
    policy: TrustPolicy,
    now: datetime,
    *,
    aaguid: UUID,
    algorithm: int,
    registered_at: datetime | None = None,
) -> TrustDecision:
    """The decision on a valid attestation, if the policy lets it be registered at all.

    Args:
        attestation: What the statement turned out to be.
        policy: What is acceptable.
        now: The time, aware.
        aaguid: The model that the authenticator data names.
        algorithm: The COSE algorithm of the credential.
        registered_at: When the credential was registered; None: now. Certificates of attestation keys live for days,
            so they are judged at that time; what became known since counts.

    Raises:
        UntrustedError: `attestation_not_allowed`: a format or type that the policy does not have.
            `authenticator_not_allowed`: an AAGUID, or a lack of certification, that it does not accept.
            `attestation_required`: there is no certificate path, but trust is required. `attestation_untrusted`: its
            path leads to no anchor, `attestation_revoked`: a certificate or the model is compromised,
            `metadata_mismatch`: the metadata says otherwise, `status_list_missing`: no fresh list of revoked
            certificates; and that is to be refused.
    """
    if not attestation.trust_path and not attestation.children and policy.metadata is None:
        decision = _unproven(attestation.type)  # most registrations, so nothing else is made for them
    else:
        registered_at = registered_at or now
        case = _Case(policy=policy, aaguid=aaguid, algorithm=algorithm, now=now, registered_at=registered_at)
        decision = _decide(attestation, case)
    if policy.formats is not None or policy.types is not None:
        _refuse_kind(attestation, decision, policy)
    if not decision.trusted:
        _refuse_untrusted(attestation, decision, policy)
    return decision


def _refuse_kind(attestation: AttestationResult, decision: TrustDecision, policy: TrustPolicy) -> None:
    for what, word, allowed in (
        ("format", attestation.format, policy.formats),
        ("type", attestation.type, policy.types),
    ):
        if allowed is not None and word not in allowed:
            raise UntrustedError(
                Code.ATTESTATION_NOT_ALLOWED, f"the {what} {word!a} is not acceptable", decision=decision
            )
    for child, decided in zip(attestation.children, decision.children, strict=True):
        _refuse_kind(child, decided, policy)


def _refuse_untrusted(attestation: AttestationResult, decision: TrustDecision, policy: TrustPolicy) -> None:
    # A statement that contradicts the metadata is a false one, with a path or without.
    rejected = policy.untrusted == "reject" and (_has_path(attestation) or decision.code is Code.METADATA_MISMATCH)
    if policy.require_trusted or rejected:
        raise UntrustedError(decision.code or Code.ATTESTATION_UNTRUSTED, decision.reason, decision=decision)


def _decide(attestation: AttestationResult, case: _Case) -> TrustDecision:
    if attestation.children:
        children = tuple(_decide(child, case) for child in attestation.children)
        fault = next((child for child in children if not child.trusted), None)
        if fault is not None:
            reason = f"a statement of several is not trusted: {fault.reason}"
            return TrustDecision(trusted=False, reason=reason, code=fault.code, children=children)
        return TrustDecision(trusted=True, reason="every statement is trusted", children=children)
    metadata = case.policy.metadata
    entry = _entry_of(attestation, case)
    stale = metadata is not None and metadata.is_stale(case.now)
    path: tuple[bytes, ...] = ()
    anchor: Anchor | None = None
    code: Code | None = None
    try:
        _check_metadata(attestation, entry, case)
        path, anchor = _path_of(attestation, entry, case)
        _check_revocation(attestation, path, entry, case)
        _check_model(attestation, entry, case)
    except _UntrustedError as no:
        code, reason = no.code, str(no)
    else:
        reason = f"the path leads to {anchor.name or 'a configured anchor'}"
    return TrustDecision(
        trusted=code is None, reason=reason, code=code, path=path, anchor=anchor, entry=entry, metadata_stale=stale
    )


@cache
def _unproven(type: str) -> TrustDecision:
    return TrustDecision(trusted=False, reason=_PROVES_NOTHING.format(type), code=Code.ATTESTATION_REQUIRED)


def _entry_of(attestation: AttestationResult, case: _Case) -> "MetadataEntry | None":
    metadata = case.policy.metadata
    if metadata is None:
        return None
    if attestation.format == "fido-u2f" and attestation.trust_path:
        from ..webauthn.attestation.certificate import Certificate

        # U2F authenticators have no AAGUID; metadata knows them by their attestation keys.
        return metadata.entry_for_certificate_key(Certificate.parse(attestation.trust_path[0]).key_identifier)
    return metadata.entry(case.aaguid)


def _check_metadata(attestation: AttestationResult, entry: "MetadataEntry | None", case: _Case) -> None:
    """The metadata of the model knows this type of attestation, and for self attestation the algorithm."""
    if entry is None or attestation.type in ("none", "unverified"):
        return
    known = frozenset({_SELF}) if attestation.type == "self" else _METADATA_TYPES.get(attestation.format)
    if known is not None and not known & {*entry.attestation_types}:
        raise _UntrustedError(Code.METADATA_MISMATCH, f"the model has no attestation of type {attestation.type}")
    if attestation.type == "self" and not entry.has_algorithm(case.algorithm):
        raise _UntrustedError(Code.METADATA_MISMATCH, f"the model has no keys for COSE algorithm {case.algorithm}")


def _path_of(
    attestation: AttestationResult, entry: "MetadataEntry | None", case: _Case
) -> tuple[tuple[bytes, ...], Anchor]:
    """The path to an anchor of the model, or where the metadata has none, of the policy."""
    if not attestation.trust_path:
        raise _UntrustedError(Code.ATTESTATION_REQUIRED, _PROVES_NOTHING.format(attestation.type))
    format = attestation.format
    of_model = entry.anchors_for(format) if entry is not None else ()
    if of_model and entry is not None:
        anchors = {der: Anchor(der, frozenset({format}), entry.description) for der in of_model}
    else:
        anchors = {anchor.certificate: anchor for anchor in anchors_of(case.policy, format)}
    if not anchors:
        raise _UntrustedError(Code.ATTESTATION_UNTRUSTED, f"no trust anchors are configured for format {format!a}")
    from . import chain  # pyOpenSSL is loaded only where a path is judged

    dates = "" if case.policy.android_factory_expiry == "refuse" else format
    try:
        path = chain.verified_path(attestation.trust_path, tuple(anchors), case.registered_at, dates)
    except chain.PathError as error:
        raise _UntrustedError(Code.ATTESTATION_UNTRUSTED, str(error)) from None
    return path, anchors[path[-1]]


def _check_revocation(
    attestation: AttestationResult, path: tuple[bytes, ...], entry: "MetadataEntry | None", case: _Case
) -> None:
    policy = case.policy
    if attestation.format == "android-key":
        listed = policy.android_status
        if policy.require_android_status and (
            listed is None or not listed.is_fresh(case.now, policy.android_status_max_age)
        ):
            raise _UntrustedError(Code.STATUS_LIST_MISSING, "no fresh list of revoked Android certificates")
        if listed is not None:
            from ..webauthn.attestation.certificate import Certificate

            found = listed.find_any([Certificate.parse(der).serial_number for der in path])
            if found is not None:
                raise _UntrustedError(
                    Code.ATTESTATION_REVOKED, f"a certificate of the path is listed as {found.status!a}"
                )
    for report in () if entry is None else entry.reports_at(case.now):
        # A compromised key may be one batch's, and is no business of the others.
        about = {report.certificate, report.batch_certificate} - {None}
        if not about or about & {*path}:
            if report.status in policy.refuse_statuses:
                raise _UntrustedError(Code.ATTESTATION_REVOKED, f"the status of the model is {report.status!a}")
            return  # the first one is the current one


def _check_model(attestation: AttestationResult, entry: "MetadataEntry | None", case: _Case) -> None:
    policy, model = case.policy, _model_of(attestation, entry, case)
    denied = bool(policy.deny_aaguids) and (model is None or model in policy.deny_aaguids)
    if denied or (policy.allow_aaguids is not None and model not in policy.allow_aaguids):
        raise _UntrustedError(Code.AUTHENTICATOR_NOT_ALLOWED, f"the model {model} is not acceptable")
    if policy.require_certification is not None:
        accepted = CERTIFICATIONS[CERTIFICATIONS.index(policy.require_certification) :]
        reports = () if entry is None else entry.reports_at(case.now)
        if not any(report.status in accepted for report in reports):
            raise _UntrustedError(
                Code.AUTHENTICATOR_NOT_ALLOWED, f"the model {model} is not {policy.require_certification}"
            )


def _model_of(attestation: AttestationResult, entry: "MetadataEntry | None", case: _Case) -> UUID | None:
    """The model that is proven; None where nothing says which it is."""
    if attestation.format != "fido-u2f":
        return case.aaguid
    # What U2F signs has no AAGUID; the one in the authenticator data is what the client made of it.
    from ..webauthn.attestation.certificate import Certificate

    certified = Certificate.parse(attestation.trust_path[0]).aaguid
    return certified or (None if entry is None else entry.aaguid)


def _has_path(attestation: AttestationResult) -> bool:
    return bool(attestation.trust_path) or any(_has_path(child) for child in attestation.children)
