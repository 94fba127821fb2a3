"""Is a valid attestation acceptable? Anchors, paths, metadata, lists of revoked certificates, and the decision.

Validity is decided before and elsewhere (`passkeycore.webauthn.attestation`); nothing here can make an invalid
statement valid. `policy` is what a server sets, `decision` what becomes of it at registration, `reassessment` later.
"""

from typing import TYPE_CHECKING, Any, Final

from .decision import TrustDecision, judge
from .policy import TrustPolicy
from .roots import Anchor, bundled

if TYPE_CHECKING:
    from .android_status import AndroidStatusList
    from .metadata import Metadata
    from .names import authenticator_name
    from .reassessment import reassess

# Only those who use these pay for the import.
_LATE: Final = {
    "AndroidStatusList": "android_status",
    "Metadata": "metadata",
    "authenticator_name": "names",
    "reassess": "reassessment",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATE[name]}", __name__), name)


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
