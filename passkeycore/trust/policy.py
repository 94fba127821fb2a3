"""The trust decision: whether an attestation leads to an anchor, why, and what the policy makes of it.

Spec: #sctn-registering-a-new-credential (assess the attestation trustworthiness)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from ..errors import Code, ConfigurationError, UntrustedError
from ..webauthn.attestation import AttestationResult
from ..webauthn.policy import check_choices


class TrustPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which attestations are acceptable.

    Attributes:
        anchors: Certificates, DER: roots, intermediates, or the attestation certificates themselves. Nothing else
            is ever an anchor, least of all what a statement brings along.
        untrusted: What a certificate path that leads to no anchor does: ``report`` registers it as unproven, as
            the specification allows; ``reject`` refuses it.
        require_trusted: Refuse everything that is not trusted, ``none`` and ``self`` included. Needs anchors.
    """

    anchors: Sequence[bytes] = ()
    untrusted: Literal["report", "reject"] = "report"
    require_trusted: bool = False

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a demand that nothing can meet, or an anchor that is no certificate."""
        check_choices(self)
        msgspec.structs.force_setattr(self, "anchors", tuple(self.anchors))
        if self.require_trusted and not self.anchors:
            raise ConfigurationError(
                "require_trusted needs anchors: without any, nothing is ever trusted", path="trust"
            )
        if self.anchors:
            from . import chain

            chain.store_of(tuple(self.anchors))


class TrustDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an attestation proves anything about its authenticator.

    Attributes:
        trusted: It leads to an anchor. Otherwise the credential is registered as unproven, or not at all.
        reason: Why, in a few words for logs.
        path: The certificates from leaf to anchor, DER, when trusted.
        children: The decisions on the statements inside a compound one.
    """

    trusted: bool
    reason: str
    path: tuple[bytes, ...] = ()
    children: tuple["TrustDecision", ...] = ()


def judge(attestation: AttestationResult, policy: TrustPolicy, now: datetime) -> TrustDecision:
    """The decision on a valid attestation at `now`, if the policy lets it be registered at all.

    Raises:
        UntrustedError: `attestation_required`: there is no certificate path, but trust is required.
            `attestation_untrusted`: its path leads to no anchor, and that is to be refused.
    """
    decision = _decide(attestation, policy, now)
    if not decision.trusted:
        if policy.require_trusted:
            code = Code.ATTESTATION_UNTRUSTED if _has_path(attestation) else Code.ATTESTATION_REQUIRED
            raise UntrustedError(code, decision.reason, decision=decision)
        if policy.untrusted == "reject" and _has_path(attestation):
            raise UntrustedError(Code.ATTESTATION_UNTRUSTED, decision.reason, decision=decision)
    return decision


def _decide(attestation: AttestationResult, policy: TrustPolicy, now: datetime) -> TrustDecision:
    if attestation.children:
        children = tuple(_decide(child, policy, now) for child in attestation.children)
        trusted = all(child.trusted for child in children)
        reason = "every statement is trusted" if trusted else "a statement of several is not trusted"
        return TrustDecision(trusted=trusted, reason=reason, children=children)
    if not attestation.trust_path:
        return TrustDecision(trusted=False, reason=f"attestation of type {attestation.type} proves no model")
    if not policy.anchors:
        return TrustDecision(trusted=False, reason="no trust anchors are configured")
    from . import chain  # pyOpenSSL is loaded only where a path is judged

    try:
        path = chain.verified_path(attestation.trust_path, tuple(policy.anchors), now)
    except chain.PathError as error:
        return TrustDecision(trusted=False, reason=str(error))
    return TrustDecision(trusted=True, reason="the path leads to a configured anchor", path=path)


def _has_path(attestation: AttestationResult) -> bool:
    return bool(attestation.trust_path) or any(_has_path(child) for child in attestation.children)
