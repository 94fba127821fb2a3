"""Credential records: they survive storage, and records of newer releases can be read."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passkeycore import Code, CredentialRecord, DecodeError
from tests.ceremony import NOW, client, record, relying_party

RECORD = record(relying_party(), client(), extensions={"credProps": True})
LEAST = CredentialRecord(credential_id=b"1", public_key=b"2", rp_id="example.org")


@pytest.mark.parametrize("credential", [RECORD, LEAST])
def test_a_record_survives_both_of_its_forms(credential: CredentialRecord) -> None:
    assert CredentialRecord.from_bytes(credential.to_bytes()) == credential
    assert CredentialRecord.from_dict(json.loads(json.dumps(credential.to_dict()))) == credential


@given(
    st.builds(
        CredentialRecord,
        credential_id=st.binary(min_size=1, max_size=1023),
        user_handle=st.none() | st.binary(min_size=1, max_size=64),
        sign_count=st.integers(0, 2**32 - 1),
        aaguid=st.uuids(),
        created_at=st.just(NOW),
    )
)
def test_any_record_survives(credential: CredentialRecord) -> None:
    assert CredentialRecord.from_bytes(credential.to_bytes()) == credential
    assert CredentialRecord.from_dict(credential.to_dict()) == credential


def test_the_stored_form_does_not_change() -> None:
    """Bytes that version 1 wrote must be readable for ever."""
    stored = bytes.fromhex(
        "706b6301de0014ad63726564656e7469616c5f6964c4"
        "0131aa7075626c69635f6b6579c40132a572705f6964"
        "ab6578616d706c652e6f7267"
    )
    assert LEAST.to_bytes().startswith(stored)
    assert RECORD.to_dict()["version"] == 1
    assert set(RECORD.to_dict()) == {"version", *CredentialRecord.__struct_fields__}


def test_members_of_a_newer_release_are_left_out() -> None:
    members: dict[str, Any] = msgspec.msgpack.decode(LEAST.to_bytes()[4:]) | {"new": {"nested": 1}}
    assert CredentialRecord.from_bytes(b"pkc\x02" + msgspec.msgpack.encode(members)) == LEAST
    assert CredentialRecord.from_dict(LEAST.to_dict() | {"version": 2, "new": 1}) == LEAST


@pytest.mark.parametrize(
    "stored", [b"", b"pkc", b"pkc\x01", b"pkc\x01\xc1", b"xyz\x01\x80", b"pkc\x01\x80", b"pkc\x01" + b"\x91" * 9999]
)
def test_what_is_no_stored_record_is_a_decode_error(stored: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        CredentialRecord.from_bytes(stored)
    assert caught.value.code is Code.RECORD_INVALID


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"rp_id": 1},
        LEAST.to_dict() | {"sign_count": "0"},
        LEAST.to_dict() | {"sign_count": -1},
        LEAST.to_dict() | {"credential_id": "="},
        LEAST.to_dict() | {"credential_id": ""},
        LEAST.to_dict() | {"created_at": "2026-01-01T00:00:00"},
    ],
)
def test_what_are_no_members_of_a_record_is_a_decode_error(members: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        CredentialRecord.from_dict(members)
