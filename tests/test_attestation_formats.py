"""Attestation formats one by one: the specification's own vectors, and what no single change to a ceremony can show.

What belongs here: what the tables of the negative tests cannot say, such as formats of an application's own.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from passkeycore import (
    AttestationError,
    Code,
    ConfigurationError,
    PasskeyError,
    Policy,
    RegistrationOutcome,
    TrustPolicy,
    UnsupportedError,
)
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    AttestationCertificate,
    AttestationRequest,
    CborValue,
    SoftwareKey,
    StatementMaker,
    apple_maker,
    b64url_decode,
    certificates,
    compound_maker,
    der,
    fido_u2f_maker,
    packed_maker,
)
from passkeycore.testing.statements import make_packed_self
from passkeycore.testing.statements.fido_u2f import u2f_message
from passkeycore.webauthn.attestation import FORMATS, AttestationCeremony, AttestationResult, Verify
from passkeycore.webauthn.encoding import CBOR
from tests import w3c
from tests.ceremony import HANDLE, NOW, client, register, relying_party

AUTHORITY = AttestationAuthority("formats")
PACKED = packed_maker(AUTHORITY.issue(TEST_AAGUID))
ANY = Policy(compound="any")

# --- The vectors of the specification ---


@pytest.mark.parametrize(("vector", "type"), [("apple.ES256", "anonca"), ("fido-u2f.ES256", "basic")])
def test_the_vector_of_the_format_is_valid_and_trusted_under_its_root(vector: str, type: str) -> None:
    (case,) = [case for case in w3c.generate() if case["name"] == f"w3c/{vector}"]
    asked = case["registration"]
    anchors = tuple(b64url_decode(anchor) for anchor in asked["trust_anchors"])
    rp = relying_party(trust=TrustPolicy(anchors=anchors, require_trusted=True))
    start = rp.registration_options(
        user_handle=HANDLE, user_name="ada", challenge=b64url_decode(asked["challenge"]), now=NOW, attestation="direct"
    )
    outcome = rp.verify_registration(asked["response"], start.state, now=NOW)
    assert (outcome.attestation.type, len(outcome.attestation.trust_path)) == (type, 1)
    assert outcome.trust.path[-1:] == anchors


# --- fido-u2f ---


def test_certificates_of_old_u2f_devices_are_read() -> None:
    """They carry NULL parameters with ECDSA and signatures whose bit strings leave bits unused."""
    key = SoftwareKey.derive("old", -7)
    algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"), der.null())
    to_be_signed = der.sequence(
        der.explicit(0, der.integer(2)),
        der.integer(-7),
        algorithm,
        certificates.name({"CN": "root"}),
        der.sequence(der.time(certificates.NOT_BEFORE), der.time(datetime(2050, 9, 4, tzinfo=UTC))),
        certificates.name({"CN": "U2F EE Serial 1"}),
        key.spki(),
    )
    old = der.sequence(to_be_signed, algorithm, der.bit_string(b"\x80", 7))
    device = client(attestation=fido_u2f_maker(AttestationCertificate(key, (old,))), aaguid=UUID(int=0))
    assert register(relying_party(), device, attestation="direct").attestation.trust_path == (old,)


def test_the_maker_also_attests_keys_that_no_u2f_device_has() -> None:
    request = AttestationRequest(
        authenticator_data=bytes(37),
        client_data_hash=bytes(32),
        credential_key=SoftwareKey.derive("rsa", -257),
        credential_id=b"id",
        aaguid=TEST_AAGUID,
    )
    assert u2f_message(request) == bytes(1 + 32 + 32) + b"id\x04\x01\x00\x01"


# --- compound ---


def unknown(request: AttestationRequest) -> tuple[str, CborValue]:
    return "x-unknown", PACKED(request)[1]


def broken(request: AttestationRequest) -> tuple[str, CborValue]:
    format, statement = PACKED(request)
    assert isinstance(statement, dict)
    return format, statement | {"sig": b"nothing"}


def registered(*makers: StatementMaker, conveyance: str = "direct", **rp: Any) -> RegistrationOutcome:
    """The outcome where the client conveys what the authenticator makes, whatever was asked for."""
    party = relying_party(**rp)
    start = party.registration_options(user_handle=HANDLE, user_name="ada", now=NOW, attestation="direct")
    response = client(attestation=compound_maker(*makers)).create(start.to_dict())
    return party.verify_registration(response, msgspec.structs.replace(start.state, attestation=conveyance), now=NOW)


@pytest.mark.parametrize("conveyance", ["none", "indirect", "direct", "enterprise"])
def test_an_unknown_format_inside_is_a_failure_even_when_nobody_asked(conveyance: str) -> None:
    for policy, makers in (
        (Policy(), (PACKED, unknown)),
        (Policy(), (unknown, unknown)),
        (ANY, (unknown, unknown)),
        (ANY, (unknown, broken)),
    ):
        with pytest.raises(UnsupportedError) as caught:
            registered(*makers, conveyance=conveyance, policy=policy)
        assert (caught.value.code, caught.value.actual) == (Code.ATTESTATION_FORMAT_UNSUPPORTED, "x-unknown")
        assert "compound" not in str(caught.value.expected)
    for good in (PACKED, make_packed_self):
        outcome = registered(unknown, good, conveyance=conveyance, policy=ANY)
        assert [child.format for child in outcome.attestation.children] == ["packed"]


def answering(type: Any, seen: list[Any] | None = None) -> Verify:
    """A format of an application's own, of which every statement is valid."""

    def verify(
        statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
    ) -> AttestationResult:
        if seen is not None:
            seen.extend((ceremony, policy, formats))
        return AttestationResult(format="x-unknown", type=type)

    return verify


def test_a_statement_that_proves_nothing_cannot_be_the_one_that_verifies() -> None:
    for type in ("none", "unverified"):
        formats = {**FORMATS, "x-unknown": answering(type)}
        with pytest.raises(AttestationError) as caught:
            registered(unknown, broken, policy=ANY, formats=formats)
        assert caught.value.code is Code.ATTESTATION_SIGNATURE_INVALID
    outcome = registered(unknown, broken, policy=ANY, formats={**FORMATS, "x-unknown": answering("basic")})
    assert [child.type for child in outcome.attestation.children] == ["basic"]


def test_formats_inside_are_handed_the_same_ceremony_and_no_compound_format() -> None:
    seen: list[Any] = []
    formats = {**FORMATS, "x-unknown": answering("self", seen)}
    registered(unknown, unknown, formats=formats, policy=ANY)
    first, second = seen[:3], seen[3:]
    assert first == second
    ceremony, policy, inner = first
    assert (ceremony.now, ceremony.conveyance, policy) == (NOW, "direct", ANY)
    assert inner.keys() == formats.keys() - {"compound"}


@pytest.mark.parametrize("compound", ["all", "any"])
def test_what_is_wrong_on_our_side_is_not_taken_for_a_failure_of_the_statement(compound: Any) -> None:
    def misconfigured(*_: Any) -> AttestationResult:
        raise ConfigurationError("something is not installed")

    with pytest.raises(ConfigurationError):
        registered(PACKED, unknown, formats={**FORMATS, "x-unknown": misconfigured}, policy=Policy(compound=compound))


def test_a_failure_is_raised_as_it_came() -> None:
    for policy in (Policy(), ANY):
        with pytest.raises(PasskeyError) as alone:
            register(relying_party(), client(attestation=broken), attestation="direct")
        with pytest.raises(PasskeyError) as inside:
            registered(broken, broken, policy=policy)
        assert inside.value.to_dict() == alone.value.to_dict()


# --- The makers ---


def test_makers_repeat() -> None:
    def made() -> tuple[str, CborValue]:
        authority = AttestationAuthority("again")
        request = AttestationRequest(
            authenticator_data=bytes(37),
            client_data_hash=bytes(32),
            credential_key=SoftwareKey.derive("again", -7),
            credential_id=b"id",
            aaguid=TEST_AAGUID,
        )
        return compound_maker(apple_maker(authority), fido_u2f_maker(authority), packed_maker(authority))(request)

    assert made() == made()
    assert made()[0] == "compound"
