"""The trust decision: whether a valid attestation proves the model of its authenticator, why, and what follows."""

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from ..errors import Code, UntrustedError
from ..webauthn.attestation import AttestationResult
from .model import Model, Untrusted, check_rules, check_statuses, check_type, model_of
from .policy import TrustPolicy, anchors_of
from .roots import Anchor

if TYPE_CHECKING:
    from .metadata_entry import MetadataEntry

_PROVES_NOTHING: Final = "attestation of type {} proves no model"


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


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is judged, and when.

    Attributes:
        aaguid: The model that the authenticator data names.
        algorithm: The COSE algorithm of the credential.
        now: The time that statuses are judged at.
        registered_at: The time that certificates are judged at; None: any at which all of them were valid.
    """

    policy: TrustPolicy
    aaguid: UUID
    algorithm: int
    now: datetime
    registered_at: datetime | None


def judge(
    attestation: AttestationResult,
    policy: TrustPolicy,
    now: datetime,
    *,
    aaguid: UUID,
    algorithm: int,
    registered_at: datetime | None,
) -> TrustDecision:
    """The decision on a valid attestation, if the policy lets it be registered at all.

    Args:
        attestation: What the statement turned out to be.
        policy: What is acceptable.
        now: The time, aware.
        aaguid: The model that the authenticator data names.
        algorithm: The COSE algorithm of the credential.
        registered_at: When the credential was registered, which is `now` at registration: certificates of attestation
            keys live for days, so they are judged at that time; what became known since counts. None: nobody knows
            when, so that any time will do at which all of them were valid.

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
        reason = "every statement is trusted" if fault is None else f"one statement is not trusted: {fault.reason}"
        return TrustDecision(
            trusted=fault is None,
            reason=reason,
            code=None if fault is None else fault.code,
            metadata_stale=any(child.metadata_stale for child in children),
            children=children,
        )
    policy, metadata = case.policy, case.policy.metadata
    model = model_of(attestation, case.aaguid, metadata)
    stale = metadata is not None and metadata.is_stale(case.now)
    path: tuple[bytes, ...] = ()
    anchor: Anchor | None = None
    code: Code | None = None
    try:
        check_type(model, attestation, case.algorithm)
        path, anchor = _path_of(attestation, model, case)
        _check_android_status(attestation, path, policy, case.now)
        check_statuses(model, attestation, path, policy, case.now)
        check_rules(model, attestation.format, anchor, policy, case.now)
    except Untrusted as no:
        code, reason = no.code, str(no)
    else:
        reason = f"the path leads to {anchor.name or 'a configured anchor'}"
    return TrustDecision(
        trusted=code is None,
        reason=reason,
        code=code,
        path=path,
        anchor=anchor,
        entry=model.known,
        metadata_stale=stale,
    )


@cache
def _unproven(type: str) -> TrustDecision:
    return TrustDecision(trusted=False, reason=_PROVES_NOTHING.format(type), code=Code.ATTESTATION_REQUIRED)


def _path_of(attestation: AttestationResult, model: Model, case: _Case) -> tuple[tuple[bytes, ...], Anchor]:
    """The path to an anchor of the model, or where the metadata lists none at all, of the policy."""
    if not attestation.trust_path:
        raise Untrusted(Code.ATTESTATION_REQUIRED, _PROVES_NOTHING.format(attestation.type))
    format, entry = attestation.format, model.entry
    listing = entry if entry is not None and entry.lists_anchors else None
    several = () if listing else anchors_of(case.policy, format)
    configured = {one.certificate: one for one in several if one.aaguids is None or model.aaguid in one.aaguids}
    anchors = listing.anchors_for(format) if listing else tuple(configured)
    if not anchors:
        message = f"no trust anchors are configured for format {format!a} of this model"
        raise Untrusted(Code.ATTESTATION_UNTRUSTED, message)
    from . import chain  # pyOpenSSL is loaded only where a path is judged

    dates = "" if case.policy.android_factory_expiry == "refuse" else format
    try:
        path = chain.verified_path(attestation.trust_path, anchors, case.registered_at, dates)
    except chain.PathError as error:
        raise Untrusted(Code.ATTESTATION_UNTRUSTED, str(error)) from None
    return path, _listed(listing, path[-1], format) if listing else configured[path[-1]]


def _listed(entry: "MetadataEntry", certificate: bytes, format: str) -> Anchor:
    """One of the anchors that the metadata of a model lists."""
    models = None if entry.aaguid is None else frozenset({entry.aaguid})
    return Anchor(certificate, frozenset({format}), entry.description, models)


def _check_android_status(
    attestation: AttestationResult, path: tuple[bytes, ...], policy: TrustPolicy, now: datetime
) -> None:
    if attestation.format != "android-key":
        return
    listed = policy.android_status
    if policy.require_android_status and (listed is None or not listed.is_fresh(now, policy.android_status_max_age)):
        raise Untrusted(Code.STATUS_LIST_MISSING, "no fresh list of revoked Android certificates")
    if listed is not None:
        from ..webauthn.attestation.certificate import Certificate

        found = listed.find_any([Certificate.parse(der).serial_number for der in path])
        if found is not None:
            raise Untrusted(Code.ATTESTATION_REVOKED, f"a certificate of the path is listed as {found.status!a}")


def _has_path(attestation: AttestationResult) -> bool:
    return bool(attestation.trust_path) or any(_has_path(child) for child in attestation.children)
