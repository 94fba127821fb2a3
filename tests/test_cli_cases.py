"""``passkeycore verify``: what a case may say, and that it is judged exactly so."""

import json
from typing import Any

import cbor2
import pytest

from tests.command import (
    ES512,
    NONE,
    PACKED,
    SELF,
    W3C,
    Json,
    alone,
    b64,
    changed,
    credential_of,
    part,
    verify,
    with_rp,
)

# --- The credential ---


def test_an_authentication_needs_a_credential() -> None:
    expectation = {"ok": False, "code": "challenge_mismatch"}
    case = changed(NONE, "registration", challenge="AAAA", expect=expectation)
    registration, authentication = verify(case).objects
    assert registration["expected"] is True
    assert (authentication["ok"], authentication["code"]) == (False, "no_credential")
    (only,) = verify(alone(NONE, "authentication")).objects
    assert only["code"] == "no_credential"


def test_a_given_credential_is_used_whatever_the_registration_said() -> None:
    case = changed(NONE, "registration", challenge="AAAA", expect={"ok": False})
    run = verify(changed(case, "authentication", credential=credential_of(NONE)))
    assert run.code == 0
    other = credential_of(NONE) | {"public_key": credential_of(SELF)["public_key"]}
    (_, verdict) = verify(changed(case, "authentication", credential=other)).objects
    assert verdict["code"] == "signature_invalid"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"sign_count": 5}, None),  # the credential can be backed up: reported only
        ({"backup_eligible": None}, None),
        ({"backup_eligible": False}, "backup_eligibility_changed"),
        ({"id": "AAAA"}, "credential_id_mismatch"),
        ({"public_key": "oA"}, "public_key_malformed"),
        ({"user_handle": "AAAA"}, None),
        ({"user_handle": None}, None),
    ],
)
def test_the_given_credential_is_the_record(members: Json, code: str | None) -> None:
    credential = credential_of(NONE) | members
    run = verify(changed(alone(NONE, "authentication"), "authentication", credential=credential, expect=None))
    (verdict,) = run.objects
    assert verdict.get("code") == code
    if code is None:
        assert verdict["user_handle"] == credential["user_handle"]
        assert verdict["sign_count"] == credential["sign_count"]
        assert verdict["sign_count_regressed"] is ("sign_count" in members)


# --- Members of a case ---


def with_handle(handle: bytes, **members: Any) -> Json:
    """The first case, its assertion with a user handle, which nothing signs."""
    response = NONE["authentication"]["response"]
    response = response | {"response": response["response"] | {"userHandle": b64(handle)}}
    return changed(NONE, "authentication", response=response, expect=None, **members)


@pytest.mark.parametrize(
    ("case", "code"),
    [
        (changed(NONE, "authentication", allow_credentials=None), "user_handle_missing"),
        (changed(NONE, "authentication", allow_credentials=["AAAA"]), "credential_not_allowed"),
        (changed(NONE, "authentication", allow_credentials=None, user_handle=b64(b"ada")), None),
        (with_handle(b"ada", allow_credentials=None), None),
        (with_handle(b"ada", user_handle=b64(b"ada")), None),
        (with_handle(b"eve", user_handle=b64(b"ada")), "user_handle_mismatch"),
        (changed(NONE, "authentication", user_verification="required"), "user_verification_required"),
        (changed(NONE, "authentication", extensions={"appid": 1}), "json_invalid"),
        (changed(NONE, "authentication", extensions={"credProps": True}), "configuration_invalid"),
        (changed(NONE, "authentication", extensions={"appid": "https://example.org/id"}), None),
        (changed(NONE, "authentication", response="AAAA"), "json_invalid"),
        (changed(NONE, "authentication", response=[]), "json_invalid"),
        (changed(NONE, "authentication", time=None), None),
    ],
)
def test_what_an_authentication_may_say(case: Json, code: str | None) -> None:
    registration, authentication = verify(changed(case, "authentication", expect=None)).objects
    assert registration["ok"] is True
    assert authentication.get("code") == code
    assert authentication["ok"] is (code is None)


def test_a_stored_credential_keeps_its_owner() -> None:
    theirs = credential_of(NONE) | {"user_handle": b64(b"eve")}
    case = changed(NONE, "authentication", credential=theirs, user_handle=b64(b"ada"))
    assert verify(case).objects[1]["code"] == "credential_not_allowed"


@pytest.mark.parametrize("ceremony", ["registration", "authentication"])
def test_extensions_that_were_asked_for_are_solicited(ceremony: str) -> None:
    response = NONE[ceremony]["response"] | {"clientExtensionResults": {"uvm": [[2, 4, 2]]}}
    case = changed(NONE, ceremony, response=response, policy={"unsolicited_extensions": "refuse"}, expect=None)
    codes = [verdict.get("code") for verdict in verify(case).objects]
    assert codes[ceremony == "authentication"] == "extension_unsolicited"
    assert verify(changed(case, ceremony, extensions={"uvm": True})).code == 0


def test_the_user_is_the_registered_credentials_owner() -> None:
    _, verdict = verify(changed(NONE, "authentication", allow_credentials=None, user_handle=b64(b"ada"))).objects
    assert verdict["user_handle"] == b64(b"ada")


@pytest.mark.parametrize(
    ("case", "code"),
    [
        (changed(NONE, "registration", algorithms=[-257]), "algorithm_not_allowed"),
        (changed(NONE, "registration", algorithms=[-8, -7]), None),
        (changed(NONE, "registration", algorithms=[]), None),  # ES256 is among what clients then choose from
        (changed(ES512, "registration", algorithms=[]), "algorithm_not_allowed"),
        (changed(NONE, "registration", algorithms=[-4711]), "algorithm_not_allowed"),
        (changed(NONE, "registration", user_verification="required"), "user_verification_required"),
        (changed(NONE, "registration", mediation="conditional", attestation="direct"), None),
        (changed(PACKED, "registration", trust_anchors=None), None),
        (changed(PACKED, "registration", trust_anchors=[]), "attestation_untrusted"),
        (changed(PACKED, "registration", trust_anchors=["AAAA"]), "configuration_invalid"),
        (changed(PACKED, "registration", time="2023-12-31T23:59:59Z"), "attestation_untrusted"),
        (changed(PACKED, "registration", time=None), None),
        (changed(SELF, "registration", trust_anchors=[]), None),
        (changed(NONE, "registration", trust_anchors=PACKED["registration"]["trust_anchors"]), None),
        (with_rp(NONE, id="example.com"), "rp_id_mismatch"),
        (with_rp(NONE, origins=["https://other.example", "https://example.org"]), None),
        (with_rp(NONE, origins=["https://other.example"]), "origin_not_allowed"),
        (with_rp(NONE, origins=["https://example.org", "ios:bundle-id:x", "http://localhost:8000"]), None),
        (with_rp(NONE, origins=["https://example.org/"]), "configuration_invalid"),
        (with_rp(NONE, origins=[]), "configuration_invalid"),
        (with_rp(NONE, id="https://example.org"), "configuration_invalid"),
        (with_rp(NONE, top_origins=["*"]), "configuration_invalid"),
        (with_rp(W3C["w3c/none.ES256.crossOrigin"], allow_cross_origin=False), "cross_origin_not_allowed"),
        (with_rp(W3C["w3c/none.ES256.topOrigin"], top_origins=["https://example.net"]), "top_origin_not_allowed"),
        (with_rp(W3C["w3c/none.ES256.topOrigin"], allow_cross_origin=False), None),
    ],
)
def test_what_a_registration_may_say(case: Json, code: str | None) -> None:
    (verdict,) = verify(changed(alone(case, "registration"), "registration", expect=None)).objects
    assert verdict.get("code") == code
    assert verdict["ok"] is (code is None)


def test_trust_is_told() -> None:
    cases = (PACKED, changed(PACKED, "registration", trust_anchors=None), SELF)
    run = verify(*(alone(case, "registration") for case in cases))
    assert [verdict["trusted"] for verdict in run.objects] == [True, False, False]


def test_presence_is_demanded_unless_the_creation_was_conditional() -> None:
    attestation = cbor2.loads(part(NONE, "registration", "attestationObject"))
    data = bytearray(attestation["authData"])
    data[32] &= ~1
    response = NONE["registration"]["response"]
    inner = response["response"] | {"attestationObject": b64(cbor2.dumps(attestation | {"authData": bytes(data)}))}
    case = changed(alone(NONE, "registration"), "registration", response=response | {"response": inner})
    assert verify(case).objects[0]["code"] == "user_presence_required"
    assert verify(changed(case, "registration", mediation="conditional")).code == 0


@pytest.mark.parametrize("size", [0, 1, 15, 129, 1000])
def test_challenges_of_any_length(size: int) -> None:
    challenge = bytes(size)
    client_data = json.dumps({"type": "webauthn.create", "challenge": b64(challenge), "origin": "https://example.org"})
    response = NONE["registration"]["response"]
    inner = response["response"] | {"clientDataJSON": b64(client_data.encode())}
    case = changed(NONE, "registration", challenge=b64(challenge), response=response | {"response": inner})
    assert verify(alone(case, "registration")).code == 0


def test_the_response_is_judged_as_it_stands() -> None:
    """No parser before the strict one: a second member, escapes and numbers arrive unchanged."""
    line = json.dumps(alone(NONE, "registration")).encode()
    twice = line.replace(b'"clientExtensionResults": {}', b'"clientExtensionResults": {}, "type": "\\u0070asswd"')
    (verdict,) = verify(twice).objects
    assert verdict["code"] == "credential_type_invalid"
    large = line.replace(b'"clientExtensionResults": {}', b'"clientExtensionResults": {"x": "' + b"x" * 200_000 + b'"}')
    (verdict,) = verify(large).objects
    assert verdict["code"] == "too_large"
