"""The tpm format beyond the tables of negative cases: keys that begin with zeros, the registry, the kit's maker."""

from typing import Any

import pytest

from passkeycore import Policy, TrustPolicy
from passkeycore.testing import (
    TEST_AAGUID,
    AttestationAuthority,
    AttestationRequest,
    CborValue,
    SoftwareAuthenticator,
    SoftwareKey,
    Tamper,
    tpm_certificate,
    tpm_maker,
)
from passkeycore.testing.statements.tpm import sized, tpm, tpm_alternative_name, tpm_pub_area
from passkeycore.webauthn.attestation.tpm_structures import TEST_VENDOR, VENDORS
from tests.ceremony import HANDLE, NOW, client, register, relying_party

AUTHORITY = AttestationAuthority("tpm")
CERTIFICATE = tpm_certificate(AUTHORITY, TEST_AAGUID)


def seed_of_a_short_coordinate(label: int) -> str:
    """A seed whose authenticator makes a P-256 key with a zero byte in front of the coordinate with this label."""
    for number in range(4096):
        key = SoftwareKey.derive(SoftwareAuthenticator(str(number)).seed, -7, purpose="credential key")
        coordinate = key.cose_map()[label]
        if isinstance(coordinate, bytes) and coordinate[0] == 0:
            return str(number)
    raise LookupError(label)


def without_zeros(request: AttestationRequest) -> tuple[str, CborValue]:
    """A TPM that leaves out the zeros in front of a coordinate."""
    members: dict[int, Any] = dict(request.credential_key.cose_map())
    x, y = members[-2].lstrip(b"\0"), members[-3].lstrip(b"\0")
    return "tpm", tpm(CERTIFICATE, request, pub_area={"x": sized(x), "y": sized(y)})


@pytest.mark.parametrize("label", [-2, -3])
def test_a_coordinate_may_come_without_the_zeros_in_front_of_it(label: int) -> None:
    seed = seed_of_a_short_coordinate(label)
    for maker in (tpm_maker(CERTIFICATE), without_zeros):
        outcome = register(relying_party(), client(seed, attestation=maker), attestation="direct")
        assert outcome.attestation.type == "attca"


@pytest.mark.parametrize("algorithm", [-7, -9, -35, -36, -51, -52, -257, -258, -259, -37, -38, -39])
def test_credentials_of_every_algorithm_that_a_tpm_has(algorithm: int) -> None:
    rp = relying_party(trust=TrustPolicy(anchors=(AUTHORITY.root,), require_trusted=True))
    device = client(algorithms=(algorithm,), attestation=tpm_maker(AUTHORITY))
    outcome = register(rp, device, attestation="direct")
    assert outcome.attestation.type == "attca"
    assert outcome.attestation.format == "tpm"
    assert len(outcome.attestation.trust_path) == 1
    assert outcome.trust.trusted


def test_the_registry_has_29_manufacturers_and_not_the_one_for_tests() -> None:
    assert len(VENDORS) == 29
    assert {"id:414d4400", "id:53544d20", "id:4e534d20", "id:4d534654", "id:494e5443", "id:5345414c"} <= VENDORS
    assert TEST_VENDOR not in VENDORS


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_every_listed_manufacturer_passes(vendor: str) -> None:
    names = {"2.23.133.2.1": f"id:{vendor[3:].upper()}", "2.23.133.2.2": "model", "2.23.133.2.3": "id:1"}
    certificate = tpm_certificate(AUTHORITY, TEST_AAGUID, alternative_name=tpm_alternative_name(names))
    rp = relying_party(policy=Policy(tpm_vendor="listed"))
    outcome = register(rp, client(attestation=tpm_maker(certificate)), attestation="direct")
    assert outcome.attestation.claims["tpm_manufacturer"] == f"id:{vendor[3:].upper()}"


def test_the_same_seed_makes_the_same_statement() -> None:
    def made() -> CborValue:
        device = SoftwareAuthenticator("tpm", attestation=tpm_maker(AttestationAuthority("tpm")))
        return device.make_credential(rp_id="example.org", client_data_hash=bytes(32), user_handle=b"x").statement

    assert made() == made()


def test_an_exponent_of_3_is_compared_like_any_other() -> None:
    rp = relying_party()
    device = client(algorithms=(-257,), attestation=tpm_maker(CERTIFICATE, pub_area={"exponent": b"\0\0\0\3"}))
    start = rp.registration_options(user_handle=HANDLE, user_name="ada", attestation="direct", now=NOW)
    response = device.create(start.to_dict(), tamper=Tamper(cose_key=lambda key: key | {-2: b"\3"}))
    assert rp.verify_registration(response, start.state, now=NOW).attestation.type == "attca"


def test_the_kit_has_no_tpm_with_an_edwards_key() -> None:
    with pytest.raises(ValueError, match="no TPM"):
        tpm_pub_area(SoftwareKey.derive("tpm", -8))
