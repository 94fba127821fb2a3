"""The words of FIDO's statuses of authenticator models, in their order. Words only: what they decide stands elsewhere.

Source: FIDO Metadata Service 3.1, section 3.1.4 (AuthenticatorStatus)
"""

from typing import Final

CERTIFICATIONS: Final = (
    "FIDO_CERTIFIED",
    "FIDO_CERTIFIED_L1",
    "FIDO_CERTIFIED_L1plus",
    "FIDO_CERTIFIED_L2",
    "FIDO_CERTIFIED_L2plus",
    "FIDO_CERTIFIED_L3",
    "FIDO_CERTIFIED_L3plus",
)
"""Each level includes those before it. FIDO_CERTIFIED is the name of level 1 from before there were others."""
WARNINGS: Final = (
    "USER_VERIFICATION_BYPASS",
    "USER_KEY_PHYSICAL_COMPROMISE",
    "USER_KEY_REMOTE_COMPROMISE",
    "ATTESTATION_KEY_COMPROMISE",
    "REVOKED",
)
"""What says that proofs of the model may be forged, or that the user may not have been verified; the worst last."""
UNDESIRED_STATUSES: Final = frozenset(WARNINGS)
HARMLESS: Final = ("NOT_FIDO_CERTIFIED", "SELF_ASSERTION_SUBMITTED", *CERTIFICATIONS, "UPDATE_AVAILABLE")
"""The other words that are known, the highest certification late."""
