"""passkeycore: an embeddable WebAuthn engine. The everyday names; everything else by its module.

rp = RelyingParty(id="example.com", origins=["https://example.com"])
start = rp.registration_options(user_handle=handle, user_name="ada@example.com")
...                                       # start.to_dict() to the client, start.state.to_json() into the session
outcome = rp.verify_registration(body, RegistrationState.from_json(stored))
...                                       # outcome.credential.to_bytes() into the database
"""

from .errors import (
    ActionError,
    AttestationError,
    CeremonyError,
    ChallengeError,
    Code,
    ConfigurationError,
    ConflictError,
    CredentialExists,
    CredentialNotFound,
    DecodeError,
    LimitReached,
    PasskeyError,
    SignatureError,
    TokenError,
    UnsupportedError,
    UntrustedError,
    VerificationError,
)
from .relying_party import RegistrationOutcome, RelyingParty
from .trust import TrustDecision, TrustPolicy
from .webauthn.authentication import VerifiedAuthentication
from .webauthn.credential import CredentialRecord, CredentialUpdate, confirm_user_verification
from .webauthn.extension_inputs import AuthenticationExtensions, PrfValues, RegistrationExtensions
from .webauthn.options import (
    AuthenticationStart,
    AuthenticationState,
    CredentialDescriptor,
    RegistrationStart,
    RegistrationState,
    second_factor,
    sole_factor,
)
from .webauthn.origins import android_origin
from .webauthn.policy import Limits, Policy, conformance
from .webauthn.responses import AuthenticationResponse, RegistrationResponse
from .webauthn.trail import Check, Trail

__version__ = "0.1.0"

__all__ = [
    "ActionError",
    "AttestationError",
    "AuthenticationExtensions",
    "AuthenticationResponse",
    "AuthenticationStart",
    "AuthenticationState",
    "CeremonyError",
    "ChallengeError",
    "Check",
    "Code",
    "ConfigurationError",
    "ConflictError",
    "CredentialDescriptor",
    "CredentialExists",
    "CredentialNotFound",
    "CredentialRecord",
    "CredentialUpdate",
    "DecodeError",
    "LimitReached",
    "Limits",
    "PasskeyError",
    "Policy",
    "PrfValues",
    "RegistrationExtensions",
    "RegistrationOutcome",
    "RegistrationResponse",
    "RegistrationStart",
    "RegistrationState",
    "RelyingParty",
    "SignatureError",
    "TokenError",
    "Trail",
    "TrustDecision",
    "TrustPolicy",
    "UnsupportedError",
    "UntrustedError",
    "VerificationError",
    "VerifiedAuthentication",
    "android_origin",
    "confirm_user_verification",
    "conformance",
    "second_factor",
    "sole_factor",
]
