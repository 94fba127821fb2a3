"""The model of an authenticator: which one an attestation names, whether that is proven, and what is known about it.

Source: FIDO Metadata Service 3.1, section 3.1.4; FIDO Registry of Predefined Values 2.2, sections 3.6 and 3.7
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from ..errors import Code
from ..webauthn.attestation import AttestationResult
from .policy import TrustPolicy
from .roots import Anchor
from .statuses import CERTIFICATIONS

if TYPE_CHECKING:
    from .metadata import Metadata
    from .metadata_entry import MetadataEntry, StatusReport

_SELF: Final = "basic_surrogate"
_U2F: Final = "fido-u2f"
_CERTIFIED: Final = frozenset({"packed", "tpm", _U2F})  # whose certificates may name the model, and were held to it
_REVOKED: Final = "REVOKED"
_UPDATE: Final = "UPDATE_AVAILABLE"
_OVERTAKEN_BY: Final = frozenset({"NOT_FIDO_CERTIFIED", _REVOKED})


class Untrusted(Exception):  # noqa: N818 - reads as what it says
    """Why an attestation is not trusted. Never leaves this package."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Which model an attestation names, and what the metadata has about it.

    Attributes:
        aaguid: The model; None where the attestation names none.
        certified: The attestation certificate names the same one.
        entry: The metadata for attestations of this format, whose anchors count; None: there is none.
        other: What the metadata has besides about the AAGUID of a U2F certificate; None: nothing.
    """

    aaguid: UUID | None
    certified: bool
    entry: "MetadataEntry | None"
    other: "MetadataEntry | None"

    @property
    def known(self) -> "MetadataEntry | None":
        """What the metadata has about the model, if anything."""
        return self.entry or self.other


def model_of(attestation: AttestationResult, aaguid: UUID, metadata: "Metadata | None") -> Model:
    """The model that a statement is about; `aaguid` is that of the authenticator data."""
    certified = by_key = None
    if attestation.trust_path and attestation.format in _CERTIFIED:
        from ..webauthn.attestation.certificate import Certificate  # only certified ones pay for the import

        leaf = Certificate.parse(attestation.trust_path[0])
        certified = leaf.aaguid
        if attestation.format == _U2F and metadata is not None:
            by_key = metadata.entry_for_certificate_key(leaf.key_identifier)
    if attestation.format == _U2F:
        # What U2F signs has no AAGUID; the one in the authenticator data is what the client made of it.
        named = certified or (None if by_key is None else by_key.aaguid)
        other = metadata.entry(certified) if metadata is not None and certified is not None else None
        return Model(aaguid=named, certified=named is not None, entry=by_key, other=other)
    entry = None if metadata is None else metadata.entry(aaguid)
    return Model(aaguid=aaguid, certified=certified == aaguid, entry=entry, other=None)


def check_type(model: Model, attestation: AttestationResult, algorithm: int) -> None:
    """Returns only when the metadata of the model knows this type of attestation, and for self the algorithm.

    Raises:
        Untrusted: `metadata_mismatch`.
    """
    entry = model.entry
    if entry is None or attestation.type in ("none", "unverified"):
        return
    is_self = attestation.type == "self"
    if not (_SELF in entry.attestation_types if is_self else entry.has_format(attestation.format)):
        raise Untrusted(Code.METADATA_MISMATCH, f"the model has no attestation of type {attestation.type}")
    if is_self and not entry.has_algorithm(algorithm):
        raise Untrusted(Code.METADATA_MISMATCH, f"the model has no keys for COSE algorithm {algorithm}")


def check_statuses(
    model: Model, attestation: AttestationResult, path: tuple[bytes, ...], policy: TrustPolicy, now: datetime
) -> None:
    """Returns only when no status that the policy refuses holds for the model or a certificate of `path` at `now`.

    Raises:
        Untrusted: `attestation_revoked`.
    """
    firmware = attestation.claims.get("firmware_version")
    for entry in (model.entry, model.other):
        reports = () if entry is None else entry.reports_at(now)
        for report in _holding(reports, path, firmware if isinstance(firmware, int) else None):
            if report.status in policy.refuse_statuses:
                raise Untrusted(Code.ATTESTATION_REVOKED, f"the status of the model is {report.status!a}")


def _holding(
    reports: "tuple[StatusReport, ...]", path: tuple[bytes, ...], firmware: int | None
) -> "Iterator[StatusReport]":
    """Those of `reports` (newest first) that hold for an authenticator with this path and firmware.

    A report about a certificate, such as that of a batch, holds for whoever has it, whatever was reported later. Of
    those about the whole model, a later certification overtakes everything but a revocation; an update overtakes it for
    those who have it. A word that is not known overtakes nothing.
    """
    overtaken = False
    for report in reports:
        about = {report.certificate, report.batch_certificate} - {None}
        if about:
            if about & {*path}:
                yield report
        elif not overtaken or report.status == _REVOKED:
            yield report
            version = report.authenticator_version
            updated = firmware is not None and version is not None and firmware >= version
            overtaken = overtaken or report.status in CERTIFICATIONS or (report.status == _UPDATE and updated)


def check_rules(model: Model, format: str, anchor: Anchor, policy: TrustPolicy, now: datetime) -> None:
    """Returns only when the policy's rules about models accept this one, which then has to be proven.

    Raises:
        Untrusted: `authenticator_not_allowed`.
    """
    allowed, denied, level = policy.allow_aaguids, policy.deny_aaguids, policy.require_certification
    if allowed is None and not denied and level is None:
        return
    aaguid = model.aaguid
    # The attestation key of packed signs the AAGUID. Those of Android, Apple and TPMs certify a key, and whoever holds
    # that may name any model, unless the certificate or the anchor says which one it is.
    proven = format == "packed" or model.certified or (anchor.aaguids is not None and aaguid in anchor.aaguids)
    if aaguid is None or not proven:
        raise Untrusted(Code.AUTHENTICATOR_NOT_ALLOWED, "nothing proves which model it is")
    if aaguid in denied or (allowed is not None and aaguid not in allowed):
        raise Untrusted(Code.AUTHENTICATOR_NOT_ALLOWED, f"the model {aaguid} is not acceptable")
    if level is not None and not any(status in _from(level) for status in _certifications(model, now)):
        raise Untrusted(Code.AUTHENTICATOR_NOT_ALLOWED, f"the model {aaguid} is not {level}")


def _from(level: str) -> tuple[str, ...]:
    return CERTIFICATIONS[CERTIFICATIONS.index(level) :]


def _certifications(model: Model, now: datetime) -> Iterator[str]:
    """The statuses that were not taken back since."""
    known = model.known
    for report in () if known is None else known.reports_at(now):
        if report.status in _OVERTAKEN_BY:
            return
        yield report.status
