"""Is a valid attestation acceptable? Certificate paths, and the policy that reads their result.

Validity is decided before and elsewhere (`passkeycore.webauthn.attestation`); nothing here can make an invalid
statement valid.
"""

from .policy import TrustDecision, TrustPolicy, judge

__all__ = ["TrustDecision", "TrustPolicy", "judge"]
