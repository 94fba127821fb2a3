"""`SoftwareAppAttest`: an app's key of Apple App Attest in software, certified under a root of the kit's own.

It makes attestation objects and assertions as Apple's devices make them; nothing here is shared with the code that
verifies. `AppAttestTamper` changes one thing on the way, and what follows is computed from the change.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from passkeycore.testing.certificates import NOT_AFTER, NOT_BEFORE, AttestationAuthority
from passkeycore.testing.encoding import (
    AT,
    CborValue,
    JsonObject,
    attested_credential_data,
    authenticator_data,
    cbor,
)
from passkeycore.testing.keys import SoftwareKey
from passkeycore.testing.statements import Sign
from passkeycore.testing.statements.apple import apple_extension, apple_nonce
from passkeycore.testing.tamper import T

_AAGUIDS: Final = {"production": b"appattest" + bytes(7), "development": b"appattestdevelop"}
_ES256: Final = -7
_ES384: Final = -35  # Apple's authorities have keys on P-384


def _unchanged(value: T) -> T:
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class AppAttestTamper:
    """What to change on the way, in the order of the fields; `AppAttestTamper()` changes nothing.

    What does not apply to an attestation, or to an assertion, is never called.
    """

    client_data_hash: Callable[[bytes], bytes] = _unchanged
    """SHA-256 of the client data."""
    rp_id_hash: Callable[[bytes], bytes] = _unchanged
    """SHA-256 of the App ID."""
    flags: Callable[[int], int] = _unchanged
    """The flags, which are AT alone, in assertions as well."""
    sign_count: Callable[[int], int] = _unchanged
    """The counter sent; what the key remembers stays right."""
    aaguid: Callable[[bytes], bytes] = _unchanged
    """The 16 bytes of the environment; attestation only."""
    credential_id: Callable[[bytes], bytes] = _unchanged
    """The key's identifier in the authenticator data; attestation only."""
    cose_key: Callable[[dict[int, CborValue]], Mapping[Any, CborValue] | bytes] = _unchanged
    """The key in the authenticator data, as a map or as bytes; attestation only."""
    extensions: Callable[[dict[str, CborValue]], Mapping[Any, CborValue] | bytes] = _unchanged
    """What follows: empty, as up to iOS 26; as a map or as bytes."""
    authenticator_data: Callable[[bytes], bytes] = _unchanged
    """The finished authenticator data."""
    nonce: Callable[[bytes], bytes] = _unchanged
    """What is certified, or signed: SHA-256 of authenticator data and client data hash."""
    certified_key: Callable[[SoftwareKey], SoftwareKey] = _unchanged
    """The key in the certificate; attestation only."""
    certificate_extensions: Callable[[list[bytes]], Iterable[bytes]] = _unchanged
    """The certificate's DER Extensions after the usual ones: the one with the nonce; attestation only."""
    x5c: Callable[[list[bytes]], CborValue] = _unchanged
    """The two certificates; attestation only."""
    sign: Sign = SoftwareKey.sign
    """Signs the nonce; assertion only."""
    statement: Callable[[JsonObject], CborValue] = _unchanged
    """The attestation statement's members; attestation only."""
    members: Callable[[JsonObject], CborValue] = _unchanged
    """The members of the attestation object, or of the assertion."""
    encoded: Callable[[bytes], bytes] = _unchanged
    """The bytes of the attestation object, or of the assertion."""


_HONEST: Final = AppAttestTamper()


class SoftwareAppAttest:
    """A key of App Attest's. The same seed and the same calls give the same bytes.

    app = SoftwareAppAttest("alice's phone", app_id="A1B2C3D4E5.com.example.bank")
    app.attestation(challenge)  # a server that trusts app.root accepts it, under app.key_id
    app.assertion(request)
    """

    def __init__(
        self,
        seed: bytes | str,
        *,
        app_id: str = "A1B2C3D4E5.org.example.app",
        environment: Literal["production", "development"] = "production",
        authority: AttestationAuthority | None = None,
        not_before: datetime = NOT_BEFORE,
        not_after: datetime = NOT_AFTER,
    ) -> None:
        """Makes the key.

        Args:
            seed: What the key follows from.
            app_id: Team id, a dot, bundle id.
            environment: Where the key is made.
            authority: The intermediate that certifies it; None means the kit's own, the same for every seed.
            not_before: From when on the certificate is valid, aware UTC.
            not_after: Until when it is, aware UTC.
        """
        self.app_id = app_id
        self.environment: Literal["production", "development"] = environment
        self.authority = authority or AttestationAuthority(
            "app attest",
            parent=AttestationAuthority("app attest", algorithm=_ES384, common_name="test App Attestation Root CA"),
            algorithm=_ES384,
            common_name="test App Attestation CA 1",
            path_length=0,
        )
        self.key = SoftwareKey.derive(seed, _ES256, purpose="app attest")
        self.sign_count = 0
        """How many assertions were made."""
        self._validity = (not_before, not_after)

    @property
    def root(self) -> bytes:
        """The certificate that a server has to trust, DER."""
        return self.authority.root

    @property
    def key_id(self) -> bytes:
        """What the app calls the key: SHA-256 of its point, 32 bytes. Servers get it in standard base64."""
        return _key_id(self.key)

    @property
    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo, 91 bytes."""
        return self.key.spki()

    def attestation(self, client_data: bytes, *, tamper: AppAttestTamper = _HONEST) -> bytes:
        """The attestation object of the key for `client_data`, with two certificates and a receipt that is none."""
        attested = attested_credential_data(
            UUID(bytes=tamper.aaguid(_AAGUIDS[self.environment])),
            tamper.credential_id(self.key_id),
            tamper.cose_key(dict[int, CborValue](self.key.cose_map())),
        )
        raw, nonce = self._authenticator_data(client_data, 0, attested, tamper)
        not_before, not_after = self._validity
        leaf = self.authority.issue(
            key=tamper.certified_key(self.key),
            extensions=tamper.certificate_extensions([apple_extension(nonce)]),
            not_before=not_before,
            not_after=not_after,
        )
        statement = {"x5c": tamper.x5c(list(leaf.x5c)), "receipt": b"not a receipt"}
        members = {"fmt": "apple-appattest", "attStmt": tamper.statement(statement), "authData": raw}
        return tamper.encoded(cbor(tamper.members(members)))

    def assertion(self, client_data: bytes, *, tamper: AppAttestTamper = _HONEST) -> bytes:
        """The next assertion, over `client_data`; the counter goes up by one."""
        self.sign_count += 1
        raw, nonce = self._authenticator_data(client_data, self.sign_count, b"", tamper)
        members = {"signature": tamper.sign(self.key, nonce), "authenticatorData": raw}
        return tamper.encoded(cbor(tamper.members(members)))

    def _authenticator_data(
        self, client_data: bytes, count: int, attested: bytes, tamper: AppAttestTamper
    ) -> tuple[bytes, bytes]:
        """Authenticator data and nonce."""
        hashed = tamper.client_data_hash(sha256(client_data).digest())
        extensions = tamper.extensions({})
        raw = tamper.authenticator_data(
            authenticator_data(
                rp_id_hash=tamper.rp_id_hash(sha256(self.app_id.encode()).digest()),
                flags=tamper.flags(AT),
                sign_count=tamper.sign_count(count),
                attested=attested,
                extensions=extensions or b"",
            )
        )
        return raw, tamper.nonce(apple_nonce(raw, hashed))


def _key_id(key: SoftwareKey) -> bytes:
    public = key.public_key
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise TypeError("App Attest knows keys of elliptic curves only")
    return sha256(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).digest()
