"""What Chromium once answered, in ``vectors/chromium.jsonl``, judged through `RelyingParty`: no browser is needed.

What belongs here: a second, smaller judge than the one of ``passkeycore verify``, which knows only what these
vectors use, and what the file must hold.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from passkeycore import (
    Code,
    CredentialDescriptor,
    CredentialRecord,
    PasskeyError,
    Policy,
    RelyingParty,
    TrustPolicy,
)
from passkeycore.testing import b64url_decode
from passkeycore.webauthn.attestation import FORMATS
from passkeycore.webauthn.cose import PublicKey

Json = dict[str, Any]
VECTORS = Path(__file__).parents[1] / "vectors" / "chromium.jsonl"
CASES: list[Json] = [json.loads(line) for line in VECTORS.read_text("ascii").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_outcome_is_the_expected_one(case: Json) -> None:
    check(case)


def test_no_secret_of_a_page_is_in_the_file() -> None:
    outputs = [
        case[ceremony]["response"]["clientExtensionResults"].get("prf")
        for case in CASES
        for ceremony in ("registration", "authentication")
        if ceremony in case
    ]
    assert {json.dumps(prf) for prf in outputs} == {"null", "{}", '{"enabled": true}'}


def test_every_case_has_its_own_name_and_says_where_it_is_from() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert all(case["source"].startswith("Chromium ") for case in CASES)


def check(case: Json) -> None:
    """Asserts that every ceremony of the case turns out as its ``expect`` says.

    Where a format that the case needs is missing, the registration is refused for that, and nothing follows.
    """
    missing = set(case.get("requires", ())) - FORMATS.keys()
    record: CredentialRecord | None = None
    if "registration" in case:
        expect = case["registration"]["expect"]
        seen, record = register(case, case["registration"])
        if missing:
            expect = {"ok": False, "code": Code.ATTESTATION_FORMAT_UNSUPPORTED}
        assert expect.items() <= seen.items()
    if "authentication" in case and not missing:
        seen = authenticate(case, case["authentication"], record)
        assert case["authentication"]["expect"].items() <= seen.items()


def register(case: Json, ceremony: Json) -> tuple[Json, CredentialRecord | None]:
    """What is seen of the outcome, and the record unless the registration is refused."""
    anchors = tuple(b64url_decode(anchor) for anchor in ceremony.get("trust_anchors", ()))
    rp = relying_party(case, ceremony, TrustPolicy(anchors=anchors, untrusted="reject" if anchors else "report"))
    start = rp.registration_options(
        user_handle=b"not in the vector",
        user_name="ada",
        challenge=b64url_decode(ceremony["challenge"]),
        algorithms=ceremony["algorithms"],
        user_verification=ceremony["user_verification"],
        attestation=ceremony["attestation"],
        extensions=ceremony["extensions"],
        now=datetime.fromisoformat(ceremony["time"]),
    )
    try:
        outcome = rp.verify_registration(ceremony["response"], start.state, now=start.state.created_at)
    except PasskeyError as error:
        return refusal(error), None
    record = outcome.credential
    seen = {
        "ok": True,
        "algorithm": PublicKey.parse(record.public_key).algorithm.id,
        "attestation_format": outcome.attestation.format,
        "attestation_type": outcome.attestation.type,
        "backup_eligible": record.backup_eligible,
        "backup_state": record.backup_state,
        "trusted": outcome.trust.trusted,
        "user_verified": outcome.user_verified,
    }
    return seen, record


def authenticate(case: Json, ceremony: Json, record: CredentialRecord | None) -> Json:
    """What is seen of the outcome."""
    rp = relying_party(case, ceremony)
    if "credential" in ceremony:
        given = ceremony["credential"]
        record = CredentialRecord(
            credential_id=b64url_decode(given["id"]),
            public_key=b64url_decode(given["public_key"]),
            rp_id=rp.id,
            sign_count=given["sign_count"],
            backup_eligible=given["backup_eligible"],
        )
    assert record is not None
    start = rp.authentication_options(
        allow=[CredentialDescriptor(id=b64url_decode(id)) for id in ceremony.get("allow_credentials", ())],
        challenge=b64url_decode(ceremony["challenge"]),
        user_verification=ceremony["user_verification"],
        extensions=ceremony["extensions"],
        now=datetime.fromisoformat(ceremony["time"]),
    )
    # Whose it is, only the response knows here; the record of an application would.
    handle = rp.parse_authentication(ceremony["response"]).user_handle
    record = msgspec.structs.replace(record, user_handle=handle)
    try:
        verified = rp.verify_authentication(ceremony["response"], start.state, record, now=start.state.created_at)
    except PasskeyError as error:
        return refusal(error)
    return {
        "ok": True,
        "backup_eligible": verified.credential.backup_eligible,
        "backup_state": verified.credential.backup_state,
        "backup_state_changed": verified.backup_state_changed,
        "user_verified": verified.user_verified,
    }


def refusal(error: PasskeyError) -> Json:
    return {"ok": False, "code": error.code.value}


def relying_party(case: Json, ceremony: Json, trust: TrustPolicy | None = None) -> RelyingParty:
    rp_id, origins = case["rp"]["id"], case["rp"]["origins"]
    related = [origin for origin in origins if rp_id not in origin]
    return RelyingParty(
        id=rp_id,
        origins=[origin for origin in origins if origin not in related],
        related_origins=related,
        top_origins=case["rp"].get("top_origins", ()),
        policy=Policy(**ceremony.get("policy", {})),
        trust=trust or TrustPolicy(),
    )
