"""What is measured: ceremonies played by the test kit, in the form in which a server meets them.

A ceremony's state and credential record are kept as they would be stored, and decoded anew for each call, outside
the timed region: objects that survive from call to call carry hashes and identities that a server's never have.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import count
from typing import Any, Final, Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

from passkeycore import (
    AuthenticationState,
    CredentialRecord,
    RegistrationState,
    RelyingParty,
    TrustPolicy,
    VerifiedAuthentication,
)
from passkeycore.testing import (
    TEST_AAGUID,
    SoftwareAuthenticator,
    StatementMaker,
    VirtualClient,
    b64url_decode,
    cbor,
    packed_maker,
)
from passkeycore.trust import Anchor
from passkeycore.webauthn.cose import EDDSA, ES256, ML_DSA_65, RS256, PublicKey

from .measure import Call

AttestationName: TypeAlias = Literal["none", "packed self", "packed x5c"]

ALGORITHMS: Final[Mapping[int, str]] = {
    ES256: "ES256",
    RS256: "RS256",
    EDDSA: "EdDSA",
    ML_DSA_65: "ML-DSA-65",
}
RP_ID: Final = "example.org"
ORIGIN: Final = "https://example.org"
_DAY_MS: Final = 86_400_000  # no run may outlive its ceremonies
_RP: Final = RelyingParty(id=RP_ID, origins=[ORIGIN], algorithms=tuple(ALGORITHMS))
# The arguments after signature and message, and the cheapest way to a key, written down a second time: the floor
# must not depend on the code that is measured against it.
_PARAMETERS: Final[Mapping[int, tuple[object, ...]]] = {
    ES256: (ec.ECDSA(hashes.SHA256()),),
    RS256: (padding.PKCS1v15(), hashes.SHA256()),
    EDDSA: (),
    ML_DSA_65: (),
}
_P256: Final = ec.SECP256R1()
_KEYS_REMEMBERED: Final = 4096  # says `PublicKey.parse`
_NEW_KEYS: Final = count()
_ED25519_HEAD: Final = cbor({1: 1, 3: EDDSA, -1: 6, -2: bytes(32)})[:-32]  # the kind that is parsed fastest


@dataclass(frozen=True)
class AuthenticationCase:
    """One sign-in without a user name: the response's text and everything that its verification needs."""

    algorithm: int
    body: str
    stored_state: str
    stored_record: bytes
    challenge: bytes
    credential_id: bytes
    cose_key: bytes
    cose_members: Mapping[int, Any]
    signature: bytes
    message: bytes

    def ours(self) -> partial[VerifiedAuthentication]:
        """The whole verification, from the text to the outcome."""
        state = AuthenticationState.from_json(self.stored_state)
        record = CredentialRecord.from_bytes(self.stored_record)
        return partial(_RP.verify_authentication, self.body, state, record)

    def floor(self) -> Call:
        """The signature check alone; the key has never been used, everything else is ready."""
        return partial(self._load().verify, self.signature, self.message, *_PARAMETERS[self.algorithm])

    def load_and_floor(self) -> Call:
        """The same, and before it the making of the key from its decoded members: a new key costs nobody less."""
        return partial(_load_and_verify, self._load, self.signature, self.message, *_PARAMETERS[self.algorithm])

    def _load(self) -> Any:
        members = self.cose_members
        if self.algorithm == ES256:
            return ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\4" + members[-2] + members[-3])
        if self.algorithm == RS256:
            exponent, modulus = int.from_bytes(members[-2], "big"), int.from_bytes(members[-1], "big")
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        if self.algorithm == EDDSA:
            return ed25519.Ed25519PublicKey.from_public_bytes(members[-2])
        return mldsa.MLDSA65PublicKey.from_public_bytes(members[-1])


@dataclass(frozen=True)
class RegistrationCase:
    """One registration.

    Attributes:
        attestation: A name of the kind of statement.
        root: The certificate (DER) that the attestation has to lead to; None: whether it is trusted is not asked.
        rp: Who verifies it, with that root.
    """

    attestation: str
    body: str
    stored_state: str
    challenge: bytes
    cose_key: bytes
    root: bytes | None = None
    rp: RelyingParty = _RP

    def ours(self) -> Call:
        """The whole verification, from the text to the outcome."""
        return partial(self.rp.verify_registration, self.body, RegistrationState.from_json(self.stored_state))


def _load_and_verify(load: Callable[[], Any], *arguments: object) -> None:
    load().verify(*arguments)


def authentication_cases(algorithm: int, number: int) -> list[AuthenticationCase]:
    """Sign-ins with as many credentials, each with a key of its own; none if this `cryptography` lacks `algorithm`.

    The test kit has 15 RSA keys.
    """
    authenticator = SoftwareAuthenticator("benchmark", algorithms=(algorithm,), sign_count_step=1)
    client = VirtualClient(authenticator, ORIGIN)
    try:
        return [_authentication_case(client, algorithm, f"user {index}") for index in range(number)]
    except UnsupportedAlgorithm:
        return []


def _authentication_case(client: VirtualClient, algorithm: int, user: str) -> AuthenticationCase:
    new = _RP.registration_options(user_handle=sha256(user.encode()).digest(), user_name=user, timeout_ms=_DAY_MS)
    record = _RP.verify_registration(client.create(new.to_json()), new.state).credential
    start = _RP.authentication_options(timeout_ms=_DAY_MS)
    response: dict[str, Any] = client.get(start.to_json(), credential_id=record.credential_id)
    inner = {name: b64url_decode(value) for name, value in response["response"].items()}
    return AuthenticationCase(
        algorithm=algorithm,
        body=_text(response),
        stored_state=start.state.to_json(),
        stored_record=record.to_bytes(),
        challenge=start.state.challenge,
        credential_id=record.credential_id,
        cose_key=record.public_key,
        cose_members=client.authenticator.credentials[record.credential_id].key.cose_map(),
        signature=inner["signature"],
        message=inner["authenticatorData"] + sha256(inner["clientDataJSON"]).digest(),
    )


def registration_cases(attestation: AttestationName, number: int) -> list[RegistrationCase]:
    """Registrations of as many ES256 credentials. Those with certificates share one, as devices of a batch do."""
    authenticator = SoftwareAuthenticator(f"benchmark {attestation}", algorithms=(ES256,))
    if attestation == "packed self":
        authenticator.attestation = "packed-self"
    elif attestation == "packed x5c":
        authenticator.attestation = packed_maker(authenticator.authority.issue(TEST_AAGUID))
    client = VirtualClient(authenticator, ORIGIN)
    return [_registration_case(client, attestation, f"user {index}") for index in range(number)]


def attested_cases(format: str, makers: Sequence[tuple[StatementMaker, bytes]]) -> list[RegistrationCase]:
    """A registration with a statement of each of `makers`, of this format, trusted only because of the root beside."""
    cases: list[RegistrationCase] = []
    for index, (maker, root) in enumerate(makers):
        trust = TrustPolicy(anchors=(Anchor(root, frozenset({format})),), require_trusted=True)
        rp = RelyingParty(id=RP_ID, origins=[ORIGIN], algorithms=tuple(ALGORITHMS), trust=trust)
        authenticator = SoftwareAuthenticator(f"benchmark {format} {index}", algorithms=(ES256,), attestation=maker)
        case = _registration_case(VirtualClient(authenticator, ORIGIN), format, f"user {index}")
        cases.append(replace(case, root=root, rp=rp))
    return cases


def _registration_case(client: VirtualClient, attestation: str, user: str) -> RegistrationCase:
    start = _RP.registration_options(
        user_handle=sha256(user.encode()).digest(),
        user_name=user,
        timeout_ms=_DAY_MS,
        attestation="none" if attestation == "none" else "direct",
    )
    response = client.create(start.to_json())
    return RegistrationCase(
        attestation=attestation,
        body=_text(response),
        stored_state=start.state.to_json(),
        challenge=start.state.challenge,
        cose_key=next(reversed(client.authenticator.credentials.values())).key.cose(),
    )


def _text(response: Mapping[str, Any]) -> str:
    return json.dumps(response, separators=(",", ":"))


def forget_keys() -> None:
    """Makes every key new to our cache: parses more other keys, never seen before, than it says it remembers.

    By the public function, so that the cache is full and works as it does in a large service.

    Raises:
        RuntimeError: It remembers more than it says; figures for new keys would be figures for known ones.
    """
    probe, *others = (_new_key() for _ in range(_KEYS_REMEMBERED + 2))
    before = PublicKey.parse(probe)
    for other in others:
        PublicKey.parse(other)
    if PublicKey.parse(probe) is before:
        raise RuntimeError("the cache of public keys remembers more keys than 4096")


def remember_keys(cases: Iterable[AuthenticationCase]) -> None:
    """Makes the keys of `cases` known to our cache."""
    for case in cases:
        PublicKey.parse(case.cose_key)


def _new_key() -> bytes:
    return _ED25519_HEAD + sha256(b"%d" % next(_NEW_KEYS)).digest()
