"""X.509 certificates for attestation, right or wrong in one chosen place.

`certificate` assembles any certificate and signs it; `AttestationAuthority` issues what a maker of
authenticators would issue. Certificates are written by hand rather than through a builder, which would
refuse the wrong ones. Dates are fixed (2024-01-01 to 2044-01-01 UTC), so give verifiers a time instead of
the clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from passkeycore.testing import der
from passkeycore.testing.keys import SoftwareKey, derive

NOT_BEFORE: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""When the kit's certificates begin to be valid."""
NOT_AFTER: Final = datetime(2044, 1, 1, tzinfo=UTC)
"""When the kit's certificates end to be valid."""

OID_AAGUID: Final = "1.3.6.1.4.1.45724.1.1.4"
"""The extension id-fido-gen-ce-aaguid."""
OID_BASIC_CONSTRAINTS: Final = "2.5.29.19"
OID_KEY_USAGE: Final = "2.5.29.15"
OID_SUBJECT_KEY_IDENTIFIER: Final = "2.5.29.14"
OID_AUTHORITY_KEY_IDENTIFIER: Final = "2.5.29.35"

LEAF_SUBJECT: Final[Mapping[str, str]] = {
    "C": "AA",
    "O": "passkeycore",
    "OU": "Authenticator Attestation",
    "CN": "passkeycore test authenticator",
}
"""The subject of issued certificates, as packed attestation demands it; `AA` is a user-assigned code."""

_NAME_TYPES: Final = {"C": "2.5.4.6", "O": "2.5.4.10", "OU": "2.5.4.11", "CN": "2.5.4.3"}
_KEY_USAGE_LEAF: Final = der.bit_string(b"\x80", 7)  # digitalSignature
_KEY_USAGE_CA: Final = der.bit_string(b"\x06", 1)  # keyCertSign, cRLSign
_SIGNATURE_ALGORITHMS: Final[Mapping[int, bytes]] = {
    **dict.fromkeys((-7, -9, -47), der.sequence(der.oid("1.2.840.10045.4.3.2"))),
    **dict.fromkeys((-35, -51), der.sequence(der.oid("1.2.840.10045.4.3.3"))),
    **dict.fromkeys((-36, -52), der.sequence(der.oid("1.2.840.10045.4.3.4"))),
    **dict.fromkeys((-8, -19), der.sequence(der.oid("1.3.101.112"))),
    -53: der.sequence(der.oid("1.3.101.113")),
    -257: der.sequence(der.oid("1.2.840.113549.1.1.11"), der.null()),
    -258: der.sequence(der.oid("1.2.840.113549.1.1.12"), der.null()),
    -259: der.sequence(der.oid("1.2.840.113549.1.1.13"), der.null()),
    -65535: der.sequence(der.oid("1.2.840.113549.1.1.5"), der.null()),
    -48: der.sequence(der.oid("2.16.840.1.101.3.4.3.17")),
    -49: der.sequence(der.oid("2.16.840.1.101.3.4.3.18")),
    -50: der.sequence(der.oid("2.16.840.1.101.3.4.3.19")),
}


def name(attributes: Mapping[str, str]) -> bytes:
    """A DER Name with one attribute in each relative distinguished name.

    Args:
        attributes: Type to value, in order; a type is `C`, `O`, `OU`, `CN` or a dotted object identifier.
            The country is written as PrintableString, everything else as UTF8String.
    """
    return der.sequence(
        *(
            der.set_of(
                der.sequence(
                    der.oid(_NAME_TYPES.get(kind, kind)),
                    der.printable_string(value) if kind == "C" else der.utf8_string(value),
                )
            )
            for kind, value in attributes.items()
        )
    )


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    """A DER Extension; `value` is what goes inside the extension's own OCTET STRING."""
    return der.sequence(der.oid(oid), *([der.boolean(True)] if critical else []), der.octet_string(value))


def basic_constraints(ca: bool, path_length: int | None = None) -> bytes:
    """The critical basicConstraints extension; `path_length` None states no limit."""
    value = [der.boolean(True)] if ca else []
    if path_length is not None:
        value.append(der.integer(path_length))
    return extension(OID_BASIC_CONSTRAINTS, der.sequence(*value), critical=True)


def certificate(
    *,
    subject: bytes,
    subject_key: SoftwareKey,
    issuer: bytes,
    issuer_key: SoftwareKey,
    serial: int,
    extensions: Sequence[bytes],
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    version: int = 3,
    validity: bytes | None = None,
    signature_algorithm: bytes | None = None,
) -> bytes:
    """A DER certificate with exactly these fields, signed by `issuer_key`.

    Args:
        subject: A DER Name.
        subject_key: The key certified.
        issuer: A DER Name.
        issuer_key: The key that signs; its COSE algorithm selects the signature algorithm.
        serial: Any integer.
        extensions: DER Extensions, in order; an empty sequence leaves the field out.
        not_before: Aware UTC, to the second.
        not_after: Aware UTC, to the second.
        version: 1, 2 or 3 as people count them; 1 leaves the field out as DER demands.
        validity: A DER Validity instead of the one with the two dates.
        signature_algorithm: A DER AlgorithmIdentifier instead of the right one; it changes nothing in how is signed.

    Raises:
        ValueError: The kit knows no X.509 signature algorithm for the issuer's COSE algorithm (RSA-PSS).

    Spec: RFC 5280, section 4.1
    """
    signature_algorithm = signature_algorithm or _SIGNATURE_ALGORITHMS.get(issuer_key.algorithm)
    if signature_algorithm is None:
        raise ValueError(f"no certificate signatures under COSE algorithm {issuer_key.algorithm}")
    to_be_signed = der.sequence(
        *([der.explicit(0, der.integer(version - 1))] if version != 1 else []),
        der.integer(serial),
        signature_algorithm,
        issuer,
        validity or der.sequence(der.time(not_before), der.time(not_after)),
        subject,
        subject_key.spki(),
        *([der.explicit(3, der.sequence(*extensions))] if extensions else []),
    )
    return der.sequence(to_be_signed, signature_algorithm, der.bit_string(issuer_key.sign(to_be_signed)))


@dataclass(frozen=True, slots=True)
class AttestationCertificate:
    """An attestation key with its certificate and the path above it."""

    key: SoftwareKey
    x5c: tuple[bytes, ...]
    """DER certificates: this key's first, then the intermediates upwards. The root is not among them."""


class AttestationAuthority:
    """A certification authority of authenticators: a self-signed root, or one certified by `parent`.

    `AttestationAuthority("seed")` is a root; `AttestationAuthority("seed", parent=root)` an intermediate
    below it. Same arguments and same calls give the same bytes, provided the algorithm's signatures repeat.
    """

    def __init__(
        self,
        seed: bytes | str,
        *,
        parent: "AttestationAuthority | None" = None,
        algorithm: int = -7,
        common_name: str | None = None,
        ca: bool | None = True,
        path_length: int | None = None,
        not_before: datetime = NOT_BEFORE,
        not_after: datetime = NOT_AFTER,
        extensions: Iterable[bytes] = (),
    ) -> None:
        """Makes the authority's key and certificate.

        Args:
            seed: What key and serial numbers follow from.
            parent: Who certifies this authority; None makes a self-signed root.
            algorithm: COSE algorithm of its key, and so of the signatures it makes.
            common_name: None means one that tells a root from an intermediate.
            ca: What basicConstraints says; None leaves the extension out. Anything but True is deliberately
                wrong.
            path_length: pathLenConstraint; None states no limit.
            not_before: Aware UTC.
            not_after: Aware UTC.
            extensions: Further DER Extensions of its certificate, after the usual ones.
        """
        kind = "root" if parent is None else "intermediate"
        self.seed = derive(seed, f"attestation {kind} {common_name or ''}")
        self.key = SoftwareKey.derive(self.seed, algorithm, purpose="authority")
        self.subject = name(
            {
                "C": "AA",
                "O": "passkeycore",
                "OU": "Authenticator Attestation CA",
                "CN": common_name or f"passkeycore test {kind}",
            }
        )
        self._issued = 0
        issuer = parent or self
        self.certificate: bytes = certificate(
            subject=self.subject,
            subject_key=self.key,
            issuer=issuer.subject,
            issuer_key=issuer.key,
            serial=issuer.next_serial(),
            not_before=not_before,
            not_after=not_after,
            extensions=[
                *([] if ca is None else [basic_constraints(ca, path_length)]),
                extension(OID_KEY_USAGE, _KEY_USAGE_CA, critical=True),
                *_key_identifiers(self.key, None if parent is None else parent.key),
                *extensions,
            ],
        )
        """Its own certificate, DER."""
        self.root: bytes = self.certificate if parent is None else parent.root
        """The certificate a server has to trust, DER."""
        self.path: tuple[bytes, ...] = () if parent is None else (self.certificate, *parent.path)
        """DER certificates from this authority's upwards, without the root."""

    def next_serial(self) -> int:
        """The next serial number: positive, 16 octets, following from the seed and the number of calls."""
        self._issued += 1
        drawn = int.from_bytes(derive(self.seed, "serial", index=self._issued, length=16), "big")
        return drawn >> 1 | 1 << 126

    def issue(
        self,
        aaguid: UUID | None = None,
        *,
        key: SoftwareKey | None = None,
        algorithm: int = -7,
        subject: Mapping[str, str | None] | bytes | None = None,
        ca: bool | None = False,
        aaguid_extension: bytes | None = None,
        aaguid_critical: bool = False,
        extensions: Iterable[bytes] = (),
        not_before: datetime = NOT_BEFORE,
        not_after: datetime = NOT_AFTER,
        version: int = 3,
    ) -> AttestationCertificate:
        """An attestation certificate that meets the rules of packed attestation, except where told otherwise.

        Args:
            aaguid: The model, for the AAGUID extension; None leaves the extension out.
            key: The key to certify; None derives one from the authority, `aaguid` and `algorithm`, which all
                certificates for these share as the devices of one batch do.
            algorithm: COSE algorithm of a derived key.
            subject: Changes to `LEAF_SUBJECT`, a None value removing an attribute; or a whole DER Name.
            ca: What basicConstraints says; None leaves the extension out.
            aaguid_extension: The value of the AAGUID extension instead of the right one, an OCTET STRING of
                16 bytes inside the extension's own.
            aaguid_critical: Whether the AAGUID extension is marked critical, which is wrong.
            extensions: Further DER Extensions, after the usual ones.
            not_before: Aware UTC.
            not_after: Aware UTC.
            version: 3 is right. Versions 1 and 2 know no extensions and get none.

        Spec: #sctn-packed-attestation-cert-requirements
        """
        if key is None:
            key = SoftwareKey.derive(self.seed, algorithm, purpose=f"attestation {aaguid}")
        if not isinstance(subject, bytes):
            changed = {**LEAF_SUBJECT, **(subject or {})}
            subject = name({kind: value for kind, value in changed.items() if value is not None})
        if aaguid_extension is None and aaguid is not None:
            aaguid_extension = der.octet_string(aaguid.bytes)
        usual = [
            *([] if ca is None else [basic_constraints(ca)]),
            extension(OID_KEY_USAGE, _KEY_USAGE_LEAF, critical=True),
            *_key_identifiers(key, self.key),
        ]
        if aaguid_extension is not None:
            usual.append(extension(OID_AAGUID, aaguid_extension, critical=aaguid_critical))
        leaf = certificate(
            subject=subject,
            subject_key=key,
            issuer=self.subject,
            issuer_key=self.key,
            serial=self.next_serial(),
            not_before=not_before,
            not_after=not_after,
            extensions=[*usual, *extensions] if version == 3 else [],
            version=version,
        )
        return AttestationCertificate(key, (leaf, *self.path))


def _key_identifiers(key: SoftwareKey, issuer_key: SoftwareKey | None) -> list[bytes]:
    found = [extension(OID_SUBJECT_KEY_IDENTIFIER, der.octet_string(_key_identifier(key)))]
    if issuer_key is not None:
        value = der.sequence(der.implicit(0, _key_identifier(issuer_key)))
        found.append(extension(OID_AUTHORITY_KEY_IDENTIFIER, value))
    return found


def _key_identifier(key: SoftwareKey) -> bytes:
    return sha256(key.spki()).digest()[:20]  # RFC 7093, section 2, method 4, cut to the usual length
