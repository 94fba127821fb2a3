"""`SoftwareAuthenticator`: an authenticator as CTAP2 sees it, holding its credentials in memory.

It takes the RP ID and the hash of the client data and gives authenticator data and signatures. What a
browser adds (client data, JSON, rules about origins) is the business of `client`.
"""

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, Literal, TypeAlias
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from passkeycore.testing.certificates import AttestationAuthority
from passkeycore.testing.credential import (
    EXTENSIONS,
    Assertion,
    NewCredential,
    SoftwareCredential,
    authentication_outputs,
    registration_outputs,
    salts_of,
)
from passkeycore.testing.encoding import (
    AT,
    BE,
    BS,
    ED,
    UP,
    UV,
    CborValue,
    attested_credential_data,
    authenticator_data,
    cbor,
)
from passkeycore.testing.keys import ALGORITHMS, SoftwareKey, derive
from passkeycore.testing.statements import (
    AttestationRequest,
    StatementMaker,
    make_none,
    make_packed_self,
    packed_maker,
)
from passkeycore.testing.tamper import UNCHANGED, Tamper

TEST_AAGUID: Final = UUID(bytes=b"passkeycore\0\0\0\0\1")
"""The AAGUID of the kit's authenticator, 70617373-6b65-7963-6f72-650000000001: no real model has it."""

Attestation: TypeAlias = Literal["none", "packed-self", "packed"] | StatementMaker
AuthenticatorStatus: TypeAlias = Literal[
    "CTAP2_ERR_CREDENTIAL_EXCLUDED",
    "CTAP2_ERR_NO_CREDENTIALS",
    "CTAP2_ERR_UNSUPPORTED_ALGORITHM",
    "CTAP2_ERR_UNSUPPORTED_OPTION",
]


class AuthenticatorError(Exception):
    """The authenticator refuses; `status` is the name CTAP gives to the reason."""

    def __init__(self, status: AuthenticatorStatus) -> None:
        """Keeps `status`."""
        super().__init__(status)
        self.status: AuthenticatorStatus = status


class SoftwareAuthenticator:
    """An authenticator whose keys, ids and authenticator data follow from a seed and the calls made.

    Give each authenticator of a test its own seed, or they make the same credentials. The settings are plain
    attributes and may be changed between ceremonies.
    """

    def __init__(
        self,
        seed: bytes | str = "passkeycore",
        *,
        aaguid: UUID = TEST_AAGUID,
        algorithms: Sequence[int] = tuple(ALGORITHMS),
        transports: Sequence[str] = ("internal",),
        user_verification: bool = True,
        resident_keys: bool = True,
        backup_eligible: bool = False,
        backup_state: bool = False,
        sign_count: int = 0,
        sign_count_step: int = 0,
        credential_id_length: int = 32,
        attestation: Attestation = "none",
        authority: AttestationAuthority | None = None,
        extensions: Collection[str] = EXTENSIONS,
        min_pin_length: int = 4,
    ) -> None:
        """Makes an authenticator without credentials.

        Args:
            seed: Everything random follows from it; a string counts as its UTF-8 bytes.
            aaguid: The model.
            algorithms: COSE algorithms it can make keys for.
            transports: As a client reports them; `internal` makes it a platform authenticator.
            user_verification: Whether it can verify the user, and does when asked.
            resident_keys: Whether it can make discoverable credentials.
            backup_eligible: BE of new credentials.
            backup_state: BS of new credentials.
            sign_count: The sign count new credentials begin with, 0..2^32-1.
            sign_count_step: How much each assertion adds; 0, as synced passkeys do, keeps the count.
            credential_id_length: Bytes in new credential ids, 0..8160; outside 1..1023 is deliberately wrong.
            attestation: The statement to make: by name, or a `StatementMaker`.
            authority: Who certifies it for `packed`; None makes a root from the seed. Either way trust
                `.authority.root`.
            extensions: Those of `EXTENSIONS` it supports; others asked for are ignored.
            min_pin_length: The output of `minPinLength`, in code points.
        """
        self.seed = seed
        self.aaguid = aaguid
        self.algorithms = tuple(algorithms)
        self.transports = tuple(transports)
        self.user_verification = user_verification
        self.resident_keys = resident_keys
        self.backup_eligible = backup_eligible
        self.backup_state = backup_state
        self.sign_count = sign_count
        self.sign_count_step = sign_count_step
        self.credential_id_length = credential_id_length
        self.attestation: Attestation = attestation
        self.authority = authority or AttestationAuthority(derive(seed, "authority"))
        self.extensions = frozenset(extensions)
        self.min_pin_length = min_pin_length
        self.credentials: dict[bytes, SoftwareCredential] = {}
        """Credentials by id, oldest first."""
        self._made = 0
        self._encrypted = 0

    def find(
        self, rp_id: str, allowed: Sequence[bytes] = (), *, user_verified: bool = True
    ) -> list[SoftwareCredential]:
        """The credentials that could answer, best first, with credProtect obeyed.

        Args:
            rp_id: The RP ID (or AppID) they are for.
            allowed: Credential ids in order of preference; empty means discoverable ones, newest first.
            user_verified: Whether the user is or will be verified.
        """
        if allowed:
            found = [self.credentials[known] for known in allowed if known in self.credentials]
        else:
            found = [credential for credential in reversed(self.credentials.values()) if credential.discoverable]
        highest = 3 if user_verified else 2 if allowed else 1
        return [c for c in found if c.rp_id == rp_id and (c.cred_protect or 1) <= highest]

    def holds(self, rp_id: str, credential_ids: Iterable[bytes]) -> bool:
        """Whether one of `credential_ids` is the id of a credential here for `rp_id`."""
        known = (self.credentials.get(credential_id) for credential_id in credential_ids)
        return any(credential is not None and credential.rp_id == rp_id for credential in known)

    def make_credential(
        self,
        *,
        rp_id: str,
        client_data_hash: bytes,
        user_handle: bytes,
        algorithms: Iterable[int] = (-7,),
        excluded: Sequence[bytes] = (),
        discoverable: bool = True,
        user_present: bool = True,
        user_verified: bool = True,
        extensions: Mapping[str, CborValue] | None = None,
        attestation: Attestation | None = None,
        tamper: Tamper = UNCHANGED,
    ) -> NewCredential:
        """Makes a credential, keeps it and attests it.

        Args:
            rp_id: The RP ID, or an AppID to play an old U2F registration.
            client_data_hash: SHA-256 of the client data, 32 bytes.
            user_handle: 1..64 bytes.
            algorithms: COSE algorithms the server accepts, best first; the first supported one is taken.
            excluded: Ids of credentials that must not be here yet.
            discoverable: Whether the credential can answer without being named.
            user_present: Sets UP.
            user_verified: Verifies the user, which sets UV.
            extensions: CTAP extension inputs; `hmac-secret-mc` takes one or two salts of 32 bytes as a list,
                in the clear instead of encrypted between client and authenticator.
            attestation: Instead of the authenticator's own setting; None keeps that.
            tamper: What to change on the way.

        Raises:
            AuthenticatorError: An excluded credential is here, no algorithm fits, or the authenticator cannot
                verify users or make discoverable credentials as asked.
        """
        if self.holds(rp_id, excluded):
            raise AuthenticatorError("CTAP2_ERR_CREDENTIAL_EXCLUDED")
        algorithm = next((known for known in algorithms if known in self.algorithms), None)
        if algorithm is None:
            raise AuthenticatorError("CTAP2_ERR_UNSUPPORTED_ALGORITHM")
        if (user_verified and not self.user_verification) or (discoverable and not self.resident_keys):
            raise AuthenticatorError("CTAP2_ERR_UNSUPPORTED_OPTION")
        credential = self._new_credential(algorithm, rp_id, user_handle, discoverable)
        inputs = self._supported(extensions)
        outputs = registration_outputs(
            credential, inputs, min_pin_length=self.min_pin_length, user_verified=user_verified
        )
        secrets = credential.hmac_secret(salts_of(inputs.get("hmac-secret-mc")), user_verified=user_verified)
        if secrets:
            outputs["hmac-secret-mc"] = self._encrypt(secrets)
        attested_id = tamper.credential_id(credential.credential_id)
        key = tamper.cose_key(dict(credential.key.cose_map()))
        attested = attested_credential_data(self.aaguid, attested_id, key)
        data = self._authenticator_data(credential, attested, outputs, user_present, user_verified, tamper)
        request = AttestationRequest(
            authenticator_data=data,
            client_data_hash=client_data_hash,
            credential_key=credential.key,
            credential_id=attested_id,
            aaguid=self.aaguid,
            sign=tamper.sign,
        )
        fmt, statement = self._statement_maker(attestation or self.attestation)(request)
        return NewCredential(
            credential=credential,
            fmt=fmt,
            statement=statement,
            authenticator_data=data,
            extensions=outputs,
            secrets=secrets,
        )

    def get_assertion(
        self,
        *,
        rp_id: str,
        client_data_hash: bytes,
        allowed: Sequence[bytes] = (),
        user_present: bool = True,
        user_verified: bool = True,
        extensions: Mapping[str, CborValue] | None = None,
        tamper: Tamper = UNCHANGED,
    ) -> Assertion:
        """Signs with the first credential `find` gives, and counts.

        Args:
            rp_id: The RP ID, or an AppID.
            client_data_hash: SHA-256 of the client data, 32 bytes.
            allowed: Credential ids; empty asks for a discoverable credential.
            user_present: Sets UP.
            user_verified: Verifies the user, which sets UV.
            extensions: CTAP extension inputs; `hmac-secret` takes one or two salts of 32 bytes as a list,
                in the clear instead of encrypted between client and authenticator.
            tamper: What to change on the way.

        Raises:
            AuthenticatorError: No credential fits, or the authenticator cannot verify users as asked.
        """
        if user_verified and not self.user_verification:
            raise AuthenticatorError("CTAP2_ERR_UNSUPPORTED_OPTION")
        found = self.find(rp_id, allowed, user_verified=user_verified)
        if not found:
            raise AuthenticatorError("CTAP2_ERR_NO_CREDENTIALS")
        credential = found[0]
        credential.sign_count += self.sign_count_step
        inputs = self._supported(extensions)
        outputs = authentication_outputs(credential, inputs, user_verified=user_verified)
        secrets = credential.hmac_secret(salts_of(inputs.get("hmac-secret")), user_verified=user_verified)
        if secrets:
            outputs["hmac-secret"] = self._encrypt(secrets)
        data = self._authenticator_data(credential, b"", outputs, user_present, user_verified, tamper)
        return Assertion(
            credential=credential,
            authenticator_data=data,
            signature=tamper.sign(credential.key, data + client_data_hash),
            user_handle=credential.user_handle if credential.discoverable else None,
            extensions=outputs,
            secrets=secrets,
        )

    def _supported(self, extensions: Mapping[str, CborValue] | None) -> dict[str, CborValue]:
        return {name: value for name, value in (extensions or {}).items() if name in self.extensions}

    def _encrypt(self, secrets: Sequence[bytes]) -> bytes:
        """`secrets` as PIN/UV auth protocol 2 sends them: an IV, then AES-256-CBC under the session's key."""
        self._encrypted += 1
        session = derive(self.seed, "hmac-secret transport", index=self._encrypted, length=48)
        encryptor = Cipher(algorithms.AES256(session[16:]), modes.CBC(session[:16])).encryptor()
        return session[:16] + encryptor.update(b"".join(secrets)) + encryptor.finalize()

    def _new_credential(self, algorithm: int, rp_id: str, user_handle: bytes, discoverable: bool) -> SoftwareCredential:
        index = self._made
        self._made += 1
        credential = SoftwareCredential(
            credential_id=derive(self.seed, "credential id", index=index, length=self.credential_id_length),
            key=SoftwareKey.derive(self.seed, algorithm, purpose="credential key", index=index),
            rp_id=rp_id,
            user_handle=user_handle,
            discoverable=discoverable,
            sign_count=self.sign_count,
            backup_eligible=self.backup_eligible,
            backup_state=self.backup_state,
            secret_with_uv=derive(self.seed, "secret with user verification", index=index),
            secret_without_uv=derive(self.seed, "secret without user verification", index=index),
        )
        self.credentials[credential.credential_id] = credential
        return credential

    def _statement_maker(self, attestation: Attestation) -> StatementMaker:
        if attestation == "none":
            return make_none
        if attestation == "packed-self":
            return make_packed_self
        if attestation == "packed":
            return packed_maker(self.authority)
        return attestation

    def _authenticator_data(
        self,
        credential: SoftwareCredential,
        attested: bytes,
        outputs: Mapping[str, CborValue],
        user_present: bool,
        user_verified: bool,
        tamper: Tamper,
    ) -> bytes:
        attested = tamper.attested_credential_data(attested)
        changed = tamper.extensions(copy.deepcopy(dict(outputs)))
        tail = changed if isinstance(changed, bytes) else cbor(changed) if changed else b""
        flags = (
            UP * user_present
            | UV * user_verified
            | BE * credential.backup_eligible
            | BS * credential.backup_state
            | AT * bool(attested)
            | ED * bool(tail)
        )
        return tamper.authenticator_data(
            authenticator_data(
                rp_id_hash=tamper.rp_id_hash(sha256(credential.rp_id.encode()).digest()),
                flags=tamper.flags(flags),
                sign_count=tamper.sign_count(credential.sign_count),
                attested=attested,
                extensions=tail,
            )
        )
