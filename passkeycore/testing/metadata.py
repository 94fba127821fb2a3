"""FIDO metadata for tests: entries, payloads, and BLOBs signed under a test certification authority.

    signer = MetadataSigner("tests")
    authority = AttestationAuthority("tests")
    payload = metadata_payload(metadata_entry(TEST_AAGUID, [authority.root]), no=7)
    Metadata.from_blob(signer.blob(payload), now=now, anchors=[signer.root])

An entry and a payload are what JSON makes of them, so a test changes any member before it goes on.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from passkeycore.testing import der
from passkeycore.testing.certificates import AttestationAuthority, extension
from passkeycore.testing.encoding import b64url_encode
from passkeycore.testing.keys import ALGORITHMS, SoftwareKey

MDS_HOST: Final = "mds.fidoalliance.org"
"""Whose name the signer's certificate bears, as that of FIDO's own service does."""
OID_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"


def metadata_entry(
    aaguid: UUID | None,
    anchors: Iterable[bytes] = (),
    *,
    statuses: Iterable[tuple[str, str | None]] = (("FIDO_CERTIFIED_L1", "2024-01-01"),),
    statement: Mapping[str, Any] | None = None,
    **members: Any,
) -> dict[str, Any]:
    """A metadata entry of a FIDO2 authenticator with basic attestation, except where told otherwise.

    Args:
        aaguid: The model; None leaves it out, for entries that have other identifiers.
        anchors: Its attestation roots, DER.
        statuses: Words of its status reports with their effective dates (``2024-12-31``; None leaves it out).
        statement: Further or other members of its statement; those that are None are left out.
        members: Further or other members of the entry; those that are None are left out.
    """
    identity = None if aaguid is None else str(aaguid)
    described = {
        "description": "passkeycore test authenticator",
        "aaguid": identity,
        "protocolFamily": "fido2",
        "schema": 3,
        "attestationTypes": ["basic_full"],
        "authenticationAlgorithms": ["secp256r1_ecdsa_sha256_raw"],
        "attestationRootCertificates": [base64.b64encode(anchor).decode() for anchor in anchors],
        **(statement or {}),
    }
    entry = {
        "aaguid": identity,
        "metadataStatement": _present(described),
        "statusReports": [_present({"status": word, "effectiveDate": day}) for word, day in statuses],
        "timeOfLastStatusChange": "2024-01-01",
        **members,
    }
    return _present(entry)


def metadata_payload(
    *entries: Mapping[str, Any], no: int = 1, next_update: date | None = None, **members: Any
) -> dict[str, Any]:
    """The payload of a BLOB with these entries.

    Args:
        entries: As `metadata_entry` makes them.
        no: Its number.
        next_update: When the next one is due; None: the end of 2043, when the kit's certificates end as well.
        members: Further or other members; those that are None are left out.
    """
    due = next_update or date(2043, 12, 31)
    payload = {"legalHeader": "for tests", "no": no, "nextUpdate": due.isoformat(), "entries": [*entries], **members}
    return _present(payload)


class MetadataSigner:
    """Who signs BLOBs: a root, an intermediate, and a certificate with the name of FIDO's service.

    The same seed gives the same keys and certificates, and the same signatures where those repeat.
    """

    def __init__(
        self,
        seed: bytes | str,
        *,
        algorithm: int = -257,
        host: str | None = MDS_HOST,
        common_name: str = MDS_HOST,
        **certificate: Any,
    ) -> None:
        """Makes the keys and certificates.

        Args:
            seed: What they follow from.
            algorithm: COSE algorithm of its key: RS256 like FIDO's service, or another one that JWS has a word for.
            host: The DNS name in its certificate's subjectAltName; None leaves the extension out.
            common_name: The CN of the certificate.
            certificate: Further arguments of `AttestationAuthority.issue`.
        """
        authority = AttestationAuthority(seed, common_name="passkeycore test metadata root")
        intermediate = AttestationAuthority(seed, parent=authority, common_name="passkeycore test metadata CA")
        extensions = [*certificate.pop("extensions", ())]
        if host is not None:
            names = der.sequence(der.implicit(2, host.encode()))
            extensions.append(extension(OID_SUBJECT_ALTERNATIVE_NAME, names))
        key = certificate.pop("key", None) or SoftwareKey.derive(seed, algorithm, purpose="metadata")
        issued = intermediate.issue(key=key, subject={"CN": common_name}, extensions=extensions, **certificate)
        self.root: bytes = authority.root
        """What a server has to trust, DER."""
        self.key: SoftwareKey = issued.key
        """What signs."""
        self.x5c: tuple[bytes, ...] = issued.x5c
        """Its certificate and the intermediate's, DER."""

    def blob(
        self,
        payload: Mapping[str, Any] | bytes,
        *,
        x5c: Sequence[bytes] | None = None,
        header: Mapping[str, Any] | bytes | None = None,
        signature: bytes | None = None,
    ) -> bytes:
        """A BLOB: the payload as a JWS in compact form.

        Args:
            payload: As `metadata_payload` makes it; or any bytes instead.
            x5c: Other certificates than the signer's.
            header: Further or other members of the header, those that are None left out; or any bytes instead.
            signature: Another one than the right one.
        """
        if not isinstance(header, bytes):
            certificates = [base64.b64encode(certificate).decode() for certificate in x5c or self.x5c]
            members = {"alg": ALGORITHMS[self.key.algorithm], "typ": "JWT", "x5c": certificates, **(header or {})}
            header = _json(_present(members))
        if not isinstance(payload, bytes):
            payload = _json(payload)
        signed = f"{b64url_encode(header)}.{b64url_encode(payload)}".encode()
        return signed + b"." + b64url_encode(self._sign(signed) if signature is None else signature).encode()

    def _sign(self, message: bytes) -> bytes:
        """RFC 7518, section 3.4: for ECDSA both numbers side by side, not their DER."""
        signature, key = self.key.sign(message), self.key.private_key
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return signature
        size = (key.curve.key_size + 7) // 8
        return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(signature))


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members).encode()
