"""What is acceptable: anchors, metadata, lists and rules, in one value. `decision` applies it.

Spec: #sctn-registering-a-new-credential (assess the attestation trustworthiness)
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, cast, get_args
from uuid import UUID

import msgspec

from ..errors import ConfigurationError
from ..webauthn.attestation import FORMATS, AttestationType
from ..webauthn.policy import check_choices
from .roots import Anchor, several
from .statuses import CERTIFICATIONS, UNDESIRED_STATUSES

if TYPE_CHECKING:
    from .android_status import AndroidStatusList
    from .metadata import Metadata


class TrustPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which attestations are acceptable.

    Attributes:
        anchors: Where paths may end: `Anchor` values, such as ``bundled()`` roots, or certificates (DER) that are good
            for every format. Nothing else is ever an anchor, least of all what a statement brings along. Where the
            metadata has anchors for an authenticator, only those count for it.
        metadata: FIDO metadata: anchors and statuses of each model; None: there is none.
        android_status: Google's list of revoked certificates; None: there is none.
        untrusted: What a certificate path that leads to no anchor does: ``report`` registers it as unproven, as
            the specification allows; ``reject`` refuses it.
        require_trusted: Refuse everything that is not trusted, ``none`` and ``self`` included. Needs anchors or
            metadata. Each of the five rules below that is set implies it: under ``none`` and ``self`` an AAGUID
            proves nothing.
        allow_aaguids: The only models that are acceptable; None: all.
        deny_aaguids: Models that are not. Under either rule, and under `require_certification`, every authenticator
            has to prove which model it is: see `Anchor.aaguids`. U2F's do so by their certificates, if at all.
        refuse_statuses: What a model's current status must not be: such a model is not trusted. Further words than
            those of the default imply `require_trusted`.
        require_certification: The least FIDO certification that the metadata has to report; None: none.
        require_android_status: Trust Android keys only after a look into a fresh `android_status`.
        android_status_max_age_s: How old the list may be to be fresh, in seconds. A day, as Google's caching allows.
        android_factory_expiry: Certificates of Android devices whose keys came from the factory: ``ignore`` that they
            have ended, because nobody can renew them; or ``refuse``.
        formats: The attestation formats that are acceptable, ``none`` among them; None: all that are enabled.
        types: The attestation types that are acceptable; None: all.
    """

    anchors: Sequence[Anchor | bytes] = ()
    metadata: "Metadata | None" = None
    android_status: "AndroidStatusList | None" = None
    untrusted: Literal["report", "reject"] = "report"
    require_trusted: bool = False
    allow_aaguids: Collection[UUID] | None = None
    deny_aaguids: Collection[UUID] = frozenset()
    refuse_statuses: Collection[str] = UNDESIRED_STATUSES
    require_certification: str | None = None
    require_android_status: bool = False
    android_status_max_age_s: int = 86_400
    android_factory_expiry: Literal["ignore", "refuse"] = "ignore"
    formats: Collection[str] | None = None
    types: Collection[str] | None = None

    def __post_init__(self) -> None:
        """Checks the rules, once.

        Raises:
            ConfigurationError: A value of another type or an unknown word, a demand that nothing can meet, or an anchor
                that is no certificate.
        """
        check_choices(self)
        anchors = several(self.anchors, (Anchor, bytes), "trust.anchors")
        msgspec.structs.force_setattr(
            self, "anchors", tuple(Anchor(one) if isinstance(one, bytes) else one for one in anchors)
        )
        for name, kind in _COLLECTIONS.items():
            values = getattr(self, name)
            if values is not None:
                msgspec.structs.force_setattr(self, name, frozenset(several(values, kind, f"trust.{name}")))
        if unknown := frozenset(self.types or ()) - {*get_args(AttestationType)}:
            raise ConfigurationError(f"no attestation types: {sorted(unknown)!a}", path="trust.types")
        implied = (
            self.allow_aaguids is not None
            or bool(self.deny_aaguids)
            or not UNDESIRED_STATUSES.issuperset(self.refuse_statuses)
            or self.require_certification is not None
            or self.require_android_status
        )
        msgspec.structs.force_setattr(self, "require_trusted", self.require_trusted or implied)
        usable = any(anchor.formats is None or anchor.formats & FORMATS.keys() for anchor in anchors_of(self))
        if self.require_trusted and not usable and self.metadata is None:
            raise ConfigurationError(
                "trust can be required only with anchors or metadata: without, nothing is ever trusted", path="trust"
            )
        if self.require_certification is not None:
            if self.require_certification not in CERTIFICATIONS:
                raise ConfigurationError(f"one of {', '.join(CERTIFICATIONS)}", path="trust.require_certification")
            if self.metadata is None:
                raise ConfigurationError("certifications stand in metadata", path="trust.require_certification")
        if self.android_status_max_age_s < 1:
            raise ConfigurationError("at least a second", path="trust.android_status_max_age_s")
        if self.anchors:
            from . import chain  # pyOpenSSL is loaded only where there is a path to judge

            chain.prepare(tuple(anchor.certificate for anchor in anchors_of(self)))

    @property
    def android_status_max_age(self) -> timedelta:
        """`android_status_max_age_s` as a duration."""
        return timedelta(seconds=self.android_status_max_age_s)


# What the members that are collections are made of.
_COLLECTIONS: Final[Mapping[str, type]] = {
    "allow_aaguids": UUID,
    "deny_aaguids": UUID,
    "refuse_statuses": str,
    "formats": str,
    "types": str,
}


def anchors_of(policy: TrustPolicy, format: str | None = None) -> tuple[Anchor, ...]:
    """The policy's anchors that are good for this attestation format; None: all of them."""
    return _scoped(cast("tuple[Anchor, ...]", policy.anchors), format)  # which `TrustPolicy` has made of them


@lru_cache(maxsize=128)
def _scoped(anchors: tuple[Anchor, ...], format: str | None) -> tuple[Anchor, ...]:
    return tuple(anchor for anchor in anchors if anchor.formats is None or format is None or format in anchor.formats)
