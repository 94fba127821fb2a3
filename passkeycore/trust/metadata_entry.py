"""What the FIDO Metadata Service says about one authenticator model: its anchors, and its statuses over time.

Source: FIDO Metadata Service 3.0 and 3.1; FIDO Metadata Statement 3.0
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from .statuses import HARMLESS, WARNINGS

# Which of several reports of one day is the current one: the last of these. Words that are not here stand between
# the known good and the known bad ones, since a new word may be either.
_UNKNOWN: Final = 100
_SEVERITY: Final[Mapping[str, int]] = {
    **{word: place for place, word in enumerate(HARMLESS)},
    **{word: place for place, word in enumerate(WARNINGS, _UNKNOWN + 1)},
}
# What attests in each of the types that metadata knows. Spec: #sctn-defined-attestation-formats
FORMATS_OF_TYPE: Final[Mapping[str, frozenset[str]]] = {
    "basic_full": frozenset({"packed", "android-key", "android-safetynet", "fido-u2f"}),
    "attca": frozenset({"packed", "tpm", "fido-u2f"}),
    "anonca": frozenset({"apple"}),
}
_FORMATS: Final = frozenset[str]().union(*FORMATS_OF_TYPE.values())
# By COSE algorithm: what the FIDO Registry of Predefined Values 2.2, section 3.6.1, calls it.
_ALGORITHMS: Final[Mapping[int, frozenset[str]]] = {
    **dict.fromkeys((-7, -9), frozenset({"secp256r1_ecdsa_sha256_raw", "secp256r1_ecdsa_sha256_der"})),
    **dict.fromkeys((-35, -51), frozenset({"secp384r1_ecdsa_sha384_raw"})),
    **dict.fromkeys((-36, -52), frozenset({"secp521r1_ecdsa_sha512_raw"})),
    **dict.fromkeys((-8, -19), frozenset({"ed25519_eddsa_sha512_raw"})),
    -53: frozenset({"ed448_eddsa_sha512_raw"}),
    -47: frozenset({"secp256k1_ecdsa_sha256_raw", "secp256k1_ecdsa_sha256_der"}),
    -257: frozenset({"rsassa_pkcsv15_sha256_raw", "rsa_emsa_pkcs1_sha256_raw", "rsa_emsa_pkcs1_sha256_der"}),
    -258: frozenset({"rsassa_pkcsv15_sha384_raw"}),
    -259: frozenset({"rsassa_pkcsv15_sha512_raw"}),
    -37: frozenset({"rsassa_pss_sha256_raw", "rsassa_pss_sha256_der"}),
    -38: frozenset({"rsassa_pss_sha384_raw"}),
    -39: frozenset({"rsassa_pss_sha512_raw"}),
    -65535: frozenset({"rsassa_pkcsv15_sha1_raw"}),
}
_NAMED: Final = frozenset[str]().union(*_ALGORITHMS.values(), {"sm2_sm3_raw"})


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """One report on an authenticator model.

    Attributes:
        status: A word of the specification's ``AuthenticatorStatus``, or a newer one.
        effective_date: From when it holds, that day in UTC included; None: for as long as it is reported.
        authenticator_version: The firmware from which it holds; None when it does not say.
        certificate: The certificate it is about, DER, such as a compromised root; None: the whole model.
        batch_certificate: The attestation certificate of the batch it is about, DER; None: not about one batch.
        url: Where people read more; None when nowhere.
    """

    status: str
    effective_date: date | None = None
    authenticator_version: int | None = None
    certificate: bytes | None = None
    batch_certificate: bytes | None = None
    url: str | None = None


class MetadataEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one authenticator model.

    Attributes:
        aaguid: The model; None where it is known by its key identifiers only, as U2F's are.
        key_identifiers: SHA-1 of the subjectPublicKey bits of its attestation certificates, 20 bytes each.
        description: Its English name. For display.
        friendly_names: Its names by language tag. For display.
        protocol_family: The protocol it speaks.
        attestation_types: How it attests, in the words of the FIDO registry (``basic_full``, ``attca``, ...).
        algorithms: What it signs with, in the words of the FIDO registry.
        anchors: Certificates that its attestations lead to, DER; those that cannot be read are left out.
        lists_anchors: It lists some, be they readable or not; otherwise nothing is known about where its attestations
            lead to.
        anchor_formats: For each of the anchors: the attestation formats it is good for.
        status_reports: As published, in no order that means anything.
    """

    aaguid: UUID | None
    key_identifiers: frozenset[bytes]
    description: str
    friendly_names: Mapping[str, str]
    protocol_family: Literal["fido2", "u2f", "uaf"]
    attestation_types: tuple[str, ...]
    algorithms: tuple[str, ...]
    anchors: tuple[bytes, ...]
    lists_anchors: bool
    anchor_formats: tuple[frozenset[str], ...]
    status_reports: tuple[StatusReport, ...]

    def reports_at(self, now: datetime) -> tuple[StatusReport, ...]:
        """The reports that hold at `now` (aware), the current one first.

        Sorted by date, since published lists run in either direction. Of one day, the worst comes first, then the
        highest certification. A report without a date holds while it is there: a warning, or a word that this version
        does not know, therefore comes before everything dated; a word known to be good comes after it, so that it
        hides no dated warning.
        """
        today = now.astimezone(UTC).date()
        effective = [r for r in self.status_reports if r.effective_date is None or r.effective_date <= today]
        return tuple(sorted(effective, key=_currency, reverse=True))

    def status_at(self, now: datetime) -> StatusReport | None:
        """The report that is current at `now` (aware), as `reports_at` orders them; None when there is none yet."""
        reports = self.reports_at(now)
        return reports[0] if reports else None

    def anchors_for(self, format: str) -> tuple[bytes, ...]:
        """The anchors (DER) that are good for attestations of this format; none for a format that has no business here.

        An entry lists what its model needs in every format, public web authorities included, so a path to one of
        them means something only in the format it was listed for.
        """
        return tuple(
            anchor for anchor, formats in zip(self.anchors, self.anchor_formats, strict=True) if format in formats
        )

    def has_format(self, format: str) -> bool:
        """Whether the model attests in this format with certificates; True where metadata has no word for it."""
        return format not in _FORMATS or any(format in FORMATS_OF_TYPE.get(type, ()) for type in self.attestation_types)

    def has_algorithm(self, algorithm: int) -> bool:
        """Whether the model signs with this COSE algorithm.

        One that FIDO's registry has no word for yet may be meant by any word that is not known here.
        """
        words = _ALGORITHMS.get(algorithm)
        return not _NAMED.issuperset(self.algorithms) if words is None else not words.isdisjoint(self.algorithms)


class MetadataProblem(msgspec.Struct, frozen=True):
    """Something in the metadata that was left out.

    Attributes:
        entry: Which one: AAGUID, description or position.
        message: What, and why; one line.
    """

    entry: str
    message: str


def _currency(report: StatusReport) -> tuple[date, int]:
    severity = _SEVERITY.get(report.status, _UNKNOWN)
    undated = date.max if severity >= _UNKNOWN else date.min
    return report.effective_date or undated, severity
