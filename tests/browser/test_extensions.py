"""Extensions in Chromium and in its authenticators: what reaches the engine, and what must not stay with it."""

import json
from typing import Any

import msgspec
import pytest

from passkeycore import Code, Policy, PrfValues, RelyingParty, VerificationError
from passkeycore.webauthn.encoding import decode_base64url, encode_base64url

from .ceremonies import Asserted, Created, Party, foreign_credential
from .chromium import PLATFORM, SECURITY_KEY, U2F_KEY, Chromium, RefusalError, Traits
from .sites import COM

INPUT, OTHER_INPUT = PrfValues(first=b"first", second=b"second input"), PrfValues(first=b"another")
APPID = COM + "/app-id.json"


def results_of(answered: Created | Asserted) -> dict[str, Any]:
    """The results that reached the page."""
    results: dict[str, Any] = json.loads(answered.response)["clientExtensionResults"]
    return results


@pytest.mark.parametrize(
    "traits",
    [PLATFORM | {"hasPrf": True}, SECURITY_KEY | {"hasHmacSecret": True, "hasHmacSecretMc": True}],
    ids=["platform", "security key"],
)
def test_prf_results_stay_with_the_page(party: Party, traits: Traits) -> None:
    party.tab.plug(traits)
    created = party.create(extensions={"prf": {"eval": INPUT.to_dict()}})
    outcome = party.rp.verify_registration(created.response, created.state)
    assert outcome.client_extensions.prf_enabled is True
    record = outcome.credential
    assert record.prf_enabled is True

    asserted = party.get(extensions={"prf": {"eval": INPUT.to_dict()}})
    response = party.rp.parse_authentication(asserted.response)
    verified = party.rp.verify_authentication(response, asserted.state, record)
    secrets = results_of(asserted)["prf"]["results"]
    assert secrets == results_of(created)["prf"]["results"]
    assert [len(decode_base64url(secret, "")) for secret in secrets.values()] == [32, 32]
    for answered in (outcome, verified):
        assert answered.client_extensions.prf_results_received
    for value in (party.rp.parse_registration(created.response), outcome, response, verified):
        kept = msgspec.msgpack.encode(value)
        for secret in secrets.values():
            assert decode_base64url(secret, "") not in kept
            assert secret.encode() not in kept

    per_credential = {"evalByCredential": {encode_base64url(record.credential_id): OTHER_INPUT.to_dict()}}
    other = party.get(allow=[record], extensions={"prf": per_credential})
    party.rp.verify_authentication(other.response, other.state, record)
    assert results_of(other)["prf"]["results"]["first"] != secrets["first"]


def test_no_prf(party: Party) -> None:
    party.tab.plug(PLATFORM)
    record = party.enrol(extensions={"prf": {}})
    assert record.prf_enabled is False
    verified = party.authenticate(record, extensions={"prf": {"eval": INPUT.to_dict()}})
    assert "prf" in verified.client_extensions.names
    assert not verified.client_extensions.prf_results_received


def test_a_large_blob_is_written_and_read(party: Party) -> None:
    party.tab.plug(PLATFORM, hasLargeBlob=True)
    record = party.enrol(resident_key="required", extensions={"largeBlob": {"support": "required"}})
    assert record.large_blob_supported is True
    nothing = party.authenticate(record, extensions={"largeBlob": {"read": True}}).client_extensions
    assert nothing.large_blob is None
    written = party.authenticate(record, allow=[record], extensions={"largeBlob": {"write": "AAEC_w"}})
    assert written.client_extensions.large_blob_written is True
    read = party.authenticate(record, extensions={"largeBlob": {"read": True}})
    assert read.client_extensions.large_blob == b"\x00\x01\x02\xff"


def test_no_large_blob(party: Party) -> None:
    party.tab.plug(PLATFORM)
    assert party.enrol(extensions={"largeBlob": {"support": "preferred"}}).large_blob_supported is False
    with pytest.raises(RefusalError, match="NotAllowedError"):
        party.create(resident_key="required", extensions={"largeBlob": {"support": "required"}})


@pytest.mark.parametrize(
    ("resident_key", "traits", "discoverable"),
    [
        ("required", SECURITY_KEY, True),
        ("preferred", SECURITY_KEY, True),
        ("preferred", SECURITY_KEY | {"hasResidentKey": False}, False),
        ("discouraged", SECURITY_KEY, False),
        # CTAP 2.0 keys may store what they were not asked to, so Chromium says nothing.
        ("discouraged", SECURITY_KEY | {"ctap2Version": "ctap2_0"}, None),
    ],
)
def test_credential_properties(party: Party, resident_key: str, traits: Traits, discoverable: bool | None) -> None:
    party.tab.plug(traits)
    outcome = party.register(resident_key=resident_key, extensions={"credProps": True})
    assert outcome.client_extensions.names == {"credProps"}
    assert outcome.credential.discoverable is discoverable


@pytest.mark.parametrize(
    ("protection", "level"),
    [
        ("userVerificationOptional", 1),
        ("userVerificationOptionalWithCredentialIDList", 2),
        ("userVerificationRequired", 3),
    ],
)
def test_credential_protection(party: Party, protection: str, level: int) -> None:
    party.tab.plug(SECURITY_KEY, hasCredBlob=True)  # Chromium has no switch for credProtect alone
    created = party.create(
        user_verification="required",
        resident_key="required",
        extensions={"credentialProtectionPolicy": protection},
    )
    outcome = party.rp.verify_registration(created.response, created.state)
    assert outcome.authenticator_extensions.cred_protect == outcome.credential.cred_protect == level


def test_a_credential_blob_and_the_pin_length(party: Party) -> None:
    party.tab.plug(SECURITY_KEY, hasCredBlob=True, hasMinPinLength=True)
    outcome = party.register(resident_key="required", extensions={"credBlob": "AAEC_w", "minPinLength": True})
    assert outcome.client_extensions.cred_blob_stored is True
    assert outcome.authenticator_extensions.cred_blob_stored is True
    assert outcome.authenticator_extensions.min_pin_length == 4
    verified = party.authenticate(outcome.credential, extensions={"getCredBlob": True})
    blob = b"\x00\x01\x02\xff"
    assert (verified.client_extensions.cred_blob, verified.authenticator_extensions.cred_blob) == (blob, blob)


def test_the_older_form_of_prf(party: Party) -> None:
    party.tab.plug(SECURITY_KEY, hasHmacSecret=True)
    outcome = party.register(extensions={"hmacCreateSecret": True})
    assert outcome.client_extensions.hmac_secret_created is True
    assert outcome.authenticator_extensions.hmac_secret is True


def test_an_output_that_nobody_asked_for(party: Party) -> None:
    party.tab.plug(SECURITY_KEY, hasCredBlob=True)
    created = party.create(resident_key="required")  # Chromium protects such credentials on its own account
    outcome = party.rp.verify_registration(created.response, created.state)
    assert outcome.authenticator_extensions.names == {"credProtect"}
    strict = msgspec.structs.replace(party.rp, policy=Policy(unsolicited_extensions="refuse"))
    with pytest.raises(VerificationError) as refused:
        strict.verify_registration(created.response, created.state)
    assert refused.value.code is Code.EXTENSION_UNSOLICITED


def test_the_app_id_of_a_u2f_credential(chromium: Chromium) -> None:
    record, private_key = foreign_credential("example.com")
    with chromium.tab(COM) as tab:
        party = Party(RelyingParty(id="example.com", origins=[COM]), tab)
        tab.plug(U2F_KEY).insert(
            record.credential_id,
            isResidentCredential=False,
            rpId=APPID,
            privateKey=private_key,
            signCount=1,
        )
        asserted = party.get(allow=[record], extensions={"appid": APPID})
        assert results_of(asserted) == {"appid": True}
        verified = party.rp.verify_authentication(asserted.response, asserted.state, record)
        assert verified.client_extensions.appid is True
        not_asked = msgspec.structs.replace(asserted.state, appid=None)
        with pytest.raises(VerificationError) as refused:
            party.rp.verify_authentication(asserted.response, not_asked, record)
        assert refused.value.code is Code.RP_ID_MISMATCH

        with pytest.raises(RefusalError, match="InvalidStateError"):
            party.create(exclude=[record], extensions={"appidExclude": APPID})
        with pytest.raises(RefusalError, match="NotAllowedError"):
            party.get(allow=[record])
