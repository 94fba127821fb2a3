"""Is a valid attestation acceptable? Anchors, paths, metadata, lists of revoked certificates, and the decision.

Validity is decided before and elsewhere (`passkeycore.webauthn.attestation`); nothing here can make an invalid
statement valid. `policy` is what a server sets, `decision` what becomes of it at registration, `reassessment` later.
"""

from .android_status import AndroidStatusList
from .decision import TrustDecision, judge
from .metadata import Metadata
from .names import authenticator_name
from .policy import TrustPolicy
from .reassessment import reassess
from .roots import Anchor, bundled

__all__ = [
    "Anchor",
    "AndroidStatusList",
    "Metadata",
    "TrustDecision",
    "TrustPolicy",
    "authenticator_name",
    "bundled",
    "judge",
    "reassess",
]
