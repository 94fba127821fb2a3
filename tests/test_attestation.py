"""Attestation: the signature of every format, proven by a dummy compound format, and what certificates must meet."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from passkeycore import AttestationError, Code, PasskeyError, Policy, TrustPolicy, UnsupportedError, UntrustedError
from passkeycore.testing import TEST_AAGUID, AttestationAuthority, AttestationRequest, SoftwareKey, packed_maker
from passkeycore.testing.certificates import extension
from passkeycore.trust.chain import PathError, verified_path
from passkeycore.webauthn.attestation import (
    FORMATS,
    AttestationCeremony,
    AttestationResult,
    Verify,
    verify_statement,
)
from passkeycore.webauthn.attestation.statement import statement_error
from passkeycore.webauthn.cose import SUPPORTED_ALGORITHMS, PublicKey
from passkeycore.webauthn.encoding import CBOR
from tests.ceremony import NOW, client, register, relying_party


def verify_dummy(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """Every statement of an array, through the formats it was handed, with all that a format may look at."""
    if not isinstance(statement, list) or len(statement) > policy.limits.certificates:
        raise statement_error("x-dummy", "not an array")
    children: list[AttestationResult] = []
    for member in statement:
        if not isinstance(member, dict) or not isinstance(format := member.get("fmt"), str):
            raise statement_error("x-dummy", "no statement")
        others = {name: verify for name, verify in formats.items() if name != "x-dummy"}
        children.append(verify_statement(format, member.get("attStmt"), ceremony, policy, others))
    claims = {
        "now": ceremony.now,
        "hash": len(ceremony.client_data_hash),
        "algorithm": ceremony.public_key.algorithm.name,
        "signed": ceremony.authenticator_data.raw,
        "id": ceremony.attested_credential_data.credential_id,
    }
    return AttestationResult(format="x-dummy", type="compound", claims=claims, children=tuple(children))


def maker(*authorities: AttestationAuthority, inner: str = "packed") -> Any:
    def make(request: AttestationRequest) -> tuple[str, Any]:
        statements = [packed_maker(authority)(request)[1] for authority in authorities]
        return "x-dummy", [{"fmt": inner, "attStmt": statement} for statement in statements]

    return make


ONE, TWO = AttestationAuthority("one"), AttestationAuthority("two")
BOTH: Mapping[str, Verify] = {**FORMATS, "x-dummy": verify_dummy}


def test_a_compound_format_recurses_through_the_formats_and_reports_its_children() -> None:
    trust = TrustPolicy(anchors=(ONE.root, TWO.root), untrusted="reject")
    outcome = register(
        relying_party(formats=BOTH, trust=trust), client(attestation=maker(ONE, TWO)), attestation="direct"
    )
    assert [child.type for child in outcome.attestation.children] == ["basic", "basic"]
    assert outcome.attestation.claims["now"] == NOW
    assert outcome.attestation.claims["hash"] == 32
    assert outcome.attestation.claims["id"] == outcome.credential.credential_id
    assert outcome.trust.trusted
    assert [child.path[-1] for child in outcome.trust.children] == [ONE.root, TWO.root]


def test_a_compound_statement_is_trusted_only_when_every_child_is() -> None:
    device = client(attestation=maker(ONE, TWO))
    outcome = register(
        relying_party(formats=BOTH, trust=TrustPolicy(anchors=(ONE.root,))), device, attestation="direct"
    )
    assert not outcome.trust.trusted
    assert [child.trusted for child in outcome.trust.children] == [True, False]
    rp = relying_party(formats=BOTH, trust=TrustPolicy(anchors=(ONE.root,), untrusted="reject"))
    with pytest.raises(UntrustedError):
        register(rp, device, attestation="direct")


def test_nested_and_unknown_formats_are_refused_by_what_was_handed_on() -> None:
    for inner in ("x-dummy", "x-unknown"):
        with pytest.raises(UnsupportedError) as caught:
            register(relying_party(formats=BOTH), client(attestation=maker(ONE, inner=inner)), attestation="direct")
        assert caught.value.code is Code.ATTESTATION_FORMAT_UNSUPPORTED


def test_a_failing_child_fails_the_whole() -> None:
    def broken(request: AttestationRequest) -> tuple[str, Any]:
        _, (first, second) = maker(ONE, TWO)(request)
        second["attStmt"]["sig"] = first["attStmt"]["sig"]
        return "x-dummy", [first, second]

    with pytest.raises(AttestationError) as caught:
        register(relying_party(formats=BOTH), client(attestation=broken), attestation="direct")
    assert caught.value.code is Code.ATTESTATION_SIGNATURE_INVALID
    assert caught.value.attestation_format == "packed"


def test_formats_can_be_taken_away() -> None:
    with pytest.raises(UnsupportedError):
        register(relying_party(formats={"packed": FORMATS["packed"]}), client(), attestation="direct")


SERIAL = "1.3.6.1.4.1.45724.1.1.2"
FIRMWARE = "1.3.6.1.4.1.45724.1.1.5"


def registered_with(*extensions: tuple[str, bool, bytes], conveyance: str = "direct") -> AttestationResult:
    leaf = ONE.issue(
        TEST_AAGUID, extensions=[extension(oid, value, critical=critical) for oid, critical, value in extensions]
    )
    return register(relying_party(), client(attestation=packed_maker(leaf)), attestation=conveyance).attestation


def test_claims_of_a_certificate_are_read() -> None:
    assert registered_with((FIRMWARE, False, b"\x02\x01\x05")).claims == {"firmware_version": 5}
    claims = registered_with((SERIAL, False, b"\x04\x02ab"), conveyance="enterprise").claims
    assert claims == {"serial_number": b"ab"}


@pytest.mark.parametrize(
    "parts",
    [
        (SERIAL, False, b"\x04\x02ab"),  # nobody asked for a single device's number
        (SERIAL, True, b"\x04\x02ab"),
        (SERIAL, False, b"\x02\x01\x01"),
        (FIRMWARE, True, b"\x02\x01\x05"),
        (FIRMWARE, False, b"\x02\x01\xff"),
        (FIRMWARE, False, b"\x02\x13" + b"\x01" * 19),
        (FIRMWARE, False, b"\x04\x01\x05"),
    ],
)
def test_extensions_that_the_requirements_exclude_are_refused(parts: tuple[str, bool, bytes]) -> None:
    with pytest.raises(PasskeyError) as caught:
        registered_with(parts, conveyance="enterprise" if parts[:2] == (SERIAL, True) else "direct")
    assert caught.value.code in (Code.ATTESTATION_CERTIFICATE_INVALID, Code.CERTIFICATE_MALFORMED)


def test_keys_of_certificates_meet_what_keys_of_credentials_meet() -> None:
    """Under the identity point one fixed signature verifies everything; a huge exponent costs a hundred times more."""
    identity = ed25519.Ed25519PublicKey.from_public_bytes(bytes([1]) + bytes(31))
    modulus = SoftwareKey.derive("rsa", -257).public_key.public_numbers().n  # type: ignore[union-attr]
    huge = rsa.RSAPublicNumbers((1 << 2000) + 1, modulus).public_key()
    small = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505
    for algorithm, key in ((-8, identity), (-257, huge), (-257, small), (-7, huge), (-53, identity), (-65535, huge)):
        assert PublicKey.bind(algorithm, key) is None
    for algorithm in SUPPORTED_ALGORITHMS:
        assert PublicKey.bind(algorithm, SoftwareKey.derive("bound", algorithm).public_key) is not None


RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
RSA_SHA1 = bytes.fromhex("300d06092a864886f70d0101050500")
PSS_SHA1 = bytes.fromhex("300d06092a864886f70d01010a3000")  # without parameters: RFC 4055, section 3.1


@pytest.mark.parametrize("algorithm", [RSA_SHA1, PSS_SHA1], ids=["PKCS1", "PSS"])
def test_a_path_signed_over_sha1_is_no_path_whatever_the_padding(algorithm: bytes) -> None:
    key = rsa.generate_private_key(65537, 2048)
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("root", "leaf")]

    def issued(subject: x509.Name, ca: bool, **options: Any) -> bytes:
        start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2044, 1, 1, tzinfo=UTC)
        builder = x509.CertificateBuilder(names[0], subject, key.public_key(), 1, start, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        return builder.sign(key, hashes.SHA256(), **options).public_bytes(Encoding.DER)

    root, leaf = issued(names[0], True), issued(names[1], False)
    pss = issued(names[1], False, rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), 32))
    for good in (leaf, pss):
        assert verified_path((good,), (root,), NOW)[-1] == root
    signed = x509.load_der_x509_certificate(leaf).tbs_certificate_bytes
    weak = signed.replace(RSA_SHA256, algorithm)
    digest = hashes.SHA1()  # noqa: S303
    scheme = padding.PKCS1v15() if algorithm == RSA_SHA1 else padding.PSS(padding.MGF1(digest), digest.digest_size)
    changed = leaf.replace(signed, weak).replace(RSA_SHA256, algorithm)[:-256] + key.sign(weak, scheme, digest)
    with pytest.raises(PathError, match="signed with"):
        verified_path((changed,), (root,), NOW)
