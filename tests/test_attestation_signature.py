"""The signature of attestation formats carries what every format needs: proven by a dummy compound format."""

from collections.abc import Mapping
from typing import Any

import pytest

from passkeycore import AttestationError, Code, Policy, TrustPolicy, UnsupportedError, UntrustedError
from passkeycore.testing import AttestationAuthority, AttestationRequest, packed_maker
from passkeycore.webauthn.attestation import (
    FORMATS,
    AttestationCeremony,
    AttestationResult,
    Verify,
    verify_statement,
)
from passkeycore.webauthn.attestation.statement import statement_error
from passkeycore.webauthn.encoding import CBOR
from tests.ceremony import NOW, client, register, relying_party


def verify_dummy(
    statement: CBOR, ceremony: AttestationCeremony, policy: Policy, formats: Mapping[str, Verify]
) -> AttestationResult:
    """Every statement of an array, through the formats it was handed, with all that a format may look at."""
    if not isinstance(statement, list) or len(statement) > policy.limits.statements:
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
        register(relying_party(formats={"packed": FORMATS["packed"]}), client())
