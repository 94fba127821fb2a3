"""Other libraries, asked to verify the same input. Each is optional; none of its code is needed to import this.

They are loaded by name, so that neither running nor type-checking the benchmarks needs them installed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from ssl import DER_cert_to_PEM_cert
from types import ModuleType
from typing import Any, Final, Protocol

from passkeycore.testing import TEST_AAGUID

from .cases import ORIGIN, RP_ID, AuthenticationCase, RegistrationCase
from .measure import Call


class Peer(Protocol):
    """A library that verifies. What it wants ready before a call is made ready in its own form, not timed."""

    def supports(self, algorithm: int) -> bool:
        """Whether it can verify signatures of this COSE algorithm, here."""
        ...

    def authentication(self, case: AuthenticationCase) -> Call:
        """The whole verification, from the text to the outcome."""
        ...

    def registration(self, case: RegistrationCase) -> Call:
        """Likewise; statements are verified, certificate paths only where the case has a root."""
        ...


class PyWebAuthn:
    """py_webauthn: functions of the response's JSON text."""

    def __init__(self) -> None:
        self._module: Any = import_module("webauthn")
        self._algorithms = {int(known) for known in import_module("webauthn.helpers.cose").COSEAlgorithmIdentifier}

    def supports(self, algorithm: int) -> bool:
        """Whether it names the algorithm."""
        return algorithm in self._algorithms

    def authentication(self, case: AuthenticationCase) -> Call:
        """`verify_authentication_response`."""
        return partial(
            self._module.verify_authentication_response,
            credential=case.body,
            expected_challenge=case.challenge,
            expected_rp_id=RP_ID,
            expected_origin=ORIGIN,
            credential_public_key=case.cose_key,
            credential_current_sign_count=0,
        )

    def registration(self, case: RegistrationCase) -> Call:
        """`verify_registration_response`."""
        roots: dict[Any, list[bytes]] = {}
        if case.root is not None:
            pem = DER_cert_to_PEM_cert(case.root).encode()
            roots[import_module("webauthn.helpers.structs").AttestationFormat(case.attestation)] = [pem]
        return partial(
            self._module.verify_registration_response,
            credential=case.body,
            expected_challenge=case.challenge,
            expected_rp_id=RP_ID,
            expected_origin=ORIGIN,
            pem_root_certs_bytes_by_fmt=roots,
        )


class Fido2:
    """python-fido2: `Fido2Server`, which takes the response's members, so that the text is read with `json`."""

    def __init__(self) -> None:
        server, webauthn = import_module("fido2.server"), import_module("fido2.webauthn")
        relying_party = webauthn.PublicKeyCredentialRpEntity(id=RP_ID, name=RP_ID)
        self._server: Any = server.Fido2Server(relying_party)
        self._attesting: Any = server.Fido2Server(
            relying_party, attestation="direct", verify_attestation=self._verify_statement
        )
        self._user: Any = webauthn.PublicKeyCredentialUserEntity(id=b"user", name="user")
        self._credential_data: Any = webauthn.AttestedCredentialData
        self._attestation: Any = import_module("fido2.attestation").Attestation
        self._cose: Any = import_module("fido2.cose").CoseKey
        self._decode: Any = import_module("fido2.cbor").decode

    def supports(self, algorithm: int) -> bool:
        """Whether it and its `cryptography` support the algorithm."""
        return algorithm in self._cose.supported_algorithms()

    def authentication(self, case: AuthenticationCase) -> Call:
        """`authenticate_complete`."""
        _, state = self._server.authenticate_begin(challenge=case.challenge)
        credential = self._credential_data.create(
            TEST_AAGUID.bytes, case.credential_id, self._cose.parse(self._decode(case.cose_key))
        )
        return partial(_from_text, self._server.authenticate_complete, state, [credential], body=case.body)

    def registration(self, case: RegistrationCase) -> Call:
        """`register_complete`."""
        server = self._server if case.attestation == "none" else self._attesting
        _, state = server.register_begin(self._user, challenge=case.challenge)
        return partial(_from_text, server.register_complete, state, body=case.body)

    def _verify_statement(self, attestation_object: Any, client_data_hash: bytes) -> None:
        self._attestation.for_type(attestation_object.fmt)().verify(
            attestation_object.att_stmt, attestation_object.auth_data, client_data_hash
        )


def _from_text(complete: Any, *arguments: object, body: str) -> object:
    return complete(*arguments, json.loads(body))


_PEERS: Final[Mapping[str, tuple[str, Callable[[], Peer]]]] = {
    "py_webauthn": ("webauthn", PyWebAuthn),
    "fido2": ("fido2", Fido2),
}
NAMES: Final = tuple(_PEERS)


def installed(names: Sequence[str] = NAMES) -> dict[str, Peer]:
    """The peers that are there, by name."""
    return {name: _PEERS[name][1]() for name in names if _module(_PEERS[name][0]) is not None}


def _module(package: str) -> ModuleType | None:
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:  # there, but broken
            raise
        return None
