"""The certificates and attestation statements of the test kit, against the builder of `cryptography`."""

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from passkeycore.testing import (
    ALGORITHMS,
    LEAF_SUBJECT,
    NOT_AFTER,
    NOT_BEFORE,
    OID_AAGUID,
    TEST_AAGUID,
    Attestation,
    AttestationAuthority,
    AttestationRequest,
    CborValue,
    SoftwareAuthenticator,
    SoftwareKey,
    Tamper,
    VirtualClient,
    certificates,
    der,
    packed_maker,
)
from tests.kit import (
    P256,
    check,
    creation_options,
    member,
    registered,
)

ZERO_AAGUID = UUID(int=0)


def leaf_of(**changes: Any) -> x509.Certificate:
    issued = AttestationAuthority("ca").issue(TEST_AAGUID, **changes)
    return x509.load_der_x509_certificate(issued.x5c[0])


class TestCertificates:
    def test_a_certificate_is_what_the_builder_of_cryptography_makes(self) -> None:
        authority = AttestationAuthority("ca")
        issued = authority.issue(TEST_AAGUID)
        made = x509.load_der_x509_certificate(issued.x5c[0])
        root = x509.load_der_x509_certificate(authority.root)
        identifier, issuer_identifier = (
            hashlib.sha256(key.spki()).digest()[:20] for key in (issued.key, authority.key)
        )
        oids = {
            "C": NameOID.COUNTRY_NAME,
            "O": NameOID.ORGANIZATION_NAME,
            "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
            "CN": NameOID.COMMON_NAME,
        }
        subject = x509.Name([x509.NameAttribute(oids[kind], value) for kind, value in LEAF_SUBJECT.items()])
        others = "content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
        usage = dict.fromkeys([*others.split(), "encipher_only", "decipher_only"], False)
        aaguid = x509.UnrecognizedExtension(x509.ObjectIdentifier(OID_AAGUID), b"\x04\x10" + TEST_AAGUID.bytes)
        assert isinstance(issued.key.public_key, ec.EllipticCurvePublicKey)
        assert isinstance(authority.key.private_key, ec.EllipticCurvePrivateKey)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root.subject)
            .public_key(issued.key.public_key)
            .serial_number(made.serial_number)
            .not_valid_before(NOT_BEFORE)
            .not_valid_after(NOT_AFTER)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier(identifier), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier(issuer_identifier, None, None), critical=False)
            .add_extension(aaguid, critical=False)
            .sign(authority.key.private_key, hashes.SHA256(), ecdsa_deterministic=True)
        )
        assert built.public_bytes(serialization.Encoding.DER) == issued.x5c[0]

    def test_paths_lead_to_the_root_which_is_not_sent(self) -> None:
        root = AttestationAuthority("ca")
        lower = AttestationAuthority("ca", parent=AttestationAuthority("middle", parent=root), path_length=0)
        issued = lower.issue(TEST_AAGUID)
        assert issued.x5c[1:] == lower.path
        assert lower.root == root.root == root.certificate
        assert root.root not in issued.x5c
        path = [x509.load_der_x509_certificate(one) for one in (*issued.x5c, root.root)]
        assert len(path) == 4
        for below, above in zip(path, path[1:] + path[-1:], strict=True):
            below.verify_directly_issued_by(above)
        assert [c.extensions.get_extension_for_class(x509.BasicConstraints).value for c in path[:3]] == [
            x509.BasicConstraints(ca=False, path_length=None),
            x509.BasicConstraints(ca=True, path_length=0),
            x509.BasicConstraints(ca=True, path_length=None),
        ]

    @pytest.mark.parametrize("algorithm", [a for a, name in ALGORITHMS.items() if name[:2] not in ("PS", "RS")])
    def test_any_algorithm_can_sign_certificates(self, algorithm: int) -> None:
        root = AttestationAuthority("ca", algorithm=algorithm)
        certificate = x509.load_der_x509_certificate(root.root)
        certificate.verify_directly_issued_by(certificate)

    @pytest.mark.parametrize(("algorithm", "name"), [(-257, "sha256"), (-258, "sha384"), (-65535, "sha1")])
    def test_rsa_certificates_name_their_hash(self, algorithm: int, name: str) -> None:
        certificate = x509.load_der_x509_certificate(AttestationAuthority("ca", algorithm=algorithm).root)
        used = certificate.signature_hash_algorithm
        assert used is not None
        assert used.name == name
        with pytest.raises(ValueError, match="-37"):
            AttestationAuthority("ca", algorithm=-37)

    @pytest.mark.parametrize(("version", "start"), [(1, b"\x02\x10"), (2, b"\xa0\x03\x02\x01\x01\x02\x10")])
    def test_old_versions_have_no_extensions_and_a_good_signature(self, version: int, start: bytes) -> None:
        authority = AttestationAuthority("ca")
        encoded = authority.issue(TEST_AAGUID, version=version).x5c[0]
        end = 8 + int.from_bytes(encoded[6:8], "big")
        to_be_signed, algorithm, signature = encoded[4:end], encoded[end : end + 12], encoded[end + 15 :]
        assert to_be_signed[4:].startswith(start)
        assert b"\x06\x03\x55\x1d" not in to_be_signed, "an extension's identifier"
        assert algorithm == bytes.fromhex("300a06082a8648ce3d040302")
        check(authority.key.public_key, P256, signature, to_be_signed)
        if version == 1:
            assert x509.load_der_x509_certificate(encoded).version == x509.Version.v1

    @pytest.mark.parametrize(
        ("subject", "expected"),
        [
            ({}, "CN=passkeycore test authenticator,OU=Authenticator Attestation,O=passkeycore,C=AA"),
            ({"OU": "Other"}, "CN=passkeycore test authenticator,OU=Other,O=passkeycore,C=AA"),
            ({"CN": None, "C": "XX"}, "OU=Authenticator Attestation,O=passkeycore,C=XX"),
            (certificates.name({}), ""),
        ],
    )
    def test_subjects_change_by_attribute(self, subject: Any, expected: str) -> None:
        assert leaf_of(subject=subject).subject.rfc4514_string() == expected

    def test_constraints_and_dates_change(self) -> None:
        moment = datetime(2060, 2, 3, 4, 5, 6, tzinfo=UTC)
        leaf = leaf_of(ca=True, not_after=moment)
        assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert leaf.not_valid_after_utc == moment
        with pytest.raises(x509.ExtensionNotFound):
            leaf_of(ca=None).extensions.get_extension_for_class(x509.BasicConstraints)

    def test_the_aaguid_extension_changes(self) -> None:
        def found(leaf: x509.Certificate) -> list[tuple[bool, bytes]]:
            oid = x509.ObjectIdentifier(OID_AAGUID)
            return [(e.critical, e.value.public_bytes()) for e in leaf.extensions if e.oid == oid]

        right = b"\x04\x10" + TEST_AAGUID.bytes
        assert found(leaf_of()) == [(False, right)]
        assert found(leaf_of(aaguid_critical=True)) == [(True, right)]
        assert found(leaf_of(aaguid_extension=der.octet_string(bytes(15)))) == [(False, b"\x04\x0f" + bytes(15))]
        assert found(x509.load_der_x509_certificate(AttestationAuthority("ca").issue().x5c[0])) == []

    def test_further_extensions_and_other_keys(self) -> None:
        key = SoftwareKey.derive("credential", P256)
        extra = certificates.extension("1.2.3.4", der.null())
        leaf = leaf_of(key=key, extensions=[extra])
        assert leaf.public_key() == key.public_key
        assert leaf.extensions[-1].oid.dotted_string == "1.2.3.4"
        assert leaf_of(algorithm=-8).public_key() != leaf_of(algorithm=-19).public_key()

    def test_serial_numbers_differ_and_repeat(self) -> None:
        def serials() -> list[int]:
            authority = AttestationAuthority("ca")
            return [x509.load_der_x509_certificate(authority.issue().x5c[0]).serial_number for _ in range(3)]

        assert serials() == serials()
        assert len(set(serials())) == 3

    @pytest.mark.parametrize(
        ("made", "expected"),
        [
            (der.integer(0), "020100"),
            (der.integer(127), "02017f"),
            (der.integer(128), "02020080"),
            (der.integer(-128), "020180"),
            (der.integer(-129), "0202ff7f"),
            (der.enumerated(2), "0a0102"),
            (der.oid("2.999.3"), "0603883703"),
            (der.oid("1.2.840.113635.100.8.2"), "06092a864886f763640802"),
            (der.explicit(702, der.integer(0)), "bf853e03020100"),
            (der.explicit(1, der.set_of(der.integer(3), der.integer(2))), "a1083106020102020103"),
            (der.implicit(0, b"ab"), "80026162"),
            (der.octet_string(bytes(200))[:3], "0481c8"),
            (der.bit_string(b"\x80", 7), "03020780"),
            (der.time(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)), "170d" + b"491231235959Z".hex()),
            (der.time(datetime(2050, 1, 1, tzinfo=UTC)), "180f" + b"20500101000000Z".hex()),
        ],
    )
    def test_der(self, made: bytes, expected: str) -> None:
        assert made.hex() == expected


class TestStatements:
    def test_packed_is_signed_by_the_certificate(self) -> None:
        authority = AttestationAuthority("ca")
        authenticator = SoftwareAuthenticator(attestation="packed", authority=authority)
        response = VirtualClient(authenticator).create(creation_options())
        attestation, data = registered(response)
        statement = attestation["attStmt"]
        leaf = x509.load_der_x509_certificate(statement["x5c"][0])
        leaf.verify_directly_issued_by(x509.load_der_x509_certificate(authority.root))
        key = leaf.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        client_data_hash = hashlib.sha256(member(response, "clientDataJSON")).digest()
        check(key, statement["alg"], statement["sig"], attestation["authData"] + client_data_hash)
        assert (attestation["fmt"], list(statement)) == ("packed", ["alg", "sig", "x5c"])
        assert data.aaguid == TEST_AAGUID.bytes

    def test_a_maker_is_told_what_the_authenticator_data_says(self) -> None:
        seen: list[AttestationRequest] = []

        def make(request: AttestationRequest) -> tuple[str, CborValue]:
            seen.append(request)
            return "own", [{"fmt": "a", "attStmt": {}}]

        authenticator = SoftwareAuthenticator(attestation=make)
        tamper = Tamper(rp_id_hash=lambda _: bytes(32), credential_id=lambda _: b"other")
        response = VirtualClient(authenticator).create(creation_options(), tamper=tamper)
        attestation, data = registered(response)
        assert (attestation["fmt"], attestation["attStmt"]) == ("own", [{"fmt": "a", "attStmt": {}}])
        (request,) = seen
        assert (request.rp_id_hash, request.credential_id) == (data.rp_id_hash, b"other")
        assert (request.authenticator_data, request.aaguid) == (attestation["authData"], TEST_AAGUID)
        assert request.client_data_hash == hashlib.sha256(member(response, "clientDataJSON")).digest()
        assert request.credential_key.cose() == data.cose

    def test_a_maker_decides_the_certificate_and_the_signer_can_be_changed(self) -> None:
        issued = AttestationAuthority("ca").issue(TEST_AAGUID, version=1)
        authenticator = SoftwareAuthenticator(attestation=packed_maker(issued))
        seen: list[SoftwareKey] = []

        def sign(key: SoftwareKey, message: bytes) -> bytes:
            seen.append(key)
            return b"no signature"

        response = VirtualClient(authenticator).create(creation_options(), tamper=Tamper(sign=sign))
        statement = registered(response)[0]["attStmt"]
        assert statement == {"alg": -7, "sig": b"no signature", "x5c": list(issued.x5c)}
        assert seen == [issued.key]

    @pytest.mark.parametrize(
        ("attestation", "aaguid", "conveyance", "fmt"),
        [
            ("packed", TEST_AAGUID, "direct", "packed"),
            ("packed", TEST_AAGUID, "indirect", "packed"),
            ("packed", TEST_AAGUID, "none", "none"),
            ("packed", ZERO_AAGUID, "none", "none"),
            ("packed", TEST_AAGUID, "something new", "none"),
            ("packed-self", TEST_AAGUID, "none", "none"),
            ("packed-self", ZERO_AAGUID, "none", "packed"),
            ("none", TEST_AAGUID, "direct", "none"),
        ],
    )
    def test_conveyance(self, attestation: Attestation, aaguid: UUID, conveyance: str, fmt: str) -> None:
        client = VirtualClient(SoftwareAuthenticator(attestation=attestation, aaguid=aaguid))
        made, data = registered(client.create(creation_options(attestation=conveyance)))
        assert made["fmt"] == fmt
        assert (made["attStmt"] == {}) == (fmt == "none")
        assert data.aaguid == aaguid.bytes
