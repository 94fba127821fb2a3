"""One Relying Party, one client and one moment that most tests share."""

from datetime import UTC, datetime
from typing import Any

from passkeycore import CredentialRecord, Policy, RegistrationOutcome, RelyingParty, TrustPolicy
from passkeycore.testing import SoftwareAuthenticator, VirtualClient
from passkeycore.webauthn.cose import SUPPORTED_ALGORITHMS

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HANDLE = b"a handle without personal data"


def relying_party(**changes: Any) -> RelyingParty:
    """The Relying Party example.org, which takes every algorithm."""
    members: dict[str, Any] = {
        "id": "example.org",
        "origins": ["https://example.org"],
        "algorithms": SUPPORTED_ALGORITHMS,
        "policy": Policy(),
        "trust": TrustPolicy(),
    }
    return RelyingParty(**(members | changes))


def client(seed: str = "tests", origin: str | None = None, **settings: Any) -> VirtualClient:
    """A browser with a software authenticator."""
    return VirtualClient(SoftwareAuthenticator(seed, **settings), origin)


def register(rp: RelyingParty, device: VirtualClient, **options: Any) -> RegistrationOutcome:
    """The outcome of a registration of `HANDLE` with these options."""
    start = rp.registration_options(user_handle=HANDLE, user_name="ada", now=NOW, **options)
    return rp.verify_registration(
        device.create(start.to_dict(), mediation=options.get("mediation")), start.state, now=NOW
    )


def record(rp: RelyingParty, device: VirtualClient, **options: Any) -> CredentialRecord:
    """The record of a new credential."""
    return register(rp, device, **options).credential
