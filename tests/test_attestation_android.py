"""Android attestation beyond single refusals: the specification's vector in its forms, and bytes of every kind."""

import json
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.x509 import ObjectIdentifier, UnrecognizedExtension

from passkeycore import (
    AttestationError,
    Code,
    ConfigurationError,
    PasskeyError,
    Policy,
    RegistrationOutcome,
    TrustPolicy,
)
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    AttestationRequest,
    SoftwareKey,
    android_key_maker,
    android_safetynet_maker,
    der,
    key_description,
    safetynet_certificate,
)
from passkeycore.testing.statements.android_key import authorizations, keystore_certificate
from passkeycore.webauthn.attestation.certificate import Certificate, Extension
from passkeycore.webauthn.attestation.key_description import OID, KeyDescription
from tests import w3c
from tests.ceremony import HANDLE, NOW, client, register, relying_party

DEFAULT_POLICY = Policy()
EMPTY = Policy(danger_allow_empty_android_key_lists=True)
REQUIRED = Policy(android_key_require_hardware=True)
OPTED_IN = Policy(danger_allow_android_safetynet=True)
AUTHORITY = AttestationAuthority("android")
FILLED = authorizations([(1, der.set_of(der.integer(2))), (702, der.integer(0))])


def vector(describe: Callable[[bytes], bytes] | None = None) -> dict[str, Any]:
    """The registration of the specification's android-key vector, its key described otherwise if asked for."""
    (drawn,) = (vector for vector in w3c.VECTORS if vector.format == "android-key")
    draw = w3c.drawing(w3c.IKM, drawn.name)
    authority = w3c.Authority(w3c.drawing(w3c.IKM, "Attestation CA"))

    def statement(vector: Any, draw: Any, _: Any, key: Any, data: bytes, digest: bytes, credential_id: bytes) -> Any:
        if describe is None:
            return published(vector, draw, authority, key, data, digest, credential_id)
        extension = UnrecognizedExtension(ObjectIdentifier(OID), describe(digest)), False
        leaf = authority.issue(key, draw(16), extension)
        return {"alg": -7, "sig": w3c.sign(key, data + digest), "x5c": [leaf]}

    published = w3c.attestation_statement
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(w3c, "attestation_statement", statement)
        case = w3c.make_case(drawn, draw, authority)
    registration: dict[str, Any] = case["registration"]
    return registration


def judged(registration: dict[str, Any], policy: Policy = DEFAULT_POLICY) -> RegistrationOutcome:
    """The outcome, where only what chains to the vectors' own root is accepted."""
    authority = w3c.Authority(w3c.drawing(w3c.IKM, "Attestation CA"))
    trust = TrustPolicy(anchors=(authority.certificate,), require_trusted=True)
    rp = relying_party(id=w3c.RP_ID, origins=[w3c.ORIGIN], policy=policy, trust=trust)
    challenge = urlsafe_b64decode(registration["challenge"] + "==")
    start = rp.registration_options(
        user_handle=HANDLE, user_name="ada", challenge=challenge, attestation="direct", now=NOW
    )
    return rp.verify_registration(registration["response"], start.state, now=NOW)


def described(**changes: Any) -> Callable[[bytes], bytes]:
    """The vector's own description with changes."""
    usual: dict[str, Any] = {
        "version": 300,
        "security_level": 0,
        "keymint_version": 0,
        "keymint_security_level": 0,
        "software": der.sequence(),
        "hardware": der.sequence(),
    }
    return lambda challenge: key_description(challenge, **(usual | changes))


def refused(registration: dict[str, Any], policy: Policy = DEFAULT_POLICY) -> Code:
    with pytest.raises(PasskeyError) as caught:
        judged(registration, policy)
    return caught.value.code


def test_our_writer_makes_the_bytes_of_the_specifications_vector() -> None:
    assert vector(described()) == vector()


def test_the_specifications_vector_has_empty_lists_and_needs_the_named_policy() -> None:
    assert refused(vector()) is Code.ANDROID_KEY_LISTS_EMPTY
    outcome = judged(vector(), EMPTY)
    assert outcome.attestation.type == "basic"
    assert outcome.trust.trusted
    levels = {"security_level": "software", "keymint_security_level": "software"}
    assert outcome.attestation.claims == {"attestation_version": 300, **levels}
    both = msgspec.structs.replace(EMPTY, android_key_require_hardware=True)
    assert refused(vector(), both) is Code.SECURITY_LEVEL_INSUFFICIENT


def test_the_vector_of_older_drafts_has_integers_and_is_no_key_description() -> None:
    for policy in (DEFAULT_POLICY, EMPTY):
        assert refused(vector(described(level=der.integer)), policy) is Code.CERTIFICATE_MALFORMED


@pytest.mark.parametrize("filled", ["software", "hardware"])
def test_the_vector_with_filled_lists_is_accepted_as_it_is(filled: str) -> None:
    outcome = judged(vector(described(**{filled: FILLED})))
    assert outcome.attestation.claims["origin"] == "generated"
    assert outcome.attestation.claims["purposes"] == ("sign",)
    assert refused(vector(described(**{filled: FILLED})), REQUIRED) is Code.SECURITY_LEVEL_INSUFFICIENT


def test_equal_seeds_make_equal_statements() -> None:
    request = AttestationRequest(
        authenticator_data=bytes(37),
        client_data_hash=bytes(32),
        credential_key=SoftwareKey.derive("android", -7),
        credential_id=b"id",
        aaguid=TEST_AAGUID,
    )
    keys = [android_key_maker(AttestationAuthority("android"))(request) for _ in range(2)]
    assert keys[0] == keys[1]
    certificates = [safetynet_certificate(AttestationAuthority("android")) for _ in range(2)]
    answers = [android_safetynet_maker(certificate, at=NOW)(request) for certificate in certificates]
    assert answers[0] == answers[1]


def test_a_key_description_of_any_bytes_is_read_or_refused() -> None:
    certificate = Certificate.parse(keystore_certificate(AUTHORITY, SoftwareKey.derive("android", -7), ()).x5c[0])
    whole = key_description(bytes(32))

    def read(value: bytes) -> None:
        changed = msgspec.structs.replace(certificate, extensions={OID: Extension(False, value)})
        try:
            KeyDescription.of(changed, "any")
        except PasskeyError as error:
            assert error.code in (Code.CERTIFICATE_MALFORMED, Code.ATTESTATION_CERTIFICATE_INVALID)

    read(whole)
    for at in range(len(whole)):
        read(whole[:at])
        for octet in (0x00, 0x01, 0x1F, 0x30, 0x7F, 0x80, 0x81, 0xA1, 0xBF, 0xFF, whole[at] ^ 1):
            read(whole[:at] + bytes([octet]) + whole[at + 1 :])
            read(whole[:at] + bytes([octet]) + whole[at:])


VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "é",
    "\ud800",
    [],
    [0],
    [[]],
    {},
    {"x": []},
    "a" * 900,
)


@pytest.mark.parametrize(
    "member", ["alg", "x5c", "crit", "b64", "kid", "typ", "cty", "jku", "jwk", "x5u", "x5t", "zip"]
)
def test_a_header_of_any_values_is_understood_or_refused(member: str) -> None:
    certificate = safetynet_certificate(AUTHORITY, algorithm=-7)
    for value in VALUES:
        maker = android_safetynet_maker(certificate, at=NOW, header=lambda header, v=value: header | {member: v})  # type: ignore[misc]
        _registered_or_refused(maker)


@pytest.mark.parametrize("member", ["nonce", "timestampMs", "ctsProfileMatch", "basicIntegrity"])
def test_a_payload_of_any_values_is_understood_or_refused(member: str) -> None:
    certificate = safetynet_certificate(AUTHORITY, algorithm=-7)
    for value in VALUES:
        maker = android_safetynet_maker(certificate, at=NOW, payload=lambda payload, v=value: payload | {member: v})  # type: ignore[misc]
        _registered_or_refused(maker)


def _registered_or_refused(maker: Any) -> None:
    try:
        register(relying_party(policy=OPTED_IN), client(attestation=maker), attestation="direct")
    except PasskeyError as error:
        json.dumps(error.to_dict())


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = android_safetynet_maker(safetynet_certificate(AUTHORITY), at=NOW)
    monkeypatch.setitem(sys.modules, "joserfc", None)
    with pytest.raises(ConfigurationError, match='extra "jose"'):
        register(relying_party(policy=OPTED_IN), client(attestation=maker), attestation="direct")


def test_the_path_of_a_safetynet_statement_is_that_of_its_signature() -> None:
    certificate = safetynet_certificate(AttestationAuthority("android", parent=AUTHORITY))
    rp = relying_party(policy=OPTED_IN, trust=TrustPolicy(anchors=(AUTHORITY.root,), require_trusted=True))
    outcome = register(rp, client(attestation=android_safetynet_maker(certificate, at=NOW)), attestation="direct")
    assert outcome.attestation.trust_path == certificate.x5c
    assert outcome.trust.path[-1] == AUTHORITY.root


@pytest.mark.parametrize("statement", [None, [], {}, b"", {"alg": -7, "sig": b"", "x5c": None}, {"ver": "1"}])
@pytest.mark.parametrize("format", ["android-key", "android-safetynet"])
def test_a_statement_of_another_form_is_refused(format: str, statement: Any) -> None:
    device = client(attestation=lambda _: (format, statement))
    with pytest.raises(AttestationError) as caught:
        register(relying_party(policy=OPTED_IN), device, attestation="direct")
    assert caught.value.code is Code.ATTESTATION_STATEMENT_INVALID
    assert caught.value.attestation_format == format
