"""The metadata of all authenticator models, loaded once: the lookup, and the two ways to load it.

How a signed BLOB is verified stands in `metadata_blob`, how its payload is read in `metadata_payload`; who has no
metadata loads neither.
Source: FIDO Metadata Service 3.0 and 3.1
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from ..errors import ConfigurationError
from ..webauthn.encoding import check_size
from .metadata_entry import MetadataEntry, MetadataProblem

MDS_HOST: Final = "mds.fidoalliance.org"
"""Whose name the certificate that signs FIDO's own BLOB bears."""
MAX_BYTES: Final = 32 << 20
"""How large a BLOB or payload may be: three times that of 2026."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The metadata of all models, loaded once and shared. Made by `from_blob`, or `from_unsigned_payload`.

    Attributes:
        no: Its serial number, which grows.
        next_update: When the next one is due at the latest.
        signed: It came in a BLOB whose signature was verified.
        legal_header: Under which conditions it may be used.
        entries: One for each model, in the order published.
        problems: What was left out of it.
        by_aaguid, by_key_identifier: The lookup tables.
    """

    no: int
    next_update: date
    signed: bool
    legal_header: str
    entries: tuple[MetadataEntry, ...]
    problems: tuple[MetadataProblem, ...]
    by_aaguid: Mapping[UUID, MetadataEntry]
    by_key_identifier: Mapping[bytes, MetadataEntry]

    @staticmethod
    def from_blob(
        blob: bytes,
        *,
        now: datetime,
        anchors: Sequence[bytes] | None = None,
        known: "Metadata | int | None" = None,
        verified_at: datetime | None = None,
        host: str = MDS_HOST,
        max_bytes: int = MAX_BYTES,
    ) -> "Metadata":
        """The metadata in a BLOB as ``https://mds3.fidoalliance.org/`` serves it, when its signature is good.

        One that is past its next update is still verified and loaded; see `is_stale`.

        Args:
            blob: The JWS in compact form.
            now: The time to judge certificates at, aware.
            anchors: Certificates, DER, that its signer's path may end at; None: the bundled roots of FIDO's service.
            known: The metadata in use, or its number: an older BLOB is refused. None accepts any number, as on the
                first start.
            verified_at: When this same BLOB was verified before, for one that was kept since then: the certificate of
                its signer may have ended. None: it was not.
            host: The DNS name that the signer's certificate has to bear.
            max_bytes: The largest BLOB to look at.

        Raises:
            ConfigurationError: The extra ``jose`` is not installed, an anchor is not a certificate in DER, or a time
                lacks its zone.
            DecodeError: `too_large`. `metadata_invalid`: not a JWS with certificates and a payload of the right form.
            VerificationError: `metadata_signature_invalid`: no certificate of a signer, an algorithm that does not
                fit its key, or a signature that does not verify. `metadata_untrusted`: the certificate leads to no
                anchor, or is not the host's. `metadata_rollback`: older than `known`.
        """
        from .metadata_blob import verified_payload
        from .metadata_payload import read_payload

        if now.tzinfo is None or (verified_at is not None and not verified_at.tzinfo):
            raise ConfigurationError("a time without its zone", path="now")
        payload = verified_payload(blob, now=verified_at or now, anchors=anchors, host=host, max_bytes=max_bytes)
        return read_payload(payload, partial(Metadata, signed=True), known.no if isinstance(known, Metadata) else known)

    @staticmethod
    def from_unsigned_payload(payload: bytes, *, max_bytes: int = MAX_BYTES) -> "Metadata":
        """The metadata in a payload that nobody signed: as trustworthy as the place it was taken from.

        Args:
            payload: JSON, UTF-8.
            max_bytes: The largest payload to look at.

        Raises:
            DecodeError: `too_large`. `metadata_invalid`: not the JSON of a payload.
        """
        check_size(len(payload), max_bytes, "payload")
        from .metadata_payload import read_payload

        return read_payload(payload, partial(Metadata, signed=False))

    def entry(self, aaguid: UUID) -> MetadataEntry | None:
        """The entry of the model with this AAGUID."""
        return self.by_aaguid.get(aaguid)

    def entry_for_certificate_key(self, key_identifier: bytes) -> MetadataEntry | None:
        """The entry of the model whose attestation certificate has this key identifier: SHA-1, 20 bytes, over the bits
        of its subjectPublicKey. For formats without an AAGUID. Spec: RFC 5280, section 4.2.1.2, method (1)
        """
        return self.by_key_identifier.get(key_identifier)

    def is_stale(self, now: datetime) -> bool:
        """Whether a newer one should have been published before `now` (aware)."""
        return now.astimezone(UTC).date() > self.next_update

    def __repr__(self) -> str:
        """Short: the whole would fill a screen ten thousand times."""
        kind = "signed" if self.signed else "unsigned"
        return f"<Metadata {kind} no={self.no} next_update={self.next_update} entries={len(self.entries)}>"
