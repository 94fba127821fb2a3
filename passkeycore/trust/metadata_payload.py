"""The payload of FIDO metadata, entry by entry: what cannot be read is left out and reported.

So the mistake of one vendor takes nothing from the others. Whether the payload is genuine was decided before.
Source: FIDO Metadata Service 3.1, section 3.1.1; FIDO Metadata Statement 3.0, section 4
"""

import binascii
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec
from OpenSSL import crypto

from ..errors import Code, DecodeError, PasskeyError, VerificationError, show
from ..webauthn.attestation.certificate import Certificate, encoded
from .metadata_entry import FORMATS_OF_TYPE, MetadataEntry, MetadataProblem, StatusReport
from .roots import bundled

_T = TypeVar("_T")

_SHA1_HEX: Final = r"^[0-9A-Fa-f]{40}\Z"
_U2F: Final = frozenset({"fido-u2f"})
_SAFETYNET: Final = frozenset({"android-safetynet"})


def read_payload(payload: bytes, make: Callable[..., _T], known: int | None = None) -> _T:
    """What the JSON of a payload holds, its entries read one by one.

    Args:
        payload: JSON, UTF-8.
        make: Makes the value, from the members that `Metadata` has beside `signed`.
        known: The number below which it is too old; None: any is good.

    Raises:
        DecodeError: `metadata_invalid`: not JSON, or not of the form of a payload.
        VerificationError: `metadata_rollback`.
    """
    try:
        shape = msgspec.json.decode(payload, type=_Payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        message = f"not a metadata payload: {show(str(error))}"
        raise DecodeError(Code.METADATA_INVALID, message, path="payload") from None
    if known is not None and shape.no < known:
        raise VerificationError(
            Code.METADATA_ROLLBACK, "older than the metadata that is known", expected=known, actual=shape.no
        )
    reader = _Reader()
    for position, raw in enumerate(shape.entries):
        reader.read(position, raw)
    return make(
        no=shape.no,
        next_update=shape.next_update,
        legal_header=shape.legal_header or "",
        entries=tuple(reader.entries),
        problems=tuple(reader.problems),
        by_aaguid=reader.by_aaguid,
        by_key_identifier=reader.by_key_identifier,
    )


class _Payload(msgspec.Struct, rename="camel"):
    no: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    next_update: date
    entries: list[msgspec.Raw]
    legal_header: str | None = None


class _Report(msgspec.Struct, rename="camel"):
    status: str
    effective_date: str | None = None
    authenticator_version: int | None = None
    certificate: str | None = None
    batch_certificate: str | None = None
    url: str | None = None


class _Statement(msgspec.Struct, rename="camel"):
    description: str
    protocol_family: Literal["fido2", "u2f", "uaf"]
    attestation_types: tuple[str, ...]
    attestation_root_certificates: tuple[str, ...]
    authentication_algorithms: tuple[str, ...] = ()
    friendly_names: dict[str, str] | None = None
    aaguid: UUID | None = None


class _Entry(msgspec.Struct, rename="camel"):
    metadata_statement: _Statement
    status_reports: tuple[_Report, ...]
    aaguid: UUID | None = None
    aaid: str | None = None
    attestation_certificate_key_identifiers: tuple[Annotated[str, msgspec.Meta(pattern=_SHA1_HEX)], ...] | None = None


class _Reader:
    """Reads entries, shares what they have in common, and notes what it leaves out."""

    def __init__(self) -> None:
        self.entries: list[MetadataEntry] = []
        self.problems: list[MetadataProblem] = []
        self.by_aaguid: dict[UUID, MetadataEntry] = {}
        self.by_key_identifier: dict[bytes, MetadataEntry] = {}
        self._decode = msgspec.json.Decoder(_Entry).decode
        # By base64: the certificate, and the formats that its key is bundled for (None: it is not); None: unreadable.
        self._anchors: dict[str, tuple[bytes, frozenset[str] | None] | None] = {}
        self._scopes: dict[bytes, frozenset[str]] = {}
        for anchor in (*bundled(), *bundled("mds")):
            key = _public_key(Certificate.parse(anchor.certificate))
            self._scopes[key] = self._scopes.get(key, frozenset()) | (anchor.formats or frozenset())

    def read(self, position: int, raw: msgspec.Raw) -> None:
        """Takes in one entry, or notes why not."""
        try:
            shape = self._decode(raw)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return self._note(f"entry {position}", f"left out: {show(str(error))}")
        statement = shape.metadata_statement
        name = str(shape.aaguid or show(statement.description))
        identifiers = shape.attestation_certificate_key_identifiers or ()
        if not (shape.aaguid or shape.aaid or identifiers):
            return self._note(name, "left out: it does not say which authenticator it is about")
        if shape.aaguid is not None and (not shape.aaguid.int or statement.aaguid not in (None, shape.aaguid)):
            return self._note(name, "left out: its AAGUID is zero or not the one of its statement")
        anchors = self._anchors_of(statement, name)
        entry = MetadataEntry(
            aaguid=shape.aaguid,
            key_identifiers=frozenset(map(bytes.fromhex, identifiers)),
            description=statement.description,
            friendly_names=statement.friendly_names or {},
            protocol_family=statement.protocol_family,
            attestation_types=statement.attestation_types,
            algorithms=statement.authentication_algorithms,
            anchors=tuple(anchors),
            lists_anchors=bool(statement.attestation_root_certificates),
            anchor_formats=tuple(anchors.values()),
            status_reports=tuple(self._report(report, name) for report in shape.status_reports),
        )
        self.entries.append(entry)
        if entry.aaguid is not None:
            self._register(self.by_aaguid, entry.aaguid, entry, name)
        for identifier in entry.key_identifiers:
            self._register(self.by_key_identifier, identifier, entry, name)
        return None

    def _note(self, entry: str, message: str) -> None:
        self.problems.append(MetadataProblem(entry, message))

    def _register(self, table: dict[Any, MetadataEntry], key: UUID | bytes, entry: MetadataEntry, name: str) -> None:
        first = table.setdefault(key, entry)
        if first is not entry:
            self._note(name, "stands twice: the first one counts, with the status reports of both")
            # A warning must not get lost, whichever of them it stands in.
            reports = first.status_reports + entry.status_reports
            table[key] = msgspec.structs.replace(first, status_reports=reports)

    def _report(self, report: _Report, name: str) -> StatusReport:
        effective_date = None
        if report.effective_date is not None:
            try:
                effective_date = date.fromisoformat(report.effective_date)
            except ValueError:  # the report still counts, as one without a date
                self._note(name, f"status {show(report.status)}: {show(report.effective_date)} is no date")
        return StatusReport(
            status=report.status,
            effective_date=effective_date,
            authenticator_version=report.authenticator_version,
            certificate=base64_of(report.certificate or "") or None,
            batch_certificate=base64_of(report.batch_certificate or "") or None,
            url=report.url,
        )

    def _anchors_of(self, statement: _Statement, name: str) -> dict[bytes, frozenset[str]]:
        """The entry's anchors, each with the formats it is good for."""
        allowed = frozenset[str]()
        if statement.protocol_family == "u2f":
            allowed = _U2F
        elif statement.protocol_family == "fido2":
            # Never for U2F, which does not sign the AAGUID that this entry is found by.
            allowed = allowed.union(*(FORMATS_OF_TYPE.get(type, ()) for type in statement.attestation_types)) - _U2F
        found: list[tuple[bytes, frozenset[str] | None]] = []
        for number, text in enumerate(statement.attestation_root_certificates):
            anchor = self._anchor(text)
            if anchor is None:
                self._note(name, f"anchor {number} left out: not a certificate in the base64 of DER")
            else:
                found.append(anchor)
        # Beside Google's own roots, the Android entry lists the public authorities that certified SafetyNet.
        if any(scope is not None and "android-key" in scope for _, scope in found):
            found = [(der, _SAFETYNET if scope is None else scope) for der, scope in found]
        return {der: allowed if scope is None else allowed & scope for der, scope in found}

    def _anchor(self, text: str) -> tuple[bytes, frozenset[str] | None] | None:
        if text not in self._anchors:
            self._anchors[text] = self._read_anchor(base64_of(text) or b"")
        return self._anchors[text]

    def _read_anchor(self, der: bytes) -> tuple[bytes, frozenset[str] | None] | None:
        try:
            certificate = Certificate.parse(der)
            crypto.load_certificate(crypto.FILETYPE_ASN1, der)  # which is what will build paths to it
        except (PasskeyError, crypto.Error, ValueError):
            return None
        return der, self._scopes.get(_public_key(certificate))


def base64_of(text: str) -> bytes | None:
    """What `text` spells in standard base64, which these two formats use for certificates; None: it is not that."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


def _public_key(certificate: Certificate) -> bytes:
    """The SubjectPublicKeyInfo, DER."""
    return encoded(certificate.shape.to_be_signed.public_key)
